//! Faces in pictures of any size: finds the largest one, then turns and crops the picture like the
//! generator's training pictures.
//!
//! [`find`] looks coarse to fine: the attribute network runs over the whole picture at many scales
//! (`scan`); the best windows are then moved, turned and scaled until the landmarks that the
//! network reads in them are where the training pictures have them (`settle`). [`align`] cuts
//! that window out.

mod scan;
mod settle;
pub mod trial;

use crate::control::Control;
use crate::error::Result;
use crate::image::{Point, Pyramid, Raster, Similarity, fit};
use crate::metric::{Features, Points};

/// Confidence from which a face counts as found.
pub const MIN_CONFIDENCE: f64 = 0.5;

/// A face that was looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Eyes, nose and corners of the mouth in pixels of the picture, image-left first; its left
    /// edge is 0.
    pub points: Points,
    /// The training framing: maps the unit square into the picture, in pixels.
    pub frame: Similarity,
    /// The network's mean probability that a whole face is in this frame and some frames beside
    /// it, in [0, 1].
    pub confidence: f64,
    /// Deviation of the landmarks between those frames: root mean square, in pixels of the picture.
    pub spread: f64,
}

impl Found {
    /// Whether it may be called a face.
    pub fn sure(&self) -> bool {
        self.confidence >= MIN_CONFIDENCE
    }

    /// The middle of the frame, in pixels of the picture.
    pub fn middle(&self) -> Point {
        self.frame.apply([0.5, 0.5])
    }

    /// Whether the frame is the whole square picture, up to the differences between training
    /// pictures: 99 of 100 of them lie within these bounds.
    fn fills(&self, [width, height]: [usize; 2]) -> bool {
        let side = width as f64;
        let [x, y] = self.middle();
        let off = libm::hypot(x - side / 2.0, y - side / 2.0) / side;
        let ratio = self.frame.scale() / side;
        width == height
            && (0.78..1.28).contains(&ratio)
            && self.frame.degrees().abs() < 6.5
            && off < 0.07
    }

    /// The share of the frame that lies outside a picture, on a grid of 16 × 16 places.
    fn outside(&self, [width, height]: [usize; 2]) -> f64 {
        let place = |i: usize| {
            self.frame.apply([((i % 16) as f64 + 0.5) / 16.0, ((i / 16) as f64 + 0.5) / 16.0])
        };
        let out = |[x, y]: Point| x < 0.0 || y < 0.0 || x > width as f64 || y > height as f64;
        (0..256).filter(|i| out(place(*i))).count() as f64 / 256.0
    }
}

/// Finds the largest face. The result is the best guess, whether or not it is [`Found::sure`];
/// `None` when nothing resembles a face. A 1024 px photograph takes about a second of one core,
/// less when the face is large.
///
/// # Errors
/// When the network finds no faces ([`crate::metric::FeaturesConfig::finds_faces`]) or reads other
/// channels; `Interrupted` when it is asked to stop, which it looks for between two sizes.
pub fn find(network: &Features, picture: &Pyramid<'_>, control: &Control) -> Result<Option<Found>> {
    let mut seeds = scan::Seeds::default();
    for window in scan::windows(picture.size()) {
        control.check()?;
        let before = seeds.best();
        let here = seeds.add(scan::level(network, picture, window)?);
        // Past the face's own size the network is sure of it no more; smaller windows cost the
        // most, so look now.
        if before > scan::CLEAR && here < before / 2.0 {
            let found = settle::settle(network, picture, seeds.take())?;
            if found.as_ref().is_some_and(Found::sure) {
                return Ok(found);
            }
        }
    }
    settle::settle(network, picture, seeds.take())
}

/// A picture as the generator's training pictures were, and what was done to it.
pub struct Aligned {
    /// A square of the requested side.
    pub picture: Raster,
    /// Notes in words, with the confidence.
    pub notes: Vec<String>,
}

/// Turns and crops a picture to the training framing of the largest face; a square picture that is
/// framed so already is kept whole, one without a face is cropped to the middle, and the notes say
/// which.
///
/// # Errors
/// As [`find`] and [`fit`].
pub fn align(
    network: &Features,
    picture: &Raster,
    channels: usize,
    side: usize,
    control: &Control,
) -> Result<Aligned> {
    let found = find(network, &Pyramid::new(picture.converted(network.channels())?.0)?, control)?;
    let size = [picture.width, picture.height];
    let (picture, notes) = match &found {
        Some(f) if f.sure() && f.fills(size) => {
            let (picture, mut notes) = fit(picture, channels, (side, side))?;
            let kept = format!(
                "the face is framed as in the training pictures: kept whole (confidence {:.2})",
                f.confidence
            );
            notes.insert(0, kept);
            (picture, notes)
        }
        Some(f) if f.sure() => cut(f, picture, channels, side)?,
        guess => {
            let (picture, mut notes) = fit(picture, channels, (side, side))?;
            let sure = guess.as_ref().map_or(0.0, |f| f.confidence);
            notes.insert(
                0,
                format!(
                    "warning: no face found (best guess: confidence {sure:.2}), so the middle \
                         is taken"
                ),
            );
            (picture, notes)
        }
    };
    Ok(Aligned { picture, notes })
}

