//! Numbers by a formula that `scripts/reference` has too: weights of no one, and nothing to store.

use crate::weights::Weights;
use candle_core::{Device, Tensor};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// The number `i` of tensor `k`, in [-1, 1).
fn hashed(i: u32, k: u32) -> f32 {
    let mut h = i.wrapping_add(k.wrapping_mul(7_654_321)).wrapping_mul(2_654_435_761);
    h ^= h >> 16;
    h = h.wrapping_mul(2_246_822_519);
    h ^= h >> 13;
    (h >> 8) as f32 / 8_388_608.0 - 1.0
}

/// The tensor `k`, in `[-scale, scale)`.
pub(crate) fn filled(shape: &[usize], k: u32, scale: f64) -> Tensor {
    shifted(shape, k, (0.0, scale))
}

/// The tensor `k` around another number than 0.
fn shifted(shape: &[usize], k: u32, (middle, scale): (f64, f64)) -> Tensor {
    let n = shape.iter().product::<usize>() as u32;
    let one = |i| (middle + f64::from(hashed(i, k)) * scale) as f32;
    Tensor::from_vec((0..n).map(one).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
}

/// Middle and spread of a trained network's tensor of that name and shape.
fn spread(name: &str, shape: &[usize]) -> (f64, f64) {
    let fan: usize = shape.iter().skip(1).product();
    match name.rsplit('.').next() {
        Some("running_var") => (1.0, 0.5),
        Some("running_mean" | "bias" | "latent_avg") => (0.0, 0.2),
        _ if shape.len() == 1 => (0.6, 0.4),
        _ if name.ends_with("linear.weight") || name.ends_with(".fc.weight") => (0.0, 1.0),
        _ => (0.0, (3.0 / fan as f64).sqrt()),
    }
}

/// A case of a folder of `tests/reference`: its metadata and its tensors.
pub(crate) struct Case {
    path: PathBuf,
    tensors: HashMap<String, Tensor>,
}

impl Case {
    /// Reads the case `name` of a folder.
    pub(crate) fn open(folder: &str, name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(folder);
        let path = root.join(format!("{name}.safetensors"));
        let tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
        Self { path, tensors }
    }

    /// Metadata of that name.
    pub(crate) fn said(&self, name: &str) -> Json {
        let bytes = std::fs::read(&self.path).unwrap();
        let (_, all) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let text = all.metadata().as_ref().and_then(|m| m.get(name)).unwrap().clone();
        serde_json::from_str(&text).unwrap()
    }

    /// The tensor of that name.
    pub(crate) fn tensor(&self, name: &str) -> &Tensor {
        &self.tensors[name]
    }

    /// The tensors of the network: those that `state` lists, each by the formula, the k-th of the
    /// sorted names as tensor k.
    pub(crate) fn state(&self) -> BTreeMap<String, Tensor> {
        let state = self.said("state");
        let shapes: BTreeMap<String, Vec<usize>> = serde_json::from_value(state).unwrap();
        let one = |(k, (name, shape)): (usize, (String, Vec<usize>))| {
            let tensor = shifted(&shape, k as u32, spread(&name, &shape));
            (name, tensor)
        };
        shapes.into_iter().enumerate().map(one).collect()
    }

    /// The same as an open file.
    pub(crate) fn weights(&self) -> Weights {
        Weights::of_tensors("case.pt", self.state())
    }
}

/// Largest difference of two tensors, relative to the largest number of the second.
pub(crate) fn apart(a: &Tensor, b: &Tensor) -> f64 {
    let largest = |t: &Tensor| {
        let all = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        all.iter().fold(0.0, |most: f64, v| most.max(f64::from(v.abs())))
    };
    assert_eq!(a.dims(), b.dims());
    largest(&(a - b).unwrap()) / largest(b)
}
