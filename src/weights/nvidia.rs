//! Network pickles of stylegan2-ada-pytorch and stylegan3: tensors under their official names,
//! settings from attributes.
//!
//! Each module in such a file is a persistent object: class name, source code and attributes. The
//! source is never run, not even parsed; its sha256 goes to the provenance, so that forks can be
//! told apart.

use super::hex;
use super::pickle::value::{Heap, Node, Value};
use super::source::quoted;
use super::torch::{Tree, check_name, scalar};
use crate::error::Result;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// The network that a file is about: `G_ema`, else `G`, else the file's only value.
pub(super) fn network(heap: &Heap, root: &Value) -> Option<(&'static str, Value)> {
    let persistent = |v: &Value| matches!(heap.node(v), Some(Node::Persistent(_)));
    let named = ["G_ema", "G"]
        .into_iter()
        .find_map(|k| Some((k, heap.get(root, k).filter(|v| persistent(v))?.clone())));
    named.or_else(|| persistent(root).then(|| ("network", root.clone())))
}

/// Reads a network's tensors and settings into the tree's draft.
pub(super) fn read(tree: &mut Tree<'_>, name: &str, network: &Value) -> Result<()> {
    if name == "G" {
        tree.draft.notes.push("the file has no G_ema; G is read instead".into());
    }
    let heap = tree.heap();
    let mut classes = Vec::new();
    collect(tree, network, "", &mut classes)?;
    let seen = |c: &str| classes.iter().any(|x| x == c);
    let family = match () {
        () if seen("SynthesisInput") => Some("stylegan3"),
        () if seen("SynthesisBlock") && seen("MappingNetwork") => Some("stylegan2"),
        () => None,
    };
    tree.draft.family = family.map(str::to_string);
    tree.draft.config = settings(heap, network);
    let mut provenance = json!({"network": name, "class": class(heap, network)});
    if let Some(Node::Persistent(meta)) = heap.node(network) {
        provenance["module_src_sha256"] = source_hash(heap, meta)?;
    }
    tree.draft.provenance = provenance;
    Ok(())
}

/// The attributes of a persistent object.
fn state<'a>(heap: &'a Heap, object: &Value) -> Option<&'a Value> {
    match heap.node(object) {
        Some(Node::Persistent(meta)) => heap.get(meta, "state"),
        _ => None,
    }
}

