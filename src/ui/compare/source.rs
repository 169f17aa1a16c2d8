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

/// Beginning of the caption of a picture that shows errors.
const ERROR: &str = "error ×";

/// The comparison of named values. Inversions of one picture are compared with it. Of other values
/// the first is the target; an inversion among them is its reconstruction. A single picture is
/// shown alone.
///
/// # Errors
/// For values without a picture, with a hint.
pub fn of_values(values: &[(String, Value)]) -> Result<Comparison> {
    if let Some(all) = of_inversions(values)? {
        return Ok(all);
    }
    let each = values.iter().map(|(name, value)| candidate(name, value));
    let mut all = Comparison::of(each.collect::<Result<_>>()?)?;
    for (c, (_, value)) in all.candidates.iter_mut().zip(&values[1..]) {
        // Numbers of an inversion are those of its own target.
        let own = |i: &Inversion| Ok::<_, Error>(first(&i.target)?.to_rgb()? == all.target);
        if !matches!(value, Value::Inversion(i) if own(i)?) {
            c.numbers.clear();
        }
    }
    all.measure()?;
    Ok(all)
}

/// The comparison of inversions with the picture that all of them reconstruct; `None` for other
/// values. Of several pictures in one inversion the first.
fn of_inversions(values: &[(String, Value)]) -> Result<Option<Comparison>> {
    let (mut target, mut all) = (None, Vec::new());
    for (name, value) in values {
        let Value::Inversion(i) = value else { return Ok(None) };
        let own = first(&i.target)?;
        if *target.get_or_insert_with(|| own.clone()) != own {
            return Ok(None);
        }
        all.push(inverted(name, i)?);
    }
    target.map(|t| Comparison::new("picture", &t, all)).transpose()
}

/// The comparison of the first picture that a result shows with the others; pictures of errors are
/// left out.
///
/// # Errors
/// Without a picture, and when one is too small to be measured.
pub fn of_pictures(all: impl IntoIterator<Item = (String, Raster)>) -> Result<Comparison> {
    let mut all: Vec<(String, Raster)> = all.into_iter().collect();
    all.retain(|(caption, _)| !caption.starts_with(ERROR));
    // Of several inversions the first: the target's caption comes again.
    let again = |(caption, _): &(String, Raster)| *caption == all[0].0 && !caption.is_empty();
    let one = all.iter().skip(1).position(again).map_or(all.len(), |k| k + 1);
    all.truncate(one);
    let named = |(k, (caption, picture)): (usize, (String, Raster))| {
        let number = || format!("picture {}", k + 1);
        Candidate::new(if caption.is_empty() { number() } else { caption }, picture)
    };
    let mut all = Comparison::of(all.into_iter().enumerate().map(named).collect())?;
    all.measure()?;
    Ok(all)
}

fn candidate(name: &str, value: &Value) -> Result<Candidate> {
    match value {
        Value::Image(image) => Ok(Candidate::new(name, first(&image.data)?)),
        Value::Inversion(i) => inverted(name, i),
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

/// The pictures of blocks, with their captions.
pub fn captioned<'b>(
    blocks: impl IntoIterator<Item = &'b Block>,
) -> impl Iterator<Item = (String, Raster)> {
    let pictures = blocks.into_iter().flat_map(|b| match b {
        Block::Pictures(all) => all.as_slice(),
        _ => &[],
    });
    pictures.map(|p| (p.caption.clone(), p.raster.clone()))
}

/// The pictures of results.
pub fn pictures(given: &[Given]) -> Vec<Raster> {
    captioned(blocks(given)).map(|(_, raster)| raster).collect()
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
