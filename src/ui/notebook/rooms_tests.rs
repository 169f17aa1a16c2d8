//! Screens above the notebook: the explorer writes its code, the full view shows a result.

use super::room::Room;
use super::tests::{Desk, Place, marks, set, settle};
use crate::render::Protocol;
use crate::ui::full::App;
use crossterm::event::{KeyCode, KeyModifiers};
use std::time::{Duration, Instant};

impl Desk {
    /// Waits for a screen above the notebook.
    fn wait_for_room(&mut self) {
        let begun = Instant::now();
        while self.app.rooms.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "no screen opens");
            self.app.notebook().wait();
            self.app.tick();
        }
        self.draw();
    }

    fn press(&mut self, code: KeyCode) {
        self.key(code, KeyModifiers::NONE);
    }
}

const EXPLORES: &str = "#%%\nw = sample(seed: 3)\n\
                        b = explore(w, along: direction(\"smile\"))  # mine\n\
                        print(norm(b - w) > 0)\n\n#%%\nc = b\n";

#[test]
fn explored_code_is_written_into_its_cell_and_the_cell_is_fresh() {
    let place = Place::with(EXPLORES);
    let mut desk = Desk::new(&place, Protocol::Blocks, false);
    desk.size = (90, 24);
    desk.typed("G");
    desk.typed("s");
    desk.wait_for_room();
    assert!(desk.last.contains("› smile") && desk.last.contains("? keys"), "{}", desk.last);
    desk.press(KeyCode::Right);
    desk.press(KeyCode::Right);
    desk.typed("q");
    assert!(desk.app.rooms.is_empty());
    desk.settle();
    let n = desk.app.notebook();
    let written =
        "w = sample(seed: 3)\nb = w + 0.5*direction(\"smile\")  # mine\nprint(norm(b - w) > 0)";
    assert_eq!(&*n.editor.document().cells()[0].text, written);
    assert_eq!(marks(n), "●●", "neither the cell nor what depends on it is stale");
    assert_eq!(super::tests::output(n, 0).lines().last(), Some("true"));
    // The rerun asks nothing and gives the same code.
    n.run(0);
    settle(n);
    assert!(desk.app.rooms.is_empty() && n_asked(&mut desk));
    let n = desk.app.notebook();
    assert_eq!(super::tests::output(n, 0).lines().last(), Some("true"));
    assert!(n.editor.undo());
    assert!(n.editor.document().cells()[0].text.contains("explore(w"), "undo brings it back");
    assert_eq!(marks(n), "○○");
}

fn n_asked(desk: &mut Desk) -> bool {
    desk.app.notebook().asked.is_none()
}

#[test]
fn leaving_the_explorer_keeps_the_code_and_a_changed_cell_is_left_alone() {
    let place = Place::with(EXPLORES);
    let mut desk = Desk::new(&place, Protocol::Kitty, false);
    desk.typed("r");
    desk.wait_for_room();
    desk.press(KeyCode::Right);
    desk.press(KeyCode::Esc);
    desk.press(KeyCode::Esc);
    desk.settle();
    let n = desk.app.notebook();
    assert!(n.editor.text().contains("b = w  # mine"), "{}", n.editor.text());
    assert_eq!(super::tests::output(n, 0).lines().last(), Some("false"));
    // Another text than the one that runs is the user's.
    n.editor.undo();
    desk.typed("r");
    desk.wait_for_room();
    set(desk.app.notebook(), 0, "d = 1");
    desk.typed("q");
    desk.settle();
    let n = desk.app.notebook();
    assert_eq!(marks(n), "○○");
    assert_eq!(n.editor.text(), "d = 1");
    assert!(n.message().unwrap().text.contains("not written"));
}

#[test]
fn a_signal_closes_the_screens_and_the_cell_goes_on() {
    let place = Place::with(EXPLORES);
    let mut desk = Desk::new(&place, Protocol::Kitty, false);
    desk.typed("r");
    desk.wait_for_room();
    desk.app.end();
    settle(desk.app.notebook());
    assert!(desk.app.over() && desk.app.rooms.is_empty());
    let text = std::fs::read_to_string(&place.file).unwrap();
    assert!(text.contains("explore(w"), "nothing was chosen: {text}");
}

