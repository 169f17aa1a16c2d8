//! The learning rate over the steps of every gradient method (NVIDIA's ramp), and the projector's
//! w noise.

use std::f64::consts::PI;

/// Part of the run over which the learning rate rises.
const RAMP_UP: f64 = 0.05;
/// Part of the run over which it falls.
const RAMP_DOWN: f64 = 0.25;
/// w noise at the start, in σ_w.
const NOISE: f64 = 0.05;
/// Part of the run after which there is none.
const NOISE_RAMP: f64 = 0.75;

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
