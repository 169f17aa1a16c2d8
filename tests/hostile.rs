//! A model file never runs code, aborts the process, or exceeds its budget.
//!
//! Every input is read in a child process with 1 GiB of address space and 5 seconds of processor
//! time. The expected result is one line that names the file, an offset and the broken rule,
//! without a signal or a panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test"
)]

#[path = "weights_support/mod.rs"]
mod support;

use gannet::limits::LIMITS;
use gannet::weights;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use support::{files, mutants, pickles};

const FILE: &str = "GANNET_HOSTILE_FILE";

/// Limit of processor time for reading a file, in seconds. It does not depend on other processes,
/// as the clock does.
const WORK: u32 = 5;
/// Limit by the clock, which only a waiting child reaches.
const HANGS: Duration = Duration::from_secs(60);

/// The child process: reads one file in every way and prints the results.
#[test]
fn child() {
    let Some(path) = std::env::var_os(FILE).map(PathBuf::from) else { return };
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    match name.as_str() {
        "self-abort" => std::process::abort(),
        "self-memory" => println!("{}", vec![1u8; 2 << 30].len()),
        "self-work" => loop {
            std::hint::spin_loop();
        },
        "self-hang" => std::thread::sleep(HANGS),
        _ => {}
    }
    let results = [
        weights::open(&path, &LIMITS).and_then(|c| c.weights.arrays()).map(|t| t.len()),
        weights::read_arrays(&path, &LIMITS).map(|t| t.len()),
        weights::open(&path, &LIMITS).map(|c| c.weights.list().tensors.len()),
    ];
    for result in &results {
        match result {
            Ok(n) => println!("READ {n} tensors"),
            Err(e) => {
                let line = e.to_string();
                assert!(
                    line.lines().count() == 1 && line.chars().all(gannet::safe::is_safe),
                    "one safe line: {line:?}"
                );
                assert!(
                    line.contains(&name) && line.contains("at byte "),
                    "file and offset: {line}"
                );
                assert!(line.len() < 2000, "a line of a report: {} bytes", line.len());
                println!("REFUSED {line}");
            }
        }
    }
}

/// The output of the child for a file.
fn read_in_child(path: &Path) -> Result<String, String> {
    read_within(path, WORK, HANGS)
}

/// Like [`read_in_child`], with `work` seconds of processor time, after which the system sends
/// SIGXCPU, and the limit `hangs` by the clock.
fn read_within(path: &Path, work: u32, hangs: Duration) -> Result<String, String> {
    let script = "ulimit -v 1048576 && ulimit -S -t $1 && exec \"$0\" --exact child --nocapture \
                  --test-threads=1";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(work.to_string())
        .env(FILE, path)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut out, mut errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut text = (String::new(), String::new());
        out.read_to_string(&mut text.0).and(errors.read_to_string(&mut text.1)).unwrap();
        text
    });
    let start = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > hangs => {
                child.kill().unwrap();
                child.wait().unwrap();
                return Err(format!("hangs: more than {hangs:?}"));
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let (text, errors) = reader.join().unwrap();
    if status.success() { Ok(text) } else { Err(format!("{status}: {text} {errors}")) }
}

