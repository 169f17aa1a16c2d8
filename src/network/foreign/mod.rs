//! Encoders of other people's code, from their files: one file each, with a table of its names.
//!
//! A kind is a constant and one line in [`KINDS`]. Reading a file, `gannet info` and errors take
//! kinds from here alone. Steps from a file to an encoder:
//! 1. [`find`] tells the kind by the names of the tensors and by `encoder_type` among the options
//!    that training saved, as several kinds have the same tensors.
//! 2. The rules of its layout rename the tensors.
//! 3. Its `take` builds the network, and every tensor must be taken.
//! 4. [`Foreign`] runs it: the pictures as it was trained on them, the mean of w that its file
//!    holds.

mod aligner;
mod backbone;
mod chain;
mod e2style;
mod e4e;
mod edged;
mod file;
mod gains;
mod ghfeat;
mod halving;
mod hfgi;
mod host;
mod hyperinverter;
mod hyperstyle;
mod idinvert;
mod options;
mod pooled;
mod progressive;
mod psp;
mod pyramid;
mod regressor;
mod run;
mod sfe;
mod styles;
mod w;
mod wplus;

pub use file::{Found, find};
pub use host::{Host, MapOf, Place};
pub use run::Foreign;

use super::body::Body;
use super::encoder::{Move, Seen};
use super::layers::Taker;
use super::resize_to;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::latent::Part;
use crate::space::Space;
use crate::weights::Listing;
use crate::weights::layout::{Layout, Rule};
use candle_core::Tensor;

/// All kinds, in the order in which they are tried.
const KINDS: &[&Kind] = &[
    &psp::KIND,
    &e4e::KIND,
    &backbone::KIND,
    &progressive::KIND,
    &w::KIND,
    &wplus::KIND,
    &e2style::KIND,
    &idinvert::KIND,
    &ghfeat::KIND,
    &hyperstyle::KIND,
    &hyperinverter::KIND,
    &hfgi::ON_E4E,
    &hfgi::ON_PSP,
    &sfe::KIND,
];

/// Channels of the pictures that these encoders read.
const CHANNELS: usize = 3;
/// Side of the pictures that most of them were trained on.
const SIDE: usize = 256;

/// A kind of encoder.
pub(super) struct Kind {
    /// Its name, as in errors: `e4e`.
    pub name: &'static str,
    /// In words, with its paper.
    pub about: &'static str,
    /// Values of `encoder_type` in the options of its training.
    pub types: &'static [&'static str],
    /// Its names.
    pub layout: Layout,
    /// Whether its codes are relative to the mean of w, unless its options say otherwise.
    pub relative: bool,
    /// Whether it begins with the code that another encoder finds.
    pub begins: bool,
    /// Builds the network for its generator.
    pub take: fn(&mut Taker<'_>, &mut Host) -> Result<Box<dyn Net>>,
}

/// What a kind computes of pictures.
pub(super) trait Net: Send + Sync {
    /// Rows and dimensions of the codes; one row is for all layers.
    fn size(&self) -> [usize; 2];

    /// The space of the codes: W+, or S, whose codes are one row of all styles.
    fn space(&self) -> Space {
        Space::WPlus
    }

    /// Passes after which it is done; `usual` where it may go on for ever.
    fn passes(&self, usual: usize) -> usize {
        let _ = usual;
        1
    }

    /// Side of the pictures that it reads.
    fn side(&self) -> usize {
        SIDE
    }

    /// A picture at that side.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn fitted(&self, picture: &Tensor) -> Result<Tensor> {
        resize_to(picture, self.side(), self.side())
    }

    /// A reconstruction at that side.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn shrunk(&self, reconstruction: &Tensor) -> Result<Tensor> {
        self.fitted(reconstruction)
    }

    /// A pass, with gradients. A code is relative to the mean of w.
    ///
    /// # Shapes
    /// pictures of that side → `[N, rows, D]`
    ///
    /// # Errors
    /// When the pictures do not fit.
    fn forward(&self, seen: &Seen<'_>) -> Result<Move>;

    /// What a pass finds beside the code; see [`crate::network::Encoder::beside`].
    ///
    /// # Errors
    /// When the pictures do not fit.
    fn beside(&self, seen: &Seen<'_>) -> Result<Vec<(Part, Tensor)>> {
        let _ = seen;
        Ok(Vec::new())
    }
}

/// Refuses a network that reads something else than pictures: sketches, segmentations.
fn reads_pictures(t: &Taker<'_>, body: &Body, channels: &[usize]) -> Result<()> {
    if channels.contains(&body.inputs()) {
        return Ok(());
    }
    let text = format!("{}: its encoder reads maps of {} channels", t.file(), body.inputs());
    Err(Error::new(ErrorKind::Format, text)
        .note(format!(
            "encoders of pictures read {CHANNELS}, or {} with the reconstruction",
            2 * CHANNELS
        ))
        .hint("use one that was trained on pictures: ffhq_encode"))
}

/// What a network of so many channels looks at: the picture, or picture and reconstruction.
fn looked_at(seen: &Seen<'_>, inputs: usize) -> Result<Tensor> {
    if inputs == 2 * CHANNELS {
        return Ok(Tensor::cat(&[seen.pictures, seen.current], 1)?);
    }
    Ok(seen.pictures.clone())
}

/// What was found beside the codes before a first pass, which begins with the codes alone: each of
/// these parts as 0.
fn cleared(seen: &Seen<'_>, own: impl Fn(Part) -> bool) -> Result<Vec<(Part, Tensor)>> {
    let before = seen.found.iter().filter(|(part, _)| own(*part));
    before.map(|(part, tensor)| Ok((*part, tensor.zeros_like()?))).collect()
}

/// What such a network found: the code, or how to correct the one of the reconstruction.
fn as_move(codes: Tensor, inputs: usize) -> Move {
    if inputs == 2 * CHANNELS { Move::By(codes) } else { Move::To(codes) }
}

/// Rules of all kinds: the mean of w lies beside the encoder.
const COMMON: &[Rule] = &[
    Rule::name("../latent_avg", "latent_avg"),
    Rule::ignored("{*}num_batches_tracked", "it counts the batches of training"),
];

/// A layout whose names are our own: what they have besides is in [`COMMON`].
const fn layout(name: &'static str, detect: fn(&Listing) -> bool) -> Layout {
    Layout { name, detect, rules: COMMON, settings: |listing| Ok(listing.config.clone()) }
}

#[cfg(test)]
mod tests;
