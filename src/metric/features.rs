//! A small plain network that reads attributes off pictures; its layers are what the perceptual distance looks at.

use super::resize::resize_to;
use crate::error::{Error, Result};
use crate::safe::Safe;
use crate::tensor::conv2d;
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;

/// One output of the network.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Output {
    /// What it reads: `smile`.
    pub name: String,
    /// How the raw number becomes a score: `binary` and `probability` through a sigmoid; everything else is linear.
    #[serde(default)]
    pub kind: String,
    /// Mean over the training set; a linear score is `raw · std + mean`.
    #[serde(default)]
    pub mean: f64,
    /// Standard deviation over the training set.
    #[serde(default = "one")]
    pub std: f64,
    /// Unit of the score, for display.
    #[serde(default)]
    pub unit: String,
}

fn one() -> f64 {
    1.0
}

/// The shape of the network.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FeaturesConfig {
    /// Side of the pictures that it was trained on.
    pub input_resolution: usize,
    /// Stride of every convolution.
    pub strides: Vec<usize>,
    /// Slope of the leaky ReLU below zero.
    #[serde(default = "slope")]
    pub leaky: f64,
    /// Its outputs, in order.
    pub outputs: Vec<Output>,
}

fn slope() -> f64 {
    0.2
}

struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
}

/// The network: convolutions 3×3 with padding 1 and leaky ReLU, mean over space, linear head.
pub struct Features {
    config: FeaturesConfig,
    convs: Vec<Conv>,
    head_weight: Tensor,
    head_bias: Tensor,
    name: String,
}

impl Features {
    /// From its tensors: `conv{i}.weight [O, I, 3, 3]`, `conv{i}.bias [O]`, `head.weight [outputs, C]`, `head.bias`.
    ///
    /// # Errors
    /// When a tensor is missing, has another shape, or is left over.
    pub fn new(
        name: &str,
        config: FeaturesConfig,
        mut tensors: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        if config.strides.len() < 2 || config.strides.contains(&0) || config.input_resolution == 0 {
            return Err(bad(name, "its configuration needs a resolution and at least two strides, none of them 0"));
        }
        let mut take = |key: &str, rank: usize| -> Result<Tensor> {
            let t = tensors.remove(key).ok_or_else(|| bad(name, &format!("tensor `{key}` is missing")))?;
            if t.rank() != rank {
                return Err(bad(name, &format!("`{key}` has shape {:?}, expected {rank} dimensions", t.dims())));
            }
            Ok(t.to_device(device)?.to_dtype(DType::F32)?)
        };
        let mut convs: Vec<Conv> = Vec::new();
        for (i, &stride) in config.strides.iter().enumerate() {
            let (weight, bias) = (take(&format!("conv{i}.weight"), 4)?, take(&format!("conv{i}.bias"), 1)?);
            let (o, inner, kh, kw) = weight.dims4()?;
            let fits = convs.last().is_none_or(|c| c.bias.dims1().is_ok_and(|before| before == inner));
            if (kh, kw) != (3, 3) || bias.dims1()? != o || !fits {
                return Err(bad(name, &format!("`conv{i}.weight` {:?} does not fit its neighbours", weight.dims())));
            }
            convs.push(Conv { weight, bias, stride });
        }
        let (head_weight, head_bias) = (take("head.weight", 2)?, take("head.bias", 1)?);
        let last = convs.last().map_or(0, |c| c.bias.elem_count());
        if head_weight.dims() != [config.outputs.len(), last] || head_bias.elem_count() != config.outputs.len() {
            return Err(bad(name, &format!("`head.weight` {:?} does not fit the outputs", head_weight.dims())));
        }
        if let Some(left) = tensors.keys().next() {
            return Err(bad(name, &format!("tensor `{}` belongs to no layer", Safe(left))));
        }
        Ok(Self { config, convs, head_weight, head_bias, name: name.into() })
    }

    /// Its name, as printed in definitions.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its shape.
    pub fn config(&self) -> &FeaturesConfig {
        &self.config
    }

