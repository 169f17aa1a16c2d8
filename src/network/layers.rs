//! What networks of other people's code are made of: convolutions, normalisations as they run after
//! training, leaky ReLUs with a slope a channel, fully connected layers.

use crate::error::{Error, Result};
use crate::tensor::{Activation, Affine, FixedNorm, bias_act, conv2d, linear};
use crate::weights::Weights;
use candle_core::{DType, Device, Tensor};

/// PyTorch's epsilon of batch normalisation.
const EPS: f64 = 1e-5;
/// A ReLU.
pub(super) const RELU: Activation = leaky(0.0);
/// PyTorch's leaky ReLU.
pub(super) const LEAKY: Activation = leaky(0.01);

/// A leaky ReLU of that slope.
pub(super) const fn leaky(slope: f64) -> Activation {
    Activation { slope, gain: 1.0, clamp: None }
}

/// A file whose tensors are taken to a device.
pub(super) struct Taker<'w> {
    weights: &'w mut Weights,
    device: &'w Device,
    /// What the names of the network begin with.
    prefix: String,
}

impl<'w> Taker<'w> {
    /// Takes the tensors of a file.
    pub fn new(weights: &'w mut Weights, device: &'w Device) -> Self {
        Self { weights, device, prefix: String::new() }
    }

    /// The same file, for a network whose names begin so.
    pub fn below(&mut self, prefix: &str) -> Taker<'_> {
        let prefix = format!("{}{prefix}", self.prefix);
        Taker { weights: self.weights, device: self.device, prefix }
    }

    /// The file's name, safe to print.
    pub fn file(&self) -> &str {
        self.weights.file()
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.weights.has(&format!("{}{name}", self.prefix))
    }

    /// A size of a tensor; 0 where it is missing, so that taking it reports that.
    pub fn size(&self, name: &str, axis: usize) -> usize {
        let shape = self.weights.shape(&format!("{}{name}", self.prefix));
        shape.and_then(|s| s.get(axis).copied()).unwrap_or(0)
    }

    /// A tensor of that shape.
    ///
    /// # Errors
    /// As [`Weights::take`].
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let name = format!("{}{name}", self.prefix);
        Ok(self.weights.take(&name, shape)?.to_device(self.device)?)
    }

    /// The batch normalisation `name`. One without gain and bias (`affine=False`) has 1 and 0.
    ///
    /// # Errors
    /// When a tensor is missing or does not have that many channels.
    pub fn norm(&mut self, name: &str, channels: usize) -> Result<Affine> {
        let part = |part: &str| format!("{name}.{part}");
        let mean = self.take(&part("running_mean"), &[channels])?;
        let var = self.take(&part("running_var"), &[channels])?;
        let (gain, bias) = if self.has(&part("weight")) {
            (self.take(&part("weight"), &[channels])?, self.take(&part("bias"), &[channels])?)
        } else {
            (Tensor::ones(channels, DType::F32, self.device)?, mean.zeros_like()?)
        };
        let fixed = FixedNorm::new(&mean, &var, EPS)
            .map_err(|e| Error::from(e).note(format!("`{name}` in {}", self.weights.file())))?;
        Ok(fixed.affine(&gain, &bias)?)
    }

    /// The convolution `name` of so many inputs: its size, stride and padding are `how`.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn conv(&mut self, name: &str, inputs: usize, how: [usize; 3]) -> Result<Conv> {
        let bare = self.bare_conv(name, inputs, how)?;
        let bias = self.take(&format!("{name}.bias"), &[bare.outputs()])?;
        Ok(Conv { bias, ..bare })
    }

    /// As [`Self::conv`], its weights multiplied by `1/√(inputs of a sum)`, as StyleGAN's are.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn equal_conv(&mut self, name: &str, inputs: usize, how: [usize; 3]) -> Result<Conv> {
        let conv = self.conv(name, inputs, how)?;
        let scale = ((inputs * how[0] * how[0]) as f64).powf(-0.5);
        Ok(Conv { weight: (conv.weight * scale)?, ..conv })
    }

    /// As [`Self::conv`], without a bias.
    ///
    /// # Errors
    /// When the weight is missing or does not fit.
    pub fn bare_conv(&mut self, name: &str, inputs: usize, how: [usize; 3]) -> Result<Conv> {
        let [size, stride, padding] = how;
        let weight = format!("{name}.weight");
        let outputs = self.size(&weight, 0);
        let weight = self.take(&weight, &[outputs, inputs, size, size])?;
        let bias = Tensor::zeros(outputs, DType::F32, self.device)?;
        Ok(Conv { weight, bias, stride, padding })
    }

    /// The convolution `name` without a bias and the batch normalisation after it, as one.
    ///
    /// # Errors
    /// As [`Self::conv`] and [`Self::norm`].
    pub fn conv_norm(
        &mut self,
        [name, norm]: [&str; 2],
        inputs: usize,
        how: [usize; 3],
    ) -> Result<Conv> {
        let conv = self.bare_conv(name, inputs, how)?;
        let affine = self.norm(norm, conv.outputs())?;
        conv.followed(&affine)
    }

    /// As [`Self::conv_norm`], with a bias of its own name between both.
    ///
    /// # Errors
    /// As [`Self::conv`] and [`Self::norm`].
    pub fn conv_biased_norm(
        &mut self,
        [name, bias, norm]: [&str; 3],
        inputs: usize,
        how: [usize; 3],
    ) -> Result<Conv> {
        let conv = self.bare_conv(name, inputs, how)?;
        let bias = self.take(&format!("{bias}.bias"), &[conv.outputs()])?;
        let affine = self.norm(norm, conv.outputs())?;
        Conv { bias, ..conv }.followed(&affine)
    }

    /// The slopes of a PReLU.
    ///
    /// # Errors
    /// When the tensor is missing or does not have that many channels.
    pub fn prelu(&mut self, name: &str, channels: usize) -> Result<Prelu> {
        let slopes = self.take(&format!("{name}.weight"), &[channels])?;
        Ok(Prelu { slopes: slopes.reshape((1, channels, 1, 1))? })
    }

    /// The fully connected layer `name` of so many inputs, its weights multiplied by `scale`:
    /// StyleGAN's keep them at unit size and scale them by `1/√inputs` when they run.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn dense(&mut self, name: &str, inputs: usize, scale: f64) -> Result<Dense> {
        let bare = self.bare_dense(name, inputs, scale)?;
        let bias = self.take(&format!("{name}.bias"), &[bare.outputs()])?;
        Ok(Dense { bias, ..bare })
    }

    /// The 1×1 convolution `name` as a fully connected layer, for maps of one place.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn place(&mut self, name: &str, inputs: usize) -> Result<Dense> {
        let Conv { weight, bias, .. } = self.conv(name, inputs, [1, 1, 0])?;
        Ok(Dense { weight: weight.flatten_from(1)?, bias })
    }

    /// As [`Self::dense`], without a bias.
    ///
    /// # Errors
    /// When the weight is missing or does not fit.
    pub fn bare_dense(&mut self, name: &str, inputs: usize, scale: f64) -> Result<Dense> {
        let weight = format!("{name}.weight");
        let outputs = self.size(&weight, 0);
        let weight = (self.take(&weight, &[outputs, inputs])? * scale)?;
        Ok(Dense { weight, bias: Tensor::zeros(outputs, DType::F32, self.device)? })
    }
}

