//! The state of a session: its names, functions and generator.

use super::Evaluator;
use crate::builtin::Output;
use crate::builtins;
use crate::cache::Cache;
use crate::control::{Control, Stop};
use crate::error::{Error, Kind, Result};
use crate::lang::ast::{Def, Stmt};
use crate::lang::check::{self, Checked};
use crate::lang::import::Imports;
use crate::lang::parse;
use crate::lang::span::Source;
use crate::lang::types::{Generators, ModelFacts, Signature, Type, World};
use crate::value::{Loaded, Models, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Options of a session.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of everything random that is not given one.
    pub seed: u64,
    /// Folder for saved results.
    pub out: PathBuf,
    /// Whether `save` must stay inside `out`.
    pub confined: bool,
    /// Whether `name = value` shows the value, as at the prompt.
    pub echo: bool,
    /// Whether pictures are described in words.
    pub describe: bool,
    /// Folder for checkpoints of long work.
    pub checkpoints: Option<PathBuf>,
    /// Whether a cell runs again only for its value: `save` then replaces no file.
    pub replaying: bool,
    /// Results of earlier computations.
    pub cache: Cache,
    /// Location of imported files.
    pub imports: Imports,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            out: PathBuf::new(),
            confined: true,
            echo: false,
            describe: false,
            checkpoints: None,
            replaying: false,
            cache: Cache::default(),
            imports: Imports::default(),
        }
    }
}

/// Names, functions and the generator of a running session. Cheap to clone: undo keeps the old one.
#[derive(Clone)]
pub struct State {
    /// Values by name.
    pub names: BTreeMap<String, Value>,
    /// Functions by name.
    pub functions: BTreeMap<String, Arc<Def>>,
    /// The current generator.
    pub model: Option<Arc<Loaded>>,
    /// Options of the session.
    pub options: Options,
    /// The name to which the value of an expression is bound, if any: its numbered result.
    pub result: Option<String>,
    pub(super) models: Arc<Models>,
    /// The generators that its values refer to, and the current one, as of the last load.
    pub(super) held: Vec<Arc<Loaded>>,
    pub(super) loads: usize,
}

impl State {
    /// A session with the generator of that name or path loaded; see [`Models::load`].
    ///
    /// # Errors
    /// When the generator cannot be loaded.
    pub fn new(models: Arc<Models>, generator: &str, options: Options) -> Result<Self> {
        let model = models.load(generator)?;
        model.ready()?;
        let model = Some(model);
        let (names, functions) = (BTreeMap::new(), BTreeMap::new());
        let held = model.iter().cloned().collect();
        let loads = models.loads();
        Ok(Self { names, functions, model, options, result: None, models, held, loads })
    }

    /// The loaded generators of the session.
    pub fn models(&self) -> &Arc<Models> {
        &self.models
    }

    /// Parses a program, reads what it imports, and checks it in this session; `sets` override its
    /// parameters.
    ///
    /// # Errors
    /// All errors of the pass, joined.
    pub fn check(&self, source: &Source, sets: &BTreeMap<String, String>) -> Result<Checked> {
        let (mut program, mut errors) = parse::parse(source);
        errors.extend(self.options.imports.read(&mut program));
        if let Some(e) = Error::all(errors) {
            return Err(e);
        }
        check::check(&program, self, sets)
    }

    /// Checks a program, then runs it statement by statement.
    ///
    /// # Errors
    /// Check errors before anything ran; else the first statement that failed. Effects of earlier
    /// statements stay.
    pub fn run(
        &mut self,
        source: &Source,
        sets: &BTreeMap<String, String>,
        control: &Control,
        output: &mut dyn Output,
    ) -> Result<()> {
        let checked = self.check(source, sets)?;
        checked.program.statements.iter().try_for_each(|s| self.step(source, s, control, output))
    }

    /// Runs one statement of a checked program, whose text `source` is. Its bindings stay, even when
    /// it was stopped with the best result so far.
    ///
    /// # Errors
    /// When it fails; `Kept` when it was asked to stop, after its result was kept and shown.
    pub fn step(
        &mut self,
        source: &Source,
        statement: &Stmt,
        control: &Control,
        output: &mut dyn Output,
    ) -> Result<()> {
        Evaluator::new(self, source, control, output).statement(statement)?;
        self.hold();
        match control.stop() {
            Stop::No => Ok(()),
            _ => Err(Error::new(Kind::Kept, "stopped; the best so far is kept").at(statement.span)),
        }
    }
}

impl State {
    /// After a load, keeps the generators that the values refer to and lets go of the others.
    fn hold(&mut self) {
        let loads = self.models.loads();
        if loads == self.loads {
            return;
        }
        self.loads = loads;
        let mut needed = BTreeMap::new();
        for value in self.names.values() {
            value.each_model(&mut |id| {
                needed.entry(id.fingerprint.clone()).or_insert_with(|| id.clone());
            });
        }
        // The current one as well: values may refer to it before the next load.
        let values = needed.values().filter_map(|id| self.models.alive(id));
        self.held = values.chain(self.model.clone()).collect();
    }
}

impl World for State {
    fn signature(&self, name: &str) -> Option<&Signature> {
        builtins::find(name).map(|b| &b.signature)
    }

    fn names(&self) -> Vec<&'static str> {
        builtins::ALL.iter().map(|b| b.signature.name).collect()
    }

    fn model(&self) -> Option<Arc<ModelFacts>> {
        self.model.as_ref().map(|m| m.facts.clone())
    }

    fn generators(&self) -> &dyn Generators {
        &*self.models
    }

    fn binding(&self, name: &str) -> Option<Type> {
        self.names.get(name).map(|value| value.ty_in(&*self.models))
    }

    fn bindings(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    fn function(&self, name: &str) -> Option<Arc<Def>> {
        self.functions.get(name).cloned()
    }

    fn confined(&self) -> bool {
        self.options.confined
    }
}
