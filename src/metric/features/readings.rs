//! The network's numbers under their names: scores, groups, the identity embedding, and what a
//! person reads.

use super::{Features, LANDMARKS, Reading, bad};
use crate::error::{Error, Result};
use candle_core::{DType, Tensor};

/// A reading, ready to print.
#[derive(Clone, Debug, PartialEq)]
pub enum Level {
    /// A score in its unit.
    Number(f64),
    /// Probability, in [0, 1].
    Probability(f64),
    /// The most probable class of a category.
    Class {
        /// Its name, without the category's: `bob01`.
        name: String,
        /// Probability, in [0, 1].
        probability: f64,
    },
    /// Numbers that belong together: a colour, a place.
    Vector(Vec<f64>),
}

/// One attribute of one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Its name: `smile`, `hair`, `hair_rgb`, `eye_left`.
    pub name: String,
    /// Value of the reading.
    pub level: Level,
    /// Its unit.
    pub unit: String,
}

impl Features {
    /// Raw numbers as scores.
    ///
    /// # Shapes
    /// `[N, outputs]` → `[N, outputs]`, with gradients.
    pub(super) fn scored(&self, raw: &Tensor) -> Result<Tensor> {
        let mut columns = Vec::with_capacity(self.config.outputs.len());
        for (i, o) in self.config.outputs.iter().enumerate() {
            columns.push(match o.kind {
                Reading::Regression => raw.narrow(1, i, 1)?.affine(o.std, o.mean)?,
                Reading::Probability => candle_nn::ops::sigmoid(&raw.narrow(1, i, 1)?)?,
                Reading::Category => {
                    let rows = self.config.group(&o.group);
                    let at = rows.iter().position(|r| *r == i).unwrap_or(0);
                    candle_nn::ops::softmax(&columns_of(raw, &rows)?, 1)?.narrow(1, at, 1)?
                }
            });
        }
        Ok(Tensor::cat(&columns, 1)?)
    }

    /// The scores of one output.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N]`, in the output's unit, with gradients.
    ///
    /// # Errors
    /// When the output does not exist.
    pub fn score(&self, pictures: &Tensor, name: &str) -> Result<Tensor> {
        let at = self.config.output(name).ok_or_else(|| self.lacks(&format!("output `{name}`")))?;
        Ok(self.scores(pictures)?.narrow(1, at, 1)?.squeeze(1)?)
    }

    /// The scores of a group, in the order of its outputs.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N, k]`, in the outputs' units, with gradients.
    ///
    /// # Errors
    /// When the group does not exist.
    pub fn group(&self, pictures: &Tensor, name: &str) -> Result<Tensor> {
        let rows = self.config.group(name);
        if rows.is_empty() {
            return Err(self.lacks(&format!("group `{name}`")));
        }
        columns_of(&self.scores(pictures)?, &rows)
    }

    /// The identity embedding: the raw (standardised) numbers of the group `identity`.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N, k]`, with gradients.
    ///
    /// # Errors
    /// When the network lacks the group.
    pub fn identity(&self, pictures: &Tensor) -> Result<Tensor> {
        let rows = self.config.group("identity");
        if rows.is_empty() {
            return Err(self.lacks("identity embedding"));
        }
        columns_of(&self.raw_scores(pictures)?, &rows)
    }

    /// Every attribute of every picture as a person reads it: classes with their probability,
    /// colours and places together, places in pixels of the picture given. The identity embedding,
    /// which is never read, is left out.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → N lists of the same names in the same order
    pub fn read(&self, pictures: &Tensor) -> Result<Vec<Vec<Finding>>> {
        let (_, _, h, w) = pictures.dims4()?;
        self.read_raw(&self.raw_scores(pictures)?, [w, h])
    }

    /// As [`Features::read`], from the head's numbers ([`Features::raw_scores`]) of pictures of
    /// that width and height.
    ///
    /// # Shapes
    /// `[N, outputs]` → N lists
    ///
    /// # Errors
    /// When the numbers are of another network.
    pub fn read_raw(&self, raw: &Tensor, sides: [usize; 2]) -> Result<Vec<Vec<Finding>>> {
        let rows = self.scored(raw)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        let sides = sides.map(|side| side as f64);
        Ok(rows.iter().map(|scores| self.findings(scores, sides)).collect())
    }

    fn findings(&self, scores: &[f64], sides: [f64; 2]) -> Vec<Finding> {
        let config = &self.config;
        let mut out = Vec::new();
        for (i, (o, &score)) in config.outputs.iter().zip(scores).enumerate() {
            let single = |level| Finding { name: o.name.clone(), level, unit: o.unit.clone() };
            let first = || config.outputs.iter().position(|p| p.group == o.group) == Some(i);
            let joined = o.kind == Reading::Category || o.group.ends_with("_rgb");
            match o.kind {
                _ if ["identity", "landmarks"].contains(&o.group.as_str())
                    || joined && !first() => {}
                Reading::Category => out.push(self.class(&o.group, scores)),
                Reading::Regression if joined => {
                    let level = Level::Vector(
                        config
                            .group(&o.group)
                            .iter()
                            .filter_map(|r| scores.get(*r).copied())
                            .collect(),
                    );
                    out.push(Finding { name: o.group.clone(), level, unit: o.unit.clone() });
                }
                Reading::Regression => out.push(single(Level::Number(score))),
                Reading::Probability => out.push(single(Level::Probability(score))),
            }
        }
        for (name, [x, y]) in LANDMARKS.iter().zip(config.landmark_outputs().into_iter().flatten())
        {
            let place = [x, y]
                .iter()
                .zip(sides)
                .filter_map(|(r, side)| Some(scores.get(*r)? * side))
                .collect();
            out.push(Finding {
                name: (*name).into(),
                level: Level::Vector(place),
                unit: "pixels".into(),
            });
        }
        out
    }

