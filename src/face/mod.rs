//! Faces in pictures of any size: finds them, then turns and crops the picture like the generator's
//! training pictures.
//!
//! [`all`] looks coarse to fine: the attribute network runs over the whole picture at many scales
//! (`scan`); the best windows are then moved, turned and scaled until the landmarks that the
//! network reads in them are where the training pictures have them (`settle`). [`align()`] cuts
//! that window out, or the one that FFHQ's pictures have around these landmarks ([`Framing`]).

mod framing;
mod scan;
mod settle;
pub mod trial;

pub use framing::Framing;

use crate::control::Control;
use crate::error::{Error, Result};
use crate::image::{Edge, Photograph, Point, Pyramid, Raster, Similarity, align, fit};
use crate::metric::{Features, Points};
use crate::tensor::release;
use std::fmt::Write as _;

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
    /// The same face in another frame.
    #[must_use]
    pub fn framed(self, framing: Framing) -> Self {
        let frame = match framing {
            Framing::Own => self.frame,
            Framing::Ffhq => framing::ffhq(&self.points).unwrap_or(self.frame),
        };
        Self { frame, ..self }
    }

    /// Its size and place: `310 px at 420,300`.
    pub fn place(&self) -> String {
        let [x, y] = self.middle();
        format!("{:.0} px at {x:.0},{y:.0}", self.frame.scale())
    }

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
    pub fn fills(&self, [width, height]: [usize; 2]) -> bool {
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

/// Finds the face that is meant: the first one of [`all`].
///
/// # Errors
/// As [`all`].
pub fn find(network: &Features, picture: &Pyramid<'_>, control: &Control) -> Result<Option<Found>> {
    Ok(all(network, picture, control)?.into_iter().next())
}

/// Finds the faces: those that are clearly faces, the largest first, then the other [`Found::sure`]
/// ones. Where none is sure, the best guess alone; empty when nothing resembles a face. A 1024 px
/// photograph takes about a second of one core.
///
/// # Errors
/// When the network finds no faces ([`crate::metric::FeaturesConfig::finds_faces`]) or reads other
/// channels; `Interrupted` when it is asked to stop, which it looks for between two sizes.
pub fn all(network: &Features, picture: &Pyramid<'_>, control: &Control) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let (usual, small) = scan::windows(picture.size());
    let side = picture.size().map(|n| n as f64).into_iter().fold(f64::INFINITY, f64::min);
    let large: Vec<f64> = usual.iter().copied().filter(|w| *w >= side / 2.0).collect();
    // Small windows cost the most: only a picture without larger faces is searched for them. A face
    // that fills the picture is found last: the streaks of a repeated edge hide it, grey does not.
    let passes = [(usual, Edge::Repeated), (small, Edge::Repeated), (large, Edge::Grey)];
    for (windows, edge) in passes {
        let picture = &picture.with_edge(edge);
        let mut seeds = scan::Seeds::default();
        for window in windows {
            control.check()?;
            seeds.add(scan::level(network, picture, window)?);
            // Other sizes need other buffers: those that are kept for reuse would add up.
            release();
        }
        let settled = settle::settle(network, picture, seeds.take())?.into_iter();
        found.extend(settled.filter(|f| edge != Edge::Grey || f.frame.scale() >= side));
        if found.iter().any(Found::sure) {
            break;
        }
    }
    Ok(ordered(found))
}

/// Share of the surest face's confidence from which a face is clearly one.
const CLEAR: f64 = 0.8;

/// The faces in the order of [`all`].
fn ordered(mut found: Vec<Found>) -> Vec<Found> {
    let best = found.iter().map(|f| f.confidence).fold(0.0, f64::max);
    let clear = |f: &Found| f.confidence >= CLEAR * best;
    found.sort_by(|a, b| clear(b).cmp(&clear(a)).then(b.frame.scale().total_cmp(&a.frame.scale())));
    if best < MIN_CONFIDENCE {
        found.truncate(1);
    }
    let sure = |f: &Found| f.sure() || best < MIN_CONFIDENCE;
    found.retain(sure);
    found
}

/// A picture as the generator's training pictures were, and what was done to it.
pub struct Aligned {
    /// A square of the requested side.
    pub picture: Raster,
    /// Where it was cut out.
    pub photograph: Photograph,
    /// Notes in words, with the confidence.
    pub notes: Vec<String>,
}

/// What a picture is turned and cropped to.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Channels of the result.
    pub channels: usize,
    /// Its side in pixels.
    pub side: usize,
    /// The frame around the face.
    pub framing: Framing,
    /// Number of the face in the order of [`all`], from 1; the first one where none is given.
    pub face: Option<usize>,
}

