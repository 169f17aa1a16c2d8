//! The synthesis network: blocks of modulated convolutions, from a constant to the picture.

use super::config::{BlockPlan, Config, FIRST, refuse};
use super::mapping::LRELU;
use crate::error::Result;
use crate::generator::layers::{ChannelNorm, LinearAttention, Reader, bilinear2, blur, last_point};
use crate::generator::{Feature, Tap, Tapped};
use crate::tensor::{Activation, Weight, bias_act, conv2d, linear, modulated_conv};
use candle_core::Tensor;

/// A fully connected layer.
struct Affine {
    weight: Tensor,
    bias: Tensor,
}

impl Affine {
    fn read(r: &mut Reader<'_>, name: &str, [inputs, outputs]: [usize; 2]) -> Result<Self> {
        let weight = r.parameter(&format!("{name}.weight"), &[outputs, inputs])?;
        Ok(Self { weight, bias: r.parameter(&format!("{name}.bias"), &[outputs])? })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(bias_act(&linear(x, &self.weight)?, &self.bias, Activation::LINEAR)?)
    }
}

/// A modulated convolution with noise and activation.
struct Conv {
    affine: Affine,
    weight: Weight,
    /// The noise's factor in each channel, `[1, C, 1, 1]`, and its bias `[C]`.
    noise: (Tensor, Tensor),
}

impl Conv {
    fn read(
        r: &mut Reader<'_>,
        block: &str,
        at: usize,
        [dim, inputs, outputs]: [usize; 3],
    ) -> Result<Self> {
        let name = |part: &str| format!("{block}.{part}{at}");
        let weight = format!("{}.weight", name("conv"));
        let weight = r.parameter(&weight, &[outputs, inputs, 3, 3])?;
        let noise = Affine::read(r, &name("to_noise"), [1, outputs])?;
        Ok(Self {
            affine: Affine::read(r, &name("to_style"), [dim, inputs])?,
            weight: Weight::new(weight),
            noise: (noise.weight.reshape((1, outputs, 1, 1))?, noise.bias),
        })
    }

    /// The map after the activation: x `[N, I, H, W]`, style `[N, I]`, the noise map of that size.
    /// A style of 0 leaves the weights as they are.
    fn forward(&self, x: &Tensor, style: &Tensor, map: Option<&Tensor>) -> Result<Tensor> {
        let mut y = modulated_conv(x, &self.weight, &(style + 1.0)?, true)?;
        let (factor, bias) = &self.noise;
        if let Some(map) = map {
            y = y.broadcast_add(&map.broadcast_mul(factor)?)?;
        }
        Ok(bias_act(&y, bias, LRELU)?)
    }
}

/// Attention and two 1×1 convolutions, each with a norm before it and a shortcut around it.
struct Attention {
    norms: [ChannelNorm; 2],
    attention: LinearAttention,
    layers: [(Tensor, Tensor); 2],
}

impl Attention {
    fn read(r: &mut Reader<'_>, name: &str, c: usize) -> Result<Self> {
        let norm = |r: &mut Reader<'_>, at: usize| {
            ChannelNorm::read(r, &format!("{name}.{at}.fn.norm"), c)
        };
        let layer = |r: &mut Reader<'_>, at: usize, [inputs, outputs]: [usize; 2]| -> Result<_> {
            let name = format!("{name}.1.fn.fn.{at}");
            let weight = r.parameter(&format!("{name}.weight"), &[outputs, inputs, 1, 1])?;
            Ok((weight, r.parameter(&format!("{name}.bias"), &[outputs])?))
        };
        Ok(Self {
            norms: [norm(r, 0)?, norm(r, 1)?],
            attention: LinearAttention::read(r, &format!("{name}.0.fn.fn"), c)?,
            layers: [layer(r, 0, [c, 2 * c])?, layer(r, 2, [2 * c, c])?],
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = (self.attention.forward(&self.norms[0].forward(x)?)? + x)?;
        let [(first, first_bias), (second, second_bias)] = &self.layers;
        let y = self.norms[1].forward(&x)?;
        let y = bias_act(&conv2d(&y, first, 1, 0)?, first_bias, LRELU)?;
        let y = bias_act(&conv2d(&y, second, 1, 0)?, second_bias, Activation::LINEAR)?;
        Ok((y + x)?)
    }
}

