//! What a phase leaves as it is at the points of a batch: kept with each image from step to step.

use super::frozen::{Floor, Frozen, Reached, Read, floor, same};
use super::phase::Phase;
use super::point::{Point, holds, reading, stacked};
use crate::error::Result;
use crate::generator::{Feature, Generator, Tap, codes};
use crate::latent::Part;
use candle_core::Tensor;
use std::rc::Rc;

/// What a phase leaves as it is at a point; computed anew only when a part has changed that the
/// phase does not search.
pub(super) fn below(point: &Point<'_, '_, '_>, phase: &Phase<'_>) -> Result<Rc<Frozen>> {
    let layers = point.problem.run.job.generator.spec().layers.len();
    let floor = floor(phase, layers);
    let parts = still(point, phase)?;
    let known = point.problem.frozen.borrow().clone();
    if known.floor == floor && same(&known.parts, &parts)? {
        return Ok(known);
    }
    let fresh = Rc::new(fresh(point, (parts, floor), phase.unknowns.weights.is_none())?);
    point.problem.frozen.replace(fresh.clone());
    Ok(fresh)
}

/// The pictures of points whose codes change no weights.
pub(super) fn pictures(
    points: &[Point<'_, '_, '_>],
    phase: &Phase<'_>,
    (g, read): (&dyn Generator, Read<'_>),
) -> Result<Tensor> {
    let (parts, space, input) = read;
    let each = points.iter().map(|p| below(p, phase)).collect::<Result<Vec<_>>>()?;
    let pictures = each.iter().filter_map(|b| match &b.reached {
        Some(Reached::Picture(picture)) => Some(picture),
        _ => None,
    });
    let maps = each.iter().filter_map(|b| match &b.reached {
        Some(Reached::Map(feature)) => Some(feature),
        _ => None,
    });
    let (pictures, maps): (Vec<&Tensor>, Vec<&Feature>) = (pictures.collect(), maps.collect());
    if pictures.len() == points.len() {
        return stacked(pictures.into_iter());
    }
    let Some(first) = maps.first().filter(|_| maps.len() == points.len()) else {
        return codes::untuned(g, parts, space, input, phase.tap());
    };
    let sums: Vec<&Tensor> = maps.iter().filter_map(|f| f.picture.as_ref()).collect();
    let feature = Feature {
        layer: first.layer,
        map: stacked(maps.iter().map(|f| &f.map))?,
        picture: if sums.is_empty() { None } else { Some(stacked(sums.into_iter())?) },
        passed: first.passed,
    };
    codes::run_from(g, Some(&feature), read, Tap::Picture)?.only(Tap::Picture)
}

/// What a phase leaves as it is at a point; `alone`: it searches no weights.
fn fresh(
    point: &Point<'_, '_, '_>,
    (parts, floor): (Vec<(Part, Tensor)>, Option<Floor>),
    alone: bool,
) -> Result<Frozen> {
    let run = point.problem.run;
    let mut frozen = Frozen::new(parts, floor);
    let tuned = match point.parts.tune() && (alone || floor.is_some()) {
        true => {
            let changed = codes::changed(run.weights()?, point.parts)?;
            Some(run.job.generator.with_weights(&changed)?)
        }
        false => None,
    };
    let g = tuned.as_deref().unwrap_or(run.job.generator);
    let (space, input) = reading(std::slice::from_ref(point), point.parts)?;
    let read = (point.parts, space, &input);
    frozen.reached = match floor {
        Some(Floor::Layer(layer)) => Some(Reached::Map(codes::unchanged(g, read, layer)?)),
        Some(Floor::Picture) => {
            let picture = codes::untuned(g, point.parts, space, &input, Tap::Picture)?;
            Some(Reached::Picture(picture.detach()))
        }
        None => None,
    };
    frozen.generator = tuned.filter(|_| alone);
    Ok(frozen)
}

/// The parts of a point that a phase does not search.
fn still(point: &Point<'_, '_, '_>, phase: &Phase<'_>) -> Result<Vec<(Part, Tensor)>> {
    let mut all = Vec::new();
    for (part, tensor) in point.parts.iter() {
        if !holds(point, phase, part)? {
            all.push((part, tensor.clone()));
        }
    }
    Ok(all)
}
