//! The words of the field that are no function: `?psi`, `?W+`, `?offset`.

use super::docs::parameter;
use crate::builtin::Param;
use crate::builtins;
use crate::invert::{METHODS, Method};
use crate::render::text::{one_line, wrap};
use crate::safe::Safe;

/// Width of the help, in columns.
const COLUMNS: usize = 79;

/// A word, its explanation, and a line that shows it; empty without one.
struct Term {
    names: &'static [&'static str],
    about: &'static str,
    example: &'static str,
}

const fn term(names: &'static [&'static str], about: &'static str, example: &'static str) -> Term {
    Term { names, about, example }
}

const TERMS: [Term; 30] = [
    term(
        &["Z"],
        "the space of the prior: codes drawn from a normal distribution. The mapping network turns \
         a z into a w.",
        "sample(seed: 1, space: Z)",
    ),
    term(
        &["W"],
        "the space after the mapping network: one vector that every layer reads. Edits along \
         directions of W keep a picture natural; a photograph is met only roughly.",
        "sample(seed: 1)",
    ),
    term(
        &["W+", "w+"],
        "a w for each layer, so that layers can differ. Comes closer to a photograph than W; edits \
         stay safe while the rows differ little (?offset). The first rows move pose and shape, the \
         last ones colour.",
        "mix(sample(seed: 1), sample(seed: 2), layers: 0..4)",
    ),
    term(
        &["S", "styles"],
        "the scales of single channels, which the layers compute from w. The most local edits are \
         made here.",
        "to(S, sample(seed: 1))",
    ),
    term(
        &["N"],
        "W+ together with the noise maps, as inversions search it: noise takes up what no code \
         makes, such as hair strands, and carries no edit.",
        "",
    ),
    term(
        &["psi", "truncation"],
        "pulls codes towards the mean: w = mean + psi·(w − mean). 1 changes nothing, 0.7 gives \
         typical faces, 0 is the mean face.",
        "show [sample(seed: 3, psi: p) for p in 0..1 by 0.25]",
    ),
    term(
        &["NSCD", "nscd"],
        "how far the styles of a code turn away from those of samples: 1 − cosine to their usual \
         direction, averaged over the layers (LSAP). Near the value of a sample a code is edited \
         safely. `:details` of an inversion says both; `invert(x, nscd: …)` holds it down.",
        "ladder(sample(seed: 3), steps: 3)[\"nscd\"]",
    ),
    term(
        &["offset", "offsets"],
        "how far the rows of a W+ code lie from their mean, in σ of w. Edits stay safe below 0.5; \
         `invert(x, offset: …)` holds the rows together, at the cost of closeness.",
        "",
    ),
    term(
        &["sigma", "σ"],
        "a standard deviation. Distances of codes are in σ of w over random samples: a typical \
         sample lies about 1 σ from the mean, one beyond 2.5 is unlike the training.",
        "",
    ),
    term(
        &["direction", "edit"],
        "a step in a latent space that changes one attribute: `w + 2*smile`. `?direction` is the \
         function.",
        "strip(sample(seed: 2), along: direction(\"smile\"), n: 7)",
    ),
    term(
        &["conditional", "hold", "|"],
        "`smile | [age, glasses]` is smile without what it shares with age and glasses: the part of \
         the direction that is orthogonal to both.",
        "smile = direction(\"smile\") | direction(\"age\"); cosine(smile, direction(\"age\"))",
    ),
    term(
        &["layers", "layer", "@"],
        "`smile @ 0..4` moves only rows 0 to 3 of a W+ code, counted from 0; `w[4..8]` takes rows.",
        "show sample(seed: 1) + 3*(direction(\"smile\") @ 0..4)",
    ),
    term(
        &["code", "latent"],
        "a point of a latent space: the numbers that the generator turns into a picture.",
        "sample(seed: 1)",
    ),
    term(
        &["noise"],
        "random maps that the layers add: single hairs, pores. They change no attribute.",
        "",
    ),
    term(
        &["inversion", "reconstruction"],
        "the search for the code whose picture is nearest to a photograph; the reconstruction is \
         that picture.",
        "r = invert(image(\"models/faces/examples/900000.jpg\"))",
    ),
    term(
        &["rung", "rungs"],
        "a space in the chain Z, W, W+, S, F (a feature map) and pti (the generator's weights): \
         each reaches a photograph better than the one before and is edited less safely. \
         `ladder(x)` inverts a picture in all of them, `diagnose(x)` says which would help.",
        "ladder(sample(seed: 3), steps: 20)",
    ),
    term(
        &["seed"],
        "the number that random codes depend on: the same seed gives the same picture. `--seed` and \
         `:set seed` set it for all functions that are not given one.",
        "show sample(seed: 1), sample(seed: 2)",
    ),
    term(
        &["cell", "_"],
        "a statement of the session. Its result has the number of the cell: `_3` is that of cell 3, \
         `_` the last one.",
        "",
    ),
    term(
        &["perceptual"],
        "a distance in the features of a network rather than in pixels: what is alike to the eye is \
         near. 0 is the same picture.",
        "",
    ),
    term(
        &["identity"],
        "whether two pictures show the same person: the cosine of two embeddings. 1 is the same, \
         about 0 two people at random.",
        "",
    ),
    term(
        &["param"],
        "`param strength = 2` is a parameter of a script, with its default: `gannet run edit.gnt \
         --set strength=3` gives it another value.",
        "",
    ),
    term(
        &["def"],
        "`def younger(w, a) = w - a*direction(\"age\")` makes a function; its body is one \
         expression, which sees the names as they are when it is called.",
        "def older(w) = w + 2*direction(\"age\"); show sample(seed: 1), older(sample(seed: 1))",
    ),
    term(
        &["assert"],
        "`assert psnr(x, r) > 25` ends a program when it does not hold, and shows both sides.",
        "assert 2 > 1",
    ),
    term(
        &["for", "in", "if", "by"],
        "`[f(a) for a in -3..3 by 1.5 if a > -2]` is a list with a value for each element; a range \
         has its end, and steps of 1 without `by`.",
        "show [sample(seed: s) for s in 1..4]",
    ),
    term(
        &["import", "library"],
        "`import \"lib.gnt\"` brings the functions and names of another file: its `def`, `name = …` \
         and `param` statements, and what it imports itself. The path leads from the folder of the \
         file that imports. A file is read once, sees no names but its own, and is checked as a \
         whole before anything runs. Statements that show, save or load are refused in it. Two \
         files, or a file and the program, may not define the same name; at the prompt a new import \
         replaces what an earlier one brought. A session keeps the texts that it imported.",
        "",
    ),
    term(
        &["generator", "checkpoint", "model", "models", "faces", "embedded"],
        "the network that turns codes into pictures, and the file with its weights. faces is inside \
         gannet and loaded unless another is named: `load \"NAME\"` or `--model NAME` opens one; \
         `gannet models` lists them.",
        "load \"faces\"",
    ),
    term(
        &["photo", "photograph", "face", "jpg", "png"],
        "`image(\"me.jpg\")` reads a picture of any size and frames the face in it; `invert` finds \
         the code that is nearest to it; `save(render(w), \"w.png\")` writes the picture of a code.",
        "r = invert(image(\"models/faces/examples/900000.jpg\"))",
    ),
    term(
        &["script"],
        "`:save edit.gnt` writes the cells of this session; `gannet run edit.gnt` runs them again, \
         with the same result to the last byte. What took long comes from the cache.",
        "",
    ),
    term(
        &["notebook"],
        "`gannet open edit.gnt` shows a script as text, code and results on the whole screen; \
         `:save edit.gnt` makes one of this session.",
        "",
    ),
    term(
        &["report", "export", "html", "markdown", "jupyter", "ipynb"],
        "`gannet export latest -o report.html` writes the last session, with its pictures, as one \
         file; `gannet export edit.gnt -o report.html` a notebook. The endings .md and .ipynb give \
         Markdown and a Jupyter notebook.",
        "",
    ),
];

