//! The learning rate over the steps of the gradient methods, and the projector's w noise.

use std::f64::consts::PI;

/// Part of the run over which the learning rate rises.
const RAMP_UP: f64 = 0.05;
/// Part of the run over which it falls.
const RAMP_DOWN: f64 = 0.25;
/// w noise at the start, in σ_w.
const NOISE: f64 = 0.05;
/// Part of the run after which there is none.
const NOISE_RAMP: f64 = 0.75;

/// The shape of the learning rate over a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Curve {
    /// NVIDIA's [`ramp`].
    #[default]
    Ramp,
    /// The peak throughout.
    Constant,
    /// From the peak to 0 along half a cosine (Loshchilov and Hutter 2017, without restarts).
    Cosine,
    /// From a tenth of the peak up to it and back (PULSE, Menon et al. 2020).
    Linear1Cycle,
    /// The same over the first 90 %, then down to a thousandth.
    Linear1CycleDrop,
}

impl Curve {
    /// The names of all curves, in the order of `ALL`.
    pub const NAMES: [&'static str; 5] =
        ["ramp", "constant", "cosine", "linear1cycle", "linear1cycledrop"];
    /// All curves.
    const ALL: [Self; 5] =
        [Self::Ramp, Self::Constant, Self::Cosine, Self::Linear1Cycle, Self::Linear1CycleDrop];

    /// The curve of that name.
    pub fn named(name: &str) -> Option<Self> {
        let named = Self::NAMES.iter().zip(Self::ALL).find(|(known, _)| **known == name);
        named.map(|(_, curve)| curve)
    }

    /// The factor of the peak learning rate at `t` in [0, 1].
    pub fn at(self, t: f64) -> f64 {
        let cycle = |t: f64| 0.1 + 0.9 * (1.0 - (2.0 * t - 1.0).abs());
        match self {
            Self::Ramp => ramp(t),
            Self::Constant => 1.0,
            Self::Cosine => 0.5 + 0.5 * libm::cos(PI * t),
            Self::Linear1Cycle => cycle(t),
            Self::Linear1CycleDrop if t < 0.9 => cycle(t / 0.9),
            Self::Linear1CycleDrop => 0.1 - 0.099 * (t - 0.9) / 0.1,
        }
    }
}

/// The factor of the learning rate at `t` in [0, 1]: linear up over the first 5 %, cosine down over
/// the last 25 %.
///
/// The projector evaluates it at `step / steps`, so its step 0 moves nothing.
pub fn ramp(t: f64) -> f64 {
    let down = ((1.0 - t) / RAMP_DOWN).min(1.0);
    (0.5 - 0.5 * libm::cos(PI * down)) * (t / RAMP_UP).min(1.0)
}

/// The deviation of the noise on w at `t`, in σ_w.
pub fn w_noise(t: f64) -> f64 {
    NOISE * (1.0 - t / NOISE_RAMP).max(0.0).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_points() {
        // Measured in the official code, to these digits.
        let points =
            [(0, 0.0), (1, 0.002), (25, 0.05), (50, 0.1), (400, 0.1), (750, 0.1), (875, 0.05)];
        for (step, want) in points {
            assert!((0.1 * ramp(f64::from(step) / 1000.0) - want).abs() < 1e-12, "{step}");
        }
        for (step, want, digits) in
            [(800, 0.09045, 5e-6), (950, 0.00955, 5e-6), (999, 3.95e-6, 5e-9)]
        {
            assert!((0.1 * ramp(f64::from(step) / 1000.0) - want).abs() <= digits, "{step}");
        }
    }

    #[test]
    fn curves_have_the_values_of_their_papers() {
        // PULSE's formulas at steps of 100: (9 (1 − |x/100 − 1/2| · 2) + 1) / 10 and its drop.
        let points = [
            ("constant", [1.0, 1.0, 1.0, 1.0]),
            ("cosine", [1.0, 0.5, 0.5 - 0.5 * 0.9510565162951535, 0.0]),
            ("linear1cycle", [0.1, 1.0, 0.28, 0.1]),
            ("linear1cycledrop", [0.1, 0.9, 0.1, 0.001]),
            ("ramp", [0.0, 1.0, 0.5 - 0.5 * 0.30901699437494745, 0.0]),
        ];
        for (name, want) in points {
            let curve = Curve::named(name).unwrap();
            for (t, want) in [0.0, 0.5, 0.9, 1.0].into_iter().zip(want) {
                assert!((curve.at(t) - want).abs() < 1e-12, "{name} {t}: {}", curve.at(t));
            }
        }
        assert_eq!(Curve::Linear1CycleDrop.at(0.45), 1.0);
        assert_eq!((Curve::NAMES.len(), Curve::named("steps")), (points.len(), None));
    }

    #[test]
    fn all_thousand_stored_steps() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/reference/optim/projector_schedule.json");
        let stored: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let list = |k: &str| -> Vec<f64> { serde_json::from_value(stored[k].clone()).unwrap() };
        let (lr, noise) = (list("lr"), list("w_noise"));
        assert_eq!((lr.len(), noise.len()), (1000, 1000));
        for step in 0..1000 {
            let t = step as f64 / 1000.0;
            assert!((0.1 * ramp(t) - lr[step]).abs() < 1e-15, "{step}");
            assert!((w_noise(t) - noise[step]).abs() < 1e-15, "{step}");
        }
    }
}
