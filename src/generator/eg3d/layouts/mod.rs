//! Layouts of EG3D checkpoints, one file each.

mod nvidia;
mod own;

use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "eg3d";

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[&own::LAYOUT, &nvidia::LAYOUT];
