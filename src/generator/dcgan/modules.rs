//! What a file with whole modules says of each: strides, eps, slopes, as attributes of the pickled
//! objects. A state dict says nothing.

use super::config::{Op, wrong};
use super::names::place;
use crate::error::Result;
use crate::safe::Safe;
use serde_json::Value as Json;

/// The modules of a file.
pub(super) struct Modules<'a> {
    /// The attributes as the pickle has them, nested by `_modules`.
    attributes: &'a Json,
    /// The names of the classes in the file.
    classes: &'a [String],
}

/// What is known of one module.
#[derive(Clone, Copy)]
pub(super) struct Module<'a>(&'a Json);

impl<'a> Modules<'a> {
    /// The modules that a file's settings describe.
    pub fn new(attributes: &'a Json, classes: &'a [String]) -> Self {
        Self { attributes, classes }
    }

    /// The module of that path; `None` where the file does not describe it.
    pub fn of(&self, path: &str) -> Option<Module<'a>> {
        let mut at = self.attributes;
        for word in path.split('.').filter(|w| !w.is_empty()) {
            at = at.get(word).or_else(|| at.get("_modules")?.get(word))?;
        }
        at.get("training").is_some().then_some(Module(at))
    }

    /// What follows the last layer: `None` when the file does not say, an empty result for nothing.
    pub fn output(&self, last: &str) -> Option<Option<Op>> {
        let (folder, number) = place(last);
        self.of(last)?;
        let next = number? + 1;
        let path = if folder.is_empty() { next.to_string() } else { format!("{folder}.{next}") };
        if self.of(&path).is_none() {
            return Some(None);
        }
        let has = |class: &str| {
            self.classes.iter().any(|c| c == class || c.ends_with(&format!(".{class}")))
        };
        match (has("Tanh"), has("Sigmoid")) {
            (true, false) => Some(Some(Op::Tanh)),
            (false, true) => Some(Some(Op::Sigmoid)),
            _ => None,
        }
    }
}

impl Module<'_> {
    /// A number that it has.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.0.get(key)?.as_f64()
    }

    /// A yes or no that it has.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.0.get(key)?.as_bool()
    }

    /// A whole number, or the same one for both axes.
    ///
    /// # Errors
    /// When the axes differ, and when it is none.
    pub fn whole(&self, key: &str, usual: usize) -> Result<usize> {
        let one = |v: &Json| v.as_u64().and_then(|n| usize::try_from(n).ok());
        let found = match self.0.get(key) {
            None => return Ok(usual),
            Some(Json::Array(axes)) => match &axes[..] {
                [a, b] if a == b => one(a),
                _ => None,
            },
            Some(v) => one(v),
        };
        found.ok_or_else(|| {
            let value = self.0.get(key).map(Json::to_string).unwrap_or_default();
            wrong(format!("a layer has `{key}` {}: both axes must agree", Safe(&value)))
        })
    }

    /// Whether it is an activation.
    pub fn activates(&self) -> bool {
        let has = |key: &str| self.0.get(key).is_some();
        has("negative_slope") || (has("inplace") && !has("p"))
    }

    /// The layer that it is; nothing for dropout and for what only reshapes.
    ///
    /// # Errors
    /// For a module that a plain generator does not have.
    pub fn op(&self) -> Result<Option<Op>> {
        let has = |key: &str| self.0.get(key).is_some();
        if let Some(slope) = self.number("negative_slope") {
            return Ok(Some(Op::Relu { slope }));
        }
        if has("p") || has("unflattened_size") || has("start_dim") {
            return Ok(None);
        }
        if has("inplace") {
            return Ok(Some(Op::Relu { slope: 0.0 }));
        }
        if has("scale_factor") {
            let twice = self.number("scale_factor") == Some(2.0);
            let nearest = self.0.get("mode").is_none_or(|m| m == "nearest");
            if twice && nearest {
                return Ok(Some(Op::Upsample));
            }
            return Err(wrong(
                "a layer resizes its map otherwise than by repeating pixels 2×2".into(),
            ));
        }
        Err(wrong("between two layers is a module that no plain generator has".into()))
    }
}
