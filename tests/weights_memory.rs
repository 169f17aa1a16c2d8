//! Peak memory for a large file. The only test in its process, because the peak belongs to the
//! process.
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
use std::io::Write;
use support::pickles::{call, global, legacy, persistent_id, tensor, text};

const MIB: u64 = 1 << 20;
/// Size of a tensor in bytes.
const TENSOR: u64 = 8 * MIB;
const COUNT: u64 = 12;

/// Peak memory of this process in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Writes `{"G": [as many again], "t0": …}` as in NVIDIA's pickles. Each storage is a nested legacy
/// file; only one storage is in memory at a time.
fn write(path: &std::path::Path) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let blob_head =
        legacy(&persistent_id("FloatStorage", "k", (TENSOR / 4).into()), &[("k", TENSOR / 4, &[])]);
    let len = (blob_head.len() as u64 + TENSOR) as u32;
    file.write_all(b"\x80\x04}").unwrap();
    for i in 0..COUNT {
        // `tensor` around a marker, which the storage's bytes replace during the write.
        let mark = b"STORAGE-HERE";
        let storage = call(global("torch.storage", "_load_from_bytes"), &[mark.to_vec()]);
        let body =
            [text(&format!("t{i}")), tensor(storage, 0, &[(TENSOR / 4).into()], &[1]), vec![b's']]
                .concat();
        let at = body.windows(mark.len()).position(|w| w == mark).unwrap();
        file.write_all(&[&body[..at], b"B", &len.to_le_bytes(), &blob_head].concat()).unwrap();
        for _ in 0..TENSOR / MIB {
            file.write_all(&vec![0; MIB as usize]).unwrap();
        }
        file.write_all(&body[at + mark.len()..]).unwrap();
    }
    file.write_all(b".").unwrap();
}

#[test]
fn reading_holds_little_more_than_the_tensors_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.pkl");
    write(&path);
    let before = peak();
    let mut file = weights::open(&path, &LIMITS).unwrap();
    let list = file.weights.list();
    assert_eq!((list.tensors.len() as u64, list.values()), (COUNT, COUNT * TENSOR / 4));
    assert!(peak() - before < 8 * MIB, "opening took {} MiB", (peak() - before) / MIB);
    // One tensor of many: the tensor, the storage being read, and some overhead.
    file.weights.take_any("t3").unwrap();
    let took = (peak() - before) / MIB;
    assert!(peak() - before < 3 * TENSOR, "taking one tensor took {took} MiB");
    file.weights.fingerprint().unwrap();
    let took = (peak() - before) / MIB;
    assert!(peak() - before < 4 * TENSOR, "a fingerprint took {took} MiB");
    let all = file.weights.arrays().unwrap();
    assert_eq!(all.len() as u64, COUNT - 1);
    // All tensors, one storage being read, and some overhead.
    assert!(
        peak() - before < COUNT * TENSOR + 2 * TENSOR + 8 * MIB,
        "open took {} MiB",
        (peak() - before) / MIB
    );
}
