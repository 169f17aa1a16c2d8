//! Fitting a picture of any size to a generator.

use super::raster::Raster;
use super::resample::{Filter, resize};
use crate::error::Result;
use crate::words;
use std::borrow::Cow;

/// The picture as a generator needs it: a centred part of the generator's aspect, resized to
/// `size` (width and height), with `channels` channels; and notes on the changes (none for a
/// picture that already fits).
///
/// Sides that differ by an odd number lose the extra pixel on the right or at the bottom. Sizes
/// change by Lanczos.
///
/// # Errors
/// When `channels` is not 1, 3 or 4, or a side is 0 or beyond the limit of a side.
pub fn fit(
    picture: &Raster,
    channels: usize,
    size: (usize, usize),
) -> Result<(Raster, Vec<String>)> {
    let mut notes = Vec::new();
    let whole = (picture.width, picture.height);
    let [x, y, w, h] = centre(whole, size);
    let part = if (w, h) == whole {
        Cow::Borrowed(picture)
    } else {
        notes.push(format!("centre crop of {}×{}", whole.0, whole.1));
        Cow::Owned(picture.crop(x, y, w, h)?)
    };
    // Channels first: alpha must be laid on white before pixels are mixed.
    let (part, note) = part.converted(channels)?;
    notes.extend(note.map(str::to_string));
    let (from, to) = (words::size(w, h), words::size(size.0, size.1));
    if w > size.0 || h > size.1 {
        notes.push(format!("reduced from {from} to {to}"));
    } else if (w, h) != size {
        notes.push(format!("enlarged from {from} to {to}: no detail is gained"));
    }
    Ok((resize(&part, size.0, size.1, Filter::Lanczos3)?, notes))
}

/// The part of a picture of that size which [`fit`] takes: `[x, y, width, height]` in pixels.
pub fn centre(whole: (usize, usize), size: (usize, usize)) -> [usize; 4] {
    let (w, h) = part(whole, size);
    [(whole.0 - w) / 2, (whole.1 - h) / 2, w, h]
}

/// The largest part of a picture that has the aspect of `size`.
fn part((width, height): (usize, usize), size: (usize, usize)) -> (usize, usize) {
    let (w, h) = (size.0.max(1), size.1.max(1));
    if width * h <= height * w {
        (width, (width * h / w).max(1))
    } else {
        ((height * w / h).max(1), height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_is_kept_and_named() {
        // Five columns, the middle three bright: a 3×3 centre crop sees only those.
        let row = [0, 200, 200, 200, 0];
        let p = Raster::new(5, 3, 1, row.repeat(3)).unwrap();
        let (q, notes) = fit(&p, 3, (3, 3)).unwrap();
        assert_eq!((q.width, q.height, q.channels), (3, 3, 3));
        assert!(q.data.iter().all(|&v| v == 200));
        assert_eq!(notes, ["centre crop of 5×3", "grey repeated as rgb"]);
    }

    /// A rectangle is filled whatever the picture's aspect, and its part is in the middle.
    #[test]
    fn rectangles_are_cut_to_their_aspect() {
        for (picture, size, cut) in [
            ((8, 8), (2, 4), (4, 8)),
            ((8, 8), (4, 2), (8, 4)),
            ((3, 100), (2, 1), (3, 1)),
            ((100, 3), (32, 16), (6, 3)),
            ((6, 12), (32, 64), (6, 12)),
        ] {
            assert_eq!(part(picture, size), cut, "{picture:?} {size:?}");
            let p = Raster::filled(picture.0, picture.1, &[7, 8, 9]).unwrap();
            let (q, _) = fit(&p, 3, size).unwrap();
            assert_eq!((q.width, q.height), size);
        }
        let row = [0, 0, 9, 9, 0, 0];
        let p = Raster::new(6, 2, 1, row.repeat(2)).unwrap();
        let (q, notes) = fit(&p, 1, (1, 1)).unwrap();
        assert_eq!((q.data[0], notes.len()), (9, 2));
    }

    #[test]
    fn a_picture_that_fits_is_untouched() {
        let p = Raster::new(2, 2, 3, (0..12).collect()).unwrap();
        assert_eq!(fit(&p, 3, (2, 2)).unwrap(), (p, vec![]));
    }

    #[test]
    fn sizes_are_said() {
        let p = Raster::filled(4, 4, &[9]).unwrap();
        assert_eq!(fit(&p, 1, (2, 2)).unwrap().1, ["reduced from 4² to 2²"]);
        assert_eq!(fit(&p, 1, (8, 8)).unwrap().1, ["enlarged from 4² to 8²: no detail is gained"]);
        assert!(fit(&p, 2, (4, 4)).is_err() && fit(&p, 1, (0, 0)).is_err());
    }
}
