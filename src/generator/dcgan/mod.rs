//! Plain generators: DCGAN (Radford et al. 2016), WGAN (Arjovsky et al. 2017) and whatever is made
//! like them. A stack of layers turns z into a picture; there is no W, so Z is the only space.
//!
//! Run: fully connected layers, transposed and plain convolutions, doubling by repeated pixels,
//! batch norm with stored statistics (folded into the layer before it), ReLU and leaky ReLU, tanh
//! or sigmoid at the end; a class as one-hot numbers or a row of a table, beside z or as a factor.
//! Pictures of 1 to 4 channels and any size. Not run: residual blocks, attention, spectral norm in
//! the generator, other norms.

mod chain;
mod class;
mod config;
mod infer;
mod modules;
mod names;
mod network;
mod open;
mod toy;

pub use config::{Class, Config, Op};
pub use open::{File, names};
pub use toy::{Stem, Toy};

use super::{Generator, Input, Inputs, Spec, Start, Tap, Tapped, Variables};
use crate::error::{Error, Result};
use crate::generator::{self, Feature};
use crate::safe::Safe;
use crate::space::Space;
use candle_core::{Device, Tensor, Var};
use config::Plan;
use network::{Network, Parts};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The family's name in manifests.
pub const FAMILY_NAME: &str = "dcgan";

/// A plain generator.
pub struct Dcgan {
    config: Config,
    spec: Spec,
    device: Device,
    network: Network,
    /// The table of its classes, `[c_dim, size]`.
    table: Option<Tensor>,
    /// All its tensors by name.
    tensors: BTreeMap<String, Tensor>,
}

/// Where a generator's tensors come from: shape, and taking.
pub trait Source {
    /// The shape of a tensor; `None` when there is none of that name.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// A tensor of that shape in single precision.
    ///
    /// # Errors
    /// When it is missing, of another shape, or cannot be read.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor>;
}

impl Source for BTreeMap<String, Tensor> {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.get(name).map(|t| t.dims().to_vec())
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        match self.get(name) {
            Some(t) if t.dims() == shape => Ok(t.clone()),
            Some(t) => {
                let found = t.dims();
                let name = Safe(name);
                Err(config::wrong(format!("tensor `{name}` is {found:?}, {shape:?} is needed")))
            }
            None => Err(config::wrong(format!("tensor `{}` is missing", Safe(name)))),
        }
    }
}

/// Takes tensors and keeps them.
struct Taking<'a> {
    source: &'a mut dyn Source,
    device: &'a Device,
    tensors: BTreeMap<String, Tensor>,
}

impl Parts for Taking<'_> {
    fn take(&mut self, module: &str, part: &str, shape: &[usize]) -> Result<Tensor> {
        let name = format!("{module}.{part}");
        let t = self.source.take(&name, shape)?;
        let t = if t.is_variable() { t } else { t.to_device(self.device)?.contiguous()? };
        self.tensors.insert(name, t.clone());
        Ok(t)
    }

    fn shape(&self, module: &str, part: &str) -> Vec<usize> {
        self.source.shape(&format!("{module}.{part}")).unwrap_or_default()
    }

    fn find(&mut self, module: &str, part: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        if self.source.shape(&format!("{module}.{part}")).is_none() {
            return Ok(None);
        }
        self.take(module, part, shape).map(Some)
    }
}

impl Dcgan {
    /// Builds the generator from its tensors; `fingerprint` identifies them.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape, and when the settings and the tensors
    /// disagree.
    pub fn new(
        config: &Config,
        source: &mut dyn Source,
        fingerprint: &str,
        device: &Device,
    ) -> Result<Self> {
        let plan = config.plan(&|name| source.shape(name))?;
        let mut parts = Taking { source, device, tensors: BTreeMap::new() };
        let network = Network::read(config, &plan, &mut parts)?;
        let table = match config.class.table() {
            Some(table) => {
                let shape = parts.shape(table, "weight");
                Some(parts.take(table, "weight", &shape)?)
            }
            None => None,
        };
        Ok(Self {
            spec: spec(config, plan, fingerprint),
            config: config.clone(),
            device: device.clone(),
            network,
            table,
            tensors: parts.tensors,
        })
    }

