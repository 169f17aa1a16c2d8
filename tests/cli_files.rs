//! `info`, `convert` and `models` as users run them: files of the field, files that are something
//! else, and files for other programs.
#![cfg(test)]

use std::path::Path;
use std::process::{Command, Output};

fn gannet(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gannet"))
        .args(args)
        .current_dir(folder)
        .env("GANNET_STATE", folder.join("state"))
        .env("GANNET_CACHE", "off")
        .env("GANNET_MODELS", folder.join("my models"))
        .output()
        .unwrap()
}

/// A program of one line with that generator.
fn eval(folder: &Path, model: &str, program: &str) -> Output {
    gannet(folder, &["--model", model, "eval", program])
}

fn code(o: &Output) -> i32 {
    o.status.code().unwrap_or(-1)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What `info --json` says of a file.
fn said(folder: &Path, args: &[&str]) -> serde_json::Value {
    let o = gannet(folder, &[&["info", "--json"], args].concat());
    assert_eq!(code(&o), 0, "{args:?}: {}", text(&o.stderr));
    serde_json::from_slice(&o.stdout).unwrap()
}

#[test]
fn info_names_files_that_are_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let files: [(&str, &[u8], &str, &str); 6] = [
        (
            "ffhq.pkl",
            b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title></html>",
            "html-quota",
            "tomorrow",
        ),
        ("net.pt", b"version https://git-lfs.github.com/spec/v1\n", "git-lfs", "git lfs pull"),
        ("a.safetensors", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "png", "image("),
        ("b.bin", b"\x08\x07\x12\x07pytorch", "onnx", "checkpoint"),
        ("c.h5", b"\x1f\x8b\x08\0\0\0\0\0", "gzip", "unpack"),
        ("d.pkl", b"", "empty", "download"),
    ];
    for (name, bytes, kind, hint) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        let facts = said(folder.path(), &[name]);
        assert_eq!((&facts["kind"], &facts["loads"]), (&kind.into(), &false.into()), "{facts}");
        assert!(facts["what"].as_str().unwrap().starts_with("this is "), "{facts}");
        assert!(facts["try"].as_str().unwrap().contains(hint), "{facts}");
        // In words too; and loading it fails with the same reason.
        let words = gannet(folder.path(), &["info", name]);
        assert!(text(&words.stdout).contains(facts["what"].as_str().unwrap()));
        let load = eval(folder.path(), "toy", &format!("load(\"{name}\")"));
        assert_ne!(code(&load), 0);
        assert!(text(&load.stderr).contains(facts["what"].as_str().unwrap()), "{name}");
    }
}

/// A file of safetensors with these names and shapes, all zeros.
fn tensors(path: &Path, all: &[(&str, &[usize])]) {
    let mut at = 0;
    let mut header = serde_json::Map::new();
    for (name, shape) in all {
        let end = at + 4 * shape.iter().product::<usize>();
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [at, end]});
        header.insert((*name).to_owned(), entry);
        at = end;
    }
    let header = serde_json::Value::Object(header).to_string();
    let head = (header.len() as u64).to_le_bytes();
    std::fs::write(path, [&head[..], header.as_bytes(), &vec![0; at]].concat()).unwrap();
}

#[test]
fn info_names_networks_that_are_no_generators() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.bin");
    let one: &[usize] = &[2, 2];
    for (kind, names) in [
        ("diffusion", &["model.diffusion_model.input_blocks.0.0.weight"][..]),
        ("classifier", &["layer1.0.conv1.weight", "fc.weight"]),
        ("classifier", &["features.0.weight", "features.2.weight"]),
        ("clip", &["visual.conv1.weight", "token_embedding.weight"]),
        ("language-model", &["model.layers.0.self_attn.q_proj.weight"]),
        ("encoder", &["e.input_layer.0.weight", "e.styles.0.convs.0.weight"]),
        ("discriminator", &["d.final_conv.0.weight", "d.final_linear.0.weight"]),
        ("tensors", &["something.weight"]),
    ] {
        tensors(&path, &names.iter().map(|n| (*n, one)).collect::<Vec<_>>());
        let facts = said(folder.path(), &["net.bin"]);
        assert_eq!((&facts["kind"], &facts["loads"]), (&kind.into(), &false.into()), "{facts}");
        assert!(facts["list"].is_null() && facts["tensors"] == names.len());
        let facts = said(folder.path(), &["net.bin", "--tensors"]);
        let list = facts["list"].as_array().unwrap();
        assert_eq!(list.len(), names.len());
        let first = serde_json::json!({"name": names[0], "dtype": "f32", "shape": [2, 2]});
        assert!(list.contains(&first), "{facts}");
    }
    let words = text(&gannet(folder.path(), &["info", "net.bin", "--tensors"]).stdout);
    assert!(words.contains("something.weight f32 [2,2]"), "{words}");
}

