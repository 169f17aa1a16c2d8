//! What the session reports while the cells of a notebook run.

use super::model::{Notebook, Running};
use super::outputs::{Piece, Ran, Status, add_lines};
use super::room::Asked;
use crate::control::Progress;
use crate::error::{Error, Kind, Result};
use crate::lang::span::{Source, render};
use crate::session::{Event, Given, Reply};
use crate::words;
use std::collections::BTreeSet;
use std::time::Duration;

/// The beginning of the message about values that are computed again.
const AGAIN: &str = "computing again: ";

impl Notebook {
    /// Takes the session's events; returns whether something changed, and whether that is more than
    /// progress.
    pub fn take_events(&mut self) -> (bool, bool) {
        let (mut any, mut more) = (false, false);
        while let Some(event) = self.session.next(Duration::ZERO) {
            any = true;
            more |= !matches!(event, Event::Progress(_));
            self.take(event);
        }
        (any, more)
    }

    /// Waits a while for the next event and takes it.
    pub fn wait(&mut self) {
        if let Some(event) = self.session.next(Duration::from_millis(100)) {
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Progress(new) => {
                if let Some(running) = &mut self.running {
                    let old = running.progress.take().and_then(|p| p.preview);
                    let preview = new.preview.or(old);
                    running.progress = Some(Progress { preview, ..new });
                    running.reports += 1;
                }
                return;
            }
            Event::Begins { title, .. } => {
                if let Some(running) = &mut self.running {
                    (running.title, running.progress) = (title, None);
                }
            }
            Event::Given(all) => {
                self.note_names();
                all.into_iter().for_each(|g| self.given(g));
            }
            Event::Failed(source, e) => self.failed(&source, &e),
            Event::Line(line) => match &mut self.running {
                Some(running) => add_lines(&mut running.output, vec![line]),
                None => self.say(line),
            },
            // No part of the results.
            Event::Quiet(line) => self.say(line),
            Event::Again { names, .. } => self.again(&names),
            Event::Trouble(e) => self.trouble(&e),
            Event::Explore { what, answer } => self.asked = Some(Asked { what, answer }),
            Event::Rewritten(text) => self.rewritten(&text),
            Event::Done(reply) => self.done(reply),
        }
        self.revision += 1;
    }

    /// Says which values are computed again, with the cells as the notebook numbers them.
    fn again(&mut self, names: &BTreeSet<String>) {
        let links = self.links();
        let of = |name: &String| {
            let at = links.iter().rposition(|l| l.writes.contains(name));
            at.map_or(name.clone(), |k| format!("{name} of cell {}", k + 1))
        };
        let all: Vec<String> = names.iter().map(of).collect();
        self.say(format!("{AGAIN}{}", all.join(", ")));
    }

    /// Notes the values of the statement whose results come next.
    fn note_names(&mut self) {
        let snapshot = self.session.snapshot();
        let (Some(running), Some(cell)) = (&mut self.running, snapshot.log.cells().last()) else {
            return;
        };
        running.names.extend(cell.values.keys().cloned());
    }

    /// Writes the edits that replace the calls of `explore` into the running cell. The cell stays
    /// fresh, because the edits give the values that it computed.
    fn rewritten(&mut self, text: &str) {
        let Some((id, before, key)) =
            self.running.as_ref().map(|r| (r.id, r.text.clone(), r.key.clone()))
        else {
            return;
        };
        let Some(at) = self.editor.document().place(id) else { return };
        if self.editor.document().cells()[at].text != before {
            return self.say("the cell was changed meanwhile: its explored code is not written");
        }
        let fresh = self.links()[at].key == key;
        self.editor.rewrite(at, text);
        let key = self.links()[at].key.clone();
        if let Some(running) = self.running.as_mut().filter(|_| fresh) {
            running.key = key;
        }
    }

    fn given(&mut self, given: Given) {
        let Some(running) = &mut self.running else { return };
        match given {
            Given::Print(line) | Given::Note(line) => {
                add_lines(&mut running.output, line.lines().map(str::to_owned).collect());
            }
            Given::Value(blocks, _) => {
                let (pieces, fine) = self.outputs.pieces(&blocks);
                for piece in pieces {
                    match piece {
                        Piece::Text { lines } => add_lines(&mut running.output, lines),
                        other => running.output.push(other),
                    }
                }
                if let Err(e) = fine {
                    self.trouble(&e);
                }
            }
        }
    }

    fn failed(&mut self, source: &Source, e: &Error) {
        let Some(running) = &mut self.running else { return self.trouble(e) };
        running.status = match e.kind() {
            Kind::Kept => Status::Kept,
            Kind::Interrupted | Kind::Resumable => Status::Cut,
            _ => Status::Failed,
        };
        if running.status == Status::Failed {
            let number = self.editor.document().place(running.id).map_or(0, |k| k + 1);
            // The journal's number would name another cell.
            let named = Source::new(format!("cell {number}"), source.text());
            let text = named.map_or_else(|e| e.to_string(), |s| render(&s, e, false));
            let lines = text.lines().map(str::to_owned).collect();
            running.output.push(Piece::Error { lines });
        } else {
            add_lines(&mut running.output, vec![e.message().to_owned()]);
        }
    }

    fn done(&mut self, reply: Result<Reply>) {
        if std::mem::take(&mut self.resuming) {
            let promised = std::mem::take(&mut self.promised);
            match reply {
                Ok(Reply::Resumed(Some(_))) => self.bound = promised,
                Ok(_) => {}
                Err(e) => self.trouble(&e),
            }
            return self.next();
        }
        let Some(mut running) = self.running.take() else { return };
        self.message.take_if(|message| message.text.starts_with(AGAIN));
        let ended = matches!(reply, Ok(Reply::Ran(true)));
        if let Err(e) = reply {
            running.output.push(Piece::Error { lines: vec![format!("error: {}", e.message())] });
            running.status = Status::Failed;
        } else if !ended && running.status == Status::Ok {
            running.status = Status::Cut;
        }
        for name in running.writes {
            match running.status {
                Status::Ok | Status::Kept => self.bound.insert(name, running.key.clone()),
                // Some of its statements may have run.
                Status::Failed | Status::Cut => self.bound.remove(&name),
            };
        }
        let left = self.queue.len();
        if !matches!(running.status, Status::Ok | Status::Kept) && left > 0 {
            self.queue.clear();
            self.say(format!("{} did not run", words::count(left, "more cell")));
        }
        let millis = u64::try_from(running.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Running { id, key, late, status, output, names, hits, .. } = running;
        let cached = self.session.snapshot().state.options.cache.hits() > hits;
        self.ran.insert(id, Ran { key, late, status, millis, cached, output, names });
        self.stamps.insert(id, self.revision);
        self.unwritten = true;
        self.next();
    }
}