/// All layers of one side.
struct Block {
    side: usize,
    attention: Option<Attention>,
    convs: [Conv; 2],
    rgb: Affine,
    rgb_weight: Weight,
}

impl Block {
    fn read(r: &mut Reader<'_>, c: &Config, plan: &BlockPlan) -> Result<Self> {
        let name = format!("synthesis.{}", plan.name);
        let attention = plan
            .attention
            .as_ref()
            .map(|module| Attention::read(r, &format!("synthesis.{module}"), plan.inputs));
        let sizes = [c.dim, plan.inputs, plan.channels];
        let second = [c.dim, plan.channels, plan.channels];
        let rgb = [c.img_channels, plan.channels, 1, 1];
        Ok(Self {
            side: plan.side,
            attention: attention.transpose()?,
            convs: [Conv::read(r, &name, 1, sizes)?, Conv::read(r, &name, 2, second)?],
            rgb: Affine::read(r, &format!("{name}.to_rgb.to_style"), [c.dim, plan.channels])?,
            rgb_weight: Weight::new(r.parameter(&format!("{name}.to_rgb.conv.weight"), &rgb)?),
        })
    }

    /// The maps of style sizes, in the order of a style code.
    fn affines(&self) -> [&Affine; 3] {
        [&self.convs[0].affine, &self.convs[1].affine, &self.rgb]
    }
}

/// What the first map is made of.
enum First {
    /// `[1, C, 4, 4]`.
    Constant(Tensor),
    /// The weight `[D, C, 4, 4]` of a transposed convolution of the mean of the styles.
    Styles(Tensor),
}

/// The styles of all layers, and the mean of the rows that they come from.
pub(super) struct Styles {
    /// Three a block, `[N, size]` each, in the order of a style code.
    pub(super) layers: Vec<Tensor>,
    /// `[N, D]`; `None` where a style code is given.
    pub(super) mean: Option<Tensor>,
    /// Number of pictures.
    pub(super) n: usize,
}

/// The synthesis network.
pub(super) struct Synthesis {
    first: First,
    initial: (Tensor, Tensor),
    blocks: Vec<Block>,
}

