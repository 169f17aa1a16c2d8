//! Tests of what all methods have in common, and of what the published compositions promise, on the
//! toy generator.

use super::methods::{
    BDINVERT, CONSECUTIVE, I2S, I2SPP, IDINVERT, IGAN, II2S, ILO, LAYERWISE, OPTIMIZE, STYLESPACE,
};
use super::phase_tests::quarter;
use super::tests::{as_alone, foreign, generator, several, stats, stopping, values};
use super::*;
use crate::control::{Control, Stop};
use crate::error::Kind;
use crate::generator::stylegan3::toy::Toy;
use crate::generator::{Generator, Transform, biggan, codes, spaces};
use crate::latent::Part;
use crate::metric::{Perceptual, random_features};
use crate::network::encoder_tests::network;
use crate::network::{Encoder, Move, Seen, discriminator, hyper_tests, residual_tests};
use std::sync::Arc;
use std::time::Duration;

/// Finds what both networks find that run after an encoder.
struct Both([Box<dyn Encoder>; 2]);

impl Encoder for Both {
    fn name(&self) -> &str {
        "both"
    }

    fn passes(&self) -> usize {
        1
    }

    fn pass(&self, _: &Seen<'_>) -> Result<Move> {
        Ok(Move::Stay)
    }

    fn beside(&self, seen: &Seen<'_>) -> Result<Vec<(Part, Tensor)>> {
        let [a, b] = &self.0;
        Ok([a.beside(seen)?, b.beside(seen)?].concat())
    }
}

/// Calls `f` with a job that has an encoder and a feature network.
fn with_networks<T>(g: &dyn Generator, control: &Control, f: impl FnOnce(&Job<'_>) -> T) -> T {
    let (stats, network) = (stats(g), network());
    let after = Both([Box::new(residual_tests::network()), Box::new(hyper_tests::network())]);
    let judge = discriminator::toy(0, [3, 32], &Device::Cpu).unwrap();
    let features = Perceptual::new(Arc::new(random_features(3)));
    f(&Job {
        encoder: Some(&network),
        companion: Some(&after),
        perceptual: Some(&features),
        discriminator: Some(&*judge),
        stats: Some(&stats),
        ..Job::new(g, control)
    })
}

/// A method in its usual space, every phase as short as it may be.
fn short(g: &dyn Generator, method: &'static Method) -> Config {
    let space = method.usual_space(&g.spec().spaces);
    let mut c =
        Config { steps: 4, passes: method.encoder.then_some(2), ..Config::new(space, method) };
    for name in [
        "tune",
        "fill",
        "noise_steps",
        "map_steps",
        "generations",
        "refine",
        "surrogate",
        "codes",
        "map",
    ] {
        if method.params.iter().any(|p| p.name == name) {
            c.settings.set(name, if name == "generations" { 1.0 } else { 3.0 });
        }
    }
    if method.best_of.is_some() {
        c.init = Init::BestOf(3);
    }
    c
}

fn found(job: &Job<'_>, config: &Config) -> Inversion {
    invert(job, &foreign(0), config).unwrap()
}

fn psnr(found: &Inversion) -> f64 {
    found.numbers.iter().find(|n| n.name == "psnr").unwrap().value
}

/// The methods that invert the toy; layerwise, for plain generators, has tests of its own.
fn methods() -> impl Iterator<Item = &'static Method> {
    METHODS.iter().copied().filter(|m| **m != LAYERWISE)
}

#[test]
fn pictures_of_a_batch_are_those_alone_with_every_method() {
    let g = generator();
    with_networks(&*g, &Control::default(), |job| {
        // What consecutive finds depends on all pictures.
        for method in methods().filter(|m| **m != CONSECUTIVE) {
            as_alone(job, &several(2), &short(&*g, method), &[0, 1]);
        }
    });
}

