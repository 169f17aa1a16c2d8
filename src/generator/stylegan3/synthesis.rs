//! The synthesis network: Fourier features, filtered layers, the picture.

use super::config::{Config, LayerPlan};
use super::input::Input;
use super::refuse::refuse;
use crate::error::Result;
use crate::generator::layers::{Dense, Reader, through};
use crate::generator::{Feature, Tap, Tapped};
use crate::tensor::{Activation, Filter, FilteredConv, FilteredLrelu};
use candle_core::{D, Tensor};

/// A layer with its styles.
struct Layer {
    affine: Dense,
    conv: FilteredConv,
    /// Whether styles are brought to unit mean square, as weights are where the result is
    /// demodulated; else they are scaled by this.
    scale: Option<f64>,
}

impl Layer {
    fn read(r: &mut Reader<'_>, c: &Config, plan: &LayerPlan) -> Result<Self> {
        let name = format!("synthesis.{}", plan.name);
        let shape = [plan.outputs, plan.inputs, plan.kernel, plan.kernel];
        let weight = r.parameter(&format!("{name}.weight"), &shape)?;
        let bias = r.parameter(&format!("{name}.bias"), &[plan.outputs])?;
        let magnitude = r.buffer(&format!("{name}.magnitude_ema"), &[])?.to_scalar::<f32>()?;
        if magnitude <= 0.0 {
            return Err(refuse(format!("`{name}.magnitude_ema` is {magnitude}"))
                .hint("it is the mean square of what the layer reads, above 0: train on"));
        }
        let fan_in = plan.inputs * plan.kernel * plan.kernel;
        let weight = if plan.torgb { weight } else { unit(&weight)? };
        let gain = 1.0 / f64::from(magnitude).sqrt();
        let how = nonlinearity(r, c, plan)?;
        Ok(Self {
            affine: Dense::read(r, &format!("{name}.affine"), [c.w_dim, plan.inputs], 1.0)?,
            conv: FilteredConv::new(&weight, &bias, (!plan.torgb, gain), how)?,
            scale: plan.torgb.then(|| 1.0 / (fan_in as f64).sqrt()),
        })
    }

    /// The map after the layer, x `[N, I, H, W]`, style `[N, I]`.
    fn forward(&self, x: &Tensor, style: &Tensor) -> Result<Tensor> {
        let style = match self.scale {
            Some(scale) => (style * scale)?,
            None => style.broadcast_div(&style.sqr()?.mean_keepdim(D::Minus1)?.sqrt()?)?,
        };
        Ok(self.conv.forward(x, &style)?)
    }
}

/// Weights `[O, I, k, k]` with a mean square of 1 in every output channel.
///
/// Demodulation undoes any factor of weights and styles but for its `+ 1e-8`; the official code
/// takes the mean square of the styles over the batch, where one of each sample is taken here, so
/// that no picture depends on its neighbours.
fn unit(weight: &Tensor) -> Result<Tensor> {
    let squares = weight.sqr()?.flatten_from(1)?.mean_keepdim(1)?;
    let size = squares.sqrt()?.unsqueeze(2)?.unsqueeze(3)?;
    Ok(weight.broadcast_div(&size)?)
}

/// The filtered nonlinearity of a layer; what makes the picture has none but the limit.
fn nonlinearity(r: &mut Reader<'_>, c: &Config, plan: &LayerPlan) -> Result<FilteredLrelu> {
    let mut filter = |which: &str, taps: usize| -> Result<Filter> {
        let name = format!("synthesis.{}.{which}", plan.name);
        let stored = r.stored_filter(&name)?;
        let found = stored.as_ref().map_or(1, |f| f.size().0);
        if found != taps {
            return Err(refuse(format!(
                "`{name}` has {found} taps, its settings make that {taps}"
            ))
            .hint("say how it was trained: filter_size, lrelu_upsampling"));
        }
        stored.map_or_else(|| Ok(Filter::from_taps(&[1.0])?), Ok)
    };
    let base = if plan.torgb { Activation::LINEAR } else { Activation::LRELU };
    Ok(FilteredLrelu {
        up: plan.up,
        up_filter: filter("up_filter", plan.taps[0])?,
        down_filter: filter("down_filter", plan.taps[1])?,
        down: plan.down,
        padding: plan.padding,
        activation: Activation { clamp: c.conv_clamp, ..base },
    })
}

/// The synthesis network.
pub(super) struct Synthesis {
    input: Input,
    layers: Vec<Layer>,
    output_scale: f64,
}

impl Synthesis {
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        Ok(Self {
            input: Input::read(r, &c.input, c.w_dim)?,
            layers: c.layers.iter().map(|plan| Layer::read(r, c, plan)).collect::<Result<_>>()?,
            output_scale: c.output_scale,
        })
    }

    /// The styles of the Fourier features and of every layer, ws `[N, num_ws, w_dim]` → one tensor
    /// `[N, size]` each.
    pub(super) fn styles(&self, ws: &Tensor) -> Result<Vec<Tensor>> {
        let row = |i: usize| ws.narrow(1, i, 1)?.squeeze(1)?.contiguous();
        let mut all = vec![self.input.styles(&row(0)?)?];
        for (i, layer) in self.layers.iter().enumerate() {
            all.push(layer.affine.forward(&row(i + 1)?)?);
        }
        Ok(all)
    }

    /// Runs from a feature, or from the Fourier features under a transform, to the requested
    /// points.
    pub(super) fn tapped(
        &self,
        styles: &[Tensor],
        transform: Option<&Tensor>,
        (from, taps): (Option<&Feature>, &[Tap]),
    ) -> Result<Tapped> {
        let first = || self.input.forward(&styles[0], transform);
        // Point k is read by layer k, whose styles follow those of the Fourier features.
        let next = |k: usize, x: &Tensor| self.layers[k].forward(x, &styles[k + 1]);
        let (features, end) = through((from, taps), self.layers.len(), first, next)?;
        let picture = end.map(|x| x * self.output_scale).transpose()?;
        Ok(Tapped { features, picture, ..Tapped::default() })
    }
}
