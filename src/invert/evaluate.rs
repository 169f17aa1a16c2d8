//! Several images at one point each, evaluated in one pass through a generator.
//!
//! Operators and losses keep images apart to the last bit, so what an image is worth does not
//! depend on the others: a batch is only a faster way to the same numbers.

use super::below::{below, pictures};
use super::degrade::mimicked;
use super::far;
use super::frozen::Frozen;
use super::objective::{Aside, Beside, Loss, OF_WEIGHTS, Objective, normalise};
use super::phase::{Normalise, Phase};
use super::point::{Point, nothing, reading, row, stacked, tuned};
use crate::error::{Error, Result};
use crate::generator::{Generator, Input, Tap, codes};
use crate::latent::{Part, Parts};
use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};
use std::sync::Arc;

/// Loss and gradients at one point.
pub(super) struct Evaluation {
    /// The weighted terms.
    pub terms: Vec<(&'static str, f64)>,
    /// Their sum.
    pub total: f64,
    /// Whether some terms draw pictures of other codes, which not every step does.
    pub draws: bool,
    /// What these terms are worth, where this step drew some.
    pub drawn: Option<f64>,
    /// The code that was evaluated, w noise included, with all that is found beside it.
    pub parts: Parts,
    /// The picture that they make, `[1, C, H, W]`.
    pub picture: Tensor,
    /// Gradients of the unknowns, in the order of the parts; empty unless requested.
    pub gradients: Vec<Tensor>,
}

/// Pairs of pictures of all images, as batches; `None` without any.
fn stacked_pairs(pairs: &[[Tensor; 2]]) -> Result<Option<[Tensor; 2]>> {
    if pairs.is_empty() {
        return Ok(None);
    }
    let of = |k: usize| stacked(pairs.iter().filter_map(|pair| pair.get(k)));
    Ok(Some([of(0)?, of(1)?]))
}

/// The unknowns of a batch as variables, and what the generator reads.
struct Inputs {
    /// The unknowns that are no weights, of all images.
    vars: Vec<(Part, Var)>,
    /// What the generator reads.
    parts: Parts,
    /// The weights that each image changes, by their index: variables where they are searched.
    weights: Vec<Vec<(usize, Var)>>,
    /// Pictures of codes far from each image's and of edited ones, by its own generator, and what
    /// they should be, where the phase looks at them.
    far: Vec<[Tensor; 2]>,
    edited: Vec<[Tensor; 2]>,
}

impl Inputs {
    fn new(points: &[Point<'_, '_, '_>], phase: &Phase<'_>) -> Result<Self> {
        let Some(first) = points.first() else { return Err(nothing()) };
        let mut vars = Vec::new();
        let mut parts = first.parts.clone();
        for (part, _) in first.parts.iter() {
            let t = stacked(points.iter().filter_map(|p| p.parts.get(part)))?;
            // The factors of weights get their gradients from those of the weights.
            if !phase.unknowns.hold(part) || part.tunes() {
                parts.insert(part, t);
                continue;
            }
            let var = Var::from_tensor(&t)?;
            let inside = matches!(part, Part::Noise(_)) && phase.normalise == Normalise::BeforeUse;
            let read = if inside { normalise(&var)? } else { var.as_tensor().clone() };
            parts.insert(part, read);
            vars.push((part, var));
        }
        if vars.is_empty() && phase.unknowns.weights.is_none() {
            return Err(nothing());
        }
        let point = with_w_noise(parts.point().clone(), points, phase)?;
        parts.insert(Part::Point, point);
        Ok(Self { vars, parts, weights: Vec::new(), far: Vec::new(), edited: Vec::new() })
    }

    /// The pictures, by the generator with the weights of each image.
    fn pictures(&mut self, points: &[Point<'_, '_, '_>], phase: &Phase<'_>) -> Result<Tensor> {
        let Some(first) = points.first() else { return Err(nothing()) };
        let (space, input) = reading(points, &self.parts)?;
        let g = first.problem.run.job.generator;
        if !self.parts.tune() {
            return pictures(points, phase, (g, (&self.parts, space, &input)));
        }
        let count = points.len();
        let mut pictures = Vec::with_capacity(count);
        for (i, point) in points.iter().enumerate() {
            let below = below(point, phase)?;
            let (g, vars) = match &below.generator {
                Some(g) => (g.clone(), Vec::new()),
                None => searched(point, phase)?,
            };
            self.weights.push(vars);
            let (parts, input) = (self.parts.slice(i, 1)?, input.slice(i, 1, count)?);
            let picture = below.picture((&*g, phase.tap()), (&parts, space, &input))?;
            self.look_aside((point, phase), (&below, &*g), (&picture, &input))?;
            pictures.push(picture);
        }
        stacked(pictures.iter())
    }

    /// Draws the pictures of other codes that hold tuned weights, where they are due.
    fn look_aside(
        &mut self,
        (point, phase): (&Point<'_, '_, '_>, &Phase<'_>),
        (below, g): (&Frozen, &dyn Generator),
        (picture, input): (&Tensor, &Input),
    ) -> Result<()> {
        let (problem, pivot) = (point.problem, point.parts.point());
        let due = far::due(phase, point.step);
        if due && phase.holds_weights("locality") {
            self.far.push(far::pictures(problem, (pivot, point.step), g, input)?);
        }
        if due && phase.holds_weights("edits") {
            let untouched =
                below.untouched(phase.unknowns, || far::untouched(problem, pivot, input))?;
            let at = (pivot, [picture, &untouched], point.step);
            self.edited.push(far::edited(problem, at, g, input)?);
        }
        Ok(())
    }

    /// The gradients of one image's unknowns, in the order of its parts.
    fn gradients_of(
        &self,
        i: usize,
        point: &Point<'_, '_, '_>,
        found: &Slopes,
    ) -> Result<Vec<Tensor>> {
        let mut all = Vec::new();
        for (part, value) in point.parts.iter() {
            if let Some(k) = self.vars.iter().position(|(own, _)| *own == part) {
                all.extend(found.each.get(k).map(|g| row(g, i)).transpose()?);
                continue;
            }
            let (Part::Delta(weight) | Part::Left(weight) | Part::Right(weight)) = part else {
                continue;
            };
            let vars = self.weights.get(i).map(Vec::as_slice).unwrap_or_default();
            // A weight that an earlier phase has tuned and this one does not search.
            let Some((_, var)) = vars.iter().find(|(k, _)| *k == weight) else { continue };
            let slope = found.of(var)?;
            // The change is left · right, so its factors have the gradients G · rightᵀ and leftᵀ · G.
            let matrix = |rows: usize| slope.reshape((1, rows, slope.elem_count() / rows.max(1)));
            let factor = |part: Part| {
                point
                    .parts
                    .get(part)
                    .ok_or_else(|| Error::runtime("a factor of a weight is missing"))
            };
            all.push(match part {
                Part::Left(w) => {
                    let right = factor(Part::Right(w))?;
                    matrix(value.dim(1)?)?.matmul(&right.t()?)?
                }
                Part::Right(w) => {
                    let left = factor(Part::Left(w))?;
                    left.t()?.matmul(&matrix(left.dim(1)?)?)?
                }
                _ => slope.reshape(value.dims())?,
            });
        }
        Ok(all)
    }
}

/// A generator, and those of its weights that are searched as variables, by their index.
type Searched = (Arc<dyn Generator>, Vec<(usize, Var)>);

/// The generator with the weights that an image has changed.
fn searched(point: &Point<'_, '_, '_>, phase: &Phase<'_>) -> Result<Searched> {
    let run = point.problem.run;
    let own = run.weights()?;
    let (mut changed, mut vars) = (codes::changed(own, point.parts)?, Vec::new());
    if let Some(tuning) = phase.unknowns.weights {
        let searched = tuned(point, tuning.layers)?;
        for (k, name) in own.keys().enumerate().filter(|(k, _)| searched.contains(k)) {
            let Some(weight) = changed.get_mut(name) else { continue };
            let var = Var::from_tensor(weight)?;
            *weight = var.as_tensor().clone();
            vars.push((k, var));
        }
    }
    Ok((run.job.generator.with_weights(&changed)?, vars))
}

/// Evaluates the loss at every point, with gradients on request; `objective` compares with the
/// points' targets, in their order. All points have the same parts.
pub(super) fn evaluate(
    points: &[Point<'_, '_, '_>],
    (phase, objective): (&Phase<'_>, &Objective<'_>),
    gradients: bool,
) -> Result<Vec<Evaluation>> {
    let mut inputs = Inputs::new(points, phase)?;
    let picture = inputs.pictures(points, phase)?;
    let noise: Vec<Tensor> = match phase.unknowns.noise {
        true => inputs.parts.noise().into_iter().cloned().collect(),
        false => Vec::new(),
    };
    let done: Vec<f64> = points.iter().map(|p| p.step as f64 / phase.steps.max(1) as f64).collect();
    let residual = phase.unknowns.residual.and_then(|l| inputs.parts.get(Part::Residual(l)));
    let seen = match inputs.parts.get(Part::Corruption) {
        Some(parameters) => mimicked(&picture, parameters)?,
        None => picture.clone(),
    };
    let (far, edited) = (stacked_pairs(&inputs.far)?, stacked_pairs(&inputs.edited)?);
    let aside = Aside { far: far.as_ref(), edited: edited.as_ref(), times: far::EVERY as f64 };
    let beside = Beside { noise: &noise, residual, aside };
    let terms = objective.loss(&seen, &inputs.parts.located()?, beside, &done)?;
    let scale = loss_scale(&picture);
    let slopes = if gradients { Some(slopes(&terms, &inputs.vars, scale)?) } else { None };
    let numbers = fetched(&terms)?;
    let (parts, picture) = (inputs.parts.map(|_, t| Ok(t.detach()))?, picture.detach());
    let draws = OF_WEIGHTS.iter().any(|term| phase.holds_weights(term));
    let of_weights = |(name, _): &&(&'static str, f64)| OF_WEIGHTS.contains(name);
    let one = |(i, point): (usize, &Point<'_, '_, '_>)| -> Result<Evaluation> {
        let terms: Vec<_> = numbers
            .iter()
            .map(|(name, each)| (*name, each.get(i).map_or(f64::NAN, |v| f64::from(*v))))
            .collect();
        Ok(Evaluation {
            total: terms.iter().map(|(_, v)| v).sum(),
            draws,
            drawn: (draws && far::due(phase, point.step))
                .then(|| terms.iter().filter(of_weights).map(|(_, v)| v).sum()),
            terms,
            parts: parts.map(|_, t| row(t, i))?,
            picture: row(&picture, i)?,
            gradients: match &slopes {
                Some(slopes) => inputs.gradients_of(i, point, slopes)?,
                None => Vec::new(),
            },
        })
    };
    points.iter().enumerate().map(one).collect()
}

/// The pictures of points, whole or on the way, without gradients.
pub(super) fn synthesize(points: &[Point<'_, '_, '_>], parts: &Parts, tap: Tap) -> Result<Tensor> {
    let Some(first) = points.first() else { return Err(nothing()) };
    let (space, input) = reading(points, parts)?;
    codes::tapped(first.problem.run.job.generator, parts, space, &input, tap)
}

/// The numbers of all terms, for every image. The only time in a step that a GPU is waited for:
/// once, and after all its work was given to it.
fn fetched(terms: &[Loss]) -> Result<Vec<(&'static str, Vec<f32>)>> {
    let values = terms
        .iter()
        .map(|(_, value)| value.to_dtype(DType::F32))
        .collect::<candle_core::Result<Vec<_>>>()?;
    let rows =
        if values.is_empty() { Vec::new() } else { Tensor::stack(&values, 0)?.to_vec2::<f32>()? };
    Ok(terms.iter().map(|(name, _)| *name).zip(rows).collect())
}

/// Loss scale for gradients that pass a network in f16, where the gradients of a mean over all
/// pixels underflow: about the number of values of a picture, rounded to a power of two so that
/// results stay exact. 1 elsewhere.
fn loss_scale(pictures: &Tensor) -> f64 {
    let values = pictures.elem_count() / pictures.dims().first().map_or(1, |n| (*n).max(1));
    if crate::tensor::halves(pictures.device()) { values.next_power_of_two() as f64 } else { 1.0 }
}

/// Gradients of the sum of all terms.
struct Slopes {
    /// Those of the variables of all images, in their order.
    each: Vec<Tensor>,
    grads: GradStore,
    scale: f64,
}

impl Slopes {
    /// The gradient of a variable; 0 where the loss does not depend on it.
    fn of(&self, var: &Var) -> Result<Tensor> {
        match self.grads.get(var) {
            Some(g) if self.scale == 1.0 => Ok(g.detach()),
            Some(g) => Ok((g.detach() / self.scale)?),
            None => Ok(var.zeros_like()?),
        }
    }
}

/// Gradients of the sum of all terms. The loss of one image does not depend on the other images, so
/// each gradient belongs to its own image.
fn slopes(terms: &[Loss], vars: &[(Part, Var)], scale: f64) -> Result<Slopes> {
    let mut sum: Option<Tensor> = None;
    for (_, value) in terms {
        sum = Some(match sum {
            Some(s) => (s + value)?,
            None => value.clone(),
        });
    }
    let sum = sum.ok_or_else(nothing)?.sum_all()?;
    let grads = if scale == 1.0 { sum } else { (sum * scale)? }.backward()?;
    let mut slopes = Slopes { each: Vec::new(), grads, scale };
    slopes.each = vars.iter().map(|(_, var)| slopes.of(var)).collect::<Result<_>>()?;
    Ok(slopes)
}

/// The fading noise of the schedule, where there is any.
fn with_w_noise(code: Tensor, points: &[Point<'_, '_, '_>], phase: &Phase<'_>) -> Result<Tensor> {
    let drawn = points
        .iter()
        .map(|p| p.problem.w_noise(phase, p.step))
        .collect::<Result<Vec<Option<Tensor>>>>()?;
    let Some(some) = drawn.iter().flatten().next() else { return Ok(code) };
    // Images that were resumed may be further than others.
    let none = some.zeros_like()?;
    Ok((code + stacked(drawn.iter().map(|n| n.as_ref().unwrap_or(&none)))?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_scaled_loss_gives_the_same_gradients_and_all_terms_are_read() {
        let numbers = |n: usize| (1..=n).map(|i| 0.37 * i as f32).collect::<Vec<f32>>();
        let vars =
            [(2, 3), (2, 1)].map(|s| Var::from_vec(numbers(s.0 * s.1), s, &Device::Cpu).unwrap());
        let named: Vec<_> = vars.iter().map(|v| (Part::Point, v.clone())).collect();
        let (squares, unused) =
            (vars[0].sqr().unwrap().mean(1).unwrap(), vars[0].abs().unwrap().mean(1).unwrap());
        let terms: Vec<Loss> = vec![("squares", squares), ("size", (unused * 1e-9).unwrap())];
        let bits = |scale: f64| -> Vec<Vec<u32>> {
            let found = slopes(&terms, &named, scale).unwrap();
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            found.each.iter().map(|t| flat(t).into_iter().map(f32::to_bits).collect()).collect()
        };
        assert_eq!(bits(1.0), bits(f64::from(1 << 22)), "a power of two changes exponents alone");
        assert!(
            bits(1.0)[0].iter().all(|b| *b != 0) && bits(1.0)[1] == [0, 0],
            "an unused map has no gradient"
        );
        let read = fetched(&terms).unwrap();
        assert_eq!(
            read.iter().map(|(name, each)| (*name, each.len())).collect::<Vec<_>>(),
            [("squares", 2), ("size", 2)]
        );
        assert_eq!(read[0].1, terms[0].1.to_vec1::<f32>().unwrap());
        assert!(fetched(&[]).unwrap().is_empty());
        assert_eq!(
            loss_scale(&Tensor::zeros((2, 3, 8, 8), DType::F32, &Device::Cpu).unwrap()),
            1.0
        );
    }
}
