//! Stored form of values: their exact bits.
//!
//! In a journal a value is small enough to keep. One that is too large is computed again when it is
//! needed, and compared with what it was. The cache keeps values whole, see [`Kept::whole`], as a
//! header and the bytes of its tensors ([`Packed`]).

mod code;
mod inversion;
mod numbers;
mod packed;
mod photograph;
mod picture;
mod plot;
mod table;
mod table_value;

pub use packed::Packed;

use crate::control::Control;
use crate::error::{Error, Kind};
use crate::latent::Code;
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::value::{List, Models, Value, pictures};
use candle_core::{DType, Tensor};
use numbers::Bits;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;

pub use table::KeptTable;

type Result<T, E = Error> = std::result::Result<T, E>;

/// Lists in lists that are kept.
const DEPTH: usize = 16;
/// Bytes that any element costs.
const ELEMENT: usize = 16;
/// Largest value, in bytes, whose digest is kept in its place.
const DIGESTED: usize = 64 << 20;

/// Stored form of a name's value, shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared(Arc<Kept>);

impl From<Kept> for Shared {
    fn from(kept: Kept) -> Self {
        Self(Arc::new(kept))
    }
}

impl std::ops::Deref for Shared {
    type Target = Kept;

    fn deref(&self) -> &Kept {
        &self.0
    }
}

impl Serialize for Shared {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Kept::deserialize(deserializer).map(Self::from)
    }
}

/// Stored form of a name's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Result of a statement.
    Nothing,
    /// A number.
    Number(Bits),
    /// A text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// First and last value, and the step.
    Range(Bits, Bits, Option<Bits>),
    /// The name of a space.
    Space(String),
    /// A list.
    List(Vec<Self>),
    /// A list, and a short text for each element.
    Labelled(Vec<Self>, Vec<String>),
    /// Pictures.
    Image(picture::Image),
    /// Codes.
    Latent(code::Code),
    /// A path: its frames as codes.
    Path(code::Code),
    /// A direction.
    Direction(Vec<code::Direction>),
    /// A result of `invert`.
    Inversion(Box<inversion::Inversion>),
    /// A mask.
    Mask(picture::Mask),
    /// A table.
    Table(table_value::Table),
    /// A plot.
    Plot(plot::Plot),
    /// Too large, or not data: recomputed on demand. The digest shows whether the result is the
    /// same; `None` for values whose digest would take too long.
    Again(Option<String>),
}

impl Kept {
    /// Converts a value to its stored form: at most
    /// [`Limits::kept_bytes`](crate::limits::Limits::kept_bytes), targets of inversions not
    /// counted.
    pub fn of(value: &Value) -> Self {
        let mut budget =
            Budget { left: LIMITS.kept_bytes, pictures: LIMITS.kept_picture_bytes, whole: false };
        budget.value(value, 0).unwrap_or_else(|| Self::Again(digest(value)))
    }

    /// As [`Kept::of`] for a value of at most `most` bytes, with everything: pictures keep their
    /// numbers, inversions their reconstruction. `None` for a value that is larger, or no data.
    pub fn whole(value: &Value, most: usize) -> Option<Self> {
        Budget { left: most, pictures: 0, whole: true }.value(value, 0)
    }

    /// Forgets what differs between two computations of the same value: how long it took.
    #[must_use]
    pub fn timeless(mut self) -> Self {
        match &mut self {
            Self::Inversion(i) => i.timeless(),
            Self::Table(t) => t.timeless(),
            _ => {}
        }
        self
    }

    /// Calls `take` with the bytes of every tensor, always in the same order.
    fn each_bytes(&mut self, take: &mut dyn FnMut(&mut Vec<u8>)) {
        match self {
            Self::List(items) | Self::Labelled(items, _) => {
                items.iter_mut().for_each(|v| v.each_bytes(take));
            }
            Self::Image(i) => i.each_bytes(take),
            Self::Latent(l) | Self::Path(l) => l.each_bytes(take),
            Self::Inversion(i) => i.each_bytes(take),
            Self::Mask(m) => m.each_bytes(take),
            Self::Table(t) => t.each_bytes(take),
            Self::Nothing
            | Self::Number(_)
            | Self::Text(_)
            | Self::Bool(_)
            | Self::Range(..)
            | Self::Space(_)
            | Self::Direction(_)
            | Self::Plot(_)
            | Self::Again(_) => {}
        }
    }

