//! Positions of the eyes, the nose and the mouth, and the probability of a face.

use super::config::Points;
use super::{Features, bad};
use crate::error::Result;
use candle_core::{DType, Tensor};

/// Readings of a face in one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Landmarks {
    /// The five places in pixels of the picture given; the left edge of the first pixel is 0.
    pub points: Points,
    /// Probability that a whole face is near the training framing, so that the landmarks are
    /// reliable.
    pub face: f64,
    /// Landmarks of the training pictures for a head in this pose, in pixels of the given picture.
    pub framing: Points,
}

impl Features {
    /// The landmarks of every picture.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → N
    ///
    /// # Errors
    /// When the network has no landmarks, no output `face` or no framing.
    pub fn landmarks(&self, pictures: &Tensor) -> Result<Vec<Landmarks>> {
        self.all_placed(&self.scores(pictures)?, pictures)
    }

    /// The same, and beside them the places that are more exact where a face is near the training
    /// framing; they are never outside the picture. `None` where the network tells no points.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → N each, in pixels of the pictures given
    ///
    /// # Errors
    /// As [`Features::landmarks`].
    pub fn exact_landmarks(
        &self,
        pictures: &Tensor,
    ) -> Result<(Vec<Landmarks>, Option<Vec<Points>>)> {
        let maps = self.activations(pictures)?;
        let last = maps.last().ok_or_else(|| bad(&self.name, "it has no convolutions"))?;
        let read = self.all_placed(&self.scored(&self.raw_of(last)?)?, pictures)?;
        let found = self.parts.as_ref().map_or(Ok(None), |head| head.points(&maps))?;
        let Some(shares) = found else { return Ok((read, None)) };
        let (_, _, h, w) = pictures.dims4()?;
        let rows = shares.flatten_from(1)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        let place = |row: &Vec<f64>| {
            let mut points = Points::default();
            for (point, [x, y]) in points.iter_mut().zip(row.as_chunks().0) {
                *point = [x * w as f64, y * h as f64];
            }
            points
        };
        Ok((read, Some(rows.iter().map(place).collect())))
    }

    /// The landmarks from the scores of pictures, `[N, outputs]`.
    fn all_placed(&self, scores: &Tensor, pictures: &Tensor) -> Result<Vec<Landmarks>> {
        let (_, _, h, w) = pictures.dims4()?;
        let rows = scores.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        rows.iter().map(|scores| self.placed(scores, [w as f64, h as f64])).collect()
    }

    /// The landmarks from one picture's scores.
    pub(super) fn placed(&self, scores: &[f64], sides: [f64; 2]) -> Result<Landmarks> {
        let lacks = || {
            bad(
                &self.name,
                "the network finds no faces: landmarks, `face` and a framing are needed",
            )
        };
        let outputs = self.config.landmark_outputs().ok_or_else(lacks)?;
        let face =
            self.config.output("face").and_then(|at| scores.get(at)).copied().ok_or_else(lacks)?;
        let mut framing = self.config.framing.ok_or_else(lacks)?;
        if let Some(slopes) = &self.config.framing_per_yaw_degree {
            let yaw =
                self.config.output("yaw_deg").and_then(|at| scores.get(at)).copied().unwrap_or(0.0);
            let moved = framing.iter_mut().flatten().zip(slopes.iter().flatten());
            moved.for_each(|(place, slope)| *place += slope * yaw);
        }
        let points =
            outputs.map(|place| place.map(|at| scores.get(at).copied().unwrap_or(f64::NAN)));
        let pixels = |p: Points| p.map(|[x, y]| [x * sides[0], y * sides[1]]);
        Ok(Landmarks { points: pixels(points), face, framing: pixels(framing) })
    }
}

#[cfg(test)]
mod tests {
    use crate::metric::LANDMARKS;
    use crate::metric::features::tests::with_outputs_and;
    use serde_json::json;

    #[test]
    fn places_are_pixels_and_the_framing_follows_the_head() {
        let mut outputs = vec![
            json!({"name": "yaw_deg", "mean": 1.0, "std": 2.0}),
            json!({"name": "face", "kind": "probability"}),
        ];
        for name in LANDMARKS {
            outputs.extend(["x", "y"].map(
                |c| json!({"name": format!("{name}_{c}"), "group": "landmarks", "mean": 0.5}),
            ));
        }
        let framing = json!([[0.4, 0.4], [0.6, 0.4], [0.5, 0.6], [0.4, 0.7], [0.6, 0.7]]);
        let slopes = json!([[0.01, 0.0], [0.01, 0.0], [0.02, 0.001], [0.01, 0.0], [0.01, 0.0]]);
        let more = json!({"framing": framing, "framing_per_yaw_degree": slopes});
        let net = with_outputs_and(json!(outputs), more);
        let mut scores = vec![0.5; 12];
        scores[..2].copy_from_slice(&[10.0, 0.9]);
        (scores[6], scores[7]) = (0.25, 0.75);
        let l = net.placed(&scores, [200.0, 100.0]).unwrap();
        assert_eq!((l.face, l.points[0], l.points[2]), (0.9, [100.0, 50.0], [50.0, 75.0]));
        assert!((l.framing[0][0] - 100.0).abs() < 1e-9 && (l.framing[2][0] - 140.0).abs() < 1e-9);
        assert!((l.framing[2][1] - 61.0).abs() < 1e-9);
    }

    #[test]
    fn a_network_without_them_says_so() {
        let net = with_outputs_and(json!([{"name": "face"}]), json!({}));
        assert!(net.placed(&[0.5], [1.0, 1.0]).err().unwrap().message().contains("finds no faces"));
    }
}
