//! `info`: what a file is, without running anything in it.
//!
//! A file is told by its content: a generator of a known family, another network, a code or
//! directions, or a file that is no model at all. The exit code is 0 when it can be said what the
//! file is, also where it cannot be loaded, and 1 for a damaged or unreadable one.

mod inside;
mod styles;
mod vectors;

use super::{Common, out, prepare};
use crate::error::{Error, Kind, Result};
use crate::generator::Spec;
use crate::generator::registry::{self, FAMILIES};
use crate::lang::types::Companion;
use crate::latent::{About, Direction};
use crate::limits::LIMITS;
use crate::network::{Found, find_foreign};
use crate::safe::Safe;
use crate::value::models::NAMES;
use crate::value::{Loaded, Models, shelf};
use crate::weights::{self, Checkpoint, Network, kinds};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

/// The end of `info --help`.
pub const HELP: &str = "Of a generator: family, size, channels, classes, spaces, what else the \
                        file holds and what is left out. Of a code or directions: shape, space, \
                        length, and which generator they fit. Exit code 0 when it can be said what \
                        the file is, also when it cannot be loaded; 1 when it is damaged.";

/// `gannet info`
pub fn info(common: &Common, name: &str, tensors: bool) -> Result<u8> {
    let models = prepare(common)?;
    let path = Path::new(name);
    if NAMES.contains(&name) && !path.exists() {
        return report(common, &built_in(&models, name)?);
    }
    let path = find(path)?;
    let file = match weights::open(&path, &LIMITS) {
        Ok(file) => file,
        Err(e) => {
            // Only where it is known to be something else: damage stays an error.
            let Ok(Some(other)) = weights::what_else(&path, &LIMITS) else { return Err(e) };
            let what = format!("this is {}", other.what);
            let facts = json!({"file": Safe(&path.to_string_lossy()).to_string(),
                "what": what, "kind": other.name, "loads": false, "try": other.repair});
            return report(common, &facts);
        }
    };
    let mut facts = described(&file, &models)?;
    if facts["kind"] == json!("generator")
        && let Some(words) = encoder(&path, &file)?
    {
        facts["encoder"] = json!(words);
    }
    if tensors {
        facts["list"] = listed(&file);
    }
    report(common, &facts)
}

/// The file that is meant: a path, the generator in a folder, or a name in the model folders.
fn find(path: &Path) -> Result<PathBuf> {
    if path.exists() {
        return Ok(shelf::generator(path));
    }
    let name = path.to_string_lossy();
    shelf::find(&name).map(|p| shelf::generator(&p)).ok_or_else(|| {
        Error::new(Kind::Usage, format!("there is no file {}", Safe(&name)))
            .hint("give the path of a file, a name in your model folders, or `faces`")
    })
}

/// The encoder in a generator's file. A pickle of TensorFlow has it as a network of its own.
fn inside_of(path: &Path, file: &Checkpoint) -> Option<Found> {
    let own = find_foreign(file.weights.list());
    if own.is_some() || file.format != weights::TENSORFLOW {
        return own;
    }
    let other = weights::open_network(path, &LIMITS, Network::Encoder).ok()?;
    find_foreign(other.weights.list())
}

/// The encoder that lies beside a generator, or in its file, in words; `None` where there is none.
fn encoder(path: &Path, file: &Checkpoint) -> Result<Option<String>> {
    // A folder's encoder has no name of its own.
    let folder = path.file_name().is_some_and(|n| n == "generator.safetensors");
    let own = folder.then(|| path.with_file_name("encoder.safetensors"));
    let Some(beside) = own.into_iter().chain([shelf::encoder_of(path)]).find(|p| p.is_file())
    else {
        return Ok(inside_of(path, file).map(|found| format!("inside: {}", found.words())));
    };
    let own = weights::open(&beside, &LIMITS)?;
    let name = beside.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(found) = find_foreign(own.weights.list()).filter(|_| own.family().is_none()) {
        return Ok(Some(format!("{name}: {}", found.words())));
    }
    let wanted = own.config().get("generator").and_then(Json::as_str);
    let fits = match (wanted, registry::recognise(file.clone())) {
        (Some(wanted), Ok(found)) => found.weights.fingerprint()? == wanted,
        _ => true,
    };
    let words = crate::value::encoder::in_words(own.config(), &own.provenance);
    let other = if fits { "" } else { ", of another generator: it is refused" };
    Ok(Some(format!("{name}: {words}{other}")))
}

