//! Several codes with all that was found for them: in between two, and as one batch.

use super::gains;
use super::parts::{Part, Parts};
use crate::error::{Error, Result};
use candle_core::Tensor;
use std::collections::BTreeSet;

impl Parts {
    /// What was found with two codes, in between: `(1 − t) · a + t · b`, where what one of them
    /// lacks is 0. So a picture goes from one to the other without a jump, also where their weights
    /// were tuned (Xia et al., equation 17). Changes of low rank are put side by side, which is
    /// exact. A noise map that one of them lacks stays as it is. The point and the labels are those
    /// of `self`.
    ///
    /// # Errors
    /// When two parts of one name have different shapes.
    pub fn between(&self, other: &Self, t: f64) -> Result<Self> {
        // The ends are exact.
        if t == 0.0 || t == 1.0 {
            let end = if t == 0.0 { self } else { other };
            let found = end.iter().filter(|(part, _)| part.found());
            let mut parts = self.clone().without_found();
            parts.extend(found.map(|(part, tensor)| (part, tensor.clone())));
            return Ok(parts);
        }
        let mut parts = self.clone().without_found();
        let both = gains::alike(&[self.clone(), other.clone()])?;
        let [one, two] = &both[..] else { return Err(Error::runtime("two codes are mixed")) };
        let all: BTreeSet<Part> = one.iter().chain(two.iter()).map(|(part, _)| part).collect();
        for part in all.into_iter().filter(|part| part.found()) {
            let mixed = match (part, one.get(part), two.get(part)) {
                (_, None, None) => continue,
                (Part::GainRight, Some(right), _) | (Part::GainRight, None, Some(right)) => {
                    right.clone()
                }
                (Part::Noise(_), Some(one), None) | (Part::Noise(_), None, Some(one)) => {
                    one.clone()
                }
                (Part::Right(_), Some(one), None) | (Part::Right(_), None, Some(one)) => {
                    one.clone()
                }
                (Part::Left(_), Some(a), Some(b)) => beside(&(a * (1.0 - t))?, &(b * t)?, 2)?,
                (Part::Right(_), Some(a), Some(b)) => beside(a, b, 1)?,
                (_, Some(a), None) => (a * (1.0 - t))?,
                (_, None, Some(b)) => (b * t)?,
                (_, Some(a), Some(b)) => (a * (1.0 - t))?.broadcast_add(&(b * t)?)?,
            };
            parts.insert(part, mixed);
        }
        Ok(parts)
    }

    /// Several codes as one batch. What one of them lacks of residuals and changes of weights is 0,
    /// and factors of a lower rank are filled up with 0. The labels are those of the first.
    ///
    /// # Errors
    /// When there is no code, when some have noise maps that others lack, and when two parts of one
    /// name have different shapes.
    pub fn gathered(all: &[Self]) -> Result<Self> {
        let all = &gains::alike(all)?[..];
        let Some(first) = all.first() else { return Err(Error::runtime("no codes to gather")) };
        let mut gathered =
            Self::of(Tensor::cat(&all.iter().map(Self::point).collect::<Vec<_>>(), 0)?);
        gathered.extend(first.labels().map(|labels| (Part::Labels, labels.clone())));
        let names: BTreeSet<Part> = all.iter().flat_map(Self::iter).map(|(part, _)| part).collect();
        for part in names.into_iter().filter(|part| part.found()) {
            let own = all.iter().filter_map(|parts| parts.get(part));
            if matches!(part, Part::Noise(_)) && own.clone().count() < all.len() {
                return Err(Error::runtime(
                    "some of these codes have noise maps, others have none",
                )
                .hint("invert all of them with `noise: true`, or all without"));
            }
            // The axis of the rank, where the part is a factor.
            let axis = match part {
                Part::Left(_) => Some(2),
                Part::Right(_) => Some(1),
                _ => None,
            };
            if part == Part::GainRight {
                gathered.extend(own.take(1).map(|right| (part, right.clone())));
                continue;
            }
            let Some(widest) = own.max_by_key(|t| axis.map_or(0, |a| t.dims()[a])) else {
                continue;
            };
            let each = all.iter().map(|parts| -> Result<Tensor> {
                let one = match parts.get(part) {
                    Some(t) => t.clone(),
                    None => widest.narrow(0, 0, 1)?.zeros_like()?,
                };
                let filled = match axis {
                    Some(a) => one.pad_with_zeros(a, 0, widest.dim(a)? - one.dim(a)?)?,
                    None => one,
                };
                match (filled.dim(0)?, parts.count()) {
                    (1, n) if n > 1 => Ok(filled.repeat(n)?),
                    _ => Ok(filled),
                }
            });
            let each = each.collect::<Result<Vec<_>>>()?;
            gathered.insert(part, Tensor::cat(&each, 0)?);
        }
        Ok(gathered)
    }
}

/// Two factors side by side, for codes of which some may share one.
fn beside(a: &Tensor, b: &Tensor, dim: usize) -> Result<Tensor> {
    let n = a.dim(0)?.max(b.dim(0)?);
    let all = |t: &Tensor| if t.dim(0)? == n { Ok(t.clone()) } else { t.repeat((n, 1, 1)) };
    Ok(Tensor::cat(&[all(a)?, all(b)?], dim)?)
}
