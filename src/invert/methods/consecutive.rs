//! `consecutive`: pictures of one motion, searched together.

use super::{adam, descent, usual_lr};
use crate::error::{Error, Result};
use crate::invert::config::{Config, Init, Method};
use crate::invert::job::Job;
use crate::invert::phase::{Phase, Unknowns};
use crate::space::Space;

/// The codes of all pictures lie on one line, `w_t = w_0 + α_t · n`: w_0 and n are searched for
/// all of them together, α_t for each. The published method also compares the pictures by optical
/// flow; this one does not.
pub const METHOD: Method = Method {
    name: "consecutive",
    paper: "From Continuity to Editability (Xu et al. 2021), without its flow",
    summary: "the pictures of one motion together, in their order: 300 steps for codes on one \
              line; with all = [c for c in r], `all[1] - all[0]` is its direction",
    spaces: &[Space::WPlus, Space::W],
    encoder: false,
    companion: None,
    steps: Some(300),
    lr: Some(usual_lr),
    weights: &[],
    best_of: None,
    noise: false,
    params: &[],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let one = match &config.init {
        Init::Mean => true,
        Init::Latent(code) => code.count() == 1,
        Init::Random | Init::BestOf(_) => false,
    };
    if !one || config.restarts > 1 {
        return Err(Error::runtime("the codes of method consecutive begin at one code for all")
            .hint("init: mean, or a single code; without restarts"));
    }
    let phase = descent(job, config, adam);
    Ok(vec![Phase { unknowns: Unknowns { line: true, ..phase.unknowns }, ..phase }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Control, Stop};
    use crate::error::Kind;
    use crate::generator::{Input, spaces};
    use crate::invert::tests::{foreign, generator, run, several, stats, stopping, values};
    use crate::invert::{Checkpoint, Inversion, invert};
    use crate::rng::Rng;
    use candle_core::{Device, Tensor};
    use std::time::Duration;

    fn config(steps: usize) -> Config {
        Config { steps, ..Config::new(Space::W, &METHOD) }
    }

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    fn minus(a: &[f32], b: &[f32]) -> Vec<f32> {
        a.iter().zip(b).map(|(x, y)| x - y).collect()
    }

    fn rows(found: &Inversion) -> Vec<Vec<f32>> {
        let point = found.code.point();
        (0..found.code.count()).map(|i| values(&point.narrow(0, i, 1).unwrap())).collect()
    }

    /// Frames from unevenly spaced places of a line in W, which is one in W+, too. In W+ other
    /// directions make nearly the same pictures.
    #[test]
    fn frames_of_a_line_give_codes_on_a_line_along_its_direction() {
        let g = generator();
        let code = |seed: u64| {
            let z = Tensor::from_vec(Rng::new(seed).normals(16), (1, 16), &Device::Cpu).unwrap();
            spaces::rise(&*g, &z, (Space::Z, Space::W), &Input::default()).unwrap()
        };
        let (from, to) = (code(5), code(6));
        let places = [0.0, 0.15, 0.5, 0.8, 1.0];
        let frame = |t: f64| {
            let w = ((&from * (1.0 - t)).unwrap() + (&to * t).unwrap()).unwrap();
            spaces::picture(&*g, &w, Space::W, &Input::default()).unwrap()
        };
        let frames = Tensor::cat(&places.map(frame), 0).unwrap();
        let truth = minus(&values(&to), &values(&from));
        for space in [Space::W, Space::WPlus] {
            let found = run(&*g, &frames, &Config { space, ..config(300) }).unwrap();
            let rows = rows(&found);
            let whole = minus(&rows[4], &rows[0]);
            for (row, place) in rows.iter().zip(places).skip(1) {
                let way = minus(row, &rows[0]);
                assert!(cosine(&way, &whole) > 0.9999, "{space}: collinear");
                let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
                let got = f64::from(length(&way) / length(&whole));
                assert!((got - place).abs() < 0.1, "{space} {place}: {got}");
            }
            if space == Space::W {
                assert!(cosine(&whole, &truth) > 0.9, "{}", cosine(&whole, &truth));
            }
            assert!(found.loss.iter().all(|l| *l == found.loss[0]), "they share their loss");
            assert!(found.best_step.iter().all(|s| *s == found.best_step[0]));
        }
    }

    #[test]
    fn pictures_in_several_passes_stop_and_resume_to_the_same_bits() {
        let (g, folder) = (generator(), tempfile::tempdir().unwrap());
        let stats = stats(&*g);
        // More than a batch holds.
        let target = several(10);
        let path = folder.path().join("line");
        let checkpoint = Some(Checkpoint { path, every: Duration::from_secs(3600) });
        let (plain, saved) = (config(5), Config { checkpoint, ..config(5) });
        let with = |control: &Control, config: &Config| {
            invert(&Job { stats: Some(&stats), ..Job::new(&*g, control) }, &target, config)
        };
        let whole = with(&Control::default(), &plain).unwrap();
        let e = with(&stopping(1, Stop::Checkpoint), &saved).unwrap_err();
        assert_eq!(e.kind(), Kind::Resumable, "{e}");
        let resumed = with(&Control::default(), &saved).unwrap();
        assert_eq!(whole.trace, resumed.trace);
        assert_eq!(values(whole.code.point()), values(resumed.code.point()));
    }

    #[test]
    fn several_starts_are_refused() {
        for init in [Init::Random, Init::BestOf(2)] {
            let e = run(&*generator(), &foreign(0), &Config { init, ..config(2) }).unwrap_err();
            assert!(e.repair().is_some_and(|r| r.contains("mean")), "{e}");
        }
    }
}
