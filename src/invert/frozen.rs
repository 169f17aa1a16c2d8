//! What a phase leaves as it is, computed once for each image: the feature map below the first
//! layer that it searches, the picture where it searches nothing of the generator, and a generator
//! whose weights were tuned before.

use super::evaluate::{Point, holds, reading, stacked};
use super::phase::{Layers, Phase, Unknowns};
use crate::error::Result;
use crate::generator::{Feature, Generator, Input, Tap, codes};
use crate::latent::{Part, Parts};
use crate::space::Space;
use candle_core::{DType, Tensor};
use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

/// A code with what the generator reads besides it, as [`codes::run_from`] takes them.
pub(super) type Read<'a> = (&'a Parts, Space, &'a Input);

/// The first place of the synthesis that the unknowns of a phase change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Floor {
    /// A layer: its map, or what comes behind it.
    Layer(usize),
    /// None: the picture stays.
    Picture,
}

/// A point of the synthesis that stays as it is.
enum Reached {
    Map(Feature),
    Picture(Tensor),
}

/// What a phase leaves as it is for one image.
#[derive(Default)]
pub(super) struct Frozen {
    /// The parts that stay, by which a change is seen.
    parts: Vec<(Part, Tensor)>,
    floor: Option<Floor>,
    reached: Option<Reached>,
    /// The generator with the weights of the image, where none is searched.
    pub generator: Option<Arc<dyn Generator>>,
    /// The picture of the code by the generator as it was loaded, where it was asked for.
    untouched: OnceCell<Tensor>,
}

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
    let fresh = Rc::new(Frozen::new(point, (parts, floor), phase.unknowns.weights.is_none())?);
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

impl Frozen {
    fn new(
        point: &Point<'_, '_, '_>,
        (parts, floor): (Vec<(Part, Tensor)>, Option<Floor>),
        alone: bool,
    ) -> Result<Self> {
        let run = point.problem.run;
        let mut frozen = Self { parts, floor, ..Self::default() };
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

    /// The picture of the image, by a generator with its weights.
    pub fn picture(&self, (g, tap): (&dyn Generator, Tap), read: Read<'_>) -> Result<Tensor> {
        let from = match &self.reached {
            Some(Reached::Picture(picture)) => return Ok(picture.clone()),
            Some(Reached::Map(feature)) => Some(feature),
            None => None,
        };
        codes::run_from(g, from, read, tap)?.only(tap)
    }

    /// The picture of the code by the generator as it was loaded: made once where `unknowns` leave
    /// the code and what is read beside it.
    pub fn untouched(
        &self,
        unknowns: Unknowns,
        make: impl FnOnce() -> Result<Tensor>,
    ) -> Result<Tensor> {
        if unknowns.code || unknowns.noise || unknowns.line {
            return make();
        }
        if let Some(known) = self.untouched.get() {
            return Ok(known.clone());
        }
        let fresh = make()?.detach();
        Ok(self.untouched.get_or_init(|| fresh).clone())
    }
}

/// The first place that the unknowns of a phase change, in a generator of so many layers; `None`
/// where that may be any.
fn floor(phase: &Phase<'_>, layers: usize) -> Option<Floor> {
    let u = phase.unknowns;
    let early = u.code || u.noise || u.pose || u.line || u.composed.is_some();
    if early || phase.schedule.w_noise || phase.side.is_some() {
        return None;
    }
    let behind = match u.weights.map(|tuning| tuning.layers) {
        // What follows the map of the layer before them depends on them.
        Some(Layers::FromPicture(k)) if k < layers => Some(layers - k - 1),
        Some(_) => return None,
        None => None,
    };
    let first = u.residual.into_iter().chain(behind).min();
    Some(first.map_or(Floor::Picture, Floor::Layer))
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

/// Whether these are the same parts with the same numbers.
fn same(a: &[(Part, Tensor)], b: &[(Part, Tensor)]) -> Result<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for ((part, x), (other, y)) in a.iter().zip(b) {
        if part != other || !equal(x, y)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether two tensors hold the same numbers. The tensors of a point stay the same ones from step to
/// step, so their numbers are rarely read.
fn equal(a: &Tensor, b: &Tensor) -> Result<bool> {
    if a.id() == b.id() {
        return Ok(true);
    }
    let numbers = |t: &Tensor| t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
    Ok(a.dims() == b.dims() && numbers(a)? == numbers(b)?)
}
