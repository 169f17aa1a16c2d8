#![no_main]
//! An array of Python objects: the pickle behind a NumPy header.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    const DICT: &[u8] = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }";
    let len = (DICT.len() as u16).to_le_bytes();
    let head = [b"\x93NUMPY\x01\x00", &len[..], DICT, b"\x80\x04"].concat();
    gannet_fuzz::read(&gannet_fuzz::behind(&head, data));
});
