//! Moves a window that looks like a face to the frame given by its landmarks.

use super::Found;
use super::scan::Seed;
use crate::control::check;
use crate::error::Result;
use crate::image::{Point, Pyramid, Similarity};
use crate::metric::{Features, Landmarks, Points};
use candle_core::{Device, Tensor};

/// Maximum number of times that a window is moved to its landmarks' frame.
const ROUNDS: usize = 4;
/// Number of most probable windows kept after the first move, and after the others.
const KEPT: [usize; 2] = [32, 24];
/// A window less probable than this after its first move is given up.
const GIVEN_UP: f64 = 0.1;
/// Frames of two faces are at least this far apart, as a share of the larger one's side.
const APART: f64 = 0.3;
/// The frames beside the last one that the landmarks are read in as well: scale, degrees, shift in
/// shares of the side.
const PERTURBATIONS: [(f64, f64, Point); 7] = [
    (1.0, 0.0, [0.0, 0.0]),
    (1.06, 5.0, [0.02, 0.02]),
    (0.94, -5.0, [-0.02, 0.02]),
    (1.06, -5.0, [-0.02, -0.02]),
    (0.94, 5.0, [0.02, -0.02]),
    (1.12, 0.0, [0.0, 0.03]),
    (0.9, 0.0, [0.0, -0.03]),
];

/// The faces among the seeds, the surest first.
pub fn settle(network: &Features, picture: &Pyramid<'_>, seeds: Vec<Seed>) -> Result<Vec<Found>> {
    let mut frames: Vec<Similarity> = seeds.iter().map(Seed::frame).collect();
    for round in 0..ROUNDS {
        let seen = look(network, picture, &frames, false)?;
        let looked = frames.iter().zip(&seen).filter(|(_, s)| round == 0 || s.face >= GIVEN_UP);
        let mut moved: Vec<_> =
            looked.filter_map(|(f, s)| Some((*f, asked(f, s)?, s.face))).collect();
        // If all are given up, the remaining one still tells the confidence.
        if moved.is_empty() {
            break;
        }
        moved.sort_by(|a, b| b.2.total_cmp(&a.2));
        let still = moved.iter().all(|(before, after, _)| is_still(before, after));
        frames = distinct(moved.into_iter().map(|(_, after, _)| after));
        frames.truncate(KEPT[round.min(1)]);
        if still {
            break;
        }
    }
    frames.truncate(KEPT[1]);
    let mut found = frames
        .iter()
        .filter_map(|f| confirm(network, picture, f).transpose())
        .collect::<Result<Vec<_>>>()?;
    found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut all: Vec<Found> = Vec::new();
    for f in found {
        if !all.iter().any(|k| is_one_face(k, &f)) {
            all.push(f);
        }
    }
    Ok(all)
}

/// Whether two frames are of one face.
fn is_one_face(a: &Found, b: &Found) -> bool {
    let ([x, y], [u, v]) = (a.middle(), b.middle());
    libm::hypot(x - u, y - v) < APART * a.frame.scale().max(b.frame.scale())
}

/// Windows that the network sees at once: their maps take memory.
const TOGETHER: usize = 8;

/// The landmarks in every frame, in shares of its side; `exactly`, they are those of
/// [`Features::exact_landmarks`] where the network tells them.
fn look(
    network: &Features,
    picture: &Pyramid<'_>,
    frames: &[Similarity],
    exactly: bool,
) -> Result<Vec<Landmarks>> {
    let config = network.config();
    let side = config.input_resolution;
    let unit = Similarity::new(1.0 / side as f64, 0.0, [0.0; 2]);
    let window = |f: &Similarity| {
        let mut values = picture.square(&unit.then(f), side);
        if let Some(wanted) = config.brightness {
            brighten(&mut values, wanted);
        }
        values
    };
    let shares = |p: Points| p.map(|[x, y]| [x / side as f64, y / side as f64]);
    let mut all = Vec::with_capacity(frames.len());
    for some in frames.chunks(TOGETHER) {
        check()?;
        let data: Vec<f32> = some.iter().flat_map(window).collect();
        let shape = (some.len(), picture.channels(), side, side);
        let windows = Tensor::from_vec(data, shape, &Device::Cpu)?.to_device(network.device())?;
        let seen = match exactly {
            true => exact(network, &windows)?,
            false => network.landmarks(&windows)?,
        };
        all.extend(seen.into_iter().map(|l| Landmarks {
            points: shares(l.points),
            framing: shares(l.framing),
            ..l
        }));
    }
    Ok(all)
}

