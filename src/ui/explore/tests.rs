//! The screen of an exploration without a terminal: keys in, frames out.

use super::*;
use crate::eval::{Options, State};
use crate::lang::span::Source;
use crate::render::{Block, Colours, Protocol};
use crate::rng::Rng;
use crate::session::{Event as Told, Given, Request, Session, Start};
use crate::ui::full::Compositor;
use crate::value::Models;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use std::path::Path;

fn terminal(protocol: Protocol) -> render::Terminal {
    render::Terminal { protocol, colours: Colours::True, ..render::Terminal::plain("test") }
}

fn state() -> State {
    State::new(Models::cpu(), "toy", Options::default()).unwrap()
}

fn explorer(state: &State, folder: &Path) -> Explorer {
    let (subject, bound) = Subject::samples(state).unwrap();
    let scripts = Scripts { preamble: "load \"toy\"\n".into(), folder: folder.to_owned() };
    Explorer::new(Model::new(subject), Renderer::new(state, bound).unwrap(), scripts)
}

fn key(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn press(app: &mut Explorer, keys: &str) {
    for c in keys.chars() {
        app.input(&key(match c {
            '<' => KeyCode::Left,
            '>' => KeyCode::Right,
            '^' => KeyCode::Up,
            '_' => KeyCode::Down,
            '!' => KeyCode::Enter,
            '~' => KeyCode::Esc,
            c => KeyCode::Char(c),
        }));
        app.tick();
    }
}

/// A frame as text: the compositor needs no terminal.
fn frame(app: &mut Explorer, size: (u16, u16)) -> Vec<String> {
    let mut lines = Vec::new();
    let mut compositor = Compositor::new(&terminal(Protocol::Blocks));
    compositor
        .frame(size, true, |canvas: &mut Canvas<'_>| {
            app.draw(canvas);
            let area = canvas.area();
            lines = (0..area.height)
                .map(|y| (0..area.width).map(|x| canvas.buffer[(x, y)].symbol()).collect())
                .collect();
        })
        .unwrap();
    lines
}

