//! Tests of the degradations: numbers of scipy and Pillow, slopes, and samples found again.

use super::jpeg::Jpeg;
use super::*;
use crate::control::{Control, Stop};
use crate::error::Kind;
use crate::generator::{Input, Noise, spaces};
use crate::invert::methods::OPTIMIZE;
use crate::invert::tests::{foreign, generator, run, stats, values};
use crate::invert::{Checkpoint, Config, Job, Mask, Shape, invert};
use crate::metric::{Metric, Psnr};
use crate::rng::Rng;
use crate::space::Space;
use candle_core::{Var, safetensors};
use std::time::Duration;

fn degrader(all: &[(&'static str, f64)], size: Size) -> Degrader {
    let mut strengths = Numbers::default();
    all.iter().for_each(|(name, value)| strengths.set(name, *value));
    Degrader::new(&strengths, size, &Device::Cpu).unwrap().unwrap()
}

#[test]
fn equals_scipy_and_pillow() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference/terms/degrade.safetensors");
    let all = safetensors::load(path, &Device::Cpu).unwrap();
    let picture = all["picture"].unsqueeze(0).unwrap();
    // Errors in levels of 255: the largest, and the root of the mean square.
    let error = |what: &[(&'static str, f64)], name: &str| {
        let got = degrader(what, [3, 48, 64]).apply(&picture).unwrap().squeeze(0).unwrap();
        let want = &all[name];
        let want = if want.rank() == 2 { want.unsqueeze(0).unwrap() } else { want.clone() };
        let apart = (got.broadcast_sub(&want).unwrap() * 127.5).unwrap();
        let all = values(&apart);
        let square = all.iter().map(|v| v * v).sum::<f32>() / all.len() as f32;
        (all.iter().fold(0f32, |m, v| m.max(v.abs())), square.sqrt())
    };
    for (what, name) in [(1.3, "blur"), (20.0, "wide")] {
        let (most, _) = error(&[("blur", what)], name);
        assert!(most < 1e-3, "{name}: {most}");
    }
    // Theirs are rounded to bytes.
    for (what, name) in [(("grey", 1.0), "grey"), (("down", 4.0), "down")] {
        let (most, _) = error(&[what], name);
        assert!(most < 0.51, "{name}: {most}");
    }
    let jpeg = [("jpeg", 30.0)];
    for (what, name) in [
        (&jpeg[..], "jpeg30"),
        (&[("jpeg", 90.0)][..], "jpeg90"),
        (&[("grey", 1.0), ("jpeg", 30.0)][..], "grey_jpeg30"),
    ] {
        let (_, square) = error(what, name);
        let lost = {
            let want = all[name].unsqueeze(0).unwrap();
            let grey = picture.mean_keepdim(1).unwrap();
            let of = if want.rank() == 3 { grey } else { picture.clone() };
            let apart = (of.broadcast_sub(&want).unwrap() * 127.5).unwrap();
            apart.sqr().unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap().sqrt()
        };
        // A coefficient at the border of two steps may be rounded the other way.
        assert!(square < 2.5 && square < 0.17 * lost, "{name}: {square} of {lost}");
    }
}

#[test]
fn slopes_agree_with_finite_differences() {
    let picture = (foreign(1) * 0.7).unwrap();
    let weights = Tensor::from_vec(Rng::new(5).normals(3 * 1024), 3 * 1024, &Device::Cpu).unwrap();
    let all = degrader(&[("grey", 1.0), ("blur", 1.5), ("down", 4.0)], [3, 32, 32]);
    let smooth = Jpeg::new(30, false, &Device::Cpu).unwrap();
    let rounded = Jpeg::new(30, true, &Device::Cpu).unwrap();
    let slope = |f: &dyn Fn(&Tensor) -> Tensor| {
        let var = Var::from_tensor(&picture).unwrap();
        let found = f(&var).flatten_all().unwrap();
        let some = weights.narrow(0, 0, found.elem_count()).unwrap();
        let value = (found * some).unwrap().sum_all().unwrap();
        values(value.backward().unwrap().get(&var).unwrap())
    };
    for f in [&(|x: &Tensor| all.apply(x).unwrap()) as &dyn Fn(&Tensor) -> Tensor, &|x| {
        smooth.apply(x).unwrap()
    }] {
        let slope = slope(f);
        let along = Rng::new(8).normals(3 * 1024);
        let exact: f64 = slope.iter().zip(&along).map(|(g, d)| f64::from(g * d)).sum();
        let along = Tensor::from_vec(along, (1, 3, 32, 32), &Device::Cpu).unwrap();
        // Both are linear, so a long step is exact.
        let at = |t: f64| {
            let found = f(&(&picture + (&along * t).unwrap()).unwrap()).flatten_all().unwrap();
            let each = values(&found);
            let sum = each.iter().zip(values(&weights)).map(|(v, w)| f64::from(v * w));
            sum.sum::<f64>()
        };
        let numeric = (at(1.0) - at(-1.0)) / 2.0;
        assert!((exact - numeric).abs() < 1e-4 * exact.abs().max(1.0), "{exact} {numeric}");
    }
    // Rounding keeps the slope, and only that.
    let [a, b] = [&smooth, &rounded].map(|j| slope(&|x| j.apply(x).unwrap()));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5));
    let [a, b] = [&smooth, &rounded].map(|j| values(&j.apply(&picture).unwrap()));
    assert!(a.iter().zip(&b).any(|(a, b)| (a - b).abs() > 0.02));
}

