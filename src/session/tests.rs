//! Tests of a session as front ends use it.

use super::*;
use crate::error::Kind;
use crate::eval::tests::small;
use crate::eval::{Options, State};
use crate::lang::span::{Source, render};
use crate::render::words;
use crate::store::{Disk, Files};
use crate::value::Models;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

fn start(folder: Option<&Path>, out: &Path) -> Session {
    let options = Options { out: out.to_owned(), ..Options::default() };
    let state = State::new(Models::cpu(), "toy", options).unwrap();
    let (model, folder) = ("toy".into(), folder.map(Path::to_path_buf));
    Session::start(Start { state, model, folder, lists: false }).unwrap()
}

fn program(text: &str) -> Request {
    Request::Program { source: Source::new("test", text).unwrap(), sets: Default::default() }
}

/// All events of a request as text, except progress and beginnings; and its reply.
fn all(session: &mut Session, request: Request) -> (Vec<String>, Result<Reply>) {
    session.submit(request, false).unwrap();
    let mut said = Vec::new();
    loop {
        match session.next(LONG).unwrap() {
            Event::Done(reply) => return (said, reply),
            Event::Given(given) => said.extend(given.into_iter().flat_map(|g| match g {
                Given::Value(blocks, _) => words(&blocks).unwrap(),
                Given::Print(line) | Given::Note(line) => vec![line],
            })),
            Event::Failed(_, e) | Event::Trouble(e) => said.push(format!("error: {e}")),
            Event::Line(line) | Event::Quiet(line) | Event::Again { line, .. } => said.push(line),
            Event::Rewritten(text) => said.push(format!("rewritten: {text}")),
            Event::Begins { .. } | Event::Progress(_) | Event::Explore { .. } => {}
        }
    }
}

type Result<T> = crate::error::Result<T>;

fn cells(text: &str) -> Request {
    Request::Cells(text.into())
}

#[test]
fn cells_run_are_taken_back_and_go_on_in_another_session() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = start(Some(folder.path()), folder.path());
    assert!(matches!(all(&mut first, cells("n = 2; m = n + 1")).1, Ok(Reply::Ran(true))));
    assert_eq!(all(&mut first, cells("m")).0, ["3"]);
    let (said, reply) = all(&mut first, cells("m = 9; load \"nothing there\"; m"));
    assert!(said[0].contains("there is no file") && matches!(reply, Ok(Reply::Ran(false))));
    let before = first.snapshot().log.cells().len();
    all(&mut first, cells("k = 5; k")).1.unwrap();
    // A look at a value is not what is taken back.
    let taken = all(&mut first, Request::Undo).1;
    assert!(matches!(taken, Ok(Reply::Moved(Some(cell))) if cell.source == "k = 5"));
    assert_eq!(first.snapshot().log.cells().len(), before);
    assert!(!first.snapshot().state.names.is_empty());
    drop(first);
    let mut again = start(Some(folder.path()), folder.path());
    let (said, reply) = all(&mut again, Request::Resume(None));
    assert!(matches!(reply, Ok(Reply::Resumed(Some(r))) if r.computes.is_none()), "{said:?}");
    assert_eq!(all(&mut again, cells("n + m")).0, ["5"]);
}

#[test]
fn a_cell_is_on_the_disk_before_it_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start(Some(folder.path()), folder.path());
    session.submit(cells("1 + 1"), false).unwrap();
    while !matches!(session.next(LONG), Some(Event::Given(_))) {}
    let path = session.snapshot().journal.clone().unwrap();
    let files: Arc<dyn Files> = Arc::new(Disk);
    let bytes = files.read(&path, 1 << 20).unwrap();
    assert!(String::from_utf8(bytes).unwrap().contains("1 + 1"));
    session.abandon();
}

