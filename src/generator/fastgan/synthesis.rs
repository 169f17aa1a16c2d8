//! The network: a first map from z, blocks that double it, the picture.

use super::config::{BlockPlan, Config, ConvPlan, EXCITED, FIRST};
use super::excite::Excite;
use crate::error::Result;
use crate::generator::layers::{
    Epsilon, GatedConv, GatedParts, GatedStem, Norm, Reader, Spectral, last_point, pixel_norm,
};
use crate::generator::{Feature, Tap, Tapped};
use crate::tensor::{Activation, bias_act, conv2d};
use candle_core::Tensor;
use std::collections::BTreeMap;

/// A block with its excitation.
struct Block {
    convs: Vec<GatedConv>,
    excite: Option<Excite>,
}

impl Block {
    fn read(r: &mut Reader<'_>, plan: &BlockPlan, read_by_excite: usize) -> Result<Self> {
        let mut strengths: BTreeMap<&str, Tensor> = BTreeMap::new();
        let mut convs = Vec::new();
        for (i, conv) in plan.convs.iter().enumerate() {
            let strength = match conv.noise.as_deref() {
                Some(name) => {
                    if !strengths.contains_key(name) {
                        strengths.insert(name, r.parameter(name, &[1])?);
                    }
                    strengths.get(name).cloned()
                }
                None => None,
            };
            convs.push(GatedConv::new(parts(r, conv, strength)?, i == 0)?);
        }
        let name = format!("se_{}", plan.side);
        let sizes = [read_by_excite, plan.channels];
        let excite = plan.excited.then(|| Excite::read(r, &name, sizes)).transpose()?;
        Ok(Self { convs, excite })
    }
}

/// Reads a convolution. Two may share one strength of noise, so that is read before.
fn parts(r: &mut Reader<'_>, plan: &ConvPlan, strength: Option<Tensor>) -> Result<GatedParts> {
    let kernel = Spectral::shape(r, &plan.weight)?.last().copied().unwrap_or(1);
    let channels = 2 * plan.outputs;
    let weight = Spectral::read(r, &plan.weight, &[channels, plan.inputs, kernel, kernel], 0)?;
    let norm = match plan.by_class {
        true => Norm::of_class(r, &plan.norm, channels)?,
        false => Norm::read(r, &plan.norm, channels)?,
    };
    Ok(GatedParts { weight, bias: None, norm, strength })
}

/// What a run reads besides z.
pub(super) struct Inputs<'a> {
    /// Rows of the table of classes, `[N, z_dim]`.
    pub(super) class: Option<Tensor>,
    /// One noise map, or none, for each noisy convolution.
    pub(super) maps: Vec<Option<Tensor>>,
    /// A feature that replaces the map of its layer.
    pub(super) from: Option<&'a Feature>,
    /// The requested points.
    pub(super) taps: &'a [Tap],
}

/// The network.
pub(super) struct Synthesis {
    stem: GatedStem,
    blocks: Vec<Block>,
    picture: Spectral,
    picture_bias: Option<Tensor>,
    /// The weight of the picture, if it is not searched.
    ready: Option<Tensor>,
    normalize_z: bool,
    tanh: bool,
}

