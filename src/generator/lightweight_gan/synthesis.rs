//! The network: a first map from z, blocks that double it, the picture.

use super::config::{BlockPlan, Config, EXCITED, FIRST, refuse};
use super::excite::Excite;
use crate::error::Result;
use crate::generator::layers::{
    ChannelNorm, GatedConv, GatedParts, GatedStem, LinearAttention, Norm, Reader, Spectral, blur,
    last_point, swish, unit_length,
};
use crate::generator::{Feature, Tap, Tapped};
use crate::tensor::{Activation, Filter, bias_act, conv2d, scale, up2};
use candle_core::Tensor;
use std::collections::BTreeMap;

/// A block; see [`BlockPlan`].
struct Block {
    attention: Option<(ChannelNorm, LinearAttention)>,
    /// Weight and bias of the convolution that makes four pixels of each.
    shuffle: Option<(Tensor, Tensor)>,
    blurs: bool,
    /// Whether the convolution doubles by itself.
    fused: bool,
    conv: GatedConv,
    excite: Option<Excite>,
}

impl Block {
    fn read(r: &mut Reader<'_>, plan: &BlockPlan, excited: usize) -> Result<Self> {
        let name = |part: &str| format!("{}.{part}", plan.name);
        let attention = if plan.attends {
            let norm = ChannelNorm::read(r, &name("2.norm"), plan.inputs)?;
            Some((norm, LinearAttention::read(r, &name("2.fn"), plan.inputs)?))
        } else {
            None
        };
        let shuffle = if plan.shuffles {
            let four = 4 * plan.doubled;
            let weight = r.parameter(&name("0.0.net.0.weight"), &[four, plan.inputs, 1, 1])?;
            Some((weight, r.parameter(&name("0.0.net.0.bias"), &[four])?))
        } else {
            None
        };
        if plan.blurs {
            let taps = r.buffer(&name("0.1.f"), &[3])?.to_vec1::<f32>()?;
            if taps != [1.0, 2.0, 1.0] {
                return Err(refuse(format!("the blur of `{}` is {taps:?}, not 1 2 1", plan.name)));
            }
        }
        let channels = 2 * plan.channels;
        let shape = [channels, plan.doubled, plan.kernel, plan.kernel];
        let module = name(&format!("0.{}", plan.conv));
        let weight = Spectral::read(r, &module, &shape, 0)?;
        let bias = Some(r.parameter(&format!("{module}.bias"), &[channels])?);
        let norm = Norm::read(r, &name(&format!("0.{}", plan.norm)), channels)?;
        let strength = plan.noisy.then(|| r.parameter(&name("0.3.weight"), &[1])).transpose()?;
        let fused = shuffle.is_none() && !plan.blurs && plan.kernel % 2 == 1;
        let conv = GatedConv::new(GatedParts { weight, bias, norm, strength }, fused)?;
        let sizes = [plan.channels, excited, plan.side];
        let excite = plan.excites.map(|how| Excite::read(r, &name("1"), how, sizes)).transpose()?;
        Ok(Self { attention, shuffle, blurs: plan.blurs, fused, conv, excite })
    }

    /// The map of the block: x `[N, I, H, W]`, a noise map `[N or 1, 1, 2H, 2W]`.
    fn forward(&self, x: &Tensor, map: Option<&Tensor>) -> Result<Tensor> {
        let mut x = x.clone();
        if let Some((norm, attention)) = &self.attention {
            x = (attention.forward(&norm.forward(&x)?)? + x)?;
        }
        match &self.shuffle {
            Some((weight, bias)) => {
                let four = bias_act(&conv2d(&x, weight, 1, 0)?, bias, Activation::LINEAR)?;
                x = shuffled(&swish(&four)?)?;
            }
            None if !self.fused => x = up2(&x, &Filter::new(&[1.0, 1.0])?)?,
            None => {}
        }
        if self.blurs {
            x = blur(&x)?;
        }
        self.conv.forward(&x, None, map)
    }
}

