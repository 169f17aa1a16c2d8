//! The built-in conditional generator and its pair of encoders, in programs.

use super::tests::Kept;
use super::*;
use crate::generator::{Input, spaces};
use crate::network::formula::{Case, apart};
use crate::space::Space;
use crate::value::Models;
use candle_core::{Device, Tensor};

fn run_with(model: &str, program: &str) -> Result<Kept> {
    let mut state = State::new(Models::cpu(), model, Options::default())?;
    let mut kept = Kept::default();
    let source = Source::new("test", program).unwrap();
    state.run(&source, &BTreeMap::new(), &Control::default(), &mut kept)?;
    Ok(kept)
}

fn inversions(program: &str) -> Vec<Arc<crate::invert::Inversion>> {
    let kept = run_with("icgan", program).unwrap();
    let found = kept.values();
    let each = found.iter().map(|value| match value {
        Value::Inversion(i) => i.clone(),
        other => panic!("{}", other.ty()),
    });
    each.collect()
}

/// The class of every code.
fn classes(i: &crate::invert::Inversion) -> Vec<u32> {
    i.code.labels().unwrap().argmax(1).unwrap().to_vec1().unwrap()
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_pair_finds_code_and_class_and_a_class_that_is_given_counts() {
    let found = inversions(
        "x = render(sample(seed: 3, class: 5)); y = render(sample(seed: 8, class: 2))\n\
         invert(x, method: encoder)\n\
         invert(x, method: encoder, class: 2)\n\
         invert([x, y], method: encoder)\n\
         invert(x, steps: 12)\n\
         invert(x, method: optimize, steps: 3)",
    );
    let [one, given, both, more, plain] = &found[..] else { panic!("{}", found.len()) };
    let each = found.iter().map(|i| classes(i)).collect::<Vec<_>>();
    assert_eq!(each, [vec![5], vec![2], vec![5, 2], vec![5], vec![5]]);
    assert_eq!((one.code.space, one.steps, one.best_step[0]), (Space::Z, 1, 1));
    assert!(one.how.contains(" · encoder "), "{}", one.how);
    // Neither the class nor the neighbour changes what E_z says.
    let first = both.code.point().narrow(0, 0, 1).unwrap();
    for code in [given.code.point(), &first] {
        assert_eq!(numbers(code), numbers(one.code.point()));
    }
    // Without a method the search goes on from the pair's code.
    assert_eq!(more.config.method.name, "hybrid");
    assert!(more.loss[0] < one.loss[0], "{} {}", more.loss[0], one.loss[0]);
    assert_eq!(plain.config.method.name, "optimize");
}

/// The embedded generator in PyTorch, its code filled in (`scripts/reference/pair.py`): the class
/// does what those coordinates do.
#[test]
fn a_class_stands_for_coordinates_of_the_code() {
    let case = Case::open("pair", "icgan");
    let model = Models::cpu().load("icgan").unwrap();
    // Its files alone are whole with what is inside gannet.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/models/icgan");
    let own = Models::cpu().load(folder).unwrap();
    assert_eq!((own.id(), own.facts.pair), (model.id(), true));
    let g = &**model.generator().unwrap();
    let input = Input::labelled(Some(case.tensor("classes")));
    let pictures = spaces::picture(g, case.tensor("z"), Space::Z, &input).unwrap();
    let thin = case.said("thin").as_u64().unwrap() as usize;
    let every: Vec<u32> = (0..pictures.dims()[2] as u32).step_by(thin).collect();
    let every = Tensor::new(every, &Device::Cpu).unwrap();
    let seen = pictures.index_select(&every, 2).unwrap().index_select(&every, 3).unwrap();
    let error = apart(&seen, case.tensor("picture"));
    assert!(error < 1e-3, "{error}");
}

/// What methods.md asks of IcGAN: codes of samples are found again, and changing the class alone
/// changes the attribute that it names while the code stays.
#[test]
fn codes_of_samples_are_found_and_a_class_changes_its_attribute_alone() {
    let kept = run_with(
        "icgan",
        "c = sample(n: 64, seed: 1, space: Z, class: 0)\n\
         r = invert(render(c), method: encoder, class: 0)\n\
         e = invert(render(r, class: 2), method: encoder, class: 0)\n\
         c\nr\ne\n\
         all = [one for one in r]\n\
         put_on = [attributes(render(all[k], class: 2))[\"glasses\"] > 0.5 for k in 0..7]\n\
         taken = [attributes(all[k])[\"glasses\"] < 0.5 for k in 0..7]\n\
         print(len([yes for yes in put_on if yes])); print(len([yes for yes in taken if yes]))",
    );
    let kept = kept.unwrap();
    let point = |value: &Value| match value {
        Value::Latent(code) => numbers(code.point()),
        Value::Inversion(i) => numbers(i.code.point()),
        other => panic!("{}", other.ty()),
    };
    let all: Vec<Vec<f32>> = kept.values().into_iter().map(point).collect();
    let [drawn, found, changed] = &all[..] else { panic!("{}", all.len()) };
    assert!(correlation(drawn, found) > FOUND, "{}", correlation(drawn, found));
    assert!(correlation(found, changed) > KEPT, "{}", correlation(found, changed));
    let seen = kept.printed.iter().map(|line| line.parse::<usize>().unwrap());
    assert!(seen.clone().count() == 2 && seen.min() >= Some(7), "{:?}", kept.printed);
}

/// Correlation over all numbers of all codes, whose mean is 0.
fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| {
        x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Much of z does not show in a picture: see `models/icgan/README.md`.
const FOUND: f64 = 0.4;
const KEPT: f64 = 0.85;

#[test]
fn an_encoder_is_asked_only_for_codes_of_its_own_space() {
    let said = |model: &str, program: &str| {
        let e = run_with(model, program).map(|_| ()).unwrap_err();
        (e.message().to_owned(), e.repair().unwrap_or_default().to_owned())
    };
    let (message, repair) = said("toy", "invert(sample(seed: 1), method: encoder, space: Z)");
    assert!(message.contains("finds codes of W+, not of Z"), "{message}");
    assert_eq!(repair, "space: W+");
    let (message, repair) = said("icgan", "invert(blank(), method: hybrid, space: W+)");
    assert!(message.contains("the encoder of icgan finds codes of Z, not of W+"), "{message}");
    assert_eq!(repair, "space: Z");
    let program = "invert(sample(seed: 1), space: Z, steps: 2)\ninvert(sample(seed: 1), steps: 2)";
    let kept = run_with("toy", program).unwrap();
    let methods = kept.values().into_iter().map(|value| match value {
        Value::Inversion(i) => i.config.method.name,
        other => panic!("{}", other.ty()),
    });
    assert_eq!(methods.collect::<Vec<_>>(), ["optimize", "hybrid"]);
    // A sample has no picture yet that could tell its class.
    let (message, repair) = said("icgan", "sample(seed: 1)");
    assert!(message.contains("conditional on 8 classes"), "{message}");
    assert_eq!(repair, "say which: class: 0");
}
