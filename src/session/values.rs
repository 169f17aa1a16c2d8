//! The values of a session's cells: in memory, kept in the journal, or to be recomputed.
//!
//! A session is determined by what its live cells bind, define and load, in order, so it can be
//! rebuilt from the beginning at any time. Values in memory are bound; others are taken from the
//! journal on demand. Values that the journal does not keep are recomputed with the values,
//! functions and generator that their cell had. Cells that bind nothing never run again: their
//! output was already shown or saved.

use super::effect::{Effect, effect, mentions, with_bodies};
use super::record::{Cell, Status};
use super::results;
use crate::error::{Error, Kind, Result};
use crate::eval;
use crate::lang::ast::Def;
use crate::lang::import::Imports;
use crate::latent::ModelId;
use crate::safe::Safe;
use crate::value::kept::Shared;
use crate::value::{Loaded, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

/// Number of cells whose values stay in memory for undo although later cells bind the same names.
const RECENT: usize = 50;

/// Result of a cell.
#[derive(Clone)]
struct Outcome {
    values: BTreeMap<String, Value>,
    /// The generator after the cell, if the cell loads one.
    model: Option<Generator>,
}

/// A generator that a cell loaded. Undo does not keep it alive: it is loaded again when needed.
#[derive(Clone)]
struct Generator {
    loaded: Weak<Loaded>,
    id: ModelId,
}

impl Generator {
    fn of(loaded: &Arc<Loaded>) -> Self {
        Self { loaded: Arc::downgrade(loaded), id: loaded.id() }
    }

    /// Makes it the current generator of a session.
    ///
    /// # Errors
    /// When it was released and cannot be loaded again.
    fn take_up(self, session: &mut eval::State) -> Result<()> {
        let again = || session.models().loaded(&self.id);
        let found = self.loaded.upgrade().or_else(again).ok_or_else(|| {
            Error::runtime(format!("the generator {} cannot be loaded again", Safe(&self.id.name)))
                .hint("load its file")
        })?;
        session.model = Some(found);
        Ok(())
    }
}

/// The values of the cells of a session.
#[derive(Default)]
pub struct Values {
    effects: BTreeMap<u64, Arc<Effect>>,
    at_hand: BTreeMap<u64, Outcome>,
    /// Cells that tried to load a generator and failed.
    given_up: BTreeSet<u64>,
}

/// Runs a cell again in a session without showing its output.
pub type Run<'a> = dyn FnMut(&mut eval::State, &Cell) -> Result<()> + 'a;

/// Treatment of a cell during a rebuild.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Need {
    /// Its names stay without values.
    Nothing,
    /// Its values are in memory.
    Bind,
    /// These of its names are taken from the journal.
    Recall(BTreeSet<String>),
    /// It runs again.
    Run,
}

/// Plan for rebuilding a session.
pub struct Plan {
    needs: Vec<Need>,
    /// Names in force after the last cell.
    names: BTreeSet<String>,
    /// Number of cells that load a generator and are skipped.
    loads: usize,
    /// The cells that run again: number, names, and whether the user had stopped it.
    again: Vec<(u64, BTreeSet<String>, bool)>,
}

impl Plan {
    /// The names that are recomputed, as text; `None` without such names.
    pub fn computes(&self) -> Option<String> {
        let one = |(id, names, stopped): &(u64, BTreeSet<String>, bool)| {
            let names = names.iter().cloned().collect::<Vec<_>>().join(", ");
            let ends = if *stopped { " (was stopped; runs to the end this time)" } else { "" };
            format!("{names} of [{id}]{ends}")
        };
        let all: Vec<String> = self.again.iter().map(one).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// The names that are recomputed.
    pub fn again(&self) -> BTreeSet<String> {
        self.again.iter().flat_map(|(_, names, _)| names.iter().cloned()).collect()
    }
}

/// A rebuilt session.
pub struct Rebuilt {
    /// The state of the session.
    pub session: eval::State,
    /// Live names that do not have a value in it yet.
    pub missing: BTreeSet<String>,
    /// Number of cells that load a generator and were skipped.
    pub loads: usize,
    /// Errors, by cell.
    pub troubles: Vec<Error>,
}

impl Values {
    /// Keeps the values that a cell bound in a session.
    pub fn put(&mut self, cell: &Cell, session: &eval::State) {
        let effect = self.effect(cell);
        let value = |n: &String| Some((n.clone(), session.names.get(n)?.clone()));
        let loads = with_bodies(&effect.uses, &session.functions).contains("load");
        let model = session.model.as_ref().filter(|_| loads).map(Generator::of);
        let outcome = Outcome { values: effect.binds.iter().filter_map(value).collect(), model };
        self.at_hand.insert(cell.id, outcome);
        self.given_up.remove(&cell.id);
    }

    /// The names that a cell binds.
    pub fn binds(&mut self, cell: &Cell) -> BTreeSet<String> {
        self.effect(cell).binds.clone()
    }

