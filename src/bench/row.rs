//! The rows of the table, and what their columns mean.

use super::plan::Edit;
use super::setup::EditSetup;
use crate::value::{Cell, Table};

/// Measurements of one person; `None` where a value cannot be measured.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The edit against the truth.
    pub edited: Closeness,
    /// The unedited reconstruction against the truth.
    pub unedited: Closeness,
    /// The truth's own reconstruction against the truth.
    pub ceiling: Option<Closeness>,
    /// PSNR of the base picture itself against the truth.
    pub psnr_base: f64,
    /// PSNR of the unedited reconstruction against the base picture.
    pub psnr_inversion: f64,
    /// Cosines with the base picture's identity: of the edit, the unedited reconstruction, and the
    /// truth.
    pub identity: Option<[f64; 3]>,
    /// Movement of the other attributes against the truth's: of the edit, and of no edit.
    pub leakage: Option<[f64; 2]>,
    /// Movement of the edited attribute, and of the truth's.
    pub moved: Option<[f64; 2]>,
    /// Steps along the direction.
    pub steps: f64,
    /// Inverting, moving and rendering.
    pub seconds: f64,
}

/// Similarity of one picture to another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Closeness {
    /// Peak signal-to-noise ratio in dB.
    pub psnr: f64,
    /// Absent for pictures smaller than its window.
    pub ssim: Option<f64>,
    /// Absent without a feature network.
    pub perceptual: Option<f64>,
}

/// One row: an edit, a method and a space, means over `n` people. The first twelve fields are the
/// benchmark's table; the rest explains them. Numbers that could not be measured are `None`, `null`
/// in JSON.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Row {
    /// The edit's name in the data.
    pub edit: String,
    /// The inversion method, with `:conditional` where correlated attributes were projected out,
    /// `:w` where the direction of W was taken in W+, and `:layers` where that only moved the
    /// layers in which it acts.
    pub method: String,
    /// The space in which the code was moved.
    pub space: String,
    /// People whom the edit changes.
    pub n: usize,
    /// The edit against the true picture, dB.
    pub psnr: Option<f64>,
    /// The unedited reconstruction against the true picture, dB.
    pub psnr_no_edit: Option<f64>,
    /// The true picture inverted with the same method against itself, dB.
    pub psnr_ceiling: Option<f64>,
    /// The edit against the true picture.
    pub ssim: Option<f64>,
    /// The edit against the true picture; smaller is closer.
    pub perceptual: Option<f64>,
    /// Cosine of the identity embeddings of edit and base picture.
    pub identity: Option<f64>,
    /// Movement of the other attributes beyond the truth's, SDs.
    pub leakage: Option<f64>,
    /// Inversion, edit and rendering of one picture.
    pub seconds: Option<f64>,
    /// The label that the edit changes.
    pub attribute: String,
    /// The direction that was taken.
    pub direction: String,
    /// Mean size of the move, in steps of the direction.
    pub steps: Option<f64>,
    /// The attribute's movement as a share of the truth's.
    pub moved: Option<f64>,
    /// Standard error of the mean of `psnr - psnr_no_edit` over people.
    pub gain_se: Option<f64>,
    /// Share of people for whom the edit is closer to the truth than no edit.
    pub better: Option<f64>,
    /// The base picture itself against the true picture, dB.
    pub psnr_base: Option<f64>,
    /// The unedited reconstruction against the base picture, dB.
    pub psnr_inversion: Option<f64>,
    /// As `ssim`, for the unedited reconstruction.
    pub ssim_no_edit: Option<f64>,
    /// As `ssim`, for the inverted truth.
    pub ssim_ceiling: Option<f64>,
    /// As `perceptual`, for the unedited reconstruction.
    pub perceptual_no_edit: Option<f64>,
    /// As `perceptual`, for the inverted truth.
    pub perceptual_ceiling: Option<f64>,
    /// As `identity`, for the unedited reconstruction.
    pub identity_no_edit: Option<f64>,
    /// As `identity`, for the true picture.
    pub identity_truth: Option<f64>,
    /// Value of `leakage` if nothing moved.
    pub leakage_no_edit: Option<f64>,
}

