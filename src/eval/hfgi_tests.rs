//! HFGI on weights by a formula: against the official code (`scripts/reference/hfgi.py`), and in
//! programs.

use super::encoder_tests::{Place, save, written};
use super::*;
use crate::generator::{Input, codes};
use crate::latent::{Code, Part, Parts};
use crate::network::formula::{Case, apart, filled};
use crate::network::{Move, Seen};
use crate::space::Space;
use crate::value::Models;
use candle_core::Tensor;

/// Every so many places of a map.
fn thin(map: &Tensor, step: usize) -> Tensor {
    let (_, _, h, w) = map.dims4().unwrap();
    let at = |side: usize| {
        let all: Vec<u32> = (0..side as u32).step_by(step).collect();
        Tensor::new(all, map.device()).unwrap()
    };
    map.index_select(&at(h), 2).unwrap().index_select(&at(w), 3).unwrap()
}

#[test]
fn hfgi_equals_the_official_code() {
    let place = Place::new();
    let path = place.encoder("hfgi");
    let case = Case::open("encoders", "hfgi");
    let loaded = Models::cpu().load(path.to_str().unwrap()).unwrap();
    assert!(loaded.facts.ffhq && loaded.encoder_words().unwrap().unwrap().contains("HFGI on e4e"));
    let encoder = loaded.encoder().unwrap().unwrap();
    assert_eq!(encoder.passes(), 2);
    let g = loaded.generator().unwrap();
    let near = |what: &str, found: &Tensor, wanted: &str| {
        let error = apart(found, case.tensor(wanted));
        assert!(error < 1e-4, "{what}, {error}");
    };
    let pictures = filled(&[1, 3, 256, 256], 9001, 0.9);
    let first = Seen::first(&pictures, &pictures);
    let Move::To(code) = encoder.pass(&first).unwrap() else { panic!("no code") };
    near("code", &code, "code");
    let parts = Parts::of(code);
    let mut code = Code { space: Space::WPlus, parts, model: None, origin: String::new() };
    let picture = |code: &Code| codes::synthesize(&**g, code, &Input::default()).unwrap();
    let plain = picture(&code);
    near("picture", &thin(&plain, 2), "picture0");
    let seen = Seen { pictures: &pictures, current: &plain, pass: 1, found: &[] };
    assert!(matches!(encoder.pass(&seen).unwrap(), Move::Stay));
    code.parts.extend(encoder.beside(&seen).unwrap());
    let layer = loaded.spec().layers.iter().position(|layer| layer.name == "b64.conv0").unwrap();
    let part = |part: Part| thin(code.parts.get(part).unwrap(), 4);
    near("scale", &part(Part::Scale(layer)), "scale");
    near("shift", &part(Part::Residual(layer)), "shift");
    let whole = picture(&code);
    near("picture", &thin(&whole, 2), "picture1");
    // As it is kept: a residual alone makes the same picture, and without it there is e4e's.
    let input = Input::default();
    let settled = codes::settled(&**g, &code.parts, (code.space, &input)).unwrap();
    let names: Vec<Part> = settled.iter().map(|(part, _)| part).collect();
    assert_eq!(names, [Part::Point, Part::Residual(layer)]);
    let kept = Code { parts: settled, ..code.clone() };
    assert!(apart(&picture(&kept), &whole) < 1e-5);
    let zero = code.parts.get(Part::Residual(layer)).unwrap().zeros_like().unwrap();
    let bare = kept.with(Part::Residual(layer), zero);
    assert!(apart(&picture(&bare), &plain) < 1e-5);
    // A later pass changes nothing; a first one begins with the code alone.
    assert!(encoder.beside(&Seen { pass: 2, ..seen }).unwrap().is_empty());
    let found = [(Part::Residual(layer), whole)];
    let cleared = encoder.beside(&Seen { found: &found, ..first }).unwrap();
    assert_eq!(cleared[0].1.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap(), 0.0);
}

#[test]
fn hfgi_in_a_program() {
    let place = Place::new();
    let path = place.encoder("hfgi");
    let program = "r = invert(sample(seed: 3), method: encoder)\nprint(info())\nr";
    let kept = place.run(&path, program).unwrap();
    assert!(kept.printed[0].contains("HFGI on e4e"), "{:?}", kept.printed);
    match kept.last() {
        Some(Value::Inversion(r)) => assert!(r.steps == 2 && r.how.contains("HFGI ")),
        other => panic!("{:?}", other.map(Value::ty)),
    }
    // With pSp's codes it is another kind; a file without options does not say which.
    let options = path.with_extension("json");
    let psp = std::fs::read_to_string(&options).unwrap();
    let psp = psp.replace("Encoder4Editing", "GradualStyleEncoder");
    std::fs::write(&options, psp).unwrap();
    let loaded = Models::cpu().load(path.to_str().unwrap()).unwrap();
    assert!(loaded.encoder_words().unwrap().unwrap().contains("HFGI on pSp"));
    let given = format!("method: encoder, encoder: {}", written(&path));
    let e = place.inverted(&given).err().unwrap();
    assert!(e.message().contains("changes a map of 4 channels at 64²"), "{e}");
    std::fs::remove_file(options).unwrap();
    let e = place.inverted(&given).err().unwrap();
    assert!(e.message().contains("HFGI or HFGI-pSp") && e.repair().is_some(), "{e}");
    // A file that lacks a part is refused.
    let mut tensors = Case::open("encoders", "hfgi").state();
    tensors.remove("state_dict.residue.condition_shift3.2.bias");
    save(&path, &tensors);
    std::fs::write(path.with_extension("json"), "{\"encoder_type\": \"Encoder4Editing\"}").unwrap();
    let e = place.inverted(&given).err().unwrap();
    assert!(e.message().contains("condition_shift3.2.bias"), "{e}");
}
