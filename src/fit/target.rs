//! What the regression predicts: w about its mean, along its principal axes, in units of their
//! spread.

use crate::control;
use crate::eigen;
use crate::error::{Error, Result};
use crate::generator::{Generator, Input, spaces};
use crate::rng::Rng;
use crate::space::Space;
use crate::tensor::linear;
use candle_core::{DType, Device, Tensor};

/// Codes whose statistics are taken.
const CODES: usize = 4096;
/// Codes that are mapped at once: fixed, so that the rounding never depends on the machine.
const CHUNK: usize = 512;
/// Axes whose variance is a smaller share of the largest one are left at the mean.
const LEAST: f64 = 1e-6;

/// The statistics of w over the prior, and over the classes of a conditional generator.
pub struct Target {
    /// The mean, `[1, D]`.
    pub mean: Tensor,
    /// The principal axes times their spread, `[D, M]`: w is mean + axes · t.
    pub axes: Tensor,
    /// The axes by their spread, `[M, D]`: t is inverse · (w − mean).
    inverse: Tensor,
    /// The spread of each axis as a share of their sum, `[1, M]`: what an axis counts in the loss.
    pub shares: Tensor,
}

impl Target {
    /// Statistics of codes that do not depend on a seed: they belong to the generator.
    ///
    /// # Errors
    /// When the mapping fails, and for a generator whose codes do not differ.
    pub fn of(g: &dyn Generator) -> Result<Self> {
        let mut all: Vec<f32> = Vec::with_capacity(CODES * g.spec().w_dim);
        for chunk in 0..CODES / CHUNK {
            control::check()?;
            let (w, _) = codes(g, &mut Rng::derive(0, &format!("statistics of w {chunk}")), CHUNK)?;
            all.extend(w.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?);
        }
        Self::from_codes(&all, g.spec().w_dim, g.device())
    }

    fn from_codes(all: &[f32], dim: usize, device: &Device) -> Result<Self> {
        let (mean, covariance) = eigen::covariance(all, dim)?;
        let found = eigen::symmetric(&covariance, dim)?;
        let largest = found.values.last().copied().unwrap_or(0.0);
        let kept: Vec<usize> =
            (0..dim).rev().filter(|i| found.values[*i] > LEAST * largest).collect();
        if kept.is_empty() || largest <= 0.0 {
            return Err(Error::runtime("the codes of the generator do not differ"));
        }
        let spread: Vec<f64> = kept.iter().map(|i| found.values[*i].sqrt()).collect();
        let row = |i: usize| &found.vectors[i * dim..(i + 1) * dim];
        let inverse: Vec<f32> = kept
            .iter()
            .zip(&spread)
            .flat_map(|(i, s)| row(*i).iter().map(move |v| (v / s) as f32))
            .collect();
        let by_axis: Vec<f32> = kept
            .iter()
            .zip(&spread)
            .flat_map(|(i, s)| row(*i).iter().map(move |v| (v * s) as f32))
            .collect();
        let sum: f64 = spread.iter().sum();
        let shares: Vec<f32> = spread.iter().map(|s| (s / sum) as f32).collect();
        let mean: Vec<f32> = mean.iter().map(|v| *v as f32).collect();
        let put = |values: Vec<f32>, shape: (usize, usize)| -> Result<Tensor> {
            Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_device(device)?)
        };
        let m = kept.len();
        Ok(Self {
            mean: put(mean, (1, dim))?,
            axes: put(by_axis, (m, dim))?.t()?.contiguous()?,
            inverse: put(inverse, (m, dim))?,
            shares: put(shares, (1, m))?,
        })
    }

    /// Codes in units of the axes, `[N, D]` → `[N, M]`.
    ///
    /// # Errors
    /// For codes of another size.
    pub fn whitened(&self, w: &Tensor) -> Result<Tensor> {
        Ok(linear(&w.broadcast_sub(&self.mean)?, &self.inverse)?)
    }

    /// Codes from units of the axes, `[N, M]` → `[N, D]`.
    ///
    /// # Errors
    /// For another number of axes.
    pub fn codes(&self, t: &Tensor) -> Result<Tensor> {
        Ok(linear(t, &self.axes)?.broadcast_add(&self.mean)?)
    }

    /// R² of codes that were predicted: 1 − ∑‖w − ŵ‖² / ∑‖w − mean‖², over these codes.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn r2(&self, w: &Tensor, predicted: &Tensor) -> Result<f64> {
        let sum = |t: &Tensor| -> Result<f64> {
            Ok(f64::from(t.sqr()?.sum_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()?))
        };
        Ok(1.0 - sum(&(w - predicted)?)? / sum(&w.broadcast_sub(&self.mean)?)?)
    }
}

