//! The synthesis network: a first map from z, residual blocks, the picture.

use super::attention::Attention;
use super::config::{Config, Kind, Reads, Stage};
use super::layer::{Layer, Map};
use super::norm::{Norm, activation};
use crate::error::Result;
use crate::generator::layers::{Reader, through};
use crate::generator::{Feature, Tap, Tapped};
use crate::tensor::{Filter, bias_act, up2};
use candle_core::Tensor;

/// A norm with activation, and the layer that reads it.
struct Step {
    norm: Norm,
    layer: Layer,
}

/// A residual block: norm, activation and convolution, two or four times, beside a shortcut.
struct Block {
    steps: Vec<Step>,
    skip: Option<Layer>,
    /// Channels of its map: the first ones of what it reads, where no layer shortens it.
    outputs: usize,
    doubles: bool,
}

/// A stage, ready to run.
enum Part {
    Block(Block),
    /// A transposed convolution, then norm and activation.
    Transposed {
        layer: Layer,
        norm: Norm,
    },
    Attention(Attention),
}

/// The synthesis network.
pub(super) struct Synthesis {
    first: Layer,
    parts: Vec<Part>,
    norm: Option<Norm>,
    last: Layer,
    config: Config,
}

impl Block {
    fn read(r: &mut Reader<'_>, stage: &Stage, reads: usize, eps: f64) -> Result<Self> {
        let deep = stage.kind == Kind::Deep;
        // The doubling comes before the first 3×3 convolution.
        let doubled = if deep { 2 } else { 1 };
        let mut steps = Vec::new();
        for k in 1..=stage.kind.norms() {
            let map = if stage.doubles && k == doubled { Map::Doubled } else { Map::Conv };
            let conv = format!("{}.conv{k}", stage.name);
            let channels = match steps.last() {
                None => stage.inputs,
                Some(Step { layer, .. }) => layer.outputs(),
            };
            let norm = format!("{}.norm{k}", stage.name);
            let norm = Norm::read(r, &norm, (channels, reads), eps)?;
            steps.push(Step { norm, layer: Layer::read(r, &conv, map)? });
        }
        let name = format!("{}.skip", stage.name);
        let has = super::weight::stored(&name, &|n| r.has(n)).is_some();
        let skip = has.then(|| Layer::read(r, &name, Map::Conv)).transpose()?;
        Ok(Self { steps, skip, outputs: stage.outputs, doubles: stage.doubles })
    }

    fn forward(&self, x: &Tensor, y: Option<&Tensor>, how: (f64, f64)) -> Result<Tensor> {
        let (mut h, mut bias) = (x.clone(), None);
        for Step { norm, layer } in &self.steps {
            h = layer.forward(&norm.forward((&h, bias), y, how)?)?;
            bias = layer.bias();
        }
        // A 1×1 convolution of repeated pixels repeats its pixels.
        let (mut x, mut bias) = (x.clone(), bias.cloned());
        if let Some(skip) = &self.skip {
            x = skip.forward(&x)?;
            bias = match (bias, skip.bias()) {
                (Some(a), Some(b)) => Some((a + b)?),
                (a, b) => a.or(b.cloned()),
            };
        } else if x.dim(1)? != self.outputs {
            x = x.narrow(1, 0, self.outputs)?.contiguous()?;
        }
        if self.doubles {
            x = up2(&x, &Filter::new(&[1.0, 1.0])?)?;
        }
        let sum = (h + x)?;
        Ok(match bias {
            Some(bias) => bias_act(&sum, &bias, activation(1.0))?,
            None => sum,
        })
    }
}

impl Part {
    fn read(r: &mut Reader<'_>, stage: &Stage, (reads, eps): (usize, f64)) -> Result<Self> {
        Ok(match stage.kind {
            Kind::Attention => Self::Attention(Attention::read(r, &stage.name)?),
            Kind::Transposed => Self::Transposed {
                layer: Layer::read(r, &format!("{}.deconv", stage.name), Map::Transposed)?,
                norm: Norm::read(r, &format!("{}.norm1", stage.name), (stage.outputs, reads), eps)?,
            },
            _ => Self::Block(Block::read(r, stage, reads, eps)?),
        })
    }

    /// The map after the stage; y is what the block reads, `how` truncation and slope.
    fn forward(&self, x: &Tensor, y: Option<&Tensor>, how: (f64, f64)) -> Result<Tensor> {
        match self {
            Self::Block(block) => block.forward(x, y, how),
            Self::Transposed { layer, norm } => {
                norm.forward((&layer.forward(x)?, layer.bias()), y, how)
            }
            Self::Attention(attention) => attention.forward(x),
        }
    }
}

