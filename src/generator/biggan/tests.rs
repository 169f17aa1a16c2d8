//! Tests of BigGAN that need no reference numbers.

use super::toy::{CLASSES, Toy};
use super::{BigGan, Given, Kind, Reads};
use crate::generator::{Generator, Input, Prior, Start, Tap, spaces};
use crate::space::Space;
use crate::weights::Weights;
use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;

fn toys() -> [Toy; 5] {
    let plain = Toy { kind: Kind::Plain, statistics: 1, spectral: None, ..Toy::default() };
    [
        Toy::default(),
        Toy { reads: Reads::Chunks, spectral: Some(false), ..plain.clone() },
        Toy { reads: Reads::Class, table: false, ..plain.clone() },
        Toy { kind: Kind::Transposed, reads: Reads::Class, table: false, ..plain.clone() },
        Toy { reads: Reads::Nothing, spectral: Some(true), ..plain },
    ]
}

fn build(toy: &Toy) -> BigGan {
    toy.build(&Device::Cpu).expect("toy")
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers")
}

fn labels(g: &BigGan, n: usize) -> Option<Tensor> {
    let one = |i: usize| (0..CLASSES).map(move |k| f32::from(u8::from(i % CLASSES == k)));
    let all: Vec<f32> = (0..n).flat_map(one).collect();
    (g.spec().c_dim > 0).then(|| Tensor::from_vec(all, (n, CLASSES), &Device::Cpu).expect("labels"))
}

fn input(g: &BigGan, n: usize) -> Input {
    Input::labelled(labels(g, n).as_ref())
}

fn drawn(g: &BigGan, n: usize, psi: f64) -> Tensor {
    let labels = labels(g, n);
    let how = spaces::Draw { seed: 4, psi, space: Space::Z, labels: labels.as_ref() };
    spaces::sample(g, n, how).expect("z").point().clone()
}

fn picture(g: &dyn Generator, z: &Tensor, input: &Input) -> Tensor {
    spaces::picture(g, z, Space::Z, input).expect("picture")
}

#[test]
fn layers_are_tapped_and_entered() {
    for toy in toys() {
        let g = build(&toy);
        let (z, input) = (drawn(&g, 2, 1.0), input(&g, 2));
        let space = spaces::read_by_synthesis(&g);
        let code = spaces::rise(&g, &z, (Space::Z, space), &input).expect("code");
        let layers: Vec<Tap> = (0..g.spec().layers.len()).map(Tap::Layer).collect();
        let taps = [&layers[..], &[Tap::Picture]].concat();
        let start = Start::Code { space, data: &code };
        let all = g.run(&start, &input, &taps).expect("tapped");
        let whole = numbers(&all.picture.expect("picture"));
        assert_eq!(whole, numbers(&picture(&g, &z, &input)));
        assert!(whole.iter().any(|v| v.abs() > 0.01) && whole.iter().all(|v| v.abs() <= 1.0));
        assert_eq!(all.features.len(), 4, "the first map, two blocks, attention");
        for (feature, layer) in all.features.iter().zip(&g.spec().layers) {
            let size = [2, layer.channels, layer.height, layer.width];
            assert_eq!(feature.map.dims(), size, "{}", layer.name);
            let start = Start::Feature { feature, space, data: &code };
            let again = g.run(&start, &input, &[Tap::Picture]).expect("entered");
            assert_eq!(numbers(&again.picture.expect("picture")), whole, "{}", layer.name);
        }
        let wrong = g.run(&start, &input, &[Tap::Layer(4)]).expect_err("no such layer");
        assert!(wrong.repair().is_some());
    }
}

