//! Programs that are kept: imports, `--watch`, `--progress json`, films, and the ready scripts.
#![cfg(test)]

use serde_json::Value as Json;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything, so that a fault does not hold up the tests.
const PATIENCE: Duration = Duration::from_secs(180);

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gannet"));
    command
        .args(args)
        .current_dir(folder)
        .env("GANNET_STATE", folder.join("state"))
        .env("GANNET_CONFIG", folder.join("config"))
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    command
}

fn gannet(folder: &Path, args: &[&str]) -> Output {
    command(folder, &[&["--model", "toy"], args].concat()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn objects(bytes: &[u8]) -> Vec<Json> {
    text(bytes).lines().map(|l| serde_json::from_str(l).unwrap_or_else(|_| panic!("{l}"))).collect()
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

// ---- imports ----

#[test]
fn a_program_imports_from_its_own_folder_and_check_finds_what_is_wrong_there() {
    let f = folder(&[
        (
            "sub/main.gnt",
            "import \"lib.gnt\"\nw = sample(seed: 1)\nprint(norm(moved(w) - w)/unit)\n",
        ),
        (
            "sub/lib.gnt",
            "import \"../base.gnt\"\ndef moved(w) = w + times*smile\nunit = norm(smile)\n",
        ),
        ("base.gnt", "param times = 2\nsmile = direction(\"smile\")\n"),
    ]);
    let run = gannet(f.path(), &["run", "sub/main.gnt", "--set", "times=4"]);
    assert_eq!(
        (run.status.code(), text(&run.stdout).trim()),
        (Some(0), "4"),
        "{}",
        text(&run.stderr)
    );
    let line = gannet(f.path(), &["eval", "import \"sub/lib.gnt\"; print(times)"]);
    assert_eq!(text(&line.stdout), "2\n", "{}", text(&line.stderr));
    std::fs::write(f.path().join("base.gnt"), "times = 2\nsmile = direction(\"smlie\")\n").unwrap();
    for what in ["check", "run"] {
        let o = gannet(f.path(), &["--json", what, "sub/main.gnt"]);
        assert_eq!(o.status.code(), Some(2));
        let found = objects(&o.stdout);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0]["file"].as_str().unwrap().ends_with("base.gnt"), "{}", found[0]);
        assert_eq!((&found[0]["line"], &found[0]["column"]), (&2.into(), &19.into()));
        assert!(text(&o.stderr).contains("imported at sub/main.gnt:1:8"), "{}", text(&o.stderr));
    }
}

#[test]
fn the_init_script_imports_from_its_own_folder() {
    let f = folder(&[
        ("config/init.gnt", "import \"mine.gnt\"\n"),
        ("config/mine.gnt", "def twice(x) = 2*x\n"),
        ("mine.gnt", "def thrice(x) = 3*x\n"),
    ]);
    let mut child = command(f.path(), &["--model", "toy"]);
    let child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let lines = "print(twice(4))\nimport \"mine.gnt\"\nprint(thrice(4))\n";
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), lines.as_bytes()).unwrap();
    let o = child.wait_with_output().unwrap();
    assert_eq!(text(&o.stdout), "8\n12\n", "{}", text(&o.stderr));
}

// ---- progress ----

