//! The renderer: features of the planes along rays, decoded to colour and density, and summed up to
//! what a camera sees (Chan et al. 2022, sections 3.2 and 3.3; Max 1995).

use super::config::{Config, PLANES, Rendering};
use super::rays::{self, Jitter, Rays, matrix};
use crate::error::Result;
use crate::generator::layers::Reader;
use crate::tensor::{in_parts, linear, sample_planes, softplus};
use candle_core::Tensor;

/// Samples that are computed at once: what bounds the memory.
const SAMPLES: usize = 1 << 18;

/// Colours and densities of points.
struct Decoded {
    /// `[P, C]`.
    colors: Tensor,
    /// `[P, 1]`.
    densities: Tensor,
}

/// Sizes of the network from features to colour and density.
#[derive(Clone, Copy)]
struct Sizes {
    features: usize,
    hidden: usize,
    outputs: usize,
}

/// The network from features to colour and density: two layers with equalised learning rate.
pub(super) struct Decoder {
    sizes: Sizes,
    /// Weights and biases with their gains applied, one after the other.
    numbers: Tensor,
}

impl Decoder {
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        let sizes = Sizes { features: c.features, hidden: c.hidden, outputs: 1 + c.colors };
        let lr = c.rendering.decoder_lr_mul;
        let mut all = Vec::new();
        for (name, inputs, outputs) in
            [("decoder.net.0", c.features, c.hidden), ("decoder.net.2", c.hidden, sizes.outputs)]
        {
            let weight = r.parameter(&format!("{name}.weight"), &[outputs, inputs])?;
            let bias = r.parameter(&format!("{name}.bias"), &[outputs])?;
            all.push((weight.flatten_all()? * (lr / (inputs as f64).sqrt()))?);
            all.push((bias * lr)?);
        }
        Ok(Self { sizes, numbers: Tensor::cat(&all, 0)? })
    }
}

impl Sizes {
    /// Features `[P, F]` → colours, a little beyond 0 to 1 as in mip-NeRF, and densities.
    fn decode(self, numbers: &Tensor, features: &Tensor) -> Result<Decoded> {
        let mut at = 0;
        let mut layer = |x: &Tensor, inputs: usize, outputs: usize| -> Result<Tensor> {
            let weight = numbers.narrow(0, at, outputs * inputs)?.reshape((outputs, inputs))?;
            let bias = numbers.narrow(0, at + outputs * inputs, outputs)?;
            at += outputs * (inputs + 1);
            Ok(linear(x, &weight)?.broadcast_add(&bias)?)
        };
        let hidden = softplus(&layer(features, self.features, self.hidden)?)?;
        let y = layer(&hidden, self.hidden, self.outputs)?;
        let colors = candle_nn::ops::sigmoid(&y.narrow(1, 1, self.outputs - 1)?.contiguous()?)?;
        let margin = 0.001;
        Ok(Decoded {
            colors: colors.affine(1.0 + 2.0 * margin, -margin)?,
            densities: y.narrow(1, 0, 1)?.contiguous()?,
        })
    }
}

/// What rays see.
pub(super) struct Seen {
    /// Colours from −1 to 1, `[M, C]`.
    pub(super) colors: Tensor,
    /// Distances, `[M, 1]`.
    pub(super) depth: Tensor,
}

