//! Setups of an edit: how the picture is inverted, in which space it is edited, along which kind of
//! direction.

use crate::error::{Error, Kind as Failure, Result};
use crate::invert::methods::{self, ENCODER, HYBRID, OPTIMIZE};
use crate::invert::{METHODS, Method};
use crate::lang::suggest::did_you_mean;
use crate::lang::types::ModelFacts;
use crate::safe::Safe;
use crate::space::Space;

/// Kind of direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The calibrated direction itself.
    Raw,
    /// The direction with those of correlated attributes projected out.
    Conditional,
    /// The direction of W in all layers of W+, also where W+ has one of its own.
    OfW,
    /// The direction limited to the layers in which it acts, as its file says, and lengthened to
    /// make up for the effect of the others.
    Layers,
}

impl Kind {
    const ALL: [(&'static str, Self); 4] = [
        ("raw", Self::Raw),
        ("conditional", Self::Conditional),
        ("w", Self::OfW),
        ("layers", Self::Layers),
    ];
}

/// One way to edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EditSetup {
    /// Inversion method of the picture.
    pub method: &'static Method,
    /// Kind of direction.
    pub kind: Kind,
    /// The space in which the code is moved.
    pub space: Space,
}

impl EditSetup {
    /// `optimize`, `hybrid:conditional`, `encoder:layers`: as `--methods` takes it.
    pub fn name(&self) -> String {
        let kind = Kind::ALL.iter().find(|(_, kind)| *kind == self.kind).map(|(name, _)| name);
        match kind.filter(|_| self.kind != Kind::Raw) {
            Some(kind) => format!("{}:{kind}", self.method.name),
            None => self.method.name.to_owned(),
        }
    }

    /// The space that is searched: an encoder's codes are in W+, from where they can be moved in S.
    pub fn inverted(&self) -> Space {
        inverted(self.method, self.space)
    }
}

/// See [`EditSetup::inverted`].
pub(super) fn inverted(method: &Method, space: Space) -> Space {
    if space == Space::S && method.encoder { Space::WPlus } else { space }
}

/// The spaces in which inversions and edits can be compared, from narrow to wide.
pub const SPACES: [Space; 4] = [Space::Z, Space::W, Space::WPlus, Space::S];

/// All setups of these methods and spaces, in their order; empty lists mean what the model brings:
/// `optimize` in every space that has directions (`has`), `encoder` and `hybrid` in the layered
/// ones.
///
/// Omits impossible pairs: the projector searches only W, and encoders do not predict z.
///
/// # Errors
/// When a name is unknown, the model has no encoder for a named method, or nothing is left.
pub fn setups(
    methods: &[String],
    spaces: &[String],
    facts: &ModelFacts,
    has: &dyn Fn(Space) -> bool,
) -> Result<Vec<EditSetup>> {
    let wanted = if spaces.is_empty() {
        SPACES.into_iter().filter(|s| facts.spaces.contains(s) && has(*s)).collect()
    } else {
        named_spaces(spaces, facts)?
    };
    if wanted.is_empty() {
        return Err(Error::new(
            Failure::Usage,
            format!("{} has no calibrated directions to edit along", Safe(&facts.name)),
        )
        .hint(
            "put a directions.safetensors beside the generator and name their folder: --model DIR",
        ));
    }
    let methods = if methods.is_empty() {
        let all = [&OPTIMIZE, &ENCODER, &HYBRID];
        all.into_iter().filter(|m| facts.encoder || !m.encoder).map(|m| (m, Kind::Raw)).collect()
    } else {
        methods.iter().map(|m| method(m, facts)).collect::<Result<Vec<_>>>()?
    };
    let works = |method: &Method, space| method.works_in(inverted(method, space));
    let found = cross(&methods, &wanted, !spaces.is_empty(), &works)?;
    Ok(found.into_iter().map(|(method, kind, space)| EditSetup { method, kind, space }).collect())
}