/// Codes of the prior, `[n, D]` of W, and the labels that they were drawn with, `[n, C]`: of a
/// conditional generator classes at random.
///
/// # Errors
/// When the mapping fails.
pub fn codes(g: &dyn Generator, rng: &mut Rng, n: usize) -> Result<(Tensor, Option<Tensor>)> {
    let classes = g.spec().classes();
    let labels = match classes {
        0 => None,
        _ => {
            let mut all = vec![0f32; n * classes];
            all.chunks_exact_mut(classes).for_each(|row| row[rng.below(classes)] = 1.0);
            Some(Tensor::from_vec(all, (n, classes), &Device::Cpu)?.to_device(g.device())?)
        }
    };
    let draw = spaces::Draw {
        seed: rng.next_u64(),
        space: Space::W,
        labels: labels.as_ref(),
        ..spaces::Draw::default()
    };
    Ok((spaces::sample(g, n, draw)?.point().to_dtype(DType::F32)?, labels))
}

/// The pictures of codes of W, `[n, C, H, W]` in [-1, 1], without gradients.
///
/// # Errors
/// When rendering fails.
pub fn pictures(g: &dyn Generator, w: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
    let picture = spaces::picture(g, w, Space::W, &Input::labelled(labels))?.detach();
    Ok(picture.to_dtype(DType::F32)?.clamp(-1f32, 1f32)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::toy::Toy;

    #[test]
    fn whitened_codes_have_mean_0_and_unit_covariance() {
        // Three numbers, of which the third is the sum of the others: two axes.
        let mut rng = Rng::new(3);
        let all: Vec<f32> = (0..2000)
            .flat_map(|_| {
                let [a, b] = [3.0 * rng.normal() + 1.0, 0.2 * rng.normal() - 2.0];
                [a as f32, b as f32, (a + b) as f32]
            })
            .collect();
        let target = Target::from_codes(&all, 3, &Device::Cpu).unwrap();
        assert_eq!(target.shares.elem_count(), 2);
        let w = Tensor::from_vec(all, (2000, 3), &Device::Cpu).unwrap();
        let t = target.whitened(&w).unwrap();
        let covariance = t.t().unwrap().matmul(&t).unwrap().to_vec2::<f32>().unwrap();
        for (i, row) in covariance.iter().enumerate() {
            for (j, v) in row.iter().enumerate() {
                let expected = f32::from(u8::from(i == j));
                assert!((v / 2000.0 - expected).abs() < 1e-3, "{i} {j} {v}");
            }
        }
        let back = target.codes(&t).unwrap();
        assert!(target.r2(&w, &back).unwrap() > 0.999_999);
        let mean = target.mean.broadcast_as((2000, 3)).unwrap();
        assert!(target.r2(&w, &mean).unwrap().abs() < 1e-6);
    }

    #[test]
    fn classes_are_drawn_for_a_conditional_generator() {
        let g = Toy { c_dim: 3, ..Toy::default() }.build(&Device::Cpu).unwrap();
        let (w, labels) = codes(&g, &mut Rng::new(1), 40).unwrap();
        let labels = labels.unwrap();
        assert_eq!((w.dims(), labels.dims()), (&[40, 16][..], &[40, 3][..]));
        let sums = labels.sum(0).unwrap().to_vec1::<f32>().unwrap();
        assert!(sums.iter().all(|v| *v > 3.0) && sums.iter().sum::<f32>() == 40.0, "{sums:?}");
        assert_eq!(pictures(&g, &w, Some(&labels)).unwrap().dims(), [40, 3, 32, 32]);
        assert!(Target::of(&g).is_ok());
    }
}
