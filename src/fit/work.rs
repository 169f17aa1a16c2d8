//! The work: draw samples, regress, train, score.

use super::network::{Named, Network, Start, Units, features};
use super::pool::{CHUNK, Pool};
use super::ridge::{Samples, ridge};
use super::score;
use super::state::{self, Header};
use super::target::Target;
use super::{Fitted, Limit, Report, Setting};
use crate::control::{Control, Progress, Stop};
use crate::error::{Error, Kind, Result};
use crate::generator::Generator;
use crate::network::{REGRESSION, Regressor, RegressorConfig};
use crate::rng::Rng;
use crate::space::Space;
use crate::weights::Weights;
use candle_core::Tensor;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Samples that are never fitted to: by the first ones penalties and steps are chosen, the others
/// give the scores.
const CHOOSE: usize = 3 * CHUNK;
const TEST: usize = 2 * CHUNK;
const HELD: usize = CHOOSE + TEST;
/// Fewest samples of a regression.
const LEAST: usize = 2 * CHUNK;
/// Most samples that are kept.
const MOST: usize = 4096;
/// Most samples of the regression at the end: its time grows with their cube.
const MOST_SOLVED: usize = 1536;
/// Share of the time in which samples for the regression are drawn.
const DRAWING: f64 = 0.6;
/// Share of the time at which training ends: then the scores are taken.
const TRAINING: f64 = 0.9;
/// Pictures of one step, and how many of them are of the newest samples: those that the regression
/// has seen teach little.
const BATCH: usize = 16;
const NEWEST: usize = 8;
/// Steps between two chunks of further samples.
const GROW: usize = 2;
/// Steps between two looks at the held-out samples.
const LOOK: usize = 25;
/// Adam's rate.
const RATE: f64 = 2e-4;
/// Longest time between two saved states.
const SAVE: Duration = Duration::from_secs(60);

/// Fits an encoder to a generator with a space W, beginning with the trunk `start`.
///
/// # Errors
/// For a generator that it cannot be fitted to; when rendering or a file fails; `Interrupted` and
/// `Resumable` when it is stopped before there is something to keep.
pub fn fit(
    g: &dyn Generator,
    start: &Start,
    setting: &Setting,
    control: &Control,
) -> Result<Fitted> {
    check(g)?;
    let began = Instant::now();
    let target = Target::of(g)?;
    let folder = setting.folder.clone();
    let pool = Pool::new(g, setting.seed, start.shape.side, folder, control);
    let (trained, before, short) = ((began, 0), 0.0, false);
    let mut work = Work { g, start, setting, control, target, pool, began, trained, before, short };
    work.whole()
}

/// Refuses generators whose codes or inputs an encoder cannot give.
fn check(g: &dyn Generator) -> Result<()> {
    let spec = g.spec();
    let name = crate::safe::Safe(&spec.name);
    if !spec.spaces.contains(&Space::W) {
        let message = format!("{name} has no W, and encoders give codes of W");
        return Err(Error::runtime(message).hint("use method: optimize, or lbfgs"));
    }
    if spec.inputs.camera || spec.c_dim != spec.classes() {
        let message = format!("{name} needs a camera for each code, which no encoder finds");
        return Err(Error::runtime(message).hint("use method: optimize"));
    }
    Ok(())
}

/// What is best so far.
struct Best {
    step: usize,
    error: f64,
    weights: Named,
}

struct Work<'a> {
    g: &'a dyn Generator,
    start: &'a Start,
    setting: &'a Setting,
    control: &'a Control,
    target: Target,
    pool: Pool<'a>,
    began: Instant,
    /// When the training of this call began, and at which step.
    trained: (Instant, usize),
    /// Seconds of earlier calls.
    before: f64,
    /// Whether the regression has fewer samples than a run with exact steps was to have: such a
    /// run begins its regression again.
    short: bool,
}

