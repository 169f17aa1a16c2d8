//! Layouts of lightweight-gan checkpoints, one file each.

mod original;
mod own;

use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "lightweight-gan";

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[&own::LAYOUT, &original::LAYOUT];
