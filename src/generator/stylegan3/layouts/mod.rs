//! Layouts of StyleGAN3 checkpoints, one file each.

mod nvidia;
mod own;
mod xl;

use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "stylegan3";

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[&own::LAYOUT, &xl::CLASSES, &xl::PLAIN, &nvidia::LAYOUT];
