//! Tests of the encoder methods, on the toy generator.

use super::methods::{ENCODER, HYBRID, OPTIMIZE};
use super::tests::{as_alone, foreign, generator, pair, run, several, stats, stopping, values};
use super::*;
use crate::control::{Control, Stop};
use crate::error::Kind;
use crate::generator::{Generator, codes};
use crate::latent::Part;
use crate::network::encoder_tests::network;
use crate::network::{Encoder, Move, Seen};
use crate::space::Space;
use candle_core::DType;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An encoder that knows the answer: every pass goes a share of the way from the code it believes
/// in to the goal.
struct Teacher {
    goal: Tensor,
    at: Tensor,
    share: f64,
    calls: AtomicUsize,
}

impl Teacher {
    /// Towards the code of a sample, by `share` of what is left a pass; above 2 it runs away from
    /// it.
    fn new(g: &dyn Generator, share: f64) -> Self {
        let z = Tensor::from_vec(Rng::new(77).normals(16), (1, 16), &Device::Cpu).unwrap();
        let goal = spaces::rise(g, &z, (Space::Z, Space::WPlus), &Input::default()).unwrap();
        let at = spaces::mean(g, Space::WPlus, None).unwrap().point().clone();
        Self { goal, at, share, calls: AtomicUsize::new(0) }
    }

    fn picture(&self, g: &dyn Generator) -> Tensor {
        spaces::picture(g, &self.goal, Space::WPlus, &Input::default()).unwrap()
    }
}

impl Encoder for Teacher {
    fn name(&self) -> &str {
        "teacher"
    }
    fn passes(&self) -> usize {
        3
    }
    fn pass(&self, _: &Seen<'_>) -> Result<Move> {
        let left = (1.0 - self.share).powi(self.calls.fetch_add(1, Ordering::Relaxed) as i32);
        Ok(Move::By((((&self.goal - &self.at)? * left)? * self.share)?))
    }
}

fn with<'a>(
    g: &'a dyn Generator,
    encoder: &'a dyn Encoder,
    stats: Statistics<'a>,
    control: &'a Control,
) -> Job<'a> {
    Job { encoder: Some(encoder), stats: Some(stats), ..Job::new(g, control) }
}

fn passes(space: Space, n: usize) -> Config {
    Config { passes: Some(n), ..Config::new(space, &ENCODER) }
}

#[test]
fn every_pass_of_a_good_encoder_comes_nearer() {
    let g = generator();
    let (control, stats, teacher) =
        (Control::default(), stats(g.as_ref()), Teacher::new(g.as_ref(), 0.5));
    let target = teacher.picture(g.as_ref());
    let job = with(g.as_ref(), &teacher, &stats, &control);
    let found = invert(&job, &target, &Config::new(Space::WPlus, &ENCODER)).unwrap();
    assert_eq!((found.steps, found.best_step[0], found.config.passes), (3, 3, Some(3)));
    assert!(found.trace[0].losses().windows(2).all(|l| l[1] < l[0]), "{:?}", found.trace);
    assert_eq!(found.loss[0], *found.trace[0].losses().last().unwrap());
    assert!(
        found.code.origin.contains("method encoder passes 3")
            && found.code.origin.contains("· teacher ·")
    );
    // After three halvings an eighth of the way is left.
    let left = values(&(found.code.point() - &teacher.goal).unwrap());
    let way = values(&(&teacher.at - &teacher.goal).unwrap());
    assert!(left.iter().zip(&way).all(|(l, w)| (l - w / 8.0).abs() < 1e-5));
    // In W the rows of a pass are averaged; all rows of the teacher are equal.
    teacher.calls.store(0, Ordering::Relaxed);
    let w = invert(&job, &target, &passes(Space::W, 3)).unwrap();
    assert_eq!(w.code.point().dims(), [1, 16]);
    assert!((w.loss[0] - found.loss[0]).abs() < 1e-5 * found.loss[0].max(1e-3));
}