impl Row {
    /// The means of one row.
    pub fn new(edit: &Edit, setup: &EditSetup, direction: &str, samples: &[Sample]) -> Self {
        let all = |f: &dyn Fn(&Sample) -> Option<f64>| mean(samples.iter().map(f));
        let gains: Vec<f64> = samples.iter().map(|s| s.edited.psnr - s.unedited.psnr).collect();
        Self {
            edit: edit.name.clone(),
            method: setup.name(),
            space: setup.space.name().into(),
            n: samples.len(),
            psnr: all(&|s| Some(s.edited.psnr)),
            psnr_no_edit: all(&|s| Some(s.unedited.psnr)),
            psnr_ceiling: all(&|s| Some(s.ceiling?.psnr)),
            ssim: all(&|s| s.edited.ssim),
            perceptual: all(&|s| s.edited.perceptual),
            identity: all(&|s| Some(s.identity?[0])),
            leakage: all(&|s| Some(s.leakage?[0])),
            seconds: all(&|s| Some(s.seconds)),
            attribute: edit.attribute.clone(),
            direction: direction.into(),
            steps: all(&|s| Some(s.steps.abs())),
            moved: moved(samples),
            gain_se: standard_error(&gains),
            better: all(&|s| Some(f64::from(u8::from(s.edited.psnr > s.unedited.psnr)))),
            psnr_base: all(&|s| Some(s.psnr_base)),
            psnr_inversion: all(&|s| Some(s.psnr_inversion)),
            ssim_no_edit: all(&|s| s.unedited.ssim),
            ssim_ceiling: all(&|s| s.ceiling?.ssim),
            perceptual_no_edit: all(&|s| s.unedited.perceptual),
            perceptual_ceiling: all(&|s| s.ceiling?.perceptual),
            identity_no_edit: all(&|s| Some(s.identity?[1])),
            identity_truth: all(&|s| Some(s.identity?[2])),
            leakage_no_edit: all(&|s| Some(s.leakage?[1])),
        }
    }
}

/// The mean, or `None` when a value is missing or the list is empty.
pub(super) fn mean(values: impl ExactSizeIterator<Item = Option<f64>>) -> Option<f64> {
    let n = values.len();
    let sum = values.sum::<Option<f64>>()?;
    (n > 0).then(|| sum / n as f64)
}

