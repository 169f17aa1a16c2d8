//! Frames around a face.

use crate::image::{Point, Similarity};
use crate::metric::Points;

/// The frame in which a generator was trained to draw faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// That of the pictures which the attribute network was trained on.
    Own,
    /// That of FFHQ (Karras et al. 2019), and so of CelebA-HQ's relatives and most public
    /// generators of photographic faces.
    Ffhq,
}

/// FFHQ's frame: maps the unit square into the picture, in pixels. `None` when eyes and mouth are
/// in one place.
///
/// A square around `c = eyes + 0.1 · m`, where `m` leads from the middle of the eyes to the middle
/// of the mouth. Its right half is `x`: the direction of `e − rot90(m)`, where `e` leads from the
/// left eye to the right one; as long as `max(2 |e|, 1.8 |m|)`.
pub fn ffhq([left, right, _, mouth_left, mouth_right]: &Points) -> Option<Similarity> {
    let middle = |a: &Point, b: &Point| [f64::midpoint(a[0], b[0]), f64::midpoint(a[1], b[1])];
    let (eyes, mouth) = (middle(left, right), middle(mouth_left, mouth_right));
    let e = [right[0] - left[0], right[1] - left[1]];
    let m = [mouth[0] - eyes[0], mouth[1] - eyes[1]];
    let direction = [e[0] + m[1], e[1] - m[0]];
    let length = libm::hypot(direction[0], direction[1]);
    let half = (2.0 * libm::hypot(e[0], e[1])).max(1.8 * libm::hypot(m[0], m[1]));
    let [x, y] = direction.map(|v| v / length * half);
    let centre = [eyes[0] + 0.1 * m[0], eyes[1] + 0.1 * m[1]];
    let shift = [centre[0] - x + y, centre[1] - y - x];
    let frame = Similarity { a: 2.0 * x, b: 2.0 * y, shift };
    (length > 0.0 && half > 0.0 && frame.scale().is_finite()).then_some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Corners of the official script's `quad`, computed by its formula in NumPy:
    /// `scripts/reference/ffhq_quad.py`.
    #[test]
    fn the_frame_is_that_of_the_official_script() {
        #[derive(serde::Deserialize)]
        struct Case {
            points: Points,
            quad: [Point; 4],
        }
        let cases = include_str!("../../tests/reference/ffhq/quads.json");
        let cases: Vec<Case> = serde_json::from_str(cases).unwrap();
        assert_eq!(cases.len(), 4);
        for Case { points, quad } in cases {
            let frame = ffhq(&points).unwrap();
            let corners: [Point; 4] = [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]];
            for (corner, wanted) in corners.into_iter().zip(quad) {
                let [x, y] = frame.apply(corner);
                assert!((x - wanted[0]).abs() < 1e-9 && (y - wanted[1]).abs() < 1e-9);
            }
        }
        assert!(ffhq(&[[3.0, 4.0]; 5]).is_none());
    }
}
