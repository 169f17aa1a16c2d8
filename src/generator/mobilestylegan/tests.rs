//! Tests on a small random network.

use super::*;
use crate::generator::toy::Draw;
use crate::generator::{Noise, spaces};
use crate::rng::Rng;
use candle_core::{Device, Var};

const DIM: usize = 8;

/// A network of two blocks: pictures of 32 pixels. `folded`: as an export has it, with weights that
/// are demodulated already and noise that has its strength.
fn tensors(folded: bool) -> Result<Named> {
    let mut d = Draw { seed: 3, device: &Device::Cpu, tensors: Named::new() };
    let affine = |d: &mut Draw<'_>, name: &str, size: usize| {
        d.put(&format!("{name}.affine.weight"), &[size, DIM], 0.0, 0.2)?;
        d.put(&format!("{name}.affine.bias"), &[size], 1.0, 0.1)
    };
    let rest = |d: &mut Draw<'_>, name: &str, [i, o, side]: [usize; 3]| -> Result<()> {
        affine(d, name, i)?;
        d.put(&format!("{name}.bias"), &[1, o, 1, 1], 0.0, 0.2)?;
        if folded {
            return d.put(&format!("{name}.noise"), &[1, 1, side, side], 0.0, 0.1);
        }
        d.put(&format!("{name}.noise_strength"), &[1], 0.1, 0.0)?;
        d.put(&format!("{name}.style_inv"), &[1, 1, i, 1, 1], 1.0, 0.1)
    };
    for i in 0..2 {
        d.put(
            &format!("mapping.fc{i}.weight"),
            &[DIM, DIM],
            0.0,
            if folded { 0.3 } else { 100.0 },
        )?;
        d.put(&format!("mapping.fc{i}.bias"), &[DIM], 0.0, 0.1)?;
    }
    d.put("synthesis.const", &[1, 16, 4, 4], 0.0, 1.0)?;
    d.put("synthesis.conv1.weight", &[16, 16, 3, 3], 0.0, 1.0)?;
    rest(&mut d, "synthesis.conv1", [16, 16, 4])?;
    for (n, (inputs, outputs)) in [(16, 12), (12, 8)].into_iter().enumerate() {
        affine(&mut d, &format!("synthesis.b{n}.up"), inputs)?;
        for (k, i) in [(1, inputs / 4), (2, outputs)] {
            let name = format!("synthesis.b{n}.conv{k}");
            d.put(&format!("{name}.depthwise"), &[i, 1, 3, 3], 0.0, 1.0)?;
            d.put(&format!("{name}.pointwise"), &[outputs, i, 1, 1], 0.0, 1.0)?;
            rest(&mut d, &name, [i, outputs, 8 << n])?;
        }
    }
    d.put("synthesis.b1.head.weight", &[12, 8, 1, 1], 0.0, 0.3)?;
    d.put("synthesis.b1.head.bias", &[1, 12, 1, 1], 0.0, 0.1)?;
    affine(&mut d, "synthesis.b1.head", 8)?;
    Ok(d.tensors)
}

fn build(tensors: Named, folded: bool) -> Result<MobileStyleGan> {
    let given = Given { mapping_folded: folded, ..Given::default() };
    let mut weights = Weights::of_tensors("toy", tensors);
    let g = MobileStyleGan::new(&mut weights, &given, "", &Device::Cpu)?;
    weights.finish()?;
    Ok(g)
}

fn toy(folded: bool) -> MobileStyleGan {
    tensors(folded).and_then(|t| build(t, folded)).expect("toy")
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers")
}

/// Every layer can be tapped, and entered again with the same code for the same picture.
#[test]
fn layers_are_tapped_and_entered() {
    for g in [toy(false), toy(true)] {
        assert_eq!((g.spec().width, g.spec().num_ws, g.spec().channels), (32, 8, 3));
        let draw = spaces::Draw { seed: 4, space: Space::WPlus, ..spaces::Draw::default() };
        let ws = spaces::sample(&g, 2, draw).expect("ws").point().clone();
        let s = g.enter(Space::S, &ws, &Input::default()).expect("s");
        assert_eq!(s.dims(), [2, g.spec().s_dim()]);
        let input = Input::of(Noise::Random { seed: 2, first: 0 });
        let layers: Vec<Tap> = (0..g.spec().layers.len()).map(Tap::Layer).collect();
        let taps = [&layers[..], &[Tap::Picture]].concat();
        for (space, data) in [(Space::WPlus, &ws), (Space::S, &s)] {
            let all = g.run(&Start::Code { space, data }, &input, &taps).expect("tapped");
            let whole = numbers(&all.picture.expect("picture"));
            assert_eq!(all.features.len(), layers.len());
            for (feature, layer) in all.features.iter().zip(&g.spec().layers) {
                let size = [2, layer.channels, layer.height, layer.width];
                assert_eq!(feature.map.dims(), size, "{}", layer.name);
                let again = Start::Feature { feature, space, data };
                let again = g.run(&again, &input, &[Tap::Picture]).expect("entered");
                assert_eq!(numbers(&again.picture.expect("picture")), whole, "{}", layer.name);
            }
        }
    }
}

