//! The encoder of a generator: checked when the generator is loaded, read on first use.
//!
//! An encoder is among the largest files of a bundle, and most sessions never invert, so reading it
//! on demand keeps the start short. A wrong family or a wrong generator shows in the header and is
//! still reported at once.

use super::deferred::Deferred;
use super::embedded::Part;
use crate::error::{Error, Kind, Result};
use crate::generator::Spec;
use crate::limits::LIMITS;
use crate::network::{
    Encoder, EncoderConfig, Foreign, Found, Host, PAIR, PairConfig, PairNet, PassNet, REGRESSION,
    Regressor, RegressorConfig, find_foreign,
};
use crate::rng::Rng;
use crate::safe::Safe;
use crate::weights::{self, Checkpoint, Network, Weights};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The family of encoder files.
const FAMILY: &str = "encoder";
/// Channels of the toy encoder's maps.
const TOY_WIDTHS: [usize; 3] = [8, 8, 12];
/// Scale of the toy encoder's outputs: about a third of the spread of w.
const TOY_SPREAD: f64 = 0.05;

/// Source of an encoder's tensors.
#[derive(Clone, Debug)]
pub enum EncoderSource {
    /// A file.
    File(PathBuf),
    /// A file in the binary.
    Embedded(Part),
    /// No file: the toy's encoder, made in code.
    Toy,
}

impl EncoderSource {
    /// Opens its file.
    ///
    /// # Errors
    /// When it has none, or it cannot be read.
    pub fn open(&self) -> Result<Checkpoint> {
        match self {
            Self::File(path) => weights::open_network(path, &LIMITS, Network::Encoder),
            Self::Embedded(part) => weights::open_bytes(part.name, part.bytes, &LIMITS),
            Self::Toy => Err(Error::runtime("the toy encoder has no file")),
        }
    }

    /// Its file, as shown.
    fn shown(&self) -> String {
        match self {
            Self::File(path) => Safe(&path.to_string_lossy()).to_string(),
            Self::Embedded(part) => part.name.to_owned(),
            Self::Toy => "the toy encoder".to_owned(),
        }
    }
}

/// A generator's encoder, whose network is read on first use.
pub struct OwnEncoder {
    source: EncoderSource,
    /// The file of the encoder whose code it begins with, where there is one.
    first: Option<PathBuf>,
    spec: Spec,
    device: Device,
    /// Whether it is a pair, which finds z and tells the class.
    pair: bool,
    network: OnceLock<Box<dyn Encoder>>,
}

/// The settings of an encoder's file, by its kind.
enum Settings {
    /// A network of passes that was trained outside.
    Passes(EncoderConfig),
    /// A regression that was fitted to the generator's samples.
    Regression(RegressorConfig),
    /// A pair of encoders that was trained for a conditional generator.
    Pair(PairConfig),
    /// An encoder of other people's code.
    Foreign(Found),
}

/// Says what a generator has that encoders of other people's code read.
pub(super) type Hosting<'a> = &'a dyn Fn() -> Result<Host>;

impl OwnEncoder {
    /// Checks that an encoder belongs to the generator `spec`, whose file has the hash `sha256`.
    /// Only the header of the encoder's file is read.
    ///
    /// # Errors
    /// When the file is not an encoder, or was trained for another generator.
    pub fn announce(
        source: EncoderSource,
        spec: &Spec,
        sha256: &Deferred<String>,
        device: &Device,
    ) -> Result<Self> {
        let mut own = Self {
            source,
            first: None,
            spec: spec.clone(),
            device: device.clone(),
            pair: false,
            network: OnceLock::new(),
        };
        if !matches!(own.source, EncoderSource::Toy) {
            let settings = own.settings(&own.source.open()?)?;
            own.belongs(&settings, sha256)?;
            own.pair = matches!(settings, Settings::Pair(_));
        }
        Ok(own)
    }

    /// Whether it is a pair, which finds z and tells the class.
    pub fn is_pair(&self) -> bool {
        self.pair
    }

