//! Tests of StyleGAN3 that need no reference numbers.

use super::toy::Toy;
use super::{Given, StyleGan3};
use crate::generator::{Generator, Input, Start, Tap, Transform, codes, spaces};
use crate::rng::Rng;
use crate::space::Space;
use crate::weights::Weights;
use candle_core::{Device, Tensor, Var};

fn toys() -> [Toy; 3] {
    let by_class = Toy { c_dim: 2, by_class: true, ..Toy::default() };
    [Toy::default(), Toy { radial: true, c_dim: 2, ..Toy::default() }, by_class]
}

fn codes(g: &StyleGan3, n: usize) -> Tensor {
    let (rows, dim) = (g.spec().num_ws, g.spec().w_dim);
    Tensor::from_vec(Rng::new(3).normals(n * rows * dim), (n, rows, dim), &Device::Cpu)
        .expect("codes")
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers")
}

fn moved(transform: Transform) -> Input {
    let transform = Some(transform.matrix(&Device::Cpu).expect("matrix"));
    Input { transform, ..Input::default() }
}

fn picture(g: &dyn Generator, ws: &Tensor, input: &Input) -> Tensor {
    spaces::picture(g, ws, Space::WPlus, input).expect("picture")
}

/// The mean square of the differences of two pictures in their middle.
fn apart(a: &Tensor, b: &Tensor) -> f64 {
    let middle = |t: &Tensor| {
        let side = t.dim(2).expect("side");
        let t = t.narrow(2, side / 4, side / 2).and_then(|t| t.narrow(3, side / 4, side / 2));
        numbers(&t.expect("middle"))
    };
    let (a, b) = (middle(a), middle(b));
    let sum: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    sum / a.len() as f64
}

#[test]
fn layers_are_tapped_and_entered() {
    for toy in toys() {
        let g = toy.build(&Device::Cpu).expect("toy");
        let ws = codes(&g, 2);
        let s = g.enter(Space::S, &ws, &Input::default()).expect("s");
        assert_eq!(s.dims(), [2, g.spec().s_dim()]);
        let input = moved(Transform { rotate: 10.0, shift: [0.1, 0.0] });
        let layers: Vec<Tap> = (0..g.spec().layers.len()).map(Tap::Layer).collect();
        let taps = [&layers[..], &[Tap::Picture]].concat();
        for (space, data) in [(Space::WPlus, &ws), (Space::S, &s)] {
            let all = g.run(&Start::Code { space, data }, &input, &taps).expect("tapped");
            let whole = numbers(&all.picture.expect("picture"));
            assert_eq!(whole, numbers(&picture(&g, &ws, &input)));
            assert_eq!(all.features.len(), layers.len());
            for (feature, layer) in all.features.iter().zip(&g.spec().layers) {
                let size = [2, layer.channels, layer.height, layer.width];
                assert_eq!(feature.map.dims(), size, "{}", layer.name);
                let start = Start::Feature { feature, space, data };
                let again = g.run(&start, &input, &[Tap::Picture]).expect("entered");
                assert_eq!(numbers(&again.picture.expect("picture")), whole, "{}", layer.name);
            }
        }
        let (start, wrong) = (Start::Code { space: Space::WPlus, data: &ws }, layers.len());
        let refused = g.run(&start, &input, &[Tap::Layer(wrong)]).expect_err("no such layer");
        assert!(refused.repair().is_some());
    }
}