impl Synthesis {
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        let reads = match c.reads {
            Reads::Whole => c.w_dim(),
            Reads::Chunks => c.class_size + c.z_dim / (c.blocks() + 1),
            Reads::Class => c.class_size,
            Reads::Nothing => 0,
        };
        let first = Layer::read(r, "first", Map::Linear)?;
        let part = |stage: &Stage| Part::read(r, stage, (reads, c.eps));
        let parts = c.stages.iter().map(part).collect::<Result<_>>()?;
        Ok(Self {
            first,
            parts,
            norm: match c.last_norm {
                true => {
                    let channels = c.stages.last().map_or(0, |s| s.outputs);
                    Some(Norm::read(r, "last.norm", (channels, 0), c.last_eps)?)
                }
                false => None,
            },
            last: Layer::read(r, "last.conv", Map::Conv)?.narrowed(c.img_channels)?,
            config: c.clone(),
        })
    }

    /// The parts of the rows that the first layer and the blocks read, from a code `[N, z_dim]`, or
    /// `[N, num_ws, w_dim]` where blocks read anything.
    pub(super) fn rows(&self, code: &Tensor) -> Result<Vec<Tensor>> {
        let c = &self.config;
        if c.reads == Reads::Nothing {
            return Ok(vec![code.clone()]);
        }
        let chunk = c.z_dim / (c.blocks() + 1);
        let part = |i: usize| -> Result<Tensor> {
            let row = code.narrow(1, i, 1)?.squeeze(1)?;
            let z = |from: usize, len: usize| row.narrow(1, from, len);
            let class = || row.narrow(1, c.z_dim, c.class_size);
            let both = |z: Tensor| -> Result<Tensor> {
                let class = class()?;
                let order = if c.class_first { [class, z] } else { [z, class] };
                Ok(Tensor::cat(&order, 1)?)
            };
            let part = match (c.reads, i) {
                (Reads::Whole, _) => both(z(0, c.z_dim)?)?,
                (Reads::Chunks, 0) => z(0, chunk)?,
                (Reads::Chunks, _) => both(z(i * chunk, chunk)?)?,
                (_, 0) => z(0, c.z_dim)?,
                _ => class()?,
            };
            Ok(part.contiguous()?)
        };
        (0..c.num_ws()).map(part).collect()
    }

    /// Runs from a feature or from the rows to the requested points.
    pub(super) fn tapped(
        &self,
        rows: &[Tensor],
        truncation: f64,
        (from, taps): (Option<&Feature>, &[Tap]),
    ) -> Result<Tapped> {
        let how = (truncation, self.config.slope);
        // Attention reads no row.
        let reads = |part: &Part| usize::from(!matches!(part, Part::Attention(_)));
        let passed = from.map_or(0, |feature| feature.layer);
        let mut row: usize = self.parts.iter().take(passed).map(reads).sum();
        let next = |point: usize, x: &Tensor| {
            let part = &self.parts[point];
            row += reads(part);
            part.forward(x, rows.get(row), how)
        };
        let first = || self.start(&rows[0]);
        let (features, end) = through((from, taps), self.parts.len(), first, next)?;
        let picture = end.map(|x| self.picture(&x, how)).transpose()?;
        Ok(Tapped { features, picture, ..Tapped::default() })
    }

    /// The first map of the code's first row.
    fn start(&self, row: &Tensor) -> Result<Tensor> {
        let (n, c) = (row.dim(0)?, &self.config);
        let mut x = self.first.forward(row)?;
        if let Some(bias) = self.first.bias() {
            x = bias_act(&x, bias, activation(1.0))?;
        }
        let (channels, side) = (c.first_channels, c.bottom);
        if c.channels_last {
            let x = x.reshape((n, side, side, channels))?.permute((0, 3, 1, 2))?;
            return Ok(x.contiguous()?);
        }
        Ok(x.reshape((n, channels, side, side))?)
    }

    fn picture(&self, x: &Tensor, how: (f64, f64)) -> Result<Tensor> {
        let x = match &self.norm {
            Some(norm) => norm.forward((x, None), None, how)?,
            None => x.clone(),
        };
        let x = self.last.forward(&x)?;
        let x = match self.last.bias() {
            Some(bias) => bias_act(&x, bias, activation(1.0))?,
            None => x,
        };
        Ok(x.tanh()?)
    }
}