fn class(heap: &Heap, object: &Value) -> String {
    match heap.node(object) {
        Some(Node::Persistent(meta)) => match heap.get(meta, "class_name") {
            Some(Value::Text(t)) => t.to_string(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

fn source_hash(heap: &Heap, meta: &Value) -> Result<Json> {
    Ok(match heap.get(meta, "module_src") {
        Some(Value::Text(t)) => hex(&Sha256::digest(t.as_bytes())).into(),
        Some(v) => match heap.node(v) {
            Some(Node::Bytes(source)) if source.len() <= 1 << 20 => {
                hex(&Sha256::digest(source.read(0, source.len())?)).into()
            }
            _ => Json::Null,
        },
        None => Json::Null,
    })
}

/// Adds the tensors of a module and of those inside it, and the names of their classes.
fn collect(
    tree: &mut Tree<'_>,
    module: &Value,
    prefix: &str,
    classes: &mut Vec<String>,
) -> Result<()> {
    let heap = tree.heap();
    let Some(state) = state(heap, module) else {
        let rule =
            format_args!("module {} is not a persistent object with a state", quoted(prefix));
        return Err(tree.source.fail(heap.at(module), rule));
    };
    let class = class(heap, module);
    if !classes.contains(&class) {
        classes.push(class);
    }
    // Buffers of this set are not part of a state_dict.
    let hidden = heap.get(state, "_non_persistent_buffers_set").map_or(&[][..], |s| heap.items(s));
    let hidden: HashSet<&str> = hidden
        .iter()
        .filter_map(|v| if let Value::Text(t) = v { Some(&**t) } else { None })
        .collect();
    for group in ["_parameters", "_buffers", "_modules"] {
        let Some(group_dict) = heap.get(state, group) else { continue };
        for (key, value) in heap.pairs(group_dict) {
            let Value::Text(key) = key else {
                return Err(tree.source.fail(heap.at(module), "parameters and modules have names"));
            };
            let name = format!("{prefix}{key}");
            check_name(tree.source, heap.at(value), &name)?;
            match (group, value) {
                (_, Value::None) => {}
                ("_modules", _) => collect(tree, value, &format!("{name}."), classes)?,
                ("_buffers", _) if hidden.contains(&&**key) => {}
                _ => tree.tensor(&name, value)?,
            }
        }
    }
    Ok(())
}

/// A value found along a path of keys; modules are entered through their state.
fn find<'a>(heap: &'a Heap, start: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(start, |v, key| heap.get(state(heap, v).unwrap_or(v), key))
}

/// The generator's settings: from attributes where the network keeps them, else from its recipe,
/// else the defaults of the official code.
fn settings(heap: &Heap, network: &Value) -> Json {
    let mut out = Map::new();
    let mut put = |key: &str, value: Option<Json>| {
        out.extend(value.map(|v| (key.to_string(), v)));
    };
    let first =
        |paths: &[&[&str]]| paths.iter().find_map(|p| json_of(heap, find(heap, network, p)?));
    for key in ["z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "num_ws"] {
        put(key, first(&[&[key], &["_init_kwargs", key], &["_modules", "synthesis", key]]));
    }
    const MAPPING: [&str; 2] = ["_modules", "mapping"];
    put("mapping_layers", first(&[&[MAPPING[0], MAPPING[1], "num_layers"]]));
    let lr = first(&[
        &["_modules", "mapping", "_modules", "fc0", "bias_gain"],
        &["_modules", "mapping", "_init_kwargs", "lr_multiplier"],
        &["_init_kwargs", "mapping_kwargs", "lr_multiplier"],
    ]);
    put("mapping_lr_multiplier", lr.or_else(|| Some(json!(0.01))));
    for key in ["architecture", "resample_filter", "conv_clamp", "num_fp16_res"] {
        put(key, Some(synthesis(heap, network, key)));
    }
    Json::Object(out)
}

/// A setting of the synthesis network: its recipe, or the first block's own attribute, or the
/// default.
fn synthesis(heap: &Heap, network: &Value, key: &str) -> Json {
    let recipe: [&[&str]; 2] = [
        &["_modules", "synthesis", "_init_kwargs", key],
        &["_init_kwargs", "synthesis_kwargs", key],
    ];
    let from_recipe = recipe
        .iter()
        .find_map(|p| find(heap, network, p))
        .map(|v| json_of(heap, v).unwrap_or(Json::Null));
    let attribute: &[&str] = match key {
        "architecture" => &["_modules", "synthesis", "_modules", "b4", "architecture"],
        "conv_clamp" => {
            &["_modules", "synthesis", "_modules", "b4", "_modules", "conv1", "conv_clamp"]
        }
        "num_fp16_res" => &["_modules", "synthesis", "num_fp16_res"],
        _ => &["resample_filter"],
    };
    let found = find(heap, network, attribute).and_then(|v| json_of(heap, v));
    let default = || match key {
        "architecture" => json!("skip"),
        "resample_filter" => json!([1, 3, 3, 1]),
        "num_fp16_res" => json!(0),
        _ => Json::Null,
    };
    // An attribute is what the network computes with; the recipe is what was asked for.
    found.or(from_recipe.filter(|v| !v.is_null())).unwrap_or_else(default)
}

/// A scalar, or a short list of scalars.
fn json_of(heap: &Heap, value: &Value) -> Option<Json> {
    match heap.items(value) {
        [] => scalar(value),
        items if items.len() <= 64 => {
            items.iter().map(scalar).collect::<Option<Vec<_>>>().map(Json::Array)
        }
        _ => None,
    }
}
