#![no_main]
//! Any file: whatever container its first bytes name.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    gannet_fuzz::read(data);
});
