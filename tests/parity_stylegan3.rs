//! StyleGAN3 against numbers from NVIDIA's own PyTorch code (tests/reference): codes, pictures with
//! and without a transform, and gradients in every space, in the transform and in weights, for the
//! configurations T and R, with labels, other layer counts, filters, margins and limits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "parity_support/mod.rs"]
mod support;

use candle_core::{Device, Tensor, Var};
use gannet::generator::spaces::{self, truncate};
use gannet::generator::stylegan3::{Given, StyleGan3};
use gannet::generator::{self, Generator, Input, Transform};
use gannet::limits::LIMITS;
use gannet::space::Space;
use gannet::weights::{self, Weights};
use std::path::Path;
use support::{flat, folder, relative, worst};

/// A case of the reference.
type Case = support::Case<Given>;

fn cases() -> Vec<Case> {
    support::cases("stylegan3", 5, Given::parse)
}

impl Case {
    fn build(&self) -> StyleGan3 {
        let mut source = Weights::of_tensors(&self.name, self.weights.clone());
        let g = StyleGan3::new(&mut source, &self.given, "test", &Device::Cpu)
            .unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let left = source.unused();
        assert!(left.is_empty(), "{}: tensors that were not understood: {left:?}", self.name);
        g
    }

    /// Maps the case's z to codes, with gradients.
    fn map(&self, g: &dyn Generator, z: &Tensor) -> Tensor {
        spaces::rise(g, z, (Space::Z, Space::W), &Input::labelled(self.get("c"))).unwrap()
    }

    /// The transform of the reference's picture.
    fn transform(&self) -> Tensor {
        let number = |v: &serde_json::Value| v.as_f64().expect("a number");
        let shift = [0, 1].map(|i| number(&self.notes["shift"][i]));
        let rotate = number(&self.notes["rotate"]);
        Transform { rotate, shift }.matrix(&Device::Cpu).unwrap()
    }

    /// The reference's loss: mean squared difference to a wave.
    fn loss(&self, picture: &Tensor) -> Tensor {
        let wave = |i: usize| (0.37 * i as f64).sin() as f32;
        let target: Vec<f32> = (0..picture.elem_count()).map(wave).collect();
        let target = Tensor::from_vec(target, picture.shape(), &Device::Cpu).unwrap();
        picture.sub(&target).unwrap().sqr().unwrap().mean_all().unwrap()
    }
}

fn picture(
    g: &dyn Generator,
    (space, code): (Space, &Tensor),
    transform: Option<&Tensor>,
) -> Tensor {
    let input = Input { transform: transform.cloned(), ..Input::default() };
    spaces::picture(g, code, space, &input).unwrap()
}

fn styles(g: &dyn Generator, ws: &Tensor) -> Tensor {
    spaces::rise(g, ws, (Space::WPlus, Space::S), &Input::default()).unwrap()
}

fn layered(w: &Tensor, layers: usize) -> Tensor {
    w.unsqueeze(1).unwrap().repeat((1, layers, 1)).unwrap()
}

#[test]
fn codes_and_pictures() {
    for case in cases() {
        let g = case.build();
        let w = case.map(&g, case.at("z"));
        let e = relative(&w, case.at("w"));
        assert!(e < 1e-5, "{}: ref.w {e:e}", case.name);
        let ws = layered(&w, g.spec().num_ws);
        let psi = case.notes["truncation_psi"].as_f64().unwrap();
        let cutoff = case.notes["truncation_cutoff"].as_u64().map(|c| c as usize);
        let e = relative(
            &truncate(&ws, g.mean(Space::W).unwrap(), psi, cutoff).unwrap(),
            case.at("w_trunc"),
        );
        assert!(e < 1e-5, "{}: ref.w_trunc {e:e}", case.name);
        let s = styles(&g, &ws);
        let e = relative(&s, case.at("s"));
        assert!(e < 1e-5, "{}: ref.s {e:e}", case.name);
        let transform = case.transform();
        for (transform, image) in [(None, "image"), (Some(&transform), "moved")] {
            let drawn = picture(&g, (Space::WPlus, &ws), transform);
            let e = worst(&drawn, case.at(image));
            assert!(e <= 1e-4, "{}: ref.{image} differs by {e:e}", case.name);
            println!("{}: ref.{image} differs by {e:.1e}", case.name);
            let again = picture(&g, (Space::S, &s), transform);
            assert_eq!(flat(&again), flat(&drawn), "{}: S, to the last bit", case.name);
        }
    }
}

