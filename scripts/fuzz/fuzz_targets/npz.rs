#![no_main]
//! A zip of two NumPy arrays.

use gannet_fuzz::{after, behind, halves, joined, support, zip};
use libfuzzer_sys::fuzz_target;

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";

fuzz_target!(
    init: {
        let all = support::references(".npy");
        let arrays: Vec<Vec<u8>> = all.iter().filter_map(|f| after(MAGIC, f)).collect();
        let small: Vec<&[u8]> =
            arrays.iter().map(Vec::as_slice).filter(|a| a.len() < 1 << 16).collect();
        gannet_fuzz::seeds(small.windows(2).map(|two| joined(two[0], two[1])));
    },
    |data: &[u8]| {
        let (a, b) = halves(data);
        let (a, b) = (behind(MAGIC, a), behind(MAGIC, b));
        gannet_fuzz::read(&zip(&[("a.npy", &a), ("b.npy", &b)]));
    }
);