/// Waits until everything that is wanted is there.
fn settle(app: &mut Explorer) {
    for _ in 0..5000 {
        app.tick();
        if !app.busy() && app.touched.elapsed() > Duration::from_millis(300) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it never settles");
}

/// The last picture that a script shows in a session of its own.
fn run(text: &str) -> crate::image::Raster {
    let start = Start { state: state(), model: "toy".into(), folder: None, lists: false };
    let mut session = Session::start(start).unwrap();
    let source = Source::new("test", text).unwrap();
    session.submit(Request::Program { source, sets: Default::default() }, false).unwrap();
    let mut last = None;
    loop {
        match session.next(Duration::from_secs(60)).unwrap() {
            Told::Given(given) => {
                for one in given {
                    if let Given::Value(blocks, _) = one {
                        for block in blocks {
                            if let Block::Pictures(p) = block {
                                last = p.into_iter().next_back().map(|p| p.raster);
                            }
                        }
                    }
                }
            }
            Told::Done(reply) => {
                reply.unwrap();
                return last.unwrap();
            }
            _ => {}
        }
    }
}

#[test]
fn keys_move_sliders_and_the_picture_is_what_the_saved_script_shows() {
    let folder = tempfile::tempdir().unwrap();
    let state = state();
    let mut app = explorer(&state, folder.path());
    press(&mut app, ">>>>_<<h_>>lll>>x");
    settle(&mut app);
    let lines = frame(&mut app, (80, 24));
    let text = lines.join("\n");
    for part in
        ["age", "+1.0", "⟂", "glasses", "-0.5", "hold", "smile", "seed", "psi", "noise", "none"]
    {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(text.contains("identity ") && text.contains("drift "), "{text}");
    assert!(lines.iter().all(|l| crate::render::text::width(l) <= 80));
    assert!(lines[23].contains("? keys") && lines[23].contains("Enter take"), "{}", lines[23]);
    let shown = app.shown().unwrap();
    press(&mut app, "s");
    assert!(app.message.starts_with("saved: gannet run "), "{}", app.message);
    let script = std::fs::read_to_string(folder.path().join("explore-1.gnt")).unwrap();
    assert_eq!(run(&script), *shown.raster(), "{script}");
    // The same file, as long as it is ours.
    press(&mut app, ">s");
    assert!(!folder.path().join("explore-2.gnt").exists());
    std::fs::write(folder.path().join("explore-1.gnt"), "mine").unwrap();
    press(&mut app, "ss");
    assert!(folder.path().join("explore-2.gnt").exists());
    assert_eq!(std::fs::read_to_string(folder.path().join("explore-1.gnt")).unwrap(), "mine");
}

#[test]
fn leaving_takes_the_code_or_leaves_it() {
    let folder = tempfile::tempdir().unwrap();
    let state = state();
    let mut app = explorer(&state, folder.path());
    press(&mut app, ">>q");
    assert!(app.over());
    let chosen = app.chosen().unwrap().unwrap();
    assert_eq!(chosen.written, "sample(seed: 0) + 0.5*direction(\"age\")");
    assert_eq!(chosen.code.count(), 1);
    for keys in ["~", "__~", ">>~~", ">>~_~~"] {
        let mut app = explorer(&state, folder.path());
        press(&mut app, keys);
        assert!(app.over() && app.chosen().unwrap().is_none(), "{keys}");
    }
    // An Esc that would drop changes asks first, and another key in between is not an answer.
    for keys in [">>~", ">>~_~"] {
        let mut app = explorer(&state, folder.path());
        press(&mut app, keys);
        assert!(!app.over() && app.message.contains("Esc again"), "{keys}: {}", app.message);
        press(&mut app, "!");
        let chosen = app.chosen().unwrap().unwrap();
        assert_eq!(chosen.written, "sample(seed: 0) + 0.5*direction(\"age\")");
    }
    let mut app = explorer(&state, folder.path());
    app.end();
    assert!(app.over() && app.chosen().unwrap().is_none());
}

#[test]
fn views_compare_and_the_map_shows_tiles() {
    let folder = tempfile::tempdir().unwrap();
    let state = state();
    let mut app = explorer(&state, folder.path());
    press(&mut app, ">>>>");
    settle(&mut app);
    let now = app.shown().unwrap();
    press(&mut app, "v");
    settle(&mut app);
    let split = app.shown().unwrap();
    press(&mut app, "v");
    settle(&mut app);
    let before = app.shown().unwrap();
    assert!(now != split && split != before && now != before);
    assert!(frame(&mut app, (80, 24))[22].contains("before the edits"));
    press(&mut app, "vb>>");
    assert!(frame(&mut app, (80, 24))[22].contains("state b"));
    press(&mut app, "a");
    assert_eq!(app.model.now().sliders[0].amount, 1.0);
    press(&mut app, "g");
    frame(&mut app, (100, 40));
    settle(&mut app);
    let (columns, rows) = app.window;
    assert!(columns >= 3 && rows >= 3, "{columns}×{rows}");
    let tiles = crate::session::explore::Map::tiles(columns, rows);
    let done = tiles.iter().filter(|t| app.tile(**t).is_some()).count();
    assert_eq!(done, columns * rows);
    let line = &frame(&mut app, (100, 40))[38];
    assert!(line.contains("→ age +1.00") && line.contains("↑ glasses"), "{line}");
    press(&mut app, "><>^+!");
    assert!(!app.map);
    let amounts = &app.model.now().sliders;
    assert_eq!((amounts[0].amount, amounts[1].amount), (2.0, 1.0));
    press(&mut app, "u");
    assert_eq!(app.model.now().sliders[0].amount, 1.0);
}

#[test]
fn the_inspector_shows_layers_and_moves_channels() {
    let folder = tempfile::tempdir().unwrap();
    let state = state();
    let mut app = explorer(&state, folder.path());
    press(&mut app, "f");
    frame(&mut app, (80, 24));
    settle(&mut app);
    let text = frame(&mut app, (80, 24)).join("\n");
    for part in ["layer 1 of", "feature maps", "power spectrum, ", "½ cycle a pixel"] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    let before = app.shown().unwrap();
    press(&mut app, "___>+++");
    settle(&mut app);
    let text = frame(&mut app, (80, 24)).join("\n");
    assert!(text.contains("S: channel 1 of") && text.contains(", moved +1.5"), "{text}");
    assert!(text.contains('▲') && !text.contains("…"), "{text}");
    let moved = app.shown().unwrap();
    assert!(before != moved, "the picture follows");
    press(&mut app, "s");
    let script = std::fs::read_to_string(folder.path().join("explore-1.gnt")).unwrap();
    assert!(script.contains("1.5*channel(\""), "{script}");
    assert_eq!(run(&script), *moved.raster(), "{script}");
    press(&mut app, "n");
    assert!(!frame(&mut app, (80, 24)).join("").contains("channel 1 of"), "the farthest one");
    press(&mut app, "?");
    assert!(frame(&mut app, (80, 24)).join("").contains("half a standard deviation"));
    press(&mut app, "?~");
    assert!(!app.layers.open && !app.over());
    let text = frame(&mut app, (80, 24)).join("\n");
    assert!(text.contains("1 channel of S moved") && text.contains("+1.5σ"), "{text}");
    press(&mut app, "u");
    assert!(app.model.now().channels.is_empty());
}

#[test]
fn every_line_of_every_help_is_shown_in_24_rows() {
    let folder = tempfile::tempdir().unwrap();
    let state = state();
    for (keys, help) in [("", &keys::HELP[..]), ("g", &keys::HELP_MAP), ("f", &keys::HELP_LAYERS)] {
        let mut app = explorer(&state, folder.path());
        press(&mut app, keys);
        press(&mut app, "?");
        let text = frame(&mut app, (80, 24)).join("\n");
        for (_, about) in help {
            assert!(text.contains(about), "{about}:\n{text}");
        }
    }
}

#[test]
fn the_help_leaves_no_half_rows_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = explorer(&state(), folder.path());
    let before = frame(&mut app, (120, 40));
    press(&mut app, "?");
    let after = frame(&mut app, (120, 40));
    let titled = |rows: &[String]| rows.iter().position(|row| row.contains("less and more"));
    let first = titled(&after).unwrap() - 1;
    for (y, (old, new)) in before.iter().zip(&after).enumerate() {
        let helps = (first..first + keys::HELP.len() + 2).contains(&y);
        let about = helps.then(|| keys::HELP.get(y.wrapping_sub(first + 1))).flatten();
        let rest =
            about.map_or(new.clone(), |(k, about)| new.replacen(k, "", 1).replace(about, ""));
        assert!(if helps { rest.trim().is_empty() } else { old == new }, "{y}: {new}");
    }
}

#[test]
fn the_mouse_drags_a_slider_as_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let state = state();
    let mut app = explorer(&state, folder.path());
    frame(&mut app, (80, 24));
    let (track, row) = app.tracks[1];
    let mouse = |kind, column| {
        let modifiers = KeyModifiers::NONE;
        Event::Mouse(MouseEvent { kind, column, row: track.y, modifiers })
    };
    app.input(&mouse(MouseEventKind::Down(MouseButton::Left), track.x));
    let left = app.model.now().sliders[1].amount;
    for x in track.x..track.right() + 9 {
        app.input(&mouse(MouseEventKind::Drag(MouseButton::Left), x));
    }
    app.input(&mouse(MouseEventKind::Up(MouseButton::Left), track.x));
    assert_eq!(app.model.row(), row);
    let right = app.model.now().sliders[1].amount;
    assert!(left < 0.0 && right == -left, "{left} {right}");
    press(&mut app, "u");
    assert_eq!(app.model.now().sliders[1].amount, 0.0);
}

