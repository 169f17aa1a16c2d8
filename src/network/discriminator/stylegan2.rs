//! The discriminator of StyleGAN2 and StyleGAN2-ADA (Karras et al. 2020), which StyleGAN3 and EG3D
//! are trained against too; by the names of NVIDIA's PyTorch code, or rosinality's.
//!
//! Blocks halve the picture from its own size to 4×4, connected as `resnet`, `skip` or `orig`; then
//! a convolution and two fully connected layers. The channel that tells how pictures of a batch
//! differ is that of a batch of one. A label weighs the last layer's outputs.

use super::{Discriminator, Judged, Kind};
use crate::error::{Error, Kind as Fault, Result};
use crate::tensor::{Activation, Filter, Resample, bias_act, conv2d, down2, fir, linear};
use crate::weights::{Listing, Weights};
use candle_core::{DType, Device, Tensor};
use serde_json::Value as Json;
use std::f64::consts::FRAC_1_SQRT_2;

/// The architecture.
pub(super) const KIND: Kind = Kind {
    name: "StyleGAN2",
    detect: |listing| nvidia(listing) || rosinality(listing),
    read: |weights, name, device| Ok(Box::new(StyleGan2::read(weights, name, device)?)),
};

/// Side of the last map.
const LAST: usize = 4;
/// Learning-rate multiplier of the layers that map a label.
const MAPPING_LR: f64 = 0.01;
/// Square root of what the official code adds to the variance over a batch: all that is left of it
/// for one picture.
const ALONE: f64 = 1e-4;

fn nvidia(listing: &Listing) -> bool {
    listing.has("b4.out.weight") && listing.has("b4.fc.weight") && listing.has("b4.conv.weight")
}

fn rosinality(listing: &Listing) -> bool {
    ["convs.0.0.weight", "convs.1.conv1.0.weight", "final_conv.0.weight", "final_linear.1.weight"]
        .iter()
        .all(|name| listing.has(name))
}

/// The names of NVIDIA's code for those of rosinality's, which count the blocks from the picture.
fn renamed(weights: Weights) -> Result<Weights> {
    let blocks = (1..).take_while(|n| weights.has(&format!("convs.{n}.conv1.0.weight"))).count();
    let top = LAST << blocks;
    weights.chosen(|name| {
        let parts: Vec<&str> = name.split('.').collect();
        Some(match parts[..] {
            ["convs", "0", "0", "weight"] => format!("b{top}.fromrgb.weight"),
            ["convs", "0", "1", "bias"] => format!("b{top}.fromrgb.bias"),
            ["convs", n, layer, _, kind] => {
                let n: usize = n.parse().ok()?;
                let side = top.checked_shr(u32::try_from(n.checked_sub(1)?).ok()?)?;
                let layer = match layer {
                    "conv1" => "conv0",
                    "conv2" => "conv1",
                    other => other,
                };
                let kind = if kind == "kernel" { "resample_filter" } else { kind };
                format!("b{side}.{layer}.{kind}")
            }
            ["final_conv", _, kind] => format!("b4.conv.{kind}"),
            ["final_linear", "0", kind] => format!("b4.fc.{kind}"),
            ["final_linear", "1", kind] => format!("b4.out.{kind}"),
            _ => name.to_owned(),
        })
    })
}

/// A convolution, its weights scaled as they run.
struct Conv {
    weight: Tensor,
    /// None where nothing follows the convolution.
    bias: Option<Tensor>,
    activation: Activation,
    /// The filter with which the map is halved.
    down: Option<Filter>,
}

impl Conv {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let size = self.weight.dim(2)?;
        let y = match &self.down {
            None => conv2d(x, &self.weight, 1, size / 2)?,
            Some(filter) if size == 1 => conv2d(&down2(x, filter)?, &self.weight, 1, 0)?,
            Some(filter) => {
                let taps = filter.size().0 as isize;
                let (before, after) = ((taps + 1) / 2, taps / 2);
                let how = Resample { up: 1, down: 1, before, after, gain: 1.0 };
                conv2d(&fir(x, filter, how)?, &self.weight, 2, 0)?
            }
        };
        Ok(match &self.bias {
            Some(bias) => bias_act(&y, bias, self.activation)?,
            None => y,
        })
    }
}

/// A fully connected layer, its weights scaled as they run.
struct Dense {
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
}

impl Dense {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(bias_act(&linear(x, &self.weight)?, &self.bias, self.activation)?)
    }
}

/// The layers of one size.
struct Block {
    from_picture: Option<Conv>,
    first: Conv,
    second: Conv,
    skip: Option<Conv>,
    /// The filter with which the picture is halved for the next block, where that reads it.
    halved: Option<Filter>,
}

/// The layers that turn a label into weights of the outputs.
struct Mapping {
    embed: Dense,
    layers: Vec<Dense>,
}

