//! Tests of the feature-residual network.

use super::*;
use crate::generator::toy;
use crate::limits::LIMITS;
use crate::rng::Rng;
use crate::weights::{self, Weights};
use candle_core::DType;
use std::collections::BTreeMap;

type Parts = BTreeMap<String, Tensor>;

/// The layer of the toy whose map the small network changes.
const LAYER: usize = 2;

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// The size of that map.
fn map() -> [usize; 3] {
    let g = toy(0, &Device::Cpu).unwrap();
    let layer = &g.spec().layers[LAYER];
    [layer.channels, layer.height, layer.width]
}

/// The shape of a small network for the toy.
fn settings() -> ResidualConfig {
    ResidualConfig {
        input_resolution: 16,
        strides: vec![1, 2, 2],
        leaky: 0.2,
        layer: LAYER,
        side: map()[1],
        generator_sha256: String::new(),
    }
}

fn parts() -> Parts {
    let (mut rng, mut parts) = (Rng::new(12), Parts::new());
    let [channels, ..] = map();
    for (name, outer, inner) in
        [("conv0", 3, 6), ("conv1", 4, 3), ("conv2", 5, 4), ("up0", 4, 9), ("out", channels, 4)]
    {
        for (part, shape) in [("weight", vec![outer, inner, 3, 3]), ("bias", vec![outer])] {
            let data = rng.normals(shape.iter().product());
            let data = data.into_iter().map(|v| 0.1 * v).collect::<Vec<f32>>();
            let tensor = Tensor::from_vec(data, shape, &Device::Cpu).unwrap();
            parts.insert(format!("{name}.{part}"), tensor);
        }
    }
    parts
}

fn built(config: ResidualConfig, parts: Parts) -> Result<ResidualNet> {
    let weights = Weights::of_tensors("r", parts);
    ResidualNet::new("random residual", config, weights, Some(map()), &Device::Cpu)
}

/// A small network with seeded weights for the toy generator.
pub(crate) fn network() -> ResidualNet {
    built(settings(), parts()).unwrap()
}

fn residual(network: &ResidualNet, seen: &Seen<'_>) -> Tensor {
    assert!(matches!(network.pass(seen).unwrap(), Move::Stay));
    let mut found = network.beside(seen).unwrap();
    assert_eq!((found.len(), found[0].0), (1, Part::Residual(network.config.layer)));
    found.remove(0).1
}

#[test]
fn pictures_of_any_size_but_of_its_own_channels() {
    let (g, network) = (toy(0, &Device::Cpu).unwrap(), network());
    let wide = Tensor::zeros((2, 3, 40, 24), DType::F32, &Device::Cpu).unwrap();
    let [c, h, w] = map();
    assert_eq!(residual(&network, &Seen::first(&wide, &wide)).dims(), [2, c, h, w]);
    let grey = Tensor::zeros((1, 1, 40, 24), DType::F32, &Device::Cpu).unwrap();
    let e = network.beside(&Seen::first(&grey, &grey)).unwrap_err();
    assert!(e.message().contains("3 channels, these have 1") && e.repair().is_some());
    let spec = g.spec();
    network.check(&spec.name, spec.channels, &spec.dims()).unwrap();
    assert!(network.check(&spec.name, 1, &spec.dims()).unwrap_err().repair().is_some());
}

#[test]
fn what_a_map_has_already_stays() {
    let network = network();
    let picture = |seed| {
        let data = Rng::new(seed).normals(3 * 256);
        Tensor::from_vec(data, (1, 3, 16, 16), &Device::Cpu).unwrap()
    };
    let (x, y) = (picture(1), picture(2));
    let alone = residual(&network, &Seen::first(&x, &y));
    let [c, h, w] = map();
    let before = Tensor::ones((1, c, h, w), DType::F32, &Device::Cpu).unwrap();
    let beside = [(Part::Residual(LAYER), before)];
    let both = residual(&network, &Seen { found: &beside, ..Seen::first(&x, &y) });
    assert_eq!(values(&both), values(&(alone + 1.0).unwrap()));
}

#[test]
fn a_broken_network_names_what_is_wrong() {
    let refused = |change: &dyn Fn(&mut ResidualConfig, &mut Parts)| {
        let (mut config, mut parts) = (settings(), parts());
        change(&mut config, &mut parts);
        let e = built(config, parts).err().unwrap();
        assert!(e.repair().is_some());
        e.message().to_owned()
    };
    assert!(refused(&|_, p| drop(p.remove("out.bias"))).contains("`out.bias`"));
    assert!(refused(&|c, _| c.strides = vec![]).contains("stride"));
    assert!(refused(&|c, _| c.side = 4).contains("it changes a map of"));
    // Without its way up it would give a coarser map.
    let short = |_: &mut ResidualConfig, p: &mut Parts| {
        p.remove("up0.weight");
        p.remove("up0.bias");
        let zeros = Tensor::zeros((map()[0], 5, 3, 3), DType::F32, &Device::Cpu).unwrap();
        p.insert("out.weight".into(), zeros);
    };
    assert!(refused(&short).contains("it changes a map of"));
    let spare = |_: &mut ResidualConfig, p: &mut Parts| {
        drop(p.insert("head.bias".into(), p["out.bias"].clone()));
    };
    assert!(refused(&spare).contains("`head.bias`"));
    let odd = |_: &mut ResidualConfig, p: &mut Parts| {
        let zeros = Tensor::zeros((3, 5, 3, 3), DType::F32, &Device::Cpu).unwrap();
        p.insert("conv0.weight".into(), zeros);
    };
    assert!(refused(&odd).contains("as many channels"));
    let weights = Weights::of_tensors("r", parts());
    let e = ResidualNet::new("r", settings(), weights, None, &Device::Cpu).err().unwrap();
    assert!(e.message().contains("the generator has none there"), "{e}");
}

/// Small random networks against numbers from PyTorch in double precision
/// (tests/reference/residual).
#[test]
fn residuals_agree_with_pytorch() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/residual");
    for name in ["one_up", "two_up"] {
        let file = weights::open(&folder.join(format!("{name}.safetensors")), &LIMITS).unwrap();
        let config: ResidualConfig = serde_json::from_value(file.config().clone()).unwrap();
        let mut weights = file.weights;
        let numbers = ["ref.x", "ref.y", "ref.residual"];
        let [x, y, wanted] = numbers.map(|k| weights.take_any(k).unwrap());
        let map = [wanted.dims()[1], wanted.dims()[2], wanted.dims()[3]];
        let network = ResidualNet::new(name, config, weights, Some(map), &Device::Cpu).unwrap();
        let found = residual(&network, &Seen::first(&x, &y));
        assert_eq!(found.dims(), wanted.dims());
        for (a, b) in values(&found).iter().zip(values(&wanted)) {
            assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{name}: {a} {b}");
        }
        // Both pictures count.
        assert_ne!(values(&found), values(&residual(&network, &Seen::first(&y, &x))));
    }
}