#[test]
fn every_method_stops_and_resumes_to_the_same_bits() {
    let g = generator();
    let folder = tempfile::tempdir().unwrap();
    for method in methods() {
        let plain = short(&*g, method);
        let path = folder.path().join(method.name);
        let checkpoint = Some(Checkpoint { path, every: Duration::from_secs(3600) });
        let saved = Config { checkpoint, ..plain.clone() };
        let whole = with_networks(&*g, &Control::default(), |job| found(job, &plain));
        // The first report comes after the first step.
        let e = with_networks(&*g, &stopping(1, Stop::Checkpoint), |job| {
            invert(job, &foreign(0), &saved).unwrap_err()
        });
        assert_eq!(e.kind(), Kind::Resumable, "{method:?}: {e}");
        let resumed = with_networks(&*g, &Control::default(), |job| found(job, &saved));
        assert_eq!(whole.trace, resumed.trace, "{method:?}");
        assert!(values(&whole.reconstruction) == values(&resumed.reconstruction), "{method:?}");
    }
}

#[test]
fn a_mask_works_with_every_method() {
    let g = generator();
    with_networks(&*g, &Control::default(), |job| {
        for method in methods() {
            let found = found(job, &Config { mask: Some(quarter()), ..short(&*g, method) });
            assert!(found.numbers.iter().any(|n| n.name == "psnr in mask"), "{method:?}");
        }
    });
}

/// The published order: the maps hold what the code does not reach (Abdal et al. 2020).
#[test]
fn noise_after_the_code_comes_nearer_by_10_db() {
    let g = generator();
    with_networks(&*g, &Control::default(), |job| {
        let code = Config { steps: 60, lr: 0.05, ..Config::new(Space::WPlus, &I2S) };
        let settings = [("noise_steps", 300.0), ("noise_lr", 0.5)].into();
        let maps = Config { settings, ..Config { method: &I2SPP, noise: true, ..code.clone() } };
        let (before, after) = (found(job, &code), found(job, &maps));
        assert!(psnr(&after) > psnr(&before) + 10.0, "{} {}", psnr(&before), psnr(&after));
        assert!(!after.code.noise().is_empty());
    });
}

#[test]
fn ii2s_stays_nearer_to_the_prior_than_a_search_without_it() {
    let g = generator();
    with_networks(&*g, &Control::default(), |job| {
        let size = |weight: f64| {
            let mut c = Config { steps: 80, lr: 0.1, ..Config::new(Space::PNPlus, &II2S) };
            c.weights.set("prior_pn", weight);
            let v = values(found(job, &c).code.point());
            v.iter().map(|v| f64::from(v * v)).sum::<f64>() / v.len() as f64
        };
        let (free, held) = (size(0.0), size(0.02));
        assert!(held < 0.9 * free, "{free} {held}");
    });
}

/// Wider spaces come nearer: S about as near as W+, a feature map nearer, by the published weights
/// of both comparisons.
#[test]
fn styles_and_feature_maps_come_nearer_than_codes() {
    let g = generator();
    with_networks(&*g, &Control::default(), |job| {
        let of = |space: Space, method: &'static Method, (lr, perceptual): (f64, f64)| {
            let mut c = Config { steps: 80, lr, ..Config::new(space, method) };
            c.weights.set("perceptual", perceptual);
            let found = found(job, &c);
            let number = |name: &str| found.numbers.iter().find(|n| n.name == name).unwrap().value;
            number("mse") + perceptual * number("perceptual")
        };
        let codes = of(Space::WPlus, &I2S, (0.05, 1.0));
        let styles = of(Space::S, &STYLESPACE, (0.1, 1.0));
        assert!(styles < 1.1 * codes, "{styles} {codes}");
        let codes = of(Space::WPlus, &I2S, (0.05, 10.0));
        let map = of(Space::F, &BDINVERT, (0.05, 10.0));
        assert!(map < 0.9 * codes, "{map} {codes}");
    });
}

/// The published order: in-domain codes are nearer to where the encoder finds them, and their
/// pictures a little further (Zhu et al. 2020).
#[test]
fn in_domain_codes_are_found_again_by_the_encoder() {
    let g = generator();
    let encoder = network();
    let mean = spaces::mean(&*g, Space::WPlus, None).unwrap();
    let first = codes::synthesize(&*g, &mean, &spaces::input_of(&mean)).unwrap();
    with_networks(&*g, &Control::default(), |job| {
        let of = |weight: f64| {
            let mut c = Config { steps: 60, lr: 0.05, ..Config::new(Space::WPlus, &IDINVERT) };
            c.weights.set("in_domain", weight);
            let found = found(job, &c);
            let pass = encoder.pass(&Seen::first(&found.reconstruction, &first)).unwrap();
            let again = values(&pass.from(mean.point()).unwrap());
            let code = values(found.code.point());
            let far = code.iter().zip(&again).map(|(a, b)| f64::from((a - b).powi(2)));
            (far.sum::<f64>(), psnr(&found))
        };
        let (free, held) = (of(0.0), of(2.0));
        assert!(held.0 < 0.5 * free.0 && held.1 < free.1, "{free:?} {held:?}");
    });
}