impl Synthesis {
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        let first = if c.no_const {
            let shape = [c.dim, c.first, FIRST, FIRST];
            First::Styles(r.parameter("synthesis.to_initial_block.weight", &shape)?)
        } else {
            let shape = [1, c.first, FIRST, FIRST];
            First::Constant(r.parameter("synthesis.initial_block", &shape)?)
        };
        let weight = [c.first, c.first, 3, 3];
        let weight = r.parameter("synthesis.initial_conv.weight", &weight)?;
        let initial = (weight, r.parameter("synthesis.initial_conv.bias", &[c.first])?);
        let mut blocks = Vec::new();
        for (i, plan) in c.blocks.iter().enumerate() {
            blocks.push(Block::read(r, c, plan)?);
            // The taps of the blur are stored where the picture is doubled; they never change.
            let taps = format!("synthesis.{}.to_rgb.upsample.1.f", plan.name);
            if r.has(&taps) && r.buffer(&taps, &[3])?.to_vec1::<f32>()? != [1.0, 2.0, 1.0] {
                return Err(refuse(format!("the blur of `blocks.{i}` is not 1 2 1")));
            }
        }
        Ok(Self { first, initial, blocks })
    }

    /// The styles of rows `[N, num_ws, D]`, a block a row: `[N, size]` each.
    pub(super) fn styles(&self, ws: &Tensor) -> Result<Vec<Tensor>> {
        let mut layers = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            let row = ws.narrow(1, i, 1)?.squeeze(1)?.contiguous()?;
            for affine in block.affines() {
                layers.push(affine.forward(&row)?);
            }
        }
        Ok(layers)
    }

    /// Sides of the pictures on the way to the whole one.
    pub(super) fn early_sides(&self) -> Vec<usize> {
        let all = self.blocks.iter().map(|block| block.side);
        all.take(self.blocks.len().saturating_sub(1)).collect()
    }

    /// Runs to the requested points; two points a block, after its convolutions.
    pub(super) fn tapped(
        &self,
        styles: &Styles,
        noise: Option<&Tensor>,
        (from, taps): (Option<&Feature>, &[Tap]),
    ) -> Result<Tapped> {
        let mut tapped = Tapped::default();
        let end = last_point(taps, 2 * self.blocks.len());
        let last = (end / 2).min(self.blocks.len() - 1);
        let start = from.map_or(0, |f| f.layer);
        let mut picture = from.and_then(|f| f.picture.clone());
        let mut x = match from {
            Some(feature) => feature.map.clone(),
            None => self.first_map(styles)?,
        };
        // Transposed, as the official code reads it: columns are rows of the map.
        let noise = noise.map(|map| map.transpose(2, 3)?.contiguous()).transpose()?;
        for (i, block) in self.blocks.iter().enumerate().take(last + 1).skip(start / 2) {
            let part =
                |map: &Tensor| map.narrow(2, 0, block.side)?.narrow(3, 0, block.side)?.contiguous();
            let map = noise.as_ref().map(part).transpose()?;
            let entered = from.filter(|f| f.layer / 2 == i);
            if entered.is_none() {
                if let Some(attention) = &block.attention {
                    x = attention.forward(&x)?;
                }
                if i > 0 {
                    x = bilinear2(&x)?;
                }
            }
            for (at, conv) in block.convs.iter().enumerate() {
                let point = 2 * i + at;
                if point > end {
                    return Ok(tapped);
                }
                if point > start || from.is_none() {
                    x = conv.forward(&x, &styles.layers[3 * i + at], map.as_ref())?;
                }
                if point >= start && taps.contains(&Tap::Layer(point)) {
                    let (map, picture) = (x.clone(), picture.clone());
                    tapped.features.push(Feature { layer: point, map, picture, passed: false });
                }
            }
            if end < 2 * (i + 1) {
                return Ok(tapped);
            }
            let style = (&styles.layers[3 * i + 2] + 1.0)?;
            let colours = modulated_conv(&x, &block.rgb_weight, &style, false)?;
            let sum = match picture {
                Some(picture) => (picture + colours)?,
                None => colours,
            };
            if taps.contains(&Tap::Early(block.side)) {
                tapped.picture = Some(in_range(&sum)?);
                return Ok(tapped);
            }
            let doubles = i + 1 < self.blocks.len();
            picture = Some(if doubles { blur(&bilinear2(&sum)?)? } else { sum });
        }
        if taps.contains(&Tap::Picture) {
            tapped.picture = picture.as_ref().map(in_range).transpose()?;
        }
        Ok(tapped)
    }

    /// The map that the first block reads.
    fn first_map(&self, styles: &Styles) -> Result<Tensor> {
        let x = match &self.first {
            First::Constant(constant) => constant.repeat((styles.n, 1, 1, 1))?,
            First::Styles(weight) => {
                let Some(mean) = &styles.mean else {
                    return Err(refuse("its first map is made of w, not of styles".into()));
                };
                let (_, c, h, w) = weight.dims4()?;
                let matrix = weight.flatten_from(1)?.t()?.contiguous()?;
                linear(mean, &matrix)?.reshape((styles.n, c, h, w))?
            }
        };
        let (weight, bias) = &self.initial;
        Ok(bias_act(&conv2d(&x, weight, 1, 1)?, bias, Activation::LINEAR)?)
    }
}

/// The code's range [0, 1] as [-1, 1].
fn in_range(picture: &Tensor) -> Result<Tensor> {
    Ok(picture.affine(2.0, -1.0)?)
}
