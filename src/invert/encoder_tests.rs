//! What the encoder's methods promise, on the toy generator.

use super::tests::{as_alone, foreign, generator, pair, run, several, stats, stopping, values};
use super::*;
use crate::control::Stop;
use crate::error::Kind;
use crate::generator::Spec;
use crate::limits::LIMITS;
use crate::space::Space;
use crate::weights::{self, Weights};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Parts = BTreeMap<String, Tensor>;

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
        let at = spaces::mean(g, Space::WPlus).unwrap().data;
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
    fn pass(&self, _: &Tensor, _: &Tensor) -> Result<Tensor> {
        let left = (1.0 - self.share).powi(self.calls.fetch_add(1, Ordering::Relaxed) as i32);
        Ok((((&self.goal - &self.at)? * left)? * self.share)?)
    }
}

/// The shape of a small network for the toy.
fn settings() -> EncoderConfig {
    EncoderConfig {
        input_resolution: 16,
        strides: vec![2, 2],
        leaky: 0.2,
        grid: 2,
        num_ws: 8,
        w_dim: 16,
        generator_sha256: None,
        steps: 4,
    }
}

fn parts(channels: usize) -> Parts {
    let mut rng = Rng::new(11);
    let mut parts = Parts::new();
    for (name, shape, scale) in [
        ("conv0.weight", vec![6, 2 * channels, 3, 3], 0.2),
        ("conv0.bias", vec![6], 0.1),
        ("conv1.weight", vec![5, 6, 3, 3], 0.2),
        ("conv1.bias", vec![5], 0.1),
        ("base.weight", vec![16, 20], 0.05),
        ("base.bias", vec![16], 0.01),
        ("offsets.weight", vec![128, 5], 0.02),
        ("offsets.bias", vec![128], 0.01),
    ] {
        let data = rng
            .normals(shape.iter().product())
            .into_iter()
            .map(|v| v * scale)
            .collect::<Vec<f32>>();
        parts.insert(name.to_string(), Tensor::from_vec(data, shape, &Device::Cpu).unwrap());
    }
    parts
}

fn network() -> PassNet {
    PassNet::new("random", settings(), Weights::of_tensors("e", parts(3)), &Device::Cpu).unwrap()
}

fn with<'a>(
    g: &'a dyn Generator,
    encoder: &'a dyn Encoder,
    stats: &'a WStats,
    control: &'a Control,
) -> Job<'a> {
    Job { encoder: Some(encoder), stats: Some(stats), ..Job::new(g, control) }
}

fn passes(space: Space, n: usize) -> Config {
    Config { passes: Some(n), ..Config::new(space, Method::Encoder) }
}

#[test]
fn every_pass_of_a_good_encoder_comes_nearer() {
    let g = generator();
    let (control, stats, teacher) =
        (Control::default(), stats(g.as_ref()), Teacher::new(g.as_ref(), 0.5));
    let target = teacher.picture(g.as_ref());
    let job = with(g.as_ref(), &teacher, &stats, &control);
    let found = invert(&job, &target, &Config::new(Space::WPlus, Method::Encoder)).unwrap();
    assert_eq!((found.steps, found.best_step[0], found.config.passes), (3, 3, Some(3)));
    assert!(found.trace[0].losses().windows(2).all(|l| l[1] < l[0]), "{:?}", found.trace);
    assert_eq!(found.loss[0], *found.trace[0].losses().last().unwrap());
    assert!(
        found.code.origin.contains("method encoder passes 3")
            && found.code.origin.contains("· teacher ·")
    );
    // After three halvings an eighth of the way is left.
    let left = values(&(&found.code.data - &teacher.goal).unwrap());
    let way = values(&(&teacher.at - &teacher.goal).unwrap());
    assert!(left.iter().zip(&way).all(|(l, w)| (l - w / 8.0).abs() < 1e-5));
    // In W the rows of a pass are averaged; the teacher's are all alike.
    teacher.calls.store(0, Ordering::Relaxed);
    let w = invert(&job, &target, &passes(Space::W, 3)).unwrap();
    assert_eq!(w.code.data.dims(), [1, 16]);
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
            &Config { steps: 5, passes: Some(4), ..Config::new(space, Method::Hybrid) },
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
    // One that leads astray: the start is kept, and that is said.
    let astray = Teacher::new(g.as_ref(), 3.0);
    let target = astray.picture(g.as_ref());
    let found =
        invert(&with(g.as_ref(), &astray, &stats, &control), &target, &passes(Space::WPlus, 3))
            .unwrap();
    assert_eq!((found.best_step[0], values(&found.code.data)), (0, values(&astray.at)));
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
        let hybrid = Config { steps: 15, ..Config::new(Space::WPlus, Method::Hybrid) };
        let whole = invert(&job, &target, &hybrid).unwrap();
        teacher.calls.store(0, Ordering::Relaxed);
        let encoded = invert(&job, &target, &Config::new(Space::WPlus, Method::Encoder)).unwrap();
        let init = Init::Latent(encoded.code.clone());
        let rest = Config { steps: 15, init, ..Config::new(Space::WPlus, Method::Optimize) };
        let rest = invert(&job, &target, &rest).unwrap();
        assert_eq!(values(&whole.code.data), values(&rest.code.data));
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
    let config = Config { steps: 3, passes: Some(2), ..Config::new(Space::WPlus, Method::Hybrid) };
    let both = invert(&job, &pair(), &config).unwrap();
    for (i, k) in [(0, 0), (1, 3)] {
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let alone = pool.install(|| invert(&job, &foreign(k), &config).unwrap());
            assert_eq!(values(&both.code.data.narrow(0, i, 1).unwrap()), values(&alone.code.data));
            assert_eq!(both.trace[i], alone.trace[0]);
        }
    }
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
    let config = Config { steps: 1, passes: Some(2), ..Config::new(Space::WPlus, Method::Hybrid) };
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
    let plain = Config { steps: 12, passes: Some(4), ..Config::new(Space::WPlus, Method::Hybrid) };
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
    assert_eq!(values(&whole.code.data), values(&resumed.code.data));
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
    let config = Config { steps: 15, ..Config::new(Space::W, Method::Hybrid) };
    let rungs = ladder(&job, &pair(), &config, &[Space::Z, Space::W, Space::WPlus]).unwrap();
    let methods = [Method::Optimize, Method::Hybrid, Method::Hybrid];
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
    let hybrid = Config { steps: 150, ..Config::new(Space::W, Method::Hybrid) };
    assert!(psnr(&hybrid) > psnr(&passes(Space::W, 2)) + 10.0);
}

