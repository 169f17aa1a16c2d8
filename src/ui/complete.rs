//! Completion, at the prompt and in editors.

use super::commands;
use super::context::{Context, Open, context, slice};
use super::docs::parameter;
use super::glossary;
use super::listing::Candidate;
use super::words::Words;
use crate::builtin::{Builtin, CodeType, Kind, Param, Type};
use crate::builtins;
use crate::lang::lex::{KEYWORDS, Token, TokenKind};
use crate::render::text::{cut, one_line, printable};
use crate::space::Space;
use crate::value::models;
use std::path::Path;

/// Maximum number of files offered.
const FILES: usize = 200;
/// Width of a line of the list, in columns.
const COLUMNS: usize = 78;

/// Start of the word before `pos`, and its completions.
pub(super) fn complete(words: &Words, line: &str, pos: usize) -> (usize, Vec<Candidate>) {
    let text = line.get(..pos).unwrap_or(line);
    let begins = text.len() - text.trim_start().len();
    match text.trim_start().chars().next() {
        Some(':') => return command(words, text, begins),
        Some('?') => return topics(words, text, begins),
        _ => {}
    }
    in_program(words, line, pos)
}

/// As `complete`, in a program of any number of lines, where no line is a command.
pub fn in_program(words: &Words, text: &str, pos: usize) -> (usize, Vec<Candidate>) {
    let at = context(text, pos);
    let text = text.get(..pos).unwrap_or(text);
    let quiet = [TokenKind::Comment, TokenKind::Marker, TokenKind::Prose];
    let found = match at.in_text {
        _ if at.tokens.last().is_some_and(|t| quiet.contains(&t.kind)) => Vec::new(),
        Some(start) => in_text(words, &at, &text[start..], text),
        None => word(words, &at, text),
    };
    (at.word, found)
}

/// A candidate with a short description.
fn candidate(replacement: impl Into<String>, shown: &str, about: &str) -> Candidate {
    let display = if about.is_empty() {
        printable(shown)
    } else {
        printable(&format!("{shown}  {}", one_line(about)))
    };
    Candidate { display: cut(&display, COLUMNS), replacement: replacement.into() }
}

fn command(words: &Words, text: &str, begins: usize) -> (usize, Vec<Candidate>) {
    let rest = &text[begins..];
    let Some((name, argument)) = rest.split_once(' ') else {
        let all = commands::ALL.iter().filter(|c| c.name.starts_with(rest));
        return (begins, all.map(|c| candidate(c.name, c.usage, c.about)).collect());
    };
    let start = text.len() - argument.trim_start().len();
    let typed = argument.trim_start();
    let found = match name {
        ":save" | ":save!" | ":open" => files(Path::new(""), typed, "", &["gnt"]),
        ":resume" => sessions(words, typed),
        ":cache" if "clear".starts_with(typed) => vec![candidate("clear", "clear", "")],
        ":details" | ":view" => {
            let names = words.types.iter().filter(|(n, ty)| n.starts_with(typed) && detailed(ty));
            names.map(|(n, ty)| candidate(n.clone(), n, &ty.to_string())).collect()
        }
        ":set" => match typed.split_once(' ') {
            Some((key, value)) => {
                let value = value.trim_start();
                let all = commands::values(key).iter().filter(|v| v.starts_with(value));
                return (text.len() - value.len(), all.map(|v| candidate(*v, v, "")).collect());
            }
            None => {
                let all = commands::KEYS.iter().filter(|k| k.0.starts_with(typed));
                all.map(|k| candidate(format!("{} ", k.0), k.0, k.1)).collect()
            }
        },
        _ => Vec::new(),
    };
    (start, found)
}

/// Whether a value of that type has more to tell than is shown.
fn detailed(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Inversion(_) | Type::Latent(_) | Type::Path(_) | Type::Image(_) | Type::Table
    )
}

