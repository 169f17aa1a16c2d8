//! `models`: the built-in generators, those in the user's model folders, and the public ones.

mod catalogue;
mod get;

pub(super) use catalogue::shell_word;
pub(super) use get::get;

use super::info::{channels, direction_facts};
use super::{Common, out, prepare};
use crate::error::Result;
use crate::generator::Spec;
use crate::generator::registry::FAMILIES;
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::store::model_folders;
use crate::value::models::NAMES;
use crate::value::{self, Value, shelf};
use crate::weights;
use crate::weights::kinds;
use catalogue::Entry;
use clap::Subcommand;
use serde_json::{Value as Json, json};
use std::path::Path;

/// The end of `models --help`.
pub(super) const HELP: &str = "Model folders: those of $GANNET_MODELS (as $PATH is written), else \
     ~/.local/share/gannet/models and ./models. A model in them is loaded by its name, with or \
     without its ending. gannet loads nothing from the network.";

/// What to do with models.
#[derive(Debug, Subcommand)]
pub(super) enum Which {
    /// Print the command that fetches a public checkpoint; run again when the file has arrived, to
    /// verify it and put it into the model folder.
    Get {
        /// Its name in the catalogue.
        name: String,
    },
}

/// `gannet models`
pub(super) fn models(common: &Common) -> Result<u8> {
    built_in(common)?;
    yours(common)?;
    public(common)?;
    families(common)?;
    Ok(0)
}

fn line(common: &Common, json: &Json, text: impl FnOnce() -> String) -> Result<()> {
    let line = if common.json { json.to_string() } else { text() };
    out(format!("{line}\n").as_bytes())
}

fn built_in(common: &Common) -> Result<()> {
    let models = prepare(common)?;
    for name in NAMES {
        let m = models.load(name)?;
        let facts = json!({"name": name, "family": m.facts.family, "resolution": m.facts.side(),
            "s_dim": m.facts.s_dim(), "directions": m.facts.directions.keys().collect::<Vec<_>>(),
            "direction_facts": direction_facts(&m)?});
        line(common, &facts, || value::text::shown(&Value::Model(m)))?;
    }
    Ok(())
}

/// What could be read of a model in a folder.
enum Read {
    Generator(Box<Spec>),
    /// Something else: a short name and words.
    Other(&'static str, String),
    /// It cannot be read, for this reason.
    Broken(String),
}

fn read(path: &Path) -> Read {
    let refused = match shelf::describe(path) {
        Ok(spec) => return Read::Generator(Box::new(spec)),
        Err(e) => e,
    };
    let path = shelf::generator(path);
    match weights::open(&path, &LIMITS) {
        Ok(file) => match kinds::kind(file.weights.list()) {
            Some(kind) => Read::Other(kind.name, kind.what.to_owned()),
            None => match file.family() {
                Some(family) => Read::Other("model", format!("`{}`", Safe(family))),
                None => {
                    let n = file.weights.list().tensors.len();
                    Read::Other("tensors", format!("{n} tensors; `gannet info` says more"))
                }
            },
        },
        Err(_) => match weights::what_else(&path, &LIMITS) {
            Ok(Some(other)) => Read::Other(other.name, other.what.to_owned()),
            _ => Read::Broken(refused.message().to_owned()),
        },
    }
}

fn yours(common: &Common) -> Result<()> {
    // Texts beside models, such as a licence or settings, are no models.
    const BESIDE: [&str; 5] = ["text", "json", "xml", "script", "safetensors-index"];
    for path in shelf::items() {
        let name = Safe(&path.to_string_lossy()).to_string();
        let (facts, text) = match read(&path) {
            Read::Other(kind, _) if BESIDE.contains(&kind) => continue,
            Read::Generator(s) => (
                json!({"yours": name, "kind": "generator", "family": s.family, "width": s.width,
                    "height": s.height, "channels": s.channels, "z_dim": s.z_dim,
                    "w_dim": s.w_dim, "c_dim": s.c_dim, "num_ws": s.num_ws}),
                format!("{}, {}×{} px, {}", s.family, s.width, s.height, channels(s.channels)),
            ),
            Read::Other(kind, what) => (json!({"yours": name, "kind": kind, "what": what}), what),
            Read::Broken(why) => {
                let text = format!("cannot be read: {}", Safe(&why));
                (json!({"yours": name, "kind": "broken", "what": why}), text)
            }
        };
        line(common, &facts, || format!("yours {name}: {text}"))?;
    }
    Ok(())
}

fn public(common: &Common) -> Result<()> {
    let all = catalogue::all()?;
    if !common.json {
        let folders: Vec<String> =
            model_folders().iter().map(|f| Safe(&f.to_string_lossy()).to_string()).collect();
        out(format!("your model folders: {}\n", folders.join(", ")).as_bytes())?;
        out(b"public, each with `gannet models get NAME`:\n")?;
    }
    for entry in &all {
        let mut facts = json!({"public": entry.name, "read": get::is_read(entry)});
        if let (Some(facts), Ok(Json::Object(more))) =
            (facts.as_object_mut(), serde_json::to_value(entry))
        {
            facts.extend(more);
        }
        line(common, &facts, || told(entry))?;
    }
    Ok(())
}

/// `  ada-ffhq       stylegan2 1024×1024; NVIDIA, non-commercial; aligned as FFHQ …`.
fn told(entry: &Entry) -> String {
    let unread = if get::is_read(entry) { "" } else { " (not read yet)" };
    let mut text = format!(
        "  {:<34} {} {}{unread}; {}",
        entry.name,
        entry.family,
        entry.size(),
        entry.licence
    );
    for more in [&entry.faces, &entry.about] {
        if !more.is_empty() {
            text += &format!("; {more}");
        }
    }
    text
}

fn families(common: &Common) -> Result<()> {
    for family in FAMILIES {
        let layouts: Vec<&str> = family.layouts.iter().map(|l| l.name).collect();
        let facts = json!({"reads": family.name, "about": family.about, "layouts": layouts});
        line(common, &facts, || {
            format!("reads {}: {}; laid out as {}", family.name, family.about, layouts.join(", "))
        })?;
    }
    Ok(())
}
