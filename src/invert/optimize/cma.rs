//! CMA-ES (Hansen 2016, "The CMA Evolution Strategy: A Tutorial") with the defaults of pycma, in
//! double precision.
//!
//! It samples candidates around a mean, ranks them by their losses, and moves mean, step size and
//! covariance towards the better ones; it reads no gradients. Worse candidates have negative
//! weights (active CMA). A search that has collapsed starts again with twice the candidates (Auger
//! and Hansen 2005).

use super::vectors::{add, dot, flat, shaped};
use super::{Optimizer, Saved, Stored, Worth, numbers};
use crate::eigen::{self, Eigen};
use crate::error::{Error, Result};
use crate::rng::Rng;
use candle_core::Tensor;

/// A search has collapsed when its longest axis is shorter than this share of the first step size:
/// candidates in single precision are then equal.
const COLLAPSED: f64 = 1e-7;
/// The ratio of the longest and the shortest axis at which rounding takes over.
const NARROW: f64 = 1e7;
/// A step size changes by a factor of e a generation at most.
const FASTEST: f64 = 1.0;

/// Settings of CMA-ES.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Deviation of the first candidates from the start, in every coordinate.
    pub sigma: f64,
    /// Generations between two decompositions of the covariance; `None` as in the tutorial, so that
    /// they cost about as much as the updates.
    pub wait: Option<f64>,
}

/// Candidates of a generation by default.
pub fn population(n: usize) -> usize {
    4 + (3.0 * libm::log(n.max(1) as f64)) as usize
}

/// The constants of a dimension and a population (tutorial, table 1).
#[derive(Clone, Debug)]
struct Constants {
    /// Weights of the candidates, the best first; those above 0 sum to 1.
    weights: Vec<f64>,
    mueff: f64,
    c_1: f64,
    c_mu: f64,
    c_c: f64,
    c_sigma: f64,
    damps: f64,
    /// Expected length of a standard normal vector.
    length: f64,
    wait: f64,
}

impl Constants {
    fn new(n: usize, population: usize, wait: Option<f64>) -> Self {
        let dim = n as f64;
        let middle = libm::log((population as f64 + 1.0) / 2.0);
        let raw: Vec<f64> = (1..=population).map(|i| middle - libm::log(i as f64)).collect();
        let sum = |f: fn(f64) -> f64| raw.iter().map(|w| f(*w)).sum::<f64>();
        let (above, below) = (sum(|w| w.max(0.0)), sum(|w| -w.min(0.0)));
        let mueff = above * above / sum(|w| w.max(0.0) * w.max(0.0));
        let mueff_below = below * below / sum(|w| w.min(0.0) * w.min(0.0));
        let c_1 = (population as f64 / 6.0).min(1.0) * 2.0 / ((dim + 1.3).powi(2) + mueff);
        let c_mu = (2.0 * (0.25 + mueff - 2.0 + 1.0 / mueff) / ((dim + 2.0).powi(2) + mueff))
            .min(1.0 - c_1);
        // No decay of the covariance, no more than the weights above 0 bear, positive definite.
        let least = (1.0 + c_1 / c_mu)
            .min((1.0 - c_1 - c_mu) / c_mu / dim)
            .min(1.0 + 2.0 * mueff_below / (mueff + 2.0));
        let weigh = |w: &f64| if *w > 0.0 { w / above } else { w / below * least };
        let c_sigma = ((mueff + 2.0) / (dim + mueff + 3.0)).min(0.5);
        Self {
            weights: raw.iter().map(weigh).collect(),
            mueff,
            c_1,
            c_mu,
            c_c: (4.0 + mueff / dim) / (dim + 4.0 + 2.0 * mueff / dim),
            c_sigma,
            damps: 1.0 + 2.0 * (((mueff - 1.0) / (dim + 1.0)).sqrt() - 1.0).max(0.0) + c_sigma,
            length: std::f64::consts::SQRT_2
                * libm::exp(libm::lgamma((dim + 1.0) / 2.0) - libm::lgamma(dim / 2.0)),
            wait: wait.unwrap_or(0.1 / (c_1 + c_mu) / dim),
        }
    }
}

