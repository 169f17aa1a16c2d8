//! Configuration of an inversion.

use super::degrade;
use super::hash::content_hash;
use super::job::Job;
use super::mask::Mask;
use super::named::{Numbers, Words};
use super::objective::{TERMS, TermKind};
use super::phase::{Phase, Recipe};
use crate::error::Result;
use crate::generator::Spec;
use crate::lang::types::{Companion, Kind, Param};
use crate::latent::{Code, Part};
use crate::rng::Rng;
use crate::space::Space;
use candle_core::Tensor;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Peak learning rate of gradient descent with momentum: the slopes of a mean over all pixels are
/// far below 1, and only it does not rescale them.
const SGD_LR: f64 = 1.0;

/// The terms that compare feature maps of a discriminator, and all that ask one.
const COMPARED: [&str; 2] = ["discriminator", "saliency"];
const JUDGED: [&str; 3] = ["discriminator", "saliency", "adversarial"];

/// Least side of pictures that the feature network of another generator compares unless told to.
const SEEN_SIDE: usize = 64;

/// Random samples of Z of which the best is the usual start.
const DRAWS: usize = 16;

/// The word of [`FINISH`] that adds nothing.
const WITHOUT: &str = "none";

/// What is added after the code is found.
pub(super) const FINISH: Param = Param::optional(
    "finish",
    &[Kind::Choice],
    "residual",
    "of hybrid: `residual`, one pass of the feature-residual network where the generator has one, \
     or `none`, the code alone",
)
.choices(&["residual", WITHOUT])
.named();

/// The phases of a method for a job.
pub type Plan = for<'a> fn(&Job<'a>, &Config) -> Result<Vec<Phase<'a>>>;

/// Description of an inversion method: everything that the rest of the program knows about it.
pub struct Method {
    /// Its name, as written in a program.
    pub name: &'static str,
    /// The publication that it follows.
    pub paper: &'static str,
    /// Summary for help; continues "`name`: …".
    pub summary: &'static str,
    /// The spaces that it can search, the one that is searched unless another is given first.
    pub spaces: &'static [Space],
    /// Whether it begins with passes of the generator's encoder.
    pub encoder: bool,
    /// The network of the generator's that it ends with. A method that takes gradient steps does
    /// without it where the generator brings none.
    pub companion: Option<Companion>,
    /// Gradient steps unless given; `None` for a method that takes none.
    pub steps: Option<usize>,
    /// Default peak learning rate; `None` for methods without a rate.
    pub lr: Option<fn(Space) -> f64>,
    /// Weights of terms that differ from the terms' own.
    pub weights: &'static [(&'static str, f64)],
    /// Random samples of which the best is the start, unless another start is given; `None` for the
    /// usual start.
    pub best_of: Option<usize>,
    /// Whether it searches noise maps by itself, from random ones.
    pub noise: bool,
    /// Parameters of its own: numbers, or words of a few. Methods may share a parameter.
    pub params: &'static [Param],
    /// Its phases.
    pub plan: Plan,
}

impl Method {
    /// The network that it cannot do without.
    pub fn needed_companion(&self) -> Option<Companion> {
        self.companion.filter(|_| self.steps.is_none())
    }

    /// Whether it can search a space.
    pub fn works_in(&self, space: Space) -> bool {
        self.spaces.contains(&space)
    }
}

impl PartialEq for Method {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Method {}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Starting point of the search.
#[derive(Clone, Debug)]
pub enum Init {
    /// The mean of w over the prior, in PN and PN+ that of P, which is 0 there. Not for Z.
    Mean,
    /// One random sample of the prior.
    Random,
    /// The one of k random samples with the smallest loss.
    BestOf(usize),
    /// These codes, one for all images or one each; those of other spaces are brought to the one
    /// that is searched. Noise maps that came with them are used: as the start where maps are searched,
    /// fixed otherwise.
    Latent(Code),
}

/// Path and interval of checkpoints.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The file; several images append `.0`, `.1`, ….
    pub path: PathBuf,
    /// At most this long between two saves.
    pub every: Duration,
}

