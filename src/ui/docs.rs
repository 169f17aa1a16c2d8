//! Built-in functions as help, completion and hints show them: signatures, parameters and texts.

use crate::builtin::{Builtin, Kind, Param};
use crate::render::text::{cut, width};

/// `name(a, ‹b: Number = 1›, …) → Latent` in at most `columns` columns; the current parameter is
/// always visible.
pub(super) fn signature(builtin: &Builtin, current: Option<&Param>, columns: usize) -> String {
    let s = &builtin.signature;
    let word = |p: &Param| {
        let is_current = current.is_some_and(|c| c.name == p.name);
        if is_current {
            format!("‹{}›", parameter(p))
        } else {
            p.name.to_owned() + if p.variadic { "…" } else { "" }
        }
    };
    let words: Vec<String> = s.params.iter().map(word).collect();
    let at = s.params.iter().position(|p| current.is_some_and(|c| c.name == p.name)).unwrap_or(0);
    let whole = |from: usize, to: usize| {
        let (left, right) =
            (if from > 0 { "…, " } else { "" }, if to < words.len() { ", …" } else { "" });
        format!("{}({left}{}{right}) → {}", s.name, words[from..to].join(", "), s.returns)
    };
    let (mut from, mut to) = (0, words.len());
    // Parameters far from the current one are left out first.
    while width(&whole(from, to)) > columns && to - from > 1 {
        if to - 1 - at >= at - from { to -= 1 } else { from += 1 }
    }
    cut(&whole(from, to), columns)
}

/// `space: Space = W`, as in help and hints.
pub fn parameter(p: &Param) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for kind in p.accepts {
        match kind {
            Kind::Choice => kinds.extend(p.choices.iter().map(|c| (*c).to_owned())),
            k => kinds.push(k.name().to_owned()),
        }
    }
    let default = match p.default {
        Some("-") => "?".to_owned(),
        Some(d) => format!(" = {d}"),
        None => String::new(),
    };
    let dots = if p.variadic { "…" } else { "" };
    if default == "?" {
        format!("{}{dots}?: {}", p.name, kinds.join("|"))
    } else {
        format!("{}{dots}: {}{default}", p.name, kinds.join("|"))
    }
}
