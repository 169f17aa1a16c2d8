//! MS-SSIM with gradients, for losses.

use super::ssim::{C1, C2, SCALES, WINDOW, gaussian};
use crate::error::{Error, Result};
use crate::tensor::{Filter, Resample, fir};
use candle_core::Tensor;

/// Means below this count through the tangent of the logarithm there.
const LEAST: f64 = 0.05;

/// The similarity of pictures to fixed targets, with gradients into the pictures.
///
/// It is MS-SSIM as [`super::MsSsim`] defines it, with two differences that a loss needs:
/// - Pictures below 176 pixels a side have only the scales at which the window fits; the exponents
///   of these are divided by their sum.
/// - The logarithm of a scale's mean continues below 0.05 as its tangent. There the definition has
///   an infinite slope or, from 0 on, none, so pictures of the opposite contrast would never move.
pub struct Multiscale {
    filter: Filter,
    scales: Vec<Scale>,
}

/// What is known of the targets at a scale.
struct Scale {
    /// Values, less 0.5: variances lose fewer digits around 0.
    values: Tensor,
    mean: Tensor,
    variance: Tensor,
    exponent: f64,
}

impl Multiscale {
    /// Refuses a size at which the window does not fit.
    ///
    /// # Errors
    /// When a side is below 11 pixels.
    pub fn check((h, w): (usize, usize)) -> Result<()> {
        if h.min(w) >= WINDOW {
            return Ok(());
        }
        Err(Error::runtime(format!("msssim needs pictures of 11 pixels a side, not {w}×{h}"))
            .note("its 11×11 window must fit")
            .hint("use l2 or huber"))
    }

    /// The similarity to these targets, `[N, C, H, W]` in [-1, 1].
    ///
    /// # Errors
    /// When a side is below 11 pixels.
    pub fn to(targets: &Tensor) -> Result<Self> {
        let (_, _, h, w) = targets.dims4()?;
        Self::check((h, w))?;
        let filter = Filter::new(&gaussian())?;
        let fits = |k: usize| h.min(w) >> k >= WINDOW;
        let own: Vec<f64> =
            SCALES.iter().enumerate().filter(|(k, _)| fits(*k)).map(|(_, e)| *e).collect();
        // Those of all five are as published, with the sum 1.0001.
        let sum: f64 = if own.len() < SCALES.len() { own.iter().sum() } else { 1.0 };
        let mut values = (targets.detach() / 2.0)?;
        let mut scales = Vec::with_capacity(own.len());
        for exponent in &own {
            let mean = blurred(&values, &filter)?;
            let variance = (blurred(&values.sqr()?, &filter)? - mean.sqr()?)?;
            let halved = if scales.len() + 1 < own.len() { Some(halved(&values)?) } else { None };
            scales.push(Scale { values, mean, variance, exponent: exponent / sum });
            let Some(next) = halved else { break };
            values = next;
        }
        Ok(Self { filter, scales })
    }

    /// Scales that are compared.
    #[cfg(test)]
    pub fn scales(&self) -> usize {
        self.scales.len()
    }

    /// The similarity of each picture to its target, mean over the channels: 1 for equal pictures.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N]`, with gradients.
    ///
    /// # Errors
    /// When the size is not that of the targets.
    pub fn similarity(&self, pictures: &Tensor) -> Result<Tensor> {
        let mut values = (pictures / 2.0)?;
        let mut sum: Option<Tensor> = None;
        for (k, scale) in self.scales.iter().enumerate() {
            if k > 0 {
                values = halved(&values)?;
            }
            let last = k + 1 == self.scales.len();
            let part = (logarithm(&self.alike(&values, scale, last)?)? * scale.exponent)?;
            sum = Some(match sum {
                Some(s) => (s + part)?,
                None => part,
            });
        }
        let sum = sum.ok_or_else(|| Error::runtime("no scale fits the pictures"))?;
        Ok(sum.exp()?.mean(1)?)
    }

    /// The mean over the picture of contrast and structure, at the `last` scale times luminance:
    /// `[N, C]`.
    fn alike(&self, values: &Tensor, scale: &Scale, last: bool) -> Result<Tensor> {
        let mean = blurred(values, &self.filter)?;
        let variance = (blurred(&values.sqr()?, &self.filter)? - mean.sqr()?)?;
        let covariance =
            (blurred(&(values * &scale.values)?, &self.filter)? - (&mean * &scale.mean)?)?;
        let spread = (&variance + &scale.variance)?;
        // Sums of the small rest keep more digits than sums of the similarity itself.
        let rest = ((&spread - (covariance * 2.0)?)? / (spread + C2)?)?;
        let rest = if last {
            let apart = (&mean - &scale.mean)?.sqr()?;
            let level = ((mean + 0.5)?.sqr()? + (&scale.mean + 0.5)?.sqr()?)?;
            let luminance = (apart / (level + C1)?)?;
            // 1 − (1 − a)(1 − b)
            ((&rest + &luminance)? - (&rest * &luminance)?)?
        } else {
            rest
        };
        // Sums of rows first: one long sum in single precision loses digits.
        Ok((1.0 - rest.mean(3)?.mean(2)?)?)
    }
}

