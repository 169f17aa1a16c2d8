//! Lays out a result: pictures side by side with their captions, text beside or below them.

use super::block::{Block, Picture, captioned};
use super::sink::{ImageSink, unwritten};
use super::sinks::sink_for;
use super::terminal::{Colours, Protocol, Terminal};
use super::text::{cut, printable, width as columns_of, wrap};
use super::viuer::printer_for;
use crate::error::Result;
use crate::lang::span;
use crossterm::QueueableCommand;
use crossterm::cursor::{Hide, MoveDown, MoveUp, Show};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use std::fmt::Write as _;
use std::io::Write;

/// Pictures, and the lines beside or below them.
#[derive(Default)]
struct Section<'a> {
    pictures: Vec<&'a Picture>,
    lines: Vec<String>,
    /// Width of the lines that may not be wrapped: those of tables and plots.
    rigid: usize,
}

impl Section<'_> {
    fn add(&mut self, block: &Block, (width, words): (usize, bool)) {
        let lines = match block {
            Block::Plot(plot) if words => plot.words(),
            _ => block.lines_in(width),
        };
        if matches!(block, Block::Table(_) | Block::Plot(_)) {
            let widest = lines.iter().map(|l| columns_of(&printable(l))).max();
            self.rigid = self.rigid.max(widest.unwrap_or(0));
        }
        self.lines.extend(lines);
    }
}

/// Splits a result into sections of so many columns: a picture after text begins a new section.
/// `words` asks for words in place of plots.
fn sections(blocks: &[Block], (width, words): (usize, bool)) -> Vec<Section<'_>> {
    let mut all: Vec<Section<'_>> = Vec::new();
    for block in blocks {
        match (block, all.last_mut()) {
            (Block::Pictures(p), Some(last)) if last.lines.is_empty() => last.pictures.extend(p),
            (Block::Pictures(p), _) => {
                all.push(Section { pictures: p.iter().collect(), ..Section::default() });
            }
            (_, Some(last)) => last.add(block, (width, words)),
            _ => {
                let mut first = Section::default();
                first.add(block, (width, words));
                all.push(first);
            }
        }
    }
    all
}

/// Turns results into bytes for one terminal.
pub struct Painter {
    /// The terminal; callers update its size when it changes.
    pub terminal: Terminal,
    sink: Box<dyn ImageSink>,
}

/// Columns between pictures.
const GAP: usize = 1;
/// Columns between the last picture and the text beside it.
const MARGIN: usize = 2;
/// Minimum width of text beside pictures; narrower text goes below them.
const TEXT: usize = 34;

/// Text beside pictures may make them no smaller than this many tenths.
const SHRINK: usize = 9;
/// Most pictures of a sequence that are put into one row, and the width in columns from which they
/// are, however many details that costs: a sequence shows what changes along it.
const IN_A_ROW: usize = 11;
const NARROW: usize = 9;
/// Lines of text below pictures for which the pictures leave room on the screen.
const TEXT_ROWS: usize = 5;

/// An arrangement of pictures.
#[derive(Clone, Copy)]
struct Lay {
    /// Pictures in a row.
    across: usize,
    /// Columns for each picture.
    wide: usize,
    /// Most rows of a picture.
    high: u16,
}

/// A row of pictures with the text beside them.
struct Band<'a> {
    pictures: &'a [&'a Picture],
    lay: Lay,
    /// Text beside the pictures, wrapped.
    beside: Vec<String>,
}

impl Painter {
    /// Makes a painter with the sink for this terminal.
    #[cfg(any(test, feature = "internals"))]
    pub fn new(terminal: Terminal) -> Self {
        let sink = sink_for(&terminal);
        Self { terminal, sink }
    }

    /// Makes a painter with another sink, for example [`Files`](super::file::Files).
    pub fn with_sink(terminal: Terminal, sink: Box<dyn ImageSink>) -> Self {
        Self { terminal, sink }
    }

