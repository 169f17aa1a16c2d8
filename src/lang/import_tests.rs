use super::*;
use std::fs;

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn imports(&self) -> Imports {
        Imports::beside(&self.0.path().join("main.gnt"))
    }

    /// Reads what `main.gnt` imports; the errors as they are shown, without the folder's name.
    fn read(&self) -> (Program, Vec<String>) {
        let text = fs::read_to_string(self.0.path().join("main.gnt")).unwrap();
        let source = Source::new("main.gnt", text).unwrap();
        let mut program = parse(&source).0;
        let errors = self.imports().read(&mut program);
        let folder = format!("{}/", self.0.path().display());
        let shown = |e: &Error| super::super::span::render(&source, e, false).replace(&folder, "");
        let errors = errors.iter().map(shown).collect();
        (program, errors)
    }
}

#[test]
fn files_are_read_once_from_the_folder_of_the_file_that_imports_them() {
    let folder = Folder::with(&[
        ("main.gnt", "import \"sub/a.gnt\"\nimport \"b.gnt\"\nf(1)"),
        ("sub/a.gnt", "import \"../b.gnt\"\ndef f(x) = g(x)"),
        ("b.gnt", "def g(x) = x"),
    ]);
    let (program, errors) = folder.read();
    assert_eq!(errors, [""; 0]);
    let texts = texts(&program.statements);
    let keys: Vec<&str> = texts.iter().map(|i| &i.path[..]).collect();
    assert_eq!(keys, ["b.gnt", "sub/a.gnt"]);
    let library = |program: &Program, at: usize| match &program.statements[at].kind {
        StmtKind::Import(Import { library: Some(library), .. }) => library.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(library(&program, 0).names(), ["g(x)", "f(x)"]);
    let StmtKind::Def(def) = &library(&program, 1).statements[0].kind else { panic!() };
    assert!(def.called(None).contains("b.gnt:1:12: "), "{}", def.called(None));
    let at = |name: &str| folder.0.path().join(name);
    let files = folder.imports().read_files(&mut program.clone()).1;
    assert_eq!(files.into_iter().collect::<Vec<_>>(), [at("b.gnt"), at("sub/a.gnt")]);
    // The record gives the same without the files, wherever it is read.
    let mut again = parse(&Source::new("[1]", "import \"sub/a.gnt\"\nimport \"b.gnt\"").unwrap()).0;
    assert_eq!(Imports::default().recorded(&texts).read(&mut again), []);
    assert_eq!(library(&again, 0).names(), ["g(x)", "f(x)"]);
    let mut more = parse(&Source::new("[1]", "import \"c.gnt\"").unwrap()).0;
    assert_eq!(Imports::default().recorded(&texts).read(&mut more).len(), 1);
}

#[test]
fn what_cannot_be_imported_is_refused_where_it_is_written() {
    let cases: [(&[(&str, &str)], &str); 10] = [
        (
            &[("main.gnt", "import \"libb.gnt\""), ("lib.gnt", "")],
            "error: there is no file libb.gnt\n  ┌─ main.gnt:1:8\n1 │ import \"libb.gnt\"\n  │        \
             ^^^^^^^^^^\n  try: \"lib.gnt\"\n",
        ),
        (&[("main.gnt", "import \"sub\""), ("sub/a.gnt", "")], "error: sub is a folder\n"),
        (&[("main.gnt", "import \"main.gnt\"")], "error: main.gnt imports itself\n"),
        (
            &[
                ("main.gnt", "import \"a.gnt\""),
                ("a.gnt", "x = 1\nimport \"b.gnt\""),
                ("b.gnt", "import \"./sub/../a.gnt\""),
            ],
            "error: these files import each other: a.gnt → b.gnt → a.gnt\n  ┌─ b.gnt:1:8\n",
        ),
        (
            &[("main.gnt", "x = 1\nimport \"a.gnt\""), ("a.gnt", "def f(x) = x +")],
            "error: expected an expression, but the statement ends\n  ┌─ a.gnt:1:15\n1 │ def f(x) = \
             x +\n  │               ^\n  = imported at main.gnt:2:8\n",
        ),
        (
            &[("main.gnt", "import \"a.gnt\""), ("a.gnt", "show 1")],
            "error: `show` shows something, and an imported file only defines names\n  ┌─ a.gnt:1:1\n",
        ),
        (&[("main.gnt", "import \"a.gnt\""), ("a.gnt", "x = 1\nx")], "error: a bare expression"),
        (&[("main.gnt", "import \"a.gnt\""), ("a.gnt", "load \"toy\"")], "error: `load` changes"),
        (
            &[("main.gnt", "import \"a.gnt\""), ("a.gnt", "import \"none.gnt\"")],
            "error: there is no file none.gnt\n  ┌─ a.gnt:1:8\n",
        ),
        (
            &[("main.gnt", "import \"/dev/null\"")],
            "error: cannot read /dev/null: it is not a regular",
        ),
    ];
    for (files, wanted) in cases {
        let folder = Folder::with(files);
        let (_, errors) = folder.read();
        assert_eq!(errors.len(), 1, "{files:?}: {errors:?}");
        assert!(errors[0].starts_with(wanted), "{files:?}: {}", errors[0]);
    }
    let folder = Folder::with(&[("main.gnt", "import \"a.gnt\"")]);
    fs::write(folder.0.path().join("a.gnt"), b"x = \"\xff\"").unwrap();
    assert!(folder.read().1[0].contains("a.gnt: at byte 5: a program is UTF-8 text"));
}

#[test]
fn files_that_are_wrong_or_missing_are_known() {
    let folder = Folder::with(&[
        ("main.gnt", "import \"a.gnt\"\nimport \"c.gnt\""),
        ("a.gnt", "import \"b.gnt\""),
        ("b.gnt", "def f(x) = ("),
    ]);
    let (mut program, errors) = folder.read();
    assert_eq!(errors.len(), 2);
    let files = folder.imports().read_files(&mut program).1;
    let names: Vec<_> = files.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["a.gnt", "b.gnt", "c.gnt"]);
}

