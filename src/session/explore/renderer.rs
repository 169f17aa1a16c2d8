//! The session of an exploration: it runs the programs whose pictures are wanted.
//!
//! Nothing is queued. While a program runs, the front end collects moves; when the program is done,
//! the most wanted of the programs that are wanted then runs next.

use super::model::Model;
use super::program::ASIDE;
use crate::builtin::as_latent;
use crate::cache::Cache;
use crate::control::Stop;
use crate::error::{Error, Kind, Result};
use crate::eval::{Options, State};
use crate::image::Raster;
use crate::lang::span::Source;
use crate::latent::Code;
use crate::render::Block;
use crate::session::{Event, Given, Request, Session, Start};
use crate::value::{Loaded, Value};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of pictures that are kept.
const KEPT: usize = 64 << 20;
/// Answers that are kept.
const ANSWERS: usize = 4096;

/// What a program gave.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The last picture that it showed.
    pub picture: Option<Arc<Raster>>,
    /// That picture in words; empty where the session does not describe pictures.
    pub words: String,
    /// The lines that it printed.
    pub lines: Vec<String>,
    /// The code that it bound to the exploration's name; only of a program that shows nothing.
    pub code: Option<Code>,
    /// The error that it ended with.
    pub error: Option<Error>,
}

/// The session of an exploration.
pub struct Renderer {
    session: Session,
    running: Option<Running>,
    answers: Answers,
}

struct Running {
    program: String,
    /// Whether it was asked to stop, because something more wanted waits.
    stopped: bool,
    answer: Answer,
}

impl Renderer {
    /// Begins a session with a state and the values that an exploration needs besides.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub fn new(state: &State, bound: Vec<(String, Value)>) -> Result<Self> {
        let mut state = state.clone();
        // Every move would leave a picture there.
        let cache = Cache::default();
        state.options = Options { echo: false, checkpoints: None, cache, ..state.options };
        state.names.extend(bound);
        let start = Start { state, model: String::new(), folder: None, lists: false };
        Ok(Self { session: Session::start(start)?, running: None, answers: Answers::default() })
    }

    /// The answer to a program, if it ran.
    pub fn answer(&self, program: &str) -> Option<&Answer> {
        self.answers.all.get(program)
    }

    /// Whether a program runs.
    pub fn busy(&self) -> bool {
        self.running.is_some()
    }

    /// Runs the first of the programs that has no answer yet, the most wanted one first. If
    /// another program runs, that goes on, except that the first one does not wait for others.
    ///
    /// # Errors
    /// When a program is not a text of the language.
    pub fn want(&mut self, programs: &[String]) -> Result<()> {
        let open = programs.iter().find(|p| !self.answers.all.contains_key(*p));
        let Some(open) = open else { return Ok(()) };
        let Some(running) = &mut self.running else { return self.begin(open) };
        let first = programs.first() == Some(open) && running.program != *open;
        if first && !running.stopped && running.program.starts_with(ASIDE) {
            running.stopped = true;
            if let Some(control) = self.session.control() {
                control.request(Stop::Abort);
            }
        }
        Ok(())
    }

    fn begin(&mut self, program: &str) -> Result<()> {
        let source = Source::new("explore", program)?;
        self.session.submit(Request::Program { source, sets: BTreeMap::new() }, false)?;
        self.running = Some(Running {
            program: program.to_owned(),
            stopped: false,
            answer: Answer::default(),
        });
        Ok(())
    }

    /// Takes what the running program gives within `wait`. Returns whether it is done.
    pub fn take(&mut self, wait: Duration) -> bool {
        let mut wait = wait;
        while let Some(running) = &mut self.running {
            match self.session.next(wait) {
                None => return false,
                Some(Event::Given(given)) => given.into_iter().for_each(|g| running.take(g)),
                Some(Event::Done(reply)) => {
                    let Some(Running { program, stopped, mut answer }) = self.running.take() else {
                        return true;
                    };
                    answer.error = reply.err();
                    if answer.picture.is_none() && answer.lines.is_empty() {
                        answer.code = self.bound(&program);
                    }
                    let interrupted =
                        answer.error.as_ref().is_some_and(|e| e.kind() == Kind::Interrupted);
                    if !(stopped && interrupted) {
                        self.answers.put(program, answer);
                    }
                    return true;
                }
                Some(_) => {}
            }
            wait = wait.max(Duration::from_millis(1));
        }
        false
    }

    /// The code that the first line of a program has bound.
    fn bound(&self, program: &str) -> Option<Code> {
        let line = program.strip_prefix(ASIDE).unwrap_or(program);
        let (name, _) = line.split_once(" = ")?;
        self.session.snapshot().state.names.get(name).and_then(as_latent)
    }

    /// The generator.
    pub fn model(&self) -> Option<Arc<Loaded>> {
        self.session.snapshot().state.model.clone()
    }

    /// Waits for the answer to a program.
    ///
    /// # Errors
    /// When the program fails.
    pub fn wait(&mut self, program: &str) -> Result<Answer> {
        loop {
            if let Some(answer) = self.answer(program) {
                return answer.error.clone().map_or_else(|| Ok(answer.clone()), Err);
            }
            self.want(&[program.to_owned()])?;
            self.take(Duration::from_millis(50));
        }
    }

    /// The code of the settings now.
    ///
    /// # Errors
    /// When its program fails.
    pub fn code(&mut self, model: &Model) -> Result<Code> {
        let program = format!("{} = {}\n", model.subject.result, model.expression());
        self.wait(&program)?.code.ok_or_else(|| {
            Error::runtime("the explored code has no value")
                .hint("leave with Esc, and explore again")
        })
    }
}

impl Running {
    fn take(&mut self, given: Given) {
        match given {
            Given::Value(blocks, _) => {
                for block in blocks {
                    if let Block::Pictures(pictures) = block
                        && let Some(last) = pictures.into_iter().next_back()
                    {
                        self.answer.words = last.words;
                        self.answer.picture = Some(Arc::new(last.raster));
                    }
                }
            }
            Given::Print(line) | Given::Note(line) => self.answer.lines.push(line),
        }
    }
}

/// The answers so far; the oldest are forgotten.
#[derive(Default)]
struct Answers {
    all: BTreeMap<String, Answer>,
    order: VecDeque<String>,
    bytes: usize,
}

impl Answers {
    fn put(&mut self, program: String, answer: Answer) {
        self.bytes += weight(&answer);
        self.order.push_back(program.clone());
        if let Some(before) = self.all.insert(program, answer) {
            self.bytes = self.bytes.saturating_sub(weight(&before));
        }
        while self.order.len() > 1 && (self.bytes > KEPT || self.order.len() > ANSWERS) {
            let Some(oldest) = self.order.pop_front() else { return };
            // One that was put again since has a younger place in the order.
            if self.order.contains(&oldest) {
                continue;
            }
            if let Some(gone) = self.all.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(weight(&gone));
            }
        }
    }
}

fn weight(answer: &Answer) -> usize {
    answer.picture.as_ref().map_or(0, |p| p.data.len())
}
