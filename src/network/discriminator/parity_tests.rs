//! Discriminators against numbers of the code that trained them (tests/reference/discriminators):
//! scores, feature maps and gradients, from files laid out as users have them.

use super::*;
use candle_core::Var;
use std::collections::HashMap;
use std::path::PathBuf;

/// Numbers may differ by this much, relative to the norm of their tensor.
const APART: f64 = 1e-4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/discriminators")
}

/// The norm of the difference of two tensors over that of the second.
fn relative(a: &Tensor, b: &Tensor) -> f64 {
    let norm = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
    f64::from(norm(&(a - b).unwrap()) / norm(b).max(1e-30))
}

fn discriminator(name: &str) -> Box<dyn Discriminator> {
    let files = ["safetensors", "pkl"].map(|end| folder().join(format!("{name}.{end}")));
    let file = files.iter().find(|f| f.exists()).unwrap();
    open(file, &Device::Cpu).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn numbers(name: &str) -> HashMap<String, Tensor> {
    let file = folder().join(format!("{name}.ref.safetensors"));
    candle_core::safetensors::load(file, &Device::Cpu).unwrap()
}

fn agrees(name: &str, what: &str, (found, expected): (&Tensor, &Tensor)) {
    assert_eq!(found.dims(), expected.dims(), "{name}: {what}");
    let error = relative(found, expected);
    assert!(error < APART, "{name}: {what} differs by {error:e}");
}

#[test]
fn scores_features_and_gradients_are_those_of_the_official_code() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let file = entry.unwrap().file_name().to_string_lossy().into_owned();
        let Some(name) = file.strip_suffix(".ref.safetensors") else { continue };
        seen += 1;
        let (d, reference) = (discriminator(name), numbers(name));
        let labels = reference.get("labels");
        let pictures = Var::from_tensor(&reference["pictures"]).unwrap();
        let judged = d.judge(&pictures, labels).unwrap();
        agrees(name, "the score", (&judged.score, &reference["score"]));
        let mut loss = judged.score.sum_all().unwrap();
        for (k, map) in judged.features.iter().enumerate() {
            agrees(name, &format!("map {k}"), (map, &reference[&format!("feature.{k}")]));
            let mean = map.abs().unwrap().flatten_from(1).unwrap().mean(1).unwrap();
            loss = (loss + mean.sum_all().unwrap()).unwrap();
        }
        assert!(!reference.contains_key(&format!("feature.{}", judged.features.len())), "{name}");
        let slopes = loss.backward().unwrap();
        agrees(name, "the gradient", (slopes.get(&pictures).unwrap(), &reference["grad"]));
    }
    assert!(seen >= 7, "only {seen} cases");
}

/// The maps that judge tell where a discriminator looks; that with attention says so itself.
#[test]
fn attention_is_what_places_read() {
    let (d, reference) = (discriminator("biggan_64"), numbers("biggan_64"));
    let labels = reference.get("labels");
    let attention = d.judge(&reference["pictures"], labels).unwrap().attention.unwrap();
    assert_eq!(attention.dims(), [2, 1, 8, 8]);
    let sums = attention.flatten_from(1).unwrap().sum(1).unwrap().to_vec1::<f32>().unwrap();
    assert!(sums.iter().all(|s| (s - 1.0).abs() < 1e-5), "every place reads one in all: {sums:?}");
    let map = saliency(&*d, &reference["pictures"], labels).unwrap();
    assert!(relative(&(map / 64.0).unwrap(), &attention) < 1e-5);
    let without = d.judge(&reference["pictures"], None);
    assert!(without.err().unwrap().message().contains("labels of 5"));
}
