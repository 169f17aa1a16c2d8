//! The whole prompt with the toy generator: on a pseudo-terminal, in a pipe, in tmux, and killed at
//! random moments.
//!
//! The child processes run this test program again (see `pty`). `GANNET_CRASH_ROUNDS` sets the
//! number of kills.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod pty;
mod tmux;

use gannet::eval::{Options, State};
use gannet::render::{Colours, Painter, Protocol, Terminal as Found};
use gannet::rng::Rng;
use gannet::session::{open, replay, sessions};
use gannet::store::{Disk, Files};
use gannet::ui::{Keys, ReplOptions, Resume, Style, Terminal, repl};
use gannet::value::Models;
use pty::Pty;
use rustix::process::{Signal, kill_process};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tmux::Tmux;

// ---- the children

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

/// The prompt, with its sessions in `GANNET_TEST_FOLDER`; resumes the latest session if
/// `GANNET_TEST_RESUME` is set.
#[test]
#[ignore = "a child of the tests below"]
fn child_session() {
    let mut found = Found::plain("a test");
    if variable("GANNET_TEST_PROBE").is_some() {
        found = gannet::render::probe(&gannet::render::Options::default()).terminal;
    } else if gannet::ui::screen::interactive() {
        (found.protocol, found.colours) = (Protocol::Blocks, Colours::Indexed);
    }
    let code = repl::run(ReplOptions {
        state: State::new(Models::cpu(), "toy", Options::default()).unwrap(),
        model: "toy".into(),
        terminal: Terminal::acquire().unwrap(),
        painter: Painter::new(found),
        style: Style::default(),
        typed: Vec::new(),
        history: None,
        sessions: variable("GANNET_TEST_FOLDER"),
        resume: variable("GANNET_TEST_RESUME").map(|_| Resume::Latest),
        keys: Keys::Emacs,
        asked: Default::default(),
    });
    match code {
        Ok(code) => std::process::exit(code.into()),
        Err(e) => {
            println!("ended: {e}");
            std::process::exit(99);
        }
    }
}

fn session(folder: &Path) -> Pty {
    let pty = Pty::with("child_session", &[("GANNET_TEST_FOLDER", folder)]);
    pty.wait_for("[1] ", 1);
    pty
}

fn resumed(folder: &Path) -> Pty {
    Pty::with("child_session", &[("GANNET_TEST_FOLDER", folder), ("GANNET_TEST_RESUME", folder)])
}

/// Types a line and waits for the next prompt.
fn enter(pty: &mut Pty, line: &str) -> String {
    let before = pty.text().len();
    pty.prompt_again(&format!("{line}\r"));
    pty.text()[before..].to_owned()
}

fn disk() -> Arc<dyn Files> {
    Arc::new(Disk)
}

// ---- on a pseudo-terminal

#[test]
fn cells_errors_undo_and_help() {
    let folder = tempfile::tempdir().unwrap();
    let mut pty = session(folder.path());
    assert!(
        pty.text().contains("gannet 0.1 · toy 32²") && pty.text().contains("· ?help"),
        "{}",
        pty.text()
    );
    assert!(enter(&mut pty, "n = 40000 + 17").contains("40017"));
    assert!(
        enter(&mut pty, "n = n + 1; m = 2 * n").contains("[3] m = 2 * n"),
        "the second statement is a cell"
    );
    let wrong = enter(&mut pty, "oops(1)");
    assert!(wrong.contains("oops") && wrong.contains("error"), "{wrong}");
    assert!(enter(&mut pty, ":undo").contains("[3] taken back: m = 2 * n"));
    assert!(enter(&mut pty, ":undo").contains("[2] taken back"));
    assert!(enter(&mut pty, "q = n + 0").contains("40017"));
    // A look is no step: undo takes back the assignment before it.
    assert!(enter(&mut pty, "q").contains("40017"));
    assert!(enter(&mut pty, ":undo").contains("[5] taken back"));
    assert!(enter(&mut pty, ":redo").contains("[5] in force again"));
    // Numbered results, which are bound by the cells that show them.
    assert!(enter(&mut pty, "1000 + 234").contains("1234"));
    assert!(enter(&mut pty, "_ * 2").contains("2468"));
    assert!(enter(&mut pty, "_7 + _8").contains("3702"));
    assert!(enter(&mut pty, "?psnr").contains("related:"));
    assert!(enter(&mut pty, ":doctor").contains("terminal"));
    assert!(enter(&mut pty, ":ondo").contains(" :undo\r\n"));
    let all = enter(&mut pty, ":history");
    for part in ["[1] n = 40000 + 17", "[5] q = n + 0", "[8] _7 * 2"] {
        assert!(all.contains(part), "{all}");
    }
    assert!(!all.contains("[2]"), "a new cell after an undo begins a new branch: {all}");
    pty.send("\x04");
    pty.restored();
}

