//! The encoder in a file: where it is, which kind it is, and the options that it is used with.

use super::options::{Options, said};
use super::run::Foreign;
use super::{Host, KINDS, Kind};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::network::Encoder;
use crate::network::layers::Taker;
use crate::network::roots;
use crate::safe::Safe;
use crate::space::Space;
use crate::weights::{Listing, Weights};
use candle_core::{DType, Device, Tensor};
use serde_json::Value as Json;

/// The encoder in a file.
pub struct Found {
    root: String,
    /// The kinds that it may be: several where the file does not say which.
    kinds: Vec<&'static Kind>,
    /// The options that it is used with.
    options: Options,
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

    /// Whether it begins with the code that another encoder finds.
    pub fn begins_with_another(&self) -> bool {
        self.kinds.iter().any(|kind| kind.begins)
    }

    /// The name of the file of that encoder, as its options say.
    pub fn first_file(&self) -> Option<&str> {
        self.options.first.as_deref()
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
        mut host: Host,
        device: &Device,
    ) -> Result<Foreign> {
        let kind = self.kind(weights.file())?;
        let first = host.first.as_ref().map(|first| format!(" from {}", first.name()));
        let mut weights = weights.below(&self.root).renamed(&kind.layout)?;
        let net = (kind.take)(&mut Taker::new(&mut weights, device), &mut host)?;
        let [rows, dim] = net.size();
        let rows = if rows == 1 && net.space() != Space::S { host.rows } else { rows };
        let start = if weights.has("latent_avg") {
            mean(weights.take_any("latent_avg")?, (rows, dim), weights.file())?
        } else {
            host.mean.broadcast_as((rows, host.mean.elem_count()))?.contiguous()?
        };
        weights.finish()?;
        let start = start.to_device(device)?.to_dtype(DType::F32)?;
        let start = (kind.relative && self.options.from_mean).then_some(start);
        let name = format!("{} {name}{}", kind.name, first.unwrap_or_default());
        Ok(Foreign::new(name, net, (start, rows), self.options))
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
        [1, d] if d == dim => Ok(flat.broadcast_as((rows, dim))?.contiguous()?),
        ref other => {
            let text = format!("{file}: its mean of w is {other:?}, codes are {rows}×{dim}");
            Err(Error::new(ErrorKind::Format, text).hint("use the unchanged file"))
        }
    }
}