/// A shift moves the picture right and down; a counterclockwise right angle gives the rotated
/// picture.
#[test]
fn pictures_move_as_they_are_told() {
    for toy in toys() {
        let toy = Toy { resolution: 32, ..toy };
        let g = toy.build(&Device::Cpu).expect("toy");
        let ws = codes(&g, 1);
        let still = picture(&g, &ws, &Input::default());
        let pixels = 4;
        let shift = f64::from(pixels) / 32.0;
        for (axis, shift) in [(3, [shift, 0.0]), (2, [0.0, shift])] {
            let found = picture(&g, &ws, &moved(Transform { rotate: 0.0, shift }));
            let rolled = |by: i32| still.roll(by, axis).expect("rolled");
            let [right, wrong] = [pixels, -pixels].map(|by| apart(&found, &rolled(by)));
            assert!(right < 0.05 * wrong, "shift along {axis}: {right} beside {wrong}");
        }
        if !toy.radial {
            // Kernels of 3×3 do not turn with what they read.
            continue;
        }
        let found = picture(&g, &ws, &moved(Transform { rotate: 90.0, shift: [0.0; 2] }));
        // Counterclockwise: the right side moves to the top.
        let turned = |t: &Tensor| {
            let across = t.transpose(2, 3).and_then(|t| t.contiguous());
            across.and_then(|t| t.flip(&[2])).expect("turned")
        };
        let back = turned(&turned(&turned(&still)));
        let (right, wrong) = (apart(&found, &turned(&still)), apart(&found, &back));
        assert!(right < 1e-3 * wrong, "turned: {right} beside {wrong}");
    }
}

#[test]
fn the_bits_depend_neither_on_threads_nor_on_the_batch() {
    for toy in toys() {
        let g = toy.build(&Device::Cpu).expect("toy");
        let all = codes(&g, 3);
        let run = |from: usize, n: usize| {
            let part = all.narrow(0, from, n).expect("part");
            let ws = Var::from_tensor(&part.contiguous().expect("part")).expect("ws");
            let drawn = picture(&g, &ws, &Input::default());
            let loss = drawn.sqr().and_then(|p| p.sum_all()).expect("loss");
            let grads = loss.backward().expect("backward");
            let bits = |t: &Tensor| {
                let each = t.chunk(n, 0).expect("samples");
                each.iter().map(numbers).collect::<Vec<_>>()
            };
            (bits(&drawn), bits(grads.get(&ws).expect("gradient")))
        };
        let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("pool");
        let [one, three] = [1, 3].map(|n| pool(n).install(|| run(0, 3)));
        assert!(one == three, "threads");
        let alone = run(1, 1);
        assert!(one.0[1] == alone.0[0] && one.1[1] == alone.1[0], "batch");
    }
}

/// Each parameter gets a gradient, and the picture stays what it is.
#[test]
fn no_parameter_loses_its_gradient() {
    for toy in toys() {
        let g = toy.build(&Device::Cpu).expect("toy");
        let z = Tensor::from_vec(Rng::new(1).normals(2 * 8), (2, 8), &Device::Cpu).expect("z");
        let labels = Tensor::ones((2, 2), candle_core::DType::F32, &Device::Cpu).expect("labels");
        let input = Input::labelled((toy.c_dim > 0).then_some(&labels));
        let draw = |g: &dyn Generator| spaces::picture(g, &z, Space::Z, &input).expect("picture");
        let (tuned, variables) = crate::generator::tuned(&g, &|_| true).expect("variables");
        let drawn = draw(tuned.as_ref());
        assert!(apart(&drawn, &draw(&g)) < 1e-9, "the picture");
        let grads =
            drawn.sqr().and_then(|p| p.sum_all()).and_then(|l| l.backward()).expect("grads");
        for (name, v) in &variables {
            let found = grads.get(v).unwrap_or_else(|| panic!("no gradient of {name}"));
            assert!(numbers(found).iter().any(|v| *v != 0.0), "the gradient of {name} is zero");
        }
    }
}

