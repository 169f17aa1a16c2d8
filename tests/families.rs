//! Every family through everything that a user does with a generator: draw, render, edit, invert,
//! save and load again, and the options that it has and lacks.
//!
//! The generators are small ones of `tests/reference`, one or more of each family.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

#[path = "parity_support/numbers.rs"]
#[allow(dead_code, reason = "other tests compare as well")]
mod support;

use candle_core::{Tensor, Var};
use gannet::builtin::Output;
use gannet::control::Control;
use gannet::error::{Error, Kind, Result};
use gannet::eval::{Options, State};
use gannet::generator::registry::FAMILIES;
use gannet::generator::{Generator, Input, Prior, Spec, spaces};
use gannet::lang::span::Source;
use gannet::limits::LIMITS;
use gannet::render::Block;
use gannet::space::Space;
use gannet::value::{Models, Value};
use gannet::weights::{self, safetensors};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use support::{flat, folder};

/// Folder and name of the generators.
const CASES: [(&str, &str); 16] = [
    ("biggan", "aj_hier_16"),
    ("biggan", "hf_16"),
    ("biggan", "st_big_16_free"),
    ("dcgan", "conv_first_32"),
    ("dcgan", "one_hot_32"),
    ("eg3d", "auto_32"),
    ("fastgan", "projected_lite_128"),
    ("lightweight_gan", "plain_32"),
    ("lucidrains_stylegan2", "plain_16"),
    ("mobilestylegan", "mobile_32"),
    ("pggan", "genforce_16"),
    ("r3gan", "r3gan_8_c3"),
    ("stylegan1", "genforce_16_labels"),
    ("stylegan2_layouts", "genforce_labels_16"),
    ("stylegan2_layouts", "rosinality_16"),
    ("styleganxl", "xl_r_16_c4"),
];

/// Lines that a program prints.
#[derive(Default)]
struct Printed(Vec<String>);

impl Output for Printed {
    fn display(&mut self, _: &[Block], _: &Value) -> Result<()> {
        Ok(())
    }

    fn print(&mut self, line: &str) -> Result<()> {
        self.0.push(line.to_owned());
        Ok(())
    }
}

/// A generator in a folder of its own.
struct Bench {
    name: &'static str,
    place: tempfile::TempDir,
    state: State,
    spec: Spec,
    generator: std::sync::Arc<dyn Generator>,
}

/// The file of a case; those of plain generators hold reference numbers as well, which go.
fn file_of((group, name): (&str, &str), place: &Path) -> PathBuf {
    let from = folder(group).join(format!("{name}.safetensors"));
    let to = place.join("model.safetensors");
    if group == "dcgan" {
        let all = weights::open(&from, &LIMITS).unwrap().weights.arrays().unwrap();
        let own = all.into_iter().filter(|(n, _)| !n.starts_with("ref.")).collect();
        std::fs::write(&to, safetensors::write(&own, None).unwrap()).unwrap();
    } else {
        std::fs::copy(&from, &to).unwrap();
    }
    let beside = folder(group).join(format!("{name}.json"));
    if beside.exists() {
        std::fs::copy(beside, place.join("model.json")).unwrap();
    }
    to
}

fn bench(case: (&'static str, &'static str)) -> Bench {
    let place = tempfile::tempdir().unwrap();
    let file = file_of(case, place.path());
    let models = Models::cpu();
    let loaded = models.load(&file.to_string_lossy()).unwrap_or_else(|e| panic!("{case:?}: {e}"));
    let (spec, generator) = (loaded.spec().clone(), loaded.generator().unwrap().clone());
    let options = Options { out: place.path().to_owned(), ..Options::default() };
    let state = State::new(models, &file.to_string_lossy(), options).unwrap();
    Bench { name: case.1, place, state, spec, generator }
}

impl Bench {
    fn run(&mut self, program: &str) -> Result<Vec<String>> {
        let source = Source::new("test", program).unwrap();
        let mut printed = Printed::default();
        let none = BTreeMap::new();
        self.state.run(&source, &none, &Control::default(), &mut printed)?;
        Ok(printed.0)
    }

    /// Runs a program whose every line must be `true`.
    fn holds(&mut self, program: &str) {
        let lines = self.run(program).unwrap_or_else(|e| panic!("{}: {program}: {e}", self.name));
        assert!(!lines.is_empty(), "{}: {program} printed nothing", self.name);
        assert!(lines.iter().all(|l| l == "true"), "{}: {program}: {lines:?}", self.name);
    }

    /// `, class: 0` where the generator needs one.
    fn class(&self) -> &'static str {
        if self.spec.classes() > 0 { ", class: 0" } else { "" }
    }

    /// The checker refuses a program with a repair unless the generator can do it.
    fn decided(&mut self, program: &str, can: bool) {
        match self.run(program) {
            Ok(_) => assert!(can, "{}: {program} ran", self.name),
            Err(e) => {
                assert!(!can, "{}: {program}: {e}", self.name);
                assert!(refused_by_checker(&e), "{}: {program}: {e}", self.name);
            }
        }
    }

    /// Spaces that its codes can be searched in.
    fn searched(&self) -> Vec<Space> {
        let all = [Space::Z, Space::W, Space::WPlus, Space::S];
        all.into_iter().filter(|s| self.spec.spaces.contains(s)).collect()
    }
}

fn refused_by_checker(e: &Error) -> bool {
    e.kind() == Kind::Check && e.repair().is_some() && e.span().is_some()
}