#[test]
fn ctrl_c_keeps_the_best_so_far_and_the_details_tell() {
    let folder = tempfile::tempdir().unwrap();
    let mut pty = session(folder.path());
    pty.send("r = invert(sample(seed: 3), space: W, steps: 900000)\r");
    pty.wait_for("stop and keep the best so far", 1);
    pty.wait_for("▀", 1);
    pty.send("\x03");
    pty.wait_for("stopped; the best so far is kept", 1);
    pty.wait_for("[2] ", 1);
    assert!(pty.text().contains("PSNR"));
    let details = enter(&mut pty, ":details");
    assert!(details.contains("stopped at step") && details.contains("logarithmic"), "{details}");
    let shown = enter(&mut pty, "r");
    pty.send("\x04");
    pty.restored();
    let saved = journal(folder.path());
    assert_eq!(saved[0].status, gannet::session::Status::Stopped);
    assert_eq!(saved[0].pictures.len(), 3);
    // The resumed session shows the same numbers, step, pictures and curve.
    let mut pty = resumed(folder.path());
    pty.wait_for("[3] ", 1);
    let again = enter(&mut pty, "r");
    let told = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|l| l.contains("PSNR") || l.contains("stopped at"));
        lines.map(str::to_owned).collect()
    };
    assert!(told(&shown).len() >= 2 && told(&again) == told(&shown), "{shown}\n{again}");
    assert!(!again.contains("computing"), "{again}");
    assert!(enter(&mut pty, ":details").contains("stopped at step"));
    pty.send("\x04");
    pty.restored();
    let cells = journal(folder.path());
    assert_eq!(cells[1].output, cells[2].output);
    assert!(cells[1].pictures == cells[2].pictures, "the pictures differ");
}

fn journal(folder: &Path) -> Vec<Arc<gannet::session::Cell>> {
    let found = sessions(&disk(), folder).unwrap().pop().unwrap();
    let opened = open(&disk(), &found.path).unwrap();
    replay(opened.reading.records).cells().to_vec()
}

#[test]
fn a_session_comes_back_as_it_was_and_computes_only_what_is_too_large() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("a.png");
    let mut pty = session(folder.path());
    enter(&mut pty, "a = sample(seed: 5)");
    enter(&mut pty, "k = 40000");
    enter(&mut pty, "nothing_of_that_name + 1");
    enter(&mut pty, "big = render(sample(n: 60, seed: 1))");
    enter(&mut pty, &format!("save(a, \"{}\")", picture.display()));
    enter(&mut pty, "def far(x) = x + k");
    pty.send(":quit\r");
    pty.restored();
    std::fs::write(&picture, "mine").unwrap();
    let mut pty = resumed(folder.path());
    pty.wait_for("[7] ", 1);
    let shown = pty.text();
    for part in [
        "[1] a = sample(seed: 5)",
        "▀",
        "[2] k = 40000",
        "# failed",
        "as it was; too large for the journal, and computed again when used: big of [4]",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // The name is known before it has a value: white, not pale.
    pty.send("k");
    pty.wait_for("\x1b[0mk", 1);
    let next = enter(&mut pty, " + 18");
    assert!(!next.contains("computing") && next.contains("40018"), "{next}");
    assert!(enter(&mut pty, "far(3)").contains("40003"));
    assert!(!enter(&mut pty, "a").contains("computing"));
    let big = enter(&mut pty, "big[7]");
    assert!(big.contains("computing again: big of [4]") && big.contains("▀"), "{big}");
    assert!(!enter(&mut pty, "big[8]").contains("computing"));
    assert!(enter(&mut pty, ":rerun").contains("all values are available"));
    enter(&mut pty, "q = 1");
    assert!(enter(&mut pty, ":undo").contains("[12] taken back"));
    assert!(enter(&mut pty, "k + 19").contains("40019"));
    pty.send("\x04");
    pty.restored();
    assert_eq!(std::fs::read_to_string(&picture).unwrap(), "mine", "a save ran again");
}

