//! From the names in a file to the names a generator asks for, with both ends accounted for.

use super::array::Array;
use super::source::{one_line, quoted};
use crate::error::{Error, Kind, Result};
use std::collections::BTreeMap;

/// Names of tensors that follow from the settings. A trailing part of the name, or all of it.
const DERIVED: [&str; 3] = ["resample_filter", "up_filter", "down_filter"];

/// Whether a tensor follows from the settings, so that a generator need not take it.
pub fn derived(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|last| DERIVED.contains(&last))
}

/// How the tensors of another family are called here: the first rule that fits a name renames it.
///
/// `{n}` in `from` stands for a number; in `to` it is written back, `{n+1}` and `{n-1}` with a
/// step.
pub struct Rule {
    /// The name in the file.
    pub from: &'static str,
    /// The name here; empty for a tensor that is dropped.
    pub to: &'static str,
}

impl Rule {
    /// The new name, if the rule fits.
    fn apply(&self, name: &str) -> Option<String> {
        let Some((head, tail)) = self.from.split_once("{n}") else {
            return (name == self.from).then(|| self.to.to_string());
        };
        let digits = name.strip_prefix(head)?.strip_suffix(tail)?;
        if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let n: i64 = digits.parse().ok()?;
        let steps = [("{n}", n), ("{n+1}", n + 1), ("{n-1}", n - 1)];
        Some(
            steps
                .iter()
                .fold(self.to.to_string(), |to, (mark, n)| to.replace(mark, &n.to_string())),
        )
    }
}

/// Renames tensors by a table; names that no rule fits stay as they are.
///
/// # Errors
/// When two tensors come to have one name.
pub fn rename(
    file: &str,
    tensors: BTreeMap<String, Array>,
    table: &[Rule],
) -> Result<BTreeMap<String, Array>> {
    let mut out = BTreeMap::new();
    for (name, array) in tensors {
        let new = table.iter().find_map(|r| r.apply(&name)).unwrap_or_else(|| name.clone());
        if !new.is_empty() && out.insert(new.clone(), array).is_some() {
            let text = format!("{}: two tensors are called {} here", one_line(file), quoted(&new));
            return Err(Error::new(Kind::Format, text));
        }
    }
    Ok(out)
}

/// A file's tensors while a generator takes them; nothing may be missing and nothing may be left.
#[derive(Clone, Debug)]
pub struct Weights {
    file: String,
    tensors: BTreeMap<String, Array>,
}

impl Weights {
    /// The tensors of a file; `file` stands in errors.
    pub fn new(file: impl Into<String>, tensors: BTreeMap<String, Array>) -> Self {
        Self { file: one_line(&file.into()), tensors }
    }

