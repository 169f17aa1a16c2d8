//! Pseudo-terminals that answer like real ones, and a real tmux.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod tmux;

use gannet::image::{Filter, Raster, decode, read, resize};
use gannet::limits::LIMITS;
use gannet::render::environment::Environment;
use gannet::render::probe::probe_on;
use gannet::render::{
    Block, Colours, Options, Painter, Picture, Probe, Protocol, Terminal, probe, sinks,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tmux::Tmux;

// ------------------------------------------------------------------ the terminals

/// A terminal's behaviour: its answers to the queries, in the order of the queries, and the keys
/// typed around them.
#[derive(Clone, Default)]
struct Script {
    delay: u64,
    /// (a part of the query, the answer).
    answers: Vec<(&'static str, &'static str)>,
    /// Keys typed before the probe starts, while it waits, between the answers, and after the last
    /// answer.
    keys: [&'static str; 4],
}

const ALL: [(&str, &str); 6] = [
    ("a=q", "\x1b_Gi=31;OK\x1b\\"),
    ("[16t", "\x1b[6;20;10t"),
    ("[14t", "\x1b[4;480;800t"),
    ("[?2026$p", "\x1b[?2026;2$y"),
    ("$qm", "\x1bP1$r48:2:1:2:3m\x1b\\"),
    ("\x1b[c", "\x1b[?62;c"),
];

fn kitty() -> Script {
    let mut answers = ALL.to_vec();
    answers.insert(3, ("[>q", "\x1bP>|kitty(0.35.2)\x1b\\"));
    Script { answers, ..Script::default() }
}

fn xterm() -> Script {
    let answers = vec![
        ("[16t", "\x1b[6;13;6t"),
        ("[>q", "\x1bP>|XTerm(379)\x1b\\"),
        ("\x1b[c", "\x1b[?64;1;4;22c"),
    ];
    Script { answers, ..Script::default() }
}

fn iterm() -> Script {
    let answers =
        vec![("[>q", "\x1bP>|iTerm2 3.5.0\x1b\\"), ("$qm", ALL[4].1), ("\x1b[c", "\x1b[?62;4c")];
    Script { answers, ..Script::default() }
}

struct Pty {
    master: OwnedFd,
    slave: OwnedFd,
}

fn pty() -> Pty {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    let path = std::ffi::OsStr::from_bytes(path.as_bytes());
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let slave = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap();
    tcsetwinsize(&slave, Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    Pty { master, slave }
}

fn ready(fd: &OwnedFd, wait: Duration) -> bool {
    let time = Timespec { tv_sec: 0, tv_nsec: wait.as_nanos() as _ };
    poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&time)).is_ok_and(|n| n > 0)
}

fn read_all(fd: &OwnedFd, wait: Duration) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while ready(fd, wait) {
        match rustix::io::read(fd, &mut buffer) {
            Ok(n) if n > 0 => all.extend(&buffer[..n]),
            _ => break,
        }
    }
    all
}

fn send(fd: &OwnedFd, text: &str) {
    let mut bytes = text.as_bytes();
    while !bytes.is_empty() {
        bytes = &bytes[rustix::io::write(fd, bytes).unwrap()..];
    }
}

/// Plays the terminal until the device attributes are queried.
fn play(master: &OwnedFd, script: &Script) {
    let mut seen = Vec::new();
    let start = Instant::now();
    while !seen.windows(3).any(|w| w == b"\x1b[c") && start.elapsed() < Duration::from_secs(2) {
        seen.extend(read_all(master, Duration::from_millis(5)));
    }
    std::thread::sleep(Duration::from_millis(script.delay));
    send(master, script.keys[1]);
    let asked = String::from_utf8(seen).unwrap();
    for (i, (question, answer)) in script.answers.iter().enumerate() {
        assert!(asked.contains(question), "{question:?} was not asked");
        send(master, answer);
        if i == 0 {
            send(master, script.keys[2]);
        }
    }
    send(master, script.keys[3]);
}

struct Run {
    probe: Probe,
    took: Duration,
    /// Input left for the next reader.
    left: Vec<u8>,
}

