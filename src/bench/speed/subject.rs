//! The timed work, in the process that does it.

use super::official;
use super::work::{self, Work};
use crate::bench::memory;
use crate::bench::setting::{Setting, settings};
use crate::control::Control;
use crate::error::{Error, Result};
use crate::generator::{Generator, Input, Noise, spaces};
use crate::invert::methods::{HYBRID, OPTIMIZE};
use crate::invert::{self, Config};
use crate::lang::types::ModelFacts;
use crate::metric::Perceptual;
use crate::rng::Rng;
use crate::safe::Safe;
use crate::space::Space;
use crate::value::{Loaded, Models};
use candle_core::{DeviceLocation, Tensor, Var};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// Gradient steps of the inversion that is timed.
pub const STEPS: usize = 300;
/// Calls of one kind follow each other for about this long in a round, at most [`CALLS`] of them.
const SPELL_MS: f64 = 200.0;
const CALLS: usize = 10;

/// Quantity that a row measures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Forward and step of a random StyleGAN2 of the published widths, of this resolution.
    Official(usize),
    /// Forward and step of a generator: a name or a path.
    Model(String),
    /// An inversion with a generator, from picture to code.
    Inversion {
        /// A name or a path.
        model: String,
        /// `METHOD[:STEPS]`; unless given hybrid, where there is an encoder, or optimize, of
        /// [`STEPS`] steps.
        method: Option<String>,
    },
}

/// A row to measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What.
    pub what: What,
    /// Pictures at once.
    pub batch: usize,
    /// Seed of everything random.
    pub seed: u64,
}

impl Job {
    /// Title for progress and errors.
    pub fn title(&self) -> String {
        let of = if self.batch > 1 { format!(" ×{}", self.batch) } else { String::new() };
        let what = match &self.what {
            What::Official(r) => format!("{} {r}", official::NAME),
            What::Model(name) => name.clone(),
            What::Inversion { model, method } => {
                let by = method.as_ref().map(|m| format!(" by {m}")).unwrap_or_default();
                format!("{model}, inversion{by}")
            }
        };
        what + &of
    }
}

/// Facts known before anything is timed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Name of the generator.
    pub generator: String,
    /// Side of the pictures.
    pub resolution: usize,
    /// Threads that compute.
    pub threads: usize,
    /// `cpu`, `cuda:0`.
    pub device: String,
    /// The type that is computed in.
    pub dtype: String,
    /// The work of one forward, where it is known.
    pub work: Option<Work>,
    /// The inversion: method and gradient steps.
    pub inversion: Option<(String, usize)>,
}

/// The times of one round, a call each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Forward passes, ms.
    pub forward: Vec<f64>,
    /// Steps, ms.
    pub step: Vec<f64>,
    /// Inversions, s.
    pub inversion: Vec<f64>,
    /// Peak memory so far, MiB.
    pub peak: Option<f64>,
}

/// A row's work, ready to be timed.
pub struct Subject {
    facts: Facts,
    generator: Arc<dyn Generator>,
    timed: Timed,
    measurable: bool,
}

enum Timed {
    Synthesis {
        ws: Var,
        maps: Vec<Var>,
        calls: [usize; 2],
    },
    Inversion {
        model: Arc<Loaded>,
        perceptual: Option<Perceptual>,
        config: Box<Config>,
        target: Tensor,
    },
}

impl Subject {
    /// Loads the generator to `models`, or makes it on their device, and does everything once,
    /// untimed.
    ///
    /// # Errors
    /// When the generator cannot be loaded, or cannot be run.
    pub fn prepare(job: &Job, models: &Models) -> Result<Self> {
        let mut subject = match &job.what {
            What::Official(resolution) => {
                let generator = official::build(*resolution, job.seed, models.device())?;
                Self::synthesis(Arc::new(generator), job)?
            }
            What::Model(name) => Self::synthesis(models.load(name)?.generator()?.clone(), job)?,
            What::Inversion { model, method } => {
                Self::inversion(&models.load(model)?, method.as_deref(), job)?
            }
        };
        // Weights are there, what loading them took besides is gone: the peak counts from here.
        subject.measurable = memory::forget() && subject.generator.device().is_cpu();
        subject.warm_up()?;
        Ok(subject)
    }