#[test]
fn state_that_cannot_be_written_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::write(&state, "in the way").unwrap();
    let mut pty = session(&state.join("sessions"));
    for n in 1..4 {
        assert!(enter(&mut pty, &format!("40000 + {n}")).contains(&format!("{}", 40_000 + n)));
    }
    enter(&mut pty, "r = invert(sample(seed: 3), space: W, steps: 2)");
    pty.send("\x04");
    pty.restored();
    let said = pty.text();
    assert_eq!(said.matches("not kept").count(), 1, "{said}");
    for (words, times) in [("cannot write", 1), ("checkpoint", 0)] {
        assert_eq!(said.matches(words).count(), times, "{words}: {said}");
    }
}

#[test]
fn sessions_are_listed_with_their_last_picture() {
    let folder = tempfile::tempdir().unwrap();
    let mut pty = session(folder.path());
    enter(&mut pty, "w = sample(seed: 3)");
    pty.send("\x04");
    pty.restored();
    let mut pty = session(folder.path());
    let shown = enter(&mut pty, ":sessions");
    let row = |words: &str| shown.lines().find(|l| l.contains(words)).unwrap().to_owned();
    for words in ["w = sample(seed: 3)", "1 record  toy"] {
        assert!(row(words).contains('▀'), "{shown}");
    }
    pty.send("\x04");
    pty.restored();
}

#[test]
fn a_torn_journal_says_so_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut pty = session(folder.path());
    enter(&mut pty, "1 + 1");
    pty.send("\x04");
    pty.restored();
    let path = sessions(&disk(), folder.path()).unwrap().pop().unwrap().path;
    std::fs::OpenOptions::new()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(b"0123456789abcdef {\"torn")
        .unwrap();
    let mut pty = resumed(folder.path());
    pty.wait_for("torn by a crash", 1);
    pty.wait_for("[2] ", 1);
    assert!(enter(&mut pty, "40000 + 3").contains("40003"));
    pty.send("\x04");
    pty.restored();
    assert_eq!(journal(folder.path()).len(), 2);
}

#[test]
fn saved_opened_and_run_from_the_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("edit.gnt");
    let mut pty = session(folder.path());
    enter(&mut pty, "n = 40000");
    enter(&mut pty, "m = n + 5");
    let save = format!(":save {}", file.display());
    assert!(enter(&mut pty, &save).contains("2 cells saved"));
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + "\n#%% more\np = m + 1\n")
        .unwrap();
    assert!(enter(&mut pty, &save).contains("not what this session wrote"));
    // The load statement before the cells is a cell too; nothing has run yet.
    let opened = enter(&mut pty, &format!(":open {}", file.display()));
    assert!(opened.contains("4 cells") && !opened.contains("40006"), "{opened}");
    pty.wait_for("\"toy\"", 1);
    pty.prompt_again("\r");
    // The next cell is on the prompt; after it is cleared, the others still run.
    pty.prompt_again("\x03");
    assert!(enter(&mut pty, ":run").contains("40006"));
    pty.send("\x04");
    pty.restored();
}

#[test]
fn sigterm_in_the_middle_leaves_a_whole_journal_and_says_that_it_can_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut pty = session(folder.path());
    enter(&mut pty, "n = 40000");
    pty.send("r = invert(sample(seed: 3), space: W, steps: 900000)\r");
    pty.wait_for("stop and keep the best so far", 1);
    kill_process(pty.foreground(), Signal::TERM).unwrap();
    pty.restored();
    assert_eq!(pty.child.wait().unwrap().code(), Some(75));
    let cells = journal(folder.path());
    assert_eq!(cells.len(), 2);
    assert_eq!(cells[1].status, gannet::session::Status::Failed);
    assert!(cells[1].output.join(" ").contains("run it again"), "{:?}", cells[1].output);
}