    /// Whether it must be computed again.
    pub fn is_again(&self) -> bool {
        matches!(self, Self::Again(_))
    }

    /// Whether it is a result of `invert`.
    pub fn is_inversion(&self) -> bool {
        matches!(self, Self::Inversion(_))
    }

    /// Whether a value that was computed again differs from the one that was there.
    pub fn differs(&self, value: &Value) -> bool {
        matches!(self, Self::Again(Some(was)) if digest(value).is_some_and(|is| is != *was))
    }

    /// The value, with the pictures of codes by the generators of `models`; `None` when it must be
    /// computed again.
    ///
    /// # Errors
    /// When what is kept cannot be a value, or the generator of an inversion is not loaded.
    pub fn value(&self, models: &Models) -> Result<Option<Value>> {
        let device = models.device();
        let picture = |code: &Code| picture(code, models);
        let list =
            |items: &Vec<Self>| items.iter().map(|v| v.value(models)).collect::<Result<Vec<_>>>();
        Ok(Some(match self {
            Self::Nothing => Value::Nothing,
            Self::Number(v) => Value::Number((*v).into()),
            Self::Text(t) => Value::Text(t.clone()),
            Self::Bool(b) => Value::Bool(*b),
            Self::Range(from, to, step) => {
                Value::Range { from: (*from).into(), to: (*to).into(), step: step.map(f64::from) }
            }
            Self::Space(s) => Value::Space(code::space(s)?),
            Self::List(items) => {
                let all: Option<Vec<Value>> = list(items)?.into_iter().collect();
                return Ok(all.map(List::new).transpose()?.map(Value::List));
            }
            Self::Labelled(items, labels) if items.len() == labels.len() => {
                let all: Option<Vec<Value>> = list(items)?.into_iter().collect();
                let labelled = |all| List::labelled(all, labels.clone());
                return Ok(all.map(labelled).transpose()?.map(Value::List));
            }
            Self::Labelled(items, labels) => {
                let counts = format!("{} elements and {} labels", items.len(), labels.len());
                return Err(Error::new(Kind::Format, format!("a stored list has {counts}")));
            }
            Self::Image(i) => Value::Image(i.value(device)?),
            Self::Latent(l) => Value::Latent(l.value(device)?),
            Self::Path(l) => Value::Path(l.value(device)?),
            Self::Direction(forms) => Value::Direction(Arc::new(code::forms(forms)?)),
            Self::Inversion(i) => Value::Inversion(Arc::new(i.value(device, &picture)?)),
            Self::Mask(m) => Value::Mask(Arc::new(m.value()?)),
            Self::Table(t) => Value::Table(Arc::new(t.value(device, &picture)?)),
            Self::Plot(p) => Value::Plot(Arc::new(p.value()?)),
            Self::Again(_) => return Ok(None),
        }))
    }
}

/// The pictures of codes, `[N, C, H, W]`, by the generator that made them.
fn picture(code: &Code, models: &Models) -> Result<Tensor> {
    let id = code.model.as_ref();
    let loaded = id.and_then(|id| models.loaded(id)).ok_or_else(|| {
        let name = id.map_or("an unnamed generator", |m| &m.name);
        Error::new(Kind::Runtime, format!("{} is not loaded", Safe(name)))
            .hint("load that generator first")
    })?;
    Ok(pictures::render(code, &loaded, &Control::default())?.data)
}

/// Remaining budget of a value, in bytes.
struct Budget {
    left: usize,
    /// For the targets of inversions in a journal, which cannot be recomputed.
    pictures: usize,
    /// Whether the value is kept with everything; see [`Kept::whole`].
    whole: bool,
}

