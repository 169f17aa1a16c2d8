//! R3GAN as the registry knows it.

use super::R3Gan;
use super::config::Config;
use super::layouts::{LAYOUTS, NAME};
use crate::generator::Generator;
use crate::generator::family::Family;
use crate::weights::layout;
use std::sync::Arc;

/// R3GAN.
pub const FAMILY: Family = Family {
    name: NAME,
    about: "R3GAN (Huang et al. 2024), with or without classes; Z is its only space",
    layouts: LAYOUTS,
    detect: |listing| layout::first(LAYOUTS, listing),
    anywhere: false,
    prepare: None,
    describe: |listing, config| {
        let c = Config::new(listing, config)?;
        Ok(c.spec(listing, &config.fingerprint))
    },
    read: |weights, config, device| {
        let c = Config::new(weights.list(), config)?;
        let spec = c.spec(weights.list(), &config.fingerprint);
        Ok(Arc::new(R3Gan::build(weights, c, spec, device)?) as Arc<dyn Generator>)
    },
};
