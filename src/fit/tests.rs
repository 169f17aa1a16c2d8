//! Tests of fits on the toy generator.

use super::*;
use crate::control::{Control, Stop};
use crate::error::{Error, Kind};
use crate::generator::toy::Toy;
use crate::generator::{Generator, dcgan};
use crate::network::encoder_tests::step;
use crate::network::{Encoder, Regressor, Seen};
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use std::path::Path;
use std::sync::{Arc, OnceLock};

fn toy() -> Arc<dyn Generator> {
    Arc::new(Toy { resolution: 16, ..Toy::default() }.build(&Device::Cpu).unwrap())
}

fn setting(samples: usize, steps: usize, folder: Option<&Path>) -> Setting {
    let folder = folder.map(Path::to_owned);
    Setting { seed: 5, samples, limit: Limit::Steps(steps), folder }
}

fn start(g: &dyn Generator) -> Start {
    Start::random(g.spec().channels, g.spec().width, 5, &Device::Cpu).unwrap()
}

fn fitted(setting: &Setting, control: &Control) -> crate::error::Result<Fitted> {
    let g = toy();
    let _entered = control.enter();
    fit(&*g, &start(&*g), setting, control)
}

fn bits(found: &Fitted) -> Vec<(String, Vec<u32>)> {
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let of = |(name, t): (&String, &Tensor)| {
        (name.clone(), values(t).into_iter().map(f32::to_bits).collect())
    };
    found.tensors.iter().map(of).collect()
}

/// A control that asks for a stop at its n-th report of a kind of work.
fn stopping(title: &'static str, at: usize, stop: Stop) -> Control {
    let holder = Arc::new(OnceLock::<Control>::new());
    let inner = holder.clone();
    let control = Control::new(move |p| {
        if p.title == title && p.step >= at {
            inner.get().unwrap().request(stop);
        }
    });
    holder.set(control.clone()).ok().unwrap();
    control
}

#[test]
fn training_lowers_the_error_on_samples_that_were_held_out() {
    let control = Control::default();
    let ridge = fitted(&setting(96, 0, None), &control).unwrap().report;
    assert_eq!((ridge.steps, ridge.kept, ridge.samples), (0, 0, 96));
    assert!(ridge.r2 == ridge.r2_ridge && ridge.r2 > 0.1, "{ridge:?}");
    let found = fitted(&setting(96, 150, None), &control).unwrap();
    let report = &found.report;
    assert!(report.kept > 0 && report.samples > 96, "{report:?}");
    assert_eq!(report.r2_ridge, ridge.r2_ridge, "the same samples come first");
    assert!(report.r2 > ridge.r2, "{report:?}");
    // Passes bring the pictures nearer than the mean code is, too.
    let last = report.passes.last().unwrap();
    assert_eq!(last.passes, found.config.steps);
    assert!(last.psnr > report.passes[0].psnr + 1.0 && last.r2 > 0.1, "{report:?}");
    assert!(report.passes[0].r2.abs() < 0.2);
    // A pass of two equal pictures moves nothing, and its sizes are those of the generator.
    let g = toy();
    let weights = Weights::of_tensors("e", found.tensors.clone());
    let encoder = Regressor::new("e", found.config.clone(), weights, &Device::Cpu).unwrap();
    let spec = g.spec();
    encoder.check(&spec.name, spec.channels, &spec.dims()).unwrap();
    let picture = Tensor::rand(-1f32, 1f32, (2, 3, 16, 16), &Device::Cpu).unwrap();
    let still = step(encoder.pass(&Seen::first(&picture, &picture)));
    assert_eq!(still.dims(), [2, spec.num_ws, spec.w_dim]);
    assert!(still.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|v| *v == 0.0));
}

