//! Mean and standard deviation of a cloud of points, number by number.

use crate::error::Result;

/// The mean and the standard deviation of every number of a point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// The means.
    pub mean: Vec<f64>,
    /// The standard deviations; 0 for a number that never changes.
    pub sigma: Vec<f64>,
}

impl Spread {
    /// The spread of points that come in batches.
    ///
    /// # Errors
    /// That of the batches.
    pub fn of(batches: impl IntoIterator<Item = Result<Vec<Vec<f64>>>>) -> Result<Self> {
        let (mut count, mut sums, mut squares) = (0.0, Vec::new(), Vec::new());
        for batch in batches {
            for point in batch? {
                sums.resize(point.len(), 0.0);
                squares.resize(point.len(), 0.0);
                count += 1.0;
                for ((v, sum), square) in point.iter().zip(&mut sums).zip(&mut squares) {
                    *sum += v;
                    *square += v * v;
                }
            }
        }
        let mean: Vec<f64> = sums.iter().map(|v| v / count).collect();
        let sigma = |(square, mean): (&f64, &f64)| (square / count - mean * mean).max(0.0).sqrt();
        let sigma = squares.iter().zip(&mean).map(sigma).collect();
        Ok(Self { mean, sigma })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_spreads() {
        let batches = [Ok(vec![vec![1.0, 5.0]]), Ok(vec![vec![3.0, 5.0], vec![5.0, 5.0]])];
        let spread = Spread::of(batches).unwrap();
        assert_eq!((&spread.mean[..], spread.sigma[1]), (&[3.0, 5.0][..], 0.0));
        assert!((spread.sigma[0] - (8.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!(Spread::of([Err(crate::error::Error::runtime("no"))]).is_err());
        assert_eq!(Spread::of([]).unwrap(), Spread::default());
    }
}
