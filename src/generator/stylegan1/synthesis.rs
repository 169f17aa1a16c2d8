//! The synthesis network: a constant, layers with noise and adaptive instance normalisation, the
//! picture.

use super::config::{Config, LayerPlan};
use super::mapping::LRELU;
use super::refuse::refuse;
use crate::error::Result;
use crate::generator::layers::growing::{Conv, Fade, Growing, Reads};
use crate::generator::layers::{Dense, Reader};
use crate::generator::{Feature, Tap, Tapped};
use crate::tensor::{
    Activation, Affine, Filter, Resample, bias_act, conv2d, fir, linear, noise_bias_act,
};
use candle_core::Tensor;

/// Noise of a layer.
struct Noise {
    /// One for each channel, or one for all.
    strength: Tensor,
    /// The stored map, `[1, 1, H, W]`.
    map: Tensor,
}

/// The affine map from a row of w to a layer's styles.
enum Styling {
    /// Scaled at run time.
    Scaled(Dense),
    /// As stored.
    Plain { weight: Tensor, bias: Tensor },
}

impl Styling {
    fn read(r: &mut Reader<'_>, c: &Config, name: &str, outputs: usize) -> Result<Self> {
        if c.given.equalized {
            return Ok(Self::Scaled(Dense::read(r, name, [c.w_dim, outputs], 1.0)?));
        }
        Ok(Self::Plain {
            weight: r.parameter(&format!("{name}.weight"), &[outputs, c.w_dim])?,
            bias: r.parameter(&format!("{name}.bias"), &[outputs])?,
        })
    }

    /// w `[N, w_dim]` → `[N, 2·C]`.
    fn forward(&self, w: &Tensor) -> Result<Tensor> {
        match self {
            Self::Scaled(dense) => dense.forward(w),
            Self::Plain { weight, bias } => {
                Ok(bias_act(&linear(w, weight)?, bias, Activation::LINEAR)?)
            }
        }
    }
}

/// A layer: convolution, filter, noise, bias, activation, normalisation, styles.
struct Layer {
    /// `None` for the first layer, whose map is the constant.
    conv: Option<Conv>,
    bias: Option<Tensor>,
    noise: Option<Noise>,
    styling: Styling,
    /// The filter after upsampling.
    blur: Option<Filter>,
    activation_before_blur: bool,
    epsilon: f64,
    offset: f64,
    channels: usize,
}

impl Layer {
    fn read(r: &mut Reader<'_>, c: &Config, plan: &LayerPlan) -> Result<Self> {
        let name = format!("synthesis.{}", plan.name);
        let of = |what: &str| format!("{name}.{what}");
        let (outputs, side) = (plan.outputs, plan.side);
        let conv = (plan.inputs > 0).then(|| {
            let weight = r.parameter(&of("weight"), &[outputs, plan.inputs, 3, 3])?;
            let reads = match (plan.doubles, c.fused(plan)) {
                (false, _) => Reads::Same,
                (true, false) => Reads::Doubled,
                (true, true) => Reads::Fused,
            };
            Conv::new(weight, scale(c, 2f64.sqrt(), plan.inputs * 9), reads)
        });
        let conv = conv.transpose()?;
        let bias = plan.bias.then(|| r.parameter(&of("bias"), &[outputs])).transpose()?;
        let mut noise = None;
        if plan.noise > 0 {
            noise = Some(Noise {
                strength: r.parameter(&of("noise_strength"), &[plan.noise])?,
                map: r
                    .buffer_or_noise(&of("noise_const"), &[side, side])?
                    .reshape((1, 1, side, side))?,
            });
        }
        let taps = &c.given.blur_filter;
        let blurs = plan.doubles && !taps.is_empty();
        Ok(Self {
            conv,
            bias,
            noise,
            styling: Styling::read(r, c, &of("affine"), 2 * outputs)?,
            blur: blurs.then(|| Filter::new(taps)).transpose()?,
            activation_before_blur: plan.doubles && c.given.activation_before_blur,
            epsilon: c.given.norm_epsilon,
            offset: c.given.style_offset,
            channels: outputs,
        })
    }

    /// The map after the layer of the map before it, `[N, I, H, W]`; of the first layer, of the
    /// constant. Style `[N, 2·C]`, noise `[N or 1, 1, H', W']`.
    fn forward(&self, x: &Tensor, style: &Tensor, noise: Option<&Tensor>) -> Result<Tensor> {
        let mut x = match &self.conv {
            Some(conv) => conv.forward(x)?,
            None => x.clone(),
        };
        let none = || Tensor::zeros(self.channels, x.dtype(), x.device());
        let mut bias = self.bias.clone().map_or_else(none, Ok)?;
        if self.activation_before_blur {
            x = bias_act(&x, &bias, LRELU)?;
            bias = bias.zeros_like()?;
        }
        if let Some(filter) = &self.blur {
            let half = (filter.size().0 / 2) as isize;
            let how = Resample { up: 1, down: 1, before: half, after: half, gain: 1.0 };
            x = fir(&x, filter, how)?;
        }
        let x = match (&self.noise, noise) {
            (Some(Noise { strength, .. }), Some(map)) if strength.dims() == [1] => {
                noise_bias_act(&x, &map.broadcast_mul(strength)?, &bias, LRELU)?
            }
            (Some(Noise { strength, .. }), Some(map)) => {
                // The map of each channel, by its strength.
                let maps = conv2d(map, &strength.reshape((self.channels, 1, 1, 1))?, 1, 0)?;
                bias_act(&x.broadcast_add(&maps)?, &bias, LRELU)?
            }
            _ => bias_act(&x, &bias, LRELU)?,
        };
        self.styled(&x, style)
    }