#[test]
fn a_statement_waits_until_the_results_before_it_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start(None, folder.path());
    session.submit(program("print(1)\nsave(sample(), \"a.npy\")"), false).unwrap();
    while !matches!(session.next(LONG), Some(Event::Given(_))) {}
    std::thread::sleep(Duration::from_millis(300));
    let file = folder.path().join("a.npy");
    assert!(!file.exists(), "the second statement ran too early");
    while !matches!(session.next(LONG), Some(Event::Done(Ok(_)))) {}
    assert!(file.exists());
    // A front end that cannot show the first result ends the program at that point.
    std::fs::remove_file(&file).unwrap();
    session.submit(program("print(1)\nsave(sample(), \"a.npy\")"), false).unwrap();
    while !matches!(session.next(LONG), Some(Event::Given(_))) {}
    session.abandon();
    assert!(!file.exists());
}

#[test]
fn one_request_at_a_time_and_an_end_that_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start(None, folder.path());
    assert!(session.next(Duration::ZERO).is_none());
    session
        .submit(program("invert(sample(seed: 1), steps: 100000, method: optimize)"), true)
        .unwrap();
    let busy = session.submit(program("1"), false).unwrap_err();
    assert!(busy.message().contains("busy"), "{busy}");
    while !matches!(session.next(LONG), Some(Event::Progress(_))) {}
    assert!(session.control().is_some() && session.snapshot().log.cells().is_empty());
    let begun = Instant::now();
    session.abandon();
    assert!(session.control().is_none());
    assert_eq!(all(&mut session, program("print(7)")).0, ["7"]);
    session
        .submit(program("invert(sample(seed: 1), steps: 100000, method: optimize)"), true)
        .unwrap();
    drop(session);
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
}

#[test]
fn programs_end_at_their_first_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start(None, folder.path());
    let (said, reply) = all(&mut session, program("print(1)\nassert 1 > 2\nprint(3)"));
    assert_eq!(said, ["1"]);
    assert_eq!(reply.unwrap_err().kind(), Kind::Assertion);
    let (said, reply) = all(&mut session, program("print(1)\nprint(nothing)"));
    assert_eq!((said.len(), reply.unwrap_err().kind()), (0, Kind::Check));
}

#[test]
fn settings_and_details() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start(None, folder.path());
    all(&mut session, Request::Set(Setting::Seed(7))).1.unwrap();
    all(&mut session, Request::Set(Setting::Echo(true))).1.unwrap();
    assert_eq!(session.snapshot().state.options.seed, 7);
    assert_eq!(all(&mut session, cells("x = 4")).0, ["4"]);
    let details = |session: &mut Session, name: Option<&str>| {
        all(session, Request::Details(name.map(Into::into))).1.map(|reply| match reply {
            Reply::Details(blocks) => blocks.map(|b| words(&b).unwrap().join("\n")),
            _ => None,
        })
    };
    assert_eq!(details(&mut session, None).unwrap(), None);
    assert!(details(&mut session, Some("x")).unwrap_err().message().contains("no further details"));
    let inverted = all(&mut session, cells("r = invert(sample(seed: 1), steps: 30)")).1;
    assert!(matches!(inverted, Ok(Reply::Ran(true))));
    let text = details(&mut session, None).unwrap().unwrap();
    for part in [
        " in ",
        "34 steps, 3 of them the encoder's",
        "seed 7",
        "psnr ",
        " dB\n    ",
        "loss, steps ",
        "whole",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains('█') && text.contains('▁'), "a falling curve: {text}");
    assert_eq!(details(&mut session, Some("r")).unwrap().unwrap(), text);
}

#[test]
fn loads_in_a_row_keep_no_generator_that_nothing_refers_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = start(None, folder.path());
    let files: Vec<String> = (0..8).map(|seed| small(folder.path(), seed)).collect();
    let mut ids = Vec::new();
    for file in &files {
        all(&mut session, cells(&format!("load \"{file}\""))).1.unwrap();
        ids.push(session.snapshot().state.model.as_ref().unwrap().id());
    }
    let alive = |session: &Session| -> Vec<usize> {
        let now = session.snapshot();
        (0..8).filter(|k| now.state.models().alive(&ids[*k]).is_some()).collect()
    };
    assert_eq!(alive(&session), [6, 7], "the two loaded last");
    // Undo brings a released generator back.
    for _ in 0..4 {
        all(&mut session, Request::Undo).1.unwrap();
    }
    assert_eq!(session.snapshot().state.model.as_ref().unwrap().id(), ids[3]);
    assert!(all(&mut session, cells("sample(seed: 1)")).0[0].starts_with("[picture 8×8"));
    // One whose file is gone is named.
    std::fs::remove_file(&files[1]).unwrap();
    let said: Vec<String> = (0..3).flat_map(|_| all(&mut session, Request::Undo).0).collect();
    assert!(said.iter().any(|l| l.contains("cannot be loaded again")), "{said:?}");
}

