//! Linear programs: `min cᵀx` for `A x ≤ b`, by Mehrotra's predictor-corrector method (1992).
//!
//! Dense and small: each step decomposes one matrix of the unknowns' size. The signs of x are free.

use crate::cholesky;
use crate::error::{Error, Result};
use crate::invert::optimize::vectors::dot;

/// Steps at most; 10 to 30 are usual.
const MOST_STEPS: usize = 200;
/// Gap and violations, relative to the numbers of the program, at which a solution is optimal.
const EXACT: f64 = 1e-10;
/// Share of the way to the border that a step goes at most.
const INSIDE: f64 = 0.995;
/// Added to the diagonal, relative to it: matrices of nearly dependent rows stay definite.
const RIDGE: f64 = 1e-13;

/// A linear program.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// c.
    pub cost: Vec<f64>,
    /// The rows of A.
    pub rows: Vec<Vec<f64>>,
    /// b.
    pub most: Vec<f64>,
}

/// An optimal point, in tests with the proof: its multipliers.
#[derive(Clone, Debug)]
pub struct Optimum {
    /// x.
    pub point: Vec<f64>,
    /// A number of 0 or more for each row; `Aᵀ·multipliers = −c`, and each is 0 where its row is
    /// not an equality.
    #[cfg(test)]
    pub multipliers: Vec<f64>,
}

fn largest(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |most, x| x.abs().max(most))
}

impl Program {
    /// Adds `row · x ≤ most`.
    pub fn push(&mut self, row: Vec<f64>, most: f64) {
        self.rows.push(row);
        self.most.push(most);
    }

    /// The optimum, searched from `start`, which need not fulfil anything.
    ///
    /// # Errors
    /// When none is found: the program has no point, or costs without end.
    pub fn solve(&self, start: Vec<f64>) -> Result<Optimum> {
        let mut at = State::new(self, start);
        for _ in 0..MOST_STEPS {
            let residual = at.residual(self);
            if residual.optimal(self, &at) {
                return Ok(Optimum {
                    point: at.x,
                    #[cfg(test)]
                    multipliers: at.z,
                });
            }
            if !at.step(self, &residual)? {
                break;
            }
        }
        Err(Error::runtime("the linear program has no optimum that can be found"))
    }

    /// `Aᵀ v`.
    fn transposed(&self, v: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; self.cost.len()];
        for (row, v) in self.rows.iter().zip(v) {
            sum.iter_mut().zip(row).for_each(|(s, a)| *s += a * v);
        }
        sum
    }

    /// `Aᵀ D A` for a diagonal D, decomposed; `None` where it is not definite.
    fn normal(&self, diagonal: &[f64]) -> Result<Option<Vec<f64>>> {
        let n = self.cost.len();
        let mut all = vec![0.0; n * n];
        for (row, d) in self.rows.iter().zip(diagonal) {
            for (i, a) in row.iter().enumerate().filter(|(_, a)| **a != 0.0) {
                let scaled = a * d;
                let lower = &mut all[i * n..i * n + i + 1];
                lower.iter_mut().zip(row).for_each(|(sum, b)| *sum += scaled * b);
            }
        }
        let mean = (0..n).map(|i| all[i * n + i]).sum::<f64>() / n.max(1) as f64;
        (0..n).for_each(|i| all[i * n + i] += RIDGE * (all[i * n + i] + 1e-3 * mean));
        Ok(cholesky::decompose(&mut all, n)?.then_some(all))
    }
}

/// The point with the distances s of its rows from their borders and their multipliers z.
struct State {
    x: Vec<f64>,
    s: Vec<f64>,
    z: Vec<f64>,
}

/// What the point does not fulfil.
struct Residual {
    /// `Aᵀz + c`
    dual: Vec<f64>,
    /// `A x + s − b`
    primal: Vec<f64>,
    /// Mean of s·z.
    gap: f64,
}

impl Residual {
    fn optimal(&self, program: &Program, at: &State) -> bool {
        let near = |v: &[f64], of: &[f64]| largest(v) <= EXACT * (1.0 + largest(of));
        let cost = dot(&program.cost, &at.x).abs();
        let m = at.s.len() as f64;
        near(&self.primal, &program.most)
            && near(&self.dual, &program.cost)
            && self.gap * m <= EXACT * (1.0 + cost)
    }
}

impl State {
    fn new(program: &Program, x: Vec<f64>) -> Self {
        let left: Vec<f64> =
            program.rows.iter().zip(&program.most).map(|(row, b)| b - dot(row, &x)).collect();
        let unit = largest(&left).max(1.0);
        let s = left.iter().map(|left| left.max(unit)).collect();
        Self { x, s, z: vec![largest(&program.cost).max(1e-3); left.len()] }
    }

    fn residual(&self, program: &Program) -> Residual {
        let mut dual = program.transposed(&self.z);
        dual.iter_mut().zip(&program.cost).for_each(|(r, c)| *r += c);
        let rows = program.rows.iter().zip(&program.most).zip(&self.s);
        let primal = rows.map(|((row, b), s)| dot(row, &self.x) + s - b).collect();
        Residual { dual, primal, gap: dot(&self.s, &self.z) / self.s.len().max(1) as f64 }
    }

