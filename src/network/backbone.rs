//! The classifiers whose layers LPIPS compares: VGG16, AlexNet and SqueezeNet 1.1, up to their last
//! convolution, from files of the user.

use super::pool::max_pool;
use crate::error::{Error, Kind, Result};
use crate::tensor::{Activation, bias_act, conv2d};
use crate::weights::Weights;
use candle_core::{Device, Tensor};

/// A part of a network.
#[derive(Clone, Copy)]
enum Step {
    /// A convolution with its place in `features`: channels in and out, kernel, stride, padding.
    Conv(usize, [usize; 2], [usize; 3]),
    /// Fire: a convolution 1×1 to `[1]` channels of `[0]`, then 1×1 and 3×3 to `[2]` each.
    Fire(usize, [usize; 3]),
    /// Max pooling of that size, every second pixel; whether over the edge.
    Pool(usize, bool),
    /// The map here is compared.
    Tap,
}
use Step::{Conv, Fire, Pool, Tap};

/// 3×3, stride 1, padding 1.
const SAME: [usize; 3] = [3, 1, 1];

const VGG16: &[Step] = &[
    Conv(0, [3, 64], SAME),
    Conv(2, [64, 64], SAME),
    Tap,
    Pool(2, false),
    Conv(5, [64, 128], SAME),
    Conv(7, [128, 128], SAME),
    Tap,
    Pool(2, false),
    Conv(10, [128, 256], SAME),
    Conv(12, [256, 256], SAME),
    Conv(14, [256, 256], SAME),
    Tap,
    Pool(2, false),
    Conv(17, [256, 512], SAME),
    Conv(19, [512, 512], SAME),
    Conv(21, [512, 512], SAME),
    Tap,
    Pool(2, false),
    Conv(24, [512, 512], SAME),
    Conv(26, [512, 512], SAME),
    Conv(28, [512, 512], SAME),
    Tap,
];
const ALEXNET: &[Step] = &[
    Conv(0, [3, 64], [11, 4, 2]),
    Tap,
    Pool(3, false),
    Conv(3, [64, 192], [5, 1, 2]),
    Tap,
    Pool(3, false),
    Conv(6, [192, 384], SAME),
    Tap,
    Conv(8, [384, 256], SAME),
    Tap,
    Conv(10, [256, 256], SAME),
    Tap,
];
const SQUEEZENET: &[Step] = &[
    Conv(0, [3, 64], [3, 2, 0]),
    Tap,
    Pool(3, true),
    Fire(3, [64, 16, 64]),
    Fire(4, [128, 16, 64]),
    Tap,
    Pool(3, true),
    Fire(6, [128, 32, 128]),
    Fire(7, [256, 32, 128]),
    Tap,
    Pool(3, true),
    Fire(9, [256, 48, 192]),
    Tap,
    Fire(10, [384, 48, 192]),
    Tap,
    Fire(11, [384, 64, 256]),
    Tap,
    Fire(12, [512, 64, 256]),
    Tap,
];

/// The smallest side that leaves something to compare in every network.
pub const SMALLEST: usize = 32;

/// A convolution with its weights.
struct Layer {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
    padding: usize,
}

impl Layer {
    /// Convolution, bias and ReLU.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let found = conv2d(x, &self.weight, self.stride, self.padding)?;
        Ok(bias_act(&found, &self.bias, Activation { slope: 0.0, gain: 1.0, clamp: None })?)
    }
}

/// A network of LPIPS without its heads.
pub struct Backbone {
    name: &'static str,
    steps: &'static [Step],
    /// The convolutions in their order, three for a fire.
    layers: Vec<Layer>,
}

