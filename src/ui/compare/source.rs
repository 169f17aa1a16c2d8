//! Comparisons of values and of results.

use super::model::{Candidate, Comparison, written};
use crate::error::{Error, Kind, Result};
use crate::image::Raster;
use crate::invert::Inversion;
use crate::render::{self, Block, Cell};
use crate::safe::Safe;
use crate::session::Given;
use crate::value::{Table, Value};
use candle_core::Tensor;
use std::sync::Arc;

/// Beginning of the caption of a picture that shows errors.
const ERROR: &str = "error ×";

/// The comparison of named values. Inversions of one picture are compared with it, and so is every
/// rung of a ladder. Of other values the first is the target; an inversion among them is its
/// reconstruction. A single picture is shown alone.
///
/// # Errors
/// For values without a picture, with a hint.
pub fn of_values(values: &[(String, Value)]) -> Result<Comparison> {
    let mut found = Vec::new();
    for (name, value) in values {
        match value {
            Value::Table(t) if !t.found.is_empty() => {
                found.extend(rungs(name, t, values.len() == 1)?)
            }
            Value::Inversion(i) => found.push((inverted(name, i)?, Some(first(&i.target)?))),
            _ => found.push((candidate(name, value)?, None)),
        }
    }
    if let Some(mut all) = of_one_target(&mut found)? {
        if values.iter().all(|(_, value)| matches!(value, Value::Table(_))) {
            all.kind = RUNG.into();
        }
        return Ok(all);
    }
    let (candidates, targets): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let mut all = Comparison::of(candidates)?;
    for (c, own) in all.candidates.iter_mut().zip(&targets[1..]) {
        // Numbers of an inversion are those of its own target.
        let same = |own: &Raster| Ok::<_, Error>(own.to_rgb()? == all.target);
        if !own.as_ref().map_or(Ok(false), same)? {
            c.numbers.clear();
        }
    }
    all.measure()?;
    Ok(all)
}

/// Whether [`of_values`] takes a value as it is, with what it has beside its picture.
pub fn is_compared(value: &Value) -> bool {
    match value {
        Value::Table(table) => !table.found.is_empty(),
        Value::Inversion(_) => true,
        // Of several, each is a picture of its own.
        Value::Image(image) => image.dims()[0] == 1,
        _ => false,
    }
}

/// What a candidate of a ladder is called.
const RUNG: &str = "rung";

/// A candidate, and the picture that it reconstructs.
type Found = (Candidate, Option<Raster>);

/// The comparison with the picture that all of them reconstruct; `None` where they have none, or
/// several.
fn of_one_target(found: &mut Vec<Found>) -> Result<Option<Comparison>> {
    let Some((_, Some(target))) = found.first() else { return Ok(None) };
    if found.iter().any(|(_, own)| own.as_ref() != Some(target)) {
        return Ok(None);
    }
    let target = target.clone();
    let all = std::mem::take(found).into_iter().map(|(c, _)| c).collect();
    Comparison::new("picture", &target, all).map(Some)
}

/// The inversions that a table is about, with the numbers of its rows. They are called as the
/// rungs where the table is shown `alone`.
fn rungs(name: &str, table: &Table, alone: bool) -> Result<Vec<Found>> {
    let block = table.block();
    let rung = |(row, i): (&Vec<Cell>, &Arc<Inversion>)| {
        let rung = row.first().map(Cell::shown).unwrap_or_default();
        let name = if alone { rung } else { format!("{name}[{rung}]") };
        let numbers = numbers(&block, row);
        Ok((Candidate { numbers, ..inverted(&name, i)? }, Some(first(&i.target)?)))
    };
    block.rows.iter().zip(&table.found).map(rung).collect()
}

/// The numbers of a row, with their names and units.
fn numbers(table: &render::Table, row: &[Cell]) -> Vec<(String, String)> {
    let cells = table.columns.iter().zip(row).skip(1);
    let number = |(name, cell): (&String, &Cell)| match cell {
        Cell::Number(..) => {
            let value = format!("{} {}", cell.shown(), unit(name)).trim_end().to_owned();
            Some((name.clone(), value))
        }
        Cell::Text(_) => None,
    };
    cells.filter_map(number).collect()
}

/// The unit of a number of a table, by its name.
fn unit(name: &str) -> &'static str {
    match name {
        "psnr" => "dB",
        "offset" | "distance" => "σ",
        _ => "",
    }
}

/// The comparison of the first picture that a result shows with the others; pictures of errors are
/// left out. A table of the result with a row for each of the others, named by the beginning of its
/// caption, has their numbers: that of a ladder.
///
/// # Errors
/// Without a picture, and when one is too small to be measured.
pub fn of_pictures(
    all: impl IntoIterator<Item = (String, Raster)>,
    tables: &[render::Table],
) -> Result<Comparison> {
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
    if let Some(table) = tables.iter().find(|t| is_about(t, &all.candidates)) {
        all.kind = table.columns.first().cloned().unwrap_or_default();
        for (c, row) in all.candidates.iter_mut().zip(&table.rows) {
            c.name = row.first().map(Cell::shown).unwrap_or_default();
            c.numbers = numbers(table, row);
        }
    }
    all.measure()?;
    Ok(all)
}

/// Whether the rows of a table are called as the candidates.
fn is_about(table: &render::Table, candidates: &[Candidate]) -> bool {
    let named = |(row, c): (&Vec<Cell>, &Candidate)| match row.first() {
        Some(Cell::Text(name)) => c.name.split(' ').next() == Some(name),
        _ => false,
    };
    !candidates.is_empty()
        && table.rows.len() == candidates.len()
        && table.rows.iter().zip(candidates).all(named)
}

fn candidate(name: &str, value: &Value) -> Result<Candidate> {
    match value {
        Value::Image(image) => Ok(Candidate::new(name, first(&image.data)?)),
        Value::Latent(_) => {
            Err(Error::new(Kind::Usage, format!("{} is a code, not a picture", Safe(name)))
                .hint(format!("p = render({0}), then :view with p", Safe(name))))
        }
        _ => Err(Error::new(Kind::Usage, format!("{} is no picture", Safe(name)))
            .hint("name pictures, inversions and ladders")),
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

/// The tables of blocks.
pub fn tabled<'b>(blocks: impl IntoIterator<Item = &'b Block>) -> Vec<render::Table> {
    let table = |b: &Block| match b {
        Block::Table(t) => Some(t.clone()),
        _ => None,
    };
    blocks.into_iter().filter_map(table).collect()
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
            Some((name.clone(), written(*value, unit(name))))
        }
        _ => None,
    };
    tables.map(|t| t.rows.iter().filter_map(row).collect()).collect()
}
