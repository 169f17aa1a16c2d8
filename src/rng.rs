//! Seeded random numbers, the same on every platform.
//!
//! A counter-based generator (SplitMix64, Steele et al. 2014): the i-th number depends on the seed
//! and i alone, so a sample does not change when others are drawn beside it. Normals come from
//! Box–Muller with the functions of `libm`, which are the same code everywhere; the platform's own
//! may differ in the last bit.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
    spare: Option<f64>,
}

impl Rng {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed, spare: None }
    }

    /// An independent stream: the same seed and name always give the same one.
    pub fn derive(seed: u64, name: &str) -> Self {
        // FNV-1a folds the name into the seed; SplitMix64 then decorrelates neighbours.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut rng = Self::new(seed ^ hash);
        Self::new(rng.next_u64())
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in 0..n (n > 0).
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        if let Some(v) = self.spare.take() {
            return v;
        }
        // 1 - u lies in (0, 1], so the logarithm is finite.
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        let (sin, cos) = libm::sincos(std::f64::consts::TAU * self.uniform());
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// `n` standard normals in single precision.
    pub fn normals(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.normal() as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_splitmix64_vector() {
        // First outputs for seed 1234567 of the reference C code (prng.di.unimi.it/splitmix64.c).
        let mut r = Rng::new(1_234_567);
        assert_eq!(
            [r.next_u64(), r.next_u64(), r.next_u64()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn moments_of_the_normal() {
        let mut r = Rng::new(3);
        let v: Vec<f64> = (0..200_000).map(|_| r.normal()).collect();
        let moment = |k: i32| v.iter().map(|x| x.powi(k)).sum::<f64>() / v.len() as f64;
        // Five standard errors of each sample moment.
        assert!(moment(1).abs() < 5.0 * (1.0f64 / 2e5).sqrt());
        assert!((moment(2) - 1.0).abs() < 5.0 * (2.0f64 / 2e5).sqrt());
        assert!((moment(4) - 3.0).abs() < 5.0 * (96.0f64 / 2e5).sqrt());
    }

    #[test]
    fn derived_streams_differ_and_repeat() {
        let a = Rng::derive(1, "a").next_u64();
        assert_eq!(a, Rng::derive(1, "a").next_u64());
        assert_ne!(a, Rng::derive(1, "b").next_u64());
        assert_ne!(a, Rng::derive(2, "a").next_u64());
    }
}
