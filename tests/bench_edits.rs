//! `gannet bench edits` and `bench inversions` as commands: a folder of people is the input, rows
//! are the output.
#![cfg(test)]

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn gannet(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gannet"))
        .args(args)
        .current_dir(folder)
        .env("GANNET_STATE", folder.join("state"))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Writes a bundle `m`: a small generator and one calibrated direction in W.
fn bundle(folder: &Path) {
    std::fs::create_dir(folder.join("m")).unwrap();
    let pkl = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/pkl/p4_32_gray.pkl");
    let o = gannet(folder, &["convert", pkl.to_str().unwrap(), "m/generator.safetensors"]);
    assert!(o.status.success(), "{}", text(&o.stderr));
    let o = gannet(folder, &["info", "m/generator.safetensors", "--json"]);
    let facts: Value = serde_json::from_slice(&o.stdout).unwrap();
    let dim = facts["w_dim"].as_u64().unwrap() as usize;
    let told = json!({"smile": {"attribute": "smile", "unit": "0 to 1", "per_step": 0.25}});
    let manifest =
        json!({"format": 1, "family": "directions", "config": {"space": "W", "directions": told}});
    let header = json!({
        "__metadata__": {"gannet": manifest.to_string()},
        "smile": {"dtype": "F32", "shape": [dim], "data_offsets": [0, 4 * dim]},
    });
    let mut header = header.to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    (0..dim).for_each(|i| bytes.extend((0.1 * (i as f32).sin()).to_le_bytes()));
    std::fs::write(folder.join("m/directions.safetensors"), bytes).unwrap();
}

/// Writes a folder `d` of two people. `smiling` is a step away from the base; `beard` is an edit
/// without a direction.
fn people(folder: &Path) {
    std::fs::create_dir(folder.join("d")).unwrap();
    let mut labels = String::new();
    for id in 1..=2 {
        let code = format!(
            "s = sample(seed: {id}); save(s, \"{id}_base.png\"); save(s + \
             direction(\"smile\"), \"{id}_smiling.png\"); \
                            save(s, \"{id}_beard.png\")"
        );
        let o = gannet(folder, &["--model", "m", "eval", &code, "--out", "d"]);
        assert!(o.status.success(), "{}", text(&o.stderr));
        for (edit, smile, beard) in [("base", 0.5, 0), ("smiling", 0.75, 0), ("beard", 0.5, 1)] {
            let file = format!("{id}_{edit}.png");
            labels += &format!(
                "{}\n",
                json!({"id": id, "edit": edit, "file": file, "smile": smile, "beard": beard})
            );
        }
    }
    std::fs::write(folder.join("d/pairs_0.jsonl"), labels).unwrap();
    let script = "cd d && tar --format=ustar -cf pairs_0.tar *.png && gzip pairs_0.jsonl";
    assert!(
        Command::new("sh").args(["-c", script]).current_dir(folder).status().unwrap().success()
    );
}

#[test]
fn rows_have_the_documented_keys_and_mistakes_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    bundle(folder.path());
    people(folder.path());
    let bench = |args: &[&str]| {
        let all: Vec<&str> = ["--model", "m", "bench", "edits", "--data", "d", "--steps", "2"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        gannet(folder.path(), &all)
    };
    let o = bench(&["--json", "--limit", "1"]);
    assert!(o.status.success(), "{}", text(&o.stderr));
    let rows: Vec<Value> =
        text(&o.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let spaces: Vec<&str> = rows.iter().map(|r| r["space"].as_str().unwrap()).collect();
    assert_eq!(spaces, ["W", "W+"], "one edit has a direction, in every space that it moves");
    for row in &rows {
        let keys: Vec<&str> =
            row.as_object().unwrap().keys().map(String::as_str).take(12).collect();
        let documented = "edit method space n psnr psnr_no_edit psnr_ceiling ssim perceptual \
                          identity leakage seconds";
        assert_eq!(keys.join(" "), documented);
        assert_eq!(
            (&row["edit"], &row["method"], &row["n"], &row["steps"]),
            (&json!("smiling"), &json!("optimize"), &json!(1), &json!(1.0))
        );
        assert!(row["psnr"].is_f64() && row["psnr_ceiling"].is_f64() && row["ssim"].is_f64());
        // The bundle has no attribute network.
        assert!(
            row["perceptual"].is_null() && row["identity"].is_null() && row["leakage"].is_null()
        );
    }
    let o =
        bench(&["--no-ceiling", "--spaces", "W", "--methods", "projector,optimize:conditional"]);
    assert!(o.status.success(), "{}", text(&o.stderr));
    let table = text(&o.stdout);
    for part in [
        "optimize:conditional",
        "projector",
        "no edit",
        "leakage: how far",
        "beard is left out in W",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
    for (args, part) in [
        (&["--edits", "smilling"][..], "did you mean `smiling`?"),
        (&["--edits", "beard"], "no direction"),
        (&["--methods", "hybrid"], "has no encoder"),
        (&["--spaces", "Q"], "Z, W, W+, S"),
        (&["--limit", "0"], "0"),
    ] {
        let o = bench(args);
        assert!(
            o.status.code() == Some(2) && text(&o.stderr).contains(part),
            "{args:?}: {}",
            text(&o.stderr)
        );
        assert!(o.stdout.is_empty());
    }
    let o = gannet(folder.path(), &["bench", "edits", "--data", "m"]);
    assert!(
        o.status.code() == Some(2) && text(&o.stderr).contains("pairs_*.tar"),
        "{}",
        text(&o.stderr)
    );
}

#[test]
fn inversions_are_compared_row_by_row() {
    let folder = tempfile::tempdir().unwrap();
    bundle(folder.path());
    people(folder.path());
    let bench = |model: &str, args: &[&str]| {
        let all: Vec<&str> = ["--model", model, "bench", "inversions", "--data", "d"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        gannet(folder.path(), &all)
    };
    // The toy generator has an encoder and accepts a picture of any size.
    let o = bench(
        "toy",
        &["--json", "--methods", "encoder:3,optimize:2,encoder:1,hybrid:1", "--passes", "2"],
    );
    assert!(o.status.success(), "{}", text(&o.stderr));
    let rows: Vec<Value> =
        text(&o.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let named: Vec<Value> = rows
        .iter()
        .map(|r| json!([r["method"], r["space"], r["steps"], r["passes"], r["n"]]))
        .collect();
    let wanted = json!([
        ["encoder", "W+", 3, 3, 2],
        ["optimize", "W", 2, 0, 2],
        ["optimize", "W+", 2, 0, 2],
        ["encoder", "W+", 1, 1, 2],
        ["hybrid", "W+", 1, 2, 2]
    ]);
    assert_eq!(Value::from(named), wanted);
    for row in &rows {
        let keys: Vec<&str> =
            row.as_object().unwrap().keys().map(String::as_str).take(12).collect();
        assert_eq!(
            keys.join(" "),
            "method space steps n psnr ssim perceptual identity offset nscd seconds memory"
        );
        assert!(
            row["psnr"].is_f64()
                && row["perceptual_se"].is_f64()
                && row["seconds"].as_f64() > Some(0.0),
            "{row}"
        );
        assert_eq!(row["offset"].is_f64(), row["space"] == "W+", "{row}");
    }
    let o = bench(
        "m",
        &["--methods", "projector:1,optimize:1", "--spaces", "W", "--limit", "1", "--quiet"],
    );
    assert!(o.status.success() && o.stderr.is_empty(), "{}", text(&o.stderr));
    let table = text(&o.stdout);
    for part in ["projector", "percept.", "kept is the best point", "psnr: "] {
        assert!(table.contains(part), "{part}: {table}");
    }
    for (args, part) in [
        (&["--methods", "optimise:100"][..], "did you mean `optimize`"),
        (&["--methods", "optimize:ten"], "a whole number from 0 to"),
        (&["--methods", "encoder:3"], "has no encoder"),
        (&["--spaces", "Q"], "Z, W, W+, S"),
        (&["--passes", "0"], "0"),
    ] {
        let o = bench("m", args);
        assert!(
            o.status.code() == Some(2) && text(&o.stderr).contains(part),
            "{args:?}: {}",
            text(&o.stderr)
        );
        assert!(o.stdout.is_empty());
    }
}
