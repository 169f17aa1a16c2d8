//! L-BFGS (Nocedal 1980; Liu and Nocedal 1989) with a strong Wolfe line search.
//!
//! All its arithmetic is in double precision and in a fixed order, so a run gives the same bits
//! with any number of threads. Without bounds its steps are those of L-BFGS-B 3.0, which scipy's
//! `fmin_l_bfgs_b` runs: the inverse Hessian starts at `sᵀy / yᵀy`, the first step has length 1,
//! and a line search that fails forgets the history once.

use super::vectors::{add, along, dot, flat, shaped};
use super::wolfe::{Line, Outcome};
use super::{Optimizer, Saved, Stored, Worth, numbers};
use crate::error::{Error, Result};
use candle_core::Tensor;
use std::collections::VecDeque;

/// Settings of L-BFGS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Pairs of steps and gradient changes that are remembered; each costs twice the parameters in
    /// double precision.
    pub history: usize,
    /// Evaluations of one line search at most.
    pub search: usize,
    /// It ends where no entry of the gradient is larger.
    pub gradient: f64,
}

impl Default for Settings {
    /// scipy's, but for the gradient: a picture's loss is a mean with tiny slopes, so it ends only
    /// where they are 0.
    fn default() -> Self {
        Self { history: 10, search: 20, gradient: 0.0 }
    }
}

/// A step that was taken, and how the gradient changed over it.
#[derive(Clone, Debug)]
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
}

/// The current line search: its start, its direction, and its state.
#[derive(Clone, Debug)]
struct Search {
    from: Vec<f64>,
    loss: f64,
    gradient: Vec<f64>,
    direction: Vec<f64>,
    line: Line,
    evaluations: usize,
}

/// L-BFGS with a state that can be saved at any evaluation.
#[derive(Clone, Debug)]
pub struct Lbfgs {
    settings: Settings,
    /// The oldest first.
    pairs: VecDeque<Pair>,
    search: Option<Search>,
}

impl Lbfgs {
    /// Before its first step.
    pub fn new(settings: Settings) -> Self {
        Self { settings, pairs: VecDeque::new(), search: None }
    }

    /// Moves from the line search's result to the next point; `None` once it cannot improve
    /// further.
    fn advance(&mut self, at: Vec<f64>, loss: f64, gradient: Vec<f64>) -> Option<Vec<f64>> {
        let Some(mut search) = self.search.take() else {
            return self.begin(at, loss, gradient);
        };
        search.evaluations += 1;
        match search.line.tell(loss, dot(&gradient, &search.direction)) {
            Outcome::Take => {
                self.remember(&search, &at, &gradient);
                self.begin(at, loss, gradient)
            }
            Outcome::Ask(step) if search.evaluations < self.settings.search => {
                let next = along(&search.from, &search.direction, step);
                self.search = Some(search);
                Some(next)
            }
            Outcome::Ask(_) => self.retreat(search),
        }
    }

    /// Returns to the start of a failed search, without the history. A search that fails without a
    /// history means that rounding prevents further improvement.
    fn retreat(&mut self, search: Search) -> Option<Vec<f64>> {
        if self.pairs.is_empty() {
            return None;
        }
        self.pairs.clear();
        self.begin(search.from, search.loss, search.gradient)
    }

    /// Begins a line search; gives its first point.
    fn begin(&mut self, from: Vec<f64>, loss: f64, gradient: Vec<f64>) -> Option<Vec<f64>> {
        let largest = gradient.iter().fold(0.0f64, |most, g| most.max(g.abs()));
        if largest <= self.settings.gradient {
            return None;
        }
        let mut direction = self.direction(&gradient);
        let mut slope = dot(&gradient, &direction);
        if slope >= 0.0 {
            self.pairs.clear();
            direction = self.direction(&gradient);
            slope = dot(&gradient, &direction);
        }
        // Nothing is known of the function's scale at first.
        let step =
            if self.pairs.is_empty() { 1.0 / dot(&direction, &direction).sqrt() } else { 1.0 };
        let line = Line::new(loss, slope, step);
        let next = along(&from, &direction, step);
        self.search = Some(Search { from, loss, gradient, direction, line, evaluations: 0 });
        Some(next)
    }