#[test]
fn info_says_of_codes_and_directions_what_they_fit() {
    let folder = tempfile::tempdir().unwrap();
    let run = |program: &str| {
        let o = eval(folder.path(), "faces", program);
        assert_eq!(code(&o), 0, "{program}: {}", text(&o.stderr));
    };
    run("save(direction(\"smile\", space: W), \"smile.pt\"); \
         save(sample(seed: 1, space: W), \"w.safetensors\"); \
         save(to(W+, sample(seed: 1)), \"w.npz\")");
    let fit = |facts: &serde_json::Value| {
        let all = facts["fits"].as_array().unwrap();
        all.iter().find(|f| f["generator"] == "faces").cloned().unwrap_or_default()
    };
    let facts = said(folder.path(), &["smile.pt"]);
    assert!(facts["norm"].as_f64().unwrap() > 0.0 && facts["loads"] == true, "{facts}");
    assert!(fit(&facts)["spaces"].as_array().unwrap().contains(&"W".into()), "{facts}");
    let facts = said(folder.path(), &["w.safetensors"]);
    assert_eq!((&facts["kind"], &facts["space"]), (&"code".into(), &"W".into()), "{facts}");
    assert_eq!(fit(&facts)["named"], true);
    let facts = said(folder.path(), &["w.npz"]);
    assert_eq!(fit(&facts)["spaces"], serde_json::json!(["W+"]), "{facts}");
    let words = text(&gannet(folder.path(), &["info", "w.npz"]).stdout);
    assert!(words.contains("faces as W+"), "{words}");
    // Of another size, it fits none.
    tensors(&folder.path().join("x.safetensors"), &[("age", &[1, 77])]);
    let facts = said(folder.path(), &["x.safetensors"]);
    assert_eq!(facts["fits"], serde_json::json!([]), "{facts}");
}

#[test]
fn codes_and_directions_come_back_from_files_of_other_programs() {
    let folder = tempfile::tempdir().unwrap();
    let program = "w = sample(seed: 1, space: W+)\n\
        d = direction(\"smile\", space: W)\n\
        save(w, \"w.npy\"); save(w, \"w.npz\"); save(w, \"w.pt\")\n\
        save(d, \"d.npy\"); save(d, \"d.npz\"); save(d, \"d.pt\")\n\
        save([d, direction(\"age\", space: W)], \"two.pt\")\n";
    std::fs::write(folder.path().join("a.gnt"), program).unwrap();
    let o = gannet(folder.path(), &["--model", "toy", "run", "a.gnt"]);
    assert_eq!(code(&o), 0, "{}", text(&o.stderr));
    let mut again =
        "w = sample(seed: 1, space: W+)\nd = direction(\"smile\", space: W)\n".to_owned();
    for ending in ["npy", "npz", "pt"] {
        again += &format!(
            "print(norm(latent(\"w.{ending}\", space: W+) - w))\n\
             print(norm(direction(\"d.{ending}\", space: W) - d) < 0.000001)\n"
        );
    }
    again += "print(norm(direction(\"two.pt\", space: W, key: \"smile\") - d) < 0.000001)\n";
    std::fs::write(folder.path().join("b.gnt"), again).unwrap();
    let o = gannet(folder.path(), &["--model", "toy", "run", "b.gnt"]);
    assert_eq!(code(&o), 0, "{}", text(&o.stderr));
    assert_eq!(text(&o.stdout), "0\ntrue\n0\ntrue\n0\ntrue\ntrue\n");
    let noted = text(&o.stderr);
    assert_eq!(
        noted.matches("the file names no generator; taken as one of toy").count(),
        7,
        "{noted}"
    );
    // A direction that is known in several spaces does not fit in one array.
    let o = eval(folder.path(), "toy", "save(direction(\"smile\"), \"all.npy\")");
    assert_eq!(code(&o), 1);
    assert!(text(&o.stderr).contains("space: W"), "{}", text(&o.stderr));
    // Converted between these formats, with the same numbers.
    for (from, to) in [("d.pt", "e.npy"), ("e.npy", "f.npz"), ("two.pt", "two.npz")] {
        let o = gannet(folder.path(), &["convert", from, to]);
        assert_eq!(code(&o), 0, "{from}: {}", text(&o.stderr));
    }
    let o = gannet(folder.path(), &["convert", "two.pt", "two.npy"]);
    assert_eq!(code(&o), 2);
    assert!(text(&o.stderr).contains("npz"), "{}", text(&o.stderr));
    assert!(!folder.path().join("two.npy").exists());
}

