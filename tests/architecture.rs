//! The architecture of `src`, as a test.
//!
//! Every file under `src` belongs to a layer of [`HOUSE`], by its first folder or its own name. A
//! file imports only from lower layers, or from its own folder. `unsafe`, output and `unwrap` are
//! limited to certain layers as well. The test reads tokens, so comments, doc examples, texts and
//! test code do not count (`unsafe` counts in tests too).

#![cfg(test)]

#[path = "architecture/circles.rs"]
mod circles;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The layers from the lowest up: rank, and the modules of that layer. The lowest layer is ordered
/// in itself, because an error shows outside text safely and a file operation fails with an error.
const HOUSE: &[(&str, &[&str])] = &[
    ("its own crate", &["tensor"]),
    ("r0 a", &["limits", "rng", "safe", "space", "words"]),
    ("r0 b", &["error"]),
    ("r0 c", &["control", "store"]),
    ("r1", &["lang", "image", "weights", "device", "latent", "cholesky", "eigen"]),
    ("r2 network", &["network"]),
    ("r2", &["generator", "metric", "render"]),
    ("r3", &["direction", "face", "fit", "invert"]),
    ("r4 value", &["value"]),
    ("r4 cache", &["cache"]),
    ("r4 builtin", &["builtin"]),
    ("r5", &["builtins"]),
    ("r6", &["eval"]),
    ("r7", &["session", "bench"]),
    ("r8", &["ui"]),
    ("r9 export", &["editors", "export"]),
    ("r9", &["cli"]),
];

/// These may import from every layer: the public surface and the exit code.
const FREE: &[&str] = &["lib", "main"];

/// Folders that may contain `unsafe`: measured kernels.
const UNSAFE: &[&str] = &["tensor"];

/// Files that may use the process's stdout and stderr: the user interface, the command line, the
/// panic hook, and the probe that queries the terminal. `render` writes pictures to a writer that
/// its callers pass.
const SINKS: &[&str] = &["ui", "cli", "main", "render/probe.rs"];

/// Modules that must not use tensors: the language is checked and formatted without them.
const NO_TENSORS: &[&str] = &["lang", "safe", "limits", "space", "store"];

#[test]
fn the_house_stands() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    read(&src, &src, &mut files);
    assert!(files.contains_key("lib.rs"), "no src/lib.rs: the test reads the wrong folder");
    let complaints = inspect(&files);
    assert!(complaints.is_empty(), "{} found:\n{}", complaints.len(), complaints.join("\n"));
}

fn read(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, files);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("build.rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            files.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// All violations in a source tree, given as paths relative to `src` and their texts.
fn inspect(files: &BTreeMap<String, String>) -> Vec<String> {
    let parsed: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), tokens(text))).collect();
    let mut tests = BTreeSet::new();
    let mut code = Vec::new();
    for (name, all) in &parsed {
        let (kept, modules) = without_tests(name, all);
        tests.extend(modules);
        code.push((*name, kept));
    }
    let mut out = Vec::new();
    for (name, all) in &parsed {
        let places = all.iter().filter(|t| t.text == "unsafe" && !UNSAFE.contains(&storey(name)));
        out.extend(
            places.map(|t| complaint(name, t, "`unsafe` has its place in src/tensor alone")),
        );
    }
    code.retain(|(name, _)| {
        !tests.iter().any(|t| *name == format!("{t}.rs") || name.starts_with(&format!("{t}/")))
    });
    for (name, kept) in &code {
        out.extend(imports(name, kept));
        out.extend(habits(name, kept));
    }
    code.retain(|(name, _)| !FREE.contains(&storey(name)));
    out.extend(circles::circles(&code));
    out
}

fn complaint(file: &str, at: &Token, what: &str) -> String {
    format!("src/{file}:{}: {what}", at.line)
}

