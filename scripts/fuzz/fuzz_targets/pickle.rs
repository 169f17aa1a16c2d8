#![no_main]
//! A plain pickle of protocol 4.

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: gannet_fuzz::seeds(gannet_fuzz::pickle_bodies()),
    |data: &[u8]| gannet_fuzz::read(&gannet_fuzz::behind(b"\x80\x04", data))
);
