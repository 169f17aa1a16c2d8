//! The layers of a block, read and run one by one.

use super::config::Config;
use super::styles::Styles;
use crate::error::Result;
use crate::generator::layers::{Dense, Reader};
use crate::tensor::{
    Activation, Filter, HalfWeight, RgbConv, StyledConv, Weight, bias_act, conv2d, half_conv,
    half_rgb, modulated_conv, modulated_conv_up2, noise_bias_act, up2,
};
use candle_core::{DType, Tensor};
use std::sync::Arc;

/// The limit of activations in f16 where the network says none (the official `conv_clamp`).
const HALF_CLAMP: f64 = 256.0;

/// The noise maps of one forward pass, one for each noisy layer: not yet scaled by the layer's
/// strength.
pub(in crate::generator) type Maps = std::vec::IntoIter<Option<Tensor>>;

/// The noise of one layer.
pub(in crate::generator) struct NoiseInput {
    /// The stored map, `[1, 1, H, W]`.
    pub(in crate::generator) map: Tensor,
    pub(super) strength: Tensor,
}

/// A convolution with its style, noise, bias and activation.
pub(super) struct Layer {
    pub(super) affine: Dense,
    weight: Arc<Weight>,
    half: Option<HalfWeight>,
    bias: Tensor,
    pub(super) noise: Option<NoiseInput>,
    up: Option<Filter>,
    activation: Activation,
}

/// A block, besides its tensors.
#[derive(Clone)]
pub(in crate::generator) struct Plan {
    /// The name that its tensors begin with: `synthesis.b8`.
    pub(in crate::generator) name: String,
    /// Height and width of its maps.
    pub(in crate::generator) size: [usize; 2],
    /// Whether its first convolution doubles the size.
    pub(in crate::generator) doubles: bool,
    /// Whether it makes a picture.
    pub(in crate::generator) picture: bool,
    /// Whether it is in f16.
    pub(in crate::generator) half: bool,
}

/// Everything that the layers of a block share.
pub(super) struct Place<'a> {
    pub(super) config: &'a Config,
    pub(super) plan: &'a Plan,
    /// Whether the engine will run the blocks.
    pub(super) engine: bool,
}

impl Place<'_> {
    /// A weight in f16, where the layers are.
    fn halved(&self, w: &Tensor, up: bool) -> Result<Option<HalfWeight>> {
        Ok(if self.plan.half { Some(HalfWeight::new(w, up)?) } else { None })
    }

    /// The limit of the activations.
    fn clamp(&self) -> Option<f64> {
        self.config.conv_clamp.or(self.plan.half.then_some(HALF_CLAMP))
    }
}

impl Layer {
    /// Reads layer `which` (`conv0` may double the size) whose activation is scaled by `gain`.
    pub(super) fn read(
        r: &mut Reader<'_>,
        at: &Place<'_>,
        which: &str,
        [inputs, outputs]: [usize; 2],
        gain: f64,
    ) -> Result<Self> {
        let name = format!("{}.{which}", at.plan.name);
        let up = at.plan.doubles && which == "conv0";
        let filter =
            r.filter(&format!("{name}.resample_filter"), at.config.resample_filter.as_deref())?;
        let (place, shape) = (format!("{name}.weight"), [outputs, inputs, 3, 3]);
        let (weight, half) = if at.engine {
            (r.styled(&place, &shape, up)?, None)
        } else {
            let weight = r.parameter(&place, &shape)?;
            let half = at.halved(&weight, up)?;
            (Arc::new(Weight::new(weight)), half)
        };
        let base = Activation::LRELU;
        Ok(Self {
            affine: Dense::read(r, &format!("{name}.affine"), [at.config.w_dim, inputs], 1.0)?,
            half,
            weight,
            bias: r.parameter(&format!("{name}.bias"), &[outputs])?,
            noise: read_noise(r, &name, at.plan.size)?,
            up: up.then_some(filter),
            activation: Activation {
                gain: base.gain * gain,
                clamp: at.clamp().map(|c| c * gain),
                ..base
            },
        })
    }

    pub(super) fn forward(
        &self,
        x: &Tensor,
        styles: &mut Styles<'_>,
        maps: &mut Maps,
    ) -> Result<Tensor> {
        let style = styles.of_layer(&self.affine)?;
        let x = match (&self.half, &self.up) {
            (Some(weight), up) => half_conv(x, weight, &style, up.as_ref())?,
            (None, Some(filter)) => modulated_conv_up2(x, &self.weight, &style, filter)?,
            (None, None) => modulated_conv(x, &self.weight, &style, true)?,
        };
        if let Some(noise) = &self.noise
            && let Some(map) = maps.next().flatten()
        {
            return Ok(noise_bias_act(
                &x,
                &map.broadcast_mul(&noise.strength)?,
                &self.bias,
                self.activation,
            )?);
        }
        Ok(bias_act(&x, &self.bias, self.activation)?)
    }