/// Standard error of the mean; `None` for fewer than two values.
pub(super) fn standard_error(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    if values.len() < 2 {
        return None;
    }
    let centre = values.iter().sum::<f64>() / n;
    Some((values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt())
}

/// The edited attribute's movement in the truth's sense, over all people, as a share of the
/// truth's.
fn moved(samples: &[Sample]) -> Option<f64> {
    let (mut ours, mut theirs) = (0.0, 0.0);
    for s in samples {
        let [edit, truth] = s.moved?;
        ours += edit * truth.signum();
        theirs += truth.abs();
    }
    (theirs > 0.0).then(|| ours / theirs)
}

/// Definitions of the columns, a line each.
pub const DEFINITIONS: [&str; 11] = [
    "psnr, ssim, percept.: the edited reconstruction of the base picture against the true picture \
     of the edit, at the \
     generator's size, values clamped to [-1, 1]; means over the n people whose label the edit \
     changes",
    "no edit: PSNR of the unedited reconstruction against the true picture; gain ±: psnr minus \
     that, and its standard \
     error",
    "ceiling: PSNR of the true picture's own reconstruction by the same method",
    "identity: cosine of the identity embeddings of the edited reconstruction and the base picture",
    "leakage: how far the other attributes moved beyond what the truth moves them, |Δ edit - Δ \
     truth|, mean, in \
     standard deviations over 256 samples of the generator (colours and race count once each)",
    "moved: the edited attribute's own movement as a share of the truth's, both as the attribute \
     network reads them",
    "seconds: inversion, edit and rendering of one picture on this machine",
    "strength: the true difference of the label in steps of the calibrated direction; a binary \
     label counts as the way \
     between the typical logits of both sides over the samples. Nothing is fitted to these people",
    "w: the direction of W in all layers of W+, also where W+ has one of its own (without it that \
     one is taken)",
    "layers: the code is moved along the direction of W only in the fewest neighbouring layers \
     that have 0.8 of the \
     direction's effect (share), and 1 / share as far",
    "conditional: directions with |cosine| > 0.1 are projected out jointly, and the length lost is \
     walked (1 / share²)",
];

/// A number of a row for people: `-` where it could not be measured.
pub(super) fn cell(value: Option<f64>, digits: usize) -> Cell {
    value.map_or(Cell::Text("-".into()), |v| Cell::Number(v, digits))
}

/// A table for people: columns named in one text with commas, and under it what they mean and what
/// else is to be said.
pub(super) fn table_of(
    columns: &str,
    rows: Vec<Vec<Cell>>,
    definitions: &[&str],
    notes: &[String],
) -> Table {
    Table {
        columns: columns.split(',').map(str::to_owned).collect(),
        rows,
        notes: definitions.iter().map(|d| (*d).to_owned()).chain(notes.iter().cloned()).collect(),
        ..Table::default()
    }
}

/// The rows as a table for people.
pub fn table(rows: &[Row], notes: &[String]) -> Table {
    let columns = "edit,method,space,n,psnr,no \
                   edit,gain,±,ceiling,ssim,percept.,identity,leakage,moved,seconds";
    let row = |r: &Row| {
        let gain = r.psnr.zip(r.psnr_no_edit).map(|(a, b)| a - b);
        vec![
            Cell::Text(r.edit.clone()),
            Cell::Text(r.method.clone()),
            Cell::Text(r.space.clone()),
            Cell::Number(r.n as f64, 0),
            cell(r.psnr, 2),
            cell(r.psnr_no_edit, 2),
            cell(gain, 2),
            cell(r.gain_se, 2),
            cell(r.psnr_ceiling, 2),
            cell(r.ssim, 3),
            cell(r.perceptual, 4),
            cell(r.identity, 3),
            cell(r.leakage, 3),
            cell(r.moved, 2),
            cell(r.seconds, 2),
        ]
    };
    table_of(columns, rows.iter().map(row).collect(), &DEFINITIONS, notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::methods::OPTIMIZE;
    use crate::space::Space;

    fn row(samples: &[Sample]) -> Row {
        let edit = Edit { name: "smile_1".into(), attribute: "smile".into() };
        let setup =
            EditSetup { method: &OPTIMIZE, kind: super::super::Kind::Raw, space: Space::WPlus };
        Row::new(&edit, &setup, "smile", samples)
    }

    #[test]
    fn json_begins_with_the_documented_keys_in_order() {
        let json = serde_json::to_value(row(&[Sample::default()])).unwrap();
        let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let documented = "edit method space n psnr psnr_no_edit psnr_ceiling ssim perceptual \
                          identity leakage seconds";
        assert_eq!(keys[..12].join(" "), documented);
    }

    #[test]
    fn means_errors_and_shares() {
        let one = |gain: f64, moved: [f64; 2]| Sample {
            edited: Closeness { psnr: 20.0 + gain, ..Closeness::default() },
            unedited: Closeness { psnr: 20.0, ..Closeness::default() },
            moved: Some(moved),
            identity: Some([0.5, 0.75, 1.0]),
            ..Sample::default()
        };
        let r = row(&[one(1.0, [1.0, 2.0]), one(3.0, [-1.0, -2.0]), one(-1.0, [0.0, 1.0])]);
        assert_eq!(
            (r.n, r.psnr, r.psnr_no_edit, r.psnr_ceiling),
            (3, Some(21.0), Some(20.0), None)
        );
        assert_eq!(
            (r.better, r.moved, r.identity, r.leakage),
            (Some(2.0 / 3.0), Some(0.4), Some(0.5), None)
        );
        // Deviations 0, 2, -2: variance 4, over 3 people.
        assert!((r.gain_se.unwrap() - (4.0f64 / 3.0).sqrt()).abs() < 1e-12);
        let empty = row(&[]);
        assert_eq!((empty.n, empty.psnr, empty.moved), (0, None, None));
    }
}
