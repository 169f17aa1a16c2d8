//! Plan of a run: edits, directions, and the length of one unit of a label.

use super::pairs::Pairs;
use super::read::Spread;
use super::setup::{EditSetup, Kind};
use crate::direction::{at_layers, conditional, cosine};
use crate::error::{Error, Kind as Failure, Result};
use crate::lang::suggest::did_you_mean;
use crate::latent::Direction;
use crate::safe::Safe;
use crate::space::Space;

/// Cosine from which two directions count as correlated.
const CORRELATED: f64 = 0.1;
/// The part of a direction's effect that the layers have where it acts.
const ACTS: f64 = 0.8;
/// The unit of a direction's step that is a difference of logits.
const LOGIT: &str = "logit";

/// A direction with what its step means.
#[derive(Clone, Debug)]
pub struct Calibrated {
    /// The direction.
    pub direction: Direction,
    /// The attribute that it moves, as the labels and the attribute network name it.
    pub attribute: String,
    /// The unit of `per_step`; `logit` for a binary attribute.
    pub unit: String,
    /// Change of the attribute by one step.
    pub per_step: f64,
}

/// Request of a run.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Names of edits; empty for all that have a direction.
    pub edits: Vec<String>,
    /// People at most, the first ones.
    pub limit: Option<usize>,
    /// Gradient steps of every inversion, instead of its method's own.
    pub steps: Option<usize>,
    /// Passes of the encoder, instead of its own number.
    pub passes: Option<usize>,
    /// Whether the true pictures are inverted, too.
    pub ceiling: bool,
    /// Seed of everything random.
    pub seed: u64,
}

/// An edit of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Its name: `smile_1`.
    pub name: String,
    /// The label that it changes: `smile`.
    pub attribute: String,
}

/// A row of the table: an edit in one setup.
#[derive(Clone, Debug)]
pub struct Task {
    /// Index into [`Plan::edits`].
    pub edit: usize,
    /// Index into the setups.
    pub setup: usize,
    /// Direction in which the code is moved.
    pub direction: Direction,
    /// Steps along it for one unit of the label.
    pub steps_per_unit: f64,
}

/// All rows.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The edits that have rows.
    pub edits: Vec<Edit>,
    /// Row by row, the edits outermost.
    pub tasks: Vec<Task>,
    /// Omissions, with reasons.
    pub notes: Vec<String>,
}

impl Plan {
    /// Whether the data have all these edits.
    ///
    /// # Errors
    /// When one is unknown; the nearest names are given.
    pub fn check_names(pairs: &Pairs, wanted: &[String]) -> Result<()> {
        names(pairs, wanted).map(drop)
    }

    /// Finds the direction of every edit in every setup.
    ///
    /// `spread` gives the units of binary attributes.
    ///
    /// # Errors
    /// When an edit named is unknown or has no direction in any setup, and when nothing is left to
    /// run.
    pub fn new(
        pairs: &Pairs,
        wanted: &[String],
        setups: &[EditSetup],
        all: &[Calibrated],
        spread: Option<&Spread>,
    ) -> Result<Self> {
        let mut plan = Self { edits: Vec::new(), tasks: Vec::new(), notes: Vec::new() };
        for name in names(pairs, wanted)? {
            let edit = Edit { attribute: pairs.attribute(&name)?, name };
            let before = plan.tasks.len();
            for (setup, how) in setups.iter().enumerate() {
                match course(&edit.attribute, how, all, spread)? {
                    Some((direction, steps_per_unit)) => {
                        plan.tasks.push(Task {
                            edit: plan.edits.len(),
                            setup,
                            direction,
                            steps_per_unit,
                        });
                    }
                    None => plan.note(&edit, how),
                }
            }
            if plan.tasks.len() > before {
                plan.edits.push(edit);
            } else if !wanted.is_empty() {
                return Err(no_direction(&edit, all));
            }
        }
        if plan.tasks.is_empty() {
            return Err(Error::new(
                Failure::Usage,
                "no edit of the data has a calibrated direction in these spaces",
            )
            .hint("load a generator that brings directions, or name other --spaces"));
        }
        Ok(plan)
    }
}

