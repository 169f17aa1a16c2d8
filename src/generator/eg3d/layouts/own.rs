//! Our own safetensors: the backbone by StyleGAN2's names, the rest by NVIDIA's, and the settings
//! in the manifest.

use super::NAME;
use crate::weights::layout::Layout;

pub(super) const LAYOUT: Layout = Layout {
    name: "gannet",
    detect: |listing| listing.family.as_deref() == Some(NAME),
    rules: &[],
    settings: |listing| Ok(listing.config.clone()),
};
