//! Layouts of stylegan2-pytorch checkpoints, one file each.

mod original;

use crate::generator::layers::COMPUTED_MEAN;
use crate::weights::layout::Layout;

/// The family's name in manifests.
pub(super) const NAME: &str = "lucidrains-stylegan2";

const OWN: Layout = Layout::own(&[COMPUTED_MEAN]);

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[&OWN, &original::AVERAGED, &original::TRAINED];
