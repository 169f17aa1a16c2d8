//! The prompt and the live view on a real pseudo-terminal.
//!
//! Each test starts this test program again as a child process on a pseudo-terminal, with one of
//! the `child_` functions below as its only test. The test can read the child's terminal modes at
//! any moment.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod pty;

use candle_core::{Device, Tensor};
use gannet::control::{Control, Progress, Stop};
use gannet::ui::{Assist, Candidate, Editor, Input, Keys, Terminal, run_live};
use pty::Pty;
use rustix::process::{Signal, kill_process};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

// ---- the children

struct Words;

impl Assist for Words {
    fn incomplete(&self, text: &str) -> bool {
        text.matches('(').count() > text.matches(')').count()
    }

    fn highlight(&self, line: &str, _pos: usize) -> String {
        line.replace("run", "\x1b[1mrun\x1b[0m")
    }

    fn complete(&self, line: &str, pos: usize) -> (usize, Vec<Candidate>) {
        let start = line[..pos].rfind(' ').map_or(0, |i| i + 1);
        let all =
            ["invert", "interpolate"].into_iter().filter(|w| w.starts_with(&line[start..pos]));
        (start, all.map(|w| Candidate { display: w.into(), replacement: w.into() }).collect())
    }

    fn hint(&self, line: &str, _pos: usize) -> Option<String> {
        (line == "run").then(|| "  (steps)".into())
    }
}

/// `run N` works for N steps of 10 ms with previews, `boom` panics in the work, any other text is
/// echoed.
fn repl(catch: bool, typed: &str) {
    let mut terminal = Terminal::acquire().unwrap();
    terminal.type_ahead(typed);
    let history = std::env::temp_dir().join(format!("gannet-history-{}", std::process::id()));
    let mut editor = Editor::new(Words, Keys::Emacs, Some(history.clone())).unwrap();
    loop {
        match editor.read(&mut terminal, "> ").unwrap() {
            Input::End => break,
            Input::Text(text) => {
                let mut once = || run_live(&mut terminal, "job", |control| job(&text, control));
                let answer = if catch {
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(once))
                        .unwrap_or_else(|_| "caught".into())
                } else {
                    once()
                };
                if let Some(path) = std::env::var_os("GANNET_TEST_ANSWER") {
                    std::fs::write(path, &answer).unwrap();
                }
                // The terminal may be closed by now.
                let _ = terminal.print(&format!("={answer}=\n"));
                if answer.ends_with("Checkpoint") {
                    break;
                }
            }
        }
    }
    drop(terminal);
    let _ = std::fs::remove_file(&history);
    let _ = std::fs::remove_file(history.with_extension("lock"));
}

const STUBBORN: usize = 3001;

fn job(text: &str, control: &Control) -> String {
    let Some(n) = text.strip_prefix("run ").and_then(|n| n.parse().ok()) else {
        assert!(!text.starts_with("boom"), "the work failed");
        return text.replace('\n', "/");
    };
    for step in 1..=n {
        std::thread::sleep(Duration::from_millis(10));
        let preview =
            Some(Tensor::full(step as f32 / n as f32, (1, 3, 32, 32), &Device::Cpu).unwrap());
        let losses = vec![("pixel", 1.0 / step as f64)];
        control.report(Progress { losses, preview, ..Progress::new("job W+".into(), (step, n)) });
        // A stubborn job only ends early when it is aborted.
        if control.stop() == Stop::Abort || (control.stop() != Stop::No && n != STUBBORN) {
            return format!("stopped {:?}", control.stop());
        }
    }
    format!("finished {n}")
}

#[test]
#[ignore = "a child of the tests below"]
fn child_repl() {
    repl(false, "");
}

#[test]
#[ignore = "a child of the tests below"]
fn child_repl_with_keys_from_a_probe() {
    repl(false, "one\rrun 30\rtw");
}

#[test]
#[ignore = "a child of the tests below"]
fn child_repl_that_catches() {
    repl(true, "");
}

// ---- the proofs