/// A convolution with its bias.
pub(super) struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
    padding: usize,
}

impl Conv {
    /// The convolution with a normalisation after it.
    fn followed(self, by: &Affine) -> Result<Self> {
        let (weight, bias) = by.fold(&self.weight, Some(&self.bias), 0)?;
        Ok(Self { weight, bias, ..self })
    }

    /// Channels that it reads.
    pub fn inputs(&self) -> usize {
        self.weight.dims().get(1).copied().unwrap_or(0)
    }

    /// Channels of its result.
    pub fn outputs(&self) -> usize {
        self.bias.elem_count()
    }

    /// Convolution, bias and activation, with gradients.
    ///
    /// # Errors
    /// When the map does not fit.
    pub fn forward(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let y = conv2d(x, &self.weight, self.stride, self.padding)?;
        Ok(bias_act(&y, &self.bias, activation)?)
    }
}

/// A leaky ReLU whose slope below zero is each channel's own (He et al. 2015).
pub(super) struct Prelu {
    /// `[1, C, 1, 1]`
    slopes: Tensor,
}

impl Prelu {
    /// With gradients.
    ///
    /// # Errors
    /// When the map does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok((x.relu()? - x.neg()?.relu()?.broadcast_mul(&self.slopes)?)?)
    }
}

/// A fully connected layer.
pub(super) struct Dense {
    weight: Tensor,
    bias: Tensor,
}

impl Dense {
    /// Numbers of its result.
    pub fn outputs(&self) -> usize {
        self.bias.elem_count()
    }

    /// The layer with a normalisation after it.
    ///
    /// # Errors
    /// When the normalisation is of other numbers.
    pub fn followed(&self, by: &Affine) -> Result<Self> {
        let (weight, bias) = by.fold(&self.weight, Some(&self.bias), 0)?;
        Ok(Self { weight, bias })
    }

    /// `[N, inputs]` → `[N, outputs]`, with gradients.
    ///
    /// # Errors
    /// When the numbers do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(linear(x, &self.weight)?.broadcast_add(&self.bias)?)
    }
}
