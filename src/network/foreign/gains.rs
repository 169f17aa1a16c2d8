//! What HyperStyle finds the gains of one convolution with: convolutions that halve the last map,
//! then one of three heads.

use super::halving::Halving;
use crate::error::{Error, Kind, Result};
use crate::network::layers::{Dense, Taker};
use candle_core::{DType, Device, Tensor};

/// A head of one convolution of the generator.
pub(super) struct Head {
    convs: Halving,
    end: End,
}

/// How a head ends.
enum End {
    /// A code, of which [`Shared`] makes the gains.
    Code(Dense),
    /// A gain of each pair of channels.
    Pairs(Dense),
    /// A gain of each number of a kernel, as the product of two kernels of fewer numbers.
    Separable(Box<Separable>),
}

/// What a head finds.
pub(super) enum Found {
    /// A code for [`Shared`], `[N, Z]`.
    Code(Tensor),
    /// Gains, `[N, O, I]` or `[N, O, I·k²]`.
    Gain(Tensor),
}

impl Head {
    /// Takes the head of a convolution with a weight of this shape, of a map of so many channels.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn take(t: &mut Taker<'_>, channels: usize, shape: [usize; 3]) -> Result<Self> {
        let [rows, columns, _] = shape;
        let coded = t.has("linear.weight");
        let convs = Halving::take(t, "convs", (channels, if coded { 1 } else { 2 }))?;
        let inner = convs.outputs(channels);
        let end = if coded {
            End::Code(t.dense("linear", inner, (inner as f64).powf(-0.5))?)
        } else if t.has("output.0.make_kernel_in.weight") {
            let own = Separable::take(&mut t.below("output.0."), inner, shape)?;
            End::Separable(Box::new(own))
        } else {
            let pairs = t.place("output.1", inner)?;
            fits(t, pairs.outputs(), rows * columns)?;
            End::Pairs(pairs)
        };
        Ok(Self { convs, end })
    }

    /// Numbers of the code that it finds for what the heads share; `None` where it needs nothing of
    /// that.
    pub fn code(&self) -> Option<usize> {
        match &self.end {
            End::Code(linear) => Some(linear.outputs()),
            _ => None,
        }
    }

    /// What it finds of the last map, for a convolution with so many rows.
    ///
    /// # Errors
    /// When the map does not fit.
    pub fn forward(&self, map: &Tensor, rows: usize) -> Result<Found> {
        Ok(match &self.end {
            End::Code(linear) => Found::Code(linear.forward(&self.convs.one(map)?)?),
            End::Pairs(pairs) => {
                let whole = self.convs.forward(map)?.flatten_from(2)?.mean(2)?; // [NC]
                Found::Gain(pairs.forward(&whole)?.reshape(((), rows, pairs.outputs() / rows))?)
            }
            End::Separable(own) => Found::Gain(own.forward(&self.convs.one(map)?)?),
        })
    }
}

/// Refuses gains of other sizes than a convolution's.
fn fits(t: &Taker<'_>, found: usize, wanted: usize) -> Result<()> {
    if found == wanted && found > 0 {
        return Ok(());
    }
    let text = format!("{}: {found} gains for a convolution of {wanted}", t.file());
    Err(Error::new(Kind::Format, text).hint("load the generator that it was trained for"))
}

/// A kernel as the product of two, each for the channels of one side.
struct Separable {
    /// `[N, Z]` → `[N, k·k·I]`, `[N, k·k·O]`
    kernels: [Dense; 2],
    /// `[…, I]` → `[…, I]`, `[…, O]` → `[…, O]`
    mixed: [Dense; 2],
    shape: [usize; 3],
}

impl Separable {
    fn take(t: &mut Taker<'_>, inner: usize, shape: [usize; 3]) -> Result<Self> {
        let [rows, columns, size] = shape;
        let kernels =
            [t.dense("make_kernel_in", inner, 1.0)?, t.dense("make_kernel_out", inner, 1.0)?];
        fits(t, kernels[0].outputs(), size * size * columns)?;
        fits(t, kernels[1].outputs(), size * size * rows)?;
        let mixed =
            [t.dense("kernel_linear_in", columns, 1.0)?, t.dense("kernel_linear_out", rows, 1.0)?];
        Ok(Self { kernels, mixed, shape })
    }

