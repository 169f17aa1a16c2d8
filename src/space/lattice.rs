//! Conversions between spaces, and the effect of a direction of one space on a code of another.
//!
//! Z → W → W+ → S, and a code of F is a feature map beside a W+ code. P and PN are W in other
//! coordinates, PN+ is W+, so these ways lead back as well: W ↔ P ↔ PN → PN+ ↔ W+. The checker, the
//! evaluator, inversion, directions and help all ask here; they word the refusal for their place.

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
    /// The spaces that are entered from this one in one step.
    const fn next(self) -> &'static [Self] {
        match self {
            Self::Z => &[Self::W],
            Self::W => &[Self::WPlus, Self::P],
            Self::WPlus => &[Self::S, Self::F, Self::PNPlus],
            Self::P => &[Self::W, Self::PN],
            Self::PN => &[Self::P, Self::PNPlus],
            Self::PNPlus => &[Self::WPlus],
            Self::S | Self::F | Self::N => &[],
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

/// The spaces that a code passes on the shortest way, `to` last; empty when it is there already.
///
/// # Errors
/// When no way leads from `from` to `to`.
pub fn lift(from: Space, to: Space) -> Result<Vec<Space>, Refusal> {
    let mut ways: Vec<(Space, Vec<Space>)> = vec![(from, Vec::new())];
    let mut seen = 0;
    while let Some((at, way)) = ways.get(seen).cloned() {
        if at == to {
            return Ok(way);
        }
        for next in at.next() {
            if ways.iter().all(|(known, _)| known != next) {
                ways.push((*next, [way.as_slice(), &[*next]].concat()));
            }
        }
        seen += 1;
    }
    Err(no_way(from, to))
}

fn no_way(from: Space, to: Space) -> Refusal {
    let why = match (from, to) {
        (Space::WPlus | Space::PNPlus, Space::W | Space::P | Space::PN) => {
            "its layers differ, so one row does not describe them"
        }
        (_, Space::Z) if matches!(from.base(), Space::W | Space::WPlus) => {
            "the mapping network cannot be run backwards"
        }
        (Space::S, _) => "most style codes are not the styles of any w",
        _ => "codes are lifted along Z, W, W+, S, and to P, PN and PN+ and back",
    };
    Refusal { why, repair: Repair::Invert(to) }
}

/// The one of two spaces to which codes of both can be lifted; `None` when there is none. Of two
/// that lead to each other it is W or W+, else the one nearer to it.
pub fn wider(a: Space, b: Space) -> Option<Space> {
    let order = |s: Space| Space::ALL.iter().position(|o| *o == s);
    let (a, b) = if order(a) < order(b) { (b, a) } else { (a, b) };
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
    // A direction also moves codes with a row for every layer: one of W those of W+.
    let movable = [Some(direction), direction.layered()].into_iter().flatten();
    let repair = match movable.into_iter().find(|to| lift(code, *to).is_ok()) {
        // The generator has its own directions in W and W+; elsewhere the code is lifted.
        Some(to) if matches!(code, Space::W | Space::WPlus) => Repair::LiftOrDirectionOf(to, code),
        Some(to) => Repair::Lift(to),
        None => Repair::DirectionOf(code),
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
        assert_eq!(lift(Z, PNPlus), Ok(vec![W, WPlus, PNPlus]));
        assert_eq!((lift(Z, PN), lift(PN, W)), (Ok(vec![W, P, PN]), Ok(vec![P, W])));
        assert_eq!((lift(WPlus, PNPlus), lift(PNPlus, WPlus)), (Ok(vec![PNPlus]), Ok(vec![WPlus])));
        assert_eq!((lift(PN, PNPlus), lift(PN, S)), (Ok(vec![PNPlus]), Ok(vec![PNPlus, WPlus, S])));
        assert_eq!(lift(WPlus, F), Ok(vec![F]));
        let none = [(WPlus, W), (W, Z), (S, WPlus), (S, Z), (Z, N), (F, S), (N, W), (S, P)];
        for (from, to) in none.into_iter().chain([(PNPlus, PN), (WPlus, PN), (PNPlus, W), (PN, Z)])
        {
            let refusal = lift(from, to).expect_err("no way");
            let words = refusal.repair.words("r", "age");
            assert!(!refusal.why.is_empty() && words.contains(to.name()), "{from} {to}: {words}");
        }
    }

    /// A way leads back only between a space and its base: other coordinates of the same codes.
    #[test]
    fn only_other_coordinates_have_a_way_back() {
        for a in Space::ALL {
            assert!(a == N || lift(Z, a).is_ok(), "{a}");
            for b in Space::ALL {
                let both = lift(a, b).is_ok() && lift(b, a).is_ok();
                assert_eq!(both, a.base() == b.base(), "{a} {b}");
            }
            if let Some(layered) = a.layered() {
                assert!(layered.has_rows() && lift(a, layered) == Ok(vec![layered]));
            }
        }
    }

    #[test]
    fn the_wider_of_two_is_above_both() {
        assert_eq!([wider(Z, W), wider(WPlus, Z), wider(S, W)], [Some(W), Some(WPlus), Some(S)]);
        assert_eq!((wider(S, PN), wider(N, N), wider(S, N)), (Some(S), Some(N), None));
        assert_eq!(
            [wider(P, W), wider(PNPlus, WPlus), wider(PN, WPlus)],
            [Some(W), Some(WPlus), Some(WPlus)]
        );
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
        assert_eq!((repair(P, W), repair(PNPlus, W)), (Repair::Lift(W), Repair::Lift(WPlus)));
        assert_eq!(repair(WPlus, PN), Repair::LiftOrDirectionOf(PNPlus, WPlus));
    }
}
