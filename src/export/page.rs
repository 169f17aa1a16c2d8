//! What is exported: cells with their outputs, from a notebook or from a session's journal.

use crate::error::{Error, Kind, Result};
use crate::image::{Raster, encode};
use crate::lang::import::Imports;
use crate::render::text::describe;
use crate::render::{Block, Table};
use crate::safe::Safe;
use crate::session::recall::recall;
use crate::session::{self, Links, Reactive, Record, Status, read_journal, replay};
use crate::store::{Disk, Files};
use crate::ui::notebook::{Document, Outputs, Piece, Ran, RanStatus, text_hash};
use crate::value::Models;
use crate::value::models;
use std::collections::BTreeSet;
use std::path::Path;

/// Largest notebook or journal that is read, in bytes.
const LARGEST: u64 = 256 << 20;

/// A report before it is written in a format.
#[derive(Debug, Default)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// Whether it comes from a notebook, not from a session.
    pub notebook: bool,
    /// Where it comes from: generator, version, time; one line.
    pub origin: String,
    /// The cells in order.
    pub parts: Vec<Part>,
    /// What is wrong with the text of a notebook: cells that read names of cells below.
    pub warnings: Vec<String>,
}

/// A cell.
#[derive(Debug)]
pub enum Part {
    /// A text cell, in Markdown.
    Words(String),
    /// A code cell.
    Code {
        /// Its number, from 1, as the screen shows it.
        number: u64,
        /// Its text.
        source: String,
        /// A remark on its last run, such as `failed`; empty when it ran to the end.
        remark: String,
        /// What it showed.
        outputs: Vec<Output>,
    },
}

/// A part of an output.
#[derive(Debug)]
pub enum Output {
    /// Lines of text.
    Lines(Vec<String>),
    /// An error on its source.
    Error(Vec<String>),
    /// Rows in columns.
    Table(Table),
    /// Pictures from left to right.
    Pictures(Vec<Shot>),
}

/// A picture.
#[derive(Debug)]
pub struct Shot {
    /// A PNG file.
    pub png: Vec<u8>,
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// Its caption; may be empty.
    pub caption: String,
    /// The text that replaces it.
    pub words: String,
}

impl Page {
    /// Reads a notebook with the outputs beside it, or a session's journal. Nothing runs.
    ///
    /// # Errors
    /// When it cannot be read, with a hint.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |e: &std::io::Error| {
            Error::new(Kind::Usage, format!("cannot read {}: {e}", shown(path)))
                .hint("give a notebook (FILE.gnt) or a session; `gannet` and :sessions lists them")
        };
        let bytes = Disk.read(path, LARGEST).map_err(|e| failed(&e))?;
        let reading = read_journal(&bytes);
        if reading.header().is_some() {
            return Self::of_journal(reading);
        }
        let text = String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to() as u64;
            Error::format(&shown(path), at, "neither a journal nor UTF-8 text")
        })?;
        Self::of_notebook(path, &text)
    }

    fn of_journal(reading: session::Reading) -> Result<Self> {
        let origin = reading.header().map_or(String::new(), |h| {
            format!("session {}, gannet {}, {}", h.session, h.version, h.model)
        });
        let title = reading.header().map_or(String::new(), |h| format!("Session of {}", h.began()));
        let log = replay(reading.records.into_iter().filter(|r| !matches!(r, Record::Header(_))));
        let parts = log.cells().iter().map(|cell| {
            let remark = match cell.status {
                Status::Ok => "",
                Status::Failed => "failed",
                Status::Stopped => "stopped by hand",
            };
            Ok(Part::Code {
                number: cell.id,
                source: cell.source.clone(),
                remark: remark.to_owned(),
                outputs: of_cell(cell)?,
            })
        });
        let parts = parts.collect::<Result<_>>()?;
        Ok(Self { title, origin, parts, ..Self::default() })
    }

    fn of_notebook(path: &Path, text: &str) -> Result<Self> {
        let document = Document::parse(text);
        let mut kept = Outputs::beside(path);
        let index = kept.read()?;
        let mut parts = Vec::new();
        for (at, cell) in document.cells().iter().enumerate() {
            if cell.is_text() {
                parts.push(Part::Words(cell.text.to_string()));
                continue;
            }
            // Outputs of a text that changed since do not belong to this one.
            let ran = index.cells.get(at).filter(|c| c.0 == text_hash(&cell.text));
            let ran = ran.and_then(|c| c.2.as_ref());
            parts.push(Part::Code {
                number: at as u64 + 1,
                source: cell.text.to_string(),
                remark: remark(ran).to_owned(),
                outputs: ran.map_or(Ok(Vec::new()), |r| outputs(&mut kept, &r.output))?,
            });
        }
        let title = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let origin = format!("notebook {title}, gannet {}", env!("CARGO_PKG_VERSION"));
        Ok(Self { title, notebook: true, origin, parts, warnings: disorder(path, &document) })
    }

    /// Whether there are code cells and none has a result.
    pub fn lacks_results(&self) -> bool {
        let mut code = self.parts.iter().filter_map(|part| match part {
            Part::Code { remark, .. } => Some(remark == NOT_RUN),
            Part::Words(_) => None,
        });
        code.next().is_some_and(|first| first && code.all(|not_run| not_run))
    }
}