    /// What it is made of.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// All its tensors by the names that the settings give.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// What the first layer reads: z and the class, `[N, inputs]`.
    fn inputs(&self, z: &Tensor, input: &Input) -> Result<Tensor> {
        let n = z.dims().first().copied().unwrap_or(0);
        if n == 0 || z.dims() != [n, self.config.z_dim] {
            let (found, dim) = (z.dims(), self.config.z_dim);
            return Err(Error::runtime(format!(
                "a code of shape {found:?}, the generator reads [N, {dim}]"
            ))
            .hint("use a code that was made for this generator"));
        }
        if self.config.class == Class::None {
            return Ok(z.clone());
        }
        let labels = input.labels_for(n)?.ok_or_else(|| {
            let (name, classes) = (Safe(&self.spec.name), self.config.c_dim);
            Error::runtime(format!("{name} is conditional on {classes} classes"))
                .hint("give a class: `class: 0`")
        })?;
        if labels.dims() != [n, self.config.c_dim] {
            let (found, classes) = (labels.dims(), self.config.c_dim);
            return Err(Error::runtime(format!("labels of shape {found:?} for {classes} classes"))
                .hint("give a class: `class: 0`"));
        }
        let rows = match &self.table {
            Some(table) => crate::tensor::linear(&labels, &table.t()?.contiguous()?)?,
            None => labels,
        };
        Ok(match self.config.class {
            Class::EmbeddingProduct(_) => (z * rows)?,
            Class::OneHotFirst | Class::EmbeddingFirst(_) => Tensor::cat(&[&rows, z], 1)?,
            _ => Tensor::cat(&[z, &rows], 1)?,
        })
    }
}

fn spec(config: &Config, plan: Plan, fingerprint: &str) -> Spec {
    let [channels, height, width] = plan.picture;
    Spec {
        name: config.name.clone(),
        family: FAMILY_NAME.into(),
        width,
        height,
        channels,
        z_dim: config.z_dim,
        w_dim: config.z_dim,
        c_dim: config.c_dim,
        num_ws: 0,
        spaces: vec![Space::Z],
        styles: Vec::new(),
        layers: plan.layers,
        inputs: Inputs { class: config.c_dim > 0, ..Inputs::default() },
        parameters: plan.parameters,
        noise_sizes: Vec::new(),
        fingerprint: fingerprint.into(),
    }
}

impl Generator for Dcgan {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn enter(&self, to: Space, _: &Tensor, _: &Input) -> Result<Tensor> {
        Err(Error::runtime(format!("a plain generator computes no codes of {to}"))
            .hint("its only space is Z"))
    }

    fn run(&self, start: &Start<'_>, input: &Input, taps: &[Tap]) -> Result<Tapped> {
        let (from, space, data) = match *start {
            Start::Code { space, data } => (None, space, data),
            Start::Feature { feature, space, data } => (Some(feature), space, data),
        };
        if space != Space::Z {
            return Err(Error::runtime(format!("a plain generator reads Z, not {space}"))
                .hint("its only space is Z"));
        }
        let n = data.dims().first().copied().unwrap_or(0);
        generator::check_points(&self.spec, n, from, taps)?;
        let wanted = |at: usize| taps.contains(&Tap::Layer(at));
        let picture = taps.contains(&Tap::Picture);
        let (maps, picture) = match from {
            Some(feature) => {
                self.network.run(&feature.map, Some(feature.layer), &wanted, picture)?
            }
            None => self.network.run(&self.inputs(data, input)?, None, &wanted, picture)?,
        };
        let feature = |(layer, map)| Feature { layer, map, picture: None };
        Ok(Tapped { features: maps.into_iter().map(feature).collect(), picture })
    }

    fn mean(&self, _: Space) -> Option<&Tensor> {
        None
    }

    fn noise_maps(&self) -> Vec<Tensor> {
        Vec::new()
    }

    fn tuned(&self, which: &dyn Fn(&str) -> bool) -> Result<(Arc<dyn Generator>, Variables)> {
        let mut source = self.tensors.clone();
        let mut variables = Variables::new();
        let statistic = |name: &str| name.contains(".running_");
        for (name, t) in self.tensors.iter().filter(|(n, _)| !statistic(n) && which(n)) {
            let v = Var::from_tensor(&t.copy()?)?;
            source.insert(name.clone(), v.as_tensor().clone());
            variables.push((name.clone(), v));
        }
        let copy = Self::new(&self.config, &mut source, &self.spec.fingerprint, &self.device)?;
        Ok((Arc::new(copy), variables))
    }
}
