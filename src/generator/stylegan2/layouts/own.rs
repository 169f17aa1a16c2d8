//! Our own safetensors: NVIDIA's names, and the settings in the manifest.

use super::NAME;
use crate::generator::layers::COMPUTED_MEAN;
use crate::weights::layout::Layout;

pub(super) const LAYOUT: Layout = Layout {
    name: "gannet",
    detect: |listing| listing.family.as_deref() == Some(NAME),
    rules: &[super::FILTERS, COMPUTED_MEAN],
    settings: |listing| Ok(listing.config.clone()),
};
