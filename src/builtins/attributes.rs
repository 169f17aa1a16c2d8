//! `attributes`: readings of a picture.

use super::shared;
use crate::builtin::{
    Args, Builtin, Category, CheckedCall, Context, Example, Param, Signature, Type,
};
use crate::error::{Error, Result};
use crate::metric::{Finding, Level};
use crate::value::{Cell, Table, Value};
use std::sync::Arc;

/// `attributes(x)`
pub const BUILTIN: Builtin = Builtin {
    signature: Signature {
        name: "attributes",
        params: &[Param::required(
            "x",
            shared::params::PICTURES,
            "pictures, an inversion (its reconstruction) or codes (rendered)",
        )],
        returns: "Table",
        infer,
    },
    category: Category::Measure,
    summary: "attributes of a picture: age, smile, pose, hair, glasses, landmarks",
    details: "Read by the attribute network that comes with the generator, in the units of its \
              training labels. A category \
              shows its most probable class and the probability in brackets, landmarks are x, y in \
              pixels of the picture. \
              Numbers can pass the ends of their range a little. Several pictures give a column \
              each. `attributes(x)[\"glasses\"]` is one number. `identity(a, b)` compares the people.",
    examples: &[
        Example { code: "attributes(sample(seed: 1))", note: "the table" },
        Example { code: "attributes(sample(seed: 1))[\"glasses\"]", note: "one number of it" },
    ],
    cost: None,
    cache: None,
    definition: None,
    run,
};

/// The error of a generator without an attribute network.
pub(super) fn none(name: &str) -> Error {
    Error::check(format!("{} has no attribute network", crate::safe::Safe(name)))
        .hint("load \"faces\", or a folder that holds attributes.safetensors beside the generator")
}

fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    match shared::model_of(call, "x") {
        Some(m) if !m.perceptual => Err(none(&m.name).at(call.span)),
        _ => Ok(Type::Table),
    }
}

fn run(args: &Args, ctx: &mut Context<'_>) -> Result<Value> {
    let pictures = args.images("x", ctx)?;
    let model = pictures.model.as_ref().and_then(|id| ctx.models.loaded(id));
    let model = match &model {
        Some(m) => m,
        None => ctx.model()?,
    };
    let network = model.features()?.ok_or_else(|| none(&model.facts.name).at(args.span))?;
    let found = network.read(&pictures.data).map_err(|e| e.at(args.span("x")))?;
    let config = network.config();
    let about = format!(
        "read by {} of {} at {}²; a class with its probability in brackets, probabilities as such",
        network.name(),
        model.facts.name,
        config.input_resolution
    );
    Ok(Value::Table(Arc::new(table(&found, about))))
}

/// A row an attribute, a column a picture.
pub(super) fn table(found: &[Vec<Finding>], about: String) -> Table {
    let mut columns = vec!["name".to_owned()];
    match found.len() {
        1 => columns.push("value".into()),
        n => columns.extend((0..n).map(|i| format!("#{i}"))),
    }
    columns.push("unit".into());
    let names = found.first().map(Vec::as_slice).unwrap_or_default();
    let row = |(i, first): (usize, &Finding)| {
        let values = found.iter().filter_map(|f| f.get(i)).map(cell);
        let ends = [Cell::Text(first.name.clone()), Cell::Text(first.unit.clone())];
        let [name, unit] = ends;
        std::iter::once(name).chain(values).chain([unit]).collect()
    };
    let rows = names.iter().enumerate().map(row).collect();
    Table { columns, rows, definitions: vec![about], ..Table::default() }
}

fn cell(found: &Finding) -> Cell {
    match &found.level {
        // A regression can pass the ends of its range, which a share does not have.
        Level::Number(v) if found.unit.starts_with("share") => Cell::Number(v.clamp(0.0, 1.0), 3),
        Level::Number(v) => Cell::Number(*v, if v.abs() < 10.0 { 3 } else { 1 }),
        Level::Probability(p) => Cell::Number(*p, 3),
        Level::Class { name, probability } => Cell::Text(format!("{name} ({probability:.2})")),
        Level::Vector(v) => {
            let digits = if v.iter().any(|x| x.abs() >= 10.0) { 1 } else { 2 };
            Cell::Text(v.iter().map(|x| format!("{x:.digits$}")).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(name: &str, level: Level) -> Finding {
        Finding { name: name.into(), level, unit: "u".into() }
    }

    #[test]
    fn a_class_reads_as_a_word() {
        let one = vec![
            finding("age", Level::Number(31.26)),
            finding("hair", Level::Class { name: "bob01".into(), probability: 0.934 }),
            finding("hair_rgb", Level::Vector(vec![0.5, 0.25, 0.126])),
            finding("eye_left", Level::Vector(vec![40.24, 9.0])),
        ];
        let t = table(std::slice::from_ref(&one), String::new());
        assert_eq!(t.columns, ["name", "value", "unit"]);
        let value = |i: usize| t.rows[i][1].clone();
        assert_eq!(value(0), Cell::Number(31.26, 1));
        assert_eq!(value(1), Cell::Text("bob01 (0.93)".into()));
        assert_eq!(value(2), Cell::Text("0.50, 0.25, 0.13".into()));
        assert_eq!(value(3), Cell::Text("40.2, 9.0".into()));
        let share =
            |v| Finding { unit: "share of shapes".into(), ..finding("s", Level::Number(v)) };
        assert_eq!(cell(&share(-0.137)), Cell::Number(0.0, 3));
        assert_eq!(cell(&share(1.072)), Cell::Number(1.0, 3));
        assert_eq!(table(&[one.clone(), one], String::new()).columns, ["name", "#0", "#1", "unit"]);
    }
}
