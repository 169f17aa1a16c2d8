//! Generators for other programs: the tensors of a checkpoint in the form that they read.
//!
//! A form is one [`Export`]. What is written is read again by this program and compared with the
//! generator that it was made of, before a file is kept.

use super::layers::{BESIDE, COMPUTED, W_AVG};
use super::load::computed_mean;
use super::registry::{Found, recognise};
use super::stylegan2;
use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use crate::weights::layout::Placed;
use crate::weights::{Array, Checkpoint, Saved, write_torch};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The tensors of a generator by the family's names, with its settings.
pub struct Parts {
    /// Its tensors, those included that a loader may leave.
    pub tensors: BTreeMap<String, Array>,
    /// The family's settings.
    pub settings: Json,
}

/// A form in which generators are written.
pub struct Export {
    /// Its name on the command line.
    pub name: &'static str,
    /// What opens it, in one line.
    pub about: &'static str,
    /// Whether a generator can be written so.
    pub fits: fn(&Found) -> bool,
    /// The value that PyTorch loads.
    ///
    /// Fails when the generator has what the form cannot hold.
    pub write: fn(Parts) -> Result<Saved>,
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All of them; the first that fits is the usual one.
pub const EXPORTS: &[&Export] = &[&NVIDIA, &ROSINALITY];

/// The checkpoint of rosinality's stylegan2-pytorch and what is built on it (pSp, e4e, NADA).
const ROSINALITY: Export = Export {
    name: "rosinality",
    about: "{g_ema: state dict, latent_avg}: \
            Generator.load_state_dict(torch.load(\"OUT.pt\")[\"g_ema\"])",
    fits: |found| found.family.name == stylegan2::FAMILY.name,
    write: |parts| {
        let Parts { mut tensors, settings } = parts;
        stylegan2::add_filters(&mut tensors, &settings)?;
        let stylegan2::Rosinality { g_ema, latent_avg } =
            stylegan2::rosinality(tensors, &settings)?;
        let mut pairs = vec![("g_ema".to_owned(), Saved::tensors(g_ema))];
        pairs.extend(latent_avg.map(|mean| ("latent_avg".to_owned(), Saved::Tensor(mean))));
        Ok(Saved::Dict(pairs))
    },
};

/// The state dict of the official PyTorch code, for families whose names are that code's.
const NVIDIA: Export = Export {
    name: "nvidia",
    about: "{G_ema: state dict, settings: JSON}: \
            G.load_state_dict(torch.load(\"OUT.pt\")[\"G_ema\"])",
    fits: |found| {
        let official = found.family.layouts.iter().find(|l| l.name == "nvidia");
        let same = |name: &String| match official.map(|l| l.place(name)) {
            Some(Placed::Named(to, changes)) => to == *name && changes.is_empty(),
            Some(Placed::Spare(to, changes)) => to == *name && changes.is_empty(),
            _ => false,
        };
        // Its code embeds labels otherwise.
        let listing = found.weights.list();
        !listing.has(BESIDE) && listing.tensors.keys().all(same)
    },
    write: |parts| {
        let Parts { mut tensors, settings } = parts;
        stylegan2::add_filters(&mut tensors, &settings)?;
        Ok(Saved::Dict(vec![
            ("G_ema".into(), Saved::tensors(tensors)),
            ("settings".into(), Saved::Text(settings.to_string())),
        ]))
    },
};

/// The bytes of a PyTorch file with the checkpoint's generator, in the form of that name, or in the
/// first that fits; with the form.
///
/// # Errors
/// When no family knows the checkpoint, there is no such form, or it cannot hold the generator.
pub fn export(checkpoint: Checkpoint, name: Option<&str>) -> Result<(Vec<u8>, &'static Export)> {
    let found = recognise(checkpoint)?;
    let fitting: Vec<&'static Export> =
        EXPORTS.iter().copied().filter(|e| (e.fits)(&found)).collect();
    let names = |all: &[&Export]| all.iter().map(|e| e.name).collect::<Vec<_>>().join(", ");
    let form = match name {
        None => fitting.first().copied(),
        Some(name) => fitting.iter().copied().find(|e| e.name == name),
    };
    let Some(form) = form else {
        let family = found.family.name;
        let what = match name {
            Some(n) if EXPORTS.iter().any(|e| e.name == n) => {
                format!("a {family} cannot be written in the form `{}`", Safe(n))
            }
            Some(n) => format!("there is no form `{}`: {}", Safe(n), names(EXPORTS)),
            None => format!("there is no form of PyTorch files for the family {family}"),
        };
        let hint = match fitting.is_empty() {
            true => "gannet convert IN OUT.safetensors".to_owned(),
            false => format!("--to {}", names(&fitting)),
        };
        return Err(Error::new(Kind::Usage, what).hint(hint));
    };
    // Other programs compute no mean of w where a file has none.
    let mean = computed_mean(&found)?;
    let mut tensors = found.weights.arrays()?;
    if let Some(mean) = tensors.remove(COMPUTED).or(mean) {
        tensors.insert(W_AVG.to_owned(), mean);
    }
    let parts = Parts { tensors, settings: found.config.settings };
    Ok((write_torch(&(form.write)(parts)?)?, form))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::load::convert;
    use crate::generator::toy::Toy;
    use crate::generator::{Generator, load};
    use crate::limits::LIMITS;
    use crate::weights::{open_bytes, safetensors};
    use candle_core::Device;
    use serde_json::json;

    fn checkpoint(g: &stylegan2::StyleGan2, family: &str, config: Json) -> Checkpoint {
        let array = |(k, t): (String, candle_core::Tensor)| {
            let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (k, Array::f32(t.dims(), values).unwrap())
        };
        let manifest = safetensors::Manifest {
            format: safetensors::FORMAT,
            family: family.into(),
            config,
            provenance: Json::Null,
        };
        let tensors = g.tensors().unwrap().into_iter().map(array).collect();
        let bytes = safetensors::write(&tensors, Some(&manifest)).unwrap();
        open_bytes("toy.safetensors", bytes, &LIMITS).unwrap()
    }

    #[test]
    fn a_generator_comes_back_from_the_official_names() {
        let toy = Toy { resolution: 16, c_dim: 2, ..Toy::default() }.build(&Device::Cpu).unwrap();
        let settings = json!({"img_resolution": 16});
        let file = checkpoint(&toy, "stylegan2", settings.clone());
        let (bytes, form) = export(file.clone(), None).unwrap();
        assert_eq!(form.name, "nvidia");
        let again = open_bytes("toy.pt", bytes.clone(), &LIMITS).unwrap();
        assert_eq!(again.config()["settings"], settings.to_string());
        // Every filter that the official modules hold is there.
        for name in ["b4", "b4.conv1", "b8", "b8.conv0", "b8.conv1", "b16.conv0"] {
            let filter = format!("G_ema.synthesis.{name}.resample_filter");
            assert_eq!(again.weights.shape(&filter), Some(&[4, 4][..]), "{filter}");
        }
        let spec = load(again.clone(), &Device::Cpu).unwrap().spec().clone();
        assert_eq!(spec.fingerprint, toy.spec().fingerprint);
        // Through our own format and back, the same bytes.
        let own = open_bytes("own", convert(again).unwrap(), &LIMITS).unwrap();
        let (back, _) = export(own, Some("nvidia")).unwrap();
        let (a, b) = (open_bytes("a", bytes, &LIMITS), open_bytes("b", back, &LIMITS));
        assert_eq!(a.unwrap().weights.arrays().unwrap(), b.unwrap().weights.arrays().unwrap());
        // A mean of w that the file lacks is there for the official code.
        let mut tensors = file.weights.clone().arrays().unwrap();
        tensors.remove(W_AVG);
        let manifest = safetensors::Manifest {
            format: safetensors::FORMAT,
            family: "stylegan2".into(),
            config: Json::Null,
            provenance: Json::Null,
        };
        let bytes = safetensors::write(&tensors, Some(&manifest)).unwrap();
        let without = open_bytes("toy.safetensors", bytes, &LIMITS).unwrap();
        let own = open_bytes("own", convert(without.clone()).unwrap(), &LIMITS).unwrap();
        let means = [without, own].map(|file| {
            let (bytes, _) = export(file, Some("nvidia")).unwrap();
            let file = open_bytes("toy.pt", bytes, &LIMITS).unwrap();
            assert!(!file.weights.has("G_ema.computed.w_avg"));
            file.weights.arrays().unwrap()["G_ema.mapping.w_avg"].clone()
        });
        assert_eq!(means[0], means[1]);
        // That code holds no labels.
        let e = export(file.clone(), Some("rosinality")).unwrap_err();
        assert!(e.message().contains("rosinality") && e.repair().is_some(), "{e}");
        let e = export(file, Some("keras")).unwrap_err();
        assert!(e.message().contains("no form `keras`") && e.repair().is_some(), "{e}");
    }
}
