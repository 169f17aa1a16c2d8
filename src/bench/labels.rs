//! Labels of rendered pictures: one JSON object a line, plain or gzipped.

use crate::error::{Error, Kind, Result};
use crate::limits::Limits;
use crate::safe::Safe;
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// The labels of one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Whom it shows: `id`.
    pub person: String,
    /// Version of the person's picture: `base`, `smile_1`, …
    pub edit: String,
    /// The picture's name in its archive.
    pub file: String,
    /// Every label that is one number; true and false count as 1 and 0.
    pub scalars: BTreeMap<String, f64>,
    /// `landmarks`: eyes, nose and corners of the mouth in pixels of the picture, where the line
    /// has them.
    pub landmarks: Option<[[f64; 2]; 5]>,
}

/// Reads a file of labels; `.gz` is unpacked.
///
/// # Errors
/// When it cannot be read, unpacks to more than `limits.label_bytes`, or a line is not such an
/// object; the error names file and line.
pub fn read(path: &Path, limits: &Limits) -> Result<Vec<Label>> {
    let shown = path.to_string_lossy();
    let text = text(path, limits)?;
    let mut labels = Vec::new();
    for (i, line) in
        text.split(|&b| b == b'\n').enumerate().filter(|(_, l)| !l.trim_ascii().is_empty())
    {
        labels.push(label(line).map_err(|what| {
            Error::new(Kind::Format, format!("{}: line {}: {}", Safe(&shown), i + 1, Safe(&what)))
                .hint("one JSON object a line with `id`, `edit`, `file` and the labels")
        })?);
    }
    Ok(labels)
}

fn text(path: &Path, limits: &Limits) -> Result<Vec<u8>> {
    let shown = path.to_string_lossy();
    let failed = |e: std::io::Error| Error::io(format!("cannot read {}", Safe(&shown)), &e);
    let file = crate::store::open_regular(path).map_err(failed)?;
    let packed = path.extension().is_some_and(|e| e == "gz");
    let from: Box<dyn Read> =
        if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut bytes = Vec::new();
    // One byte more than allowed shows that it is too long, however well it was packed.
    from.take(limits.label_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limits.label_bytes {
        let what = format!("{}: unpacks to more than {} bytes", Safe(&shown), limits.label_bytes);
        return Err(Error::new(Kind::Limit, what).hint("split the labels into several files"));
    }
    Ok(bytes)
}

/// One line; the error says what is wrong with it.
fn label(line: &[u8]) -> Result<Label, String> {
    let value: Value = serde_json::from_slice(line).map_err(|e| format!("no JSON: {e}"))?;
    let object = value.as_object().ok_or("no JSON object")?;
    let word = |key: &str| match object.get(key) {
        Some(Value::String(s)) => Ok(s.clone()),
        Some(Value::Number(n)) => Ok(n.to_string()),
        Some(_) => Err(format!("`{key}` is neither a text nor a number")),
        None => Err(format!("`{key}` is missing")),
    };
    let (person, edit, file) = (word("id")?, word("edit")?, word("file")?);
    let number = |v: &Value| v.as_f64().or(v.as_bool().map(|b| f64::from(u8::from(b))));
    let scalars = object.iter().filter(|(k, _)| *k != "id");
    let scalars = scalars.filter_map(|(k, v)| Some((k.clone(), number(v)?))).collect();
    let landmarks = object.get("landmarks").map(|v| serde_json::from_value(v.clone()));
    let landmarks =
        landmarks.transpose().map_err(|_| "`landmarks` are not five pairs of numbers")?;
    Ok(Label { person, edit, file, scalars, landmarks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LIMITS;
    use std::io::Write;

    const LINES: &str = "{\"id\": 7, \"edit\": \"base\", \"file\": \"7.png\", \"smile\": \
                         0.5, \"glasses\": true, \"hair\": \
                         \"bob\", \"rgb\": [1, 2]}\n\n{\"id\": \
                         7, \"edit\": \"off\", \"file\": \"8.png\"}\n";

    fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn packed(text: &str) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(text.as_bytes()).unwrap();
        gz.finish().unwrap()
    }

    #[test]
    fn plain_and_packed_lines_are_the_same() {
        let (_f, plain) = written("a.jsonl", LINES.as_bytes());
        let (_g, gz) = written("a.jsonl.gz", &packed(LINES));
        let labels = read(&plain, &LIMITS).unwrap();
        assert_eq!(labels, read(&gz, &LIMITS).unwrap());
        let scalars = BTreeMap::from([("smile".into(), 0.5), ("glasses".into(), 1.0)]);
        assert_eq!(
            labels[0],
            Label {
                person: "7".into(),
                edit: "base".into(),
                file: "7.png".into(),
                scalars,
                landmarks: None
            }
        );
        assert_eq!(labels.len(), 2);
    }

    #[test]
    fn a_broken_line_is_named() {
        for (line, what) in
            [("{\"id\": 1", "JSON"), ("[1]", "object"), ("{\"id\": 1, \"edit\": \"x\"}", "`file`")]
        {
            let (_f, path) = written("a.jsonl", format!("{LINES}{line}\n").as_bytes());
            let e = read(&path, &LIMITS).unwrap_err();
            assert!(e.message().contains("a.jsonl: line 4") && e.message().contains(what), "{e}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let (_f, path) = written("a.jsonl.gz", &packed(&" ".repeat(1 << 20)));
        assert!(std::fs::metadata(&path).unwrap().len() < 10_000);
        let e = read(&path, &Limits { label_bytes: 100_000, ..LIMITS }).unwrap_err();
        assert_eq!(e.kind(), Kind::Limit);
        let (_g, cut) = written("b.jsonl.gz", &packed(LINES)[..30]);
        assert_eq!(read(&cut, &LIMITS).unwrap_err().kind(), Kind::Io);
    }
}
