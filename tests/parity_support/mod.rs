//! Reference files of the StyleGAN families.

mod numbers;

use candle_core::{Device, Tensor};
pub use numbers::{flat, folder, relative, worst};
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