#[test]
fn prompt_run_prompt() {
    let mut pty = Pty::start("child_repl");
    pty.wait_for("> ", 1);
    pty.send("run 60\r");
    pty.wait_for("▀", 100);
    pty.wait_for("/60", 1);
    assert!(!tcgetattr(&pty.slave).unwrap().local_modes.contains(LocalModes::ECHO));
    pty.wait_for("=finished 60=", 1);
    pty.send("hello\r");
    pty.wait_for("=hello=", 1);
    pty.send("\x04");
    let text = pty.restored();
    // The view is erased before the result is printed, and the cursor's position was never queried.
    let wiped = text.rfind("\r\x1b[K\x1b[C\x1b[J\r\x1b[?25h").unwrap();
    assert!(wiped < text.find("=finished").unwrap());
    assert!(text[wiped..].find('━').is_none());
    assert!(!text.contains("\x1b[6n"));
}

#[test]
fn ctrl_c_keeps_then_aborts_and_the_session_goes_on() {
    let mut pty = Pty::start("child_repl");
    pty.wait_for("> ", 1);
    let mut took = Duration::MAX;
    for round in 1..=3 {
        pty.send("run 3000\r");
        pty.wait_for("job W+", round);
        let pressed = Instant::now();
        pty.send("\x03");
        pty.wait_for("=stopped Keep=", round);
        took = took.min(pressed.elapsed());
    }
    // The fastest of three, because a busy machine may delay each of them.
    assert!(took < Duration::from_millis(250), "{took:?}");
    pty.send("run 3001\r");
    pty.wait_for("/3001", 1);
    pty.send("\x03");
    pty.wait_for("again", 1);
    pty.send("\x03");
    pty.wait_for("=stopped Abort=", 1);
    // At the prompt, Ctrl-C clears the line: earlier keys do not run.
    pty.send("never");
    pty.wait_for("never", 1);
    // Keys that arrive together with Ctrl-C are dropped with it, as in a shell.
    pty.prompt_again("\x03");
    pty.send("after\r");
    pty.wait_for("=after=", 1);
    pty.send(":quit\r");
    assert!(!pty.restored().contains("=never"));
}

#[test]
fn three_lines_in_one_write_all_run_and_what_is_typed_meanwhile_waits() {
    let mut pty = Pty::start("child_repl");
    pty.wait_for("> ", 1);
    pty.send("one\rrun 40\rthree\r");
    pty.wait_for("▀", 1);
    // Keys typed while the work runs are echoed in the view. They wait on the prompt for a Return,
    // after earlier keys.
    pty.send("four\r");
    pty.wait_for("next prompt: four", 1);
    pty.wait_for("=three=", 1);
    pty.wait_for("four", 2);
    std::thread::sleep(Duration::from_millis(200));
    assert!(!pty.text().contains("=four="));
    pty.send("\r");
    pty.wait_for("=four=", 1);
    pty.send("(a\rb)\r");
    pty.wait_for("=(a/b)=", 1);
    pty.send("\x04");
    let text = pty.restored();
    let at: Vec<usize> =
        ["=one=", "=finished 40=", "=three=", "=four="].map(|s| text.find(s).unwrap()).to_vec();
    assert!(at.is_sorted(), "{at:?}");
}

#[test]
fn a_text_that_was_typed_while_work_ran_says_that_it_waits_until_it_changes() {
    let mut pty = Pty::start("child_repl");
    pty.wait_for("> ", 1);
    let hint = "typed while it ran: Enter runs it";
    let mut shown = 0;
    for (round, (keys, ran)) in [("four", "=fourt="), ("five\r", "=five/t=")].iter().enumerate() {
        pty.send("run 60\r");
        pty.wait_for("/60", round + 1);
        pty.send(keys);
        pty.wait_for("=finished 60=", round + 1);
        pty.wait_for(hint, round + 1);
        std::thread::sleep(Duration::from_millis(200));
        shown = pty.text().matches(hint).count();
        pty.send("t\r");
        pty.wait_for(ran, 1);
        assert_eq!(pty.text().matches(hint).count(), shown, "{keys:?}");
    }
    // A text that was typed at the prompt waits for nothing.
    pty.send("four\r");
    pty.wait_for("=four=", 1);
    pty.send("\x04");
    assert_eq!(pty.restored().matches(hint).count(), shown);
}

