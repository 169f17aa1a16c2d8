//! Plain arrays: a shape and owned numbers, with no tensor library behind them.

use super::source::reserve;
use half::{bf16, f16};

/// Bytes that are read at once while they become numbers.
const PIECE: usize = 1 << 20;

/// The type of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DType {
    F16,
    BF16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    Bool,
}

impl DType {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    /// Its usual short name: `f32`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::Bool => "bool",
        }
    }
}

/// An array's numbers in row-major order.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Data {
    F16(Vec<f16>),
    BF16(Vec<bf16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    Bool(Vec<bool>),
}

/// Runs one expression for whichever vector is inside.
macro_rules! each {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            Data::F16($v) => $body,
            Data::BF16($v) => $body,
            Data::F32($v) => $body,
            Data::F64($v) => $body,
            Data::I8($v) => $body,
            Data::I16($v) => $body,
            Data::I32($v) => $body,
            Data::I64($v) => $body,
            Data::U8($v) => $body,
            Data::Bool($v) => $body,
        }
    };
}

/// A number that an array can hold.
trait Element: Copy {
    fn le(bytes: &[u8]) -> Self;
    fn put(self, out: &mut Vec<u8>);
    fn single(self) -> f32;
    fn double(self) -> f64;
    fn finite(self) -> bool {
        true
    }
}

macro_rules! element {
    ($t:ty, $to32:expr, $to64:expr, $finite:expr) => {
        impl Element for $t {
            fn le(bytes: &[u8]) -> Self {
                let mut b = [0; size_of::<$t>()];
                b.copy_from_slice(bytes);
                <$t>::from_le_bytes(b)
            }
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn single(self) -> f32 {
                $to32(self)
            }
            fn double(self) -> f64 {
                $to64(self)
            }
            fn finite(self) -> bool {
                $finite(self)
            }
        }
    };
}

element!(f16, f16::to_f32, f16::to_f64, f16::is_finite);
element!(bf16, bf16::to_f32, bf16::to_f64, bf16::is_finite);
element!(f32, |v| v, f64::from, f32::is_finite);
element!(f64, |v| v as f32, |v| v, f64::is_finite);
element!(i8, f32::from, f64::from, |_| true);
element!(i16, f32::from, f64::from, |_| true);
element!(i32, |v| v as f32, f64::from, |_| true);
element!(i64, |v| v as f32, |v| v as f64, |_| true);
element!(u8, f32::from, f64::from, |_| true);

impl Element for bool {
    fn le(bytes: &[u8]) -> Self {
        bytes.iter().any(|&b| b != 0)
    }
    fn put(self, out: &mut Vec<u8>) {
        out.push(u8::from(self));
    }
    fn single(self) -> f32 {
        f32::from(u8::from(self))
    }
    fn double(self) -> f64 {
        f64::from(u8::from(self))
    }
}

/// An array: shape, and as many numbers as its product (1 for the empty shape).
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes of its dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Its numbers, row-major.
    pub data: Data,
}

impl Array {
    /// An array of single-precision numbers; `None` when shape and length do not agree.
    pub fn f32(shape: &[usize], values: Vec<f32>) -> Option<Self> {
        (elements(shape)? == values.len() as u64)
            .then(|| Self { shape: shape.to_vec(), data: Data::F32(values) })
    }

