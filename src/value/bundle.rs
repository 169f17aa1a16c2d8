//! Opens the files of a generator: its checkpoint and, beside it, its directions, attribute
//! network, encoder and the networks after it. Only file headers are read here.

use super::companion::OwnCompanion;
use super::deferred::Deferred;
use super::directions::{self, Directions};
use super::embedded::{self, Embedded, Part};
use super::encoder::{EncoderSource, OwnEncoder, first_beside};
use super::facts;
use super::loaded::Loaded;
use super::shelf::{companion_of, encoder_of};
use crate::error::{Error, Result};
use crate::generator::registry;
use crate::lang::types::{Companion, ModelFacts};
use crate::latent::Direction;
use crate::limits::LIMITS;
use crate::metric::{Features, FeaturesConfig};
use crate::network::{Discriminator, Found, discriminator, find_foreign};
use crate::safe::Safe;
use crate::space::Space;
use crate::weights::{self, Checkpoint, Network};
use candle_core::Device;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The opened files of a generator; their tensors are not read yet.
struct Bundle {
    generator: Checkpoint,
    /// Hash and fingerprint of the generator, if known without reading its tensors.
    known: Option<[&'static str; 2]>,
    attributes: Option<Checkpoint>,
    directions: Option<Checkpoint>,
    encoder: Option<EncoderSource>,
    /// The file of the encoder with whose code that one begins.
    first: Option<PathBuf>,
    companions: Vec<(Companion, EncoderSource)>,
    /// The file that may hold a discriminator.
    judge: Option<PathBuf>,
    /// Whether the options of an encoder in the generator's file say that it draws FFHQ's frame.
    ffhq: bool,
}

/// Opens a generator embedded in the binary.
///
/// # Errors
/// When an embedded file is damaged.
pub(super) fn embedded(own: &Embedded, device: &Device) -> Result<Loaded> {
    let open = |part: Part| weights::open_bytes(part.name, part.bytes, &LIMITS);
    let companions = own.companions.iter();
    let files = Bundle {
        generator: open(own.generator)?,
        known: Some([own.generator.sha256, own.fingerprint]),
        attributes: Some(open(embedded::ATTRIBUTES)?),
        directions: own.directions.map(open).transpose()?,
        encoder: Some(EncoderSource::Embedded(own.encoder)),
        first: None,
        companions: companions
            .map(|(kind, part)| (*kind, EncoderSource::Embedded(*part)))
            .collect(),
        judge: None,
        ffhq: false,
    };
    files.read(device)
}

/// A generator's file with all its tensors: where its origin names the file of the embedded faces
/// as its `base`, those that it lacks are that one's.
///
/// # Errors
/// When the embedded file is damaged.
pub(super) fn whole(mut file: Checkpoint) -> Result<Checkpoint> {
    let base = embedded::FACES.generator;
    if file.provenance.get("base").and_then(serde_json::Value::as_str) != Some(base.sha256) {
        return Ok(file);
    }
    let faces = weights::open_bytes(base.name, base.bytes, &LIMITS)?;
    file.weights = file.weights.over(faces.weights);
    Ok(file)
}

/// Opens a generator from a file, or from a folder with companion files; see
/// [`Models::load`](super::models::Models::load).
///
/// # Errors
/// When a file cannot be read or has the wrong format or family.
pub(super) fn at(path: &Path, device: &Device) -> Result<Loaded> {
    let files = if path.is_dir() { Bundle::folder(path)? } else { Bundle::file(path)? };
    files.read(device)
}

impl Bundle {
    fn file(path: &Path) -> Result<Self> {
        let generator = weights::open(path, &LIMITS)?;
        // pSp and its relatives save their encoder with the generator.
        let inside = find_foreign(generator.weights.list());
        let first = inside.as_ref().and_then(|found| first_beside(path, found));
        let ready =
            |found: &&Found| found.is_clear() && (first.is_some() || !found.begins_with_another());
        let own = inside.as_ref().filter(ready).map(|_| path.to_owned());
        let beside = Some(encoder_of(path)).filter(|p| p.is_file());
        // The one beside comes before the one inside, which is not asked then.
        let first = first.filter(|_| beside.is_none());
        Ok(Self {
            known: None,
            attributes: None,
            directions: None,
            encoder: beside.or(own).map(EncoderSource::File),
            first,
            companions: companions(path),
            judge: Some(path.to_owned()),
            ffhq: inside.is_some_and(|found| found.encodes_faces()),
            generator,
        })
    }

    fn folder(path: &Path) -> Result<Self> {
        let part = |name: &str| {
            let file = path.join(name);
            file.exists().then(|| weights::open(&file, &LIMITS)).transpose()
        };
        let generator = match part("generator.safetensors")? {
            Some(generator) => generator,
            None if weights::in_folder(path)?.is_some() => weights::open(path, &LIMITS)?,
            None => {
                return Err(Error::runtime(format!(
                    "the folder {} does not contain generator.safetensors",
                    Safe(&path.to_string_lossy())
                ))
                .hint("name the file itself"));
            }
        };
        let encoder = encoder_of(path);
        let inside = find_foreign(generator.weights.list());
        let ffhq = inside.is_some_and(|found| found.encodes_faces());
        Ok(Self {
            generator,
            known: None,
            attributes: part("attributes.safetensors")?,
            directions: part("directions.safetensors")?,
            encoder: encoder.exists().then_some(EncoderSource::File(encoder)),
            first: None,
            companions: companions(path),
            judge: Some(path.join("discriminator.safetensors")).filter(|file| file.is_file()),
            ffhq,
        })
    }

