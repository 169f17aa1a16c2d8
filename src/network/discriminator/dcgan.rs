//! The discriminator of DCGAN (Radford et al. 2016), as PyTorch's example stores it: a series of
//! convolutions 4×4 that halve the picture, with batch normalisation by its stored statistics and
//! leaky ReLU; the last convolution reads a map of 4×4. The sigmoid at its end is left out: the
//! score is its logit.

use super::{Discriminator, Judged, Kind};
use crate::error::{Error, Kind as Fault, Result};
use crate::tensor::{Activation, FixedNorm, bias_act, conv2d};
use crate::weights::{Listing, Weights};
use candle_core::{DType, Device, Tensor};

/// The architecture.
pub(super) const KIND: Kind = Kind {
    name: "DCGAN",
    detect: |listing| series(listing).is_some(),
    read: |weights, name, device| Ok(Box::new(Dcgan::read(weights, name, device)?)),
};

/// Side of a kernel, and of the map that the last one reads.
const KERNEL: usize = 4;
/// Epsilon of PyTorch's batch normalisation.
const EPS: f64 = 1e-5;
/// Slope of the leaky ReLU.
const SLOPE: f64 = 0.2;

/// What is in front of the numbers of the layers, and the numbers of the convolutions: from a
/// picture of 1 to 4 channels to one number, each reading what the one before gives.
fn series(listing: &Listing) -> Option<(String, Vec<usize>)> {
    let first = listing.tensors.keys().find(|n| n.ends_with("0.weight"))?;
    let prefix = first.strip_suffix("0.weight")?.to_owned();
    let shape = |n: usize| listing.shape(&format!("{prefix}{n}.weight"));
    let convs: Vec<usize> = (0..100).filter(|n| shape(*n).is_some_and(|s| s.len() == 4)).collect();
    let shapes: Vec<&[usize]> = convs.iter().filter_map(|n| shape(*n)).collect();
    let kernels = shapes.iter().all(|s| s[2..] == [KERNEL, KERNEL]);
    let chained = shapes.windows(2).all(|pair| pair[0][0] == pair[1][1]);
    let ends = (1..=4).contains(shapes.first()?.get(1)?) && shapes.last()?.first() == Some(&1);
    (convs.len() > 1 && kernels && chained && ends).then_some((prefix, convs))
}

/// A convolution, its batch normalisation taken in.
struct Layer {
    weight: Tensor,
    bias: Tensor,
}

struct Dcgan {
    name: String,
    fingerprint: String,
    layers: Vec<Layer>,
}

impl Dcgan {
    fn read(mut weights: Weights, name: String, device: &Device) -> Result<Self> {
        let missing = || Error::new(Fault::Format, format!("{name} has no series of layers"));
        let (prefix, convs) = series(weights.list()).ok_or_else(missing)?;
        let fingerprint = weights.fingerprint()?;
        let layers = convs.iter().map(|n| layer(&mut weights, (&prefix, *n), device));
        let layers = layers.collect::<Result<_>>()?;
        weights.finish()?;
        Ok(Self { name, fingerprint, layers })
    }
}

fn layer(weights: &mut Weights, (prefix, n): (&str, usize), device: &Device) -> Result<Layer> {
    let weight = weights.take_any(&format!("{prefix}{n}.weight"))?.to_device(device)?;
    let channels = weight.dim(0)?;
    let bias = format!("{prefix}{n}.bias");
    let bias = match weights.has(&bias) {
        true => weights.take(&bias, &[channels])?.to_device(device)?,
        false => Tensor::zeros(channels, DType::F32, device)?,
    };
    let norm = format!("{prefix}{}", n + 1);
    if !weights.has(&format!("{norm}.running_mean")) {
        return Ok(Layer { weight, bias });
    }
    let mut take = |part: &str| -> Result<Tensor> {
        Ok(weights.take(&format!("{norm}.{part}"), &[channels])?.to_device(device)?)
    };
    let [mean, var] = [take("running_mean")?, take("running_var")?];
    let affine = FixedNorm::new(&mean, &var, EPS)?.affine(&take("weight")?, &take("bias")?)?;
    let counter = format!("{norm}.num_batches_tracked");
    if weights.has(&counter) {
        weights.take_array(&counter)?;
    }
    let (weight, bias) = affine.fold(&weight, Some(&bias), 0)?;
    Ok(Layer { weight, bias })
}

impl Discriminator for Dcgan {
    fn name(&self) -> &str {
        &self.name
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn channels(&self) -> usize {
        self.layers.first().and_then(|l| l.weight.dims().get(1).copied()).unwrap_or(0)
    }

    fn size(&self) -> Option<[usize; 2]> {
        Some([KERNEL << self.layers.len().saturating_sub(1); 2])
    }

    fn labels(&self) -> usize {
        0
    }

    fn judge_own(&self, pictures: &Tensor, _: Option<&Tensor>) -> Result<Judged> {
        let leaky = Activation { slope: SLOPE, gain: 1.0, clamp: None };
        let (mut x, mut features) = (pictures.clone(), Vec::new());
        for (i, layer) in self.layers.iter().enumerate() {
            let last = i + 1 == self.layers.len();
            let (stride, padding) = if last { (1, 0) } else { (2, 1) };
            let y = conv2d(&x, &layer.weight, stride, padding)?;
            x = bias_act(&y, &layer.bias, if last { Activation::LINEAR } else { leaky })?;
            if !last {
                features.push(x.clone());
            }
        }
        Ok(Judged { score: x.flatten_from(1)?.mean(1)?, features, attention: None })
    }
}
