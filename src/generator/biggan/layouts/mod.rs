//! Layouts of BigGAN checkpoints, one file each.

mod ajbrock;
mod huggingface;
mod own;
mod studiogan;

use crate::weights::Listing;
use crate::weights::layout::Layout;
use serde_json::Value as Json;

/// The family's name in manifests.
pub(super) const NAME: &str = "biggan";

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] =
    &[&own::LAYOUT, &huggingface::LAYOUT, &ajbrock::SHARED, &ajbrock::UNSHARED, &studiogan::LAYOUT];

/// A setting of the official code: from the file, or from what lies beside it; at the top, or in
/// that section.
fn said<'a>(listing: &'a Listing, section: &str, key: &str) -> Option<&'a Json> {
    let sources = [&listing.config, &listing.outside, &listing.beside];
    let views = sources.into_iter().flat_map(|json| [Some(json), json.get(section)]);
    views.flatten().filter_map(|json| json.get(key)).find(|value| !value.is_null())
}