/// Each of these methods in each of the spaces that it works in, once, in their order. An encoder
/// is asked in W only where the user `chose` the spaces: it reads one code a layer, and in W its
/// rows are only averaged. It is never asked in Z.
///
/// # Errors
/// When nothing is left.
pub(super) fn cross<T: Copy + PartialEq>(
    methods: &[(&'static Method, T)],
    spaces: &[Space],
    chose: bool,
    works: &dyn Fn(&Method, Space) -> bool,
) -> Result<Vec<(&'static Method, T, Space)>> {
    let mut found = Vec::new();
    for &(method, how) in methods {
        for &space in spaces {
            let usual = chose || !(method.encoder && space == Space::W);
            if usual
                && asked(method, space)
                && works(method, space)
                && !found.contains(&(method, how, space))
            {
                found.push((method, how, space));
            }
        }
    }
    if found.is_empty() {
        let what = "none of these methods works in any of these spaces";
        return Err(Error::new(Failure::Usage, what)
            .hint(format!("{} (an edit moves an encoder's codes in S, too)", reach())));
    }
    Ok(found)
}

/// Whether a benchmark asks a method in a space: encoders of z belong to generators whose edits are
/// classes, no directions.
fn asked(method: &Method, space: Space) -> bool {
    !(method.encoder && space == Space::Z)
}

/// Methods with the spaces that they search: `projector in W, i2s and i2spp in W+ and W`.
fn reach() -> String {
    let mut groups: Vec<(Vec<Space>, Vec<&str>)> = Vec::new();
    for method in METHODS {
        let own = method.spaces.iter().copied().filter(|s| asked(method, *s)).collect::<Vec<_>>();
        match groups.iter_mut().find(|(spaces, _)| *spaces == own) {
            Some((_, names)) => names.push(method.name),
            None => groups.push((own, vec![method.name])),
        }
    }
    let words = |(spaces, names): &(Vec<Space>, Vec<&str>)| {
        let all: Vec<&str> = spaces.iter().map(|s| s.name()).collect();
        let spaces = if SPACES.iter().all(|s| spaces.contains(s)) {
            "all of them".to_owned()
        } else {
            all.join(" and ")
        };
        format!("{} in {spaces}", names.join(" and "))
    };
    groups.iter().map(words).collect::<Vec<_>>().join(", ")
}

/// The spaces of these names.
///
/// # Errors
/// When one is unknown, or the generator has no codes in it.
pub(super) fn named_spaces(names: &[String], facts: &ModelFacts) -> Result<Vec<Space>> {
    names.iter().map(|s| space(s, facts)).collect()
}

fn space(name: &str, facts: &ModelFacts) -> Result<Space> {
    let names = || SPACES.map(|s| s.name()).join(", ");
    let space = Space::parse(name).filter(|s| SPACES.contains(s)).ok_or_else(|| {
        Error::new(Failure::Usage, format!("there are no rows for a space {}", Safe(name)))
            .hint(format!("one of {}", names()))
    })?;
    if facts.spaces.contains(&space) {
        return Ok(space);
    }
    let own: Vec<&str> = facts.spaces.iter().map(|s| s.name()).collect();
    Err(Error::new(Failure::Usage, format!("{} has no codes in {space}", Safe(&facts.name)))
        .hint(format!("one of its spaces: {}", own.join(", "))))
}

fn method(name: &str, facts: &ModelFacts) -> Result<(&'static Method, Kind)> {
    let (head, tail) = name.split_once(':').unwrap_or((name, "raw"));
    let method = named_method(head, facts)?;
    let kind = Kind::ALL.iter().find(|(n, _)| *n == tail).ok_or_else(|| {
        let kinds = Kind::ALL.map(|(n, _)| n);
        let listed = format!("one of {}", kinds.join(", "));
        Error::new(Failure::Usage, format!("there is no edit setup {}", Safe(name)))
            .hint(did_you_mean(tail, kinds).unwrap_or(listed))
    })?;
    Ok((method, kind.1))
}

/// The inversion method of that name.
///
/// # Errors
/// When it is unknown, or the generator brings no encoder or other network for it.
pub(super) fn named_method(name: &str, facts: &ModelFacts) -> Result<&'static Method> {
    let method = methods::find(name).ok_or_else(|| {
        let known: Vec<&str> = METHODS.iter().map(|m| m.name).collect();
        let listed = format!("one of {}", known.join(", "));
        Error::new(Failure::Usage, format!("there is no method {}", Safe(name)))
            .hint(did_you_mean(name, known).unwrap_or(listed))
    })?;
    if method.encoder && !facts.encoder {
        return Err(Error::new(
            Failure::Usage,
            format!("{} has no encoder, which {name} needs", Safe(&facts.name)),
        )
        .hint("--methods optimize"));
    }
    if let Some(kind) = method.needed_companion().filter(|kind| !facts.companions.contains(kind)) {
        let (model, words) = (Safe(&facts.name), kind.words());
        let what = format!("{model} has no {words}, which {name} needs");
        return Err(Error::new(Failure::Usage, what).hint("--methods encoder"));
    }
    Ok(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(encoder: bool) -> ModelFacts {
        ModelFacts { encoder, ..(*crate::value::Models::cpu().load("toy").unwrap().facts).clone() }
    }

    fn names(methods: &[&str], spaces: &[&str], encoder: bool) -> Result<Vec<String>> {
        let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let found = setups(&own(methods), &own(spaces), &facts(encoder), &|s| {
            matches!(s, Space::W | Space::WPlus)
        })?;
        Ok(found.iter().map(|w| format!("{} {}", w.name(), w.space)).collect())
    }

    #[test]
    fn the_default_is_what_the_model_brings() {
        assert_eq!(names(&[], &[], false).unwrap(), ["optimize W", "optimize W+"]);
        assert_eq!(
            names(&[], &[], true).unwrap(),
            ["optimize W", "optimize W+", "encoder W+", "hybrid W+"]
        );
    }

    #[test]
    fn pairs_that_cannot_work_are_left_out() {
        let both = names(
            &["projector", "optimize:conditional", "optimize:raw", "optimize"],
            &["W", "S"],
            true,
        )
        .unwrap();
        assert_eq!(
            both,
            [
                "projector W",
                "optimize:conditional W",
                "optimize:conditional S",
                "optimize W",
                "optimize S"
            ]
        );
        assert_eq!(names(&["hybrid"], &["Z", "W", "S"], true).unwrap(), ["hybrid W", "hybrid S"]);
        let of = |method| EditSetup { method, kind: Kind::Raw, space: Space::S }.inverted();
        assert_eq!((of(&HYBRID), of(&OPTIMIZE)), (Space::WPlus, Space::S));
        assert!(
            names(&["projector"], &["W+"], true)
                .unwrap_err()
                .repair()
                .unwrap()
                .contains("projector in W")
        );
    }

    #[test]
    fn wrong_names_are_answered() {
        let hint = |m: &[&str], s: &[&str]| {
            let e = names(m, s, false).unwrap_err();
            assert_eq!(e.kind(), Failure::Usage);
            e.repair().unwrap().to_owned()
        };
        assert!(hint(&["optimise"], &[]).starts_with("did you mean `optimize`"));
        assert_eq!(hint(&["optimize:condtional"], &[]), "did you mean `conditional`?");
        assert_eq!(hint(&["hybrid"], &[]), "--methods optimize");
        assert!(hint(&[], &["Q"]).contains("W+") && hint(&[], &["F"]).contains("W+"));
    }
}
