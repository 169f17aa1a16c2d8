//! Every reader against files and numbers of other code (tests/reference): the same tensors, with
//! difference 0.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test"
)]

use gannet::generator::{self, registry};
use gannet::limits::LIMITS;
use gannet::weights::{self, Array};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(path)
}

fn json(path: &str) -> serde_json::Map<String, Json> {
    serde_json::from_slice(&std::fs::read(reference(path)).unwrap()).unwrap()
}

fn tensors(path: &Path) -> BTreeMap<String, Array> {
    weights::open(path, &LIMITS).and_then(|c| c.weights.arrays()).unwrap_or_else(|e| panic!("{e}"))
}

/// Checks names, shapes and values for equality.
fn assert_same(file: &str, got: &BTreeMap<String, Array>, want: &BTreeMap<String, Array>) {
    assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{file}");
    for (name, w) in want {
        let g = &got[name];
        assert_eq!((&g.shape, g.to_f64()), (&w.shape, w.to_f64()), "{file}: {name}");
    }
}

#[test]
fn nvidia_pickles_equal_the_official_state_dicts() {
    let index = json("pkl/index.json");
    assert!(index.len() >= 7);
    for (file, facts) in &index {
        let path = reference(&format!("pkl/{file}"));
        let got = weights::open(&path, &LIMITS).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            (got.format, registry::find(got.weights.list()).map(|place| place.family.name)),
            ("nvidia-pickle", Some("stylegan2")),
            "{file}"
        );
        assert_eq!(got.weights.list().tensors.len() as u64, facts["tensors"], "{file}");
        assert_same(file, &tensors(&path), &tensors(&path.with_extension("safetensors")));
        let module_src = got.provenance["module_src_sha256"].as_str().map(str::len);
        assert_eq!(module_src, Some(64));
        let config = registry::recognise(got).unwrap().config.settings;
        for (key, value) in facts["config"].as_object().unwrap() {
            let same = match (value.as_f64(), config[key].as_f64()) {
                (Some(a), Some(b)) => a == b,
                _ => *value == config[key],
            };
            assert!(same, "{file}: {key} is {value}, not {}", config[key]);
        }
    }
}

#[test]
fn conversion_keeps_the_fingerprint_and_records_where_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["p4_16_half.pkl", "p5_16_resnet_c5.pkl"] {
        let before = weights::open(&reference(&format!("pkl/{file}")), &LIMITS).unwrap();
        let bytes = generator::convert(before.clone()).unwrap();
        let twice = generator::convert(before.clone()).unwrap();
        assert_eq!(bytes, twice, "the same bytes every time");
        let path = folder.path().join("x.safetensors");
        std::fs::write(&path, bytes).unwrap();
        let after = weights::open(&path, &LIMITS).unwrap();
        assert_eq!(after.provenance["source"]["sha256"], before.sha256().unwrap());
        assert_eq!(after.provenance["source"]["format"], "nvidia-pickle");
        assert_eq!(after.family(), Some("stylegan2"));
        let [before, mut after] = [before, after].map(|c| registry::recognise(c).unwrap());
        let fingerprint = before.weights.fingerprint().unwrap();
        assert_eq!(after.weights.fingerprint().unwrap(), fingerprint);
        assert_eq!(after.config.settings, before.config.settings);
        after.weights.take_any("mapping.w_avg").unwrap();
        assert_ne!(after.weights.fingerprint().unwrap(), fingerprint);
    }
}

#[test]
fn torch_and_numpy_files_equal_their_makers_numbers() {
    let all = tensors(&reference("torch/expected.safetensors"));
    let expected = json("torch/expected.json");
    assert!(expected.len() >= 15);
    for (file, facts) in &expected {
        let path = reference(&format!("torch/{file}"));
        let got = weights::read_arrays(&path, &LIMITS).unwrap_or_else(|e| panic!("{e}"));
        let entries = facts["entries"].as_object().unwrap();
        assert_eq!(got.keys().collect::<Vec<_>>(), entries.keys().collect::<Vec<_>>(), "{file}");
        for (name, entry) in entries {
            let (g, w) = (&got[name], &all[entry["tensor"].as_str().unwrap()]);
            assert_eq!(g.shape, w.shape, "{file}: {name}");
            assert_eq!(g.to_f64(), w.to_f64(), "{file}: {name}");
            let short = entry["dtype"]
                .as_str()
                .unwrap()
                .replace("float", "f")
                .replace("uint", "u")
                .replace("int", "i");
            assert_eq!(g.dtype().name(), short, "{file}: {name}");
        }
    }
}

#[test]
fn settings_beside_the_tensors_are_kept() {
    for file in ["torch/checkpoint_zip.pt", "torch/checkpoint_legacy.pt"] {
        let got = weights::open(&reference(file), &LIMITS).unwrap();
        let opts = &got.config()["opts"];
        assert_eq!(opts["name"], "toy", "{file}");
        assert_eq!(opts["lr"], 0.5, "{file}");
        assert_eq!(opts["on"], true, "{file}");
    }
}

#[test]
fn strides_matter_for_published_directions() {
    let got = tensors(&reference("torch/pca_zip.pt"));
    let (comp, k) = (got["comp"].to_f64(), got["comp"].shape[0]);
    let dim = comp.len() / k;
    let dot =
        |i: usize, j: usize| (0..dim).map(|d| comp[i * dim + d] * comp[j * dim + d]).sum::<f64>();
    for i in 0..k {
        for j in 0..k {
            assert!((dot(i, j) - f64::from(u8::from(i == j))).abs() < 1e-5, "rows {i} and {j}");
        }
    }
}
