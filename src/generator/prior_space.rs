//! A generator that keeps the statistics of its prior: those with which the spaces PN and PN+ are
//! entered and left, and the usual directions of its styles.

use super::alignment::StyleDirections;
use super::spaces::{self, Draw};
use super::whitening::{Whitening, before_activation};
use super::{Affine, Generator, Input, Named, Orbit, Spec, Start, Tap, Tapped};
use crate::error::Result;
use crate::space::Space;
use candle_core::{DType, Device, Tensor};
use std::sync::{Arc, OnceLock};

/// Samples of the prior that the whitening comes from.
const SAMPLES: usize = 10_000;
/// Samples that the directions of styles come from: a mean takes fewer than a covariance.
const STYLE_SAMPLES: usize = 1000;
/// Seed of these samples: the statistics belong to the generator, not to a run.
const SEED: u64 = 123;

/// A generator that keeps the whitening of its P; without a W the generator itself.
pub fn with_prior_spaces(generator: Arc<dyn Generator>) -> Arc<dyn Generator> {
    if !generator.spec().spaces.contains(&Space::W) {
        return generator;
    }
    let kept = Arc::new(Kept {
        of: generator.clone(),
        whitening: OnceLock::new(),
        styles: OnceLock::new(),
    });
    Arc::new(Keeping { generator, kept })
}

/// A generator whose whitening is that of these codes of W, `[n, w_dim]`, for comparisons with
/// other code that has its own samples.
///
/// # Errors
/// As [`Whitening::of`].
#[cfg(test)]
pub fn with_samples_of_w(generator: Arc<dyn Generator>, w: &Tensor) -> Result<Arc<dyn Generator>> {
    let points = before_activation(w)?.flatten_all()?.to_vec1::<f32>()?;
    let whitening = Whitening::of(&points, generator.spec().w_dim, generator.device())?;
    let kept = Kept {
        of: generator.clone(),
        whitening: OnceLock::from(whitening),
        styles: OnceLock::new(),
    };
    Ok(Arc::new(Keeping { generator, kept: Arc::new(kept) }))
}

/// The statistics, computed once, and the generator that they are of.
struct Kept {
    of: Arc<dyn Generator>,
    whitening: OnceLock<Whitening>,
    styles: OnceLock<StyleDirections>,
}

impl Kept {
    fn whitening(&self) -> Result<&Whitening> {
        if let Some(known) = self.whitening.get() {
            return Ok(known);
        }
        let g = &*self.of;
        let x = before_activation(&samples(g, SAMPLES, Space::W)?)?;
        let x = x.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        let points = x.flatten_all()?.to_vec1::<f32>()?;
        let fresh = Whitening::of(&points, g.spec().w_dim, g.device())?;
        Ok(self.whitening.get_or_init(|| fresh))
    }

    fn styles(&self) -> Result<&StyleDirections> {
        if let Some(known) = self.styles.get() {
            return Ok(known);
        }
        let g = &*self.of;
        let styles = samples(g, STYLE_SAMPLES, Space::S)?;
        let fresh = StyleDirections::of(&styles, &g.spec().styles)?;
        Ok(self.styles.get_or_init(|| fresh))
    }
}

/// Codes of the prior, `[n, D]`.
fn samples(g: &dyn Generator, n: usize, space: Space) -> Result<Tensor> {
    let labels = all_classes(g, n)?;
    let draw = Draw { seed: SEED, space, labels: labels.as_ref(), ..Draw::default() };
    Ok(spaces::sample(g, n, draw)?.point().clone())
}

/// One-hot labels that go through all classes in turn, `[n, classes]`: the prior of a generator
/// with classes is that of all.
fn all_classes(g: &dyn Generator, n: usize) -> Result<Option<Tensor>> {
    let classes = g.spec().classes();
    if classes == 0 {
        return Ok(None);
    }
    let mut all = vec![0f32; n * classes];
    for (k, row) in all.chunks_exact_mut(classes).enumerate() {
        if let Some(one) = row.get_mut(k % classes) {
            *one = 1.0;
        }
    }
    Ok(Some(Tensor::from_vec(all, (n, classes), &Device::Cpu)?.to_device(g.device())?))
}

/// See [`with_prior_spaces`].
struct Keeping {
    generator: Arc<dyn Generator>,
    kept: Arc<Kept>,
}

impl Generator for Keeping {
    fn spec(&self) -> &Spec {
        self.generator.spec()
    }

    fn device(&self) -> &Device {
        self.generator.device()
    }

    fn enter(&self, to: Space, parent: &Tensor, input: &Input) -> Result<Tensor> {
        self.generator.enter(to, parent, input)
    }

    fn run(&self, start: &Start<'_>, input: &Input, taps: &[Tap]) -> Result<Tapped> {
        self.generator.run(start, input, taps)
    }

    fn early_sides(&self) -> Vec<usize> {
        self.generator.early_sides()
    }

    fn mean(&self, space: Space) -> Option<&Tensor> {
        self.generator.mean(space)
    }

    fn mean_for(&self, space: Space, labels: Option<&Tensor>) -> Result<Option<Tensor>> {
        self.generator.mean_for(space, labels)
    }

    fn noise_maps(&self) -> Vec<Tensor> {
        self.generator.noise_maps()
    }

    fn orbit(&self) -> Option<Orbit> {
        self.generator.orbit()
    }

    fn whitening(&self) -> Result<&Whitening> {
        self.kept.whitening()
    }

    fn style_directions(&self) -> Result<Option<&StyleDirections>> {
        let styled = self.spec().spaces.contains(&Space::S);
        styled.then(|| self.kept.styles()).transpose()
    }

    fn affine(&self, layer: usize, read: &Tensor, input: &Input) -> Result<Option<Affine>> {
        self.generator.affine(layer, read, input)
    }

    fn weights(&self) -> Result<Named> {
        self.generator.weights()
    }

    /// Codes of PN keep their meaning: the statistics stay those of the generator as it was loaded.
    fn with_weights(&self, weights: &Named) -> Result<Arc<dyn Generator>> {
        let generator = self.generator.with_weights(weights)?;
        Ok(Arc::new(Self { generator, kept: self.kept.clone() }))
    }
}

#[cfg(test)]
#[path = "prior_space_tests.rs"]
mod tests;
