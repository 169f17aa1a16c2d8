//! The program as users run it: exit codes, pipes, files, and reproducible bytes.
#![cfg(test)]

use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = "\
param strength = 2\n\
x = sample(seed: 3)\n\
r = invert(x, space: W+, steps: 25)\n\
pure = direction(\"smile\") | [direction(\"age\"), direction(\"glasses\")]\n\
edit = r + strength*pure\n\
save(edit, \"edit.png\")\n\
save(edit, \"edit.safetensors\")\n\
save(r, \"code.npy\")\n\
save(pure, \"pure.safetensors\")\n\
path(r, edit, frames: 4) |> save(\"morph.gif\")\n\
print(psnr(x, r))\n";

fn gannet(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gannet"))
        .args(["--model", "toy"])
        .args(args)
        .current_dir(folder)
        .env("GANNET_STATE", folder.join("state"))
        .env("GANNET_CACHE", "off")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn code(o: &Output) -> i32 {
    o.status.code().expect("not killed by a signal")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn the_same_script_gives_the_same_bytes_whatever_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("edit.gnt"), PROGRAM).unwrap();
    let mut first: Option<Vec<(String, Vec<u8>)>> = None;
    for (run, threads) in ["1", "2", "4", "2"].iter().enumerate() {
        let out = format!("out{run}");
        let o = gannet(folder.path(), &["run", "edit.gnt", "--out", &out, "--threads", threads]);
        assert_eq!(code(&o), 0, "{}", text(&o.stderr));
        let names = ["edit.png", "edit.safetensors", "code.npy", "pure.safetensors", "morph.gif"];
        let files =
            names.map(|n| (n.to_owned(), std::fs::read(folder.path().join(&out).join(n)).unwrap()));
        match &first {
            None => first = Some(files.into()),
            Some(f) => {
                for (a, b) in f.iter().zip(&files) {
                    assert!(a.1 == b.1, "{} differs at {threads} threads", a.0);
                }
            }
        }
    }
    // Another seed gives other bytes, so the comparison above can fail.
    let o = gannet(folder.path(), &["run", "edit.gnt", "--out", "other", "--set", "strength=3"]);
    assert_eq!(code(&o), 0);
    assert_ne!(std::fs::read(folder.path().join("other/edit.png")).unwrap(), first.unwrap()[0].1);
}

#[test]
fn exit_codes_are_those_of_the_manual() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], i32); 8] = [
        (&["eval", "print(1)"], 0),
        (&["eval", "assert 1 > 2"], 1),
        (&["eval", "print(1/norm(mean_w() - mean_w()))"], 1),
        (&["eval", "sample() + 1"], 2),
        (&["eval", "print(1)", "--bogus"], 2),
        (&["run", "missing.gnt"], 2),
        (&["eval", "param a = 1", "--set", "b=2"], 2),
        (&["info", "missing.pkl"], 2),
    ];
    for (args, wanted) in cases {
        let o = gannet(folder.path(), args);
        assert_eq!(code(&o), wanted, "{args:?}: {}", text(&o.stderr));
        assert_eq!(o.stderr.is_empty(), wanted == 0, "{args:?}");
    }
}

#[test]
fn check_underlines_every_mistake_and_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let program = "save(sample(), \"ran.png\")\nz = sample(space: Z)\nshow z + \
                   direction(\"smile\", space: W)\nshow z[20]\n\
                   shwo(z)\nx = image(\"none.jpg\")\n";
    std::fs::write(folder.path().join("bad.gnt"), program).unwrap();
    for command in ["check", "run"] {
        let o = gannet(folder.path(), &[command, "bad.gnt"]);
        assert_eq!(code(&o), 2);
        let errors = text(&o.stderr);
        assert_eq!(errors.matches("error: ").count(), 4, "{errors}");
        assert_eq!(errors.matches("try: ").count(), 4, "{errors}");
        assert!(errors.contains("^^^^"), "{errors}");
        assert!(
            !folder.path().join("ran.png").exists(),
            "nothing runs before the whole program is right"
        );
    }
    // Applies two of the hints.
    std::fs::write(
        folder.path().join("good.gnt"),
        "z = sample(space: Z)\nshow to(W, z) + direction(\"smile\", space: W)\n",
    )
    .unwrap();
    assert_eq!(code(&gannet(folder.path(), &["check", "good.gnt"])), 0);
}

