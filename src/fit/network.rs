//! The network that is trained: a trunk whose averaged maps one linear map reads, its Adam
//! (Kingma and Ba 2015), and the mean of its weights over the last steps.

use super::target::Target;
use crate::error::{Error, Result};
use crate::network::{Places, Trunk};
use crate::rng::Rng;
use crate::tensor::linear;
use crate::weights::Weights;
use candle_core::{DType, Device, Tensor, Var};
use std::collections::BTreeMap;

/// Slope of the leaky ReLU below zero.
pub const LEAKY: f64 = 0.2;
/// The linear map, in the units that it is trained in.
const HEAD: &str = "head";
/// Decays of Adam's means, and what is added to its root.
const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;
/// Steps of growing rate.
const WARM: usize = 50;
/// Share of the old mean of the weights that a step keeps.
const MEAN: f64 = 0.98;

/// Tensors by name.
pub type Named = BTreeMap<String, Tensor>;

/// The shape of a trunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Side of the pictures.
    pub side: usize,
    /// Stride of every convolution.
    pub strides: Vec<usize>,
    /// What is read of it.
    pub places: Places,
}

/// A trunk to begin with: its shape and its tensors, as [`Trunk::take`] reads them.
pub struct Start {
    /// The shape.
    pub shape: Shape,
    /// The tensors.
    pub tensors: Named,
}

impl Start {
    /// Seeded random convolutions of stride 2 (He et al. 2015), for pictures of `channels`
    /// channels: those of a generator whose longer side has `longest` pixels.
    ///
    /// # Errors
    /// When a tensor cannot be made.
    pub fn random(channels: usize, longest: usize, seed: u64, device: &Device) -> Result<Self> {
        let side = longest.next_power_of_two().clamp(8, 64);
        let depth = (side / 4).ilog2() as usize;
        let (mut tensors, mut inner) = (Named::new(), channels);
        let mut rng = Rng::derive(seed, "trunk");
        for i in 0..depth {
            let outer = [24, 48, 96, 128][i.min(3)];
            let scale = (2.0 / ((1.0 + LEAKY * LEAKY) * (9 * inner) as f64)).sqrt();
            let values: Vec<f32> =
                rng.normals(outer * inner * 9).iter().map(|v| v * scale as f32).collect();
            let weight = Tensor::from_vec(values, (outer, inner, 3, 3), device)?;
            tensors.insert(format!("conv{i}.weight"), weight);
            tensors.insert(format!("conv{i}.bias"), Tensor::zeros(outer, DType::F32, device)?);
            inner = outer;
        }
        let places = Places { layers: (0..depth).collect(), grid: 4 };
        Ok(Self { shape: Shape { side, strides: vec![2; depth], places }, tensors })
    }
}

/// What the features of the samples are divided by: their mean and spread over the samples of the
/// ridge regression, so that none outweighs the others.
pub struct Units {
    /// The mean, `[1, P]`.
    pub mean: Tensor,
    /// One over the spread and over √P, `[1, P]`.
    pub scale: Tensor,
}

impl Units {
    /// The units of features `[n, P]`.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn of(features: &Tensor) -> Result<Self> {
        let mean = features.mean_keepdim(0)?;
        let spread = features.broadcast_sub(&mean)?.sqr()?.mean_keepdim(0)?.sqrt()?;
        let p = features.dim(1)? as f64;
        // A feature that hardly differs says nothing: it is not blown up.
        let floor = (spread.mean_all()?.to_scalar::<f32>()? * 0.01).max(1e-6);
        let scale = (spread.clamp(floor, f32::MAX)?.recip()? / p.sqrt())?;
        Ok(Self { mean, scale })
    }

    /// Features in these units.
    ///
    /// # Errors
    /// For another number of features.
    pub fn apply(&self, features: &Tensor) -> Result<Tensor> {
        Ok(features.broadcast_sub(&self.mean)?.broadcast_mul(&self.scale)?)
    }
}

/// The network in training.
pub struct Network {
    shape: Shape,
    units: Units,
    variables: BTreeMap<String, Var>,
    /// Adam's means of the gradients and of their squares.
    moments: BTreeMap<String, [Tensor; 2]>,
    /// The mean of the weights over the last steps.
    pub mean: Named,
    /// Steps done.
    pub step: usize,
    /// Learning rate after the first steps.
    rate: f64,
}

