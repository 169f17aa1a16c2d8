//! `compare`: two pictures, their difference, and the numbers.

use super::{measure, shared};
use crate::builtin::{Args, Builtin, Category, CheckedCall, Context, Example, Signature, Type};
use crate::error::Result;
use crate::value::{Image, Value, pictures};
use std::sync::Arc;

/// `compare(a, b)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature { name: "compare", params: shared::params::TWO, returns: "Table", infer },
    category: Category::See,
    summary: "two pictures, their difference ×4, and every metric",
    details: "The difference is |a − b| times four on pictures in [-1, 1], black where both agree.",
    examples: &[Example {
        code: "compare(sample(seed: 1), sample(seed: 1, psi: 0.7))",
        note: "a sample and its truncated self",
    }],
    cost: None,
    definition: None,
    run,
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    shared::same_size(call)?;
    Ok(Type::Table)
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let (a, b) = shared::two_images(args, ctx)?;
    let error = pictures::error_picture(&a, &b)?;
    let mut table = measure::table(&a, &b, ctx)?;
    for i in 0..a.dim(0)? {
        for (data, caption) in [(&a, "a"), (&b, "b"), (&error, "error ×4")] {
            table.pictures.push(Image {
                data: data.narrow(0, i, 1)?,
                captions: vec![caption.to_owned()],
                origin: "compare".into(),
                notes: Vec::new(),
                model: None,
            });
        }
    }
    Ok(Value::Table(Arc::new(table)))
}
