//! Good files of every container with a few bytes changed, and settings beside files.

use super::{files, pickles, reference};
use gannet::rng::Rng;

type Cases = Vec<(String, Vec<u8>)>;

/// Bytes that often break readers.
const ODD: [&[u8]; 8] = [
    &[0],
    &[0xff],
    &[0x7f],
    &[0x80],
    &[0xff; 4],
    &[0xff; 8],
    &[0, 0, 0, 0, 0, 0, 0, 0x80],
    &[0, 0, 0, 0x40],
];

/// A copy with a few bytes changed, inserted, removed, repeated or cut off.
pub fn mutate(rng: &mut Rng, seed: &[u8]) -> Vec<u8> {
    let mut out = seed.to_vec();
    for _ in 0..1 + rng.below(4) {
        let at = rng.below(out.len().max(1));
        let end = (at + 1 + rng.below(16)).min(out.len());
        match rng.below(7) {
            0 | 1 if at < out.len() => out[at] ^= 1 << rng.below(8),
            2 if at < out.len() => out[at] = rng.below(256) as u8,
            3 => out.splice(at..at, ODD[rng.below(ODD.len())].iter().copied()).for_each(drop),
            4 => out.drain(at..end).for_each(drop),
            5 => out.extend_from_within(at..end),
            6 if rng.below(4) == 0 => out.truncate(at),
            _ => {
                let odd = ODD[rng.below(ODD.len())];
                out.iter_mut().skip(at).zip(odd).for_each(|(b, &o)| *b = o);
            }
        }
    }
    out
}

/// As [`mutate`], in the first or last bytes alone, where headers and directories are.
fn mutate_ends(rng: &mut Rng, seed: &[u8]) -> Vec<u8> {
    const END: usize = 160;
    let middle = seed.len().saturating_sub(END);
    if rng.below(2) == 0 {
        let cut = END.min(seed.len());
        [mutate(rng, &seed[..cut]), seed[cut..].to_vec()].concat()
    } else {
        [seed[..middle].to_vec(), mutate(rng, &seed[middle..])].concat()
    }
}

/// A tar archive of one file.
pub fn tar(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 512];
    out[..9].copy_from_slice(b"model.pth");
    out[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
    out[156] = b'0';
    out[257..262].copy_from_slice(b"ustar");
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(512) + 1024, 0);
    out
}

/// An array of Python objects: `{"x": [1.0]}` of no dimensions, as `np.save` writes a dictionary.
pub fn objects() -> Vec<u8> {
    use pickles::{bytes, call, global, int, text, tuple};
    let made = call(
        global("numpy._core.multiarray", "_reconstruct"),
        &[global("numpy", "ndarray"), b"K\x00\x85".to_vec(), bytes(b"b")],
    );
    let dtype = [
        call(global("numpy", "dtype"), &[text("O8"), vec![0x89], vec![0x88]]),
        tuple(&[
            int(3),
            text("|"),
            b"N".to_vec(),
            b"N".to_vec(),
            b"N".to_vec(),
            int(-1),
            int(-1),
            int(63),
        ]),
        b"b".to_vec(),
    ];
    let array = pickles::ndarray("f4", "<", &[1], bytes(&1f32.to_le_bytes()));
    let dict = [b"}", &text("x")[..], &array, b"s"].concat();
    let list = [b"]", &dict[..], b"a"].concat();
    let state = tuple(&[int(1), b")".to_vec(), dtype.concat(), vec![0x89], list]);
    let header = "{'descr': '|O', 'fortran_order': False, 'shape': (), }";
    files::npy(header, &pickles::pickle(&[made, state, b"b".to_vec()].concat()))
}

/// A network of OpenVINO with two constants, as its description in XML.
const NETWORK: &str = r#"<?xml version="1.0"?><net name="A" version="10"><layers>
<layer id="1" name="m.a.weight" type="Const"><data element_type="f32" shape="2, 1" offset="0" size="8"/></layer>
<layer id="2" name="173" type="Const"><data element_type="i64" shape="" offset="8" size="8"/></layer>
<layer id="5" name="Conv_1" type="Convolution"/></layers><edges>
<edge from-layer="1" to-layer="5"/><edge from-layer="2" to-layer="5"/></edges></net>"#;

/// An archive of a network of OpenVINO with that description.
fn openvino(description: &[u8]) -> Vec<u8> {
    let entries = [("data/A.xml", description.to_vec()), ("data/A.bin", vec![0; 16])];
    gannet::weights::write_zip(entries).unwrap()
}

