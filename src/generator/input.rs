//! Inputs of a generator besides a code: noise, labels, a camera, a transform of its input.

use crate::error::{Error, Result};
use crate::latent::rows;
use candle_core::{Device, Tensor};

/// The noise that the layers add.
#[derive(Clone, Debug, Default)]
pub enum Noise {
    /// The maps stored with the weights.
    #[default]
    Const,
    /// None at all.
    None,
    /// Fresh maps: those of a picture depend on the seed and on its place.
    Random {
        /// Seed of the maps.
        seed: u64,
        /// The place of the first picture.
        first: usize,
    },
    /// These maps, in layer order, each `[N or 1, 1, H, W]`; gradients flow into them.
    Maps(Vec<Tensor>),
}

/// Inputs of a generator besides a code. A family ignores those that it does not read;
/// [`super::Inputs`] lists what it reads.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Noise of the layers.
    pub noise: Noise,
    /// Labels of a conditional generator, `[N or 1, c_dim]`.
    pub labels: Option<Tensor>,
    /// Camera of a generator of scenes, `[N or 1, 25]`: extrinsics 4×4, then intrinsics 3×3.
    pub camera: Option<Tensor>,
    /// Transform of the input coordinates, `[N or 1, 3, 3]`; gradients flow into it.
    pub transform: Option<Tensor>,
    /// The truncation whose statistics a generator uses that stores several (BigGAN), in (0, 1].
    pub truncation: Option<f64>,
}

impl Input {
    /// Noise alone.
    pub fn of(noise: Noise) -> Self {
        Self { noise, ..Self::default() }
    }

    /// Labels alone.
    pub fn labelled(labels: Option<&Tensor>) -> Self {
        Self { labels: labels.cloned(), ..Self::default() }
    }

    /// The part for the `len` pictures from `from` on, of `count`. Tensors with one row serve all
    /// pictures and stay.
    ///
    /// # Errors
    /// When there are not as many.
    pub fn slice(&self, from: usize, len: usize, count: usize) -> Result<Self> {
        let part = |t: &Tensor| rows(t, (from, len), count);
        let each = |t: &Option<Tensor>| t.as_ref().map(part).transpose();
        let noise = match &self.noise {
            Noise::Random { seed, first } => Noise::Random { seed: *seed, first: first + from },
            Noise::Maps(maps) => Noise::Maps(maps.iter().map(part).collect::<Result<_>>()?),
            other => other.clone(),
        };
        let (labels, camera) = (each(&self.labels)?, each(&self.camera)?);
        let truncation = self.truncation;
        Ok(Self { noise, labels, camera, transform: each(&self.transform)?, truncation })
    }

    /// The labels for `n` codes of a generator that reads `c_dim` numbers for each, `[n, c_dim]`:
    /// one row serves all of them. `None` for a generator without labels.
    ///
    /// # Errors
    /// When they are missing, not read, or of other sizes.
    pub(super) fn labels_of(&self, n: usize, c_dim: usize) -> Result<Option<Tensor>> {
        let labels = self.labels_for(n)?;
        check_labels(labels.as_ref(), n, c_dim)?;
        Ok(labels)
    }

    /// The labels for `n` codes, `[n, c_dim]`: one row serves all of them.
    ///
    /// # Errors
    /// When the number of labels is neither one nor `n`.
    pub fn labels_for(&self, n: usize) -> Result<Option<Tensor>> {
        let Some(labels) = &self.labels else { return Ok(None) };
        match labels.dims() {
            [rows, _] if *rows == n => Ok(Some(labels.clone())),
            [1, c] => Ok(Some(labels.broadcast_as((n, *c))?.contiguous()?)),
            other => Err(Error::runtime(format!("labels of shape {other:?} for {n} codes"))
                .hint("give one label for all codes, or one each")),
        }
    }
}

/// Refuses labels of `n` codes that are not what a generator reads: `[n, c_dim]`, none for 0.
///
/// # Errors
/// When they are missing, not read, or of other sizes.
pub(super) fn check_labels(labels: Option<&Tensor>, n: usize, c_dim: usize) -> Result<()> {
    let (message, hint) = match labels {
        None if c_dim == 0 => return Ok(()),
        Some(labels) if c_dim > 0 && labels.dims() == [n, c_dim] => return Ok(()),
        None => (
            format!("the generator is conditional: it needs a label of {c_dim} numbers"),
            "say which class: `class: 0`",
        ),
        Some(_) if c_dim == 0 => (
            "the generator is not conditional, but a label was given".to_owned(),
            "leave the label out",
        ),
        Some(labels) => (
            format!("labels have shape {:?}, the generator reads [{n}, {c_dim}]", labels.dims()),
            "give one label a code",
        ),
    };
    Err(Error::runtime(message).hint(hint))
}

/// Motion of a picture in its frame: a rotation around its centre, then a shift.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Transform {
    /// Degrees, counterclockwise.
    pub rotate: f64,
    /// Shift to the right and down, in sides of the picture.
    pub shift: [f64; 2],
}

impl Transform {
    /// The matrix `[1, 3, 3]` for [`Input::transform`].
    ///
    /// It is the inverse of `[[cos, sin, x], [−sin, cos, y], [0, 0, 1]]`, which moves the points of
    /// the picture (x to the right, y down, from its centre). That is the convention of StyleGAN3's
    /// `gen_images.py`, whose `--rotate` and `--translate` these numbers are.
    ///
    /// # Errors
    /// When the device fails.
    pub fn matrix(&self, device: &Device) -> Result<Tensor> {
        let (sin, cos) = self.rotate.to_radians().sin_cos();
        let [x, y] = self.shift;
        let back = [-(cos * x - sin * y), -(sin * x + cos * y)];
        let rows = [cos, -sin, back[0], sin, cos, back[1], 0.0, 0.0, 1.0];
        Ok(Tensor::from_vec(rows.map(|v| v as f32).to_vec(), (1, 3, 3), device)?)
    }
}
