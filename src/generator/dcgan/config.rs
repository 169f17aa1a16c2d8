//! Configuration of a plain generator: its layers in the order in which they run.
//!
//! The settings name every layer and everything that its tensors do not show (strides, paddings,
//! eps, slopes), so a converted file needs no inference. [`Config::plan`] follows the shapes from z
//! to the picture and refuses what does not fit before a number is read.

use crate::error::{Error, Kind, Result};
use crate::generator::Layer;
use crate::safe::Safe;
use serde::{Deserialize, Serialize};

/// Values of one map, or of one picture, at most: 64 channels of 1024².
const MAP: usize = 1 << 26;
/// Layers at most.
const LAYERS: usize = 400;

/// The settings of a plain generator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the generator.
    #[serde(default)]
    pub name: String,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Number of classes; 0 when unconditional.
    #[serde(default)]
    pub c_dim: usize,
    /// The way in which the class enters.
    #[serde(default)]
    pub class: Class,
    /// Its layers in the order in which they run.
    pub layers: Vec<Op>,
    /// Settings inferred because the file does not state them, in words.
    #[serde(default)]
    pub assumed: Vec<String>,
}

/// The way in which the class enters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It does not.
    #[default]
    None,
    /// One-hot, before z.
    OneHotFirst,
    /// One-hot, after z.
    OneHotLast,
    /// A row of the table of that name, before z.
    EmbeddingFirst(String),
    /// A row of the table of that name, after z.
    EmbeddingLast(String),
    /// z is multiplied by a row of the table of that name.
    EmbeddingProduct(String),
}

impl Class {
    /// The module of its table.
    pub fn table(&self) -> Option<&str> {
        match self {
            Self::None | Self::OneHotFirst | Self::OneHotLast => None,
            Self::EmbeddingFirst(t) | Self::EmbeddingLast(t) | Self::EmbeddingProduct(t) => Some(t),
        }
    }
}

/// One layer; `name` is the module whose tensors it takes (`main.0` for `main.0.weight`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// A fully connected layer, weight `[O, I]`.
    Linear {
        /// Its module.
        name: String,
    },
    /// A vector becomes a map.
    Reshape {
        /// Channels.
        channels: usize,
        /// Height.
        height: usize,
        /// Width.
        width: usize,
        /// Whether the vector holds all channels of a pixel one after the other, as Keras has it.
        #[serde(default, skip_serializing_if = "is_default")]
        channels_last: bool,
    },
    /// A transposed convolution, weight `[I, O, k, k]`; of a 1×1 map also `[I, O, h, w]`.
    Transposed {
        /// Its module.
        name: String,
        /// Stride.
        stride: usize,
        /// Padding.
        padding: usize,
        /// Rows and columns more below and to the right.
        #[serde(default)]
        output_padding: usize,
        /// Rows and columns dropped below and to the right, as TensorFlow's padding of odd kernels
        /// needs it.
        #[serde(default, skip_serializing_if = "is_default")]
        cut: usize,
    },
    /// A convolution, weight `[O, I, k, k]`.
    Conv {
        /// Its module.
        name: String,
        /// Stride.
        stride: usize,
        /// Padding.
        padding: usize,
    },
    /// Batch normalisation with its stored statistics.
    Norm {
        /// Its module.
        name: String,
        /// Added to the variance.
        eps: f64,
    },
    /// Every pixel is repeated 2×2.
    Upsample,
    /// Zeros around a map: above, below, left, right. They belong to the layer behind them.
    Pad {
        /// Rows and columns of each side.
        sides: [usize; 4],
    },
    /// A map without its edge: above, below, left, right.
    Crop {
        /// Rows and columns of each side.
        sides: [usize; 4],
    },
    /// Leaky ReLU; ReLU with a slope of 0.
    Relu {
        /// Slope below zero.
        slope: f64,
    },
    /// Hyperbolic tangent.
    Tanh,
    /// The logistic function: a picture in [0, 1], which is brought to [-1, 1].
    Sigmoid,
}

