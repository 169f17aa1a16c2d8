//! HyperStyle on weights by a formula: against the official code
//! (`scripts/reference/hyperstyle.py`), and in programs.

use super::encoder_tests::{Place, save, written};
use super::*;
use crate::generator::{Input, codes, spaces};
use crate::latent::{Code, Part, Parts};
use crate::network::formula::{Case, apart, filled};
use crate::network::{Move, Seen};
use crate::space::Space;
use crate::value::Models;
use candle_core::Tensor;
use std::path::PathBuf;

/// Writes the file of a case with all that a checkpoint holds, and its encoder into W beside it.
fn written_case(place: &Place, name: &str) -> [PathBuf; 2] {
    let hyper = place.encoder(name);
    let mut tensors = Case::open("encoders", name).state();
    // All heads share two layers, and each has them under its own name.
    let shared = "state_dict.hypernet.shared_weight_hypernet.w1";
    let copy = tensors[shared].clone();
    tensors.insert("state_dict.hypernet.refinement_blocks.2.hypernet.w1".into(), copy);
    save(&hyper, &tensors);
    [hyper, place.encoder("hyperstyle_w")]
}

/// The weights of the convolutions 2, 3, 5 and 6, as the official code counts them.
const TUNED: [(&str, &str); 4] =
    [("2", "b8.conv0"), ("3", "b8.conv1"), ("5", "b16.conv0"), ("6", "b16.conv1")];

/// A gain as the official code has it, `[N, O, I, k, k]`.
fn official(parts: &Parts, weight: usize, like: &Tensor) -> Tensor {
    let gain = parts.gain(weight).unwrap().unwrap();
    let [n, rows, columns, k, _] = like.dims() else { panic!("{like:?}") };
    let all = gain.reshape((*n, *rows, *columns, ()));
    let all = all.unwrap().broadcast_as((*n, *rows, *columns, k * k)).unwrap();
    all.reshape(like.dims()).unwrap()
}

fn agrees(name: &str) {
    let place = Place::new();
    let [hyper, _] = written_case(&place, name);
    let case = Case::open("encoders", name);
    let loaded = Models::cpu().load(hyper.to_str().unwrap()).unwrap();
    assert!(loaded.facts.encoder && loaded.encoder_words().unwrap().unwrap().contains("HyperS"));
    let encoder = loaded.encoder().unwrap().unwrap();
    let g = loaded.generator().unwrap();
    assert_eq!(encoder.passes(), 3, "two, after the one that finds the code");
    let near = |what: &str, found: &Tensor, wanted: &str| {
        let error = apart(found, case.tensor(wanted));
        assert!(error < 1e-4, "{name}: {what}, {error}");
    };
    let pictures = filled(&[2, 3, 256, 256], 9001, 0.9);
    let first = Seen::first(&pictures, &pictures);
    let Move::To(code) = encoder.pass(&first).unwrap() else { panic!("no code") };
    near("code", &code, "code");
    let parts = Parts::of(code);
    let mut code = Code { space: Space::WPlus, parts, model: None, origin: String::new() };
    for pass in 0..3 {
        let current = codes::synthesize(&**g, &code, &Input::default()).unwrap();
        near("picture", &current, &format!("picture{pass}"));
        let found: Vec<(Part, Tensor)> = code.parts.iter().map(|(p, t)| (p, t.clone())).collect();
        let seen = Seen { pictures: &pictures, current: &current, pass: pass + 1, found: &found };
        assert!(matches!(encoder.pass(&seen).unwrap(), Move::Stay));
        if pass < 2 {
            code.parts.extend(encoder.beside(&seen).unwrap());
        }
        let all = g.weights().unwrap();
        for (number, layer) in TUNED.into_iter().filter(|_| pass < 2) {
            let weight = format!("synthesis.{layer}.weight");
            let weight = all.keys().position(|own| **own == weight).unwrap();
            let wanted = format!("gain{}.{number}", pass + 1);
            near(layer, &official(&code.parts, weight, case.tensor(&wanted)), &wanted);
        }
    }
    // A search that begins with it takes the code alone.
    let again =
        Seen { found: &[(Part::Gain(3), Tensor::ones_like(code.point()).unwrap())], ..first };
    let cleared = encoder.beside(&again).unwrap();
    assert_eq!(cleared[0].1.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap(), 0.0);
}

#[test]
fn hyperstyle_equals_the_official_code() {
    agrees("hyperstyle");
}

#[test]
fn hyperstyle_with_separable_kernels_equals_the_official_code() {
    agrees("hyperstyle_separable");
}

