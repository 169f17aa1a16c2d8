//! What is laid out of the notebook, and which part of it the screen shows.

use super::document::Document;
use super::layout::{MARGIN, Row, byte};
use crate::error::Span;
use ratatui::style::Style;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Background of the status line and of lists.
pub(super) const BAR: u8 = 236;
/// Colour of text on it: themes may be light or dark.
pub(super) const INK: u8 = 252;

/// What was laid out, and where the screen is in it.
#[derive(Default)]
pub(super) struct Screen {
    /// The first row that is shown.
    pub(super) top: usize,
    /// Rows of all cells, each with a blank row after it.
    pub(super) heights: Vec<usize>,
    /// Rows for cells on the screen.
    pub(super) rows: u16,
    /// Whether the screen follows the cursor.
    pub(super) follow: bool,
    /// The cell whose new output the screen follows, until the user scrolls.
    pub(super) watched: Option<u64>,
    pub(super) laid: HashMap<u64, Laid>,
    /// Colours of texts by cell.
    pub(super) inked: HashMap<u64, Inked>,
}

/// What a layout was made of.
#[derive(PartialEq)]
pub(super) struct Key {
    pub(super) text: Arc<str>,
    pub(super) title: String,
    pub(super) stamp: u64,
    pub(super) room: (u16, u16),
    pub(super) folded: bool,
    pub(super) remark: Option<String>,
}

/// The rows of a cell.
pub(super) struct Laid {
    pub(super) key: Key,
    pub(super) rows: Rc<Vec<Row>>,
}

/// The colours of a cell's text, and what they depend on.
pub(super) struct Inked {
    pub(super) text: Arc<str>,
    pub(super) at: usize,
    pub(super) names: u64,
    pub(super) styles: Rc<Vec<(Span, Style)>>,
}

impl Screen {
    /// Rows that a page scrolls.
    pub(super) fn page(&self) -> i64 {
        i64::from(self.rows.saturating_sub(2).max(1))
    }

    /// Scrolls by rows.
    pub(super) fn scroll(&mut self, by: i64) {
        let all: usize = self.heights.iter().sum();
        let last = all.saturating_sub(usize::from(self.rows).min(all).max(1)) as i64;
        self.top = (self.top as i64 + by).clamp(0, last) as usize;
    }

    /// The cell at a place of the screen, and the byte of its text there.
    pub(super) fn hit(
        &self,
        (x, y): (u16, u16),
        document: &Document,
    ) -> Option<(usize, Option<usize>)> {
        if y >= self.rows {
            return None;
        }
        let mut row = self.top + usize::from(y);
        for (k, height) in self.heights.iter().enumerate() {
            if row < *height {
                let cell = document.cells().get(k)?;
                let laid = self.laid.get(&cell.id)?;
                let row = laid.rows.get(row);
                let at = row.and_then(|r| byte(r, &cell.text, x.saturating_sub(MARGIN)));
                return Some((k, at));
            }
            row -= height;
        }
        None
    }
}