    /// `-H g` by the two-loop recursion; `-g` without history.
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut shares = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let share = dot(&pair.step, &q) / dot(&pair.step, &pair.change);
            add(&mut q, &pair.change, -share);
            shares.push(share);
        }
        if let Some(last) = self.pairs.back() {
            let scale = dot(&last.step, &last.change) / dot(&last.change, &last.change);
            q.iter_mut().for_each(|v| *v *= scale);
        }
        for (pair, share) in self.pairs.iter().zip(shares.into_iter().rev()) {
            let back = dot(&pair.change, &q) / dot(&pair.step, &pair.change);
            add(&mut q, &pair.step, share - back);
        }
        q
    }

    /// Keeps the step that was taken, unless the function does not curve upwards along it.
    fn remember(&mut self, search: &Search, at: &[f64], gradient: &[f64]) {
        let difference = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x - y).collect();
        let step: Vec<f64> = difference(at, &search.from);
        let change: Vec<f64> = difference(gradient, &search.gradient);
        if dot(&step, &change) <= f64::EPSILON * -dot(&search.gradient, &step) {
            return;
        }
        if self.pairs.len() >= self.settings.history {
            self.pairs.pop_front();
        }
        self.pairs.push_back(Pair { step, change });
    }
}

impl Optimizer for Lbfgs {
    fn name(&self) -> &'static str {
        "lbfgs"
    }

    fn next(&mut self, at: &[Tensor], worth: &Worth<'_>) -> Result<Option<Vec<Tensor>>> {
        let (point, gradient) = (flat(at)?, flat(worth.gradients)?);
        if self.search.as_ref().is_some_and(|s| s.from.len() != point.len())
            || point.len() != gradient.len()
        {
            return Err(Error::runtime("L-BFGS began with another number of parameters"));
        }
        self.advance(point, worth.loss, gradient).map(|next| shaped(&next, at)).transpose()
    }

    fn save(&self) -> Saved {
        let mut saved = Saved::new();
        let mut put = |name: String, values: Vec<f64>| saved.insert(name, Stored::Numbers(values));
        put("pairs".into(), vec![self.pairs.len() as f64]);
        for (i, pair) in self.pairs.iter().enumerate() {
            put(format!("step.{i}"), pair.step.clone());
            put(format!("change.{i}"), pair.change.clone());
        }
        if let Some(s) = &self.search {
            put("from".into(), s.from.clone());
            put("gradient".into(), s.gradient.clone());
            put("direction".into(), s.direction.clone());
            put("line".into(), s.line.numbers());
            put("search".into(), vec![s.loss, s.evaluations as f64]);
        }
        saved
    }

    fn restore(&mut self, saved: &Saved) -> Result<()> {
        let own = |name: &str| numbers(saved, name).map(<[f64]>::to_vec);
        let count = own("pairs")?.first().map_or(0, |n| *n as usize);
        let pair = |i: usize| {
            Ok(Pair { step: own(&format!("step.{i}"))?, change: own(&format!("change.{i}"))? })
        };
        let pairs = (0..count).map(pair).collect::<Result<VecDeque<Pair>>>()?;
        let search = if saved.contains_key("line") { Some(Search::restore(&own)?) } else { None };
        let size = search.as_ref().map(|s| s.from.len());
        let all = pairs.iter().flat_map(|p| [&p.step, &p.change]);
        let all = all.chain(search.iter().flat_map(|s| [&s.gradient, &s.direction]));
        if all.into_iter().any(|v| Some(v.len()) != size) {
            return Err(Error::runtime("the saved state of L-BFGS is not consistent"));
        }
        (self.pairs, self.search) = (pairs, search);
        Ok(())
    }
}

