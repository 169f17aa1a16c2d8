//! Generators with what belongs to them: their own directions, the network of the perceptual
//! distance.

use super::deferred::Deferred;
use super::directions::{self, Directions};
use super::embedded::{self, Part};
use super::encoder::{EncoderSource, OwnEncoder};
use crate::direction;
use crate::error::{Error, Result};
use crate::generator::spaces::{self, model_id};
use crate::generator::{self, Generator, Input, Spec, registry};
use crate::invert::{PROJECTOR_SAMPLES, WStats};
use crate::lang::types::ModelFacts;
use crate::latent::{About, Direction, ModelId};
use crate::limits::LIMITS;
use crate::metric::{Features, FeaturesConfig};
use crate::network::Encoder;
use crate::safe::Safe;
use crate::space::Space;
use crate::weights::{self, Checkpoint, Weights};
use candle_core::{DType, Device, Tensor};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// A loaded generator.
///
/// Its facts are available at once, from the heads of its files; each part is read at its first
/// use.
pub struct Loaded {
    /// Facts for the checker.
    pub facts: Arc<ModelFacts>,
    /// Element types of the file's tensors: `f16 ×84`.
    pub dtype: String,
    /// Origin, as the file states it.
    pub provenance: serde_json::Value,
    /// Notes of the reader.
    pub notes: Vec<String>,
    spec: Spec,
    device: Device,
    generator: Deferred<Arc<dyn Generator>>,
    directions: Deferred<Directions>,
    features: Option<Deferred<Arc<Features>>>,
    encoder: Option<OwnEncoder>,
    sha256: Deferred<String>,
    stats: OnceLock<WStats>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Loaded {
    /// Identity of the generator.
    pub fn id(&self) -> ModelId {
        id_of(&self.facts)
    }

    /// Description of the generator.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Device that its weights are on or will be loaded to.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Makes the pictures; its weights are read at the first call.
    ///
    /// # Errors
    /// When the file cannot be read, or its tensors are not those of its family.
    pub fn generator(&self) -> Result<&Arc<dyn Generator>> {
        self.generator.get()
    }

    /// Its own directions, by name, read at the first call.
    ///
    /// # Errors
    /// When the file cannot be read, or a direction does not fit the generator.
    pub fn directions(&self) -> Result<&Directions> {
        self.directions.get()
    }

    /// Its network for attributes and the perceptual distance, read at the first call; `None` when
    /// it brings none.
    ///
    /// # Errors
    /// When the file cannot be read, or its tensors do not fit its settings.
    pub fn features(&self) -> Result<Option<&Arc<Features>>> {
        self.features.as_ref().map(Deferred::get).transpose()
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

    /// Sha256 of the generator's file, hexadecimal, computed at the first call; empty for one made
    /// in code.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn sha256(&self) -> Result<&str> {
        self.sha256.get().map(String::as_str)
    }

    /// Reads now what may turn out broken: the generator, directions and features of files from
    /// outside. Those in the binary are whole and wait for their first use.
    ///
    /// # Errors
    /// As [`Loaded::generator`], [`Loaded::directions`] and [`Loaded::features`].
    pub fn ready(&self) -> Result<()> {
        if self.facts.fingerprint != embedded::FINGERPRINT {
            self.generator()?;
            self.directions()?;
            self.features()?;
        }
        Ok(())
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
        let fresh = WStats::of(&**self.generator()?, None, PROJECTOR_SAMPLES)?;
        Ok(Some(self.stats.get_or_init(|| fresh).clone()))
    }
}

/// Names that `load` takes besides files.
pub const NAMES: [&str; 2] = ["faces", "toy"];

/// Number of generators kept although nothing refers to them: the checker loads a program's
/// generator before the program runs.
const RECENT: usize = 2;

/// Number of generator loads in this process.
static LOADS: AtomicUsize = AtomicUsize::new(0);

/// The generators of the process. Beside the [`RECENT`] last ones it keeps none alive: sessions
/// and values hold those that they use.
#[derive(Default)]
struct Registry {
    recent: VecDeque<Arc<Loaded>>,
    by_source: BTreeMap<String, Weak<Loaded>>,
    by_fingerprint: BTreeMap<String, Entry>,
}

/// Facts about a generator that was loaded before.
struct Entry {
    facts: Arc<ModelFacts>,
    /// The source that it was loaded from: a released one is loaded again.
    source: String,
    loaded: Weak<Loaded>,
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

/// Device to which generators are loaded.
pub fn device() -> Device {
    DEVICE.get().cloned().unwrap_or(Device::Cpu)
}

/// A generator loaded earlier in this process. One that was released is loaded again; `None` when
/// its source is gone or holds another generator now.
pub fn loaded(id: &ModelId) -> Option<Arc<Loaded>> {
    let (found, source) = {
        let registry = registry();
        let entry = registry.by_fingerprint.get(&id.fingerprint)?;
        (entry.loaded.upgrade(), entry.source.clone())
    };
    let again = || load(&source).ok().filter(|l| l.facts.fingerprint == id.fingerprint);
    found.or_else(again)
}

/// A generator that is still loaded.
pub fn alive(id: &ModelId) -> Option<Arc<Loaded>> {
    registry().by_fingerprint.get(&id.fingerprint)?.loaded.upgrade()
}

/// Number of generator loads in this process. When it has changed, sessions check which generators
/// they still need.
pub fn loads() -> usize {
    LOADS.load(Ordering::Relaxed)
}

/// Facts about a generator loaded earlier in this process, even if it was released.
pub fn known(id: &ModelId) -> Option<Arc<ModelFacts>> {
    registry().by_fingerprint.get(&id.fingerprint).map(|entry| entry.facts.clone())
}

/// Loads a generator by name (`faces`, `toy`), from a file, or from a folder that holds
/// `generator.safetensors` and, optionally, `directions.safetensors`, `attributes.safetensors` and
/// `encoder.safetensors`. A source that is in use is not read again, unless it changed.
///
/// # Errors
/// When the file cannot be read, breaks a rule of its format, or is of an unknown family.
pub fn load(source: &str) -> Result<Arc<Loaded>> {
    let key = key(source);
    if let Some(l) = registry().by_source.get(&key).and_then(Weak::upgrade) {
        return Ok(l);
    }
    let loaded = Arc::new(match source {
        "faces" => faces()?,
        "toy" => toy()?,
        path => from_path(Path::new(path))?,
    });
    LOADS.fetch_add(1, Ordering::Relaxed);
    let mut registry = registry();
    registry.recent.push_back(loaded.clone());
    if registry.recent.len() > RECENT {
        registry.recent.pop_front();
    }
    registry.by_source.retain(|_, l| l.strong_count() > 0);
    registry.by_source.insert(key, Arc::downgrade(&loaded));
    // The same weights may come bare and with their directions: the richer one serves both.
    let richer = |known: &Entry| {
        known.loaded.strong_count() > 0
            && known.facts.directions.len() >= loaded.facts.directions.len()
    };
    if !registry.by_fingerprint.get(&loaded.facts.fingerprint).is_some_and(richer) {
        let entry = Entry {
            facts: loaded.facts.clone(),
            source: source.to_owned(),
            loaded: Arc::downgrade(&loaded),
        };
        registry.by_fingerprint.insert(loaded.facts.fingerprint.clone(), entry);
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

/// The opened files of a generator, without their numbers.
struct Bundle {
    generator: Checkpoint,
    /// The generator's hash and fingerprint, where they are known.
    known: Option<[&'static str; 2]>,
    attributes: Option<Checkpoint>,
    directions: Option<Checkpoint>,
    encoder: Option<EncoderSource>,
}

/// The generator in the binary.
fn faces() -> Result<Loaded> {
    let open = |part: Part| weights::open_bytes(part.name, part.bytes, &LIMITS);
    bundle(Bundle {
        generator: open(embedded::GENERATOR)?,
        known: Some([embedded::GENERATOR.sha256, embedded::FINGERPRINT]),
        attributes: Some(open(embedded::ATTRIBUTES)?),
        directions: Some(open(embedded::DIRECTIONS)?),
        encoder: Some(EncoderSource::Embedded(embedded::ENCODER)),
    })
}

fn from_path(path: &Path) -> Result<Loaded> {
    if !path.is_dir() {
        let generator = open(path)?;
        let (known, attributes, directions, encoder) = (None, None, None, None);
        return bundle(Bundle { generator, known, attributes, directions, encoder });
    }
    let part = |name: &str| {
        let file = path.join(name);
        file.exists().then(|| open(&file)).transpose()
    };
    let generator = part("generator.safetensors")?.ok_or_else(|| {
        Error::runtime(format!(
            "the folder {} does not contain generator.safetensors",
            Safe(&path.to_string_lossy())
        ))
        .hint("name the file itself")
    })?;
    let encoder = path.join("encoder.safetensors");
    bundle(Bundle {
        generator,
        known: None,
        attributes: part("attributes.safetensors")?,
        directions: part("directions.safetensors")?,
        encoder: encoder.exists().then_some(EncoderSource::File(encoder)),
    })
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

fn bundle(files: Bundle) -> Result<Loaded> {
    let Bundle { generator: file, known, attributes, directions, encoder } = files;
    let device = device();
    let (dtype, provenance, notes) =
        (file.weights.list().dtypes(), file.provenance.clone(), file.notes.clone());
    let whole = file.clone();
    let sha256 = match known {
        Some([sha256, _]) => Deferred::ready(sha256.to_owned()),
        None => Deferred::new(move || whole.sha256()),
    };
    let mut found = registry::recognise(file)?;
    found.config.fingerprint = match known {
        Some([_, fingerprint]) => fingerprint.to_owned(),
        None => found.weights.fingerprint()?,
    };
    let spec = found.describe()?;
    let mut facts = facts(&spec);
    let directions = match directions {
        Some(file) => own_directions(file, &mut facts, &sha256)?,
        None => Deferred::ready(Directions::default()),
    };
    let features = attributes.map(|file| features(file, &mut facts, &device)).transpose()?;
    let announce = |e| OwnEncoder::announce(e, &spec, &sha256, &device);
    let encoder = encoder.map(announce).transpose()?;
    facts.encoder = encoder.is_some();
    let on = device.clone();
    Ok(Loaded {
        facts: Arc::new(facts),
        dtype,
        provenance,
        notes,
        spec,
        device,
        generator: Deferred::new(move || found.clone().read(&on)),
        directions,
        features,
        encoder,
        sha256,
        stats: OnceLock::new(),
    })
}

/// Facts for the checker about a generator without companion files.
fn facts(s: &Spec) -> ModelFacts {
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
        directions: BTreeMap::new(),
        encoder: false,
        perceptual: false,
        identity: false,
        landmarks: false,
    }
}

/// The directions of a `directions` file, which must have been found in this very generator; their
/// names go to the facts.
fn own_directions(
    file: Checkpoint,
    facts: &mut ModelFacts,
    sha256: &Deferred<String>,
) -> Result<Deferred<Directions>> {
    let (model, sizes) = (id_of(facts), sizes(facts));
    let wanted = file.config().get("generator_sha256").and_then(serde_json::Value::as_str);
    if let Some(wanted) = wanted
        && wanted != sha256.get()?
    {
        return Err(Error::runtime(format!(
            "the directions beside {} were found in another generator",
            Safe(&model.name)
        ))
        .hint(
            "load the generator's file alone, or put the matching directions.safetensors there",
        ));
    }
    let space = directions::space_of(&file).or(Some(Space::W));
    let names = directions::names(&file, space);
    let all = Deferred::new(move || {
        let all = directions::read(&file, space, &sizes)?;
        Ok(all
            .into_iter()
            .map(|d| Direction { model: Some(model.clone()), origin: "own set".into(), ..d })
            .collect::<Directions>())
    });
    facts.directions = match names {
        Some(names) => names,
        None => all.get()?.spaces(),
    };
    Ok(all)
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

/// Loads the network of an `attributes` file and adds its outputs to the facts.
fn features(
    file: Checkpoint,
    facts: &mut ModelFacts,
    device: &Device,
) -> Result<Deferred<Arc<Features>>> {
    let config: FeaturesConfig = serde_json::from_value(file.config().clone()).map_err(|e| {
        Error::runtime(format!("the attribute network's configuration is unreadable: {e}"))
    })?;
    know(facts, &config);
    let device = device.clone();
    Ok(Deferred::new(move || {
        let network = Features::new("attributes", config.clone(), file.weights.clone(), &device)?;
        Ok(Arc::new(network))
    }))
}

/// Notes in the facts what a network reads.
fn know(facts: &mut ModelFacts, config: &FeaturesConfig) {
    facts.perceptual = true;
    facts.identity = config.knows_identity();
    facts.landmarks = config.finds_faces();
}

/// The toy: a tiny seeded generator with three seeded directions, a seeded feature network and a
/// seeded encoder, for tests and examples.
fn toy() -> Result<Loaded> {
    use crate::rng::Rng;

    let device = device();
    let generator = generator::toy(0, &device)?;
    let spec = generator.spec().clone();
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
    let mut facts = ModelFacts { encoder: true, directions: directions.spaces(), ..facts(&spec) };
    know(&mut facts, &config);
    let weights = Weights::of_tensors("toy features", tensors);
    let features = Features::new("toy features", config, weights, &device)?;
    let sha256 = Deferred::ready(String::new());
    let encoder = OwnEncoder::announce(EncoderSource::Toy, &spec, &sha256, &device)?;
    Ok(Loaded {
        facts: Arc::new(facts),
        dtype: "f32".into(),
        provenance: json!({"made": "in code, seed 0"}),
        notes: Vec::new(),
        spec,
        device,
        generator: Deferred::ready(generator),
        directions: Deferred::ready(directions),
        features: Some(Deferred::ready(Arc::new(features))),
        encoder: Some(encoder),
        sha256,
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

/// Three seeded directions without a meaning: in W, in Z, and in S the styles that the W one moves;
/// one of them also has a separate step for every layer of W+.
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
    let mut rng = Rng::derive(0, "smile in W+");
    let rows: Vec<f64> = (0..spec.num_ws * spec.w_dim).map(|_| rng.normal()).collect();
    all.push(Direction { rows: spec.num_ws, dim: spec.w_dim, ..one(Space::WPlus, "smile", rows) });
    Ok(all.into_iter().collect())
}

/// Identity of the generator that the facts describe.
pub fn id_of(m: &ModelFacts) -> ModelId {
    ModelId { name: m.name.clone(), fingerprint: m.fingerprint.clone() }
}
