//! Tests of L-BFGS, masks and methods added from outside, on the toy generator.

use super::methods::{I2S, LBFGS, OPTIMIZE, SEARCHED};
use super::problem::Problem;
use super::tests::{as_alone, foreign, generator, run, several, stats, stopping, values};
use super::*;
use crate::control::{Control, Stop};
use crate::error::Kind;
use crate::generator::codes;
use crate::latent::Part;
use std::time::Duration;

fn lbfgs(space: Space, steps: usize) -> Config {
    Config { steps, ..Config::new(space, &LBFGS) }
}

/// The upper left quarter.
pub(super) fn quarter() -> Mask {
    Mask::of_shape(Shape::Rectangle([0.0, 0.0, 0.5, 0.5]), (32, 32), "quarter").unwrap()
}

#[test]
fn lbfgs_comes_nearer_than_adam_with_as_many_evaluations_in_every_space() {
    let g = generator();
    for space in SEARCHED {
        let adam = Config { steps: 60, ..Config::new(*space, &OPTIMIZE) };
        let found = run(g.as_ref(), &foreign(0), &lbfgs(*space, 60)).unwrap();
        let other = run(g.as_ref(), &foreign(0), &adam).unwrap();
        let losses = found.trace[0].losses();
        assert!(found.loss[0] < 0.95 * losses[0], "{space}: {losses:?}");
        assert!(found.loss[0] < other.loss[0], "{space}: {} {}", found.loss[0], other.loss[0]);
        assert!(found.how.contains("method lbfgs steps 60 history 10 search 20 init"));
        // The code and the maps make the picture that is shown.
        let input = spaces::input_of(&found.code);
        let again = codes::synthesize(g.as_ref(), &found.code, &input).unwrap();
        assert_eq!(values(&again), values(&found.reconstruction), "{space}");
    }
}

#[test]
fn pictures_of_a_batch_are_those_alone_with_lbfgs_and_a_mask() {
    let (g, control) = (generator(), Control::default());
    let stats = stats(g.as_ref());
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let masked = Config { mask: Some(quarter()), ..lbfgs(Space::WPlus, 9) };
    // They end at different steps.
    let until = Config { until: Some(0.09), ..lbfgs(Space::W, 25) };
    for c in [masked, until, Config { noise: true, ..lbfgs(Space::Z, 6) }] {
        as_alone(&job, &several(9), &c, &[0, 5, 8]);
    }
}

#[test]
fn lbfgs_stops_and_resumes_within_a_line_search() {
    let g = generator();
    let folder = tempfile::tempdir().unwrap();
    let stats = stats(g.as_ref());
    let checkpoint =
        Checkpoint { path: folder.path().join("state"), every: Duration::from_secs(3600) };
    for plain in [lbfgs(Space::WPlus, 45), Config { noise: true, ..lbfgs(Space::W, 30) }] {
        let saved = Config { checkpoint: Some(checkpoint.clone()), ..plain.clone() };
        let whole = run(g.as_ref(), &foreign(0), &plain).unwrap();
        let mut stops = 0;
        let resumed = loop {
            let control = stopping(1, Stop::Checkpoint);
            let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
            match invert(&job, &foreign(0), &saved) {
                Ok(found) => break found,
                Err(e) => assert_eq!(e.kind(), Kind::Resumable),
            }
            stops += 1;
            assert!(stops < 99);
        };
        assert!(stops >= 3, "{stops}");
        assert_eq!(values(whole.code.point()), values(resumed.code.point()));
        assert_eq!(whole.trace, resumed.trace);
        let control = stopping(1, Stop::Keep);
        let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
        assert!(invert(&job, &foreign(0), &plain).unwrap().stopped_at().is_some());
    }
    // Adam does not take its state.
    let saved = Config { checkpoint: Some(checkpoint), ..lbfgs(Space::W, 9) };
    let control = stopping(1, Stop::Checkpoint);
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    invert(&job, &foreign(0), &saved).unwrap_err();
    let adam = Config { method: &OPTIMIZE, lr: 0.05, ..saved };
    let e = run(g.as_ref(), &foreign(0), &adam).unwrap_err();
    assert!(e.message().contains("another run"), "{e:?}");
}

