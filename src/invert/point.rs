//! Where the images of a batch are in their searches, what the generator reads there, and which of
//! its weights are searched.

use super::phase::{Layers, Phase};
use super::problem::Problem;
use crate::error::{Error, Result};
use crate::generator::{self, Input, Noise, Tap, codes};
use crate::latent::{Part, Parts};
use crate::space::Space;
use candle_core::{DType, Tensor};
use std::rc::Rc;

/// Position of one image of the batch in the search.
#[derive(Clone, Copy)]
pub(super) struct Point<'b, 'r, 'a> {
    pub problem: &'b Problem<'r, 'a>,
    /// The code with all that is found beside it, each part `[1, …]`. Without noise maps the
    /// generator's own are used.
    pub parts: &'b Parts,
    /// Steps of the phase that are done.
    pub step: usize,
}

/// One tensor `[N, …]` of N tensors `[1, …]`.
pub(super) fn stacked<'t>(parts: impl Iterator<Item = &'t Tensor>) -> Result<Tensor> {
    let all: Vec<&Tensor> = parts.collect();
    match all[..] {
        [one] => Ok(one.clone()),
        _ => Ok(Tensor::cat(&all, 0)?),
    }
}

/// Image `i` of a batch, without the rest of it in memory.
pub(super) fn row(batch: &Tensor, i: usize) -> Result<Tensor> {
    match batch.dim(0)? {
        1 => Ok(batch.clone()),
        _ => Ok(batch.narrow(0, i, 1)?.force_contiguous()?),
    }
}

pub(super) fn nothing() -> Error {
    Error::runtime("there is nothing to search")
}

/// The space of the codes of a batch, and what the generator reads besides them.
pub(super) fn reading(points: &[Point<'_, '_, '_>], parts: &Parts) -> Result<(Space, Input)> {
    let Some(first) = points.first() else { return Err(nothing()) };
    let labels = labels_of(points.iter().map(|p| p.problem))?;
    Ok((first.problem.run.code_space(parts.point()), read_by(parts, labels)))
}

/// The labels of some images, `[N, c_dim]`; `None` without labels.
pub(super) fn labels_of<'p, 'r: 'p, 'a: 'r>(
    problems: impl Iterator<Item = &'p Problem<'r, 'a>>,
) -> Result<Option<Tensor>> {
    let each: Vec<&Tensor> = problems.filter_map(|p| p.labels.as_ref()).collect();
    if each.is_empty() { Ok(None) } else { stacked(each.into_iter()).map(Some) }
}

/// What the generator reads besides codes: their noise maps, and labels.
pub(super) fn read_by(parts: &Parts, labels: Option<Tensor>) -> Input {
    let maps: Vec<Tensor> = parts.noise().into_iter().cloned().collect();
    let noise = if maps.is_empty() { Noise::Const } else { Noise::Maps(maps) };
    Input { noise, labels, ..Input::default() }
}

/// The weights of these layers, by their index. They are decided by the layers, not by numbers: the
/// same for all images.
pub(super) fn tuned(point: &Point<'_, '_, '_>, layers: Layers) -> Result<Rc<[usize]>> {
    let run = point.problem.run;
    if let Some(known) = run.tuned.borrow().get(&layers) {
        return Ok(known.clone());
    }
    let count = run.job.generator.spec().layers.len();
    let before = |k: usize| match k.min(count) {
        0 => Ok(Vec::new()),
        k => reached(point, Tap::Layer(k - 1)),
    };
    let found: Rc<[usize]> = match layers {
        Layers::FromInput(k) if k < count => before(k)?.into(),
        Layers::FromPicture(k) if k < count => {
            let (all, others) = (reached(point, Tap::Picture)?, before(count - k)?);
            all.into_iter().filter(|i| !others.contains(i)).collect()
        }
        _ => reached(point, Tap::Picture)?.into(),
    };
    run.tuned.borrow_mut().insert(layers, found.clone());
    Ok(found)
}

/// Whether a phase searches a part of a point.
pub(super) fn holds(point: &Point<'_, '_, '_>, phase: &Phase<'_>, part: Part) -> Result<bool> {
    let weight = match part {
        Part::Delta(i) | Part::Left(i) | Part::Right(i) => i,
        _ => return Ok(phase.unknowns.hold(part)),
    };
    match phase.unknowns.weights {
        Some(tuning) => Ok(tuned(point, tuning.layers)?.contains(&weight)),
        None => Ok(false),
    }
}

/// The weights that a place of the synthesis depends on at this point, by their index: the picture,
/// or the map of a layer with what is summed up of the picture until there.
fn reached(point: &Point<'_, '_, '_>, tap: Tap) -> Result<Vec<usize>> {
    let run = point.problem.run;
    let (space, input) = reading(std::slice::from_ref(point), point.parts)?;
    let changed = codes::changed(run.weights()?, point.parts)?;
    let g = run.job.generator.with_weights(&changed)?;
    let (g, vars) = generator::tuned(&*g, &|_| true)?;
    let mut found = codes::run_untuned(&*g, point.parts, space, &input, tap)?;
    let features = std::mem::take(&mut found.features).into_iter();
    let seen = features.flat_map(|f| [Some(f.map), f.picture]).chain([found.picture]);
    let mut sum = Tensor::zeros((), DType::F32, g.device())?;
    for tensor in seen.flatten() {
        sum = (sum + tensor.to_dtype(DType::F32)?.sqr()?.sum_all()?)?;
    }
    let grads = sum.backward()?;
    let with = vars.iter().enumerate().filter(|(_, (_, var))| grads.get(var).is_some());
    Ok(with.map(|(i, _)| i).collect())
}
