//! Hamiltonian Monte Carlo (Duane et al. 1987; Neal 2011) over codes with the prior N(0, I).
//!
//! It samples the posterior `exp(-loss / T) · N(x; 0, I)`: a random momentum, some leapfrog steps
//! along the gradient, and acceptance of the end with probability `min(1, exp(-ΔH))`.

use super::vectors::{add, along, dot, flat, shaped};
use super::{Optimizer, Saved, Stored, Worth, numbers};
use crate::error::{Error, Result};
use crate::rng::Rng;
use candle_core::Tensor;

/// Acceptance at which the step length is held (Beskos et al. 2013: 0.65 is optimal, somewhat more
/// costs little).
const ACCEPTANCE: f64 = 0.75;

/// Settings of Hamiltonian Monte Carlo.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The temperature T of the loss, above 0.
    pub temperature: f64,
    /// Leapfrog steps of a proposal, each one evaluation; at least 1.
    pub leapfrog: usize,
    /// Proposals over which the step length is adapted; it is constant after them, as sampling
    /// requires.
    pub warmup: usize,
}

/// A point of the chain: its potential `loss / T + |x|² / 2` and that one's gradient.
#[derive(Clone, Debug, Default)]
struct Point {
    x: Vec<f64>,
    potential: f64,
    slope: Vec<f64>,
}

/// Hamiltonian Monte Carlo with a state that can be saved at any evaluation. The learning rate is
/// the length of the first leapfrog steps; it should be constant.
#[derive(Clone, Debug)]
pub struct Hmc {
    settings: Settings,
    /// The last accepted point; none before the first evaluation.
    current: Option<Point>,
    momentum: Vec<f64>,
    /// The Hamiltonian at the start of the proposal.
    energy: f64,
    /// Leapfrog steps of this proposal that are done.
    taken: usize,
    /// Proposals that have ended, and those accepted after the warmup.
    ended: usize,
    accepted: usize,
    /// Logarithm of the factor of the step length.
    stretch: f64,
}

impl Hmc {
    /// Before its first evaluation.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            current: None,
            momentum: Vec::new(),
            energy: 0.0,
            taken: 0,
            ended: 0,
            accepted: 0,
            stretch: 0.0,
        }
    }

    /// Proposals that have ended after the warmup, and how many of them were accepted.
    pub fn acceptance(&self) -> (usize, usize) {
        (self.ended.saturating_sub(self.settings.warmup), self.accepted)
    }

    fn random(&self, seed: u64, what: &str) -> Rng {
        Rng::derive(seed, &format!("hmc {what} {}", self.ended))
    }

    /// A fresh momentum at the current point; returns the first point of the next proposal.
    fn begin(&mut self, current: Point, step: f64, seed: u64) -> Vec<f64> {
        let mut rng = self.random(seed, "momentum");
        self.momentum = current.x.iter().map(|_| rng.normal()).collect();
        self.energy = current.potential + 0.5 * dot(&self.momentum, &self.momentum);
        self.taken = 0;
        add(&mut self.momentum, &current.slope, -0.5 * step);
        let next = along(&current.x, &self.momentum, step);
        self.current = Some(current);
        next
    }

    /// Ends the proposal at its last point; returns the point of the chain.
    fn decide(&mut self, current: Point, last: Point, seed: u64) -> Point {
        let now = last.potential + 0.5 * dot(&self.momentum, &self.momentum);
        let chance = libm::exp((self.energy - now).min(0.0));
        // A Hamiltonian that is not a number is refused.
        let accepted = self.random(seed, "acceptance").uniform() < chance;
        self.ended += 1;
        if self.ended <= self.settings.warmup {
            let chance = if chance.is_nan() { 0.0 } else { chance };
            self.stretch += (chance - ACCEPTANCE) / (self.ended as f64).sqrt();
        } else if accepted {
            self.accepted += 1;
        }
        if accepted { last } else { current }
    }

    fn step(&self, rate: f64) -> f64 {
        rate * libm::exp(self.stretch)
    }
}

