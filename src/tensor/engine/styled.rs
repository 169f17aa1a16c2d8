//! StyleGAN2's layers on the engine: a styled 3×3 convolution with all that follows it, and toRGB,
//! each with its gradient.

use super::blur::Blur;
use super::buffer::{Map, blocks_of};
use super::conv::{Both, Conv, Form};
use super::driver;
use super::finish::{Epilogue, Finish, Gradient};
use super::isa::Isa;
use super::lanes::LANES;
use super::pointwise::{ActBackward, COLOURS, Squares, Sums, ToRgb};
use super::slopes::{WeightBack, sums_over};
use crate::raw::with_numbers;
use crate::{Activation, Filter};
use candle_core::{DType, Result, Tensor};
use std::sync::Arc;

/// A styled convolution: modulated, demodulated, with noise, bias and leaky ReLU.
pub struct StyledConv<'a> {
    /// The weight for a layer with or without `up`; `None` where the engine cannot run it.
    pub weight: Option<Arc<StyledWeight>>,
    /// `[O]`.
    pub bias: Tensor,
    /// The filter, where the layer doubles the size.
    pub up: Option<&'a Filter>,
    /// Activation after the bias.
    pub activation: Activation,
    /// Whether it adds noise.
    pub noise: bool,
}

/// Turns features into a picture: a 1×1 convolution, modulated without demodulation.
pub struct RgbConv {
    /// `[K, I, 1, 1]`.
    pub weight: Tensor,
    /// `[K]`.
    pub bias: Tensor,
    /// Factor of the styles.
    pub gain: f64,
    /// The picture is limited to ±clamp.
    pub clamp: Option<f64>,
}

impl RgbConv {
    /// Channels of a picture at most.
    pub const MOST: usize = COLOURS;
}

/// The numbers of a frozen tensor on the CPU in single precision; `None` for any other.
pub(super) fn frozen(t: &Tensor) -> Result<Option<Vec<f32>>> {
    if !is_frozen(t) {
        return Ok(None);
    }
    Ok(Some(t.flatten_all()?.to_vec1()?))
}

/// Whether a tensor is frozen, on the CPU and in single precision.
fn is_frozen(t: &Tensor) -> bool {
    !t.track_op() && t.device().is_cpu() && t.dtype() == DType::F32
}

/// `v`, filled with zeros to whole blocks.
pub(super) fn padded(mut v: Vec<f32>) -> Vec<f32> {
    v.resize(blocks_of(v.len()) * LANES, 0.0);
    v
}

/// Lines of `width` elements, each filled with zeros to whole blocks.
pub(super) fn pad_lines(v: impl Iterator<Item = f32>, width: usize) -> Vec<f32> {
    let lanes = blocks_of(width) * LANES;
    let mut out = Vec::new();
    for (i, v) in v.enumerate() {
        out.resize(i / width * lanes + i % width, 0.0);
        out.push(v);
    }
    out.resize(out.len().div_ceil(lanes.max(1)) * lanes, 0.0);
    out
}

/// The weight of a styled 3×3 convolution as the engine reads it; made by
/// [`crate::Weight::styled`].
pub struct StyledWeight {
    both: Both,
    squares: Squares,
}

impl std::fmt::Debug for StyledWeight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StyledWeight").field("dims", &self.dims()).finish_non_exhaustive()
    }
}

impl StyledWeight {
    /// Packs a weight `[O, I, 3, 3]`, `up` for a convolution that doubles the size; `None` when the
    /// engine cannot run it: another kernel, trained weights, another device.
    pub(crate) fn new(w: &Tensor, up: bool) -> Result<Option<Self>> {
        let [outputs, inputs, 3, 3] = *w.dims() else { return Ok(None) };
        if !is_frozen(w) {
            return Ok(None);
        }
        let forms = if up { [Form::Up, Form::UpBack] } else { [Form::Same, Form::SameBack] };
        let packed = |numbers: &[&[f32]]| Self {
            both: Both::new(numbers[0], (outputs, inputs), forms),
            squares: Squares::new(numbers[0], outputs, inputs),
        };
        with_numbers("stylegan2", &[&w.contiguous()?], packed).map(Some)
    }

