//! What an inversion is asked to do.

use super::{Job, content_hash};
use crate::error::{Error, Result};
use crate::latent::Latent;
use crate::safe::Safe;
use crate::space::Space;
use std::path::PathBuf;
use std::time::Duration;

/// How the code is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Gradient descent with Adam in any of Z, W, W+, S, N.
    Optimize,
    /// NVIDIA's projector (Karras et al. 2020, appendix D): W, noise maps, w noise that fades.
    Projector,
    /// Passes of the generator's encoder, each on the result of the one before.
    Encoder,
    /// The encoder's best code, then gradient descent from there.
    Hybrid,
}

impl Method {
    /// All methods with their names, in the order in which they are explained.
    pub const ALL: [(&'static str, Self); 4] = [
        ("optimize", Self::Optimize),
        ("projector", Self::Projector),
        ("encoder", Self::Encoder),
        ("hybrid", Self::Hybrid),
    ];

    /// The name as written in a program.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, m)| *m == self).map_or("", |(n, _)| n)
    }

    /// The method of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(n, _)| *n == name).map(|(_, m)| *m)
    }

    /// Whether it begins with passes of an encoder.
    pub fn encodes(self) -> bool {
        matches!(self, Self::Encoder | Self::Hybrid)
    }

    /// Whether it can search a space: encoders move codes of W and W+, the projector is in W.
    pub fn works_in(self, space: Space) -> bool {
        match self {
            Self::Optimize => true,
            Self::Projector => space == Space::W,
            Self::Encoder | Self::Hybrid => matches!(space, Space::W | Space::WPlus),
        }
    }
}

/// Where the descent starts.
#[derive(Clone, Debug)]
pub enum Init {
    /// The mean of w over the prior. Not for Z.
    Mean,
    /// One random sample of the prior.
    Random,
    /// The one of k random samples with the smallest loss.
    BestOf(usize),
    /// These codes, one for all images or one each; Z and W are lifted to the space that is
    /// searched. Noise maps that came with them are used: as the start where maps are searched,
    /// fixed otherwise.
    Latent(Latent),
}

/// Weights of the terms of the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Losses {
    /// Mean squared error on [-1, 1].
    pub l2: f64,
    /// Mean absolute error on [-1, 1].
    pub l1: f64,
    /// Perceptual distance. `None`: the method's default where there is a feature network, 0 and
    /// said so where there is none.
    pub perceptual: Option<f64>,
    /// Mean squared distance of a W+ code's rows from their mean, in units of σ_w² (after e4e's
    /// delta regularisation).
    pub offset: f64,
}

/// Where and how often the state of the optimisation is saved.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The file; several images append `.0`, `.1`, ….
    pub path: PathBuf,
    /// At most this long between two saves.
    pub every: Duration,
}

/// What an inversion is asked to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// The space that is searched: Z, W, W+, S, or N (noise maps only, at a fixed code).
    pub space: Space,
    /// How.
    pub method: Method,
    /// Gradient steps; the method `encoder` takes none.
    pub steps: usize,
    /// Passes of the encoder, for the methods that have one; as many as it is meant for unless
    /// given.
    pub passes: Option<usize>,
    /// Peak learning rate.
    pub lr: f64,
    /// Where it starts; an encoder's first pass is at the generator's own mean of w, for which it
    /// was trained.
    pub init: Init,
    /// Weights of the terms.
    pub losses: Losses,
    /// Whether the noise maps are searched as well.
    pub noise: bool,
    /// Weight of the noise maps' regulariser ([`super::regulariser`]).
    pub noise_regularise: f64,
    /// Seed of everything random.
    pub seed: u64,
    /// Saves the state, and resumes from it when the file is there.
    pub checkpoint: Option<Checkpoint>,
}

