//! Readings of pictures: attributes and identity.

use crate::control::Control;
use crate::error::{Error, Result};
use crate::generator::{Generator, Input, each_batch, spaces};
use crate::metric::{Features, Output, Reading};
use crate::rng::Rng;
use candle_core::{DType, Device, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// Samples from which the spread of every attribute is taken.
const SAMPLES: usize = 256;
/// Samples that a side of a binary attribute needs before its mean says anything.
const FEWEST: usize = 4;

/// An attribute that a [`Reader`] reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Its name, as in the labels.
    pub name: String,
    /// Several numbers that are one attribute (the three of a colour) name it here; they count
    /// once.
    pub group: Option<String>,
}

/// Readings of one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// One number an attribute, on any linear scale; a binary one as its logit.
    pub raw: Vec<f64>,
    /// The identity embedding.
    pub identity: Option<Vec<f64>>,
}

/// Reads attributes off pictures.
pub trait Reader {
    /// The attributes that it reads, in order.
    fn attributes(&self) -> &[Attribute];

    /// Reads pictures.
    ///
    /// # Shapes
    /// `[N, C, H, W]` in [-1, 1] → N
    ///
    /// # Errors
    /// When the network does not read such pictures.
    fn read(&self, pictures: &Tensor) -> Result<Vec<Seen>>;
}

/// The generator's own attribute network.
pub struct NetworkReader<'a> {
    network: &'a Features,
    attributes: Vec<Attribute>,
    columns: Vec<usize>,
    identity: Vec<usize>,
}

/// Role of a column of the network's head in the benchmark.
enum Column {
    Attribute(Option<String>),
    Identity,
    /// Landmarks, classes, and whether there is a face at all.
    Other,
}

impl<'a> NetworkReader<'a> {
    /// Reads with that network.
    pub fn new(network: &'a Features) -> Self {
        let (mut attributes, mut columns, mut identity) = (Vec::new(), Vec::new(), Vec::new());
        for (i, output) in network.config().outputs.iter().enumerate() {
            match column(output) {
                Column::Attribute(group) => {
                    attributes.push(Attribute { name: output.name.clone(), group });
                    columns.push(i);
                }
                Column::Identity => identity.push(i),
                Column::Other => {}
            }
        }
        Self { network, attributes, columns, identity }
    }
}

/// Role of an output, from the attribute file. Landmarks, classes and the face probability do not
/// measure an edit's leakage.
fn column(output: &Output) -> Column {
    match output.group.as_str() {
        "identity" => Column::Identity,
        "landmarks" => Column::Other,
        _ if output.kind == Reading::Category || output.name == "face" => Column::Other,
        "" => Column::Attribute(None),
        group => Column::Attribute(Some(group.to_owned())),
    }
}

impl Reader for NetworkReader<'_> {
    fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    fn read(&self, pictures: &Tensor) -> Result<Vec<Seen>> {
        let raw =
            self.network.raw_scores(pictures)?.to_dtype(DType::F64)?.to_device(&Device::Cpu)?;
        let pick = |row: &[f64], which: &[usize]| {
            which.iter().filter_map(|&i| row.get(i).copied()).collect::<Vec<_>>()
        };
        let rows = raw.to_vec2::<f64>()?;
        let seen = |row: &Vec<f64>| Seen {
            raw: pick(row, &self.columns),
            identity: (!self.identity.is_empty()).then(|| pick(row, &self.identity)),
        };
        Ok(rows.iter().map(seen).collect())
    }
}

/// Spread of the attributes over the generator's own samples: the units of leakage, and the two
/// sides of binary ones.
#[derive(Clone, Debug)]
pub struct Spread {
    attributes: Vec<Attribute>,
    /// Standard deviations.
    deviations: Vec<f64>,
    /// Mean and count of the samples with a raw number below 0, and above.
    sides: Vec<[(f64, usize); 2]>,
}

impl Spread {
    /// Reads 256 samples at psi 1, drawn from the seed. No picture of the benchmark is looked at.
    ///
    /// # Errors
    /// When generator or reader fail; `Interrupted` when it is stopped.
    pub fn of(
        generator: &dyn Generator,
        reader: &dyn Reader,
        seed: u64,
        control: &Control,
    ) -> Result<Self> {
        let seed = Rng::derive(seed, "bench: attribute spread").next_u64();
        let labels = uniform_label(generator)?;
        let draw = spaces::Draw {
            seed,
            labels: labels.as_ref(),
            space: generator.spec().dims().usual(),
            ..spaces::Draw::default()
        };
        let codes = spaces::sample(generator, SAMPLES, draw)?;
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(SAMPLES);
        let watch = (control, "edits: samples for the units");
        each_batch(generator, &codes, &Input::default(), watch, |pictures| {
            rows.extend(reader.read(&pictures.clamp(-1f32, 1f32)?)?.into_iter().map(|s| s.raw));
            Ok(())
        })
        .map_err(|e| e.note("no person was looked at"))?;
        Ok(Self::from_rows(reader.attributes(), &rows))
    }

    fn from_rows(attributes: &[Attribute], rows: &[Vec<f64>]) -> Self {
        let of = |i: usize| rows.iter().filter_map(move |r| r.get(i).copied());
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let (mut deviations, mut sides) = (Vec::new(), Vec::new());
        for i in 0..attributes.len() {
            let all: Vec<f64> = of(i).collect();
            let centre = mean(&all);
            deviations
                .push(mean(&all.iter().map(|v| (v - centre).powi(2)).collect::<Vec<_>>()).sqrt());
            let (off, on): (Vec<f64>, Vec<f64>) = all.iter().partition(|v| **v < 0.0);
            sides.push([(mean(&off), off.len()), (mean(&on), on.len())]);
        }
        Self { attributes: attributes.to_vec(), deviations, sides }
    }

