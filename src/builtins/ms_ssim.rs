//! `ms_ssim`: multi-scale structural similarity; 1 is equal

use super::shared;
use crate::builtin::{Builtin, Category, Example, Signature};
use crate::metric::{Metric, MsSsim};

/// `ms_ssim(a, b)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "ms_ssim",
        params: shared::params::TWO,
        returns: "Number",
        infer: shared::number,
    },
    category: Category::Measure,
    summary: "multi-scale structural similarity; 1 is equal",
    details: "Wang et al. 2003: five scales with the published weights, on [0, 1]; pictures of at \
              least 176 pixels a side.",
    examples: &[Example {
        code: "a = image(\"models/faces/examples/900000.jpg\", size: 192); ms_ssim(a, a)",
        note: "1 for equal pictures",
    }],
    cost: None,
    cache: None,
    definition: Some(|_| MsSsim.definition()),
    run: |args, ctx| shared::metric(&MsSsim, args, ctx),
};
