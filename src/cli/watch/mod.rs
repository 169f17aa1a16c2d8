//! `gannet run --watch`: runs a program again whenever something that it depends on changes.

mod files;

use super::programs::{beside, read};
use super::{Common, Reporting, options, runner, sets};
use crate::control::Stop;
use crate::error::{Error, Kind, Result};
use crate::eval::{Options, State};
use crate::lang::import::Imports;
use crate::lang::parse;
use crate::lang::span::Source;
use crate::safe::Safe;
use crate::session::{Session, Start};
use crate::ui::runner::{Runner, remark, say};
use files::{Look, Targets, changed};
use serde_json::json;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Time between two looks at the files. A change counts when two looks in a row agree.
const PAUSE: Duration = Duration::from_millis(150);

/// Runs a program, and again after every change, until Ctrl-C.
///
/// # Errors
/// When the program cannot be read at first, or the output is closed.
pub fn watch(common: &Common, file: &Path, set: &[String], reporting: Reporting) -> Result<u8> {
    if file == Path::new("-") {
        return Err(Error::new(Kind::Usage, "standard input cannot be watched")
            .hint("give --watch the path of a program"));
    }
    let source = read(file)?;
    let imports = beside(file);
    let options = Options { imports: imports.clone(), ..options(common, true) };
    let mut runner = runner(common, options, reporting)?;
    let base = runner.session.snapshot().state.clone();
    let watch = Watch {
        file: file.to_path_buf(),
        sets: sets(set)?,
        imports,
        base,
        model: common.model.clone(),
    };
    watch.all(&mut runner, Ok(source))
}

/// A program that runs again and again.
struct Watch {
    file: PathBuf,
    sets: BTreeMap<String, String>,
    imports: Imports,
    /// The session before the program.
    base: State,
    model: String,
}

/// How a run ended.
struct Ended {
    code: u8,
    /// Whether a change aborted it.
    aborted: bool,
}

impl Watch {
    fn all(&self, runner: &mut Runner, mut source: Result<Source>) -> Result<u8> {
        let mut names = Vec::new();
        for run in 1.. {
            let begun = Instant::now();
            begins(runner, run, &names)?;
            let targets = Rc::new(self.targets(source.as_ref().ok()));
            let mut seen = targets.look(&Look::new());
            let ended = match source {
                Ok(source) => self.once(runner, &source, (&targets, &seen))?,
                Err(e) => Ended { code: complain(runner, None, &e), aborted: false },
            };
            let by_user = [Kind::Interrupted, Kind::Resumable].map(Kind::exit_code);
            if by_user.contains(&ended.code) && !ended.aborted {
                return Ok(ended.code);
            }
            // What a folder holds may be what the program itself has put there.
            let now = targets.look(&seen);
            seen.retain(|path, _| !targets.lists(path));
            seen.extend(now.into_iter().filter(|(path, _)| targets.lists(path)));
            rests(runner, (run, &ended, begun.elapsed()), (&self.file, seen.len()))?;
            names = match self.change(runner, &targets, &seen) {
                Ok(now) => changed(&seen, &now),
                Err(stop) => return Ok(stop),
            };
            source = read(&self.file);
        }
        Ok(0)
    }

    /// The files that the program depends on, also when it is wrong.
    fn targets(&self, source: Option<&Source>) -> Targets {
        let program = source.map(|s| parse::parse(s).0).unwrap_or_default();
        let checked = source.and_then(|s| self.base.check(s, &self.sets).ok());
        let written = checked.map(|c| c.written).unwrap_or_default();
        let written = written.iter().map(|path| self.base.options.out.join(path));
        let sets = self.sets.values().map(String::as_str);
        Targets::of((&self.file, program, &self.imports), sets, written)
    }

    /// Runs the program in a session of its own, until it ends or a file that it names changes.
    fn once(
        &self,
        runner: &mut Runner,
        source: &Source,
        (targets, seen): (&Rc<Targets>, &Look),
    ) -> Result<Ended> {
        let (state, model) = (self.base.clone(), self.model.clone());
        let start = Start { state, model, folder: None, lists: runner.style.json };
        runner.session = Session::start(start)?;
        let aborted = Rc::new(Cell::new(false));
        let mut settling = Settling::new(targets.clone(), seen.clone());
        let abort = aborted.clone();
        runner.meanwhile = Some(Box::new(move || {
            abort.set(abort.get() || settling.change(|t, path| !t.lists(path)).is_some());
            abort.get()
        }));
        let ran = runner.run(source, &self.sets);
        runner.meanwhile = None;
        let code = match ran {
            Ok(()) => 0,
            Err(e) if e.kind() == Kind::Closed => return Err(e),
            Err(e) if aborted.get() => e.kind().exit_code(),
            Err(e) => complain(runner, Some(source), &e),
        };
        Ok(Ended { code, aborted: aborted.get() })
    }