/// The kept sessions, the latest first.
fn sessions(words: &Words, typed: &str) -> Vec<Candidate> {
    let entries = words.sessions.as_ref().and_then(|f| std::fs::read_dir(f).ok());
    let name = |e: std::fs::DirEntry| {
        let name = e.file_name().into_string().ok()?;
        name.strip_suffix(".journal").filter(|n| n.starts_with(typed)).map(str::to_owned)
    };
    let mut names: Vec<String> = entries.into_iter().flatten().flatten().filter_map(name).collect();
    names.sort_by(|a, b| b.cmp(a));
    names.truncate(FILES);
    names.into_iter().map(|n| candidate(n.clone(), &n, "")).collect()
}

fn topics(words: &Words, text: &str, begins: usize) -> (usize, Vec<Candidate>) {
    let typed = text[begins + 1..].trim_start();
    let start = text.len() - typed.len();
    let all = builtins::ALL.iter().filter(|b| b.signature.name.starts_with(typed));
    let mut found: Vec<Candidate> =
        all.map(|b| candidate(b.signature.name, b.signature.name, b.summary)).collect();
    // Without a first letter the functions are enough.
    if !typed.is_empty() {
        let terms = glossary::names().filter(|n| n.starts_with(typed));
        found.extend(terms.map(|n| candidate(n, n, "")));
        let directions = words.directions.iter().filter(|d| d.starts_with(typed));
        found.extend(directions.map(|d| candidate(d.clone(), d, "direction of the generator")));
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|c| seen.insert(c.replacement.clone()));
    (start, found)
}

fn in_text(words: &Words, at: &Context, typed: &str, text: &str) -> Vec<Candidate> {
    if imports(&at.tokens, text) {
        return files(&words.imports, typed, "\"", &["gnt"]);
    }
    let Some(call) = at.call else { return Vec::new() };
    let (name, param) =
        (&text[call.name.start..call.name.end], call.param(text).map_or("", |p| p.name));
    let mut found = Vec::new();
    let mut offer = |all: &mut dyn Iterator<Item = &str>, about: &str| {
        found.extend(
            all.filter(|n| n.starts_with(typed)).map(|n| candidate(format!("{n}\""), n, about)),
        );
    };
    match (name, param) {
        ("direction", "name") => {
            offer(&mut words.directions.iter().map(String::as_str), "direction of the generator")
        }
        ("load", _) => offer(&mut models::NAMES.into_iter(), "built in"),
        _ => {}
    }
    if let Some(endings) = endings(name, param) {
        found.extend(files(Path::new(""), typed, "\"", endings));
    }
    found
}

/// Whether the last token is the path of an import.
fn imports(tokens: &[Token], text: &str) -> bool {
    let before = tokens.len().checked_sub(2).map(|k| &tokens[k]);
    before.is_some_and(|t| t.kind == TokenKind::Keyword && slice(text, t) == "import")
}

const PICTURES: &[&str] = &["png", "jpg", "jpeg", "webp", "gif"];
const VECTORS: &[&str] = &["npy", "npz", "pt", "pth", "pkl", "safetensors"];
const MODELS: &[&str] =
    &["pkl", "pt", "pth", "ckpt", "tar", "bin", "xml", "zip", "whl", "h5", "keras", "safetensors"];

/// The endings of the files that an argument can name; all files for none of them. `None` where it
/// names no file.
fn endings(function: &str, param: &str) -> Option<&'static [&'static str]> {
    Some(match (function, param) {
        ("image" | "images" | "mask", "path") => PICTURES,
        ("direction", "name") | ("latent", "path") | (_, "labels" | "camera") => VECTORS,
        ("load", _) => MODELS,
        (_, "path") => &[],
        _ => return None,
    })
}

