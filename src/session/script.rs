//! `:save` and `:open`: a session's cells as a script, and a script's cells for the prompt.

use super::effect::mentions;
use super::{Cell, Status, in_force, results};
use crate::error::{Error, Kind, Result};
use crate::lang::ast::CellKind;
use crate::lang::import::{joined, repathed};
use crate::lang::parse;
use crate::lang::span::Source;
use crate::safe::Safe;
use crate::store::{Disk, Files, write_atomic, write_new};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
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
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            let failed = |e| Error::io(format!("cannot make the folder of {shown}"), &e);
            Disk.make_folder(folder).map_err(failed)?;
        }
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

/// The cells as a script that loads the same generator; failed cells are left out. Paths of imports
/// lead from the script's folder instead of the current one.
pub fn script(cells: &[Arc<Cell>], model: &str, seed: u64, path: &Path) -> String {
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
        text.push_str(&repathed(source.trim_end(), |import| moved(import, path)));
        text.push('\n');
    }
    text
}

/// An import's path from the current folder as one from the folder of a file.
fn moved(import: &str, file: &Path) -> String {
    let whole = |p: &Path| std::path::absolute(p).map(|p| joined(&p, ""));
    let folder = whole(file.parent().unwrap_or(Path::new("")).join(".").as_path());
    let (Ok(folder), Ok(target), true) =
        (folder, whole(Path::new(import)), Path::new(import).is_relative())
    else {
        return import.to_owned();
    };
    let shared = folder.components().zip(target.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().skip(shared).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(target.components().skip(shared)).collect();
    path.to_string_lossy().into_owned()
}

/// A text of the language.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Reads the cells of a script in order. The text under a marker is one cell; before the first
/// marker each statement is a cell. Paths of imports lead from the current folder.
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
    let folder = path.parent().unwrap_or(Path::new(""));
    let here =
        |text: &str| repathed(text, |import| joined(folder, import).to_string_lossy().into_owned());
    let mut found = Vec::new();
    for cell in program.cells.iter().filter(|c| c.kind == CellKind::Code) {
        let Some(statements) = program.statements.get(cell.statements.clone()) else { continue };
        if statements.is_empty() {
            continue;
        }
        match cell.marker {
            Some(_) => found.push(here(source.slice(cell.body).trim())),
            None => found.extend(statements.iter().map(|s| here(source.slice(s.span)))),
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
        let path = folder.path().join("new/edit.gnt");
        let text = script(&cells(), "a \"b\\c", 0, &path);
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
        let text = script(&all, "toy", 0, Path::new("edit.gnt"));
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
    fn imports_lead_from_the_folder_of_the_script_and_back() {
        let import = |path: &str| Arc::new(Cell::new(1, format!("import \"{path}\""), Status::Ok));
        let saved = |path: &str, file: &str| {
            let text = script(&[import(path)], "toy", 0, Path::new(file));
            text.lines().last().map(str::to_owned).unwrap()
        };
        assert_eq!(saved("lib.gnt", "edit.gnt"), "import \"lib.gnt\"");
        assert_eq!(saved("lib.gnt", "sub/edit.gnt"), "import \"../lib.gnt\"");
        assert_eq!(saved("sub/lib.gnt", "sub/deep/edit.gnt"), "import \"../lib.gnt\"");
        assert_eq!(saved("/a/lib.gnt", "sub/edit.gnt"), "import \"/a/lib.gnt\"");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edit.gnt");
        std::fs::write(&path, "import \"./a/../lib.gnt\"\n#%%\nx = 1\nimport \"b.gnt\"").unwrap();
        let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let wanted =
            [format!("import \"{}\"", at("lib.gnt")), format!("x = 1\nimport \"{}\"", at("b.gnt"))];
        assert_eq!(cells_of(&path).unwrap(), wanted);
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