#[test]
fn igan_goes_on_from_the_encoder_and_comes_nearer_than_from_the_mean() {
    let g = generator();
    with_networks(&*g, &Control::default(), |job| {
        let c = Config { steps: 30, passes: Some(2), ..Config::new(Space::WPlus, &IGAN) };
        let hybrid = found(job, &c);
        let losses = hybrid.trace[0].losses();
        let encoded = losses[..3].iter().copied().fold(f64::INFINITY, f64::min);
        assert!(hybrid.loss[0] < encoded, "{losses:?}");
    });
}

/// The class of a picture is found while z stays as it was, and the other way round.
#[test]
fn a_class_is_searched_alone_and_z_alone() {
    let g = biggan::toy::Toy::default().build(&Device::Cpu).unwrap();
    let (z_dim, w_dim) = (g.spec().z_dim, g.spec().w_dim);
    let w = Tensor::from_vec(Rng::new(4).normals(w_dim), (1, w_dim), &Device::Cpu).unwrap();
    let other = Tensor::from_vec(Rng::new(5).normals(w_dim), (1, w_dim), &Device::Cpu).unwrap();
    let part = |w: &Tensor, from, count| w.narrow(1, from, count).unwrap();
    let control = Control::default();
    let labels = Tensor::new(&[[1f32, 0.0, 0.0]], &Device::Cpu).unwrap();
    let job = Job { labels: Some(&labels), ..Job::new(&g, &control) };
    let param = OPTIMIZE.params.iter().find(|p| p.name == "searches").unwrap();
    for (word, [held, searched]) in [
        ("class", [(0, z_dim), (z_dim, w_dim - z_dim)]),
        ("z", [(z_dim, w_dim - z_dim), (0, z_dim)]),
    ] {
        let mut parts = [part(&w, held.0, held.1), part(&other, searched.0, searched.1)];
        if word == "z" {
            parts.reverse();
        }
        let target = Tensor::cat(&parts, 1).unwrap();
        let input = Input::labelled(Some(&labels));
        let picture = spaces::picture(&g, &target, Space::W, &input).unwrap();
        let start = spaces::mean(&g, Space::W, None).unwrap().derived(w.clone(), "w".into());
        let mut c =
            Config { steps: 150, init: Init::Latent(start), ..Config::new(Space::W, &OPTIMIZE) };
        c.words.choose(param, word).unwrap();
        let found = invert(&job, &picture, &c).unwrap();
        let code = found.code.point();
        assert_eq!(values(&part(code, held.0, held.1)), values(&part(&w, held.0, held.1)));
        assert_ne!(
            values(&part(code, searched.0, searched.1)),
            values(&part(&w, searched.0, searched.1))
        );
        let losses = found.trace[0].losses();
        assert!(found.loss[0] < 0.2 * losses[0], "{word}: {} of {}", found.loss[0], losses[0]);
    }
    // Elsewhere no part of a code is the class's.
    let mut c = Config { steps: 2, ..Config::new(Space::Z, &OPTIMIZE) };
    c.words.choose(param, "class").unwrap();
    let target = spaces::picture(&g, &w, Space::W, &Input::labelled(Some(&labels))).unwrap();
    let e = invert(&job, &target, &c).unwrap_err();
    assert_eq!(e.repair(), Some("space: W"), "{e}");
    let toy = generator();
    let job = Job::new(toy.as_ref(), &control);
    let e = invert(&job, &foreign(1), &Config { space: Space::W, ..c }).unwrap_err();
    assert!(e.message().contains("no part `class`"), "{e}");
}

