//! Tests of single terms: closed forms and finite differences.

use super::*;
use crate::control::Control;
use crate::generator::whitening::Whitening;
use crate::generator::{Input, spaces};
use crate::invert::Config;
use crate::invert::tests::{config, foreign, generator, run, values};
use crate::metric::{Identity, Metric, Perceptual, random_person};
use crate::rng::Rng;
use candle_core::{Device, Var};
use std::sync::Arc;

/// A term by its name, with weight 1, for these targets.
fn term<'a>(job: &Job<'a>, name: &str, space: Space, targets: &Tensor) -> Weighted<'a> {
    let kind = TERMS.iter().find(|t| t.name == name).unwrap();
    let rows: Vec<f32> = Rng::new(7).normals(4000 * 16);
    let rows: Vec<f32> = rows.iter().enumerate().map(|(i, v)| v * (1 + i % 16) as f32).collect();
    let gaussian = || Whitening::of(&rows, 16, &Device::Cpu);
    let (labels, levels) = (None, None);
    let setup = Setup {
        job,
        space,
        targets,
        early: false,
        labels,
        levels,
        sigma: &|| Ok(2.0),
        gaussian: &gaussian,
    };
    kind.weighted(&setup, 1.0).unwrap().unwrap()
}

/// The value at pictures and codes.
fn value(term: &Weighted<'_>, (pictures, targets): (&Tensor, &Tensor), code: &Tensor) -> Tensor {
    let at = Forward::new((pictures, targets), code, &[]);
    term.term.value(&at).unwrap()
}

/// Compares the gradient of a function at `x` with finite differences along random directions.
fn differentiable(what: &str, x: &Tensor, step: f64, f: impl Fn(&Tensor) -> Tensor) {
    let var = Var::from_tensor(x).unwrap();
    let grads = f(&var).sum_all().unwrap().backward().unwrap();
    let slope = values(grads.get(&var).unwrap());
    for seed in 0..4 {
        let along = Rng::new(seed).normals(x.elem_count());
        let exact: f64 = slope.iter().zip(&along).map(|(g, d)| f64::from(g * d)).sum();
        let along = Tensor::from_vec(along, x.dims(), x.device()).unwrap();
        let at = |t: f64| {
            let moved = (x + (&along * t).unwrap()).unwrap();
            values(&f(&moved)).iter().map(|v| f64::from(*v)).sum::<f64>()
        };
        let numeric = (at(step) - at(-step)) / (2.0 * step);
        let scale =
            exact.abs().max(0.02 * slope.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt());
        assert!((exact - numeric).abs() < 2e-2 * scale, "{what}: {exact} {numeric}");
    }
}

#[test]
fn huber_is_its_definition() {
    let (g, control) = (generator(), Control::default());
    let job = Job::new(g.as_ref(), &control);
    let of = |v: [f32; 4]| Tensor::from_slice(&v, (1, 1, 2, 2), &Device::Cpu).unwrap();
    let (picture, target) = (of([0.0, 0.5, -1.0, 0.25]), of([0.05, 0.5, 1.0, 0.5]));
    let huber = term(&job, "huber", Space::W, &target);
    let want = (0.05f32.powi(2) / 2.0 + 0.1 * (2.0 - 0.05) + 0.1 * (0.25 - 0.05)) / 4.0;
    let got = values(&value(&huber, (&picture, &target), &picture))[0];
    assert!((got - want).abs() < 1e-6, "{got} {want}");
}

/// The cross-entropy in doubles, less that of the target with itself; a value outside [0, 1] is
/// further away than the end that it passed.
#[test]
fn cross_entropy_is_its_definition_and_0_at_the_target_alone() {
    let (g, control) = (generator(), Control::default());
    let job = Job::new(g.as_ref(), &control);
    let of = |v: &[f32]| Tensor::from_slice(v, (v.len(), 1, 1, 1), &Device::Cpu).unwrap();
    let targets = of(&[0.5, 0.5, -1.0, -1.0, -1.0]);
    let pictures = of(&[0.5, -0.2, -0.9, -1.2, -1.4]);
    let bce = term(&job, "bce", Space::Z, &targets);
    let got = values(&value(&bce, (&pictures, &targets), &pictures));
    let cross = |p: f64, t: f64| -t * p.ln() - (1.0 - t) * (1.0 - p).ln();
    let level = 1.0 / 255.0;
    assert_eq!(got[0], 0.0);
    for (got, (p, t)) in got[1..].iter().zip([(0.4, 0.75), (0.05, level)]) {
        assert!((f64::from(*got) - cross(p, t) + cross(t, t)).abs() < 1e-6, "{got} {p} {t}");
    }
    assert!(0.0 < got[3] && got[3] < got[4], "{got:?}");
}

