//! Programs on the toy generator, and every example of every built-in function.

use super::*;
use crate::control::Stop;
use crate::error::Kind;
use crate::lang::parse;
use crate::lang::types::Signature;
use crate::render::{Block, Picture};
use crate::value::{Cell, Models};
use std::path::Path;

/// A result as pictures and lines.
#[derive(Clone, Debug)]
struct Display {
    pictures: Vec<Picture>,
    lines: Vec<String>,
}

impl Display {
    fn of(blocks: &[Block]) -> Self {
        let mut all = Self { pictures: Vec::new(), lines: Vec::new() };
        for block in blocks {
            all.lines.extend(block.lines());
            if let Block::Pictures(pictures) = block {
                all.pictures.extend(pictures.iter().cloned());
            }
        }
        all
    }
}

/// Keeps what a program shows and prints.
#[derive(Default)]
pub(super) struct Kept {
    shown: Vec<(Display, Value)>,
    pub(super) printed: Vec<String>,
}

impl Kept {
    /// The values that were shown.
    pub(super) fn values(&self) -> Vec<&Value> {
        self.shown.iter().map(|(_, value)| value).collect()
    }

    /// The value that was shown last.
    pub(super) fn last(&self) -> Option<&Value> {
        self.shown.last().map(|(_, value)| value)
    }
}

impl Output for Kept {
    fn display(&mut self, blocks: &[Block], value: &Value) -> Result<()> {
        self.shown.push((Display::of(blocks), value.clone()));
        Ok(())
    }

    fn print(&mut self, line: &str) -> Result<()> {
        self.printed.push(line.to_owned());
        Ok(())
    }
}

fn session(out: &Path) -> State {
    State::new(Models::cpu(), "toy", Options { out: out.to_owned(), ..Options::default() }).unwrap()
}

fn run_in(session: &mut State, code: &str) -> Result<Kept> {
    let mut kept = Kept::default();
    session.run(
        &Source::new("test", code).unwrap(),
        &BTreeMap::new(),
        &Control::default(),
        &mut kept,
    )?;
    Ok(kept)
}

fn run(code: &str) -> Result<Kept> {
    let folder = tempfile::tempdir().unwrap();
    run_in(&mut session(folder.path()), code)
}

fn error(code: &str) -> Error {
    run(code).err().unwrap_or_else(|| panic!("this ran: {code}"))
}

/// The text that an error underlines.
fn underlined<'a>(code: &'a str, e: &Error) -> &'a str {
    let span = e.span().expect("every error of a program has a place");
    &code[span.start..span.end]
}

#[test]
fn every_example_runs() {
    for b in builtins::ALL {
        assert!(!b.examples.is_empty(), "{} has no example", b.signature.name);
        for e in b.examples {
            // The files that an example saves and reads again lie in a folder of their own.
            let folder = tempfile::tempdir().unwrap();
            let inside = |name: &str| format!("\"{}/{name}\"", folder.path().display());
            let code = e.code.replace(
                "latent(\"code.safetensors\")",
                &format!("latent({})", inside("code.safetensors")),
            );
            let code = code.replace(
                "save(\"code.safetensors\")",
                &format!("save({}, outside: true)", inside("code.safetensors")),
            );
            if let Err(error) = run_in(&mut session(folder.path()), &code) {
                panic!("example of {}: {code}\n{error}", b.signature.name);
            }
        }
    }
}

/// A generator whose only space is Z runs every example, or says why not and what to do.
#[test]
fn every_example_runs_in_z_alone_or_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let toy = crate::generator::dcgan::Toy { base: [8, 8], ..Default::default() };
    let model = folder.path().join("plain.safetensors");
    let arrays = toy.tensors(&candle_core::Device::Cpu).unwrap().into_iter().map(|(n, t)| {
        let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (n, crate::weights::Array::f32(t.dims(), values).unwrap())
    });
    let bytes = crate::weights::safetensors::write_f32(&arrays.collect(), None).unwrap();
    std::fs::write(&model, bytes).unwrap();
    let open = || {
        let options = Options { out: folder.path().to_owned(), ..Options::default() };
        State::new(Models::cpu(), &model.to_string_lossy(), options).unwrap()
    };
    let (mut ran, mut all) = (Vec::new(), 0);
    for b in builtins::ALL {
        for e in b.examples {
            all += 1;
            match run_in(&mut open(), e.code) {
                Ok(_) => ran.push(e.code),
                Err(error) => {
                    assert!(error.repair().is_some(), "{}: no hint: {error}", e.code);
                    let text = error.to_string();
                    assert!(!text.contains("shape"), "{}: an inner error: {text}", e.code);
                }
            }
        }
    }
    assert!(ran.len() > 10, "{} of {all} ran: {ran:?}", ran.len());
    let code = "d = sample(seed: 2) - sample(seed: 1)\n\
                strip(sample(seed: 1), along: d, n: 3)\nslerp(sample(seed: 1), sample(seed: 2), \
                0.5)\n\
                r = invert(render(sample(seed: 3)), steps: 3)\nprint(norm(d) > 0)\ninfo(r)";
    let kept = run_in(&mut open(), code).unwrap();
    assert_eq!(kept.printed, ["true"]);
    let refused = run_in(&mut open(), "mean_w()").err().unwrap();
    assert!(refused.repair().is_some_and(|r| r.contains('Z')), "{refused}");
}

#[test]
fn arithmetic_is_what_the_precedence_says() {
    let kept = run("print(1 + 2*3 - 4/2)\nprint(-(1 + 2))\nprint(2 < 3, 2 == 3)").unwrap();
    assert_eq!(kept.printed, ["5", "-3", "true false"]);
}

#[test]
fn a_conditioned_direction_has_no_part_in_its_conditions() {
    let code = "a = direction(\"smile\"); b = direction(\"age\"); c = 0.9*a + b\n\
                print(cosine(direction(\"glasses\") | [b, c], b)); \
                print(cosine(direction(\"glasses\") | [b, c], c))\n\
                print(cosine((direction(\"glasses\") | b) | c, b))";
    let kept = run(code).unwrap();
    let cosines: Vec<f64> = kept.printed.iter().map(|p| p.parse().unwrap()).collect();
    assert!(cosines[0].abs() < 1e-12 && cosines[1].abs() < 1e-12, "{cosines:?}");
    // Chained by hand the first condition comes back: joint is not chained.
    assert!(cosines[2].abs() > 1e-3, "{cosines:?}");
}

#[test]
fn moving_and_subtracting_give_the_direction_back() {
    let code = "w = sample(seed: 1); d = direction(\"smile\"); moved = w + 2*d\n\
                print(norm((moved - w) - 2*d) / norm(d))\nprint(cosine(moved - w, d))";
    let kept = run(code).unwrap();
    assert!(kept.printed[0].parse::<f64>().unwrap() < 1e-5);
    assert!(kept.printed[1].parse::<f64>().unwrap() > 0.999_999);
}

#[test]
fn layers_of_a_code_and_of_a_direction() {
    let code = "a = to(W+, sample(seed: 1)); b = to(W+, sample(seed: 2)); m = mix(a, b, layers: \
                2..5)\n\
                print(norm(m[0..2] - a[0..2]), norm(m[2..5] - b[2..5]), norm(m[5..8] - a[5..8]))\n\
                d = direction(\"smile\") @ 2..5\nn = a + d\nprint(norm(n[0..2] - a[0..2]), \
                norm(n[5..8] - a[5..8]))";
    assert_eq!(run(code).unwrap().printed, ["0 0 0", "0 0"]);
}

#[test]
fn layers_to_mix_are_checked_before_anything_runs() {
    for (layers, repair) in [("2..5 by 2", "2..5"), ("8", "0..8"), ("6..9", "0..8")] {
        let code = format!("a = sample(seed: 1)\nshow mix(a, a, layers: {layers})");
        let e = error(&code);
        assert_eq!((e.kind(), underlined(&code, &e)), (Kind::Check, layers), "{e}");
        assert!(e.to_string().contains(repair), "{e}");
    }
}