#[test]
fn a_goal_ends_the_search() {
    let g = generator();
    for method in [&OPTIMIZE, &LBFGS] {
        let free = run(
            g.as_ref(),
            &foreign(0),
            &Config { steps: 40, ..Config::new(Space::WPlus, method) },
        );
        let losses = free.unwrap().trace[0].losses();
        let goal = losses.iter().copied().fold(f64::INFINITY, f64::min) * 1.05;
        let first = losses.iter().position(|l| *l <= goal).unwrap();
        let c = Config { steps: 40, until: Some(goal), ..Config::new(Space::WPlus, method) };
        let found = run(g.as_ref(), &foreign(0), &c).unwrap();
        assert_eq!(found.trace[0].losses(), losses[..=first], "{method:?}");
        assert!(found.stopped_at().is_none() && found.how.contains(" until "));
    }
}

#[test]
fn a_plateau_ends_the_search_and_a_resumed_one_in_the_same_step() {
    let g = generator();
    let plain =
        Config { steps: 600, plateau: Some(0.2), lr: 0.05, ..Config::new(Space::WPlus, &I2S) };
    let found = run(g.as_ref(), &foreign(0), &plain).unwrap();
    let losses = found.trace[0].losses();
    assert!(losses.len() < 500 && losses.len() > 51, "{}", losses.len());
    let least = |l: &[f64]| l.iter().copied().fold(f64::INFINITY, f64::min);
    let before = least(&losses[..losses.len() - 50]);
    assert!(least(&losses) > 0.8 * before, "the last 50 steps gain less than a fifth");
    let folder = tempfile::tempdir().unwrap();
    let checkpoint =
        Checkpoint { path: folder.path().join("flat"), every: Duration::from_secs(3600) };
    let saved = Config { checkpoint: Some(checkpoint), ..plain };
    let (control, stats) = (stopping(4, Stop::Checkpoint), stats(g.as_ref()));
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    assert_eq!(invert(&job, &foreign(0), &saved).unwrap_err().kind(), Kind::Resumable);
    let resumed = run(g.as_ref(), &foreign(0), &saved).unwrap();
    assert_eq!(resumed.trace[0].losses(), losses);
}

#[test]
fn what_is_outside_the_mask_changes_nothing() {
    let g = generator();
    let mask = quarter();
    // Another picture outside.
    let inside = mask.at((32, 32)).unwrap();
    let part = |t: &Tensor, m: &Tensor| t.broadcast_mul(m).unwrap();
    let outside = inside.affine(-1.0, 1.0).unwrap();
    let other = (part(&foreign(0), &inside) + part(&foreign(5), &outside)).unwrap();
    for method in [&OPTIMIZE, &LBFGS] {
        for space in SEARCHED {
            let steps = if *space == Space::N { 4 } else { 12 };
            // The keys of random numbers are otherwise those of the pictures.
            let (control, keys) = (Control::default(), ["one".to_owned()]);
            let stats = stats(g.as_ref());
            let job = Job { stats: Some(&stats), keys: &keys, ..Job::new(g.as_ref(), &control) };
            let c = Config {
                mask: Some(mask.clone()),
                init: Init::Random,
                steps,
                ..Config::new(*space, method)
            };
            let [a, b] = [foreign(0), other.clone()].map(|t| invert(&job, &t, &c).unwrap());
            assert_eq!(values(a.code.point()), values(b.code.point()), "{method:?} {space}");
            assert_eq!(a.trace, b.trace, "{method:?} {space}");
            assert!(a.how.contains(" mask 32×32 "));
            let [whole, within] = ["psnr", "psnr in mask"]
                .map(|name| a.numbers.iter().find(|n| n.name == name).unwrap().value);
            assert!(within > whole, "{method:?} {space}: {within} {whole}");
        }
    }
    let nothing = quarter().joined(&quarter().inverted().unwrap(), true).unwrap();
    let c = Config { mask: Some(nothing), ..lbfgs(Space::W, 2) };
    let e = run(g.as_ref(), &foreign(0), &c).unwrap_err();
    assert!(e.message().contains("0 everywhere") && e.repair().is_some());
}

