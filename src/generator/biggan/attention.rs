//! Self attention over the pixels of a map (Zhang et al. 2019, "Self-Attention Generative
//! Adversarial Networks"), with keys and values pooled 2×2 as in the code of BigGAN.

use super::layer::{Layer, Map};
use crate::error::Result;
use crate::generator::layers::Reader;
use crate::tensor::linear;
use candle_core::{D, Tensor};

/// Self attention: `x + γ · o(g(x) · softmax(θ(x)ᵀ · φ(x))ᵀ)`.
pub(super) struct Attention {
    theta: Layer,
    phi: Layer,
    g: Layer,
    o: Layer,
    gamma: Tensor,
}

impl Attention {
    /// Reads `name.theta`, `name.phi`, `name.g`, `name.o` and `name.gamma`.
    pub(super) fn read(r: &mut Reader<'_>, name: &str) -> Result<Self> {
        let mut layer = |part: &str| Layer::read(r, &format!("{name}.{part}"), Map::Conv);
        let [theta, phi, g, o] = [layer("theta")?, layer("phi")?, layer("g")?, layer("o")?];
        let gamma = format!("{name}.gamma");
        let shape = r.shape(&gamma)?;
        let gamma = r.parameter(&gamma, &shape)?.reshape((1, 1, 1, 1))?;
        Ok(Self { theta, phi, g, o, gamma })
    }

    /// x `[N, C, H, W]` → the same shape; H and W are even.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (n, _, h, w) = x.dims4()?;
        let queries = self.theta.forward(x)?.flatten_from(2)?.transpose(1, 2)?.contiguous()?;
        let keys = pooled(&self.phi.forward(x)?)?.flatten_from(2)?.transpose(1, 2)?.contiguous()?;
        let values = pooled(&self.g.forward(x)?)?.flatten_from(2)?;
        let one = |i: usize| -> Result<Tensor> {
            let of = |t: &Tensor| t.narrow(0, i, 1)?.squeeze(0);
            let weights = softmax(&linear(&of(&queries)?, &of(&keys)?)?)?;
            Ok(linear(&of(&values)?, &weights)?)
        };
        let read = Tensor::stack(&(0..n).map(one).collect::<Result<Vec<_>>>()?, 0)?;
        let read = self.o.forward(&read.reshape((n, (), h, w))?)?;
        Ok((read.broadcast_mul(&self.gamma)? + x)?)
    }
}

/// The largest of every 2×2 pixels; of equal ones the first gets the gradient, as in PyTorch.
/// Equal ones are common where a map was doubled.
fn pooled(x: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let larger = |x: &Tensor, axis: usize| -> Result<Tensor> {
        let (a, b) = (x.narrow(axis, 0, 1)?.contiguous()?, x.narrow(axis, 1, 1)?.contiguous()?);
        Ok(a.ge(&b)?.where_cond(&a, &b)?)
    };
    let x = larger(&larger(&x.reshape((n, c, h / 2, 2, w / 2, 2))?, 5)?, 3)?;
    Ok(x.reshape((n, c, h / 2, w / 2))?)
}

/// Softmax over the last dimension.
fn softmax(x: &Tensor) -> Result<Tensor> {
    let largest = x.max_keepdim(D::Minus1)?.detach();
    let x = x.broadcast_sub(&largest)?.exp()?;
    Ok(x.broadcast_div(&x.sum_keepdim(D::Minus1)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn of_equal_pixels_the_first_gets_the_gradient() {
        let x = [1f32, 1.0, 0.0, 3.0, 1.0, 1.0, 3.0, 2.0];
        let x = Tensor::from_slice(&x, (1, 1, 2, 4), &Device::Cpu).expect("x");
        let x = Var::from_tensor(&x).expect("variable");
        let y = pooled(&x).expect("pooled");
        assert_eq!(y.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [1.0, 3.0]);
        let grads = y.sum_all().and_then(|l| l.backward()).expect("gradients");
        let found = grads.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(found, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