    /// Channels of the pictures that it reads.
    pub fn channels(&self) -> usize {
        self.convs.first().map_or(0, |c| c.weight.dims()[1])
    }

    /// The activations of every convolution, with gradients.
    ///
    /// # Shapes
    /// `[N, C, H, W]` in [-1, 1], of any size → one `[N, C_i, H_i, W_i]` a convolution.
    pub fn activations(&self, pictures: &Tensor) -> Result<Vec<Tensor>> {
        let (_, channels, _, _) = pictures.dims4()?;
        if channels != self.channels() {
            return Err(Error::runtime(format!(
                "the network {} reads {} channels, the pictures have {channels}",
                Safe(&self.name),
                self.channels()
            ))
            .hint("use a pixel loss (perceptual: 0)"));
        }
        let side = self.config.input_resolution;
        let mut x = resize_to(&pictures.to_dtype(DType::F32)?, side, side)?;
        let mut all = Vec::with_capacity(self.convs.len());
        for c in &self.convs {
            x = leaky(&convolve(&x, &c.weight, &c.bias, c.stride)?, self.config.leaky)?;
            all.push(x.clone());
        }
        Ok(all)
    }

    /// Attribute scores in their own units (years, degrees; probabilities in [0, 1]).
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N, outputs]`, with gradients.
    pub fn scores(&self, pictures: &Tensor) -> Result<Tensor> {
        let raw = self.raw_scores(pictures)?;
        let mut columns = Vec::with_capacity(self.config.outputs.len());
        for (i, o) in self.config.outputs.iter().enumerate() {
            let column = raw.narrow(1, i, 1)?;
            columns.push(match o.kind.as_str() {
                "binary" | "probability" => candle_nn::ops::sigmoid(&column)?,
                _ => column.affine(o.std, o.mean)?,
            });
        }
        Ok(Tensor::cat(&columns, 1)?)
    }

    /// The head's numbers before any unit or sigmoid.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N, outputs]`, with gradients.
    pub fn raw_scores(&self, pictures: &Tensor) -> Result<Tensor> {
        let last = self.activations(pictures)?.pop().ok_or_else(|| bad(&self.name, "it has no layer"))?;
        let pooled = last.flatten_from(2)?.mean(2)?; // [NC]
        Ok(pooled.matmul(&self.head_weight.t()?)?.broadcast_add(&self.head_bias)?)
    }
}

fn bad(name: &str, what: &str) -> Error {
    Error::new(crate::error::Kind::Format, format!("{}: {what}", Safe(name)))
        .hint("use the file as the training script wrote it")
}

/// The one place where the network convolves: 3×3, padding 1.
fn convolve(x: &Tensor, weight: &Tensor, bias: &Tensor, stride: usize) -> Result<Tensor> {
    let y = conv2d(x, weight, stride, 1)?;
    Ok(y.broadcast_add(&bias.reshape((1, bias.elem_count(), 1, 1))?)?)
}

