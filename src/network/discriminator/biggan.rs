//! The discriminator of BigGAN and SAGAN (Brock et al. 2019, Zhang et al. 2019), as BigGAN-PyTorch
//! (ajbrock) and Deep Generative Prior store it: residual blocks with spectral norm, self-attention
//! after one of them, the sum over the places, and a projection on the class.
//!
//! A block halves the map where its shortcut has a layer, but the last one. The spectral norm is
//! one power iteration from the stored vector, as the official code runs it in evaluation. Labels
//! are weights of the classes.

use super::{Discriminator, Judged, Kind};
use crate::error::{Error, Kind as Fault, Result};
use crate::network::pool::max_pool;
use crate::tensor::{Activation, bias_act, conv2d, linear};
use crate::weights::{Listing, Weights};
use candle_core::{D, Device, Tensor};
use candle_nn::ops::softmax;

/// The architecture.
pub(super) const KIND: Kind = Kind {
    name: "BigGAN",
    detect,
    read: |weights, name, device| Ok(Box::new(BigGan::read(weights, name, device)?)),
};

/// Added to the length of a vector before it is divided by it.
const EPS: f64 = 1e-12;
const RELU: Activation = Activation { slope: 0.0, gain: 1.0, clamp: None };

fn detect(listing: &Listing) -> bool {
    ["blocks.0.0.conv1.weight", "blocks.0.0.conv2.weight", "linear.weight"]
        .iter()
        .all(|name| listing.has(name))
        && listing.shape("linear.weight").and_then(|s| s.first()) == Some(&1)
}

/// A convolution, its weight divided by its largest singular value.
struct Conv {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Conv {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = conv2d(x, &self.weight, 1, self.weight.dim(2)? / 2)?;
        Ok(match &self.bias {
            Some(bias) => bias_act(&y, bias, Activation::LINEAR)?,
            None => y,
        })
    }
}

struct Block {
    first: Conv,
    second: Conv,
    /// The layer of the shortcut; none where it passes the map as it is.
    shortcut: Option<Conv>,
    /// Whether the map is halved.
    halves: bool,
    attention: Option<Attention>,
}

/// Every place reads from all places of the halved map (Zhang et al. 2019).
struct Attention {
    theta: Conv,
    phi: Conv,
    values: Conv,
    out: Conv,
    gamma: f64,
}

impl Attention {
    /// The map with what its places read from others, and how much all read from each,
    /// `[N, 1, h/2, w/2]`.
    fn forward(&self, x: &Tensor) -> Result<[Tensor; 2]> {
        let (n, _, h, w) = x.dims4()?;
        let rows = |t: Tensor| -> Result<Tensor> { Ok(t.flatten_from(2)?.transpose(1, 2)?) };
        let asked = rows(self.theta.forward(x)?)?.contiguous()?; // [N, P, C/8]
        let keys = rows(max_pool(&self.phi.forward(x)?, 2, false)?)?.contiguous()?; // [N, P/4, C/8]
        let values = max_pool(&self.values.forward(x)?, 2, false)?.flatten_from(2)?;
        let (mut read, mut from) = (Vec::new(), Vec::new());
        // One by one: the same bits in any batch.
        for i in 0..n {
            let of = |t: &Tensor| t.narrow(0, i, 1)?.squeeze(0);
            let shares = softmax(&linear(&of(&asked)?, &of(&keys)?)?, D::Minus1)?; // [P, P/4]
            read.push(linear(&of(&values)?, &shares)?); // [C/2, P]
            from.push(shares.mean(0)?);
        }
        let read = Tensor::stack(&read, 0)?.reshape((n, (), h, w))?;
        let from = Tensor::stack(&from, 0)?.reshape((n, 1, h / 2, w / 2))?;
        let map = (x + (self.out.forward(&read)? * self.gamma)?)?;
        Ok([map, from])
    }
}

struct BigGan {
    name: String,
    fingerprint: String,
    blocks: Vec<Block>,
    linear: Conv,
    /// A vector for each class, `[classes, C]`.
    embed: Option<Tensor>,
}

/// The means of 2×2 places.
fn halved(x: &Tensor) -> Result<Tensor> {
    Ok(x.avg_pool2d(2)?)
}

impl Block {
    fn forward(&self, x: &Tensor, first: bool) -> Result<Tensor> {
        let entered = if first { x.clone() } else { x.relu()? };
        let inner = self.first.forward(&entered)?.relu()?;
        let y = self.second.forward(&inner)?;
        let smaller = |map: Tensor| if self.halves { halved(&map) } else { Ok(map) };
        let short = |map: &Tensor| match &self.shortcut {
            Some(conv) => conv.forward(map),
            None => Ok(map.clone()),
        };
        // The first block halves the picture before its shortcut.
        let other = if first { short(&smaller(x.clone())?)? } else { smaller(short(x)?)? };
        Ok((smaller(y)? + other)?)
    }
}

