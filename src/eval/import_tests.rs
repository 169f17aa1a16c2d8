//! Programs that import, checked and run on the toy generator.

use super::*;
use crate::builtin::Output;
use crate::lang::import::Imports;
use crate::lang::span::render;
use crate::value::Models;
use std::path::Path;

#[derive(Default)]
struct Lines(Vec<String>);

impl Output for Lines {
    fn display(&mut self, blocks: &[Block], _: &Value) -> Result<()> {
        self.0.extend(blocks.iter().flat_map(Block::lines));
        Ok(())
    }

    fn print(&mut self, line: &str) -> Result<()> {
        self.0.push(line.to_owned());
        Ok(())
    }
}

struct Program {
    folder: tempfile::TempDir,
    state: State,
    sets: BTreeMap<String, String>,
}

impl Program {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::new(Models::cpu(), "toy", Options::default()).unwrap();
        state.options.imports = Imports::beside(&folder.path().join("main.gnt"));
        let program = Self { folder, state, sets: BTreeMap::new() };
        files.iter().for_each(|(name, text)| program.write(name, text));
        program
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// What a text prints, or its errors as they are shown, without the folder's name.
    fn run(&mut self, text: &str) -> std::result::Result<Vec<String>, String> {
        let source = Source::new("main.gnt", text).unwrap();
        let mut lines = Lines::default();
        let ran = self.state.run(&source, &self.sets, &Control::default(), &mut lines);
        let folder = format!("{}/", self.folder.path().display());
        match ran {
            Ok(()) => Ok(lines.0.iter().map(|l| l.replace(&folder, "")).collect()),
            Err(e) => Err(render(&source, &e, false).replace(&folder, "")),
        }
    }
}

const EDITS: (&str, &str) = (
    "edits.gnt",
    "# Edits.\nparam most = 3\nimport \"base.gnt\"\nsmile = direction(\"smile\")\n\
     def happier(w, k) = w + twice(k)*smile\nassert most > 0\n",
);
const BASE: (&str, &str) = ("base.gnt", "two = 2\ndef twice(k) = two*k\n");

#[test]
fn functions_values_and_parameters_come_from_other_files() {
    let mut p = Program::with(&[EDITS, BASE]);
    let text = "import \"edits.gnt\"\nimport \"base.gnt\"\nw = sample(seed: 1)\n\
                print(norm(happier(w, most) - w)/norm(smile), two)";
    assert_eq!(p.run(text).unwrap(), ["6 2"]);
    p.sets.insert("most".into(), "5".into());
    assert_eq!(p.run(text).unwrap(), ["10 2"]);
    p.sets.insert("mst".into(), "5".into());
    assert!(p.run(text).unwrap_err().contains("did you mean `most`?"));
    // The functions stay in the session, and a later import brings those of the file as it is now.
    p.sets.clear();
    assert_eq!(p.run("print(twice(4))").unwrap(), ["8"]);
    p.write("base.gnt", "def twice(k) = k + k + 1\n");
    assert_eq!(p.run("print(twice(4))").unwrap(), ["8"]);
    assert_eq!(p.run("import \"base.gnt\"\nprint(twice(4))").unwrap(), ["9"]);
}

#[test]
fn the_prompt_says_what_an_import_brought() {
    let mut p = Program::with(&[EDITS, BASE]);
    p.state.options.echo = true;
    let lines = p.run("import \"edits.gnt\"; import \"base.gnt\"").unwrap();
    assert_eq!(lines, ["from edits.gnt: most, two, twice(k), smile, happier(w, k)"]);
}

#[test]
fn an_error_in_an_imported_file_is_shown_there_before_anything_runs() {
    let mut p = Program::with(&[
        ("lib.gnt", "def f(w) = w +\n    2*smlie\ny = 1 + \"a\"\n"),
        ("deep.gnt", "import \"lib.gnt\""),
        ("late.gnt", "n = len([1, 2]) - 2\nok = 1/norm(mean_w()) > n\nz = [1, 2][n + 7]\n"),
    ]);
    let shown = p.run("print(1)\nimport \"lib.gnt\"\nprint(f(1), y)").unwrap_err();
    assert!(
        shown.contains("error: `smlie` is not defined\n  ┌─ lib.gnt:2:7\n2 │     2*smlie\n")
            && shown.contains("lib.gnt:3:")
            && shown.matches("imported at main.gnt:2:8").count() == 2
            && shown.matches("error: ").count() == 2,
        "{shown}"
    );
    let shown = p.run("import \"deep.gnt\"").unwrap_err();
    assert!(shown.contains("┌─ lib.gnt:2:7") && shown.contains("imported at main.gnt:1:8"));
    let shown = p.run("x = 1; import \"late.gnt\"").unwrap_err();
    assert!(
        shown.contains("┌─ late.gnt:3:5") && shown.contains("imported at main.gnt:1:15"),
        "{shown}"
    );
}

