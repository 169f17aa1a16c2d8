#![no_main]
//! The JSON configuration that lies beside a checkpoint.

use gannet::limits::LIMITS;
use gannet::weights;
use gannet_fuzz::support;
use libfuzzer_sys::fuzz_target;

const ARRAY: &[u8] =
    b"\x93NUMPY\x01\x00\x37\x00{'descr': '<f4', 'fortran_order': False, 'shape': (), }\0\0\0\0";

fuzz_target!(
    init: {
        let beside = support::mutants::beside().into_iter().map(|(_, b)| b);
        let small = beside.filter(|b| b.len() < 4000);
        gannet_fuzz::seeds(support::references(".json").into_iter().chain(small));
    },
    |data: &[u8]| {
        let folder = gannet_fuzz::folder();
        let array = folder.join("f.npy");
        if !array.exists() {
            std::fs::write(&array, ARRAY).unwrap();
        }
        std::fs::write(folder.join("f.json"), data).unwrap();
        let opened = weights::open(&array, &LIMITS).unwrap();
        let notes = opened.notes.iter();
        assert!(notes.clone().all(|n| n.chars().all(gannet::safe::is_safe)), "{:?}", opened.notes);
    }
);
