//! Inverters of a generator's layers, fitted to its own samples: the layered inversion of GANSeeing
//! (Bau et al. 2019, equations 4 to 6) with ridge regression in place of trained networks.
//!
//! Each inverter reads the map that a layer gives, a patch at a time, and predicts the map that the
//! layer read; the first one predicts the code. One after the other, from the picture down, they
//! are an encoder.

use crate::cholesky;
use crate::control;
use crate::error::{Error, Result};
use crate::generator::spaces::{self, Draw};
use crate::generator::{Generator, Input, Start, Tap};
use crate::metric::resize_to;
use crate::space::Space;
use crate::tensor::linear;
use candle_core::{DType, Device, Tensor};

/// Samples that an inverter of a map is fitted to, and places of each at most.
const SAMPLES: usize = 32;
const PLACES: usize = 256;
/// Samples that the first inverter is fitted to, which has one place in each.
const CODES: usize = 1024;
/// Numbers that an inverter reads at one place at most.
const WIDEST: usize = 1200;
/// The ridge's penalty, in units of the mean eigenvalue.
const PENALTY: f64 = 1e-3;
/// Samples of a batch, and of one that runs the first layer alone.
const BATCH: usize = 8;
const FIRST_BATCH: usize = 64;
/// Seed of the samples: the inverters belong to the generator, not to a run.
const SEED: u64 = 321;

/// The inverters of all layers.
pub(super) struct Inverters {
    /// From a layer's map to the map before it, the picture's first.
    maps: Vec<Inverter>,
    /// From the first layer's map to the code.
    code: Inverter,
    /// The share of the way from the mean to the code that they find from pictures, one after the
    /// other, which comes nearest to the codes of samples: their errors add up.
    share: f64,
}

/// A linear map of patches, between deviations from the mean maps.
struct Inverter {
    patch: Patch,
    /// The mean of what is read, `[1, C, H, W]`, and of what is predicted, `[1, C, h, w]`.
    means: [Tensor; 2],
    /// `[outputs, numbers]`
    weight: Tensor,
}

/// What an inverter reads of a map at each place.
#[derive(Clone, Copy, Debug)]
struct Patch {
    /// Height and width of the map that is predicted; 1 and 1 for a code.
    to: (usize, usize),
    /// Places from the first one read to the next patch's, and places read.
    step: usize,
    side: usize,
}

impl Patch {
    /// The patch from a map of `[C, H, W]` to one of `to`: with a border where that fits.
    fn new([channels, height, width]: [usize; 3], to: (usize, usize)) -> Self {
        let step = height / to.0.max(1);
        let even = step > 0 && (step * to.0, step * to.1) == (height, width);
        let fits = |side: usize| channels * side * side <= WIDEST;
        match even {
            true if to.0 > 1 && fits(step + 2) => Self { to, step, side: step + 2 },
            true if fits(step) => Self { to, step, side: step },
            // Means over the places that belong to one.
            _ => Self { to, step: 1, side: 1 },
        }
    }

    /// The numbers at every place, `[N · h · w, C · side²]`; 0 beyond the border.
    fn of(&self, map: &Tensor) -> Result<Tensor> {
        let (h, w) = self.to;
        let map = match self.side {
            1 => resize_to(map, h, w)?,
            _ => map.clone(),
        };
        let border = usize::from(self.side > self.step);
        let map = map.pad_with_zeros(2, border, border)?.pad_with_zeros(3, border, border)?;
        let at = |from: usize, count: usize| -> Result<Tensor> {
            let all = (0..count).map(|i| (from + i * self.step) as u32).collect::<Vec<_>>();
            Ok(Tensor::from_vec(all, count, &Device::Cpu)?.to_device(map.device())?)
        };
        let mut shifted = Vec::with_capacity(self.side * self.side);
        for dy in 0..self.side {
            let rows = map.index_select(&at(dy, h)?, 2)?;
            for dx in 0..self.side {
                shifted.push(rows.index_select(&at(dx, w)?, 3)?);
            }
        }
        let all = Tensor::cat(&shifted, 1)?; // [N, C · side², h, w]
        let numbers = all.dim(1)?;
        Ok(all.permute((0, 2, 3, 1))?.contiguous()?.reshape(((), numbers))?)
    }
}

impl Inverter {
    /// The map before, `[N, C, h, w]`.
    fn before(&self, map: &Tensor) -> Result<Tensor> {
        let (n, (h, w)) = (map.dim(0)?, self.patch.to);
        let rows = self.patch.of(&map.broadcast_sub(&self.means[0])?)?;
        let rows = linear(&rows, &self.weight)?;
        let map = rows.reshape((n, h, w, ()))?.permute((0, 3, 1, 2))?.contiguous()?;
        Ok(map.broadcast_add(&self.means[1])?)
    }

