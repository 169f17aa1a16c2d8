//! A phase of an inversion: variables, objective, optimizer and duration.

use super::layerwise::Tolerance;
use super::optimize::Optimizer;
use super::schedule::{Curve, w_noise};
use crate::generator::Tap;
use crate::latent::Part;
use crate::network::Encoder;

/// What gradients into weights, pictures of far codes and pictures of edits add to the cost of a
/// step, in steps that search a code alone; measured with the built-in generator. Not every step
/// draws such pictures.
const TUNED: f64 = 1.1;
const FAR: f64 = 0.35;
const EDITED: f64 = 0.45;
/// What a step costs that compares pictures on the way, of half the side.
const EARLY: f64 = 0.5;

/// Variables that a phase optimises; all others keep their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknowns {
    /// The code.
    pub code: bool,
    /// The numbers of the code that are searched, from the first of them and how many; all without.
    /// They are those of every row of a code in W+.
    pub columns: Option<(usize, usize)>,
    /// The noise maps.
    pub noise: bool,
    /// The pose; it begins frontal and upright.
    pub pose: bool,
    /// The residual of this layer's feature map; it begins at 0.
    pub residual: Option<usize>,
    /// The generator's weights, which the picture depends on.
    pub weights: Option<Tuning>,
    /// Further codes whose feature maps are composed with that of the code, and the factors of
    /// their channels.
    pub composed: Option<Composed>,
    /// A surrogate of what has happened to the picture; it begins as doing nothing.
    pub corruption: bool,
    /// The step of the line on which the codes of all pictures lie, and each one's place; the
    /// points are one unknown of all pictures.
    pub line: bool,
}

/// A feature map that is composed of those of several codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Composed {
    /// Its layer.
    pub layer: usize,
    /// The codes, with the one that the later layers read.
    pub codes: usize,
}

/// How weights are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Rank of the change of a weight; 0 for a change without a limit. A weight whose factors would
    /// not be smaller than itself is changed without a limit.
    pub rank: usize,
    /// The layers whose weights are searched.
    pub layers: Layers,
}

/// Layers of a generator ([`crate::generator::Spec::layers`]) whose weights are searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layers {
    /// All that the picture depends on.
    #[default]
    All,
    /// The first so many: what the map of the last of them depends on, and the picture that
    /// families sum up until there.
    FromInput(usize),
    /// The last so many: what the picture depends on and the layers before them do not.
    FromPicture(usize),
}

impl Unknowns {
    /// Whether a part of a code is one of them.
    pub fn hold(&self, part: Part) -> bool {
        match part {
            Part::Point => self.code,
            Part::Noise(_) => self.noise,
            Part::Pose => self.pose,
            Part::Residual(layer) => self.residual == Some(layer),
            Part::Delta(_) | Part::Left(_) | Part::Right(_) => self.weights.is_some(),
            Part::Codes => self.composed.is_some(),
            Part::Shares(layer) => self.composed.is_some_and(|c| c.layer == layer),
            Part::Corruption => self.corruption,
            Part::Step | Part::Place => self.line,
            Part::Labels | Part::Scale(_) | Part::Onward(_) => false,
            Part::Gain(_) | Part::GainLeft(_) | Part::GainRight => false,
        }
    }

    /// Whether a part is one unknown of all pictures together.
    pub fn share(&self, part: Part) -> bool {
        self.line && matches!(part, Part::Point | Part::Step)
    }
}

/// A part of the picture, by whether the generator reaches it (see `domain`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Region {
    /// The whole picture.
    #[default]
    All,
    /// What the best picture so far shows.
    Reached,
    /// What it misses.
    Missed,
}

/// Recipe of an objective: weights by the names of the terms ([`super::TERMS`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Terms and their weights; those of weight 0 are left out.
    pub weights: Vec<(&'static str, f64)>,
    /// Weight of the noise maps' regulariser ([`super::regulariser`]); it counts where maps are
    /// searched.
    pub noise: f64,
    /// Compare at no more than 256 pixels a side, as the projector does.
    pub limited: bool,
}

/// Normalisation of noise maps to mean 0 and mean square 1 ([`super::normalise`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalise {
    /// Not at all.
    Never,
    /// After every step, as the projector does.
    AfterStep,
    /// Before every use, with gradients through it: for optimizers that rely on the function's
    /// shape between their steps.
    BeforeUse,
}

/// Makes a fresh optimizer for every image.
pub type MakeOptimizer = Box<dyn Fn() -> Box<dyn Optimizer>>;

/// Source of the next point.
pub enum Mover<'a> {
    /// Passes of an encoder, which compares target and reconstruction.
    Encoder(&'a dyn Encoder),
    /// An optimizer of the loss.
    Optimizer(MakeOptimizer),
    /// The generator's layers, one by one, from the target back to the code.
    Layers(Backwards),
}