#[test]
fn interpolation_ends_are_exact() {
    let code = "a = sample(seed: 1); b = sample(seed: 2)\nprint(norm(lerp(a, b, 0) - a), \
                norm(lerp(a, b, 1) - b))\n\
                p = path(a, b, frames: 3)\nprint(norm(lerp(a, b, 0.5) - [c for c in p][1]) < 1e-5)";
    assert_eq!(run(code).unwrap().printed, ["0 0", "true"]);
}

#[test]
fn a_function_sees_its_parameters_and_the_program() {
    let code =
        "k = 3\ndef f(x) = x * k\ndef g(k) = f(k + 1)\nprint(g(1), [f(i) for i in 1..3 if i > 1])";
    assert_eq!(run(code).unwrap().printed, ["6 [6, 9]"]);
}

#[test]
fn a_bare_name_is_a_direction_of_the_generator_unless_it_is_defined() {
    let code = "w = sample(seed: 1)\nprint(mae(w + 2*smile | age, w + 2*(direction(\"smile\") | \
                direction(\"age\"))))\ndef f(smile) = 2*smile\nage = 5\nprint(f(3), age)";
    assert_eq!(run(code).unwrap().printed, ["0", "6 5"]);
    // Of the space that the code needs, and checked before anything runs.
    run("z = sample(space: Z)\nshow z + smile").unwrap();
    let e = error("print(1)\nsample(seed: 1) + smle");
    assert_eq!((e.kind(), e.repair()), (Kind::Check, Some("did you mean `smile` or `sample`?")));
    assert_eq!(error("show sample(seed: 1) + nose").kind(), Kind::Check);
}

#[test]
fn an_assert_that_fails_names_both_sides() {
    let e = error("x = 2\nassert x > 5");
    assert_eq!((e.kind(), e.span_text()), (Kind::Assertion, "2 > 5"));
    assert_eq!(e.kind().exit_code(), 1);
    // With as many digits as tell them apart.
    for (code, found) in [
        ("assert 1/3 > 0.5", "0.333333 > 0.5"),
        ("assert 0.1 + 0.2 == 0.3", "0.30000000000000004 == 0.3"),
    ] {
        assert_eq!(error(code).span_text(), found);
    }
}

#[test]
fn the_issues_wrong_programs_fail_before_anything_runs_and_their_repairs_work() {
    let cases = [
        ("z = sample(space: Z)\nshow z + direction(\"smile\", space: W)", "smile"),
        ("w = to(W+, sample())\nshow w[20]", "20"),
        ("show smaple(seed: 1)", "smaple"),
        ("x = image(\"no/such/file.png\")", "no/such/file.png"),
        ("d = direction(\"smlie\")", "smlie"),
    ];
    for (code, place) in cases {
        let e = error(&format!("print(1)\n{code}"));
        assert_eq!(e.kind().exit_code(), 2, "{code}: {e}");
        assert!(underlined(&format!("print(1)\n{code}"), &e).contains(place), "{code}: {e}");
        assert!(e.repair().is_some(), "{code}: {e}");
    }
    run("z = sample(space: Z)\nshow to(W, z) + direction(\"smile\")").unwrap();
    assert!(error("show smaple(seed: 1)").repair().unwrap().contains("sample"));
    assert!(error("direction(\"smlie\")").repair().unwrap().contains("direction(\"smile\")"));
}

#[test]
fn a_direction_of_another_generator_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.safetensors");
    let mut d =
        Models::cpu().load("toy").unwrap().directions().unwrap().get("smile").unwrap().clone();
    d.model = Some(crate::latent::ModelId { name: "other".into(), fingerprint: "ab12".repeat(16) });
    let mut s = session(folder.path());
    s.names.insert("d".into(), d.into());
    run_in(&mut s, "save(d, \"other.safetensors\")").unwrap();
    let code = format!("show sample(seed: 1) + direction(\"{}\")", path.display());
    let e = run_in(&mut s, &code).err().unwrap();
    assert!(e.to_string().contains("generator"), "{e}");
}

#[test]
fn saved_codes_and_directions_come_back_with_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = |n: &str| folder.path().join(n).display().to_string();
    let mut s = session(folder.path());
    run_in(&mut s, "w = to(W+, sample(seed: 5)); save(w, \"w.safetensors\"); save(w, \"w.npy\")")
        .unwrap();
    run_in(&mut s, "d = direction(\"smile\") | direction(\"age\"); save(d, \"d.safetensors\")")
        .unwrap();
    let code = format!(
        "print(norm(latent(\"{}\") - w), norm(latent(\"{}\") - w), norm(direction(\"{}\") - d))",
        at("w.safetensors"),
        at("w.npy"),
        at("d.safetensors")
    );
    assert_eq!(run_in(&mut s, &code).unwrap().printed, ["0 0 0"]);
}

/// A file without a generator's name is taken for the current one, and every result notes it; one
/// whose numbers cannot be that generator's is refused.
#[test]
fn files_that_name_no_generator_are_named_or_refused() {
    use crate::weights::{Array, npy};

    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, shape: &[usize], value: f32| {
        let array = Array::f32(shape, vec![value; shape.iter().product()]).unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, npy::to_bytes(&array).unwrap()).unwrap();
        path.display().to_string()
    };
    let (near, far) = (write("near.npy", &[1, 16], 0.1), write("far.npy", &[1, 16], 1e4));
    let mut s = session(folder.path());
    for call in ["latent(\"{}\", space: W)", "direction(\"{}\", space: W)"] {
        let kept = run_in(&mut s, &call.replace("{}", &near)).unwrap();
        let said = kept.shown[0].0.lines.join(" ");
        assert!(said.contains("names no generator; taken as one of toy"), "{call}: {said}");
        let e = run_in(&mut s, &call.replace("{}", &far)).err().unwrap();
        assert!(e.message().contains("is not of toy") && e.repair().is_some(), "{call}: {e}");
    }
    let moved = format!("sample(space: W) + direction(\"{near}\", space: W)");
    let said = run_in(&mut s, &moved).unwrap().shown[0].0.lines.join(" ");
    assert!(said.contains("taken as one of toy"), "{said}");
    // Files that name their generator are not checked by their numbers.
    run_in(&mut s, "w = sample(space: W); save(w, \"w.safetensors\")").unwrap();
    let own = folder.path().join("w.safetensors").display().to_string();
    let said = run_in(&mut s, &format!("latent(\"{own}\")")).unwrap().shown[0].0.lines.join(" ");
    assert!(!said.contains("names no generator"), "{said}");
}

/// Codes as other programs write them: PULSE's distribution, a projection with its noise.
#[test]
fn codes_of_other_programs_are_read() {
    use crate::weights::{Array, Saved, write_torch};

    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, value: Saved| {
        let path = folder.path().join(name);
        std::fs::write(&path, write_torch(&value).unwrap()).unwrap();
        path.display().to_string()
    };
    let array = |shape: &[usize], value: f32| {
        Array::f32(shape, vec![value; shape.iter().product()]).unwrap()
    };
    let mut s = session(folder.path());
    // Numbers before the activation: a negative one comes through at a fifth.
    let gaussian = [("mean", array(&[16], -0.5)), ("std", array(&[16], 1.0))];
    let gaussian = Saved::tensors(gaussian.map(|(n, a)| (n.to_owned(), a)));
    let at = write("gaussian_fit.pt", gaussian);
    let fifth = write("fifth.pt", Saved::Tensor(array(&[16], -0.5 * 0.2)));
    let apart = format!("print(norm(latent(\"{at}\") - latent(\"{fifth}\", space: W)) < 0.00001)");
    assert_eq!(run_in(&mut s, &apart).unwrap().printed, ["true"]);
    let e = run_in(&mut s, &format!("direction(\"{at}\")")).err().unwrap();
    assert!(e.message().contains("distribution"), "{e}");
    // rosinality's projector: {file: {img, latent, noise}}.
    let one = Saved::Dict(vec![
        ("img".into(), Saved::Tensor(array(&[1, 3, 4, 4], 0.5))),
        ("latent".into(), Saved::Tensor(array(&[16], 0.1))),
    ]);
    let at = write("projection.pt", Saved::Dict(vec![("a.jpg".into(), one.clone())]));
    let said = run_in(&mut s, &format!("latent(\"{at}\", space: W)")).unwrap();
    assert!(said.shown[0].0.lines.join(" ").contains("projection.pt"));
    let two = Saved::Dict(vec![("a.jpg".into(), one.clone()), ("b.jpg".into(), one)]);
    let at = write("two.pt", two);
    let e = run_in(&mut s, &format!("latent(\"{at}\", space: W)")).err().unwrap();
    assert!(e.repair().is_some_and(|r| r.contains("key")), "{e}");
    let with = format!("latent(\"{at}\", space: W, key: \"b.jpg.latent\")");
    assert!(run_in(&mut s, &with).is_ok());
}

