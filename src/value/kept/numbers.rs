//! Numbers with their exact bits, as base64 of little-endian bytes.

use super::Budget;
use crate::error::{Error, Kind, Result};
use crate::limits::LIMITS;
use crate::store::base64;
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

/// A number's exact bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bits(u64);

impl From<f64> for Bits {
    fn from(v: f64) -> Self {
        Self(v.to_bits())
    }
}

impl From<Bits> for f64 {
    fn from(b: Bits) -> Self {
        Self::from_bits(b.0)
    }
}

/// Numbers in double precision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Doubles {
    #[serde(with = "base64")]
    bytes: Vec<u8>,
}

impl Doubles {
    pub(super) fn of(values: &[f64]) -> Self {
        Self { bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }

    pub(super) fn values(&self) -> Vec<f64> {
        self.bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()
    }
}

/// A tensor of f32.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floats {
    shape: Vec<usize>,
    #[serde(with = "base64")]
    pub(super) bytes: Vec<u8>,
}

impl Floats {
    /// `None` for another element type, or when the tensor needs more than is left of the budget,
    /// which is then unchanged.
    pub(super) fn of(t: &Tensor, budget: &mut Budget) -> Option<Self> {
        let rest = budget.left.checked_sub(t.elem_count().checked_mul(4)?)?;
        if t.dtype() != DType::F32 {
            return None;
        }
        let values = t.flatten_all().and_then(|t| t.to_vec1::<f32>()).ok()?;
        budget.left = rest;
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Some(Self { shape: t.dims().to_vec(), bytes })
    }

    /// The tensor, on the device where generators compute.
    ///
    /// # Errors
    /// When shape and bytes do not agree, or the rank is not `rank`.
    pub(super) fn tensor(&self, rank: usize, device: &Device) -> Result<Tensor> {
        let count = self.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        let fits = count.and_then(|n| n.checked_mul(4)) == Some(self.bytes.len());
        if !fits || self.shape.len() != rank || rank > LIMITS.rank || self.bytes.is_empty() {
            return Err(broken(format!("numbers of shape {:?}", self.shape)));
        }
        let values: Vec<f32> =
            self.bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        Ok(Tensor::from_vec(values, &self.shape[..], device)?)
    }

    pub(super) fn rank(&self) -> usize {
        self.shape.len()
    }
}

/// The error for data that cannot be a value although its checksum is right.
pub(super) fn broken(what: impl Into<String>) -> Error {
    let what: String = what.into();
    Error::new(Kind::Format, format!("a kept value cannot be: {what}"))
}