    /// Its shape.
    pub(crate) fn dims(&self) -> [usize; 4] {
        let forward = self.both.forward();
        [forward.outputs(), forward.inputs(), 3, 3]
    }

    /// Whether it is for a convolution that doubles the size.
    pub(crate) fn doubles(&self) -> bool {
        self.both.forward().form() == Form::Up
    }

    /// The weight as it was, row by row.
    pub(crate) fn numbers(&self) -> Vec<f32> {
        self.both.forward().planar()
    }
}

/// The taps of a filter that the engine can apply between a doubling convolution and its
/// activation, with the gain of four that makes up for the zeros between pixels, and in the order
/// in which they meet the pixels.
fn taps(filter: &Filter) -> Option<[f32; 4]> {
    let (column, row) = filter.separable()?;
    let sums: [f32; 2] = [column, row].map(|v| v.iter().sum());
    let same = column.iter().zip(row).all(|(a, b)| (a / sums[0] - b / sums[1]).abs() <= 1e-6);
    let gain = 2.0 * (sums[0] * sums[1]).sqrt();
    let mut taps: [f32; 4] = row.as_slice().try_into().ok()?;
    taps.reverse();
    (same && gain.is_normal()).then(|| taps.map(|v| v / sums[1] * gain))
}

/// Noise of one layer: a map for each sample, with its stride in elements.
pub(super) type Noise<'a> = Option<(&'a [f32], usize)>;

/// A [`StyledConv`] ready to run.
pub(super) struct Layer {
    weight: Arc<StyledWeight>,
    bias: Vec<f32>,
    act: [f32; 3],
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// The filter's taps, where the layer doubles the size.
    up: Option<[f32; 4]>,
    pub(super) noise: bool,
}

/// Values of the forward pass that a layer's gradient needs.
pub(super) struct Kept {
    pub(super) y: Map,
    factors: Vec<f32>,
}

impl Layer {
    /// `None` when the engine cannot run it: trained weights, a long or inseparable filter, another
    /// device.
    pub(super) fn new(conv: &StyledConv<'_>) -> Result<Option<Self>> {
        let up = match conv.up.map(taps) {
            Some(None) => return Ok(None),
            up => up.flatten(),
        };
        let a = conv.activation;
        if a.slope <= 0.0 || a.gain <= 0.0 {
            return Ok(None);
        }
        let Some(bias) = frozen(&conv.bias)? else { return Ok(None) };
        let Some(weight) = conv.weight.clone() else { return Ok(None) };
        if weight.doubles() != up.is_some() {
            candle_core::bail!("stylegan2: a weight for another form of layer");
        }
        let [outputs, inputs, ..] = weight.dims();
        Ok(Some(Self {
            weight,
            bias: padded(bias),
            act: [a.slope as f32, a.gain as f32, a.clamp.map_or(f32::INFINITY, |c| c as f32)],
            inputs,
            outputs,
            up,
            noise: conv.noise,
        }))
    }

    /// Whether its result has twice the size.
    pub(super) fn doubles(&self) -> bool {
        self.up.is_some()
    }

    /// Its result for styles `[N, I]` in whole blocks.
    pub(super) fn forward(&self, isa: Isa, x: &Map, style: &[f32], noise: Noise<'_>) -> Kept {
        let factors = self.weight.squares.factors(isa, style);
        let scale = if self.doubles() { 2 } else { 1 };
        let mut y = Map::new(x.n, self.outputs, x.h * scale, x.w * scale);
        let epilogue = Epilogue { scale: Some(&factors), bias: &self.bias, noise, act: self.act };
        let conv = Conv {
            isa,
            weights: self.weight.both.forward(),
            x,
            style: Some(style),
            finish: Finish::Activate(&epilogue),
        };
        match self.up {
            None => drop(driver::run(&conv, &mut y)),
            Some(taps) => {
                let mut z = Map::new(x.n, self.outputs, 2 * x.h + 1, 2 * x.w + 1);
                driver::run(&Conv { finish: Finish::Plain, ..conv }, &mut z);
                Blur { isa, x: &z, taps, before: 1 }.run(&mut y, Some(&epilogue));
            }
        }
        Kept { y, factors }
    }