#[test]
fn a_batch_is_its_images_alone() {
    let g = generator();
    let (control, stats, network) = (Control::default(), stats(g.as_ref()), network());
    let job = with(g.as_ref(), &network, &stats, &control);
    for space in [Space::W, Space::WPlus] {
        as_alone(&job, &several(9), &passes(space, 3), &[0, 5, 8]);
        // Some go back to an earlier pass before they descend, some do not.
        as_alone(
            &job,
            &several(9),
            &Config { steps: 5, passes: Some(4), ..Config::new(space, &HYBRID) },
            &[0, 5, 8],
        );
    }
}

#[test]
fn the_best_pass_is_kept_and_more_passes_are_never_worse() {
    let g = generator();
    let (control, stats, network) = (Control::default(), stats(g.as_ref()), network());
    let job = with(g.as_ref(), &network, &stats, &control);
    let mut before = f64::INFINITY;
    for n in 0..5 {
        let found = invert(&job, &foreign(0), &passes(Space::WPlus, n)).unwrap();
        let losses = found.trace[0].losses();
        assert_eq!(losses.len(), n + 1);
        assert_eq!(found.loss[0], losses.iter().copied().fold(f64::INFINITY, f64::min));
        assert_eq!(losses[found.best_step[0]], found.loss[0]);
        assert!(found.loss[0] <= before);
        before = found.loss[0];
    }
    // A misleading encoder: the start is kept, and a note says so.
    let astray = Teacher::new(g.as_ref(), 3.0);
    let target = astray.picture(g.as_ref());
    let found =
        invert(&with(g.as_ref(), &astray, &stats, &control), &target, &passes(Space::WPlus, 3))
            .unwrap();
    assert_eq!((found.best_step[0], values(found.code.point())), (0, values(&astray.at)));
    assert!(found.diagnosis.warnings.iter().any(|w| w.text.contains("no pass of the encoder")));
}

#[test]
fn hybrid_is_the_encoder_and_then_optimize_from_its_code() {
    let g = generator();
    let (control, stats) = (Control::default(), stats(g.as_ref()));
    for share in [0.5, 3.0] {
        let teacher = Teacher::new(g.as_ref(), share);
        let job = with(g.as_ref(), &teacher, &stats, &control);
        let target = (teacher.picture(g.as_ref()) + (foreign(1) * 0.2).unwrap()).unwrap();
        let weights = [("offset", 0.0)].into();
        let hybrid = Config { steps: 15, weights, ..Config::new(Space::WPlus, &HYBRID) };
        let whole = invert(&job, &target, &hybrid).unwrap();
        teacher.calls.store(0, Ordering::Relaxed);
        let encoded = invert(&job, &target, &Config::new(Space::WPlus, &ENCODER)).unwrap();
        let init = Init::Latent(encoded.code.clone());
        let rest = Config { steps: 15, init, ..Config::new(Space::WPlus, &OPTIMIZE) };
        let rest = invert(&job, &target, &rest).unwrap();
        assert_eq!(values(whole.code.point()), values(rest.code.point()));
        assert_eq!((whole.steps, whole.best_step[0]), (18, rest.best_step[0] + 3));
        assert!(whole.loss[0] < encoded.loss[0]);
        let (all, last) = (whole.trace[0].losses(), rest.trace[0].losses());
        assert_eq!(all[4..], last[1..]);
        assert_eq!(all[..4], encoded.trace[0].losses()[..]);
    }
}

#[test]
fn neighbours_and_threads_change_nothing() {
    let g = generator();
    let (control, stats, network) = (Control::default(), stats(g.as_ref()), network());
    let job = with(g.as_ref(), &network, &stats, &control);
    let config = Config { steps: 3, passes: Some(2), ..Config::new(Space::WPlus, &HYBRID) };
    let both = invert(&job, &pair(), &config).unwrap();
    for (i, k) in [(0, 0), (1, 3)] {
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let alone = pool.install(|| invert(&job, &foreign(k), &config).unwrap());
            assert_eq!(
                values(&both.code.point().narrow(0, i, 1).unwrap()),
                values(alone.code.point())
            );
            assert_eq!(both.trace[i], alone.trace[0]);
        }
    }
}

/// An encoder that is stopped by the user in the middle of a pass, as work without a result of its
/// own is.
struct Stopped<'c>(&'c Control, usize, AtomicUsize);

