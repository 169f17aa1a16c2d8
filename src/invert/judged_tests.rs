//! Tests of what asks a discriminator, and of weights that are searched in part, on the toy
//! generator with its discriminator.

use super::methods::{DGP, GANPAINT, OPTIMIZE, PTI, YLG};
use super::point::{Point, tuned};
use super::problem::Problem;
use super::tests::{foreign, generator, stats, values};
use super::*;
use crate::control::Control;
use crate::generator::{Generator, codes};
use crate::latent::{Code, Part, Parts};
use crate::metric::{Metric, Perceptual, Psnr, random_features};
use crate::network::{Discriminator, discriminator};
use crate::space::Space;
use std::sync::Arc;

/// Inverts with a discriminator, with or without a feature network.
fn found(
    g: &dyn Generator,
    judge: Option<&dyn Discriminator>,
    (target, config): (&Tensor, &Config),
) -> Result<Inversion> {
    let (control, stats) = (Control::default(), stats(g));
    let features = Perceptual::new(Arc::new(random_features(3)));
    let job = Job {
        stats: Some(&stats),
        discriminator: judge,
        perceptual: Some(&features),
        ..Job::new(g, &control)
    };
    invert(&job, target, config)
}

fn judge() -> Box<dyn Discriminator> {
    discriminator::toy(0, [3, 32], &Device::Cpu).unwrap()
}

fn sample(g: &dyn Generator, seed: u64) -> Tensor {
    let z = Tensor::from_vec(Rng::new(seed).normals(16), (1, 16), &Device::Cpu).unwrap();
    spaces::picture(g, &z, Space::Z, &Input::default()).unwrap()
}

/// Names of the weights of these layers.
fn weights(problem: &Problem<'_, '_>, layers: Layers) -> Vec<String> {
    let parts = problem.start().unwrap();
    let found = tuned(&Point { problem, parts: &parts, step: 0 }, layers).unwrap();
    let names: Vec<&String> = problem.run.weights().unwrap().keys().collect();
    found.iter().map(|i| names[*i].clone()).collect()
}

#[test]
fn layers_are_counted_from_the_input_or_from_the_picture() {
    let (g, control) = (generator(), Control::default());
    let job = Job::new(g.as_ref(), &control);
    let count = g.spec().layers.len();
    for (space, mapping) in [(Space::W, false), (Space::Z, true)] {
        let run = Run::new(&job, &Config::new(space, &OPTIMIZE), 1).unwrap();
        let problem = Problem::new(&run, foreign(0), 0).unwrap();
        let of = |layers: Layers| weights(&problem, layers);
        let all = of(Layers::All);
        assert_eq!(all.iter().any(|n| n.starts_with("mapping")), mapping);
        // Behind the last layer its map becomes the picture.
        let out = |n: &String| n.starts_with("synthesis.b32.torgb");
        assert!(of(Layers::FromInput(0)).is_empty() && of(Layers::FromPicture(0)).iter().all(out));
        assert_eq!(
            (of(Layers::FromInput(count)), of(Layers::FromPicture(99))),
            (all.clone(), all.clone())
        );
        let mut before = Vec::new();
        for k in 1..=count {
            let (first, last) = (of(Layers::FromInput(k)), of(Layers::FromPicture(count - k)));
            assert!(before.iter().all(|n| first.contains(n)) && before.len() < first.len(), "{k}");
            if k < count {
                assert!(all.iter().all(|n| first.contains(n) != last.contains(n)), "{k}");
                let name = &g.spec().layers[k - 1].name;
                assert!(first.iter().any(|n| n.contains(name)), "{name}: {first:?}");
                assert!(!last.iter().any(|n| n.starts_with("mapping")));
            }
            before = first;
        }
    }
}

