//! NVIDIA network pickles that the reference files do not cover, made by the tests' own assembler.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test"
)]

#[path = "weights_support/mod.rs"]
mod support;

use gannet::generator::{self, registry};
use gannet::limits::LIMITS;
use gannet::weights::{self, Checkpoint};
use serde_json::Value as Json;
use support::pickles::{bytes, call, global, int, ndarray, pickle, storage, tensor, text, tuple};

fn dict(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let body: Vec<u8> = pairs.iter().flat_map(|(k, v)| [text(k), v.clone()].concat()).collect();
    [b"}(", &body[..], b"u"].concat()
}

/// A persistent object with these parameters, modules and further attributes.
fn module(
    class: &str,
    own: &[(&str, Vec<u8>)],
    inner: &[(&str, Vec<u8>)],
    more: &[(&str, Vec<u8>)],
) -> Vec<u8> {
    let mut state =
        vec![("_parameters", dict(own)), ("_buffers", b"}".to_vec()), ("_modules", dict(inner))];
    state.extend(more.iter().cloned());
    let src = text("raise SystemExit('never run')");
    let meta = [
        ("type", text("class")),
        ("version", int(6)),
        ("module_src", src),
        ("class_name", text(class)),
        ("state", dict(&state)),
    ];
    call(global("torch_utils.persistence", "_reconstruct_persistent_obj"), &[dict(&meta)])
}

fn one() -> Vec<u8> {
    tensor(storage(1), 0, &[1], &[1])
}

fn open(body: &[u8]) -> gannet::error::Result<Checkpoint> {
    weights::open_bytes("net.pkl", pickle(body), &LIMITS)
}

/// The names of a checkpoint's tensors.
fn names(c: &Checkpoint) -> Vec<&String> {
    c.weights.list().tensors.keys().collect()
}

fn family(c: &Checkpoint) -> Option<&str> {
    registry::find(c.weights.list()).map(|place| place.family.name)
}

fn generator(input: &str) -> Vec<u8> {
    let input = module(input, &[("weight", one()), ("bias", b"N".to_vec())], &[], &[]);
    let synthesis = module("SynthesisNetwork", &[], &[("input", input)], &[]);
    let mapping = module("MappingNetwork", &[], &[], &[("num_layers", int(2))]);
    module(
        "Generator",
        &[],
        &[("synthesis", synthesis), ("mapping", mapping)],
        &[("z_dim", int(8))],
    )
}

#[test]
fn stylegan3_is_told_by_its_classes() {
    let got = open(&dict(&[("G_ema", generator("SynthesisInput"))])).unwrap();
    assert_ne!(family(&got), Some("stylegan2"));
    assert!(got.weights.list().has_class("SynthesisInput"));
    assert_eq!(names(&got), ["synthesis.input.weight"]);
    let config = got.config();
    let mapping = &config["_modules"]["mapping"];
    assert_eq!((&config["z_dim"], &mapping["num_layers"]), (&8.into(), &2.into()));
    assert_eq!(mapping["class"], "MappingNetwork");
}

#[test]
fn without_an_average_the_generator_itself_is_read_with_a_note() {
    let got = open(&dict(&[("D", b"N".to_vec()), ("G", generator("SynthesisBlock"))])).unwrap();
    assert_eq!((family(&got), got.notes.len()), (Some("stylegan2"), 1));
    assert!(got.notes[0].contains("no G_ema"));
    assert_eq!(got.provenance["network"], "G");
    let both =
        open(&dict(&[("G", b"N".to_vec()), ("G_ema", generator("SynthesisBlock"))])).unwrap();
    assert_eq!((both.notes.len(), &both.provenance["network"]), (0, &"G_ema".into()));
}

#[test]
fn buffers_outside_the_state_dict_stay_outside() {
    let hidden = [global("builtins", "set"), [&b"]"[..], &text("b"), b"a\x85R"].concat()].concat();
    let more = [
        ("_buffers", dict(&[("a", one()), ("b", one())])),
        ("_non_persistent_buffers_set", hidden),
    ];
    let got = open(&dict(&[("G_ema", module("Generator", &[], &[], &more))])).unwrap();
    assert_eq!(names(&got), ["a"]);
    assert_eq!(family(&got), None, "an unknown class is not taken for a known family");
    assert!(generator::convert(got).is_err());
}

