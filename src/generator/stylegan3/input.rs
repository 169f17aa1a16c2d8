//! The Fourier features that a StyleGAN3 starts from (Karras et al. 2021, section 3.2).
//!
//! They are sines over the plane, so they can be moved and turned before they are sampled. With x
//! to the right and y down, in sides of the picture from its centre, the features at p are those of
//! `M · p`, with M the learned rotation and shift of the code times the given transform: a
//! transform is the inverse of how the picture moves.

use super::config::{INPUT_STYLES, InputPlan};
use crate::error::{Error, Result};
use crate::generator::layers::{Dense, Reader};
use crate::tensor::{conv2d, scale};
use candle_core::{Device, Tensor};
use std::f64::consts::TAU;

/// The Fourier features and the linear map after them.
pub(super) struct Input {
    affine: Dense,
    /// `[C, C, 1, 1]`, scaled.
    weight: Tensor,
    /// `[1, C, 2, 1]`.
    freqs: Tensor,
    /// `[1, C]`.
    phases: Tensor,
    /// The transform of the file, `[1, 3, 3]`.
    transform: Tensor,
    /// Positions of the columns `[W]` and rows `[H]` of pixels, in heights of the picture from its
    /// centre; times 2π.
    places: [Tensor; 2],
    plan: InputPlan,
}

impl Input {
    pub(super) fn read(r: &mut Reader<'_>, plan: &InputPlan, w_dim: usize) -> Result<Self> {
        let (c, name) = (plan.channels, |part: &str| format!("synthesis.input.{part}"));
        let weight = r.parameter(&name("weight"), &[c, c])?;
        let freqs = r.buffer(&name("freqs"), &[c, 2])?;
        Ok(Self {
            affine: Dense::read(r, &name("affine"), [w_dim, INPUT_STYLES], 1.0)?,
            weight: (weight * (1.0 / (c as f64).sqrt()))?.reshape((c, c, 1, 1))?,
            places: [
                places(plan.width, plan.sampling_rate, freqs.device())?,
                places(plan.size, plan.sampling_rate, freqs.device())?,
            ],
            freqs: freqs.reshape((1, c, 2, 1))?,
            phases: r.buffer(&name("phases"), &[c])?.unsqueeze(0)?,
            transform: r.buffer(&name("transform"), &[3, 3])?.unsqueeze(0)?,
            plan: plan.clone(),
        })
    }

    /// The styles of codes `[N, w_dim]`: `[N, 4]`.
    pub(super) fn styles(&self, w: &Tensor) -> Result<Tensor> {
        self.affine.forward(w)
    }

    /// Features of styles `[N, 4]` under a transform `[N or 1, 3, 3]`, the file's own where none is
    /// given: `[N, C, H, W]`.
    pub(super) fn forward(&self, styles: &Tensor, transform: Option<&Tensor>) -> Result<Tensor> {
        let n = styles.dim(0)?;
        let transform = transform.unwrap_or(&self.transform);
        if !matches!(transform.dims(), [m, 3, 3] if *m == 1 || *m == n) {
            return Err(Error::runtime(format!(
                "a transform of shape {:?} for {n} pictures",
                transform.dims()
            ))
            .hint("a transform is [1, 3, 3], or [N, 3, 3] with one matrix a picture"));
        }
        let moved = product(&learned(styles)?, transform)?;
        // The frequencies turned as the plane is, and their phases at its centre.
        let turned = self.freqs.broadcast_mul(&moved.unsqueeze(1)?)?.sum(2)?;
        let part = |i: usize| turned.narrow(2, i, 1)?.squeeze(2);
        let [x, y] = [part(0)?, part(1)?];
        let phases = (part(2)?.broadcast_add(&self.phases)? * TAU)?;
        let amplitudes = self.amplitudes(&x, &y)?;
        let column = |t: &Tensor| t.unsqueeze(2)?.unsqueeze(3);
        let along = column(&x)?.broadcast_mul(&self.places[0].reshape((1, 1, 1, ()))?)?;
        let down = column(&y)?
            .broadcast_mul(&self.places[1].reshape((1, 1, (), 1))?)?
            .broadcast_add(&column(&phases)?)?;
        let waves = down.broadcast_add(&along)?.sin()?;
        Ok(conv2d(&scale(&waves, &amplitudes)?, &self.weight, 1, 0)?)
    }

    /// Frequencies that the sampling cannot carry fade out: from 1 at the bandwidth to 0 at half
    /// the sampling rate. `[N, C]` each.
    fn amplitudes(&self, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let (rate, width) = (self.plan.sampling_rate, self.plan.bandwidth);
        // So small a number keeps the slope at zero a number.
        let length = ((x.sqr()? + y.sqr()?)? + 1e-30)?.sqrt()?;
        let fade = 1.0 / (rate / 2.0 - width);
        Ok(length.affine(-fade, 1.0 + width * fade)?.clamp(0.0, 1.0)?)
    }
}

/// The middles of `n` pixels, `rate` of them to a height of the picture, from the centre; times 2π.
fn places(n: usize, rate: f64, device: &Device) -> Result<Tensor> {
    let middle = n as f64 / 2.0;
    let at = |i: usize| ((i as f64 + 0.5 - middle) / rate * TAU) as f32;
    Ok(Tensor::from_vec((0..n).map(at).collect::<Vec<_>>(), n, device)?)
}

/// Rotation and shift of styles `[N, 4]`, the first two rows of the matrix: `[N, 2, 3]`.
fn learned(styles: &Tensor) -> Result<Tensor> {
    let part = |i: usize| styles.narrow(1, i, 1);
    let length = (part(0)?.sqr()? + part(1)?.sqr()?)?.sqrt()?;
    let unit = styles.broadcast_div(&length)?;
    let part = |i: usize| unit.narrow(1, i, 1);
    let (cos, sin, x, y) = (part(0)?, part(1)?, part(2)?, part(3)?);
    let minus = sin.neg()?;
    let across = ((&sin * &y)? - (&cos * &x)?)?;
    let down = ((&sin * &x)? + (&cos * &y)?)?.neg()?;
    let rows = Tensor::cat(&[&cos, &minus, &across, &sin, &cos, &down], 1)?;
    Ok(rows.reshape(((), 2, 3))?)
}

/// `a · b` of matrices `[N, 2, 3]` and `[N or 1, 3, 3]`: `[N, 2, 3]`.
fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(a.unsqueeze(3)?.broadcast_mul(&b.unsqueeze(1)?)?.sum(2)?)
}
