//! Reports: a notebook or a session as one HTML file, as Markdown with PNG files, or as a Jupyter
//! notebook, with the outputs that were kept.

mod html;
mod markdown;
mod notebook;
mod page;

pub use page::Page;

use crate::error::{Error, Kind, Result};
use crate::store::{Disk, Files, write_atomic};
use page::shown;
use std::path::Path;

/// A mark in every report. A later export replaces only a file that has it.
const MARK: &str = concat!("gannet export ", env!("CARGO_PKG_VERSION"));
/// The part of [`MARK`] that all versions share.
const ANY_MARK: &[u8] = b"gannet export ";
/// Largest file that is looked through for the mark, in bytes.
const LARGEST: u64 = 512 << 20;

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One HTML file.
    Html,
    /// Markdown, with pictures in the folder `NAME.files`.
    Markdown,
    /// A Jupyter notebook (nbformat 4.5).
    Jupyter,
}

impl Format {
    /// The format that a file's ending asks for.
    ///
    /// # Errors
    /// For other endings, with a hint.
    pub fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("html" | "htm") => Ok(Self::Html),
            Some("md" | "markdown") => Ok(Self::Markdown),
            Some("ipynb") => Ok(Self::Jupyter),
            _ => Err(Error::new(Kind::Usage, format!("{} has no ending of a report", shown(path)))
                .hint("report.html, report.md or report.ipynb")),
        }
    }
}

/// Writes a report. A file that is no report of gannet is not replaced.
///
/// # Errors
/// For an unknown ending, for a file that something else wrote, and when the disk refuses it.
pub fn export(page: &Page, to: &Path) -> Result<()> {
    let format = Format::of(to)?;
    if let Ok(old) = Disk.read(to, LARGEST)
        && !old.windows(ANY_MARK.len()).any(|w| w == ANY_MARK)
    {
        let what = format!("{} exists and is not a report of gannet", shown(to));
        return Err(Error::new(Kind::Usage, what).hint("give another name, or remove it first"));
    }
    let text = match format {
        Format::Html => html::html(page),
        Format::Markdown => markdown::markdown(page, to)?,
        Format::Jupyter => notebook::notebook(page)?,
    };
    write_atomic(&Disk, to, text.as_bytes())
        .map_err(|e| Error::io(format!("cannot write {}", shown(to)), &e))
}

#[cfg(test)]
mod tests;
