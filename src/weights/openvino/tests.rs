//! Tests of the reader of OpenVINO's networks.

use crate::error::Result;
use crate::limits::LIMITS;
use crate::weights::{self, Checkpoint, write_zip};

/// A network of two layers with four constants: two with names, one whose name was lost.
fn description(name: &str) -> String {
    let constant = |id: usize, name: &str, kind: &str, shape: &str, at: usize, size: usize| {
        format!(
            "<layer id=\"{id}\" name=\"{name}\" type=\"Const\"><data element_type=\"{kind}\" \
             shape=\"{shape}\" offset=\"{at}\" size=\"{size}\"/></layer>"
        )
    };
    format!(
        "<?xml version=\"1.0\" ?>\n<net name=\"{name}\" version=\"10\"><layers>\
         <layer id=\"0\" name=\"in\" type=\"Parameter\"/>{}{}{}{}\
         <layer id=\"5\" name=\"Conv_1\" type=\"Convolution\"/>\
         <layer id=\"6\" name=\"Add_1\" type=\"Add\"/></layers><edges>\
         <edge from-layer=\"1\" to-layer=\"5\"/><edge from-layer=\"2\" to-layer=\"5\"/>\
         <edge from-layer=\"3\" to-layer=\"6\"/><edge from-layer=\"4\" to-layer=\"6\"/></edges>\
         <meta_data><MO_version value=\"2021.4\"/></meta_data></net>",
        constant(1, "m.a.weight", "f32", "2, 1", 0, 8),
        constant(2, "173", "f32", "2", 8, 8),
        constant(3, "Split/axis", "i64", "", 16, 8),
        constant(4, "m.b", "f16", "1, 2", 24, 4),
    )
}

/// The numbers of such a network.
fn numbers() -> Vec<u8> {
    let floats = [1f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat();
    let halves = [0.5f32, -1.0].map(|v| half::f16::from_f32(v).to_le_bytes()).concat();
    [floats, 7i64.to_le_bytes().to_vec(), halves].concat()
}

fn zipped(entries: &[(&str, Vec<u8>)]) -> Result<Checkpoint> {
    let bytes = write_zip(entries.iter().map(|(name, bytes)| (*name, bytes.clone())))?;
    weights::open_bytes("m.whl", bytes, &LIMITS)
}

fn names(c: &Checkpoint) -> Vec<&str> {
    c.weights.list().tensors.keys().map(String::as_str).collect()
}

#[test]
fn an_archive_a_folder_and_a_file_give_the_same_tensors() {
    let xml = |name: &str| description(name).into_bytes();
    let archive = zipped(&[
        ("data/A.xml", xml("A")),
        ("data/A.bin", numbers()),
        ("data/B.xml", xml("B")),
        ("data/B.bin", numbers()),
        ("data/other.xml", b"<svg/>".to_vec()),
        ("data/other.bin", Vec::new()),
        ("x/METADATA", b"text".to_vec()),
    ])
    .unwrap();
    let of = |n: &str| {
        ["m.a.weight", "m.a.weight+Add.0", "m.a.weight+Convolution.0", "m.b"]
            .map(|t| format!("{n}.{t}"))
    };
    assert_eq!(names(&archive), [of("A"), of("B")].concat());
    assert_eq!(archive.format, "openvino-zip");
    assert_eq!(archive.provenance["model_optimizer"]["A"], "2021.4");
    let arrays = archive.weights.clone().arrays().unwrap();
    assert_eq!(arrays["A.m.a.weight+Convolution.0"].to_f32(), [3.0, 4.0]);
    assert_eq!(arrays["B.m.b"].to_f32(), [0.5, -1.0]);
    assert_eq!(arrays["B.m.a.weight+Add.0"].to_f32(), [7.0]);

    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    put("A.xml", &xml("A"));
    put("A.bin", &numbers());
    put("B.xml", &xml("B"));
    let open = |name: &str| weights::open(&folder.path().join(name), &LIMITS);
    assert_eq!(names(&open("A.xml").unwrap()), of("A"), "B has no numbers");
    let e = open("B.xml").unwrap_err();
    assert!(e.message().contains("missing") && e.repair().unwrap().contains("B.bin"), "{e}");
    put("B.bin", &numbers());
    for name in ["A.xml", "B.xml", ""] {
        let opened = open(name).unwrap();
        assert_eq!(opened.weights.arrays().unwrap(), arrays, "{name}");
        let size = 2 * (numbers().len() + description("A").len()) as u64;
        assert_eq!(opened.bytes, size, "all files count");
        assert_eq!(opened.format, "openvino");
    }
    // The sum is one over all files.
    let sum = open("A.xml").unwrap().sha256().unwrap();
    put("B.bin", &[&numbers()[..27], &[9]].concat());
    assert_ne!(open("A.xml").unwrap().sha256().unwrap(), sum);
    let empty = tempfile::tempdir().unwrap();
    let e = weights::open(empty.path(), &LIMITS).unwrap_err();
    assert!(e.repair().is_some(), "{e}");
}

#[test]
fn broken_networks_are_refused_with_the_rule() {
    let refused = |xml: String, bin: &[u8]| {
        let e = zipped(&[("A.xml", xml.into_bytes()), ("A.bin", bin.to_vec())]).unwrap_err();
        assert!(e.message().contains("at byte "), "{e}");
        e.to_string()
    };
    let (good, bin) = (description("A"), numbers());
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        refused(good.replacen(from, to, 1), &bin)
    };
    assert!(refused(good.clone(), &bin[..20]).contains("are needed here"));
    assert!(changed("offset=\"24\"", "offset=\"18446744073709551615\"").contains("needed here"));
    assert!(changed("offset=\"24\"", "offset=\"-1\"").contains("an offset and a size"));
    assert!(changed("shape=\"2, 1\"", "shape=\"2, 2\"").contains("its shape needs"));
    assert!(changed("shape=\"2, 1\"", "shape=\"2, x\"").contains("sizes"));
    assert!(changed("shape=\"2, 1\"", "shape=\"4294967296,4294967296\"").contains("shape needs"));
    assert!(changed("\"f16\"", "\"u4\"").contains("`u4`"));
    assert!(changed("version=\"10\"", "version=\"7\"").contains("version 10"));
    assert!(changed("\"173\"", "\"m.b\"").contains("two tensors"));
    assert!(changed("from-layer=\"2\"", "from-layer=\"1\"").contains("reads it"));
    assert!(changed("to-layer=\"6\"", "to-layer=\"9\"").contains("not there"));
    assert!(changed("</net>", "").contains("XML"));
    assert!(changed("<layers>", "<!DOCTYPE a>").contains("XML"));
    // Deep nesting neither recurses nor passes.
    let deep = format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
    let text = good.replacen("</net>", &format!("{deep}</net>"), 1);
    let _ = zipped(&[("A.xml", text.into_bytes()), ("A.bin", bin.clone())]);
    let many = "<a/>".repeat(1 << 20);
    assert!(refused(good.replacen("</net>", &format!("{many}</net>"), 1), &bin).contains("XML"));
}
