//! Proofs of the journal's two promises: acknowledged cells survive a crash, and damage is found.

use super::super::log::replay;
use super::super::record::{Cell, Status};
use super::*;
use crate::store::Disk;
use crate::store::faulty::{Errno, FaultyDisk, Loss, Op};
use proptest::prelude::*;

const PATH: &str = "/s/a.journal";

fn header() -> Header {
    Header { format: 1, version: "0".into(), session: "a".into(), model: "toy".into(), started: 0 }
}

fn cell(id: u64) -> Record {
    Record::Cell(Cell {
        output: vec![format!("output {id}")],
        ..Cell::new(id, format!("show {id}"), Status::Ok)
    })
}

fn begin(disk: &FaultyDisk) -> Journal {
    Journal::create(disk, Path::new(PATH), header()).unwrap()
}

/// The numbers of the cells that a new process reads.
fn found(disk: &FaultyDisk) -> (Vec<u64>, Reading) {
    let (_, reading) = Journal::resume(disk, Path::new(PATH)).unwrap();
    (replay(reading.records.clone()).cells().iter().map(|c| c.id).collect(), reading)
}

#[test]
fn after_a_crash_at_any_moment_every_acknowledged_cell_is_there() {
    let disk = FaultyDisk::new();
    let mut journal = begin(&disk);
    // Length of the operation log when each cell was acknowledged.
    let mut acknowledged = vec![disk.log().len()];
    for id in 1..=4 {
        journal.append(cell(id)).unwrap();
        acknowledged.push(disk.log().len());
    }
    let (log, mut crashes) = (disk.log(), 0);
    for upto in acknowledged[0]..=log.len() {
        let promised = acknowledged.iter().filter(|n| **n <= upto).count() as u64 - 1;
        for loss in Loss::some(200) {
            let left = FaultyDisk::after_crash(&log[..upto], loss);
            let (ids, reading) = found(&left);
            assert!(
                ids.len() as u64 >= promised,
                "{loss:?} after {upto}: only {ids:?} of {promised}"
            );
            assert!(ids.iter().copied().eq(1..=ids.len() as u64));
            assert!(!reading.damaged, "a crash was taken for damage: {loss:?} after {upto}");
            // The session can be continued.
            let (mut again, _) = Journal::resume(&left, Path::new(PATH)).unwrap();
            again.append(cell(99)).unwrap();
            let (more, reading) = found(&left);
            assert_eq!((more.last(), more.len()), (Some(&99), ids.len() + 1));
            assert_eq!(reading.notice, None);
            crashes += 1;
        }
    }
    assert!(crashes > 5000, "{crashes}");
}

#[test]
fn a_journal_without_sync_would_fail_the_same_proof() {
    let disk = FaultyDisk::new();
    let mut journal = begin(&disk);
    journal.append(cell(1)).unwrap();
    let careless: Vec<Op> =
        disk.log().into_iter().filter(|op| !matches!(op, Op::Sync(_))).collect();
    let lost = Loss { keep: 0, zeros: false, names: true };
    assert!(Journal::resume(&FaultyDisk::after_crash(&careless, lost), Path::new(PATH)).is_err());
}

#[test]
fn any_failing_operation_costs_only_the_cell_it_failed() {
    for errno in Errno::ALL {
        for k in 0..24 {
            let disk = FaultyDisk::new();
            let mut journal = begin(&disk);
            disk.fail_at(k, errno);
            let mut acknowledged = Vec::new();
            for id in 1..=8 {
                if journal.append(cell(id)).is_ok() {
                    acknowledged.push(id);
                }
            }
            disk.heal();
            let left =
                FaultyDisk::after_crash(&disk.log(), Loss { keep: 0, zeros: false, names: false });
            assert_eq!(found(&left).0, acknowledged, "{errno:?} at {k}");
            // The failed cell may still be in the file: it may be present, but not torn.
            let (ids, reading) = found(&disk);
            assert!(
                ids.starts_with(&acknowledged) && !reading.damaged,
                "{errno:?} at {k}: {ids:?}"
            );
        }
    }
}

#[test]
fn a_failed_opening_leaves_the_file_as_it_was() {
    for errno in Errno::ALL {
        for k in 0..12 {
            let (disk, bytes) = damaged();
            disk.fail_at(k, errno);
            let opened = Journal::resume(&disk, Path::new(PATH)).map(|_| ());
            disk.heal();
            let now = disk.read(Path::new(PATH), 1 << 20).unwrap();
            let valid = &bytes[..read_journal(&bytes).valid as usize];
            assert!(now == bytes || now == valid, "{errno:?} at {k}");
            if now == valid {
                assert_eq!(
                    disk.read(Path::new("/s/a.damaged-1"), 1 << 20).unwrap(),
                    bytes,
                    "{opened:?}"
                );
            }
        }
    }
}

