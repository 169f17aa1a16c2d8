//! Distance between maps and given ones, every pixel's channels at unit length: the terms that
//! LPIPS (Zhang et al. 2018) sums, with equal weights.

use super::buffer::Map;
use super::isa::Isa;
use super::lanes::{LANES, Lanes, Work};
use crate::raw::{Shared, jobs};

/// Pixels of one job.
const PIXELS: usize = 128;

/// `mean over pixels of ‖x/ℓ − t‖²`, with `ℓ² = ‖x‖² + ε`.
pub(super) struct UnitDistance<'a> {
    pub(super) isa: Isa,
    pub(super) x: &'a Map,
    /// A map of the same size, whose pixels already have unit length.
    pub(super) target: &'a Map,
    /// Keeps the length of a pixel of zeros above zero.
    pub(super) eps: f32,
}

impl UnitDistance<'_> {
    /// The distance of every sample.
    pub(super) fn distances(&self) -> Vec<f64> {
        let (area, chunks) = (self.x.h * self.x.w, self.chunks());
        let mut parts = vec![0f32; self.x.n * chunks];
        self.run(&Shared::new(&mut parts), None);
        let sum = |parts: &[f32]| parts.iter().map(|v| f64::from(*v)).sum::<f64>();
        parts.chunks_exact(chunks).map(|parts| sum(parts) / area as f64).collect()
    }

    /// The gradient of x, where those of the distances are `slopes`.
    pub(super) fn gradient(&self, slopes: &[f32]) -> Map {
        assert_eq!(slopes.len(), self.x.n, "a slope a sample");
        let mut g = Map::new(self.x.n, self.x.channels, self.x.h, self.x.w);
        self.run(&Shared::new(&mut g.data), Some(slopes));
        g
    }

    fn chunks(&self) -> usize {
        (self.x.h * self.x.w).div_ceil(PIXELS)
    }

    /// The sums of the jobs, or with slopes the gradient.
    fn run(&self, out: &Shared<'_>, slopes: Option<&[f32]>) {
        let (x, t, chunks) = (self.x, self.target, self.chunks());
        assert_eq!(
            (x.n, x.channels, x.h, x.w),
            (t.n, t.channels, t.h, t.w),
            "a map and what it is compared with"
        );
        jobs(x.n * chunks, 1, |job| {
            let (sample, first) = (job / chunks, job % chunks * PIXELS);
            let work =
                Pixels { op: self, sample, first, out, at: job, slope: slopes.map(|s| s[sample]) };
            // SAFETY: every job writes its own sum or its own pixels.
            unsafe { self.isa.run(work) };
        });
    }
}

struct Pixels<'a> {
    op: &'a UnitDistance<'a>,
    sample: usize,
    first: usize,
    out: &'a Shared<'a>,
    at: usize,
    slope: Option<f32>,
}