    /// The layer in the engine's form; `trained` takes the values that trained weights have now.
    pub(super) fn styled(&self, trained: bool) -> Result<StyledConv<'_>> {
        let up = self.up.is_some();
        Ok(StyledConv {
            weight: match trained {
                true => Weight::new(self.weight.tensor()?.detach()).styled(up)?,
                false => self.weight.styled(up)?,
            },
            bias: if trained { self.bias.detach() } else { self.bias.clone() },
            up: self.up.as_ref(),
            activation: self.activation,
            noise: self.noise.is_some(),
        })
    }

    /// Its weights on the engine, in the order of their gradients.
    pub(super) fn weights(&self) -> Result<[Tensor; 2]> {
        Ok([self.weight.tensor()?, self.bias.clone()])
    }
}

/// The noise of a layer that has any.
fn read_noise(
    r: &mut Reader<'_>,
    name: &str,
    [height, width]: [usize; 2],
) -> Result<Option<NoiseInput>> {
    let strength = format!("{name}.noise_strength");
    let Ok(shape) = r.shape(&strength) else { return Ok(None) };
    // Some exports keep the scalar as one element.
    let shape = if shape == [1] { shape } else { Vec::new() };
    Ok(Some(NoiseInput {
        strength: r.parameter(&strength, &shape)?.reshape(())?,
        map: r
            .buffer_or_noise(&format!("{name}.noise_const"), &[height, width])?
            .reshape((1, 1, height, width))?,
    }))
}

/// Turns features into a picture: a 1×1 modulated convolution without demodulation.
pub(super) struct ToRgb {
    pub(super) affine: Dense,
    tensor: Tensor,
    weight: Weight,
    half: Option<HalfWeight>,
    bias: Tensor,
    gain: f64,
    clamp: Option<f64>,
}

impl ToRgb {
    pub(super) fn read(r: &mut Reader<'_>, at: &Place<'_>, inputs: usize) -> Result<Self> {
        let name = format!("{}.torgb", at.plan.name);
        let channels = at.config.img_channels;
        let weight = r.parameter(&format!("{name}.weight"), &[channels, inputs, 1, 1])?;
        Ok(Self {
            affine: Dense::read(r, &format!("{name}.affine"), [at.config.w_dim, inputs], 1.0)?,
            half: at.halved(&weight, false)?,
            weight: Weight::new(weight.clone()),
            tensor: weight,
            bias: r.parameter(&format!("{name}.bias"), &[channels])?,
            gain: 1.0 / (inputs as f64).sqrt(),
            clamp: at.clamp(),
        })
    }

    /// A picture in single precision.
    pub(super) fn forward(&self, x: &Tensor, styles: &mut Styles<'_>) -> Result<Tensor> {
        let style = (styles.of_picture(&self.affine)? * self.gain)?;
        let y = match &self.half {
            Some(weight) => half_rgb(x, weight, &style)?,
            None => modulated_conv(x, &self.weight, &style, false)?,
        };
        Ok(bias_act(&y, &self.bias, Activation { clamp: self.clamp, ..Activation::LINEAR })?)
    }

    /// The layer in the engine's form; `trained` takes the values that trained weights have now.
    pub(super) fn plain(&self, trained: bool) -> RgbConv {
        let [weight, bias] = self.weights().map(|t| if trained { t.detach() } else { t });
        RgbConv { weight, bias, gain: self.gain, clamp: self.clamp }
    }

    /// Its weights on the engine, in the order of their gradients.
    pub(super) fn weights(&self) -> [Tensor; 2] {
        [self.tensor.clone(), self.bias.clone()]
    }
}

/// The 1×1 upsampling shortcut of a residual block.
pub(super) struct Shortcut {
    weight: Tensor,
    filter: Filter,
    gain: f64,
}

impl Shortcut {
    pub(super) fn read(
        r: &mut Reader<'_>,
        at: &Place<'_>,
        [inputs, outputs]: [usize; 2],
    ) -> Result<Self> {
        let name = format!("{}.skip", at.plan.name);
        let weight = r.parameter(&format!("{name}.weight"), &[outputs, inputs, 1, 1])?;
        let filter =
            r.filter(&format!("{name}.resample_filter"), at.config.resample_filter.as_deref())?;
        let gain = (0.5 / inputs as f64).sqrt();
        if at.plan.half {
            // Scaled beforehand, so that sums stay in range.
            return Ok(Self { weight: (weight * gain)?.to_dtype(DType::F16)?, filter, gain: 1.0 });
        }
        Ok(Self { weight, filter, gain })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = up2(&conv2d(x, &self.weight, 1, 0)?, &self.filter)?;
        Ok((y * self.gain)?)
    }
}
