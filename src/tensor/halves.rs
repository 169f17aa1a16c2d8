//! StyleGAN2's modulated convolutions in f16, as the official code has them in its highest
//! resolutions on a GPU: features and weights stored in f16, sums and all that belongs to styles in
//! single precision.
//!
//! f16 ends at 65504. So weights and styles are first divided by their largest magnitudes, the
//! weights by √(I·k²) as well: no sum of products is then more than √(I·k²) times the largest
//! feature, and the activation's clamp limits those to 256. Demodulation cancels the divisors;
//! where there is none, single precision multiplies them back.

use super::act::scale;
use super::conv::conv2d;
use super::fir::Filter;
use super::modulated::{conv_up2, demodulation, squares};
use candle_core::{DType, Result, Tensor, bail};

/// A frozen convolution weight `[O, I, k, k]` in f16.
#[derive(Clone, Debug)]
pub struct HalfWeight {
    /// Divided, `[O, I, k, k]`; `[I, O, k, k]` of a layer that doubles the size.
    w: Tensor,
    /// `Σ_k w²` of the divided weights, `[O, I]`, in single precision.
    squares: Tensor,
    /// Divisors of the weights, `[1, O]`.
    divisors: Tensor,
}

impl HalfWeight {
    /// Scales and rounds a frozen weight in single precision; `up` when its layer doubles the size.
    ///
    /// # Errors
    /// When it has another rank, or is to be trained.
    pub fn new(w: &Tensor, up: bool) -> Result<Self> {
        if w.track_op() {
            bail!("weights that are trained stay in single precision");
        }
        let (o, i, k, _) = w.dims4()?;
        let flat = w.flatten_from(1)?;
        let divisors = (largest(&flat)? * ((i * k * k) as f64).sqrt())?; // [O1]
        let w = flat.broadcast_div(&divisors)?.reshape((o, i, k, k))?;
        let stored = if up { w.transpose(0, 1)?.contiguous()? } else { w.clone() };
        Ok(Self {
            w: stored.to_dtype(DType::F16)?,
            squares: squares(&w)?,
            divisors: divisors.t()?.contiguous()?,
        })
    }
}

/// The largest magnitude of every row, `[N, M]` → `[N, 1]`, never zero, as a constant: the scale
/// cancels in the result, so its gradient is zero.
fn largest(rows: &Tensor) -> Result<Tensor> {
    rows.detach().abs()?.max_keepdim(1)? + f64::from(f32::MIN_POSITIVE)
}

/// A modulated and demodulated convolution, zero padded; with a filter it doubles the size.
///
/// # Shapes
/// x `[N, I, H, W]` in f16, style `[N, I]` in single precision → `[N, O, H, W]` or `[N, O, 2H, 2W]`
/// in f16.
pub fn half_conv(
    x: &Tensor,
    weight: &HalfWeight,
    style: &Tensor,
    up: Option<&Filter>,
) -> Result<Tensor> {
    let style = style.broadcast_div(&largest(style)?)?;
    let x = scale(x, &style)?;
    let y = match up {
        Some(filter) => conv_up2(&x, &weight.w, filter)?,
        None => conv2d(&x, &weight.w, 1, weight.w.dim(2)? / 2)?,
    };
    scale(&y, &demodulation(&style, &weight.squares)?)
}

