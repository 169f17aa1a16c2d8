//! StyleGAN on small random networks; its numbers are those of the official codes in
//! `tests/parity_families.rs`.

use super::*;
use crate::generator::{Noise, spaces};
use crate::rng::Rng;
use candle_core::Var;
use std::collections::BTreeMap;

/// A network of 16 pixels whose level of detail is stored.
fn network(c_dim: usize, lod: f32, given: &Given) -> StyleGan1 {
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("mapping.w_avg".into(), vec![7]),
        ("synthesis.b4.const".into(), vec![6, 4, 4]),
        ("mapping.fc0.weight".into(), vec![9, if c_dim > 0 { 10 } else { 5 }]),
        ("mapping.fc0.bias".into(), vec![9]),
        ("mapping.fc1.weight".into(), vec![7, 9]),
        ("mapping.fc1.bias".into(), vec![7]),
    ];
    if c_dim > 0 {
        shapes.push(("mapping.embed.weight".into(), vec![c_dim, 5]));
    }
    let mut inputs = 6;
    for (side, outputs) in [(4usize, 6), (8, 5), (16, 4)] {
        for part in ["conv0", "conv1"] {
            let mut put = |what: &str, shape: &[usize]| {
                shapes.push((format!("synthesis.b{side}.{part}.{what}"), shape.to_vec()));
            };
            if (side, part) != (4, "conv0") {
                put("weight", &[outputs, inputs, 3, 3]);
            }
            put("bias", &[outputs]);
            put("noise_strength", &[outputs]);
            put("noise_const", &[side, side]);
            put("affine.weight", &[2 * outputs, 7]);
            put("affine.bias", &[2 * outputs]);
            inputs = outputs;
        }
        shapes.push((format!("synthesis.b{side}.torgb.weight"), vec![3, outputs, 1, 1]));
        shapes.push((format!("synthesis.b{side}.torgb.bias"), vec![3]));
    }
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let mut values = Rng::derive(3, &name).normals(shape.iter().product());
        if name.starts_with("mapping.fc") && name.ends_with("weight") {
            values.iter_mut().for_each(|v| *v *= 100.0);
        }
        (name, Tensor::from_vec(values, shape, &Device::Cpu).expect("tensor"))
    };
    let mut tensors: BTreeMap<_, _> = shapes.into_iter().map(tensor).collect();
    tensors.insert("synthesis.lod".into(), Tensor::new(lod, &Device::Cpu).expect("lod"));
    StyleGan1::new(&mut Weights::of_tensors("toy", tensors), given, "", &Device::Cpu)
        .expect("network")
}

fn z(n: usize) -> Tensor {
    Tensor::from_vec(Rng::new(1).normals(n * 5), (n, 5), &Device::Cpu).expect("z")
}

fn labels(c_dim: usize) -> Option<Tensor> {
    let values = Rng::new(2).normals(2 * c_dim);
    (c_dim > 0).then(|| Tensor::from_vec(values, (2, c_dim), &Device::Cpu).expect("labels"))
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all().and_then(|t| t.to_vec1()).expect("numbers")
}

fn fused() -> Given {
    Given { fused_scale: FusedScale::Always(true), ..Given::default() }
}

/// Every layer can be tapped, those above the picture's resolution too, and entered again, with W+
/// and with S.
#[test]
fn layers_are_tapped_and_entered() {
    for (c_dim, lod, given) in
        [(0, 0.0, Given::default()), (2, 0.25, fused()), (0, 1.0, fused()), (0, 1.5, fused())]
    {
        let g = network(c_dim, lod, &given);
        let noise = Noise::Random { seed: 4, first: 0 };
        let input = Input { noise, labels: labels(c_dim), ..Input::default() };
        let ws = spaces::rise(&g, &z(2), (Space::Z, Space::WPlus), &input).expect("ws");
        let s = g.enter(Space::S, &ws, &input).expect("s");
        let layers: Vec<Tap> = (0..g.spec().layers.len()).map(Tap::Layer).collect();
        let taps = [&layers[..], &[Tap::Picture]].concat();
        for (space, data) in [(Space::WPlus, &ws), (Space::S, &s)] {
            let all = g.run(&Start::Code { space, data }, &input, &taps).expect("run");
            let picture = all.picture.expect("picture");
            assert_eq!(picture.dims(), [2, 3, 16, 16]);
            let alone = spaces::picture(&g, &z(2), Space::Z, &input).expect("picture");
            assert_eq!(numbers(&alone), numbers(&picture), "{lod}");
            assert_eq!(all.features.len(), 6);
            for (feature, layer) in all.features.iter().zip(&g.spec().layers) {
                let size = [2, layer.channels, layer.height, layer.width];
                assert_eq!(feature.map.dims(), size, "{}", layer.name);
                let start = Start::Feature { feature, space, data };
                let again = g.run(&start, &input, &[Tap::Picture]).expect("entered").picture;
                let again = numbers(&again.expect("picture"));
                assert_eq!(again, numbers(&picture), "{} at {lod}", layer.name);
            }
        }
    }
}

