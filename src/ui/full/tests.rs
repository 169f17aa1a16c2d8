//! Frames on an emulated terminal: whatever came before, the screen is the one that a new terminal
//! would show.

use super::keys::Input;
use super::run::{App, Change, Stage, run};
use super::{Canvas, Compositor, Image};
use crate::error::{Error, Kind, Result};
use crate::image::Raster;
use crate::render::sinks::sink_for;
use crate::render::{Colours, Protocol, Symbols, Terminal};
use crate::rng::Rng;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const SIZE: (u16, u16) = (44, 17);

fn terminal(protocol: Protocol, passthrough: bool) -> Terminal {
    Terminal { protocol, passthrough, colours: Colours::True, ..Terminal::plain("test") }
}

// ---- an emulated terminal

/// A cell: its text, how it is written, and what is painted over it.
type Shown = (String, String, Option<(Vec<u8>, u16, u16)>);

/// The keys of a placement and its place.
type Placed = (String, (u16, u16));

/// A placement in kitty: the picture's data, its keys, and its place.
type Placement = (String, String, (u16, u16));

#[derive(Default)]
struct Screen {
    cells: BTreeMap<(u16, u16), Shown>,
    at: (u16, u16),
    pen: String,
    /// Parameters in force: foreground, background, attributes.
    ink: [String; 3],
    /// kitty's pictures: id → data.
    pictures: BTreeMap<u32, String>,
    /// Data of a picture whose chunks are still coming.
    coming: Option<(u32, String)>,
    placements: BTreeMap<(u32, u32), (String, (u16, u16))>,
    asked: usize,
}

impl Screen {
    fn write(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut rest = text.as_str();
        while let Some(c) = rest.chars().next() {
            let used = match rest.strip_prefix('\x1b') {
                Some(r) => 1 + self.escape(r),
                None => {
                    self.character(c);
                    c.len_utf8()
                }
            };
            rest = &rest[used..];
        }
    }

    fn character(&mut self, c: char) {
        use unicode_width::UnicodeWidthChar;
        match c.width().unwrap_or(0) {
            0 => {
                let before = (self.at.0 - 1, self.at.1);
                self.cells.get_mut(&before).unwrap().0.push(c);
            }
            width => {
                for k in 0..width as u16 {
                    let text = if k == 0 { c.to_string() } else { String::new() };
                    let at = (self.at.0 + k, self.at.1);
                    assert!(at.0 < SIZE.0 && at.1 < SIZE.1, "{at:?}");
                    self.cells.insert(at, (text, self.pen.clone(), None));
                }
                self.at.0 += width as u16;
            }
        }
    }

    /// Handles a sequence after its ESC; returns its length.
    fn escape(&mut self, rest: &str) -> usize {
        match rest.as_bytes()[0] {
            b'[' => {
                let end = rest[1..].find(|c: char| ('@'..='~').contains(&c)).unwrap() + 1;
                self.sequence(&rest[1..end], rest.as_bytes()[end]);
                end + 1
            }
            b'7' | b'8' => 1,
            b'_' => {
                let end = rest.find("\x1b\\").unwrap();
                self.graphics(&rest[2..end]);
                end + 2
            }
            b'P' if rest.starts_with("Ptmux;") => {
                // Wrapped escapes are doubled, so the first single one ends it.
                let mut end = 6;
                while !rest[end..].starts_with("\x1b\\") || rest[end..].starts_with("\x1b\x1b") {
                    end += if rest[end..].starts_with("\x1b\x1b") { 2 } else { 1 };
                }
                let inner = rest[6..end].replace("\x1b\x1b", "\x1b");
                self.write(inner.as_bytes());
                end + 2
            }
            b'P' => {
                let end = rest.find("\x1b\\").unwrap();
                let body = &rest[..end];
                let raster = body.split_once("\"1;1;").unwrap().1;
                let mut numbers = raster.split(|c: char| !c.is_ascii_digit());
                let [w, h] = [(); 2].map(|()| numbers.next().unwrap().parse::<u16>().unwrap());
                self.paint(body.as_bytes(), (w.div_ceil(8), h.div_ceil(16)));
                end + 2
            }
            b']' => {
                let end = rest.find('\x07').unwrap();
                let body = &rest[..end];
                let key = |name: &str| {
                    let from = &body[body.find(name).unwrap() + name.len()..];
                    from.split(';').next().unwrap().parse::<u16>().unwrap()
                };
                self.paint(body.as_bytes(), (key("width="), key("height=")));
                end + 1
            }
            other => panic!("ESC {}", char::from(other)),
        }
    }

