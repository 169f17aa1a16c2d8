//! Plain generators as the registry knows them.

use super::config::Config;
use super::{Dcgan, keras, open, spec};
use crate::error::Result;
use crate::generator::family::{self, Family};
use crate::generator::{Generator, Spec};
use crate::weights::layout::{self, Layout};
use crate::weights::{Listing, Weights};
use candle_core::Device;
use serde_json::Value as Json;
use std::sync::Arc;

/// Its name in manifests.
pub(super) const NAME: &str = "dcgan";

/// Plain generators.
pub const FAMILY: Family = Family {
    name: NAME,
    about: "plain generators: DCGAN (Radford et al. 2016), WGAN and the like; Z is their only \
            space",
    layouts: LAYOUTS,
    detect: |listing| layout::first(LAYOUTS, listing),
    anywhere: true,
    prepare: Some(prepare),
    describe,
    read,
};

/// All layouts, our own first.
const LAYOUTS: &[&Layout] = &[&OWN, &KERAS, &TORCH];

/// With the names of the file that it was made of.
const OWN: Layout = Layout::own(&[]);

/// Files of Keras: HDF5 and `.keras`.
const KERAS: Layout =
    Layout { name: "keras", detect: keras::detect, rules: &[], settings: keras::marked };

/// A state dict or whole modules with arbitrary names, detected by the shapes.
const TORCH: Layout =
    Layout { name: "torch", detect: open::detect, rules: &[], settings: |_| Ok(Json::Null) };

/// The generator's own tensors, and its settings: those of the manifest, or inferred ones.
fn prepare(weights: Weights, settings: Json) -> Result<(Weights, Json)> {
    match &settings {
        Json::Null => open::open(weights),
        said if said.get(keras::KEY).is_some() => keras::open(weights),
        _ => Ok((weights, settings)),
    }
}

fn given(config: &family::Config) -> Result<Config> {
    let mut given = Config::parse(&config.settings)?;
    if given.name.is_empty() {
        given.name.clone_from(&config.name);
    }
    Ok(given)
}

fn describe(listing: &Listing, config: &family::Config) -> Result<Spec> {
    let given = given(config)?;
    let plan = given.plan(&|name| listing.shape(name).map(<[usize]>::to_vec))?;
    Ok(spec(&given, plan, &config.fingerprint))
}

fn read(
    weights: &mut Weights,
    config: &family::Config,
    device: &Device,
) -> Result<Arc<dyn Generator>> {
    Ok(Arc::new(Dcgan::new(&given(config)?, weights, &config.fingerprint, device)?))
}
