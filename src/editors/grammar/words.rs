//! The words of the language, by the colour that they get.

use crate::builtin::Builtin;
use crate::builtins;
use crate::lang::lex::KEYWORDS;
use crate::space::Space;
use std::collections::BTreeSet;

/// Words that are literals rather than keywords.
const TRUTHS: [&str; 2] = ["true", "false"];
/// Keywords inside of expressions; the others begin a statement.
const INSIDE: [&str; 4] = ["for", "in", "by", "if"];
/// Keywords that are followed by the name that they bind.
const BINDING: [&str; 2] = ["def", "param"];

/// The words of the language; each list is sorted.
pub(super) struct Words {
    /// Keywords that begin a statement.
    pub(super) statements: Vec<&'static str>,
    /// Keywords that begin a statement and are followed by the name that it binds.
    pub(super) binding: Vec<&'static str>,
    /// Keywords inside of expressions.
    pub(super) inside: Vec<&'static str>,
    /// `true` and `false`.
    pub(super) truths: Vec<&'static str>,
    /// Built-in functions that are called with brackets or after `|>`.
    pub(super) functions: Vec<&'static str>,
    /// Built-in functions that are called by their name alone.
    pub(super) bare: Vec<&'static str>,
    /// Names of arguments.
    pub(super) arguments: Vec<&'static str>,
    /// Words that arguments take: `hybrid` of `method: hybrid`.
    pub(super) choices: Vec<&'static str>,
    /// Spaces whose name is a word.
    pub(super) spaces: Vec<&'static str>,
    /// Spaces with a plus, without it: `W` of `W+`.
    pub(super) plus_spaces: Vec<&'static str>,
}

impl Words {
    pub(super) fn of_the_language() -> Self {
        let keywords =
            |keep: &dyn Fn(&str) -> bool| sorted(KEYWORDS.into_iter().filter(|word| keep(word)));
        let named = |keep: &dyn Fn(&Builtin) -> bool| {
            let all = builtins::ALL.iter().filter(|b| keep(b)).map(|b| b.signature.name);
            sorted(all.filter(|name| !KEYWORDS.contains(name)))
        };
        let params = || builtins::ALL.iter().flat_map(|b| b.signature.params);
        // A choice that takes a value is written as an argument's name: `best_of: 8`.
        let tagged = || params().flat_map(|p| p.choices).filter_map(|c| c.strip_suffix(':'));
        let spaces = || Space::ALL.into_iter().map(Space::name);
        Self {
            statements: keywords(&|w| {
                ![&INSIDE[..], &TRUTHS, &BINDING].iter().any(|list| list.contains(&w))
            }),
            binding: keywords(&|w| BINDING.contains(&w)),
            inside: keywords(&|w| INSIDE.contains(&w)),
            truths: keywords(&|w| TRUTHS.contains(&w)),
            functions: named(&|b| !b.signature.is_bare()),
            bare: named(&|b| b.signature.is_bare()),
            arguments: sorted(params().map(|p| p.name).chain(tagged())),
            choices: sorted(
                params().flat_map(|p| p.choices).copied().filter(|c| !c.ends_with(':')),
            ),
            spaces: sorted(spaces().filter(|s| !s.ends_with('+'))),
            plus_spaces: sorted(spaces().filter_map(|s| s.strip_suffix('+'))),
        }
    }
}

fn sorted(words: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    words.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_colour() {
        let words = Words::of_the_language();
        let lists = [&words.statements, &words.binding, &words.inside, &words.truths];
        let keywords = lists.map(Vec::len);
        assert_eq!(keywords.iter().sum::<usize>(), KEYWORDS.len());
        assert_eq!(words.spaces.len() + words.plus_spaces.len(), Space::ALL.len());
        for b in builtins::ALL {
            let name = b.signature.name;
            let lists = [&words.functions, &words.bare, &words.statements];
            assert!(lists.iter().any(|l| l.contains(&name)), "{name}");
        }
        assert!(words.arguments.contains(&"best_of") && words.choices.contains(&"hybrid"));
        // Patterns are made of these words as they are.
        let plain = |w: &&str| w.chars().all(|c| c.is_alphanumeric() || c == '_');
        let all = [&words.functions, &words.bare, &words.arguments, &words.choices];
        assert!(all.iter().all(|list| list.iter().all(&plain)));
    }
}
