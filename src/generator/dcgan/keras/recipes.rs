//! Weights alone of well-known generators, recognised by their layers' kinds and shapes.
//!
//! `save_weights` keeps neither strides nor activations, and other generators have the same
//! shapes. So only these recipes are read, each in its published form, and the settings say so:
//!
//! * the tutorial "Deep Convolutional Generative Adversarial Network" of tensorflow.org,
//! * the example "WGAN-GP overriding `Model.train_step`" of keras.io,
//! * `dcgan.py` of eriklindernoren/Keras-GAN.

use super::super::config::refused;
use super::super::names::natural;
use super::graph::{Chain, Node};
use crate::error::Result;
use crate::weights::{Listing, keras};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// Layers that are looked at; no recipe has more than 20.
const LAYERS: usize = 100;

/// The layers of a file by the names that Keras gives to them by default, in their order.
#[derive(Default)]
struct Found {
    connected: Vec<Layer>,
    norms: Vec<Layer>,
    convs: Vec<Layer>,
    transposed: Vec<Layer>,
    /// Names of kinds that no recipe has.
    other: Vec<String>,
    /// Whether one crops.
    crops: bool,
}

/// A layer with its first tensor's shape.
struct Layer {
    node: Node,
    shape: Vec<usize>,
    bias: bool,
}

/// The layers of a recipe, and what it says of them.
pub(super) fn chain(listing: &Listing) -> Result<(Chain, Vec<String>)> {
    let found = layers(listing);
    let read = [tutorial, wgan_gp, keras_gan].into_iter().find_map(|recipe| recipe(&found));
    let (nodes, name) = read.ok_or_else(|| {
        let other = match found.other.first() {
            Some(name) => format!(" (layer `{}` is of no recipe)", crate::safe::Safe(name)),
            None => String::new(),
        };
        refused(format!(
            "the file holds weights alone: they do not tell the strides and activations of the \
             layers, and no published generator has such layers{other}"
        ))
        .hint(
            "save the whole model, model.save(\"NAME.keras\"), or put its layers beside the \
             weights: open(\"NAME.json\", \"w\").write(model.to_json())",
        )
    })?;
    let said = format!(
        "the weights do not tell strides and activations: taken from {name}, which has layers of \
         these kinds and shapes"
    );
    Ok((Chain { nodes, merge: None }, vec![said]))
}

/// All layers with weights, by kind.
fn layers(listing: &Listing) -> Found {
    let all: BTreeSet<Place> = listing.tensors.keys().filter_map(|name| place(name)).collect();
    let mut names: Vec<Place> = all.into_iter().take(LAYERS).collect();
    names.sort_by(|a, b| natural(&a.0, &b.0));
    let mut found = Found::default();
    let said = keras::said(listing).and_then(|said| said.get("layers")?.as_array());
    let crops = |l: &Json| l.as_str().is_some_and(|l| l.starts_with("cropping2d"));
    found.crops = said.is_some_and(|all| all.iter().any(crops));
    for (name, path, keys) in names {
        let node = Node { path, keys, ..Node::default() };
        let tensor = |variable: &str, index: usize| {
            super::names::tensor(listing, &node, variable, index).ok().flatten()
        };
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
        let first = if kind == "batch_normalization" { "gamma" } else { "kernel" };
        let shape = tensor(first, 0).and_then(|n| listing.shape(&n).map(<[usize]>::to_vec));
        let bias = tensor("bias", 1).is_some();
        let Some(shape) = shape else {
            found.other.push(name);
            continue;
        };
        let layer = Layer { node, shape, bias };
        match kind {
            "dense" => found.connected.push(layer),
            "batch_normalization" => found.norms.push(layer),
            "conv2d" => found.convs.push(layer),
            "conv2d_transpose" => found.transposed.push(layer),
            _ => found.other.push(name),
        }
    }
    found
}

/// A layer's name, and its path by names or by keys.
type Place = (String, Vec<String>, Vec<String>);

/// The layer of a tensor: its name, and its path by names or by keys.
fn place(tensor: &str) -> Option<Place> {
    let words: Vec<&str> = tensor.split('.').collect();
    if words.contains(&"vars") {
        let keys: Vec<String> = words
            .chunks(2)
            .map_while(|pair| match pair {
                ["layers", key] => Some((*key).to_owned()),
                _ => None,
            })
            .collect();
        return Some((keys.last()?.clone(), Vec::new(), keys));
    }
    let words = words.strip_prefix(&["model_weights"]).unwrap_or(&words);
    let (group, layer) = (*words.first()?, *words.get(words.len().checked_sub(2)?)?);
    let mut path = vec![group.to_owned()];
    if group != layer {
        path.push(layer.to_owned());
    }
    Some((layer.to_owned(), path, Vec::new()))
}

fn with(layer: &Layer, class: &str, config: Json) -> Node {
    let mut config = config;
    config["use_bias"] = json!(layer.bias);
    Node { class: class.to_owned(), config, ..layer.node.clone() }
}

fn norm(layer: &Layer) -> Node {
    Node { class: "BatchNormalization".into(), config: json!({}), ..layer.node.clone() }
}

