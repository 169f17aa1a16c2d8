//! Looking for faces at every place and size.

use crate::error::{Error, Result};
use crate::image::{Pyramid, Similarity};
use crate::metric::Features;
use candle_core::{Device, Tensor};

/// Ratio between two sizes of window: the network allows for a face half as large again, or two
/// thirds as large.
const STEP: f64 = 1.6;
/// The largest window, as a share of the picture's shorter side: a face may fill more than the
/// picture.
const LARGEST: f64 = 1.9;
/// The smallest window, in pixels: below it too little is left of a face.
const SMALLEST: f64 = 40.0;
/// At most this many smallest windows beside each other cover the picture: what bounds time and
/// memory. First those of the usual sizes, then those of a search for small faces.
const MOST: [f64; 2] = [64.0, 300.0];
/// Pixels of repeated edge around the picture, as a share of the window.
const EDGE: f64 = 0.25;
/// Below this probability a window is not followed up.
const HOPELESS: f64 = 0.02;
/// Windows that are kept of one size, and of all.
const KEPT: [usize; 2] = [16, 40];

/// A window worth a look.
#[derive(Clone, Debug, PartialEq)]
pub struct Seed {
    /// Its upper left corner in the picture, in pixels.
    pub corner: [f64; 2],
    /// Its side in the picture, in pixels.
    pub side: f64,
    /// The network's probability of a face.
    pub face: f64,
}

impl Seed {
    /// Maps the unit square to the window.
    pub fn frame(&self) -> Similarity {
        Similarity::new(self.side, 0.0, self.corner)
    }

    /// Whether two windows show the same: their middles are close and their sizes alike.
    fn same(&self, other: &Self) -> bool {
        let middle = |s: &Self, k: usize| s.corner[k] + s.side / 2.0;
        let near =
            |k: usize| (middle(self, k) - middle(other, k)).abs() < 0.3 * self.side.min(other.side);
        near(0) && near(1) && (self.side / other.side).ln().abs() < 0.2
    }
}

/// The windows found so far.
#[derive(Default)]
pub struct Seeds(Vec<Seed>);

impl Seeds {
    /// Adds the windows of one size.
    pub fn add(&mut self, more: Vec<Seed>) {
        self.0.extend(more);
    }

    /// The most probable ones, which are then forgotten.
    pub fn take(&mut self) -> Vec<Seed> {
        strongest(std::mem::take(&mut self.0), KEPT[1])
    }
}

/// The most probable windows, no two of the same.
fn strongest(mut seeds: Vec<Seed>, most: usize) -> Vec<Seed> {
    seeds.sort_by(|a, b| b.face.total_cmp(&a.face));
    let mut kept: Vec<Seed> = Vec::new();
    for s in seeds {
        if kept.len() < most && s.face > HOPELESS && !kept.iter().any(|k| k.same(&s)) {
            kept.push(s);
        }
    }
    kept
}

/// The sides of the windows to look through, in pixels of the picture, the largest first: the usual
/// ones, and smaller ones.
pub fn windows([width, height]: [usize; 2]) -> (Vec<f64>, Vec<f64>) {
    let (w, h) = (width as f64, height as f64);
    let largest = LARGEST * w.min(h);
    // A very thin strip would need too many windows, so it gets none: it cannot show a face.
    let [usual, small] = MOST.map(|most| SMALLEST.min(largest).max((w * h / most).sqrt()));
    let up = std::iter::successors(Some(usual), |s| Some(s * STEP));
    let mut all: Vec<f64> = up.take_while(|s| *s <= largest).collect();
    all.reverse();
    let down = std::iter::successors(Some(usual / STEP), |s| Some(s / STEP));
    (all, down.take_while(|s| *s >= small && *s <= largest).collect())
}

