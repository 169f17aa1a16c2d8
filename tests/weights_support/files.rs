//! Hostile zips, NumPy arrays, safetensors and files that are something else.

use super::pickles::{self, legacy, persistent_id, tensor};
use super::{cuts, reference};
use std::io::{Cursor, Write};
use zip::CompressionMethod::{Deflated, Stored};
use zip::write::SimpleFileOptions;

type Cases = Vec<(String, Vec<u8>)>;

/// A NumPy file of version 1.
pub fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data]
        .concat()
}

fn npy_header(code: &str, shape: &str) -> String {
    format!("{{'descr': '{code}', 'fortran_order': False, 'shape': ({shape}), }}")
}

/// A zip of these entries.
pub fn zip(entries: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        out.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        out.write_all(bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

/// The same bytes with every `from` replaced by `to` of the same length.
fn patch(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut out = bytes.to_vec();
    let mut hits = 0;
    for i in 0..=out.len() - from.len() {
        if out[i..].starts_with(from) {
            out[i..i + to.len()].copy_from_slice(to);
            hits += 1;
        }
    }
    assert!(hits > 0, "nothing was patched");
    out
}

/// Writes `value` at `offset` behind the n-th occurrence of a zip record's mark.
fn poke(bytes: &[u8], mark: &[u8], nth: usize, offset: usize, value: &[u8]) -> Vec<u8> {
    let found: Vec<usize> =
        (0..bytes.len() - 4).filter(|&i| bytes[i..].starts_with(mark)).collect();
    let mut out = bytes.to_vec();
    out[found[nth] + offset..][..value.len()].copy_from_slice(value);
    out
}

const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
const END: &[u8] = b"PK\x05\x06";

fn zips() -> Cases {
    let array = npy(&npy_header("<f4", "4,"), &[0; 16]);
    let two = zip(&[("a.npy", &array), ("b.npy", &array)], Stored);
    let packed = zip(&[("a.npy", &npy(&npy_header("<f4", "1024,"), &[0; 4096]))], Deflated);
    let bomb = npy(&npy_header("<f4", "52428800,"), &vec![0; 200 << 20]);
    let object = tensor(persistent_id("FloatStorage", "0", 4), 0, &[4], &[1]);
    let torch = |object: &[u8], data: &[u8]| {
        zip(&[("x/data.pkl", &pickles::pickle(object)), ("x/data/0", data)], Stored)
    };
    let mut out: Cases = vec![
        ("bomb".into(), zip(&[("a.npy", &bomb)], Deflated)),
        ("bombs that add up".into(), {
            let part = npy(&npy_header("<f4", "15728640,"), &vec![0; 60 << 20]);
            let names: Vec<String> = (0..70).map(|i| format!("{i}.npy")).collect();
            let one = zip(&[("a.npy", &part)], Deflated);
            let mut archive = zip::ZipArchive::new(Cursor::new(one)).unwrap();
            let mut all = zip::ZipWriter::new(Cursor::new(Vec::new()));
            for name in &names {
                all.raw_copy_file_rename(archive.by_index_raw(0).unwrap(), name.as_str()).unwrap();
            }
            all.finish().unwrap().into_inner()
        }),
        ("unpacked size too small".into(), poke(&packed, CENTRAL, 0, 24, &100u32.to_le_bytes())),
        (
            "unpacked size too large".into(),
            poke(&packed, CENTRAL, 0, 24, &(60u32 << 20).to_le_bytes()),
        ),
        (
            "unpacked size of 4 GiB".into(),
            poke(&packed, CENTRAL, 0, 24, &0xffff_fffeu32.to_le_bytes()),
        ),
        (
            "packed size too large".into(),
            poke(&packed, CENTRAL, 0, 20, &0x00ff_ffffu32.to_le_bytes()),
        ),
        ("wrong checksum of a packed entry".into(), poke(&packed, CENTRAL, 0, 16, &[1, 2, 3, 4])),
        ("two entries of one name".into(), patch(&two, b"b.npy", b"a.npy")),
        ("entries that share bytes".into(), poke(&two, CENTRAL, 1, 42, &0u32.to_le_bytes())),
        (
            "an entry that begins behind the end".into(),
            poke(&two, CENTRAL, 1, 42, &0x7fff_ffffu32.to_le_bytes()),
        ),
        ("encrypted".into(), poke(&poke(&two, CENTRAL, 0, 8, &[1, 0]), LOCAL, 0, 6, &[1, 0])),
        (
            "unknown compression".into(),
            poke(&poke(&two, CENTRAL, 0, 10, &[99, 0]), LOCAL, 0, 8, &[99, 0]),
        ),
        ("bzip2".into(), poke(&poke(&two, CENTRAL, 0, 10, &[12, 0]), LOCAL, 0, 8, &[12, 0])),
        ("stored, two sizes".into(), poke(&two, CENTRAL, 0, 24, &1000u32.to_le_bytes())),
        (
            "65,534 entries".into(),
            poke(&poke(&two, END, 0, 8, &[0xfe, 0xff]), END, 0, 10, &[0xfe, 0xff]),
        ),
        ("directory offset".into(), poke(&two, END, 0, 16, &0x7fff_ffffu32.to_le_bytes())),
        ("several disks".into(), poke(&two, END, 0, 4, &[3, 0])),
        ("no entries".into(), zip(&[], Stored)),
        ("no end".into(), b"PK\x03\x04".repeat(40)),
        ("only an end".into(), [END, &[0xff; 18]].concat()),
        ("neither torch nor npz".into(), zip(&[("readme.txt", b"hello")], Stored)),
        ("an npz that holds a pickle".into(), zip(&[("a.npy", &pickles::dict(b"N"))], Stored)),
        (
            "an npz of objects".into(),
            zip(&[("a.npy", &npy(&npy_header("|O", "1,"), b"\x80\x04N."))], Stored),
        ),
        ("an npz entry that is a zip".into(), zip(&[("a.npy", &two)], Stored)),
        (
            "two data.pkl".into(),
            zip(&[("x/data.pkl", b"\x80\x02N."), ("y/data.pkl", b"\x80\x02N.")], Stored),
        ),
        (
            "big-endian torch".into(),
            zip(
                &[
                    ("x/data.pkl", &pickles::pickle(&object)),
                    ("x/byteorder", b"big"),
                    ("x/data/0", &[0; 16]),
                ],
                Stored,
            ),
        ),
        ("torch storage missing".into(), zip(&[("x/data.pkl", &pickles::pickle(&object))], Stored)),
        (
            "torch storage under another folder".into(),
            zip(&[("x/data.pkl", &pickles::pickle(&object)), ("y/data/0", &[0; 16])], Stored),
        ),
        ("torch storage too short".into(), torch(&object, &[0; 15])),
        ("value: torch NaN".into(), torch(&object, &f32::NAN.to_le_bytes().repeat(4))),
        ("torch without tensors".into(), torch(b"N", &[])),
        (
            "torch that runs".into(),
            torch(&pickles::call(pickles::global("os", "system"), &[pickles::text("id")]), &[]),
        ),
        (
            "torch key with dots".into(),
            torch(&tensor(persistent_id("FloatStorage", "../0", 4), 0, &[4], &[1]), &[0; 16]),
        ),
    ];
    for name in ["../a.npy", "a/../../b.npy", "/etc/a.npy", "..\\a.npy", "\\a.npy", "a\0.npy"] {
        let plain: String = name
            .chars()
            .map(|c| if matches!(c, '.' | '/' | '\\' | '\0') { '_' } else { c })
            .collect();
        let safe = zip(&[(&plain, &array)], Stored);
        out.push((format!("entry {name:?}"), patch(&safe, plain.as_bytes(), name.as_bytes())));
    }
    let escape = zip(&[("x2Jx.txt", b"hello")], Stored);
    out.push(("entry with an escape".into(), patch(&escape, b"x2Jx", b"\x1b[2J")));
    out.extend(cuts("npz", &two, 31));
    out.extend(cuts("torch zip", &reference("torch/checkpoint_zip.pt"), 127));
    out.extend(cuts("deflated npz", &reference("torch/ganspace_deflated.npz"), 211));
    out
}

fn numpy() -> Cases {
    let four = |code: &str, shape: &str| npy(&npy_header(code, shape), &[0; 16]);
    let version =
        |v: u8, len: u32| [&b"\x93NUMPY"[..], &[v, 0], &len.to_le_bytes(), &[b' '; 64]].concat();
    let one = |code: &str, data: &[u8]| npy(&npy_header(code, "1,"), data);
    let mut out: Cases = vec![
        ("version 9".into(), version(9, 64)),
        ("header of 4 GiB".into(), version(2, u32::MAX)),
        ("header of 1 GiB".into(), version(3, 1 << 30)),
        ("header longer than the file".into(), version(2, 65)),
        ("header not a dict".into(), npy("__import__('os').system('id')", &[])),
        ("header of brackets".into(), npy(&"(".repeat(60_000), &[])),
        ("header of braces".into(), npy(&"{".repeat(60_000), &[])),
        ("header of zeros".into(), npy(&"\0".repeat(100), &[])),
        ("header with an escape".into(), npy("{'\u{1b}[2J': 1}", &[])),
        ("keys missing".into(), npy("{'descr': '<f4'}", &[0; 16])),
        (
            "keys twice".into(),
            npy(
                "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (4,)}",
                &[0; 16],
            ),
        ),
        (
            "unknown key".into(),
            npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), 'x': 1}", &[0; 16]),
        ),
        ("text behind the header".into(), npy(&(npy_header("<f4", "4,") + "x"), &[0; 16])),
        ("string without end".into(), npy("{'descr': '<f4", &[0; 16])),
        (
            "shape without end".into(),
            npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4", &[0; 16]),
        ),
        (
            "order that is a number".into(),
            npy("{'descr': '<f4', 'fortran_order': 0, 'shape': (4,)}", &[0; 16]),
        ),
        ("value: f2 infinity".into(), one("<f2", &[0x00, 0x7c])),
        ("value: f4 NaN".into(), one("<f4", &f32::NAN.to_le_bytes())),
        ("value: big-endian f8 NaN".into(), one(">f8", &f64::NAN.to_be_bytes())),
    ];
    for shape in [
        "1152921504606846976,",
        "18446744073709551615,",
        "4294967296, 4294967296",
        "18446744073709551616,",
        "-4,",
        "4.0,",
        "5,",
        "3,",
        "1,1,1,1,1,1,1,1,4",
        "4, 0",
        "a,",
        "99999999999999999999999999999999999,",
    ] {
        out.push((format!("shape ({shape})"), four("<f4", shape)));
    }
    for code in [
        "|O", "O", "<U4", "|S16", "<c8", "<M8[ns]", "<f16", "<u4", "|V16", "", "<", "f4,f4",
        "\u{1b}f4",
    ] {
        out.push((format!("type {code:?}"), four(code, "4,")));
    }
    out.extend(cuts("npy", &four("<f4", "4,"), 3));
    out
}

