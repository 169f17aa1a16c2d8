//! The layers of a plain generator, ready to run.

use super::config::{Config, Op, Plan, Size, wrong};
use crate::error::Result;
use crate::generator::layers::Reader;
use crate::generator::{Affine, Pointwise};
use crate::safe::Safe;
use crate::tensor::{
    Activation, Filter, FixedNorm, bias_act, conv_nearest2, conv_transpose2d_to, conv2d, linear,
    nearest2_kernel, up2,
};
use candle_core::Tensor;

/// The maps asked for with their blocks, and the picture where it was asked for.
pub(super) type Ran = (Vec<(usize, Tensor)>, Option<Tensor>);

/// The layers in the order in which they run.
pub(super) struct Network {
    blocks: Vec<Block>,
    /// Steps after the last weighted layer's own steps.
    tail: Vec<Step>,
}

/// A layer with weights and what belongs to it: one point that can be tapped and entered.
struct Block {
    before: Vec<Step>,
    layer: Layer,
    after: Vec<Step>,
}

/// A step without weights of its own, or a norm that its layer could not take in.
enum Step {
    Norm(Norm),
    /// Channels, height, width, and whether the channels of a pixel are neighbours.
    Reshape([usize; 3], bool),
    Upsample,
    Pad([usize; 4]),
    Crop([usize; 4]),
    Relu(f64),
    Tanh,
    Sigmoid,
}

/// Linear map of a weighted layer.
#[derive(Clone, Copy)]
enum Map {
    /// Weight `[O, I]`.
    Linear,
    /// A transposed convolution of one pixel, weight `[I, O, h, w]`.
    Spread([usize; 3]),
    /// Weight `[I, O, k, k]`.
    Transposed { stride: usize, padding: usize, extra: usize, cut: usize },
    /// Weight `[O, I, k, k]`.
    Conv { stride: usize, padding: usize },
    /// Every pixel repeated 2×2, then a convolution that keeps the size.
    Doubled,
}

/// Batch normalisation with fixed statistics.
struct Norm {
    fixed: FixedNorm,
    gain: Tensor,
    bias: Tensor,
}

struct Layer {
    map: Map,
    weight: Tensor,
    bias: Tensor,
    norm: Option<Norm>,
    slope: Option<f64>,
    /// Kernel and bias ready to run, if neither is a variable of a search.
    ready: Option<(Tensor, Tensor)>,
}

impl Network {
    /// Takes all tensors that the settings name.
    ///
    /// # Errors
    /// When a tensor cannot be taken, and for a variance that is not above zero.
    pub fn read(config: &Config, plan: &Plan, r: &mut Reader<'_>) -> Result<Self> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut loose: Vec<Step> = Vec::new();
        let mut size = Size::Flat(plan.inputs);
        for (op, &after) in config.layers.iter().zip(&plan.sizes) {
            if op.is_weighted() {
                let mut before = std::mem::take(&mut loose);
                let layer = Layer::read(op, (size, after), &mut before, r)?;
                blocks.push(Block { before, layer, after: Vec::new() });
            } else {
                let step = Step::read(op, size, r)?;
                match blocks.last_mut().filter(|_| loose.is_empty()) {
                    Some(block) => block.follow(step, &mut loose),
                    None => loose.push(step),
                }
            }
            size = after;
        }
        blocks.iter_mut().try_for_each(|block| block.layer.prepare())?;
        Ok(Self { blocks, tail: loose })
    }

    /// Runs from the input, or from the map after a layer, to the last requested point: the maps
    /// `[N, C, H, W]` of the layers for which `wanted` holds, and the picture.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn run(
        &self,
        input: &Tensor,
        from: Option<usize>,
        wanted: &dyn Fn(usize) -> bool,
        picture: bool,
    ) -> Result<Ran> {
        let first = from.map_or(0, |at| at + 1);
        let last = (0..self.blocks.len()).rev().find(|&at| wanted(at));
        let (mut x, mut maps) = (input.clone(), Vec::new());
        for (at, block) in self.blocks.iter().enumerate().skip(first) {
            if !picture && last.is_none_or(|last| at > last) {
                return Ok((maps, None));
            }
            x = block.run(&x)?;
            if wanted(at) {
                maps.push((at, planes(&x)?));
            }
        }
        for step in &self.tail {
            x = step.run(&x)?;
        }
        Ok((maps, picture.then_some(x)))
    }
}