    /// Whether a tensor is there and not yet taken.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor's shape, before it is taken.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|a| &a.shape[..])
    }

    /// Takes a tensor that must be there.
    ///
    /// # Errors
    /// When it is missing (the nearest name is offered) or of another shape (both are named).
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Array> {
        match self.optional(name, shape)? {
            Some(array) => Ok(array),
            None => {
                let e = Error::new(
                    Kind::Format,
                    format!("{}: tensor `{name}` {shape:?} is missing", self.file),
                );
                Err(match self.nearest(name) {
                    Some(near) => e.note(format!("the file has {}", quoted(near))),
                    None => e,
                })
            }
        }
    }

    /// Takes a tensor that may be missing.
    ///
    /// # Errors
    /// When it is of another shape.
    pub fn optional(&mut self, name: &str, shape: &[usize]) -> Result<Option<Array>> {
        match self.tensors.get(name) {
            Some(a) if a.shape != shape => {
                let text =
                    format!("{}: tensor `{name}` is {:?}, {shape:?} is needed", self.file, a.shape);
                Err(Error::new(Kind::Format, text))
            }
            _ => Ok(self.tensors.remove(name)),
        }
    }

    /// Takes every tensor whose name ends in `.suffix` or is it, to be checked by the generator.
    pub fn take_all(&mut self, suffix: &str) -> Vec<(String, Array)> {
        let fits =
            |n: &str| n.strip_suffix(suffix).is_some_and(|p| p.is_empty() || p.ends_with('.'));
        let names: Vec<String> = self.tensors.keys().filter(|n| fits(n)).cloned().collect();
        names.into_iter().filter_map(|n| self.tensors.remove_entry(&n)).collect()
    }

    /// Takes every `resample_filter` and checks that it is the one that the taps make: their outer
    /// product, or from eight taps on the taps themselves, with sum 1.
    ///
    /// # Errors
    /// When a stored filter is another one: the settings would draw other pictures than the weights
    /// were trained for.
    pub fn take_resample_filters(&mut self, taps: &[f64]) -> Result<()> {
        let sum: f64 = taps.iter().sum();
        let row: Vec<f64> = taps.iter().map(|t| t / sum).collect();
        let outer = || row.iter().flat_map(|a| row.iter().map(move |b| a * b)).collect();
        let want: Vec<f64> = if taps.len() < 8 { outer() } else { row.clone() };
        for (name, filter) in self.take_all("resample_filter") {
            let same = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-6;
            if filter.len() != want.len() || !filter.to_f64().iter().zip(&want).all(same) {
                let text = format!(
                    "{}: {} is not the filter of the taps {taps:?}",
                    self.file,
                    quoted(&name)
                );
                return Err(Error::new(Kind::Format, text)
                    .hint("correct resample_filter in the file's settings"));
            }
        }
        Ok(())
    }

    /// The names not taken, without those that follow from the settings.
    pub fn unused(&self) -> Vec<String> {
        self.tensors.keys().filter(|n| !derived(n)).cloned().collect()
    }

    /// Ends the taking.
    ///
    /// # Errors
    /// When tensors are left: the file holds something that the generator does not know.
    pub fn finish(self) -> Result<()> {
        let left = self.unused();
        let Some(first) = left.first() else { return Ok(()) };
        let names: Vec<String> = left.iter().take(5).map(|n| quoted(n)).collect();
        let more =
            if left.len() > 5 { format!(" and {} more", left.len() - 5) } else { String::new() };
        let text = format!("{}: the generator does not use {}{more}", self.file, names.join(", "));
        let shape = &self.tensors[first].shape;
        Err(Error::new(Kind::Format, text).note(format!("{} is {shape:?}", quoted(first))))
    }

    /// The name most like one that is missing.
    fn nearest(&self, name: &str) -> Option<&str> {
        let distance = |n: &&String| {
            strsim::damerau_levenshtein(name, &n.chars().take(200).collect::<String>())
        };
        let best = self.tensors.keys().filter(|n| !derived(n)).map(|n| (distance(&n), n)).min()?;
        (best.0 <= name.len() / 3 + 1).then_some(best.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors(names: &[&str]) -> BTreeMap<String, Array> {
        names.iter().map(|n| (n.to_string(), Array::f32(&[1], vec![0.0]).unwrap())).collect()
    }

    #[test]
    fn both_ends_come_out_empty_or_say_why() {
        let mut w = Weights::new("f", tensors(&["b4.const", "b4.resample_filter", "extra"]));
        let e = w.take("b4.konst", &[1]).unwrap_err().to_string();
        assert_eq!(e, "f: tensor `b4.konst` [1] is missing; the file has `b4.const`");
        let e = w.take("b4.const", &[2, 3]).unwrap_err().to_string();
        assert_eq!(e, "f: tensor `b4.const` is [1], [2, 3] is needed");
        assert!(w.take("b4.const", &[1]).is_ok());
        assert_eq!(w.unused(), ["extra"]);
        assert!(
            w.clone()
                .finish()
                .unwrap_err()
                .to_string()
                .contains("does not use `extra`; `extra` is [1]")
        );
        assert!(w.optional("extra", &[1]).unwrap().is_some());
        assert!(w.optional("extra", &[1]).unwrap().is_none());
        assert!(w.finish().is_ok());
    }

    #[test]
    fn stored_filters_must_be_those_of_the_settings() {
        let binomial = [1.0, 3.0, 3.0, 1.0];
        let outer: Vec<f32> = binomial
            .iter()
            .flat_map(|a| binomial.iter().map(move |b| (a * b / 64.0) as f32))
            .collect();
        let all = BTreeMap::from([(
            "b8.resample_filter".to_string(),
            Array::f32(&[4, 4], outer).unwrap(),
        )]);
        assert!(Weights::new("f", all.clone()).take_resample_filters(&binomial).is_ok());
        let e = Weights::new("f", all).take_resample_filters(&[1.0, 2.0, 2.0, 1.0]).unwrap_err();
        assert!(e.to_string().contains("`b8.resample_filter` is not the filter"), "{e}");
    }

    #[test]
    fn tables_rename_count_and_drop() {
        let table = [
            Rule { from: "style.{n}.weight", to: "mapping.fc{n-1}.weight" },
            Rule { from: "noises.noise_{n}", to: "" },
        ];
        let names = ["style.1.weight", "style.x.weight", "noises.noise_3", "other"];
        let out = rename("f", tensors(&names), &table).unwrap();
        assert_eq!(
            out.keys().collect::<Vec<_>>(),
            ["mapping.fc0.weight", "other", "style.x.weight"]
        );
        let clash = [Rule { from: "a", to: "b" }];
        assert!(rename("f", tensors(&["a", "b"]), &clash).is_err());
    }
}