    /// The pictures of a result as JSON objects, each with its caption and size, and the file that it
    /// is written to when the sink writes files.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn files(&mut self, blocks: &[Block]) -> Result<Vec<serde_json::Value>> {
        let pictures = blocks.iter().filter_map(|b| match b {
            Block::Pictures(all) => Some(all),
            _ => None,
        });
        let mut one = |p: &Picture| {
            let file = self.sink.file(&p.raster, p.file_name())?;
            let (width, height) = (p.raster.width, p.raster.height);
            let mut object = serde_json::json!({
                "caption": p.caption, "width": width, "height": height, "file": file,
            });
            if !p.words.is_empty() {
                object["words"] = p.words.clone().into();
            }
            Ok(object)
        };
        pictures.flatten().map(&mut one).collect()
    }

    /// The sink, for pictures outside a layout, such as live previews and full-screen views.
    #[cfg(any(test, feature = "internals"))]
    pub fn sink(&mut self) -> &mut dyn ImageSink {
        &mut *self.sink
    }

    /// Whether pictures appear as pictures rather than as text or files.
    pub fn shows_pictures(&self) -> bool {
        !self.sink.is_text()
    }

    /// Removes all pictures from the screen that erasing text leaves there.
    ///
    /// # Errors
    /// When writing to `out` fails.
    pub fn wipe(&mut self, out: &mut dyn Write) -> Result<()> {
        self.sink.wipe(out)
    }

    /// Makes a painter for results on the process's standard output, which must be the `out` of
    /// [`Painter::print`].
    pub fn printing(terminal: Terminal) -> Self {
        let sink = printer_for(&terminal);
        Self { terminal, sink }
    }

    /// The bytes of [`Painter::print`]. Not for [`Painter::printing`], which writes pictures to
    /// standard output itself.
    ///
    /// # Errors
    /// When a picture cannot be encoded.
    #[cfg(any(test, feature = "internals"))]
    pub fn render(&mut self, blocks: &[Block], width: u16) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.print(blocks, width, &mut out)?;
        Ok(out)
    }

    /// Prints a result from the start of a line, in at most `width` columns. The cursor ends at the
    /// start of the next line. Works in cooked and raw mode; when text replaces pictures, as in a
    /// pipe, lines end in `
    /// ` alone.
    ///
    /// # Errors
    /// When writing to `out` fails, or a picture cannot be encoded.
    pub fn print(&mut self, blocks: &[Block], width: u16, out: &mut dyn Write) -> Result<()> {
        let width = usize::from(width.max(8));
        let how = (width, self.terminal.protocol == Protocol::Words);
        for part in blocks.chunk_by(|a, b| !is_diagnostic(a) && !is_diagnostic(b)) {
            match part {
                [Block::Diagnostic(d)] => {
                    let colour = self.terminal.colours != Colours::None;
                    // The error is escaped already; its columns are those of the source.
                    let text = span::fitted(&d.source, &d.error, colour, width);
                    out.write_all(text.as_bytes()).map_err(unwritten)?;
                }
                _ => sections(part, how).iter().try_for_each(|s| self.section(s, width, out))?,
            }
        }
        Ok(())
    }

    fn section(&mut self, section: &Section<'_>, width: usize, out: &mut dyn Write) -> Result<()> {
        if self.sink.is_text() {
            let mut text = Vec::new();
            self.as_text(&mut text, section, width)?;
            return out.write_all(&text).map_err(unwritten);
        }
        let synchronized = self.terminal.synchronized && !section.pictures.is_empty();
        // A cursor that blinks within a sixel erases the cell below it.
        let over = matches!(self.terminal.protocol, Protocol::Sixel | Protocol::Iterm)
            && !section.pictures.is_empty();
        if synchronized {
            out.queue(BeginSynchronizedUpdate).map_err(unwritten)?;
        }
        if over {
            out.queue(Hide).map_err(unwritten)?;
        }
        let (bands, below) = self.plan(section, width);
        for band in &bands {
            self.band(out, band)?;
        }
        lines(out, below.iter().map(String::as_str))?;
        if over {
            out.queue(Show).map_err(unwritten)?;
        }
        if synchronized {
            out.queue(EndSynchronizedUpdate).map_err(unwritten)?;
        }
        Ok(())
    }

    fn as_text(&mut self, out: &mut Vec<u8>, section: &Section<'_>, width: usize) -> Result<()> {
        for p in &section.pictures {
            let lines = match self.sink.file(&p.raster, p.file_name())? {
                // Not wrapped, because it is a path to copy.
                Some(path) => vec![captioned(&p.caption, &path)],
                None => wrap(&captioned(&p.caption, &p.described()?), width),
            };
            lines.iter().for_each(|line| out.extend(line.bytes().chain(*b"\n")));
        }
        for line in section.lines.iter().flat_map(|l| wrap(l, width)) {
            out.extend(line.bytes().chain(*b"\n"));
        }
        Ok(())
    }

    /// Makes the pictures of a section as large as the window allows: in one row with the text
    /// beside or below, or in several rows that fit on the screen together.
    fn plan<'a>(&self, section: &'a Section<'_>, width: usize) -> (Vec<Band<'a>>, Vec<String>) {
        let wrapped =
            |room: usize| section.lines.iter().flat_map(|l| wrap(l, room)).collect::<Vec<_>>();
        let pictures = &section.pictures[..];
        if pictures.is_empty() {
            return (Vec::new(), wrapped(width));
        }
        let below = wrapped(width);
        let lay = self.lay(pictures, width, below.len());
        let longest = section.lines.iter().map(|l| columns_of(&printable(l))).max().unwrap_or(0);
        let taken = longest.min(TEXT) + MARGIN;
        if longest > 0 && lay.across == pictures.len() && width > taken {
            let beside = self.lay(pictures, width - taken, 0);
            let room = width - MARGIN - beside.across * (beside.wide + GAP) + GAP;
            let large = beside.across == pictures.len() && beside.wide * 10 >= lay.wide * SHRINK;
            if large && room >= section.rigid {
                let text = wrapped(room);
                return (vec![Band { pictures, lay: beside, beside: text }], Vec::new());
            }
        }
        let band = |pictures| Band { pictures, lay, beside: Vec::new() };
        (pictures.chunks(lay.across).map(band).collect(), below)
    }

    /// The arrangement in `width` columns, above `text` lines, in which the pictures are largest.
    fn lay(&self, pictures: &[&Picture], width: usize, text: usize) -> Lay {
        let n = pictures.len();
        let wishes = pictures.iter().map(|p| self.sink.columns(&p.raster));
        let (least, most) =
            wishes.fold((1, 1), |a, b| (a.0.max(usize::from(b.0)), a.1.max(usize::from(b.1))));
        let asked = pictures.iter().filter_map(|p| p.columns).max().or(self.terminal.picture_width);
        if let Some(asked) = asked {
            let each = usize::from(asked).clamp(1, width);
            let across = ((width + GAP) / (each + GAP)).clamp(1, n);
            return self.laid(pictures, width, across, (each, self.highest(asked)));
        }
        let largest = ((width + GAP) / (least + GAP)).clamp(1, n);
        let captioned = usize::from(pictures.iter().any(|p| !p.caption.is_empty()));
        let screen = usize::from(self.terminal.rows).saturating_sub(3 + text.min(TEXT_ROWS));
        let high = |bands: usize| {
            (screen / bands).saturating_sub(captioned).min(self.row_limit().into()) as u16
        };
        let captions: Vec<&str> = pictures.iter().map(|p| &p.caption[..]).collect();
        if let Some(row) = in_a_row(&captions, width) {
            return self.laid(pictures, width, row, (most, high(1)));
        }
        let all = (1..=largest).filter_map(|across| {
            let bands = n.div_ceil(across);
            let balanced = across == n.div_ceil(bands);
            let lay = self.laid(pictures, width, across, (most, high(bands)));
            (bands == 1 || balanced && high(bands) > 0 && lay.wide >= least).then_some(lay)
        });
        // More than one screen: rows of equal length at a size that shows the details.
        all.max_by_key(|lay| (lay.wide, lay.across)).unwrap_or_else(|| {
            let across = n.div_ceil(n.div_ceil(largest));
            // A longer row may cost a quarter of the width when it leaves no gap in the last one.
            let longest = (width + GAP) / (least * 3 / 4 + GAP);
            let full = (across..=longest).find(|row| n.is_multiple_of(*row)).unwrap_or(across);
            self.laid(pictures, width, full, (most, self.row_limit()))
        })
    }

    /// So many pictures in a row, each at most of this size in cells.
    fn laid(
        &self,
        pictures: &[&Picture],
        width: usize,
        across: usize,
        (most, high): (usize, u16),
    ) -> Lay {
        let each = ((width + GAP) / across).saturating_sub(GAP).clamp(1, most);
        let room = (u16::try_from(each).unwrap_or(u16::MAX), high.max(1));
        let wide = pictures.iter().map(|p| usize::from(self.sink.cells(&p.raster, room).0)).max();
        Lay { across, wide: wide.unwrap_or(each), high: room.1 }
    }

    /// Maximum height of pictures. A whole band must fit on the screen, because painting cannot
    /// scroll.
    fn row_limit(&self) -> u16 {
        self.terminal.rows.saturating_sub(4).max(2)
    }

    /// Maximum height of pictures whose width is asked for. The whole width of the window means as
    /// large as it shows at once.
    fn highest(&self, asked: u16) -> u16 {
        let scrolls = self.sink.scrolls() && asked < self.terminal.columns;
        if scrolls { asked.max(1) } else { self.terminal.rows.saturating_sub(2).max(2) }
    }

    fn band(&mut self, out: &mut dyn Write, band: &Band<'_>) -> Result<()> {
        let room = (u16::try_from(band.lay.wide).unwrap_or(u16::MAX), band.lay.high);
        let sizes: Vec<_> =
            band.pictures.iter().map(|p| self.sink.cells(&p.raster, room)).collect();
        let high = sizes.iter().map(|s| usize::from(s.1)).max().unwrap_or(1);
        // A picture that is narrower than its share leaves no gap.
        let share =
            sizes.iter().map(|s| usize::from(s.0)).max().unwrap_or(1).max(band.lay.wide.min(12));
        let mut rows = Vec::new();
        for (p, size) in band.pictures.iter().zip(&sizes) {
            match self.sink.rows(out, &p.raster, *size)? {
                Some(r) => rows.push(r),
                None => return self.painted(out, band, &sizes, (share, high)),
            }
        }
        lines(out, rows_of(band, &rows, &sizes, (share, high)).iter().map(String::as_str))
    }

    /// Prints a band of pictures that are painted over empty lines.
    fn painted(
        &mut self,
        out: &mut dyn Write,
        band: &Band<'_>,
        sizes: &[(u16, u16)],
        frame: (usize, usize),
    ) -> Result<()> {
        // The text lines come first, because they make the room; then the pictures are painted
        // above them.
        let blank: Vec<Vec<String>> =
            sizes.iter().map(|s| vec![" ".repeat(usize::from(s.0)); usize::from(s.1)]).collect();
        let rows = rows_of(band, &blank, sizes, frame);
        lines(out, rows.iter().map(|l| l.trim_end()))?;
        let high = u16::try_from(rows.len()).unwrap_or(u16::MAX);
        write!(out, "{}", MoveUp(high)).map_err(unwritten)?;
        for (i, (p, size)) in band.pictures.iter().zip(sizes).enumerate() {
            let column = u16::try_from(i * (frame.0 + GAP)).unwrap_or(u16::MAX);
            self.sink.put_at(out, column, &p.raster, *size)?;
        }
        write!(out, "\r{}", MoveDown(high)).map_err(unwritten)
    }
}