    /// An array of double-precision numbers; `None` when shape and length do not agree.
    pub fn f64(shape: &[usize], values: Vec<f64>) -> Option<Self> {
        (elements(shape)? == values.len() as u64)
            .then(|| Self { shape: shape.to_vec(), data: Data::F64(values) })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        each!(&self.data, v => v.len())
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of its elements.
    pub fn dtype(&self) -> DType {
        match self.data {
            Data::F16(_) => DType::F16,
            Data::BF16(_) => DType::BF16,
            Data::F32(_) => DType::F32,
            Data::F64(_) => DType::F64,
            Data::I8(_) => DType::I8,
            Data::I16(_) => DType::I16,
            Data::I32(_) => DType::I32,
            Data::I64(_) => DType::I64,
            Data::U8(_) => DType::U8,
            Data::Bool(_) => DType::Bool,
        }
    }

    /// Its numbers in single precision.
    pub fn to_f32(&self) -> Vec<f32> {
        each!(&self.data, v => v.iter().map(|x| x.single()).collect())
    }

    /// As [`Array::to_f32`], without a copy when the array is already f32.
    pub fn into_f32(self) -> Vec<f32> {
        match self.data {
            Data::F32(v) => v,
            _ => self.to_f32(),
        }
    }

    /// Its numbers in double precision.
    pub fn to_f64(&self) -> Vec<f64> {
        each!(&self.data, v => v.iter().map(|x| x.double()).collect())
    }

    /// The position of the first number that is NaN or infinite.
    pub fn first_not_finite(&self) -> Option<usize> {
        each!(&self.data, v => first_outside(v))
    }

    /// Its bytes, little endian.
    pub fn le_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len() * self.dtype().size());
        each!(&self.data, v => v.iter().for_each(|x| x.put(&mut out)));
        out
    }

    /// Hands its numbers over as f32, little endian, a few thousand at a time.
    pub(crate) fn each_f32_block(&self, mut take: impl FnMut(&[u8])) {
        let mut block = Vec::with_capacity(4 << 12);
        each!(&self.data, v => for part in v.chunks(1 << 12) {
            block.resize(part.len() * 4, 0);
            for (to, x) in block.chunks_exact_mut(4).zip(part) {
                to.copy_from_slice(&x.single().to_le_bytes());
            }
            take(&block);
        });
    }

    /// Reads row-major elements, little endian: `read` fills a buffer with the bytes from an offset
    /// on. Only a piece of the bytes is held beside the numbers.
    ///
    /// `None` when memory runs out.
    pub(crate) fn stream<E>(
        dtype: DType,
        shape: &[u64],
        read: &mut Reading<'_, E>,
    ) -> Result<Option<Self>, E> {
        let Some(n) = elements(shape) else { return Ok(None) };
        let data = match dtype {
            DType::F16 => streamed(n, read)?.map(Data::F16),
            DType::BF16 => streamed(n, read)?.map(Data::BF16),
            DType::F32 => streamed(n, read)?.map(Data::F32),
            DType::F64 => streamed(n, read)?.map(Data::F64),
            DType::I8 => streamed(n, read)?.map(Data::I8),
            DType::I16 => streamed(n, read)?.map(Data::I16),
            DType::I32 => streamed(n, read)?.map(Data::I32),
            DType::I64 => streamed(n, read)?.map(Data::I64),
            DType::U8 => streamed(n, read)?.map(Data::U8),
            DType::Bool => streamed(n, read)?.map(Data::Bool),
        };
        let shape = shape.iter().map(|&n| n as usize).collect();
        Ok(data.map(|data| Self { shape, data }))
    }

    /// Collects the elements that `layout` names from little-endian bytes.
    ///
    /// `None` when memory runs out. Every index of the layout must lie within the bytes.
    pub(crate) fn gather(dtype: DType, layout: &Layout, bytes: &[u8]) -> Option<Self> {
        let data = match dtype {
            DType::F16 => Data::F16(collect(layout, bytes)?),
            DType::BF16 => Data::BF16(collect(layout, bytes)?),
            DType::F32 => Data::F32(collect(layout, bytes)?),
            DType::F64 => Data::F64(collect(layout, bytes)?),
            DType::I8 => Data::I8(collect(layout, bytes)?),
            DType::I16 => Data::I16(collect(layout, bytes)?),
            DType::I32 => Data::I32(collect(layout, bytes)?),
            DType::I64 => Data::I64(collect(layout, bytes)?),
            DType::U8 => Data::U8(collect(layout, bytes)?),
            DType::Bool => Data::Bool(collect(layout, bytes)?),
        };
        Some(Self { shape: layout.shape.iter().map(|&n| n as usize).collect(), data })
    }
}

