//! Mistakes, help, completion and repairs of a document, as the protocol writes them.

use super::document::Document;
use crate::error::{Error, Fix, Span};
use crate::eval::State;
use crate::lang::ast::{Program, Stmt, StmtKind};
use crate::lang::check::{Checked, examine};
use crate::lang::lex::{self, Token, TokenKind};
use crate::lang::parse::parse;
use crate::lang::span::Source;
use crate::render::text::{cut, one_line};
use crate::ui::Candidate;
use crate::ui::context::named_parameter;
use crate::ui::docs::parameter;
use crate::ui::words::Words;
use crate::ui::{complete, help};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// Width of a repair in a list of repairs, in columns.
const TITLE: usize = 60;

/// A mistake of a document.
pub(super) struct Mistake {
    span: Span,
    text: String,
    /// Other places that explain it.
    labels: Vec<(Span, String)>,
    fix: Option<Fix>,
}

/// All mistakes of a document.
pub(super) fn mistakes(state: &State, document: &Document) -> Vec<Mistake> {
    let checked = match &document.source {
        Ok(source) => document.session(state).check(source, &BTreeMap::new()).err(),
        Err(e) => Some(e.clone()),
    };
    checked.iter().flat_map(Error::iter).map(mistake).collect()
}

fn mistake(e: &Error) -> Mistake {
    // The places of an error in an imported file are those of that file.
    let other = e.elsewhere().and_then(|file| Source::new(&*file.name, &*file.text).ok());
    let place = other.as_ref().zip(e.span()).map(|(s, at)| s.named_location(at.start));
    let message = place.map_or_else(String::new, |p| format!("{p}: ")) + e.message();
    let found = Some(e.span_text()).filter(|t| !t.is_empty()).map(str::to_owned);
    let hint = e.repair().map(|h| format!("try: {h}"));
    let lines = std::iter::once(message).chain(found).chain(e.notes().iter().cloned()).chain(hint);
    let own = other.is_none();
    let labels = e.labels().iter().filter(|_| own).map(|l| (l.span, l.text.clone()));
    Mistake {
        span: e.place().unwrap_or_default(),
        text: lines.collect::<Vec<_>>().join("\n"),
        labels: labels.collect(),
        fix: e.applied().filter(|_| own).cloned(),
    }
}

/// A mistake as a diagnostic.
pub(super) fn diagnostic(uri: &str, document: &Document, mistake: &Mistake) -> Json {
    let place = |(span, text): &(Span, String)| json!({"location": {"uri": uri, "range": document.range(*span)}, "message": text});
    json!({
        "range": document.range(mistake.span),
        "severity": 1,
        "source": "gannet",
        "message": mistake.text,
        "relatedInformation": mistake.labels.iter().map(place).collect::<Vec<_>>(),
    })
}

/// The repairs of the mistakes that touch a range.
pub(super) fn repairs(uri: &str, document: &Document, mistakes: &[Mistake], range: &Json) -> Json {
    let (from, to) = (document.byte(&range["start"]), document.byte(&range["end"]));
    let touched = mistakes.iter().filter(|m| m.span.start <= to && m.span.end >= from);
    let repair = |m: &Mistake| {
        let fix = m.fix.as_ref()?;
        let edit = json!({"range": document.range(fix.span), "newText": fix.text});
        Some(json!({
            "title": title(fix),
            "kind": "quickfix",
            "diagnostics": [diagnostic(uri, document, m)],
            "edit": {"changes": {uri: [edit]}},
        }))
    };
    touched.filter_map(repair).collect::<Vec<_>>().into()
}

/// A repair in words.
fn title(fix: &Fix) -> String {
    let text = cut(&one_line(&fix.text), TITLE);
    match (fix.span.start == fix.span.end, text.is_empty()) {
        (true, _) => format!("insert {text}"),
        (false, true) => "remove this".into(),
        _ => format!("replace by {text}"),
    }
}

/// The statements of a document that lie before a byte, and what is known after them.
fn before(state: &State, document: &Document, at: usize) -> Checked {
    let program = document.source.as_ref().map(|s| parse(s).0).unwrap_or_default();
    let statements = program.statements.into_iter().filter(|s| s.span.end <= at).collect();
    let mut program = Program { statements, ..Program::default() };
    let session = document.session(state);
    // A file that cannot be read has no names.
    let _ = session.options.imports.read(&mut program);
    examine(&program, &session, &BTreeMap::new()).0
}