/// How layers are gone back.
#[derive(Clone, Copy, Debug)]
pub enum Backwards {
    /// By their equations (`layerwise`).
    Exact(Tolerance),
    /// By inverters that are fitted to samples (`seeing`).
    Fitted,
}

/// Schedule of learning rate and w noise over a phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Peak learning rate.
    pub rate: f64,
    /// Its shape over the phase.
    pub curve: Curve,
    /// Position within a step at which the rate is read: 0 at its beginning, 0.5 in its middle.
    pub at: f64,
    /// Whether the code is evaluated with the projector's fading noise on it.
    pub w_noise: bool,
    /// The part of both that the phase runs through, in [0, 1].
    pub part: [f64; 2],
}

impl Schedule {
    /// The learning rate at a step, of `steps`.
    pub fn rate_of(&self, step: usize, steps: usize) -> f64 {
        self.rate * self.curve.at(self.place(step as f64 + self.at, steps))
    }

    /// The place in the whole schedule of so many steps, of `steps` of the phase.
    fn place(&self, taken: f64, steps: usize) -> f64 {
        let [from, to] = self.part;
        from + (to - from) * (taken / steps.max(1) as f64)
    }

    /// The deviation of the noise on w at a step, of `steps`, in σ_w.
    pub fn w_noise_of(&self, step: usize, steps: usize) -> f64 {
        if self.w_noise { w_noise(self.place(step as f64, steps)) } else { 0.0 }
    }
}

/// Learning rates of the unknowns, in that of the schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// That of weights.
    pub weights: f64,
    /// That of all else.
    pub codes: f64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { weights: 1.0, codes: 1.0 }
    }
}

impl Pace {
    /// That of a part of a code.
    pub fn of(&self, part: Part) -> f64 {
        if part.tunes() { self.weights } else { self.codes }
    }
}

/// One phase of an inversion. It begins at the best point of the phases before.
pub struct Phase<'a> {
    /// Name in progress reports: `invert`.
    pub verb: &'static str,
    /// Variables that it optimises.
    pub unknowns: Unknowns,
    /// Objective that it minimises.
    pub objective: Recipe,
    /// The pixels that count, besides the mask.
    pub counted: Region,
    /// Where a residual is searched; elsewhere it keeps its value.
    pub searched: Region,
    /// Height of the picture that is compared, where it is one on the way to the whole picture.
    pub side: Option<usize>,
    /// Source of the next point.
    pub mover: Mover<'a>,
    /// Learning rate and w noise.
    pub schedule: Schedule,
    /// Learning rates of the unknowns, in that of the schedule.
    pub pace: Pace,
    /// Normalisation of noise maps that are searched.
    pub normalise: Normalise,
    /// Evaluations, each followed by a move.
    pub steps: usize,
    /// The phase ends once the loss is at or below this value.
    pub until: Option<f64>,
    /// The phase ends once 50 steps (`PATIENCE`) have lowered the loss by less than this
    /// share of it.
    pub plateau: Option<f64>,
}

impl Phase<'_> {
    /// The point of the synthesis that it compares.
    pub(super) fn tap(&self) -> Tap {
        self.side.map_or(Tap::Picture, Tap::Early)
    }

    /// Whether it reads gradients.
    pub(super) fn gradients(&self) -> bool {
        match &self.mover {
            Mover::Encoder(_) | Mover::Layers(_) => false,
            Mover::Optimizer(make) => make().gradients(),
        }
    }

    /// The weight of a term.
    pub(super) fn weight_of(&self, term: &str) -> f64 {
        let found = self.objective.weights.iter().find(|(name, _)| *name == term);
        found.map_or(0.0, |(_, weight)| *weight)
    }

    /// Whether it tunes weights and holds them by this term.
    pub(super) fn holds_weights(&self, term: &str) -> bool {
        self.unknowns.weights.is_some() && self.weight_of(term) > 0.0
    }

    /// What a step costs, about, in steps that search a code alone: an estimate for the time left.
    pub(super) fn cost(&self) -> f64 {
        let tuned = if self.unknowns.weights.is_some() { TUNED } else { 0.0 };
        let aside = |term: &str, cost: f64| if self.holds_weights(term) { cost } else { 0.0 };
        let code = if self.side.is_some() { EARLY } else { 1.0 };
        code + tuned + aside("locality", FAR) + aside("edits", EDITED)
    }

    /// Whether it is made of passes of an encoder.
    pub(super) fn encodes(&self) -> bool {
        matches!(self.mover, Mover::Encoder(_))
    }
}