    /// The same encoder, which begins with the code that one in another file finds.
    ///
    /// # Errors
    /// When it finds its codes itself.
    pub fn beginning(self, first: Option<PathBuf>) -> Result<Self> {
        if first.is_some() && !self.begins_with_another()? {
            let text = format!("{} finds its codes itself", self.source.shown());
            return Err(Error::runtime(text).hint("leave `w_encoder` out"));
        }
        Ok(Self { first, ..self })
    }

    fn begins_with_another(&self) -> Result<bool> {
        match self.settings(&self.source.open()?)? {
            Settings::Foreign(found) => Ok(found.begins_with_another()),
            _ => Ok(false),
        }
    }

    /// The network, read at the first call.
    ///
    /// # Errors
    /// When the file cannot be read, breaks a rule of its format, or does not fit the generator.
    pub(super) fn network(&self, hosting: Hosting<'_>) -> Result<&dyn Encoder> {
        if let Some(network) = self.network.get() {
            return Ok(&**network);
        }
        let fresh = self.make(hosting)?;
        Ok(&**self.network.get_or_init(|| fresh))
    }

    /// The network, read anew.
    ///
    /// # Errors
    /// As [`OwnEncoder::network`].
    pub(super) fn make(&self, hosting: Hosting<'_>) -> Result<Box<dyn Encoder>> {
        let fresh: Box<dyn Encoder> = match self.source {
            EncoderSource::Toy => Box::new(toy(&self.spec, &self.device)?),
            _ => self.read(hosting)?,
        };
        fresh.check(&self.spec.name, self.spec.channels, &self.spec.dims())?;
        Ok(fresh)
    }

    fn read(&self, hosting: Hosting<'_>) -> Result<Box<dyn Encoder>> {
        let file = self.source.open()?;
        // The file may have been replaced since the generator was loaded.
        let config = self.settings(&file)?;
        let sha256 = match &self.source {
            EncoderSource::Embedded(part) => part.sha256.to_owned(),
            _ => file.sha256()?,
        };
        let hash = sha256.get(..12).unwrap_or_default();
        let name = format!("encoder {hash}");
        Ok(match config {
            Settings::Passes(c) => Box::new(PassNet::new(&name, c, file.weights, &self.device)?),
            Settings::Regression(c) => {
                Box::new(Regressor::new(&name, c, file.weights, &self.device)?)
            }
            Settings::Pair(c) => Box::new(PairNet::new(&name, c, &file.weights, &self.device)?),
            Settings::Foreign(found) => {
                let host = Host { first: self.first(&found, hosting)?, ..hosting()? };
                Box::new(found.read(hash, file.weights, host, &self.device)?)
            }
        })
    }

    /// The encoder whose code another begins with.
    fn first(&self, found: &Found, hosting: Hosting<'_>) -> Result<Option<Foreign>> {
        if !found.begins_with_another() {
            return Ok(None);
        }
        let Some(path) = &self.first else { return Ok(None) };
        let file = weights::open(path, &LIMITS)?;
        let own = find_foreign(file.weights.list()).filter(|own| !own.begins_with_another());
        let own = own.ok_or_else(|| {
            let text = format!("{} is no encoder to begin with", file.file);
            Error::new(Kind::Format, text)
                .note("`gannet info` shows what it holds")
                .hint("w_encoder: HyperStyle's faces_w_encoder.pt, or another of its codes")
        })?;
        let hash = file.sha256()?;
        let name = hash.get(..12).unwrap_or_default();
        Ok(Some(own.read(name, file.weights, hosting()?, &self.device)?))
    }