impl Budget {
    fn spend(&mut self, bytes: usize) -> Option<()> {
        self.left = self.left.checked_sub(bytes)?;
        Some(())
    }

    /// `None` when the value is too large, or no data.
    fn value(&mut self, value: &Value, depth: usize) -> Option<Kept> {
        self.spend(ELEMENT)?;
        Some(match value {
            Value::Nothing => Kept::Nothing,
            Value::Number(v) => Kept::Number((*v).into()),
            Value::Text(t) => {
                self.spend(t.len())?;
                Kept::Text(t.clone())
            }
            Value::Bool(b) => Kept::Bool(*b),
            Value::Range { from, to, step } => {
                Kept::Range((*from).into(), (*to).into(), step.map(Bits::from))
            }
            Value::Space(s) => Kept::Space(s.name().to_owned()),
            Value::List(items) if depth < DEPTH => {
                let all = items.iter().map(|v| self.value(v, depth + 1));
                let all = all.collect::<Option<_>>()?;
                let labels = items.labels();
                self.spend(labels.iter().map(|l| ELEMENT + l.len()).sum())?;
                if labels.is_empty() {
                    Kept::List(all)
                } else {
                    Kept::Labelled(all, labels.to_vec())
                }
            }
            Value::Image(i) => Kept::Image(picture::Image::of(i, self)?),
            Value::Latent(l) => Kept::Latent(code::Code::of(l, self)?),
            Value::Path(l) => Kept::Path(code::Code::of(l, self)?),
            Value::Direction(d) => {
                let all = d.iter().map(|(set, d)| code::Direction::of(set, d, self));
                Kept::Direction(all.collect::<Option<_>>()?)
            }
            Value::Inversion(i) => Kept::Inversion(Box::new(inversion::Inversion::of(i, self)?)),
            Value::Mask(m) => Kept::Mask(picture::Mask::of(m, self)?),
            Value::Table(t) => Kept::Table(table_value::Table::of(t, self)?),
            Value::Plot(p) => {
                self.spend(8 * p.numbers())?;
                Kept::Plot(plot::Plot::of(p))
            }
            Value::List(_) | Value::Model(_) | Value::Word(..) => return None,
        })
    }
}

/// Sha256 over pictures and codes of a value, hexadecimal; `None` for what holds none, or more
/// than is worth the time.
pub fn digest(value: &Value) -> Option<String> {
    let (mut hash, mut left) = (Sha256::new(), DIGESTED);
    feed(value, &mut hash, &mut left, 0)?;
    let hex = hash.finalize().iter().fold(String::new(), |mut s, b| {
        // Writing to a string cannot fail.
        let _ = write!(s, "{b:02x}");
        s
    });
    Some(hex)
}

fn feed(value: &Value, hash: &mut Sha256, left: &mut usize, depth: usize) -> Option<()> {
    *left = left.checked_sub(ELEMENT)?;
    match value {
        Value::Image(i) => tensor(&i.data, hash, left),
        Value::Latent(l) | Value::Path(l) => tensor(l.point(), hash, left),
        Value::Inversion(i) => tensor(i.code.point(), hash, left),
        Value::List(items) if depth < DEPTH => {
            items.iter().try_for_each(|v| feed(v, hash, left, depth + 1))
        }
        Value::Number(v) => {
            hash.update(v.to_bits().to_le_bytes());
            Some(())
        }
        _ => None,
    }
}

fn tensor(t: &Tensor, hash: &mut Sha256, left: &mut usize) -> Option<()> {
    *left = left.checked_sub(t.elem_count().checked_mul(4)?)?;
    let values =
        t.to_dtype(DType::F32).and_then(|t| t.flatten_all()).and_then(|t| t.to_vec1::<f32>());
    hash.update(format!("{:?}", t.dims()));
    values.ok()?.iter().for_each(|v| hash.update(v.to_le_bytes()));
    Some(())
}

#[cfg(test)]
pub(crate) mod tests;