/// The names that are known after these statements.
fn words(state: &State, known: &Checked) -> Words {
    let mut words = Words::of(state);
    for (name, ty) in &known.bindings {
        words.names.insert(name.clone(), ty.to_string());
        words.types.insert(name.clone(), ty.clone());
    }
    for (name, def) in &known.functions {
        words.names.remove(name);
        let params = def.params.iter().map(|p| p.name.clone()).collect();
        words.functions.insert(name.clone(), params);
    }
    words.directions = known.model.iter().flat_map(|m| m.directions.keys().cloned()).collect();
    words.spaces =
        known.model.iter().flat_map(|m| crate::space::Space::beside(&m.spaces)).collect();
    words
}

/// The completions of the word before a byte.
pub(super) fn completion(state: &State, document: &Document, at: usize) -> Json {
    let known = before(state, document, at);
    let (start, found) =
        complete::in_program(&words(&document.session(state), &known), document.text(), at);
    let range = document.range(Span::new(start, at));
    let after = document.text()[at..].chars().next();
    let item = |(i, c): (usize, Candidate)| {
        // What the editor has closed already is not closed again.
        let new = match after {
            Some(end @ ('"' | '(')) => c.replacement.strip_suffix(end).unwrap_or(&c.replacement),
            _ => &c.replacement,
        };
        json!({
            "label": new.trim_end_matches(['(', ' ', ':', '"']),
            "kind": kind(&c.replacement),
            "detail": c.display.split_once("  ").map_or("", |(_, about)| about),
            "filterText": new,
            // The order of the list, which puts what fits first.
            "sortText": format!("{i:04}"),
            "textEdit": {"range": range, "newText": new},
        })
    };
    found.into_iter().enumerate().map(item).collect::<Vec<_>>().into()
}

/// The kind of a completion, as editors number them.
fn kind(replacement: &str) -> u8 {
    match replacement.chars().last() {
        Some('(') => 3,                                // function
        Some(' ') if replacement.ends_with(": ") => 5, // field
        Some('/') => 19,                               // folder
        Some('"') => 17,                               // file
        _ => 6,                                        // variable
    }
}

/// Help about the word at a byte; `null` where there is none.
pub(super) fn hover(state: &State, document: &Document, at: usize) -> Json {
    let text = document.text();
    let tokens = lex::tokens(text);
    let last = tokens.partition_point(|t| t.span.start <= at).checked_sub(1);
    let Some(token) = last.map(|i| tokens[i]).filter(|t| at <= t.span.end) else {
        return Json::Null;
    };
    match about(state, document, token) {
        lines if lines.is_empty() => Json::Null,
        lines => json!({
            "contents": {"kind": "plaintext", "value": lines.join("\n")},
            "range": document.range(token.span),
        }),
    }
}

fn about(state: &State, document: &Document, token: Token) -> Vec<String> {
    let word = &document.text()[token.span.start..token.span.end];
    let explained = |name, directions: &[String]| help::explained(name, directions);
    match token.kind {
        TokenKind::Space(_) | TokenKind::Keyword => explained(word, &[]),
        TokenKind::Name => name(state, document, token.span, word),
        // `direction("smile")`
        TokenKind::Text => {
            let known = words(state, &before(state, document, token.span.start)).directions;
            let name = word.trim_matches('"');
            known.iter().any(|d| d == name).then(|| explained(name, &known)).flatten()
        }
        _ => None,
    }
    .unwrap_or_default()
}

/// Help about a name: an argument, a variable with its type, a function of the program or a
/// built-in one, a word of the field.
fn name(state: &State, document: &Document, span: Span, word: &str) -> Option<Vec<String>> {
    if let Some(p) = named_parameter(document.text(), span) {
        return Some(vec![parameter(p), one_line(p.doc)]);
    }
    let known = before(state, document, binding(document, span).unwrap_or(span.start));
    if let Some(ty) = known.bindings.get(word) {
        return Some(vec![format!("{word}: {ty}")]);
    }
    if let Some(def) = known.functions.get(word) {
        let params: Vec<&str> = def.params.iter().map(|p| p.name.as_str()).collect();
        return Some(vec![format!("{word}({}) = {}", params.join(", "), def.body)]);
    }
    help::explained(word, &[])
}

/// The end of the statement that binds the name at `span`, where it gets its type.
fn binding(document: &Document, span: Span) -> Option<usize> {
    let (program, _) = parse(document.source.as_ref().ok()?);
    let binds = |s: &&Stmt| match &s.kind {
        StmtKind::Let { name, .. } | StmtKind::Param { name, .. } => name.span == span,
        StmtKind::Def(def) => def.name.span == span,
        _ => false,
    };
    program.statements.iter().find(binds).map(|s| s.span.end)
}
