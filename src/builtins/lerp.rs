//! `lerp`: on the straight line between two codes.

use super::shared;
use crate::builtin::{Builtin, Category, CheckedCall, Example, Kind, Param, Signature, Type};
use crate::error::Result;
use crate::value::Value;

/// `lerp(a, b, t)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature { name: "lerp", params: PARAMS, returns: "Latent", infer },
    category: Category::Edit,
    summary: "linear interpolation: (1 − t)·a + t·b",
    details: "Between codes of one space of one generator. The ends are exact. In Z prefer \
              `slerp`.",
    examples: &[Example {
        code: "lerp(sample(seed: 1), sample(seed: 2), 0.3)",
        note: "three tenths of the way",
    }],
    cost: None,
    cache: None,
    definition: None,
    run: |args, _| {
        let (a, b) = shared::pair(args, ["a", "b"])?;
        let t = args.need_number("t")?;
        let point = ((a.point() * (1.0 - t))? + (b.point() * t)?)?;
        let origin = format!("lerp {t} of ({}) and ({})", a.origin, b.origin);
        Ok(Value::Latent(a.between(&b, t, point, origin)?))
    },
};

/// The parameters of `lerp` and `slerp`.
pub const PARAMS: &[Param] = &[
    Param::required("a", &[Kind::Latent], "where t is 0"),
    Param::required("b", &[Kind::Latent], "where t is 1"),
    Param::required("t", &[Kind::Number], "position from a (0) to b (1)").within(-100.0, 100.0),
];

/// A code of the two arguments' space.
pub fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    Ok(Type::Latent(shared::same_codes(call, ["a", "b"])?))
}
