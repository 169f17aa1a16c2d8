//! Codes far from the one whose weights are tuned, and their pictures: what PTI's locality
//! regularisation compares (Roich et al. 2021, section 3.3).

use super::problem::Problem;
use crate::error::Result;
use crate::generator::{Generator, Input, Tap, codes, spaces};
use crate::latent::Parts;
use crate::space::Space;
use candle_core::{Device, Tensor};

/// How far from the pivot the codes are, over all their rows; the official `regulizer_alpha`.
const DISTANCE: f64 = 30.0;
/// Truncation of the samples towards which they lie.
const PSI: f64 = 0.5;

/// The pictures of a code far from `pivot` `[1, …]`, each `[1, C, H, W]`: by the tuned generator,
/// with gradients into its weights, and by the untouched one. Every step draws a code of its own.
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
    let z = problem.rng(&format!("far code {step}")).normals(g.spec().z_dim);
    let z = Tensor::from_vec(z, (1, g.spec().z_dim), &Device::Cpu)?.to_device(g.device())?;
    if !matches!(space, Space::W | Space::WPlus) {
        return spaces::rise(g, &z, (Space::Z, space), input);
    }
    let w = spaces::rise(g, &z, (Space::Z, Space::W), input)?;
    let w = spaces::truncate(&w, &problem.run.prior.w()?.mean, PSI, None)?;
    spaces::rise(g, &w, (Space::W, space), input)
}
