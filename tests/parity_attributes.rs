//! The attribute network gives the numbers of PyTorch: `tests/reference/attributes`.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{Device, Tensor};
use gannet::limits::LIMITS;
use gannet::metric::{Features, Identity, Metric};
use gannet::weights;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

struct Reference {
    network: Arc<Features>,
    numbers: BTreeMap<String, Tensor>,
}

fn reference() -> Reference {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference/attributes/network.safetensors");
    let file = weights::open(&path, &LIMITS).unwrap();
    assert_eq!(file.family(), Some("attributes"));
    let config = serde_json::from_value(file.config().clone()).unwrap();
    let (mut tensors, mut numbers) = (BTreeMap::new(), BTreeMap::new());
    for (name, a) in &file.weights.arrays().unwrap() {
        let t = Tensor::from_vec(a.to_f32(), a.shape.clone(), &Device::Cpu).unwrap();
        match name.strip_prefix("ref.") {
            Some(name) => numbers.insert(name.to_owned(), t),
            None => tensors.insert(name.clone(), t),
        };
    }
    Reference {
        network: Arc::new(
            Features::new(
                "reference",
                config,
                weights::Weights::of_tensors("reference", tensors),
                &Device::Cpu,
            )
            .unwrap(),
        ),
        numbers,
    }
}

/// The largest difference relative to the largest value.
fn off(ours: &Tensor, theirs: &Tensor) -> f64 {
    assert_eq!(ours.dims(), theirs.dims());
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (a, b) = (values(ours), values(theirs));
    let most = b.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(most > 0.0, "the reference is all zero");
    f64::from(a.iter().zip(&b).fold(0f32, |m, (x, y)| m.max((x - y).abs())) / most)
}

#[test]
fn activations_scores_and_embedding_are_pytorchs() {
    let Reference { network, numbers } = reference();
    let x = &numbers["x"];
    let last = network.activations(x).unwrap().pop().unwrap();
    let pairs = [
        ("last", last),
        ("raw", network.raw_scores(x).unwrap()),
        ("scores", network.scores(x).unwrap()),
        ("identity", network.identity(x).unwrap()),
        ("parts", network.parts(x).unwrap().unwrap()),
    ];
    for (name, ours) in pairs {
        let worst = off(&ours, &numbers[name]);
        assert!(worst < 1e-5, "{name}: {worst}");
    }
}

#[test]
fn every_single_score_is_pytorchs() {
    // Ages and angles are so large that they would hide a wrong probability in the test above.
    let Reference { network, numbers } = reference();
    let (ours, theirs) = (network.scores(&numbers["x"]).unwrap(), &numbers["scores"]);
    for (i, output) in network.config().outputs.iter().enumerate() {
        let column = |t: &Tensor| t.narrow(1, i, 1).unwrap();
        let worst = off(&column(&ours), &column(theirs));
        assert!(worst < 1e-4, "{}: {worst}", output.name);
    }
}

#[test]
fn landmarks_and_framing_are_pytorchs() {
    let Reference { network, numbers } = reference();
    let found = network.landmarks(&numbers["x"]).unwrap();
    let flat = |points: Vec<[[f64; 2]; 5]>| {
        let values: Vec<f32> = points.iter().flatten().flatten().map(|v| *v as f32).collect();
        Tensor::from_vec(values, (points.len(), 5, 2), &Device::Cpu).unwrap()
    };
    assert!(off(&flat(found.iter().map(|l| l.points).collect()), &numbers["landmarks"]) < 1e-5);
    assert!(off(&flat(found.iter().map(|l| l.framing).collect()), &numbers["framing"]) < 1e-5);
    let (read, points) = network.exact_landmarks(&numbers["x"]).unwrap();
    assert_eq!(read, found);
    let points = points.unwrap();
    assert!(off(&flat(points), &numbers["places"]) < 1e-5);
    let face = network.score(&numbers["x"], "face").unwrap().to_vec1::<f32>().unwrap();
    assert!(found.iter().zip(face).all(|(l, f)| (l.face - f64::from(f)).abs() < 1e-6));
}

#[test]
fn identity_is_pytorchs_cosine() {
    let Reference { network, numbers } = reference();
    let metric = Identity::new(network).unwrap();
    let x = &numbers["x"];
    let theirs = numbers["cosine"].to_vec2::<f32>().unwrap();
    for (i, row) in theirs.iter().enumerate() {
        let a = x.narrow(0, i, 1).unwrap().broadcast_as(x.shape()).unwrap().contiguous().unwrap();
        for (ours, theirs) in metric.measure(&a, x).unwrap().iter().zip(row) {
            assert!((ours - f64::from(*theirs)).abs() < 1e-5, "{ours} {theirs}");
        }
    }
}

#[test]
fn landmarks_scale_with_the_picture() {
    let Reference { network, numbers } = reference();
    let x = &numbers["x"];
    let large = x.upsample_nearest2d(64, 64).unwrap();
    let (small, large) = (network.landmarks(x).unwrap(), network.landmarks(&large).unwrap());
    // Doubling the pixels and averaging them again gives the same picture, and therefore the same
    // positions at twice the scale.
    for (s, l) in small.iter().zip(&large) {
        for (p, q) in s.points.iter().flatten().zip(l.points.iter().flatten()) {
            assert!((2.0 * p - q).abs() < 1e-3, "{p} {q}");
        }
    }
}
