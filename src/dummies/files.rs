//! The family, the layout and the container: what a file can bring.

use super::{Arrays, array, error, gannet, numbers, picture, run, toy};
use crate::generator::dummy_family::TABLE;
use crate::generator::{self, codes, spaces};
use crate::limits::LIMITS;
use crate::rng::Rng;
use crate::space::Space;
use crate::value::{Models, Value};
use crate::weights::{self, Array, Manifest, dummy_container, safetensors};
use candle_core::Device;
use std::fs;
use std::path::Path;

/// Writes a file and gives its path.
fn file(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

/// A generator of the dummy family: four rows of six numbers, pictures of 16×16.
fn linear() -> Arrays {
    let shape = [4, 6, 3, 16, 16];
    let values = Rng::new(1).normals(shape.iter().product()).iter().map(|v| v * 0.2).collect();
    Arrays::from([(TABLE.to_owned(), Array::f32(&shape, values).unwrap())])
}

fn row(text: &str, key: &str) -> String {
    let line = text.lines().find(|l| l.starts_with(&format!("{key} ")));
    line.unwrap_or_else(|| panic!("no {key} in {text}"))[key.len()..].trim().to_owned()
}

#[test]
fn a_family_is_recognised_described_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = safetensors::write(&linear(), None).unwrap();
    let path = file(folder.path(), "linear.safetensors", &bytes);
    let (text, _) = gannet(folder.path(), &["info", &path]);
    for (key, value) in [
        ("family", "dummy_family"),
        ("layout", "gannet"),
        ("synthesised", "true"),
        ("name", "linear"),
        ("width", "16"),
        ("num_ws", "4"),
        ("spaces", "Z W W+"),
    ] {
        assert_eq!(row(&text, key), value, "{text}");
    }
    let (text, _) = gannet(folder.path(), &["models"]);
    assert!(row(&text, "reads dummy_family:").contains("linear in their code"), "{text}");
    let kept = run(&path, "info()").unwrap();
    assert!(kept.lines.iter().any(|l| l.contains("dummy_family")), "{:?}", kept.lines);
    // A tensor that it does not know is refused.
    let mut more = linear();
    more.insert("more".into(), Array::f32(&[1], vec![0.0]).unwrap());
    let bytes = safetensors::write(&more, None).unwrap();
    let e = run(&file(folder.path(), "more.safetensors", &bytes), "info()").err().unwrap();
    assert!(e.message().contains("`more`"), "{e}");
}

#[test]
fn a_family_is_converted_and_keeps_its_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = safetensors::write(&linear(), None).unwrap();
    let path = file(folder.path(), "linear.safetensors", &bytes);
    let own = folder.path().join("own.safetensors").display().to_string();
    gannet(folder.path(), &["convert", &path, &own]);
    let checkpoint = weights::open(own.as_ref(), &LIMITS).unwrap();
    assert_eq!(checkpoint.family(), Some("dummy_family"));
    let models = Models::cpu();
    let [a, b] = [&path, &own].map(|p| models.load(p).unwrap().facts.fingerprint.clone());
    assert_eq!(a, b);
    // The name of a manifest decides: the same tensors of another family are not read.
    let manifest = Manifest {
        format: safetensors::FORMAT,
        family: "stylegan2".into(),
        config: serde_json::Value::Null,
        provenance: serde_json::Value::Null,
    };
    let bytes = safetensors::write(&linear(), Some(&manifest)).unwrap();
    assert!(models.load(&file(folder.path(), "other.safetensors", &bytes)).is_err());
}

#[test]
fn a_family_is_sampled_rendered_and_inverted_in_all_its_spaces() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = safetensors::write(&linear(), None).unwrap();
    let path = file(folder.path(), "linear.safetensors", &bytes);
    assert_eq!(picture(&path, "render(sample(seed: 1))").len(), 3 * 16 * 16);
    assert!(picture(&path, "render(mean_w())").iter().all(|v| *v == 0.0));
    for (space, least) in [("Z", 0.2), ("W", 0.02), ("W+", 0.02)] {
        // Every space has its sample, its edits, and its way back from a picture.
        let code = format!(
            "a = sample(seed: 3, space: {space}); b = sample(seed: 4, space: {space})\n\
             d = b - a; strip(a, along: d, n: 3)\n\
             r = invert(render(a), space: {space}, method: optimize, steps: 300, lr: 0.3)\nr"
        );
        let kept = run(&path, &code).unwrap();
        let Some(Value::Inversion(i)) = kept.values.last() else { panic!("no inversion") };
        assert_eq!(i.code.space.name(), space);
        let losses = i.trace[0].losses();
        assert!(i.loss[0] < least * losses[0], "{space}: {} of {}", i.loss[0], losses[0]);
    }
    for method in ["projector", "lbfgs"] {
        run(&path, &format!("invert(sample(seed: 3), method: {method}, space: W, steps: 3)"))
            .unwrap();
    }
    let e = run(&path, "sample(space: S)").err().unwrap();
    assert!(e.repair().is_some(), "{e}");
}

#[test]
fn a_familys_weights_can_be_searched() {
    let bytes = safetensors::write(&linear(), None).unwrap();
    let checkpoint = weights::open_bytes("linear", bytes, &LIMITS).unwrap();
    let g = generator::load(checkpoint, &Device::Cpu).unwrap();
    let draw = spaces::Draw { seed: 2, space: Space::W, ..spaces::Draw::default() };
    let code = spaces::sample(&*g, 1, draw).unwrap();
    let (copy, variables) = generator::tuned(&*g, &|name| name == TABLE).unwrap();
    let picture = codes::synthesize(&*copy, &code, &spaces::input_of(&code)).unwrap();
    let grads = picture.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let slope = numbers(grads.get(&variables[0].1).unwrap());
    assert!(variables[0].0 == TABLE && slope.iter().any(|v| *v != 0.0));
}

