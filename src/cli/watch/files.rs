//! The files that a program depends on, and their changes.
//!
//! They are its own file, what it imports, and every text of it that names a file, a folder or a
//! pattern of names. A changed time alone is no change: a file that is named is compared by its
//! content, so that a program that writes what it reads does not run for ever.

use crate::builtins::images::matches;
use crate::lang::ast::{Expr, ExprKind, Program, Stmt, StmtKind};
use crate::lang::import::Imports;
use crate::store::{Disk, Files, open_regular};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Longest text that is taken for a path, in bytes.
const PATH: usize = 4096;
/// Size up to which a file's content is compared, in bytes; of a larger one its size and time.
const COMPARED: u64 = 16 << 20;

/// What a program depends on.
pub struct Targets {
    /// The program and what it imports.
    program: BTreeSet<PathBuf>,
    /// Files that its texts may name.
    named: BTreeSet<PathBuf>,
    /// Folders and the patterns for the names in them.
    listed: BTreeSet<(PathBuf, String)>,
    /// Files that it writes.
    written: BTreeSet<PathBuf>,
}

/// Size, time and number of a file, as the system says.
type Meta = (u64, i64, i64, u64);

/// A file at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    meta: Meta,
    /// Hash of the content, where that is compared.
    hash: Option<[u8; 32]>,
}

/// The files that are there, by path.
pub type Look = BTreeMap<PathBuf, Seen>;

impl Targets {
    /// The targets of a program, which may be wrong. `sets` are texts that it gets from outside,
    /// `written` the files that it writes.
    pub fn of<'t>(
        (file, mut program, imports): (&Path, Program, &Imports),
        sets: impl Iterator<Item = &'t str>,
        written: impl Iterator<Item = PathBuf>,
    ) -> Self {
        // What is wrong with imported files is said when the program runs.
        let (_, mut own) = imports.read_files(&mut program);
        own.insert(file.to_path_buf());
        let (named, listed) = (BTreeSet::new(), BTreeSet::new());
        let mut targets = Self { program: own, named, listed, written: written.collect() };
        sets.for_each(|text| targets.text(text));
        targets.statements(&program.statements);
        targets
    }

    fn statements(&mut self, statements: &[Stmt]) {
        for statement in statements {
            if let StmtKind::Import(import) = &statement.kind {
                let library = import.library.as_deref();
                self.statements(library.map_or(&[], |l| &l.statements));
            }
            statement.kind.children().into_iter().for_each(|e| self.expression(e));
        }
    }

    fn expression(&mut self, e: &Expr) {
        if let ExprKind::Text(text) = &e.kind {
            self.text(text);
        }
        e.children().into_iter().for_each(|child| self.expression(child));
    }

    fn text(&mut self, text: &str) {
        if text.is_empty() || text.len() > PATH || text.contains(['\0', '\n']) {
            return;
        }
        let path = Path::new(text);
        if path.is_dir() {
            self.listed.insert((path.to_path_buf(), "*".to_owned()));
        } else if text.contains(['*', '?']) {
            let folder = path.parent().unwrap_or(Path::new(""));
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
            self.listed.extend(name.map(|n| (folder.to_path_buf(), n)));
        } else if !self.written.contains(path) {
            self.named.insert(path.to_path_buf());
        }
    }

    /// Whether a file was listed in a folder, rather than named.
    pub fn lists(&self, path: &Path) -> bool {
        !self.named.contains(path) && !self.program.contains(path)
    }

    /// The files as they are now. What is as in an earlier look is not read again.
    pub fn look(&self, before: &Look) -> Look {
        let mut now = Look::new();
        for path in self.program.iter().chain(&self.named) {
            now.extend(seen(path, before).map(|s| (path.clone(), s)));
        }
        for (folder, pattern) in &self.listed {
            let open = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            for path in Disk.list(open).unwrap_or_default() {
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
                let path = folder.join(name.as_deref().unwrap_or_default());
                let fits = name.is_some_and(|n| matches(pattern, &n));
                if fits && !self.written.contains(&path) && !now.contains_key(&path) {
                    let meta = std::fs::metadata(&path).ok().map(|m| meta(&m));
                    now.extend(meta.map(|meta| (path, Seen { meta, hash: None })));
                }
            }
        }
        now
    }
}