#[test]
fn a_fit_that_goes_on_gives_the_bits_of_one_that_was_not_stopped() {
    let (steps, samples) = (14, 48);
    let whole = fitted(&setting(samples, steps, None), &Control::default()).unwrap();
    for (title, at, kind) in [
        ("draw samples", 64, Kind::Resumable),
        ("train", 5, Kind::Resumable),
        ("train", 8, Kind::Interrupted),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let stop = if kind == Kind::Resumable { Stop::Checkpoint } else { Stop::Abort };
        let setting = setting(samples, steps, Some(folder.path()));
        let e = fitted(&setting, &stopping(title, at, stop)).err().unwrap();
        assert_eq!(e.kind(), kind, "{e}");
        assert!(e.repair().unwrap().contains("goes on"));
        let again = fitted(&setting, &Control::default()).unwrap();
        assert!(bits(&again) == bits(&whole), "{title} {at}");
        let strip = |r: &Report| Report { seconds: 0.0, ..r.clone() };
        assert_eq!(strip(&again.report), strip(&whole.report));
        // At its end there is nothing left to do; more steps go on.
        assert!(bits(&fitted(&setting, &Control::default()).unwrap()) == bits(&whole));
        let more = Setting { limit: Limit::Steps(steps + 3), ..setting };
        assert_eq!(fitted(&more, &Control::default()).unwrap().report.steps, steps + 3);
    }
}

#[test]
fn a_first_interrupt_keeps_what_there_is() {
    let half = |title, at| fitted(&setting(96, 40, None), &stopping(title, at, Stop::Keep));
    let report = half("train", 6).unwrap().report;
    assert_eq!((report.steps, report.passes.len() > 1), (6, true));
    // Enough samples for the regression, but not all of them.
    let report = half("draw samples", 128).unwrap().report;
    assert_eq!((report.steps, report.samples), (0, 48));
    // A run with exact steps does not go on from a regression of fewer samples.
    let folder = tempfile::tempdir().unwrap();
    let kept = setting(96, 2, Some(folder.path()));
    let short = fitted(&kept, &stopping("draw samples", 128, Stop::Keep)).unwrap();
    assert_eq!((short.report.steps, short.report.samples), (0, 48));
    let whole = fitted(&setting(96, 2, None), &Control::default()).unwrap();
    assert!(bits(&fitted(&kept, &Control::default()).unwrap()) == bits(&whole));
    let few = half("draw samples", 32).err().unwrap();
    assert_eq!(few.kind(), Kind::Interrupted);
}

#[test]
fn time_limits_end_a_fit_early() {
    let setting = Setting {
        limit: Limit::Time(std::time::Duration::from_millis(1)),
        ..setting(900, 0, None)
    };
    let report = fitted(&setting, &Control::default()).unwrap().report;
    // The fewest samples that a regression takes.
    assert_eq!((report.samples, report.steps), (32, 0));
}

#[test]
fn files_of_something_else_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let setting = setting(32, 2, Some(folder.path()));
    fitted(&setting, &Control::default()).unwrap();
    let refused = |found: crate::error::Result<Fitted>| {
        let e: Error = found.err().unwrap();
        assert!(e.repair().is_some(), "{e}");
        e.message().to_owned()
    };
    let other = Setting { seed: 6, ..setting.clone() };
    assert!(refused(fitted(&other, &Control::default())).contains("another fit"));
    let samples = folder.path().join("samples-00000.safetensors");
    let state = folder.path().join("state-32-steps.safetensors");
    std::fs::copy(&state, &samples).unwrap();
    assert!(fitted(&setting, &Control::default()).is_err());
    std::fs::write(&state, [0; 99]).unwrap();
    assert!(fitted(&setting, &Control::default()).is_err());
}

#[test]
fn generators_without_w_are_refused_and_classes_are_fitted() {
    let g = dcgan::Toy::default().build(&Device::Cpu).unwrap();
    let setting = setting(32, 1, None);
    let control = Control::default();
    let e = fit(&g, &start(&g), &setting, &control).err().unwrap();
    assert!(e.message().contains("has no W") && e.repair().is_some(), "{e}");
    let g = Toy { resolution: 16, c_dim: 3, ..Toy::default() }.build(&Device::Cpu).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let setting = Setting { folder: Some(folder.path().to_owned()), ..setting };
    let once = fit(&g, &start(&g), &setting, &control).unwrap();
    let again = fit(&g, &start(&g), &setting, &control).unwrap();
    assert!(bits(&once) == bits(&again), "samples and labels are read again");
}
