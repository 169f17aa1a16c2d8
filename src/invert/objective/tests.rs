//! Tests of the terms.

use super::*;
use crate::control::Control;
use crate::generator::{Input, Noise, spaces};
use crate::invert::tests::{foreign, generator, values};
use crate::metric::Perceptual;
use crate::rng::Rng;
use candle_core::{Device, Var};
use std::sync::Arc;

/// These terms in W+, with σ 1.
fn objective<'a>(
    job: &Job<'a>,
    targets: &Tensor,
    weights: &[(&'static str, f64)],
) -> Objective<'a> {
    let mut objective = Objective::new(targets, (None, false)).unwrap();
    for (name, weight) in weights {
        let kind = TERMS.iter().find(|t| t.name == *name).unwrap();
        let setup = Setup {
            job,
            space: Space::WPlus,
            targets,
            early: false,
            labels: None,
            levels: None,
            sigma: &|| Ok(1.0),
            gaussian: &|| unreachable!(),
        };
        objective.push(kind.weighted(&setup, *weight).unwrap().unwrap());
    }
    objective
}

/// Weights of a 32² mask: 0, 1 and greys in between.
fn mask() -> Tensor {
    let weight = |i: usize| match (i / 32, i % 32) {
        (8..20, 4..16) => 1f32,
        (y, 16..20) => (y as f32 / 31.0).powi(2),
        _ => 0.0,
    };
    let weights: Vec<f32> = (0..32 * 32).map(weight).collect();
    Tensor::from_vec(weights, (1, 1, 32, 32), &Device::Cpu).unwrap()
}

#[test]
fn the_gradient_agrees_with_finite_differences() {
    let (g, target, control) = (generator(), foreign(1), Control::default());
    let job = Job::new(g.as_ref(), &control);
    let mut loss = objective(&job, &target, &[("l2", 1.0), ("l1", 0.3), ("offset", 0.7)]);
    loss.push(noise_term(2.0));
    let sizes: Vec<usize> = g.noise_maps().iter().map(Tensor::elem_count).collect();
    let total = 8 * 16 + sizes.iter().sum::<usize>();
    let base = Rng::new(9).normals(total);
    let at = |x: &Tensor| -> Tensor {
        let ws = x.narrow(0, 0, 128).unwrap().reshape((1, 8, 16)).unwrap();
        let (mut maps, mut from) = (Vec::new(), 128);
        for (map, size) in g.noise_maps().iter().zip(&sizes) {
            maps.push(x.narrow(0, from, *size).unwrap().reshape(map.dims()).unwrap());
            from += size;
        }
        let input = Input::of(Noise::Maps(maps.clone()));
        let picture = spaces::picture(g.as_ref(), &ws, Space::WPlus, &input).unwrap();
        let terms =
            loss.loss(&picture, &ws, Beside { noise: &maps, ..Beside::default() }, &[0.0]).unwrap();
        assert_eq!(terms.iter().map(|t| t.0).collect::<Vec<_>>(), ["l2", "l1", "offset", "noise"]);
        terms.into_iter().map(|t| t.1).reduce(|a, b| (a + b).unwrap()).unwrap().sum_all().unwrap()
    };
    let x = Tensor::from_vec(base.clone(), total, &Device::Cpu).unwrap();
    let var = Var::from_tensor(&x).unwrap();
    let grads = at(&var).backward().unwrap();
    let grad = values(grads.get(&var).unwrap());
    let value = |along: &[f32], t: f32| {
        let moved: Vec<f32> = base.iter().zip(along).map(|(b, d)| b + t * d).collect();
        f64::from(
            at(&Tensor::from_vec(moved, total, &Device::Cpu).unwrap()).to_vec0::<f32>().unwrap(),
        )
    };
    for seed in 0..4 {
        let mut along = Rng::new(seed).normals(total);
        // Half of them in the code alone: it would drown among the many noise values.
        along[if seed % 2 == 0 { 128 } else { total }..].fill(0.0);
        let exact: f64 = grad.iter().zip(&along).map(|(g, d)| f64::from(g * d)).sum();
        let numeric = (value(&along, 1e-3) - value(&along, -1e-3)) / 2e-3;
        assert!((exact - numeric).abs() < 2e-2 * exact.abs().max(0.05), "{exact} {numeric}");
    }
}