impl Search {
    fn restore(own: &dyn Fn(&str) -> Result<Vec<f64>>) -> Result<Self> {
        let broken = || Error::runtime("the saved line search is not consistent");
        let [loss, evaluations] = *own("search")?.first_chunk().ok_or_else(broken)?;
        Ok(Self {
            from: own("from")?,
            loss,
            gradient: own("gradient")?,
            direction: own("direction")?,
            line: Line::from_numbers(&own("line")?).ok_or_else(broken)?,
            evaluations: evaluations as usize,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// A function's value and gradient.
    type Function = Box<dyn Fn(&[f64]) -> (f64, Vec<f64>)>;

    fn stored() -> serde_json::Value {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/reference/optim/lbfgs.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn list(v: &serde_json::Value) -> Vec<f64> {
        serde_json::from_value(v.clone()).unwrap()
    }

    fn rows(v: &serde_json::Value) -> Vec<Vec<f64>> {
        serde_json::from_value(v.clone()).unwrap()
    }

    /// Σ 100 (x₊ − x²)² + (1 − x)²
    fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
        let (mut f, mut g) = (0.0, vec![0.0; x.len()]);
        for i in 0..x.len() - 1 {
            let (bend, left) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
            f += 100.0 * bend * bend + left * left;
            g[i] += -400.0 * x[i] * bend - 2.0 * left;
            g[i + 1] += 200.0 * bend;
        }
        (f, g)
    }

    /// xᵀAx/2 − bᵀx
    fn quadratic(case: &serde_json::Value) -> Function {
        let (a, b) = (rows(&case["A"]), list(&case["b"]));
        Box::new(move |x| {
            let ax: Vec<f64> = a.iter().map(|row| dot(row, x)).collect();
            let g = ax.iter().zip(&b).map(|(p, q)| p - q).collect();
            (0.5 * dot(&ax, x) - dot(&b, x), g)
        })
    }

    /// mean ln(1 + exp(−y x·w)) + 0.005 ‖w‖²
    fn logistic(case: &serde_json::Value) -> Function {
        let (points, labels) = (rows(&case["X"]), list(&case["y"]));
        Box::new(move |w| {
            let n = labels.len() as f64;
            let (mut f, mut g): (f64, Vec<f64>) =
                (0.005 * dot(w, w), w.iter().map(|v| 0.01 * v).collect());
            for (x, y) in points.iter().zip(&labels) {
                let margin = y * dot(x, w);
                f += (-margin).exp().ln_1p() / n;
                add(&mut g, x, -y / (1.0 + margin.exp()) / n);
            }
            (f, g)
        })
    }

    fn function(name: &str, case: &serde_json::Value) -> Function {
        match name {
            "quadratic" => quadratic(case),
            "logistic" => logistic(case),
            _ => Box::new(rosenbrock),
        }
    }

    fn tensor(v: &[f64]) -> Tensor {
        Tensor::new(v, &Device::Cpu).unwrap()
    }

    /// The points that are taken, one a line search, and how often the function was evaluated.
    fn minimise(optimizer: &mut Lbfgs, f: &Function, start: &[f64], most: usize) -> Vec<Vec<f64>> {
        let (mut x, mut path) = (tensor(start), Vec::new());
        for _ in 0..most {
            let now = x.to_vec1::<f64>().unwrap();
            let (loss, g) = f(&now);
            let gradients = [tensor(&g)];
            let before = optimizer.search.as_ref().map(|s| s.from.clone());
            let worth = Worth { loss, gradients: &gradients, rate: 0.0, seed: 0 };
            let next = optimizer.next(std::slice::from_ref(&x), &worth).unwrap();
            let after = optimizer.search.as_ref().map(|s| s.from.clone());
            if before != after || next.is_none() {
                path.push(now);
            }
            match next {
                Some(mut next) => x = next.remove(0),
                None => break,
            }
        }
        path
    }

    #[test]
    fn every_step_is_scipys() {
        let stored = stored();
        let cases = stored["cases"].as_object().unwrap();
        assert_eq!(cases.len(), 5);
        for (name, case) in cases {
            let settings = Settings {
                history: case["history"].as_u64().unwrap() as usize,
                gradient: 1e-9,
                ..Settings::default()
            };
            let f = function(case["function"].as_str().unwrap(), case);
            let wanted = rows(&case["x"]);
            let path = minimise(&mut Lbfgs::new(settings), &f, &wanted[0], 1000);
            assert!(path.len() >= wanted.len(), "{name}: {} of {}", path.len(), wanted.len());
            for (k, (got, want)) in path.iter().zip(&wanted).enumerate() {
                for (a, b) in got.iter().zip(want) {
                    assert!((a - b).abs() < 1e-6, "{name} step {k}: {a} {b}");
                }
            }
            for (a, b) in path.last().unwrap().iter().zip(list(&case["minimiser"])) {
                assert!((a - b).abs() < 1e-6, "{name}: {a} {b}");
            }
        }
    }

    #[test]
    fn saved_at_any_evaluation_it_goes_on_as_if_nothing_had_been() {
        let f: Function = Box::new(rosenbrock);
        let start = [-1.2, 1.0, 0.3, 2.0];
        let whole = minimise(&mut Lbfgs::new(Settings::default()), &f, &start, 60);
        for k in 1..40 {
            let (mut first, mut x) = (Lbfgs::new(Settings::default()), tensor(&start));
            let mut path = Vec::new();
            for n in 0..60 {
                if n == k {
                    let mut fresh = Lbfgs::new(Settings::default());
                    fresh.restore(&first.save()).unwrap();
                    first = fresh;
                }
                let before = first.search.as_ref().map(|s| s.from.clone());
                let now = x.to_vec1::<f64>().unwrap();
                let (loss, g) = f(&now);
                let worth = Worth { loss, gradients: &[tensor(&g)], rate: 0.0, seed: 0 };
                let next = first.next(std::slice::from_ref(&x), &worth).unwrap();
                if before != first.search.as_ref().map(|s| s.from.clone()) || next.is_none() {
                    path.push(now);
                }
                let Some(mut next) = next else { break };
                x = next.remove(0);
            }
            assert_eq!(path, whole, "saved before evaluation {k}");
        }
    }

    #[test]
    fn it_ends_where_rounding_leaves_nothing_to_gain() {
        // Slopes that lie: the loss never falls.
        let f: Function = Box::new(|x| (1.0, vec![1.0; x.len()]));
        let mut optimizer = Lbfgs::new(Settings { search: 5, ..Settings::default() });
        let path = minimise(&mut optimizer, &f, &[0.0, 0.0], 1000);
        assert!(path.len() < 20, "{}", path.len());
        let still: Function = Box::new(|x| (1.0, vec![0.0; x.len()]));
        assert_eq!(minimise(&mut Lbfgs::new(Settings::default()), &still, &[1.0], 9).len(), 1);
    }

    #[test]
    fn a_state_that_does_not_fit_together_is_refused() {
        let f: Function = Box::new(rosenbrock);
        let mut optimizer = Lbfgs::new(Settings::default());
        minimise(&mut optimizer, &f, &[-1.2, 1.0], 9);
        let saved = optimizer.save();
        for name in saved.keys() {
            let mut other = saved.clone();
            other.insert(name.clone(), Stored::Numbers(vec![1.0]));
            let fits = optimizer.clone().restore(&other).is_ok();
            assert!(!fits || name == "pairs" || name == "from", "{name}");
            other.remove(name);
            assert!(name == "line" || optimizer.clone().restore(&other).is_err(), "{name}");
        }
    }
}
