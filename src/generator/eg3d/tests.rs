//! The parts by hand: rays, their ends and samples, resizing, and what is refused.

use super::config::{End, Rendering};
use super::rays::{self, Jitter};
use super::*;
use serde_json::json;
use std::collections::BTreeMap;

const CPU: Device = Device::Cpu;

fn flat(t: &Tensor) -> Vec<f32> {
    t.flatten_all().and_then(|t| t.to_vec1()).expect("numbers")
}

fn close(found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len());
    let apart = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(apart < 1e-5, "{found:?} is not {wanted:?}");
}

/// The settings of a renderer, changed.
fn settings(change: &[(&str, serde_json::Value)]) -> serde_json::Value {
    let mut all = json!({
        "depth_resolution": 4, "depth_resolution_importance": 4, "ray_start": 2.25,
        "ray_end": 3.3, "box_warp": 1,
    });
    for (key, value) in change {
        all[key] = value.clone();
    }
    all
}

/// Settings and tensors of the smallest generator there is, one block of 4 pixels.
fn small(change: &[(&str, serde_json::Value)]) -> (Given, BTreeMap<String, Tensor>) {
    let given = json!({
        "neural_rendering_resolution": 2,
        "rendering_kwargs": settings(change),
        "superresolution": {"input_resolution": 4, "resolutions": [4, 8]},
    });
    let shapes: &[(&str, &[usize])] = &[
        ("mapping.embed.weight", &[4, 25]),
        ("mapping.embed.bias", &[4]),
        ("mapping.fc0.weight", &[4, 8]),
        ("mapping.fc0.bias", &[4]),
        ("mapping.w_avg", &[4]),
        ("synthesis.b4.const", &[2, 4, 4]),
        ("synthesis.b4.conv1.weight", &[2, 2, 3, 3]),
        ("synthesis.b4.conv1.bias", &[2]),
        ("synthesis.b4.conv1.affine.weight", &[2, 4]),
        ("synthesis.b4.conv1.affine.bias", &[2]),
        ("synthesis.b4.torgb.weight", &[9, 2, 1, 1]),
        ("synthesis.b4.torgb.bias", &[9]),
        ("synthesis.b4.torgb.affine.weight", &[2, 4]),
        ("synthesis.b4.torgb.affine.bias", &[2]),
        ("decoder.net.0.weight", &[5, 3]),
        ("decoder.net.0.bias", &[5]),
        ("decoder.net.2.weight", &[5, 5]),
        ("decoder.net.2.bias", &[5]),
    ];
    let mut tensors = BTreeMap::new();
    let mut put = |name: String, shape: &[usize]| {
        let values = crate::rng::Rng::derive(3, &name).normals(shape.iter().product());
        tensors.insert(name, Tensor::from_vec(values, shape, &CPU).expect("tensor"));
    };
    shapes.iter().for_each(|(name, shape)| put((*name).to_owned(), shape));
    for (block, inputs) in [(0, 4), (1, 2)] {
        let name = format!("superresolution.block{block}");
        for (layer, read, outputs, k) in
            [("conv0", inputs, 2, 3), ("conv1", 2, 2, 3), ("torgb", 2, 3, 1)]
        {
            put(format!("{name}.{layer}.weight"), &[outputs, read, k, k]);
            put(format!("{name}.{layer}.bias"), &[outputs]);
            put(format!("{name}.{layer}.affine.weight"), &[read, 4]);
            put(format!("{name}.{layer}.affine.bias"), &[read]);
        }
    }
    (Given::parse(&given).expect("settings"), tensors)
}

fn build(given: &Given, tensors: BTreeMap<String, Tensor>) -> Result<Eg3d> {
    Eg3d::new(&mut Weights::of_tensors("small", tensors), given, "test", &CPU)
}

