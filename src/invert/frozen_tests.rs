//! Tests of what phases leave as it is, on the toy generator.

use super::evaluate::{Evaluation, evaluate};
use super::methods::{DHR, GANPAINT, ILO, MIMICGAN, OPTIMIZE, PTI};
use super::point::Point;
use super::problem::{Against, Problem};
use super::tests::{foreign, generator, stats, values};
use super::*;
use crate::control::Control;
use crate::generator::{Generator, Named, Spec, Start, Tap, Tapped, codes};
use crate::latent::{Part, Parts};
use std::sync::{Arc, Mutex};

/// Where a run began, a layer or the code, and what it was to reach.
type Ran = (Option<usize>, Vec<Tap>);

/// The toy generator, which notes its runs and how often it was copied.
struct Noting {
    toy: Arc<dyn Generator>,
    ran: Arc<Mutex<Vec<Ran>>>,
    copies: Arc<Mutex<usize>>,
}

impl Noting {
    fn new() -> Self {
        Self { toy: generator(), ran: Arc::default(), copies: Arc::default() }
    }

    fn taken(&self) -> Vec<Ran> {
        std::mem::take(&mut *self.ran.lock().unwrap())
    }
}

impl Generator for Noting {
    fn spec(&self) -> &Spec {
        self.toy.spec()
    }
    fn device(&self) -> &Device {
        self.toy.device()
    }
    fn enter(&self, to: Space, parent: &Tensor, input: &Input) -> Result<Tensor> {
        self.toy.enter(to, parent, input)
    }
    fn run(&self, start: &Start<'_>, input: &Input, taps: &[Tap]) -> Result<Tapped> {
        let from = match start {
            Start::Code { .. } => None,
            Start::Feature { feature, .. } => Some(feature.layer),
        };
        self.ran.lock().unwrap().push((from, taps.to_vec()));
        self.toy.run(start, input, taps)
    }
    fn mean(&self, space: Space) -> Option<&Tensor> {
        self.toy.mean(space)
    }
    fn noise_maps(&self) -> Vec<Tensor> {
        self.toy.noise_maps()
    }
    fn weights(&self) -> Result<Named> {
        self.toy.weights()
    }
    fn with_weights(&self, weights: &Named) -> Result<Arc<dyn Generator>> {
        *self.copies.lock().unwrap() += 1;
        let toy = self.toy.with_weights(weights)?;
        let (ran, copies) = (self.ran.clone(), self.copies.clone());
        Ok(Arc::new(Self { toy, ran, copies }))
    }
}

/// A method in its usual space with these settings, in few steps.
fn short(method: &'static Method, settings: &[(&'static str, f64)]) -> Config {
    let mut c = Config { steps: 4, ..Config::new(method.spaces[0], method) };
    settings.iter().for_each(|(name, value)| c.settings.set(name, *value));
    c
}

fn configs() -> Vec<Config> {
    let few = [("tune", 3.0), ("fill", 3.0), ("rank", 2.0)];
    vec![
        short(&ILO, &[("maps", 3.0)]),
        short(&DHR, &few),
        short(&GANPAINT, &[("map_steps", 3.0), ("tune", 3.0), ("rank", 0.0)]),
        short(&MIMICGAN, &[("rounds", 1.0), ("surrogate", 3.0)]),
        short(&PTI, &few[..1]),
    ]
}

#[test]
fn the_layers_below_what_is_searched_are_run_once_in_a_phase() {
    let g = Noting::new();
    let (control, stats) = (Control::default(), stats(&*g.toy));
    let job = Job { stats: Some(&stats), ..Job::new(&g, &control) };
    let steps = 12;
    let c = Config { steps, ..short(&ILO, &[("maps", 3.0)]) };
    let searched = {
        let run = Run::new(&job, &c, 1).unwrap();
        run.phases.iter().filter_map(|p| p.unknowns.residual).collect::<Vec<_>>()
    };
    assert_eq!(searched.len(), 3);
    g.taken();
    invert(&job, &foreign(0), &c).unwrap();
    let ran = g.taken();
    let begun = |from: Option<usize>, tap: Tap| {
        ran.iter().filter(|(f, taps)| *f == from && taps[..] == [tap]).count()
    };
    // Once for its own phase and for each later one; the report draws the code it has found, and
    // a phase may be entered at an earlier point, which has another residual before it.
    let first = searched[0];
    let prefixes = begun(None, Tap::Layer(first));
    assert!(prefixes <= 6, "{prefixes} runs from the code to layer {first}: {ran:?}");
    for (before, layer) in searched.iter().zip(&searched[1..]) {
        let between = begun(Some(*before), Tap::Layer(*layer));
        assert!(between <= 4, "{between} runs from layer {before} to {layer}");
    }
    for layer in &searched {
        let behind = begun(Some(*layer), Tap::Picture);
        assert!(behind >= steps, "{behind} runs from layer {layer} to the picture");
    }
}

