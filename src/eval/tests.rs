//! Programs on the toy generator, and every example of every built-in function.

use super::*;
use crate::error::Kind;
use crate::render::Display;
use std::path::Path;

/// Keeps what a program shows and prints.
#[derive(Default)]
struct Kept {
    shown: Vec<(Display, Value)>,
    printed: Vec<String>,
}

impl Output for Kept {
    fn display(&mut self, display: &Display, value: &Value) -> Result<()> {
        self.shown.push((display.clone(), value.clone()));
        Ok(())
    }

    fn print(&mut self, line: &str) -> Result<()> {
        self.printed.push(line.to_owned());
        Ok(())
    }
}

fn session(out: &Path) -> Session {
    Session::new("toy", Options { out: out.to_owned(), ..Options::default() }).unwrap()
}

fn run_in(session: &mut Session, code: &str) -> Result<Kept> {
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
            // What an example saves and reads again lies in a folder of its own.
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
        Session::new(&model.to_string_lossy(), options).unwrap()
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
    assert!(ran.len() * 2 > all, "{} of {all} ran: {ran:?}", ran.len());
    let code = "d = sample(seed: 2) - sample(seed: 1)\n\
                strip(sample(seed: 1), along: d, n: 3)\nslerp(sample(seed: 1), sample(seed: 2), 0.5)\n\
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
                print(cosine(direction(\"glasses\") | [b, c], b)); print(cosine(direction(\"glasses\") | [b, c], c))\n\
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
    let code = "a = to(W+, sample(seed: 1)); b = to(W+, sample(seed: 2)); m = mix(a, b, layers: 2..5)\n\
                print(norm(m[0..2] - a[0..2]), norm(m[2..5] - b[2..5]), norm(m[5..8] - a[5..8]))\n\
                d = direction(\"smile\") @ 2..5\nn = a + d\nprint(norm(n[0..2] - a[0..2]), norm(n[5..8] - a[5..8]))";
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
    let code = "a = sample(seed: 1); b = sample(seed: 2)\nprint(norm(lerp(a, b, 0) - a), norm(lerp(a, b, 1) - b))\n\
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
fn an_assert_that_fails_names_both_sides() {
    let e = error("x = 2\nassert x > 5");
    assert_eq!((e.kind(), e.span_text()), (Kind::Assertion, "2 > 5"));
    assert_eq!(e.kind().exit_code(), 1);
}

#[test]
fn the_issues_wrong_programs_fail_before_anything_runs_and_their_repairs_work() {
    let cases = [
        ("z = sample(space: Z)\nshow z + direction(\"smile\")", "smile"),
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
    let mut d = model::load("toy").unwrap().directions.get("smile").unwrap().clone();
    d.model = Some(crate::latent::ModelId { name: "other".into(), fingerprint: "ab12".repeat(16) });
    let mut s = session(folder.path());
    s.names.insert("d".into(), Value::Direction(d));
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
    let control = Control::default();
    control.request(Stop::Keep);
    let folder = tempfile::tempdir().unwrap();
    let mut s = session(folder.path());
    let source = Source::new("test", "r = invert(sample(seed: 1), steps: 500)\nprint(1)").unwrap();
    let mut kept = Kept::default();
    let e = s.run(&source, &BTreeMap::new(), &control, &mut kept).unwrap_err();
    assert_eq!(e.kind().exit_code(), 130);
    assert!(matches!(s.names.get("r"), Some(Value::Inversion(_))), "the best so far is bound");
    assert!(kept.printed.is_empty(), "nothing ran after it");
}

#[test]
fn a_bare_number_comes_with_its_definition() {
    let kept = run("psnr(sample(seed: 1), sample(seed: 2))\n2 + 2").unwrap();
    assert!(kept.shown[0].0.lines[0].contains("peak"), "{:?}", kept.shown[0].0.lines);
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
    let code = "load \"models/faces/generator.safetensors\"; load \"models/faces\"; load \"faces\"\n\
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
        (i.config.method.name(), i.config.plan(), i.code.space.name())
    };
    let plan = |s: &str| s.to_owned();
    assert_eq!(how("steps: 2"), ("hybrid", plan("3 passes + 2 steps"), "W+"));
    assert_eq!(how("space: W, steps: 2"), ("hybrid", plan("3 passes + 2 steps"), "W"));
    assert_eq!(how("steps: 2, init: mean"), ("optimize", plan("2 steps"), "W+"));
    assert_eq!(how("space: Z, steps: 1"), ("optimize", plan("1 step"), "Z"));
    assert_eq!(how("method: encoder"), ("encoder", plan("3 passes"), "W+"));
    assert_eq!(how("method: encoder, steps: 1"), ("encoder", plan("1 pass"), "W+"));
    assert_eq!(
        how("method: hybrid, passes: 0, steps: 2"),
        ("hybrid", plan("0 passes + 2 steps"), "W+")
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
fn style_codes_are_the_same_pictures_and_move_in_their_own_space() {
    let code = "w = sample(seed: 1); s = to(S, w); d = direction(\"smile\", space: S)\n\
                print(mae(w, s), norm((s + 2*d - s) - 2*d) / norm(d) < 1e-5, norm(s - to(S, to(W+, w))))\n\
                print(mae(render(w, psi: 0.5, cutoff: 3), render(s, psi: 0.5, cutoff: 3)) < 1e-4)\n\
                print(cosine(to(S, w + direction(\"smile\")) - s, d) > 0.9999)\n\
                print(norm(lerp(s, to(S, sample(seed: 2)), 0) - s), mae(sample(seed: 1, space: S), w))\n\
                strip(s, along: d, n: 3); grid([s, s + d]); show s, s + 2*(d | [direction(\"age\", space: S)])";
    assert_eq!(run(code).unwrap().printed, ["0 true 0", "true", "true", "0 0"]);
    let code = "print(norm(direction(\"smile\", space: W+) - direction(\"smile\") @ 0..8))";
    assert_eq!(run(code).unwrap().printed, ["0"], "W directions are known in W+ as well");
}

#[test]
fn layers_of_styles_are_the_rows_of_w() {
    let code = "a = sample(seed: 1); b = sample(seed: 2); m = mix(to(S, a), b, layers: 2..5)\n\
                print(norm(m - to(S, mix(a, b, layers: 2..5))))\n\
                s = to(S, a); n = s + direction(\"smile\", space: S) @ 2..5\n\
                print(norm(n[0..2] - s[0..2]), norm(n[2..5] - s[2..5]) > 0, norm(n[5..8] - s[5..8]))";
    assert_eq!(run(code).unwrap().printed, ["0", "0 true 0"]);
}

#[test]
fn nothing_leads_out_of_the_styles_and_every_mistake_names_its_repair() {
    let cases = [
        ("s = to(S, sample())\nto(W+, s)", "invert(render"),
        ("w = sample()\nw + direction(\"smile\", space: S)", "to(S, w)"),
        ("s = sample(space: S)\ns + direction(\"smile\")", "direction of S"),
        ("s = sample(space: S)\nstrip(s, along: direction(\"smile\"))", "space: S"),
        ("w = sample()\nstrip(w, along: direction(\"smile\", space: S))", "to(S"),
        ("w = sample(); s = to(S, w)\nw - s", "to(S, w)"),
        ("w = sample(); s = to(S, w)\nlerp(w, s, 0.5)", "to(S"),
        ("s = sample(space: S)\ns[3..9]", "3..8"),
        ("d = direction(\"smile\", space: S)\nd @ 7..9", "7..8"),
        ("d = direction(\"smile\", space: S)\nd + direction(\"smile\")", "of S"),
        ("direction(\"smile\", space: N)", "direction(\"smile\", space: W)"),
        ("invert(sample(), space: F)", "S"),
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
    let all = "d = direction(\"smile\", space: S); e = direction(\"smile\"); save([d, e], \"d.safetensors\")\n\
               save(d, \"one.safetensors\")";
    run_in(&mut s, all).unwrap();
    let code = format!(
        "a = latent(\"{}\"); b = latent(\"{}\")\nprint(mae(a, s), mae(b, s))\n\
         print(norm(direction(\"{d}\", key: \"smile\", space: S) - d), norm(direction(\"{d}\", key: \"S/smile\") - d))\n\
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
    assert!(kept.shown[0].0.lines.len() > 1 && kept.shown[0].0.lines[1].contains("one step"));
    assert_eq!(kept.shown[1].0.lines.len(), 1);
    assert!(kept.shown[2].0.lines.iter().any(|l| l.contains("styles")));
}

#[test]
fn whoever_asks_for_alignment_hears_when_there_is_none() {
    let notes = |code: &str| match &run(code).unwrap().shown[0].1 {
        Value::Image(i) => i.notes.clone(),
        other => panic!("{other:?}"),
    };
    let file = "models/faces/examples/900000.jpg";
    let asked = notes(&format!("image(\"{file}\", align: auto)"));
    assert!(asked[0].contains("no network that finds faces"), "{asked:?}");
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
    // The identity is three numbers that nobody reads.
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names[2].contains("hair"), "{names:?}");
}

#[test]
fn strips_grids_and_paths_are_rendered_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = session(folder.path());
    let start = "w = sample(seed: 1); d = direction(\"smile\"); p = path(w, sample(seed: 2), frames: 20)\n\
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
    let code = "s = strip(r, along: d, from: 0, to: 19, n: 20); one = render(r + 13*d); bare = render(r + 13*d, noise: none)";
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
    let code = "r = invert([sample(seed: 1), sample(seed: 2)], space: W, steps: 3)\n[one for one in r]\n\
                alone = invert(sample(seed: 2), space: W, steps: 3)\nprint(norm([one for one in r][1] - alone))\n\
                codes = [c for c in sample(n: 3, seed: 5)]\nprint(norm(codes[0] - sample(seed: 5)))";
    let kept = run(code).unwrap();
    let Value::List(parts) = &kept.shown[0].1 else { panic!("a list") };
    assert!(
        parts
            .iter()
            .all(|p| matches!(p, Value::Inversion(i) if i.code.count() == 1 && i.loss.len() == 1))
    );
    assert_eq!((parts.len(), kept.printed), (2, vec!["0".to_owned(); 2]));
    // Of one alone there is nothing to go through.
    assert!(error("[c for c in sample()]").message().contains("cannot go through"));
}

#[test]
fn pictures_of_a_batch_are_chosen_like_elements_of_a_list() {
    let code = "x = render(sample(n: 3, seed: 5)); all = [one for one in x]\n\
                print(mae(x[0], render(sample(seed: 5))), mae(x[2], all[2]), mae(x[1..3][0], all[1]))\n\
                print(mae(x[0], x[1]) > 0); x[1..3]\n\
                s = strip(sample(seed: 1), along: direction(\"smile\"), from: 0, to: 2, n: 3); s[2]";
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

/// What the checker lets through is computed and has the type that it said; what it refuses would
/// have failed.
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
        ("w", "sample(n: 2)", ""),
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
            let source = Source::new("test", &code).unwrap();
            let said = s
                .check(&source, &BTreeMap::new())
                .map(|checked| checked.bindings["it"].to_string());
            let (program, _) = parse::parse(&source);
            let made = s.step(&program.statements[0], &Control::default(), &mut Kept::default());
            let made = made.map(|()| s.names["it"].ty().to_string());
            match (said, made) {
                (Ok(said), Ok(made)) => {
                    assert_eq!(said, made, "{code}");
                    seen.push(said);
                }
                (Err(said), Err(made)) => {
                    assert!(said.repair().is_some() && made.span().is_some(), "{code}: {made}")
                }
                (said, made) => panic!("{code}: the checker says {said:?}, the evaluator {made:?}"),
            }
        }
        assert_eq!(seen.join(" "), types, "{name}");
    }
}