/// A method that no list knows: half the steps with Adam on the code, then L-BFGS on the maps.
const TWO: Method = Method {
    name: "two",
    paper: "none",
    summary: "none",
    spaces: &[Space::W],
    encoder: false,
    companion: None,
    steps: Some(20),
    lr: Some(|_| 0.05),
    weights: &[("l1", 0.5)],
    best_of: None,
    noise: false,
    params: LBFGS.params,
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    let first = |plan: Plan| -> Result<Phase<'a>> { Ok(plan(job, config)?.remove(0)) };
    let [code, maps]: [Phase<'a>; 2] = [first(OPTIMIZE.plan)?, first(LBFGS.plan)?];
    let half = config.steps / 2;
    Ok(vec![
        Phase { unknowns: Unknowns { code: true, ..Unknowns::default() }, steps: half, ..code },
        Phase { unknowns: Unknowns { noise: true, ..Unknowns::default() }, steps: half, ..maps },
    ])
}

#[test]
fn a_new_method_is_a_constant_and_its_phases_hand_on_their_best() {
    let (g, control) = (generator(), Control::default());
    let stats = stats(g.as_ref());
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let c = Config { noise: true, noise_regularise: 0.0, ..Config::new(Space::W, &TWO) };
    let found = invert(&job, &foreign(0), &c).unwrap();
    let losses = found.trace[0].losses();
    assert_eq!((losses.len(), found.steps), (21, 20));
    assert_eq!(found.trace[0].names, ["l2", "l1"]);
    assert!(losses[10] < losses[0] && losses[20] < losses[10], "{losses:?}");
    // The first phase leaves the noise unchanged, the second the code.
    let first = Config { steps: 10, ..c.clone() };
    let half = Config { weights: [("l1", 0.5)].into(), method: &OPTIMIZE, ..first };
    let alone = Config { noise: false, ..half };
    let adam = invert(&job, &foreign(0), &alone).unwrap();
    assert_eq!(adam.trace[0].losses(), losses[..11]);
    assert_eq!(values(adam.code.point()), values(found.code.point()));
    as_alone(&job, &several(3), &c, &[0, 2]);
}

#[test]
fn pictures_of_one_batch_may_have_weights_of_their_own() {
    let (g, control) = (generator(), Control::default());
    let job = Job::new(g.as_ref(), &control);
    let c = Config { init: Init::Random, ..lbfgs(Space::W, 8) };
    let changed = |(_, t): (usize, &Tensor)| (t.unsqueeze(0).unwrap() * 0.1).unwrap();
    let deltas: Vec<Tensor> = g.weights().unwrap().values().enumerate().map(changed).collect();
    let ends = |own: [bool; 3]| -> Vec<Vec<f32>> {
        let run = Run::new(&job, &c, 3).unwrap();
        let problem = |i: usize| Problem::new(&run, foreign(i), i).unwrap();
        let problems: Vec<Problem> = (0..3).map(problem).collect();
        let states = problems.iter().zip(own).map(|(p, own)| {
            let mut state = state::State::start(p).unwrap();
            let all = deltas.iter().cloned().enumerate().filter(|_| own);
            state.parts.extend(all.map(|(i, delta)| (Part::Delta(i), delta)));
            state
        });
        let states = run::run_from(&run, &problems, states.collect()).unwrap();
        states.iter().map(|s| values(s.best.as_ref().unwrap().parts.point())).collect()
    };
    let mixed = ends([false, true, false]);
    let (first, second) = (ends([false; 3]), ends([true; 3]));
    assert_eq!(mixed, [first[0].clone(), second[1].clone(), first[2].clone()]);
    assert_ne!(first[1], second[1]);
}

/// An optimizer defined only here that does not read gradients: it tries random steps from the best
/// point.
#[derive(Default)]
struct Blind {
    tried: u64,
    best: Option<(f64, Vec<Tensor>)>,
}

impl Optimizer for Blind {
    fn name(&self) -> &'static str {
        "blind"
    }

    fn gradients(&self) -> bool {
        false
    }

    fn next(&mut self, at: &[Tensor], worth: &Worth<'_>) -> Result<Option<Vec<Tensor>>> {
        assert!(worth.gradients.is_empty());
        if self.best.as_ref().is_none_or(|(least, _)| worth.loss < *least) {
            self.best = Some((worth.loss, at.to_vec()));
        }
        self.tried += 1;
        let mut rng = Rng::new(self.tried);
        let step = |t: &Tensor| -> Result<Tensor> {
            let draw = Tensor::from_vec(rng.normals(t.elem_count()), t.dims(), t.device())?;
            Ok((t + (draw * 0.05)?)?)
        };
        let from = self.best.as_ref().map_or(at, |(_, best)| best);
        Ok(Some(from.iter().map(step).collect::<Result<_>>()?))
    }

    fn save(&self) -> Saved {
        let mut saved = Saved::from([("tried".into(), Stored::Numbers(vec![self.tried as f64]))]);
        if let Some((loss, best)) = &self.best {
            saved.insert("loss".into(), Stored::Numbers(vec![*loss]));
            for (i, t) in best.iter().enumerate() {
                saved.insert(format!("best.{i}"), Stored::Tensor(t.clone()));
            }
        }
        saved
    }

    fn restore(&mut self, saved: &Saved) -> Result<()> {
        let number = |name: &str| match saved.get(name) {
            Some(Stored::Numbers(v)) => v.first().copied(),
            _ => None,
        };
        let best = |i: usize| match saved.get(&format!("best.{i}")) {
            Some(Stored::Tensor(t)) => Some(t.clone()),
            _ => None,
        };
        self.tried = number("tried").unwrap_or(0.0) as u64;
        self.best = number("loss").map(|loss| (loss, (0..).map_while(best).collect()));
        Ok(())
    }
}

