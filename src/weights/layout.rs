//! Checkpoint layouts as tables of rules that rename the tensors of foreign files.
//!
//! A layout is data: a test that detects it, a list of [`Rule`]s, and a function that reads its
//! settings. The first rule whose pattern fits a name decides. A name that no rule fits stays as it
//! is; the loader then finds it unused and refuses the file.
//!
//! ```
//! use gannet::weights::layout::{Change, Rule};
//! const RULES: &[Rule] = &[
//!     Rule::name("style.{n}.weight", "mapping.fc{n-1}.weight"),
//!     Rule::changed("mapping.{*}/kernel", "mapping.{*}.weight", &[Change::Permute(&[1, 0])]),
//!     Rule::ignored("noises.{*}", "drawn afresh"),
//! ];
//! ```

use super::array;
use super::listing::{Listing, OUTSIDE};
use crate::error::Result;
use serde_json::Value as Json;
use std::fmt;

/// Digits of a number in a name.
const DIGITS: usize = 4;

/// One way in which a family's tensors are called and laid out in a file.
pub struct Layout {
    /// Its name in reports: `nvidia`.
    pub name: &'static str,
    /// Whether a file is laid out so; only names, shapes and class names are looked at.
    pub detect: fn(&Listing) -> bool,
    /// Renaming rules for its tensors; the first rule that fits counts.
    pub rules: &'static [Rule],
    /// The family's settings, from those that the file holds.
    ///
    /// Fails when they cannot be read.
    pub settings: fn(&Listing) -> Result<Json>,
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layout").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Layout {
    /// Our own safetensors: the family's names, and its settings in the manifest. A family's
    /// detection is not called for a manifest that names another.
    pub const fn own(rules: &'static [Rule]) -> Self {
        Self {
            name: "gannet",
            detect: |listing| listing.family.is_some(),
            rules,
            settings: |listing| Ok(listing.config.clone()),
        }
    }

    /// Result of the rules for a tensor of that name.
    pub(crate) fn place(&self, name: &str) -> Placed {
        let outside = name.starts_with(OUTSIDE);
        let fits = |rule: &'static Rule| {
            let found = captures(rule.from, name)?;
            (rule.from.starts_with(OUTSIDE) == outside).then_some((rule, found))
        };
        match self.rules.iter().find_map(fits) {
            None if outside => Placed::Ignored("it is not part of the generator"),
            None => Placed::Named(name.to_owned(), &[]),
            Some((Rule { to: To::Name(to, changes), .. }, found)) => {
                Placed::Named(fill(to, &found), changes)
            }
            Some((Rule { to: To::Spare(_), .. }, _)) => Placed::Spare(name.to_owned(), &[]),
            Some((Rule { to: To::SpareAs(to, changes, _), .. }, found)) => {
                Placed::Spare(fill(to, &found), changes)
            }
            Some((Rule { to: To::Ignored(why), .. }, _)) => Placed::Ignored(why),
            Some((Rule { to: To::Listed(buffers), .. }, found)) => {
                match found.first().and_then(|(_, n)| n.parse().ok()) {
                    Some(place) => Placed::Listed(place, buffers),
                    None => Placed::Ignored("it has no place in a list"),
                }
            }
        }
    }
}

/// The first layout that fits a file.
pub fn first(layouts: &'static [&'static Layout], listing: &Listing) -> Option<&'static Layout> {
    layouts.iter().copied().find(|l| (l.detect)(listing))
}

/// Renames a tensor of a foreign layout.
///
/// Patterns: `{n}`, any one letter, matches a number of up to four digits, `{n%2=1}` only one that
/// leaves this remainder; `{word}` matches one part of the name, without dots; `{*}` matches
/// anything, even nothing. The new name repeats them. Numbers may be calculated with, from left to
/// right: `{n+1}`, `{n-1}`, `{n*2}`, `{n/2}`, `{n%2}`; a `^` at the end is 2 to that power, so
/// `{n/2+3^}` of 3 is 16.
///
/// Names that begin with `../` lie outside of the generator in the file (see
/// [`Listing::below`]). Only patterns that begin so match them; the others are left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Names in the file.
    pub from: &'static str,
    /// Name and changes, or a reason to leave the tensor out.
    pub to: To,
}

