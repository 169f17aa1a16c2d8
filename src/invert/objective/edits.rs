//! What tuned weights change of edits.

use super::locality::Changed;
use super::{Setup, Term, TermKind, always, weight};
use crate::error::Result;

/// Squared error and perceptual distance between the picture of an edited code, a fresh random edit
/// at every fourth step, and the picture of the code itself changed as the untouched generator
/// changes its own. Weights that reach a picture far from the generator's answer edits with smears;
/// this term keeps what edits do. It is the counterpart of PTI's locality regularisation near the
/// pivot. The perceptual distance is chosen as for `locality`; in phases that tune no weights it is
/// 0.
pub(super) const TERM: TermKind = TermKind {
    name: "edits",
    param: weight(
        "edits",
        "of methods that tune weights: weight of what they change of the effect of edits; three \
         more pictures at every fourth step",
    ),
    weight: 0.0,
    automatic: false,
    pictures: false,
    check: always,
    make,
};

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    Ok(Some(Box::new(Changed::new(setup, TERM.name, |aside| aside.edited))))
}