#[test]
fn outside_the_mask_every_term_has_a_slope_of_exactly_zero() {
    let (g, control) = (generator(), Control::default());
    let network = Perceptual::new(Arc::new(crate::metric::random_person(3)));
    let job = Job { perceptual: Some(&network), ..Job::new(g.as_ref(), &control) };
    let targets = Tensor::cat(&[foreign(1), foreign(2)], 0).unwrap();
    let (mask, code) = (mask(), Tensor::zeros((2, 8, 16), DType::F32, &Device::Cpu).unwrap());
    let weights = values(&mask);
    for kind in TERMS.iter().filter(|t| t.pictures && (t.check)(&job, Space::WPlus).is_ok()) {
        for limited in [false, true] {
            let mut loss = objective(&job, &targets, &[(kind.name, 0.7)]);
            loss.limited = limited;
            let loss = loss.masked(&mask).unwrap();
            let pictures = Var::from_tensor(&(&targets * -0.5).unwrap()).unwrap();
            let terms = loss.loss(&pictures, &code, Beside::default(), &[0.0; 2]).unwrap();
            let grads = terms[0].1.sum_all().unwrap().backward().unwrap();
            let slopes = values(grads.get(&pictures).unwrap());
            let inside = |i: usize| weights[i % (32 * 32)] > 0.0;
            for (i, slope) in slopes.iter().enumerate().filter(|(i, _)| !inside(*i)) {
                assert_eq!(*slope, 0.0, "{} at {i}", kind.name);
            }
            let moved = slopes.iter().enumerate().filter(|(i, s)| inside(*i) && **s != 0.0).count();
            let most = 2 * 3 * weights.iter().filter(|w| **w > 0.0).count();
            assert!(10 * moved > 9 * most, "{}: {moved} of {most}", kind.name);
        }
    }
}

#[test]
fn a_mask_of_ones_is_no_mask_and_a_masked_error_is_the_mean_over_the_mask() {
    let (g, control) = (generator(), Control::default());
    let job = Job::new(g.as_ref(), &control);
    let (target, picture) = (foreign(1), foreign(2));
    let code = Tensor::zeros((1, 8, 16), DType::F32, &Device::Cpu).unwrap();
    let value = |mask: Option<&Tensor>, weights: &[(&'static str, f64)]| -> Vec<f32> {
        let mut loss = objective(&job, &target, weights);
        if let Some(mask) = mask {
            loss = loss.masked(mask).unwrap();
        }
        let terms = loss.loss(&picture, &code, Beside::default(), &[0.0]).unwrap();
        terms.iter().map(|(_, t)| values(t)[0]).collect()
    };
    let both = [("l2", 1.0), ("l1", 0.5)];
    let ones = Tensor::ones((1, 1, 32, 32), DType::F32, &Device::Cpu).unwrap();
    for (a, b) in value(None, &both).iter().zip(value(Some(&ones), &both)) {
        assert!((a - b).abs() < 1e-5 * a, "{a} {b}");
    }
    // The left half of every row.
    let half: Vec<f32> = (0..32 * 32).map(|i| if i % 32 < 16 { 1.0 } else { 0.0 }).collect();
    let half = Tensor::from_vec(half, (1, 1, 32, 32), &Device::Cpu).unwrap();
    let left = |t: &Tensor| t.narrow(3, 0, 16).unwrap();
    let error = (left(&target) - left(&picture)).unwrap().sqr().unwrap().mean_all().unwrap();
    let (want, got) = (values(&error)[0], value(Some(&half), &both)[0]);
    assert!((want - got).abs() < 1e-5 * want, "{want} {got}");
    let nothing = (ones * 0.0).unwrap();
    assert_eq!(value(Some(&nothing), &both), [0.0, 0.0], "a region of a phase may be empty");
    // Offsets are of the code: no mask counts for them.
    let rows = Tensor::from_vec(Rng::new(1).normals(128), (1, 8, 16), &Device::Cpu).unwrap();
    let offset = |loss: Objective<'_>| {
        values(&loss.loss(&picture, &rows, Beside::default(), &[0.0]).unwrap()[0].1)[0]
    };
    let held = || objective(&job, &target, &[("offset", 1.0)]);
    assert_eq!(offset(held()), offset(held().masked(&half).unwrap()));
}

/// A term that no method knows: the mean of the pictures.
struct Brightness;

impl Term for Brightness {
    fn name(&self) -> &'static str {
        "brightness"
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        Ok(at.pictures.flatten_from(1)?.mean(1)?)
    }

    fn unit(&self) -> f64 {
        4.0
    }
}

#[test]
fn a_new_term_needs_only_its_formula_and_weights_may_change_on_the_way() {
    let pictures = Tensor::cat(&[foreign(1), foreign(2)], 0).unwrap();
    let code = Tensor::zeros((2, 16), DType::F32, &Device::Cpu).unwrap();
    let value = |schedule: Option<fn(f64) -> f64>| {
        let mut loss = Objective::new(&pictures, (None, false)).unwrap();
        let term = Box::new(Brightness);
        loss.push(Weighted { term, weight: 2.0, pictures: true, schedule });
        let terms = loss.loss(&pictures, &code, Beside::default(), &[0.25, 1.0]).unwrap();
        assert_eq!((terms.len(), terms[0].0), (1, "brightness"));
        values(&terms[0].1)
    };
    let means = values(&pictures.flatten_from(1).unwrap().mean(1).unwrap());
    assert_eq!(value(None), [means[0] * 0.5, means[1] * 0.5]);
    assert_eq!(value(Some(|t| 1.0 - t)), [means[0] * 0.5 * 0.75, 0.0]);
}
