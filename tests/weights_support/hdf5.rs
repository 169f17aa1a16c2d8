//! Hostile HDF5 files, put together by hand: each has one structure that lies.

use super::{cuts, reference};

type Cases = Vec<(String, Vec<u8>)>;

const UNDEFINED: u64 = u64::MAX;

fn le(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// A message of a header of version 1.
fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let size = body.len().next_multiple_of(8);
    let mut out = [&kind.to_le_bytes()[..], &(size as u16).to_le_bytes(), &[0; 4], body].concat();
    out.resize(8 + size, 0);
    out
}

/// An object header of version 1.
fn header(messages: &[Vec<u8>]) -> Vec<u8> {
    let body = messages.concat();
    let count = messages.len() as u16;
    [
        &[1, 0][..],
        &count.to_le_bytes(),
        &[1, 0, 0, 0],
        &(body.len() as u32).to_le_bytes(),
        &[0; 4],
        &body,
    ]
    .concat()
}

/// A file of superblock version 2 whose root group is at byte 48; `end` of the file as stated.
fn file(root: &[u8], rest: &[u8], end: Option<u64>) -> Vec<u8> {
    let len = (48 + root.len() + rest.len()) as u64;
    let addresses = le(&[0, UNDEFINED, end.unwrap_or(len), 48]);
    [b"\x89HDF\r\n\x1a\n\x02\x08\x08\0", &addresses[..], &[0; 4], root, rest].concat()
}

/// A hard link with a short name.
fn link(name: &str, to: u64) -> Vec<u8> {
    message(6, &[&[1, 0, name.len() as u8][..], name.as_bytes(), &le(&[to])].concat())
}

fn space(sizes: &[u64]) -> Vec<u8> {
    message(1, &[&[2, sizes.len() as u8, 0, 1][..], &le(sizes)].concat())
}

fn floats() -> Vec<u8> {
    let properties = [0u8, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0];
    message(3, &[&[0x11, 0x20, 31, 0, 4, 0, 0, 0][..], &properties].concat())
}

/// Numbers in one piece.
fn whole(at: u64, bytes: u64) -> Vec<u8> {
    message(8, &[&[3, 1][..], &le(&[at, bytes])].concat())
}

fn chunked(tree: u64, sizes: &[u32]) -> Vec<u8> {
    let sizes: Vec<u8> = sizes.iter().chain(&[4]).flat_map(|s| s.to_le_bytes()).collect();
    let rank = (sizes.len() / 4) as u8;
    message(8, &[&[3, 2, rank][..], &le(&[tree]), &sizes].concat())
}

const DEFLATE: &[u8] = &[1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0];

/// A leaf of a tree of chunks: stored bytes, place of the first element, address.
fn tree(level: u8, chunks: &[(u32, Vec<u64>, u64)]) -> Vec<u8> {
    let count = chunks.len() as u16;
    let head = [b"TREE\x01", &[level][..], &count.to_le_bytes(), &le(&[UNDEFINED; 2])].concat();
    let entry = |(size, first, at): &(u32, Vec<u64>, u64)| {
        [&size.to_le_bytes()[..], &[0; 4], &le(first), &le(&[0, *at])].concat()
    };
    [head, chunks.iter().flat_map(entry).collect()].concat()
}

/// A file with one dataset `a` of these messages; `rest` lies at byte 512.
fn dataset(messages: &[Vec<u8>], rest: &[u8]) -> Vec<u8> {
    let mut root = header(&[link("a", 128)]);
    root.resize(80, 0);
    let mut body = header(messages);
    body.resize(384, 0);
    file(&root, &[body, rest.to_vec()].concat(), None)
}

