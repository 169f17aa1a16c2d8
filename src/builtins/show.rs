//! `show`: values side by side.

use crate::builtin::{Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param, Signature, Type};
use crate::error::Result;
use crate::latent::Latent;
use crate::value::{Image, Value, display};

/// `show a, b`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "show",
        params: &[
            Param::required("values", &[Kind::Any], "pictures, codes (rendered), inversions, tables, …").variadic()
        ],
        returns: "nothing",
        infer,
    },
    category: Category::See,
    summary: "shows values side by side",
    details: "`show a, b` and `show(a, b)` are the same. Where there is no terminal that shows pictures, they are written as \
              PNG files and named.",
    examples: &[Example { code: "show sample(seed: 1), sample(seed: 2)", note: "two pictures side by side" }],
    cost: None,
    definition: None,
    run,
};

fn infer(_: &CheckedCall<'_>) -> Result<Type> {
    Ok(Type::Nothing)
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let values: Vec<Value> = args.many("values").into_iter().map(|(v, _)| v).collect();
    let picture = |l: &Latent| -> Result<Image> { display::render(l, &*ctx.model_of(l)?) };
    let shown = display::side_by_side(&values, &picture)?;
    let all = match &values[..] {
        [one] => one.clone(),
        _ => Value::List(std::sync::Arc::new(values)),
    };
    ctx.output.display(&shown, &all)?;
    Ok(Value::Nothing)
}
