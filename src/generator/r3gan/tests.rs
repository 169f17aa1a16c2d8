//! Tests of R3GAN that need no reference numbers.

use super::config::Config;
use super::{FAMILY, R3Gan};
use crate::error::Error;
use crate::generator::family;
use crate::generator::{Generator, Input, Start, Tap, spaces};
use crate::rng::Rng;
use crate::space::Space;
use crate::weights::Weights;
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;

type Tensors = BTreeMap<String, Tensor>;

/// Random weights: three stages of 6, 8 and 8 channels, a basis of 4×2.
fn tensors(c_dim: usize) -> Tensors {
    let mut all = Tensors::new();
    let mut put = |name: &str, shape: &[usize]| {
        let n: usize = shape.iter().product();
        let fan: usize = shape.iter().skip(1).product();
        let values = Rng::derive(1, name).normals(n).into_iter();
        let values = values.map(|v| v / (fan.max(1) as f32).sqrt()).collect::<Vec<_>>();
        let t = Tensor::from_vec(values, shape, &Device::Cpu).expect("tensor");
        all.insert(name.to_owned(), t);
    };
    put("stages.0.basis", &[6, 4, 2]);
    put("stages.0.linear.weight", &[6, if c_dim > 0 { 8 } else { 5 }]);
    if c_dim > 0 {
        put("embed.weight", &[3, c_dim]);
    }
    put("stages.1.conv.weight", &[8, 6, 1, 1]);
    for (s, channels, groups) in [(0, 6, 3), (1, 8, 2), (2, 8, 1)] {
        let name = |part: &str| format!("stages.{s}.blocks.0.{part}");
        put(&name("conv1.weight"), &[12, channels, 1, 1]);
        put(&name("conv2.weight"), &[12, 12 / groups, 3, 3]);
        put(&name("conv3.weight"), &[channels, 12, 1, 1]);
        put(&name("bias1"), &[12]);
        put(&name("bias2"), &[12]);
        if s > 0 {
            put(&format!("stages.{s}.filter"), &[4, 4]);
        }
    }
    put("rgb.weight", &[3, 8, 1, 1]);
    all
}

fn build(tensors: Tensors) -> Result<R3Gan, Error> {
    let mut weights = Weights::of_tensors("toy", tensors);
    let config = Config::new(weights.list(), &family::Config::default())?;
    let spec = config.spec(weights.list(), "");
    let g = R3Gan::build(&mut weights, config, spec, &Device::Cpu)?;
    weights.finish()?;
    Ok(g)
}

fn drawn(g: &R3Gan) -> (Tensor, Input) {
    let z = Tensor::from_vec(Rng::new(3).normals(10), (2, 5), &Device::Cpu).expect("z");
    let c = g.spec().c_dim;
    let labels = (c > 0).then(|| Tensor::ones((2, c), DType::F32, &Device::Cpu).expect("ones"));
    (z, Input::labelled(labels.as_ref()))
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all().and_then(|t| t.to_vec1()).expect("numbers")
}

#[test]
fn layers_are_tapped_and_entered() {
    for c_dim in [0, 4] {
        let g = build(tensors(c_dim)).expect("built");
        assert_eq!((g.spec().width, g.spec().height, g.spec().z_dim), (8, 16, 5));
        let (z, input) = drawn(&g);
        let layers = (0..g.spec().layers.len()).map(Tap::Layer);
        let taps: Vec<Tap> = layers.chain([Tap::Picture]).collect();
        let start = Start::Code { space: Space::Z, data: &z };
        let all = g.run(&start, &input, &taps).expect("tapped");
        let picture = all.picture.expect("picture");
        assert_eq!(picture.dims(), [2, 3, 16, 8]);
        assert_eq!(all.features.len(), 6);
        for (feature, layer) in all.features.iter().zip(&g.spec().layers) {
            let size = [2, layer.channels, layer.height, layer.width];
            assert_eq!(feature.map.dims(), size, "{}", layer.name);
            let start = Start::Feature { feature, space: Space::Z, data: &z };
            let again = g.run(&start, &input, &[Tap::Picture]).expect("entered").picture;
            assert_eq!(numbers(&again.expect("picture")), numbers(&picture), "{}", layer.name);
        }
    }
}

