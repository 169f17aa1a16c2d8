#![no_main]
//! Files that are no models: what they are.

use gannet_fuzz::support;
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        let files = support::files::all().into_iter().map(|(_, bytes)| bytes);
        gannet_fuzz::seeds(files.filter(|bytes| bytes.len() < 400).step_by(3));
    },
    |data: &[u8]| {
        let path = gannet_fuzz::folder().join("f.bin");
        std::fs::write(&path, data).unwrap();
        let _ = gannet::weights::what_else(&path, &gannet::limits::LIMITS);
    }
);