impl Encoder for Stopped<'_> {
    fn name(&self) -> &str {
        "stopped"
    }
    fn passes(&self) -> usize {
        3
    }
    fn pass(&self, seen: &Seen<'_>) -> Result<Move> {
        if self.2.fetch_add(1, Ordering::Relaxed) == self.1 {
            self.0.request(Stop::Keep);
            self.0.check()?;
        }
        let rows = seen.pictures.dim(0)?;
        Ok(Move::By(Tensor::zeros((rows, 8, 16), DType::F32, &Device::Cpu)?))
    }
}

#[test]
fn a_stop_in_the_middle_of_a_pass_keeps_the_best_so_far() {
    let g = generator();
    let stats = stats(g.as_ref());
    for (at, space) in [(0, Space::WPlus), (1, Space::WPlus), (0, Space::W)] {
        let control = Control::default();
        let encoder = Stopped(&control, at, AtomicUsize::new(0));
        let job = with(g.as_ref(), &encoder, &stats, &control);
        let config = Config { steps: 5, ..Config::new(space, &HYBRID) };
        let found = invert(&job, &foreign(0), &config).unwrap();
        assert_eq!((found.stopped_at(), found.trace[0].losses().len()), (Some(at), at + 1));
    }
}

#[test]
fn a_stop_before_the_start_is_evaluated_says_that_nothing_is_kept() {
    let g = generator();
    let control = Control::default();
    let stats = || {
        control.request(Stop::Keep);
        control.check().map(|()| None)
    };
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let config = Config { steps: 5, ..Config::new(Space::W, &OPTIMIZE) };
    let e = invert(&job, &foreign(0), &config).unwrap_err();
    assert!(e.kind() == Kind::Interrupted && e.message().contains("nothing to keep"), "{e}");
}

#[test]
fn every_pass_is_reported_and_can_be_the_last() {
    let g = generator();
    let (stats, network) = (stats(g.as_ref()), network());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heard = seen.clone();
    let control = Control::new(move |p| {
        heard.lock().unwrap().push((p.title, p.step, p.total, p.preview.is_some()))
    });
    let config = Config { steps: 1, passes: Some(2), ..Config::new(Space::WPlus, &HYBRID) };
    invert(&with(g.as_ref(), &network, &stats, &control), &foreign(0), &config).unwrap();
    let line = |verb: &str, step| (format!("{verb} W+"), step, 3, true);
    let wanted = [line("encode", 0), line("encode", 1), line("invert", 2), line("invert", 3)];
    assert_eq!(*seen.lock().unwrap(), wanted);
    let control = stopping(2, Stop::Keep);
    let found = invert(
        &with(g.as_ref(), &network, &stats, &control),
        &foreign(0),
        &passes(Space::WPlus, 9),
    )
    .unwrap();
    assert_eq!((found.stopped_at(), found.trace[0].losses().len()), (Some(1), 2));
}

#[test]
fn passes_resume_from_their_checkpoint() {
    let g = generator();
    let (stats, network, quiet) = (stats(g.as_ref()), network(), Control::default());
    let folder = tempfile::tempdir().unwrap();
    let checkpoint =
        Checkpoint { path: folder.path().join("state"), every: Duration::from_secs(3600) };
    let plain = Config { steps: 12, passes: Some(4), ..Config::new(Space::WPlus, &HYBRID) };
    let saved = Config { checkpoint: Some(checkpoint), ..plain.clone() };
    let whole = invert(&with(g.as_ref(), &network, &stats, &quiet), &foreign(0), &plain).unwrap();
    let mut stops = 0;
    let resumed = loop {
        let control = stopping(1, Stop::Checkpoint);
        match invert(&with(g.as_ref(), &network, &stats, &control), &foreign(0), &saved) {
            Ok(found) => break found,
            Err(e) => assert_eq!(e.kind(), Kind::Resumable),
        }
        stops += 1;
        assert!(stops < 99);
    };
    assert!(stops > 4, "stopped at the passes, too: {stops}");
    assert_eq!(values(whole.code.point()), values(resumed.code.point()));
    assert_eq!(whole.trace, resumed.trace);
    // Another encoder is another run.
    let control = stopping(1, Stop::Checkpoint);
    let _ = invert(&with(g.as_ref(), &network, &stats, &control), &foreign(0), &saved).unwrap_err();
    let other = Teacher::new(g.as_ref(), 0.5);
    let e = invert(&with(g.as_ref(), &other, &stats, &quiet), &foreign(0), &saved).unwrap_err();
    assert!(e.message().contains("another run"));
}

