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
fn the_keys_fit_on_80_columns_and_say_how_to_leave() {
    let mut app = Compare::new(comparison(1), ".".into());
    for columns in [40, 60, 78, 80, 100, 120] {
        let shown = text(&mut app, (columns, 24));
        assert!(shown.trim_end().ends_with("q back"), "{columns}: {shown}");
    }
    press(&mut app, "?");
    let shown = text(&mut app, (80, 24));
    for end in ["or one and its error", "or the mouse move it", "space flips them by hand"] {
        assert!(shown.contains(end), "{shown}");
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

#[test]
fn sentences_stand_where_the_terminal_shows_no_pictures() {
    let mut all = comparison(2);
    all.words = "a woman of about 41".into();
    all.candidates[0].words = "a man".into();
    all.candidates[0].curve = vec![1.0, 0.1, 0.01];
    all.candidates[0].remarks.push("hybrid in W+".into());
    for protocol in [Protocol::Words, Protocol::None] {
        let shown = described(&mut Compare::new(comparison(1), ".".into()), protocol, (80, 30));
        let mean = "[picture 96×48 rgb, mean #";
        assert_eq!(shown.matches(mean).count(), 2, "{shown}");
        // Each byte of the first channel differs by 9.
        let error =
            "difference from the target: 1.2 % of the range on average, 4 % at most, at 0,0";
        let sentences = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(sentences.contains(error), "{shown}");
        for words in ["psnr", "ssim", "PSNR by region", "96×48 of 96×48 at 0,0 · PSNR here"] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        assert!(!shown.contains("screen pixels"), "{shown}");
    }
    let mut app = Compare::new(all, ".".into());
    let shown = described(&mut app, Protocol::Words, (80, 24));
    for words in ["rgb: a woman of about 41]", "rgb: a man]", "loss 1.0000 → 0.0100"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(shown.lines().any(|l| l.starts_with("▸ candidate 1") && l.contains(" dB")), "{shown}");
    press(&mut app, "w");
    let shown = described(&mut app, Protocol::Words, (80, 24));
    assert!(shown.contains("left of column 48 me.png (a woman of about 41), right"), "{shown}");
    press(&mut app, "wz");
    let shown = described(&mut app, Protocol::Words, (120, 30));
    assert!(shown.contains("48×24 rgb: the part at 24,12 of: a woman"), "{shown}");
    assert!(shown.contains("48×24 of 96×48 at 24,12"), "{shown}");
}

/// The text of a frame where sentences replace pictures, row by row.
fn described(app: &mut Compare, protocol: Protocol, size: (u16, u16)) -> String {
    let mut compositor = Compositor::new(&terminal(protocol));
    compositor.frame(size, true, |canvas| app.draw(canvas)).unwrap();
    let rows = compositor.rows();
    rows.iter().map(|row| format!("{}\n", row.trim_end())).collect()
}

#[test]
fn lines_say_it_all_without_a_screen() {
    let mut all = comparison(2);
    all.candidates[1].curve = vec![1.0, 0.1];
    all.candidates[1].remarks.push("hybrid in W+".into());
    let lines = all.lines(80);
    assert!(lines.iter().all(|l| crate::render::text::width(l) <= 80), "{lines:#?}");
    let text = lines.join("\n");
    for words in [
        "target: me.png: [picture 96×48 rgb, mean",
        "candidate 2: [picture 96×48",
        "  difference from the target: 2.4 % of",
        "  loss 1.0000 → 0.1000",
        "  hybrid in W+",
        "PSNR by region",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let table = &lines[lines.len() - 3..];
    assert!(table[0].starts_with("  candidate") && table[2].starts_with("  candidate 2"));
    // Narrow lines are cut and wrapped.
    assert!(all.lines(20).iter().all(|l| crate::render::text::width(l) <= 20));
}

/// Six rungs with the numbers of a ladder.
fn ladder() -> Comparison {
    let mut all = comparison(6);
    all.kind = "rung".into();
    for (c, name) in all.candidates.iter_mut().zip(["Z", "W", "W+", "S", "F", "pti"]) {
        c.name = name.into();
        let numbers = [
            ("psnr", "29.41 dB"),
            ("ssim", "0.9123"),
            ("perceptual", "0.1100"),
            ("offset", "0.31 σ"),
            ("distance", "1.02 σ"),
            ("identity", "0.981"),
            ("edit", "0.95"),
            ("kB", "1234.5"),
            ("seconds", "11.2"),
        ];
        // Some rungs have no offset; its column keeps its place.
        let known = numbers.into_iter().filter(|(n, _)| *n != "offset" || name == "W+");
        c.numbers = known.map(|(n, v)| (n.into(), v.into())).collect();
        c.curve = vec![1.0, 0.1];
    }
    all
}

#[test]
fn every_rung_of_a_ladder_has_a_column_and_a_line() {
    for (size, curves) in [((80, 24), false), ((100, 30), false), ((120, 40), true)] {
        let shown = text(&mut Compare::new(ladder(), ".".into()), size);
        let (panes, below) = shown.split_at(shown.find("  rung ").unwrap());
        for name in ["▸ Z", "W", "W+", "S", "F", "pti"] {
            // On a narrow screen as many as fit.
            let titled = panes.split_whitespace().any(|w| w == name.trim_start_matches("▸ "));
            assert!(titled || size.0 == 80, "{name} {size:?}: {shown}");
            assert!(
                below.lines().any(|l| l
                    .trim_start_matches("▸ ")
                    .trim_start()
                    .starts_with(name.trim_start_matches("▸ "))),
                "{name}: {shown}"
            );
        }
        let head = below.lines().next().unwrap();
        let names = "rung psnr ssim perceptual offset distance identity edit kB seconds";
        assert_eq!(head.split_whitespace().collect::<Vec<_>>().join(" "), names, "{shown}");
        assert!(below.lines().nth(1).unwrap().contains("11.2"), "{shown}");
        assert_eq!(
            below.lines().nth(1).unwrap().contains('▇')
                || below.lines().nth(1).unwrap().contains('█'),
            curves,
            "{shown}"
        );
    }
}
