//! How far style codes turn away from those of samples: the normalized style space cosine distance
//! (NSCD) of LSAP (Cao et al. 2022, arXiv 2209.12746).
//!
//! The styles of a layer are brought to unit length. Their mean over samples of the prior gives the
//! layer's usual direction. The distance of a code is 1 − cosine to that direction, averaged over
//! the layers. Codes near the prior can be edited; codes that reach a picture by other styles turn
//! away from it.

use super::StyleLayer;
use crate::error::Result;
use candle_core::{D, DType, Tensor};

/// Keeps lengths off 0.
const LEAST: f64 = 1e-12;

/// The usual directions of a generator's styles.
#[derive(Clone, Debug)]
pub struct StyleDirections {
    /// A layer's place and number of styles in a style code, and its direction `[1, size]`.
    layers: Vec<(usize, usize, Tensor)>,
    /// The mean distance of the samples.
    pub typical: f64,
}

impl StyleDirections {
    /// The directions of the samples' styles, `[samples, s_dim]`.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub fn of(styles: &Tensor, sizes: &[StyleLayer]) -> Result<Self> {
        let mut at = 0;
        let mut layers = Vec::with_capacity(sizes.len());
        for layer in sizes {
            let mean = unit(&styles.narrow(1, at, layer.size)?)?.mean_keepdim(0)?;
            layers.push((at, layer.size, unit(&mean)?));
            at += layer.size;
        }
        let mut all = Self { layers, typical: 0.0 };
        let each = all.distance(styles)?.to_dtype(DType::F64)?;
        all.typical = each.mean_all()?.to_vec0()?;
        Ok(all)
    }

    /// NSCD of style codes, with gradients: from 0, along all directions, to 2.
    ///
    /// # Shapes
    /// `[N, s_dim]` → `[N]`
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub fn distance(&self, styles: &Tensor) -> Result<Tensor> {
        let mut cosines = Vec::with_capacity(self.layers.len());
        for (at, size, direction) in &self.layers {
            let styles = unit(&styles.narrow(1, *at, *size)?)?;
            cosines.push(styles.broadcast_mul(direction)?.sum_keepdim(1)?);
        }
        Ok(Tensor::cat(&cosines, 1)?.mean(1)?.affine(-1.0, 1.0)?)
    }
}

/// Rows at unit length, `[N, D]`.
fn unit(rows: &Tensor) -> Result<Tensor> {
    let length = (rows.sqr()?.sum_keepdim(D::Minus1)? + LEAST)?.sqrt()?;
    Ok(rows.broadcast_div(&length)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn layers(sizes: &[usize]) -> Vec<StyleLayer> {
        let layer =
            |(row, size): (usize, &usize)| StyleLayer { name: String::new(), row, size: *size };
        sizes.iter().enumerate().map(layer).collect()
    }

    fn codes(rows: &[[f32; 3]]) -> Tensor {
        Tensor::from_slice(rows.as_flattened(), (rows.len(), 3), &Device::Cpu).unwrap()
    }

    #[test]
    fn the_distance_is_the_mean_of_one_minus_the_cosines() {
        // Layer 1 has the samples (1, 0) and (0, 1), so the direction (1, 1)/√2; layer 2 has 2 and
        // 4.
        let of = codes(&[[1.0, 0.0, 2.0], [0.0, 3.0, 4.0]]);
        let directions = StyleDirections::of(&of, &layers(&[2, 1])).unwrap();
        let angle = std::f64::consts::FRAC_1_SQRT_2;
        assert!((directions.typical - (1.0 - angle) / 2.0).abs() < 1e-6);
        let asked = codes(&[[5.0, 5.0, 1.0], [-1.0, -1.0, -9.0], [1.0, -1.0, 7.0]]);
        let found = directions.distance(&asked).unwrap().to_vec1::<f32>().unwrap();
        for (found, wanted) in found.iter().zip([0.0, 2.0, 0.5]) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
    }

    #[test]
    fn styles_of_another_size_are_refused() {
        let directions = StyleDirections::of(&codes(&[[1.0; 3]]), &layers(&[2, 1])).unwrap();
        assert!(
            directions.distance(&Tensor::ones((1, 2), DType::F32, &Device::Cpu).unwrap()).is_err()
        );
        assert!(StyleDirections::of(&codes(&[[1.0; 3]]), &layers(&[2, 2])).is_err());
    }
}
