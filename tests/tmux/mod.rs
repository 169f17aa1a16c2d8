//! A tmux server of its own, with a terminal that a test types into and reads.
#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Longest time until something appears on the screen.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Tmux {
    name: String,
}

impl Tmux {
    /// A server that is not started yet; `None` without tmux.
    pub fn new(name: &str) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            println!("skipped: there is no tmux here");
            return None;
        }
        Some(Self { name: format!("gannet-{name}-{}", std::process::id()) })
    }

    /// A server with a shell in a folder, whose prompt is `ready>`. Sessions are kept in `state`.
    pub fn shell(name: &str, folder: &Path, (columns, rows): (u16, u16)) -> Option<Self> {
        let tmux = Self::new(name)?;
        let (at, state) = (folder.display().to_string(), folder.join("state"));
        let environment = format!("GANNET_STATE={} COLORTERM=truecolor", state.display());
        let shell = format!("env -u GANNET_MODEL -u NO_COLOR {environment} PS1='ready> ' sh -i");
        let (columns, rows) = (columns.to_string(), rows.to_string());
        tmux.run(&["new-session", "-d", "-x", &columns, "-y", &rows, "-c", &at, &shell]);
        tmux.wait_for("ready>");
        Some(tmux)
    }

    /// The command line of this server.
    pub fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.env_remove("TMUX").args(["-L", &self.name, "-f", "/dev/null"]);
        command
    }

    /// Runs a command of tmux and returns its output.
    pub fn run(&self, args: &[&str]) -> String {
        let out = self.command().args(args).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Types keys by their names in tmux.
    pub fn keys(&self, keys: &[&str]) {
        self.run(&[&["send-keys"], keys].concat());
    }

    /// Runs gannet with these arguments in the shell.
    pub fn gannet(&self, arguments: &str) {
        self.keys(&[&format!("{} {arguments}", env!("CARGO_BIN_EXE_gannet")), "Enter"]);
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    /// What is on the screen, and what has scrolled off it.
    pub fn history(&self) -> String {
        self.run(&["capture-pane", "-p", "-S", "-"])
    }

    pub fn wait_for(&self, text: &str) -> String {
        self.wait(text, |shown| shown.contains(text))
    }

    /// Waits for a prompt: keys that come earlier would be typed into what runs before.
    pub fn wait_for_prompt(&self, prompt: &str) -> String {
        self.wait(prompt, |shown| shown.trim_end().ends_with(prompt))
    }

    /// Waits until the screen is as `found` says, and returns it.
    pub fn wait(&self, what: &str, found: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.screen();
            if found(&shown) {
                return shown;
            }
            assert!(Instant::now() < deadline, "{what:?} not in\n{shown}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // The server may be gone already.
        let _ = self.command().arg("kill-server").output();
    }
}
