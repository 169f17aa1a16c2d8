//! A container for tests alone: a magic, the number of tensors, then each with its name, its sizes
//! and its numbers, all little endian.

use super::array::{Array, DType, Layout};
use super::container::{Container, Draft, Probe};
use super::lazy::Lazy;
use crate::error::Result;
use std::collections::BTreeMap;

const MAGIC: &[u8; 16] = b"dummy_container\n";

/// The longest name that is read.
const NAME: u32 = 200;

pub(super) const CONTAINER: Container = Container {
    name: "dummy_container",
    begins: |head| head.starts_with(MAGIC),
    holds: |_| true,
    read,
};

fn read(probe: &Probe<'_>) -> Result<Draft> {
    let (source, limits) = (probe.source, probe.limits);
    let mut cursor = source.cursor();
    cursor.array::<16>()?;
    let mut draft = Draft::default();
    for _ in 0..u32::from_le_bytes(cursor.array()?) {
        let at = cursor.at();
        let length = u32::from_le_bytes(cursor.array()?);
        if length > NAME {
            return Err(source.fail(at, format_args!("a name has at most {NAME} bytes")));
        }
        let name = cursor.part(length.into())?.read(0, length.into())?;
        let rank = u32::from_le_bytes(cursor.array()?);
        if rank as usize > limits.rank {
            let most = limits.rank;
            return Err(source.fail(at, format_args!("a tensor has at most {most} dimensions")));
        }
        let size = |_| Ok(u64::from_le_bytes(cursor.array()?));
        let shape = (0..rank).map(size).collect::<Result<Vec<_>>>()?;
        let layout = Layout::rows(&shape);
        let Some(bytes) = layout.elements().and_then(|n| n.checked_mul(4)) else {
            return Err(source.fail(at, "the sizes of a tensor overflow"));
        };
        let lazy = Lazy::new(cursor.part(bytes)?, DType::F32, layout, 0, limits)?;
        draft.tensors.insert(String::from_utf8_lossy(&name).into_owned(), lazy);
    }
    if cursor.at() != source.len() {
        return Err(source.fail(cursor.at(), "nothing follows the last tensor"));
    }
    Ok(draft)
}

/// The bytes of a file with these tensors.
pub(crate) fn write(tensors: &BTreeMap<String, Array>) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).expect("small").to_le_bytes();
    let mut out = [&MAGIC[..], &number(tensors.len())].concat();
    for (name, array) in tensors {
        out.extend(number(name.len()));
        out.extend(name.bytes());
        out.extend(number(array.shape.len()));
        array.shape.iter().for_each(|&n| out.extend((n as u64).to_le_bytes()));
        array.to_f32().iter().for_each(|v| out.extend(v.to_le_bytes()));
    }
    out
}
