//! Whether two pictures show the same person, by a network that recognises people, from a file of
//! the user.

use super::{Identity, Metric, resize_to};
use crate::error::{Error, Result};
use crate::limits::LIMITS;
use crate::network::{Recogniser, pool_to};
use crate::weights::{self, Weights};
use candle_core::{DType, Device, Tensor};
use std::path::Path;

/// Side of a picture in FFHQ's frame from which the face is cut, and the cut: top, left, side.
const FRAME: usize = 256;
const FACE: [usize; 3] = [35, 32, 188];

/// The cosine between the embeddings of ArcFace or CurricularFace.
pub struct Recognition {
    network: Recogniser,
    fingerprint: String,
}

impl Recognition {
    /// Reads a network from a file of any container.
    ///
    /// # Errors
    /// When the file cannot be read, or recognises no faces.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        Self::take(weights::open(path, &LIMITS)?.weights, device)
    }

    /// Takes a network.
    ///
    /// # Errors
    /// When it recognises no faces.
    pub fn take(weights: Weights, device: &Device) -> Result<Self> {
        let fingerprint = weights.fingerprint()?;
        Ok(Self { network: Recogniser::take(weights, device)?, fingerprint })
    }

    /// A hash over all weights.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The embeddings of people, of length 1, with gradients. As pSp does (Richardson et al. 2021):
    /// pictures are pooled to 256², the face is cut out of FFHQ's frame and pooled to what the
    /// network reads. Smaller pictures are enlarged between their pixels.
    ///
    /// # Shapes
    /// `[N, 3, H, W]` in [-1, 1] → `[N, k]`
    ///
    /// # Errors
    /// For pictures without three channels.
    pub fn embed(&self, pictures: &Tensor) -> Result<Tensor> {
        let (_, c, h, w) = pictures.dims4()?;
        Self::check(c)?;
        let whole = if h < FRAME || w < FRAME {
            resize_to(pictures, FRAME, FRAME)?
        } else {
            pool_to(pictures, FRAME, FRAME)?
        };
        let [top, left, side] = FACE;
        let face = whole.narrow(2, top, side)?.narrow(3, left, side)?.contiguous()?;
        self.network.embed(&pool_to(&face, self.network.side(), self.network.side())?)
    }

    /// Refuses pictures that such networks do not read.
    ///
    /// # Errors
    /// For pictures without three channels.
    pub fn check(channels: usize) -> Result<()> {
        if channels == 3 {
            return Ok(());
        }
        let text = format!("networks that recognise people read 3 channels, not {channels}");
        Err(Error::runtime(text).hint("compare by another number: perceptual or ssim"))
    }
}

impl Metric for Recognition {
    fn name(&self) -> &'static str {
        "identity"
    }
    fn definition(&self) -> String {
        format!(
            "cosine of the embeddings of the recogniser from the user's file ({}), of the face as \
             pSp cuts it from FFHQ's frame: 1 the same person",
            self.fingerprint.get(..12).unwrap_or_default()
        )
    }
    fn measure(&self, a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
        super::planes::pair(a, b)?;
        let cosines = Identity::cosine(&self.embed(a)?, &self.embed(b)?)?;
        Ok(cosines.to_dtype(DType::F64)?.to_vec1()?)
    }
}

#[cfg(test)]
#[path = "recognition_tests.rs"]
mod tests;
