//! What must be touched to add something, counted.
//!
//! Unit tests have a dummy of each kind that the table in `src/README.md` says how to add. A dummy
//! may be known by its own file, by the files that its row of the table names, and by the tests in
//! `src/dummies`, which use it as a user does. Any other file that knows it is a file that a real
//! one would have to touch as well.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A dummy.
struct Dummy {
    /// The head of its row in the table.
    kind: &'static str,
    /// Its name, as files and users write it.
    name: &'static str,
    /// Its own file.
    own: &'static str,
    /// The folder that the paths of its row begin in.
    below: &'static str,
    /// Own files of other dummies that are made of it.
    used: &'static [&'static str],
}

const METHOD: &str = "src/invert/methods/dummy_method.rs";

const DUMMIES: &[Dummy] = &[
    Dummy {
        kind: "a family of generators",
        name: "dummy_family",
        own: "src/generator/dummy_family/mod.rs",
        below: "src/",
        used: &[],
    },
    Dummy {
        kind: "a checkpoint layout of a known family",
        name: "dummy_layout",
        own: "src/generator/stylegan2/layouts/dummy_layout.rs",
        below: "src/generator/stylegan2/",
        used: &[],
    },
    Dummy {
        kind: "a container of files",
        name: "dummy_container",
        own: "src/weights/dummy_container/mod.rs",
        below: "src/",
        used: &[],
    },
    Dummy {
        kind: "an inversion method",
        name: "dummy_method",
        own: METHOD,
        below: "src/",
        used: &[],
    },
    Dummy {
        kind: "a loss term",
        name: "dummy_term",
        own: "src/invert/objective/dummy_term.rs",
        below: "src/",
        used: &[METHOD],
    },
    Dummy {
        kind: "an optimizer",
        name: "dummy_optimizer",
        own: "src/invert/optimize/dummy_optimizer.rs",
        below: "src/",
        used: &[METHOD],
    },
    Dummy {
        kind: "a metric",
        name: "dummy_metric",
        own: "src/metric/dummy_metric.rs",
        below: "src/",
        used: &[],
    },
    Dummy {
        kind: "a built-in function",
        name: "dummy_builtin",
        own: "src/builtins/dummy_builtin.rs",
        below: "src/",
        used: &[],
    },
];

/// The tests that use the dummies, and this one.
const TESTS: [&str; 2] = ["src/dummies/", "tests/house.rs"];

/// The only other file that knows of dummies: it has the module of their tests.
const ROOT: &str = "src/lib.rs";

/// Files by path from the repository's root.
type Files = BTreeMap<String, String>;

#[test]
fn to_add_something_touches_what_the_table_says() {
    let files = repository();
    assert!(files.len() > 300, "{} files: the test reads the wrong folder", files.len());
    let complaints = complaints(&files);
    assert!(complaints.is_empty(), "{} found:\n{}", complaints.len(), complaints.join("\n"));
}

/// The text files that someone who adds something could have to change.
fn repository() -> Files {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Files::new();
    for name in ["src", "tests", "grammar", "scripts", "models"] {
        read(root, &root.join(name), &mut files);
    }
    for name in ["Cargo.toml", "README.md", "CHANGELOG.md"] {
        files.insert(name.into(), std::fs::read_to_string(root.join(name)).unwrap());
    }
    files
}

fn read(root: &Path, folder: &Path, files: &mut Files) {
    const TEXTS: [&str; 8] = ["rs", "md", "toml", "gnt", "ebnf", "py", "sh", "cu"];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, files);
        } else if path.extension().is_none_or(|e| TEXTS.iter().any(|t| e == *t))
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            files.insert(name, text);
        }
    }
}

/// The text as names are compared: `DummyMethod` and `DUMMY_METHOD` are `dummy_method` as well.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !['_', '-'].contains(c)).flat_map(char::to_lowercase).collect()
}

/// The files that the table names for a kind: the paths of its third column.
fn entries(table: &str, dummy: &Dummy) -> Option<BTreeSet<String>> {
    let cells = |line: &str| line.split('|').map(|c| c.trim().to_owned()).collect::<Vec<_>>();
    let row = table.lines().map(cells).find(|c| c.len() == 6 && c[1] == dummy.kind)?;
    let paths = row[3].split('`').skip(1).step_by(2).filter(|t| t.ends_with(".rs"));
    Some(paths.map(|path| format!("{}{path}", dummy.below)).collect())
}