/// Product of the dimensions; `None` when it does not fit.
pub(crate) fn elements<T: Copy + TryInto<u64>>(shape: &[T]) -> Option<u64> {
    shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d.try_into().ok()?))
}

/// Selection of the elements of a storage that make up an array, in row-major order.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) shape: Vec<u64>,
    /// Elements to step for one step in each dimension.
    pub(crate) strides: Vec<u64>,
}

impl Layout {
    /// Row-major.
    pub(crate) fn rows(shape: &[u64]) -> Self {
        let mut strides = vec![1u64; shape.len()];
        for i in (1..shape.len()).rev() {
            strides[i - 1] = strides[i].saturating_mul(shape[i]);
        }
        Self { shape: shape.to_vec(), strides }
    }

    /// Column-major (Fortran order).
    pub(crate) fn columns(shape: &[u64]) -> Self {
        let mut strides = vec![1u64; shape.len()];
        for i in 1..shape.len() {
            strides[i] = strides[i - 1].saturating_mul(shape[i - 1]);
        }
        Self { shape: shape.to_vec(), strides }
    }

    /// Number of elements; `None` when it does not fit.
    pub(crate) fn elements(&self) -> Option<u64> {
        elements(&self.shape)
    }

    /// One past the last element that is touched; `None` when it does not fit.
    pub(crate) fn span(&self) -> Option<u64> {
        if self.elements()? == 0 {
            return Some(0);
        }
        self.shape
            .iter()
            .zip(&self.strides)
            .try_fold(1u64, |n, (&d, &s)| n.checked_add((d - 1).checked_mul(s)?))
    }

    /// Whether the elements lie one after the other.
    pub(crate) fn contiguous(&self) -> bool {
        let rows = Self::rows(&self.shape);
        self.shape
            .iter()
            .zip(self.strides.iter().zip(&rows.strides))
            .all(|(&d, (s, r))| d <= 1 || s == r)
    }

    /// Calls `take` with every element's index in order.
    pub(super) fn walk(&self, mut take: impl FnMut(usize)) {
        let (mut at, mut index) = (0u64, vec![0u64; self.shape.len()]);
        for _ in 0..self.elements().unwrap_or(0) {
            take(at as usize);
            for d in (0..index.len()).rev() {
                index[d] += 1;
                at += self.strides[d];
                if index[d] < self.shape[d] {
                    break;
                }
                at -= self.strides[d] * self.shape[d];
                index[d] = 0;
            }
        }
    }
}

/// The position of the first number that is NaN or infinite.
fn first_outside<T: Element>(values: &[T]) -> Option<usize> {
    const BLOCK: usize = 1 << 12;
    // Every number of a block is looked at, so that the compiler can take several at once.
    let outside = |block: &[T]| !block.iter().fold(true, |all, x| all & x.finite());
    let block = values.chunks(BLOCK).position(outside)? * BLOCK;
    values[block..].iter().position(|x| !x.finite()).map(|at| block + at)
}

/// Fills a buffer with the bytes from an offset on.
pub(crate) type Reading<'a, E> = dyn FnMut(u64, &mut [u8]) -> Result<(), E> + 'a;

/// See [`Array::stream`].
fn streamed<T: Element, E>(n: u64, read: &mut Reading<'_, E>) -> Result<Option<Vec<T>>, E> {
    let Some(mut out) = reserve(n) else { return Ok(None) };
    let (n, size) = (n as usize, size_of::<T>());
    let mut piece = vec![0; n.min(PIECE / size) * size];
    while out.len() < n {
        let bytes = &mut piece[..(n - out.len()).min(PIECE / size) * size];
        read((out.len() * size) as u64, bytes)?;
        out.extend(bytes.chunks_exact(size).map(T::le));
    }
    Ok(Some(out))
}

