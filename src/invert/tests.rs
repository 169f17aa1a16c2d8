//! Tests of inversion on the toy generator.

use super::methods::{OPTIMIZE, PROJECTOR, PTI};
use super::*;
use crate::control::{Control, Progress, Stop};
use crate::error::Kind;
use crate::generator::{Generator, codes, toy};
use crate::metric::{Metric, Perceptual, Psnr};
use crate::space::Space;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub(super) fn generator() -> Arc<dyn Generator> {
    toy(0, &Device::Cpu).unwrap()
}

/// A picture that no toy makes: rings and an edge, a little different for every `k`.
pub(super) fn foreign(k: usize) -> Tensor {
    let mut data = Vec::new();
    for c in 0..3 {
        for i in 0..32 * 32 {
            let (y, x) = ((i / 32) as f32 - 15.5 + k as f32, (i % 32) as f32 - 15.5);
            let rings = ((x * x + y * y).sqrt() * (0.5 + 0.1 * c as f32)).sin();
            data.push(0.6 * rings + if x > 4.0 { 0.3 } else { -0.2 });
        }
    }
    Tensor::from_vec(data, (1, 3, 32, 32), &Device::Cpu).unwrap()
}

pub(super) fn pair() -> Tensor {
    Tensor::cat(&[foreign(0), foreign(3)], 0).unwrap()
}

pub(super) fn config(space: Space, steps: usize) -> Config {
    Config { steps, ..Config::new(space, &OPTIMIZE) }
}

pub(super) fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// Statistics from few samples, enough for the tests and shared by them.
pub(super) fn stats(g: &dyn Generator) -> impl Fn() -> Result<Option<WStats>> + use<> {
    let stats = WStats::of(g, None, 500).unwrap();
    move || Ok(Some(stats.clone()))
}

/// Inverts with shared statistics.
pub(super) fn run(g: &dyn Generator, target: &Tensor, config: &Config) -> Result<Inversion> {
    let (control, stats) = (Control::default(), stats(g));
    invert(&Job { stats: Some(&stats), ..Job::new(g, &control) }, target, config)
}

#[test]
fn statistics_agree_with_the_closed_form_of_their_samples() {
    let g = generator();
    let s = stats(g.as_ref())().unwrap().unwrap();
    let z = Tensor::from_vec(Rng::new(123).normals(500 * 16), (500, 16), &Device::Cpu).unwrap();
    let w = g.enter(Space::W, &z, &Input::default()).unwrap();
    let mean = w.mean(0).unwrap();
    for (a, b) in values(&s.mean).iter().zip(values(&mean)) {
        assert!((a - b).abs() < 1e-5);
    }
    let square =
        w.broadcast_sub(&mean).unwrap().sqr().unwrap().sum_all().unwrap().to_vec0::<f32>().unwrap()
            / 500.0;
    assert!((s.sigma - f64::from(square).sqrt()).abs() < 1e-4 * s.sigma);
}

#[test]
fn wider_spaces_come_nearer() {
    let g = generator();
    let loss = |space| run(g.as_ref(), &foreign(0), &config(space, 200)).unwrap().loss[0];
    let (z, w, plus) = (loss(Space::Z), loss(Space::W), loss(Space::WPlus));
    assert!(z > 1.05 * w && w > 1.05 * plus, "Z {z} W {w} W+ {plus}");
}

/// Pictures that the generator makes, one a seed.
fn own(g: &dyn Generator, seed: u64) -> Tensor {
    let z = Tensor::from_vec(Rng::new(seed).normals(16), (1, 16), &Device::Cpu).unwrap();
    spaces::picture(g, &z, Space::Z, &Input::default()).unwrap()
}

#[test]
fn the_mean_is_a_better_start_than_a_random_sample_in_domain() {
    // On average over pictures and draws, as published; single draws vary.
    let g = generator();
    let (mut mean, mut random) = (0.0, 0.0);
    for k in 0..4 {
        let target = own(g.as_ref(), 1000 + k);
        mean += run(g.as_ref(), &target, &config(Space::W, 40)).unwrap().loss[0] / 4.0;
        for seed in 0..3 {
            let c = Config { seed, init: Init::Random, ..config(Space::W, 40) };
            random += run(g.as_ref(), &target, &c).unwrap().loss[0] / 12.0;
        }
    }
    assert!(mean < 0.8 * random, "mean {mean} random {random}");
}