/// A layer's weight over its largest singular value, and its bias.
fn conv(weights: &mut Weights, name: &str, device: &Device) -> Result<Conv> {
    let weight = weights.take_any(&format!("{name}.weight"))?.to_device(device)?;
    let u = format!("{name}.u0");
    let weight = match weights.has(&u) {
        true => {
            let u = weights.take_any(&u)?.to_device(device)?;
            let matrix = weight.reshape((weight.dim(0)?, ()))?;
            let unit = |v: Tensor| -> Result<Tensor> {
                let length = v.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?;
                Ok((v / f64::from(length).max(EPS))?)
            };
            let v = unit(u.matmul(&matrix)?)?;
            let along = linear(&v, &matrix)?;
            let sigma = (unit(along.clone())? * along)?.sum_all()?.to_scalar::<f32>()?;
            if !(sigma.is_finite() && sigma > 0.0) {
                let message = format!("the spectral norm of `{name}` is {sigma}");
                return Err(Error::new(Fault::Format, message).hint("the file is damaged"));
            }
            (weight / f64::from(sigma))?
        }
        false => weight,
    };
    let spare = format!("{name}.sv0");
    if weights.has(&spare) {
        weights.take_any(&spare)?;
    }
    let bias = format!("{name}.bias");
    let bias = weights.has(&bias).then(|| weights.take_any(&bias)).transpose()?;
    let bias = bias.map(|b| b.to_device(device)).transpose()?;
    Ok(Conv { weight, bias })
}

fn block(weights: &mut Weights, i: usize, device: &Device) -> Result<Block> {
    let name = |part: &str| format!("blocks.{i}.0.{part}");
    let first = conv(weights, &name("conv1"), device)?;
    let second = conv(weights, &name("conv2"), device)?;
    let own = weights.has(&name("conv_sc.weight"));
    let shortcut = own.then(|| conv(weights, &name("conv_sc"), device)).transpose()?;
    let part = |part: &str| format!("blocks.{i}.1.{part}");
    let attention = match weights.has(&part("gamma")) {
        true => Some(Attention {
            theta: conv(weights, &part("theta"), device)?,
            phi: conv(weights, &part("phi"), device)?,
            values: conv(weights, &part("g"), device)?,
            out: conv(weights, &part("o"), device)?,
            gamma: f64::from(weights.take(&part("gamma"), &[])?.to_scalar::<f32>()?),
        }),
        false => None,
    };
    let last = !weights.has(&format!("blocks.{}.0.conv1.weight", i + 1));
    let halves = shortcut.is_some() && !last;
    Ok(Block { first, second, shortcut, halves, attention })
}

impl BigGan {
    fn read(mut weights: Weights, name: String, device: &Device) -> Result<Self> {
        let fingerprint = weights.fingerprint()?;
        let count = (0..).take_while(|i| weights.has(&format!("blocks.{i}.0.conv1.weight")));
        let blocks = (0..count.count()).map(|i| block(&mut weights, i, device));
        let blocks = blocks.collect::<Result<_>>()?;
        let linear = conv(&mut weights, "linear", device)?;
        let embed = weights.has("embed.weight");
        let embed = embed.then(|| conv(&mut weights, "embed", device)).transpose()?;
        weights.finish()?;
        Ok(Self { name, fingerprint, blocks, linear, embed: embed.map(|e| e.weight) })
    }
}

impl Discriminator for BigGan {
    fn name(&self) -> &str {
        &self.name
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn channels(&self) -> usize {
        self.blocks.first().and_then(|b| b.first.weight.dims().get(1).copied()).unwrap_or(0)
    }

    fn size(&self) -> Option<[usize; 2]> {
        None
    }

    fn labels(&self) -> usize {
        self.embed.as_ref().and_then(|e| e.dims().first().copied()).unwrap_or(0)
    }

    fn judge_own(&self, pictures: &Tensor, labels: Option<&Tensor>) -> Result<Judged> {
        let (mut x, mut features, mut attention) = (pictures.clone(), Vec::new(), None);
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x, i == 0)?;
            features.push(x.clone());
            if let Some(reads) = &block.attention {
                let [map, from] = reads.forward(&x)?;
                features.push(map.clone());
                (x, attention) = (map, Some(from));
            }
        }
        let sum = bias_act(&x, &Tensor::zeros(x.dim(1)?, x.dtype(), x.device())?, RELU)?;
        let sum = sum.flatten_from(2)?.sum(2)?; // [NC]
        let mut score = linear(&sum, &self.linear.weight)?.sum(1)?;
        if let Some(bias) = &self.linear.bias {
            score = score.broadcast_add(bias)?;
        }
        if let (Some(embed), Some(labels)) = (&self.embed, labels) {
            score = (score + (labels.matmul(embed)? * &sum)?.sum(1)?)?;
        }
        features.push(sum);
        Ok(Judged { score, features, attention })
    }
}
