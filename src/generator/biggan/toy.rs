//! Tiny seeded BigGANs with random weights, for tests.

use super::{BigGan, Given, Kind, Reads};
use crate::error::Result;
use crate::generator::toy::Draw;
use crate::weights::Weights;
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;

/// Settings of a toy generator.
#[derive(Clone, Debug)]
pub(crate) struct Toy {
    /// Kind of its blocks.
    pub(crate) kind: Kind,
    /// What they read.
    pub(crate) reads: Reads,
    /// Whether classes have a table.
    pub(crate) table: bool,
    /// Rows of statistics.
    pub(crate) statistics: usize,
    /// Whether weights are spectrally normalised, by stored vectors or by one step.
    pub(crate) spectral: Option<bool>,
}

impl Default for Toy {
    fn default() -> Self {
        Self {
            kind: Kind::Deep,
            reads: Reads::Whole,
            table: true,
            statistics: 6,
            spectral: Some(true),
        }
    }
}

/// Channels of the first map and after each of the two blocks.
const WIDTHS: [usize; 3] = [16, 16, 8];
/// Classes.
pub(crate) const CLASSES: usize = 3;
/// Numbers of a row of the table.
const ROW: usize = 4;
/// Numbers of z that the first layer reads.
const READ: usize = 2;

impl Toy {
    /// Makes the generator.
    pub(crate) fn build(&self, device: &Device) -> Result<BigGan> {
        let mut weights = Weights::of_tensors("toybig", self.tensors(device)?);
        let fingerprint = weights.fingerprint()?;
        BigGan::new(&mut weights, &self.given(), &fingerprint, device)
    }

    /// Settings besides the tensors.
    pub(crate) fn given(&self) -> Given {
        let z_limit = (self.statistics > 1).then_some(2.0);
        let name = Some("toybig".into());
        Given { name, class_first: true, reads: Some(self.reads), z_limit, ..Given::default() }
    }

    /// Its tensors by name.
    pub(crate) fn tensors(&self, device: &Device) -> Result<BTreeMap<String, Tensor>> {
        let mut d = Draw { seed: 1, device, tensors: BTreeMap::new() };
        let class = if self.table { ROW } else { CLASSES };
        if self.table && self.reads != Reads::Nothing {
            d.put("embedding.weight", &[CLASSES, ROW], 0.3, 1.0)?;
        }
        let (first, read) = match self.reads {
            Reads::Whole => (READ + class, READ + class),
            Reads::Chunks => (READ, READ + class),
            Reads::Class => (READ, class),
            Reads::Nothing => (READ, 0),
        };
        self.layer(&mut d, "first", &[WIDTHS[0] * 4, first])?;
        for (i, pair) in WIDTHS.windows(2).enumerate() {
            self.block(&mut d, &format!("blocks.{i}"), (pair[0], pair[1], read))?;
        }
        let c = WIDTHS[2];
        for (part, outputs, inputs) in [("theta", 2, c), ("phi", 2, c), ("g", 4, c), ("o", c, 4)] {
            let name = format!("blocks.1.attention.{part}");
            self.weight(&mut d, &name, &[outputs, inputs, 1, 1], 0)?;
        }
        d.put("blocks.1.attention.gamma", &[1], 0.7, 0.0)?;
        self.norm(&mut d, "last.norm", c, 0)?;
        self.layer(&mut d, "last.conv", &[3, c, 3, 3])?;
        Ok(d.tensors)
    }

    fn block(
        &self,
        d: &mut Draw<'_>,
        name: &str,
        (inputs, outputs, read): (usize, usize, usize),
    ) -> Result<()> {
        let middle = inputs / 4;
        let convs: &[(usize, usize, usize)] = match self.kind {
            Kind::Plain => &[(outputs, inputs, 3), (outputs, outputs, 3)],
            Kind::Deep => &[
                (middle, inputs, 1),
                (middle, middle, 3),
                (middle, middle, 3),
                (outputs, middle, 1),
            ],
            _ => {
                self.norm(d, &format!("{name}.norm1"), outputs, read)?;
                self.weight(d, &format!("{name}.deconv"), &[inputs, outputs, 4, 4], 1)?;
                return d.put(&format!("{name}.deconv.bias"), &[outputs], 0.0, 0.2);
            }
        };
        for (k, &(o, i, size)) in convs.iter().enumerate() {
            self.norm(d, &format!("{name}.norm{}", k + 1), i, read)?;
            self.layer(d, &format!("{name}.conv{}", k + 1), &[o, i, size, size])?;
        }
        if self.kind == Kind::Plain {
            self.layer(d, &format!("{name}.skip"), &[outputs, inputs, 1, 1])?;
        }
        Ok(())
    }

    fn norm(&self, d: &mut Draw<'_>, name: &str, channels: usize, read: usize) -> Result<()> {
        let shape = match self.statistics {
            1 => vec![channels],
            rows => vec![rows, channels],
        };
        d.put(&format!("{name}.mean"), &shape, 0.0, 0.3)?;
        d.put(&format!("{name}.var"), &shape, 1.0, 0.1)?;
        for (part, mean) in [("gain", 1.0), ("bias", 0.2)] {
            let name = format!("{name}.{part}");
            if read == 0 {
                d.put(&name, &[channels], mean, 0.2)?;
            } else {
                self.weight(d, &name, &[channels, read], 0)?;
            }
        }
        Ok(())
    }

    fn layer(&self, d: &mut Draw<'_>, name: &str, shape: &[usize]) -> Result<()> {
        d.put(&format!("{name}.bias"), &[shape[0]], 0.0, 0.2)?;
        self.weight(d, name, shape, 0)
    }

    fn weight(&self, d: &mut Draw<'_>, name: &str, shape: &[usize], axis: usize) -> Result<()> {
        let inputs: usize = shape.iter().product::<usize>() / shape[axis];
        let spread = 1.0 / (inputs as f64).sqrt();
        let (u, v) = (format!("{name}.weight_u"), format!("{name}.weight_v"));
        match self.spectral {
            None => d.put(&format!("{name}.weight"), shape, 0.0, spread),
            Some(false) => {
                d.put(&format!("{name}.u0"), &[1, shape[axis]], 0.0, 1.0)?;
                d.put(&format!("{name}.weight"), shape, 0.0, spread)
            }
            Some(true) => {
                // Vectors of one step of the power method from ones.
                let full = format!("{name}.weight_orig");
                d.put(&full, shape, 0.0, spread)?;
                let weight = d.tensors[&full].transpose(0, axis)?.flatten_from(1)?;
                let unit = |t: Tensor| t.broadcast_div(&t.sqr()?.sum_all()?.sqrt()?);
                let ones = Tensor::ones((shape[axis], 1), DType::F32, d.device)?;
                let right = unit(weight.t()?.matmul(&ones)?)?;
                let left = unit(weight.matmul(&right)?)?;
                d.tensors.extend([(u, left.flatten_all()?), (v, right.flatten_all()?)]);
                Ok(())
            }
        }
    }
}
