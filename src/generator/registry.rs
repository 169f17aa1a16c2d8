//! The families of generators.
//!
//! A family is its folder with a `pub const FAMILY`, and one line in [`FAMILIES`]. Its checkpoint
//! formats are a list of [`Layout`]s, one file each. Reading a file, `gannet info`, `gannet models`
//! and errors take families from here alone.
//!
//! Steps from a file to a generator:
//! 1. [`recognise`] finds the family, the layout and the prefix of the generator's names
//!    (`generator/roots.rs`) from the file's listing; no number is read.
//! 2. The layout's rules rename the tensors, its `settings` gives the family's settings.
//! 3. [`Family::prepare`] completes both where rules do not suffice.
//! 4. [`Family::describe`] says what the generator is, from settings and shapes.
//! 5. [`Family::read`] takes the tensors, and every tensor must be taken.

use super::family::{Config, Family};
use super::prior_space::with_prior_spaces;
use super::{
    Generator, Spec, biggan, dcgan, eg3d, fastgan, lightweight_gan, lucidrains_stylegan2,
    mobilestylegan, pggan, r3gan, roots, stylegan1, stylegan2, stylegan3,
};
use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use crate::weights::layout::Layout;
use crate::weights::{Checkpoint, Listing, Weights};
use candle_core::Device;
use std::sync::Arc;

/// All families. The first that detects a file reads it: `eg3d` has a StyleGAN2 inside, and
/// `mobilestylegan` names like one, so both come before that.
pub const FAMILIES: &[&Family] = &[
    &eg3d::FAMILY,
    &mobilestylegan::FAMILY,
    &stylegan2::FAMILY,
    &stylegan3::FAMILY,
    &stylegan1::FAMILY,
    &pggan::FAMILY,
    &biggan::FAMILY,
    &fastgan::FAMILY,
    &lightweight_gan::FAMILY,
    &lucidrains_stylegan2::FAMILY,
    &r3gan::FAMILY,
    #[cfg(test)]
    &super::dummy_family::FAMILY,
    &dcgan::FAMILY,
];

/// A checkpoint whose family is known; its tensors bear the family's names.
#[derive(Clone, Debug)]
pub struct Found {
    /// Prefix of the generator's names in the file: `g_ema.`; empty for none.
    pub root: String,
    /// The family.
    pub family: &'static Family,
    /// Layout of the file.
    pub layout: &'static Layout,
    /// Its tensors, renamed.
    pub weights: Weights,
    /// Its settings; the fingerprint is empty.
    pub config: Config,
}

impl Found {
    /// Description of the generator, from settings and shapes alone.
    ///
    /// # Errors
    /// As [`Family::describe`].
    pub fn describe(&self) -> Result<Spec> {
        (self.family.describe)(self.weights.list(), &self.config)
            .map_err(|e| e.note(format!("in {}", self.weights.file())))
    }

    /// Reads the generator. A fingerprint missing from its settings is computed first.
    ///
    /// # Errors
    /// As [`Family::read`], and when a tensor is left over that the family does not know.
    pub fn read(mut self, device: &Device) -> Result<Arc<dyn Generator>> {
        self.describe()?;
        if self.config.fingerprint.is_empty() {
            self.config.fingerprint = self.weights.fingerprint()?;
        }
        let generator = (self.family.read)(&mut self.weights, &self.config, device)?;
        self.weights.finish()?;
        Ok(with_prior_spaces(generator))
    }
}

/// The generator in a file: where it is, and whose it is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Prefix of its names: `g_ema.`; empty for none.
    pub root: String,
    /// Its family.
    pub family: &'static Family,
    /// Layout of the file.
    pub layout: &'static Layout,
}

/// The generator in a file; `None` where no family knows any. No number is read.
pub fn find(listing: &Listing) -> Option<Place> {
    if let Some(said) = &listing.family {
        let family = FAMILIES.iter().copied().find(|f| f.name == said)?;
        return Some(Place { root: String::new(), family, layout: (family.detect)(listing)? });
    }
    let detect = |anywhere: bool, root: &str| {
        let seen = listing.below(root);
        let asked = FAMILIES.iter().copied().filter(|f| f.anywhere == anywhere);
        let place = |family: &'static Family| {
            Some(Place { root: root.to_owned(), family, layout: (family.detect)(&seen)? })
        };
        asked.filter_map(place).next()
    };
    let below = roots::of(listing).iter().find_map(|root| detect(false, root));
    below.or_else(|| detect(true, ""))
}