    fn settings(&self, file: &Checkpoint) -> Result<Settings> {
        let (model, shown) = (Safe(&self.spec.name), self.source.shown());
        if file.family().is_none()
            && let Some(found) = find_foreign(file.weights.list())
        {
            return Ok(Settings::Foreign(found));
        }
        match file.family() {
            Some(FAMILY) => {}
            family => {
                let e = Error::new(Kind::Format, format!("{shown} is no encoder that is known"))
                    .hint(
                        "give an encoder of pSp, e4e or ReStyle, or one that was made by \
                         `gannet fit encoder`",
                    );
                return Err(match family {
                    Some(other) => e.note(format!("it is of the family `{}`", Safe(other))),
                    None => e.note("`gannet info` shows what it holds"),
                });
            }
        }
        let config = file.config().clone();
        let kind = config.get("kind").and_then(|k| k.as_str()).unwrap_or_default().to_owned();
        let read = match kind.as_str() {
            REGRESSION => serde_json::from_value(config).map(Settings::Regression),
            PAIR => serde_json::from_value(config).map(Settings::Pair),
            _ => serde_json::from_value(config).map(Settings::Passes),
        };
        read.map_err(|e| {
            Error::new(
                Kind::Format,
                format!("the settings of the encoder beside {model} are unreadable: {e}"),
            )
            .hint("use the unchanged file of the training script")
        })
    }

    /// Refuses an encoder that was trained for another generator: `sha256` is the hash of this
    /// one's file.
    fn belongs(&self, config: &Settings, sha256: &Deferred<String>) -> Result<()> {
        let matching =
            "load the generator's file alone, or put the matching encoder.safetensors there";
        let (own, hint) = match config {
            Settings::Passes(c) => (
                match &c.generator_sha256 {
                    Some(wanted) => wanted == sha256.get()?,
                    None => true,
                },
                matching.to_owned(),
            ),
            Settings::Pair(c) => {
                let classes = c.classes == self.spec.classes();
                (classes && c.generator_sha256 == *sha256.get()?, matching.to_owned())
            }
            Settings::Regression(c) => {
                let file = self.source.shown();
                let hint = format!("remove {file}, then fit again: gannet fit encoder MODEL");
                (c.generator == self.spec.fingerprint, hint)
            }
            // Its sizes are compared once it is read.
            Settings::Foreign(_) => (true, String::new()),
        };
        if own {
            return Ok(());
        }
        let (model, shown) = (Safe(&self.spec.name), self.source.shown());
        let text = format!("the encoder {shown} was trained for another generator than {model}");
        Err(Error::runtime(text).hint(hint))
    }

    /// The encoder in words: see [`in_words`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn words(&self) -> Result<String> {
        if matches!(self.source, EncoderSource::Toy) {
            return Ok("untrained".to_owned());
        }
        let file = self.source.open()?;
        Ok(match self.settings(&file)? {
            Settings::Foreign(found) => found.words(),
            _ => in_words(file.config(), &file.provenance),
        })
    }
}

/// The file beside an encoder's that finds the code which it begins with, as its options name it.
pub(super) fn first_beside(path: &Path, found: &Found) -> Option<PathBuf> {
    let name = found.first_file().filter(|_| found.begins_with_another())?;
    Some(path.with_file_name(name)).filter(|first| first.is_file())
}