impl Synthesis {
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        let stem = GatedParts {
            weight: Spectral::read(r, "init.init.0", &[c.z_dim, 2 * c.first, FIRST, FIRST], 1)?,
            bias: None,
            norm: Norm::read(r, "init.init.1", 2 * c.first)?,
            strength: None,
        };
        let stem = GatedStem::new(stem)?;
        let mut channels = vec![c.first];
        channels.extend(c.blocks.iter().map(|b| b.channels));
        let mut blocks = Vec::new();
        for (i, plan) in c.blocks.iter().enumerate() {
            // Level i + 1 is excited by the level of a sixteenth of its side.
            let small = (i + 1).checked_sub(EXCITED).map_or(0, |level| channels[level]);
            blocks.push(Block::read(r, plan, small)?);
        }
        let last = channels.last().copied().unwrap_or(0);
        let kernel = Spectral::shape(r, "to_big")?.last().copied().unwrap_or(1);
        let picture = Spectral::read(r, "to_big", &[c.img_channels, last, kernel, kernel], 0)?;
        let picture_bias = r.optional("to_big.bias", &[c.img_channels])?;
        let ready = if picture.searched() { None } else { Some(picture.tensor()?.detach()) };
        let (normalize_z, tanh) = (c.normalize_z, c.tanh);
        Ok(Self { stem, blocks, picture, picture_bias, ready, normalize_z, tanh })
    }

    /// Runs from z `[N, z_dim]` to the requested points.
    pub(super) fn tapped(&self, z: &Tensor, inputs: &Inputs<'_>) -> Result<Tapped> {
        let mut tapped = Tapped::default();
        let start = inputs.from.map(|f| f.layer);
        let last = last_point(inputs.taps, self.blocks.len());
        // Below a start, only the levels that a later excitation reads are computed.
        let needed = start.map_or(Some(0), |start| {
            let reads = |level: usize| {
                let small = level.checked_sub(EXCITED)?;
                self.blocks[level - 1].excite.as_ref().map(|_| small)
            };
            (start + 1..=last).filter_map(reads).filter(|small| *small < start).max()
        });
        let mut levels: Vec<Option<Tensor>> = Vec::new();
        let mut maps = inputs.maps.iter();
        for level in 0..=self.blocks.len() {
            let block = level.checked_sub(1).map(|i| &self.blocks[i]);
            let noisy = block.map_or(0, |b| b.convs.iter().filter(|c| c.noisy()).count());
            let own: Vec<Option<&Tensor>> = maps.by_ref().take(noisy).map(Option::as_ref).collect();
            let map = match inputs.from {
                Some(feature) if feature.layer == level => Some(feature.map.clone()),
                Some(feature) if level < feature.layer && needed.is_none_or(|n| level > n) => None,
                _ => Some(self.level(z, block, &levels, &own, inputs)?),
            };
            if let Some(map) = &map
                && inputs.taps.contains(&Tap::Layer(level))
                && start.is_none_or(|start| level >= start)
            {
                let feature =
                    Feature { layer: level, map: map.clone(), picture: None, passed: false };
                tapped.features.push(feature);
            }
            levels.push(map);
            if level >= last {
                break;
            }
        }
        if inputs.taps.contains(&Tap::Picture)
            && let Some(Some(map)) = levels.last()
        {
            tapped.picture = Some(self.picture(map)?);
        }
        Ok(tapped)
    }

    /// The map of a level from the one before it; the first one from z.
    fn level(
        &self,
        z: &Tensor,
        block: Option<&Block>,
        levels: &[Option<Tensor>],
        maps: &[Option<&Tensor>],
        inputs: &Inputs<'_>,
    ) -> Result<Tensor> {
        let (Some(block), Some(Some(before))) = (block, levels.last()) else {
            let z = if self.normalize_z { &pixel_norm(z, Epsilon::USUAL)? } else { z };
            return self.stem.forward(z);
        };
        let (mut x, mut maps) = (before.clone(), maps.iter());
        for conv in &block.convs {
            let map = if conv.noisy() { maps.next().copied().flatten() } else { None };
            x = conv.forward(&x, inputs.class.as_ref(), map)?;
        }
        match (&block.excite, levels.len().checked_sub(EXCITED).map(|i| &levels[i])) {
            (Some(excite), Some(Some(small))) => excite.forward(small, &x),
            _ => Ok(x),
        }
    }

    fn picture(&self, x: &Tensor) -> Result<Tensor> {
        let weight = match &self.ready {
            Some(ready) => ready.clone(),
            None => self.picture.tensor()?,
        };
        let mut y = conv2d(x, &weight, 1, weight.dim(2)? / 2)?;
        if let Some(bias) = &self.picture_bias {
            y = bias_act(&y, bias, Activation::LINEAR)?;
        }
        Ok(if self.tanh { y.tanh()? } else { y })
    }
}
