//! Tests of feature maps and weights as unknowns, on the toy generator.

use super::evaluate::{Evaluation, evaluate};
use super::methods::{OPTIMIZE, PTI};
use super::point::Point;
use super::problem::{Against, Problem, Run};
use super::state::State;
use super::tests::{as_alone, foreign, generator, run, several, stats, stopping, values};
use super::*;
use crate::control::{Control, Stop};
use crate::error::Kind;
use crate::generator::{codes, spaces};
use crate::latent::{Code, Part, Parts};
use std::time::Duration;

/// Tuning that nothing holds.
fn pti(rank: f64) -> Config {
    let settings = [("tune", 30.0), ("tune_lr", 0.02), ("rank", rank)].into();
    let weights = [("locality", 0.0), ("edits", 0.0)].into();
    Config { steps: 20, settings, weights, ..Config::new(Space::W, &PTI) }
}

/// The same with steps that spoil the generator.
fn rash() -> Config {
    let settings = [("tune", 60.0), ("tune_lr", 4.0), ("rank", 0.0)].into();
    Config { settings, ..pti(0.0) }
}

fn features(steps: usize) -> Config {
    Config { steps, ..Config::new(Space::F, &OPTIMIZE) }
}

/// What a code with all its parts makes is what the result shows, to the last bit.
fn shows_its_code(g: &dyn crate::generator::Generator, found: &Inversion) {
    let again = codes::synthesize(g, &found.code, &spaces::input_of(&found.code)).unwrap();
    assert!(values(&again) == values(&found.reconstruction));
}

#[test]
fn tuned_weights_come_nearer_than_their_pivot_and_stay_with_the_code() {
    let g = generator();
    let pivot = Config { steps: 20, ..Config::new(Space::W, &OPTIMIZE) };
    let before = run(g.as_ref(), &foreign(0), &pivot).unwrap();
    for rank in [0.0, 2.0] {
        let found = run(g.as_ref(), &foreign(0), &pti(rank)).unwrap();
        assert_eq!(values(found.code.point()), values(before.code.point()), "the pivot stays");
        assert!(found.loss[0] < 0.7 * before.loss[0], "{rank}: {:?} {:?}", found.loss, before.loss);
        let low = found.code.parts.iter().any(|(part, _)| matches!(part, Part::Left(_)));
        assert_eq!(low, rank > 0.0);
        shows_its_code(g.as_ref(), &found);
        // The mapping network is not on the way from the pivot to the picture.
        let own = g.weights().unwrap();
        for (i, name) in own.keys().enumerate() {
            let changed = [Part::Delta(i), Part::Left(i)];
            let changed = changed.iter().any(|part| found.code.parts.get(*part).is_some());
            assert_eq!(changed, !name.starts_with("mapping"), "{name}");
        }
    }
}

#[test]
fn steps_that_spoil_the_generator_are_taken_back() {
    let g = generator();
    let pivot = Config { steps: 20, ..Config::new(Space::W, &OPTIMIZE) };
    let before = run(g.as_ref(), &foreign(0), &pivot).unwrap();
    let found = run(g.as_ref(), &foreign(0), &rash()).unwrap();
    let Trace { terms, steps, .. } = &found.trace[0];
    let worth = |k: usize| terms[k].iter().sum::<f64>();
    let spoilt: Vec<usize> = (21..steps.len()).filter(|k| worth(*k) > 1.5 * worth(20)).collect();
    assert!(!spoilt.is_empty(), "the rate is too small for this test");
    assert!(spoilt.iter().all(|k| k + 1 >= steps.len() || worth(k + 1) < 1.5 * worth(20)));
    assert!(found.loss[0] < 0.7 * before.loss[0], "{:?} {:?}", found.loss, before.loss);
}

#[test]
fn an_unlucky_draw_takes_no_step_back() {
    let weights = [("locality", 20.0), ("edits", 0.0)].into();
    let found = run(generator().as_ref(), &foreign(0), &Config { weights, ..pti(0.0) }).unwrap();
    let Trace { terms, names, .. } = &found.trace[0];
    let at = |name: &str| names.iter().position(|n| n == name).unwrap();
    let (l2, locality) = (at("l2"), at("locality"));
    let begun = terms[20].iter().sum::<f64>();
    let unlucky = terms[21..].iter().any(|t| 20.0 * t[locality] > 1.5 * begun);
    assert!(unlucky, "no draw is unlucky: {terms:?}");
    // A step back would show a point once more.
    let tuned: std::collections::BTreeSet<u64> =
        terms[21..].iter().map(|t| t[l2].to_bits()).collect();
    assert_eq!(tuned.len(), terms.len() - 21);
}

