//! pSp, and ReStyle on it.

use super::pyramid;
use super::styles::{self, Plan};
use super::{Kind, layout};

/// A pyramid of features and a head a row (Richardson et al. 2021; with six channels ReStyle,
/// Alaluf et al. 2021).
pub(super) const KIND: Kind = Kind {
    name: "pSp",
    about: "the encoder of pSp into W+ (Richardson et al. 2021)",
    types: &["GradualStyleEncoder", "ResNetGradualStyleEncoder"],
    layout: layout("psp", |listing| pyramid::detect(listing, true)),
    relative: true,
    begins: false,
    take: |t, _| styles::take(t, Plan { pyramid: true, offsets: false }),
};
