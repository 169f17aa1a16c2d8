//! ReStyle on pSp with its simpler encoder: all heads read the last map.

use super::pyramid;
use super::styles::{self, Plan};
use super::{Kind, layout};

/// See Alaluf et al. 2021, "ReStyle".
pub(super) const KIND: Kind = Kind {
    name: "ReStyle",
    about: "the encoder of ReStyle on pSp into W+ (Alaluf et al. 2021)",
    types: &["BackboneEncoder", "ResNetBackboneEncoder"],
    layout: layout("restyle", |listing| pyramid::detect(listing, false)),
    relative: true,
    begins: false,
    take: |t, _| styles::take(t, Plan { pyramid: false, offsets: false }),
};
