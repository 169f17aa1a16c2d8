//! Layouts of EG3D checkpoints, one file each.

mod nvidia;

use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "eg3d";

const OWN: Layout = Layout::own(&[]);

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[&OWN, &nvidia::LAYOUT];
