//! One image to invert: its target, its random numbers, and what it starts with.

use super::coarse;
use super::config::{Config, Init};
use super::degrade::Degrader;
use super::frozen::Frozen;
use super::hash::content_hash;
use super::job::Job;
use super::objective::{OF_WEIGHTS, Objective, Setup, TERMS, noise_term};
use super::phase::{Layers, Phase};
use super::prior::Prior;
use super::relative::Size;
use super::seeing::Inverters;
use crate::error::{Error, Result};
use crate::generator::{Named, spaces};
use crate::latent::Part;
use crate::rng::Rng;
use crate::space::Space;
use candle_core::{DType, Device, Tensor};
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// State shared by all images of a run.
pub(super) struct Run<'a> {
    pub job: Job<'a>,
    pub config: Config,
    pub phases: Vec<Phase<'a>>,
    pub prior: Prior<'a>,
    /// The generator's weights, once they were needed.
    weights: OnceCell<Named>,
    /// Those of the layers that a phase tunes, by their index, once they were needed.
    pub(super) tuned: RefCell<BTreeMap<Layers, Rc<[usize]>>>,
    /// What happens to the generator's pictures before they are compared.
    pub degrader: Option<Arc<Degrader>>,
    /// Their sizes, once they were needed.
    sizes: OnceCell<Vec<Size>>,
    /// Inverters of the generator's layers, once they were needed.
    inverters: OnceCell<Inverters>,
    /// The mask at the generator's size, `[1, 1, R, R]`.
    pub mask: Option<Tensor>,
    /// Images in all.
    pub count: usize,
}

impl<'a> Run<'a> {
    /// Decides what the configuration left open.
    pub fn new(job: &Job<'a>, config: &Config, count: usize) -> Result<Self> {
        let config = config.resolved(job);
        let spec = job.generator.spec();
        let mask = config.mask.as_ref().map(|m| m.at((spec.height, spec.width))).transpose()?;
        let mask = mask.map(|m| m.to_device(job.generator.device())).transpose()?;
        let size = [spec.channels, spec.height, spec.width];
        let degrader = Degrader::new(&config.degrade, size, job.generator.device())?.map(Arc::new);
        let phases = coarse::plan(job, &config)?;
        if phases.is_empty() {
            return Err(Error::runtime(format!("method {:?} has no phases", config.method)));
        }
        for term in OF_WEIGHTS.into_iter().filter(|term| config.weighs(term)) {
            if !phases.iter().any(|phase| phase.holds_weights(term)) {
                let message = format!("method {} tunes no weights", config.method.name);
                return Err(Error::runtime(format!("{message}: `{term}` does not apply"))
                    .hint(format!("leave `{term}` out, or use method: pti")));
            }
        }
        let (weights, tuned, sizes) = (OnceCell::new(), RefCell::default(), OnceCell::new());
        Ok(Self {
            job: *job,
            config,
            phases,
            prior: Prior::new(job),
            weights,
            tuned,
            degrader,
            sizes,
            inverters: OnceCell::new(),
            mask,
            count,
        })
    }

    /// Whether pictures share unknowns, so that none is searched without the others.
    pub fn joined(&self) -> bool {
        self.phases.iter().any(|phase| phase.unknowns.line)
    }

    /// Steps of all phases.
    pub fn total(&self) -> usize {
        self.phases.iter().map(|p| p.steps).sum()
    }

    /// The space that a code of this run is read in: where only noise maps are searched, that of
    /// the fixed code.
    pub fn code_space(&self, code: &Tensor) -> Space {
        match (self.config.space, code.rank()) {
            (Space::F, _) => spaces::read_by_synthesis(self.job.generator),
            (Space::N, 3) => Space::WPlus,
            (Space::N, _) => Space::W,
            (space, _) => space,
        }
    }

    /// The generator's weights by name.
    pub fn weights(&self) -> Result<&Named> {
        if let Some(known) = self.weights.get() {
            return Ok(known);
        }
        let fresh = self.job.generator.weights()?;
        Ok(self.weights.get_or_init(|| fresh))
    }

    /// The inverters of the generator's layers for the space that is searched.
    pub fn inverters(&self) -> Result<&Inverters> {
        if let Some(known) = self.inverters.get() {
            return Ok(known);
        }
        let fresh = Inverters::fitted(self.job.generator, self.config.space, None)?;
        Ok(self.inverters.get_or_init(|| fresh))
    }

    /// Pictures and targets as they are compared, at full size.
    pub fn alike(&self, pictures: &Tensor, targets: &Tensor) -> Result<[Tensor; 2]> {
        Ok(match &self.degrader {
            None => [pictures.clone(), targets.clone()],
            Some(d) => [d.enlarged(&d.apply(pictures)?)?, d.enlarged(&d.target(targets)?)?],
        })
    }

    /// How long a step of a part of a code is, for a learning rate of 1.
    pub fn step_of(&self, part: Part) -> Result<f64> {
        let (Part::Delta(i) | Part::Left(i) | Part::Right(i)) = part else { return Ok(1.0) };
        let all = match self.sizes.get() {
            Some(known) => known,
            None => {
                let fresh = self.weights()?.values().map(Size::of).collect::<Result<_>>()?;
                self.sizes.get_or_init(|| fresh)
            }
        };
        Ok(all.get(i).map_or(1.0, |size| size.step_of(part)))
    }

