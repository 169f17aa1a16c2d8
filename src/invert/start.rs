//! Starting point of a search.

use super::config::{Config, Init};
use super::evaluate::{Point, stacked, synthesize};
use super::problem::Problem;
use crate::control::Stop;
use crate::error::{Error, Result};
use crate::generator::{Input, batch_size, spaces};
use crate::safe::Safe;
use crate::space::{Space, lattice};
use candle_core::{Device, Tensor};

impl Problem<'_, '_> {
    fn config(&self) -> &Config {
        &self.run.config
    }

    /// The code to begin with, in the space that is searched.
    pub fn start_code(&self) -> Result<Tensor> {
        match &self.config().init {
            Init::Mean if self.config().method.encoder => {
                let mean = spaces::mean(self.run.job.generator, Space::W, self.labels.as_ref())?;
                self.fit(mean.point().detach(), Space::W)
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

    /// The initial noise maps: those of the start code, or, if maps are searched, the generator's
    /// or random ones; empty when the generator's own are used.
    pub fn start_maps(&self) -> Result<Vec<Tensor>> {
        let generator = self.run.job.generator;
        if !self.given_maps.is_empty() || !self.config().searches_noise(&self.run.job) {
            return Ok(self.given_maps.clone());
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
        let dim = self.run.job.generator.spec().z_dim;
        let z = self.rng(&format!("start {j}")).normals(dim);
        let z = Tensor::from_vec(z, (1, dim), &Device::Cpu)?;
        self.fit(z.to_device(self.device())?, Space::Z)
    }

    fn best_of(&self, k: usize) -> Result<Tensor> {
        let maps = if self.config().searches_noise(&self.run.job) {
            self.start_maps()?
        } else {
            Vec::new()
        };
        let mut best: Option<(f64, Tensor)> = None;
        let spec = self.run.job.generator.spec();
        let size = batch_size(spec.width, spec.height);
        for from in (0..k).step_by(size) {
            let codes =
                (from..k.min(from + size)).map(|j| self.drawn(j)).collect::<Result<Vec<_>>>()?;
            for (code, loss) in codes.iter().zip(self.losses(&codes, &maps)?) {
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

    /// The losses of several codes with the same noise maps.
    fn losses(&self, codes: &[Tensor], maps: &[Tensor]) -> Result<Vec<f64>> {
        let Some(phase) = self.run.phases.first() else {
            return Err(Error::runtime("there is no phase to start"));
        };
        let generator = self.run.job.generator;
        let point = |code| Point { problem: self, generator, code, maps, step: 0 };
        let points: Vec<Point> = codes.iter().map(point).collect();
        let code = stacked(codes.iter())?;
        let pictures = synthesize(&points, &code, maps)?;
        let targets = stacked(codes.iter().map(|_| &self.picture))?;
        let objective = self.run.objective(phase, &targets, false)?;
        let mut sums = vec![0.0; codes.len()];
        for (_, each) in objective.loss(&pictures, &code, &[], &vec![0.0; codes.len()])? {
            let each = each.to_vec1::<f32>()?;
            sums.iter_mut().zip(each).for_each(|(sum, v)| *sum += f64::from(v));
        }
        Ok(sums)
    }
}