    /// Difference between the typical logits with and without a binary attribute.
    ///
    /// # Errors
    /// When it is not read, or the samples hardly ever show one of the sides.
    pub fn between_sides(&self, attribute: &str) -> Result<f64> {
        let at = self.attributes.iter().position(|a| a.name == attribute);
        let sides = at.and_then(|i| self.sides.get(i)).ok_or_else(|| {
            Error::runtime(format!(
                "the attribute network does not read {}",
                crate::safe::Safe(attribute)
            ))
            .hint("leave this edit out: --edits")
        })?;
        let [(off, n), (on, m)] = *sides;
        if n.min(m) < FEWEST {
            let name = crate::safe::Safe(attribute);
            return Err(Error::runtime(format!(
                "of {SAMPLES} samples of the generator {m} show {name} and {n} do not"
            ))
            .note("an edit's strength is the way between the typical scores of both sides")
            .hint("leave this edit out (--edits), or use a generator that shows both"));
        }
        Ok(on - off)
    }

    /// Mean distance between `a` and `b` over the attributes other than `except`, in standard
    /// deviations of the samples; a group counts once, with the root of its mean square. 0 without
    /// other attributes.
    pub fn distance(&self, a: &[f64], b: &[f64], except: &str) -> f64 {
        let mut squares: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let values = self.attributes.iter().zip(&self.deviations).zip(a.iter().zip(b));
        for ((attribute, sd), (x, y)) in
            values.filter(|((a, sd), _)| a.name != except && **sd > 0.0)
        {
            let key = attribute.group.as_deref().unwrap_or(&attribute.name);
            squares.entry(key).or_default().push(((x - y) / sd).powi(2));
        }
        let roots = squares.values().map(|v| (v.iter().sum::<f64>() / v.len() as f64).sqrt());
        roots.sum::<f64>() / squares.len().max(1) as f64
    }

    /// The place of an attribute among the numbers that are read.
    pub fn place(&self, attribute: &str) -> Option<usize> {
        self.attributes.iter().position(|a| a.name == attribute)
    }

    /// Number of attributes compared besides `except`; a group counts once.
    pub fn others(&self, except: &str) -> usize {
        let names = self.attributes.iter().filter(|a| a.name != except);
        names.map(|a| a.group.as_deref().unwrap_or(&a.name)).collect::<BTreeSet<_>>().len()
    }
}

/// Equal shares of all classes for a conditional generator.
fn uniform_label(generator: &dyn Generator) -> Result<Option<Tensor>> {
    let classes = generator.spec().classes();
    if classes == 0 {
        return Ok(None);
    }
    let share = vec![1.0 / classes as f32; classes];
    Ok(Some(Tensor::from_vec(share, (1, classes), generator.device())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[(&str, Option<&str>)]) -> Vec<Attribute> {
        names
            .iter()
            .map(|(n, g)| Attribute { name: (*n).into(), group: g.map(str::to_owned) })
            .collect()
    }

    #[test]
    fn columns_are_sorted_by_what_they_are() {
        let of = |name: &str, kind: &str, group: &str| {
            let output = serde_json::json!({"name": name, "kind": kind, "group": group});
            match column(&serde_json::from_value(output).unwrap()) {
                Column::Attribute(g) => g.unwrap_or_else(|| "alone".into()),
                Column::Identity => "identity".into(),
                Column::Other => "other".into(),
            }
        };
        let cases = [
            ("smile", "regression", "", "alone"),
            ("glasses", "probability", "", "alone"),
            ("hair_r", "regression", "hair_rgb", "hair_rgb"),
            ("asian", "regression", "race", "race"),
            ("identity_07", "regression", "identity", "identity"),
            ("eye_left_x", "regression", "landmarks", "other"),
            ("hair.bob01", "category", "hair", "other"),
            ("face", "probability", "", "other"),
        ];
        for (name, kind, group, wanted) in cases {
            assert_eq!(of(name, kind, group), wanted, "{name}");
        }
    }

    #[test]
    fn distances_are_in_deviations_and_groups_count_once() {
        let attributes = named(&[
            ("edited", None),
            ("a", None),
            ("c_r", Some("c")),
            ("c_g", Some("c")),
            ("flat", None),
        ]);
        // Deviations 1, 2, 1, 1 and 0.
        let rows = [vec![-1.0, -2.0, -1.0, 1.0, 5.0], vec![1.0, 2.0, 1.0, -1.0, 5.0]];
        let spread = Spread::from_rows(&attributes, &rows);
        // a: 3/2; c: √((9 + 1)/2); constant attributes have no unit and do not count, nor does the
        // edited one.
        let got = spread.distance(&[9.0, 3.0, 3.0, 0.0, 9.0], &[0.0, 0.0, 0.0, 1.0, 0.0], "edited");
        assert!((got - (1.5 + 5f64.sqrt()) / 2.0).abs() < 1e-12, "{got}");
        assert_eq!(spread.others("edited"), 3);
    }

    #[test]
    fn both_sides_must_be_seen() {
        let rows: Vec<Vec<f64>> =
            (0..20).map(|i| vec![if i < 5 { 4.0 + f64::from(i) } else { -3.0 }, -1.0]).collect();
        let spread = Spread::from_rows(&named(&[("glasses", None), ("hat", None)]), &rows);
        assert_eq!(spread.between_sides("glasses").unwrap(), 9.0);
        assert!(spread.between_sides("hat").unwrap_err().message().contains("0 show hat"));
        assert!(spread.between_sides("beard").is_err());
    }
}