    /// `[N, Z]` → `[N, O, I·k²]`
    fn forward(&self, code: &Tensor) -> Result<Tensor> {
        let [rows, columns, size] = self.shape;
        let (n, places) = (code.dim(0)?, size * size);
        let [inner, outer] = [&self.kernels[0], &self.kernels[1]];
        let inner = inner.forward(code)?.reshape((n * places, 1, columns))?;
        let outer = outer.forward(code)?.reshape((n * places, rows, 1))?;
        let kernel = outer.broadcast_mul(&inner)?; // [Nkk, O, I]
        let along = |x: &Tensor, dense: &Dense| -> Result<Tensor> {
            Ok(dense.forward(&x.flatten_to(1)?)?.reshape(x.dims())?)
        };
        let kernel = along(&kernel, &self.mixed[0])?.transpose(1, 2)?.contiguous()?; // [Nkk, I, O]
        let kernel = along(&kernel, &self.mixed[1])?.reshape((n, places, columns, rows))?;
        Ok(kernel.permute((0, 3, 2, 1))?.contiguous()?.reshape((n, rows, columns * places))?)
    }
}

/// Two layers that turn the codes of all heads of square convolutions into gains.
pub(super) struct Shared {
    /// `[Z, S·Z]`, for convolutions of `S` channels.
    first: Tensor,
    bias: Tensor,
    /// The second layer with its bias as the last row, `[1, Z + 1, C]`: the right factor of all
    /// gains.
    right: Tensor,
}

impl Shared {
    /// Takes `w1`, `b1`, `w2` and `b2`.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn take(t: &mut Taker<'_>) -> Result<Self> {
        let (inner, columns) = (t.size("w1", 0), t.size("w1", 1));
        let all = t.size("w2", 1);
        let second = t.take("w1", &[inner, columns])?;
        let last = t.take("b1", &[columns])?.unsqueeze(0)?;
        let right = Tensor::cat(&[second, last], 0)?.unsqueeze(0)?;
        Ok(Self { first: t.take("w2", &[inner, all])?, bias: t.take("b2", &[all])?, right })
    }

    /// Refuses a convolution for which it makes no gains of a code with so many numbers.
    ///
    /// # Errors
    /// When the weight or the code has another shape.
    pub fn check(&self, t: &Taker<'_>, code: usize, shape: [usize; 3]) -> Result<()> {
        let [rows, columns, size] = shape;
        let (_, inner, found) = self.right.dims3()?;
        fits(t, code + 1, inner)?;
        fits(t, self.bias.elem_count(), rows * code)?;
        let whole = columns * size * size;
        fits(t, found, if found == columns { columns } else { whole })
    }

    /// The right factor of all gains.
    pub fn right(&self) -> &Tensor {
        &self.right
    }

    /// The left factors of the gains of `L` convolutions, each `[N, S, Z + 1]`. Their last column
    /// is 1 for the second layer's bias.
    ///
    /// # Shapes
    /// codes: `L` of `[N, Z]`
    ///
    /// # Errors
    /// When the codes have another size.
    pub fn left(&self, codes: &[Tensor]) -> Result<Vec<Tensor>> {
        let Some(first) = codes.first() else { return Ok(Vec::new()) };
        let (n, inner) = first.dims2()?;
        let rows = self.bias.elem_count() / inner;
        let ones = Tensor::ones((1, rows, 1), DType::F32, self.device())?;
        let mut all = vec![Vec::with_capacity(n); codes.len()];
        // The first layer is large: it is read once an image, for all convolutions.
        for i in 0..n {
            let own = codes.iter().map(|c| c.narrow(0, i, 1)).collect::<Result<Vec<_>, _>>()?;
            let made = Tensor::cat(&own, 0)?.matmul(&self.first)?.broadcast_add(&self.bias)?;
            for (k, left) in all.iter_mut().enumerate() {
                let one = made.narrow(0, k, 1)?.reshape((1, rows, inner))?;
                left.push(Tensor::cat(&[&one, &ones], 2)?);
            }
        }
        all.iter().map(|each| Ok(Tensor::cat(each, 0)?)).collect()
    }

    fn device(&self) -> &Device {
        self.right.device()
    }
}
