//! The other end: a pseudo-terminal with this test program as the child on it.
#![allow(dead_code)]

use rustix::process::Pid;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub struct Pty {
    pub master: File,
    pub slave: OwnedFd,
    pub child: Child,
    seen: Arc<Mutex<Vec<u8>>>,
    before: Termios,
}

impl Pty {
    /// Starts `child` on a terminal of 80 × 24, in a session of its own so that Ctrl-C becomes its
    /// signal.
    pub fn start(child: &str) -> Self {
        Self::with(child, &[])
    }

    /// As [`Pty::start`], with these variables.
    pub fn with(child: &str, variables: &[(&str, &Path)]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = rustix::fs::open(
            &name,
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
        let (ws_row, ws_col) = (24, 80);
        tcsetwinsize(&slave, Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let process = Command::new("setsid")
            .args(["-c", "-w"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", child, "--ignored", "--nocapture"])
            .env("TERM", "xterm-256color")
            .env("COLORTERM", "truecolor")
            .env_remove("NO_COLOR")
            .envs(variables.iter().copied())
            .env("RUST_BACKTRACE", "0")
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave.try_clone().unwrap())
            .spawn()
            .unwrap();
        let master = File::from(master);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, sink) = (master.try_clone().unwrap(), seen.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n) = reader.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Self { master, slave, child: process, seen, before }
    }

    pub fn send(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Sends keys and waits for the prompt that follows.
    pub fn prompt_again(&mut self, keys: &str) {
        let before = self.text().matches("\x1b[?2004h").count();
        self.send(keys);
        self.wait_for("\x1b[?2004h", before + 1);
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    /// The last of what was seen.
    pub fn tail(&self) -> String {
        let text = self.text();
        text.chars().skip(text.chars().count().saturating_sub(1500)).collect()
    }

    /// Waits until `text` was seen `times` times.
    pub fn wait_for(&self, text: &str, times: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.text().matches(text).count() < times {
            assert!(
                Instant::now() < deadline,
                "{text:?} not seen {times} times, at last: {:?}",
                self.tail()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end and checks that the terminal is as it was found, modes and cursor.
    pub fn restored(&mut self) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "did not end: {:?}", self.tail());
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(
            modes(&tcgetattr(&self.slave).unwrap()),
            modes(&self.before),
            "the terminal's modes"
        );
        let text = self.text();
        assert!(text.rfind("\x1b[?25l") <= text.rfind("\x1b[?25h"), "the cursor stays hidden");
        assert!(text.rfind("\x1b[?2026h") <= text.rfind("\x1b[?2026l"), "an update stays open");
        text
    }

    /// The process under `setsid`, by its terminal's foreground group.
    pub fn foreground(&self) -> Pid {
        rustix::termios::tcgetpgrp(&self.master).unwrap()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn modes(t: &Termios) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {:?}",
        t.input_modes, t.output_modes, t.local_modes, t.control_modes, t.special_codes
    )
}