/// An encoder in words, from the settings and the origin in its file: its kind, and the scores of
/// one that was fitted here on samples that it was not fitted to.
pub fn in_words(config: &serde_json::Value, provenance: &serde_json::Value) -> String {
    let passes = config.get("steps").and_then(serde_json::Value::as_u64).unwrap_or(1);
    let kind = config.get("kind").and_then(|k| k.as_str()).unwrap_or("passes");
    let mut words = format!("{}, {passes} pass{}", Safe(kind), if passes == 1 { "" } else { "es" });
    let held = &provenance["held_out"];
    let psnr = |p: Option<&serde_json::Value>| p.and_then(|p| p["psnr"].as_f64());
    let all = held["passes"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let (Some(mean), Some(last)) = (psnr(all.first()), psnr(all.last())) {
        words.push_str(&format!("; held out: {last:.1} dB, the mean code {mean:.1} dB"));
    }
    if let Some(r2) = held["r2"].as_f64() {
        words.push_str(&format!(", R² of w {r2:.2}"));
    }
    words
}

/// A tiny encoder with seeded random weights for the toy generator: it is untrained, but it runs.
fn toy(spec: &Spec, device: &Device) -> Result<PassNet> {
    let config = EncoderConfig {
        input_resolution: spec.width,
        strides: vec![2; TOY_WIDTHS.len()],
        leaky: 0.2,
        grid: 2,
        num_ws: spec.num_ws,
        w_dim: spec.w_dim,
        generator_sha256: None,
        steps: 3,
    };
    let mut rng = Rng::derive(0, "toy encoder");
    let mut parts = BTreeMap::new();
    let mut put = |name: &str, shape: &[usize], scale: f64| -> Result<()> {
        let values: Vec<f32> =
            rng.normals(shape.iter().product()).iter().map(|v| v * scale as f32).collect();
        parts.insert(name.to_owned(), Tensor::from_vec(values, shape, device)?);
        Ok(())
    };
    let mut inner = 2 * spec.channels;
    for (i, outer) in TOY_WIDTHS.into_iter().enumerate() {
        put(&format!("conv{i}.weight"), &[outer, inner, 3, 3], (2.0 / (9 * inner) as f64).sqrt())?;
        put(&format!("conv{i}.bias"), &[outer], 0.1)?;
        inner = outer;
    }
    let places = inner * config.grid * config.grid;
    put("base.weight", &[spec.w_dim, places], TOY_SPREAD)?;
    put("base.bias", &[spec.w_dim], 0.0)?;
    put("offsets.weight", &[spec.num_ws * spec.w_dim, inner], 0.2 * TOY_SPREAD)?;
    put("offsets.bias", &[spec.num_ws * spec.w_dim], 0.0)?;
    let weights = Weights::of_tensors("toy encoder, seed 0", parts);
    PassNet::new("toy encoder, seed 0", config, weights, device)
}

#[cfg(test)]
pub(super) mod tests {
    use crate::generator::toy::Toy;
    use crate::network::EncoderConfig;
    use crate::network::{Seen, encoder_tests::step};
    use crate::value::Models;
    use crate::weights::{Array, Manifest, safetensors};
    use candle_core::Device;
    use std::collections::BTreeMap;
    use std::path::Path;

    pub fn write(
        path: &Path,
        family: &str,
        config: serde_json::Value,
        tensors: &BTreeMap<String, Array>,
    ) {
        let manifest = Manifest {
            format: 1,
            family: family.into(),
            config,
            provenance: serde_json::Value::Null,
        };
        std::fs::write(path, safetensors::write_f32(tensors, Some(&manifest)).unwrap()).unwrap();
    }

    /// Writes a toy generator of 8×8 pixels; returns its sha256.
    pub fn generator(folder: &Path, toy: &Toy) -> String {
        let tensors =
            toy.build(&Device::Cpu).unwrap().tensors().unwrap().into_iter().map(|(name, t)| {
                let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                (name, Array::f32(t.dims(), values).unwrap())
            });
        let path = folder.join("generator.safetensors");
        write(&path, "stylegan2", serde_json::json!({"img_resolution": 8}), &tensors.collect());
        Models::cpu().load(path.to_str().unwrap()).unwrap().sha256().unwrap().to_owned()
    }

    /// Writes an encoder for codes of 4×16 whose weights are all 0 except for the base's bias.
    fn encoder(folder: &Path, family: &str, sha256: &str, channels: usize) {
        let config = EncoderConfig {
            input_resolution: 8,
            strides: vec![2],
            leaky: 0.2,
            grid: 1,
            num_ws: 4,
            w_dim: 16,
            generator_sha256: Some(sha256.into()),
            steps: 2,
        };
        let zeros = |shape: &[usize]| Array::f32(shape, vec![0.0; shape.iter().product()]).unwrap();
        let tensors = BTreeMap::from([
            ("conv0.weight".to_owned(), zeros(&[3, 2 * channels, 3, 3])),
            ("conv0.bias".to_owned(), zeros(&[3])),
            ("base.weight".to_owned(), zeros(&[16, 3])),
            ("base.bias".to_owned(), Array::f32(&[16], vec![0.25; 16]).unwrap()),
            ("offsets.weight".to_owned(), zeros(&[64, 3])),
            ("offsets.bias".to_owned(), zeros(&[64])),
        ]);
        write(
            &folder.join("encoder.safetensors"),
            family,
            serde_json::to_value(config).unwrap(),
            &tensors,
        );
    }

    #[test]
    fn a_folder_brings_its_encoder() {
        let folder = tempfile::tempdir().unwrap();
        let toy = Toy { resolution: 8, ..Toy::default() };
        let sha256 = generator(folder.path(), &toy);
        let name = folder.path().to_str().unwrap();
        encoder(folder.path(), "encoder", &sha256, 3);
        let loaded = Models::cpu().load(name).unwrap();
        assert!(loaded.facts.encoder);
        let own = loaded.encoder().unwrap().unwrap();
        assert!(own.name().starts_with("encoder ") && own.name().len() == 20 && own.passes() == 2);
        let picture =
            candle_core::Tensor::zeros((1, 3, 8, 8), candle_core::DType::F32, &Device::Cpu)
                .unwrap();
        let delta = step(own.pass(&Seen::first(&picture, &picture)));
        let delta = delta.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(delta, [0.25; 64]);
        // The generator's file alone has no encoder.
        let bare = Models::cpu()
            .load(folder.path().join("generator.safetensors").to_str().unwrap())
            .unwrap();
        assert!(!bare.facts.encoder && bare.encoder().unwrap().is_none());
    }

    #[test]
    fn the_content_of_a_bundle_is_that_of_all_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let toy = Toy { resolution: 8, ..Toy::default() };
        let sha256 = generator(folder.path(), &toy);
        let content = || {
            let loaded = Models::cpu().load(folder.path().to_str().unwrap()).unwrap();
            (loaded.content(), loaded.whole_content().unwrap())
        };
        let bare = content();
        encoder(folder.path(), "encoder", &sha256, 3);
        let first = content();
        assert!(bare.0 == first.0 && bare.1 != first.1);
        assert_eq!(content(), first);
        let path = folder.path().join("encoder.safetensors");
        let mut bytes = std::fs::read(&path).unwrap();
        // The last number of a tensor.
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let other = content();
        assert!(other.0 == first.0 && other.1 != first.1);
        // Another generator.
        let toys = [
            Toy { resolution: 8, ..Toy::default() },
            Toy { resolution: 8, seed: 3, ..Toy::default() },
        ];
        let [a, b] = toys.map(|toy| {
            let own = tempfile::tempdir().unwrap();
            generator(own.path(), &toy);
            Models::cpu().load(own.path().to_str().unwrap()).unwrap().content()
        });
        assert!(a != b && a == first.0);
    }

    #[test]
    fn an_encoder_of_something_else_is_refused_with_its_repair() {
        let refused = |family: &str, sha: Option<&str>, channels: usize| {
            let folder = tempfile::tempdir().unwrap();
            let toy = Toy { resolution: 8, seed: 3, ..Toy::default() };
            let sha256 = generator(folder.path(), &toy);
            encoder(folder.path(), family, sha.unwrap_or(&sha256), channels);
            let loaded = Models::cpu().load(folder.path().to_str().unwrap());
            let e = loaded.and_then(|l| l.encoder().map(|_| ())).err().unwrap();
            assert!(e.repair().unwrap().contains("encoder"), "{e}");
            e.to_string()
        };
        assert!(refused("encoder", Some("0123"), 3).contains("trained for another generator"));
        assert!(refused("attributes", None, 3).contains("`attributes`"));
        // An encoder for grey pictures does not fit this colour generator; the first use reports
        // it.
        assert!(
            refused("encoder", None, 1)
                .contains("1-channel pictures and codes of 4×16, generator makes 3-channel")
        );
    }
}