#[test]
fn rungs_of_a_hybrid_ladder_are_never_worse() {
    let g = generator();
    let (control, stats, network) = (Control::default(), stats(g.as_ref()), network());
    let job = with(g.as_ref(), &network, &stats, &control);
    let config = Config { steps: 15, ..Config::new(Space::W, &HYBRID) };
    let chain = [Space::Z, Space::W, Space::WPlus].map(Rung::Space);
    let rungs = ladder(&job, &pair(), &config, &chain).unwrap();
    let rungs: Vec<Inversion> = rungs.into_iter().map(|(_, found)| found).collect();
    let methods = [&OPTIMIZE, &HYBRID, &HYBRID];
    assert_eq!(rungs.iter().map(|r| r.config.method).collect::<Vec<_>>(), methods);
    for (below, above) in rungs.iter().zip(&rungs[1..]) {
        assert!(below.loss.iter().zip(&above.loss).all(|(a, b)| b <= a));
        assert!(
            (above.trace[0].losses()[0] - below.loss[0]).abs() < 1e-6,
            "the passes begin at the rung below"
        );
    }
}

#[test]
fn the_self_test_takes_every_method() {
    let g = generator();
    let (control, stats, network) = (Control::default(), stats(g.as_ref()), network());
    let job = with(g.as_ref(), &network, &stats, &control);
    let psnr = |c: &Config| self_test(&job, c).unwrap().numbers[0].value;
    let hybrid = Config { steps: 150, ..Config::new(Space::W, &HYBRID) };
    assert!(psnr(&hybrid) > psnr(&passes(Space::W, 2)) + 10.0);
}

#[test]
fn what_does_not_fit_is_refused_with_its_repair() {
    let g = generator();
    let e = run(g.as_ref(), &foreign(0), &Config::new(Space::WPlus, &HYBRID)).unwrap_err();
    assert!(e.message().contains("no encoder") && e.repair().unwrap().contains("optimize"));
    let (control, stats, network) = (Control::default(), stats(g.as_ref()), network());
    let job = with(g.as_ref(), &network, &stats, &control);
    for space in [Space::Z, Space::N] {
        let c = Config { init: Init::Random, ..passes(space, 1) };
        assert!(invert(&job, &foreign(0), &c).unwrap_err().repair().unwrap().contains("space: W+"));
    }
}

/// Where the mask hides the target the encoder sees what the generator makes there: for two targets
/// that differ in the hidden part alone every pass gives the same code, so the same loss.
#[test]
fn an_encoder_does_not_see_hidden_pixels() {
    let (g, control) = (generator(), Control::default());
    let (stats, network) = (stats(g.as_ref()), network());
    let job = with(g.as_ref(), &network, &stats, &control);
    let mask = super::phase_tests::quarter();
    let inside = mask.at((32, 32)).unwrap();
    let hidden = (foreign(4) - foreign(0)).unwrap();
    let other = (foreign(0) + hidden.broadcast_mul(&(1.0 - inside).unwrap()).unwrap()).unwrap();
    let plain = Config { passes: Some(3), ..Config::new(Space::WPlus, &ENCODER) };
    let masked = Config { mask: Some(mask), ..plain };
    let losses = |target: &Tensor| invert(&job, target, &masked).unwrap().trace[0].losses();
    let found = losses(&foreign(0));
    assert_eq!(found, losses(&other));
    assert!(found.len() == 4 && found[1] != found[0], "the passes change the code: {found:?}");
}

/// An encoder that finds a code, then, half a pass, gains of weights (one by factors) and the
/// change of a map.
struct Changing {
    /// The code, `[1, L, D]`.
    goal: Tensor,
    /// Whether the changes are another picture by picture.
    apart: bool,
}

impl Changing {
    fn new(g: &dyn Generator, apart: bool) -> Self {
        Self { goal: Teacher::new(g, 0.5).goal, apart }
    }

