//! Several images at one point each, evaluated in one pass through the generator.
//!
//! Operators and losses keep images apart to the last bit, so what an image is worth does not
//! depend on the others: a batch is only a faster way to the same numbers.

use super::problem::{Problem, noise_of};
use super::{Objective, PictureLoss, Term};
use crate::error::{Error, Result};
use crate::generator::{Input, spaces};
use crate::space::Space;
use candle_core::{DType, Tensor, Var};

/// Where one image of the batch stands.
#[derive(Clone, Copy)]
pub(super) struct Point<'b, 'a> {
    pub problem: &'b Problem<'a>,
    /// Code (not in N) and noise maps, each `[1, …]`.
    pub params: &'b [Tensor],
    pub step: usize,
}

/// What a point is worth.
pub(super) struct Evaluation {
    /// The weighted terms.
    pub terms: Vec<(&'static str, f64)>,
    /// Their sum.
    pub total: f64,
    /// The code that was evaluated, w noise included, `[1, …]`.
    pub code: Tensor,
    /// The picture it makes, `[1, C, H, W]`.
    pub picture: Tensor,
    /// Gradients in the parameters' order; empty when none were asked for.
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

/// The loss at every point, with gradients when asked for; `loss` compares with the points'
/// targets, in their order.
pub(super) fn evaluate(
    points: &[Point<'_, '_>],
    loss: &PictureLoss<'_>,
    gradients: bool,
) -> Result<Vec<Evaluation>> {
    let nothing = || Error::runtime("there is nothing to search");
    let first = points.first().ok_or_else(nothing)?;
    let vars = (0..first.params.len())
        .map(|i| Ok(Var::from_tensor(&stacked(points.iter().filter_map(|p| p.params.get(i)))?)?))
        .collect::<Result<Vec<Var>>>()?;
    let tracked: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let fixed = points.iter().filter_map(|p| p.problem.fixed.as_ref()).collect::<Vec<_>>();
    let (code, searched) = match (fixed.is_empty(), tracked.split_first()) {
        (false, _) => (stacked(fixed.into_iter())?, &tracked[..]),
        (true, Some((code, maps))) => (code.clone(), maps),
        (true, None) => return Err(nothing()),
    };
    let code = with_w_noise(code, points)?;
    let maps = if searched.is_empty() { given_maps(points)? } else { searched.to_vec() };
    let (picture, read) = synthesize(points, &code, &maps)?;
    let terms = loss.loss(&picture, &read, searched)?;
    let found = if gradients { slopes(&terms, &vars, loss_scale(&picture))? } else { Vec::new() };
    let numbers = fetched(&terms)?;
    let (code, picture) = (code.detach(), picture.detach());
    let one = |i: usize| -> Result<Evaluation> {
        let terms: Vec<_> = numbers
            .iter()
            .map(|(name, each)| (*name, each.get(i).map_or(f64::NAN, |v| f64::from(*v))))
            .collect();
        Ok(Evaluation {
            total: terms.iter().map(|(_, v)| v).sum(),
            terms,
            code: row(&code, i)?,
            picture: row(&picture, i)?,
            gradients: found.iter().map(|g| row(g, i)).collect::<Result<_>>()?,
        })
    };
    (0..points.len()).map(one).collect()
}

/// The numbers of all terms, for every image. The only time in a step that a GPU is waited for:
/// once, and after all its work was given to it.
fn fetched(terms: &[Term]) -> Result<Vec<(&'static str, Vec<f32>)>> {
    let values = terms
        .iter()
        .map(|(_, value)| value.to_dtype(DType::F32))
        .collect::<candle_core::Result<Vec<_>>>()?;
    let rows =
        if values.is_empty() { Vec::new() } else { Tensor::stack(&values, 0)?.to_vec2::<f32>()? };
    Ok(terms.iter().map(|(name, _)| *name).zip(rows).collect())
}

/// Image `i` of a batch, without the rest of it in memory.
fn row(batch: &Tensor, i: usize) -> Result<Tensor> {
    match batch.dim(0)? {
        1 => Ok(batch.clone()),
        _ => Ok(batch.narrow(0, i, 1)?.force_contiguous()?),
    }
}

/// By how much the loss is scaled while gradients pass a network in f16, where a mean over all
/// pixels has gradients too small for it: about the number of values of a picture, a power of two,
/// so that nothing else changes. 1 elsewhere.
fn loss_scale(pictures: &Tensor) -> f64 {
    let values = pictures.elem_count() / pictures.dims().first().map_or(1, |n| (*n).max(1));
    if crate::tensor::halves(pictures.device()) { values.next_power_of_two() as f64 } else { 1.0 }
}

/// The gradients of all terms together: each image's are of its own loss, as no other depends on
/// its numbers.
fn slopes(terms: &[Term], vars: &[Var], scale: f64) -> Result<Vec<Tensor>> {
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

/// The projector's fading noise, where there is any.
fn with_w_noise(code: Tensor, points: &[Point<'_, '_>]) -> Result<Tensor> {
    let drawn = points
        .iter()
        .map(|p| p.problem.w_noise(p.step))
        .collect::<Result<Vec<Option<Tensor>>>>()?;
    let Some(some) = drawn.iter().flatten().next() else { return Ok(code) };
    // Images that were resumed may be further than others.
    let none = some.zeros_like()?;
    Ok((code + stacked(drawn.iter().map(|n| n.as_ref().unwrap_or(&none)))?)?)
}

/// The noise maps that came with the start codes; none where the generator's own are used.
fn given_maps(points: &[Point<'_, '_>]) -> Result<Vec<Tensor>> {
    let count = points.first().map_or(0, |p| p.problem.given_maps.len());
    (0..count).map(|i| stacked(points.iter().filter_map(|p| p.problem.given_maps.get(i)))).collect()
}

/// The pictures of codes, and the codes as the synthesis network reads them: `[N, num_ws, w_dim]`,
/// in S `[N, s_dim]`.
pub(super) fn synthesize(
    points: &[Point<'_, '_>],
    code: &Tensor,
    maps: &[Tensor],
) -> Result<(Tensor, Tensor)> {
    let Some(Point { problem, .. }) = points.first() else {
        return Err(Error::runtime("no image to make"));
    };
    let generator = problem.job.generator;
    let labels: Vec<&Tensor> = points.iter().filter_map(|p| p.problem.labels.as_ref()).collect();
    let labels = if labels.is_empty() { None } else { Some(stacked(labels.into_iter())?) };
    let input = Input { noise: noise_of(maps), labels, ..Input::default() };
    let space = match (problem.config.space, code.rank()) {
        (Space::N, 3) => Space::WPlus,
        (Space::N, _) => Space::W,
        (space, _) => space,
    };
    let (space, read) = spaces::synthesised(generator, code, space, &input)?;
    Ok((spaces::picture(generator, &read, space, &input)?, read))
}

/// One pass of the encoder for every point: its code after it. In W, where there is one row for all
/// layers, the rows of the pass are averaged.
pub(super) fn refine(points: &[Point<'_, '_>], at: &[&Evaluation]) -> Result<Vec<Tensor>> {
    let encoder = points.first().and_then(|p| p.problem.job.encoder);
    let encoder = encoder.ok_or_else(|| Error::runtime("there is no encoder"))?;
    let targets = stacked(points.iter().map(|p| &p.problem.picture))?;
    let code = stacked(at.iter().map(|e| &e.code))?;
    let delta = encoder.pass(&targets, &stacked(at.iter().map(|e| &e.picture))?)?.detach(); // [NLD]
    let delta = if code.rank() == 2 { delta.mean(1)? } else { delta };
    if delta.dims() != code.dims() {
        let (name, given) = (crate::safe::Safe(encoder.name()), delta.dims());
        return Err(Error::runtime(format!(
            "{name} gives {given:?}, the code is {:?}",
            code.dims()
        ))
        .hint("use the encoder of this generator, or method: optimize"));
    }
    let moved = (code + delta)?;
    (0..points.len()).map(|i| row(&moved, i)).collect()
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
        let terms: Vec<Term> = vec![("squares", squares), ("size", (unused * 1e-9).unwrap())];
        let bits = |scale: f64| -> Vec<Vec<u32>> {
            let found = slopes(&terms, &vars, scale).unwrap();
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            found.iter().map(|t| flat(t).into_iter().map(f32::to_bits).collect()).collect()
        };
        assert_eq!(bits(1.0), bits(f64::from(1 << 22)), "a power of two changes exponents alone");
        assert!(
            bits(1.0)[0].iter().all(|b| *b != 0) && bits(1.0)[1] == [0, 0],
            "what no term reads has no slope"
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
