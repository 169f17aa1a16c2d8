//! Our own format: safetensors with a manifest in its metadata.
//!
//! The metadata entry `gannet` holds the [`Manifest`] as JSON: `{"format": 1, "family": …,
//! "config": {…}, "provenance": {…}}`. The crate `safetensors` checks that the tensors cover the
//! data without gap or overlap. This module also checks for duplicate keys, the header's size, at
//! least one tensor, and finite values.

use super::array::{Array, DType, Layout, elements};
use super::container::{Container, Draft};
use super::lazy::Lazy;
use super::npy;
use super::source::{Source, quoted};
use crate::error::{Error, Result};
use crate::limits::Limits;
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, View};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The container.
pub(super) const CONTAINER: Container = Container {
    name: "safetensors",
    begins,
    holds: |_| true,
    read: |probe| read(probe.source, probe.limits),
};

/// Whether a file begins like one: the header's length, then JSON.
///
/// A short header is recognised first, a long one only when no other format matches.
pub(super) fn begins(head: &[u8]) -> bool {
    let pickle = matches!(head, [0x80, 2..=5, ..] | [b'P', b'K', ..]);
    match head {
        [_, _, _, _, 0, 0, 0, 0, b'{', ..] => true,
        [_, _, _, _, _, _, _, _, b'{', ..] => !pickle && !head.starts_with(npy::MAGIC),
        _ => false,
    }
}

/// The version of the manifest that is written and read.
pub const FORMAT: u32 = 1;

/// Manifest of a converted file.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Manifest {
    /// Version of this manifest: 1.
    pub format: u32,
    /// Family of the generator: `stylegan2`.
    pub family: String,
    /// The generator's settings, by their official names.
    #[serde(default)]
    pub config: Json,
    /// Origin of the weights.
    #[serde(default)]
    pub provenance: Json,
}

/// Reads the header; the numbers stay in the file.
fn read(source: &Source, limits: &Limits) -> Result<Draft> {
    let len = u64::from_le_bytes(source.cursor().array()?);
    if len > limits.header_bytes {
        return Err(source.fail(
            0,
            format_args!("the header has at most {} bytes, not {len}", limits.header_bytes),
        ));
    }
    let header = source.read(8, len)?;
    unique_keys(source, &header)?;
    let meta: Metadata = serde_json::from_slice(&header).map_err(|e| json_error(source, &e))?;
    let tensors = meta.tensors();
    if tensors.is_empty() {
        return Err(source.fail(8, "at least one tensor is needed, none is listed"));
    }
    if tensors.len() > limits.tensors {
        return Err(source
            .fail(8, format_args!("at most {} tensors, not {}", limits.tensors, tensors.len())));
    }
    let (data, want) = (source.len() - 8 - len, meta.data_len() as u64);
    if data != want {
        return Err(source.fail(
            8 + len,
            format_args!("the tensors need {want} bytes of data, {data} are here"),
        ));
    }
    let mut draft = Draft::default();
    for (name, info) in tensors {
        draft.tensors.insert(name.clone(), tensor(source, &name, info, 8 + len, limits)?);
    }
    if let Some(text) = meta.metadata().as_ref().and_then(|m| m.get("gannet")) {
        let m = manifest(source, text)?;
        (draft.family, draft.config, draft.provenance) = (Some(m.family), m.config, m.provenance);
    }
    Ok(draft)
}

fn manifest(source: &Source, text: &str) -> Result<Manifest> {
    unique_keys(source, text.as_bytes())?;
    let bad = |e| source.fail(8, format_args!("metadata `gannet` is not a manifest: {e}"));
    let m: Manifest = serde_json::from_str(text).map_err(bad)?;
    if m.format != FORMAT {
        let e =
            source.fail(8, format_args!("manifest format {FORMAT} is read, this is {}", m.format));
        return Err(e.hint("a newer gannet"));
    }
    Ok(m)
}

fn tensor(
    source: &Source,
    name: &str,
    info: &TensorInfo,
    data: u64,
    limits: &Limits,
) -> Result<Lazy> {
    let (start, end) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
    let dtype = match info.dtype {
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        Dtype::I8 => DType::I8,
        Dtype::I16 => DType::I16,
        Dtype::I32 => DType::I32,
        Dtype::I64 => DType::I64,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool,
        other => {
            return Err(
                source.fail(8, format_args!("tensor {}: type {other:?} is not read", quoted(name)))
            );
        }
    };
    let shape: Vec<u64> = info.shape.iter().map(|&n| n as u64).collect();
    Lazy::new(source.window(data + start, end - start)?, dtype, Layout::rows(&shape), 0, limits)
}

/// Refuses JSON in which a key appears twice in one object: readers differ on which one counts.
fn unique_keys(source: &Source, json: &[u8]) -> Result<()> {
    serde_json::from_slice::<Unique>(json).map(|_| ()).map_err(|e| json_error(source, &e))
}

fn json_error(source: &Source, e: &serde_json::Error) -> Error {
    source
        .fail(8 + e.column() as u64, format_args!("the header is JSON that describes tensors: {e}"))
}

/// Any JSON, only to see that its keys are unique.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

