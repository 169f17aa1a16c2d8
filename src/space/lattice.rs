//! Conversions between spaces, and the effect of a direction of one space on a code of another.
//!
//! Every space but the prior is entered from one parent: Z → W → W+ → S, W → P → PN → PN+, and a
//! code of F is a feature map beside a W+ code. The checker, the evaluator, inversion, directions
//! and help all ask here; they word the refusal for their place.

use super::Space;

/// Why a step between two spaces does not exist, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, as the tail of a sentence: `its layers differ, …`.
    pub why: &'static str,
    /// The way that does exist.
    pub repair: Repair,
}

/// Suggested replacement for a step that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Lift the code to that space first.
    Lift(Space),
    /// Use a direction of that space.
    DirectionOf(Space),
    /// Lift the code to the first space, or use a direction of the second.
    LiftOrDirectionOf(Space, Space),
    /// Find the nearest code in that space of the code's picture.
    Invert(Space),
}

impl Repair {
    /// The repair in words; `code` is the code as the program writes it, `direction` the name of
    /// the direction.
    pub fn words(self, code: &str, direction: &str) -> String {
        let own = |space: Space| {
            format!("use a direction of {space}: direction(\"{direction}\", space: {space})")
        };
        match self {
            Self::Lift(to) => format!("bring the code there first: to({to}, {code})"),
            Self::DirectionOf(space) => own(space),
            Self::LiftOrDirectionOf(to, space) => {
                format!("bring the code there first: to({to}, {code}), or {}", own(space))
            }
            Self::Invert(space) => format!(
                "find the nearest {space} code of its picture: invert(render({code}), space: \
                 {space})"
            ),
        }
    }
}

impl Space {
    /// The space that this one is entered from; `None` for the prior and for the noise maps.
    pub const fn parent(self) -> Option<Self> {
        match self {
            Self::Z | Self::N => None,
            Self::W => Some(Self::Z),
            Self::WPlus | Self::P => Some(Self::W),
            Self::S | Self::F => Some(Self::WPlus),
            Self::PN => Some(Self::P),
            Self::PNPlus => Some(Self::PN),
        }
    }

    /// The layered version of this space, with a row for every layer: W → W+, PN → PN+.
    pub const fn layered(self) -> Option<Self> {
        match self {
            Self::W => Some(Self::WPlus),
            Self::PN => Some(Self::PNPlus),
            _ => None,
        }
    }

    /// Whether its codes have a row for every layer.
    pub const fn has_rows(self) -> bool {
        matches!(self, Self::WPlus | Self::PNPlus)
    }
}

/// The spaces that a code passes on its way up, `to` last; empty when it is there already.
///
/// # Errors
/// When `to` is not above `from`.
pub fn lift(from: Space, to: Space) -> Result<Vec<Space>, Refusal> {
    let mut steps = Vec::new();
    let mut at = to;
    while at != from {
        steps.push(at);
        at = at.parent().ok_or_else(|| no_way(from, to))?;
    }
    steps.reverse();
    Ok(steps)
}

fn no_way(from: Space, to: Space) -> Refusal {
    let why = match (from, to) {
        (Space::WPlus, Space::W) | (Space::PNPlus, Space::PN) => {
            "its layers differ, so one row does not describe them"
        }
        (Space::W | Space::WPlus, Space::Z) => "the mapping network cannot be run backwards",
        (Space::S, _) => "most style codes are not the styles of any w",
        _ => "codes are lifted along Z, W, W+, S only",
    };
    Refusal { why, repair: Repair::Invert(to) }
}

/// The one of two spaces to which codes of both can be lifted; `None` when there is none.
pub fn wider(a: Space, b: Space) -> Option<Space> {
    [(a, b), (b, a)].into_iter().find_map(|(from, to)| lift(from, to).is_ok().then_some(to))
}

/// The space of a code after a direction has moved it: its own, or the layered one when a
/// direction with a row for every layer moves a code with one row.
///
/// # Errors
/// When a direction of that space cannot move such a code.
pub fn moved(code: Space, direction: Space) -> Result<Space, Refusal> {
    if code == direction || direction.layered() == Some(code) {
        return Ok(code);
    }
    if code.layered() == Some(direction) {
        return Ok(direction);
    }
    let repair = match lift(code, direction) {
        // The generator has its own directions in W and W+; elsewhere the code is lifted.
        Ok(_) if matches!(code, Space::W | Space::WPlus) => {
            Repair::LiftOrDirectionOf(direction, code)
        }
        Ok(_) => Repair::Lift(direction),
        Err(_) => Repair::DirectionOf(code),
    };
    Err(Refusal { why: "a direction moves codes of its own space", repair })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Space::{F, N, P, PN, PNPlus, S, W, WPlus, Z};

    #[test]
    fn codes_go_up_one_edge_at_a_time() {
        assert_eq!(lift(Z, S), Ok(vec![W, WPlus, S]));
        assert_eq!(lift(W, W), Ok(vec![]));
        assert_eq!(lift(Z, PNPlus), Ok(vec![W, P, PN, PNPlus]));
        assert_eq!(lift(WPlus, F), Ok(vec![F]));
        for (from, to) in [(WPlus, W), (W, Z), (S, WPlus), (S, Z), (Z, N), (F, S), (N, W), (S, P)] {
            let refusal = lift(from, to).expect_err("no way");
            let words = refusal.repair.words("r", "age");
            assert!(!refusal.why.is_empty() && words.contains(to.name()), "{from} {to}: {words}");
        }
    }

    /// A space is above those from which it is entered, so the lattice has no cycle.
    #[test]
    fn every_space_has_a_root() {
        for space in Space::ALL {
            let mut at = space;
            let steps = std::iter::from_fn(|| at.parent().inspect(|p| at = *p)).count();
            assert!(steps < Space::ALL.len(), "{space}");
            assert!(lift(at, space).is_ok());
            if let Some(layered) = space.layered() {
                assert!(layered.has_rows() && layered.parent() == Some(space));
            }
        }
    }

    #[test]
    fn the_wider_of_two_is_above_both() {
        assert_eq!([wider(Z, W), wider(WPlus, Z), wider(S, W)], [Some(W), Some(WPlus), Some(S)]);
        assert_eq!((wider(S, PN), wider(N, N)), (None, Some(N)));
        for a in Space::ALL {
            for b in Space::ALL {
                assert_eq!(wider(a, b), wider(b, a), "{a} {b}");
            }
        }
    }

    #[test]
    fn a_direction_moves_its_own_space_and_rows_of_it() {
        assert_eq!((moved(W, W), moved(WPlus, W), moved(W, WPlus)), (Ok(W), Ok(WPlus), Ok(WPlus)));
        assert_eq!((moved(PN, PNPlus), moved(S, S)), (Ok(PNPlus), Ok(S)));
        let repair = |code, direction| moved(code, direction).expect_err("refused").repair;
        assert_eq!(repair(Z, W), Repair::Lift(W));
        assert_eq!(repair(W, S), Repair::LiftOrDirectionOf(S, W));
        assert_eq!((repair(S, W), repair(W, Z)), (Repair::DirectionOf(S), Repair::DirectionOf(W)));
        assert_eq!(repair(P, W), Repair::DirectionOf(P));
    }
}