    fn synthesis(generator: Arc<dyn Generator>, job: &Job) -> Result<Self> {
        let spec = generator.spec();
        let size = (job.batch, spec.num_ws, spec.w_dim);
        let draw = Rng::derive(job.seed, "speed: codes").normals(size.0 * size.1 * size.2);
        let ws = Var::from_tensor(&Tensor::from_vec(draw, size, generator.device())?)?;
        let maps = generator
            .noise_maps()
            .iter()
            .map(Var::from_tensor)
            .collect::<candle_core::Result<Vec<_>>>()?;
        let facts = facts(&*generator, work::forward(spec, job.batch));
        let timed = Timed::Synthesis { ws, maps, calls: [1, 1] };
        Ok(Self { facts, generator, timed, measurable: false })
    }

    fn inversion(model: &Arc<Loaded>, method: Option<&str>, job: &Job) -> Result<Self> {
        let generator = model.generator()?.clone();
        let config = setting(method, &model.facts)?.config(None, job.seed);
        let (perceptual, target) =
            (model.features()?.cloned().map(Perceptual::new), pictures(model, job)?);
        model.stats()?;
        let passes = config.passes.or(model.encoder()?.map(|e| e.passes())).unwrap_or(0);
        let steps = if config.method.steps.is_none() { passes } else { config.steps };
        let inversion = Some((config.method.name.to_owned(), steps));
        let facts = Facts { inversion, ..facts(&*generator, None) };
        let timed =
            Timed::Inversion { model: model.clone(), perceptual, config: Box::new(config), target };
        Ok(Self { facts, generator, timed, measurable: false })
    }

    /// Facts about it.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// A first call without counting, which also gives the number of calls of a round.
    fn warm_up(&mut self) -> Result<()> {
        match &self.timed {
            Timed::Synthesis { ws, maps, .. } => {
                let times = [self.forward(ws)?, self.step(ws, maps)?];
                let several = |ms: f64| ((SPELL_MS / ms.max(1e-3)) as usize).clamp(1, CALLS);
                if let Timed::Synthesis { calls, .. } = &mut self.timed {
                    *calls = times.map(several);
                }
            }
            Timed::Inversion { config, .. } => drop(self.invert(&short(config))?),
        }
        Ok(())
    }

    /// One round.
    ///
    /// # Errors
    /// When the work fails.
    pub fn round(&self) -> Result<Times> {
        let mut times = Times::default();
        match &self.timed {
            Timed::Synthesis { ws, maps, calls } => {
                times.forward = (0..calls[0]).map(|_| self.forward(ws)).collect::<Result<_>>()?;
                times.step = (0..calls[1]).map(|_| self.step(ws, maps)).collect::<Result<_>>()?;
            }
            Timed::Inversion { config, .. } => times.inversion.push(self.invert(config)?),
        }
        times.peak = if self.measurable { memory::peak() } else { None };
        Ok(times)
    }

    fn picture(&self, ws: &Tensor, input: &Input) -> Result<Tensor> {
        spaces::picture(&*self.generator, ws, Space::WPlus, input)
    }

    /// A forward without gradients, ms.
    fn forward(&self, ws: &Var) -> Result<f64> {
        let ws = ws.as_tensor().detach();
        self.clocked(|| {
            self.picture(&ws, &Input::default())?;
            Ok(())
        })
    }

    /// A forward, the sum of the picture's squares, and its gradient to codes and noise maps, ms.
    fn step(&self, ws: &Var, maps: &[Var]) -> Result<f64> {
        let maps_of = maps.iter().map(|m| m.as_tensor().clone()).collect();
        let input = Input::of(Noise::Maps(maps_of));
        self.clocked(|| {
            let loss = self.picture(ws.as_tensor(), &input)?.sqr()?.sum_all()?;
            let gradients = loss.backward()?;
            match std::iter::once(ws).chain(maps).all(|v| gradients.get(v).is_some()) {
                true => Ok(()),
                false => Err(Error::runtime("a step gave no gradient to codes or noise maps")),
            }
        })
    }

    /// An inversion end to end, s.
    fn invert(&self, config: &Config) -> Result<f64> {
        let Timed::Inversion { model, perceptual, target, .. } = &self.timed else {
            return Err(Error::runtime("no inversion was prepared"));
        };
        // The process that asked ends this one when it is stopped.
        let control = Control::default();
        let job = invert::Job {
            perceptual: perceptual.as_ref(),
            encoder: model.encoder()?,
            companion: model.companion(config.method.companion)?,
            stats: Some(&|| model.stats()),
            ..invert::Job::new(&**model.generator()?, &control)
        };
        Ok(self.clocked(|| invert::invert(&job, target, config).map(drop))? / 1e3)
    }

