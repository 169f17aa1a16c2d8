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
use support::pickles::{call, global, int, pickle, storage, tensor, text};

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
    registry::name(c.weights.list())
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

#[test]
fn tensorflow_pickles_are_recognised_and_refused_with_a_way_out() {
    let state = dict(&[
        ("version", int(4)),
        ("static_kwargs", b"}".to_vec()),
        ("variables", b"]".to_vec()),
    ]);
    let network =
        [global("dnnlib.tflib.network", "Network"), b")\x81".to_vec(), state, b"b".to_vec()]
            .concat();
    let e = open(&[b"(", &network.repeat(3)[..], b"t"].concat()).unwrap_err();
    assert!(e.to_string().contains("TensorFlow") && e.repair().is_some(), "{e}");
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
    let got = open(&dict(&[
        ("g_ema", dict(&[("input.input", one()), ("convs.0.conv.modulation.weight", one())])),
        ("args", args),
    ]))
    .unwrap();
    assert_eq!(got.config()["args"]["size"], 256);
    assert_eq!(family(&got), Some("rosinality-stylegan2"));
    assert!(got.weights.has("g_ema.input.input"));
}
