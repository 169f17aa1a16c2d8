//! Content of a file, without its numbers.

use super::array::DType;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// Beginning of the names of tensors that lie outside of the generator.
pub const OUTSIDE: &str = "../";

/// Facts about a tensor that are known before its numbers are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The type of its elements in the file.
    pub dtype: DType,
    /// Sizes of its dimensions.
    pub shape: Vec<usize>,
}

/// Content of a file, without its numbers: enough to identify and to describe it.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Its tensors by name.
    pub tensors: BTreeMap<String, Shape>,
    /// The names of its tensors in the order in which the file holds them; empty where its format
    /// has no order.
    pub order: Vec<String>,
    /// Class names of the modules that a pickle describes, each once, the outermost first.
    pub classes: Vec<String>,
    /// Family named by the file's manifest: `stylegan2`, `encoder`, …; `None` without a manifest.
    pub family: Option<String>,
    /// The settings that it holds beside the tensors; null for none. Of a listing below a prefix:
    /// those below the prefix.
    pub config: Json,
    /// The settings of the whole file, where the listing is one below a prefix; else null.
    pub outside: Json,
    /// The settings in a JSON file that lies beside it; null for none. A layout reads them by
    /// [`Listing::own_beside`].
    pub beside: Json,
    /// Whether that file bears a name of its folder (`config.json`) instead of the model's.
    pub shared: bool,
}

impl Listing {
    /// Whether it holds a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|s| &s.shape[..])
    }

    /// The settings beside the file where they are its own; null otherwise.
    ///
    /// A file that bears the model's name is its own. One that any model of the folder may share is
    /// when it has one of `keys`, at the top or in one of its objects: keys that the code base has
    /// and others lack.
    pub fn own_beside(&self, keys: &[&str]) -> &Json {
        const NONE: &Json = &Json::Null;
        let known = |json: &Json| keys.iter().any(|key| json.get(key).is_some());
        let inside = || self.beside.as_object().is_some_and(|all| all.values().any(known));
        if !self.shared || known(&self.beside) || inside() { &self.beside } else { NONE }
    }

    /// A setting that the file holds, below the prefix or above it; else that of the settings
    /// beside it where they are its own ([`Self::own_beside`]).
    pub fn said(&self, key: &str, own: &[&str]) -> Option<&Json> {
        [&self.config, &self.outside, self.own_beside(own)].into_iter().find_map(|c| c.get(key))
    }

    /// The settings under `keys`, each as [`Self::said`] finds it, by their new names.
    pub fn settings(&self, keys: &[(&str, &str)], own: &[&str]) -> Map<String, Json> {
        let setting =
            |(from, to): &(&str, &str)| Some(((*to).to_owned(), self.said(from, own)?.clone()));
        keys.iter().filter_map(setting).collect()
    }

    /// Whether a module of that class is in it.
    pub fn has_class(&self, name: &str) -> bool {
        self.classes.iter().any(|c| c == name)
    }

    /// The name of a tensor as seen from below a prefix that ends in a dot: without the prefix, or
    /// with `../` in front where it lies elsewhere.
    pub(crate) fn seen_from(prefix: &str, name: &str) -> String {
        match name.strip_prefix(prefix) {
            Some(inner) => inner.to_owned(),
            None => format!("{OUTSIDE}{name}"),
        }
    }

    /// The same file seen from below a prefix of its names: `g_ema.`; an empty one changes nothing.
    ///
    /// Tensors below it lose the prefix, others are called `../NAME`. The settings are those below
    /// it, and [`Listing::outside`] has all.
    #[must_use]
    pub fn below(&self, prefix: &str) -> Self {
        if prefix.is_empty() {
            return self.clone();
        }
        let seen = |(n, s): (&String, &Shape)| (Self::seen_from(prefix, n), s.clone());
        let inner =
            |at: Json, key: &str| at.get(key).or_else(|| at.get("_modules")?.get(key)).cloned();
        let mut keys = prefix.trim_end_matches('.').split('.');
        let config = keys.try_fold(self.config.clone(), inner);
        Self {
            tensors: self.tensors.iter().map(seen).collect(),
            order: self.order.iter().map(|n| Self::seen_from(prefix, n)).collect(),
            classes: self.classes.clone(),
            family: self.family.clone(),
            config: config.unwrap_or(Json::Null),
            outside: self.config.clone(),
            beside: self.beside.clone(),
            shared: self.shared,
        }
    }

    /// Number of tensors of each type, as `f16 ×2, f32 ×48`.
    pub fn dtypes(&self) -> String {
        let mut counts: BTreeMap<DType, usize> = BTreeMap::new();
        self.tensors.values().for_each(|t| *counts.entry(t.dtype).or_default() += 1);
        let parts: Vec<String> = counts.iter().map(|(d, n)| format!("{} ×{n}", d.name())).collect();
        parts.join(", ")
    }

    /// Number of values in all tensors.
    pub fn values(&self) -> u64 {
        let count = |s: &Shape| s.shape.iter().map(|&n| n as u64).product::<u64>();
        self.tensors.values().map(count).sum()
    }
}
