//! Datasets: where their numbers lie, in one piece or in chunks that are packed one by one.

use super::super::array::{Layout, elements};
use super::super::lazy::Lazy;
use super::super::source::{ReadAt, Source, quoted, reserve};
use super::block::Block;
use super::file::File;
use super::header::Message;
use super::types::{Type, dataspace, datatype};
use crate::error::Result;
use crate::limits::Limits;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

const SPACE: u64 = 0x01;
const TYPE: u64 = 0x03;
const PLACE: u64 = 0x08;
const FILTERS: u64 = 0x0b;

/// Chunks of one file at most.
pub(super) const CHUNKS: u64 = 100_000;

/// Finding about a dataset.
pub(super) enum Dataset {
    /// A tensor that is not yet read.
    Tensor(Lazy),
    /// One whose elements are not read, and what they are.
    Other(&'static str),
}

/// The dataset of these messages; `None` when they are not those of a dataset. `left` is the number
/// of chunks that the file may still have.
pub(super) fn dataset(
    file: &File<'_>,
    name: &str,
    messages: Vec<Message>,
    left: &mut u64,
    limits: &Limits,
) -> Result<Option<Dataset>> {
    let mut parts: BTreeMap<u64, Message> = BTreeMap::new();
    for message in messages {
        parts.entry(message.kind).or_insert(message);
    }
    let (Some(space), Some(kind), Some(place)) =
        (parts.remove(&SPACE), parts.remove(&TYPE), parts.remove(&PLACE))
    else {
        return Ok(None);
    };
    let shape = dataspace(file, &mut space.body()?)?;
    let (dtype, big) = match datatype(&mut kind.body()?)? {
        Type::Numbers(dtype, big) => (dtype, big),
        other => return Ok(Some(Dataset::Other(other.words()))),
    };
    let Some(shape) = shape else { return Ok(Some(Dataset::Other("without values"))) };
    let mut body = place.body()?;
    let whole = elements(&shape).and_then(|n| n.checked_mul(dtype.size() as u64));
    let whole = whole.filter(|n| *n <= limits.tensor_bytes).ok_or_else(|| {
        body.fail(format_args!("{} has a size {shape:?} beyond the limits", quoted(name)))
    })?;
    let filters = match parts.remove(&FILTERS) {
        Some(filters) => pipeline(&mut filters.body()?, dtype.size())?,
        None => Vec::new(),
    };
    let size = dtype.size() as u64;
    let data =
        storage(file, &mut body, Wanted { name, shape: &shape, size, whole }, filters, left)?;
    let lazy = Lazy::new(data, dtype, Layout::rows(&shape), 0, limits)?.big_endian(big);
    Ok(Some(Dataset::Tensor(lazy)))
}

/// What is wanted of a dataset.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    name: &'a str,
    shape: &'a [u64],
    /// Bytes of an element.
    size: u64,
    /// Bytes of all.
    whole: u64,
}

/// One step of packing.
#[derive(Clone, Copy)]
enum Filter {
    Deflate,
    /// The first bytes of all elements, then the second ones, …; bytes of an element.
    Shuffle(usize),
    /// Four bytes at the end.
    Checksum,
}

/// Reads a message of filters, in the order in which they were applied.
fn pipeline(b: &mut Block, size: usize) -> Result<Vec<Filter>> {
    let (version, count) = (b.byte()?, b.byte()?);
    if version == 1 {
        b.skip(6)?;
    }
    let mut found = Vec::new();
    for _ in 0..count {
        let id = b.number(2)?;
        let named = version == 1 || id >= 256;
        let name = if named { b.size(2)? } else { 0 };
        b.skip(2)?;
        let values = b.size(2)?;
        let padded = version == 1 && values % 2 == 1;
        b.skip(if version == 1 { name.next_multiple_of(8) } else { name })?;
        b.skip(4 * values + if padded { 4 } else { 0 })?;
        found.push(match id {
            1 => Filter::Deflate,
            2 => Filter::Shuffle(size),
            3 => Filter::Checksum,
            _ => {
                return Err(b
                    .fail(format_args!("a dataset is packed with filter {id}, which is not read"))
                    .hint("save it again without compression, or with compression=\"gzip\""));
            }
        });
    }
    Ok(found)
}

