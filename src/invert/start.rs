//! Starting point of a search.

use super::config::{Config, Init};
use super::degrade::mimic;
use super::evaluate::synthesize;
use super::objective::Beside;
use super::phase::{Composed, Phase, Tuning};
use super::point::{Point, stacked, tuned};
use super::problem::{Against, Problem};
use crate::control::Stop;
use crate::error::{Error, Result};
use crate::generator::{Input, batch_size, pose, spaces};
use crate::latent::{Part, Parts};
use crate::safe::Safe;
use crate::space::{Space, lattice};
use candle_core::{DType, Device, Tensor};

impl Problem<'_, '_> {
    fn config(&self) -> &Config {
        &self.run.config
    }

    /// The code to begin with, in the space that is searched, with all that is found beside it.
    pub fn start(&self) -> Result<Parts> {
        let mut parts = Parts::of(self.start_code()?);
        parts.extend(self.given.iter().cloned());
        let maps = self.start_maps()?;
        parts.extend(maps.into_iter().enumerate().map(|(i, map)| (Part::Noise(i), map)));
        Ok(parts)
    }

    /// The point at which a phase begins: the one given, with the unknowns that it lacks. A pose, a
    /// residual and a change of the weights begin at 0.
    pub fn entering(&self, phase: &Phase<'_>, mut parts: Parts) -> Result<Parts> {
        if phase.unknowns.pose
            && parts.get(Part::Pose).is_none()
            && let Some(size) = pose::size(self.run.job.generator.spec())
        {
            parts.insert(Part::Pose, Tensor::zeros((1, size), DType::F32, self.device())?);
        }
        if let Some(layer) = phase.unknowns.residual
            && parts.get(Part::Residual(layer)).is_none()
        {
            let map = self.map_size(layer)?;
            let zero = Tensor::zeros(map, DType::F32, self.device())?;
            parts.insert(Part::Residual(layer), zero);
        }
        // All phases have it, so that the points of all pictures have the same parts.
        let corrupted = self.run.phases.iter().any(|phase| phase.unknowns.corruption);
        if corrupted && parts.get(Part::Corruption).is_none() {
            let size = mimic::size(self.run.job.generator.spec().channels);
            parts.insert(Part::Corruption, Tensor::zeros((1, size), DType::F32, self.device())?);
        }
        if phase.unknowns.line && parts.get(Part::Step).is_none() {
            // The pictures are taken to be evenly spaced; so the step has a slope although it is 0.
            let last = self.run.count.saturating_sub(1).max(1);
            let place = 2.0 * self.place as f32 / last as f32 - 1.0;
            parts.insert(Part::Step, parts.point().zeros_like()?);
            parts.insert(Part::Place, Tensor::from_vec(vec![place], (1, 1), self.device())?);
        }
        if let Some(composed) = phase.unknowns.composed {
            self.compose(composed, &mut parts)?;
        }
        let Some(Tuning { rank, layers }) = phase.unknowns.weights else { return Ok(parts) };
        let searched = tuned(&Point { problem: self, parts: &parts, step: 0 }, layers)?;
        for (i, weight) in self.run.weights()?.values().enumerate() {
            let known = [Part::Delta(i), Part::Left(i)].iter().any(|p| parts.get(*p).is_some());
            if known || !searched.contains(&i) {
                continue;
            }
            let rows = weight.dims().first().copied().unwrap_or(1);
            let columns = weight.elem_count() / rows.max(1);
            if rank == 0 || rank * (rows + columns) >= rows * columns {
                parts.insert(Part::Delta(i), weight.zeros_like()?.unsqueeze(0)?);
                continue;
            }
            // One factor is 0, so the change is; the other is drawn, so it has a slope.
            let scale = 1.0 / (rank as f64).sqrt();
            let drawn = self.rng(&format!("weight {i}")).normals(rank * columns);
            let right = Tensor::from_vec(drawn, (1, rank, columns), &Device::Cpu)?;
            parts.insert(Part::Right(i), (right.to_device(self.device())? * scale)?);
            let left = Tensor::zeros((1, rows, rank), DType::F32, self.device())?;
            parts.insert(Part::Left(i), left);
        }
        Ok(parts)
    }

