#![no_main]
//! One NumPy array: the header and its data.

use gannet_fuzz::{halves, joined, support};
use libfuzzer_sys::fuzz_target;

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";

/// The input that makes a file of version 1.
fn input(file: &[u8]) -> Option<Vec<u8>> {
    let (len, rest) = file.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (header, data) = rest.split_at(usize::from(u16::from_le_bytes(*len)));
    Some(joined(header, data))
}

fuzz_target!(
    init: gannet_fuzz::seeds(support::references(".npy").iter().filter_map(|f| input(f))),
    |data: &[u8]| {
        let (header, rest) = halves(data);
        let len = (header.len() as u16).to_le_bytes();
        gannet_fuzz::read(&[MAGIC, &len[..], header, rest].concat());
    }
);