impl Backbone {
    /// Takes one of the three networks, by the names of torchvision (`features.0.weight`) or of the
    /// package lpips (`net.slice1.0.weight`). What classifies is left unread.
    ///
    /// # Errors
    /// When it is none of them, and when a tensor is missing or has another shape.
    pub fn take(weights: &mut Weights, device: &Device) -> Result<Self> {
        let first = weights.shape(&name_of(weights, 0, "weight")).map(<[usize]>::to_vec);
        let fire = weights.has(&name_of(weights, 3, "squeeze.weight"));
        let (name, steps) = match (first.as_deref(), fire) {
            (Some([64, 3, 11, 11]), _) => ("AlexNet", ALEXNET),
            (Some([64, 3, 3, 3]), true) => ("SqueezeNet 1.1", SQUEEZENET),
            (Some([64, 3, 3, 3]), false) => ("VGG16", VGG16),
            _ => {
                let text = format!("{} is no network of LPIPS", weights.file());
                return Err(Error::new(Kind::Format, text)
                    .note("it has no first convolution of VGG16, AlexNet or SqueezeNet 1.1")
                    .hint("give a state dict of torchvision: vgg16, alexnet or squeezenet1_1"));
            }
        };
        let mut take = |at: usize, part: &str, [inner, outer]: [usize; 2], how: [usize; 3]| {
            let [size, stride, padding] = how;
            let of = |w: &Weights, what: &str| name_of(w, at, &format!("{part}{what}"));
            let weight = of(weights, "weight");
            let weight = weights.take(&weight, &[outer, inner, size, size])?.to_device(device)?;
            let bias = of(weights, "bias");
            let bias = weights.take(&bias, &[outer])?.to_device(device)?;
            Ok::<_, Error>(Layer { weight, bias, stride, padding })
        };
        let mut layers = Vec::new();
        for step in steps {
            match *step {
                Conv(at, channels, how) => layers.push(take(at, "", channels, how)?),
                Fire(at, [inner, squeezed, each]) => {
                    layers.push(take(at, "squeeze.", [inner, squeezed], [1, 1, 0])?);
                    layers.push(take(at, "expand1x1.", [squeezed, each], [1, 1, 0])?);
                    layers.push(take(at, "expand3x3.", [squeezed, each], SAME)?);
                }
                Pool(..) | Tap => {}
            }
        }
        Ok(Self { name, steps, layers })
    }

    /// Its name: `VGG16`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Channels of the maps that are compared.
    pub fn channels(&self) -> Vec<usize> {
        let (mut now, mut all) = (0, Vec::new());
        for step in self.steps {
            match step {
                Conv(_, [_, outer], _) => now = *outer,
                Fire(_, [_, _, each]) => now = 2 * each,
                Tap => all.push(now),
                Pool(..) => {}
            }
        }
        all
    }

    /// The maps that are compared, with gradients.
    ///
    /// # Shapes
    /// `[N, 3, H, W]` → one `[N, C_i, H_i, W_i]` a tap, none below 0.
    ///
    /// # Errors
    /// When the pictures are too small.
    pub fn taps(&self, pictures: &Tensor) -> Result<Vec<Tensor>> {
        let (mut x, mut taps) = (pictures.clone(), Vec::new());
        let mut layers = self.layers.iter();
        let missing = || Error::runtime("a network lacks a layer");
        for step in self.steps {
            match *step {
                Conv(..) => x = layers.next().ok_or_else(missing)?.forward(&x)?,
                Fire(..) => {
                    x = layers.next().ok_or_else(missing)?.forward(&x)?;
                    let one = layers.next().ok_or_else(missing)?.forward(&x)?;
                    let three = layers.next().ok_or_else(missing)?.forward(&x)?;
                    x = Tensor::cat(&[one, three], 1)?;
                }
                Pool(size, beyond) => x = max_pool(&x, size, beyond)?,
                Tap => taps.push(x.clone()),
            }
        }
        Ok(taps)
    }
}

/// The name of a tensor of `features` in a file: torchvision's, or that of lpips where it is there.
fn name_of(weights: &Weights, at: usize, what: &str) -> String {
    let other = (1..=7).map(|slice| format!("net.slice{slice}.{at}.{what}"));
    let own = format!("features.{at}.{what}");
    if weights.has(&own) { own } else { other.into_iter().find(|n| weights.has(n)).unwrap_or(own) }
}
