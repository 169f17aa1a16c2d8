//! The description of a network: an XML file whose layers of the type `Const` say where in the file
//! beside it their numbers are.
//!
//! Read are names, types, places and who reads a constant. What the other layers compute is not.

use super::super::array::DType;
use super::super::source::{Source, quoted};
use crate::error::Result;
use roxmltree::{Document, Node, ParsingOptions};
use std::collections::BTreeMap;

/// Bytes of a description at most.
const BYTES: u64 = 16 << 20;
/// Elements and texts of a description at most.
const NODES: u32 = 1 << 20;

/// A network.
pub(super) struct Graph {
    /// Its name.
    pub(super) name: String,
    /// The version of the tool that made it, as far as it says.
    pub(super) tool: Option<String>,
    /// Its constants in the order of the file.
    pub(super) constants: Vec<Constant>,
}

/// A tensor that the network holds.
pub(super) struct Constant {
    pub(super) name: String,
    pub(super) dtype: DType,
    pub(super) shape: Vec<u64>,
    /// First byte and number of bytes.
    pub(super) place: (u64, u64),
    /// Type of the layer that reads it: `Convolution`.
    pub(super) reader: String,
}

/// The types of numbers that are read.
const TYPES: [(&str, DType); 10] = [
    ("f16", DType::F16),
    ("bf16", DType::BF16),
    ("f32", DType::F32),
    ("f64", DType::F64),
    ("i8", DType::I8),
    ("i16", DType::I16),
    ("i32", DType::I32),
    ("i64", DType::I64),
    ("u8", DType::U8),
    ("boolean", DType::Bool),
];

/// Whether a file is such a description.
pub(super) fn describes(source: &Source) -> Result<bool> {
    let head = source.read(0, source.len().min(512))?;
    let text = String::from_utf8_lossy(&head);
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    if let Some(declared) = rest.strip_prefix("<?xml") {
        rest = declared.split_once("?>").map_or("", |(_, rest)| rest.trim_start());
    }
    Ok(rest.starts_with("<net "))
}

/// Reads a description.
///
/// Refused: what is no XML, too large or of another version, and constants whose places, types or
/// sizes cannot be read.
pub(super) fn read(source: &Source) -> Result<Graph> {
    if source.len() > BYTES {
        return Err(source.fail(0, format_args!("a description has at most {BYTES} bytes")));
    }
    let text = String::from_utf8(source.read(0, source.len())?)
        .map_err(|e| source.fail(e.utf8_error().valid_up_to() as u64, "the text is UTF-8"))?;
    let options = ParsingOptions { nodes_limit: NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&text, options)
        .map_err(|e| source.fail(0, format_args!("XML: {e}")))?;
    let net = document.root_element();
    let version = net.attribute("version").unwrap_or_default();
    if !net.has_tag_name("net") || !["10", "11"].contains(&version) {
        let rule = format!("a network of version 10 or 11 is read, this has {}", quoted(version));
        return Err(source.fail(0, rule));
    }
    let part = |name: &str| net.children().find(|n| n.has_tag_name(name));
    let layers = |n: Node<'_, '_>| n.has_tag_name("layer");
    let (Some(all), Some(edges)) = (part("layers"), part("edges")) else {
        return Err(source.fail(0, "a network has layers and edges"));
    };
    let kinds: BTreeMap<&str, &str> = all
        .children()
        .filter(|n| layers(*n))
        .filter_map(|n| Some((n.attribute("id")?, n.attribute("type")?)))
        .collect();
    let mut readers: BTreeMap<&str, &str> = BTreeMap::new();
    for edge in edges.children().filter(|n| n.has_tag_name("edge")) {
        let ends = ["from-layer", "to-layer"].map(|end| edge.attribute(end).unwrap_or_default());
        let Some(kind) = kinds.get(ends[1]) else {
            return Err(at(source, edge, "an edge leads to a layer that is not there"));
        };
        readers.entry(ends[0]).or_insert(kind);
    }
    let constants = all
        .children()
        .filter(|n| layers(*n) && n.attribute("type") == Some("Const"))
        .map(|n| constant(source, n, &readers))
        .collect::<Result<_>>()?;
    let tool = part("meta_data")
        .and_then(|n| n.children().find(|n| n.has_tag_name("MO_version")))
        .and_then(|n| n.attribute("value"));
    let name = net.attribute("name").unwrap_or_default().to_owned();
    Ok(Graph { name, tool: tool.map(str::to_owned), constants })
}

/// A broken rule at an element.
fn at(source: &Source, node: Node<'_, '_>, rule: impl std::fmt::Display) -> crate::error::Error {
    source.fail(node.range().start as u64, rule)
}

/// One constant.
fn constant(
    source: &Source,
    layer: Node<'_, '_>,
    readers: &BTreeMap<&str, &str>,
) -> Result<Constant> {
    let wrong = |what: &str| at(source, layer, format_args!("a constant has {what}"));
    let data = layer.children().find(|n| n.has_tag_name("data"));
    let said = |key: &str| data.and_then(|n| n.attribute(key));
    let number = |key: &str| said(key).and_then(|v| v.trim().parse::<u64>().ok());
    let (Some(name), Some(id)) = (layer.attribute("name"), layer.attribute("id")) else {
        return Err(wrong("a name and a number"));
    };
    let kind = said("element_type").unwrap_or_default();
    let Some((_, dtype)) = TYPES.into_iter().find(|(name, _)| *name == kind) else {
        return Err(wrong(&format!("a type that is read, not {}", quoted(kind))));
    };
    let sizes = said("shape").ok_or_else(|| wrong("a shape"))?;
    let sizes = sizes.split(',').map(str::trim).filter(|s| !s.is_empty());
    let shape = sizes
        .map(|s| s.parse::<u64>().ok())
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| wrong("sizes that are numbers"))?;
    let (Some(offset), Some(size)) = (number("offset"), number("size")) else {
        return Err(wrong("an offset and a size"));
    };
    let reader = readers.get(id).ok_or_else(|| wrong("a layer that reads it"))?;
    Ok(Constant {
        name: name.to_owned(),
        dtype,
        shape,
        place: (offset, size),
        reader: (*reader).to_owned(),
    })
}
