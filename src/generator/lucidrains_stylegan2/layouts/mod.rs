//! Layouts of stylegan2-pytorch checkpoints, one file each.

mod original;
mod own;

use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "lucidrains-stylegan2";

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[&own::LAYOUT, &original::AVERAGED, &original::TRAINED];
