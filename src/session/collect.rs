//! What a statement gives, until it is recorded.

use super::event::{Chosen, Event, Given};
use super::link::Link;
use super::rewrite::{self, Rewrite};
use super::snapshot::gone;
use crate::builtin::{Exploration, Output};
use crate::error::{Error, Result};
use crate::lang::ast::Stmt;
use crate::latent::Code;
use crate::render::Block;
use crate::value::{Value, details, json};
use serde_json::Value as Json;

/// Collects the results of a statement, to record them before they are shown.
#[derive(Default)]
pub(super) struct Collected<'a> {
    pub(super) given: Vec<Given>,
    /// The statement and the front end that may explore a code for it; `None` where a program or a
    /// journal runs without being asked.
    pub(super) screen: Option<(&'a Stmt, &'a Link)>,
    /// What takes the place of calls in the journal.
    pub(super) rewrites: Vec<Rewrite>,
    /// The details of the last result that has any.
    pub(super) details: Option<Vec<Block>>,
    /// Whether results are for programs: they then include lists as JSON, which has an object for
    /// each number.
    pub(super) lists: bool,
}

impl Output for Collected<'_> {
    fn display(&mut self, blocks: &[Block], value: &Value) -> Result<()> {
        let details = details::of_numbers(blocks).or_else(|| details::details(value));
        self.details = details.or(self.details.take());
        let json = match value {
            Value::List(_) if !self.lists => Json::Null,
            other => json::json(other),
        };
        self.given.push(Given::Value(blocks.to_vec(), json));
        Ok(())
    }

    fn print(&mut self, line: &str) -> Result<()> {
        self.given.push(Given::Print(line.to_owned()));
        Ok(())
    }

    fn print_exact(&mut self, line: &str, exact: &str) -> Result<()> {
        self.print(if self.lists { exact } else { line })
    }

    fn note(&mut self, line: &str) -> Result<()> {
        self.given.push(Given::Note(line.to_owned()));
        Ok(())
    }

    fn explore(&mut self, what: Exploration) -> Result<Option<Code>> {
        let Some((statement, link)) = self.screen else { return Ok(None) };
        let span = what.span;
        if !rewrite::can(statement, span) {
            return Err(Error::runtime(
                "a code is explored where the cell itself says so, not in a function or a list",
            )
            .hint("explore it on a line of its own: w = explore(…)"));
        }
        let (answer, chosen) = std::sync::mpsc::channel();
        let event = Event::Explore { what: Box::new(what), answer };
        link.events.send(event).map_err(|_| gone())?;
        let Ok(Chosen { code, written }) = chosen.recv() else { return Ok(None) };
        self.rewrites.push(Rewrite { span, text: written });
        Ok(Some(code))
    }
}

/// Says in a result's JSON that something of it came from the cache.
pub(super) fn mark(given: &mut Given) {
    if let Given::Value(_, Json::Object(fields)) = given {
        fields.entry("cached").or_insert(true.into());
    }
}
