//! Settings of single Keras layers.

use super::super::config::{Op, refused};
use super::graph::Node;
use crate::error::{Error, Result};
use crate::safe::Safe;
use serde_json::Value as Json;

/// Keras's slope of a `LeakyReLU` layer, and of the activation `leaky_relu`.
const SLOPES: [f64; 2] = [0.3, 0.2];

/// Strides, kernels and factors at most: with these no size overflows.
pub(super) const LARGEST: usize = 4096;

/// A layer that is not run.
pub(super) fn not_run(node: &Node, what: &str) -> Error {
    let (name, class) = (Safe(node.name()), Safe(&node.class));
    refused(format!("layer `{name}` ({class}) is not run{what}")).hint(
        "layers that are run: Dense, Reshape, Conv2D, Conv2DTranspose, UpSampling2D, \
         BatchNormalization, ZeroPadding2D, Cropping2D, ReLU, LeakyReLU, tanh, sigmoid, Dropout; \
         export the generator with these",
    )
}

/// A setting of a layer that is a whole number, the same for both axes.
pub(super) fn whole(node: &Node, key: &str, usual: usize) -> Result<usize> {
    let one = |v: &Json| v.as_u64().and_then(|n| usize::try_from(n).ok());
    let found = match node.config.get(key) {
        None | Some(Json::Null) => return Ok(usual),
        Some(Json::Array(axes)) => match &axes[..] {
            [a, b] if a == b => one(a),
            [a] => one(a),
            _ => None,
        },
        Some(v) => one(v),
    };
    found.filter(|n| *n <= LARGEST).ok_or_else(|| {
        not_run(node, &format!(" with a `{key}` that differs between axes, or is very large"))
    })
}

pub(super) fn words<'a>(node: &'a Node, key: &str, usual: &'a str) -> &'a str {
    node.config.get(key).and_then(Json::as_str).unwrap_or(usual)
}

/// `[[top, bottom], [left, right]]`, one number for each axis, or one for all.
pub(super) fn sides_of(json: &Json) -> Option<[usize; 4]> {
    let one = |v: &Json| usize::try_from(v.as_u64()?).ok();
    let pair = |v: &Json| match v.as_array().map(Vec::as_slice) {
        Some([a, b]) => Some([one(a)?, one(b)?]),
        Some(_) => None,
        None => one(v).map(|n| [n, n]),
    };
    match json.as_array().map(Vec::as_slice) {
        Some([rows, columns]) => {
            let ([top, bottom], [left, right]) = (pair(rows)?, pair(columns)?);
            Some([top, bottom, left, right])
        }
        _ => one(json).map(|n| [n; 4]),
    }
}

pub(super) fn same_padding(node: &Node) -> Result<bool> {
    match words(node, "padding", "valid") {
        "same" => Ok(true),
        "valid" => Ok(false),
        other => Err(not_run(node, &format!(" with the padding `{}`", Safe(other)))),
    }
}

/// The operation of a `ReLU` or `LeakyReLU` layer.
pub(super) fn rectifier(node: &Node) -> Result<Op> {
    let number = |key: &str| node.config.get(key).filter(|v| !v.is_null());
    let is_zero = |v: &Json| v.as_f64() == Some(0.0);
    if number("max_value").is_some() || !number("threshold").is_none_or(is_zero) {
        return Err(not_run(node, " with a threshold or a largest value"));
    }
    let usual = if node.class == "LeakyReLU" { SLOPES[0] } else { 0.0 };
    let slope = match number("negative_slope").or(number("alpha")) {
        None => usual,
        Some(v) => v.as_f64().ok_or_else(|| not_run(node, " with a slope that is no number"))?,
    };
    Ok(Op::Relu { slope })
}

/// The activation of a layer; `None` for none.
pub(super) fn activation(node: &Node) -> Result<Option<Op>> {
    let said = match node.config.get("activation") {
        None | Some(Json::Null) => return Ok(None),
        Some(said) => said,
    };
    // A layer as an activation is written as that layer, a function in some versions as one.
    let (class, config) = match said {
        Json::String(name) => (name.as_str(), &Json::Null),
        other => (crate::weights::keras::class(other), other.get("config").unwrap_or(&Json::Null)),
    };
    if ["LeakyReLU", "ReLU"].contains(&class) {
        let inner = Node { class: class.to_owned(), config: config.clone(), ..node.clone() };
        return rectifier(&inner).map(Some);
    }
    let name = if class == "function" { config.as_str().unwrap_or_default() } else { class };
    Ok(Some(match name {
        "linear" => return Ok(None),
        "relu" => Op::Relu { slope: 0.0 },
        "leaky_relu" => Op::Relu { slope: SLOPES[1] },
        "tanh" => Op::Tanh,
        "sigmoid" => Op::Sigmoid,
        other => return Err(not_run(node, &format!(" with the activation `{}`", Safe(other)))),
    }))
}
