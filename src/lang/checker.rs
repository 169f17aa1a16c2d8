//! The state of the checker: what is known at one place of a program.
//!
//! Two files add methods to [`Checker`]: `infer.rs` the types of expressions, and `check.rs` the
//! statements, which are made of expressions. Both need the state, so it lies below them.

use super::ast::Def;
use super::span::Source;
use super::types::{Const, ModelFacts, Type, World};
use crate::error::Span;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A type, with the value if it is a constant.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    pub(super) ty: Type,
    pub(super) value: Option<Const>,
}

impl From<Type> for Typed {
    fn from(ty: Type) -> Self {
        Self { ty, value: None }
    }
}

/// The names that an imported file defines, and those of the files that it imports.
#[derive(Clone, Default)]
pub(super) struct Exports {
    pub(super) names: BTreeMap<String, Typed>,
    pub(super) functions: BTreeMap<String, Arc<Def>>,
    /// The key of the file that defines each of them.
    pub(super) from: BTreeMap<String, String>,
}

/// The place where a text got a name.
#[derive(Clone)]
pub(super) struct Origin {
    /// The place in the text that is checked.
    pub(super) span: Span,
    /// The key of the imported file that defines it; `None` for the text itself.
    pub(super) file: Option<String>,
}

/// State of the checker.
pub(super) struct Checker<'a> {
    /// What the session and the built-in functions bring in.
    pub(super) world: &'a dyn World,
    /// Variables of the program.
    pub(super) names: BTreeMap<String, Typed>,
    /// Functions of the program.
    pub(super) functions: BTreeMap<String, Arc<Def>>,
    /// The generator that is current here.
    pub(super) model: Option<Arc<ModelFacts>>,
    /// Parameters and loop variables, the innermost last.
    pub(super) locals: Vec<(String, Typed)>,
    /// Functions whose bodies are being checked.
    pub(super) calls: Vec<String>,
    /// Number of bodies checked so far.
    pub(super) bodies: usize,
    /// Files that the program has written so far.
    pub(super) written: Vec<String>,
    /// Expressions within expressions, through the bodies of functions.
    pub(super) depth: usize,
    /// The imported file that is checked; `None` for the program itself.
    pub(super) file: Option<Arc<Source>>,
    /// Whether a value of an imported file is checked, which must not show or save anything.
    pub(super) binds_only: bool,
    /// The imported files that are checked, by key.
    pub(super) libraries: BTreeMap<String, Exports>,
    /// Where the text got its names.
    pub(super) origins: BTreeMap<String, Origin>,
}

impl<'a> Checker<'a> {
    /// The state before the first statement of a program.
    pub(super) fn new(world: &'a dyn World) -> Self {
        Self {
            world,
            names: BTreeMap::new(),
            functions: BTreeMap::new(),
            model: world.model(),
            locals: Vec::new(),
            calls: Vec::new(),
            bodies: 0,
            written: Vec::new(),
            depth: 0,
            file: None,
            binds_only: false,
            libraries: BTreeMap::new(),
            origins: BTreeMap::new(),
        }
    }

    /// The type of a variable.
    pub(super) fn lookup(&self, name: &str) -> Option<Typed> {
        let local = self.locals.iter().rev().find(|(n, _)| n == name).map(|(_, t)| t);
        local
            .or_else(|| self.names.get(name))
            .cloned()
            .or_else(|| self.world.binding(name).map(Typed::from))
    }

    /// A function, and whether it is defined in the text that is checked.
    pub(super) fn function(&self, name: &str) -> Option<(Arc<Def>, bool)> {
        let file = |d: &Def| d.file.as_ref().map(Arc::as_ptr);
        let own = self.file.as_ref().map(Arc::as_ptr);
        let known = self.functions.get(name).map(|d| (d.clone(), file(d) == own));
        known.or_else(|| self.world.function(name).map(|d| (d, false)))
    }

    /// All names that may be used as a value.
    pub(super) fn known_values(&self) -> Vec<String> {
        let mut known: Vec<String> = self.locals.iter().map(|(n, _)| n.clone()).collect();
        known.extend(self.names.keys().cloned());
        known.extend(self.world.bindings());
        known.extend(self.model.iter().flat_map(|m| m.directions.keys().cloned()));
        known.extend(self.known_functions());
        known
    }

    /// All names that may be called.
    pub(super) fn known_functions(&self) -> Vec<String> {
        self.functions
            .keys()
            .cloned()
            .chain(self.world.names().into_iter().map(String::from))
            .collect()
    }
}
