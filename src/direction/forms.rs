//! A direction in every space in which it is known, resolved where it is used.

use super::arithmetic::{add, at_layers, cosines, scale, sub};
use super::conditional::conditional;
use crate::error::{Error, Result};
use crate::latent::Direction;
use crate::safe::Safe;
use crate::space::{Form, Space, aligned, form_for};
use std::ops::Range;

/// A direction as a value of the language.
///
/// One that is named without a space has a form for every space in which the generator knows it;
/// any other has one form. Arithmetic works on each form by itself, so that all parts of a sum or a
/// projection come from one space; the code that is moved decides which form is taken
/// ([`crate::space::form_for`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Forms {
    first: (Space, Direction),
    rest: Vec<(Space, Direction)>,
}

impl From<Direction> for Forms {
    fn from(d: Direction) -> Self {
        Self { first: (d.space, d), rest: Vec::new() }
    }
}

impl Forms {
    /// A direction known in the spaces of `all`, the default one first; `None` when there is none.
    pub fn of(all: impl IntoIterator<Item = Direction>) -> Option<Self> {
        Self::in_sets(all.into_iter().map(|d| (d.space, d)))
    }

    /// As [`Forms::of`], with the space of the set that each comes from.
    pub(crate) fn in_sets(all: impl IntoIterator<Item = (Space, Direction)>) -> Option<Self> {
        let mut all = all.into_iter();
        Some(Self { first: all.next()?, rest: all.collect() })
    }

    /// The default form: W's if there is one. For uses without a code to follow, such as a length.
    pub fn first(&self) -> &Direction {
        &self.first.1
    }

    /// Says of all its forms where they come from.
    pub(crate) fn set_origin(&mut self, origin: &str) {
        for (_, d) in std::iter::once(&mut self.first).chain(&mut self.rest) {
            origin.clone_into(&mut d.origin);
        }
    }

    /// All forms with the space whose set each comes from, the default one first.
    pub fn iter(&self) -> impl Iterator<Item = (Space, &Direction)> {
        std::iter::once(&self.first).chain(&self.rest).map(|(set, d)| (*set, d))
    }

    /// Whether the code that it moves decides between several forms.
    pub fn is_open(&self) -> bool {
        !self.rest.is_empty()
    }

    /// The spaces of its forms.
    pub fn spaces(&self) -> Vec<Form> {
        self.iter().map(|(set, d)| Form { set, space: d.space }).collect()
    }

    /// The sets of its forms in words: `W, W+ and S`.
    pub fn sets(&self) -> String {
        let names: Vec<&str> = self.iter().map(|(set, _)| set.name()).collect();
        match names.split_last() {
            Some((last, most)) if !most.is_empty() => format!("{} and {last}", most.join(", ")),
            _ => names.concat(),
        }
    }

    /// The form that moves a code of that space. A direction of one form is returned unchanged.
    ///
    /// # Errors
    /// When it has several forms and none of them can move such a code.
    pub fn moving(&self, code: Space) -> Result<&Direction> {
        if !self.is_open() {
            return Ok(self.first());
        }
        let found = form_for(code, &self.spaces()).and_then(|i| self.iter().nth(i));
        found.map(|(_, d)| d).ok_or_else(|| {
            let (name, sets) = (Safe(&self.first().name), self.sets());
            Error::runtime(format!("`{name}` moves no {code} code: it is known in {sets}"))
                .hint(format!("use a direction of {code}"))
        })
    }

    /// The multiple `k · d`.
    #[must_use]
    pub fn scale(&self, k: f64) -> Self {
        let scaled = |(set, d): &(Space, Direction)| (*set, scale(d, k));
        Self { first: scaled(&self.first), rest: self.rest.iter().map(scaled).collect() }
    }

    /// The sum, or with `minus` the difference.
    ///
    /// # Errors
    /// When the two have no space in common, belong to different generators or differ in size.
    pub fn add(&self, other: &Self, minus: bool) -> Result<Self> {
        joint(&[self, other], |all| if minus { sub(all[0], all[1]) } else { add(all[0], all[1]) })
    }