/// All words, for completion.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TERMS.iter().flat_map(|t| t.names).copied()
}

/// The term of that name; capital letters count only where both exist.
fn find(name: &str) -> Option<&'static Term> {
    let exact = TERMS.iter().find(|t| t.names.contains(&name));
    exact.or_else(|| TERMS.iter().find(|t| t.names.iter().any(|n| n.eq_ignore_ascii_case(name))))
}

/// What a word means: of the field, a direction of the generator, a method, or a parameter.
pub(super) fn about(name: &str, directions: &[String]) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    if let Some(term) = find(name) {
        lines.extend(wrap(&format!("{} · {}", term.names[0], one_line(term.about)), COLUMNS));
    } else if directions.iter().any(|d| d == name) {
        let text = format!(
            "{} · a direction of the generator, direction(\"{0}\"): info(direction(\"{0}\")) shows \
             what was measured about it",
            Safe(name)
        );
        lines.extend(wrap(&text, COLUMNS));
    }
    if let Some(method) = METHODS.iter().find(|m| m.name == name) {
        let text = format!("{name} · a method of invert: {}", one_line(method.summary));
        lines.extend(wrap(&text, COLUMNS));
        lines.extend(wrap(&format!("paper: {}", method.paper), COLUMNS));
        lines.extend(wrap(&format!("defaults: {}", defaults(method)), COLUMNS));
    }
    lines.extend(parameters(name));
    if lines.is_empty() {
        return None;
    }
    if let Some(code) = example(name, directions) {
        lines.push(String::new());
        lines.extend(wrap(&format!("  1  {code}"), COLUMNS));
        lines.push(format!("?{} 1 puts it on the prompt: Enter runs it", Safe(name)));
    }
    Some(lines)
}