impl Config {
    /// The defaults of a method in a space.
    pub fn new(space: Space, method: Method) -> Self {
        let projector = method == Method::Projector;
        Self {
            space,
            method,
            steps: match method {
                Method::Projector => 1000,
                Method::Encoder => 0,
                Method::Hybrid => 200,
                Method::Optimize => 400,
            },
            passes: None,
            lr: if space == Space::Z || projector { 0.1 } else { 0.05 },
            // Z has no useful mean: the mapping network normalises z, and 0 has no direction.
            init: if space == Space::Z { Init::BestOf(16) } else { Init::Mean },
            losses: Losses {
                l2: if projector { 0.0 } else { 1.0 },
                l1: 0.0,
                perceptual: None,
                offset: 0.0,
            },
            noise: projector || space == Space::N,
            noise_regularise: 1e5,
            seed: 0,
            checkpoint: None,
        }
    }

    /// Gradient steps that will be taken.
    pub fn steps_taken(&self) -> usize {
        if self.method == Method::Encoder { 0 } else { self.steps }
    }

    /// Passes of the encoder that will be taken, once they are decided.
    pub fn passes_taken(&self) -> usize {
        self.passes.filter(|_| self.method.encodes()).unwrap_or(0)
    }

    /// Passes and steps in words: `3 passes + 200 steps`.
    pub fn plan(&self) -> String {
        let many = |n: usize, what: &str, more: &str| {
            format!("{n} {what}{}", if n == 1 { "" } else { more })
        };
        match (many(self.passes_taken(), "pass", "es"), many(self.steps_taken(), "step", "s")) {
            (passes, _) if self.method == Method::Encoder => passes,
            (passes, steps) if self.method == Method::Hybrid => format!("{passes} + {steps}"),
            (_, steps) => steps,
        }
    }

    /// With what was left open decided.
    pub(super) fn resolved(&self, job: &Job) -> Self {
        let passes =
            self.passes.or(job.encoder.map(|e| e.passes())).filter(|_| self.method.encodes());
        Self { passes, ..self.clone() }
    }

    /// One line that says all of it: for provenance, and to tell whether a checkpoint belongs to
    /// this run.
    ///
    /// # Errors
    /// When the start code cannot be read.
    pub fn describe(&self) -> Result<String> {
        let init = match &self.init {
            Init::Mean => "mean".to_string(),
            Init::Random => "random".into(),
            Init::BestOf(k) => format!("best of {k}"),
            Init::Latent(l) => {
                let mut parts = vec![content_hash(&l.data)?];
                for map in l.noise.iter().flatten() {
                    parts.push(content_hash(map)?);
                }
                let short: Vec<&str> = parts.iter().map(|p| p.get(..12).unwrap_or("")).collect();
                format!("{} code {}", l.space, short.join(" noise "))
            }
        };
        let perceptual = self.losses.perceptual.map_or("default".to_string(), |p| p.to_string());
        let passes = match self.passes {
            _ if !self.method.encodes() => String::new(),
            Some(n) => format!(" passes {n}"),
            None => " passes default".into(),
        };
        Ok(format!(
            "invert space {} method {}{passes} steps {} lr {} init {init} l2 {} l1 {} perceptual {perceptual} offset {} noise {} \
             noise_regularise {} seed {}",
            self.space,
            self.method.name(),
            self.steps_taken(),
            self.lr,
            self.losses.l2,
            self.losses.l1,
            self.losses.offset,
            self.noise,
            self.noise_regularise,
            self.seed
        ))
    }

    /// The weight of the perceptual term in force.
    pub(super) fn perceptual_weight(&self, job: &Job) -> f64 {
        let default = if self.method == Method::Projector { 1.0 } else { 0.8 };
        self.losses.perceptual.unwrap_or(if job.perceptual.is_some() { default } else { 0.0 })
    }

    /// The weight of the squared error in force: without a feature network the projector falls back
    /// to it.
    pub(super) fn l2_weight(&self, job: &Job) -> f64 {
        let nothing =
            self.losses.l2 == 0.0 && self.losses.l1 == 0.0 && self.perceptual_weight(job) == 0.0;
        if nothing { 1.0 } else { self.losses.l2 }
    }

    /// Whether noise maps are searched.
    pub(super) fn searches_noise(&self, job: &Job) -> bool {
        (self.noise || self.space == Space::N) && !job.generator.spec().noise_sizes.is_empty()
    }