#[test]
fn progress_for_programs_is_an_object_a_line() {
    let f = folder(&[(
        "p.gnt",
        "x = sample(seed: 3)\nr = invert(x, space: W, steps: 12)\n\nsave(r, \"r.png\")\nassert 1 > 2\n",
    )]);
    let o = gannet(f.path(), &["run", "p.gnt", "--progress", "json", "--out", "out"]);
    assert_eq!(o.status.code(), Some(1));
    let all = objects(&o.stderr);
    let of = |event: &str| all.iter().filter(|o| o["event"] == event).collect::<Vec<_>>();
    let kinds: Vec<&str> = of("begin").iter().map(|o| o["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["binding", "binding", "display", "assert"]);
    let lines: Vec<u64> = of("begin").iter().map(|o| o["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [1, 2, 4, 5]);
    let ends: Vec<bool> = of("end").iter().map(|o| o["ok"].as_bool().unwrap()).collect();
    assert_eq!(ends, [true, true, true, false]);
    let steps = of("progress");
    let last = steps.iter().rfind(|o| o["statement"] == 2).unwrap();
    assert!(last["step"] == last["of"] && last["of"].as_u64() >= Some(12), "{last}");
    assert!(last["loss"].as_f64().unwrap() > 0.0 && last["seconds"].as_f64().unwrap() > 0.0);
    let kinds: Vec<&str> = steps.iter().map(|o| o["kind"].as_str().unwrap()).collect();
    assert!(kinds.starts_with(&["encode W"]) && kinds.ends_with(&["add W"]), "{kinds:?}");
    let errors = of("error");
    assert_eq!((errors.len(), &errors[0]["line"]), (1, &5.into()), "{errors:?}");
    // Results go where they always go.
    assert!(text(&o.stdout).contains("r.png"), "{}", text(&o.stdout));
    let both = gannet(f.path(), &["eval", "1 + 1", "--progress", "json", "--json"]);
    assert_eq!(objects(&both.stdout)[0]["value"], 2.0);
    assert_eq!(objects(&both.stderr).len(), 2);
    let quiet = gannet(f.path(), &["eval", "1", "--progress", "json", "--quiet"]);
    assert_eq!(quiet.status.code(), Some(2));
    // Plain progress stays the default.
    let plain = gannet(f.path(), &["eval", "print(1)"]);
    assert!(plain.stderr.is_empty());
}

// ---- watching ----

/// A running `gannet run --watch --json`.
struct Watching {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Watching {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let args = [&["--model", "toy", "--json", "run", "--watch"], args].concat();
        let mut child = command(folder, &args);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (send, lines) = std::sync::mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        Self { child, lines }
    }

    /// The objects of the next run, from its beginning to its end.
    fn run(&mut self) -> Vec<Json> {
        let mut all = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("a further line");
            let object: Json = serde_json::from_str(&line).unwrap();
            let ends = object["type"] == "Watch" && object.get("code").is_some();
            all.push(object);
            if ends {
                return all;
            }
        }
    }

    /// Ends it as Ctrl-C does: its exit code, and what it said on stderr.
    fn interrupt(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let begun = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
                None => panic!("it does not end"),
            }
        };
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (status.code(), said)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Replaces a file as editors do: a new one is moved into its place.
fn replace(path: &Path, text: &[u8]) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

fn picture(folder: &Path, name: &str, seed: u32) {
    let code = format!("save(sample(seed: {seed}), \"{name}\")");
    assert!(gannet(folder, &["eval", &code]).status.success());
}

#[test]
fn a_watched_program_runs_again_after_each_change_and_after_failures() {
    let f = folder(&[
        (
            "main.gnt",
            "import \"lib.gnt\"\nx = image(\"in.png\", align: none)\nprint(twice(1))\nprint(mse(x, sample(seed: 9)))\n",
        ),
        ("lib.gnt", "def twice(x) = 2*x\n"),
    ]);
    picture(f.path(), "in.png", 1);
    let at = |name: &str| f.path().join(name);
    let mut watching = Watching::start(f.path(), &["main.gnt"]);
    let printed = |run: &[Json]| -> Vec<String> {
        let lines = run.iter().filter(|o| o["type"] == "Print");
        lines.map(|o| o["value"].as_str().unwrap().to_owned()).collect()
    };
    let first = watching.run();
    assert_eq!((&first[0]["run"], &first[0]["changed"]), (&1.into(), &serde_json::json!([])));
    assert_eq!(printed(&first)[0], "2");
    assert_eq!(first.last().unwrap()["code"], 0);
    // An imported file.
    replace(&at("lib.gnt"), b"def twice(x) = 2*x + 1\n");
    let second = watching.run();
    assert_eq!(second[0]["changed"], serde_json::json!(["lib.gnt"]));
    assert_eq!(printed(&second)[0], "3");
    // A program that fails is shown, and watching goes on.
    replace(&at("main.gnt"), b"import \"lib.gnt\"\nprint(twice(nosuch))\n");
    let third = watching.run();
    assert_eq!(third[0]["changed"], serde_json::json!(["main.gnt"]));
    assert!(third.iter().any(|o| o["line"] == 2 && o["ok"] == false), "{third:?}");
    assert_eq!(third.last().unwrap()["code"], 2);
    // What names of earlier runs meant is forgotten.
    replace(&at("main.gnt"), b"print(twice(2))\n");
    assert_eq!(watching.run().last().unwrap()["code"], 2);
    let text = "import \"lib.gnt\"\nx = image(\"in.png\", align: none)\nprint(mse(x, sample(seed: 9)))\nprint(twice(2))\n";
    replace(&at("main.gnt"), text.as_bytes());
    let again = watching.run();
    assert_eq!(printed(&again), [printed(&first)[1].clone(), "5".to_owned()]);
    // A picture that it reads.
    picture(f.path(), "other.png", 2);
    replace(&at("in.png"), &std::fs::read(at("other.png")).unwrap());
    let last = watching.run();
    assert_eq!(last[0]["changed"], serde_json::json!(["in.png"]));
    assert_ne!(printed(&last)[0], printed(&first)[1]);
    let (code, said) = watching.interrupt();
    assert_eq!(code, Some(130));
    assert!(said.contains("nosuch") && said.contains("^^^^^^"), "{said}");
}

#[test]
fn a_change_during_a_run_stops_it_and_what_it_writes_does_not_count() {
    let f = folder(&[("main.gnt", "r = invert(sample(seed: 1), space: W+, steps: 1000000)\n")]);
    let mut watching = Watching::start(f.path(), &["main.gnt", "--progress", "json"]);
    // Until it works.
    let mut said = BufReader::new(watching.child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"progress\"") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it works");
    }
    watching.child.stderr = None;
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    let text = "w = sample(seed: 1)\nsave(w, \"a.png\")\nprint(mse(image(\"a.png\"), w))\n";
    replace(&f.path().join("main.gnt"), text.as_bytes());
    let first = watching.run();
    assert_eq!((&first.last().unwrap()["aborted"], &first[0]["run"]), (&true.into(), &1.into()));
    let second = watching.run();
    assert_eq!(second.last().unwrap()["code"], 0, "{second:?}");
    // The next run comes because of the program, not because of the picture that it wrote.
    replace(&f.path().join("main.gnt"), text.replace("seed: 1", "seed: 2").as_bytes());
    let third = watching.run();
    assert_eq!(
        (&third[0]["run"], &third[0]["changed"]),
        (&3.into(), &serde_json::json!(["main.gnt"]))
    );
}

#[test]
fn without_json_a_watched_program_says_what_changed() {
    let f = folder(&[("main.gnt", "print(1)\n")]);
    let mut child = command(f.path(), &["--model", "toy", "run", "main.gnt", "--watch"]);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "watching main.gnt · Ctrl-C ends");
    replace(&f.path().join("main.gnt"), b"print(2)\n");
    assert_eq!(said.next().unwrap().unwrap(), "── main.gnt changed: run 2");
    assert_eq!(said.next().unwrap().unwrap(), "watching main.gnt · Ctrl-C ends");
    child.kill().unwrap();
    child.wait().unwrap();
    let refused = gannet(f.path(), &["run", "--watch", "-"]);
    assert_eq!(refused.status.code(), Some(2));
}

// ---- films ----

const FILM: &str =
    "path(sample(seed: 1), sample(seed: 2), frames: 5) |> save(\"f.mp4\", fps: 10)\n";

/// A `PATH` that holds nothing but these scripts.
fn private_path(folder: &Path, ffmpeg: Option<&str>) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    if let Some(script) = ffmpeg {
        let program = bin.join("ffmpeg");
        std::fs::write(&program, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    }
    bin
}

#[test]
fn an_mp4_is_written_by_ffmpeg_or_refused_before_anything_runs() {
    let f = folder(&[("film.gnt", &format!("print(1)\n{FILM}"))]);
    let run = |ffmpeg: Option<&str>| {
        let bin = private_path(f.path(), ffmpeg);
        let args = ["--model", "toy", "run", "film.gnt", "--out", "out"];
        command(f.path(), &args).env("PATH", bin).output().unwrap()
    };
    let film = f.path().join("out/f.mp4");
    let none = run(None);
    assert_eq!((none.status.code(), text(&none.stdout)), (Some(2), String::new()));
    let said = text(&none.stderr);
    assert!(said.contains("written by ffmpeg") && said.contains("try: install ffmpeg"), "{said}");
    assert!(said.contains("film.gnt:2:"), "{said}");
    // One that counts the bytes it gets.
    let count = "case $* in *-encoders*) echo ' V libx264'; exit;; esac\nfor film; do :; done\n\
                 wc -c > \"$film\"";
    let fine = run(Some(count));
    assert_eq!(fine.status.code(), Some(0), "{}", text(&fine.stderr));
    let bytes: usize = std::fs::read_to_string(&film).unwrap().trim().parse().unwrap();
    assert!(bytes > 0 && bytes.is_multiple_of(5 * 3), "{bytes}");
    // One that fails: the earlier film stays.
    let fails =
        "case $* in *-encoders*) exit;; esac\ncat > /dev/null\necho 'disk is full' >&2\nexit 1";
    let failed = run(Some(fails));
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("could not write the film: disk is full"));
    assert_eq!(std::fs::read_to_string(&film).unwrap().trim(), bytes.to_string());
    let broken = run(Some("echo no library >&2; exit 127"));
    assert!(text(&broken.stderr).contains("does not run: no library"), "{}", text(&broken.stderr));
}

