#![no_main]
//! A pickle of persistent objects: the description of one is the input.

use gannet_fuzz::support::pickles::{self, call, global, text};
use libfuzzer_sys::fuzz_target;

const HEAD: &[u8] =
    b"\x80\x04\x8c\x17torch_utils.persistence\x8c\x1b_reconstruct_persistent_obj\x93";

/// A module: its class, the source of it, and the attributes in a dictionary's items.
fn module(class: &str, attributes: &[u8]) -> Vec<u8> {
    let texts = [text("type"), text("class"), text("version"), b"K\x06".to_vec()].concat();
    let source =
        [text("module_src"), text("# Copyright"), text("class_name"), text(class)].concat();
    let state = [&text("state")[..], b"}(", attributes, b"u"].concat();
    [b"}(", &texts[..], &source, &state, b"u"].concat()
}

/// An `OrderedDict` of these items.
fn ordered(items: &[u8]) -> Vec<u8> {
    let empty = call(global("collections", "OrderedDict"), &[]);
    [&empty[..], b"(", items, b"u"].concat()
}

/// A network with a tensor, and a module below it with another.
fn network() -> Vec<u8> {
    let tensor = || pickles::tensor(pickles::storage(4), 0, &[2, 2], &[2, 1]);
    let parameters = |name: &str| {
        let own = ordered(&[text(name), tensor()].concat());
        [text("_parameters"), own, text("_buffers"), ordered(&[])].concat()
    };
    let none = [text("_modules"), ordered(&[])].concat();
    let below = module("FullyConnectedLayer", &[parameters("weight"), none].concat());
    let reconstruct = global("torch_utils.persistence", "_reconstruct_persistent_obj");
    let below = [reconstruct, below, b"\x85R".to_vec()].concat();
    let modules = ordered(&[text("fc0"), below].concat());
    let settings = [text("z_dim"), b"M\x00\x02".to_vec()].concat();
    module("Generator", &[settings, parameters("const"), text("_modules"), modules].concat())
}

fuzz_target!(
    init: gannet_fuzz::seeds([network()]),
    |data: &[u8]| gannet_fuzz::read(&[HEAD, data, b"\x85R."].concat())
);