fn built_in(models: &Models, name: &str) -> Result<Json> {
    let loaded = models.load(name)?;
    let mut facts = generator(loaded.spec());
    facts["directions"] = json!(loaded.facts.directions.keys().collect::<Vec<_>>());
    facts["direction_facts"] = direction_facts(&loaded)?;
    facts["encoder"] = json!(loaded.facts.encoder);
    facts["dtype"] = json!(loaded.dtype);
    facts["sha256"] = json!(loaded.sha256()?);
    facts["provenance"] = loaded.provenance.clone();
    Ok(facts)
}

/// Name and words of a network of gannet's own format that is found beside its generator.
fn own_network(family: Option<&str>) -> Option<(&'static str, &'static str)> {
    let companions = Companion::ALL.map(|kind| (kind.name(), kind.words()));
    companions.into_iter().chain([("encoder", "encoder")]).find(|(name, _)| family == Some(*name))
}

/// All facts about a file of tensors.
fn described(file: &Checkpoint, models: &Models) -> Result<Json> {
    let listing = file.weights.list();
    let place = registry::find(listing);
    let run = place.is_some();
    let family = place.as_ref().map(|p| p.family.name).or(listing.family.as_deref());
    let mut facts = json!({
        "file": file.file,
        "what": Json::Null,
        "kind": Json::Null,
        "format": file.format,
        "family": family,
        "loads": run,
        "synthesised": run,
        "tensors": listing.tensors.len(),
        "values": listing.values(),
        "dtype": listing.dtypes(),
        "bytes": file.bytes,
        "sha256": file.sha256()?,
    });
    let mut config = listing.config.clone();
    let (kind, what) = if let Some(place) = place {
        let known = place.take(file.clone())?;
        let spec = known.describe()?;
        facts["layout"] = json!(known.layout.name);
        // The fingerprint takes all numbers, which are not read here.
        let more = generator(&spec);
        let more = more.as_object().into_iter().flatten().filter(|(k, _)| *k != "fingerprint");
        add(&mut facts, more.map(|(k, v)| (k.clone(), v.clone())));
        add(&mut facts, inside::facts(file, &known));
        let what = in_words(&spec, known.layout.name);
        config = known.config.settings;
        ("generator", what)
    } else if let Some(encoder) = find_foreign(listing).filter(|_| listing.family.is_none()) {
        let first = match encoder.begins_with_another() {
            true => ", w_encoder: \"faces_w_encoder.pt\"",
            false => "",
        };
        facts["try"] =
            json!(format!("load its generator, then invert(x, encoder: \"FILE\"{first})"));
        ("encoder", encoder.words())
    } else if let Some(kind) = kinds::kind(listing) {
        if kind.name == kinds::RECOGNISER {
            facts["try"] =
                json!("identity(a, b, net: \"FILE\"), invert(x, identity_net: \"FILE\")");
        }
        add(&mut facts, inside::groups(listing));
        (kind.name, kind.what.to_owned())
    } else if let Some(found) = styles::facts(file) {
        add(&mut facts, found.facts);
        (found.kind, found.what)
    } else if let Some(found) = vectors::facts(file, models)? {
        facts["loads"] = json!(true);
        add(&mut facts, found.facts);
        (found.kind, found.what)
    } else if let Some((name, words)) = own_network(family) {
        add(&mut facts, inside::groups(listing));
        let beside = format!(
            "people.{name}.safetensors beside people.pkl, or in its folder as {name}.safetensors"
        );
        facts["try"] = json!(format!("gannet finds it beside its generator: {beside}"));
        (name, format!("the {words} of a generator"))
    } else {
        add(&mut facts, inside::groups(listing));
        match family {
            Some(f) => ("model", format!("a model of the kind `{}`", Safe(f))),
            None => ("tensors", "tensors that no known family of generators has".to_owned()),
        }
    };
    facts["kind"] = json!(kind);
    facts["what"] = json!(format!("this is {what}"));
    if !run && facts["loads"] == json!(false) && facts["try"].is_null() {
        let families: Vec<&str> = FAMILIES.iter().map(|f| f.name).collect();
        facts["try"] = json!(format!("generators that are read: {}", families.join(", ")));
    }
    add(&mut facts, inside::rights(&file.provenance, &config));
    if !config.is_null() {
        facts["config"] = config;
    }
    if !file.provenance.is_null() {
        facts["provenance"] = file.provenance.clone();
    }
    if !file.notes.is_empty() {
        facts["notes"] = json!(file.notes);
    }
    Ok(facts)
}