/// Everything that must be refused.
pub fn all() -> Cases {
    let root = |messages: &[Vec<u8>]| file(&header(messages), &[0; 64], None);
    let mut out: Cases = vec![
        ("hdf5: the root in itself | twice".into(), root(&[link("a", 48)])),
        ("hdf5: an address behind the end".into(), root(&[link("a", 1 << 40)])),
        ("hdf5: an address of 2^64-2".into(), root(&[link("a", UNDEFINED - 1)])),
        ("hdf5: a file that is cut | cut".into(), file(&header(&[]), &[], Some(1 << 40))),
        ("hdf5: a header that continues in itself | structure".into(), {
            let continued = message(0x10, &le(&[64, 24]));
            root(&[continued])
        }),
        ("hdf5: a header of 4 GiB".into(), {
            let mut bytes = root(&[]);
            bytes[56..60].copy_from_slice(&u32::MAX.to_le_bytes());
            bytes
        }),
        (
            "hdf5: dense links | fractal heap".into(),
            root(&[message(2, &[&[0, 0][..], &le(&[96, 96])].concat())]),
        ),
        (
            "hdf5: sizes that overflow | limits".into(),
            dataset(&[space(&[1 << 40, 1 << 40]), floats(), whole(512, 16)], &[0; 16]),
        ),
        (
            "hdf5: numbers behind the end".into(),
            dataset(&[space(&[1 << 20]), floats(), whole(512, 4 << 20)], &[0; 16]),
        ),
        (
            "hdf5: numbers that were never written | never written".into(),
            dataset(&[space(&[4]), floats(), whole(UNDEFINED, 16)], &[0; 16]),
        ),
        (
            "hdf5: 33 dimensions | 32 dimensions".into(),
            dataset(&[space(&[1; 33]), floats(), whole(512, 4)], &[0; 16]),
        ),
        (
            "value: hdf5 NaN".into(),
            dataset(&[space(&[1]), floats(), whole(512, 4)], &f32::NAN.to_le_bytes()),
        ),
        (
            "hdf5: chunks of nothing".into(),
            dataset(&[space(&[4]), floats(), chunked(512, &[0])], &tree(0, &[])),
        ),
        (
            "hdf5: chunks larger than the dataset | within".into(),
            dataset(&[space(&[4]), floats(), chunked(512, &[1 << 30])], &tree(0, &[])),
        ),
        (
            "hdf5: a million chunks | 100000".into(),
            dataset(&[space(&[1 << 20]), floats(), chunked(512, &[1])], &tree(0, &[])),
        ),
        (
            "hdf5: a chunk missing | once".into(),
            dataset(&[space(&[4]), floats(), chunked(512, &[2])], &tree(0, &[(8, vec![0], 512)])),
        ),
        (
            "hdf5: a chunk twice | once".into(),
            dataset(
                &[space(&[4]), floats(), chunked(512, &[2])],
                &tree(0, &[(8, vec![0], 512), (8, vec![0], 512)]),
            ),
        ),
        (
            "hdf5: a tree in itself | one level".into(),
            dataset(&[space(&[4]), floats(), chunked(512, &[4])], &tree(3, &[(8, vec![0], 512)])),
        ),
        (
            "hdf5: an unknown filter | filter 4".into(),
            dataset(
                &[
                    space(&[4]),
                    floats(),
                    message(0xb, &{
                        let mut szip = DEFLATE.to_vec();
                        szip[8] = 4;
                        szip
                    }),
                    chunked(512, &[4]),
                ],
                &tree(0, &[(8, vec![0], 512)]),
            ),
        ),
        (
            "value: hdf5 chunk that is not packed".into(),
            dataset(
                &[space(&[4]), floats(), message(0xb, DEFLATE), chunked(512, &[4])],
                &tree(0, &[(16, vec![0], 512)]),
            ),
        ),
        (
            "value: hdf5 chunk of another size".into(),
            dataset(&[space(&[4]), floats(), chunked(512, &[4])], &tree(0, &[(15, vec![0], 512)])),
        ),
        ("hdf5: many datasets of the same bytes | unfolds".into(), shared()),
    ];
    out.extend(deep());
    out.extend(configurations());
    out.extend(cuts("hdf5", &reference("keras/layouts_v0.h5"), 509));
    out
}

/// 1000 datasets of 1 MiB each that share their bytes.
fn shared() -> Vec<u8> {
    let count = 1000u64;
    let one = header(&[space(&[1 << 18]), floats(), whole(0, 1 << 20)]);
    let names: Vec<String> = (0..count).map(|i| format!("d{i}")).collect();
    let size = |to: u64| names.iter().map(|n| link(n, to).len()).sum::<usize>() + 16;
    let first = 48 + size(0) as u64;
    let links: Vec<Vec<u8>> =
        names.iter().zip(0..).map(|(n, i)| link(n, first + i * one.len() as u64)).collect();
    let rest = one.repeat(count as usize);
    file(&header(&links), &[rest, vec![0; 1 << 20]].concat(), None)
}

/// Groups in groups, far beyond the depth that is read.
fn deep() -> Cases {
    let one = header(&[link("g", 0)]).len() as u64;
    let groups: Vec<u8> =
        (0..5000u64).flat_map(|i| header(&[link("g", 48 + (i + 1) * one)])).collect();
    vec![("hdf5: groups in groups | deep".into(), file(&groups, &[0; 64], None))]
}

/// An attribute of fixed text.
fn attribute(name: &str, text: &[u8]) -> Vec<u8> {
    let kind = [&[0x13, 0, 0, 0][..], &(text.len() as u32).to_le_bytes()].concat();
    let sizes = [name.len() as u16, kind.len() as u16, 4].map(u16::to_le_bytes).concat();
    message(
        0x0c,
        &[&[3, 0][..], &sizes, &[0], name.as_bytes(), &kind, &[2, 0, 0, 0], text].concat(),
    )
}

/// Configurations that are no JSON, or nest without end.
fn configurations() -> Cases {
    let text = |text: &[u8]| file(&header(&[attribute("model_config", text)]), &[0; 64], None);
    vec![
        ("hdf5: a configuration of brackets | JSON".into(), text(&b"[".repeat(60_000))),
        ("hdf5: a configuration with an escape | JSON".into(), text(b"\x1b[2J")),
        ("hdf5: a configuration that is empty | JSON".into(), text(b"")),
    ]
}
