//! The parts of a code: its tensors, by what they are.

use crate::error::Result;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Meaning of a tensor in a code.
///
/// A further part is a variant here, with its name and ranks. Batches, files and journals need no
/// change; what a generator makes of it is in [`crate::generator::spaces::input_of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The numbers of the space itself, `[N, D]` or `[N, L, D]`.
    Point,
    /// The noise map of one layer, `[N or 1, 1, H, W]`; layers count in the generator's order.
    Noise(usize),
    /// Labels of a conditional generator, `[N or 1, c_dim]`.
    Labels,
}

impl Part {
    /// Its name in files: `code`, `noise.0`, `labels`.
    pub fn name(self) -> String {
        match self {
            Self::Point => "code".to_owned(),
            Self::Noise(layer) => format!("noise.{layer}"),
            Self::Labels => "labels".to_owned(),
        }
    }

    /// The part of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let index = name.rsplit('.').next().and_then(|i| i.parse().ok()).unwrap_or(0);
        [Self::Point, Self::Noise(index), Self::Labels].into_iter().find(|p| p.name() == name)
    }

    /// The ranks that its tensor may have.
    pub const fn ranks(self) -> RangeInclusive<usize> {
        match self {
            Self::Point => 2..=3,
            Self::Noise(_) => 4..=4,
            Self::Labels => 2..=2,
        }
    }
}

/// The tensors of N codes, one a part. There is always a [`Part::Point`].
///
/// # Shapes
/// The first dimension of each tensor is N, or 1 when all codes share it.
#[derive(Clone, Debug)]
pub struct Parts(BTreeMap<Part, Tensor>);

impl Parts {
    /// The numbers of the space, without any other part.
    pub fn of(point: Tensor) -> Self {
        Self(BTreeMap::from([(Part::Point, point)]))
    }

    /// Adds a part, or replaces it.
    pub fn insert(&mut self, part: Part, tensor: Tensor) {
        self.0.insert(part, tensor);
    }

    /// The same parts with this one added or replaced.
    pub fn with(mut self, part: Part, tensor: Tensor) -> Self {
        self.insert(part, tensor);
        self
    }

    /// The parts that are no noise maps.
    pub fn without_noise(mut self) -> Self {
        self.0.retain(|part, _| !matches!(part, Part::Noise(_)));
        self
    }

    /// The tensor of a part.
    pub fn get(&self, part: Part) -> Option<&Tensor> {
        self.0.get(&part)
    }

    /// All parts, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Part, &Tensor)> {
        self.0.iter().map(|(part, tensor)| (*part, tensor))
    }

    /// The numbers of the space itself.
    pub fn point(&self) -> &Tensor {
        // Every constructor begins with a point, and nothing removes it.
        &self.0[&Part::Point]
    }

    /// The noise maps in layer order; empty without any.
    pub fn noise(&self) -> Vec<&Tensor> {
        let maps = self.0.range(Part::Noise(0)..=Part::Noise(usize::MAX));
        maps.map(|(_, map)| map).collect()
    }

    /// The labels.
    pub fn labels(&self) -> Option<&Tensor> {
        self.get(Part::Labels)
    }

    /// Number of codes.
    pub fn count(&self) -> usize {
        self.point().dims().first().copied().unwrap_or(0)
    }

    /// The same parts with other tensors: those that `f` makes of them.
    ///
    /// # Errors
    /// As `f`.
    pub fn map(&self, mut f: impl FnMut(Part, &Tensor) -> Result<Tensor>) -> Result<Self> {
        let all = self.iter().map(|(part, tensor)| Ok((part, f(part, tensor)?)));
        all.collect::<Result<_>>().map(Self)
    }

    /// The parts on a device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        self.map(|_, tensor| Ok(tensor.to_device(device)?))
    }

    /// The parts of the `len` codes from `from` on. A part that all codes share stays.
    ///
    /// # Errors
    /// When there are fewer codes.
    pub fn slice(&self, from: usize, len: usize) -> Result<Self> {
        self.map(|_, tensor| rows(tensor, (from, len), self.count()))
    }

    /// Whether both can be put into one batch: they have the same parts in the same shapes, and no
    /// part that several codes share.
    pub fn fit_beside(&self, other: &Self) -> bool {
        let one_each = |p: &Self| p.0.values().all(|t| t.dims().first() == Some(&p.count()));
        let shapes = |p: &Self| -> Vec<(Part, Vec<usize>)> {
            p.iter().map(|(part, t)| (part, t.dims().iter().skip(1).copied().collect())).collect()
        };
        one_each(self) && one_each(other) && shapes(self) == shapes(other)
    }
}

impl Extend<(Part, Tensor)> for Parts {
    fn extend<T: IntoIterator<Item = (Part, Tensor)>>(&mut self, more: T) {
        self.0.extend(more);
    }
}

/// The `len` rows from `from` on of a tensor with one row for each of `count` codes. A tensor that
/// all codes share stays.
///
/// # Errors
/// When there are fewer rows.
pub fn rows(t: &Tensor, (from, len): (usize, usize), count: usize) -> Result<Tensor> {
    let whole = t.dim(0)? != count || (from, len) == (0, count);
    Ok(if whole { t.clone() } else { t.narrow(0, from, len)?.contiguous()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Device = Device::Cpu;

    #[test]
    fn names_are_read_as_they_are_written() {
        for part in [Part::Point, Part::Noise(0), Part::Noise(17), Part::Labels] {
            assert_eq!(Part::parse(&part.name()), Some(part));
        }
        for name in ["", "w", "code.0", "noise", "noise.", "noise.01", "noise.+1", "labels.1"] {
            assert_eq!(Part::parse(name), None, "{name}");
        }
    }

    #[test]
    fn noise_maps_come_in_layer_order() {
        let map = |side: usize| Tensor::zeros((1, 1, side, side), candle_core::DType::F32, &CPU);
        let mut parts = Parts::of(map(1).unwrap());
        parts.extend([11, 2, 0].map(|layer| (Part::Noise(layer), map(layer + 1).unwrap())));
        let sides: Vec<usize> = parts.noise().iter().map(|m| m.dims()[3]).collect();
        assert_eq!(sides, [1, 3, 12]);
        assert!(parts.without_noise().noise().is_empty());
    }
}
