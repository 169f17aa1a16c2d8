//! What a phase leaves as it is, computed once for each image: the feature map below the first
//! layer that it searches, the picture where it searches nothing of the generator, and a generator
//! whose weights were tuned before.

use super::phase::{Layers, Phase, Unknowns};
use crate::error::Result;
use crate::generator::{Feature, Generator, Input, Tap, codes};
use crate::latent::{Part, Parts};
use crate::space::Space;
use candle_core::{DType, Tensor};
use std::cell::OnceCell;
use std::sync::Arc;

/// A code with what the generator reads besides it, as [`codes::run_from`] takes them.
pub(super) type Read<'a> = (&'a Parts, Space, &'a Input);

/// The first place of the synthesis that the unknowns of a phase change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Floor {
    /// A layer: its map, or what comes behind it.
    Layer(usize),
    /// None: the picture stays.
    Picture,
}

/// A point of the synthesis that stays as it is.
pub(super) enum Reached {
    Map(Feature),
    Picture(Tensor),
}

/// What a phase leaves as it is for one image.
#[derive(Default)]
pub(super) struct Frozen {
    /// The parts that stay, by which a change is seen.
    pub parts: Vec<(Part, Tensor)>,
    pub floor: Option<Floor>,
    pub reached: Option<Reached>,
    /// The generator with the weights of the image, where none is searched.
    pub generator: Option<Arc<dyn Generator>>,
    /// The picture of the code by the generator as it was loaded, where it was asked for.
    untouched: OnceCell<Tensor>,
}

impl Frozen {
    /// Nothing reached yet.
    pub fn new(parts: Vec<(Part, Tensor)>, floor: Option<Floor>) -> Self {
        Self { parts, floor, ..Self::default() }
    }

    /// The picture of the image, by a generator with its weights.
    pub fn picture(&self, (g, tap): (&dyn Generator, Tap), read: Read<'_>) -> Result<Tensor> {
        let from = match &self.reached {
            Some(Reached::Picture(picture)) => return Ok(picture.clone()),
            Some(Reached::Map(feature)) => Some(feature),
            None => None,
        };
        codes::run_from(g, from, read, tap)?.only(tap)
    }

    /// The picture of the code by the generator as it was loaded: made once where `unknowns` leave
    /// the code and what is read beside it.
    pub fn untouched(
        &self,
        unknowns: Unknowns,
        make: impl FnOnce() -> Result<Tensor>,
    ) -> Result<Tensor> {
        if unknowns.code || unknowns.noise || unknowns.line {
            return make();
        }
        if let Some(known) = self.untouched.get() {
            return Ok(known.clone());
        }
        let fresh = make()?.detach();
        Ok(self.untouched.get_or_init(|| fresh).clone())
    }
}

/// The first place that the unknowns of a phase change, in a generator of so many layers; `None`
/// where that may be any.
pub(super) fn floor(phase: &Phase<'_>, layers: usize) -> Option<Floor> {
    let u = phase.unknowns;
    let early = u.code || u.noise || u.pose || u.line || u.composed.is_some();
    if early || phase.schedule.w_noise || phase.side.is_some() {
        return None;
    }
    let behind = match u.weights.map(|tuning| tuning.layers) {
        // What follows the map of the layer before them depends on them.
        Some(Layers::FromPicture(k)) if k < layers => Some(layers - k - 1),
        Some(_) => return None,
        None => None,
    };
    let first = u.residual.into_iter().chain(behind).min();
    Some(first.map_or(Floor::Picture, Floor::Layer))
}

/// Whether these are the same parts with the same numbers.
pub(super) fn same(a: &[(Part, Tensor)], b: &[(Part, Tensor)]) -> Result<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for ((part, x), (other, y)) in a.iter().zip(b) {
        if part != other || !equal(x, y)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether two tensors hold the same numbers. The tensors of a point stay the same ones from step
/// to step, so their numbers are rarely read.
fn equal(a: &Tensor, b: &Tensor) -> Result<bool> {
    if a.id() == b.id() {
        return Ok(true);
    }
    let numbers = |t: &Tensor| t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
    Ok(a.dims() == b.dims() && numbers(a)? == numbers(b)?)
}
