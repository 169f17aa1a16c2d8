//! `gannet open` in tmux: a cell is typed, run, saved and found again; a line that drops loses
//! nothing; the terminal comes back as it was.

#![cfg(test)]

mod tmux;

use std::path::Path;
use std::time::{Duration, Instant};
use tmux::Tmux;

/// A shell on a terminal of 80 × 24.
fn start(name: &str, folder: &Path) -> Option<Tmux> {
    Tmux::shell(name, folder, (80, 24))
}

fn open(tmux: &Tmux, file: &str) {
    tmux.gannet(&format!("open --model toy {file}"));
}

#[test]
fn a_cell_is_typed_run_saved_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(tmux) = start("typed", folder.path()) else { return };
    open(&tmux, "a.gnt");
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
    tmux.wait("the shell", |s| s.trim_end().ends_with("ready>"));
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
    open(&tmux, "a.gnt");
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
    let Some(tmux) = start("dropped", folder.path()) else { return };
    open(&tmux, "b.gnt");
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
    let tmux = start("again", folder.path()).unwrap();
    open(&tmux, "b.gnt");
    let shown = tmux.wait_for("nothing has run");
    assert!(shown.contains("x = 1") && shown.contains("1 ○ r = invert"), "{shown}");
    tmux.keys(&["k", "r"]);
    // It goes on after the steps that were done.
    let shown = tmux.wait("steps", |s| steps(s).is_some());
    assert!(steps(&shown).unwrap() >= before, "{before} steps before\n{shown}");
    tmux.keys(&["C-c"]);
    tmux.wait_for("stopped; the best so far is kept");
}
