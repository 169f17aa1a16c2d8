//! Reference files of the StyleGAN families, and how far two tensors are apart.

use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One file of the reference: the model with its settings `G`, and what the official code gave.
pub struct Case<G> {
    pub name: String,
    pub given: G,
    pub weights: BTreeMap<String, Tensor>,
    pub numbers: BTreeMap<String, Tensor>,
    pub notes: serde_json::Value,
}

/// The folder of a family's reference files.
pub fn folder(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(family)
}

/// All files of a family, at least so many; `parse` reads a manifest's settings.
pub fn cases<G>(
    family: &str,
    least: usize,
    parse: fn(&serde_json::Value) -> gannet::error::Result<G>,
) -> Vec<Case<G>> {
    let entries = std::fs::read_dir(folder(family)).expect("tests/reference");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("entry").path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "safetensors"));
    paths.sort();
    assert!(paths.len() >= least, "only {} reference files", paths.len());
    paths.iter().map(|p| read(p, parse)).collect()
}

fn read<G>(path: &Path, parse: fn(&serde_json::Value) -> gannet::error::Result<G>) -> Case<G> {
    let bytes = std::fs::read(path).expect("readable");
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).expect("a safetensors file");
    let about = header.metadata().clone().expect("metadata");
    let json = |key: &str| serde_json::from_str::<serde_json::Value>(&about[key]).expect(key);
    let all = candle_core::safetensors::load(path, &Device::Cpu).expect("tensors");
    let (numbers, weights): (BTreeMap<_, _>, _) =
        all.into_iter().partition(|(k, _)| k.starts_with("ref."));
    Case {
        name: path.file_stem().expect("name").to_string_lossy().into_owned(),
        given: parse(&json("gannet")["config"]).expect("config"),
        weights: weights.into_iter().collect(),
        numbers,
        notes: json("reference"),
    }
}

impl<G> Case<G> {
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.numbers.get(&format!("ref.{name}"))
    }

    pub fn at(&self, name: &str) -> &Tensor {
        self.get(name).unwrap_or_else(|| panic!("{}: no ref.{name}", self.name))
    }
}

/// The values of a tensor.
pub fn flat(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect()
}

/// The most that two tensors of one shape differ.
pub fn worst(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    // Not `max`, which would drop a NaN.
    let apart = flat(a).into_iter().zip(flat(b)).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, |m, d| if d <= m { m } else { d })
}

/// The norm of the difference of two tensors over that of the second.
pub fn relative(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.elem_count(), b.elem_count());
    let (a, b) = (flat(a), flat(b));
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let difference: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
    norm(&difference) / norm(&b).max(1e-30)
}
