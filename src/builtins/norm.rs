//! `norm`: Euclidean length.

use crate::builtin::{
    Builtin, Category, CheckedCall, Example, Kind, Param, Signature, Type, as_latent,
};
use crate::direction;
use crate::error::{Error, Result};
use crate::value::Value;
use candle_core::DType;

/// `norm(x)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "norm",
        params: &[Param::required("x", &[Kind::Direction, Kind::Latent], "a direction or codes")],
        returns: "Number",
        infer,
    },
    category: Category::Measure,
    summary: "Euclidean length over all layers, in the units of the space",
    details: "For several codes a list, one number each. For a direction that exists in several \
              spaces, the \
              length in the first of them, which is W if it exists there.",
    examples: &[Example { code: "norm(direction(\"smile\"))", note: "the length of one step" }],
    cost: None,
    cache: None,
    definition: Some(|_| "Euclidean length over all layers".into()),
    run: |args, _| match args.need("x")? {
        Value::Direction(d) => Ok(Value::Number(direction::norm(d.first()))),
        other => {
            let code = as_latent(other)
                .ok_or_else(|| Error::runtime("`x` is not a code").at(args.span("x")))?;
            let rows = code
                .point()
                .flatten_from(1)?
                .to_dtype(DType::F64)?
                .sqr()?
                .sum(1)?
                .sqrt()?
                .to_vec1::<f64>()?;
            Ok(match rows[..] {
                [one] => Value::Number(one),
                _ => Value::list(rows.into_iter().map(Value::Number).collect())?,
            })
        }
    },
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    let many = super::shared::code(call, "x").count.is_none_or(|n| n != 1);
    let direction = matches!(call.arg("x").map(|a| &a.ty), Some(Type::Direction(_)));
    Ok(if many && !direction { Type::Unknown } else { Type::Number })
}
