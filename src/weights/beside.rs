//! The JSON configuration that lies beside a checkpoint: `NAME-config.json`, `config.json`, ….
//!
//! Several code bases keep their settings there and only tensors in the checkpoint.

use super::source::one_line;
use serde_json::Value as Json;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of a configuration at most.
const BYTES: u64 = 1 << 20;

/// Ending of the checkpoints of Hugging Face, beside which lies `NAME-config.json`.
const HUGGING_FACE: &str = "-pytorch_model";

/// Where the configuration of a checkpoint may lie, the most specific name first.
fn places(path: &Path) -> Vec<PathBuf> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let named = stem.strip_suffix(HUGGING_FACE).unwrap_or(&stem);
    // Keras: the model as JSON in one file, its weights in another.
    let model = ["_weights", ".weights", "-weights"].iter().find_map(|end| stem.strip_suffix(end));
    let names = [
        format!("{stem}.json"),
        format!("{}.json", model.unwrap_or(&stem)),
        format!("{named}-config.json"),
        "config.json".to_owned(),
        ".config.json".to_owned(),
    ];
    names.iter().map(|name| path.with_file_name(name)).collect()
}

/// The configuration beside a checkpoint, null for none, and a note when it cannot be read.
pub(super) fn read(path: &Path) -> (Json, Option<String>) {
    let Some(place) = places(path).into_iter().find(|p| p.is_file()) else {
        return (Json::Null, None);
    };
    match content(&place) {
        Ok(json) => (json, None),
        Err(why) => {
            let name = one_line(&place.file_name().unwrap_or_default().to_string_lossy());
            (Json::Null, Some(format!("{name} beside the file is not used: {why}")))
        }
    }
}

/// An object of JSON, or why it is none.
fn content(path: &Path) -> Result<Json, String> {
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let mut text = String::new();
    file.take(BYTES + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    if text.len() as u64 > BYTES {
        return Err(format!("it has more than {BYTES} bytes"));
    }
    let json: Json = serde_json::from_str(&text).map_err(|e| one_line(&e.to_string()))?;
    if json.is_object() { Ok(json) } else { Err("it is not a JSON object".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_most_specific_name_counts_and_what_is_broken_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let of = |name: &str| read(&folder.path().join(name));
        assert_eq!(of("deep-128-pytorch_model.bin"), (Json::Null, None));
        write(".config.json", r#"{"a": 1}"#);
        assert_eq!(of("model_3.pt"), (json!({"a": 1}), None));
        write("gen.json", r#"{"a": 3}"#);
        for weights in ["gen_weights.hdf5", "gen.weights.h5", "gen.h5"] {
            assert_eq!(of(weights), (json!({"a": 3}), None), "{weights}");
        }
        write("deep-128-config.json", r#"{"a": 2}"#);
        assert_eq!(of("deep-128-pytorch_model.bin").0, json!({"a": 2}));
        assert_eq!(of("deep-128.bin").0, json!({"a": 2}));
        for (text, why) in [("[1]", "object"), ("{", "EOF"), ("\u{7f}", "expected")] {
            write("x.json", text);
            let (json, note) = of("x.pt");
            let note = note.unwrap();
            assert!(json.is_null() && note.contains("x.json") && note.contains(why), "{note}");
        }
        write("x.json", &format!("\"{}\"", "x".repeat(1 << 20)));
        assert!(of("x.pt").1.unwrap().contains("more than"));
    }
}
