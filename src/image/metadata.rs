//! What a picture file holds besides pixels: the camera's EXIF and the colour profile.

use super::decode::crate_limits;
use super::raster::Raster;
use crate::limits::Limits;
use image::metadata::Orientation;
use image::{ImageDecoder, ImageReader};
use std::io::Cursor;
use std::ops::Range;

/// Bytes of the longest EXIF that a JPEG can hold: a segment without its length and `Exif\0\0`.
pub const JPEG_EXIF: usize = 65_527;

/// EXIF and ICC profile of a picture file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The EXIF block, from its TIFF header on.
    pub exif: Option<Vec<u8>>,
    /// The ICC profile.
    pub icc: Option<Vec<u8>>,
}

impl Metadata {
    /// The metadata of a file, for pixels that are upright and differ from the file's: the
    /// orientation becomes 1, and the thumbnail, which shows the file's pixels, is removed. Empty
    /// for a file whose metadata cannot be read, or is beyond the limits of pictures.
    pub fn of(bytes: &[u8], limits: &Limits) -> Self {
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
        let decoder = reader.ok().and_then(|mut r| {
            r.limits(crate_limits(limits));
            r.into_decoder().ok()
        });
        let Some(mut decoder) = decoder else { return Self::default() };
        let mut exif = decoder.exif_metadata().ok().flatten();
        if let Some(exif) = &mut exif {
            // The orientation that was there is not needed: decoding has turned the pixels.
            let _ = Orientation::remove_from_exif_chunk(exif);
            without_thumbnail(exif);
        }
        Self { exif, icc: decoder.icc_profile().ok().flatten() }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The profile, where it is one for such pixels: a profile for CMYK or grey says nothing about
    /// RGB.
    pub fn profile(&self, picture: &Raster) -> Option<&[u8]> {
        let space: &[u8] = if picture.channels == 1 { b"GRAY" } else { b"RGB " };
        self.icc.as_deref().filter(|icc| icc.get(16..20) == Some(space))
    }

    /// Its size in bytes.
    pub fn len(&self) -> usize {
        [&self.exif, &self.icc].into_iter().flatten().map(Vec::len).sum()
    }
}

/// The numbers of a TIFF structure in its byte order.
struct Tiff<'a> {
    bytes: &'a [u8],
    little: bool,
}

impl Tiff<'_> {
    fn number(&self, at: usize, bytes: usize) -> Option<usize> {
        let read = self.bytes.get(at..at.checked_add(bytes)?)?;
        let add = |n: usize, b: &u8| n << 8 | usize::from(*b);
        Some(if self.little { read.iter().rev().fold(0, add) } else { read.iter().fold(0, add) })
    }

    /// Places of the entries of a directory, 12 bytes each, and of the link behind them.
    fn directory(&self, at: usize) -> Option<(Range<usize>, usize)> {
        let end = at.checked_add(2)?.checked_add(12 * self.number(at, 2)?)?;
        (end + 4 <= self.bytes.len()).then_some((at + 2..end, end))
    }

    /// The link to the thumbnail's directory, and the thumbnail's bytes.
    fn thumbnail(&self) -> Option<(Range<usize>, Option<Range<usize>>)> {
        let (_, link) = self.directory(self.number(4, 4)?)?;
        let next = self.number(link, 4).filter(|n| *n > 0)?;
        let (mut from, mut length) = (None, None);
        if let Some((entries, _)) = self.directory(next) {
            for entry in entries.step_by(12) {
                match self.number(entry, 2) {
                    Some(0x201) => from = self.number(entry + 8, 4),
                    Some(0x202) => length = self.number(entry + 8, 4),
                    _ => {}
                }
            }
        }
        let range = from.zip(length).and_then(|(from, n)| Some(from..from.checked_add(n)?));
        Some((link..link + 4, range.filter(|r| r.end <= self.bytes.len())))
    }
}

/// Unlinks the thumbnail of an EXIF block and blanks its bytes.
fn without_thumbnail(exif: &mut [u8]) {
    let tiff = Tiff { little: exif.starts_with(b"II"), bytes: exif };
    let Some((link, thumbnail)) = tiff.thumbnail() else { return };
    for range in [Some(link), thumbnail].into_iter().flatten() {
        if let Some(bytes) = exif.get_mut(range) {
            bytes.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::encode;
    use crate::limits::LIMITS;

    /// EXIF with orientation 6, a software tag, and a thumbnail of five bytes.
    fn exif(little: bool) -> Vec<u8> {
        let number = |n: usize, bytes: usize| {
            let all = n.to_le_bytes()[..bytes].to_vec();
            if little { all } else { all.into_iter().rev().collect() }
        };
        let entry = |tag, kind, value: Vec<u8>| {
            let mut all = [number(tag, 2), number(kind, 2), number(1, 4), value].concat();
            all.resize(12, 0);
            all
        };
        let mut all = if little { b"II".to_vec() } else { b"MM".to_vec() };
        all.extend([number(42, 2), number(8, 4)].concat());
        // The first directory from 8 to 26, the second from 26 to 56, the thumbnail from 56.
        all.extend([number(1, 2), entry(0x112, 3, number(6, 2)), number(26, 4)].concat());
        let second = [entry(0x201, 4, number(56, 4)), entry(0x202, 4, number(5, 4))].concat();
        all.extend([number(2, 2), second, number(0, 4)].concat());
        all.extend(b"thumb");
        all
    }

    #[test]
    fn pixels_that_are_upright_and_new_have_fitting_metadata() {
        let mut profile = vec![0; 128];
        profile[16..20].copy_from_slice(b"RGB ");
        let picture = Raster::filled(9, 8, &[1, 2, 3]).unwrap();
        for little in [true, false] {
            let all = Metadata { exif: Some(exif(little)), icc: Some(profile.clone()) };
            for bytes in [
                encode::jpeg_with(&picture, 90, &all).unwrap(),
                encode::png_with(&picture, &[], &all).unwrap(),
                encode::webp_with(&picture, &all).unwrap(),
            ] {
                let read = Metadata::of(&bytes, &LIMITS);
                assert_eq!(read.icc, Some(profile.clone()));
                assert_eq!(read.profile(&picture), Some(&profile[..]));
                let mut wanted = exif(little);
                wanted[if little { 18 } else { 19 }] = 1;
                wanted[22..26].fill(0);
                wanted[56..].fill(0);
                assert_eq!(read.exif, Some(wanted));
            }
        }
        let grey = Raster::filled(2, 2, &[7]).unwrap();
        let all = Metadata { exif: None, icc: Some(profile) };
        assert_eq!(all.profile(&grey), None);
        assert_eq!(Metadata::of(&encode::jpeg_with(&grey, 90, &all).unwrap(), &LIMITS).icc, None);
    }

    #[test]
    fn broken_blocks_are_left_alone() {
        assert!(Metadata::of(b"no picture", &LIMITS).is_empty());
        for cut in 0..exif(true).len() {
            let mut part = exif(true)[..cut].to_vec();
            without_thumbnail(&mut part);
            assert_eq!(part.len(), cut);
        }
        let mut far = exif(false);
        far[22..26].fill(0xff);
        without_thumbnail(&mut far);
        assert_eq!(far[22..26], [0; 4]);
    }
}