#[test]
fn a_generator_is_converted_for_pytorch_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/pkl/p4_32_gray.pkl");
    let pkl = root.to_str().unwrap();
    let steps: [&[&str]; 3] = [
        &["convert", pkl, "g.pt", "--to", "nvidia"],
        &["convert", "g.pt", "h.safetensors"],
        &["convert", "h.safetensors", "i.pt"],
    ];
    for step in steps {
        let o = gannet(folder.path(), step);
        assert_eq!(code(&o), 0, "{step:?}: {}", text(&o.stderr));
    }
    let facts = said(folder.path(), &["g.pt"]);
    assert_eq!((&facts["family"], &facts["resolution"]), (&"stylegan2".into(), &32.into()));
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert!(read("g.pt").len() > 1000 && read("i.pt").len() > 1000);
    for (args, hint) in [
        (&["convert", pkl, "g.npy"][..], "safetensors"),
        (&["convert", pkl, "g.pt", "--to", "keras"], "nvidia"),
        (&["convert", pkl, "g.onnx"], "safetensors"),
    ] {
        let o = gannet(folder.path(), args);
        assert_eq!(code(&o), 2, "{args:?}");
        assert!(text(&o.stderr).contains(hint), "{}", text(&o.stderr));
    }
}

#[test]
fn models_lists_what_there_is_and_get_verifies_what_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = folder.path().join("my models");
    std::fs::create_dir(&shelf).unwrap();
    let run = |args: &[&str]| gannet(folder.path(), args);
    // The command, on one line; nothing is fetched.
    let o = run(&["models", "get", "random-face"]);
    assert_eq!((code(&o), text(&o.stdout).lines().count()), (0, 1), "{}", text(&o.stderr));
    assert!(text(&o.stdout).starts_with("pip download --no-deps"), "{}", text(&o.stdout));
    let o = run(&["models", "get", "nothing"]);
    assert!(code(&o) == 2 && text(&o.stderr).contains("catalogue"), "{}", text(&o.stderr));
    // What arrived is not what it should be: a web page, then another generator.
    let pkl = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/pkl/p4_32_gray.pkl");
    std::fs::write(folder.path().join("ffhq.pkl"), "<html>sign in</html>").unwrap();
    let o = run(&["models", "get", "ada-ffhq"]);
    assert!(code(&o) == 1 && text(&o.stderr).contains("web page"), "{}", text(&o.stderr));
    std::fs::copy(&pkl, folder.path().join("ffhq.pkl")).unwrap();
    let o = run(&["models", "get", "ada-ffhq"]);
    assert!(code(&o) == 1 && text(&o.stderr).contains("32×32"), "{}", text(&o.stderr));
    assert!(folder.path().join("ffhq.pkl").exists() && !shelf.join("ffhq.pkl").exists());
    // A checkpoint in the folder is listed, described and loaded by its name.
    std::fs::copy(&pkl, shelf.join("gray.pkl")).unwrap();
    std::fs::write(shelf.join("LICENSE.txt"), "free").unwrap();
    let o = run(&["models", "--json"]);
    let lines: Vec<serde_json::Value> =
        text(&o.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let yours: Vec<_> = lines.iter().filter(|l| !l["yours"].is_null()).collect();
    assert_eq!(yours.len(), 1);
    assert_eq!((&yours[0]["kind"], &yours[0]["width"]), (&"generator".into(), &32.into()));
    assert!(lines.iter().filter(|l| !l["public"].is_null()).count() >= 60);
    assert!(text(&run(&["models"]).stdout).contains("gray.pkl: stylegan2, 32×32 px, 1 channel"));
    let o = run(&["--model", "gray", "eval", "print(1)"]);
    assert_eq!((code(&o), text(&o.stdout)), (0, "1\n".into()), "{}", text(&o.stderr));
}

