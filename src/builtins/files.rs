//! `files`: the names of files, to iterate over.

use super::images::listed;
use crate::builtin::{
    Builtin, Category, CheckedCall, Const, Example, Kind, Param, Signature, Type, as_check,
};
use crate::error::Result;
use crate::value::Value;

/// `files("folder/*.jpg")`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "files",
        params: &[Param::required(
            "path",
            &[Kind::Text],
            "a folder, or a pattern for the names in one: `*` is any text, `?` any character",
        )],
        returns: "List",
        infer,
    },
    category: Category::File,
    summary: "the paths of all files in a folder, as a list of texts",
    details: "In the order of their names, without hidden ones. `images` reads all pictures as one \
              batch; with `files` each is read on its own: `[image(f) for f in files(\"photos\")]`.",
    examples: &[Example {
        code: "[image(f) for f in files(\"models/faces/examples/90000*.jpg\")]",
        note: "the examples that are built into gannet, one by one",
    }],
    cost: None,
    cache: None,
    definition: None,
    run: |args, _| {
        let found = listed(args.text("path")?, "files", |_| true);
        let found = found.map_err(|e| e.at(args.span("path")))?;
        Value::list(found.iter().map(|p| Value::Text(p.to_string_lossy().into_owned())).collect())
    },
};

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    if let (Some(Const::Text(path)), Some(arg)) = (call.value("path"), call.arg("path"))
        && !call.will_exist(path)
    {
        listed(path, "files", |_| true).map_err(|e| as_check(e).at(arg.span))?;
    }
    Ok(Type::List(Box::new(Type::Text)))
}
