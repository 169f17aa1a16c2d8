//! Tests of the face search: pictures with known landmarks are pasted at any place, size and turn,
//! and searched.

use super::{Found, find};
use crate::control::Control;
use crate::error::{Error, Result};
use crate::image::{Filter, Pyramid, Raster, Similarity, resize};
use crate::metric::{Features, Points};
use crate::rng::Rng;

/// A face is found when its landmarks are off by at most this, on average, in % of the distance
/// between the eyes.
pub const RIGHT: f64 = 10.0;

/// Sides of the canvases, as multiples of the pasted picture's.
const CANVAS: std::ops::Range<f64> = 2.5..5.0;
/// Backdrop of the pasted picture.
const BACKDROPS: [&str; 4] = ["plain", "gradient", "noise", "picture"];

/// A square picture of a face, and where its landmarks are.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The picture.
    pub picture: Raster,
    /// The landmarks in pixels of the picture, image-left first, the left edge being 0.
    pub points: Points,
}

/// A sample pasted into a canvas.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The canvas with the face.
    pub picture: Raster,
    /// The canvas alone.
    pub empty: Raster,
    /// True landmarks in it, in pixels.
    pub truth: Points,
    /// The pasted picture's side as a multiple of its own, 0.5 to 2.
    pub size: f64,
    /// Its turn in degrees, -30 to 30, clockwise.
    pub turn: f64,
    /// Backdrop: `plain`, `gradient`, `noise` or `picture` (a corner of another one, blurred).
    pub backdrop: &'static str,
}

/// Result of a trial.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Row {
    /// The trial's number.
    pub trial: usize,
    /// Size of the pasted picture, as a multiple of its own.
    pub size: f64,
    /// Turn in degrees.
    pub turn: f64,
    /// Backdrop.
    pub backdrop: &'static str,
    /// Mean distance of the landmarks from the truth in % of the distance between the eyes; null
    /// when nothing was found.
    pub error: Option<f64>,
    /// Confidence of the search, in [0, 1].
    pub confidence: f64,
    /// Confidence on the canvas alone, which has no face.
    pub confidence_empty: f64,
    /// Seconds for the search, on the threads in use.
    pub seconds: f64,
}

impl Row {
    /// Whether the search was sure, and right.
    pub fn found(&self) -> bool {
        self.confidence >= super::MIN_CONFIDENCE && self.error.is_some_and(|e| e <= RIGHT)
    }
}

/// Results of all trials.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// Trials.
    pub n: usize,
    /// Median over the trials of the mean landmark error in % of the distance between the eyes; a
    /// face that was not found counts as infinitely far (null when that is the median).
    pub median_error: Option<f64>,
    /// The error that nine of ten trials stay below.
    pub p90_error: Option<f64>,
    /// Share of trials in which the search was sure and off by at most [`RIGHT`].
    pub found: f64,
    /// Share in which it was sure and wrong.
    pub wrong: f64,
    /// Share of canvases without a face on which it was sure of one.
    pub false_alarms: f64,
    /// Mean confidence where the landmarks were right.
    pub confidence_right: Option<f64>,
    /// Mean confidence where they were wrong.
    pub confidence_wrong: Option<f64>,
    /// Median seconds of a search.
    pub seconds: f64,
}

/// Trial number `index`: a sample at a random place, size and turn on a random canvas; the same for
/// the same seed.
///
/// # Errors
/// When there are no samples.
pub fn trial(samples: &[Sample], index: usize, seed: u64) -> Result<Trial> {
    let none = || Error::runtime("no pictures to try the alignment on");
    let sample = samples.get(index % samples.len().max(1)).ok_or_else(none)?;
    let mut rng = Rng::derive(seed, &format!("align {index}"));
    let own = sample.picture.width as f64;
    let side = own * between(&mut rng, CANVAS.start, CANVAS.end);
    let (size, turn) = (between(&mut rng, -1.0, 1.0).exp2(), between(&mut rng, -30.0, 30.0));
    let linear = Similarity::new(size, turn, [0.0; 2]);
    let reach = own / 2.0 * (linear.a.abs() + linear.b.abs()); // half the width of the turned picture
    let reach = reach.min(side / 2.0);
    let middle = [between(&mut rng, reach, side - reach), between(&mut rng, reach, side - reach)];
    let [x, y] = linear.apply([own / 2.0; 2]);
    let place = Similarity { shift: [middle[0] - x, middle[1] - y], ..linear };
    let other = &samples[rng.below(samples.len())].picture;
    let (empty, backdrop) = canvas(other, side as usize, &mut rng)?;
    let picture = paste(&sample.picture, &empty, &place)?;
    let truth = sample.points.map(|p| place.apply(p));
    Ok(Trial { picture, empty, truth, size, turn, backdrop })
}

