//! Layouts of StyleGAN3 checkpoints, one file each.

mod nvidia;
mod xl;

use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "stylegan3";

const OWN: Layout = Layout::own(&[]);

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[&OWN, &xl::CLASSES, &xl::PLAIN, &nvidia::LAYOUT];
