//! The parameters of `invert`: its own, the weights of the terms, and those of the methods, put
//! together from the constants in their files.

use crate::builtin::{Kind, Param};
use crate::builtins::shared::CLASS;
use crate::invert::{METHODS, TERMS};

/// Passes of an encoder that may be asked for; more than a few hardly change anything.
pub(super) const MOST_PASSES: u64 = 1000;

/// All parameters, in the order in which they are explained.
pub(super) const ALL: [Param; COUNT] = all();

const COUNT: usize = FIRST.len() + TERMS.len() + LAST.len() + methods_own();

/// Those before the weights of the terms.
const FIRST: [Param; 9] = [
    Param::required(
        "picture",
        &[Kind::Image, Kind::Latent, Kind::List],
        "pictures of the generator's size, or a list of them; of a code its picture",
    ),
    Param::optional(
        "space",
        &[Kind::Space],
        "-",
        "Z, W, W+, S (styles) or N (noise maps only); W+ where the generator has one and the \
         method searches it",
    ),
    Param::optional("method", &[Kind::Choice], "auto", METHOD_HELP).choices(&CHOICES),
    Param::optional(
        "steps",
        &[Kind::Number],
        "-",
        "gradient steps, or the method's own number; of `method: encoder` its passes",
    )
    .whole(0, 1_000_000),
    Param::optional(
        "passes",
        &[Kind::Number],
        "-",
        "of the encoder, before any gradient step; as many as it was trained for",
    )
    .whole(0, MOST_PASSES)
    .named(),
    Param::optional(
        "init",
        &[Kind::Choice, Kind::Latent],
        "-",
        "`mean` of w, `random`, `best_of: k` samples, or a code (`latent` with `start`)",
    )
    .choices(&["mean", "random", "best_of:", "latent"])
    .whole(1, 100_000)
    .named(),
    Param::optional("start", &[Kind::Latent], "-", "the code that `init: latent` starts from")
        .named(),
    Param::optional("best_of", &[Kind::Number], "-", "the same as `init: best_of: k`")
        .whole(1, 100_000)
        .named(),
    Param::optional("lr", &[Kind::Number], "-", "peak learning rate").within(0.0, 1e12).named(),
];

/// Those after them.
const LAST: [Param; 5] = [
    Param::optional(
        "mask",
        &[Kind::Mask],
        "-",
        "what of the picture counts: outside it no term of the loss has any slope",
    )
    .named(),
    Param::optional("noise", &[Kind::Bool], "-", "search the noise maps as well").named(),
    Param::optional("until", &[Kind::Number], "-", "ends where the loss is no larger")
        .within(0.0, 1e12)
        .named(),
    Param::optional(
        "seed",
        &[Kind::Number],
        "-",
        "of everything random; the session's unless given",
    )
    .seed()
    .named(),
    CLASS,
];

/// What `auto` is, then every method's own words.
const METHOD_HELP: &str = text(&HELP);
const HELP: [u8; length(&HELP_PARTS)] = joined(&HELP_PARTS);
const HELP_PARTS: [&str; 1 + 4 * METHODS.len()] = {
    let mut parts = ["`auto`: hybrid where there is an encoder, the space is W or W+ and no start is given, \
         else optimize"; 1 + 4 * METHODS.len()];
    let mut i = 0;
    while i < METHODS.len() {
        let own = ["; `", METHODS[i].name, "`: ", METHODS[i].summary];
        (parts[4 * i + 1], parts[4 * i + 2]) = (own[0], own[1]);
        (parts[4 * i + 3], parts[4 * i + 4]) = (own[2], own[3]);
        i += 1;
    }
    parts
};

/// What one must know, and the publications that the methods follow.
pub(super) const DETAILS: &str = text(&DETAIL_BYTES);
const DETAIL_BYTES: [u8; length(&DETAIL_PARTS)] = joined(&DETAIL_PARTS);
const DETAIL_PARTS: [&str; 1 + 4 * METHODS.len()] = {
    let mut parts = ["An Inversion stands for its code wherever a code is wanted. Ctrl-C stops it and keeps the \
         best so far. Several pictures at once, as `invert([image(\"a.png\"), image(\"b.png\")])`, \
         take less time than one after the other and give exactly what each gives alone: `[one for \
         one in r]` takes them apart. Every term of the loss is traced by itself. An encoder begins \
         at the mean of w (or the start it is given) and corrects the code by looking at target \
         and reconstruction, pass after pass; the best pass by the loss is kept, and where hybrid \
         goes on from. In W the layers' corrections are averaged. With a mask the terms see `target \
         + mask·(picture - target)`, so nothing outside it counts, and losses are means over it. \
         Papers"; 1 + 4 * METHODS.len()];
    let mut i = 0;
    while i < METHODS.len() {
        parts[4 * i + 1] = if i == 0 { ": " } else { "; " };
        (parts[4 * i + 2], parts[4 * i + 3]) = (METHODS[i].name, ": ");
        parts[4 * i + 4] = METHODS[i].paper;
        i += 1;
    }
    parts
};

/// `auto` and the methods' names.
const CHOICES: [&str; 1 + METHODS.len()] = {
    let mut all = ["auto"; 1 + METHODS.len()];
    let mut i = 0;
    while i < METHODS.len() {
        all[i + 1] = METHODS[i].name;
        i += 1;
    }
    all
};

const fn methods_own() -> usize {
    let (mut n, mut i) = (0, 0);
    while i < METHODS.len() {
        n += METHODS[i].params.len();
        i += 1;
    }
    n
}

const fn all() -> [Param; COUNT] {
    let mut all = [FIRST[0]; COUNT];
    let mut n = put(&mut all, &FIRST, 0);
    let mut i = 0;
    while i < TERMS.len() {
        n = put(&mut all, &[TERMS[i].param], n);
        i += 1;
    }
    n = put(&mut all, &LAST, n);
    i = 0;
    while i < METHODS.len() {
        n = put(&mut all, METHODS[i].params, n);
        i += 1;
    }
    all
}

/// Writes `own` from `at` on; gives where it ends.
const fn put(all: &mut [Param; COUNT], own: &[Param], at: usize) -> usize {
    let mut i = 0;
    while i < own.len() {
        all[at + i] = own[i];
        i += 1;
    }
    at + own.len()
}

/// Bytes of all parts together.
const fn length(parts: &[&str]) -> usize {
    let (mut n, mut i) = (0, 0);
    while i < parts.len() {
        n += parts[i].len();
        i += 1;
    }
    n
}

/// The parts one after the other.
const fn joined<const N: usize>(parts: &[&str]) -> [u8; N] {
    let (mut out, mut n, mut i) = ([0; N], 0, 0);
    while i < parts.len() {
        let bytes = parts[i].as_bytes();
        let mut k = 0;
        while k < bytes.len() {
            out[n] = bytes[k];
            (n, k) = (n + 1, k + 1);
        }
        i += 1;
    }
    out
}

const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_and_term_is_in_the_parameters_once() {
        for method in METHODS {
            assert!(CHOICES.contains(&method.name) && DETAILS.contains(method.paper));
            assert!(METHOD_HELP.contains(&format!("`{}`: {}", method.name, method.summary)));
        }
        let names: Vec<&str> = ALL.iter().map(|p| p.name).collect();
        let own = METHODS.iter().flat_map(|m| m.params).chain(TERMS.iter().map(|t| &t.param));
        for p in own.chain(&FIRST).chain(&LAST) {
            assert_eq!(names.iter().filter(|n| **n == p.name).count(), 1, "{}", p.name);
        }
        assert!(TERMS.iter().all(|t| t.name == t.param.name));
    }
}
