//! Latent codes and directions: data with their space, generator and origin.

mod code;
mod gains;
mod mixed;
mod parts;

pub use code::Code;
pub use parts::{Part, Parts, rows};

use crate::space::Space;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Identity of the generator that a code belongs to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ModelId {
    /// Its name, as shown.
    pub name: String,
    /// Sha256 over its tensors, hexadecimal.
    pub fingerprint: String,
}

/// Characters of a text that says how something was made, from its beginning and from its end.
const TOLD: [usize; 2] = [600, 300];

/// Shortens a provenance text in the middle when it is too long to read: the text of a direction
/// that is added to itself doubles at every step.
pub fn told(text: String) -> String {
    let [first, last] = TOLD;
    let from = text.char_indices().nth(first).map(|(at, _)| at);
    let to = text.char_indices().nth_back(last).map(|(at, _)| at);
    match (from, to) {
        (Some(from), Some(to)) if from < to => format!("{} … {}", &text[..from], &text[to..]),
        _ => text,
    }
}

/// A direction in a latent space, in double precision: orthogonalisation must not lose digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction {
    /// The space.
    pub space: Space,
    /// Row-major numbers, `rows × dim`; rows outside `layers` are zero.
    pub data: Vec<f64>,
    /// 1 for Z, W and S, `num_ws` for W+.
    pub rows: usize,
    /// Dimensions of one row.
    pub dim: usize,
    /// Layers it was restricted to (`smile @ 0..4`), for display.
    pub layers: Option<Range<usize>>,
    /// The generator; `None` for a file that does not say.
    pub model: Option<ModelId>,
    /// Its name, as shown.
    pub name: String,
    /// Provenance.
    pub origin: String,
    /// Measurements; `None` once modified.
    pub about: Option<Arc<About>>,
}

/// Measurements of a direction, from the metadata of its file. "Mean" is over held-out codes.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct About {
    /// The attribute that it was found for; of a principal component the one that it moves most,
    /// empty when it moves none.
    pub attribute: String,
    /// Unit of `per_step`.
    pub unit: String,
    /// Change of the attribute by one step, in `unit`.
    pub per_step: f64,
    /// Coefficient of determination R² of a linear fit of the attribute on held-out codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Description of the fit and its quality, if it was not a linear fit to codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fitted: Option<String>,
    /// Mean movement of the attribute by strength, in steps: ideally every value is its key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub effect: BTreeMap<String, f64>,
    /// Share of the codes whose attribute only rises from the lowest of those strengths to the
    /// highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monotone: Option<f64>,
    /// Mean movement of every other attribute, in its standard deviations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub leakage: BTreeMap<String, f64>,
    /// The strength at which the leakage was measured; 1 where the file does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leakage_at: Option<f64>,
    /// Share of the effect that remains when only these layers move.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerShare>,
    /// For a principal component: its share of the variance of w.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variance: Option<f64>,
}

impl About {
    /// The shortest run of neighbouring layers with at least `part` of the effect (the first of
    /// equals), and its share. `None` without data about layers, or when all layers together have
    /// less.
    pub fn acting(&self, part: f64) -> Option<(Range<usize>, f64)> {
        let mut best: Option<(Range<usize>, f64)> = None;
        for (i, first) in self.layers.iter().enumerate() {
            let mut sum = 0.0;
            for last in &self.layers[i..] {
                sum += last.share;
                let range = first.from..last.to;
                let narrower = best.as_ref().is_none_or(|(b, _)| range.len() < b.len());
                if sum >= part && narrower {
                    best = Some((range, sum));
                }
            }
        }
        best
    }
}

/// Share of a direction's effect that some layers have alone.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct LayerShare {
    /// First layer.
    pub from: usize,
    /// One past the last layer.
    pub to: usize,
    /// Their movement of the attribute as a part of the whole direction's.
    pub share: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layers_where_a_direction_acts() {
        let share = |from, share| LayerShare { from, to: from + 2, share };
        let layers =
            vec![share(0, 0.05), share(2, 0.3), share(4, 0.55), share(6, 0.2), share(8, -0.1)];
        let about = About { layers, ..About::default() };
        let acting = |part| about.acting(part).map(|(range, sum)| (range, (sum * 100.0).round()));
        assert_eq!(acting(0.5), Some((4..6, 55.0)));
        assert_eq!(acting(0.8), Some((2..6, 85.0)));
        assert_eq!(acting(1.08), Some((0..8, 110.0)));
        assert_eq!((acting(1.2), About::default().acting(0.1)), (None, None));
    }

    #[test]
    fn what_is_told_is_bounded_however_often_it_is_told() {
        let short = "§".repeat(900);
        assert_eq!(told(short.clone()), short);
        let mut text = "begin é end".to_owned();
        for _ in 0..100 {
            text = told(format!("({text}) + ({text})"));
        }
        assert!(text.chars().count() <= 904 && text.starts_with("((") && text.ends_with("))"));
    }
}
