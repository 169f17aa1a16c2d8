//! Settings to compare: a method with its number of steps, in a space.

use super::setup::{SPACES, cross, inverted, named_method, named_spaces};
use crate::error::{Error, Kind, Result};
use crate::invert::methods::{ENCODER, HYBRID, OPTIMIZE};
use crate::invert::{Config, Method};
use crate::lang::types::ModelFacts;
use crate::safe::Safe;
use crate::space::Space;
use std::ops::RangeInclusive;

/// Default comparison: methods that need an encoder, and methods that do not.
const ENCODED: [(&Method, usize); 5] =
    [(&ENCODER, 1), (&ENCODER, 3), (&ENCODER, 5), (&HYBRID, 100), (&HYBRID, 300)];
const PLAIN: [(&Method, usize); 1] = [(&OPTIMIZE, 1000)];

/// One way to invert, a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// How.
    pub method: &'static Method,
    /// The space that is searched.
    pub space: Space,
    /// Gradient steps, of the encoder its passes; as many as the method has by itself unless given.
    pub steps: Option<usize>,
}

impl Setting {
    /// The inversion to run; `passes` of an encoder come before the steps of a hybrid.
    pub fn config(&self, passes: Option<usize>, seed: u64) -> Config {
        let mut config = Config::new(self.space, self.method);
        config.seed = seed;
        if self.method.steps.is_none() {
            config.passes = self.steps.or(passes);
        } else {
            config.passes = passes.filter(|_| self.method.encoder);
            config.steps = self.steps.unwrap_or(config.steps);
        }
        config
    }
}

/// The settings that `METHOD[:STEPS]` and names of spaces mean, methods outermost, in their
/// order.
///
/// Without methods the field's table: the encoder at 1, 3 and 5 passes, hybrid at 100 and 300
/// steps, optimize at 1000 (the last only for models without an encoder). Without spaces W and W+,
/// the encoder's methods in W+ only.
///
/// # Errors
/// When a name is unknown, the number of steps is invalid, the model has no encoder for a named
/// method, or no method works in these spaces.
pub fn settings(methods: &[String], spaces: &[String], facts: &ModelFacts) -> Result<Vec<Setting>> {
    let methods = if methods.is_empty() {
        let encoded = ENCODED.iter().filter(|_| facts.encoder);
        encoded.chain(&PLAIN).map(|&(method, steps)| (method, Some(steps))).collect()
    } else {
        methods.iter().map(|m| method(m, facts)).collect::<Result<Vec<_>>>()?
    };
    let wanted = if spaces.is_empty() { usual(facts) } else { named_spaces(spaces, facts)? };
    // The codes of a model's own encoder are of W+.
    let works = |m: &Method, space| m.works_in(space) && inverted(m, space) == space;
    let found = cross(&methods, &wanted, !spaces.is_empty(), &works)?;
    Ok(found.into_iter().map(|(method, steps, space)| Setting { method, space, steps }).collect())
}

/// W and W+, or what there is of a generator that has neither.
fn usual(facts: &ModelFacts) -> Vec<Space> {
    let own = SPACES.into_iter().filter(|s| facts.spaces.contains(s));
    let (layered, rest): (Vec<Space>, Vec<Space>) =
        own.partition(|s| matches!(s, Space::W | Space::WPlus));
    if layered.is_empty() { rest } else { layered }
}

/// `METHOD[:STEPS]`
fn method(word: &str, facts: &ModelFacts) -> Result<(&'static Method, Option<usize>)> {
    let (head, tail) = word.split_once(':').map_or((word, None), |(h, t)| (h, Some(t)));
    let method = named_method(head, facts)?;
    let range = allowed(method);
    let number = |text: &str| {
        text.parse().ok().filter(|n| range.contains(n)).ok_or_else(|| {
            let (from, to) = (range.start(), range.end());
            Error::new(
                Kind::Usage,
                format!("{}: the part after the colon is not a number of steps", Safe(word)),
            )
            .hint(format!("{head}:N, N a whole number from {from} to {to}"))
        })
    };
    Ok((method, tail.map(number).transpose()?))
}

/// Permitted numbers of steps.
fn allowed(method: &Method) -> RangeInclusive<usize> {
    if method.steps.is_none() { 1..=100 } else { 0..=1_000_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(methods: &[&str], spaces: &[&str], encoder: bool) -> Result<Vec<String>> {
        let facts = ModelFacts {
            encoder,
            ..(*crate::value::Models::cpu().load("toy").unwrap().facts).clone()
        };
        let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let shown = |s: &Setting| format!("{} {} {:?}", s.method.name, s.space, s.steps);
        Ok(settings(&own(methods), &own(spaces), &facts)?.iter().map(shown).collect())
    }

    #[test]
    fn the_default_is_the_fields_table() {
        let optimized = ["optimize W Some(1000)", "optimize W+ Some(1000)"];
        assert_eq!(names(&[], &[], false).unwrap(), optimized);
        let mut all: Vec<String> =
            [1, 3, 5].iter().map(|n| format!("encoder W+ Some({n})")).collect();
        all.extend([100, 300].iter().map(|n| format!("hybrid W+ Some({n})")));
        all.extend(optimized.map(str::to_owned));
        assert_eq!(names(&[], &[], true).unwrap(), all);
    }

    #[test]
    fn rows_keep_the_order_asked_for_and_come_once() {
        let found =
            names(&["projector:9", "hybrid", "encoder:2", "hybrid"], &["W+", "W"], true).unwrap();
        let wanted = [
            "projector W Some(9)",
            "hybrid W+ None",
            "hybrid W None",
            "encoder W+ Some(2)",
            "encoder W Some(2)",
        ];
        assert_eq!(found, wanted);
        assert_eq!(
            names(&["optimize:0", "encoder:1"], &["S"], true).unwrap(),
            ["optimize S Some(0)"]
        );
    }

    #[test]
    fn mistakes_are_answered() {
        let hint = |method: &str, space: &[&str], encoder| {
            let e = names(&[method], space, encoder).unwrap_err();
            assert_eq!(e.kind(), Kind::Usage);
            e.repair().unwrap().to_owned()
        };
        assert_eq!(hint("hybird:100", &[], true), "did you mean `hybrid`?");
        assert_eq!(hint("encoder:3", &[], false), "--methods optimize");
        assert!(hint("optimize:conditional", &[], true).contains("optimize:N, N a whole number"));
        assert!(hint("encoder:0", &[], true).contains("1 to 100"));
        let reach = hint("hybrid", &["S"], true);
        assert!(reach.contains("hybrid and") && reach.contains(" in W+ and W"), "{reach}");
        assert!(hint("optimize", &["Q"], true).contains("W+"));
    }

    #[test]
    fn steps_of_the_encoder_are_passes() {
        let config =
            |method, steps| Setting { method, space: Space::WPlus, steps }.config(Some(4), 9);
        let taken = |c: Config| (c.passes_taken(), c.steps_taken(), c.seed);
        assert_eq!(taken(config(&ENCODER, Some(2))), (2, 0, 9));
        assert_eq!(taken(config(&ENCODER, None)), (4, 0, 9));
        assert_eq!(taken(config(&HYBRID, Some(7))), (4, 7, 9));
        assert_eq!(taken(config(&OPTIMIZE, None)), (0, 400, 9));
    }
}
