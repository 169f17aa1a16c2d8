//! Pictures on the way to the whole one: what families have summed up that make a picture at every
//! resolution.

use super::{Spec, Tap};
use crate::error::{Error, Result};
use crate::safe::Safe;

/// The height of the picture on the way that is requested; `None` for other points.
///
/// # Errors
/// When it is none of `sides`, and when other points are requested with it.
pub(super) fn requested(spec: &Spec, sides: &[usize], taps: &[Tap]) -> Result<Option<usize>> {
    let found = taps.iter().find_map(|tap| match tap {
        Tap::Early(side) => Some(*side),
        _ => None,
    });
    match found {
        Some(side) if taps.len() > 1 || !sides.contains(&side) => {
            Err(not_on_the_way(spec, side, sides))
        }
        found => Ok(found),
    }
}

/// The error of a generator that has no picture of that height on the way to the whole one.
pub fn not_on_the_way(spec: &Spec, side: usize, sides: &[usize]) -> Error {
    let name = Safe(&spec.name);
    if sides.is_empty() {
        let message = format!("{name} makes its picture at full size alone, none of {side} before");
        return Error::runtime(message)
            .hint("generators that sum it over the resolutions can: StyleGAN2 with skips");
    }
    let all: Vec<String> = sides.iter().map(usize::to_string).collect();
    Error::runtime(format!("{name} makes no picture of {side} on the way to {}", spec.size()))
        .hint(format!("use one of {}", all.join(", ")))
}
