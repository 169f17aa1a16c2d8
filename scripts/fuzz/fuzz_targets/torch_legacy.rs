#![no_main]
//! A file of torch.save before 1.6: the object, the keys and the storages.

use gannet_fuzz::support::{self, pickles};
use gannet_fuzz::{LEGACY, after};
use libfuzzer_sys::fuzz_target;

/// The files of the tests, and one made in code.
fn files() -> Vec<Vec<u8>> {
    let object = pickles::tensor(pickles::persistent_id("HalfStorage", "k", 2), 1, &[1], &[1]);
    let keys = pickles::pickle(&[b"](", &pickles::text("k")[..], b"e"].concat());
    let data = [&2u64.to_le_bytes()[..], &[0; 4]].concat();
    let made = [LEGACY, &pickles::pickle(&object), &keys, &data].concat();
    support::references("legacy.pt").into_iter().chain([made]).collect()
}

/// The file up to its object, as torch writes it.
fn head(file: &[u8]) -> Option<Vec<u8>> {
    // The third pickle says how long numbers are; what is in it is the same in all files.
    let ends = file.windows(3).position(|w| w == b"u.\x80")?;
    Some([LEGACY, &file[ends + 2..]].concat())
}

fuzz_target!(
    init: {
        let whole = |f: Vec<u8>| if f.starts_with(LEGACY) { Some(f) } else { head(&f) };
        let files = files().into_iter().filter_map(whole);
        gannet_fuzz::seeds(files.filter_map(|f| after(LEGACY, &f)));
    },
    |data: &[u8]| gannet_fuzz::read(&[LEGACY, data].concat())
);
