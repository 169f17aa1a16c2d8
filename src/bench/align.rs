//! Accuracy of face detection and framing: the held-out people pasted at any place, size and turn.

use super::pairs::Pairs;
use super::row::cell;
use crate::control::{Control, Progress};
use crate::error::{Error, Kind, Result};
use crate::face::trial::{self, RIGHT, Row, Sample, Summary};
use crate::metric::Features;
use crate::value::{Cell, Table};

/// Result of the benchmark.
#[derive(Clone, Debug)]
pub struct Alignment {
    /// One a person.
    pub rows: Vec<Row>,
    /// Summary over all trials.
    pub summary: Summary,
    /// Whether it was stopped before the last person.
    pub stopped: bool,
}

/// Pastes the base picture of the first `limit` people into a canvas each, and looks for the face.
///
/// # Errors
/// When a person has no labelled landmarks, a picture cannot be read, or the network finds no
/// faces.
pub fn align(
    network: &Features,
    pairs: &Pairs,
    limit: Option<usize>,
    seed: u64,
    control: &Control,
) -> Result<Alignment> {
    let people = &pairs.people[..pairs.people.len().min(limit.unwrap_or(usize::MAX))];
    let sample = |p: &super::Person| {
        let lacks = || {
            Error::new(
                Kind::Format,
                format!("person {} has no labelled landmarks", crate::safe::Safe(&p.id)),
            )
            .hint("bench align needs `landmarks` in the lines of the base pictures")
        };
        Ok(Sample { picture: pairs.raster(&p.base)?, points: p.base.landmarks.ok_or_else(lacks)? })
    };
    let samples = people.iter().map(sample).collect::<Result<Vec<_>>>()?;
    let mut rows = Vec::new();
    let mut stopped = false;
    for index in 0..samples.len() {
        // Asked to stop it ends with the people who are through.
        match trial::run(network, index, &trial::trial(&samples, index, seed)?, control) {
            Err(e) if e.kind() == Kind::Interrupted => {
                stopped = true;
                break;
            }
            row => rows.push(row?),
        }
        control.report(Progress::new("align".to_owned(), (index + 1, samples.len())));
    }
    Ok(Alignment { summary: trial::summary(&rows), rows, stopped })
}

/// The summary with its definitions.
pub fn table(found: &Alignment) -> Table {
    let s = &found.summary;
    let percent = |v: f64| Cell::Text(format!("{:.1} %", 100.0 * v));
    let rows = [
        ("median landmark error", cell(s.median_error, 2)),
        ("90 % of the errors stay below", cell(s.p90_error, 2)),
        ("found", percent(s.found)),
        ("sure and wrong", percent(s.wrong)),
        ("false alarms", percent(s.false_alarms)),
        ("mean confidence when right", cell(s.confidence_right, 3)),
        ("mean confidence when wrong", cell(s.confidence_wrong, 3)),
        ("seconds", Cell::Number(s.seconds, 2)),
    ];
    let notes =
        vec![
        format!(
            "n = {}: each person's base picture at 0.5 to 2 times its size, turned by up to 30° \
             either setup, anywhere on a \
             canvas of 2.5 to 5 times its side (plain, gradient, noise, or a corner of another \
             picture, blurred)",
            s.n
        ),
        "landmark error: mean distance of the five landmarks from the truth in % of the true \
         distance between the eyes; \
         infinite where the search was not sure"
            .into(),
        format!("right: an error of at most {RIGHT} %; found: sure (confidence of at least one \
                 half) and right"),
        "false alarms: sure of a face on the canvas alone; seconds: median of one search on the \
         threads in use".into(),
    ];
    let rows = rows.into_iter().map(|(name, cell)| vec![Cell::Text(name.into()), cell]).collect();
    Table { columns: vec!["what".into(), "value".into()], rows, notes, ..Table::default() }
}
