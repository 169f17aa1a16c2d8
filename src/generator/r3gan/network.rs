//! The layers of an R3GAN.

use super::config::{Block, Config};
use crate::error::{Error, Kind, Result};
use crate::generator::layers::{Reader, through};
use crate::generator::{Feature, Tap, Tapped};
use crate::tensor::{Activation, Filter, bias_act, conv2d, grouped_conv2d, linear, scale, up2};
use candle_core::Tensor;

/// The slope of leaky ReLU, without StyleGAN's gain.
const LRELU: Activation = Activation { gain: 1.0, ..Activation::LRELU };

/// One step from point to point.
enum Step {
    /// Doubles the map: a 1×1 convolution where the channels change, then the filter.
    Up(Option<Tensor>, Filter),
    /// A residual block.
    Block(Residual),
}

/// `x + conv3(act(conv2(act(conv1(x)))))`, conv2 in groups.
struct Residual {
    convs: [Tensor; 3],
    biases: [Tensor; 2],
    groups: usize,
    padding: usize,
}

impl Residual {
    fn read(r: &mut Reader<'_>, name: &str, channels: usize, plan: &Block) -> Result<Self> {
        let Block { inner, groups, kernel } = *plan;
        let shapes = [
            [inner, channels, 1, 1],
            [inner, inner / groups, kernel, kernel],
            [channels, inner, 1, 1],
        ];
        let mut conv = |i: usize| r.parameter(&format!("{name}.conv{}.weight", i + 1), &shapes[i]);
        let convs = [conv(0)?, conv(1)?, conv(2)?];
        let mut bias = |i: usize| r.parameter(&format!("{name}.bias{i}"), &[inner]);
        let biases = [bias(1)?, bias(2)?];
        Ok(Self { convs, biases, groups, padding: kernel / 2 })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let ([first, middle, last], [a, b]) = (&self.convs, &self.biases);
        let y = bias_act(&conv2d(x, first, 1, 0)?, a, LRELU)?;
        let y = grouped_conv2d(&y, middle, self.groups, (1, self.padding))?;
        let y = conv2d(&bias_act(&y, b, LRELU)?, last, 1, 0)?;
        Ok((x + y)?)
    }
}

/// The network.
pub(super) struct Network {
    embed: Option<Tensor>,
    linear: Tensor,
    /// `[1, C, h, w]`.
    basis: Tensor,
    /// From every point to the next.
    steps: Vec<Step>,
    rgb: Tensor,
}

impl Network {
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        let mut channels = c.stages[0].channels;
        let embed = (c.c_dim > 0).then(|| r.parameter("embed.weight", &[c.embedded, c.c_dim]));
        let linear = r.parameter("stages.0.linear.weight", &[channels, c.z_dim + c.embedded])?;
        let basis = r.parameter("stages.0.basis", &[channels, c.base[0], c.base[1]])?;
        let mut steps = Vec::new();
        for (s, stage) in c.stages.iter().enumerate() {
            if s > 0 {
                let conv = format!("stages.{s}.conv.weight");
                let conv = stage
                    .mixes
                    .then(|| r.parameter(&conv, &[stage.channels, channels, 1, 1]))
                    .transpose()?;
                let name = format!("stages.{s}.filter");
                let filter = r.stored_filter(&name)?.ok_or_else(|| {
                    Error::new(Kind::Format, format!("tensor `{name}` is missing"))
                        .hint("`gannet info` shows what the file holds")
                })?;
                steps.push(Step::Up(conv, filter));
                channels = stage.channels;
            }
            for (b, block) in stage.blocks.iter().enumerate() {
                let name = format!("stages.{s}.blocks.{b}");
                steps.push(Step::Block(Residual::read(r, &name, channels, block)?));
            }
        }
        let rgb = r.parameter("rgb.weight", &[c.channels, channels, 1, 1])?;
        Ok(Self { embed: embed.transpose()?, linear, basis: basis.unsqueeze(0)?, steps, rgb })
    }

    /// What the first layer reads: z `[N, z_dim]`, and behind it the row of the class.
    /// Labels weigh the rows, so gradients reach them.
    pub(super) fn inputs(&self, z: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
        match (&self.embed, labels) {
            (Some(table), Some(labels)) => Ok(Tensor::cat(&[z, &linear(labels, table)?], 1)?),
            _ => Ok(z.clone()),
        }
    }

    /// The first map: the basis, its channels weighed by the numbers of [`Self::inputs`].
    fn first(&self, inputs: &Tensor) -> Result<Tensor> {
        let weights = linear(inputs, &self.linear)?;
        let (_, c, h, w) = self.basis.dims4()?;
        let basis = self.basis.broadcast_as((weights.dim(0)?, c, h, w))?;
        Ok(scale(&basis.contiguous()?, &weights)?)
    }

    /// Runs from a feature, or from the numbers that the first layer reads, to the requested
    /// points.
    pub(super) fn run(
        &self,
        inputs: impl FnOnce() -> Result<Tensor>,
        (from, taps): (Option<&Feature>, &[Tap]),
    ) -> Result<Tapped> {
        let first = || self.first(&inputs()?);
        let next = |point: usize, x: &Tensor| match &self.steps[point] {
            Step::Block(block) => block.forward(x),
            Step::Up(Some(conv), filter) => Ok(up2(&conv2d(x, conv, 1, 0)?, filter)?),
            Step::Up(None, filter) => Ok(up2(x, filter)?),
        };
        let (features, end) = through((from, taps), self.steps.len(), first, next)?;
        let picture = end.map(|x| conv2d(&x, &self.rgb, 1, 0)).transpose()?;
        Ok(Tapped { features, picture, ..Tapped::default() })
    }
}
