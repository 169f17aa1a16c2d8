//! A built-in function for tests alone.

use crate::builtin::{Builtin, Category, Example, Kind, Param, Signature, Type};
use crate::value::Value;

/// `dummy_builtin(x, times: 2)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "dummy_builtin",
        params: &[
            Param::required("x", &[Kind::Number], "a number").within(-1e6, 1e6),
            Param::optional("times", &[Kind::Number], "2", "how often it counts")
                .whole(1, 9)
                .named(),
        ],
        returns: "Number",
        infer: |_| Ok(Type::Number),
    },
    category: Category::Measure,
    summary: "a number, counted several times",
    details: "For tests.",
    examples: &[
        Example { code: "dummy_builtin(21)", note: "twice" },
        Example { code: "print(dummy_builtin(0.5, times: 3))", note: "three times" },
    ],
    cost: None,
    cache: None,
    definition: None,
    run: |args, _| Ok(Value::Number(args.need_number("x")? * args.need_count("times")? as f64)),
};
