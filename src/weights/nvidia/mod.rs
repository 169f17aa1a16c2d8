//! Pickles of persistent objects, as NVIDIA's PyTorch code writes its networks: tensors under the
//! names of their modules, settings from the modules' attributes.
//!
//! Each module in such a file is a persistent object: class name, source code and attributes. The
//! source is never run, not even parsed; its sha256 goes to the provenance, so that forks can be
//! told apart.

use super::container::{Container, Draft, Probe};
use super::hex;
use super::pickle::value::{Heap, Node, Value};
use super::source::quoted;
use super::torch::{Tree, check_name};
use crate::error::Result;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// The container.
pub(super) const CONTAINER: Container = Container {
    name: "nvidia-pickle",
    holds: |probe| probe.pickle.as_ref().is_some_and(|p| network(&p.heap, &p.root).is_some()),
    read,
};

/// How deep attributes of a module are kept as settings.
const DEPTH: usize = 6;
/// Values of a list that is kept as a setting.
const LIST: usize = 64;

/// The network that a file is about: `G_ema`, else `G`, else the file's only value.
fn network(heap: &Heap, root: &Value) -> Option<(&'static str, Value)> {
    let persistent = |v: &Value| matches!(heap.node(v), Some(Node::Persistent(_)));
    let named = ["G_ema", "G"]
        .into_iter()
        .find_map(|k| Some((k, heap.get(root, k).filter(|v| persistent(v))?.clone())));
    named.or_else(|| persistent(root).then(|| ("network", root.clone())))
}

/// A network's tensors, the classes of its modules, and their attributes as one tree:
/// `{"class": …, attribute: …, "_modules": {name: {…}}}`.
fn read(probe: &Probe<'_>) -> Result<Draft> {
    let Some(loaded) = &probe.pickle else {
        return Err(probe.source.fail(0, "the file holds no pickle"));
    };
    let mut tree = Tree::new(probe, loaded);
    let Some((name, network)) = network(&loaded.heap, &loaded.root) else {
        return Err(probe.source.fail(0, "the file holds no persistent network"));
    };
    if name == "G" {
        tree.draft.notes.push("the file has no G_ema; G is read instead".into());
    }
    tree.draft.config = module(&mut tree, &network, "")?;
    let heap = tree.heap();
    let mut provenance = json!({"network": name, "class": class(heap, &network)});
    if let Some(Node::Persistent(meta)) = heap.node(&network) {
        provenance["module_src_sha256"] = source_hash(heap, meta)?;
    }
    tree.draft.provenance = provenance;
    tree.finish()
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

/// Adds the tensors of a module and of those inside it, and the names of their classes; returns
/// its attributes.
fn module(tree: &mut Tree<'_>, module: &Value, prefix: &str) -> Result<Json> {
    let heap = tree.heap();
    let Some(state) = state(heap, module) else {
        let rule =
            format_args!("module {} is not a persistent object with a state", quoted(prefix));
        return Err(tree.source.fail(heap.at(module), rule));
    };
    let class = class(heap, module);
    if !tree.draft.classes.contains(&class) {
        tree.draft.classes.push(class.clone());
    }
    let mut attributes = Map::from_iter([("class".to_owned(), Json::from(class))]);
    let inner = members(tree, module, state, prefix)?;
    for (key, value) in heap.pairs(state) {
        if let Value::Text(key) = key
            && !MEMBERS.contains(&&**key)
            && let Some(json) = attribute(tree, value, DEPTH)
        {
            attributes.insert(key.to_string(), json);
        }
    }
    if !inner.is_empty() {
        attributes.insert("_modules".into(), Json::Object(inner));
    }
    Ok(Json::Object(attributes))
}

/// The attributes that hold a module's tensors and modules.
const MEMBERS: [&str; 3] = ["_parameters", "_buffers", "_modules"];

/// Adds a module's tensors; returns the attributes of the modules inside it.
fn members(
    tree: &mut Tree<'_>,
    outer: &Value,
    state: &Value,
    prefix: &str,
) -> Result<Map<String, Json>> {
    let heap = tree.heap();
    // Buffers of this set are not part of a state_dict.
    let hidden = heap.get(state, "_non_persistent_buffers_set").map_or(&[][..], |s| heap.items(s));
    let hidden: HashSet<&str> = hidden
        .iter()
        .filter_map(|v| if let Value::Text(t) = v { Some(&**t) } else { None })
        .collect();
    let mut inner = Map::new();
    for group in MEMBERS {
        let Some(group_dict) = heap.get(state, group) else { continue };
        for (key, value) in heap.pairs(group_dict) {
            let Value::Text(key) = key else {
                return Err(tree.source.fail(heap.at(outer), "parameters and modules have names"));
            };
            let name = format!("{prefix}{key}");
            check_name(tree.source, heap.at(value), &name)?;
            match (group, value) {
                (_, Value::None) => {}
                ("_modules", _) => {
                    let attributes = module(tree, value, &format!("{name}."))?;
                    inner.insert(key.to_string(), attributes);
                }
                ("_buffers", _) if hidden.contains(&&**key) => {}
                _ => tree.tensor(&name, value)?,
            }
        }
    }
    Ok(inner)
}

/// An attribute as a setting: a scalar, a short list of scalars or a dictionary of such; nothing
/// for what is empty, `None` or of another kind.
fn attribute(tree: &mut Tree<'_>, value: &Value, depth: usize) -> Option<Json> {
    let heap = tree.heap();
    let items = heap.items(value);
    if !items.is_empty() {
        let all = items.iter().map(|v| tree.setting(v)).take(LIST + 1);
        let all = all.collect::<Option<Vec<_>>>()?;
        return (all.len() <= LIST).then_some(Json::Array(all));
    }
    let pairs = heap.pairs(value);
    if pairs.is_empty() || depth == 0 {
        return tree.setting(value);
    }
    let mut out = Map::new();
    for (key, value) in pairs {
        if let Value::Text(key) = key
            && let Some(json) = attribute(tree, value, depth - 1)
        {
            out.insert(key.to_string(), json);
        }
    }
    (!out.is_empty()).then_some(Json::Object(out))
}
