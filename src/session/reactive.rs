//! What depends on what in a list of cells, from their syntax trees.
//!
//! A cell has a key: a hash of its text and of the keys of the cells that it needs. A result is
//! fresh while its cell has the key that it had when it ran.

use super::effect::{Effect, of, with_bodies};
use crate::lang::ast::Def;
use crate::lang::import::{self, Imported, Imports};
use crate::lang::parse;
use crate::lang::span::Source;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

/// The name under which a cell that loads a generator is known: no variable can have it.
const GENERATOR: &str = "load";

/// What a cell reads and writes, and what it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Names that it reads from cells above, with the cells that bind them.
    pub reads: BTreeMap<String, usize>,
    /// Names of values and functions that it binds.
    pub writes: BTreeSet<String>,
    /// The cells that it needs directly, in order.
    pub needs: BTreeSet<usize>,
    /// Hash of its text and of the keys of the cells that it needs.
    pub key: String,
}

/// What a text reads before it binds it, and what it binds.
#[derive(Clone, Debug, Default)]
struct Names {
    reads: BTreeSet<String>,
    writes: BTreeSet<String>,
    defines: Vec<Arc<Def>>,
    /// The files that it imports.
    imported: Vec<Imported>,
}

/// Finds the links of cells; remembers what it read in texts.
#[derive(Debug, Default)]
pub struct Reactive {
    known: HashMap<Arc<str>, Arc<Names>>,
    imports: Imports,
}

impl Reactive {
    /// For cells whose imported files are where `imports` says.
    pub fn new(imports: Imports) -> Self {
        Self { known: HashMap::new(), imports }
    }

    /// The links of cells in order. `None` is a cell without code. `base` is what all of them
    /// depend on, such as the generator at the beginning and the seed.
    pub fn links(&mut self, cells: &[Option<Arc<str>>], base: &str) -> Vec<Links> {
        let mut latest: BTreeMap<String, usize> = BTreeMap::new();
        let mut functions: BTreeMap<String, Arc<Def>> = BTreeMap::new();
        let mut all: Vec<Links> = Vec::with_capacity(cells.len());
        for (at, text) in cells.iter().enumerate() {
            let Some(text) = text else {
                all.push(Links::default());
                continue;
            };
            let names = self.names(text);
            let mut wanted = with_bodies(&names.reads, &functions);
            if !wanted.is_empty() {
                // Whatever calls a function may use the generator.
                wanted.insert(GENERATOR.to_owned());
            }
            let reads: BTreeMap<String, usize> =
                wanted.into_iter().filter_map(|n| Some((n.clone(), *latest.get(&n)?))).collect();
            let needs: BTreeSet<usize> = reads.values().copied().collect();
            let text = (&**text, &names.imported[..]);
            let key = key(text, reads.iter().map(|(n, k)| (&n[..], &all[*k].key[..])), base);
            for name in &names.writes {
                functions.remove(name);
                latest.insert(name.clone(), at);
            }
            for def in &names.defines {
                functions.insert(def.name.name.clone(), def.clone());
            }
            all.push(Links { reads, writes: names.writes.clone(), needs, key });
        }
        // Texts that are gone need not be remembered.
        if self.known.len() > 4 * cells.len() + 64 {
            self.known.retain(|text, _| cells.iter().flatten().any(|c| c == text));
        }
        all
    }

    fn names(&mut self, text: &Arc<str>) -> Arc<Names> {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        let (names, lasting) = names(text, &self.imports);
        let names = Arc::new(names);
        if lasting {
            self.known.insert(text.clone(), names.clone());
        }
        names
    }
}

/// The names of a text, and whether they depend on nothing but the text; none for a text that does
/// not parse.
fn names(text: &str, imports: &Imports) -> (Names, bool) {
    let Ok(source) = Source::new("", text) else { return (Names::default(), true) };
    let mut names = Names::default();
    let mut program = parse::parse(&source).0;
    // A file that cannot be read defines nothing.
    let (_, files) = imports.read_files(&mut program);
    names.imported = import::texts(&program.statements);
    for statement in &program.statements {
        let Effect { binds, defines, uses } = of(std::slice::from_ref(statement));
        names.reads.extend(uses.iter().filter(|n| !names.writes.contains(*n)).cloned());
        if uses.contains(GENERATOR) {
            names.writes.insert(GENERATOR.to_owned());
        }
        names.writes.extend(binds.iter().cloned());
        names.defines.retain(|d| !binds.contains(&d.name.name));
        names.writes.extend(defines.iter().map(|d| d.name.name.clone()));
        names.defines.extend(defines);
    }
    (names, files.is_empty())
}

