//! Layouts of R3GAN checkpoints, one file each.

mod official;

use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "r3gan";

const OWN: Layout = Layout::own(&[]);

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[&OWN, &official::LAYOUT];
