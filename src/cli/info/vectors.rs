//! Codes and directions: their shape, space and length, and the generators that they fit.

use crate::direction::{Arrays, Facts, Form, component_stats, equal_rows, spaces_for};
use crate::error::Result;
use crate::safe::Safe;
use crate::space::Space;
use crate::value::{Models, directions, facts as sizes, foreign, shelf};
use crate::weights::{Checkpoint, DType, Listing};
use serde_json::{Value as Json, json};

/// Arrays that a file of codes or directions holds at most.
const ARRAYS: usize = 10_000;
/// Values that are read to measure lengths at most.
const VALUES: u64 = 64 << 20;
/// A vector whose length differs from 1 by less is a unit vector.
const UNIT: f64 = 2e-3;
/// Endings of tensors of networks; a file with one holds no codes.
const NETWORK: [&str; 6] =
    [".weight", ".bias", ".running_mean", ".weight_orig", ".kernel", ".weight_u"];

/// What was found in a file of codes or directions.
pub(super) struct Found {
    /// `code`, `direction`, `directions`, `components` or `distribution`.
    pub(super) kind: &'static str,
    /// In words.
    pub(super) what: String,
    /// Facts for the report.
    pub(super) facts: Vec<(String, Json)>,
}

/// A generator that a file may belong to.
struct Candidate {
    name: String,
    facts: Facts,
    fingerprint: String,
}

/// Facts about a file of codes or directions; `None` for a file of another kind.
pub(super) fn facts(file: &Checkpoint, models: &Models) -> Result<Option<Found>> {
    let listing = file.weights.list();
    let own = listing.family.as_deref();
    if own.is_some_and(|f| !["latent", "directions"].contains(&f)) || !plausible(listing) {
        return Ok(None);
    }
    let arrays = directions::arrays(file)?;
    let form = directions::form(file);
    let main = main(listing, form).and_then(|n| arrays.get_key_value(n));
    let Some((name, (shape, values))) = main else { return Ok(None) };
    let dim = shape.last().copied().unwrap_or(0);
    if dim < 2 || values.is_empty() {
        return Ok(None);
    }
    let norms: Vec<f64> =
        values.chunks_exact(dim).map(|r| r.iter().map(|v| v * v).sum::<f64>().sqrt()).collect();
    let norm = (norms.iter().map(|n| n * n).sum::<f64>() / norms.len() as f64).sqrt();
    let unit = norms.iter().all(|n| (n - 1.0).abs() < UNIT);
    let (kind, what) = described(file, form, name, (shape, listing.tensors.len()), unit);
    let layers = match (form, shape.as_slice()) {
        (Form::Components | Form::Factor | Form::Gaussian, _) | (_, [_]) => vec![1],
        (_, [n, _]) => vec![1, *n],
        (_, [.., l, _]) => vec![*l],
        _ => Vec::new(),
    };
    let rows = Rows { form, layers, dim, values };
    let mut out = vec![
        ("shape".to_owned(), json!(shape)),
        ("norm".to_owned(), json!((norm * 1e6).round() / 1e6)),
        ("unit".to_owned(), json!(unit)),
        ("space".to_owned(), json!(space_said(file))),
        ("generator".to_owned(), json!(file.config().get("generator"))),
        ("fits".to_owned(), json!(fits(file, &arrays, &rows, models)?)),
    ];
    out.retain(|(_, v)| !v.is_null());
    Ok(Some(Found { kind, what, facts: out }))
}

/// The name of the array that a file is about: its largest rows.
fn main(listing: &Listing, form: Form) -> Option<&String> {
    let mut names = listing.tensors.keys();
    match form {
        Form::Components => names.find(|n| n.ends_with("comp") && *n != "act_comp"),
        Form::Factor => names.find(|n| *n == "eigvec"),
        Form::Gaussian => names.find(|n| *n == "mean"),
        Form::Plain => {
            let point = |n: &&String| *n == "code" || *n == "w" || n.ends_with("latent");
            names.clone().find(point).or_else(|| names.next())
        }
    }
}

/// The main array of a file of codes or directions.
struct Rows<'a> {
    form: Form,
    /// The numbers of rows that one code or direction in it may have.
    layers: Vec<usize>,
    /// Length of a row.
    dim: usize,
    values: &'a [f64],
}

impl Rows<'_> {
    /// The spaces of a generator that the rows fit.
    fn spaces(&self, facts: &Facts) -> Vec<Space> {
        let mut spaces: Vec<Space> = Vec::new();
        for &layers in &self.layers {
            // Equal rows of another number of layers are a code or direction of W.
            let same = layers > 1 && layers != facts.num_ws && equal_rows(self.values, self.dim);
            for space in spaces_for(if same { 1 } else { layers }, self.dim, facts) {
                if !spaces.contains(&space) {
                    spaces.push(space);
                }
            }
        }
        spaces
    }
}

