//! The options with which an encoder was trained: in its file, or in a JSON file beside it.

use crate::weights::Listing;
use serde_json::Value as Json;

/// Passes of ReStyle, unless its file says otherwise.
const PASSES: usize = 5;

/// Options of the training that saved a file.
#[derive(Clone, Copy)]
pub(super) struct Options {
    /// Whether codes are relative to the mean of w.
    pub from_mean: bool,
    /// Whether it encodes faces of FFHQ or CelebA-HQ.
    pub faces: bool,
    /// Whether it encodes cars, whose pictures are less high than wide.
    pub cars: bool,
    /// Passes of an encoder that corrects codes for ever.
    pub passes: usize,
}

impl Options {
    /// Those that a file says, and the usual ones.
    pub fn of(listing: &Listing) -> Self {
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

/// An option of the training, in the file or in a JSON file beside it.
pub(super) fn said<'l>(listing: &'l Listing, key: &str) -> Option<&'l Json> {
    const OWN: &[&str] = &["opts", "encoder_type"];
    let inside = listing.said("opts", OWN).and_then(|all| all.get(key));
    inside.or_else(|| listing.said(key, OWN))
}
