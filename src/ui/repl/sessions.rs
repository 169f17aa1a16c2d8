//! `:sessions`: the sessions on this machine, with the last picture of each.

use super::Repl;
use crate::error::Result;
use crate::image::decode;
use crate::limits::LIMITS;
use crate::render::text::{cut, printable};
use crate::render::{Block, Picture};
use crate::session::SessionInfo;
use crate::words::count;

/// Columns of a session's picture.
const PICTURE: u16 = 8;
/// Columns for a picture and the space beside it.
const BESIDE: usize = PICTURE as usize + 2;

impl Repl {
    pub(super) fn sessions(&mut self) -> Result<()> {
        let here = self.now().journal.clone();
        let columns = usize::from(self.runner.terminal.size().0);
        let pictures = self.runner.painter.shows_pictures();
        let all = self.runner.session.sessions()?;
        for session in &all {
            let mark = if Some(&session.path) == here.as_ref() { '*' } else { ' ' };
            self.paint(&about(session, mark, columns, pictures))?;
        }
        self.say([match (all.is_empty(), self.runner.session.folder()) {
            (true, None) => "sessions are not kept here: set HOME or GANNET_STATE",
            (true, Some(_)) => "no sessions yet",
            (false, _) => ":resume SESSION continues a session",
        }])
    }
}

/// A session in one line, or in some beside its last picture where the terminal shows `pictures`.
fn about(session: &SessionInfo, mark: char, columns: usize, pictures: bool) -> Vec<Block> {
    let model = session.header.model.split(' ').next().unwrap_or_default();
    let first = session.first.as_deref().and_then(|t| t.lines().next()).unwrap_or("no cells");
    let (name, began, records) = (&session.header.session, session.began(), session.records);
    // A picture that cannot be read is left out.
    let read = |p: &crate::session::Picture| {
        let raster = decode("a picture of the journal", &p.png, &LIMITS).ok()?.raster;
        Some(Picture { columns: Some(PICTURE), ..Picture::new(raster, "") })
    };
    match session.picture.as_ref().filter(|_| pictures && columns > 4 * BESIDE).and_then(read) {
        Some(picture) => {
            let lines = [
                format!("{mark} {name}  {began}"),
                format!("  {}  {model}", count(records, "record")),
                format!("  {first}"),
            ];
            let lines = lines.map(|line| cut(&printable(&line), columns - BESIDE));
            vec![Block::Pictures(vec![picture]), Block::text(lines)]
        }
        None => {
            let line = format!("{mark} {name}  {began}  {records:>3}  {model}  {first}");
            vec![Block::text([cut(&printable(&line), columns)])]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Raster, encode};
    use crate::render::{Colours, Painter, Protocol, Terminal};
    use crate::session::{Header, Picture as Stored};

    fn info(png: Option<Vec<u8>>) -> SessionInfo {
        let (version, session) = ("0.1".to_owned(), "20261122-161203-4711".to_owned());
        let header = Header { format: 1, version, session, model: "toy 77f0".into(), started: 0 };
        SessionInfo {
            path: "s.journal".into(),
            header,
            records: 12,
            first: Some(format!("w = sample(seed: 3){}\nshow w", " + 0*smile".repeat(20))),
            picture: png.map(|png| Stored { label: "target".into(), png }),
        }
    }

    #[test]
    fn the_last_picture_is_beside_date_and_first_line() {
        let raster = Raster::filled(96, 96, &[200, 10, 30]).unwrap();
        let png = encode::png(&raster, &[]).unwrap();
        for columns in [41, 80, 120] {
            let session = info(Some(png.clone()));
            let terminal = Terminal {
                protocol: Protocol::Blocks,
                colours: Colours::True,
                columns,
                rows: 24,
                ..Terminal::plain("a test")
            };
            let blocks = about(&session, '*', usize::from(columns), true);
            let shown = Painter::new(terminal).render(&blocks, columns).unwrap();
            let shown = String::from_utf8(shown).unwrap();
            let rows: Vec<&str> = shown.lines().collect();
            assert!(rows.len() == 4 && rows.iter().all(|r| r.contains('▀')), "{shown}");
            assert!(shown.contains("1970-01-01 00:00") == (columns > 50), "{shown}");
            assert!(shown.contains("  w = sample(seed: 3) + ") && !shown.contains("show w"));
        }
        // In one line where pictures are not shown, too wide, or cannot be read.
        for (png, columns, pictures) in
            [(Some(png.clone()), 80, false), (Some(png), 30, true), (Some(vec![1]), 80, true)]
        {
            let blocks = about(&info(png), ' ', columns, pictures);
            let [Block::Text(lines)] = &blocks[..] else { panic!("{blocks:?}") };
            assert!(
                lines.len() == 1 && lines[0].starts_with("  20261122-161203-4711"),
                "{lines:?}"
            );
        }
        assert_eq!(about(&info(None), ' ', 200, true).len(), 1);
    }
}
