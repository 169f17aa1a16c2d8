//! Writing pictures: PNG with its provenance, JPEG, WebP, GIF and APNG animations, contact sheets.

use super::metadata::{JPEG_EXIF, Metadata};
use super::palette::Palette;
use super::raster::Raster;
use crate::control::check;
use crate::error::{Error, Kind, Result};
use crate::limits::LIMITS;
use image::codecs::gif::{GifEncoder, Repeat};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::{Delay, ExtendedColorType, Frame, ImageEncoder, RgbaImage};
use std::borrow::Cow;
use std::fmt::Display;

/// Pixels between the pictures of a [`grid`].
pub const GAP: usize = 2;

fn failed(format: &str, p: &Raster, e: impl Display) -> Error {
    Error::runtime(format!("cannot write a {}×{} picture as {format}: {e}", p.width, p.height))
}

fn size(format: &str, p: &Raster) -> Result<(u32, u32)> {
    let side = |n: usize| u32::try_from(n).map_err(|e| failed(format, p, e));
    Ok((side(p.width)?, side(p.height)?))
}

fn color(p: &Raster) -> ExtendedColorType {
    match p.channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => ExtendedColorType::Rgba8,
    }
}

/// A PNG with these texts (key, value) in this order; the same input gives the same bytes.
///
/// Keys have 1 to 79 Latin-1 characters. Values in Latin-1 go into `tEXt`, others into `iTXt`.
/// Compression is fast: the default level is thirty times slower here and no smaller.
pub fn png(picture: &Raster, texts: &[(String, String)]) -> Result<Vec<u8>> {
    png_with(picture, texts, &Metadata::default())
}

/// As [`png()`], with EXIF and a colour profile.
pub fn png_with(
    picture: &Raster,
    texts: &[(String, String)],
    metadata: &Metadata,
) -> Result<Vec<u8>> {
    let fail = |e: png::EncodingError| failed("PNG", picture, e);
    let mut out = Vec::new();
    let encoder = png_encoder(&mut out, picture, texts, metadata)?;
    let mut writer = encoder.write_header().map_err(fail)?;
    writer.write_image_data(&picture.data).map_err(fail)?;
    writer.finish().map_err(fail)?;
    Ok(out)
}

/// A PNG encoder for pictures of this size and mode, with these texts.
fn png_encoder<'o>(
    out: &'o mut Vec<u8>,
    picture: &Raster,
    texts: &[(String, String)],
    metadata: &Metadata,
) -> Result<png::Encoder<'o, &'o mut Vec<u8>>> {
    let fail = |e: png::EncodingError| failed("PNG", picture, e);
    let (w, h) = size("PNG", picture)?;
    let mut info = png::Info::with_size(w, h);
    info.icc_profile = metadata.profile(picture).map(|p| Cow::Owned(p.to_vec()));
    info.exif_metadata = metadata.exif.clone().map(Cow::Owned);
    let mut encoder = png::Encoder::with_info(out, info).map_err(fail)?;
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_color(match picture.channels {
        1 => png::ColorType::Grayscale,
        3 => png::ColorType::Rgb,
        _ => png::ColorType::Rgba,
    });
    for (key, value) in texts {
        let (key, value) = (key.clone(), value.clone());
        let latin = value.chars().all(|c| (c as u32) < 256);
        if latin { encoder.add_text_chunk(key, value) } else { encoder.add_itxt_chunk(key, value) }
            .map_err(fail)?;
    }
    Ok(encoder)
}

/// An endless animated PNG of pictures of one size, in all colours, with texts as [`png()`] has
/// them. What does not know animations shows the first picture.
pub fn apng(frames: &[Raster], fps: f64, texts: &[(String, String)]) -> Result<Vec<u8>> {
    let first = same_size(frames)?;
    let fail = |e: png::EncodingError| failed("APNG", first, e);
    let channels = frames.iter().map(|f| f.channels).max().unwrap_or(3);
    let pattern = first.converted(channels)?.0;
    let count = u32::try_from(frames.len()).map_err(|e| failed("APNG", first, e))?;
    let mut out = Vec::new();
    let mut encoder = png_encoder(&mut out, &pattern, texts, &Metadata::default())?;
    encoder.set_animated(count, 0).map_err(fail)?;
    // Seconds as a fraction: at most 100 frames a second, in hundredths.
    encoder.set_frame_delay(100, (fps * 100.0).round() as u16).map_err(fail)?;
    let mut writer = encoder.write_header().map_err(fail)?;
    for frame in frames {
        check()?;
        writer.write_image_data(&frame.converted(channels)?.0.data).map_err(fail)?;
    }
    writer.finish().map_err(fail)?;
    Ok(out)
}