/// Each parameter gets a gradient, the one that it gets alone, and the picture stays what it is.
#[test]
fn no_parameter_loses_its_gradient() {
    for toy in toys() {
        let g = build(&toy);
        let (z, input) = (drawn(&g, 2, 1.0), input(&g, 2));
        let run = |which: &dyn Fn(&str) -> bool| {
            let (g, variables) = crate::generator::tuned(&g, which).expect("tuned");
            let picture = picture(&*g, &z, &input);
            let grads = picture.sqr().and_then(|p| p.sum_all()).and_then(|l| l.backward());
            let of = |(name, v): (String, Var)| {
                let found = grads.as_ref().ok().and_then(|g| g.get(&v).map(numbers));
                (name, found)
            };
            (numbers(&picture), variables.into_iter().map(of).collect::<BTreeMap<_, _>>())
        };
        let close = |a: &[f32], b: &[f32]| {
            let size = b.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-4 * size)
        };
        let (frozen, _) = run(&|_| false);
        let (picture, all) = run(&|_| true);
        assert!(close(&picture, &frozen), "{toy:?}");
        let buffers = ["weight_u", "weight_v", "u0", "mean", "var"];
        assert!(all.keys().all(|n| !buffers.iter().any(|b| n.ends_with(&format!(".{b}")))));
        for (name, expected) in &all {
            let expected = expected.as_ref().expect(name);
            assert!(expected.iter().any(|v| *v != 0.0), "{toy:?}: {name}");
        }
        for name in all.keys().step_by(3) {
            let (_, alone) = run(&|n| n == name);
            let [a, b] = [&alone[name], &all[name]].map(|g| g.as_ref().expect(name));
            assert!(close(a, b), "{toy:?}: {name} alone");
        }
    }
}

/// A block reads its own row, and of it the class and its own part of z.
#[test]
fn rows_are_read_in_parts() {
    for (toy, parts) in [
        (Toy::default(), [0..6, 0..6, 0..6]),
        (toys()[1].clone(), [0..2, 2..10, 4..10]),
        (toys()[2].clone(), [0..2, 2..5, 2..5]),
    ] {
        let g = build(&toy);
        let (z, input) = (drawn(&g, 1, 1.0), input(&g, 1));
        let ws = spaces::rise(&g, &z, (Space::Z, Space::WPlus), &input).expect("ws");
        assert_eq!(ws.dims(), [1, 3, g.spec().w_dim]);
        let v = Var::from_tensor(&ws).expect("variable");
        let drawn = spaces::picture(&g, &v, Space::WPlus, &input).expect("picture");
        let grads = drawn.sum_all().and_then(|l| l.backward()).expect("grads");
        let rows = grads.get(&v).and_then(|t| t.squeeze(0).ok()).expect("gradient");
        let rows = rows.to_vec2::<f32>().expect("rows");
        for (i, (row, part)) in rows.iter().zip(parts).enumerate() {
            let hierarchical = toy.reads == Reads::Chunks;
            for (k, g) in row.iter().enumerate() {
                // Of a hierarchical z, block 1 reads 2..4 and block 2 reads 4..6; then the class.
                let other = hierarchical && i == 1 && (4..6).contains(&k);
                assert_eq!(*g != 0.0, part.contains(&k) && !other, "{toy:?}: row {i}, {k}: {g}");
            }
        }
    }
}

#[test]
fn statistics_are_chosen_by_the_truncation() {
    let g = build(&Toy::default());
    assert!(g.spec().inputs.truncation && !build(&toys()[1]).spec().inputs.truncation);
    let z = drawn(&g, 1, 1.0);
    let at =
        |truncation: Option<f64>| numbers(&picture(&g, &z, &Input { truncation, ..input(&g, 1) }));
    assert_eq!(at(None), at(Some(1.0)));
    assert_ne!(at(Some(0.4)), at(Some(1.0)));
    for wrong in [0.0, -0.5, 1.01, f64::NAN] {
        let input = Input { truncation: Some(wrong), ..input(&g, 1) };
        let e = spaces::picture(&g, &z, Space::Z, &input).expect_err("refused");
        assert!(e.message().contains("truncation") && e.repair().is_some(), "{e}");
    }
    // Six rows, a step of 0.2: 0.25 is a quarter on the way from row 1 to row 2, and row 1 counts
    // a quarter. A generator whose only statistics are these gives the same picture.
    let mut tensors = Toy::default().tensors(&Device::Cpu).expect("tensors");
    for (name, t) in &mut tensors {
        if name.ends_with(".mean") || name.ends_with(".var") {
            let row = |i: usize| t.narrow(0, i, 1).and_then(|t| t.squeeze(0)).expect("row");
            *t = ((row(1) * 0.25).expect("part") + (row(2) * 0.75).expect("part")).expect("sum");
        }
    }
    let one = BigGan::new(
        &mut Weights::of_tensors("one", tensors),
        &Toy::default().given(),
        "",
        &Device::Cpu,
    )
    .expect("one");
    let expected = numbers(&picture(&one, &z, &input(&one, 1)));
    let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
    assert!(at(Some(0.25)).iter().zip(&expected).all(close));
}

