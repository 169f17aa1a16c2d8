//! The method, its optimizer and its term.

use super::{error, gannet, run};
use crate::bench;
use crate::control::{Control, Stop};
use crate::error::Kind;
use crate::generator::{Input, codes, spaces, toy};
use crate::invert::{self, Checkpoint, Config, Inversion, Job, methods};
use crate::space::Space;
use crate::value::kept::Kept;
use crate::value::{Models, Value};
use candle_core::Device;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The result of `invert(picture, …)` on the toy, and what it shows.
fn inverted(arguments: &str) -> (Arc<Inversion>, Vec<String>) {
    let code = format!("r = invert(render(sample(seed: 3)), {arguments})\nr");
    let kept = run("toy", &code).unwrap();
    match kept.values.last() {
        Some(Value::Inversion(i)) => (i.clone(), kept.lines),
        other => panic!("{code}: {:?}", other.map(Value::ty)),
    }
}

#[test]
fn a_method_its_optimizer_and_its_term_run_and_are_told_of() {
    for (space, steps) in [("Z", 6), ("W", 12), ("W+", 12)] {
        let (i, lines) = inverted(&format!("method: dummy_method, space: {space}, steps: {steps}"));
        let losses = i.trace[0].losses();
        assert!((losses.len(), i.steps) == (steps + 1, steps) && i.loss[0] < losses[0], "{space}");
        assert_eq!(i.trace[0].names, ["l2", "perceptual", "dummy_term"]);
        assert!(i.how.contains("method dummy_method steps"), "{}", i.how);
        assert!(i.how.contains(" stride 2 ") && i.how.contains(" dummy_term 0.5 "), "{}", i.how);
        assert!(lines.iter().any(|l| l.contains("dummy_method")), "{lines:?}");
        let details =
            crate::value::details::details(&crate::value::Value::Inversion(i.clone())).unwrap();
        let details: Vec<String> = details.iter().flat_map(|b| b.lines()).collect();
        assert!(details[0].starts_with(&format!("dummy_method in {space}, ")), "{details:?}");
        assert!(details.iter().any(|l| l.contains("dummy_term")), "{details:?}");
    }
    // Without steps and space its own.
    let (i, _) = inverted("method: dummy_method");
    assert_eq!((i.steps, i.code.space), (12, Space::WPlus));
}

#[test]
fn a_term_can_be_weighed_with_every_method() {
    let names = |arguments: &str| inverted(arguments).0.trace[0].names.clone();
    assert!(!names("method: optimize, steps: 2").contains(&"dummy_term".into()));
    let weighed = "method: optimize, steps: 2, space: W, l2: 0, perceptual: 0, dummy_term: 3";
    assert_eq!(names(weighed), ["dummy_term"]);
    assert!(!names("method: dummy_method, dummy_term: 0").contains(&"dummy_term".into()));
    let hybrid = "method: hybrid, passes: 1, steps: 1, dummy_term: 3, perceptual: 0, offset: 0";
    assert_eq!(names(hybrid), ["l2", "dummy_term"]);
}

#[test]
fn the_length_of_a_step_is_the_parameters() {
    let moved = |stride: usize| {
        let how = format!("method: dummy_method, space: W, steps: 1, stride: {stride}");
        let (i, _) = inverted(&how);
        i.trace[0].losses()[1] - i.trace[0].losses()[0]
    };
    assert_ne!(moved(1), moved(20));
}

