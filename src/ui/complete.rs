//! Completion at the prompt.

use super::commands;
use super::context::{Context, Open, context, slice};
use super::docs::parameter;
use super::line::Candidate;
use super::words::Words;
use crate::builtin::{Kind, Param};
use crate::builtins;
use crate::lang::lex::KEYWORDS;
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
        Some(':') => return command(text, begins),
        Some('?') => return topics(text, begins),
        _ => {}
    }
    let at = context(line, pos);
    let found = match at.in_text {
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

fn command(text: &str, begins: usize) -> (usize, Vec<Candidate>) {
    let rest = &text[begins..];
    let Some((name, argument)) = rest.split_once(' ') else {
        let all = commands::ALL.iter().filter(|c| c.name.starts_with(rest));
        return (begins, all.map(|c| candidate(c.name, c.usage, c.about)).collect());
    };
    let start = text.len() - argument.trim_start().len();
    let typed = argument.trim_start();
    let found = match name {
        ":save" | ":save!" | ":open" => files(typed, ""),
        ":set" => {
            let all = commands::KEYS.iter().filter(|k| k.0.starts_with(typed));
            all.map(|k| candidate(k.0, k.0, k.1)).collect()
        }
        _ => Vec::new(),
    };
    (start, found)
}

fn topics(text: &str, begins: usize) -> (usize, Vec<Candidate>) {
    let typed = text[begins + 1..].trim_start();
    let start = text.len() - typed.len();
    let all = builtins::ALL.iter().filter(|b| b.signature.name.starts_with(typed));
    (start, all.map(|b| candidate(b.signature.name, b.signature.name, b.summary)).collect())
}

fn in_text(words: &Words, at: &Context, typed: &str, text: &str) -> Vec<Candidate> {
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
    if matches!((name, param), ("direction", "name") | (_, "path")) {
        found.extend(files(typed, "\""));
    }
    found
}

/// Files and folders whose path begins as typed. A file is followed by `end`.
fn files(typed: &str, end: &str) -> Vec<Candidate> {
    let (folder, begun) =
        typed.rsplit_once('/').map_or(("", typed), |(f, b)| (&typed[..=f.len()], b));
    let Ok(entries) =
        std::fs::read_dir(if folder.is_empty() { Path::new(".") } else { Path::new(folder) })
    else {
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
    let before = at.tokens.iter().rev().find(|t| t.span.end <= at.word);
    let mut found = Vec::new();
    if let Some(call) = at.call {
        let fresh = before.is_some_and(|t| t.is("(") || t.is(","));
        if before.is_some_and(|t| t.is(":")) {
            found.extend(values(words, call.param(text), typed));
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
    let fits = |n: &str| n.starts_with(typed);
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
            (":set se", "se", "seed"),
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
    fn what_cannot_stand_there_is_not_offered() {
        let (_, found) = become_("invert(x, space: W+, sp");
        assert!(!found.contains(&"space: ".to_owned()), "given already: {found:?}");
        let (_, found) = become_("\"inv");
        assert!(found.is_empty(), "a text of no call: {found:?}");
        assert!(become_("zzz").1.is_empty());
    }

    #[test]
    fn every_candidate_begins_as_typed_and_fits_the_screen() {
        for line in
            ["i", "s", "invert(x, ", "sample(n", "direction(\"", ":", "?", "show ", "image(\"src/"]
        {
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
        let (_, found) = become_("image(\"src/ui/compl");
        assert_eq!(found, ["src/ui/complete.rs\""]);
        let (_, found) = become_("image(\"src/u");
        assert_eq!(found, ["src/ui/"]);
        assert_eq!(become_(":open Cargo.t").1, ["Cargo.toml"]);
    }

    #[test]
    fn the_list_says_what_things_are() {
        let (_, found) = complete(&words(), "invert(x, sp", 12);
        assert!(found[0].display.starts_with("space?: Space  Z, W, W+"), "{}", found[0].display);
        let (_, found) = complete(&words(), "stren", 5);
        assert_eq!(found[0].display, "strength  Number");
    }
}
