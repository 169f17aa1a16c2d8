//! e4e: the tensors of pSp, read as one code for all layers and offsets from it.

use super::styles::{self, Plan};
use super::{Kind, psp};

/// See Tov et al. 2021, "Designing an Encoder for StyleGAN Image Manipulation".
pub(super) const KIND: Kind = Kind {
    name: "e4e",
    about: "the encoder of e4e into W+ (Tov et al. 2021)",
    types: &["Encoder4Editing"],
    layout: psp::KIND.layout,
    relative: true,
    begins: false,
    take: |t, _| styles::take(t, Plan { pyramid: true, offsets: true }),
};
