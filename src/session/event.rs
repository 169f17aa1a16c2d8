//! Results of statements, kept until they are recorded and shown.

use crate::builtin::Output;
use crate::error::Result;
use crate::render::Display;
use crate::value::{Value, display};

/// What a statement gave, in order.
#[derive(Clone, Debug)]
pub enum Event {
    /// Pictures and lines, and the value behind them for `--json`.
    Display(Display, serde_json::Value),
    /// A line for other programs.
    Print(String),
    /// What was left undone.
    Note(String),
}

/// Collects what a statement gives, so that it can be recorded before it is shown.
#[derive(Default)]
pub struct Collected {
    /// What was given so far.
    pub events: Vec<Event>,
    /// Whether lists are wanted as JSON: as an object a number they are large.
    pub lists: bool,
}

impl Output for Collected {
    fn display(&mut self, shown: &Display, value: &Value) -> Result<()> {
        let json = match value {
            Value::List(_) if !self.lists => serde_json::Value::Null,
            other => display::json(other),
        };
        self.events.push(Event::Display(shown.clone(), json));
        Ok(())
    }

    fn print(&mut self, line: &str) -> Result<()> {
        self.events.push(Event::Print(line.to_owned()));
        Ok(())
    }

    fn note(&mut self, line: &str) -> Result<()> {
        self.events.push(Event::Note(line.to_owned()));
        Ok(())
    }
}
