//! The whole program is checked before its first statement runs: names, types, spaces, generators,
//! layers.

use super::ast::{Def, Expr, ExprKind, Ident, Import, Library, Program, Stmt, StmtKind};
use super::checker::{Checker, Exports, Origin, Typed};
use super::parse::parse;
use super::span::Source;
use super::suggest::did_you_mean;
use super::types::{Const, Generators, ModelFacts, Signature, Type, World};
use crate::error::{Error, Result, Span};
use crate::limits::LIMITS;
use crate::safe::Safe;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is known about a program. One without errors may run.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The program; the values of `--set` replace those of its `param` statements.
    pub program: Program,
    /// The types of the names that it binds, as they are at its end.
    pub bindings: BTreeMap<String, Type>,
    /// The functions that it defines.
    pub functions: BTreeMap<String, Arc<Def>>,
    /// The generator that is current at its end.
    pub model: Option<Arc<ModelFacts>>,
    /// The files that it writes, as far as their names are constants.
    pub written: Vec<String>,
}

/// Checks a program. `sets` are the `--set name=value` of the command line; every one must name a
/// `param`.
///
/// # Errors
/// All errors that were found, one a statement at most, joined by [`Error::all`]. A name whose
/// statement failed is taken as fitting everywhere, so that one slip costs one error.
pub fn check(
    program: &Program,
    world: &dyn World,
    sets: &BTreeMap<String, String>,
) -> Result<Checked> {
    let (checked, errors) = examine(program, world, sets);
    Error::all(errors).map_or(Ok(checked), Err)
}

/// As [`check`], but gives what is known even where there are errors.
pub fn examine(
    program: &Program,
    world: &dyn World,
    sets: &BTreeMap<String, String>,
) -> (Checked, Vec<Error>) {
    let mut checker = Checker::new(world);
    let mut errors = unknown_sets(program, sets);
    let mut program = program.clone();
    for statement in &mut program.statements {
        if let Err(error) = checker.statement(statement, sets) {
            errors.push(error);
            checker.forgive(statement);
        }
    }
    let checked = Checked {
        program,
        bindings: checker.names.into_iter().map(|(name, typed)| (name, typed.ty)).collect(),
        functions: checker.functions,
        model: checker.model,
        written: checker.written,
    };
    (checked, errors)
}

/// The values of a range: from its first on, its end included when a step lands on it. The step is
/// 1 unless given.
///
/// ```
/// # use gannet::lang::check::numbers;
/// assert_eq!(numbers(-3.0, 3.0, Some(1.5))?, [-3.0, -1.5, 0.0, 1.5, 3.0]);
/// # Ok::<(), gannet::error::Error>(())
/// ```
///
/// # Errors
/// A step of 0 or away from the end, and more values than a list may have.
pub fn numbers(from: f64, to: f64, step: Option<f64>) -> Result<Vec<f64>> {
    let step = step.unwrap_or(1.0);
    let steps = (to - from) / step;
    if !steps.is_finite() || steps < 0.0 {
        let error =
            Error::runtime(format!("the range {from}..{to} by {step} never reaches its end"));
        return Err(
            error.hint(format!("{from}..{to} by {}", if step == 0.0 { 1.0 } else { -step }))
        );
    }
    // 0..1 by 0.1 lands on its end but for rounding, which must not cost a value.
    let count = (steps + 1e-9).floor() + 1.0;
    if count > LIMITS.list_len as f64 {
        let message =
            format!("the range {from}..{to} by {step} has more than {} values", LIMITS.list_len);
        return Err(Error::new(crate::error::Kind::Limit, message).hint("take a larger step"));
    }
    Ok((0..count as usize).map(|i| from + i as f64 * step).collect())
}

