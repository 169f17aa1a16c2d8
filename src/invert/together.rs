//! Unknowns that all pictures share: their loss is the mean over the pictures, so all pictures take
//! the same steps of them.

use super::evaluate::Evaluation;
use super::phase::Phase;
use crate::error::{Error, Result};
use crate::latent::{Part, Parts};
use candle_core::Tensor;

/// Joins the evaluations of pictures whose point has these parts, where they share unknowns: each
/// gets the mean loss, and its slopes. The trace keeps the terms of each picture.
///
/// Every picture then has the same optimizer state for what is shared, to the last bit, although
/// each keeps its own.
pub(super) fn join(phase: &Phase<'_>, parts: &Parts, found: &mut [Evaluation]) -> Result<()> {
    if !phase.unknowns.line || found.is_empty() {
        return Ok(());
    }
    let count = found.len() as f64;
    let mean = found.iter().map(|e| e.total).sum::<f64>() / count;
    found.iter_mut().for_each(|e| e.total = mean);
    let unknown = parts.iter().map(|(part, _)| part).filter(|part| phase.unknowns.hold(*part));
    let unknown: Vec<Part> = unknown.collect();
    if found.iter().any(|e| e.gradients.len() != unknown.len()) {
        // An evaluation for its loss alone.
        return Ok(());
    }
    for (k, part) in unknown.into_iter().enumerate() {
        if phase.unknowns.share(part) {
            let sum = summed(found.iter().filter_map(|e| e.gradients.get(k)))?;
            let mean = (sum / count)?;
            found.iter_mut().for_each(|e| e.gradients[k] = mean.clone());
        } else {
            for e in found.iter_mut() {
                e.gradients[k] = (&e.gradients[k] / count)?;
            }
        }
    }
    Ok(())
}

fn summed<'t>(mut all: impl Iterator<Item = &'t Tensor>) -> Result<Tensor> {
    let first = all.next().ok_or_else(|| Error::runtime("there is no picture"))?;
    all.try_fold(first.clone(), |sum, next| Ok((sum + next)?))
}