    /// `self | conditions`, jointly: see [`conditional`].
    ///
    /// # Errors
    /// As [`conditional`], and when they have no space in common.
    pub fn conditional(&self, conditions: &[Self]) -> Result<Self> {
        let all: Vec<&Self> = std::iter::once(self).chain(conditions).collect();
        joint(&all, |all| {
            let conditions: Vec<Direction> = all[1..].iter().map(|d| (*d).clone()).collect();
            Ok(conditional(all[0], &conditions)?.direction)
        })
    }

    /// The direction in some layers only: see [`at_layers`]. Its forms without layers (Z) go.
    ///
    /// # Errors
    /// As [`at_layers`].
    pub fn at_layers(&self, range: &Range<usize>, num_ws: usize, styles: &[usize]) -> Result<Self> {
        let each = self.iter().map(|(set, d)| (set, at_layers(d, range.clone(), num_ws, styles)));
        whole(each.collect())
    }
}

/// Directions that go together, one group for each space that they have in common, the default one
/// first. When every direction has one form, they are one group, of the wider set: W beside W+ is
/// W+.
fn groups<'a>(all: &[&'a Forms]) -> Result<Vec<(Space, Vec<&'a Direction>)>> {
    if all.iter().all(|d| !d.is_open()) {
        let order = |s: &Space| Space::ALL.iter().position(|o| o == s);
        let set = all.iter().map(|d| d.first.0).max_by_key(order);
        return Ok(set
            .map(|set| (set, all.iter().map(|d| d.first()).collect()))
            .into_iter()
            .collect());
    }
    let found = aligned(&all.iter().map(|d| d.spaces()).collect::<Vec<_>>());
    if found.is_empty() {
        let named = |d: &&Forms| format!("`{}` ({})", Safe(&d.first().name), d.sets());
        let names: Vec<String> = all.iter().map(named).collect();
        let message = format!("{} are known in no space together", names.join(" and "));
        return Err(Error::runtime(message).hint("use directions that exist in one space"));
    }
    let parts = |group: Vec<usize>| {
        group.iter().zip(all).filter_map(|(i, d)| Some(d.iter().nth(*i)?.1)).collect()
    };
    Ok(found.into_iter().map(|(set, group)| (set, parts(group))).collect())
}

/// `f` of directions, in every space that they have in common. A projection that leaves nothing in
/// one space drops that form.
fn joint(all: &[&Forms], f: impl Fn(&[&Direction]) -> Result<Direction>) -> Result<Forms> {
    whole(groups(all)?.into_iter().map(|(set, parts)| (set, f(&parts))).collect())
}

/// The forms that there are; where there is none, why the default one is not.
fn whole(all: Vec<(Space, Result<Direction>)>) -> Result<Forms> {
    let mut first_error = None;
    let mut kept = Vec::with_capacity(all.len());
    for (set, form) in all {
        match form {
            Ok(d) => kept.push((set, d)),
            Err(e) => {
                first_error.get_or_insert(e);
            }
        }
    }
    Forms::in_sets(kept)
        .ok_or_else(|| first_error.unwrap_or_else(|| Error::runtime("this direction has no form")))
}

/// The cosine of the angle between directions, of all pairs: row i, column j is that of direction i
/// with direction j; and the space in which they were compared, the first that all are known in.
///
/// # Errors
/// As [`super::cosine()`], and when they have no space in common.
pub fn cosines_of(all: &[Forms]) -> Result<(Space, Vec<Vec<f64>>)> {
    let (set, parts) = groups(&all.iter().collect::<Vec<_>>())?
        .into_iter()
        .next()
        .ok_or_else(|| Error::runtime("a cosine needs directions").hint("cosine(a, b)"))?;
    Ok((set, cosines(&parts.into_iter().cloned().collect::<Vec<_>>())?))
}
