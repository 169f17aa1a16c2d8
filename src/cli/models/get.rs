//! `models get`: the command that fetches a public checkpoint; and, when the file has arrived, its
//! verification.

use super::catalogue::{self, Entry};
use crate::cli::{Common, out};
use crate::error::{Error, Kind, Result};
use crate::generator::Spec;
use crate::generator::registry::FAMILIES;
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::store::model_folders;
use crate::value::shelf;
use crate::weights;
use serde_json::json;
use std::path::{Path, PathBuf};

/// `gannet models get NAME`
pub(in crate::cli) fn get(common: &Common, name: &str) -> Result<u8> {
    let entry = catalogue::find(name)?;
    let folder = model_folders().into_iter().next().unwrap_or_else(|| PathBuf::from("models"));
    let command = entry.command(&folder);
    let Some(at) = arrived(&entry) else {
        let line = if common.json {
            json!({"name": entry.name, "arrived": false, "command": command}).to_string()
        } else {
            command
        };
        out(format!("{line}\n").as_bytes())?;
        return Ok(0);
    };
    let spec = verified(&entry, &at).map_err(|e| e.note(format!("fetched with {command}")))?;
    let place = file(&entry, &at, &folder)?;
    let shown = Safe(&place.to_string_lossy()).to_string();
    let line = if common.json {
        json!({"name": entry.name, "arrived": true, "file": shown, "family": spec.family,
            "width": spec.width, "height": spec.height, "sha256_known": entry.sha256.is_some()})
        .to_string()
    } else {
        let checked = match entry.sha256 {
            Some(_) => "its sha256 is the published one",
            None => "its sha256 is not known; it opens as what it should be",
        };
        format!(
            "{shown}: {}, {}×{} px; {checked}\ntry: gannet --model {}",
            spec.family,
            spec.width,
            spec.height,
            stem(&entry.file)
        )
    };
    out(format!("{line}\n").as_bytes())?;
    Ok(0)
}

/// The name by which a file in a model folder is loaded.
fn stem(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// The file, in a model folder or in the folder that gannet was started in; under the name of its
/// address as well.
fn arrived(entry: &Entry) -> Option<PathBuf> {
    let published = entry.url.as_deref().and_then(|u| u.rsplit('/').next());
    let names = [Some(entry.file.as_str()), published];
    // An address may end as another entry's does: that name counts in the current folder alone.
    let in_folders = model_folders().into_iter().map(|f| f.join(&entry.file));
    let here = names.into_iter().flatten().map(PathBuf::from);
    in_folders.chain(here).find(|p| p.is_file())
}

/// Checks size, sha256 and family.
fn verified(entry: &Entry, at: &Path) -> Result<Spec> {
    let shown = Safe(&at.to_string_lossy()).to_string();
    let wrong = |what: String| {
        Error::new(Kind::Format, format!("{shown}: {what}"))
            .hint("delete the file and fetch it again")
    };
    let bytes =
        std::fs::metadata(at).map_err(|e| Error::io(format!("cannot read {shown}"), &e))?.len();
    if let Some(want) = entry.bytes.filter(|want| *want != bytes) {
        return Err(wrong(format!("it has {bytes} bytes, not {want}")));
    }
    let file = match weights::open(at, &LIMITS) {
        Ok(file) => file,
        Err(e) => {
            return Err(match weights::what_else(at, &LIMITS) {
                Ok(Some(other)) => wrong(format!("this is {}", other.what)),
                _ => e,
            });
        }
    };
    if let Some(want) = &entry.sha256 {
        let found = file.sha256()?;
        if !found.starts_with(want.as_str()) {
            return Err(wrong(format!("its sha256 is {found}, not {want}")));
        }
    }
    let spec = shelf::describe(at)?;
    let (found, want) = ((spec.width, spec.height), (entry.width, entry.height));
    if found != want || plain(&spec.family) != plain(&entry.family) {
        let (w, h, family, size) = (found.0, found.1, &entry.family, entry.size());
        return Err(wrong(format!(
            "it is a {} of {w}×{h} px, not a {family} of {size}",
            spec.family
        )));
    }
    Ok(spec)
}

/// A family's name without the marks between its words.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}

/// Puts the file into the model folder, unless it is in one.
fn file(entry: &Entry, at: &Path, folder: &Path) -> Result<PathBuf> {
    if model_folders().iter().any(|f| at.starts_with(f)) {
        return Ok(at.to_owned());
    }
    let to = folder.join(&entry.file);
    let failed = |e: &std::io::Error| {
        Error::io(format!("cannot move it to {}", Safe(&to.to_string_lossy())), e)
    };
    std::fs::create_dir_all(folder).map_err(|e| failed(&e))?;
    match std::fs::rename(at, &to) {
        Ok(()) => Ok(to),
        // Another file system: copied beside its place, then renamed, so that it is whole or
        // absent.
        Err(e) if e.kind() == std::io::ErrorKind::CrossesDevices => {
            let part = folder.join(format!(".{}.part", entry.file));
            std::fs::copy(at, &part).map_err(|e| failed(&e))?;
            std::fs::rename(&part, &to).map_err(|e| failed(&e))?;
            std::fs::remove_file(at).map_err(|e| failed(&e))?;
            Ok(to)
        }
        Err(e) => Err(failed(&e)),
    }
}

/// Whether the family of an entry is read.
pub(super) fn is_read(entry: &Entry) -> bool {
    FAMILIES.iter().any(|f| plain(f.name) == plain(&entry.family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: Option<u64>, sha256: Option<&str>, width: usize) -> Entry {
        Entry {
            name: "gray".into(),
            family: "StyleGAN-2".into(),
            width,
            height: 32,
            file: "p4_32_gray.pkl".into(),
            url: None,
            pip: None,
            page: None,
            bytes,
            sha256: sha256.map(str::to_owned),
            licence: "none".into(),
            faces: String::new(),
            about: String::new(),
        }
    }

    #[test]
    fn what_arrives_is_verified_and_filed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/pkl");
        let at = root.join("p4_32_gray.pkl");
        let sha256 = weights::open(&at, &LIMITS).unwrap().sha256().unwrap();
        let bytes = std::fs::metadata(&at).unwrap().len();
        let spec = verified(&entry(Some(bytes), Some(&sha256), 32), &at).unwrap();
        assert_eq!((spec.width, spec.height), (32, 32));
        verified(&entry(None, Some(&sha256[..8]), 32), &at).unwrap();
        let refused = |entry: Entry| verified(&entry, &at).unwrap_err();
        for (entry, why) in [
            (entry(Some(1), None, 32), "not 1"),
            (entry(None, Some("00000000"), 32), "sha256"),
            (entry(None, None, 64), "not a StyleGAN-2 of 64×32"),
        ] {
            let e = refused(entry);
            assert!(e.message().contains(why) && e.repair().is_some(), "{e}");
        }
        // Moved into the folder, whole; one that is there stays.
        let home = tempfile::tempdir().unwrap();
        let (here, folder) = (home.path().join("download.pkl"), home.path().join("models"));
        std::fs::copy(&at, &here).unwrap();
        let place = file(&entry(None, None, 32), &here, &folder).unwrap();
        assert_eq!(place, folder.join("p4_32_gray.pkl"));
        assert!(!here.exists() && std::fs::metadata(place).unwrap().len() == bytes);
    }
}
