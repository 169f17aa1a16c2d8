//! Effect of a cell on the session, derived from its text.

use crate::lang::ast::{Def, Expr, ExprKind, Library, Stmt, StmtKind};
use crate::lang::import::Imports;
use crate::lang::parse;
use crate::lang::span::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Effect of a cell on the names of the session.
#[derive(Clone, Debug, Default)]
pub(super) struct Effect {
    /// Names that it binds.
    pub binds: BTreeSet<String>,
    /// Functions that it defines.
    pub defines: Vec<Arc<Def>>,
    /// Names and functions that its statements use. Function bodies do not count: a body uses the
    /// values at the time of its call.
    pub uses: BTreeSet<String>,
}

/// The effect of a text with this name; empty for a text that does not parse. Imported files are
/// read where `imports` says.
pub(super) fn effect(name: &str, text: &str, imports: &Imports) -> Effect {
    let Ok(source) = Source::new(name, text) else { return Effect::default() };
    let mut program = parse::parse(&source).0;
    // A file that cannot be read defines nothing.
    let _ = imports.read(&mut program);
    let mut effect = of(&program.statements);
    let source = Arc::new(source);
    for def in &mut effect.defines {
        *def = def.defined_in(&source);
    }
    effect
}

/// The effect of statements whose imports have been read.
pub(super) fn of(statements: &[Stmt]) -> Effect {
    let mut effect = Effect::default();
    for statement in statements {
        match &statement.kind {
            StmtKind::Import(import) => {
                effect.import(import.library.as_deref());
                continue;
            }
            StmtKind::Def(def) => {
                effect.binds.remove(&def.name.name);
                effect.defines.push(def.clone());
                continue;
            }
            StmtKind::Let { name, .. } | StmtKind::Param { name, .. } => {
                effect.defines.retain(|d| d.name.name != name.name);
                effect.binds.insert(name.name.clone());
            }
            StmtKind::Load(call) | StmtKind::Show(call) => {
                effect.uses.insert(call.name.name.clone());
            }
            StmtKind::Assert(_) | StmtKind::Expr(_) => {}
        }
        statement.kind.children().into_iter().for_each(|e| uses(e, &mut effect.uses));
    }
    effect
}

impl Effect {
    /// Adds the effect of an imported file, which uses no names but its own.
    fn import(&mut self, library: Option<&Library>) {
        let inner = of(library.map_or(&[][..], |l| &l.statements));
        let own: BTreeSet<&str> = inner.defines.iter().map(|d| &d.name.name[..]).collect();
        let foreign = |n: &&String| !inner.binds.contains(*n) && !own.contains(&n[..]);
        self.uses.extend(inner.uses.iter().filter(foreign).cloned());
        self.binds.retain(|n| !own.contains(&n[..]));
        self.defines
            .retain(|d| !inner.binds.contains(&d.name.name) && !own.contains(&d.name.name[..]));
        self.binds.extend(inner.binds);
        self.defines.extend(inner.defines);
    }
}

/// The names and functions of the session that a text uses, including the bodies of functions that
/// it defines. Imported files use none.
pub(super) fn mentions(text: &str) -> BTreeSet<String> {
    let Ok(source) = Source::new("", text) else { return BTreeSet::new() };
    let Effect { mut uses, defines, .. } = of(&parse::parse(&source).0.statements);
    defines.iter().for_each(|def| uses.append(&mut of_body(def)));
    uses
}

/// The names and functions that a body uses, except its own parameters.
fn of_body(def: &Def) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    uses(&def.body, &mut all);
    def.params.iter().for_each(|p| {
        all.remove(&p.name);
    });
    all
}

/// Adds the names and functions that an expression uses.
fn uses(e: &Expr, all: &mut BTreeSet<String>) {
    match &e.kind {
        ExprKind::Comprehension { body, var, over, filter } => {
            let mut inner = BTreeSet::new();
            uses(body, &mut inner);
            filter.iter().for_each(|f| uses(f, &mut inner));
            inner.remove(&var.name);
            all.append(&mut inner);
            return uses(over, all);
        }
        ExprKind::Name(name) => {
            all.insert(name.clone());
        }
        ExprKind::Call(call) | ExprKind::Pipe { call, .. } => {
            all.insert(call.name.name.clone());
        }
        _ => {}
    }
    e.children().into_iter().for_each(|child| uses(child, all));
}

/// The names, and all names that functions among them use, directly or indirectly.
pub(super) fn with_bodies(
    names: &BTreeSet<String>,
    functions: &BTreeMap<String, Arc<Def>>,
) -> BTreeSet<String> {
    let (mut all, mut rest) = (BTreeSet::new(), names.iter().cloned().collect::<Vec<_>>());
    while let Some(name) = rest.pop() {
        if let (Some(def), true) = (functions.get(&name), all.insert(name.clone())) {
            rest.extend(of_body(def));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &BTreeSet<String>) -> String {
        all.iter().cloned().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_a_text_binds_defines_and_uses() {
        for (text, binds, defines, used) in [
            ("a = 1 + b", "a", "", "b"),
            ("param k = 2", "k", "", ""),
            ("def f(x) = x + far", "", "f", ""),
            ("def f(x) = x; f = 3", "f", "", ""),
            ("f = 3; def f(x) = x", "", "f", ""),
            ("load \"toy\"", "", "", "load"),
            ("show a, [b], c[d]", "", "", "a b c d show"),
            ("r = invert(x, init: latent, start: s)", "r", "", "invert latent s x"),
            ("g = x |> f(y)", "g", "", "f x y"),
            ("[f(v) + o for v in over if v > low]", "", "", "f low o over"),
            ("[v for v in v]", "", "", "v"),
            ("assert -(a @ 0..n) | c == d", "", "", "a c d n"),
            ("(((", "", "", ""),
        ] {
            let e = effect("", text, &Imports::default());
            let defined: Vec<&str> = e.defines.iter().map(|d| &d.name.name[..]).collect();
            assert_eq!(
                (names(&e.binds), defined.join(" "), names(&e.uses)),
                (binds.into(), defines.into(), used.into()),
                "{text}"
            );
        }
    }

    #[test]
    fn bodies_are_followed_once() {
        let mut functions = BTreeMap::new();
        for text in ["def f(x) = g(x) + a", "def g(x) = f(x) + b", "def h(x) = c"] {
            let def = effect("", text, &Imports::default()).defines.remove(0);
            functions.insert(def.name.name.clone(), def);
        }
        let asked = BTreeSet::from(["f".to_owned(), "z".to_owned()]);
        assert_eq!(names(&with_bodies(&asked, &functions)), "a b f g z");
        assert_eq!(names(&mentions("def k(x) = x + [y for y in f(x)] + low")), "f low");
    }
}
