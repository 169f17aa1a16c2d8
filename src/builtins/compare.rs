//! `compare`: pictures beside each other, and the numbers.

use super::{measure, shared};
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Context, Example, Param, Signature, Type, all_images,
};
use crate::error::Result;
use crate::value::{Image, Value, pictures};
use candle_core::Tensor;
use std::sync::Arc;

/// `compare(a, b, …)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "compare",
        params: &[
            Param::required(
                "a",
                shared::params::PICTURES,
                "what the others are compared with: pictures, an inversion (its reconstruction) \
                 or codes (rendered)",
            ),
            Param::required(
                "b",
                shared::params::CANDIDATES,
                "one or more of the same size; each has a column",
            )
            .variadic(),
        ],
        returns: "Table",
        infer,
    },
    category: Category::See,
    summary: "pictures beside each other, and every metric",
    details: "With one candidate, their difference |a − b| times four is shown too, on pictures in \
              [-1, 1], black where both agree. `:details` at the prompt defines the numbers.",
    examples: &[
        Example {
            code: "compare(sample(seed: 1), sample(seed: 1, psi: 0.7))",
            note: "a sample and its truncated self",
        },
        Example {
            code: "x = sample(seed: 1); compare(x, sample(seed: 1, psi: 0.9), mean_w())",
            note: "two candidates in one table",
        },
    ],
    cost: None,
    cache: None,
    definition: None,
    run,
};

/// Longest expression that is used as a caption and a column.
const NAME: usize = 20;

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    shared::same_size(call)?;
    Ok(Type::Table)
}

/// An argument as it is written, where that is short and there is one value of it.
fn name(args: &Args, param: &str, k: usize, otherwise: String) -> String {
    let at = args.params.iter().position(|p| p.name == param);
    let written = at.and_then(|i| args.written.get(i)).map(Vec::as_slice).unwrap_or_default();
    let values = at.and_then(|i| args.values.get(i)).map_or(0, Vec::len);
    let listed = args.many(param).len() != values;
    written
        .get(k)
        .filter(|w| !listed && w.chars().count() <= NAME && !w.starts_with('"'))
        .cloned()
        .unwrap_or(otherwise)
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let a = args.images("a", ctx)?;
    let given = args.many("b");
    let found = all_images(&given, ctx)?;
    let target_name = name(args, "a", 0, "a".into());
    let mut columns: Vec<measure::Column> = Vec::with_capacity(found.len());
    let mut target = a.data.clone();
    for (k, b) in found.iter().enumerate() {
        let (first, candidate) = shared::align(&a, b).map_err(|e| e.at(given[k].1))?;
        if k == 0 {
            target = first;
        }
        let otherwise = if found.len() == 1 { "b".into() } else { format!("#{k}") };
        columns.push((name(args, "b", k, otherwise), candidate));
    }
    let mut table = if let [(_, only)] = &columns[..] {
        measure::table(&target, &[("value".into(), only.clone())], ctx)?
    } else {
        measure::table(&a.data, &columns, ctx)?
    };
    let picture = |data: &Tensor, i: usize, caption: &str| -> Result<Image> {
        let data = data.narrow(0, i.min(data.dim(0)?.saturating_sub(1)), 1)?;
        Ok(Image { captions: vec![caption.to_owned()], ..Image::new(data, "compare") })
    };
    let count = columns.iter().map(|(_, b)| b.dim(0)).collect::<candle_core::Result<Vec<_>>>()?;
    for i in 0..count.into_iter().max().unwrap_or(0) {
        table.pictures.push(picture(&target, i, &target_name)?);
        for (caption, data) in &columns {
            table.pictures.push(picture(data, i, caption)?);
        }
        if let [(_, only)] = &columns[..] {
            let error = pictures::error_picture(&target, only)?;
            table.pictures.push(picture(&error, i, pictures::ERROR)?);
        }
    }
    Ok(Value::Table(Arc::new(table)))
}