#[test]
fn a_warm_start_is_never_worse_than_what_it_starts_from() {
    let g = generator();
    let w = run(g.as_ref(), &foreign(0), &config(Space::W, 60)).unwrap();
    let start = Config { init: Init::Latent(w.code.clone()), ..config(Space::WPlus, 20) };
    let plus = run(g.as_ref(), &foreign(0), &start).unwrap();
    assert!(plus.loss[0] < w.loss[0]);
    assert!((plus.trace[0].losses()[0] - w.loss[0]).abs() < 1e-6);
    let back = Config { init: Init::Latent(plus.code), ..config(Space::W, 20) };
    assert!(run(g.as_ref(), &foreign(0), &back).unwrap_err().repair().unwrap().contains("W+"));
}

#[test]
fn every_rung_of_the_ladder_is_nearer() {
    let (g, control) = (generator(), Control::default());
    let stats = stats(g.as_ref());
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let chain = [Space::Z, Space::W, Space::WPlus].map(Rung::Space);
    let rungs = ladder(&job, &pair(), &config(Space::W, 40), &chain).unwrap();
    for ((_, below), (_, above)) in rungs.iter().zip(&rungs[1..]) {
        for (a, b) in below.loss.iter().zip(&above.loss) {
            assert!(b < a, "{a} {b}");
        }
    }
    assert!(ladder(&job, &foreign(0), &config(Space::W, 2), &[chain[2], chain[1]]).is_err());
}

#[test]
fn noise_maps_that_were_found_stay_with_their_code() {
    let g = generator();
    let found =
        run(g.as_ref(), &foreign(0), &Config { noise: true, ..config(Space::W, 30) }).unwrap();
    let noise = |i: &Inversion| i.code.noise().into_iter().flat_map(values).collect::<Vec<f32>>();
    let on = Config { init: Init::Latent(found.code.clone()), ..config(Space::WPlus, 5) };
    let fixed = run(g.as_ref(), &foreign(0), &on).unwrap();
    assert_eq!(noise(&fixed), noise(&found));
    let moved =
        run(g.as_ref(), &foreign(0), &Config { noise: true, noise_regularise: 0.0, ..on }).unwrap();
    assert_ne!(noise(&moved), noise(&found));
    // Both continue from the picture that was reached.
    let reached = Psnr.measure(&found.reconstruction, &found.target).unwrap()[0];
    assert!(fixed.numbers[0].value >= reached && moved.numbers[0].value >= reached);
}

#[test]
fn the_perceptual_term_stands_apart_and_is_brought_down() {
    let (g, control) = (generator(), Control::default());
    let (stats, network) =
        (stats(g.as_ref()), Perceptual::new(Arc::new(crate::metric::random_features(3))));
    let job =
        Job { stats: Some(&stats), perceptual: Some(&network), ..Job::new(g.as_ref(), &control) };
    for method in [&OPTIMIZE, &PROJECTOR] {
        let target = own(g.as_ref(), 5);
        let found =
            invert(&job, &target, &Config { steps: 60, ..Config::new(Space::W, method) }).unwrap();
        let trace = &found.trace[0];
        let column = trace.names.iter().position(|n| n == "perceptual").unwrap();
        assert_eq!(trace.names.contains(&"l2".to_string()), method == &OPTIMIZE);
        assert!(
            trace.terms.last().unwrap()[column] < 0.5 * trace.terms[0][column],
            "{method:?} {trace:?}"
        );
        let number = found.numbers.iter().find(|n| n.name == "perceptual").unwrap();
        assert!(number.definition.contains("not comparable with published LPIPS"));
        assert!(found.diagnosis.warnings.iter().all(|w| !w.text.contains("pixel loss only")));
        assert!(
            found.diagnosis.warnings.iter().all(|w| !w.text.contains("perceptual distance by"))
        );
    }
    // Another generator's network is named.
    let network = Perceptual::borrowed(Arc::new(crate::metric::random_features(3)));
    let job = Job { perceptual: Some(&network), ..job };
    let once = Config { steps: 1, ..Config::new(Space::W, &OPTIMIZE) };
    let found = invert(&job, &own(g.as_ref(), 5), &once).unwrap();
    let said = format!("perceptual distance by {}", network.features().name());
    assert!(found.diagnosis.warnings.iter().any(|w| w.text == said), "{:?}", found.diagnosis);
}

