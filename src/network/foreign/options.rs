//! The options with which an encoder was trained: in its file, or in a JSON file beside it.

use crate::weights::Listing;
use serde_json::Value as Json;

/// Passes of ReStyle, unless its file says otherwise.
const PASSES: usize = 5;

/// Options of the training that saved a file.
#[derive(Clone)]
pub(super) struct Options {
    /// Whether codes are relative to the mean of w.
    pub from_mean: bool,
    /// Whether it encodes faces of FFHQ or CelebA-HQ.
    pub faces: bool,
    /// Whether it encodes cars, whose pictures are less high than wide.
    pub cars: bool,
    /// The name of the file of the encoder with whose code it begins.
    pub first: Option<String>,
    /// Passes of an encoder that corrects codes for ever.
    pub passes: usize,
}

impl Options {
    /// Those that a file says, and the usual ones.
    pub fn of(listing: &Listing) -> Self {
        let data = said(listing, "dataset_type").and_then(Json::as_str).unwrap_or_default();
        let passes = said(listing, "n_iters_per_batch").and_then(Json::as_u64);
        let from_mean = said(listing, "start_from_latent_avg").and_then(Json::as_bool);
        let first = said(listing, "w_encoder_checkpoint_path").and_then(Json::as_str);
        Self {
            first: first.and_then(file_name),
            from_mean: from_mean.unwrap_or(true),
            faces: data.starts_with("ffhq") || data.starts_with("celeb"),
            cars: data.starts_with("cars"),
            passes: passes.map_or(PASSES, |n| n.clamp(1, 100) as usize),
        }
    }
}

/// The name of a file without its folders, which are those of another machine.
fn file_name(path: &str) -> Option<String> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    (!name.is_empty() && name != "..").then(|| name.to_owned())
}

/// An option of the training, in the file or in a JSON file beside it.
pub(super) fn said<'l>(listing: &'l Listing, key: &str) -> Option<&'l Json> {
    const OWN: &[&str] = &["opts", "encoder_type"];
    let inside = listing.said("opts", OWN).and_then(|all| all.get(key));
    inside.or_else(|| listing.said(key, OWN))
}