impl Work for Pixels<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { op, sample, first, out, at, slope } = self;
        let (x, area) = (op.x, op.x.h * op.x.w);
        let (blocks, plane) = (x.blocks(), x.plane());
        let start = sample * blocks * plane + first * LANES;
        let mut counts = [1f32; LANES];
        counts[x.channels - (blocks - 1) * LANES..].fill(0.0);
        // SAFETY: both maps have that size, and the pixels, or the sum, are the job's own.
        unsafe {
            // Channels beyond the last do not count.
            let (counted, last) = ([L::splat(1.0), L::load(counts.as_ptr())], blocks - 1);
            let mut far = 0.0;
            for p in 0..PIXELS.min(area - first) {
                let from = start + p * LANES;
                let (v, t) = (x.data.as_ptr().add(from), op.target.data.as_ptr().add(from));
                let mut squares = L::splat(0.0);
                for block in 0..blocks {
                    let v = L::load(v.add(block * plane)).mul(counted[usize::from(block == last)]);
                    squares = v.mul_add(v, squares);
                }
                let scale = 1.0 / (squares.sum() + op.eps).sqrt();
                let (one, mut apart, mut along) = (L::splat(scale), L::splat(0.0), L::splat(0.0));
                for block in 0..blocks {
                    let u = L::load(v.add(block * plane)).mul(one);
                    let d = u
                        .sub(L::load(t.add(block * plane)))
                        .mul(counted[usize::from(block == last)]);
                    apart = d.mul_add(d, apart);
                    along = d.mul_add(u, along);
                }
                let Some(slope) = slope else {
                    far += apart.sum();
                    continue;
                };
                // d‖u − t‖² = 2 (u − t) · du, and du = (dx − u (u · dx)) / ℓ.
                let (factor, along) =
                    (L::splat(2.0 * slope * scale / area as f32), L::splat(along.sum()));
                for block in 0..blocks {
                    let u = L::load(v.add(block * plane)).mul(one);
                    let d = u.sub(L::load(t.add(block * plane))).sub(u.mul(along));
                    d.mul(factor)
                        .mul(counted[usize::from(block == last)])
                        .store(out.at(from + block * plane));
                }
            }
            if slope.is_none() {
                out.slice(at, 1)[0] = far;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{distance, random, sets};
    use super::*;

    const EPS: f32 = 1e-10;

    /// Every pixel's channels at unit length.
    fn unit(x: &mut [f32], (c, area): (usize, usize)) {
        for (i, p) in (0..x.len() / (c * area)).flat_map(|i| (0..area).map(move |p| (i, p))) {
            let length = (0..c).map(|k| x[(i * c + k) * area + p].powi(2)).sum::<f32>().sqrt();
            (0..c).for_each(|k| x[(i * c + k) * area + p] /= length);
        }
    }

    /// Distances, and the gradient of their sum weighed by `slopes`, in double precision.
    fn naive(
        x: &[f32],
        t: &[f32],
        (n, c, area): (usize, usize, usize),
        slopes: &[f32],
    ) -> (Vec<f64>, Vec<f64>) {
        let (mut far, mut g) = (vec![0.0; n], vec![0.0; x.len()]);
        for (i, p) in (0..n).flat_map(|i| (0..area).map(move |p| (i, p))) {
            let at = |k: usize| (i * c + k) * area + p;
            let length =
                ((0..c).map(|k| f64::from(x[at(k)]).powi(2)).sum::<f64>() + f64::from(EPS)).sqrt();
            let unit: Vec<f64> = (0..c).map(|k| f64::from(x[at(k)]) / length).collect();
            let apart: Vec<f64> = (0..c).map(|k| unit[k] - f64::from(t[at(k)])).collect();
            far[i] += apart.iter().map(|d| d * d).sum::<f64>() / area as f64;
            let along: f64 = unit.iter().zip(&apart).map(|(u, d)| u * d).sum();
            for k in 0..c {
                g[at(k)] = 2.0 * f64::from(slopes[i]) / area as f64 * (apart[k] - unit[k] * along)
                    / length;
            }
        }
        (far, g)
    }

    #[test]
    fn distances_and_gradients_at_odd_sizes() {
        for (n, c, h, w) in
            [(1, 2, 1, 1), (2, 5, 3, 7), (1, 16, 9, 15), (3, 24, 2, 1), (2, 35, 13, 11)]
        {
            let (size, name) = (n * c * h * w, format!("{n} {c} {h} {w}"));
            let slopes = random("slopes", n);
            let (mut x, mut t) = (random(&name, size), random(&format!("{name} target"), size));
            unit(&mut t, (c, h * w));
            x.iter_mut().zip(&t).for_each(|(x, t)| *x = 3.0 * (0.1 * *x + *t));
            let (far, g) = naive(&x, &t, (n, c, h * w), &slopes);
            let (mut map, mut target) =
                (Map::from_planar(&x, (n, c, h, w)), Map::from_planar(&t, (n, c, h, w)));
            // The values of channels that do not count must not count.
            for m in [&mut map, &mut target] {
                let (blocks, plane, used) = (m.blocks(), m.plane(), c - (m.blocks() - 1) * LANES);
                for last in
                    m.data.chunks_exact_mut(blocks * plane).map(|s| &mut s[(blocks - 1) * plane..])
                {
                    last.chunks_exact_mut(LANES).for_each(|pixel| pixel[used..].fill(3.0));
                }
            }
            for isa in sets() {
                let op = UnitDistance { isa, x: &map, target: &target, eps: EPS };
                let found: Vec<f32> = op.distances().into_iter().map(|v| v as f32).collect();
                assert!(distance(&found, &far) < 1e-5, "{name} {isa:?}: {found:?} {far:?}");
                let back = distance(&op.gradient(&slopes).to_planar(), &g);
                assert!(back < 1e-4, "{name} {isa:?}: {back}");
            }
        }
    }
}
