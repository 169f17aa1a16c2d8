//! Progress as JSON objects, for other programs that watch a run.

use crate::control::Progress;
use crate::session::{Event, Place};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

/// Minimum time between two reports about one statement; its last step is always reported.
const PAUSE: Duration = Duration::from_millis(100);

/// The running statement.
struct Running {
    number: usize,
    begun: Instant,
    /// When its results came.
    ended: Option<Instant>,
    reported: Option<Instant>,
}

/// Turns the events of a run into objects.
#[derive(Default)]
pub(super) struct Report {
    running: Option<Running>,
}

impl Report {
    /// The objects of an event: a statement ends, another one begins.
    pub(super) fn event(&mut self, event: &Event, now: Instant) -> Vec<Json> {
        match event {
            Event::Begins { title, place: Some(place), .. } => {
                let ended = self.end(true, now);
                ended.into_iter().chain([self.begin(title, place, now)]).collect()
            }
            Event::Given(_) => {
                if let Some(running) = &mut self.running {
                    running.ended = Some(now);
                }
                Vec::new()
            }
            Event::Done(reply) => self.end(reply.is_ok(), now).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn begin(&mut self, title: &str, place: &Place, now: Instant) -> Json {
        let Place { number, of, line, kind } = *place;
        self.running = Some(Running { number, begun: now, ended: None, reported: None });
        json!({"event": "begin", "statement": number, "statements": of, "line": line,
            "kind": kind, "text": title})
    }

    /// The end of the running statement, if there is one.
    fn end(&mut self, ok: bool, now: Instant) -> Option<Json> {
        let Running { number, begun, ended, .. } = self.running.take()?;
        let seconds = seconds(ended.unwrap_or(now).saturating_duration_since(begun));
        Some(json!({"event": "end", "statement": number, "ok": ok, "seconds": seconds}))
    }

    /// The object of a step, when it is due.
    pub(super) fn progress(&mut self, progress: &Progress, now: Instant) -> Option<Json> {
        let running = self.running.as_mut()?;
        let soon = |last: Instant| now.saturating_duration_since(last) < PAUSE;
        if progress.step < progress.total && running.reported.is_some_and(soon) {
            return None;
        }
        running.reported = Some(now);
        let losses = &progress.losses;
        let loss = (!losses.is_empty()).then(|| losses.iter().map(|l| l.1).sum::<f64>());
        let terms: serde_json::Map<String, Json> =
            losses.iter().map(|(name, v)| ((*name).to_owned(), json!(v))).collect();
        Some(json!({"event": "progress", "statement": running.number, "kind": progress.title,
            "step": progress.step, "of": progress.total, "loss": loss, "losses": terms,
            "seconds": seconds(now.saturating_duration_since(running.begun))}))
    }
}

/// Seconds with three digits.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::session::Reply;

    fn begins(number: usize) -> Event {
        let place = Place { number, of: 2, line: number + 3, kind: "binding" };
        Event::Begins { title: "r = invert(x)".into(), place: Some(place), further: None }
    }

    fn step(step: usize) -> Progress {
        let losses = vec![("pixel", 0.25), ("offset", 0.5)];
        Progress { losses, ..Progress::new("invert W+".into(), (step, 40)) }
    }

    #[test]
    fn a_run_is_a_line_of_objects() {
        let (mut report, begun) = (Report::default(), Instant::now());
        let at = |ms: u64| begun + Duration::from_millis(ms);
        assert!(report.progress(&step(1), begun).is_none(), "nothing runs");
        let first = report.event(&begins(1), begun);
        assert_eq!(
            first,
            [json!({"event": "begin", "statement": 1, "statements": 2, "line": 4,
                "kind": "binding", "text": "r = invert(x)"})]
        );
        let due: Vec<Json> =
            (1..=40).filter_map(|k| report.progress(&step(k), at(10 * k as u64))).collect();
        let steps: Vec<u64> = due.iter().map(|o| o["step"].as_u64().unwrap()).collect();
        assert_eq!(steps, [1, 11, 21, 31, 40]);
        assert_eq!(
            due[1],
            json!({"event": "progress", "statement": 1, "kind": "invert W+", "step": 11, "of": 40,
                "loss": 0.75, "losses": {"pixel": 0.25, "offset": 0.5}, "seconds": 0.11})
        );
        assert!(report.event(&Event::Given(Vec::new()), at(500)).is_empty());
        let next = report.event(&begins(2), at(900));
        assert_eq!(next[0], json!({"event": "end", "statement": 1, "ok": true, "seconds": 0.5}));
        assert_eq!(next[1]["statement"], 2);
        let failed = Event::Done(Err(Error::runtime("no")));
        let last = report.event(&failed, at(1000));
        assert_eq!(last, [json!({"event": "end", "statement": 2, "ok": false, "seconds": 0.1})]);
        assert!(report.event(&Event::Done(Ok(Reply::Ran(true))), at(1000)).is_empty());
    }
}