// ---- in a pipe

/// Statements that would take minutes, in operations on values and pictures.
fn endless(folder: &Path) -> Vec<String> {
    let path = folder.join("large.png");
    let picture = gannet::image::Raster::filled(6000, 6000, &[1, 2, 3]).unwrap();
    std::fs::write(&path, gannet::image::encode::png(&picture, &[]).unwrap()).unwrap();
    let path = path.display();
    vec![
        "[[a * b for a in 1..99999] for b in 1..99]".into(),
        "[sample(seed: i) for i in 1..99999]".into(),
        "show [sample(seed: i, space: W) for i in 1..9999], sample(n: 4999)".into(),
        format!("ms_ssim(image(\"{path}\", align: none), image(\"{path}\", align: none))"),
        format!("image(\"{path}\", align: none, size: 8192)"),
    ]
}

#[test]
fn ctrl_c_ends_whatever_runs_and_the_session_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut pty = session(folder.path());
    for (i, statement) in endless(folder.path()).iter().enumerate() {
        let views = pty.text().matches("\x1b[?25l").count();
        pty.send(&format!("{statement}\r"));
        // The live view appears, so the statement runs.
        pty.wait_for("\x1b[?25l", views + 1);
        let prompts = pty.text().matches("\x1b[?2004h").count();
        pty.send("\x03");
        pty.wait_for("\x1b[?2004h", prompts + 1);
        pty.wait_for("stopped", i + 1);
    }
    assert!(enter(&mut pty, "20 + 22").contains("42"));
    pty.send("\x04");
    pty.restored();
}

#[test]
fn sigterm_and_sighup_end_whatever_runs() {
    let folder = tempfile::tempdir().unwrap();
    for (i, statement) in endless(folder.path()).iter().enumerate() {
        let mut pty = session(folder.path());
        pty.send(&format!("{statement}\r"));
        pty.wait_for("\x1b[?25l", 1);
        let signal = if i % 2 == 0 { Signal::TERM } else { Signal::HUP };
        kill_process(pty.foreground(), signal).unwrap();
        pty.restored();
        assert_eq!(pty.child.wait().unwrap().code(), Some(75), "{statement}");
    }
}