#[test]
fn the_real_ffmpeg_writes_a_film_that_ffprobe_reads() {
    let has =
        |name: &str| Command::new(name).arg("-version").output().is_ok_and(|o| o.status.success());
    if !has("ffmpeg") || !has("ffprobe") {
        eprintln!("skipped: no ffmpeg and ffprobe");
        return;
    }
    let f = folder(&[("film.gnt", FILM)]);
    let o = gannet(f.path(), &["run", "film.gnt"]);
    assert_eq!(o.status.code(), Some(0), "{}", text(&o.stderr));
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-of", "json", "-show_streams", "-show_format"])
        .arg(f.path().join("f.mp4"))
        .output()
        .unwrap();
    let found: Json = serde_json::from_slice(&probe.stdout).unwrap();
    let stream = &found["streams"][0];
    assert_eq!(
        (&stream["nb_read_frames"], &stream["avg_frame_rate"]),
        (&"5".into(), &"10/1".into())
    );
    assert_eq!((&stream["pix_fmt"], &stream["color_space"]), (&"yuv420p".into(), &"bt709".into()));
    assert!(found["format"]["tags"]["comment"].as_str().unwrap().contains("gannet:seed: 0"));
}

// ---- the ready scripts ----

/// Every ready script with smaller parameters, what it writes, and a word of what it prints.
const READY: &[(&str, &[&str], &[&str], &str)] = &[
    ("attribute_transfer", &["samples=60", "steps=5"], &["transferred.png"], "glasses before:"),
    (
        "batch_report",
        &["steps=5", "folder=models/faces/examples/90001*.jpg"],
        &["report.csv", "sheet.png", "codes-0.safetensors", "codes-1.safetensors"],
        "PSNR in dB: mean",
    ),
    ("compare_spaces", &["steps=20"], &[], "ssim"),
    ("components", &["n=2"], &["components.png", "components.csv"], "component"),
    ("conditional_edit", &[], &["age-and-smile.png"], "what is left of age: 0.99"),
    ("edits", &[], &[], ""),
    ("first", &["steps=20"], &["gannet-out/older.png"], "PSNR"),
    ("first_look", &["n=4"], &["samples.png", "mean.png"], "distance from the mean:"),
    (
        "invert_photo",
        &["steps=5"],
        &["inverted.safetensors", "side-by-side.png", "walk.png", "report.csv"],
        "same person: 0.9",
    ),
    ("morph", &["steps=5", "frames=4", "film=m.apng"], &["m.apng", "stills.png"], ""),
    ("out_of_range", &["steps=5"], &[], "within reach: true"),
    ("style_mix", &["n=2"], &["mixing.png"], ""),
];

