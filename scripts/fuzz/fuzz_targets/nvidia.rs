#![no_main]
//! A pickle of persistent objects: the description of one is the input.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    const HEAD: &[u8] = b"\x80\x04\x8c\x17torch_utils.persistence\x8c\x1b_reconstruct_persistent_obj\x93";
    gannet_fuzz::read(&[HEAD, data, b"\x85R."].concat());
});
