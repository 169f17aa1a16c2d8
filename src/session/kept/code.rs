//! Codes and directions in a journal.

use super::numbers::{Doubles, Floats, broken};
use crate::direction::Forms;
use crate::error::Result;
use crate::latent::{self, Latent, ModelId};
use crate::space::Space;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// Codes with their noise maps and labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    space: String,
    data: Floats,
    model: Option<ModelId>,
    noise: Option<Vec<Floats>>,
    labels: Option<Floats>,
    origin: String,
}

impl Code {
    pub(super) fn of(l: &Latent, left: &mut usize) -> Option<Self> {
        *left = left.checked_sub(l.origin.len())?;
        let mut floats = |t: &Tensor| Floats::of(t, left);
        Some(Self {
            space: l.space.name().to_owned(),
            data: floats(&l.data)?,
            model: l.model.clone(),
            noise: match &l.noise {
                Some(maps) => Some(maps.iter().map(&mut floats).collect::<Option<_>>()?),
                None => None,
            },
            labels: match &l.labels {
                Some(labels) => Some(floats(labels)?),
                None => None,
            },
            origin: l.origin.clone(),
        })
    }

    pub(super) fn value(&self, device: &Device) -> Result<Latent> {
        // [N, D] or [N, L, D]
        let data = self.data.tensor(self.data.rank().clamp(2, 3), device)?;
        let maps =
            |all: &Vec<Floats>| all.iter().map(|m| m.tensor(4, device)).collect::<Result<_>>();
        Ok(Latent {
            space: space(&self.space)?,
            data,
            model: self.model.clone(),
            noise: self.noise.as_ref().map(maps).transpose()?,
            labels: self.labels.as_ref().map(|l| l.tensor(2, device)).transpose()?,
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
    pub(super) fn of(set: Space, d: &latent::Direction, left: &mut usize) -> Option<Self> {
        let words = d.origin.len() + d.name.len();
        *left = left.checked_sub(d.data.len().checked_mul(8)?.checked_add(words)?)?;
        let about = match d.about.as_deref() {
            Some(about) => Some(serde_json::to_string(about).ok()?),
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
        let about = self.about.as_deref().map(serde_json::from_str::<latent::About>).transpose();
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

/// A direction in every space in which it was known.
pub(super) fn forms(all: &[Direction]) -> Result<Forms> {
    let each = all.iter().map(|d| Ok((space(&d.set)?, d.value()?)));
    Forms::in_sets(each.collect::<Result<Vec<_>>>()?)
        .ok_or_else(|| broken("a direction in no space"))
}