/// The frontal camera looks along −z; the first ray goes to the left and up.
#[test]
fn the_frontal_camera_and_its_rays() {
    let orbit = Orbit { radius: 2.7, pivot: [0.0, 0.0, 0.2] };
    let camera = Camera::FRONTAL.numbers(&orbit, &CPU).expect("camera");
    let focal = 4.2634;
    let wanted =
        [[1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 2.7], [0.0, 0.0, 0.0, 1.0]];
    close(&flat(&camera)[..16], wanted.concat().as_slice());
    assert!((flat(&camera)[16] - focal).abs() < 1e-3);
    let seen = rays::rays(&camera, 2).expect("rays");
    close(&flat(&seen.origin), &[0.0, 0.0, 2.7]);
    let first = &flat(&seen.directions)[..3];
    let side = 0.25 / focal;
    let length = (1.0 + 2.0 * side * side).sqrt();
    let apart = first.iter().zip([-side, side, -1.0]).map(|(a, b)| (a - b / length).abs());
    assert!(apart.fold(0f32, f32::max) < 1e-5, "{first:?}");
    // Turned by a right angle, it lies on the other axis and looks at the pivot.
    let turned = Camera { yaw: 90.0, ..Camera::FRONTAL }.numbers(&orbit, &CPU).expect("camera");
    let turned = flat(&turned);
    assert!((turned[3].abs() - 2.7).abs() < 1e-5 && turned[11].abs() < 1e-5, "{turned:?}");
    let none = Camera { fov: 0.0, ..Camera::FRONTAL }.numbers(&orbit, &CPU);
    assert!(none.expect_err("no field of view").repair().is_some());
}

#[test]
fn rays_end_at_the_box() {
    let (given, tensors) = small(&[("ray_start", json!("auto")), ("ray_end", json!("auto"))]);
    let g = build(&given, tensors).expect("built");
    let directions = vec![0f32, 0.0, -1.0, 0.6, 0.0, -0.8, 0.0, 1.0, 0.0, 0.0, 0.1, -0.995];
    let seen = rays::Rays {
        origin: Tensor::from_vec(vec![0f32, 0.0, 2.0], (1, 3), &CPU).expect("origin"),
        directions: Tensor::from_vec(directions, (4, 3), &CPU).expect("directions"),
    };
    let ends = rays::ends(&g.config, &seen).expect("ends");
    close(&ends[0], &[1.5, 2.5]);
    // The second and third miss it: between the nearest and the farthest beginning.
    let last = 1.5 / 0.995;
    close(&ends[1], &[1.5, last]);
    close(&ends[2], &[1.5, last]);
    close(&ends[3], &[last, 2.5 / 0.995]);
}

#[test]
fn samples_lie_in_their_steps_and_finer_ones_where_the_weight_is() {
    let (given, tensors) = small(&[]);
    let g = build(&given, tensors).expect("built");
    let mut none = Jitter::none();
    let coarse = rays::coarse(&g.config, &[[2.0, 5.0]], &mut none);
    close(&coarse, &[2.5, 3.5, 4.5, 5.5]);
    let spread = |seed: u64| {
        let mut jitter = Jitter::seeded(seed, 0);
        let first = rays::coarse(&g.config, &[[2.0, 5.0]], &mut jitter);
        let shares = jitter.parts(1, 6);
        (first.clone(), rays::fine((&first, 4), &[0.0, 1.0, 0.0], (&shares, 6)))
    };
    let (first, finer) = spread(1);
    assert!(first.iter().zip([2.0, 3.0, 4.0, 5.0]).all(|(d, from)| (from..from + 1.0).contains(d)));
    assert!(finer.iter().all(|d| (first[0]..first[3]).contains(d)));
    assert!(spread(1) == spread(1) && spread(1) != spread(2));
    // Equal weights give equal steps between the middles of the first two intervals.
    let fine = rays::fine((&coarse, 4), &[0.5; 3], (&none.parts(1, 2), 2));
    close(&fine, &[3.25, 3.75]);
}