fn run(script: &Script, environment: &[(&str, &str)]) -> Run {
    let Pty { master, slave } = pty();
    send(&master, script.keys[0]);
    let before = tcgetattr(&slave).unwrap();
    let environment = Environment::from(environment);
    let start = Instant::now();
    let (probe, took) = std::thread::scope(|scope| {
        scope.spawn(|| play(&master, script));
        let probe = probe_on(slave.as_fd(), slave.as_fd(), &Options::default(), &environment);
        (probe, start.elapsed())
    });
    let after = tcgetattr(&slave).unwrap();
    assert_eq!(before.local_modes, after.local_modes, "the terminal's mode is as before");
    assert_eq!(before.input_modes, after.input_modes);
    assert_eq!(format!("{:?}", before.special_codes), format!("{:?}", after.special_codes));
    let mut raw = after;
    raw.make_raw();
    rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &raw).unwrap();
    let left = read_all(&slave, Duration::from_millis(20));
    Run { probe, took, left }
}

const ENV: [(&str, &str); 1] = [("TERM", "xterm-256color")];

// ------------------------------------------------------------------ probing

#[test]
fn each_terminal_is_recognised() {
    let r = run(&kitty(), &ENV);
    let t = &r.probe.terminal;
    assert_eq!((t.protocol, t.colours, t.cell), (Protocol::Kitty, Colours::True, (10, 20)));
    assert!(t.synchronized && t.round_trip.is_some() && (t.columns, t.rows) == (100, 30), "{t:?}");
    let t = run(&xterm(), &ENV).probe.terminal;
    assert_eq!((t.protocol, t.colours, t.cell), (Protocol::Sixel, Colours::Indexed, (6, 13)));
    let t = run(&iterm(), &ENV).probe.terminal;
    assert_eq!(
        (t.protocol, t.colours, t.name.as_str()),
        (Protocol::Iterm, Colours::True, "iTerm2 3.5.0")
    );
}

#[test]
fn a_mute_terminal_costs_300_ms() {
    let r = run(&Script { keys: ["", "typed", "", ""], ..Script::default() }, &ENV);
    assert!(
        r.took >= Duration::from_millis(290) && r.took < Duration::from_millis(400),
        "{:?}",
        r.took
    );
    assert_eq!(r.probe.terminal.protocol, Protocol::Blocks);
    assert_eq!([r.probe.typed, r.left].concat(), b"typed");
    assert!(r.probe.terminal.reasons.iter().any(|x| x.contains("did not answer")));
}

#[test]
fn a_slow_terminal_is_waited_for_but_not_longer() {
    let r = run(&Script { delay: 60, ..kitty() }, &ENV);
    assert_eq!(r.probe.terminal.protocol, Protocol::Kitty);
    assert!(
        r.took >= Duration::from_millis(60) && r.took < Duration::from_millis(260),
        "{:?}",
        r.took
    );
    assert!(r.probe.terminal.round_trip.unwrap() >= Duration::from_millis(60));
}

#[test]
fn no_key_is_lost_and_none_changes_place() {
    let scripts = [kitty(), xterm(), iterm(), Script { delay: 60, ..kitty() }, Script::default()];
    for (i, script) in scripts.into_iter().enumerate() {
        // Keys after the last answer pass the line discipline again, which would turn a return into
        // a newline.
        let keys = ["x = image(\"žena.jpg\")\nshow ", "x\x1b[A\x03", "\x1b[5~", "\x1bPé"];
        // A mute terminal gives no answers to type between or after.
        let keys = if script.answers.is_empty() { [keys[0], keys[1], "", keys[3]] } else { keys };
        let r = run(&Script { keys, ..script }, &ENV);
        let all = [r.probe.typed, r.left].concat();
        assert_eq!(String::from_utf8_lossy(&all), keys.concat(), "terminal {i}");
    }
}