fn key<'n>(
    (text, imported): (&str, &[Imported]),
    reads: impl Iterator<Item = (&'n str, &'n str)>,
    base: &str,
) -> String {
    let mut all = format!("{base}\0{}\0", text.trim());
    for Imported { path, text } in imported {
        // Writing to a string cannot fail.
        let _ = write!(all, "{path}\0{text}\0");
    }
    for (name, key) in reads {
        // Writing to a string cannot fail.
        let _ = write!(all, "{name}\0{key}\0");
    }
    hex(&Sha256::digest(all.as_bytes())[..16])
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(cells: &[&str]) -> Vec<Links> {
        let cells: Vec<Option<Arc<str>>> =
            cells.iter().map(|c| (*c != "-").then(|| (*c).into())).collect();
        Reactive::default().links(&cells, "base")
    }

    #[test]
    fn cells_need_the_latest_cell_above_that_binds_a_name() {
        for (cells, wanted) in [
            (&["a = 1", "b = a", "a = 2", "c = a + b"][..], "- 0 - 1,2"),
            (&["a = 1", "a = a + 1; b = a", "show b"], "- 0 1"),
            (&["show late", "late = 1"], "- -"),
            (&["def f(x) = x + far", "far = 1", "show f(2)"], "- - 0,1"),
            (&["x = 1", "-", "[y for y in [x]]"], "- - 0"),
            (&["load \"toy\"", "w = sample()", "n = 1", "load \"toy\"", "show w"], "- 0 - 0 1,3"),
            (&["a = 1", "a = ((", "show a"], "- - 0"),
            (&["a = 2; b = a", "a = 3", "show b"], "- - 0"),
        ] {
            let shown: Vec<String> = links(cells)
                .iter()
                .map(|l| {
                    let needs: Vec<String> = l.needs.iter().map(usize::to_string).collect();
                    if needs.is_empty() { "-".to_owned() } else { needs.join(",") }
                })
                .collect();
            assert_eq!(shown.join(" "), wanted, "{cells:?}");
        }
    }

    #[test]
    fn a_cell_that_imports_has_the_names_of_the_file_and_depends_on_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let lib = folder.path().join("lib.gnt");
        let imports = Imports::beside(&folder.path().join("book.gnt"));
        let mut reactive = Reactive::new(imports);
        let mut now = |text: &str| {
            std::fs::write(&lib, text).unwrap();
            let cells = ["import \"lib.gnt\"", "show f(1)", "y = 1"];
            let cells: Vec<Option<Arc<str>>> = cells.map(|c| Some(c.into())).into();
            reactive.links(&cells, "base")
        };
        let before = now("half = 0.5\ndef f(x) = half*x");
        let names: Vec<&str> = before[0].writes.iter().map(|n| &n[..]).collect();
        assert_eq!(names, ["f", "half"]);
        assert_eq!(before[1].needs, BTreeSet::from([0]));
        let after = now("half = 0.25\ndef f(x) = half*x");
        let same: Vec<bool> = before.iter().zip(&after).map(|(a, b)| a.key == b.key).collect();
        assert_eq!(same, [false, false, true]);
        // A file that cannot be read defines nothing.
        assert!(now("def f(").iter().all(|l| l.needs.is_empty()));
    }

    #[test]
    fn a_key_changes_with_all_that_a_cell_needs_and_with_nothing_else() {
        let keys = |cells: &[&str]| links(cells).into_iter().map(|l| l.key).collect::<Vec<_>>();
        let before = keys(&["a = 1", "b = a", "c = 2", "show b, c"]);
        let after = keys(&["a = 7", "b = a", "c = 2", "show b, c"]);
        let same: Vec<bool> = before.iter().zip(&after).map(|(a, b)| a == b).collect();
        assert_eq!(same, [false, false, true, false]);
        assert_eq!(keys(&["a = 1", "b = a", "c = 2", "show b, c"]), before);
        // Blanks around a text, and cells between, do not count.
        assert_eq!(keys(&[" a = 1\n", "-", "b = a"])[2], before[1]);
        let other = Reactive::default().links(&[Some("a = 1".into())], "another seed");
        assert_ne!(other[0].key, before[0]);
    }
}