/// The distribution of the candidates, and what it remembers of earlier generations.
#[derive(Clone, Debug)]
struct Search {
    start: Vec<f64>,
    mean: Vec<f64>,
    sigma: f64,
    /// `[n, n]`, row after row.
    covariance: Vec<f64>,
    /// Axes of the covariance as of generation `decomposed`, with the squares of their lengths.
    axes: Eigen,
    decomposed: usize,
    p_c: Vec<f64>,
    p_sigma: Vec<f64>,
    /// Generations since the last start.
    generation: usize,
    restarts: usize,
    constants: Constants,
    /// The evaluated candidates of this generation with their losses.
    told: Vec<(Vec<f64>, f64)>,
}

/// The identity, `[n, n]`.
fn identity(n: usize) -> Vec<f64> {
    (0..n * n).map(|at| if at % (n + 1) == 0 { 1.0 } else { 0.0 }).collect()
}

impl Search {
    fn new(start: Vec<f64>, settings: Settings, restarts: usize, seed: u64) -> Self {
        let n = start.len();
        let mut mean = start.clone();
        if restarts > 0 {
            let mut rng = Rng::derive(seed, &format!("cma start {restarts}"));
            mean.iter_mut().for_each(|v| *v += settings.sigma * rng.normal());
        }
        let candidates = population(n) << restarts.min(16);
        Self {
            start,
            mean,
            sigma: settings.sigma,
            covariance: identity(n),
            axes: Eigen { values: vec![1.0; n], vectors: identity(n) },
            decomposed: 0,
            p_c: vec![0.0; n],
            p_sigma: vec![0.0; n],
            generation: 0,
            restarts,
            constants: Constants::new(n, candidates, settings.wait),
            told: Vec::new(),
        }
    }

    /// The axes with the squares of their lengths.
    fn axes(&self) -> impl Iterator<Item = (&[f64], f64)> {
        self.axes.vectors.chunks_exact(self.mean.len()).zip(self.axes.values.iter().copied())
    }