/// A modulated convolution without demodulation: toRGB.
///
/// # Shapes
/// x `[N, I, H, W]` in f16, style `[N, I]` → `[N, O, H, W]`, both in single precision.
pub fn half_rgb(x: &Tensor, weight: &HalfWeight, style: &Tensor) -> Result<Tensor> {
    let most = largest(style)?; // [N1]
    let x = scale(x, &style.broadcast_div(&most)?)?;
    let y = conv2d(&x, &weight.w, 1, weight.w.dim(2)? / 2)?.to_dtype(DType::F32)?;
    scale(&y, &most.broadcast_mul(&weight.divisors)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::{Activation, Weight, bias_act, modulated_conv, modulated_conv_up2};
    use candle_core::{Device, Var};

    fn draw(name: &str, shape: &[usize], size: f64) -> Tensor {
        let values = Rng::derive(5, name).normals(shape.iter().product());
        (Tensor::from_vec(values, shape, &Device::Cpu).unwrap() * size).unwrap()
    }

    fn flat(t: &Tensor) -> Vec<f32> {
        t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Within 1e-2 of the peak, and really of f16: not the bits of single precision.
    fn close(what: &str, found: &Tensor, expected: &Tensor) {
        let (found, expected) = (flat(found), flat(expected));
        let peak = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(
            found.iter().all(|v| v.is_finite()) && worst <= 1e-2 * peak,
            "{what}: off by {worst}, peak {peak}"
        );
        assert!(worst > 1e-6 * peak, "{what}: not rounded");
    }

    /// The value and the gradients to features and styles.
    fn run(x: &Tensor, s: &Tensor, f: &dyn Fn(&Tensor, &Tensor) -> Result<Tensor>) -> [Tensor; 3] {
        let vars = [x, s].map(|t| Var::from_tensor(t).unwrap());
        let y = f(&vars[0], &vars[1]).unwrap();
        let probe = draw("probe", y.dims(), 1.0);
        let loss = (y.to_dtype(DType::F32).unwrap() * probe).unwrap().sum_all().unwrap();
        let grads = loss.backward().unwrap();
        let [dx, ds] = [0, 1].map(|i| grads.get(&vars[i]).unwrap().clone());
        [y, dx, ds]
    }

    #[test]
    fn half_equals_single_precision_within_a_hundredth_also_where_plain_f16_overflows() {
        let filter = Filter::new(&[1.0, 3.0, 3.0, 1.0]).unwrap();
        // At ordinary size, and at a size at which f16 could not even hold x · s.
        for (styles, weights) in [(1.0, 1.0), (3e3, 40.0), (1e-4, 1e-3)] {
            let (x, s) = (draw("x", &[2, 24, 9, 9], 3.0), draw("s", &[2, 24], styles));
            let what = format!("styles of {styles}, weights of {weights}");
            let w3 = draw("w3", &[20, 24, 3, 3], weights);
            let (single, half) = (Weight::new(w3.clone()), HalfWeight::new(&w3, false).unwrap());
            let pairs = [
                (run(&x, &s, &|x, s| half_conv(&x.to_dtype(DType::F16)?, &half, s, None)), {
                    run(&x, &s, &|x, s| modulated_conv(x, &single, s, true))
                }),
                {
                    let (single, half) =
                        (Weight::new(w3.clone()), HalfWeight::new(&w3, true).unwrap());
                    let found = run(&x, &s, &|x, s| {
                        half_conv(&x.to_dtype(DType::F16)?, &half, s, Some(&filter))
                    });
                    (found, run(&x, &s, &|x, s| modulated_conv_up2(x, &single, s, &filter)))
                },
                {
                    let w1 = draw("w1", &[3, 24, 1, 1], weights);
                    let (single, half) =
                        (Weight::new(w1.clone()), HalfWeight::new(&w1, false).unwrap());
                    let found = run(&x, &s, &|x, s| half_rgb(&x.to_dtype(DType::F16)?, &half, s));
                    (found, run(&x, &s, &|x, s| modulated_conv(x, &single, s, false)))
                },
            ];
            for ((found, expected), name) in pairs.iter().zip(["conv", "up", "toRGB"]) {
                // Demodulation's 1e-8 counts for tiny weights in single precision, and no longer
                // after the division. toRGB's gradients are themselves beyond f16 where its factors
                // are.
                let parts = match (name, styles > 1.0, styles < 1.0) {
                    ("toRGB", false, false) | ("conv" | "up", _, false) => 3,
                    ("toRGB", ..) => 1,
                    _ => 0,
                };
                for (i, part) in
                    ["value", "gradient of x", "gradient of s"].iter().enumerate().take(parts)
                {
                    close(&format!("{name}, {part}, {what}"), &found[i], &expected[i]);
                }
                assert_eq!(found[0].dtype(), if name == "toRGB" { DType::F32 } else { DType::F16 });
            }
        }
        // Plain f16, for contrast.
        let (x, s, w) = (
            draw("x", &[2, 24, 9, 9], 3.0),
            draw("s", &[2, 24], 3e3),
            draw("w3", &[20, 24, 3, 3], 40.0),
        );
        let plain = conv2d(
            &scale(&x.to_dtype(DType::F16).unwrap(), &s).unwrap(),
            &w.to_dtype(DType::F16).unwrap(),
            1,
            1,
        );
        assert!(flat(&plain.unwrap()).iter().any(|v| !v.is_finite()));
    }

    #[test]
    fn the_largest_sum_there_can_be_stays_finite() {
        // All features at the clamp, all weights and styles alike.
        let ones = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
        let x =
            (ones(&[1, 512, 4, 4]) * (256.0 * 2f64.sqrt())).unwrap().to_dtype(DType::F16).unwrap();
        let weight = HalfWeight::new(&(ones(&[2, 512, 3, 3]) * 1e3).unwrap(), false).unwrap();
        let y = half_conv(&x, &weight, &(ones(&[1, 512]) * 1e3).unwrap(), None).unwrap();
        // All nine taps meet in the middle: 362 · √4608 · demodulation 1.
        let middle = f64::from(flat(&y)[5]);
        assert!((middle / (256.0 * 2f64.sqrt() * 4608f64.sqrt()) - 1.0).abs() < 2e-3, "{middle}");
        let act = Activation { clamp: Some(256.0), ..Activation::LRELU };
        let limited =
            bias_act(&y, &Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap(), act).unwrap();
        assert_eq!((limited.dtype(), flat(&limited)[5]), (DType::F16, 256.0));
    }
}
