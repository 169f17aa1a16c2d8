//! Layouts of PGGAN checkpoints, one file each.

mod gan_zoo;
mod genforce;
mod mmgen;
mod tensorflow;

use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "pggan";

const OWN: Layout = Layout::own(&[]);

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[
    &OWN,
    &tensorflow::LAYOUT,
    &genforce::LAYOUT,
    &gan_zoo::LAYOUT,
    &mmgen::FUSED,
    &mmgen::DOUBLED,
];