/// What the rays of a camera see of planes `[1, 3, H, W, F]`, with gradients to planes, decoder and
/// camera. Rays go in parts, which bounds the memory.
///
/// # Errors
/// `Interrupted` when it is asked to stop between two parts.
pub(super) fn march(
    config: &Config,
    decoder: &Decoder,
    planes: &Tensor,
    rays: &Rays,
    jitter: &mut Jitter,
) -> Result<Seen> {
    let r = &config.rendering;
    let all = rays.directions.dim(0)?;
    let coarse = rays::coarse(config, &rays::ends(config, rays)?, jitter);
    let more = r.depth_resolution_importance;
    let part = (SAMPLES / (r.depth_resolution + more)).max(1);
    let marcher = Marcher {
        sizes: decoder.sizes,
        rendering: r.clone(),
        projection: config.projection.clone(),
        part,
        farthest: coarse.iter().copied().fold(f32::MIN, f32::max),
        shares: jitter.parts(all, more),
        coarse,
    };
    let origins = rays.origin.broadcast_as((all, 3))?;
    let lines = Tensor::cat(&[&origins, &rays.directions], 1)?;
    let arguments = [planes, &lines, &decoder.numbers];
    let parts = all.div_ceil(part);
    let tracked = arguments.iter().any(|t| t.track_op());
    let seen = if tracked {
        crate::control::check()?;
        in_parts(arguments, parts, move |[planes, lines, numbers], i| {
            marcher.part([planes, lines, numbers], i).map_err(candle_core::Error::wrap)
        })?
    } else {
        let mut seen = Vec::new();
        for i in 0..parts {
            crate::control::check()?;
            seen.push(marcher.part(arguments, i)?);
        }
        Tensor::cat(&seen, 0)?
    };
    let colors = seen.dim(1)? - 1;
    Ok(Seen { colors: seen.narrow(1, 0, colors)?, depth: seen.narrow(1, colors, 1)? })
}

/// The march along the rays of one camera.
struct Marcher {
    sizes: Sizes,
    rendering: Rendering,
    /// Rows that give the places on the planes, `[6, 3]`.
    projection: Vec<f32>,
    /// Rays of a part.
    part: usize,
    /// Depths of the first samples, ray by ray.
    coarse: Vec<f32>,
    /// Shares of the weights at which finer samples lie, ray by ray.
    shares: Vec<f32>,
    /// Depth of the farthest sample.
    farthest: f32,
}

impl Marcher {
    /// Colours and depth that the rays of a part see, `[M, C + 1]`: coarse samples, then finer ones
    /// where there is something.
    fn part(&self, [planes, lines, numbers]: [&Tensor; 3], i: usize) -> Result<Tensor> {
        let (n, more) =
            (self.rendering.depth_resolution, self.rendering.depth_resolution_importance);
        let from = i * self.part;
        let m = self.part.min(lines.dim(0)? - from);
        let lines = lines.narrow(0, from, m)?;
        let coarse = &self.coarse[from * n..(from + m) * n];
        let known = matrix(coarse.to_vec(), n, lines.device())?;
        let decode = |depths: &Tensor| -> Result<Decoded> {
            let features = self.features(planes, &lines, depths)?;
            self.sizes.decode(numbers, &features)
        };
        let first = decode(&known)?;
        let channels = self.sizes.outputs - 1;
        let mut densities = first.densities.reshape((m, n))?;
        let mut colors = first.colors.reshape((m, n, channels))?;
        let mut depths = coarse.to_vec();
        if more > 0 {
            let weights = weights(&densities.detach(), &known)?.flatten_all()?.to_vec1::<f32>()?;
            let shares = &self.shares[from * more..(from + m) * more];
            let fine = rays::fine((coarse, n), &weights, (shares, more));
            let second = decode(&matrix(fine.clone(), more, lines.device())?)?;
            densities = Tensor::cat(&[&densities, &second.densities.reshape((m, more))?], 1)?;
            let finer = second.colors.reshape((m, more, channels))?;
            colors = Tensor::cat(&[&colors, &finer], 1)?;
            let both = coarse.chunks_exact(n).zip(fine.chunks_exact(more));
            depths = both.flat_map(|(a, b)| [a, b].concat()).collect();
        }
        let white = self.rendering.white_back;
        composite(white, (&depths, n + more), (&densities, &colors), self.farthest)
    }

    /// Features at depths `[M, S]` of lines `[M, 6]` (origin and direction), `[M·S, F]`: the mean
    /// over the planes.
    fn features(&self, planes: &Tensor, lines: &Tensor, depths: &Tensor) -> Result<Tensor> {
        let (m, s) = depths.dims2()?;
        let [origins, directions] = [lines.narrow(1, 0, 3)?, lines.narrow(1, 3, 3)?];
        let along = directions.unsqueeze(1)?.broadcast_mul(&depths.unsqueeze(2)?)?;
        let points = along.broadcast_add(&origins.unsqueeze(1)?)?.reshape((m * s, 3))?;
        let axes = matrix(self.projection.clone(), 3, points.device())?;
        let places = linear(&points.affine(2.0 / self.rendering.box_warp, 0.0)?, &axes)?
            .reshape((m * s, PLANES, 2))?
            .transpose(0, 1)?
            .unsqueeze(0)?;
        Ok(sample_planes(planes, &places)?.squeeze(0)?)
    }
}

