//! `psnr`: peak signal-to-noise ratio in dB; higher is closer

use super::shared;
use crate::builtin::{Builtin, Category, Example, Signature};
use crate::metric::{Metric, Psnr};

/// `psnr(a, b)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "psnr",
        params: shared::params::TWO,
        returns: "Number",
        infer: shared::number,
    },
    category: Category::Measure,
    summary: "peak signal-to-noise ratio in dB; higher is closer",
    details: "10·log10(4 / mse) on pictures in [-1, 1] (peak 2), which equals 10·log10(1 / mse) in \
              [0, 1]. The mean over the pictures when there are several. A picture counts as the \
              generator makes it; a saved file is clamped to the range and rounded to 8 bits, so \
              its number differs where the picture leaves the range.",
    examples: &[Example {
        code: "psnr(sample(seed: 1), sample(seed: 2))",
        note: "two unlike pictures",
    }],
    cost: None,
    cache: None,
    definition: Some(|_| Psnr.definition()),
    run: |args, ctx| shared::metric(&Psnr, args, ctx),
};
