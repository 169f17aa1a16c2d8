//! The feature-residual network of a generator: checked when the generator is loaded, read on first
//! use.

use super::deferred::Deferred;
use super::encoder::EncoderSource;
use crate::error::{Error, Kind, Result};
use crate::generator::Spec;
use crate::network::{Encoder, ResidualConfig, ResidualNet};
use crate::rng::Rng;
use crate::safe::Safe;
use crate::weights::{Checkpoint, Weights};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;

/// The family of such files.
const FAMILY: &str = "residual";
/// Channels of the toy network's maps, on the way down and up.
const TOY_DOWN: [usize; 3] = [4, 6, 6];
const TOY_UP: [usize; 2] = [6, 4];

/// Checks that a network belongs to the generator `spec`, whose file has the hash `sha256`. Only
/// the header of its file is read; the network itself is read on first use.
///
/// # Errors
/// When the file is not such a network, or was trained for another generator.
pub(super) fn announce(
    source: EncoderSource,
    spec: &Spec,
    sha256: &Deferred<String>,
    device: &Device,
) -> Result<Deferred<ResidualNet>> {
    let (spec, sha256, device) = (spec.clone(), sha256.get()?.clone(), device.clone());
    if !matches!(source, EncoderSource::Toy) {
        settings(&source.open()?, &spec, &sha256)?;
    }
    Ok(Deferred::new(move || {
        let network = match &source {
            EncoderSource::Toy => toy(&spec, &device)?,
            _ => read(&source, &spec, (&sha256, &device))?,
        };
        network.check(&spec.name, spec.channels, &spec.dims())?;
        Ok(network)
    }))
}

/// The settings in a file, if it is for a generator whose file has the hash `sha256`.
fn settings(file: &Checkpoint, spec: &Spec, sha256: &str) -> Result<ResidualConfig> {
    let (model, shown) = (Safe(&spec.name), Safe(&file.file));
    if file.family() != Some(FAMILY) {
        let text = format!("{shown} is no feature-residual network");
        return Err(Error::new(Kind::Format, text)
            .note("`gannet info` shows what it holds")
            .hint("put the file of scripts/train/train_residual.py there, or none"));
    }
    let config: ResidualConfig = serde_json::from_value(file.config().clone()).map_err(|e| {
        Error::new(Kind::Format, format!("the settings of {shown} are unreadable: {e}"))
            .hint("use the unchanged file of the training script")
    })?;
    if config.generator_sha256 == sha256 {
        return Ok(config);
    }
    let text = format!(
        "the feature-residual network {shown} was trained for another generator than {model}"
    );
    Err(Error::runtime(text)
        .hint("load the generator's file alone, or put the matching residual.safetensors there"))
}

fn read(
    source: &EncoderSource,
    spec: &Spec,
    (sha256, device): (&str, &Device),
) -> Result<ResidualNet> {
    let file = source.open()?;
    // The file may have been replaced since the generator was loaded.
    let config = settings(&file, spec, sha256)?;
    let hash = match source {
        EncoderSource::Embedded(part) => part.sha256.to_owned(),
        _ => file.sha256()?,
    };
    let name = format!("residual {}", hash.get(..12).unwrap_or_default());
    let map = map_of(spec, config.layer);
    ResidualNet::new(&name, config, file.weights, map, device)
}

/// The size of the map of a layer.
fn map_of(spec: &Spec, layer: usize) -> Option<[usize; 3]> {
    spec.layers.get(layer).map(|l| [l.channels, l.height, l.width])
}

/// A tiny network with seeded random weights for the toy generator: it is untrained, but it runs.
fn toy(spec: &Spec, device: &Device) -> Result<ResidualNet> {
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
    let mut rng = Rng::derive(0, "toy residual");
    let mut parts = BTreeMap::new();
    let mut put = |name: &str, inner: usize, outer: usize, scale: f64| -> Result<usize> {
        let scale = scale * (2.0 / (9 * inner) as f64).sqrt();
        for (part, shape) in [("weight", vec![outer, inner, 3, 3]), ("bias", vec![outer])] {
            let values = rng.normals(shape.iter().product());
            let values: Vec<f32> = values.iter().map(|v| v * scale as f32).collect();
            parts.insert(format!("{name}.{part}"), Tensor::from_vec(values, shape, device)?);
        }
        Ok(outer)
    };
    let mut inner = 2 * spec.channels;
    for (i, outer) in TOY_DOWN.into_iter().enumerate() {
        inner = put(&format!("conv{i}"), inner, outer, 1.0)?;
    }
    for (i, outer) in TOY_UP.into_iter().enumerate() {
        inner = put(&format!("up{i}"), inner + TOY_DOWN[TOY_UP.len() - 1 - i], outer, 1.0)?;
    }
    put("out", inner, map.map_or(1, |[channels, ..]| channels), 0.1)?;
    let name = "toy residual, seed 0";
    ResidualNet::new(name, config, Weights::of_tensors(name, parts), map, device)
}