/// The bytes of a dataset, row-major.
fn storage(
    file: &File<'_>,
    b: &mut Block,
    wanted: Wanted<'_>,
    filters: Vec<Filter>,
    left: &mut u64,
) -> Result<Source> {
    let (version, class) = (b.byte()?, b.byte()?);
    if !(3..=5).contains(&version) {
        return Err(b
            .fail(format_args!("a data layout of version {version} is not read"))
            .hint("save it again with a newer h5py"));
    }
    let name = format!("{}:{}", file.source.name(), wanted.name);
    match class {
        0 => {
            let size = b.number(2)?;
            Ok(file.source.window(b.place(), size)?.renamed(&name))
        }
        1 => {
            let at = file.address(b)?;
            match at.filter(|_| wanted.whole > 0) {
                Some(at) => Ok(file.source.window(at, wanted.whole)?),
                None if wanted.whole == 0 => Ok(file.source.window(0, 0)?),
                None => Err(b.fail(format_args!("{} was never written", quoted(wanted.name)))),
            }
        }
        2 if version == 3 => chunked(file, b, wanted, filters, left),
        _ => Err(b
            .fail(format_args!("{} is stored in a way that is not read", quoted(wanted.name)))
            .hint("save it again as h5py does by default, without libver='latest'")),
    }
}

/// A chunk: where it is in the dataset, in elements, and in the file.
struct Chunk {
    first: Vec<u64>,
    at: u64,
    stored: u64,
    /// Filters that it skips, a bit each.
    skipped: u64,
}

/// A dataset in chunks, put together when it is first read and dropped with its last user.
struct Chunked {
    source: Source,
    shape: Vec<u64>,
    chunk: Vec<u64>,
    size: u64,
    whole: u64,
    filters: Vec<Filter>,
    chunks: Vec<Chunk>,
    put: Mutex<Option<Vec<u8>>>,
}

fn chunked(
    file: &File<'_>,
    b: &mut Block,
    wanted: Wanted<'_>,
    filters: Vec<Filter>,
    left: &mut u64,
) -> Result<Source> {
    let rank = wanted.shape.len();
    let bad = |b: &Block, rule: &str| Err(b.fail(format_args!("{}: {rule}", quoted(wanted.name))));
    if b.byte()? as usize != rank + 1 {
        return bad(b, "chunks have the dimensions of their dataset");
    }
    let tree = file.address(b)?;
    let chunk = (0..rank).map(|_| b.number(4)).collect::<Result<Vec<u64>>>()?;
    if b.number(4)? != wanted.size
        || chunk.iter().zip(wanted.shape).any(|(c, n)| *c == 0 || c > &(*n).max(1))
    {
        return bad(b, "chunks lie within their dataset");
    }
    if wanted.whole == 0 {
        return file.source.window(0, 0);
    }
    let places = wanted.shape.iter().zip(&chunk);
    let count = places.fold(1u64, |n, (s, c)| n.saturating_mul(s.div_ceil(*c)));
    *left = match left.checked_sub(count) {
        Some(left) => left,
        None => return bad(b, "a file has 100000 chunks at most"),
    };
    let Some(tree) = tree else { return bad(b, "it was never written") };
    let mut chunks = Vec::new();
    nodes(file, tree, rank, None, count, &mut chunks)?;
    chunks.sort_by(|a, b| a.first.cmp(&b.first));
    let places = wanted.shape.iter().zip(&chunk);
    let fits =
        |c: &Chunk| places.clone().zip(&c.first).all(|((n, size), at)| at < n && at % size == 0);
    let unpacked = chunk.iter().product::<u64>() * wanted.size;
    // Deflate adds little to what it cannot pack.
    let most = unpacked + unpacked / 8 + 1024;
    if chunks.len() as u64 != count
        || !chunks.iter().all(fits)
        || chunks.windows(2).any(|w| w[0].first == w[1].first)
        || chunks.iter().any(|c| c.stored > most)
    {
        return bad(b, "every chunk is there once, and no larger than it can be");
    }
    for chunk in &chunks {
        file.source.window(chunk.at, chunk.stored)?;
    }
    let name = format!("{}:{}", file.source.name(), wanted.name);
    let reader = Chunked {
        source: file.source.clone(),
        shape: wanted.shape.to_vec(),
        chunk,
        size: wanted.size,
        whole: wanted.whole,
        filters,
        chunks,
        put: Mutex::default(),
    };
    Ok(Source::new(&name, reader, wanted.whole))
}