/// Four channels become the four pixels of one (pixel shuffle, Shi et al. 2016): `[N, 4C, H, W]` →
/// `[N, C, 2H, 2W]`.
fn shuffled(x: &Tensor) -> Result<Tensor> {
    let (n, four, h, w) = x.dims4()?;
    let c = four / 4;
    let apart = x.reshape((n, c, 2, 2, h, w))?.permute((0, 1, 4, 2, 5, 3))?;
    Ok(apart.contiguous()?.reshape((n, c, 2 * h, 2 * w))?)
}

/// The network.
pub(super) struct Synthesis {
    stem: GatedStem,
    blocks: Vec<Block>,
    picture: (Tensor, Tensor),
}

impl Synthesis {
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        let channels = 2 * c.first;
        let stem = GatedParts {
            weight: Spectral::read(r, "initial_conv.0", &[c.z_dim, channels, FIRST, FIRST], 1)?,
            bias: Some(r.parameter("initial_conv.0.bias", &[channels])?),
            norm: Norm::read(r, "initial_conv.1", channels)?,
            strength: None,
        };
        let stem = GatedStem::new(stem)?;
        let mut blocks = Vec::new();
        for (i, plan) in c.blocks.iter().enumerate() {
            let excited = c.blocks.get(i + EXCITED).map_or(0, |b| b.channels);
            blocks.push(Block::read(r, plan, excited)?);
        }
        let last = c.blocks.last().map_or(0, |b| b.channels);
        let kernel = r.shape("out_conv.weight")?.last().copied().unwrap_or(1);
        let weight = r.parameter("out_conv.weight", &[c.img_channels, last, kernel, kernel])?;
        let picture = (weight, r.parameter("out_conv.bias", &[c.img_channels])?);
        Ok(Self { stem, blocks, picture })
    }

    /// Runs from z `[N, z_dim]`, or from a feature, to the requested points. Point 0 is the first
    /// map, point `i + 1` the map of block `i` before its channels are multiplied.
    pub(super) fn tapped(
        &self,
        z: &Tensor,
        maps: Vec<Option<Tensor>>,
        (from, taps): (Option<&Feature>, &[Tap]),
    ) -> Result<Tapped> {
        let mut tapped = Tapped::default();
        let last = last_point(taps, self.blocks.len());
        let start = from.map_or(0, |f| f.layer);
        // Below a start, only the maps whose factors are still needed are computed.
        let needed = (1..start).rev().find(|&p| {
            let target = p + EXCITED;
            self.blocks[p - 1].excite.is_some() && target >= start && target <= last.max(start)
        });
        let mut factors: BTreeMap<usize, Tensor> = BTreeMap::new();
        let mut maps = maps.into_iter();
        let mut x: Option<Tensor> = None;
        for p in 0..=last {
            let block = p.checked_sub(1).map(|i| &self.blocks[i]);
            let noise = block.filter(|b| b.conv.noisy()).and_then(|_| maps.next().flatten());
            let map = match (from, &x, block) {
                (Some(f), ..) if f.layer == p => f.map.clone(),
                (Some(f), ..) if p < f.layer && needed.is_none_or(|n| p > n) => continue,
                (_, Some(x), Some(block)) => block.forward(x, noise.as_ref())?,
                _ => unit_length(&self.stem.forward(z)?)?,
            };
            if taps.contains(&Tap::Layer(p)) && p >= start {
                tapped.features.push(Feature {
                    layer: p,
                    map: map.clone(),
                    picture: None,
                    passed: false,
                });
            }
            if let Some(excite) = block.and_then(|b| b.excite.as_ref())
                && p + EXCITED <= last
            {
                factors.insert(p + EXCITED, excite.forward(&map)?);
            }
            x = Some(match factors.remove(&p) {
                Some(factors) => scale(&map, &factors)?,
                None => map,
            });
        }
        if let Some(x) = x.filter(|_| taps.contains(&Tap::Picture)) {
            tapped.picture = Some(self.picture(&x)?);
        }
        Ok(tapped)
    }

    /// The picture: the code's range [0, 1] as [-1, 1].
    fn picture(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = &self.picture;
        let y = bias_act(&conv2d(x, weight, 1, weight.dim(2)? / 2)?, bias, Activation::LINEAR)?;
        Ok(y.affine(2.0, -1.0)?)
    }
}
