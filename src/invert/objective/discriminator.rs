//! The distance in the feature maps of the generator's discriminator.

use super::{Forward, Setup, Term, TermKind, weight};
use crate::error::{Error, Result};
use crate::invert::job::Job;
use crate::network::{Discriminator, discriminator};
use crate::space::Space;
use candle_core::Tensor;

/// Sum over the discriminator's feature maps of their mean absolute difference (Deep Generative
/// Prior, Pan et al. 2020): over all maps, or the last so many from the score's side.
pub(super) const TERM: TermKind = TermKind {
    name: "discriminator",
    param: weight(
        "discriminator",
        "weight of the distance in the maps of the generator's discriminator (Deep Generative \
         Prior): of the model's own file, or of `discriminator_file`",
    ),
    weight: 0.0,
    automatic: false,
    pictures: true,
    check,
    make,
};

/// Refuses a job without a discriminator, and one that reads other pictures.
pub(super) fn check(job: &Job<'_>, _: Space) -> Result<()> {
    let spec = job.generator.spec();
    match job.discriminator {
        Some(d) => d.check(spec.channels, job.labels.map_or(0, |l| l.dims()[l.rank() - 1])),
        None => Err(Error::runtime("the generator's file has no discriminator").hint(
            "discriminator_file: \"FILE\", a training checkpoint that holds D; or leave out what \
             needs it",
        )),
    }
}

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    Ok(Maps::new(setup, false)?.map(|maps| Box::new(Distance(maps)) as _))
}

struct Distance<'a>(Maps<'a>);

impl Term for Distance<'_> {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        self.0.distance(at.pictures)
    }
}

/// The maps of the targets that are compared, and how much their places count.
pub(super) struct Maps<'a> {
    network: &'a dyn Discriminator,
    labels: Option<Tensor>,
    /// The last so many maps, from the score's side.
    targets: Vec<Tensor>,
    /// Weights of the places of each map, `[N, 1, h, w]`; none where all count alike.
    places: Vec<Option<Tensor>>,
}

impl<'a> Maps<'a> {
    /// The maps of the targets; `salient` weighs their places by where the discriminator looks.
    ///
    /// # Errors
    /// When the discriminator does not read the pictures.
    pub(super) fn new(setup: &Setup<'_, 'a>, salient: bool) -> Result<Option<Self>> {
        check(setup.job, setup.space)?;
        let Some(network) = setup.job.discriminator else { return Ok(None) };
        let all = network.judge(setup.targets, setup.labels)?.features;
        let skipped = all.len().saturating_sub(setup.levels.unwrap_or(all.len()));
        let targets: Vec<Tensor> = all.iter().skip(skipped).map(Tensor::detach).collect();
        let map = match salient {
            true => Some(discriminator::saliency(network, setup.targets, setup.labels)?),
            false => None,
        };
        let labels = setup.labels.cloned();
        Ok(Some(Self { network, labels, places: placed(&targets, map.as_ref())?, targets }))
    }

    /// Sum over the maps of the mean over channels and places.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N]`, with gradients.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn distance(&self, pictures: &Tensor) -> Result<Tensor> {
        let all = self.network.judge(pictures, self.labels.as_ref())?.features;
        let own = all.iter().skip(all.len() - self.targets.len());
        let mut sum: Option<Tensor> = None;
        for ((own, target), places) in own.zip(&self.targets).zip(&self.places) {
            let apart = (own - target)?.abs()?;
            let apart = match places {
                Some(places) => apart.broadcast_mul(places)?,
                None => apart,
            };
            let mean = apart.flatten_from(1)?.mean(1)?;
            sum = Some(match sum {
                Some(sum) => (sum + mean)?,
                None => mean,
            });
        }
        sum.ok_or_else(|| Error::runtime("the discriminator has no maps to compare"))
    }
}

/// A saliency map at the size of each of these maps, where they have places.
fn placed(maps: &[Tensor], saliency: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
    let one = |map: &Tensor| match (map.dims(), saliency) {
        ([_, _, h, w], Some(saliency)) => {
            Ok(Some(crate::metric::resize_to(saliency, *h, *w)?.detach()))
        }
        _ => Ok(None),
    };
    maps.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Control;
    use crate::invert::tests::{foreign, generator, pair, values};
    use candle_core::Device;

    /// Places that count alike change nothing; others do; fewer maps are a part of all.
    #[test]
    fn a_uniform_map_is_the_plain_distance() {
        let (g, control) = (generator(), Control::default());
        let d = discriminator::toy(0, [3, 32], &Device::Cpu).unwrap();
        let job = Job { discriminator: Some(&*d), ..Job::new(g.as_ref(), &control) };
        let targets = pair();
        let maps = |salient: bool, levels: Option<usize>| {
            let setup = Setup {
                job: &job,
                space: Space::W,
                targets: &targets,
                early: false,
                labels: None,
                levels,
                sigma: &|| Ok(1.0),
                gaussian: &|| unreachable!(),
            };
            Maps::new(&setup, salient).unwrap().unwrap()
        };
        let pictures = Tensor::cat(&[foreign(1), foreign(2)], 0).unwrap();
        let plain = values(&maps(false, None).distance(&pictures).unwrap());
        let mut uniform = maps(true, None);
        let weighed = values(&uniform.distance(&pictures).unwrap());
        for places in uniform.places.iter_mut().flatten() {
            *places = places.ones_like().unwrap();
        }
        assert_eq!(values(&uniform.distance(&pictures).unwrap()), plain);
        assert!(weighed.iter().zip(&plain).all(|(a, b)| a != b && *a > 0.0));
        assert!(values(&maps(false, None).distance(&targets).unwrap()).iter().all(|v| *v == 0.0));
        let parts: Vec<f32> = (1..=5)
            .map(|k| values(&maps(false, Some(k)).distance(&pictures).unwrap())[0])
            .collect();
        assert!(parts.windows(2).all(|w| w[0] < w[1]), "{parts:?}");
        assert_eq!(parts[4], plain[0]);
    }
}
