//! From a checkpoint to a generator: the family decides who reads it.

use super::stylegan2::{Given, SPACES, Source, StyleGan2};
use super::{Generator, Spec};
use crate::error::{Error, Result};
use crate::safe::Safe;
use crate::weights::remap::derived;
use crate::weights::{Checkpoint, Info, Weights, fingerprint};
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

/// What a checkpoint would become, from its settings and the shapes of its tensors alone, without fingerprint; `None` for a family that is not
/// synthesised.
///
/// # Errors
/// When settings and shapes contradict each other.
pub fn describe(file: &Info) -> Result<Option<Spec>> {
    if file.family.as_deref() != Some("stylegan2") {
        return Ok(None);
    }
    let c = Given::parse(&file.config)?.complete(&Shapes(file))?;
    let buffer = |name: &str| derived(name) || name.ends_with("noise_const") || name.ends_with("w_avg");
    let parameters = file.tensors.iter().filter(|(n, _)| !buffer(n)).map(|(_, s)| s.shape.iter().product::<usize>());
    Ok(Some(Spec {
        name: c.name,
        family: "stylegan2".into(),
        resolution: c.img_resolution,
        channels: c.img_channels,
        z_dim: c.z_dim,
        w_dim: c.w_dim,
        c_dim: c.c_dim,
        num_ws: c.num_ws,
        spaces: SPACES.to_vec(),
        parameters: parameters.sum(),
        noise_sizes: Vec::new(),
        fingerprint: String::new(),
    }))
}

/// Shapes without numbers: enough to describe a generator, not to build it.
struct Shapes<'a>(&'a Info);

impl Source for Shapes<'_> {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.0.tensors.get(name).map(|s| s.shape.clone())
    }

    fn take(&mut self, name: &str, _: &[usize]) -> Result<Tensor> {
        Err(Error::runtime(format!("the numbers of {} were not read", Safe(name))))
    }
}
