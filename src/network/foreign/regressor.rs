//! What HyperInverter finds the change of one weight with: the features of picture and
//! reconstruction become a few numbers, and two layers turn these into the change.

use crate::error::{Error, Kind, Result};
use crate::latent::Part;
use crate::network::layers::{Conv, RELU, Taker};
use crate::tensor::Activation;
use candle_core::Tensor;

/// Size, stride and padding of the convolutions of the extractor.
const EXTRACTOR: [[usize; 3]; 4] = [[3, 1, 1], [4, 2, 1], [4, 2, 1], [4, 2, 1]];
/// PyTorch's epsilon of instance normalisation.
const EPS: f64 = 1e-5;

/// A network that finds the change of one weight.
pub(super) struct Regressor {
    /// The place of the weight among the generator's, and its shape `[O, I, …]`.
    weight: usize,
    shape: Vec<usize>,
    fusion: Conv,
    extractor: Vec<Conv>,
    /// `[Z, I·Z]` and `[I·Z]`
    first: [Tensor; 2],
    /// The second layer with its bias as the last row, `[1, Z + 1, O·k²]`.
    right: Tensor,
}

impl Regressor {
    /// Takes `fusion`, `feature_extractor`, `w1`, `b1`, `w2` and `b2`, for features of so many
    /// channels and the weight at a place, with its shape.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn take(
        t: &mut Taker<'_>,
        channels: usize,
        (weight, shape): (usize, &[usize]),
    ) -> Result<Self> {
        let fusion = t.conv("fusion.0", channels, [1, 1, 0])?;
        let (mut extractor, mut now) = (Vec::new(), fusion.outputs());
        for (k, how) in EXTRACTOR.into_iter().enumerate() {
            let conv = t.conv(&format!("feature_extractor.{}", 2 * k), now, how)?;
            now = conv.outputs();
            extractor.push(conv);
        }
        let columns = shape.get(1).copied().unwrap_or(1);
        let rows = shape.iter().product::<usize>() / columns.max(1);
        let [found, all] = [t.size("w1", 1), t.size("w2", 1)];
        if [found, all] != [columns * now, rows] {
            let of = found / now.max(1);
            let text = format!("{}: a change of {of}×{all} for a weight of {shape:?}", t.file());
            return Err(
                Error::new(Kind::Format, text).hint("load the generator that it was trained for")
            );
        }
        let first = [t.take("w1", &[now, found])?, t.take("b1", &[found])?];
        let second = [t.take("w2", &[now, all])?, t.take("b2", &[all])?.unsqueeze(0)?];
        let right = Tensor::cat(&second, 0)?.unsqueeze(0)?;
        Ok(Self { weight, shape: shape.to_vec(), fusion, extractor, first, right })
    }

    /// The change of the weight for features of reconstruction and picture, `[N, 2C, 8, 8]`: its
    /// factors, or all of it where that is less.
    ///
    /// # Errors
    /// When the features do not fit.
    pub fn forward(&self, both: &Tensor) -> Result<Vec<(Part, Tensor)>> {
        let left = self.left(both)?;
        let (n, columns, rank) = left.dims3()?;
        let (_, _, all) = self.right.dims3()?;
        if rank * (columns + all) < columns * all {
            let right = (Part::Right(self.weight), self.right.clone());
            return Ok(vec![(Part::Left(self.weight), left), right]);
        }
        // The official code reads the product of both as the weight, number by number.
        let whole = left.broadcast_matmul(&self.right)?;
        let whole = whole.reshape([&[n][..], &self.shape].concat())?;
        Ok(vec![(Part::Delta(self.weight), whole)])
    }

    /// The left factor, `[N, I, Z + 1]`. Its last column is 1 for the second layer's bias.
    fn left(&self, both: &Tensor) -> Result<Tensor> {
        let x = normalised(&self.fusion.forward(both, Activation::LINEAR)?)?.relu()?;
        let x = self.extractor.iter().try_fold(x, |x, conv| conv.forward(&x, RELU))?;
        let (n, inner, h, w) = x.dims4()?;
        if (h, w) != (1, 1) {
            let text = format!("{h}×{w} places are left where a weight's change wants one");
            return Err(Error::runtime(text).hint("use the unchanged file"));
        }
        let [weight, bias] = &self.first;
        let made = x.reshape((n, inner))?.matmul(weight)?.broadcast_add(bias)?;
        let made = made.reshape((n, (), inner))?;
        let ones = made.narrow(2, 0, 1)?.ones_like()?;
        Ok(Tensor::cat(&[&made, &ones], 2)?)
    }
}

/// Each plane at mean 0 and variance 1, `[N, C, H, W]`.
fn normalised(x: &Tensor) -> Result<Tensor> {
    let flat = x.flatten_from(2)?;
    let flat = flat.broadcast_sub(&flat.mean_keepdim(2)?)?;
    let size = (flat.sqr()?.mean_keepdim(2)? + EPS)?.sqrt()?;
    Ok(flat.broadcast_div(&size)?.reshape(x.dims())?)
}
