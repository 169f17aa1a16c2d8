//! Twenty steps by the official losses of PTI, II2S and BDInvert, on the same random generators
//! (tests/reference/inversions): the loss of every step.

use super::evaluate::evaluate;
use super::far;
use super::methods::{BDINVERT, I2S, II2S, PTI};
use super::optimize::Adam;
use super::point::Point;
use super::problem::{Against, Problem};
use super::*;
use crate::control::Control;
use crate::generator::{self, Generator, with_samples_of_w};
use crate::latent::{Code, Part, Parts};
use crate::limits::LIMITS;
use crate::metric::{Features, Perceptual};
use crate::weights::{self, Weights};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

/// Losses may differ by this much, relative.
const APART: f64 = 1e-4;

fn file(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/inversions");
    PathBuf::from(folder).join(format!("{name}.safetensors"))
}

fn numbers(case: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(file(&format!("{case}.ref")), &Device::Cpu).unwrap()
}

/// The generator of a case; its prior in P is that of the case's samples.
fn generator(case: &str, known: &HashMap<String, Tensor>) -> Arc<dyn Generator> {
    let g = generator::load(weights::open(&file(case), &LIMITS).unwrap(), &Device::Cpu).unwrap();
    match known.get("samples") {
        Some(samples) => with_samples_of_w(g, samples).unwrap(),
        None => g,
    }
}

/// The random network in the place of LPIPS, whose weights are missing here.
fn features() -> Perceptual {
    let config = json!({
        "input_resolution": 16, "strides": [1, 2, 2], "leaky": 0.2, "grid": 1,
        "outputs": [{"name": "score"}],
    });
    let config = serde_json::from_value(config).unwrap();
    let tensors = candle_core::safetensors::load(file("features"), &Device::Cpu).unwrap();
    let weights = Weights::of_tensors("features", tensors.into_iter().collect());
    Perceptual::new(Arc::new(Features::new("f", config, weights, &Device::Cpu).unwrap()))
}

fn agree(case: &str, found: &[f64], known: &HashMap<String, Tensor>) {
    let expected = known["losses"].to_vec1::<f32>().unwrap();
    assert_eq!((found.len(), expected.len()), (21, 21));
    for (k, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a / f64::from(b) - 1.0).abs() < APART, "{case}, step {k}: {a} {b}");
    }
}

