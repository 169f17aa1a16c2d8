//! What of a picture the generator reaches: its domain (Cao et al., "What Decreases Editing
//! Capability? Domain-Specific Hybrid Refinement for Improved GAN Inversion", 2023).

use super::phase::Region;
use crate::error::Result;
use crate::image::superpixels::slic;
use candle_core::{Device, Tensor};

/// Superpixels of a picture.
const REGIONS: usize = 200;
/// Mean squared error in [-1, 1] up to which a superpixel is reached: a PSNR of 20 dB.
const REACHED: f64 = 0.04;

/// The superpixels of the target in which the picture is near it: 1 there, 0 elsewhere.
///
/// # Shapes
/// picture and target `[1, C, H, W]` → `[1, 1, H, W]`
///
/// # Errors
/// When a picture cannot be read.
pub(super) fn reached(picture: &Tensor, target: &Tensor) -> Result<Tensor> {
    let (_, _, height, width) = target.dims4()?;
    let label = slic(target, REGIONS)?;
    let error = (picture - target)?.sqr()?.mean(1)?.to_device(&Device::Cpu)?;
    let error = error.flatten_all()?.to_vec1::<f32>()?;
    let mut sums: Vec<(f64, usize)> = vec![(0.0, 0); label.iter().max().map_or(0, |k| k + 1)];
    for (k, e) in label.iter().zip(error) {
        if let Some((sum, count)) = sums.get_mut(*k) {
            (*sum, *count) = (*sum + f64::from(e), *count + 1);
        }
    }
    let near = |k: &usize| {
        sums.get(*k).is_some_and(|(sum, count)| *sum <= REACHED * (*count).max(1) as f64)
    };
    let mask: Vec<f32> = label.iter().map(|k| if near(k) { 1.0 } else { 0.0 }).collect();
    Ok(Tensor::from_vec(mask, (1, 1, height, width), &Device::Cpu)?.to_device(target.device())?)
}

/// The weights of the pixels of a region, given the domain; `None` where all count.
///
/// # Errors
/// When a tensor operation fails.
pub(super) fn weights(region: Region, domain: &Tensor) -> Result<Option<Tensor>> {
    Ok(match region {
        Region::All => None,
        Region::Reached => Some(domain.clone()),
        Region::Missed => Some((1.0 - domain)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture that is right on its left half alone.
    #[test]
    fn what_is_near_the_target_is_reached() {
        let side = 64;
        let target: Vec<f32> =
            (0..3 * side * side).map(|i| if i % side < side / 2 { 0.3 } else { -0.5 }).collect();
        let target = Tensor::from_vec(target, (1, 3, side, side), &Device::Cpu).unwrap();
        let picture = (target.zeros_like().unwrap() + 0.3).unwrap();
        let domain = reached(&picture, &target).unwrap();
        let columns = domain.mean(2).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(columns[..side / 2].iter().all(|v| *v == 1.0), "{columns:?}");
        assert!(columns[side / 2..].iter().all(|v| *v == 0.0), "{columns:?}");
        let missed = weights(Region::Missed, &domain).unwrap().unwrap();
        let sum = (missed + weights(Region::Reached, &domain).unwrap().unwrap()).unwrap();
        assert!(sum.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|v| *v == 1.0));
        assert!(weights(Region::All, &domain).unwrap().is_none());
    }
}
