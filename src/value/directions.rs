//! The named directions that come with a generator, each in one or several spaces and with its
//! measurements.

use crate::direction::{self, Facts, Form, Forms, Source};
use crate::error::{Error, Kind, Result};
use crate::latent::{About, Direction, LayerShare};
use crate::safe::Safe;
use crate::space::Space;
use crate::weights::Checkpoint;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Order of a direction's forms; the first is shown where no code decides
/// ([`crate::space::form_for`] does beside a code).
const ORDER: [Space; 4] = [Space::W, Space::WPlus, Space::S, Space::Z];

/// Leakage below this many standard deviations is not listed.
const SHOWN: f64 = 0.1;
/// Maximum number of attributes listed.
const LISTED: usize = 8;
/// Maximum number of attributes in a short description.
const BRIEF: usize = 3;

/// Directions by name; a name can have a direction in each of several spaces.
#[derive(Clone, Debug, Default)]
pub struct Directions {
    by_name: BTreeMap<String, Vec<Direction>>,
}

impl Directions {
    /// The direction of that name in its default space: the first of W, W+, S and Z.
    pub fn get(&self, name: &str) -> Option<&Direction> {
        self.by_name.get(name)?.first()
    }

    /// The direction of that name in that space.
    pub fn in_space(&self, name: &str, space: Space) -> Option<&Direction> {
        self.by_name.get(name)?.iter().find(|d| d.space == space)
    }

    /// The direction of that name in every space in which it exists, the default space first. If
    /// there are several, the origin of each names its space, so that codes moved by it record the
    /// space.
    pub fn forms(&self, name: &str) -> Option<Forms> {
        let all = self.by_name.get(name)?;
        let told = |d: &Direction| match all.len() {
            1 => d.clone(),
            _ => Direction { origin: format!("own {} of {}", d.name, d.space), ..d.clone() },
        };
        Forms::of(all.iter().map(told))
    }

    /// The directions of each name, the default space first.
    pub fn by_name(&self) -> impl Iterator<Item = &[Direction]> {
        self.by_name.values().map(Vec::as_slice)
    }

    /// All names with their spaces, the default one first.
    pub fn spaces(&self) -> BTreeMap<String, Vec<Space>> {
        self.by_name
            .iter()
            .map(|(n, all)| (n.clone(), all.iter().map(|d| d.space).collect()))
            .collect()
    }

    /// Iterates over all directions by name, the default space first.
    pub fn iter(&self) -> impl Iterator<Item = &Direction> {
        self.by_name.values().flatten()
    }

