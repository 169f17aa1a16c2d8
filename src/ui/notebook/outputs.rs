//! The outputs of a notebook, kept beside its file in the folder `FILE.gnt.outputs`.
//!
//! `index.json` says what each cell showed; pictures are PNG files named by the hash of their
//! content. The folder can be deleted: a run writes it again.

use crate::error::{Error, Result};
use crate::image::{Raster, decode, encode};
use crate::limits::LIMITS;
use crate::render::{Block, Picture, Table};
use crate::safe::Safe;
use crate::store::{Disk, Files, Known, write_atomic};
use crate::ui::full::Image;
use crate::value::kept::KeptTable;
use crate::words::{count, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const INDEX: &str = "index.json";
/// Format of the index.
const FORMAT: u32 = 1;
/// Largest index and picture that are read, in bytes.
const LARGEST: u64 = 64 << 20;
/// Bytes of decoded pictures that are kept for drawing.
const DECODED: usize = 64 << 20;
/// Lines of text kept for each cell.
const LINES: usize = 5000;

/// A part of an output, in the order in which it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Piece {
    /// Lines of text.
    Text {
        /// The lines; drawing escapes them.
        lines: Vec<String>,
    },
    /// An error on its source.
    Error {
        /// Its lines.
        lines: Vec<String>,
    },
    /// A table.
    Table {
        /// Its rows and columns.
        table: KeptTable,
    },
    /// Pictures from left to right.
    Pictures {
        /// The pictures.
        all: Vec<Shown>,
    },
}

impl Piece {
    /// Its text; that of a table in at most `width` columns.
    pub fn lines(&self, width: usize) -> Vec<String> {
        match self {
            Self::Text { lines } | Self::Error { lines } => lines.clone(),
            Self::Table { table } => match table.table() {
                Ok(table) => table.fitted(width),
                Err(e) => vec![e.message().to_owned()],
            },
            Self::Pictures { .. } => Vec::new(),
        }
    }
}

/// A picture of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Hash of its content, which names its file.
    pub hash: String,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Its caption.
    pub caption: String,
    /// The text that replaces it where pictures cannot be shown.
    pub words: String,
}

/// How the last run of a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It ran to the end.
    Ok,
    /// It failed.
    Failed,
    /// It was stopped, and the best result so far was kept.
    Kept,
    /// It was interrupted, by the user or because the process ended.
    Cut,
}

/// The last run of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// The cell's key when it ran.
    pub key: String,
    /// The names that it read from cells below it, with the keys of the cells that had bound them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub late: BTreeMap<String, String>,
    /// How it ended.
    pub status: Status,
    /// Run time in milliseconds.
    pub millis: u64,
    /// Whether results came from the cache.
    #[serde(default)]
    pub cached: bool,
    /// What it showed.
    pub output: Vec<Piece>,
    /// Names of the values that it bound and showed, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// What the index says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Format of the index; set when it is written.
    pub format: u32,
    /// Journal of the session that computed the outputs.
    #[serde(default)]
    pub session: Option<PathBuf>,
    /// The cell and byte of the cursor.
    #[serde(default)]
    pub cursor: (usize, usize),
    /// The cells in order: hash of the text, whether it is folded, and its last run.
    pub cells: Vec<(String, bool, Option<Ran>)>,
    /// The key of the cell that last bound each name in the session.
    #[serde(default)]
    pub bound: BTreeMap<String, String>,
    /// The hashes of the files that cells read.
    #[serde(default)]
    pub inputs: Known,
}

/// The folder of outputs.
pub struct Outputs {
    folder: PathBuf,
    /// Decoded pictures by hash, and their order of use.
    decoded: HashMap<String, (Arc<Image>, u64)>,
    clock: u64,
    bytes: usize,
    /// The index as it is on the disk.
    written: Option<Index>,
}