/// The losses of 20 steps of Adam on what a phase searches, at one rate for all: the official codes
/// know no other. `free` takes the slopes of what stays.
fn steps(
    problem: &Problem<'_, '_>,
    (phase, rate): (&Phase<'_>, f64),
    mut parts: Parts,
    free: impl Fn(Part, Tensor) -> Tensor,
) -> Vec<f64> {
    let against = Against { targets: &problem.picture, counted: None, labels: None };
    let objective = problem.run.objective(phase, against, true).unwrap();
    let (mut adam, mut losses) = (Adam::default(), Vec::new());
    for step in 0..=20 {
        let point = [Point { problem, parts: &parts, step }];
        let e = evaluate(&point, (phase, &objective), true).unwrap().remove(0);
        losses.push(e.total);
        let searched = parts.iter().filter(|(p, _)| phase.unknowns.hold(*p));
        let (names, at): (Vec<Part>, Vec<Tensor>) = searched.map(|(p, t)| (p, t.clone())).unzip();
        let slopes: Vec<Tensor> =
            names.iter().zip(e.gradients).map(|(part, slope)| free(*part, slope)).collect();
        let moved = adam.step(&at, &slopes, rate).unwrap();
        names.into_iter().zip(moved).for_each(|(part, t)| parts.insert(part, t));
    }
    losses
}

#[test]
fn pivotal_tuning_has_the_official_loss() {
    let known = numbers("pti");
    let (g, control, features) = (generator("pti", &known), Control::default(), features());
    let job = Job { perceptual: Some(&features), ..Job::new(&*g, &control) };
    let mut c = Config::new(Space::W, &PTI);
    let terms = [("l2", 1.0), ("perceptual", 1.0), ("locality", 0.0), ("edits", 0.0)];
    (c.weights, c.settings) = (terms.into(), [("rank", 0.0)].into());
    let run = Run::new(&job, &c, 1).unwrap();
    let problem = Problem::new(&run, known["target"].clone(), 0).unwrap();
    let phase = run.phases.last().unwrap();
    let parts = problem.entering(phase, Parts::of(known["w"].clone())).unwrap();
    agree("pti", &steps(&problem, (phase, 3e-4), parts, |_, slope| slope), &known);
}

/// The code that is looked at, and what the tuned weights change of its picture.
#[test]
fn locality_is_the_official_one() {
    let known = numbers("pti");
    // The official code has the row of w six times.
    let distance = 3.0 / 6f64.sqrt();
    let code = far::towards(&known["w"], &known["far.sample"], distance).unwrap();
    let apart = (&code - &known["far.code"]).unwrap().abs().unwrap().max_all().unwrap();
    assert!(apart.to_scalar::<f32>().unwrap() < 1e-4);
    let (g, control, features) = (generator("pti", &known), Control::default(), features());
    let changed: BTreeMap<String, Tensor> = known
        .iter()
        .filter_map(|(name, t)| Some((name.strip_prefix("new.")?.to_owned(), t.clone())))
        .collect();
    let own = g.weights().unwrap();
    let changed = changed.into_iter().map(|(k, t)| (k.clone(), t.reshape(own[&k].dims()).unwrap()));
    let other = g.with_weights(&changed.collect()).unwrap();
    let picture =
        |g: &dyn Generator| spaces::picture(g, &code, Space::W, &Input::default()).unwrap();
    let far = [picture(&*other), picture(&*g)];
    let job = Job { perceptual: Some(&features), ..Job::new(&*g, &control) };
    let kind = TERMS.iter().find(|t| t.name == "locality").unwrap();
    let target = &known["target"];
    let setup = Setup {
        job: &job,
        space: Space::W,
        targets: target,
        early: false,
        labels: None,
        levels: None,
        sigma: &|| Ok(1.0),
        gaussian: &|| unreachable!(),
    };
    let term = (kind.make)(&setup).unwrap().unwrap();
    let mut at = Forward::new((target, target), &code, &[]);
    (at.aside.far, at.aside.times) = (Some(&far), 1.0);
    let found = f64::from(term.value(&at).unwrap().to_vec1::<f32>().unwrap()[0]);
    let expected = f64::from(known["far.value"].to_vec1::<f32>().unwrap()[0]);
    assert!((found / expected - 1.0).abs() < APART, "{found} {expected}");
}

/// The official code searches W+, where the published method and ours search PN+: the same loss.
#[test]
fn improved_embedding_has_the_official_loss() {
    let known = numbers("ii2s");
    let (g, control, features) = (generator("ii2s", &known), Control::default(), features());
    let job = Job { perceptual: Some(&features), ..Job::new(&*g, &control) };
    let mean = spaces::mean(&*g, Space::W, None).unwrap();
    let mut c = Config { steps: 20, lr: 0.01, ..Config::new(Space::WPlus, &I2S) };
    II2S.weights.iter().for_each(|(name, weight)| c.weights.set(name, *weight));
    c.init = Init::Latent(Code { origin: "mean".into(), ..mean });
    let found = invert(&job, &known["target"], &c).unwrap();
    agree("ii2s", &found.trace[0].losses(), &known);
}

#[test]
fn a_feature_map_has_the_official_loss() {
    let known = numbers("bdinvert");
    let (g, control, features) = (generator("bdinvert", &known), Control::default(), features());
    let job = Job { perceptual: Some(&features), ..Job::new(&*g, &control) };
    let layer = g.spec().layers.iter().position(|l| l.name == "b8.conv0");
    let mean = spaces::mean(&*g, Space::W, None).unwrap();
    let init = Init::Latent(mean);
    let c = Config { layer, init, ..Config::new(Space::F, &BDINVERT) };
    let run = Run::new(&job, &c, 1).unwrap();
    let problem = Problem::new(&run, known["target"].clone(), 0).unwrap();
    let phase = &run.phases[0];
    let parts = problem.entering(phase, problem.start().unwrap()).unwrap();
    // The rows before the map stay; there the map does not depend on them.
    let free = |part: Part, slope: Tensor| match part {
        Part::Point => {
            let early = slope.narrow(1, 0, 2).unwrap().zeros_like().unwrap();
            let late = slope.narrow(1, 2, slope.dim(1).unwrap() - 2).unwrap();
            Tensor::cat(&[early, late], 1).unwrap()
        }
        _ => slope,
    };
    agree("bdinvert", &steps(&problem, (phase, 0.01), parts, free), &known);
}
