//! A pickle's result, flattened to tensors under dotted names with settings beside them.
//!
//! `module.rs` reads the modules in it. Both collect into the same [`Tree`], which lies below them:
//! a module holds tensors, settings and other modules, and never needs what is here.

use super::super::container::{Draft, Probe};
use super::super::pickle::Loaded;
use super::super::pickle::value::{Heap, Node, Value};
use super::module::{is_module, module};
use super::tree::{Tree, check_name};
use crate::error::Result;
use serde_json::Value as Json;

/// Prefix of the names of a state dict whose module was spread over several devices.
const SPREAD: &str = "module.";

/// Everything below the value of a file's pickle.
pub(super) fn read(probe: &Probe<'_>, loaded: &Loaded) -> Result<Draft> {
    let mut tree = Tree::new(probe, loaded);
    let rest = flatten(&mut tree, "", &loaded.root)?;
    tree.draft.config = rest.unwrap_or(Json::Null);
    tree.finish()
}

/// Collects the tensors below a value; a value that is not a tensor is returned as a setting.
fn flatten(tree: &mut Tree<'_>, name: &str, value: &Value) -> Result<Option<Json>> {
    let heap = tree.heap();
    check_name(tree.source, heap.at(value), name)?;
    let inner = |key: &str| if name.is_empty() { key.to_string() } else { format!("{name}.{key}") };
    match heap.node(value) {
        Some(Node::Tensor(_) | Node::Ndarray(Some(_))) => tree.tensor(name, value).map(|()| None),
        // A tensor with its inner name, as Paddle saves the tensors of nested dictionaries.
        Some(Node::Tuple(items)) if is_named(heap, items) => {
            tree.tensor(name, &items[1]).map(|()| None)
        }
        // A whole network of NVIDIA's code, as PTI saves it.
        Some(Node::Persistent(_)) => {
            let prefix = if name.is_empty() { String::new() } else { format!("{name}.") };
            module(tree, value, &prefix).map(Some)
        }
        Some(Node::Object(..)) if is_module(heap, value) => {
            let prefix = if name.is_empty() { String::new() } else { format!("{name}.") };
            module(tree, value, &prefix).map(Some)
        }
        Some(Node::Dict(_) | Node::Object(..)) => {
            let pairs = heap.pairs(value);
            let spread = is_spread(pairs);
            let mut rest = serde_json::Map::new();
            for (key, value) in pairs {
                let Some(key) = key_text(key) else {
                    return Err(tree
                        .source
                        .fail(heap.at(value), "the keys of a checkpoint are text or numbers"));
                };
                let key = if spread { key.strip_prefix(SPREAD).unwrap_or(&key) } else { &key };
                if let Some(setting) = flatten(tree, &inner(key), value)? {
                    rest.insert(key.to_owned(), setting);
                }
            }
            Ok((!rest.is_empty()).then_some(Json::Object(rest)))
        }
        Some(Node::List(_) | Node::Tuple(_) | Node::Set(_)) => {
            let mut rest = Vec::new();
            for (i, value) in heap.items(value).iter().enumerate() {
                rest.extend(flatten(tree, &inner(&i.to_string()), value)?);
            }
            Ok((!rest.is_empty()).then_some(Json::Array(rest)))
        }
        _ => Ok(tree.setting(value)),
    }
}

/// Whether a tuple is a name and an array.
fn is_named(heap: &Heap, items: &[Value]) -> bool {
    let [Value::Text(_), array] = items else { return false };
    matches!(heap.node(array), Some(Node::Ndarray(Some(_))))
}

/// Whether a dictionary is the state dict of a module that was spread: all its names begin so.
fn is_spread(pairs: &[(Value, Value)]) -> bool {
    let begins = |name: &str| name.len() > SPREAD.len() && name.starts_with(SPREAD);
    !pairs.is_empty() && pairs.iter().all(|(key, _)| matches!(key, Value::Text(t) if begins(t)))
}

fn key_text(key: &Value) -> Option<String> {
    match key {
        Value::Text(t) => Some(t.to_string()),
        Value::Int(n) => Some(n.to_string()),
        _ => None,
    }
}