#[test]
fn pipes_and_lost_terminals_get_no_graphics() {
    let (_reader, writer) = std::io::pipe().unwrap();
    let Pty { master, slave } = pty();
    let env = Environment::from(&ENV[..]);
    let p = probe_on(slave.as_fd(), writer.as_fd(), &Options::default(), &env);
    assert_eq!((p.terminal.protocol, p.terminal.colours), (Protocol::None, Colours::None));
    assert!(
        read_all(&master, Duration::from_millis(10)).is_empty(),
        "a pipe is not asked anything"
    );
    let p = probe_on(writer.as_fd(), slave.as_fd(), &Options::default(), &env);
    assert_eq!(p.terminal.protocol, Protocol::Blocks, "without answers, but with colours");
    let dumb = Environment::from(&[("TERM", "dumb")][..]);
    let p = probe_on(slave.as_fd(), slave.as_fd(), &Options::default(), &dumb);
    assert_eq!(p.terminal.protocol, Protocol::Words);
    assert!(
        read_all(&master, Duration::from_millis(10)).is_empty(),
        "a dumb terminal is not asked anything"
    );
    drop(master);
    let start = Instant::now();
    probe_on(slave.as_fd(), slave.as_fd(), &Options::default(), &env);
    assert!(start.elapsed() < Duration::from_millis(400));
}

// ------------------------------------------------------------------ reading the bytes back

/// A picture in the output: its bytes, its top left corner, and its size in cells.
struct Found {
    kind: Protocol,
    file: Vec<u8>,
    at: (usize, usize),
    keys: String,
}

/// A terminal of unlimited height that understands only the sequences that the painter sends.
#[derive(Default)]
struct Screen {
    cells: Vec<Vec<char>>,
    found: Vec<Found>,
    deleted: usize,
    at: (usize, usize),
    saved: (usize, usize),
    synchronized: (usize, usize),
}

fn unbase64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("not base64: {c}"),
    };
    let digits: Vec<u32> =
        text.trim_end_matches('=').bytes().map(|c| u32::from(digit(c))).collect();
    let four = |d: &[u32]| {
        let v = (0..4).fold(0, |v, k| v << 6 | d.get(k).copied().unwrap_or(0));
        v.to_be_bytes()[1..d.len()].to_vec()
    };
    digits.chunks(4).flat_map(four).collect()
}

