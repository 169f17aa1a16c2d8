//! What depends on what in a list of cells, from their syntax trees.
//!
//! A cell has a key: a hash of its text, of the files that it reads and of the keys of the cells
//! that it needs. A result is fresh while its cell has the key that it had when it ran.

use super::effect::{Effect, of, with_bodies};
use super::inputs::{Input, Literals, Mentions, literal};
use crate::builtins;
use crate::lang::ast::Def;
use crate::lang::import::{self, Imported, Imports};
use crate::lang::parse;
use crate::lang::span::Source;
use crate::store::Stamps;
use crate::words::hex;
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
    /// Names that it reads and that no cell above binds, with the first cells below that do.
    pub later: BTreeMap<String, usize>,
    /// Hash of its text, of the files that it reads and of the keys of the cells that it needs.
    pub key: String,
}

impl Links {
    /// A sentence about names that only cells below bind; `None` without such names. A name that
    /// is `given` without them, as the generator's directions are, is none of them.
    pub fn disorder(&self, given: impl Fn(&str) -> bool) -> Option<String> {
        let late = self.later.iter().filter(|(name, _)| !given(name));
        let bound = |(name, at): (&String, &usize)| format!("{name} is bound in cell {}", at + 1);
        let all: Vec<String> = late.map(bound).collect();
        (!all.is_empty())
            .then(|| format!("{}, below: the file does not run from top to bottom", all.join(", ")))
    }
}

/// What a text reads before it binds it, and what it binds.
#[derive(Clone, Debug, Default)]
struct Names {
    reads: BTreeSet<String>,
    writes: BTreeSet<String>,
    defines: Vec<Arc<Def>>,
    mentions: Mentions,
    literals: Literals,
    /// The files that it imports.
    imported: Vec<Imported>,
}

/// Finds the links of cells; remembers what it read in texts and files.
#[derive(Debug, Default)]
pub struct Reactive {
    known: HashMap<Arc<str>, Arc<Names>>,
    stamps: Stamps,
    inputs: Vec<Input>,
    imports: Imports,
}

impl Reactive {
    /// For cells whose imported files are where `imports` says.
    pub fn new(imports: Imports) -> Self {
        Self { imports, ..Self::default() }
    }

