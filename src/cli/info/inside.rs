//! What a file holds besides the part that is read, and whose it is.

use crate::generator::registry::Found;
use crate::weights::OUTSIDE;
use crate::weights::layout::Placed;
use crate::weights::{Checkpoint, Listing, kinds};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// Groups of tensors that are listed.
const GROUPS: usize = 40;

/// Keys under which files say whose they are, and the fact that each becomes.
const RIGHTS: [(&str, &str); 12] = [
    ("license", "licence"),
    ("licence", "licence"),
    ("copyright", "licence"),
    ("notice", "licence"),
    ("url", "source"),
    ("homepage", "source"),
    ("repository", "source"),
    ("repo", "source"),
    ("source_url", "source"),
    ("author", "author"),
    ("authors", "author"),
    ("description", "description"),
];
/// Depth of settings at which these keys are looked for.
const DEPTH: usize = 4;

/// Tensors below one name.
#[derive(Default)]
struct Group<'a> {
    names: Vec<&'a str>,
    values: u64,
}

/// What the file holds by the first part of its tensors' names, where there are several; and what
/// of it is left out, and why.
pub(super) fn facts(file: &Checkpoint, known: &Found) -> Vec<(String, Json)> {
    let mut out = groups(file.weights.list());
    let read = known.root.split('.').next().unwrap_or_default();
    for (_, groups) in &mut out {
        for group in groups.as_array_mut().into_iter().flatten() {
            if !read.is_empty() && group["name"] == *read {
                group["what"] = json!("the generator that is read");
            }
        }
    }
    out.extend(networks(&file.provenance));
    let mut why: BTreeMap<&str, usize> = BTreeMap::new();
    for name in file.weights.list().tensors.keys() {
        match known.layout.place(&Listing::seen_from(&known.root, name)) {
            Placed::Ignored(reason) => *why.entry(reason).or_default() += 1,
            Placed::Named(to, _) if to.starts_with(OUTSIDE) => {
                *why.entry("not part of the generator").or_default() += 1;
            }
            _ => {}
        }
    }
    if !why.is_empty() {
        let all: Vec<Json> =
            why.iter().map(|(why, n)| json!({"tensors": n, "what": why})).collect();
        out.push(("ignored".into(), json!(all)));
    }
    out
}

/// `inside`, of a pickle of NVIDIA's: the networks that it holds and that are not read.
fn networks(provenance: &Json) -> Option<(String, Json)> {
    let read = provenance.get("network")?.as_str()?;
    let also = provenance.get("also")?.as_object()?;
    let mut all = vec![json!({"name": read, "what": "the generator that is read"})];
    all.extend(also.iter().map(|(name, class)| {
        let class = class.as_str().unwrap_or_default();
        json!({"name": name, "what": format!("a {class}, not read")})
    }));
    Some(("inside".into(), json!(all)))
}

/// `inside`: the groups of tensors, where there are several.
pub(super) fn groups(listing: &Listing) -> Vec<(String, Json)> {
    let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    for (name, shape) in &listing.tensors {
        let Some((head, _)) = name.split_once('.') else { continue };
        let group = groups.entry(head).or_default();
        group.names.push(name);
        group.values += shape.shape.iter().map(|&n| n as u64).product::<u64>();
    }
    if groups.len() < 2 {
        return Vec::new();
    }
    let told = |(name, g): (&&str, &Group<'_>)| {
        let what = kinds::kind_of(g.names.iter().copied()).map(|k| k.what);
        json!({"name": name, "tensors": g.names.len(), "values": g.values, "what": what})
    };
    vec![("inside".into(), groups.iter().take(GROUPS).map(told).collect())]
}

/// `g_ema: 180 tensors, 30.4 M values: a discriminator`.
pub(super) fn line(group: &Json) -> String {
    let name = group["name"].as_str().map(|n| format!("{n}: ")).unwrap_or_default();
    let tensors = match group["tensors"].as_u64() {
        None => {
            let what = group["what"].as_str().unwrap_or_default();
            return format!("{name}{what}");
        }
        Some(1) => "1 tensor".to_owned(),
        Some(n) => format!("{n} tensors"),
    };
    let values = group["values"].as_u64().map(|n| match n {
        0..1_000_000 => format!(", {n} values"),
        _ => format!(", {:.1} M values", n as f64 / 1e6),
    });
    let what = group["what"].as_str().map(|w| format!(": {w}"));
    format!("{name}{tensors}{}{}", values.unwrap_or_default(), what.unwrap_or_default())
}

/// Licence, source and author, where the file says so.
pub(super) fn rights(provenance: &Json, config: &Json) -> Vec<(String, Json)> {
    let mut out: BTreeMap<&str, String> = BTreeMap::new();
    for json in [provenance, config] {
        search(json, DEPTH, &mut out);
    }
    out.into_iter().map(|(key, text)| (key.to_owned(), json!(text))).collect()
}

fn search(json: &Json, depth: usize, out: &mut BTreeMap<&'static str, String>) {
    let Some(object) = json.as_object().filter(|_| depth > 0) else { return };
    for (key, value) in object {
        let known = RIGHTS.iter().find(|(k, _)| key.eq_ignore_ascii_case(k));
        if let (Some((_, fact)), Some(text)) = (known, value.as_str())
            && !text.trim().is_empty()
        {
            out.entry(fact).or_insert_with(|| text.chars().take(300).collect());
        }
        search(value, depth - 1, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{DType, Shape};

    #[test]
    fn groups_are_named_where_there_are_several() {
        let shape = |n| Shape { dtype: DType::F32, shape: vec![n] };
        let all = [
            ("g_ema.conv1.weight", 3_000_000),
            ("g_ema.bias", 1),
            ("d.final_conv.0.weight", 4),
            ("d.final_linear.0.weight", 4),
            ("latent_avg", 512),
        ];
        let tensors = all.iter().map(|(n, s)| ((*n).to_owned(), shape(*s))).collect();
        let listing = Listing { tensors, ..Listing::default() };
        let found = groups(&listing);
        let lines: Vec<String> = found[0].1.as_array().unwrap().iter().map(line).collect();
        assert_eq!(
            lines,
            [
                "d: 2 tensors, 8 values: a discriminator, which makes no pictures",
                "g_ema: 2 tensors, 3.0 M values"
            ]
        );
        let one = Listing { tensors: [("a.b".to_owned(), shape(1))].into(), ..Listing::default() };
        assert!(groups(&one).is_empty());
    }

    #[test]
    fn whose_a_file_is_stands_in_its_settings() {
        let provenance = json!({"source": {"said": {"License": "CC-BY-NC-4.0", "url": " "}}});
        let found = rights(&provenance, &json!({"author": "A", "license": "other"}));
        let told: Vec<(&str, &str)> =
            found.iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap())).collect();
        assert_eq!(told, [("author", "A"), ("licence", "CC-BY-NC-4.0")]);
    }
}