/// The remark on a cell without a result.
const NOT_RUN: &str = "has not run";

fn remark(ran: Option<&Ran>) -> &'static str {
    match ran.map(|r| r.status) {
        None => NOT_RUN,
        Some(RanStatus::Ok) => "",
        Some(RanStatus::Failed) => "failed",
        Some(RanStatus::Kept) => "stopped by hand, the best result was kept",
        Some(RanStatus::Cut) => "interrupted",
    }
}

fn outputs(kept: &mut Outputs, pieces: &[Piece]) -> Result<Vec<Output>> {
    let output = |piece: &Piece| -> Result<Output> {
        Ok(match piece {
            Piece::Text { lines } => Output::Lines(lines.clone()),
            Piece::Error { lines } => Output::Error(lines.clone()),
            Piece::Table { table } => Output::Table(table.table()?),
            Piece::Pictures { all } => {
                let mut shots = Vec::new();
                for one in all {
                    match kept.image(one) {
                        Some(image) => {
                            shots.push(shot(image.raster(), &one.caption, &one.words)?);
                        }
                        None => {
                            let lost = format!("{} (its file is missing)", one.words);
                            return Ok(Output::Lines(vec![lost]));
                        }
                    }
                }
                Output::Pictures(shots)
            }
        })
    };
    pieces.iter().map(output).collect()
}

fn shot(picture: &Raster, caption: &str, words: &str) -> Result<Shot> {
    Ok(Shot {
        png: encode::png(picture, &[])?,
        size: (picture.width, picture.height),
        caption: caption.to_owned(),
        words: words.to_owned(),
    })
}

/// What a cell of a journal showed: small pictures, and lines.
fn of_cell(cell: &session::Cell) -> Result<Vec<Output>> {
    let output = |block: Block| -> Result<Option<Output>> {
        let lines = match block {
            Block::Pictures(all) => {
                let shots = all.iter().map(|p| shot(&p.raster, &p.caption, &describe(&p.raster)?));
                return Ok(Some(Output::Pictures(shots.collect::<Result<_>>()?)));
            }
            Block::Table(table) => return Ok(Some(Output::Table(table))),
            other => other.lines(),
        };
        let nothing = lines.is_empty();
        let failed = cell.status == Status::Failed;
        let output = if failed { Output::Error(lines) } else { Output::Lines(lines) };
        Ok(Some(output).filter(|_| !nothing))
    };
    recall(cell, true).into_iter().map(output).filter_map(Result::transpose).collect()
}

/// The directions of the generator that is there without a `load`.
fn own_directions() -> Option<BTreeSet<String>> {
    let own = Models::cpu().load(models::NAMES[0]).ok()?;
    Some(own.facts.directions.keys().cloned().collect())
}

/// Warnings about cells of a notebook that read names which only cells below bind.
fn disorder(path: &Path, document: &Document) -> Vec<String> {
    let cells = document.cells().iter();
    let texts: Vec<_> = cells.map(|c| (!c.is_text()).then(|| c.text.clone())).collect();
    let links = Reactive::new(Imports::beside(path)).links(&texts, "");
    // Which directions another generator has is not known before it is loaded.
    let loads = links.iter().any(|l| l.writes.contains("load"));
    let rest = if loads { ", unless the generator has a direction of that name" } else { "" };
    let directions = links.iter().any(|l| !l.later.is_empty()).then(own_directions).flatten();
    let given = |name: &str| !loads && directions.as_ref().is_some_and(|d| d.contains(name));
    let told =
        |(k, l): (usize, &Links)| Some(format!("cell {}: {}{rest}", k + 1, l.disorder(given)?));
    links.iter().enumerate().filter_map(told).collect()
}

pub(super) fn shown(path: &Path) -> String {
    Safe(&path.to_string_lossy()).to_string()
}
