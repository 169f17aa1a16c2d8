//! Rays through the pixels of a picture, and where samples lie on them.

use super::config::Config;
use crate::error::Result;
use crate::rng::Rng;
use crate::tensor::linear;
use candle_core::{Device, Tensor};

/// The rays of one camera, row by row of the picture.
pub(super) struct Rays {
    /// The place of the camera, `[1, 3]`.
    pub(super) origin: Tensor,
    /// Directions of length 1, `[M, 3]`.
    pub(super) directions: Tensor,
}

/// The rays of a camera `[1, 25]` through the centres of `side` × `side` pixels, with gradients to
/// the camera (Chan et al. 2022; cameras as OpenCV has them: x right, y down, z forward).
pub(super) fn rays(camera: &Tensor, side: usize) -> Result<Rays> {
    let device = camera.device();
    let at = |i: usize| ((i % side) as f32 + 0.5) / side as f32;
    let column = |f: &dyn Fn(usize) -> f32| -> Result<Tensor> {
        Ok(Tensor::from_vec((0..side * side).map(f).collect::<Vec<_>>(), (side * side, 1), device)?)
    };
    let (u, v) = (column(&at)?, column(&|i| at(i / side))?);
    let number = |i: usize| camera.narrow(1, 16 + i, 1);
    let (fx, skew, cx, fy, cy) = (number(0)?, number(1)?, number(2)?, number(4)?, number(5)?);
    let y = v.broadcast_sub(&cy)?.broadcast_div(&fy)?;
    let x = u.broadcast_sub(&cx)?.broadcast_sub(&y.broadcast_mul(&skew)?)?.broadcast_div(&fx)?;
    let ahead = Tensor::cat(&[&x, &y, &x.ones_like()?], 1)?;
    let matrix = camera.narrow(1, 0, 16)?.reshape((4, 4))?.narrow(0, 0, 3)?;
    let turned = linear(&ahead, &matrix.narrow(1, 0, 3)?.contiguous()?)?;
    let length = turned.sqr()?.sum_keepdim(1)?.sqrt()?;
    Ok(Rays {
        origin: matrix.narrow(1, 3, 1)?.reshape((1, 3))?,
        directions: turned.broadcast_div(&length)?,
    })
}

/// Where the samples lie in their steps: in the middle, or at random.
pub(super) struct Jitter(Option<Rng>);

impl Jitter {
    /// Samples in the middle.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Samples that depend on the seed and on the picture alone.
    pub(super) fn seeded(seed: u64, picture: usize) -> Self {
        Self(Some(Rng::derive(seed, &format!("rays {picture}"))))
    }

    /// A share of a step.
    fn share(&mut self) -> f32 {
        self.0.as_mut().map_or(0.5, |rng| rng.uniform() as f32)
    }

    /// For each of `rays` rays, `n` shares of a whole.
    pub(super) fn parts(&mut self, rays: usize, n: usize) -> Vec<f32> {
        let part = |i: usize| match &mut self.0 {
            Some(rng) => rng.uniform() as f32,
            None => ((i % n) as f32 + 0.5) / n as f32,
        };
        (0..rays * n).map(part).collect()
    }
}

/// Beginning and end of every ray: as the settings say, or where it meets the box of the planes.
/// Rays that miss the box begin with the nearest that meets it.
pub(super) fn ends(c: &Config, rays: &Rays) -> Result<Vec<[f32; 2]>> {
    let directions = rays.directions.to_vec2::<f32>()?;
    if let Some(both) = c.ends() {
        return Ok(vec![both.map(|v| v as f32); directions.len()]);
    }
    let origin = rays.origin.flatten_all()?.to_vec1::<f32>()?;
    let half = (c.rendering.box_warp / 2.0) as f32;
    let meets: Vec<Option<[f32; 2]>> =
        directions.iter().map(|d| through_box(&origin, d, half)).collect();
    let starts = meets.iter().flatten().map(|m| m[0]);
    // The official code ends those rays at the farthest beginning.
    let missed = match (starts.clone().reduce(f32::min), starts.reduce(f32::max)) {
        (Some(first), Some(last)) => [first, last],
        _ => [-1.0, -2.0],
    };
    Ok(meets.into_iter().map(|m| m.unwrap_or(missed)).collect())
}