impl Checker<'_> {
    fn statement(&mut self, statement: &mut Stmt, sets: &BTreeMap<String, String>) -> Result<()> {
        match &mut statement.kind {
            StmtKind::Let { name, value } => {
                let typed = self.value(value)?;
                self.own(name)?;
                self.names.insert(name.name.clone(), typed);
            }
            StmtKind::Param { name, value } => {
                let typed = self.param(&name.name, value, sets.get(&name.name))?;
                self.own(name)?;
                self.names.insert(name.name.clone(), typed);
            }
            StmtKind::Import(import) => self.import(import, sets)?,
            StmtKind::Def(def) => {
                self.own(&def.name)?;
                let locals =
                    def.params.iter().map(|p| (p.name.clone(), Type::Unknown.into())).collect();
                self.functions.insert(def.name.name.clone(), def.clone());
                let def = def.clone();
                // Its own model of the current generator: a `load` in a body happens when it is
                // called.
                let model = self.model.clone();
                let result = self.body(&def, locals);
                self.model = model;
                result?;
            }
            StmtKind::Load(call) | StmtKind::Show(call) => {
                self.call(None, call, statement.span)?;
            }
            StmtKind::Assert(value) => {
                let outer = std::mem::replace(&mut self.binds_only, self.file.is_some());
                let checked = self.wants_bool(value, "`assert`");
                self.binds_only = outer;
                checked?;
            }
            StmtKind::Expr(value) => {
                self.infer(value)?;
            }
        }
        Ok(())
    }

    /// Binds the names of a failed statement to a type that fits everywhere.
    fn forgive(&mut self, statement: &Stmt) {
        match &statement.kind {
            StmtKind::Let { name, .. } | StmtKind::Param { name, .. } => {
                self.names.insert(name.name.clone(), Type::Unknown.into());
            }
            StmtKind::Def(def) => {
                self.functions.remove(&def.name.name);
                self.names.insert(def.name.name.clone(), Type::Unknown.into());
            }
            StmtKind::Load(_) => self.model = None,
            StmtKind::Import(import) => {
                let library = import.library.as_deref();
                library.into_iter().flat_map(|l| &l.statements).for_each(|s| self.forgive(s));
            }
            _ => {}
        }
    }

    /// The type of a value that is bound.
    fn value(&mut self, value: &Expr) -> Result<Typed> {
        let outer = std::mem::replace(&mut self.binds_only, self.file.is_some());
        let typed = self.infer(value);
        self.binds_only = outer;
        typed
    }

    /// Notes that the text itself gives this name a meaning.
    fn own(&mut self, name: &Ident) -> Result<()> {
        let origin = Origin { span: name.span, file: None };
        match self.origins.insert(name.name.clone(), origin) {
            Some(Origin { span, file: Some(file) }) => {
                let name = &name.name;
                let message = format!("`{name}` comes from the imported {}", Safe(&file));
                let error = Error::check(message).at(self.origins[name].span);
                Err(error.label(span, "imported here").hint("choose another name"))
            }
            _ => Ok(()),
        }
    }

    /// Checks an imported file on its own, with nothing but its own names, and takes over what it
    /// defines.
    fn import(&mut self, import: &mut Import, sets: &BTreeMap<String, String>) -> Result<()> {
        let span = import.span;
        let Some(library) = &import.library else {
            return Err(Error::check("this file was not read").at(span));
        };
        let known = self.libraries.get(&library.key).cloned();
        import.repeated = known.is_some();
        let exports = match known {
            Some(exports) => exports,
            None => {
                let mut checked = Library::clone(library);
                let exports = self.library(&mut checked, sets);
                let exports = exports.map_err(|e| checked.source.holds(e, span))?;
                import.library = Some(Arc::new(checked));
                exports
            }
        };
        self.take(exports, span)
    }

    fn library(
        &mut self,
        library: &mut Library,
        sets: &BTreeMap<String, String>,
    ) -> Result<Exports> {
        let alone = Alone(self.world);
        let mut inner = Checker::new(&alone);
        inner.file = Some(library.source.clone());
        inner.model.clone_from(&self.model);
        inner.libraries = std::mem::take(&mut self.libraries);
        let mut errors = Vec::new();
        for statement in &mut library.statements {
            if let Err(error) = inner.statement(statement, sets) {
                errors.push(error);
                inner.forgive(statement);
            }
        }
        let Checker { names, functions, origins, libraries, .. } = inner;
        self.libraries = libraries;
        if let Some(e) = Error::all(errors) {
            return Err(e);
        }
        let key = &library.key;
        let from = origins.into_iter().map(|(n, o)| (n, o.file.unwrap_or_else(|| key.clone())));
        let exports = Exports { names, functions, from: from.collect() };
        self.libraries.insert(key.clone(), exports.clone());
        Ok(exports)
    }

    /// Takes over the names of an imported file, each of which must be new.
    fn take(&mut self, exports: Exports, span: Span) -> Result<()> {
        for (name, file) in &exports.from {
            match self.origins.get(name) {
                Some(Origin { file: Some(other), .. }) if other == file => {}
                Some(origin) => return Err(clash(name, file, origin).at(span)),
                None => {
                    let origin = Origin { span, file: Some(file.clone()) };
                    self.origins.insert(name.clone(), origin);
                }
            }
        }
        self.names.extend(exports.names);
        self.functions.extend(exports.functions);
        Ok(())
    }

    /// The value of a parameter: the default, or what `--set` says, which must be of the default's
    /// type.
    fn param(&mut self, name: &str, default: &mut Expr, set: Option<&String>) -> Result<Typed> {
        let typed = self.infer(default)?;
        if typed.value.is_none() {
            let error =
                Error::check(format!("the default of `{name}` is not a constant")).at(default.span);
            return Err(error.hint("a number, a text, true, false, a space or a range"));
        }
        let Some(set) = set else { return Ok(typed) };
        let value = self
            .literal(set)
            .filter(|v| std::mem::discriminant(&v.ty) == std::mem::discriminant(&typed.ty));
        let value = match (value, &typed.ty) {
            (Some(value), _) => value,
            // On a command line the shell has already taken the quotes.
            (None, Type::Text) => Typed { ty: Type::Text, value: Some(Const::Text(set.clone())) },
            (None, ty) => {
                let error =
                    Error::check(format!("--set {name}={set}: `{name}` is {ty}")).at(default.span);
                return Err(error.found("its default").hint(format!("--set {name}={default}")));
            }
        };
        if let Some(constant) = &value.value {
            *default = written(constant, default.span);
        }
        Ok(value)
    }

    /// A constant written in the language.
    fn literal(&mut self, text: &str) -> Option<Typed> {
        let (program, errors) = parse(&Source::new("--set", text).ok()?);
        match (program.statements.as_slice(), errors.as_slice()) {
            ([Stmt { kind: StmtKind::Expr(e), .. }], []) if is_literal(e) => {
                self.infer(e).ok().filter(|t| t.value.is_some())
            }
            _ => None,
        }
    }
}

