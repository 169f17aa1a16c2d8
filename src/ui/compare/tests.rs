//! The screen as its user sees it.

use super::*;
use crate::image::Raster;
use crate::render::{Colours, Protocol, Terminal};
use crate::rng::Rng;
use crate::ui::full::{App, Change, Compositor};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseEvent, MouseEventKind};

fn comparison(candidates: usize) -> Comparison {
    let ramp = |k: usize| {
        let pixel = |i: usize| [(i % 96 + 9 * k) as u8, (i / 96) as u8, 7];
        Raster::new(96, 48, 3, (0..96 * 48).flat_map(pixel).collect()).unwrap()
    };
    let all = (1..=candidates).map(|k| Candidate::new(format!("candidate {k}"), ramp(k)));
    let mut found = Comparison::new("me.png", &ramp(0), all.collect()).unwrap();
    found.measure().unwrap();
    found
}

fn terminal(protocol: Protocol) -> Terminal {
    Terminal { protocol, colours: Colours::True, ..Terminal::plain("test") }
}

/// The text of a frame, without pictures, row by row.
fn text(app: &mut Compare, size: (u16, u16)) -> String {
    let mut compositor = Compositor::new(&terminal(Protocol::Kitty));
    let mut rows = String::new();
    compositor
        .frame(size, true, |canvas| {
            app.draw(canvas);
            for y in 0..size.1 {
                let row: String = (0..size.0).map(|x| canvas.buffer[(x, y)].symbol()).collect();
                rows += row.trim_end();
                rows.push('\n');
            }
        })
        .unwrap();
    rows
}

fn press(app: &mut Compare, keys: &str) {
    for c in keys.chars() {
        let code = match c {
            '\t' => KeyCode::Tab,
            '→' => KeyCode::Right,
            c => KeyCode::Char(c),
        };
        app.input(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }
}

#[test]
fn one_candidate_is_shown_with_its_error_and_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = Compare::new(comparison(1), folder.path().to_path_buf());
    let shown = text(&mut app, (80, 24));
    for words in ["target: me.png", "▸ candidate 1", "|error| ×4, white 63: ", "psnr", "ssim"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(shown.contains("96×48 of 96×48 at 0,0"), "{shown}");
    press(&mut app, "sg");
    assert!(text(&mut app, (80, 24)).contains("error ×8, grey 0, white +31"));
    press(&mut app, "++→");
    let shown = text(&mut app, (80, 24));
    assert!(!shown.contains("96×48 of") && !shown.contains("at 0,0"), "{shown}");
    press(&mut app, "e");
    assert!(text(&mut app, (80, 24)).contains("comparison-1.png"));
    let saved = std::fs::read(folder.path().join("comparison-1.png")).unwrap();
    let saved = crate::image::decode::decode("c", &saved, &crate::limits::LIMITS).unwrap();
    assert!(saved.raster.width > 3 * 20 && saved.raster.height < 48);
    press(&mut app, "q");
    assert!(app.over());
}

#[test]
fn many_candidates_are_columns_and_the_chosen_one_is_visible() {
    let mut app = Compare::new(comparison(9), ".".into());
    let shown = text(&mut app, (80, 24));
    assert!(shown.contains("▸ candidate 1") && shown.contains("candidate 4"), "{shown}");
    press(&mut app, "\t\t\t\t\t\t\t\t");
    let shown = text(&mut app, (80, 24));
    assert!(shown.lines().take(12).any(|l| l.contains("▸ candidate 9")), "{shown}");
    assert!(shown.lines().rev().take(8).any(|l| l.starts_with("▸ candidate 9")), "{shown}");
    press(&mut app, "\t");
    assert_eq!(app.view.chosen, 0);
    // On a wide screen the numbers are beside the pictures.
    let shown = text(&mut app, (120, 30));
    let beside = shown.lines().nth(1).unwrap().chars().skip(84).collect::<String>();
    assert!(beside.contains("psnr"), "{shown}");
}

#[test]
fn any_keys_on_any_screen() {
    for protocol in [Protocol::Kitty, Protocol::Sixel, Protocol::Iterm, Protocol::Blocks] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_path_buf();
        let mut app = Compare::new(comparison(3), folder);
        let mut compositor = Compositor::new(&terminal(protocol));
        let mut rng = Rng::new(7);
        let keys: Vec<char> = "\t+-01cdfwsgGn[] ?→ez".chars().collect();
        for _ in 0..80 {
            let pick = |rng: &mut Rng, n: usize| (rng.uniform() * n as f64) as usize;
            let size = (1 + pick(&mut rng, 120) as u16, 1 + pick(&mut rng, 24) as u16);
            let key = keys[pick(&mut rng, keys.len())];
            // Exports fill the folder, so few of them.
            if key != 'e' || rng.uniform() < 0.1 {
                press(&mut app, &key.to_string());
            }
            let kind =
                [MouseEventKind::ScrollUp, MouseEventKind::ScrollDown, MouseEventKind::Moved]
                    [pick(&mut rng, 3)];
            let (column, row) = (pick(&mut rng, 99) as u16, pick(&mut rng, 50) as u16);
            let modifiers = KeyModifiers::NONE;
            app.input(&Event::Mouse(MouseEvent { kind, column, row, modifiers }));
            app.tick();
            compositor.frame(size, true, |canvas| app.draw(canvas)).unwrap();
            assert!(app.change() == Change::None && !app.over());
        }
    }
}