    /// `C^-½ v`
    fn whitened(&self, v: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; v.len()];
        for (axis, square) in self.axes() {
            add(&mut out, axis, dot(axis, v) / square.sqrt());
        }
        out
    }

    /// The next candidate of this generation; its random numbers depend on seed, generation and its
    /// place alone.
    fn candidate(&mut self, seed: u64) -> Result<Vec<f64>> {
        if self.told.is_empty() {
            self.decompose()?;
        }
        let (restart, generation, place) = (self.restarts, self.generation, self.told.len());
        let mut rng = Rng::derive(seed, &format!("cma {restart} {generation} {place}"));
        let mut x = self.mean.clone();
        for (axis, square) in self.axes() {
            add(&mut x, axis, self.sigma * square.sqrt() * rng.normal());
        }
        Ok(x)
    }

    /// Brings the axes up to date where that is due.
    fn decompose(&mut self) -> Result<()> {
        let age = self.generation - self.decomposed;
        if age == 0 || (age as f64) < self.constants.wait {
            return Ok(());
        }
        let n = self.mean.len();
        let smallest = self.axes.values.iter().copied().fold(f64::INFINITY, f64::min);
        self.axes = eigen::symmetric(&self.covariance, n)?;
        // Rounding may leave a negative one where the axes differ by many decades.
        while self.axes.values.iter().any(|v| *v <= 0.0) {
            self.covariance.iter_mut().step_by(n + 1).for_each(|v| *v += smallest);
            self.axes = eigen::symmetric(&self.covariance, n)?;
        }
        self.decomposed = self.generation;
        Ok(())
    }

    /// Takes a candidate's loss; the last of a generation moves the distribution.
    fn tell(&mut self, x: Vec<f64>, loss: f64) {
        self.told.push((x, loss));
        if self.told.len() >= self.constants.weights.len() {
            self.update();
        }
    }

    fn update(&mut self) {
        let n = self.mean.len();
        let c = self.constants.clone();
        let mut ranked = std::mem::take(&mut self.told);
        ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
        self.generation += 1;
        let steps: Vec<Vec<f64>> = ranked
            .iter()
            .map(|(x, _)| x.iter().zip(&self.mean).map(|(x, m)| (x - m) / self.sigma).collect())
            .collect();
        let mut shift = vec![0.0; n];
        for (step, weight) in steps.iter().zip(&c.weights).filter(|(_, w)| **w > 0.0) {
            add(&mut shift, step, *weight);
        }
        add(&mut self.mean, &shift, self.sigma);
        // The paths.
        let white = self.whitened(&shift);
        self.p_sigma.iter_mut().for_each(|v| *v *= 1.0 - c.c_sigma);
        add(&mut self.p_sigma, &white, (c.c_sigma * (2.0 - c.c_sigma) * c.mueff).sqrt());
        let length = dot(&self.p_sigma, &self.p_sigma);
        let begun = 1.0 - libm::pow(1.0 - c.c_sigma, 2.0 * self.generation as f64);
        let short = length / begun / n as f64 - 1.0 < 1.0 + 4.0 / (n as f64 + 1.0);
        let fresh = if short { c.c_c * (2.0 - c.c_c) } else { 0.0 };
        self.p_c.iter_mut().for_each(|v| *v *= 1.0 - c.c_c);
        add(&mut self.p_c, &shift, (fresh * c.mueff).sqrt());
        // A stalled path would take variance away.
        let lost = if short { 0.0 } else { c.c_1 * c.c_c * (2.0 - c.c_c) };
        let kept = 1.0 - (c.c_1 - lost) - c.c_mu * c.weights.iter().sum::<f64>();
        self.covariance.iter_mut().for_each(|v| *v *= kept);
        let path = self.p_c.clone();
        self.widen(&path, c.c_1);
        for (step, weight) in steps.iter().zip(&c.weights) {
            let share = if *weight < 0.0 {
                let white = self.whitened(step);
                weight * n as f64 / (dot(&white, &white).sqrt() + 1e-9).powi(2)
            } else {
                *weight
            };
            self.widen(step, c.c_mu * share);
        }
        let faster = (length.sqrt() / c.length - 1.0) * c.c_sigma / c.damps;
        self.sigma *= libm::exp(faster.clamp(-FASTEST, FASTEST));
    }

    /// Adds `share · v vᵀ` to the covariance.
    fn widen(&mut self, v: &[f64], share: f64) {
        for (row, x) in self.covariance.chunks_exact_mut(v.len()).zip(v) {
            add(row, v, share * x);
        }
    }

    /// Whether no candidate would differ enough from the others.
    fn collapsed(&self, first: f64) -> bool {
        let square = |f: fn(f64, f64) -> f64, from: f64| {
            self.axes.values.iter().copied().fold(from, f).sqrt()
        };
        let (longest, shortest) = (square(f64::max, 0.0), square(f64::min, f64::INFINITY));
        let still = self.sigma * longest < COLLAPSED * first || !self.sigma.is_finite();
        still || longest > NARROW * shortest
    }
}

/// CMA-ES with a state that can be saved at any evaluation.
#[derive(Clone, Debug)]
pub struct Cma {
    settings: Settings,
    search: Option<Search>,
}

impl Cma {
    /// Before its first candidate.
    pub fn new(settings: Settings) -> Self {
        Self { settings, search: None }
    }

    /// Values of a candidate; `None` before it has begun.
    pub(super) fn size(&self) -> Option<usize> {
        self.search.as_ref().map(|s| s.mean.len())
    }

    /// Begins around a point.
    pub(super) fn begin(&mut self, start: Vec<f64>, seed: u64) {
        self.search = Some(Search::new(start, self.settings, 0, seed));
    }

    /// The next candidate.
    ///
    /// # Errors
    /// When it has not begun, or the covariance is not finite any more.
    pub(super) fn ask(&mut self, seed: u64) -> Result<Vec<f64>> {
        let search = self.search.as_mut().ok_or_else(|| Error::runtime("CMA-ES has no start"))?;
        search.candidate(seed)
    }

