//! Tests of the encoder network.

use super::*;
use crate::generator::toy;
use crate::limits::LIMITS;
use crate::rng::Rng;
use crate::weights::{self, Weights};
use std::collections::BTreeMap;

type Parts = BTreeMap<String, Tensor>;

/// The step that a pass takes.
pub(crate) fn step(pass: Result<Move>) -> Tensor {
    match pass.unwrap() {
        Move::By(step) => step,
        other => panic!("{other:?}"),
    }
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// The shape of a small network for the toy.
fn settings() -> EncoderConfig {
    EncoderConfig {
        input_resolution: 16,
        strides: vec![2, 2],
        leaky: 0.2,
        grid: 2,
        num_ws: 8,
        w_dim: 16,
        generator_sha256: None,
        steps: 4,
    }
}

fn parts(channels: usize) -> Parts {
    let mut rng = Rng::new(11);
    let mut parts = Parts::new();
    for (name, shape, scale) in [
        ("conv0.weight", vec![6, 2 * channels, 3, 3], 0.2),
        ("conv0.bias", vec![6], 0.1),
        ("conv1.weight", vec![5, 6, 3, 3], 0.2),
        ("conv1.bias", vec![5], 0.1),
        ("base.weight", vec![16, 20], 0.05),
        ("base.bias", vec![16], 0.01),
        ("offsets.weight", vec![128, 5], 0.02),
        ("offsets.bias", vec![128], 0.01),
    ] {
        let data = rng
            .normals(shape.iter().product())
            .into_iter()
            .map(|v| v * scale)
            .collect::<Vec<f32>>();
        parts.insert(name.to_string(), Tensor::from_vec(data, shape, &Device::Cpu).unwrap());
    }
    parts
}

/// A small network with seeded weights for the toy generator.
pub(crate) fn network() -> PassNet {
    PassNet::new("random", settings(), Weights::of_tensors("e", parts(3)), &Device::Cpu).unwrap()
}

#[test]
fn pictures_of_any_size_but_of_its_own_channels() {
    let (g, network) = (toy(0, &Device::Cpu).unwrap(), network());
    // A grey picture, at another size: only the number of channels matters.
    let grey = Tensor::zeros((1, 1, 40, 24), DType::F32, &Device::Cpu).unwrap();
    let e = network.pass(&Seen::first(&grey, &grey)).unwrap_err();
    assert!(e.message().contains("3 channels, these have 1") && e.repair().is_some());
    let wide = Tensor::zeros((2, 3, 40, 24), DType::F32, &Device::Cpu).unwrap();
    assert_eq!(step(network.pass(&Seen::first(&wide, &wide))).dims(), [2, 8, 16]);
    let spec = g.spec();
    network.check(&spec.name, spec.channels, &spec.dims()).unwrap();
    let e =
        network.check(&spec.name, spec.channels, &Dims { w_dim: 17, ..spec.dims() }).unwrap_err();
    assert!(
        e.message().contains("codes of 8×16")
            && e.message().contains("8×17")
            && e.repair().is_some()
    );
}

#[test]
fn a_broken_network_names_what_is_wrong() {
    let refused = |change: &dyn Fn(&mut EncoderConfig, &mut Parts)| {
        let (mut config, mut parts) = (settings(), parts(3));
        change(&mut config, &mut parts);
        let weights = Weights::of_tensors("e", parts);
        let e = PassNet::new("e", config, weights, &Device::Cpu).err().unwrap();
        assert!(e.repair().is_some());
        e.message().to_owned()
    };
    assert!(refused(&|_, p| drop(p.remove("base.bias"))).contains("`base.bias` [16] is missing"));
    assert!(refused(&|c, _| c.num_ws = 9).contains("offsets.weight"));
    assert!(refused(&|c, _| c.grid = 3).contains("4² does not divide into 3×3"));
    assert!(refused(&|c, _| c.grid = 0).contains("0"));
    assert!(refused(&|c, _| c.steps = 0).contains("0"));
    let spare = |_: &mut EncoderConfig, p: &mut Parts| {
        drop(p.insert("head.bias".into(), p["base.bias"].clone()))
    };
    assert!(refused(&spare).contains("`head.bias` [16] belongs to no part"));
    let odd = |_: &mut EncoderConfig, p: &mut Parts| {
        p.insert(
            "conv0.weight".into(),
            Tensor::zeros((6, 5, 3, 3), DType::F32, &Device::Cpu).unwrap(),
        );
    };
    assert!(refused(&odd).contains("as many channels"));
}

/// Passes of small random networks against numbers from PyTorch in double precision
/// (tests/reference/encoder).
#[test]
fn passes_agree_with_pytorch() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/encoder");
    for name in ["grid2", "grid4", "odd"] {
        let file = weights::open(&folder.join(format!("{name}.safetensors")), &LIMITS).unwrap();
        let config: EncoderConfig = serde_json::from_value(file.config().clone()).unwrap();
        let mut weights = file.weights;
        let numbers = ["ref.x", "ref.y", "ref.delta"];
        let [x, y, delta] = numbers.map(|k| weights.take_any(k).unwrap());
        let network = PassNet::new(name, config, weights, &Device::Cpu).unwrap();
        let found = step(network.pass(&Seen::first(&x, &y)));
        assert_eq!(found.dims(), delta.dims());
        for (a, b) in values(&found).iter().zip(values(&delta)) {
            assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{name}: {a} {b}");
        }
        // Both pictures count, and so does what is beyond the range: not at all.
        assert_ne!(values(&found), values(&step(network.pass(&Seen::first(&y, &x)))));
        let clamped = x.clamp(-1f32, 1f32).unwrap();
        assert_ne!(values(&x), values(&clamped));
        assert_eq!(values(&found), values(&step(network.pass(&Seen::first(&clamped, &y)))));
    }
}
