//! Discriminators: the networks that a generator was trained against. They say how real a picture
//! looks, and their feature maps compare pictures by what mattered in training.
//!
//! An architecture is a file with a `Kind`, and one line in `KINDS`. It gets a file's tensors
//! from below the prefix at which the discriminator lies, and reads them in single precision. Every
//! picture is judged alone: a discriminator that compares the pictures of a batch (minibatch
//! standard deviation) sees one picture at a time, as a batch of one.

mod biggan;
mod dcgan;
mod roots;
mod saliency;
mod stylegan2;
mod toy;

pub use saliency::saliency;
pub use toy::toy;

use super::resize_to;
use crate::error::{Error, Kind as Fault, Result};
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::weights::{self, Checkpoint, Listing, Network, Weights};
use candle_core::{Device, Tensor};
use std::path::Path;

/// What a discriminator says of pictures.
pub struct Judged {
    /// How real each looks, `[N]`: a logit, above 0 where it takes the picture for a real one.
    pub score: Tensor,
    /// Its feature maps from the picture's side to the score, each `[N, C, h, w]` or `[N, C]`.
    pub features: Vec<Tensor>,
    /// Of a discriminator with self-attention: how much all places read from each, `[N, 1, h, w]`.
    pub attention: Option<Tensor>,
}

/// A discriminator.
pub trait Discriminator: Send + Sync {
    /// Its file and architecture, for messages.
    fn name(&self) -> &str;

    /// A hash over its weights.
    fn fingerprint(&self) -> &str;

    /// Channels of the pictures that it reads.
    fn channels(&self) -> usize;

    /// Height and width of the pictures that it reads; `None` where it reads any.
    fn size(&self) -> Option<[usize; 2]>;

    /// Numbers of the label that it reads; 0 for none.
    fn labels(&self) -> usize;

    /// Judges pictures of its own size, with gradients.
    ///
    /// # Shapes
    /// pictures `[N, C, H, W]` in [-1, 1], labels `[N, c_dim]`.
    ///
    /// # Errors
    /// When the sizes do not fit.
    fn judge_own(&self, pictures: &Tensor, labels: Option<&Tensor>) -> Result<Judged>;
}

impl dyn Discriminator + '_ {
    /// Judges pictures, with gradients: those of another size are resized to its own.
    ///
    /// # Shapes
    /// pictures `[N, C, H, W]` in [-1, 1]; labels `[N, c_dim]`, which count where it reads labels.
    ///
    /// # Errors
    /// For pictures of other channels, and missing or other labels.
    pub fn judge(&self, pictures: &Tensor, labels: Option<&Tensor>) -> Result<Judged> {
        let labels = labels.filter(|_| self.labels() > 0);
        self.check(pictures.dim(1)?, labels.map_or(0, |l| l.dims().last().copied().unwrap_or(0)))?;
        let seen = match self.size() {
            Some([h, w]) => resize_to(pictures, h, w)?,
            None => pictures.clone(),
        };
        self.judge_own(&seen, labels)
    }

    /// Refuses pictures of other channels, and labels of another size than it reads.
    ///
    /// # Errors
    /// When it was trained for other pictures.
    pub fn check(&self, channels: usize, labels: usize) -> Result<()> {
        if channels != self.channels() {
            let message = format!(
                "{} reads pictures of {} channels, these have {channels}",
                Safe(self.name()),
                self.channels()
            );
            return Err(Error::runtime(message).hint("use the discriminator of this generator"));
        }
        if self.labels() > 0 && self.labels() != labels {
            let message = format!(
                "{} reads labels of {} numbers, here are {labels}",
                Safe(self.name()),
                self.labels()
            );
            return Err(Error::runtime(message).hint("use the discriminator of this generator"));
        }
        Ok(())
    }
}

/// An architecture of discriminators.
struct Kind {
    /// Its name: `StyleGAN2`.
    name: &'static str,
    /// Whether a file, seen from below a prefix, holds one.
    detect: fn(&Listing) -> bool,
    /// Reads it; the text is its name in messages.
    read: fn(Weights, String, &Device) -> Result<Box<dyn Discriminator>>,
}

/// All architectures.
const KINDS: &[&Kind] = &[&stylegan2::KIND, &biggan::KIND, &dcgan::KIND];

/// The discriminator of a file: a training checkpoint that holds one beside the generator, or a
/// file of its own.
///
/// # Errors
/// When the file cannot be read, holds no discriminator of a known architecture, or a damaged one.
pub fn open(path: &Path, device: &Device) -> Result<Box<dyn Discriminator>> {
    let file = weights::open_network(path, &LIMITS, Network::Discriminator)?;
    let name = file.file.clone();
    find(file, device)?.ok_or_else(|| {
        let known: Vec<&str> = KINDS.iter().map(|k| k.name).collect();
        Error::new(Fault::Format, format!("{name} holds no discriminator that gannet knows"))
            .note(format!("known are those of {}", known.join(", ")))
            .hint(
                "give a training checkpoint that holds D, such as NVIDIA's pickle or \"550000.pt\"",
            )
    })
}

/// The discriminator in an opened file; `None` where no architecture knows any part of it.
///
/// # Errors
/// When it is damaged.
pub fn find(file: Checkpoint, device: &Device) -> Result<Option<Box<dyn Discriminator>>> {
    for root in roots::of(file.weights.list()) {
        let seen = file.weights.list().below(&root);
        let Some(kind) = KINDS.iter().find(|k| (k.detect)(&seen)) else { continue };
        let name = format!("the {} discriminator of {}", kind.name, file.file);
        // What lies elsewhere in the file does not belong to it.
        let own = file
            .weights
            .below(&root)
            .chosen(|name| (!name.starts_with(weights::OUTSIDE)).then(|| name.to_owned()))?;
        return Ok(Some((kind.read)(own, name, device)?));
    }
    Ok(None)
}

#[cfg(test)]
mod parity_tests;
#[cfg(test)]
mod tests;
