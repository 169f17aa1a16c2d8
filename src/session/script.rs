//! `:save` and `:open`: a session's cells as a script, and a script's cells for the prompt.

use super::effect::mentions;
use super::{Cell, Status, in_force, results};
use crate::error::{Error, Kind, Result};
use crate::lang::ast::CellKind;
use crate::lang::parse;
use crate::lang::span::Source;
use crate::safe::Safe;
use crate::store::{Disk, Files, write_atomic, write_new};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size limit of a file that is compared before it is replaced, in bytes.
const COMPARED: u64 = 64 << 20;

/// Hashes of the files that this session wrote.
#[derive(Default)]
pub struct Written(BTreeMap<PathBuf, Vec<u8>>);

impl Written {
    /// Writes a script completely or not at all. Without `force`, replaces a file only if it has
    /// the content that this session wrote.
    ///
    /// # Errors
    /// When the file has other content, or cannot be written.
    pub fn save(&mut self, path: &Path, text: &str, force: bool) -> Result<()> {
        let shown = Safe(&path.to_string_lossy()).to_string();
        let key = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let known = self.0.get(&key);
        let refused = || {
            Error::new(Kind::Io, format!("{shown} exists and is not what this session wrote"))
                .hint(format!(":save! {shown} replaces it"))
        };
        // Compares contents rather than times, because an editor may have the file open.
        let ours =
            known.is_some_and(|h| Disk.read(path, COMPARED).is_ok_and(|bytes| *h == hash(&bytes)));
        let written = if force || ours {
            write_atomic(&Disk, path, text.as_bytes())
        } else {
            write_new(&Disk, path, text.as_bytes())
        };
        written.map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => refused(),
            _ => Error::io(format!("cannot write {shown}"), &e),
        })?;
        self.0.insert(key, hash(text.as_bytes()));
        Ok(())
    }
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// The cells as a script that loads the same generator; failed cells are left out.
pub fn script(cells: &[Arc<Cell>], model: &str, seed: u64) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!("# gannet {version}\nload {}\n", quoted(model));
    let mut seed_in_force = 0;
    let used: BTreeSet<String> =
        cells.iter().filter(|c| in_force(c)).flat_map(|c| mentions(&c.source)).collect();
    for cell in cells.iter().filter(|c| in_force(c)) {
        text.push_str(&format!("\n#%% {}\n", cell.id));
        let of_cell = cell.seed.unwrap_or(seed);
        if of_cell != seed_in_force {
            text.push_str(&format!(
                "# seed {of_cell} was in force from here: gannet run --seed {of_cell}\n"
            ));
            seed_in_force = of_cell;
        }
        if cell.status == Status::Stopped {
            text.push_str("# stopped by hand, the best so far was kept; a run goes to its end\n");
        }
        let is_used = results::gives(&cell.source) && used.contains(&results::name(cell.id));
        let source = if is_used { results::bound(cell) } else { cell.source.clone() };
        text.push_str(source.trim_end());
        text.push('\n');
    }
    text
}

/// A text of the language.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Reads the cells of a script in order. The text under a marker is one cell; before the first
/// marker each statement is a cell.
///
/// # Errors
/// When the file cannot be read or does not parse; the source comes with all parse errors, for the
/// message.
pub fn cells_of(path: &Path) -> std::result::Result<Vec<String>, (Option<Source>, Error)> {
    let shown = Safe(&path.to_string_lossy()).to_string();
    let read = Disk.read(path, crate::limits::LIMITS.source_bytes as u64 + 1);
    let bytes = read.map_err(|e| (None, Error::io(format!("cannot read {shown}"), &e)))?;
    let text = String::from_utf8(bytes).map_err(|e| {
        (
            None,
            Error::format(
                &path.to_string_lossy(),
                e.utf8_error().valid_up_to() as u64,
                "a script is UTF-8 text",
            ),
        )
    })?;
    let source = Source::new(shown, text).map_err(|e| (None, e))?;
    let (program, errors) = parse::parse(&source);
    if let Some(e) = Error::all(errors) {
        return Err((Some(source), e));
    }
    let mut found = Vec::new();
    for cell in program.cells.iter().filter(|c| c.kind == CellKind::Code) {
        let Some(statements) = program.statements.get(cell.statements.clone()) else { continue };
        if statements.is_empty() {
            continue;
        }
        match cell.marker {
            Some(_) => found.push(source.slice(cell.body).trim().to_owned()),
            None => found.extend(statements.iter().map(|s| source.slice(s.span).to_owned())),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> Vec<Arc<Cell>> {
        let mut seeded = Cell::new(3, "b = sample(\n  seed: 1)", Status::Stopped);
        seeded.seed = Some(7);
        let (first, bad) =
            (Cell::new(1, "a = sample()", Status::Ok), Cell::new(2, "oops", Status::Failed));
        [first, bad, seeded].map(Arc::new).to_vec()
    }

    #[test]
    fn what_is_saved_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edit.gnt");
        let text = script(&cells(), "a \"b\\c", 0);
        assert!(text.contains("#%% 3\n# seed 7 was in force from here"), "{text}");
        assert!(!text.contains("oops"));
        Written::default().save(&path, &text, false).unwrap();
        let found = cells_of(&path).unwrap();
        assert_eq!(found[..2], ["load \"a \\\"b\\\\c\"", "a = sample()"]);
        assert!(found[2].ends_with("b = sample(\n  seed: 1)") && found.len() == 3, "{found:?}");
    }

    #[test]
    fn results_that_later_cells_use_get_their_name() {
        let all = [(1, "sample(seed: 1)"), (2, "sample(seed: 2)"), (3, "show _2")];
        let all = all.map(|(id, text)| Arc::new(Cell::new(id, text, Status::Ok)));
        let text = script(&all, "toy", 0);
        assert!(text.contains("\nsample(seed: 1)\n") && text.contains("\n_2 = sample(seed: 2)\n"));
    }

    #[test]
    fn a_plain_script_is_one_cell_a_statement() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plain.gnt");
        std::fs::write(&path, "# why\nx = 1 +\n  2; y = 2\n\nshow x\n").unwrap();
        assert_eq!(cells_of(&path).unwrap(), ["x = 1 +\n  2", "y = 2", "show x"]);
        std::fs::write(&path, "x = (\nshow )").unwrap();
        let (source, error) = cells_of(&path).unwrap_err();
        assert!(source.is_some() && error.span().is_some());
        std::fs::write(&path, b"\xff").unwrap();
        assert!(cells_of(&path).unwrap_err().0.is_none());
    }

    #[test]
    fn nothing_of_anybody_elses_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edit.gnt");
        let mut ours = Written::default();
        ours.save(&path, "a = 1\n", false).unwrap();
        ours.save(&path, "a = 2\n", false).unwrap();
        std::fs::write(&path, "mine").unwrap();
        let e = ours.save(&path, "a = 3\n", false).unwrap_err();
        assert!(e.repair().unwrap().starts_with(":save! "), "{e}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        ours.save(&path, "a = 3\n", true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a = 3\n");
        assert!(Written::default().save(&path, "x", false).is_err(), "another session's");
    }
}