    fn paint(&mut self, what: &[u8], (columns, rows): (u16, u16)) {
        for dy in 0..rows {
            for dx in 0..columns {
                let at = (self.at.0 + dx, self.at.1 + dy);
                assert!(at.0 < SIZE.0 && at.1 < SIZE.1, "{at:?}");
                let cell = self.cells.entry(at).or_insert_with(blank);
                cell.2 = Some((what.to_vec(), dx, dy));
            }
        }
    }

    fn sequence(&mut self, parameters: &str, end: u8) {
        match (end, parameters) {
            (b'H', _) => {
                let (row, column) = parameters.split_once(';').unwrap();
                self.at = (column.parse::<u16>().unwrap() - 1, row.parse::<u16>().unwrap() - 1);
            }
            (b'm', _) => self.style(parameters),
            (b'J', "2") => {
                self.cells.clear();
                self.placements.clear();
            }
            (b'n', "5") => self.asked += 1,
            (b'h' | b'l', "?2026" | "?25") => {}
            _ => panic!("CSI {parameters} {}", char::from(end)),
        }
    }

    /// Takes the parameters of one SGR sequence.
    fn style(&mut self, parameters: &str) {
        let all: Vec<&str> = parameters.split(';').collect();
        let mut at = 0;
        while at < all.len() {
            let count = match all[at..] {
                ["38" | "48", "2", ..] => 5,
                ["38" | "48", ..] => 3,
                _ => 1,
            };
            let own = all[at..at + count].join(";");
            match all[at] {
                "0" | "" => self.ink = Default::default(),
                "38" => self.ink[0] = own,
                "48" => self.ink[1] = own,
                "39" => self.ink[0].clear(),
                "49" => self.ink[1].clear(),
                _ => self.ink[2] = format!("{},{own}", self.ink[2]),
            }
            at += count;
        }
        self.pen =
            if self.ink.iter().all(String::is_empty) { String::new() } else { self.ink.join("|") };
    }

    fn graphics(&mut self, body: &str) {
        let (keys, data) = body.split_once(';').unwrap_or((body, ""));
        let key =
            |name: &str| keys.split(',').find_map(|k| k.strip_prefix(name)?.strip_prefix('='));
        let number = |name: &str| key(name).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
        match key("a") {
            Some("d") if key("d") == Some("i") => {
                assert!(self.placements.remove(&(number("i"), number("p"))).is_some());
            }
            Some("d") => {
                self.pictures.remove(&number("i"));
                self.placements.retain(|(id, _), _| *id != number("i"));
            }
            Some("p") => {
                assert!(self.pictures.contains_key(&number("i")), "{keys}");
                let part: Vec<&str> = keys.split(',').filter(|k| !k.starts_with("i=")).collect();
                self.placements.insert((number("i"), number("p")), (part.join(","), self.at));
            }
            _ => {
                let (id, mut all) = match (key("a"), self.coming.take()) {
                    (Some(_), _) => (number("i"), String::new()),
                    (None, Some(coming)) => coming,
                    (None, None) => panic!("{keys}"),
                };
                all.push_str(data);
                if number("m") == 1 {
                    self.coming = Some((id, all));
                } else {
                    self.pictures.insert(id, all);
                }
            }
        }
    }

    /// What a person sees: cells that are not blank, and placements.
    fn seen(&self) -> (BTreeMap<(u16, u16), Shown>, Vec<Placement>) {
        let mut cells = self.cells.clone();
        cells.retain(|_, cell| *cell != blank());
        for cell in cells.values_mut().filter(|c| c.0.starts_with('\u{10eeee}')) {
            // The colour is the picture's number; its data is what is seen.
            let mut colour = cell.1.split('|').next().unwrap().split(';').skip(2);
            let id = [(); 3].map(|()| colour.next().unwrap().parse::<u8>().unwrap());
            let id = u32::from_be_bytes([0, id[0], id[1], id[2]]);
            cell.1 = self.pictures[&id].clone();
        }
        let data = |((id, _), (keys, at)): (&(u32, u32), &Placed)| {
            (self.pictures[id].clone(), keys.clone(), *at)
        };
        let mut placements: Vec<Placement> = self.placements.iter().map(data).collect();
        // Numbers of equal placements do not matter.
        placements.iter_mut().for_each(|p| {
            let keys = p.1.split(',').filter(|k| !k.starts_with("p="));
            p.1 = keys.collect::<Vec<_>>().join(",");
        });
        placements.sort();
        (cells, placements)
    }
}

