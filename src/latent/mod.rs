//! Latent codes and directions: data with their space, generator and origin.

use crate::space::Space;
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Which generator a code belongs to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ModelId {
    /// Its name, as shown.
    pub name: String,
    /// Sha256 over its tensors, hexadecimal.
    pub fingerprint: String,
}

/// N latent codes in one space of one generator.
///
/// # Shapes
/// Z `[N, z_dim]`, W `[N, w_dim]`, W+ `[N, num_ws, w_dim]`, S `[N, s_dim]`, all f32.
#[derive(Clone, Debug)]
pub struct Latent {
    /// The space.
    pub space: Space,
    /// The numbers.
    pub data: Tensor,
    /// The generator; `None` for a code read from a file that does not say.
    pub model: Option<ModelId>,
    /// Noise maps found together with the code, in the generator's order, each `[N, 1, H, W]`.
    pub noise: Option<Vec<Tensor>>,
    /// Labels of a conditional generator, `[N, c_dim]`.
    pub labels: Option<Tensor>,
    /// How it was made: the expression, file or method, for provenance.
    pub origin: String,
}

impl Latent {
    /// How many codes.
    pub fn count(&self) -> usize {
        self.data.dims().first().copied().unwrap_or(0)
    }

    /// Rows of a layered code; 1 otherwise.
    pub fn layers(&self) -> usize {
        if self.data.rank() == 3 { self.data.dims()[1] } else { 1 }
    }

    /// Dimensions of one row.
    pub fn dim(&self) -> usize {
        self.data.dims().last().copied().unwrap_or(0)
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
    /// How it was made.
    pub origin: String,
    /// What was measured about it; gone as soon as it is changed.
    pub about: Option<Arc<About>>,
}

/// What was measured about a direction, as it stands in the metadata of its file. "Mean" is over held-out codes.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct About {
    /// The attribute that it was found for; of a principal component the one that it moves most, empty when it moves none.
    pub attribute: String,
    /// What `per_step` is measured in.
    pub unit: String,
    /// How far one step moves the attribute, in `unit`.
    pub per_step: f64,
    /// How well a linear function of held-out codes tells the attribute: R².
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Mean movement of the attribute by strength, in steps: ideally every value is its key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub effect: BTreeMap<String, f64>,
    /// Share of the codes whose attribute only rises from the lowest of those strengths to the highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monotone: Option<f64>,
    /// Mean movement of every other attribute, in its standard deviations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub leakage: BTreeMap<String, f64>,
    /// The strength at which the leakage was measured; 1 where the file does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leakage_at: Option<f64>,
    /// Where it acts: the share of the effect that is left when only these layers move.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerShare>,
    /// Of a principal component: its share of the variance of w.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variance: Option<f64>,
}

/// How much of a direction's effect some layers have alone.
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