#[test]
fn a_script_saves_nowhere_but_below_its_folder() {
    for path in ["../x.png", "/tmp/gannet-escape.png", "a/../../x.png", "./../x.png"] {
        let e = error(&format!("save(sample(), \"{path}\")"));
        assert!(e.message().contains("leads out"), "{path}: {e}");
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/tmp", folder.path().join("link")).unwrap();
    let e = run_in(&mut session(folder.path()), "save(sample(), \"link/x.png\")").err().unwrap();
    assert!(e.message().contains("leads out"), "{e}");
}

#[test]
fn a_stop_keeps_the_best_so_far_and_ends_the_program() {
    // Stopped at its first progress report, when there is a result to keep.
    let holder = Arc::new(std::sync::OnceLock::<Control>::new());
    let inner = holder.clone();
    let control = Control::new(move |_| inner.get().unwrap().request(Stop::Keep));
    holder.set(control.clone()).ok().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut s = session(folder.path());
    let code = "r = invert(sample(seed: 1), steps: 50000)\nprint(1)";
    let source = Source::new("test", code).unwrap();
    let mut kept = Kept::default();
    let e = s.run(&source, &BTreeMap::new(), &control, &mut kept).unwrap_err();
    assert_eq!(e.kind().exit_code(), 130);
    assert!(matches!(s.names.get("r"), Some(Value::Inversion(_))), "the best so far is bound");
    assert!(kept.printed.is_empty(), "nothing ran after it");
}

#[test]
fn a_bare_number_comes_with_its_name_and_unit() {
    let kept = run("psnr(sample(seed: 1), sample(seed: 2))\n2 + 2").unwrap();
    let line = &kept.shown[0].0.lines[0];
    assert!(line.starts_with("PSNR ") && line.ends_with(" dB") && line.len() < 16, "{line}");
    assert_eq!(kept.shown[1].0.lines, ["4"]);
}

#[test]
fn pictures_are_called_as_they_were_written() {
    let kept = run("a = sample(seed: 1)\nshow a, a + 2*direction(\"age\"), [a, a]").unwrap();
    let captions: Vec<&str> = kept.shown[0].0.pictures.iter().map(|p| p.caption.as_str()).collect();
    assert_eq!(captions, ["a", "a + 2*direction(\"age\")", "", ""]);
}

#[test]
fn a_generator_loaded_bare_does_not_hide_its_directions() {
    let code = "load \"models/faces/generator.safetensors\"; load \"models/faces\"; \
                load \"faces\"\n\
                print(norm(direction(\"age\")) > 0)";
    assert_eq!(run(code).unwrap().printed, ["true"]);
}

#[test]
fn an_encoder_is_used_where_it_can_be() {
    let how = |call: &str| {
        let kept = run(&format!("r = invert(sample(seed: 3), {call})\nr")).unwrap();
        let Some((_, Value::Inversion(i))) = kept.shown.last() else {
            panic!("{call} shows no inversion")
        };
        (i.config.method.name, i.config.plan(), i.code.space.name())
    };
    let plan = |s: &str| s.to_owned();
    let finished = |s: &str| format!("{s} + feature-residual network");
    assert_eq!(how("steps: 2"), ("hybrid", finished("3 passes + 2 steps"), "W+"));
    assert_eq!(how("space: W, steps: 2"), ("hybrid", finished("3 passes + 2 steps"), "W"));
    let alone = "method: hybrid, steps: 2, finish: none";
    assert_eq!(how(alone), ("hybrid", plan("3 passes + 2 steps"), "W+"));
    assert_eq!(how("steps: 2, init: mean"), ("optimize", plan("2 steps"), "W+"));
    assert_eq!(how("space: Z, steps: 1"), ("optimize", plan("1 step"), "Z"));
    assert_eq!(how("method: encoder"), ("encoder", plan("3 passes"), "W+"));
    assert_eq!(how("method: encoder, steps: 1"), ("encoder", plan("1 pass"), "W+"));
    assert_eq!(how("method: residual, steps: 2"), ("residual", finished("2 passes"), "W+"));
    assert_eq!(
        how("method: hybrid, passes: 0, steps: 2"),
        ("hybrid", finished("0 passes + 2 steps"), "W+")
    );
    let code = "invert(sample(seed: 3), method: encoder, space: Z)";
    let e = error(code);
    assert_eq!((e.kind(), underlined(code, &e)), (Kind::Check, "Z"));
    assert!(
        error("invert(sample(seed: 3), method: optimize, passes: 2)")
            .repair()
            .unwrap()
            .contains("hybrid")
    );
    assert!(
        error("invert(sample(seed: 3), method: encoder, passes: 2, steps: 2)").repair().is_some()
    );
}

#[test]
fn masks_are_made_shown_and_used() {
    let code = "m = mask(box: [0, 0, 0.5, 1])\nprint(m)\nm\n\
                show m, mask(m, ellipse: [0.5, 0.5, 0.2, 0.2], combine: all, invert: true)\n\
                r = invert(sample(seed: 3), mask: m, method: lbfgs, space: W, steps: 3)\nr";
    let kept = run(code).unwrap();
    assert_eq!(kept.printed, ["Mask 32×32, 50.0 % · box [0, 0, 0.5, 1]"]);
    let [(shown, Value::Mask(_)), (both, _), (_, Value::Inversion(found))] = &kept.shown[..] else {
        panic!("{:?}", kept.shown)
    };
    assert_eq!((shown.pictures.len(), both.pictures.len()), (1, 2));
    let raster = &shown.pictures[0].raster;
    assert_eq!((raster.width, raster.height, raster.data[0], raster.data[31]), (32, 32, 255, 0));
    assert!(found.numbers.iter().any(|n| n.name == "psnr in mask"));
    // A picture's grey values are weights, at any size.
    let folder = tempfile::tempdir().unwrap();
    let code = "save(mask(box: [0, 0, 1, 0.25]), \"m.png\")";
    run_in(&mut session(folder.path()), code).unwrap();
    let path = folder.path().join("m.png");
    let read = format!("print(mask(\"{}\"))", path.display());
    assert!(run(&read).unwrap().printed[0].starts_with("Mask 32×32, 25.0 % · "));
}

#[test]
fn masks_and_methods_that_cannot_work_are_refused_where_they_are_written() {
    let cases = [
        ("mask()", Kind::Check, "mask()"),
        ("mask(\"none.png\")", Kind::Check, "\"none.png\""),
        ("mask(ellipse: [1, 2])", Kind::Runtime, "[1, 2]"),
        ("mask(ellipse: [0.5, 0.5, 0, 1])", Kind::Runtime, "[0.5, 0.5, 0, 1]"),
        ("mask(box: [0.5, 0, 0.5, 1])", Kind::Runtime, "[0.5, 0, 0.5, 1]"),
        ("mask([1])", Kind::Runtime, "[1]"),
        (
            "invert(sample(), mask: mask(box: [2, 2, 3, 3]))",
            Kind::Runtime,
            "mask(box: [2, 2, 3, 3])",
        ),
        ("invert(sample(), method: lbfgs, lr: 0.1)", Kind::Check, "0.1"),
        ("invert(sample(), method: lbfgs, passes: 2)", Kind::Check, "2"),
        ("invert(sample(), method: optimize, history: 7)", Kind::Check, "7"),
        ("invert(sample(), search: 7)", Kind::Check, "7"),
        ("invert(sample(), method: projector, space: Z)", Kind::Check, "Z"),
    ];
    for (code, kind, at) in cases {
        let e = error(code);
        assert_eq!((e.kind(), underlined(code, &e)), (kind, at), "{code}: {e}");
        assert!(e.repair().is_some() || code == "mask([1])", "{code}: {e}");
    }
    assert!(error("invert(sample(), search: 7)").repair().unwrap().contains("method: lbfgs"));
}

#[test]
fn style_codes_are_the_same_pictures_and_move_in_their_own_space() {
    let code = "w = sample(seed: 1); s = to(S, w); d = direction(\"smile\", space: S)\n\
                print(mae(w, s), norm((s + 2*d - s) - 2*d) / norm(d) < 1e-5, norm(s - to(S, to(W+, \
                w))))\n\
                print(mae(render(w, psi: 0.5, cutoff: 3), render(s, psi: 0.5, cutoff: 3)) < 1e-4)\n\
                print(cosine(to(S, w + direction(\"smile\", space: W)) - s, d) > 0.9999)\n\
                print(norm(lerp(s, to(S, sample(seed: 2)), 0) - s), mae(sample(seed: 1, space: S), \
                w))\n\
                strip(s, along: d, n: 3); grid([s, s + d]); show s, s + 2*(d | [direction(\"age\", \
                space: S)])";
    assert_eq!(run(code).unwrap().printed, ["0 true 0", "true", "true", "0 0"]);
    let code = "print(norm(direction(\"age\", space: W+) - direction(\"age\") @ 0..8))";
    assert_eq!(run(code).unwrap().printed, ["0"], "W directions are known in W+ as well");
}

#[test]
fn layers_of_styles_are_the_rows_of_w() {
    let code = "a = sample(seed: 1); b = sample(seed: 2); m = mix(to(S, a), b, layers: 2..5)\n\
                print(norm(m - to(S, mix(a, b, layers: 2..5))))\n\
                s = to(S, a); n = s + direction(\"smile\", space: S) @ 2..5\n\
                print(norm(n[0..2] - s[0..2]), norm(n[2..5] - s[2..5]) > 0, norm(n[5..8] - \
                s[5..8]))";
    assert_eq!(run(code).unwrap().printed, ["0", "0 true 0"]);
}

#[test]
fn nothing_leads_out_of_the_styles_and_every_mistake_names_its_repair() {
    let cases = [
        ("s = to(S, sample())\nto(W+, s)", "invert(render"),
        ("w = sample()\nw + direction(\"smile\", space: S)", "to(S, w)"),
        ("s = sample(space: S)\ns + direction(\"smile\", space: W)", "direction(\"smile\")"),
        (
            "s = sample(space: S)\nstrip(s, along: direction(\"smile\", space: W))",
            "without `space:`",
        ),
        ("w = sample()\nstrip(w, along: direction(\"smile\", space: S))", "to(S, …)"),
        ("w = sample(); s = to(S, w)\nw - s", "to(S, w)"),
        ("w = sample(); s = to(S, w)\nlerp(w, s, 0.5)", "to(S"),
        ("s = sample(space: S)\ns[3..9]", "3..8"),
        ("d = direction(\"smile\", space: S)\nd @ 7..9", "7..8"),
        ("d = direction(\"smile\", space: S)\nd + direction(\"smile\", space: W)", "of S"),
        ("direction(\"smile\", space: N)", "direction(\"smile\", space: W)"),
        ("invert(sample(), space: P)", "space: W+"),
    ];
    for (code, hint) in cases {
        let e = error(&format!("print(1)\n{code}"));
        assert_eq!(e.kind().exit_code(), 2, "{code}: {e}");
        assert!(e.repair().is_some_and(|r| r.contains(hint)), "{code}: {e} · {:?}", e.repair());
    }
}

#[test]
fn style_codes_and_directions_of_several_spaces_come_back_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |n: &str| folder.path().join(n).display().to_string();
    let mut s = session(folder.path());
    run_in(
        &mut s,
        "s = sample(seed: 5, n: 2, space: S); save(s, \"s.safetensors\"); save(s, \"s.npy\")",
    )
    .unwrap();
    let all = "d = direction(\"smile\", space: S); e = direction(\"smile\"); save([d, \
               e], \"d.safetensors\")\n\
               save(d, \"one.safetensors\")";
    run_in(&mut s, all).unwrap();
    let code = format!(
        "a = latent(\"{}\"); b = latent(\"{}\")\nprint(mae(a, s), mae(b, s))\n\
         print(norm(direction(\"{d}\", key: \"smile\", space: S) - d), norm(direction(\"{d}\", \
         key: \"S/smile\") - d))\n\
         print(norm(direction(\"{d}\", key: \"smile\") - e), norm(direction(\"{}\") - d))\n\
         info(direction(\"{d}\", key: \"smile\"))",
        at("s.safetensors"),
        at("s.npy"),
        at("one.safetensors"),
        d = at("d.safetensors")
    );
    let kept = run_in(&mut s, &code).unwrap();
    assert_eq!(kept.printed, ["0 0", "0 0", "0 0"]);
    assert!(
        kept.shown[0].0.lines.iter().any(|l| l.contains("one step")),
        "{:?}",
        kept.shown[0].0.lines
    );
}

