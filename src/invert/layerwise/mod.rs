//! Exact inversion of generators of affine layers and ReLU, from the picture back to z, layer by
//! layer (Lei, Jalal, Dhillon and Dimakis 2019).
//!
//! A layer `y = ReLU(A x + b)` says `A x + b = y` where y is above 0 and `A x + b ≤ 0` elsewhere;
//! what it reads is 0 or more where a ReLU comes before it. Where the equations alone decide and
//! their solution keeps the rest, that is the answer; otherwise a linear program finds the x whose
//! violations are smallest: the largest one (ℓ∞) or their sum (ℓ1).

mod layers;
mod program;

use crate::cholesky;
use crate::error::Result;
use crate::invert::optimize::vectors::dot;
use program::Program;

pub use layers::Tolerance;
pub(super) use layers::{check, inverted};

/// Violations that rounding explains, relative to the largest value of a layer.
const ROUNDING: f64 = 2e-5;

/// What a linear program keeps small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slack {
    /// The largest violation, ℓ∞.
    Largest,
    /// The sum of the violations, ℓ1.
    Sum,
}

/// A row of a layer: `coefficients · x` is `value`, or at most that.
#[derive(Clone, Debug)]
struct Row {
    coefficients: Vec<f64>,
    value: f64,
    equal: bool,
}

/// The rows of a layer, for inputs of `size` values.
#[derive(Clone, Debug)]
struct System {
    rows: Vec<Row>,
    size: usize,
    /// Whether the inputs are 0 or more.
    positive: bool,
}

/// An input and its largest violation of a row.
#[derive(Clone, Debug)]
struct Solved {
    input: Vec<f64>,
    violation: f64,
}

impl System {
    /// The input that fulfils the rows, or violates them least.
    ///
    /// # Errors
    /// When it is interrupted, and when the linear program is not solved.
    fn solve(&self, slack: Slack) -> Result<Solved> {
        let exact = self.least_squares()?;
        let largest = self.rows.iter().map(|row| row.value.abs()).fold(1.0, f64::max);
        if let Some(solved) = exact.clone().map(|x| self.judged(x))
            && solved.violation <= ROUNDING * largest
        {
            return Ok(solved);
        }
        let start = exact.unwrap_or_else(|| vec![0.0; self.size]);
        let mut found = self.program(slack).solve(self.program_start(start, slack))?.point;
        found.truncate(self.size);
        Ok(self.judged(found))
    }

    /// The solution of the equations by least squares; `None` where they do not decide.
    fn least_squares(&self) -> Result<Option<Vec<f64>>> {
        let n = self.size;
        let (mut square, mut right) = (vec![0.0; n * n], vec![0.0; n]);
        for row in self.rows.iter().filter(|row| row.equal) {
            for (i, a) in row.coefficients.iter().enumerate().filter(|(_, a)| **a != 0.0) {
                let own = &mut square[i * n..i * n + i + 1];
                own.iter_mut().zip(&row.coefficients).for_each(|(sum, b)| *sum += a * b);
                right[i] += a * row.value;
            }
        }
        let most = (0..n).map(|i| square[i * n + i]).fold(0.0, f64::max);
        if !cholesky::decompose(&mut square, n)? {
            return Ok(None);
        }
        // A pivot of rounding alone: the equations leave a direction free.
        if (0..n).any(|i| square[i * n + i].powi(2) < 1e-12 * most) {
            return Ok(None);
        }
        cholesky::solve(&square, &mut right, (n, 1))?;
        Ok(Some(right))
    }

    /// The input with its largest violation; values below 0 where none may be are violations.
    fn judged(&self, mut input: Vec<f64>) -> Solved {
        let below = input.iter().fold(0.0, |most, x| f64::max(most, -x));
        if self.positive {
            input.iter_mut().for_each(|x| *x = x.max(0.0));
        }
        let of = |row: &Row| {
            let over = dot(&row.coefficients, &input) - row.value;
            if row.equal { over.abs() } else { over.max(0.0) }
        };
        let rows = self.rows.iter().map(of).fold(0.0, f64::max);
        Solved { input, violation: rows.max(if self.positive { below } else { 0.0 }) }
    }

    /// Slack variables of the program.
    fn slacks(&self, slack: Slack) -> usize {
        if slack == Slack::Largest { 1 } else { self.rows.len() }
    }

    /// The program over the input and its slacks: their sum is the cost.
    fn program(&self, slack: Slack) -> Program {
        let slacks = self.slacks(slack);
        let mut program = Program {
            cost: [vec![0.0; self.size], vec![1.0; slacks]].concat(),
            ..Program::default()
        };
        for (k, row) in self.rows.iter().enumerate() {
            let own = if slacks == 1 { 0 } else { k };
            let within = |sign: f64| {
                let mut all: Vec<f64> = row.coefficients.iter().map(|a| sign * a).collect();
                all.resize(self.size + slacks, 0.0);
                all[self.size + own] = -1.0;
                all
            };
            program.push(within(1.0), row.value);
            if row.equal {
                program.push(within(-1.0), -row.value);
            }
        }
        let single = |i: usize| {
            let mut row = vec![0.0; self.size + slacks];
            row[i] = -1.0;
            row
        };
        let inputs = if self.positive { 0 } else { self.size };
        (inputs..self.size + slacks).for_each(|i| program.push(single(i), 0.0));
        program
    }

    /// A start of the program with room in all slacks.
    fn program_start(&self, input: Vec<f64>, slack: Slack) -> Vec<f64> {
        let room = self.judged(input.clone()).violation + 1.0;
        [input, vec![room; self.slacks(slack)]].concat()
    }
}

#[cfg(test)]
mod tests;