#[test]
fn export_runs_what_has_no_result_and_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("look.gnt"), text).unwrap();
    let export = |more: &[&str]| {
        let all = ["--model", "toy", "export", "look.gnt", "-o", "look.html"];
        gannet(folder.path(), &[&all, more].concat())
    };
    let report = || std::fs::read_to_string(folder.path().join("look.html")).unwrap();
    write("#%% md\n# Look\n\n#%%\na = sample(seed: 1)\nshow a\n\n#%%\nshow a\n");

    let o = export(&[]);
    assert_eq!(code(&o), 0, "{}", text(&o.stderr));
    assert!(text(&o.stderr).contains("--run"), "{}", text(&o.stderr));
    assert!(report().contains("has not run") && !report().contains("data:image/png"));

    let o = export(&["--run"]);
    assert_eq!((code(&o), text(&o.stderr)), (0, String::new()));
    assert!(report().contains("data:image/png") && !report().contains("has not run"));
    // Kept beside the notebook, for a later export and for the screen.
    assert_eq!((code(&export(&[])), report().contains("data:image/png")), (0, true));

    // A cell that fails is in the report, and in the exit code.
    write("#%%\nprint(1)\n\n#%%\nassert 1 > 2\n\n#%%\nprint(3)\n");
    let o = export(&["--run"]);
    assert_eq!(code(&o), 1);
    assert!(text(&o.stderr).contains("cell 2, 3"), "{}", text(&o.stderr));
    assert!(report().contains("does not hold"));
}

#[test]
fn info_names_encoders_and_recognisers_and_says_how_to_use_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.bin");
    let one: &[usize] = &[2, 2];
    let told = |names: &[&str]| {
        tensors(&path, &names.iter().map(|n| (*n, one)).collect::<Vec<_>>());
        let facts = said(folder.path(), &["net.bin"]);
        ["kind", "what", "try"].map(|key| facts[key].as_str().unwrap().to_owned())
    };
    let body = ["input_layer.0.weight", "body.0.res_layer.1.weight", "styles.0.convs.0.weight"];
    let below = |more: &[&str]| -> Vec<String> {
        let all = body.iter().chain(more);
        all.map(|name| format!("state_dict.encoder.{name}")).collect()
    };
    let named = |all: Vec<String>| told(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let [kind, what, repair] = named(below(&["latlayer1.weight"]));
    assert!(kind == "encoder" && what.contains("encoder of pSp") && what.contains("e4e"), "{what}");
    assert!(repair.contains("encoder: "), "{repair}");
    let [_, what, _] = named(below(&[]));
    assert!(what.contains("ReStyle"), "{what}");
    let [kind, _, repair] = told(&["input_layer.0.weight", "body.0.res_layer.0.weight"]);
    assert!(kind == "face-recognition" && repair.contains("identity_net"), "{repair}");
    let faces = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/faces");
    for (name, words) in [
        ("encoder", "the encoder of a generator"),
        ("residual", "the feature-residual network of a generator"),
        ("hyper", "the hypernetwork of a generator"),
    ] {
        let file = faces.join(format!("{name}.safetensors"));
        let facts = said(folder.path(), &[file.to_str().unwrap()]);
        assert_eq!(
            (&facts["kind"], &facts["what"]),
            (&name.into(), &format!("this is {words}").into())
        );
        assert!(facts["try"].as_str().unwrap().contains(&format!("people.{name}.safetensors")));
    }
}

#[test]
fn an_encoder_is_fitted_beside_its_model_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let pkl = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/pkl/p4_32_gray.pkl");
    let o = gannet(folder.path(), &["convert", pkl.to_str().unwrap(), "people.safetensors"]);
    assert_eq!(code(&o), 0, "{}", text(&o.stderr));
    let fit = ["fit", "encoder", "people.safetensors", "--samples", "32", "--steps", "0"];
    let o = gannet(folder.path(), &[&fit[..], &["--json"]].concat());
    assert_eq!(code(&o), 0, "{}", text(&o.stderr));
    let table: serde_json::Value = serde_json::from_str(&text(&o.stdout)).unwrap();
    assert!(table["type"] == "Table" && text(&o.stdout).contains("mean code"), "{table}");
    let info = said(folder.path(), &["people.safetensors"]);
    let words = info["encoder"].as_str().unwrap();
    assert!(words.starts_with("people.encoder.safetensors: regression, "), "{words}");
    assert!(words.contains("dB") && !words.contains("refused"), "{words}");
    // Into a file of one's own; what is there and is no such encoder stays.
    let own = gannet(folder.path(), &[&fit[..], &["--out", "own.encoder.safetensors"]].concat());
    assert_eq!(code(&own), 0, "{}", text(&own.stderr));
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert!(bytes("own.encoder.safetensors") == bytes("people.encoder.safetensors"));
    std::fs::write(folder.path().join("other.safetensors"), "x").unwrap();
    let o = gannet(folder.path(), &[&fit[..], &["--out", "other.safetensors"]].concat());
    assert!(code(&o) == 1 && text(&o.stderr).contains("is there"), "{}", text(&o.stderr));
    assert_eq!(bytes("other.safetensors"), b"x");
    let o = gannet(folder.path(), &[&fit[..], &["--minutes", "1"]].concat());
    assert_eq!(code(&o), 2, "minutes and steps");
}