/// Configuration of an inversion.
#[derive(Clone, Debug)]
pub struct Config {
    /// The space that is searched: Z, W, W+, S, PN, PN+, F, or N (noise maps only, at
    /// a fixed code).
    pub space: Space,
    /// How.
    pub method: &'static Method,
    /// Gradient steps: evaluations of the loss, each followed by a move.
    pub steps: usize,
    /// Passes of the encoder, for the methods that use one; by default as many as it was trained
    /// for.
    pub passes: Option<usize>,
    /// Peak learning rate, for methods that have one.
    pub lr: f64,
    /// Starting point; an encoder's first pass is at the mean of w for which it was trained: the
    /// generator's own, or one in the encoder's file.
    pub init: Init,
    /// Weights of the terms by name; those not given are the method's, or the terms' own.
    pub weights: Numbers,
    /// Parameters of the method that are numbers, by name.
    pub settings: Numbers,
    /// Parameters of the method that are words, by name.
    pub words: Words,
    /// Complete searches, of which the best counts: the first from `init`, the others from random
    /// samples.
    pub restarts: usize,
    /// The files of the network of LPIPS and of its heads, which the caller reads for a [`Job`].
    pub lpips: Option<(PathBuf, Option<PathBuf>)>,
    /// The file of the recogniser of the identity term, which the caller reads for a [`Job`].
    pub recogniser: Option<PathBuf>,
    /// The file of an encoder in the place of the generator's own, which the caller reads for a
    /// [`Job`].
    pub encoder: Option<PathBuf>,
    /// The file of the encoder with whose code that one begins, where it begins with another's.
    pub w_encoder: Option<PathBuf>,
    /// The file of a discriminator, which the caller reads for a [`Job`]; without one that of the
    /// generator's own file counts.
    pub discriminator: Option<PathBuf>,
    /// How many of the discriminator's feature maps count, from the score's side; all unless given.
    pub levels: Option<usize>,
    /// What happens to the generator's pictures before they are compared, by name
    /// ([`super::DEGRADATIONS`]).
    pub degrade: Numbers,
    /// Height of the pictures that the first part of the steps compares, one that the generator has
    /// on the way to the whole one ([`crate::generator::Generator::early_sides`]); `None` for
    /// whole pictures from the first step on.
    pub coarse: Option<usize>,
    /// Weights of the pixels; without a mask all count fully.
    pub mask: Option<Mask>,
    /// Whether the noise maps are searched as well.
    pub noise: bool,
    /// Whether the camera, or the picture's turn and shift, is searched as well.
    pub pose: bool,
    /// Weight of the noise maps' regulariser ([`super::regulariser`]).
    pub noise_regularise: f64,
    /// The layer whose feature map is searched in F; by default the first of the map size that
    /// [`feature_layer`] chooses.
    pub layer: Option<usize>,
    /// The search ends once the loss is at or below this value.
    pub until: Option<f64>,
    /// Each phase ends once some steps have lowered the loss by less than this share of it.
    pub plateau: Option<f64>,
    /// Seed of everything random.
    pub seed: u64,
    /// Saves the state, and resumes from it when the file is there.
    pub checkpoint: Option<Checkpoint>,
}

impl Config {
    /// The defaults of a method in a space.
    pub fn new(space: Space, method: &'static Method) -> Self {
        Self {
            space,
            method,
            steps: method.steps.unwrap_or(0),
            passes: None,
            lr: method.lr.map_or(0.0, |lr| lr(space)),
            // Z has no useful mean: the mapping network normalises z, and 0 has no direction.
            init: match (method.best_of, space) {
                (Some(k), _) => Init::BestOf(k),
                (None, Space::Z) if !method.encoder => Init::BestOf(DRAWS),
                (None, _) => Init::Mean,
            },
            weights: Numbers::default(),
            settings: Numbers::default(),
            words: Words::default(),
            restarts: 1,
            lpips: None,
            recogniser: None,
            encoder: None,
            w_encoder: None,
            discriminator: None,
            levels: None,
            degrade: Numbers::default(),
            coarse: None,
            mask: None,
            noise: method.noise || space == Space::N,
            pose: false,
            noise_regularise: 1e5,
            layer: None,
            until: None,
            plateau: None,
            seed: 0,
            checkpoint: None,
        }
    }

    /// Gradient steps that will be taken.
    pub fn steps_taken(&self) -> usize {
        if self.method.steps.is_none() { 0 } else { self.steps }
    }

    /// Passes of the encoder that will be taken, once they are decided.
    pub fn passes_taken(&self) -> usize {
        self.passes.filter(|_| self.method.encoder).unwrap_or(0)
    }

    /// The network that runs at the end, unless the configuration does without.
    pub fn companion(&self) -> Option<Companion> {
        self.method.companion.filter(|_| self.word(FINISH.name) != Some(WITHOUT))
    }

    /// Whether a term was given a weight above 0.
    pub fn weighs(&self, term: &str) -> bool {
        self.weights.get(term).is_some_and(|w| w > 0.0)
    }

    /// Whether the perceptual distance counts for a generator that brings no feature network: where
    /// its weight is given, otherwise for pictures in which another network sees something. The
    /// parts of faces are told by the same network.
    pub fn borrows_features(&self, spec: &Spec) -> bool {
        let (asked, seen) =
            (self.weights.get("perceptual").is_some(), spec.height.min(spec.width) >= SEEN_SIDE);
        let counts = self.wanted("perceptual").is_none_or(|weight| weight > 0.0);
        ((asked || seen) && counts) || self.weighs("parts")
    }

