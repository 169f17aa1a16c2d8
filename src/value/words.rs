//! Pictures in words, for screen readers and terminals without pictures: what the attribute
//! network reads in them.

use super::pictures::{ERROR, ERROR_GAIN};
use super::{Loaded, Models, Value};
use crate::error::Result;
use crate::image::Raster;
use crate::latent::ModelId;
use crate::metric::{Features, Finding, Level};
use crate::render::{Block, Picture};
use candle_core::Device;
use std::sync::Arc;

/// The words for a number; `None` where it is not worth a word.
type Words = fn(f64) -> Option<String>;

/// Describes the pictures of a result. The network is that of a generator that the value refers
/// to, else of the current one; without a network pictures keep their usual description.
///
/// # Errors
/// When the network cannot be read or computed.
pub fn describe(
    blocks: &mut [Block],
    value: &Value,
    current: Option<&Arc<Loaded>>,
    models: &Models,
) -> Result<()> {
    let mut pictures = blocks.iter_mut().filter_map(Block::pictures_mut).flatten();
    let mut ids: Vec<ModelId> = Vec::new();
    value.each_model(&mut |id| ids.push(id.clone()));
    let own = ids.first().and_then(|id| models.loaded(id));
    let Some(model) = own.as_ref().or(current) else { return Ok(()) };
    let Some(network) = model.features()? else { return Ok(()) };
    let device = model.device();
    pictures.try_for_each(|picture| one(picture, network, device))
}

fn one(picture: &mut Picture, network: &Features, device: &Device) -> Result<()> {
    if picture.words.is_empty() {
        picture.words = match picture.caption.as_str() {
            ERROR => difference(&picture.raster),
            _ => read(&picture.raster, network, device)?,
        };
    }
    Ok(())
}

/// A picture of errors: their mean in parts of the range.
fn difference(raster: &Raster) -> String {
    let sum: u64 = raster.data.iter().map(|&v| u64::from(v)).sum();
    let mean = sum as f64 / raster.data.len().max(1) as f64 / 255.0 / ERROR_GAIN;
    format!("the difference of both, {:.1} % of the range on average", 100.0 * mean)
}

fn read(raster: &Raster, network: &Features, device: &Device) -> Result<String> {
    let tensor = raster.converted(network.channels())?.0.to_tensor(device)?;
    let found = network.read(&tensor)?;
    Ok(sentence(found.first().map(Vec::as_slice).unwrap_or_default(), network))
}

/// Outputs that say little, or that the networks barely read.
const SILENT: [&str; 8] = [
    "brow",
    "weight",
    "skin_luminance",
    "african",
    "asian",
    "caucasian",
    "shirt_rgb",
    "eye_colour",
];

/// `a woman of about 41, smiling (0.72), facing left (18°), with glasses`.
fn sentence(all: &[Finding], network: &Features) -> String {
    let number = |name: &str| {
        all.iter().find(|f| f.name == name).and_then(|f| match f.level {
            Level::Number(v) | Level::Probability(v) => Some(v),
            _ => None,
        })
    };
    if let Some(p) = number("face").filter(|p| *p < 0.5) {
        return format!("no face is found ({p:.2})");
    }
    let mut parts: Vec<String> = who(number("gender"), number("age")).into_iter().collect();
    let named: [(&str, Words); 8] = [
        ("smile", smile),
        ("mouth_open", |v| (v > 0.3).then(|| format!("the mouth open ({v:.2})"))),
        ("eye_closure", |v| (v > 0.5).then(|| format!("the eyes closed ({v:.2})"))),
        ("yaw_deg", |v| Some(side(v, 5.0, "facing", "facing the camera"))),
        ("pitch_deg", pitch),
        ("roll_deg", |v| (v.abs() > 6.0).then(|| side(-v, 0.0, "the head tilted to the", ""))),
        ("glasses", |v| (v > 0.5).then(|| "with glasses".into())),
        ("light_deg", |v| (v.abs() > 15.0).then(|| side(v, 0.0, "lit from the", ""))),
    ];
    for (name, words) in named {
        let text = number(name).and_then(words);
        let dark = name == "glasses" && number("sunglasses").is_some_and(|p| p > 0.5);
        parts.extend(text.map(|t| if dark { "with dark glasses".into() } else { t }));
        if name == "glasses" {
            parts.extend(hair(all));
        }
    }
    parts.extend(vector(all, "background_rgb").map(|c| format!("{} background", colour(c))));
    let known = |name: &str| {
        SILENT.contains(&name)
            || named.iter().any(|n| n.0 == name)
            || ["gender", "age", "hair", "sunglasses", "face"].contains(&name)
    };
    parts.extend(all.iter().filter(|f| !known(&f.name)).filter_map(|f| other(f, network)));
    parts.join(", ")
}