#[test]
fn a_picture_of_its_own_is_found_again() {
    let (g, control) = (generator(), Control::default());
    let stats = stats(g.as_ref());
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let found = self_test(&job, &config(Space::W, 300)).unwrap();
    let psnr = found.numbers.iter().find(|n| n.name == "psnr").unwrap();
    assert!(psnr.value > 40.0, "{}", psnr.value);
    assert!(psnr.definition.contains("peak"));
    assert_eq!(psnr.each, Psnr.measure(&found.reconstruction, &found.target).unwrap());
    // The code makes the picture that is shown.
    let again =
        spaces::picture(g.as_ref(), found.code.point(), Space::W, &Input::default()).unwrap();
    assert_eq!(values(&again), values(&found.reconstruction));
    assert!(found.diagnosis.mean_distance[0] < 2.5 && found.diagnosis.warnings.len() == 1);
}

#[test]
fn a_picture_does_not_depend_on_its_neighbours() {
    let g = generator();
    // Random starts and noise maps: their numbers follow the picture, not its place.
    let c = Config { noise: true, init: Init::BestOf(2), seed: 4, ..config(Space::WPlus, 12) };
    let both = run(g.as_ref(), &pair(), &c).unwrap();
    for (i, k) in [(0, 0), (1, 3)] {
        let alone = run(g.as_ref(), &foreign(k), &c).unwrap();
        let mine = both.code.point().narrow(0, i, 1).unwrap();
        assert_eq!(values(&mine), values(alone.code.point()));
        assert_eq!(
            values(&both.reconstruction.narrow(0, i, 1).unwrap()),
            values(&alone.reconstruction)
        );
        assert_eq!(both.trace[i], alone.trace[0]);
        let [noise, own] = [&both, &alone].map(|found| found.code.noise()[3]);
        assert_eq!(values(&noise.narrow(0, i, 1).unwrap()), values(own));
    }
    assert_ne!(both.loss[0], both.loss[1]);
}

/// Makes `n` different pictures.
pub(super) fn several(n: usize) -> Tensor {
    Tensor::cat(&(0..n).map(foreign).collect::<Vec<_>>(), 0).unwrap()
}

/// Every image of the batch must be, bit for bit, what it is alone.
pub(super) fn as_alone(job: &Job, targets: &Tensor, config: &Config, images: &[usize]) {
    let bits = |t: &Tensor| values(t).into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let all = invert(job, targets, config).unwrap();
    let parts = all.parts().unwrap();
    for &i in images {
        let own = |t: &Tensor| bits(&t.narrow(0, i, 1).unwrap());
        let alone = invert(job, &targets.narrow(0, i, 1).unwrap(), config).unwrap();
        let what = format!("image {i}, {}", config.describe().unwrap());
        assert_eq!(own(all.code.point()), bits(alone.code.point()), "{what}");
        assert_eq!(own(&all.reconstruction), bits(&alone.reconstruction), "{what}");
        assert_eq!((all.loss[i], all.best_step[i]), (alone.loss[0], alone.best_step[0]), "{what}");
        assert_eq!(all.trace[i], alone.trace[0], "{what}");
        let (mine, theirs) = (all.code.noise(), alone.code.noise());
        assert_eq!(
            mine.into_iter().map(own).collect::<Vec<_>>(),
            theirs.into_iter().map(bits).collect::<Vec<_>>(),
            "{what}"
        );
        // An image taken out of the batch is the same inversion: codes, pictures and report.
        let part = &parts[i];
        let pictures =
            |r: &Inversion| [bits(r.code.point()), bits(&r.reconstruction), bits(&r.target)];
        assert_eq!(pictures(part), pictures(&alone), "{what}");
        assert_eq!((&part.code.origin, part.code.count()), (&alone.code.origin, 1), "{what}");
        assert_eq!((&part.numbers, &part.diagnosis), (&alone.numbers, &alone.diagnosis), "{what}");
        assert_eq!(
            (&part.trace, &part.loss, &part.best_step),
            (&alone.trace, &alone.loss, &alone.best_step)
        );
        assert_eq!(
            (&part.stopped, &part.how, part.steps),
            (&alone.stopped, &alone.how, alone.steps)
        );
        assert_eq!(part.seconds, all.seconds / all.code.count() as f64);
    }
}

