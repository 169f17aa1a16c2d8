//! One image to invert: what is searched, where it starts, and what a point is worth.

use super::together::{Point, stacked, synthesize};
use super::{Config, Init, Job, Method, Objective, PictureLoss, WStats, content_hash, w_noise};
use crate::control::Stop;
use crate::error::{Error, Result};
use crate::generator::{Input, Noise, batch_size, spaces};
use crate::latent::Latent;
use crate::rng::Rng;
use crate::space::{Space, lattice};
use candle_core::{DType, Device, Tensor};

/// One image to invert.
pub(super) struct Problem<'a> {
    pub job: Job<'a>,
    pub config: &'a Config,
    pub stats: &'a WStats,
    /// Which image of how many.
    pub place: (usize, usize),
    /// Names the streams of random numbers.
    pub key: String,
    /// Sha256 of the target.
    pub target_hash: String,
    /// The target, `[1, C, R, R]`.
    pub picture: Tensor,
    /// Its label, `[1, c_dim]`.
    pub labels: Option<Tensor>,
    /// What is minimised.
    pub loss: PictureLoss<'a>,
    /// The code in space N, where only the noise maps are searched.
    pub fixed: Option<Tensor>,
    /// Noise maps that the start code brings: where the search of the maps starts, or what stays
    /// fixed without one.
    pub given_maps: Vec<Tensor>,
}

impl<'a> Problem<'a> {
    /// For the image `picture` `[1, C, R, R]` at `place` in the batch.
    pub fn new(
        job: &Job<'a>,
        config: &'a Config,
        stats: &'a WStats,
        picture: Tensor,
        place: (usize, usize),
    ) -> Result<Self> {
        let target_hash = content_hash(&picture)?;
        let mut loss = PictureLoss::new(&picture, config.method == Method::Projector)?;
        loss.l2 = config.l2_weight(job);
        loss.l1 = config.losses.l1;
        loss.offset = config.losses.offset / (stats.sigma * stats.sigma).max(f64::MIN_POSITIVE);
        loss.noise = if config.searches_noise(job) { config.noise_regularise } else { 0.0 };
        let weight = config.perceptual_weight(job);
        if let (Some(network), true) = (job.perceptual, weight > 0.0) {
            loss = loss.with_perceptual(network, weight)?;
        }
        let mut problem = Self {
            job: *job,
            config,
            stats,
            place,
            key: job.keys.get(place.0).cloned().unwrap_or_else(|| target_hash.clone()),
            target_hash,
            picture,
            labels: labels_of(job, place.0)?,
            loss,
            fixed: None,
            given_maps: Vec::new(),
        };
        problem.given_maps = problem.maps_of_start()?;
        if config.space == Space::N {
            problem.fixed = Some(problem.start_code()?);
        }
        Ok(problem)
    }

    /// The tensors that are searched: the code (not in N), then the noise maps.
    pub fn start(&self) -> Result<Vec<Tensor>> {
        let mut params = match self.fixed {
            Some(_) => Vec::new(),
            None => vec![self.start_code()?],
        };
        if self.config.searches_noise(&self.job) {
            params.extend(self.start_maps()?);
        }
        Ok(params)
    }

