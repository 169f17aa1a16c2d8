#![no_main]
//! A safetensors header and its data: the header's length is made to fit.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (header, rest) = gannet_fuzz::halves(data);
    let mut bytes = (header.len() as u64 + 1).to_le_bytes().to_vec();
    bytes.push(b'{');
    bytes.extend([header, rest].concat());
    gannet_fuzz::read(&bytes);
});