#[test]
fn nothing_typed_while_work_runs_is_run_and_no_ctrl_d_ends_the_session() {
    let mut pty = Pty::start("child_repl");
    pty.wait_for("> ", 1);
    for (round, keys) in ["\x04", "\r\x04\r", "\x1b[A\r", "\x04secret\r\x04"].iter().enumerate() {
        let views = pty.text().matches("\x1b[?25l").count();
        pty.send("run 60\r");
        pty.wait_for("\x1b[?25l", views + 1);
        std::thread::sleep(Duration::from_millis(100));
        pty.send(keys);
        pty.wait_for("=finished 60=", round + 1);
    }
    pty.wait_for("secret", 1);
    pty.prompt_again("\x03");
    pty.send("after\r");
    pty.wait_for("=after=", 1);
    pty.send(":quit\r");
    let text = pty.restored();
    assert!(!text.contains("=secret") && text.matches("=finished").count() == 4);
}

#[test]
fn a_line_that_is_typed_while_a_run_ends_stays_one_line() {
    let mut pty = Pty::start("child_repl");
    pty.wait_for("> ", 1);
    // The rest of the line comes before, with and after the prompt.
    for (round, delay) in [0, 1, 2, 4, 8, 16, 30, 45, 70].into_iter().enumerate() {
        pty.send("run 60\r");
        pty.wait_for("/60", round + 1);
        std::thread::sleep(Duration::from_millis(150));
        pty.send("show ");
        pty.wait_for("=finished 60=", round + 1);
        std::thread::sleep(Duration::from_millis(delay));
        pty.send(&format!("r{round}\r"));
        pty.wait_for(&format!("=show r{round}="), 1);
    }
    pty.send("\x04");
    pty.restored();
}

#[test]
fn no_return_that_was_typed_before_joins_two_lines() {
    let mut pty = Pty::start("child_repl");
    pty.wait_for("> ", 1);
    // The beginning of the line comes with the lines before the run, its end with two runs.
    pty.send("run 60\rrun 61\rth");
    pty.wait_for("/60", 1);
    std::thread::sleep(Duration::from_millis(100));
    pty.send("r");
    pty.wait_for("/61", 1);
    std::thread::sleep(Duration::from_millis(100));
    pty.send("ee\r");
    pty.wait_for("=finished 61=", 1);
    pty.send("four\r");
    pty.wait_for("=three/four=", 1);
    // Ctrl-C in the keys before clears the line that it was typed in.
    pty.send("run 62\rno\x03");
    pty.wait_for("/62", 1);
    std::thread::sleep(Duration::from_millis(100));
    pty.send("yes");
    pty.wait_for("=finished 62=", 1);
    pty.send("\r");
    pty.wait_for("=yes=", 1);
    pty.send("\x04");
    pty.restored();
}

/// Whether a process is stopped.
fn stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(") ").next().unwrap().starts_with('T')
}

#[test]
fn ctrl_z_suspends_work_and_prompt_with_the_terminal_as_it_was() {
    let mut pty = Pty::start("child_repl");
    pty.wait_for("> ", 1);
    let pid = pty.foreground();
    let id = pid.as_raw_nonzero().get() as u32;
    let suspend = |pty: &mut Pty| {
        pty.send("\x1a");
        let deadline = Instant::now() + Duration::from_secs(20);
        while !stopped(id) {
            assert!(Instant::now() < deadline, "not suspended: {:?}", pty.tail());
            std::thread::sleep(Duration::from_millis(5));
        }
        let modes = tcgetattr(&pty.slave).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON), "the shell's modes");
        kill_process(pid, Signal::CONT).unwrap();
    };
    pty.send("run 3000\r");
    pty.wait_for("/3000", 1);
    suspend(&mut pty);
    // The work continues, in a redrawn view.
    let drawn = pty.text().matches("job W+").count();
    pty.wait_for("job W+", drawn + 1);
    pty.send("\x03");
    pty.wait_for("=stopped Keep=", 1);
    pty.wait_for("\x1b[?2004h", 2);
    suspend(&mut pty);
    pty.send("after\r");
    pty.wait_for("=after=", 1);
    pty.send(":quit\r");
    pty.restored();
}

#[test]
fn a_long_burst_keeps_its_order() {
    let mut pty = Pty::start("child_repl");
    pty.wait_for("> ", 1);
    // More than any buffer on the way can hold, with a run in the middle.
    let lines: Vec<String> = (0..60)
        .map(|i| if i == 3 { "run 20".into() } else { format!("line{i:02}{}", "x".repeat(30)) })
        .collect();
    pty.send(&(lines.join("\r") + "\r"));
    pty.wait_for("=line59", 1);
    pty.send("\x04");
    let text = pty.restored();
    let at: Vec<usize> = (4..60).map(|i| text.find(&format!("=line{i:02}")).unwrap()).collect();
    assert!(at.is_sorted() && text.contains("=finished 20="));
}