    /// Adds the further codes of a composed map, drawn from the prior, and the factors of the
    /// channels: all codes count alike, beside a start code they count nothing.
    fn compose(&self, Composed { layer, codes }: Composed, parts: &mut Parts) -> Result<()> {
        if parts.get(Part::Shares(layer)).is_some() {
            return Ok(());
        }
        let further = (1..codes).map(|n| self.sample(&format!("code {n}")));
        let further = further.collect::<Result<Vec<_>>>()?;
        if !further.is_empty() {
            parts.insert(Part::Codes, Tensor::stack(&further, 1)?);
        }
        let started = matches!(self.config().init, Init::Latent(_));
        let (_, channels, ..) = self.map_size(layer)?;
        let share = |i: usize| match (started, i < channels) {
            (false, _) => 1.0 / codes as f32,
            (true, first) => f32::from(u8::from(first)),
        };
        let shares: Vec<f32> = (0..codes * channels).map(share).collect();
        let shares = Tensor::from_vec(shares, (1, codes, channels), &Device::Cpu)?;
        parts.insert(Part::Shares(layer), shares.to_device(self.device())?);
        Ok(())
    }

    /// The size of a layer's map, `[1, C, H, W]`.
    fn map_size(&self, layer: usize) -> Result<(usize, usize, usize, usize)> {
        let layers = &self.run.job.generator.spec().layers;
        let found = layers.get(layer).ok_or_else(|| {
            Error::runtime(format!("there is no layer {layer}: the generator has {}", layers.len()))
        })?;
        Ok((1, found.channels, found.height, found.width))
    }

    /// The code to begin with, in the space that is searched.
    fn start_code(&self) -> Result<Tensor> {
        if let (Init::Mean, Some(start)) = (&self.config().init, self.encoders_start()) {
            let row = matches!(self.config().space, Space::W | Space::Z);
            let start = if row { start.mean_keepdim(0)? } else { start.unsqueeze(0)? };
            return Ok(start.detach());
        }
        match &self.config().init {
            Init::Mean if self.config().method.encoder => {
                let mean = spaces::mean(self.run.job.generator, Space::W, self.labels.as_ref())?;
                self.fit(mean.point().detach(), Space::W)
            }
            // The mean of P.
            Init::Mean if matches!(self.config().space, Space::PN | Space::PNPlus) => {
                let dim = self.run.job.generator.spec().w_dim;
                self.fit(Tensor::zeros((1, dim), DType::F32, self.device())?, Space::PN)
            }
            Init::Mean => self.fit(self.run.prior.w()?.mean.unsqueeze(0)?, Space::W),
            Init::Random => self.drawn(0),
            Init::BestOf(k) => self.best_of(*k),
            Init::Latent(l) => {
                let (n, count) = (l.count(), self.run.count);
                if n != 1 && n != count {
                    return Err(Error::runtime(format!("{n} start codes for {count} pictures"))
                        .hint("give one for all, or one each"));
                }
                self.fit(self.mine(l.point())?, l.space)
            }
        }
    }

    /// The code at which the passes of an encoder begin that has one of its own, `[L, D]`.
    fn encoders_start(&self) -> Option<&Tensor> {
        let encoder = self.run.job.encoder.filter(|_| self.config().method.encoder)?;
        encoder.start()
    }

    /// The initial noise maps: those of the start code, or, if maps are searched, the generator's
    /// or random ones; empty when the generator's own are used.
    fn start_maps(&self) -> Result<Vec<Tensor>> {
        let generator = self.run.job.generator;
        let given = self.given.iter().filter(|(part, _)| matches!(part, Part::Noise(_)));
        let given: Vec<Tensor> = given.map(|(_, map)| map.clone()).collect();
        if !given.is_empty() || !self.config().searches_noise(&self.run.job) {
            return Ok(given);
        }
        if !self.config().method.noise {
            return Ok(generator.noise_maps());
        }
        let mut rng = self.rng("noise maps");
        let draw = |map: Tensor| -> Result<Tensor> {
            let draw = Tensor::from_vec(rng.normals(map.elem_count()), map.dims(), &Device::Cpu)?;
            Ok(draw.to_device(self.device())?)
        };
        generator.noise_maps().into_iter().map(draw).collect()
    }

