//! `blank`: an empty picture.

use super::shared;
use crate::builtin::{Builtin, Category, CheckedCall, Example, Kind, Param, Signature, Type};
use crate::error::Result;
use crate::value::{Image, Value};
use candle_core::Tensor;

/// `blank(value: 1)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "blank",
        params: &[Param::optional(
            "value",
            &[Kind::Number],
            "1",
            "its shade, from -1 (black) to 1 (white)",
        )
        .within(-1.0, 1.0)],
        returns: "Image",
        infer,
    },
    category: Category::See,
    summary: "an empty picture of the generator's size, for a corner of a grid",
    details: "",
    examples: &[Example {
        code: "a = sample(seed: 1); b = sample(seed: 2); grid(blank(), a, b, lerp(a, b, 0.5))",
        note: "an empty corner",
    }],
    cost: None,
    cache: None,
    definition: None,
    run: |args, ctx| {
        let value = args.need_number("value")? as f32;
        let facts = ctx.model()?.facts.clone();
        let shape = (1, facts.channels, facts.height, facts.width);
        let data = Tensor::full(value, shape, &ctx.device)?;
        Ok(Value::Image(Image::new(data, "blank")))
    },
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    Ok(shared::picture(call.model.as_ref()))
}
