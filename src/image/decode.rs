//! Reading pictures from outside: bounded before anything is decoded, turned as the camera says.

use super::raster::Raster;
use crate::error::{Error, Kind, Result};
use crate::limits::Limits;
use crate::safe::Safe;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};
use std::io::{Cursor, Read};
use std::path::Path;

/// A picture and what was done to it on the way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The picture, upright.
    pub raster: Raster,
    /// Notes: `turned by EXIF`, `16 bits reduced to 8`, `first frame`.
    pub notes: Vec<String>,
}

/// Reads a picture file; see [`decode`].
///
/// # Errors
/// When the file cannot be read, is longer than `limits.image_bytes`, or does not decode.
pub fn read(path: &Path, limits: &Limits) -> Result<Decoded> {
    decode(&path.display().to_string(), &content(path, limits)?, limits)
}

/// The content of a picture file.
///
/// # Errors
/// When the file cannot be read, or is longer than `limits.image_bytes`.
pub fn content(path: &Path, limits: &Limits) -> Result<Vec<u8>> {
    let shown = path.display().to_string();
    let failed = |e: std::io::Error| Error::io(format!("cannot read {}", Safe(&shown)), &e);
    let file = crate::store::open_regular(path).map_err(failed)?;
    let mut bytes = Vec::new();
    // Stop reading one byte after the limit, whatever the file claims.
    file.take(limits.image_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limits.image_bytes {
        return Err(Error::new(
            Kind::Limit,
            format!("{}: longer than {} bytes", Safe(&shown), limits.image_bytes),
        ));
    }
    Ok(bytes)
}

/// Decodes a PNG, JPEG, WebP or GIF (its first frame) and turns it as its EXIF orientation says.
/// `name` is for errors.
///
/// 16-bit samples are reduced to 8, grey with alpha becomes rgba. Colours are taken as sRGB;
/// another profile is noted.
///
/// # Errors
/// `Format` for bytes that are not a supported picture or are cut short; `Limit` for a side beyond
/// `limits.image_side` or more than `limits.image_bytes` decoded, both taken from the header before
/// anything is decoded.
pub fn decode(name: &str, bytes: &[u8], limits: &Limits) -> Result<Decoded> {
    let broken = |rule: String| Error::format(name, 0, Safe(&rule));
    let format =
        image::guess_format(bytes).ok().filter(|f| SUPPORTED.contains(f)).ok_or_else(|| {
            broken("not a PNG, JPEG, WebP or GIF picture".into()).hint("convert it to PNG first")
        })?;
    if format == ImageFormat::Jpeg && !jpeg_is_whole(bytes) {
        return Err(Error::format(
            name,
            bytes.len() as u64,
            "the JPEG ends before its picture does",
        )
        .hint("copy or download the file again"));
    }
    // Before the decoder, whose own limits name no numbers.
    if let Ok((w, h)) = ImageReader::with_format(Cursor::new(bytes), format).into_dimensions() {
        check_sides(name, (w, h), limits)?;
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(crate_limits(limits));
    let mut decoder = reader.into_decoder().map_err(|e| refused(name, &e))?;
    check_size(name, &decoder, limits)?;
    let mut notes = Vec::new();
    let turn = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    if decoder.icc_profile().ok().flatten().is_some_and(|p| !is_srgb(&p)) {
        notes.push("its colour profile is not applied: colours are read as sRGB".into());
    }
    let kind = decoder.color_type();
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| refused(name, &e))?;
    if turn != Orientation::NoTransforms {
        picture.apply_orientation(turn);
        notes.push("turned by EXIF".into());
    }
    if kind.bytes_per_pixel() / kind.channel_count() > 1 {
        notes.push("16 bits reduced to 8".into());
    }
    if format == ImageFormat::Gif {
        notes.push("first frame".into());
    }
    Ok(Decoded { raster: raster(picture, kind)?, notes })
}

const SUPPORTED: [ImageFormat; 4] =
    [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif];

/// The limits as the decoders of the crate `image` take them.
pub(super) fn crate_limits(limits: &Limits) -> image::Limits {
    let mut l = image::Limits::default();
    l.max_image_width = Some(limits.image_side);
    l.max_image_height = Some(limits.image_side);
    // The decoder's scratch space comes on top of the picture itself.
    l.max_alloc = Some(limits.image_bytes.saturating_mul(2));
    l
}

fn too_big(name: &str, (w, h): (u32, u32), what: &str) -> Error {
    Error::new(Kind::Limit, format!("{}: {w}×{h} pixels, {what}", Safe(name))).hint(
        "reduce the picture first, for example with ImageMagick: magick IN -resize 4096x4096 OUT",
    )
}

fn check_sides(name: &str, (w, h): (u32, u32), limits: &Limits) -> Result<()> {
    if w.max(h) > limits.image_side {
        let what = format!("a side may have {}", limits.image_side);
        return Err(too_big(name, (w, h), &what));
    }
    Ok(())
}

fn check_size(name: &str, decoder: &impl ImageDecoder, limits: &Limits) -> Result<()> {
    let (w, h) = decoder.dimensions();
    if w == 0 || h == 0 {
        return Err(Error::format(name, 0, "the picture is empty"));
    }
    check_sides(name, (w, h), limits)?;
    let bytes = decoder.total_bytes();
    if bytes > limits.image_bytes {
        let mb = |b: u64| b.div_ceil(1 << 20);
        let (has, most) = (mb(bytes), mb(limits.image_bytes));
        return Err(too_big(name, (w, h), &format!("{has} MB decoded, {most} MB are allowed")));
    }
    Ok(())
}

fn refused(name: &str, error: &ImageError) -> Error {
    match error {
        ImageError::Limits(e) => {
            Error::new(Kind::Limit, format!("{}: {e}", Safe(name))).hint("reduce the picture first")
        }
        e => Error::format(name, 0, Safe(&e.to_string())),
    }
}

fn raster(picture: DynamicImage, kind: ColorType) -> Result<Raster> {
    let (w, h) = (picture.width() as usize, picture.height() as usize);
    match (kind.has_color(), kind.has_alpha()) {
        (false, false) => Raster::new(w, h, 1, picture.into_luma8().into_raw()),
        (true, false) => Raster::new(w, h, 3, picture.into_rgb8().into_raw()),
        _ => Raster::new(w, h, 4, picture.into_rgba8().into_raw()),
    }
}

/// Whether a profile calls itself sRGB, in the ASCII or the UTF-16 form of its description.
fn is_srgb(profile: &[u8]) -> bool {
    profile.windows(4).any(|w| w == b"sRGB") || profile.windows(8).any(|w| w == b"\0s\0R\0G\0B")
}

/// Whether the end-of-image marker follows the scans. The decoder itself fills what is missing with
/// grey, silently.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let (Some(&a), Some(&b)) = (bytes.get(at), bytes.get(at + 1)) {
        match (a, b) {
            (0xff, 0xd9) => return true,
            // Fill bytes, then stuffed zeros and markers without a length.
            (0xff, 0xff) => at += 1,
            (0xff, 0x00 | 0x01 | 0xd0..=0xd8) => at += 2,
            (0xff, _) => {
                let length = bytes
                    .get(at + 2..at + 4)
                    .map_or(0, |l| usize::from(l[0]) << 8 | usize::from(l[1]));
                at += 2 + length.max(2);
            }
            // Entropy-coded data, or bytes between segments, over which decoders look for the next
            // marker.
            _ => at += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::encode;
    use crate::limits::LIMITS;

    fn picture() -> Raster {
        Raster::new(6, 4, 3, (0..72).map(|i| (i * 3) as u8).collect()).unwrap()
    }

    #[test]
    fn lossless_formats_come_back() {
        for c in [1, 3, 4] {
            let p = Raster::new(6, 4, c, (0..24 * c).map(|i| (i * 2) as u8).collect()).unwrap();
            let d = decode("a.png", &encode::png(&p, &[]).unwrap(), &LIMITS).unwrap();
            assert_eq!((d.raster, d.notes.len()), (p.clone(), 0));
            if c > 1 {
                assert_eq!(
                    decode("a.webp", &encode::webp(&p).unwrap(), &LIMITS).unwrap().raster,
                    p
                );
            }
        }
    }

    #[test]
    fn exif_turns_the_picture_and_says_so() {
        // Orientation 6 (turn a quarter clockwise) in the smallest TIFF header that says it.
        let exif = *b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let bright_left = Raster::new(16, 8, 1, [[255; 8], [0; 8]].concat().repeat(8)).unwrap();
        let jpeg = encode::jpeg(&bright_left, 95).unwrap();
        let mut turned = jpeg[..2].to_vec();
        turned.extend([0xff, 0xe1, 0, (exif.len() + 8) as u8]);
        turned.extend(b"Exif\0\0");
        turned.extend(exif);
        turned.extend(&jpeg[2..]);
        let d = decode("a.jpg", &turned, &LIMITS).unwrap();
        assert_eq!((d.raster.width, d.raster.height), (8, 16));
        assert!(d.raster.pixel(3, 2)[0] > 250 && d.raster.pixel(3, 13)[0] < 5);
        assert_eq!(d.notes, ["turned by EXIF"]);
    }

    #[test]
    fn a_cut_jpeg_is_refused() {
        let jpeg = encode::jpeg(&picture(), 90).unwrap();
        assert!(decode("a.jpg", &jpeg, &LIMITS).is_ok());
        for cut in [4, 100, jpeg.len() - 2, jpeg.len() - 1] {
            assert!(decode("a.jpg", &jpeg[..cut], &LIMITS).is_err(), "{cut}");
        }
    }

    #[test]
    fn limits_hold_before_decoding() {
        let png = encode::png(&picture(), &[]).unwrap();
        let side = Limits { image_side: 5, ..LIMITS };
        let bytes = Limits { image_bytes: 71, ..LIMITS };
        for l in [side, bytes] {
            let e = decode("a.png", &png, &l).unwrap_err();
            assert_eq!(e.kind(), Kind::Limit, "{e}");
        }
        assert!(
            decode("a.png", &png, &Limits { image_side: 6, image_bytes: 72, ..LIMITS }).is_ok()
        );
    }

    #[test]
    fn profiles_are_noticed() {
        assert!(
            is_srgb(b"desc sRGB IEC61966-2.1")
                && is_srgb(b"mluc\0s\0R\0G\0B")
                && !is_srgb(b"Display P3")
        );
    }
}