fn collect<T: Element>(layout: &Layout, bytes: &[u8]) -> Option<Vec<T>> {
    let n = layout.elements()?;
    let mut out = reserve(n)?;
    let size = size_of::<T>();
    layout.walk(|i| out.push(T::le(&bytes[i * size..(i + 1) * size])));
    (out.len() as u64 == n).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_are_honoured() {
        let bytes: Vec<u8> = (0u8..6).collect();
        let get = |shape: &[u64], strides: &[u64]| {
            let l = Layout { shape: shape.to_vec(), strides: strides.to_vec() };
            Array::gather(DType::U8, &l, &bytes).unwrap().data
        };
        assert_eq!(get(&[2, 3], &[3, 1]), Data::U8(vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(get(&[2, 3], &[1, 2]), Data::U8(vec![0, 2, 4, 1, 3, 5]));
        assert_eq!(get(&[2, 2], &[0, 5]), Data::U8(vec![0, 5, 0, 5]));
        assert_eq!(get(&[], &[]), Data::U8(vec![0]));
        assert_eq!(get(&[0, 7], &[9, 9]), Data::U8(vec![]));
        assert_eq!(Layout::columns(&[2, 3]).strides, [1, 2]);
    }

    #[test]
    fn bytes_are_streamed_in_pieces() {
        let n = PIECE / 4 + 3;
        let values: Vec<i32> = (0..n as i32).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut pieces = Vec::new();
        let mut read = |at: u64, to: &mut [u8]| {
            pieces.push(to.len());
            to.copy_from_slice(&bytes[at as usize..][..to.len()]);
            Ok::<_, ()>(())
        };
        let array = Array::stream(DType::I32, &[n as u64], &mut read).unwrap().unwrap();
        assert_eq!(array, Array { shape: vec![n], data: Data::I32(values) });
        assert_eq!(pieces, [PIECE, 12]);
        let mut fails = |_: u64, _: &mut [u8]| Err("no");
        assert_eq!(Array::stream(DType::F64, &[1], &mut fails), Err("no"));
        assert!(Array::stream(DType::F64, &[0, 4], &mut fails).unwrap().unwrap().is_empty());
        assert_eq!(Array::stream(DType::U8, &[u64::MAX, 2], &mut fails), Ok(None));
    }

    #[test]
    fn sizes_that_do_not_fit_are_none() {
        assert_eq!(Layout::rows(&[1 << 40, 1 << 40]).elements(), None);
        assert_eq!(Layout { shape: vec![3], strides: vec![u64::MAX] }.span(), None);
        assert_eq!(Layout { shape: vec![3, 2], strides: vec![4, 1] }.span(), Some(10));
    }

    #[test]
    fn numbers_survive_conversion() {
        let a = Array {
            shape: vec![2],
            data: Data::BF16(vec![bf16::from_f32(1.5), bf16::from_f32(-2.0)]),
        };
        assert_eq!((a.to_f32(), a.to_f64()), (vec![1.5, -2.0], vec![1.5, -2.0]));
        let back = Array::gather(DType::BF16, &Layout::rows(&[2]), &a.le_bytes()).unwrap();
        assert_eq!(back, a);
        let bad = Array::f32(&[3], vec![0.0, f32::INFINITY, f32::NAN]).unwrap();
        assert_eq!(bad.first_not_finite(), Some(1));
        let mut many = vec![0.0; 10_000];
        many[9_000] = f32::NAN;
        assert_eq!(Array::f32(&[10_000], many).unwrap().first_not_finite(), Some(9_000));
        let mut blocks = Vec::new();
        a.each_f32_block(|b| blocks.extend_from_slice(b));
        assert_eq!(blocks, [1.5f32.to_le_bytes(), (-2.0f32).to_le_bytes()].concat());
    }
}