/// Files of these endings, or all without any, and folders, whose path from `root` begins as typed.
/// A file is followed by `end`.
fn files(root: &Path, typed: &str, end: &str, endings: &[&str]) -> Vec<Candidate> {
    let (folder, begun) =
        typed.rsplit_once('/').map_or(("", typed), |(f, b)| (&typed[..=f.len()], b));
    let Ok(entries) = std::fs::read_dir(Path::new(".").join(root).join(folder)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        // A name that is not Unicode or needs escapes cannot be written in the language directly.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let hidden = name.starts_with('.') && !begun.starts_with('.');
        if hidden
            || !name.starts_with(begun)
            || name.contains(['"', '\\'])
            || name.chars().any(char::is_control)
        {
            continue;
        }
        let is_folder = entry.path().is_dir();
        let ending = name.rsplit_once('.').map_or("", |(_, e)| e).to_lowercase();
        if !is_folder && !endings.is_empty() && !endings.contains(&ending.as_str()) {
            continue;
        }
        let end = if is_folder { "/" } else { end };
        let shown = if is_folder { format!("{name}/") } else { name.clone() };
        found.push(candidate(format!("{folder}{name}{end}"), &shown, ""));
    }
    found.sort_by(|a, b| a.replacement.cmp(&b.replacement));
    found.truncate(FILES);
    found
}

fn word(words: &Words, at: &Context, text: &str) -> Vec<Candidate> {
    let typed = &text[at.word..];
    // A line may end within a call, or after `|>`.
    let spaced = |t: &Token| t.is("\n") || t.kind == TokenKind::Comment;
    let before = at.tokens.iter().rev().find(|t| t.span.end <= at.word && !spaced(t));
    let mut found = Vec::new();
    if before.is_some_and(|t| t.is("|>")) {
        return piped(words, &at.tokens, text, typed);
    }
    if let Some(call) = at.call {
        let fresh = before.is_some_and(|t| t.is("(") || t.is(","));
        if before.is_some_and(|t| t.is(":")) {
            let param = call.param(text);
            found.extend(values(words, param, typed));
            if let Some(param) = param {
                found.extend(fitting(words, param, typed));
                return found;
            }
        } else if fresh {
            found.extend(call.param(text).into_iter().flat_map(|p| values(words, Some(p), typed)));
            found.extend(arguments(&call, at, text, typed));
        }
    }
    found.extend(names(words, typed));
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|c| seen.insert(c.replacement.clone()));
    found
}

/// The functions that take what is before `|>`.
fn piped(words: &Words, tokens: &[Token], text: &str, typed: &str) -> Vec<Candidate> {
    let arrow = tokens.iter().rposition(|t| t.is("|>")).unwrap_or(0);
    let ty = value_before(words, &tokens[..arrow], text);
    let takes = |b: &&&Builtin| {
        let first = b.signature.params.first();
        first.is_some_and(|p| p.accepts.iter().any(|k| k.accepts(&ty)))
            && b.signature.name.starts_with(typed)
    };
    let own =
        words.functions.iter().filter(|(n, params)| n.starts_with(typed) && !params.is_empty());
    let own = own
        .map(|(n, params)| candidate(format!("{n}("), &format!("{n}({})", params.join(", ")), ""));
    let builtins = builtins::ALL
        .iter()
        .filter(takes)
        .map(|b| candidate(format!("{}(", b.signature.name), b.signature.name, b.summary));
    own.chain(builtins).collect()
}

/// The type of the value that ends before a token, as far as the names tell it.
fn value_before(words: &Words, tokens: &[Token], text: &str) -> Type {
    let Some(last) = tokens.last() else { return Type::Unknown };
    // Operators before it would change the type.
    let alone = |i: usize| {
        i.checked_sub(1).is_none_or(|k| {
            ["=", "|>", "\n", ";", "(", "[", ","].iter().any(|s| tokens[k].is(s))
                || slice(text, &tokens[k]) == "show"
        })
    };
    if last.kind == TokenKind::Name && alone(tokens.len() - 1) {
        return words.types.get(slice(text, last)).cloned().unwrap_or(Type::Unknown);
    }
    if !last.is(")") {
        return Type::Unknown;
    }
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().rev() {
        depth += usize::from(token.is(")"));
        if token.is("(") {
            depth -= 1;
            if depth == 0 {
                let called = i.checked_sub(1).filter(|k| alone(*k));
                let builtin = called.and_then(|k| builtins::find(slice(text, &tokens[k])));
                return builtin.map_or(Type::Unknown, |b| returned(b.signature.returns));
            }
        }
    }
    Type::Unknown
}