#[test]
fn a_bare_direction_tells_what_was_measured_until_it_is_changed() {
    let kept = run("direction(\"smile\")\n2*direction(\"smile\")\ninfo()").unwrap();
    assert_eq!(kept.shown[0].0.lines.len(), 2);
    assert!(kept.shown[0].0.lines[1].contains("one step"));
    assert_eq!(kept.shown[1].0.lines.len(), 1);
    assert!(kept.shown[2].0.lines.iter().any(|l| l.contains("styles")));
}

#[test]
fn asking_for_alignment_says_when_there_is_none() {
    let notes = |code: &str| match &run(code).unwrap().shown[0].1 {
        Value::Image(i) => i.notes.clone(),
        other => panic!("{other:?}"),
    };
    let file = "models/faces/examples/900000.jpg";
    let asked = notes(&format!("image(\"{file}\", align: auto)"));
    assert!(asked[0].contains("draws no faces"), "{asked:?}");
    let silent = notes(&format!("image(\"{file}\")"));
    assert_eq!(silent, asked[1..]);
    assert_eq!(silent, notes(&format!("image(\"{file}\", align: center)")));
}

#[test]
fn attributes_have_a_row_each_and_a_column_a_picture() {
    let shown = run("attributes(sample(seed: 1, n: 2))").unwrap().shown;
    let Value::Table(t) = &shown[0].1 else { panic!("{:?}", shown[0].1) };
    assert_eq!(t.columns, ["name", "#0", "#1", "unit"]);
    let names: Vec<String> = t.rows.iter().map(|r| format!("{:?}", r[0])).collect();
    // The identity is three numbers that are not read.
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names[2].contains("hair"), "{names:?}");
}

#[test]
fn strips_grids_and_paths_are_rendered_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(folder.path());
    let start = "w = sample(seed: 1); d = direction(\"smile\"); p = path(w, sample(seed: 2), \
                 frames: 20)\n\
                 r = invert(w, method: projector, space: W, steps: 2)";
    run_in(&mut session, start).unwrap();
    for code in [
        "s = strip(w, along: d, from: 0, to: 19, n: 20)",
        // Its codes have noise maps of their own.
        "s = strip(r, along: d, from: 0, to: 19, n: 20)",
        "g = grid(sample(n: 20))",
        "g = grid([sample(seed: k) for k in 1..20], columns: 5)",
        "g = grid(p)",
        "show [w + k*d for k in 1..20]",
        "show [r + k*d for k in 1..20]",
        "save(p, \"p.gif\")",
        "save(p, \"p-{i}.png\")",
    ] {
        let made = Arc::new(std::sync::Mutex::new(Vec::new()));
        let to = made.clone();
        let control =
            Control::new(move |p| to.lock().unwrap().push((p.title.starts_with("render"), p.step)));
        session
            .run(
                &Source::new("test", code).unwrap(),
                &BTreeMap::new(),
                &control,
                &mut Kept::default(),
            )
            .unwrap();
        assert_eq!(*made.lock().unwrap(), [8, 16, 20].map(|n| (true, n)), "{code}");
    }
    // In a batch every code keeps its own maps.
    let code = "s = strip(r, along: d, from: 0, to: 19, n: 20); one = render(r + 13*d); bare = \
                render(r + 13*d, noise: none)";
    run_in(&mut session, code).unwrap();
    let picture = |name: &str, k: usize| match &session.names[name] {
        Value::Image(i) => {
            i.data.narrow(0, k, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        }
        other => panic!("{name} is {}", other.ty()),
    };
    assert_eq!(picture("s", 13), picture("one", 0));
    assert_ne!(picture("s", 13), picture("bare", 0));
}