impl Plan {
    /// Notes once that an edit has no row in a space.
    fn note(&mut self, edit: &Edit, setup: &EditSetup) {
        let (name, attribute) = (Safe(&edit.name), Safe(&edit.attribute));
        let note = format!(
            "{name} is left out in {}: there is no direction for {attribute} there",
            setup.space
        );
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

fn no_direction(edit: &Edit, all: &[Calibrated]) -> Error {
    let mut known: Vec<&str> = all.iter().map(|c| c.attribute.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    let (name, attribute) = (Safe(&edit.name), Safe(&edit.attribute));
    Error::new(
        Failure::Usage,
        format!("{name} changes {attribute}, for which there is no direction in these spaces"),
    )
    .hint(format!("edits of these can be run: {}", Safe(&known.join(", "))))
}

/// The requested edits, in the data's order; all of them when none is named.
fn names(pairs: &Pairs, wanted: &[String]) -> Result<Vec<String>> {
    for name in wanted {
        if !pairs.edits.contains(name) {
            let known = pairs.edits.iter().map(String::as_str);
            let listed = format!("one of {}", Safe(&pairs.edits.join(", ")));
            return Err(Error::new(
                Failure::Usage,
                format!("the data have no edit {}", Safe(name)),
            )
            .hint(did_you_mean(name, known).unwrap_or(listed)));
        }
    }
    Ok(pairs.edits.iter().filter(|e| wanted.is_empty() || wanted.contains(e)).cloned().collect())
}

/// The direction of an attribute in a space: W directions move W+ codes where W+ has none of its
/// own.
fn find<'a>(attribute: &str, space: Space, all: &'a [Calibrated]) -> Option<&'a Calibrated> {
    let of = |s: Space| all.iter().find(|c| c.attribute == attribute && c.direction.space == s);
    of(space).or_else(|| if space == Space::WPlus { of(Space::W) } else { None })
}

/// Whether any direction moves codes of a space.
pub fn has_directions(space: Space, all: &[Calibrated]) -> bool {
    all.iter().any(|c| find(&c.attribute, space, all).is_some())
}

/// The direction that a setup takes for an attribute, and its steps for one unit of the label.
///
/// For a binary attribute, the label's unit is the difference between the typical logits with and
/// without it, over the generator's own samples.
fn course(
    attribute: &str,
    setup: &EditSetup,
    all: &[Calibrated],
    spread: Option<&Spread>,
) -> Result<Option<(Direction, f64)>> {
    let found = match setup.kind {
        Kind::OfW | Kind::Layers => {
            find(attribute, Space::W, all).filter(|_| setup.space == Space::WPlus)
        }
        Kind::Raw | Kind::Conditional => find(attribute, setup.space, all),
    };
    let Some(base) = found else { return Ok(None) };
    let per_unit = match (base.unit.as_str(), spread) {
        (LOGIT, Some(spread)) => spread.between_sides(attribute)? / base.per_step,
        (LOGIT, None) => {
            return Err(Error::runtime(format!(
                "{} is binary: its strength needs an attribute network",
                Safe(attribute)
            ))
            .hint("leave this edit out: --edits"));
        }
        _ => 1.0 / base.per_step,
    };
    match setup.kind {
        Kind::Raw | Kind::OfW => Ok(Some((base.direction.clone(), per_unit))),
        Kind::Conditional => conditioned(base, setup.space, all, per_unit).map(Some),
        Kind::Layers => local(base, per_unit),
    }
}

/// A direction of W limited to the layers in which it acts, for W+; `None` when its file does not
/// name them.
fn local(base: &Calibrated, per_unit: f64) -> Result<Option<(Direction, f64)>> {
    let about = base.direction.about.as_ref();
    let Some((about, (layers, share))) = about.and_then(|a| Some((a, a.acting(ACTS)?))) else {
        return Ok(None);
    };
    let all = about.layers.iter().map(|l| l.to).max().unwrap_or(layers.end);
    Ok(Some((at_layers(&base.direction, layers, all, &[])?, per_unit / share)))
}

/// A direction without those of the attributes that it is correlated with.
fn conditioned(
    base: &Calibrated,
    space: Space,
    all: &[Calibrated],
    per_unit: f64,
) -> Result<(Direction, f64)> {
    let attribute = base.attribute.as_str();
    let mut conditions = Vec::new();
    let mut seen = vec![attribute];
    for other in all {
        let name = other.attribute.as_str();
        // Each attribute once, by the direction that this space would take for it.
        let taken = find(name, space, all).is_some_and(|c| std::ptr::eq(c, other));
        if taken
            && !seen.contains(&name)
            && cosine(&base.direction, &other.direction)?.abs() > CORRELATED
        {
            seen.push(name);
            conditions.push(other.direction.clone());
        }
    }
    if conditions.is_empty() {
        return Ok((base.direction.clone(), per_unit));
    }
    // To first order, the rest of the direction moves its own attribute by the square of its share,
    // so the steps are lengthened accordingly.
    let found = conditional(&base.direction, &conditions)?;
    Ok((found.direction, per_unit / found.left.powi(2)))
}
