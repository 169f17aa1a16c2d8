//! Our own safetensors: the family's names, and the settings in the manifest.

use super::NAME;
use crate::generator::layers::COMPUTED_MEAN;
use crate::weights::layout::Layout;

pub(super) const LAYOUT: Layout = Layout {
    name: "gannet",
    detect: |listing| listing.family.as_deref() == Some(NAME),
    rules: &[COMPUTED_MEAN],
    settings: |listing| Ok(listing.config.clone()),
};