#[test]
fn a_batch_is_its_images_alone_for_every_gradient_method() {
    let (g, control) = (generator(), Control::default());
    let (stats, network) =
        (stats(g.as_ref()), Perceptual::new(Arc::new(crate::metric::random_features(3))));
    let job =
        Job { stats: Some(&stats), perceptual: Some(&network), ..Job::new(g.as_ref(), &control) };
    // Ten are more than one batch.
    let targets = several(10);
    let mut plus = config(Space::WPlus, 6);
    plus.weights = Numbers::from([("l1", 0.3), ("offset", 0.5)]);
    let best = Config { init: Init::BestOf(10), ..config(Space::Z, 5) };
    let projector = Config { steps: 20, ..Config::new(Space::W, &PROJECTOR) };
    for c in [plus, best, projector, config(Space::S, 5), config(Space::N, 4)] {
        as_alone(&job, &targets, &c, &[0, 3, 7, 9]);
    }
}

#[test]
fn an_interrupt_keeps_the_best_of_its_batch_and_the_starts_of_later_ones() {
    let g = generator();
    let (control, stats) = (stopping(3, Stop::Keep), stats(g.as_ref()));
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let found = invert(&job, &several(10), &config(Space::W, 500)).unwrap();
    let at = found.stopped_at().unwrap();
    assert!(at > 0 && at <= 20, "{at}");
    assert_eq!((found.code.count(), found.loss.len()), (10, 10));
    for i in 0..10 {
        let losses = found.trace[i].losses();
        assert_eq!(found.loss[i], losses.iter().copied().fold(f64::INFINITY, f64::min));
        assert_eq!(losses.len(), if i < 8 { at + 1 } else { 1 }, "image {i}");
    }
    assert!(found.best_step[..8].iter().all(|s| *s > 0) && found.best_step[8..] == [0, 0]);
    let stopped: Vec<_> = found.parts().unwrap().iter().map(Inversion::stopped_at).collect();
    assert_eq!((&stopped[..8], &stopped[8..]), (&[Some(at); 8][..], &[Some(0); 2][..]));
}

#[test]
fn progress_counts_the_steps_of_all_images() {
    let g = generator();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (to, stats) = (seen.clone(), stats(g.as_ref()));
    let control = Control::new(move |p: Progress| to.lock().unwrap().push(p));
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    invert(&job, &several(9), &config(Space::W, 10)).unwrap();
    let all = std::mem::take(&mut *seen.lock().unwrap());
    assert!(all.iter().all(|p| (p.total, p.losses.len()) == (90, 1)));
    assert!(all.is_sorted_by_key(|p| p.step) && all.is_sorted_by_key(|p| p.share));
    let [first, last] = [&all[0], &all[all.len() - 1]];
    assert_eq!((first.title.as_str(), first.step, first.share), ("invert W (1–8 of 9)", 0, 0.0));
    assert_eq!((last.title.as_str(), last.step, last.share), ("invert W (9 of 9)", 90, 1.0));
    // Steps that tune weights cost more.
    let settings = [("tune", 10.0)].into();
    let tuned = Config { steps: 10, settings, ..Config::new(Space::W, &PTI) };
    invert(&job, &foreign(0), &tuned).unwrap();
    let all = seen.lock().unwrap();
    let at = all.iter().find(|p| p.step == 10).unwrap();
    assert!(at.share > 0.2 && at.share < 0.45, "{}", at.share);
    assert_eq!(all.last().unwrap().share, 1.0);
}

#[test]
fn the_thread_count_changes_nothing() {
    let c = Config { seed: 1, init: Init::Random, ..config(Space::WPlus, 15) };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| run(generator().as_ref(), &foreign(0), &c).unwrap());
        (values(found.code.point()), values(&found.reconstruction))
    };
    assert_eq!(with(1), with(2));
}

#[test]
fn seeds_matter_and_repeat() {
    let g = generator();
    let code = |seed| {
        let c = Config { seed, init: Init::Random, ..config(Space::W, 3) };
        values(run(g.as_ref(), &foreign(0), &c).unwrap().code.point())
    };
    assert_eq!(code(1), code(1));
    assert_ne!(code(1), code(2));
}

