//! `info`: facts about a value.

use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Context, Example, Kind, Param, Signature, Type,
};
use crate::direction::Forms;
use crate::error::Result;
use crate::latent::Direction;
use crate::safe::Safe;
use crate::value::{Cell, Loaded, Table, Value, directions, json};
use std::sync::Arc;

/// `info(x)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "info",
        params: &[Param::optional(
            "x",
            &[Kind::Any],
            "-",
            "any value; by default the current generator",
        )],
        returns: "Table",
        infer,
    },
    category: Category::See,
    summary: "facts about a value: space, shape, generator, origin",
    details: "For a file on disk use `gannet info FILE`.",
    examples: &[
        Example { code: "info()", note: "the current generator" },
        Example { code: "info(sample(seed: 1))", note: "a code" },
        Example { code: "info(direction(\"smile\"))", note: "a direction, and its measurements" },
    ],
    cost: None,
    cache: None,
    definition: None,
    run,
};

fn infer(_: &CheckedCall<'_>) -> Result<Type> {
    Ok(Type::Table)
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let rows = match args.get("x") {
        None => model(ctx.model()?)?,
        Some(Value::Model(m)) => model(m)?,
        Some(Value::Direction(d)) => direction(d),
        Some(other) => facts(other),
    };
    let rows = rows.into_iter().map(|(k, v)| vec![Cell::Text(k), Cell::Text(v)]).collect();
    let columns = vec!["what".into(), "value".into()];
    Ok(Value::Table(Arc::new(Table { columns, rows, ..Table::default() })))
}

fn facts(value: &Value) -> Vec<(String, String)> {
    match json::json(value) {
        serde_json::Value::Object(map) => map.into_iter().map(|(k, v)| (k, words(&v))).collect(),
        other => vec![("value".into(), words(&other))],
    }
}

fn words(v: &serde_json::Value) -> String {
    v.as_str().map_or_else(|| v.to_string(), str::to_owned)
}

/// The rows about a direction; of one that is known in several spaces, those of each in turn.
fn direction(all: &Forms) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    if all.is_open() {
        rows.push(("name".to_owned(), Safe(&all.first().name).to_string()));
        rows.push(("known in".to_owned(), format!("{}: the code decides", all.sets())));
    }
    for (set, d) in all.iter() {
        let head = if all.is_open() { ("of", set.to_string()) } else { ("name", d.name.clone()) };
        rows.extend(form(d, head));
    }
    rows
}

/// The rows about one form of a direction.
fn form(d: &Direction, head: (&str, String)) -> Vec<(String, String)> {
    let model = d.model.as_ref().map_or("an unnamed generator", |m| m.name.as_str());
    let rows = [
        head,
        ("space", d.space.to_string()),
        ("size", if d.rows > 1 { format!("{}×{}", d.rows, d.dim) } else { d.dim.to_string() }),
        ("length", format!("{:.4}", crate::direction::norm(d))),
        ("generator", model.to_owned()),
        ("origin", d.origin.clone()),
    ];
    let told = d.about.as_deref().map(directions::about).unwrap_or_default();
    rows.into_iter().chain(told).map(|(k, v)| (k.to_owned(), Safe(&v).to_string())).collect()
}

/// The rows about a generator.
///
/// # Errors
/// When the generator's file can no longer be read.
pub fn model(m: &Loaded) -> Result<Vec<(String, String)>> {
    let s = m.spec();
    let spaces = s.spaces.iter().map(|s| s.name()).collect::<Vec<_>>().join(" ");
    let rows = [
        ("name", s.name.clone()),
        ("family", s.family.clone()),
        ("resolution", format!("{}×{}, {} channels", s.width, s.height, s.channels)),
        ("z, w, c", format!("{}, {}, {}", s.z_dim, s.w_dim, s.c_dim)),
        ("num_ws", s.num_ws.to_string()),
        ("styles", format!("{} in {} layers", s.s_dim(), s.styles.len())),
        ("parameters", s.parameters.to_string()),
        ("spaces", spaces),
        ("directions", m.facts.direction_names()),
        ("encoder", m.encoder_words()?.unwrap_or_else(|| "none".to_owned())),
        (
            "after the encoder",
            match m.facts.companions.as_slice() {
                [] => "none".to_owned(),
                all => all.iter().map(|kind| kind.words()).collect::<Vec<_>>().join(", "),
            },
        ),
        ("fingerprint", s.fingerprint.clone()),
        ("sha256", m.sha256()?.to_owned()),
    ];
    Ok(rows.map(|(k, v)| (k.to_owned(), v)).into())
}
