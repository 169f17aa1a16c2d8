//! Encoders that programs fit, save, find again and use.

use super::tests::Kept;
use super::*;
use crate::generator::toy::Toy;
use crate::value::Models;
use crate::weights::{Array, Manifest, safetensors};
use candle_core::Device;
use std::path::{Path, PathBuf};

/// Writes a toy generator of 16×16 pixels as a file.
fn model(folder: &Path, seed: u64) -> PathBuf {
    let toy = Toy { resolution: 16, seed, ..Toy::default() };
    let tensors = toy.build(&Device::Cpu).unwrap().tensors().unwrap().into_iter().map(|(n, t)| {
        let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (n, Array::f32(t.dims(), values).unwrap())
    });
    let manifest = Manifest {
        format: 1,
        family: "stylegan2".into(),
        config: serde_json::json!({"img_resolution": 16}),
        provenance: serde_json::Value::Null,
    };
    let bytes = safetensors::write_f32(&tensors.collect(), Some(&manifest)).unwrap();
    let path = folder.join("people.safetensors");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Runs a program with a generator; gives what it printed and showed.
fn run(model: &Path, options: Options, program: &str) -> Result<Kept> {
    let mut state = State::new(Models::cpu(), model.to_str().unwrap(), options)?;
    let mut kept = Kept::default();
    let source = Source::new("test", program).unwrap();
    state.run(&source, &BTreeMap::new(), &Control::default(), &mut kept)?;
    Ok(kept)
}

#[test]
fn a_fitted_encoder_is_found_with_its_model_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let people = model(folder.path(), 0);
    let state = folder.path().join("state");
    let options =
        || Options { checkpoints: Some(state.clone()), confined: false, ..Options::default() };
    let without = run(&people, options(), "invert(sample(seed: 3), method: encoder)");
    assert!(without.err().unwrap().message().contains("encoder"));
    let fit = "t = fit(encoder, samples: 96, steps: 30)\nprint(max(t[\"psnr\"]) - t[\"psnr\"][0])\n\
               r = invert(sample(seed: 3), steps: 0)\nprint(r)";
    let printed = run(&people, options(), fit).unwrap().printed;
    assert!(printed[0].parse::<f64>().unwrap() > 0.5, "{printed:?}");
    // From now on the session's own inversions begin with the encoder.
    assert!(printed[1].contains("hybrid"), "{printed:?}");
    let file = folder.path().join("people.encoder.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    // A session of its own finds it, and its passes come nearer than the mean code.
    let measure = "x = render(sample(seed: 900))\nprint(psnr(x, invert(x, method: encoder, space: W)))\n\
                   print(psnr(x, render(mean_w)))\nprint(info())";
    let printed = run(&people, options(), measure).unwrap().printed;
    let [near, far] = [0, 1].map(|i| printed[i].parse::<f64>().unwrap());
    assert!(near > far + 0.5, "{near} {far}");
    assert!(printed[2].contains("regression") && printed[2].contains("dB"), "{printed:?}");
    // The same fit again is the same file; its state is at its end.
    run(&people, options(), "fit(encoder, samples: 96, steps: 30)").unwrap();
    assert!(std::fs::read(&file).unwrap() == bytes);
    // Another generator under the same name refuses it, and says what to do.
    model(folder.path(), 1);
    let e = run(&people, options(), "print(1)").err().unwrap();
    assert!(e.message().contains("another generator"), "{e}");
    assert!(e.repair().unwrap().contains("people.encoder.safetensors"), "{e}");
}

#[test]
fn what_is_not_ours_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let people = model(folder.path(), 0);
    let program = |out: &str| format!("fit(encoder, samples: 32, steps: 0, out: \"{out}\")");
    let out = || Options { out: folder.path().to_owned(), confined: false, ..Options::default() };
    let refused = |options: Options, program: &str| {
        let e = run(&people, options, program).err().unwrap();
        assert!(e.repair().is_some(), "{e}");
        e.message().to_owned()
    };
    assert!(refused(out(), &program("people.safetensors")).contains("is there"));
    assert!(refused(out(), &program("people.pt")).contains("safetensors"));
    let both = "fit(encoder, minutes: 1, steps: 2)";
    assert!(refused(out(), both).contains("both"));
    // A script stays in its folder.
    let confined = || Options { confined: true, ..out() };
    assert!(refused(confined(), "fit(encoder, samples: 32, steps: 0)").contains("--out"));
    let above = program("../e.safetensors");
    assert!(run(&people, confined(), &above).is_err());
    assert!(!folder.path().join("../e.safetensors").exists());
    run(&people, confined(), &program("own.encoder.safetensors")).unwrap();
    assert!(folder.path().join("own.encoder.safetensors").is_file());
    // What is built in has no file to lie beside.
    let toy = run(Path::new("toy"), out(), "fit(encoder, samples: 32, steps: 0)");
    assert!(toy.err().unwrap().message().contains("no file"));
}
