//! Generators with what belongs to them: their own directions, the network of the perceptual
//! distance.

use super::directions::{self, Directions};
use super::encoder::{EncoderSource, OwnEncoder};
use crate::direction;
use crate::error::{Error, Result};
use crate::generator::spaces::{self, model_id};
use crate::generator::{self, Generator, Input};
use crate::invert::{PROJECTOR_SAMPLES, WStats};
use crate::lang::types::ModelFacts;
use crate::latent::{About, Direction, ModelId};
use crate::limits::LIMITS;
use crate::metric::{Features, FeaturesConfig};
use crate::network::Encoder;
use crate::safe::Safe;
use crate::space::Space;
use crate::weights::{self, Checkpoint};
use candle_core::{DType, Device, Tensor};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A loaded generator.
pub struct Loaded {
    /// Makes the pictures.
    pub generator: Arc<dyn Generator>,
    /// What the checker knows of it.
    pub facts: Arc<ModelFacts>,
    /// Its own directions, by name.
    pub directions: Directions,
    /// Its network for attributes and the perceptual distance.
    pub features: Option<Arc<Features>>,
    /// Its encoder; see [`Loaded::encoder`].
    encoder: Option<OwnEncoder>,
    /// Element types of the file's tensors: `f16 ×84`.
    pub dtype: String,
    /// Sha256 of the file, hexadecimal; empty for one made in code.
    pub sha256: String,
    /// Where it comes from, as the file says.
    pub provenance: serde_json::Value,
    /// Notes of the reader.
    pub notes: Vec<String>,
    stats: OnceLock<WStats>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Loaded {
    /// Which generator this is.
    pub fn id(&self) -> ModelId {
        id_of(&self.facts)
    }

    /// Its encoder, read at the first call; `None` when it brings none.
    ///
    /// # Errors
    /// When the encoder's file cannot be read or does not fit the generator.
    pub fn encoder(&self) -> Result<Option<&dyn Encoder>> {
        let Some(own) = &self.encoder else { return Ok(None) };
        let network: &dyn Encoder = own.network()?;
        Ok(Some(network))
    }

    /// Mean and spread of w over the prior, computed at the first call; `None` for a
    /// conditional generator, whose statistics belong to a class, and for one without W.
    ///
    /// # Errors
    /// When the mapping network fails.
    pub fn stats(&self) -> Result<Option<WStats>> {
        if self.facts.c_dim > 0 || !self.facts.spaces.contains(&Space::W) {
            return Ok(None);
        }
        if let Some(s) = self.stats.get() {
            return Ok(Some(s.clone()));
        }
        let fresh = WStats::of(&*self.generator, None, PROJECTOR_SAMPLES)?;
        Ok(Some(self.stats.get_or_init(|| fresh).clone()))
    }
}

/// The embedded generator and its networks, as they stand under `models/faces`.
mod embedded {
    pub const GENERATOR: &[u8] = include_bytes!("../../models/faces/generator.safetensors");
    pub const ATTRIBUTES: &[u8] = include_bytes!("../../models/faces/attributes.safetensors");
    pub const DIRECTIONS: &[u8] = include_bytes!("../../models/faces/directions.safetensors");
    pub const ENCODER: &[u8] = include_bytes!("../../models/faces/encoder.safetensors");
}

/// Names that `load` takes besides files.
pub const NAMES: [&str; 2] = ["faces", "toy"];

#[derive(Default)]
struct Registry {
    by_source: BTreeMap<String, Arc<Loaded>>,
    by_fingerprint: BTreeMap<String, Arc<Loaded>>,
}

fn registry() -> std::sync::MutexGuard<'static, Registry> {
    static REGISTRY: OnceLock<Mutex<Registry>> = OnceLock::new();
    REGISTRY.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

static DEVICE: OnceLock<Device> = OnceLock::new();

/// Sets where generators are loaded to; only the first call counts, before anything is loaded.
pub fn set_device(device: Device) {
    let _ = DEVICE.set(device);
}

/// Where generators are loaded to.
pub fn device() -> Device {
    DEVICE.get().cloned().unwrap_or(Device::Cpu)
}

/// A generator loaded earlier in this process.
pub fn loaded(id: &ModelId) -> Option<Arc<Loaded>> {
    registry().by_fingerprint.get(&id.fingerprint).cloned()
}

/// What is known of a generator loaded earlier in this process.
pub fn known(id: &ModelId) -> Option<Arc<ModelFacts>> {
    loaded(id).map(|l| l.facts.clone())
}

/// Loads a generator by name (`faces`, `toy`), from a file, or from a folder that holds
/// `generator.safetensors` and, if it likes, `directions.safetensors`, `attributes.safetensors` and
/// `encoder.safetensors`. A source is read once a process, unless it changed.
///
/// # Errors
/// When the file cannot be read, breaks a rule of its format, or is of an unknown family.
pub fn load(source: &str) -> Result<Arc<Loaded>> {
    let key = key(source);
    if let Some(l) = registry().by_source.get(&key) {
        return Ok(l.clone());
    }
    let loaded = Arc::new(match source {
        "faces" => bundle(
            weights::open_bytes("faces/generator.safetensors", embedded::GENERATOR, &LIMITS)?,
            Some(weights::open_bytes(
                "faces/attributes.safetensors",
                embedded::ATTRIBUTES,
                &LIMITS,
            )?),
            Some(weights::open_bytes(
                "faces/directions.safetensors",
                embedded::DIRECTIONS,
                &LIMITS,
            )?),
            Some(EncoderSource::Bytes("faces/encoder.safetensors", embedded::ENCODER)),
        )?,
        "toy" => toy()?,
        path => from_path(Path::new(path))?,
    });
    let mut registry = registry();
    registry.by_source.insert(key, loaded.clone());
    // The same weights may come bare and with their directions: the richer one serves both.
    let known = registry
        .by_fingerprint
        .entry(loaded.facts.fingerprint.clone())
        .or_insert_with(|| loaded.clone());
    if loaded.directions.len() > known.directions.len() {
        *known = loaded.clone();
    }
    Ok(loaded)
}

/// Name, size and time: a file that was replaced is read again.
fn key(source: &str) -> String {
    match std::fs::metadata(source) {
        Ok(m) => format!("{source}\0{}\0{:?}", m.len(), m.modified().ok()),
        Err(_) => source.to_owned(),
    }
}

fn from_path(path: &Path) -> Result<Loaded> {
    if !path.is_dir() {
        return bundle(open(path)?, None, None, None);
    }
    let part = |name: &str| {
        let file = path.join(name);
        file.exists().then(|| open(&file)).transpose()
    };
    let generator = part("generator.safetensors")?.ok_or_else(|| {
        Error::runtime(format!(
            "the folder {} holds no generator.safetensors",
            Safe(&path.to_string_lossy())
        ))
        .hint("name the file itself")
    })?;
    let encoder = path.join("encoder.safetensors");
    let encoder = encoder.exists().then_some(EncoderSource::File(encoder));
    bundle(generator, part("attributes.safetensors")?, part("directions.safetensors")?, encoder)
}

fn open(path: &Path) -> Result<Checkpoint> {
    weights::open(path, &LIMITS).map_err(|e| {
        if path.exists() {
            e
        } else {
            let names = NAMES.map(|n| format!("\"{n}\"")).join(", ");
            Error::check(format!("there is no file {}", Safe(&path.to_string_lossy()))).hint(
                format!("give the path of a checkpoint, or one of the built-in names {names}"),
            )
        }
    })
}

fn bundle(
    model: Checkpoint,
    attributes: Option<Checkpoint>,
    directions: Option<Checkpoint>,
    encoder: Option<EncoderSource>,
) -> Result<Loaded> {
    let generator = generator::load(&model, &device())?;
    let directions = directions
        .map(|d| own_directions(&d, &*generator, &model.sha256))
        .transpose()?
        .unwrap_or_default();
    let features = attributes.map(|a| features(&a)).transpose()?;
    let announce = |e| OwnEncoder::announce(e, generator.spec(), &model.sha256, &device());
    let encoder = encoder.map(announce).transpose()?;
    let facts = facts(&*generator, &directions, features.as_ref());
    let facts = Arc::new(ModelFacts { encoder: encoder.is_some(), ..facts });
    let features = features.map(Arc::new);
    let dtype = model.dtypes();
    let Checkpoint { sha256, provenance, notes, .. } = model;
    let stats = OnceLock::new();
    Ok(Loaded {
        generator,
        facts,
        directions,
        features,
        encoder,
        dtype,
        sha256,
        provenance,
        notes,
        stats,
    })
}

fn facts(
    generator: &dyn Generator,
    directions: &Directions,
    features: Option<&Features>,
) -> ModelFacts {
    let s = generator.spec();
    ModelFacts {
        name: s.name.clone(),
        fingerprint: s.fingerprint.clone(),
        family: s.family.clone(),
        spaces: s.spaces.clone(),
        num_ws: s.num_ws,
        z_dim: s.z_dim,
        w_dim: s.w_dim,
        style_sizes: s.style_sizes(),
        c_dim: s.c_dim,
        width: s.width,
        height: s.height,
        channels: s.channels,
        directions: directions.spaces(),
        encoder: false,
        perceptual: features.is_some(),
        identity: features.is_some_and(|f| f.config().knows_identity()),
        landmarks: features.is_some_and(|f| f.config().finds_faces()),
    }
}

/// The directions of a `directions` file, which must have been found in this very generator.
fn own_directions(
    file: &Checkpoint,
    generator: &dyn Generator,
    sha256: &str,
) -> Result<Directions> {
    let model = &model_id(generator.spec());
    let sizes = sizes(&facts(generator, &Directions::default(), None));
    let wanted = file.config.get("generator_sha256").and_then(serde_json::Value::as_str);
    if wanted.is_some_and(|w| w != sha256) {
        return Err(Error::runtime(format!(
            "the directions beside {} were found in another generator",
            Safe(&model.name)
        ))
        .hint(
            "load the generator's file alone, or put the matching directions.safetensors there",
        ));
    }
    let all = directions::read(file, directions::space_of(file).or(Some(Space::W)), &sizes)?;
    Ok(all
        .into_iter()
        .map(|d| Direction { model: Some(model.clone()), origin: "own set".into(), ..d })
        .collect())
}

/// The sizes that decide what an array can be.
pub fn sizes(m: &ModelFacts) -> direction::Facts {
    direction::Facts {
        z_dim: m.z_dim,
        w_dim: m.w_dim,
        num_ws: m.num_ws,
        s_dim: m.s_dim(),
        spaces: m.spaces.clone(),
        model: Some(id_of(m)),
    }
}

fn features(file: &Checkpoint) -> Result<Features> {
    let config = serde_json::from_value(file.config.clone()).map_err(|e| {
        Error::runtime(format!("the attribute network's configuration is unreadable: {e}"))
    })?;
    let mut tensors = BTreeMap::new();
    for (name, a) in &file.tensors {
        tensors.insert(name.clone(), Tensor::from_vec(a.to_f32(), a.shape.clone(), &device())?);
    }
    Features::new("attributes", config, tensors, &device())
}

/// The toy: a tiny seeded generator with three seeded directions, a seeded feature network and a
/// seeded encoder, for tests and examples.
fn toy() -> Result<Loaded> {
    use crate::rng::Rng;

    let device = device();
    let generator = generator::toy(0, &device)?;
    let spec = generator.spec();
    let directions = toy_directions(&*generator)?;
    let config = toy_config(spec.width)?;
    let (widths, outputs) = ([spec.channels, 4, 6, 8], config.outputs.len());
    let mut rng = Rng::derive(0, "toy features");
    let mut tensors = BTreeMap::new();
    let mut put = |name: &str, shape: &[usize], scale: f64| -> Result<()> {
        let values: Vec<f32> =
            rng.normals(shape.iter().product()).iter().map(|v| v * scale as f32).collect();
        tensors.insert(name.to_owned(), Tensor::from_vec(values, shape, &device)?);
        Ok(())
    };
    for (i, pair) in widths.windows(2).enumerate() {
        let [inner, outer] = [pair[0], pair[1]];
        put(&format!("conv{i}.weight"), &[outer, inner, 3, 3], (2.0 / (9 * inner) as f64).sqrt())?;
        put(&format!("conv{i}.bias"), &[outer], 0.1)?;
    }
    put("head.weight", &[outputs, widths[3]], 0.3)?;
    put("head.bias", &[outputs], 0.0)?;
    let features = Features::new("toy features", config, tensors, &device)?;
    let facts = ModelFacts { encoder: true, ..facts(&*generator, &directions, Some(&features)) };
    let encoder = OwnEncoder::announce(EncoderSource::Toy, generator.spec(), "", &device)?;
    Ok(Loaded {
        generator,
        facts: Arc::new(facts),
        directions,
        features: Some(Arc::new(features)),
        encoder: Some(encoder),
        dtype: "f32".into(),
        sha256: String::new(),
        provenance: json!({"made": "in code, seed 0"}),
        notes: Vec::new(),
        stats: OnceLock::new(),
    })
}

/// The toy's feature network: a score, a probability, a category and an identity of three numbers,
/// all meaningless.
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

/// Three seeded directions that mean nothing: in W, in Z, and in S the styles that the W one moves.
fn toy_directions(generator: &dyn Generator) -> Result<Directions> {
    use crate::rng::Rng;

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
        // The affine maps without their constant part.
        let moved = (styles(w.clone())? - styles(vec![0.0; spec.w_dim])?)?;
        let s = moved.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        all.extend([one(Space::W, name, w), one(Space::Z, name, z), one(Space::S, name, s)]);
    }
    Ok(all.into_iter().collect())
}

/// Which generator the facts are about.
pub fn id_of(m: &ModelFacts) -> ModelId {
    ModelId { name: m.name.clone(), fingerprint: m.fingerprint.clone() }
}
