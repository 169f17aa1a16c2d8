//! A surrogate of a degradation that is not known (MimicGAN, Anirudh et al. 2020).
//!
//! It can move, turn and scale the picture (an affine map, bilinear, the border continued), blur or
//! sharpen it (one filter of seven taps a side for all channels), and change its colours (an affine
//! map of the channels), in this order. Its few parameters are offsets from doing nothing: it can
//! mimic what happens to the whole picture, and cannot draw what the generator does not. White
//! noise needs no surrogate: it moves no minimum of a squared error on average.

use crate::error::Result;
use candle_core::{DType, Device, Tensor};

/// Parameters of the affine map of places.
const MOVE: usize = 6;
/// Taps of the filter along a side.
const TAPS: usize = 7;
/// The side of the pictures in which neighbouring taps are neighbouring pixels; in larger ones they
/// are further apart.
const SIDE: usize = 128;

/// Parameters for pictures of so many channels.
pub fn size(channels: usize) -> usize {
    MOVE + 2 * TAPS + channels * channels + channels
}

/// The pictures after a surrogate of that many parameters; 0 in all of them changes nothing.
///
/// # Shapes
/// pictures `[N, C, H, W]`, parameters `[N, size(C)]` → `[N, C, H, W]`
///
/// # Errors
/// When a tensor operation fails.
pub fn mimicked(pictures: &Tensor, parameters: &Tensor) -> Result<Tensor> {
    let channels = pictures.dim(1)?;
    let part = |from: usize, len: usize| parameters.narrow(1, from, len);
    let moved = moved(pictures, &part(0, MOVE)?)?;
    let rows = filtered(&moved, &part(MOVE, TAPS)?, 2)?;
    let blurred = filtered(&rows, &part(MOVE + TAPS, TAPS)?, 3)?;
    let from = MOVE + 2 * TAPS;
    let mixed = part(from, channels * channels)?.reshape(((), channels, channels))?;
    coloured(&blurred, &mixed, &part(from + channels * channels, channels)?)
}

/// The pictures read at `(1 + A)·place + b`, with A and b from six parameters, `[N, 6]`; places are
/// in [-1, 1] over each side.
fn moved(pictures: &Tensor, by: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = pictures.dims4()?;
    let place = |i: usize, side: usize| (2 * i + 1) as f32 / side as f32 - 1.0;
    let places = |f: &dyn Fn(usize) -> f32| -> Result<Tensor> {
        let all: Vec<f32> = (0..h * w).map(f).collect();
        Ok(Tensor::from_vec(all, (1, h * w), &Device::Cpu)?.to_device(pictures.device())?)
    };
    let (across, down) = (places(&|i| place(i % w, w))?, places(&|i| place(i / w, h))?);
    let number = |k: usize| by.narrow(1, k, 1); // [N1]
    let read = |own: &Tensor, k: usize| -> Result<Tensor> {
        let all = across.broadcast_mul(&number(k)?)?;
        let all = (all + down.broadcast_mul(&number(k + 1)?)?)?;
        Ok(all.broadcast_add(&number(k + 2)?)?.broadcast_add(own)?)
    };
    let (x, y) = (whole(&read(&across, 0)?, w)?, whole(&read(&down, 3)?, h)?);
    let index = ((&y.0 * w as f64)? + &x.0)?;
    let flat = pictures.reshape((n, c, h * w))?;
    let at = |dx: usize, dy: usize| -> Result<Tensor> {
        let index = (&index + (dy * w + dx) as f64)?.to_dtype(DType::U32)?;
        let index = index.unsqueeze(1)?.broadcast_as((n, c, h * w))?.contiguous()?;
        Ok(flat.gather(&index, 2)?)
    };
    let between = |a: Tensor, b: Tensor, share: &Tensor| -> Result<Tensor> {
        Ok((&a + (b - &a)?.broadcast_mul(&share.unsqueeze(1)?)?)?)
    };
    let above = between(at(0, 0)?, at(usize::from(w > 1), 0)?, &x.1)?;
    let lower = usize::from(h > 1);
    let below = between(at(0, lower)?, at(usize::from(w > 1), lower)?, &x.1)?;
    Ok(between(above, below, &y.1)?.reshape((n, c, h, w))?)
}

/// Places in [-1, 1] as the pixel before them and the share of the way to the next one.
fn whole(place: &Tensor, side: usize) -> Result<(Tensor, Tensor)> {
    let at = ((((place + 1.0)? * side as f64)? - 1.0)? / 2.0)?;
    let at = at.clamp(0.0, side.saturating_sub(1) as f64)?;
    let before = at.detach().floor()?.minimum(side.saturating_sub(2) as f64)?;
    let share = (at - &before)?;
    Ok((before, share))
}

/// The pictures filtered along an axis with the border continued; the taps are offsets, `[N, 7]`,
/// from the filter that changes nothing.
fn filtered(pictures: &Tensor, taps: &Tensor, axis: usize) -> Result<Tensor> {
    let side = pictures.dim(axis)?;
    let apart = (side / SIDE).max(1);
    let reach = TAPS / 2 * apart;
    let padded = pictures.pad_with_same(axis, reach, reach)?;
    let mut sum = pictures.clone();
    for k in 0..TAPS {
        let tap = taps.narrow(1, k, 1)?.reshape(((), 1, 1, 1))?;
        sum = (sum + padded.narrow(axis, k * apart, side)?.broadcast_mul(&tap)?)?;
    }
    Ok(sum)
}

