use super::*;
use crate::builtin::Output;
use crate::control::Control;
use crate::eval::{Options, State};
use crate::image::{Metadata, encode, read};
use crate::lang::span::Source;
use crate::limits::LIMITS;
use crate::render::Block;
use crate::value::Models;
use crate::value::kept::Kept;
use std::collections::BTreeMap;
use std::path::Path;

struct Nowhere;

impl Output for Nowhere {
    fn display(&mut self, _: &[Block], _: &Value) -> Result<()> {
        Ok(())
    }

    fn print(&mut self, _: &str) -> Result<()> {
        Ok(())
    }
}

/// A program that ran with the toy generator; `PHOTO` in it is the path.
fn ran(program: &str, photo: &Path) -> Result<State> {
    let mut state = State::new(Models::cpu(), "toy", Options::default())?;
    let program = program.replace("PHOTO", photo.to_str().unwrap());
    let source = Source::new("test", program)?;
    state.run(&source, &BTreeMap::new(), &Control::default(), &mut Nowhere)?;
    Ok(state)
}

fn failed(program: &str, photo: &Path) -> Error {
    ran(program, photo).err().unwrap_or_else(|| panic!("{program}"))
}

fn picture(state: &State, name: &str) -> Image {
    let Value::Image(i) = &state.names[name] else { panic!("{name}") };
    i.clone()
}

/// A photograph of slopes, 120 by 90, as a file.
fn photo(folder: &Path, name: &str) -> (std::path::PathBuf, Raster) {
    let pixel = |i: usize| [(i % 120 * 2) as u8, (i / 120 * 2) as u8, 90];
    let raster = Raster::new(120, 90, 3, (0..120 * 90).flat_map(pixel).collect()).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, encode::png(&raster, &[]).unwrap()).unwrap();
    (path, raster)
}

fn worst(a: &Raster, b: &Raster) -> u8 {
    a.data.iter().zip(&b.data).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn a_picture_returns_to_its_place_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, raster) = photo(folder.path(), "a.png");
    let state = ran(
        "x = image(\"PHOTO\", align: [30, 20, 50, 50])\ny = paste(x, into: x)\n\
         c = image(\"PHOTO\", align: center)\nz = paste(c, into: c, match: false)\n\
         w = paste(blank(), into: x, match: false)\n\
         v = paste(blank(-1), into: x, match: false, over: w, mask: mask(box: [0, 0, 1, 0.5]))\n\
         all = image([\"PHOTO\", \"PHOTO\"])\nu = paste(all[1], into: all[0])",
        &path,
    )
    .unwrap();
    for name in ["y", "z", "u"] {
        let out = one_raster(&picture(&state, name).data).unwrap();
        assert_eq!((out.width, out.height), (120, 90));
        assert!(worst(&out, &raster) <= 8, "{name}: {}", worst(&out, &raster));
    }
    let white = one_raster(&picture(&state, "w").data).unwrap();
    assert_eq!(white.pixel(55, 45), [255; 3]);
    let inside = |x: usize, y: usize| libm::hypot(x as f64 - 54.5, y as f64 - 44.5) < 25.0;
    for (x, y) in (0..90).flat_map(|y| (0..120).map(move |x| (x, y))) {
        assert!(inside(x, y) || white.pixel(x, y) == raster.pixel(x, y), "{x} {y}");
    }
    let both = one_raster(&picture(&state, "v").data).unwrap();
    assert_eq!((both.pixel(55, 32), both.pixel(55, 60)), (&[0; 3][..], &[255; 3][..]));
    let said = picture(&state, "y").notes;
    assert!(said[0].contains("% of it pasted") && said.iter().any(|n| n.contains("matched")));
}

/// What a picture knows of its photograph survives slices, inversion, and the journal.
#[test]
fn the_place_travels_with_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = photo(folder.path(), "a.png");
    let state = ran(
        "x = image(\"PHOTO\", align: [30, 20, 50, 50])\n\
         two = invert([sample(seed: 1), x], space: W, steps: 1)\nr = two[1]\ns = two[0]\n\
         y = paste(r, into: r)",
        &path,
    )
    .unwrap();
    let own = picture(&state, "x");
    let place = own.photograph(0).unwrap();
    assert_eq!((place.size, place.frame, place.landmarks), ([120, 90], [50, 50], None));
    assert_eq!(place.place.apply([1.0, 2.0]), [31.0, 22.0]);
    let (Value::Inversion(r), Value::Inversion(s)) = (&state.names["r"], &state.names["s"]) else {
        panic!()
    };
    assert_eq!((&r.photographs[..], &s.photographs[..]), (&[Some(place.clone())][..], &[None][..]));
    assert_eq!(picture(&state, "y").dims(), [1, 3, 90, 120]);
    for name in ["x", "r"] {
        let json = serde_json::to_string(&Kept::of(&state.names[name])).unwrap();
        let back: Kept = serde_json::from_str(&json).unwrap();
        let found = match back.value(state.models()).unwrap().unwrap() {
            Value::Image(i) => i.photographs,
            Value::Inversion(r) => r.photographs.clone(),
            other => panic!("{}", other.ty()),
        };
        assert_eq!(found, [Some(place.clone())], "{name}");
    }
}