#[test]
fn what_does_not_fit_is_refused_with_its_repair() {
    let g = generator();
    let e = run(g.as_ref(), &foreign(0), &Config::new(Space::WPlus, Method::Hybrid)).unwrap_err();
    assert!(e.message().contains("no encoder") && e.repair().unwrap().contains("optimize"));
    let (control, stats, network) = (Control::default(), stats(g.as_ref()), network());
    let job = with(g.as_ref(), &network, &stats, &control);
    for space in [Space::Z, Space::N] {
        let c = Config { init: Init::Random, ..passes(space, 1) };
        assert!(invert(&job, &foreign(0), &c).unwrap_err().repair().unwrap().contains("space: W+"));
    }
    // A grey picture, at another size: the size is no matter, the channels are.
    let grey = Tensor::zeros((1, 1, 40, 24), DType::F32, &Device::Cpu).unwrap();
    let e = network.pass(&grey, &grey).unwrap_err();
    assert!(e.message().contains("3 channels, these have 1") && e.repair().is_some());
    let wide = Tensor::zeros((2, 3, 40, 24), DType::F32, &Device::Cpu).unwrap();
    assert_eq!(network.pass(&wide, &wide).unwrap().dims(), [2, 8, 16]);
    network.check(g.spec()).unwrap();
    let e = network.check(&Spec { w_dim: 17, ..g.spec().clone() }).unwrap_err();
    assert!(
        e.message().contains("codes of 8×16")
            && e.message().contains("8×17")
            && e.repair().is_some()
    );
}

#[test]
fn a_broken_network_names_what_is_wrong() {
    let refused = |change: &dyn Fn(&mut EncoderConfig, &mut Parts)| {
        let (mut config, mut parts) = (settings(), parts(3));
        change(&mut config, &mut parts);
        let weights = Weights::of_tensors("e", parts);
        let e = PassNet::new("e", config, weights, &Device::Cpu).err().unwrap();
        assert!(e.repair().is_some());
        e.message().to_owned()
    };
    assert!(refused(&|_, p| drop(p.remove("base.bias"))).contains("`base.bias` is missing"));
    assert!(refused(&|c, _| c.num_ws = 9).contains("offsets.weight"));
    assert!(refused(&|c, _| c.grid = 3).contains("4² does not divide into 3×3"));
    assert!(refused(&|c, _| c.grid = 0).contains("0"));
    assert!(refused(&|c, _| c.steps = 0).contains("0"));
    let spare = |_: &mut EncoderConfig, p: &mut Parts| {
        drop(p.insert("head.bias".into(), p["base.bias"].clone()))
    };
    assert!(refused(&spare).contains("`head.bias` [16] belongs to no part"));
    let odd = |_: &mut EncoderConfig, p: &mut Parts| {
        p.insert(
            "conv0.weight".into(),
            Tensor::zeros((6, 5, 3, 3), DType::F32, &Device::Cpu).unwrap(),
        );
    };
    assert!(refused(&odd).contains("as many channels"));
}

/// Passes of small random networks against numbers from PyTorch in double precision
/// (tests/reference/encoder).
#[test]
fn passes_agree_with_pytorch() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/encoder");
    for name in ["grid2", "grid4", "odd"] {
        let file = weights::open(&folder.join(format!("{name}.safetensors")), &LIMITS).unwrap();
        let config: EncoderConfig = serde_json::from_value(file.config().clone()).unwrap();
        let mut weights = file.weights;
        let numbers = ["ref.x", "ref.y", "ref.delta"];
        let [x, y, delta] = numbers.map(|k| weights.take_any(k).unwrap());
        let network = PassNet::new(name, config, weights, &Device::Cpu).unwrap();
        let found = network.pass(&x, &y).unwrap();
        assert_eq!(found.dims(), delta.dims());
        for (a, b) in values(&found).iter().zip(values(&delta)) {
            assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{name}: {a} {b}");
        }
        // Both pictures count, and so does what is beyond the range: not at all.
        assert_ne!(values(&found), values(&network.pass(&y, &x).unwrap()));
        let clamped = x.clamp(-1f32, 1f32).unwrap();
        assert_ne!(values(&x), values(&clamped));
        assert_eq!(values(&found), values(&network.pass(&clamped, &y).unwrap()));
    }
}