    /// Number of directions; a name counts once for each of its spaces.
    pub fn len(&self) -> usize {
        self.by_name.values().map(Vec::len).sum()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

impl FromIterator<Direction> for Directions {
    fn from_iter<I: IntoIterator<Item = Direction>>(all: I) -> Self {
        let mut by_name: BTreeMap<String, Vec<Direction>> = BTreeMap::new();
        for d in all {
            by_name.entry(d.name.clone()).or_default().push(d);
        }
        by_name.values_mut().for_each(|all| all.sort_by_key(|d| rank(d.space)));
        Self { by_name }
    }
}

/// Reads all tensors of a direction file in double precision.
///
/// # Errors
/// When a tensor cannot be read.
pub fn arrays(file: &Checkpoint) -> Result<direction::Arrays> {
    let arrays = file.weights.clone().arrays()?;
    let mut arrays: direction::Arrays =
        arrays.into_iter().map(|(k, a)| (k, (a.shape.clone(), a.to_f64()))).collect();
    // A saved GANSpace edit may hold its standard deviation as a plain Python number.
    for key in direction::DEVIATIONS {
        if let Some(number) = file.config().get(key).and_then(serde_json::Value::as_f64) {
            arrays.entry(key.to_owned()).or_insert((vec![1], vec![number]));
        }
    }
    Ok(arrays)
}

/// Metadata of a saved GANSpace edit besides its component: its name, and the layers that it moves
/// (`edit_start..edit_end`, the end not included).
struct Edit {
    name: Option<String>,
    layers: Option<std::ops::Range<usize>>,
    space: Option<Space>,
}

impl Edit {
    /// The edit that a file's metadata describes; `None` for another kind of file.
    fn of(file: &Checkpoint) -> Option<Self> {
        let said = file.config();
        let text = |key: &str| said.get(key).and_then(serde_json::Value::as_str);
        let layer = |key: &str| Some(said.get(key)?.as_u64()? as usize);
        said.get("component_index")?;
        Some(Self {
            name: text("name").map(str::to_owned).filter(|n| !n.is_empty()),
            layers: layer("edit_start").zip(layer("edit_end")).map(|(a, b)| a..b),
            space: text("latent_space").and_then(Space::parse),
        })
    }

    /// Names the component and restricts it to the layers of the edit.
    fn apply(self, component: Direction, facts: &Facts) -> Result<Direction> {
        let all = 0..facts.num_ws;
        let layers = self.layers.filter(|l| *l != all && component.space == Space::W);
        let moved = match layers {
            Some(l) => direction::at_layers(&component, l.start..l.end.min(all.end), all.end, &[])?,
            None => component,
        };
        Ok(Direction { name: self.name.unwrap_or(moved.name), ..moved })
    }
}

/// The settings of a file of the family `directions`; `None` for other families.
pub fn config(file: &Checkpoint) -> Option<&serde_json::Value> {
    (file.family() == Some("directions")).then(|| file.config())
}

/// The space of directions that do not name one, as stated in the file's settings.
pub fn space_of(file: &Checkpoint) -> Option<Space> {
    config(file)?.get("space")?.as_str().and_then(Space::parse)
}

/// What the arrays of a file are, by their names and shapes.
pub fn form(file: &Checkpoint) -> Form {
    let tensors = &file.weights.list().tensors;
    direction::form(tensors.iter().map(|(n, t)| (n.as_str(), t.shape.as_slice())))
}

/// The names of a file's directions with their spaces, the default space first. Reads only the
/// names of its tensors. `None` for components and
/// factorisations, which have no names.
pub fn names(file: &Checkpoint, space: Option<Space>) -> Option<BTreeMap<String, Vec<Space>>> {
    let tensors = &file.weights.list().tensors;
    if form(file) != Form::Plain {
        return None;
    }
    let mut all: BTreeMap<String, Vec<Space>> = BTreeMap::new();
    for key in tensors.keys() {
        let (said, name) = direction::split(key);
        all.entry(name.to_owned()).or_default().push(said.or(space)?);
    }
    all.values_mut().for_each(|spaces| spaces.sort_by_key(|s| rank(*s)));
    Some(all)
}

/// Position of a space in [`ORDER`].
fn rank(space: Space) -> usize {
    ORDER.iter().position(|s| *s == space).unwrap_or(ORDER.len())
}

/// Reads the directions of a file; `space` applies to arrays that do not name one. Measurements
/// come from `config.directions`, by the name of the tensor.
///
/// # Errors
/// When an array fits no space of the generator, or when the metadata cannot be read.
pub fn read(file: &Checkpoint, space: Option<Space>, facts: &Facts) -> Result<Vec<Direction>> {
    let edit = Edit::of(file);
    let space = space.or(edit.as_ref().and_then(|e| e.space));
    let source = Source { file: &file.file, space };
    let mut all = direction::from_arrays(&arrays(file)?, &source, facts)?;
    if let (Some(edit), 1) = (edit, all.len())
        && let Some(component) = all.pop()
    {
        all.push(edit.apply(component, facts)?);
    }
    let Some(told) = config(file).and_then(|c| c.get("directions")?.as_object()) else {
        return Ok(all);
    };
    for d in &mut all {
        let keys = [format!("{}/{}", d.space, d.name), d.name.clone()];
        let bare = |key: &&String| key.contains('/') || file.weights.has(&d.name);
        let Some(json) = keys.iter().filter(bare).find_map(|k| told.get(k)) else { continue };
        let about: About = serde_json::from_value(json.clone()).map_err(|e| {
            let message = format!(
                "{}: the metadata of `{}` cannot be read: {e}",
                Safe(&file.file),
                Safe(&d.name)
            );
            Error::new(Kind::Format, message).hint("the manual lists the keys of a directions file")
        })?;
        d.about = Some(Arc::new(about));
    }
    Ok(all)
}

/// The measurements of a direction, as rows of a table: name, value.
pub fn about(a: &About) -> Vec<(&'static str, String)> {
    let component = a.variance.is_some();
    let unit = if a.unit.is_empty() { String::new() } else { format!(" {}", a.unit) };
    let strength = a.leakage_at.unwrap_or(1.0);
    let said = |what, there: bool, value: String| there.then_some((what, value));
    let rows = [
        said(
            if component { "moves most" } else { "attribute" },
            !a.attribute.is_empty(),
            a.attribute.clone(),
        ),
        said("one step", a.per_step != 0.0, format!("{:.4}{unit}", a.per_step)),
        a.variance.map(|v| ("variance", format!("{:.1} % of that of w", 100.0 * v))),
        a.accuracy.map(|r2| ("accuracy", format!("R² {r2:.3} of a linear fit on held-out codes"))),
        a.fitted.as_ref().map(|text| ("fitted to", Safe(text).to_string())),
        said("movement", !a.effect.is_empty(), format!("{} steps", movement(&a.effect))),
        a.monotone.map(|m| ("monotone", format!("for {:.0} % of the codes", 100.0 * m))),
        said(
            if component { "moves" } else { "leakage" },
            !a.leakage.is_empty(),
            format!("{} σ at {strength:+}", largest(&a.leakage, LISTED)),
        ),
        said("layers alone", !a.layers.is_empty(), shares(&a.layers)),
    ];
    rows.into_iter().flatten().collect()
}

/// The measurements that one needs before an edit, in a line: `one step 17.9 years · also moves age
/// +0.31 σ at +2`.
pub fn brief(a: &About) -> String {
    let unit = if a.unit.is_empty() { String::new() } else { format!(" {}", a.unit) };
    let step = (a.per_step != 0.0).then(|| format!("one step {:.3}{unit}", a.per_step));
    let moves = (!a.leakage.is_empty()).then(|| {
        let verb = if a.variance.is_some() { "moves" } else { "also moves" };
        let strength = a.leakage_at.unwrap_or(1.0);
        format!("{verb} {} σ at {strength:+}", largest(&a.leakage, BRIEF))
    });
    step.into_iter().chain(moves).collect::<Vec<_>>().join(" · ")
}

/// `-0.90 at -1, +1.80 at +2`, from the lowest strength up.
fn movement(effect: &BTreeMap<String, f64>) -> String {
    let mut all: Vec<(f64, &f64)> =
        effect.iter().filter_map(|(k, v)| Some((k.parse().ok()?, v))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.iter().map(|(k, v)| format!("{v:+.2} at {k:+}")).collect::<Vec<_>>().join(", ")
}

/// The largest movements first; those below [`SHOWN`] are left out.
fn largest(leakage: &BTreeMap<String, f64>, count: usize) -> String {
    let mut all: Vec<(&String, &f64)> = leakage.iter().filter(|(_, v)| v.abs() >= SHOWN).collect();
    all.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let words: Vec<String> =
        all.iter().take(count).map(|(name, v)| format!("{name} {v:+.2}")).collect();
    if words.is_empty() { format!("nothing by {SHOWN} or more") } else { words.join(", ") }
}

/// `0..2 75 %, 2..4 12 %`.
fn shares(layers: &[LayerShare]) -> String {
    layers
        .iter()
        .map(|l| format!("{}..{} {:.0} %", l.from, l.to, 100.0 * l.share))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LIMITS;
    use crate::weights::{self, Array, Manifest, safetensors};
    use serde_json::json;

    fn file(config: serde_json::Value, tensors: &[(&str, usize)]) -> Checkpoint {
        let one = |(name, n): &(&str, usize)| {
            ((*name).to_owned(), Array::f32(&[*n], vec![0.5; *n]).unwrap())
        };
        let manifest =
            Manifest { format: 1, family: "directions".into(), config, provenance: json!({}) };
        let bytes =
            safetensors::write(&tensors.iter().map(one).collect(), Some(&manifest)).unwrap();
        weights::open_bytes("d.safetensors", bytes, &LIMITS).unwrap()
    }

    fn facts() -> Facts {
        Facts {
            z_dim: 4,
            w_dim: 4,
            num_ws: 2,
            s_dim: 6,
            spaces: vec![Space::Z, Space::W, Space::WPlus, Space::S],
            model: None,
        }
    }

    #[test]
    fn one_file_several_spaces_and_what_was_measured() {
        let config = json!({"directions": {
            "W/smile": {"attribute": "smile", "unit": "0 to 1", "per_step": 0.2, "accuracy": 0.8, "effect": {"-1": -0.9, "2": 1.8},
                "monotone": 0.97, "leakage": {"age": 0.31, "yaw_deg": -0.02}, "leakage_at": 2.0,
                "layers": [{"from": 0, "to": 2, "share": 0.75}], "unknown": true},
            "S/smile": {"attribute": "smile", "per_step": 0.1, "fitted": "pairs of 3 people"}}});
        let f = file(config, &[("Z/smile", 4), ("W/smile", 4), ("S/smile", 6), ("W/pc01", 4)]);
        let all: Directions = read(&f, None, &facts()).unwrap().into_iter().collect();
        assert_eq!(all.spaces()["smile"], [Space::W, Space::S, Space::Z]);
        assert_eq!((all.get("smile").unwrap().space, all.len()), (Space::W, 4));
        assert_eq!(all.in_space("smile", Space::S).unwrap().dim, 6);
        assert_eq!(all.in_space("smile", Space::S).unwrap().about.as_ref().unwrap().per_step, 0.1);
        assert!(
            all.in_space("smile", Space::Z).unwrap().about.is_none()
                && all.in_space("pc01", Space::S).is_none()
        );
        let rows = about(all.get("smile").unwrap().about.as_ref().unwrap());
        let text = rows.iter().map(|(k, v)| format!("{k}: {v}")).collect::<Vec<_>>().join("\n");
        for part in [
            "one step: 0.2000 0 to 1",
            "accuracy: R² 0.800",
            "movement: -0.90 at -1, +1.80 at +2 steps",
            "monotone: for 97 %",
            "leakage: age +0.31 σ at +2",
            "layers alone: 0..2 75 %",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let short = brief(all.get("smile").unwrap().about.as_ref().unwrap());
        assert_eq!(short, "one step 0.200 0 to 1 · also moves age +0.31 σ at +2");
        assert!(!text.contains("yaw"), "what hardly moves is left out: {text}");
        let of_s = about(all.in_space("smile", Space::S).unwrap().about.as_ref().unwrap());
        assert!(of_s.contains(&("fitted to", "pairs of 3 people".into())), "{of_s:?}");
    }

    #[test]
    fn names_are_known_before_a_number_is_read() {
        let faces = crate::value::Models::cpu().load("faces").unwrap();
        assert_eq!(faces.directions().unwrap().spaces(), faces.facts.directions);
        assert!(faces.facts.directions["smile"].len() > 1);
        let components = file(json!({"space": "W"}), &[("comp", 4), ("std", 1)]);
        assert!(names(&components, space_of(&components)).is_none());
    }

    #[test]
    fn files_of_bare_names_keep_working() {
        let config =
            json!({"space": "W", "directions": {"smile": {"attribute": "smile", "per_step": 0.2}}});
        let f = file(config, &[("smile", 4), ("age", 4)]);
        let all: Directions = read(&f, space_of(&f), &facts()).unwrap().into_iter().collect();
        assert_eq!(all.get("smile").unwrap().about.as_ref().unwrap().attribute, "smile");
        assert_eq!(all.get("age").unwrap().space, Space::W);
    }

    /// Saved edits are pickles of one component, its deviation as a Python number or an array, and
    /// the layers that the edit moves.
    #[test]
    fn edits_of_ganspace_are_read_whatever_their_deviation_is() {
        // {"component_index": 3, "name": "smile", "edit_start": 1, "edit_end": 2, "lat_comp": …,
        //  "lat_stdev": 0.5}, the component as a NumPy array of protocol 2.
        let text = |s: &str| [&[b'X'][..], &(s.len() as u32).to_le_bytes(), s.as_bytes()].concat();
        let array = |values: &[f32]| {
            let bytes: String =
                values.iter().flat_map(|v| v.to_le_bytes()).map(char::from).collect();
            let dtype = [
                &b"cnumpy\ndtype\n("[..],
                &text("f4"),
                b"\x89\x88tR(K\x03",
                &text("<"),
                b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
            ]
            .concat();
            let data =
                [&b"c_codecs\nencode\n("[..], &text(&bytes), &text("latin1"), b"tR"].concat();
            [
                &b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85"[..],
                &text("b"),
                b"tR(K\x01K\x01K",
                &[values.len() as u8],
                b"\x86",
                &dtype,
                b"\x89",
                &data,
                b"tb",
            ]
            .concat()
        };
        let file = |deviation: Vec<u8>| {
            let pairs = [
                ("component_index", b"K\x03".to_vec()),
                ("name", text("smile")),
                ("latent_space", text("W")),
                ("edit_start", b"K\x01".to_vec()),
                ("edit_end", b"K\x02".to_vec()),
                ("lat_comp", array(&[1.0, 2.0, 3.0, 4.0])),
                ("lat_stdev", deviation),
            ];
            let body: Vec<u8> =
                pairs.iter().flat_map(|(k, v)| [text(k), v.clone()].concat()).collect();
            let bytes = [&b"\x80\x02}("[..], &body, b"u."].concat();
            weights::open_bytes("edit.pkl", bytes, &LIMITS).unwrap()
        };
        let number = [&b"G"[..], &0.5f64.to_be_bytes()].concat();
        for deviation in [number, array(&[0.5])] {
            let all = read(&file(deviation), None, &facts()).unwrap();
            assert_eq!(all.len(), 1);
            assert_eq!((&all[0].name[..], all[0].layers.clone()), ("smile", Some(1..2)));
            assert_eq!(all[0].data, [0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.5, 2.0]);
        }
    }

    #[test]
    fn metadata_of_another_kind_is_an_error() {
        let f = file(
            json!({"space": "W", "directions": {"smile": {"per_step": "much"}}}),
            &[("smile", 4)],
        );
        let e = read(&f, space_of(&f), &facts()).unwrap_err();
        assert!(e.message().contains("`smile`") && e.repair().is_some(), "{e}");
    }
}
