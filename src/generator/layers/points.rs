//! Runs from point to point: what families share whose layers follow each other in a row.

use crate::error::Result;
use crate::generator::{Feature, Tap};
use candle_core::Tensor;

/// The last point that a request needs; the picture, or the depth, needs point `end`.
pub(in crate::generator) fn last_point(taps: &[Tap], end: usize) -> usize {
    let of = |tap: &Tap| match tap {
        Tap::Layer(point) | Tap::Passed(point) => *point,
        Tap::Picture | Tap::Early(_) | Tap::Depth => end,
    };
    taps.iter().map(of).max().unwrap_or(0)
}

/// Runs layers in a row, from a feature or from the map that `first` makes for point 0, as far as
/// the request needs; `next` makes the map after a point from the map at it.
///
/// Returns the requested features, and the map at point `end` where the picture is requested.
///
/// # Errors
/// Those of `first` and `next`.
pub(in crate::generator) fn through(
    (from, taps): (Option<&Feature>, &[Tap]),
    end: usize,
    first: impl FnOnce() -> Result<Tensor>,
    mut next: impl FnMut(usize, &Tensor) -> Result<Tensor>,
) -> Result<(Vec<Feature>, Option<Tensor>)> {
    let last = last_point(taps, end);
    let (mut point, mut x) = match from {
        Some(feature) => (feature.layer, feature.map.clone()),
        None => (0, first()?),
    };
    let mut features = Vec::new();
    loop {
        if taps.contains(&Tap::Layer(point)) {
            features.push(Feature { layer: point, map: x.clone(), picture: None, passed: false });
        }
        if point >= last {
            return Ok((features, taps.contains(&Tap::Picture).then_some(x)));
        }
        x = next(point, &x)?;
        point += 1;
    }
}
