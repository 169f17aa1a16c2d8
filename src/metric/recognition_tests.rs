//! ArcFace and CurricularFace on weights by a formula, against the official code
//! (`scripts/reference/encoders.py`).

use super::*;
use crate::network::formula::{Case, apart, filled};
use crate::weights::Weights;
use candle_core::Var;

fn small(case: &Case) -> Recognition {
    Recognition::take(case.weights(), &Device::Cpu).unwrap()
}

/// Embedding and slopes of a face, slopes as near as `near`, and the embedding of a picture that is
/// pooled and cut as pSp does.
fn agrees(case: &Case, width: usize, near: f64) {
    let own = small(case);
    let face = Var::from_tensor(&filled(&[1, 3, 112, 112], 9001, 0.9)).unwrap();
    let found = own.network.embed(&face).unwrap();
    assert!(apart(&found, case.tensor("embedding")) < 1e-4);
    let sum = (found * filled(&[1, width], 9002, 1.0)).unwrap().sum_all().unwrap();
    let slopes = sum.backward().unwrap().get(&face).unwrap().avg_pool2d(7).unwrap();
    let error = apart(&slopes, case.tensor("gradient"));
    assert!(error < near, "slopes: {error}");
    let whole = own.embed(&filled(&[1, 3, 300, 280], 9003, 0.9)).unwrap();
    assert!(apart(&whole, case.tensor("whole")) < 1e-4);
}

#[test]
fn arcface_and_curricularface_equal_the_official_code() {
    for name in ["arcface", "curricularface"] {
        agrees(&Case::open("encoders", name), 64, 1e-4);
    }
}

#[test]
#[ignore = "networks of full size: 300 MB of numbers by a formula"]
fn recognisers_of_full_size_equal_the_official_code() {
    // PyTorch's slopes of the deeper one in f32 are 3e-4 from those in f64.
    for (name, near) in [("arcface_full", 1e-4), ("curricularface_full", 1e-3)] {
        agrees(&Case::open("encoders", name), 512, near);
    }
}

/// The same network in files of other wrappings; other files are refused with their repair.
#[test]
fn files_are_known_below_their_wrappings() {
    let case = Case::open("encoders", "arcface");
    let (folder, whole) = (tempfile::tempdir().unwrap(), case.state());
    let save = |name: &str, tensors: Vec<(String, Tensor)>| {
        let path = folder.path().join(name);
        let all = tensors.into_iter().collect::<std::collections::HashMap<_, _>>();
        candle_core::safetensors::save(&all, &path).unwrap();
        path
    };
    let below = |prefix: &str| -> Vec<(String, Tensor)> {
        whole.iter().map(|(name, t)| (format!("{prefix}{name}"), t.clone())).collect()
    };
    let picture = filled(&[1, 3, 64, 64], 1, 0.9);
    let of = |r: &Recognition| r.embed(&picture).unwrap().to_vec2::<f32>().unwrap();
    let plain = of(&small(&case));
    let count = Tensor::new(&[7i64], &Device::Cpu).unwrap();
    for prefix in ["backbone.", "state_dict.module.backbone."] {
        let mut tensors = below(prefix);
        tensors.push((format!("{prefix}input_layer.1.num_batches_tracked"), count.clone()));
        let found = Recognition::open(&save("net.safetensors", tensors), &Device::Cpu).unwrap();
        assert_eq!(of(&found), plain, "{prefix}");
    }
    let refused = |tensors: Vec<(String, Tensor)>| {
        Recognition::open(&save("bad.safetensors", tensors), &Device::Cpu).err().unwrap()
    };
    let without =
        |part: &str| below("").into_iter().filter(|(n, _)| !n.starts_with(part)).collect();
    let e = refused(without("output_layer"));
    assert!(e.message().contains("recognises no faces") && e.repair().is_some(), "{e}");
    let e = refused(without("body.23."));
    assert!(e.to_string().contains("no IR network has 23 units"), "{e}");
    let mut more = below("");
    more.push(("output_layer.5.weight".into(), filled(&[3], 1, 1.0)));
    let e = refused(more);
    assert!(e.message().contains("belongs to no part"), "{e}");
    let own = small(&case);
    let grey = filled(&[1, 1, 64, 64], 1, 0.9);
    assert!(own.embed(&grey).err().unwrap().message().contains("read 3 channels, not 1"));
    assert!(own.definition().contains(own.fingerprint().get(..12).unwrap()));
}

/// A measure of a picture with itself is 1, whatever the network.
#[test]
fn a_picture_shows_the_person_of_itself() {
    let own = small(&Case::open("encoders", "curricularface"));
    let pictures = filled(&[2, 3, 40, 56], 3, 0.9);
    let same = own.measure(&pictures, &pictures).unwrap();
    assert!(same.iter().all(|v| (v - 1.0).abs() < 1e-6), "{same:?}");
    let weights = Weights::of_tensors("none", Default::default());
    assert!(Recognition::take(weights, &Device::Cpu).is_err());
}