    fn class(&self, group: &str, scores: &[f64]) -> Finding {
        let score = |r: &usize| scores.get(*r).copied().unwrap_or(0.0);
        let best = self
            .config
            .group(group)
            .into_iter()
            .max_by(|a, b| score(a).total_cmp(&score(b)))
            .unwrap_or(0);
        let output = self.config.outputs.get(best);
        let name = output.map_or("", |o| o.name.as_str());
        let name =
            name.strip_prefix(group).and_then(|n| n.strip_prefix('.')).unwrap_or(name).to_owned();
        let unit = output.map(|o| o.unit.clone()).unwrap_or_default();
        Finding {
            name: group.into(),
            level: Level::Class { name, probability: score(&best) },
            unit,
        }
    }

    fn lacks(&self, what: &str) -> Error {
        bad(&self.name, &format!("the network has no {what}"))
    }
}

/// Columns of a table, side by side.
fn columns_of(table: &Tensor, columns: &[usize]) -> Result<Tensor> {
    let index: Vec<u32> = columns.iter().map(|&c| c as u32).collect();
    Ok(table.index_select(&Tensor::from_vec(index, columns.len(), table.device())?, 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::features::FeaturesConfig;
    use candle_core::Device;
    use std::collections::BTreeMap;

    /// A network whose raw scores are its head's bias, for every picture.
    fn constant(outputs: serde_json::Value, raw: &[f32]) -> Features {
        let config =
            serde_json::json!({"input_resolution": 4, "strides": [2, 2], "outputs": outputs});
        let config: FeaturesConfig = serde_json::from_value(config).unwrap();
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let bias = Tensor::from_vec(raw.to_vec(), raw.len(), &Device::Cpu).unwrap();
        let tensors = [
            ("conv0.weight", zeros(&[2, 1, 3, 3])),
            ("conv0.bias", zeros(&[2])),
            ("conv1.weight", zeros(&[3, 2, 3, 3])),
            ("conv1.bias", zeros(&[3])),
            ("head.weight", zeros(&[raw.len(), 3])),
            ("head.bias", bias),
        ];
        let tensors: BTreeMap<_, _> = tensors.into_iter().map(|(k, t)| (k.to_owned(), t)).collect();
        let tensors = crate::weights::Weights::of_tensors("constant", tensors);
        Features::new("constant", config, tensors, &Device::Cpu).unwrap()
    }

    fn people() -> Features {
        let rgb = |n: &str| serde_json::json!({"name": n, "group": "hair_rgb", "mean": 0.5, "std": 0.1, "unit": "linear"});
        let class = |n: &str| serde_json::json!({"name": n, "group": "hair", "kind": "category"});
        constant(
            serde_json::json!([
                {"name": "age", "mean": 40.0, "std": 10.0, "unit": "years"},
                class("hair.bald"), class("hair.bob01"),
                {"name": "glasses", "kind": "probability"},
                rgb("hair_r"), rgb("hair_g"), rgb("hair_b"),
                {"name": "identity_00", "group": "identity", "mean": 9.0, "std": 3.0},
                {"name": "identity_01", "group": "identity"},
            ]),
            &[0.5, 1.0, 3.0, -1.0, 0.0, 1.0, -2.0, 0.25, -4.0],
        )
    }

    fn picture() -> Tensor {
        Tensor::zeros((2, 1, 4, 4), DType::F32, &Device::Cpu).unwrap()
    }

    #[test]
    fn attributes_are_read_as_a_person_reads_them() {
        let found = people().read(&picture()).unwrap();
        assert_eq!(found.len(), 2);
        let f: Vec<_> =
            found[0].iter().map(|f| (f.name.as_str(), &f.level, f.unit.as_str())).collect();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert_eq!(f[0], ("age", &Level::Number(45.0), "years"));
        let Level::Class { name, probability } = f[1].1 else { panic!("{:?}", f[1]) };
        assert!(
            f[1].0 == "hair" && name == "bob01" && near(*probability, 1.0 / (1.0 + (-2f64).exp()))
        );
        let Level::Probability(p) = f[2].1 else { panic!("{:?}", f[2]) };
        assert!(f[2].0 == "glasses" && near(*p, 1.0 / (1.0 + 1f64.exp())));
        let Level::Vector(v) = f[3].1 else { panic!("{:?}", f[3]) };
        assert!(f[3].0 == "hair_rgb" && near(v[0], 0.5) && near(v[1], 0.6) && near(v[2], 0.3));
        assert_eq!(f.len(), 4, "the identity is not a reading");
    }

    #[test]
    fn groups_have_units_and_the_embedding_is_raw() {
        let net = people();
        let identity = net.identity(&picture()).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(identity, [[0.25, -4.0], [0.25, -4.0]]);
        let group = net.group(&picture(), "identity").unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(group[1], [9.75, -4.0]);
        assert_eq!(net.score(&picture(), "age").unwrap().to_vec1::<f32>().unwrap(), [45.0, 45.0]);
        assert!(net.group(&picture(), "race").err().unwrap().message().contains("race"));
        assert!(net.score(&picture(), "nose").err().unwrap().message().contains("nose"));
    }

    #[test]
    fn the_classes_of_a_category_sum_to_one() {
        let scores = people().scores(&picture()).unwrap().to_vec2::<f32>().unwrap();
        assert!((scores[0][1] + scores[0][2] - 1.0).abs() < 1e-6 && scores[0][2] > 0.8);
    }
}
