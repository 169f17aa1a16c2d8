//! `mae`: mean absolute error; lower is closer

use super::shared;
use crate::builtin::{Builtin, Category, Example, Signature};
use crate::metric::{Mae, Metric};

/// `mae(a, b)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "mae",
        params: shared::params::TWO,
        returns: "Number",
        infer: shared::number,
    },
    category: Category::Measure,
    summary: "mean absolute error; lower is closer",
    details: "Mean over pixels and channels of |a − b| on pictures in [0, 1].",
    examples: &[Example {
        code: "mae(sample(seed: 1), sample(seed: 2))",
        note: "two unlike pictures",
    }],
    cost: None,
    cache: None,
    definition: Some(|_| Mae.definition()),
    run: |args, ctx| shared::metric(&Mae, args, ctx),
};