/// The published promise: what the target lacks is filled in, nearer than by a mean colour, and the
/// part that is there is nearer than by the code alone.
#[test]
fn dgp_fills_what_a_masked_picture_lacks() {
    let (g, judge) = (generator(), judge());
    let target = sample(g.as_ref(), 12);
    let hole =
        Mask::of_shape(Shape::Rectangle([0.33, 0.33, 0.67, 0.67]), (32, 32), "hole").unwrap();
    let mask = Some(hole.inverted().unwrap());
    let settings: Numbers = [("tune_lr", 0.02), ("rank", 0.0)].into();
    let of = |tune: bool| {
        let mut settings = settings.clone();
        if !tune {
            settings.set("tune_lr", 0.0);
        }
        let (mask, init) = (mask.clone(), Init::BestOf(100));
        let c = Config { steps: 25, lr: 0.1, mask, settings, init, ..Config::new(Space::Z, &DGP) };
        found(g.as_ref(), Some(&*judge), (&target, &c)).unwrap()
    };
    let (fixed, whole) = (of(false), of(true));
    assert!(whole.loss[0] < 0.8 * fixed.loss[0], "{:?} {:?}", whole.loss, fixed.loss);
    assert_eq!(whole.trace[0].names, ["l2", "discriminator", "prior"]);
    let inside = hole.at((32, 32)).unwrap();
    let error = |picture: &Tensor| {
        let apart = picture.broadcast_sub(&target).unwrap().sqr().unwrap();
        values(&apart.broadcast_mul(&inside).unwrap().sum_all().unwrap())[0]
    };
    let seen = target.broadcast_mul(&(1.0 - &inside).unwrap()).unwrap();
    let share = values(&inside.mean_all().unwrap())[0];
    let mean = (seen.mean((2, 3)).unwrap() / f64::from(1.0 - share)).unwrap();
    let filled = error(&mean.reshape((1, 3, 1, 1)).unwrap());
    assert!(error(&whole.reconstruction) < filled, "{} {filled}", error(&whole.reconstruction));
}

#[test]
fn dgp_unfreezes_layer_after_layer_from_the_input() {
    let (g, control, judge) = (generator(), Control::default(), judge());
    let job = Job { discriminator: Some(&*judge), ..Job::new(g.as_ref(), &control) };
    let config = Config::new(Space::Z, &DGP);
    assert!(matches!(config.init, Init::BestOf(500)));
    let run = Run::new(&job, &config, 1).unwrap();
    let problem = Problem::new(&run, foreign(0), 0).unwrap();
    let mut parts =
        Parts::of(Tensor::ones((1, 16), candle_core::DType::F32, &Device::Cpu).unwrap());
    let mut tuned = Vec::new();
    for phase in &run.phases {
        parts = problem.entering(phase, parts).unwrap();
        tuned.push(parts.iter().filter(|(part, _)| part.tunes()).count());
        assert!(phase.pace.codes > 0.0 && phase.pace.weights > 0.0);
    }
    assert!(tuned.windows(2).all(|w| w[0] < w[1]) && tuned.len() == 5, "{tuned:?}");
}

/// Without a discriminator a perceptual distance takes its place, and the result says so; a term
/// that was asked for is refused.
#[test]
fn methods_of_a_discriminator_say_when_there_is_none() {
    let g = generator();
    for method in [&DGP, &YLG] {
        let c = Config { steps: 2, init: Init::Random, ..Config::new(Space::Z, method) };
        let found = found(g.as_ref(), None, (&foreign(0), &c)).unwrap();
        assert!(found.trace[0].names.contains(&"perceptual".to_owned()), "{method:?}");
        let said = &found.diagnosis.warnings;
        assert!(said.iter().any(|w| w.text.contains("no discriminator")), "{said:?}");
    }
    for term in ["discriminator", "saliency", "adversarial"] {
        let mut c = Config { steps: 2, ..Config::new(Space::W, &OPTIMIZE) };
        c.weights.set(term, 1.0);
        let e = found(g.as_ref(), None, (&foreign(0), &c)).unwrap_err();
        let repair = e.repair().unwrap();
        assert!(e.message().contains("no discriminator") && repair.contains("discriminator_file"));
    }
}

#[test]
fn an_adversarial_term_gives_pictures_that_look_more_real() {
    let (g, judge) = (generator(), judge());
    let score = |weight: f64| {
        let mut c = Config { steps: 40, ..Config::new(Space::W, &OPTIMIZE) };
        c.weights.set("adversarial", weight);
        let found = found(g.as_ref(), Some(&*judge), (&foreign(0), &c)).unwrap();
        values(&judge.judge(&found.reconstruction, None).unwrap().score)[0]
    };
    let (without, with) = (score(0.0), score(10.0));
    assert!(with > without + 0.1, "{without} {with}");
}

#[test]
fn ylg_comes_nearer_in_what_the_discriminator_looks_at() {
    let (g, judge) = (generator(), judge());
    let c = Config { steps: 60, ..Config::new(Space::W, &YLG) };
    let found = found(g.as_ref(), Some(&*judge), (&sample(g.as_ref(), 3), &c)).unwrap();
    assert_eq!(found.trace[0].names, ["saliency"]);
    let losses = found.trace[0].losses();
    assert!(found.loss[0] < 0.5 * losses[0], "{losses:?}");
}

