//! Encoders of other people's code, from their files: one file each, with a table of its names.
//!
//! A kind is a constant and one line in [`KINDS`]. Reading a file, `gannet info` and errors take
//! kinds from here alone. Steps from a file to an encoder:
//! 1. [`find`] tells the kind by the names of the tensors and by `encoder_type` among the options
//!    that training saved, as several kinds have the same tensors.
//! 2. The rules of its layout rename the tensors.
//! 3. Its `take` builds the network, and every tensor must be taken.
//! 4. [`Foreign`] runs it: the pictures as it was trained on them, the mean of w that its file holds.

mod backbone;
mod e2style;
mod e4e;
mod idinvert;
mod pooled;
mod progressive;
mod psp;
mod styles;
mod w;
mod wplus;

use super::body::Body;
use super::encoder::{Encoder, Move, Seen, fits};
use super::layers::Taker;
use super::{resize_to, roots};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::safe::Safe;
use crate::space::Dims;
use crate::weights::layout::{Layout, Rule};
use crate::weights::{Listing, Weights};
use candle_core::{DType, Device, Tensor};
use serde_json::Value as Json;

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
];

/// Channels of the pictures that these encoders read.
const CHANNELS: usize = 3;
/// Side of the pictures that most of them were trained on.
const SIDE: usize = 256;
/// Rows of that which show something where cars are encoded: the others are black.
const CARS: [usize; 2] = [32, 192];
/// Passes of ReStyle, unless its file says otherwise.
const PASSES: usize = 5;

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
    /// Builds the network.
    pub take: fn(&mut Taker<'_>) -> Result<Box<dyn Net>>,
}

/// What a kind computes of pictures.
pub(super) trait Net: Send + Sync {
    /// Rows and dimensions of the codes; one row is for all layers.
    fn size(&self) -> [usize; 2];

    /// Passes after which it is done; `usual` where it may go on for ever.
    fn passes(&self, usual: usize) -> usize {
        let _ = usual;
        1
    }

    /// Side of the pictures that it reads.
    fn side(&self) -> usize {
        SIDE
    }

    /// A pass, with gradients. A code is relative to the mean of w.
    ///
    /// # Shapes
    /// pictures of that side → `[N, rows, D]`
    ///
    /// # Errors
    /// When the pictures do not fit.
    fn forward(&self, seen: &Seen<'_>) -> Result<Move>;
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

/// What such a network found: the code, or how to correct the one of the reconstruction.
fn found(codes: Tensor, inputs: usize) -> Move {
    if inputs == 2 * CHANNELS { Move::By(codes) } else { Move::To(codes) }
}

/// Rules of all kinds: the mean of w lies beside the encoder.
const COMMON: &[Rule] = &[
    Rule::name("../latent_avg", "latent_avg"),
    Rule::ignored("{*}num_batches_tracked", "it counts the batches of training"),
];

/// The encoder in a file.
pub struct Found {
    root: String,
    /// The kinds that it may be: several where the file does not say which.
    kinds: Vec<&'static Kind>,
    /// The options that it is used with.
    options: Options,
}

/// Options of the training that saved a file.
#[derive(Default)]
struct Options {
    /// Whether codes are relative to the mean of w.
    from_mean: bool,
    /// Whether it encodes faces of FFHQ or CelebA-HQ.
    faces: bool,
    /// Whether it encodes cars, whose pictures are less high than wide.
    cars: bool,
    passes: usize,
}

impl Options {
    /// Those that a file says, and the usual ones.
    fn of(listing: &Listing) -> Self {
        let data = said(listing, "dataset_type").and_then(Json::as_str).unwrap_or_default();
        let passes = said(listing, "n_iters_per_batch").and_then(Json::as_u64);
        let from_mean = said(listing, "start_from_latent_avg").and_then(Json::as_bool);
        Self {
            from_mean: from_mean.unwrap_or(true),
            faces: data.starts_with("ffhq") || data.starts_with("celeb"),
            cars: data.starts_with("cars"),
            passes: passes.map_or(PASSES, |n| n.clamp(1, 100) as usize),
        }
    }
}

/// What the generator of an encoder has.
pub struct Place {
    /// The mean of w, `[D]`, for a file without one of its own.
    pub mean: Tensor,
    /// Rows of a code in W+.
    pub rows: usize,
}

/// The encoder in a file; `None` where no kind knows any. No number is read.
pub fn find(listing: &Listing) -> Option<Found> {
    let root = roots::find(listing, |seen| KINDS.iter().any(|k| (k.layout.detect)(seen)))?;
    let seen = listing.below(&root);
    let named: Vec<_> = KINDS.iter().copied().filter(|k| (k.layout.detect)(&seen)).collect();
    let word = said(&seen, "encoder_type").and_then(Json::as_str);
    let typed = |k: &&'static Kind| word.is_some_and(|w| k.types.contains(&w));
    let kinds = match named.iter().copied().find(typed) {
        Some(kind) => vec![kind],
        None => named,
    };
    Some(Found { root, kinds, options: Options::of(&seen) })
}

/// An option of the training, in the file or in a JSON file beside it.
fn said<'l>(listing: &'l Listing, key: &str) -> Option<&'l Json> {
    const OWN: &[&str] = &["opts", "encoder_type"];
    let inside = listing.said("opts", OWN).and_then(|all| all.get(key));
    inside.or_else(|| listing.said(key, OWN))
}

