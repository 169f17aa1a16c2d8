#![no_main]
//! An array of Python objects: the pickle behind a NumPy header.

use gannet_fuzz::support::{files, mutants, pickles};
use libfuzzer_sys::fuzz_target;

const DICT: &str = "{'descr': '|O', 'fortran_order': False, 'shape': (), }";

fuzz_target!(
    init: {
        let head = files::npy(DICT, b"\x80\x04");
        let objects = gannet_fuzz::after(&head, &mutants::objects());
        let numbers = pickles::ndarray("f4", "<", &[1], pickles::bytes(&[0; 4]));
        let bodies = gannet_fuzz::pickle_bodies();
        gannet_fuzz::seeds(objects.into_iter().chain([numbers]).chain(bodies));
    },
    |data: &[u8]| gannet_fuzz::read(&files::npy(DICT, &gannet_fuzz::behind(b"\x80\x04", data)))
);
