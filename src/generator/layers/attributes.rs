//! Attributes of NVIDIA's modules, shared by all of its generator families.

use serde_json::{Map, Value as Json, json};

/// Attribute that holds a module's submodules.
pub(in crate::generator) const MODULES: &str = "_modules";
/// Attribute that holds a module's constructor arguments.
pub(in crate::generator) const RECIPE: &str = "_init_kwargs";

/// The value of the first path of keys that leads to one.
pub(in crate::generator) fn first(module: &Json, paths: &[&[&str]]) -> Option<Json> {
    let find = |path: &&[&str]| path.iter().try_fold(module, |value, key| value.get(key));
    paths.iter().find_map(find).cloned()
}

/// Sizes of the generator and settings of its mapping network: from the attributes that it computes
/// with, else from its recipe.
pub(in crate::generator) fn generator(module: &Json) -> Map<String, Json> {
    let mut out = Map::new();
    for key in ["z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "num_ws"] {
        let found = first(module, &[&[key], &[RECIPE, key], &[MODULES, "synthesis", key]]);
        out.extend(found.map(|value| (key.to_owned(), value)));
    }
    let layers = first(module, &[&[MODULES, "mapping", "num_layers"]]);
    out.extend(layers.map(|value| ("mapping_layers".to_owned(), value)));
    let lr = first(
        module,
        &[
            &[MODULES, "mapping", MODULES, "fc0", "bias_gain"],
            &[MODULES, "mapping", RECIPE, "lr_multiplier"],
            &[RECIPE, "mapping_kwargs", "lr_multiplier"],
        ],
    );
    out.insert("mapping_lr_multiplier".into(), lr.unwrap_or_else(|| json!(0.01)));
    out
}
