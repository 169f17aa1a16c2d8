//! Adam (Kingma and Ba 2015), with a state that can be saved.

use crate::error::{Error, Result};
use candle_core::Tensor;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// Adam with β (.9, .999), ε 1e-8 and bias correction, in PyTorch's order of operations.
#[derive(Clone, Debug)]
pub struct Adam {
    steps: usize,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
}

impl Adam {
    /// A fresh state for parameters of these shapes.
    ///
    /// # Errors
    /// When the zeros cannot be allocated.
    pub fn new(parameters: &[Tensor]) -> Result<Self> {
        let zeros =
            parameters.iter().map(|p| Ok(p.zeros_like()?)).collect::<Result<Vec<Tensor>>>()?;
        Ok(Self { steps: 0, first: zeros.clone(), second: zeros })
    }

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
        if parameters.len() != self.first.len() || gradients.len() != self.first.len() {
            return Err(Error::runtime("Adam was made for another number of parameters"));
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

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The running means of the gradients and of their squares, in the parameters' order.
    pub fn state(&self) -> (&[Tensor], &[Tensor]) {
        (&self.first, &self.second)
    }

    /// A saved state.
    ///
    /// # Errors
    /// When the two lists do not fit each other.
    pub fn restore(steps: usize, first: Vec<Tensor>, second: Vec<Tensor>) -> Result<Self> {
        if first.len() != second.len()
            || first.iter().zip(&second).any(|(a, b)| a.dims() != b.dims())
        {
            return Err(Error::runtime("the saved state of Adam is not consistent"));
        }
        Ok(Self { steps, first, second })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn numbers(v: &serde_json::Value) -> Vec<f64> {
        serde_json::from_value(v.clone()).unwrap()
    }

    /// Follows a stored trajectory of torch.optim.Adam in double precision.
    fn follow(name: &str, rates: impl Fn(usize) -> f64) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/reference/optim/trajectories.json");
        let stored: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let (a, b) = (&stored["quadratic"]["A"], numbers(&stored["quadratic"]["b"]));
        let a: Vec<Vec<f64>> = a.as_array().unwrap().iter().map(numbers).collect();
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
            let mut x = tensor(numbers(&path[0]));
            let mut adam = Adam::new(std::slice::from_ref(&x)).unwrap();
            assert_eq!(path.len(), 101);
            for (step, want) in path[1..].iter().enumerate() {
                let now = x.to_vec1::<f64>().unwrap();
                let g = if kind == "quadratic" { quadratic(&now) } else { rosenbrock(&now) };
                x = adam.step(&[x], &[tensor(g)], rates(step)).unwrap().remove(0);
                for (got, want) in x.to_vec1::<f64>().unwrap().iter().zip(numbers(want)) {
                    assert!((got - want).abs() < 1e-9, "{name} {kind} step {step}: {got} {want}");
                }
            }
        }
    }

    #[test]
    fn equals_torch_over_100_steps() {
        follow("adam", |_| 0.05);
        follow("adam_projector_schedule", |step| 0.1 * crate::invert::ramp(step as f64 / 100.0));
    }
}