/// StyleGAN-XL stores a mean of w for every class: truncation and the mean code use that of the
/// labels.
#[test]
fn every_class_has_a_mean_of_its_own() {
    let g = Toy { c_dim: 2, by_class: true, ..Toy::default() }.build(&Device::Cpu).expect("toy");
    let rows = |t: &Tensor| t.flatten_from(1).and_then(|t| t.to_vec2::<f32>()).expect("rows");
    let stored = rows(&g.tensors()["mapping.w_avg"]);
    assert_ne!(stored[0], stored[1]);
    let labels = Tensor::new(&[[0f32, 1.0], [1.0, 0.0], [0.5, 0.5]], &Device::Cpu).expect("labels");
    let between: Vec<f32> = stored[0].iter().zip(&stored[1]).map(|(a, b)| (a + b) / 2.0).collect();
    let wanted = [stored[1].clone(), stored[0].clone(), between.clone()];
    let draw = |psi, space| {
        let labels = Some(&labels);
        let draw = spaces::Draw { seed: 2, psi, space, labels };
        spaces::sample(&g, 3, draw).expect("codes")
    };
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    let mean = spaces::mean(&g, Space::W, Some(&labels)).expect("means");
    for (i, wanted) in wanted.iter().enumerate() {
        assert!(close(&rows(draw(0.0, Space::W).point())[i], wanted), "class {i}");
        assert!(close(&rows(mean.point())[i], wanted), "class {i}");
    }
    let all = spaces::mean(&g, Space::W, None).expect("mean");
    assert!(close(&rows(all.point())[0], &between));
    // Half the way, in W before and in W+ and S after lifting: the same picture.
    let drawn = |code| numbers(&codes::synthesize(&g, &code, &Input::default()).expect("drawn"));
    let early = drawn(draw(0.5, Space::WPlus));
    for space in [Space::Z, Space::W, Space::WPlus, Space::S] {
        let late = spaces::truncated(&g, &draw(1.0, space), 0.5, None).expect("truncated");
        assert!(drawn(late).iter().zip(&early).all(|(a, b)| (a - b).abs() < 1e-4), "{space}");
    }
    assert_ne!(early, drawn(draw(1.0, Space::WPlus)));
    // One label for all codes.
    let one = labels.narrow(0, 0, 1).expect("one");
    let draw = spaces::Draw { psi: 0.0, labels: Some(&one), ..spaces::Draw::default() };
    let codes = rows(spaces::sample(&g, 2, draw).expect("codes").point());
    assert!(codes.iter().all(|w| close(w, &stored[1])));
    let wide = Tensor::ones((1, 3), candle_core::DType::F32, &Device::Cpu).expect("labels");
    let refused = spaces::mean(&g, Space::W, Some(&wide)).expect_err("three classes");
    assert!(refused.repair().is_some());
}

#[test]
fn what_is_wrong_is_named() {
    let toy = Toy::default();
    let whole = toy.tensors(&Device::Cpu).expect("tensors");
    let refused =
        |given: &Given, change: &dyn Fn(&mut std::collections::BTreeMap<String, Tensor>)| {
            let mut tensors = whole.clone();
            change(&mut tensors);
            let mut weights = Weights::of_tensors("toy3", tensors);
            let e = StyleGan3::new(&mut weights, given, "", &Device::Cpu).err().expect("refused");
            assert!(e.repair().is_some(), "{e}");
            e.to_string()
        };
    let name = |i: usize| {
        let start = format!("synthesis.L{i}_");
        let found = whole.keys().find(|k| k.starts_with(&start) && k.ends_with(".magnitude_ema"));
        found.expect("layer").trim_end_matches(".magnitude_ema").to_owned()
    };
    for part in ["bias", "magnitude_ema", "up_filter", "affine.weight"] {
        let full = format!("{}.{part}", name(1));
        let text = refused(&toy.given(), &|t| drop(t.remove(&full)));
        assert!(text.contains(&full), "{full}: {text}");
    }
    let gone = format!("{}.weight", name(1));
    assert!(refused(&toy.given(), &|t| drop(t.remove(&gone))).contains("layer 1 is missing"));
    for (given, said) in [
        (Given { margin_size: Some(5), ..toy.given() }, "map of"),
        (Given { num_critical: Some(9), ..toy.given() }, "critically"),
        (Given { num_layers: Some(3), ..toy.given() }, "num_layers"),
        (Given { z_dim: Some(3), ..toy.given() }, "z_dim"),
        (Given { filter_size: Some(4), ..toy.given() }, "taps"),
        (Given { conv_clamp: Some(Some(-1.0)), ..toy.given() }, "conv_clamp"),
        (Given { output_scale: Some(0.0), ..toy.given() }, "output_scale"),
        (Given { first_cutoff: Some(f64::NAN), ..toy.given() }, "frequencies"),
    ] {
        let text = refused(&given, &|_| ());
        assert!(text.contains(said), "{said}: {text}");
    }
    let json = serde_json::json!({"conv_clamp": null, "unknown": 1});
    assert_eq!(Given::parse(&json).expect("read").conv_clamp, Some(None));
    assert!(Given::parse(&serde_json::json!({"num_layers": "many"})).is_err());
}
