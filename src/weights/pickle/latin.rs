//! Bytes that protocol 2 wrote as Latin-1 text in UTF-8, decoded as they are read.

use crate::error::Result;
use crate::weights::source::{Cursor, ReadAt, Source};
use std::io;
use std::sync::{Mutex, PoisonError};

/// The bytes behind a text; every character must be at most U+00FF.
pub(super) fn decode(text: &Source) -> Result<Source> {
    let (mut cursor, mut count) = (text.cursor(), 0u64);
    while cursor.at() < text.len() {
        let at = cursor.at();
        next(&mut cursor)?
            .ok_or_else(|| text.fail(at, "bytes written as text are Latin-1 in UTF-8"))?;
        count += 1;
    }
    let decoder = Decoder { text: text.clone(), state: Mutex::new((text.cursor(), 0)) };
    Ok(Source::new(&format!("{}:decoded", text.name()), decoder, count))
}

/// The next byte; `None` when the text is not Latin-1 in UTF-8.
fn next(cursor: &mut Cursor) -> Result<Option<u8>> {
    let lead = cursor.byte()?;
    Ok(match lead {
        0..=0x7f => Some(lead),
        0xc2 | 0xc3 => Some(cursor.byte()?)
            .filter(|b| (0x80..=0xbf).contains(b))
            .map(|b| b | ((lead & 1) << 6)),
        _ => None,
    })
}

/// Decodes from front to back and keeps its place (cursor, bytes decoded); going back starts over.
struct Decoder {
    text: Source,
    state: Mutex<(Cursor, u64)>,
}

impl ReadAt for Decoder {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if at < state.1 {
            *state = (self.text.cursor(), 0);
        }
        let (cursor, done) = &mut *state;
        let mut take = || match next(cursor) {
            Ok(Some(byte)) => Ok(byte),
            Ok(None) => Err(io::Error::from(io::ErrorKind::InvalidData)),
            Err(e) => Err(io::Error::other(e.message().to_string())),
        };
        while *done < at {
            take()?;
            *done += 1;
        }
        for byte in buffer {
            *byte = take()?;
            *done += 1;
        }
        Ok(())
    }

    fn seek_cost(&self, at: u64) -> u64 {
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_in_any_order_of_reading() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text: String = bytes.iter().map(|&b| b as char).collect();
        let s = decode(&Source::bytes("f", text.into_bytes())).unwrap();
        assert_eq!(s.len(), 256);
        assert_eq!(s.read(0, 256).unwrap(), bytes);
        assert_eq!(s.read(200, 3).unwrap(), [200, 201, 202]);
        assert_eq!(s.read(10, 2).unwrap(), [10, 11]);
        assert!(decode(&Source::bytes("f", "€".as_bytes().to_vec())).is_err());
        assert!(decode(&Source::bytes("f", vec![0xc3])).is_err());
    }
}
