//! What h5py and Keras wrote is read as they read it: the numbers of the reference files are in
//! `tests/parity_families.rs`; here are the parts of the format that Keras does not use.

use super::*;
use crate::limits::LIMITS;
use crate::weights::array::{Array, Data};
use std::path::Path;

fn reference(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/keras");
    std::fs::read(folder.join(name)).unwrap()
}

fn draft(bytes: &[u8]) -> Result<Draft> {
    read(&Source::bytes("f", bytes.to_vec()), &LIMITS)
}

fn array(draft: &Draft, name: &str) -> Array {
    draft.tensors.get(name).unwrap_or_else(|| panic!("{name}")).load(name).unwrap()
}

/// Value `i` of every array of the file: `(i·37 + 11) mod 101 − 50`.
fn wave(i: usize) -> f32 {
    ((i * 37 + 11) % 101) as f32 - 50.0
}

#[test]
fn every_way_to_store_numbers_is_read() {
    for name in ["layouts_v0.h5", "layouts_v3.h5"] {
        let found = draft(&reference(name)).unwrap();
        let expected: &[(&str, &[usize])] = &[
            ("plain", &[3, 5]),
            ("scalar", &[]),
            ("nothing", &[0, 4]),
            ("double", &[7]),
            ("half", &[7]),
            ("inner.big", &[4, 3]),
            ("inner.bytes", &[6]),
            ("inner.long", &[6]),
            ("inner.truth", &[3]),
        ];
        for (tensor, shape) in expected {
            let a = array(&found, tensor);
            assert_eq!(a.shape, *shape, "{name}: {tensor}");
            if *tensor == "inner.truth" {
                assert_eq!(a.data, Data::U8(vec![1, 0, 1]));
                continue;
            }
            let shift = if *tensor == "inner.bytes" { 50.0 } else { 0.0 };
            let want: Vec<f32> = (0..a.len()).map(|i| wave(i) + shift).collect();
            assert_eq!(a.to_f32(), want, "{name}: {tensor}");
        }
        assert!(found.notes.iter().any(|n| n.contains("`words`")), "{:?}", found.notes);
        assert!(found.notes.iter().any(|n| n.contains("links")), "{:?}", found.notes);
    }
}

#[test]
fn chunks_are_put_together() {
    let found = draft(&reference("layouts_v0.h5")).unwrap();
    for tensor in ["chunks", "packed", "shuffled", "checked"] {
        let a = array(&found, tensor);
        assert_eq!(a.shape, [7, 5, 4], "{tensor}");
        let want: Vec<f32> = (0..140).map(wave).collect();
        assert_eq!(a.to_f32(), want, "{tensor}");
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let refused = |name: &str| {
        let e = draft(&reference(name)).err().unwrap();
        assert!(e.repair().is_some(), "{e}");
        e.to_string()
    };
    assert!(refused("dense_links.h5").contains("fractal heap"));
    assert!(refused("lzf.h5").contains("filter 32000"));
    let whole = reference("layouts_v0.h5");
    assert!(draft(&whole[..whole.len() - 100]).err().unwrap().message().contains("it is cut"));
}

#[test]
fn what_keras_says_is_kept() {
    let found = draft(&reference("tutorial_whole.h5")).unwrap();
    let said = &found.config[KEY];
    assert_eq!(said["backend"], "tensorflow");
    assert_eq!(said["model"]["class_name"], "Sequential");
    assert_eq!(said["layers"][0], "dense");
    assert_eq!(found.provenance["keras_version"], said["keras_version"]);
}
