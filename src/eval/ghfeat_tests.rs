//! GH-Feat on weights by a formula: against the official code (`scripts/reference/ghfeat.py`), and
//! in programs.

use super::encoder_tests::{Place, Tensors, save, written};
use super::*;
use crate::limits::LIMITS;
use crate::network::formula::{Case, apart, filled};
use crate::network::{Host, Move, Seen, find_foreign};
use crate::space::Space;
use crate::value::Models;
use crate::weights::{Network, open_network};
use candle_core::{DType, Device, Tensor};
use std::path::{Path, PathBuf};

fn reference(folder: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(folder).join(name)
}

fn agrees(name: &str) {
    let case = Case::open("encoders", name);
    let weights = case.weights();
    let found = find_foreign(weights.list()).unwrap();
    assert!(found.words().contains("GH-Feat"));
    let mean = Tensor::zeros(512, DType::F32, &Device::Cpu).unwrap();
    let (layers, weights_of) = (Vec::new(), Vec::new());
    let host = Host { mean, rows: 14, layers, weights: weights_of, map: None, first: None };
    let own = found.read("0123", weights, host, &Device::Cpu).unwrap();
    let own: &dyn crate::network::Encoder = &own;
    assert_eq!((own.name(), own.passes(), own.space()), ("GH-Feat 0123", 1, Space::S));
    let pictures = filled(&[1, 3, 128, 128], 9001, 0.9);
    let Move::To(styles) = own.pass(&Seen::first(&pictures, &pictures)).unwrap() else {
        panic!("no code")
    };
    assert_eq!(styles.dims(), [1, 1, 9984]);
    let step = case.said("opts")["step"].as_u64().unwrap() as usize;
    let every: Vec<u32> = (0..9984).step_by(step).collect();
    let every = Tensor::new(every, &Device::Cpu).unwrap();
    let thin = styles.squeeze(1).unwrap().index_select(&every, 1).unwrap();
    let error = apart(&thin, case.tensor("styles"));
    assert!(error < 1e-5, "{name}: {error}");
}

#[test]
fn ghfeat_equals_the_official_code() {
    agrees("ghfeat_18");
    agrees("ghfeat_50");
}

/// A StyleGAN of 32², and an encoder of the case whose heads find its styles.
fn fitted(place: &Place) -> [PathBuf; 2] {
    let model = reference("stylegan1", "lernapparat_32.safetensors");
    let loaded = Models::cpu().load(model.to_str().unwrap()).unwrap();
    let styles = loaded.spec().dims().s_dim();
    let mut tensors: Tensors = Case::open("encoders", "ghfeat_18").state();
    let part = styles / 3;
    for (name, size) in [("High", styles - 2 * part), ("Mid", part), ("Low", part)] {
        let norm = ["gamma", "beta", "moving_mean", "moving_variance"];
        let norm = norm.map(|part| format!("batch_norm/{part}"));
        for part in ["weight".to_owned(), "bias".to_owned()].into_iter().chain(norm) {
            cut(&mut tensors, &format!("{name}Level/{part}"), size);
        }
    }
    let path = place.at("ghfeat.safetensors");
    save(&path, &tensors);
    [model, path]
}

/// The first so many numbers along the last axis.
fn cut(tensors: &mut Tensors, name: &str, size: usize) {
    let whole = &tensors[name];
    let part = whole.narrow(whole.rank() - 1, 0, size).unwrap().contiguous().unwrap();
    tensors.insert(name.into(), part);
}

#[test]
fn ghfeat_in_a_program() {
    let place = Place::new();
    let [model, path] = fitted(&place);
    let call = |how: &str| {
        let program = format!("r = invert(sample(seed: 3), encoder: {}, {how})\nr", written(&path));
        place.run(&model, &program)
    };
    match call("method: encoder, space: S").unwrap().last() {
        Some(Value::Inversion(r)) => {
            assert!(r.how.contains("GH-Feat ") && r.steps == 1 && r.code.space == Space::S)
        }
        other => panic!("{:?}", other.map(Value::ty)),
    }
    let refused = |found: Result<_>, message: &str, repair: &str| {
        let e: Error = found.map(|_: super::tests::Kept| ()).err().unwrap();
        let hint = e.repair().unwrap_or_default().to_string();
        assert!(e.message().contains(message) && hint.contains(repair), "{e} {hint}");
    };
    refused(call("method: encoder"), "finds codes of S", "space: S");
    refused(call("in_domain: 1, method: optimize, steps: 1"), "finds codes of S", "in_domain: 0");
    let psp = written(&place.encoder("psp"));
    let program = format!("invert(sample(seed: 3), method: encoder, space: S, encoder: {psp})");
    let alone = place.at("alone.safetensors");
    refused(place.run(&alone, &program), "finds codes of W+", "space: W+");
    let e = place.inverted(&format!("method: encoder, space: S, encoder: {}", written(&path)));
    assert!(e.err().unwrap().message().contains("GH-Feat"));
}

/// The official files hold four networks: the generator is loaded, the encoder is asked for.
#[test]
fn the_encoder_of_a_pickle_of_four_networks_is_found() {
    let path = reference("encoders", "ghfeat.pkl");
    let names = |network: Network| -> Vec<String> {
        let opened = open_network(&path, &LIMITS, network).unwrap();
        opened.weights.list().tensors.keys().cloned().collect()
    };
    assert_eq!(names(Network::Generator), ["Gs/weight"]);
    assert_eq!(names(Network::Discriminator), ["Gs/weight"]);
    assert_eq!(names(Network::Encoder), ["E_gpu0/weight"]);
}