/// The windows of one size that look like a face.
pub fn level(network: &Features, picture: &Pyramid<'_>, window: f64) -> Result<Vec<Seed>> {
    let config = network.config();
    let face = config
        .output("face")
        .ok_or_else(|| Error::runtime("the attribute network finds no faces"))?;
    let step = window / config.input_resolution as f64; // picture pixels a pixel
    let edge = (EDGE * config.input_resolution as f64).round() as usize;
    let (data, h, w) = picture.reduced(step, edge)?;
    let small = Tensor::from_vec(data, (1, picture.channels(), h, w), &Device::Cpu)?
        .to_device(network.device())?;
    let dense = network.dense(&small, &[face])?;
    let probability =
        |raw: &Vec<f32>| 1.0 / (1.0 + (-f64::from(raw.first().copied().unwrap_or(f32::MIN))).exp());
    let seed = |(i, raw): (usize, &Vec<f32>)| {
        let place = [i % dense.places[1], i / dense.places[1]];
        let corner = place.map(|k| ((k * dense.stride) as f64 - edge as f64) * step);
        Seed { corner, side: window, face: probability(raw) }
    };
    Ok(strongest(dense.raw.iter().enumerate().map(seed).collect(), KEPT[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(x: f64, side: f64, face: f64) -> Seed {
        Seed { corner: [x, 0.0], side, face }
    }

    #[test]
    fn windows_fall_from_larger_than_the_picture_to_small_ones() {
        let (usual, small) = windows([1024, 1024]);
        assert!(usual[0] > 800.0 && (usual.last().unwrap() - 128.0).abs() < 1e-9, "{usual:?}");
        let all = [usual, small].concat();
        assert!(all.windows(2).all(|p| (p[0] / p[1] - STEP).abs() < 1e-9));
        assert!(all.last().is_some_and(|s| (60.0..1.6 * 60.0).contains(s)), "{all:?}");
        assert_eq!(windows([128, 128]).0.len(), 4);
        assert_eq!(windows([20, 500]), (vec![38.0], vec![]));
        // A panorama is not searched for tiny faces, so its cost is bounded.
        let (usual, small) = windows([8000, 1000]);
        for (all, most) in [usual, small].iter().zip(MOST) {
            let last = all.last().unwrap();
            assert!(8000.0 * 1000.0 / (last * last) <= most * 1.01, "{last}");
        }
        assert_eq!(windows([1, 1]).0.len(), 1);
    }

    #[test]
    fn whatever_the_shape_what_is_looked_through_is_bounded() {
        let sides = [1, 2, 20, 39, 40, 41, 100, 1000, 8191, 8192];
        for (w, h) in sides.iter().flat_map(|w| sides.iter().map(move |h| (*w, *h))) {
            let (usual, small) = windows([w, h]);
            for window in [usual, small].concat() {
                // In windows, with the repeated edge around the picture.
                let side = |n: usize| n as f64 / window + 2.0 * EDGE;
                let (area, least) = (side(w) * side(h), side(w.min(h)));
                assert!(area < 2.0 * MOST[1], "{w}×{h}: {area} windows of {window}");
                assert!(least > 1.0, "{w}×{h}: a window of {window} does not fit");
            }
        }
        assert!(windows([8192, 1]).0.is_empty() && windows([1, 8192]).0.is_empty());
        assert!(!windows([8192, 8192]).0.is_empty());
    }

    #[test]
    fn the_strongest_of_each_place_stay() {
        let all = vec![
            seed(0.0, 100.0, 0.5),
            seed(10.0, 100.0, 0.9),
            seed(80.0, 100.0, 0.4),
            seed(0.0, 50.0, 0.3),
        ];
        let kept = strongest(all.clone(), 3);
        assert_eq!(kept.iter().map(|s| s.face).collect::<Vec<_>>(), [0.9, 0.4, 0.3]);
        assert_eq!(strongest(all, 1).len(), 1);
        assert!(strongest(vec![seed(0.0, 1.0, 0.001)], 3).is_empty());
    }
}
