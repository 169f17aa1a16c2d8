//! Values that a pickle builds: inert data in one heap, whatever the names in the file promise.

use crate::weights::array::DType;
use crate::weights::source::Source;
use std::rc::Rc;

/// A value. Containers live in the [`Heap`] and are referred to by index, so copying and dropping
/// them does not recurse.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Rc<str>),
    Global(Global),
    /// Another name, `module.name`: a word without a meaning, never called.
    Class(Rc<str>),
    Ref(usize),
}

/// The names that are known, each an inert constructor of data. No other name in a file has a
/// meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Global {
    /// `torch_utils.persistence._reconstruct_persistent_obj`
    Persistent,
    /// `collections.OrderedDict`, `dnnlib.util.EasyDict`, `dict`
    Dict,
    /// `set`, `frozenset`
    Set,
    /// `tuple`
    Tuple,
    /// `argparse.Namespace`, `dnnlib.tflib.network.Network`: a name and its attributes.
    Object,
    /// `torch._utils._rebuild_parameter`
    Parameter,
    /// `torch._utils._rebuild_tensor`, `_rebuild_tensor_v2`
    Tensor,
    /// `torch._utils._rebuild_tensor_v3`: with the element type as an argument.
    TensorTyped,
    /// `torch.storage._load_from_bytes`
    LoadFromBytes,
    /// `torch.FloatStorage` and its kin; no type for the untyped one.
    Storage(Option<DType>),
    /// `torch.float32` and its kin.
    DType(DType),
    /// `torch.Size`
    Size,
    /// `torch.device`
    Device,
    /// `pathlib.PosixPath` and its kin: a text.
    Path,
    /// `torch._tensor._rebuild_from_type_v2`: a tensor with attributes of its own.
    Typed,
    /// `_codecs.encode`: how protocol 2 writes bytes.
    Encode,
    /// `numpy…multiarray.scalar`
    Scalar,
    /// `numpy…multiarray._reconstruct`
    Reconstruct,
    /// `numpy…numeric._frombuffer`: how protocol 5 writes arrays.
    FromBuffer,
    /// `numpy.dtype`
    NumpyType,
    /// `numpy.ndarray`
    Ndarray,
}

impl Global {
    /// The meaning of a name, if it has one.
    pub(crate) fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("torch_utils.persistence", "_reconstruct_persistent_obj") => Self::Persistent,
            ("collections", "OrderedDict") | ("dnnlib.util" | "dnnlib", "EasyDict") => Self::Dict,
            ("builtins" | "__builtin__", "set" | "frozenset") => Self::Set,
            ("builtins" | "__builtin__", "dict") => Self::Dict,
            ("builtins" | "__builtin__", "tuple") => Self::Tuple,
            ("argparse", "Namespace") => Self::Object,
            ("dnnlib.tflib.network", "Network") | ("tfutil", "Network") => Self::Object,
            ("torch.nn.backends.thnn", "_get_thnn_function_backend") => Self::Object,
            ("collections", "defaultdict") => Self::Dict,
            ("torch", "device") => Self::Device,
            (
                "pathlib" | "pathlib._local",
                "Path" | "PurePath" | "PosixPath" | "PurePosixPath" | "WindowsPath"
                | "PureWindowsPath",
            ) => Self::Path,
            ("torch._tensor", "_rebuild_from_type_v2") => Self::Typed,
            ("torch._utils", "_rebuild_parameter") => Self::Parameter,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::Tensor,
            ("torch._utils", "_rebuild_tensor_v3") => Self::TensorTyped,
            ("torch.storage", "_load_from_bytes") => Self::LoadFromBytes,
            ("torch", "Size") => Self::Size,
            ("_codecs", "encode") => Self::Encode,
            ("numpy", "dtype") => Self::NumpyType,
            ("numpy", "ndarray") => Self::Ndarray,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Self::Scalar,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                Self::Reconstruct
            }
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Self::FromBuffer,
            ("torch" | "torch.storage", "UntypedStorage") => Self::Storage(None),
            ("torch" | "torch.cuda", name) => storage(name)?,
            _ => return None,
        })
    }
}

