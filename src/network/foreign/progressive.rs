//! ReStyle on e4e: the tensors of ReStyle on pSp, read as one code and offsets from it.

use super::styles::{self, Plan};
use super::{Kind, backbone};

/// See Alaluf et al. 2021, "ReStyle".
pub(super) const KIND: Kind = Kind {
    name: "ReStyle-e4e",
    about: "the encoder of ReStyle on e4e into W+ (Alaluf et al. 2021)",
    types: &["ProgressiveBackboneEncoder", "ResNetProgressiveBackboneEncoder"],
    layout: backbone::KIND.layout,
    relative: true,
    begins: false,
    take: |t, _| styles::take(t, Plan { pyramid: false, offsets: true }),
};
