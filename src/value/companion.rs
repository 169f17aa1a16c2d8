//! The networks that run after a generator's encoder: checked when the generator is loaded, read on
//! first use.

use super::deferred::Deferred;
use super::encoder::{EncoderSource, Hosting};
use crate::error::{Error, Kind, Result};
use crate::generator::Spec;
use crate::lang::types::Companion;
use crate::network::{Encoder, Host, HyperConfig, HyperNet, ResidualConfig, ResidualNet};
use crate::rng::Rng;
use crate::safe::Safe;
use crate::weights::{Checkpoint, Weights};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Channels of the toy networks' maps, on the way down and up.
const TOY_DOWN: [usize; 3] = [4, 6, 6];
const TOY_UP: [usize; 2] = [6, 4];
/// Numbers of the toy hypernetwork's code.
const TOY_CODE: usize = 5;

/// A network of a generator's own that runs after its encoder. It is read on first use.
pub struct OwnCompanion {
    kind: Companion,
    source: EncoderSource,
    spec: Spec,
    /// Sha256 of the generator's file.
    sha256: String,
    device: Device,
    network: OnceLock<Box<dyn Encoder>>,
}

impl OwnCompanion {
    /// Checks that a network belongs to the generator `spec`, whose file has the hash `sha256`.
    /// Only the header of its file is read.
    ///
    /// # Errors
    /// When the file is not such a network, or was trained for another generator.
    pub fn announce(
        kind: Companion,
        source: EncoderSource,
        (spec, sha256): (&Spec, &Deferred<String>),
        device: &Device,
    ) -> Result<Self> {
        let (spec, sha256, device) = (spec.clone(), sha256.get()?.clone(), device.clone());
        let own = Self { kind, source, spec, sha256, device, network: OnceLock::new() };
        if !matches!(own.source, EncoderSource::Toy) {
            own.check(&own.source.open()?)?;
        }
        Ok(own)
    }

    /// Its kind.
    pub fn kind(&self) -> Companion {
        self.kind
    }

    /// The network, read at the first call.
    ///
    /// # Errors
    /// When the file cannot be read, breaks a rule of its format, or does not fit the generator.
    pub(super) fn network(&self, hosting: Hosting<'_>) -> Result<&dyn Encoder> {
        if let Some(network) = self.network.get() {
            return Ok(&**network);
        }
        let fresh = match self.source {
            EncoderSource::Toy => self.toy(hosting)?,
            _ => self.read(hosting)?,
        };
        fresh.check(&self.spec.name, self.spec.channels, &self.spec.dims())?;
        Ok(&**self.network.get_or_init(|| fresh))
    }

    /// Refuses a file of another family or for another generator.
    fn check(&self, file: &Checkpoint) -> Result<()> {
        let (model, shown) = (Safe(&self.spec.name), Safe(&file.file));
        let (name, words) = (self.kind.name(), self.kind.words());
        if file.family() != Some(name) {
            let text = format!("{shown} is no {words}");
            return Err(Error::new(Kind::Format, text)
                .note("`gannet info` shows what it holds")
                .hint(format!("put the file of scripts/train/train_{name}.py there, or none")));
        }
        let wanted = file.config().get("generator_sha256").and_then(serde_json::Value::as_str);
        if wanted == Some(self.sha256.as_str()) {
            return Ok(());
        }
        let text = format!("the {words} {shown} was trained for another generator than {model}");
        Err(Error::runtime(text).hint(format!(
            "load the generator's file alone, or put the matching {name}.safetensors there"
        )))
    }

    fn read(&self, hosting: Hosting<'_>) -> Result<Box<dyn Encoder>> {
        let file = self.source.open()?;
        // The file may have been replaced since the generator was loaded.
        self.check(&file)?;
        let hash = match &self.source {
            EncoderSource::Embedded(part) => part.sha256.to_owned(),
            _ => file.sha256()?,
        };
        let name = format!("{} {}", self.kind.name(), hash.get(..12).unwrap_or_default());
        Ok(match self.kind {
            Companion::Residual => {
                let config: ResidualConfig = settings(&file)?;
                let map = map_of(&self.spec, config.layer);
                Box::new(ResidualNet::new(&name, config, file.weights, map, &self.device)?)
            }
            Companion::Hyper => {
                let (config, host) = (settings(&file)?, hosting()?);
                Box::new(HyperNet::new(&name, config, file.weights, &host.weights, &self.device)?)
            }
        })
    }

    /// A tiny network with seeded random weights for the toy generator: it is untrained, but it
    /// runs.
    fn toy(&self, hosting: Hosting<'_>) -> Result<Box<dyn Encoder>> {
        Ok(match self.kind {
            Companion::Residual => Box::new(toy_residual(&self.spec, &self.device)?),
            Companion::Hyper => Box::new(toy_hyper(&self.spec, &hosting()?, &self.device)?),
        })
    }
}

