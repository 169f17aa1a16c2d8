//! Attributes of modules in files that pickle whole modules: class, strides, eps, slopes. A state
//! dict does not have them.

use super::config::{Op, wrong};
use super::names::place;
use crate::error::Result;
use crate::safe::Safe;
use serde_json::Value as Json;

/// The modules of a file.
#[derive(Clone, Copy)]
pub(super) struct Modules<'a>(&'a Json);

/// Attributes of one module.
#[derive(Clone, Copy)]
pub(super) struct Module<'a> {
    class: &'a str,
    attributes: &'a Json,
}

impl<'a> Modules<'a> {
    /// The modules that a file's settings describe, as `{"class": …, "_modules": {name: {…}}}`.
    pub fn new(settings: &'a Json) -> Self {
        Self(settings)
    }

    /// The module of that path; `None` where the file does not describe it.
    pub fn of(&self, path: &str) -> Option<Module<'a>> {
        let mut at = self.0;
        for word in path.split('.').filter(|w| !w.is_empty()) {
            at = at.get("_modules").and_then(|all| all.get(word)).or_else(|| at.get(word))?;
        }
        let class = at.get("class")?.as_str()?;
        Some(Module { class, attributes: at })
    }

    /// Operations after the last layer with tensors, in its Sequential; `None` where the file does
    /// not say.
    ///
    /// # Errors
    /// For a module that a plain generator does not have.
    pub fn output(&self, last: &str) -> Result<Option<Vec<Op>>> {
        let (folder, number) = place(last);
        let (Some(_), Some(number)) = (self.of(last), number) else { return Ok(None) };
        let path =
            |n: usize| if folder.is_empty() { n.to_string() } else { format!("{folder}.{n}") };
        let behind = (number + 1..).map_while(|n| self.of(&path(n)));
        let ops = behind.map(|module| module.op()).collect::<Result<Vec<Option<Op>>>>()?;
        Ok(Some(ops.into_iter().flatten().collect()))
    }
}

impl Module<'_> {
    /// A number that it has.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.attributes.get(key)?.as_f64()
    }

    /// Whether it is a transposed convolution; `None` for anything but a 2-D convolution.
    pub fn transposed(&self) -> Option<bool> {
        match self.class {
            "ConvTranspose2d" => Some(true),
            "Conv2d" => Some(false),
            _ => None,
        }
    }

    /// A whole number, or the same one for both axes.
    ///
    /// # Errors
    /// When the axes differ or the value is not a whole number.
    pub fn whole(&self, key: &str, usual: usize) -> Result<usize> {
        let one = |v: &Json| v.as_u64().and_then(|n| usize::try_from(n).ok());
        let given = self.attributes.get(key);
        let found = match given {
            None => return Ok(usual),
            Some(Json::Array(axes)) => match &axes[..] {
                [a, b] if a == b => one(a),
                _ => None,
            },
            Some(v) => one(v),
        };
        found.ok_or_else(|| {
            let value = given.map(Json::to_string).unwrap_or_default();
            wrong(format!("a layer has `{key}` {}: both axes must agree", Safe(&value)))
        })
    }

    /// Whether it is an activation.
    pub fn activates(&self) -> bool {
        matches!(self.class, "ReLU" | "LeakyReLU" | "Tanh" | "Sigmoid")
    }

    /// The layer of this module; empty for dropout and modules that only reshape.
    ///
    /// # Errors
    /// For a module that a plain generator does not have.
    pub fn op(&self) -> Result<Option<Op>> {
        let doubles = || -> bool {
            let twice = match self.attributes.get("scale_factor") {
                Some(Json::Array(axes)) => axes.iter().all(|v| v.as_f64() == Some(2.0)),
                Some(v) => v.as_f64() == Some(2.0),
                None => false,
            };
            let mode = self.attributes.get("mode").and_then(Json::as_str);
            twice && mode.is_none_or(|m| m == "nearest")
        };
        Ok(Some(match self.class {
            "ReLU" => Op::Relu { slope: 0.0 },
            "LeakyReLU" => Op::Relu { slope: self.number("negative_slope").unwrap_or(0.01) },
            "Tanh" => Op::Tanh,
            "Sigmoid" => Op::Sigmoid,
            "Upsample" | "UpsamplingNearest2d" if doubles() => Op::Upsample,
            "Dropout" | "Dropout2d" | "Identity" | "Flatten" | "Unflatten" | "Reshape" | "View" => {
                return Ok(None);
            }
            other => {
                return Err(wrong(format!(
                    "between its layers is a module `{}` that is not run",
                    Safe(other)
                )));
            }
        }))
    }
}