/// The logarithm, below [`LEAST`] its tangent there.
fn logarithm(x: &Tensor) -> Result<Tensor> {
    let below = ((x.minimum(LEAST)? - LEAST)? / LEAST)?;
    Ok((x.maximum(LEAST)?.log()? + below)?)
}

/// The Gaussian mean at every place where the whole window lies inside.
fn blurred(x: &Tensor, filter: &Filter) -> Result<Tensor> {
    Ok(fir(x, filter, Resample { up: 1, down: 1, before: 0, after: 0, gain: 1.0 })?)
}

/// Half the size: means of 2×2; an odd last row or column is dropped.
fn halved(x: &Tensor) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    let even = x.narrow(2, 0, h / 2 * 2)?.narrow(3, 0, w / 2 * 2)?.contiguous()?;
    Ok(even.avg_pool2d(2)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Metric, MsSsim};
    use crate::rng::Rng;
    use candle_core::{Device, Var, safetensors};

    fn values(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn equals_torch_in_value_and_gradient() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/reference/terms/msssim.safetensors");
        let all = safetensors::load(path, &Device::Cpu).unwrap();
        let mut scales = Vec::new();
        for case in ["large", "odd", "small", "least"] {
            let of = |what: &str| all[&format!("{case}.{what}")].clone();
            let similarity = Multiscale::to(&of("target")).unwrap();
            scales.push(similarity.scales());
            let picture = Var::from_tensor(&of("picture")).unwrap();
            let value = similarity.similarity(&picture).unwrap();
            for (got, want) in values(&value).iter().zip(values(&of("value"))) {
                assert!((got - want).abs() < 1e-4 * (1.0 - want), "{case}: {got} {want}");
            }
            let grads = value.sum_all().unwrap().backward().unwrap();
            let (got, want) = (grads.get(&picture).unwrap(), of("gradient"));
            let size = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
            let error = (size(&(got - &want).unwrap()) / size(&want)).sqrt();
            assert!(error < 1e-4, "{case}: relative error of the gradient {error}");
        }
        assert_eq!(scales, [5, 5, 2, 1]);
    }

    #[test]
    fn equals_the_metric_where_that_is_defined_and_each_alone() {
        let noise = |seed: u64| {
            let data = Rng::new(seed).normals(2 * 2 * 180 * 177);
            (Tensor::from_vec(data, (2, 2, 180, 177), &Device::Cpu).unwrap() * 0.2).unwrap()
        };
        let (a, b) = (noise(1), (noise(1) + noise(2)).unwrap());
        let got = values(&Multiscale::to(&a).unwrap().similarity(&b).unwrap());
        for (got, want) in got.iter().zip(MsSsim.measure(&a, &b).unwrap()) {
            assert!((f64::from(*got) - want).abs() < 2e-6, "{got} {want}");
        }
        for (i, together) in got.iter().enumerate() {
            let [a, b] = [&a, &b].map(|t| t.narrow(0, i, 1).unwrap().contiguous().unwrap());
            assert_eq!(values(&Multiscale::to(&a).unwrap().similarity(&b).unwrap()), [*together]);
        }
    }

    #[test]
    fn opposite_contrast_has_a_slope_and_tiny_pictures_are_refused() {
        let target = Tensor::from_vec(Rng::new(3).normals(32 * 32), (1, 1, 32, 32), &Device::Cpu);
        let target = (target.unwrap() * 0.3).unwrap();
        let opposite = Var::from_tensor(&(&target * -1.0).unwrap()).unwrap();
        let value = Multiscale::to(&target).unwrap().similarity(&opposite).unwrap();
        let grads = value.backward().unwrap();
        let towards = (grads.get(&opposite).unwrap() * &target).unwrap().sum_all().unwrap();
        assert!(towards.to_scalar::<f32>().unwrap() > 0.0 && values(&value)[0] > 0.0);
        let tiny = Tensor::zeros((1, 1, 10, 40), candle_core::DType::F32, &Device::Cpu).unwrap();
        let e = Multiscale::to(&tiny).err().unwrap();
        assert!(e.message().contains("40×10") && e.repair() == Some("use l2 or huber"));
    }
}
