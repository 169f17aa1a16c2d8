#![no_main]
//! A file of torch.save since 1.6: its pickle and one storage.

use gannet_fuzz::support::pickles;
use gannet_fuzz::{behind, halves, joined, zip};
use libfuzzer_sys::fuzz_target;

/// A pickle of a tensor in the storage `0`.
fn tensor(kind: &str, shape: &[i128], strides: &[i128]) -> Vec<u8> {
    let count = shape.iter().product();
    let one = pickles::tensor(pickles::persistent_id(kind, "0", count), 0, shape, strides);
    pickles::dict(&one)[2..].to_vec()
}

fuzz_target!(
    init: gannet_fuzz::seeds([
        joined(&tensor("FloatStorage", &[2, 2], &[1, 2]), &[0; 16]),
        joined(&tensor("LongStorage", &[1], &[1]), &[0; 8]),
    ]),
    |data: &[u8]| {
        let (pickle, storage) = halves(data);
        let pickle = behind(b"\x80\x02", pickle);
        gannet_fuzz::read(&zip(&[("m/data.pkl", &pickle), ("m/data/0", storage)]));
    }
);
