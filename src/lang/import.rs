//! `import "lib.gnt"`: reads the files whose definitions a program uses.
//!
//! A path is relative to the folder of the file that it is written in. Within a program a file is
//! known by its key: its path from the program's folder, without `.` and `..` where possible. The
//! keys and texts of all imported files are what a journal keeps, so that a cell that imported runs
//! again without the files.

use super::ast::{Expr, ExprKind, Import, Library, Program, Stmt, StmtKind};
use super::parse::parse;
use super::span::Source;
use super::suggest::near;
use crate::error::{Error, Kind, Result, Span};
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::store::{Disk, Files};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Most files that one program imports, directly or not.
const FILES: usize = 64;

/// The text of an imported file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The file's key.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Location of the files that a program imports.
#[derive(Clone, Debug, Default)]
pub struct Imports {
    /// The program's folder; empty for the current one.
    folder: PathBuf,
    /// The program's own key; empty for typed text.
    file: PathBuf,
    /// Texts that are read in place of the files on the disk.
    recorded: Option<Arc<[Imported]>>,
}

impl Imports {
    /// For the program in this file.
    pub fn beside(file: &Path) -> Self {
        let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
        let file = file.file_name().map(PathBuf::from).unwrap_or_default();
        Self { folder, file, recorded: None }
    }

    /// With these texts in place of the files on the disk.
    #[must_use]
    pub fn recorded(&self, texts: &[Imported]) -> Self {
        Self { recorded: Some(texts.into()), ..self.clone() }
    }

    /// The folder from which the program's paths lead.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads the files that a program imports, directly or not, and puts them into it. Returns all
    /// errors; imports that could not be read stay without a file.
    pub fn read(&self, program: &mut Program) -> Vec<Error> {
        self.read_files(program).0
    }

    /// As [`Imports::read`]; also returns the files, those that could not be read among them.
    pub fn read_files(&self, program: &mut Program) -> (Vec<Error>, BTreeSet<PathBuf>) {
        let mut reading = Reading {
            imports: self,
            known: BTreeMap::new(),
            files: BTreeSet::new(),
            open: vec![self.file.clone()],
            bytes: 0,
        };
        let errors = reading.statements(&mut program.statements, Path::new(""));
        (errors, reading.files)
    }

    /// The text of the file with this key.
    fn text(&self, key: &Path, at: &Import) -> Result<String> {
        if let Some(recorded) = &self.recorded {
            let found = recorded.iter().find(|i| Path::new(&i.path) == key);
            return found.map(|i| i.text.clone()).ok_or_else(|| {
                let shown = shown(key);
                Error::runtime(format!("the record does not hold the imported {shown}"))
            });
        }
        let path = self.folder.join(key);
        let shown = shown(&path);
        let limit = LIMITS.source_bytes as u64;
        let bytes = Disk.read(&path, limit).map_err(|e| unread(&path, at, &e))?;
        String::from_utf8(bytes).map_err(|e| {
            let valid = e.utf8_error().valid_up_to();
            Error::check(format!("{shown}: at byte {valid}: a program is UTF-8 text"))
        })
    }
}

/// The texts of all files that these statements import, directly or not, each once.
pub fn texts(statements: &[Stmt]) -> Vec<Imported> {
    let mut all = BTreeMap::new();
    fn walk(statements: &[Stmt], all: &mut BTreeMap<String, String>) {
        for library in imports(statements).filter_map(|i| i.library.as_deref()) {
            if !all.contains_key(&library.key) {
                all.insert(library.key.clone(), library.source.text().to_owned());
                walk(&library.statements, all);
            }
        }
    }
    walk(statements, &mut all);
    all.into_iter().map(|(path, text)| Imported { path, text }).collect()
}

/// A program's text, with the paths of its imports as `change` gives them.
pub fn repathed(text: &str, change: impl Fn(&str) -> String) -> String {
    let Ok(source) = Source::new("", text) else { return text.to_owned() };
    let program = parse(&source).0;
    let mut out = text.to_owned();
    for import in imports(&program.statements).collect::<Vec<_>>().into_iter().rev() {
        let path = change(&import.path);
        if path != import.path {
            out.replace_range(import.span.start..import.span.end, &quoted(path));
        }
    }
    out
}

/// A path from a folder on: without `.`, and without `..` where a folder is known.
pub fn joined(folder: &Path, path: impl AsRef<Path>) -> PathBuf {
    let mut out = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

fn imports(statements: &[Stmt]) -> impl Iterator<Item = &Import> {
    statements.iter().filter_map(|s| match &s.kind {
        StmtKind::Import(import) => Some(import),
        _ => None,
    })
}

fn folder_of(key: &Path) -> &Path {
    key.parent().unwrap_or(Path::new(""))
}

fn shown(path: &Path) -> String {
    Safe(&path.to_string_lossy()).to_string()
}

/// One reading of a program's imports.
struct Reading<'a> {
    imports: &'a Imports,
    known: BTreeMap<PathBuf, Arc<Library>>,
    /// All files on the disk that were asked for.
    files: BTreeSet<PathBuf>,
    /// The program and the files that are being read, each imported by the one before it.
    open: Vec<PathBuf>,
    bytes: usize,
}

