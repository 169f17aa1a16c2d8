//! Memory for pictures of every shape in every operation: each operation runs in its own process,
//! whose peak is measured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

use gannet::builtin::Output;
use gannet::control::Control;
use gannet::error::Result;
use gannet::eval::{Options, State};
use gannet::image::{Raster, encode};
use gannet::lang::span::Source;
use gannet::render::{Block, Painter, Terminal};
use gannet::value::{Models, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const PICTURE: &str = "GANNET_TEST_PICTURE";
const PROGRAM: &str = "GANNET_TEST_PROGRAM";
/// Bytes that reading one picture and fitting it to a generator may take at once: the file, the
/// decoded picture, the decoder's own memory or a copy while it is turned or framed, and the pyramid
/// of the face search. A picture that keeps its own size is a tensor in addition, of 4 bytes a
/// value.
const FITTED: u64 = 1 << 30;
/// Memory of a run besides its pictures: rendering buffers, threads, allocator overhead.
const CHANGE: u64 = 96 << 20;

/// Peak memory of this process in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Paints results as for a terminal.
struct Shown;

impl Output for Shown {
    fn display(&mut self, blocks: &[Block], _: &Value) -> Result<()> {
        let mut terminal = Terminal::plain("a test");
        terminal.protocol = gannet::render::Protocol::Blocks;
        Painter::new(terminal).render(blocks, 80).map(drop)
    }

    fn print(&mut self, _: &str) -> Result<()> {
        Ok(())
    }
}

/// The child process: runs a program on a picture and prints its memory.
#[test]
fn child() {
    let (Ok(picture), Ok(program)) = (std::env::var(PICTURE), std::env::var(PROGRAM)) else {
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let options = Options { out: out.path().into(), ..Options::default() };
    let mut session = State::new(Models::cpu(), "faces", options).unwrap();
    let mut run = |text: &str| {
        let source = Source::new("test", text.replace("PICTURE", &picture)).unwrap();
        session.run(&source, &BTreeMap::new(), &Control::default(), &mut Shown)
    };
    // The generator and its networks are loaded before the measurement begins.
    run("attributes(sample(seed: 1))").unwrap();
    let before = peak();
    let ended = run(&program);
    println!("TOOK {}", peak() - before);
    ended.unwrap();
}

/// Memory in bytes that a program needs for a picture.
fn took(picture: &Path, program: &str) -> u64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(PICTURE, picture)
        .env(PROGRAM, program)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} on {}: {text}{errors}", picture.display());
    let line = text.lines().find_map(|l| l.split("TOOK ").nth(1)).expect("a child that measures");
    line.trim().parse().unwrap()
}

/// Pictures of one colour: small on the disk, full size in memory.
fn pictures(folder: &Path) -> Vec<(std::path::PathBuf, u64)> {
    let mut all = Vec::new();
    for (w, h) in [(8192, 1), (1, 8192), (8192, 8192), (1, 1)] {
        let picture = Raster::filled(w, h, &[90, 120, 150]).unwrap();
        let name = format!("{w}x{h}");
        for (ending, bytes) in [
            ("png", encode::png(&picture, &[]).unwrap()),
            ("jpg", encode::jpeg(&picture, 50).unwrap()),
        ] {
            let path = folder.join(format!("{name}.{ending}"));
            std::fs::write(&path, bytes).unwrap();
            all.push((path, picture.data.len() as u64));
        }
    }
    all
}

#[test]
fn every_way_of_a_picture_keeps_to_its_bound() {
    if std::env::var_os(PICTURE).is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // A picture at its own size is a tensor of four bytes for each value, in addition to its file's
    // bytes.
    let fitted = |_: u64| FITTED;
    let kept = |n: u64| FITTED + 4 * n;
    type Bound<'a> = &'a dyn Fn(u64) -> u64;
    let ways: [(&str, Bound<'_>, bool); 6] = [
        ("x = image(\"PICTURE\")", &fitted, true),
        ("x = image(\"PICTURE\", align: center)", &fitted, true),
        ("x = image(\"PICTURE\", align: center, size: 1024)\nx", &fitted, false),
        ("x = image(\"PICTURE\", align: none)\nx\nsave(x, \"o.png\")", &kept, true),
        ("x = image(\"PICTURE\", align: none)\nprint(psnr(x, x))\ngrid(x)", &|n| 3 * 4 * n, false),
        ("x = image(\"PICTURE\", align: none)\ncompare(x, x)", &|n| 4 * 4 * n, false),
    ];
    let mut wrong = Vec::new();
    for (path, n) in pictures(folder.path()) {
        for (program, bound, large) in &ways {
            // Large pictures take seconds, so only operations that differ in memory run on them.
            if n > 1 << 20 && !large {
                continue;
            }
            let (took, bound) = (took(&path, program), bound(n) + CHANGE);
            println!("{}: {program:?}: {} MiB", path.display(), took >> 20);
            if took > bound {
                wrong.push(format!("{}: {program}: {took} of {bound}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The measurement detects memory that is used.
#[test]
fn the_instrument_sees_memory() {
    if std::env::var_os(PICTURE).is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    std::fs::write(&path, encode::png(&Raster::filled(2048, 2048, &[7]).unwrap(), &[]).unwrap())
        .unwrap();
    // Three channels of four bytes each.
    assert!(took(&path, "x = image(\"PICTURE\", align: none)") > 3 * 4 * 2048 * 2048);
}