    /// Turns the gradient of its result in `g` (`fresh` when only toRGB reads it) into that of its
    /// input; also returns the gradient of the styles in whole blocks, the sums over pixels and
    /// channels, and where the weights `[O, I, 3, 3]` are `trained` the gradients of them and of the
    /// bias, one after the other.
    pub(super) fn backward(
        &self,
        isa: Isa,
        at: &At<'_>,
        kept: Kept,
        (mut g, fresh): (Map, bool),
        trained: Option<&[f32]>,
    ) -> (Map, [Vec<f32>; 2], Sums) {
        let Kept { y, factors } = kept;
        let act = ActBackward {
            isa,
            y: &y,
            scale: Some(&factors),
            bias: &self.bias,
            noise: at.noise,
            act: self.act,
            rgb: at.rgb,
            sums: true,
            noise_sums: at.noise_back,
        };
        let sums = act.run(&mut g, fresh);
        drop(y);
        let bias = trained.map(|_| sums_over(&g, &factors));
        let mut dx = Map::new(at.x.n, self.inputs, at.x.h, at.x.w);
        let gradient = Gradient { style: at.style, x: at.x };
        if let Some([a, b, c, d]) = self.up {
            let mut z = Map::new(g.n, g.channels, g.h + 1, g.w + 1);
            Blur { isa, x: &g, taps: [d, c, b, a], before: 2 }.run(&mut z, None);
            g = z;
        }
        let mut weights = Vec::new();
        if let (Some(own), Some(bias)) = (trained, bias) {
            let (x, style, up) = (at.x, at.style, self.doubles());
            weights = WeightBack { isa, g: &g, x, style, up }.run();
            self.through_factors(own, (style, &factors, &sums.scale), &mut weights);
            weights.extend(bias);
        }
        let conv = Conv {
            isa,
            weights: self.weight.both.backward(),
            x: &g,
            style: None,
            finish: Finish::Gradient(&gradient),
        };
        let mut styles = driver::run(&conv, &mut dx);
        self.weight.squares.backward(isa, at.style, &factors, &sums.scale, &mut styles);
        (dx, [styles, weights], sums)
    }

    /// Adds what the weights change by the factors, `−Σ_n (g·d)_o d²_o s²_i w_oik`, from the styles,
    /// the factors and the gradient of the factors times the factors.
    fn through_factors(
        &self,
        w: &[f32],
        (style, factors, g): (&[f32], &[f32], &[f32]),
        to: &mut [f32],
    ) {
        let [inputs, outputs] = [self.inputs, self.outputs].map(|c| blocks_of(c) * LANES);
        let samples = || style.chunks_exact(inputs).zip(factors.chunks_exact(outputs));
        for (o, (line, w)) in
            to.chunks_exact_mut(9 * self.inputs).zip(w.chunks_exact(9 * self.inputs)).enumerate()
        {
            for (i, (line, w)) in line.chunks_exact_mut(9).zip(w.chunks_exact(9)).enumerate() {
                let each = samples().zip(g.chunks_exact(outputs));
                let slope: f32 = each.map(|((s, d), g)| g[o] * d[o] * d[o] * s[i] * s[i]).sum();
                line.iter_mut().zip(w).for_each(|(to, w)| *to -= slope * w);
            }
        }
    }
}

/// Inputs of a layer in the forward pass.
pub(super) struct At<'a> {
    pub(super) x: &'a Map,
    pub(super) style: &'a [f32],
    pub(super) noise: Noise<'a>,
    /// Whether the gradient of the noise is wanted.
    pub(super) noise_back: bool,
    /// The gradient of the picture that toRGB makes of the result, and its weights.
    pub(super) rgb: Option<(&'a [f32], &'a [f32])>,
}

