//! Writing files that PyTorch opens: the zip of `torch.save` since 1.6, with tensors, texts,
//! numbers and dictionaries of these.
//!
//! The file's pickle uses protocol 2 and three names (`OrderedDict`, `_rebuild_tensor_v2` and a
//! storage type for each element type), so that `torch.load(weights_only=True)` opens it. Every
//! tensor has a storage of its own, contiguous and on the CPU.

use super::super::array::{Array, DType};
use super::super::zip;
use crate::error::Result;

/// A value of a file to write.
#[derive(Clone, Debug)]
pub enum Saved {
    /// A tensor of that shape and element type.
    Tensor(Array),
    /// A dictionary, in this order.
    Dict(Vec<(String, Saved)>),
    /// A text.
    Text(String),
}

impl Saved {
    /// A dictionary of tensors, in this order.
    pub fn tensors(all: impl IntoIterator<Item = (String, Array)>) -> Self {
        Self::Dict(all.into_iter().map(|(name, array)| (name, Self::Tensor(array))).collect())
    }
}

/// The folder that all entries of the zip are in, as `torch.save` calls it for a stream.
const FOLDER: &str = "archive";

/// The bytes of a file that `torch.load` reads as `value`. The same value always gives the same
/// bytes.
///
/// # Errors
/// When the zip cannot be written.
pub fn write(value: &Saved) -> Result<Vec<u8>> {
    let mut pickle = Pickle::default();
    pickle.out.extend(b"\x80\x02");
    pickle.value(value);
    pickle.out.push(b'.');
    let Pickle { out, storages } = pickle;
    let entry = |name: &str, bytes: Vec<u8>| (format!("{FOLDER}/{name}"), bytes);
    let head = [entry("data.pkl", out), entry("byteorder", b"little".to_vec())];
    let storages = storages.iter().enumerate();
    let storages = storages.map(|(key, a)| entry(&format!("data/{key}"), a.le_bytes()));
    zip::write(head.into_iter().chain(storages).chain([entry("version", b"3\n".to_vec())]))
}

/// A pickle that is being written, and the storages that it names.
#[derive(Default)]
struct Pickle<'a> {
    out: Vec<u8>,
    storages: Vec<&'a Array>,
}

impl<'a> Pickle<'a> {
    fn value(&mut self, value: &'a Saved) {
        match value {
            Saved::Text(text) => self.text(text),
            Saved::Tensor(array) => self.tensor(array),
            Saved::Dict(pairs) => {
                self.dict();
                self.out.push(b'(');
                for (key, value) in pairs {
                    self.text(key);
                    self.value(value);
                }
                self.out.push(b'u');
            }
        }
    }

    /// An empty `OrderedDict`.
    fn dict(&mut self) {
        self.out.extend(b"ccollections\nOrderedDict\n)R");
    }

    fn text(&mut self, text: &str) {
        self.out.push(b'X');
        self.out.extend((text.len() as u32).to_le_bytes());
        self.out.extend(text.as_bytes());
    }

    /// A number from 0 to 2^63 - 1, as LONG1 of 8 bytes where BININT is too small.
    fn number(&mut self, n: usize) {
        match i32::try_from(n) {
            Ok(small) => {
                self.out.push(b'J');
                self.out.extend(small.to_le_bytes());
            }
            Err(_) => {
                self.out.extend([0x8a, 8]);
                self.out.extend((n as u64).to_le_bytes());
            }
        }
    }

    fn sizes(&mut self, sizes: &[usize]) {
        self.out.push(b'(');
        sizes.iter().for_each(|&n| self.number(n));
        self.out.push(b't');
    }

    /// `_rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`, the storage by its
    /// persistent id.
    fn tensor(&mut self, array: &'a Array) {
        let key = self.storages.len().to_string();
        self.storages.push(array);
        self.out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.out.extend(format!("ctorch\n{}Storage\n", storage(array.dtype())).as_bytes());
        self.text(&key);
        self.text("cpu");
        self.number(array.len());
        self.out.extend(b"tQ");
        self.number(0);
        self.sizes(&array.shape);
        let mut strides = vec![1; array.shape.len()];
        for d in (1..strides.len()).rev() {
            strides[d - 1] = strides[d] * array.shape[d].max(1);
        }
        self.sizes(&strides);
        self.out.push(0x89);
        self.dict();
        self.out.extend(b"tR");
    }
}

/// PyTorch's word for an element type in the name of a storage.
fn storage(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "Half",
        DType::BF16 => "BFloat16",
        DType::F32 => "Float",
        DType::F64 => "Double",
        DType::I8 => "Char",
        DType::I16 => "Short",
        DType::I32 => "Int",
        DType::I64 => "Long",
        DType::U8 => "Byte",
        DType::Bool => "Bool",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LIMITS;
    use crate::weights::{Data, open_bytes};
    use half::{bf16, f16};

    #[test]
    fn what_is_written_is_read_in_every_type() {
        let array = |data: Data, shape: &[usize]| Array { shape: shape.to_vec(), data };
        let all = [
            ("f32", array(Data::F32(vec![1.5, -2.0, 3.0, 4.0, 5.0, 6.0]), &[2, 3])),
            ("f64", array(Data::F64(vec![0.1]), &[])),
            ("f16", array(Data::F16(vec![f16::from_f32(0.5)]), &[1])),
            ("bf16", array(Data::BF16(vec![bf16::from_f32(0.5)]), &[1])),
            ("i8", array(Data::I8(vec![-8]), &[1])),
            ("i16", array(Data::I16(vec![-16]), &[1])),
            ("i32", array(Data::I32(vec![-32]), &[1])),
            ("i64", array(Data::I64(vec![-64]), &[1])),
            ("u8", array(Data::U8(vec![255]), &[1])),
            ("bool", array(Data::Bool(vec![true, false]), &[2])),
            ("none", array(Data::F32(vec![]), &[0, 4])),
        ];
        let inner = Saved::tensors(all.iter().map(|(n, a)| ((*n).to_owned(), a.clone())));
        let value = Saved::Dict(vec![
            ("g_ema".into(), inner),
            ("made by".into(), Saved::Text("gännet".into())),
        ]);
        let bytes = write(&value).unwrap();
        assert_eq!(bytes, write(&value).unwrap(), "the same bytes each time");
        let file = open_bytes("f.pt", bytes, &LIMITS).unwrap();
        assert_eq!((file.format, file.config()["made by"].as_str()), ("torch-zip", Some("gännet")));
        let read = file.weights.arrays().unwrap();
        assert_eq!(read.len(), all.len());
        for (name, array) in all {
            assert_eq!(read[&format!("g_ema.{name}")], array, "{name}");
        }
        // A bare tensor, as directions and codes are saved.
        let bare = Saved::Tensor(Array::f32(&[1, 2], vec![0.25, 0.5]).unwrap());
        let file = open_bytes("age.pt", write(&bare).unwrap(), &LIMITS).unwrap();
        assert_eq!(file.weights.arrays().unwrap()[""].to_f32(), [0.25, 0.5]);
    }
}
