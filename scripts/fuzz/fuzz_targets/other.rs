#![no_main]
//! Files that are no models: what they are.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join("f.bin");
    if std::fs::write(&path, data).is_ok() {
        let _ = gannet::weights::what_else(&path, &gannet::limits::LIMITS);
    }
});
