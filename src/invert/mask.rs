//! Masks: how much every pixel of a picture counts.

use crate::error::{Error, Result};
use crate::metric::resize_to;
use candle_core::{DType, Device, Tensor};

/// Weight of every pixel, from 0 (ignored) to 1 (full weight).
#[derive(Clone, Debug)]
pub struct Mask {
    /// The weights, `[1, 1, H, W]` in f32 on the CPU, in [0, 1].
    data: Tensor,
    /// Description of its making, for provenance.
    pub origin: String,
}

/// A shape in shares of the side: 0 is the left or upper edge, 1 the right or lower one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Centre and radii.
    Ellipse([f64; 4]),
    /// Left, upper, right and lower edge.
    Rectangle([f64; 4]),
}

impl Shape {
    /// Whether a point lies in it, its edge included.
    fn holds(&self, x: f64, y: f64) -> bool {
        match *self {
            Self::Ellipse([cx, cy, rx, ry]) => {
                ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) <= 1.0
            }
            Self::Rectangle([left, upper, right, lower]) => {
                (left..=right).contains(&x) && (upper..=lower).contains(&y)
            }
        }
    }
}

impl Mask {
    /// Builds a mask from weights, row by row.
    ///
    /// # Errors
    /// When they are not `height · width` numbers in [0, 1].
    pub fn new(weights: Vec<f32>, (height, width): (usize, usize), origin: &str) -> Result<Self> {
        if weights.iter().any(|w| !(0.0..=1.0).contains(w)) {
            return Err(Error::runtime("a mask's weights lie in 0..1"));
        }
        let data = Tensor::from_vec(weights, (1, 1, height, width), &Device::Cpu)?;
        Ok(Self { data, origin: origin.into() })
    }

    /// 1 at the pixels whose centre lies in the shape, 0 elsewhere.
    ///
    /// # Errors
    /// When the picture has no pixels.
    pub fn of_shape(shape: Shape, (height, width): (usize, usize), origin: &str) -> Result<Self> {
        let at = |i: usize, side: usize| (i as f64 + 0.5) / side as f64;
        let weight = |k: usize| {
            let inside = shape.holds(at(k % width, width), at(k / width, height));
            f32::from(u8::from(inside))
        };
        Self::new((0..height * width).map(weight).collect(), (height, width), origin)
    }

    /// Its height and width.
    pub fn size(&self) -> (usize, usize) {
        let dims = self.data.dims();
        (dims.get(2).copied().unwrap_or(0), dims.get(3).copied().unwrap_or(0))
    }

    /// The weights at a size, `[1, 1, H, W]`: shrinking averages, growing interpolates.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn at(&self, (height, width): (usize, usize)) -> Result<Tensor> {
        Ok(resize_to(&self.data, height, width)?.clamp(0f32, 1f32)?)
    }

    /// The weights row by row, at its own size.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn weights(&self) -> Result<Vec<f32>> {
        Ok(self.data.flatten_all()?.to_vec1::<f32>()?)
    }

    /// The complement: every weight subtracted from 1.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn inverted(&self) -> Result<Self> {
        Ok(Self {
            data: self.data.affine(-1.0, 1.0)?,
            origin: format!("{}, inverted", self.origin),
        })
    }

    /// This and another one, at this one's size: the larger weight of both, or with `all` the
    /// smaller.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn joined(&self, other: &Self, all: bool) -> Result<Self> {
        let there = other.at(self.size())?;
        let data = if all { self.data.minimum(&there)? } else { self.data.maximum(&there)? };
        let word = if all { "and" } else { "or" };
        Ok(Self { data, origin: format!("{} {word} {}", self.origin, other.origin) })
    }

    /// The mean weight at a size: the share of the picture that counts.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn share(&self, size: (usize, usize)) -> Result<f64> {
        Ok(self.at(size)?.to_dtype(DType::F64)?.mean_all()?.to_vec0::<f64>()?)
    }

    /// Refuses a mask that is 0 everywhere at that picture size.
    ///
    /// # Errors
    /// When every weight is 0.
    pub fn check(&self, size: (usize, usize)) -> Result<()> {
        if self.share(size)? > 0.0 {
            return Ok(());
        }
        Err(Error::runtime("the mask is 0 everywhere: no pixel counts")
            .hint("make it larger, or turn it round: mask(m, invert: true)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_hold_the_pixels_whose_centres_they_hold() {
        let half = Mask::of_shape(Shape::Rectangle([0.0, 0.0, 0.5, 1.0]), (2, 4), "").unwrap();
        assert_eq!(half.weights().unwrap(), [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        let round = Mask::of_shape(Shape::Ellipse([0.5, 0.5, 0.3, 0.2]), (200, 100), "").unwrap();
        let area = round.share((200, 100)).unwrap();
        assert!((area - std::f64::consts::PI * 0.06).abs() < 2e-3, "{area}");
        let [upper, left] = [(100 * 59 + 50), (100 * 100 + 19)];
        let weights = round.weights().unwrap();
        assert_eq!((weights[upper], weights[left], weights[100 * 100 + 50]), (0.0, 0.0, 1.0));
    }

    #[test]
    fn masks_combine_and_change_their_size() {
        let left = Mask::of_shape(Shape::Rectangle([0.0, 0.0, 0.5, 1.0]), (4, 4), "left").unwrap();
        let upper =
            Mask::of_shape(Shape::Rectangle([0.0, 0.0, 1.0, 0.5]), (8, 8), "upper").unwrap();
        let share = |m: &Mask| m.share((4, 4)).unwrap();
        assert_eq!(share(&left.joined(&upper, false).unwrap()), 0.75);
        let both = left.joined(&upper, true).unwrap();
        assert_eq!((share(&both), both.origin.as_str()), (0.25, "left and upper"));
        assert_eq!(share(&both.inverted().unwrap()), 0.75);
        assert_eq!(
            left.at((2, 2)).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            [1.0, 0.0, 1.0, 0.0]
        );
        let nothing = left.joined(&left.inverted().unwrap(), true).unwrap();
        assert!(nothing.check((4, 4)).unwrap_err().repair().unwrap().contains("invert"));
        assert!(Mask::new(vec![1.5], (1, 1), "").is_err());
        assert!(Mask::new(vec![f32::NAN], (1, 1), "").is_err());
    }
}