    /// The inverter that predicts the second of a pair of maps from the first, over batches of
    /// samples of one size.
    fn fitted(
        patch: Patch,
        batches: usize,
        pair: &dyn Fn(usize) -> Result<[Tensor; 2]>,
    ) -> Result<Self> {
        let means = means(batches, pair)?;
        let (mut square, mut across) = (Vec::new(), Vec::new());
        let (mut numbers, mut outputs) = (0, 0);
        for k in 0..batches {
            control::check()?;
            let [map, wanted] = pair(k)?;
            let most = PLACES * map.dim(0)?;
            let wanted = wanted.broadcast_sub(&means[1])?;
            outputs = wanted.dim(1)?;
            let wanted = wanted.permute((0, 2, 3, 1))?.contiguous()?.reshape(((), outputs))?;
            let read = thinned(&patch.of(&map.broadcast_sub(&means[0])?)?, most)?;
            numbers = read.dim(1)?;
            let turned = read.t()?.contiguous()?;
            add(&mut square, &linear(&turned, &turned)?)?;
            add(&mut across, &linear(&turned, &thinned(&wanted, most)?.t()?.contiguous()?)?)?;
        }
        let mean = (0..numbers).map(|i| square[i * numbers + i]).sum::<f64>() / numbers as f64;
        (0..numbers).for_each(|i| square[i * numbers + i] += PENALTY * mean);
        if !cholesky::decompose(&mut square, numbers)? {
            return Err(Error::runtime("the maps of the samples do not differ"));
        }
        cholesky::solve(&square, &mut across, (numbers, outputs))?;
        let weight: Vec<f32> = across.into_iter().map(|v| v as f32).collect();
        let weight = Tensor::from_vec(weight, (numbers, outputs), &Device::Cpu)?;
        let weight = weight.t()?.contiguous()?.to_device(means[0].device())?;
        Ok(Self { patch, means, weight })
    }
}

/// The means of both of a pair over all batches.
fn means(batches: usize, pair: &dyn Fn(usize) -> Result<[Tensor; 2]>) -> Result<[Tensor; 2]> {
    let of = |k: usize| -> Result<[Tensor; 2]> {
        control::check()?;
        let [a, b] = pair(k)?;
        Ok([a.mean_keepdim(0)?, b.mean_keepdim(0)?])
    };
    let [mut a, mut b] = of(0)?;
    for k in 1..batches {
        let more = of(k)?;
        (a, b) = ((a + &more[0])?, (b + &more[1])?);
    }
    Ok([(a / batches as f64)?, (b / batches as f64)?])
}

/// At most so many rows, evenly.
fn thinned(rows: &Tensor, most: usize) -> Result<Tensor> {
    let count = rows.dim(0)?;
    let every = count.div_ceil(most);
    let kept: Vec<u32> = (0..count).step_by(every).map(|i| i as u32).collect();
    let size = kept.len();
    let kept = Tensor::from_vec(kept, size, &Device::Cpu)?.to_device(rows.device())?;
    Ok(rows.index_select(&kept, 0)?)
}

fn add(sum: &mut Vec<f64>, more: &Tensor) -> Result<()> {
    let more = more.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
    if sum.is_empty() {
        *sum = more;
    } else {
        sum.iter_mut().zip(more).for_each(|(s, m)| *s += m);
    }
    Ok(())
}

/// Samples of a generator in batches.
struct Samples<'a> {
    g: &'a dyn Generator,
    space: Space,
    labels: Option<&'a Tensor>,
}

impl Samples<'_> {
    /// Codes and labels of the k-th batch.
    fn batch(&self, k: usize, count: usize) -> Result<(Tensor, Input)> {
        let seed = SEED + k as u64;
        let draw = Draw { seed, space: self.space, labels: self.labels, psi: 1.0 };
        let codes = spaces::sample(self.g, count, draw)?;
        Ok((codes.point().clone(), Input::labelled(codes.labels())))
    }

    /// The values at points of the synthesis, in their order.
    fn at(&self, codes: &Tensor, input: &Input, taps: &[Tap]) -> Result<Vec<Tensor>> {
        let (space, data) = spaces::synthesised(self.g, codes, self.space, input)?;
        let ran = self.g.run(&Start::Code { space, data: &data }, input, taps)?;
        let maps = ran.features.into_iter().map(|f| f.map).chain(ran.picture);
        Ok(maps.map(|map| map.detach()).collect())
    }
}

fn no_map() -> Error {
    Error::runtime("the generator gave no feature map")
}