#[test]
fn a_panic_restores_the_terminal_and_its_message_can_be_read() {
    let mut pty = Pty::start("child_repl");
    pty.wait_for("> ", 1);
    pty.send("boom\r");
    let text = pty.restored();
    assert!(text.contains("the work failed"));
}

#[test]
fn a_caught_panic_leaves_a_working_session() {
    let mut pty = Pty::start("child_repl_that_catches");
    pty.wait_for("> ", 1);
    pty.send("boom\r");
    pty.wait_for("=caught=", 1);
    pty.send("run 40\r");
    pty.wait_for("/40", 1);
    pty.wait_for("=finished 40=", 1);
    pty.send("\x04");
    pty.restored();
}

#[test]
fn sigterm_asks_running_work_for_a_checkpoint() {
    let mut pty = Pty::start("child_repl");
    pty.wait_for("> ", 1);
    pty.send("run 3000\r");
    pty.wait_for("/3000", 1);
    kill_process(pty.foreground(), Signal::TERM).unwrap();
    pty.wait_for("=stopped Checkpoint=", 1);
    pty.restored();
}

#[test]
fn a_dropped_line_asks_for_a_checkpoint_too() {
    let folder = tempfile::tempdir().unwrap();
    let answer = folder.path().join("answer");
    let mut pty = Pty::with("child_repl", &[("GANNET_TEST_ANSWER", &answer)]);
    pty.wait_for("> ", 1);
    pty.send("run 3000\r");
    pty.wait_for("/3000", 1);
    kill_process(pty.foreground(), Signal::HUP).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !std::fs::read_to_string(&answer).is_ok_and(|a| !a.is_empty()) {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(std::fs::read_to_string(&answer).unwrap(), "stopped Checkpoint");
}

#[test]
fn sigterm_at_the_prompt_ends_it_with_the_terminal_restored() {
    let mut pty = Pty::start("child_repl");
    pty.wait_for("> ", 1);
    std::thread::sleep(Duration::from_millis(50));
    kill_process(pty.foreground(), Signal::TERM).unwrap();
    pty.restored();
}

#[test]
fn a_resize_in_the_middle_leaves_no_copies() {
    let mut pty = Pty::start("child_repl");
    pty.wait_for("> ", 1);
    pty.send("run 120\r");
    pty.wait_for("▀", 1);
    for (ws_row, ws_col) in [(12, 60), (30, 120), (6, 20), (24, 80)] {
        tcsetwinsize(&pty.slave, Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        std::thread::sleep(Duration::from_millis(120));
    }
    pty.wait_for("=finished 120=", 1);
    pty.send("\x04");
    // Each resize begins by erasing from the view's first cell.
    assert!(pty.restored().matches("\x1b[?25l\r\x1b[K\x1b[C\x1b[J\r").count() >= 6);
}

#[test]
fn completion_and_hints_reach_the_line() {
    let mut pty = Pty::start("child_repl");
    pty.wait_for("> ", 1);
    pty.send("inv\t\r");
    pty.wait_for("=invert=", 1);
    pty.send("run");
    pty.wait_for("(steps)", 1);
    pty.prompt_again("\x03");
    pty.send("\x1b[A\r");
    // The up arrow brings the last line back.
    pty.wait_for("=invert=", 2);
    pty.send("\x04");
    pty.restored();
}

#[test]
fn keys_that_a_probe_read_are_not_lost() {
    let mut pty = Pty::start("child_repl_with_keys_from_a_probe");
    pty.wait_for("=finished 30=", 1);
    pty.send("o\r");
    pty.wait_for("=two=", 1);
    pty.send("\x04");
    let text = pty.restored();
    assert!(text.find("=one=").unwrap() < text.find("=finished 30=").unwrap());
}

#[test]
fn piped_lines_run_without_a_terminal() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_repl", "--ignored", "--nocapture"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"one\nrun 20\n(a\nb)\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && text.contains("=one=\n=finished 20=\n=(a/b)=\n"),
        "{text:?}"
    );
    assert!(!text.contains('\x1b'), "no control sequence goes into a pipe");
}