#[test]
fn a_batch_is_gone_through_one_by_one() {
    let code = "r = invert([sample(seed: 1), sample(seed: 2)], space: W, steps: 3)\n[one for one \
                in r]\n\
                alone = invert(sample(seed: 2), space: W, steps: 3)\nprint(norm([one for one in \
                r][1] - alone))\n\
                codes = [c for c in sample(n: 3, seed: 5)]\nprint(norm(codes[0] - sample(seed: \
                5)))";
    let kept = run(code).unwrap();
    let Value::List(parts) = &kept.shown[0].1 else { panic!("a list") };
    assert!(
        parts
            .iter()
            .all(|p| matches!(p, Value::Inversion(i) if i.code.count() == 1 && i.loss.len() == 1))
    );
    assert_eq!((parts.len(), kept.printed), (2, vec!["0".to_owned(); 2]));
    // A single code is not iterable.
    assert!(error("[c for c in sample()]").message().contains("cannot go through"));
}

#[test]
fn pictures_of_a_batch_are_chosen_like_elements_of_a_list() {
    let code = "x = render(sample(n: 3, seed: 5)); all = [one for one in x]\n\
                print(mae(x[0], render(sample(seed: 5))), mae(x[2], all[2]), mae(x[1..3][0], \
                all[1]))\n\
                print(mae(x[0], x[1]) > 0); x[1..3]\n\
                s = strip(sample(seed: 1), along: direction(\"smile\"), from: 0, to: 2, n: 3); \
                s[2]";
    let kept = run(code).unwrap();
    assert_eq!(kept.printed, ["0 0 0", "true"]);
    let counts: Vec<usize> = kept.shown.iter().map(|(display, _)| display.pictures.len()).collect();
    assert_eq!((counts, kept.shown[1].0.pictures[0].caption.as_str()), (vec![2, 1], "+2.00"));
    for (index, hint) in [("x[3]", "below 3"), ("x[1..4]", "within 0..3"), ("[x, x][2]", "below 2")]
    {
        let e = error(&format!("x = render(sample(n: 3))\n{index}"));
        assert!(
            e.kind() == Kind::Runtime && e.repair().is_some_and(|r| r.contains(hint)),
            "{index}: {e}"
        );
    }
}

/// Programs that the checker accepts compute a value of the predicted type; programs that it
/// refuses would fail.
#[test]
fn checker_and_evaluator_agree_on_every_index_of_every_value() {
    let folder = tempfile::tempdir().unwrap();
    let mut s = session(folder.path());
    let values = [
        ("number", "2", ""),
        ("text", "\"text\"", ""),
        ("truth", "true", ""),
        ("range", "0..4", ""),
        ("space", "W", ""),
        ("model", "load(\"toy\")", ""),
        ("table", "info()", ""),
        ("numbers", "[1, 2]", "Number List[Number] List[Number]"),
        ("codes", "[sample(), sample()]", "Latent[W] List[Latent[W]] List[Latent[W]]"),
        ("batch", "render(sample(n: 2))", "Image Image Image"),
        ("z", "sample(space: Z)", ""),
        ("w", "sample(n: 2)", "Latent[W] Latent[W] Latent[W]"),
        ("wide", "to(W+, sample(n: 2))", "Latent[W+] Latent[W+] Latent[W+]"),
        ("part", "to(W+, sample())[2..5]", "Latent[W+] Latent[W+] Latent[W+]"),
        ("styles", "sample(space: S)", "Latent[S] Latent[S] Latent[S]"),
        ("inverted", "invert(sample(), steps: 1)", "Latent[W+] Latent[W+] Latent[W+]"),
        ("narrow", "invert(sample(), space: Z, steps: 1)", ""),
        ("smile", "direction(\"smile\")", ""),
        ("layered", "direction(\"smile\") @ 0..4", ""),
        ("frames", "path(to(W+, sample()), to(W+, sample(seed: 1)), frames: 3)", ""),
    ];
    for (name, value, _) in values {
        run_in(&mut s, &format!("{name} = {value}")).unwrap();
    }
    for (name, _, types) in values {
        let mut seen = Vec::new();
        for index in
            ["1", "0..2", "0..2 by 1", "0..2 by 2", "-1", "0.5", "1..1", "1..0", "\"a\"", "w"]
        {
            let code = format!("it = {name}[{index}]");
            let (said, made) = types_of_it(&mut s, &code);
            match (said, made) {
                (Ok(said), Ok(made)) => {
                    assert_eq!(said, made, "{code}");
                    seen.push(said);
                }
                (Err(said), Err(made)) => {
                    assert!(said.repair().is_some() && made.span().is_some(), "{code}: {made}")
                }
                // Which rows a table has is not known before.
                (Ok(_), Err(made)) if name == "table" => {
                    assert!(made.message().contains("no row or column"), "{code}: {made}");
                }
                (said, made) => panic!("{code}: the checker says {said:?}, the evaluator {made:?}"),
            }
        }
        assert_eq!(seen.join(" "), types, "{name}");
    }
}

#[test]
fn what_is_made_of_itself_again_and_again_stays_small() {
    let again = |line: &str| format!("{line}\n").repeat(60);
    let code = format!(
        "d = direction(\"smile\")\nc = sample(seed: 1, space: W)\n{}{}",
        again("d = d + d * 0.5; d = d | [direction(\"age\")]"),
        again("c = c + d; c = c - d")
    );
    let folder = tempfile::tempdir().unwrap();
    let mut s = session(folder.path());
    run_in(&mut s, &code).unwrap();
    match (&s.names["d"], &s.names["c"]) {
        (Value::Direction(d), Value::Latent(c)) => {
            let words = d.iter().map(|(_, d)| d.name.len().max(d.origin.len()));
            assert!(words.max().unwrap().max(c.origin.len()) < 4000);
        }
        _ => panic!("a direction and a code"),
    }
}

/// `code` moved by `what`, compared with the same done by hand in that space: 0 when it is that.
fn same_step(code: &str, what: &str, by_hand: &str) {
    let program = format!("c = {code}\nprint(norm((c + {what}) - (c + {by_hand})))");
    assert_eq!(run(&program).unwrap().printed, ["0"], "{program}");
}

#[test]
fn a_named_direction_is_taken_in_the_space_of_the_code_that_it_moves() {
    let name = |name: &str, space: &str| format!("direction(\"{name}\", space: {space})");
    let own = |space: &str| format!("to({space}, sample(seed: 1, space: Z))");
    for space in ["Z", "W", "W+", "S"] {
        let smile = name("smile", space);
        same_step(&own(space), "direction(\"smile\")", &smile);
        // Arithmetic waits for the code.
        same_step(&own(space), "-2*direction(\"smile\")/4", &format!("-0.5*{smile}"));
        let code = format!(
            "c = {}; d = direction(\"smile\"); s = strip(c, along: d, from: 0, to: 2, n: 3)\n\
             print(mae(s[2], c + 2*{smile}))",
            own(space)
        );
        assert_eq!(run(&code).unwrap().printed, ["0"], "{code}");
    }
    for space in ["W+", "S"] {
        let smile = name("smile", space);
        same_step(&own(space), "(direction(\"smile\") @ 0..3)", &format!("({smile} @ 0..3)"));
    }
    same_step(&own("W"), "(direction(\"smile\") @ 2)", &format!("({} @ 2)", name("smile", "W")));
}

