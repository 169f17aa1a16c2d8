//! Reading a model's tensors.

use crate::error::{Error, Kind, Result};
use crate::rng::Rng;
use crate::safe::Safe;
use crate::tensor::{Filter, Weight};
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Named tensors.
pub type Named = BTreeMap<String, Tensor>;

/// The tensors of a copy of generator `name` in which those of `weights` replace its own; the copy
/// shares the numbers of the others. A family needs it for
/// [`crate::generator::Generator::with_weights`].
///
/// # Errors
/// For a name that is none of the parameters', and a tensor of another shape.
pub(in crate::generator) fn replaced(
    name: &str,
    (parameters, buffers): (&Named, &Named),
    weights: &Named,
) -> Result<Weights> {
    for (key, t) in weights {
        let own = parameters.get(key).map(Tensor::dims);
        if own != Some(t.dims()) {
            let message = match own {
                None => format!("{} has no weight `{}`", Safe(name), Safe(key)),
                Some(own) => format!("weight `{}` is {own:?}, not {:?}", Safe(key), t.dims()),
            };
            return Err(
                Error::runtime(message).hint("use weights that were tuned for this generator")
            );
        }
    }
    let all = parameters.iter().chain(buffers).chain(weights);
    let tensors: Named = all.map(|(name, t)| (name.clone(), t.clone())).collect();
    Ok(Weights::of_tensors(name, tensors))
}

/// Parameters, of which some are weights in the engine's form alone.
pub(in crate::generator) struct Parameters {
    tensors: Named,
    styled: BTreeMap<String, Arc<Weight>>,
}

impl Parameters {
    /// All of them as tensors, by name.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::generator) fn all(&self) -> Result<Named> {
        let mut all = self.tensors.clone();
        for (name, weight) in &self.styled {
            all.insert(name.clone(), weight.tensor()?);
        }
        Ok(all)
    }

    /// The tensors of a copy of generator `name` in which those of `weights` replace its own, as of
    /// [`replaced`]. Weights in the engine's form that are replaced are not put in order first: a
    /// search of weights makes a copy at every step.
    ///
    /// # Errors
    /// As [`replaced`].
    pub(in crate::generator) fn replaced(
        &self,
        name: &str,
        buffers: &Named,
        weights: &Named,
    ) -> Result<Weights> {
        let mut own = self.tensors.clone();
        for (key, weight) in &self.styled {
            let fits = weights.get(key).filter(|t| t.dims() == weight.dims());
            let tensor = match fits {
                Some(t) => t.clone(),
                None => weight.tensor()?,
            };
            own.insert(key.clone(), tensor);
        }
        replaced(name, (&own, buffers), weights)
    }
}

/// Reads a model's tensors, keeping what it has read.
pub(in crate::generator) struct Reader<'a> {
    source: &'a mut Weights,
    device: &'a Device,
    parameters: Named,
    styled: BTreeMap<String, Arc<Weight>>,
    buffers: Named,
}

impl<'a> Reader<'a> {
    /// A reader of these tensors, for a device.
    pub(in crate::generator) fn new(source: &'a mut Weights, device: &'a Device) -> Self {
        let (parameters, buffers) = (Named::new(), Named::new());
        Self { source, device, parameters, styled: BTreeMap::new(), buffers }
    }

    /// All parameters and all buffers that were read, by name, for readers without
    /// [`Reader::styled`].
    pub(in crate::generator) fn finish(self) -> (Named, Named) {
        (self.parameters, self.buffers)
    }

    /// All parameters and all buffers that were read, by name.
    pub(in crate::generator) fn finish_styled(self) -> (Parameters, Named) {
        (Parameters { tensors: self.parameters, styled: self.styled }, self.buffers)
    }

    /// The shape of a tensor that must be there.
    pub(in crate::generator) fn shape(&self, name: &str) -> Result<Vec<usize>> {
        self.source.shape(name).map(<[usize]>::to_vec).ok_or_else(|| {
            broken(format!("tensor `{name}` is missing"))
                .hint("`gannet info` shows what the file holds")
        })
    }

    /// Whether there is a tensor of that name.
    pub(in crate::generator) fn has(&self, name: &str) -> bool {
        self.source.has(name)
    }