    /// Objective of a phase for these targets; `noise` adds the regulariser of the maps that are
    /// searched.
    pub fn objective(
        &self,
        phase: &Phase<'a>,
        Against { targets, counted, labels }: Against<'_>,
        noise: bool,
    ) -> Result<Objective<'a>> {
        let recipe = &phase.objective;
        let targets = match phase.side {
            Some(side) => &coarse::small(targets, side)?,
            None => targets,
        };
        let mut objective = Objective::new(targets, (self.degrader.clone(), recipe.limited))?;
        if let Some(mask) = &self.mask {
            objective = objective.masked(mask)?;
        }
        if let Some(counted) = counted {
            objective = objective.masked(counted)?;
        }
        let compared = objective.compared().clone();
        let setup = Setup {
            job: &self.job,
            space: self.config.space,
            targets: &compared,
            early: phase.side.is_some(),
            labels,
            levels: self.config.levels,
            sigma: &|| Ok(self.prior.w()?.sigma),
            gaussian: &|| self.prior.gaussian().cloned(),
        };
        for (name, weight) in recipe.weights.iter().filter(|(_, w)| *w > 0.0) {
            let kind = TERMS.iter().find(|t| t.name == *name);
            let kind = kind.ok_or_else(|| Error::runtime(format!("no term `{name}`")))?;
            if OF_WEIGHTS.contains(name) && !phase.holds_weights(name) {
                continue;
            }
            if let Some(term) = kind.weighted(&setup, *weight)? {
                objective.push(term);
            }
        }
        if noise && phase.unknowns.noise && recipe.noise > 0.0 {
            objective.push(noise_term(recipe.noise));
        }
        Ok(objective)
    }
}

/// What the pictures of a batch are compared with.
#[derive(Clone, Copy)]
pub(super) struct Against<'t> {
    /// The pictures to reach, `[N, C, R, R]`.
    pub targets: &'t Tensor,
    /// The weights of their pixels, `[N, 1, R, R]`, where not all count.
    pub counted: Option<&'t Tensor>,
    /// Their labels, `[N, c_dim]`.
    pub labels: Option<&'t Tensor>,
}

/// One image to invert.
pub(super) struct Problem<'r, 'a> {
    pub run: &'r Run<'a>,
    /// Index of the image.
    pub place: usize,
    /// Names the streams of random numbers.
    pub key: String,
    /// Sha256 of the target.
    pub target_hash: String,
    /// The target, `[1, C, R, R]`.
    pub picture: Tensor,
    /// Its label, `[1, c_dim]`.
    pub labels: Option<Tensor>,
    /// What the start code brings besides its point: noise maps, a residual, weights.
    pub given: Vec<(Part, Tensor)>,
    /// Sha256 of the targets of all pictures, where they are searched together.
    pub beside: Option<String>,
    /// Names the run of this image, once it was needed.
    pub(super) name: OnceCell<String>,
    /// What the phase leaves as it is that was evaluated last.
    pub(super) frozen: RefCell<Rc<Frozen>>,
}

impl<'r, 'a> Problem<'r, 'a> {
    /// The problem of the image `picture` `[1, C, R, R]` at `place`.
    pub fn new(run: &'r Run<'a>, picture: Tensor, place: usize) -> Result<Self> {
        let target_hash = content_hash(&picture)?;
        let mut problem = Self {
            run,
            place,
            key: run.job.keys.get(place).cloned().unwrap_or_else(|| target_hash.clone()),
            target_hash,
            picture,
            labels: run.job.labels_of(place)?,
            given: Vec::new(),
            beside: None,
            name: OnceCell::new(),
            frozen: RefCell::default(),
        };
        problem.given = problem.found_with_start()?;
        Ok(problem)
    }

    /// The random numbers of one purpose of this image.
    pub fn rng(&self, purpose: &str) -> Rng {
        Rng::derive(self.run.config.seed, &format!("invert {} {purpose}", self.key))
    }

    pub fn device(&self) -> &Device {
        self.run.job.generator.device()
    }

    /// The fading noise on w at a step of a phase, `None` where there is none (any more); a stream
    /// a step, so that a resumed run draws the same.
    pub fn w_noise(&self, phase: &Phase<'_>, step: usize) -> Result<Option<Tensor>> {
        let share = phase.schedule.w_noise_of(step, phase.steps);
        if share == 0.0 {
            return Ok(None);
        }
        // It is defined in W alone.
        let dim = self.run.job.generator.spec().w_dim;
        let draw = self.rng(&format!("w noise {step}")).normals(dim);
        let draw = Tensor::from_vec(draw, (1, dim), &Device::Cpu)?.to_device(self.device())?;
        Ok(Some((draw * (self.run.prior.w()?.sigma * share))?))
    }

    /// This image's row of a batch, or the only one.
    pub fn mine(&self, batch: &Tensor) -> Result<Tensor> {
        let row = if batch.dims().first() == Some(&1) { 0 } else { self.place };
        Ok(batch
            .narrow(0, row, 1)?
            .contiguous()?
            .detach()
            .to_dtype(DType::F32)?
            .to_device(self.device())?)
    }

    /// What came with the start code besides its point, if it fits the generator.
    fn found_with_start(&self) -> Result<Vec<(Part, Tensor)>> {
        let Init::Latent(start) = &self.run.config.init else { return Ok(Vec::new()) };
        let (maps, own) = (start.noise(), self.run.job.generator.noise_maps());
        let alike = |(a, b): (&Tensor, &&Tensor)| a.dims().get(1..) == b.dims().get(1..);
        let fit = own.len() == maps.len() && own.iter().zip(&maps).all(alike);
        if !(maps.is_empty() || fit) {
            return Err(Error::runtime(
                "the noise maps of the start code do not fit the generator",
            )
            .hint("use a code of the same generator"));
        }
        let found = start.parts.iter().filter(|(part, _)| part.found());
        found.map(|(part, tensor)| Ok((part, self.mine(tensor)?))).collect()
    }
}