fn storage(name: &str) -> Option<Global> {
    let dtype = match name.strip_suffix("Storage").unwrap_or(name) {
        "Float" | "float32" => DType::F32,
        "Half" | "float16" => DType::F16,
        "Double" | "float64" => DType::F64,
        "BFloat16" | "bfloat16" => DType::BF16,
        "Long" | "int64" => DType::I64,
        "Int" | "int32" => DType::I32,
        "Short" | "int16" => DType::I16,
        "Char" | "int8" => DType::I8,
        "Byte" | "uint8" => DType::U8,
        "Bool" | "bool" => DType::Bool,
        _ => return None,
    };
    // `torch.Float` is not a name of torch, `torch.float32` is.
    match (name.ends_with("Storage"), name.starts_with(|c: char| c.is_ascii_lowercase())) {
        (true, false) => Some(Global::Storage(Some(dtype))),
        (false, true) => Some(Global::DType(dtype)),
        _ => None,
    }
}

/// Location of a storage's bytes.
#[derive(Clone)]
pub(crate) enum Place {
    /// Under this key in the file around the pickle.
    Key(Rc<str>),
    /// Here.
    At(Source),
}

/// Numbers without a shape.
#[derive(Clone)]
pub(crate) struct Storage {
    /// Type of its elements; `None` when it is untyped.
    pub(crate) dtype: Option<DType>,
    /// Number of its elements; bytes when it is untyped.
    pub(crate) len: u64,
    /// Its bytes.
    pub(crate) place: Place,
}

/// A view of a storage.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) storage: Storage,
    pub(crate) dtype: DType,
    pub(crate) first: u64,
    pub(crate) shape: Vec<u64>,
    pub(crate) strides: Vec<u64>,
}

/// A NumPy array.
#[derive(Clone)]
pub(crate) struct Ndarray {
    /// NumPy's code of the element type, with its byte order.
    pub(crate) code: Rc<str>,
    pub(crate) shape: Vec<u64>,
    pub(crate) fortran: bool,
    pub(crate) data: Source,
}

/// Target of a [`Value::Ref`].
#[derive(Clone)]
pub(crate) enum Node {
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Set(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// Bytes, or text too long to be a name: left in the file.
    Bytes(Source),
    /// An object: the name of its class, which is only a word here, and its attributes.
    Object(Rc<str>, Value),
    /// An NVIDIA persistent object: the dict that describes it.
    Persistent(Value),
    /// A NumPy element type: its code and its byte order.
    NumpyType(Rc<str>),
    /// `None` until its BUILD.
    Ndarray(Option<Ndarray>),
    Storage(Storage),
    Tensor(Tensor),
}

/// All containers of one pickle, each with the offset at which it was made.
#[derive(Default)]
pub(crate) struct Heap {
    nodes: Vec<(Node, u64)>,
}

impl Heap {
    /// Adds a container made at an offset.
    pub(crate) fn add(&mut self, node: Node, at: u64) -> Value {
        self.nodes.push((node, at));
        Value::Ref(self.nodes.len() - 1)
    }

    /// The container that a value names.
    pub(crate) fn node(&self, value: &Value) -> Option<&Node> {
        match value {
            Value::Ref(i) => self.nodes.get(*i).map(|n| &n.0),
            _ => None,
        }
    }

    /// As [`Heap::node`], mutable.
    pub(crate) fn node_mut(&mut self, value: &Value) -> Option<&mut Node> {
        match value {
            Value::Ref(i) => self.nodes.get_mut(*i).map(|n| &mut n.0),
            _ => None,
        }
    }

    /// The offset at which a value was made; 0 for scalars.
    pub(crate) fn at(&self, value: &Value) -> u64 {
        match value {
            Value::Ref(i) => self.nodes.get(*i).map_or(0, |n| n.1),
            _ => 0,
        }
    }

    /// The pairs of a dictionary or of an object's attributes; empty for other values.
    pub(crate) fn pairs(&self, value: &Value) -> &[(Value, Value)] {
        match self.node(value) {
            Some(Node::Dict(pairs)) => pairs,
            Some(Node::Object(_, state)) => match self.node(state) {
                Some(Node::Dict(pairs)) => pairs,
                _ => &[],
            },
            _ => &[],
        }
    }

    /// The values of a list, tuple or set; empty for other values.
    pub(crate) fn items(&self, value: &Value) -> &[Value] {
        match self.node(value) {
            Some(Node::List(v) | Node::Tuple(v) | Node::Set(v)) => v,
            _ => &[],
        }
    }