fn ready() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let entries = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
    let scripts = entries.filter(|p| p.extension().is_some_and(|e| e == "gnt"));
    let mut all: Vec<(String, String)> = scripts
        .map(|p| {
            let name = p.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(p).unwrap())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn every_ready_script_is_a_page_that_says_how_to_run_it() {
    let all = ready();
    let names: Vec<&str> = all.iter().map(|(name, _)| &name[..]).collect();
    let run: Vec<&str> = READY.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, run, "each script has a line in READY");
    for (name, text) in &all {
        assert!(text.lines().count() <= 60, "{name} is longer than a page");
        assert!(text.lines().all(|l| l.chars().count() <= 110), "{name} has long lines");
        assert!(text.starts_with("# "), "{name} begins with what it does");
        let usage = format!("run scripts/{name}.gnt");
        assert!(!text.contains("param ") || text.contains(&usage), "{name} does not say {usage}");
    }
}

/// Runs the ready scripts of which `which` says so, in a folder that is not the repository.
fn run_ready(which: impl Fn(usize) -> bool) {
    for (k, (name, sets, files, word)) in READY.iter().enumerate() {
        if !which(k) {
            continue;
        }
        let f = folder(&[]);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scripts/{name}.gnt"));
        let mut args = vec!["--quiet", "run", script.to_str().unwrap(), "--out", "out"];
        sets.iter().for_each(|set| args.extend(["--set", set]));
        let o = command(f.path(), &args).output().unwrap();
        assert_eq!(o.status.code(), Some(0), "{name}: {}", text(&o.stderr));
        assert!(text(&o.stdout).contains(word), "{name}: {}", text(&o.stdout));
        for file in *files {
            let size = std::fs::metadata(f.path().join("out").join(file)).map(|m| m.len());
            assert!(size.as_ref().is_ok_and(|n| *n > 0), "{name}: {file}: {size:?}");
        }
    }
}

// In two tests, which run beside each other.
#[test]
fn the_ready_scripts_run_first_half() {
    run_ready(|k| k % 2 == 0);
}

#[test]
fn the_ready_scripts_run_second_half() {
    run_ready(|k| k % 2 == 1);
}
