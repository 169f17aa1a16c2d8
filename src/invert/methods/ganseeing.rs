//! `ganseeing`: layered inversion.

use super::{adam, count, descent, usual_lr};
use crate::error::{Error, Result};
use crate::invert::config::{Config, Method, feature_layer};
use crate::invert::job::Job;
use crate::invert::phase::{Backwards, Mover, Phase, Schedule, Unknowns};
use crate::lang::types::{Kind, Param};
use crate::space::Space;

/// A code by inverters of the generator's layers, which are fitted to its samples by ridge
/// regression; steps from there; then a feature map near what the code gives.
pub const METHOD: Method = Method {
    name: "ganseeing",
    paper: "Seeing What a GAN Cannot Generate (Bau et al. 2019), its layers inverted by ridge \
            regression",
    summary: "layered inversion: a code by inverters of the layers, which are fitted first, 200 \
              steps from there, then a feature map near what the code gives",
    spaces: &[Space::W, Space::Z],
    encoder: false,
    companion: None,
    steps: Some(200),
    lr: Some(usual_lr),
    weights: &[("residual", 1.0)],
    best_of: None,
    noise: false,
    params: &[
        Param::optional(
            "map",
            &[Kind::Number],
            "200",
            "of ganseeing: steps that search the feature map",
        )
        .whole(0, 1_000_000)
        .named(),
        Param::optional(
            "map_lr",
            &[Kind::Number],
            "0.05",
            "of ganseeing: learning rate of the map",
        )
        .within(0.0, 1e3)
        .named(),
    ],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    if job.generator.spec().c_dim > 0 {
        return Err(Error::runtime("method ganseeing is for generators without classes")
            .hint("method: optimize"));
    }
    let usual = || descent(job, config, adam);
    let seen = Phase { verb: "fit", mover: Mover::Layers(Backwards::Fitted), steps: 1, ..usual() };
    let map = Phase {
        verb: "map",
        unknowns: Unknowns {
            residual: config.layer.or_else(|| feature_layer(job.generator.spec())),
            ..Unknowns::default()
        },
        schedule: Schedule { rate: config.setting("map_lr"), ..usual().schedule },
        steps: count(config, "map")?,
        ..usual()
    };
    Ok(vec![seen, usual(), map])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::{Input, spaces};
    use crate::invert::methods::OPTIMIZE;
    use crate::invert::tests::{foreign, generator, run};
    use crate::invert::{Init, Inversion};
    use crate::rng::Rng;
    use candle_core::{Device, Tensor};

    fn config(steps: usize, map: f64) -> Config {
        Config { steps, settings: [("map", map)].into(), ..Config::new(Space::W, &METHOD) }
    }

    fn psnr(found: &Inversion) -> f64 {
        found.numbers.iter().find(|n| n.name == "psnr").unwrap().value
    }

    /// On average over pictures of the generator, from a random start of both.
    #[test]
    fn inverters_begin_nearer_than_random_codes_after_as_many_steps() {
        let g = generator();
        let (mut fitted, mut random) = (0.0, 0.0);
        for seed in 0..3 {
            let z = Tensor::from_vec(Rng::new(70 + seed).normals(16), (1, 16), &Device::Cpu);
            let target = spaces::picture(&*g, &z.unwrap(), Space::Z, &Input::default()).unwrap();
            let of = |c: Config| run(&*g, &target, &Config { init: Init::Random, ..c }).unwrap();
            fitted += of(config(15, 0.0)).loss[0];
            random += of(Config { steps: 16, ..Config::new(Space::W, &OPTIMIZE) }).loss[0];
        }
        assert!(fitted < 0.8 * random, "{fitted} {random}");
    }

    #[test]
    fn a_map_is_never_worse_than_the_code() {
        let g = generator();
        let of = |map: f64| run(&*g, &foreign(0), &config(20, map)).unwrap();
        let (code, map) = (of(0.0), of(30.0));
        assert!(psnr(&map) > psnr(&code) + 0.5, "{} {}", psnr(&map), psnr(&code));
    }
}
