//! Speed and memory of synthesis, its gradient and an inversion.
//!
//! Every row is measured in a process of its own ([`serve`]), whose peak memory is then the row's.
//! [`run`] asks the processes in turn for one round each, so that a machine that is slow for a
//! while is slow for all rows.

pub mod official;
mod row;
mod subject;
mod work;
mod worker;

pub use row::{DEFINITIONS, Row, table};
pub use subject::{Facts, Job, STEPS, Times, What, setting};
pub use work::{Work, forward};
pub use worker::serve;

use crate::control::{Control, Progress};
use crate::error::{Error, Result};
use std::process::Command;
use std::time::{Duration, Instant};
use worker::{Reply, Worker};

/// Rounds of a row at least, unless they take too long.
const ROUNDS: usize = 5;
/// Time of a row at least, and when no further round begins.
const LEAST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(20);

/// Results of the benchmark.
#[derive(Clone, Debug)]
pub struct Found {
    /// The rows that have at least one round.
    pub rows: Vec<Row>,
    /// Whether it was stopped before all rows had all rounds.
    pub stopped: bool,
}

/// Measures the rows: `rounds` rounds each, or as many as it takes. `start` gives the command that
/// runs [`serve`] for a row.
///
/// When it is stopped to keep what there is, it ends with the rounds that are whole.
///
/// # Errors
/// When a process cannot be started or fails; `Interrupted` when it is aborted.
pub fn run(
    jobs: &[Job],
    rounds: Option<usize>,
    start: impl Fn(&Job) -> Result<Command>,
    control: &Control,
) -> Result<Found> {
    let plan = Plan { rounds, rows: jobs.len(), control };
    let threads = rayon::current_num_threads();
    let before = crate::tensor::ceiling(threads);
    let mut measured = Vec::new();
    let whole = begin(jobs, start, &plan, &mut measured)? && take_turns(&mut measured, &plan)?;
    // Twice, and the better one counts: what else ran at one of the moments does not lower a
    // ceiling.
    let ceiling = before.max(crate::tensor::ceiling(threads));
    measured.retain(|m| !m.times.is_empty());
    let mut rows: Vec<Row> = measured.iter().map(|m| m.row(ceiling)).collect();
    for i in 0..rows.len() {
        let single = Job { batch: 1, ..measured[i].job.clone() };
        let other = measured.iter().position(|m| *m.job == single).filter(|other| *other != i);
        if let Some(single) = other.map(|other| rows[other].clone()) {
            rows[i].compare(&single);
        }
    }
    Ok(Found { rows, stopped: !whole })
}