    /// Refuses what cannot work; says what was decided on its own.
    pub(super) fn check(&self, job: &Job) -> Result<Vec<String>> {
        self.check_space(job)?;
        self.check_method(job)?;
        self.check_numbers(job)?;
        let mut notes = Vec::new();
        if job.perceptual.is_none() && self.losses.perceptual.is_none() {
            notes.push("no feature network at hand: pixel loss only".to_string());
        }
        if self.noise && !self.searches_noise(job) {
            notes.push("the generator adds no noise: no noise maps to search".to_string());
        }
        Ok(notes)
    }

    fn check_space(&self, job: &Job) -> Result<()> {
        let spec = job.generator.spec();
        if !matches!(self.space, Space::Z | Space::W | Space::WPlus | Space::S | Space::N) {
            return Err(Error::runtime(format!("inversion does not search {}", self.space))
                .hint("use one of Z, W, W+, S or N"));
        }
        if self.space != Space::N && !spec.spaces.contains(&self.space) {
            let all: Vec<&str> = spec.spaces.iter().map(|s| s.name()).collect();
            return Err(Error::runtime(format!(
                "{} has no {} space",
                Safe(&spec.name),
                self.space
            ))
            .hint(format!("use one of {}", all.join(", "))));
        }
        if self.space == Space::N && spec.noise_sizes.is_empty() {
            return Err(Error::runtime("the generator adds no noise: there is no N to search")
                .hint(format!("use one of {}", spec.dims().names())));
        }
        if matches!(self.init, Init::Mean)
            && self.space == Space::Z
            && self.method == Method::Optimize
        {
            return Err(Error::runtime(
                "Z has no mean to start from: 0 is unlike every code that is drawn",
            )
            .hint("use a random start, or the best of some"));
        }
        Ok(())
    }

    fn check_method(&self, job: &Job) -> Result<()> {
        if self.method == Method::Projector && !self.method.works_in(self.space) {
            return Err(Error::runtime(format!("the projector works in W, not in {}", self.space))
                .hint("use space: W, or method: optimize"));
        }
        if self.method.encodes() && job.encoder.is_none() {
            let name = Safe(&job.generator.spec().name);
            return Err(Error::runtime(format!(
                "{name} brings no encoder, which method {} needs",
                self.method.name()
            ))
            .hint("use method: optimize or method: projector"));
        }
        if self.method.encodes() && !self.method.works_in(self.space) {
            return Err(Error::runtime(format!(
                "an encoder gives W or W+ codes, it does not search {}",
                self.space
            ))
            .hint("use space: W+, or method: optimize"));
        }
        Ok(())
    }

    fn check_numbers(&self, job: &Job) -> Result<()> {
        let l = &self.losses;
        let weights = [l.l2, l.l1, l.perceptual.unwrap_or(0.0), l.offset, self.noise_regularise];
        if weights.iter().any(|w| !(w.is_finite() && *w >= 0.0))
            || !(self.lr.is_finite() && self.lr > 0.0)
        {
            return Err(Error::runtime(
                "a weight below 0, a learning rate not above 0, or a value that is not finite",
            )
            .hint("weights are 0 or more, learning rates about 0.01 to 0.1"));
        }
        if l.perceptual.is_some_and(|p| p > 0.0) && job.perceptual.is_none() {
            return Err(Error::runtime(
                "a perceptual loss needs a feature network, and there is none",
            )
            .hint("use perceptual: 0, or a generator that brings one"));
        }
        if self.space == Space::S && l.offset > 0.0 {
            return Err(Error::runtime(
                "a style code has no offsets from W: its styles come from no rows of w",
            )
            .hint("use offset: 0, or space: W+"));
        }
        if matches!(self.init, Init::BestOf(0)) {
            return Err(
                Error::runtime("the best of 0 samples does not exist").hint("use 1 or more")
            );
        }
        let c_dim = job.generator.spec().c_dim;
        let given = job.labels.and_then(|l| l.dims().last().copied()).unwrap_or(0);
        if c_dim != given {
            let repair = if c_dim == 0 {
                "leave the labels out"
            } else {
                "say which class the picture shows"
            };
            return Err(Error::runtime(format!(
                "the generator reads labels of {c_dim} values, given are {given}"
            ))
            .hint(repair));
        }
        Ok(())
    }
}