#[test]
fn all_parts_of_an_edit_come_from_one_space() {
    let name = |name: &str, space: &str| format!("direction(\"{name}\", space: {space})");
    // The toy knows smile in W+, and age not: together they are W's in W+ as well.
    for (space, from) in [("Z", "Z"), ("W", "W"), ("W+", "W"), ("S", "S")] {
        let code = format!("to({space}, sample(seed: 1, space: Z))");
        let (smile, age) = (name("smile", from), name("age", from));
        for (open, by_hand) in [
            ("(direction(\"smile\") | direction(\"age\"))", format!("({smile} | {age})")),
            ("(direction(\"age\") | [direction(\"smile\")])", format!("({age} | [{smile}])")),
            ("(2*direction(\"smile\") - direction(\"age\"))", format!("(2*{smile} - {age})")),
        ] {
            same_step(&code, open, &by_hand);
        }
    }
    // A value of one space decides for those that exist in several.
    for space in ["Z", "W", "W+", "S"] {
        let smile = name("smile", space);
        let code = format!(
            "d = to({space}, sample(seed: 1, space: Z)) - to({space}, sample(seed: 2, space: Z))\n\
             s = direction(\"smile\")\nprint(norm((s + d) - ({smile} + d)), norm((d | s) - (d | \
             {smile})))\n\
             print(cosine(s, d) - cosine({smile}, d))"
        );
        assert_eq!(run(&code).unwrap().printed, ["0 0", "0"], "{code}");
    }
    for (code, hint) in [
        ("direction(\"smile\", space: W+) | direction(\"age\")", "one space"),
        ("(to(W+, sample()) - to(W+, sample(seed: 1))) + direction(\"age\")", "one space"),
    ] {
        let e = error(code);
        assert_eq!(e.kind().exit_code(), 2, "never mixed: {code}: {e}");
        assert!(e.repair().unwrap().contains(hint), "{e}");
    }
    // The evaluator says the same where the checker cannot know.
    let hidden = "def f(a, b) = a + b\nl = [direction(\"smile\", space: W+), 3]\n\
                  f(l[0], direction(\"age\"))";
    let e = error(hidden);
    assert_eq!((e.kind(), e.repair().unwrap().contains("one space")), (Kind::Runtime, true), "{e}");
}

#[test]
fn the_caption_and_info_say_which_direction_was_taken() {
    let origin = |code: &str| match &run(code).unwrap().shown[0].1 {
        Value::Latent(l) => l.origin.clone(),
        other => panic!("{other:?}"),
    };
    assert!(origin("to(W+, sample()) + direction(\"smile\")").contains("own smile of W+"));
    assert!(origin("to(W+, sample()) + direction(\"age\")").contains("own age of W)"));
    assert!(origin("to(S, sample()) + direction(\"age\")").contains("own age of S"));
    let kept =
        run("direction(\"smile\")\ninfo(direction(\"smile\"))\ncosine(direction(\"smile\"), \
                    direction(\"age\"), direction(\"glasses\"))")
        .unwrap();
    assert!(
        kept.shown[0].0.lines[0].contains("Direction[W, W+, S, Z] smile"),
        "{:?}",
        kept.shown[0].0
    );
    let info = kept.shown[1].0.lines.join("\n");
    for part in ["W, W+, S and Z", "of         W+", "of         S"] {
        assert!(info.contains(part), "{info}");
    }
    assert!(kept.shown[2].0.lines.iter().any(|l| l.contains("directions in W,")));
}

#[test]
fn the_checker_and_the_evaluator_take_the_same_form() {
    let mut s = session(Path::new("."));
    for code in ["Z", "W", "W+", "S"] {
        for d in [
            "direction(\"smile\")",
            "direction(\"age\")",
            "direction(\"smile\") | direction(\"age\")",
            "direction(\"smile\") @ 1..3",
            "(direction(\"smile\") @ 1..3) + direction(\"age\")",
            "direction(\"smile\", space: W)",
            "direction(\"age\", space: W) @ 2",
        ] {
            let code = format!("it = to({code}, sample(seed: 1, space: Z)) + ({d})");
            let (said, made) = types_of_it(&mut s, &code);
            assert_eq!(said.is_ok(), made.is_ok(), "{code}: {said:?} {made:?}");
            if let (Ok(said), Ok(made)) = (said, made) {
                assert_eq!(said, made, "{code}");
            }
        }
    }
}

#[test]
fn a_first_ctrl_c_ends_what_keeps_nothing() {
    for code in ["[i for i in 0..9]", "sample(n: 20)", "print([1, 2])", "psnr(sample(), sample())"]
    {
        let control = Control::default();
        control.request(Stop::Keep);
        let folder = tempfile::tempdir().unwrap();
        let source = Source::new("test", code).unwrap();
        let mut kept = Kept::default();
        let e = session(folder.path()).run(&source, &BTreeMap::new(), &control, &mut kept);
        let e = e.unwrap_err();
        assert!(e.kind() == Kind::Interrupted && kept.shown.is_empty(), "{code}: {e}");
        assert!(!e.message().contains("best so far"), "{code}: {e}");
    }
}

#[test]
fn a_named_direction_is_saved_in_all_its_spaces() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("d.safetensors").display().to_string();
    let mut s = session(folder.path());
    run_in(&mut s, "d = 2*direction(\"smile\"); save(d, \"d.safetensors\")").unwrap();
    let code = format!(
        "e = direction(\"{at}\")\nfor_all = [norm((c + d) - (c + e)) for c in \
         [sample(space: Z), sample(), to(W+, sample()), sample(space: S)]]\nprint(for_all)"
    );
    assert_eq!(run_in(&mut s, &code).unwrap().printed, ["[0, 0, 0, 0]"]);
}

/// The type of `it` after a statement: as the checker says it, and as the evaluator makes it.
fn types_of_it(s: &mut State, code: &str) -> (Result<String>, Result<String>) {
    let source = Source::new("test", code).unwrap();
    let said = s.check(&source, &BTreeMap::new());
    let said = said.map(|checked| checked.bindings["it"].to_string());
    let (program, _) = parse::parse(&source);
    let made = s.step(&source, &program.statements[0], &Control::default(), &mut Kept::default());
    (said, made.map(|()| s.names["it"].ty().to_string()))
}

/// A call of a built-in with all that it needs, and `argument` besides.
fn call_with(signature: &Signature, argument: (&str, &str)) -> String {
    use crate::lang::types::Kind;
    let value = |kind: Kind, name: &str| match kind {
        Kind::Latent if name == "codes" => "sample(n: 3)",
        Kind::Latent => "sample()",
        Kind::Direction => "direction(\"smile\")",
        Kind::Image => "render(sample())",
        Kind::Range => "0..2",
        Kind::Space => "W+",
        Kind::Number | Kind::Any => "1",
        Kind::Choice if name == "what" => "encoder",
        Kind::List => "[1, 2]",
        Kind::Mask => "mask(box: [0, 0, 1, 1])",
        Kind::Text if signature.name == "image" => "\"models/faces/examples/900000.jpg\"",
        Kind::Text => "\"x.png\"",
        other => panic!("no value of {other:?}"),
    };
    let needed = signature.params.iter().filter(|p| p.default.is_none() && p.name != argument.0);
    let needed = needed.map(|p| format!("{}: {}", p.name, value(p.accepts[0], p.name)));
    // A method's own parameter has a use with that method only.
    let method = crate::invert::METHODS
        .iter()
        .find(|m| signature.name == "invert" && m.params.iter().any(|p| p.name == argument.0));
    let method = method.map(|m| format!("method: {}", m.name));
    let given = format!("{}: {}", argument.0, argument.1);
    let all: Vec<String> = needed.chain(method).chain([given]).collect();
    format!("{}({})", signature.name, all.join(", "))
}

