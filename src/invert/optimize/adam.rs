//! Adam (Kingma and Ba 2015), with a state that can be saved.

use super::{Optimizer, Saved, Stored, Worth, numbers, tensors};
use crate::error::{Error, Result};
use candle_core::Tensor;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// Adam with β (.9, .999), ε 1e-8 and bias correction, in PyTorch's order of operations. The
/// learning rate comes from the schedule.
#[derive(Clone, Debug, Default)]
pub struct Adam {
    steps: usize,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
}

impl Adam {
    /// The parameters after one step.
    ///
    /// # Errors
    /// When gradients and parameters differ in number or shape.
    pub fn step(
        &mut self,
        parameters: &[Tensor],
        gradients: &[Tensor],
        lr: f64,
    ) -> Result<Vec<Tensor>> {
        if self.steps == 0 {
            self.first = parameters.iter().map(Tensor::zeros_like).collect::<Result<_, _>>()?;
            self.second = self.first.clone();
        }
        if parameters.len() != self.first.len() || gradients.len() != self.first.len() {
            return Err(Error::runtime("Adam began with another number of parameters"));
        }
        self.steps += 1;
        let t = self.steps as f64;
        let (c1, c2) = (1.0 - libm::pow(BETA1, t), 1.0 - libm::pow(BETA2, t));
        let mut moved = Vec::with_capacity(parameters.len());
        for (i, (p, g)) in parameters.iter().zip(gradients).enumerate() {
            self.first[i] = ((&self.first[i] * BETA1)? + (g * (1.0 - BETA1))?)?;
            self.second[i] = ((&self.second[i] * BETA2)? + (g.sqr()? * (1.0 - BETA2))?)?;
            let scale = ((self.second[i].sqrt()? / c2.sqrt())? + EPS)?;
            moved.push((p - (self.first[i].div(&scale)? * (lr / c1))?)?);
        }
        Ok(moved)
    }
}

impl Optimizer for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn next(&mut self, at: &[Tensor], worth: &Worth<'_>) -> Result<Option<Vec<Tensor>>> {
        self.step(at, worth.gradients, worth.rate).map(Some)
    }

    fn save(&self) -> Saved {
        let mut saved = Saved::new();
        saved.insert("steps".into(), Stored::Numbers(vec![self.steps as f64]));
        for (name, list) in [("first", &self.first), ("second", &self.second)] {
            for (i, t) in list.iter().enumerate() {
                saved.insert(format!("{name}.{i}"), Stored::Tensor(t.clone()));
            }
        }
        saved
    }

    fn restore(&mut self, saved: &Saved) -> Result<()> {
        let steps = numbers(saved, "steps")?.first().map_or(0, |s| *s as usize);
        let (first, second) = (tensors(saved, "first"), tensors(saved, "second"));
        if first.len() != second.len()
            || first.iter().zip(&second).any(|(a, b)| a.dims() != b.dims())
        {
            return Err(Error::runtime("the saved state of Adam is not consistent"));
        }
        *self = Self { steps, first, second };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::schedule::ramp;
    use candle_core::Device;

    fn listed(v: &serde_json::Value) -> Vec<f64> {
        serde_json::from_value(v.clone()).unwrap()
    }

    /// Follows a stored trajectory of torch.optim.Adam in double precision.
    fn follow(name: &str, rates: impl Fn(usize) -> f64) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/reference/optim/trajectories.json");
        let stored: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let (a, b) = (&stored["quadratic"]["A"], listed(&stored["quadratic"]["b"]));
        let a: Vec<Vec<f64>> = a.as_array().unwrap().iter().map(listed).collect();
        let quadratic = |x: &[f64]| -> Vec<f64> {
            a.iter()
                .zip(&b)
                .map(|(row, b)| row.iter().zip(x).map(|(p, q)| p * q).sum::<f64>() - b)
                .collect()
        };
        let rosenbrock = |x: &[f64]| {
            let bend = x[1] - x[0] * x[0];
            vec![-400.0 * x[0] * bend - 2.0 * (1.0 - x[0]), 200.0 * bend]
        };
        let tensor = |v: Vec<f64>| Tensor::new(v, &Device::Cpu).unwrap();
        for kind in ["quadratic", "rosenbrock"] {
            let path = stored["trajectories"][name][kind]["x"].as_array().unwrap();
            let mut x = tensor(listed(&path[0]));
            let mut adam = Adam::default();
            assert_eq!(path.len(), 101);
            for (step, want) in path[1..].iter().enumerate() {
                let now = x.to_vec1::<f64>().unwrap();
                let g = if kind == "quadratic" { quadratic(&now) } else { rosenbrock(&now) };
                x = adam.step(&[x], &[tensor(g)], rates(step)).unwrap().remove(0);
                for (got, want) in x.to_vec1::<f64>().unwrap().iter().zip(listed(want)) {
                    assert!((got - want).abs() < 1e-9, "{name} {kind} step {step}: {got} {want}");
                }
            }
        }
    }

    #[test]
    fn equals_torch_over_100_steps() {
        follow("adam", |_| 0.05);
        follow("adam_projector_schedule", |step| 0.1 * ramp(step as f64 / 100.0));
    }
}
