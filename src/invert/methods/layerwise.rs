//! `layerwise`: exact inversion of ReLU networks.

use super::{adam, code_alone, descent};
use crate::error::{Error, Result};
use crate::generator::Input;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::layerwise::{self, Slack, Tolerance};
use crate::invert::phase::{Backwards, Mover, Phase};
use crate::lang::types::{Kind, Param};
use crate::space::Space;

/// From the picture back to z, layer by layer: exact for pictures of a generator whose layers
/// widen, and a proof that there is no code for others.
pub const METHOD: Method = Method {
    name: "layerwise",
    paper: "Inverting Deep Generative Models, One Layer at a Time (Lei et al. 2019)",
    summary: "from the picture back to z by the equations of each layer and linear programs, in 1 \
              step; for plain generators whose layers widen",
    spaces: &[Space::Z],
    encoder: false,
    companion: None,
    steps: Some(1),
    lr: None,
    weights: &[],
    best_of: None,
    noise: false,
    params: &[
        Param::optional(
            "error",
            &[Kind::Number],
            "0",
            "of layerwise: largest error of the picture's values that is accepted, beside \
             rounding",
        )
        .within(0.0, 1e6)
        .named(),
        Param::optional(
            "slack",
            &[Kind::Choice],
            "largest",
            "of layerwise: what is smallest where no code gives the picture: the `largest` error \
             of a layer's values, or their `sum`",
        )
        .choices(&["largest", "sum"])
        .named(),
    ],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    code_alone(job, config)?;
    if config.mask.is_some() || config.degrade.iter().next().is_some() {
        return Err(Error::runtime("method layerwise reads every pixel as the generator made it")
            .hint("leave masks and degradations out, or use method: optimize"));
    }
    layerwise::check(job.generator, &Input::labelled(job.labels_of(0)?.as_ref()))?;
    let slack = if config.word("slack") == Some("sum") { Slack::Sum } else { Slack::Largest };
    let tolerance = Tolerance { error: config.setting("error"), slack };
    Ok(vec![Phase {
        mover: Mover::Layers(Backwards::Exact(tolerance)),
        steps: config.steps_taken().min(1),
        ..descent(job, config, adam)
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Control, Stop};
    use crate::error::Kind;
    use crate::generator::dcgan::Toy;
    use crate::generator::{Generator, spaces};
    use crate::invert::tests::{as_alone, stopping, values};
    use crate::invert::{Checkpoint, Mask, Shape, invert};
    use crate::rng::Rng;
    use candle_core::{Device, Tensor};
    use std::time::Duration;

    fn config() -> Config {
        Config::new(Space::Z, &METHOD)
    }

    /// Two pictures of a plain generator whose layers widen, with their codes.
    fn known() -> (impl Generator, Tensor, Tensor) {
        let toy = Toy { features: 4, base: [2, 2], z_dim: 5, ..Toy::default() };
        let g = toy.build(&Device::Cpu).unwrap();
        let z = Tensor::from_vec(Rng::new(3).normals(10), (2, 5), &Device::Cpu).unwrap();
        let pictures = spaces::picture(&g, &z, Space::Z, &Input::default()).unwrap();
        (g, z, pictures)
    }

    #[test]
    fn two_pictures_give_their_codes_alone_together_and_resumed() {
        let (g, z, pictures) = known();
        let control = Control::default();
        let job = Job::new(&g, &control);
        as_alone(&job, &pictures, &config(), &[0, 1]);
        let found = invert(&job, &pictures, &config()).unwrap();
        for (got, want) in values(found.code.point()).iter().zip(values(&z)) {
            assert!((got - want).abs() < 1e-3, "{got} {want}");
        }
        assert_eq!(found.best_step, [1, 1]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layers");
        let checkpoint = Some(Checkpoint { path, every: Duration::from_secs(3600) });
        let saved = Config { checkpoint, ..config() };
        let stop = stopping(1, Stop::Checkpoint);
        let e = invert(&Job::new(&g, &stop), &pictures, &saved).unwrap_err();
        assert_eq!(e.kind(), Kind::Resumable, "{e}");
        let resumed = invert(&job, &pictures, &saved).unwrap();
        assert_eq!(values(resumed.code.point()), values(found.code.point()));
    }

    #[test]
    fn what_hides_pixels_is_refused() {
        let (g, _, pictures) = known();
        let control = Control::default();
        let shape = Shape::Rectangle([0.0, 0.0, 0.5, 0.5]);
        let mask = Some(Mask::of_shape(shape, (16, 16), "quarter").unwrap());
        let e = invert(&Job::new(&g, &control), &pictures, &Config { mask, ..config() });
        assert!(e.unwrap_err().repair().is_some_and(|r| r.contains("optimize")));
    }
}
