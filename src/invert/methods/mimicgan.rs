//! `mimicgan`: a picture whose degradation is not known.

use super::{adam, count, descent, steady, usual_lr};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::{Phase, Schedule, Unknowns};
use crate::lang::types::{Kind, Param};
use crate::space::Space;

/// Steps of the code and steps of a surrogate of the degradation take turns; both begin with those
/// of the code. The surrogate moves, blurs and colours the whole picture (`degrade/mimic.rs`).
pub const METHOD: Method = Method {
    name: "mimicgan",
    paper: "MimicGAN (Anirudh et al. 2020)",
    summary: "MimicGAN, for degradations that are not known: 500 steps for the code in turns with \
              steps for a surrogate that turns, blurs and colours the picture",
    spaces: &[Space::WPlus, Space::W, Space::Z],
    encoder: false,
    companion: None,
    steps: Some(500),
    lr: Some(usual_lr),
    weights: &[],
    best_of: None,
    noise: false,
    params: &[
        Param::optional("rounds", &[Kind::Number], "20", "of mimicgan: turns of the surrogate")
            .whole(1, 10_000)
            .named(),
        Param::optional(
            "surrogate",
            &[Kind::Number],
            "20",
            "of mimicgan: steps of the surrogate in a turn",
        )
        .whole(0, 100_000)
        .named(),
        Param::optional(
            "surrogate_lr",
            &[Kind::Number],
            "0.01",
            "of mimicgan: learning rate of the surrogate, whose numbers are about 1",
        )
        .within(0.0, 1e3)
        .named(),
    ],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let rounds = count(config, "rounds")?;
    let steps = config.steps_taken();
    let mut phases = Vec::with_capacity(2 * rounds + 1);
    for round in 0..=rounds {
        let until = |k: usize| steps * k / (rounds + 1);
        let code = steady(descent(job, config, adam));
        phases.push(Phase { steps: until(round + 1) - until(round), ..code });
        if round < rounds {
            phases.push(surrogate(job, config)?);
        }
    }
    Ok(phases)
}

/// Steps of the surrogate from where the search is.
fn surrogate<'a>(job: &Job<'a>, config: &Config) -> Result<Phase<'a>> {
    let usual = steady(descent(job, config, adam));
    Ok(Phase {
        verb: "mimic",
        unknowns: Unknowns { corruption: true, ..Unknowns::default() },
        schedule: Schedule { rate: config.setting("surrogate_lr"), ..usual.schedule },
        steps: count(config, "surrogate")?,
        ..usual
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::{Input, spaces};
    use crate::invert::degrade::{mimic, mimicked};
    use crate::invert::methods::OPTIMIZE;
    use crate::invert::tests::{generator, run, values};
    use crate::rng::Rng;
    use candle_core::{Device, Tensor};

    /// A picture of the toy, its code in W, and a degradation of these surrogate parameters.
    fn degraded(seed: u64, own: &[(usize, f32)], noise: f64) -> (Tensor, Tensor) {
        let g = generator();
        let z = Tensor::from_vec(Rng::new(seed).normals(16), (1, 16), &Device::Cpu).unwrap();
        let w = spaces::rise(&*g, &z, (Space::Z, Space::W), &Input::default()).unwrap();
        let picture = spaces::picture(&*g, &w, Space::W, &Input::default()).unwrap();
        let mut all = vec![0.0; mimic::size(3)];
        own.iter().for_each(|(k, v)| all[*k] = *v);
        let all = Tensor::from_vec(all, (1, mimic::size(3)), &Device::Cpu).unwrap();
        let noisy = Tensor::from_vec(Rng::new(9).normals(3072), (1, 3, 32, 32), &Device::Cpu);
        let degraded = mimicked(&picture, &all).unwrap();
        ((degraded + (noisy.unwrap() * noise).unwrap()).unwrap(), w)
    }

    fn far(a: &Tensor, b: &Tensor) -> f32 {
        let each = values(a).into_iter().zip(values(b)).map(|(a, b)| (a - b).powi(2));
        each.sum::<f32>().sqrt()
    }

    /// Blur, a turn, colours, each with noise: the code is nearer to the true one than by a plain
    /// search of as many steps.
    #[test]
    fn codes_behind_degradations_are_nearer_to_the_truth() {
        let g = generator();
        let blur = [0.06, 0.24, -0.6, 0.24, 0.06];
        let blur: Vec<(usize, f32)> =
            (0..5).flat_map(|k| [(6 + 1 + k, blur[k]), (6 + 7 + 1 + k, blur[k])]).collect();
        let (sin, cos) = 0.15f32.sin_cos();
        let turn = [(0, cos - 1.0), (1, sin), (3, -sin), (4, cos - 1.0)];
        let colours = [(20, -0.4), (24, -0.3), (28, 0.2), (29, 0.2)];
        for (name, own) in [("blur", &blur[..]), ("turn", &turn), ("colours", &colours)] {
            let (mut plain, mut mimicked) = (0.0, 0.0);
            for seed in [1, 2] {
                let (target, truth) = degraded(seed, own, 0.03);
                let of = |method: &'static Method| {
                    let c = Config { steps: 150, ..Config::new(Space::W, method) };
                    far(run(&*g, &target, &c).unwrap().code.point(), &truth)
                };
                (plain, mimicked) = (plain + of(&OPTIMIZE), mimicked + of(&METHOD));
            }
            assert!(mimicked < 0.7 * plain, "{name}: {mimicked} {plain}");
        }
    }
}