    /// Time of `work` with everything that it frees, ms.
    fn clocked(&self, work: impl FnOnce() -> Result<()>) -> Result<f64> {
        let clock = Instant::now();
        work()?;
        // A GPU is only asked to do things until then.
        self.generator.device().synchronize()?;
        Ok(clock.elapsed().as_secs_f64() * 1e3)
    }
}

/// The inversion that is timed: in W+ where its method searches that, in W where it does not.
///
/// # Errors
/// When the method does not exist, or the generator has no encoder for it.
pub fn setting(method: Option<&str>, facts: &ModelFacts) -> Result<Setting> {
    let usual = if facts.encoder { &HYBRID } else { &OPTIMIZE };
    let method = method.map_or_else(|| format!("{}:{STEPS}", usual.name), str::to_owned);
    // They come from narrow to wide.
    let last = settings(std::slice::from_ref(&method), &[], facts)?.pop();
    last.ok_or_else(|| {
        Error::runtime(format!("{} searches no space of {}", Safe(&method), Safe(&facts.name)))
    })
}

/// A configuration with one step, or one pass, which is enough to initialise everything.
fn short(config: &Config) -> Config {
    Config {
        steps: config.steps.min(1),
        passes: config.method.encoder.then_some(1),
        ..config.clone()
    }
}

fn facts(generator: &dyn Generator, work: Option<Work>) -> Facts {
    let spec = generator.spec();
    Facts {
        generator: spec.name.clone(),
        resolution: spec.width.max(spec.height),
        threads: rayon::current_num_threads(),
        device: match generator.device().location() {
            DeviceLocation::Cpu => "cpu".into(),
            DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
            DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
        },
        dtype: "f32".into(),
        work,
        inversion: None,
    }
}

/// Pictures made by the generator as targets. The time of an inversion does not depend on what they
/// show.
fn pictures(model: &Loaded, job: &Job) -> Result<Tensor> {
    let (g, spec) = (model.generator()?, model.spec());
    if spec.classes() > 0 {
        return Err(Error::runtime("the inversion of a conditional generator is not timed")
            .hint("leave it out: --only official,model"));
    }
    let z = Rng::derive(job.seed, "speed: targets").normals(job.batch * spec.z_dim);
    let z = Tensor::from_vec(z, (job.batch, spec.z_dim), g.device())?;
    Ok(spaces::picture(&**g, &z, Space::Z, &Input::default())?.detach())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_times_every_kind() {
        let models = Models::cpu();
        let of = |what| Subject::prepare(&Job { what, batch: 2, seed: 1 }, &models).unwrap();
        let synthesis = of(What::Official(8));
        let facts = synthesis.facts();
        assert_eq!(
            (facts.generator.as_str(), facts.resolution, facts.device.as_str()),
            ("official", 8, "cpu")
        );
        let times = synthesis.round().unwrap();
        assert!(!times.forward.is_empty() && !times.step.is_empty() && times.inversion.is_empty());
        assert!(times.forward.iter().chain(&times.step).all(|&t| t > 0.0));

        let inverting = |method: Option<&str>| {
            of(What::Inversion { model: "toy".into(), method: method.map(str::to_owned) })
        };
        let inversion = inverting(None);
        assert_eq!(inversion.facts().inversion, Some(("hybrid".into(), STEPS)));
        assert_eq!((inversion.facts().work, inversion.facts().resolution), (None, 32));
        assert!(
            inversion.invert(&Config { steps: 2, ..Config::new(Space::WPlus, &OPTIMIZE) }).unwrap()
                > 0.0
        );
        let short = inverting(Some("encoder:2"));
        assert_eq!(short.facts().inversion, Some(("encoder".into(), 2)));
        assert!(short.round().unwrap().inversion[0] > 0.0);
    }

    #[test]
    fn inversions_are_in_the_widest_space_of_their_method() {
        let facts = Models::cpu().load("toy").unwrap().facts.clone();
        let of =
            |method: Option<&str>| setting(method, &facts).map(|s| (s.method, s.space, s.steps));
        assert_eq!(of(None).unwrap(), (&HYBRID, Space::WPlus, Some(STEPS)));
        assert_eq!(of(Some("optimize:7")).unwrap(), (&OPTIMIZE, Space::WPlus, Some(7)));
        assert_eq!(
            of(Some("projector:9")).unwrap(),
            (&invert::methods::PROJECTOR, Space::W, Some(9))
        );
        assert!(of(Some("hybird")).unwrap_err().repair().is_some());
        let bare = ModelFacts { encoder: false, ..(*facts).clone() };
        assert_eq!(setting(None, &bare).unwrap().method, &OPTIMIZE);
    }
}