#[test]
fn one_program_imports_a_bounded_amount() {
    let many: Vec<(String, String)> =
        (0..80).map(|i| (format!("{i}.gnt"), format!("import \"{}.gnt\"", i + 1))).collect();
    let mut files: Vec<(&str, &str)> = many.iter().map(|(n, t)| (&n[..], &t[..])).collect();
    files.push(("main.gnt", "import \"0.gnt\""));
    assert!(Folder::with(&files).read().1[0].contains("at most 64 files"));
    let big = format!("x = 1 #{}", " ".repeat(LIMITS.source_bytes / 2));
    let files =
        [("main.gnt", "import \"a.gnt\"\nimport \"b.gnt\""), ("a.gnt", &big), ("b.gnt", &big)];
    assert!(Folder::with(&files).read().1[0].contains("at most 64 files with"));
}

#[test]
fn paths_are_joined_and_rewritten() {
    for (folder, path, wanted) in [
        ("", "lib.gnt", "lib.gnt"),
        ("a", "./b/../lib.gnt", "a/lib.gnt"),
        ("a", "../lib.gnt", "lib.gnt"),
        ("a", "../../lib.gnt", "../lib.gnt"),
        ("a", "/x/./lib.gnt", "/x/lib.gnt"),
    ] {
        assert_eq!(joined(Path::new(folder), path), Path::new(wanted), "{folder} {path}");
    }
    let text = "x = 1 # import \"a\"\nimport \"a.gnt\"; import  \"b \\\"1.gnt\"\n";
    let changed = repathed(text, |p| format!("up/{p}"));
    assert_eq!(changed, "x = 1 # import \"a\"\nimport \"up/a.gnt\"; import  \"up/b \\\"1.gnt\"\n");
    assert_eq!(repathed(text, str::to_owned), text);
}
