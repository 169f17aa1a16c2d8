//! Files of `torch.save` that the reference files do not cover, made by the tests' own assembler:
//! every form of zip, whole modules, names from parallel training, archives around them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test"
)]

#[path = "weights_support/mod.rs"]
mod support;

use gannet::limits::LIMITS;
use gannet::weights::{self, Checkpoint};
use support::pickles::{
    bytes, call, dict, global, int, legacy, ndarray, persistent_id, pickle, storage, tensor, text,
    tuple,
};

fn open(bytes: Vec<u8>) -> gannet::error::Result<Checkpoint> {
    weights::open_bytes("net.pt", bytes, &LIMITS)
}

fn names(c: &Checkpoint) -> Vec<&str> {
    c.weights.list().tensors.keys().map(String::as_str).collect()
}

/// The records at the end of a zip.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The plain record alone.
    Plain,
    /// zip64 records, then a plain record with valid numbers, as torch writes them.
    Both,
    /// zip64 records, then a plain record without valid numbers.
    Only64,
}

/// Makes a zip of stored entries; `pad` aligns their data to 64 bytes, as torch does.
fn zip(entries: &[(String, Vec<u8>)], end: End, pad: bool) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let (at, size) = (out.len() as u32, (data.len() as u32).to_le_bytes());
        let extra = if pad { (64 - (out.len() + 34 + name.len()) % 64) % 64 } else { 0 };
        let field = if pad {
            [b"FB", &(extra as u16).to_le_bytes()[..], &vec![b'Z'; extra]].concat()
        } else {
            Vec::new()
        };
        let sum = crc(data).to_le_bytes();
        let common = [&[0; 8][..], &sum, &size, &size, &(name.len() as u16).to_le_bytes()].concat();
        let local = [b"PK\x03\x04\x00\x00", &common[..], &(field.len() as u16).to_le_bytes()];
        out.extend(local.concat());
        out.extend([name.as_bytes(), &field, data].concat());
        let central = [b"PK\x01\x02\x00\x00\x00\x00", &common[..], &[0; 12], &at.to_le_bytes()];
        directory.extend([&central.concat()[..], name.as_bytes()].concat());
    }
    let (at, size, count) = (out.len() as u64, directory.len() as u64, entries.len() as u64);
    out.extend(directory);
    if end != End::Plain {
        let here = out.len() as u64;
        let numbers: Vec<u8> =
            [count, count, size, at].iter().flat_map(|n| n.to_le_bytes()).collect();
        let record = [b"PK\x06\x06", &44u64.to_le_bytes()[..], &[0; 12], &numbers].concat();
        let locator = [b"PK\x06\x07\0\0\0\0", &here.to_le_bytes()[..], &1u32.to_le_bytes()];
        out.extend([record, locator.concat()].concat());
    }
    let [count, size, at] = match end {
        End::Only64 => [u32::MAX; 3],
        _ => [count as u32, size as u32, at as u32],
    };
    let count = (count as u16).to_le_bytes();
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([&count[..], &count, &size.to_le_bytes(), &at.to_le_bytes(), &[0; 2]].concat());
    out
}

/// The checksum of a zip entry.
fn crc(data: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        (0..8)
            .fold(sum ^ u32::from(*byte), |c, _| (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg()))
    };
    !data.iter().fold(u32::MAX, step)
}

