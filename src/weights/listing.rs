//! Content of a file, without its numbers.

use super::array::DType;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Facts about a tensor that are known before its numbers are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The type of its elements in the file.
    pub dtype: DType,
    /// Sizes of its dimensions.
    pub shape: Vec<usize>,
}

/// Content of a file, without its numbers: enough to identify and to describe it.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Its tensors by name.
    pub tensors: BTreeMap<String, Shape>,
    /// Class names of the modules that a pickle describes, each once, the outermost first.
    pub classes: Vec<String>,
    /// Family named by the file's manifest: `stylegan2`, `encoder`, …; `None` without a manifest.
    pub family: Option<String>,
    /// The settings that it holds beside the tensors; null for none.
    pub config: Json,
}

impl Listing {
    /// Whether it holds a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|s| &s.shape[..])
    }

    /// Whether a module of that class is in it.
    pub fn has_class(&self, name: &str) -> bool {
        self.classes.iter().any(|c| c == name)
    }

    /// Number of tensors of each type, as `f16 ×2, f32 ×48`.
    pub fn dtypes(&self) -> String {
        let mut counts: BTreeMap<DType, usize> = BTreeMap::new();
        self.tensors.values().for_each(|t| *counts.entry(t.dtype).or_default() += 1);
        let parts: Vec<String> = counts.iter().map(|(d, n)| format!("{} ×{n}", d.name())).collect();
        parts.join(", ")
    }

    /// Number of values in all tensors.
    pub fn values(&self) -> u64 {
        let count = |s: &Shape| s.shape.iter().map(|&n| n as u64).product::<u64>();
        self.tensors.values().map(count).sum()
    }
}
