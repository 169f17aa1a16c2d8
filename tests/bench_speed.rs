//! `gannet bench` as a command: it measures in child processes and prints rows.
#![cfg(test)]

use serde_json::Value;
use std::process::{Command, Output, Stdio};

fn bench(args: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_gannet"))
        .arg("bench")
        .args(args)
        .env("GANNET_STATE", folder.path())
        .env_remove("GANNET_MODEL")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn rows(o: &Output) -> Vec<Value> {
    assert!(o.status.success(), "{}", text(&o.stderr));
    text(&o.stdout).lines().map(|l| serde_json::from_str(l).expect("JSON")).collect()
}

/// The documented keys and the keys that explain them.
const KEYS: &str = "resolution threads batch device dtype forward_ms step_ms gflop ceiling_share \
                    peak_mb kernels \
                    generator work ms_per_image bytes ceiling_gflops seconds seconds_per_image \
                    gain method steps rounds";

#[test]
fn rows_have_the_promised_keys_and_numbers_that_fit_together() {
    let all = rows(&bench(&[
        "--json",
        "--resolution",
        "8",
        "--batch",
        "2",
        "--threads",
        "1",
        "--rounds",
        "2",
    ]));
    // Only the random generator has this resolution; faces and its inversion have another.
    assert_eq!(all.len(), 1);
    let r = &all[0];
    let keys: Vec<&str> = r.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, KEYS.split_whitespace().collect::<Vec<_>>());
    assert_eq!(
        (r["resolution"].as_u64(), r["threads"].as_u64(), r["batch"].as_u64()),
        (Some(8), Some(1), Some(2))
    );
    assert_eq!(
        (r["generator"].as_str(), r["device"].as_str(), r["dtype"].as_str()),
        (Some("official"), Some("cpu"), Some("f32"))
    );
    let number = |key: &str| r[key].as_f64().unwrap_or_else(|| panic!("{key}: {r}"));
    assert!(number("step_ms") > number("forward_ms") && number("forward_ms") > 0.0, "{r}");
    assert!((number("ms_per_image") * 2.0 - number("forward_ms")).abs() < 1e-6);
    let share = number("gflop") / (number("forward_ms") / 1e3) / number("ceiling_gflops");
    assert!((number("ceiling_share") - share).abs() < 1e-6 * share);
    assert_eq!(
        (r["rounds"].as_u64(), r["seconds"].is_null(), r["work"].as_str()),
        (Some(2), true, Some("synthesis"))
    );
}

#[test]
#[cfg(target_os = "linux")]
fn the_peak_is_of_the_row_alone() {
    let mut peaks = Vec::new();
    for r in
        rows(&bench(&["--json", "--only", "official", "--resolution", "16,4", "--rounds", "1"]))
    {
        peaks.push(r["peak_mb"].as_f64());
    }
    let [Some(large), Some(small)] = peaks[..] else {
        return; // a sandbox without the high-water mark: null is the documented value
    };
    // The smaller network runs after the larger one and does not include its memory: 21 million
    // weights fewer.
    assert!(small + 40.0 < large, "{small} {large}");
}

#[test]
fn a_generator_of_ones_own_and_its_inversion_are_measured() {
    let all =
        rows(&bench(&["--model", "toy", "--json", "--only", "model,inversion", "--rounds", "1"]));
    assert_eq!(
        all.iter().map(|r| r["work"].as_str().unwrap()).collect::<Vec<_>>(),
        ["synthesis", "inversion"]
    );
    assert!(all.iter().all(|r| r["generator"] == "toy" && r["resolution"] == 32));
    let inversion = &all[1];
    assert_eq!(
        (inversion["method"].as_str(), inversion["steps"].as_u64()),
        (Some("hybrid"), Some(300))
    );
    assert!(inversion["seconds"].as_f64().unwrap() > 0.0 && inversion["forward_ms"].is_null());
}

#[test]
fn batches_stand_beside_one_picture_at_a_time() {
    let options = [
        "--only",
        "inversion",
        "--methods",
        "encoder:1,optimize:3",
        "--batch",
        "1,3",
        "--rounds",
        "2",
    ];
    let all = rows(&bench(&[&["--model", "toy", "--json"], &options[..]].concat()));
    let of =
        |r: &Value| format!("{} {} ×{}", r["method"].as_str().unwrap(), r["steps"], r["batch"]);
    assert_eq!(
        all.iter().map(of).collect::<Vec<_>>(),
        ["encoder 1 ×1", "encoder 1 ×3", "optimize 3 ×1", "optimize 3 ×3"]
    );
    for pair in all.chunks(2) {
        let each = |r: &Value| r["seconds_per_image"].as_f64().unwrap();
        assert!((each(&pair[1]) * 3.0 - pair[1]["seconds"].as_f64().unwrap()).abs() < 1e-9);
        let gain = pair[1]["gain"].as_f64().unwrap();
        assert!(
            (gain - each(&pair[0]) / each(&pair[1])).abs() < 1e-9 && pair[0]["gain"].is_null(),
            "{pair:?}"
        );
    }
}

#[test]
fn people_get_a_table_that_explains_itself() {
    let o = bench(&["--only", "official", "--resolution", "4", "--rounds", "1", "--quiet"]);
    assert!(o.status.success(), "{}", text(&o.stderr));
    let said = text(&o.stdout);
    for part in ["forward ms", "step ms", "official", "Winograd", "frozen"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn mistakes_are_answered() {
    let complaint = |args: &[&str]| {
        let o = bench(args);
        assert_eq!((o.status.code(), o.stdout.is_empty()), (Some(2), true), "{args:?}");
        text(&o.stderr).to_owned()
    };
    assert!(complaint(&["--resolution", "96"]).contains("power of two"));
    assert!(complaint(&["--resolution", "64", "--only", "inversion"]).contains("--resolution 128"));
    assert!(complaint(&["--batch", "2", "edits", "--data", "."]).contains("--batch"));
    assert!(complaint(&["--batch", "0"]).contains("--batch"));
    assert!(complaint(&["--only", "people"]).contains("inversion"));
    assert!(complaint(&["--only", "model", "--methods", "hybrid"]).contains("--only inversion"));
    assert!(complaint(&["--methods", "hybird:3"]).contains("did you mean `hybrid`?"));
    // The other benchmarks still have their own options.
    assert!(complaint(&["edits"]).contains("--data"));
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_it_with_what_is_whole() {
    use std::io::{BufRead, BufReader, Read};
    let mut child = Command::new(env!("CARGO_BIN_EXE_gannet"))
        .args(["bench", "--json", "--only", "official", "--resolution", "4", "--rounds", "100000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // By the second round, one row is complete.
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    let round =
        |line: &str| line.split_once("round ")?.1.split_whitespace().next()?.parse::<usize>().ok();
    while round(&line).is_none_or(|n| n < 2) {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "no progress");
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let o = child.wait_with_output().unwrap();
    assert_eq!(o.status.code(), Some(130), "{rest}");
    let row: Value = serde_json::from_slice(&o.stdout).unwrap();
    assert!(row["rounds"].as_u64().unwrap() > 0 && rest.contains("stopped after"), "{row} {rest}");
}