#[test]
fn identity_is_the_metric_and_only_where_a_network_knows_people() {
    let (g, control) = (generator(), Control::default());
    let features = Arc::new(random_person(3));
    let network = Perceptual::new(features.clone());
    let job = Job { perceptual: Some(&network), ..Job::new(g.as_ref(), &control) };
    let targets = Tensor::cat(&[foreign(1), foreign(2)], 0).unwrap();
    let pictures = Tensor::cat(&[foreign(3), foreign(2)], 0).unwrap();
    let person = term(&job, "identity", Space::W, &targets);
    let cosines = Identity::new(features).unwrap().measure(&pictures, &targets).unwrap();
    let got = values(&value(&person, (&pictures, &targets), &pictures));
    for (got, cosine) in got.iter().zip(&cosines) {
        assert!((f64::from(*got) - (1.0 - cosine)).abs() < 1e-6, "{got} {cosine}");
    }
    let kind = TERMS.iter().find(|t| t.name == "identity").unwrap();
    let random = Perceptual::new(Arc::new(crate::metric::random_features(3)));
    for perceptual in [None, Some(&random)] {
        let job = Job { perceptual, ..Job::new(g.as_ref(), &control) };
        let e = (kind.check)(&job, Space::W).unwrap_err();
        assert!(e.repair().unwrap().contains("identity: 0"), "{e:?}");
    }
}

#[test]
fn parts_are_the_squared_difference_of_what_pixels_show() {
    let (g, control) = (generator(), Control::default());
    let features = Arc::new(random_person(3));
    let network = Perceptual::new(features.clone());
    let job = Job { perceptual: Some(&network), ..Job::new(g.as_ref(), &control) };
    let (picture, target) = (foreign(3), foreign(1));
    let parts = term(&job, "parts", Space::W, &target);
    let got = values(&value(&parts, (&picture, &target), &picture))[0];
    let shown = |x: &Tensor| values(&features.parts(x).unwrap().unwrap());
    let (own, wanted) = (shown(&picture), shown(&target));
    let squares: f32 = own.iter().zip(&wanted).map(|(a, b)| (a - b).powi(2)).sum();
    let want = squares / (own.len() / 2) as f32;
    assert!(want > 0.0 && (got / want - 1.0).abs() < 1e-5, "{got} {want}");
    assert_eq!(values(&value(&parts, (&target, &target), &target)), [0.0]);
    // Along its slope, where the value changes by more than its rounding.
    let var = Var::from_tensor(&picture).unwrap();
    let slopes = value(&parts, (&var, &target), &picture).sum_all().unwrap().backward().unwrap();
    let slope = slopes.get(&var).unwrap().detach();
    let steep = slope.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
    let at = |t: f32| {
        let moved = (&picture + (&slope * f64::from(t / steep)).unwrap()).unwrap();
        values(&value(&parts, (&moved, &target), &picture))[0]
    };
    let numeric = (at(1e-2) - at(-1e-2)) / 2e-2;
    assert!((numeric / steep - 1.0).abs() < 0.02, "{numeric} {steep}");
    let kind = TERMS.iter().find(|t| t.name == "parts").unwrap();
    let e = (kind.check)(&Job::new(g.as_ref(), &control), Space::W).unwrap_err();
    assert!(e.repair().unwrap().contains("parts: 0"), "{e:?}");
}

