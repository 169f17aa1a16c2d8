//! LPIPS with the networks and heads that its authors published, from files of the user (Zhang et
//! al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric").

use super::Metric;
use crate::error::{Error, Kind, Result};
use crate::limits::LIMITS;
use crate::network::{Backbone, SMALLEST, resize_to};
use crate::weights::{self, Weights};
use candle_core::{DType, Device, Tensor};
use std::path::Path;

/// Mean and deviation of the channels, as LPIPS standardises pictures in [-1, 1].
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];
/// Largest side that is compared: larger pictures are averaged down to it, as papers of inversion
/// do.
const LARGEST: usize = 256;
/// Keeps the length of a zero vector above zero.
const EPS: f64 = 1e-10;

/// The distance of pictures in the layers of VGG16, AlexNet or SqueezeNet 1.1.
pub struct Lpips {
    backbone: Backbone,
    /// Weights of the channels of every tap, `[1, C, 1]`.
    heads: Vec<Tensor>,
    shift: Tensor,
    scale: Tensor,
    fingerprint: String,
}

impl Lpips {
    /// Reads a network and its heads from files of any container. One file may hold both.
    ///
    /// # Errors
    /// When a file cannot be read, or is not what it should be.
    pub fn open(network: &Path, heads: Option<&Path>, device: &Device) -> Result<Self> {
        let mut network = weights::open(network, &LIMITS)?.weights;
        match heads {
            None => Self::take(&mut network, None, device),
            Some(path) => {
                Self::take(&mut network, Some(&mut weights::open(path, &LIMITS)?.weights), device)
            }
        }
    }

    /// Takes a network and its heads; without other heads those in the file of the network.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn take(
        network: &mut Weights,
        heads: Option<&mut Weights>,
        device: &Device,
    ) -> Result<Self> {
        let mut fingerprint = network.fingerprint()?;
        if let Some(heads) = &heads {
            fingerprint.push_str(&heads.fingerprint()?);
        }
        let backbone = Backbone::take(network, device)?;
        let heads = match heads {
            Some(heads) => Self::heads(heads, &backbone, device)?,
            None => Self::heads(network, &backbone, device)?,
        };
        let channel = |v: [f32; 3]| -> Result<Tensor> {
            Ok(Tensor::new(&v, &Device::Cpu)?.reshape((1, 3, 1, 1))?.to_device(device)?)
        };
        let (shift, scale) = (channel(SHIFT)?, channel(SCALE)?);
        Ok(Self { backbone, heads, shift, scale, fingerprint })
    }

    fn heads(file: &mut Weights, backbone: &Backbone, device: &Device) -> Result<Vec<Tensor>> {
        let one = |(k, channels): (usize, usize)| {
            let names = [format!("lin{k}.model.1.weight"), format!("lins.{k}.model.1.weight")];
            let Some(name) = names.iter().find(|n| file.has(n)) else {
                let text = format!("{} has no head `lin{k}.model.1.weight`", file.file());
                let (network, count) = (backbone.name(), backbone.channels().len());
                return Err(Error::new(Kind::Format, text)
                    .note(format!("LPIPS of {network} has {count} heads"))
                    .hint(
                        "give the file of the heads as `lpips_heads`: vgg.pth, alex.pth or \
                         squeeze.pth of the package lpips",
                    ));
            };
            let head = file
                .take(name, &[1, channels, 1, 1])
                .map_err(|e| e.note(format!("these are not the heads of {}", backbone.name())))?;
            Ok(head.to_device(device)?.reshape((1, channels, 1))?)
        };
        backbone.channels().into_iter().enumerate().map(one).collect()
    }

    /// A hash over all weights.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The maps to compare, every place scaled to unit length over the channels.
    ///
    /// # Shapes
    /// `[N, 3, H, W]` in [-1, 1] → one `[N, C_i, H_i · W_i]` a tap, with gradients.
    ///
    /// # Errors
    /// For pictures without three channels, or below 32 pixels a side.
    pub fn taps(&self, pictures: &Tensor) -> Result<Vec<Tensor>> {
        let (_, c, h, w) = pictures.dims4()?;
        Self::check([c, h, w])?;
        let seen = resize_to(pictures, h.min(LARGEST), w.min(LARGEST))?;
        let seen = seen.broadcast_sub(&self.shift)?.broadcast_div(&self.scale)?;
        let unit = |map: &Tensor| -> Result<Tensor> {
            let map = map.flatten_from(2)?;
            let length = ((map.sqr()?.sum_keepdim(1)? + EPS * EPS)?.sqrt()? + EPS)?;
            Ok(map.broadcast_div(&length)?)
        };
        self.backbone.taps(&seen)?.iter().map(unit).collect()
    }

    /// Refuses pictures that the networks do not read.
    ///
    /// # Errors
    /// For pictures without three channels, or below 32 pixels a side.
    pub fn check([c, h, w]: [usize; 3]) -> Result<()> {
        if c == 3 && h.min(w) >= SMALLEST {
            return Ok(());
        }
        let text = format!(
            "LPIPS reads pictures of 3 channels from {SMALLEST}×{SMALLEST} on, not {w}×{h}×{c}"
        );
        Err(Error::runtime(text).hint("use lpips: 0 with another term, such as perceptual or l2"))
    }

    /// The distance to taps that are known: for every tap the squared difference weighed over the
    /// channels, mean over space; then the sum over the taps.
    ///
    /// # Shapes
    /// `[N, 3, H, W]` and the taps of as many pictures → `[N]`, with gradients.
    ///
    /// # Errors
    /// As [`Self::taps`], and when the sizes differ.
    pub fn to(&self, pictures: &Tensor, target: &[Tensor]) -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for ((own, other), head) in self.taps(pictures)?.iter().zip(target).zip(&self.heads) {
            let part = (own - other)?.sqr()?.broadcast_mul(head)?.sum(1)?.mean(1)?;
            sum = Some(match sum {
                Some(s) => (s + part)?,
                None => part,
            });
        }
        sum.ok_or_else(|| Error::runtime("LPIPS has nothing to compare"))
    }
}

impl Metric for Lpips {
    fn name(&self) -> &'static str {
        "lpips"
    }
    fn definition(&self) -> String {
        format!(
            "LPIPS (Zhang 2018) 0.1 with {}, from the user's files ({}), pictures larger than \
             {LARGEST} pixels averaged down to it",
            self.backbone.name(),
            self.fingerprint.get(..12).unwrap_or_default()
        )
    }
    fn measure(&self, a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
        super::planes::pair(a, b)?;
        Ok(self.to(a, &self.taps(b)?)?.to_dtype(DType::F64)?.to_vec1()?)
    }
}

#[cfg(test)]
#[path = "lpips_tests.rs"]
mod tests;
