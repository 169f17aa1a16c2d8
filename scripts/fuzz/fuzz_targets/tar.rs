#![no_main]
//! A tar archive around a model: its size field and its content.

use gannet_fuzz::{halves, joined, support};
use libfuzzer_sys::fuzz_target;

/// The input that makes an archive of one file.
fn input(file: &[u8]) -> Vec<u8> {
    joined(format!("{:011o}", file.len()).as_bytes(), file)
}

fuzz_target!(
    init: {
        let names = ["torch/checkpoint_zip.pt", "torch/boundary_f8_1x64.npy"];
        gannet_fuzz::seeds(names.iter().map(|name| input(&support::reference(name))));
    },
    |data: &[u8]| {
        let (size, bytes) = halves(data);
        let mut field = *b"00000000000";
        field.iter_mut().zip(size).for_each(|(f, s)| *f = *s);
        gannet_fuzz::read(&gannet_fuzz::tar(&field, bytes));
    }
);