/// The first folder of a file, or its own name.
fn storey(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

fn rank(storey: &str) -> Option<usize> {
    HOUSE.iter().position(|(_, rooms)| rooms.contains(&storey))
}

// ---- imports ----

/// Imports from the file's own layer or a higher one, and a layer that [`HOUSE`] does not list.
fn imports(file: &str, code: &[Token]) -> Vec<String> {
    let own = storey(file);
    // The tensor crate is separate: `crate` there is another crate.
    if FREE.contains(&own) || own == "tensor" {
        return Vec::new();
    }
    let Some(height) = rank(own) else {
        return vec![format!(
            "src/{file}:1: `{own}` has no rank: give it one in tests/architecture.rs"
        )];
    };
    let mut out = Vec::new();
    for (target, at) in targets(file, code) {
        match rank(&target.text) {
            _ if target.text == own => {}
            Some(to) if to < height => {}
            Some(to) => {
                let (from, to) = (HOUSE[height].0, HOUSE[to].0);
                let what = format!(
                    "{own} ({from}) must not import {} ({to}): only what lies below",
                    target.text
                );
                out.push(complaint(file, &at, &what));
            }
            None => {
                let what = format!(
                    "`crate::{}` is not a module with a rank: import from its module",
                    target.text
                );
                out.push(complaint(file, &at, &what));
            }
        }
    }
    out
}

/// The top-level names that a file's paths reach, through `crate` or through `super` up to the
/// root.
fn targets(file: &str, code: &[Token]) -> Vec<(Token, Token)> {
    let mut path: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    if path.last() == Some(&"mod") {
        path.pop();
    }
    let mut out = Vec::new();
    let mut inline: Vec<usize> = Vec::new(); // brace depths at which an inline module opened
    let mut depth = 0;
    for (i, t) in code.iter().enumerate() {
        let text = |k: usize| code.get(k).map_or("", |t| t.text.as_str());
        match t.text.as_str() {
            "{" => {
                depth += 1;
                if i >= 2 && text(i - 2) == "mod" {
                    inline.push(depth);
                }
            }
            "}" => {
                inline.pop_if(|d| *d == depth);
                depth -= 1;
            }
            "crate" if text(i + 1) == "::" => {
                out.extend(heads(&code[i + 2..]).map(|h| (h, t.clone())))
            }
            "super" if i == 0 || text(i - 1) != "::" => {
                let mut levels = 1;
                while text(i + 2 * levels) == "super" {
                    levels += 1;
                }
                if levels == path.len() + inline.len() && text(i + 2 * levels - 1) == "::" {
                    out.extend(heads(&code[i + 2 * levels..]).map(|h| (h, t.clone())));
                }
            }
            _ => {}
        }
    }
    out
}

/// The first names after `crate::`: a single name, or each entry of a group.
fn heads(after: &[Token]) -> impl Iterator<Item = Token> {
    let mut out = Vec::new();
    if after.first().is_some_and(|t| t.text == "{") {
        let mut depth = 0;
        for (i, t) in after.iter().enumerate() {
            match t.text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ if depth == 1 && ["{", ","].contains(&after[i - 1].text.as_str()) => {
                    out.push(t.clone())
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    } else {
        out.extend(after.first().cloned());
    }
    out.into_iter()
}

// ---- habits ----

/// Output outside the sinks, panics in place of errors, and tensors in the language.
fn habits(file: &str, code: &[Token]) -> Vec<String> {
    let own = storey(file);
    let sink = SINKS.contains(&own) || SINKS.contains(&file);
    let mut out = Vec::new();
    for (i, t) in code.iter().enumerate() {
        let text = |k: usize| code.get(k).map_or("", |t| t.text.as_str());
        let (before, after) = (if i == 0 { "" } else { text(i - 1) }, text(i + 1));
        let what = match t.text.as_str() {
            "println" | "print" | "eprintln" | "eprint" | "dbg" if after == "!" && !sink => {
                "output passes the one sink in src/ui"
            }
            // `.stdout(…)` sets up a child process; a function may have that name.
            "stdout" | "stderr" if after == "(" && ![".", "fn"].contains(&before) && !sink => {
                "the process's own streams belong to the sink in src/ui: take a writer"
            }
            "unwrap" if before == "." && after == "(" => "`unwrap` outside tests: return an Error",
            // A parser may have its own `expect`, as in `self.expect("(")`; that of Option and
            // Result takes a text.
            "expect"
                if before == "."
                    && after == "("
                    && text(i + 2).starts_with('"')
                    && !own_method(code, i) =>
            {
                "`expect` outside tests: return an Error"
            }
            "candle_core" | "candle_nn" if NO_TENSORS.contains(&own) => {
                "this storey knows no tensors"
            }
            _ => continue,
        };
        out.push(complaint(file, t, what));
    }
    out
}

/// Whether the name at `i` is a method called directly on `self`.
fn own_method(code: &[Token], i: usize) -> bool {
    i >= 2
        && code[i - 2].text == "self"
        && code.get(i.wrapping_sub(3)).is_none_or(|t| t.text != ".")
}

// ---- test code ----

/// The tokens of a file without items under `#[cfg(test)]` or `#[test]`; and the test modules that
/// it declares in other files, as paths without `.rs`.
fn without_tests(file: &str, all: &[Token]) -> (Vec<Token>, Vec<String>) {
    let (mut kept, mut modules, mut i) = (Vec::new(), Vec::new(), 0);
    while i < all.len() {
        let Some((inner, end)) = attribute(all, i) else {
            kept.push(all[i].clone());
            i += 1;
            continue;
        };
        if !is_test(&all[i..end]) {
            kept.extend_from_slice(&all[i..end]);
            i = end;
        } else if inner {
            return (Vec::new(), modules);
        } else {
            let (item, after) = item(all, end);
            modules.extend(declared(file, &all[i..item], &all[item..after]));
            i = after;
        }
    }
    (kept, modules)
}

/// If an attribute begins here: whether it is an inner attribute, and its end.
fn attribute(all: &[Token], at: usize) -> Option<(bool, usize)> {
    let text = |k: usize| all.get(k).map_or("", |t| t.text.as_str());
    let inner = text(at + 1) == "!";
    let open = at + 1 + usize::from(inner);
    (text(at) == "#" && text(open) == "[").then(|| (inner, closing(all, open)))
}

/// One past the bracket that closes the bracket at `open`.
fn closing(all: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (k, t) in all.iter().enumerate().skip(open) {
        match t.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return k + 1;
        }
    }
    all.len()
}

fn is_test(attribute: &[Token]) -> bool {
    let text: String = attribute.iter().map(|t| t.text.as_str()).collect();
    text.contains("[test]") || text.contains("[cfg(test)]") || text.contains("[cfg(all(test,")
}

/// Start of the item under an attribute, after further attributes, and its end.
fn item(all: &[Token], mut at: usize) -> (usize, usize) {
    while let Some((_, end)) = attribute(all, at) {
        at = end;
    }
    let mut k = at;
    while k < all.len() {
        match all[k].text.as_str() {
            "(" | "[" => k = closing(all, k),
            "{" if all[at..k].iter().any(|t| t.text == "use" || t.text == "=") => {
                k = closing(all, k)
            }
            "{" => return (at, closing(all, k)),
            ";" => return (at, k + 1),
            _ => k += 1,
        }
    }
    (at, all.len())
}

/// The file of `mod name;`, as a path without `.rs`.
fn declared(file: &str, attributes: &[Token], item: &[Token]) -> Option<String> {
    let at = item.iter().position(|t| t.text == "mod")?;
    if item.get(at + 2)?.text != ";" {
        return None;
    }
    let folder = |path: &str| path.rsplit_once('/').map_or(String::new(), |(f, _)| format!("{f}/"));
    if let Some(k) = attributes.iter().position(|t| t.text == "path") {
        let path = attributes.get(k + 2)?.text.trim_matches('"');
        return Some(format!("{}{}", folder(file), path.trim_end_matches(".rs")));
    }
    let root =
        ["mod", "lib", "main"].iter().any(|n| file.rsplit('/').next() == Some(&format!("{n}.rs")));
    let base = if root { folder(file) } else { format!("{}/", file.trim_end_matches(".rs")) };
    Some(format!("{base}{}", item[at + 1].text))
}

// ---- tokens ----

/// A word, a text with its quotes, `::`, or a single character; with its line.
#[derive(Clone, Debug, PartialEq)]
struct Token {
    text: String,
    line: usize,
}

/// The tokens of a Rust source, without comments and whitespace.
fn tokens(source: &str) -> Vec<Token> {
    let (mut out, mut rest, mut line) = (Vec::new(), source, 1);
    while let Some(c) = rest.chars().next() {
        let len = length(rest, c);
        let text = &rest[..len];
        if !c.is_whitespace() && !text.starts_with("//") && !text.starts_with("/*") {
            // All texts become the same token, except for the file name of a `#[path]`.
            out.push(Token { text: text.to_owned(), line });
        }
        line += text.matches('\n').count();
        rest = &rest[len..];
    }
    out
}

/// Length in bytes of the token, comment or whitespace at the beginning.
fn length(rest: &str, first: char) -> usize {
    let until = |end: &str| rest.find(end).map_or(rest.len(), |k| k + end.len());
    let word = || rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    let prefix = rest.len() - rest.trim_start_matches(['b', 'c', 'r']).len();
    let hashes = rest[prefix..].len() - rest[prefix..].trim_start_matches('#').len();
    if (1..=2).contains(&prefix)
        && rest[..prefix].ends_with('r')
        && rest[prefix + hashes..].starts_with('"')
    {
        let end = format!("\"{}", "#".repeat(hashes));
        let start = prefix + hashes + 1;
        return rest[start..].find(&end).map_or(rest.len(), |k| start + k + end.len());
    }
    match first {
        '"' => quoted(rest, '"'),
        'b' | 'c' if rest[1..].starts_with('"') => 1 + quoted(&rest[1..], '"'),
        'b' if rest[1..].starts_with('\'') => 1 + quoted(&rest[1..], '\''),
        '\'' if rest[1..].starts_with('\\') || rest[1..].chars().nth(1) == Some('\'') => {
            quoted(rest, '\'')
        }
        '\'' => {
            1 + rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len() - 1)
        }
        'r' if rest.starts_with("r#") => {
            2 + rest[2..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(0)
        }
        ':' if rest.starts_with("::") => until("::"),
        c if c.is_alphanumeric() || c == '_' => word(),
        c => c.len_utf8(),
    }
}

/// Length in bytes of a text or character with its quotes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (k, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return k + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// Length in bytes of a comment, nested comments included.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut k) = (0, 0);
    while k < rest.len() {
        match rest.get(k..k + 2) {
            Some("/*") => (depth, k) = (depth + 1, k + 2),
            Some("*/") => (depth, k) = (depth - 1, k + 2),
            _ => k += 1,
        }
        if depth == 0 {
            return k;
        }
    }
    rest.len()
}

// ---- the checker itself ----

mod proof {
    //! The checker reports violations and nothing else.
    use super::*;

    /// The violations in some files, given as `(name, text)`.
    fn complaints(files: &[(&str, &str)]) -> Vec<String> {
        inspect(&files.iter().map(|(n, t)| (n.to_string(), t.to_string())).collect())
    }

    /// Checks that one file has exactly these violations, each given by line and a part of its
    /// message.
    #[track_caller]
    fn expect(name: &str, text: &str, want: &[(usize, &str)]) {
        let got = complaints(&[(name, text)]);
        assert_eq!(got.len(), want.len(), "{got:#?}");
        for (g, (line, words)) in got.iter().zip(want) {
            assert!(
                g.starts_with(&format!("src/{name}:{line}: ")) && g.contains(words),
                "{g} lacks {line}, {words}"
            );
        }
    }

    #[test]
    fn circles_are_found() {
        let tree = |files: &[(&str, &str)]| {
            let files = files.iter().map(|(name, text)| ((*name).into(), (*text).into()));
            inspect(&files.collect())
        };
        let ring = tree(&[
            ("lang/mod.rs", "pub mod a; pub mod b; pub mod c; pub use c::Z;"),
            ("lang/a.rs", "use super::b::X;"),
            ("lang/b.rs", "\nuse crate::lang::{Z, a_name};"),
            ("lang/c.rs", "use super::a::Y;"),
        ]);
        let way = "lang/a.rs → lang/b.rs → lang/c.rs → lang/a.rs";
        assert_eq!(ring, [format!("src/lang/a.rs:1: a circle of imports: {way}")]);
        // A child module may import what its parent folder defines.
        let chain = tree(&[
            ("lang/mod.rs", "mod a; mod b; use a::f; pub struct S;"),
            ("lang/a.rs", "use super::S; use super::b::X;"),
            ("lang/b.rs", "use super::S;"),
        ]);
        assert_eq!(chain, [""; 0]);
    }

    #[test]
    fn imports_go_down() {
        expect(
            "metric/mod.rs",
            "use crate::error::Result;\nuse crate::tensor::conv;\nuse crate::metric::x;",
            &[],
        );
        expect("lang/parse.rs", "use crate::lang::lex;\nuse super::ast::Expr;\nuse self::x;", &[]);
        expect(
            "metric/mod.rs",
            "use crate::generator::Spec;",
            &[(1, "metric (r2) must not import generator (r2)")],
        );
        expect(
            "image/mod.rs",
            "\nuse crate::eval::run;",
            &[(2, "image (r1) must not import eval (r6)")],
        );
        expect(
            "value.rs",
            "fn f() -> crate::builtin::B { crate::builtins::all() }",
            &[(1, "builtin"), (1, "builtins")],
        );
        expect(
            "safe.rs",
            "use crate::error::Error;",
            &[(1, "safe (r0 a) must not import error (r0 b)")],
        );
    }

    #[test]
    fn every_form_of_a_path_is_seen() {
        expect(
            "metric/a.rs",
            "use crate::{error::{Error, Kind}, ui, eval::{self, x}};",
            &[(1, "ui"), (1, "eval")],
        );
        expect(
            "metric/a.rs",
            "use super::super::ui::x;",
            &[(1, "metric (r2) must not import ui (r8)")],
        );
        expect("metric/mod.rs", "use super::ui;", &[(1, "ui")]);
        expect("safe.rs", "use super::{space, eval};", &[(1, "space"), (1, "eval")]);
        expect(
            "metric/a.rs",
            "mod b { use super::super::super::ui::x; use super::super::y; }\nuse super::z;",
            &[(1, "ui")],
        );
        expect(
            "metric/a.rs",
            "pub(crate) fn f(x: &crate :: cli :: X) {}\npub(super) fn g() {}",
            &[(1, "cli")],
        );
        expect("metric/a.rs", "macro_rules! m { () => { $crate::ui::f() } }", &[(1, "ui")]);
    }

    #[test]
    fn unknown_storeys_are_refused() {
        expect("garage.rs", "", &[(1, "`garage` has no rank")]);
        expect("attic/roof/mod.rs", "", &[(1, "`attic` has no rank")]);
        expect(
            "eval.rs",
            "use crate::Result;\nuse crate::*;",
            &[(1, "`crate::Result`"), (2, "`crate::*`")],
        );
        expect("lib.rs", "pub mod ui;\npub use crate::ui::x;", &[]);
    }

    #[test]
    fn comments_texts_and_examples_do_not_count() {
        let text = "//! use crate::ui;\n/// ```\n/// x.unwrap(); println!()\n/// ```\n/* crate::ui \
                    /* unsafe */ crate::ui */\n\
                    const A: &str = \"crate::ui \\\" .unwrap()\";\nconst B: &str = r#\"\" \
                    unsafe \"#;\nconst C: char = '\"';\n\
                    const D: u8 = b'\\'';\nfn f<'a>(x: &'a str) {}";
        expect("metric/a.rs", text, &[]);
        expect("metric/a.rs", &format!("{text}\nuse crate::ui;"), &[(11, "ui")]);
    }

    #[test]
    fn test_code_is_free_but_not_unsafe() {
        let test = "#[cfg(test)]\nmod tests {\n use crate::ui;\n #[test]\n fn t() { x.unwrap(); \
                    println!(); }\n}\n";
        expect("metric/a.rs", test, &[]);
        expect("metric/a.rs", &format!("{test}fn f() {{ x.unwrap(); }}"), &[(7, "unwrap")]);
        expect(
            "metric/a.rs",
            "#[cfg(test)]\nuse crate::{ui, eval};\nuse crate::cli;",
            &[(3, "cli")],
        );
        expect(
            "metric/a.rs",
            "#[cfg(test)]\n#[allow(x)]\nconst A: B = B { c: crate::ui::X };\nuse crate::cli;",
            &[(4, "cli")],
        );
        expect("metric/a.rs", "#[cfg(not(test))]\nfn f() { crate::ui::x() }", &[(2, "ui")]);
        expect("metric/a.rs", "#![cfg(test)]\nuse crate::ui;", &[]);
        expect("metric/a.rs", "#[cfg(test)]\nmod tests { unsafe fn f() {} }", &[(2, "unsafe")]);
    }

    #[test]
    fn test_modules_in_files_of_their_own_are_free() {
        let bad = "use crate::ui;";
        let free = |files: &[(&str, &str)]| assert_eq!(complaints(files), Vec::<String>::new());
        free(&[("metric/mod.rs", "#[cfg(test)]\nmod tests;"), ("metric/tests.rs", bad)]);
        free(&[
            ("metric/mod.rs", "#[cfg(test)]\npub(crate) mod tests;"),
            ("metric/tests/deep.rs", bad),
        ]);
        free(&[("value.rs", "#[cfg(test)]\nmod tests;"), ("value/tests.rs", bad)]);
        free(&[
            ("store/a.rs", "#[cfg(test)]\n#[path = \"a_tests.rs\"]\nmod tests;"),
            ("store/a_tests.rs", bad),
        ]);
        let other = complaints(&[
            ("metric/mod.rs", "#[cfg(test)]\nmod tests;"),
            ("metric/tests_too.rs", bad),
        ]);
        assert_eq!(other.len(), 1, "{other:?}");
    }

    #[test]
    fn habits_have_their_places() {
        expect(
            "eval.rs",
            "fn f() {\n println!();\n eprint!(\"\");\n dbg!(x); }",
            &[(2, "sink"), (3, "sink"), (4, "sink")],
        );
        expect(
            "render/a.rs",
            "fn f() { std::io::stdout(); c.stdout(x); }\nfn stderr() {}",
            &[(1, "streams")],
        );
        expect("ui/plain.rs", "fn f() { println!(); std::io::stderr(); }", &[]);
        expect(
            "eval.rs",
            "fn f() { a.unwrap();\n b.expect(\"x\"); self.expect(\"(\"); c.unwrap_or(1); }",
            &[(1, "unwrap"), (2, "expect")],
        );
        expect("lang/a.rs", "use candle_core::Tensor;", &[(1, "no tensors")]);
        expect("eval.rs", "#![allow(unsafe_code)]\nfn f() { unsafe { x() } }", &[(2, "unsafe")]);
        expect("tensor/conv.rs", "fn f() { unsafe { x() } }", &[]);
    }
}
