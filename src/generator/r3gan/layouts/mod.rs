//! Layouts of R3GAN checkpoints, one file each.

mod official;
mod own;

use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "r3gan";

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[&own::LAYOUT, &official::LAYOUT];
