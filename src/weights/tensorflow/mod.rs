//! Pickles of NVIDIA's TensorFlow code: PGGAN, StyleGAN, StyleGAN2 and its successor with adaptive
//! augmentation write `(G, D, Gs)`, three objects of a class `Network`; GH-Feat writes its encoder
//! before them, `(E, G, D, Gs)`.
//!
//! A network is a dictionary: the arguments of the function that builds it, that function's name
//! and source code, its parts (networks again), and its variables, names with arrays. The source is
//! never run or parsed; its sha256 goes to the provenance.

use super::container::{Container, Draft, Network, Probe};
use super::pickle::value::{Heap, Node, Value};
use super::pickle::{self, Loaded};
use super::torch::{Tree, check_name};
use crate::error::Result;
use serde_json::{Map, Value as Json, json};

/// The name of the container.
pub const NAME: &str = "tensorflow-pickle";

/// The container.
pub(super) const CONTAINER: Container = Container {
    name: NAME,
    begins: pickle::begins,
    holds: |probe| probe.pickle.as_ref().is_some_and(|p| generator(&p.heap, &p.root).is_some()),
    read,
};

/// Versions of the format that are read: 2 PGGAN, 3 StyleGAN, 4 StyleGAN2, 5 StyleGAN2-ADA.
const VERSIONS: std::ops::RangeInclusive<i128> = 2..=5;

/// Depth of networks within networks, and of the values of their arguments.
const DEPTH: usize = 6;

/// Whether a value is such a network.
fn is_network(heap: &Heap, value: &Value) -> bool {
    ["static_kwargs", "variables"].iter().all(|k| heap.get(value, k).is_some())
}

/// The function that builds an encoder.
const ENCODER: &str = "Encoder";

/// The network that is wanted of a file: its encoder, where it has one, else the generator.
fn wanted(heap: &Heap, root: &Value, network: Network) -> Option<Value> {
    let encodes = |v: &&Value| match heap.get(v, "build_func_name") {
        Some(Value::Text(name)) => **name == *ENCODER,
        _ => false,
    };
    let mut all = heap.items(root).iter().filter(|v| is_network(heap, v));
    let encoder = all.find(encodes).filter(|_| network == Network::Encoder);
    encoder.cloned().or_else(|| generator(heap, root))
}

/// The network that a file is about: the averaged generator `Gs`, which comes last, else the file's
/// only value.
fn generator(heap: &Heap, root: &Value) -> Option<Value> {
    if is_network(heap, root) {
        return Some(root.clone());
    }
    let networks = || heap.items(root).iter().filter(|v| is_network(heap, v));
    let named =
        networks().find(|v| matches!(heap.get(v, "name"), Some(Value::Text(t)) if **t == *"Gs"));
    named.or_else(|| networks().next_back()).cloned()
}

/// A network's variables by their names, those of its parts after the part's name and a slash:
/// `synthesis/4x4/Conv/weight`; its arguments as settings.
fn read(probe: &Probe<'_>) -> Result<Draft> {
    let of = |p: &Loaded| wanted(&p.heap, &p.root, probe.network);
    let found = probe.pickle.as_ref().and_then(|p| Some((p, of(p)?)));
    let Some((loaded, network)) = found else {
        return Err(probe.source.fail(0, "the file does not contain a network of TensorFlow"));
    };
    let mut tree = Tree::new(probe, loaded);
    let heap = tree.heap();
    let text = |key: &str| match heap.get(&network, key) {
        Some(Value::Text(t)) => t.to_string(),
        _ => String::new(),
    };
    let version = match heap.get(&network, "version") {
        Some(Value::Int(version)) if VERSIONS.contains(version) => *version as i64,
        _ => {
            let e = tree.source.fail(heap.at(&network), "networks of another version than 2 to 5");
            return Err(e.hint("convert it with the code that made it"));
        }
    };
    let (name, function) = (text("name"), text("build_func_name"));
    if heap.items(&loaded.root).len() > 1 {
        tree.draft.notes.push(format!(
            "the file holds several networks; `{}` is read",
            crate::safe::Safe(&name)
        ));
    }
    tree.draft.provenance = json!({
        "network": name,
        "function": function,
        "version": version,
        "module_src_sha256": tree.source_hash(&network, "build_module_src")?,
    });
    tree.draft.config = json!({
        "version": version,
        "build_func_name": function,
        "static_kwargs": arguments(&mut tree, &network),
    });
    variables(&mut tree, &network, "", DEPTH)?;
    tree.finish()
}

/// The arguments of a network's function; null where none are kept.
fn arguments(tree: &mut Tree<'_>, network: &Value) -> Json {
    let heap = tree.heap();
    heap.get(network, "static_kwargs").map_or(Json::Null, |v| argument(tree, v, DEPTH))
}

/// A value as JSON: `None`, scalars, lists and dictionaries of such; null for other values.
fn argument(tree: &mut Tree<'_>, value: &Value, depth: usize) -> Json {
    let heap = tree.heap();
    match heap.node(value) {
        _ if depth == 0 => Json::Null,
        Some(Node::List(items) | Node::Tuple(items)) => {
            items.iter().map(|v| argument(tree, v, depth - 1)).collect()
        }
        Some(Node::Dict(pairs)) => {
            let mut out = Map::new();
            for (key, value) in pairs {
                if let Value::Text(key) = key {
                    out.insert(key.to_string(), argument(tree, value, depth - 1));
                }
            }
            Json::Object(out)
        }
        _ => tree.setting(value).unwrap_or(Json::Null),
    }
}

/// Adds the variables of a network and of its parts.
fn variables(tree: &mut Tree<'_>, network: &Value, prefix: &str, depth: usize) -> Result<()> {
    let heap = tree.heap();
    let at = heap.at(network);
    if depth == 0 {
        return Err(tree.source.fail(at, format_args!("networks are nested at most {DEPTH} deep")));
    }
    let all = heap.get(network, "variables").map_or(&[][..], |v| heap.items(v));
    for variable in all {
        let [Value::Text(name), value] = heap.items(variable) else {
            return Err(tree.source.fail(heap.at(variable), "a variable is a name and an array"));
        };
        let name = format!("{prefix}{name}");
        check_name(tree.source, at, &name)?;
        match value {
            // Variables without dimensions are numbers.
            Value::Float(_) | Value::Int(_) => tree.number(&name, value)?,
            _ => tree.tensor(&name, value)?,
        }
    }
    let parts = heap.get(network, "components").map_or(&[][..], |v| heap.pairs(v));
    for (key, part) in parts {
        let Value::Text(key) = key else {
            return Err(tree.source.fail(at, "the parts of a network have names"));
        };
        variables(tree, part, &format!("{prefix}{key}/"), depth - 1)?;
    }
    Ok(())
}
