//! Linear attention of image generators by lucidrains (after Shen et al. 2018, "Efficient
//! Attention"), alone or beside full attention to the 3×3 neighbours.

use super::Reader;
use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use crate::tensor::{Activation, bias_act, conv2d, depthwise};
use candle_core::{D, Tensor};
use candle_nn::ops::softmax;

/// Heads: the code that trains these models has no setting for them.
const HEADS: usize = 8;
/// Side of the neighbourhood of full attention, and of depthwise kernels.
const SIDE: usize = 3;
/// Attention of a map to itself.
pub(in crate::generator) struct LinearAttention {
    query: Tensor,
    depthwise: Tensor,
    key_value: Tensor,
    /// Queries, and keys with values, of full attention to the neighbours.
    near: Option<[Tensor; 2]>,
    out: Tensor,
    out_bias: Tensor,
    inner: usize,
}

impl LinearAttention {
    /// Reads the attention of a map of `c` channels. With `to_lin_q` among its modules it has full
    /// attention beside the linear one.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape.
    pub(in crate::generator) fn read(r: &mut Reader<'_>, name: &str, c: usize) -> Result<Self> {
        let part = |end: &str| format!("{name}.{end}");
        let both = r.has(&part("to_lin_q.weight"));
        let (to_q, to_kv) = if both { ("to_lin_q", "to_lin_kv") } else { ("to_q", "to_kv") };
        let shape = r.shape(&part(&format!("{to_q}.weight")))?;
        let inner = shape.first().copied().unwrap_or(0);
        if inner == 0 || inner % HEADS != 0 {
            let message = format!("attention `{}` has {inner} channels in 8 heads", Safe(name));
            return Err(
                Error::new(Kind::Format, message).hint("`gannet info` shows what the file holds")
            );
        }
        let near = if both {
            let query = r.parameter(&part("to_q.weight"), &[inner, c, 1, 1])?;
            Some([query, r.parameter(&part("to_kv.weight"), &[2 * inner, c, 1, 1])?])
        } else {
            None
        };
        let joined = if both { 2 * inner } else { inner };
        let kernel = [c, 1, SIDE, SIDE];
        Ok(Self {
            query: r.parameter(&part(&format!("{to_q}.weight")), &[inner, c, 1, 1])?,
            depthwise: r.parameter(&part(&format!("{to_kv}.net.0.weight")), &kernel)?,
            key_value: r
                .parameter(&part(&format!("{to_kv}.net.1.weight")), &[2 * inner, c, 1, 1])?,
            near,
            out: r.parameter(&part("to_out.weight"), &[c, joined, 1, 1])?,
            out_bias: r.parameter(&part("to_out.bias"), &[c])?,
            inner,
        })
    }

    /// x `[N, C, H, W]` → as x.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::generator) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut y = self.linear(x)?.gelu_erf()?;
        if let Some([query, key_value]) = &self.near {
            y = Tensor::cat(&[&y, &self.neighbours(x, query, key_value)?], 1)?;
        }
        let y = conv2d(&y.contiguous()?, &self.out, 1, 0)?;
        Ok(bias_act(&y, &self.out_bias, Activation::LINEAR)?)
    }

    /// 1/√d, d the channels of a head.
    fn scale(&self) -> f64 {
        1.0 / ((self.inner / HEADS) as f64).sqrt()
    }

    /// Keys and values, their channels in one map.
    fn halves(&self, both: &Tensor) -> Result<[Tensor; 2]> {
        let half = |at: usize| both.narrow(1, at * self.inner, self.inner)?.contiguous();
        Ok([half(0)?, half(1)?])
    }

    /// Linear attention over the whole map: queries are normalised over their channels, keys over
    /// the pixels.
    fn linear(&self, x: &Tensor) -> Result<Tensor> {
        let (n, _, h, w) = x.dims4()?;
        let heads = |t: &Tensor| t.reshape((n * HEADS, self.inner / HEADS, h * w));
        let query = softmax(&heads(&conv2d(x, &self.query, 1, 0)?)?, 1)?;
        let both = conv2d(&depthwise(x, &self.depthwise)?, &self.key_value, 1, 0)?;
        let [key, value] = self.halves(&both)?;
        let key = softmax(&heads(&key)?, D::Minus1)?;
        let context = heads(&value)?.matmul(&key.transpose(1, 2)?.contiguous()?)?;
        let out = context.matmul(&(query * self.scale())?.contiguous()?)?;
        Ok(out.reshape((n, self.inner, h, w))?)
    }

    /// Attention of every pixel to the 3×3 around it. Pixels beyond the border are zeros, and are
    /// attended to like others.
    fn neighbours(&self, x: &Tensor, query: &Tensor, key_value: &Tensor) -> Result<Tensor> {
        let (n, _, h, w) = x.dims4()?;
        let each = [n, HEADS, self.inner / HEADS, h, w];
        let query = (conv2d(x, query, 1, 0)?.reshape(&each[..])? * self.scale())?;
        let [keys, values] = self.halves(&conv2d(x, key_value, 1, 0)?)?;
        let mut likeness = Vec::new();
        for key in shifted(&keys)? {
            likeness.push((key.reshape(&each[..])? * &query)?.sum_keepdim(2)?);
        }
        let weights = softmax(&Tensor::cat(&likeness, 2)?, 2)?;
        let mut sum: Option<Tensor> = None;
        for (i, value) in shifted(&values)?.iter().enumerate() {
            let part = value.reshape(&each[..])?.broadcast_mul(&weights.narrow(2, i, 1)?)?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
        let sum = sum.ok_or_else(|| Error::runtime("attention without neighbours"))?;
        Ok(sum.reshape((n, self.inner, h, w))?)
    }
}

/// The maps that a 3×3 kernel reads at its taps, row by row, zeros beyond the border.
fn shifted(x: &Tensor) -> Result<Vec<Tensor>> {
    let (_, _, h, w) = x.dims4()?;
    let wide = x.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?;
    let tap = |i: usize| Ok(wide.narrow(2, i / SIDE, h)?.narrow(3, i % SIDE, w)?.contiguous()?);
    (0..SIDE * SIDE).map(tap).collect()
}