impl Screen {
    fn read(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap();
        let mut screen = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            rest = screen.step(rest);
        }
        screen
    }

    fn step<'a>(&mut self, text: &'a str) -> &'a str {
        if let Some(t) = text.strip_prefix("\x1b_G") {
            let (body, rest) = t.split_once("\x1b\\").unwrap();
            self.kitty(body);
            return rest;
        }
        if let Some(t) = text.strip_prefix("\x1b]1337;File=") {
            let (body, rest) = t.split_once('\x07').unwrap();
            let (keys, data) = body.split_once(':').unwrap();
            self.found.push(Found {
                kind: Protocol::Iterm,
                file: unbase64(data),
                at: self.at,
                keys: keys.into(),
            });
            return rest;
        }
        if text.starts_with("\x1bP") {
            let end = text.find("\x1b\\").unwrap() + 2;
            let file = text.as_bytes()[..end].to_vec();
            self.found.push(Found {
                kind: Protocol::Sixel,
                file,
                at: self.at,
                keys: String::new(),
            });
            return &text[end..];
        }
        if let Some(t) = text.strip_prefix("\x1b[") {
            let end = t.find(|c: char| ('\x40'..='\x7e').contains(&c)).unwrap();
            self.csi(&t[..end], t.as_bytes()[end]);
            return &t[end + 1..];
        }
        if let Some(t) = text.strip_prefix('\x1b') {
            match t.as_bytes()[0] {
                b'7' => self.saved = self.at,
                b'8' => self.at = self.saved,
                c => panic!("ESC {c}"),
            }
            return &t[1..];
        }
        let c = text.chars().next().unwrap();
        self.print(c);
        &text[c.len_utf8()..]
    }

    fn kitty(&mut self, body: &str) {
        let (keys, data) = body.split_once(';').unwrap_or((body, ""));
        assert!(keys.contains("q=2"), "an answer would land in the prompt: {keys}");
        assert!(data.len() <= 4096);
        if keys.contains("a=d") {
            self.deleted += 1;
        } else if keys.contains("a=T") {
            self.found.push(Found {
                kind: Protocol::Kitty,
                file: data.into(),
                at: self.at,
                keys: keys.into(),
            });
        } else {
            self.found.last_mut().unwrap().file.extend(data.bytes());
        }
        if keys.contains("m=0") {
            let last = self.found.last_mut().unwrap();
            last.file = unbase64(std::str::from_utf8(&last.file).unwrap());
        }
    }

    fn csi(&mut self, body: &str, last: u8) {
        let n: usize = body.parse().unwrap_or(1);
        match (last, body) {
            (b'A', _) => self.at.0 = self.at.0.checked_sub(n).expect("moves above the start"),
            (b'B', _) => self.at.0 += n,
            (b'C', _) => self.at.1 += n,
            (b'D', _) => self.at.1 = self.at.1.saturating_sub(n),
            (b'h', "?2026") => self.synchronized.0 += 1,
            (b'l', "?2026") => self.synchronized.1 += 1,
            // The cursor is hidden while pictures are drawn.
            (b'm', _) | (b'h' | b'l', "?25") => {}
            _ => panic!("CSI {body}{}", char::from(last)),
        }
    }

    fn print(&mut self, c: char) {
        match c {
            '\r' => self.at.1 = 0,
            '\n' => self.at.0 += 1,
            c => {
                assert!(!c.is_control(), "{c:?}");
                if self.cells.len() <= self.at.0 {
                    self.cells.resize(self.at.0 + 1, Vec::new());
                }
                let row = &mut self.cells[self.at.0];
                if row.len() <= self.at.1 {
                    row.resize(self.at.1 + 1, ' ');
                }
                row[self.at.1] = c;
                self.at.1 += 1;
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        self.cells.iter().map(|r| r.iter().collect::<String>().trim_end().to_string()).collect()
    }
}

/// A colour picture with structure at every scale.
fn picture(side: usize, phase: f64) -> Raster {
    let value = |i: usize| {
        let (x, y) = ((i % side) as f64 / side as f64, (i / side) as f64 / side as f64);
        let wave = |k: f64| 127.5 + 100.0 * (k * (x + phase) * 6.0).sin() * (k * y * 5.0).cos();
        [wave(1.0), wave(2.0), 255.0 * x].map(|v| v as u8)
    };
    Raster::new(side, side, 3, (0..side * side).flat_map(value).collect()).unwrap()
}

fn pictures() -> Vec<Picture> {
    [(0.0, "target"), (0.3, "inverted"), (0.6, "error ×4")]
        .map(|(phase, caption)| Picture::new(picture(256, phase), caption))
        .to_vec()
}

fn result() -> [Block; 2] {
    let lines = Block::text([
        "PSNR 29.4 dB · SSIM 0.91 · perceptual 0.11",
        "hybrid, W+ (12×512), 300 steps, 11.2 s · seed 0",
    ]);
    [Block::Pictures(pictures()), lines]
}

fn terminal(protocol: Protocol) -> Terminal {
    Terminal {
        protocol,
        colours: Colours::True,
        cell: (8, 16),
        synchronized: true,
        columns: 80,
        rows: 40,
        ..Terminal::plain("test")
    }
}

fn psnr(a: &Raster, b: &Raster) -> f64 {
    assert_eq!((a.width, a.height, a.channels), (b.width, b.height, b.channels));
    let sum: f64 = a.data.iter().zip(&b.data).map(|(x, y)| f64::from(x.abs_diff(*y)).powi(2)).sum();
    -10.0 * (sum / a.data.len() as f64 / 65025.0).max(1e-12).log10()
}

/// Checks that the pictures are side by side in one row, with the text below, all within the width.
fn check_layout(screen: &Screen, columns: usize, rows: usize) {
    let places: Vec<_> = screen.found.iter().map(|f| f.at).collect();
    assert_eq!(places, [(0, 0), (0, columns + 1), (0, 2 * columns + 2)]);
    let lines = screen.lines();
    assert!(lines.iter().all(|l| l.chars().count() <= 80), "{lines:?}");
    assert!(
        lines[rows].starts_with("target")
            && lines[rows].contains("inverted")
            && lines[rows].contains("error ×4")
    );
    assert!(lines[..rows].iter().all(String::is_empty), "text under a picture");
    let below = lines[rows + 1..].concat();
    assert!(below.contains("PSNR 29.4 dB") && below.contains("seed 0"), "{lines:?}");
    assert_eq!((screen.at, screen.synchronized), ((rows + 3, 0), (1, 1)));
}

#[test]
fn kitty_pictures_come_back() {
    let mut painter = Painter::new(terminal(Protocol::Kitty));
    let screen = Screen::read(&painter.render(&result(), 80).unwrap());
    check_layout(&screen, 26, 13);
    for (found, p) in screen.found.iter().zip(pictures()) {
        assert!(found.keys.contains("c=26,r=13,C=1"), "{}", found.keys);
        let back = decode("kitty", &found.file, &LIMITS).unwrap().raster;
        // 26×13 cells of 8×16 pixels are 208×208.
        assert_eq!(back, resize(&p.raster, 208, 208, Filter::Area).unwrap());
    }
    assert_eq!(screen.deleted, 0);
}

#[test]
fn iterm_pictures_come_back() {
    let mut painter = Painter::new(terminal(Protocol::Iterm));
    let screen = Screen::read(&painter.render(&result(), 80).unwrap());
    check_layout(&screen, 26, 13);
    for (found, p) in screen.found.iter().zip(pictures()) {
        assert!(
            found.keys.contains("inline=1") && found.keys.contains("width=26;height=13"),
            "{}",
            found.keys
        );
        let back = decode("iterm", &found.file, &LIMITS).unwrap().raster;
        assert_eq!(back, resize(&p.raster, 208, 208, Filter::Area).unwrap());
    }
    // Large pictures are sent as JPEG and are still faithful.
    let mut out = Vec::new();
    let large = picture(1024, 0.0);
    let mut sink = sinks::sink_for(&Terminal { cell: (20, 40), ..terminal(Protocol::Iterm) });
    sink.put(&mut out, &large, (50, 25)).unwrap();
    let screen = Screen::read(&out);
    let back = decode("iterm", &screen.found[0].file, &LIMITS).unwrap().raster;
    assert!(psnr(&back, &resize(&large, 1000, 1000, Filter::Area).unwrap()) > 38.0);
    assert_eq!(screen.at, (0, 0));
}

#[test]
fn sixel_pictures_come_back() {
    let mut painter = Painter::new(terminal(Protocol::Sixel));
    let bytes = painter.render(&result(), 80).unwrap();
    assert_eq!(
        bytes,
        Painter::new(terminal(Protocol::Sixel)).render(&result(), 80).unwrap(),
        "the same bytes again"
    );
    let screen = Screen::read(&bytes);
    check_layout(&screen, 26, 13);
    for (found, p) in screen.found.iter().zip(pictures()) {
        assert_eq!(found.kind, Protocol::Sixel);
        let image = icy_sixel::SixelImage::decode(&found.file).unwrap();
        let back = Raster::new(image.width, image.height, 4, image.pixels)
            .unwrap()
            .crop(0, 0, 208, 208)
            .unwrap();
        let quality =
            psnr(&back.to_rgb().unwrap(), &resize(&p.raster, 208, 208, Filter::Area).unwrap());
        assert!(quality > 26.0, "256 dithered colours gave {quality} dB");
    }
}

#[test]
fn narrow_wide_and_colourless() {
    for width in [20u16, 40, 60, 80, 120, 200] {
        for protocol in
            [Protocol::Kitty, Protocol::Iterm, Protocol::Sixel, Protocol::Blocks, Protocol::None]
        {
            let bytes = Painter::new(terminal(protocol)).render(&result(), width).unwrap();
            // Text without pictures has plain line ends, because it may go into a pipe.
            let text = String::from_utf8(bytes.clone())
                .unwrap()
                .replace("\r\n", "\n")
                .replace('\n', "\r\n");
            let lines = Screen::read(text.as_bytes()).lines();
            let widest = lines.iter().map(|l| l.chars().count()).max().unwrap();
            let limit = usize::from(width).max(26);
            assert!(widest <= limit, "{protocol:?} {width}: {widest}");
            let text = lines.join(" ");
            assert!(
                text.contains("target") && text.contains("29.4"),
                "{protocol:?} {width}: {text}"
            );
            if protocol == Protocol::None {
                assert!(
                    !bytes.contains(&0x1b) && text.contains("[picture 256×256 rgb, mean #"),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn outside_text_never_reaches_the_terminal() {
    let evil = "a\x1b]0;owned\x07\u{9b}31m\u{202e}b\r";
    for protocol in
        [Protocol::Kitty, Protocol::Sixel, Protocol::Iterm, Protocol::Blocks, Protocol::None]
    {
        let one = Picture::new(picture(32, 0.0), evil);
        let result = [Block::Pictures(vec![one]), Block::text([evil])];
        let bytes = Painter::new(terminal(protocol)).render(&result, 200).unwrap();
        // The screen panics on any other sequence than those of the painter.
        let lines = Screen::read(&bytes).lines().concat();
        assert!(
            lines.contains("\\u{1b}]0;owned\\u{7}\\u{9b}31m\\u{202e}b\\u{d}"),
            "{protocol:?}: {lines}"
        );
    }
}

// ------------------------------------------------------------------ a real tmux

const HELPER: &str = "GANNET_TERMINAL_HELPER";

/// The part of a test that runs inside tmux.
#[test]
#[ignore = "runs inside tmux, started by the test below"]
fn helper_inside_tmux() {
    if std::env::var_os(HELPER).is_none() {
        return;
    }
    // Half blocks can be read back from a capture.
    let symbols = Some(gannet::render::Symbols::Half);
    let probed = probe(&Options { symbols, ..Options::default() });
    let typed = Block::text([format!("typed<{}>", String::from_utf8_lossy(&probed.typed))]);
    let mut pictures = Vec::new();
    // For a visual check in any terminal: names picture files to show instead.
    match std::env::var("GANNET_TERMINAL_SHOW") {
        Ok(files) => {
            for file in files.split(':') {
                let name = file.rsplit('/').next().unwrap_or(file);
                let raster = read(Path::new(file), &LIMITS).unwrap().raster;
                pictures.push(Picture::new(raster, name));
            }
        }
        Err(_) => {
            pictures.push(Picture::new(picture(128, 0.0), "inside"));
        }
    }
    let reasons = probed.terminal.reasons.join("; ");
    let columns = probed.terminal.columns;
    let mut painter = Painter::new(probed.terminal);
    let mut out = std::io::stdout();
    out.write_all(b"\x1b[2J\x1b[H").unwrap();
    out.write_all(&painter.render(&[Block::Pictures(pictures), typed], columns).unwrap()).unwrap();
    out.write_all(format!("why: {reasons}\r\nTHE END\r\n").as_bytes()).unwrap();
    out.flush().unwrap();
    std::thread::sleep(Duration::from_secs(20));
}

/// The helper's command line inside tmux.
fn helper() -> String {
    let exe = std::env::current_exe().unwrap();
    format!(
        "{HELPER}=1 COLORTERM=truecolor {} --exact helper_inside_tmux --ignored --nocapture",
        exe.display()
    )
}

/// Plays a kitty terminal until the text arrives, and returns all received bytes.
fn play_kitty(master: &OwnedFd, until: &str) -> Vec<u8> {
    let questions = [("\x1b[>q", "\x1bP>|kitty(0.35.2)\x1b\\"), ("\x1b[c", "\x1b[?62;c")];
    let mut seen = Vec::new();
    let mut answered = [false; 2];
    let start = Instant::now();
    while !String::from_utf8_lossy(&seen).contains(until)
        && start.elapsed() < Duration::from_secs(15)
    {
        seen.extend(read_all(master, Duration::from_millis(10)));
        for (done, (question, answer)) in answered.iter_mut().zip(questions) {
            if !*done && seen.windows(question.len()).any(|w| w == question.as_bytes()) {
                *done = true;
                send(master, answer);
            }
        }
    }
    seen
}

#[test]
fn kitty_behind_tmux_gets_pictures_and_placeholders() {
    let Some(tmux) = Tmux::new("kitty") else { return };
    let Pty { master, slave } = pty();
    tcsetwinsize(&slave, Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 800, ws_ypixel: 480 })
        .unwrap();
    let end = || std::process::Stdio::from(slave.try_clone().unwrap());
    // The helper waits until tmux has identified the outer terminal.
    let command = format!("sleep 1; {}", helper());
    let mut client = tmux
        .command()
        .env("TERM", "xterm-256color")
        .args(["-u", "start-server", ";", "set", "-g", "allow-passthrough", "on", ";"])
        .args(["new-session", &command])
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .unwrap();
    let seen = play_kitty(&master, "THE END");
    let text = String::from_utf8_lossy(&seen);
    let pane = tmux.run(&["-u", "capture-pane", "-p"]);
    tmux.run(&["kill-server"]);
    // Any exit status is fine, because the client was killed with its server.
    let _ = client.wait();
    assert!(text.contains("tmux hands them on"), "{text}");
    let mut screen = Screen::default();
    for part in text.split("\x1b_G").skip(1) {
        screen.kitty(part.split_once("\x1b\\").unwrap().0);
    }
    assert_eq!(screen.found.len(), 1);
    assert!(screen.found[0].keys.contains("c=40,r=20,U=1"), "{}", screen.found[0].keys);
    assert_eq!(decode("kitty", &screen.found[0].file, &LIMITS).unwrap().raster, picture(128, 0.0));
    // The rows that tmux stores and redraws when the pane moves.
    let rows: Vec<_> =
        pane.lines().map(|l| l.matches('\u{10eeee}').count()).filter(|&n| n > 0).collect();
    assert_eq!(rows, [40; 20]);
    assert!(text.contains('\u{10eeee}'));
}

/// Foreground and background of captured half blocks, as pixels.
fn pixels_of(capture: &str) -> Vec<Vec<[[u8; 3]; 2]>> {
    let mut rows = Vec::new();
    for line in capture.lines().filter(|l| l.contains('▀')) {
        let mut pen = [[0u8; 3]; 2];
        let mut row = Vec::new();
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            if let Some(t) = rest.strip_prefix("\x1b[") {
                let (body, tail) = t.split_once('m').unwrap();
                let n: Vec<u16> = body.split([';', ':']).filter_map(|n| n.parse().ok()).collect();
                for (k, base) in [38, 48].into_iter().enumerate() {
                    if let Some(i) = n.windows(2).position(|w| w == [base, 2]) {
                        pen[k] = [n[i + 2], n[i + 3], n[i + 4]].map(|v| v as u8);
                    }
                }
                rest = tail;
            } else {
                if c == '▀' {
                    row.push(pen);
                }
                rest = &rest[c.len_utf8()..];
            }
        }
        rows.push(row);
    }
    rows
}

#[test]
fn half_blocks_survive_tmux() {
    let Some(tmux) = Tmux::new("test") else { return };
    let command = helper();
    // In a single call, because a server without a session ends at once.
    let overrides = ["set", "-g", "terminal-overrides", ",*:RGB", ";"];
    let session = ["new-session", "-d", "-x", "80", "-y", "40", &command];
    tmux.run(&[&["start-server", ";"][..], &overrides[..], &session[..]].concat());
    tmux.wait_for("THE END");
    let capture = tmux.run(&["capture-pane", "-e", "-p"]);
    let title = tmux.run(&["display-message", "-p", "#{pane_title}"]);
    assert!(!title.contains("Gi="), "the question became the pane's title: {title}");
    assert!(capture.contains("typed<>"), "an answer was taken for typed text: {capture}");
    let rows = pixels_of(&capture);
    let (w, h) = (rows[0].len(), rows.len() * 2);
    let data = rows
        .iter()
        .flat_map(|r| [0, 1].map(|k| r.iter().flat_map(|p| p[k]).collect::<Vec<u8>>()))
        .flatten();
    let back = Raster::new(w, h, 3, data.collect()).unwrap();
    assert_eq!((w, h), (70, 70));
    let quality = psnr(&back, &resize(&picture(128, 0.0), w, h, Filter::Area).unwrap());
    assert!(quality >= 40.0, "{quality} dB");
}