impl Op {
    /// The module whose tensors it takes.
    pub fn module(&self) -> Option<&str> {
        match self {
            Self::Linear { name }
            | Self::Transposed { name, .. }
            | Self::Conv { name, .. }
            | Self::Norm { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Whether it is a linear map with weights, so a point that can be tapped.
    pub fn is_weighted(&self) -> bool {
        matches!(self, Self::Linear { .. } | Self::Transposed { .. } | Self::Conv { .. })
    }
}

/// Whether a setting needs no word.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Shape of the data between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A vector.
    Flat(usize),
    /// A map: channels, height, width.
    Map([usize; 3]),
}

impl Size {
    /// Shape as a map: a vector has one pixel.
    pub fn planes(self) -> [usize; 3] {
        match self {
            Self::Flat(n) => [n, 1, 1],
            Self::Map(size) => size,
        }
    }
}

/// Result of applying the settings to the shapes of the tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The size after every layer.
    pub sizes: Vec<Size>,
    /// Input size of the first layer.
    pub inputs: usize,
    /// The points that can be tapped: after each weighted layer, its norm and its activation.
    pub layers: Vec<Layer>,
    /// Channels, height and width of the picture.
    pub picture: [usize; 3],
    /// Parameters, statistics not counted.
    pub parameters: usize,
}

/// The shape of a tensor of the file, by its whole name.
pub type Shapes<'a> = dyn Fn(&str) -> Option<Vec<usize>> + 'a;

impl Config {
    /// Reads settings.
    ///
    /// # Errors
    /// On an unknown setting and on a value of the wrong kind.
    pub fn parse(json: &serde_json::Value) -> Result<Self> {
        Self::deserialize(json).map_err(|e| {
            Error::new(Kind::Format, format!("the generator's settings: {}", Safe(&e.to_string())))
                .hint("see the family `dcgan` in models/README.md")
        })
    }

    /// Follows the shapes from z to the picture.
    ///
    /// # Errors
    /// When a layer does not fit the one before it, a tensor is missing or of another shape, or the
    /// result is not a picture.
    pub fn plan(&self, shape: &Shapes<'_>) -> Result<Plan> {
        if self.z_dim == 0 || self.layers.is_empty() || self.layers.len() > LAYERS {
            return Err(wrong("z needs a dimension, and there are 1 to 400 layers".into()));
        }
        let inputs = self.inputs(shape)?;
        let mut size = Size::Flat(inputs);
        let mut plan = Plan {
            sizes: Vec::new(),
            inputs,
            layers: Vec::new(),
            picture: [0; 3],
            parameters: self.class.table().map_or(0, |t| count(shape, t)),
        };
        // Steps after a doubling or padding belong to the layer behind it.
        let mut doubled = false;
        for op in &self.layers {
            size = step(op, size, shape)?;
            let [channels, height, width] = size.planes();
            let values = channels.checked_mul(height).and_then(|n| n.checked_mul(width));
            if values.is_none_or(|n| n == 0 || n > MAP) {
                return Err(wrong(format!("a map of {channels}×{height}×{width} is too large")));
            }
            plan.parameters += op.module().map_or(0, |name| count(shape, name));
            if op.is_weighted() {
                let name = op.module().unwrap_or_default().to_owned();
                plan.layers.push(Layer { name, channels, height, width });
                doubled = false;
            } else if matches!(op, Op::Upsample | Op::Pad { .. }) {
                doubled = true;
            } else if let Some(last) = plan.layers.last_mut().filter(|_| !doubled) {
                (last.channels, last.height, last.width) = (channels, height, width);
            }
            plan.sizes.push(size);
        }
        let Size::Map(picture @ [channels, ..]) = size else {
            return Err(wrong("the last layer gives a vector, no picture".into()));
        };
        if channels > 4 {
            return Err(wrong(format!(
                "pictures have 1 to 4 channels, these would have {channels}"
            )));
        }
        Ok(Plan { picture, ..plan })
    }