fn draws_and_edits(b: &mut Bench) {
    let class = b.class();
    b.holds(&format!(
        "a = sample(n: 2, seed: 1{class})\n\
         d = sample(seed: 2{class}) - sample(seed: 3{class})\n\
         print(mae(render(a), render(a)) == 0)\n\
         print(mae(render(a + 0.5*d), render(a)) > 0)\n\
         print(norm(d) > 0)"
    ));
    for space in b.searched() {
        let file = format!("code_{}.safetensors", space.name().replace('+', "p"));
        b.holds(&format!(
            "c = sample(seed: 4, space: {space}{class})\nsave(c, \"{file}\")\nprint(true)"
        ));
        let path = b.place.path().join(&file);
        let bytes = std::fs::read(&path).unwrap();
        let shown = path.display();
        b.holds(&format!(
            "c = sample(seed: 4, space: {space}{class})\n\
             again = latent(\"{shown}\")\n\
             print(mae(render(c), render(again)) == 0)\n\
             save(again, \"again_{file}\")"
        ));
        let again = std::fs::read(b.place.path().join(format!("again_{file}"))).unwrap();
        let numbers = |bytes: Vec<u8>| {
            let opened = weights::open_bytes("code", bytes, &LIMITS).unwrap();
            opened.weights.arrays().unwrap()
        };
        assert!(numbers(bytes) == numbers(again), "{}: a code of {space}", b.name);
    }
}

fn inverts(b: &mut Bench) {
    let class = b.class();
    for space in b.searched() {
        b.holds(&format!(
            "t = render(sample(seed: 5{class}))\n\
             r = invert(t, space: {space}, method: optimize, steps: 3{class})\n\
             print(mae(render(r), t) < 10)"
        ));
    }
}

/// The gradient of the picture to a code of every space is finite and not zero.
fn has_gradients(b: &Bench) {
    let g = &*b.generator;
    let labels = (b.spec.classes() > 0).then(|| {
        let one: Vec<f32> = (0..b.spec.c_dim).map(|i| f32::from(u8::from(i == 0))).collect();
        Tensor::from_vec(one, (1, b.spec.c_dim), g.device()).unwrap()
    });
    let input = Input::labelled(labels.as_ref());
    for space in b.searched() {
        let draw = spaces::Draw { seed: 6, space, labels: labels.as_ref(), ..Default::default() };
        let code = spaces::sample(g, 1, draw).unwrap();
        let v = Var::from_tensor(code.point()).unwrap();
        let picture = spaces::picture(g, &v, space, &input).unwrap();
        let grads = picture.sqr().unwrap().mean_all().unwrap().backward().unwrap();
        let slope = flat(grads.get(&v).unwrap_or_else(|| panic!("{}: {space}", b.name)));
        assert!(slope.iter().all(|v| v.is_finite()), "{}: {space}", b.name);
        assert!(slope.iter().any(|v| *v != 0.0), "{}: {space}", b.name);
    }
}

/// The checker permits what the generator can do and refuses the rest.
fn options_are_decided(b: &mut Bench) {
    let (inputs, class) = (b.spec.inputs, b.class());
    let scales = matches!(b.spec.prior, Prior::Scaled { .. });
    let has_w = b.spec.spaces.contains(&Space::W);
    let classes = b.spec.classes();
    b.decided(&format!("sample(seed: 1, psi: 0.5, space: Z{class})"), scales);
    b.decided(&format!("sample(seed: 1, psi: 0.5{class})"), scales || has_w);
    b.decided(&format!("sample(seed: 1, psi: 1, space: Z{class})"), true);
    if has_w {
        b.decided(&format!("sample(seed: 1, psi: 0.5, space: W{class})"), true);
    }
    b.decided("sample(seed: 1, class: 0)", classes > 0);
    b.decided("sample(seed: 1)", classes == 0);
    let target = format!("render(sample(seed: 1{class}))");
    b.decided(&format!("invert({target}, method: optimize, steps: 1)"), classes == 0);
    b.decided(&format!("sample(seed: 1, class: {classes})"), false);
    let render = |option: &str| format!("render(sample(seed: 1{class}), {option})");
    b.decided(&render("psi: 0.5"), has_w);
    b.decided(&render("rotate: 5"), inputs.transform);
    b.decided(&render("rotate: 0"), true);
    for option in ["yaw: 5", "pitch: -5", "fov: 20", "depth: true"] {
        b.decided(&render(option), inputs.camera);
    }
    b.decided(&render("depth: false"), true);
    b.decided(&render("truncation: 0.5"), inputs.truncation);
}

/// Facts that `gannet info --json` promises of a generator.
fn described(b: &Bench) {
    let facts = serde_json::to_value(&b.spec).unwrap();
    for key in ["name", "family", "width", "height", "channels", "z_dim", "w_dim", "c_dim"] {
        assert!(!facts[key].is_null(), "{}: {key}", b.name);
    }
    assert_eq!(b.spec.fingerprint.len(), 64, "{}", b.name);
    assert!(b.spec.parameters > 0 && !b.spec.layers.is_empty(), "{}", b.name);
}

#[test]
fn every_family_does_what_a_user_does() {
    let mut seen = BTreeSet::new();
    for case in CASES {
        let start = std::time::Instant::now();
        let mut b = bench(case);
        seen.insert(b.spec.family.clone());
        described(&b);
        has_gradients(&b);
        draws_and_edits(&mut b);
        inverts(&mut b);
        options_are_decided(&mut b);
        println!("{}/{}: {:.1} s", case.0, case.1, start.elapsed().as_secs_f64());
    }
    let missing: Vec<&str> =
        FAMILIES.iter().map(|f| f.name).filter(|name| !seen.contains(*name)).collect();
    assert!(missing.is_empty(), "families without a case: {missing:?}");
}