fn blank() -> Shown {
    (" ".into(), String::new(), None)
}

// ---- frames

/// A picture's number, its place and size.
type Put = (usize, (i32, i32), (u16, u16));

/// What a frame shows.
#[derive(Clone, Default)]
struct Scene {
    texts: Vec<((u16, u16), String, Style)>,
    pictures: Vec<Put>,
    cover: Option<Rect>,
}

fn images() -> Vec<Arc<Image>> {
    let one = |k: usize| {
        let (w, h) = [(40, 40), (64, 32), (30, 70), (100, 100), (8, 8)][k];
        let data = (0..w * h * 3).map(|i| (i * (k + 3) % 251) as u8).collect();
        Image::new(Raster::new(w, h, 3, data).unwrap())
    };
    (0..5).map(one).collect()
}

impl Scene {
    /// Another scene after this one: scrolled, or with something new.
    fn next(&self, rng: &mut Rng) -> Self {
        let mut below = |n: usize| (rng.uniform() * n as f64) as usize % n;
        let mut scene = self.clone();
        match below(6) {
            0 | 1 => {
                let by = below(7) as i32 - 3;
                scene.pictures.iter_mut().for_each(|p| p.1.1 += by);
                scene.texts.rotate_left(1.min(self.texts.len()));
            }
            2 => {
                // One on each half: pictures on the same cells would depend on their order.
                let right = below(2) == 1;
                let left = if right { 22 } else { -6 };
                let at = (left + below(14) as i32, below(24) as i32 - 6);
                let size = [(10, 5), (12, 3), (6, 7), (14, 7)][below(4)];
                scene.pictures.retain(|p| (p.1.0 >= 20) != right);
                scene.pictures.push((below(5), at, size));
            }
            3 => drop(scene.pictures.pop()),
            4 => {
                let x = below(40) as u16;
                scene.cover = (below(2) == 0).then(|| Rect::new(x, below(16) as u16, 9, 3));
            }
            _ => {
                let words =
                    ["plain text", "顔と手", "é😀e\u{301}x", "   ", "a longer line of text"];
                let style = [
                    Style::new(),
                    Style::new().fg(Color::Rgb(9, 8, 7)).add_modifier(Modifier::UNDERLINED),
                    Style::new().bg(Color::Indexed(3)),
                ][below(3)];
                let at = (below(44) as u16, below(17) as u16);
                scene.texts.push((at, words[below(5)].into(), style));
                scene.texts.drain(..scene.texts.len().saturating_sub(9));
            }
        }
        scene
    }

    fn draw(&self, canvas: &mut Canvas<'_>, images: &[Arc<Image>]) {
        for ((x, y), text, style) in &self.texts {
            canvas.text((*x, *y), text, *style, 99);
        }
        for (k, at, room) in &self.pictures {
            let area = canvas.area();
            let clip = Rect::new(0, 1, area.width, area.height - 2);
            let size = canvas.fit(images[*k].raster(), *room);
            canvas.picture(&images[*k], *at, size, clip);
        }
        if let Some(area) = self.cover {
            canvas.cover(area);
            canvas.text((area.x, area.y), "covered", Style::new(), area.width);
        }
    }
}

#[test]
fn whatever_came_before_the_screen_shows_the_frame() {
    let ways = [
        (terminal(Protocol::None, false), 60),
        (terminal(Protocol::Blocks, false), 60),
        (Terminal { symbols: Symbols::Sextant, ..terminal(Protocol::Blocks, false) }, 20),
        (terminal(Protocol::Kitty, false), 60),
        (terminal(Protocol::Kitty, true), 60),
        (terminal(Protocol::Sixel, false), 40),
        (terminal(Protocol::Iterm, false), 40),
    ];
    let images = images();
    for (terminal, frames) in ways {
        let mut rng = Rng::new(11);
        let mut screen = Screen::default();
        let mut compositor = Compositor::new(&terminal);
        let mut scene = Scene::default();
        for n in 0..frames {
            scene = scene.next(&mut rng);
            if n % 17 == 16 {
                compositor.again();
            }
            let frame = compositor.frame(SIZE, true, |c| scene.draw(c, &images)).unwrap();
            screen.write(&frame.bytes);
            let mut new = Screen::default();
            let mut other = Compositor::new(&terminal);
            new.write(&other.frame(SIZE, true, |c| scene.draw(c, &images)).unwrap().bytes);
            assert_eq!(screen.seen(), new.seen(), "{:?} frame {n}", terminal.protocol);
            let same = compositor.frame(SIZE, true, |c| scene.draw(c, &images)).unwrap();
            assert!(same.bytes.is_empty(), "{:?} frame {n} is sent twice", terminal.protocol);
        }
    }
}