fn plain(class: &str, config: Json) -> Node {
    Node { class: class.into(), config, path: vec![class.to_lowercase()], ..Node::default() }
}

fn leaky(slope: f64) -> Node {
    plain("LeakyReLU", json!({"negative_slope": slope}))
}

/// The side of the square map that `units` values make with so many channels.
fn side(units: usize, channels: usize) -> Option<usize> {
    let pixels = units.checked_div(channels).filter(|n| n * channels == units)?;
    let side = pixels.isqrt();
    (side * side == pixels && side > 1).then_some(side)
}

fn reshape(side: usize, channels: usize) -> Node {
    plain("Reshape", json!({"target_shape": [side, side, channels]}))
}

/// A recipe's layers and its name.
type Recipe = Option<(Vec<Node>, &'static str)>;

fn tutorial(f: &Found) -> Recipe {
    let ([dense], [], [a, b, c], [n, na, nb]) =
        (&f.connected[..], &f.convs[..], &f.transposed[..], &f.norms[..])
    else {
        return None;
    };
    let all = [a, b, c];
    let sizes = |l: &Layer, n: &Layer| l.shape.get(2) == n.shape.first();
    let fits = f.other.is_empty()
        && !dense.bias
        && all.iter().all(|l| l.shape.len() == 4 && l.shape[..2] == [5, 5] && !l.bias)
        && dense.shape.get(1) == n.shape.first()
        && sizes(a, na)
        && sizes(b, nb);
    let channels = *a.shape.get(3).filter(|_| fits)?;
    let side = side(*dense.shape.get(1)?, channels).filter(|s| *s == 7)?;
    let up = |l: &Layer, stride: usize, activation: &str| {
        let config = json!({"strides": [stride, stride], "padding": "same",
            "activation": activation});
        with(l, "Conv2DTranspose", config)
    };
    let nodes = vec![
        with(dense, "Dense", json!({})),
        norm(n),
        leaky(0.3),
        reshape(side, channels),
        up(a, 1, "linear"),
        norm(na),
        leaky(0.3),
        up(b, 2, "linear"),
        norm(nb),
        leaky(0.3),
        up(c, 2, "tanh"),
    ];
    Some((nodes, "the DCGAN tutorial of tensorflow.org"))
}

/// Whether all are 3×3 convolutions, with a bias or without.
fn three(convs: &[&Layer], bias: bool) -> bool {
    convs.iter().all(|l| l.shape.len() == 4 && l.shape[..2] == [3, 3] && l.bias == bias)
}

fn conv(layer: &Layer, activation: &str) -> Node {
    with(layer, "Conv2D", json!({"padding": "same", "activation": activation}))
}

fn doubled() -> Node {
    plain("UpSampling2D", json!({}))
}

fn wgan_gp(f: &Found) -> Recipe {
    let ([dense], [a, b, c], [], [n, na, nb, nc]) =
        (&f.connected[..], &f.convs[..], &f.transposed[..], &f.norms[..])
    else {
        return None;
    };
    let sizes = |l: &Layer, n: &Layer| l.shape.get(3) == n.shape.first();
    let fits = f.other.is_empty()
        && f.crops
        && !dense.bias
        && three(&[a, b, c], false)
        && dense.shape.get(1) == n.shape.first()
        && sizes(a, na)
        && sizes(b, nb)
        && sizes(c, nc);
    let channels = *a.shape.get(2).filter(|_| fits)?;
    let side = side(*dense.shape.get(1)?, channels).filter(|s| *s == 4)?;
    let mut nodes =
        vec![with(dense, "Dense", json!({})), norm(n), leaky(0.2), reshape(side, channels)];
    for (layer, n) in [(a, na), (b, nb)] {
        nodes.extend([doubled(), conv(layer, "linear"), norm(n), leaky(0.2)]);
    }
    nodes.extend([doubled(), conv(c, "linear"), norm(nc)]);
    nodes.push(plain("Activation", json!({"activation": "tanh"})));
    nodes.push(plain("Cropping2D", json!({"cropping": [[2, 2], [2, 2]]})));
    Some((nodes, "the WGAN-GP example of keras.io"))
}

fn keras_gan(f: &Found) -> Recipe {
    let ([dense], [a, b, c], [], [na, nb]) =
        (&f.connected[..], &f.convs[..], &f.transposed[..], &f.norms[..])
    else {
        return None;
    };
    let sizes = |l: &Layer, n: &Layer| l.shape.get(3) == n.shape.first();
    let fits =
        f.other.is_empty() && dense.bias && three(&[a, b, c], true) && sizes(a, na) && sizes(b, nb);
    let channels = *a.shape.get(2).filter(|_| fits)?;
    let side = side(*dense.shape.get(1)?, channels).filter(|s| *s == 7)?;
    let relu = || plain("Activation", json!({"activation": "relu"}));
    let mut nodes = vec![with(dense, "Dense", json!({"activation": "relu"}))];
    nodes.push(reshape(side, channels));
    for (layer, n) in [(a, na), (b, nb)] {
        nodes.extend([doubled(), conv(layer, "linear"), norm(n), relu()]);
    }
    nodes.push(conv(c, "tanh"));
    Some((nodes, "eriklindernoren/Keras-GAN's dcgan.py"))
}