impl Work<'_> {
    fn whole(&mut self) -> Result<Fitted> {
        let known = match self.place() {
            Some(path) => state::load(&path, &self.name(), self.g.device())?,
            None => None,
        };
        let (mut network, mut best, r2_ridge) = match known {
            Some((header, tensors)) => self.resumed(&header, &tensors)?,
            None => self.regressed()?,
        };
        self.train(&mut network, &mut best, r2_ridge)?;
        self.save(&network, &best, r2_ridge)?;
        if network.step > 0 {
            self.refit(&mut network, &mut best)?;
        }
        self.finished(&network, &best, r2_ridge)
    }

    /// What is fitted to what.
    fn name(&self) -> String {
        let Setting { seed, samples, limit, .. } = self.setting;
        // A run that is limited by time does not give the numbers of one with exact steps.
        let exact = matches!(limit, Limit::Steps(_));
        let (fingerprint, shape) = (&self.g.spec().fingerprint, &self.start.shape);
        let version = env!("CARGO_PKG_VERSION");
        format!("{fingerprint} seed {seed} samples {samples} exact {exact} {shape:?} {version}")
    }

    /// The file of the state.
    fn place(&self) -> Option<PathBuf> {
        let exact = if matches!(self.setting.limit, Limit::Steps(_)) { "steps" } else { "time" };
        let name = format!("state-{}-{exact}.safetensors", self.setting.samples);
        self.setting.folder.as_ref().map(|f| f.join(name))
    }

    fn resumed(&mut self, header: &Header, tensors: &Named) -> Result<(Network, Best, f64)> {
        while self.pool.len() < header.drawn {
            self.pool.grow()?;
        }
        self.before = header.seconds;
        self.control.keep();
        let network = Network::restore(self.start, tensors, header.step, RATE)?;
        let own = |(name, t): (&String, &Tensor)| {
            name.strip_prefix("best.").map(|name| (name.to_owned(), t.clone()))
        };
        let weights = tensors.iter().filter_map(own).collect();
        let best = Best { step: header.best.0, error: header.best.1, weights };
        Ok((network, best, header.r2_ridge))
    }

    /// Whether the time for this share of the work is over.
    fn over(&self, share: f64) -> bool {
        match self.setting.limit {
            Limit::Steps(_) => false,
            Limit::Time(time) => self.began.elapsed() >= time.mul_f64(share),
        }
    }

    /// Draws a chunk; `false` where the work is to end with what there is.
    fn grow(&mut self) -> Result<bool> {
        match self.pool.grow() {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == Kind::Interrupted && self.control.stop() == Stop::Keep => {
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    /// Draws samples and solves the ridge regression: the network to begin with, which is the best
    /// so far, and its R².
    fn regressed(&mut self) -> Result<(Network, Best, f64)> {
        let wanted = HELD + self.setting.samples.clamp(LEAST, MOST - HELD);
        while self.pool.len() < wanted {
            let enough = self.pool.len() >= HELD + LEAST;
            match self.control.stop() {
                Stop::No => {}
                Stop::Keep if enough => break,
                _ => return Err(self.stopped(self.pool.len(), wanted)),
            }
            if (self.over(DRAWING) && enough) || !self.grow()? {
                break;
            }
            self.report("draw samples", (self.pool.len(), wanted), Vec::new());
        }
        if self.pool.len() < HELD + LEAST {
            return Err(self.stopped(self.pool.len(), wanted));
        }
        // From here on a first Ctrl-C keeps what there is.
        self.control.keep();
        self.short = matches!(self.setting.limit, Limit::Steps(_)) && self.pool.len() < wanted;
        let fitted: Vec<usize> = (HELD..self.pool.len()).collect();
        let (units, found) = self.solved(&self.start.tensors, &fitted)?;
        let network = Network::new(self.start, units, &found, RATE)?;
        let best = Best {
            step: 0,
            error: self.error(&network, &network.mean)?,
            weights: network.mean.clone(),
        };
        let r2 = self.r2(&network, &network.mean)?;
        Ok((network, best, r2))
    }

    /// The ridge regression of these samples on the features of a trunk: their units, and the
    /// weights.
    fn solved(&self, trunk: &Named, fitted: &[usize]) -> Result<(Units, Tensor)> {
        self.report("regress", (0, 1), Vec::new());
        let choose: Vec<usize> = (0..CHOOSE).collect();
        let (x, y) = self.read(trunk, fitted)?;
        let (other_x, other_y) = self.read(trunk, &choose)?;
        let units = Units::of(&x)?;
        let (x, other_x) = (units.apply(&x)?, units.apply(&other_x)?);
        let found = ridge(&Samples { x: &x, y: &y }, &Samples { x: &other_x, y: &other_y })?;
        Ok((units, found))
    }

    /// Solves the regression again for the trunk that was trained, on the samples that have come
    /// since; keeps it where it is nearer.
    fn refit(&self, network: &mut Network, best: &mut Best) -> Result<()> {
        let newest = self.pool.len().saturating_sub(MOST_SOLVED).max(HELD);
        let fitted: Vec<usize> = (newest..self.pool.len()).collect();
        let (units, found) = self.solved(&network.mean, &fitted)?;
        let old = network.replace_head(units, &found)?;
        let error = self.error(network, &network.mean)?;
        if error < best.error {
            *best = Best { step: network.step, error, weights: network.mean.clone() };
        } else {
            network.restore_units(old);
        }
        Ok(())
    }

    /// Features of samples by a trunk, and their codes in units of the axes.
    fn read(&self, trunk: &Named, places: &[usize]) -> Result<(Tensor, Tensor)> {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for part in places.chunks(CHUNK) {
            crate::control::check()?;
            let (pictures, codes) = self.pool.take(part)?;
            x.push(features(&self.start.shape, trunk, &pictures)?);
            y.push(self.target.whitened(&codes)?);
        }
        Ok((Tensor::cat(&x, 0)?, Tensor::cat(&y, 0)?))
    }

    /// What the network with these weights says of samples in units of the axes, and their codes.
    fn predicted(
        &self,
        (network, weights): (&Network, &Named),
        places: std::ops::Range<usize>,
    ) -> Result<[Tensor; 2]> {
        let (mut said, mut all) = (Vec::new(), Vec::new());
        for part in places.collect::<Vec<_>>().chunks(CHUNK) {
            let (pictures, codes) = self.pool.take(part)?;
            said.push(network.looks(weights, &pictures)?);
            all.push(codes);
        }
        Ok([Tensor::cat(&said, 0)?, Tensor::cat(&all, 0)?])
    }

    /// The loss on the samples by which steps are chosen.
    fn error(&self, network: &Network, weights: &Named) -> Result<f64> {
        let [said, codes] = self.predicted((network, weights), 0..CHOOSE)?;
        let apart = (said - self.target.whitened(&codes)?)?.sqr()?;
        let loss = apart.broadcast_mul(&self.target.shares)?.sum(1)?.mean(0)?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    /// R² of w on the samples that nothing was chosen by.
    fn r2(&self, network: &Network, weights: &Named) -> Result<f64> {
        let [said, codes] = self.predicted((network, weights), CHOOSE..HELD)?;
        self.target.r2(&codes, &self.target.codes(&said)?)
    }

    fn train(&mut self, network: &mut Network, best: &mut Best, r2_ridge: f64) -> Result<()> {
        let mut saved = Instant::now();
        self.trained = (saved, network.step);
        loop {
            let ended = match self.setting.limit {
                Limit::Steps(n) => network.step >= n,
                Limit::Time(_) => self.over(TRAINING),
            };
            match self.control.stop() {
                Stop::No if !ended => {}
                Stop::No | Stop::Keep => return Ok(()),
                Stop::Abort | Stop::Checkpoint => {
                    self.save(network, best, r2_ridge)?;
                    let total = self.total(network.step);
                    return Err(self.stopped(network.step, total));
                }
            }
            if network.step.is_multiple_of(GROW) && self.pool.len() < MOST {
                match self.grow() {
                    Ok(true) => {}
                    Ok(false) => return Ok(()),
                    Err(e) if e.kind() == Kind::Interrupted => continue,
                    Err(e) => return Err(e),
                }
            }
            let (pictures, codes) = self.pool.take(&self.batch(network.step))?;
            let wanted = self.target.whitened(&codes)?;
            network.descend(&pictures, &wanted, &self.target.shares)?;
            if network.step.is_multiple_of(LOOK) {
                let error = self.error(network, &network.mean)?;
                if error < best.error {
                    let weights = network.mean.clone();
                    *best = Best { step: network.step, error, weights };
                }
            }
            // One number, of what is kept: the terms of a report are summed up.
            let losses = vec![("held out", best.error)];
            self.report("train", (network.step, self.total(network.step)), losses);
            if saved.elapsed() >= SAVE {
                self.save(network, best, r2_ridge)?;
                saved = Instant::now();
            }
        }
    }

    /// The samples of a step: some of the newest, the others from the whole pool.
    fn batch(&self, step: usize) -> Vec<usize> {
        let mut rng = Rng::derive(self.setting.seed, &format!("batch {step}"));
        let (all, newest) = (self.pool.len() - HELD, self.pool.len() - CHUNK);
        let newest = (0..NEWEST).map(|k| newest + (step % GROW * NEWEST + k) % CHUNK);
        newest.chain((NEWEST..BATCH).map(|_| HELD + rng.below(all))).collect()
    }

    /// Steps in all: those that were asked for, or as many as the time seems to allow.
    fn total(&self, step: usize) -> usize {
        match self.setting.limit {
            Limit::Steps(n) => n.max(step),
            Limit::Time(time) => {
                let (since, first) = self.trained;
                let left = time.mul_f64(TRAINING).saturating_sub(self.began.elapsed());
                let each = since.elapsed().as_secs_f64() / (step - first).max(1) as f64;
                step + (left.as_secs_f64() / each.max(1e-6)).ceil() as usize
            }
        }
    }

    fn seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }

    fn save(&self, network: &Network, best: &Best, r2_ridge: f64) -> Result<()> {
        let Some(path) = self.place().filter(|_| !self.short) else { return Ok(()) };
        let header = Header {
            of: self.name(),
            drawn: self.pool.len(),
            step: network.step,
            best: (best.step, best.error),
            r2_ridge,
            seconds: self.seconds(),
        };
        let mut tensors = network.state();
        tensors.extend(best.weights.iter().map(|(n, t)| (format!("best.{n}"), t.clone())));
        state::save(&path, &header, &tensors)
    }

    fn finished(&self, network: &Network, best: &Best, r2_ridge: f64) -> Result<Fitted> {
        self.report("score", (0, 1), Vec::new());
        let tensors = network.folded(&best.weights, &self.target)?;
        let (spec, shape) = (self.g.spec(), &self.start.shape);
        let mut config = RegressorConfig {
            kind: REGRESSION.into(),
            input_resolution: shape.side,
            strides: shape.strides.clone(),
            leaky: super::network::LEAKY,
            places: shape.places.clone(),
            num_ws: spec.num_ws,
            w_dim: spec.w_dim,
            generator: spec.fingerprint.clone(),
            steps: 1,
        };
        let weights = Weights::of_tensors("fitted encoder", tensors.clone());
        let encoder = Regressor::new("fitted encoder", config.clone(), weights, self.g.device())?;
        let places: Vec<usize> = (0..HELD).collect();
        let held = places.split_at(CHOOSE);
        let (steps, passes) = score::passes((self.g, &encoder), (&self.pool, &self.target), held)?;
        config.steps = steps;
        let r2 = match best.step {
            0 => r2_ridge,
            _ => self.r2(network, &best.weights)?,
        };
        let report = Report {
            samples: self.pool.len() - HELD,
            steps: network.step,
            kept: best.step,
            seconds: self.seconds(),
            r2_ridge,
            r2,
            passes,
        };
        Ok(Fitted { config, tensors, report })
    }

    fn report(&self, title: &str, (step, total): (usize, usize), losses: Vec<(&'static str, f64)>) {
        let title = title.to_owned();
        self.control.report(Progress { losses, ..Progress::new(title, (step, total)) });
    }

    /// The error of work that was stopped with nothing to show.
    fn stopped(&self, at: usize, of: usize) -> Error {
        let kind = match self.control.stop() {
            Stop::Checkpoint => Kind::Resumable,
            _ => Kind::Interrupted,
        };
        let e = Error::new(kind, format!("the fit stopped at {at} of {of}"));
        if self.setting.folder.is_some() {
            e.hint("run it again: it goes on from there")
        } else {
            e
        }
    }
}
