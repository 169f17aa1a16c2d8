//! Mean and spread of w over the prior.

use crate::control;
use crate::error::{Error, Result};
use crate::generator::{Generator, Input, spaces};
use crate::rng::Rng;
use crate::space::Space;
use candle_core::{DType, Device, Tensor};

/// Samples that NVIDIA's projector draws.
pub const PROJECTOR_SAMPLES: usize = 10_000;
/// Samples mapped at once: fixed, so that the rounding never depends on the machine.
const CHUNK: usize = 500;
/// The projector's seed: the statistics belong to the generator, not to a run.
const SEED: u64 = 123;

/// Mean and spread of w, or of style codes, over the prior.
#[derive(Clone, Debug)]
pub struct WStats {
    /// The mean, `[w_dim]` (of style codes `[s_dim]`) in f32.
    pub mean: Tensor,
    /// √(Σ ‖w − mean‖² / samples): the distance that a typical w has from the mean.
    pub sigma: f64,
    /// Samples drawn.
    pub samples: usize,
}

impl WStats {
    /// Statistics of w, or of z without a W, from `samples` fixed draws of z; a conditional
    /// generator is sampled with the first of the labels.
    ///
    /// # Errors
    /// When the mapping fails; `Interrupted` when it is stopped.
    pub fn of(generator: &dyn Generator, labels: Option<&Tensor>, samples: usize) -> Result<Self> {
        Self::in_space(generator, labels, samples, generator.spec().dims().usual())
    }

    /// As [`WStats::of`], for w or, in [`Space::S`], for the style codes of w.
    ///
    /// # Errors
    /// When the mapping fails, and in S where the generator has no styles.
    pub fn in_space(
        generator: &dyn Generator,
        labels: Option<&Tensor>,
        samples: usize,
        space: Space,
    ) -> Result<Self> {
        let spec = generator.spec();
        let dim = if space == Space::S { spec.s_dim() } else { spec.w_dim };
        let mut rng = Rng::new(SEED);
        let mut all: Vec<f32> = Vec::with_capacity(samples * dim);
        let mut drawn = 0;
        while drawn < samples {
            control::check()?;
            let n = CHUNK.min(samples - drawn);
            drawn += n;
            let z = Tensor::from_vec(rng.normals(n * spec.z_dim), (n, spec.z_dim), &Device::Cpu)?;
            let z = z.to_device(generator.device())?;
            let labels = labels.map(|l| l.narrow(0, 0, 1)).transpose()?;
            let input = Input::labelled(labels.as_ref());
            let code = spaces::rise(generator, &z, (Space::Z, space), &input)?;
            let code = code.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
            all.extend(code.flatten_all()?.to_vec1::<f32>()?);
        }
        let mean = mean_row(&all, dim);
        let square = |row: &[f32]| {
            row.iter().zip(&mean).map(|(v, m)| (f64::from(*v) - m).powi(2)).sum::<f64>()
        };
        let total: f64 = all.chunks_exact(dim).map(square).sum();
        let mean: Vec<f32> = mean.iter().map(|v| *v as f32).collect();
        let mean = Tensor::from_vec(mean, dim, &Device::Cpu)?.to_device(generator.device())?;
        Ok(Self { mean, sigma: (total / samples.max(1) as f64).sqrt(), samples })
    }
}

/// Offsets of the rows of a W+ code from their mean, in σ of w, up to which edits stay safe.
pub const SAFE_OFFSET: f64 = 0.5;

/// Where a code lies among those of the prior.
#[derive(Clone, Copy, Debug)]
pub struct Distance {
    /// How far its rows lie from their mean, in σ; 0 with one row.
    pub offset: f64,
    /// How far the mean of its rows lies from that of the prior, in σ.
    pub from_mean: f64,
}

impl Distance {
    /// The distances of codes `[N, D]` or `[N, L, D]`, for the mean `[D]` and the spread σ of their
    /// prior.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn of(point: &Tensor, (mean, sigma): (&Tensor, f64)) -> Result<Vec<Self>> {
        let numbers = |t: &Tensor| Ok::<_, Error>(t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?);
        let point = numbers(point)?;
        let rows = if point.rank() == 2 { point.unsqueeze(1)? } else { point };
        let centre = rows.mean_keepdim(1)?;
        let lengths = |apart: Tensor| -> Result<Vec<f64>> {
            let unit = sigma.max(f64::MIN_POSITIVE);
            Ok((apart.sqr()?.sum(2)?.mean(1)?.sqrt()? / unit)?.to_vec1()?)
        };
        let offsets = lengths(rows.broadcast_sub(&centre)?)?;
        let away = lengths(centre.broadcast_sub(&numbers(mean)?)?)?;
        let each = offsets.into_iter().zip(away);
        Ok(each.map(|(offset, from_mean)| Self { offset, from_mean }).collect())
    }
}

fn mean_row(all: &[f32], dim: usize) -> Vec<f64> {
    let mut sum = vec![0.0; dim];
    for row in all.chunks_exact(dim) {
        sum.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
    }
    let n = (all.len() / dim.max(1)).max(1) as f64;
    sum.into_iter().map(|s| s / n).collect()
}
