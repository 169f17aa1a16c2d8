//! `rmse`: root of the mean squared error; lower is closer

use super::shared;
use crate::builtin::{Builtin, Category, Example, Signature};
use crate::metric::{Metric, Rmse};

/// `rmse(a, b)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "rmse",
        params: shared::params::TWO,
        returns: "Number",
        infer: shared::number,
    },
    category: Category::Measure,
    summary: "root of the mean squared error; lower is closer",
    details: "Square root of the mean over pixels and channels of (a − b)² on pictures in [0, 1].",
    examples: &[Example {
        code: "rmse(sample(seed: 1), sample(seed: 2))",
        note: "two unlike pictures",
    }],
    cost: None,
    cache: None,
    definition: Some(|_| Rmse.definition()),
    run: |args, ctx| shared::metric(&Rmse, args, ctx),
};
