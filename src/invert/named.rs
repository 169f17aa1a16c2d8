//! Settings by name.

use crate::error::{Error, Result};
use crate::lang::types::Param;
use crate::safe::Safe;
use std::collections::BTreeMap;

/// Numbers by name: weights of terms, or parameters of a method.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers(BTreeMap<&'static str, f64>);

impl Numbers {
    /// The number of that name, if it was given.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// Gives a number a value.
    pub fn set(&mut self, name: &'static str, value: f64) {
        self.0.insert(name, value);
    }

    /// Those that `keep` holds for.
    #[must_use]
    pub fn only(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|name, _| keep(name));
        self
    }

    /// All that were given, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.0.iter().map(|(name, value)| (*name, *value))
    }
}

impl<const N: usize> From<[(&'static str, f64); N]> for Numbers {
    fn from(all: [(&'static str, f64); N]) -> Self {
        Self(all.into())
    }
}

/// Words by name: parameters of a method that choose one of a few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(BTreeMap<&'static str, &'static str>);

impl Words {
    /// Those that `keep` holds for.
    #[must_use]
    pub fn only(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|name, _| keep(name));
        self
    }

    /// Gives a parameter one of its words.
    pub fn set(&mut self, name: &'static str, word: &'static str) {
        self.0.insert(name, word);
    }

    /// The word of that parameter, if one was given.
    pub fn get(&self, name: &str) -> Option<&'static str> {
        self.0.get(name).copied()
    }

    /// Chooses a word of a parameter.
    ///
    /// # Errors
    /// When the parameter has no such word; the hint names those that it has.
    pub fn choose(&mut self, param: &Param, word: &str) -> Result<()> {
        let known = param.choices.iter().copied().find(|c| *c == word).ok_or_else(|| {
            Error::runtime(format!("`{}` is not {}", param.name, Safe(word)))
                .hint(format!("use one of {}", param.choices.join(", ")))
        })?;
        self.0.insert(param.name, known);
        Ok(())
    }

    /// All that were given, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.0.iter().map(|(name, word)| (*name, *word))
    }
}
