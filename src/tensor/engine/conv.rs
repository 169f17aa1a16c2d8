//! A 3×3 convolution of the engine: its form, its weights, what it reads, and what is fused with
//! it. `driver.rs` runs it.

use super::buffer::{Buffer, Map, blocks_of};
use super::finish::Finish;
use super::isa::Isa;
use super::kernels::weights;
use super::lanes::{LANES, Lanes};
use super::schemes::Scheme;
use std::ops::Range;
use std::sync::OnceLock;

/// Pixels of a map up to which every product is made: forms that keep the size, and forms that
/// change it.
const FEW: (usize, usize) = (16, 64);

/// Effect of a convolution on the size of a map, `h → h'`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Padded by one: h.
    Same,
    /// Its gradient to the input.
    SameBack,
    /// Transposed, stride 2: 2h + 1.
    Up,
    /// Its gradient to the input: h where the map has 2h + 1.
    UpBack,
    /// Stride 2, padded by one: ⌈h/2⌉.
    Half,
    /// Its gradient to the input.
    HalfBack,
}

impl Form {
    /// Whether the weights are read turned round.
    fn flips(self) -> bool {
        matches!(self, Self::SameBack | Self::Up | Self::HalfBack)
    }

    /// Start of the first tile, in the input and in the output.
    pub(super) fn origin(self) -> (isize, isize) {
        match self {
            Self::Same | Self::SameBack | Self::Up => (-1, 0),
            Self::UpBack => (0, 0),
            Self::Half => (-1, 0),
            Self::HalfBack => (-1, -1),
        }
    }

    /// Whether a map of `input` pixels along an axis gives one of `output`.
    pub(super) fn fits(self, input: usize, output: usize) -> bool {
        match self {
            Self::Same | Self::SameBack => input == output,
            Self::Up => output == 2 * input + 1,
            Self::UpBack => input == 2 * output + 1,
            Self::Half => output == input.div_ceil(2),
            Self::HalfBack => input == output.div_ceil(2),
        }
    }

    /// Whether a map of this many pixels (the smaller of input and output) is so small that every
    /// product is made.
    pub(super) fn few(self, pixels: usize) -> bool {
        pixels <= if matches!(self, Self::Same | Self::SameBack) { FEW.0 } else { FEW.1 }
    }

    /// Tiles that cover `output` pixels along an axis; of a doubling convolution all but perhaps
    /// the last pixel.
    pub(super) fn tiles(self, output: usize) -> usize {
        match self {
            Self::Up => (output / 2).div_ceil(4),
            Self::HalfBack => (output + 1).div_ceil(8),
            _ => output.div_ceil(4),
        }
    }
}

/// Weights in the order of the kernel, one way.
pub(super) struct Packed {
    /// `[blocks of outputs, inputs, 9, 16]`, inputs in whole blocks.
    w: Buffer,
    inputs: usize,
    outputs: usize,
    form: Form,
}

impl Packed {
    /// Packs the weights `w(output, input, tap)`.
    pub(super) fn new(
        (outputs, inputs): (usize, usize),
        form: Form,
        w: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let padded = blocks_of(inputs) * LANES;
        let mut buffer = Buffer::new(blocks_of(outputs) * padded * 9 * LANES);
        crate::raw::planes(&mut buffer, (padded * 9 * LANES).max(1), |block, dst| {
            let first = block * LANES;
            let used = LANES.min(outputs - first);
            let (taken, rest) = dst.split_at_mut(inputs * 9 * LANES);
            for (input, taps) in taken.chunks_exact_mut(9 * LANES).enumerate() {
                for (tap, lanes) in taps.chunks_exact_mut(LANES).enumerate() {
                    let (lanes, empty) = lanes.split_at_mut(used);
                    lanes.iter_mut().enumerate().for_each(|(i, v)| *v = w(first + i, input, tap));
                    empty.fill(0.0);
                }
            }
            rest.fill(0.0);
        });
        Self { w: buffer, inputs, outputs, form }
    }

