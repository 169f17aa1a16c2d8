//! Description of an attribute network: its shape, its outputs, the framing that it was trained on.

use crate::error::{Error, Kind, Result};
use crate::network::PartsConfig;
use crate::safe::Safe;

/// Names of the landmarks, image-left first; each has an output `_x` and one `_y`.
pub const LANDMARKS: [&str; 5] = ["eye_left", "eye_right", "nose", "mouth_left", "mouth_right"];

/// Five places in a picture, in the order of [`LANDMARKS`].
pub type Points = [[f64; 2]; 5];

/// Conversion of a raw number of the head into a score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// `raw · std + mean`, in the output's unit.
    #[default]
    #[serde(alias = "linear", alias = "")]
    Regression,
    /// Sigmoid, in [0, 1].
    #[serde(alias = "binary")]
    Probability,
    /// Softmax over the outputs of the same group, in [0, 1].
    Category,
}

/// One output of the network.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Output {
    /// Name of the attribute: `smile`; for a category its group and class: `hair.bob01`.
    pub name: String,
    /// Conversion of its number.
    #[serde(default)]
    pub kind: Reading,
    /// Group of outputs that it belongs to: `identity`, `landmarks`, `hair`; empty for a single
    /// output.
    #[serde(default)]
    pub group: String,
    /// Mean over the training set.
    #[serde(default)]
    pub mean: f64,
    /// Standard deviation over the training set.
    #[serde(default = "one")]
    pub std: f64,
    /// Unit of the score, for display.
    #[serde(default)]
    pub unit: String,
}

fn one() -> f64 {
    1.0
}

/// The shape of the network.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FeaturesConfig {
    /// Side of the pictures that it was trained on.
    pub input_resolution: usize,
    /// Stride of every convolution.
    pub strides: Vec<usize>,
    /// Slope of the leaky ReLU below zero.
    #[serde(default = "slope")]
    pub leaky: f64,
    /// Cells a side that the last map is averaged over before the head; 1 is the mean over space.
    #[serde(default = "cell")]
    pub grid: usize,
    /// Its outputs, in order.
    pub outputs: Vec<Output>,
    /// Mean places of the landmarks in the training pictures, as shares of the side: where
    /// alignment puts a face.
    #[serde(default)]
    pub framing: Option<Points>,
    /// Shift of those places with the head's turn in the training pictures, in shares of the side a
    /// degree of the output `yaw_deg`: a turned head is off the middle. Absent: they stay.
    #[serde(default)]
    pub framing_per_yaw_degree: Option<Points>,
    /// The head that says what every pixel shows; absent: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<PartsConfig>,
    /// Mean of the training pictures' values on [-1, 1], and the mean of their standard deviations.
    /// A search for faces gives every window these: photographs are darker, lighter and of other
    /// contrast than the training pictures. Absent: windows stay as they are.
    #[serde(default)]
    pub brightness: Option<[f64; 2]>,
}

fn slope() -> f64 {
    0.2
}

fn cell() -> usize {
    1
}

impl FeaturesConfig {
    /// The outputs of a group, in order.
    pub fn group(&self, name: &str) -> Vec<usize> {
        let of = |(i, o): (usize, &Output)| (o.group == name).then_some(i);
        self.outputs.iter().enumerate().filter_map(of).collect()
    }

    /// The output of that name.
    pub fn output(&self, name: &str) -> Option<usize> {
        self.outputs.iter().position(|o| o.name == name)
    }

    /// Whether it finds faces: landmarks, `face` and the framing are all there.
    pub fn finds_faces(&self) -> bool {
        self.framing.is_some() && self.landmark_outputs().is_some() && self.output("face").is_some()
    }

    /// Whether it has an identity embedding.
    pub fn knows_identity(&self) -> bool {
        self.outputs.iter().any(|o| o.group == "identity")
    }

    /// The outputs of the five landmarks, x and y of each.
    pub fn landmark_outputs(&self) -> Option<[[usize; 2]; 5]> {
        let mut all = [[0; 2]; 5];
        for (at, name) in all.iter_mut().zip(LANDMARKS) {
            *at = [self.output(&format!("{name}_x"))?, self.output(&format!("{name}_y"))?];
        }
        Some(all)
    }

    /// Refuses what cannot be computed with.
    ///
    /// # Errors
    /// Names the part of the configuration that is wrong.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        if self.strides.len() < 2 || self.strides.contains(&0) || self.input_resolution == 0 {
            return Err(bad(
                name,
                "its configuration needs a resolution and at least two strides, none of them 0",
            ));
        }
        if !self.leaky.is_finite() || self.leaky < 0.0 {
            return Err(bad(name, "the slope of its leaky ReLU is below zero"));
        }
        if self.grid == 0 {
            return Err(bad(name, "a grid of 0 cells"));
        }
        if let Some(o) = self.outputs.iter().find(|o| !o.mean.is_finite() || !o.std.is_finite()) {
            return Err(bad(
                name,
                &format!("output `{}` has no finite mean and deviation", Safe(&o.name)),
            ));
        }
        if let Some(o) =
            self.outputs.iter().find(|o| o.kind == Reading::Category && o.group.is_empty())
        {
            return Err(bad(
                name,
                &format!("output `{}` is a category without a group", Safe(&o.name)),
            ));
        }
        if self.framing_per_yaw_degree.is_some() && self.output("yaw_deg").is_none() {
            return Err(bad(name, "its framing depends on `yaw_deg`, which is not an output"));
        }
        let places = self.framing.iter().chain(&self.framing_per_yaw_degree);
        if places.flatten().flatten().any(|v| !v.is_finite() || v.abs() > 2.0) {
            return Err(bad(name, "its framing is not given in shares of the picture's side"));
        }
        Ok(())
    }
}

/// An error about the network's file.
pub(super) fn bad(name: &str, what: &str) -> Error {
    Error::new(Kind::Format, format!("{}: {what}", Safe(name)))
        .hint("use the unchanged file of the training script")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> FeaturesConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_old_file_still_reads() {
        let c = config(
            r#"{"input_resolution": 64, "strides": [2, 2], "leaky": 0.2, "input_range": [-1, 1], "outputs": [
            {"kind": "probability", "mean": 0.0, "name": "gender", "std": 1.0, "unit": "", "accuracy": 0.9},
            {"kind": "linear", "name": "age", "mean": 46.0, "std": 17.0}]}"#,
        );
        assert!(c.check("old").is_ok() && c.grid == 1 && !c.finds_faces() && !c.knows_identity());
        assert_eq!(c.outputs[0].kind, Reading::Probability);
        assert_eq!(c.outputs[1].kind, Reading::Regression);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let cases = [
            (r#""grid": 0, "outputs": []"#, "grid of 0"),
            (r#""outputs": [{"name": "hair.bob", "kind": "category"}]"#, "hair.bob"),
            (r#""outputs": [], "framing": [[0, 0], [1, 1], [2, 2], [3, 3], [4, 4]]"#, "framing"),
            (
                r#""outputs": [], "framing_per_yaw_degree": [[0, 0], [0, 0], [0, 0], [0, 0], [0, 0]]"#,
                "yaw_deg",
            ),
            (r#""outputs": [], "leaky": -0.1"#, "leaky"),
        ];
        for (rest, part) in cases {
            let c = config(&format!(r#"{{"input_resolution": 16, "strides": [2, 2], {rest}}}"#));
            let e = c.check("net").unwrap_err();
            assert!(e.message().contains(part), "{e}");
        }
        assert!(serde_json::from_str::<Reading>("\"softmax\"").is_err());
    }
}