/// A discriminator.
struct StyleGan2 {
    name: String,
    fingerprint: String,
    channels: usize,
    side: usize,
    blocks: Vec<Block>,
    /// Of the `skip` architecture: what the last map gets of the picture.
    from_picture: Option<Conv>,
    conv: Conv,
    /// Channels that tell of the batch.
    batch: usize,
    dense: Dense,
    out: Dense,
    mapping: Option<Mapping>,
}

/// Reads layers by their names.
struct Reader<'a> {
    weights: Weights,
    device: &'a Device,
}

impl Reader<'_> {
    fn take(&mut self, name: &str) -> Result<Tensor> {
        Ok(self.weights.take_any(name)?.to_device(self.device)?)
    }

    /// A convolution whose result is scaled by `gain`.
    fn conv(&mut self, name: &str, down: Option<Filter>, gain: f64) -> Result<Conv> {
        let weight = self.take(&format!("{name}.weight"))?;
        let inputs = weight.elem_count() / weight.dim(0)?.max(1);
        let scale = 1.0 / (inputs as f64).sqrt();
        let bias = format!("{name}.bias");
        let bias = self.weights.has(&bias).then(|| self.take(&bias)).transpose()?;
        // Without an activation the gain belongs to the weight.
        let scale = if bias.is_some() { scale } else { scale * gain };
        let clamp = clamp(&self.weights.list().config, name).map(|c| c * gain);
        let usual = Activation::LRELU;
        let activation = Activation { gain: usual.gain * gain, clamp, ..usual };
        Ok(Conv { weight: (weight * scale)?, bias, activation, down })
    }

    fn dense(&mut self, name: &str, lr: f64, activation: Activation) -> Result<Dense> {
        let weight = self.take(&format!("{name}.weight"))?;
        let scale = lr / (weight.dim(1)?.max(1) as f64).sqrt();
        let bias = self.take(&format!("{name}.bias"))?;
        Ok(Dense { weight: (weight * scale)?, bias: (bias * lr)?, activation })
    }

    /// The filter that is stored beside a layer, else the usual one.
    fn filter(&mut self, layer: &str) -> Result<Filter> {
        let name = format!("{layer}.resample_filter");
        if !self.weights.has(&name) {
            return Ok(Filter::new(&[1.0, 3.0, 3.0, 1.0])?);
        }
        let stored = self.weights.take_any(&name)?;
        let values = stored.flatten_all()?.to_vec1::<f32>()?;
        Ok(match *stored.dims() {
            [_] => Filter::from_taps(&values)?,
            [h, w] => Filter::from_matrix(h, w, &values)?,
            _ => return Err(broken(format!("filter `{name}` has shape {:?}", stored.dims()))),
        })
    }

    fn block(&mut self, side: usize) -> Result<Block> {
        let name = |part: &str| format!("b{side}.{part}");
        let has = |r: &Self, part: &str| r.weights.has(&format!("b{side}.{part}.weight"));
        let residual = has(self, "skip");
        let gain = if residual { FRAC_1_SQRT_2 } else { 1.0 };
        let from_picture = has(self, "fromrgb").then(|| self.conv(&name("fromrgb"), None, 1.0));
        let from_picture = from_picture.transpose()?;
        let first = self.conv(&name("conv0"), None, 1.0)?;
        let filter = self.filter(&name("conv1"))?;
        let second = self.conv(&name("conv1"), Some(filter), gain)?;
        let skip = match residual {
            true => {
                let filter = self.filter(&name("skip"))?;
                Some(self.conv(&name("skip"), Some(filter), gain)?)
            }
            false => None,
        };
        let next = self.weights.has(&format!("b{}.fromrgb.weight", side / 2));
        let halved = next.then(|| self.filter(&format!("b{side}"))).transpose()?;
        Ok(Block { from_picture, first, second, skip, halved })
    }

    fn mapping(&mut self) -> Result<Option<Mapping>> {
        if !self.weights.has("mapping.embed.weight") {
            return Ok(None);
        }
        let embed = self.dense("mapping.embed", 1.0, Activation::LINEAR)?;
        let count =
            (0..).take_while(|i| self.weights.has(&format!("mapping.fc{i}.weight"))).count();
        let layer = |i| self.dense(&format!("mapping.fc{i}"), MAPPING_LR, Activation::LRELU);
        let layers = (0..count).map(layer).collect::<Result<_>>()?;
        Ok(Some(Mapping { embed, layers }))
    }
}

/// The limit of a layer's activations, where the file says one.
fn clamp(config: &Json, layer: &str) -> Option<f64> {
    let inner = |at: &Json, key: &str| at.get("_modules")?.get(key).cloned();
    let found = layer.split('.').try_fold(config.clone(), |at, key| inner(&at, key))?;
    found.get("conv_clamp")?.as_f64().filter(|c| *c > 0.0)
}

fn broken(message: String) -> Error {
    Error::new(Fault::Format, message).hint("use the file of a StyleGAN2 discriminator as it is")
}