fn meta(m: &std::fs::Metadata) -> Meta {
    (m.len(), m.mtime(), m.mtime_nsec(), m.ino())
}

fn seen(path: &Path, before: &Look) -> Option<Seen> {
    let found = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let meta = meta(&found);
    if let Some(known) = before.get(path).filter(|known| known.meta == meta) {
        return Some(known.clone());
    }
    let hash = (found.len() <= COMPARED).then(|| hash(path)).flatten();
    Some(Seen { meta, hash })
}

fn hash(path: &Path) -> Option<[u8; 32]> {
    let mut bytes = Vec::new();
    open_regular(path).ok()?.take(COMPARED + 1).read_to_end(&mut bytes).ok()?;
    Some(Sha256::digest(&bytes).into())
}

/// The paths that differ between two looks: new, gone or with other content.
pub fn changed(before: &Look, now: &Look) -> Vec<PathBuf> {
    let differs = |path: &&PathBuf| match (before.get(*path), now.get(*path)) {
        (Some(Seen { hash: Some(a), .. }), Some(Seen { hash: Some(b), .. })) => a != b,
        (a, b) => a != b,
    };
    let all: BTreeSet<&PathBuf> = before.keys().chain(now.keys()).collect();
    all.into_iter().filter(differs).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::parse::parse;
    use crate::lang::span::Source;
    use std::fs;

    fn names(folder: &Path, paths: &[PathBuf]) -> Vec<String> {
        let name = |p: &PathBuf| p.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
        paths.iter().map(name).collect()
    }

    #[test]
    fn what_a_program_depends_on_is_found_and_its_changes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let at = |name: &str| root.join(name);
        let write = |name: &str, text: &str| fs::write(at(name), text).unwrap();
        fs::create_dir(at("all")).unwrap();
        for name in ["lib.gnt", "me.jpg", "set.jpg", "all/a.png", "all/b.jpg", "out.png"] {
            write(name, "1");
        }
        write("lib.gnt", "def f(x) = x");
        let r = root.display();
        let text = format!(
            "import \"lib.gnt\"\nparam p = \"{r}/none.jpg\"\nx = image(\"{r}/me.jpg\")\n\
             y = images(\"{r}/all/*.png\")\nsave(x, \"{r}/out.png\")\nz = image(\"{r}/out.png\")"
        );
        write("main.gnt", &text);
        let main = at("main.gnt");
        let imports = Imports::beside(&main);
        let program = parse(&Source::new("main.gnt", text).unwrap()).0;
        let set = at("set.jpg").display().to_string();
        let out = [at("out.png")].into_iter();
        let targets = Targets::of((&main, program, &imports), [&set[..]].into_iter(), out);
        let mut last = targets.look(&Look::new());
        let mut after = |change: &dyn Fn()| {
            change();
            let now = targets.look(&last);
            let found = names(root, &changed(&last, &now));
            last = now;
            found
        };
        assert_eq!(after(&|| {}), [""; 0]);
        assert_eq!(after(&|| write("me.jpg", "2")), ["me.jpg"]);
        // The same content again, whatever its time, is no change.
        assert_eq!(after(&|| write("me.jpg", "2")), [""; 0]);
        assert_eq!(after(&|| write("none.jpg", "1")), ["none.jpg"]);
        assert_eq!(after(&|| fs::remove_file(at("none.jpg")).unwrap()), ["none.jpg"]);
        assert_eq!(after(&|| write("set.jpg", "2")), ["set.jpg"]);
        assert_eq!(after(&|| write("lib.gnt", "def f(x) = 2*x")), ["lib.gnt"]);
        assert_eq!(after(&|| write("all/c.png", "1")), ["all/c.png"]);
        assert_eq!(after(&|| write("all/c.jpg", "1")), [""; 0]);
        assert_eq!(after(&|| write("out.png", "2")), [""; 0], "the program writes it");
        // As editors do it: a new file in place of the old one.
        assert_eq!(
            after(&|| {
                write("new", "x = 1");
                fs::rename(at("new"), at("main.gnt")).unwrap();
            }),
            ["main.gnt"]
        );
        assert!(targets.lists(&at("all/c.png")) && !targets.lists(&at("me.jpg")));
    }
}
