//! The files that cells read, from their syntax trees.
//!
//! A text may name a file where the same cell calls a function that reads files
//! ([`Param::reads`](crate::lang::types::Param::reads)), directly or through functions of the
//! program. This finds files that are only mentioned as well: a cell is then stale once too often.

use crate::builtins;
use crate::error::Span;
use crate::lang::ast::{Call, Expr, ExprKind, StmtKind};
use crate::lang::bind::bind;
use crate::lang::types::Files;
use crate::store::{Look, Stamps};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Bytes of the largest file that counts by its content; a larger one counts by size and times.
const HASHED: u64 = 64 << 20;

/// Texts by the name that they are bound to.
pub(super) type Literals = BTreeMap<String, BTreeSet<String>>;

/// What may name files, and what reads them.
#[derive(Clone, Debug, Default)]
pub(super) struct Mentions {
    texts: BTreeSet<String>,
    names: BTreeSet<String>,
    readers: BTreeSet<&'static str>,
}

impl Mentions {
    /// Adds what a statement mentions.
    pub(super) fn statement(&mut self, kind: &StmtKind) {
        match kind {
            StmtKind::Load(call) | StmtKind::Show(call) => self.call(call, None, call.name.span),
            _ => kind.children().into_iter().for_each(|e| self.add(e)),
        }
    }

    /// Adds what an expression mentions. What is handed to a function that does not read it does
    /// not count, such as the name of a file to write, or of a generator.
    pub(super) fn add(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Text(text) => drop(self.texts.insert(text.clone())),
            ExprKind::Name(name) => drop(self.names.insert(name.clone())),
            ExprKind::Call(call) => self.call(call, None, e.span),
            ExprKind::Pipe { lhs, call, .. } => self.call(call, Some(lhs), e.span),
            _ => e.children().into_iter().for_each(|child| self.add(child)),
        }
    }

    fn call(&mut self, call: &Call, piped: Option<&Expr>, span: Span) {
        let builtin = builtins::find(&call.name.name);
        let bound =
            builtin.and_then(|b| Some((b, bind(&b.signature, piped, &call.args, span).ok()?)));
        let Some((builtin, bound)) = bound else {
            return piped
                .into_iter()
                .chain(call.args.iter().map(|a| &a.value))
                .for_each(|e| self.add(e));
        };
        let params = builtin.signature.params;
        if params.iter().any(|p| p.reads.is_some()) {
            self.readers.insert(builtin.signature.name);
        }
        for (param, given) in params.iter().zip(bound) {
            given
                .into_iter()
                .filter(|e| param.reads.is_some() || !is_plain(e))
                .for_each(|e| self.add(e));
        }
    }

    /// The inputs that are meant, with names bound to `literals`.
    pub(super) fn inputs(&self, literals: &Literals) -> Vec<Input> {
        if self.readers.is_empty() {
            return Vec::new();
        }
        let named = self.names.iter().filter_map(|name| literals.get(name)).flatten();
        let texts: BTreeSet<&String> = self.texts.iter().chain(named).collect();
        let reads = |name: &&str| {
            let params = builtins::find(name).map_or(&[][..], |b| b.signature.params);
            params.iter().filter_map(|p| p.reads)
        };
        let all = self.readers.iter().flat_map(reads);
        all.flat_map(|files| texts.iter().map(move |text| Input::of(files, text))).collect()
    }
}

/// Whether an expression is a text, a name, or a list of these.
fn is_plain(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Text(_) | ExprKind::Name(_) => true,
        ExprKind::List(items) => items.iter().all(is_plain),
        _ => false,
    }
}

/// The texts that a statement binds to a name, when it does nothing else.
pub(super) fn literal(kind: &StmtKind) -> Option<(&str, BTreeSet<String>)> {
    let (StmtKind::Let { name, value } | StmtKind::Param { name, value }) = kind else {
        return None;
    };
    let text = |e: &Expr| match &e.kind {
        ExprKind::Text(text) => Some(text.clone()),
        _ => None,
    };
    let texts = match &value.kind {
        ExprKind::List(items) => items.iter().map(text).collect::<Option<_>>()?,
        _ => BTreeSet::from([text(value)?]),
    };
    Some((&name.name, texts))
}

/// The files that a text names, as they were.
#[derive(Debug)]
pub(super) struct Input {
    files: Files,
    text: String,
    found: Vec<(PathBuf, Option<Look>)>,
}

impl Input {
    fn of(files: Files, text: &str) -> Self {
        Self { files, text: text.to_owned(), found: look(files, text) }
    }

    /// Whether other files are named now, or one has changed.
    pub(super) fn changed(&self) -> bool {
        look(self.files, &self.text) != self.found
    }

    /// Adds the files that exist, with the hashes of their content.
    pub(super) fn stamp(&self, stamps: &Stamps, all: &mut BTreeMap<String, String>) {
        for (path, look) in &self.found {
            let hash = match look {
                None => continue,
                // Hashing it would take too long on the screen's thread.
                Some(look) if look.bytes() > HASHED => Some(format!("{look:?}")),
                // What is no regular file is read by nothing.
                Some(_) => stamps.of(path).ok(),
            };
            all.extend(hash.map(|hash| (path.to_string_lossy().into_owned(), hash)));
        }
    }
}

fn look(files: Files, text: &str) -> Vec<(PathBuf, Option<Look>)> {
    files(text).into_iter().map(|path| (path.clone(), Stamps::look(&path))).collect()
}
