//! HyperInverter on weights by a formula: against the official code
//! (`scripts/reference/hyperinverter.py`), and in programs.

use super::encoder_tests::{Place, save, written};
use super::*;
use crate::generator::{Input, codes};
use crate::latent::{Code, Part, Parts};
use crate::network::formula::{Case, apart, filled};
use crate::network::{Move, Seen};
use crate::space::Space;
use crate::value::Models;
use candle_core::Tensor;
use std::path::{Path, PathBuf};

/// The generator of a case, which its checkpoint does not hold.
fn generator(place: &Place) -> PathBuf {
    let path = place.at("generator.safetensors");
    save(&path, &Case::open("encoders", "hyperinverter_g").state());
    path
}

/// Every second pixel.
fn thin(picture: &Tensor) -> Tensor {
    let (_, _, h, w) = picture.dims4().unwrap();
    let at = |side: usize| {
        let all: Vec<u32> = (0..side as u32).step_by(2).collect();
        Tensor::new(all, picture.device()).unwrap()
    };
    picture.index_select(&at(h), 2).unwrap().index_select(&at(w), 3).unwrap()
}

/// The change of a weight that the first code brings, of the shape of another tensor.
fn change(parts: &Parts, weight: usize, like: &Tensor) -> Tensor {
    let parts = parts.slice(0, 1).unwrap();
    let factors = (parts.get(Part::Left(weight)), parts.get(Part::Right(weight)));
    let found = match (factors, parts.get(Part::Delta(weight))) {
        ((Some(left), Some(right)), None) => left.broadcast_matmul(right).unwrap(),
        ((None, None), Some(delta)) => delta.clone(),
        other => panic!("{other:?}"),
    };
    found.reshape(like.dims()).unwrap()
}

fn agrees(name: &str, weights: usize) {
    let place = Place::new();
    let path = place.encoder(name);
    let case = Case::open("encoders", name);
    let loaded = Models::cpu().load(generator(&place).to_str().unwrap()).unwrap();
    let encoder = loaded.encoder_in(&path, None).unwrap();
    assert!(encoder.name().starts_with("HyperInverter ") && encoder.passes() == 2);
    let g = loaded.generator().unwrap();
    let near = |what: &str, found: &Tensor, wanted: &str| {
        let error = apart(found, case.tensor(wanted));
        assert!(error < 1e-4, "{name}: {what}, {error}");
    };
    let pictures = filled(&[2, 3, 256, 256], 9001, 0.9);
    let first = Seen::first(&pictures, &pictures);
    let Move::To(code) = encoder.pass(&first).unwrap() else { panic!("no code") };
    near("code", &code.narrow(1, 7, 1).unwrap(), "code");
    let parts = Parts::of(code);
    let mut code = Code { space: Space::WPlus, parts, model: None, origin: String::new() };
    let picture = |code: &Code| codes::synthesize(&**g, code, &Input::default()).unwrap();
    let current = picture(&code);
    near("picture", &thin(&current), "picture0");
    let seen = Seen { pictures: &pictures, current: &current, pass: 1, found: &[] };
    assert!(matches!(encoder.pass(&seen).unwrap(), Move::Stay));
    code.parts.extend(encoder.beside(&seen).unwrap());
    let all = g.weights().unwrap();
    let state = case.said("state");
    let found = state.as_object().unwrap().keys().filter(|name| name.ends_with(".w1"));
    let mut count = 0;
    for key in found {
        let of = key.trim_start_matches("state_dict.hypernet.weight_regressors.");
        let of = of.trim_end_matches(".w1").replace('_', ".");
        let weight = all.keys().position(|own| *own == format!("synthesis.{of}")).unwrap();
        let wanted = format!("delta.{of}");
        near(&of, &change(&code.parts, weight, case.tensor(&wanted)), &wanted);
        count += 1;
    }
    assert_eq!(count, weights);
    near("picture", &thin(&picture(&code)), "picture1");
    // A later pass changes nothing; a first one begins with the code alone.
    assert!(encoder.beside(&Seen { pass: 2, ..seen }).unwrap().is_empty());
    let found = [(Part::Left(3), Tensor::ones_like(code.point()).unwrap())];
    let cleared = encoder.beside(&Seen { found: &found, ..first }).unwrap();
    assert_eq!(cleared[0].1.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap(), 0.0);
}

#[test]
fn hyperinverter_equals_the_official_code() {
    agrees("hyperinverter", 14);
}

#[test]
fn hyperinverter_on_a_resnet_equals_the_official_code() {
    agrees("hyperinverter_resnet", 7);
}

#[test]
fn hyperinverter_in_a_program() {
    let place = Place::new();
    let (path, model) = (place.encoder("hyperinverter"), generator(&place));
    let given = |path: &Path| format!("method: encoder, encoder: {}", written(path));
    let program = format!(
        "r = invert(sample(seed: 3), {})\nsave(r, {}, outside: true)\n\
         c = latent({})\nprint(c)\nprint(psnr(r, c))\n\
         print(psnr(lerp(c, sample(seed: 4, space: W+), 0), c))\nr",
        given(&path),
        written(&place.at("code.safetensors")),
        written(&place.at("code.safetensors")),
    );
    let kept = place.run(&model, &program).unwrap();
    assert!(kept.printed[0].starts_with("Latent[W+] 8×64"), "{:?}", kept.printed);
    let psnr = |line: usize| kept.printed[line].parse::<f64>().unwrap_or(f64::INFINITY);
    assert!(psnr(1) > 50.0 && psnr(2) > 100.0, "{:?}", kept.printed);
    match kept.last() {
        Some(Value::Inversion(r)) => assert!(r.steps == 2 && r.how.contains("HyperInverter ")),
        other => panic!("{:?}", other.map(Value::ty)),
    }
    // Another generator lacks a weight, or has one of another size.
    let e = place.inverted(&given(&path)).err().unwrap();
    assert!(e.repair().unwrap().contains("that it was trained for"), "{e}");
    // A file that lacks a part is refused.
    let mut tensors = Case::open("encoders", "hyperinverter").state();
    tensors.remove("state_dict.hypernet.weight_regressors.b8_conv0_weight.b2");
    save(&path, &tensors);
    let call = format!("r = invert(sample(seed: 3), {})", given(&path));
    let e = place.run(&model, &call).err().unwrap();
    assert!(e.message().contains("b8_conv0_weight.b2"), "{e}");
}