    /// What it adds for pictures, times a share.
    fn changes(&self, pictures: &Tensor, share: f64) -> Vec<(Part, Tensor)> {
        let mean = pictures.flatten_from(1).unwrap().mean(1).unwrap(); // [N]
        let scale = if self.apart { (mean + 1.0).unwrap() } else { mean.ones_like().unwrap() };
        let of = |part: Part, shape: &[usize]| {
            let numbers = Rng::new(5).normals(shape.iter().product());
            let own = Tensor::from_vec(numbers, [&[1], shape].concat(), &Device::Cpu).unwrap();
            let ones = [&[scale.elem_count()][..], &vec![1; shape.len()]].concat();
            let scale = (scale.reshape(ones).unwrap() * (0.2 * share)).unwrap();
            (part, own.broadcast_mul(&scale).unwrap())
        };
        let ([(left, first), (whole, second)], map) = changed_weights();
        vec![
            of(Part::GainLeft(left), &[first[0], 2]),
            of(Part::Gain(whole), &second[..2]),
            of(Part::Scale(2), &map),
            of(Part::Residual(2), &map),
        ]
    }

    /// The right factor of its gains.
    fn right(&self) -> (Part, Tensor) {
        let ([(_, first), _], _) = changed_weights();
        let columns: usize = first[1..].iter().product();
        (Part::GainRight, Tensor::ones((1, 2, columns), DType::F32, &Device::Cpu).unwrap())
    }
}

impl Encoder for Changing {
    fn name(&self) -> &str {
        "changing"
    }
    fn passes(&self) -> usize {
        3
    }
    fn pass(&self, seen: &Seen<'_>) -> Result<Move> {
        if seen.pass > 0 {
            return Ok(Move::Stay);
        }
        Ok(Move::To(self.goal.repeat((seen.pictures.dim(0)?, 1, 1))?))
    }
    fn beside(&self, seen: &Seen<'_>) -> Result<Vec<(Part, Tensor)>> {
        if seen.pass == 0 {
            return Ok(Vec::new());
        }
        let mut parts = self.changes(seen.pictures, 0.5);
        for (part, change) in &mut parts {
            if let Some(before) = seen.part(*part) {
                *change = (before + &*change)?;
            }
        }
        parts.push(self.right());
        Ok(parts)
    }
}

/// The toy's weights that it changes, with their shapes, and the size of its map 2.
fn changed_weights() -> ([(usize, Vec<usize>); 2], [usize; 3]) {
    let g = generator();
    let all = g.weights().unwrap();
    let of = |name: &str| {
        let at = all.keys().position(|own| **own == *name).unwrap();
        (at, all.values().nth(at).unwrap().dims().to_vec())
    };
    let map = &g.spec().layers[2];
    let weights = ["synthesis.b8.conv1.weight", "synthesis.b16.conv1.weight"].map(of);
    (weights, [map.channels, map.height, map.width])
}

/// What an encoder finds beside the code is kept with it, for each picture as if it were alone; of
/// a scaled map a residual is left.
#[test]
fn what_an_encoder_finds_beside_the_code_is_a_part_of_it() {
    let g = generator();
    let (control, stats) = (Control::default(), stats(g.as_ref()));
    let encoder = Changing::new(g.as_ref(), false);
    let mut whole = spaces::mean(g.as_ref(), Space::WPlus, None).unwrap();
    whole.parts.insert(Part::Point, encoder.goal.clone());
    whole.parts.extend(encoder.changes(&foreign(0), 1.0));
    whole.parts.extend([encoder.right()]);
    let picture = |code: &crate::latent::Code| {
        codes::synthesize(g.as_ref(), code, &Input::default()).unwrap()
    };
    let job = with(g.as_ref(), &encoder, &stats, &control);
    let found = invert(&job, &picture(&whole), &passes(Space::WPlus, 3)).unwrap();
    assert_eq!(found.best_step, [3], "{:?}", found.trace);
    assert!(found.loss[0] < 1e-9, "{:?}", found.loss);
    let names: Vec<String> = found.code.parts.iter().map(|(part, _)| part.name()).collect();
    let tuned = names.iter().filter(|name| name.starts_with("gain")).count();
    assert!(tuned == 3 && names.contains(&"residual.2".into()), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("scale")), "{names:?}");
    // It is as good in half precision, as it is kept.
    let psnr = found.numbers.iter().find(|n| n.name == "psnr").unwrap().value;
    assert!(psnr > 60.0, "{psnr}");
    assert_eq!(values(&picture(&found.code)), values(&found.reconstruction));
    // Pictures that differ, in a batch and alone, resumed or not, then a search from there.
    let apart = Changing::new(g.as_ref(), true);
    let job = with(g.as_ref(), &apart, &stats, &control);
    as_alone(&job, &several(3), &passes(Space::WPlus, 3), &[0, 2]);
    let steps = Config { steps: 3, ..Config::new(Space::WPlus, &HYBRID) };
    as_alone(&job, &several(2), &steps, &[0, 1]);
}

