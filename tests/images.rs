//! Pictures from outside are bounded, and resampling agrees with Pillow.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use gannet::error::Kind;
use gannet::image::resample::resize_f32;
use gannet::image::{Filter, Raster, decode, encode, read, resize};
use gannet::limits::LIMITS;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/resample").join(name)
}

const FILTERS: [(Filter, &str); 3] =
    [(Filter::Area, "box"), (Filter::Bicubic, "bicubic"), (Filter::Lanczos3, "lanczos")];

#[test]
fn resampling_agrees_with_pillow() {
    let bytes = std::fs::read(reference("resample.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let wide = read(&reference("source_96x128.png"), &LIMITS).unwrap().raster;
    let small = read(&reference("source_30x40.png"), &LIMITS).unwrap().raster;
    let jobs =
        [("down", &wide), ("exact", &wide), ("wide", &wide), ("tiny", &small), ("up", &small)];
    let (mut bytes_seen, mut equal) = (0, 0);
    for (job, source) in jobs {
        for (filter, name) in FILTERS {
            let exact = tensors.tensor(&format!("{job}.{name}.f32")).unwrap();
            let (h, w) = (exact.shape()[0], exact.shape()[1]);
            let values: Vec<f32> = source.data.iter().map(|&v| f32::from(v)).collect();
            let ours =
                resize_f32(&values, 3, (source.width, source.height), (w, h), filter).unwrap();
            let theirs =
                exact.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            let worst =
                ours.iter().zip(theirs).map(|(a, b)| (a - b * 255.0).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-3, "{job} {name}: {worst} of 255");
            let rounded = tensors.tensor(&format!("{job}.{name}.u8")).unwrap();
            let ours = resize(source, w, h, filter).unwrap().data;
            let off = ours.iter().zip(rounded.data()).map(|(a, b)| a.abs_diff(*b)).max();
            // Pillow uses fixed-point weights, which may round the other way near a half.
            assert!(off <= Some(1), "{job} {name}: {off:?}");
            bytes_seen += ours.len();
            equal += ours.iter().zip(rounded.data()).filter(|(a, b)| a == b).count();
        }
    }
    let share = equal as f64 / bytes_seen as f64;
    assert!(share > 0.99, "only {share} of the bytes are Pillow's");
}

fn picture() -> Raster {
    let v = |i: usize| [(i % 251) as u8, (i * 7 % 253) as u8, (i / 97) as u8];
    Raster::new(97, 61, 3, (0..97 * 61).flat_map(v).collect()).unwrap()
}

/// Makes a PNG chunk with its checksum.
fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut all = kind.to_vec();
    all.extend(body);
    let crc = all.iter().fold(!0u32, |crc, b| {
        (0..8).fold(
            crc ^ u32::from(*b),
            |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 },
        )
    });
    let mut out = (body.len() as u32).to_be_bytes().to_vec();
    out.extend(all);
    out.extend((!crc).to_be_bytes());
    out
}