/// A control that requests `stop` at the k-th report.
pub(super) fn stopping(k: usize, stop: Stop) -> Control {
    let (seen, inner) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::OnceLock::<Control>::new()));
    let holder = inner.clone();
    let control = Control::new(move |p| {
        assert_eq!(p.preview.unwrap().dims()[..2], [1, 3]);
        if seen.fetch_add(1, Ordering::Relaxed) + 1 == k {
            holder.get().unwrap().request(stop);
        }
    });
    inner.set(control.clone()).ok().unwrap();
    control
}

#[test]
fn stopping_keeps_the_best_so_far() {
    let g = generator();
    let (control, stats) = (stopping(3, Stop::Keep), stats(g.as_ref()));
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let found = invert(&job, &foreign(0), &config(Space::W, 500)).unwrap();
    let at = found.stopped_at().unwrap();
    assert!(at > 0 && at <= 20, "{at}");
    assert_eq!(found.loss[0], found.trace[0].losses().into_iter().fold(f64::INFINITY, f64::min));
    // The rest of a batch gives its start.
    let found = invert(&job, &pair(), &config(Space::W, 500)).unwrap();
    assert_eq!((found.best_step.as_slice(), found.code.count()), ([0, 0].as_slice(), 2));
    control.request(Stop::Abort);
    assert_eq!(
        invert(&job, &foreign(0), &config(Space::W, 9)).unwrap_err().kind(),
        Kind::Interrupted
    );
}

#[test]
fn a_resumed_run_equals_the_uninterrupted_one() {
    let g = generator();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inversion.state");
    let stats = stats(g.as_ref());
    let plain = Config { steps: 60, seed: 2, ..Config::new(Space::W, &PROJECTOR) };
    let saved = Config {
        checkpoint: Some(Checkpoint { path: path.clone(), every: Duration::from_secs(3600) }),
        ..plain.clone()
    };
    for target in [foreign(0), pair()] {
        let whole = run(g.as_ref(), &target, &plain).unwrap();
        // Interrupted again and again, at the report of step 10, 20, …
        let mut stops = 0;
        let resumed = loop {
            let control = stopping(2, Stop::Checkpoint);
            let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
            match invert(&job, &target, &saved) {
                Ok(found) => break found,
                Err(e) => assert_eq!(e.kind(), Kind::Resumable),
            }
            stops += 1;
            assert!(stops < 200);
        };
        assert!(stops >= 2, "{stops}");
        assert_eq!(values(whole.code.point()), values(resumed.code.point()));
        assert_eq!(values(&whole.reconstruction), values(&resumed.reconstruction));
        let noise =
            |i: &Inversion| i.code.noise().into_iter().flat_map(values).collect::<Vec<f32>>();
        assert_eq!(noise(&whole), noise(&resumed));
        assert_eq!(whole.trace, resumed.trace);
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            0,
            "checkpoints are removed at the end"
        );
    }
}

#[test]
fn a_checkpoint_of_another_run_or_a_broken_one_is_refused() {
    let g = generator();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let stats = stats(g.as_ref());
    let control = Control::default();
    control.request(Stop::Checkpoint);
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let checkpoint = Some(Checkpoint { path: path.clone(), every: Duration::ZERO });
    let c = Config { checkpoint, ..config(Space::W, 5) };
    assert_eq!(invert(&job, &foreign(0), &c).unwrap_err().kind(), Kind::Resumable);
    let e = invert(&job, &foreign(1), &c).unwrap_err();
    assert!(e.message().contains("another run") && e.repair().unwrap().contains("remove"));
    let bytes = std::fs::read(&path).unwrap();
    for end in [0, 7, 200, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..end]).unwrap();
        assert_eq!(invert(&job, &foreign(0), &c).unwrap_err().kind(), Kind::Format);
    }
}

#[test]
fn without_the_regulariser_the_picture_goes_into_the_noise() {
    let g = generator();
    let found = |noise_regularise| {
        let c = Config { noise_regularise, noise: true, lr: 0.1, ..config(Space::N, 100) };
        let found = run(g.as_ref(), &foreign(0), &c).unwrap();
        let maps = found.code.noise().into_iter();
        let alike: f32 =
            maps.map(|m| values(&regulariser(&normalise(m).unwrap()).unwrap())[0]).sum();
        (found.numbers[0].value, alike)
    };
    let ((psnr, alike), (free_psnr, free_alike)) = (found(1e5), found(0.0));
    assert!(free_psnr > psnr, "{free_psnr} {psnr}");
    assert!(free_alike > 3.0 * alike, "{free_alike} {alike}");
}