#[test]
fn a_picture_of_a_batch_is_chosen_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let program = "c = sample(n: 2, seed: 7)\nx = render(c)\nprint(mae(x[1], [render(one) for one \
                   in c][1]))\n\
                   save(x[0..2], \"{i}.png\")\n";
    std::fs::write(folder.path().join("batch.gnt"), program).unwrap();
    assert_eq!(code(&gannet(folder.path(), &["check", "batch.gnt"])), 0);
    let o = gannet(folder.path(), &["eval", program, "--out", "."]);
    assert_eq!(
        (code(&o), text(&o.stdout).as_str()),
        (0, "0\n./0.png\n./1.png\n"),
        "{}",
        text(&o.stderr)
    );
    let refused = gannet(folder.path(), &["eval", "render(sample(n: 2))[0.5]"]);
    assert_eq!(code(&refused), 2);
    assert!(
        text(&refused.stderr).contains("pictures are whole numbers from 0"),
        "{}",
        text(&refused.stderr)
    );
}

/// `gannet eval` with a limit of `work` seconds of processor time, after which the system sends
/// SIGXCPU. The limit applies to the work rather than the clock, which other processes influence.
/// Only a hanging process takes a minute.
fn eval_within(folder: &Path, work: u32, code: &str) -> (ExitStatus, String) {
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -S -t $1 && exec \"$0\" --model toy eval \"$2\" --out ."])
        .args([env!("CARGO_BIN_EXE_gannet"), &work.to_string(), code])
        .current_dir(folder)
        .env("GANNET_STATE", folder.join("state"))
        .env("GANNET_CACHE", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).map(|_| text)
    });
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        if let Some(status) = child.try_wait().unwrap() {
            return (status, reader.join().unwrap().unwrap());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("hangs: {code}");
}

#[test]
fn bombs_are_refused_before_they_allocate() {
    let folder = tempfile::tempdir().unwrap();
    for bomb in [
        "sample(n: 100000, space: W+) |> render()",
        "[i for i in 0..1000000000]",
        "def f(x) = f(x)\nf(1)",
        // Values that are small in memory but endless to traverse.
        &format!("x = [1, 2]\n{}x", "x = [x, x]\n".repeat(22)),
        &format!("x = [1, 2]\n{}print(x)", "x = [[x, 1], x, [x]]\n".repeat(22)),
        &format!("x = sample()\n{}save(x, \"x.png\")", "x = [x, x]\n".repeat(40)),
        &format!("t = \"ab\"\n{}print(t)", "t = t + t\n".repeat(40)),
        &format!("x = []\n{}info(x)", "x = [x]\n".repeat(500)),
    ] {
        let (status, errors) = eval_within(folder.path(), 5, bomb);
        assert!(matches!(status.code(), Some(1 | 2)), "{bomb}: {status} {errors}");
        assert_eq!(
            (errors.matches("error: ").count(), errors.matches("try: ").count()),
            (1, 1),
            "{bomb}: {errors}"
        );
    }
    // The limit is checked as soon as it is passed.
    let (status, errors) =
        eval_within(folder.path(), 1, "invert(sample(), method: optimize, steps: 100000)");
    assert!(status.to_string().contains("SIGXCPU"), "{status} {errors}");
}

#[test]
fn pictures_never_go_into_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let o = gannet(folder.path(), &["eval", "sample(n: 2)", "--out", "p"]);
    assert_eq!(code(&o), 0);
    assert!(!o.stdout.contains(&0x1b), "no escape sequence in a pipe");
    let pictures: Vec<_> = std::fs::read_dir(folder.path().join("p")).unwrap().collect();
    assert_eq!(pictures.len(), 2);
    assert!(text(&o.stdout).contains("sample-n-2-2.png"));
}

