//! The layers of the synthesis: styled convolutions, the wavelet, the head.

use crate::error::Result;
use crate::generator::layers::Reader;
use crate::rng::Rng;
use crate::tensor::{Activation, Link, Separable, bias_act, conv2d, linear, noise_bias_act, scale};
use candle_core::{Device, Tensor};
use std::borrow::Cow;

/// Leaky ReLU with slope 0.2, without a gain.
const ACTIVATION: Activation = Activation { slope: 0.2, gain: 1.0, clamp: None };

/// The styles of a layer from its row of w.
pub(super) struct Affine {
    weight: Tensor,
    bias: Tensor,
    row: usize,
}

impl Affine {
    /// Reads `name.affine.weight` `[size, w_dim]` and `name.affine.bias` `[size]`.
    pub(super) fn read(
        r: &mut Reader<'_>,
        name: &str,
        (row, w_dim, size): (usize, usize, usize),
    ) -> Result<Self> {
        Ok(Self {
            weight: r.parameter(&format!("{name}.affine.weight"), &[size, w_dim])?,
            bias: r.parameter(&format!("{name}.affine.bias"), &[size])?,
            row,
        })
    }

    /// ws `[N, num_ws, w_dim]` → styles `[N, size]`.
    pub(super) fn styles(&self, ws: &Tensor) -> Result<Tensor> {
        let w = ws.narrow(1, self.row, 1)?.squeeze(1)?.contiguous()?;
        Ok(bias_act(&linear(&w, &self.weight)?, &self.bias, Activation::LINEAR)?)
    }
}

/// Weights of a styled convolution, as they are stored.
struct Stored {
    /// `[I, 1, 3, 3]` before the mixing of channels, in separable convolutions.
    depthwise: Option<Tensor>,
    /// `[O, I, k, k]`.
    weight: Tensor,
    /// `[1, 1, I, 1, 1]`: used in place of the styles in the demodulation; `None` where the weights
    /// are demodulated already.
    style_inv: Option<Tensor>,
    /// 1/√(fan-in), which scales the styles.
    gain: f64,
}

impl Stored {
    fn tracked(&self) -> bool {
        self.weight.track_op()
            || [&self.depthwise, &self.style_inv].into_iter().flatten().any(Tensor::track_op)
    }

    /// The weights `[O, I, k, k]` times the gain and the demodulation
    /// `1/√(Σ (gain · style_inv · w)² + 1e-8)`, which does not depend on the styles.
    fn scaled(&self) -> Result<Tensor> {
        let Some(style_inv) = &self.style_inv else { return Ok((&self.weight * self.gain)?) };
        let inputs = self.weight.dim(1)?;
        let mut squares = self.weight.sqr()?.flatten_from(2)?.sum(2)?;
        if let Some(depthwise) = &self.depthwise {
            let taps = depthwise.sqr()?.flatten_from(1)?.sum(1)?.reshape((1, inputs))?;
            squares = squares.broadcast_mul(&taps)?;
        }
        let styles = (style_inv.reshape((1, inputs))? * self.gain)?.sqr()?;
        let norm = squares.broadcast_mul(&styles)?.sum(1)?.affine(1.0, 1e-8)?.sqrt()?.recip()?;
        let outputs = norm.dim(0)?;
        Ok(self.weight.broadcast_mul(&(norm * self.gain)?.reshape((outputs, 1, 1, 1))?)?)
    }
}

/// A styled convolution with noise, bias and activation.
pub(super) struct Styled {
    pub(super) affine: Affine,
    stored: Stored,
    bias: Tensor,
    noise: Tensor,
    strength: Option<Tensor>,
    /// What runs while no weight is searched.
    frozen: Option<Frozen>,
}

/// Weights with all scales.
enum Frozen {
    Full(Tensor),
    Separable(Separable),
}

/// Sizes of a styled convolution.
pub(super) struct Sizes {
    pub(super) row: usize,
    pub(super) w_dim: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) side: usize,
    pub(super) separable: bool,
}

impl Styled {
    pub(super) fn read(r: &mut Reader<'_>, name: &str, s: &Sizes) -> Result<Self> {
        let (i, o) = (s.inputs, s.outputs);
        let affine = Affine::read(r, name, (s.row, s.w_dim, i))?;
        let (depthwise, weight) = if s.separable {
            let depthwise = r.parameter(&format!("{name}.depthwise"), &[i, 1, 3, 3])?;
            (Some(depthwise), r.parameter(&format!("{name}.pointwise"), &[o, i, 1, 1])?)
        } else {
            (None, r.parameter(&format!("{name}.weight"), &[o, i, 3, 3])?)
        };
        let inverse = format!("{name}.style_inv");
        let style_inv =
            if r.has(&inverse) { Some(r.buffer(&inverse, &[1, 1, i, 1, 1])?) } else { None };
        let bias = r.parameter(&format!("{name}.bias"), &[1, o, 1, 1])?.flatten_all()?;
        let strength = format!("{name}.noise_strength");
        let strength = if r.has(&strength) { Some(r.parameter(&strength, &[1])?) } else { None };
        let (map, size) = (format!("{name}.noise"), [1, 1, s.side, s.side]);
        let noise = if r.has(&map) {
            r.buffer(&map, &size)?
        } else {
            drawn(name, s.side, weight.device())?
        };
        let stored = Stored { depthwise, weight, style_inv, gain: 1.0 / ((9 * i) as f64).sqrt() };
        let frozen = match &stored.depthwise {
            _ if stored.tracked() => None,
            Some(d) => {
                let pointwise = stored.scaled()?;
                Some(Frozen::Separable(Separable::new(Some(d), &pointwise, &bias, ACTIVATION)?))
            }
            None => Some(Frozen::Full(stored.scaled()?)),
        };
        Ok(Self { affine, stored, bias, noise, strength, frozen })
    }