/// `max(x, 0) + slope · min(x, 0)`.
fn leaky(x: &Tensor, slope: f64) -> Result<Tensor> {
    Ok(((x.relu()? * (1.0 - slope))? + (x * slope)?)?)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::rng::Rng;

    /// A random network for tests: `channels` → 4 → 6 → 8, pictures of 8².
    pub(crate) fn random(channels: usize) -> Features {
        let (config, tensors) = parts(channels);
        Features::new("random", config, tensors, &Device::Cpu).unwrap()
    }

    fn parts(channels: usize) -> (FeaturesConfig, BTreeMap<String, Tensor>) {
        let mut rng = Rng::new(5);
        let mut tensors = BTreeMap::new();
        let mut add = |name: &str, shape: &[usize]| {
            let data = rng.normals(shape.iter().product()).into_iter().map(|v| v * 0.4).collect::<Vec<_>>();
            tensors.insert(name.to_string(), Tensor::from_vec(data, shape, &Device::Cpu).unwrap());
        };
        let widths = [channels, 4, 6, 8];
        for i in 0..3 {
            add(&format!("conv{i}.weight"), &[widths[i + 1], widths[i], 3, 3]);
            add(&format!("conv{i}.bias"), &[widths[i + 1]]);
        }
        add("head.weight", &[2, 8]);
        add("head.bias", &[2]);
        let output = |name: &str, kind: &str, mean, std| Output {
            name: name.into(),
            kind: kind.into(),
            mean,
            std,
            unit: String::new(),
        };
        let outputs = vec![output("glasses", "binary", 0.0, 1.0), output("age", "linear", 40.0, 12.0)];
        (FeaturesConfig { input_resolution: 8, strides: vec![1, 2, 2], leaky: 0.2, outputs }, tensors)
    }

    #[test]
    fn scores_carry_their_units() {
        let net = random(1);
        let x = Tensor::from_vec(Rng::new(1).normals(3 * 64), (3, 1, 8, 8), &Device::Cpu).unwrap();
        let (raw, scores) = (net.raw_scores(&x).unwrap(), net.scores(&x).unwrap());
        let (raw, scores) = (raw.to_vec2::<f32>().unwrap(), scores.to_vec2::<f32>().unwrap());
        for (r, s) in raw.iter().zip(&scores) {
            assert!((s[0] - 1.0 / (1.0 + (-r[0]).exp())).abs() < 1e-6);
            assert!((s[1] - (r[1] * 12.0 + 40.0)).abs() < 1e-4);
        }
    }

    #[test]
    fn a_convolution_computed_by_hand() {
        // One channel, identity kernel, bias -1: leaky(x - 1).
        let mut kernel = vec![0f32; 9];
        kernel[4] = 1.0;
        let t = |v: Vec<f32>, s: &[usize]| Tensor::from_vec(v, s, &Device::Cpu).unwrap();
        let tensors = BTreeMap::from([
            ("conv0.weight".to_string(), t(kernel.clone(), &[1, 1, 3, 3])),
            ("conv0.bias".to_string(), t(vec![-1.0], &[1])),
            ("conv1.weight".to_string(), t(kernel, &[1, 1, 3, 3])),
            ("conv1.bias".to_string(), t(vec![0.0], &[1])),
            ("head.weight".to_string(), t(vec![2.0], &[1, 1])),
            ("head.bias".to_string(), t(vec![0.5], &[1])),
        ]);
        let output = Output { name: "o".into(), kind: String::new(), mean: 0.0, std: 1.0, unit: String::new() };
        let config = FeaturesConfig { input_resolution: 2, strides: vec![1, 2], leaky: 0.2, outputs: vec![output] };
        let net = Features::new("hand", config, tensors, &Device::Cpu).unwrap();
        let taps = net.activations(&t(vec![0.0, 1.5, 3.0, -1.0], &[1, 1, 2, 2])).unwrap();
        let first = taps[0].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (got, want) in first.iter().zip([-0.2, 0.5, 2.0, -0.4]) {
            assert!((got - want).abs() < 1e-6);
        }
        // Stride 2 keeps the first pixel: leaky(-.2) = -.04; head 2·(-.04) + .5.
        let score = net.scores(&t(vec![0.0, 1.5, 3.0, -1.0], &[1, 1, 2, 2])).unwrap().to_vec2::<f32>().unwrap()[0][0];
        assert!((score - 0.42).abs() < 1e-6);
    }

    #[test]
    fn missing_and_left_over_tensors_are_errors() {
        let (config, mut tensors) = parts(1);
        let spare = tensors["head.bias"].clone();
        tensors.insert("head.scale".into(), spare);
        let e = Features::new("f", config.clone(), tensors.clone(), &Device::Cpu).err().unwrap();
        assert!(e.message().contains("head.scale"));
        tensors.remove("head.scale");
        tensors.remove("conv1.bias");
        let e = Features::new("f", config, tensors, &Device::Cpu).err().unwrap();
        assert!(e.message().contains("conv1.bias"));
    }
}
