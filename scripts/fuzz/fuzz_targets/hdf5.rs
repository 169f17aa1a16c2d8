#![no_main]
//! HDF5 files: the signature is given, so that the fuzzer spends its time on structure.

use gannet_fuzz::{after, behind, support};
use libfuzzer_sys::fuzz_target;

const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

fuzz_target!(
    init: {
        let files = support::references(".h5");
        gannet_fuzz::seeds(files.iter().filter_map(|f| after(MAGIC, f)));
    },
    |data: &[u8]| gannet_fuzz::read(&behind(MAGIC, data))
);