    /// Splits parameters into code and noise maps.
    pub fn split<'b>(&'b self, params: &'b [Tensor]) -> Result<(&'b Tensor, &'b [Tensor])> {
        match (&self.fixed, params.split_first()) {
            (Some(code), _) => Ok((code, params)),
            (None, Some((code, maps))) => Ok((code, maps)),
            (None, None) => Err(Error::runtime("there is nothing to search")),
        }
    }

    /// The noise maps at `params`, searched or given; empty when the generator's own are used.
    pub fn maps<'b>(&'b self, params: &'b [Tensor]) -> Result<&'b [Tensor]> {
        let (_, searched) = self.split(params)?;
        Ok(if searched.is_empty() { &self.given_maps } else { searched })
    }

    /// Passes of the encoder and gradient steps, in all.
    pub fn total(&self) -> usize {
        self.config.passes_taken() + self.config.steps_taken()
    }

    /// Tells feature networks apart by what they make of the target: name and weights may both have
    /// changed.
    pub fn perceptual_mark(&self) -> Result<String> {
        match self
            .loss
            .perceptual
            .as_ref()
            .and_then(|(_, taps, weight)| Some((taps.last()?, weight)))
        {
            Some((tap, weight)) => Ok(format!("{} weight {weight}", content_hash(tap)?)),
            None => Ok("none".into()),
        }
    }

    /// The random numbers of one purpose of this image.
    fn rng(&self, purpose: &str) -> Rng {
        Rng::derive(self.config.seed, &format!("invert {} {purpose}", self.key))
    }

    fn device(&self) -> &Device {
        self.job.generator.device()
    }

    /// The projector's fading noise on w, `None` where there is none (any more); a stream a step,
    /// so that a resumed run draws the same.
    pub fn w_noise(&self, step: usize) -> Result<Option<Tensor>> {
        if self.config.method != Method::Projector {
            return Ok(None);
        }
        let deviation = self.stats.sigma * w_noise(step as f64 / self.config.steps.max(1) as f64);
        if deviation == 0.0 {
            return Ok(None);
        }
        // It searches W alone.
        let dim = self.job.generator.spec().w_dim;
        let draw = self.rng(&format!("w noise {step}")).normals(dim);
        Ok(Some(
            (Tensor::from_vec(draw, (1, dim), &Device::Cpu)?.to_device(self.device())?
                * deviation)?,
        ))
    }

    fn start_code(&self) -> Result<Tensor> {
        match &self.config.init {
            Init::Mean if self.config.method.encodes() => {
                self.fit(spaces::mean(self.job.generator, Space::W)?.data.detach(), Space::W)
            }
            Init::Mean => self.fit(self.stats.mean.unsqueeze(0)?, Space::W),
            Init::Random => self.drawn(0),
            Init::BestOf(k) => self.best_of(*k),
            Init::Latent(l) => {
                let n = l.count();
                if n != 1 && n != self.place.1 {
                    return Err(Error::runtime(format!(
                        "{n} start codes for {} pictures",
                        self.place.1
                    ))
                    .hint("give one for all, or one each"));
                }
                self.fit(self.mine(&l.data)?, l.space)
            }
        }
    }

    /// This image's row of a batch, or the only one.
    fn mine(&self, batch: &Tensor) -> Result<Tensor> {
        let row = if batch.dims().first() == Some(&1) { 0 } else { self.place.0 };
        Ok(batch
            .narrow(0, row, 1)?
            .contiguous()?
            .detach()
            .to_dtype(DType::F32)?
            .to_device(self.device())?)
    }

    /// The noise maps that came with the start code, if they fit the generator.
    fn maps_of_start(&self) -> Result<Vec<Tensor>> {
        let Init::Latent(Latent { noise: Some(maps), .. }) = &self.config.init else {
            return Ok(Vec::new());
        };
        let own = self.job.generator.noise_maps();
        if own.len() != maps.len()
            || own.iter().zip(maps).any(|(a, b)| a.dims()[1..] != b.dims()[1..])
        {
            return Err(Error::runtime(
                "the noise maps of the start code do not fit the generator",
            )
            .hint("use a code of the same generator"));
        }
        maps.iter().map(|m| self.mine(m)).collect()
    }

    /// A code of `from` in the space that is searched.
    fn fit(&self, code: Tensor, from: Space) -> Result<Tensor> {
        let spec = self.job.generator.spec();
        let given = code.dims().to_vec();
        let input = Input::labelled(self.labels.as_ref());
        let to = match (from, self.config.space) {
            // Beside the noise maps a code stays as it is.
            (Space::W | Space::WPlus, Space::N) => from,
            (Space::Z, Space::N) => Space::W,
            (_, to) => to,
        };
        if lattice::lift(from, to).is_err() {
            let above = spec.spaces.iter().filter(|s| lattice::lift(from, **s).is_ok());
            let above: Vec<&str> = above.map(|s| s.name()).collect();
            return Err(Error::runtime(format!("a {from} code cannot start a search in {to}"))
                .hint(format!("use space: {}", above.join(" or "))));
        }
        let fitted = spaces::rise(self.job.generator, &code, (from, to), &input)?;
        let dim = match self.config.space {
            Space::Z => spec.z_dim,
            Space::S => spec.s_dim(),
            _ => spec.w_dim,
        };
        let layers_fit =
            fitted.rank() == 2 || (fitted.rank() == 3 && fitted.dims()[1] == spec.num_ws);
        if !layers_fit || fitted.dims().last() != Some(&dim) {
            return Err(Error::runtime(format!(
                "a start code of {given:?} does not fit {}",
                crate::safe::Safe(&spec.name)
            ))
            .hint("use a code of the same generator"));
        }
        Ok(fitted.detach())
    }

    /// The j-th random sample of the prior in the space that is searched.
    fn drawn(&self, j: usize) -> Result<Tensor> {
        let dim = self.job.generator.spec().z_dim;
        let z =
            Tensor::from_vec(self.rng(&format!("start {j}")).normals(dim), (1, dim), &Device::Cpu)?;
        self.fit(z.to_device(self.device())?, Space::Z)
    }

    fn best_of(&self, k: usize) -> Result<Tensor> {
        let maps =
            if self.config.searches_noise(&self.job) { self.start_maps()? } else { Vec::new() };
        let mut best: Option<(f64, Tensor)> = None;
        let size = batch_size(self.job.generator.spec().width, self.job.generator.spec().height);
        for from in (0..k).step_by(size) {
            let codes =
                (from..k.min(from + size)).map(|j| self.drawn(j)).collect::<Result<Vec<_>>>()?;
            for (code, loss) in codes.iter().zip(self.losses(&codes, &maps)?) {
                if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                    best = Some((loss, code.clone()));
                }
            }
            // Not on Checkpoint: a resumed run must start from the same sample.
            if matches!(self.job.control.stop(), Stop::Keep | Stop::Abort) {
                break;
            }
        }
        best.map(|(_, code)| code).ok_or_else(|| Error::runtime("no sample could be drawn"))
    }

    /// The losses of several codes with the same noise maps.
    fn losses(&self, codes: &[Tensor], maps: &[Tensor]) -> Result<Vec<f64>> {
        let here = vec![Point { problem: self, params: &[], step: 0 }; codes.len()];
        let (pictures, read) = synthesize(&here, &stacked(codes.iter())?, maps)?;
        let loss = PictureLoss::join(&vec![&self.loss; codes.len()])?;
        let mut sums = vec![0.0; codes.len()];
        for (_, each) in loss.loss(&pictures, &read, &[])? {
            let each = each.to_vec1::<f32>()?;
            sums.iter_mut().zip(each).for_each(|(sum, v)| *sum += f64::from(v));
        }
        Ok(sums)
    }

    fn start_maps(&self) -> Result<Vec<Tensor>> {
        if !self.given_maps.is_empty() {
            return Ok(self.given_maps.clone());
        }
        if self.config.method != Method::Projector {
            return Ok(self.job.generator.noise_maps());
        }
        let mut rng = self.rng("noise maps");
        let mut maps = Vec::new();
        for map in self.job.generator.noise_maps() {
            let draw = Tensor::from_vec(rng.normals(map.elem_count()), map.dims(), &Device::Cpu)?;
            maps.push(draw.to_device(self.device())?);
        }
        Ok(maps)
    }
}

pub(super) fn noise_of(maps: &[Tensor]) -> Noise {
    if maps.is_empty() { Noise::Const } else { Noise::Maps(maps.to_vec()) }
}

/// The labels of image `i`, `[1, c_dim]`.
pub(super) fn labels_of(job: &Job, i: usize) -> Result<Option<Tensor>> {
    let Some(labels) = job.labels else { return Ok(None) };
    let row = if labels.dims().first() == Some(&1) { 0 } else { i };
    Ok(Some(labels.narrow(0, row, 1)?.contiguous()?))
}
