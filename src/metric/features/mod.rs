//! A small plain network that reads attributes off pictures; its layers are what the perceptual
//! distance looks at.

mod config;
mod dense;
mod landmarks;
mod readings;

pub use config::{FeaturesConfig, LANDMARKS, Output, Points, Reading};
pub use dense::Dense;
pub use landmarks::Landmarks;
pub use readings::{Finding, Level};

use crate::error::{Error, Result};
use crate::network::{PartsHead, Trunk, resize_to};
use crate::safe::Safe;
use crate::tensor::linear;
use crate::weights::Weights;
use candle_core::{DType, Device, Tensor};
use config::bad;

/// The network: convolutions 3×3 with padding 1 and leaky ReLU, mean over the cells of a grid,
/// linear head.
pub struct Features {
    config: FeaturesConfig,
    trunk: Trunk,
    head_weight: Tensor,
    head_bias: Tensor,
    parts: Option<PartsHead>,
    name: String,
}

impl Features {
    /// Builds the network from its tensors: `conv{i}` as [`Trunk::take`] reads them, `head.weight
    /// [outputs, C · grid²]`, `head.bias`, and those of [`PartsHead::take`] where it tells parts.
    ///
    /// # Errors
    /// When the configuration contradicts itself, or a tensor is missing, has another shape, or is
    /// left over.
    pub fn new(
        name: &str,
        config: FeaturesConfig,
        mut weights: Weights,
        device: &Device,
    ) -> Result<Self> {
        config.check(name)?;
        let trunk = Trunk::take(&mut weights, &config.strides, config.leaky, device)?;
        let last = trunk.side(config.input_resolution);
        if config.grid > 1 && !last.is_multiple_of(config.grid) {
            return Err(bad(
                name,
                &format!("a last map of {last}×{last} is not divided by a grid of {}", config.grid),
            ));
        }
        let head = [config.outputs.len(), trunk.outputs() * config.grid * config.grid];
        let head_weight = weights.take("head.weight", &head)?.to_device(device)?;
        let head_bias = weights.take("head.bias", &head[..1])?.to_device(device)?;
        let told = (&trunk, config.leaky);
        let parts = config.parts.as_ref();
        let parts = parts.map(|p| PartsHead::take(&mut weights, p, told, device)).transpose()?;
        weights.finish()?;
        Ok(Self { config, trunk, head_weight, head_bias, parts, name: name.into() })
    }

    /// Its name, as printed in definitions.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its shape.
    pub fn config(&self) -> &FeaturesConfig {
        &self.config
    }

    /// Device of its tensors.
    pub fn device(&self) -> &Device {
        self.head_weight.device()
    }

    /// Channels of the pictures that it reads.
    pub fn channels(&self) -> usize {
        self.trunk.inputs()
    }

    /// The activations of every convolution, with gradients.
    ///
    /// # Shapes
    /// `[N, C, H, W]` in [-1, 1], of any size → one `[N, C_i, H_i, W_i]` a convolution.
    pub fn activations(&self, pictures: &Tensor) -> Result<Vec<Tensor>> {
        self.maps(pictures, false)
    }

    /// As [`Self::activations`]; `small` pictures are seen as they are.
    pub(super) fn maps(&self, pictures: &Tensor, small: bool) -> Result<Vec<Tensor>> {
        self.trunk.maps(&self.fitted(pictures, small)?)
    }

    /// [`Trunk::unit_distance`] of the activations to targets: a faster way from pictures to a
    /// distance, where there is one.
    ///
    /// # Shapes
    /// `[N, C, H, W]`, one `[N, C_i, H_i · W_i]` for each of the last convolutions → `[N]`, with
    /// gradients.
    pub(super) fn unit_distance(
        &self,
        (pictures, small): (&Tensor, bool),
        targets: &[Tensor],
        eps: f64,
    ) -> Result<Option<Tensor>> {
        self.trunk.unit_distance(&self.fitted(pictures, small)?, targets, eps)
    }

    /// How probably every place shows each part of a face, as named in its configuration; `None`
    /// where it tells no parts.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N, parts, S, S]` in [0, 1], with gradients.
    pub fn parts(&self, pictures: &Tensor) -> Result<Option<Tensor>> {
        let Some(head) = &self.parts else { return Ok(None) };
        Ok(Some(head.shown(&self.activations(pictures)?)?))
    }