/// Collects the chunks of a tree, `most` of them; a node's children are one level below it.
fn nodes(
    file: &File<'_>,
    at: u64,
    rank: usize,
    level: Option<u8>,
    most: u64,
    found: &mut Vec<Chunk>,
) -> Result<()> {
    let mut node = file.block(at, 8 + 2 * file.offsets as u64)?;
    node.expect(b"TREE\x01")?;
    let (here, count) = (node.byte()?, node.number(2)?);
    if level.is_some_and(|level| here != level) {
        return Err(node.fail("a tree goes down by one level"));
    }
    let entry = 8 + 8 * (rank as u64 + 1) + file.offsets as u64;
    let mut entries = file.block(at + 8 + 2 * file.offsets as u64, count * entry)?;
    for _ in 0..count {
        let (stored, skipped) = (entries.number(4)?, entries.number(4)?);
        let first = (0..rank).map(|_| entries.number(8)).collect::<Result<Vec<u64>>>()?;
        entries.skip(8)?;
        let child = file.defined(&mut entries)?;
        match here.checked_sub(1) {
            Some(below) => nodes(file, child, rank, Some(below), most, found)?,
            None if found.len() as u64 == most => {
                return Err(entries.fail("a dataset has more chunks than places for them"));
            }
            None => found.push(Chunk { first, at: child, stored, skipped }),
        }
    }
    Ok(())
}

impl Chunked {
    fn together(&self) -> io::Result<Vec<u8>> {
        let mut out: Vec<u8> = reserve(self.whole).ok_or(io::ErrorKind::OutOfMemory)?;
        out.resize(self.whole as usize, 0);
        for chunk in &self.chunks {
            self.place(chunk, &self.unpacked(chunk)?, &mut out);
        }
        Ok(out)
    }

    /// The bytes of a chunk, its filters undone.
    fn unpacked(&self, chunk: &Chunk) -> io::Result<Vec<u8>> {
        let wrong = |e: &dyn std::fmt::Display| {
            io::Error::other(format!("HDF5: the chunk at byte {}: {e}", chunk.at))
        };
        let size = (self.chunk.iter().product::<u64>() * self.size) as usize;
        let mut bytes = self.source.read(chunk.at, chunk.stored).map_err(|e| wrong(&e))?;
        for (at, filter) in self.filters.iter().enumerate().rev() {
            if chunk.skipped >> at & 1 == 1 {
                continue;
            }
            bytes = match filter {
                Filter::Deflate => {
                    // One byte more than there can be shows that there are more: a checksum may
                    // be packed with the rest.
                    let mut out = reserve(size as u64 + 5).ok_or(io::ErrorKind::OutOfMemory)?;
                    flate2::read::ZlibDecoder::new(&bytes[..])
                        .take(size as u64 + 5)
                        .read_to_end(&mut out)
                        .map_err(|e| wrong(&e))?;
                    out
                }
                Filter::Shuffle(n) => unshuffled(&bytes, *n),
                Filter::Checksum => match bytes.len().checked_sub(4) {
                    Some(end) => bytes[..end].to_vec(),
                    None => return Err(wrong(&"its checksum is missing")),
                },
            };
        }
        if bytes.len() == size {
            Ok(bytes)
        } else {
            Err(wrong(&format_args!("it has {} bytes unpacked, {size} are needed", bytes.len())))
        }
    }

    /// Copies a chunk to its place; what hangs over the edge is dropped.
    fn place(&self, chunk: &Chunk, bytes: &[u8], out: &mut [u8]) {
        let Some(last) = self.shape.len().checked_sub(1) else {
            out.copy_from_slice(bytes);
            return;
        };
        let size = self.size as usize;
        let inside = |d: usize| self.chunk[d].min(self.shape[d] - chunk.first[d]);
        let line = inside(last) as usize * size;
        let lines: u64 = (0..last).map(inside).product();
        let mut at = vec![0u64; last];
        for _ in 0..lines {
            let index = |sizes: &[u64], from: &dyn Fn(usize) -> u64| {
                let outer = (0..last).fold(0, |n, d| n * sizes[d] + from(d));
                outer * sizes[last]
            };
            let source = index(&self.chunk, &|d| at[d]) as usize * size;
            let outer = index(&self.shape, &|d| chunk.first[d] + at[d]);
            let target = (outer + chunk.first[last]) as usize * size;
            out[target..target + line].copy_from_slice(&bytes[source..source + line]);
            for d in (0..last).rev() {
                at[d] += 1;
                if at[d] < inside(d) {
                    break;
                }
                at[d] = 0;
            }
        }
    }
}

/// Elements of `n` bytes whose bytes were gathered by their place in the element.
fn unshuffled(bytes: &[u8], n: usize) -> Vec<u8> {
    let count = bytes.len() / n.max(1);
    let mut out = bytes.to_vec();
    for (at, byte) in out.iter_mut().enumerate().take(count * n) {
        *byte = bytes[(at % n) * count + at / n];
    }
    out
}

impl ReadAt for Chunked {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let mut put = self.put.lock().unwrap_or_else(PoisonError::into_inner);
        if put.is_none() {
            *put = Some(self.together()?);
        }
        let part = put.as_ref().and_then(|all| all.get(at as usize..)?.get(..buffer.len()));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
