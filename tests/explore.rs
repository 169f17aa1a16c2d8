//! Full screens in a real terminal (tmux), from the command line and from the prompt.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod tmux;

use std::process::{Command, Stdio};
use tmux::Tmux;

/// Columns and rows of the terminal.
const SIZE: (u16, u16) = (90, 28);

#[test]
fn a_code_is_explored_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let Some(tmux) = Tmux::shell("explore", folder.path(), SIZE) else { return };
    tmux.gannet("explore --model toy");
    let shown = tmux.wait_for("? keys");
    assert!(shown.contains("› age") && shown.contains("seed"), "{shown}");
    tmux.wait_for("▀");
    let flags = "#{alternate_on} #{mouse_any_flag} #{cursor_flag}";
    assert_eq!(tmux.run(&["display-message", "-p", flags]).trim(), "1 1 0");
    tmux.keys(&["Right", "Right", "Right", "Right"]);
    tmux.wait_for("+1.0");
    tmux.keys(&["Down", "Left", "h"]);
    // The held direction is projected out of the other one. A frame is drawn row by row.
    let held = |shown: &str| shown.contains("⟂") && shown.contains("-0.25");
    tmux.wait("the held direction", held);
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
    tmux.wait("the frame of the new size", whole);
    tmux.keys(&["g"]);
    tmux.wait_for("Esc back");
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
    tmux.gannet("run again.gnt --graphics none");
    tmux.wait_for("[picture");
    tmux.wait_for_prompt("ready>");
    assert!(folder.path().join("again.png").exists());
}

#[test]
fn a_call_at_the_prompt_opens_the_screen_and_is_recorded_as_the_edit() {
    let folder = tempfile::tempdir().unwrap();
    let Some(tmux) = Tmux::shell("prompt", folder.path(), SIZE) else { return };
    tmux.gannet("--model toy");
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
    tmux.wait_for("Esc again drops the changes");
    tmux.keys(&["Escape"]);
    tmux.wait_for("true");
    tmux.wait_for_prompt("[5]");
    tmux.keys(&[":quit", "Enter"]);
    tmux.wait_for_prompt("ready>");
}

#[test]
fn pictures_are_compared_in_words_where_there_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let Some(tmux) = Tmux::shell("compared", folder.path(), SIZE) else { return };
    tmux.gannet(
        "eval --model faces 'save(sample(seed: 1), \"a.png\"); save(sample(seed: 2), \"b.png\")'",
    );
    tmux.wait("the saved pictures", |shown| shown.lines().any(|line| line == "b.png"));
    tmux.wait_for_prompt("ready>");
    tmux.gannet("compare --graphics words a.png b.png");
    let shown = tmux.wait_for("? keys");
    for words in [
        "target: a.png",
        "▸ b.png",
        "rgb: a ",
        "difference from the target: ",
        "psnr",
        "PSNR by region",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    tmux.keys(&["z"]);
    tmux.wait_for("64×64 of 128×128");
    tmux.keys(&["q"]);
    let shown = tmux.wait_for_prompt("ready>");
    assert!(!shown.contains("difference from"), "the screen of before is back:\n{shown}");
    // A terminal without cursor movements gets lines.
    tmux.keys(&["export TERM=dumb; clear", "Enter"]);
    tmux.gannet("--model toy");
    tmux.wait_for("[1]");
    tmux.keys(&["r = invert(sample(seed: 1), space: W, steps: 3)", "Enter"]);
    tmux.wait_for("[2]");
    tmux.keys(&[":view r", "Enter"]);
    let shown = tmux.wait_for("worst 3");
    for words in ["target: picture: [picture 32×32", "r: [picture 32×32", "PSNR by region"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    // Whatever can be drawn is looked at.
    tmux.keys(&[":view r + 1*smile, sample(seed: 2, psi: 0.5)", "Enter"]);
    let shown = tmux.wait_for("sample(seed: 2, psi: 0.5): [picture 32×32");
    assert!(shown.contains("target: r + 1*smile: [picture 32×32"), "{shown}");
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