impl Place {
    /// Gives the tensors of the file the family's names.
    ///
    /// # Errors
    /// When they do not fit the layout's rules, and when its settings cannot be read.
    pub fn take(self, checkpoint: Checkpoint) -> Result<Found> {
        let Self { root, family, layout } = self;
        let inside = |e: Error| e.note(format!("in {}", checkpoint.file));
        let weights = checkpoint.weights.below(&root);
        let settings = (layout.settings)(weights.list()).map_err(inside)?;
        let stem = std::path::Path::new(&checkpoint.file).file_stem();
        let name = stem.map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let weights = weights.renamed(layout)?;
        let (weights, settings) = match family.prepare {
            Some(prepare) => prepare(weights, settings).map_err(inside)?,
            None => (weights, settings),
        };
        let config = Config { name, settings, fingerprint: String::new() };
        Ok(Found { root, family, layout, weights, config })
    }
}

/// Finds a checkpoint's family and gives its tensors the family's names.
///
/// # Errors
/// When no family knows the file, and as [`Place::take`].
pub fn recognise(checkpoint: Checkpoint) -> Result<Found> {
    match find(checkpoint.weights.list()) {
        Some(place) => place.take(checkpoint),
        None => Err(unknown(&checkpoint.file, checkpoint.family())),
    }
}

/// What `save` writes, by the family that its files name: in words, and the function that reads it.
const SAVED: [(&str, &str, &str); 2] =
    [("latent", "a code", "latent"), ("directions", "directions", "direction")];

fn unknown(file: &str, family: Option<&str>) -> Error {
    if let Some((_, what, reader)) = SAVED.iter().find(|(name, ..)| family == Some(*name)) {
        let message = format!("{file}: {what} that gannet saved, not a generator");
        return Error::new(Kind::Format, message).hint(format!("{reader}(\"{file}\") reads it"));
    }
    let known: Vec<&str> = FAMILIES.iter().map(|f| f.name).collect();
    let message = match family {
        Some(f) => format!("{file}: generators of the family `{}` cannot be run", Safe(f)),
        None => format!("{file}: this is not a known generator"),
    };
    Error::new(Kind::Format, message).note(format!("known families: {}", known.join(", "))).hint(
        "`gannet info` shows what the file holds; latent(\"…\") reads a code, \
             direction(\"…\") a direction",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Shape;
    use std::collections::BTreeMap;

    fn listing(names: &[&str], family: Option<&str>) -> Listing {
        let shape = Shape { dtype: crate::weights::DType::F32, shape: vec![1] };
        let tensors: BTreeMap<_, _> =
            names.iter().map(|n| (n.to_string(), shape.clone())).collect();
        Listing { tensors, family: family.map(str::to_owned), ..Listing::default() }
    }

    #[test]
    fn what_gannet_saved_is_named_with_the_function_that_reads_it() {
        for (family, repair) in [
            (Some("latent"), "latent(\"x.safetensors\") reads it"),
            (Some("directions"), "direction(\"x.safetensors\") reads it"),
            (None, "latent(\"…\") reads a code"),
        ] {
            let e = unknown("x.safetensors", family);
            assert!(e.repair().is_some_and(|r| r.contains(repair)), "{family:?}: {e}");
        }
    }

    #[test]
    fn families_and_layouts_have_names_of_their_own() {
        let mut seen = Vec::new();
        for family in FAMILIES {
            assert!(!seen.contains(&family.name), "{}", family.name);
            assert!(!family.about.is_empty() && family.about.lines().count() == 1);
            seen.push(family.name);
            let mut layouts: Vec<&str> = family.layouts.iter().map(|l| l.name).collect();
            layouts.sort_unstable();
            layouts.dedup();
            assert_eq!(layouts.len(), family.layouts.len(), "{}", family.name);
        }
    }

    #[test]
    fn a_manifest_decides_over_names() {
        let nvidia = ["synthesis.b4.const", "synthesis.b4.conv1.weight"];
        let family = |listing: &Listing| find(listing).map(|place| place.family.name);
        assert_eq!(family(&listing(&nvidia, None)), Some("stylegan2"));
        assert!(find(&listing(&nvidia, Some("encoder"))).is_none());
        // Below a prefix, the averaged copy before the trained one.
        let both = ["g.", "g_ema.", "d."].map(|root| nvidia.map(|name| format!("{root}{name}")));
        let both: Vec<&str> = both.as_flattened().iter().map(String::as_str).collect();
        assert_eq!(find(&listing(&both, None)).map(|place| place.root), Some("g_ema.".to_owned()));
        assert_eq!(find(&listing(&both[..2], None)).map(|place| place.root), Some("g.".to_owned()));
        assert!(find(&listing(&both[4..], None)).is_none(), "a discriminator");
        assert_eq!(family(&listing(&["w"], None)), None);
    }
}
