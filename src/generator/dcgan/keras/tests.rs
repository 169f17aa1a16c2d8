//! What the parity cases of `tests/reference/keras` do not show: what is refused, and how.

use super::super::config::Op;
use super::graph::snake;
use crate::error::Result;
use crate::generator::registry::{self, Found};
use crate::limits::LIMITS;
use crate::weights::{self, Checkpoint, kinds};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/keras").join(name)
}

fn file(name: &str) -> Checkpoint {
    weights::open(&path(name), &LIMITS).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn found(name: &str) -> Result<Found> {
    registry::recognise(file(name))
}

fn ops(name: &str) -> Vec<Op> {
    let settings = found(name).unwrap_or_else(|e| panic!("{name}: {e}")).config.settings;
    super::super::Config::parse(&settings).unwrap().layers
}

#[test]
fn classes_are_called_as_keras_calls_them() {
    for (class, name) in [
        ("Conv2DTranspose", "conv2d_transpose"),
        ("LeakyReLU", "leaky_re_lu"),
        ("ReLU", "re_lu"),
        ("BatchNormalization", "batch_normalization"),
        ("UpSampling2D", "up_sampling2d"),
        ("Dense", "dense"),
        ("ZeroPadding2D", "zero_padding2d"),
        ("GRUCell", "gru_cell"),
    ] {
        assert_eq!(snake(class), name);
    }
}

/// The same network saved in different ways is the same generator, but for what weights alone do
/// not tell.
#[test]
fn ways_to_save_give_the_same_layers() {
    for (whole, others) in [
        ("tutorial_whole.h5", ["tutorial_alone_k2.h5", "tutorial_alone.weights.h5"]),
        ("keras_gan_whole.h5", ["keras_gan_alone.h5", "keras_gan_json_weights.h5"]),
    ] {
        let shape = |op: &Op| match op {
            Op::Relu { slope } => format!("relu {slope:.4}"),
            op if op.module().is_some() => {
                let mut json = serde_json::to_value(op).unwrap();
                json["name"] = Json::Null;
                json.to_string()
            }
            op => format!("{op:?}"),
        };
        let expected: Vec<String> = ops(whole).iter().map(shape).collect();
        for other in others {
            assert_eq!(ops(other).iter().map(shape).collect::<Vec<_>>(), expected, "{other}");
        }
    }
    let assumed = |name: &str| found(name).unwrap().config.settings["assumed"].to_string();
    assert!(assumed("tutorial_alone.weights.h5").contains("tensorflow.org"));
    assert_eq!(assumed("tutorial_whole.h5"), "[]");
}

#[test]
fn odd_kernels_that_double_a_map_are_cut_below() {
    let found: Vec<Op> = ops("tutorial_whole.h5")
        .into_iter()
        .filter(|op| matches!(op, Op::Transposed { .. }))
        .collect();
    let settings = found.iter().map(|op| match op {
        Op::Transposed { stride, padding, output_padding, cut, .. } => {
            [*stride, *padding, *output_padding, *cut]
        }
        _ => [0; 4],
    });
    assert_eq!(settings.collect::<Vec<_>>(), [[1, 2, 0, 0], [2, 1, 0, 1], [2, 1, 0, 1]]);
}

#[test]
fn what_is_not_run_is_refused_by_name() {
    for (name, word) in
        [("residual.h5", "joins several maps"), ("grouped.h5", "GroupNormalization")]
    {
        let e = found(name).unwrap_err();
        assert!(e.to_string().contains(word) && e.repair().is_some(), "{name}: {e}");
    }
    let e = found("grouped.h5").unwrap_err();
    assert!(e.message().contains("`grouped`"), "{e}");
    assert!(e.repair().is_some_and(|r| r.contains("Conv2DTranspose")), "{e}");
    // Weights alone of a network that no recipe has.
    let all = file("tutorial_alone_k2.h5");
    let without = |gone: &str| {
        let mut part = all.clone();
        part.weights = part.weights.chosen(|n| (!n.contains(gone)).then(|| n.into())).unwrap();
        registry::recognise(part).unwrap_err()
    };
    let e = without("batch_normalization_1");
    assert!(e.message().contains("weights alone"), "{e}");
    assert!(e.repair().is_some_and(|r| r.contains("to_json")), "{e}");
    let e = {
        let mut part = file("tutorial_whole.h5");
        let keep = |n: &str| (!n.ends_with("conv2d_transpose_1.kernel")).then(|| n.to_owned());
        part.weights = part.weights.chosen(keep).unwrap();
        registry::recognise(part).unwrap_err()
    };
    assert!(e.message().contains("`conv2d_transpose_1`") && e.message().contains("kernel"), "{e}");
}

#[test]
fn other_models_are_named() {
    let classifier = file("classifier.h5");
    let listing = classifier.weights.list();
    assert!(registry::find(listing).is_none());
    assert_eq!(kinds::kind(listing).map(|k| k.name), Some("keras-classifier"));
}
