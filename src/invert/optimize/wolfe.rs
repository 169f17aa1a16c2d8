//! The line search of Moré and Thuente (1994): along a descent direction to a point that decreases
//! the function enough and has a small enough slope (the strong Wolfe conditions).
//!
//! It uses the constants of L-BFGS-B 3.0, so its steps are those of scipy's `fmin_l_bfgs_b`.

/// A point must decrease the function by this share of what the first slope promises.
const DECREASE: f64 = 1e-3;
/// The slope at the point may be at most this share of the first one.
const CURVATURE: f64 = 0.9;
/// The bracket's relative width at which it ends.
const WIDTH: f64 = 0.1;
/// Longest step.
const LONGEST: f64 = 1e10;
/// Minimum and maximum growth factor of a step before a bracket is found.
const GROWTH: [f64; 2] = [1.1, 4.0];
/// The bracket must shrink to this share over two steps.
const SHRINK: f64 = 0.66;

/// A step length with the function's value and slope there.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    step: f64,
    value: f64,
    slope: f64,
}

impl Point {
    /// The same point of the function minus a line of slope `tilt` through 0.
    fn tilted(self, tilt: f64) -> Self {
        Self { value: self.value - self.step * tilt, slope: self.slope - tilt, ..self }
    }
}

/// A line search under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Value and slope where it began.
    start: Point,
    /// The best point so far, and the other end of the bracket.
    best: Point,
    other: Point,
    /// Between which steps the next one must lie.
    low: f64,
    high: f64,
    /// Widths of the bracket in the last two steps.
    widths: [f64; 2],
    /// The requested step.
    step: f64,
    bracketed: bool,
    /// Whether a point of the second stage was seen: decreased enough, slope not below 0.
    second: bool,
}

/// Next action of a line search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// It wants value and slope at this step.
    Ask(f64),
    /// The last evaluated step is taken.
    Take,
}

impl Line {
    /// Starts at a point with this value and slope, which must be below 0; requests `step` first.
    pub fn new(value: f64, slope: f64, step: f64) -> Self {
        let start = Point { step: 0.0, value, slope };
        Self {
            start,
            best: start,
            other: start,
            low: 0.0,
            high: step + GROWTH[1] * step,
            widths: [LONGEST, 2.0 * LONGEST],
            step,
            bracketed: false,
            second: false,
        }
    }

    /// The requested step.
    #[cfg(test)]
    pub fn step(&self) -> f64 {
        self.step
    }

    /// Continues with value and slope at the requested step.
    pub fn tell(&mut self, value: f64, slope: f64) -> Outcome {
        let at = Point { step: self.step, value, slope };
        let tilt = DECREASE * self.start.slope;
        let enough = self.start.value + at.step * tilt;
        if value <= enough && slope >= 0.0 {
            self.second = true;
        }
        let stuck = self.bracketed && (at.step <= self.low || at.step >= self.high);
        let narrow = self.narrow();
        let longest = at.step == LONGEST && value <= enough && slope <= tilt;
        let found = value <= enough && slope.abs() <= CURVATURE * -self.start.slope;
        if stuck || narrow || longest || found {
            return Outcome::Take;
        }
        if !self.second && value <= self.best.value && value > enough {
            // Not low enough yet: the bracket is that of the function above the line of decrease.
            let [mut best, mut other] = [self.best, self.other].map(|p| p.tilted(tilt));
            self.interpolate(&mut best, &mut other, at.tilted(tilt));
            [self.best, self.other] = [best, other].map(|p| p.tilted(-tilt));
        } else {
            let (mut best, mut other) = (self.best, self.other);
            self.interpolate(&mut best, &mut other, at);
            (self.best, self.other) = (best, other);
        }
        self.bound();
        Outcome::Ask(self.step)
    }

    fn narrow(&self) -> bool {
        self.bracketed && self.high - self.low <= WIDTH * self.high
    }