/// A run that stops after each pass and goes on ends with the same bits.
#[test]
fn gains_are_kept_in_checkpoints() {
    let g = generator();
    let (quiet, stats) = (Control::default(), stats(g.as_ref()));
    let encoder = Changing::new(g.as_ref(), true);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let checkpoint = Some(Checkpoint { path, every: Duration::from_secs(3600) });
    let saved = Config { checkpoint, ..passes(Space::WPlus, 3) };
    let job = with(g.as_ref(), &encoder, &stats, &quiet);
    let whole = invert(&job, &foreign(1), &passes(Space::WPlus, 3)).unwrap();
    let mut stops = 0;
    let resumed = loop {
        let control = stopping(1, Stop::Checkpoint);
        match invert(&with(g.as_ref(), &encoder, &stats, &control), &foreign(1), &saved) {
            Ok(found) => break found,
            Err(e) => assert_eq!(e.kind(), Kind::Resumable),
        }
        stops += 1;
        assert!(stops < 9);
    };
    assert!(stops > 1, "{stops}");
    for (part, tensor) in whole.code.parts.iter() {
        assert_eq!(values(tensor), values(resumed.code.parts.get(part).unwrap()), "{part:?}");
    }
    assert_eq!(values(&whole.reconstruction), values(&resumed.reconstruction));
}

/// Gains of 0 leave the picture as it is, to the last bit, a scale of 0 nearly so; a gain changes
/// it as the changed weight does.
#[test]
fn gains_multiply_weights() {
    let g = generator();
    let mean = spaces::mean(g.as_ref(), Space::WPlus, None).unwrap();
    let picture = |code: &crate::latent::Code| {
        values(&codes::synthesize(g.as_ref(), code, &Input::default()).unwrap())
    };
    let fill = |shape: &[usize], v: f32| Tensor::full(v, shape, &Device::Cpu).unwrap();
    let ([(first, one), (second, two)], map) = changed_weights();
    let columns = one[1..].iter().product();
    let with = |v: f32| {
        let code = mean.with(Part::Gain(second), fill(&[1, two[0], two[1]], v));
        let code = code.with(Part::GainLeft(first), fill(&[1, one[0], 2], v));
        code.with(Part::GainRight, fill(&[1, 2, columns], 0.5))
    };
    assert_eq!(picture(&with(0.0)), picture(&mean));
    let scaled = mean.with(Part::Scale(2), fill(&[&[1], &map[..]].concat(), 0.0));
    // The synthesis is entered at the map.
    let near = picture(&scaled).into_iter().zip(picture(&mean));
    assert!(near.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
    let delta = |i: usize, by: f64| {
        (Part::Delta(i), (g.weights().unwrap().values().nth(i).unwrap() * by).unwrap())
    };
    let mut plain = mean.clone();
    for (i, by) in [(first, 0.25), (second, 0.25)] {
        let (part, change) = delta(i, by);
        plain.parts.insert(part, change.unsqueeze(0).unwrap());
    }
    assert_eq!(picture(&with(0.25)), picture(&plain));
    for shape in [[1, one[0] - 1, one[1]], [1, one[0], one[1] + 1]] {
        let code = mean.with(Part::Gain(first), fill(&shape, 0.0));
        let e = codes::synthesize(g.as_ref(), &code, &Input::default()).unwrap_err();
        assert!(e.message().contains("for weight") && e.repair().is_some(), "{e}");
    }
}
