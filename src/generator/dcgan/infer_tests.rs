//! Layers and settings from names and shapes alone.

use super::config::{Class, Config, Op};
use super::infer::{candidates, choose, settings};
use super::modules::Modules;
use crate::error::Result;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

type Shapes = BTreeMap<String, Vec<usize>>;

/// Tensors of a file: a weight alone, or `name+` with a bias as well.
fn file(weights: &[(&str, &[usize])], norms: &[(&str, usize)]) -> Shapes {
    let mut all = Shapes::new();
    for (name, shape) in weights {
        let (module, outputs) = match name.strip_suffix('+') {
            Some(module) => (module, true),
            None => (*name, false),
        };
        all.insert(format!("{module}.weight"), shape.to_vec());
        if outputs {
            let transposed = shape.len() == 4 && shape[2] % 2 == 0;
            all.insert(format!("{module}.bias"), vec![shape[usize::from(transposed)]]);
        }
    }
    for (module, channels) in norms {
        for part in ["weight", "bias", "running_mean", "running_var"] {
            all.insert(format!("{module}.{part}"), vec![*channels]);
        }
        all.insert(format!("{module}.num_batches_tracked"), vec![]);
    }
    all
}

fn read(shapes: &Shapes, attributes: &Json) -> Result<Option<Config>> {
    let names: Vec<&str> = shapes.keys().map(String::as_str).collect();
    let shape = |name: &str| shapes.get(name).cloned();
    let Some(found) = choose(candidates(&names, &shape))? else { return Ok(None) };
    let config = settings(&found, &Modules::new(attributes))?;
    config.plan(&shape)?;
    Ok(Some(config))
}

/// Channels, height and width of the picture, and the settings.
fn picture(shapes: &Shapes) -> ([usize; 3], Config) {
    let config = read(shapes, &Json::Null).expect("settings").expect("a generator");
    let plan = config.plan(&|name| shapes.get(name).cloned()).expect("plan");
    assert!(!config.assumed.is_empty(), "what is assumed is said");
    (plan.picture, config)
}

/// The layers of PyTorch's tutorial, their modules called `{head}{number}`.
fn tutorial(head: &str) -> Shapes {
    let at = |n: usize| format!("{head}{n}");
    let weights: [(String, &[usize]); 3] =
        [(at(0), &[20, 16, 4, 4]), (at(3), &[16, 8, 4, 4]), (at(6), &[8, 3, 4, 4])];
    let weights: Vec<(&str, &[usize])> = weights.iter().map(|(n, s)| (n.as_str(), *s)).collect();
    file(&weights, &[(&at(1), 16), (&at(4), 8)])
}

#[test]
fn numbered_modules_say_what_is_between_them() {
    let (size, config) = picture(&tutorial("main."));
    assert_eq!((size, config.z_dim), ([3, 16, 16], 20));
    let relu = Op::Relu { slope: 0.0 };
    assert_eq!(config.layers.iter().filter(|op| **op == relu).count(), 2);
    assert_eq!(config.layers.last(), Some(&Op::Tanh));
    // Dropout behind the first activation.
    let shapes =
        file(&[("main.0", &[20, 16, 4, 4]), ("main.4", &[16, 3, 4, 4])], &[("main.1", 16)]);
    assert_eq!(picture(&shapes).0, [3, 8, 8]);
    // Nothing is between two layers whose numbers follow each other.
    let shapes = file(&[("main.0", &[20, 16, 4, 4]), ("main.1", &[16, 3, 4, 4])], &[]);
    assert!(!picture(&shapes).1.layers.contains(&relu));
}

#[test]
fn names_may_be_in_another_order_than_layers() {
    // The names and kernels of WGAN-GP for small pictures.
    let shapes = file(
        &[
            ("preprocess.0+", &[16 * 16, 20]),
            ("block1.0+", &[16, 8, 2, 2]),
            ("block2.0+", &[8, 8, 2, 2]),
            ("deconv_out+", &[8, 3, 2, 2]),
        ],
        &[("preprocess.1", 256), ("block1.1", 8), ("block2.1", 8)],
    );
    let (size, config) = picture(&shapes);
    assert_eq!((size, config.layers.first()), ([3, 32, 32], Some(&linear("preprocess.0"))));
    // Layers first, then their norms.
    let shapes = file(
        &[("conv1", &[20, 16, 4, 4]), ("conv2", &[16, 8, 4, 4]), ("conv3", &[8, 1, 4, 4])],
        &[("bn1", 16), ("bn2", 8)],
    );
    assert_eq!(picture(&shapes).0, [1, 16, 16]);
}

fn linear(name: &str) -> Op {
    Op::Linear { name: name.into() }
}

