//! Pickled modules: `torch.nn` and user classes, and NVIDIA's persistent objects. Their tensors get
//! the names of a state dict, their attributes become settings.

use super::super::pickle::value::{Heap, Node, Value};
use super::super::source::quoted;
use super::tree::{Tree, check_name};
use crate::error::Result;
use serde_json::{Map, Value as Json};
use std::collections::HashSet;

/// Maximum depth at which attributes of a module are kept as settings.
const DEPTH: usize = 6;
/// Values of a list that is kept as a setting.
const LIST: usize = 64;
/// The attributes that hold a module's tensors and modules.
const MEMBERS: [&str; 3] = ["_parameters", "_buffers", "_modules"];

/// Whether an object is a module: by the attributes that every module has.
pub(super) fn is_module(heap: &Heap, object: &Value) -> bool {
    matches!(heap.node(object), Some(Node::Object(..)))
        && ["_parameters", "_modules"].iter().all(|key| heap.get(object, key).is_some())
}

/// The attributes of a module.
fn state<'a>(heap: &'a Heap, object: &'a Value) -> Option<&'a Value> {
    match heap.node(object) {
        Some(Node::Persistent(meta)) => heap.get(meta, "state"),
        Some(Node::Object(_, state)) => Some(state),
        _ => None,
    }
}

/// The name of a module's class, without the module of Python that it is in.
pub(in crate::weights) fn class(heap: &Heap, object: &Value) -> String {
    match heap.node(object) {
        Some(Node::Persistent(meta)) => match heap.get(meta, "class_name") {
            Some(Value::Text(t)) => t.to_string(),
            _ => String::new(),
        },
        Some(Node::Object(class, _)) => class.rsplit('.').next().unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

/// Adds the tensors of a module and of those inside it, and the names of their classes; returns
/// its attributes: `{"class": …, attribute: …, "_modules": {name: {…}}}`.
pub(in crate::weights) fn module(
    tree: &mut Tree<'_>,
    module: &Value,
    prefix: &str,
) -> Result<Json> {
    let heap = tree.heap();
    let Some(state) = state(heap, module) else {
        let rule =
            format_args!("module {} is not a persistent object with a state", quoted(prefix));
        return Err(tree.source.fail(heap.at(module), rule));
    };
    let class = class(heap, module);
    // Wrappers that spread a module over several devices add a level to the names.
    if class.ends_with("DataParallel")
        && let Some(inner) = heap.get(state, "_modules").and_then(|m| heap.get(m, "module"))
    {
        return self::module(tree, inner, prefix);
    }
    tree.enter(&class, heap.at(module))?;
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

/// An attribute as a setting: a scalar, a short list of scalars, the numbers of a small tensor or a
/// dictionary of such; `None` for empty values, `None` and other kinds.
fn attribute(tree: &mut Tree<'_>, value: &Value, depth: usize) -> Option<Json> {
    let heap = tree.heap();
    if !tree.look() {
        return None;
    }
    if let Some(numbers) = tree.numbers(value, LIST) {
        return Some(numbers);
    }
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