/// A code with gains is edited, mixed and saved with them.
#[test]
fn gains_are_a_part_of_the_code() {
    let place = Place::new();
    let [hyper, _] = written_case(&place, "hyperstyle");
    let loaded = Models::cpu().load(hyper.to_str().unwrap()).unwrap();
    let g = loaded.generator().unwrap();
    let draw = spaces::Draw { seed: 3, space: Space::WPlus, ..spaces::Draw::default() };
    let point = spaces::sample(&**g, 1, draw).unwrap().point().clone();
    let all = g.weights().unwrap();
    let [left, whole] = ["b8.conv0", "b16.conv0"].map(|layer| {
        let weight = format!("synthesis.{layer}.weight");
        all.keys().position(|own| **own == weight).unwrap()
    });
    let parts = [
        (Part::Point, point),
        (Part::GainLeft(left), filled(&[1, 6, 2], 2, 0.5)),
        (Part::GainRight, filled(&[1, 2, 54], 3, 0.5)),
        (Part::Gain(whole), filled(&[1, 5, 6], 4, 0.5)),
    ];
    let [given, saved] = ["given", "saved"].map(|name| place.at(&format!("{name}.safetensors")));
    save(&given, &parts.into_iter().map(|(part, t)| (part.name(), t)).collect());
    let (given, saved) = (written(&given), written(&saved));
    let program = format!(
        "a = latent({given}, space: W+)\nprint(a)\nb = sample(seed: 4, space: W+)\n\
         c = lerp(a, b, 0.5)\nprint(psnr(lerp(a, b, 0), a))\nsave(c, {saved}, outside: true)\n\
         d = latent({saved})\nprint(d)\nprint(psnr(c, d))\n\
         print(psnr(c + 0.5 * (b - sample(seed: 5, space: W+)), d))"
    );
    let printed = place.run(&hyper, &program).unwrap().printed;
    assert!(printed[0].contains("2 tuned weights") && printed[2].contains("2 tuned weights"));
    let psnr = |line: usize| printed[line].parse::<f64>().unwrap_or(f64::INFINITY);
    // Files keep gains in half precision.
    assert!(psnr(1) > 120.0 && psnr(3) > 50.0 && psnr(4) > 0.0, "{printed:?}");
}

#[test]
fn hyperstyle_in_a_program() {
    let place = Place::new();
    let [hyper, first] = written_case(&place, "hyperstyle");
    let program =
        "r = invert(sample(seed: 3), space: W, method: encoder, passes: 2)\nprint(info())";
    let kept = place.run(&hyper, program).unwrap();
    assert!(kept.printed[0].contains("the hypernetwork of HyperStyle"), "{:?}", kept.printed);
    // The encoder into W is named, where it does not lie beside.
    let moved = place.at("w.safetensors");
    std::fs::rename(&first, &moved).unwrap();
    let (named, given) = (written(&hyper), written(&moved));
    let call = |how: &str| {
        let program = format!("r = invert(sample(seed: 3), method: encoder, passes: 1, {how})\nr");
        place.run(&hyper, &program)
    };
    match call(&format!("encoder: {named}, w_encoder: {given}")).unwrap().last() {
        Some(Value::Inversion(r)) => {
            assert!(r.how.contains("HyperStyle ") && r.how.contains("from pSp-W "))
        }
        other => panic!("{:?}", other.map(Value::ty)),
    }
    let refused = |how: String, words: &str| {
        let e = call(&how).err().unwrap();
        let text = format!("{e} {}", e.repair().unwrap_or_default());
        assert!(text.contains(words) && e.repair().is_some(), "{how}: {text}");
    };
    refused(format!("encoder: {named}"), "w_encoder: \"faces_w_encoder.pt\"");
    refused(format!("encoder: {named}, w_encoder: {named}"), "no encoder to begin with");
    refused(format!("encoder: {given}, w_encoder: {given}"), "finds its codes itself");
    let alone = format!("invert(sample(seed: 3), method: encoder, w_encoder: {given})");
    let e = place.run("toy".as_ref(), &alone).err().unwrap();
    assert!(e.repair().unwrap().contains("encoder: \"hyperstyle_ffhq.pt\""), "{e}");
    let other = format!("method: encoder, encoder: {named}, w_encoder: {given}");
    let e = place.inverted(&other).err().unwrap();
    assert!(e.message().contains("gains for a convolution"), "{e}");
    // Without that encoder the generator is loaded alone.
    let alone = Models::cpu().load(hyper.to_str().unwrap()).unwrap();
    assert!(!alone.facts.encoder);
}