fn who(gender: Option<f64>, age: Option<f64>) -> Option<String> {
    let young = age.is_some_and(|a| a < 16.0);
    let noun = match (gender, young) {
        (Some(p), true) if p > 0.6 => "a boy",
        (Some(p), true) if p < 0.4 => "a girl",
        (Some(p), _) if p > 0.6 => "a man",
        (Some(p), _) if p < 0.4 => "a woman",
        (None, _) if age.is_none() => return None,
        _ => "a person",
    };
    Some(age.map_or_else(|| noun.into(), |a| format!("{noun} of about {a:.0}")))
}

fn smile(v: f64) -> Option<String> {
    let words = match v {
        v if v > 0.7 => "smiling broadly",
        v if v > 0.35 => "smiling",
        v if v > 0.15 => "smiling a little",
        _ => "not smiling",
    };
    Some(format!("{words} ({:.2})", v.clamp(0.0, 1.0)))
}

/// `facing left (18°)`; degrees above 0 are the picture's right.
fn side(degrees: f64, least: f64, words: &str, otherwise: &str) -> String {
    match degrees {
        d if d > least => format!("{words} right ({d:.0}°)"),
        d if d < -least => format!("{words} left ({:.0}°)", -d),
        _ => otherwise.into(),
    }
}

fn pitch(v: f64) -> Option<String> {
    // A positive pitch lowers the nose.
    let way = if v > 0.0 { "down" } else { "up" };
    (v.abs() > 5.0).then(|| format!("looking {way} ({:.0}°)", v.abs()))
}

fn hair(all: &[Finding]) -> Option<String> {
    let found = all.iter().find(|f| f.name == "hair")?;
    let Level::Class { name, .. } = &found.level else { return None };
    let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let colour = vector(all, "hair_rgb").map(|c| format!("{} ", colour(c))).unwrap_or_default();
    Some(match kind {
        "bald" => "bald".into(),
        "short" | "long" => format!("{kind} {colour}hair"),
        _ => format!("{colour}hair, {kind}"),
    })
}

fn vector<'f>(all: &'f [Finding], name: &str) -> Option<&'f [f64]> {
    all.iter().find(|f| f.name == name).and_then(|f| match &f.level {
        Level::Vector(v) => Some(v.as_slice()),
        _ => None,
    })
}

/// What a network without the names above reads, where it is unlike the usual.
fn other(found: &Finding, network: &Features) -> Option<String> {
    let (name, unit) = (&found.name, &found.unit);
    match &found.level {
        Level::Number(v) => {
            let output = network.config().outputs.iter().find(|o| o.name == *name)?;
            let far = (v - output.mean).abs() > output.std;
            far.then(|| format!("{name} {v:.2} {unit}").trim_end().to_owned())
        }
        Level::Probability(p) => (*p > 0.5).then(|| format!("{name} ({p:.2})")),
        Level::Class { name: class, probability } => {
            Some(format!("{name} {class} ({probability:.2})"))
        }
        Level::Vector(_) => None,
    }
}