    /// The same weights for the other direction: outputs are inputs.
    fn turned(&self, form: Form) -> Self {
        Self::new((self.inputs, self.outputs), form, |out, inp, tap| self.at(inp, out, tap))
    }

    /// One weight.
    fn at(&self, output: usize, input: usize, tap: usize) -> f32 {
        let (w, _) = self.block(output / LANES);
        w[(input * 9 + tap) * LANES + output % LANES]
    }

    /// All weights, `[O, I, 9]`.
    pub(super) fn planar(&self) -> Vec<f32> {
        let mut out = vec![0f32; self.outputs * self.inputs * 9];
        crate::raw::planes(&mut out, (self.inputs * 9).max(1), |output, dst| {
            for (at, v) in dst.iter_mut().enumerate() {
                *v = self.at(output, at / 9, at % 9);
            }
        });
        out
    }

    /// Channels that it reads.
    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Channels that it makes.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Its effect on the size of a map.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// The weights from a block of outputs on, and how many elements each block has.
    pub(super) fn block(&self, output: usize) -> (&[f32], usize) {
        let each = blocks_of(self.inputs) * LANES * 9 * LANES;
        (&self.w[output * each..], each)
    }

    /// The weights of one block of outputs and some blocks of inputs.
    pub(super) fn some(&self, output: usize, inputs: &Range<usize>) -> &[f32] {
        let (w, _) = self.block(output);
        &w[inputs.start * 9 * LANES * LANES..][..inputs.len() * 9 * LANES * LANES]
    }

    /// Transforms the weights of one block of outputs and some blocks of inputs: 36 runs of
    /// `stride` elements at `u`.
    ///
    /// # Safety
    /// `u` holds 36 runs of these inputs.
    #[inline(always)]
    pub(super) unsafe fn transform<L, S, const I: usize, const P: usize, const O: usize>(
        &self,
        (output, inputs): (usize, &Range<usize>),
        u: *mut f32,
        stride: usize,
    ) where
        L: Lanes,
        S: Scheme<I, P, O>,
    {
        let w = self.some(output, inputs).as_ptr();
        // SAFETY: the caller's promise, and these are the weights of these inputs.
        unsafe {
            weights::<L, S, I, P, O>(w, (u, stride), inputs.len() * LANES, self.form.flips())
        };
    }
}

/// Weights of a convolution for both directions. Those for the gradient are packed when they are
/// first needed: a generator that only draws does without.
pub(super) struct Both {
    forward: Packed,
    backward: OnceLock<Packed>,
    /// Form of the gradient.
    back: Form,
}

impl Both {
    /// Packs weights `[O, I, 9]` for a form and the form of its gradient.
    pub(super) fn new(w: &[f32], (o, i): (usize, usize), [ahead, back]: [Form; 2]) -> Self {
        let forward = Packed::new((o, i), ahead, |out, inp, tap| w[(out * i + inp) * 9 + tap]);
        Self { forward, backward: OnceLock::new(), back }
    }

    /// For the map.
    pub(super) fn forward(&self) -> &Packed {
        &self.forward
    }

    /// For the gradient.
    pub(super) fn backward(&self) -> &Packed {
        if let Some(packed) = self.backward.get() {
            return packed;
        }
        // Packed outside the lock: a thread that waits for its share of the work may run a job that
        // needs the same weights.
        let packed = self.forward.turned(self.back);
        self.backward.get_or_init(|| packed)
    }
}

/// One convolution.
pub(super) struct Conv<'a> {
    pub(super) isa: Isa,
    pub(super) weights: &'a Packed,
    pub(super) x: &'a Map,
    /// Factors of the input `[N, C]` in whole blocks.
    pub(super) style: Option<&'a [f32]>,
    pub(super) finish: Finish<'a>,
}
