//! Comparisons of values and of results.

use super::model::{Candidate, Comparison, written};
use crate::error::{Error, Kind, Result};
use crate::image::Raster;
use crate::invert::Inversion;
use crate::render::{Block, Cell};
use crate::safe::Safe;
use crate::session::Given;
use crate::value::Value;
use candle_core::Tensor;

/// The comparison of an inversion: its target, and what it made of it. Of several pictures the
/// first.
///
/// # Errors
/// When a picture cannot be read.
pub fn of_inversion(name: &str, i: &Inversion) -> Result<Comparison> {
    let candidate = inverted(name, i)?;
    Comparison::new("picture", &first(&i.target)?, vec![candidate])
}

/// The comparison of named values. A single inversion is compared with its own picture. Of several
/// values the first is the target; an inversion among them is its reconstruction.
///
/// # Errors
/// For values that are no pictures, and for a single picture, with a hint.
pub fn of_values(values: &[(String, Value)]) -> Result<Comparison> {
    if let [(name, Value::Inversion(i))] = values {
        return of_inversion(name, i);
    }
    let all = values.iter().map(|(name, value)| candidate(name, value));
    let mut all = Comparison::of(all.collect::<Result<_>>()?)?;
    all.measure()?;
    Ok(all)
}

fn candidate(name: &str, value: &Value) -> Result<Candidate> {
    match value {
        Value::Image(image) => Ok(Candidate::new(name, first(&image.data)?)),
        // Its own numbers are those of its own target.
        Value::Inversion(i) => Ok(Candidate { numbers: Vec::new(), ..inverted(name, i)? }),
        Value::Latent(_) => {
            Err(Error::new(Kind::Usage, format!("{} is a code, not a picture", Safe(name)))
                .hint(format!("p = render({0}), then :view with p", Safe(name))))
        }
        _ => Err(Error::new(Kind::Usage, format!("{} is no picture", Safe(name)))
            .hint("name pictures and inversions")),
    }
}

fn inverted(name: &str, i: &Inversion) -> Result<Candidate> {
    let mut all = Candidate::new(name, first(&i.reconstruction)?);
    all.numbers = i.numbers.iter().map(|n| (n.name.clone(), written(n.value, &n.unit))).collect();
    if let Some(trace) = i.trace.first() {
        all.curve = trace.terms.iter().map(|row| row.iter().sum()).collect();
    }
    all.remarks.push(format!(
        "{} in {}, {} steps, {}",
        i.config.method.name,
        i.code.space,
        i.steps,
        i.took()
    ));
    if let Some(offsets) = i.diagnosis.offsets.as_deref().filter(|o| !o.is_empty()) {
        let mean = offsets.iter().sum::<f64>() / offsets.len() as f64;
        all.remarks.push(format!("offsets from W {mean:.2} σ"));
    }
    all.remarks.extend(i.diagnosis.warnings.iter().map(ToString::to_string));
    Ok(all)
}

fn first(pictures: &Tensor) -> Result<Raster> {
    let one = Raster::from_tensor(&pictures.narrow(0, 0, 1)?)?;
    one.into_iter().next().ok_or_else(|| Error::runtime("there is no picture"))
}

/// The blocks of results.
fn blocks(given: &[Given]) -> impl Iterator<Item = &Block> {
    given.iter().flat_map(|g| match g {
        Given::Value(blocks, _) => blocks.as_slice(),
        _ => &[],
    })
}

/// The pictures of results.
pub fn pictures(given: &[Given]) -> Vec<Raster> {
    let pictures = blocks(given).flat_map(|b| match b {
        Block::Pictures(all) => all.as_slice(),
        _ => &[],
    });
    pictures.map(|p| p.raster.clone()).collect()
}

/// The tables of `measure`, each as names and values.
pub fn measured(given: &[Given]) -> Vec<Vec<(String, String)>> {
    let tables = blocks(given).filter_map(|b| match b {
        Block::Table(t) => Some(t),
        _ => None,
    });
    let row = |row: &Vec<Cell>| match row.as_slice() {
        [Cell::Text(name), Cell::Number(value, _), ..] => {
            let unit = if name == "psnr" { "dB" } else { "" };
            Some((name.clone(), written(*value, unit)))
        }
        _ => None,
    };
    tables.map(|t| t.rows.iter().filter_map(row).collect()).collect()
}