#[cfg(test)]
mod tests {
    use crate::generator::toy::Toy;
    use crate::value::Models;
    use crate::value::encoder::tests::{generator, write};
    use crate::weights::Array;
    use std::collections::BTreeMap;
    use std::path::Path;

    /// Writes a network for the map of 8×8 pixels whose weights are all 0 except for the last bias.
    fn residual(folder: &Path, family: &str, sha256: &str, maps: usize) {
        let config = serde_json::json!({
            "input_resolution": 8, "strides": [1, 2], "leaky": 0.2, "layer": 2, "side": 8,
            "generator_sha256": sha256,
        });
        let zeros = |shape: &[usize]| Array::f32(shape, vec![0.0; shape.iter().product()]).unwrap();
        let tensors = [
            ("conv0.weight", zeros(&[2, 6, 3, 3])),
            ("conv0.bias", zeros(&[2])),
            ("conv1.weight", zeros(&[3, 2, 3, 3])),
            ("conv1.bias", zeros(&[3])),
            ("up0.weight", zeros(&[4, 5, 3, 3])),
            ("up0.bias", zeros(&[4])),
            ("out.weight", zeros(&[maps, 4, 3, 3])),
            ("out.bias", Array::f32(&[maps], vec![0.5; maps]).unwrap()),
        ];
        let tensors: BTreeMap<_, _> = tensors.map(|(name, t)| (name.to_owned(), t)).into();
        write(&folder.join("residual.safetensors"), family, config, &tensors);
    }

    #[test]
    fn a_folder_brings_its_network_and_is_told_from_one_without() {
        let folder = tempfile::tempdir().unwrap();
        let toy = Toy { resolution: 8, ..Toy::default() };
        let sha256 = generator(folder.path(), &toy);
        let load = || Models::cpu().load(folder.path().to_str().unwrap());
        let bare = load().unwrap();
        assert!(!bare.facts.residual && bare.residual().unwrap().is_none());
        let maps = bare.spec().layers[2].channels;
        residual(folder.path(), "residual", &sha256, maps);
        let loaded = load().unwrap();
        assert!(
            loaded.facts.residual
                && loaded.whole_content().unwrap() != bare.whole_content().unwrap()
        );
        let own = loaded.residual().unwrap().unwrap();
        assert!(own.name().starts_with("residual ") && own.name().len() == 21);
        // The generator's file alone has none, but for one of its name.
        let file = folder.path().join("generator.safetensors");
        assert!(!Models::cpu().load(file.to_str().unwrap()).unwrap().facts.residual);
        let beside = folder.path().join("generator.residual.safetensors");
        std::fs::copy(folder.path().join("residual.safetensors"), beside).unwrap();
        assert!(Models::cpu().load(file.to_str().unwrap()).unwrap().facts.residual);
    }

    #[test]
    fn a_network_of_something_else_is_refused_with_its_repair() {
        let refused = |family: &str, sha: Option<&str>, maps: usize| {
            let folder = tempfile::tempdir().unwrap();
            let toy = Toy { resolution: 8, seed: 3, ..Toy::default() };
            let sha256 = generator(folder.path(), &toy);
            residual(folder.path(), family, sha.unwrap_or(&sha256), maps);
            let loaded = Models::cpu().load(folder.path().to_str().unwrap());
            let e = loaded.and_then(|l| l.residual().map(|_| ())).err().unwrap();
            assert!(e.repair().unwrap().contains("residual"), "{e}");
            e.to_string()
        };
        assert!(refused("residual", Some("0123"), 1).contains("trained for another generator"));
        assert!(refused("encoder", None, 1).contains("is no feature-residual network"));
        // One more map than any layer has.
        assert!(refused("residual", None, 999).contains("a map of [999, 8, 8] at layer 2"));
    }
}
