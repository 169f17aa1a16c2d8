//! From results to journal cells, and from journal cells back to what is shown.

use super::event::Event;
use super::{Cell, Picture, Status};
use crate::error::Result;
use crate::image::{Filter, Raster, decode, encode, resize};
use crate::limits::LIMITS;
use crate::render::{self, Display, text};

/// The longer side of a picture in a journal, in pixels.
const SIDE: usize = 96;
/// Pictures kept with a cell; the journal's own bound.
const PICTURES: usize = 8;

/// What a cell's results leave in the journal: lines, and small pictures.
///
/// # Errors
/// When a picture cannot be encoded.
pub fn remember(cell: &mut Cell, events: &[Event]) -> Result<()> {
    for event in events {
        match event {
            Event::Print(line) | Event::Note(line) => {
                cell.output.extend(line.lines().map(text::printable))
            }
            Event::Display(shown, _) => {
                cell.output.extend(shown.describe()?);
                for p in shown.pictures.iter().take(PICTURES.saturating_sub(cell.pictures.len())) {
                    let png = encode::png(&small(&p.raster)?, &[])?;
                    cell.pictures.push(Picture { label: text::printable(&p.caption), png });
                }
            }
        }
    }
    Ok(())
}

fn small(picture: &Raster) -> Result<Raster> {
    let longer = picture.width.max(picture.height);
    if longer <= SIDE {
        return Ok(picture.clone());
    }
    let side = |s: usize| (s * SIDE / longer).max(1);
    resize(picture, side(picture.width), side(picture.height), Filter::Area)
}

/// What a cell of a journal showed. When pictures cannot be shown, or one of them cannot be read,
/// the words about them are shown.
pub fn recall(cell: &Cell, pictures: bool) -> Display {
    let read = |p: &Picture| {
        let raster = decode("a picture of the journal", &p.png, &LIMITS).ok()?.raster;
        Some(render::Picture { raster, caption: p.label.clone() })
    };
    let shown: Option<Vec<render::Picture>> = cell.pictures.iter().map(read).collect();
    match shown {
        Some(all) if pictures && !all.is_empty() => {
            // The words about pictures are dropped, as the pictures are shown. Pictures that were
            // too many to keep are counted.
            let (words, lines): (Vec<&String>, Vec<&String>) =
                cell.output.iter().partition(|l| about_picture(l));
            let more = words.len().saturating_sub(all.len());
            let more = (more > 0).then(|| format!("… {more} more pictures were not kept"));
            Display { pictures: all, lines: lines.into_iter().cloned().chain(more).collect() }
        }
        _ => Display::text(cell.output.iter().cloned()),
    }
}

/// Whether a line is what [`Display::describe`] says of a picture.
fn about_picture(line: &str) -> bool {
    line.ends_with(']') && line.contains("[picture ")
}

/// A cell's source under its number: `[3] x = …`, further lines below the first.
pub fn numbered(cell: &Cell) -> String {
    let prompt = format!("[{}] ", cell.id);
    let indent = format!("\n{}", " ".repeat(prompt.len()));
    let mark = match cell.status {
        Status::Ok => "",
        Status::Failed => "   # failed",
        Status::Stopped => "   # stopped by hand",
    };
    let source = crate::safe::Safe(cell.source.trim_end()).to_string();
    format!("{prompt}{}{mark}", source.lines().collect::<Vec<_>>().join(&indent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_and_lines_come_back() {
        let shown = Display::text(["two numbers"])
            .picture(Raster::filled(300, 100, &[200, 10, 30]).unwrap(), "target")
            .picture(Raster::filled(20, 20, &[1, 2, 3]).unwrap(), "");
        let mut cell = Cell::new(1, "x", Status::Ok);
        let events =
            [Event::Print("printed\nlines".into()), Event::Display(shown, serde_json::Value::Null)];
        remember(&mut cell, &events).unwrap();
        assert!(cell.pictures.iter().all(|p| p.png.len() < 64 << 10));
        let again = recall(&cell, true);
        assert_eq!(again.lines, ["printed", "lines", "two numbers"]);
        let sizes: Vec<_> = again
            .pictures
            .iter()
            .map(|p| (p.raster.width, p.raster.height, &p.caption[..]))
            .collect();
        assert_eq!(sizes, [(96, 32, "target"), (20, 20, "")]);
        assert_eq!(again.pictures[1].raster.pixel(3, 3), [1, 2, 3]);
        let words = recall(&cell, false);
        assert!(
            words.pictures.is_empty() && words.lines[2].starts_with("target: [picture 300×100"),
            "{:?}",
            words.lines
        );
    }

    #[test]
    fn a_broken_picture_leaves_its_words() {
        let mut cell = Cell::new(1, "x", Status::Ok);
        cell.output = vec!["[picture 2×2 rgb, mean #010203]".into()];
        cell.pictures.push(Picture { label: String::new(), png: b"no png".to_vec() });
        assert_eq!(recall(&cell, true).lines, cell.output);
    }

    #[test]
    fn sources_stand_under_their_numbers() {
        let cell = Cell::new(12, "f(\n1)\u{1b}", Status::Stopped);
        assert_eq!(numbered(&cell), "[12] f(\n     1)\\u{1b}   # stopped by hand");
    }
}