/// The rows of heads on the way, and the last row, change nothing; every other row does.
#[test]
fn rows_without_a_layer_change_nothing() {
    let g = toy(false);
    let ws = Tensor::ones((1, 8, DIM), candle_core::DType::F32, &Device::Cpu).expect("ws");
    let picture = |ws: &Tensor| {
        numbers(&spaces::picture(&g, ws, Space::WPlus, &Input::default()).expect("picture"))
    };
    for (row, size) in g.spec().style_sizes().into_iter().enumerate() {
        let moved: Vec<f32> =
            (0..8 * DIM).map(|at| if at / DIM == row { 2.0 } else { 1.0 }).collect();
        let moved = Tensor::from_vec(moved, (1, 8, DIM), &Device::Cpu).expect("moved");
        assert_eq!(picture(&moved) == picture(&ws), size == 0, "row {row}");
        assert_eq!(size == 0, [3, 7].contains(&row), "row {row}");
    }
}

/// Each parameter alone gets the gradient that it gets with all the others, whichever operators
/// that makes the synthesis take, and the picture stays what it is; also after a step.
#[test]
fn no_parameter_loses_its_gradient() {
    for g in [toy(false), toy(true)] {
        let z = Tensor::from_vec(Rng::new(1).normals(2 * DIM), (2, DIM), &Device::Cpu).expect("z");
        let run = |tuned: &dyn Fn(&str) -> bool| {
            let (g, variables) = crate::generator::tuned(&g, tuned).expect("variables");
            let picture = spaces::picture(&*g, &z, Space::Z, &Input::default()).expect("picture");
            let grads = picture.sqr().and_then(|p| p.sum_all()?.backward()).ok();
            let of = |(name, v): &(String, Var)| {
                (name.clone(), grads.as_ref().and_then(|g| g.get(v).map(numbers)))
            };
            let found: std::collections::BTreeMap<_, _> = variables.iter().map(of).collect();
            for (_, v) in &variables {
                // By different factors: demodulation undoes a common one.
                let now = numbers(v).into_iter().enumerate();
                let moved = now.map(|(i, x)| x * (1.5 + (i % 3) as f32));
                let moved = Tensor::from_iter(moved, &Device::Cpu).expect("moved");
                v.set(&moved.reshape(v.shape()).expect("moved")).expect("set");
            }
            let moved = spaces::picture(&*g, &z, Space::Z, &Input::default()).expect("picture");
            (numbers(&picture), found, numbers(&moved))
        };
        let (frozen, ..) = run(&|_| false);
        let (picture, all, _) = run(&|_| true);
        assert!(apart(&picture, &frozen) <= 1e-5, "the picture");
        assert!(all.len() > 25, "{} parameters", all.len());
        for (name, expected) in &all {
            let expected = expected.as_ref().unwrap_or_else(|| panic!("no gradient of {name}"));
            assert!(expected.iter().any(|v| *v != 0.0), "the gradient of {name} is zero");
            let (_, alone, moved) = run(&|n| n == name);
            let found =
                alone[name].as_ref().unwrap_or_else(|| panic!("no gradient of {name} alone"));
            assert!(apart(found, expected) <= 1e-4, "{name} alone");
            assert!(apart(&moved, &frozen) > 1e-6, "a step of {name} changes nothing");
        }
    }
}

/// The difference, as a share of `b`, in root mean square.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    let sum = |v: &mut dyn Iterator<Item = f32>| v.map(|v| f64::from(v).powi(2)).sum::<f64>();
    (sum(&mut a.iter().zip(b).map(|(a, b)| a - b)) / sum(&mut b.iter().copied())).sqrt()
}

#[test]
fn the_mean_of_w_is_read_or_computed() {
    let g = toy(false);
    let mean = numbers(g.mean(Space::W).expect("mean"));
    assert!(mean.len() == DIM && mean.iter().any(|v| v.abs() > 0.01));
    let mut stored = tensors(false).expect("tensors");
    let rows = Tensor::from_vec([0.5f32; DIM].repeat(8), (8, DIM), &Device::Cpu).expect("rows");
    stored.insert("mapping.w_avg".into(), rows);
    let g = build(stored, false).expect("toy");
    assert_eq!(numbers(g.mean(Space::W).expect("mean")), [0.5; DIM]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |change: &dyn Fn(&mut Named)| {
        let mut all = tensors(false).expect("tensors");
        change(&mut all);
        let e = build(all, false).err().expect("refused");
        assert!(e.repair().is_some(), "{e}");
        e.to_string()
    };
    let t = |shape: &[usize]| {
        Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).expect("zeros")
    };
    for name in ["synthesis.const", "mapping.fc0.bias", "synthesis.b1.conv2.depthwise"] {
        assert!(refused(&|all| drop(all.remove(name))).contains(name), "{name}");
    }
    for (name, shape) in [
        ("synthesis.const", &[1, 16, 4, 5][..]),
        ("synthesis.b0.conv2.pointwise", &[10, 12, 1, 1]),
        ("synthesis.b1.head.weight", &[13, 8, 1, 1]),
        ("mapping.fc1.weight", &[DIM + 1, DIM]),
        ("mapping.w_avg", &[3, DIM]),
        ("synthesis.b0.conv1.noise", &[1, 1, 4, 4]),
        ("synthesis.extra", &[1]),
    ] {
        refused(&|all| drop(all.insert(name.into(), t(shape))));
    }
}