impl Network {
    /// The values of a layer before its functions of single values; `None` where steps between
    /// them are of another kind.
    ///
    /// # Errors
    /// When there is no such layer, and when a tensor operation fails.
    pub fn affine(&self, at: usize, x: &Tensor) -> Result<Option<Affine>> {
        let block = self.blocks.get(at).ok_or_else(|| wrong(format!("there is no layer {at}")))?;
        let tail = if at + 1 == self.blocks.len() { &self.tail[..] } else { &[] };
        let Some(mut value) = linear_steps(&block.before, x.clone())? else { return Ok(None) };
        value = block.layer.weighed(&value, None)?;
        let mut then: Vec<Pointwise> = block.layer.slope.map(Pointwise::Relu).into_iter().collect();
        for step in block.after.iter().chain(tail) {
            match step.pointwise() {
                Some(function) => then.push(function),
                // They keep single values what they are.
                None if matches!(step, Step::Reshape(..) | Step::Crop(_)) || then.is_empty() => {
                    value = step.run(&value)?;
                }
                None => return Ok(None),
            }
        }
        Ok(Some(Affine { value: planes(&value)?, then }))
    }
}

/// The value after linear steps; `None` where one of them is not linear.
fn linear_steps(steps: &[Step], mut x: Tensor) -> Result<Option<Tensor>> {
    for step in steps {
        if step.pointwise().is_some() {
            return Ok(None);
        }
        x = step.run(&x)?;
    }
    Ok(Some(x))
}

/// A vector as a map of one pixel.
fn planes(x: &Tensor) -> Result<Tensor> {
    Ok(match *x.dims() {
        [n, c] => x.reshape((n, c, 1, 1))?,
        _ => x.clone(),
    })
}

impl Block {
    /// A step behind the layer: taken into it where it can be, else kept beside it. Doubling and
    /// padding belong to the next layer.
    fn follow(&mut self, step: Step, next: &mut Vec<Step>) {
        let alone = self.after.is_empty();
        match step {
            Step::Norm(norm) if alone && self.layer.takes(&norm) => self.layer.norm = Some(norm),
            Step::Relu(slope) if alone && self.layer.slope.is_none() => {
                self.layer.slope = Some(slope);
            }
            Step::Upsample | Step::Pad(_) => next.push(step),
            other => self.after.push(other),
        }
    }

    fn run(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for step in &self.before {
            x = step.run(&x)?;
        }
        x = self.layer.run(&x)?;
        for step in &self.after {
            x = step.run(&x)?;
        }
        Ok(x)
    }
}

impl Step {
    fn read(op: &Op, size: Size, r: &mut Reader<'_>) -> Result<Self> {
        Ok(match op {
            Op::Norm { name, eps } => {
                let (c, of) = ([size.planes()[0]], |part: &str| format!("{name}.{part}"));
                let mean = r.buffer(&of("running_mean"), &c)?;
                let var = r.buffer(&of("running_var"), &c)?;
                let gain = r.optional(&of("weight"), &c)?;
                let bias = r.optional(&of("bias"), &c)?;
                Self::Norm(Norm {
                    fixed: FixedNorm::new(&mean, &var, *eps)?,
                    gain: gain.map_or_else(|| mean.ones_like(), Ok)?,
                    bias: bias.map_or_else(|| mean.zeros_like(), Ok)?,
                })
            }
            &Op::Reshape { channels, height, width, channels_last } => {
                Self::Reshape([channels, height, width], channels_last)
            }
            Op::Upsample => Self::Upsample,
            Op::Pad { sides } => Self::Pad(*sides),
            Op::Crop { sides } => Self::Crop(*sides),
            Op::Relu { slope } => Self::Relu(*slope),
            Op::Sigmoid => Self::Sigmoid,
            Op::Tanh => Self::Tanh,
            Op::Linear { name } | Op::Transposed { name, .. } | Op::Conv { name, .. } => {
                return Err(wrong(format!("`{}` is a layer with weights", Safe(name))));
            }
        })
    }

    /// The function of single values that it is.
    fn pointwise(&self) -> Option<Pointwise> {
        match self {
            Self::Relu(slope) => Some(Pointwise::Relu(*slope)),
            Self::Tanh => Some(Pointwise::Tanh(1.0)),
            Self::Sigmoid => Some(Pointwise::Tanh(0.5)),
            _ => None,
        }
    }

    fn run(&self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Norm(norm) => {
                norm.fixed.affine(&norm.gain, &norm.bias)?.apply(x, Activation::LINEAR)?
            }
            Self::Reshape([c, h, w], false) => x.reshape((x.dim(0)?, *c, *h, *w))?,
            Self::Reshape([c, h, w], true) => {
                x.reshape((x.dim(0)?, *h, *w, *c))?.permute((0, 3, 1, 2))?.contiguous()?
            }
            Self::Pad([top, bottom, left, right]) => {
                x.pad_with_zeros(2, *top, *bottom)?.pad_with_zeros(3, *left, *right)?
            }
            Self::Crop([top, bottom, left, right]) => {
                let (h, w) = (x.dim(2)? - top - bottom, x.dim(3)? - left - right);
                x.narrow(2, *top, h)?.narrow(3, *left, w)?.contiguous()?
            }
            Self::Upsample => up2(x, &Filter::new(&[1.0, 1.0])?)?,
            Self::Relu(slope) => {
                let zero = Tensor::zeros(x.dim(1)?, x.dtype(), x.device())?;
                bias_act(x, &zero, activation(Some(*slope)))?
            }
            Self::Tanh => x.tanh()?,
            // 2σ(x) − 1: pictures in [0, 1] brought to [-1, 1].
            Self::Sigmoid => (x * 0.5)?.tanh()?,
        })
    }
}

