//! The residual networks of face recognition, IR-50, IR-101 and IR-152, with squeeze and excitation
//! IR-SE (Deng et al. 2019, "ArcFace"; Hu et al. 2018): what ArcFace and CurricularFace recognise
//! people with, and what pSp, e4e and their relatives begin with.

use super::body::{Body, Stage, Unit};
use super::layers::{Conv, Prelu, Taker};
use super::pool::max_pool;
use crate::error::{Error, Kind, Result};
use crate::tensor::{Activation, Affine, linear, scale};
use candle_core::Tensor;
use candle_nn::ops::sigmoid;

/// Units of the four stages of the known networks.
const STAGES: [[usize; 4]; 3] = [[3, 4, 14, 3], [3, 13, 30, 3], [3, 8, 36, 3]];

/// Channels become fewer by this factor inside squeeze and excitation.
const REDUCTION: usize = 16;

/// The tensor by which such a network is known.
pub(super) const MARK: &str = "input_layer.0.weight";

/// A unit: normalisation, two convolutions, excitation, and the shortcut around them.
struct Residual {
    before: Affine,
    first: Conv,
    slopes: Prelu,
    second: Conv,
    excitation: Option<[Tensor; 2]>,
    /// `None` where the channels stay as they are.
    shortcut: Option<Conv>,
    stride: usize,
}

impl Residual {
    fn take(t: &mut Taker<'_>, inputs: usize, stride: usize) -> Result<Self> {
        let before = t.norm("res_layer.0", inputs)?;
        let first = t.bare_conv("res_layer.1", inputs, [3, 1, 1])?;
        let outputs = first.outputs();
        let slopes = t.prelu("res_layer.2", outputs)?;
        let second = t.conv_norm(["res_layer.3", "res_layer.4"], outputs, [3, stride, 1])?;
        let other = (inputs != outputs)
            .then(|| t.conv_norm(["shortcut_layer.0", "shortcut_layer.1"], inputs, [1, stride, 0]));
        let shortcut = other.transpose()?;
        let excitation = match t.has("res_layer.5.fc1.weight") {
            true => Some(excitation(&mut t.below("res_layer.5."), outputs)?),
            false => None,
        };
        Ok(Self { before, first, slopes, second, excitation, shortcut, stride })
    }
}

/// Takes one unit of maps of so many channels.
///
/// # Errors
/// When a tensor is missing or does not fit.
pub(super) fn unit(t: &mut Taker<'_>, inputs: usize, stride: usize) -> Result<impl Unit + use<>> {
    Residual::take(t, inputs, stride)
}

/// The two layers of squeeze and excitation.
fn excitation(t: &mut Taker<'_>, channels: usize) -> Result<[Tensor; 2]> {
    let few = channels / REDUCTION;
    let squeeze = t.take("fc1.weight", &[few, channels, 1, 1])?.reshape((few, channels))?;
    let excite = t.take("fc2.weight", &[channels, few, 1, 1])?.reshape((channels, few))?;
    Ok([squeeze, excite])
}

impl Unit for Residual {
    fn outputs(&self) -> usize {
        self.second.outputs()
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.before.apply(x, Activation::LINEAR)?;
        let y = self.slopes.forward(&self.first.forward(&y, Activation::LINEAR)?)?;
        let y = self.second.forward(&y, Activation::LINEAR)?;
        let y = match &self.excitation {
            Some([squeeze, excite]) => {
                let whole = y.flatten_from(2)?.mean(2)?; // [NC]
                scale(&y, &sigmoid(&linear(&linear(&whole, squeeze)?.relu()?, excite)?)?)?
            }
            None => y,
        };
        Ok(match (&self.shortcut, self.stride) {
            (Some(shortcut), _) => (y + shortcut.forward(x, Activation::LINEAR)?)?,
            (None, 1) => (y + x)?,
            (None, _) => (y + max_pool(x, 1, false)?)?,
        })
    }
}

/// Takes `input_layer` and `body` by the names of the public code bases. The number of units says
/// where the strides are, the shapes say how many channels there are.
///
/// # Errors
/// When it is none of the known networks, and when a tensor is missing or does not fit.
pub(super) fn take(t: &mut Taker<'_>) -> Result<Body> {
    let counts = stages(t)?;
    let inputs = t.size(MARK, 1);
    let input = t.conv_norm(["input_layer.0", "input_layer.1"], inputs, [3, 1, 1])?;
    let slopes = t.prelu("input_layer.2", input.outputs())?;
    let (mut now, mut at) = (input.outputs(), 0);
    let mut stages = Vec::with_capacity(counts.len());
    for count in counts {
        let mut units = Stage::with_capacity(count);
        for place in 0..count {
            let stride = if place == 0 { 2 } else { 1 };
            let unit = Residual::take(&mut t.below(&format!("body.{at}.")), now, stride)?;
            (now, at) = (unit.outputs(), at + 1);
            units.push(Box::new(unit));
        }
        stages.push(units);
    }
    Ok(Body::new(input, slopes, stages))
}

/// Units of each stage, by how many there are in all.
fn stages(t: &Taker<'_>) -> Result<[usize; 4]> {
    let has = |at: &usize| t.has(&format!("body.{at}.res_layer.1.weight"));
    let most = STAGES.iter().map(|s| s.iter().sum::<usize>()).max().unwrap_or(0);
    let count = (0..=most).take_while(has).count();
    STAGES.into_iter().find(|s| s.iter().sum::<usize>() == count).ok_or_else(|| {
        let text = format!("{}: no IR network has {count} units", t.file());
        Error::new(Kind::Format, text)
            .note("IR-50 has 24, IR-101 49, IR-152 50")
            .hint("the file is not whole, or of a changed architecture")
    })
}