/// The number of pictures that are one sequence, to be compared along a row of `width` columns: all
/// of them where each has a caption of its own, or those after which the captions repeat. `None`
/// where there is no sequence, or it is too long for one row.
pub fn in_a_row(captions: &[&str], width: usize) -> Option<usize> {
    let first = captions.first()?;
    let again = captions.iter().skip(1).position(|c| c == first);
    let row = again.map_or(captions.len(), |k| k + 1);
    let mut repeats = captions.iter().zip(captions.iter().skip(row));
    let regular = captions.len().is_multiple_of(row) && repeats.all(|(a, b)| a == b);
    let captioned = captions.iter().all(|c| !c.is_empty());
    let fits = (2..=IN_A_ROW).contains(&row) && row * (NARROW + GAP) <= width + GAP;
    (regular && captioned && fits).then_some(row)
}

/// Writes lines with ends that work in cooked and raw mode.
fn lines<'a>(out: &mut dyn Write, all: impl Iterator<Item = &'a str>) -> Result<()> {
    for line in all {
        write!(out, "{line}\r\n").map_err(unwritten)?;
    }
    Ok(())
}

/// The lines of a band: pictures as rows of text, captions below, text on the right.
fn rows_of(
    band: &Band<'_>,
    rows: &[Vec<String>],
    sizes: &[(u16, u16)],
    (share, high): (usize, usize),
) -> Vec<String> {
    let captions: Vec<String> =
        band.pictures.iter().map(|p| cut(&printable(&p.caption), share)).collect();
    let captioned = captions.iter().any(|c| !c.is_empty());
    let count = (high + usize::from(captioned)).max(band.beside.len());
    // Text that is shorter than the pictures is centred vertically.
    let first = high.saturating_sub(band.beside.len()) / 2;
    let mut lines = Vec::with_capacity(count);
    for y in 0..count {
        let mut line = String::new();
        for (i, picture) in rows.iter().enumerate() {
            let (text, used) = match picture.get(y) {
                Some(row) => (row.as_str(), usize::from(sizes[i].0)),
                None if y == high => (captions[i].as_str(), columns_of(&captions[i])),
                None => ("", 0),
            };
            let gap = if i + 1 < rows.len() { GAP } else { 0 };
            // Writing to a string cannot fail.
            let _ = write!(line, "{text}{}", " ".repeat(share.saturating_sub(used) + gap));
        }
        match y.checked_sub(first).and_then(|k| band.beside.get(k)) {
            Some(text) => line.push_str(&format!("{}{text}", " ".repeat(MARGIN))),
            None => line.truncate(line.trim_end_matches(' ').len()),
        }
        lines.push(line);
    }
    lines
}

