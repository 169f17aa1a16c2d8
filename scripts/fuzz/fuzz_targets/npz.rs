#![no_main]
//! A zip of two NumPy arrays.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (a, b) = gannet_fuzz::halves(data);
    let head = |bytes: &[u8]| gannet_fuzz::behind(b"\x93NUMPY\x01\x00", bytes);
    let (a, b) = (head(a), head(b));
    gannet_fuzz::read(&gannet_fuzz::zip(&[("a.npy", &a), ("b.npy", &b)]));
});
