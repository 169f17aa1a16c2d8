//! Forms of the network that the official code does not make: rectangles, other first blocks,
//! means of w that are missing or stored for each layer.

use super::{StyleGan2, W_AVG};
use crate::generator;
use crate::generator::registry::recognise;
use crate::generator::toy::Toy;
use crate::generator::{Generator, Input, Noise, Start, Tap, load};
use crate::limits::LIMITS;
use crate::rng::Rng;
use crate::space::Space;
use crate::weights::{Array, Checkpoint, Weights, open_bytes, safetensors};
use candle_core::{DType, Device, Tensor, Var};
use std::collections::BTreeMap;

type Tensors = BTreeMap<String, Tensor>;

fn toy() -> Toy {
    Toy { resolution: 16, features: 6, ..Toy::default() }
}

fn tensors() -> Tensors {
    toy().build(&Device::Cpu).expect("toy").tensors().unwrap()
}

fn build(tensors: Tensors) -> crate::error::Result<StyleGan2> {
    StyleGan2::new(&mut Weights::of_tensors("toy", tensors), &toy().given(), "", &Device::Cpu)
}

/// The toy with a constant of 3×2, and blocks that are called `b5`, `b10` and `b20`.
fn rectangle() -> Tensors {
    let mut all = Tensors::new();
    for (name, mut t) in tensors() {
        if name.ends_with(".const") || name.ends_with(".noise_const") {
            let [height, width] = [2, 1].map(|d| t.dim(t.rank() - d).expect("size"));
            for (axis, size) in [(t.rank() - 2, height / 4 * 3), (t.rank() - 1, width / 2)] {
                t = t.narrow(axis, 0, size).expect("part");
            }
        }
        let name = [4, 8, 16].iter().fold(name, |name, side| {
            name.replace(&format!("synthesis.b{side}."), &format!("synthesis.b{}.", side * 5 / 4))
        });
        all.insert(name, t.contiguous().expect("contiguous"));
    }
    all
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all().and_then(|t| t.to_vec1()).expect("numbers")
}

fn near(a: &[f32], b: &[f32]) -> bool {
    let largest = b.iter().fold(0f32, |m, v| m.max(v.abs()));
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * largest.max(1.0))
}

/// A rectangle runs on the engine, and the same as layer by layer, with gradients.
#[test]
fn rectangles_run_on_the_engine() {
    let g = build(rectangle()).expect("rectangle");
    let spec = g.spec();
    assert_eq!((spec.height, spec.width, spec.num_ws), (12, 8, 6));
    assert_eq!(spec.noise_sizes, [[3, 2], [6, 4], [6, 4], [12, 8], [12, 8]]);
    assert_eq!((&spec.layers[1].name[..], spec.layers[1].height), ("b10.conv0", 6));
    assert!(g.synthesis.on_engine(), "a rectangle is no reason to run layer by layer");
    let ws = Var::from_vec(Rng::new(3).normals(2 * 6 * 16), (2, 6, 16), &Device::Cpu).expect("ws");
    let input = Input::of(Noise::Random { seed: 1, first: 0 });
    let draw = |taps: &[Tap]| {
        let from = Start::Code { space: Space::WPlus, data: &ws };
        let picture = g.run(&from, &input, taps).expect("run").picture.expect("picture");
        let loss = picture.sqr().and_then(|p| p.mean_all()).expect("loss");
        let grads = loss.backward().expect("backward");
        (picture.dims().to_vec(), numbers(&picture), numbers(grads.get(&ws).expect("gradient")))
    };
    // A tapped layer keeps the run off the engine.
    let (engine, steps) = (draw(&[Tap::Picture]), draw(&[Tap::Layer(0), Tap::Picture]));
    assert_eq!(engine.0, [2, 3, 12, 8]);
    assert!(near(&engine.1, &steps.1) && near(&engine.2, &steps.2));
}