/// A good file of each container.
pub fn seeds() -> Cases {
    let header = r#"{"__metadata__":{"gannet":"{\"format\":1,\"family\":\"x\"}"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}}"#;
    let mut out: Cases = vec![
        ("safetensors".into(), files::safetensors(header, &[0; 10])),
        ("npy of objects".into(), objects()),
        ("tar".into(), tar(&reference("torch/checkpoint_zip.pt"))),
        ("openvino".into(), openvino(NETWORK.as_bytes())),
    ];
    for name in [
        "torch/checkpoint_zip.pt",
        "torch/pca_zip.pt",
        "torch/checkpoint_legacy.pt",
        "torch/direction_1x512_cuda_legacy.pt",
        "torch/boundary_f8_1x64.npy",
        "torch/projected_w.npz",
        "torch/ganspace_deflated.npz",
        "pkl/p4_16_half.pkl",
        "pkl/p2_16_orig.pkl",
        "tensorflow/stylegan2_16.pkl",
        "pggan/tensorflow_32_lod.pkl",
        "keras/layouts_v0.h5",
        "keras/layouts_v3.h5",
        "keras/classifier.h5",
        "keras/keras_gan_alone.h5",
        "keras/decoder.keras",
    ] {
        out.push((name.into(), reference(name)));
    }
    out.extend(pickles::good().into_iter().filter(|(_, b)| b.len() < 2000));
    out
}

/// Mutants of all seeds, `each` a seed; the same ones each time.
pub fn mutants(each: u64) -> Cases {
    let mut out = Cases::new();
    for (what, seed) in seeds() {
        for i in 0..each {
            let mut rng = Rng::derive(i, &what);
            let bytes =
                if i % 2 == 0 { mutate(&mut rng, &seed) } else { mutate_ends(&mut rng, &seed) };
            out.push((format!("{what}, mutant {i}"), bytes));
        }
    }
    // A checksum protects the description in an archive, so it is changed before it is packed.
    for i in 0..4 * each {
        let text = mutate(&mut Rng::derive(i, "description"), NETWORK.as_bytes());
        out.push((format!("openvino, description {i}"), openvino(&text)));
    }
    out
}

/// Hostile settings in a JSON file beside a good one.
pub fn beside() -> Cases {
    let deep = |open: &str| open.repeat(200_000).into_bytes();
    let huge = format!("{{\"a\": [{}0]}}", "0,".repeat(400_000)).into_bytes();
    let keys: String = (0..40_000).map(|i| format!("\"k{i}\": {i}, ")).collect();
    let mut out: Cases = vec![
        ("brackets".into(), deep("[")),
        ("objects".into(), deep("{\"a\":")),
        ("a long list".into(), huge),
        ("many keys".into(), format!("{{{keys}\"z_dim\": 1}}").into_bytes()),
        ("nothing".into(), Vec::new()),
        ("no JSON".into(), b"\x80\x04N.".to_vec()),
        ("not UTF-8".into(), b"{\"\xff\": 1}".to_vec()),
        ("an escape".into(), b"{\"\\u001b[2J\": \"\\u001b]0;owned\\u0007\"}".to_vec()),
        ("a list".into(), b"[1, 2]".to_vec()),
        ("more than a megabyte".into(), vec![b' '; 3 << 20]),
    ];
    for value in ["-1", "1e999", "18446744073709551616", "null", "{}", "[]", "\"x\"", "1.5", "true"]
    {
        for key in ["z_dim", "img_resolution", "layers", "num_classes", "channel_width"] {
            out.push((format!("{key}: {value}"), format!("{{\"{key}\": {value}}}").into_bytes()));
        }
    }
    out
}

/// Arrays of Python objects that lie or run.
pub fn objects_that_lie() -> Cases {
    use pickles::{call, global, pickle, text};
    let header =
        |shape: &str| format!("{{'descr': '|O', 'fortran_order': False, 'shape': ({shape}), }}");
    let run = pickle(&call(global("os", "system"), &[text("id")]));
    let good = objects();
    vec![
        ("objects that run | not allowed".into(), files::npy(&header(""), &run)),
        ("objects without a pickle".into(), files::npy(&header("1,"), &[0; 8])),
        ("objects that are nothing".into(), files::npy(&header(""), b"\x80\x04N.")),
        ("objects cut".into(), good[..good.len() - 9].to_vec()),
        (
            "an object array larger than its list | as many of them".into(),
            pickles::dict(&pickles::ndarray("O8", "|", &[5], b"]Na".to_vec())),
        ),
    ]
}
