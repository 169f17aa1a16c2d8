//! `mganprior`: several codes for one picture, composed inside the generator.

use super::{count, descent, named, steady};
use crate::error::{Error, Result};
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::{Composed, Phase, Unknowns};
use crate::lang::types::{Kind, Param};
use crate::space::Space;

/// Several codes whose maps at one layer are weighed by channel and added up; the layers behind it
/// make the picture. The result is the first code with the residual of that layer's map, so it is
/// edited like a code of F.
///
/// The published rate is 1 without momentum; with momentum .9 steps of .1 lead as far.
pub const METHOD: Method = Method {
    name: "mganprior",
    paper: "Image Processing Using Multi-Code GAN Prior (Gu et al. 2020)",
    summary: "mGANprior, 20 codes (30 with a mask) whose feature maps are composed, 3000 steps of \
              gradient descent; the result is one code with a feature map",
    spaces: &[Space::W, Space::Z],
    encoder: false,
    companion: None,
    steps: Some(3000),
    lr: Some(|_| 0.1),
    weights: &[("l2", 1.0), ("perceptual", 1.0)],
    best_of: None,
    noise: false,
    params: &[
        Param::optional(
            "codes",
            &[Kind::Number],
            "0",
            "of mganprior: codes; 0 for the published number, 30 with a mask, otherwise 20",
        )
        .whole(0, MOST as u64)
        .named(),
        Param::optional(
            "compose",
            &[Kind::Number],
            "0",
            "of mganprior: side of the feature map at which codes are composed; 0 for the \
             published one, 8 with a mask, 16 for degraded pictures, otherwise 32, in a picture of \
             256",
        )
        .whole(0, 4096)
        .named(),
    ],
    plan,
};

/// Codes at most.
const MOST: usize = 1000;
/// The side of the pictures for which the sides of the maps were published.
const PUBLISHED_SIDE: usize = 256;

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let composed = Some(Composed { layer: layer(job, config)?, codes: codes(config)? });
    let phase = descent(job, config, named(Some("sgd")));
    let unknowns = Unknowns { composed, ..phase.unknowns };
    Ok(vec![steady(Phase { unknowns, ..phase })])
}

fn codes(config: &Config) -> Result<usize> {
    Ok(match count(config, "codes")? {
        0 if config.mask.is_some() => 30,
        0 => 20,
        given => given,
    })
}

