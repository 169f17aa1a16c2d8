//! StyleGAN3's convolution: modulated, and over every position at which the kernel meets the map.
//!
//! Kernels of 3×3 run on the engine's blocks with a margin of zeros around the map, 1×1 kernels as
//! one matrix product a sample. Weights are frozen.

use super::buffer::{Map, blocks_of};
use super::conv::{Both, Conv, Form};
use super::driver;
use super::finish::{Epilogue, Finish, Gradient};
use super::isa::Isa;
use super::lanes::LANES;
use super::pointwise::Squares;
use super::styled::{frozen, pad_lines};
use crate::conv::in_blocks;
use crate::raw::{Into, Mat, Shared, planes, sum};
use candle_core::{Result, Tensor};

/// Zeros around a map that a 3×3 kernel runs over: a convolution that keeps the size then gives one
/// more row and column on every side.
const MARGIN: usize = 1;

/// The weights as the kernels read them.
enum Kernel {
    /// Weights of 3×3, for the map and for the gradient.
    Three(Both),
    /// Weights of 1×1, `[O, I]`.
    One(Vec<f32>),
}

/// A modulated convolution with frozen weights on the CPU.
pub(crate) struct FullConv {
    isa: Isa,
    kernel: Kernel,
    /// `None` when the result is not demodulated.
    squares: Option<Squares>,
    /// Factor of the result.
    gain: f32,
    outputs: usize,
    inputs: usize,
}

/// Sizes of the map that a convolution reads: samples, height, width.
type Size = (usize, usize, usize);

impl FullConv {
    /// Packs weights `[O, I, k, k]`; `None` when the engine cannot run them: a kernel other than
    /// 1×1 and 3×3, trained weights, another device.
    pub(crate) fn new(weight: &Tensor, demodulate: bool, gain: f64) -> Result<Option<Self>> {
        Self::for_isa(Isa::current(), weight, demodulate, gain)
    }

    /// As [`FullConv::new`], for an instruction set that this processor has.
    pub(crate) fn for_isa(
        isa: Isa,
        weight: &Tensor,
        demodulate: bool,
        gain: f64,
    ) -> Result<Option<Self>> {
        let (outputs, inputs, k, across) = weight.dims4()?;
        let Some(w) = frozen(weight)?.filter(|_| k == across && matches!(k, 1 | 3)) else {
            return Ok(None);
        };
        let squares = demodulate.then(|| Squares::new(&w, outputs, inputs));
        let kernel = if k == 3 {
            Kernel::Three(Both::new(&w, (outputs, inputs), [Form::Same, Form::SameBack]))
        } else {
            Kernel::One(w)
        };
        Ok(Some(Self { isa, kernel, squares, gain: gain as f32, outputs, inputs }))
    }

    /// Channels of the result.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Channels that it reads.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Height or width of the result of a map of `n` pixels.
    pub(crate) fn out(&self, n: usize) -> usize {
        match self.kernel {
            Kernel::Three(_) => n + 2 * MARGIN,
            Kernel::One(_) => n,
        }
    }

    /// Demodulation factors of the result, without the gain: `[N, O]` in whole blocks.
    fn factors(&self, style: &[f32], n: usize) -> Vec<f32> {
        let lanes = blocks_of(self.outputs) * LANES;
        match &self.squares {
            Some(squares) => squares.factors(self.isa, style),
            None => vec![1.0; n * lanes],
        }
    }

    /// x `[N, I, H, W]`, style `[N, I]` → `[N, O, H', W']`.
    pub(crate) fn forward(&self, x: &[f32], style: &[f32], size: Size) -> Vec<f32> {
        let (n, h, w) = size;
        let style = pad_lines(style.iter().copied(), self.inputs);
        let factors = self.scaled(&self.factors(&style, n));
        match &self.kernel {
            Kernel::Three(both) => {
                let x = Map::padded(x, (n, self.inputs, h, w), MARGIN);
                let bias = vec![0.0; blocks_of(self.outputs) * LANES];
                let epilogue = Epilogue {
                    scale: Some(&factors),
                    bias: &bias,
                    noise: None,
                    act: [1.0, 1.0, f32::INFINITY],
                };
                let mut y = Map::new(n, self.outputs, x.h, x.w);
                let conv = Conv {
                    isa: self.isa,
                    weights: both.forward(),
                    x: &x,
                    style: Some(&style),
                    finish: Finish::Activate(&epilogue),
                };
                driver::run(&conv, &mut y);
                drop(x);
                y.to_planar()
            }
            Kernel::One(weight) => self
                .products(x, (n, h * w), |sample| self.modulated(weight, &factors, &style, sample)),
        }
    }