/// Distances at which a ray enters and leaves a box around the origin; `None` when it misses it.
fn through_box(origin: &[f32], direction: &[f32], half: f32) -> Option<[f32; 2]> {
    let mut span = [f32::NEG_INFINITY, f32::INFINITY];
    for (o, d) in origin.iter().zip(direction) {
        let inverse = 1.0 / d;
        let (near, far) = if inverse < 0.0 { (half, -half) } else { (-half, half) };
        let (enters, leaves) = ((near - o) * inverse, (far - o) * inverse);
        if span[0] > leaves || enters > span[1] {
            return None;
        }
        span = [span[0].max(enters), span[1].min(leaves)];
    }
    (span[1] > span[0]).then_some(span)
}

/// Depths of `n` samples of every ray at equal steps, row by row.
pub(super) fn coarse(c: &Config, ends: &[[f32; 2]], jitter: &mut Jitter) -> Vec<f32> {
    let n = c.rendering.depth_resolution;
    let step = 1.0 / (n - 1) as f32;
    let mut all = Vec::with_capacity(ends.len() * n);
    for &[start, end] in ends {
        for i in 0..n {
            let at = i as f32 * step + jitter.share() * step;
            all.push(if c.rendering.disparity_space_sampling {
                1.0 / ((1.0 - at) / start + at / end)
            } else {
                start + at * (end - start)
            });
        }
    }
    all
}

/// Depths of more samples of every ray where the weights of the first ones are large, by inverting
/// their distribution at the given shares of it (Mildenhall et al. 2020, section 5.2).
///
/// # Shapes
/// depths `[M, S]`, weights `[M, S − 1]`, shares `[M, n]` → `[M, n]`, row by row.
pub(super) fn fine(
    (depths, samples): (&[f32], usize),
    weights: &[f32],
    (shares, n): (&[f32], usize),
) -> Vec<f32> {
    let mut all = Vec::with_capacity(shares.len());
    let rays = depths.chunks_exact(samples).zip(weights.chunks_exact(samples - 1));
    for ((depths, weights), shares) in rays.zip(shares.chunks_exact(n)) {
        let middles: Vec<f32> = depths.windows(2).map(|d| 0.5 * (d[0] + d[1])).collect();
        // Blurred: the larger of two neighbours, then the mean of two.
        let at = |i: usize| weights.get(i).copied().unwrap_or(f32::NEG_INFINITY);
        let larger = |i: usize| at(i).max(i.checked_sub(1).map_or(f32::NEG_INFINITY, at));
        let blurred = |i: usize| 0.5 * (larger(i) + larger(i + 1)) + 0.01;
        let bins: Vec<f32> = (1..weights.len() - 1).map(|i| blurred(i) + 1e-5).collect();
        let total: f32 = bins.iter().sum();
        let mut ladder = vec![0f32];
        for bin in &bins {
            ladder.push(ladder[ladder.len() - 1] + bin / total);
        }
        for &u in shares {
            let above = ladder.partition_point(|&step| step <= u);
            let (below, above) = (above.saturating_sub(1), above.min(bins.len()));
            let height = ladder[above] - ladder[below];
            let height = if height < 1e-5 { 1.0 } else { height };
            let share = (u - ladder[below]) / height;
            all.push(middles[below] + share * (middles[above] - middles[below]));
        }
    }
    all
}

/// A matrix of host numbers.
pub(super) fn matrix(values: Vec<f32>, columns: usize, device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, ((), columns), device)?)
}