#[test]
fn a_number_that_a_parameter_does_not_take_is_refused_before_anything_runs() {
    let check = |code: &str| {
        let s = session(Path::new("."));
        s.check(&Source::new("test", code).unwrap(), &BTreeMap::new()).map(|_| ())
    };
    let mut seen = 0;
    for b in builtins::ALL {
        for p in b.signature.params {
            let number = p.accepts.contains(&crate::lang::types::Kind::Number);
            let tagged = p.choices.iter().any(|c| c.ends_with(':'));
            let Some(bounds) = p.bounds else {
                let layers = p.accepts.contains(&crate::lang::types::Kind::Range);
                assert!(
                    (!number && !tagged) || layers,
                    "{} {}: no bounds",
                    b.signature.name,
                    p.name
                );
                continue;
            };
            seen += 1;
            let word = p.choices.iter().find(|c| c.ends_with(':')).copied().unwrap_or_default();
            let mut wrong = vec![bounds.from - 1.0, bounds.to * 2.0 + 1.0];
            wrong.extend(bounds.whole.then_some(bounds.from + 0.5));
            for n in wrong {
                let code = call_with(&b.signature, (p.name, &format!("{word} {n}")));
                let e = check(&code).err().unwrap_or_else(|| panic!("accepted: {code}"));
                assert_eq!(e.kind(), Kind::Check, "{code}: {e}");
                assert_eq!(underlined(&code, &e), n.to_string(), "{code}: {e}");
                assert!(e.message().contains(&bounds.to_string()), "{code}: {e}");
                let fix = e.applied().unwrap_or_else(|| panic!("no repair: {code}: {e}"));
                let (from, to) = (fix.span.start, fix.span.end);
                let mended = format!("{}{}{}", &code[..from], fix.text, &code[to..]);
                // Other requirements of the generator or of another argument do not concern this
                // parameter.
                let left = check(&mended).err().map(|e| e.to_string()).unwrap_or_default();
                assert!(!left.contains(&bounds.to_string()), "{mended}: {left}");
                // These look for their files before anything else, and there are none here.
                if ["latent", "images", "faces"].contains(&b.signature.name) {
                    continue;
                }
                // For values known only at run time, the evaluator applies the same bounds.
                let hidden = call_with(&b.signature, (p.name, &format!("{word} l[0]")));
                let e = error(&format!("l = [{n}, \"\"]\n{hidden}"));
                // What the generator does not have is refused before anything runs.
                if e.kind() == Kind::Check && e.message().starts_with("toy ") {
                    continue;
                }
                assert_eq!(e.kind(), Kind::Runtime, "{hidden}: {e}");
                assert!(e.message().contains(&bounds.to_string()), "{hidden}: {e}");
            }
        }
    }
    assert!(seen > 20, "only {seen} parameters have bounds");
}

#[test]
fn what_can_be_known_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let s = session(folder.path());
    for code in [
        "save(sample(), \"../x.png\")",
        "save(sample(), \"/tmp/gannet-escape.png\", outside: false)",
        "p = \"a/../../x.png\"\nsave(sample(), p)",
        "strip(sample(n: 2), along: direction(\"smile\"))",
        "lerp(sample(n: 2), sample(n: 3), 0.5)",
        "cosine(direction(\"smile\"))",
        "sample(class: 1)",
        "render(sample(), cutoff: 9)",
        "psnr(sample(), image(\"models/faces/examples/900000.jpg\", size: 8))",
        "invert(sample(), init: best_of: 0)",
        "invert(sample(), steps: -5)",
        "save(sample(), \"x.csv\")",
        "save(measure(sample(), mean_w()), \"x.png\")",
    ] {
        let source = Source::new("test", code).unwrap();
        let e = s.check(&source, &BTreeMap::new()).err().unwrap_or_else(|| panic!("{code}"));
        assert_eq!(e.kind(), Kind::Check, "{code}: {e}");
        assert!(e.repair().is_some(), "{code}: {e}");
    }
    // Paths typed by the user may lead anywhere, and so may those of a script that says so.
    let typed = State { options: Options { confined: false, ..s.options.clone() }, ..s.clone() };
    let leaving = Source::new("test", "save(sample(), \"../x.png\")").unwrap();
    assert!(typed.check(&leaving, &BTreeMap::new()).is_ok());
    let said = Source::new("test", "save(sample(), \"../x.png\", outside: true)").unwrap();
    assert!(s.check(&said, &BTreeMap::new()).is_ok());
}

/// The checker's error for a program, and the program with the repair applied.
fn repaired(code: &str) -> (Error, Option<String>) {
    let s = session(Path::new("."));
    let check = |code: &str| s.check(&Source::new("test", code).unwrap(), &BTreeMap::new());
    let e = check(code).err().unwrap_or_else(|| panic!("accepted: {code}"));
    let mended = e
        .applied()
        .map(|fix| format!("{}{}{}", &code[..fix.span.start], fix.text, &code[fix.span.end..]));
    if let Some(mended) = &mended
        && let Err(e) = check(mended)
    {
        panic!("the repair of `{code}` leads to `{mended}`: {e}");
    }
    (e, mended)
}

#[test]
fn every_repair_is_applied_and_checks() {
    for (code, mended) in [
        ("sample(space: S) + direction(\"glasses\", space: W)", "+ direction(\"glasses\")"),
        ("to(W+, sample()) + 2*direction(\"age\", space: Z)", "+ 2*direction(\"age\")"),
        ("sample(seed: 1) @ 0..4", "to(W+, sample(seed: 1))[0..4]"),
        ("to(W+, sample()) @ 0..4", "to(W+, sample())[0..4]"),
        ("sample(space: w)", "sample(space: W)"),
        ("invert(sample(), space: w+, steps: 1)", "space: W+,"),
        ("image(models/faces/examples/900000.jpg)", "image(\"models/faces/examples/900000.jpg\")"),
        ("image(\"models/faces/examples/90000.jpg\")", "image(\"models/faces/examples/9000"),
        ("smaple(seed: 1)", "sample(seed: 1)"),
        ("sample(sed: 1)", "sample(seed: 1)"),
        ("direction(\"smlie\")", "direction(\"smile\")"),
        ("direction(\"age\", space: N)", "direction(\"age\", space: W)"),
        ("sample() + smlie", "sample() + smile"),
        ("sample(space: Z) + direction(\"age\", space: W)", "to(W, sample(space: Z)) +"),
        ("sample() + direction(\"age\", space: S)", "to(S, sample()) +"),
        ("to(W+, sample())[20]", "[7]"),
        ("sample()[2..4]", "to(W+, sample())[2..4]"),
        ("direction(\"smile\")[3]", "direction(\"smile\") @ 3"),
        ("direction(\"smile\")*direction(\"age\")", "direction(\"smile\") | direction(\"age\")"),
        ("sample() + sample(seed: 2)", "lerp(sample(), sample(seed: 2), 0.5)"),
        ("render(sample()) - render(sample())", "compare(render(sample()), render(sample()))"),
        ("direction(\"age\") - sample()", "sample() - direction(\"age\")"),
        ("sample() - sample(space: Z)", "sample() - to(W, sample(space: Z))"),
        ("invert(sample(), method: optimise, steps: 1)", "method: optimize"),
        ("invert(sample(), steps: -5)", "steps: 0"),
        ("strip(sample(), along: direction(\"age\"), n: 1.5)", "n: 2"),
        ("save(sample(), \"../x.png\")", "\"../x.png\", outside: true)"),
        ("sample() |> save(\"/x.png\", outside: false)", "outside: true"),
        ("[a for a in 3..0 by 1]", "by -1"),
        ("render(sample(), cutoff: 9)", "cutoff: 8"),
        ("a = 3 × 4", "a = 3 * 4"),
        ("a = 3 − 4", "a = 3 - 4"),
        ("print('words')", "print(\"words\")"),
        ("a = .5", "a = 0.5"),
    ] {
        let (e, found) = repaired(code);
        let found = found.unwrap_or_else(|| panic!("`{code}` cannot be repaired: {e}"));
        assert!(found.contains(mended), "`{code}`: `{found}`");
    }
    // These repairs depend on the intention, so the hint explains in words.
    for (code, words) in [
        ("image(\"none.jpg\")", "give the path of a png"),
        ("lerp(sample(), to(W+, sample()), 0.5)", "lift the other one first"),
        ("strip(sample(n: 2), along: direction(\"age\"))", "one strip each"),
        ("save(sample(), \"x.bmp\")", "one of png"),
        ("sample(space: F)", "one of its spaces"),
        ("cosine(direction(\"age\"))", "cosine(a, b)"),
        ("direction(\"beard\")", "one of"),
        ("to(W, to(W+, sample()))", "find the nearest W code"),
    ] {
        let (e, found) = repaired(code);
        assert!(found.is_none() && e.repair().is_some_and(|r| r.contains(words)), "{code}: {e}");
    }
}

