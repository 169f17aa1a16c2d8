//! Our own safetensors: the family's names, and its settings in the manifest.

use super::NAME;
use crate::weights::layout::Layout;

pub(super) const LAYOUT: Layout = Layout {
    name: "gannet",
    detect: |listing| listing.family.as_deref() == Some(NAME),
    rules: &[],
    settings: |listing| Ok(listing.config.clone()),
};
