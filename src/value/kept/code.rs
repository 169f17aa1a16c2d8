//! Codes and directions in a journal.

use super::Budget;
use super::numbers::{Doubles, Floats, broken};
use crate::direction::Forms;
use crate::error::Result;
use crate::latent::{self, ModelId, Part, Parts};
use crate::space::Space;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The only key of an object that has the bits of a number.
const F64: &str = "f64";

/// Codes with their parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    space: String,
    data: Floats,
    model: Option<ModelId>,
    noise: Option<Vec<Floats>>,
    labels: Option<Floats>,
    origin: String,
    /// The parts without a field of their own, by [`Part::name`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<String, Floats>,
}

impl Code {
    pub(super) fn of(code: &latent::Code, budget: &mut Budget) -> Option<Self> {
        budget.spend(code.origin.len())?;
        let floats = |(part, t): (Part, &Tensor)| Some((part.name(), Floats::of(t, budget)?));
        let mut parts = code.parts.iter().map(floats).collect::<Option<BTreeMap<_, _>>>()?;
        let mut own = |part: Part| parts.remove(&part.name());
        let noise: Vec<Floats> = (0..).map_while(|layer| own(Part::Noise(layer))).collect();
        Some(Self {
            space: code.space.name().to_owned(),
            data: own(Part::Point)?,
            model: code.model.clone(),
            noise: Some(noise).filter(|maps| !maps.is_empty()),
            labels: own(Part::Labels),
            origin: code.origin.clone(),
            parts,
        })
    }

    pub(super) fn each_bytes(&mut self, take: &mut dyn FnMut(&mut Vec<u8>)) {
        let parts = self.parts.values_mut().chain(self.noise.iter_mut().flatten());
        parts.chain([&mut self.data]).chain(&mut self.labels).for_each(|f| take(&mut f.bytes));
    }

    pub(super) fn value(&self, device: &Device) -> Result<latent::Code> {
        let tensor = |part: Part, numbers: &Floats| {
            let ranks = part.ranks();
            let rank = numbers.rank().clamp(*ranks.start(), *ranks.end());
            Ok((part, numbers.tensor(rank, device)?))
        };
        let (_, point) = tensor(Part::Point, &self.data)?;
        let maps = self.noise.iter().flatten().enumerate();
        let maps = maps.map(|(layer, map)| tensor(Part::Noise(layer), map));
        let labels = self.labels.iter().map(|labels| tensor(Part::Labels, labels));
        let others = self.parts.iter().map(|(name, numbers)| match Part::parse(name) {
            Some(part) => tensor(part, numbers),
            None => Err(broken(format!("a part called {}", crate::safe::Safe(name)))),
        });
        let mut parts = Parts::of(point);
        parts.extend(maps.chain(labels).chain(others).collect::<Result<Vec<_>>>()?);
        Ok(latent::Code {
            space: space(&self.space)?,
            parts,
            model: self.model.clone(),
            origin: self.origin.clone(),
        })
    }
}

pub(super) fn space(name: &str) -> Result<Space> {
    Space::parse(name).ok_or_else(|| broken(format!("the space {}", crate::safe::Safe(name))))
}

/// A direction; its measurements as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Direction {
    /// The space whose set it comes from.
    set: String,
    space: String,
    data: Doubles,
    rows: usize,
    dim: usize,
    layers: Option<Range<usize>>,
    model: Option<ModelId>,
    name: String,
    origin: String,
    about: Option<String>,
}

impl Direction {
    pub(super) fn of(set: Space, d: &latent::Direction, budget: &mut Budget) -> Option<Self> {
        let words = d.origin.len() + d.name.len();
        budget.spend(d.data.len().checked_mul(8)?.checked_add(words)?)?;
        let about = match d.about.as_deref() {
            Some(about) => Some(exact(serde_json::to_value(about).ok()?).to_string()),
            None => None,
        };
        Some(Self {
            set: set.name().to_owned(),
            space: d.space.name().to_owned(),
            data: Doubles::of(&d.data),
            rows: d.rows,
            dim: d.dim,
            layers: d.layers.clone(),
            model: d.model.clone(),
            name: d.name.clone(),
            origin: d.origin.clone(),
            about,
        })
    }

    pub(super) fn value(&self) -> Result<latent::Direction> {
        let data = self.data.values();
        if self.rows.checked_mul(self.dim) != Some(data.len()) || data.is_empty() {
            return Err(broken(format!("a direction of {}×{}", self.rows, self.dim)));
        }
        let read = |text: &str| serde_json::from_value::<latent::About>(inexact(text.parse()?));
        let about = self.about.as_deref().map(read).transpose();
        let about = about.map_err(|e| broken(e.to_string()))?;
        Ok(latent::Direction {
            space: space(&self.space)?,
            data,
            rows: self.rows,
            dim: self.dim,
            layers: self.layers.clone(),
            model: self.model.clone(),
            name: self.name.clone(),
            origin: self.origin.clone(),
            about: about.map(Arc::new),
        })
    }
}

/// JSON with the bits of its numbers: a parser may change the last digit of one in decimals.
fn exact(json: Json) -> Json {
    match json {
        Json::Number(n) if n.is_f64() => {
            serde_json::json!({ F64: n.as_f64().unwrap_or_default().to_bits() })
        }
        Json::Array(all) => all.into_iter().map(exact).collect(),
        Json::Object(all) => all.into_iter().map(|(key, v)| (key, exact(v))).collect(),
        other => other,
    }
}

/// What [`exact`] was made of. Journals of earlier builds have decimals.
fn inexact(json: Json) -> Json {
    match json {
        Json::Array(all) => all.into_iter().map(inexact).collect(),
        Json::Object(all) => match all.get(F64).and_then(Json::as_u64) {
            Some(bits) if all.len() == 1 => f64::from_bits(bits).into(),
            _ => all.into_iter().map(|(key, v)| (key, inexact(v))).collect(),
        },
        other => other,
    }
}

/// A direction in every space in which it was known.
pub(super) fn forms(all: &[Direction]) -> Result<Forms> {
    let each = all.iter().map(|d| Ok((space(&d.set)?, d.value()?)));
    Forms::in_sets(each.collect::<Result<Vec<_>>>()?)
        .ok_or_else(|| broken("a direction in no space"))
}