    /// Input size of the first layer.
    fn inputs(&self, shape: &Shapes<'_>) -> Result<usize> {
        if (self.class == Class::None) != (self.c_dim == 0) {
            return Err(wrong(format!("{} classes with the class {:?}", self.c_dim, self.class)));
        }
        let Some(table) = self.class.table() else {
            return self
                .z_dim
                .checked_add(self.c_dim)
                .ok_or_else(|| wrong("z is too large".into()));
        };
        match tensor(shape, table, "weight")?[..] {
            [c, d] if c == self.c_dim => match self.class {
                Class::EmbeddingProduct(_) if d == self.z_dim => Ok(d),
                Class::EmbeddingProduct(_) => {
                    Err(wrong(format!("`{table}` has rows of {d}, z has {}", self.z_dim)))
                }
                _ => self.z_dim.checked_add(d).ok_or_else(|| wrong("z is too large".into())),
            },
            ref other => {
                Err(wrong(format!("`{table}.weight` is {other:?} for {} classes", self.c_dim)))
            }
        }
    }
}

/// The values of a module's weight and bias.
fn count(shape: &Shapes<'_>, name: &str) -> usize {
    let of = |part: &str| shape(&format!("{name}.{part}")).map_or(0, |s| s.iter().product());
    of("weight") + of("bias")
}

fn tensor(shape: &Shapes<'_>, module: &str, part: &str) -> Result<Vec<usize>> {
    let name = format!("{module}.{part}");
    shape(&name).ok_or_else(|| {
        refused(format!("tensor `{}` is missing", Safe(&name)))
            .hint("the file is not whole: `gannet info` shows what it holds")
    })
}

/// The size after a layer.
fn step(op: &Op, size: Size, shape: &Shapes<'_>) -> Result<Size> {
    let at = Place { size, shape };
    match op {
        Op::Linear { name } => at.linear(name),
        Op::Reshape { channels, height, width, .. } => at.reshape([*channels, *height, *width]),
        Op::Transposed { name, stride, padding, output_padding, cut } => {
            at.transposed(name, [*stride, *padding, *output_padding, *cut])
        }
        Op::Conv { name, stride, padding } => at.conv(name, *stride, *padding),
        Op::Norm { name, eps } => at.norm(name, *eps),
        Op::Upsample => match size {
            Size::Map([c, h, w]) if h.max(w) < MAP => Ok(Size::Map([c, 2 * h, 2 * w])),
            _ => Err(wrong("a vector cannot be doubled in size".into())),
        },
        Op::Pad { sides } => at.edge(*sides, |n, a, b| n.checked_add(a)?.checked_add(b)),
        Op::Crop { sides } => {
            at.edge(*sides, |n, a, b| n.checked_sub(a)?.checked_sub(b).filter(|n| *n > 0))
        }
        Op::Relu { slope } if !(0.0..=1.0).contains(slope) => {
            Err(wrong(format!("a slope of {slope}; 0 to 1 are possible")))
        }
        Op::Relu { .. } | Op::Tanh | Op::Sigmoid => Ok(size),
    }
}

/// A place between two layers: what comes there, and the shapes of the file's tensors.
struct Place<'a> {
    size: Size,
    shape: &'a Shapes<'a>,
}

