//! Batch norm at rest: stored statistics, with a gain and a bias for every channel, either learned
//! or computed from the vector that the block reads.

use super::refuse::refuse;
use super::weight::Weight;
use crate::error::Result;
use crate::generator::layers::Reader;
use crate::tensor::{Activation, Affine, FixedNorm, linear};
use candle_core::Tensor;

/// ReLU and leaky ReLU; slope 1 is the identity.
pub(super) fn activation(slope: f64) -> Activation {
    Activation { slope, gain: 1.0, clamp: None }
}

/// Source of gain and bias.
enum Factors {
    /// Learned numbers `[C]`.
    Learned { gain: Tensor, bias: Tensor },
    /// `1 + G·y` and `B·y` of the vector y that the block reads (de Vries et al. 2017).
    Conditional { gain: Weight, bias: Weight },
}

/// Statistics of the activations.
struct Statistics {
    /// `[S, C]`, one row for each stored truncation.
    mean: Tensor,
    /// `[S, C]`.
    var: Tensor,
    eps: f64,
    /// The norm where there is one row.
    fixed: Option<FixedNorm>,
}

/// A batch norm.
pub(super) struct Norm {
    factors: Factors,
    statistics: Statistics,
}

impl Norm {
    /// Reads `name.mean`, `name.var`, and `name.gain` and `name.bias`: tensors, or layers that read
    /// `reads` numbers.
    pub(super) fn read(
        r: &mut Reader<'_>,
        name: &str,
        (channels, reads): (usize, usize),
        eps: f64,
    ) -> Result<Self> {
        let part = |end: &str| format!("{name}.{end}");
        let factors = if r.has(&part("gain")) {
            Factors::Learned {
                gain: r.parameter(&part("gain"), &[channels])?,
                bias: r.parameter(&part("bias"), &[channels])?,
            }
        } else {
            Factors::Conditional {
                gain: Weight::read(r, &part("gain"), &[channels, reads], 0)?,
                bias: Weight::read(r, &part("bias"), &[channels, reads], 0)?,
            }
        };
        Ok(Self { factors, statistics: Statistics::read(r, name, channels, eps)? })
    }

    /// The norm of the output of a layer whose bias is added first, then an activation.
    ///
    /// # Shapes
    /// x `[N, C, H, W]`, bias `[C]`, y `[N, reads]`.
    pub(super) fn forward(
        &self,
        (x, bias): (&Tensor, Option<&Tensor>),
        y: Option<&Tensor>,
        (truncation, slope): (f64, f64),
    ) -> Result<Tensor> {
        let fixed = self.statistics.at(truncation)?;
        let mut affine = match (&self.factors, y) {
            (Factors::Learned { gain, bias }, _) => fixed.affine(gain, bias)?,
            (Factors::Conditional { gain, bias }, Some(y)) => {
                let gain = (linear(y, &gain.tensor()?)? + 1.0)?;
                fixed.affine(&gain, &linear(y, &bias.tensor()?)?)?
            }
            (Factors::Conditional { .. }, None) => {
                return Err(refuse("a conditional norm reads nothing".into()));
            }
        };
        if let Some(bias) = bias {
            let Affine { scale, shift } = affine;
            let shift = (scale.broadcast_mul(bias)? + shift)?;
            affine = Affine { scale, shift };
        }
        Ok(affine.apply(x, activation(slope))?)
    }
}

impl Statistics {
    fn read(r: &mut Reader<'_>, name: &str, channels: usize, eps: f64) -> Result<Self> {
        let part = |end: &str| format!("{name}.{end}");
        let shape = r.shape(&part("mean"))?;
        let mut both = [r.buffer(&part("mean"), &shape)?, r.buffer(&part("var"), &shape)?];
        let rows = match shape[..] {
            [c] if c == channels => {
                both = [both[0].unsqueeze(0)?, both[1].unsqueeze(0)?];
                1
            }
            [rows, c] if c == channels && rows > 0 => rows,
            _ => {
                return Err(refuse(format!("`{name}.mean` has shape {shape:?}"))
                    .hint(format!("[{channels}] or one such row for each truncation is read")));
            }
        };
        if r.has(&part("counter")) {
            // Standing statistics are sums over that many batches.
            let count = r.buffer(&part("counter"), &[1])?.to_vec1::<f32>()?;
            if let Some(count) = count.first().filter(|n| **n > 0.0) {
                let part = 1.0 / f64::from(*count);
                both = [(&both[0] * part)?, (&both[1] * part)?];
            }
        }
        let [mean, var] = both;
        let fixed = match rows {
            1 => Some(FixedNorm::new(&mean.squeeze(0)?, &var.squeeze(0)?, eps)?),
            _ => None,
        };
        Ok(Self { mean, var, eps, fixed })
    }

    /// The statistics for a truncation from 0 to 1.
    ///
    /// Between stored ones, the port of BigGAN-deep gives the fraction to the lower one, and the
    /// rest to the upper one: at 0.43 with rows at 0.42 and 0.44 both are half; at 0.439 the lower
    /// one has 0.95. Its pictures are made that way, so that is kept.
    fn at(&self, truncation: f64) -> Result<FixedNorm> {
        if let Some(fixed) = &self.fixed {
            return Ok(fixed.clone());
        }
        let last = self.mean.dim(0)? - 1;
        let place = truncation / (1.0 / last as f64);
        let (row, part) = ((place.trunc() as usize).min(last), place.fract());
        let between = |t: &Tensor| -> Result<Tensor> {
            let at = |row: usize| t.narrow(0, row, 1)?.squeeze(0);
            if part == 0.0 || row == last {
                return Ok(at(row)?);
            }
            Ok(((at(row)? * part)? + (at(row + 1)? * (1.0 - part))?)?)
        };
        Ok(FixedNorm::new(&between(&self.mean)?, &between(&self.var)?, self.eps)?)
    }
}