impl Found {
    /// What it is, in words.
    pub fn words(&self) -> String {
        self.kinds.iter().map(|k| k.about).collect::<Vec<_>>().join(" or ")
    }

    /// Whether its options say that it encodes faces in FFHQ's frame.
    pub fn encodes_faces(&self) -> bool {
        self.options.faces
    }

    /// Whether the file says which kind it is.
    pub fn is_clear(&self) -> bool {
        self.kinds.len() == 1
    }

    /// The kind.
    fn kind(&self, file: &str) -> Result<&'static Kind> {
        if let [kind] = self.kinds[..] {
            return Ok(kind);
        }
        let types: Vec<&str> = self.kinds.iter().filter_map(|k| k.types.first().copied()).collect();
        let names: Vec<&str> = self.kinds.iter().map(|k| k.name).collect();
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let text = format!("{file} does not say which encoder it is: {}", names.join(" or "));
        Err(Error::new(ErrorKind::Format, text).note("they have the same tensors").hint(format!(
            "write {{\"encoder_type\": \"{}\"}} into {}.json beside it",
            types.join("\" or \""),
            Safe(stem)
        )))
    }

    /// Reads the encoder of a generator; `name` tells it from others.
    ///
    /// # Errors
    /// When the file does not say which it is, and when a tensor is missing, has another shape, or
    /// is left over.
    pub fn read(
        self,
        name: &str,
        weights: Weights,
        place: Place,
        device: &Device,
    ) -> Result<Foreign> {
        let kind = self.kind(weights.file())?;
        let mut weights = weights.below(&self.root).renamed(&kind.layout)?;
        let net = (kind.take)(&mut Taker::new(&mut weights, device))?;
        let [rows, dim] = net.size();
        let rows = if rows == 1 { place.rows } else { rows };
        let start = if weights.has("latent_avg") {
            mean(weights.take_any("latent_avg")?, (rows, dim), weights.file())?
        } else {
            place.mean.broadcast_as((rows, place.mean.elem_count()))?.contiguous()?
        };
        weights.finish()?;
        let start = start.to_device(device)?.to_dtype(DType::F32)?;
        let relative = kind.relative && self.options.from_mean;
        let start = if relative { start } else { start.zeros_like()? };
        let name = format!("{} {name}", kind.name);
        Ok(Foreign { name, net, start, rows, options: self.options })
    }
}

/// The mean of w in a file, for all rows or for each.
fn mean(found: Tensor, (rows, dim): (usize, usize), file: &str) -> Result<Tensor> {
    let flat = match *found.dims() {
        [1, n, d] => found.reshape((n, d))?,
        [d] => found.reshape((1, d))?,
        _ => found,
    };
    match *flat.dims() {
        [n, d] if d == dim && n == rows => Ok(flat),
        [n, d] if d == dim && n > 0 => {
            Ok(flat.narrow(0, 0, 1)?.broadcast_as((rows, dim))?.contiguous()?)
        }
        ref other => {
            let text = format!("{file}: its mean of w is {other:?}, codes are {rows}×{dim}");
            Err(Error::new(ErrorKind::Format, text).hint("use the unchanged file"))
        }
    }
}

/// An encoder of other people's code that runs.
pub struct Foreign {
    name: String,
    net: Box<dyn Net>,
    /// The mean of w that codes are relative to, `[L, D]`.
    start: Tensor,
    rows: usize,
    options: Options,
}

impl Foreign {
    /// Pictures as the encoder was trained on them.
    fn fit(&self, pictures: &Tensor) -> Result<Tensor> {
        let channels = pictures.dims4()?.1;
        if channels != CHANNELS {
            return Err(Error::runtime(format!(
                "the encoder reads pictures of {CHANNELS} channels, these have {channels}"
            ))
            .hint("use method: optimize"));
        }
        let side = self.net.side();
        let x = resize_to(&pictures.to_dtype(DType::F32)?, side, side)?;
        let [top, height] = CARS;
        Ok(if self.options.cars { x.narrow(2, top, height)?.contiguous()? } else { x })
    }

    /// Codes of one row as one a layer.
    fn spread(&self, codes: Tensor) -> Result<Tensor> {
        let (n, rows, dim) = codes.dims3()?;
        if rows == self.rows {
            return Ok(codes);
        }
        Ok(codes.broadcast_as((n, self.rows, dim))?.contiguous()?)
    }
}

impl Encoder for Foreign {
    fn name(&self) -> &str {
        &self.name
    }

    fn passes(&self) -> usize {
        self.net.passes(self.options.passes)
    }

    fn start(&self) -> Option<&Tensor> {
        Some(&self.start)
    }

    fn check(&self, model: &str, channels: usize, dims: &Dims) -> Result<()> {
        let mine = [CHANNELS, self.rows, self.net.size()[1]];
        fits(&self.name, mine, (model, [channels, dims.num_ws, dims.w_dim]))
    }

    fn pass(&self, seen: &Seen<'_>) -> Result<Move> {
        let (pictures, current) = (self.fit(seen.pictures)?, self.fit(seen.current)?);
        let fitted = Seen { pictures: &pictures, current: &current, pass: seen.pass };
        Ok(match self.net.forward(&fitted)? {
            Move::To(code) => Move::To(self.spread(code)?.broadcast_add(&self.start)?),
            Move::By(step) => Move::By(self.spread(step)?),
        })
    }
}

#[cfg(test)]
mod tests;
