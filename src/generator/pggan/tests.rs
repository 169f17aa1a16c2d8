//! PGGAN on small random networks; its numbers are those of the official codes in
//! `tests/parity_families.rs`.

use super::*;
use crate::generator::spaces;
use crate::rng::Rng;
use candle_core::Var;
use std::collections::BTreeMap;

/// A network of 16 pixels whose level of detail is stored.
fn network(c_dim: usize, lod: f32) -> Pggan {
    let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
    let mut layer = |name: &str, shape: &[usize], biases: usize| {
        shapes.push((format!("{name}.weight"), shape.to_vec()));
        shapes.push((format!("{name}.bias"), vec![biases]));
    };
    layer("b4.dense", &[16 * 6, 5 + c_dim], 6);
    layer("b4.conv", &[6, 6, 3, 3], 6);
    layer("b8.conv0", &[5, 6, 3, 3], 5);
    layer("b8.conv1", &[4, 5, 3, 3], 4);
    layer("b16.conv0", &[3, 4, 3, 3], 3);
    layer("b16.conv1", &[3, 3, 3, 3], 3);
    for (side, inputs) in [(4, 6), (8, 4), (16, 3)] {
        layer(&format!("b{side}.torgb"), &[3, inputs, 1, 1], 3);
    }
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let values = Rng::derive(3, &name).normals(shape.iter().product());
        (name, Tensor::from_vec(values, shape, &Device::Cpu).expect("tensor"))
    };
    let mut tensors: BTreeMap<_, _> = shapes.into_iter().map(tensor).collect();
    tensors.insert("lod".into(), Tensor::new(lod, &Device::Cpu).expect("lod"));
    let given = Given { c_dim, ..Given::default() };
    Pggan::new(&mut Weights::of_tensors("toy", tensors), &given, "", &Device::Cpu).expect("network")
}

fn z(n: usize) -> Tensor {
    Tensor::from_vec(Rng::new(1).normals(n * 5), (n, 5), &Device::Cpu).expect("z")
}

fn labels(c_dim: usize) -> Input {
    let values = Rng::new(2).normals(2 * c_dim);
    let labels =
        (c_dim > 0).then(|| Tensor::from_vec(values, (2, c_dim), &Device::Cpu).expect("labels"));
    Input::labelled(labels.as_ref())
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all().and_then(|t| t.to_vec1()).expect("numbers")
}

/// Every layer can be tapped, those above the picture's resolution too, and entered again.
#[test]
fn layers_are_tapped_and_entered() {
    for (c_dim, lod) in [(0, 0.0), (2, 0.25), (0, 1.0), (0, 1.5)] {
        let (g, z, input) = (network(c_dim, lod), z(2), labels(c_dim));
        let layers: Vec<Tap> = (0..g.spec().layers.len()).map(Tap::Layer).collect();
        let start = Start::Code { space: Space::Z, data: &z };
        let all = g.run(&start, &input, &[&layers[..], &[Tap::Picture]].concat()).expect("run");
        let picture = all.picture.expect("picture");
        assert_eq!(picture.dims(), [2, 3, 16, 16]);
        let alone = spaces::picture(&g, &z, Space::Z, &input).expect("picture");
        assert_eq!(numbers(&alone), numbers(&picture), "{lod}");
        assert_eq!(all.features.len(), 6);
        for (feature, layer) in all.features.iter().zip(&g.spec().layers) {
            let size = [2, layer.channels, layer.height, layer.width];
            assert_eq!(feature.map.dims(), size, "{}", layer.name);
            let start = Start::Feature { feature, space: Space::Z, data: &z };
            let again = g.run(&start, &input, &[Tap::Picture]).expect("entered").picture;
            let again = numbers(&again.expect("picture"));
            assert_eq!(again, numbers(&picture), "{} at {lod}", layer.name);
        }
    }
}

/// Each parameter that the picture reads gets a gradient, alone and with all others, and the
/// picture stays what it is.
#[test]
fn no_parameter_loses_its_gradient() {
    let g = network(2, 0.25);
    let run = |which: &dyn Fn(&str) -> bool| {
        let (g, variables) = crate::generator::tuned(&g, which).expect("tuned");
        let picture = spaces::picture(&*g, &z(2), Space::Z, &labels(2)).expect("picture");
        let grads = picture.sqr().and_then(|p| p.sum_all()).and_then(|l| l.backward());
        let of = |(name, v): (String, Var)| {
            (name, grads.as_ref().ok().and_then(|g| g.get(&v).map(numbers)))
        };
        (numbers(&picture), variables.into_iter().map(of).collect::<BTreeMap<_, _>>())
    };
    let close = |a: &[f32], b: &[f32]| {
        let most = b.iter().fold(0f32, |m, v| m.max(v.abs()));
        a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() <= 1e-4 * most)
    };
    let (frozen, _) = run(&|_| false);
    let (picture, all) = run(&|_| true);
    assert!(close(&picture, &frozen) && all.len() == 18 && !all.contains_key("lod"));
    for (name, expected) in all.iter().filter(|(name, _)| !name.starts_with("b4.torgb")) {
        let expected = expected.as_ref().expect(name);
        assert!(expected.iter().any(|v| *v != 0.0), "{name}");
        let (_, alone) = run(&|n| n == name);
        assert!(close(alone[name].as_ref().expect(name), expected), "{name}");
    }
}

#[test]
fn other_spaces_and_missing_classes_are_refused() {
    let g = network(2, 0.0);
    let refused = |space, data: &Tensor, input: &Input| {
        let e = g.run(&Start::Code { space, data }, input, &[Tap::Picture]).expect_err("no");
        assert!(e.repair().is_some(), "{e}");
        e.to_string()
    };
    assert!(refused(Space::W, &z(2), &labels(2)).contains("not W"));
    assert!(refused(Space::Z, &z(2), &Input::default()).contains("conditional"));
    assert!(refused(Space::Z, &z(2), &labels(3)).contains("[2, 3]"));
    let short = z(2).narrow(1, 0, 4).expect("part");
    assert!(refused(Space::Z, &short, &labels(2)).contains("[N, 5]"));
    let plain = network(0, 0.0);
    assert!(spaces::picture(&plain, &z(2), Space::Z, &labels(1)).is_err());
    assert!(spaces::rise(&plain, &z(2), (Space::Z, Space::W), &labels(0)).is_err());
}