/// The first of the frames of an animation, which all have its size.
pub(super) fn same_size(frames: &[Raster]) -> Result<&Raster> {
    let first =
        frames.first().ok_or_else(|| Error::runtime("an animation needs at least one picture"))?;
    match frames.iter().find(|f| (f.width, f.height) != (first.width, first.height)) {
        None => Ok(first),
        Some(odd) => {
            let sizes =
                format!("{}×{} and {}×{}", first.width, first.height, odd.width, odd.height);
            Err(Error::runtime(format!("frames of {sizes} do not fit into one animation")))
        }
    }
}

/// The texts that [`png()`] wrote: first those in `tEXt`, then those in `iTXt`, each in their
/// order.
///
/// # Errors
/// When the bytes are not a PNG.
#[cfg(any(test, feature = "internals"))]
pub fn png_texts(bytes: &[u8]) -> Result<Vec<(String, String)>> {
    let reader = png::Decoder::new(std::io::Cursor::new(bytes))
        .read_info()
        .map_err(|e| Error::format("PNG", 0, e))?;
    let info = reader.info();
    let plain = info.uncompressed_latin1_text.iter().map(|t| (t.keyword.clone(), t.text.clone()));
    let mut texts: Vec<_> = plain.collect();
    for t in &info.utf8_text {
        texts.push((t.keyword.clone(), t.get_text().map_err(|e| Error::format("PNG", 0, e))?));
    }
    Ok(texts)
}

/// A JPEG of this quality (1 to 100); alpha is laid on white.
pub fn jpeg(picture: &Raster, quality: u8) -> Result<Vec<u8>> {
    jpeg_with(picture, quality, &Metadata::default())
}

/// As [`jpeg`], with EXIF and a colour profile.
///
/// # Errors
/// When the EXIF is longer than [`JPEG_EXIF`].
pub fn jpeg_with(picture: &Raster, quality: u8, metadata: &Metadata) -> Result<Vec<u8>> {
    let wanted = if picture.channels == 4 { 3 } else { picture.channels };
    let opaque = picture.converted(wanted)?.0;
    if let Some(long) = metadata.exif.as_ref().filter(|e| e.len() > JPEG_EXIF) {
        let text = format!("its EXIF of {} bytes is too long for a JPEG", long.len());
        return Err(failed("JPEG", picture, text).hint("save it as a png"));
    }
    let mut out = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut out, quality.clamp(1, 100));
    described("JPEG", encoder, &opaque, metadata)?;
    Ok(out)
}

/// A lossless WebP, for tests.
#[cfg(any(test, feature = "internals"))]
pub fn webp(picture: &Raster) -> Result<Vec<u8>> {
    webp_with(picture, &Metadata::default())
}

/// As [`webp`], with EXIF and a colour profile.
pub fn webp_with(picture: &Raster, metadata: &Metadata) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let encoder = WebPEncoder::new_lossless(&mut out);
    described("WebP", encoder, picture, metadata)?;
    Ok(out)
}

/// Writes a picture with its metadata.
fn described(
    format: &str,
    mut encoder: impl ImageEncoder,
    picture: &Raster,
    metadata: &Metadata,
) -> Result<()> {
    let (w, h) = size(format, picture)?;
    let fail = |e: &dyn Display| failed(format, picture, e);
    if let Some(exif) = &metadata.exif {
        encoder.set_exif_metadata(exif.clone()).map_err(|e| fail(&e))?;
    }
    if let Some(profile) = metadata.profile(picture) {
        encoder.set_icc_profile(profile.to_vec()).map_err(|e| fail(&e))?;
    }
    encoder.write_image(&picture.data, w, h, color(picture)).map_err(|e| fail(&e))
}