/// Any input, at any size of the screen: no panic, and every frame can be drawn.
#[test]
fn a_thousand_random_key_sequences() {
    let folder = tempfile::tempdir().unwrap();
    let state = state();
    let mut rng = Rng::new(7);
    let keys: Vec<char> = "<>^_<>^_hlabvur0mn1239pw ixgfsq?~!+-xyjk\u{7f}".chars().collect();
    let mut app = explorer(&state, folder.path());
    let mut compositor = Compositor::new(&terminal(Protocol::Kitty));
    for sequence in 0..1000 {
        if sequence % 20 == 0 || app.over() {
            app = explorer(&state, folder.path());
            let protocols = [Protocol::Kitty, Protocol::Sixel, Protocol::Blocks, Protocol::None];
            compositor = Compositor::new(&terminal(protocols[rng.below(4)]));
        }
        let size = [(80, 24), (120, 40), (40, 12), (20, 5), (3, 2), (1, 1)][rng.below(6)];
        for _ in 0..1 + rng.below(12) {
            let event = match rng.below(12) {
                0 => {
                    let kinds = [
                        MouseEventKind::Down(MouseButton::Left),
                        MouseEventKind::Drag(MouseButton::Left),
                        MouseEventKind::Up(MouseButton::Left),
                        MouseEventKind::ScrollUp,
                        MouseEventKind::ScrollDown,
                    ];
                    let (column, row) = (rng.below(130) as u16, rng.below(45) as u16);
                    let kind = kinds[rng.below(5)];
                    Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
                }
                1 => Event::Paste("s\n".repeat(3)),
                2 => Event::Resize(size.0, size.1),
                3 => key([KeyCode::PageUp, KeyCode::Home, KeyCode::Backspace, KeyCode::Tab]
                    [rng.below(4)]),
                4 => Event::Key(KeyEvent::new(KeyCode::Right, KeyModifiers::SHIFT)),
                5 => Event::Key(KeyEvent::new(KeyCode::Char('r'), KeyModifiers::CONTROL)),
                _ => {
                    let c = keys[rng.below(keys.len())];
                    let code = match c {
                        '<' => KeyCode::Left,
                        '>' => KeyCode::Right,
                        '^' => KeyCode::Up,
                        '_' => KeyCode::Down,
                        '!' => KeyCode::Enter,
                        '~' => KeyCode::Esc,
                        c => KeyCode::Char(c),
                    };
                    // Leaving ends the sequence, so it is rare.
                    let leaves = matches!(code, KeyCode::Enter | KeyCode::Esc | KeyCode::Char('q'));
                    key(if leaves && rng.below(8) > 0 { KeyCode::Down } else { code })
                }
            };
            app.input(&event);
            app.tick();
            let ready = rng.below(3) > 0;
            compositor.frame(size, ready, |canvas: &mut Canvas<'_>| app.draw(canvas)).unwrap();
        }
        if app.over() {
            app.chosen().map(drop).unwrap_or_else(|e| assert!(!e.message().is_empty()));
        }
    }
    // What was saved is a program of the language.
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let source = Source::new("saved", text.as_str()).unwrap();
        assert!(crate::lang::parse::parse(&source).1.is_empty(), "{text}");
    }
}

#[test]
fn without_pictures_the_sentences_are_those_of_the_prompt() {
    let options = Options { describe: true, ..Options::default() };
    let state = State::new(Models::cpu(), "faces", options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut app = explorer(&state, folder.path());
    let words = |app: &mut Explorer, size| {
        settle(app);
        let mut compositor = Compositor::new(&terminal(Protocol::Words));
        let shown = compositor.frame(size, true, |canvas: &mut Canvas<'_>| app.draw(canvas));
        let bytes = String::from_utf8(shown.unwrap().bytes).unwrap();
        // Blanks of the first frame are skipped: the cursor moves over them.
        let text =
            |part: &str| part.split_once(|c: char| c.is_ascii_alphabetic()).map(|p| p.1.to_owned());
        let words = bytes.split("\x1b[").filter_map(text).collect::<Vec<_>>().join(" ");
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let shown = words(&mut app, (100, 30));
    assert!(shown.contains("[picture 128×128 rgb: a ") && shown.contains("hair,"), "{shown}");
    let narrow = words(&mut app, (40, 12));
    assert!(narrow.contains("[picture 128×128 rgb: a "), "{narrow}");
}
