//! The toy: a generator made in code, for tests and examples.

use super::companion::OwnCompanion;
use super::deferred::Deferred;
use super::directions::Directions;
use super::encoder::{EncoderSource, OwnEncoder};
use super::facts;
use super::loaded::Loaded;
use crate::error::{Error, Result};
use crate::generator::spaces::{self, model_id};
use crate::generator::{self, Generator, Input};
use crate::lang::types::{Companion, ModelFacts};
use crate::latent::{About, Direction};
use crate::metric::{Features, FeaturesConfig};
use crate::network::discriminator;
use crate::rng::Rng;
use crate::space::Space;
use crate::weights::Weights;
use candle_core::{DType, Device, Tensor};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// A tiny seeded generator with three seeded directions, a seeded feature network, a seeded encoder
/// and a seeded discriminator, for tests and examples.
///
/// # Errors
/// When a tensor cannot be made on that device.
pub(super) fn toy(device: &Device) -> Result<Loaded> {
    let generator = generator::toy(0, device)?;
    let spec = generator.spec().clone();
    let directions = toy_directions(&*generator)?;
    let config = toy_config(spec.width)?;
    let (widths, outputs) = ([spec.channels, 4, 6, 8], config.outputs.len());
    let mut rng = Rng::derive(0, "toy features");
    let mut tensors = BTreeMap::new();
    let mut put = |name: &str, shape: &[usize], scale: f64| -> Result<()> {
        let values: Vec<f32> =
            rng.normals(shape.iter().product()).iter().map(|v| v * scale as f32).collect();
        tensors.insert(name.to_owned(), Tensor::from_vec(values, shape, device)?);
        Ok(())
    };
    for (i, pair) in widths.windows(2).enumerate() {
        let [inner, outer] = [pair[0], pair[1]];
        put(&format!("conv{i}.weight"), &[outer, inner, 3, 3], (2.0 / (9 * inner) as f64).sqrt())?;
        put(&format!("conv{i}.bias"), &[outer], 0.1)?;
    }
    put("head.weight", &[outputs, widths[3]], 0.3)?;
    put("head.bias", &[outputs], 0.0)?;
    let mut facts = ModelFacts {
        encoder: true,
        companions: Companion::ALL.into(),
        directions: directions.spaces(),
        ..facts::of(&spec)
    };
    facts::know(&mut facts, &config);
    let weights = Weights::of_tensors("toy features", tensors);
    let features = Features::new("toy features", config, weights, device)?;
    let sha256 = Deferred::ready(String::new());
    let encoder = OwnEncoder::announce(EncoderSource::Toy, &spec, &sha256, device)?;
    let announce =
        |kind| OwnCompanion::announce(kind, EncoderSource::Toy, (&spec, &sha256), device);
    let companions = Companion::ALL.into_iter().map(announce).collect::<Result<Vec<_>>>()?;
    let discriminator = discriminator::toy(0, [spec.channels, spec.width], device)?;
    Ok(Loaded {
        facts: Arc::new(facts),
        dtype: "f32".into(),
        provenance: json!({"made": "in code, seed 0"}),
        notes: Vec::new(),
        spec,
        device: device.clone(),
        generator: Deferred::ready(generator),
        directions: Deferred::ready(directions),
        features: Some(Deferred::ready(Arc::new(features))),
        encoder: Some(encoder),
        companions,
        discriminator: Deferred::ready(Some(discriminator)),
        sha256,
        settings: "toy".into(),
        beside: Deferred::ready(String::new()),
        stats: OnceLock::new(),
        components: OnceLock::new(),
        styles: OnceLock::new(),
    })
}

/// Configuration of the toy's feature network: a score, a probability, a category and an identity
/// of three numbers. None of them means anything.
fn toy_config(resolution: usize) -> Result<FeaturesConfig> {
    let identity = |i: usize| json!({"name": format!("identity_{i:02}"), "group": "identity"});
    let class = |name: &str| json!({"name": name, "group": "hair", "kind": "category"});
    let outputs = json!([
        {"name": "score"}, {"name": "glasses", "kind": "probability"}, class("hair.long"), class("hair.short"),
        identity(0), identity(1), identity(2),
    ]);
    serde_json::from_value(
        json!({"input_resolution": resolution, "strides": [1, 2, 2], "outputs": outputs}),
    )
    .map_err(|e| Error::runtime(format!("the toy's configuration is unreadable: {e}")))
}

/// Three seeded directions without a meaning, each in W, Z and S; the one in S changes the styles
/// as the one in W does. `smile` also has a separate step for every layer of W+.
fn toy_directions(generator: &dyn Generator) -> Result<Directions> {
    let spec = generator.spec();
    let one = |space, name: &str, data: Vec<f64>| Direction {
        space,
        dim: data.len(),
        data,
        rows: 1,
        layers: None,
        model: Some(model_id(spec)),
        name: name.into(),
        origin: "seeded, means nothing".into(),
        about: Some(Arc::new(About {
            unit: "nothing: it is seeded".into(),
            per_step: 1.0,
            ..About::default()
        })),
    };
    let mut all = Vec::new();
    for name in ["age", "glasses", "smile"] {
        let mut rng = Rng::derive(0, name);
        let w: Vec<f64> = (0..spec.w_dim).map(|_| rng.normal()).collect();
        let z: Vec<f64> = (0..spec.z_dim).map(|_| rng.normal()).collect();
        let styles = |w: Vec<f64>| -> Result<Tensor> {
            let w = Tensor::from_vec(w, (1, spec.w_dim), generator.device())?;
            let w = w.to_dtype(DType::F32)?;
            spaces::rise(generator, &w, (Space::W, Space::S), &Input::default())
        };
        // The linear part of the affine maps, without their bias.
        let moved = (styles(w.clone())? - styles(vec![0.0; spec.w_dim])?)?;
        let s = moved.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        all.extend([one(Space::W, name, w), one(Space::Z, name, z), one(Space::S, name, s)]);
    }
    let mut rng = Rng::derive(0, "smile in W+");
    let rows: Vec<f64> = (0..spec.num_ws * spec.w_dim).map(|_| rng.normal()).collect();
    all.push(Direction { rows: spec.num_ws, dim: spec.w_dim, ..one(Space::WPlus, "smile", rows) });
    Ok(all.into_iter().collect())
}
