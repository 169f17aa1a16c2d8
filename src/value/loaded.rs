//! A loaded generator with what it brings: directions, attribute network, encoder, and the networks
//! that run after it.

use super::companion::OwnCompanion;
use super::deferred::Deferred;
use super::directions::Directions;
use super::embedded;
use super::encoder::{EncoderSource, OwnEncoder};
use super::facts;
use super::general;
use crate::direction::{Forms, Spread, lift};
use crate::error::Result;
use crate::generator::{Generator, Input, Layer, Spec, Tap, codes, spaces};
use crate::invert::{PROJECTOR_SAMPLES, WStats};
use crate::lang::types::{Companion, ModelFacts};
use crate::latent::{Direction, ModelId, Parts};
use crate::metric::Features;
use crate::network::{Discriminator, Encoder, Host, MapOf, Place};
use crate::space::Space;
use candle_core::Device;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// A loaded generator.
///
/// Its facts are available at once, from the headers of its files; each part is read on first use.
pub struct Loaded {
    /// Facts for the checker.
    pub facts: Arc<ModelFacts>,
    /// Element types of the file's tensors: `f16 ×84`.
    pub dtype: String,
    /// Origin, as the file states it.
    pub provenance: serde_json::Value,
    /// Notes of the reader.
    pub notes: Vec<String>,
    pub(super) spec: Spec,
    pub(super) device: Device,
    pub(super) generator: Deferred<Arc<dyn Generator>>,
    pub(super) directions: Deferred<Directions>,
    pub(super) features: Option<Deferred<Arc<Features>>>,
    pub(super) encoder: Option<OwnEncoder>,
    pub(super) companions: Vec<OwnCompanion>,
    pub(super) discriminator: Deferred<Option<Box<dyn Discriminator>>>,
    pub(super) sha256: Deferred<String>,
    /// Its family, layout and settings.
    pub(super) settings: String,
    /// Sha256 of the files beside it.
    pub(super) beside: Deferred<String>,
    pub(super) stats: OnceLock<WStats>,
    pub(super) components: OnceLock<Vec<Direction>>,
    pub(super) styles: OnceLock<Spread>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Loaded {
    /// Identity of the generator.
    pub fn id(&self) -> ModelId {
        facts::id_of(&self.facts)
    }

    /// Description of the generator.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Device of the generator's weights.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The generator itself; its weights are read at the first call.
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

    /// Its own direction of that name: in every space in which it exists, or in `space` alone. In
    /// W+ a direction of W applies to every layer unless W+ has one of its own. `None` when there
    /// is no such direction; a name that is not among the facts reads nothing.
    ///
    /// # Errors
    /// As [`Loaded::directions`].
    pub fn direction(&self, name: &str, space: Option<Space>) -> Result<Option<Forms>> {
        if !self.facts.directions.contains_key(name) {
            return Ok(None);
        }
        let all = self.directions()?;
        let Some(space) = space else { return Ok(all.forms(name)) };
        match (all.in_space(name, space), all.in_space(name, Space::W)) {
            (Some(own), _) => Ok(Some(own.clone().into())),
            (None, Some(w)) if space == Space::WPlus => {
                Ok(Some(lift(w, self.facts.num_ws)?.into()))
            }
            _ => Ok(None),
        }
    }

    /// Its network for attributes and the perceptual distance, read at the first call; `None`
    /// without such a network.
    ///
    /// # Errors
    /// When the file cannot be read, or its tensors do not fit its settings.
    pub fn features(&self) -> Result<Option<&Arc<Features>>> {
        self.features.as_ref().map(Deferred::get).transpose()
    }

    /// The built-in generator's feature network, for a perceptual distance of this generator's
    /// pictures; `None` unless they have three channels.
    ///
    /// # Errors
    /// When the embedded file is damaged.
    pub fn general_features(&self) -> Result<Option<Arc<Features>>> {
        (self.facts.channels == 3).then(|| general::features(&self.device)).transpose()
    }

    /// Its encoder, read at the first call; `None` without an encoder.
    ///
    /// # Errors
    /// When the encoder's file cannot be read or does not fit the generator.
    pub fn encoder(&self) -> Result<Option<&dyn Encoder>> {
        let Some(own) = &self.encoder else { return Ok(None) };
        Ok(Some(own.network(&|| self.host())?))
    }

    /// Its network of that kind to run after the encoder, read at the first call; `None` without
    /// one, and where none is asked for.
    ///
    /// # Errors
    /// When its file cannot be read or does not fit the generator.
    pub fn companion(&self, kind: Option<Companion>) -> Result<Option<&dyn Encoder>> {
        let own = self.companions.iter().find(|own| Some(own.kind()) == kind);
        own.map(|own| own.network(&|| self.host())).transpose()
    }

    /// An encoder from a file of the user, read anew; `first` is the file of the encoder with whose
    /// code it begins, for those that begin with another's.
    ///
    /// # Errors
    /// When the file cannot be read, holds no encoder, or does not fit the generator.
    pub fn encoder_in(&self, path: &Path, first: Option<&Path>) -> Result<Box<dyn Encoder>> {
        let source = EncoderSource::File(path.to_owned());
        let own = OwnEncoder::announce(source, &self.spec, &self.sha256, &self.device)?;
        own.beginning(first.map(Path::to_owned))?.make(&|| self.host())
    }

    /// What encoders of other people's code read of the generator.
    fn host(&self) -> Result<Host> {
        let g = &**self.generator()?;
        let mean = spaces::mean(g, Space::W, None)?.point().squeeze(0)?.detach();
        let weights = g.weights()?;
        let place = |layer: &Layer| {
            let name = format!("synthesis.{}.weight", layer.name);
            let mut all = weights.iter().enumerate();
            let own = all.find(|(_, (of, _))| **of == name);
            let weight = own.map(|(at, (_, weight))| (at, weight.dims().to_vec()));
            Place { map: [layer.channels, layer.height, layer.width], weight }
        };
        let layers = self.spec.layers.iter().map(place).collect();
        let named = weights.iter().map(|(name, w)| (name.to_string(), w.dims().to_vec()));
        let weights = named.collect();
        let own = self.generator()?.clone();
        let map: MapOf = Box::new(move |codes, layer| {
            let (parts, input) = (Parts::of(codes.clone()), Input::default());
            codes::untuned(&*own, &parts, Space::WPlus, &input, Tap::Layer(layer))
        });
        Ok(Host { mean, rows: self.spec.num_ws, layers, weights, map: Some(map), first: None })
    }

    /// The discriminator in its file, read at the first call; `None` without one.
    ///
    /// # Errors
    /// When the file cannot be read, or the discriminator is damaged.
    pub fn discriminator(&self) -> Result<Option<&dyn Discriminator>> {
        Ok(self.discriminator.get()?.as_deref())
    }

    /// Its encoder in words: kind, passes, and the scores of one that was fitted here; `None`
    /// without an encoder.
    ///
    /// # Errors
    /// When the encoder's file cannot be read.
    pub fn encoder_words(&self) -> Result<Option<String>> {
        self.encoder.as_ref().map(OwnEncoder::words).transpose()
    }

    /// Sha256 of the generator's file, hexadecimal, computed at the first call; empty for a
    /// generator made in code.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn sha256(&self) -> Result<&str> {
        self.sha256.get().map(String::as_str)
    }

    /// What its pictures depend on: its tensors and settings.
    pub fn content(&self) -> String {
        format!("{} {}", self.facts.fingerprint, self.settings)
    }

    /// As [`Loaded::content`], with the files beside it: directions, attribute network, encoder.
    /// These are read at the first call.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn whole_content(&self) -> Result<String> {
        Ok(format!("{} {}", self.content(), self.beside.get()?))
    }

    /// Reads the parts that may turn out broken: generator, directions and features of files from
    /// outside. Embedded files are intact and wait for their first use.
    ///
    /// # Errors
    /// As [`Loaded::generator`], [`Loaded::directions`] and [`Loaded::features`].
    pub fn ready(&self) -> Result<()> {
        if embedded::ALL.iter().all(|own| own.fingerprint != self.facts.fingerprint) {
            self.generator()?;
            self.directions()?;
            self.features()?;
        }
        Ok(())
    }

    /// Mean and spread of w over the prior, computed at the first call. `None` for a conditional
    /// generator, whose statistics depend on the class, and for a generator without W.
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