/// The picture's own weights are those behind the layer whose units are painted.
#[test]
fn ganpaint_leaves_the_layers_before_its_map_alone() {
    let g = generator();
    let settings: Numbers = [("tune", 30.0), ("map_steps", 20.0), ("rank", 0.0)].into();
    let c = Config { steps: 30, settings, ..Config::new(Space::W, &GANPAINT) };
    let own = found(g.as_ref(), None, (&foreign(0), &c)).unwrap();
    let plain = Config { steps: 30, ..Config::new(Space::W, &OPTIMIZE) };
    let plain = found(g.as_ref(), None, (&foreign(0), &plain)).unwrap();
    assert!(own.loss[0] < 0.8 * plain.loss[0], "{:?} {:?}", own.loss, plain.loss);
    let names: Vec<String> = g.weights().unwrap().into_keys().collect();
    let changed = |i: &usize| own.code.parts.get(Part::Delta(*i)).is_some();
    let changed: Vec<&String> = (0..names.len()).filter(changed).map(|i| &names[i]).collect();
    let early = |n: &&String| n.starts_with("synthesis.b4") || n.starts_with("synthesis.b8.conv");
    assert!(!changed.is_empty() && !changed.iter().any(early), "{changed:?}");
    assert!(own.code.parts.iter().any(|(part, _)| matches!(part, Part::Residual(_))));
}

/// PTI's promise for its locality regularisation: pictures of other codes stay what they were.
#[test]
fn locality_keeps_far_pictures_within_40_db() {
    let g = generator();
    let kept = |locality: f64| {
        let settings: Numbers = [("tune", 240.0), ("tune_lr", 0.02), ("rank", 0.0)].into();
        let mut c = Config { steps: 30, settings, ..Config::new(Space::W, &PTI) };
        c.weights = [("locality", locality), ("edits", 0.0)].into();
        let found = found(g.as_ref(), None, (&foreign(0), &c)).unwrap();
        let names = &found.trace[0].names;
        assert_eq!(names.contains(&"locality".to_owned()), locality > 0.0);
        let far = (0..4).map(|seed| {
            let z = Tensor::from_vec(Rng::new(seed).normals(16), (1, 16), &Device::Cpu).unwrap();
            let w = spaces::rise(g.as_ref(), &z, (Space::Z, Space::W), &Input::default()).unwrap();
            let plain = spaces::picture(g.as_ref(), &w, Space::W, &Input::default()).unwrap();
            let tuned = found.code.moved(w, "far".into());
            let tuned = codes::synthesize(g.as_ref(), &tuned, &Input::default()).unwrap();
            Psnr.measure(&tuned, &plain).unwrap()[0]
        });
        (far.fold(f64::INFINITY, f64::min), found.loss[0])
    };
    let (free, held) = (kept(0.0), kept(30.0));
    assert!(held.0 > 40.0 && held.0 > free.0 + 6.0, "{free:?} {held:?}");
    // Where nothing is tuned the terms have nothing to hold.
    for term in ["locality", "edits"] {
        let mut c = Config { steps: 2, ..Config::new(Space::W, &OPTIMIZE) };
        c.weights.set(term, 1.0);
        let e = found(g.as_ref(), None, (&foreign(0), &c)).unwrap_err();
        assert!(e.message().contains("tunes no weights") && e.repair().unwrap().contains("pti"));
    }
}

/// An edit changes the picture of a code whose weights were tuned as it changes that of the
/// untouched generator.
#[test]
fn edits_of_tuned_codes_do_what_they_did() {
    let g = generator();
    let picture = |code: &Code| codes::synthesize(g.as_ref(), code, &Input::default()).unwrap();
    let missed = |weight: f64| {
        let settings: Numbers = [("tune", 60.0), ("tune_lr", 0.02), ("rank", 0.0)].into();
        let mut c = Config { steps: 30, settings, ..Config::new(Space::W, &PTI) };
        c.weights = [("edits", weight), ("locality", 0.0)].into();
        let found = found(g.as_ref(), None, (&foreign(0), &c)).unwrap();
        let parts = found.code.parts.clone().without_found();
        let own = Code { parts, ..found.code.clone() };
        let each = (0..4).map(|seed| {
            let draw = |seed| {
                let z = Tensor::from_vec(Rng::new(seed).normals(16), (1, 16), &Device::Cpu);
                let input = Input::default();
                spaces::rise(g.as_ref(), &z.unwrap(), (Space::Z, Space::W), &input).unwrap()
            };
            let way = ((draw(seed) - draw(seed + 100)).unwrap() * 0.3).unwrap();
            let moved = (found.code.point() + way).unwrap();
            let change = |code: &Code| {
                (picture(&code.moved(moved.clone(), "edit".into())) - picture(code)).unwrap()
            };
            let apart = (change(&found.code) - change(&own)).unwrap().sqr().unwrap();
            apart.mean_all().unwrap().to_scalar::<f32>().unwrap()
        });
        (each.sum::<f32>(), found.loss[0])
    };
    let (free, held) = (missed(0.0), missed(10.0));
    assert!(held.0 < 0.3 * free.0, "{free:?} {held:?}");
}
