//! The network: a map of 4×4 from z, layers that double it, the picture.

use super::config::{Block, Config};
use super::refuse::refuse;
use crate::error::Result;
use crate::generator::layers::growing::{Conv, Fade, Growing, Reads};
use crate::generator::layers::{Epsilon, Reader, pixel_norm};
use crate::generator::{Feature, Tap, Tapped};
use crate::tensor::{Activation, bias_act, linear};
use candle_core::Tensor;

/// What a layer does before its bias.
enum Op {
    /// The first layer: weight `[16·O, I]` and its gain.
    Dense(Tensor, f64),
    Conv(Conv),
}

/// A layer with its bias.
struct Layer {
    op: Op,
    bias: Tensor,
    bias_gain: f64,
    activation: Activation,
    norm: Option<Epsilon>,
}

impl Layer {
    /// Reads a convolution `[outputs, inputs, k, k]`.
    fn conv(
        r: &mut Reader<'_>,
        c: &Config,
        name: &str,
        [inputs, outputs, k]: [usize; 3],
        reads: Reads,
    ) -> Result<Self> {
        let weight = r.parameter(&format!("{name}.weight"), &[outputs, inputs, k, k])?;
        let doubles = reads != Reads::Same;
        let fan = if doubles && c.given.scaled_by_outputs { outputs } else { inputs };
        let gain = scale(c, 2f64.sqrt(), fan * k * k);
        let op = Op::Conv(Conv::new(weight, gain, reads)?);
        Self::of(r, c, name, op, (outputs, gain))
    }

    /// Reads the first layer `[16·outputs, inputs]`. Its gain is that of a convolution with a
    /// kernel of 4×4, √2/4 of a fully connected layer.
    fn dense(r: &mut Reader<'_>, c: &Config, name: &str, block: &Block) -> Result<Self> {
        let (inputs, outputs) = (block.inputs, block.outputs[0]);
        let weight = r.parameter(&format!("{name}.weight"), &[outputs * 16, inputs])?;
        let gain = scale(c, 2f64.sqrt(), inputs * 16);
        Self::of(r, c, name, Op::Dense(weight, gain), (outputs, gain))
    }

    /// Reads the layer from the features of a block to its picture.
    fn rgb(r: &mut Reader<'_>, c: &Config, block: &Block) -> Result<Self> {
        let name = format!("b{}.torgb", block.side);
        let inputs = block.outputs[1];
        let shape = [c.img_channels, inputs, 1, 1];
        let weight = r.parameter(&format!("{name}.weight"), &shape)?;
        let gain = scale(c, 1.0, inputs);
        let op = Op::Conv(Conv::new(weight, gain, Reads::Same)?);
        let layer = Self::of(r, c, &name, op, (c.img_channels, gain))?;
        Ok(Self { activation: Activation::LINEAR, norm: None, ..layer })
    }

    fn of(
        r: &mut Reader<'_>,
        c: &Config,
        name: &str,
        op: Op,
        (outputs, gain): (usize, f64),
    ) -> Result<Self> {
        // A first layer may have a bias for each pixel.
        let pixels = r.shape(&format!("{name}.bias"))? == [outputs * 16];
        let biases = if pixels && matches!(op, Op::Dense(..)) { outputs * 16 } else { outputs };
        Ok(Self {
            op,
            bias: r.parameter(&format!("{name}.bias"), &[biases])?,
            bias_gain: if c.given.scaled_biases { gain } else { 1.0 },
            activation: Activation { slope: c.given.slope, gain: 1.0, clamp: None },
            norm: c.given.pixel_norm.then(|| c.epsilon()),
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let scaled = self.bias_gain != 1.0;
        let bias = if scaled { (&self.bias * self.bias_gain)? } else { self.bias.clone() };
        let y = match &self.op {
            Op::Conv(conv) => bias_act(&conv.forward(x)?, &bias, self.activation)?,
            Op::Dense(weight, gain) => {
                let y = (linear(x, weight)? * *gain)?;
                let sides = (x.dim(0)?, weight.dim(0)? / 16, 4, 4);
                if bias.dims() == [weight.dim(0)?] {
                    bias_act(&y, &bias, self.activation)?.reshape(sides)?
                } else {
                    bias_act(&y.reshape(sides)?, &bias, self.activation)?
                }
            }
        };
        self.norm.map_or(Ok(y.clone()), |epsilon| pixel_norm(&y, epsilon))
    }
}

/// He's constant of a layer that sums up `fan` numbers; 1 without equalised learning rate.
fn scale(c: &Config, gain: f64, fan: usize) -> f64 {
    if c.given.equalized { gain / (fan as f64).sqrt() } else { 1.0 }
}

/// The network.
pub(super) struct Synthesis {
    /// Two of each resolution.
    layers: Vec<Layer>,
    /// One of each resolution, where the file has it.
    rgbs: Vec<Option<Layer>>,
    fade: Fade,
    normalize: bool,
    tanh: bool,
}

impl Synthesis {
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        let lod = match c.stored_lod {
            true => f64::from(r.buffer("lod", &[])?.to_scalar::<f32>()?),
            false => c.given.lod,
        };
        let fade = Fade::new(lod, c.blocks.len())?;
        let (mut layers, mut rgbs) = (Vec::new(), Vec::new());
        let mut read = None;
        for (i, block) in c.blocks.iter().enumerate() {
            let [first, second] = block.layers();
            let [inner, outer] = block.outputs;
            layers.push(match read {
                None => Layer::dense(r, c, &first, block)?,
                Some(inputs) => Layer::conv(r, c, &first, [inputs, inner, 3], Reads::Doubled)?,
            });
            layers.push(Layer::conv(r, c, &second, [inner, outer, 3], Reads::Same)?);
            read = Some(outer);
            rgbs.push(block.rgb.then(|| Layer::rgb(r, c, block)).transpose()?);
            if fade.uses(i) && !block.rgb {
                return Err(refuse(format!("tensor `b{}.torgb.weight` is missing", block.side))
                    .hint(format!("a level of detail of {lod} needs it")));
            }
        }
        let normalize = c.given.normalize_latents;
        Ok(Self { layers, rgbs, fade, normalize, tanh: c.given.tanh })
    }

    /// Runs from a feature, or from z with its labels `[N, z_dim + c_dim]`, to the requested
    /// points.
    pub(super) fn tapped(
        &self,
        start: std::result::Result<&Feature, &Tensor>,
        taps: &[Tap],
    ) -> Result<Tapped> {
        let growing = Growing {
            fade: self.fade,
            resolutions: self.rgbs.len(),
            layer: &|i, x| self.layers[i].forward(x),
            rgb: &|i, x| match &self.rgbs[i] {
                Some(rgb) => rgb.forward(x),
                None => Err(refuse(format!("the picture of resolution {i} is missing"))
                    .hint("`gannet info` shows what the file holds")),
            },
        };
        let mut tapped = match start {
            Ok(feature) => growing.run(feature, taps)?,
            Err(z) => {
                let z = match self.normalize {
                    true => pixel_norm(z, Epsilon::USUAL)?,
                    false => z.clone(),
                };
                let map = self.layers[0].forward(&z)?;
                growing.run(&Feature { layer: 0, map, picture: None, passed: false }, taps)?
            }
        };
        if self.tanh {
            tapped.picture = tapped.picture.map(|p| p.tanh()).transpose()?;
        }
        Ok(tapped)
    }
}
