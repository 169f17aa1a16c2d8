//! A layout's rules used backwards: a tensor of ours under the name and with the numbers that it
//! has in a file of that layout.
//!
//! One table serves both directions. Rules that forget something, such as how many dimensions of
//! one element there were, cannot be used backwards and say so.

use super::array::Array;
use super::layout::{Change, Layout, Placed, Rule, To, calculated, captures, leaves};
use crate::error::{Error, Kind, Result};

/// The largest number that is looked for in a name. A network has fewer layers.
const NUMBERS: u32 = 64;

impl Layout {
    /// The tensor that the layout's rules turn into `array` called `name`, and its name in a file
    /// of this layout; `None` where no rule leads to that name.
    ///
    /// # Errors
    /// When a change of the rule cannot be undone, or does not fit.
    pub fn back(&self, name: &str, array: &Array) -> Result<Option<(String, Array)>> {
        let Some((source, changes)) = self.rules.iter().find_map(|rule| self.source(rule, name))
        else {
            return Ok(None);
        };
        let (mut shape, mut values) = (array.shape.clone(), array.to_f32());
        for change in changes.iter().rev() {
            (shape, values) = change.undo(&shape, values).ok_or_else(|| {
                let message = format!("{change:?} of `{name}` {shape:?} cannot be undone");
                Error::new(Kind::Format, message)
                    .note(format!("layout `{}`", self.name))
                    .hint("save the generator as safetensors instead")
            })?;
        }
        let array = Array::f32(&shape, values).ok_or_else(|| {
            Error::new(Kind::Format, format!("`{name}` does not fill the shape {shape:?}"))
                .hint("save the generator as safetensors instead")
        })?;
        Ok(Some((source, array)))
    }

    /// The name that a rule turns into `name`, and its changes. The layout places it there.
    fn source(&self, rule: &Rule, name: &str) -> Option<(String, &'static [Change])> {
        let (to, changes) = match rule.to {
            To::Name(to, changes) | To::SpareAs(to, changes, _) => (to, changes),
            To::Spare(_) => (rule.from, &[][..]),
            To::Ignored(_) | To::Listed(_) => return None,
        };
        let source = match key(rule.from) {
            None => filled(rule.from, to, name, None)?,
            Some((letter, condition)) => {
                let fits = |n: &u32| condition.is_none_or(|c| leaves(&n.to_string(), c));
                let mut all = (0..NUMBERS).filter(fits);
                all.find_map(|n| filled(rule.from, to, name, Some((letter, n))))?
            }
        };
        let placed = match self.place(&source) {
            Placed::Named(placed, _) | Placed::Spare(placed, _) => placed == name,
            Placed::Ignored(_) | Placed::Listed(..) => false,
        };
        placed.then_some((source, changes))
    }
}

/// The number's letter in a pattern, and its condition: `n` and `2=0` of `{n%2=0}`.
fn key(pattern: &str) -> Option<(&str, Option<&str>)> {
    let keys = pattern.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0));
    let mut parts = keys.map(|k| k.split_once('%').map_or((k, None), |(k, c)| (k, Some(c))));
    parts.find(|(k, _)| k.len() == 1 && *k != "*")
}

/// The name in the file, `from`, where `to` with this number is `name`.
fn filled(from: &str, to: &str, name: &str, number: Option<(&str, u32)>) -> Option<String> {
    let to = with_number(to, number);
    let words = captures(&to, name)?;
    let word = |key: &str| words.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned());
    let mut out = String::new();
    let from = with_number(from, number);
    let mut rest = &from[..];
    while let Some((head, tail)) = rest.split_once('{') {
        let (key, tail) = tail.split_once('}')?;
        out = out + head + &word(key)?;
        rest = tail;
    }
    Some(out + rest)
}

/// A pattern whose number is known.
fn with_number(pattern: &str, number: Option<(&str, u32)>) -> String {
    let Some((letter, n)) = number else { return pattern.to_owned() };
    let n = n.to_string();
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((head, tail)) = rest.split_once('{') {
        let (key, tail) = tail.split_once('}').unwrap_or((tail, ""));
        out.push_str(head);
        match key.strip_prefix(letter) {
            // A condition in the pattern of a file's names is met already.
            Some(steps) if steps.contains('=') => out.push_str(&n),
            Some(steps) if key.len() == 1 || steps.starts_with(|c: char| !c.is_alphanumeric()) => {
                out.push_str(&calculated(key, &[(letter, &n[..])]));
            }
            _ => out = out + "{" + key + "}",
        }
        rest = tail;
    }
    out + rest
}

