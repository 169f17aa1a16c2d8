//! The layers of a file, from the names and shapes of its tensors.

use super::config::Shapes;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Folders of a file that are looked at.
const FOLDERS: usize = 1000;

/// A layer with tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its module: the names of its tensors without their last part.
    pub module: String,
    /// Kind of the layer's tensors.
    pub kind: Kind,
}

/// Kind of a layer, from its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Weight `[O, I]`.
    Linear([usize; 2]),
    /// Weight `[A, B, h, w]`, of a convolution or a transposed one.
    Conv([usize; 4]),
    /// Mean and variance of that many channels.
    Norm(usize),
    /// A table `[classes, size]`.
    Table([usize; 2]),
}

/// The parts of a path: words, and numbers as numbers.
fn tokens(path: &str) -> Vec<(u64, &str)> {
    let mut out = Vec::new();
    for word in path.split('.') {
        let mut rest = word;
        while !rest.is_empty() {
            let digit = rest.as_bytes()[0].is_ascii_digit();
            let end = rest.bytes().position(|b| b.is_ascii_digit() != digit).unwrap_or(rest.len());
            let (head, tail) = rest.split_at(end);
            let number = if digit { head.parse().unwrap_or(u64::MAX) } else { 0 };
            out.push((number, if digit { "" } else { head }));
            rest = tail;
        }
        out.push((0, "."));
    }
    out
}

/// The order in which people number their layers: `conv2` before `conv10`.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (x, y) = (tokens(a), tokens(b));
    let by_word = |(m, v): &(u64, &str), (n, w): &(u64, &str)| v.cmp(w).then(m.cmp(n));
    x.iter()
        .zip(&y)
        .map(|(p, q)| by_word(p, q))
        .find(|o| o.is_ne())
        .unwrap_or(x.len().cmp(&y.len()))
}

/// The name of a module without its numbers: `main.#` for `main.3`.
pub(super) fn series(module: &str) -> String {
    let word = |(number, word): (u64, &str)| match (number, word) {
        (_, "") => "#".to_owned(),
        (_, word) => word.to_owned(),
    };
    tokens(module).into_iter().map(word).collect()
}

/// The folders that some modules are in, `""` for the top one, the outermost first.
pub(super) fn folders<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut all = BTreeSet::from([""]);
    for name in names {
        all.extend(name.match_indices('.').map(|(at, _)| &name[..at]));
    }
    let mut all: Vec<String> = all.into_iter().take(FOLDERS).map(str::to_owned).collect();
    all.sort_by_key(String::len);
    all
}

/// Whether a name is in a folder.
pub(super) fn inside(name: &str, folder: &str) -> bool {
    folder.is_empty() || name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('.'))
}

/// The layers of a folder in natural order; `None` when a tensor there belongs to none that a
/// plain generator has.
pub(super) fn parts(names: &[&str], shape: &Shapes<'_>) -> Option<Vec<Part>> {
    let mut modules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in names {
        let (module, tensor) = name.rsplit_once('.')?;
        modules.entry(module).or_default().push(tensor);
    }
    let part = |(module, tensors): (&str, Vec<&str>)| {
        Some(Part { module: module.to_owned(), kind: kind(module, &tensors, shape)? })
    };
    let mut parts = modules.into_iter().map(part).collect::<Option<Vec<_>>>()?;
    parts.sort_by(|a, b| natural(&a.module, &b.module));
    Some(parts)
}

fn kind(module: &str, tensors: &[&str], shape: &Shapes<'_>) -> Option<Kind> {
    const NORM: [&str; 5] =
        ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"];
    let dims = |tensor: &str| {
        tensors.contains(&tensor).then(|| shape(&format!("{module}.{tensor}"))).flatten()
    };
    if let (Some(mean), Some(_)) = (dims("running_mean"), dims("running_var")) {
        let known = tensors.iter().all(|t| NORM.contains(t));
        return (known && mean.len() == 1).then(|| Kind::Norm(mean[0]));
    }
    if !tensors.iter().all(|t| ["weight", "bias"].contains(t)) {
        return None;
    }
    match dims("weight")?[..] {
        [a, b] if !tensors.contains(&"bias") && is_table(module) => Some(Kind::Table([a, b])),
        [a, b] => Some(Kind::Linear([a, b])),
        [a, b, h, w] => Some(Kind::Conv([a, b, h, w])),
        _ => None,
    }
}

/// Whether a module is called as tables of classes are: `label_emb`, `embed`, `embedding`.
fn is_table(module: &str) -> bool {
    module.rsplit('.').any(|word| {
        let word = word.to_ascii_lowercase();
        word.contains("emb") || word == "label" || word == "labels"
    })
}

/// The folder of a module and its number there: `main.4` → (`main`, 4).
pub(super) fn place(module: &str) -> (&str, Option<usize>) {
    match module.rsplit_once('.') {
        Some((folder, number)) => (folder, number.parse().ok()),
        None => ("", module.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        let mut names =
            ["main.10", "main.3", "deconv2", "deconv1_bn", "deconv1", "main.0.a", "main.0"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(
            names,
            ["deconv1", "deconv1_bn", "deconv2", "main.0", "main.0.a", "main.3", "main.10"]
        );
    }

    #[test]
    fn folders_contain_whole_words() {
        let all = folders(["a.b.c", "a.bb.c"].into_iter());
        assert_eq!(all, ["", "a", "a.b", "a.bb"]);
        assert!(inside("a.b.c", "a.b") && !inside("a.bb.c", "a.b") && inside("x", ""));
        assert_eq!((series("b1.conv12"), series("main.3")), ("b#.conv#.".into(), "main.#.".into()));
        assert_eq!((place("net.main.4"), place("deconv")), (("net.main", Some(4)), ("", None)));
    }
}