#[test]
fn every_term_of_pictures_has_the_slope_of_its_value() {
    let (g, control) = (generator(), Control::default());
    let network = Perceptual::new(Arc::new(random_person(3)));
    let job = Job { perceptual: Some(&network), ..Job::new(g.as_ref(), &control) };
    let (target, code) = (foreign(1), Tensor::zeros((1, 16), DType::F32, &Device::Cpu).unwrap());
    let picture = ((&target * 0.6).unwrap() + (foreign(2) * 0.3).unwrap()).unwrap();
    let mut seen = 0;
    // Differences do not see the kinks of absolute values; the slope of `parts` is compared where
    // it is steep, in its own test.
    let smooth = TERMS.iter().filter(|t| t.pictures && !["l1", "parts"].contains(&t.name));
    for kind in smooth.filter(|t| (t.check)(&job, Space::W).is_ok()) {
        let own = term(&job, kind.name, Space::W, &target);
        // A cross-entropy is large beside its slopes, so shorter steps show its rounding.
        let step = if kind.name == "bce" { 1e-2 } else { 1e-3 };
        differentiable(kind.name, &picture, step, |x| value(&own, (x, &target), &code));
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn the_prior_is_the_distance_by_the_covariance() {
    let (g, control) = (generator(), Control::default());
    let (job, target) = (Job::new(g.as_ref(), &control), foreign(1));
    let code = Tensor::from_vec(Rng::new(3).normals(2 * 16), (2, 16), &Device::Cpu).unwrap();
    let of = |space: Space, code: &Tensor| {
        values(&value(&term(&job, "prior", space, &target), (&target, &target), code))
    };
    let squares = values(&code.sqr().unwrap().mean(1).unwrap());
    assert_eq!(of(Space::Z, &code), squares);
    // The samples of `term` have the deviations 1 to 16.
    let deviations = Tensor::from_vec((1..=16).map(|d| d as f32).collect(), 16, &Device::Cpu);
    let typical = code.broadcast_mul(&deviations.unwrap()).unwrap();
    for (got, want) in of(Space::W, &typical).iter().zip(&squares) {
        assert!((got - want).abs() < 0.1 * want, "{got} {want}");
    }
    differentiable("prior", &typical, 1e-2, |x| {
        value(&term(&job, "prior", Space::W, &target), (&target, &target), x)
    });
    let kind = TERMS.iter().find(|t| t.name == "prior").unwrap();
    for (space, repair) in [(Space::PN, "prior_pn"), (Space::S, "prior: 0")] {
        assert!((kind.check)(&job, space).unwrap_err().repair().unwrap().contains(repair));
    }
}

#[test]
fn geocross_is_angle_times_distance_and_0_for_equal_rows() {
    let (g, control) = (generator(), Control::default());
    let (job, target) = (Job::new(g.as_ref(), &control), foreign(1));
    let geocross = term(&job, "geocross", Space::PNPlus, &target);
    let of = |code: &Tensor| values(&value(&geocross, (&target, &target), code));
    let v = Tensor::from_vec(Rng::new(3).normals(2 * 3 * 16), (2, 3, 16), &Device::Cpu).unwrap();
    for (rows, got) in v.to_vec3::<f32>().unwrap().iter().zip(of(&v)) {
        let dot =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
        let mut sum = 0.0;
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let (a, b) = (&rows[a], &rows[b]);
            let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
            let distance = (dot(a, a) + dot(b, b) - 2.0 * dot(a, b)).sqrt();
            sum += cosine.acos() * distance / 4.0;
        }
        assert!((f64::from(got) - sum / 3.0).abs() < 1e-4, "{got} {sum}");
    }
    differentiable("geocross", &v, 1e-3, |x| value(&geocross, (&target, &target), x));
    let row = v.narrow(1, 0, 1).unwrap().broadcast_as((2, 3, 16)).unwrap().contiguous().unwrap();
    assert!(of(&row).iter().all(|v| *v < 1e-5));
    // The rows of W+ are those of PN+.
    let input = Input::default();
    let w = spaces::rise(g.as_ref(), &v, (Space::PNPlus, Space::WPlus), &input).unwrap();
    let wide = term(&job, "geocross", Space::WPlus, &target);
    for (a, b) in values(&value(&wide, (&target, &target), &w)).iter().zip(of(&v)) {
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
    let kind = TERMS.iter().find(|t| t.name == "geocross").unwrap();
    let setup = Setup {
        job: &job,
        space: Space::W,
        targets: &target,
        early: false,
        labels: None,
        levels: None,
        sigma: &|| Ok(1.0),
        gaussian: &|| unreachable!(),
    };
    assert!((kind.make)(&setup).unwrap().is_none(), "the rows of W are alike");
    assert!((kind.check)(&job, Space::S).is_err());
}

#[test]
fn nscd_is_that_of_the_styles_and_a_weight_lowers_it() {
    let (g, control) = (generator(), Control::default());
    let (job, target) = (Job::new(g.as_ref(), &control), foreign(1));
    let w = Tensor::from_vec(Rng::new(3).normals(2 * 16), (2, 16), &Device::Cpu).unwrap();
    let styles = spaces::rise(g.as_ref(), &w, (Space::W, Space::S), &Input::default()).unwrap();
    let directions = g.style_directions().unwrap().unwrap();
    let want = values(&directions.distance(&styles).unwrap());
    for (space, code) in [(Space::W, &w), (Space::S, &styles)] {
        let nscd = term(&job, "nscd", space, &target);
        assert_eq!(values(&value(&nscd, (&target, &target), code)), want, "{space}");
        differentiable("nscd", code, 1e-3, |x| value(&nscd, (&target, &target), x));
    }
    assert!(directions.typical > 0.0 && directions.typical < 0.5, "{}", directions.typical);
    let kind = TERMS.iter().find(|t| t.name == "nscd").unwrap();
    let e = (kind.check)(&job, Space::Z).unwrap_err();
    assert!(e.repair().unwrap().contains("nscd: 0"), "{e}");
    // A picture out of range is reached by styles that turn away; the weight holds them back.
    let found = |weight: f64| {
        let config = Config { weights: [("nscd", weight)].into(), ..config(Space::S, 40) };
        let nscd = run(g.as_ref(), &target, &config).unwrap().diagnosis.nscd.unwrap();
        nscd.0[0]
    };
    let (free, held) = (found(0.0), found(1.0));
    assert!(held < 0.8 * free, "{held} {free}");
}