/// The spaces of a method, the first its usual one, its numbers, and the weights that are its own.
fn defaults(method: &Method) -> String {
    let usual = method.usual_space(method.spaces);
    let others = method.spaces.iter().filter(|s| **s != usual).map(|s| s.name());
    let others: Vec<&str> = others.collect();
    let mut all = vec![match &others[..] {
        [] => format!("space: {usual}"),
        _ => format!("space: {usual} (or {})", others.join(", ")),
    }];
    all.extend(method.steps.map(|n| format!("steps: {n}")));
    all.extend(method.lr.map(|lr| format!("lr: {}", lr(usual))));
    let own = method.params.iter().filter_map(|p| Some((p.name, p.default?)));
    all.extend(
        own.filter(|(_, usual)| *usual != "-").map(|(name, usual)| format!("{name}: {usual}")),
    );
    all.extend(method.weights.iter().map(|(name, weight)| format!("{name}: {weight}")));
    all.join(", ")
}

/// The parameters of that name, one line for each text, with the functions that have it.
fn parameters(name: &str) -> Vec<String> {
    let mut found: Vec<(&Param, Vec<&str>)> = Vec::new();
    for b in builtins::ALL {
        for p in b.signature.params.iter().filter(|p| p.name == name) {
            match found.iter_mut().find(|(known, _)| known.doc == p.doc) {
                Some((_, functions)) => functions.push(b.signature.name),
                None => found.push((p, vec![b.signature.name])),
            }
        }
    }
    let line = |(p, functions): (&Param, Vec<&str>)| {
        let text = format!("{} of {}: {}", parameter(p), functions.join(", "), one_line(p.doc));
        wrap(&text, COLUMNS)
    };
    found.into_iter().flat_map(line).collect()
}

/// A line that shows what a word means.
pub(super) fn example(name: &str, directions: &[String]) -> Option<String> {
    if let Some(term) = find(name) {
        return Some(term.example.to_owned()).filter(|e| !e.is_empty());
    }
    let known = directions.iter().any(|d| d == name);
    known.then(|| format!("strip(sample(seed: 2), along: direction(\"{name}\"), n: 7)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{Options, State};
    use crate::lang::span::Source;
    use crate::render::text::width;
    use crate::value::Models;
    use std::collections::BTreeMap;

    #[test]
    fn every_word_is_explained_once_and_its_example_is_correct() {
        let state = State::new(Models::cpu(), "faces", Options::default()).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for term in &TERMS {
            for name in term.names {
                assert!(seen.insert(name), "{name} twice");
                let lines = about(name, &[]).unwrap();
                assert!(lines.iter().all(|l| width(l) <= COLUMNS), "{lines:#?}");
            }
            if !term.example.is_empty() {
                let source = Source::new("example", term.example).unwrap();
                state.check(&source, &BTreeMap::new()).unwrap();
            }
        }
        assert!(about("steps", &[]).unwrap().concat().contains("invert"));
        assert!(about("hybrid", &[]).unwrap()[0].contains("method of invert"));
        let ii2s = about("ii2s", &[]).unwrap().join(" ");
        assert!(ii2s.contains("Zhu et al. 2020") && ii2s.contains("steps: 1300, lr: 0.01"));
        assert!(ii2s.contains("space: PN+ (or PN)") && ii2s.contains("prior_pn: 0.001"));
        assert!(about("nothing", &["other".into()]).is_none());
    }
}