/// A torch zip whose entries are in the folder `folder`.
fn torch(folder: &str, end: End, pad: bool) -> Vec<u8> {
    let object = tensor(persistent_id("FloatStorage", "0", 4), 0, &[4], &[1]);
    let data: Vec<u8> = [1f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let entry = |name: &str, data: &[u8]| (format!("{folder}/{name}"), data.to_vec());
    let entries = [
        entry("data.pkl", &dict(&object)),
        entry("byteorder", b"little"),
        entry("data/0", &data),
        entry("version", b"3\n"),
    ];
    zip(&entries, end, pad)
}

/// A folder name of 21 letters makes the directory's first entry as long as the zip64 records.
#[test]
fn the_folder_in_a_zip_may_have_any_name() {
    for end in [End::Plain, End::Both, End::Only64] {
        for pad in [false, true] {
            for letters in 1..=64 {
                let what = format!("{letters} letters, {end:?}, padded: {pad}");
                let file = open(torch(&"n".repeat(letters), end, pad));
                let mut file = file.unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(file.format, "torch-zip", "{what}");
                let values = file.weights.take("x", &[4]).unwrap().to_vec1::<f32>().unwrap();
                assert_eq!(values, [1.0, 2.0, 3.0, 4.0], "{what}");
            }
        }
    }
}

fn one() -> Vec<u8> {
    tensor(storage(1), 0, &[1], &[1])
}

fn of(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let body: Vec<u8> = pairs.iter().flat_map(|(k, v)| [text(k), v.clone()].concat()).collect();
    [b"}(", &body[..], b"u"].concat()
}

/// A pickled module of any class.
fn module(class: &[u8], own: &[(&str, Vec<u8>)], inner: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let state = of(&[
        ("training", vec![0x89]),
        ("_parameters", of(own)),
        ("_buffers", b"}".to_vec()),
        ("_modules", of(inner)),
        ("in_channels", int(3)),
    ]);
    [class, b")\x81", &state, b"b"].concat()
}

/// A DCGAN as `torch.save(model)` writes it: a user class around `torch.nn`, with a function as
/// activation.
fn network() -> Vec<u8> {
    let conv = module(
        &global("torch.nn.modules.conv", "ConvTranspose2d"),
        &[("weight", one()), ("bias", b"N".to_vec())],
        &[],
    );
    let tanh = module(&global("torch.nn.modules.activation", "Tanh"), &[], &[]);
    let main = module(
        &global("torch.nn.modules.container", "Sequential"),
        &[],
        &[("0", conv), ("1", tanh)],
    );
    module(&global("__main__", "Generator"), &[], &[("main", main)])
}

#[test]
fn whole_modules_become_state_dicts() {
    for (what, bytes) in [
        ("pickle", pickle(&network())),
        ("legacy", legacy(&network(), &[])),
        ("zip", zip(&[("m/data.pkl".into(), pickle(&network()))], End::Both, true)),
    ] {
        let file = open(bytes).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(names(&file), ["main.0.weight"], "{what}");
        let list = file.weights.list();
        assert_eq!(list.classes, ["Generator", "Sequential", "ConvTranspose2d", "Tanh"], "{what}");
        assert_eq!(file.config()["_modules"]["main"]["class"], "Sequential");
        assert_eq!(file.config()["in_channels"], 3);
    }
    // Under a key, beside other entries.
    let file = open(pickle(&of(&[("netG", network()), ("epoch", int(7))]))).unwrap();
    assert_eq!(names(&file), ["netG.main.0.weight"]);
    assert_eq!(file.config()["epoch"], 7);
}

/// Spectral norm leaves a copy of each weight among the attributes of its module. Such copies are
/// no settings, and those that come after them are kept.
#[test]
fn tensors_among_attributes_do_not_crowd_out_settings() {
    let state = of(&[
        ("_parameters", of(&[("weight_orig", one())])),
        ("_modules", b"}".to_vec()),
        ("weight", tensor(storage(30_000), 0, &[30_000], &[1])),
        ("hooks", b"}".to_vec()),
        ("z_dim", int(5)),
    ]);
    let net = [&global("pg_modules.networks", "Generator")[..], b")\x81", &state, b"b"].concat();
    let file = open(pickle(&of(&[("D", net.clone()), ("G_ema", net)]))).unwrap();
    assert_eq!(names(&file), ["D.weight_orig", "G_ema.weight_orig"]);
    let config = &file.config()["G_ema"];
    assert_eq!((&config["z_dim"], &config["weight"]), (&5.into(), &serde_json::Value::Null));
}

/// PTI saves NVIDIA's whole network with `torch.save`: persistent objects in a zip.
#[test]
fn persistent_networks_in_a_zip_are_modules() {
    let state = of(&[
        ("_parameters", of(&[("weight", one())])),
        ("_buffers", b"}".to_vec()),
        ("_modules", b"}".to_vec()),
        ("z_dim", int(8)),
    ]);
    let meta = of(&[
        ("type", text("class")),
        ("version", int(6)),
        ("module_src", text("raise SystemExit")),
        ("class_name", text("Generator")),
        ("state", state),
    ]);
    let make = global("torch_utils.persistence", "_reconstruct_persistent_obj");
    let network = call(make, &[meta]);
    let zipped =
        |value: &[u8]| open(zip(&[("m/data.pkl".into(), pickle(value))], End::Both, true)).unwrap();
    let file = zipped(&network);
    assert_eq!((file.format, names(&file)), ("torch-zip", vec!["weight"]));
    assert_eq!(
        (&file.config()["class"], &file.config()["z_dim"]),
        (&"Generator".into(), &8.into())
    );
    let file = zipped(&of(&[("G", network), ("step", int(7))]));
    assert_eq!(names(&file), ["G.weight"]);
    assert_eq!((&file.config()["G"]["z_dim"], &file.config()["step"]), (&8.into(), &7.into()));
    assert_eq!(file.weights.list().classes, ["Generator"]);
}

/// Paddle saves the tensors of a dictionary in a dictionary as `tuple((name, array))`.
#[test]
fn named_arrays_are_tensors() {
    let array = ndarray("f4", "<", &[1], bytes(&1f32.to_le_bytes()));
    let named = tuple(&[text("linear_0.w_0"), array]);
    let made = call(global("builtins", "tuple"), &[named]);
    let mut file = open(pickle(&of(&[("gen_ema", of(&[("style.1.bias", made)]))]))).unwrap();
    assert_eq!(names(&file), ["gen_ema.style.1.bias"]);
    let values = file.weights.take("gen_ema.style.1.bias", &[1]).unwrap();
    assert_eq!(values.to_vec1::<f32>().unwrap(), [1.0]);
}

/// Options of training code hold paths.
#[test]
fn paths_are_texts() {
    let path = |parts: &[&str]| {
        let parts: Vec<Vec<u8>> = parts.iter().map(|p| text(p)).collect();
        call(global("pathlib", "PosixPath"), &parts)
    };
    let opts = of(&[("exp_dir", path(&["/", "a", "b"])), ("data", path(&["c", "d"]))]);
    let file = open(pickle(&of(&[("x", one()), ("opts", opts)]))).unwrap();
    let opts = &file.config()["opts"];
    assert_eq!((&opts["exp_dir"], &opts["data"]), (&"/a/b".into(), &"c/d".into()));
    let wrong = call(global("pathlib", "PosixPath"), &[int(1)]);
    assert!(open(pickle(&of(&[("x", one()), ("p", wrong)]))).is_err());
}

#[test]
fn classes_of_modules_by_reference_are_read_before_torch_1_6() {
    let class = global("dcgan.model", "Generator");
    let id = [text("module"), class, text("model.py"), text("raise SystemExit")];
    let class = [tuple(&id), b"Q".to_vec()].concat();
    let file = open(legacy(&module(&class, &[("w", one())], &[]), &[])).unwrap();
    assert_eq!((names(&file), &file.weights.list().classes[0][..]), (vec!["w"], "Generator"));
}

#[test]
fn a_class_is_never_called() {
    let made = |args: &[u8]| {
        let object = [global("os", "system"), args.to_vec(), b"\x81".to_vec()].concat();
        dict(&object)
    };
    for (what, bytes) in [
        ("called", dict(&call(global("os", "system"), &[text("id")]))),
        ("called with nothing", dict(&call(global("os", "system"), &[]))),
        ("made with arguments", made(&tuple(&[text("id")]))),
        ("made with a list", made(b"]")),
    ] {
        let e = open(bytes).err().unwrap_or_else(|| panic!("{what}: was read")).to_string();
        assert!(e.contains("not allowed") || e.contains("a tuple"), "{what}: {e}");
    }
    // An object without arguments leaves nothing, so a file of such objects holds no tensor.
    let e = open(made(b")")).unwrap_err().to_string();
    assert!(e.contains("at least one tensor"), "{e}");
}

/// A small file that names the same object many times does not fill the memory.
#[test]
fn repeated_names_and_modules_are_bounded() {
    let long = text(&"m".repeat(250));
    let name = [&b"h\x00h\x00\x93a"[..]; 1].concat().repeat(200_000);
    let words = [&b"]"[..], &long, b"\x940", &name].concat();
    let e = open(pickle(&words)).unwrap_err().to_string();
    assert!(e.contains("outside its storages"), "{e}");
    let empty = module(&global("a", "B"), &[], &[]);
    let uses: Vec<u8> =
        (0..30_000i128).flat_map(|i| [int(i), b"h\x00s".to_vec()].concat()).collect();
    let many = [&empty[..], b"q\x000}", &uses].concat();
    let e = open(pickle(&many)).unwrap_err().to_string();
    assert!(e.contains("at most 20000 modules"), "{e}");
}

#[test]
fn names_of_spread_modules_lose_the_level() {
    let wrapped = of(&[("module.a", one()), ("module.b.weight", one())]);
    assert_eq!(names(&open(pickle(&wrapped)).unwrap()), ["a", "b.weight"]);
    let file = open(pickle(&of(&[("g_ema", wrapped)]))).unwrap();
    assert_eq!(names(&file), ["g_ema.a", "g_ema.b.weight"]);
    // If one name has no prefix, the prefix is part of the model.
    let mixed = of(&[("module.a", one()), ("b", one())]);
    assert_eq!(names(&open(pickle(&mixed)).unwrap()), ["b", "module.a"]);
    let spread = module(
        &global("torch.nn.parallel.data_parallel", "DataParallel"),
        &[],
        &[("module", network())],
    );
    assert_eq!(names(&open(pickle(&spread)).unwrap()), ["main.0.weight"]);
}

#[test]
fn a_tar_around_a_model_is_read_as_the_model() {
    let inner = torch("archive", End::Both, true);
    let mut tar = vec![0; 512];
    tar[..9].copy_from_slice(b"model.pth");
    tar[124..135].copy_from_slice(format!("{:011o}", inner.len()).as_bytes());
    tar[156] = b'0';
    tar[257..262].copy_from_slice(b"ustar");
    tar.extend(&inner);
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    let mut file = open(tar).unwrap();
    assert_eq!((file.format, names(&file)), ("torch-zip", vec!["x"]));
    assert!(file.weights.take("x", &[4]).is_ok());
    // A file named .tar that is a torch file itself is read as such.
    assert_eq!(weights::open_bytes("net.pth.tar", inner, &LIMITS).unwrap().format, "torch-zip");
}
