//! Files that are something else than a model: named by their first bytes, or by the names in a
//! zip. Only the head of a file is looked at, and nothing in it is followed.

use super::source::Source;
use super::zip::{self, Archive};
use crate::error::Result;
use crate::limits::Limits;
use std::path::Path;

/// Bytes of the head that are looked at.
const HEAD: u64 = 8192;
/// Bytes at the end of a zip in which its directory is announced: the record and its comment.
const TAIL: u64 = 22 + 65_535;

/// What a file is that holds no tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its short name, for programs: `html`, `git-lfs`, `onnx`.
    pub name: &'static str,
    /// In words: `a web page`.
    pub what: &'static str,
    /// What a user who wanted a model does now.
    pub repair: &'static str,
}

/// A file as the rules look at it.
struct Look<'a> {
    head: &'a [u8],
    /// The head in lower case where it is text; empty otherwise.
    text: &'a str,
    /// Names in a zip, in lower case; empty otherwise.
    names: &'a [String],
    /// Whether it begins as a zip and has no end.
    cut: bool,
}

impl Look<'_> {
    fn begins(&self, with: &[u8]) -> bool {
        self.head.starts_with(with)
    }

    /// Whether these bytes are at this offset.
    fn has(&self, at: usize, bytes: &[u8]) -> bool {
        self.head.get(at..).is_some_and(|rest| rest.starts_with(bytes))
    }

    /// Whether the text begins so, white space and a byte order mark aside.
    fn opens(&self, with: &str) -> bool {
        self.text.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']).starts_with(with)
    }

    fn says(&self, words: &str) -> bool {
        self.text.contains(words)
    }

    /// Whether a name in the zip ends so.
    fn ends(&self, with: &str) -> bool {
        self.names.iter().any(|n| n.ends_with(with))
    }

    /// Whether most names in the zip have one of these endings.
    fn mostly(&self, endings: &[&str]) -> bool {
        let fits = |n: &&String| endings.iter().any(|e| n.ends_with(e));
        2 * self.names.iter().filter(fits).count() > self.names.len()
    }

    /// Whether the head holds these bytes anywhere.
    fn holds(&self, bytes: &[u8]) -> bool {
        self.head.windows(bytes.len()).any(|w| w == bytes)
    }
}

