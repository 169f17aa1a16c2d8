//! LPIPS on weights by a formula, against PyTorch (`scripts/reference/terms.py`).

use super::*;
use crate::network::formula::filled;
use candle_core::{Var, safetensors};
use std::collections::{BTreeMap, HashMap};

/// The convolutions of a network by the names of torchvision: channels out and in, kernel.
fn convolutions(name: &str) -> Vec<(String, [usize; 3])> {
    let plain = |all: &[(usize, [usize; 3])]| {
        all.iter().map(|(at, shape)| (format!("features.{at}"), *shape)).collect::<Vec<_>>()
    };
    match name {
        "vgg" => {
            let places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28];
            let widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512];
            let pairs = widths.windows(2).map(|w| [w[1], w[0], 3]);
            plain(&places.into_iter().zip(pairs).collect::<Vec<_>>())
        }
        "alex" => plain(&[
            (0, [64, 3, 11]),
            (3, [192, 64, 5]),
            (6, [384, 192, 3]),
            (8, [256, 384, 3]),
            (10, [256, 256, 3]),
        ]),
        _ => {
            let mut all = vec![("features.0".to_owned(), [64, 3, 3])];
            for (at, [inner, squeezed, each]) in [
                (3, [64, 16, 64]),
                (4, [128, 16, 64]),
                (6, [128, 32, 128]),
                (7, [256, 32, 128]),
                (9, [256, 48, 192]),
                (10, [384, 48, 192]),
                (11, [384, 64, 256]),
                (12, [512, 64, 256]),
            ] {
                all.push((format!("features.{at}.squeeze"), [squeezed, inner, 1]));
                all.push((format!("features.{at}.expand1x1"), [each, squeezed, 1]));
                all.push((format!("features.{at}.expand3x3"), [each, squeezed, 3]));
            }
            all
        }
    }
}

fn heads(name: &str) -> &'static [usize] {
    match name {
        "vgg" => &[64, 128, 256, 512, 512],
        "alex" => &[64, 192, 384, 256, 256],
        _ => &[64, 128, 256, 384, 384, 512, 512],
    }
}

type Tensors = HashMap<String, Tensor>;

fn tensors(name: &str) -> (Tensors, Tensors) {
    let mut network = Tensors::new();
    for (k, (layer, [outer, inner, size])) in convolutions(name).into_iter().enumerate() {
        let (k, fan) = (2 * k as u32, (inner * size * size) as f64);
        let weight = filled(&[outer, inner, size, size], k, (6.0 / fan).sqrt());
        network.insert(format!("{layer}.weight"), weight);
        network.insert(format!("{layer}.bias"), filled(&[outer], k + 1, 0.1));
    }
    let head = |(k, c): (usize, &usize)| {
        let head = filled(&[1, *c, 1, 1], 1000 + k as u32, 1.0).abs().unwrap();
        (format!("lin{k}.model.1.weight"), head)
    };
    (network, heads(name).iter().enumerate().map(head).collect())
}

fn held(tensors: Tensors) -> Weights {
    Weights::of_tensors("net.pth", tensors.into_iter().collect::<BTreeMap<_, _>>())
}

fn picture(k: u32) -> Tensor {
    filled(&[1, 3, 64, 64], k, 0.9)
}

#[test]
fn equals_torch_in_value_and_gradient() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/terms/lpips.safetensors");
    let all = safetensors::load(path, &Device::Cpu).unwrap();
    for name in ["vgg", "alex", "squeeze"] {
        let (network, heads) = tensors(name);
        let lpips = Lpips::take(&mut held(network), Some(&mut held(heads)), &Device::Cpu).unwrap();
        let own = Var::from_tensor(&picture(2001)).unwrap();
        let value = lpips.to(&own, &lpips.taps(&picture(2002)).unwrap()).unwrap();
        let [got, want] = [&value, &all[&format!("{name}.value")]]
            .map(|t| t.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]);
        assert!((got - want).abs() < 1e-4 * want, "{name}: {got} {want}");
        let grads = value.backward().unwrap();
        let (got, want) = (grads.get(&own).unwrap(), &all[&format!("{name}.gradient")]);
        let size = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
        let error = (size(&(got - want).unwrap()) / size(want)).sqrt();
        assert!(error < 1e-4, "{name}: relative error of the gradient {error}");
        assert_eq!(lpips.measure(&picture(5), &picture(5)).unwrap(), [0.0]);
    }
}

#[test]
fn files_of_the_package_and_wrong_ones() {
    let (network, heads) = tensors("squeeze");
    // One file as the package lpips saves it.
    let slice = |at: usize| match at {
        0..2 => 1,
        2..5 => 2,
        5..8 => 3,
        8..10 => 4,
        n => n - 5,
    };
    let named = network.iter().map(|(name, t)| {
        let rest = name.strip_prefix("features.").unwrap();
        let at: usize = rest.split('.').next().unwrap().parse().unwrap();
        (format!("net.slice{}.{rest}", slice(at)), t.clone())
    });
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let whole: Tensors = named.chain(heads.clone()).collect();
    safetensors::save(&whole, path("whole.safetensors")).unwrap();
    safetensors::save(&network, path("net.safetensors")).unwrap();
    safetensors::save(&heads, path("heads.safetensors")).unwrap();
    let open = |net: &str, heads: Option<&str>| {
        Lpips::open(&path(net), heads.map(path).as_deref(), &Device::Cpu)
    };
    let [one, two] = [
        open("whole.safetensors", None).unwrap(),
        open("net.safetensors", Some("heads.safetensors")).unwrap(),
    ];
    let of = |l: &Lpips| l.measure(&picture(1), &picture(2)).unwrap();
    assert_eq!(of(&one), of(&two));
    assert!(one.definition().contains("SqueezeNet") && one.fingerprint() != two.fingerprint());
    let e = open("heads.safetensors", None).err().unwrap();
    assert!(e.message().contains("no network of LPIPS"), "{e:?}");
    let e = open("net.safetensors", None).err().unwrap();
    assert!(e.message().contains("lin0") && e.repair().unwrap().contains("lpips_heads"), "{e:?}");
    let (_, others) = tensors("vgg");
    let e = Lpips::take(&mut held(network), Some(&mut held(others)), &Device::Cpu).err().unwrap();
    assert!(format!("{e:?}").contains("not the heads of SqueezeNet"), "{e:?}");
    let small = Tensor::zeros((1, 3, 31, 40), DType::F32, &Device::Cpu).unwrap();
    assert!(one.taps(&small).err().unwrap().message().contains("40×31×3"));
}
