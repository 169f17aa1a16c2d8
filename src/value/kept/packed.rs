//! A stored value as a header of text and the bytes of its tensors, which are long.

use super::Kept;
use super::numbers::broken;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// A stored value in two parts.
#[derive(Debug)]
pub struct Packed {
    /// JSON: the value without the bytes of its tensors, and their lengths.
    pub header: Vec<u8>,
    /// The bytes of its tensors.
    pub bytes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    lengths: Vec<usize>,
    value: Kept,
}

impl Packed {
    /// Takes a value apart.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn new(mut value: Kept) -> Result<Self> {
        let (mut lengths, mut bytes) = (Vec::new(), Vec::new());
        value.each_bytes(&mut |own| {
            lengths.push(own.len());
            bytes.append(own);
        });
        let header = serde_json::to_vec(&Header { lengths, value });
        Ok(Self { header: header.map_err(|e| broken(e.to_string()))?, bytes })
    }

    /// The value again, from the parts as they were written.
    ///
    /// # Errors
    /// When the header is none, or does not fit the bytes.
    pub fn value(header: &[u8], bytes: &[u8]) -> Result<Kept> {
        let Header { lengths, mut value } =
            serde_json::from_slice(header).map_err(|e| broken(e.to_string()))?;
        let (mut lengths, mut rest, mut fits) = (lengths.into_iter(), bytes, true);
        value.each_bytes(&mut |own| match lengths.next().and_then(|n| rest.split_at_checked(n)) {
            Some((first, left)) => {
                own.extend_from_slice(first);
                rest = left;
            }
            None => fits = false,
        });
        if fits && rest.is_empty() && lengths.next().is_none() {
            return Ok(value);
        }
        Err(broken("the lengths of its tensors are those of others"))
    }
}
