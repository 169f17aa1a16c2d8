//! `ssim`: structural similarity; 1 is equal

use super::shared;
use crate::builtin::{Builtin, Category, Example, Signature};
use crate::metric::{Metric, Ssim};

/// `ssim(a, b)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "ssim",
        params: shared::params::TWO,
        returns: "Number",
        infer: shared::number,
    },
    category: Category::Measure,
    summary: "structural similarity; 1 is equal",
    details: "Wang et al. 2004: Gaussian window 11, sigma 1.5, on [0, 1], mean over channels; \
              scikit-image with gaussian_weights=True, sigma=1.5, use_sample_covariance=False, \
              data_range=1.",
    examples: &[Example {
        code: "ssim(sample(seed: 1), sample(seed: 1))",
        note: "1 for equal pictures",
    }],
    cost: None,
    cache: None,
    definition: Some(|_| Ssim.definition()),
    run: |args, ctx| shared::metric(&Ssim, args, ctx),
};
