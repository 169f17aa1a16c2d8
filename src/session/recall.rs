//! Converts results to journal cells, and journal cells back to blocks.

use super::event::Given;
use super::record::PICTURES;
use super::{Cell, Picture, Status};
use crate::error::Result;
use crate::image::{Filter, Raster, decode, encode, resize};
use crate::limits::LIMITS;
use crate::render::{self, Block, text, words};
use crate::value::kept::KeptTable;

/// Maximum length of the longer side of a picture in a journal, in pixels.
const SIDE: usize = 96;

/// Adds results to a journal cell, as lines and small pictures.
///
/// # Errors
/// When a picture cannot be encoded.
pub(super) fn remember(cell: &mut Cell, given: &[Given]) -> Result<()> {
    for one in given {
        match one {
            Given::Print(line) | Given::Note(line) => {
                cell.output.extend(line.lines().map(text::printable))
            }
            Given::Value(blocks, _) => {
                for block in blocks {
                    if let Block::Table(table) = block {
                        cell.tables.push((cell.output.len(), KeptTable::of(table)));
                    }
                    cell.output.extend(words(std::slice::from_ref(block))?);
                }
                let pictures = blocks.iter().filter_map(|b| match b {
                    Block::Pictures(all) => Some(all),
                    _ => None,
                });
                for p in pictures.flatten().take(PICTURES.saturating_sub(cell.pictures.len())) {
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

/// The blocks that a journal cell showed. When pictures cannot be shown, or one of them cannot be
/// read, their descriptions are shown instead.
pub fn recall(cell: &Cell, pictures: bool) -> Vec<Block> {
    let read = |p: &Picture| {
        let raster = decode("a picture of the journal", &p.png, &LIMITS).ok()?.raster;
        Some(render::Picture::new(raster, p.label.clone()))
    };
    let shown: Option<Vec<render::Picture>> = cell.pictures.iter().map(read).collect();
    match shown {
        Some(all) if pictures && !all.is_empty() => {
            // The pictures are shown, so their descriptions are dropped. Descriptions without a
            // kept picture are counted.
            let stand_ins = cell.output.iter().filter(|l| about_picture(l)).count();
            let more = stand_ins.saturating_sub(all.len());
            let more = (more > 0).then(|| format!("… {more} more pictures were not kept"));
            let mut blocks = vec![Block::Pictures(all)];
            blocks.extend(lines(cell, |l| !about_picture(l)));
            blocks.extend(more.map(|line| Block::text([line])));
            blocks
        }
        _ => lines(cell, |_| true),
    }
}

/// The lines of a cell that are `wanted` as text, its tables as tables.
fn lines(cell: &Cell, wanted: impl Fn(&str) -> bool) -> Vec<Block> {
    let (mut blocks, mut text, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(line) = cell.output.get(at) {
        let table = cell.tables.iter().find(|(from, _)| *from == at);
        // A table that cannot be read is still there as lines.
        if let Some((rows, table)) = table.and_then(|(_, t)| Some((t.rows(), t.table().ok()?))) {
            blocks.extend((!text.is_empty()).then(|| Block::Text(std::mem::take(&mut text))));
            blocks.push(Block::Table(table));
            at += rows + 1;
            continue;
        }
        if wanted(line) {
            text.push(line.clone());
        }
        at += 1;
    }
    if !text.is_empty() || blocks.is_empty() {
        blocks.push(Block::Text(text));
    }
    blocks
}

/// Whether a line is the description that [`words`] gives of a picture.
fn about_picture(line: &str) -> bool {
    line.ends_with(']') && line.contains("[picture ")
}

/// A cell's source after its number: `[3] x = …`. Further lines are indented.
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
        let picture = |raster, caption: &str| render::Picture::new(raster, caption);
        let pictures = Block::Pictures(vec![
            picture(Raster::filled(300, 100, &[200, 10, 30]).unwrap(), "target"),
            picture(Raster::filled(20, 20, &[1, 2, 3]).unwrap(), ""),
        ]);
        let shown = vec![pictures, Block::text(["two numbers"])];
        let mut cell = Cell::new(1, "x", Status::Ok);
        let given =
            [Given::Print("printed\nlines".into()), Given::Value(shown, serde_json::Value::Null)];
        remember(&mut cell, &given).unwrap();
        assert!(cell.pictures.iter().all(|p| p.png.len() < 64 << 10));
        let again = recall(&cell, true);
        let [Block::Pictures(pictures), Block::Text(lines)] = &again[..] else { panic!() };
        assert_eq!(lines, &["printed", "lines", "two numbers"]);
        let sizes: Vec<_> =
            pictures.iter().map(|p| (p.raster.width, p.raster.height, &p.caption[..])).collect();
        assert_eq!(sizes, [(96, 32, "target"), (20, 20, "")]);
        assert_eq!(pictures[1].raster.pixel(3, 3), [1, 2, 3]);
        let words = recall(&cell, false);
        let [Block::Text(lines)] = &words[..] else { panic!() };
        assert!(lines[2].starts_with("target: [picture 300×100"), "{lines:?}");
    }

    #[test]
    fn tables_come_back_as_tables_among_the_lines() {
        let cells =
            |name: &str, v| vec![render::Cell::Text(name.into()), render::Cell::Number(v, 2)];
        let rows = vec![cells("a", 1.0), cells("b", 20.5)];
        let table = render::Table { columns: vec!["name".into(), "value".into()], rows };
        let raster = Raster::filled(4, 4, &[1, 2, 3]).unwrap();
        let shown = vec![
            Block::text(["before"]),
            Block::Table(table),
            Block::text(["after"]),
            Block::Pictures(vec![render::Picture::new(raster, "")]),
        ];
        let mut cell = Cell::new(1, "x", Status::Ok);
        remember(&mut cell, &[Given::Value(shown.clone(), serde_json::Value::Null)]).unwrap();
        let again = recall(&cell, true);
        assert_eq!(again[1..], shown[..3]);
        assert!(matches!(&again[0], Block::Pictures(_)));
        // What the limit on the output leaves of a table is text.
        cell.output.truncate(3);
        cell.tables.clear();
        let text = recall(&cell, false);
        assert_eq!(text, [Block::text(["before", "name  value", "a      1.00"])]);
    }

    #[test]
    fn a_broken_picture_leaves_its_words() {
        let mut cell = Cell::new(1, "x", Status::Ok);
        cell.output = vec!["[picture 2×2 rgb, mean #010203]".into()];
        cell.pictures.push(Picture { label: String::new(), png: b"no png".to_vec() });
        assert_eq!(recall(&cell, true), [Block::Text(cell.output)]);
    }

    #[test]
    fn sources_stand_under_their_numbers() {
        let cell = Cell::new(12, "f(\n1)\u{1b}", Status::Stopped);
        assert_eq!(numbered(&cell), "[12] f(\n     1)\\u{1b}   # stopped by hand");
    }
}