/// Adds facts; a key that is there already gets the new value.
fn add(facts: &mut Json, more: impl IntoIterator<Item = (String, Json)>) {
    if let Some(facts) = facts.as_object_mut() {
        facts.extend(more);
    }
}

/// `a generator of the family stylegan2 (layout nvidia): 1024×1024 px, 3 channels`.
fn in_words(spec: &Spec, layout: &str) -> String {
    let classes = match spec.c_dim {
        0 => String::new(),
        n => format!(", {n} classes or labels"),
    };
    let (family, width, height) = (&spec.family, spec.width, spec.height);
    let channels = channels(spec.channels);
    format!(
        "a generator of the family {family} (layout {layout}): {width}×{height} px, \
         {channels}{classes}"
    )
}

/// `3 channels`.
pub(super) fn channels(n: usize) -> String {
    if n == 1 { "1 channel".into() } else { format!("{n} channels") }
}

/// Description of a generator for `--json`.
fn generator(spec: &Spec) -> Json {
    let mut facts = json!(spec);
    facts["resolution"] = json!(spec.width.max(spec.height));
    facts["spaces"] = json!(spec.spaces.iter().map(|s| s.name()).collect::<Vec<_>>());
    facts["s_dim"] = json!(spec.s_dim());
    facts
}

/// Every tensor of a file: name, element type, shape.
fn listed(file: &Checkpoint) -> Json {
    let all = file.weights.list().tensors.iter();
    all.map(|(n, t)| json!({"name": n, "dtype": t.dtype.name(), "shape": t.shape})).collect()
}

/// `W/smile: 0.2 (0 to 1) a step, R² 0.83`.
fn direction_line(name: &str, about: &Json) -> String {
    let Ok(a) = serde_json::from_value::<About>(about.clone()) else { return name.to_owned() };
    let r2 = a.accuracy.map(|v| format!(", R² {v:.2}")).unwrap_or_default();
    let moves = a
        .variance
        .is_some()
        .then(|| a.leakage.iter().max_by(|x, y| x.1.abs().total_cmp(&y.1.abs())));
    let moves = moves.flatten().map(|(n, v)| format!(", moves {n} {v:+.1} σ")).unwrap_or_default();
    format!("{name}: {} ({}) a step{r2}{moves}", a.per_step, a.unit)
}

/// Measurements of each direction that comes with a generator: `{"W/smile": {…}}`.
pub(super) fn direction_facts(m: &Loaded) -> Result<Json> {
    let told = |d: &Direction| (format!("{}/{}", d.space, d.name), json!(d.about.as_deref()));
    Ok(m.directions()?.iter().map(told).collect())
}

/// The facts as one JSON object, or one a line.
fn report(common: &Common, facts: &Json) -> Result<u8> {
    if common.json {
        out(format!("{facts}\n").as_bytes())?;
        return Ok(0);
    }
    let mut text = String::new();
    for (key, value) in facts.as_object().into_iter().flatten() {
        for line in lines(key, value) {
            let key = if key == "direction_facts" { "direction" } else { key };
            let key = if key == "list" { "" } else { key };
            text.push_str(&format!("{key:<12} {}\n", Safe(&line.replace('\n', " "))));
        }
    }
    out(text.as_bytes())?;
    Ok(0)
}

/// The lines of one fact; none for one that says nothing.
fn lines(key: &str, value: &Json) -> Vec<String> {
    let text = |v: &Json| v.as_str().unwrap_or_default().to_owned();
    match value {
        Json::Null => Vec::new(),
        Json::String(s) => vec![s.clone()],
        // One line each says more than an object of objects.
        Json::Object(of) if key == "direction_facts" => {
            of.iter().map(|(name, about)| direction_line(name, about)).collect()
        }
        // `s_dim` says enough for a reader; programs ask for JSON.
        Json::Array(_) if key == "styles" => Vec::new(),
        Json::Array(all) if key == "list" => {
            let line =
                |t: &Json| format!("{} {} {}", text(&t["name"]), text(&t["dtype"]), t["shape"]);
            all.iter().map(line).collect()
        }
        Json::Array(all) if key == "inside" || key == "ignored" => {
            all.iter().map(inside::line).collect()
        }
        Json::Array(all) if key == "fits" => all.iter().map(vectors::line).collect(),
        Json::Array(all) if all.iter().all(Json::is_string) => {
            vec![all.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(" ")]
        }
        other => vec![other.to_string()],
    }
}
