//! Builders for the allowed names: plain data, from arguments that are checked one by one.

use super::machine::Machine;
use super::value::{Global, Ndarray, Node, Place, Storage, Tensor, Value};
use super::{latin, nested_storage};
use crate::error::{Error, Result};
use crate::weights::array::{Array, Data, Layout, elements};
use crate::weights::npy;
use crate::weights::source::{Source, quoted};
use std::rc::Rc;

/// The value of a call.
pub(super) fn call(m: &mut Machine<'_, '_>, global: Global, args: &[Value]) -> Result<Value> {
    match (global, args) {
        (Global::Persistent, [meta]) if matches!(m.heap.node(meta), Some(Node::Dict(_))) => {
            Ok(m.add(Node::Persistent(meta.clone())))
        }
        (Global::Dict, args) => dictionary(m, args),
        (Global::Set, []) => Ok(m.add(Node::Set(Vec::new()))),
        (Global::Set, [items]) => {
            let items = m.heap.items(items).to_vec();
            m.charge(items.len())?;
            Ok(m.add(Node::Set(items)))
        }
        (Global::Tuple, [items]) if m.heap.node(items).is_some() => {
            let items = m.heap.items(items).to_vec();
            m.charge(items.len())?;
            Ok(m.add(Node::Tuple(items)))
        }
        (Global::Object, []) => {
            let attributes = m.add(Node::Dict(Vec::new()));
            Ok(m.add(Node::Object("".into(), attributes)))
        }
        (Global::Parameter, [data, ..]) if matches!(m.heap.node(data), Some(Node::Tensor(_))) => {
            Ok(data.clone())
        }
        (Global::Tensor, [storage, first, shape, strides, ..]) => {
            tensor(m, storage, [first, shape, strides], None)
        }
        (
            Global::TensorTyped,
            [storage, first, shape, strides, _grad, _hooks, Value::Global(Global::DType(_)), ..],
        ) => tensor(m, storage, [first, shape, strides], args.get(6)),
        (Global::LoadFromBytes, [blob]) => load_from_bytes(m, blob),
        (Global::Device, [name @ Value::Text(_), ..]) => Ok(name.clone()),
        (Global::Path, parts) => path(m, parts),
        (Global::Typed, [Value::Global(make @ Global::Tensor), Value::Class(_), args, ..]) => {
            let args = m.heap.items(args).to_vec();
            call(m, *make, &args)
        }
        (Global::Size, [sizes]) if m.heap.node(sizes).is_some() => Ok(sizes.clone()),
        (Global::Encode, [text, Value::Text(code)]) if matches!(&**code, "latin1" | "latin-1") => {
            encode(m, text)
        }
        (Global::Scalar, [dtype, bytes]) => scalar(m, dtype, bytes),
        (Global::Reconstruct, [Value::Global(Global::Ndarray), ..]) => {
            Ok(m.add(Node::Ndarray(None)))
        }
        (Global::FromBuffer, [data, dtype, shape, order]) => {
            let fortran = matches!(order, Value::Text(o) if **o == *"F");
            let array = ndarray(m, shape, dtype, fortran, data)?;
            Ok(m.add(Node::Ndarray(Some(array))))
        }
        (Global::NumpyType, [Value::Text(code), ..]) => Ok(m.add(Node::NumpyType(code.clone()))),
        _ => {
            Err(m
                .fail(format_args!("{global:?} is not called with these {} arguments", args.len())))
        }
    }
}

/// An object of a class that is not known: its name, and attributes to come. It is made without
/// arguments, as `nn.Module`s are pickled; anything else would be a call.
pub(super) fn object(m: &mut Machine<'_, '_>, class: &Rc<str>, args: &[Value]) -> Result<Value> {
    if !args.is_empty() {
        return Err(unknown(m, class));
    }
    let attributes = m.add(Node::Dict(Vec::new()));
    Ok(m.add(Node::Object(class.clone(), attributes)))
}

/// The error of a name that is called.
pub(super) fn unknown(m: &Machine<'_, '_>, name: &str) -> Error {
    m.fail(format_args!(
        "the name {} is not allowed in a model file; nothing was executed",
        quoted(name)
    ))
}

/// `OrderedDict()` or, as Python 2 wrote it, `OrderedDict([[key, value], …])`.
fn dictionary(m: &mut Machine<'_, '_>, args: &[Value]) -> Result<Value> {
    let mut pairs = Vec::new();
    if let Some(list) = args.first() {
        let items = m.heap.items(list);
        for item in items {
            match m.heap.items(item) {
                [key, value] => pairs.push((key.clone(), value.clone())),
                _ => return Err(m.fail("a dictionary is made from pairs")),
            }
        }
    }
    m.charge(pairs.len())?;
    Ok(m.add(Node::Dict(pairs)))
}

