//! Hash that identifies a tensor.

use crate::error::Result;
use candle_core::{DType, Device, Tensor};
use sha2::{Digest, Sha256};

/// Sha256 of a tensor's shape and values, hexadecimal.
///
/// # Errors
/// When the tensor cannot be read.
pub fn content_hash(t: &Tensor) -> Result<String> {
    let values =
        t.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    let mut hash = Sha256::new();
    hash.update(format!("{:?}", t.dims()));
    for v in values {
        hash.update(v.to_le_bytes());
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
