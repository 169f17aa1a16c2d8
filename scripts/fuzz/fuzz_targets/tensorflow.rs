#![no_main]
//! A network of NVIDIA's TensorFlow code: its arguments and variables are the input.

use gannet_fuzz::support::pickles::{self, bytes, text};
use libfuzzer_sys::fuzz_target;

/// An object of the class `Network`, its state up to what the input adds: the items of a
/// dictionary.
const HEAD: &[u8] = b"\x80\x04\x8c\x14dnnlib.tflib.network\x8c\x07Network\x93)\x81}(\
    \x8c\x07versionK\x04";
const TAIL: &[u8] = b"ub.";

/// Two variables: an array and a number.
fn variables() -> Vec<u8> {
    let array = pickles::ndarray("f4", "<", &[2, 1], bytes(&[0; 8]));
    let number = b"G\x3f\xf0\x00\x00\x00\x00\x00\x00".to_vec();
    let variable = |name: &str, value: Vec<u8>| [text(name), value, b"\x86".to_vec()].concat();
    let all = [variable("4x4/Const/const", array), variable("lod", number)].concat();
    [text("variables"), b"](".to_vec(), all, b"e".to_vec()].concat()
}

/// A network's items: its arguments, and its variables.
fn items() -> Vec<u8> {
    let arguments =
        [&text("num_channels")[..], b"K\x03", &text("kernel"), b"](K\x01K\x03e"].concat();
    let arguments = [&text("static_kwargs")[..], b"}(", &arguments, b"u"].concat();
    let names = [text("name"), text("Gs"), text("build_func_name"), text("G_main")].concat();
    [names, arguments, variables()].concat()
}

/// The same with a network as its part.
fn nested() -> Vec<u8> {
    let class = pickles::global("dnnlib.tflib.network", "Network");
    let part = [&class[..], b")\x81}(", &text("version"), b"K\x04", &items(), b"ub"].concat();
    let parts = [&text("components")[..], b"}", &text("synthesis"), &part, b"s"].concat();
    [items(), parts].concat()
}

fuzz_target!(
    init: gannet_fuzz::seeds([items(), nested()]),
    |data: &[u8]| gannet_fuzz::read(&[HEAD, data, TAIL].concat())
);
