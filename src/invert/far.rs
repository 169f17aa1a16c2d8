//! Codes beside the one whose weights are tuned, and their pictures: far ones, which PTI's locality
//! regularisation compares (Roich et al. 2021, section 3.3), and edited ones.

use super::phase::Phase;
use super::problem::Problem;
use crate::error::Result;
use crate::generator::{Generator, Input, Tap, codes, spaces};
use crate::latent::Parts;
use crate::rng::Rng;
use crate::space::Space;
use candle_core::{Device, Tensor};

/// Steps between two that look at other codes; the one that does weighs for all (lazy
/// regularisation, Karras et al. 2020; PTI's official code has such an interval as well).
pub(super) const EVERY: usize = 4;
/// How far from the pivot the codes are, over all their rows; the official `regulizer_alpha`.
const DISTANCE: f64 = 30.0;
/// Truncation of the samples towards which they lie.
const PSI: f64 = 0.5;
/// How far edits move a code, in the distance of two samples: the strengths that people use lie in
/// this range for the directions of the built-in generator.
const EDITS: [f64; 2] = [0.1, 0.5];

/// Whether a step of a phase looks at other codes; the last point of a phase is judged by all
/// terms.
pub(super) fn due(phase: &Phase<'_>, step: usize) -> bool {
    step.is_multiple_of(EVERY) || step >= phase.steps
}

/// The pictures of a code far from `pivot` `[1, …]`, each `[1, C, H, W]`: by the tuned generator,
/// with gradients into its weights, and by the untouched one. A step has a code of its own.
///
/// # Errors
/// When a tensor operation fails.
pub(super) fn pictures(
    problem: &Problem<'_, '_>,
    (pivot, step): (&Tensor, usize),
    tuned: &dyn Generator,
    input: &Input,
) -> Result<[Tensor; 2]> {
    let (own, space) = (problem.run.job.generator, problem.run.code_space(pivot));
    let sample = sample(problem, step, (space, input))?;
    // A code of W is one row for all layers.
    let rows = if space == Space::W { own.spec().num_ws } else { 1 };
    let distance = DISTANCE / (rows.max(1) as f64).sqrt();
    let parts = Parts::of(towards(&pivot.detach(), &sample, distance)?);
    let picture = |g: &dyn Generator| codes::untuned(g, &parts, space, input, Tap::Picture);
    Ok([picture(tuned)?, picture(own)?.detach()])
}

/// The picture of the code `pivot` `[1, …]` by the untouched generator, `[1, C, H, W]`.
///
/// # Errors
/// When a tensor operation fails.
pub(super) fn untouched(
    problem: &Problem<'_, '_>,
    pivot: &Tensor,
    input: &Input,
) -> Result<Tensor> {
    let (own, space) = (problem.run.job.generator, problem.run.code_space(pivot));
    codes::untuned(own, &Parts::of(pivot.detach()), space, input, Tap::Picture)
}

/// The picture of a random edit of the code `pivot` `[1, …]`, and what it should be: `picture`,
/// that of the code itself, changed as the untouched generator changes its own, `before`. Each
/// `[1, C, H, W]`, the first with gradients into the tuned weights. The edit is a part of the way
/// between two samples, and a step has one of its own.
///
/// # Errors
/// When a tensor operation fails.
pub(super) fn edited(
    problem: &Problem<'_, '_>,
    (pivot, [picture, before], step): (&Tensor, [&Tensor; 2], usize),
    tuned: &dyn Generator,
    input: &Input,
) -> Result<[Tensor; 2]> {
    let (own, space) = (problem.run.job.generator, problem.run.code_space(pivot));
    let mut rng = problem.rng(&format!("edit {step}"));
    let [from, to] =
        [sampled(problem, &mut rng, (space, input))?, sampled(problem, &mut rng, (space, input))?];
    let share = EDITS[0] + (EDITS[1] - EDITS[0]) * rng.uniform();
    let moved = (pivot.detach() + ((to - from)? * share)?)?;
    let picture_of = |g: &dyn Generator, code: &Tensor| {
        codes::untuned(g, &Parts::of(code.clone()), space, input, Tap::Picture)
    };
    let change = (picture_of(own, &moved)? - before)?;
    Ok([picture_of(tuned, &moved)?, (picture + change)?.detach()])
}

/// A sample in a space, not truncated.
fn sampled(
    problem: &Problem<'_, '_>,
    rng: &mut Rng,
    (space, input): (Space, &Input),
) -> Result<Tensor> {
    let g = problem.run.job.generator;
    let dim = g.spec().z_dim;
    let z = Tensor::from_vec(rng.normals(dim), (1, dim), &Device::Cpu)?.to_device(g.device())?;
    spaces::rise(g, &z, (Space::Z, space), input)
}

/// A code on the way from the pivot `w_p` to a sample `w_z`: `w_p + d · (w_z − w_p)/‖w_z − w_p‖`
/// for a distance `d`; the sample itself where that is nearer, so that generators with shorter
/// codes are not left.
///
/// # Errors
/// When the sizes differ.
pub(super) fn towards(pivot: &Tensor, sample: &Tensor, distance: f64) -> Result<Tensor> {
    let way = (sample - pivot)?;
    let length = f64::from(way.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?);
    let share = (distance / length.max(f64::MIN_POSITIVE)).min(1.0);
    Ok((pivot + (way * share)?)?)
}

/// The sample of a step, truncated where there is a W.
fn sample(
    problem: &Problem<'_, '_>,
    step: usize,
    (space, input): (Space, &Input),
) -> Result<Tensor> {
    let g = problem.run.job.generator;
    let mut rng = problem.rng(&format!("far code {step}"));
    if !matches!(space, Space::W | Space::WPlus) {
        return sampled(problem, &mut rng, (space, input));
    }
    let w = sampled(problem, &mut rng, (Space::W, input))?;
    let w = spaces::truncate(&w, &problem.run.prior.w()?.mean, PSI, None)?;
    spaces::rise(g, &w, (Space::W, space), input)
}
