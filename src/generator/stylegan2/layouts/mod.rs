//! Layouts of StyleGAN2 checkpoints, one file each.

#[cfg(test)]
mod dummy_layout;
mod genforce;
mod mmgen;
pub(in crate::generator) mod nvidia;
mod paddle;
pub(super) mod rosinality;
mod tensorflow;

use crate::generator::layers::COMPUTED_MEAN;
use crate::weights::layout::{Layout, Rule};

/// The family's name in manifests.
pub(super) const NAME: &str = "stylegan2";

const OWN: Layout = Layout::own(&[FILTERS, COMPUTED_MEAN]);

/// All of them, our own first.
pub(super) const LAYOUTS: &[&Layout] = &[
    &OWN,
    &nvidia::LAYOUT,
    &tensorflow::LAYOUT,
    &paddle::LAYOUT,
    &rosinality::LAYOUT,
    &genforce::LAYOUT,
    &mmgen::LAYOUT,
    #[cfg(test)]
    &dummy_layout::LAYOUT,
];

/// The filters that NVIDIA's code stores beside the weights.
const FILTERS: Rule =
    Rule::spare("{*}resample_filter", "the filter follows from the settings; it is checked");