/// An endless GIF animation of pictures of one size, `delay` milliseconds each (GIF counts in
/// tens), with one palette of at most 256 colours for all frames, so that still parts do not
/// flicker. Alpha is laid on white.
pub fn gif(frames: &[Raster], delay: u32) -> Result<Vec<u8>> {
    let first = same_size(frames)?;
    let fail = |e: image::ImageError| failed("GIF", first, e);
    let palette = Palette::of(frames, 256)?;
    let (w, h) = size("GIF", first)?;
    let mut out = Vec::new();
    let mut encoder = GifEncoder::new(&mut out);
    encoder.set_repeat(Repeat::Infinite).map_err(fail)?;
    for frame in frames {
        check()?;
        // The encoder keeps a frame's colours as they are when there are 256 or fewer.
        let opaque =
            |&i: &u8| palette.0.get(usize::from(i)).map_or([0; 4], |c| [c[0], c[1], c[2], 255]);
        let rgba = palette.apply(frame)?.iter().flat_map(opaque).collect();
        let buffer =
            RgbaImage::from_raw(w, h, rgba).ok_or_else(|| failed("GIF", first, "wrong size"))?;
        let delay = Delay::from_numer_denom_ms(delay.max(10), 1);
        encoder.encode_frame(Frame::from_parts(buffer, 0, 0, delay)).map_err(fail)?;
    }
    drop(encoder);
    Ok(out)
}

/// Pictures of one size on one sheet, row by row, [`GAP`] black pixels between them.
pub fn grid(pictures: &[Raster], columns: usize) -> Result<Raster> {
    sheet(pictures, columns, Between { gap: GAP, shade: 0 })
}

/// What is between the pictures of a sheet.
#[derive(Clone, Copy, Debug)]
pub struct Between {
    /// Its width in pixels.
    pub gap: usize,
    /// Its shade of grey.
    pub shade: u8,
}