#[test]
fn the_full_view_shows_an_inversion_with_its_numbers_or_the_pictures() {
    let place = Place::with(
        "#%%\nr = invert(sample(seed: 3), space: W, steps: 3)\n\n#%%\nr\n\n\
         #%%\nshow sample(seed: 1), sample(seed: 2)\n\n#%%\nw = sample(seed: 1)\n\n#%%\nk = 1\n",
    );
    let mut desk = Desk::new(&place, Protocol::Blocks, false);
    desk.size = (110, 30);
    desk.typed("R");
    desk.settle();
    let cells = [
        ("▸ r", "perceptual"),
        ("▸ _2", "loss"),
        ("▸ sample(seed: 2)", "PSNR by region"),
        ("picture 1", "32×32"),
    ];
    for (at, words) in cells.into_iter().enumerate() {
        desk.app.notebook().editor.jump(super::editor::Place { cell: at, at: 0 });
        desk.typed("o");
        assert!(matches!(desk.app.rooms.last(), Some(Room::Compare(_))), "cell {at}");
        assert!(desk.last.contains(words.0) && desk.last.contains(words.1), "{}", desk.last);
        desk.typed("?q");
        assert!(desk.app.rooms.is_empty() && desk.last.contains("· cells ·"), "{}", desk.last);
    }
    desk.typed("Go");
    assert!(desk.app.rooms.is_empty() && desk.last.contains("shows no picture"), "{}", desk.last);
    // The pictures are on the disk: another process without the values shows them.
    assert!(desk.app.notebook().close());
    drop(desk);
    std::fs::remove_dir_all(&place.journals).unwrap();
    let mut desk = Desk::new(&place, Protocol::Blocks, false);
    desk.app.notebook().editor.jump(super::editor::Place::default());
    desk.typed("o");
    assert!(desk.last.contains("target") && desk.last.contains("inverted"), "{}", desk.last);
}

#[test]
fn the_full_view_of_a_ladder_shows_every_rung_with_the_numbers_of_its_row() {
    let place = Place::with("#%%\nt = ladder(sample(seed: 3), steps: 2)\n\n#%%\nt\n");
    let mut desk = Desk::new(&place, Protocol::Blocks, false);
    desk.size = (120, 40);
    desk.typed("R");
    desk.settle();
    let rungs = ["Z", "W", "W+", "S", "F", "pti"];
    let complete = |desk: &mut Desk, at: usize| {
        desk.app.notebook().editor.jump(super::editor::Place { cell: at, at: 0 });
        desk.typed("o");
        assert!(matches!(desk.app.rooms.last(), Some(Room::Compare(_))), "cell {at}");
        let shown = desk.last.clone();
        assert!(shown.contains("target: "), "{shown}");
        let (panes, table) = shown.split_at(shown.find("  rung ").expect("the table of the rungs"));
        for name in rungs {
            assert!(panes.split_whitespace().any(|word| word == name), "{name}: {shown}");
            let line = table.lines().find(|l| l.split_whitespace().any(|word| word == name));
            assert!(line.is_some_and(|l| l.contains(" dB")), "{name}: {shown}");
        }
        for name in ["psnr", "offset", "identity", "kB", "seconds"] {
            assert!(table.contains(name), "{name}: {shown}");
        }
        desk.typed("q");
        table
            .lines()
            .take(7)
            .map(|line| line.split("  ▁").next().unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    let first = complete(&mut desk, 0);
    complete(&mut desk, 1);
    // Another process has the pictures and the table, and no values.
    assert!(desk.app.notebook().close());
    drop(desk);
    std::fs::remove_dir_all(&place.journals).unwrap();
    let mut desk = Desk::new(&place, Protocol::Blocks, false);
    desk.size = (120, 40);
    let again = complete(&mut desk, 0);
    let numbers = |lines: &[String]| -> Vec<Vec<String>> {
        let words = |l: &String| {
            l.split_whitespace().filter(|w| w.parse::<f64>().is_ok()).map(String::from).collect()
        };
        lines.iter().map(words).collect()
    };
    assert_eq!(numbers(&first), numbers(&again));
}

#[test]
fn the_full_view_says_in_words_what_it_cannot_show() {
    let place = Place::with("#%%\nr = invert(sample(seed: 3), space: W, steps: 3)\n");
    for protocol in [Protocol::Words, Protocol::None] {
        let mut desk = Desk::new(&place, protocol, false);
        desk.size = (90, 40);
        desk.typed("R");
        desk.settle();
        desk.app.notebook().editor.jump(super::editor::Place::default());
        desk.typed("o");
        assert!(matches!(desk.app.rooms.last(), Some(Room::Compare(_))));
        // The sentences are written into the frame after it was drawn.
        for words in ["target: picture", "▸ r", "psnr", "PSNR by region", "loss "] {
            assert!(desk.last.contains(words), "{words}: {}", desk.last);
        }
        desk.typed("q");
        assert!(desk.app.rooms.is_empty());
        assert!(desk.app.notebook().close());
    }
}