/// An [`RgbConv`] ready to run.
pub(super) struct Rgb {
    /// `[K, I]` in whole blocks, times the gain.
    weight: Vec<f32>,
    gain: f32,
    bias: Vec<f32>,
    clamp: f32,
    pub(super) inputs: usize,
    pub(super) colours: usize,
}

impl Rgb {
    /// `None` when the engine cannot run it.
    pub(super) fn new(conv: &RgbConv) -> Result<Option<Self>> {
        let (colours, inputs, k, _) = conv.weight.dims4()?;
        let (Some(w), Some(bias)) = (frozen(&conv.weight)?, frozen(&conv.bias)?) else {
            return Ok(None);
        };
        if k != 1 || colours > COLOURS || inputs == 0 {
            return Ok(None);
        }
        let weight = pad_lines(w.iter().map(|v| v * conv.gain as f32), inputs);
        Ok(Some(Self {
            weight,
            gain: conv.gain as f32,
            bias,
            clamp: conv.clamp.map_or(f32::INFINITY, |c| c as f32),
            inputs,
            colours,
        }))
    }

    /// The weights of every sample: `[N, K, I]` in whole blocks.
    pub(super) fn modulated(&self, style: &[f32]) -> Vec<f32> {
        let lanes = blocks_of(self.inputs) * LANES;
        let line = |s: &'_ [f32]| {
            self.weight.iter().zip(s.iter().cycle()).map(|(w, s)| w * s).collect::<Vec<_>>()
        };
        style.chunks_exact(lanes).flat_map(line).collect()
    }

    /// The picture `[N, K, H, W]`.
    pub(super) fn forward(&self, isa: Isa, x: &Map, weight: &[f32]) -> Vec<f32> {
        ToRgb { isa, x, weight, bias: &self.bias, clamp: self.clamp }.run()
    }

    /// Whether the gradient needs the picture: clamped pixels have zero gradient.
    pub(super) fn clamps(&self) -> bool {
        self.clamp.is_finite()
    }

    /// The gradient of the picture where it passes the clamp.
    pub(super) fn through_clamp(&self, picture: &[f32], g: &[f32]) -> Vec<f32> {
        g.iter().zip(picture).map(|(g, y)| if y.abs() < self.clamp { *g } else { 0.0 }).collect()
    }

    /// The gradients of the weights `[K, I]` and of the bias, one after the other, from that of the
    /// weights of every sample, the styles, and the gradient of the picture.
    pub(super) fn weights_back(&self, g: &[f32], style: &[f32], picture: &[f32]) -> Vec<f32> {
        let lanes = blocks_of(self.inputs) * LANES;
        let (n, gain) = (style.len() / lanes.max(1), self.gain);
        let mut out = vec![0f32; self.colours * self.inputs];
        for (g, style) in g.chunks_exact(self.colours * lanes).zip(style.chunks_exact(lanes)) {
            for (out, g) in out.chunks_exact_mut(self.inputs).zip(g.chunks_exact(lanes)) {
                out.iter_mut().zip(g).zip(style).for_each(|((o, g), s)| *o += g * s * gain);
            }
        }
        let area = picture.len() / (n * self.colours).max(1);
        for k in 0..self.colours {
            let planes = (0..n).map(|s| &picture[(s * self.colours + k) * area..][..area]);
            out.push(planes.flatten().map(|v| f64::from(*v)).sum::<f64>() as f32);
        }
        out
    }

    /// The gradient of the styles, from that of the weights of every sample.
    pub(super) fn styles(&self, g: &[f32]) -> Vec<f32> {
        let lanes = blocks_of(self.inputs) * LANES;
        let mut out = vec![0f32; g.len() / self.colours.max(1)];
        for (out, g) in out.chunks_exact_mut(lanes).zip(g.chunks_exact(self.colours * lanes)) {
            for (g, w) in g.chunks_exact(lanes).zip(self.weight.chunks_exact(lanes)) {
                out.iter_mut().zip(g).zip(w).for_each(|((o, g), w)| *o += g * w);
            }
        }
        out
    }
}