/// Differences or means of neighbours: `a·x[s] + b·x[s + 1]`, `[M, S]` → `[M, S − 1]`.
fn neighbours(x: &Tensor, a: f64, b: f64) -> Result<Tensor> {
    let last = x.dim(1)? - 1;
    Ok(((x.narrow(1, 0, last)? * a)? + (x.narrow(1, 1, last)? * b)?)?)
}

/// The weights of the intervals between samples in the order of their depths: what light from there
/// reaches the camera.
///
/// # Shapes
/// densities and depths `[M, S]` → `[M, S − 1]`.
fn weights(densities: &Tensor, depths: &Tensor) -> Result<Tensor> {
    let density = softplus(&(neighbours(densities, 0.5, 0.5)? - 1.0)?)?;
    let passes = (density * neighbours(depths, -1.0, 1.0)?)?.neg()?.exp()?;
    let n = passes.dim(1)?;
    // Sums over the intervals before, so products after the exponential.
    let before: Vec<f32> = (0..n * n).map(|at| if at % n < at / n { 1.0 } else { 0.0 }).collect();
    let before = Tensor::from_vec(before, (n, n), passes.device())?;
    let reaches = linear(&passes.affine(1.0, 1e-10)?.log()?, &before)?.exp()?;
    Ok((passes.affine(-1.0, 1.0)? * reaches)?)
}

/// Sums up what rays see. A ray that meets nothing at all ends at the farthest sample.
///
/// # Shapes
/// depths `[M, S]`, densities `[M, S]`, colours `[M, S, C]`, each in any order of the samples →
/// colours and distances `[M, C + 1]`.
fn composite(
    white: bool,
    (depths, samples): (&[f32], usize),
    (densities, colors): (&Tensor, &Tensor),
    farthest: f32,
) -> Result<Tensor> {
    let device = densities.device();
    // The samples in order of their depths, and the way back.
    let mut order = Vec::with_capacity(depths.len());
    let mut back = vec![0u32; depths.len()];
    for (row, depths) in depths.chunks_exact(samples).enumerate() {
        let start = row * samples;
        let mut places: Vec<usize> = (0..samples).collect();
        places.sort_by(|&a, &b| depths[a].total_cmp(&depths[b]));
        for (to, from) in places.into_iter().enumerate() {
            order.push((start + from) as u32);
            back[start + from] = (start + to) as u32;
        }
    }
    let sorted: Vec<f32> = order.iter().map(|&i| depths[i as usize]).collect();
    let index = |v: Vec<u32>| Tensor::from_vec(v, depths.len(), device);
    let m = depths.len() / samples;
    let sorted = matrix(sorted, samples, device)?;
    let densities = densities.flatten_all()?.index_select(&index(order)?, 0)?;
    let weights = weights(&densities.reshape((m, samples))?, &sorted)?;
    let total = weights.sum_keepdim(1)?;
    // An interval has the mean colour of its ends, so a sample counts half of both its intervals.
    let none = Tensor::zeros((m, 1), candle_core::DType::F32, device)?;
    let after = Tensor::cat(&[&weights, &none], 1)?;
    let shares = ((after + Tensor::cat(&[&none, &weights], 1)?)? * 0.5)?;
    let shares = shares.flatten_all()?.index_select(&index(back)?, 0)?.reshape((m, samples, 1))?;
    let mut seen = colors.broadcast_mul(&shares)?.sum(1)?;
    if white {
        seen = seen.broadcast_add(&total.affine(-1.0, 1.0)?)?;
    }
    let empty = total.detach().eq(0.0)?.to_dtype(candle_core::DType::F32)?;
    let middles = neighbours(&sorted, 0.5, 0.5)?;
    let depth = (weights * middles)?.sum_keepdim(1)?;
    let depth = ((depth / (total + &empty)?)? + (empty * f64::from(farthest))?)?;
    Ok(Tensor::cat(&[seen.affine(2.0, -1.0)?, depth], 1)?)
}