/// The settings in a file.
fn settings<C: serde::de::DeserializeOwned>(file: &Checkpoint) -> Result<C> {
    serde_json::from_value(file.config().clone()).map_err(|e| {
        let text = format!("the settings of {} are unreadable: {e}", Safe(&file.file));
        Error::new(Kind::Format, text).hint("use the unchanged file of the training script")
    })
}

/// The size of the map of a layer.
fn map_of(spec: &Spec, layer: usize) -> Option<[usize; 3]> {
    spec.layers.get(layer).map(|l| [l.channels, l.height, l.width])
}

/// Tensors of a toy network, drawn one after another.
struct Drawn<'d> {
    rng: Rng,
    parts: BTreeMap<String, Tensor>,
    device: &'d Device,
}

impl<'d> Drawn<'d> {
    fn new(name: &str, device: &'d Device) -> Self {
        Self { rng: Rng::derive(0, name), parts: BTreeMap::new(), device }
    }

    /// Weight and bias of a layer; `scale` is 1 where its results are as large as its inputs.
    fn put(&mut self, name: &str, shape: &[usize], scale: f64) -> Result<()> {
        let inputs = shape.iter().skip(1).product::<usize>().max(1);
        let scale = (scale * (2.0 / inputs as f64).sqrt()) as f32;
        let bias = shape.get(..1).unwrap_or_default();
        for (part, shape) in [("weight", shape), ("bias", bias)] {
            let values = self.rng.normals(shape.iter().product());
            let values: Vec<f32> = values.iter().map(|v| v * scale).collect();
            let tensor = Tensor::from_vec(values, shape, self.device)?;
            self.parts.insert(format!("{name}.{part}"), tensor);
        }
        Ok(())
    }

    /// The convolutions of the way down, for picture and reconstruction of so many channels.
    fn put_down(&mut self, channels: usize) -> Result<usize> {
        let mut inner = 2 * channels;
        for (i, outer) in TOY_DOWN.into_iter().enumerate() {
            self.put(&format!("conv{i}"), &[outer, inner, 3, 3], 1.0)?;
            inner = outer;
        }
        Ok(inner)
    }

    fn weights(self, name: &str) -> Weights {
        Weights::of_tensors(name, self.parts)
    }
}

fn toy_residual(spec: &Spec, device: &Device) -> Result<ResidualNet> {
    // Half the picture's side: one doubling less than the way down has.
    let layer = spec.last_layer_within(spec.width / 2).unwrap_or(0);
    let map = map_of(spec, layer);
    let config = ResidualConfig {
        input_resolution: spec.width,
        strides: vec![2; TOY_DOWN.len()],
        leaky: 0.2,
        layer,
        side: spec.width / 2,
        generator_sha256: String::new(),
    };
    let mut drawn = Drawn::new("toy residual", device);
    let mut inner = drawn.put_down(spec.channels)?;
    for (i, outer) in TOY_UP.into_iter().enumerate() {
        let beside = TOY_DOWN.get(TOY_UP.len() - 1 - i).copied().unwrap_or(0);
        drawn.put(&format!("up{i}"), &[outer, inner + beside, 3, 3], 1.0)?;
        inner = outer;
    }
    drawn.put("out", &[map.map_or(1, |[channels, ..]| channels), inner, 3, 3], 0.1)?;
    let name = "toy residual, seed 0";
    ResidualNet::new(name, config, drawn.weights(name), map, device)
}

fn toy_hyper(spec: &Spec, host: &Host, device: &Device) -> Result<HyperNet> {
    let convolutions = spec.layers.iter().map(|layer| format!("synthesis.{}.weight", layer.name));
    let shape = |name: &String| host.weights.iter().find(|(own, _)| own == name).map(|(_, s)| s);
    let changed: Vec<String> = convolutions.filter(|name| shape(name).is_some()).skip(1).collect();
    let config = HyperConfig {
        input_resolution: spec.width,
        strides: vec![2; TOY_DOWN.len()],
        leaky: 0.2,
        grid: 1,
        rank: 1,
        weights: changed.clone(),
        generator_sha256: String::new(),
    };
    let mut drawn = Drawn::new("toy hypernetwork", device);
    let inner = drawn.put_down(spec.channels)?;
    drawn.put("code", &[TOY_CODE, inner], 1.0)?;
    for (i, name) in changed.iter().enumerate() {
        let Some([rows, columns, ..]) = shape(name).map(Vec::as_slice) else { continue };
        drawn.put(&format!("left{i}"), &[*rows, TOY_CODE], 0.1)?;
        drawn.put(&format!("right{i}"), &[*columns, TOY_CODE], 1.0)?;
    }
    let name = "toy hypernetwork, seed 0";
    HyperNet::new(name, config, drawn.weights(name), &host.weights, device)
}

#[cfg(test)]
mod tests {
    use crate::generator::toy::Toy;
    use crate::lang::types::Companion;
    use crate::network::Encoder;
    use crate::value::encoder::tests::{generator, write};
    use crate::value::{Loaded, Models};
    use crate::weights::Array;
    use std::collections::BTreeMap;
    use std::path::Path;