type Rule = (Other, fn(&Look<'_>) -> bool);

const fn rule(
    name: &'static str,
    what: &'static str,
    repair: &'static str,
    is: fn(&Look<'_>) -> bool,
) -> Rule {
    (Other { name, what, repair }, is)
}

const AGAIN: &str = "download the file itself again";
const UNPACK: &str = "unpack it and give the file inside";
const PICTURE: &str = "a picture is opened with image(\"…\"), or inverted with `gannet invert`";
const TORCH: &str =
    "convert it to a state dict first: torch.save(model.state_dict(), \"model.pt\")";
const OTHER: &str = "give a checkpoint of a generator";

/// All of them; the first that fits counts.
const RULES: &[Rule] = &[
    rule("empty", "an empty file", AGAIN, |l| l.head.is_empty()),
    rule(
        "html-quota",
        "a web page of Google Drive that says its quota is exceeded, not the file",
        "try again tomorrow, or copy the file to a drive of your own and download that",
        |l| l.opens("<") && l.says("google drive") && (l.says("quota") || l.says("too many users")),
    ),
    rule(
        "html-warning",
        "a web page of Google Drive that asks for confirmation, not the file",
        "confirm the download in a browser",
        |l| {
            l.opens("<") && l.says("google drive") && (l.says("virus") || l.says("download anyway"))
        },
    ),
    rule(
        "html",
        "a web page, not a model: the download failed",
        "open the address in a browser; it may want a login or a confirmation",
        |l| ["<!doctype", "<html", "<head", "<script", "<!--"].iter().any(|t| l.opens(t)),
    ),
    rule("git-lfs", "a Git LFS pointer, not the file itself", "git lfs pull", |l| {
        l.opens("version https://git-lfs.github.com/spec")
    }),
    rule("git-annex", "a git-annex pointer, not the file itself", "git annex get", |l| {
        l.opens("/annex/objects/")
    }),
    rule(
        "openvino-xml",
        "the graph of an OpenVINO model (IR); its numbers are in the .bin file beside it",
        "keep the .xml and the .bin together under one name",
        |l| l.opens("<?xml") && l.says("<net "),
    ),
    rule("xml", "an XML document", OTHER, |l| l.opens("<?xml") || l.opens("<svg")),
    rule(
        "safetensors-index",
        "the index of a safetensors model in several files",
        "its weights are in the files that it names",
        |l| l.opens("{") && l.says("\"weight_map\""),
    ),
    rule("json", "a JSON document: settings or a message, without weights", OTHER, |l| {
        l.opens("{\"") || l.opens("{\n") || l.opens("{\r\n") || l.opens("[{") || l.opens("{ ")
    }),
    rule("gzip", "a gzip file", UNPACK, |l| l.begins(&[0x1f, 0x8b])),
    rule("xz", "an xz file", UNPACK, |l| l.begins(b"\xfd7zXZ\0")),
    rule("bzip2", "a bzip2 file", UNPACK, |l| l.begins(b"BZh")),
    rule("zstd", "a zstd file", UNPACK, |l| l.begins(&[0x28, 0xb5, 0x2f, 0xfd])),
    rule("7z", "a 7z archive", UNPACK, |l| l.begins(b"7z\xbc\xaf\x27\x1c")),
    rule("rar", "a RAR archive", UNPACK, |l| l.begins(b"Rar!\x1a\x07")),
    rule("png", "a PNG picture", PICTURE, |l| l.begins(b"\x89PNG\r\n\x1a\n")),
    rule("jpeg", "a JPEG picture", PICTURE, |l| l.begins(&[0xff, 0xd8, 0xff])),
    rule("gif", "a GIF picture", PICTURE, |l| l.begins(b"GIF87a") || l.begins(b"GIF89a")),
    rule("webp", "a WebP picture", PICTURE, |l| l.begins(b"RIFF") && l.has(8, b"WEBP")),
    rule("tiff", "a TIFF picture", PICTURE, |l| l.begins(b"II*\0") || l.begins(b"MM\0*")),
    rule("bmp", "a BMP picture", PICTURE, |l| l.begins(b"BM") && l.has(6, &[0; 4])),
    rule("video", "a film", OTHER, |l| {
        l.has(4, b"ftyp") || l.begins(&[0x1a, 0x45, 0xdf, 0xa3]) || l.has(8, b"AVI ")
    }),
    rule("pdf", "a PDF document", OTHER, |l| l.begins(b"%PDF-")),
    rule(
        "gguf",
        "a GGUF or GGML file: a language model, not a generator of pictures",
        OTHER,
        |l| l.begins(b"GGUF") || l.begins(b"ggml") || l.begins(b"lmgg") || l.begins(b"tjgg"),
    ),
    rule("tflite", "a TensorFlow Lite model", TORCH, |l| l.has(4, b"TFL3")),
    rule(
        "onnx",
        "an ONNX graph; graphs of other programs are not run",
        "use the PyTorch checkpoint that it was exported from",
        |l| {
            let makers: [&[u8]; 6] =
                [b"pytorch", b"onnx", b"tf2onnx", b"ai.onnx", b"paddle", b"keras2onnx"];
            matches!(l.head, [8, 1..=20, 0x12 | 0x3a | 0x42, ..])
                && makers.iter().any(|m| l.holds(m))
        },
    ),
    rule(
        "tensorflow-graph",
        "a TensorFlow graph (SavedModel or frozen); graphs of other programs are not run",
        "use the pickle that the authors published",
        |l| {
            let ops: [&[u8]; 4] = [b"Placeholder", b"VarHandleOp", b"Const", b"NoOp"];
            matches!(l.head, [8, 1, 0x12, ..] | [0x0a, ..]) && ops.iter().any(|op| l.holds(op))
        },
    ),
    rule("sqlite", "an SQLite database", OTHER, |l| l.begins(b"SQLite format 3\0")),
    rule("parquet", "a Parquet table", OTHER, |l| l.begins(b"PAR1")),
    rule("matlab", "a MATLAB file", "save it as npy or npz", |l| l.begins(b"MATLAB 5.0")),
    rule("program", "a program", OTHER, |l| {
        l.begins(b"\x7fELF") || l.begins(b"MZ") || l.begins(&[0xcf, 0xfa, 0xed, 0xfe])
    }),
    rule(
        "zip-cut",
        "a zip archive without its end: the download stopped early",
        "download it again; `curl -C -` continues where it stopped",
        |l| l.cut,
    ),
    rule("torchscript", "a TorchScript archive: compiled code with its weights", TORCH, |l| {
        l.names.iter().any(|n| n.contains("/code/__torch__"))
    }),
    rule("wheel", "a Python package (wheel) without a model that is read", OTHER, |l| {
        l.names.iter().any(|n| n.contains(".dist-info/"))
    }),
    rule("saved-model", "a TensorFlow SavedModel in a zip", TORCH, |l| l.ends("saved_model.pb")),
    rule("office", "an office document", OTHER, |l| l.ends("[content_types].xml")),
    rule("zip-pictures", "a zip of pictures", PICTURE, |l| {
        l.mostly(&[".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif"])
    }),
    rule("zip-models", "a zip around model files", UNPACK, |l| {
        [".pkl", ".pt", ".pth", ".ckpt", ".safetensors", ".h5", ".bin"].iter().any(|e| l.ends(e))
    }),
    rule("zip", "a zip archive without a model", OTHER, |l| !l.names.is_empty()),
    rule(
        "old-pickle",
        "a pickle of protocol 0 or 1, which is not read",
        "load it in Python and save it with protocol=2 or higher",
        |l| {
            let heads: [&[u8]; 7] =
                [b"(dp", b"(lp", b"ccopy_reg\n", b"cnumpy", b"ccollections\n", b"c__main__", b"(i"];
            heads.iter().any(|h| l.begins(h)) || matches!(l.head, [0x80, 0 | 1, ..])
        },
    ),
    rule("script", "a script", OTHER, |l| l.opens("#!") || l.opens("import ") || l.opens("from ")),
    rule("text", "a text file", OTHER, |l| !l.text.is_empty()),
];

/// The head of a file in lower case where it is text; empty otherwise.
fn text(head: &[u8]) -> String {
    let lossy = String::from_utf8_lossy(head);
    // A character that the head cuts in two is no sign of other bytes.
    let odd = lossy.chars().filter(|c| *c == '\u{fffd}' || (c.is_control() && !c.is_whitespace()));
    if odd.count() > 1 { String::new() } else { lossy.to_lowercase() }
}

/// What a file is that is no model; `None` for one that may be a model.
pub(super) fn other(source: &Source, limits: &Limits) -> Result<Option<Other>> {
    let head = source.read(0, source.len().min(HEAD))?;
    let text = text(&head);
    let (mut names, mut cut) = (Vec::new(), false);
    if zip::begins(&head) {
        let tail = source.read(source.len().saturating_sub(TAIL), source.len().min(TAIL))?;
        cut = !tail.windows(4).any(|w| w == b"PK\x05\x06");
        if let Ok(archive) = Archive::open(source, limits) {
            names = archive.entries.keys().map(|n| n.to_lowercase()).collect();
        }
        // Files of PyTorch and NumPy that break a rule are still these, not archives of others.
        let own = |n: &String| n == "data.pkl" || n.ends_with("/data.pkl") || n.ends_with(".npy");
        let code = |n: &String| n.contains("/code/__torch__");
        if names.iter().any(own) && !names.iter().any(code) {
            names.clear();
        }
    }
    let look = Look { head: &head, text: &text, names: &names, cut };
    Ok(RULES.iter().find(|(_, is)| is(&look)).map(|(other, _)| *other))
}

/// As `other`, for a file by its path.
///
/// # Errors
/// When the file cannot be read.
pub fn what_else(path: &Path, limits: &Limits) -> Result<Option<Other>> {
    other(&Source::open(path, limits)?, limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LIMITS;

    fn name(bytes: &[u8]) -> &'static str {
        let found = other(&Source::bytes("f", bytes.to_vec()), &LIMITS).unwrap();
        found.map_or("", |o| o.name)
    }

    fn zipped(names: &[&str]) -> Vec<u8> {
        zip::write(names.iter().map(|n| (*n, vec![1]))).unwrap()
    }

    #[test]
    fn files_that_are_no_models_are_named() {
        let quota = "<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title>";
        let scan = "<html>Google Drive can't scan this file for viruses. Download anyway";
        let cases: &[(&str, &[u8])] = &[
            ("empty", b""),
            ("html-quota", quota.as_bytes()),
            ("html-warning", scan.as_bytes()),
            ("html", b"\xef\xbb\xbf\n<!doctype html><title>404</title>"),
            ("git-lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
            ("git-annex", b"/annex/objects/MD5-s1--0\n"),
            ("openvino-xml", b"<?xml version=\"1.0\"?>\n<net name=\"x\" version=\"10\">"),
            ("xml", b"<?xml version=\"1.0\"?><a/>"),
            ("safetensors-index", b"{\"metadata\": {}, \"weight_map\": {}}"),
            ("json", b"{\"error\": \"not found\"}"),
            ("gzip", b"\x1f\x8b\x08\0"),
            ("xz", b"\xfd7zXZ\0\0\0"),
            ("bzip2", b"BZh91AY"),
            ("zstd", &[0x28, 0xb5, 0x2f, 0xfd, 0]),
            ("7z", b"7z\xbc\xaf\x27\x1c"),
            ("rar", b"Rar!\x1a\x07\0"),
            ("png", b"\x89PNG\r\n\x1a\n\0\0"),
            ("jpeg", &[0xff, 0xd8, 0xff, 0xe0]),
            ("gif", b"GIF89a"),
            ("webp", b"RIFF\0\0\0\0WEBP"),
            ("tiff", b"II*\0"),
            ("bmp", b"BM\x10\0\0\0\0\0\0\0"),
            ("video", b"\0\0\0\x18ftypmp42"),
            ("pdf", b"%PDF-1.7"),
            ("gguf", b"GGUF\x03\0\0\0"),
            ("tflite", b"\x1c\0\0\0TFL3"),
            ("onnx", b"\x08\x07\x12\x07pytorch\x1a\x051.9"),
            ("tensorflow-graph", b"\x08\x01\x12\xff\x01\0\0NoOp"),
            ("sqlite", b"SQLite format 3\0"),
            ("parquet", b"PAR1\x15"),
            ("matlab", b"MATLAB 5.0 MAT-file\0\0\0\x01\0"),
            ("program", b"\x7fELF\x02\x01"),
            ("old-pickle", b"(dp0\nS'a'\n."),
            ("old-pickle", b"\x80\x01N."),
            ("script", b"#!/usr/bin/env python\n"),
            ("text", b"hello\n"),
        ];
        for (want, bytes) in cases {
            assert_eq!(name(bytes), *want, "{:?}", String::from_utf8_lossy(bytes));
        }
        let zips: &[(&str, &[&str])] = &[
            ("torchscript", &["m/code/__torch__/x.py", "m/constants.pkl"]),
            ("wheel", &["a/__init__.py", "a-1.dist-info/METADATA"]),
            ("saved-model", &["m/saved_model.pb"]),
            ("office", &["[Content_Types].xml", "word/document.xml"]),
            ("zip-pictures", &["a/1.png", "a/2.JPG", "readme.txt"]),
            ("zip-models", &["net/ffhq.pkl", "readme.txt"]),
            ("zip", &["readme.txt"]),
        ];
        for (want, names) in zips {
            assert_eq!(name(&zipped(names)), *want);
        }
        let whole = zipped(&["net/ffhq.pkl"]);
        assert_eq!(name(&whole[..whole.len() - 30]), "zip-cut");
        // Every name is tested, and has what a user reads.
        for (other, _) in RULES {
            assert!(!other.what.is_empty() && !other.repair.is_empty(), "{}", other.name);
            let tested = cases.iter().map(|c| c.0).chain(zips.iter().map(|z| z.0));
            assert!(tested.chain(["zip-cut"]).any(|t| t == other.name), "{}", other.name);
        }
    }

    #[test]
    fn models_are_nothing_else() {
        for bytes in [&b"\x80\x04N."[..], b"\x93NUMPY\x01\0", b"\x10\0\0\0\0\0\0\0{\"a\":1}"] {
            assert_eq!(name(bytes), "");
        }
    }
}
