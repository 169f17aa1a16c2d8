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
        let line = format!("GANNET_STATE={} {binary} {arguments}", state.display());
        self.keys(&[&line, "Enter"]);
    }

    fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, &|shown| shown.contains(text))
    }

    /// Waits for a prompt: keys that come earlier would be typed into what runs before.
    fn wait_for_prompt(&self, prompt: &str) -> String {
        self.wait_until(prompt, &|shown| shown.trim_end().ends_with(prompt))
    }

    fn wait_until(&self, what: &str, is: &dyn Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let shown = self.screen();
            if is(&shown) {
                return shown;
            }
            assert!(Instant::now() < deadline, "{what:?} not in\n{shown}");
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
    let flags = "#{alternate_on} #{mouse_any_flag} #{cursor_flag}";
    assert_eq!(tmux.run(&["display-message", "-p", flags]).trim(), "1 1 0");
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
    let whole = |shown: &str| {
        let lines: Vec<&str> = shown.trim_end().lines().collect();
        shown.matches("› glasses").count() == 1
            && !shown.contains("projected")
            && lines.len() == 20
            && lines[19].starts_with("←→ move")
    };
    tmux.wait_until("the frame of the new size", &whole);
    tmux.keys(&["g"]);
    tmux.wait_for("Enter take");
    tmux.keys(&["Escape"]);
    tmux.wait_for("? keys");
    tmux.keys(&["s"]);
    tmux.wait_for("saved: gannet run explore-1.gnt");
    tmux.keys(&["q"]);
    tmux.wait_for("show render(edited)");
    let shown = tmux.wait_for_prompt("ready>");
    assert!(!shown.contains("? keys"), "the screen of before is back:\n{shown}");
    let script = std::fs::read_to_string(folder.path().join("explore-1.gnt")).unwrap();
    let edit = "edited = sample(seed: 0) + (1*(age | glasses) - 0.25*glasses)";
    let wanted = edit.replace("1*(", "(");
    assert!(script.contains(&wanted), "{script}");
    let saved = format!("{script}save(render(edited), \"again.png\")\n");
    std::fs::write(folder.path().join("again.gnt"), saved).unwrap();
    // The terminal is as it was: screen, mouse, cursor, and its modes.
    assert_eq!(tmux.run(&["display-message", "-p", flags]).trim(), "0 0 1");
    tmux.keys(&["stty -a > modes; echo modes-$((40 + 2))", "Enter"]);
    tmux.wait_for("modes-42");
    let modes = std::fs::read_to_string(folder.path().join("modes")).unwrap();
    for on in ["isig", "icanon", "echo"] {
        assert!(modes.split_whitespace().any(|word| word == on), "{on}: {modes}");
    }
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
    tmux.wait_for_prompt("[1]");
    tmux.keys(&["smile = direction(\"smile\"); w = sample(seed: 3)", "Enter"]);
    tmux.wait_for_prompt("[3]");
    tmux.keys(&["b = explore(w, along: [smile, pc[0..2]])", "Enter"]);
    let shown = tmux.wait_for("? keys");
    for row in ["› smile", "pc[0]", "pc[1]", "given"] {
        assert!(shown.contains(row), "{row}:\n{shown}");
    }
    tmux.keys(&["Right", "Right", "Down", "Right", "q"]);
    tmux.wait_for("→ w + (0.5*smile + 0.25*pc[0])");
    tmux.wait_for_prompt("[4]");
    tmux.keys(&[":history", "Enter"]);
    tmux.wait_for("[3] b = w + (0.5*smile + 0.25*pc[0])");
    tmux.wait_for_prompt("[4]");
    // Escape leaves the code as it was.
    tmux.keys(&["norm(explore(b) - b) == 0", "Enter"]);
    tmux.wait_for("? keys");
    tmux.keys(&["Right", "Escape"]);
    tmux.wait_for("true");
    tmux.wait_for_prompt("[5]");
    tmux.keys(&[":quit", "Enter"]);
    tmux.wait_for_prompt("ready>");
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
