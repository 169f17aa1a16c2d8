//! Lays out a result: pictures side by side with their captions, text beside or below them.

use super::block::{Block, Picture, captioned};
use super::sink::{ImageSink, unwritten};
use super::sinks::sink_for;
use super::terminal::{Colours, Terminal};
use super::text::{cut, printable, width as columns_of, wrap};
use super::viuer::printer_for;
use crate::error::Result;
use crate::lang::span;
use crossterm::QueueableCommand;
use crossterm::cursor::{MoveDown, MoveUp};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use std::fmt::Write as _;
use std::io::Write;

/// Pictures, and the lines beside or below them.
struct Section<'a> {
    pictures: Vec<&'a Picture>,
    lines: Vec<String>,
}

/// Splits a result into sections: a picture after text begins a new section.
fn sections(blocks: &[Block]) -> Vec<Section<'_>> {
    let mut all: Vec<Section<'_>> = Vec::new();
    for block in blocks {
        match (block, all.last_mut()) {
            (Block::Pictures(p), Some(last)) if last.lines.is_empty() => last.pictures.extend(p),
            (Block::Pictures(p), _) => {
                all.push(Section { pictures: p.iter().collect(), lines: Vec::new() });
            }
            (_, Some(last)) => last.lines.extend(block.lines()),
            _ => all.push(Section { pictures: Vec::new(), lines: block.lines() }),
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

/// A row of pictures with the text beside them.
struct Band<'a> {
    pictures: &'a [&'a Picture],
    /// Columns for each picture.
    each: usize,
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

    /// The sink, for pictures outside a layout, such as live previews and full-screen views.
    #[cfg(any(test, feature = "internals"))]
    pub fn sink(&mut self) -> &mut dyn ImageSink {
        &mut *self.sink
    }

    /// Whether pictures appear as pictures rather than as text or files.
    pub fn shows_pictures(&self) -> bool {
        !self.sink.is_text()
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
        for part in blocks.chunk_by(|a, b| !is_diagnostic(a) && !is_diagnostic(b)) {
            match part {
                [Block::Diagnostic(d)] => {
                    let colour = self.terminal.colours != Colours::None;
                    // The error is escaped already; its columns are those of the source.
                    let text = span::render(&d.source, &d.error, colour);
                    out.write_all(text.as_bytes()).map_err(unwritten)?;
                }
                _ => sections(part).iter().try_for_each(|s| self.section(s, width, out))?,
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
        if synchronized {
            out.queue(BeginSynchronizedUpdate).map_err(unwritten)?;
        }
        let (bands, below) = self.plan(section, width);
        for band in &bands {
            self.band(out, band)?;
        }
        lines(out, below.iter().map(String::as_str))?;
        if synchronized {
            out.queue(EndSynchronizedUpdate).map_err(unwritten)?;
        }
        Ok(())
    }

    fn as_text(&mut self, out: &mut Vec<u8>, section: &Section<'_>, width: usize) -> Result<()> {
        for p in &section.pictures {
            let mut stand_in = Vec::new();
            self.sink.put(&mut stand_in, &p.raster, (1, 1))?;
            // Not wrapped, because it may be a path to copy.
            let line = captioned(&p.caption, &String::from_utf8_lossy(&stand_in));
            out.extend(line.bytes().chain(*b"\n"));
        }
        for line in section.lines.iter().flat_map(|l| wrap(l, width)) {
            out.extend(line.bytes().chain(*b"\n"));
        }
        Ok(())
    }

    /// Places text beside the pictures if both fit; otherwise below, with the pictures in as few
    /// even rows as possible.
    fn plan<'a>(&self, section: &'a Section<'_>, width: usize) -> (Vec<Band<'a>>, Vec<String>) {
        let wrapped =
            |room: usize| section.lines.iter().flat_map(|l| wrap(l, room)).collect::<Vec<_>>();
        let (pictures, n) = (&section.pictures[..], section.pictures.len());
        let wishes = pictures.iter().map(|p| self.sink.columns(&p.raster));
        let (least, wish) =
            wishes.fold((1, 1), |a, b| (a.0.max(usize::from(b.0)), a.1.max(usize::from(b.1))));
        if n == 0 {
            return (Vec::new(), wrapped(width));
        }
        let longest = section.lines.iter().map(|l| columns_of(&printable(l))).max().unwrap_or(0);
        if longest > 0 && width > longest.min(TEXT) + MARGIN {
            let each =
                ((width - longest.min(TEXT) - MARGIN + GAP) / n).saturating_sub(GAP).min(wish);
            if each >= least {
                let room = width - MARGIN - n * (each + GAP) + GAP;
                return (vec![Band { pictures, each, beside: wrapped(room) }], Vec::new());
            }
        }
        let most = ((width + GAP) / (least + GAP)).clamp(1, n);
        let across = n.div_ceil(n.div_ceil(most));
        let each = ((width + GAP) / across - GAP).min(wish);
        let bands = pictures
            .chunks(across)
            .map(|pictures| Band { pictures, each, beside: Vec::new() })
            .collect();
        (bands, wrapped(width))
    }

    /// Maximum height of pictures. A whole band must fit on the screen, because painting cannot
    /// scroll.
    fn row_limit(&self) -> u16 {
        self.terminal.rows.saturating_sub(4).clamp(2, 30)
    }

    fn band(&mut self, out: &mut dyn Write, band: &Band<'_>) -> Result<()> {
        let room = (u16::try_from(band.each).unwrap_or(u16::MAX), self.row_limit());
        let sizes: Vec<_> =
            band.pictures.iter().map(|p| self.sink.cells(&p.raster, room)).collect();
        let high = sizes.iter().map(|s| usize::from(s.1)).max().unwrap_or(1);
        // A picture that is narrower than its share leaves no gap.
        let share =
            sizes.iter().map(|s| usize::from(s.0)).max().unwrap_or(1).max(band.each.min(12));
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