fn piped(text: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_session", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

#[test]
fn a_pipe_runs_every_statement_without_prompt_or_escapes() {
    let (code, out, _) = piped("n = 40000\nprint(n +\n 17)\n\n# nothing\nn + 18\n");
    assert_eq!(code, Some(0));
    assert!(out.contains("40017\n40018\n"), "{out}");
    assert!(!out.contains("[1]") && !out.contains('\x1b') && !out.contains("gannet"), "{out}");
    let (code, out, err) = piped("nothing_of_that_name\n40000 + 1\n(");
    assert_eq!(code, Some(1), "{out} {err}");
    assert!(out.contains("40001") && err.contains("error"), "{out} {err}");
}

// ---- killed

#[test]
fn kill_9_at_random_moments_loses_nothing_that_was_seen() {
    let rounds = std::env::var("GANNET_CRASH_ROUNDS").map_or(20, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (mut rng, mut next, mut all) = (Rng::new(11), 1u32, BTreeSet::new());
    let mut last_round: Vec<u32> = Vec::new();
    for round in 0..rounds {
        let mut pty = resumed(folder.path());
        pty.wait_for("\x1b[?2004h", 1);
        // The output of the previous round is on the screen again, before anything runs.
        let shown = pty.text();
        for n in last_round.iter().rev().take(25) {
            assert!(
                shown.contains(&format!("{}", 40_000 + n)),
                "round {round}: {n} is not shown again: {shown}"
            );
        }
        let end = Instant::now() + Duration::from_micros(rng.below(250_000) as u64);
        let mut sent = Vec::new();
        'typing: while Instant::now() < end {
            pty.send(&format!("40000 + {next}\r"));
            sent.push(next);
            next += 1;
            while !pty.text().contains(&format!("{}", 40_000 + next - 1)) {
                if Instant::now() >= end {
                    break 'typing;
                }
                std::thread::sleep(Duration::from_micros(300));
            }
        }
        let group = pty.foreground();
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
        pty.child.wait().unwrap();
        std::thread::sleep(Duration::from_millis(10));
        let seen = pty.text();
        last_round =
            sent.into_iter().filter(|n| seen.contains(&format!("{}", 40_000 + n))).collect();
        all.extend(last_round.iter().copied());
        if sessions(&disk(), folder.path()).unwrap().is_empty() {
            assert!(all.is_empty());
            continue;
        }
        let kept: BTreeSet<u32> = journal(folder.path())
            .iter()
            .filter_map(|c| c.output.first()?.parse::<u32>().ok()?.checked_sub(40_000))
            .collect();
        assert!(
            kept.is_superset(&all),
            "round {round}: lost {:?}",
            all.difference(&kept).collect::<Vec<_>>()
        );
    }
    println!("{rounds} kills, {} cells seen, none lost", all.len());
    assert!(all.len() > rounds, "the children hardly ran: {}", all.len());
}

// ---- in tmux

#[test]
fn in_tmux_an_inversion_is_watched_stopped_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let Some(tmux) = Tmux::new("session") else { return };
    let command = format!(
        "GANNET_TEST_PROBE=1 GANNET_TEST_FOLDER={} {} --exact child_session --ignored --nocapture",
        folder.path().display(),
        std::env::current_exe().unwrap().display()
    );
    tmux.run(&["new-session", "-d", "-x", "80", "-y", "30", &command]);
    tmux.wait_for("[1]");
    tmux.keys(&["r = invert(sample(seed: 3), space: W, steps: 900000)", "Enter"]);
    tmux.wait_for("stop and keep the best so far");
    let live = tmux.wait_for("▀");
    assert!(live.contains("900000"), "{live}");
    tmux.keys(&["C-c"]);
    tmux.wait_for("[2]");
    let shown = tmux.history();
    assert!(
        shown.contains("PSNR") && shown.contains("stopped; the best so far is kept"),
        "{shown}"
    );
    assert!(!shown.contains('━'), "the live view is gone without a trace:\n{shown}");
    tmux.keys(&["40000 + 17", "Enter"]);
    tmux.wait_for("40017");
    // The signature and the parameter's description appear below the line during typing, and then
    // disappear.
    tmux.keys(&["invert(r, sp"]);
    tmux.wait("the hint", |s| s.contains("╰─ invert(") && s.contains("space: Z, W, W+"));
    tmux.keys(&["C-c"]);
    // Help that is longer than the screen comes page by page, and leaves the prompt as it was.
    tmux.keys(&["?invert", "Enter"]);
    let first = tmux.wait_for("· q quits");
    assert!(first.contains("invert · ") && !first.contains("40017"), "{first}");
    tmux.keys(&["Space"]);
    tmux.wait("the second page", |shown| !shown.contains("invert · ") && shown.contains("q quits"));
    tmux.keys(&["q"]);
    tmux.wait("the prompt", |shown| shown.contains("40017") && !shown.contains("q quits"));
    tmux.keys(&[":quit", "Enter"]);
}

#[test]
fn a_terminal_without_cursor_movements_gets_a_plain_prompt() {
    for term in ["dumb", ""] {
        let mut pty = Pty::with("child_session", &[("TERM", Path::new(term))]);
        pty.wait_for("[1] ", 1);
        pty.send("x = (1 +\n");
        pty.wait_for("... ", 1);
        pty.send("41)\n");
        pty.wait_for("42", 1);
        pty.wait_for("[2] ", 1);
        pty.send("nothing\n");
        pty.wait_for("is not defined", 1);
        pty.send(":quit\n");
        let seen = pty.restored();
        // No escape sequences: such a terminal would show them as text.
        assert!(!seen.contains('\x1b'), "{seen:?}");
    }
}