/// The type that a signature names.
fn returned(name: &str) -> Type {
    match name {
        "Image" => Type::Image(None),
        "Latent" => Type::Latent(CodeType::default()),
        "Direction" => Type::Direction(CodeType::default()),
        "Inversion" => Type::Inversion(CodeType::default()),
        "Path" => Type::Path(CodeType::default()),
        "Number" => Type::Number,
        "Text" => Type::Text,
        "Table" => Type::Table,
        "Plot" => Type::Plot,
        "Mask" => Type::Mask,
        "Model" => Type::Model(None),
        _ => Type::Unknown,
    }
}

/// The variables that a parameter accepts, and functions that may give such a value.
fn fitting(words: &Words, param: &Param, typed: &str) -> Vec<Candidate> {
    let accepts = |ty: &Type| param.accepts.iter().any(|k| k.accepts(ty));
    let fits = |n: &str| n.starts_with(typed) && (n.starts_with('_') == typed.starts_with('_'));
    let mut found: Vec<Candidate> = words
        .names
        .iter()
        .filter(|(n, _)| fits(n) && words.types.get(*n).is_none_or(&accepts))
        .map(|(n, ty)| candidate(n.clone(), n, ty))
        .collect();
    if !typed.is_empty() {
        let gives = |b: &&&Builtin| {
            b.signature.name.starts_with(typed) && accepts(&returned(b.signature.returns))
        };
        let functions = builtins::ALL.iter().filter(gives);
        found.extend(
            functions
                .map(|b| candidate(format!("{}(", b.signature.name), b.signature.name, b.summary)),
        );
    }
    found
}

/// The words that a parameter accepts: choices, spaces, true and false.
fn values(words: &Words, param: Option<&Param>, typed: &str) -> Vec<Candidate> {
    let Some(param) = param else { return Vec::new() };
    let mut all: Vec<(String, String)> = Vec::new();
    for kind in param.accepts {
        match kind {
            Kind::Choice => all.extend(param.choices.iter().map(|c| {
                let more = if c.ends_with(':') { " " } else { "" };
                (format!("{c}{more}"), param.name.to_owned())
            })),
            Kind::Space => {
                all.extend(spaces(words).map(|s| (s.name().to_owned(), "space".to_owned())))
            }
            Kind::Bool => all.extend(["true", "false"].map(|b| (b.to_owned(), String::new()))),
            _ => {}
        }
    }
    all.retain(|(word, _)| word.starts_with(typed));
    all.into_iter().map(|(word, about)| candidate(word.clone(), &word, &about)).collect()
}

fn spaces(words: &Words) -> impl Iterator<Item = Space> {
    let all = if words.spaces.is_empty() { Space::ALL.to_vec() } else { words.spaces.clone() };
    all.into_iter()
}

/// The names of arguments that are not given yet.
fn arguments(call: &Open, at: &Context, text: &str, typed: &str) -> Vec<Candidate> {
    let Some(builtin) = call.builtin else { return Vec::new() };
    let inside: Vec<&str> =
        at.tokens.iter().filter(|t| t.span.start > call.name.end).map(|t| slice(text, t)).collect();
    let given = |p: &Param| inside.windows(2).any(|w| w[0] == p.name && w[1] == ":");
    let open = builtin
        .signature
        .params
        .iter()
        .filter(|p| p.name.starts_with(typed) && !given(p) && !p.variadic);
    open.map(|p| candidate(format!("{}: ", p.name), &parameter(p), p.doc)).collect()
}

