//! Tests of searches that begin with small pictures, on the toy generator.

use super::methods::{CMA, HYBRID, LBFGS, OPTIMIZE, PROJECTOR, PTI};
use super::tests::{as_alone, foreign, generator, run, several, stats, stopping, values};
use super::*;
use crate::control::{Control, Stop};
use crate::error::Kind;
use crate::generator::Generator;
use crate::generator::stylegan2::Architecture;
use crate::generator::toy::Toy;
use crate::metric::{Perceptual, random_features};
use crate::network::encoder_tests::network;
use std::sync::Arc;
use std::time::Duration;

const SIDE: usize = 16;

fn coarse(method: &'static Method, steps: usize) -> Config {
    let space = method.usual_space(&[Space::WPlus, Space::W]);
    let passes = method.encoder.then_some(1);
    let settings = if method == &PTI { [("tune", 3.0)].into() } else { Numbers::default() };
    Config { steps, passes, settings, coarse: Some(SIDE), ..Config::new(space, method) }
}

#[test]
fn the_first_half_compares_small_pictures_and_the_whole_search_as_many_steps() {
    let g = generator();
    let c = coarse(&OPTIMIZE, 80);
    let found = run(g.as_ref(), &foreign(0), &c).unwrap();
    let plain = run(g.as_ref(), &foreign(0), &Config { coarse: None, ..c.clone() }).unwrap();
    assert_eq!((found.steps, found.trace[0].losses().len()), (80, 81));
    assert!(found.how.contains(" coarse 16") && !plain.how.contains("coarse"));
    let losses = found.trace[0].losses();
    // The mean has other pixels to differ in, and whole pictures are begun at the best small one.
    assert!(losses[0] != plain.trace[0].losses()[0]);
    assert!(losses[40] < 0.9 * losses[0], "{losses:?}");
    assert!(found.best_step[0] > 40 && found.loss[0] < 0.9 * plain.trace[0].losses()[0]);
    // The loss is that of whole pictures.
    let mse = (&found.reconstruction - &found.target).unwrap().sqr().unwrap();
    let mse = mse.mean_all().unwrap().to_vec0::<f32>().unwrap();
    assert!((found.loss[0] - f64::from(mse)).abs() < 1e-5);
}

#[test]
fn rows_of_later_layers_stay_while_pictures_are_small() {
    let g = generator();
    let rows = |found: &Inversion| -> Vec<Vec<f32>> {
        let ws = found.code.point().squeeze(0).unwrap();
        (0..ws.dim(0).unwrap()).map(|i| values(&ws.narrow(0, i, 1).unwrap())).collect()
    };
    let (control, stats) = (stopping(2, Stop::Keep), stats(g.as_ref()));
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let found = invert(&job, &foreign(0), &coarse(&OPTIMIZE, 400)).unwrap();
    assert!(found.stopped_at().is_some_and(|at| at < 200));
    let start = run(g.as_ref(), &foreign(0), &coarse(&OPTIMIZE, 0)).unwrap();
    // Blocks of 4, 8 and 16 pixels read 5 rows and that of the last picture; 32 pixels the others.
    for (k, (now, before)) in rows(&found).into_iter().zip(rows(&start)).enumerate() {
        assert_eq!(now == before, k > 5, "row {k}");
    }
    // What is shown is whole although no whole picture was compared.
    assert_eq!(found.reconstruction.dims(), [1, 3, 32, 32]);
}

#[test]
fn pictures_of_a_batch_are_those_alone() {
    let (g, control) = (generator(), Control::default());
    let (stats, encoder) = (stats(g.as_ref()), network());
    let features = Perceptual::new(Arc::new(random_features(3)));
    let job = Job {
        stats: Some(&stats),
        encoder: Some(&encoder),
        perceptual: Some(&features),
        ..Job::new(g.as_ref(), &control)
    };
    for method in [&OPTIMIZE, &HYBRID, &LBFGS, &PROJECTOR, &PTI] {
        as_alone(&job, &several(3), &coarse(method, 6), &[0, 2]);
    }
    let noise = Config { noise: true, init: Init::BestOf(3), ..coarse(&OPTIMIZE, 6) };
    as_alone(&job, &several(2), &noise, &[0, 1]);
    let quarter = Shape::Rectangle([0.0, 0.0, 0.5, 0.5]);
    let mask = Some(Mask::of_shape(quarter, (32, 32), "quarter").unwrap());
    as_alone(&job, &several(2), &Config { mask, ..coarse(&OPTIMIZE, 6) }, &[1]);
}

#[test]
fn a_resumed_search_gives_the_same_bits() {
    let g = generator();
    let folder = tempfile::tempdir().unwrap();
    let stats = stats(g.as_ref());
    for method in [&OPTIMIZE, &LBFGS, &PTI] {
        let plain = coarse(method, 40);
        let path = folder.path().join(method.name);
        let checkpoint = Some(Checkpoint { path, every: Duration::from_secs(3600) });
        let saved = Config { checkpoint, ..plain.clone() };
        let whole = run(g.as_ref(), &foreign(0), &plain).unwrap();
        for reports in [1, 2, 3, 4] {
            let control = stopping(reports, Stop::Checkpoint);
            let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
            let e = invert(&job, &foreign(0), &saved).unwrap_err();
            assert_eq!(e.kind(), Kind::Resumable, "{method:?}: {e}");
            let resumed = run(g.as_ref(), &foreign(0), &saved).unwrap();
            assert_eq!(whole.trace, resumed.trace, "{method:?}");
            assert_eq!(values(&whole.reconstruction), values(&resumed.reconstruction));
        }
    }
}

#[test]
fn what_has_no_small_pictures_is_refused_with_its_repair() {
    let g = generator();
    let refused = |g: &dyn Generator, target: &Tensor, c: &Config| {
        let e = run(g, target, c).unwrap_err();
        format!("{}; {}", e.message(), e.repair().unwrap())
    };
    let other = Config { coarse: Some(20), ..coarse(&OPTIMIZE, 4) };
    assert!(refused(&*g, &foreign(0), &other).ends_with("use one of 4, 8, 16"));
    let sampled = Config { init: Init::Random, ..coarse(&CMA, 4) };
    let said = refused(&*g, &foreign(0), &Config { space: Space::Z, ..sampled });
    assert!(said.contains("no code by gradients") && said.contains("method: optimize"), "{said}");
    let grey = Config { degrade: [("grey", 1.0)].into(), ..coarse(&OPTIMIZE, 4) };
    assert!(refused(&*g, &foreign(0), &grey).contains("leave `coarse` out"));
    let maps = Config { space: Space::N, ..coarse(&OPTIMIZE, 4) };
    assert!(refused(&*g, &foreign(0), &maps).contains("`coarse` does not apply"));
    let plain = Toy { architecture: Architecture::Orig, ..Toy::default() };
    let plain = plain.build(&Device::Cpu).unwrap();
    let said = refused(&plain, &foreign(0), &coarse(&OPTIMIZE, 4));
    assert!(said.contains("at full size alone") && said.contains("StyleGAN2"), "{said}");
}