fn is_diagnostic(block: &Block) -> bool {
    matches!(block, Block::Diagnostic(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Raster;
    use crate::render::Symbols;

    fn painter(protocol: Protocol, columns: u16, rows: u16) -> Painter {
        let terminal = Terminal {
            protocol,
            colours: Colours::True,
            symbols: Symbols::Quad,
            columns,
            rows,
            ..Terminal::plain("a test")
        };
        Painter::new(terminal)
    }

    fn blocks(
        n: usize,
        side: usize,
        caption: impl Fn(usize) -> String,
        text: &[&str],
    ) -> Vec<Block> {
        let raster = Raster::filled(side, side, &[90, 120, 150]).unwrap();
        let all = (0..n).map(|i| Picture::new(raster.clone(), caption(i))).collect();
        vec![Block::Pictures(all), Block::text(text.iter().copied())]
    }

    /// Pictures in each row, the width of one, and whether the text is beside them.
    fn plan(painter: &Painter, blocks: &[Block]) -> (Vec<usize>, usize, bool) {
        let width = usize::from(painter.terminal.columns);
        let sections = sections(blocks, (width, false));
        let (bands, below) = painter.plan(&sections[0], width);
        let wide = bands[0].lay.wide;
        assert!(bands.iter().all(|b| b.lay.across * (wide + GAP) <= width + GAP));
        (bands.iter().map(|b| b.pictures.len()).collect(), wide, below.is_empty())
    }

    const LINE: &str = "Image 128×128 rgb · me.jpg, aligned crop of 1024×768";

    #[test]
    fn pictures_fill_the_window_and_text_gives_way() {
        let numbered = |i: usize| format!("{i:+}");
        let none = |_: usize| String::new();
        let inversion = |i: usize| ["target", "inverted", "error ×4"][i % 3].to_owned();
        for protocol in [Protocol::Kitty, Protocol::Sixel, Protocol::Iterm] {
            let small = painter(protocol, 80, 24);
            let of = |blocks: &[Block]| plan(&small, blocks);
            assert_eq!(of(&blocks(1, 128, none, &[LINE])), (vec![1], 40, true));
            assert_eq!(of(&blocks(3, 128, inversion, &[LINE; 3])), (vec![3], 26, false));
            assert_eq!(of(&blocks(6, 128, inversion, &[LINE])).0, [3, 3]);
            assert_eq!(of(&blocks(7, 128, numbered, &[LINE])), (vec![7], 10, false));
            // A sheet of sixteen, as one picture, takes the whole height; sixteen pictures fit.
            assert_eq!(of(&blocks(1, 518, none, &[LINE])).1, 40);
            assert_eq!(of(&blocks(16, 128, none, &[LINE])), (vec![6, 6, 4], 12, false));
            let large = painter(protocol, 200, 60);
            assert_eq!(plan(&large, &blocks(1, 518, none, &[LINE])), (vec![1], 64, true));
            assert_eq!(plan(&large, &blocks(7, 128, numbered, &[LINE])).1, 26);
        }
        let small = painter(Protocol::Blocks, 80, 24);
        assert_eq!(plan(&small, &blocks(1, 128, none, &[LINE])), (vec![1], 40, true));
        assert_eq!(plan(&small, &blocks(3, 128, inversion, &[LINE; 3])), (vec![3], 26, false));
    }

    #[test]
    fn a_strip_is_one_row_and_a_sheet_has_full_rows() {
        let strength = |i: usize| format!("{:+.2}", i as f64 - 3.0);
        let none = |_: usize| String::new();
        let half = |columns, rows| {
            let mut half = painter(Protocol::Blocks, columns, rows);
            half.terminal.symbols = Symbols::Half;
            Painter::new(half.terminal)
        };
        for (columns, rows, each) in [(80, 24, 10), (120, 30, 16), (120, 40, 16)] {
            let pixels = [Protocol::Kitty, Protocol::Sixel, Protocol::Iterm];
            let all = pixels.into_iter().chain([Protocol::Blocks]);
            let all = all.map(|p| painter(p, columns, rows)).chain([half(columns, rows)]);
            for (k, of) in all.enumerate() {
                // The line beside it would make the strip smaller.
                let strip = plan(&of, &blocks(7, 128, strength, &[LINE]));
                assert_eq!(strip, (vec![7], each, false), "{columns} {k}");
                // One strip for each of two codes.
                let two = plan(&of, &blocks(14, 128, |i| strength(i % 7), &[LINE]));
                assert_eq!(two.0, [7, 7], "{columns} {k}");
                assert_eq!(two.1, each);
                // Sixteen pictures fit on the screen, or else have rows without a gap.
                let (sheet, wide, _) = plan(&of, &blocks(16, 128, none, &[LINE]));
                let shown = match (k, rows) {
                    (0..3, 24) => (vec![6, 6, 4], 12),
                    (0..4, 30) => (vec![6, 6, 4], 16),
                    (0..4, 40) => (vec![6, 6, 4], 18),
                    (_, 24) => (vec![4; 4], 18),
                    _ => (vec![4; 4], 28),
                };
                assert_eq!((sheet, wide), shown, "{columns} × {rows}, {k}");
            }
        }
        // More than fit into one row are a sheet.
        let many = |n| plan(&half(80, 24), &blocks(n, 128, strength, &[LINE]));
        assert_eq!((many(8).0, many(9)), (vec![8], (vec![3, 3, 3], 26, false)));
    }

    #[test]
    fn a_width_that_is_asked_for_is_given() {
        let mut small = painter(Protocol::Blocks, 80, 24);
        small.terminal.picture_width = Some(60);
        assert_eq!(
            plan(&small, &blocks(2, 128, |_| String::new(), &[LINE])),
            (vec![1, 1], 60, false)
        );
        let mut wanted = blocks(2, 128, |_| String::new(), &[LINE]);
        if let Block::Pictures(all) = &mut wanted[0] {
            all.iter_mut().for_each(|p| p.columns = Some(30));
        }
        assert_eq!(plan(&small, &wanted).1, 30);
        // Painted pictures may not be taller than the screen.
        let mut kitty = painter(Protocol::Kitty, 80, 24);
        kitty.terminal.picture_width = Some(60);
        assert_eq!(plan(&kitty, &blocks(1, 128, |_| String::new(), &[LINE])).1, 44);
    }

    #[test]
    fn any_window_is_borne() {
        for (columns, rows) in [(8, 2), (20, 5), (33, 11), (80, 24), (301, 90)] {
            for protocol in [Protocol::Kitty, Protocol::Blocks] {
                for n in [1, 2, 3, 7, 16, 40] {
                    let mut painter = painter(protocol, columns, rows);
                    let shown = blocks(n, 64, |i| i.to_string(), &[LINE]);
                    assert!(!painter.render(&shown, columns).unwrap().is_empty());
                }
            }
        }
    }

    #[test]
    fn no_cursor_blinks_within_a_picture_that_is_painted_over_cells() {
        for (protocol, wanted) in [
            (Protocol::Sixel, 1),
            (Protocol::Iterm, 1),
            (Protocol::Kitty, 0),
            (Protocol::Blocks, 0),
        ] {
            let mut painter = painter(protocol, 80, 24);
            let bytes = painter.render(&blocks(2, 32, |_| String::new(), &["text"]), 80).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            let at = |what: &str| text.match_indices(what).map(|(k, _)| k).collect::<Vec<_>>();
            let (hidden, shown) = (at("\x1b[?25l"), at("\x1b[?25h"));
            assert_eq!((hidden.len(), shown.len()), (wanted, wanted), "{protocol:?}");
            let pictures = [at("\x1bP"), at("\x1b]1337")].concat();
            assert!(wanted == 0 || pictures.len() == 2, "{protocol:?}");
            assert!(pictures.iter().all(|k| hidden[0] < *k && *k < shown[0]), "{protocol:?}");
            let text = painter.render(&[Block::text(["text"])], 80).unwrap();
            assert!(!String::from_utf8_lossy(&text).contains("\x1b[?25"), "{protocol:?}");
        }
    }
}
