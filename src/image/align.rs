//! Fitting a picture of any size to a generator.

use super::raster::Raster;
use super::resample::{Filter, resize};
use crate::error::Result;
use std::borrow::Cow;

/// The picture as a generator needs it: a centred square of `resolution` pixels with `channels`
/// channels, and notes on the changes (none for a picture that already fits).
///
/// Sides that differ by an odd number lose the extra pixel on the right or at the bottom. Sizes
/// change by Lanczos.
///
/// # Errors
/// When `channels` is not 1, 3 or 4, or `resolution` is 0 or beyond the limit of a side.
pub fn fit(picture: &Raster, channels: usize, resolution: usize) -> Result<(Raster, Vec<String>)> {
    let mut notes = Vec::new();
    let (width, height) = (picture.width, picture.height);
    let side = width.min(height);
    let square = if width == height {
        Cow::Borrowed(picture)
    } else {
        notes.push(format!("centre crop of {width}×{height}"));
        Cow::Owned(picture.crop((width - side) / 2, (height - side) / 2, side, side)?)
    };
    // Channels first: alpha must be laid on white before pixels are mixed.
    let (square, note) = square.converted(channels)?;
    notes.extend(note.map(str::to_string));
    if side > resolution {
        notes.push(format!("reduced from {side}² to {resolution}²"));
    } else if side < resolution {
        notes.push(format!("enlarged from {side}² to {resolution}²: no detail is gained"));
    }
    Ok((resize(&square, resolution, resolution, Filter::Lanczos3)?, notes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_is_kept_and_named() {
        // Five columns, the middle three bright: a 3×3 centre crop sees only those.
        let row = [0, 200, 200, 200, 0];
        let p = Raster::new(5, 3, 1, row.repeat(3)).unwrap();
        let (q, notes) = fit(&p, 3, 3).unwrap();
        assert_eq!((q.width, q.height, q.channels), (3, 3, 3));
        assert!(q.data.iter().all(|&v| v == 200));
        assert_eq!(notes, ["centre crop of 5×3", "grey repeated as rgb"]);
    }

    #[test]
    fn a_picture_that_fits_is_untouched() {
        let p = Raster::new(2, 2, 3, (0..12).collect()).unwrap();
        assert_eq!(fit(&p, 3, 2).unwrap(), (p, vec![]));
    }

    #[test]
    fn sizes_are_said() {
        let p = Raster::filled(4, 4, &[9]).unwrap();
        assert_eq!(fit(&p, 1, 2).unwrap().1, ["reduced from 4² to 2²"]);
        assert_eq!(fit(&p, 1, 8).unwrap().1, ["enlarged from 4² to 8²: no detail is gained"]);
        assert!(fit(&p, 2, 4).is_err() && fit(&p, 1, 0).is_err());
    }
}
