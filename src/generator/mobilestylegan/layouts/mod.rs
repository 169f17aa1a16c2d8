//! Layouts of MobileStyleGAN checkpoints, one file each.

mod official;
mod openvino;
mod own;

use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "mobilestylegan";

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[&own::LAYOUT, &official::LAYOUT, &openvino::LAYOUT];

/// Why the heads on the way are left out.
const HEADS: &str = "a head for training: the picture comes from the last one";