#[test]
fn what_is_wrong_is_named() {
    let (given, tensors) = small(&[]);
    let spec = build(&given, tensors.clone()).expect("built").spec().clone();
    assert_eq!((spec.width, spec.channels, spec.c_dim, spec.classes()), (8, 3, 25, 0));
    assert!(spec.inputs.camera && !spec.inputs.noise);
    let refused = |change: &[(&str, serde_json::Value)]| {
        let (given, tensors) = small(change);
        let e = build(&given, tensors).err().expect("refused");
        assert!(e.repair().is_some(), "{e}");
        e.to_string()
    };
    for (key, value, said) in [
        ("ray_start", json!("auto"), "rays from"),
        ("ray_start", json!("near"), "rays from"),
        ("ray_end", json!(1.0), "rays from"),
        ("clamp_mode", json!("relu"), "clamp_mode"),
        ("density_noise", json!(1), "density_noise"),
        ("box_warp", json!(0), "box_warp"),
        ("decoder_lr_mul", json!(0), "decoder_lr_mul"),
        ("superresolution_noise_mode", json!("some"), "superresolution_noise_mode"),
        ("depth_resolution", json!(2), "samples"),
    ] {
        let text = refused(&[(key, value)]);
        assert!(text.contains(said), "{key}: {text}");
    }
    let without = Given { rendering_kwargs: None, ..given.clone() };
    let e = build(&without, tensors.clone()).err().expect("refused");
    assert!(e.to_string().contains("rendering_kwargs"), "{e}");
    let mut blocks = given.superresolution.clone().expect("blocks");
    blocks.resolutions = vec![4, 16];
    let e = build(&Given { superresolution: Some(blocks), ..given.clone() }, tensors.clone());
    assert!(e.err().expect("refused").repair().is_some());
    let e = build(&Given { img_resolution: Some(16), ..given }, tensors).err().expect("refused");
    assert!(e.to_string().contains("img_resolution"), "{e}");
}

/// The mapping network and the view take the frontal camera where none is given, and refuse what
/// is no camera.
#[test]
fn the_frontal_camera_is_the_default() {
    let (given, tensors) = small(&[("c_scale", json!(1))]);
    let g = build(&given, tensors).expect("built");
    let z = Tensor::from_vec(vec![0.5f32, -1.0, 2.0, 0.1], (1, 4), &CPU).expect("z");
    let frontal = g.frontal().expect("camera");
    let side = Camera { yaw: 40.0, ..Camera::FRONTAL }.numbers(&g.config.orbit(), &CPU);
    let side = side.expect("camera");
    let w = |labels: Option<&Tensor>| {
        flat(&g.enter(Space::W, &z, &Input::labelled(labels)).expect("w"))
    };
    assert_eq!(w(None), w(Some(&frontal)));
    assert_ne!(w(None), w(Some(&side)));
    let ws = g.enter(Space::W, &z, &Input::default()).and_then(|w| Ok(w.unsqueeze(1)?)).expect("w");
    let ws = ws.repeat((1, g.spec().num_ws, 1)).expect("ws");
    let seen = |camera: Option<Tensor>| {
        let start = Start::Code { space: Space::WPlus, data: &ws };
        g.run(&start, &Input { camera, ..Input::default() }, &[Tap::Picture])
    };
    let picture = |camera| flat(&seen(camera).expect("run").picture.expect("picture"));
    assert_eq!(picture(None), picture(Some(frontal)));
    assert_ne!(picture(None), picture(Some(side)));
    let short = Tensor::zeros((1, 24), candle_core::DType::F32, &CPU).expect("short");
    assert!(seen(Some(short.clone())).expect_err("no camera").repair().is_some());
    let e = g.enter(Space::W, &z, &Input::labelled(Some(&short))).expect_err("no camera");
    assert!(e.repair().is_some());
}

#[test]
fn ends_are_read_as_numbers_or_words() {
    let read: Rendering = serde_json::from_value(settings(&[("ray_end", json!("auto"))])).unwrap();
    assert_eq!((read.ray_start, read.ray_end), (End::At(2.25), End::Word("auto".into())));
    assert_eq!((read.avg_camera_radius, read.avg_camera_pivot), (2.7, [0.0; 3]));
}