/// Psi multiplies z, whose numbers stay within the limit, and leaves the class alone.
#[test]
fn truncation_is_in_z() {
    let g = build(&Toy::default());
    assert_eq!(g.spec().prior, Prior::Scaled { limit: Some(2.0) });
    let (whole, half) = (numbers(&drawn(&g, 200, 1.0)), numbers(&drawn(&g, 200, 0.5)));
    assert!(whole.iter().all(|v| v.abs() <= 2.0) && whole.iter().any(|v| v.abs() > 1.7));
    assert!(whole.iter().zip(&half).all(|(a, b)| a * 0.5 == *b));
    // The spread of a normal within ±2 is 0.88 (Johnson, Kotz & Balakrishnan 1994).
    let var = whole.iter().map(|v| f64::from(v * v)).sum::<f64>() / whole.len() as f64;
    assert!((var.sqrt() - 0.88).abs() < 0.06, "{var}");
    assert_eq!(whole[..20], numbers(&drawn(&g, 10, 1.0)), "code i does not depend on n");
    let labels = labels(&g, 3);
    let draw = |psi| {
        let how = spaces::Draw { seed: 1, psi, space: Space::W, labels: labels.as_ref() };
        spaces::sample(&g, 3, how).expect("w").point().to_vec2::<f32>().expect("rows")
    };
    for (w, v) in draw(1.0).iter().zip(draw(0.25)) {
        assert_eq!(w[2..], v[2..], "the class");
        assert!(w[..2].iter().zip(&v[..2]).all(|(a, b)| a * 0.25 == *b), "z");
    }
    let mean = numbers(spaces::mean(&g, Space::W, None).expect("mean").point());
    assert!(mean[..2] == [0.0, 0.0] && mean[2..].iter().all(|v| *v != 0.0));
}

/// A picture has the same bits alone and in a batch.
#[test]
fn a_picture_does_not_depend_on_its_batch() {
    for toy in toys() {
        let g = build(&toy);
        let (z, all) = (drawn(&g, 3, 1.0), input(&g, 3));
        let whole = picture(&g, &z, &all).chunk(3, 0).expect("each");
        for (i, expected) in whole.iter().enumerate() {
            let input = all.slice(i, 1, 3).expect("input");
            let alone = picture(&g, &z.narrow(0, i, 1).expect("z"), &input);
            assert_eq!(numbers(&alone), numbers(expected), "{toy:?}");
        }
    }
}

