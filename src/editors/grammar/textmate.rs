//! The TextMate grammar, which Visual Studio Code and other editors read.

use super::words::Words;
use serde_json::{Value as Json, json};

/// The grammar as a JSON file.
pub(super) fn grammar(words: &Words) -> String {
    let parts = [
        "prose", "cell", "comment", "text", "binding", "argument", "keyword", "truth", "function",
        "space", "number", "operator",
    ];
    let includes: Vec<Json> =
        parts.iter().map(|part| json!({"include": format!("#{part}")})).collect();
    let grammar = json!({
        "information_for_contributors":
            "Made by `gannet grammar textmate` from the tables of the checker: edit those, not \
             this file.",
        "name": "gannet",
        "scopeName": "source.gannet",
        "fileTypes": ["gnt"],
        "patterns": includes,
        "repository": repository(words),
    });
    // A JSON value with text keys can always be written.
    serde_json::to_string_pretty(&grammar).unwrap_or_default() + "\n"
}

/// A pattern for one of these words.
fn any(words: &[&str]) -> String {
    format!("\\b(?:{})\\b", words.join("|"))
}

fn rule(scope: &str, pattern: impl Into<String>) -> Json {
    json!({"name": format!("{scope}.gannet"), "match": pattern.into()})
}

/// The rules by name. At one place the first rule that matches wins.
fn repository(words: &Words) -> Json {
    let functions = any(&words.functions);
    json!({
        "prose": {
            "begin": "^\\s*(#%%[ \\t]*md(?:[ \\t].*)?)$",
            "beginCaptures": {"1": {"name": "markup.heading.cell.gannet"}},
            "end": "^(?=\\s*#%%)",
            "contentName": "markup.other.prose.gannet",
            // A rule whose only patterns are of a grammar that an editor lacks would be dropped.
            "patterns": [
                {"include": "text.html.markdown"},
                rule("markup.inline.raw", "`[^`]*`"),
            ],
        },
        "cell": rule("markup.heading.cell", "^\\s*#%%.*$"),
        "comment": rule("comment.line.number-sign", "#.*$"),
        "text": {
            "name": "string.quoted.double.gannet",
            "begin": "\"",
            "end": "\"|$",
            "patterns": [
                rule("constant.character.escape", r#"\\(?:["\\nt]|u\{\h{1,6}\})"#),
                rule("invalid.illegal.escape", "\\\\."),
            ],
        },
        "binding": {
            "match": format!("({})\\s+(\\w+)", any(&words.binding)),
            "captures": {
                "1": {"name": "keyword.control.gannet"},
                "2": {"name": "entity.name.gannet"},
            },
        },
        "argument": argument(words),
        "keyword": rule("keyword.control", any(&[&words.statements[..], &words.binding, &words.inside].concat())),
        "truth": rule("constant.language", any(&words.truths)),
        "function": {"patterns": [
            rule("support.function", format!("{functions}(?=\\s*\\()")),
            rule("support.function", format!("(?<=\\|>){functions}|(?<=\\|>\\s){functions}")),
            rule("support.function", format!("{}(?!\\s*:)", any(&words.bare))),
        ]},
        "space": rule(
            "storage.type.space",
            format!("\\b(?:{})\\+|{}", words.plus_spaces.join("|"), any(&words.spaces)),
        ),
        "number": rule("constant.numeric", "(?<!\\w)\\d+(?:\\.\\d+)?(?:[eE][-+]?\\d+)?"),
        "operator": rule("keyword.operator", "\\|>|\\.\\.|[<>=!]=|[-+*/|@<>=]"),
    })
}

/// `name: word`, with further names between as in `init: best_of: 8`.
fn argument(words: &Words) -> Json {
    let name = any(&words.arguments);
    json!({"patterns": [
        {
            "match": format!("({name})\\s*:\\s*({})(?!\\s*[(:])", any(&words.choices)),
            "captures": {
                "1": {"name": "variable.parameter.gannet"},
                "2": {"name": "support.constant.gannet"},
            },
        },
        rule("variable.parameter", format!("{name}(?=\\s*:)")),
    ]})
}