    /// Adaptive instance normalisation: each plane at mean 0 and variance 1, then scaled and
    /// shifted as the styles say.
    fn styled(&self, x: &Tensor, style: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = x.dims4()?;
        let mean = x.reshape((n * c, h * w))?.mean(1)?;
        // Planes as the channels of one picture have a bias each.
        let flat = x.reshape((1, n * c, h, w))?;
        let x = bias_act(&flat, &mean.neg()?, Activation::LINEAR)?.reshape((n, c, h, w))?;
        let variance = x.sqr()?.reshape((n, c, h * w))?.mean(2)?;
        let size = (variance + self.epsilon)?.sqrt()?;
        let scale = (style.narrow(1, 0, c)? + self.offset)?.div(&size)?;
        let shift = style.narrow(1, c, c)?.contiguous()?;
        Ok(Affine { scale, shift }.apply(&x, Activation::LINEAR)?)
    }
}

/// He's constant of a layer that sums up `fan` numbers; 1 without equalised learning rate.
fn scale(c: &Config, gain: f64, fan: usize) -> f64 {
    if c.given.equalized { gain / (fan as f64).sqrt() } else { 1.0 }
}

/// The picture of a resolution.
struct Rgb {
    conv: Conv,
    bias: Tensor,
}

/// The synthesis network.
pub(super) struct Synthesis {
    /// `[1, C, 4, 4]`.
    constant: Tensor,
    layers: Vec<Layer>,
    /// One of each resolution, where the file has it.
    rgbs: Vec<Option<Rgb>>,
    fade: Fade,
    tanh: bool,
}

impl Synthesis {
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        let lod = match c.stored_lod {
            true => f64::from(r.buffer("synthesis.lod", &[])?.to_scalar::<f32>()?),
            false => c.given.lod,
        };
        let fade = Fade::new(lod, c.rgbs.len())?;
        let channels = c.layers.first().map_or(0, |l| l.outputs);
        let constant = r.parameter("synthesis.b4.const", &[channels, 4, 4])?.unsqueeze(0)?;
        let layers = c.layers.iter().map(|plan| Layer::read(r, c, plan)).collect::<Result<_>>()?;
        let mut rgbs = Vec::new();
        for (i, there) in c.rgbs.iter().enumerate() {
            let plan = &c.layers[2 * i + 1];
            let name = format!("synthesis.b{}.torgb", plan.side);
            if fade.uses(i) && !there {
                return Err(refuse(format!("tensor `{name}.weight` is missing"))
                    .hint(format!("a level of detail of {lod} needs it")));
            }
            let rgb = there.then(|| {
                let shape = [c.img_channels, plan.outputs, 1, 1];
                let weight = r.parameter(&format!("{name}.weight"), &shape)?;
                let conv = Conv::new(weight, scale(c, 1.0, plan.outputs), Reads::Same)?;
                let bias = r.parameter(&format!("{name}.bias"), &[c.img_channels])?;
                Ok::<_, crate::error::Error>(Rgb { conv, bias })
            });
            rgbs.push(rgb.transpose()?);
        }
        Ok(Self { constant, layers, rgbs, fade, tanh: c.given.tanh })
    }

    /// The stored noise maps of the layers that have any.
    pub(super) fn noise(&self) -> impl Iterator<Item = &Tensor> {
        self.layers.iter().filter_map(|l| Some(&l.noise.as_ref()?.map))
    }

    /// The styles of every layer, ws `[N, num_ws, w_dim]` → one tensor `[N, 2·C]` each.
    pub(super) fn styles(&self, ws: &Tensor) -> Result<Vec<Tensor>> {
        let style = |(i, layer): (usize, &Layer)| {
            layer.styling.forward(&ws.narrow(1, i, 1)?.squeeze(1)?.contiguous()?)
        };
        self.layers.iter().enumerate().map(style).collect()
    }

    /// Runs from a feature, or from the constant, to the requested points; `noise` has a map, or
    /// none, for each layer that has noise.
    pub(super) fn tapped(
        &self,
        styles: &[Tensor],
        noise: Vec<Option<Tensor>>,
        (from, taps): (Option<&Feature>, &[Tap]),
    ) -> Result<Tapped> {
        let mut noise = noise.into_iter();
        let maps: Vec<Option<Tensor>> = self
            .layers
            .iter()
            .map(|l| if l.noise.is_some() { noise.next().flatten() } else { None })
            .collect();
        let layer = |i: usize, x: &Tensor| self.layers[i].forward(x, &styles[i], maps[i].as_ref());
        let rgb = |i: usize, x: &Tensor| match &self.rgbs[i] {
            Some(Rgb { conv, bias }) => Ok(bias_act(&conv.forward(x)?, bias, Activation::LINEAR)?),
            None => Err(refuse(format!("the picture of resolution {i} is missing"))
                .hint("`gannet info` shows what the file holds")),
        };
        let (fade, resolutions) = (self.fade, self.rgbs.len());
        let growing = Growing { fade, resolutions, layer: &layer, rgb: &rgb };
        let mut tapped = match from {
            Some(feature) => growing.run(feature, taps)?,
            None => {
                let (_, c, h, w) = self.constant.dims4()?;
                let constant = self.constant.broadcast_as((styles[0].dim(0)?, c, h, w))?;
                let map = layer(0, &constant.contiguous()?)?;
                growing.run(&Feature { layer: 0, map, picture: None, passed: false }, taps)?
            }
        };
        if self.tanh {
            tapped.picture = tapped.picture.map(|p| p.tanh()).transpose()?;
        }
        Ok(tapped)
    }
}
