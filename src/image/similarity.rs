//! Turns, scales and shifts of the plane, without reflection.

/// A point; in a picture the left and upper edge are 0, pixel centres at one half.
pub type Point = [f64; 2];

/// `x → a·x - b·y + shift[0]`, `y → b·x + a·y + shift[1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// Scale times the cosine of the turn.
    pub a: f64,
    /// Scale times its sine.
    pub b: f64,
    /// Image of the origin.
    pub shift: Point,
}

impl Similarity {
    /// Scale `scale`, a turn that brings x towards y (clockwise in a picture), then a shift.
    pub fn new(scale: f64, degrees: f64, shift: Point) -> Self {
        let turn = degrees.to_radians();
        // libm, so that the same numbers come out on every platform.
        Self { a: scale * libm::cos(turn), b: scale * libm::sin(turn), shift }
    }

    /// The map of least squared error from points to points, without reflection (Umeyama 1991, in
    /// the plane); `None` when there are not two different points to map, or a number is not
    /// finite.
    pub fn between(from: &[Point], to: &[Point]) -> Option<Self> {
        let n = from.len().min(to.len()) as f64;
        let mean = |points: &[Point]| {
            points.iter().fold([0.0; 2], |m, p| [m[0] + p[0] / n, m[1] + p[1] / n])
        };
        let (f, t) = (mean(from), mean(to));
        let (mut a, mut b, mut spread) = (0.0, 0.0, 0.0);
        for (p, q) in from.iter().zip(to) {
            let ([px, py], [qx, qy]) = ([p[0] - f[0], p[1] - f[1]], [q[0] - t[0], q[1] - t[1]]);
            a += px * qx + py * qy;
            b += px * qy - py * qx;
            spread += px * px + py * py;
        }
        let linear = Self { a: a / spread, b: b / spread, shift: [0.0; 2] };
        let moved = linear.apply(f);
        let all = Self { shift: [t[0] - moved[0], t[1] - moved[1]], ..linear };
        let numbers = [all.a, all.b, all.shift[0], all.shift[1]];
        (spread > 0.0 && all.scale() > 0.0 && numbers.iter().all(|v| v.is_finite())).then_some(all)
    }

    /// Maps a point.
    pub fn apply(&self, [x, y]: Point) -> Point {
        [self.a * x - self.b * y + self.shift[0], self.b * x + self.a * y + self.shift[1]]
    }

    /// Factor by which lengths grow.
    pub fn scale(&self) -> f64 {
        libm::hypot(self.a, self.b)
    }

    /// The turn in degrees, in (-180, 180]; positive is clockwise in a picture.
    pub fn degrees(&self) -> f64 {
        libm::atan2(self.b, self.a).to_degrees()
    }

    /// The way back; of a map with scale 0 there is none, and its numbers are not finite.
    pub fn inverse(&self) -> Self {
        let square = self.a * self.a + self.b * self.b;
        let linear = Self { a: self.a / square, b: -self.b / square, shift: [0.0; 2] };
        let [x, y] = linear.apply(self.shift);
        Self { shift: [-x, -y], ..linear }
    }

    /// First `self`, then `next`.
    pub fn then(&self, next: &Self) -> Self {
        let shift = next.apply(self.shift);
        Self { a: next.a * self.a - next.b * self.b, b: next.b * self.a + next.a * self.b, shift }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn near(a: Point, b: Point) {
        assert!((a[0] - b[0]).abs() < 1e-9 && (a[1] - b[1]).abs() < 1e-9, "{a:?} {b:?}");
    }

    #[test]
    fn a_quarter_turn_by_hand() {
        let s = Similarity::new(2.0, 90.0, [10.0, 0.0]);
        near(s.apply([1.0, 0.0]), [10.0, 2.0]);
        near(s.apply([0.0, 1.0]), [8.0, 0.0]);
        assert!((s.degrees() - 90.0).abs() < 1e-12 && (s.scale() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn inverse_and_composition() {
        let (s, t) =
            (Similarity::new(0.7, -33.0, [4.0, -2.0]), Similarity::new(3.0, 170.0, [1.0, 5.0]));
        let p = [2.5, -7.0];
        near(s.inverse().apply(s.apply(p)), p);
        near(s.then(&t).apply(p), t.apply(s.apply(p)));
    }

    #[test]
    fn exact_points_give_the_map_back_and_noisy_ones_the_least_error() {
        let mut rng = Rng::new(1);
        let from: Vec<Point> = (0..5).map(|_| [rng.normal(), rng.normal()]).collect();
        let s = Similarity::new(1.7, 25.0, [3.0, -4.0]);
        let exact: Vec<Point> = from.iter().map(|p| s.apply(*p)).collect();
        let found = Similarity::between(&from, &exact).unwrap();
        near([found.a, found.b], [s.a, s.b]);
        near(found.shift, s.shift);
        let noisy: Vec<Point> =
            exact.iter().map(|p| [p[0] + 0.3 * rng.normal(), p[1] + 0.3 * rng.normal()]).collect();
        let best = Similarity::between(&from, &noisy).unwrap();
        let error = |m: &Similarity| {
            let gap = |(p, q): (&Point, &Point)| {
                let r = m.apply(*p);
                (r[0] - q[0]).powi(2) + (r[1] - q[1]).powi(2)
            };
            from.iter().zip(&noisy).map(gap).sum::<f64>()
        };
        let [x, y] = best.shift;
        for step in [1e-3, -1e-3] {
            assert!(error(&Similarity { a: best.a + step, ..best }) > error(&best));
            assert!(error(&Similarity { b: best.b + step, ..best }) > error(&best));
            assert!(error(&Similarity { shift: [x + step, y], ..best }) > error(&best));
            assert!(error(&Similarity { shift: [x, y + step], ..best }) > error(&best));
        }
    }

    #[test]
    fn a_mirrored_face_is_not_mirrored_back() {
        let from = [[0.0, 0.0], [2.0, 0.0], [1.0, 3.0]];
        let mirrored = from.map(|[x, y]| [-x, y]);
        let s = Similarity::between(&from, &mirrored).unwrap();
        // Two places of a reflection cannot both be met: the determinant stays positive.
        assert!(s.a * s.a + s.b * s.b > 0.0 && s.apply(from[0])[0].abs() > 0.1);
    }

    #[test]
    fn one_place_is_not_enough() {
        assert!(Similarity::between(&[[1.0, 1.0]; 5], &[[0.0, 0.0]; 5]).is_none());
        assert!(Similarity::between(&[], &[]).is_none());
        assert!(Similarity::between(&[[0.0, 0.0], [f64::NAN, 1.0]], &[[0.0; 2]; 2]).is_none());
    }
}
