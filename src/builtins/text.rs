//! `text`: values put together as a text.

use crate::builtin::{Builtin, Category, CheckedCall, Example, Kind, Param, Signature, Type};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::limits::LIMITS;
use crate::value::{Value, text};

/// `text("face-", 3, ".png")`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "text",
        params: &[Param::required("values", &[Kind::Any], "what to put together").variadic()],
        returns: "Text",
        infer,
    },
    category: Category::File,
    summary: "values put together as one text, such as the name of a file",
    details: "Without blanks between them; numbers have six significant digits, as `print` writes \
              them.",
    examples: &[
        Example {
            code: "[save(sample(seed: k), text(\"face-\", k, \".png\")) for k in 1..2]",
            note: "a file for each seed",
        },
        Example { code: "text(\"PSNR \", 29.412345678, \" dB\")", note: "PSNR 29.4123 dB" },
    ],
    cost: None,
    cache: None,
    definition: None,
    run: |args, _| {
        let mut all = String::new();
        for (value, span) in args.values.iter().flatten() {
            match value {
                Value::Text(text) => all.push_str(text),
                other => all.push_str(&text::readable(other)?),
            }
            if all.len() > LIMITS.text_bytes {
                let message = format!("a text has at most {} bytes", LIMITS.text_bytes);
                return Err(Error::new(ErrorKind::Limit, message)
                    .at(*span)
                    .hint("make it shorter"));
            }
        }
        Ok(Value::Text(all))
    },
};

fn infer(_: &CheckedCall<'_>) -> Result<Type> {
    Ok(Type::Text)
}