/// A disk with a journal of five cells, the third of them damaged.
fn damaged() -> (FaultyDisk, Vec<u8>) {
    let disk = FaultyDisk::new();
    let mut journal = begin(&disk);
    (1..=5).for_each(|id| journal.append(cell(id)).unwrap());
    let mut bytes = disk.read(Path::new(PATH), 1 << 20).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    bytes[text.find("show 3").unwrap()] ^= 1;
    disk.remove(Path::new(PATH)).unwrap();
    write_new(&disk, Path::new(PATH), &bytes).unwrap();
    (disk, bytes)
}

#[test]
fn a_damaged_file_is_set_aside_and_never_overwritten() {
    let (disk, bytes) = damaged();
    write_new(&disk, Path::new("/s/a.damaged-1"), b"an earlier one").unwrap();
    let (ids, reading) = found(&disk);
    assert_eq!(ids, [1, 2]);
    assert!(reading.notice.unwrap().ends_with("set aside as /s/a.damaged-2"));
    assert_eq!(disk.read(Path::new("/s/a.damaged-1"), 99).unwrap(), b"an earlier one");
    assert_eq!(disk.read(Path::new("/s/a.damaged-2"), 1 << 20).unwrap(), bytes);
    assert_eq!(found(&disk).1.notice, None, "the repaired journal is whole");
}

/// The bytes of a journal of three cells, and the position of its last line.
fn three() -> (Vec<u8>, usize) {
    let disk = FaultyDisk::new();
    let mut journal = begin(&disk);
    (1..=3).for_each(|id| journal.append(cell(id)).unwrap());
    let bytes = disk.read(Path::new(PATH), 1 << 20).unwrap();
    let last = bytes[..bytes.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    (bytes, last)
}

#[test]
fn any_flipped_bit_of_a_complete_line_sets_the_file_aside() {
    let (whole, last) = three();
    for bit in 8 * last..8 * whole.len() {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let disk = FaultyDisk::new();
        write_new(&disk, Path::new(PATH), &bytes).unwrap();
        let (ids, reading) = found(&disk);
        assert_eq!(ids, [1, 2], "bit {bit}");
        assert!(reading.damaged && reading.notice.unwrap().contains("set aside"), "bit {bit}");
        let aside = disk.read(Path::new("/s/a.damaged-1"), 1 << 20).unwrap();
        assert_eq!(aside, bytes, "bit {bit} is lost");
        let again = found(&disk);
        assert_eq!((again.0, again.1.notice), (vec![1, 2], None), "bit {bit}");
    }
}

#[test]
fn every_prefix_is_read_as_torn_and_never_as_damage() {
    let (whole, _) = three();
    let truth = read_journal(&whole).records;
    for cut in 0..=whole.len() {
        let reading = read_journal(&whole[..cut]);
        let complete = whole[..cut].iter().filter(|b| **b == b'\n').count();
        assert!(!reading.damaged, "cut at {cut}");
        assert_eq!(reading.records[..], truth[..complete], "cut at {cut}");
        let torn = whole[..cut].last().is_some_and(|b| *b != b'\n');
        assert_eq!(reading.notice.is_some(), torn, "cut at {cut}");
    }
}

#[test]
fn a_line_is_valid_only_in_its_place() {
    let disk = FaultyDisk::new();
    let mut journal = begin(&disk);
    (1..=3).for_each(|id| journal.append(cell(id)).unwrap());
    let text = String::from_utf8(disk.read(Path::new(PATH), 1 << 20).unwrap()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without_second = [lines[0], lines[1], lines[3]].join("\n") + "\n";
    assert_eq!(read_journal(without_second.as_bytes()).records.len(), 2);
    let doubled = [lines[0], lines[1], lines[1], lines[2]].join("\n") + "\n";
    assert!(read_journal(doubled.as_bytes()).damaged);
}

#[test]
fn what_is_no_journal_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.journal");
    std::fs::write(&path, "#!/bin/sh\necho\n").unwrap();
    assert!(Journal::resume(&Disk, &path).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"#!/bin/sh\necho\n");
}

proptest! {
    #[test]
    fn any_flipped_byte_or_cut_keeps_a_true_prefix(at in 0usize..600, flip in 1u8.., cut in 0usize..700) {
        let disk = FaultyDisk::new();
        let mut journal = begin(&disk);
        (1..=4).for_each(|id| journal.append(cell(id)).unwrap());
        let whole = disk.read(Path::new(PATH), 1 << 20).unwrap();
        let truth = read_journal(&whole).records;
        let mut bytes = whole.clone();
        if let Some(b) = bytes.get_mut(at) { *b ^= flip }
        bytes.truncate(cut.max(1));
        let reading = read_journal(&bytes);
        prop_assert!(truth.starts_with(&reading.records));
        prop_assert!(reading.records.len() == truth.len() || bytes != whole);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        prop_assert!(read_journal(&bytes).records.is_empty());
    }
}
