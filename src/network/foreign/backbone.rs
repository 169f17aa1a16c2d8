//! ReStyle on pSp with its simpler encoder: all heads read the last map.

use super::styles::{self, Plan};
use super::{COMMON, Kind};
use crate::weights::layout::Layout;

/// See Alaluf et al. 2021, "ReStyle".
pub(super) const KIND: Kind = Kind {
    name: "ReStyle",
    about: "the encoder of ReStyle on pSp into W+ (Alaluf et al. 2021)",
    types: &["BackboneEncoder", "ResNetBackboneEncoder"],
    layout: Layout {
        name: "restyle",
        detect: |listing| styles::detect(listing, false),
        rules: COMMON,
        settings: |listing| Ok(listing.config.clone()),
    },
    relative: true,
    take: |t| styles::take(t, Plan { pyramid: false, offsets: false }),
};
