//! `print`: a value alone on a line.

use crate::builtin::{Builtin, Category, CheckedCall, Example, Kind, Param, Signature, Type};
use crate::error::Result;
use crate::value::{Value, text};

/// `print(value, …)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "print",
        params: &[Param::required(
            "values",
            &[Kind::Any],
            "what to write; several values are separated by a blank",
        )
        .variadic()],
        returns: "nothing",
        infer,
    },
    category: Category::See,
    summary: "writes a value alone on a line of standard output, for other programs",
    details: "Numbers have six significant digits; `--json` writes all.",
    examples: &[Example { code: "print(psnr(sample(seed: 1), sample(seed: 1)))", note: "inf" }],
    cost: None,
    cache: None,
    definition: None,
    run: |args, ctx| {
        let values = || args.values.iter().flatten().map(|(v, _)| v);
        let exact = values().map(text::plain).collect::<Result<Vec<_>>>()?;
        let read = values().map(text::readable).collect::<Result<Vec<_>>>()?;
        ctx.output.print_exact(&read.join(" "), &exact.join(" "))?;
        Ok(Value::Nothing)
    },
};

fn infer(_: &CheckedCall<'_>) -> Result<Type> {
    Ok(Type::Nothing)
}