    /// Sha256 of the files beside the generator. Embedded ones are those of the build.
    fn beside(&self) -> Deferred<String> {
        if self.known.is_some() {
            return Deferred::ready("embedded".to_owned());
        }
        let open = [self.attributes.clone(), self.directions.clone()];
        let (first, encoder) = (self.first.clone(), self.encoder.clone());
        let companions = self.companions.clone();
        Deferred::new(move || {
            let encoder = encoder.as_ref().map(EncoderSource::open).transpose()?;
            let first = first.as_ref().map(|path| weights::open(path, &LIMITS)).transpose()?;
            let hash =
                |file: &Option<Checkpoint>| file.as_ref().map(Checkpoint::sha256).transpose();
            let all =
                open.iter().chain([&encoder, &first]).map(hash).collect::<Result<Vec<_>>>()?;
            let hash = |(kind, source): &(Companion, EncoderSource)| {
                Ok((kind.name(), source.open()?.sha256()?))
            };
            let companions = companions.iter().map(hash).collect::<Result<Vec<_>>>()?;
            Ok(format!("{all:?} {companions:?}"))
        })
    }

    /// Describes the generator of these files; each part is read on first use.
    fn read(self, device: &Device) -> Result<Loaded> {
        let beside = self.beside();
        let Self { generator: file, known, attributes, directions, encoder, first, .. } = self;
        let (companions, judge, ffhq) = (self.companions, self.judge, self.ffhq);
        let (dtype, provenance, notes) =
            (file.weights.list().dtypes(), file.provenance.clone(), file.notes.clone());
        let hashed = file.clone();
        let sha256 = match known {
            Some([sha256, _]) => Deferred::ready(sha256.to_owned()),
            None => Deferred::new(move || hashed.sha256()),
        };
        let mut found = registry::recognise(whole(file)?)?;
        found.config.fingerprint = match known {
            Some([_, fingerprint]) => fingerprint.to_owned(),
            None => found.weights.fingerprint()?,
        };
        let (family, layout) = (found.family.name, found.layout.name);
        let settings = format!("{family} {layout} {}", found.config.named());
        let spec = found.describe()?;
        let mut facts = ModelFacts { ffhq, ..facts::of(&spec) };
        let directions = match directions {
            Some(file) => own_directions(file, &mut facts, &sha256)?,
            None => Deferred::ready(Directions::default()),
        };
        let features = attributes.map(|file| features(file, &mut facts, device)).transpose()?;
        let announce = |e| OwnEncoder::announce(e, &spec, &sha256, device)?.beginning(first);
        let encoder = encoder.map(announce).transpose()?;
        facts.encoder = encoder.is_some();
        facts.pair = encoder.as_ref().is_some_and(OwnEncoder::is_pair);
        let announce =
            |(kind, source)| OwnCompanion::announce(kind, source, (&spec, &sha256), device);
        let companions = companions.into_iter().map(announce).collect::<Result<Vec<_>>>()?;
        facts.companions = companions.iter().map(OwnCompanion::kind).collect();
        let on = device.clone();
        Ok(Loaded {
            facts: Arc::new(facts),
            dtype,
            provenance,
            notes,
            spec,
            device: device.clone(),
            generator: Deferred::new(move || found.clone().read(&on)),
            directions,
            features,
            encoder,
            companions,
            discriminator: judged(judge, device.clone()),
            sha256,
            settings,
            beside,
            stats: OnceLock::new(),
            components: OnceLock::new(),
            styles: OnceLock::new(),
        })
    }
}

/// The files of the networks that run after the encoder, where there are some.
fn companions(path: &Path) -> Vec<(Companion, EncoderSource)> {
    let files = Companion::ALL.map(|kind| (kind, companion_of(path, kind)));
    let there = files.into_iter().filter(|(_, file)| file.is_file());
    there.map(|(kind, file)| (kind, EncoderSource::File(file))).collect()
}

/// Reads a `directions` file and adds its names to the facts. Refuses a file that was found in
/// another generator.
fn own_directions(
    file: Checkpoint,
    facts: &mut ModelFacts,
    sha256: &Deferred<String>,
) -> Result<Deferred<Directions>> {
    let (model, sizes) = (facts::id_of(facts), facts::sizes(facts));
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

/// Loads the network of an `attributes` file and adds its outputs to the facts.
fn features(
    file: Checkpoint,
    facts: &mut ModelFacts,
    device: &Device,
) -> Result<Deferred<Arc<Features>>> {
    let config: FeaturesConfig = serde_json::from_value(file.config().clone()).map_err(|e| {
        Error::runtime(format!("the attribute network's configuration is unreadable: {e}"))
    })?;
    facts::know(facts, &config);
    let device = device.clone();
    Ok(Deferred::new(move || {
        let network = Features::new("attributes", config.clone(), file.weights.clone(), &device)?;
        Ok(Arc::new(network))
    }))
}
/// The discriminator in a file, if there is one.
fn judged(file: Option<PathBuf>, device: Device) -> Deferred<Option<Box<dyn Discriminator>>> {
    let Some(file) = file else { return Deferred::ready(None) };
    Deferred::new(move || {
        let opened = weights::open_network(&file, &LIMITS, Network::Discriminator)?;
        discriminator::find(opened, &device)
    })
}