    /// Waits for a change while nothing runs: the files after it, or the exit code of a signal.
    fn change(
        &self,
        runner: &mut Runner,
        targets: &Rc<Targets>,
        seen: &Look,
    ) -> std::result::Result<Look, u8> {
        let mut settling = Settling::new(targets.clone(), seen.clone());
        let mut now = None;
        // An editor may take the program away for a moment before it writes the new one.
        let stop = runner.idle(|| {
            now = settling.change(|_, _| true).filter(|_| self.file.is_file());
            now.is_some()
        });
        match (stop, now) {
            (Stop::No, Some(now)) => Ok(now),
            (Stop::Checkpoint, _) => Err(Kind::Resumable.exit_code()),
            _ => Err(Kind::Interrupted.exit_code()),
        }
    }
}

/// Notices changes that have settled.
struct Settling {
    targets: Rc<Targets>,
    /// The files at the beginning.
    seen: Look,
    last: Look,
    looked: Instant,
}

impl Settling {
    fn new(targets: Rc<Targets>, seen: Look) -> Self {
        let (last, looked) = (seen.clone(), Instant::now());
        Self { targets, seen, last, looked }
    }

    /// The files, when those that count have changed and were alike at two looks. Most calls come
    /// between two looks.
    fn change(&mut self, counts: impl Fn(&Targets, &Path) -> bool) -> Option<Look> {
        if self.looked.elapsed() < PAUSE {
            return None;
        }
        let now = self.targets.look(&self.last);
        let settled = now == self.last;
        (self.last, self.looked) = (now, Instant::now());
        let differ = changed(&self.seen, &self.last);
        let any = differ.iter().any(|path| counts(&self.targets, path));
        (settled && any).then(|| self.last.clone())
    }
}

/// Shows an error and gives its exit code.
fn complain(runner: &mut Runner, source: Option<&Source>, e: &Error) -> u8 {
    let nowhere = Source::new("gannet", "").ok();
    if let Some(source) = source.or(nowhere.as_ref()) {
        runner.complain(source, e);
    }
    e.kind().exit_code()
}

/// Says why a run begins.
fn begins(runner: &mut Runner, run: usize, names: &[PathBuf]) -> Result<()> {
    let names: Vec<String> =
        names.iter().map(|path| Safe(&path.to_string_lossy()).to_string()).collect();
    let line = format!("── {} changed: run {run}", names.join(", "));
    let object = json!({"run": run, "changed": names});
    tell(runner, object, (run > 1).then_some(line))
}

/// Says that a run has ended and that the next change is awaited.
fn rests(
    runner: &mut Runner,
    (run, ended, time): (usize, &Ended, Duration),
    (file, files): (&Path, usize),
) -> Result<()> {
    let seconds = (time.as_secs_f64() * 1e3).round() / 1e3;
    let object = json!({"run": run, "code": ended.code, "aborted": ended.aborted,
        "seconds": seconds, "files": files});
    let name = Safe(&file.to_string_lossy()).to_string();
    let others = match files.saturating_sub(1) {
        0 => String::new(),
        1 => " and 1 other file".to_owned(),
        n => format!(" and {n} other files"),
    };
    let line = format!("watching {name}{others} · Ctrl-C ends");
    tell(runner, object, (!ended.aborted).then_some(line))
}

/// Tells of a run: as an object where objects are wanted, else as a line.
fn tell(runner: &mut Runner, mut object: serde_json::Value, line: Option<String>) -> Result<()> {
    if runner.style.json {
        object["type"] = "Watch".into();
        return runner.line_of_json(&object);
    }
    if runner.style.reports {
        object["event"] = "watch".into();
        say(&object);
    } else if let (Some(line), false) = (line, runner.style.quiet) {
        remark(&line);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_it_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.gnt");
        std::fs::write(&file, "x = 1").unwrap();
        let imports = Imports::beside(&file);
        let program = Default::default();
        let none = std::iter::empty();
        let targets = Targets::of((&file, program, &imports), none, std::iter::empty());
        let seen = targets.look(&Look::new());
        let mut settling = Settling::new(Rc::new(targets), seen);
        let mut look = || {
            settling.looked = Instant::now() - PAUSE;
            settling.change(|_, _| true).is_some()
        };
        assert!(!look());
        std::fs::write(&file, "x = 2").unwrap();
        assert!(!look(), "it may still be written");
        std::fs::write(&file, "x = 3").unwrap();
        assert!(!look());
        assert!(look());
        std::fs::write(&file, "x = 1").unwrap();
        assert!(!look() && !look(), "as it was");
    }
}
