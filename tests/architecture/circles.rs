//! No file imports itself through others.
//!
//! Every path that begins with `crate`, `super` or `self`, or with a module that the file declares,
//! is followed to the file whose module it names. A name that a `mod.rs` re-exports counts as that
//! `mod.rs`. One kind of import is exempt: a file may import from the `mod.rs` of a folder that it
//! lies in, because that `mod.rs` is what binds its children together. If the name is there only
//! re-exported, the import counts as one of the file that it comes from. So a circle always runs
//! through files of which none contains the other.

use super::Token;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What each file imports, with the line of the first import.
type Graph<'f> = BTreeMap<&'f str, BTreeMap<&'f str, usize>>;

/// A path as written, from `crate` on: its names, and its line.
type Written = (Vec<String>, usize);

/// One complaint for each group of files that import each other.
pub fn circles(files: &[(&str, Vec<Token>)]) -> Vec<String> {
    let graph = graph(files);
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for &file in graph.keys() {
        if seen.contains(file) {
            continue;
        }
        if let Some(circle) = shortest(&graph, file) {
            let line = graph[file][circle[1]];
            seen.extend(circle.iter().copied());
            out.push(format!("src/{file}:{line}: a circle of imports: {}", circle.join(" → ")));
        }
    }
    out
}

/// The shortest way from a file back to it.
fn shortest<'f>(graph: &Graph<'f>, file: &'f str) -> Option<Vec<&'f str>> {
    let mut from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([file]);
    while let Some(at) = queue.pop_front() {
        for &next in graph.get(at).into_iter().flat_map(BTreeMap::keys) {
            if next == file {
                let mut way = vec![file, at];
                while way[way.len() - 1] != file {
                    way.push(from[way[way.len() - 1]]);
                }
                way.reverse();
                return Some(way);
            }
            if !from.contains_key(next) {
                from.insert(next, at);
                queue.push_back(next);
            }
        }
    }
    None
}

fn graph<'f>(files: &'f [(&'f str, Vec<Token>)]) -> Graph<'f> {
    let modules: BTreeMap<Vec<&str>, &str> =
        files.iter().map(|(name, _)| (module(name), *name)).collect();
    let written: BTreeMap<&str, Vec<Written>> =
        files.iter().map(|(name, code)| (*name, paths(name, code))).collect();
    let mut graph = Graph::new();
    for (&file, paths) in &written {
        let edges = graph.entry(file).or_default();
        for (path, line) in paths {
            let Some(mut target) = resolve(&modules, path) else { continue };
            if contains(target.0, file) {
                let Some(name) = path.get(target.1) else { continue };
                // A name that the folder's own `mod.rs` takes from elsewhere.
                let passed = |p: &&Written| p.0.last() == Some(name);
                let source = written[target.0].iter().find(passed);
                match source.and_then(|(p, _)| resolve(&modules, p)) {
                    Some(found) if !contains(found.0, file) => target = found,
                    _ => continue,
                }
            }
            if target.0 != file {
                edges.entry(target.0).or_insert(*line);
            }
        }
    }
    graph
}

/// The file that a path names, and how many of the path's names lead to it.
fn resolve<'f>(
    modules: &BTreeMap<Vec<&str>, &'f str>,
    path: &[String],
) -> Option<(&'f str, usize)> {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    (1..=names.len()).rev().find_map(|n| Some((*modules.get(&names[..n])?, n)))
}

/// Whether a file is the other, or the module in whose folder that one lies.
fn contains(parent: &str, file: &str) -> bool {
    module(file).starts_with(&module(parent))
}

/// The module of a file: its folders and its own name.
fn module(file: &str) -> Vec<&str> {
    let mut path: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    if path.last() == Some(&"mod") || (path.len() > 1 && path.last() == Some(&"lib")) {
        path.pop();
    }
    path
}

/// All paths of a file that may lead to another, from the root on.
fn paths(file: &str, code: &[Token]) -> Vec<Written> {
    let own: Vec<String> = module(file).iter().map(|s| (*s).to_owned()).collect();
    // The operators are a crate of their own, with its own root.
    let root = if own.first().is_some_and(|s| s == "tensor") { &own[..1] } else { &[] };
    let children = children(code);
    let mut out = Vec::new();
    let mut inline: Vec<usize> = Vec::new(); // brace depths at which an inline module opened
    let mut depth = 0;
    for (i, t) in code.iter().enumerate() {
        let text = |k: usize| code.get(k).map_or("", |t| t.text.as_str());
        if t.text == "{" {
            depth += 1;
            if i >= 2 && text(i - 2) == "mod" {
                inline.push(depth);
            }
        } else if t.text == "}" {
            inline.pop_if(|d| *d == depth);
            depth -= 1;
        }
        if text(i + 1) != "::" || (i > 0 && [".", "::"].contains(&text(i - 1))) {
            continue;
        }
        let (base, begin) = match t.text.as_str() {
            "crate" => (root.to_vec(), i + 2),
            "self" if inline.is_empty() => (own.clone(), i + 2),
            "super" => {
                let levels = (0..).take_while(|n| text(i + 2 * n) == "super").count();
                let up = levels.saturating_sub(inline.len());
                (own[..own.len().saturating_sub(up)].to_vec(), i + 2 * levels)
            }
            name if inline.is_empty() && children.contains(name) => (own.clone(), i),
            _ => continue,
        };
        let mut found = Vec::new();
        follow(code, begin, &base, &mut found);
        out.extend(found.into_iter().map(|p| (p, t.line)));
    }
    out
}

/// The modules that a file declares.
fn children(code: &[Token]) -> BTreeSet<&str> {
    let declared = code.windows(3).filter(|w| w[0].text == "mod" && w[2].text == ";");
    declared.map(|w| w[1].text.as_str()).collect()
}

/// Every path that what follows spells out: `a::b`, `a::{b, c::d}`. Returns where it ends.
fn follow(code: &[Token], mut at: usize, base: &[String], out: &mut Vec<Vec<String>>) -> usize {
    let text = |k: usize| code.get(k).map_or("", |t| t.text.as_str());
    let mut path = base.to_vec();
    loop {
        match text(at) {
            "{" => {
                at += 1;
                while !["}", ""].contains(&text(at)) {
                    at = if text(at) == "," { at + 1 } else { follow(code, at, &path, out) };
                }
                return at + 1;
            }
            "self" => at += 1,
            name => {
                path.push(name.to_owned());
                at += 1;
            }
        }
        if text(at) != "::" {
            break;
        }
        at += 1;
    }
    if text(at) == "as" {
        at += 2;
    }
    out.push(path);
    at
}