/// The last layer whose map has at most the side that was asked for, or the published one.
fn layer(job: &Job<'_>, config: &Config) -> Result<usize> {
    let spec = job.generator.spec();
    let degraded = config.degrade.iter().next().is_some();
    let side = match count(config, "compose")? {
        0 => {
            let published = match (config.mask.is_some(), degraded) {
                (true, _) => 8,
                (_, true) => 16,
                _ => 32,
            };
            published * spec.height.min(PUBLISHED_SIDE) / PUBLISHED_SIDE
        }
        given => given,
    };
    let none =
        || Error::runtime("the generator has no feature maps to compose").hint("method: optimize");
    let sides = spec.layers.iter().map(|l| l.height).filter(|side| *side > 1);
    spec.last_layer_within(side.max(sides.min().ok_or_else(none)?)).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Control;
    use crate::generator::{Input, Tap, codes, spaces};
    use crate::invert::evaluate::evaluate;
    use crate::invert::point::Point;
    use crate::invert::problem::{Against, Problem, Run};
    use crate::invert::tests::{foreign, generator, run, stats, values};
    use crate::invert::{Init, Inversion};
    use crate::latent::{Part, Parts};
    use crate::rng::Rng;
    use candle_core::{Device, Tensor};

    fn config(codes: f64, steps: usize) -> Config {
        let settings = [("codes", codes), ("compose", 8.0)].into();
        Config { steps, settings, ..Config::new(Space::Z, &METHOD) }
    }

    fn found(config: &Config) -> Inversion {
        run(generator().as_ref(), &foreign(0), config).unwrap()
    }

    #[test]
    fn one_code_of_share_1_is_the_code_alone() {
        let plain = Config { steps: 0, ..Config::new(Space::Z, &super::super::OPTIMIZE) };
        let (one, plain) = (found(&config(1.0, 0)), found(&plain));
        let both = values(&one.reconstruction).into_iter().zip(values(&plain.reconstruction));
        assert!(both.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
        assert_eq!(values(one.code.point()), values(plain.code.point()));
    }

    /// More codes begin where fewer ended, and the code that is kept makes the picture.
    #[test]
    fn more_codes_never_lose_and_become_one_code_with_a_map() {
        let g = generator();
        let mut last = found(&Config { init: Init::Random, ..config(1.0, 40) });
        let first = last.loss[0];
        for codes in [2.0, 5.0] {
            let init = Init::Latent(last.code.clone());
            let next = found(&Config { init, ..config(codes, 40) });
            // A stored map is rounded to half precision.
            assert!(next.loss[0] < last.loss[0] + 1e-4, "{codes}: {:?} {:?}", next.loss, last.loss);
            last = next;
        }
        assert!(last.loss[0] < 0.96 * first, "{:?} {first}", last.loss);
        let parts: Vec<Part> = last.code.parts.iter().map(|(part, _)| part).collect();
        assert!(matches!(parts[..], [Part::Point, Part::Residual(_)]), "{parts:?}");
        let again = codes::synthesize(&*g, &last.code, &spaces::input_of(&last.code)).unwrap();
        assert_eq!(values(&again), values(&last.reconstruction));
    }

    /// The slope of a share is the inner product of its code's channel with the slope of the map.
    #[test]
    fn slopes_of_shares_are_inner_products() {
        let (g, control) = (generator(), Control::default());
        let stats = stats(&*g);
        let job = Job { stats: Some(&stats), ..Job::new(&*g, &control) };
        let run = Run::new(&job, &config(3.0, 1), 1).unwrap();
        let problem = Problem::new(&run, foreign(0), 0).unwrap();
        let phase = &run.phases[0];
        let layer = phase.unknowns.composed.unwrap().layer;
        let both = Unknowns { residual: Some(layer), ..phase.unknowns };
        let phase = Phase { unknowns: both, ..plan(&job, &run.config).unwrap().remove(0) };
        let mut parts = problem.entering(&phase, problem.start().unwrap()).unwrap();
        let shares = parts.get(Part::Shares(layer)).unwrap();
        let (_, count, channels) = shares.dims3().unwrap();
        let drawn = Rng::new(3).normals(count * channels);
        let drawn = Tensor::from_vec(drawn, shares.dims(), &Device::Cpu).unwrap();
        parts.insert(Part::Shares(layer), drawn);
        let against = Against { targets: &foreign(0), counted: None, labels: None };
        let objective = run.objective(&phase, against, true).unwrap();
        let point = Point { problem: &problem, parts: &parts, step: 0 };
        let e = evaluate(&[point], (&phase, &objective), true).unwrap().remove(0);
        let slope = |wanted: Part| {
            let k = parts.iter().filter(|(part, _)| phase.unknowns.hold(*part));
            let k = k.map(|(part, _)| part).position(|part| part == wanted).unwrap();
            values(&e.gradients[k])
        };
        let (of_map, of_shares) = (slope(Part::Residual(layer)), slope(Part::Shares(layer)));
        let further = parts.get(Part::Codes).unwrap();
        for n in 0..count {
            let code = match n {
                0 => parts.point().clone(),
                n => further.narrow(1, n - 1, 1).unwrap().squeeze(1).unwrap(),
            };
            let (alone, input) = (Parts::of(code), Input::default());
            let map = codes::untuned(&*g, &alone, Space::Z, &input, Tap::Layer(layer)).unwrap();
            let (map, area) = (values(&map), of_map.len() / channels);
            for c in 0..channels {
                let of = c * area..(c + 1) * area;
                let product: f32 =
                    map[of.clone()].iter().zip(&of_map[of]).map(|(a, b)| a * b).sum();
                let got = of_shares[n * channels + c];
                assert!(
                    (got - product).abs() < 1e-5 + 1e-3 * product.abs(),
                    "{n} {c}: {got} {product}"
                );
            }
        }
    }
}
