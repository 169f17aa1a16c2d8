//! The grammar in both directions: every rule has a parser, examples that are accepted, and
//! examples that are refused.
//!
//! Examples in one file are separated by a line `#---`. A refused example ends in `#^ text ::
//! words`: its first error underlines that text (`END` for the end of a statement), and its message
//! contains those words.

#![allow(clippy::unwrap_used)]

use gannet::lang::{layout::format, parse::parse, span::Source};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn grammar() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("grammar")
}

/// The names of the rules of the EBNF file.
fn rules() -> BTreeSet<String> {
    let text = fs::read_to_string(grammar().join("gannet.ebnf")).unwrap();
    let head = |line: &str| line.split_once(" =").map(|(name, _)| name.trim().to_string());
    let named = |n: &String| !n.is_empty() && n.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    text.lines().filter(|l| !l.starts_with(' ')).filter_map(head).filter(named).collect()
}

/// The examples of every rule in a folder, by rule.
fn examples(folder: &str) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<_> = fs::read_dir(grammar().join(folder))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let rule = path.file_stem().unwrap().to_str().unwrap().to_string();
            let text = fs::read_to_string(&path).unwrap();
            let text = text.strip_suffix('\n').unwrap();
            (rule, text.split("\n#---\n").map(String::from).collect())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn every_rule_has_examples_of_both_kinds_and_a_parser() {
    let rules = rules();
    assert!(rules.len() > 40, "{rules:?}");
    for folder in ["accept", "reject"] {
        let have: BTreeSet<String> = examples(folder).into_iter().map(|(rule, _)| rule).collect();
        assert_eq!(have, rules, "{folder}");
    }
    let read = |name: &str| fs::read_to_string(grammar().join("../src/lang").join(name)).unwrap();
    let source = ["lex.rs", "parse.rs", "expr.rs"].map(read).concat();
    for rule in &rules {
        let found =
            source.contains(&format!("fn {rule}(")) || source.contains(&format!("fn {rule}<"));
        assert!(found, "no parser function `{rule}`");
    }
}

#[test]
fn every_rule_that_is_used_is_defined() {
    let text = fs::read_to_string(grammar().join("gannet.ebnf")).unwrap();
    let rules = rules();
    let given = ["letter", "digit", "character", "newline"];
    for body in text.lines().filter_map(|l| l.split_once(" = ")).map(|(_, body)| body) {
        let body = body.split("(*").next().unwrap();
        // Words outside of quotes are names of rules.
        let mut quote = None;
        let outside: String = body
            .chars()
            .map(|c| match quote {
                Some(q) if c == q => {
                    quote = None;
                    ' '
                }
                None if c == '"' || c == '\'' => {
                    quote = Some(c);
                    ' '
                }
                Some(_) => ' ',
                None => c,
            })
            .collect();
        for word in
            outside.split(|c: char| !c.is_ascii_lowercase() && c != '_').filter(|w| !w.is_empty())
        {
            assert!(rules.contains(word) || given.contains(&word), "`{word}` in: {body}");
        }
    }
}

#[test]
fn accepted_examples_are_read_and_formatting_them_is_stable() {
    for (rule, texts) in examples("accept") {
        for text in texts {
            let source = Source::new(rule.clone(), text.clone()).unwrap();
            assert_eq!(parse(&source).1, [], "{rule}: {text}");
            let once = format(&source).unwrap();
            assert_eq!(
                format(&Source::new("again", once.clone()).unwrap()).unwrap(),
                once,
                "{rule}: {text}"
            );
        }
    }
}

#[test]
fn refused_examples_are_refused_where_they_are_wrong() {
    let mut wrong = Vec::new();
    for (rule, texts) in examples("reject") {
        for text in texts {
            let (code, note) =
                text.rsplit_once("\n#^ ").unwrap_or_else(|| panic!("{rule}: no `#^` in {text}"));
            let (place, words) = note.split_once(" :: ").unwrap();
            let source = Source::new(rule.clone(), code).unwrap();
            let errors = parse(&source).1;
            let Some(error) = errors.first() else {
                wrong.push(format!("{rule}: accepted {code}"));
                continue;
            };
            let span = error.span().unwrap();
            let underlined = if span.start == span.end { "END" } else { source.slice(span) };
            // A fix that can be applied leaves fewer errors.
            if let Some(fix) = error.applied() {
                let (before, after) = (&code[..fix.span.start], &code[fix.span.end..]);
                let mended = format!("{before}{}{after}", fix.text);
                let left = parse(&Source::new(rule.clone(), mended.clone()).unwrap()).1;
                if left.len() >= errors.len() {
                    wrong.push(format!("{rule}: the repair of {code} leaves {mended}: {left:?}"));
                }
            }
            if underlined != place || !error.message().contains(words) {
                wrong.push(format!("{rule}: {code}: `{underlined}`: {}", error.message()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