    /// The convolution of the toy that the hypernetwork changes, of 8×8 pixels.
    const CHANGED: &str = "synthesis.b8.conv1.weight";

    /// Writes a network whose weights are all 0 except for the last bias: for the map of 8×8
    /// pixels, or for the convolution that makes it. It has `outer` outputs.
    fn network(folder: &Path, kind: Companion, (family, sha256): (&str, &str), outer: usize) {
        let zeros = |shape: &[usize]| Array::f32(shape, vec![0.0; shape.iter().product()]).unwrap();
        let mut tensors: BTreeMap<String, Array> = BTreeMap::new();
        let mut put = |name: &str, shape: &[usize], bias: f32| {
            tensors.insert(format!("{name}.weight"), zeros(shape));
            let bias = Array::f32(&shape[..1], vec![bias; shape[0]]).unwrap();
            tensors.insert(format!("{name}.bias"), bias);
        };
        put("conv0", &[2, 6, 3, 3], 0.0);
        put("conv1", &[3, 2, 3, 3], 0.0);
        let mut config = serde_json::json!({
            "input_resolution": 8, "strides": [1, 2], "leaky": 0.2, "generator_sha256": sha256,
        });
        let own = match kind {
            Companion::Residual => {
                put("up0", &[4, 5, 3, 3], 0.0);
                put("out", &[outer, 4, 3, 3], 0.5);
                serde_json::json!({"layer": 2, "side": 8})
            }
            Companion::Hyper => {
                put("code", &[4, 3], 0.0);
                put("left0", &[outer, 4], 0.5);
                put("right0", &[outer, 4], 0.5);
                serde_json::json!({"grid": 1, "rank": 1, "weights": [CHANGED]})
            }
        };
        let own = own.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(own);
        write(&folder.join(format!("{}.safetensors", kind.name())), family, config, &tensors);
    }

    fn found(loaded: &Loaded, kind: Companion) -> Option<&dyn Encoder> {
        loaded.companion(Some(kind)).unwrap()
    }

    #[test]
    fn a_folder_brings_its_networks_and_is_told_from_one_without() {
        for kind in Companion::ALL {
            let (folder, name) = (tempfile::tempdir().unwrap(), kind.name());
            let toy = Toy { resolution: 8, ..Toy::default() };
            let sha256 = generator(folder.path(), &toy);
            let load = || Models::cpu().load(folder.path().to_str().unwrap());
            let bare = load().unwrap();
            assert!(bare.facts.companions.is_empty() && found(&bare, kind).is_none());
            let maps = bare.spec().layers[2].channels;
            network(folder.path(), kind, (name, &sha256), maps);
            let loaded = load().unwrap();
            assert_eq!(loaded.facts.companions, [kind]);
            assert_ne!(loaded.whole_content().unwrap(), bare.whole_content().unwrap());
            let own = found(&loaded, kind).unwrap();
            assert!(own.name().starts_with(&format!("{name} ")), "{}", own.name());
            assert_eq!(own.name().len(), name.len() + 13);
            assert!(loaded.companion(None).unwrap().is_none());
            // The generator's file alone has none, but for one of its name.
            let file = folder.path().join("generator.safetensors");
            let alone = || Models::cpu().load(file.to_str().unwrap()).unwrap();
            assert!(alone().facts.companions.is_empty());
            let beside = folder.path().join(format!("generator.{name}.safetensors"));
            std::fs::copy(folder.path().join(format!("{name}.safetensors")), beside).unwrap();
            assert_eq!(alone().facts.companions, [kind]);
        }
    }

    #[test]
    fn a_network_of_something_else_is_refused_with_its_repair() {
        for kind in Companion::ALL {
            let (name, words) = (kind.name(), kind.words());
            let refused = |family: &str, sha: Option<&str>, outer: usize| {
                let folder = tempfile::tempdir().unwrap();
                let toy = Toy { resolution: 8, seed: 3, ..Toy::default() };
                let sha256 = generator(folder.path(), &toy);
                network(folder.path(), kind, (family, sha.unwrap_or(&sha256)), outer);
                let loaded = Models::cpu().load(folder.path().to_str().unwrap());
                let e = loaded.and_then(|l| l.companion(Some(kind)).map(|_| ())).err().unwrap();
                assert!(e.repair().unwrap().contains(name), "{e}");
                e.to_string()
            };
            assert!(refused(name, Some("0123"), 1).contains("trained for another generator"));
            assert!(refused("encoder", None, 1).contains(&format!("is no {words}")));
            // One more than any layer has.
            let own = match kind {
                Companion::Residual => "a map of [999, 8, 8] at layer 2",
                Companion::Hyper => "its factors for synthesis.b8.conv1.weight",
            };
            assert!(refused(name, None, 999).contains(own));
        }
    }
}