/// The name of a colour in linear light.
fn colour(linear: &[f64]) -> &'static str {
    let [r, g, b] = [0, 1, 2].map(|i| encoded(linear.get(i).copied().unwrap_or(0.0)));
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    if high - low < 0.1 || high < 0.15 {
        return match high {
            v if v < 0.2 => "black",
            v if v < 0.45 => "dark grey",
            v if v < 0.7 => "grey",
            v if v < 0.9 => "light grey",
            _ => "white",
        };
    }
    let hue = match high {
        v if v == r => 60.0 * ((g - b) / (high - low)),
        v if v == g => 60.0 * ((b - r) / (high - low) + 2.0),
        _ => 60.0 * ((r - g) / (high - low) + 4.0),
    };
    match (hue.rem_euclid(360.0), high) {
        (h, v) if (15.0..50.0).contains(&h) && v < 0.35 => "dark brown",
        (h, v) if (15.0..50.0).contains(&h) && v < 0.65 => "brown",
        (h, _) if (30.0..50.0).contains(&h) => "blond",
        (h, _) if (15.0..30.0).contains(&h) => "orange",
        (h, _) if (50.0..70.0).contains(&h) => "yellow",
        (h, _) if (70.0..165.0).contains(&h) => "green",
        (h, _) if (165.0..200.0).contains(&h) => "blue-green",
        (h, _) if (200.0..260.0).contains(&h) => "blue",
        (h, _) if (260.0..330.0).contains(&h) => "purple",
        (_, v) if v < 0.35 => "dark red",
        _ => "red",
    }
}

/// Linear light as sRGB encodes it.
fn encoded(linear: f64) -> f64 {
    let v = linear.clamp(0.0, 1.0);
    if v <= 0.003_130_8 { 12.92 * v } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::Output;
    use crate::control::Control;
    use crate::eval::{Options, State};
    use crate::lang::span::Source;
    use std::collections::BTreeMap;

    fn finding(name: &str, level: Level) -> Finding {
        Finding { name: name.into(), level, unit: String::new() }
    }

    struct Lines(Vec<String>);

    impl Output for Lines {
        fn display(&mut self, blocks: &[Block], _: &Value) -> Result<()> {
            self.0.extend(crate::render::words(blocks)?);
            Ok(())
        }

        fn print(&mut self, _: &str) -> Result<()> {
            Ok(())
        }
    }

    /// What a program shows with these captions.
    fn words(code: &str, captions: &[&str]) -> Vec<String> {
        let options = Options { describe: true, ..Options::default() };
        let mut state = State::new(Models::cpu(), "faces", options).unwrap();
        let mut lines = Lines(Vec::new());
        let source = Source::new("t", code).unwrap();
        state.run(&source, &BTreeMap::new(), &Control::default(), &mut lines).unwrap();
        let of = |c: &&str| lines.0.iter().find(|l| l.starts_with(&format!("{c}: "))).cloned();
        captions.iter().map(|c| of(c).unwrap_or_else(|| panic!("{c}: {:?}", lines.0))).collect()
    }

    #[test]
    fn a_person_is_described_as_one_would() {
        let network = Models::cpu().load("faces").unwrap();
        let network = network.features().unwrap().unwrap().clone();
        let class = |name: &str| Level::Class { name: name.into(), probability: 0.9 };
        let all = [
            finding("gender", Level::Probability(0.02)),
            finding("age", Level::Number(40.6)),
            finding("smile", Level::Number(0.5)),
            finding("yaw_deg", Level::Number(-18.2)),
            finding("glasses", Level::Probability(0.99)),
            finding("hair", class("long01")),
            finding("hair_rgb", Level::Vector(vec![0.06, 0.03, 0.015])),
            finding("skin_luminance", Level::Number(0.9)),
        ];
        let want = "a woman of about 41, smiling (0.50), facing left (18°), with glasses, long \
                    dark brown hair";
        assert_eq!(sentence(&all, &network), want);
        let none = [finding("face", Level::Probability(0.1))];
        assert_eq!(sentence(&none, &network), "no face is found (0.10)");
        let mut grey = [0.2, 0.2, 0.2];
        assert_eq!(colour(&grey), "grey");
        grey[2] = 0.9;
        assert_eq!(colour(&grey), "blue");
    }

    #[test]
    fn pictures_of_the_generator_are_read() {
        let code = "w = sample(seed: 2, psi: 0.7); turned = w + 30*direction(\"yaw\")\n\
                    show w, turned\ncompare(w, mean_w)";
        let found = words(code, &["w", "turned", ERROR]);
        assert!(found[0].contains("[picture 128×128 rgb: a "), "{found:?}");
        assert!(found[1].contains("facing right ("), "{found:?}");
        assert!(found[2].contains("the difference of both, "), "{found:?}");
    }
}