#[test]
fn gradients_in_every_space_and_in_the_transform() {
    for case in cases() {
        let g = case.build();
        let mut largest = 0.0f64;
        let mut compare = |name: &str, found: &Tensor| {
            let e = relative(found, case.at(name));
            assert!(e <= 1e-3, "{}: ref.{name} differs by {e:e}", case.name);
            largest = e.max(largest);
        };
        let transform = Var::from_tensor(&case.transform()).unwrap();
        let z = Var::from_tensor(case.at("z")).unwrap();
        let w = case.map(&g, &z);
        let ws = Var::from_tensor(&layered(&w.detach(), g.spec().num_ws)).unwrap();
        let value = case.loss(&picture(&g, (Space::WPlus, &ws), Some(&transform)));
        let e = relative(&value, case.at("loss"));
        assert!(e < 1e-5, "{}: loss differs by {e:e}", case.name);
        let grads = value.backward().unwrap();
        compare("grad.ws", grads.get(&ws).expect("ws"));
        compare("grad.transform", grads.get(&transform).expect("transform"));
        let s = Var::from_tensor(&styles(&g, &ws).detach()).unwrap();
        let value = case.loss(&picture(&g, (Space::S, &s), Some(&transform)));
        compare("grad.s", value.backward().unwrap().get(&s).expect("s"));
        let ws = layered(&w, g.spec().num_ws);
        let value = case.loss(&picture(&g, (Space::WPlus, &ws), Some(&transform)));
        compare("grad.z", value.backward().unwrap().get(&z).expect("z"));
        println!("{}: largest relative error of a gradient {largest:.1e}", case.name);
    }
}

#[test]
fn gradients_in_weights() {
    let mut compared = 0;
    for case in cases() {
        let prefix = "ref.grad.weight.";
        let wanted: Vec<&str> =
            case.numbers.keys().filter_map(|k| k.strip_prefix(prefix)).collect();
        if wanted.is_empty() {
            continue;
        }
        let (g, variables) =
            generator::tuned(&case.build(), &|name| wanted.contains(&name)).unwrap();
        let g = g.as_ref();
        assert_eq!(variables.len(), wanted.len(), "{}: not every weight is a parameter", case.name);
        let ws = layered(&case.map(g, case.at("z")), g.spec().num_ws);
        let drawn = picture(g, (Space::WPlus, &ws), Some(&case.transform()));
        let e = worst(&drawn, case.at("moved"));
        assert!(e <= 1e-4, "{}: from single operators, ref.moved differs by {e:e}", case.name);
        let grads = case.loss(&drawn).backward().unwrap();
        for (name, v) in &variables {
            let found =
                grads.get(v).unwrap_or_else(|| panic!("{}: no gradient of {name}", case.name));
            let e = relative(found, case.at(&format!("grad.weight.{name}")));
            assert!(e <= 1e-3, "{}: gradient of {name} differs by {e:e}", case.name);
            compared += 1;
        }
    }
    assert!(compared >= 20, "only {compared} gradients compared");
}

/// With one transform for each picture, every picture has its own.
#[test]
fn a_transform_for_each_picture() {
    let case = cases().into_iter().find(|c| c.name == "sg3_t_32").expect("case");
    let g = case.build();
    let ws = layered(case.at("w"), g.spec().num_ws);
    let still = Transform::default().matrix(&Device::Cpu).unwrap();
    let both = Tensor::cat(&[still, case.transform()], 0).unwrap();
    let pictures = picture(&g, (Space::WPlus, &ws), Some(&both));
    for (i, image) in ["image", "moved"].into_iter().enumerate() {
        let one = |t: &Tensor| t.narrow(0, i, 1).unwrap();
        let e = worst(&one(&pictures), &one(case.at(image)));
        assert!(e <= 1e-4, "picture {i} is not ref.{image}: {e:e}");
    }
    let three = Tensor::cat(&[&both, &case.transform()], 0).unwrap();
    let input = Input { transform: Some(three), ..Input::default() };
    let e = spaces::picture(&g, &ws, Space::WPlus, &input).unwrap_err();
    assert!(e.to_string().contains("transform") && e.repair().is_some(), "{e}");
}

/// Compares the picture of a case with that of a pickle.
fn from_pickle(case: &Case, path: &Path) {
    let name = path.display();
    let checkpoint = weights::open(path, &LIMITS).unwrap_or_else(|e| panic!("{name}: {e}"));
    let g = generator::load(checkpoint, &Device::Cpu).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(g.spec().family, "stylegan3");
    let ws = layered(case.at("w"), g.spec().num_ws);
    for (transform, image) in [(None, "image"), (Some(case.transform()), "moved")] {
        let drawn = picture(g.as_ref(), (Space::WPlus, &ws), transform.as_ref());
        let e = worst(&drawn, case.at(image));
        assert!(e <= 1e-4, "{name}: ref.{image} differs by {e:e}");
        println!("{name}: ref.{image} differs by {e:.1e}");
    }
}

#[test]
fn pickles_give_the_same_pictures() {
    let mut opened = 0;
    for case in cases() {
        let path = folder("stylegan3").join(format!("{}.pkl", case.name));
        if path.exists() {
            from_pickle(&case, &path);
            opened += 1;
        }
    }
    assert_eq!(opened, 2, "pickles of our own writer");
}

/// Reads pickles from the official code, which are not stored here: `scripts/reference/stylegan3.py
/// --pickles DIR` makes them, and the variable names DIR.
#[test]
fn official_pickles_give_the_same_pictures() {
    let Some(folder) = std::env::var_os("GANNET_STYLEGAN3_PICKLES") else {
        println!("GANNET_STYLEGAN3_PICKLES is not set: nothing to open");
        return;
    };
    for case in cases() {
        from_pickle(&case, &Path::new(&folder).join(format!("{}.pkl", case.name)));
    }
}