/// Prepares the rows one after the other; whether all are.
fn begin<'a>(
    jobs: &'a [Job],
    start: impl Fn(&Job) -> Result<Command>,
    plan: &Plan<'_>,
    all: &mut Vec<Measured<'a>>,
) -> Result<bool> {
    for job in jobs {
        plan.report(format!("speed: {}, preparing", job.title()), all);
        let mut worker = Worker::start(start(job)?, job)?;
        match worker.wait(plan.control)? {
            Some(Reply::Ready(facts)) => {
                all.push(Measured { job, facts, worker, times: Vec::new(), spent: Duration::ZERO });
            }
            Some(_) => return Err(out_of_turn(job)),
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// Rounds in turn until all rows have enough; whether they have.
fn take_turns(all: &mut [Measured<'_>], plan: &Plan<'_>) -> Result<bool> {
    while all.iter().any(|m| plan.wants(m)) {
        for i in 0..all.len() {
            if !plan.wants(&all[i]) {
                continue;
            }
            plan.report(
                format!("speed: {}, round {}", all[i].job.title(), all[i].times.len() + 1),
                all,
            );
            if !all[i].round(plan.control)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn out_of_turn(job: &Job) -> Error {
    Error::runtime(format!("{}: the measuring process answered out of turn", job.title()))
}

/// A row that is being measured.
struct Measured<'a> {
    job: &'a Job,
    facts: Facts,
    worker: Worker,
    times: Vec<Times>,
    spent: Duration,
}

impl Measured<'_> {
    /// One more round; false when it was stopped meanwhile.
    fn round(&mut self, control: &Control) -> Result<bool> {
        let clock = Instant::now();
        self.worker.ask();
        match self.worker.wait(control)? {
            Some(Reply::Round(times)) => self.times.push(times),
            Some(_) => return Err(out_of_turn(self.job)),
            None => return Ok(false),
        }
        self.spent += clock.elapsed();
        Ok(true)
    }

    /// The ceiling is this machine's CPU's: a GPU has another.
    fn row(&self, ceiling: f64) -> Row {
        Row::new(
            self.job,
            &self.facts,
            &self.times,
            (self.facts.device == "cpu").then_some(ceiling),
        )
    }
}

/// Number of rounds, and the observer of the run.
struct Plan<'a> {
    rounds: Option<usize>,
    rows: usize,
    control: &'a Control,
}

impl Plan<'_> {
    fn wants(&self, m: &Measured<'_>) -> bool {
        wants(self.rounds, m.times.len(), m.spent)
    }

    /// Tells the progress of the whole; without a fixed number, rounds above the usual one are not
    /// foreseen.
    fn report(&self, title: String, all: &[Measured<'_>]) {
        let each = self.rounds.unwrap_or(ROUNDS);
        let step =
            all.iter().map(|m| if self.wants(m) { m.times.len().min(each) } else { each }).sum();
        self.control.report(Progress::new(title, (step, self.rows * each)));
    }
}

/// Whether a row with this number of rounds and this time gets another round.
fn wants(fixed: Option<usize>, rounds: usize, spent: Duration) -> bool {
    match fixed {
        Some(n) => rounds < n,
        None => rounds == 0 || (spent < MOST && (rounds < ROUNDS || spent < LEAST)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_rows_get_time_and_slow_ones_get_an_end() {
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        assert!(wants(None, 4, s(2)) && !wants(None, 5, s(2)));
        assert!(wants(None, 50, ms(900)) && !wants(None, 50, ms(1100)));
        assert!(wants(None, 1, s(19)) && !wants(None, 1, s(21)));
        assert!(wants(None, 0, s(60)) && wants(Some(9), 8, s(600)) && !wants(Some(1), 1, ms(1)));
    }

    /// A process that answers as a worker of 8 pixels does, in no time; `rounds` times.
    #[cfg(unix)]
    fn fake(rounds: usize) -> Command {
        let ready = r#"{"ready":{"generator":"g","resolution":8,"threads":1,"device":"cpu","dtype":"f32","work":{"gflop":1.0,"bytes":2.0},"inversion":null}}"#;
        let round = r#"{"round":{"forward":[10.0],"step":[30.0],"inversion":[],"peak":5.0}}"#;
        let mut command = Command::new("sh");
        let script = format!(
            "echo '{ready}'; for i in $(seq {rounds}); do read line; echo '{round}'; done; sleep 9"
        );
        command.args(["-c", &script]);
        command
    }

    #[cfg(unix)]
    fn job(resolution: usize) -> Job {
        Job { what: What::Official(resolution), batch: 1, seed: 0 }
    }

    #[test]
    #[cfg(unix)]
    fn rows_take_turns_and_carry_their_numbers() {
        let titles = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = titles.clone();
        let control = Control::new(move |p| heard.lock().unwrap().push((p.title, p.step, p.total)));
        let found = run(&[job(8), job(16)], Some(2), |_| Ok(fake(2)), &control).unwrap();
        assert!(!found.stopped && found.rows.len() == 2);
        let row = &found.rows[1];
        assert_eq!(
            (row.rounds, row.forward_ms, row.step_ms, row.peak_mb),
            (2, Some(10.0), Some(30.0), Some(5.0))
        );
        // 1 GFLOP in 10 ms against what this machine does.
        let ceiling = row.ceiling_gflops.unwrap();
        assert!((row.ceiling_share.unwrap() - 100.0 / ceiling).abs() < 1e-9);
        let titles = titles.lock().unwrap();
        let said: Vec<&str> = titles[2..].iter().map(|(t, _, _)| t.as_str()).collect();
        let rounds =
            |r: usize| ["8", "16"].map(|side| format!("speed: official {side}, round {r}"));
        assert_eq!(said, [rounds(1), rounds(2)].concat());
        assert_eq!(titles.last().map(|(_, step, total)| (*step, *total)), Some((3, 4)));
    }

    #[test]
    #[cfg(unix)]
    fn a_batch_is_compared_with_one_picture_at_a_time_of_the_same_work() {
        let jobs = [job(8), Job { batch: 4, ..job(8) }, Job { batch: 4, ..job(16) }];
        let found = run(&jobs, Some(1), |_| Ok(fake(1)), &Control::default()).unwrap();
        // All take the same time.
        assert_eq!(found.rows.iter().map(|r| r.gain).collect::<Vec<_>>(), [None, Some(4.0), None]);
    }

    #[test]
    #[cfg(unix)]
    fn stopped_it_keeps_the_rounds_that_are_whole() {
        let slot = std::sync::Arc::new(std::sync::OnceLock::<Control>::new());
        let seen = slot.clone();
        let control = Control::new(move |p| {
            // In the second round of the second row.
            if p.title.contains("16, round 2") {
                seen.get().unwrap().request(crate::control::Stop::Keep);
            }
        });
        assert!(slot.set(control.clone()).is_ok());
        let found = run(&[job(8), job(16)], Some(5), |_| Ok(fake(9)), &control).unwrap();
        assert!(found.stopped);
        assert_eq!(found.rows.iter().map(|r| r.rounds).collect::<Vec<_>>(), [2, 1]);
    }
}