    /// Whether it looks at pictures through the generator's encoder.
    pub fn reads_encoder(&self) -> bool {
        self.method.encoder || self.weighs("in_domain")
    }

    /// Whether it asks a discriminator.
    pub fn reads_discriminator(&self) -> bool {
        JUDGED.iter().any(|term| self.wanted(term).is_some_and(|w| w > 0.0))
    }

    /// The method's own weight of the features of a discriminator, where there is none and the user
    /// did not ask for it: another distance is compared with this weight instead.
    pub(super) fn lacks_discriminator(&self, job: &Job) -> Option<f64> {
        let own = self.method.weights.iter();
        let weight = own.filter(|(name, w)| COMPARED.contains(name) && *w > 0.0).map(|(_, w)| *w);
        let asked = COMPARED.iter().any(|term| self.weights.get(term).is_some());
        weight.reduce(f64::max).filter(|_| job.discriminator.is_none() && !asked)
    }

    /// Passes, steps and searches in words: `3 passes + 200 steps`.
    pub fn plan(&self) -> String {
        let many = |n: usize, what: &str, more: &str| {
            format!("{n} {what}{}", if n == 1 { "" } else { more })
        };
        let passes = many(self.passes_taken(), "pass", "es");
        let steps = many(self.steps_taken(), "step", "s");
        let one = match (self.method.encoder, self.method.steps) {
            (true, None) => passes,
            (true, Some(_)) => format!("{passes} + {steps}"),
            (false, _) => steps,
        };
        let one = match self.companion() {
            Some(kind) => format!("{one} + {}", kind.words()),
            None => one,
        };
        match self.restarts {
            0 | 1 => one,
            n => format!("best of {n} searches of {one}"),
        }
    }

    /// The configuration with all open choices decided.
    pub(super) fn resolved(&self, job: &Job) -> Self {
        let passes =
            self.passes.or(job.encoder.map(|e| e.passes())).filter(|_| self.method.encoder);
        let own = Self { passes, ..self.clone() };
        if job.companion.is_none() { own.unfinished() } else { own }
    }