/// Variables, functions, keywords and spaces.
fn names(words: &Words, typed: &str) -> Vec<Candidate> {
    let mut found = Vec::new();
    // Numbered results are many: they are offered once their first character is typed.
    let fits = |n: &str| n.starts_with(typed) && n.starts_with('_') == typed.starts_with('_');
    found.extend(
        words.names.iter().filter(|(n, _)| fits(n)).map(|(n, ty)| candidate(n.clone(), n, ty)),
    );
    let own = words.functions.iter().filter(|(n, _)| fits(n));
    found.extend(
        own.map(|(n, params)| {
            candidate(format!("{n}("), &format!("{n}({})", params.join(", ")), "")
        }),
    );
    if typed.is_empty() {
        // Without a first letter, only variables are offered: every function would be too much.
        return found;
    }
    let functions = builtins::ALL.iter().filter(|b| fits(b.signature.name));
    found.extend(functions.map(|b| {
        let name = b.signature.name;
        let end = match (KEYWORDS.contains(&name), b.signature.is_bare()) {
            (true, _) => " ",
            (false, true) => "",
            (false, false) => "(",
        };
        candidate(format!("{name}{end}"), name, b.summary)
    }));
    let keywords = KEYWORDS.iter().filter(|k| fits(k) && builtins::find(k).is_none());
    found.extend(keywords.map(|k| candidate(*k, k, "")));
    found.extend(
        spaces(words).filter(|s| fits(s.name())).map(|s| candidate(s.name(), s.name(), "space")),
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{Options, State};
    use crate::value::{Models, Value};

    fn words() -> Words {
        let mut session = State::new(Models::cpu(), "toy", Options::default()).unwrap();
        session.names.insert("picture".into(), Value::Number(1.0));
        session.names.insert("strength".into(), Value::Number(2.0));
        Words::of(&session)
    }

    fn become_(line: &str) -> (String, Vec<String>) {
        let (start, found) = complete(&words(), line, line.len());
        (line[start..].to_owned(), found.into_iter().map(|c| c.replacement).collect())
    }

    #[test]
    fn each_place_offers_what_fits_there() {
        for (line, word, wanted) in [
            ("inv", "inv", "invert("),
            ("sho", "sho", "show "),
            ("mean", "mean", "mean_w"),
            ("x = pic", "pic", "picture"),
            ("invert(x, sp", "sp", "space: "),
            ("invert(x, method: hy", "hy", "hybrid"),
            ("invert(x, method: ", "", "projector"),
            ("invert(x, init: best", "best", "best_of: "),
            ("invert(x, space: ", "", "W+"),
            ("sample(psi: 1, space: W", "W", "W"),
            ("direction(\"sm", "sm", "smile\""),
            ("load \"to", "to", "toy\""),
            (":un", ":un", ":undo"),
            (":cache c", "c", "clear"),
            (":set se", "se", "seed "),
            (":set graphics ", "", "sixel"),
            (":set graphics si", "si", "sixel"),
            (":set symbols ", "", "quad"),
            ("?smi", "smi", "smile"),
            ("?W", "W", "W+"),
            ("invert(x, steps: str", "str", "strength"),
            ("?inv", "inv", "invert"),
            ("?", "", "slerp"),
            ("invert(x, noise: t", "t", "true"),
        ] {
            let (typed, found) = become_(line);
            assert_eq!(typed, word, "{line}");
            assert!(found.iter().any(|f| f == wanted), "{line}: {found:?}");
        }
    }

    #[test]
    fn every_method_term_and_function_is_offered() {
        use crate::invert::{METHODS, TERMS};
        let offered = |line: &str, wanted: &str| {
            let (_, found) = become_(line);
            assert!(found.iter().any(|f| f == wanted), "{line}: {found:?}");
        };
        for method in METHODS {
            offered("invert(x, method: ", method.name);
            method.params.iter().for_each(|p| offered("invert(x, ", &format!("{}: ", p.name)));
        }
        TERMS.iter().for_each(|t| offered("invert(x, ", &format!("{}: ", t.name)));
        for b in builtins::ALL {
            offered("?", b.signature.name);
            let name = b.signature.name;
            let end = match (KEYWORDS.contains(&name), b.signature.is_bare()) {
                (true, _) => " ",
                (false, true) => "",
                (false, false) => "(",
            };
            offered(&name[..name.len() - 1], &format!("{name}{end}"));
        }
    }

    #[test]
    fn candidates_have_the_type_of_their_place() {
        let without = |line: &str, unwanted: &[&str]| {
            let found = become_(line).1;
            for word in unwanted {
                assert!(!found.iter().any(|f| f == word), "{line}: {found:?}");
            }
            found
        };
        // `picture` and `strength` are numbers.
        let spaces = without("invert(x, space: ", &["picture", "strength", "x"]);
        assert!(spaces.contains(&"W+".to_owned()), "{spaces:?}");
        let piped = without("sample(seed: 1) |> ", &["picture", "direction(", "load("]);
        for wanted in ["invert(", "strip(", "save(", "show("] {
            assert!(piped.iter().any(|f| f == wanted), "{wanted}: {piped:?}");
        }
        assert!(become_("picture |> ").1.contains(&"print(".to_owned()));
        without("picture |> ", &["strip(", "invert("]);
        assert_eq!(become_("sample(seed: 1) |> stri").1, ["strip("]);
        // After an operator the type is not known, so every function is offered.
        assert!(become_("1 + unknown |> ").1.contains(&"invert(".to_owned()));
    }

    #[test]
    fn files_have_the_ending_of_their_place() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.jpg", "b.npy", "c.gnt", "d.pkl", "e.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let at = folder.path().to_str().unwrap().to_owned();
        for (before, wanted) in [
            ("image(\"", &["a.jpg\"", "sub/"][..]),
            ("direction(\"", &["b.npy\"", "d.pkl\"", "sub/"]),
            ("load \"", &["d.pkl\"", "sub/"]),
            (":open ", &["c.gnt", "sub/"]),
            ("import \"", &["c.gnt\"", "sub/"]),
        ] {
            let found = become_(&format!("{before}{at}/")).1;
            let wanted: Vec<String> = wanted.iter().map(|w| format!("{at}/{w}")).collect();
            assert_eq!(found, wanted, "{before}");
        }
        // In a notebook, paths of imports lead from its folder.
        let words = Words { imports: folder.path().into(), ..words() };
        let found = complete(&words, "x = 1; import \"c", 16).1;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].replacement, "c.gnt\"");
        let journals = folder.path().join("s");
        std::fs::create_dir(&journals).unwrap();
        for name in ["20260101-1.journal", "20260102-1.journal", "20260102-1.lock"] {
            std::fs::write(journals.join(name), "").unwrap();
        }
        let words = Words { sessions: Some(journals), ..words };
        let found = complete(&words, ":resume 2026", 12).1;
        let found: Vec<&str> = found.iter().map(|c| c.replacement.as_str()).collect();
        assert_eq!(found, ["20260102-1", "20260101-1"]);
    }

    #[test]
    fn what_cannot_stand_there_is_not_offered() {
        let (_, found) = become_("invert(x, space: W+, sp");
        assert!(!found.contains(&"space: ".to_owned()), "given already: {found:?}");
        let (_, found) = become_("\"inv");
        assert!(found.is_empty(), "a text of no call: {found:?}");
        assert!(become_("zzz").1.is_empty());
    }

    #[test]
    fn every_candidate_begins_as_typed_and_fits_the_screen() {
        for line in [
            "i",
            "s",
            "invert(x, ",
            "sample(n",
            "direction(\"",
            ":",
            "?",
            "?p",
            "show ",
            "image(\"src/",
        ] {
            let (start, found) = complete(&words(), line, line.len());
            assert!(!found.is_empty(), "{line}");
            for c in found {
                assert!(c.replacement.starts_with(&line[start..]), "{line}: {c:?}");
                assert!(crate::render::text::width(&c.display) <= COLUMNS, "{c:?}");
            }
        }
    }

    #[test]
    fn paths_are_completed_inside_texts_and_after_open() {
        let (_, found) = become_("image(\"models/faces/examples/900000");
        assert_eq!(found, ["models/faces/examples/900000.jpg\""]);
        let (_, found) = become_("image(\"src/u");
        assert_eq!(found, ["src/ui/"]);
        assert_eq!(become_(":open src/u").1, ["src/ui/"]);
    }

    #[test]
    fn the_list_says_what_things_are() {
        let (_, found) = complete(&words(), "invert(x, sp", 12);
        assert!(found[0].display.starts_with("space?: Space  Z, W, W+"), "{}", found[0].display);
        let (_, found) = complete(&words(), "stren", 5);
        assert_eq!(found[0].display, "strength  Number");
    }
}
