//! The form of a result in its file: a mark, a checksum over the rest, the result's name, the time
//! that it took, its header and the bytes of its tensors.

use super::Name;
use crate::limits::LIMITS;
use crate::value::kept::{Kept, Packed};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Mark and format.
const MARK: &[u8; 16] = b"gannet result 1\n";
/// Most bytes of a header: it is parsed into values that are larger.
const HEADER: usize = 4 << 20;
/// Bytes before the header.
const HEAD: usize = 96;
/// Bytes of the largest file.
pub const MOST: u64 = (HEAD + HEADER + LIMITS.cached_bytes) as u64;

/// The file of a result; `None` for one with a header that would not be read.
pub fn write(name: &Name, took: Duration, packed: &Packed) -> Option<Vec<u8>> {
    if packed.header.len() > HEADER {
        return None;
    }
    let mut rest = Vec::with_capacity(packed.header.len() + packed.bytes.len() + HEAD);
    rest.extend_from_slice(MARK);
    rest.extend_from_slice(&[0; 32]);
    rest.extend_from_slice(name.bytes());
    rest.extend_from_slice(&(took.as_millis() as u64).to_le_bytes());
    rest.extend_from_slice(&(packed.header.len() as u64).to_le_bytes());
    rest.extend_from_slice(&packed.header);
    rest.extend_from_slice(&packed.bytes);
    let sum = Sha256::digest(rest.get(48..)?);
    rest.get_mut(16..48)?.copy_from_slice(&sum);
    Some(rest)
}

/// The time and the value in a file; `None` unless it is whole and of this name.
pub fn read(name: &Name, file: &[u8]) -> Option<(Duration, Kept)> {
    let (mark, file) = file.split_first_chunk::<16>()?;
    let (sum, rest) = file.split_first_chunk::<32>()?;
    let (own, inside) = rest.split_first_chunk::<32>()?;
    if mark != MARK || own != name.bytes() || Sha256::digest(rest)[..] != sum[..] {
        return None;
    }
    let (took, inside) = inside.split_first_chunk::<8>()?;
    let (length, inside) = inside.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok().filter(|n| *n <= HEADER)?;
    let (header, bytes) = inside.split_at_checked(length)?;
    let kept = Packed::value(header, bytes).ok()?;
    Some((Duration::from_millis(u64::from_le_bytes(*took)), kept))
}
