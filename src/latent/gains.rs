//! Gains of weights, for several codes.

use super::parts::{Part, Parts};
use crate::error::Result;
use candle_core::Tensor;

impl Parts {
    /// The gain of a weight, `[N or 1, O, C]`: its own and that of its factors; `None` where it has
    /// none.
    ///
    /// # Errors
    /// When the factors do not fit each other.
    pub fn gain(&self, weight: usize) -> Result<Option<Tensor>> {
        let low = match (self.get(Part::GainLeft(weight)), self.get(Part::GainRight)) {
            (Some(left), Some(right)) => Some(left.broadcast_matmul(right)?),
            _ => None,
        };
        Ok(match (self.get(Part::Gain(weight)), low) {
            (Some(a), Some(b)) => Some(a.broadcast_add(&b)?),
            (a, b) => a.cloned().or(b),
        })
    }

    /// The same codes without factors of gains: each weight has its gain as a whole.
    fn expanded(&self) -> Result<Self> {
        let mut parts = self.clone().without(&[Part::GainRight]);
        for (part, _) in self.iter() {
            let Part::GainLeft(weight) = part else { continue };
            parts = parts.without(&[part]);
            if let Some(gain) = self.gain(weight)? {
                parts.insert(Part::Gain(weight), gain);
            }
        }
        Ok(parts)
    }
}

/// The same codes, whose left factors of gains belong to one right factor: those of several have
/// their gains as a whole.
///
/// # Errors
/// When the factors of a code do not fit each other.
pub(super) fn alike(all: &[Parts]) -> Result<Vec<Parts>> {
    let mut rights = all.iter().filter_map(|parts| parts.get(Part::GainRight));
    let one = match rights.next() {
        Some(first) => rights.map(|r| same(first, r)).collect::<Result<Vec<_>>>()?,
        None => Vec::new(),
    };
    if one.iter().all(|same| *same) {
        return Ok(all.to_vec());
    }
    all.iter().map(Parts::expanded).collect()
}

/// Whether two tensors have the same numbers.
fn same(a: &Tensor, b: &Tensor) -> Result<bool> {
    if a.dims() != b.dims() {
        return Ok(false);
    }
    Ok(a.ne(b)?.to_dtype(candle_core::DType::F32)?.sum_all()?.to_scalar::<f32>()? == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn t(shape: &[usize], k: f32) -> Tensor {
        let n: usize = shape.iter().product();
        let values = (0..n).map(|i| k + 0.7 * i as f32).collect::<Vec<_>>();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// The gains of weight 0, `[N, 2, 3]`, 0 without any.
    fn gains(parts: &Parts) -> Vec<f32> {
        let none = || Tensor::zeros((1, 2, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
        let gain = parts.gain(0).unwrap().unwrap_or_else(none);
        let all = gain.broadcast_as((parts.count(), 2, 3)).unwrap();
        all.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Codes with a gain as a whole, with factors, with others, without any.
    fn codes() -> [Parts; 4] {
        let code = |k: f32| Parts::of(t(&[1, 4], k));
        let (left, right) = (Part::GainLeft(0), Part::GainRight);
        [
            code(1.0).with(Part::Gain(0), t(&[1, 2, 3], 0.3)),
            code(2.0).with(left, t(&[1, 2, 2], 1.0)).with(right, t(&[1, 2, 3], -2.0)),
            code(3.0).with(left, t(&[1, 2, 1], 0.5)).with(right, t(&[1, 1, 3], 4.0)),
            code(4.0),
        ]
    }

    #[test]
    fn between_two_codes_a_gain_is_the_mean_of_both() {
        let all = codes();
        for a in &all {
            for b in &all {
                let (from, to) = (gains(a), gains(b));
                for share in [0.0, 0.25, 1.0] {
                    let mixed = gains(&a.between(b, f64::from(share)).unwrap());
                    for ((got, x), y) in mixed.into_iter().zip(&from).zip(&to) {
                        assert!((got - (1.0 - share) * x - share * y).abs() < 1e-5);
                    }
                }
            }
        }
    }

    #[test]
    fn codes_of_one_right_factor_share_it_and_all_keep_their_gains() {
        let [whole, low, other, none] = codes();
        let alike = Parts::gathered(&[low.clone(), low.clone(), none.clone()]).unwrap();
        assert_eq!(alike.get(Part::GainRight).unwrap().dims(), [1, 2, 3]);
        assert_eq!(gains(&alike), [gains(&low), gains(&low), gains(&none)].concat());
        let each = [whole, low, other, none];
        let all = Parts::gathered(&each).unwrap();
        for (i, own) in each.iter().enumerate() {
            assert_eq!(gains(&all.slice(i, 1).unwrap()), gains(own), "code {i}");
        }
        assert!(each[1].tune() && !each[3].tune());
        assert_eq!(each[1].stored_bytes(), 4 * 4 + 2 * (4 + 6));
    }
}
