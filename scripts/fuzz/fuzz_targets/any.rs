#![no_main]
//! Any file: whatever container its first bytes name.

use gannet_fuzz::support;
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        let endings = [".pt", ".npy", ".npz", ".pkl"];
        let references = endings.into_iter().flat_map(support::references);
        gannet_fuzz::seeds(references.chain(support::mutants::seeds().into_iter().map(|(_, b)| b)));
    },
    |data: &[u8]| gannet_fuzz::read(data)
);
