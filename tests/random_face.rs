//! The generator of the package random-face, opened as users get it, against OpenVINO.
//!
//! The package is not part of this repository. Without it the tests print that and do nothing:
//! `scripts/reference/mobilestylegan_wheel.py` says how to get it and makes the pictures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use candle_core::{Device, Tensor};
use gannet::generator::{self, Generator, Input, spaces};
use gannet::limits::LIMITS;
use gannet::space::Space;
use gannet::weights::{self, Checkpoint};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A pixel of a picture may differ by this much; pictures span about [-1.5, 1.5].
const PICTURE: f32 = 1e-3;

/// The wheel, where the environment names it.
fn wheel() -> Option<PathBuf> {
    let path = std::env::var_os("GANNET_RANDOM_FACE").map(PathBuf::from);
    if path.is_none() {
        println!("skipped: GANNET_RANDOM_FACE is not the path of the wheel of random-face");
    }
    path
}

fn load(checkpoint: Checkpoint) -> Arc<dyn Generator> {
    generator::load(checkpoint, &Device::Cpu).expect("generator")
}

fn apart(a: &Tensor, b: &Tensor) -> f32 {
    a.sub(b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

#[test]
fn random_face_as_openvino_computes_it() {
    let Some(path) = wheel() else { return };
    let numbers = path.with_file_name("random_face.safetensors");
    if !numbers.is_file() {
        println!("skipped: scripts/reference/mobilestylegan_wheel.py was not run on the wheel");
        return;
    }
    let checkpoint = weights::open(&path, &LIMITS).expect("wheel");
    assert_eq!(checkpoint.format, "openvino-zip");
    let g = load(checkpoint);
    let spec = g.spec();
    assert_eq!((spec.width, spec.height, spec.num_ws), (1024, 1024, 23));
    assert_eq!((spec.family.as_str(), spec.z_dim, spec.w_dim), ("mobilestylegan", 512, 512));
    let numbers = candle_core::safetensors::load(&numbers, &Device::Cpu).unwrap();
    let (z, image) = (&numbers["z"], &numbers["image"]);
    let w = spaces::rise(&*g, z, (Space::Z, Space::W), &Input::default()).unwrap();
    let off = apart(&w, &numbers["w"]);
    println!("w: {off:.1e}");
    assert!(off <= PICTURE, "{off}");
    let mut worst = 0f32;
    for i in 0..z.dim(0).unwrap() {
        let z = z.narrow(0, i, 1).unwrap();
        let picture = spaces::picture(&*g, &z, Space::Z, &Input::default()).unwrap();
        let off = apart(&picture, &image.narrow(0, i, 1).unwrap());
        assert!(off <= PICTURE, "picture {i}: {off}");
        worst = worst.max(off);
    }
    println!("pictures: {worst:.1e}");
}

/// The folder of the unpacked wheel and each of its descriptions open as the wheel does.
#[test]
fn a_folder_and_its_files_are_the_same_generator() {
    let Some(path) = wheel() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()).unwrap();
    archive.extract(folder.path()).unwrap();
    let data = folder.path().join("random_face/data");
    let print = |path: &Path| {
        load(weights::open(path, &LIMITS).expect("opened")).spec().fingerprint.clone()
    };
    let whole = print(&path);
    for name in ["", "MappingNetwork.xml", "SynthesisNetwork.xml"] {
        assert_eq!(print(&data.join(name)), whole, "{name}");
    }
    let bytes = generator::convert(weights::open(&path, &LIMITS).unwrap()).expect("converted");
    let own = load(weights::open_bytes("own", bytes, &LIMITS).unwrap());
    assert_eq!(own.spec().fingerprint, whole);
}