fn between(rng: &mut Rng, from: f64, to: f64) -> f64 {
    from + (to - from) * rng.uniform()
}

/// A canvas without a face.
fn canvas(other: &Raster, side: usize, rng: &mut Rng) -> Result<(Raster, &'static str)> {
    let kind = rng.below(BACKDROPS.len());
    let mut colour = || [0; 3].map(|_: u8| rng.below(256) as u8);
    let corners = [colour(), colour(), colour(), colour()];
    let picture = match kind {
        0 => Raster::filled(side, side, &corners[0])?,
        1 => resize(&Raster::new(2, 2, 3, corners.concat())?, side, side, Filter::Bicubic)?,
        2 => {
            let grain = |i: usize| f64::from(corners[0][i % 3]) + 40.0 * rng.normal();
            Raster::new(
                side,
                side,
                3,
                (0..side * side * 3).map(grain).map(|v| v.clamp(0.0, 255.0) as u8).collect(),
            )?
        }
        // The lower left quarter in eight pixels a side: colours and shapes of a picture, but no
        // face.
        _ => {
            let (w, h) = (other.width.div_ceil(2), other.height.div_ceil(2));
            let corner = other.to_rgb()?.crop(0, other.height - h, w, h)?;
            resize(&resize(&corner, 8, 8, Filter::Area)?, side, side, Filter::Bicubic)?
        }
    };
    Ok((picture, BACKDROPS[kind]))
}

/// A picture laid on a canvas, `place` mapping its pixels to the canvas's.
fn paste(picture: &Raster, canvas: &Raster, place: &Similarity) -> Result<Raster> {
    let back = place.inverse();
    let spread = Pyramid::new(picture.to_rgb()?)?.picture(&back, canvas.width)?;
    let mut out = canvas.clone();
    let pixels = out.data.chunks_exact_mut(3).zip(spread.data.chunks_exact(3));
    for (i, (to, from)) in pixels.enumerate() {
        let [x, y] = back.apply([(i % canvas.width) as f64 + 0.5, (i / canvas.width) as f64 + 0.5]);
        if (0.0..picture.width as f64).contains(&x) && (0.0..picture.height as f64).contains(&y) {
            to.copy_from_slice(from);
        }
    }
    Ok(out)
}

/// Looks for the face of a trial, and for one where there is none.
///
/// # Errors
/// As [`find`].
pub fn run(network: &Features, index: usize, trial: &Trial, control: &Control) -> Result<Row> {
    let start = std::time::Instant::now();
    let found =
        find(network, &Pyramid::new(trial.picture.convert(network.channels())?.0)?, control)?;
    let seconds = start.elapsed().as_secs_f64();
    let empty = find(network, &Pyramid::new(trial.empty.convert(network.channels())?.0)?, control)?;
    let confidence = |f: &Option<Found>| f.as_ref().map_or(0.0, |f| f.confidence);
    Ok(Row {
        trial: index,
        size: trial.size,
        turn: trial.turn,
        backdrop: trial.backdrop,
        error: found.as_ref().map(|f| error(&f.points, &trial.truth)),
        confidence: confidence(&found),
        confidence_empty: confidence(&empty),
        seconds,
    })
}

/// Mean distance of landmarks from the truth, in % of the true distance between the eyes.
pub fn error(points: &Points, truth: &Points) -> f64 {
    let distance = |a: &[f64; 2], b: &[f64; 2]| libm::hypot(a[0] - b[0], a[1] - b[1]);
    let mean = points.iter().zip(truth).map(|(a, b)| distance(a, b)).sum::<f64>() / 5.0;
    100.0 * mean / distance(&truth[0], &truth[1])
}