/// A safetensors file.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn entry(name: &str, dtype: &str, shape: &str, start: u64, end: u64) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{start},{end}]}}"#)
}

fn ours() -> Cases {
    let file = |entries: &[String], data: usize| {
        safetensors(&format!("{{{}}}", entries.join(",")), &vec![0; data])
    };
    let a = || entry("a", "F32", "1", 0, 4);
    let header = |len: u64| [&len.to_le_bytes()[..], b"{\"a\":1}"].concat();
    let meta = |text: &str| {
        file(
            &[
                format!(r#""__metadata__":{{"gannet":{}}}"#, serde_json::to_string(text).unwrap()),
                a(),
            ],
            4,
        )
    };
    let value = |dtype: &str, data: &[u8]| {
        safetensors(&format!("{{{}}}", entry("a", dtype, "1", 0, data.len() as u64)), data)
    };
    let mut out: Cases = vec![
        ("a name twice".into(), file(&[a(), a()], 4)),
        ("a name twice, escaped".into(), file(&[a(), a().replace("\"a\"", "\"\\u0061\"")], 4)),
        ("a field twice".into(), file(&[a().replace("[0,4]", "[0,4],\"shape\":[1]")], 4)),
        (
            "metadata twice".into(),
            file(&[r#""__metadata__":{}"#.into(), r#""__metadata__":{}"#.into(), a()], 4),
        ),
        (
            "tensors that overlap".into(),
            file(&[entry("a", "F32", "2", 0, 8), entry("b", "F32", "1", 4, 8)], 8),
        ),
        ("a gap".into(), file(&[a(), entry("b", "F32", "1", 8, 12)], 12)),
        ("offsets reversed".into(), file(&[entry("a", "F32", "1", 4, 0)], 4)),
        ("offsets of 2^64".into(), file(&[entry("a", "F32", "1", 0, u64::MAX)], 4)),
        ("offsets negative".into(), file(&[a().replace("[0,4]", "[-4,0]")], 4)),
        ("no tensors".into(), file(&[], 0)),
        ("only metadata".into(), file(&[r#""__metadata__":{"gannet":"{}"}"#.into()], 0)),
        ("bytes behind the data".into(), file(&[a()], 5)),
        ("data missing".into(), file(&[a()], 3)),
        ("header of 2^63".into(), header(1 << 63)),
        ("header of 2^64-1".into(), header(u64::MAX)),
        ("header of 10,000,001".into(), header(10_000_001)),
        ("header longer than the file".into(), header(9)),
        ("header not JSON".into(), safetensors("{\u{1b}[2J", &[])),
        (
            "header of brackets".into(),
            safetensors(&format!("{{\"a\":{}", "[".repeat(100_000)), &[]),
        ),
        ("header of objects".into(), safetensors(&"{\"a\":".repeat(100_000), &[])),
        ("header not UTF-8".into(), [&4u64.to_le_bytes()[..], b"{\"\xff\""].concat()),
        (
            "a name with an escape, type unknown".into(),
            file(&[entry("\\u001b[2J\\n", "F33", "1", 0, 4)], 4),
        ),
        (
            "value: a name with an escape, NaN".into(),
            safetensors(
                &format!("{{{}}}", entry("\\u001b[2J\\n\\t", "F32", "1", 0, 4)),
                &f32::NAN.to_le_bytes(),
            ),
        ),
        ("value: f16 NaN".into(), value("F16", &[0xff, 0x7f])),
        ("value: bf16 infinity".into(), value("BF16", &[0x80, 0x7f])),
        ("value: f64 NaN".into(), value("F64", &f64::NAN.to_le_bytes())),
        ("manifest of format 2".into(), meta(r#"{"format":2,"family":"x"}"#)),
        ("manifest that is no JSON".into(), meta("{")),
        ("manifest without family".into(), meta(r#"{"format":1}"#)),
        ("manifest with a key twice".into(), meta(r#"{"format":1,"family":"x","family":"y"}"#)),
        ("manifest of brackets".into(), meta(&"[".repeat(100_000))),
        (
            "20,001 tensors".into(),
            file(
                &(0..20_001).map(|i| entry(&i.to_string(), "F32", "0", 0, 0)).collect::<Vec<_>>(),
                0,
            ),
        ),
    ];
    for shape in [
        "1152921504606846976",
        "4294967296,4294967296",
        "-1",
        "1.5",
        "2",
        "1,1,1,1,1,1,1,1,1",
        "18446744073709551616",
        "\"1\"",
    ] {
        out.push((format!("shape [{shape}]"), file(&[entry("a", "F32", shape, 0, 4)], 4)));
    }
    for dtype in ["C64", "F8_E4M3", "U64", "F4", "f32", "", "O"] {
        out.push((format!("type {dtype}"), file(&[entry("a", dtype, "1", 0, 4)], 4)));
    }
    out.extend(cuts("safetensors", &file(&[a(), entry("b", "F32", "2", 4, 12)], 12), 5));
    out
}

/// Everything that must be refused.
pub fn all() -> Cases {
    let other: [(&str, &[u8]); 12] = [
        ("nothing", b""),
        ("one byte", b"\x80"),
        ("a pickle's first bytes", b"\x80\x04"),
        ("protocol 0", b"(dp0\n."),
        ("protocol 1", b"\x80\x01N."),
        ("the first bytes of HDF5", b"\x89HDF\r\n\x1a\n\0\0\0\0\0\0\0\0"),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\0"),
        ("a web page", b"<!DOCTYPE html><html></html>"),
        ("a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\n"),
        ("a picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        ("zeros", &[0; 64]),
        ("ones", &[0xff; 64]),
    ];
    let other: Cases = other.iter().map(|(w, b)| (w.to_string(), b.to_vec())).collect();
    let objects = super::mutants::objects_that_lie();
    [zips(), numpy(), ours(), objects, super::hdf5::all(), other].concat()
}

/// Files that keep the rules, if only just.
pub fn good() -> Cases {
    let zeros = npy(&npy_header("<f4", "4194304,"), &vec![0; 16 << 20]);
    let object = tensor(persistent_id("FloatStorage", "0", 4), 0, &[4], &[1]);
    vec![
        ("an npz that compresses a thousandfold".into(), zip(&[("a.npy", &zeros)], Deflated)),
        (
            "a deflated torch file".into(),
            zip(&[("x/data.pkl", &pickles::pickle(&object)), ("x/data/0", &[0; 16])], Deflated),
        ),
        ("an array without elements".into(), npy(&npy_header("<f4", "0, 9"), &[])),
        ("a number".into(), npy(&npy_header("<i8", ""), &[0; 8])),
        ("eight dimensions".into(), npy(&npy_header("<f4", "1,1,1,1,1,1,1,1"), &[0; 4])),
        (
            "a legacy file with an unused stride".into(),
            legacy(
                &tensor(persistent_id("HalfStorage", "k", 2), 1, &[1], &[1 << 62]),
                &[("k", 2, &[0; 4])],
            ),
        ),
        (
            "an empty safetensors tensor".into(),
            safetensors(&format!("{{{}}}", entry("a", "F32", "0, 3", 0, 0)), &[]),
        ),
    ]
}