    /// Whether a tensor for which `which(name)` holds is a variable and was not taken yet.
    pub(in crate::generator) fn trains(&self, which: impl Fn(&str) -> bool) -> bool {
        self.source.variables().any(which)
    }

    fn fetch(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let t = self.source.take(name, shape)?;
        Ok(if t.is_variable() { t } else { t.to_device(self.device)?.contiguous()? })
    }

    /// Takes a tensor that training changes.
    pub(in crate::generator) fn parameter(
        &mut self,
        name: &str,
        shape: &[usize],
    ) -> Result<Tensor> {
        let t = self.fetch(name, shape)?;
        self.parameters.insert(name.into(), t.clone());
        Ok(t)
    }

    /// As [`Reader::parameter`]; `None` where a file lacks it.
    pub(in crate::generator) fn optional(
        &mut self,
        name: &str,
        shape: &[usize],
    ) -> Result<Option<Tensor>> {
        self.has(name).then(|| self.parameter(name, shape)).transpose()
    }

    /// As [`Reader::parameter`], for the weight of a styled convolution that runs on the engine:
    /// frozen, it is kept in the engine's form alone. `up`: the layer doubles the size.
    pub(in crate::generator) fn styled(
        &mut self,
        name: &str,
        shape: &[usize],
        up: bool,
    ) -> Result<Arc<Weight>> {
        let t = self.fetch(name, shape)?;
        let weight = Arc::new(Weight::styled_only(t, up)?);
        if weight.is_styled() {
            self.styled.insert(name.into(), weight.clone());
        } else {
            self.parameters.insert(name.into(), weight.tensor()?);
        }
        Ok(weight)
    }

    /// Takes a tensor that training leaves alone.
    pub(in crate::generator) fn buffer(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let t = self.fetch(name, shape)?;
        self.buffers.insert(name.into(), t.clone());
        Ok(t)
    }

    /// As [`Reader::buffer`]; where a file lacks it, normal numbers that depend on its name alone.
    /// Older files of some code bases do not store noise maps, and their code then draws them.
    pub(in crate::generator) fn buffer_or_noise(
        &mut self,
        name: &str,
        shape: &[usize],
    ) -> Result<Tensor> {
        if self.has(name) {
            return self.buffer(name, shape);
        }
        let drawn = Rng::derive(0, name).normals(shape.iter().product());
        let t = Tensor::from_vec(drawn, shape, self.device)?;
        self.buffers.insert(name.into(), t.clone());
        Ok(t)
    }

    /// The filter stored under a name: `[n]`, the taps of both axes, or a square matrix. `None`
    /// when the name is missing.
    ///
    /// # Errors
    /// For another shape.
    pub(in crate::generator) fn stored_filter(&mut self, name: &str) -> Result<Option<Filter>> {
        let Some(shape) = self.source.shape(name).map(<[usize]>::to_vec) else {
            return Ok(None);
        };
        let stored = self.buffer(name, &shape)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(Some(match shape[..] {
            [_] => Filter::from_taps(&stored)?,
            [h, w] if h == w => Filter::from_matrix(h, w, &stored)?,
            _ => {
                return Err(broken(format!("filter `{name}` has shape {shape:?}"))
                    .hint("square filters are supported"));
            }
        }))
    }

    /// The filter that is stored under a name, else the one of the settings.
    ///
    /// # Errors
    /// When both are there and differ.
    pub(in crate::generator) fn filter(
        &mut self,
        name: &str,
        said: Option<&[f64]>,
    ) -> Result<Filter> {
        let taps = Filter::new(said.unwrap_or(&[1.0, 3.0, 3.0, 1.0]))?;
        let Some(stored) = self.stored_filter(name)? else { return Ok(taps) };
        let differ =
            || stored.matrix().iter().zip(taps.matrix()).any(|(a, b)| (a - b).abs() > 1e-6);
        if said.is_some() && (stored.size() != taps.size() || differ()) {
            return Err(broken(format!("`{name}` is not the filter of the taps {said:?}")).hint(
                "correct `resample_filter` in the settings, or leave it out to trust the tensors",
            ));
        }
        Ok(stored)
    }
}

fn broken(message: String) -> Error {
    Error::new(Kind::Format, message)
}
