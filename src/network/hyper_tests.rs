//! Tests of the hypernetwork.

use super::*;
use crate::generator::toy;
use crate::limits::LIMITS;
use crate::rng::Rng;
use crate::weights::{self, Weights};
use candle_core::DType;
use std::collections::BTreeMap;

type Parts = BTreeMap<String, Tensor>;

/// The convolutions of the toy that the small network changes.
const CHANGED: [&str; 2] = ["synthesis.b8.conv1.weight", "synthesis.b16.conv0.weight"];

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// Names and shapes of the toy's weights.
fn host() -> Vec<(String, Vec<usize>)> {
    let g = toy(0, &Device::Cpu).unwrap();
    let all = g.weights().unwrap();
    all.iter().map(|(name, t)| (name.to_string(), t.dims().to_vec())).collect()
}

fn settings() -> HyperConfig {
    HyperConfig {
        input_resolution: 16,
        strides: vec![2, 2],
        leaky: 0.2,
        grid: 2,
        rank: 2,
        weights: CHANGED.map(str::to_owned).into(),
        generator_sha256: String::new(),
    }
}

fn parts() -> Parts {
    let (mut rng, mut parts, host) = (Rng::new(13), Parts::new(), host());
    let mut put = |name: &str, shape: &[usize]| {
        for (part, shape) in [("weight", shape), ("bias", &shape[..1])] {
            let data = rng.normals(shape.iter().product());
            let data = data.into_iter().map(|v| 0.2 * v).collect::<Vec<f32>>();
            let tensor = Tensor::from_vec(data, shape, &Device::Cpu).unwrap();
            parts.insert(format!("{name}.{part}"), tensor);
        }
    };
    put("conv0", &[3, 6, 3, 3]);
    put("conv1", &[4, 3, 3, 3]);
    put("code", &[5, 16]);
    for (i, name) in CHANGED.iter().enumerate() {
        let (_, shape) = host.iter().find(|(own, _)| own == name).unwrap();
        put(&format!("left{i}"), &[2 * shape[0], 5]);
        put(&format!("right{i}"), &[2 * shape[1], 5]);
    }
    parts
}

fn built(config: HyperConfig, parts: Parts) -> Result<HyperNet> {
    let weights = Weights::of_tensors("h", parts);
    HyperNet::new("random hypernetwork", config, weights, &host(), &Device::Cpu)
}

/// A small network with seeded weights for the toy generator.
pub(crate) fn network() -> HyperNet {
    built(settings(), parts()).unwrap()
}

fn gains(network: &HyperNet, seen: &Seen<'_>) -> Vec<Tensor> {
    assert!(matches!(network.pass(seen).unwrap(), Move::Stay));
    let found = network.beside(seen).unwrap();
    let places: Vec<Part> = network.heads.iter().map(|head| Part::Gain(head.weight)).collect();
    assert_eq!(found.iter().map(|(part, _)| *part).collect::<Vec<_>>(), places);
    found.into_iter().map(|(_, gain)| gain).collect()
}

fn picture(seed: u64) -> Tensor {
    let data = Rng::new(seed).normals(3 * 256);
    Tensor::from_vec(data, (1, 3, 16, 16), &Device::Cpu).unwrap()
}

#[test]
fn pictures_of_any_size_but_of_its_own_channels() {
    let (g, network) = (toy(0, &Device::Cpu).unwrap(), network());
    let wide = Tensor::zeros((2, 3, 40, 24), DType::F32, &Device::Cpu).unwrap();
    let found = gains(&network, &Seen::first(&wide, &wide));
    for (gain, name) in found.iter().zip(CHANGED) {
        let (_, shape) = host().into_iter().find(|(own, _)| own == name).unwrap();
        assert_eq!(gain.dims(), [2, shape[0], shape[1]]);
    }
    let grey = Tensor::zeros((1, 1, 40, 24), DType::F32, &Device::Cpu).unwrap();
    let e = network.beside(&Seen::first(&grey, &grey)).unwrap_err();
    assert!(e.message().contains("3 channels, these have 1") && e.repair().is_some());
    let spec = g.spec();
    network.check(&spec.name, spec.channels, &spec.dims()).unwrap();
    assert!(network.check(&spec.name, 1, &spec.dims()).unwrap_err().repair().is_some());
}

