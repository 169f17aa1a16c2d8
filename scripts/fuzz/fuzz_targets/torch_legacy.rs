#![no_main]
//! A file of torch.save before 1.6: the object, the keys and the storages.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (object, rest) = gannet_fuzz::halves(data);
    let object = gannet_fuzz::behind(b"\x80\x02", object);
    gannet_fuzz::read(&gannet_fuzz::legacy(&object, rest));
});
