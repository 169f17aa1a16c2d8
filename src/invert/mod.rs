//! Inversion: from a picture to the code that makes it.
//!
//! One loop serves all methods: [`Method::Optimize`] (Image2StyleGAN and kin),
//! [`Method::Projector`] (NVIDIA's, in W with its noise maps), [`Method::Encoder`] (passes of an
//! encoder) and [`Method::Hybrid`] (these, then optimisation). Images are inverted in batches of a
//! bounded size ([`batch_size`]), and what comes out for one does not depend on its neighbours, to
//! the last bit: operators round each sample alike in any batch, every image has its own optimiser
//! state, schedule and best point, and all its randomness comes from the seed and the image's key
//! (by default its content), never from its place.
//!
//! Losses are `[N]` and stay apart by term in the trace; only the backward pass sums them.

mod adam;
mod checkpoint;
mod config;
mod descend;
mod encoder;
mod noise;
mod objective;
mod problem;
mod result;
mod schedule;
mod stats;
mod together;

pub use adam::Adam;
pub use config::{Checkpoint, Config, Init, Losses, Method};
pub use encoder::{Encoder, EncoderConfig, PassNet};
pub use noise::{normalise, regulariser};
pub use objective::{Objective, PictureLoss, Term};
pub use result::{Diagnosis, Inversion, Number, Trace, Warning};
pub use schedule::{ramp, w_noise};
pub use stats::{PROJECTOR_SAMPLES, WStats};

use crate::control::Control;
use crate::error::{Error, Result};
use crate::generator::{Generator, Input, batch_size, spaces};
use crate::latent::ModelId;
use crate::metric::Perceptual;
use crate::rng::Rng;
use crate::space::Space;
use candle_core::{DType, Device, Tensor};
use problem::Problem;
use sha2::{Digest, Sha256};
use std::time::Instant;

/// What an inversion works with.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The generator.
    pub generator: &'a dyn Generator,
    /// The feature network of the perceptual term.
    pub perceptual: Option<&'a Perceptual>,
    /// The encoder that the generator brings.
    pub encoder: Option<&'a dyn Encoder>,
    /// Labels of a conditional generator, `[1 or N, c_dim]`.
    pub labels: Option<&'a Tensor>,
    /// Statistics of w that the caller computed before ([`WStats::of`]); computed here when absent.
    pub stats: Option<&'a WStats>,
    /// A key an image for its random numbers; empty uses the hash of each image's content.
    pub keys: &'a [String],
    /// Stop signal and progress.
    pub control: &'a Control,
}

impl<'a> Job<'a> {
    /// A job with nothing but a generator.
    pub fn new(generator: &'a dyn Generator, control: &'a Control) -> Self {
        Self {
            generator,
            perceptual: None,
            encoder: None,
            labels: None,
            stats: None,
            keys: &[],
            control,
        }
    }
}

/// Inverts pictures.
///
/// On [`crate::control::Stop::Keep`] the best so far is the result; images of batches that had not
/// begun give their start.
///
/// # Shapes
/// target `[N, C, R, R]` in [-1, 1], at the generator's resolution.
///
/// # Errors
/// Before anything runs: when the target or the configuration do not fit the generator. While it
/// runs: `Interrupted` on [`crate::control::Stop::Abort`], `Resumable` on
/// [`crate::control::Stop::Checkpoint`].
pub fn invert(job: &Job, target: &Tensor, config: &Config) -> Result<Inversion> {
    let clock = Instant::now();
    let target = target.detach().to_dtype(DType::F32)?.to_device(job.generator.device())?;
    check_target(job, &target)?;
    let mut warnings: Vec<_> =
        config.check(job)?.into_iter().map(|text| Warning { image: None, text }).collect();
    let config = &config.resolved(job);
    let stats = match job.stats {
        Some(s) => s.clone(),
        None => WStats::of(job.generator, job.labels, PROJECTOR_SAMPLES)?,
    };
    let count = target.dims()[0];
    let mut outcomes = Vec::with_capacity(count);
    let size = batch_size(job.generator.spec().width, job.generator.spec().height);
    for from in (0..count).step_by(size) {
        let one = |i: usize| {
            let picture = target.narrow(0, i, 1)?.force_contiguous()?;
            Problem::new(job, config, &stats, picture, (i, count))
        };
        let problems = (from..count.min(from + size)).map(one).collect::<Result<Vec<_>>>()?;
        outcomes.extend(descend::descend(&problems)?);
    }
    checkpoint::remove_all(config, count);
    let mut inversion = result::assemble(job, config, &stats, &target, outcomes)?;
    warnings.append(&mut inversion.diagnosis.warnings);
    inversion.diagnosis.warnings = warnings;
    inversion.seconds = clock.elapsed().as_secs_f64();
    Ok(inversion)
}

/// Inverts a picture that the generator made itself: what the method reaches when the target is
/// certainly in range.
///
/// # Errors
/// As [`invert`].
pub fn self_test(job: &Job, config: &Config) -> Result<Inversion> {
    let spec = job.generator.spec();
    let z = Rng::derive(config.seed, "invert: self-test").normals(spec.z_dim);
    let z =
        Tensor::from_vec(z, (1, spec.z_dim), &Device::Cpu)?.to_device(job.generator.device())?;
    let input = Input::labelled(problem::labels_of(job, 0)?.as_ref());
    let picture = spaces::picture(job.generator, &z, Space::Z, &input)?;
    invert(job, &picture, config)
}

/// The ladder: one inversion a space, each started from the code of the one before, so that no rung
/// is worse than the last.
///
/// `spaces` go from narrow to wide (Z, W, W+, S); the first has its space's default start. Space,
/// start and checkpoint of `config` do not count. Every rung is [`Method::Optimize`], or with
/// [`Method::Hybrid`] in `config` those from W on begin with the encoder's passes at the code of
/// the rung below.
///
/// # Errors
/// As [`invert`], and when a space is narrower than the one before.
pub fn ladder(
    job: &Job,
    target: &Tensor,
    config: &Config,
    spaces: &[Space],
) -> Result<Vec<Inversion>> {
    let mut rungs: Vec<Inversion> = Vec::with_capacity(spaces.len());
    for &space in spaces {
        let hybrid = config.method == Method::Hybrid && Method::Hybrid.works_in(space);
        let method = if hybrid { Method::Hybrid } else { Method::Optimize };
        let first = Config::new(space, method);
        let init = rungs.last().map_or(first.init, |below| Init::Latent(below.code.clone()));
        // A checkpoint holds one run; the rungs would fight over it.
        let rung = Config { space, init, method, checkpoint: None, ..config.clone() };
        rungs.push(invert(job, target, &rung)?);
    }
    Ok(rungs)
}

fn check_target(job: &Job, target: &Tensor) -> Result<()> {
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

/// Which generator a code belongs to.
fn model_of(generator: &dyn Generator) -> ModelId {
    let spec = generator.spec();
    ModelId { name: spec.name.clone(), fingerprint: spec.fingerprint.clone() }
}

/// Sha256 of a tensor's shape and values, hexadecimal.
pub fn content_hash(t: &Tensor) -> Result<String> {
    let values =
        t.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    let mut hash = Sha256::new();
    hash.update(format!("{:?}", t.dims()));
    for v in values {
        hash.update(v.to_le_bytes());
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod encoder_tests;
#[cfg(test)]
mod tests;