/// The landmarks of windows, the exact ones where they agree with those that are read as a whole.
fn exact(network: &Features, windows: &Tensor) -> Result<Vec<Landmarks>> {
    let (mut seen, found) = network.exact_landmarks(windows)?;
    let exact = found.into_iter().flatten();
    let agreeing = seen.iter_mut().zip(exact).filter(|(l, exact)| agree(&l.points, exact));
    agreeing.for_each(|(l, exact)| l.points = exact);
    Ok(seen)
}

/// Distance between two places of a landmark, in distances of the eyes, from which one of them is
/// wrong: exact ones are found within the window only, where a face that is not framed may have
/// none.
const WRONG: f64 = 0.35;

/// Whether exact landmarks are those that the network reads as a whole.
fn agree(read: &Points, exact: &Points) -> bool {
    let apart = |a: &Point, b: &Point| libm::hypot(a[0] - b[0], a[1] - b[1]);
    let most = WRONG * apart(&read[0], &read[1]);
    read.iter().zip(exact).all(|(a, b)| apart(a, b) < most)
}

/// Standard deviation of a window below which it is flat, and is left alone.
const FLAT: f64 = 0.02;

/// Gives a window's values this mean and standard deviation.
fn brighten(values: &mut [f32], [mean, deviation]: [f64; 2]) {
    let n = values.len().max(1) as f64;
    let sum = |f: &dyn Fn(f64) -> f64| values.iter().map(|v| f(f64::from(*v))).sum::<f64>() / n;
    let middle = sum(&|v| v);
    let spread = sum(&|v| (v - middle).powi(2)).sqrt();
    if spread > FLAT {
        let one = |v: f32| (f64::from(v) - middle) / spread * deviation + mean;
        values.iter_mut().for_each(|v| *v = one(*v) as f32);
    }
}

/// The frame in which the landmarks seen would be where the training pictures have them.
fn asked(frame: &Similarity, seen: &Landmarks) -> Option<Similarity> {
    let step = Similarity::between(&seen.framing, &seen.points)?;
    // Landmarks so far from the training framing do not belong to a face.
    (0.4..2.5).contains(&step.scale()).then(|| step.then(frame))
}

/// Whether two frames are equal to within the network's accuracy.
fn is_still(before: &Similarity, after: &Similarity) -> bool {
    let step = after.then(&before.inverse());
    let [x, y] = step.apply([0.5, 0.5]);
    step.scale().ln().abs() < 0.01
        && step.degrees().abs() < 0.5
        && libm::hypot(x - 0.5, y - 0.5) < 0.005
}

/// The frames, one of each kind.
fn distinct(frames: impl Iterator<Item = Similarity>) -> Vec<Similarity> {
    let mut kept: Vec<Similarity> = Vec::new();
    for f in frames {
        let same = |k: &Similarity| {
            let [x, y] = f.then(&k.inverse()).apply([0.5, 0.5]);
            libm::hypot(x - 0.5, y - 0.5) < 0.15 && (f.scale() / k.scale()).ln().abs() < 0.25
        };
        if !kept.iter().any(same) {
            kept.push(f);
        }
    }
    kept
}

/// Reads the landmarks in the frame and beside it: their medians, how far they differ, and the mean
/// probability.
fn confirm(network: &Features, picture: &Pyramid<'_>, frame: &Similarity) -> Result<Option<Found>> {
    let beside: Vec<Similarity> = PERTURBATIONS.iter().map(|b| shaken(*b).then(frame)).collect();
    let seen = look(network, picture, &beside, true)?;
    let n = seen.len() as f64;
    let confidence = seen.iter().map(|s| s.face).sum::<f64>() / n;
    let inside: Vec<(Points, Points)> =
        seen.iter().zip(&beside).map(|(s, b)| (s.points.map(|p| b.apply(p)), s.framing)).collect();
    let points = median(&inside.iter().map(|(p, _)| *p).collect::<Vec<_>>());
    let framing = median(&inside.iter().map(|(_, f)| *f).collect::<Vec<_>>());
    let square = |p: &Points| {
        p.iter()
            .zip(&points)
            .map(|(a, b)| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2))
            .sum::<f64>()
    };
    let spread = (inside.iter().map(|(p, _)| square(p)).sum::<f64>() / (5.0 * n)).sqrt();
    let frame = Similarity::between(&framing, &points);
    Ok(frame.map(|frame| Found { points, frame, confidence, spread }))
}

