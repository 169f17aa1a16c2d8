//! Layouts of StyleGAN checkpoints, one file each.

mod genforce;
mod lernapparat;
mod mmgen;
mod own;
mod tensorflow;

use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "stylegan1";

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] =
    &[&own::LAYOUT, &tensorflow::LAYOUT, &genforce::LAYOUT, &mmgen::LAYOUT, &lernapparat::LAYOUT];