/// The toy's tensors by the names of the dummy layout.
fn laid_out() -> Arrays {
    let fc = |name: &str| {
        let (n, part) = name.strip_prefix("mapping.fc")?.split_once('.')?;
        Some((n.parse::<usize>().ok()? + 1, part.to_owned()))
    };
    let one = |(name, values): (String, Array)| {
        let to = match (fc(&name), name.strip_prefix("synthesis.")) {
            (Some((n, part)), _) if part == "weight" => {
                let matrix = candle_core::Tensor::from_vec(
                    values.to_f32(),
                    (values.shape[0], values.shape[1]),
                    &Device::Cpu,
                );
                let turned = matrix.unwrap().t().unwrap().contiguous().unwrap();
                return (format!("dummy_layout/map/{n}/kernel"), array(&turned));
            }
            (Some((n, part)), _) => format!("dummy_layout/map/{n}/{part}"),
            (None, Some(rest)) => format!("dummy_layout/{rest}"),
            (None, None) => "dummy_layout/mean".into(),
        };
        (to, values)
    };
    toy().into_iter().map(one).collect()
}

#[test]
fn a_layout_gives_the_same_generator_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = safetensors::write(&laid_out(), None).unwrap();
    let path = file(folder.path(), "laid out.safetensors", &bytes);
    let (text, _) = gannet(folder.path(), &["info", &path]);
    assert_eq!([row(&text, "family"), row(&text, "layout")], ["stylegan2", "dummy_layout"]);
    let (text, _) = gannet(folder.path(), &["models"]);
    assert!(row(&text, "reads stylegan2:").contains("dummy_layout"), "{text}");
    let models = Models::cpu();
    let [toy, own] = ["toy", &path].map(|p| models.load(p).unwrap());
    assert_eq!(toy.facts.fingerprint, own.facts.fingerprint);
    for code in ["render(sample(seed: 5, space: W+))", "render(sample(seed: 6, n: 2))"] {
        let bits = |of: &str| picture(of, code).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits("toy"), bits(&path), "{code}");
    }
}

#[test]
fn a_container_is_opened_also_inside_a_tar() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = dummy_container::write(&toy());
    let path = file(folder.path(), "toy.bin", &bytes);
    let packed = file(folder.path(), "toy.tar", &tar("weights/toy.bin", &bytes));
    let models = Models::cpu();
    for path in [&path, &packed] {
        assert_eq!(weights::open(path.as_ref(), &LIMITS).unwrap().format, "dummy_container");
        let (text, _) = gannet(folder.path(), &["info", path]);
        assert_eq!([row(&text, "format"), row(&text, "family")], ["dummy_container", "stylegan2"]);
        let [toy, own] = ["toy", path].map(|p| models.load(p).unwrap().facts.fingerprint.clone());
        assert_eq!(toy, own);
        let code = "render(sample(seed: 5))";
        assert_eq!(picture("toy", code), picture(path, code));
    }
    // Codes and directions come in it as well.
    let code = Arrays::from([(String::new(), Array::f32(&[1, 16], vec![0.5; 16]).unwrap())]);
    let path = file(folder.path(), "code.bin", &dummy_container::write(&code));
    run("toy", &format!("render(latent(\"{path}\", space: W))")).unwrap();
}

/// A tar archive with one file.
fn tar(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 512];
    out[..name.len()].copy_from_slice(name.as_bytes());
    out[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
    out[156] = b'0';
    out[257..262].copy_from_slice(b"ustar");
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(512) + 1024, 0);
    out
}

#[test]
fn bad_bytes_of_a_container_are_refused() {
    let tensors = Arrays::from([("a".to_owned(), Array::f32(&[2, 3], vec![1.0; 6]).unwrap())]);
    let whole = dummy_container::write(&tensors);
    let refused = |bytes: Vec<u8>| {
        let opened = weights::open_bytes("bad.bin", bytes, &LIMITS);
        let e = opened.and_then(|mut c| c.weights.take("a", &[2, 3])).expect_err("refused");
        assert!(e.message().starts_with("bad.bin: at byte "), "{e}");
        e.to_string()
    };
    for end in 16..whole.len() {
        refused(whole[..end].to_vec());
    }
    let changed = |at: usize, with: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        refused(bytes)
    };
    // Behind the magic: number of tensors, length and bytes of a name, rank, two sizes, numbers.
    assert!(changed(20, &u32::MAX.to_le_bytes()).contains("a name has at most"));
    assert!(changed(25, &u32::MAX.to_le_bytes()).contains("dimensions"));
    assert!(changed(29, &u64::MAX.to_le_bytes()).contains("overflow"));
    assert!(changed(29, &(1u64 << 40).to_le_bytes()).contains("needed here"));
    assert!(changed(45, &f32::NAN.to_le_bytes()).contains("finite"));
    assert!(refused([&whole[..], &[0]].concat()).contains("nothing follows"));
    // What is of no kind is told the kinds.
    let e = weights::open_bytes("odd", &[1u8; 24][..], &LIMITS).err().unwrap();
    assert!(e.message().contains("npz, dummy_container"), "{e}");
    assert!(error("load \"no such file\"").repair().is_some());
}
