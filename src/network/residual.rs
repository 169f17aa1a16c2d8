//! The feature-residual branch: a network that looks at a picture and at what its code makes, and
//! says what to add to one feature map of the generator.
//!
//! After HFGI (Wang et al. 2022) and StyleFeatureEditor (Bobkov et al. 2024). Convolutions go down
//! to a coarse map and back up, each doubling beside the map of the way down. Its training compares
//! with true edits: what it adds stays in place when the code is edited.

use super::encoder::{fits, seen_pair};
use super::layers::{Conv, Taker, leaky};
use crate::error::{Error, Kind, Result};
use crate::latent::Part;
use crate::network::{Encoder, Move, Seen, Trunk};
use crate::safe::Safe;
use crate::space::Dims;
use crate::tensor::Activation;
use crate::weights::Weights;
use candle_core::{Device, Tensor};

/// The settings of a residual file.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ResidualConfig {
    /// Side of the pictures that it was trained on; others are resized.
    pub input_resolution: usize,
    /// Stride of every convolution of the way down.
    pub strides: Vec<usize>,
    /// Slope of the leaky ReLU below zero.
    pub leaky: f64,
    /// The layer whose map it changes, as in a generator's `Spec::layers`.
    pub layer: usize,
    /// Side of that map.
    pub side: usize,
    /// Sha256 of the file of the generator that it belongs to.
    pub generator_sha256: String,
}

/// A network that finds the residual of a feature map.
pub struct ResidualNet {
    name: String,
    config: ResidualConfig,
    down: Trunk,
    /// Each with the convolution of the way down whose map stands beside its input.
    up: Vec<(Conv, usize)>,
    out: Conv,
}

impl ResidualNet {
    /// Builds the network from its tensors: `conv{i}` as [`Trunk::take`] reads them, on twice the
    /// pictures' channels; `up{i}.weight` `[O, I + B, 3, 3]` and `up{i}.bias`, where `B` are the
    /// channels of the map beside; `out.weight` `[C, I, 3, 3]` and `out.bias`. `map` is the size of
    /// the layer's map in the generator, `[C, H, W]`; `None` where there is no such layer.
    ///
    /// # Errors
    /// When a tensor is missing, has another shape, or is left over, and when the network gives a
    /// map of another size than the generator's.
    pub fn new(
        name: &str,
        config: ResidualConfig,
        mut weights: Weights,
        map: Option<[usize; 3]>,
        device: &Device,
    ) -> Result<Self> {
        let down = Trunk::take(&mut weights, &config.strides, config.leaky, device)?;
        down.check_pair().map_err(|what| bad(name, &what))?;
        let shape = |at: usize| down.shape_of(at, config.input_resolution);
        let mut now = shape(config.strides.len() - 1).unwrap_or_default();
        let (mut taker, mut up) = (Taker::new(&mut weights, device), Vec::new());
        // The last map before every stride, from the coarsest on.
        let strided = config.strides.iter().enumerate().skip(1).filter(|(_, stride)| **stride > 1);
        for at in strided.map(|(i, _)| i - 1).rev() {
            let (name, beside) = (format!("up{}", up.len()), shape(at).unwrap_or_default());
            if !taker.has(&format!("{name}.weight")) {
                break;
            }
            let conv = taker.conv(&name, now.0 + beside.0, [3, 1, 1])?;
            now = (conv.outputs(), beside.1);
            up.push((conv, at));
        }
        let out = taker.conv("out", now.0, [3, 1, 1])?;
        weights.finish()?;
        let given = [out.outputs(), now.1, now.1];
        if now.1 != config.side || map != Some(given) {
            let has = map.map_or_else(|| "none".to_owned(), |own| format!("{own:?}"));
            let what = format!(
                "it changes a map of {given:?} at layer {}, the generator has {has} there",
                config.layer
            );
            return Err(bad(name, &what));
        }
        Ok(Self { name: name.into(), config, down, up, out })
    }

    /// What is to be added to the layer's map.
    ///
    /// # Shapes
    /// two of `[N, C, H, W]`, about [-1, 1] → `[N, C_map, S, S]`
    ///
    /// # Errors
    /// When the pictures have other channels than it reads.
    fn residual(&self, seen: &Seen<'_>) -> Result<Tensor> {
        let like = (self.down.inputs() / 2, self.config.input_resolution);
        let maps = self.down.maps(&seen_pair(seen, like)?)?;
        let activation = leaky(self.config.leaky);
        let nothing = || Error::runtime("the way down has no map there");
        let mut x = maps.last().ok_or_else(nothing)?.clone();
        for (conv, at) in &self.up {
            let beside = maps.get(*at).ok_or_else(nothing)?;
            let (_, _, h, w) = beside.dims4()?;
            let x_up = x.upsample_nearest2d(h, w)?;
            x = conv.forward(&Tensor::cat(&[&x_up, beside], 1)?, activation)?;
        }
        self.out.forward(&x, Activation::LINEAR)
    }
}

impl Encoder for ResidualNet {
    fn name(&self) -> &str {
        &self.name
    }

    fn passes(&self) -> usize {
        1
    }

    fn check(&self, model: &str, channels: usize, dims: &Dims) -> Result<()> {
        let sizes = |channels| [channels, dims.num_ws, dims.w_dim];
        fits(&self.name, sizes(self.down.inputs() / 2), (model, sizes(channels)))
    }

    fn pass(&self, _: &Seen<'_>) -> Result<Move> {
        Ok(Move::Stay)
    }

    /// The residual, with what the picture shows of one that is there already.
    fn beside(&self, seen: &Seen<'_>) -> Result<Vec<(Part, Tensor)>> {
        let (own, found) = (Part::Residual(self.config.layer), self.residual(seen)?);
        let whole = match seen.part(own) {
            Some(before) => before.broadcast_add(&found)?,
            None => found,
        };
        Ok(vec![(own, whole)])
    }
}

fn bad(name: &str, what: &str) -> Error {
    Error::new(Kind::Format, format!("{}: {what}", Safe(name)))
        .hint("use the unchanged file of scripts/train/train_residual.py for this generator")
}

#[cfg(test)]
#[path = "residual_tests.rs"]
pub(crate) mod tests;