    /// Forgets values that are no longer bound to a name, except for those of the latest cells.
    pub fn forget(&mut self, cells: &[Arc<Cell>]) {
        let mut names = BTreeSet::new();
        let mut stays = BTreeSet::new();
        for (k, cell) in cells.iter().rev().filter(|c| in_force(c)).enumerate() {
            let effect = self.effect(cell);
            let lasting = effect.binds.iter().filter(|n| !results::is_result(n));
            let last = lasting.filter(|n| names.insert((*n).clone())).count() > 0;
            let loads = self.at_hand.get(&cell.id).is_some_and(|o| o.model.is_some());
            if k < RECENT || last || loads {
                stays.insert(cell.id);
            }
        }
        let newest = cells.last().map_or(0, |c| c.id);
        self.at_hand.retain(|id, _| stays.contains(id) || *id > newest);
    }

    /// The names among `missing` that a text needs.
    pub fn wanted(
        text: &str,
        session: &eval::State,
        missing: &BTreeSet<String>,
    ) -> BTreeSet<String> {
        let all = with_bodies(&mentions(text), &session.functions);
        all.intersection(missing).cloned().collect()
    }

    /// Plans the session after these cells, with values for the `wanted` names. With `loads`,
    /// generators are loaded again.
    pub fn plan(&mut self, cells: &[Arc<Cell>], mut wanted: BTreeSet<String>, loads: bool) -> Plan {
        let cells: Vec<&Arc<Cell>> = cells.iter().filter(|c| in_force(c)).collect();
        let effects: Vec<Arc<Effect>> = cells.iter().map(|c| self.effect(c)).collect();
        let (used, names) = forward(&effects);
        let mut plan = Plan { needs: Vec::new(), names, loads: 0, again: Vec::new() };
        for (k, cell) in cells.iter().enumerate().rev() {
            let effect = &effects[k];
            let asked: BTreeSet<String> = effect.binds.intersection(&wanted).cloned().collect();
            wanted
                .retain(|n| !asked.contains(n) && effect.defines.iter().all(|d| d.name.name != *n));
            let loading = used[k].contains("load");
            let need = self.need(cell, &asked, loading && loads);
            if loading && need != Need::Bind && need != Need::Run {
                plan.loads += 1;
            }
            if need == Need::Run {
                wanted.extend(used[k].iter().cloned());
                if !loading {
                    plan.again.push((cell.id, asked, cell.status == Status::Stopped));
                }
            }
            plan.needs.push(need);
        }
        plan.needs.reverse();
        plan.again.reverse();
        plan
    }

    fn need(&self, cell: &Cell, asked: &BTreeSet<String>, load: bool) -> Need {
        if self.at_hand.contains_key(&cell.id) {
            return Need::Bind;
        }
        if load && !self.given_up.contains(&cell.id) {
            return Need::Run;
        }
        if asked.is_empty() {
            return Need::Nothing;
        }
        let kept = |n: &String| cell.values.get(n).is_some_and(|v| !v.is_again());
        if asked.iter().all(kept) { Need::Recall(asked.clone()) } else { Need::Run }
    }

    /// Rebuilds a session from the state `base`.
    ///
    /// # Errors
    /// `Interrupted` when a cell that runs again was stopped. Other failures become troubles of
    /// their cell.
    pub fn build(
        &mut self,
        base: &eval::State,
        cells: &[Arc<Cell>],
        plan: &Plan,
        run: &mut Run<'_>,
    ) -> Result<Rebuilt> {
        let mut session = base.clone();
        let mut troubles = Vec::new();
        // The generator after the cells so far, where it is not yet that of the session.
        let mut generator: Option<Generator> = None;
        for (cell, need) in cells.iter().filter(|c| in_force(c)).zip(&plan.needs) {
            let effect = self.effect(cell);
            if *need == Need::Run {
                troubles.extend(generator.take().and_then(|g| g.take_up(&mut session).err()));
            } else {
                declare(&mut session, &effect);
            }
            let loaded = self.at_hand.get(&cell.id).and_then(|o| o.model.clone());
            generator = loaded.filter(|_| *need == Need::Bind).or(generator);
            match self.take(&mut session, cell, need, run) {
                Err(e) if stopped(&e) => return Err(e),
                Err(e) => troubles.push(e),
                Ok(()) => {}
            }
        }
        troubles.extend(generator.and_then(|g| g.take_up(&mut session).err()));
        let missing =
            plan.names.iter().filter(|n| !session.names.contains_key(*n)).cloned().collect();
        Ok(Rebuilt { session, missing, loads: plan.loads, troubles })
    }

