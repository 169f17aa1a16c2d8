//! Degradations: what happens to the generator's picture before it is compared with the target.
//!
//! The target is a degraded picture, such as a small or a grey one. The search compares it with the
//! degraded picture of a code, so the picture of the code is a restored one (PULSE, Menon et al.
//! 2020). Inside an inversion every target has the generator's size; a small one is enlarged by
//! [`enlarge`], which [`down`](DEGRADATIONS) undoes exactly.
//!
//! A degradation that is not known is searched with the code: [`mimic`].
//!
//! They apply in the order of [`DEGRADATIONS`], that in which a camera and a file make them.

mod blur;
mod down;
mod grey;
mod jpeg;
pub(super) mod mimic;

pub use down::enlarge;
pub(super) use mimic::mimicked;

use super::named::Numbers;
use crate::error::Result;
use crate::lang::types::Param;
use crate::metric::resize_to;
use candle_core::{Device, Tensor};

/// The degradations, in the order in which they apply.
pub const DEGRADATIONS: &[&Degradation] =
    &[&grey::DEGRADATION, &blur::DEGRADATION, &down::DEGRADATION, &jpeg::DEGRADATION];

/// A kind of degradation, as the rest of the program knows it.
pub struct Degradation {
    /// Its name, that of its parameter.
    pub name: &'static str,
    /// The parameter that sets its strength; a truth value counts as 1 or 0.
    pub param: Param,
    /// The strength that changes nothing.
    pub none: f64,
    /// Whether targets of full size are brought to it too. Those that it would change twice are
    /// expected to have it already.
    pub targets: bool,
    /// Refuses a strength for pictures of that size.
    check: fn(f64, Size) -> Result<()>,
    /// Makes it for pictures of that size.
    make: fn(f64, Size, &Device) -> Result<Box<dyn Stage>>,
}

/// Channels, height and width.
type Size = [usize; 3];

/// A degradation with its strength.
trait Stage: Send + Sync {
    /// Applies it, with gradients.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N, C, h, w]`, each picture by itself.
    fn apply(&self, pictures: &Tensor) -> Result<Tensor>;
}

/// Several degradations for pictures of one size.
pub struct Degrader {
    /// Each with whether targets go through it.
    stages: Vec<(bool, Box<dyn Stage>)>,
    size: (usize, usize),
}

impl Degrader {
    /// Those degradations for pictures of `[C, H, W]`; `None` where nothing changes.
    ///
    /// # Errors
    /// When one does not fit the pictures.
    pub fn new(strengths: &Numbers, size: Size, device: &Device) -> Result<Option<Self>> {
        let [channels, mut height, mut width] = size;
        let mut stages = Vec::new();
        for (kind, strength) in active(strengths) {
            let now = [channels, height, width];
            (kind.check)(strength, now)?;
            stages.push((kind.targets, (kind.make)(strength, now, device)?));
            if kind.name == down::DEGRADATION.name {
                (height, width) = (height / strength as usize, width / strength as usize);
            }
        }
        let size = (size[1], size[2]);
        Ok(if stages.is_empty() { None } else { Some(Self { stages, size }) })
    }

    /// The pictures after all degradations, with gradients.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N, C, h, w]`
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn apply(&self, pictures: &Tensor) -> Result<Tensor> {
        self.stages.iter().try_fold(pictures.clone(), |now, (_, stage)| stage.apply(&now))
    }

    /// Targets of full size as they are compared: see [`Degradation::targets`].
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N, C, h, w]`
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn target(&self, targets: &Tensor) -> Result<Tensor> {
        let own = self.stages.iter().filter(|(targets, _)| *targets);
        own.into_iter().try_fold(targets.clone(), |now, (_, stage)| stage.apply(&now))
    }

    /// Degraded pictures at full size again, smoothly enlarged.
    ///
    /// # Shapes
    /// `[N, C, h, w]` → `[N, C, H, W]`
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn enlarged(&self, degraded: &Tensor) -> Result<Tensor> {
        resize_to(degraded, self.size.0, self.size.1)
    }
}

/// The degradations of these strengths that change something, in their order.
fn active(strengths: &Numbers) -> impl Iterator<Item = (&'static Degradation, f64)> {
    let own = |kind: &&'static Degradation| Some((*kind, strengths.get(kind.name)?));
    DEGRADATIONS.iter().filter_map(own).filter(|(kind, strength)| *strength != kind.none)
}

/// These degradations in words, in their order: `grey, down 4`; empty for none.
pub fn words(strengths: &Numbers) -> String {
    let one = |(kind, strength): (&Degradation, f64)| match kind.param.bounds {
        None => kind.name.to_owned(),
        Some(_) => format!("{} {strength}", kind.name),
    };
    active(strengths).map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
