//! Convolutions with batch norm and gate, as FastGAN and its kin stack them: convolution, noise,
//! batch norm, gated linear unit.

use super::{Reader, Spectral, glu};
use crate::error::{Error, Result};
use crate::tensor::{
    Activation, Affine, FixedNorm, bias_act, conv_nearest2, conv2d, linear, nearest2_kernel,
};
use candle_core::Tensor;

/// Added to the variance in batch norms, PyTorch's default.
const EPS: f64 = 1e-5;

/// A batch norm with stored statistics.
pub(in crate::generator) struct Norm {
    fixed: FixedNorm,
    by: By,
}

/// Gain and bias of a batch norm.
enum By {
    Channel {
        gain: Tensor,
        bias: Tensor,
    },
    /// Linear maps of the class: the gain's map adds 1.
    Class {
        gain: Linear,
        bias: Linear,
    },
}

/// A fully connected layer, with spectral norm or without.
struct Linear {
    weight: Spectral,
    bias: Tensor,
}

impl Linear {
    fn read(r: &mut Reader<'_>, name: &str, outputs: usize) -> Result<Self> {
        let inputs = Spectral::shape(r, name)?.get(1).copied().unwrap_or(0);
        Ok(Self {
            weight: Spectral::read(r, name, &[outputs, inputs], 0)?,
            bias: r.parameter(&format!("{name}.bias"), &[outputs])?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = linear(x, &self.weight.tensor()?)?;
        Ok(bias_act(&y, &self.bias, Activation::LINEAR)?)
    }
}

impl Norm {
    /// Reads a batch norm of `c` channels: `weight`, `bias`, `running_mean`, `running_var`.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape, and for a variance that is not above zero.
    pub(in crate::generator) fn read(r: &mut Reader<'_>, name: &str, c: usize) -> Result<Self> {
        let fixed = statistics(r, name, "running", c)?;
        let gain = r.parameter(&format!("{name}.weight"), &[c])?;
        let bias = r.parameter(&format!("{name}.bias"), &[c])?;
        Ok(Self { fixed, by: By::Channel { gain, bias } })
    }

    /// Reads a batch norm whose gain and bias are linear maps of the class: `gain`, `bias`,
    /// `stored_mean`, `stored_var`.
    ///
    /// # Errors
    /// As [`Norm::read`].
    pub(in crate::generator) fn of_class(r: &mut Reader<'_>, name: &str, c: usize) -> Result<Self> {
        let fixed = statistics(r, name, "stored", c)?;
        let gain = Linear::read(r, &format!("{name}.gain"), c)?;
        let bias = Linear::read(r, &format!("{name}.bias"), c)?;
        Ok(Self { fixed, by: By::Class { gain, bias } })
    }

    /// The map of every channel; `None` when it depends on the class.
    fn shared(&self) -> Result<Option<Affine>> {
        Ok(match &self.by {
            By::Channel { gain, bias } => Some(self.fixed.affine(gain, bias)?),
            By::Class { .. } => None,
        })
    }

    /// The norm of a map where it was not folded: x `[N, C, H, W]`, class `[N, D]`.
    fn apart(&self, x: &Tensor, class: Option<&Tensor>) -> Result<Option<Tensor>> {
        let By::Class { gain, bias } = &self.by else { return Ok(None) };
        let class = class.ok_or_else(|| {
            Error::runtime("a batch norm reads the class, and there is none")
                .hint("give a class: `class: 0`")
        })?;
        let gain = (gain.forward(class)? + 1.0)?;
        let affine = self.fixed.affine(&gain, &bias.forward(class)?)?;
        Ok(Some(affine.apply(x, Activation::LINEAR)?))
    }

    /// Whether what is folded of it is searched; nothing is where gain and bias come from a class.
    fn searched(&self) -> bool {
        match &self.by {
            By::Channel { gain, bias } => gain.track_op() || bias.track_op(),
            By::Class { .. } => false,
        }
    }
}

fn statistics(r: &mut Reader<'_>, name: &str, word: &str, c: usize) -> Result<FixedNorm> {
    let mean = r.buffer(&format!("{name}.{word}_mean"), &[c])?;
    let var = r.buffer(&format!("{name}.{word}_var"), &[c])?;
    Ok(FixedNorm::new(&mean, &var, EPS)?)
}

/// What a gated layer is read from.
pub(in crate::generator) struct GatedParts {
    /// Its weight: `[2C, I, k, k]`, of a stem `[z, 2C, S, S]`.
    pub(in crate::generator) weight: Spectral,
    /// Added to the convolution, `[2C]`.
    pub(in crate::generator) bias: Option<Tensor>,
    /// Its batch norm.
    pub(in crate::generator) norm: Norm,
    /// Strength of its noise, `[1]`.
    pub(in crate::generator) strength: Option<Tensor>,
}

impl GatedParts {
    /// The weight with the norm folded in, and its bias; `axis` counts the outputs.
    fn folded(&self, axis: usize) -> Result<(Tensor, Tensor, Option<Affine>)> {
        let weight = self.weight.tensor()?;
        match self.norm.shared()? {
            Some(affine) => {
                let (weight, bias) = affine.fold(&weight, self.bias.as_ref(), axis)?;
                Ok((weight, bias, Some(affine)))
            }
            None => {
                let zeros = || Tensor::zeros(weight.dim(axis)?, weight.dtype(), weight.device());
                let bias = self.bias.clone().map_or_else(zeros, Ok)?;
                Ok((weight, bias, None))
            }
        }
    }

    fn searched(&self) -> bool {
        let tracked = |t: &Option<Tensor>| t.as_ref().is_some_and(Tensor::track_op);
        self.weight.searched()
            || self.norm.searched()
            || tracked(&self.bias)
            || tracked(&self.strength)
    }
}

/// A convolution as it runs, the batch norm folded in.
#[derive(Clone)]
struct Folded {
    kernel: Tensor,
    bias: Tensor,
    /// Factor of the noise in each channel, `[1, C or 1, 1, 1]`.
    noise: Option<Tensor>,
}

/// A convolution that keeps the size, or doubles it before, with noise, batch norm and gate.
pub(in crate::generator) struct GatedConv {
    parts: GatedParts,
    doubles: bool,
    /// Ready to run, if nothing of it is searched.
    ready: Option<Folded>,
}

impl GatedConv {
    /// A convolution; with `doubles` every pixel is repeated 2×2 before it, which needs a kernel of
    /// odd size. Kernels of even size read one pixel more above and to the left.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::generator) fn new(parts: GatedParts, doubles: bool) -> Result<Self> {
        let mut conv = Self { parts, doubles, ready: None };
        if !conv.parts.searched() {
            let Folded { kernel, bias, noise } = conv.folded()?;
            let noise = noise.map(|n| n.detach());
            conv.ready = Some(Folded { kernel: kernel.detach(), bias: bias.detach(), noise });
        }
        Ok(conv)
    }

    fn folded(&self) -> Result<Folded> {
        let (weight, bias, affine) = self.parts.folded(0)?;
        let factor = |s: &Tensor| -> Result<Tensor> {
            Ok(match &affine {
                Some(affine) => affine.scale.broadcast_mul(s)?.reshape((1, (), 1, 1))?,
                None => s.reshape((1, 1, 1, 1))?,
            })
        };
        let noise = self.parts.strength.as_ref().map(factor).transpose()?;
        let kernel = if self.doubles { nearest2_kernel(&weight)? } else { weight };
        Ok(Folded { kernel, bias, noise })
    }

    /// Whether it adds noise.
    pub(in crate::generator) fn noisy(&self) -> bool {
        self.parts.strength.is_some()
    }

    /// The map after the gate: x `[N, I, H, W]`, the class `[N, D]` where the norm reads one, a
    /// noise map `[N or 1, 1, H', W']`.
    ///
    /// # Errors
    /// When a class is missing, and when shapes do not fit.
    pub(in crate::generator) fn forward(
        &self,
        x: &Tensor,
        class: Option<&Tensor>,
        map: Option<&Tensor>,
    ) -> Result<Tensor> {
        let folded = match &self.ready {
            Some(ready) => ready.clone(),
            None => self.folded()?,
        };
        let mut y =
            if self.doubles { conv_nearest2(x, &folded.kernel)? } else { same(x, &folded.kernel)? };
        if let (Some(factor), Some(map)) = (&folded.noise, map) {
            y = y.broadcast_add(&map.broadcast_mul(factor)?)?;
        }
        let y = bias_act(&y, &folded.bias, Activation::LINEAR)?;
        let normed = self.parts.norm.apart(&y, class)?;
        glu(&normed.unwrap_or(y))
    }
}

/// A convolution that keeps the size.
fn same(x: &Tensor, kernel: &Tensor) -> Result<Tensor> {
    let (h, w, k) = (x.dim(2)?, x.dim(3)?, kernel.dim(2)?);
    let y = conv2d(x, kernel, 1, k / 2)?;
    Ok(if k % 2 == 1 { y } else { y.narrow(2, 0, h)?.narrow(3, 0, w)?.contiguous()? })
}

/// The first map: a transposed convolution of z as a map of one pixel, which is a linear map, with
/// batch norm and gate.
pub(in crate::generator) struct GatedStem {
    parts: GatedParts,
    channels: usize,
    side: usize,
    /// Weight `[2C · S · S, z_dim]` and bias, ready to run if nothing of them is searched.
    ready: Option<(Tensor, Tensor)>,
}

impl GatedStem {
    /// A stem whose weight is `[z, 2C, S, S]`.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::generator) fn new(parts: GatedParts) -> Result<Self> {
        let (_, channels, side, _) = parts.weight.tensor()?.dims4()?;
        let mut stem = Self { parts, channels, side, ready: None };
        if !stem.parts.searched() {
            let (weight, bias) = stem.folded()?;
            stem.ready = Some((weight.detach(), bias.detach()));
        }
        Ok(stem)
    }

    fn folded(&self) -> Result<(Tensor, Tensor)> {
        let (weight, bias, _) = self.parts.folded(1)?;
        Ok((weight.flatten_from(1)?.t()?.contiguous()?, bias))
    }

    /// z `[N, z_dim]` → `[N, C, S, S]`.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub(in crate::generator) fn forward(&self, z: &Tensor) -> Result<Tensor> {
        let (weight, bias) = match &self.ready {
            Some(ready) => ready.clone(),
            None => self.folded()?,
        };
        let shape = (z.dim(0)?, self.channels, self.side, self.side);
        let map = linear(z, &weight)?.reshape(shape)?;
        glu(&bias_act(&map, &bias, Activation::LINEAR)?)
    }
}
