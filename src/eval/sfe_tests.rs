//! StyleFeatureEditor on weights by a formula: against the official code
//! (`scripts/reference/sfe.py`), and in programs.

use super::encoder_tests::{Place, save, written};
use super::*;
use crate::generator::{Input, Tap, codes};
use crate::latent::{Code, Part, Parts};
use crate::network::formula::{Case, apart, filled};
use crate::network::{Move, Seen};
use crate::space::Space;
use crate::value::Models;
use candle_core::Tensor;

/// Every fourth place of a map.
fn thin(map: &Tensor) -> Tensor {
    let (_, _, h, w) = map.dims4().unwrap();
    let at = |side: usize| {
        let all: Vec<u32> = (0..side as u32).step_by(4).collect();
        Tensor::new(all, map.device()).unwrap()
    };
    map.index_select(&at(h), 2).unwrap().index_select(&at(w), 3).unwrap()
}

fn agrees(name: &str) {
    let place = Place::new();
    let path = place.encoder(name);
    let case = Case::open("encoders", name);
    let loaded = Models::cpu().load(path.to_str().unwrap()).unwrap();
    assert!(loaded.encoder_words().unwrap().unwrap().contains("StyleFeatureEditor"));
    let encoder = loaded.encoder().unwrap().unwrap();
    assert!(encoder.name().starts_with("SFE ") && encoder.passes() == 1);
    let g = loaded.generator().unwrap();
    let near = |what: &str, found: &Tensor, wanted: &str| {
        let error = apart(found, case.tensor(wanted));
        // What is added is a difference of two maps, both larger than it.
        let most = if what == "map" { 2e-4 } else { 1e-4 };
        assert!(error < most, "{name}: {what}, {error}");
    };
    let pictures = filled(&[1, 3, 320, 320], 9001, 0.9);
    let seen = Seen::first(&pictures, &pictures);
    let Move::To(code) = encoder.pass(&seen).unwrap() else { panic!("no code") };
    near("code", &code, "code");
    let parts = Parts::of(code);
    let mut code = Code { space: Space::WPlus, parts, model: None, origin: String::new() };
    let input = Input::default();
    let picture = |code: &Code| codes::synthesize(&**g, code, &input).unwrap();
    let plain = picture(&code);
    near("picture", &thin(&plain), "picture0");
    code.parts.extend(encoder.beside(&seen).unwrap());
    let layer = loaded.spec().layers.iter().position(|layer| layer.name == "b64.conv1").unwrap();
    let names: Vec<Part> = code.parts.iter().map(|(part, _)| part).collect();
    assert_eq!(names, [Part::Point, Part::Onward(layer)]);
    near("map", &thin(code.parts.get(Part::Onward(layer)).unwrap()), "added");
    near("picture", &thin(&picture(&code)), "picture1");
    // The layer keeps its own map; only what follows reads the other one.
    let maps = |code: &Code, layer| {
        codes::tapped(&**g, &code.parts, code.space, &input, Tap::Layer(layer)).unwrap()
    };
    let bare = Code { parts: code.parts.clone().without(&[Part::Onward(layer)]), ..code.clone() };
    assert!(apart(&maps(&code, layer), &maps(&bare, layer)) == 0.0);
    assert!(apart(&maps(&code, layer + 1), &maps(&bare, layer + 1)) > 0.01);
    let none = code.parts.get(Part::Onward(layer)).unwrap().zeros_like().unwrap();
    assert!(apart(&picture(&code.clone().with(Part::Onward(layer), none)), &plain) < 1e-5);
}

#[test]
fn style_feature_editor_equals_the_official_code() {
    agrees("sfe");
}

#[test]
fn its_inverter_alone_equals_the_official_code() {
    agrees("sfe_inverter");
}

#[test]
fn style_feature_editor_in_a_program() {
    let place = Place::new();
    let path = place.encoder("sfe_inverter");
    let saved = written(&place.at("code.safetensors"));
    let program = format!(
        "r = invert(sample(seed: 3), method: encoder)\nsave(r, {saved}, outside: true)\n\
         c = latent({saved})\nprint(c)\nprint(psnr(r, c))\nr"
    );
    let kept = place.run(&path, &program).unwrap();
    assert!(kept.printed[0].starts_with("Latent[W+] 12×64"), "{:?}", kept.printed);
    assert!(kept.printed[1].parse::<f64>().unwrap_or(f64::INFINITY) > 50.0, "{:?}", kept.printed);
    match kept.last() {
        Some(Value::Inversion(r)) => assert!(r.steps == 1 && r.how.contains("SFE ")),
        other => panic!("{:?}", other.map(Value::ty)),
    }
    let given = format!("method: encoder, encoder: {}", written(&path));
    let e = place.inverted(&given).err().unwrap();
    assert!(e.message().contains("changes a map of 5 channels at 64²") && e.repair().is_some());
    // A file that lacks a part is refused.
    let mut tensors = Case::open("encoders", "sfe_inverter").state();
    tensors.remove("state_dict.encoder.fuser.body.2.body.4.weight");
    save(&path, &tensors);
    let e = place.run(&path, "r = invert(sample(seed: 3), method: encoder)").err().unwrap();
    assert!(e.message().contains("body.2.body.4.weight"), "{e}");
}
