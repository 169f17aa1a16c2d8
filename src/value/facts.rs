//! Facts about a generator that are known before its tensors are read. The checker and the readers
//! of codes and directions use them.

use crate::direction;
use crate::generator::{Layer, Prior, Spec, StyleLayer};
use crate::lang::types::{Abilities, LayerFacts, ModelFacts};
use crate::latent::ModelId;
use crate::metric::FeaturesConfig;
use std::collections::BTreeMap;

/// Facts for the checker about a generator without companion files.
pub(super) fn of(s: &Spec) -> ModelFacts {
    ModelFacts {
        name: s.name.clone(),
        fingerprint: s.fingerprint.clone(),
        family: s.family.clone(),
        spaces: s.spaces.clone(),
        num_ws: s.num_ws,
        z_dim: s.z_dim,
        w_dim: s.w_dim,
        style_sizes: s.style_sizes(),
        network: network(s),
        c_dim: s.classes(),
        can: Abilities {
            scales_z: matches!(s.prior, Prior::Scaled { .. }),
            transform: s.inputs.transform,
            camera: s.inputs.camera,
            truncation: s.inputs.truncation,
        },
        width: s.width,
        height: s.height,
        channels: s.channels,
        directions: BTreeMap::new(),
        encoder: false,
        pair: false,
        companions: Vec::new(),
        perceptual: false,
        identity: false,
        landmarks: false,
        ffhq: false,
    }
}

/// Its layers: those that can be tapped, and those that read styles.
fn network(s: &Spec) -> Vec<LayerFacts> {
    let tapped = |l: &Layer| LayerFacts {
        name: l.name.clone(),
        styles: 0,
        maps: l.channels,
        area: l.height * l.width,
    };
    let mut all: Vec<LayerFacts> = s.layers.iter().map(tapped).collect();
    let mut next = 0;
    for StyleLayer { name, size, .. } in &s.styles {
        let at = all.iter().position(|l| l.name == *name).unwrap_or_else(|| {
            all.insert(next, LayerFacts { name: name.clone(), ..LayerFacts::default() });
            next
        });
        all[at].styles = *size;
        next = at + 1;
    }
    all
}

/// Adds what an attribute network can measure to the facts.
pub(super) fn know(facts: &mut ModelFacts, config: &FeaturesConfig) {
    facts.perceptual = true;
    facts.identity = config.knows_identity();
    facts.landmarks = config.finds_faces();
}

/// Identity of the generator that the facts describe.
pub fn id_of(m: &ModelFacts) -> ModelId {
    ModelId { name: m.name.clone(), fingerprint: m.fingerprint.clone() }
}

/// As [`sizes`], from the description of a generator whose tensors were not read: without its
/// identity.
pub fn sizes_of(s: &Spec) -> direction::Facts {
    direction::Facts { model: None, ..sizes(&of(s)) }
}

/// The sizes that decide which space an array can belong to.
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