impl Optimizer for Hmc {
    fn name(&self) -> &'static str {
        "hmc"
    }

    fn next(&mut self, at: &[Tensor], worth: &Worth<'_>) -> Result<Option<Vec<Tensor>>> {
        let (x, mut slope) = (flat(at)?, flat(worth.gradients)?);
        if x.len() != slope.len() || self.current.as_ref().is_some_and(|c| c.x.len() != x.len()) {
            return Err(Error::runtime("hmc began with another number of parameters"));
        }
        slope.iter_mut().zip(&x).for_each(|(g, x)| *g = *g / self.settings.temperature + x);
        let potential = worth.loss / self.settings.temperature + 0.5 * dot(&x, &x);
        let here = Point { x, potential, slope };
        let step = self.step(worth.rate);
        let Some(current) = self.current.take() else {
            let next = self.begin(here, step, worth.seed);
            return shaped(&next, at).map(Some);
        };
        self.taken += 1;
        let next = if self.taken < self.settings.leapfrog {
            add(&mut self.momentum, &here.slope, -step);
            self.current = Some(current);
            along(&here.x, &self.momentum, step)
        } else {
            add(&mut self.momentum, &here.slope, -0.5 * step);
            let kept = self.decide(current, here, worth.seed);
            self.begin(kept, self.step(worth.rate), worth.seed)
        };
        shaped(&next, at).map(Some)
    }

    fn report(&self) -> Option<String> {
        let (proposals, accepted) = self.acceptance();
        let share = 100.0 * accepted as f64 / proposals.max(1) as f64;
        let steps = self.stretch.exp();
        (proposals > 0).then(|| {
            format!(
                "hmc accepted {accepted} of {proposals} proposals after the warmup ({share:.0} %), \
                 with steps of {steps:.3} lr"
            )
        })
    }

    fn save(&self) -> Saved {
        let counts = [self.taken, self.ended, self.accepted, self.momentum.len()];
        let counts = counts.into_iter().map(|n| n as f64);
        let chain = [self.energy, self.stretch].into_iter().chain(counts).collect();
        let mut saved = Saved::from([("chain".into(), Stored::Numbers(chain))]);
        if let Some(current) = &self.current {
            let parts =
                [("x", &current.x), ("slope", &current.slope), ("momentum", &self.momentum)];
            for (name, values) in parts {
                saved.insert(name.into(), Stored::Numbers(values.clone()));
            }
            saved.insert("potential".into(), Stored::Numbers(vec![current.potential]));
        }
        saved
    }

    fn restore(&mut self, saved: &Saved) -> Result<()> {
        let broken = || Error::runtime("the saved state of hmc is not consistent");
        let own = |name: &str| numbers(saved, name).map(<[f64]>::to_vec);
        let [energy, stretch, taken, ended, accepted, size] =
            *own("chain")?.as_array().ok_or_else(broken)?;
        let (current, momentum) = if size > 0.0 {
            let [potential] = *own("potential")?.as_array().ok_or_else(broken)?;
            (Some(Point { x: own("x")?, potential, slope: own("slope")? }), own("momentum")?)
        } else {
            (None, Vec::new())
        };
        let fits = |c: &Point| [&c.x, &c.slope, &momentum].iter().all(|v| v.len() as f64 == size);
        if current.as_ref().is_some_and(|c| !fits(c)) || accepted > ended {
            return Err(broken());
        }
        let [taken, ended, accepted] = [taken, ended, accepted].map(|n| n as usize);
        let settings = self.settings;
        *self = Self { settings, current, momentum, energy, taken, ended, accepted, stretch };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn tensor(v: &[f64]) -> Tensor {
        Tensor::new(v, &Device::Cpu).unwrap()
    }

    /// A loss with its gradient.
    type Function = dyn Fn(&[f64]) -> (f64, Vec<f64>);

    /// Runs so many evaluations; `each` sees the chain after every proposal.
    fn sample(
        hmc: &mut Hmc,
        f: &Function,
        (start, rate, most): (&[f64], f64, usize),
        each: &mut dyn FnMut(&Hmc),
    ) {
        let mut x = tensor(start);
        for _ in 0..most {
            let (loss, g) = f(&x.to_vec1::<f64>().unwrap());
            let before = hmc.ended;
            let worth = Worth { loss, gradients: &[tensor(&g)], rate, seed: 5 };
            x = hmc.next(std::slice::from_ref(&x), &worth).unwrap().unwrap().remove(0);
            if hmc.ended > before {
                each(hmc);
            }
        }
    }

    /// loss / T + |x|²/2 = (x−m)ᵀ P (x−m) / 2 + const with P = A/T + 1: a Gaussian whose mean and
    /// covariance are closed forms.
    #[test]
    fn a_gaussian_has_the_right_mean_and_covariance() {
        let (a, b, t) = ([[2.0, 0.8], [0.8, 1.0]], [0.6, -0.4], 0.5);
        let f = move |x: &[f64]| {
            let ax = [dot(&a[0], x), dot(&a[1], x)];
            (0.5 * dot(&ax, x) - dot(&b, x), vec![ax[0] - b[0], ax[1] - b[1]])
        };
        let p = [[a[0][0] / t + 1.0, a[0][1] / t], [a[1][0] / t, a[1][1] / t + 1.0]];
        let det = p[0][0] * p[1][1] - p[0][1] * p[1][0];
        let cov = [[p[1][1] / det, -p[0][1] / det], [-p[1][0] / det, p[0][0] / det]];
        let mean = [dot(&cov[0], &b) / t, dot(&cov[1], &b) / t];
        let mut hmc = Hmc::new(Settings { temperature: t, leapfrog: 7, warmup: 200 });
        let (mut n, mut first, mut second) = (0.0, [0.0; 2], [[0.0; 2]; 2]);
        sample(&mut hmc, &f, (&[3.0, -3.0], 0.1, 7 * 20_200), &mut |hmc| {
            if hmc.ended <= 200 {
                return;
            }
            let x = &hmc.current.as_ref().unwrap().x;
            n += 1.0;
            for i in 0..2 {
                first[i] += x[i];
                for k in 0..2 {
                    second[i][k] += (x[i] - mean[i]) * (x[k] - mean[k]);
                }
            }
        });
        assert!(n > 19_990.0);
        for i in 0..2 {
            // About five standard errors of nearly independent draws.
            let error = 5.0 * (cov[i][i] / n).sqrt();
            assert!((first[i] / n - mean[i]).abs() < error, "{} {}", first[i] / n, mean[i]);
            for k in 0..2 {
                let error = 7.0 * (cov[i][i] * cov[k][k] / n).sqrt();
                let got = second[i][k] / n;
                assert!((got - cov[i][k]).abs() < error, "{i} {k}: {got} {}", cov[i][k]);
            }
        }
        let (proposals, accepted) = hmc.acceptance();
        let share = accepted as f64 / proposals as f64;
        assert!((0.6..0.97).contains(&share), "{share}");
        assert!(hmc.report().unwrap().contains(&format!("accepted {accepted} of {proposals}")));
    }

    /// The change of the Hamiltonian over one proposal of length 1.
    fn drift(steps: usize) -> f64 {
        let f = |x: &[f64]| -> (f64, Vec<f64>) {
            let loss = x.iter().map(|v| v.powi(4) / 4.0 + v.cos()).sum();
            (loss, x.iter().map(|v| v.powi(3) - v.sin()).collect())
        };
        let settings = Settings { temperature: 0.7, leapfrog: steps, warmup: 0 };
        let mut hmc = Hmc::new(settings);
        let (mut x, rate) = (tensor(&[0.9, -0.4, 0.3]), 1.0 / steps as f64);
        for k in 0..=steps {
            let (loss, g) = f(&x.to_vec1::<f64>().unwrap());
            let worth = Worth { loss, gradients: &[tensor(&g)], rate, seed: 5 };
            if k == steps {
                let point = x.to_vec1::<f64>().unwrap();
                let slope: Vec<f64> = g.iter().zip(&point).map(|(g, x)| g / 0.7 + x).collect();
                let mut p = hmc.momentum.clone();
                add(&mut p, &slope, -0.5 * rate);
                let potential = loss / 0.7 + 0.5 * dot(&point, &point);
                return (potential + 0.5 * dot(&p, &p) - hmc.energy).abs();
            }
            x = hmc.next(std::slice::from_ref(&x), &worth).unwrap().unwrap().remove(0);
        }
        unreachable!()
    }

    #[test]
    fn energy_drifts_with_the_square_of_the_step() {
        for steps in [20, 40, 80] {
            let ratio = drift(steps) / drift(2 * steps);
            assert!((3.7..4.3).contains(&ratio), "{steps}: {ratio}");
        }
    }

    #[test]
    fn a_wild_step_is_refused() {
        let f = |x: &[f64]| (dot(x, x), x.iter().map(|v| 2.0 * v).collect());
        let mut hmc = Hmc::new(Settings { temperature: 1e-3, leapfrog: 3, warmup: 0 });
        sample(&mut hmc, &f, (&[0.1, 0.2], 50.0, 40), &mut |hmc| {
            assert_eq!(hmc.current.as_ref().unwrap().x, [0.1, 0.2]);
        });
        assert!(hmc.ended > 10 && hmc.accepted == 0);
    }
}