/// A frame a little beside the unit square, turned and scaled about its middle.
fn shaken((scale, degrees, shift): (f64, f64, Point)) -> Similarity {
    let turn = Similarity::new(scale, degrees, [0.0; 2]);
    let [x, y] = turn.apply([0.5, 0.5]);
    Similarity { shift: [0.5 + shift[0] - x, 0.5 + shift[1] - y], ..turn }
}

/// The median of every coordinate.
fn median(all: &[Points]) -> Points {
    let mut out = [[0.0; 2]; 5];
    for (k, v) in out.iter_mut().flatten().enumerate() {
        let mut values: Vec<f64> = all.iter().map(|p| p[k / 2][k % 2]).collect();
        values.sort_by(f64::total_cmp);
        *v = values.get(values.len() / 2).copied().unwrap_or(f64::NAN);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMING: Points = [[0.4, 0.4], [0.6, 0.4], [0.5, 0.6], [0.4, 0.7], [0.6, 0.7]];

    #[test]
    fn landmarks_ask_for_the_frame_that_puts_them_in_place() {
        let (now, wanted) =
            (Similarity::new(100.0, 0.0, [20.0, 30.0]), Similarity::new(130.0, 12.0, [5.0, 8.0]));
        // Landmarks that the network would see of a face placed as trained in the wanted frame.
        let points = FRAMING.map(|p| now.inverse().apply(wanted.apply(p)));
        let seen = Landmarks { points, face: 1.0, framing: FRAMING };
        let asked = asked(&now, &seen).unwrap();
        assert!(is_still(&asked, &wanted) && !is_still(&asked, &now));
        let lost = Landmarks { points: FRAMING.map(|[x, y]| [x * 9.0, y * 9.0]), ..seen };
        assert!(super::asked(&now, &lost).is_none());
    }

    #[test]
    fn windows_get_the_brightness_of_the_training_pictures_unless_they_are_flat() {
        let mut values: Vec<f32> = (0..100).map(|i| 0.5 + 0.003 * i as f32).collect();
        brighten(&mut values, [-0.1, 0.4]);
        let mean = values.iter().sum::<f32>() / 100.0;
        let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 100.0;
        assert!((mean + 0.1).abs() < 1e-5 && (square.sqrt() - 0.4).abs() < 1e-5);
        let mut flat = vec![0.3f32; 100];
        brighten(&mut flat, [-0.1, 0.4]);
        assert_eq!(flat, [0.3; 100]);
    }

    #[test]
    fn exact_landmarks_count_where_they_are_those_that_were_read() {
        let mut exact = FRAMING.map(|[x, y]| [x + 0.03, y - 0.02]);
        assert!(agree(&FRAMING, &exact));
        exact[3][0] -= 0.12;
        assert!(!agree(&FRAMING, &exact));
    }

    #[test]
    fn frames_of_one_face_are_one() {
        let f = |scale, x| Similarity::new(scale, 0.0, [x, 0.0]);
        assert_eq!(
            distinct([f(100.0, 0.0), f(105.0, 4.0), f(100.0, 40.0), f(60.0, 20.0)].into_iter())
                .len(),
            3
        );
    }

    #[test]
    fn medians_leave_the_odd_one_out() {
        let at = |v: f64| [[v; 2]; 5];
        assert_eq!(median(&[at(1.0), at(90.0), at(2.0)]), at(2.0));
    }

    #[test]
    fn shaken_frames_turn_about_their_middle() {
        let [x, y] = shaken((1.1, 7.0, [0.1, 0.0])).apply([0.5, 0.5]);
        assert!((x - 0.6).abs() < 1e-12 && (y - 0.5).abs() < 1e-12);
    }
}
