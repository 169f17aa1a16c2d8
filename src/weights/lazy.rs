//! A tensor that is known but not yet read: all readers end here, so `inspect` does not read tensor
//! data.

use super::array::{Array, DType, Layout};
use super::source::{Source, quoted, reserve};
use crate::error::Result;
use crate::limits::Limits;

/// Bytes of work allowed beyond the file's own size.
const HEADROOM: u64 = 64 << 20;

/// Budget for the work that one file may cause: a small file must not fill the memory by naming the
/// same bytes many times.
pub(crate) struct Spend {
    left: u64,
}

impl Spend {
    /// A budget for a file of `bytes`.
    pub(crate) fn new(bytes: u64) -> Self {
        Self { left: bytes.saturating_mul(6).saturating_add(HEADROOM) }
    }

    /// Takes `bytes` of it, or refuses.
    pub(crate) fn charge(&mut self, bytes: u64, source: &Source, at: u64) -> Result<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(source
                .fail(at, "the file unfolds to more than 64 MiB beyond six times its own size")),
        }
    }
}

/// A tensor in a source, its range checked.
#[derive(Clone)]
pub(crate) struct Lazy {
    /// The type of its elements.
    pub(crate) dtype: DType,
    layout: Layout,
    source: Source,
    offset: u64,
    big_endian: bool,
}

impl Lazy {
    /// The tensor whose element 0 is element `first` of a storage.
    ///
    /// Refused: more dimensions than the limit, sizes that overflow, elements outside the storage.
    pub(crate) fn new(
        source: Source,
        dtype: DType,
        mut layout: Layout,
        first: u64,
        limits: &Limits,
    ) -> Result<Self> {
        if layout.shape.len() > limits.rank {
            let n = layout.shape.len();
            return Err(source.fail(
                0,
                format_args!("a tensor has at most {} dimensions, not {n}", limits.rank),
            ));
        }
        // A dimension of one element is never stepped over; its stride may be anything.
        for (stride, &size) in layout.strides.iter_mut().zip(&layout.shape) {
            *stride *= u64::from(size > 1);
        }
        let size = dtype.size() as u64;
        let fits = || {
            let (elements, span) = (layout.elements()?, layout.span()?);
            let end = first.checked_add(span)?.checked_mul(size)?;
            let fits = end <= source.len() && elements.checked_mul(size)? <= limits.tensor_bytes;
            fits.then_some(first * size)
        };
        match fits() {
            Some(offset) => Ok(Self { dtype, layout, source, offset, big_endian: false }),
            None => Err(source.fail(0, format_args!(
                "a tensor of shape {:?}, strides {:?} and offset {first} ({}) needs more than the \
                 {} bytes of its storage",
                layout.shape, layout.strides, dtype.name(), source.len()
            ))),
        }
    }

    /// The same, its numbers stored with the high byte first.
    pub(crate) fn big_endian(mut self, yes: bool) -> Self {
        self.big_endian = yes;
        self
    }

    /// Its shape.
    pub(crate) fn shape(&self) -> Vec<usize> {
        self.layout.shape.iter().map(|&n| n as usize).collect()
    }

    /// Takes the work of reading it from the budget: the bytes it spans, those it unfolds to, and
    /// those before them.
    pub(crate) fn charge(&self, spend: &mut Spend) -> Result<()> {
        let size = self.dtype.size() as u64;
        let bytes = |n: Option<u64>| n.unwrap_or(u64::MAX).saturating_mul(size);
        let cost = bytes(self.layout.span()).saturating_add(bytes(self.layout.elements()));
        spend.charge(
            cost.saturating_add(self.source.seek_cost(self.offset)),
            &self.source,
            self.offset,
        )
    }

    /// Reads it; NaN and infinities are refused.
    pub(crate) fn load(&self, name: &str) -> Result<Array> {
        let size = self.dtype.size() as u64;
        let span = self.layout.span().unwrap_or(u64::MAX).saturating_mul(size);
        let mut read = |at: u64, bytes: &mut [u8]| -> Result<()> {
            self.source.read_into(self.offset + at, bytes)?;
            if self.big_endian {
                bytes.chunks_exact_mut(size as usize).for_each(<[u8]>::reverse);
            }
            Ok(())
        };
        let array = if self.layout.contiguous() {
            Array::stream(self.dtype, &self.layout.shape, &mut read)?
        } else {
            let mut bytes = reserve(span).ok_or_else(|| self.source.no_memory(span))?;
            bytes.resize(span as usize, 0);
            read(0, &mut bytes)?;
            Array::gather(self.dtype, &self.layout, &bytes)
        };
        let array = array.ok_or_else(|| self.source.no_memory(span))?;
        match array.first_not_finite() {
            None => Ok(array),
            Some(i) => Err(self.source.fail(
                self.offset,
                format_args!("values are finite; element {i} of tensor {} is not", quoted(name)),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LIMITS;

    fn lazy(bytes: usize, shape: &[u64], strides: &[u64], first: u64) -> Result<Lazy> {
        let layout = Layout { shape: shape.to_vec(), strides: strides.to_vec() };
        Lazy::new(Source::bytes("f", vec![0; bytes]), DType::F32, layout, first, &LIMITS)
    }

    #[test]
    fn ranges_are_checked() {
        assert!(lazy(24, &[2, 3], &[3, 1], 0).is_ok());
        assert!(lazy(24, &[1, 6], &[u64::MAX, 1], 0).is_ok());
        for bad in [
            lazy(23, &[2, 3], &[3, 1], 0),
            lazy(24, &[2, 3], &[3, 1], 1),
            lazy(24, &[2, 3], &[3, 1], 1 << 62),
            lazy(24, &[1 << 60], &[0], 0),
            lazy(24, &[1 << 30, 1 << 34], &[0, 0], 0),
            lazy(24, &[1; 9], &[1; 9], 0),
        ] {
            assert!(bad.is_err());
        }
    }

    #[test]
    fn unfolding_is_bounded() {
        let big = lazy(24, &[1 << 25], &[0], 0).unwrap();
        let e = big.charge(&mut Spend::new(24)).unwrap_err();
        assert!(e.message().contains("unfolds"), "{e}");
        assert!(lazy(24, &[1 << 20], &[0], 0).unwrap().charge(&mut Spend::new(24)).is_ok());
    }
}
