//! Layouts of StyleGAN checkpoints, one file each.

mod genforce;
mod lernapparat;
mod mmgen;
mod tensorflow;

use crate::generator::layers::COMPUTED_MEAN;
use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "stylegan1";

const OWN: Layout = Layout::own(&[COMPUTED_MEAN]);

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] =
    &[&OWN, &tensorflow::LAYOUT, &genforce::LAYOUT, &mmgen::LAYOUT, &lernapparat::LAYOUT];