#[test]
fn what_a_weight_has_already_stays() {
    let (network, x, y) = (network(), picture(1), picture(2));
    let alone = gains(&network, &Seen::first(&x, &y));
    let own = Part::Gain(network.heads[0].weight);
    let beside = [(own, alone[0].ones_like().unwrap())];
    let both = gains(&network, &Seen { found: &beside, ..Seen::first(&x, &y) });
    assert_eq!(values(&both[0]), values(&(&alone[0] + 1.0).unwrap()));
    assert_eq!(values(&both[1]), values(&alone[1]));
}

#[test]
fn a_broken_network_names_what_is_wrong() {
    let refused = |change: &dyn Fn(&mut HyperConfig, &mut Parts)| {
        let (mut config, mut parts) = (settings(), parts());
        change(&mut config, &mut parts);
        let e = built(config, parts).err().unwrap();
        assert!(e.repair().is_some());
        e.message().to_owned()
    };
    assert!(refused(&|_, p| drop(p.remove("left1.bias"))).contains("`left1.bias`"));
    assert!(refused(&|c, _| c.strides = vec![]).contains("stride"));
    assert!(refused(&|c, _| c.rank = 0).contains("may be 0"));
    assert!(refused(&|c, _| c.weights.clear()).contains("may be 0"));
    assert!(refused(&|c, _| c.grid = 3).contains("does not divide into 3×3"));
    assert!(refused(&|c, _| c.rank = 1).contains("its factors for synthesis.b8.conv1.weight"));
    assert!(refused(&|c, _| c.weights[1] = "b9".into()).contains("b9, which the generator lacks"));
    // A bias has no pairs of channels.
    let bias = |c: &mut HyperConfig, _: &mut Parts| c.weights[0] = "synthesis.b8.conv1.bias".into();
    assert!(refused(&bias).contains("which the generator lacks"));
    assert!(refused(&|c, _| drop(c.weights.pop())).contains("`left1."));
    let odd = |_: &mut HyperConfig, p: &mut Parts| {
        let zeros = Tensor::zeros((3, 5, 3, 3), DType::F32, &Device::Cpu).unwrap();
        p.insert("conv0.weight".into(), zeros);
    };
    assert!(refused(&odd).contains("as many channels"));
}

/// Small random networks against numbers from PyTorch in double precision (tests/reference/hyper).
#[test]
fn gains_agree_with_pytorch() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/hyper");
    for name in ["one", "two"] {
        let file = weights::open(&folder.join(format!("{name}.safetensors")), &LIMITS).unwrap();
        let config: HyperConfig = serde_json::from_value(file.config().clone()).unwrap();
        let mut weights = file.weights;
        let [x, y] = ["ref.x", "ref.y"].map(|k| weights.take_any(k).unwrap());
        let number = |i: usize| format!("ref.gain{i}");
        let wanted = (0..config.weights.len()).map(|i| weights.take_any(&number(i)).unwrap());
        let wanted: Vec<Tensor> = wanted.collect();
        let shapes = wanted.iter().map(|t| vec![t.dims()[1], t.dims()[2], 3, 3]);
        let host: Vec<_> = config.weights.clone().into_iter().zip(shapes).collect();
        let network = HyperNet::new(name, config, weights, &host, &Device::Cpu).unwrap();
        let found = gains(&network, &Seen::first(&x, &y));
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found.dims(), wanted.dims());
            for (a, b) in values(found).iter().zip(values(wanted)) {
                assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{name}: {a} {b}");
            }
        }
        // Both pictures count.
        assert_ne!(values(&found[0]), values(&gains(&network, &Seen::first(&y, &x))[0]));
    }
}