    /// Takes the loss of the last candidate.
    ///
    /// # Errors
    /// When it has not begun, or the candidate is of another size.
    pub(super) fn tell(&mut self, x: Vec<f64>, loss: f64, seed: u64) -> Result<()> {
        let search = self.search.as_mut().filter(|s| s.mean.len() == x.len());
        let search = search
            .ok_or_else(|| Error::runtime("CMA-ES began with another number of parameters"))?;
        let flat = search.told.iter().all(|(_, other)| *other == loss);
        search.tell(x, loss);
        let ended = search.told.is_empty();
        if ended && (flat || search.collapsed(self.settings.sigma)) {
            let (start, restarts) = (search.start.clone(), search.restarts + 1);
            self.search = Some(Search::new(start, self.settings, restarts, seed));
        }
        Ok(())
    }
}

impl Optimizer for Cma {
    fn name(&self) -> &'static str {
        "cma"
    }

    fn gradients(&self) -> bool {
        false
    }

    fn next(&mut self, at: &[Tensor], worth: &Worth<'_>) -> Result<Option<Vec<Tensor>>> {
        match &self.search {
            None => self.begin(flat(at)?, worth.seed),
            Some(_) => self.tell(flat(at)?, worth.loss, worth.seed)?,
        }
        shaped(&self.ask(worth.seed)?, at).map(Some)
    }

    fn save(&self) -> Saved {
        let mut saved = Saved::new();
        let Some(s) = &self.search else { return saved };
        let mut put = |name: &str, v: &[f64]| {
            saved.insert(name.to_owned(), Stored::Numbers(v.to_vec()));
        };
        put("start", &s.start);
        put("mean", &s.mean);
        put("covariance", &s.covariance);
        put("axes", &s.axes.vectors);
        put("squares", &s.axes.values);
        put("p_c", &s.p_c);
        put("p_sigma", &s.p_sigma);
        let counts = [s.decomposed, s.generation, s.restarts].map(|n| n as f64);
        put("search", &[s.sigma, counts[0], counts[1], counts[2]]);
        put("told", &s.told.iter().flat_map(|(x, _)| x.iter().copied()).collect::<Vec<_>>());
        put("losses", &s.told.iter().map(|(_, loss)| *loss).collect::<Vec<_>>());
        saved
    }

    fn restore(&mut self, saved: &Saved) -> Result<()> {
        if saved.is_empty() {
            self.search = None;
            return Ok(());
        }
        let broken = || Error::runtime("the saved state of CMA-ES is not consistent");
        let own = |name: &str| numbers(saved, name).map(<[f64]>::to_vec);
        let start = own("start")?;
        let n = start.len();
        let sized = |name: &str, size: usize| -> Result<Vec<f64>> {
            Some(own(name)?).filter(|v| v.len() == size).ok_or_else(broken)
        };
        let [sigma, decomposed, generation, restarts] =
            *own("search")?.as_array().ok_or_else(broken)?;
        let [decomposed, generation, restarts] =
            [decomposed, generation, restarts].map(|count| count as usize);
        let losses = own("losses")?;
        let told = sized("told", losses.len() * n)?;
        let search = Search {
            mean: sized("mean", n)?,
            sigma,
            covariance: sized("covariance", n * n)?,
            axes: Eigen { vectors: sized("axes", n * n)?, values: sized("squares", n)? },
            decomposed,
            p_c: sized("p_c", n)?,
            p_sigma: sized("p_sigma", n)?,
            generation,
            told: told.chunks(n.max(1)).map(<[f64]>::to_vec).zip(losses).collect(),
            ..Search::new(start, self.settings, restarts, 0)
        };
        if n == 0 || decomposed > generation || search.told.len() >= search.constants.weights.len()
        {
            return Err(broken());
        }
        self.search = Some(search);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::optimize::first_order::tests::{listed, stored};

    /// Tells every candidate that pycma sampled, and compares the distribution after each
    /// generation.
    #[test]
    fn every_generation_is_pycmas() {
        let stored = stored("cma.json");
        let cases = stored["cases"].as_object().unwrap();
        assert_eq!(cases.len(), 4);
        for (name, case) in cases {
            let number = |key: &str| case[key].as_f64().unwrap();
            let settings = Settings { sigma: number("sigma"), wait: case["wait"].as_f64() };
            let mut cma = Cma::new(settings);
            cma.begin(listed(&case["start"]), 0);
            let n = listed(&case["start"]).len();
            let near = |what: &str, got: &[f64], want: &[f64]| {
                let size = want.iter().fold(1e-300f64, |m, x| m.max(x.abs()));
                assert_eq!(got.len(), want.len());
                for (a, b) in got.iter().zip(want) {
                    assert!((a - b).abs() < 1e-6 * size, "{name} {what}: {a} {b}");
                }
            };
            let c = cma.search.as_ref().unwrap().constants.clone();
            near("weights", &c.weights, &listed(&case["weights"]));
            assert_eq!(c.weights.len(), population(n));
            let mine = [c.mueff, c.c_1, c.c_mu, c.c_c, c.c_sigma, c.damps];
            let keys = ["mueff", "c_1", "c_mu", "c_c", "c_sigma", "damps"];
            for (a, key) in mine.into_iter().zip(keys) {
                near(key, &[a], &[number(key)]);
            }
            for (g, generation) in case["generations"].as_array().unwrap().iter().enumerate() {
                let xs = generation["x"].as_array().unwrap();
                for (x, f) in xs.iter().zip(listed(&generation["f"])) {
                    cma.ask(0).unwrap();
                    cma.tell(listed(x), f, 0).unwrap();
                }
                let s = cma.search.as_ref().unwrap();
                assert_eq!((s.generation, s.restarts), (g + 1, 0), "{name}");
                near("mean", &s.mean, &listed(&generation["mean"]));
                near("sigma", &[s.sigma], &[generation["sigma"].as_f64().unwrap()]);
                near("p_c", &s.p_c, &listed(&generation["p_c"]));
                near("p_sigma", &s.p_sigma, &listed(&generation["p_sigma"]));
                let rows = generation["C"].as_array().unwrap();
                let lower: Vec<f64> = rows.iter().flat_map(listed).collect();
                let own: Vec<f64> =
                    (0..n).flat_map(|i| s.covariance[i * n..=i * n + i].to_vec()).collect();
                near("C", &own, &lower);
            }
        }
    }

    /// The best loss after so many evaluations.
    fn minimise(
        f: &dyn Fn(&[f64]) -> f64,
        start: &[f64],
        (sigma, seed, most): (f64, u64, usize),
    ) -> (f64, Cma) {
        let mut cma = Cma::new(Settings { sigma, wait: None });
        cma.begin(start.to_vec(), seed);
        let mut best = f64::INFINITY;
        for _ in 0..most {
            let x = cma.ask(seed).unwrap();
            let loss = f(&x);
            best = best.min(loss);
            cma.tell(x, loss, seed).unwrap();
        }
        (best, cma)
    }

    #[test]
    fn it_finds_minima_of_long_valleys_and_starts_again_when_it_has_collapsed() {
        let rosenbrock = |x: &[f64]| {
            x.windows(2).map(|p| 100.0 * (p[1] - p[0] * p[0]).powi(2) + (1.0 - p[0]).powi(2)).sum()
        };
        let (loss, _) = minimise(&rosenbrock, &[-1.2, 1.0, 0.0, 0.5, -0.7], (0.5, 3, 3000));
        assert!(loss < 1e-9, "{loss}");
        let sphere = |x: &[f64]| dot(x, x);
        let (loss, cma) = minimise(&sphere, &[1.0, 2.0, 3.0], (0.5, 1, 3000));
        let search = cma.search.unwrap();
        assert!(loss < 1e-12 && search.restarts >= 1, "{loss} {}", search.restarts);
        assert_eq!(search.constants.weights.len(), population(3) << search.restarts);
        // A plateau: nothing to rank.
        let (_, cma) = minimise(&|_| 1.0, &[1.0, 2.0], (0.5, 1, 7));
        assert_eq!(cma.search.unwrap().restarts, 1);
    }

    #[test]
    fn decompositions_become_rare_in_high_dimensions() {
        assert_eq!([2, 16, 128, 512].map(population), [6, 12, 18, 22]);
        let wait = |n: usize| Constants::new(n, population(n), None).wait;
        assert!(wait(16) < 1.0 && (4.0..5.0).contains(&wait(512)), "{} {}", wait(16), wait(512));
    }
}