/// Trained weights run on the engine with the gradients that they have layer by layer: all of them,
/// and some alone.
#[test]
fn trained_weights_run_on_the_engine() {
    let square = Toy { resolution: 16, features: 20, ..Toy::default() }.build(&Device::Cpu);
    for g in [build(rectangle()).expect("rectangle"), square.expect("toy")] {
        let n = 2 * g.spec().num_ws * g.spec().w_dim;
        let shape = (2, g.spec().num_ws, g.spec().w_dim);
        let ws = Var::from_vec(Rng::new(3).normals(n), shape, &Device::Cpu).expect("ws");
        let input = Input::of(Noise::Random { seed: 1, first: 0 });
        let some: [&dyn Fn(&str) -> bool; 3] = [
            &|name| name.starts_with("synthesis"),
            &|name| name.ends_with("conv1.weight"),
            &|name| name.ends_with("torgb.bias") || name.contains("const"),
        ];
        for which in some {
            let (tuned, vars) = generator::tuned(&g, which).expect("variables");
            let draw = |taps: &[Tap]| -> Vec<Vec<f32>> {
                let from = Start::Code { space: Space::WPlus, data: &ws };
                let picture =
                    tuned.run(&from, &input, taps).expect("run").picture.expect("picture");
                let grads = picture.sqr().and_then(|p| p.mean_all()?.backward()).expect("backward");
                let slopes = vars.iter().map(|(_, v)| v).chain([&ws]);
                let slopes = slopes.map(|v| numbers(grads.get(v).expect("gradient")));
                std::iter::once(numbers(&picture)).chain(slopes).collect()
            };
            let (engine, steps) = (draw(&[Tap::Picture]), draw(&[Tap::Layer(0), Tap::Picture]));
            assert!(engine.len() > 3, "{}", engine.len());
            let named = ["picture"].into_iter().chain(vars.iter().map(|(name, _)| &name[..]));
            for ((a, b), name) in engine.iter().zip(&steps).zip(named.chain(["ws"])) {
                let largest = b.iter().fold(0f32, |m, v| m.max(v.abs()));
                assert!(largest > 0.0, "{name}");
                let apart = a.iter().zip(b).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
                assert!(
                    a.len() == b.len() && apart <= 3e-5 * largest,
                    "{name}: {apart:e} {largest:e}"
                );
            }
        }
    }
}

fn checkpoint(tensors: Tensors) -> Checkpoint {
    let array = |(n, t): (String, Tensor)| {
        let a = Array::f32(t.dims(), numbers(&t)).expect("array");
        (n, a)
    };
    let all = tensors.into_iter().map(array).collect();
    let bytes = safetensors::write(&all, None).expect("written");
    open_bytes("toy.safetensors", bytes, &LIMITS).expect("opened")
}

/// A missing mean of w is computed, the same each time, and the settings say so.
#[test]
fn a_missing_mean_is_computed() {
    let mut all = tensors();
    all.remove(W_AVG);
    all.remove("synthesis.b8.conv1.noise_const");
    let found = recognise(checkpoint(all.clone())).expect("recognised");
    let said = |key: &str| found.config.settings[key].as_str().map(str::to_owned);
    assert!(said("mean_of_w").is_some_and(|s| s.contains("computed")));
    assert!(said("noise_maps").is_some_and(|s| s.contains("drawn")));
    let [a, b] = [0, 1].map(|_| load(checkpoint(all.clone()), &Device::Cpu).expect("loaded"));
    let mean = |g: &dyn Generator| numbers(g.mean(Space::W).expect("a mean"));
    assert_eq!(mean(&*a), mean(&*b));
    assert_eq!(a.noise_maps().len(), 5);
    // The mean of as many other codes is near.
    let z = Rng::new(9).normals(10_000 * 16);
    let z = Tensor::from_vec(z, (10_000, 16), &Device::Cpu).expect("z");
    let w = a.enter(Space::W, &z, &Input::default()).expect("w");
    let other = numbers(&w.mean(0).expect("mean"));
    let spread = numbers(&w.var(0).expect("variance"));
    for ((a, b), v) in mean(&*a).iter().zip(&other).zip(spread) {
        assert!((a - b).abs() < 6.0 * (2.0 * v / 10_000.0).sqrt(), "{a} is far from {b}");
    }
    let complete = recognise(checkpoint(tensors())).expect("recognised").config.settings;
    assert!(complete["mean_of_w"].is_null() && complete["noise_maps"].is_null());
}

