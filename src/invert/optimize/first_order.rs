//! Optimizers that move every parameter by itself, from its gradient and running averages of it.

use super::{Optimizer, Saved, Stored, Worth, numbers, tensors};
use crate::error::{Error, Result};
use candle_core::Tensor;

/// Moment of a step.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The learning rate.
    pub rate: f64,
    /// Steps taken, this one included.
    pub step: usize,
}

/// One formula of such an optimizer.
pub trait Rule: Send {
    /// The optimizer's name.
    const NAME: &'static str;
    /// Names of the running averages; each begins at 0 and is saved under its name.
    const AVERAGES: &'static [&'static str];

    /// Updates the averages of a parameter and returns the parameter after the step.
    ///
    /// # Errors
    /// When gradient and parameter differ in shape.
    fn moved(
        &self,
        averages: &mut [Tensor],
        parameter: &Tensor,
        gradient: &Tensor,
        now: Moment,
    ) -> Result<Tensor>;
}

/// A running average after one more value: β of it, and 1 − β of the value.
///
/// # Errors
/// When they differ in shape.
pub fn average(so_far: &Tensor, value: &Tensor, beta: f64) -> Result<Tensor> {
    Ok(((so_far * beta)? + (value * (1.0 - beta))?)?)
}

/// An optimizer of such a formula. The learning rate comes from the schedule.
#[derive(Clone, Debug, Default)]
pub struct FirstOrder<R> {
    rule: R,
    steps: usize,
    /// The running averages of each parameter.
    averages: Vec<Vec<Tensor>>,
}

impl<R: Rule> FirstOrder<R> {
    /// The parameters after one step.
    ///
    /// # Errors
    /// When gradients and parameters differ in number or shape.
    pub fn step(
        &mut self,
        parameters: &[Tensor],
        gradients: &[Tensor],
        rate: f64,
    ) -> Result<Vec<Tensor>> {
        if self.steps == 0 {
            let zeros = |p: &Tensor| -> Result<Vec<Tensor>> {
                R::AVERAGES.iter().map(|_| Ok(p.zeros_like()?)).collect()
            };
            self.averages = parameters.iter().map(zeros).collect::<Result<_>>()?;
        }
        let count = self.averages.len();
        if parameters.len() != count || gradients.len() != count {
            let text = format!("{} began with another number of parameters", R::NAME);
            return Err(Error::runtime(text));
        }
        self.steps += 1;
        let now = Moment { rate, step: self.steps };
        let all = self.averages.iter_mut().zip(parameters).zip(gradients);
        all.map(|((averages, p), g)| self.rule.moved(averages, p, g, now)).collect()
    }
}

impl<R: Rule> Optimizer for FirstOrder<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn next(&mut self, at: &[Tensor], worth: &Worth<'_>) -> Result<Option<Vec<Tensor>>> {
        self.step(at, worth.gradients, worth.rate).map(Some)
    }

    fn save(&self) -> Saved {
        let mut saved = Saved::new();
        let counts = vec![self.steps as f64, self.averages.len() as f64];
        saved.insert("steps".into(), Stored::Numbers(counts));
        for (i, own) in self.averages.iter().enumerate() {
            for (name, t) in R::AVERAGES.iter().zip(own) {
                saved.insert(format!("{name}.{i}"), Stored::Tensor(t.clone()));
            }
        }
        saved
    }

    fn restore(&mut self, saved: &Saved) -> Result<()> {
        let broken = || Error::runtime(format!("the saved state of {} is not consistent", R::NAME));
        let [steps, count] = *numbers(saved, "steps")?.as_array().ok_or_else(broken)?;
        let (steps, count) = (steps as usize, count as usize);
        let lists: Vec<Vec<Tensor>> = R::AVERAGES.iter().map(|n| tensors(saved, n)).collect();
        let shapes = |list: &Vec<Tensor>| list.iter().map(|t| t.dims().to_vec()).collect();
        let shapes: Vec<Vec<Vec<usize>>> = lists.iter().map(shapes).collect();
        if shapes.iter().any(|own| own.len() != count || shapes.first() != Some(own)) {
            return Err(broken());
        }
        let own = |i: usize| lists.iter().filter_map(|list| list.get(i).cloned()).collect();
        (self.steps, self.averages) = (steps, (0..count).map(own).collect());
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use candle_core::Device;

    pub fn listed(v: &serde_json::Value) -> Vec<f64> {
        serde_json::from_value(v.clone()).unwrap()
    }

    pub fn stored(file: &str) -> serde_json::Value {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/reference/optim")
            .join(file);
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// Follows a stored trajectory of torch.optim in double precision.
    pub fn follow(make: &dyn Fn() -> Box<dyn Optimizer>, name: &str, rates: impl Fn(usize) -> f64) {
        let stored = stored("trajectories.json");
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
            let mut x = vec![tensor(listed(&path[0]))];
            let mut optimizer = make();
            assert_eq!(path.len(), 101);
            for (step, want) in path[1..].iter().enumerate() {
                let now = x[0].to_vec1::<f64>().unwrap();
                let g = if kind == "quadratic" { quadratic(&now) } else { rosenbrock(&now) };
                let (loss, gradients) = (0.0, &[tensor(g)][..]);
                let worth = Worth { loss, gradients, rate: rates(step), seed: 0 };
                x = optimizer.next(&x, &worth).unwrap().unwrap();
                for (got, want) in x[0].to_vec1::<f64>().unwrap().iter().zip(listed(want)) {
                    assert!((got - want).abs() < 1e-9, "{name} {kind} step {step}: {got} {want}");
                }
            }
        }
    }
}