#[test]
fn known_repositories_bring_their_habits() {
    let shapes = file(
        &[
            ("l1.0+", &[8 * 16, 20]),
            ("conv_blocks.2+", &[8, 8, 3, 3]),
            ("conv_blocks.6+", &[6, 8, 3, 3]),
            ("conv_blocks.9+", &[1, 6, 3, 3]),
        ],
        &[("conv_blocks.0", 8), ("conv_blocks.3", 8), ("conv_blocks.7", 6)],
    );
    let (size, config) = picture(&shapes);
    assert_eq!(size, [1, 16, 16]);
    let eps = |op: &Op| if let Op::Norm { eps, .. } = op { Some(*eps) } else { None };
    assert_eq!(config.layers.iter().filter_map(eps).collect::<Vec<_>>(), [1e-5, 0.8, 0.8]);
    assert!(config.assumed.iter().any(|a| a.contains("0.8")));
    assert!(config.layers.contains(&Op::Relu { slope: 0.2 }));
    assert_eq!(config.class, Class::None);
}

#[test]
fn the_averaged_copy_is_taken_and_others_are_left() {
    let mut shapes = tutorial("netG.main.");
    shapes.extend(tutorial("netG_ema.main."));
    shapes.extend(file(&[("netD.0", &[8, 3, 4, 4]), ("netD.2", &[1, 8, 4, 4])], &[]));
    shapes.insert("fixed_noise".into(), vec![64, 20, 1, 1]);
    let (_, config) = picture(&shapes);
    assert!(config.layers[0].module().is_some_and(|m| m.starts_with("netG_ema.")));
    // Two that are equally good are an error that names both.
    let mut twice = tutorial("a.main.");
    twice.extend(tutorial("b.main."));
    let e = read(&twice, &Json::Null).expect_err("two");
    assert!(e.message().contains("a, b") && e.repair().is_some(), "{e}");
}

#[test]
fn rectangles_vectors_and_odd_kernels() {
    let shapes = file(&[("g.0", &[20, 16, 4, 2]), ("g.2", &[16, 4, 5, 5])], &[]);
    assert_eq!(picture(&shapes).0, [4, 8, 4]);
    let shapes = file(&[("model.0+", &[32, 20]), ("model.2+", &[3 * 64, 32])], &[]);
    assert_eq!(picture(&shapes).0, [3, 8, 8]);
}

#[test]
fn what_may_be_read_in_two_ways_is_an_error() {
    // A square layer with an odd kernel among even ones.
    let shapes = file(
        &[
            ("m.0", &[20, 16, 4, 4]),
            ("m.2", &[16, 8, 4, 4]),
            ("m.4", &[8, 8, 3, 3]),
            ("m.6", &[8, 3, 4, 4]),
        ],
        &[],
    );
    let e = read(&shapes, &Json::Null).expect_err("ambiguous");
    assert!(e.repair().is_some(), "{e}");
    // Upsampling before a convolution leaves no tensor in the file.
    let shapes = file(
        &[("fc+", &[16 * 16, 20]), ("conv1+", &[8, 16, 3, 3]), ("conv2+", &[3, 8, 3, 3])],
        &[],
    );
    let e = read(&shapes, &Json::Null).expect_err("ambiguous");
    assert!(e.message().contains("doubled") && e.repair().is_some(), "{e}");
}

#[test]
fn other_networks_are_not_taken_for_generators() {
    let discriminator = file(
        &[("main.0", &[8, 3, 4, 4]), ("main.2", &[16, 8, 4, 4]), ("main.5", &[1, 16, 4, 4])],
        &[("main.3", 16)],
    );
    let classifier = file(&[("0+", &[64, 784]), ("2+", &[10, 64])], &[]);
    let encoder = file(&[("c.0+", &[8, 3, 3, 3]), ("c.2+", &[3, 8, 3, 3])], &[]);
    let mut residual = tutorial("main.");
    residual.insert("main.skip.weight".into(), vec![16, 3, 1, 1]);
    for shapes in [discriminator, classifier, encoder, residual] {
        assert!(read(&shapes, &Json::Null).expect("read").is_none(), "{shapes:?}");
    }
}

#[test]
fn whole_modules_say_what_a_state_dict_does_not() {
    let shapes = tutorial("main.");
    let conv = |stride: usize, padding: usize| {
        json!({"class": "ConvTranspose2d", "stride": [stride, stride],
            "padding": [padding, padding], "output_padding": [0, 0]})
    };
    let norm = || json!({"class": "BatchNorm2d", "eps": 0.01});
    let tree = json!({"class": "G", "_modules": {"main": {"class": "Sequential", "_modules": {
        "0": conv(1, 0), "1": norm(), "2": {"class": "LeakyReLU", "negative_slope": 0.3},
        "3": conv(2, 1), "4": norm(), "5": {"class": "ReLU"}, "6": conv(2, 1),
        "7": {"class": "Sigmoid"},
    }}}});
    let config = read(&shapes, &tree).expect("settings").expect("a generator");
    let norms = |op: &&Op| matches!(op, Op::Norm { eps, .. } if *eps == 0.01);
    assert_eq!(config.layers.iter().filter(norms).count(), 2);
    assert!(config.layers.contains(&Op::Relu { slope: 0.3 }));
    assert!(config.layers.contains(&Op::Relu { slope: 0.0 }));
    assert_eq!(config.layers.last(), Some(&Op::Sigmoid));
    assert!(config.assumed.is_empty(), "{:?}", config.assumed);
}