#[test]
fn kitty_gets_each_picture_once_and_forgets_old_ones() {
    let mut compositor = Compositor::new(&terminal(Protocol::Kitty, false));
    let mut screen = Screen::default();
    let mut sent = 0;
    let mut show = |image: &Arc<Image>, y: i32| {
        let draw = |c: &mut Canvas<'_>| c.live(image, (0, y), (6, 3), c.area());
        let frame = compositor.frame(SIZE, true, draw).unwrap();
        screen.write(&frame.bytes);
        sent += String::from_utf8_lossy(&frame.bytes).matches("a=t").count();
        (sent, screen.pictures.len(), screen.placements.len())
    };
    let image = Image::new(Raster::filled(48, 48, &[1, 2, 3]).unwrap());
    for y in -2..10 {
        assert_eq!(show(&image, y), (1, 1, 1));
    }
    for k in 0..120 {
        let other = Image::new(Raster::filled(48, 48, &[k, 0, 0]).unwrap());
        let (_, kept, placed) = show(&other, 3);
        assert!(kept <= 49 && placed == 1, "{kept} {placed}");
    }
    assert_eq!(show(&image, 20).2, 0, "nothing stays when it has left the screen");
}

#[test]
fn a_picture_that_stays_is_not_replaced_by_many_new_ones() {
    for passthrough in [false, true] {
        let terminal = terminal(Protocol::Kitty, passthrough);
        let mut compositor = Compositor::new(&terminal);
        let mut screen = Screen::default();
        let old = Image::new(Raster::filled(48, 48, &[250, 2, 3]).unwrap());
        for k in 0..450u32 {
            let new = [k as u8, (k >> 8) as u8, 0];
            let new = Image::new(Raster::filled(48, 48, &new).unwrap());
            let draw = |c: &mut Canvas<'_>| {
                c.picture(&old, (0, 0), (6, 3), c.area());
                c.live(&new, (10, 0), (6, 3), c.area());
            };
            screen.write(&compositor.frame(SIZE, true, draw).unwrap().bytes);
            let mut fresh = Screen::default();
            let mut other = Compositor::new(&terminal);
            fresh.write(&other.frame(SIZE, true, draw).unwrap().bytes);
            assert_eq!(screen.seen(), fresh.seen(), "{passthrough} {k}");
        }
    }
}

#[test]
fn a_full_screen_in_tmux_leaves_the_pictures_of_the_prompt_and_none_of_its_own() {
    // Both are on one screen of the terminal behind tmux.
    let terminal = terminal(Protocol::Kitty, true);
    let mut screen = Screen::default();
    let mut prompt = sink_for(&terminal);
    for k in 0..200 {
        let mut out = Vec::new();
        prompt.rows(&mut out, &Raster::filled(48, 48, &[k, 1, 1]).unwrap(), (6, 3)).unwrap();
        screen.write(&out);
    }
    let before = screen.pictures.clone();
    assert_eq!(before.len(), 200);
    let mut compositor = Compositor::new(&terminal);
    for k in 0..120 {
        let image = Image::new(Raster::filled(48, 48, &[k, 2, 2]).unwrap());
        let draw = |c: &mut Canvas<'_>| c.picture(&image, (0, 0), (6, 3), c.area());
        screen.write(&compositor.frame(SIZE, true, draw).unwrap().bytes);
    }
    assert!(screen.pictures.len() > before.len());
    screen.write(&compositor.leave().unwrap());
    assert_eq!(screen.pictures, before);
}