impl Network {
    /// The network that says what a ridge regression with the weights `found` says.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn new(start: &Start, units: Units, found: &Tensor, rate: f64) -> Result<Self> {
        let mut all = start.tensors.clone();
        all.insert(HEAD.into(), found.clone());
        let mut variables = BTreeMap::new();
        let mut moments = BTreeMap::new();
        for (name, t) in &all {
            variables.insert(name.clone(), Var::from_tensor(&t.copy()?)?);
            moments.insert(name.clone(), [t.zeros_like()?, t.zeros_like()?]);
        }
        let shape = start.shape.clone();
        Ok(Self { shape, units, variables, moments, mean: all, step: 0, rate })
    }

    /// What it says of pictures with these weights, `[N, C, R, R]` → `[N, M]` in units of the axes.
    fn says(&self, weights: &Named, pictures: &Tensor) -> Result<Tensor> {
        let (trunk, head) = parts(weights, &self.shape, pictures.device())?;
        let features = self.shape.places.read(&trunk, pictures)?;
        Ok(linear(&self.units.apply(&features)?, &head)?)
    }

    /// As [`Network::says`], without gradients.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn looks(&self, weights: &Named, pictures: &Tensor) -> Result<Tensor> {
        Ok(self.says(weights, pictures)?.detach())
    }

    /// One step on a batch: pictures `[N, C, R, R]` and their codes in units of the axes `[N, M]`.
    /// The loss is the squared errors of the axes, weighed by their spread.
    ///
    /// # Errors
    /// When a tensor operation fails, and when the loss is not finite.
    pub fn descend(&mut self, pictures: &Tensor, wanted: &Tensor, shares: &Tensor) -> Result<()> {
        let now: Named =
            self.variables.iter().map(|(n, v)| (n.clone(), v.as_tensor().clone())).collect();
        let apart = (self.says(&now, pictures)? - wanted)?.sqr()?;
        let loss = apart.broadcast_mul(shares)?.sum(1)?.mean(0)?;
        if !loss.to_scalar::<f32>()?.is_finite() {
            return Err(Error::runtime("the training of the encoder diverged"));
        }
        let gradients = loss.backward()?;
        self.step += 1;
        let rate = self.rate * (self.step as f64 / WARM as f64).min(1.0);
        let [b1, b2] = BETAS;
        let [c1, c2] = BETAS.map(|b| 1.0 - b.powi(self.step as i32));
        for (name, variable) in &self.variables {
            let Some(g) = gradients.get(variable) else { continue };
            let Some([m, v]) = self.moments.get_mut(name) else { continue };
            *m = ((&*m * b1)? + (g * (1.0 - b1))?)?.detach();
            *v = ((&*v * b2)? + (g.sqr()? * (1.0 - b2))?)?.detach();
            let root = ((&*v / c2)?.sqrt()? + EPSILON)?;
            let next = (variable.as_tensor() - ((&*m * (rate / c1))? / root)?)?.detach();
            variable.set(&next)?;
            if let Some(mean) = self.mean.get_mut(name) {
                *mean = ((&*mean * MEAN)? + (next * (1.0 - MEAN))?)?.detach();
            }
        }
        Ok(())
    }

    /// Gives the mean of the weights another linear map, which reads features in other units; gives
    /// the units before.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn replace_head(&mut self, units: Units, head: &Tensor) -> Result<Units> {
        self.mean.insert(HEAD.into(), head.copy()?);
        Ok(std::mem::replace(&mut self.units, units))
    }

    /// Reads features in these units again.
    pub fn restore_units(&mut self, units: Units) {
        self.units = units;
    }

    /// All tensors of its state, by name.
    pub fn state(&self) -> Named {
        let mut all = Named::new();
        for (name, v) in &self.variables {
            all.insert(format!("now.{name}"), v.as_tensor().clone());
        }
        for (name, [m, v]) in &self.moments {
            all.insert(format!("first.{name}"), m.clone());
            all.insert(format!("second.{name}"), v.clone());
        }
        for (name, t) in &self.mean {
            all.insert(format!("mean.{name}"), t.clone());
        }
        all.insert("units.mean".into(), self.units.mean.clone());
        all.insert("units.scale".into(), self.units.scale.clone());
        all
    }

    /// A network in the state that [`Network::state`] gave after `step` steps.
    ///
    /// # Errors
    /// When a tensor is missing.
    pub fn restore(start: &Start, state: &Named, step: usize, rate: f64) -> Result<Self> {
        let get = |name: &str| -> Result<Tensor> {
            let found = state.get(name).cloned();
            found.ok_or_else(|| Error::runtime(format!("`{name}` is missing")))
        };
        let units = Units { mean: get("units.mean")?, scale: get("units.scale")? };
        let names = start.tensors.keys().map(String::as_str).chain([HEAD]);
        let (mut variables, mut moments) = (BTreeMap::new(), BTreeMap::new());
        let mut mean = Named::new();
        for name in names {
            variables.insert(name.to_owned(), Var::from_tensor(&get(&format!("now.{name}"))?)?);
            let [m, v] = ["first", "second"].map(|k| get(&format!("{k}.{name}")));
            moments.insert(name.to_owned(), [m?, v?]);
            mean.insert(name.to_owned(), get(&format!("mean.{name}"))?);
        }
        Ok(Self { shape: start.shape.clone(), units, variables, moments, mean, step, rate })
    }

    /// The tensors of an encoder's file for these weights: the units are folded into the linear
    /// map, which gives codes of W.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn folded(&self, weights: &Named, target: &Target) -> Result<Named> {
        let mut all = weights.clone();
        let head = all.remove(HEAD).ok_or_else(|| Error::runtime("the network has no head"))?;
        let scaled = head.broadcast_mul(&self.units.scale)?; // [MP]
        all.insert("base.weight".into(), target.axes.matmul(&scaled)?);
        Ok(all)
    }
}

/// The trunk and the linear map of some weights.
fn parts(weights: &Named, shape: &Shape, device: &Device) -> Result<(Trunk, Tensor)> {
    let mut all = weights.clone();
    let head = all.remove(HEAD).ok_or_else(|| Error::runtime("the network has no head"))?;
    let mut weights = Weights::of_tensors("encoder in training", all);
    Ok((Trunk::take(&mut weights, &shape.strides, LEAKY, device)?, head))
}

/// The features of pictures by a trunk, `[N, C, R, R]` → `[N, P]`, without gradients.
///
/// # Errors
/// When a tensor does not fit.
pub fn features(shape: &Shape, trunk: &Named, pictures: &Tensor) -> Result<Tensor> {
    let mut weights = Weights::of_tensors("trunk", trunk.clone());
    let trunk = Trunk::take(&mut weights, &shape.strides, LEAKY, pictures.device())?;
    Ok(shape.places.read(&trunk, pictures)?.detach())
}
