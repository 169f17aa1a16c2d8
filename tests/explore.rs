//! The screen of sliders in a real terminal (tmux), from the command line and from the prompt.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A shell in a terminal of its own.
struct Tmux {
    name: String,
}

impl Tmux {
    /// `None` without tmux.
    fn start(name: &str, folder: &Path) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            println!("skipped: there is no tmux here");
            return None;
        }
        let tmux = Self { name: format!("gannet-{name}-{}", std::process::id()) };
        let at = folder.display().to_string();
        let shell = "env -u GANNET_MODEL PS1='ready> ' sh";
        tmux.run(&["new-session", "-d", "-x", "90", "-y", "28", "-c", &at, shell]);
        tmux.wait_for("ready>");
        Some(tmux)
    }

    fn run(&self, args: &[&str]) -> String {
        let own = ["-L", &self.name, "-f", "/dev/null"];
        let out = Command::new("tmux").args(own).args(args).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn keys(&self, keys: &[&str]) {
        self.run(&[&["send-keys"], keys].concat());
    }

    /// Runs gannet with these arguments, with its state in the folder.
    fn gannet(&self, arguments: &str, folder: &Path) {
        let binary = env!("CARGO_BIN_EXE_gannet");
        let state = folder.join("state");
        let line = format!("clear; GANNET_STATE={} {binary} {arguments}", state.display());
        self.keys(&[&line, "Enter"]);
    }

    fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    fn wait_for(&self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let shown = self.screen();
            if shown.contains(text) {
                return shown;
            }
            assert!(Instant::now() < deadline, "{text:?} not in\n{shown}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

#[test]
fn a_code_is_explored_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let Some(tmux) = Tmux::start("explore", folder.path()) else { return };
    tmux.gannet("explore --model toy", folder.path());
    let shown = tmux.wait_for("? keys");
    assert!(shown.contains("› age") && shown.contains("seed"), "{shown}");
    tmux.wait_for("▀");
    tmux.keys(&["Right", "Right", "Right", "Right"]);
    tmux.wait_for("+1.0");
    tmux.keys(&["Down", "Left", "h"]);
    // The held direction is projected out of the other one.
    let shown = tmux.wait_for("⟂");
    assert!(shown.contains("-0.25"), "{shown}");
    tmux.wait_for("drift");
    tmux.keys(&["?"]);
    tmux.wait_for("projected out of this one");
    tmux.keys(&["x"]);
    // Another size: nothing of the old frame stays.
    tmux.run(&["resize-window", "-x", "70", "-y", "20"]);
    std::thread::sleep(Duration::from_millis(500));
    let shown = tmux.screen();
    assert_eq!(shown.matches("› glasses").count(), 1, "{shown}");
    tmux.keys(&["g"]);
    tmux.wait_for("Enter take");
    tmux.keys(&["Escape"]);
    tmux.wait_for("? keys");
    tmux.keys(&["s"]);
    tmux.wait_for("saved: gannet run explore-1.gnt");
    tmux.keys(&["q"]);
    let shown = tmux.wait_for("show render(edited)");
    assert!(!shown.contains("? keys"), "the screen of before is back:\n{shown}");
    let script = std::fs::read_to_string(folder.path().join("explore-1.gnt")).unwrap();
    let edit = "edited = sample(seed: 0) + (1*(age | glasses) - 0.25*glasses)";
    let wanted = edit.replace("1*(", "(");
    assert!(script.contains(&wanted), "{script}");
    let saved = format!("{script}save(render(edited), \"again.png\")\n");
    std::fs::write(folder.path().join("again.gnt"), saved).unwrap();
    tmux.keys(&["clear; stty -a | tr ' ;' '\\n\\n' | grep -x -e echo -e icanon -e isig", "Enter"]);
    let shown = tmux.wait_for("icanon");
    assert!(shown.contains("\necho\n") && shown.contains("isig"), "{shown}");
    tmux.gannet("run again.gnt --graphics none", folder.path());
    tmux.wait_for("[picture");
    std::thread::sleep(Duration::from_millis(300));
    assert!(folder.path().join("again.png").exists());
}

#[test]
fn a_call_at_the_prompt_opens_the_screen_and_is_recorded_as_the_edit() {
    let folder = tempfile::tempdir().unwrap();
    let Some(tmux) = Tmux::start("prompt", folder.path()) else { return };
    tmux.gannet("--model toy", folder.path());
    tmux.wait_for("[1]");
    tmux.keys(&["smile = direction(\"smile\"); w = sample(seed: 3)", "Enter"]);
    tmux.wait_for("[3]");
    tmux.keys(&["b = explore(w, along: [smile, pc[0..2]])", "Enter"]);
    let shown = tmux.wait_for("? keys");
    for row in ["› smile", "pc[0]", "pc[1]", "given"] {
        assert!(shown.contains(row), "{row}:\n{shown}");
    }
    tmux.keys(&["Right", "Right", "Down", "Right", "q"]);
    tmux.wait_for("→ w + (0.5*smile + 0.25*pc[0])");
    tmux.wait_for("[4]");
    tmux.keys(&["clear", "C-u"]);
    tmux.keys(&[":history", "Enter"]);
    let shown = tmux.wait_for("b = w + (0.5*smile + 0.25*pc[0])");
    assert!(shown.contains("[4]"), "{shown}");
    // Escape leaves the code as it was.
    tmux.keys(&["norm(explore(b) - b) == 0", "Enter"]);
    tmux.wait_for("? keys");
    tmux.keys(&["Right", "Escape"]);
    tmux.wait_for("true");
    tmux.keys(&[":quit", "Enter"]);
    tmux.wait_for("ready>");
}

#[test]
fn without_a_terminal_it_says_so() {
    let out = Command::new(env!("CARGO_BIN_EXE_gannet"))
        .args(["explore", "--model", "toy"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() == Some(2) && said.contains("needs a terminal"), "{said}");
}
