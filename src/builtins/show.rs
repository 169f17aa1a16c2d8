//! `show`: values side by side.

use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param, Signature, Type,
};
use crate::error::Result;
use crate::value::Value;
use crate::value::display::{self, Shown};

/// `show a, b`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "show",
        params: &[
            Param::required(
                "values",
                &[Kind::Any],
                "pictures, codes (rendered), inversions, tables, …",
            )
            .variadic(),
            Param::optional(
                "size",
                &[Kind::Number],
                "-",
                "width of each picture in columns of the terminal; as large as the window allows \
                 unless given",
            )
            .whole(1, 1000)
            .named(),
        ],
        returns: "nothing",
        infer,
    },
    category: Category::See,
    summary: "shows values side by side",
    details: "`show a, b` and `show(a, b)` are the same. Without a terminal that shows pictures, \
              they are written as \
              PNG files and named.",
    examples: &[
        Example {
            code: "show sample(seed: 1), sample(seed: 2)",
            note: "two pictures side by side",
        },
        Example { code: "show sample(seed: 1), size: 60", note: "60 columns wide" },
    ],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(_: &CheckedCall<'_>) -> Result<Type> {
    Ok(Type::Nothing)
}

/// Longest expression that is used as a caption.
const CAPTION: usize = 28;

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let of = |name: &str| args.params.iter().position(|p| p.name == name).unwrap_or(0);
    let values: Vec<Value> = args.values[of("values")].iter().map(|(v, _)| v.clone()).collect();
    let columns = args.count("size")?.and_then(|n| u16::try_from(n).ok());
    let mut shown = Shown::default();
    for (value, text) in values.iter().zip(&args.written[of("values")]) {
        let mut one = display::side_by_side(&listed(value), &|code| ctx.picture(code))?;
        if let Value::List(items) = value {
            one.label(items);
        }
        // A picture without a caption gets its source text: `show r, r + 2*pure`.
        if let [only] = &mut one.pictures[..]
            && only.caption.is_empty()
            && text.chars().count() <= CAPTION
        {
            only.caption.clone_from(text);
        }
        one.pictures.iter_mut().for_each(|p| p.columns = columns);
        shown.extend(one);
    }
    let all = match &values[..] {
        [one] => one.clone(),
        _ => Value::list(values)?,
    };
    ctx.display(shown.blocks(), &all)?;
    Ok(Value::Nothing)
}

/// One list counts as its elements.
fn listed(value: &Value) -> Vec<Value> {
    match value {
        Value::List(items) => items.to_vec(),
        other => vec![other.clone()],
    }
}
