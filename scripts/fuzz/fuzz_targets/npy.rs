#![no_main]
//! One NumPy array: the header and its data.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (header, rest) = gannet_fuzz::halves(data);
    let len = u16::try_from(header.len()).unwrap_or(u16::MAX).to_le_bytes();
    gannet_fuzz::read(&[b"\x93NUMPY\x01\x00", &len[..], header, rest].concat());
});