fn complaints(files: &Files) -> Vec<String> {
    let texts: Vec<(&str, String)> =
        files.iter().map(|(name, text)| (name.as_str(), plain(text))).collect();
    let knowing = |word: &str| {
        let word = plain(word);
        let knows =
            |(name, text): &(&str, String)| text.contains(&word) || plain(name).contains(&word);
        let outside = texts.iter().filter(|(n, _)| !TESTS.iter().any(|t| n.starts_with(t)));
        outside.filter(|f| knows(f)).map(|(n, _)| (*n).to_owned()).collect::<BTreeSet<_>>()
    };
    let table = files.get("src/README.md").map_or("", String::as_str);
    let mut out = Vec::new();
    let mut allowed = BTreeSet::from([ROOT.to_owned()]);
    for dummy in DUMMIES {
        let Some(named) = entries(table, dummy) else {
            out.push(format!("src/README.md: the table has no row for {}", dummy.kind));
            continue;
        };
        let mut expected = named.clone();
        expected.insert(dummy.own.into());
        expected.extend(dummy.used.iter().map(|f| (*f).to_owned()));
        let found = knowing(dummy.name);
        out.extend(found.difference(&expected).map(|file| {
            format!(
                "{file} knows `{}`: {} would have to change it, but the table in src/README.md \
                 does not name it. Let it read the constant, or name it there",
                dummy.name, dummy.kind
            )
        }));
        out.extend(
            expected.difference(&found).map(|file| {
                format!("{file} does not know `{}`, but the table names it", dummy.name)
            }),
        );
        for file in named {
            let text = files.get(&file).map_or("", String::as_str);
            out.extend(misplaced(&file, text, dummy.name));
        }
        allowed.extend(expected);
    }
    let code = knowing("dumm").into_iter().filter(|f| f.starts_with("src/") && f.ends_with(".rs"));
    let unnamed = code.filter(|f| !allowed.contains(f));
    out.extend(unnamed.map(|f| format!("{f} knows that there are dummies, which no file may")));
    out
}

/// An entry takes at most two lines of a file, `mod` and an element of a list, and both are for
/// tests alone.
fn misplaced(file: &str, text: &str, name: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let own: Vec<usize> =
        (0..lines.len()).filter(|i| plain(lines[*i]).contains(&plain(name))).collect();
    let mut out = Vec::new();
    if own.len() > 2 {
        out.push(format!("{file} has {} lines about `{name}`: an entry has two", own.len()));
    }
    for i in own {
        if i.checked_sub(1).is_none_or(|before| lines[before] != "#[cfg(test)]") {
            out.push(format!("{file}:{}: `{name}` is in the ordinary program", i + 1));
        }
    }
    out
}

#[test]
fn the_ordinary_program_has_no_dummies() {
    use gannet::generator::registry::FAMILIES;
    use gannet::invert::{METHODS, TERMS};
    use gannet::{builtins, limits::LIMITS, metric, weights};
    let mut names: Vec<&str> = METHODS.iter().map(|m| m.name).collect();
    names.extend(TERMS.iter().map(|t| t.name));
    names.extend(FAMILIES.iter().flat_map(|f| f.layouts).map(|l| l.name));
    names.extend(FAMILIES.iter().map(|f| f.name));
    names.extend(builtins::ALL.iter().map(|b| b.signature.name));
    names.extend(metric::all().iter().map(|m| m.name()));
    assert!(names.len() > 50, "{names:?}");
    assert!(names.iter().all(|n| !n.contains("dummy")), "{names:?}");
    let e = weights::open_bytes("x", &b"dummy_container\n\0\0\0\0"[..], &LIMITS).unwrap_err();
    assert!(e.message().contains("none of safetensors") && !e.message().contains("npz, "), "{e}");
}

#[test]
fn mistakes_are_found() {
    let found = |change: &dyn Fn(&mut Files)| {
        let mut files = repository();
        change(&mut files);
        complaints(&files)
    };
    let edit = |file: &'static str, from: &'static str, to: &'static str| {
        move |files: &mut Files| {
            let text = files.get_mut(file).unwrap();
            assert!(text.contains(from), "{file} has no {from}");
            *text = text.replace(from, to);
        }
    };
    let expect = |complaints: Vec<String>, words: &[&str]| {
        assert_eq!(complaints.len(), words.len(), "{complaints:#?}");
        for (complaint, words) in complaints.iter().zip(words) {
            assert!(complaint.contains(words), "{complaint}");
        }
    };
    expect(
        found(&|f| {
            drop(
                f.insert("src/ui/list.rs".into(), "const A: &[&str] = &[\"dummy_method\"];".into()),
            )
        }),
        &["src/ui/list.rs knows `dummy_method`: an inversion method", "src/ui/list.rs knows that"],
    );
    expect(
        found(&|f| drop(f.insert("grammar/words.ebnf".into(), "DummyMetric".into()))),
        &["grammar/words.ebnf knows `dummy_metric`"],
    );
    let table = |from, to| found(&edit("src/README.md", from, to));
    expect(
        table("`weights/mod.rs`, `weights/containers.rs`", "`weights/containers.rs`"),
        &["src/weights/mod.rs knows `dummy_container`", "src/weights/mod.rs knows that"],
    );
    expect(
        table("| `metric/mod.rs` |", "| `metric/mod.rs`, `metric/pixel.rs` |"),
        &["src/metric/pixel.rs does not know `dummy_metric`"],
    );
    expect(
        table("| a loss term |", "| a loss |"),
        &[
            "the table has no row for a loss term",
            "src/invert/objective/dummy_term.rs knows that",
            "src/invert/objective/mod.rs knows that",
        ],
    );
    expect(
        found(&edit("src/metric/mod.rs", "#[cfg(test)]\nmod dummy_metric;", "mod dummy_metric;")),
        &["`dummy_metric` is in the ordinary program"],
    );
    expect(
        found(&edit(
            "src/metric/mod.rs",
            "#[cfg(test)]\nmod dummy_metric;",
            "#[cfg(test)]\nmod dummy_metric;\n#[cfg(test)]\nuse dummy_metric::DummyMetric;",
        )),
        &["3 lines about `dummy_metric`"],
    );
}
