//! Checks the notebook while the user types, in a thread of its own.

use crate::error::{Error, Span};
use crate::eval::State;
use crate::lang::parse;
use crate::lang::span::Source;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// Stack of the thread. The checker recurses, and its depth limit assumes this size.
const STACK: usize = 64 << 20;

/// A text to check.
pub struct Job {
    /// Version of the notebook.
    pub version: u64,
    /// The whole program.
    pub text: String,
    /// The session before the first cell; `None` checks only the grammar.
    pub state: Option<State>,
}

/// A mistake, with its bytes in the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub span: Span,
    /// What, with the repair.
    pub text: String,
}

/// The thread that checks.
pub struct Checker {
    jobs: Option<Sender<Job>>,
    found: Receiver<(u64, Vec<Mistake>)>,
    thread: Option<JoinHandle<()>>,
}

impl Checker {
    /// Starts the thread. Without one, nothing is checked before it runs.
    pub fn start() -> Self {
        let (jobs, incoming) = channel::<Job>();
        let (send, found) = channel();
        let work = move || {
            while let Ok(mut job) = incoming.recv() {
                // Only the latest text matters.
                while let Ok(newer) = incoming.try_recv() {
                    job = newer;
                }
                if send.send((job.version, check(&job))).is_err() {
                    return;
                }
            }
        };
        let builder = std::thread::Builder::new().name("checker".into()).stack_size(STACK);
        Self { jobs: Some(jobs), found, thread: builder.spawn(work).ok() }
    }

    /// Asks for a check.
    pub fn ask(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // A thread that is gone checks nothing.
            let _ = jobs.send(job);
        }
    }

    /// The latest mistakes, with the version that they belong to.
    pub fn take(&self) -> Option<(u64, Vec<Mistake>)> {
        self.found.try_iter().last()
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported a panic.
            let _ = thread.join();
        }
    }
}

fn check(job: &Job) -> Vec<Mistake> {
    let Ok(source) = Source::new("notebook", job.text.as_str()) else { return Vec::new() };
    let error = match &job.state {
        Some(state) => state.check(&source, &BTreeMap::new()).err(),
        None => Error::all(parse::parse(&source).1),
    };
    let one = |e: &Error| {
        let hint = e.repair().map_or(String::new(), |h| format!(" · try: {h}"));
        let file = e.elsewhere().map_or(String::new(), |file| format!("{}: ", file.name));
        Some(Mistake { span: e.place()?, text: format!("{file}{}{hint}", e.message()) })
    };
    error.iter().flat_map(Error::iter).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Options;
    use crate::value::Models;

    #[test]
    fn mistakes_are_found_with_and_without_types() {
        let state = State::new(Models::cpu(), "toy", Options::default()).unwrap();
        for (text, types, found) in [
            ("#%%\nx = 1\n#%% md\nnot ( code\n#%%\ny = x + nosuch\n", true, 1),
            ("#%%\ny = x + nosuch\n", false, 0),
            ("#%%\na = ((\n#%%\nb = )\n", false, 2),
            ("", true, 0),
        ] {
            let job = Job { version: 1, text: text.into(), state: types.then(|| state.clone()) };
            let mistakes = check(&job);
            assert_eq!(mistakes.len(), found, "{text}: {mistakes:?}");
            assert!(mistakes.iter().all(|m| text.get(m.span.start..m.span.end).is_some()));
        }
    }

    #[test]
    fn the_thread_answers_and_ends() {
        let checker = Checker::start();
        checker.ask(Job { version: 7, text: "a = (".into(), state: None });
        let found = loop {
            if let Some(found) = checker.take() {
                break found;
            }
            std::thread::yield_now();
        };
        assert_eq!((found.0, found.1.len()), (7, 1));
    }
}