fn png_with(width: u32, height: u32, depth: u8, colour: u8, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut header = width.to_be_bytes().to_vec();
    header.extend(height.to_be_bytes());
    header.extend([depth, colour, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    out.extend(chunk(b"IHDR", &header));
    chunks.iter().for_each(|c| out.extend(c));
    out.extend(chunk(b"IEND", &[]));
    out
}

/// Makes a zlib stream that unpacks to about 1000 times its size: a long run of a single byte, with
/// fixed Huffman codes.
fn zlib_run(bytes: usize) -> Vec<u8> {
    let mut bits = Vec::new();
    let mut push = |value: u32, count: u32, msb_first: bool| {
        (0..count).for_each(|k| bits.push(value >> if msb_first { count - 1 - k } else { k } & 1));
    };
    push(1, 1, false);
    push(1, 2, false);
    push(0x30, 8, true);
    for _ in 0..bytes / 258 {
        // Length 258 (code 285, no extra bits), distance 1 (code 0).
        push(0b1100_0101, 8, true);
        push(0, 5, true);
    }
    push(0, 7, true);
    let mut out = vec![0x78, 0x01];
    out.extend(
        bits.chunks(8).map(|b| b.iter().enumerate().fold(0u8, |v, (k, bit)| v | (*bit as u8) << k)),
    );
    out.extend([0; 4]);
    out
}

fn bombs() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>| all.push((name.to_string(), bytes));
    let idat = |body: &[u8]| chunk(b"IDAT", body);
    for (w, h) in [
        (8193, 1),
        (1, 8193),
        (100_000, 100_000),
        (u32::MAX, u32::MAX),
        (0x7fff_ffff, 1),
        (0, 5),
        (5, 0),
    ] {
        add(&format!("png {w}x{h}"), png_with(w, h, 8, 2, &[idat(&zlib_run(1000))]));
    }
    add("png 8192² of 16 bits", png_with(8192, 8192, 16, 6, &[idat(&zlib_run(100_000))]));
    add("png that ends early inside", png_with(4000, 4000, 8, 2, &[idat(&zlib_run(100_000))]));
    add("png without data", png_with(10, 10, 8, 2, &[]));
    add("png of no known depth", png_with(10, 10, 7, 2, &[idat(&zlib_run(1000))]));
    add("png of no known colour", png_with(10, 10, 8, 5, &[idat(&zlib_run(1000))]));
    add("png without its palette", png_with(10, 10, 8, 3, &[idat(&zlib_run(1000))]));
    add("png with noise for data", png_with(10, 10, 8, 2, &[idat(&[0x55; 300])]));
    let mut long = b"\x89PNG\r\n\x1a\n".to_vec();
    long.extend([0xff; 8]);
    add("png with a chunk of 4 GiB", long);
    let mut text = b"k\0\0".to_vec();
    text.extend(zlib_run(300 << 20));
    add(
        "png with 300 MiB of text",
        png_with(8200, 4, 8, 2, &[chunk(b"zTXt", &text), idat(&zlib_run(1000))]),
    );
    let mut profile = b"p\0\0".to_vec();
    profile.extend(zlib_run(300 << 20));
    add(
        "png with a profile of 300 MiB",
        png_with(4, 4, 8, 2, &[chunk(b"iCCP", &profile), idat(&zlib_run(10))]),
    );
    let gif =
        |w: u16, h: u16| [&b"GIF89a"[..], &w.to_le_bytes(), &h.to_le_bytes(), &[0, 0, 0]].concat();
    add("gif of 65535²", gif(65535, 65535));
    add("gif of no pixels", gif(0, 0));
    add("gif without a frame", [gif(10, 10), vec![0x3b]].concat());
    let frame = [0x2c, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 2, 1, 0, 0, 0x3b];
    add("gif whose frame is larger than itself", [gif(10, 10), frame.to_vec()].concat());
    let jpeg = encode::jpeg(&picture(), 90).unwrap();
    let frame_header = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    for (name, side) in [
        ("jpeg of 65535²", [0xff; 4]),
        ("jpeg of no pixels", [0; 4]),
        ("jpeg of 1×9000", [0x23, 0x28, 0, 1]),
    ] {
        let mut broken = jpeg.clone();
        broken[frame_header + 5..frame_header + 9].copy_from_slice(&side);
        add(name, broken);
    }
    add("jpeg of two markers", vec![0xff, 0xd8, 0xff, 0xd9]);
    add("jpeg of one segment", vec![0xff, 0xd8, 0xff, 0xe0, 0xff, 0xff]);
    let webp = encode::webp(&picture()).unwrap();
    let mut canvas = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec();
    canvas.extend([0xff; 6]);
    add("webp of 16777216²", canvas);
    add("webp of nothing", b"RIFF\x04\0\0\0WEBP".to_vec());
    for (name, bytes) in [
        ("text", &b"hello"[..]),
        ("empty", b""),
        ("svg", b"<svg/>"),
        ("bmp", b"BM\0\0\0\0"),
        ("tiff", b"II*\0"),
    ] {
        add(name, bytes.to_vec());
    }
    let gif = encode::gif(&[picture()], 50).unwrap();
    let png = encode::png(&picture(), &[]).unwrap();
    for (name, whole) in [("png", png), ("jpeg", jpeg), ("webp", webp), ("gif", gif)] {
        assert!(decode(name, &whole, &LIMITS).is_ok(), "{name} is broken before it is cut");
        for percent in [1, 5, 20, 45, 70, 80, 90] {
            add(
                &format!("{name} cut at {percent} %"),
                whole[..whole.len() * percent / 100].to_vec(),
            );
        }
    }
    all
}

/// Peak memory of this process in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) >> 10
}

/// Processor time of this thread, which decodes everything; a busy machine does not change it.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

#[test]
fn bombs_and_truncations_are_errors() {
    let bombs = bombs();
    assert!(bombs.len() >= 60, "{}", bombs.len());
    let before = peak();
    for (name, bytes) in &bombs {
        let start = worked();
        let error = match decode("b.png", bytes, &LIMITS) {
            Err(e) => e,
            // A colour profile is not part of the picture, so a profile that is too large may be
            // dropped.
            Ok(d) if name.contains("profile") => {
                assert_eq!((d.raster.width, d.raster.height), (4, 4));
                continue;
            }
            Ok(d) => panic!("{name}: read as {}×{}", d.raster.width, d.raster.height),
        };
        assert!(matches!(error.kind(), Kind::Format | Kind::Limit), "{name}: {error}");
        assert!(error.to_string().starts_with("b.png: "), "{name}: {error}");
        let work = worked() - start;
        assert!(work < Duration::from_secs(5), "{name} took {work:?} of processor time");
    }
    let grown = peak() - before;
    assert!(grown < 600, "{grown} MiB more");
}

#[test]
fn files_that_are_no_files() {
    // A device is refused, whatever it contains; so is a file beyond the limit.
    let endless = read(Path::new("/dev/zero"), &LIMITS).unwrap_err();
    assert!(endless.kind() == Kind::Io && endless.message().contains("regular file"), "{endless}");
    let large = tempfile::NamedTempFile::new().unwrap();
    large.as_file().set_len(2 << 20).unwrap();
    let limits = gannet::limits::Limits { image_bytes: 1 << 20, ..LIMITS };
    assert_eq!(read(large.path(), &limits).unwrap_err().kind(), Kind::Limit);
    assert_eq!(read(Path::new("/nowhere/\u{1b}[2J"), &LIMITS).unwrap_err().kind(), Kind::Io);
    assert!(
        !read(Path::new("/nowhere/\u{1b}[2J"), &LIMITS).unwrap_err().to_string().contains('\u{1b}')
    );
    assert!(read(Path::new("/"), &LIMITS).is_err());
}