    /// The links of cells in order. `None` is a cell without code. `base` is what all of them
    /// depend on, such as the generator at the beginning and the seed.
    pub fn links(&mut self, cells: &[Option<Arc<str>>], base: &str) -> Vec<Links> {
        self.inputs.clear();
        let mut literals = Literals::new();
        let mut latest: BTreeMap<String, usize> = BTreeMap::new();
        let mut functions: BTreeMap<String, Arc<Def>> = BTreeMap::new();
        let mut all: Vec<Links> = Vec::with_capacity(cells.len());
        let mut unbound: Vec<(usize, String)> = Vec::new();
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
            let own = |n: &&String| !latest.contains_key(*n) && builtins::find(n).is_none();
            let free = wanted.iter().filter(own);
            unbound.extend(free.map(|name| (at, name.clone())));
            let reads: BTreeMap<String, usize> =
                wanted.into_iter().filter_map(|n| Some((n.clone(), *latest.get(&n)?))).collect();
            let needs: BTreeSet<usize> = reads.values().copied().collect();
            let mut mentions = names.mentions.clone();
            for def in reads.keys().filter_map(|name| functions.get(name)) {
                mentions.add(&def.body);
            }
            literals.extend(names.literals.clone());
            let files = self.files(mentions.inputs(&literals));
            let files = files.iter().map(|(path, stamp)| (&path[..], &stamp[..]));
            let needed = reads.iter().map(|(name, k)| (&name[..], &all[*k].key[..]));
            let text = (&**text, &names.imported[..]);
            let key = key(text, needed.chain(files), base);
            for name in &names.writes {
                functions.remove(name);
                if !names.literals.contains_key(name) {
                    literals.remove(name);
                }
                latest.insert(name.clone(), at);
            }
            for def in &names.defines {
                functions.insert(def.name.name.clone(), def.clone());
            }
            let (writes, later) = (names.writes.clone(), BTreeMap::new());
            all.push(Links { reads, writes, needs, later, key });
        }
        for (at, name) in unbound {
            let below = (at + 1..all.len()).find(|k| all[*k].writes.contains(&name));
            all[at].later.extend(below.map(|k| (name, k)));
        }
        // Texts that are gone need not be remembered.
        if self.known.len() > 4 * cells.len() + 64 {
            self.known.retain(|text, _| cells.iter().flatten().any(|c| c == text));
        }
        all
    }

    /// Whether files that cells read have changed since their links were found.
    pub fn changed(&self) -> bool {
        self.inputs.iter().any(Input::changed)
    }

    /// The hashes of files, which are remembered while the files do not change.
    pub fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    /// The content of these inputs, by path.
    fn files(&mut self, inputs: Vec<Input>) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        inputs.iter().for_each(|input| input.stamp(&self.stamps, &mut all));
        self.inputs.extend(inputs);
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
        names.mentions.statement(&statement.kind);
        let literal = literal(&statement.kind).map(|(name, texts)| (name.to_owned(), texts));
        let Effect { binds, defines, uses } = of(std::slice::from_ref(statement));
        names.reads.extend(uses.iter().filter(|n| !names.writes.contains(*n)).cloned());
        if uses.contains(GENERATOR) {
            names.writes.insert(GENERATOR.to_owned());
        }
        names.writes.extend(binds.iter().cloned());
        names.literals.retain(|name, _| !binds.contains(name));
        names.literals.extend(literal);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

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
    fn names_that_only_cells_below_bind_are_told() {
        for (cells, wanted) in [
            (
                &["show late", "-", "late = 1"][..],
                &[Some("late is bound in cell 3"), None, None][..],
            ),
            // The first cell below counts; what a cell above binds is not late.
            (
                &["a + b", "b = 1", "a = b", "b = a"],
                &[Some("a is bound in cell 3, b is bound in cell 2"), None, None, None],
            ),
            (&["a = 1", "show a", "a = 2"], &[None, None, None]),
            (&["a = a + 1", "load \"toy\"", "sample()"], &[None, None, None]),
            // The generator has it, so the file runs.
            (&["w + smile + far", "smile = 1; far = 2"], &[Some("far is bound in cell 2"), None]),
            // The function, not the name below.
            (&["mean_w()", "mean_w = 1"], &[None, None]),
            // A function reads its names where it is called.
            (
                &["def f(x) = x + far", "f(1)", "far = 1"],
                &[None, Some("far is bound in cell 3"), None],
            ),
        ] {
            let told: Vec<Option<String>> =
                links(cells).iter().map(|l| l.disorder(|name| name == "smile")).collect();
            let rest = ", below: the file does not run from top to bottom";
            let wanted: Vec<_> = wanted.iter().map(|w| w.map(|w| format!("{w}{rest}"))).collect();
            assert_eq!(told, wanted, "{cells:?}");
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

    /// The cells whose key changes when `change` runs; `FOLDER` in a text is a folder.
    fn changed(cells: &[&str], change: impl FnOnce(&Path)) -> Vec<usize> {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.png", "b.png"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let shown = folder.path().to_string_lossy().into_owned();
        let cells: Vec<Option<Arc<str>>> =
            cells.iter().map(|c| Some(c.replace("FOLDER", &shown).into())).collect();
        let mut reactive = Reactive::default();
        let before = reactive.links(&cells, "");
        assert!(!reactive.changed());
        change(folder.path());
        let noticed = reactive.changed();
        let after = reactive.links(&cells, "");
        assert!(!reactive.changed());
        let all: Vec<usize> =
            (0..cells.len()).filter(|k| before[*k].key != after[*k].key).collect();
        assert!(noticed || all.is_empty(), "{all:?}");
        all
    }

    #[test]
    fn a_cell_depends_on_the_files_that_it_reads() {
        let other = |folder: &Path| std::fs::write(folder.join("a.png"), "other").unwrap();
        for (cells, wanted) in [
            (
                &["x = image(\"FOLDER/a.png\")", "show x", "y = image(\"FOLDER/b.png\")"][..],
                &[0, 1][..],
            ),
            (
                &[
                    "param photo = \"FOLDER/a.png\"",
                    "x = photo |> image()",
                    "photo = 1",
                    "z = image(photo)",
                ],
                &[1],
            ),
            (&["both = [\"FOLDER/b.png\", \"FOLDER/a.png\"]; x = [image(p) for p in both]"], &[0]),
            (&["def face(p) = invert(image(p, size: 8))", "face(\"FOLDER/a.png\")", "1"], &[1]),
            (&["images(\"FOLDER/*.png\")", "images(\"FOLDER/b*\")"], &[0]),
            (&["m = mask(\"FOLDER/a.png\")", "latent(\"FOLDER/a.png\")"], &[0, 1]),
            // What is written, or only printed, is not read.
            (
                &["image(\"FOLDER/b.png\") |> save(\"FOLDER/a.png\")", "print(\"FOLDER/a.png\")"],
                &[],
            ),
            (&["out = \"FOLDER/a.png\"", "x = image(\"FOLDER/b.png\"); save(x, out)"], &[]),
            (&["load \"FOLDER/a.png\"; x = image(\"FOLDER/b.png\")"], &[]),
            (&["show [image(p) for p in [\"FOLDER/a.png\"]]"], &[0]),
        ] {
            assert_eq!(changed(cells, other), wanted, "{cells:?}");
            assert_eq!(changed(cells, |_| ()), [0; 0], "{cells:?}");
        }
    }

    #[test]
    fn the_time_of_a_file_does_not_count_but_files_that_come_and_go_do() {
        let cells = ["images(\"FOLDER\")", "image(\"FOLDER/c.png\")", "image(\"FOLDER/b.png\")"];
        let again = |folder: &Path| std::fs::write(folder.join("a.png"), "a.png").unwrap();
        assert_eq!(changed(&cells, again), [0; 0]);
        let new = |folder: &Path| std::fs::write(folder.join("c.png"), "").unwrap();
        assert_eq!(changed(&cells, new), [0, 1]);
        let gone = |folder: &Path| std::fs::remove_file(folder.join("b.png")).unwrap();
        assert_eq!(changed(&cells, gone), [0, 2]);
    }
}
