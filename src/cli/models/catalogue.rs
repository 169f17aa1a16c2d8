//! The well-known public checkpoints: where each is published, and what is known of it.
//!
//! gannet has no network code. The catalogue gives the command that fetches a file, and what the
//! file must be when it has arrived.

use crate::error::{Error, Kind, Result};
use crate::lang::suggest::near;
use crate::safe::Safe;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A public checkpoint.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// Its name here: `ada-ffhq`.
    pub(super) name: String,
    /// Family of the generator, as `gannet info` names it.
    pub(super) family: String,
    /// Width of its pictures in pixels.
    pub(super) width: usize,
    /// Height of its pictures in pixels.
    pub(super) height: usize,
    /// Name of its file in a model folder.
    pub(super) file: String,
    /// Its address, where it is a plain download.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    /// The package of Python that holds it, with its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pip: Option<String>,
    /// The page that leads to it, where only a browser does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<String>,
    /// Bytes of the file, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
    /// Sha256 of the file, hexadecimal, or its first digits; where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
    /// Its licence in a word.
    pub(super) licence: String,
    /// Framing of the faces that it makes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) faces: String,
    /// What else is to be said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) about: String,
}

impl Entry {
    /// The one command that fetches the file into a folder.
    pub(super) fn command(&self, folder: &Path) -> String {
        let folder = folder.to_string_lossy();
        match (&self.pip, &self.url, &self.page) {
            (Some(package), ..) => {
                format!("pip download --no-deps --dest {} {package}", shell_word(&folder))
            }
            (None, Some(url), _) => {
                let to = shell_word(&format!("{folder}/{}", self.file));
                format!("curl -L -C - --create-dirs -o {to} {}", shell_word(url))
            }
            (None, None, page) => {
                let page = page.as_deref().unwrap_or_default();
                format!("# open {page} in a browser and save the file as {folder}/{}", self.file)
            }
        }
    }

    /// `1024×1024`.
    pub(super) fn size(&self) -> String {
        format!("{}×{}", self.width, self.height)
    }
}

/// A text as one word of a shell.
pub(in crate::cli) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=~+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// All of them.
///
/// # Errors
/// Never for the catalogue in the program, which is tested.
pub(super) fn all() -> Result<Vec<Entry>> {
    serde_json::from_str(include_str!("catalogue.json"))
        .map_err(|e| Error::runtime(format!("the catalogue of models cannot be read: {e}")))
}

/// The entry of that name.
///
/// # Errors
/// When there is none; names that are similar are offered.
pub(super) fn find(name: &str) -> Result<Entry> {
    let all = all()?;
    let names: Vec<&str> = all.iter().map(|e| e.name.as_str()).collect();
    let hint = match near(name, names.iter().copied()).first() {
        Some(similar) => format!("gannet models get {similar}"),
        None => "`gannet models` lists them".to_owned(),
    };
    let unknown = || {
        Error::new(Kind::Usage, format!("there is no model {} in the catalogue", Safe(name)))
            .hint(hint)
    };
    all.iter().find(|e| e.name == name).cloned().ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_catalogue_is_whole() {
        let all = all().unwrap();
        assert!(all.len() >= 60, "{}", all.len());
        let mut names = BTreeSet::new();
        let mut files = BTreeSet::new();
        for e in &all {
            assert!(names.insert(&e.name), "{} twice", e.name);
            assert!(files.insert(&e.file), "{}: {} twice", e.name, e.file);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(e.name.chars().all(plain), "{}", e.name);
            let places = [&e.url, &e.pip, &e.page];
            assert_eq!(places.iter().filter(|p| p.is_some()).count(), 1, "{}", e.name);
            assert!(!e.licence.is_empty() && e.width > 0 && e.height > 0, "{}", e.name);
            assert!(!e.file.contains('/') && e.file.contains('.'), "{}", e.name);
            let web = |u: &Option<String>| u.as_ref().is_none_or(|u| u.starts_with("https://"));
            assert!(web(&e.url) && web(&e.page), "{}", e.name);
            let hex = |s: &String| s.len() >= 8 && s.chars().all(|c| c.is_ascii_hexdigit());
            assert!(e.sha256.as_ref().is_none_or(hex), "{}", e.name);
        }
    }

    #[test]
    fn the_command_is_one_line_of_a_shell() {
        let get = |name: &str| find(name).unwrap().command(Path::new("/my models"));
        assert_eq!(
            get("random-face"),
            "pip download --no-deps --dest '/my models' random-face==2021.7.21.1"
        );
        let curl = get("ada-ffhq");
        assert!(curl.starts_with("curl -L -C - --create-dirs -o '/my models/ffhq.pkl' https://"));
        assert!(get("e4e-ffhq").starts_with("# open https://"));
        let e = find("ada-fhq").unwrap_err();
        assert_eq!(e.repair(), Some("gannet models get ada-ffhq"));
        assert_eq!(shell_word("a'b c"), "'a'\\''b c'");
    }
}