    /// A code of `from` in the space that is searched.
    fn fit(&self, code: Tensor, from: Space) -> Result<Tensor> {
        let (generator, given) = (self.run.job.generator, code.dims().to_vec());
        let spec = generator.spec();
        let to = match (from, self.config().space) {
            // A search of noise maps leaves the code unchanged.
            (Space::W | Space::WPlus, Space::N) => from,
            (Space::Z, Space::N) => Space::W,
            // A search in F has codes besides the residual.
            (_, Space::F) => spaces::read_by_synthesis(generator),
            (_, to) => to,
        };
        if lattice::lift(from, to).is_err() {
            let above = spec.spaces.iter().filter(|s| lattice::lift(from, **s).is_ok());
            let above: Vec<&str> = above.map(|s| s.name()).collect();
            return Err(Error::runtime(format!("a {from} code cannot start a search in {to}"))
                .hint(format!("use space: {}", above.join(" or "))));
        }
        if Some(&given[1..]) != spec.dims().shape(from).as_deref() {
            return Err(Error::runtime(format!(
                "a start code of {given:?} does not fit {}",
                Safe(&spec.name)
            ))
            .hint("use a code of the same generator"));
        }
        let input = Input::labelled(self.labels.as_ref());
        Ok(spaces::rise(generator, &code, (from, to), &input)?.detach())
    }

    /// The j-th random sample of the prior in the space that is searched.
    fn drawn(&self, j: usize) -> Result<Tensor> {
        self.sample(&format!("start {j}"))
    }

    /// A sample of the prior by the random numbers of a purpose, in the space that is searched.
    fn sample(&self, purpose: &str) -> Result<Tensor> {
        let dim = self.run.job.generator.spec().z_dim;
        let z = self.rng(purpose).normals(dim);
        let z = Tensor::from_vec(z, (1, dim), &Device::Cpu)?;
        self.fit(z.to_device(self.device())?, Space::Z)
    }

    fn best_of(&self, k: usize) -> Result<Tensor> {
        let maps = self.start_maps()?;
        let mut beside = self.given.clone();
        beside.extend(maps.into_iter().enumerate().map(|(i, map)| (Part::Noise(i), map)));
        let mut best: Option<(f64, Tensor)> = None;
        let spec = self.run.job.generator.spec();
        let size = batch_size(spec.width, spec.height);
        for from in (0..k).step_by(size) {
            let codes =
                (from..k.min(from + size)).map(|j| self.drawn(j)).collect::<Result<Vec<_>>>()?;
            for (code, loss) in codes.iter().zip(self.losses(&codes, &beside)?) {
                if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                    best = Some((loss, code.clone()));
                }
            }
            // Not on Checkpoint: a resumed run must start from the same sample.
            if matches!(self.run.job.control.stop(), Stop::Keep | Stop::Abort) {
                break;
            }
        }
        best.map(|(_, code)| code).ok_or_else(|| Error::runtime("no sample could be drawn"))
    }

    /// The losses of several codes with the same other parts.
    fn losses(&self, codes: &[Tensor], beside: &[(Part, Tensor)]) -> Result<Vec<f64>> {
        let Some(phase) = self.run.phases.first() else {
            return Err(Error::runtime("there is no phase to start"));
        };
        let code = stacked(codes.iter())?;
        let mut parts = Parts::of(code.clone());
        parts.extend(beside.iter().cloned());
        let each: Vec<Parts> =
            codes.iter().map(|c| parts.clone().with(Part::Point, c.clone())).collect();
        let points: Vec<Point> =
            each.iter().map(|parts| Point { problem: self, parts, step: 0 }).collect();
        let pictures = synthesize(&points, &parts, phase.tap())?;
        let targets = stacked(codes.iter().map(|_| &self.picture))?;
        let labels = self.labels.as_ref().map(|l| stacked(codes.iter().map(|_| l))).transpose()?;
        let against = Against { targets: &targets, counted: None, labels: labels.as_ref() };
        let objective = self.run.objective(phase, against, false)?;
        let mut sums = vec![0.0; codes.len()];
        let done = vec![0.0; codes.len()];
        for (_, each) in objective.loss(&pictures, &code, Beside::default(), &done)? {
            let each = each.to_vec1::<f32>()?;
            sums.iter_mut().zip(each).for_each(|(sum, v)| *sum += f64::from(v));
        }
        Ok(sums)
    }
}