impl Rule {
    /// A tensor that is only called otherwise.
    pub const fn name(from: &'static str, to: &'static str) -> Self {
        Self { from, to: To::Name(to, &[]) }
    }

    /// A tensor whose numbers are changed as well, in that order.
    pub const fn changed(from: &'static str, to: &'static str, changes: &'static [Change]) -> Self {
        Self { from, to: To::Name(to, changes) }
    }

    /// A tensor that a loader may take or leave.
    pub const fn spare(from: &'static str, why: &'static str) -> Self {
        Self { from, to: To::Spare(why) }
    }

    /// A tensor that a loader may take or leave, under another name and changed.
    pub const fn spare_as(
        from: &'static str,
        to: &'static str,
        changes: &'static [Change],
        why: &'static str,
    ) -> Self {
        Self { from, to: To::SpareAs(to, changes, why) }
    }

    /// A tensor that is not part of the model.
    pub const fn ignored(from: &'static str, why: &'static str) -> Self {
        Self { from, to: To::Ignored(why) }
    }

    /// The tensors of a list, `../g_ema.{n}`. The n-th has the numbers of the n-th parameter of the
    /// generator, in place of those under the parameter's own name.
    ///
    /// Code that copies `module.parameters()` saves such lists. Parameters are counted in the order
    /// of the file, as PyTorch writes them; a tensor is none when the last part of its name is one
    /// of `buffers`.
    pub const fn listed(from: &'static str, buffers: &'static [&'static str]) -> Self {
        Self { from, to: To::Listed(buffers) }
    }
}

/// Result of a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum To {
    /// It has this name, and its numbers are changed in this order.
    Name(&'static str, &'static [Change]),
    /// It keeps its name; a loader may take or leave it, for this reason. It does not count towards
    /// the fingerprint.
    Spare(&'static str),
    /// As `Spare`, with this name, and its numbers changed in this order.
    SpareAs(&'static str, &'static [Change], &'static str),
    /// It is left out, for this reason.
    Ignored(&'static str),
    /// It has the numbers of a parameter; see [`Rule::listed`].
    Listed(&'static [&'static str]),
}

/// A change of a tensor's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// The dimensions in another order: entry `i` names the old dimension that becomes the `i`-th,
    /// as NumPy's `transpose`.
    Permute(&'static [usize]),
    /// The last two dimensions run backwards: a convolution becomes a correlation.
    Flip,
    /// This number is added to each.
    Add(f32),
    /// Each is multiplied by this number.
    Scale(f32),
    /// Leading dimensions of one element are dropped until this many dimensions are left.
    Squeeze(usize),
    /// Leading dimensions become one until this many dimensions are left.
    Merge(usize),
    /// So many dimensions of one element are dropped in front and at the end.
    Ones(usize, usize),
    /// One dimension, counted from 0, runs backwards: BGR becomes RGB.
    Reverse(usize),
}

/// Result of the rules for one tensor.
#[derive(Debug, PartialEq)]
pub(crate) enum Placed {
    Named(String, &'static [Change]),
    Spare(String, &'static [Change]),
    Ignored(&'static str),
    /// Place in a list of the parameters, and the names of what is no parameter.
    Listed(usize, &'static [&'static str]),
}

/// Matches of a pattern's parts in a name; `None` when it does not fit.
pub(super) fn captures<'p, 'a>(pattern: &'p str, name: &'a str) -> Option<Vec<(&'p str, &'a str)>> {
    let Some((head, rest)) = pattern.split_once('{') else {
        return (pattern == name).then(Vec::new);
    };
    let name = name.strip_prefix(head)?;
    let (key, rest) = rest.split_once('}')?;
    let (key, condition) = match key.split_once('%') {
        Some((key, condition)) => (key, Some(condition)),
        None => (key, None),
    };
    let longest = match key {
        "*" => name.len(),
        k if k.len() == 1 => name.bytes().take(DIGITS).take_while(u8::is_ascii_digit).count(),
        _ => name.find('.').unwrap_or(name.len()),
    };
    let shortest = usize::from(key != "*");
    (shortest..=longest).rev().filter(|&end| name.is_char_boundary(end)).find_map(|end| {
        if condition.is_some_and(|c| !leaves(&name[..end], c)) {
            return None;
        }
        let mut found = captures(rest, &name[end..])?;
        found.push((key, &name[..end]));
        Some(found)
    })
}

/// The new name.
fn fill(to: &str, found: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = to;
    while let Some((head, tail)) = rest.split_once('{') {
        let (key, tail) = tail.split_once('}').unwrap_or((tail, ""));
        out.push_str(head);
        out.push_str(&calculated(key, found));
        rest = tail;
    }
    out + rest
}

/// Whether a number meets a condition such as `2=1`: divided by 2 it leaves 1.
pub(super) fn leaves(number: &str, condition: &str) -> bool {
    let remainder = || {
        let (divisor, remainder) = condition.split_once('=')?;
        let rest = number.parse::<u32>().ok()?.checked_rem(divisor.parse().ok()?)?;
        Some(rest == remainder.parse::<u32>().ok()?)
    };
    remainder().unwrap_or(false)
}

/// The match of `n`, `word` or `*`, or a calculation with a number; empty for a key that the
/// pattern lacks, and for a calculation that has no result.
pub(super) fn calculated(key: &str, found: &[(&str, &str)]) -> String {
    let get = |key: &str| found.iter().find(|(k, _)| *k == key).map_or("", |(_, v)| v);
    // The `*` of `{*}` is no sign.
    let at = key.find(OPERATORS).filter(|at| *at > 0);
    let Some(at) = at else { return get(key).to_owned() };
    let (key, steps) = key.split_at(at);
    let number = get(key).parse().ok().and_then(|n| calculate(n, steps));
    number.map_or_else(String::new, |n| n.to_string())
}

/// Signs of the calculations in a new name.
const OPERATORS: [char; 6] = ['+', '-', '*', '/', '%', '^'];

/// A number after the steps `+1`, `*2`, …, from left to right.
fn calculate(number: i64, steps: &str) -> Option<i64> {
    let mut chars = steps.chars();
    let Some(operator) = chars.next() else { return Some(number) };
    let rest = chars.as_str();
    let (operand, rest) = rest.split_at(rest.find(OPERATORS).unwrap_or(rest.len()));
    let by = || operand.parse::<i64>().ok();
    let next = match operator {
        '+' => number.checked_add(by()?),
        '-' => number.checked_sub(by()?),
        '*' => number.checked_mul(by()?),
        '/' => number.checked_div(by()?),
        '%' => number.checked_rem(by()?),
        _ => 2i64.checked_pow(u32::try_from(number).ok()?),
    };
    calculate(next?, rest)
}

impl Change {
    /// The shape after the change; `None` when it does not apply to that shape.
    pub(crate) fn shape(&self, shape: &[usize]) -> Option<Vec<usize>> {
        match self {
            Self::Permute(order) => {
                let mut seen: Vec<usize> = order.to_vec();
                seen.sort_unstable();
                (seen.iter().copied().eq(0..shape.len()))
                    .then(|| order.iter().map(|&d| shape[d]).collect())
            }
            Self::Flip => (shape.len() >= 2).then(|| shape.to_vec()),
            Self::Add(_) | Self::Scale(_) => Some(shape.to_vec()),
            Self::Squeeze(rank) => {
                let lead = shape.len().checked_sub(*rank)?;
                shape[..lead].iter().all(|&n| n == 1).then(|| shape[lead..].to_vec())
            }
            Self::Merge(rank) => {
                let (lead, rest) = shape.split_at_checked((shape.len() + 1).checked_sub(*rank)?)?;
                (*rank > 0 && !lead.is_empty()).then(|| [&[lead.iter().product()], rest].concat())
            }
            Self::Ones(front, back) => {
                let end = shape.len().checked_sub(*back)?;
                let kept = shape.get(*front..end)?;
                (kept.iter().product::<usize>() == shape.iter().product::<usize>())
                    .then(|| kept.to_vec())
            }
            Self::Reverse(axis) => (*axis < shape.len()).then(|| shape.to_vec()),
        }
    }

    /// The numbers after the change of a tensor of that shape, row-major.
    pub(crate) fn apply(&self, shape: &[usize], values: Vec<f32>) -> Vec<f32> {
        match self {
            Self::Permute(order) => permute(shape, order, &values),
            Self::Flip => {
                let plane = shape.iter().rev().take(2).product::<usize>().max(1);
                values.chunks(plane).flat_map(|p| p.iter().rev().copied()).collect()
            }
            Self::Add(v) => values.into_iter().map(|x| x + v).collect(),
            Self::Scale(v) => values.into_iter().map(|x| x * v).collect(),
            Self::Squeeze(_) | Self::Merge(_) | Self::Ones(..) => values,
            Self::Reverse(axis) => {
                let line = shape.iter().skip(axis + 1).product::<usize>().max(1);
                let plane = shape.get(*axis).copied().unwrap_or(1).max(1) * line;
                let planes = values.chunks(plane);
                planes.flat_map(|p| p.chunks(line).rev().flatten().copied()).collect()
            }
        }
    }
}

/// The numbers with their dimensions in another order.
pub(super) fn permute(shape: &[usize], order: &[usize], values: &[f32]) -> Vec<f32> {
    let rows = array::Layout::rows(&shape.iter().map(|&n| n as u64).collect::<Vec<_>>());
    let pick = |all: &[u64]| order.iter().map(|&d| all[d]).collect();
    let view = array::Layout { shape: pick(&rows.shape), strides: pick(&rows.strides) };
    let mut out = Vec::with_capacity(values.len());
    view.walk(|at| out.push(values[at]));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Layout = Layout {
        name: "test",
        detect: |l| l.has("style.1.weight"),
        rules: &[
            Rule::name("style.{n}.weight", "mapping.fc{n-1}.weight"),
            Rule::changed("{*}.b{r}.{layer}/kernel", "{*}.{layer}{r+1}", &[Change::Flip]),
            Rule::spare("{*}resample_filter", "it follows from the settings"),
            Rule::ignored("noises.{*}", "drawn afresh"),
            Rule::name("convs.{n%2=0}.x", "b{n/2+3^}.conv0"),
            Rule::name("convs.{n}.x", "b{n/2+3^}.conv{n%2}"),
            Rule::name("../latent_avg", "w_avg"),
        ],
        settings: |l| Ok(l.config.clone()),
    };

    #[test]
    fn patterns_capture_numbers_parts_and_rests() {
        let named = |name: &str| match TABLE.place(name) {
            Placed::Named(to, _) => to,
            other => format!("{other:?}"),
        };
        assert_eq!(named("style.12.weight"), "mapping.fc11.weight");
        assert_eq!(named("g.x.b8.conv0/kernel"), "g.x.conv09");
        // No rule fits: the name stays, and the loader refuses it.
        for stays in ["style.x.weight", "style.12345.weight", "g.b8.a.b/kernel", "other"] {
            assert_eq!(named(stays), stays);
        }
        let spare = |name: &str| Placed::Spare(name.to_owned(), &[]);
        assert_eq!(TABLE.place("resample_filter"), spare("resample_filter"));
        assert_eq!(TABLE.place("a.b.resample_filter"), spare("a.b.resample_filter"));
        assert_eq!(TABLE.place("noises.noise_3"), Placed::Ignored("drawn afresh"));
        assert_eq!(named("ü.b8.é/kernel"), "ü.é9");
        let convs = ["convs.0.x", "convs.1.x", "convs.2.x", "convs.15.x"].map(named);
        assert_eq!(convs, ["b8.conv0", "b8.conv1", "b16.conv0", "b1024.conv1"]);
        // Outside of the generator, a tensor counts when a rule asks for it by that name.
        assert_eq!(named("../latent_avg"), "w_avg");
        for name in ["../style.1.weight", "../b8.resample_filter", "../d.weight"] {
            let left = Placed::Ignored("it is not part of the generator");
            assert_eq!(TABLE.place(name), left, "{name}");
        }
    }

    #[test]
    fn numbers_of_names_are_calculated_with() {
        let of = |key: &str, n: &'static str| calculated(key, &[("n", n)]);
        assert_eq!([of("n*2-1", "3"), of("n%3", "5"), of("n/2+3^", "0")], ["5", "2", "8"]);
        for (key, n) in [("n/0", "1"), ("n^", "70"), ("n+", "1"), ("m+1", "1"), ("n-4^", "3")] {
            assert_eq!(of(key, n), "", "{key} of {n}");
        }
        assert!(
            leaves("7", "2=1") && !leaves("8", "2=1") && !leaves("8", "2") && !leaves("x", "2=0")
        );
    }

    #[test]
    fn changes_by_hand() {
        let numbers = || (0u8..6).map(f32::from).collect::<Vec<_>>();
        let permute = Change::Permute(&[1, 0]);
        assert_eq!(permute.shape(&[2, 3]), Some(vec![3, 2]));
        assert_eq!(permute.apply(&[2, 3], numbers()), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        // A convolution of TensorFlow, [kh, kw, in, out], becomes [out, in, kh, kw].
        let conv = Change::Permute(&[3, 2, 0, 1]);
        assert_eq!(conv.shape(&[1, 2, 3, 1]), Some(vec![1, 3, 1, 2]));
        assert_eq!(conv.apply(&[1, 2, 3, 1], numbers()), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(Change::Flip.apply(&[1, 2, 3], numbers()), [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
        assert_eq!(Change::Flip.apply(&[3, 1, 2], numbers()), [1.0, 0.0, 3.0, 2.0, 5.0, 4.0]);
        assert_eq!(Change::Add(1.0).apply(&[1], vec![2.0]), [3.0]);
        assert_eq!(Change::Scale(4.0).apply(&[1], vec![2.0]), [8.0]);
        assert_eq!(Change::Squeeze(1).shape(&[1, 1, 4]), Some(vec![4]));
        assert_eq!(Change::Merge(2).shape(&[2, 4, 3]), Some(vec![8, 3]));
        assert_eq!(Change::Merge(1).shape(&[2, 4]), Some(vec![8]));
        assert_eq!(Change::Ones(1, 2).shape(&[1, 3, 1, 1]), Some(vec![3]));
        assert_eq!(Change::Ones(1, 0).shape(&[1]), Some(vec![]));
        assert_eq!(Change::Reverse(0).apply(&[3, 2], numbers()), [4.0, 5.0, 2.0, 3.0, 0.0, 1.0]);
        assert_eq!(Change::Reverse(1).apply(&[2, 3], numbers()), [2.0, 1.0, 0.0, 5.0, 4.0, 3.0]);
        for (change, shape) in [
            (Change::Squeeze(1), &[2, 4][..]),
            (Change::Ones(1, 0), &[2, 4]),
            (Change::Ones(2, 1), &[1, 1]),
            (Change::Reverse(2), &[2, 4]),
            (Change::Squeeze(3), &[2, 4]),
            (Change::Merge(4), &[2, 4]),
            (Change::Merge(0), &[2, 4]),
            (Change::Flip, &[4]),
            (permute, &[4]),
            (Change::Permute(&[0, 0]), &[2, 2]),
        ] {
            assert_eq!(change.shape(shape), None, "{change:?} of {shape:?}");
        }
    }
}