impl Inverters {
    /// The inverters of a generator's layers and of its codes in Z or W, for one class.
    ///
    /// # Errors
    /// For a generator without layers, and when it is interrupted.
    pub fn fitted(g: &dyn Generator, space: Space, labels: Option<&Tensor>) -> Result<Self> {
        let (spec, samples) = (g.spec(), Samples { g, space, labels });
        let sizes = spec.layers.iter().map(|l| [l.channels, l.height, l.width]);
        let sizes: Vec<[usize; 3]> =
            sizes.chain([[spec.channels, spec.height, spec.width]]).collect();
        let last = spec.layers.len().checked_sub(1).ok_or_else(|| {
            Error::runtime("the generator has no layers to invert").hint("method: optimize")
        })?;
        let one = |at: usize| -> Result<Inverter> {
            let to = (sizes[at][1], sizes[at][2]);
            let next = if at == last { Tap::Picture } else { Tap::Layer(at + 1) };
            Inverter::fitted(Patch::new(sizes[at + 1], to), SAMPLES / BATCH, &|k| {
                let (codes, input) = samples.batch(k, BATCH)?;
                let both = samples.at(&codes, &input, &[Tap::Layer(at), next])?;
                let [before, after] = <[Tensor; 2]>::try_from(both).map_err(|_| no_map())?;
                Ok([after, before])
            })
        };
        let maps = (0..=last).rev().map(one).collect::<Result<Vec<_>>>()?;
        let code = Inverter::fitted(Patch::new(sizes[0], (1, 1)), CODES / FIRST_BATCH, &|k| {
            let (codes, input) = samples.batch(SAMPLES + k, FIRST_BATCH)?;
            let map = samples.at(&codes, &input, &[Tap::Layer(0)])?.pop().ok_or_else(no_map)?;
            let (n, d) = codes.dims2()?;
            Ok([map, codes.reshape((n, d, 1, 1))?])
        })?;
        let found = Self { maps, code, share: 1.0 };
        let (mut along, mut square) = (0.0, 0.0);
        for k in 0..SAMPLES / BATCH {
            let (codes, input) = samples.batch(k, BATCH)?;
            let picture = samples.at(&codes, &input, &[Tap::Picture])?.pop().ok_or_else(no_map)?;
            let mean = found.code.means[1].flatten_from(1)?;
            let sum = |t: Tensor| t.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>();
            let [own, true_way] = [found.codes(&picture)?, codes].map(|c| c.broadcast_sub(&mean));
            let own = own?;
            along += sum((&own * true_way?)?)?;
            square += sum(own.sqr()?)?;
        }
        Ok(Self { share: (along / square.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0), ..found })
    }

    /// The codes of pictures, `[N, C, H, W]` → `[N, D]`.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn codes(&self, pictures: &Tensor) -> Result<Tensor> {
        let map = self.maps.iter().try_fold(pictures.clone(), |map, own| own.before(&map))?;
        let mean = self.code.means[1].flatten_from(1)?;
        let way = self.code.before(&map)?.flatten_from(1)?.broadcast_sub(&mean)?;
        Ok((way * self.share)?.broadcast_add(&mean)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::tests::generator;

    fn square(t: &Tensor) -> f32 {
        t.sqr().unwrap().mean_all().unwrap().to_vec0::<f32>().unwrap()
    }

    /// Every inverter predicts maps of new samples better than their mean does, and the first one
    /// the code; one after the other they are at least no worse.
    #[test]
    fn every_inverter_is_better_than_the_mean() {
        let g = generator();
        let all = Inverters::fitted(&*g, Space::W, None).unwrap();
        let samples = Samples { g: &*g, space: Space::W, labels: None };
        let (codes, input) = samples.batch(5000, 16).unwrap();
        let last = g.spec().layers.len();
        let taps: Vec<Tap> = (0..last).map(Tap::Layer).chain([Tap::Picture]).collect();
        let maps = samples.at(&codes, &input, &taps).unwrap();
        let against = |found: &Tensor, truth: &Tensor, mean: &Tensor| {
            square(&(found - truth).unwrap()) / square(&truth.broadcast_sub(mean).unwrap())
        };
        for (k, own) in all.maps.iter().enumerate() {
            let at = last - 1 - k;
            let error = against(&own.before(&maps[at + 1]).unwrap(), &maps[at], &own.means[1]);
            assert!(error < 1.0, "layer {at}: {error}");
        }
        let first = all.code.before(&maps[0]).unwrap().flatten_from(1).unwrap();
        let mean = all.code.means[1].flatten_from(1).unwrap();
        let error = against(&first, &codes, &mean);
        assert!(error < 0.9, "{error}");
        // Of random weights eight linear steps say little: they must not say anything wrong.
        let error = against(&all.codes(maps.last().unwrap()).unwrap(), &codes, &mean);
        assert!(error < 1.05, "{error}");
    }

    #[test]
    fn patches_are_what_they_read() {
        let map: Vec<f32> = (0..2 * 16).map(|i| i as f32).collect();
        let map = Tensor::from_vec(map, (1, 2, 4, 4), &Device::Cpu).unwrap();
        let rows = |patch: Patch| patch.of(&map).unwrap().to_vec2::<f32>().unwrap();
        // Halved: patches of 4 with a border of zeros.
        let bordered = rows(Patch::new([2, 4, 4], (2, 2)));
        assert_eq!((bordered.len(), bordered[0].len()), (4, 32));
        assert_eq!(bordered[0][..4], [0.0, 0.0, 0.0, 0.0]);
        assert_eq!(bordered[0][10..12], [0.0, 16.0], "both channels of the first place");
        // To one place: all of it.
        let whole = rows(Patch::new([2, 4, 4], (1, 1)));
        assert_eq!((whole.len(), whole[0].len()), (1, 32));
        // Too wide: the mean of each channel.
        let mean = Patch::new([2000, 4, 4], (1, 1));
        assert_eq!((mean.side, mean.step), (1, 1));
        assert_eq!(rows(mean), [[7.5, 23.5]]);
    }
}