#[test]
fn a_generator_that_stays_is_made_once_and_a_picture_that_stays_drawn_once() {
    let g = Noting::new();
    let (control, stats) = (Control::default(), stats(&*g.toy));
    let job = Job { stats: Some(&stats), ..Job::new(&g, &control) };
    let copies = |fill: f64| {
        let c = short(&DHR, &[("tune", 3.0), ("fill", fill), ("rank", 2.0)]);
        *g.copies.lock().unwrap() = 0;
        invert(&job, &foreign(0), &c).unwrap();
        *g.copies.lock().unwrap()
    };
    assert_eq!(copies(4.0), copies(14.0), "steps of the map make no generator");
    let runs = |surrogate: f64| {
        let c = short(&MIMICGAN, &[("rounds", 1.0), ("surrogate", surrogate)]);
        g.taken();
        invert(&job, &foreign(0), &c).unwrap();
        g.taken().len()
    };
    assert_eq!(runs(4.0), runs(14.0), "steps of the surrogate draw no picture");
}

/// The last phase of a search at a point away from its start.
fn last<T>(c: &Config, f: impl FnOnce(&Run<'_>, Parts) -> T) -> T {
    let (g, control) = (generator(), Control::default());
    let stats = stats(g.as_ref());
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let run = Run::new(&job, c, 1).unwrap();
    let problem = Problem::new(&run, foreign(0), 0).unwrap();
    let mut parts = problem.start().unwrap();
    for phase in &run.phases {
        parts = problem.entering(phase, parts).unwrap();
    }
    let all: Vec<(Part, Tensor)> = parts.iter().map(|(p, t)| (p, t.clone())).collect();
    for (part, t) in all.into_iter().filter(|(p, _)| p.found()) {
        parts.insert(part, moved(&t, &part.name()));
    }
    f(&run, parts)
}

fn moved(t: &Tensor, stream: &str) -> Tensor {
    let draw = Rng::derive(3, stream).normals(t.elem_count());
    let draw = Tensor::from_vec(draw, t.dims(), &Device::Cpu).unwrap();
    (t + (draw * 0.05).unwrap()).unwrap()
}

fn at(problem: &Problem<'_, '_>, phase: &Phase<'_>, parts: &Parts) -> Evaluation {
    let (run, target) = (problem.run, foreign(0));
    let against = Against { targets: &target, counted: None, labels: None };
    let objective = run.objective(phase, against, true).unwrap();
    evaluate(&[Point { problem, parts, step: 1 }], (phase, &objective), true).unwrap().remove(0)
}

fn numbers(e: &Evaluation) -> Vec<Vec<f32>> {
    std::iter::once(&e.picture).chain(&e.gradients).map(values).collect()
}

/// What was kept of an earlier point gives the bits that a first evaluation gives, for every phase,
/// and is not used once a part has changed that the phase leaves as it is.
#[test]
fn what_is_kept_gives_the_same_bits_and_only_while_it_holds() {
    for c in configs() {
        last(&c, |run, parts| {
            for (k, phase) in run.phases.iter().enumerate() {
                let what = format!("{}, phase {k}", c.method.name);
                let fresh = |parts: &Parts| {
                    let problem = Problem::new(run, foreign(0), 0).unwrap();
                    numbers(&at(&problem, phase, parts))
                };
                let problem = Problem::new(run, foreign(0), 0).unwrap();
                at(&problem, phase, &parts);
                // Another value of everything, one part after the other.
                for (part, t) in parts.iter() {
                    let other = parts.clone().with(part, moved(t, "other"));
                    let found = numbers(&at(&problem, phase, &other));
                    assert!(found == fresh(&other), "{what}: {part:?}");
                }
            }
        });
    }
}

/// The picture from what is kept is that of the code with all its parts.
#[test]
fn pictures_from_what_is_kept_are_those_of_their_codes() {
    for c in configs().into_iter().filter(|c| c.method.name != PTI.name) {
        last(&c, |run, parts| {
            let problem = Problem::new(run, foreign(0), 0).unwrap();
            let phase = run.phases.last().unwrap();
            let found = at(&problem, phase, &parts);
            let space = run.code_space(parts.point());
            let input = Input::default();
            let whole = codes::tapped(run.job.generator, &parts, space, &input, Tap::Picture);
            let pairs = values(&found.picture).into_iter().zip(values(&whole.unwrap()));
            let apart = pairs.map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
            assert!(apart < 1e-5, "{}: {apart}", c.method.name);
        });
    }
}

#[test]
fn a_code_that_is_searched_is_run_from_its_beginning() {
    let g = Noting::new();
    let (control, stats) = (Control::default(), stats(&*g.toy));
    let job = Job { stats: Some(&stats), ..Job::new(&g, &control) };
    let c = Config { steps: 5, ..Config::new(Space::F, &OPTIMIZE) };
    g.taken();
    invert(&job, &foreign(0), &c).unwrap();
    let from_code = g.taken().iter().filter(|(from, _)| from.is_none()).count();
    assert!(from_code >= 6, "{from_code}");
}