#[test]
fn means_undo_an_enlargement_and_words_have_the_order_of_the_work() {
    let small = Tensor::from_vec(Rng::new(2).normals(2 * 3 * 64), (2, 3, 8, 8), &Device::Cpu);
    let small = small.unwrap();
    let own = degrader(&[("jpeg", 20.0), ("down", 4.0)], [3, 32, 32]);
    let back = own.target(&enlarge(&small, 4).unwrap()).unwrap();
    assert!(values(&back).iter().zip(values(&small)).all(|(a, b)| (a - b).abs() < 1e-6));
    let mut strengths = Numbers::default();
    for (name, value) in [("jpeg", 20.0), ("down", 1.0), ("blur", 1.5), ("grey", 1.0)] {
        strengths.set(name, value);
    }
    assert_eq!(words(&strengths), "grey, blur 1.5, jpeg 20");
    let refused = |name: &'static str, value: f64, size: Size| {
        Degrader::new(&[(name, value)].into(), size, &Device::Cpu).err().unwrap()
    };
    assert_eq!(refused("down", 5.0, [3, 32, 32]).repair(), Some("down: 4"));
    assert!(refused("grey", 1.0, [1, 32, 32]).message().contains("3 channels"));
    assert!(refused("jpeg", 50.0, [4, 32, 32]).message().contains("4"));
    let nothing = Degrader::new(&[("down", 1.0)].into(), [3, 32, 32], &Device::Cpu).unwrap();
    assert!(nothing.is_none());
}

/// A degraded sample of the toy, at full size.
fn degraded(strengths: &Numbers, seed: u64) -> (Tensor, Tensor) {
    let g = generator();
    let z = Tensor::from_vec(Rng::new(seed).normals(16), (1, 16), &Device::Cpu).unwrap();
    let input = Input::of(Noise::Const);
    let whole = spaces::picture(g.as_ref(), &z, Space::Z, &input).unwrap();
    let own = Degrader::new(strengths, [3, 32, 32], &Device::Cpu).unwrap().unwrap();
    let small = own.apply(&whole).unwrap();
    let factor = 32 / small.dim(2).unwrap();
    (whole, enlarge(&small, factor).unwrap())
}

fn config(degrade: Numbers, steps: usize) -> Config {
    Config { degrade, steps, ..Config::new(Space::W, &OPTIMIZE) }
}

#[test]
fn a_degraded_sample_is_found_again() {
    let g = generator();
    for strengths in [
        Numbers::from([("down", 4.0)]),
        [("grey", 1.0)].into(),
        [("blur", 1.5)].into(),
        [("grey", 1.0), ("blur", 0.7), ("down", 2.0)].into(),
        [("jpeg", 60.0)].into(),
    ] {
        let (whole, target) = degraded(&strengths, 5);
        let found = run(g.as_ref(), &target, &config(strengths.clone(), 300)).unwrap();
        let what = words(&strengths);
        let psnr = found.numbers.iter().find(|n| n.name == "psnr").unwrap();
        assert!(psnr.definition.contains(&what), "{}", psnr.definition);
        assert!(psnr.value > 32.0, "{what}: {}", psnr.value);
        // What is shown is the clean picture, nearer to the sample than what was given.
        let [clean, given] =
            [&found.reconstruction, &target].map(|t| Psnr.measure(t, &whole).unwrap()[0]);
        assert!(clean > given + 1.0, "{what}: {clean} of {given}");
        assert!(found.diagnosis.warnings.iter().any(|w| w.text.contains(&what)));
        assert!(found.how.contains(&format!(" degrade {what}")), "{}", found.how);
    }
}

#[test]
fn several_at_once_masked_and_resumed_are_the_same() {
    let strengths = Numbers::from([("down", 2.0), ("jpeg", 40.0)]);
    let [a, b] = [degraded(&strengths, 5).1, degraded(&strengths, 6).1];
    let both = Tensor::cat(&[&a, &b], 0).unwrap();
    let g = generator();
    let mask = Mask::of_shape(Shape::Rectangle([0.0, 0.0, 1.0, 0.6]), (32, 32), "").unwrap();
    let plain = Config { mask: Some(mask), ..config(strengths, 12) };
    let together = run(g.as_ref(), &both, &plain).unwrap();
    for (i, target) in [&a, &b].into_iter().enumerate() {
        let alone = run(g.as_ref(), target, &plain).unwrap();
        let own = together.code.point().narrow(0, i, 1).unwrap();
        assert_eq!(values(&own), values(alone.code.point()));
    }
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint { path: folder.path().join("run"), every: Duration::ZERO };
    let saved = Config { checkpoint: Some(checkpoint), ..plain.clone() };
    let (control, stats) = (Control::default(), stats(g.as_ref()));
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    control.request(Stop::Checkpoint);
    let stopped = invert(&job, &a, &saved).unwrap_err();
    assert_eq!(stopped.kind(), Kind::Resumable);
    // Without the degradation it is another run.
    let other = Config { degrade: Numbers::default(), ..saved.clone() };
    assert!(run(g.as_ref(), &a, &other).unwrap_err().message().contains("another run"));
    let resumed = run(g.as_ref(), &a, &saved).unwrap();
    let alone = run(g.as_ref(), &a, &plain).unwrap();
    assert_eq!(values(resumed.code.point()), values(alone.code.point()));
}
