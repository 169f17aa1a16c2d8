#![no_main]
//! The JSON configuration that lies beside a checkpoint.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(folder) = tempfile::tempdir() else { return };
    let path = folder.path().join("f.npy");
    let array = b"\x93NUMPY\x01\x00\x36\x00{'descr': '<f4', 'fortran_order': False, 'shape': (), }\0\0\0\0";
    if std::fs::write(&path, array).is_ok()
        && std::fs::write(folder.path().join("f.json"), data).is_ok()
    {
        let _ = gannet::weights::open(&path, &gannet::limits::LIMITS).map(|c| c.notes.len());
    }
});
