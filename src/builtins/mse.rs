//! `mse`: mean squared error; lower is closer

use super::shared;
use crate::builtin::{Builtin, Category, Example, Signature};
use crate::metric::{Metric, Mse};

/// `mse(a, b)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "mse",
        params: shared::params::TWO,
        returns: "Number",
        infer: shared::number,
    },
    category: Category::Measure,
    summary: "mean squared error; lower is closer",
    details: "Mean over pixels and channels of (a − b)² on pictures in [0, 1]; on [-1, 1] it would \
              be four times the value.",
    examples: &[Example {
        code: "mse(sample(seed: 1), sample(seed: 2))",
        note: "two unlike pictures",
    }],
    cost: None,
    cache: None,
    definition: Some(|_| Mse.definition()),
    run: |args, ctx| shared::metric(&Mse, args, ctx),
};