/// The numbers over all trials.
pub fn summary(rows: &[Row]) -> Summary {
    let n = rows.len().max(1) as f64;
    let share = |what: &dyn Fn(&Row) -> bool| rows.iter().filter(|r| what(r)).count() as f64 / n;
    let mut errors: Vec<f64> = rows
        .iter()
        .map(|r| r.error.filter(|_| r.confidence >= super::MIN_CONFIDENCE).unwrap_or(f64::INFINITY))
        .collect();
    errors.sort_by(f64::total_cmp);
    let quantile =
        |q: f64| errors.get((q * (n - 1.0)).round() as usize).copied().filter(|e| e.is_finite());
    let mean = |right: bool| {
        let of: Vec<f64> = rows
            .iter()
            .filter(|r| r.error.is_some_and(|e| e <= RIGHT) == right)
            .map(|r| r.confidence)
            .collect();
        (!of.is_empty()).then(|| of.iter().sum::<f64>() / of.len() as f64)
    };
    let mut seconds: Vec<f64> = rows.iter().map(|r| r.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    Summary {
        n: rows.len(),
        median_error: quantile(0.5),
        p90_error: quantile(0.9),
        found: share(&Row::found),
        wrong: share(&|r| r.confidence >= super::MIN_CONFIDENCE && !r.found()),
        false_alarms: share(&|r| r.confidence_empty >= super::MIN_CONFIDENCE),
        confidence_right: mean(true),
        confidence_wrong: mean(false),
        seconds: seconds.get(seconds.len() / 2).copied().unwrap_or(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of 32² with a red pixel at each landmark on blue.
    fn sample() -> Sample {
        let points = [[8.5, 10.5], [22.5, 10.5], [15.5, 17.5], [10.5, 24.5], [20.5, 24.5]];
        let mut picture = Raster::filled(32, 32, &[0, 0, 200]).unwrap();
        for [x, y] in points {
            let at = (y as usize * 32 + x as usize) * 3;
            picture.data[at..at + 3].copy_from_slice(&[255, 0, 0]);
        }
        Sample { picture, points }
    }

    #[test]
    fn the_truth_lies_where_the_landmarks_were_pasted() {
        for index in 0..12 {
            let t = trial(&[sample()], index, 7).unwrap();
            assert!((0.5..=2.0).contains(&t.size) && t.turn.abs() <= 30.0);
            assert_eq!((t.picture.width, t.picture.channels), (t.empty.width, 3));
            for [x, y] in t.truth {
                // Redder than what a pasted pixel of blue or its neighbours would be, and changed
                // by the pasting.
                let pixel = t.picture.pixel(x as usize, y as usize);
                assert!(pixel[0] > 40, "trial {index}: {pixel:?} at {x} {y}, size {}", t.size);
            }
            assert_ne!(t.picture, t.empty);
            assert_eq!(t.picture, trial(&[sample()], index, 7).unwrap().picture);
        }
        assert!(trial(&[], 0, 7).is_err());
    }

    #[test]
    fn errors_are_shares_of_the_eye_distance() {
        let truth = sample().points;
        let off = truth.map(|[x, y]| [x + 0.3, y + 0.4]);
        assert!((error(&off, &truth) - 100.0 * 0.5 / 14.0).abs() < 1e-9);
    }

    #[test]
    fn a_face_not_found_is_no_small_error() {
        let row = |error, confidence| Row {
            trial: 0,
            size: 1.0,
            turn: 0.0,
            backdrop: "plain",
            error,
            confidence,
            confidence_empty: 0.1,
            seconds: 1.0,
        };
        let s = summary(&[
            row(Some(2.0), 0.9),
            row(Some(1.0), 0.2),
            row(None, 0.0),
            row(Some(40.0), 0.6),
        ]);
        assert_eq!((s.found, s.wrong, s.false_alarms, s.n), (0.25, 0.25, 0.0, 4));
        assert_eq!(s.median_error, None, "the third of four is not finite");
        assert_eq!(
            summary(&[row(Some(2.0), 0.9), row(Some(3.0), 0.9), row(None, 0.0)]).median_error,
            Some(3.0)
        );
        assert!(
            (s.confidence_right.unwrap() - 0.55).abs() < 1e-9
                && (s.confidence_wrong.unwrap() - 0.3).abs() < 1e-9
        );
    }
}
