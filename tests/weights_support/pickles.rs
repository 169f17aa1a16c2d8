//! Pickles that lie, loop, multiply or ask for names they must not have.

use super::{cuts, reference};

type Cases = Vec<(String, Vec<u8>)>;

/// Text of up to 255 bytes.
pub fn text(s: &str) -> Vec<u8> {
    [&[0x8c, s.len() as u8], s.as_bytes()].concat()
}

/// A number of up to 16 bytes.
pub fn int(n: i128) -> Vec<u8> {
    [&[0x8a, 16][..], &n.to_le_bytes()].concat()
}

pub fn global(module: &str, name: &str) -> Vec<u8> {
    [text(module), text(name), vec![0x93]].concat()
}

pub fn bytes(b: &[u8]) -> Vec<u8> {
    [&[b'B'][..], &(b.len() as u32).to_le_bytes(), b].concat()
}

pub fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

pub fn call(function: Vec<u8>, args: &[Vec<u8>]) -> Vec<u8> {
    [function, tuple(args), vec![b'R']].concat()
}

/// A whole pickle of protocol 4.
pub fn pickle(body: &[u8]) -> Vec<u8> {
    [&[0x80, 4], body, b"."].concat()
}

/// A pickle of `{"x": value}`.
pub fn dict(value: &[u8]) -> Vec<u8> {
    pickle(&[b"}", &text("x")[..], value, b"s"].concat())
}

pub fn persistent_id(storage: &str, key: &str, len: i128) -> Vec<u8> {
    let id =
        [text("storage"), global("torch", storage), text(key), text("cpu"), int(len), vec![b'N']];
    [tuple(&id), vec![b'Q']].concat()
}

/// A legacy torch file of one object; the storages follow as (key, listed length, bytes).
pub fn legacy(object: &[u8], storages: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let magic = int(0x1950_a86a_20f9_469c_fc6c);
    let keys: Vec<u8> = storages.iter().flat_map(|(k, ..)| text(k)).collect();
    let mut out = [pickle(&magic), pickle(&int(1001)), pickle(b"}"), pickle(object)].concat();
    out.extend(pickle(&[b"](", &keys[..], b"e"].concat()));
    for (_, len, data) in storages {
        out.extend(len.to_le_bytes());
        out.extend_from_slice(data);
    }
    out
}

/// A nested legacy file of one storage of `len` floats, as NVIDIA's pickles hold it.
pub fn storage(len: u64) -> Vec<u8> {
    let data = vec![0; len as usize * 4];
    let blob = legacy(&persistent_id("FloatStorage", "k", len.into()), &[("k", len, &data)]);
    call(global("torch.storage", "_load_from_bytes"), &[bytes(&blob)])
}

pub fn tensor(storage: Vec<u8>, first: i128, shape: &[i128], strides: &[i128]) -> Vec<u8> {
    let list = |v: &[i128]| tuple(&v.iter().map(|&n| int(n)).collect::<Vec<_>>());
    let args = [storage, int(first), list(shape), list(strides), vec![0x89], b"}".to_vec()];
    call(global("torch._utils", "_rebuild_tensor_v2"), &args)
}

pub fn ndarray(code: &str, order: &str, shape: &[i128], data: Vec<u8>) -> Vec<u8> {
    let make = call(
        global("numpy._core.multiarray", "_reconstruct"),
        &[global("numpy", "ndarray"), b"K\x00\x85".to_vec(), bytes(b"b")],
    );
    let shape = tuple(&shape.iter().map(|&n| int(n)).collect::<Vec<_>>());
    let state = tuple(&[int(1), shape, dtype(code, order), vec![0x89], data]);
    [make, state, vec![b'b']].concat()
}

fn dtype(code: &str, order: &str) -> Vec<u8> {
    let made = call(global("numpy", "dtype"), &[text(code), vec![0x89], vec![0x88]]);
    [
        made,
        tuple(&[int(3), text(order), b"N".to_vec(), b"N".to_vec(), b"N".to_vec(), int(-1)]),
        vec![b'b'],
    ]
    .concat()
}

