//! `gannet open` in tmux: a cell is typed, run, saved and found again; a line that drops loses
//! nothing; the terminal comes back as it was.

#![cfg(test)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

struct Tmux {
    name: String,
}

impl Tmux {
    /// A server of its own with a shell in which `gannet` is the program under test.
    fn start(name: &str, folder: &Path) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            println!("skipped: there is no tmux here");
            return None;
        }
        let tmux = Self { name: format!("gannet-{name}-{}", std::process::id()) };
        let state = folder.join("state");
        let command = format!(
            "cd {} && GANNET_STATE={} COLORTERM=truecolor PS1='ready$ ' sh -i",
            folder.display(),
            state.display()
        );
        tmux.run(&["new-session", "-d", "-x", "80", "-y", "24", &command]);
        tmux.wait_for("ready$");
        Some(tmux)
    }

    fn run(&self, args: &[&str]) -> String {
        let out = Command::new("tmux")
            .args(["-L", &self.name, "-f", "/dev/null"])
            .args(args)
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn open(&self, file: &str) {
        let gannet = env!("CARGO_BIN_EXE_gannet");
        self.keys(&[&format!("{gannet} open --model toy {file}"), "Enter"]);
    }

    fn keys(&self, keys: &[&str]) {
        self.run(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    fn wait_for(&self, text: &str) -> String {
        self.wait(text, |shown| shown.contains(text))
    }

    fn wait(&self, what: &str, found: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
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
        self.run(&["kill-server"]);
    }
}

#[test]
fn a_cell_is_typed_run_saved_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(tmux) = Tmux::start("typed", folder.path()) else { return };
    tmux.open("a.gnt");
    tmux.wait_for("a new notebook");
    tmux.keys(&["w = sample(seed: 3)", "Enter", "print(40 + 2)", "C-r"]);
    let shown = tmux.wait("the result", |s| s.contains("42") && s.contains("1 ● w = sample"));
    assert!(shown.contains('▀'), "{shown}");
    tmux.keys(&["C-s"]);
    tmux.wait_for(" · saved · 1/1");
    // Suspended, the shell is as it was; `fg` brings the notebook back.
    tmux.keys(&["C-z"]);
    let shell = tmux.wait_for("Stopped");
    assert!(!shell.contains('▀'), "{shell}");
    tmux.keys(&["fg", "Enter"]);
    tmux.wait_for(" · saved · 1/1");
    tmux.run(&["resize-window", "-x", "60", "-y", "16"]);
    tmux.wait("a smaller screen", |s| s.contains("saved") && s.lines().count() <= 16);
    tmux.keys(&["C-q"]);
    tmux.wait("the shell", |s| s.trim_end().ends_with("ready$"));
    let text = std::fs::read_to_string(folder.path().join("a.gnt")).unwrap();
    assert_eq!(text, "#%%\nw = sample(seed: 3)\nprint(40 + 2)\n");
    let outputs: Vec<String> = std::fs::read_dir(folder.path().join("a.gnt.outputs"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(outputs.iter().any(|n| n.ends_with(".png")), "{outputs:?}");
    // The terminal echoes and takes lines again.
    tmux.keys(&["echo back $((40 + 3))", "Enter"]);
    tmux.wait_for("back 43");
    tmux.open("a.gnt");
    let again = tmux.wait_for("nothing has run");
    assert!(again.contains("42") && again.contains("1 ● w = sample"), "{again}");
}

/// The steps that the running inversion has done.
fn steps(shown: &str) -> Option<usize> {
    let (done, _) = shown.split_once("/90000")?;
    done.split_whitespace().next_back()?.parse().ok()
}

#[test]
fn a_line_that_drops_in_the_middle_of_an_inversion_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.gnt");
    std::fs::write(&file, "#%%\nr = invert(sample(seed: 3), space: W, steps: 900000)\n").unwrap();
    let Some(tmux) = Tmux::start("dropped", folder.path()) else { return };
    tmux.open("b.gnt");
    tmux.wait_for("nothing has run");
    tmux.keys(&["r"]);
    tmux.wait_for("stop and keep the best so far");
    // An edit while it runs.
    tmux.keys(&["b", "x = 1"]);
    let shown = tmux.wait("steps", |s| s.contains("x = 1") && steps(s).is_some());
    let before = steps(&shown).unwrap();
    // The other end of the terminal goes.
    tmux.run(&["kill-server"]);
    let deadline = Instant::now() + Duration::from_secs(40);
    let checkpoints = folder.path().join("state/checkpoints");
    while std::fs::read_dir(&checkpoints).map_or(0, Iterator::count) == 0
        || !std::fs::read_to_string(&file).unwrap().contains("x = 1")
    {
        assert!(Instant::now() < deadline, "no checkpoint, or the edit is lost");
        std::thread::sleep(Duration::from_millis(50));
    }
    let tmux = Tmux::start("again", folder.path()).unwrap();
    tmux.open("b.gnt");
    let shown = tmux.wait_for("nothing has run");
    assert!(shown.contains("x = 1") && shown.contains("1 ○ r = invert"), "{shown}");
    tmux.keys(&["k", "r"]);
    // It goes on after the steps that were done.
    let shown = tmux.wait("steps", |s| steps(s).is_some());
    assert!(steps(&shown).unwrap() >= before, "{before} steps before\n{shown}");
    tmux.keys(&["C-c"]);
    tmux.wait_for("stopped; the best so far is kept");
}