    /// The stored noise map, `[1, 1, H, W]`.
    pub(super) fn noise(&self) -> &Tensor {
        &self.noise
    }

    /// A noise map times its strength.
    fn scaled_noise(&self, noise: Option<&Tensor>) -> Result<Option<Tensor>> {
        Ok(match (noise, &self.strength) {
            (Some(map), Some(strength)) => {
                Some(map.broadcast_mul(&strength.reshape((1, 1, 1, 1))?)?)
            }
            (map, _) => map.cloned(),
        })
    }

    /// The convolution with its weights scaled, in separable convolutions.
    fn separable(&self) -> Result<Option<Cow<'_, Separable>>> {
        Ok(match (&self.frozen, &self.stored.depthwise) {
            (Some(Frozen::Separable(layer)), _) => Some(Cow::Borrowed(layer)),
            (None, Some(d)) => {
                let scaled = self.stored.scaled()?;
                Some(Cow::Owned(Separable::new(Some(d), &scaled, &self.bias, ACTIVATION)?))
            }
            _ => None,
        })
    }

    /// The convolution as a part of a chain; `None` where it cannot be one.
    pub(super) fn link(&self, style: &Tensor, noise: Option<&Tensor>) -> Result<Option<Link<'_>>> {
        let Some(layer) = self.separable()? else { return Ok(None) };
        let noise = self.scaled_noise(noise)?;
        Ok(Some(Link::Conv { layer, style: style.clone(), noise }))
    }

    /// x `[N, I, H, W]`, style `[N, I]`, a noise map `[N or 1, 1, H, W]` → `[N, O, H, W]`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        style: &Tensor,
        noise: Option<&Tensor>,
    ) -> Result<Tensor> {
        let noise = self.scaled_noise(noise)?;
        if let Some(layer) = self.separable()? {
            return Ok(layer.forward(x, style, noise.as_ref())?);
        }
        let weight = match &self.frozen {
            Some(Frozen::Full(weight)) => weight.clone(),
            _ => self.stored.scaled()?,
        };
        let y = conv2d(&scale(x, style)?, &weight, 1, 1)?;
        Ok(match &noise {
            Some(noise) => noise_bias_act(&y, noise, &self.bias, ACTIVATION)?,
            None => bias_act(&y, &self.bias, ACTIVATION)?,
        })
    }
}

/// A noise map for a layer that stores none: the official code draws one for every picture, which
/// is `Noise::Random` here. It depends on the name of the layer alone.
fn drawn(name: &str, side: usize, device: &Device) -> Result<Tensor> {
    let data = Rng::derive(0, &format!("noise of {name}")).normals(side * side);
    Ok(Tensor::from_vec(data, (1, 1, side, side), device)?)
}

/// A 1×1 convolution to the bands of the picture.
pub(super) struct Head {
    pub(super) affine: Affine,
    weight: Tensor,
    bias: Tensor,
    /// What runs while no weight is searched.
    frozen: Option<Separable>,
}

impl Head {
    pub(super) fn read(
        r: &mut Reader<'_>,
        name: &str,
        (row, w_dim): (usize, usize),
        (inputs, bands): (usize, usize),
    ) -> Result<Self> {
        let affine = Affine::read(r, name, (row, w_dim, inputs))?;
        let weight = r.parameter(&format!("{name}.weight"), &[bands, inputs, 1, 1])?;
        let bias = r.parameter(&format!("{name}.bias"), &[1, bands, 1, 1])?.flatten_all()?;
        let mut head = Self { affine, weight, bias, frozen: None };
        if !head.weight.track_op() {
            head.frozen = Some(head.mix()?);
        }
        Ok(head)
    }

    /// Channels of the result.
    pub(super) fn bands(&self) -> usize {
        self.bias.elem_count()
    }

    /// The convolution with its weights scaled by 1/√(fan-in).
    fn mix(&self) -> Result<Separable> {
        let weight = (&self.weight / (self.weight.dim(1)? as f64).sqrt())?;
        Ok(Separable::new(None, &weight, &self.bias, Activation::LINEAR)?)
    }

    /// The convolution as a part of a chain.
    pub(super) fn link(&self, style: &Tensor) -> Result<Link<'_>> {
        let layer = match &self.frozen {
            Some(mix) => Cow::Borrowed(mix),
            None => Cow::Owned(self.mix()?),
        };
        Ok(Link::Conv { layer, style: style.clone(), noise: None })
    }
}