    /// Bisects a bracket that shrinks too slowly, and sets the bounds of the next step.
    fn bound(&mut self) {
        let (best, other) = (self.best.step, self.other.step);
        if self.bracketed {
            let width = (other - best).abs();
            if width >= SHRINK * self.widths[1] {
                self.step = best + 0.5 * (other - best);
            }
            self.widths = [width, self.widths[0]];
            (self.low, self.high) = (best.min(other), best.max(other));
        } else {
            let [least, most] = GROWTH.map(|g| self.step + g * (self.step - best));
            (self.low, self.high) = (least, most);
        }
        self.step = self.step.clamp(0.0, LONGEST);
        let outside = self.bracketed && (self.step <= self.low || self.step >= self.high);
        if outside || self.narrow() {
            self.step = best;
        }
    }

    /// The next step by cubic and quadratic interpolation, and the new bracket.
    fn interpolate(&mut self, best: &mut Point, other: &mut Point, at: Point) {
        let turned = at.slope * best.slope.signum() < 0.0;
        let next = if at.value > best.value {
            // Higher: the minimum is between both.
            let cubic = cubic(*best, at);
            let ratio = (best.value - at.value) / (at.step - best.step) + best.slope;
            let quadratic = best.step + best.slope / ratio / 2.0 * (at.step - best.step);
            self.bracketed = true;
            if (cubic - best.step).abs() < (quadratic - best.step).abs() {
                cubic
            } else {
                cubic + (quadratic - cubic) / 2.0
            }
        } else if turned {
            // Lower, and the slope turned: the minimum is between both.
            let (cubic, secant) = (cubic(at, *best), secant(at, *best));
            self.bracketed = true;
            if (cubic - at.step).abs() > (secant - at.step).abs() { cubic } else { secant }
        } else if at.slope.abs() < best.slope.abs() {
            self.flatter(*best, *other, at)
        } else if self.bracketed {
            cubic(at, *other)
        } else if at.step > best.step {
            self.high
        } else {
            self.low
        };
        if at.value > best.value {
            *other = at;
        } else {
            if turned {
                *other = *best;
            }
            *best = at;
        }
        self.step = next;
    }

    /// Lower, of the same sign and flatter: the cubic may have its minimum beyond, or none.
    fn flatter(&self, best: Point, other: Point, at: Point) -> f64 {
        let (theta, scale) = theta(best, at);
        let root = (theta / scale).powi(2) - (best.slope / scale) * (at.slope / scale);
        let gamma = scale * root.max(0.0).sqrt();
        let gamma = if at.step > best.step { -gamma } else { gamma };
        let ratio = ((gamma - at.slope) + theta) / ((gamma + (best.slope - at.slope)) + gamma);
        let cubic = if ratio < 0.0 && gamma != 0.0 {
            at.step + ratio * (best.step - at.step)
        } else if at.step > best.step {
            self.high
        } else {
            self.low
        };
        let secant = secant(at, best);
        let nearer = (cubic - at.step).abs() < (secant - at.step).abs();
        if !self.bracketed {
            let far =
                if (cubic - at.step).abs() > (secant - at.step).abs() { cubic } else { secant };
            return far.clamp(self.low, self.high);
        }
        let next = if nearer { cubic } else { secant };
        let limit = at.step + SHRINK * (other.step - at.step);
        if at.step > best.step { next.min(limit) } else { next.max(limit) }
    }

    /// Its state in numbers, for [`Line::from_numbers`].
    pub fn numbers(&self) -> Vec<f64> {
        let points = [self.start, self.best, self.other];
        let mut all: Vec<f64> = points.iter().flat_map(|p| [p.step, p.value, p.slope]).collect();
        all.extend([self.low, self.high, self.widths[0], self.widths[1], self.step]);
        all.extend([self.bracketed, self.second].map(|b| f64::from(u8::from(b))));
        all
    }