/// Turns and crops a picture to the framing of a face; a square picture that is framed so already
/// is kept whole, one without a face is cropped to the middle, and the notes say which.
/// `photograph` says where the picture itself was cut out.
///
/// # Errors
/// As [`all`] and [`fit`], and when there is no face of the wanted number.
pub fn align(
    network: &Features,
    (picture, photograph): (&Raster, Photograph),
    wanted: Wanted,
    control: &Control,
) -> Result<Aligned> {
    let pyramid = Pyramid::new(picture.converted(network.channels())?.0)?;
    let found: Vec<Found> = all(network, &pyramid, control)?;
    drop(pyramid);
    let faces = found.iter().filter(|f| f.sure()).count();
    let guess = found.first().map_or(0.0, |f| f.confidence);
    let chosen = wanted.face.map_or(1, |n| n.max(1));
    if wanted.face.is_some() && faces < chosen {
        return Err(none_of_number(chosen, faces, guess));
    }
    let size = [picture.width, picture.height];
    let listed = listed(&found, chosen);
    let face = found.into_iter().filter(Found::sure).nth(chosen - 1);
    let Some(face) = face.map(|f| f.framed(wanted.framing)) else {
        let first = format!(
            "warning: no face found (best guess: confidence {guess:.2}), so the middle is taken"
        );
        return whole(picture, photograph, wanted, first);
    };
    let to_file = photograph.place;
    let mut aligned = if face.fills(size) {
        // Short enough for the line under a picture; `diagnose` says how sure it is.
        let first = "framed as in training, kept whole".to_owned();
        whole(picture, photograph, wanted, first)?
    } else {
        cut(&face, picture, photograph, wanted)?
    };
    aligned.photograph.landmarks = Some(face.points.map(|p| to_file.apply(p)));
    aligned.notes.extend(listed);
    Ok(aligned)
}

fn none_of_number(wanted: usize, faces: usize, guess: f64) -> Error {
    match faces {
        0 => Error::runtime(format!("no face was found (best guess: confidence {guess:.2})"))
            .hint("crop it yourself: align: [x, y, w, h]"),
        1 => Error::runtime(format!("there is no face {wanted}: one was found"))
            .hint("leave `face` out"),
        n => Error::runtime(format!("there is no face {wanted}: {n} were found"))
            .hint(format!("faces(path) shows them; face: 1 to {n}")),
    }
}

/// All faces where there are several, a line each.
fn listed(found: &[Found], chosen: usize) -> Option<String> {
    let sure = found.iter().filter(|f| f.sure());
    let mut text = format!("face {chosen} of {}:", sure.clone().count());
    for (i, f) in sure.enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {}  {}", i + 1, f.place());
        if i + 1 == chosen {
            text.push_str(", taken");
        }
    }
    (text.lines().count() > 2).then_some(text)
}

/// The middle of the picture, with a note before the others.
fn whole(
    picture: &Raster,
    photograph: Photograph,
    wanted: Wanted,
    first: String,
) -> Result<Aligned> {
    let size = (wanted.side, wanted.side);
    let (fitted, mut notes) = fit(picture, wanted.channels, size)?;
    notes.insert(0, first);
    let part = align::centre((picture.width, picture.height), size);
    Ok(Aligned { picture: fitted, photograph: photograph.part(part), notes })
}

