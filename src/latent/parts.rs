//! The parts of a code: its tensors, by what they are.

use crate::error::Result;
use candle_core::{DType, Device, Tensor};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Camera or transform, `[N or 1, 2 or 3]`, as [`crate::generator::pose`] reads them.
    Pose,
    /// What is added to the feature map of one layer, `[N or 1, C, H, W]`: the code's place in
    /// F/W+, relative to the map that the codes alone give. So an edit of the codes moves the map
    /// as well (StyleFeatureEditor, Bobkov et al. 2024). Layers count as in a generator's
    /// `Spec::layers`.
    Residual(usize),
    /// What is added to one weight of the generator, `[N or 1, …]` with the weight's own shape
    /// behind (PTI, Roich et al. 2021). Weights count in the order of their names.
    Delta(usize),
    /// The left factor of what is added to one weight, `[N or 1, rows, rank]`. The product of both
    /// has the weight's numbers in their order. In a search the rows are the weight's first
    /// dimension; HyperInverter's (Dinh et al. 2022) are as many as its second.
    Left(usize),
    /// The right factor, `[N or 1, rank, columns]`.
    Right(usize),
    /// What one weight is multiplied by, less 1, `[N or 1, O, C]`: `O` is the weight's first
    /// dimension; `C` its second, for all places of a kernel alike, or the product of all others
    /// (HyperStyle, Alaluf et al. 2022).
    Gain(usize),
    /// The left factor of a gain, `[N or 1, O, rank]`.
    GainLeft(usize),
    /// The right factor of all gains that have a left one, `[N or 1, rank, C]`.
    GainRight,
    /// What the feature map of one layer is multiplied by, less 1, before its residual is added,
    /// `[N or 1, C, H, W]` (HFGI, Wang et al. 2022).
    Scale(usize),
    /// What is added to the feature map of one layer where the next layer reads it, `[N or 1, C, H,
    /// W]`; the picture of the layer's own resolution is made of the map without it
    /// (StyleFeatureEditor, Bobkov et al. 2024). It is relative to the map that the codes give.
    Onward(usize),
    /// Further codes of the point's space, `[N, K − 1, D]`, whose feature maps are composed with
    /// the point's (mGANprior, Gu et al. 2020).
    Codes,
    /// The factors of the channels of the K maps that are composed at a layer, `[N, K, C]`; the
    /// first row is that of the point's map.
    Shares(usize),
    /// Parameters of what has happened to the picture that a search compares, `[N, P]`; pictures of
    /// the code are without it (MimicGAN, Anirudh et al. 2020).
    Corruption,
    /// A step of the point, of its shape: the code lies at `point + place · step`, on a line with
    /// the codes of other pictures (Xu et al. 2021).
    Step,
    /// The place on that line, `[N, 1]`.
    Place,
}

impl Part {
    /// Its name in files: `code`, `noise.0`, `labels`.
    pub fn name(self) -> String {
        match self {
            Self::Point => "code".to_owned(),
            Self::Noise(layer) => format!("noise.{layer}"),
            Self::Labels => "labels".to_owned(),
            Self::Pose => "pose".to_owned(),
            Self::Residual(layer) => format!("residual.{layer}"),
            Self::Delta(weight) => format!("delta.{weight}"),
            Self::Left(weight) => format!("left.{weight}"),
            Self::Right(weight) => format!("right.{weight}"),
            Self::Gain(weight) => format!("gain.{weight}"),
            Self::GainLeft(weight) => format!("gain_left.{weight}"),
            Self::GainRight => "gain_right".to_owned(),
            Self::Scale(layer) => format!("scale.{layer}"),
            Self::Onward(layer) => format!("onward.{layer}"),
            Self::Codes => "codes".to_owned(),
            Self::Shares(layer) => format!("shares.{layer}"),
            Self::Corruption => "corruption".to_owned(),
            Self::Step => "step".to_owned(),
            Self::Place => "place".to_owned(),
        }
    }