/// One step of the power method, by hand: W = [[3, 0], [0, 1]] from u = (1, 1).
#[test]
fn spectral_norms_by_hand() {
    let v = |x: f64, y: f64| {
        let length = x.hypot(y);
        [x / length, y / length]
    };
    let [a, b] = v(3.0, 1.0);
    let [c, d] = v(3.0 * a, b);
    let sigma = c * 3.0 * a + d * b;
    let toy = toys()[1].clone();
    let mut tensors = toy.tensors(&Device::Cpu).expect("tensors");
    let base = {
        let mut plain = tensors.clone();
        plain.remove("first.u0");
        let scaled = (plain["first.weight"].clone() / 1.0).expect("same");
        plain.insert("first.weight".into(), scaled);
        plain
    };
    // A matrix of rank 2 in the first layer: its first two rows are 3 and 1 on the diagonal.
    let shape = base["first.weight"].dims().to_vec();
    let mut weight = vec![0f32; shape.iter().product()];
    (weight[0], weight[shape[1] + 1]) = (3.0, 1.0);
    let weight = Tensor::from_vec(weight, shape.clone(), &Device::Cpu).expect("weight");
    let mut u = vec![0f32; shape[0]];
    (u[0], u[1]) = (1.0, 1.0);
    let u = Tensor::from_vec(u, (1, shape[0]), &Device::Cpu).expect("u");
    tensors.extend([("first.weight".into(), weight.clone()), ("first.u0".into(), u)]);
    let mut plain = base;
    plain.insert("first.weight".into(), (weight / sigma).expect("divided"));
    let build = |tensors| {
        let mut weights = Weights::of_tensors("toy", tensors);
        BigGan::new(&mut weights, &toy.given(), "", &Device::Cpu).expect("toy")
    };
    let (a, b) = (build(tensors), build(plain));
    let z = drawn(&a, 1, 1.0);
    let [a, b] = [&a, &b].map(|g| numbers(&picture(g, &z, &input(g, 1))));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn what_is_wrong_is_named() {
    let toy = toys()[1].clone();
    let refused = |toy: &Toy, given: &Given, change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut tensors = toy.tensors(&Device::Cpu).expect("tensors");
        change(&mut tensors);
        let mut weights = Weights::of_tensors("toy", tensors);
        let e = BigGan::new(&mut weights, given, "", &Device::Cpu).err().expect("refused");
        assert!(e.repair().is_some(), "{e}");
        e.to_string()
    };
    for name in
        ["blocks.0.norm1.gain.weight", "blocks.1.conv2.weight", "last.norm.var", "first.weight"]
    {
        let text = refused(&toy, &toy.given(), &|t| drop(t.remove(name)));
        assert!(text.contains(name.trim_end_matches(".weight")), "{name}: {text}");
    }
    for (given, said) in [
        (Given { z_dim: Some(3), ..toy.given() }, "z_dim"),
        (Given { c_dim: Some(7), ..toy.given() }, "c_dim"),
        (Given { img_resolution: Some(64), ..toy.given() }, "img_resolution"),
        (Given { img_channels: Some(4), ..toy.given() }, "4 channels"),
        (Given { reads: Some(Reads::Whole), ..toy.given() }, "reads"),
        (Given { upsample: Some(vec![true]), ..toy.given() }, "upsample"),
        (Given { eps: Some(0.0), ..toy.given() }, "eps"),
        (Given { slope: Some(f64::NAN), ..toy.given() }, "slope"),
        (Given { z_limit: Some(0.0), ..toy.given() }, "z_limit"),
    ] {
        let text = refused(&toy, &given, &|_| ());
        assert!(text.contains(said), "{said}: {text}");
    }
    let deep = Toy::default();
    let given = Given { depth: Some(3), ..deep.given() };
    assert!(refused(&deep, &given, &|_| ()).contains("3 to a size"));
    let zero = |t: &mut BTreeMap<String, Tensor>| {
        let weight = t["first.weight"].zeros_like().expect("zeros");
        t.insert("first.weight".into(), weight);
    };
    assert!(refused(&toy, &toy.given(), &zero).contains("spectral"));
    // Codes and labels.
    let g = build(&toy);
    let z = drawn(&g, 1, 1.0);
    let fails = |g: &BigGan, space, code: &Tensor, input: &Input| {
        let e = spaces::picture(g, code, space, input).expect_err("refused");
        assert!(e.repair().is_some(), "{e}");
        e.to_string()
    };
    assert!(fails(&g, Space::Z, &z, &Input::default()).contains("label of 3 numbers"));
    assert!(
        fails(&g, Space::Z, &z.narrow(1, 0, 3).expect("part"), &input(&g, 1)).contains("[N, 6]")
    );
    let free = build(&toys()[4]);
    assert_eq!((free.spec().num_ws, free.spec().spaces.as_slice()), (0, &[Space::Z][..]));
    let z = drawn(&free, 1, 1.0);
    assert!(spaces::rise(&free, &z, (Space::Z, Space::W), &Input::default()).is_err());
    assert!(free.mean(Space::W).is_none());
}