#[test]
fn a_module_without_state_is_refused() {
    let bad = module("Generator", &[], &[("synthesis", text("not a module"))], &[]);
    let e = open(&dict(&[("G_ema", bad)])).unwrap_err().to_string();
    assert!(e.contains("module `synthesis.` is not a persistent object"), "{e}");
}

/// A list of values.
fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [&b"]("[..], &items.concat(), b"e"].concat()
}

/// A network of the TensorFlow code with these variables and parts.
fn network(
    name: &str,
    version: i128,
    variables: &[(&str, Vec<u8>)],
    parts: &[(&str, Vec<u8>)],
) -> Vec<u8> {
    let pairs = variables.iter().map(|(k, v)| tuple(&[text(k), v.clone()]));
    let state = dict(&[
        ("version", int(version)),
        ("name", text(name)),
        ("static_kwargs", dict(&[("resolution", int(8)), ("blur_filter", b"N".to_vec())])),
        ("build_module_src", text("raise SystemExit('never run')")),
        ("build_func_name", text("G_style")),
        ("components", dict(parts)),
        ("variables", list(&pairs.collect::<Vec<_>>())),
    ]);
    [global("dnnlib.tflib.network", "Network"), b")\x81".to_vec(), state, b"b".to_vec()].concat()
}

#[test]
fn tensorflow_pickles_give_the_variables_of_the_averaged_generator_and_of_its_parts() {
    let weight = |v: f32| ndarray("f4", "<", &[1], bytes(&v.to_le_bytes()));
    let gs = || {
        let part = network("G_synthesis", 3, &[("4x4/bias", weight(2.0))], &[]);
        network("Gs", 3, &[("lod", int(3)), ("dlatent_avg", weight(4.0))], &[("synthesis", part)])
    };
    let other = |name| network(name, 3, &[("lod", int(9))], &[]);
    let all = tuple(&[other("G"), other("D"), gs()]);
    for body in [all, gs()] {
        let mut got = open(&body).unwrap();
        assert_eq!(got.format, "tensorflow-pickle");
        assert_eq!(names(&got), ["dlatent_avg", "lod", "synthesis/4x4/bias"]);
        assert_eq!(got.config()["static_kwargs"]["resolution"], 8);
        assert!(got.config()["static_kwargs"].get("blur_filter").is_some_and(Json::is_null));
        assert_eq!(got.provenance["network"], "Gs");
        assert_eq!(got.provenance["module_src_sha256"].as_str().map(str::len), Some(64));
        let lod = got.weights.take("lod", &[]).unwrap().to_scalar::<f32>().unwrap();
        assert_eq!(lod, 3.0);
        let bias = got.weights.take("synthesis/4x4/bias", &[1]).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(bias, [2.0]);
    }
    assert_eq!(open(&tuple(&[other("G"), other("D"), gs()])).unwrap().notes.len(), 1);
}

#[test]
fn tensorflow_pickles_that_break_the_rules_are_refused() {
    let refused = |body: Vec<u8>| open(&body).unwrap_err();
    for version in [1, 6] {
        let e = refused(network("Gs", version, &[("lod", int(0))], &[]));
        assert!(e.to_string().contains("version") && e.repair().is_some(), "{e}");
    }
    assert!(refused(network("Gs", 4, &[], &[])).to_string().contains("tensor"));
    assert!(refused(network("Gs", 4, &[("lod", text("0"))], &[])).to_string().contains("`lod`"));
    let twice = network("Gs", 4, &[("lod", int(0)), ("lod", int(0))], &[]);
    assert!(refused(twice).to_string().contains("twice"));
    let mut deep = network("part", 4, &[("lod", int(0))], &[]);
    for _ in 0..8 {
        deep = network("part", 4, &[], &[("part", deep)]);
    }
    assert!(refused(deep).to_string().contains("deep"));
}

#[test]
fn a_namespace_beside_the_tensors_becomes_settings() {
    let args = [
        global("argparse", "Namespace"),
        b")\x81".to_vec(),
        dict(&[("size", int(256))]),
        b"b".to_vec(),
    ]
    .concat();
    let names = ["style.1.weight", "input.input", "conv1.conv.modulation.weight"];
    let state = names.map(|name| (name, one()));
    let got = open(&dict(&[("g_ema", dict(&state)), ("args", args)])).unwrap();
    assert_eq!(got.config()["args"]["size"], 256);
    assert_eq!(family(&got), Some("stylegan2"));
    assert!(got.weights.has("g_ema.input.input"));
}