    /// One step; returns whether there was one.
    fn step(&mut self, program: &Program, residual: &Residual) -> Result<bool> {
        let diagonal: Vec<f64> = self.z.iter().zip(&self.s).map(|(z, s)| z / s).collect();
        let Some(lower) = program.normal(&diagonal)? else { return Ok(false) };
        let products: Vec<f64> = self.s.iter().zip(&self.z).map(|(s, z)| -s * z).collect();
        let guess = self.towards(program, residual, (&lower, &products))?;
        let (of_s, of_z) = self.reach(&guess, 1.0);
        let ahead: f64 = (0..self.s.len())
            .map(|i| (self.s[i] + of_s * guess.s[i]) * (self.z[i] + of_z * guess.z[i]))
            .sum::<f64>()
            / self.s.len().max(1) as f64;
        let centred = residual.gap * (ahead / residual.gap).powi(3);
        let corrected: Vec<f64> =
            (0..products.len()).map(|i| products[i] - guess.s[i] * guess.z[i] + centred).collect();
        let way = self.towards(program, residual, (&lower, &corrected))?;
        let (of_s, of_z) = self.reach(&way, INSIDE);
        let moved = |at: &mut [f64], way: &[f64], share: f64| {
            at.iter_mut().zip(way).for_each(|(a, w)| *a += share * w);
        };
        moved(&mut self.x, &way.x, of_s);
        moved(&mut self.s, &way.s, of_s);
        moved(&mut self.z, &way.z, of_z);
        Ok(self.x.iter().chain(&self.s).chain(&self.z).all(|v| v.is_finite()))
    }

    /// The way on which the residuals vanish and the products s·z change as wanted, to first order.
    fn towards(
        &self,
        program: &Program,
        residual: &Residual,
        (lower, wanted): (&[f64], &[f64]),
    ) -> Result<Self> {
        let n = self.x.len();
        let by_row: Vec<f64> = (0..self.s.len())
            .map(|i| (wanted[i] + self.z[i] * residual.primal[i]) / self.s[i])
            .collect();
        let mut x = program.transposed(&by_row);
        x.iter_mut().zip(&residual.dual).for_each(|(x, d)| *x = -*x - d);
        cholesky::solve(lower, &mut x, (n, 1))?;
        let s: Vec<f64> =
            program.rows.iter().zip(&residual.primal).map(|(row, r)| -r - dot(row, &x)).collect();
        let z = (0..s.len()).map(|i| (wanted[i] - self.z[i] * s[i]) / self.s[i]).collect();
        Ok(Self { x, s, z })
    }

    /// The largest shares of a way, up to 1, on which s and z stay above 0.
    fn reach(&self, way: &Self, inside: f64) -> (f64, f64) {
        let of = |at: &[f64], way: &[f64]| {
            let each = at.iter().zip(way).filter(|(_, w)| **w < 0.0).map(|(a, w)| -a / w);
            (inside * each.fold(f64::INFINITY, f64::min)).min(1.0)
        };
        (of(&self.s, &way.s), of(&self.z, &way.z))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// Proves the optimum: both are feasible and their costs are equal (weak duality).
    fn proven(program: &Program, found: &Optimum) -> f64 {
        for (row, most) in program.rows.iter().zip(&program.most) {
            assert!(dot(row, &found.point) <= most + 1e-8);
        }
        assert!(found.multipliers.iter().all(|z| *z >= 0.0));
        let balance = program.transposed(&found.multipliers);
        assert!(balance.iter().zip(&program.cost).all(|(a, c)| (a + c).abs() < 1e-8));
        let cost = dot(&program.cost, &found.point);
        assert!((cost + dot(&program.most, &found.multipliers)).abs() < 1e-8 * (1.0 + cost.abs()));
        cost
    }

    #[test]
    fn a_known_corner() {
        // max 3x + 5y for x ≤ 4, 2y ≤ 12, 3x + 2y ≤ 18, x and y ≥ 0: 36 at (2, 6).
        let mut program = Program { cost: vec![-3.0, -5.0], ..Program::default() };
        program.push(vec![1.0, 0.0], 4.0);
        program.push(vec![0.0, 2.0], 12.0);
        program.push(vec![3.0, 2.0], 18.0);
        program.push(vec![-1.0, 0.0], 0.0);
        program.push(vec![0.0, -1.0], 0.0);
        let found = program.solve(vec![0.0, 0.0]).unwrap();
        assert!((proven(&program, &found) + 36.0).abs() < 1e-8);
        assert!((found.point[0] - 2.0).abs() < 1e-8 && (found.point[1] - 6.0).abs() < 1e-8);
    }

    #[test]
    fn random_programs_are_solved_with_proof() {
        let mut rng = Rng::new(3);
        for (n, m) in [(1, 3), (5, 12), (20, 60), (30, 31)] {
            let mut program = Program::default();
            let inside: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
            let mut cost = vec![0.0; n];
            for k in 0..m {
                let row: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
                // Multipliers of some rows make the cost bounded below.
                if k % 2 == 0 {
                    let z = rng.normal().abs();
                    cost.iter_mut().zip(&row).for_each(|(c, a)| *c -= z * a);
                }
                let most = dot(&row, &inside) + rng.normal().abs();
                program.push(row, most);
            }
            program.cost = cost;
            let found = program.solve(vec![0.0; n]).unwrap();
            proven(&program, &found);
        }
    }

    #[test]
    fn programs_without_a_point_or_an_end_are_refused() {
        let mut none = Program { cost: vec![1.0], ..Program::default() };
        none.push(vec![1.0], -1.0);
        none.push(vec![-1.0], -1.0);
        assert!(none.solve(vec![0.0]).is_err());
        let mut endless = Program { cost: vec![-1.0], ..Program::default() };
        endless.push(vec![-1.0], 0.0);
        assert!(endless.solve(vec![0.0]).is_err());
    }
}