/// A search of weights that draws other codes, on the way from step 20 on.
fn drawing(problem: &Problem<'_, '_>) -> State {
    State { phase: 1, ..State::start(problem).unwrap() }
}

/// A point of such a search: what its own terms are worth, and what those that draw codes are,
/// every fourth step.
fn drawn(state: &mut State, own: f64, drawn: f64) {
    let due = state.taken.is_multiple_of(4);
    let found = Evaluation {
        terms: Vec::new(),
        total: own + if due { drawn } else { 0.0 },
        draws: true,
        drawn: due.then_some(drawn),
        parts: state.parts.clone(),
        picture: foreign(0),
        gradients: Vec::new(),
    };
    state.record(&found).unwrap();
    state.count_step();
}

#[test]
fn draws_decide_which_point_is_kept_by_their_mean() {
    let (g, control) = (generator(), Control::default());
    let job = Job::new(g.as_ref(), &control);
    let run = Run::new(&job, &pti(0.0), 1).unwrap();
    let problem = Problem::new(&run, foreign(0), 0).unwrap();
    let kept = |state: &State| state.best.as_ref().unwrap().step;
    // Steps come nearer and nearer; one early draw is lucky by more than all of them gain.
    let luck = [0.0, 0.0, 0.18, 0.05, -0.06, 0.03, -0.04, 0.06, -0.05, 0.02];
    let mut state = drawing(&problem);
    for k in 0..41 {
        drawn(&mut state, 1.0 - 0.004 * k as f64, 0.2 - luck[k / 4 % 10]);
    }
    assert_eq!(kept(&state), 40);
    // Points that are clearly worse are not kept, by their own terms or by those that draw.
    for worse in [(0.3, 0.0), (0.0, 0.6)] {
        let mut state = drawing(&problem);
        for k in 0..81 {
            let (own, more) = if k < 40 { (0.0, 0.0) } else { worse };
            drawn(&mut state, 0.8 + own, 0.2 + more);
        }
        assert!((36..=40).contains(&kept(&state)), "{worse:?}: {}", kept(&state));
    }
    // Weights are not tuned yet where a phase begins: its first draw says nothing.
    let mut state = drawing(&problem);
    drawn(&mut state, 0.5, 0.0);
    assert_eq!((kept(&state), state.draws.len()), (0, 0));
    drawn(&mut state, 0.1, 0.0);
    assert_eq!(kept(&state), 0, "nothing was drawn for it");
}

#[test]
fn a_feature_map_comes_nearer_than_codes_alone_and_stays_with_them() {
    let g = generator();
    let codes = Config { steps: 40, ..Config::new(Space::WPlus, &OPTIMIZE) };
    let before = run(g.as_ref(), &foreign(0), &codes).unwrap();
    let start = run(g.as_ref(), &foreign(0), &features(0)).unwrap();
    let mean = run(g.as_ref(), &foreign(0), &Config { steps: 0, ..codes }).unwrap();
    let pairs = values(&start.reconstruction).into_iter().zip(values(&mean.reconstruction));
    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5), "it begins at 0");
    let found = run(g.as_ref(), &foreign(0), &features(40)).unwrap();
    assert!(found.loss[0] < 0.8 * before.loss[0], "{:?} {:?}", found.loss, before.loss);
    assert_eq!(found.code.space, Space::WPlus);
    shows_its_code(g.as_ref(), &found);
    // An edit moves the map as well, and the residual with it.
    let step = (found.code.point() * 0.1).unwrap();
    let moved = found.code.moved((found.code.point() + step).unwrap(), "moved".into());
    let input = spaces::input_of(&moved);
    let edited = codes::synthesize(g.as_ref(), &moved, &input).unwrap();
    let plain = Code { parts: moved.parts.clone().without_found(), ..moved.clone() };
    let plain = codes::synthesize(g.as_ref(), &plain, &input).unwrap();
    assert!(values(&edited) != values(&found.reconstruction));
    assert!(values(&edited) != values(&plain));
    for layer in 0..g.spec().layers.len() {
        let found = run(g.as_ref(), &foreign(0), &Config { layer: Some(layer), ..features(5) });
        shows_its_code(g.as_ref(), &found.unwrap());
    }
}