    /// The same search without the network that may run at its end: the code alone.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        if self.word(FINISH.name).is_some() {
            self.words.set(FINISH.name, WITHOUT);
        }
        self
    }

    /// The configuration of one of several searches: the later ones have their own random numbers,
    /// start and checkpoint.
    pub(super) fn attempt(&self, k: usize) -> Self {
        if k == 0 {
            return self.clone();
        }
        let own = |c: &Checkpoint| {
            let mut path = c.path.clone().into_os_string();
            path.push(format!(".restart{k}"));
            Checkpoint { path: path.into(), every: c.every }
        };
        Self {
            seed: Rng::derive(self.seed, &format!("invert restart {k}")).next_u64(),
            init: match &self.init {
                Init::Mean => Init::Random,
                other => other.clone(),
            },
            checkpoint: self.checkpoint.as_ref().map(own),
            ..self.clone()
        }
    }

    /// The value of a parameter of the method, or its default.
    pub fn setting(&self, name: &str) -> f64 {
        let usual = || {
            let param = self.method.params.iter().find(|p| p.name == name);
            param.and_then(|p| p.default?.parse().ok()).unwrap_or(0.0)
        };
        self.settings.get(name).unwrap_or_else(usual)
    }

    /// The word of a parameter of the method, or its default; `None` where it has no default.
    pub fn word(&self, name: &str) -> Option<&'static str> {
        let param = self.method.params.iter().find(|p| p.name == name);
        let usual = || param?.default.filter(|word| *word != "-");
        self.words.get(name).or_else(usual)
    }

    /// The peak learning rate of the method with the optimizer that was chosen.
    pub fn usual_lr(&self) -> f64 {
        match self.word("optimizer") {
            Some("sgd") => SGD_LR,
            _ => self.method.lr.map_or(0.0, |lr| lr(self.space)),
        }
    }

    /// The weight of a term: given, or the method's default.
    fn wanted(&self, name: &str) -> Option<f64> {
        let own = || self.method.weights.iter().find(|(n, _)| *n == name).map(|(_, w)| *w);
        self.weights.get(name).or_else(own)
    }

    /// The weights of the active terms. If no term would compare pictures, as for the projector
    /// without a feature network, the squared error counts.
    pub(super) fn recipe(&self, job: &Job, limited: bool) -> Recipe {
        let weight = |kind: &TermKind| {
            let other = || self.lacks_discriminator(job).filter(|_| kind.name == "perceptual");
            let usual = || match (kind.check)(job, self.space) {
                Ok(()) => other().or_else(|| self.wanted(kind.name)).unwrap_or(kind.weight),
                Err(_) => 0.0,
            };
            (kind.name, self.weights.get(kind.name).unwrap_or_else(usual))
        };
        let mut weights: Vec<_> = TERMS.iter().copied().map(weight).collect();
        let compared = TERMS.iter().zip(&weights).any(|(t, (_, w))| t.pictures && *w > 0.0);
        if !compared && let Some((_, l2)) = weights.iter_mut().find(|(name, _)| *name == "l2") {
            *l2 = 1.0;
        }
        Recipe { weights, noise: self.noise_regularise, limited }
    }

    /// Whether noise maps are searched.
    pub(super) fn searches_noise(&self, job: &Job) -> bool {
        (self.noise || self.space == Space::N) && !job.generator.spec().noise_sizes.is_empty()
    }

    /// The layer whose feature map is searched; `None` outside F.
    pub(super) fn searched_layer(&self, job: &Job) -> Option<usize> {
        if self.space != Space::F {
            return None;
        }
        self.layer.or_else(|| feature_layer(job.generator.spec()))
    }

    /// One line with all settings: for provenance, and to decide whether a checkpoint belongs to
    /// this run.
    ///
    /// # Errors
    /// When the start code or the mask cannot be read.
    pub fn describe(&self) -> Result<String> {
        let passes = match self.passes {
            _ if !self.method.encoder => String::new(),
            Some(n) => format!(" passes {n}"),
            None => " passes default".into(),
        };
        let lr = self.method.lr.map(|_| format!(" lr {}", self.lr)).unwrap_or_default();
        let own = self.method.params.iter();
        let value = |p: &Param| match p.choices {
            [] => format!(" {} {}", p.name, self.setting(p.name)),
            _ => format!(" {} {}", p.name, self.word(p.name).unwrap_or("default")),
        };
        let own: String = own.map(value).collect();
        let restarts = match self.restarts {
            0 | 1 => String::new(),
            n => format!(" restarts {n}"),
        };
        let weights: String = TERMS
            .iter()
            .map(|t| match self.weights.get(t.name) {
                None if t.automatic => format!(" {} default", t.name),
                _ => format!(" {} {}", t.name, self.wanted(t.name).unwrap_or(t.weight)),
            })
            .collect();
        Ok(format!(
            "invert space {} method {}{passes} steps {}{restarts}{lr}{own} init {}{weights} noise {} \
             noise_regularise {} seed {}{}{}{}{}{}{}{}{}",
            self.space,
            self.method.name,
            self.steps_taken(),
            self.init.describe()?,
            self.noise,
            self.noise_regularise,
            self.seed,
            if self.pose { " pose" } else { "" },
            match degrade::words(&self.degrade) {
                none if none.is_empty() => none,
                some => format!(" degrade {some}"),
            },
            self.mask.as_ref().map_or(Ok(String::new()), describe_mask)?,
            self.layer.map(|layer| format!(" layer {layer}")).unwrap_or_default(),
            self.until.map(|loss| format!(" until {loss}")).unwrap_or_default(),
            self.plateau.map(|share| format!(" plateau {share}")).unwrap_or_default(),
            self.levels.map(|k| format!(" levels {k}")).unwrap_or_default(),
            self.coarse.map(|side| format!(" coarse {side}")).unwrap_or_default(),
        ))
    }
}

/// Sides of a picture that a map of F is smaller, and its smallest side: fine enough to hold what
/// the codes do not reach, coarse enough that edits of the codes still move it.
const FEATURE_PART: usize = 16;
const FEATURE_SIDE: usize = 16;

/// The layer whose feature map is searched in F unless one is given: the last one whose map is at
/// most a sixteenth of the picture's side, or 16.
pub fn feature_layer(spec: &Spec) -> Option<usize> {
    let side = (spec.height / FEATURE_PART).max(FEATURE_SIDE);
    spec.last_layer_within(side).or(if spec.layers.is_empty() { None } else { Some(0) })
}

impl Init {
    fn describe(&self) -> Result<String> {
        Ok(match self {
            Self::Mean => "mean".into(),
            Self::Random => "random".into(),
            Self::BestOf(k) => format!("best of {k}"),
            Self::Latent(l) => {
                let mut parts = vec![short(&content_hash(l.point())?).to_owned()];
                for (part, found) in l.parts.iter().filter(|(part, _)| part.found()) {
                    let word = if let Part::Noise(_) = part { "noise".into() } else { part.name() };
                    parts.push(format!("{word} {}", short(&content_hash(found)?)));
                }
                format!("{} code {}", l.space, parts.join(" "))
            }
        })
    }
}

fn describe_mask(mask: &Mask) -> Result<String> {
    let (height, width) = mask.size();
    let weights: Tensor = mask.at((height, width))?;
    Ok(format!(" mask {width}×{height} {}", short(&content_hash(&weights)?)))
}

/// The first digits of a hash.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
