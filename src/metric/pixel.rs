//! Differences of pixel values: MSE, MAE, RMSE, PSNR.

use super::Metric;
use super::planes::pair;
use crate::error::Result;
use candle_core::Tensor;

/// Mean over one picture's values of `f(a - b)`, on the [0, 1] scale.
fn mean_of(a: &Tensor, b: &Tensor, f: impl Fn(f64) -> f64) -> Result<Vec<f64>> {
    let (a, b) = pair(a, b)?;
    let one = |i: usize| -> Result<f64> {
        // `Iterator::sum` of doubles begins at -0.
        let mut sum = -0.0;
        for (k, y) in (0..a.c).flat_map(|k| (0..a.h).step_by(a.band()).map(move |y| (k, y))) {
            let n = a.band().min(a.h - y);
            let (p, q) = (a.rows(i, k, y, n)?, b.rows(i, k, y, n)?);
            p.iter().zip(&q).for_each(|(p, q)| sum += f(p - q));
        }
        Ok(sum / (a.c * a.h * a.w) as f64)
    };
    (0..a.n).map(one).collect()
}

/// Mean squared error.
pub struct Mse;

impl Metric for Mse {
    fn name(&self) -> &'static str {
        "mse"
    }
    fn definition(&self) -> String {
        "mean squared error over all pixels and channels, values in [0, 1] (on [-1, 1] it would be \
         4 times this)"
            .into()
    }
    fn measure(&self, a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
        mean_of(a, b, |d| d * d)
    }
}

/// Mean absolute error.
pub struct Mae;

impl Metric for Mae {
    fn name(&self) -> &'static str {
        "mae"
    }
    fn definition(&self) -> String {
        "mean absolute error over all pixels and channels, values in [0, 1] (on [-1, 1] it would \
         be twice this)"
            .into()
    }
    fn measure(&self, a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
        mean_of(a, b, f64::abs)
    }
}

/// Root of the mean squared error.
pub struct Rmse;

impl Metric for Rmse {
    fn name(&self) -> &'static str {
        "rmse"
    }
    fn definition(&self) -> String {
        "root of the mean squared error over all pixels and channels, values in [0, 1] (on [-1, 1] \
         twice this)"
            .into()
    }
    fn measure(&self, a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
        Ok(Mse.measure(a, b)?.into_iter().map(f64::sqrt).collect())
    }
}

/// Peak signal-to-noise ratio; infinite for equal pictures.
pub struct Psnr;

impl Metric for Psnr {
    fn name(&self) -> &'static str {
        "psnr"
    }
    fn unit(&self) -> &'static str {
        "dB"
    }
    fn definition(&self) -> String {
        "10 log10(peak² / MSE), peak 2 for values in [-1, 1] (the same as peak 1 in [0, 1]), all \
         channels together, \
         values not clamped"
            .into()
    }
    fn measure(&self, a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
        Ok(Mse.measure(a, b)?.into_iter().map(|m| -10.0 * libm::log10(m)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn pictures(values: &[f32], n: usize) -> Tensor {
        Tensor::from_slice(values, (n, 1, 1, values.len() / n), &Device::Cpu).unwrap()
    }

    #[test]
    fn closed_forms() {
        // A difference of 1 on [-1, 1] everywhere is .5 on [0, 1]: MSE .25, PSNR 10 log10(4).
        let (a, b) = (pictures(&[0., 0., 0., 0.], 1), pictures(&[1., -1., 1., -1.], 1));
        assert_eq!(Mse.measure(&a, &b).unwrap(), [0.25]);
        assert_eq!(Mae.measure(&a, &b).unwrap(), [0.5]);
        assert_eq!(Rmse.measure(&a, &b).unwrap(), [0.5]);
        assert!((Psnr.measure(&a, &b).unwrap()[0] - 6.020_599_913_279_624).abs() < 1e-12);
        assert_eq!(Psnr.measure(&a, &a).unwrap(), [f64::INFINITY]);
    }

    #[test]
    fn bands_of_rows_change_no_bit() {
        // Three bands of a channel, the last one shorter.
        let (h, w) = (5, 100_000);
        let side = 2 * h * w;
        let data = |seed: u64| crate::rng::Rng::new(seed).normals(side);
        let (p, q) = (data(1), data(2));
        let t = |v: &[f32]| Tensor::from_slice(v, (1, 2, h, w), &Device::Cpu).unwrap();
        let unit = |v: &f32| (f64::from(*v) + 1.0) / 2.0;
        let squares = p.iter().zip(&q).map(|(p, q)| (unit(p) - unit(q)).powi(2));
        let whole = squares.sum::<f64>() / side as f64;
        assert_eq!(Mse.measure(&t(&p), &t(&q)).unwrap()[0].to_bits(), whole.to_bits());
    }

    #[test]
    fn one_number_a_picture() {
        let (a, b) = (pictures(&[0., 0., 0., 0.], 2), pictures(&[0., 0., 2., 0.], 2));
        assert_eq!(Mse.measure(&a, &b).unwrap(), [0.0, 0.5]);
    }

    #[test]
    fn different_shapes_name_the_repair() {
        let e = Mse.measure(&pictures(&[0., 0.], 1), &pictures(&[0., 0.], 2)).unwrap_err();
        assert!(e.repair().unwrap().contains("resize"));
    }
}