/// Writes a small generator of this seed; its path.
pub(crate) fn small(folder: &Path, seed: u64) -> String {
    use crate::generator::toy::Toy;
    use crate::weights::{Manifest, safetensors};
    use candle_core::Device;

    let toy = Toy { seed, resolution: 8, ..Toy::default() };
    let tensors = toy.build(&Device::Cpu).unwrap().tensors().unwrap();
    let arrays = tensors.iter().map(|(name, t)| {
        let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (name.clone(), crate::weights::Array::f32(t.dims(), values).unwrap())
    });
    let manifest = Manifest {
        format: safetensors::FORMAT,
        family: "stylegan2".into(),
        config: serde_json::json!({"img_resolution": 8}),
        provenance: serde_json::Value::Null,
    };
    let bytes = safetensors::write_f32(&arrays.collect(), Some(&manifest)).unwrap();
    let path = folder.join(format!("g{seed}.safetensors"));
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

/// A generator that no value refers to is released; a code keeps its own, and brings it back when
/// it was released in between.
#[test]
fn generators_that_nothing_refers_to_are_released() {
    let folder = tempfile::tempdir().unwrap();
    let file = |seed| small(folder.path(), seed);
    let mut s = session(folder.path());
    let mut loaded = Vec::new();
    for seed in 0..50 {
        let keep = if seed == 3 { "c = sample(seed: 1); d = sample(seed: 2)" } else { "" };
        run_in(&mut s, &format!("load \"{}\"\n{keep}", file(seed))).unwrap();
        loaded.push(Arc::downgrade(s.model.as_ref().unwrap()));
    }
    let alive: Vec<usize> = (0..50).filter(|i| loaded[*i].strong_count() > 0).collect();
    assert_eq!(alive, [3, 48, 49], "that of the codes, and the two loaded last");
    run_in(&mut s, "print(norm(c - d) > 0)\nrender(c)\nc = 1; d = 1").unwrap();
    run_in(&mut s, &format!("load \"{}\"\nload \"toy\"\nload \"{}\"", file(60), file(61))).unwrap();
    assert_eq!(loaded[3].strong_count(), 0);
}

/// The generators of a session belong to it alone, and end with the last of its states.
#[test]
fn a_session_takes_its_generators_along() {
    let folder = tempfile::tempdir().unwrap();
    let code = format!("load \"{}\"\nc = sample(seed: 1)\nload \"toy\"", small(folder.path(), 0));
    let mut s = session(folder.path());
    run_in(&mut s, &code).unwrap();
    let Value::Latent(c) = &s.names["c"] else { panic!("c is {}", s.names["c"].ty()) };
    let (c, id) = (c.clone(), c.model.clone().unwrap());
    let own = Arc::downgrade(&s.models().alive(&id).unwrap());
    // A code that is brought into another session has no generator there.
    let mut other = session(folder.path());
    other.names.insert("c".into(), Value::Latent(c));
    let e = run_in(&mut other, "render(c)").err().unwrap();
    assert!(e.message().contains("is not loaded") && e.repair().is_some(), "{e}");
    let earlier = s.clone();
    drop(s);
    assert!(own.strong_count() > 0, "an earlier state, for undo");
    drop(earlier);
    assert_eq!(own.strong_count(), 0);
}

#[test]
fn tables_are_read_by_name_and_lists_by_element() {
    for (code, want) in [
        (
            "print(len([1, 2, 3]), sum([1, 2, 3]), min([2, 1]), max([2, 1]), mean([1, 2, 6]))",
            "3 6 1 2 3",
        ),
        ("print(len(sample(n: 4)), len(\"abc\"), len(sample(n: 3)[0..2]))", "4 3 2"),
        ("print([1, 2] + [3, 4], 2*[1, 2], [4, 9] / 2)", "[4, 6] [2, 4] [2, 4.5]"),
        (
            "m = measure(sample(seed: 1), sample(seed: 1)); print(m[\"mse\"], max(m[\"value\"]))",
            "0 inf",
        ),
        ("a = sample(n: 3, seed: 1); print(psnr(a[1], [c for c in a][1]))", "inf"),
        ("a = sample(n: 2, seed: 1); print(len(mean(a)), len(mean([a[0], a[1]])))", "1 1"),
    ] {
        assert_eq!(run(code).unwrap().printed, [want], "{code}");
    }
    for (code, words) in [
        ("measure(sample(), sample())[\"pnsr\"]", "psnr"),
        ("measure(sample(), sample())[0]", "by a name"),
        ("[1, 2] + [1]", "element by element"),
        ("sum([])", "empty"),
        ("sample(n: 2)[2]", "no code 2"),
        ("print(sum([sample()]))", "numbers"),
    ] {
        let e = run(code).err().unwrap_or_else(|| panic!("this ran: {code}"));
        let text = format!("{e} {}", e.repair().unwrap_or_default());
        assert!(text.contains(words), "{code}: {text}");
    }
}

#[test]
fn pictures_of_a_comprehension_say_what_they_are_of() {
    let kept = run("[sample(seed: 1, psi: p) for p in [0, 0.5]]").unwrap();
    let captions: Vec<&str> = kept.shown[0].0.pictures.iter().map(|p| p.caption.as_str()).collect();
    assert_eq!(captions, ["p = 0", "p = 0.5"]);
    let kept = run("show [sample(seed: s) for s in 0..2]").unwrap();
    let captions: Vec<&str> = kept.shown[0].0.pictures.iter().map(|p| p.caption.as_str()).collect();
    assert_eq!(captions, ["s = 0", "s = 1", "s = 2"]);
}

#[test]
fn one_table_compares_several_candidates() {
    let code = "x = sample(seed: 1); a = sample(seed: 1, psi: 0.9); compare(x, a, sample(seed: 2))";
    let kept = run(code).unwrap();
    let Value::Table(t) = &kept.shown[0].1 else { panic!() };
    assert_eq!(t.columns, ["metric", "a", "sample(seed: 2)"]);
    assert!(t.rows.iter().all(|r| r.len() == 3) && !t.definitions.is_empty());
    assert_eq!(t.notes.len(), 1, "{:?}", t.notes);
    let captions: Vec<&str> = t.pictures.iter().map(|p| p.captions[0].as_str()).collect();
    assert_eq!(captions, ["x", "a", "sample(seed: 2)"]);
    let kept = run("compare(sample(seed: 1), sample(seed: 2))").unwrap();
    let Value::Table(t) = &kept.shown[0].1 else { panic!() };
    assert_eq!((t.columns.len(), t.pictures.len()), (2, 3));
}

#[test]
fn a_candidate_of_another_size_is_scaled_and_said() {
    let of = |code: &str| match &run(code).unwrap().shown[0].1 {
        Value::Table(t) => t.clone(),
        other => panic!("{other:?}"),
    };
    let two = "x = sample(seed: 1); small = image(\"models/faces/examples/900000.jpg\", size: 8); \
               compare(x, x, small)";
    let t = of(two);
    assert_eq!(t.notes[0], "small: 8×8, scaled to the 32×32 of the target");
    assert!(t.pictures.iter().all(|p| p.dims()[2..] == [32, 32]));
    let psnr = |k: usize| match t.rows.iter().find(|r| r[0].shown() == "psnr").unwrap()[k] {
        Cell::Number(v, _) => v,
        _ => f64::NAN,
    };
    assert!(psnr(1).is_infinite() && psnr(2) > 0.0 && psnr(2) < 40.0);
    // A metric measures what it gets: it scales nothing.
    assert!(run("psnr(sample(), image(\"models/faces/examples/900000.jpg\", size: 8))").is_err());
}

#[test]
fn tables_in_a_list_are_shown_one_after_the_other() {
    let kept = run("m = measure(sample(seed: 1), sample(seed: 2)); [m, m]").unwrap();
    let lines = &kept.shown[0].0.lines;
    assert_eq!(lines.iter().filter(|l| l.starts_with("metric")).count(), 2, "{lines:?}");
    assert!(!lines.iter().any(|l| l.contains('[')), "{lines:?}");
}