impl Place<'_> {
    /// The error of a weight that does not read what comes.
    fn unfit(&self, name: &str, weight: &[usize]) -> Error {
        let words = match self.size {
            Size::Flat(n) => format!("a vector of {n}"),
            Size::Map([c, h, w]) => format!("a map of {c}×{h}×{w}"),
        };
        wrong(format!("`{}.weight` {weight:?} does not fit {words} before it", Safe(name)))
    }

    /// The size after a layer with weights, whose bias is checked.
    fn biased(&self, name: &str, after: Size) -> Result<Size> {
        let outputs = after.planes()[0];
        match (self.shape)(&format!("{name}.bias")) {
            Some(found) if found != [outputs] => {
                Err(wrong(format!("`{}.bias` is {found:?}, [{outputs}] is needed", Safe(name))))
            }
            _ => Ok(after),
        }
    }

    fn linear(&self, name: &str) -> Result<Size> {
        let weight = tensor(self.shape, name, "weight")?;
        match (self.size, &weight[..]) {
            (Size::Flat(n), &[o, i]) if n == i => self.biased(name, Size::Flat(o)),
            _ => Err(self.unfit(name, &weight)),
        }
    }

    fn reshape(&self, map @ [channels, height, width]: [usize; 3]) -> Result<Size> {
        let values = channels.checked_mul(height).and_then(|m| m.checked_mul(width));
        match self.size {
            Size::Flat(n) if values == Some(n) => Ok(Size::Map(map)),
            size => Err(wrong(format!("{size:?} is not a map of {channels}×{height}×{width}"))),
        }
    }

    fn transposed(&self, name: &str, how: [usize; 4]) -> Result<Size> {
        let (weight, [c, h, w]) = (tensor(self.shape, name, "weight")?, self.size.planes());
        let [stride, padding, output_padding, cut] = how;
        let out = |n, k| {
            let all = transposed(n, k, stride, padding, output_padding)?;
            all.checked_sub(cut).filter(|n| *n > 0)
        };
        let one_pixel = (h, w, padding, output_padding, cut) == (1, 1, 0, 0, 0);
        match weight[..] {
            [i, o, kh, kw] if i == c && (kh == kw || one_pixel) => match (out(h, kh), out(w, kw)) {
                (Some(h), Some(w)) => self.biased(name, Size::Map([o, h, w])),
                _ => Err(self.unfit(name, &weight)),
            },
            _ => Err(self.unfit(name, &weight)),
        }
    }

    fn conv(&self, name: &str, stride: usize, padding: usize) -> Result<Size> {
        let weight = tensor(self.shape, name, "weight")?;
        let (Size::Map([c, h, w]), &[o, i, k, kw]) = (self.size, &weight[..]) else {
            return Err(self.unfit(name, &weight));
        };
        let out = |n: usize| {
            let all = n.checked_add(padding.checked_mul(2)?)?.checked_sub(k)?;
            Some(all.checked_div(stride)? + 1)
        };
        match (out(h), out(w)) {
            (Some(h), Some(w)) if (c, k) == (i, kw) => self.biased(name, Size::Map([o, h, w])),
            _ => Err(self.unfit(name, &weight)),
        }
    }

    fn norm(&self, name: &str, eps: f64) -> Result<Size> {
        let channels = self.size.planes()[0];
        let mean = tensor(self.shape, name, "running_mean")?;
        let fits = |part: &str| {
            (self.shape)(&format!("{name}.{part}")).is_none_or(|found| found == [channels])
        };
        if mean != [channels] || !["running_var", "weight", "bias"].into_iter().all(fits) {
            return Err(self.unfit(name, &mean));
        }
        tensor(self.shape, name, "running_var")?;
        if !(eps.is_finite() && eps >= 0.0) {
            return Err(wrong(format!("`{}` has an eps of {eps}", Safe(name))));
        }
        Ok(self.size)
    }

    /// The size after an edge is added or cut off; `side` gives the new length of a side.
    fn edge(
        &self,
        sides @ [top, bottom, left, right]: [usize; 4],
        side: impl Fn(usize, usize, usize) -> Option<usize>,
    ) -> Result<Size> {
        let Size::Map([c, h, w]) = self.size else {
            return Err(wrong("a vector has no edge to pad or to crop".into()));
        };
        match (side(h, top, bottom), side(w, left, right)) {
            (Some(h), Some(w)) => Ok(Size::Map([c, h, w])),
            _ => Err(wrong(format!("an edge of {sides:?} of a map of {h}×{w}"))),
        }
    }
}

/// Pixels that a transposed convolution makes of `n`.
pub(super) fn transposed(
    n: usize,
    k: usize,
    stride: usize,
    padding: usize,
    extra: usize,
) -> Option<usize> {
    if stride == 0 || (extra > 0 && extra >= stride) {
        return None;
    }
    let full = n.checked_sub(1)?.checked_mul(stride)?.checked_add(k)?.checked_add(extra)?;
    full.checked_sub(padding.checked_mul(2)?).filter(|v| *v > 0)
}

/// An error whose repair the caller names.
pub(super) fn refused(message: String) -> Error {
    Error::new(Kind::Format, message)
}

/// An error that has no repair but to look at the file.
pub(super) fn wrong(message: String) -> Error {
    refused(message).hint("`gannet info` shows what the file holds")
}