/// Scalars have no keys to check.
macro_rules! accept {
    ($($f:ident: $t:ty),*) => { $(fn $f<E>(self, _: $t) -> Result<Unique, E> { Ok(Unique) })* };
}

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    accept!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
        while seq.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                map.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom(format_args!(
                    "the key {} appears twice",
                    quoted(&key)
                )));
            }
            map.next_value::<Unique>()?;
            seen.insert(key);
        }
        Ok(Unique)
    }
}

/// An array as the crate writes it, in its own type or in single precision.
struct Out<'a> {
    array: &'a Array,
    single: bool,
}

impl View for Out<'_> {
    fn dtype(&self) -> Dtype {
        match self.array.dtype() {
            _ if self.single => Dtype::F32,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            DType::F32 => Dtype::F32,
            DType::F64 => Dtype::F64,
            DType::I8 => Dtype::I8,
            DType::I16 => Dtype::I16,
            DType::I32 => Dtype::I32,
            DType::I64 => Dtype::I64,
            DType::U8 => Dtype::U8,
            DType::Bool => Dtype::BOOL,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.array.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        if !self.single {
            return self.array.le_bytes().into();
        }
        let mut out = Vec::with_capacity(self.data_len());
        self.array.each_f32_block(|block| out.extend_from_slice(block));
        out.into()
    }

    fn data_len(&self) -> usize {
        self.array.len() * if self.single { 4 } else { self.array.dtype().size() }
    }
}

/// The bytes of a safetensors file. The same tensors and manifest always give the same bytes.
///
/// # Errors
/// When there is no tensor, or a shape and its number of values do not agree.
pub fn write(tensors: &BTreeMap<String, Array>, manifest: Option<&Manifest>) -> Result<Vec<u8>> {
    serialize(tensors, manifest, false)
}

/// As [`write()`], every tensor in single precision.
///
/// # Errors
/// As [`write()`].
pub fn write_f32(
    tensors: &BTreeMap<String, Array>,
    manifest: Option<&Manifest>,
) -> Result<Vec<u8>> {
    serialize(tensors, manifest, true)
}

fn serialize(
    tensors: &BTreeMap<String, Array>,
    manifest: Option<&Manifest>,
    single: bool,
) -> Result<Vec<u8>> {
    if tensors.is_empty() {
        return Err(Error::runtime("a safetensors file needs at least one tensor"));
    }
    if let Some((name, a)) =
        tensors.iter().find(|(_, a)| elements(&a.shape) != Some(a.len() as u64))
    {
        let n = a.len();
        return Err(Error::runtime(format!(
            "tensor {} of shape {:?} holds {n} values",
            quoted(name),
            a.shape
        )));
    }
    let cannot =
        |e: &dyn std::fmt::Display| Error::runtime(format!("cannot write safetensors: {e}"));
    let meta = match manifest {
        Some(m) => Some(HashMap::from([(
            "gannet".into(),
            serde_json::to_string(m).map_err(|e| cannot(&e))?,
        )])),
        None => None,
    };
    let views = tensors.iter().map(|(name, array)| (name, Out { array, single }));
    safetensors::serialize(views, meta).map_err(|e| cannot(&e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LIMITS;
    use serde_json::json;

    fn file(header: &str, data: &[u8]) -> Source {
        Source::bytes(
            "f",
            [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat(),
        )
    }

    fn rule(header: &str, data: &[u8]) -> String {
        read(&file(header, data), &LIMITS).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_written_is_read() {
        let tensors =
            BTreeMap::from([("a".to_string(), Array::f32(&[2], vec![1.0, 2.0]).unwrap())]);
        let m = Manifest {
            format: 1,
            family: "x".into(),
            config: json!({"n": 3}),
            provenance: json!({}),
        };
        let bytes = write(&tensors, Some(&m)).unwrap();
        assert_eq!(bytes, write(&tensors, Some(&m)).unwrap());
        let draft = read(&Source::bytes("f", bytes), &LIMITS).unwrap();
        assert_eq!((draft.family.as_deref(), &draft.config), (Some("x"), &m.config));
        let a = draft.tensors["a"].load("a").unwrap();
        assert_eq!(a, tensors["a"]);
        assert!(write(&BTreeMap::new(), None).is_err());
    }

    #[test]
    fn the_rules_that_the_crate_leaves_open() {
        let t = r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
        assert_eq!(rule(&format!(r#"{{"a":{t}}}"#), &[0; 4]), "");
        assert!(rule(&format!(r#"{{"a":{t},"a":{t}}}"#), &[0; 4]).contains("`a` appears twice"));
        assert!(rule("{}", &[]).contains("at least one tensor"));
        assert!(rule(&format!(r#"{{"a":{t}}}"#), &[0; 5]).contains("need 4 bytes of data, 5"));
        assert!(
            rule(r#"{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}"#, &[0; 4])
                .contains("not read")
        );
        let meta = r#"{"__metadata__":{"gannet":"{\"format\":2,\"family\":\"x\"}"},"#;
        assert!(
            rule(&format!(r#"{meta}"a":{t}}}"#), &[0; 4]).contains("format 1 is read, this is 2")
        );
    }
}
