//! EG3D against numbers from NVIDIA's own code, beyond what every family is compared in: depth
//! maps with their gradients, and pictures made without gradients, in parts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "parity_support/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use candle_core::{Device, Tensor, Var};
use gannet::control::Control;
use gannet::generator::{self, Camera, Generator, Input, Noise, Start, Tap, codes, spaces};
use gannet::invert::{Config, Init, Job, invert, methods};
use gannet::latent::{Part, Parts};
use gannet::limits::LIMITS;
use gannet::space::Space;
use gannet::weights;
use std::collections::HashMap;
use std::sync::Arc;
use support::{flat, folder, relative, worst};

const CASES: [&str; 3] = ["auto_32", "disparity_16", "numeric_64"];

struct Case {
    name: &'static str,
    g: Arc<dyn Generator>,
    numbers: HashMap<String, Tensor>,
}

fn cases() -> Vec<Case> {
    CASES.map(read).into()
}

fn read(name: &'static str) -> Case {
    let file = folder("eg3d").join(format!("{name}.safetensors"));
    let checkpoint = weights::open(&file, &LIMITS).unwrap_or_else(|e| panic!("{name}: {e}"));
    let g = generator::load(checkpoint, &Device::Cpu).unwrap_or_else(|e| panic!("{name}: {e}"));
    let numbers = file.with_file_name(format!("{name}.ref.safetensors"));
    Case { name, g, numbers: candle_core::safetensors::load(numbers, &Device::Cpu).unwrap() }
}

impl Case {
    fn at(&self, name: &str) -> &Tensor {
        self.numbers.get(name).unwrap_or_else(|| panic!("{}: no {name}", self.name))
    }

    fn input(&self, camera: &Tensor, labels: &Tensor) -> Input {
        let (camera, labels) = (Some(camera.clone()), Some(labels.clone()));
        Input { camera, labels, ..Input::default() }
    }
}

#[test]
fn pictures_and_depth_with_and_without_gradients() {
    for case in cases() {
        let (g, camera) = (&*case.g, case.at("camera"));
        let input = case.input(camera, case.at("labels"));
        let ws = case.at("ws");
        for tracked in [false, true] {
            let ws = Var::from_tensor(ws).unwrap();
            let data = if tracked { ws.as_tensor().clone() } else { ws.as_detached_tensor() };
            let start = Start::Code { space: Space::WPlus, data: &data };
            let tapped = g.run(&start, &input, &[Tap::Picture, Tap::Depth]).unwrap();
            let e = worst(&tapped.picture.unwrap(), case.at("image"));
            let far = worst(&tapped.depth.unwrap(), case.at("depth"));
            println!("{}: picture {e:.1e}, depth {far:.1e}", case.name);
            assert!(e <= 1e-3 && far <= 1e-3, "{}: picture {e:e}, depth {far:e}", case.name);
        }
    }
}

#[test]
fn gradients_of_depth() {
    for case in cases() {
        let ws = Var::from_tensor(case.at("ws")).unwrap();
        let input = case.input(case.at("camera"), case.at("labels"));
        let parts = Parts::of(ws.as_tensor().clone());
        let depth = codes::tapped(&*case.g, &parts, Space::WPlus, &input, Tap::Depth).unwrap();
        let grads = depth.sqr().unwrap().mean_all().unwrap().backward().unwrap();
        let e = relative(grads.get(&ws).expect("ws"), case.at("depth.grad.ws"));
        println!("{}: gradient of depth in ws {e:.1e}", case.name);
        assert!(e <= 1e-3, "{}: gradient of depth {e:e}", case.name);
    }
}

/// A picture and its gradients do not depend on those beside it, nor on parts of its rays; samples
/// are scattered by the seed alone; layers can be tapped and entered.
#[test]
fn pictures_stand_alone() {
    let case = read("auto_32");
    let (g, ws, camera) = (&*case.g, case.at("ws"), case.at("camera"));
    let draw = |from: usize, len: usize, noise: Noise| {
        let part = |t: &Tensor| t.narrow(0, from, len).unwrap().contiguous().unwrap();
        let input = Input { noise, ..case.input(&part(camera), &part(case.at("labels"))) };
        flat(&spaces::picture(g, &part(ws), Space::WPlus, &input).unwrap())
    };
    let random = |first| Noise::Random { seed: 7, first };
    for noise in [|_| Noise::Const, random] {
        let both = draw(0, 2, noise(0));
        assert_eq!(both, [draw(0, 1, noise(0)), draw(1, 1, noise(1))].concat(), "to the last bit");
    }
    assert_ne!(draw(0, 1, random(0)), draw(0, 1, Noise::Const));
    assert_ne!(draw(0, 1, random(0)), draw(0, 1, random(1)));
    let input = case.input(camera, case.at("labels"));
    let start = Start::Code { space: Space::WPlus, data: ws };
    let all: Vec<Tap> = (0..g.spec().layers.len()).map(Tap::Layer).chain([Tap::Picture]).collect();
    let tapped = g.run(&start, &input, &all).unwrap();
    let picture = tapped.picture.expect("picture");
    for feature in &tapped.features {
        let again = Start::Feature { feature, space: Space::WPlus, data: ws };
        let again = g.run(&again, &input, &[Tap::Picture]).unwrap().picture.unwrap();
        assert!(worst(&again, &picture) < 1e-5, "layer {}", feature.layer);
    }
}