/// A method of that optimizer.
const GUESS: Method = Method {
    name: "guess",
    lr: None,
    weights: &[],
    plan: |job, config| {
        let phase = (OPTIMIZE.plan)(job, config)?.remove(0);
        let mover = Mover::Optimizer(Box::new(|| Box::new(Blind::default())));
        Ok(vec![Phase { mover, ..phase }])
    },
    ..TWO
};

#[test]
fn a_new_optimizer_needs_only_its_file_and_may_read_no_gradients() {
    let (g, control) = (generator(), Control::default());
    let stats = stats(g.as_ref());
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let plain = Config { steps: 30, ..Config::new(Space::W, &GUESS) };
    let whole = invert(&job, &foreign(0), &plain).unwrap();
    assert!(whole.loss[0] < whole.trace[0].losses()[0]);
    as_alone(&job, &several(3), &plain, &[0, 2]);
    let folder = tempfile::tempdir().unwrap();
    let checkpoint =
        Some(Checkpoint { path: folder.path().join("state"), every: Duration::from_secs(3600) });
    let saved = Config { checkpoint, ..plain };
    let control = stopping(2, Stop::Checkpoint);
    let stopped = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    assert_eq!(invert(&stopped, &foreign(0), &saved).unwrap_err().kind(), Kind::Resumable);
    let resumed = invert(&job, &foreign(0), &saved).unwrap();
    assert_eq!(whole.trace, resumed.trace);
}