    /// The part of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let index = name.rsplit('.').next().and_then(|i| i.parse().ok()).unwrap_or(0);
        let all = [
            Self::Point,
            Self::Noise(index),
            Self::Labels,
            Self::Pose,
            Self::Residual(index),
            Self::Delta(index),
            Self::Left(index),
            Self::Right(index),
            Self::Gain(index),
            Self::GainLeft(index),
            Self::GainRight,
            Self::Scale(index),
            Self::Onward(index),
            Self::Codes,
            Self::Shares(index),
            Self::Corruption,
            Self::Step,
            Self::Place,
        ];
        all.into_iter().find(|p| p.name() == name)
    }

    /// Whether it belongs to a change of the generator's weights.
    pub const fn tunes(self) -> bool {
        let added = matches!(self, Self::Delta(_) | Self::Left(_) | Self::Right(_));
        added || matches!(self, Self::Gain(_) | Self::GainLeft(_) | Self::GainRight)
    }

    /// Whether files keep it in half precision.
    pub const fn halved(self) -> bool {
        self.tunes() || matches!(self, Self::Residual(_) | Self::Onward(_))
    }

    /// Whether it is what an inversion found besides the codes: noise maps, a pose, a residual,
    /// weights.
    pub const fn found(self) -> bool {
        !matches!(self, Self::Point | Self::Labels)
    }

    /// The ranks that its tensor may have.
    pub const fn ranks(self) -> RangeInclusive<usize> {
        match self {
            Self::Point | Self::Step => 2..=3,
            Self::Noise(_) | Self::Residual(_) | Self::Scale(_) | Self::Onward(_) => 4..=4,
            Self::Labels | Self::Pose | Self::Corruption | Self::Place => 2..=2,
            // A weight has up to four dimensions.
            Self::Delta(_) => 1..=5,
            Self::Left(_) | Self::Right(_) | Self::Codes | Self::Shares(_) => 3..=3,
            Self::Gain(_) | Self::GainLeft(_) | Self::GainRight => 3..=3,
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

    /// The parts that belong to any code: no noise maps, no residual, no weights.
    pub fn without_found(mut self) -> Self {
        self.0.retain(|part, _| !part.found());
        self
    }

    /// Whether the codes change the generator's weights.
    pub fn tune(&self) -> bool {
        self.0.keys().any(|part| part.tunes())
    }

    /// Bytes of the parts in a file: residuals and changes of weights take two for a number, all
    /// others four.
    pub fn stored_bytes(&self) -> usize {
        let each = |part: Part| if part.halved() { 2 } else { 4 };
        self.iter().map(|(part, t)| each(part) * t.elem_count()).sum()
    }

    /// Residuals and changes of weights in half precision, as files keep them: a file then gives the
    /// same picture.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn halved(&self) -> Result<Self> {
        self.map(|part, t| {
            if part.halved() {
                Ok(t.to_dtype(DType::F16)?.to_dtype(DType::F32)?)
            } else {
                Ok(t.clone())
            }
        })
    }

    /// Bytes of what was found beside the codes, as files keep it.
    pub fn found_bytes(&self) -> usize {
        let size = |(part, t): (Part, &Tensor)| match part {
            part if part.halved() => 2 * t.elem_count(),
            _ => 4 * t.elem_count(),
        };
        self.iter().filter(|(part, _)| part.found()).map(size).sum()
    }

    /// What is added to feature maps, by layer.
    pub fn residuals(&self) -> impl Iterator<Item = (usize, &Tensor)> {
        self.0.iter().filter_map(|(part, t)| match part {
            Part::Residual(layer) | Part::Onward(layer) => Some((*layer, t)),
            _ => None,
        })
    }

    /// The layers whose maps are not what the code gives alone, the first layer first.
    pub fn changed_layers(&self) -> BTreeSet<usize> {
        let layer = |part: &Part| match part {
            Part::Residual(layer) | Part::Shares(layer) => Some(*layer),
            Part::Scale(layer) | Part::Onward(layer) => Some(*layer),
            _ => None,
        };
        self.0.keys().filter_map(layer).collect()
    }

    /// The point, moved along the line that it lies on, where it does.
    ///
    /// # Errors
    /// When the step has another shape.
    pub fn located(&self) -> Result<Tensor> {
        let (Some(step), Some(place)) = (self.get(Part::Step), self.get(Part::Place)) else {
            return Ok(self.point().clone());
        };
        let mut shape = vec![1; step.rank()];
        shape[0] = place.dim(0)?;
        Ok(self.point().broadcast_add(&step.broadcast_mul(&place.reshape(shape)?)?)?)
    }

    /// The parts without some of them; the point stays.
    pub fn without(mut self, parts: &[Part]) -> Self {
        self.0.retain(|part, _| *part == Part::Point || !parts.contains(part));
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

    /// The parts without residuals of 0: codes of a batch have them where another code has one.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn without_nothing(self) -> Result<Self> {
        let mut nothing = Vec::new();
        for (part, t) in self.0.iter().filter(|(part, _)| matches!(part, Part::Residual(_))) {
            if t.abs()?.max_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()? == 0.0 {
                nothing.push(*part);
            }
        }
        Ok(self.without(&nothing))
    }

    /// Whether both can be put into one batch: they have the same parts in the same shapes, and no
    /// part that several codes share.
    pub fn fit_beside(&self, other: &Self) -> bool {
        let shared = |p: &Self| p.get(Part::GainRight).is_some();
        let one_each =
            |p: &Self| !shared(p) && p.0.values().all(|t| t.dims().first() == Some(&p.count()));
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
        for i in [0, 17] {
            let numbered = [Part::Noise(i), Part::Residual(i), Part::Delta(i)];
            let gains = [Part::Gain(i), Part::GainLeft(i), Part::Scale(i), Part::Onward(i)];
            let numbered = numbered.into_iter().chain(gains).chain([Part::Left(i), Part::Right(i)]);
            let numbered = numbered.chain([Part::Shares(i)]);
            let single = [Part::Point, Part::Labels, Part::Pose, Part::Codes, Part::GainRight];
            let single = single.into_iter().chain([Part::Corruption, Part::Step, Part::Place]);
            for part in single.chain(numbered) {
                assert_eq!(Part::parse(&part.name()), Some(part));
            }
        }
        for name in ["", "w", "code.0", "noise", "noise.", "noise.01", "noise.+1", "labels.1"] {
            assert_eq!(Part::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_residual_of_nothing_is_none() {
        let map = |v: f32| Tensor::full(v, (1, 2, 3, 3), &CPU).unwrap();
        let code = || Parts::of(Tensor::zeros((1, 4), DType::F32, &CPU).unwrap());
        let one = code().with(Part::Residual(2), map(0.5));
        let both = Parts::gathered(&[one, code()]).unwrap();
        let alone = |i| both.slice(i, 1).unwrap().without_nothing().unwrap();
        let has = |parts: &Parts| parts.get(Part::Residual(2)).is_some();
        assert_eq!([has(&alone(0)), has(&alone(1)), has(&both)], [true, false, true]);
    }

    #[test]
    fn noise_maps_come_in_layer_order() {
        let map = |side: usize| Tensor::zeros((1, 1, side, side), candle_core::DType::F32, &CPU);
        let mut parts = Parts::of(map(1).unwrap());
        parts.extend([11, 2, 0].map(|layer| (Part::Noise(layer), map(layer + 1).unwrap())));
        let sides: Vec<usize> = parts.noise().iter().map(|m| m.dims()[3]).collect();
        assert_eq!(sides, [1, 3, 12]);
        assert!(parts.without_found().noise().is_empty());
    }

    /// The change of a weight that codes bring, `[N, rows, columns]`.
    fn change(parts: &Parts) -> Vec<f32> {
        let low = match (parts.get(Part::Left(0)), parts.get(Part::Right(0))) {
            (Some(left), Some(right)) => Some(left.matmul(right).unwrap()),
            _ => None,
        };
        let delta = parts.get(Part::Delta(0)).cloned();
        let sum = match (low, delta) {
            (Some(a), Some(b)) => (a + b).unwrap(),
            (a, b) => a.or(b).unwrap(),
        };
        sum.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Between two codes the change of the weights is the mean of both, whatever its form is, and
    /// what one of them lacks is 0.
    #[test]
    fn what_was_found_is_mixed_without_a_jump() {
        let t = |shape: &[usize], k: f32| {
            let n: usize = shape.iter().product();
            let values = (0..n).map(|i| k + 0.7 * i as f32).collect::<Vec<_>>();
            Tensor::from_vec(values, shape, &CPU).unwrap()
        };
        let code = || Parts::of(t(&[1, 4], 0.0)).with(Part::Labels, t(&[1, 2], 0.0));
        let (left, right) = (Part::Left(0), Part::Right(0));
        let low = code().with(left, t(&[1, 2, 1], 1.0)).with(right, t(&[1, 1, 3], -2.0));
        let two = code().with(left, t(&[1, 2, 2], 0.5)).with(right, t(&[1, 2, 3], 0.1));
        let full = code().with(Part::Delta(0), t(&[1, 2, 3], 4.0));
        for (a, b) in [(&low, &two), (&two, &full), (&full, &low), (&full, &full), (&low, &low)] {
            let (from, to) = (change(a), change(b));
            for share in [0.0, 0.25, 1.0] {
                let mixed = a.between(b, f64::from(share)).unwrap();
                assert!(mixed.labels().is_some() && mixed.count() == 1);
                for ((got, x), y) in change(&mixed).into_iter().zip(&from).zip(&to) {
                    assert!((got - (1.0 - share) * x - share * y).abs() < 1e-5);
                }
            }
        }
        let plain = code();
        let half = low.between(&plain, 0.5).unwrap();
        assert!(change(&half).iter().zip(change(&low)).all(|(h, l)| (h - l / 2.0).abs() < 1e-6));
        assert!(
            !low.between(&plain, 1.0).unwrap().tune() && plain.between(&low, 1.0).unwrap().tune()
        );
    }
    /// Codes of every form of change as one batch: each keeps its own.
    #[test]
    fn codes_of_other_ranks_are_gathered() {
        let t = |shape: &[usize], k: f32| {
            let n: usize = shape.iter().product();
            Tensor::from_vec((0..n).map(|i| k + i as f32).collect::<Vec<_>>(), shape, &CPU).unwrap()
        };
        let code = |k: f32| Parts::of(t(&[1, 4], k));
        let (left, right) = (Part::Left(0), Part::Right(0));
        let low = code(1.0).with(left, t(&[1, 2, 1], 1.0)).with(right, t(&[1, 1, 3], -2.0));
        let two = code(2.0).with(left, t(&[1, 2, 2], 0.5)).with(right, t(&[1, 2, 3], 0.1));
        let full = code(3.0).with(Part::Delta(0), t(&[1, 2, 3], 4.0));
        let all = Parts::gathered(&[low.clone(), code(9.0), two.clone(), full.clone()]).unwrap();
        assert_eq!(all.count(), 4);
        for (i, own) in [Some(&low), None, Some(&two), Some(&full)].into_iter().enumerate() {
            let row = change(&all.slice(i, 1).unwrap());
            assert_eq!(row, own.map_or(vec![0.0; 6], change), "code {i}");
        }
        let noisy = code(1.0).with(Part::Noise(0), t(&[1, 1, 2, 2], 0.0));
        assert!(Parts::gathered(&[noisy.clone(), code(2.0)]).is_err());
        let both = Parts::gathered(&[noisy.clone(), noisy]).unwrap();
        assert_eq!(both.noise()[0].dims(), [2, 1, 2, 2]);
        assert!(Parts::gathered(&[]).is_err());
    }
}