/// Pictures of one size on one sheet, row by row. All in the richest mode among them.
pub fn sheet(pictures: &[Raster], columns: usize, between: Between) -> Result<Raster> {
    let Between { gap, shade } = between;
    let first =
        pictures.first().ok_or_else(|| Error::runtime("a grid needs at least one picture"))?;
    let (w, h) = (first.width, first.height);
    let columns = columns.clamp(1, pictures.len());
    let rows = pictures.len().div_ceil(columns);
    let channels = pictures.iter().map(|p| p.channels).max().unwrap_or(3);
    let opaque = [shade, shade, shade, 255];
    let colour = if channels == 4 { &opaque[..] } else { &opaque[..channels] };
    let (wide, high) = (columns * (w + gap) - gap, rows * (h + gap) - gap);
    if wide.saturating_mul(high).saturating_mul(channels) as u64 > LIMITS.image_bytes {
        let allowed = LIMITS.image_bytes;
        let text = format!("a sheet of {wide}×{high} pixels has more than {allowed} bytes");
        return Err(Error::new(Kind::Limit, text).hint("put fewer pictures on it"));
    }
    let mut whole = Raster::filled(wide, high, colour)?;
    for (i, p) in pictures.iter().enumerate() {
        check()?;
        if (p.width, p.height) != (w, h) {
            let sizes = format!("{w}×{h} and {}×{}", p.width, p.height);
            return Err(Error::runtime(format!("pictures of {sizes} do not fit into one grid")));
        }
        let (left, top) = (i % columns * (w + gap), i / columns * (h + gap));
        let p = p.converted(channels)?.0;
        for (y, line) in p.data.chunks_exact(w * channels).enumerate() {
            let at = ((top + y) * whole.width + left) * channels;
            whole.data[at..at + line.len()].copy_from_slice(line);
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::decode;

    fn wave(phase: usize) -> Raster {
        let v = |x: usize, y: usize| [(x * 4 + phase) as u8, (y * 4) as u8, ((x + y) * 2) as u8];
        Raster::new(32, 32, 3, (0..1024).flat_map(|i| v(i % 32, i / 32)).collect()).unwrap()
    }

    #[test]
    fn png_carries_its_texts_and_repeats_its_bytes() {
        let texts = [("seed", "0"), ("Generator", "faces 77f0 ±"), ("title", "žena 顔")];
        let texts: Vec<_> = texts.map(|(k, v)| (k.to_string(), v.to_string())).to_vec();
        let bytes = png(&wave(0), &texts).unwrap();
        assert_eq!(bytes, png(&wave(0), &texts).unwrap());
        assert_eq!(png_texts(&bytes).unwrap(), texts);
        assert_eq!(decode("a.png", &bytes, &LIMITS).unwrap().raster, wave(0));
        assert!(png(&wave(0), &[(String::new(), "x".into())]).is_err());
        assert!(png(&wave(0), &[("k".repeat(80), "x".into())]).is_err());
    }

    #[test]
    fn jpeg_is_near() {
        let back = decode("a.jpg", &jpeg(&wave(0), 95).unwrap(), &LIMITS).unwrap().raster;
        let worst = back.data.iter().zip(&wave(0).data).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst < Some(16), "{worst:?}");
    }

    #[test]
    fn gif_frames_share_a_palette_and_repeat() {
        let frames: Vec<_> = (0..3).map(|k| wave(k * 40)).collect();
        let bytes = gif(&frames, 50).unwrap();
        assert_eq!(bytes, gif(&frames, 50).unwrap());
        let first = decode("a.gif", &bytes, &LIMITS).unwrap();
        assert_eq!(first.notes, ["first frame"]);
        let error: u64 = frames[0]
            .data
            .iter()
            .zip(first.raster.to_rgb().unwrap().data.iter())
            .map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2))
            .sum();
        // Mean squared error of 256 dithered colours: better than 30 dB.
        assert!((error as f64 / 3072.0) < 65.0, "{error}");
        let separators = bytes.windows(3).filter(|w| *w == [0x21, 0xf9, 4]).count();
        assert_eq!(separators, 3);
        assert!(
            gif(&[], 5).is_err()
                && gif(&[wave(0), Raster::filled(1, 1, &[0]).unwrap()], 5).is_err()
        );
    }

    #[test]
    fn an_apng_has_every_frame_as_it_is() {
        let grey = Raster::filled(32, 32, &[7]).unwrap();
        let frames = [wave(0), grey.clone(), wave(80)];
        let texts = [("gannet:seed".to_owned(), "3".to_owned())];
        let bytes = apng(&frames, 12.5, &texts).unwrap();
        assert_eq!(bytes, apng(&frames, 12.5, &texts).unwrap());
        assert_eq!(png_texts(&bytes).unwrap(), texts);
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let control = *reader.info().animation_control().unwrap();
        assert_eq!((control.num_frames, control.num_plays), (3, 0));
        for frame in &frames {
            let mut data = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut data).unwrap();
            assert_eq!(data, frame.converted(3).unwrap().0.data);
            let shown = reader.info().frame_control().unwrap();
            assert_eq!((shown.delay_num, shown.delay_den), (100, 1250));
        }
        assert_eq!(decode("a.png", &bytes, &LIMITS).unwrap().raster, frames[0]);
        assert!(apng(&[], 5.0, &[]).is_err());
        assert!(apng(&[wave(0), Raster::filled(1, 1, &[0]).unwrap()], 5.0, &[]).is_err());
    }

    #[test]
    fn grid_places_pictures() {
        let tile = |v: u8| Raster::filled(3, 2, &[v, v, v]).unwrap();
        let sheet = grid(&[tile(10), tile(20), tile(30)], 2).unwrap();
        assert_eq!((sheet.width, sheet.height), (8, 6));
        let at = |x, y| sheet.pixel(x, y)[0];
        assert_eq!(
            [at(2, 1), at(3, 0), at(4, 0), at(5, 0), at(0, 3), at(0, 4), at(5, 4)],
            [10, 0, 0, 20, 0, 30, 0]
        );
        assert!(grid(&[], 2).is_err());
        let white = Between { gap: 1, shade: 255 };
        let sheet = super::sheet(&[tile(10), tile(20), tile(30)], 2, white).unwrap();
        assert_eq!((sheet.width, sheet.height), (7, 5));
        let at = |x, y| sheet.pixel(x, y)[0];
        assert_eq!(
            [at(2, 1), at(3, 0), at(4, 0), at(0, 2), at(0, 3), at(6, 4)],
            [10, 255, 20, 255, 30, 255]
        );
        // Thousands of thin rows are a large sheet, however they are laid out.
        let thin = Raster::filled(8192, 1, &[0; 4]).unwrap();
        let sheets = [1, 40].map(|columns| grid(&vec![thin.clone(); 3000], columns));
        assert!(sheets.iter().all(|s| s.as_ref().is_err_and(|e| e.kind() == Kind::Limit)));
    }
}
