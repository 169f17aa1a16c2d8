//! pSp, and ReStyle on it.

use super::styles::{self, Plan};
use super::{COMMON, Kind};
use crate::weights::layout::Layout;

/// A pyramid of features and a head a row (Richardson et al. 2021; with six channels ReStyle,
/// Alaluf et al. 2021).
pub(super) const KIND: Kind = Kind {
    name: "pSp",
    about: "the encoder of pSp into W+ (Richardson et al. 2021)",
    types: &["GradualStyleEncoder", "ResNetGradualStyleEncoder"],
    layout: Layout {
        name: "psp",
        detect: |listing| styles::detect(listing, true),
        rules: COMMON,
        settings: |listing| Ok(listing.config.clone()),
    },
    relative: true,
    take: |t| styles::take(t, Plan { pyramid: true, offsets: false }),
};