    /// The value under a text key; the last one counts, as in Python.
    pub(crate) fn get(&self, dict: &Value, key: &str) -> Option<&Value> {
        self.pairs(dict)
            .iter()
            .rev()
            .find(|(k, _)| matches!(k, Value::Text(t) if **t == *key))
            .map(|(_, v)| v)
    }

    /// Every storage that was named, used or not.
    pub(crate) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.nodes.iter().filter_map(|(n, _)| if let Node::Storage(s) = n { Some(s) } else { None })
    }

    /// The containers in a container, and how many values it holds in all.
    fn children(&self, index: usize) -> (Vec<usize>, u64) {
        let inner = |v: &Value| if let Value::Ref(i) = v { Some(*i) } else { None };
        match self.nodes.get(index).map(|n| &n.0) {
            Some(Node::List(v) | Node::Tuple(v) | Node::Set(v)) => {
                (v.iter().filter_map(inner).collect(), v.len() as u64)
            }
            Some(Node::Dict(v)) => (
                v.iter().flat_map(|(k, v)| [inner(k), inner(v)]).flatten().collect(),
                v.len() as u64,
            ),
            Some(Node::Object(_, v) | Node::Persistent(v)) => (inner(v).into_iter().collect(), 0),
            _ => (Vec::new(), 0),
        }
    }

    /// Checks that a value, written out in full, is a tree of bounded size: values do not contain
    /// themselves, nesting is at most `depth`, and with shared parts counted once for each use
    /// there are at most `most` values.
    ///
    /// # Errors
    /// The broken rule, and the offset of the container that breaks it.
    pub(crate) fn audit(&self, root: &Value, depth: usize, most: u64) -> Result<(), (u64, String)> {
        let Value::Ref(root) = root else { return Ok(()) };
        // (depth below, values when written out) of finished nodes; depth 0 marks one whose parts
        // are being walked.
        let mut known: Vec<Option<(usize, u64)>> = vec![None; self.nodes.len()];
        let mut walk = vec![(*root, false)];
        while let Some((i, parts_done)) = walk.pop() {
            if parts_done {
                let (parts, own) = self.children(i);
                let parts = parts.into_iter().filter_map(|c| known[c]);
                let (deep, all) =
                    parts.fold((0, own), |(d, n), (cd, cn)| (d.max(cd), n.saturating_add(cn)));
                known[i] = Some((deep + 1, all.saturating_add(1)));
                if deep + 1 > depth {
                    return Err((
                        self.nodes[i].1,
                        format!("values are nested at most {depth} deep"),
                    ));
                }
                if all > most {
                    return Err((
                        self.nodes[i].1,
                        format!("a pickle unfolds to at most {most} values"),
                    ));
                }
            } else if known[i] == Some((0, 0)) {
                return Err((self.nodes[i].1, "no value contains itself".into()));
            } else if known[i].is_none() {
                known[i] = Some((0, 0));
                walk.push((i, true));
                walk.extend(
                    self.children(i)
                        .0
                        .into_iter()
                        .filter(|&c| known[c].is_none_or(|k| k.0 == 0))
                        .map(|c| (c, false)),
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_the_list_mean_nothing() {
        for (module, name) in [
            ("os", "system"),
            ("torch", "Float"),
            ("torch", "load"),
            ("builtins", "eval"),
            ("numpy", "load"),
        ] {
            assert_eq!(Global::find(module, name), None, "{module}.{name}");
        }
        assert_eq!(Global::find("torch", "FloatStorage"), Some(Global::Storage(Some(DType::F32))));
        assert_eq!(Global::find("torch", "bfloat16"), Some(Global::DType(DType::BF16)));
    }

    #[test]
    fn audit_finds_depth_cycles_and_doubling() {
        let mut h = Heap::default();
        let mut v = h.add(Node::List(vec![]), 0);
        for at in 1..40 {
            v = h.add(Node::Tuple(vec![v.clone(), v]), at);
        }
        assert_eq!(h.audit(&v, 64, 1 << 50), Ok(()));
        assert!(h.audit(&v, 64, 1000).unwrap_err().1.contains("unfold"));
        assert!(h.audit(&v, 20, 1 << 50).unwrap_err().1.contains("nested"));
        let a = h.add(Node::List(vec![]), 7);
        let b = h.add(Node::List(vec![a.clone()]), 8);
        if let Some(Node::List(items)) = h.node_mut(&a) {
            items.push(b.clone());
        }
        assert!(h.audit(&b, 64, 1000).unwrap_err().1.contains("itself"));
    }
}