/// The pictures with their channels mixed by `1 + M` and a constant added.
fn coloured(pictures: &Tensor, mixed: &Tensor, added: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = pictures.dims4()?;
    let more = mixed.contiguous()?.matmul(&pictures.reshape((n, c, h * w))?)?;
    let changed = (pictures + more.reshape((n, c, h, w))?)?;
    Ok(changed.broadcast_add(&added.reshape((n, c, 1, 1))?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use candle_core::Var;

    fn tensor(values: Vec<f32>, shape: &[usize]) -> Tensor {
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn values(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn drawn(shape: &[usize]) -> Tensor {
        tensor(Rng::new(5).normals(shape.iter().product()), shape)
    }

    fn parameters(n: usize, own: &[(usize, f32)]) -> Tensor {
        let mut all = vec![0.0; n * size(3)];
        own.iter().for_each(|(k, v)| all[*k] = *v);
        tensor(all, &[n, size(3)])
    }

    fn near(a: &Tensor, b: &Tensor, by: f32) {
        let worst = values(a).iter().zip(values(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < by, "{worst}");
    }

    #[test]
    fn it_moves_blurs_and_colours_as_told() {
        let x = drawn(&[1, 3, 8, 6]);
        near(&mimicked(&x, &parameters(1, &[])).unwrap(), &x, 1e-5);
        // One pixel of six to the right is a third of [-1, 1].
        let right = mimicked(&x, &parameters(1, &[(2, 1.0 / 3.0)])).unwrap();
        near(&right.narrow(3, 0, 5).unwrap(), &x.narrow(3, 1, 5).unwrap(), 1e-5);
        near(&right.narrow(3, 5, 1).unwrap(), &x.narrow(3, 5, 1).unwrap(), 1e-5);
        // Half a turn: both axes reversed.
        let turned = mimicked(&x, &parameters(1, &[(0, -2.0), (4, -2.0)])).unwrap();
        near(&turned, &x.flip(&[2, 3]).unwrap(), 1e-5);
        // The mean of a pixel and the one below it.
        let blurred = mimicked(&x, &parameters(1, &[(MOVE + 3, -0.5), (MOVE + 4, 0.5)])).unwrap();
        let mean = (x.narrow(2, 0, 7).unwrap() + x.narrow(2, 1, 7).unwrap()).unwrap() * 0.5;
        near(&blurred.narrow(2, 0, 7).unwrap(), &mean.unwrap(), 1e-5);
        // Red becomes red + 2 green + 1.
        let from = MOVE + 2 * TAPS;
        let coloured = mimicked(&x, &parameters(1, &[(from + 1, 2.0), (from + 9, 1.0)])).unwrap();
        let red = (x.narrow(1, 1, 1).unwrap() * 2.0).unwrap() + x.narrow(1, 0, 1).unwrap();
        near(&coloured.narrow(1, 0, 1).unwrap(), &(red.unwrap() + 1.0).unwrap(), 1e-5);
        near(&coloured.narrow(1, 1, 2).unwrap(), &x.narrow(1, 1, 2).unwrap(), 1e-5);
    }

    /// On a ramp, away from the borders: nowhere else do bilinear pictures have no kinks.
    #[test]
    fn its_slopes_are_those_of_its_values() {
        let ramp = |i: usize| 0.05 * (i % 16) as f32 - 0.03 * (i / 16 % 16) as f32;
        let x = tensor((0..3 * 16 * 16).map(ramp).collect(), &[1, 3, 16, 16]);
        let at = (drawn(&[1, size(3)]) * 0.02).unwrap();
        let loss = |p: &Tensor| {
            let inner = mimicked(&x, p).unwrap().narrow(2, 5, 6).unwrap().narrow(3, 5, 6).unwrap();
            inner.sqr().unwrap().sum_all().unwrap()
        };
        let var = Var::from_tensor(&at).unwrap();
        let slopes = values(loss(&var).backward().unwrap().get(&var).unwrap());
        for (k, slope) in slopes.iter().enumerate() {
            let moved = |by: f32| loss(&(&at + parameters(1, &[(k, by)])).unwrap());
            let number = |t: Tensor| f64::from(t.to_vec0::<f32>().unwrap());
            let numeric = (number(moved(5e-3)) - number(moved(-5e-3))) / 1e-2;
            let off = (f64::from(*slope) - numeric).abs();
            assert!(off < 0.02 + 0.01 * numeric.abs(), "{k}: {slope} {numeric}");
        }
    }

    #[test]
    fn pictures_do_not_touch_each_other() {
        let (x, p) = (drawn(&[2, 3, 16, 16]), (drawn(&[2, size(3)]) * 0.1).unwrap());
        let both = mimicked(&x, &p).unwrap();
        for i in 0..2 {
            let row = |t: &Tensor| t.narrow(0, i, 1).unwrap().force_contiguous().unwrap();
            assert_eq!(values(&mimicked(&row(&x), &row(&p)).unwrap()), values(&row(&both)));
        }
    }
}
