//! Checks of a configuration before anything runs; every refusal names its repair.

use super::coarse;
use super::config::{Config, Init, Method};
use super::degrade::{self, Degrader};
use super::job::Job;
use super::methods::{METHODS, OPTIMIZE, SEARCHED};
use super::objective::TERMS;
use crate::error::{Error, Result};
use crate::generator::{Spec, pose};
use crate::lang::types::Companion;
use crate::safe::Safe;
use crate::space::Space;
use candle_core::Tensor;

impl Method {
    /// The space that is searched unless one is given: the first of the method's that the generator
    /// has; the method's first where it has none.
    pub fn usual_space(&self, spaces: &[Space]) -> Space {
        let found = self.spaces.iter().find(|s| spaces.contains(s));
        found.or(self.spaces.first()).copied().unwrap_or(Space::Z)
    }

    /// Whether it can search a space with the encoder of a job: passes find codes of one space,
    /// those that find codes of W+ also those of W.
    pub(super) fn runs_in(&self, space: Space, job: &Job) -> bool {
        let found = if space == Space::W { Space::WPlus } else { space };
        let encoder = job.encoder.filter(|_| self.encoder);
        self.works_in(space) && encoder.is_none_or(|e| e.space() == found)
    }

    /// Refuses a space that it does not search.
    ///
    /// # Errors
    /// When the method does not search the space; the hint names one that it does.
    pub fn check_space(&self, space: Space) -> Result<()> {
        if self.works_in(space) {
            return Ok(());
        }
        let own: Vec<&str> = self.spaces.iter().map(|s| s.name()).collect();
        let usual = self.usual_space(self.spaces);
        let other = if OPTIMIZE.works_in(space) { ", or method: optimize" } else { "" };
        let own = own.join(" or ");
        Err(Error::runtime(format!("method {} searches {own}, not {space}", self.name))
            .hint(format!("space: {usual}{other}")))
    }

    /// Refuses a generator without an encoder when it needs one.
    ///
    /// # Errors
    /// When the method needs an encoder; the hint names another method.
    pub fn check_encoder(&self, brings: bool, generator: &str) -> Result<()> {
        if brings || !self.encoder {
            return Ok(());
        }
        Err(Error::runtime(format!(
            "{} has no encoder, which `method: {}` needs",
            Safe(generator),
            self.name
        ))
        .hint(
            "method: optimize, or make an encoder from its samples: fit(encoder); or give one: \
             encoder: \"FILE\"",
        ))
    }

    /// Refuses a generator without the network that it runs after the encoder.
    ///
    /// # Errors
    /// When the method needs such a network; the hint names another method.
    pub fn check_companion(
        &self,
        brings: impl Fn(Companion) -> bool,
        generator: &str,
    ) -> Result<()> {
        let Some(kind) = self.needed_companion().filter(|kind| !brings(*kind)) else {
            return Ok(());
        };
        let (generator, words, name) = (Safe(generator), kind.words(), kind.name());
        let text = format!("{generator} has no {words}, which `method: {}` needs", self.name);
        Err(Error::runtime(text).hint(format!(
            "method: encoder or hybrid, or put the {name}.safetensors beside it that \
             scripts/train/train_{name}.py makes for it"
        )))
    }

    /// Refuses a parameter that it does not read: passes, a learning rate, or one of another
    /// method's own.
    ///
    /// # Errors
    /// When the method does not read the parameter; the hint names one that does.
    pub fn check_parameter(&self, name: &str) -> Result<()> {
        let reads = |m: &Method| match name {
            "passes" | "encoder" | "w_encoder" => m.encoder,
            "lr" => m.lr.is_some(),
            _ => m.params.iter().any(|p| p.name == name),
        };
        let known = METHODS.iter().filter(|m| reads(m)).collect::<Vec<_>>();
        if known.is_empty() || reads(self) {
            return Ok(());
        }
        let why = match name {
            "passes" | "encoder" | "w_encoder" => "does not run an encoder",
            "lr" => "finds its own step lengths",
            _ => "does not read it",
        };
        let usual = known.iter().find(|m| ***m == &OPTIMIZE);
        // The one most like `optimize` is named last.
        let other = usual.or(known.last()).map_or("", |m| m.name);
        Err(Error::runtime(format!("method {} {why}: `{name}` does not apply", self.name))
            .hint(format!("leave `{name}` out, or use method: {other}")))
    }
}

impl Config {
    /// Refuses an encoder whose codes are of another space than the one that is searched.
    fn check_codes(&self, job: &Job) -> Result<()> {
        let Some(encoder) = job.encoder.filter(|_| !self.method.runs_in(self.space, job)) else {
            return Ok(());
        };
        let (name, found) = (Safe(encoder.name()), encoder.space());
        let text = format!("{name} finds codes of {found}, not of {}", self.space);
        Err(Error::runtime(text).hint(format!("space: {found}")))
    }

