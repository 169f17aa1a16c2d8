//! Where a model's tensors come from.

use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use candle_core::{DType, Tensor};
use std::collections::BTreeMap;

/// Named tensors, each taken once: what is left over shows what a model did not understand.
pub trait Source {
    /// The shape of a tensor that has not been taken yet.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// Takes a tensor of that shape, in single precision.
    ///
    /// Errors when it is missing or has another shape.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor>;
}

/// Tensors in memory.
#[derive(Clone, Debug, Default)]
pub struct Tensors(pub BTreeMap<String, Tensor>);

impl Tensors {
    /// The names that nobody has taken.
    pub fn unused(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

impl Source for Tensors {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.0.get(name).map(|t| t.dims().to_vec())
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let found = self.0.get(name).ok_or_else(|| missing(name))?;
        if found.dims() != shape {
            let message =
                format!("tensor `{}` has shape {:?}, expected {shape:?}", Safe(name), found.dims());
            return Err(Error::new(Kind::Format, message)
                .hint("its configuration and its tensors do not belong together"));
        }
        let found = self.0.remove(name).ok_or_else(|| missing(name))?;
        // A variable must stay the tensor that it is, or its gradient would be lost.
        Ok(if found.dtype() == DType::F32 { found } else { found.to_dtype(DType::F32)? })
    }
}

fn missing(name: &str) -> Error {
    Error::new(Kind::Format, format!("tensor `{}` is missing", Safe(name)))
        .hint("the file is not whole, or not of this family: `gannet info` shows what it holds")
}
