//! The layers of a Keras model in the order in which they run, models inside models laid open.

use super::super::config::{refused, wrong};
use crate::error::{Error, Result};
use crate::safe::Safe;
use crate::weights::keras::{class, layers};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Layers of a model at most.
const LAYERS: usize = 400;

/// A layer, and where its weights are.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// Its class: `Dense`.
    pub class: String,
    /// Its settings.
    pub config: Json,
    /// The shape it is declared to take.
    pub input: Option<Vec<Option<u64>>>,
    /// Names of the models that it is in, without the whole one, and its own.
    pub path: Vec<String>,
    /// The same by classes and numbers: `sequential`, `conv2d_1`, as Keras 3 calls them.
    pub keys: Vec<String>,
}

impl Node {
    /// Its name.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }
}

/// How a class enters a model of two inputs.
#[derive(Clone, Debug)]
pub(super) struct Merge {
    /// Class of the layer that brings both together: `Multiply`, `Concatenate`.
    pub class: String,
    /// Whether the class comes before z.
    pub first: bool,
    /// The table of its classes; `None` for one-hot numbers.
    pub table: Option<Node>,
    /// Numbers of a one-hot class.
    pub classes: Option<u64>,
}

/// The layers of a generator.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    /// In the order in which they run.
    pub nodes: Vec<Node>,
    /// Its class.
    pub merge: Option<Merge>,
}

/// The layers of the last of these models, each of which is inside the one before it.
///
/// # Errors
/// For a model whose layers do not form a chain.
pub(super) fn chain(models: &[&Json]) -> Result<Chain> {
    let (mut path, mut keys) = (Vec::new(), Vec::new());
    for pair in models.windows(2) {
        let [outer, inner] = pair else { continue };
        let all = layers(outer).into_iter().flatten();
        let place = all.clone().position(|l| std::ptr::eq(l, *inner)).unwrap_or(0);
        let key = keys_of(outer).into_iter().nth(place).unwrap_or_default();
        path.push(name(inner).to_owned());
        keys.push(key);
    }
    let mut chain = Chain::default();
    if let Some(model) = models.last() {
        open(model, (&path, &keys), &mut chain)?;
    }
    Ok(chain)
}

/// The name of a layer.
fn name(layer: &Json) -> &str {
    let inner = || layer.get("config")?.get("name")?.as_str();
    layer.get("name").and_then(Json::as_str).or_else(inner).unwrap_or_default()
}

/// What Keras 3 calls the layers of a model in its files: by class, numbered.
fn keys_of(model: &Json) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let key = |layer: &Json| {
        let stem = snake(class(layer));
        let count = counts.entry(stem.clone()).or_insert(0);
        *count += 1;
        if *count == 1 { stem } else { format!("{stem}_{}", *count - 1) }
    };
    layers(model).into_iter().flatten().map(key).collect()
}