#[test]
fn offsets_are_measured_and_can_be_held() {
    let g = generator();
    let free = run(g.as_ref(), &foreign(0), &config(Space::WPlus, 100)).unwrap();
    let mut c = config(Space::WPlus, 100);
    c.weights.set("offset", 10.0);
    let held = run(g.as_ref(), &foreign(0), &c).unwrap();
    let offset = |i: &Inversion| i.diagnosis.offsets.as_ref().unwrap()[0];
    assert!(
        offset(&free) > 0.5 && offset(&held) < 0.5 * offset(&free),
        "{} {}",
        offset(&free),
        offset(&held)
    );
    assert!(free.diagnosis.warnings.iter().any(|w| w.text.contains("offsets from W")));
    assert!(
        free.diagnosis.warnings.iter().any(|w| w.text.contains("not reached"))
            == (free.numbers[0].value < 20.0)
    );
}

#[test]
fn what_cannot_work_is_refused_with_its_repair() {
    let g = generator();
    let refuse =
        |c: &Config| run(g.as_ref(), &foreign(0), c).unwrap_err().repair().unwrap().to_string();
    assert!(refuse(&config(Space::P, 1)).contains("W+"));
    assert!(refuse(&Config { init: Init::Mean, ..config(Space::Z, 1) }).contains("random"));
    assert!(refuse(&Config::new(Space::WPlus, &PROJECTOR)).contains("space: W"));
    let mut c = config(Space::W, 1);
    c.weights.set("perceptual", 1.0);
    assert!(refuse(&c).contains("perceptual: 0"));
    assert!(refuse(&Config { lr: f64::NAN, ..config(Space::W, 1) }).contains("learning rates"));
    let small = Tensor::zeros((1, 3, 16, 16), DType::F32, &Device::Cpu).unwrap();
    let e = run(g.as_ref(), &small, &config(Space::W, 1)).unwrap_err();
    assert!(e.repair().unwrap().contains("32×32"));
    let nan = (small.upsample_nearest2d(32, 32).unwrap() * f64::NAN).unwrap();
    assert!(run(g.as_ref(), &nan, &config(Space::W, 1)).unwrap_err().message().contains("finite"));
}

#[test]
fn styles_reach_at_least_what_their_layered_code_reaches() {
    let (g, control) = (generator(), Control::default());
    let stats = stats(g.as_ref());
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let chain = [Space::W, Space::WPlus, Space::S].map(Rung::Space);
    let rungs = ladder(&job, &foreign(0), &config(Space::W, 60), &chain).unwrap();
    let rungs: Vec<Inversion> = rungs.into_iter().map(|(_, found)| found).collect();
    let psnr = |i: &Inversion| i.numbers.iter().find(|n| n.name == "psnr").unwrap().value;
    assert!(
        psnr(&rungs[1]) > psnr(&rungs[0]) && psnr(&rungs[2]) > psnr(&rungs[1]) + 0.1,
        "{:?}",
        rungs.iter().map(psnr).collect::<Vec<_>>()
    );
    let s = &rungs[2];
    assert_eq!((s.code.space, s.code.point().dims()), (Space::S, &[1, g.spec().s_dim()][..]));
    // The code makes the reconstruction that is shown.
    let again = codes::synthesize(g.as_ref(), &s.code, &Input::default()).unwrap();
    assert_eq!(values(&again), values(&s.reconstruction));
    assert!(s.diagnosis.offsets.is_none() && s.diagnosis.mean_distance[0] > 0.0);
    let offset = Config { weights: [("offset", 1.0)].into(), ..config(Space::S, 1) };
    assert!(run(g.as_ref(), &foreign(0), &offset).unwrap_err().repair().unwrap().contains("W+"));
}

#[test]
fn a_typical_style_code_lies_one_sigma_from_the_mean() {
    let g = generator();
    let mut c = config(Space::S, 0);
    c.init = Init::Random;
    let found = run(g.as_ref(), &foreign(0), &c).unwrap();
    assert!(
        (0.5..1.8).contains(&found.diagnosis.mean_distance[0]),
        "{:?}",
        found.diagnosis.mean_distance
    );
}