/// Runs a cell that explores, and answers with a code moved along `smile`.
fn explored(session: &mut Session, text: &str) -> Vec<String> {
    session.submit(cells(text), false).unwrap();
    let mut said = Vec::new();
    loop {
        match session.next(LONG).unwrap() {
            Event::Done(reply) => {
                assert!(matches!(reply, Ok(Reply::Ran(true))), "{said:?}");
                return said;
            }
            Event::Explore { what, answer } => {
                let d = what.along[0].forms.moving(what.code.space).unwrap();
                let code = crate::direction::apply(&what.code, 2.0, d).unwrap();
                let written = format!("{} + 2*{}", what.written, what.along[0].written);
                answer.send(Chosen { code, written }).unwrap();
            }
            Event::Given(given) => said.extend(given.into_iter().flat_map(|g| match g {
                Given::Value(blocks, _) => words(&blocks).unwrap(),
                Given::Print(line) | Given::Note(line) => vec![line],
            })),
            Event::Failed(_, e) => said.push(format!("error: {e}")),
            _ => {}
        }
    }
}

#[test]
fn what_was_explored_is_recorded_as_the_edit_that_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = start(Some(folder.path()), folder.path());
    all(&mut first, cells("w = sample(seed: 1)\nsmile = direction(\"smile\")")).1.unwrap();
    explored(&mut first, "b = explore(w, along: smile)  # mine");
    let source = |s: &Session| s.snapshot().log.cells().last().unwrap().source.clone();
    assert_eq!(source(&first), "b = w + 2*smile  # mine");
    assert_eq!(all(&mut first, cells("norm(b - (w + 2*smile)) == 0")).0, ["true"]);
    let said = explored(&mut first, "show explore(w, along: [smile])");
    assert!(said[0].contains("picture"), "{said:?}");
    assert_eq!(source(&first), "show (w + 2*smile)");
    // Without a screen the code stays as it is.
    let (said, reply) = all(&mut first, cells("c = explore(w, along: smile); norm(c - w)"));
    assert!(matches!(reply, Ok(Reply::Ran(true))), "{said:?}");
    assert!(said[0].contains("needs a screen") && said[1].ends_with(" 0.000"), "{said:?}");
    assert_eq!(
        first.snapshot().log.cells().iter().rev().nth(1).unwrap().source,
        "c = explore(w, along: smile)"
    );
    // In a list it would run many times, which no edit can take the place of.
    let (said, reply) = all(&mut first, cells("[explore(v) for v in [w]]"));
    assert!(matches!(reply, Ok(Reply::Ran(false))) && said[0].contains("cell itself"), "{said:?}");
    drop(first);
    let mut again = start(Some(folder.path()), folder.path());
    all(&mut again, Request::Resume(None)).1.unwrap();
    assert_eq!(all(&mut again, cells("norm(b - (w + 2*smile)) == 0")).0, ["true"]);
    // A program is not asked, and says so.
    let (said, reply) =
        all(&mut again, program("w = sample(seed: 1)\nd = explore(w)\nprint(norm(d - w))"));
    assert!(reply.is_ok() && said[0].contains("needs a screen") && said[1] == "0", "{said:?}");
}

