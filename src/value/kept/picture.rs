//! Pictures in a journal: as PNG where eight bits hold them exactly, else as numbers.

use super::Budget;
use super::numbers::Floats;
use super::photograph::{Metadata, Photograph, photographs};
use crate::error::Result;
use crate::image::{Raster, decode, encode};
use crate::invert;
use crate::latent::ModelId;
use crate::limits::LIMITS;
use crate::store::base64;
use crate::value;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Elements of the largest pictures that are compared with their eight-bit form.
const COMPARED: usize = 64 << 20;

/// A PNG file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Png {
    #[serde(with = "base64")]
    bytes: Vec<u8>,
}

/// Pictures `[N, C, H, W]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pixels {
    /// One file a picture: these hold every value exactly.
    Png(Vec<Png>),
    /// The values.
    Floats(Floats),
}

impl Pixels {
    /// `None` when the pictures need more bytes than are left of the budget.
    pub(super) fn of(t: &Tensor, budget: &mut Budget) -> Option<Self> {
        match png(t, budget) {
            Some((files, bytes)) => {
                budget.spend(bytes)?;
                Some(Self::Png(files))
            }
            None => Floats::of(t, budget).map(Self::Floats),
        }
    }

    /// The target of an inversion: as [`Pixels::of`], with the budget of pictures in a journal,
    /// where it is rounded to eight bits when the exact values exceed that.
    pub(super) fn target(t: &Tensor, budget: &mut Budget) -> Option<Self> {
        if budget.whole {
            return Self::of(t, budget);
        }
        let mut own = Budget { left: budget.pictures, ..*budget };
        let kept = Self::of(t, &mut own).or_else(|| {
            let (files, bytes) = encoded(&Raster::from_tensor(t).ok()?)?;
            own.spend(bytes)?;
            Some(Self::Png(files))
        })?;
        budget.pictures = own.left;
        Some(kept)
    }

    pub(super) fn each_bytes(&mut self, take: &mut dyn FnMut(&mut Vec<u8>)) {
        match self {
            Self::Png(files) => files.iter_mut().for_each(|f| take(&mut f.bytes)),
            Self::Floats(values) => take(&mut values.bytes),
        }
    }

    /// The pictures, on the device where generators compute: `[N, C, H, W]`.
    pub(super) fn tensor(&self, device: &Device) -> Result<Tensor> {
        match self {
            Self::Floats(values) => values.tensor(4, device),
            Self::Png(files) => {
                let read =
                    |f: &Png| Ok(decode("a picture of the journal", &f.bytes, &LIMITS)?.raster);
                let all = files.iter().map(read).collect::<Result<Vec<Raster>>>()?;
                Raster::batch(&all, device)
            }
        }
    }
}

/// The files and their bytes; `None` where eight bits do not hold the values, or surely not within
/// the budget, and where numbers are read sooner.
fn png(t: &Tensor, budget: &Budget) -> Option<(Vec<Png>, usize)> {
    if budget.whole || t.elem_count() > COMPARED.min(budget.left.saturating_mul(64)) {
        return None;
    }
    let all = Raster::from_tensor(t).ok()?;
    let again = Raster::batch(&all, &Device::Cpu).ok()?;
    let bits = |t: &Tensor| {
        let values = t.flatten_all().and_then(|t| t.to_vec1::<f32>()).ok()?;
        Some(values.into_iter().map(f32::to_bits).collect::<Vec<u32>>())
    };
    if again.dims() != t.dims() || bits(&again)? != bits(t)? {
        return None;
    }
    encoded(&all)
}

fn encoded(all: &[Raster]) -> Option<(Vec<Png>, usize)> {
    let files = all
        .iter()
        .map(|r| encode::png(r, &[]).map(|bytes| Png { bytes }))
        .collect::<Result<Vec<Png>>>()
        .ok()?;
    let bytes = files.iter().map(|f| f.bytes.len()).sum();
    Some((files, bytes))
}

/// An image with its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    pixels: Pixels,
    captions: Vec<String>,
    origin: String,
    notes: Vec<String>,
    model: Option<ModelId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    photographs: Vec<Option<Photograph>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

impl Image {
    pub(super) fn of(i: &value::Image, budget: &mut Budget) -> Option<Self> {
        let words = i.captions.iter().chain(&i.notes).chain([&i.origin]);
        budget.spend(words.map(String::len).sum())?;
        Some(Self {
            pixels: Pixels::of(&i.data, budget)?,
            captions: i.captions.clone(),
            origin: i.origin.clone(),
            notes: i.notes.clone(),
            model: i.model.clone(),
            photographs: Photograph::all(&i.photographs, budget)?,
            metadata: match &i.metadata {
                Some(metadata) => Some(Metadata::of(metadata, budget)?),
                None => None,
            },
        })
    }

    pub(super) fn each_bytes(&mut self, take: &mut dyn FnMut(&mut Vec<u8>)) {
        self.pixels.each_bytes(take);
    }

    pub(super) fn value(&self, device: &Device) -> Result<value::Image> {
        Ok(value::Image {
            data: self.pixels.tensor(device)?,
            captions: self.captions.clone(),
            origin: self.origin.clone(),
            notes: self.notes.clone(),
            model: self.model.clone(),
            photographs: photographs(&self.photographs),
            metadata: self.metadata.as_ref().map(Metadata::value),
        })
    }
}

/// The weights of a mask, `[H, W]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mask {
    weights: Floats,
    origin: String,
}

impl Mask {
    pub(super) fn of(mask: &invert::Mask, budget: &mut Budget) -> Option<Self> {
        budget.spend(mask.origin.len())?;
        let weights = Tensor::from_vec(mask.weights().ok()?, mask.size(), &Device::Cpu).ok()?;
        Some(Self { weights: Floats::of(&weights, budget)?, origin: mask.origin.clone() })
    }

    pub(super) fn each_bytes(&mut self, take: &mut dyn FnMut(&mut Vec<u8>)) {
        take(&mut self.weights.bytes);
    }

    pub(super) fn value(&self) -> Result<invert::Mask> {
        let weights = self.weights.tensor(2, &Device::Cpu)?;
        let size = weights.dims2()?;
        invert::Mask::new(weights.flatten_all()?.to_vec1::<f32>()?, size, &self.origin)
    }
}
