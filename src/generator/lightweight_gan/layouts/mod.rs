//! Layouts of lightweight-gan checkpoints, one file each.

mod original;

use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "lightweight-gan";

const OWN: Layout = Layout::own(&[]);

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[&OWN, &original::LAYOUT];