#[test]
fn a_session_that_imported_comes_back_without_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("base.gnt"), "two = 2\ndef twice(x) = two*x").unwrap();
    let lib = "import \"base.gnt\"\nseen = sample(seed: 4)\ndef f(x) = twice(x) + 1";
    std::fs::write(at("lib.gnt"), lib).unwrap();
    let mut first = start(Some(folder.path()), &at("out"));
    let import = format!("import \"{}\"", at("lib.gnt").display());
    assert!(matches!(all(&mut first, cells(&import)).1, Ok(Reply::Ran(true))));
    let said = all(&mut first, cells("f(3); norm(seen)")).0;
    assert_eq!(said[0], "7");
    // From here on only the record has the texts.
    ["lib.gnt", "base.gnt"].into_iter().for_each(|name| std::fs::remove_file(at(name)).unwrap());
    // The import is one cell, whose names come and go together.
    let knows = |session: &Session| {
        let now = session.snapshot();
        let functions = now.state.functions.contains_key("twice");
        assert_eq!(functions, now.state.names.contains_key("two"));
        functions
    };
    all(&mut first, Request::Undo).1.unwrap();
    assert!(!knows(&first));
    all(&mut first, Request::Redo).1.unwrap();
    assert!(knows(&first));
    drop(first);
    let mut again = start(Some(folder.path()), &at("out"));
    all(&mut again, Request::Resume(None)).1.unwrap();
    assert_eq!(all(&mut again, cells("f(3); norm(seen)")).0, said);
    assert!(all(&mut again, cells(&import)).0[0].contains("there is no file"));
}

/// The first error of a text, as it is shown.
fn shown(session: &mut Session, text: &str) -> String {
    session.submit(cells(text), false).unwrap();
    let mut found = None;
    loop {
        match session.next(LONG).unwrap() {
            Event::Failed(source, e) => found = found.or(Some(render(&source, &e, false))),
            Event::Done(reply) => return reply.map(|_| found.expect("an error")).unwrap(),
            _ => {}
        }
    }
}

#[test]
fn an_error_in_a_function_of_an_earlier_cell_is_shown_at_its_call() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = start(Some(folder.path()), folder.path());
    all(&mut first, cells("n = 2")).1.unwrap();
    all(&mut first, cells("# The element after.\ndef next(l, k) = l[k + 1]")).1.unwrap();
    all(&mut first, cells("def both(l, k) = [next(l, k), 0]")).1.unwrap();
    let near = |shown: &str, places: &[&str]| {
        assert!(shown.contains("│ x = both([5], 7)\n  │     ^^^^^^^^^^^^"), "{shown}");
        let all = places.iter().all(|p| shown.contains(p));
        assert!(all && shown.matches("┌─").count() == 1, "{shown}");
    };
    let inner = "= in the call of `next`, at [2]:2:18: l[k + 1]";
    let outer = "= in the call of `both`, at [3]:1:19: next(l, k)";
    near(&shown(&mut first, "x = both([5], 7)"), &[inner, outer]);
    // In the cell that defines it, the place is its own.
    let own = shown(&mut first, "def last(l) = l[9]; y = last([1])");
    assert!(own.contains("│ def last(l) = l[9]; y") && !own.contains("in the call"), "{own}");
    // The same after a resume.
    drop(first);
    let mut again = start(Some(folder.path()), folder.path());
    all(&mut again, Request::Resume(None)).1.unwrap();
    near(&shown(&mut again, "x = both([5], 7)"), &[inner, outer]);
}

#[test]
fn a_resumed_import_gives_its_functions_and_computes_its_values() {
    let folder = tempfile::tempdir().unwrap();
    let lib = folder.path().join("lib.gnt");
    // Too large for the journal, so that the cell must run again.
    std::fs::write(&lib, "many = sample(n: 9000, seed: 4)\ntwo = 2\ndef f(x) = two*x").unwrap();
    let mut first = start(Some(folder.path()), folder.path());
    all(&mut first, cells(&format!("import \"{}\"", lib.display()))).1.unwrap();
    let norm = all(&mut first, cells("norm(many[7])")).0;
    drop(first);
    std::fs::remove_file(&lib).unwrap();
    let mut again = start(Some(folder.path()), folder.path());
    let (_, reply) = all(&mut again, Request::Resume(None));
    let Ok(Reply::Resumed(Some(resumed))) = reply else { panic!("{reply:?}") };
    assert_eq!(resumed.computes.as_deref(), Some("many, two of [1]"));
    assert_eq!(all(&mut again, cells("f(3)")).0, ["6"]);
    let (said, reply) = all(&mut again, cells("norm(many[7])"));
    assert!(matches!(reply, Ok(Reply::Ran(true))), "{said:?}");
    assert_eq!((&said[0][..], &said[1..]), ("computing again: many of [1]", &norm[..]));
}
