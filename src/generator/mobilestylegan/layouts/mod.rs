//! Layouts of MobileStyleGAN checkpoints, one file each.

mod official;
mod openvino;

use crate::generator::layers::COMPUTED_MEAN;
use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "mobilestylegan";

const OWN: Layout = Layout::own(&[COMPUTED_MEAN]);

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[&OWN, &official::LAYOUT, &openvino::LAYOUT];

/// Why the heads on the way are left out.
const HEADS: &str = "a head for training: the picture comes from the last one";
