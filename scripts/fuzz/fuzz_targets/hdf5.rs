#![no_main]
//! HDF5 files: the signature is given, so that the fuzzer spends its time on structure.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| gannet_fuzz::read(&gannet_fuzz::behind(b"\x89HDF\r\n\x1a\n", data)));