/// Encoders store the mean for each layer: equal rows are one mean, others are refused.
#[test]
fn a_mean_for_each_layer_is_read_once() {
    let mut all = tensors();
    let mean = all[W_AVG].clone();
    all.insert(W_AVG.into(), mean.broadcast_as((6, 16)).expect("rows").contiguous().expect("rows"));
    let g = build(all.clone()).expect("built");
    assert_eq!(numbers(g.mean(Space::W).expect("mean")), numbers(&mean));
    assert_eq!(g.tensors().unwrap()[W_AVG].dims(), [16]);
    all.insert(W_AVG.into(), Tensor::eye(16, DType::F32, &Device::Cpu).expect("rows"));
    let e = build(all).err().expect("refused");
    assert!(e.message().contains("differ") && e.repair().is_some(), "{e}");
}

#[test]
fn impossible_blocks_are_refused() {
    let changed = |change: &dyn Fn(&mut Tensors)| {
        let mut all = tensors();
        change(&mut all);
        let e = build(all).err().expect("refused");
        assert!(e.repair().is_some(), "{e}");
        e.to_string()
    };
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).expect("zeros");
    let second = |t: &mut Tensors| drop(t.insert("synthesis.b8.const".into(), zeros(&[6, 8, 8])));
    assert!(changed(&second).contains("several first blocks"));
    let large =
        |t: &mut Tensors| drop(t.insert("synthesis.b4.const".into(), zeros(&[1, 1, 1 << 16])));
    assert!(changed(&large).contains("pixels"));
    let none = |t: &mut Tensors| drop(t.remove("synthesis.b4.const"));
    assert!(changed(&none).contains("synthesis.b4.const"));
    let layer = "synthesis.b4.conv0.weight";
    assert!(changed(&|t| drop(t.insert(layer.into(), zeros(&[6, 6, 3, 3])))).contains("b4"));
}

/// Pictures on the way are the sums that the layers behind them go on from, by the engine, layer by
/// layer and from a feature map; what is read behind them has no slope.
#[test]
fn pictures_on_the_way_are_the_sums_of_the_layers_up_to_them() {
    let square = toy().build(&Device::Cpu).expect("toy");
    for (g, sides) in [(square, [4, 8]), (build(rectangle()).expect("rectangle"), [3, 6])] {
        assert_eq!(g.early_sides(), sides);
        let input = Input::of(Noise::Random { seed: 2, first: 0 });
        let rows = 2 * g.spec().num_ws * g.spec().w_dim;
        let ws = Var::from_vec(
            Rng::new(3).normals(rows),
            (2, g.spec().num_ws, g.spec().w_dim),
            &Device::Cpu,
        );
        let ws = ws.expect("ws");
        let s = g.enter(Space::S, &ws, &input).expect("styles").detach();
        for (k, side) in sides.into_iter().enumerate() {
            let early = |start: &Start<'_>| {
                let tapped = g.run(start, &input, &[Tap::Early(side)]).expect("early");
                tapped.only(Tap::Early(side)).expect("picture")
            };
            let from = Start::Code { space: Space::WPlus, data: &ws };
            let found = early(&from);
            // The first layer behind it: two a block, one in the first.
            let behind = Tap::Layer(2 * k + 1);
            let next = g.run(&from, &input, &[behind]).and_then(|t| t.feature()).expect("feature");
            assert!(near(&numbers(&found), &numbers(&next.picture.expect("sum"))), "{side}");
            let styled = early(&Start::Code { space: Space::S, data: &s });
            assert!(near(&numbers(&found), &numbers(&styled)), "{side} of styles");
            let first = g.run(&from, &input, &[Tap::Layer(0)]).and_then(|t| t.feature());
            let feature = &first.expect("first");
            let entered = early(&Start::Feature { feature, space: Space::WPlus, data: &ws });
            assert!(near(&numbers(&found), &numbers(&entered)), "{side} from a map");
            let slopes = found.sqr().and_then(|p| p.sum_all()?.backward()).expect("backward");
            let slope = slopes.get(&ws).expect("slope").detach();
            for row in 0..g.spec().num_ws {
                let own = slope.narrow(1, row, 1).expect("row");
                let reads = numbers(&own).iter().any(|v| *v != 0.0);
                assert_eq!(reads, row <= 2 * k + 1, "row {row} for {side}");
            }
        }
        let from = Start::Code { space: Space::WPlus, data: &ws };
        for taps in [&[Tap::Early(5)][..], &[Tap::Early(sides[0]), Tap::Picture]] {
            assert!(g.run(&from, &input, taps).expect_err("refused").repair().is_some());
        }
    }
}
