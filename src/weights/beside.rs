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

/// Where the configuration of a checkpoint may lie, the most specific name first, and whether other
/// models of the folder may be meant.
fn places(path: &Path) -> Vec<(PathBuf, bool)> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let named = stem.strip_suffix(HUGGING_FACE).unwrap_or(&stem);
    // Keras: the model as JSON in one file, its weights in another.
    let model = ["_weights", ".weights", "-weights"].iter().find_map(|end| stem.strip_suffix(end));
    let names = [
        (format!("{stem}.json"), false),
        (format!("{}.json", model.unwrap_or(&stem)), false),
        (format!("{named}-config.json"), false),
        ("config.json".to_owned(), true),
        (".config.json".to_owned(), true),
    ];
    names.iter().map(|(name, shared)| (path.with_file_name(name), *shared)).collect()
}

/// Endings of files that hold weights.
const MODELS: [&str; 7] = ["pth", "pt", "pkl", "bin", "ckpt", "safetensors", "h5"];
/// Files that are named at most.
const NAMED: usize = 3;

/// The names of the files beside one that may hold a generator, safe to print, the likeliest first:
/// averaged copies, then what begins with a G. Files of discriminators and optimizers are left out.
pub(super) fn models(path: &Path) -> Vec<String> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(bool, bool, String)> = entries
        .map(|entry| entry.path())
        .filter(|other| other.file_name() != path.file_name() && other.is_file())
        .filter(|other| other.extension().is_some_and(|e| MODELS.iter().any(|m| e == *m)))
        .filter_map(|other| {
            let stem = other.file_stem()?.to_string_lossy().to_lowercase();
            let words: Vec<&str> = stem.split(|c: char| !c.is_alphanumeric()).collect();
            let others = ["d", "netd", "discriminator", "optim", "optimizer"];
            if words.iter().any(|w| others.contains(w)) {
                return None;
            }
            let averaged = words.contains(&"ema");
            let name = one_line(&other.file_name()?.to_string_lossy());
            Some((!averaged, !stem.starts_with('g'), name))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(NAMED).map(|(.., name)| name).collect()
}

/// The configuration beside a checkpoint, null for none; whether it may be meant for another model
/// of the folder; and a note when it cannot be read.
pub(super) fn read(path: &Path) -> (Json, bool, Option<String>) {
    let Some((place, shared)) = places(path).into_iter().find(|(p, _)| p.is_file()) else {
        return (Json::Null, false, None);
    };
    match content(&place) {
        Ok(json) => (json, shared, None),
        Err(why) => {
            let name = one_line(&place.file_name().unwrap_or_default().to_string_lossy());
            (Json::Null, shared, Some(format!("{name} beside the file is not used: {why}")))
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
    fn files_with_weights_are_named_the_averaged_generator_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["D.pth", "G.pth", "G_ema.pth", "state_dict.pth", "G_optim.pth", "a.txt"] {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        assert_eq!(models(&folder.path().join("state_dict.pth")), ["G_ema.pth", "G.pth"]);
        assert_eq!(models(&folder.path().join("G.pth")), ["G_ema.pth", "state_dict.pth"]);
        assert!(models(&folder.path().join("none").join("x.pth")).is_empty());
    }

    #[test]
    fn the_most_specific_name_counts_and_what_is_broken_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let of = |name: &str| read(&folder.path().join(name));
        assert_eq!(of("deep-128-pytorch_model.bin"), (Json::Null, false, None));
        write(".config.json", r#"{"a": 1}"#);
        assert_eq!(of("model_3.pt"), (json!({"a": 1}), true, None));
        write("gen.json", r#"{"a": 3}"#);
        for weights in ["gen_weights.hdf5", "gen.weights.h5", "gen.h5"] {
            assert_eq!(of(weights), (json!({"a": 3}), false, None), "{weights}");
        }
        write("deep-128-config.json", r#"{"a": 2}"#);
        assert_eq!(of("deep-128-pytorch_model.bin"), (json!({"a": 2}), false, None));
        assert_eq!(of("deep-128.bin").0, json!({"a": 2}));
        for (text, why) in [("[1]", "object"), ("{", "EOF"), ("\u{7f}", "expected")] {
            write("x.json", text);
            let (json, _, note) = of("x.pt");
            let note = note.unwrap();
            assert!(json.is_null() && note.contains("x.json") && note.contains(why), "{note}");
        }
        write("x.json", &format!("\"{}\"", "x".repeat(1 << 20)));
        assert!(of("x.pt").2.unwrap().contains("more than"));
    }
}
