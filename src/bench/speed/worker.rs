//! A row's work in a process of its own, so that its memory is its own: both ends of the line.
//!
//! The worker prepares itself and says what it is; then it answers every line on its standard input
//! with one round. The end of its input is its end: it does not outlive the process that asks.

use super::subject::{Facts, Job, Subject, Times};
use crate::control::{Control, Stop};
use crate::error::{Error, Kind, Result};
use crate::value::Models;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Interval at which the stop signal is polled.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers of a worker, a line of JSON each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    Ready(Facts),
    Round(Times),
    Failed { message: String, hint: Option<String> },
}

/// The worker's end: prepares `job`, whose generator is loaded to `models`, then measures a round
/// for every line of `requests`.
///
/// # Errors
/// When an answer cannot be written. Failures of the work are sent as answers, not returned.
pub fn serve(
    job: &Job,
    models: &Models,
    requests: impl BufRead,
    mut answer: impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    let mut say = |reply: &Reply| {
        let text = serde_json::to_string(reply)
            .map_err(|e| Error::runtime(format!("no answer can be written: {e}")))?;
        answer(&text)
    };
    let failed = |e: Error| Reply::Failed {
        message: e.message().to_owned(),
        hint: e.repair().map(str::to_owned),
    };
    let subject = match Subject::prepare(job, models) {
        Ok(subject) => subject,
        Err(e) => return say(&failed(e)),
    };
    say(&Reply::Ready(subject.facts().clone()))?;
    for line in requests.lines() {
        if line.is_err() {
            break;
        }
        say(&subject.round().map_or_else(failed, Reply::Round))?;
    }
    Ok(())
}

/// The asking end. A worker that is let go is ended.
pub(super) struct Worker {
    child: Child,
    requests: Option<ChildStdin>,
    replies: Receiver<String>,
    title: String,
}

impl Worker {
    /// Starts the process; its first answer is [`Reply::Ready`].
    pub fn start(mut command: Command, job: &Job) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Ctrl-C goes to the parent process, which decides what happens to the worker.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child =
            command.spawn().map_err(|e| Error::io("cannot start a process to measure in", &e))?;
        let (send, replies) = channel();
        if let Some(out) = child.stdout.take() {
            let read = move || {
                BufReader::new(out)
                    .lines()
                    .map_while(|l| l.ok())
                    .all(|line| send.send(line).is_ok())
            };
            let thread = std::thread::Builder::new().name("worker".into()).spawn(read);
            thread.map_err(|e| Error::io("cannot start a thread", &e))?;
        }
        Ok(Self { requests: child.stdin.take(), child, replies, title: job.title() })
    }

    /// Asks for a round.
    pub fn ask(&mut self) {
        // One that has gone away is noticed when its answer is waited for.
        if let Some(requests) = &mut self.requests {
            let _ = requests.write_all(b"round\n").and_then(|()| requests.flush());
        }
    }

    /// The next answer; `None` when it was stopped meanwhile.
    pub fn wait(&mut self, control: &Control) -> Result<Option<Reply>> {
        loop {
            match control.stop() {
                Stop::No => {}
                Stop::Keep | Stop::Checkpoint => return Ok(None),
                Stop::Abort => {
                    return Err(Error::new(Kind::Interrupted, "stopped; no rows were kept"));
                }
            }
            match self.replies.recv_timeout(PAUSE) {
                Ok(line) => return self.read(&line).map(Some),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(self.gone()),
            }
        }
    }

    fn read(&self, line: &str) -> Result<Reply> {
        match serde_json::from_str(line) {
            Ok(Reply::Failed { message, hint }) => {
                let e = Error::runtime(format!("{}: {message}", self.title));
                Err(match hint {
                    Some(hint) => e.hint(hint),
                    None => e,
                })
            }
            Ok(reply) => Ok(reply),
            Err(e) => Err(Error::runtime(format!(
                "{}: the measuring process answered nonsense: {e}",
                self.title
            ))),
        }
    }

    fn gone(&mut self) -> Error {
        let how = self.child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
        Error::runtime(format!("{}: the measuring process ended: {how}", self.title))
            .hint("killed for its memory, perhaps: a smaller --batch or --resolution needs less")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.requests = None;
        // It may be in the middle of a long round, whose result is not wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::super::subject::What;
    use super::*;

    fn answers(what: What, requests: &str) -> Vec<Reply> {
        let mut lines = Vec::new();
        let job = Job { what, batch: 1, seed: 0 };
        serve(&job, &Models::cpu(), requests.as_bytes(), |line| {
            lines.push(serde_json::from_str(line).unwrap());
            Ok(())
        })
        .unwrap();
        lines
    }

    #[test]
    fn every_line_is_answered_with_a_round_until_the_end() {
        let found = answers(What::Model("toy".into()), "round\nround\n");
        assert!(matches!(&found[0], Reply::Ready(f) if f.resolution == 32), "{found:?}");
        assert!(
            found[1..].iter().all(|r| matches!(r, Reply::Round(t) if !t.step.is_empty())),
            "{found:?}"
        );
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn what_fails_is_answered_with_its_repair() {
        let found = answers(What::Official(7), "round\n");
        assert!(
            matches!(&found[..], [Reply::Failed { message, hint: Some(_) }] if message.contains('7')),
            "{found:?}"
        );
    }

    #[cfg(unix)]
    fn worker(script: &str) -> Worker {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Worker::start(command, &Job { what: What::Official(8), batch: 1, seed: 0 }).unwrap()
    }

    #[test]
    #[cfg(unix)]
    fn a_worker_that_dies_or_errs_is_an_error_that_names_the_row() {
        let control = Control::default();
        let e = worker("exit 3").wait(&control).unwrap_err();
        assert!(
            e.message().contains("official 8") && e.message().contains('3') && e.repair().is_some(),
            "{e:?}"
        );
        let e = worker("echo '{'; sleep 9").wait(&control).unwrap_err();
        assert!(e.message().contains("nonsense"), "{e:?}");
        let e = worker(r#"echo '{"failed": {"message": "no", "hint": "yes"}}'; sleep 9"#)
            .wait(&control)
            .unwrap_err();
        assert_eq!((e.message(), e.repair()), ("official 8: no", Some("yes")));
    }

    #[test]
    #[cfg(unix)]
    fn a_stop_ends_the_wait_and_the_process() {
        let control = Control::default();
        control.request(Stop::Keep);
        let mut silent = worker("sleep 60");
        assert_eq!(silent.wait(&control).unwrap(), None);
        control.request(Stop::Abort);
        assert_eq!(silent.wait(&control).unwrap_err().kind(), Kind::Interrupted);
        let clock = std::time::Instant::now();
        drop(silent);
        assert!(clock.elapsed() < Duration::from_secs(30), "it was ended, not waited for");
    }
}