/// The frame cut out, and in words where it was.
fn cut(f: &Found, picture: &Raster, channels: usize, side: usize) -> Result<(Raster, Vec<String>)> {
    let (coloured, converted) = picture.converted(channels)?;
    let place = Similarity::new(1.0 / side as f64, 0.0, [0.0; 2]).then(&f.frame);
    let [x, y] = f.middle();
    let (wide, turn) = (f.frame.scale(), f.frame.degrees());
    let mut notes = vec![format!(
        "aligned to the face: a square of {wide:.0} px around {x:.0},{y:.0}, turned {:.1}° \
         (confidence {:.2}, landmarks \
         ±{:.1} px)",
        if turn.abs() < 0.05 { 0.0 } else { -turn },
        f.confidence,
        f.spread
    )];
    let outside = f.outside([picture.width, picture.height]);
    if outside > 0.02 {
        notes.push(format!(
            "{:.0} % of it lies outside the picture, whose edge is repeated there",
            outside * 100.0
        ));
    }
    if wide < side as f64 {
        notes.push(format!("enlarged to {side}²: no detail is gained"));
    }
    notes.extend(converted.map(str::to_owned));
    Ok((Pyramid::new(coloured)?.picture(&place, side)?, notes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Stop;
    use crate::error::Kind;

    fn found(frame: Similarity) -> Found {
        Found { points: [[0.0; 2]; 5], frame, confidence: 1.0, spread: 0.0 }
    }

    #[test]
    fn a_search_can_be_stopped() {
        let network = crate::metric::random_features(1);
        let picture = Pyramid::new(Raster::new(64, 48, 1, vec![9; 64 * 48]).unwrap()).unwrap();
        let control = Control::default();
        for stop in [Stop::Keep, Stop::Abort, Stop::Checkpoint] {
            control.request(stop);
            assert_eq!(find(&network, &picture, &control).unwrap_err().kind(), Kind::Interrupted);
        }
    }

    #[test]
    fn a_framed_picture_is_told_from_another() {
        let whole =
            |scale, degrees, shift| found(Similarity::new(scale, degrees, shift)).fills([100, 100]);
        assert!(whole(100.0, 0.0, [0.0; 2]) && whole(95.0, 3.0, [1.0, 2.0]));
        assert!(
            !whole(60.0, 0.0, [20.0, 20.0])
                && !whole(100.0, 20.0, [0.0; 2])
                && !whole(100.0, 0.0, [20.0, 0.0])
        );
        assert!(!found(Similarity::new(100.0, 0.0, [0.0; 2])).fills([100, 140]));
    }

    #[test]
    fn what_lies_outside_is_counted() {
        let frame = Similarity::new(100.0, 0.0, [-50.0, 0.0]);
        assert!((found(frame).outside([100, 100]) - 0.5).abs() < 1e-9);
        assert_eq!(found(Similarity::new(50.0, 0.0, [10.0, 10.0])).outside([100, 100]), 0.0);
    }

    #[test]
    fn the_square_is_cut_where_the_face_is() {
        let pixel = |i: usize| [(i % 200) as u8, (i / 200) as u8, 9];
        let picture = Raster::new(200, 160, 3, (0..200 * 160).flat_map(pixel).collect()).unwrap();
        let (out, notes) =
            cut(&found(Similarity::new(64.0, 0.0, [30.0, 40.0])), &picture, 3, 64).unwrap();
        assert_eq!(out, picture.crop(30, 40, 64, 64).unwrap());
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("64 px around 62,72, turned 0.0°"), "{}", notes[0]);
        let (_, notes) =
            cut(&found(Similarity::new(32.0, 10.0, [-9.0, 40.0])), &picture, 1, 64).unwrap();
        assert!(
            notes[0].contains("turned -10.0°")
                && notes[1].contains("outside")
                && notes[2].contains("enlarged")
        );
        assert!(notes[3].contains("grey"), "{notes:?}");
    }
}