/// The frame cut out, and in words where it was.
fn cut(f: &Found, picture: &Raster, photograph: Photograph, wanted: Wanted) -> Result<Aligned> {
    let side = wanted.side;
    let (coloured, converted) = picture.converted(wanted.channels)?;
    let place = Similarity::new(1.0 / side as f64, 0.0, [0.0; 2]).then(&f.frame);
    let (framing, edge) = match wanted.framing {
        Framing::Own => ("aligned to the face", Edge::Repeated),
        Framing::Ffhq => ("aligned to the face as FFHQ", Edge::Mirrored),
    };
    let [x, y] = f.middle();
    let (wide, turn) = (f.frame.scale(), f.frame.degrees());
    let mut notes = vec![format!(
        "{framing}: a square of {wide:.0} px around {x:.0},{y:.0}, turned {:.1}° \
         (confidence {:.2}, landmarks \
         ±{:.1} px)",
        if turn.abs() < 0.05 { 0.0 } else { -turn },
        f.confidence,
        f.spread
    )];
    let outside = f.outside([picture.width, picture.height]);
    if outside > 0.02 {
        notes.push(format!(
            "{:.0} % of it lies outside the picture, {} there",
            outside * 100.0,
            if edge == Edge::Mirrored { "which is mirrored" } else { "whose edge is repeated" }
        ));
    }
    if wide < side as f64 {
        notes.push(format!("enlarged to {side}²: no detail is gained"));
    }
    notes.extend(converted.map(str::to_owned));
    let pyramid = Pyramid::new(coloured)?;
    let cut = pyramid.with_edge(edge).picture(&place, side)?;
    Ok(Aligned { picture: cut, photograph: photograph.cut(&place, [side; 2]), notes })
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
        let whole = Photograph::whole("a.png", b"", &picture);
        let cut = |frame, channels, framing| {
            let wanted = Wanted { channels, side: 64, framing, face: None };
            cut(&found(frame), &picture, whole.clone(), wanted).unwrap()
        };
        let out = cut(Similarity::new(64.0, 0.0, [30.0, 40.0]), 3, Framing::Own);
        assert_eq!(out.picture, picture.crop(30, 40, 64, 64).unwrap());
        assert_eq!(out.photograph.place.apply([2.0, 3.0]), [32.0, 43.0]);
        assert_eq!((out.photograph.frame, out.notes.len()), ([64, 64], 1));
        assert!(out.notes[0].contains("64 px around 62,72, turned 0.0°"), "{}", out.notes[0]);
        let notes = cut(Similarity::new(32.0, 10.0, [-9.0, 40.0]), 1, Framing::Own).notes;
        assert!(
            notes[0].contains("turned -10.0°")
                && notes[1].contains("outside")
                && notes[2].contains("enlarged")
        );
        assert!(notes[3].contains("grey"), "{notes:?}");
        let out = cut(Similarity::new(64.0, 0.0, [-20.0, 40.0]), 3, Framing::Ffhq);
        assert_eq!(out.picture.pixel(0, 0), picture.pixel(20, 40), "mirrored");
        assert!(out.notes[0].starts_with("aligned to the face as FFHQ"));
        assert!(out.notes[1].contains("mirrored"));
    }

    /// The largest of the clear ones is meant; one of which the search is less sure comes last,
    /// and an unsure one is a guess only where there is nothing better.
    #[test]
    fn faces_have_an_order() {
        let face = |scale, confidence| Found {
            confidence,
            ..found(Similarity::new(scale, 0.0, [0.0; 2]))
        };
        let sizes = |all: Vec<Found>| {
            ordered(all).iter().map(|f| f.frame.scale().round()).collect::<Vec<_>>()
        };
        let all = vec![face(50.0, 0.95), face(90.0, 0.6), face(70.0, 0.9), face(200.0, 0.3)];
        assert_eq!(sizes(all), [70.0, 50.0, 90.0]);
        assert_eq!(sizes(vec![face(50.0, 0.3), face(90.0, 0.28), face(99.0, 0.1)]), [90.0]);
        assert!(sizes(Vec::new()).is_empty());
        let two = ordered(vec![face(50.0, 0.95), face(70.0, 0.9)]);
        let said = listed(&two, 2).unwrap();
        assert_eq!(said, "face 2 of 2:\n  1  70 px at 35,35\n  2  50 px at 25,25, taken");
        assert!(listed(&two[..1], 1).is_none());
        for (faces, words) in [(0, "no face was found"), (1, "one was found"), (2, "2 were found")]
        {
            assert!(none_of_number(3, faces, 0.2).message().contains(words));
        }
    }
}