    /// Attribute scores in their own units (years, degrees; probabilities in [0, 1]; the classes of
    /// a category sum to 1).
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N, outputs]`, with gradients.
    pub fn scores(&self, pictures: &Tensor) -> Result<Tensor> {
        self.scored(&self.raw_scores(pictures)?)
    }

    /// The head's numbers before any unit, sigmoid or softmax.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N, outputs]`, with gradients.
    pub fn raw_scores(&self, pictures: &Tensor) -> Result<Tensor> {
        self.raw_of(&self.trunk.last(&self.fitted(pictures, false)?)?)
    }

    /// The head's numbers for the last map of the convolutions.
    fn raw_of(&self, last: &Tensor) -> Result<Tensor> {
        let grid = self.config.grid;
        let pooled = if grid == 1 {
            last.flatten_from(2)?.mean(2)? // [NC]
        } else {
            resize_to(last, grid, grid)?.flatten_from(1)? // [N, C·g·g]
        };
        Ok(linear(&pooled, &self.head_weight)?.broadcast_add(&self.head_bias)?)
    }

    /// Pictures at the training size; `small` ones stay below it.
    fn fitted(&self, pictures: &Tensor, small: bool) -> Result<Tensor> {
        let side = self.config.input_resolution;
        let (_, _, h, w) = pictures.dims4()?;
        let [h, w] = [h, w].map(|own| if small { own.min(side) } else { side });
        resize_to(&self.readable(pictures)?, h, w)
    }

    /// Pictures in single precision, refused when they have other channels than the network reads.
    fn readable(&self, pictures: &Tensor) -> Result<Tensor> {
        let (_, channels, _, _) = pictures.dims4()?;
        if channels != self.channels() {
            return Err(Error::runtime(format!(
                "the network {} reads {} channels, the pictures have {channels}",
                Safe(&self.name),
                self.channels()
            ))
            .hint("use a pixel loss (perceptual: 0)"));
        }
        Ok(pictures.to_dtype(DType::F32)?)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::network::PartsConfig;
    use crate::rng::Rng;

    type Parts = std::collections::BTreeMap<String, Tensor>;

    fn held(tensors: Parts) -> Weights {
        Weights::of_tensors("f", tensors)
    }

    /// A random network for tests: `channels` → 4 → 6 → 8, pictures of 8².
    pub(crate) fn random(channels: usize) -> Features {
        let (config, tensors) = parts(channels);
        Features::new("random", config, held(tensors), &Device::Cpu).unwrap()
    }

    fn parts(channels: usize) -> (FeaturesConfig, Parts) {
        layout(
            channels,
            serde_json::json!([
                {"name": "glasses", "kind": "binary"}, {"name": "age", "kind": "linear", "mean": 40.0, "std": 12.0}
            ]),
        )
    }

    /// A random network for tests that also reads an identity of three numbers, and tells two
    /// parts.
    pub(crate) fn random_person(channels: usize) -> Features {
        let (config, tensors) = person(channels);
        Features::new("random", config, held(tensors), &Device::Cpu).unwrap()
    }

    fn person(channels: usize) -> (FeaturesConfig, Parts) {
        let identity =
            |i: usize| serde_json::json!({"name": format!("identity_{i:02}"), "group": "identity"});
        let outputs = serde_json::json!([{"name": "age"}, identity(0), identity(1), identity(2)]);
        let (mut config, mut tensors) = layout(channels, outputs);
        config.parts = Some(PartsConfig {
            taps: vec![0, 2],
            classes: vec!["skin".into(), "hair".into()],
            points: false,
        });
        let mut rng = Rng::new(6);
        let shapes: [(&str, &[usize]); 7] = [
            ("tap0.weight", &[5, 4, 1, 1]),
            ("tap1.weight", &[5, 8, 1, 1]),
            ("bias", &[5]),
            ("mix.weight", &[6, 5, 3, 3]),
            ("mix.bias", &[6]),
            ("out.weight", &[2, 6, 1, 1]),
            ("out.bias", &[2]),
        ];
        for (name, shape) in shapes {
            let values = rng.normals(shape.iter().product());
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            tensors.insert(format!("parts.{name}"), (tensor * 0.4).unwrap());
        }
        (config, tensors)
    }

    /// A random network of one channel with these outputs, for tests.
    pub(crate) fn with_outputs(outputs: serde_json::Value) -> Features {
        with_outputs_and(outputs, serde_json::json!({}))
    }

    /// As [`with_outputs`], with more in its configuration.
    pub(crate) fn with_outputs_and(
        outputs: serde_json::Value,
        more: serde_json::Value,
    ) -> Features {
        let (config, tensors) = layout(1, outputs);
        let mut config = serde_json::to_value(config).unwrap();
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let config = serde_json::from_value(config).unwrap();
        Features::new("random", config, held(tensors), &Device::Cpu).unwrap()
    }

    fn layout(channels: usize, outputs: serde_json::Value) -> (FeaturesConfig, Parts) {
        let count = outputs.as_array().unwrap().len();
        let mut rng = Rng::new(5);
        let mut tensors = Parts::new();
        let mut add = |name: &str, shape: &[usize]| {
            let data = rng
                .normals(shape.iter().product())
                .into_iter()
                .map(|v| v * 0.4)
                .collect::<Vec<_>>();
            tensors.insert(name.to_string(), Tensor::from_vec(data, shape, &Device::Cpu).unwrap());
        };
        let widths = [channels, 4, 6, 8];
        for i in 0..3 {
            add(&format!("conv{i}.weight"), &[widths[i + 1], widths[i], 3, 3]);
            add(&format!("conv{i}.bias"), &[widths[i + 1]]);
        }
        add("head.weight", &[count, 8]);
        add("head.bias", &[count]);
        let config =
            serde_json::json!({"input_resolution": 8, "strides": [1, 2, 2], "outputs": outputs});
        (serde_json::from_value(config).unwrap(), tensors)
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
        let tensors = Parts::from([
            ("conv0.weight".to_string(), t(kernel.clone(), &[1, 1, 3, 3])),
            ("conv0.bias".to_string(), t(vec![-1.0], &[1])),
            ("conv1.weight".to_string(), t(kernel, &[1, 1, 3, 3])),
            ("conv1.bias".to_string(), t(vec![0.0], &[1])),
            ("head.weight".to_string(), t(vec![2.0], &[1, 1])),
            ("head.bias".to_string(), t(vec![0.5], &[1])),
        ]);
        let config = serde_json::json!({"input_resolution": 2, "strides": [1, 2], "outputs": [{"name": "o"}]});
        let config = serde_json::from_value(config).unwrap();
        let net = Features::new("hand", config, held(tensors), &Device::Cpu).unwrap();
        let taps = net.activations(&t(vec![0.0, 1.5, 3.0, -1.0], &[1, 1, 2, 2])).unwrap();
        let first = taps[0].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (got, want) in first.iter().zip([-0.2, 0.5, 2.0, -0.4]) {
            assert!((got - want).abs() < 1e-6);
        }
        // Stride 2 keeps the first pixel: leaky(-.2) = -.04; head 2·(-.04) + .5.
        let score = net
            .scores(&t(vec![0.0, 1.5, 3.0, -1.0], &[1, 1, 2, 2]))
            .unwrap()
            .to_vec2::<f32>()
            .unwrap()[0][0];
        assert!((score - 0.42).abs() < 1e-6);
    }

    #[test]
    fn missing_and_left_over_tensors_are_errors() {
        let (config, mut tensors) = parts(1);
        let spare = tensors["head.bias"].clone();
        tensors.insert("head.scale".into(), spare);
        let refused = |t: &Parts| Features::new("f", config.clone(), held(t.clone()), &Device::Cpu);
        let e = refused(&tensors).err().unwrap();
        assert!(e.message().contains("head.scale"));
        tensors.remove("head.scale");
        tensors.remove("conv1.bias");
        let e = refused(&tensors).err().unwrap();
        assert!(e.message().contains("conv1.bias"));
    }

    #[test]
    fn parts_are_told_for_every_place_of_the_first_map() {
        let net = random_person(1);
        let x = Tensor::from_vec(Rng::new(1).normals(2 * 64), (2, 1, 8, 8), &Device::Cpu).unwrap();
        let parts = net.parts(&x).unwrap().unwrap();
        assert_eq!(parts.dims(), [2, 2, 8, 8]);
        let sums = parts.sum(1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(sums.iter().all(|s| (s - 1.0).abs() < 1e-6));
        let alone = net.parts(&x.narrow(0, 1, 1).unwrap()).unwrap().unwrap();
        let of = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(of(&alone), of(&parts.narrow(0, 1, 1).unwrap()));
        assert!(random(1).parts(&x).unwrap().is_none());
    }

    #[test]
    fn parts_that_do_not_fit_the_trunk_are_refused() {
        let refused = |change: &dyn Fn(&mut FeaturesConfig, &mut Parts)| {
            let (mut config, mut tensors) = person(1);
            change(&mut config, &mut tensors);
            Features::new("f", config, held(tensors), &Device::Cpu).err().unwrap().to_string()
        };
        let with = |taps: &[usize], classes: &[&str]| {
            let classes = classes.iter().map(|c| (*c).to_owned()).collect();
            Some(PartsConfig { taps: taps.to_vec(), classes, points: false })
        };
        let e = refused(&|c, _| c.parts = with(&[0, 3], &["skin", "hair"]));
        assert!(e.contains("map 3 that it does not have"), "{e}");
        let e = refused(&|c, _| c.parts = with(&[0, 2], &["skin"]));
        assert!(e.contains("2 outputs, 1 are named"), "{e}");
        let e = refused(&|c, _| c.parts = with(&[], &["skin", "hair"]));
        assert!(e.contains("read no map"), "{e}");
        let e = refused(&|c, _| c.parts = None);
        assert!(e.contains("parts."), "{e}");
        let e = refused(&|_, t| drop(t.remove("parts.mix.bias")));
        assert!(e.contains("parts.mix.bias"), "{e}");
    }

    #[test]
    fn the_last_map_must_divide_into_the_grid() {
        let (config, tensors) = parts(1);
        let config = FeaturesConfig { grid: 3, ..config };
        let e = Features::new("f", config, held(tensors), &Device::Cpu).err().unwrap();
        assert!(e.message().contains("2×2") && e.message().contains("grid of 3"), "{e}");
    }
}
