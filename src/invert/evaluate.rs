//! Several images at one point each, evaluated in one pass through a generator.
//!
//! Operators and losses keep images apart to the last bit, so what an image is worth does not
//! depend on the others: a batch is only a faster way to the same numbers.

use super::objective::{Loss, Objective, normalise};
use super::phase::{Normalise, Phase};
use super::problem::Problem;
use crate::error::{Error, Result};
use crate::generator::{Generator, Input, Noise, spaces};
use candle_core::{DType, Tensor, Var};

/// Position of one image of the batch in the search.
#[derive(Clone, Copy)]
pub(super) struct Point<'b, 'r, 'a> {
    pub problem: &'b Problem<'r, 'a>,
    /// The generator; images whose weights were tuned have their own.
    pub generator: &'b dyn Generator,
    /// The code, `[1, …]`.
    pub code: &'b Tensor,
    /// Noise maps, each `[1, 1, H, W]`; the generator's own where there are none.
    pub maps: &'b [Tensor],
    /// Steps of the phase that are done.
    pub step: usize,
}

/// Loss and gradients at one point.
pub(super) struct Evaluation {
    /// The weighted terms.
    pub terms: Vec<(&'static str, f64)>,
    /// Their sum.
    pub total: f64,
    /// The code that was evaluated, w noise included, `[1, …]`.
    pub code: Tensor,
    /// The noise maps that were evaluated.
    pub maps: Vec<Tensor>,
    /// The picture that they make, `[1, C, H, W]`.
    pub picture: Tensor,
    /// Gradients of the unknowns, the code's first; empty unless requested.
    pub gradients: Vec<Tensor>,
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

/// The unknowns of a batch as variables, and what the generator reads.
struct Inputs {
    /// The unknowns, the code first.
    vars: Vec<Var>,
    code: Tensor,
    maps: Vec<Tensor>,
    /// Whether the maps are unknowns.
    searched: bool,
}

impl Inputs {
    fn new(points: &[Point<'_, '_, '_>], phase: &Phase<'_>) -> Result<Self> {
        let mut vars = Vec::new();
        let mut unknown = |t: Tensor, searched: bool| -> Result<Tensor> {
            if !searched {
                return Ok(t);
            }
            let var = Var::from_tensor(&t)?;
            vars.push(var.clone());
            Ok(var.as_tensor().clone())
        };
        let code = unknown(stacked(points.iter().map(|p| p.code))?, phase.unknowns.code)?;
        let count = points.first().map_or(0, |p| p.maps.len());
        let searched = phase.unknowns.noise && count > 0;
        let mut maps = Vec::with_capacity(count);
        for i in 0..count {
            let all = stacked(points.iter().filter_map(|p| p.maps.get(i)))?;
            let map = unknown(all, searched)?;
            let inside = searched && phase.normalise == Normalise::BeforeUse;
            maps.push(if inside { normalise(&map)? } else { map });
        }
        if vars.is_empty() {
            return Err(Error::runtime("there is nothing to search"));
        }
        let code = with_w_noise(code, points, phase)?;
        Ok(Self { vars, code, maps, searched })
    }
}

/// Evaluates the loss at every point, with gradients on request; `objective` compares with the
/// points' targets, in their order. All points share a generator.
pub(super) fn evaluate(
    points: &[Point<'_, '_, '_>],
    (phase, objective): (&Phase<'_>, &Objective<'_>),
    gradients: bool,
) -> Result<Vec<Evaluation>> {
    let inputs = Inputs::new(points, phase)?;
    let picture = synthesize(points, &inputs.code, &inputs.maps)?;
    let noise = if inputs.searched { &inputs.maps[..] } else { &[] };
    let done: Vec<f64> = points.iter().map(|p| p.step as f64 / phase.steps.max(1) as f64).collect();
    let terms = objective.loss(&picture, &inputs.code, noise, &done)?;
    let scale = loss_scale(&picture);
    let found = if gradients { slopes(&terms, &inputs.vars, scale)? } else { Vec::new() };
    let numbers = fetched(&terms)?;
    let (code, picture) = (inputs.code.detach(), picture.detach());
    let maps: Vec<Tensor> = inputs.maps.iter().map(Tensor::detach).collect();
    let one = |i: usize| -> Result<Evaluation> {
        let terms: Vec<_> = numbers
            .iter()
            .map(|(name, each)| (*name, each.get(i).map_or(f64::NAN, |v| f64::from(*v))))
            .collect();
        Ok(Evaluation {
            total: terms.iter().map(|(_, v)| v).sum(),
            terms,
            code: row(&code, i)?,
            maps: maps.iter().map(|m| row(m, i)).collect::<Result<_>>()?,
            picture: row(&picture, i)?,
            gradients: found.iter().map(|g| row(g, i)).collect::<Result<_>>()?,
        })
    };
    (0..points.len()).map(one).collect()
}

/// The pictures of codes, by the generator of the first point.
pub(super) fn synthesize(
    points: &[Point<'_, '_, '_>],
    code: &Tensor,
    maps: &[Tensor],
) -> Result<Tensor> {
    let Some(first) = points.first() else {
        return Err(Error::runtime("no image to make"));
    };
    let labels: Vec<&Tensor> = points.iter().filter_map(|p| p.problem.labels.as_ref()).collect();
    let labels = if labels.is_empty() { None } else { Some(stacked(labels.into_iter())?) };
    let space = first.problem.code_space(code);
    let noise = if maps.is_empty() { Noise::Const } else { Noise::Maps(maps.to_vec()) };
    let input = Input { noise, labels, ..Input::default() };
    spaces::picture(first.generator, code, space, &input)
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

/// Gradients of the sum of all terms. The loss of one image does not depend on the other images, so
/// each gradient belongs to its own image.
fn slopes(terms: &[Loss], vars: &[Var], scale: f64) -> Result<Vec<Tensor>> {
    let mut sum: Option<Tensor> = None;
    for (_, value) in terms {
        sum = Some(match sum {
            Some(s) => (s + value)?,
            None => value.clone(),
        });
    }
    let Some(sum) = sum else { return Ok(Vec::new()) };
    let scaled = |t: Tensor, by: f64| if by == 1.0 { Ok(t) } else { t * by };
    let grads = scaled(sum.sum_all()?, scale)?.backward()?;
    let of = |v: &Var| match grads.get(v) {
        Some(g) => Ok(scaled(g.detach(), 1.0 / scale)?),
        None => Ok(v.zeros_like()?),
    };
    vars.iter().map(of).collect()
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
        let (squares, unused) =
            (vars[0].sqr().unwrap().mean(1).unwrap(), vars[0].abs().unwrap().mean(1).unwrap());
        let terms: Vec<Loss> = vec![("squares", squares), ("size", (unused * 1e-9).unwrap())];
        let bits = |scale: f64| -> Vec<Vec<u32>> {
            let found = slopes(&terms, &vars, scale).unwrap();
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            found.iter().map(|t| flat(t).into_iter().map(f32::to_bits).collect()).collect()
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
