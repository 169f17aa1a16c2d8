//! How checkpoints of StyleGAN3 are laid out, one file a layout.

mod nvidia;
mod own;

use crate::weights::layout::Layout;

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[&own::LAYOUT, &nvidia::LAYOUT];
