//! `:redraw` and `:zoom`: earlier results again, at another width.

use super::Repl;
use crate::error::{Error, Kind, Result};
use crate::render::Block;
use crate::session::Given;
use crate::session::recall::recall;
use std::collections::VecDeque;

/// Bytes of pictures that are kept for drawing results again.
const BYTES: usize = 128 << 20;
/// Number of cells whose results are kept.
const CELLS: usize = 100;

/// The results of the latest cells, in full resolution.
#[derive(Default)]
pub(super) struct Drawn(VecDeque<(u64, Vec<Block>)>);

impl Drawn {
    /// Keeps the results of a cell, and drops the oldest ones beyond the limits.
    pub(super) fn keep(&mut self, cell: u64, given: &[Given]) {
        let blocks = given.iter().flat_map(|g| match g {
            Given::Value(blocks, _) => blocks.as_slice(),
            Given::Print(_) | Given::Note(_) => &[],
        });
        let blocks: Vec<Block> = blocks.cloned().collect();
        if blocks.is_empty() {
            return;
        }
        self.0.retain(|(id, _)| *id != cell);
        self.0.push_back((cell, blocks));
        while self.0.len() > CELLS || self.0.len() > 1 && self.bytes() > BYTES {
            self.0.pop_front();
        }
    }

    fn bytes(&self) -> usize {
        let pictures = self.0.iter().flat_map(|(_, blocks)| blocks).filter_map(|b| match b {
            Block::Pictures(all) => Some(all),
            _ => None,
        });
        pictures.flatten().map(|p| p.raster.data.len()).sum()
    }

    /// The results of a cell, or the latest ones.
    fn of(&self, cell: Option<u64>) -> Option<(u64, &[Block])> {
        let found = match cell {
            Some(id) => self.0.iter().find(|(k, _)| *k == id),
            None => self.0.back(),
        };
        found.map(|(id, blocks)| (*id, blocks.as_slice()))
    }
}

impl Repl {
    /// Draws a cell's results again, its pictures at a width in columns if one is given.
    pub(super) fn redraw(&mut self, cell: Option<u64>, width: Option<u16>) -> Result<()> {
        let blocks = self.results(cell)?;
        let terminal = &mut self.runner.painter.terminal;
        let usual = terminal.picture_width;
        terminal.picture_width = width.or(usual);
        let done = self.paint(&blocks);
        self.runner.painter.terminal.picture_width = usual;
        done
    }

    /// The results of a cell, or the latest ones.
    pub(super) fn results(&mut self, cell: Option<u64>) -> Result<Vec<Block>> {
        match self.drawn.of(cell) {
            Some((_, blocks)) => Ok(blocks.to_vec()),
            None => self.recalled(cell),
        }
    }

    /// Draws a cell's pictures as large as the window allows.
    pub(super) fn zoom(&mut self, cell: Option<u64>) -> Result<()> {
        let columns = self.runner.terminal.size().0;
        self.redraw(cell, Some(columns))
    }

    /// The results of a cell as its journal keeps them: pictures of at most 96 pixels.
    fn recalled(&mut self, wanted: Option<u64>) -> Result<Vec<Block>> {
        let now = self.now();
        let cells = now.log.cells();
        let found = match wanted {
            Some(id) => cells.iter().find(|c| c.id == id),
            None => cells.iter().rev().find(|c| !c.pictures.is_empty()),
        };
        let Some(cell) = found else {
            let what = wanted.map_or_else(|| "no result".into(), |id| format!("no cell {id}"));
            return Err(Error::new(Kind::Usage, format!("there is {what} to draw"))
                .hint(":history lists the cells"));
        };
        let blocks = recall(cell, self.runner.painter.shows_pictures());
        if !cell.pictures.is_empty() {
            self.whisper("small pictures of the journal; run the cell again for large ones")?;
        }
        Ok(blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Raster;
    use crate::render::Picture;

    fn given(side: usize) -> [Given; 2] {
        let raster = Raster::filled(side, side, &[1, 2, 3]).unwrap();
        let blocks = vec![Block::Pictures(vec![Picture::new(raster, "")])];
        [Given::Print("a line".into()), Given::Value(blocks, serde_json::Value::Null)]
    }

    #[test]
    fn the_latest_results_stay_within_the_limits() {
        let mut drawn = Drawn::default();
        assert!(drawn.of(None).is_none());
        drawn.keep(1, &[Given::Print("no blocks".into())]);
        assert!(drawn.of(Some(1)).is_none());
        (2..200).for_each(|id| drawn.keep(id, &given(64)));
        assert_eq!(drawn.of(None).unwrap().0, 199);
        assert!(drawn.of(Some(100)).is_some() && drawn.of(Some(99)).is_none());
        (200..220).for_each(|id| drawn.keep(id, &given(2000)));
        assert!(drawn.bytes() <= BYTES && drawn.of(Some(219)).is_some());
        // One result is kept whatever its size.
        drawn.keep(300, &given(7000));
        assert_eq!(drawn.of(None).unwrap().0, 300);
    }
}