/// As users see it: a film around a scene, depth, cameras from a file, and what is refused.
#[test]
fn the_language_moves_the_camera() {
    let (case, out) = (read("auto_32"), tempfile::tempdir().unwrap());
    let file = folder("eg3d").join("auto_32.safetensors");
    let camera = flat(case.at("camera"));
    let rows: Vec<u8> = camera.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect();
    let head = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 25), }";
    let head = format!("{head:<117}\n");
    let npy = [b"\x93NUMPY\x01\x00\x76\x00", head.as_bytes(), &rows].concat();
    std::fs::write(out.path().join("cameras.npy"), npy).unwrap();
    let run = |program: &str| {
        let program = format!("load \"{}\"; w = sample(seed: 1); {program}", file.display());
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_gannet"))
            .args(["eval", &program])
            .current_dir(out.path())
            .env("GANNET_STATE", out.path().join("state"))
            .env("GANNET_CACHE", "off")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&run.stderr).into_owned();
        (run.status.code(), text)
    };
    let picture = |name: &str| image::open(out.path().join(name)).unwrap();
    let good = "save([render(w, yaw: a, pitch: 5) for a in -30..30 by 30], \"film.gif\"); \
                save(render(w, yaw: 30), \"side.png\"); save(render(w), \"front.png\"); \
                save(render(w, depth: true), \"depth.png\"); \
                save(render(w, camera: \"cameras.npy\"), \"both{i}.png\"); \
                save(render(w, noise: random, seed: 3), \"scattered.png\")";
    let (code, text) = run(good);
    assert_eq!(code, Some(0), "{text}");
    let depth = picture("depth.png");
    assert_eq!((depth.width(), depth.color().channel_count()), (20, 1));
    let gray = depth.into_luma8().into_raw();
    assert!(gray.contains(&0) && gray.contains(&255), "from the farthest to the nearest");
    let front = picture("front.png");
    assert_eq!(front.width(), 32);
    for other in ["side.png", "both0.png", "both1.png", "scattered.png"] {
        assert_ne!(picture(other), front, "{other}");
    }
    for (wrong, said) in [
        ("render(w, yaw: 3, camera: \"cameras.npy\")", "leave one of them out"),
        ("render(sample(n: 3), camera: \"cameras.npy\")", "2 cameras for 3 codes"),
        ("render(w, camera: \"none.npy\")", "none.npy"),
        ("load \"toy\"; render(sample(seed: 1), yaw: 3)", "has no camera"),
        ("load \"toy\"; render(sample(seed: 1), depth: true)", "has no camera"),
    ] {
        let (code, text) = run(wrong);
        assert!(code != Some(0) && text.contains(said), "{wrong}: {text}");
    }
}

/// The camera of a picture is found beside its code, and stays with it.
#[test]
fn an_inversion_finds_the_camera() {
    let case = read("auto_32");
    let g = &*case.g;
    let ws = case.at("ws").narrow(0, 0, 1).unwrap().contiguous().unwrap();
    let (yaw, pitch) = (9.0f64, -4.0f64);
    let camera = Camera { yaw, pitch, ..Camera::FRONTAL };
    let camera = camera.numbers(&g.orbit().unwrap(), &Device::Cpu).unwrap();
    let input = Input { camera: Some(camera), ..Input::default() };
    let target = spaces::picture(g, &ws, Space::WPlus, &input).unwrap();
    let start = spaces::mean(g, Space::WPlus, None).unwrap().derived(ws, "true".into());
    let control = Control::default();
    let job = Job::new(g, &control);
    let of = |pose: bool| {
        let method = methods::find("optimize").unwrap();
        let init = Init::Latent(start.clone());
        let c = Config { steps: 60, lr: 0.02, init, pose, ..Config::new(Space::WPlus, method) };
        invert(&job, &target, &c).unwrap()
    };
    let (without, with) = (of(false), of(true));
    let found = flat(with.code.parts.get(Part::Pose).unwrap());
    let found = [found[0].to_degrees(), found[1].to_degrees()];
    println!("found {found:?} of [{yaw}, {pitch}], loss {:?} and {:?}", without.loss, with.loss);
    assert!(with.loss[0] < 0.3 * without.loss[0]);
    assert!((found[0] - yaw).abs() < 2.0 && (found[1] - pitch).abs() < 2.0);
}