#[test]
fn no_parameter_loses_its_gradient() {
    let g = build(tensors(4)).expect("built");
    let (z, input) = drawn(&g);
    let (tuned, variables) = crate::generator::tuned(&g, &|_| true).expect("tuned");
    let picture = spaces::picture(&*tuned, &z, Space::Z, &input).expect("picture");
    let grads = picture.sqr().and_then(|p| p.sum_all()).and_then(|l| l.backward()).expect("grads");
    let trained = tensors(4).keys().filter(|n| !n.ends_with("filter")).count();
    assert_eq!(variables.len(), trained);
    for (name, v) in &variables {
        let found = grads.get(v).unwrap_or_else(|| panic!("no gradient of {name}"));
        assert!(numbers(found).iter().any(|v| *v != 0.0), "the gradient of {name} is zero");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let refused = |change: &dyn Fn(&mut Tensors)| {
        let mut all = tensors(4);
        change(&mut all);
        let e = build(all).err().expect("refused");
        assert!(e.repair().is_some(), "{e}");
        e.to_string()
    };
    for name in
        ["stages.0.basis", "stages.0.linear.weight", "rgb.weight", "stages.1.blocks.0.bias2"]
    {
        assert!(refused(&|t| drop(t.remove(name))).contains(name), "{name}");
    }
    let put = |name: &'static str, shape: &'static [usize]| {
        refused(&move |t: &mut Tensors| {
            let zeros = Tensor::zeros(shape, DType::F32, &Device::Cpu).expect("zeros");
            t.insert(name.into(), zeros);
        })
    };
    assert!(put("embed.weight", &[8, 4]).contains("no room"));
    assert!(put("stages.1.blocks.0.conv2.weight", &[12, 5, 3, 3]).contains("conv2"));
    assert!(put("stages.1.blocks.0.conv2.weight", &[12, 6, 2, 2]).contains("conv2"));
    assert!(put("rgb.weight", &[7, 8, 1, 1]).contains("channels"));
    let deep = refused(&|t| {
        let filter = t["stages.1.filter"].clone();
        (3..80).for_each(|s| drop(t.insert(format!("stages.{s}.filter"), filter.clone())));
    });
    assert!(deep.contains("doubled"), "{deep}");
}

#[test]
fn other_spaces_and_missing_classes_are_refused() {
    let (g, plain) = (build(tensors(4)).expect("built"), build(tensors(0)).expect("built"));
    let (z, input) = drawn(&g);
    let refused = |g: &R3Gan, space, data: &Tensor, input: &Input| {
        let e = g.run(&Start::Code { space, data }, input, &[Tap::Picture]).expect_err("no");
        assert!(e.repair().is_some(), "{e}");
        e.to_string()
    };
    assert!(refused(&g, Space::W, &z, &input).contains("not W"));
    assert!(refused(&g, Space::Z, &z, &Input::default()).contains("label of 4 numbers"));
    assert!(refused(&plain, Space::Z, &z, &input).contains("not conditional"));
    let short = z.narrow(1, 0, 3).expect("part");
    assert!(refused(&g, Space::Z, &short, &input).contains("[N, 5]"));
    let wide = Tensor::ones((2, 3), DType::F32, &Device::Cpu).expect("ones");
    assert!(refused(&g, Space::Z, &z, &Input::labelled(Some(&wide))).contains("[2, 3]"));
    assert!(g.enter(Space::W, &z, &input).is_err() && g.mean(Space::W).is_none());
    assert_eq!(FAMILY.name, "r3gan");
}
