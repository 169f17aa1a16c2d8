//! The models in the user's model folders ([`crate::store::model_folders`]).

use crate::error::Result;
use crate::generator::Spec;
use crate::generator::registry;
use crate::lang::types::Companion;
use crate::limits::LIMITS;
use crate::store::model_folders;
use crate::weights;
use std::path::{Path, PathBuf};

/// The file of a folder that makes it a model.
const GENERATOR: &str = "generator.safetensors";

/// Files and folders that are looked at in one model folder.
const LISTED: usize = 2000;

/// The models of the user's folders: files, and folders with a `generator.safetensors`; by name,
/// those of the first folder first. Hidden files, and networks beside their models, are left out.
pub fn items() -> Vec<PathBuf> {
    model_folders().iter().flat_map(|folder| within(folder)).collect()
}

fn within(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_model = |p: &PathBuf| {
        let hidden = p.file_name().is_none_or(|n| {
            let name = n.to_string_lossy();
            let companions = Companion::ALL.map(Companion::name);
            let mut beside = companions.iter().chain([&"encoder"]);
            name.starts_with('.')
                || beside.any(|part| name.ends_with(&format!(".{part}.safetensors")))
        });
        !hidden && (p.is_file() || generator(p).is_file())
    };
    let paths = entries.take(LISTED).flatten().map(|e| e.path());
    let mut all: Vec<PathBuf> = paths.filter(is_model).collect();
    all.sort();
    all
}

/// The model of that name in the user's folders: by its whole name, else by its name without the
/// ending. A path is no name.
pub fn find(name: &str) -> Option<PathBuf> {
    if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
        return None;
    }
    let all = items();
    let whole = |p: &&PathBuf| p.file_name().is_some_and(|n| n == name);
    let stem = |p: &&PathBuf| p.is_file() && p.file_stem().is_some_and(|n| n == name);
    all.iter().find(whole).or_else(|| all.iter().find(stem)).cloned()
}

/// The file of a model that holds the generator.
pub fn generator(path: &Path) -> PathBuf {
    if !path.is_dir() {
        return path.to_owned();
    }
    let own = path.join(GENERATOR);
    match weights::in_folder(path) {
        Ok(Some(file)) if !own.is_file() => file,
        _ => own,
    }
}

/// The file in which the encoder of a generator's file or folder is found: beside
/// `people.safetensors` it is `people.encoder.safetensors`, in a folder `encoder.safetensors`.
pub fn encoder_of(path: &Path) -> PathBuf {
    beside(path, "encoder")
}

/// The file in which a network to run after the encoder is found, alike:
/// `people.residual.safetensors`, in a folder `residual.safetensors`.
pub fn companion_of(path: &Path, kind: Companion) -> PathBuf {
    beside(path, kind.name())
}

fn beside(path: &Path, part: &str) -> PathBuf {
    let file = format!("{part}.safetensors");
    if path.is_dir() { path.join(file) } else { path.with_extension(file) }
}

/// Description of the generator in a model, from names and shapes alone.
///
/// # Errors
/// When it cannot be read, or holds no generator of a known family.
pub fn describe(path: &Path) -> Result<Spec> {
    registry::recognise(weights::open(&generator(path), &LIMITS)?)?.describe()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_files_and_folders_with_a_generator() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["b.pkl", "a.pt", "a.encoder.safetensors", "a.residual.safetensors", ".hidden"]
        {
            std::fs::write(at(name), "x").unwrap();
        }
        std::fs::create_dir(at("own")).unwrap();
        std::fs::create_dir(at("other")).unwrap();
        std::fs::write(at("own/generator.safetensors"), "x").unwrap();
        assert_eq!(within(folder.path()), [at("a.pt"), at("b.pkl"), at("own")]);
        assert_eq!(generator(&at("own")), at("own/generator.safetensors"));
        assert!(within(&at("missing")).is_empty());
        assert!(describe(&at("a.pt")).is_err());
        for path in ["", ".hidden", "a/b", "../a"] {
            assert_eq!(find(path), None, "{path}");
        }
    }
}