impl Outputs {
    /// The outputs of a notebook file.
    pub fn beside(file: &Path) -> Self {
        let mut name = file.as_os_str().to_owned();
        name.push(".outputs");
        let folder = PathBuf::from(name);
        Self { folder, decoded: HashMap::new(), clock: 0, bytes: 0, written: None }
    }

    /// Reads the index; an empty one when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or another version of gannet wrote it.
    pub fn read(&mut self) -> Result<Index> {
        let path = self.folder.join(INDEX);
        let bytes = match Disk.read(&path, LARGEST) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Index::default()),
            Err(e) => return Err(Error::io(format!("cannot read {}", shown(&path)), &e)),
        };
        let index: Index = serde_json::from_slice(&bytes).map_err(|e| {
            let at = e.column() as u64;
            Error::format(&shown(&path), at, format!("not an index of outputs: {e}"))
                .hint("delete the folder of outputs; a run writes it again")
        })?;
        if index.format != FORMAT {
            let what = format!("{} is of format {}", shown(&path), index.format);
            return Err(Error::runtime(what).hint("delete the folder of outputs, or run again"));
        }
        self.written = Some(index.clone());
        Ok(index)
    }

    /// Writes the index if it changed.
    ///
    /// # Errors
    /// When the disk refuses it; the old index then stays.
    pub fn write(&mut self, mut index: Index) -> Result<()> {
        index.format = FORMAT;
        let nothing = index.cells.iter().all(|c| c.2.is_none());
        if self.written.as_ref() == Some(&index) || (self.written.is_none() && nothing) {
            return Ok(());
        }
        let path = self.folder.join(INDEX);
        let failed = |e: &std::io::Error| Error::io(format!("cannot write {}", shown(&path)), e);
        Disk.make_folder(&self.folder).map_err(|e| failed(&e))?;
        let bytes = serde_json::to_vec(&index)
            .map_err(|e| Error::runtime(format!("cannot write the outputs: {e}")))?;
        write_atomic(&Disk, &path, &bytes).map_err(|e| failed(&e))?;
        self.written = Some(index);
        Ok(())
    }

    /// The parts of a result; its pictures are written to the folder.
    ///
    /// # Errors
    /// When a picture cannot be encoded or written. It is shown nevertheless.
    pub fn pieces(&mut self, blocks: &[Block]) -> (Vec<Piece>, Result<()>) {
        let (mut pieces, mut fine) = (Vec::new(), Ok(()));
        for block in blocks {
            match block {
                Block::Pictures(all) => {
                    let mut shown = Vec::new();
                    for p in all {
                        match self.keep(p) {
                            Ok((one, written)) => {
                                shown.push(one);
                                fine = fine.and(written);
                            }
                            Err(e) => fine = fine.and(Err(e)),
                        }
                    }
                    pieces.push(Piece::Pictures { all: shown });
                }
                Block::Table(table) => pieces.extend(tabled(table)),
                Block::Diagnostic(_) => pieces.push(Piece::Error { lines: block.lines() }),
                _ => add_lines(&mut pieces, block.lines()),
            }
        }
        (pieces, fine)
    }

    fn keep(&mut self, picture: &Picture) -> Result<(Shown, Result<()>)> {
        let raster = &picture.raster;
        let mut hasher = Sha256::new();
        hasher.update([raster.channels as u8]);
        hasher.update((raster.width as u64).to_le_bytes());
        hasher.update(&raster.data);
        let hash = hex(&hasher.finalize()[..16]);
        let one = Shown {
            hash: hash.clone(),
            width: raster.width,
            height: raster.height,
            caption: picture.caption.clone(),
            words: picture.described()?,
        };
        let path = self.picture(&hash);
        let written = if path.exists() { Ok(()) } else { self.write_picture(&path, raster) };
        self.hold(hash, Image::new(raster.clone()));
        Ok((one, written))
    }

    fn write_picture(&self, path: &Path, raster: &Raster) -> Result<()> {
        let failed = |e: &std::io::Error| Error::io(format!("cannot write {}", shown(path)), e);
        Disk.make_folder(&self.folder).map_err(|e| failed(&e))?;
        let png = encode::png(raster, &[])?;
        write_atomic(&Disk, path, &png).map_err(|e| failed(&e))
    }

    fn picture(&self, hash: &str) -> PathBuf {
        self.folder.join(format!("{hash}.png"))
    }

    fn hold(&mut self, hash: String, image: Arc<Image>) {
        self.clock += 1;
        let size = |image: &Image| image.raster().data.len();
        self.bytes += size(&image);
        if let Some((old, _)) = self.decoded.insert(hash, (image, self.clock)) {
            self.bytes -= size(&old);
        }
        while self.bytes > DECODED && self.decoded.len() > 1 {
            let oldest = self.decoded.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(hash, _)| hash.clone()) else { break };
            self.bytes -= self.decoded.remove(&oldest).map_or(0, |(image, _)| size(&image));
        }
    }

    /// A picture, read when it is first drawn; `None` when its file is gone or damaged.
    pub fn image(&mut self, one: &Shown) -> Option<Arc<Image>> {
        self.clock += 1;
        if let Some((image, used)) = self.decoded.get_mut(&one.hash) {
            *used = self.clock;
            return Some(image.clone());
        }
        // The name comes from the index, which may be from outside.
        if one.hash.len() != 32 || !one.hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let bytes = Disk.read(&self.picture(&one.hash), LARGEST).ok()?;
        let raster = decode("a kept picture", &bytes, &LIMITS).ok()?.raster;
        let image = Image::new(raster);
        self.hold(one.hash.clone(), image.clone());
        Some(image)
    }

    /// Removes pictures that the index does not mention. Files of other names stay.
    pub fn tidy(&self) {
        let Some(index) = &self.written else { return };
        let pieces = index.cells.iter().filter_map(|c| c.2.as_ref()).flat_map(|r| &r.output);
        let used: BTreeSet<String> = pieces
            .filter_map(|p| match p {
                Piece::Pictures { all } => Some(all.iter().map(|s| format!("{}.png", s.hash))),
                _ => None,
            })
            .flatten()
            .collect();
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let ours = name.strip_suffix(".png").is_some_and(|hash| {
                hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_hexdigit())
            });
            if ours && !used.contains(&name) {
                // A file that stays takes room and does no harm.
                let _ = Disk.remove(&entry.path());
            }
        }
    }
}