    /// The gradients of map `[N, I, H, W]` and style `[N, I]`, from `g` of the result `y`, which is
    /// used up.
    pub(crate) fn backward(
        &self,
        (x, style, y): (&[f32], &[f32], &[f32]),
        mut g: Vec<f32>,
        size: Size,
    ) -> (Vec<f32>, Vec<f32>) {
        let (n, h, w) = size;
        let style = pad_lines(style.iter().copied(), self.inputs);
        let factors = self.factors(&style, n);
        let area = self.out(h) * self.out(w);
        let sums = scale_planes(&mut g, y, &self.scaled(&factors), (self.outputs, area));
        let (dx, mut ds) = match &self.kernel {
            Kernel::Three(both) => {
                let shape = (n, self.outputs, self.out(h), self.out(w));
                let flow = Map::from_planar(&g, shape);
                drop(g);
                let x = Map::padded(x, (n, self.inputs, h, w), MARGIN);
                let gradient = Gradient { style: &style, x: &x };
                let (weights, finish) = (both.backward(), Finish::Gradient(&gradient));
                let mut dx = Map::new(n, self.inputs, x.h, x.w);
                let conv = Conv { isa: self.isa, weights, x: &flow, style: None, finish };
                let ds = driver::run(&conv, &mut dx);
                (dx.cropped(MARGIN), ds)
            }
            Kernel::One(weight) => self.backward_one(weight, (x, &style), &g, (n, h * w)),
        };
        if let Some(squares) = &self.squares {
            squares.backward(self.isa, &style, &factors, &sums, &mut ds);
        }
        (dx, self.lines(&ds))
    }

    fn scaled(&self, factors: &[f32]) -> Vec<f32> {
        factors.iter().map(|f| f * self.gain).collect()
    }

    /// The weights of a sample, `[O, I]`.
    fn modulated(&self, w: &[f32], factors: &[f32], style: &[f32], sample: usize) -> Vec<f32> {
        let factors = &factors[sample * blocks_of(self.outputs) * LANES..];
        let style = &style[sample * blocks_of(self.inputs) * LANES..][..self.inputs];
        let rows = w.chunks_exact(self.inputs).zip(factors);
        rows.flat_map(|(w, f)| w.iter().zip(style).map(move |(w, s)| w * s * f)).collect()
    }

    /// `w(sample) · x` for every sample, w `[O, I]`, x `[N, I, area]` → `[N, O, area]`.
    fn products(
        &self,
        x: &[f32],
        (n, area): (usize, usize),
        w: impl Fn(usize) -> Vec<f32>,
    ) -> Vec<f32> {
        let mut out = vec![0f32; n * self.outputs * area];
        let shared = Shared::new(&mut out);
        for (sample, x) in x.chunks_exact((self.inputs * area).max(1)).enumerate() {
            let at = sample * self.outputs * area;
            let into = Into { out: &shared, at, stride: area, add: false };
            let size = [self.outputs, area, self.inputs];
            in_blocks(into, size, Mat::new(&w(sample), self.inputs), x);
        }
        out
    }

    /// As [`FullConv::backward`] for 1×1 kernels, without the contribution of demodulation to the
    /// styles.
    fn backward_one(
        &self,
        weight: &[f32],
        (x, style): (&[f32], &[f32]),
        g: &[f32],
        (n, area): (usize, usize),
    ) -> (Vec<f32>, Vec<f32>) {
        let mut dx = vec![0f32; n * self.inputs * area];
        let shared = Shared::new(&mut dx);
        for (sample, g) in g.chunks_exact((self.outputs * area).max(1)).enumerate() {
            let at = sample * self.inputs * area;
            let into = Into { out: &shared, at, stride: area, add: false };
            let transposed = Mat::new(weight, self.inputs).t();
            in_blocks(into, [self.inputs, area, self.outputs], transposed, g);
        }
        let ds = scale_planes(&mut dx, x, style, (self.inputs, area));
        (dx, ds)
    }

    /// `[N, I]` from whole blocks.
    fn lines(&self, ds: &[f32]) -> Vec<f32> {
        let lanes = blocks_of(self.inputs) * LANES;
        ds.chunks_exact(lanes).flat_map(|line| &line[..self.inputs]).copied().collect()
    }
}

/// Scales every plane by the factor of its channel; before that, the sums over its products with
/// the plane of `other`, `[N, channels]` in whole blocks as the factors.
fn scale_planes(
    data: &mut [f32],
    other: &[f32],
    factors: &[f32],
    (channels, area): (usize, usize),
) -> Vec<f32> {
    let lanes = blocks_of(channels) * LANES;
    let mut sums = vec![0f32; factors.len()];
    let shared = Shared::new(&mut sums);
    planes(data, area, |i, plane| {
        let (other, at) = (&other[i * area..][..area], i / channels * lanes + i % channels);
        let found = sum(area, |p| plane[p] * other[p]) as f32;
        plane.iter_mut().for_each(|v| *v *= factors[at]);
        // SAFETY: every plane has an element of its own.
        unsafe { shared.slice(at, 1) }.fill(found);
    });
    sums
}