    /// The line search of these numbers; `None` when they are none.
    pub fn from_numbers(all: &[f64]) -> Option<Self> {
        let point = |i: usize| {
            let [step, value, slope] = *all.get(3 * i..3 * i + 3)?.first_chunk()?;
            Some(Point { step, value, slope })
        };
        let [low, high, last, before, step, bracketed, second] = *all.get(9..)?.as_array()?;
        Some(Self {
            start: point(0)?,
            best: point(1)?,
            other: point(2)?,
            low,
            high,
            widths: [last, before],
            step,
            bracketed: bracketed != 0.0,
            second: second != 0.0,
        })
    }
}

/// The coefficient θ of the cubic through two points with their slopes, and its scale.
fn theta(a: Point, b: Point) -> (f64, f64) {
    let theta = 3.0 * (a.value - b.value) / (b.step - a.step) + a.slope + b.slope;
    (theta, theta.abs().max(a.slope.abs()).max(b.slope.abs()))
}

/// Minimum of the cubic through two points with their slopes, relative to `from`.
fn cubic(from: Point, to: Point) -> f64 {
    let (theta, scale) = theta(from, to);
    let root = (theta / scale).powi(2) - (from.slope / scale) * (to.slope / scale);
    let gamma = scale * root.sqrt();
    let gamma = if to.step < from.step { -gamma } else { gamma };
    let ratio = ((gamma - from.slope) + theta) / (((gamma - from.slope) + gamma) + to.slope);
    from.step + ratio * (to.step - from.step)
}

/// Zero of the line through the slopes of two points.
fn secant(from: Point, to: Point) -> f64 {
    from.step + from.slope / (from.slope - to.slope) * (to.step - from.step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The step that is taken along φ, and how many evaluations it took.
    fn search(step: f64, phi: impl Fn(f64) -> [f64; 2]) -> (f64, usize) {
        let [value, slope] = phi(0.0);
        let mut line = Line::new(value, slope, step);
        for n in 1..100 {
            let [value, slope] = phi(line.step());
            if line.tell(value, slope) == Outcome::Take {
                return (line.step(), n);
            }
            assert_eq!(Line::from_numbers(&line.numbers()).unwrap(), line);
        }
        panic!("the search does not end");
    }

    #[test]
    fn every_step_taken_satisfies_the_strong_wolfe_conditions() {
        let functions: [fn(f64) -> [f64; 2]; 5] = [
            |t| [(t - 3.0).powi(2), 2.0 * (t - 3.0)],
            // Moré and Thuente's first function, with β = 2.
            |t| [-t / (t * t + 2.0), (t * t - 2.0) / (t * t + 2.0).powi(2)],
            |t| {
                [(t + 0.004).powi(5) - 2.0 * (t + 0.004).powi(4), {
                    5.0 * (t + 0.004).powi(4) - 8.0 * (t + 0.004).powi(3)
                }]
            },
            |t| [-t + 0.3 * (4.0 * t).sin().powi(2), -1.0 + 1.2 * (8.0 * t).sin()],
            |t| [(1.0 + (t - 20.0).powi(2)).sqrt(), (t - 20.0) / (1.0 + (t - 20.0).powi(2)).sqrt()],
        ];
        for (k, phi) in functions.iter().enumerate() {
            for first in [1e-3, 0.1, 1.0, 10.0, 1e3] {
                let (step, n) = search(first, phi);
                let ([f0, g0], [f, g]) = (phi(0.0), phi(step));
                let decreased = f <= f0 + DECREASE * step * g0;
                // The second one's slope at 0 is so small that the bracket narrows first, as in
                // L-BFGS-B; it is taken near the minimum at 1.596.
                let flat = g.abs() <= CURVATURE * -g0 || (k == 2 && (step - 1.596).abs() < 0.1);
                assert!(decreased && flat, "{k} from {first}: {step}");
                assert!(n <= 20, "{k} from {first}: {n} evaluations");
            }
        }
    }

    #[test]
    fn numbers_that_are_no_search_are_refused() {
        let line = Line::new(1.0, -1.0, 1.0).numbers();
        assert!(Line::from_numbers(&line[1..]).is_none() && Line::from_numbers(&[]).is_none());
    }
}
