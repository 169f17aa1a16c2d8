//! From a checkpoint to a generator: the family decides who reads it.

use super::Generator;
use super::stylegan2::{Given, Source, StyleGan2};
use crate::error::{Error, Result};
use crate::safe::Safe;
use crate::weights::{Checkpoint, Weights, fingerprint};
use candle_core::{Device, Tensor};
use std::sync::Arc;

/// Families that can be synthesised.
pub const FAMILIES: [&str; 1] = ["stylegan2"];

/// Tensors of a file, moved to a device as they are taken.
struct OnDevice<'a> {
    weights: Weights,
    device: &'a Device,
}

impl Source for OnDevice<'_> {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.weights.shape(name).map(<[usize]>::to_vec)
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        Ok(Tensor::from_vec(self.weights.take(name, shape)?.into_f32(), shape, self.device)?)
    }
}

/// Builds the generator of a checkpoint.
///
/// # Errors
/// When the family is unknown or not synthesised yet, the settings do not fit the tensors, or a tensor is missing or left.
pub fn load(file: Checkpoint, device: &Device) -> Result<Arc<dyn Generator>> {
    let known = || format!("gannet synthesises {}", FAMILIES.join(", "));
    match file.family.as_deref() {
        Some("stylegan2") => {}
        Some(other) => {
            let text = format!("{}: the family {} is read but not synthesised", file.file, Safe(other));
            return Err(Error::runtime(text).hint(known()));
        }
        None => {
            return Err(Error::runtime(format!("{}: this is no known generator", file.file)).hint(known()));
        }
    }
    let given = Given::parse(&file.config)?;
    let fingerprint = fingerprint(&file.tensors);
    let mut source = OnDevice { weights: file.into_weights(), device };
    let generator = StyleGan2::new(&mut source, &given, &fingerprint, device)?;
    source.weights.finish()?;
    Ok(Arc::new(generator))
}