/// The error of an imported name that the text has already.
fn clash(name: &str, file: &str, there: &Origin) -> Error {
    let error = match &there.file {
        Some(other) => {
            let (file, other) = (Safe(file), Safe(other));
            Error::check(format!("{other} and {file} both define `{name}`"))
        }
        None => Error::check(format!("{} defines `{name}`, which is defined here", Safe(file))),
    };
    error.label(there.span, format!("`{name}`")).hint("give one of them another name")
}

/// What an imported file sees of the world: functions and generators, but no names of the session.
struct Alone<'a>(&'a dyn World);

impl World for Alone<'_> {
    fn signature(&self, name: &str) -> Option<&Signature> {
        self.0.signature(name)
    }

    fn names(&self) -> Vec<&'static str> {
        self.0.names()
    }

    fn model(&self) -> Option<Arc<ModelFacts>> {
        self.0.model()
    }

    fn generators(&self) -> &dyn Generators {
        self.0.generators()
    }

    fn binding(&self, _: &str) -> Option<Type> {
        None
    }

    fn bindings(&self) -> Vec<String> {
        Vec::new()
    }

    fn confined(&self) -> bool {
        self.0.confined()
    }

    fn function(&self, _: &str) -> Option<Arc<Def>> {
        None
    }
}

fn is_literal(e: &Expr) -> bool {
    !matches!(e.kind, ExprKind::Name(_) | ExprKind::Call(_) | ExprKind::Pipe { .. })
        && e.children().into_iter().all(is_literal)
}

/// A constant as an expression at a place.
fn written(value: &Const, span: Span) -> Expr {
    let boxed = |n: f64| Box::new(written(&Const::Number(n), span));
    let kind = match value {
        Const::Number(n) if *n < 0.0 => ExprKind::Neg(boxed(-n)),
        Const::Number(n) => ExprKind::Number(*n),
        Const::Text(t) => ExprKind::Text(t.clone()),
        Const::Bool(b) => ExprKind::Bool(*b),
        Const::Space(s) => ExprKind::Space(*s),
        Const::Range(a, b, step) => {
            ExprKind::Range { from: boxed(*a), to: boxed(*b), step: step.map(boxed) }
        }
        Const::Choice(word, _) => ExprKind::Name(word.clone()),
    };
    Expr::new(kind, span)
}

/// The parameters of these statements and of the files that they import.
fn parameters<'s>(statements: &'s [Stmt], all: &mut Vec<&'s str>) {
    for statement in statements {
        match &statement.kind {
            StmtKind::Param { name, .. } => all.push(&name.name),
            StmtKind::Import(Import { library: Some(library), .. }) => {
                parameters(&library.statements, all);
            }
            _ => {}
        }
    }
}

/// The `--set` that name no parameter.
fn unknown_sets(program: &Program, sets: &BTreeMap<String, String>) -> Vec<Error> {
    let mut params = Vec::new();
    parameters(&program.statements, &mut params);
    let unknown = sets.keys().filter(|k| !params.contains(&k.as_str()));
    let error = |key: &String| {
        let error = Error::check(format!("--set {key}: the program has no parameter `{key}`"));
        match did_you_mean(key, params.iter().copied()) {
            Some(hint) => error.hint(hint),
            None if params.is_empty() => {
                error.hint(format!("declare it in the script: `param {key} = 1`"))
            }
            None => error.hint(format!("its parameters are {}", params.join(", "))),
        }
    };
    unknown.map(error).collect()
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
