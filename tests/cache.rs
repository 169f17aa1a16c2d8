//! The cache as a user meets it: results come back byte for byte, and nothing depends on it.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A search that takes some time, what is seen of it, and what is saved of it.
const PROGRAM: &str = "r = invert(sample(seed: 3), space: W, finish: none, method: hybrid, \
    steps: 300)\nr\n\
    save(r, \"r.safetensors\")\nsave(r, \"r.png\")\nprint(psnr(r, render(sample(seed: 3))))\n";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gannet"));
        command.args(args).args(["--model", "toy"]).current_dir(self.0.path());
        command.env("GANNET_STATE", self.path("state")).env("GANNET_CONFIG", self.path("config"));
        for name in ["GANNET_CACHE", "GANNET_CACHE_LIMIT", "GANNET_MODEL", "GANNET_KERNELS"] {
            command.env_remove(name);
        }
        command
    }

    fn gannet(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What a run of the program printed, and the files that it saved.
    fn run(&self, out: &str, more: &[&str]) -> (String, Vec<Vec<u8>>) {
        std::fs::write(self.path("p.gnt"), PROGRAM).unwrap();
        // Files of an earlier run would change the names of the shown pictures.
        let _ = std::fs::remove_dir_all(self.path(out));
        let o = self.gannet(&[&["run", "p.gnt", "--out", out], more].concat());
        assert!(o.status.success(), "{o:?}");
        let saved = ["r.safetensors", "r.png"].map(|f| std::fs::read(self.path(out).join(f)));
        (text(&o.stdout), saved.map(Result::unwrap).to_vec())
    }

    fn results(&self) -> usize {
        let entries = std::fs::read_dir(self.path("state/cache/results"));
        entries.map_or(0, Iterator::count)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The text without times and without where results came from.
fn timeless(text: &str) -> String {
    let line = |line: &str| match line.split_once(" s, cached · ") {
        Some((before, after)) => (before.to_owned(), format!(" s · {after}")),
        None => match line.split_once(" s · ") {
            Some((before, after)) => (before.to_owned(), format!(" s · {after}")),
            None => (line.to_owned(), String::new()),
        },
    };
    let clean = |(before, after): (String, String)| {
        let before =
            if after.is_empty() { &before[..] } else { before.rsplit_once(' ').unwrap().0 };
        format!("{before}{after}\n")
    };
    text.lines().map(line).map(clean).collect()
}

#[test]
fn a_rerun_gives_the_same_bytes_and_says_where_they_come_from() {
    let place = Place::new();
    let (plain, saved) = place.run("out", &["--no-cache"]);
    assert_eq!(place.results(), 0);
    let (first, of_first) = place.run("out", &[]);
    assert!(!first.contains("cached"), "{first}");
    let held = place.results();
    assert!(held > 0);
    for threads in ["1", "2"] {
        let (again, of_again) = place.run("out", &["--threads", threads]);
        assert!(again.contains(" s, cached · seed 0"), "{again}");
        assert!(of_again == saved && of_first == saved);
        assert_eq!(timeless(&again), timeless(&plain));
        assert_eq!(timeless(&first), timeless(&plain));
    }
    assert_eq!(place.results(), held);
    // Another seed is another search.
    let (other, of_other) = place.run("out", &["--seed", "5"]);
    assert!(!other.contains("cached") && of_other[0] != saved[0], "{other}");
    let (none, of_none) = place.run("out", &["--no-cache"]);
    assert!(!none.contains("cached") && of_none == saved);
}

#[test]
fn json_says_cached_and_is_otherwise_the_same() {
    let place = Place::new();
    let code = "r = invert(sample(seed: 3), space: W, steps: 300)\nr";
    let json = |args: &[&str]| {
        let o = place.gannet(&[&["eval", code, "--json"], args].concat());
        let out = text(&o.stdout);
        serde_json::from_str::<serde_json::Value>(out.lines().last().unwrap()).unwrap()
    };
    let (first, again) = (json(&[]), json(&[]));
    assert_eq!((&first["cached"], &again["cached"]), (&false.into(), &true.into()));
    assert_eq!(first["seconds"], again["seconds"]);
    for key in ["loss", "numbers", "trace", "origin", "warnings"] {
        assert!(first[key] == again[key] && !first[key].is_null(), "{key}");
    }
}

#[test]
fn two_processes_share_a_folder() {
    let place = Place::new();
    let code =
        "r = invert(sample(seed: 3), space: W, steps: 100); print(norm(r - sample(seed: 1)))";
    let spawn = |_| {
        let mut command = place.command(&["eval", code]);
        command.stdout(std::process::Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<_> = (0..3).map(spawn).collect();
    let said: Vec<String> =
        all.into_iter().map(|c| text(&c.wait_with_output().unwrap().stdout)).collect();
    let alone = text(&place.gannet(&["eval", code, "--no-cache"]).stdout);
    assert!(!alone.is_empty() && said.iter().all(|s| *s == alone), "{said:?} {alone}");
}

#[test]
fn it_is_turned_off_and_moved_and_the_doctor_knows() {
    let place = Place::new();
    let doctor = |set: &[(&str, &str)], args: &[&str]| {
        let o = place
            .command(&[&["doctor", "--json"], args].concat())
            .envs(set.iter().copied())
            .output()
            .unwrap();
        let all = text(&o.stdout);
        let line = all.lines().find(|l| l.contains("\"topic\":\"cache\"")).unwrap();
        serde_json::from_str::<serde_json::Value>(line).unwrap()["found"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let usual = doctor(&[], &[]);
    assert!(usual.contains("0 results, 0 B of at most 2.0 GB in") && usual.contains("state/cache"));
    assert!(doctor(&[("GANNET_CACHE", "elsewhere")], &[]).contains("in elsewhere/results"));
    for (set, args) in [
        (&[][..], &["--no-cache"][..]),
        (&[("GANNET_CACHE", "off")], &[]),
        (&[("GANNET_CACHE_LIMIT", "0")], &[]),
    ] {
        assert!(doctor(set, args).starts_with("off"), "{set:?} {args:?}");
    }
    assert!(place.gannet(&["config", "cache", "off"]).status.success());
    assert!(doctor(&[], &[]).starts_with("off"));
    assert!(place.gannet(&["config", "cache", "on"]).status.success());
    assert!(place.gannet(&["config", "cache-limit", "3MB"]).status.success());
    assert!(doctor(&[], &[]).contains("of at most 3 MB"));
    let wrong = place.gannet(&["eval", "1", "--cache-limit", "much"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}

#[test]
fn a_folder_that_cannot_be_written_only_warns() {
    let place = Place::new();
    std::fs::write(place.path("file"), "in the way").unwrap();
    let run = |program: &str| {
        let mut command = place.command(&["eval", program]);
        command.env("GANNET_CACHE", place.path("file")).output().unwrap()
    };
    let slow = |seed: u8| format!("r{seed} = invert(sample(seed: {seed}), space: W, steps: 300)\n");
    let o = run(&[slow(1), slow(2), "print(1)".to_owned()].concat());
    assert!(o.status.success() && text(&o.stdout) == "1\n", "{o:?}");
    assert_eq!(text(&o.stderr).matches("results cannot be kept").count(), 1, "{o:?}");
}

#[test]
fn the_prompt_shows_and_clears_it() {
    let place = Place::new();
    let typed = |lines: &str| {
        use std::io::Write;
        let mut child = place
            .command(&[])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let o = child.wait_with_output().unwrap();
        text(&o.stdout) + &text(&o.stderr)
    };
    let search = "r = invert(sample(seed: 3), space: W, steps: 300)\n";
    let first = typed(&format!("{search}:cache\n"));
    let held = place.results();
    assert!(held > 0 && first.contains("cached   none so far"), "{first}");
    let again = typed(&format!("{search}:cache\n:cache clear\n:cache\n"));
    assert!(again.contains("cached   1, which took "), "{again}");
    let results = if held == 1 { "result" } else { "results" };
    assert!(again.contains(&format!("removed: {held} {results},")), "{again}");
    assert!(again.contains("holds    0 results, 0 B of at most 2.0 GB"), "{again}");
    assert_eq!(place.results(), 0);
}

#[test]
fn measurements_do_not_use_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bench");
    let mut folders = vec![folder];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // Only the evaluator takes results from the cache.
            let text = std::fs::read_to_string(&path).unwrap();
            let uses = ["crate::cache", "crate::eval", "crate::session"];
            assert!(uses.iter().all(|name| !text.contains(name)), "{}", path.display());
            read += 1;
        }
    }
    assert!(read > 10);
}
