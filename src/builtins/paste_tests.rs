use super::*;
use crate::builtin::Output;
use crate::control::Control;
use crate::eval::{Options, State};
use crate::image::{Metadata, Similarity, encode, read};
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
    ran_with("toy", program, photo)
}

fn ran_with(model: &str, program: &str, photo: &Path) -> Result<State> {
    let mut state = State::new(Models::cpu(), model, Options::default())?;
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
         two = invert([sample(seed: 1), x], space: W, steps: 1)\n\
         each = [one for one in two]\nr = each[1]\ns = each[0]\n\
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
    let save = |ending: &str| {
        format!("save(y, \"{}\", outside: true)\n", at(&format!("out.{ending}")).display())
    };
    let program = format!(
        "x = image(\"PHOTO\", align: [10, 20, 50, 50])\ny = paste(x, into: x)\n{}{}{}save(x, \"{}\", outside: true)",
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
        let found = Metadata::of(&std::fs::read(&file).unwrap(), &LIMITS);
        assert_eq!(found, Metadata { exif: Some(upright.clone()), icc: Some(profile.clone()) });
        let back = read(&file, &LIMITS).unwrap();
        assert_eq!((back.raster.width, back.raster.height), (90, 120), "{ending}");
        assert!(!back.notes.iter().any(|n| n.contains("turned")), "{:?}", back.notes);
    }
    assert!(Metadata::of(&std::fs::read(at("plain.png")).unwrap(), &LIMITS).is_empty());
}

/// Two rendered people in one photograph, one turned and larger: both are found where they were
/// put, and each returns to its place with every other byte unchanged.
#[test]
fn rendered_people_return_to_a_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("group.png");
    let made = ran_with("faces", "a = sample(seed: 1)\nb = sample(seed: 2)", &path).unwrap();
    let person = |name: &str| {
        let Value::Latent(code) = &made.names[name] else { panic!() };
        let model = made.models().loaded(code.model.as_ref().unwrap()).unwrap();
        let data = crate::value::pictures::render(code, &model, &Control::default()).unwrap().data;
        one_raster(&data).unwrap()
    };
    let mut canvas = Raster::filled(640, 420, &[90, 110, 120]).unwrap();
    let places =
        [Similarity::new(1.8, 12.0, [130.0, 60.0]), Similarity::new(1.2, 0.0, [430.0, 120.0])];
    for (name, place) in ["a", "b"].into_iter().zip(&places) {
        let person = person(name);
        let whole = Photograph::whole("", b"", &canvas).cut(place, [128, 128]);
        let all = Region::Weights { data: vec![1.0; 1], size: [1, 1] };
        let how = Paste { region: all, feather: 0.0, matched: false, before: None };
        canvas = paste(&canvas, &whole, &person, &how).unwrap().picture;
    }
    std::fs::write(&path, encode::png(&canvas, &[]).unwrap()).unwrap();
    let state = ran_with(
        "faces",
        "t = faces(\"PHOTO\")\nn = len(t[\"face\"])\n\
         x = image(\"PHOTO\")\ny = image(\"PHOTO\", face: 2)\n\
         p = paste(x, into: x)\nq = paste(y, into: y, over: p)\n\
         f = image(\"PHOTO\", align: ffhq, face: 2)\ng = paste(f, into: f, mask: face)",
        &path,
    )
    .unwrap();
    let Value::Number(n) = state.names["n"] else { panic!() };
    assert!((n - 2.0).abs() < 1e-9, "{n}");
    for (name, place) in ["x", "y"].into_iter().zip(&places) {
        let image = picture(&state, name);
        let found = image.photograph(0).unwrap();
        let ([x, y], [u, v]) = (found.place.apply([64.0; 2]), place.apply([64.0; 2]));
        let side = 128.0 * place.scale();
        assert!(libm::hypot(x - u, y - v) < 0.06 * side, "{name}: {x} {y}, {u} {v}");
        assert!((found.place.scale() / place.scale()).ln().abs() < 0.12, "{name}");
        assert!((found.place.degrees() - place.degrees()).abs() < 6.0, "{name}");
        let points = found.landmarks.unwrap();
        assert!(points[0][0] < points[1][0] && points[0][1] < points[3][1]);
        assert!(image.notes.iter().any(|n| n.starts_with("face ") && n.contains(" of 2:")));
    }
    for name in ["p", "q", "g"] {
        let out = one_raster(&picture(&state, name).data).unwrap();
        let same = |i: &usize| out.pixel(i % 640, i / 640) == canvas.pixel(i % 640, i / 640);
        let kept = (0..640 * 420).filter(same).count();
        let square = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b)).powi(2);
        let error = out.data.iter().zip(&canvas.data).map(square).sum::<f64>();
        let error = (error / canvas.data.len() as f64).sqrt();
        assert!(kept > 640 * 420 / 2 && error < 3.0, "{name}: {kept} {error}");
        assert_eq!(out.crop(0, 0, 60, 420).unwrap(), canvas.crop(0, 0, 60, 420).unwrap());
    }
    let e = ran_with("faces", "image(\"PHOTO\", face: 3)", &path).err().unwrap();
    assert!(e.message().contains("no face 3: 2 were found"), "{e}");
    assert!(e.repair().is_some_and(|r| r.contains("1 to 2")), "{e}");
}