/// Names that must mean nothing, dangerous ones and ones that would drive a terminal.
fn names() -> Cases {
    let long = "x".repeat(250);
    let names = [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("os", "popen"),
        ("os", "execv"),
        ("subprocess", "Popen"),
        ("subprocess", "check_output"),
        ("builtins", "eval"),
        ("__builtin__", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("builtins", "open"),
        ("builtins", "compile"),
        ("pickle", "loads"),
        ("_pickle", "loads"),
        ("marshal", "loads"),
        ("torch", "load"),
        ("torch.jit", "load"),
        ("torch.hub", "load"),
        ("torch.utils.cpp_extension", "load"),
        ("numpy", "load"),
        ("numpy.f2py", "compile"),
        ("numpy.testing._private.utils", "runstring"),
        ("shutil", "rmtree"),
        ("codecs", "decode"),
        ("sys", "exit"),
        ("types", "FunctionType"),
        ("types", "CodeType"),
        ("importlib", "import_module"),
        ("runpy", "run_path"),
        ("webbrowser", "open"),
        ("socket", "create_connection"),
        ("ctypes", "CDLL"),
        ("operator", "attrgetter"),
        ("functools", "partial"),
        ("copyreg", "_reconstructor"),
        ("timeit", "timeit"),
        ("pdb", "run"),
        ("torch", "FloatStorage.__class__"),
        ("torch", "Float"),
        ("torch", "storage._load_from_bytes"),
        ("collections", "OrderedDict.__init__"),
        ("argparse", "Namespace.__class__"),
        ("", ""),
        ("torch._utils", ""),
        ("\u{1b}[2J\u{1b}]0;owned\u{7}", "\u{1b}[31mred"),
        ("a\u{202e}b", "c\u{9b}d"),
        (&long, &long),
        ("\u{0}", "\r"),
    ];
    let mut out = Cases::new();
    for (module, name) in names {
        let old = [format!("c{module}\n{name}\n").into_bytes(), b")R".to_vec()].concat();
        out.push((format!("GLOBAL {module:?} {name:?}"), pickle(&old)));
        out.push((
            format!("STACK_GLOBAL {module:?} {name:?}"),
            dict(&call(global(module, name), &[text("id")])),
        ));
    }
    out.push(("name with line ends".into(), pickle(&global("os\nsystem", "a\n\tb"))));
    out.push((
        "name line without end".into(),
        pickle(&[b"c".to_vec(), vec![b'a'; 1 << 16]].concat()),
    ));
    out.push(("INST".into(), pickle(b"(ios\nsystem\n")));
    out
}

/// Every opcode on an empty stack, and every allowed name with arguments it must not take.
fn misuse() -> Cases {
    let mut out: Cases =
        (0..=255u8).map(|op| (format!("opcode {op:#04x}"), pickle(&[op]))).collect();
    let known = [
        ("torch_utils.persistence", "_reconstruct_persistent_obj"),
        ("collections", "OrderedDict"),
        ("dnnlib.util", "EasyDict"),
        ("builtins", "set"),
        ("argparse", "Namespace"),
        ("dnnlib.tflib.network", "Network"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_tensor_v3"),
        ("torch.storage", "_load_from_bytes"),
        ("torch", "FloatStorage"),
        ("torch.storage", "UntypedStorage"),
        ("torch", "Size"),
        ("_codecs", "encode"),
        ("torch", "float32"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.numeric", "_frombuffer"),
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
    ];
    for (module, name) in known {
        for (n, arg) in [(0, b"N".to_vec()), (2, text("a")), (4, int(-1)), (6, b"}".to_vec())] {
            let c = call(global(module, name), &vec![arg; n]);
            out.push((format!("{module}.{name} with {n} arguments"), dict(&c)));
        }
        out.push((
            format!("{module}.{name} given a state"),
            dict(&[global(module, name), b"}b".to_vec()].concat()),
        ));
    }
    out.push(("call of a text".into(), dict(&call(text("print"), &[]))));
    out.push((
        "arguments not a tuple".into(),
        dict(&[global("collections", "OrderedDict"), b"NR".to_vec()].concat()),
    ));
    out.push((
        "named arguments".into(),
        dict(
            &[
                global("collections", "OrderedDict"),
                b")".to_vec(),
                b"}".to_vec(),
                text("k"),
                b"Ns\x92".to_vec(),
            ]
            .concat(),
        ),
    ));
    out.push(("key without value".into(), pickle(b"}(Nu")));
    out.push(("append to a dict".into(), pickle(b"}Na")));
    out.push(("set in a list".into(), pickle(b"]NNs")));
    out.push((
        "keys that are containers".into(),
        pickle(&[b"}]", &tensor(storage(1), 0, &[1], &[1])[..], b"s"].concat()),
    ));
    for id in [
        b"N".to_vec(),
        text("storage"),
        tuple(&[text("module"), b"N".to_vec()]),
        tuple(&[text("storage")]),
    ] {
        out.push(("odd persistent id".into(), dict(&[id, b"Q".to_vec()].concat())));
    }
    out
}

/// Values that multiply, nest or fill.
fn bombs() -> Cases {
    let rounds = |head: &[u8], round: &[u8], n: usize, tail: &[u8]| {
        pickle(&[head, &round.repeat(n), tail].concat())
    };
    let mut out: Cases = vec![
        ("tuple doubling | unfolds to at most".into(), rounds(b"]", b"2\x86", 60, b"")),
        ("memo doubling".into(), rounds(b"]q\x00", b"0h\x00h\x00\x86q\x00", 60, b"")),
        ("list doubling".into(), rounds(b"]q\x00", b"0](h\x00h\x00h\x00h\x00eq\x00", 40, b"")),
        ("dict doubling".into(), rounds(b"}q\x00", b"0}(K\x00h\x00K\x01h\x00uq\x00", 50, b"")),
        ("repeated PUT | opcodes".into(), rounds(b"]", b"q\x00", 1_000_001, b"")),
        ("100,001 memo entries | memo holds".into(), rounds(b"]", b"\x94", 100_001, b"")),
        ("stack | stack holds".into(), rounds(b"", b"N", 10_001, b"")),
        ("marks".into(), rounds(b"", b"(", 10_001, b"")),
        ("opcodes | 1000000 opcodes".into(), rounds(b"", b"N0", 500_001, b"N")),
        ("tuple nesting".into(), rounds(b")", b"\x85", 100_000, b"")),
        ("tuple nesting, just too deep | nested at most 64".into(), rounds(b")", b"\x85", 64, b"")),
        ("list nesting".into(), rounds(b"", b"](", 5_000, &b"e".repeat(5_000))),
        (
            "dict nesting".into(),
            rounds(b"", b"}K\x00", 4_999, &[&b"N"[..], &b"s".repeat(4_999)].concat()),
        ),
        (
            "a long list named many times | unfolds to at most".into(),
            pickle(
                &[
                    &b"]q\x00"[..],
                    &[&b"("[..], &b"N".repeat(9_000), b"e"].concat().repeat(50),
                    b"]",
                    &[&b"("[..], &b"h\x00".repeat(9_000), b"e"].concat().repeat(50),
                ]
                .concat(),
            ),
        ),
        ("long names of many tensors | names have at most".into(), {
            let one = [tensor(storage(1), 0, &[1], &[1]), b"q\x00".to_vec()].concat();
            let long = [&b"X\xe8\x03\0\0"[..], &[b'n'; 1000]].concat();
            let many: Vec<u8> =
                (0..4_000).flat_map(|i| [int(i), b"h\x00".to_vec()].concat()).collect();
            let inner = [&one[..], b"0}(", &many, b"u"].concat();
            let deep = (0..50).fold(inner, |v, _| [b"}", &long[..], &v, b"s"].concat());
            pickle(&deep)
        }),
        ("a list in itself".into(), pickle(b"]q\x00h\x00a")),
        ("a dict in itself".into(), pickle(b"}q\x00K\x00h\x00s")),
        ("a tuple in itself | contains itself".into(), pickle(b"]q\x00h\x00\x85q\x01a")),
        (
            "set of a long list again and again | opcodes".into(),
            pickle(
                &[
                    &b"]("[..],
                    &b"N".repeat(9_000),
                    b"eq\x00",
                    &[global("builtins", "set"), b"q\x01".to_vec()].concat(),
                    &b"0h\x01h\x00\x85R".repeat(200),
                ]
                .concat(),
            ),
        ),
        (
            "texts that fill the memory | outside its storages".into(),
            rounds(
                b"",
                &[b"X\x00\x04\x00\x00".to_vec(), vec![b'a'; 1024], b"0".to_vec()].concat(),
                66_000,
                b"N",
            ),
        ),
    ];
    for (what, head) in [
        ("BINUNICODE of 4 GiB", &b"X\xff\xff\xff\xff"[..]),
        ("BINBYTES of 4 GiB", b"B\xff\xff\xff\xff"),
        ("BINSTRING of 2 GiB", b"T\xff\xff\xff\x7f"),
        ("BINUNICODE8 of 2^63", b"\x8d\0\0\0\0\0\0\0\x80"),
        ("BINBYTES8 of 2^64-1", b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("BYTEARRAY8 of 2^64-1", b"\x96\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("frame of 2^64-1", b"\x95\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("LONG1 of 255", b"\x8a\xff"),
        ("PUT of a text", b"]pabc\n"),
        ("GET of nothing", b"j\xff\xff\xff\xff"),
        ("not UTF-8", b"\x8c\x01\xff"),
        ("protocol 9", b"\x80\x09"),
        ("LONG4", b"\x8b\xff\xff\xff\x7f"),
    ] {
        out.push((what.into(), pickle(head)));
    }
    let blob = |inner: Vec<u8>| call(global("torch.storage", "_load_from_bytes"), &[bytes(&inner)]);
    let nested = (0..5).fold(legacy(b"N", &[]), |b, _| legacy(&blob(b), &[]));
    out.push(("torch files in torch files".into(), dict(&blob(nested))));
    out.push(("a nested file that is no storage".into(), dict(&blob(legacy(b"N", &[])))));
    out.push(("a nested pickle that is no torch file".into(), dict(&blob(pickle(b"N")))));
    out.push((
        "not Latin-1".into(),
        dict(&call(global("_codecs", "encode"), &[text("€"), text("latin1")])),
    ));
    out
}

/// Tensors that reach outside their storage, or say what is not so.
fn tensors() -> Cases {
    let max = i128::from(u64::MAX);
    let shapes: [(i128, &[i128], &[i128]); 20] = [
        (0, &[1 << 60], &[1]),
        (0, &[1 << 60], &[0]),
        (0, &[1 << 40, 1 << 40], &[0, 0]),
        (0, &[max], &[1]),
        (0, &[max, max], &[max, max]),
        (0, &[2], &[-1]),
        (0, &[-2], &[1]),
        (-1, &[2], &[1]),
        (0, &[2], &[1 << 62]),
        (0, &[2], &[max]),
        (1 << 62, &[2], &[1]),
        (max, &[1], &[1]),
        (1 << 64, &[1], &[1]),
        (0, &[5], &[1]),
        (1, &[4], &[1]),
        (0, &[2, 3], &[3, 1]),
        (0, &[2, 2], &[1]),
        (0, &[1; 9], &[1; 9]),
        (0, &[1 << 28], &[0]),
        (0, &[1 << 14, 1 << 14, 4], &[0, 0, 1]),
    ];
    let mut out = Cases::new();
    for (first, shape, strides) in shapes {
        out.push((
            format!("tensor {shape:?} {strides:?} at {first}"),
            dict(&tensor(storage(4), first, shape, strides)),
        ));
        let object = tensor(persistent_id("FloatStorage", "k", 4), first, shape, strides);
        out.push((
            format!("legacy tensor {shape:?} {strides:?} at {first}"),
            legacy(&object, &[("k", 4, &[0; 16])]),
        ));
    }
    let one = |key: &str, len| tensor(persistent_id("FloatStorage", key, len), 0, &[1], &[1]);
    let four = [0u8; 16];
    out.extend([
        ("storage of 2^62".into(), legacy(&one("k", 1 << 62), &[("k", 1 << 62, &four)])),
        ("storage of -1".into(), legacy(&one("k", -1), &[("k", u64::MAX, &four)])),
        ("storage listed with another size".into(), legacy(&one("k", 4), &[("k", 5, &four)])),
        ("storage missing".into(), legacy(&one("other", 4), &[("k", 4, &four)])),
        ("no storage at all".into(), legacy(&one("k", 4), &[])),
        ("storage listed twice".into(), legacy(&one("k", 4), &[("k", 4, &four), ("k", 4, &four)])),
        ("storage without a file".into(), dict(&one("k", 4))),
        (
            "untyped storage".into(),
            legacy(
                &tensor(persistent_id("UntypedStorage", "k", 4), 0, &[1], &[1]),
                &[("k", 4, &four)],
            ),
        ),
        (
            "a tensor twice".into(),
            pickle(
                &[
                    b"}(",
                    &text("x")[..],
                    &tensor(storage(1), 0, &[1], &[1]),
                    &text("x"),
                    &tensor(storage(1), 0, &[1], &[1]),
                    b"u",
                ]
                .concat(),
            ),
        ),
        ("no tensors".into(), dict(b"N")),
        ("value: NaN".into(), legacy(&one("k", 1), &[("k", 1, &f32::NAN.to_le_bytes())])),
        (
            "value: infinity under a name with an escape".into(),
            legacy(
                &[b"}", &text("\u{1b}[2J\n")[..], &one("k", 1), b"s"].concat(),
                &[("k", 1, &f32::INFINITY.to_le_bytes())],
            ),
        ),
        ("array of objects".into(), dict(&ndarray("O8", "|", &[1], b"]".to_vec()))),
        ("array of text".into(), dict(&ndarray("U5", "<", &[1], bytes(&[0; 20])))),
        ("array larger than its bytes".into(), dict(&ndarray("f4", "<", &[2], bytes(&[0; 4])))),
        ("array of 2^60".into(), dict(&ndarray("f4", "<", &[1 << 60], bytes(&[0; 4])))),
        (
            "value: array with NaN".into(),
            dict(&ndarray("f8", ">", &[1], bytes(&f64::NAN.to_be_bytes()))),
        ),
        (
            "scalar of a wrong size".into(),
            dict(&call(
                global("numpy.core.multiarray", "scalar"),
                &[dtype("f8", "<"), bytes(&[0; 4])],
            )),
        ),
        (
            "scalar of objects".into(),
            dict(&call(
                global("numpy.core.multiarray", "scalar"),
                &[dtype("O8", "|"), bytes(&[0; 8])],
            )),
        ),
    ]);
    out
}

/// Everything that must be refused.
pub fn all() -> Cases {
    let mut out: Cases = [names(), misuse(), bombs(), tensors()].concat();
    out.extend(cuts("NVIDIA pickle", &reference("pkl/p4_16_half.pkl"), 4096));
    out.extend(cuts("NVIDIA pickle of protocol 2", &reference("pkl/p2_16_orig.pkl"), 4096));
    out.extend(cuts("small pickle", &good()[0].1, 13));
    out.extend(cuts("legacy torch file", &reference("torch/checkpoint_legacy.pt"), 41));
    out
}

/// Files that keep the rules, if only just.
pub fn good() -> Cases {
    let x = tensor(storage(4), 0, &[2, 2], &[1, 2]);
    let deep = [&b"}"[..], &text("x"), &x, b"s"].concat();
    let deep = (0..61).fold(deep, |v, _| [v, vec![0x85]].concat());
    vec![
        ("a column-major tensor".into(), dict(&x)),
        (
            "a stride that is never used".into(),
            dict(&tensor(storage(4), 0, &[1, 4], &[i128::from(u64::MAX), 1])),
        ),
        ("an expanded tensor".into(), dict(&tensor(storage(1), 0, &[1 << 20], &[0]))),
        ("an empty tensor".into(), dict(&tensor(storage(0), 0, &[0, 4], &[4, 1]))),
        ("a big-endian array".into(), dict(&ndarray("f4", ">", &[1], bytes(&1f32.to_be_bytes())))),
        ("values 63 deep".into(), pickle(&deep)),
        (
            "a high memo index".into(),
            pickle(&[b"}r\xff\xff\xff\xff", &text("x")[..], &x, b"s"].concat()),
        ),
    ]
}
