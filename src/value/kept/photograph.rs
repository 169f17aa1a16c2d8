//! Where pictures were cut from, in a journal: without the photograph's pixels.

use super::Budget;
use super::numbers::Bits;
use crate::image::{self, Similarity};
use crate::store::base64;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Bytes of the numbers of a photograph.
const NUMBERS: usize = 256;

/// Stored form of a photograph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Photograph {
    path: String,
    sha256: String,
    size: [usize; 2],
    frame: [usize; 2],
    /// `a`, `b` and the shift of its similarity.
    place: [Bits; 4],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    landmarks: Option<[[Bits; 2]; 5]>,
}

impl Photograph {
    /// One a picture; `None` where they need more than is left of the budget.
    pub(super) fn all(
        photographs: &[Option<image::Photograph>],
        budget: &mut Budget,
    ) -> Option<Vec<Option<Self>>> {
        for p in photographs.iter().flatten() {
            budget.spend(p.path.len() + NUMBERS)?;
        }
        Some(photographs.iter().map(|p| p.as_ref().map(Self::of)).collect())
    }

    fn of(p: &image::Photograph) -> Self {
        let Similarity { a, b, shift: [x, y] } = p.place;
        Self {
            path: p.path.clone(),
            sha256: p.sha256.clone(),
            size: p.size,
            frame: p.frame,
            place: [a, b, x, y].map(Bits::from),
            landmarks: p.landmarks.map(|all| all.map(|p| p.map(Bits::from))),
        }
    }

    fn value(&self) -> image::Photograph {
        let [a, b, x, y] = self.place.map(f64::from);
        image::Photograph {
            path: self.path.clone(),
            sha256: self.sha256.clone(),
            size: self.size,
            frame: self.frame,
            place: Similarity { a, b, shift: [x, y] },
            landmarks: self.landmarks.map(|all| all.map(|p| p.map(f64::from))),
        }
    }
}

/// The photographs again.
pub(super) fn photographs(all: &[Option<Photograph>]) -> Vec<Option<image::Photograph>> {
    all.iter().map(|p| p.as_ref().map(Photograph::value)).collect()
}

/// Bytes as base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Block {
    #[serde(with = "base64")]
    bytes: Vec<u8>,
}

/// Stored form of a picture file's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exif: Option<Block>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    icc: Option<Block>,
}

impl Metadata {
    pub(super) fn of(metadata: &image::Metadata, budget: &mut Budget) -> Option<Self> {
        budget.spend(metadata.len())?;
        let block = |bytes: &Option<Vec<u8>>| bytes.clone().map(|bytes| Block { bytes });
        Some(Self { exif: block(&metadata.exif), icc: block(&metadata.icc) })
    }

    pub(super) fn value(&self) -> Arc<image::Metadata> {
        let bytes = |block: &Option<Block>| block.as_ref().map(|b| b.bytes.clone());
        Arc::new(image::Metadata { exif: bytes(&self.exif), icc: bytes(&self.icc) })
    }
}