#[test]
fn an_error_in_the_body_of_an_imported_function_is_shown_at_the_call() {
    let mut p = Program::with(&[
        ("lib.gnt", "half = 0.5\ndef moved(w) = w + half*direction(\"smile\", space: W)\n"),
        ("list.gnt", "def nth(l, k) = 1 +\n  l[k]\ndef second(l) = nth(l, 1)\n"),
    ]);
    let shown = p.run("import \"lib.gnt\"\nz = sample(space: Z)\nshow moved(z)").unwrap_err();
    assert!(
        shown.contains("main.gnt:3:6")
            && shown.contains("in the call of `moved`, at lib.gnt:2:")
            && !shown.contains("┌─ lib.gnt"),
        "{shown}"
    );
    for text in ["import \"list.gnt\"\nx = second([1])", "x = second([1])"] {
        let shown = p.run(text).unwrap_err();
        assert!(
            shown.contains(&format!("main.gnt:{}:5", text.lines().count()))
                && shown.contains("= in the call of `second`, at list.gnt:2:3"),
            "{shown}"
        );
    }
}

#[test]
fn names_do_not_clash_and_imported_files_see_only_their_own() {
    let mut p = Program::with(&[
        ("a.gnt", "def f(x) = x\nk = 1"),
        ("b.gnt", "def f(x) = 2*x"),
        ("uses.gnt", "def g(x) = x + mine"),
    ]);
    for (text, wanted) in [
        ("import \"a.gnt\"\nimport \"b.gnt\"", "error: a.gnt and b.gnt both define `f`\n"),
        ("k = 3\nimport \"a.gnt\"", "error: a.gnt defines `k`, which is defined here\n"),
        ("import \"a.gnt\"\ndef f(x) = x", "error: `f` comes from the imported a.gnt\n"),
        ("import \"a.gnt\"\nk = 2", "error: `k` comes from the imported a.gnt\n"),
        ("mine = 1\nimport \"uses.gnt\"", "error: `mine` is not defined\n"),
    ] {
        let shown = p.run(text).unwrap_err();
        assert!(shown.starts_with(wanted) && shown.contains("try: "), "{text}: {shown}");
        assert_eq!(shown.matches("error: ").count(), 1, "{text}: {shown}");
    }
    // Parameters and loop variables hide names, as everywhere.
    let text = "import \"a.gnt\"\ndef h(k) = k + 1\nprint([k for k in 5..6], h(7), f(1))";
    assert_eq!(p.run(text).unwrap(), ["[5, 6] 8 1"]);
    // A later text of a session may give a name another meaning.
    assert_eq!(p.run("k = 9\nprint(k)").unwrap(), ["9"]);
    assert!(p.run("mine = 1").is_ok() && p.run("import \"uses.gnt\"").is_err());
}

#[test]
fn an_imported_file_shows_and_saves_nothing() {
    let mut p = Program::with(&[
        ("saves.gnt", "def keep(w) = save(w, \"kept.png\")\np = keep(sample())"),
        ("prints.gnt", "x = print(1)"),
        ("loads.gnt", "g = load(\"toy\")"),
        ("fine.gnt", "def keep(w, name) = save(w, name)\ndef look(w) = print(norm(w))"),
    ]);
    p.state.options.out = p.folder.path().to_owned();
    for (file, word) in [("saves.gnt", "save"), ("prints.gnt", "print"), ("loads.gnt", "load")] {
        let shown = p.run(&format!("import \"{file}\"")).unwrap_err();
        assert!(shown.contains(&format!("it cannot call `{word}`")), "{shown}");
        assert!(shown.contains("imported at main.gnt:1:8"), "{shown}");
    }
    p.run("import \"fine.gnt\"\nkeep(sample(), \"kept.png\")\nlook(sample())").unwrap();
    assert!(Path::is_file(&p.folder.path().join("kept.png")));
}
