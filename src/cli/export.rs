//! `gannet export`

use crate::error::{Error, Kind, Result};
use crate::export::{Page, export as write};
use crate::safe::Safe;
use crate::session::{latest, sessions};
use crate::store::{Disk, Files, session_folder};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Writes the report of a notebook or a session, and says where.
pub fn export(from: &Path, to: &Path) -> Result<u8> {
    let page = Page::read(&found(from)?)?;
    write(&page, to)?;
    super::out(format!("{}\n", Safe(&to.to_string_lossy())).as_bytes())?;
    Ok(0)
}

/// A file as it is; otherwise the journal of the session of that name.
fn found(from: &Path) -> Result<PathBuf> {
    if from.is_file() {
        return Ok(from.to_path_buf());
    }
    let files: Arc<dyn Files> = Arc::new(Disk);
    let name = from.to_string_lossy();
    let one = match session_folder() {
        None => None,
        Some(folder) if name == "latest" => latest(&files, &folder)?,
        Some(folder) => sessions(&files, &folder)?.into_iter().find(|s| s.header.session == name),
    };
    one.map(|s| s.path).ok_or_else(|| {
        Error::new(Kind::Usage, format!("there is no notebook or session {}", Safe(&name)))
            .hint("a file FILE.gnt, a name that :sessions shows, or latest")
    })
}
