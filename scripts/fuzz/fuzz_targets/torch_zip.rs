#![no_main]
//! A file of torch.save since 1.6: its pickle and one storage.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (pickle, storage) = gannet_fuzz::halves(data);
    let pickle = gannet_fuzz::behind(b"\x80\x02", pickle);
    gannet_fuzz::read(&gannet_fuzz::zip(&[("m/data.pkl", &pickle), ("m/data/0", storage)]));
});