#[test]
fn what_cannot_be_pasted_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = photo(folder.path(), "a.png");
    let x = "x = image(\"PHOTO\", align: [30, 20, 50, 50])\n";
    for (program, words) in [
        ("paste(sample(seed: 1), into: blank())", "not cut from a photograph"),
        ("paste(sample(n: 2, seed: 1), into: x)", "2 pictures"),
        ("paste(image(\"PHOTO\", size: 9), into: x)", "9×9"),
        ("paste(x, into: x, mask: face)", "no face was found"),
        ("paste(x, into: x, mask: changed)", "changed nothing"),
        ("paste(x, into: x, over: x)", "`over` is"),
        ("paste(x, into: image([\"PHOTO\", \"PHOTO\"]))", "`into` has 2"),
        ("paste(x, into: x, feather: 0.7)", "`feather` is a number from 0 to 0.5"),
        ("paste(x, into: \"none.png\")", "does not exist"),
    ] {
        let e = failed(&format!("{x}{program}"), &path);
        assert!(e.message().contains(words), "{program}: {e}");
        assert!(e.repair().is_some() || e.applied().is_some(), "{program}: {e}");
    }
    assert!(
        !is_finite(&Tensor::new(&[0f32, f32::NAN], &candle_core::Device::Cpu).unwrap()).unwrap()
    );
    let wide = Raster::filled(8, 4, &[255]).unwrap();
    let mask = folder.path().join("wide.png");
    std::fs::write(&mask, encode::png(&wide, &[]).unwrap()).unwrap();
    let program = format!("{x}paste(x, into: x, mask: mask(\"{}\"))", mask.display());
    assert!(failed(&program, &path).message().contains("8×4"));
    // The file changes between reading and pasting.
    let mut state = ran(x, &path).unwrap();
    let mut again = |program: &str| {
        let source = Source::new("test", program.to_owned()).unwrap();
        state.run(&source, &BTreeMap::new(), &Control::default(), &mut Nowhere)
    };
    std::fs::write(&path, encode::png(&wide, &[]).unwrap()).unwrap();
    let e = again("paste(x, into: x)").unwrap_err();
    assert!(e.message().contains("has changed since"), "{e}");
    std::fs::remove_file(&path).unwrap();
    let e = again("paste(x, into: x)").unwrap_err();
    assert!(e.message().contains("is gone"), "{e}");
}

/// A photograph that its camera held sideways: the result is upright, and says so once.
#[test]
fn the_metadata_of_the_photograph_is_saved_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_, raster) = photo(folder.path(), "a.png");
    let exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    let mut profile = vec![7; 200];
    profile[16..20].copy_from_slice(b"RGB ");
    let all = Metadata { exif: Some(exif.clone()), icc: Some(profile.clone()) };
    let path = folder.path().join("turned.jpg");
    std::fs::write(&path, encode::jpeg_with(&raster, 95, &all).unwrap()).unwrap();
    let at = |name: &str| folder.path().join(name);
    let save = |ending: &str| format!("save(y, \"{}\")\n", at(&format!("out.{ending}")).display());
    let program = format!(
        "x = image(\"PHOTO\", align: [10, 20, 50, 50])\ny = paste(x, into: x)\n{}{}{}save(x, \"{}\")",
        save("png"),
        save("jpg"),
        save("webp"),
        at("plain.png").display()
    );
    ran(&program, &path).unwrap();
    let mut upright = exif;
    upright[19] = 1;
    for ending in ["png", "jpg", "webp"] {
        let file = at(&format!("out.{ending}"));
        let found = Metadata::of(&std::fs::read(&file).unwrap());
        assert_eq!(found, Metadata { exif: Some(upright.clone()), icc: Some(profile.clone()) });
        let back = read(&file, &LIMITS).unwrap();
        assert_eq!((back.raster.width, back.raster.height), (90, 120), "{ending}");
        assert!(!back.notes.iter().any(|n| n.contains("turned")), "{:?}", back.notes);
    }
    assert!(Metadata::of(&std::fs::read(at("plain.png")).unwrap()).is_empty());
}