/// The generators that a file fits, each with its spaces and what speaks against it.
fn fits(file: &Checkpoint, arrays: &Arrays, rows: &Rows<'_>, models: &Models) -> Result<Vec<Json>> {
    let said = file.config().get("generator").and_then(|g| g.get("fingerprint")?.as_str());
    let mut fits = Vec::new();
    for c in candidates(models)? {
        let spaces = rows.spaces(&c.facts);
        let named = said.map(|s| s == c.fingerprint && !c.fingerprint.is_empty());
        if spaces.is_empty() || named == Some(false) {
            continue;
        }
        let names: Vec<&str> = spaces.iter().map(|s| s.name()).collect();
        let mut one =
            json!({"generator": c.name, "spaces": names, "named": named.unwrap_or(false)});
        // The mean of components in W is that of their generator; it is known of the embedded one.
        if rows.form == Form::Components && component_stats(arrays).is_some() && c.name == EMBEDDED
        {
            let checked = foreign::components(&file.file, arrays, &*models.load(EMBEDDED)?);
            one["but"] = checked.err().map_or(Json::Null, |e| json!(e.message()));
        }
        fits.push(one);
    }
    Ok(fits)
}

/// The name of the embedded generator.
const EMBEDDED: &str = "faces";

/// The embedded generator and those in the user's model folders.
fn candidates(models: &Models) -> Result<Vec<Candidate>> {
    let faces = models.load(EMBEDDED)?;
    let mut all = vec![Candidate {
        name: EMBEDDED.into(),
        facts: sizes::sizes(&faces.facts),
        fingerprint: faces.facts.fingerprint.clone(),
    }];
    for path in shelf::items() {
        // A file that cannot be read is told by `gannet models`, not here.
        let Ok(spec) = shelf::describe(&path) else { continue };
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        all.push(Candidate { name, facts: sizes::sizes_of(&spec), fingerprint: String::new() });
    }
    Ok(all)
}

/// Whether a file can hold codes or directions, by names and shapes alone.
fn plausible(listing: &Listing) -> bool {
    let float = |d: DType| matches!(d, DType::F16 | DType::BF16 | DType::F32 | DType::F64);
    let network = |n: &String| NETWORK.iter().any(|end| n.ends_with(end));
    let (all, values) = (&listing.tensors, listing.values());
    !all.is_empty()
        && all.len() <= ARRAYS
        && values <= VALUES
        && !all.keys().any(network)
        && all.values().any(|t| float(t.dtype) && (1..=3).contains(&t.shape.len()))
}

/// The space that a file states.
fn space_said(file: &Checkpoint) -> Option<&str> {
    let config = file.config();
    ["space", "latent_space"].iter().find_map(|key| config.get(key)?.as_str())
}

/// Kind and words for a file.
fn described(
    file: &Checkpoint,
    form: Form,
    name: &str,
    (shape, count): (&[usize], usize),
    unit: bool,
) -> (&'static str, String) {
    let by: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let by = by.join("×");
    let said = file.config();
    let text = |key: &str| said.get(key).and_then(Json::as_str).unwrap_or_default();
    match (form, file.family()) {
        (_, Some("latent")) => ("code", format!("a code written by gannet: {by}")),
        (_, Some("directions")) => {
            let n = if count == 1 { "a direction" } else { "directions" };
            ("directions", format!("{n} written by gannet: {count} of {by}"))
        }
        (Form::Components, _) if said.get("component_index").is_some() => {
            let layer = |key: &str| said.get(key).and_then(Json::as_u64).unwrap_or(0);
            let (from, to) = (layer("edit_start"), layer("edit_end"));
            let name = Safe(text("name")).to_string();
            let of = [text("model_name"), text("output_class")].join(" ");
            let mut words =
                format!("a saved edit of GANSpace, `{name}`: one component, layers {from}..{to}");
            if !of.trim().is_empty() {
                words += &format!(", of {}", Safe(of.trim()));
            }
            if let Some(sigmas) = said.get("sigma_range") {
                words += &format!(", shown over {} σ", Safe(&sigmas.to_string()));
            }
            ("direction", words)
        }
        (Form::Components, _) => (
            "components",
            format!("principal components with their deviations: {by} (pc0, pc1, …)"),
        ),
        (Form::Factor, _) => {
            let of = match text("ckpt") {
                "" => String::new(),
                of => format!(", of {}", Safe(of)),
            };
            (
                "directions",
                format!("a closed-form factorisation (SeFa): {by}, directions in its columns{of}"),
            )
        }
        (Form::Gaussian, _) => (
            "distribution",
            format!("mean and deviations of w before the last activation (PULSE): {by}"),
        ),
        (Form::Plain, _) => {
            let all = if count == 1 { String::new() } else { format!(" ({count} arrays)") };
            let code = ["code", "w", "latent", "z"].contains(&name) || name.ends_with(".latent");
            match (code, unit) {
                (true, _) => ("code", format!("a code: {by}{all}")),
                (_, true) => ("direction", format!("a direction: {by}, of length 1{all}")),
                _ => ("code", format!("a code or a direction: {by}{all}")),
            }
        }
    }
}

/// `faces: W or Z`, with what speaks against it.
pub(super) fn line(fit: &Json) -> String {
    let names: Vec<&str> =
        fit["spaces"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let name = fit["generator"].as_str().unwrap_or_default();
    let named = if fit["named"] == json!(true) { ", which the file names" } else { "" };
    let but = fit["but"].as_str().map(|b| format!("; but {b}")).unwrap_or_default();
    format!("{name} as {}{named}{but}", names.join(" or "))
}
