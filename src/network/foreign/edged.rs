//! Convolutions as TensorFlow's `SAME` pads them, and the residual units that GH-Feat makes of
//! them.

use crate::error::Result;
use crate::network::body::{Stage, Unit};
use crate::network::layers::{Conv, RELU, Taker, leaky};
use crate::tensor::{Activation, Affine};
use candle_core::Tensor;

/// TensorFlow's leaky ReLU, as StyleGAN's.
pub(super) const LRELU: Activation = leaky(0.2);

/// A convolution whose borders are such that its map has `⌈side / stride⌉` places: where they are
/// uneven the last one is wider.
pub(super) struct Edged {
    conv: Conv,
    size: usize,
    stride: usize,
}

impl Edged {
    /// Takes the convolution `name` of so many inputs: its size and stride are `how`.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn take(t: &mut Taker<'_>, name: &str, inputs: usize, how: [usize; 2]) -> Result<Self> {
        let [size, stride] = how;
        Ok(Self { conv: t.conv(name, inputs, [size, stride, 0])?, size, stride })
    }

    /// As [`Self::take`], with the normalisation after it, and without a bias of its own unless
    /// there is one.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit.
    pub fn normed(t: &mut Taker<'_>, name: &str, inputs: usize, how: [usize; 2]) -> Result<Self> {
        let [size, stride] = how;
        let (norm, how) = (format!("{name}.norm"), [size, stride, 0]);
        let conv = match t.has(&format!("{name}.bias")) {
            true => t.conv_biased_norm([name, name, &norm], inputs, how)?,
            false => t.conv_norm([name, &norm], inputs, how)?,
        };
        Ok(Self { conv, size, stride })
    }

    /// Channels of its result.
    pub fn outputs(&self) -> usize {
        self.conv.outputs()
    }

    /// `[N, C, H, W]` → `[N, C', ⌈H / stride⌉, ⌈W / stride⌉]`, with gradients.
    ///
    /// # Errors
    /// When the map does not fit.
    pub fn forward(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let mut x = x.clone();
        for axis in [2, 3] {
            let side = x.dim(axis)?;
            let needed = (side.div_ceil(self.stride).saturating_sub(1)) * self.stride + self.size;
            let border = needed.saturating_sub(side);
            if border > 0 {
                x = x.pad_with_zeros(axis, border / 2, border - border / 2)?;
            }
        }
        self.conv.forward(&x, activation)
    }
}

/// The shortcut of a unit; `None` where size and channels stay as they are.
type Shortcut = Option<Edged>;

/// Two convolutions, each followed by a leaky ReLU and then by a normalisation.
struct Basic {
    convs: [(Edged, Affine); 2],
    shortcut: Shortcut,
}

impl Unit for Basic {
    fn outputs(&self) -> usize {
        self.convs[1].0.outputs()
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let step = |y: Tensor, (conv, norm): &(Edged, Affine)| -> Result<Tensor> {
            Ok(norm.apply(&conv.forward(&y, LRELU)?, Activation::LINEAR)?)
        };
        around(self.convs.iter().try_fold(x.clone(), step)?, x, &self.shortcut)
    }
}

/// Three convolutions with normalisations: to fewer channels, at fewer channels, back.
struct Bottleneck {
    convs: [Edged; 3],
    shortcut: Shortcut,
}

impl Unit for Bottleneck {
    fn outputs(&self) -> usize {
        self.convs[2].outputs()
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [first, second, third] = &self.convs;
        let y = second.forward(&first.forward(x, RELU)?, RELU)?;
        Ok(around(third.forward(&y, Activation::LINEAR)?, x, &self.shortcut)?.relu()?)
    }
}

/// A map with the one that it was made of, or with what the shortcut makes of that.
fn around(y: Tensor, x: &Tensor, shortcut: &Shortcut) -> Result<Tensor> {
    Ok(match shortcut {
        Some(shortcut) => (y + shortcut.forward(x, Activation::LINEAR)?)?,
        None => (y + x)?,
    })
}

/// Takes one unit, `Shortcut` and `Conva` to `Convc`.
fn unit(t: &mut Taker<'_>, inputs: usize, stride: usize) -> Result<Box<dyn Unit>> {
    let other = t.has("Shortcut.weight");
    let shortcut = other.then(|| Edged::normed(t, "Shortcut", inputs, [1, stride])).transpose()?;
    if t.has("Convc.weight") {
        let first = Edged::normed(t, "Conva", inputs, [1, 1])?;
        let second = Edged::normed(t, "Convb", first.outputs(), [3, stride])?;
        let third = Edged::normed(t, "Convc", second.outputs(), [1, 1])?;
        return Ok(Box::new(Bottleneck { convs: [first, second, third], shortcut }));
    }
    let mut one = |name: &str, inputs: usize, stride: usize| -> Result<(Edged, Affine)> {
        let conv = Edged::take(t, name, inputs, [3, stride])?;
        let norm = t.norm(&format!("{name}.norm"), conv.outputs())?;
        Ok((conv, norm))
    };
    let first = one("Conva", inputs, stride)?;
    let second = one("Convb", first.0.outputs(), 1)?;
    Ok(Box::new(Basic { convs: [first, second], shortcut }))
}

/// Takes the units `NAME_unit1`, `NAME_unit2`, … of a stage, or the only one, `NAME`; the first has
/// that stride.
///
/// # Errors
/// When a tensor is missing or does not fit.
pub(super) fn stage(
    t: &mut Taker<'_>,
    name: &str,
    (inputs, first): (usize, usize),
) -> Result<Stage> {
    if t.has(&format!("{name}/Conva.weight")) {
        return Ok(vec![unit(&mut t.below(&format!("{name}/")), inputs, first)?]);
    }
    let (mut units, mut now) = (Stage::new(), inputs);
    let below = |at: usize| format!("{name}_unit{}/", at + 1);
    while units.is_empty() || t.has(&format!("{}Conva.weight", below(units.len()))) {
        let stride = if units.is_empty() { first } else { 1 };
        let unit = unit(&mut t.below(&below(units.len())), now, stride)?;
        now = unit.outputs();
        units.push(unit);
    }
    Ok(units)
}
