//! The latent spaces of the field: their names, their conversions, the shapes of their codes.
//!
//! Nothing here knows a tensor, so the checker and help can read it.

mod dims;
pub mod lattice;

pub use dims::Dims;

use std::fmt;

/// A latent space (Xia et al., "GAN Inversion: A Survey", arXiv 2101.05278, section 3.1.2; P and PN
/// after Zhu et al. 2020; S after Wu et al. 2020).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// The prior's space: the input of the mapping network.
    Z,
    /// One intermediate code for all layers.
    W,
    /// One intermediate code a layer.
    WPlus,
    /// Style parameters: every layer's affine output.
    S,
    /// W before the last leaky ReLU of its mapping network.
    P,
    /// P, whitened.
    PN,
    /// P, whitened, one a layer.
    PNPlus,
    /// A feature map and the later layers' codes.
    F,
    /// The noise maps.
    N,
}

impl Space {
    /// All spaces, in the order in which they are explained.
    pub const ALL: [Self; 9] =
        [Self::Z, Self::W, Self::WPlus, Self::S, Self::P, Self::PN, Self::PNPlus, Self::F, Self::N];

    /// The name as written in a program.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Z => "Z",
            Self::W => "W",
            Self::WPlus => "W+",
            Self::S => "S",
            Self::P => "P",
            Self::PN => "PN",
            Self::PNPlus => "PN+",
            Self::F => "F",
            Self::N => "N",
        }
    }

    /// The space whose codes these are in other coordinates: W for P and PN, W+ for PN+; else the
    /// space itself. A generator that has it has these as well.
    pub const fn base(self) -> Self {
        match self {
            Self::P | Self::PN => Self::W,
            Self::PNPlus => Self::WPlus,
            other => other,
        }
    }

    /// These spaces with those that are other coordinates of them, in the order of [`Space::ALL`].
    pub fn beside(spaces: &[Self]) -> Vec<Self> {
        Self::ALL.into_iter().filter(|s| spaces.contains(&s.base())).collect()
    }

    /// The space of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// One form of a direction. A direction that is named without a space has several forms, one for
/// every space in which the generator knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The space whose set of directions it comes from: it was found for codes of this space.
    pub set: Space,
    /// The space it lives in: usually that of the set; W+ for a direction of W that is restricted
    /// to some layers.
    pub space: Space,
}

/// Index of the form of a direction that moves a code of this space: the one that was found for
/// that space, else the one furthest up the lattice ([`Space::ALL`]) that can move it. `None` when
/// no form can.
pub fn form_for(code: Space, forms: &[Form]) -> Option<usize> {
    let order = |s: Space| Space::ALL.iter().position(|o| *o == s);
    let able = forms.iter().enumerate().filter(|(_, f)| lattice::moved(code, f.space).is_ok());
    let widest = able.max_by_key(|(_, f)| (order(f.set), order(f.space)));
    forms.iter().position(|f| f.set == code).or(widest.map(|(i, _)| i))
}

/// Groups of forms of several directions that go together. A group has the index of one form of
/// each direction, all of one set. Only when no set is common to all, a group has forms of one
/// space instead.
///
/// Empty when the directions have no space in common either.
pub fn aligned(all: &[Vec<Form>]) -> Vec<(Space, Vec<usize>)> {
    let common = |key: fn(&Form) -> Space| -> Vec<(Space, Vec<usize>)> {
        let group = |space: Space| {
            let at = all.iter().map(|forms| forms.iter().position(|f| key(f) == space));
            Some((space, at.collect::<Option<Vec<usize>>>()?))
        };
        let mut groups: Vec<(Space, Vec<usize>)> = Vec::new();
        for space in all.first().into_iter().flatten().map(key) {
            if !groups.iter().any(|(s, _)| *s == space) {
                groups.extend(group(space));
            }
        }
        groups
    };
    let sets = common(|f| f.set);
    if sets.is_empty() { common(|f| f.space) } else { sets }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Space::{PN, PNPlus, S, W, WPlus, Z};
    use super::*;

    fn forms(all: &[Space]) -> Vec<Form> {
        all.iter().map(|s| Form { set: *s, space: *s }).collect()
    }

    #[test]
    fn a_code_takes_the_form_of_its_space_else_the_widest_that_moves_it() {
        let all = forms(&[W, WPlus, S, Z]);
        for (i, code) in [W, WPlus, S, Z].into_iter().enumerate() {
            assert_eq!(form_for(code, &all), Some(i), "{code}");
        }
        for (code, known, found) in [
            (WPlus, &[W, S, Z][..], Some(0)),
            (W, &[S, WPlus, Z], Some(1)),
            (PNPlus, &[W, PN], Some(1)),
            (S, &[W, WPlus, Z], None),
            (Z, &[W, WPlus, S], None),
            (W, &[S, Z], None),
        ] {
            assert_eq!(form_for(code, &forms(known)), found, "{code} {known:?}");
        }
        // One of W that is restricted to some layers still is W's.
        let restricted = [Form { set: W, space: WPlus }, Form { set: WPlus, space: WPlus }];
        assert_eq!([W, WPlus].map(|c| form_for(c, &restricted)), [Some(0), Some(1)]);
        assert_eq!(form_for(WPlus, &restricted[..1]), Some(0));
    }

    #[test]
    fn directions_go_together_in_the_sets_that_all_have() {
        let together =
            |all: &[&[Space]]| aligned(&all.iter().map(|f| forms(f)).collect::<Vec<_>>());
        let pair = together(&[&[W, WPlus, S, Z], &[W, Z, S]]);
        assert_eq!(pair, [(W, vec![0, 0]), (S, vec![2, 2]), (Z, vec![3, 1])]);
        assert_eq!(together(&[&[W, WPlus], &[WPlus, W], &[WPlus]]), [(WPlus, vec![1, 0, 0])]);
        assert_eq!(together(&[&[W, S], &[WPlus]]), []);
        assert_eq!(together(&[]), []);
        // W's, written for all layers, goes with one of W+ when no set is common.
        let lifted = vec![Form { set: W, space: WPlus }, Form { set: S, space: S }];
        assert_eq!(aligned(&[lifted.clone(), forms(&[WPlus])]), [(WPlus, vec![0, 0])]);
        assert_eq!(aligned(&[lifted, forms(&[WPlus, W])]), [(W, vec![0, 1])]);
    }
}