impl StyleGan2 {
    fn read(weights: Weights, name: String, device: &Device) -> Result<Self> {
        let weights = if rosinality(weights.list()) { renamed(weights)? } else { weights };
        let fingerprint = weights.fingerprint()?;
        let mut r = Reader { weights, device };
        let side = (3..16)
            .map(|k| 1usize << k)
            .take_while(|side| r.weights.has(&format!("b{side}.conv0.weight")))
            .last()
            .ok_or_else(|| broken(format!("{name} has no block `b8`")))?;
        let sides = std::iter::successors(Some(side), |s| Some(s / 2)).take_while(|s| *s > LAST);
        let blocks = sides.map(|side| r.block(side)).collect::<Result<Vec<_>>>()?;
        let from_picture = r.weights.has("b4.fromrgb.weight");
        let from_picture = from_picture.then(|| r.conv("b4.fromrgb", None, 1.0)).transpose()?;
        let conv = r.conv("b4.conv", None, 1.0)?;
        let dense = r.dense("b4.fc", 1.0, Activation::LRELU)?;
        let out = r.dense("b4.out", 1.0, Activation::LINEAR)?;
        let mapping = r.mapping()?;
        let top = blocks.first().and_then(|b| b.from_picture.as_ref());
        let channels = top.map(|conv| conv.weight.dim(1)).transpose()?;
        let channels = channels.ok_or_else(|| broken(format!("{name} reads no pictures")))?;
        let last = blocks.last().map_or(Ok(0), |b| b.second.weight.dim(0))?;
        let batch = conv.weight.dim(1)?.checked_sub(last);
        let batch = batch.ok_or_else(|| broken(format!("the layers of {name} do not fit")))?;
        // Filters that no layer runs with: those of layers that keep the size.
        let rest: Vec<String> = r.weights.unused().iter().map(|n| (*n).to_owned()).collect();
        for filter in rest.iter().filter(|n| n.ends_with("resample_filter")) {
            r.weights.take_any(filter)?;
        }
        r.weights.finish()?;
        Ok(Self {
            name,
            fingerprint,
            channels,
            side,
            blocks,
            from_picture,
            conv,
            batch,
            dense,
            out,
            mapping,
        })
    }

    /// The score of the last layer's outputs `[N, 1]` or, with labels, `[N, D]`.
    fn score(&self, out: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
        let (Some(mapping), Some(labels)) = (&self.mapping, labels) else {
            return Ok(out.flatten_from(1)?.mean(1)?);
        };
        let embedded = mapping.embed.forward(labels)?;
        let square = (embedded.sqr()?.mean_keepdim(1)? + 1e-8)?;
        let mut x = embedded.broadcast_div(&square.sqrt()?)?;
        for layer in &mapping.layers {
            x = layer.forward(&x)?;
        }
        let size = out.dim(1)? as f64;
        Ok(((out * x)?.sum(1)? / size.sqrt())?)
    }
}

impl Discriminator for StyleGan2 {
    fn name(&self) -> &str {
        &self.name
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn size(&self) -> Option<[usize; 2]> {
        Some([self.side; 2])
    }

    fn labels(&self) -> usize {
        self.mapping.as_ref().map_or(0, |m| m.embed.weight.dims().last().copied().unwrap_or(0))
    }

    fn judge_own(&self, pictures: &Tensor, labels: Option<&Tensor>) -> Result<Judged> {
        let (mut picture, mut map): (Tensor, Option<Tensor>) = (pictures.clone(), None);
        let mut features = Vec::new();
        let seen = |conv: &Option<Conv>, picture: &Tensor, map: Option<Tensor>| {
            let Some(conv) = conv else { return Ok::<_, Error>(map) };
            let read = conv.forward(picture)?;
            Ok(Some(match map {
                Some(map) => (map + read)?,
                None => read,
            }))
        };
        let missing = || Error::runtime("a discriminator lacks its first layer");
        for block in &self.blocks {
            let x = seen(&block.from_picture, &picture, map.take())?.ok_or_else(missing)?;
            if let Some(filter) = &block.halved {
                picture = down2(&picture, filter)?;
            }
            let y = block.second.forward(&block.first.forward(&x)?)?;
            let y = match &block.skip {
                Some(skip) => (skip.forward(&x)? + y)?,
                None => y,
            };
            features.push(y.clone());
            map = Some(y);
        }
        let x = seen(&self.from_picture, &picture, map)?.ok_or_else(missing)?;
        let (n, _, h, w) = x.dims4()?;
        let batch = Tensor::ones((n, self.batch, h, w), DType::F32, x.device())?;
        let x = self.conv.forward(&Tensor::cat(&[&x, &(batch * ALONE)?], 1)?)?;
        let last = self.dense.forward(&x.flatten_from(1)?)?;
        let score = self.score(&self.out.forward(&last)?, labels)?;
        features.extend([x, last]);
        Ok(Judged { score, features, attention: None })
    }
}