fn activation(slope: Option<f64>) -> Activation {
    Activation { slope: slope.unwrap_or(1.0), gain: 1.0, clamp: None }
}

impl Layer {
    /// Reads a layer; a doubling before it is taken into a convolution that keeps the size.
    fn read(
        op: &Op,
        (size, after): (Size, Size),
        before: &mut Vec<Step>,
        r: &mut Reader<'_>,
    ) -> Result<Self> {
        let name = op.module().unwrap_or_default();
        let (outputs, weight) = (after.planes(), format!("{name}.weight"));
        let shape = r.shape(&weight)?;
        let map = match *op {
            Op::Transposed { stride, padding, output_padding: extra, cut, .. } => {
                if (&size.planes()[1..], padding, extra, cut) == (&[1, 1][..], 0, 0, 0) {
                    Map::Spread(outputs)
                } else {
                    Map::Transposed { stride, padding, extra, cut }
                }
            }
            Op::Conv { stride, padding, .. } => {
                let keeps = stride == 1 && shape.last() == Some(&(2 * padding + 1));
                if keeps && matches!(before.last(), Some(Step::Upsample)) {
                    before.pop();
                    Map::Doubled
                } else {
                    Map::Conv { stride, padding }
                }
            }
            _ => Map::Linear,
        };
        let o = outputs[0];
        let weight = r.parameter(&weight, &shape)?;
        let bias = match r.optional(&format!("{name}.bias"), &[o])? {
            Some(bias) => bias,
            None => Tensor::zeros(o, weight.dtype(), weight.device())?,
        };
        Ok(Self { map, weight, bias, norm: None, slope: None, ready: None })
    }

    /// Whether a norm behind it can be folded into its weight: one factor an output.
    fn takes(&self, norm: &Norm) -> bool {
        let channels = norm.gain.elem_count();
        self.norm.is_none() && self.slope.is_none() && self.bias.elem_count() == channels
    }

    /// Kernel and bias as they run, the norm folded in.
    fn kernel(&self) -> Result<(Tensor, Tensor)> {
        let outputs = usize::from(matches!(self.map, Map::Spread(_) | Map::Transposed { .. }));
        let (weight, bias) = match &self.norm {
            Some(norm) => norm.fixed.affine(&norm.gain, &norm.bias)?.fold(
                &self.weight,
                Some(&self.bias),
                outputs,
            )?,
            None => (self.weight.clone(), self.bias.clone()),
        };
        Ok(match self.map {
            Map::Spread([c, h, w]) => {
                let each = bias.unsqueeze(1)?.broadcast_as((c, h * w))?.flatten_all()?;
                (weight.flatten_from(1)?.t()?.contiguous()?, each)
            }
            Map::Doubled => (nearest2_kernel(&weight)?, bias),
            _ => (weight, bias),
        })
    }

    /// Keeps kernel and bias, unless something of them is searched.
    fn prepare(&mut self) -> Result<()> {
        let of_norm = |n: &Norm| n.gain.track_op() || n.bias.track_op();
        let searched = self.weight.track_op()
            || self.bias.track_op()
            || self.norm.as_ref().is_some_and(of_norm);
        if !searched {
            let (kernel, bias) = self.kernel()?;
            self.ready = Some((kernel.detach(), bias.detach()));
        }
        Ok(())
    }

    fn run(&self, x: &Tensor) -> Result<Tensor> {
        self.weighed(x, self.slope)
    }

    /// The layer with another slope below 0, or without an activation.
    fn weighed(&self, x: &Tensor, slope: Option<f64>) -> Result<Tensor> {
        let (kernel, bias) = match &self.ready {
            Some(ready) => ready.clone(),
            None => self.kernel()?,
        };
        let activation = activation(slope);
        let x = match self.map {
            Map::Linear => linear(&x.flatten_from(1)?, &kernel)?,
            Map::Spread([c, h, w]) => {
                let y = bias_act(&linear(&x.flatten_from(1)?, &kernel)?, &bias, activation)?;
                return Ok(y.reshape((x.dim(0)?, c, h, w))?);
            }
            Map::Transposed { stride, padding, extra, cut } => {
                let y = conv_transpose2d_to(&planes(x)?, &kernel, stride, padding, extra)?;
                if cut == 0 { y } else { Step::Crop([0, cut, 0, cut]).run(&y)? }
            }
            Map::Conv { stride, padding } => conv2d(&planes(x)?, &kernel, stride, padding)?,
            Map::Doubled => conv_nearest2(&planes(x)?, &kernel)?,
        };
        Ok(bias_act(&x, &bias, activation)?)
    }
}
