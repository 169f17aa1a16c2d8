//! Plain generators against numbers from PyTorch (tests/reference/dcgan): pictures and gradients in
//! z. Every file has only tensors without settings, and is recognised by its content.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{Device, Tensor, Var};
use gannet::generator::{self, Generator, Input, spaces};
use gannet::limits::LIMITS;
use gannet::space::Space;
use gannet::weights::{self, Array};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

type Tensors = BTreeMap<String, Tensor>;

/// The largest difference between two tensors of the same shape.
fn apart(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let most = a.sub(b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
    f64::from(most.to_scalar::<f32>().unwrap())
}

fn most(t: &Tensor) -> f64 {
    apart(t, &t.zeros_like().unwrap())
}

/// Makes a file of these tensors.
fn file(tensors: &Tensors) -> Vec<u8> {
    let array = |(name, t): (&String, &Tensor)| {
        let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (name.clone(), Array::f32(t.dims(), values).unwrap())
    };
    weights::safetensors::write_f32(&tensors.iter().map(array).collect(), None).unwrap()
}

/// Opens a file of these tensors as a generator.
fn open(name: &str, tensors: &Tensors) -> Arc<dyn Generator> {
    let bytes = file(tensors);
    let file = weights::open_bytes(&format!("{name}.safetensors"), bytes, &LIMITS).unwrap();
    generator::load(file, &Device::Cpu).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn pictures_and_gradients_are_those_of_pytorch() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/dcgan");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "safetensors") {
            continue;
        }
        seen += 1;
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let all = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
        let (reference, tensors): (Tensors, Tensors) =
            all.into_iter().partition(|(n, _)| n.starts_with("ref."));
        let g = open(&name, &tensors);
        let (z, labels) = (&reference["ref.z"], reference.get("ref.c"));
        let classes = labels.map_or(0, |c| c.dims()[1]);
        assert_eq!((g.spec().z_dim, g.spec().c_dim), (z.dims()[1], classes), "{name}");
        let z = Var::from_tensor(z).unwrap();
        let picture = spaces::picture(&*g, &z, Space::Z, &Input::labelled(labels)).unwrap();
        assert!(apart(&picture, &reference["ref.image"]) < 2e-5, "{name}: the picture");
        let loss = picture.sub(&reference["ref.target"]).unwrap().sqr().unwrap();
        let gradients = loss.mean_all().unwrap().backward().unwrap();
        let (found, expected) = (gradients.get(&z).unwrap(), &reference["ref.grad.z"]);
        let error = apart(found, expected) / most(expected);
        assert!(error < 1e-4, "{name}: the gradient differs by {error:e} of its largest value");
    }
    assert!(seen >= 13, "only {seen} reference files");
}

/// Name prefixes of containers and parallel training, other networks, an optimizer, and conversion
/// to our own format do not change the generator.
#[test]
fn what_is_around_a_generator_changes_nothing() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference/dcgan/conv_first_32.safetensors");
    let all = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let tensors: Tensors = all.into_iter().filter(|(n, _)| !n.starts_with("ref.")).collect();
    let z = Tensor::ones((1, 20), candle_core::DType::F32, &Device::Cpu).unwrap();
    let picture = |g: &dyn Generator| spaces::picture(g, &z, Space::Z, &Input::default()).unwrap();
    let plain = picture(&*open("plain", &tensors));
    for layers in ["model", "net", "layers", "gen", "module.main", "netG.module.main"] {
        let mut other: Tensors =
            tensors.iter().map(|(n, t)| (n.replacen("main", layers, 1), t.clone())).collect();
        if layers.contains("netG") {
            let ones = |shape: &[usize]| {
                Tensor::ones(shape, candle_core::DType::F32, &Device::Cpu).unwrap()
            };
            for (n, t) in &tensors {
                other.insert(format!("optimizerG.state.{n}.exp_avg"), t.clone());
            }
            other.insert("netD.main.0.weight".into(), ones(&[8, 3, 4, 4]));
            other.insert("netD.main.2.weight".into(), ones(&[1, 8, 4, 4]));
            other.insert("fixed_noise".into(), ones(&[4, 20, 1, 1]));
        }
        assert_eq!(apart(&picture(&*open(layers, &other)), &plain), 0.0, "{layers}");
    }
    let bytes = file(&tensors);
    let file = |bytes: Vec<u8>| weights::open_bytes("a.safetensors", bytes, &LIMITS).unwrap();
    let converted = generator::convert(file(bytes.clone())).unwrap();
    let [a, b] = [bytes, converted].map(|b| generator::load(file(b), &Device::Cpu).unwrap());
    assert_eq!(a.spec(), b.spec());
    assert_eq!(apart(&picture(&*b), &plain), 0.0);
}
