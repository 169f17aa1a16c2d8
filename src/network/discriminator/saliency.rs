//! Where a discriminator looks.

use super::{Discriminator, resize_to};
use crate::error::{Error, Result};
use candle_core::{Tensor, Var};

/// Places along each side of the map of a discriminator without attention at most: as many as the
/// attention of SAGAN reads from.
const PLACES: usize = 16;

/// How much each place of pictures counts for the discriminator; the mean is 1.
///
/// With self-attention: how much all places read from it (Daras et al. 2020, "Your Local GAN").
/// Others have no such map; there it is the size of the slope of the score into the pixels of the
/// place (Simonyan et al. 2013), which asks the same: where a change would change the judgement.
/// The energy of features would answer another question, where there is texture.
///
/// # Shapes
/// pictures `[N, C, H, W]`, labels `[N, c_dim]` → `[N, 1, h, w]`, at most 16×16 without attention.
///
/// # Errors
/// As `judge` of the discriminator.
pub fn saliency(
    d: &dyn Discriminator,
    pictures: &Tensor,
    labels: Option<&Tensor>,
) -> Result<Tensor> {
    let var = Var::from_tensor(&pictures.detach())?;
    let judged = d.judge(&var, labels)?;
    let map = match judged.attention {
        Some(map) => map.detach(),
        None => {
            let slopes = judged.score.sum_all()?.backward()?;
            let slope = slopes.get(&var).ok_or_else(|| {
                Error::runtime("the score of the discriminator does not depend on the picture")
            })?;
            let (_, _, h, w) = slope.dims4()?;
            resize_to(&slope.detach().abs()?.sum_keepdim(1)?, h.min(PLACES), w.min(PLACES))?
        }
    };
    // Where nothing counts, all places count alike.
    let least = f64::from(f32::MIN_POSITIVE);
    let mean = (map.flatten_from(1)?.mean(1)? + least)?.reshape(((), 1, 1, 1))?;
    Ok((map + least)?.broadcast_div(&mean)?)
}
