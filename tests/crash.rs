//! An acknowledged cell is never lost, even if the process is killed at any moment.
//!
//! The child processes run this test program again. `GANNET_CRASH_ROUNDS` sets the number of kills
//! (500 for a release).
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use gannet::rng::Rng;
use gannet::session::{Cell, Record, Status, create, open, replay, sessions};
use gannet::store::{Disk, Files};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn disk() -> Arc<dyn Files> {
    Arc::new(Disk)
}

fn cell(id: u64) -> Record {
    Record::Cell(Cell {
        output: vec!["x".repeat(id as usize % 300)],
        ..Cell::new(id, format!("show {id}"), Status::Ok)
    })
}

fn child(name: &str, folder: &Path, path: Option<&Path>) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env("GANNET_TEST_FOLDER", folder)
        .envs(path.map(|p| ("GANNET_TEST_JOURNAL", p)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn folder() -> PathBuf {
    std::env::var_os("GANNET_TEST_FOLDER").unwrap().into()
}

/// Appends cells to a session forever, and prints each cell's number after its append.
#[test]
#[ignore = "a child of the tests below"]
fn child_appends_until_killed() {
    let opened = match std::env::var_os("GANNET_TEST_JOURNAL") {
        Some(path) => open(&disk(), Path::new(&path)).unwrap(),
        None => create(&disk(), &folder(), "toy").unwrap(),
    };
    let (mut journal, mut session) = (opened.journal, replay(opened.reading.records));
    loop {
        let id = session.next_id();
        journal.append(cell(id)).unwrap();
        session.apply(cell(id));
        println!("acknowledged {id}");
        std::io::stdout().flush().unwrap();
    }
}

#[test]
#[ignore = "a child of the tests below"]
fn child_appends_200() {
    let mut journal = create(&disk(), &folder(), "toy").unwrap();
    (1..=200).for_each(|id| journal.journal.append(cell(id)).unwrap());
}

#[test]
fn kill_at_random_moments_loses_nothing_acknowledged() {
    let rounds = std::env::var("GANNET_CRASH_ROUNDS").map_or(60, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (mut rng, mut path, mut promised) = (Rng::new(7), None::<PathBuf>, 0u64);
    let mut reopened = Vec::new();
    for round in 0..rounds {
        let mut writer = child("child_appends_until_killed", folder.path(), path.as_deref());
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || {
            let said = lines
                .map_while(Result::ok)
                .filter_map(|l| l.strip_prefix("acknowledged ")?.parse().ok());
            said.last()
        });
        std::thread::sleep(Duration::from_millis(5 + rng.below(40) as u64));
        writer.kill().unwrap();
        writer.wait().unwrap();
        promised = promised.max(reader.join().unwrap().unwrap_or(0));
        let Some(found) = sessions(&disk(), folder.path()).unwrap().pop() else { continue };
        let begun = Instant::now();
        let opened = open(&disk(), &found.path).unwrap();
        reopened.push(begun.elapsed());
        assert!(opened.reading.notice.is_none_or(|n| n.contains("torn")), "round {round}");
        let session = replay(opened.reading.records);
        let ids: Vec<u64> = session.cells().iter().map(|c| c.id).collect();
        assert!(ids.len() as u64 >= promised, "round {round}: {} of {promised}", ids.len());
        assert!(ids.iter().copied().eq(1..=ids.len() as u64), "round {round}");
        path = Some(found.path);
    }
    assert!(promised > rounds, "the children hardly ran: {promised} cells");
    // The median, because a busy machine may delay any of them.
    reopened.sort();
    let median = reopened[reopened.len() / 2];
    assert!(median < Duration::from_millis(200), "reopened in {median:?}");
}

#[test]
fn eight_processes_on_one_folder_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let writers: Vec<Child> =
        (0..8).map(|_| child("child_appends_200", folder.path(), None)).collect();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    let found = sessions(&disk(), folder.path()).unwrap();
    let cells: BTreeSet<(String, u64)> = found
        .iter()
        .flat_map(|s| {
            let session = replay(open(&disk(), &s.path).unwrap().reading.records);
            session.cells().iter().map(|c| (s.header.session.clone(), c.id)).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!((found.len(), cells.len()), (8, 1600));
}