#[test]
fn json_is_one_object_a_line_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let o = gannet(
        folder.path(),
        &["eval", "sample(); psnr(sample(), sample(seed: 1)); print(3); info()", "--json"],
    );
    assert_eq!((code(&o), o.stderr.len()), (0, 0));
    let lines = text(&o.stdout);
    let types: Vec<String> = lines
        .lines()
        .map(|l| {
            serde_json::from_str::<serde_json::Value>(l).unwrap()["type"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(types, ["Latent", "Number", "Print", "Table"]);
    for args in [&["info", "toy", "--json"][..], &["doctor", "--json"], &["models", "--json"]] {
        let o = gannet(folder.path(), args);
        assert_eq!(code(&o), 0, "{args:?}");
        assert!(
            text(&o.stdout).lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()),
            "{args:?}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let script = "\"$0\" --model toy eval '[print(i) for i in 1..20000]; show 1, 2' | head -1; \
                  exit ${PIPESTATUS[0]}";
    let o = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_gannet")])
        .current_dir(folder.path())
        .env("GANNET_CACHE", "off")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(code(&o), 0, "{}", text(&o.stderr));
    assert_eq!(text(&o.stdout), "1\n");
}

#[test]
fn info_and_convert_keep_the_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/pkl/p4_32_gray.pkl");
    let pkl = root.to_str().unwrap();
    let keys = [
        "family",
        "resolution",
        "z_dim",
        "w_dim",
        "c_dim",
        "num_ws",
        "parameters",
        "dtype",
        "spaces",
        "sha256",
    ];
    let info = |model: &str| {
        let o = gannet(folder.path(), &["info", model, "--json"]);
        assert_eq!(code(&o), 0, "{}", text(&o.stderr));
        let facts: serde_json::Value = serde_json::from_slice(&o.stdout).unwrap();
        for key in keys {
            assert!(!facts[key].is_null(), "{model}: {key}: {facts}");
        }
        facts
    };
    info("faces");
    let facts = info(pkl);
    assert_eq!((facts["resolution"].as_u64(), facts["num_ws"].as_u64()), (Some(32), Some(8)));
    assert_eq!(code(&gannet(folder.path(), &["convert", pkl, "g.safetensors"])), 0);
    let print = |model: &str| {
        let o = gannet(folder.path(), &["eval", "info()", "--json", "--model", model]);
        let table: serde_json::Value = serde_json::from_slice(&o.stdout).unwrap();
        let row = |r: &&serde_json::Value| r["what"] == "fingerprint";
        table["rows"].as_array().unwrap().iter().find(row).unwrap()["value"].clone()
    };
    assert_eq!(print(pkl), print("g.safetensors"));
}

/// Labels from a file are what a class is in numbers; what does not fit is said before it runs.
#[test]
fn labels_come_from_a_file_or_a_class() {
    let folder = tempfile::tempdir().unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference/stylegan3/sg3_r_32_c3.pkl")
        .to_string_lossy()
        .into_owned();
    let npy = |name: &str, shape: &str, numbers: &[f32]| {
        let head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let head = format!("{head:<117}\n");
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        bytes.extend_from_slice(head.as_bytes());
        numbers.iter().for_each(|v| bytes.extend_from_slice(&v.to_le_bytes()));
        std::fs::write(folder.path().join(name), bytes).unwrap();
    };
    npy("one.npy", "(3,)", &[0.0, 1.0, 0.0]);
    npy("two.npy", "(2, 3)", &[0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    npy("wide.npy", "(4,)", &[0.0; 4]);
    let eval = |code: &str| gannet(folder.path(), &["eval", code, "--model", &model]);
    for equal in [
        "assert norm(sample(class: 1) - sample(labels: \"one.npy\")) == 0",
        "a = sample(n: 2, class: [1, 2]); b = sample(n: 2, labels: \"two.npy\"); \
         assert mse(render(a), render(b)) == 0",
        "assert norm(sample(class: 1) - sample(class: 2)) > 0",
        "assert mse(render(sample(space: Z, class: 1)), render(sample(labels: \"one.npy\"))) == 0",
    ] {
        let o = eval(equal);
        assert_eq!(code(&o), 0, "{equal}: {}", text(&o.stderr));
    }
    for (wrong, exit, words) in [
        ("sample(labels: \"wide.npy\")", 1, "it reads [3]"),
        ("sample(n: 3, labels: \"two.npy\")", 1, "for 3 codes"),
        ("sample(class: 0, labels: \"one.npy\")", 1, "both `class` and `labels`"),
        ("sample(labels: \"no.npy\")", 2, "there is no file no.npy"),
        ("invert(sample(class: 0), labels: \"no.npy\")", 2, "there is no file no.npy"),
        ("sample()", 2, "conditional on 3"),
    ] {
        let o = eval(wrong);
        assert_eq!(code(&o), exit, "{wrong}: {}", text(&o.stderr));
        assert!(text(&o.stderr).contains(words), "{wrong}: {}", text(&o.stderr));
    }
}

#[test]
fn a_hostile_pickle_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    // Protocol 4: STACK_GLOBAL of os.system, called with a text, as in a malicious checkpoint.
    let mut bytes = b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0btouch owned\x85R.".to_vec();
    std::fs::write(folder.path().join("evil.pkl"), &bytes).unwrap();
    let o = gannet(folder.path(), &["info", "evil.pkl"]);
    assert_eq!(code(&o), 1);
    let error = text(&o.stderr);
    assert!(
        error.contains("evil.pkl") && error.contains("byte") && error.contains("os.system"),
        "{error}"
    );
    assert!(!folder.path().join("owned").exists());
    bytes.truncate(9);
    std::fs::write(folder.path().join("cut.pkl"), &bytes).unwrap();
    assert_eq!(code(&gannet(folder.path(), &["info", "cut.pkl"])), 1);
}

#[test]
fn fmt_is_stable_and_check_tells() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.gnt");
    std::fs::write(&file, "w=sample(  seed:1 );show  w # two\n").unwrap();
    assert_eq!(code(&gannet(folder.path(), &["fmt", "--check", "a.gnt"])), 1);
    assert_eq!(code(&gannet(folder.path(), &["fmt", "a.gnt"])), 0);
    let once = std::fs::read_to_string(&file).unwrap();
    assert_eq!(once, "w = sample(seed: 1)\nshow w  # two\n");
    assert_eq!(code(&gannet(folder.path(), &["fmt", "--check", "a.gnt"])), 0);
}

#[test]
fn the_shortcut_inverts_and_saves() {
    let folder = tempfile::tempdir().unwrap();
    let o = gannet(folder.path(), &["eval", "save(sample(seed: 2), \"me.png\")"]);
    assert_eq!(code(&o), 0);
    let o =
        gannet(folder.path(), &["invert", "me.png", "--space", "W", "--steps", "20", "--out", "o"]);
    assert_eq!(code(&o), 0, "{}", text(&o.stderr));
    assert!(
        folder.path().join("o/me.png").is_file()
            && folder.path().join("o/me.safetensors").is_file()
    );
    assert!(text(&o.stdout).contains("PSNR"));
    let o = gannet(folder.path(), &["compare", "me.png", "o/me.png"]);
    assert!(code(&o) == 0 && text(&o.stdout).contains("ssim"), "{}", text(&o.stderr));
}

#[test]
fn a_stopped_inversion_of_the_shortcut_shows_no_program() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(code(&gannet(folder.path(), &["eval", "save(sample(seed: 2), \"me.png\")"])), 0);
    let mut child = Command::new(env!("CARGO_BIN_EXE_gannet"))
        .args(["--model", "toy", "invert", "me.png", "--steps", "900000", "--out", "o"])
        .current_dir(folder.path())
        .env("GANNET_STATE", folder.path().join("state"))
        .env("GANNET_CACHE", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Progress says that the search has begun.
    let (mut said, mut byte) = (Vec::new(), [0]);
    let mut stderr = child.stderr.take().unwrap();
    while !said.ends_with(b"invert W") && stderr.read(&mut byte).unwrap() == 1 {
        said.push(byte[0]);
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    stderr.read_to_end(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let said = text(&said);
    assert!(said.contains("the best so far") && !said.contains("invert("), "{said}");
}

#[test]
fn pictures_of_other_sizes_are_compared_in_the_size_of_the_target() {
    let folder = tempfile::tempdir().unwrap();
    let save = "x = sample(seed: 2); save(x, \"me.png\"); y = image(\"me.png\", size: 48); \
                save(y, \"small.png\")";
    assert_eq!(code(&gannet(folder.path(), &["eval", save])), 0);
    let compared = |options: &[&str]| {
        let o = gannet(folder.path(), &[&["compare", "me.png", "small.png"], options].concat());
        assert_eq!(code(&o), 0, "{}", text(&o.stderr));
        text(&o.stdout)
    };
    let scaled = compared(&[]);
    let line = "picture: 48×48, scaled to the 32×32 of the target";
    assert!(scaled.contains(line) && scaled.contains("ssim"), "{scaled}");
    // Framed as the generator's, both have its size.
    let framed = compared(&["--align"]);
    assert!(!framed.contains("scaled") && framed.contains("ssim"), "{framed}");
}

#[test]
fn several_pictures_are_inverted_together_into_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        code(&gannet(folder.path(), &["eval", "sample(n: 9, seed: 4) |> save(\"p{i}.png\")"])),
        0
    );
    // Nine pictures are more than one batch.
    let all: Vec<String> = (0..9).map(|i| format!("p{i}.png")).collect();
    let invert = |images: &[String], out: &str| {
        let options = ["--method", "hybrid", "--steps", "6", "--out", out];
        let args: Vec<&str> = ["invert"]
            .into_iter()
            .chain(images.iter().map(String::as_str))
            .chain(options)
            .collect();
        gannet(folder.path(), &args)
    };
    let o = invert(&all, "together");
    assert_eq!(code(&o), 0, "{}", text(&o.stderr));
    assert_eq!(text(&o.stdout).matches("PSNR").count(), 9);
    for i in [0, 3, 8] {
        let o = invert(&all[i..=i], "alone");
        assert_eq!(code(&o), 0, "{}", text(&o.stderr));
        for ending in ["png", "safetensors"] {
            let file = |out: &str| {
                std::fs::read(folder.path().join(format!("{out}/p{i}.{ending}"))).unwrap()
            };
            assert!(file("together") == file("alone"), "p{i}.{ending}");
        }
    }
    assert_ne!(
        std::fs::read(folder.path().join("together/p0.safetensors")).unwrap(),
        std::fs::read(folder.path().join("together/p1.safetensors")).unwrap()
    );
    // Each picture has its own result, in JSON too.
    let o = gannet(folder.path(), &["invert", "p0.png", "p1.png", "--method", "encoder", "--json"]);
    let found: Vec<serde_json::Value> =
        text(&o.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let inversions: Vec<_> = found.iter().filter(|v| v["type"] == "Inversion").collect();
    assert_eq!(inversions.len(), 2, "{found:?}");
    assert!(inversions.iter().all(|v| v["loss"].as_array().unwrap().len() == 1));
}

#[test]
fn a_picture_that_cannot_be_inverted_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(code(&gannet(folder.path(), &["eval", "save(sample(), \"good.png\")"])), 0);
    std::fs::write(folder.path().join("bad.png"), "no picture").unwrap();
    let refused = |images: [&str; 2], out: &str| {
        let o =
            gannet(folder.path(), &["invert", images[0], images[1], "--steps", "2", "--out", out]);
        assert_ne!(code(&o), 0);
        (code(&o), text(&o.stderr))
    };
    let (status, said) = refused(["good.png", "bad.png"], "o");
    assert!(status == 1 && said.contains("bad.png") && !said.contains("good.png"), "{said}");
    let (status, said) = refused(["good.png", "missing.png"], "o");
    assert!(status == 2 && said.contains("missing.png does not exist"), "{said}");
    // Two pictures of the same name, and a picture with the name of its own reconstruction.
    std::fs::create_dir(folder.path().join("more")).unwrap();
    std::fs::copy(folder.path().join("good.png"), folder.path().join("more/good.png")).unwrap();
    let (status, said) = refused(["good.png", "more/good.png"], "o");
    assert!(status == 2 && said.contains("both be saved as good.png"), "{said}");
    let before = std::fs::read(folder.path().join("good.png")).unwrap();
    let (status, said) = refused(["good.png", "bad.png"], ".");
    assert!(status == 2 && said.contains("good.png would be replaced"), "{said}");
    assert!(before == std::fs::read(folder.path().join("good.png")).unwrap());
    assert!(!folder.path().join("o").exists());
}

/// Every file below a folder, with its content.
fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let (mut found, mut rest) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = rest.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => rest.push(path),
                false => found.push((path.clone(), std::fs::read(&path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_folder_that_was_handed_over_makes_no_script_write_elsewhere() {
    let all = tempfile::tempdir().unwrap();
    let (handed, evil) = (all.path().join("in"), all.path().join("evil"));
    std::fs::create_dir_all(handed.join("real")).unwrap();
    std::fs::create_dir_all(&evil).unwrap();
    std::fs::write(evil.join("kept.png"), "kept").unwrap();
    let links = [
        ("0", "../evil"),
        ("0.png", "../evil/kept.png"),
        ("0.npy", "../evil/new.npy"),
        ("real/1", "../../evil"),
        ("gannet-out", "../evil"),
        ("film.gif", "../evil/film.gif"),
        ("r-stopped.safetensors", "../evil/r.safetensors"),
    ];
    for (link, target) in links {
        std::os::unix::fs::symlink(target, handed.join(link)).unwrap();
    }
    let before = files(&evil);
    let scripts = [
        "save(sample(n: 2), \"{i}/x.png\")",
        "save(sample(n: 2), \"{i}.png\")",
        "save(sample(n: 2), \"{i}.npy\")",
        "save(sample(n: 2), \"{i}/x.npy\")",
        "save(sample(n: 2), \"real/{i}/x.jpg\")",
        "save(sample(n: 2), \"./{i}/../{i}/x.webp\")",
        "save(sample(), \"0/x.safetensors\")",
        "save(direction(\"smile\"), \"0/new/x.safetensors\")",
        "path(sample(), mean_w(), frames: 2) |> save(\"film.gif\")",
        "save(sample(), \"../evil/x.png\")",
        "save(sample(), \"r-stopped.safetensors\")",
        "show sample()",
        "sample()",
    ];
    for script in scripts {
        std::fs::write(handed.join("s.gnt"), script).unwrap();
        let o = gannet(&handed, &["run", "s.gnt"]);
        // A path that is literal in the script is refused before the script runs.
        let refused = [1, 2].contains(&code(&o));
        assert!(refused, "{script}: {} {}", text(&o.stdout), text(&o.stderr));
        let said = text(&o.stderr);
        assert!(said.contains("out of the output folder") && said.contains("try: "), "{said}");
        assert!(files(&evil) == before, "{script} wrote outside");
    }
    // The user may name a link as the output folder, and a script may ask to write outside of it.
    std::fs::write(handed.join("s.gnt"), "save(sample(), \"x.png\")\nsample()").unwrap();
    assert_eq!(code(&gannet(&handed, &["run", "s.gnt", "--out", "0"])), 0);
    assert!(evil.join("x.png").is_file() && evil.join("sample.png").is_file());
    std::fs::write(handed.join("s.gnt"), "save(sample(), \"0/y.png\", outside: true)").unwrap();
    assert_eq!(code(&gannet(&handed, &["run", "s.gnt"])), 0);
    assert!(evil.join("y.png").is_file());
}

#[test]
fn a_stopped_script_saves_the_best_so_far_and_a_terminated_one_resumes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let program =
        "r = invert(sample(seed: 3), space: W+, steps: 4000)\nsave(r, \"r.safetensors\")\n";
    std::fs::write(folder.path().join("long.gnt"), program).unwrap();
    let stopped = |signal: &str, out: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gannet"))
            .args(["--model", "toy", "run", "long.gnt", "--out", out])
            .current_dir(folder.path())
            .env("GANNET_STATE", folder.path().join("state"))
            .env("GANNET_CACHE", "off")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(900));
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        child.wait().unwrap().code()
    };
    assert_eq!(stopped("-INT", "int"), Some(130));
    assert!(folder.path().join("int/r-stopped.safetensors").is_file());
    assert_eq!(stopped("-TERM", "term"), Some(75));
    assert_eq!(code(&gannet(folder.path(), &["run", "long.gnt", "--out", "term"])), 0);
    let fresh = Command::new(env!("CARGO_BIN_EXE_gannet"))
        .args(["--model", "toy", "run", "long.gnt", "--out", "fresh"])
        .current_dir(folder.path())
        .env("GANNET_STATE", folder.path().join("another"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(code(&fresh), 0);
    let read = |out: &str| std::fs::read(folder.path().join(out).join("r.safetensors")).unwrap();
    assert!(read("term") == read("fresh"), "resumed and uninterrupted differ");
}

#[test]
fn only_regular_files_are_read_and_nothing_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("pipe.gnt");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    std::fs::create_dir(folder.path().join("folder.gnt")).unwrap();
    for path in ["pipe.gnt", "/dev/zero", "folder.gnt"] {
        let eval = |call: &str| vec!["eval".to_owned(), call.replace("PATH", path)];
        let command =
            |words: &str| words.replace("PATH", path).split(' ').map(String::from).collect();
        let calls: Vec<Vec<String>> = vec![
            command("check PATH"),
            command("fmt PATH"),
            command("run PATH"),
            command("info PATH"),
            command("convert PATH out.safetensors"),
            eval("image(\"PATH\")"),
            eval("def f(a) = image(a)\nl = [\"PATH\", 1]\nf(l[0])"),
            eval("latent(\"PATH\")"),
            eval("direction(\"PATH\")"),
            eval("load \"PATH\""),
        ];
        for args in calls {
            let mut child = Command::new(env!("CARGO_BIN_EXE_gannet"))
                .args(["--model", "toy"])
                .args(&args)
                .current_dir(folder.path())
                .env("GANNET_STATE", folder.path().join("state"))
                .env("GANNET_CACHE", "off")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let start = Instant::now();
            let status = loop {
                if let Some(status) = child.try_wait().unwrap() {
                    break status;
                }
                if start.elapsed() > Duration::from_secs(60) {
                    child.kill().unwrap();
                    panic!("{args:?} waits");
                }
                std::thread::sleep(Duration::from_millis(10));
            };
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            assert!(matches!(status.code(), Some(1 | 2)), "{args:?}: {status:?} {said}");
            assert!(!said.is_empty() && !said.contains("panicked"), "{args:?}: {said}");
        }
    }
}

#[test]
fn scripts_find_their_example_pictures_from_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    let o =
        gannet(folder.path(), &["eval", "image(\"models/faces/examples/900001.jpg\")", "--json"]);
    assert_eq!(code(&o), 0, "{}", text(&o.stderr));
    assert!(text(&o.stdout).contains("the example built into gannet"), "{}", text(&o.stdout));
    let o = gannet(folder.path(), &["eval", "image(\"models/faces/examples/none.jpg\")"]);
    assert_eq!(code(&o), 2, "only those that are there");
}