#[test]
fn pictures_of_a_batch_are_those_alone_with_weights_and_feature_maps() {
    let (g, control) = (generator(), Control::default());
    let stats = stats(g.as_ref());
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let short = |c: Config| Config { steps: 4, ..c };
    let tuned = |rank: f64| {
        let settings = [("tune", 3.0), ("tune_lr", 0.02), ("rank", rank)].into();
        Config { settings, ..short(pti(rank)) }
    };
    for c in [tuned(0.0), tuned(2.0), features(5)] {
        as_alone(&job, &several(3), &c, &[0, 2]);
    }
}

#[test]
fn tuning_stops_and_resumes_to_the_same_bits() {
    let g = generator();
    let folder = tempfile::tempdir().unwrap();
    let stats = stats(g.as_ref());
    let checkpoint =
        Checkpoint { path: folder.path().join("state"), every: Duration::from_secs(3600) };
    let weights: Numbers = [("locality", 1.0), ("edits", 0.5)].into();
    let held = Config { weights, ..pti(0.0) };
    for plain in [pti(2.0), pti(0.0), held, features(40), rash()] {
        let saved = Config { checkpoint: Some(checkpoint.clone()), ..plain.clone() };
        let control = Control::default();
        let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
        let whole = invert(&job, &foreign(0), &plain).unwrap();
        for reports in [1, 3, 4] {
            let control = stopping(reports, Stop::Checkpoint);
            let stopped = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
            let e = invert(&stopped, &foreign(0), &saved).unwrap_err();
            assert_eq!(e.kind(), Kind::Resumable, "{e}");
            let resumed = invert(&job, &foreign(0), &saved).unwrap();
            assert_eq!(whole.trace, resumed.trace);
            assert_eq!((&whole.best_step, &whole.loss), (&resumed.best_step, &resumed.loss));
            assert!(values(&whole.reconstruction) == values(&resumed.reconstruction));
        }
    }
}

/// Slopes of the factors of weights and of a residual against differences of the loss.
#[test]
fn slopes_of_weights_and_residuals_are_those_of_differences() {
    let (g, control) = (generator(), Control::default());
    let job = Job::new(g.as_ref(), &control);
    for (c, kinds) in [
        (pti(2.0), ["left", "right"]),
        (pti(0.0), ["delta", "delta"]),
        (features(9), ["residual", "code"]),
    ] {
        let r = Run::new(&job, &c, 1).unwrap();
        let problem = Problem::new(&r, foreign(0), 0).unwrap();
        let last = r.phases.last().unwrap();
        let start = problem.start().unwrap();
        let mut parts = problem.entering(last, start).unwrap();
        // Away from 0, where one factor has no slope.
        let all: Vec<(Part, Tensor)> = parts.iter().map(|(p, t)| (p, t.clone())).collect();
        for (part, t) in all.into_iter().filter(|(p, _)| p.found()) {
            let draw = Rng::derive(3, &part.name()).normals(t.elem_count());
            let draw = Tensor::from_vec(draw, t.dims(), &Device::Cpu).unwrap();
            parts.insert(part, (t + (draw * 0.05).unwrap()).unwrap());
        }
        let target = foreign(0);
        let against = Against { targets: &target, counted: None, labels: None };
        let objective = r.objective(last, against, true).unwrap();
        let at = |parts: &Parts| {
            let point = [Point { problem: &problem, parts, step: 0 }];
            evaluate(&point, (last, &objective), true).unwrap().remove(0)
        };
        let here = at(&parts);
        let unknown: Vec<Part> =
            parts.iter().map(|(part, _)| part).filter(|p| last.unknowns.hold(*p)).collect();
        assert_eq!(unknown.len(), here.gradients.len());
        let mut seen = 0;
        for (part, slope) in unknown.iter().zip(&here.gradients) {
            if !kinds.iter().any(|kind| part.name().starts_with(kind)) {
                continue;
            }
            // Along the slope itself, where the difference is largest.
            let value = parts.get(*part).unwrap();
            assert_eq!(slope.dims(), value.dims());
            let norm: f32 = values(slope).iter().map(|v| v * v).sum::<f32>().sqrt();
            if norm < 2e-2 {
                continue;
            }
            let size: f32 = values(value).iter().map(|v| v * v).sum::<f32>().sqrt();
            let step = f64::from(1e-2 * size / norm);
            let side = |k: f64| {
                let moved = (value + (slope * (k * step)).unwrap()).unwrap();
                at(&parts.clone().with(*part, moved)).total
            };
            let (slope, expected) =
                ((side(1.0) - side(-1.0)) / (2.0 * step), f64::from(norm * norm));
            assert!((slope / expected - 1.0).abs() < 0.05, "{part:?}: {slope} {expected}");
            seen += 1;
        }
        assert!(seen >= 1, "{kinds:?}: {seen}");
    }
}
