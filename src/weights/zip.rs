//! Zip archives as model files use them: stored or deflated, every size bounded.

use super::source::{ReadAt, Source, Stream, one_line, quoted, reserve};
use crate::error::{Error, Result};
use crate::limits::Limits;
use ::zip::read::{ArchiveOffset, Config};
use ::zip::{CompressionMethod, ZipArchive};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

type Zip = ZipArchive<Stream>;

/// Entries of up to this many bytes may be compressed by any factor.
const SMALL: u64 = 64 << 20;
/// Larger ones by this factor at most; trained weights reach about 1.1.
const RATIO: u64 = 100;

/// Whether a file begins like an archive, empty ones included.
pub(super) fn begins(head: &[u8]) -> bool {
    matches!(head, [b'P', b'K', 3 | 5, 4 | 6, ..])
}

/// The entries of an archive, each a source of its own.
pub(super) struct Archive {
    /// Entries by full name.
    pub(super) entries: BTreeMap<String, Source>,
    /// Bytes of all entries, unpacked.
    pub(super) unpacked: u64,
}

impl Archive {
    /// Reads the directory.
    ///
    /// Refused: too many entries, two of one name, entries that share bytes, names that lead out of
    /// the archive, encryption, other compressions than deflate, sizes beyond the limits.
    pub(super) fn open(source: &Source, limits: &Limits) -> Result<Self> {
        let bad = |e: &dyn std::fmt::Display| source.fail(0, format_args!("zip: {e}"));
        // A model file begins with its archive. Left to find the beginning by itself, the crate
        // takes the 2nd entry of a directory for the first one where the 1st takes as many bytes
        // (76) as the zip64 records behind the directory, as in torch files whose folder has 21.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let stream = Stream::new(source.clone());
        let mut zip = Zip::with_config(config, stream).map_err(|e| bad(&e))?;
        if zip.len() > limits.zip_entries {
            return Err(bad(&format_args!(
                "at most {} entries, not {}",
                limits.zip_entries,
                zip.len()
            )));
        }
        if zip.has_duplicate_names() {
            return Err(bad(&"entry names are unique"));
        }
        if zip.has_overlapping_entries().map_err(|e| bad(&e))? {
            return Err(bad(&"entries do not share bytes"));
        }
        let zip = Arc::new(Mutex::new(zip));
        let mut out = Self { entries: BTreeMap::new(), unpacked: 0 };
        let count = lock(&zip).len();
        for index in 0..count {
            if let Some((name, entry)) = entry(source, &zip, index)? {
                out.unpacked = out.unpacked.saturating_add(entry.len());
                out.entries.insert(name, entry);
            }
        }
        if out.unpacked > limits.model_bytes {
            let (most, n) = (limits.model_bytes, out.unpacked);
            return Err(bad(&format_args!("at most {most} bytes unpacked, not {n}")));
        }
        Ok(out)
    }
}

/// Locks even after a panic elsewhere: the guarded data is never left half changed.
fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One entry; `None` for a folder.
fn entry(source: &Source, zip: &Arc<Mutex<Zip>>, index: usize) -> Result<Option<(String, Source)>> {
    let mut archive = lock(zip);
    let file = archive
        .by_index_raw(index)
        .map_err(|e| source.fail(0, format_args!("zip: entry {index}: {e}")))?;
    let at = file.header_start();
    let name = file
        .name()
        .map_err(|e| source.fail(at, format_args!("zip: entry name: {e}")))?
        .into_owned();
    let bad = |rule: &dyn std::fmt::Display| {
        Err(source.fail(at, format_args!("zip entry {}: {rule}", quoted(&name))))
    };
    if file.is_dir() {
        return Ok(None);
    }
    if name.starts_with(['/', '\\'])
        || name.contains('\0')
        || name.split(['/', '\\']).any(|part| part == "..")
    {
        return bad(&"names do not lead out of the archive");
    }
    if file.encrypted() {
        return bad(&"encrypted entries are not read");
    }
    let (packed, size) = (file.compressed_size(), file.size());
    let full = format!("{}:{name}", source.name());
    let Some(start) = file.data_start() else { return bad(&"it has no data") };
    let entry = match file.compression() {
        CompressionMethod::Stored if packed != size => return bad(&"a stored entry has one size"),
        CompressionMethod::Stored => source.window(start, size).map(|s| s.renamed(&full))?,
        CompressionMethod::Deflated if size > SMALL && size / RATIO > packed => {
            return bad(&format_args!("{packed} bytes do not unfold to {size}: a bomb"));
        }
        CompressionMethod::Deflated => {
            let inflated = Inflated { zip: zip.clone(), index, size, whole: Mutex::default() };
            Source::new(&full, inflated, size)
        }
        other => return bad(&format_args!("compression {other:?} is not read")),
    };
    Ok(Some((name, entry)))
}

/// A deflated entry, unpacked when it is first read and dropped with its last user.
struct Inflated {
    zip: Arc<Mutex<Zip>>,
    index: usize,
    size: u64,
    whole: Mutex<Option<Vec<u8>>>,
}

impl Inflated {
    fn unpack(&self) -> io::Result<Vec<u8>> {
        let mut zip = lock(&self.zip);
        let file = zip.by_index(self.index)?;
        let mut out = reserve(self.size).ok_or(io::ErrorKind::OutOfMemory)?;
        // One byte more than declared would show that the directory lies.
        file.take(self.size + 1).read_to_end(&mut out)?;
        if out.len() as u64 != self.size {
            return Err(io::Error::other(format!(
                "the directory says {} bytes, {} came out",
                self.size,
                out.len()
            )));
        }
        Ok(out)
    }
}

impl ReadAt for Inflated {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let mut whole = lock(&self.whole);
        if whole.is_none() {
            *whole = Some(self.unpack()?);
        }
        let part = whole.as_ref().and_then(|w| w.get(at as usize..)?.get(..buffer.len()));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// The bytes of a zip archive with these entries, stored; the same entries always give the same
/// bytes.
///
/// # Errors
/// When an entry cannot be packed.
pub fn write<N: ToString>(entries: impl IntoIterator<Item = (N, Vec<u8>)>) -> Result<Vec<u8>> {
    use std::io::Write;
    let cannot = |e: &dyn std::fmt::Display| {
        Error::runtime(format!("cannot write zip: {}", one_line(&e.to_string())))
    };
    let mut zip = ::zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let options = ::zip::write::SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(::zip::DateTime::default());
    for (name, bytes) in entries {
        let options = options.large_file(u32::try_from(bytes.len()).is_err());
        zip.start_file(name, options).map_err(|e| cannot(&e))?;
        zip.write_all(&bytes).map_err(|e| cannot(&e))?;
    }
    zip.finish().map(io::Cursor::into_inner).map_err(|e| cannot(&e))
}