/// A path as one text, of its parts: `("/", "a", "b")`.
fn path(m: &mut Machine<'_, '_>, parts: &[Value]) -> Result<Value> {
    let text = |v: &Value| if let Value::Text(t) = v { Some(t.to_string()) } else { None };
    let all: Option<Vec<String>> = parts.iter().map(text).collect();
    let all = all.ok_or_else(|| m.fail("the parts of a path are text"))?;
    m.charge(all.iter().map(String::len).sum())?;
    Ok(Value::Text(all.join("/").replacen("//", "/", 1).into()))
}

fn unsigned(value: &Value) -> Option<u64> {
    if let Value::Int(n) = value { u64::try_from(*n).ok() } else { None }
}

/// A tuple of sizes, bounded in length.
fn sizes(m: &Machine<'_, '_>, value: &Value) -> Result<Vec<u64>> {
    let items = m.heap.items(value);
    if items.len() > m.work.limits.rank {
        return Err(m.fail(format_args!("a tensor has at most {} dimensions", m.work.limits.rank)));
    }
    let all: Option<Vec<u64>> = items.iter().map(unsigned).collect();
    all.ok_or_else(|| m.fail("sizes, strides and offsets are numbers from 0 to 2^64"))
}

fn tensor(
    m: &mut Machine<'_, '_>,
    storage: &Value,
    at: [&Value; 3],
    typed: Option<&Value>,
) -> Result<Value> {
    let Some(Node::Storage(storage)) = m.heap.node(storage) else {
        return Err(m.fail("a tensor needs a storage"));
    };
    let storage = storage.clone();
    let dtype = match typed {
        Some(Value::Global(Global::DType(d))) => Some(*d),
        _ => storage.dtype,
    };
    let Some(dtype) = dtype else {
        return Err(m.fail("a tensor of an untyped storage says its type"));
    };
    let [first, shape, strides] = at;
    let Some(first) = unsigned(first) else {
        return Err(m.fail("sizes, strides and offsets are numbers from 0 to 2^64"));
    };
    let (shape, strides) = (sizes(m, shape)?, sizes(m, strides)?);
    if shape.len() != strides.len() {
        return Err(m.fail("a tensor has as many strides as dimensions"));
    }
    Ok(m.add(Node::Tensor(Tensor { storage, dtype, first, shape, strides })))
}

fn bytes(m: &Machine<'_, '_>, value: &Value) -> Result<Source> {
    match (m.heap.node(value), value) {
        (Some(Node::Bytes(source)), _) => Ok(source.clone()),
        (_, Value::Text(t)) => Ok(Source::bytes(m.file(), t.as_bytes().to_vec())),
        _ => Err(m.fail("bytes are expected")),
    }
}

fn load_from_bytes(m: &mut Machine<'_, '_>, blob: &Value) -> Result<Value> {
    let blob = bytes(m, blob)?;
    let storage = nested_storage(&blob, m.work)?;
    Ok(m.add(Node::Storage(storage)))
}

/// Bytes that protocol 2 had to write as text.
fn encode(m: &mut Machine<'_, '_>, text: &Value) -> Result<Value> {
    let text = bytes(m, text)?;
    m.work.decode.charge(text.len(), &text, 0)?;
    let decoded = latin::decode(&text)?;
    Ok(m.add(Node::Bytes(decoded)))
}

fn code(m: &Machine<'_, '_>, dtype: &Value) -> Result<Rc<str>> {
    match m.heap.node(dtype) {
        Some(Node::NumpyType(code)) => Ok(code.clone()),
        _ => Err(m.fail("a NumPy type is expected")),
    }
}

/// A NumPy number.
fn scalar(m: &mut Machine<'_, '_>, dtype: &Value, data: &Value) -> Result<Value> {
    let code = code(m, dtype)?;
    let Some((dtype, big)) = npy::dtype(&code) else {
        return Err(m.fail(format_args!("NumPy type {} is not read", quoted(&code))));
    };
    let data = bytes(m, data)?;
    if data.len() != dtype.size() as u64 {
        return Err(m.fail(format_args!(
            "a {} has {} bytes, not {}",
            dtype.name(),
            dtype.size(),
            data.len()
        )));
    }
    let mut raw = data.read(0, data.len())?;
    if big {
        raw.reverse();
    }
    let value =
        Array::gather(dtype, &Layout::rows(&[]), &raw).ok_or_else(|| m.fail("no memory"))?;
    Ok(match value.data {
        Data::Bool(v) => Value::Bool(v[0]),
        Data::I8(v) => Value::Int(v[0].into()),
        Data::I16(v) => Value::Int(v[0].into()),
        Data::I32(v) => Value::Int(v[0].into()),
        Data::I64(v) => Value::Int(v[0].into()),
        Data::U8(v) => Value::Int(v[0].into()),
        _ => Value::Float(value.to_f64()[0]),
    })
}

