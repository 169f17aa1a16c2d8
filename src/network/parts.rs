//! A head on the maps of a trunk that says which part of a face every pixel shows, and where five
//! points of it are.
//!
//! DatasetGAN (Zhang et al. 2021) reads segments and points off a generator's maps in the same way.

use super::layers::{Conv, Taker, leaky};
use super::resize::resize_to;
use super::trunk::Trunk;
use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use crate::tensor::{Activation, bias_act};
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use candle_nn::ops::softmax;

/// The settings of such a head.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PartsConfig {
    /// The convolutions whose maps it reads; the first one's side is that of its result.
    pub taps: Vec<usize>,
    /// What a pixel can show.
    pub classes: Vec<String>,
    /// Whether it also finds five points: the eyes, the nose, the corners of the mouth.
    #[serde(default)]
    pub points: bool,
}

/// How many points it finds.
const POINTS: usize = 5;

/// The head: every map is brought to one width, enlarged to the side of the first, and added; two
/// convolutions follow.
pub struct PartsHead {
    taps: Vec<(usize, Conv)>,
    bias: Tensor,
    mix: Conv,
    out: Conv,
    activation: Activation,
    classes: usize,
}

impl PartsHead {
    /// Takes `parts.tap{i}.weight [W, C, 1, 1]` and their common `parts.bias [W]`;
    /// `parts.mix.weight [W, W, 3, 3]` and `parts.out.weight [classes, W, 1, 1]`, each with its
    /// bias; the last has five more outputs where it finds points. `leaky` is the slope of its
    /// activations below zero.
    ///
    /// # Errors
    /// When the trunk has no such map, or a tensor is missing or does not fit.
    pub fn take(
        weights: &mut Weights,
        config: &PartsConfig,
        (trunk, leaky_slope): (&Trunk, f64),
        device: &Device,
    ) -> Result<Self> {
        let file = weights.file().to_owned();
        let mut all = Taker::new(weights, device);
        let mut taker = all.below("parts.");
        let mut taps = Vec::with_capacity(config.taps.len());
        for (i, &at) in config.taps.iter().enumerate() {
            let missing =
                || bad(&file, &format!("its parts read a map {at} that it does not have"));
            let channels = trunk.channels_of(at).ok_or_else(missing)?;
            taps.push((at, taker.bare_conv(&format!("tap{i}"), channels, [1, 1, 0])?));
        }
        let width = taps.first().map(|(_, conv)| conv.outputs());
        let width = width.ok_or_else(|| bad(&file, "its parts read no map"))?;
        if taps.iter().any(|(_, conv)| conv.outputs() != width) {
            return Err(bad(&file, "its parts are read at several widths"));
        }
        let bias = taker.take("bias", &[width])?;
        let mix = taker.conv("mix", width, [3, 1, 1])?;
        let out = taker.conv("out", mix.outputs(), [1, 1, 0])?;
        let classes = config.classes.len();
        let told = if config.points { classes + POINTS } else { classes };
        if out.outputs() != told {
            let text = format!("its parts have {} outputs, {told} are named", out.outputs());
            return Err(bad(&file, &text));
        }
        Ok(Self { taps, bias, mix, out, activation: leaky(leaky_slope), classes })
    }

    /// How probably every place shows each class, with gradients.
    ///
    /// # Shapes
    /// the trunk's maps `[N, C_i, H_i, W_i]` → `[N, classes, H, W]` in [0, 1], the size of the
    /// first map that is read
    ///
    /// # Errors
    /// When a map is missing or has another size.
    pub fn shown(&self, maps: &[Tensor]) -> Result<Tensor> {
        Ok(softmax(&self.logits(maps)?.narrow(1, 0, self.classes)?, 1)?)
    }

    /// Where the points are, in shares of the sides: the mean place of a softmax over all places.
    /// `None` where it finds none.
    ///
    /// # Shapes
    /// the trunk's maps → `[N, 5, 2]`, x and y
    ///
    /// # Errors
    /// When a map is missing or has another size.
    pub fn points(&self, maps: &[Tensor]) -> Result<Option<Tensor>> {
        if self.out.outputs() == self.classes {
            return Ok(None);
        }
        let logits = self.logits(maps)?.narrow(1, self.classes, POINTS)?;
        let (n, k, h, w) = logits.dims4()?;
        let shares = softmax(&logits.flatten_from(2)?, 2)?.reshape((n, k, h, w))?;
        let line = |count: usize| -> Result<Tensor> {
            let at = (0..count).map(|i| (i as f32 + 0.5) / count as f32);
            Ok(Tensor::from_iter(at, logits.device())?)
        };
        let x = shares.sum(2)?.broadcast_mul(&line(w)?)?.sum(2)?;
        let y = shares.sum(3)?.broadcast_mul(&line(h)?)?.sum(2)?;
        Ok(Some(Tensor::stack(&[x, y], 2)?))
    }

    /// A number for every output at every place, with gradients.
    ///
    /// # Shapes
    /// the trunk's maps `[N, C_i, H_i, W_i]` → `[N, outputs, H, W]`
    fn logits(&self, maps: &[Tensor]) -> Result<Tensor> {
        let nothing = || Error::runtime("the trunk has no map there");
        let mut sum: Option<Tensor> = None;
        for (at, conv) in &self.taps {
            let own = conv.forward(maps.get(*at).ok_or_else(nothing)?, Activation::LINEAR)?;
            sum = Some(match sum {
                None => own,
                Some(sum) => {
                    let (_, _, h, w) = sum.dims4()?;
                    (sum + resize_to(&own, h, w)?)?
                }
            });
        }
        let x = bias_act(&sum.ok_or_else(nothing)?, &self.bias, self.activation)?;
        self.out.forward(&self.mix.forward(&x, self.activation)?, Activation::LINEAR)
    }
}

fn bad(file: &str, what: &str) -> Error {
    Error::new(Kind::Format, format!("{}: {what}", Safe(file)))
        .hint("use the unchanged file of the training script")
}
