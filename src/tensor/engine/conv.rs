//! A 3×3 convolution of the engine: its form, its weights, what it reads, and what is fused with
//! it. `driver.rs` runs it.

use super::buffer::{Buffer, Map, blocks_of};
use super::finish::Finish;
use super::isa::Isa;
use super::kernels::weights;
use super::lanes::{LANES, Lanes};
use super::schemes::Scheme;
use std::ops::Range;

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
        let mut buffer = Buffer::zeros(blocks_of(outputs) * padded * 9 * LANES);
        crate::raw::planes(&mut buffer, (padded * 9 * LANES).max(1), |block, dst| {
            for (at, v) in dst.iter_mut().enumerate() {
                let (lane, tap, input) = (at % LANES, at / LANES % 9, at / LANES / 9);
                let output = block * LANES + lane;
                if output < outputs && input < inputs {
                    *v = w(output, input, tap);
                }
            }
        });
        Self { w: buffer, inputs, outputs, form }
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

/// One convolution.
pub(super) struct Conv<'a> {
    pub(super) isa: Isa,
    pub(super) weights: &'a Packed,
    pub(super) x: &'a Map,
    /// Factors of the input `[N, C]` in whole blocks.
    pub(super) style: Option<&'a [f32]>,
    pub(super) finish: Finish<'a>,
}