fn ndarray(
    m: &Machine<'_, '_>,
    shape: &Value,
    dtype: &Value,
    fortran: bool,
    data: &Value,
) -> Result<Ndarray> {
    let code = code(m, dtype)?;
    if code.contains('O') {
        return Err(m.fail("arrays of Python objects are not read"));
    }
    Ok(Ndarray { code, shape: sizes(m, shape)?, fortran, data: bytes(m, data)? })
}

/// An array of Python objects, which NumPy pickles as a list: that list, or the object itself where
/// the array has no dimensions.
fn objects(m: &mut Machine<'_, '_>, shape: &Value, dtype: &Value, data: &Value) -> Result<Node> {
    let code = code(m, dtype)?;
    let items = m.heap.items(data).to_vec();
    let sizes = sizes(m, shape)?;
    let fits = elements(&sizes) == Some(items.len() as u64);
    if !code.contains('O') || !fits {
        return Err(m.fail("an array of Python objects has as many of them as its shape says"));
    }
    m.charge(items.len())?;
    match items.first().filter(|_| sizes.is_empty()).and_then(|item| m.heap.node(item)) {
        Some(Node::Dict(pairs)) => {
            let pairs = pairs.clone();
            m.charge(pairs.len())?;
            Ok(Node::Dict(pairs))
        }
        _ => Ok(Node::List(items)),
    }
}

/// BUILD: gives an object its state.
pub(super) fn state(m: &mut Machine<'_, '_>, target: &Value, state: &Value) -> Result<()> {
    let new = match m.heap.node(target) {
        // numpy.dtype: (version, byte order, …); structured types have fields there.
        Some(Node::NumpyType(code)) => match m.heap.items(state) {
            [_, Value::Text(order), Value::None, Value::None, Value::None, ..] => Node::NumpyType(
                format!("{order}{}", code.trim_start_matches(['<', '>', '|', '='])).into(),
            ),
            _ => return Err(m.fail("structured NumPy types are not read")),
        },
        Some(Node::Ndarray(None)) => match m.heap.items(state) {
            [_, shape, dtype, Value::Bool(false), data]
                if matches!(m.heap.node(data), Some(Node::List(_))) =>
            {
                let (shape, dtype, data) = (shape.clone(), dtype.clone(), data.clone());
                objects(m, &shape, &dtype, &data)?
            }
            [_, shape, dtype, Value::Bool(fortran), data] => {
                Node::Ndarray(Some(ndarray(m, shape, dtype, *fortran, data)?))
            }
            _ => {
                return Err(m.fail("a NumPy array's state is (version, shape, type, order, bytes)"));
            }
        },
        Some(Node::Object(class, _)) if matches!(m.heap.node(state), Some(Node::Dict(_))) => {
            Node::Object(class.clone(), state.clone())
        }
        // Attributes of a dictionary, such as a state_dict's `_metadata`, do not concern its
        // entries.
        Some(Node::Dict(_)) if matches!(m.heap.node(state), Some(Node::Dict(_))) => return Ok(()),
        _ => return Err(m.fail("only NumPy values, namespaces and dictionaries are given a state")),
    };
    if let Some(node) = m.heap.node_mut(target) {
        *node = new;
    }
    Ok(())
}

/// BINPERSID: torch names its storages `('storage', type, key, location, elements[, view])`, and
/// before 1.6 the classes of modules `('module', class, file, source)`; the source is not read.
pub(super) fn persistent_id(m: &mut Machine<'_, '_>, id: &Value) -> Result<Value> {
    let storage = match m.heap.items(id) {
        [Value::Text(kind), class @ Value::Class(_), _file, _source] if **kind == *"module" => {
            return Ok(class.clone());
        }
        [
            Value::Text(kind),
            Value::Global(Global::Storage(dtype)),
            key,
            _location,
            len,
            view @ ..,
        ] if **kind == *"storage" => {
            if !matches!(view, [] | [Value::None]) {
                return Err(m.fail("storages that view another are not read"));
            }
            let key: Rc<str> = match key {
                Value::Text(t) => t.clone(),
                Value::Int(n) => n.to_string().into(),
                _ => return Err(m.fail("storage keys are text")),
            };
            let len = unsigned(len)
                .ok_or_else(|| m.fail("a storage's size is a number from 0 to 2^64"))?;
            Storage { dtype: *dtype, len, place: Place::Key(key) }
        }
        _ => {
            return Err(
                m.fail("the only outside references are to torch storages and classes of modules")
            );
        }
    };
    Ok(m.add(Node::Storage(storage)))
}