/// `Conv2DTranspose` → `conv2d_transpose`, `LeakyReLU` → `leaky_re_lu`: a word begins with a
/// capital before a small letter, and with one behind a small letter.
pub(super) fn snake(class: &str) -> String {
    let all: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut out = String::new();
    for (at, c) in all.iter().enumerate() {
        let small =
            |at: Option<usize>| at.and_then(|at| all.get(at)).is_some_and(char::is_ascii_lowercase);
        let begins = c.is_ascii_uppercase() && at > 0;
        if begins && (small(Some(at + 1)) || small(at.checked_sub(1))) && !out.ends_with('_') {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Adds the layers of a model.
fn open(model: &Json, (path, keys): (&[String], &[String]), chain: &mut Chain) -> Result<()> {
    let all: Vec<(&Json, String)> =
        layers(model).into_iter().flatten().zip(keys_of(model)).collect();
    let order = match model.get("config").and_then(|c| c.get("output_layers")) {
        Some(outputs) => ordered(&all, outputs, (path, keys), chain)?,
        None => (0..all.len()).collect(),
    };
    for at in order {
        let (layer, key) = &all[at];
        let node = node(layer, key, (path, keys));
        if chain.nodes.len() >= LAYERS {
            return Err(wrong(format!("more than {LAYERS} layers")));
        }
        if layers(layer).is_some() {
            open(layer, (&node.path, &node.keys), chain)?;
        } else {
            chain.nodes.push(node);
        }
    }
    Ok(())
}

fn node(layer: &Json, key: &str, (path, keys): (&[String], &[String])) -> Node {
    let within = |outer: &[String], own: &str| [outer, &[own.to_owned()]].concat();
    Node {
        class: class(layer).to_owned(),
        config: layer.get("config").cloned().unwrap_or_default(),
        input: crate::weights::keras::input(layer),
        path: within(path, name(layer)),
        keys: within(keys, key),
    }
}

/// The layers of a graph from its input to its output; the class where two inputs meet.
fn ordered(
    all: &[(&Json, String)],
    outputs: &Json,
    place: (&[String], &[String]),
    chain: &mut Chain,
) -> Result<Vec<usize>> {
    let by_name: BTreeMap<&str, usize> =
        all.iter().enumerate().map(|(at, (l, _))| (name(l), at)).collect();
    let find = |wanted: &str| {
        by_name.get(wanted).copied().ok_or_else(|| {
            wrong(format!("its configuration has no layer `{}`, which it uses", Safe(wanted)))
        })
    };
    let mut order = Vec::new();
    let mut at = find(&only_output(outputs)?)?;
    loop {
        if order.len() > all.len() {
            return Err(wrong("its layers form a circle".into()));
        }
        order.push(at);
        let layer = all[at].0;
        let sources = sources(layer)?;
        match &sources[..] {
            [] => break,
            [one] => at = find(one)?,
            [a, b] if chain.nodes.is_empty() && chain.merge.is_none() => {
                let ends = [branch(all, find(a)?, &find)?, branch(all, find(b)?, &find)?];
                chain.merge = Some(merge(all, layer, ends, place)?);
                order.pop();
                break;
            }
            _ => return Err(forks(layer)),
        }
    }
    order.reverse();
    Ok(order)
}

fn forks(layer: &Json) -> Error {
    refused(format!(
        "layer `{}` ({}) joins several maps: only chains of layers are run",
        Safe(name(layer)),
        Safe(class(layer))
    ))
    .hint("plain generators are chains; skip connections and several inputs are not read")
}

/// The one layer that a graph gives, from `[["name", 0, 0]]` or `["name", 0, 0]`.
fn only_output(outputs: &Json) -> Result<String> {
    let one = |json: &Json| json.get(0).and_then(Json::as_str).map(str::to_owned);
    one(outputs)
        .or_else(|| match outputs.as_array().map(Vec::as_slice) {
            Some([only]) => one(only),
            _ => None,
        })
        .ok_or_else(|| {
            refused("the model has several outputs".into())
                .hint("save a model that gives the picture alone")
        })
}

/// The layers that a layer reads.
fn sources(layer: &Json) -> Result<Vec<String>> {
    let Some(nodes) = layer.get("inbound_nodes").and_then(Json::as_array) else {
        return Ok(Vec::new());
    };
    if nodes.len() > 1 {
        return Err(refused(format!("layer `{}` is used more than once", Safe(name(layer))))
            .hint("save the generator as a model of its own"));
    }
    let mut found = Vec::new();
    nodes.iter().for_each(|n| collect(n, &mut found));
    Ok(found)
}

/// Collects names from `["name", 0, 0, {}]` (Keras 2) and `{"keras_history": ["name", 0, 0]}`
/// (Keras 3), however deep.
fn collect(json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Array(items) => match &items[..] {
            [Json::String(name), Json::Number(_), Json::Number(_), ..] => found.push(name.clone()),
            _ => items.iter().for_each(|item| collect(item, found)),
        },
        Json::Object(items) => match items.get("keras_history") {
            Some(history) => collect(history, found),
            None => items.values().for_each(|item| collect(item, found)),
        },
        _ => {}
    }
}

/// The layers from an input to one that meets another, the input first.
fn branch(
    all: &[(&Json, String)],
    mut at: usize,
    find: &dyn Fn(&str) -> Result<usize>,
) -> Result<Vec<usize>> {
    let mut order = vec![at];
    while order.len() <= all.len() {
        match &sources(all[at].0)?[..] {
            [] => break,
            [one] => at = find(one)?,
            _ => return Err(forks(all[at].0)),
        }
        order.push(at);
    }
    order.reverse();
    Ok(order)
}

/// The class of a model in which two branches meet: z as it is, and a class.
fn merge(
    all: &[(&Json, String)],
    layer: &Json,
    ends: [Vec<usize>; 2],
    (path, keys): (&[String], &[String]),
) -> Result<Merge> {
    let merged = class(layer).to_owned();
    let bare = |branch: &[usize]| branch.len() == 1;
    let table = |branch: &[usize]| {
        let (first, rest) = (branch.get(1)?, branch.get(2..)?);
        let only_shapes = |at: &usize| matches!(class(all[*at].0), "Flatten" | "Reshape");
        let (layer, key) = &all[*first];
        (class(layer) == "Embedding" && rest.iter().all(only_shapes))
            .then(|| node(layer, key, (path, keys)))
    };
    let one_hot = |branch: &[usize]| {
        let (layer, _) = all.get(*branch.first()?)?;
        let name = name(layer).to_lowercase();
        let said = ["label", "class", "cond"].iter().any(|word| name.contains(word));
        let [Some(n)] = crate::weights::keras::input(layer)?[..] else { return None };
        (said && bare(branch)).then_some(n)
    };
    let [a, b] = &ends;
    let found = if !["Multiply", "Concatenate"].contains(&merged.as_str()) {
        None
    } else if let (true, Some(table)) = (bare(a), table(b)) {
        Some((false, Some(table), None))
    } else if let (true, Some(table)) = (bare(b), table(a)) {
        Some((true, Some(table), None))
    } else {
        match (one_hot(a), one_hot(b)) {
            _ if merged == "Multiply" => None,
            (None, Some(n)) if bare(a) => Some((false, None, Some(n))),
            (Some(n), None) if bare(b) => Some((true, None, Some(n))),
            _ => None,
        }
    };
    let (first, table, classes) = found.ok_or_else(|| forks(layer))?;
    Ok(Merge { class: merged, first, table, classes })
}