/// Each parameter that the picture reads gets a gradient, alone and with all others, and the
/// picture stays what it is.
#[test]
fn no_parameter_loses_its_gradient() {
    let g = network(2, 0.25, &fused());
    let input = Input { labels: labels(2), ..Input::default() };
    let run = |which: &dyn Fn(&str) -> bool| {
        let (g, variables) = crate::generator::tuned(&g, which).expect("tuned");
        let picture = spaces::picture(&*g, &z(2), Space::Z, &input).expect("picture");
        let grads = picture.sqr().and_then(|p| p.sum_all()).and_then(|l| l.backward());
        let of = |(name, v): (String, Var)| {
            (name, grads.as_ref().ok().and_then(|g| g.get(&v).map(numbers)))
        };
        (numbers(&picture), variables.into_iter().map(of).collect::<BTreeMap<_, _>>())
    };
    let close = |a: &[f32], b: &[f32]| {
        let most = b.iter().fold(0f32, |m, v| m.max(v.abs()));
        a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() <= 1e-3 * most)
    };
    let (frozen, _) = run(&|_| false);
    let (picture, all) = run(&|_| true);
    assert!(close(&picture, &frozen) && all.len() > 40);
    assert!(all.keys().all(|n| !n.ends_with("noise_const") && !n.ends_with("lod")));
    for (name, expected) in all.iter().filter(|(name, _)| !name.contains("b4.torgb")) {
        let expected = expected.as_ref().expect(name);
        assert!(expected.iter().any(|v| *v != 0.0), "{name}");
        let (_, alone) = run(&|n| n == name);
        assert!(close(alone[name].as_ref().expect(name), expected), "{name}");
    }
}

/// Noise maps are read, and the gradients reach them.
#[test]
fn noise_is_added_where_it_is_asked_for() {
    let g = network(0, 0.0, &Given::default());
    let picture = |noise: Noise| spaces::picture(&g, &z(2), Space::Z, &Input::of(noise));
    let stored = g.noise_maps();
    assert_eq!(g.spec().noise_sizes.len(), 6);
    let constant = numbers(&picture(Noise::Const).expect("const"));
    assert_eq!(constant, numbers(&picture(Noise::Maps(stored.clone())).expect("maps")));
    assert_ne!(constant, numbers(&picture(Noise::None).expect("none")));
    let seeded = |seed, first| numbers(&picture(Noise::Random { seed, first }).expect("random"));
    assert_ne!(seeded(1, 0), seeded(2, 0));
    assert_eq!(seeded(1, 0)[768..].len(), seeded(1, 1)[..768].len());
    let maps: Vec<Var> = stored.iter().map(|m| Var::from_tensor(m).expect("map")).collect();
    let given = Noise::Maps(maps.iter().map(|m| m.as_tensor().clone()).collect());
    let loss = picture(given).and_then(|p| Ok(p.sqr()?.sum_all()?)).expect("loss");
    let grads = loss.backward().expect("backward");
    assert!(maps.iter().all(|m| grads.get(m).is_some_and(|g| g.dims() == m.dims())));
    let e = picture(Noise::Maps(stored[1..].to_vec())).expect_err("too few");
    assert!(e.repair().is_some());
}

#[test]
fn what_is_not_run_is_refused() {
    let refused = |given: Given| {
        let g = network(0, 0.0, &Given::default());
        let tensors = g.parameters.iter().chain(&g.buffers);
        let tensors: Named = tensors.map(|(k, v)| (k.clone(), v.clone())).collect();
        let mut weights = Weights::of_tensors("toy", tensors);
        let e = StyleGan1::new(&mut weights, &given, "", &Device::Cpu).err().expect("refused");
        assert!(e.repair().is_some(), "{e}");
        e.to_string()
    };
    let default = Given::default;
    assert!(refused(Given { z_dim: Some(6), ..default() }).contains("z_dim"));
    assert!(refused(Given { img_resolution: Some(32), ..default() }).contains("img_resolution"));
    assert!(refused(Given { blur_filter: vec![1.0, 1.0], ..default() }).contains("blur_filter"));
    assert!(refused(Given { norm_epsilon: 0.0, ..default() }).contains("norm_epsilon"));
    let fused = serde_json::json!({"fused_scale": "sometimes"});
    assert!(Given::parse(&fused).expect_err("no such way").repair().is_some());
    let g = network(2, 0.0, &default());
    assert!(spaces::rise(&g, &z(2), (Space::Z, Space::W), &Input::default()).is_err());
    assert!(g.run(&Start::Code { space: Space::W, data: &z(2) }, &Input::default(), &[]).is_err());
}
