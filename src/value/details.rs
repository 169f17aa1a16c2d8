//! The details of a value: of an inversion every number with its definition and the loss over the
//! steps, of a table what its names mean, of pictures, masks and codes their whole origin, of a
//! direction what was measured of it.

use super::{Value, describe};
use crate::generator::whitening;
use crate::invert::{Inversion, Trace};
use crate::latent::Code;
use crate::render::{Block, Curve, Number, Numbers, Plot};
use crate::space::Space;

/// The blocks that `:details` shows for a value; `None` for a value that is shown completely.
pub fn details(value: &Value) -> Option<Vec<Block>> {
    match value {
        Value::Inversion(i) => Some(of_inversion(i)),
        Value::Table(t) if !t.definitions.is_empty() => {
            Some(vec![Block::text(t.definitions.iter().cloned())])
        }
        Value::Latent(code) | Value::Path(code) => {
            let mut blocks = vec![Block::text(describe::whole(value))];
            if let Some(norm) = pn_norm(code) {
                blocks.push(Block::Numbers(Numbers { all: vec![norm], defined: true }));
            }
            Some(blocks)
        }
        Value::Image(_) | Value::Mask(_) => Some(vec![Block::text(describe::whole(value))]),
        Value::Direction(d) => Some(vec![Block::Text(describe::direction_details(d))]),
        _ => None,
    }
}

/// The details of the numbers of a result: their definitions; `None` without numbers.
pub fn of_numbers(blocks: &[Block]) -> Option<Vec<Block>> {
    let [Block::Numbers(n)] = blocks else { return None };
    Some(vec![Block::Numbers(Numbers { all: n.all.clone(), defined: true })])
}

fn of_inversion(i: &Inversion) -> Vec<Block> {
    let passes = match i.config.passes_taken() {
        0 => String::new(),
        n => format!(", {n} of them the encoder's"),
    };
    let stopped = i.stopped_at().map(|s| format!(", stopped at step {s}")).unwrap_or_default();
    let (method, space) = (i.config.method.name, i.code.space);
    let head = format!(
        "{method} in {space}, {} steps{passes}{stopped}, {}, seed {}",
        i.steps,
        i.took(),
        i.seed
    );
    let mut blocks = vec![Block::text([head])];
    let mut all = describe::numbers(i).all;
    all.extend(of_codes(i));
    all.extend(pn_norm(&i.code));
    blocks.push(Block::Numbers(Numbers { all, defined: true }));
    for (k, trace) in i.trace.iter().enumerate() {
        let which =
            if i.trace.len() > 1 { format!(" of picture {}", k + 1) } else { String::new() };
        blocks.extend(plot(trace, &which));
    }
    let notes = i.diagnosis.warnings.iter().map(|w| format!("note: {w}"));
    blocks.push(Block::text(notes));
    blocks
}

/// The numbers that describe the codes rather than the pictures.
fn of_codes(i: &Inversion) -> impl Iterator<Item = Number> {
    let number = |name: &str, values: &[f64], definition: &str| Number {
        name: name.into(),
        values: values.to_vec(),
        unit: "σ".into(),
        definition: definition.into(),
    };
    let offsets = i.diagnosis.offsets.as_deref().filter(|o| !o.is_empty()).map(|o| {
        let definition = "root mean square distance of the rows of a W+ code from their mean, in σ \
                          of w; edits stay safe below 0.5";
        number("offsets from W", o, definition)
    });
    let distance = Some(&i.diagnosis.mean_distance[..]).filter(|d| !d.is_empty()).map(|d| {
        let definition = "of the code's mean row, in σ of w; a typical sample has about 1, above \
                          2.5 it lies outside the training";
        number("distance from the mean of w", d, definition)
    });
    let nscd = i.diagnosis.nscd.as_ref().map(|(each, typical)| Number {
        name: "NSCD".into(),
        values: each.clone(),
        unit: String::new(),
        definition: format!(
            "1 − cosine of the styles to their usual direction, averaged over the layers (LSAP, \
             Cao et al. 2022); a typical sample has {typical:.4}, more is edited less safely"
        ),
    });
    offsets.into_iter().chain(distance).chain(nscd)
}

/// The norm of codes of PN and PN+; `None` in other spaces.
fn pn_norm(code: &Code) -> Option<Number> {
    if !matches!(code.space, Space::PN | Space::PNPlus) {
        return None;
    }
    let definition = "√(mean v²) over all numbers of the code; a typical sample of the prior has \
                      about 1";
    Some(Number {
        name: "PN norm".into(),
        values: whitening::norms(code.point()).ok()?,
        unit: String::new(),
        definition: definition.into(),
    })
}

/// The total loss and its weighted terms over the steps.
fn plot(trace: &Trace, which: &str) -> Option<Block> {
    let (first, last) = (trace.steps.first()?, trace.steps.last()?);
    let title = format!("loss{which}, steps {first} to {last}, logarithmic, first → last");
    let whole = trace.terms.iter().map(|row| row.iter().sum()).collect();
    let mut curves = vec![Curve { name: "whole".into(), values: whole }];
    for (k, name) in trace.names.iter().enumerate() {
        let values = trace.terms.iter().filter_map(|row| row.get(k).copied()).collect();
        curves.push(Curve { name: (*name).to_owned(), values });
    }
    Some(Block::Plot(Plot::Curves { title, curves }))
}