    /// Refuses what cannot work; says what was decided on its own.
    pub(super) fn check(&self, job: &Job) -> Result<Vec<String>> {
        let spec = job.generator.spec();
        self.check_space(spec)?;
        self.method.check_encoder(job.encoder.is_some(), &spec.name)?;
        self.method.check_companion(|_| job.companion.is_some(), &spec.name)?;
        self.method.check_space(self.space)?;
        self.check_codes(job)?;
        self.check_numbers(job)?;
        coarse::check(job, self)?;
        check_labels(job)?;
        if let Some(mask) = &self.mask {
            mask.check((spec.height, spec.width))?;
        }
        if self.pose && pose::size(spec).is_none() {
            let name = Safe(&spec.name);
            let message = format!("{name} has neither a camera nor a transform to search");
            return Err(Error::runtime(message).hint("leave `pose` out"));
        }
        let size = [spec.channels, spec.height, spec.width];
        let degraded = Degrader::new(&self.degrade, size, job.generator.device())?;
        let mut notes = Vec::new();
        if degraded.is_some() {
            notes.push(format!(
                "the numbers compare the target with the reconstruction after {}; the one shown is \
                 clean",
                degrade::words(&self.degrade)
            ));
        }
        if job.perceptual.is_none() && self.weights.get("perceptual").is_none() {
            notes.push("no feature network: pixel loss only".to_string());
        }
        if self.lacks_discriminator(job).is_some() {
            let (method, other) = (self.method.name, job.perceptual);
            let other = other.map_or("the squared error", |_| "a perceptual distance");
            notes.push(format!("no discriminator: {method} compares by {other} instead"));
        }
        if let Some(d) = job.discriminator.filter(|_| self.reads_discriminator()) {
            notes.push(format!("features by {}", Safe(d.name())));
        }
        if let Some(other) = job.perceptual.filter(|p| p.is_borrowed()) {
            notes.push(format!("perceptual distance by {}", Safe(other.features().name())));
        }
        if self.noise && !self.searches_noise(job) {
            notes.push("the generator has no noise maps to search".to_string());
        }
        Ok(notes)
    }

    fn check_space(&self, spec: &Spec) -> Result<()> {
        if !SEARCHED.contains(&self.space) {
            let names: Vec<&str> = SEARCHED.iter().map(|s| s.name()).collect();
            return Err(Error::runtime(format!("inversion does not search {}", self.space))
                .hint(format!("use one of {}", names.join(", "))));
        }
        if self.space == Space::F && spec.layers.is_empty() {
            let message = format!("{} has no feature maps to search", Safe(&spec.name));
            return Err(Error::runtime(message)
                .hint(format!("use {}", self.method.usual_space(&spec.spaces))));
        }
        if !matches!(self.space, Space::N | Space::F) && !spec.dims().has(self.space) {
            let all: Vec<&str> = spec.spaces.iter().map(|s| s.name()).collect();
            return Err(Error::runtime(format!(
                "{} has no {} space",
                Safe(&spec.name),
                self.space
            ))
            .hint(format!("use one of {}", all.join(", "))));
        }
        if self.space == Space::N && spec.noise_sizes.is_empty() {
            return Err(Error::runtime("the generator has no noise maps, so N cannot be searched")
                .hint(format!("use {}", self.method.usual_space(&spec.spaces))));
        }
        if matches!(self.init, Init::Mean) && self.space == Space::Z && !self.method.encoder {
            return Err(Error::runtime("the mean of Z is 0, which is unlike any sampled code")
                .hint("use a random start, or the best of some"));
        }
        Ok(())
    }

    fn check_numbers(&self, job: &Job) -> Result<()> {
        let weights = self.weights.iter().map(|(_, w)| w).chain([self.noise_regularise]);
        let all = weights
            .chain(self.until)
            .chain(self.plateau)
            .chain(self.settings.iter().map(|(_, v)| v));
        let rate = self.method.lr.is_none() || (self.lr.is_finite() && self.lr > 0.0);
        if all.into_iter().any(|w| !(w.is_finite() && w >= 0.0)) || !rate {
            return Err(Error::runtime(
                "a weight below 0, a learning rate not above 0, or a value that is not finite",
            )
            .hint("weights are 0 or more, learning rates about 0.01 to 0.1"));
        }
        for kind in TERMS {
            if self.weighs(kind.name) {
                (kind.check)(job, self.space)?;
            }
        }
        if matches!(self.init, Init::BestOf(0)) {
            return Err(
                Error::runtime("the best of 0 samples does not exist").hint("use 1 or more")
            );
        }
        if self.restarts == 0 {
            return Err(Error::runtime("0 searches find nothing").hint("restarts: 1 or more"));
        }
        if self.restarts > 1 && (self.space == Space::N || matches!(self.init, Init::Latent(_))) {
            return Err(Error::runtime(
                "`restarts` begin at random samples, but the start is given",
            )
            .hint("leave `restarts` out, or the start code"));
        }
        let names = self.settings.iter().map(|(name, _)| name);
        let mut names = names.chain(self.words.iter().map(|(name, _)| name));
        names.try_for_each(|name| self.method.check_parameter(name))
    }
}

fn check_labels(job: &Job) -> Result<()> {
    let c_dim = job.generator.spec().classes();
    let given = job.labels.and_then(|l| l.dims().last().copied()).unwrap_or(0);
    if c_dim == given {
        return Ok(());
    }
    let repair =
        if c_dim == 0 { "leave the labels out" } else { "say which class the picture shows" };
    Err(Error::runtime(format!("the generator reads labels of {c_dim} values, given are {given}"))
        .hint(repair))
}

/// Refuses pictures that the generator cannot reach.
pub(super) fn check_target(job: &Job, target: &Tensor) -> Result<()> {
    let spec = job.generator.spec();
    let dims = target.dims();
    if dims.len() != 4 || dims[0] == 0 || dims[1..] != [spec.channels, spec.height, spec.width] {
        return Err(Error::runtime(format!(
            "the generator makes pictures of {}×{}×{}, the target is {dims:?}",
            spec.channels, spec.height, spec.width
        ))
        .hint(format!(
            "resize it to {}×{} with {} channels first",
            spec.width, spec.height, spec.channels
        )));
    }
    if !target.sum_all()?.to_vec0::<f32>()?.is_finite() {
        return Err(Error::runtime("the target holds values that are not finite")
            .hint("repair or leave out the picture"));
    }
    if !job.keys.is_empty() && job.keys.len() != dims[0] {
        return Err(Error::runtime(format!("{} keys for {} pictures", job.keys.len(), dims[0])));
    }
    Ok(())
}