/// A turned and shifted sample of StyleGAN3 is reached by its transform, which the code keeps.
#[test]
fn a_turned_picture_is_reached_by_its_pose() {
    let toy = Toy { resolution: 32, ..Toy::default() };
    let g = toy.build(&Device::Cpu).unwrap();
    let z = Tensor::from_vec(Rng::new(4).normals(g.spec().z_dim), (1, ()), &Device::Cpu).unwrap();
    let ws = spaces::rise(&g, &z, (Space::Z, Space::WPlus), &Input::default()).unwrap();
    let transform = Transform { rotate: 6.0, shift: [0.04, -0.03] };
    let transform = Some(transform.matrix(&Device::Cpu).unwrap());
    let input = Input { transform, ..Input::default() };
    let target = spaces::picture(&g, &ws, Space::WPlus, &input).unwrap();
    let start = spaces::mean(&g, Space::WPlus, None).unwrap().derived(ws, "true".into());
    let (control, stats) = (Control::default(), stats(&g));
    let job = Job { stats: Some(&stats), ..Job::new(&g, &control) };
    let of = |pose: bool| {
        let init = Init::Latent(start.clone());
        let c = Config { steps: 120, lr: 0.02, init, pose, ..Config::new(Space::WPlus, &OPTIMIZE) };
        invert(&job, &target, &c).unwrap()
    };
    let (without, with) = (of(false), of(true));
    assert!(without.code.parts.get(Part::Pose).is_none() && with.how.contains(" pose"));
    assert!(psnr(&with) > psnr(&without) + 10.0, "{} {}", psnr(&with), psnr(&without));
    let found = values(with.code.parts.get(Part::Pose).unwrap());
    let wanted = [6f32.to_radians(), 0.04, -0.03];
    assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 0.01), "{found:?}");
    let again = codes::synthesize(&g, &with.code, &spaces::input_of(&with.code)).unwrap();
    assert_eq!(values(&again), values(&with.reconstruction), "the code keeps its pose");
    // An explicit transform takes the place of the code's own.
    let upright = Some(Transform::default().matrix(&Device::Cpu).unwrap());
    let input = Input { transform: upright, ..Input::default() };
    let upright = codes::synthesize(&g, &with.code, &input).unwrap();
    let plain = spaces::picture(&g, with.code.point(), Space::WPlus, &input).unwrap();
    assert_eq!(values(&upright), values(&plain));
    as_alone(
        &job,
        &Tensor::cat(&[&target, &target.flip(&[3]).unwrap()], 0).unwrap(),
        &Config { steps: 4, pose: true, ..Config::new(Space::WPlus, &OPTIMIZE) },
        &[0, 1],
    );
    let toy = generator();
    let c = Config { pose: true, ..Config::new(Space::W, &OPTIMIZE) };
    let e = with_networks(&*toy, &control, |job| invert(job, &foreign(0), &c).unwrap_err());
    assert!(e.message().contains("neither a camera nor a transform") && e.repair().is_some());
}

#[test]
fn ilo_comes_nearer_with_every_map_and_every_map_stays_in_its_ball() {
    let g = generator();
    with_networks(&*g, &Control::default(), |job| {
        let (mut nearest, ball) = (f64::INFINITY, 0.05);
        for maps in 0..3 {
            let settings = [("maps", f64::from(maps)), ("ball", ball)].into();
            let c = Config { steps: 40, settings, ..Config::new(Space::W, &ILO) };
            let found = found(job, &c);
            assert!(found.loss[0] < nearest, "{maps}: {:?} {nearest}", found.loss);
            nearest = found.loss[0];
            let all: Vec<f64> = found
                .code
                .parts
                .iter()
                .filter(|(part, _)| matches!(part, Part::Residual(_)))
                .map(|(_, t)| {
                    let v = values(t);
                    v.iter().map(|v| f64::from(v.abs())).sum::<f64>() / v.len() as f64
                })
                .collect();
            assert_eq!(all.len(), maps as usize);
            // Half precision rounds.
            assert!(all.iter().all(|mean| *mean > 0.0 && *mean < ball * 1.001), "{all:?}");
        }
        let plain = Config { steps: 40, ..Config::new(Space::W, &OPTIMIZE) };
        assert!(nearest < found(job, &plain).loss[0]);
    });
}