impl Change {
    /// Shape and numbers before the change; `None` where that cannot be known.
    fn undo(&self, shape: &[usize], values: Vec<f32>) -> Option<(Vec<usize>, Vec<f32>)> {
        let same = |change: &Self, values| (shape.to_vec(), change.apply(shape, values));
        Some(match self {
            Self::Permute(order) => {
                let back: Vec<usize> = (0..order.len())
                    .map(|d| order.iter().position(|&o| o == d))
                    .collect::<Option<_>>()?;
                (back.len() == shape.len()).then(|| permuted(shape, &back, &values))?
            }
            Self::Flip | Self::Reverse(_) => same(self, values),
            Self::Add(v) => same(&Self::Add(-v), values),
            Self::Scale(v) => same(&Self::Scale(v.recip()), values),
            Self::Ones(front, back) => {
                let one = |n: usize| std::iter::repeat_n(1, n);
                (one(*front).chain(shape.iter().copied()).chain(one(*back)).collect(), values)
            }
            Self::Squeeze(_) | Self::Merge(_) => return None,
        })
    }
}

/// The numbers with their dimensions in another order, and their new shape.
fn permuted(shape: &[usize], order: &[usize], values: &[f32]) -> (Vec<usize>, Vec<f32>) {
    (order.iter().map(|&d| shape[d]).collect(), super::layout::permute(shape, order, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::layout::Rule;

    const TABLE: Layout = Layout {
        name: "test",
        detect: |_| false,
        rules: &[
            Rule::changed(
                "convs.{n}.conv.weight",
                "b{n/2+3^}.conv{n%2}.weight",
                &[Change::Ones(1, 0), Change::Permute(&[1, 2, 0]), Change::Add(1.0)],
            ),
            Rule::spare_as("convs.{n%2=0}.kernel", "b{n/2+3^}.filter", &[Change::Scale(0.25)], ""),
            Rule::name("style.{n}.{word}", "fc{n-1}.{word}"),
            Rule::name("{*}/end", "{*}.end"),
            Rule::name("../mean", "w_avg"),
            Rule::changed("bias", "b", &[Change::Squeeze(1)]),
            Rule::ignored("left", "out"),
        ],
        settings: |_| Ok(serde_json::Value::Null),
    };

    /// Every tensor of a file comes back as it was, name, shape and numbers.
    #[test]
    fn what_is_placed_comes_back() {
        let array = |shape: &[usize]| {
            let n: usize = shape.iter().product();
            Array::f32(shape, (0u8..).take(n).map(f32::from).collect()).unwrap()
        };
        for (name, shape) in [
            ("convs.0.conv.weight", &[1, 2, 3, 4][..]),
            ("convs.13.conv.weight", &[1, 3, 1, 2]),
            ("convs.4.kernel", &[2, 2]),
            ("style.8.bias", &[3]),
            ("a.b/end", &[3]),
            ("../mean", &[2]),
        ] {
            let file = array(shape);
            let (to, changes) = match TABLE.place(name) {
                Placed::Named(to, changes) | Placed::Spare(to, changes) => (to, changes),
                Placed::Ignored(_) | Placed::Listed(..) => panic!("{name}"),
            };
            let (mut shape, mut values) = (file.shape.clone(), file.to_f32());
            for change in changes {
                values = change.apply(&shape, values);
                shape = change.shape(&shape).unwrap();
            }
            let ours = Array::f32(&shape, values).unwrap();
            assert_eq!(TABLE.back(&to, &ours).unwrap(), Some((name.to_owned(), file)), "{to}");
        }
        for missing in ["b8.conv2.weight", "b12.conv0.weight", "b4.filter", "left", "fc99.bias"] {
            assert_eq!(TABLE.back(missing, &array(&[1])).unwrap(), None, "{missing}");
        }
        let e = TABLE.back("b", &array(&[2])).unwrap_err();
        assert!(e.message().contains("Squeeze") && e.repair().is_some(), "{e}");
    }
}