/// A table, and a line that says how many of its rows were left out.
fn tabled(table: &Table) -> Vec<Piece> {
    let mut table = KeptTable::of(table);
    let dropped = table.limit(LINES);
    let line =
        || Piece::Text { lines: vec![format!("… {} not kept", count(dropped, "more row"))] };
    std::iter::once(Piece::Table { table }).chain((dropped > 0).then(line)).collect()
}

/// Adds lines to an output, as part of the text before them if there is one.
pub fn add_lines(pieces: &mut Vec<Piece>, new: Vec<String>) {
    let kept = |lines: &[String]| lines.len() < LINES;
    match pieces.last_mut() {
        Some(Piece::Text { lines }) if kept(lines) => lines.extend(new),
        Some(Piece::Text { .. }) => {}
        _ => pieces.push(Piece::Text { lines: new }),
    }
    if let Some(Piece::Text { lines }) = pieces.last_mut()
        && lines.len() > LINES
    {
        lines.truncate(LINES);
        lines.push("… more lines were not kept".to_owned());
    }
}

/// The hash of a cell's text in the index.
pub fn text_hash(text: &str) -> String {
    hex(&Sha256::digest(text.trim().as_bytes())[..16])
}

fn shown(path: &Path) -> String {
    Safe(&path.to_string_lossy()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{Cell, Picture};

    fn blocks(k: u8) -> Vec<Block> {
        let raster = Raster::filled(9, 4, &[k, 2, 3]).unwrap();
        let caption = format!("p{k}");
        vec![Block::Pictures(vec![Picture::new(raster, caption)]), Block::text(["one", "two"])]
    }

    fn index(output: Vec<Piece>) -> Index {
        let (key, names) = ("k".into(), Vec::new());
        let ran = Ran {
            key,
            late: BTreeMap::new(),
            status: Status::Ok,
            millis: 5,
            cached: false,
            output,
            names,
        };
        Index { cells: vec![(text_hash("x"), true, Some(ran))], cursor: (0, 1), ..Index::default() }
    }

    #[test]
    fn outputs_come_back_with_their_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.gnt");
        let mut outputs = Outputs::beside(&file);
        assert_eq!(outputs.read().unwrap(), Index::default());
        outputs.write(Index::default()).unwrap();
        assert!(!outputs.folder.exists(), "nothing is written for nothing");
        let (pieces, fine) = outputs.pieces(&blocks(1));
        fine.unwrap();
        outputs.write(index(pieces)).unwrap();
        let mut again = Outputs::beside(&file);
        let read = again.read().unwrap();
        assert_eq!(Some(&read), outputs.written.as_ref());
        let Piece::Pictures { all } = &read.cells[0].2.as_ref().unwrap().output[0] else {
            panic!()
        };
        let image = again.image(&all[0]).unwrap();
        assert_eq!((image.raster().width, image.raster().pixel(8, 3)), (9, &[1, 2, 3][..]));
        assert_eq!(all[0].words, "[picture 9×4 rgb, mean #010203]");
    }

    #[test]
    fn a_table_stays_a_table_and_a_long_one_is_limited() {
        let folder = tempfile::tempdir().unwrap();
        let mut outputs = Outputs::beside(&folder.path().join("a.gnt"));
        let row = |k: usize| vec![Cell::Number(k as f64, 1)];
        let table = |rows| Table { columns: vec!["k".into()], rows: (0..rows).map(row).collect() };
        let (pieces, _) = outputs.pieces(&[Block::Table(table(2)), Block::Table(table(LINES + 7))]);
        let lines: Vec<usize> = pieces.iter().map(|p| p.lines(80).len()).collect();
        assert_eq!(lines, [3, LINES + 1, 1]);
        assert!(pieces[2].lines(80)[0].contains("7 more rows"));
        outputs.write(index(pieces[..1].to_vec())).unwrap();
        let read = Outputs::beside(&folder.path().join("a.gnt")).read().unwrap();
        assert_eq!(read.cells[0].2.as_ref().unwrap().output, pieces[..1]);
    }

    #[test]
    fn only_unused_pictures_of_ours_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut outputs = Outputs::beside(&folder.path().join("a.gnt"));
        let (kept, _) = outputs.pieces(&blocks(1));
        outputs.pieces(&blocks(2)).1.unwrap();
        std::fs::write(outputs.folder.join("mine.png"), "x").unwrap();
        outputs.write(index(kept)).unwrap();
        outputs.tidy();
        assert_eq!(std::fs::read_dir(&outputs.folder).unwrap().count(), 3);
    }

    #[test]
    fn damage_is_named_and_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let mut outputs = Outputs::beside(&folder.path().join("a.gnt"));
        std::fs::create_dir(&outputs.folder).unwrap();
        for bytes in [&b"not json"[..], b"{\"format\":99,\"cells\":[]}", b"\xff"] {
            std::fs::write(outputs.folder.join(INDEX), bytes).unwrap();
            assert!(outputs.read().unwrap_err().repair().is_some());
        }
        let at = |hash: &str| Shown {
            hash: hash.into(),
            width: 1,
            height: 1,
            caption: String::new(),
            words: String::new(),
        };
        assert!(outputs.image(&at("../../../../etc/hostname")).is_none());
        assert!(outputs.image(&at(&"0".repeat(32))).is_none());
        let mut pieces = Vec::new();
        (0..LINES + 9).for_each(|k| add_lines(&mut pieces, vec![k.to_string()]));
        let [Piece::Text { lines }] = &pieces[..] else { panic!() };
        assert_eq!(lines.len(), LINES);
    }
}