#[test]
fn hostile_files_are_refused_in_one_line() {
    if std::env::var_os(FILE).is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cases: Vec<(String, Vec<u8>)> = pickles::all().into_iter().chain(files::all()).collect();
    assert!(cases.len() >= 600, "{} cases", cases.len());
    let (next, wrong) = (Mutex::new(cases.iter().enumerate()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((i, (what, bytes))) = next.lock().unwrap().next() else { break };
                    let path = folder.path().join(format!("case{i}.bin"));
                    std::fs::write(&path, bytes).unwrap();
                    let seen = read_in_child(&path);
                    std::fs::remove_file(&path).unwrap();
                    if std::env::var_os("GANNET_HOSTILE_SHOW").is_some() {
                        let first = seen.as_ref().map(|t| {
                            t.lines().find(|l| l.contains("REFUSED")).unwrap_or("").to_string()
                        });
                        eprintln!("{what}: {first:?}");
                    }
                    match seen {
                        // All three ways must refuse the file. Opening alone may succeed if only
                        // the values are wrong.
                        Ok(text)
                            if text.matches("REFUSED").count()
                                < if what.starts_with("value") { 2 } else { 3 } =>
                        {
                            wrong.lock().unwrap().push(format!("{what}: was read: {text}"));
                        }
                        // The text after a bar is the rule that the message must name.
                        Ok(text)
                            if what
                                .split_once(" | ")
                                .is_some_and(|(_, rule)| !text.contains(rule)) =>
                        {
                            wrong.lock().unwrap().push(format!("{what}: another rule: {text}"));
                        }
                        Ok(_) => {}
                        Err(e) => wrong.lock().unwrap().push(format!("{what}: {e}")),
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Mutants of good files of every container, and hostile settings beside a good file: each is read
/// or refused within the budget, never a signal or a panic.
#[test]
fn mutants_of_every_container_keep_the_budget() {
    if std::env::var_os(FILE).is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let good = mutants::objects();
    let mut cases: Vec<(String, Vec<u8>, Option<Vec<u8>>)> =
        mutants::mutants(16).into_iter().map(|(what, bytes)| (what, bytes, None)).collect();
    cases.extend(
        mutants::beside()
            .into_iter()
            .map(|(what, json)| (format!("beside: {what}"), good.clone(), Some(json))),
    );
    assert!(cases.len() >= 300, "{} cases", cases.len());
    let (next, wrong) = (Mutex::new(cases.iter().enumerate()), Mutex::new(Vec::new()));
    let read = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((i, (what, bytes, json))) = next.lock().unwrap().next() else { break };
                    let path = folder.path().join(format!("mutant{i}.bin"));
                    std::fs::write(&path, bytes).unwrap();
                    if let Some(json) = json {
                        std::fs::write(path.with_extension("json"), json).unwrap();
                    }
                    match read_in_child(&path) {
                        Ok(text) if text.matches("READ").count() == 3 => *read.lock().unwrap() += 1,
                        Ok(text) if text.contains("REFUSED") && json.is_none() => {}
                        Ok(text) => wrong.lock().unwrap().push(format!("{what}: {text}")),
                        Err(e) => wrong.lock().unwrap().push(format!("{what}: {e}")),
                    }
                    std::fs::remove_file(&path).unwrap();
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let read = read.into_inner().unwrap();
    assert!(read > cases.len() / 20 && read < cases.len() * 3 / 4, "{read} of {}", cases.len());
}

/// Files that just keep the rules are read in the same small child process.
#[test]
fn files_at_the_edge_of_the_rules_are_read() {
    if std::env::var_os(FILE).is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (i, (what, bytes)) in pickles::good().into_iter().chain(files::good()).enumerate() {
        let path = folder.path().join(format!("good{i}.bin"));
        std::fs::write(&path, bytes).unwrap();
        let text = read_in_child(&path).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(text.matches("READ").count(), 3, "{what}: {text}");
    }
}

/// The harness detects every kind of failure that the tests rely on.
#[test]
fn the_harness_sees_panics_aborts_memory_work_and_hanging() {
    if std::env::var_os(FILE).is_some() {
        return;
    }
    let panics = read_in_child(Path::new("missing-so-that-the-child-panics")).unwrap_err();
    assert!(panics.contains("101"), "{panics}");
    for name in ["self-abort", "self-memory"] {
        let seen = read_in_child(Path::new(name)).unwrap_err();
        assert!(seen.contains("signal: 6"), "{name}: {seen}");
    }
    let works = read_within(Path::new("self-work"), 1, HANGS).unwrap_err();
    assert!(works.contains("SIGXCPU"), "{works}");
    let hangs = read_within(Path::new("self-hang"), WORK, Duration::from_secs(1)).unwrap_err();
    assert!(hangs.contains("hangs"), "{hangs}");
}