#[test]
fn the_checker_refuses_what_the_method_does_not_take() {
    let refused = |arguments: &str, words: &str| {
        let code = format!("invert(render(sample(seed: 3)), {arguments})");
        let e = error(&code);
        let text = format!("{} {}", e.message(), e.repair().unwrap_or_default());
        assert!(e.kind() == Kind::Check && text.contains(words), "{code}: {text}");
    };
    refused("method: dummy_method, space: S", "dummy_method searches W+ or W or Z");
    refused("method: dummy_method, stride: 0", "stride");
    refused("method: dummy_method, stride: 1.5", "stride");
    refused("method: dummy_method, dummy_term: -1", "dummy_term");
    refused("method: dummy_method, lr: 0.1", "dummy_method finds its own step lengths");
    refused("method: dummy_method, history: 3", "dummy_method does not read it");
    refused("method: dummy_method, passes: 1", "dummy_method does not run an encoder");
    refused("method: optimize, stride: 3", "method: dummy_method");
    refused("method: dummy_metod", "dummy_method");
    refused("dumy_term: 1", "dummy_term");
}

#[test]
fn the_command_line_takes_the_method() {
    let folder = tempfile::tempdir().unwrap();
    let (text, _) = gannet(folder.path(), &["invert", "--help"]);
    assert!(text.contains("dummy_method"), "{text}");
    let save = ["--model", "toy", "--out", ".", "eval", "save(sample(seed: 3), \"x.png\")"];
    gannet(folder.path(), &save);
    let how = ["--method", "dummy_method", "--steps", "3", "--space", "W"];
    let invert = ["--model", "toy", "--out", "found", "invert", "x.png"];
    let (text, _) = gannet(folder.path(), &[&invert[..], &how].concat());
    assert!(text.contains("dummy_method"), "{text}");
    assert!(folder.path().join("found/x.safetensors").exists());
}

#[test]
fn the_benchmark_takes_the_method() {
    let models = Models::cpu();
    let facts = models.load("toy").unwrap().facts.clone();
    let asked = ["dummy_method:5".to_owned()];
    let rows = bench::settings(&asked, &[], &facts).unwrap();
    let rows: Vec<_> = rows.iter().map(|s| (s.method.name, s.space, s.steps)).collect();
    let wanted = [Space::W, Space::WPlus].map(|space| ("dummy_method", space, Some(5)));
    assert_eq!(rows, wanted);
}

#[test]
fn a_stopped_search_goes_on_with_the_state_of_the_optimizer() {
    let g = toy(0, &Device::Cpu).unwrap();
    let draw = spaces::Draw { seed: 3, ..spaces::Draw::default() };
    let code = spaces::sample(&*g, 1, draw).unwrap();
    let target = codes::synthesize(&*g, &code, &Input::default()).unwrap();
    let method = methods::find("dummy_method").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (path, every) = (folder.path().join("state"), Duration::from_secs(3600));
    let plain = Config { steps: 30, ..Config::new(Space::W, method) };
    let saved = Config { checkpoint: Some(Checkpoint { path, every }), ..plain.clone() };
    let run = |control: &Control, c: &Config| invert::invert(&Job::new(&*g, control), &target, c);
    let inner = Arc::new(OnceLock::<Control>::new());
    let holder = inner.clone();
    let control = Control::new(move |_| {
        if let Some(control) = holder.get() {
            control.request(Stop::Checkpoint);
        }
    });
    inner.set(control.clone()).ok().unwrap();
    assert_eq!(run(&control, &saved).unwrap_err().kind(), Kind::Resumable);
    let [whole, resumed] = [&plain, &saved].map(|c| run(&Control::default(), c).unwrap());
    assert_eq!(whole.trace, resumed.trace);
}

#[test]
fn a_result_comes_back_from_a_journal() {
    let (i, _) = inverted("method: dummy_method, space: W, steps: 2, stride: 7, dummy_term: 2");
    let models = Models::cpu();
    models.load("toy").unwrap();
    let line = serde_json::to_string(&Kept::of(&Value::Inversion(i.clone()))).unwrap();
    let kept: Kept = serde_json::from_str(&line).unwrap();
    let Some(Value::Inversion(back)) = kept.value(&models).unwrap() else { panic!("{line}") };
    assert_eq!((back.config.method, &back.trace), (i.config.method, &i.trace));
    assert_eq!(back.config.describe().unwrap(), i.config.describe().unwrap());
}