#[test]
fn a_live_picture_asks_for_an_answer_only_when_something_is_sent() {
    let mut compositor = Compositor::new(&terminal(Protocol::Blocks, false));
    let image = Image::new(Raster::filled(8, 8, &[1, 2, 3]).unwrap());
    let mut asks = |live: bool, y: i32| {
        let draw = |c: &mut Canvas<'_>| match live {
            true => c.live(&image, (0, y), (8, 4), c.area()),
            false => c.picture(&image, (0, y), (8, 4), c.area()),
        };
        compositor.frame(SIZE, true, draw).unwrap().asks
    };
    assert_eq!(
        [asks(true, 0), asks(true, 0), asks(false, 1), asks(true, 2)],
        [true, false, false, true]
    );
}

#[test]
fn without_colours_nothing_is_coloured() {
    let plain = Terminal { colours: Colours::None, ..terminal(Protocol::None, false) };
    let draw = |c: &mut Canvas<'_>| {
        c.text((0, 0), "x", Style::new().fg(Color::Rgb(1, 2, 3)).bg(Color::Indexed(4)), 9);
    };
    let mut screen = Screen::default();
    screen.write(&Compositor::new(&plain).frame(SIZE, true, draw).unwrap().bytes);
    assert_eq!(screen.cells[&(0, 0)], ("x".into(), String::new(), None));
}

// ---- the loop

/// A stage with a script of inputs.
struct Script {
    inputs: Vec<Vec<Input>>,
    frames: usize,
    stale: bool,
    suspended: usize,
    ready: bool,
}

impl Stage for Script {
    fn inputs(&mut self, _: Duration) -> Result<Vec<Input>> {
        if self.inputs.is_empty() {
            return Err(Error::new(Kind::Closed, "the script is over"));
        }
        Ok(self.inputs.remove(0))
    }

    fn draw(&mut self, draw: &mut dyn FnMut(&mut Canvas<'_>)) -> Result<()> {
        let mut compositor = Compositor::new(&terminal(Protocol::None, false));
        compositor.frame(SIZE, true, draw)?;
        (self.frames, self.stale) = (self.frames + 1, false);
        Ok(())
    }

    fn ready(&self) -> bool {
        self.ready
    }

    fn again(&mut self) {
        self.stale = true;
    }

    fn stale(&self) -> bool {
        self.stale
    }

    fn suspend(&mut self) {
        self.suspended += 1;
    }
}

/// Counts keys; `q` ends it, `p` is a new live picture.
#[derive(Default)]
struct Counter {
    keys: String,
    change: Option<Change>,
    ended: usize,
}

impl App for Counter {
    fn input(&mut self, event: &Event) {
        let Event::Key(KeyEvent { code: KeyCode::Char(c), .. }) = event else { return };
        self.keys.push(*c);
        self.change = Some(match c {
            'p' => Change::Live,
            'n' => Change::None,
            _ => Change::All,
        });
    }

    fn tick(&mut self) {}

    fn busy(&self) -> bool {
        false
    }

    fn change(&self) -> Change {
        self.change.unwrap_or(Change::None)
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>) {
        canvas.text((0, 0), &self.keys, Style::new(), 20);
        self.change = None;
    }

    fn end(&mut self) {
        self.ended += 1;
    }

    fn over(&self) -> bool {
        self.keys.ends_with('q')
    }
}

fn played(keys: &[&str], ready: bool) -> (Counter, Script, bool) {
    let key = |c: char| match c {
        'Z' | 'L' => KeyEvent::new(KeyCode::Char(c.to_ascii_lowercase()), KeyModifiers::CONTROL),
        c => KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE),
    };
    let inputs = keys.iter().map(|turn| turn.chars().map(|c| Input::Event(Event::Key(key(c)))));
    let inputs = inputs.map(Iterator::collect).collect();
    let mut stage = Script { inputs, frames: 0, stale: false, suspended: 0, ready };
    let mut app = Counter::default();
    let fine = run(&mut app, &mut stage).is_ok();
    (app, stage, fine)
}

#[test]
fn frames_are_drawn_when_something_changed() {
    let (app, stage, fine) = played(&["", "n", "ab", "", "Z", "L", "q"], true);
    // At the start, for `ab` together, for Ctrl-L, and for `q`.
    assert_eq!((stage.frames, stage.suspended, app.ended, fine), (4, 1, 0, true));
    assert_eq!(app.keys, "nablq");
    let (_, stage, _) = played(&["p", "p", "q"], false);
    assert_eq!(stage.frames, 2, "live pictures wait until the terminal is ready");
    let (app, _, fine) = played(&["a"], true);
    assert_eq!((app.ended, fine), (1, false), "a terminal that is gone ends the program");
}