    fn take(
        &mut self,
        session: &mut eval::State,
        cell: &Cell,
        need: &Need,
        run: &mut Run<'_>,
    ) -> Result<()> {
        match need {
            Need::Nothing => Ok(()),
            Need::Bind => {
                let Some(outcome) = self.at_hand.get(&cell.id) else { return Ok(()) };
                session.names.extend(outcome.values.clone());
                Ok(())
            }
            Need::Recall(names) => self
                .recall(session, cell, names)
                .map_err(|e| e.note(format!("[{}] could not be taken from the journal", cell.id))),
            Need::Run => {
                // It may read the names that it binds: these keep their values until it has run.
                if let Err(e) = run(session, cell) {
                    declare(session, &self.effect(cell));
                    if !stopped(&e) {
                        self.given_up.insert(cell.id);
                    }
                    return Err(e.note(format!(
                        "[{}] could not be computed again; later cells may need its values",
                        cell.id
                    )));
                }
                self.put(cell, session);
                same(session, cell)
            }
        }
    }

    /// Binds the wanted names of a cell. Once all its names have values, the cell counts as in
    /// memory.
    fn recall(
        &mut self,
        session: &mut eval::State,
        cell: &Cell,
        names: &BTreeSet<String>,
    ) -> Result<()> {
        for name in names {
            if let Some(value) =
                cell.values.get(name).map(|k| k.value(session.models())).transpose()?.flatten()
            {
                session.names.insert(name.clone(), value);
            }
        }
        if self.effect(cell).binds.iter().all(|n| session.names.contains_key(n)) {
            self.put(cell, session);
        }
        Ok(())
    }

    fn effect(&mut self, cell: &Cell) -> Arc<Effect> {
        let of = || {
            let imports = Imports::default().recorded(&cell.imports);
            let mut effect = effect(&format!("[{}]", cell.id), &cell.source, &imports);
            if results::gives(&cell.source) {
                effect.binds.insert(results::name(cell.id));
            }
            Arc::new(effect)
        };
        self.effects.entry(cell.id).or_insert_with(of).clone()
    }

    /// Whether a cell changed names, functions or the generator; one that only shows something or
    /// saves it did not.
    pub fn changes(&mut self, cell: &Cell) -> bool {
        let effect = self.effect(cell);
        let loads = || {
            effect.uses.contains("load")
                || self.at_hand.get(&cell.id).is_some_and(|o| o.model.is_some())
        };
        let binds = effect.binds.iter().any(|n| !results::is_result(n));
        in_force(cell) && (binds || !effect.defines.is_empty() || loads())
    }

    /// The latest cell that has a numbered result.
    pub fn latest_result(&mut self, cells: &[Arc<Cell>]) -> Option<u64> {
        let mut cells = cells.iter().rev().filter(|c| in_force(c));
        cells.find(|c| self.effect(c).binds.contains(&results::name(c.id))).map(|c| c.id)
    }

    /// Forgets the values of cells whose numbered results have these names.
    pub fn shed(&mut self, names: &BTreeSet<String>) {
        self.at_hand
            .retain(|id, outcome| outcome.model.is_some() || !names.contains(&results::name(*id)));
    }
}

/// Takes up the functions of a cell, and takes the names that it binds away.
fn declare(session: &mut eval::State, effect: &Effect) {
    for name in &effect.binds {
        session.functions.remove(name);
        session.names.remove(name);
    }
    for def in &effect.defines {
        session.names.remove(&def.name.name);
        session.functions.insert(def.name.name.clone(), def.clone());
    }
}

/// Whether a cell changed the session. A failed cell did not, because it is a single statement.
pub fn in_force(cell: &Cell) -> bool {
    cell.status != Status::Failed
}

/// Whether the work was stopped from outside.
pub fn stopped(e: &Error) -> bool {
    matches!(e.kind(), Kind::Interrupted | Kind::Resumable)
}

/// The names that each cell uses, including bodies of functions, and the live names at the end.
fn forward(effects: &[Arc<Effect>]) -> (Vec<BTreeSet<String>>, BTreeSet<String>) {
    let mut functions: BTreeMap<String, Arc<Def>> = BTreeMap::new();
    let (mut used, mut names) = (Vec::with_capacity(effects.len()), BTreeSet::new());
    for effect in effects {
        used.push(with_bodies(&effect.uses, &functions));
        for name in &effect.binds {
            functions.remove(name);
            names.insert(name.clone());
        }
        for def in &effect.defines {
            names.remove(&def.name.name);
            functions.insert(def.name.name.clone(), def.clone());
        }
    }
    (used, names)
}

/// Refuses a value that differs from the recorded one. It stays in the session, because the
/// recorded value is not available.
fn same(session: &eval::State, cell: &Cell) -> Result<()> {
    let differs = |(name, kept): &(&String, &Shared)| {
        session.names.get(*name).is_some_and(|v| kept.differs(v))
    };
    match cell.values.iter().find(differs) {
        Some((name, _)) => Err(Error::new(
            Kind::Runtime,
            format!(
                "{name} of [{}] was computed again and differs from its recorded value",
                cell.id
            ),
        )
        .hint("a file that it reads may have changed, or this machine computes differently")),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