impl Reading<'_> {
    fn statements(&mut self, statements: &mut [Stmt], folder: &Path) -> Vec<Error> {
        let mut errors = Vec::new();
        for statement in statements {
            if let StmtKind::Import(import) = &mut statement.kind {
                match self.library(import, folder) {
                    Ok(library) => import.library = Some(library),
                    Err(e) => errors.push(e.at(import.span)),
                }
            }
        }
        errors
    }

    fn library(&mut self, import: &Import, folder: &Path) -> Result<Arc<Library>> {
        let key = joined(folder, &import.path);
        if let Some(from) = self.open.iter().position(|k| *k == key) {
            return Err(self.circle(from));
        }
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        self.files.insert(self.imports.folder.join(&key));
        let text = self.imports.text(&key, import)?;
        self.bytes += text.len();
        if self.known.len() + self.open.len() > FILES || self.bytes > LIMITS.source_bytes {
            let most = format!("at most {FILES} files with {} bytes", LIMITS.source_bytes);
            let error = Error::new(Kind::Limit, format!("a program imports {most}"));
            return Err(error.hint("import fewer files"));
        }
        let name = match self.imports.recorded {
            Some(_) => shown(&key),
            None => shown(&self.imports.folder.join(&key)),
        };
        let source = Arc::new(Source::new(name, text)?);
        let (mut program, mut errors) = parse(&source);
        self.open.push(key.clone());
        errors.extend(self.statements(&mut program.statements, folder_of(&key)));
        self.open.pop();
        errors.extend(program.statements.iter().filter_map(foreign));
        if let Some(e) = Error::all(errors) {
            return Err(source.holds(e, import.span));
        }
        for statement in &mut program.statements {
            if let StmtKind::Def(def) = &mut statement.kind {
                Arc::make_mut(def).file = Some(source.clone());
            }
        }
        let named = key.to_string_lossy().into_owned();
        let library = Arc::new(Library { key: named, source, statements: program.statements });
        self.known.insert(key, library.clone());
        Ok(library)
    }

    /// The error of a file that imports itself, directly or not; `from` is its place in `open`.
    fn circle(&self, from: usize) -> Error {
        let names: Vec<String> = self.open[from..].iter().map(|k| shown(k)).collect();
        match &names[..] {
            [one] => Error::check(format!("{one} imports itself")).hint("take this line out"),
            _ => {
                let circle = format!("{} → {}", names.join(" → "), names[0]);
                Error::check(format!("these files import each other: {circle}"))
                    .hint("move what both need into a file that imports neither")
            }
        }
    }
}

/// The error of a statement that an imported file must not have.
fn foreign(statement: &Stmt) -> Option<Error> {
    let (what, hint) = match &statement.kind {
        StmtKind::Load(_) => {
            ("`load` changes the generator", "load it in the program, before the import")
        }
        StmtKind::Show(_) => ("`show` shows something", "put it into the program, or into a `def`"),
        StmtKind::Expr(_) => {
            ("a bare expression shows its value", "name it, or put it into the program")
        }
        _ => return None,
    };
    let error = Error::check(format!("{what}, and an imported file only defines names"));
    Some(error.at(statement.span).hint(hint))
}

/// The error of a file that cannot be read.
fn unread(path: &Path, at: &Import, e: &std::io::Error) -> Error {
    let name = shown(path);
    if path.is_dir() {
        return Error::check(format!("{name} is a folder")).hint("import one of its files");
    }
    if e.kind() != std::io::ErrorKind::NotFound {
        return Error::check(format!("cannot read {name}: {e}"));
    }
    let error = Error::check(format!("there is no file {name}"));
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let wanted = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.file_name());
    let programs = names.filter_map(|n| n.into_string().ok()).filter(|n| n.ends_with(".gnt"));
    let programs: Vec<String> = programs.collect();
    let best = near(&wanted, programs.iter().map(String::as_str)).into_iter().next();
    match best {
        Some(best) => {
            let beside = Path::new(&at.path).with_file_name(best);
            error.rewrite(at.span, quoted(beside.to_string_lossy().into_owned()))
        }
        None => error.hint("the path leads from the folder of the file that imports"),
    }
}

/// A path as a text of the language.
fn quoted(path: String) -> String {
    Expr::new(ExprKind::Text(path), Span::default()).to_string()
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
