//! Plain generators: DCGAN (Radford et al. 2016), WGAN (Arjovsky et al. 2017) and generators of the
//! same kind. A stack of layers turns z into a picture. They have no W, so Z is the only space.
//!
//! Run: fully connected layers, transposed and plain convolutions, doubling by repeated pixels,
//! batch norm with stored statistics (folded into the layer before it), ReLU and leaky ReLU, tanh
//! or sigmoid at the end; edges of zeros, edges that are cut; a class as one-hot numbers or a row
//! of a table, beside z or as a factor. Pictures of 1 to 4 channels and any size. Not run: residual
//! blocks, attention, spectral norm in the generator, other norms.

mod chain;
mod class;
mod config;
mod family;
mod infer;
#[cfg(test)]
mod infer_tests;
mod keras;
mod modules;
mod names;
mod network;
mod open;
#[cfg(test)]
mod toy;

pub use config::{Class, Config, Op};
pub use family::FAMILY;
#[cfg(test)]
pub use toy::{Stem, Toy};

use super::layers::{Named, Reader, replaced};
use super::{Generator, Input, Inputs, Prior, Spec, Start, Tap, Tapped};
use crate::error::Result;
use crate::generator::{self, Affine, Feature};
use crate::space::Space;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use config::Plan;
use network::Network;
use std::sync::Arc;

/// A plain generator.
pub struct Dcgan {
    config: Config,
    spec: Spec,
    device: Device,
    network: Network,
    /// The table of its classes, `[c_dim, size]`.
    table: Option<Tensor>,
    parameters: Named,
    buffers: Named,
}

impl Dcgan {
    /// Builds the generator from its tensors; `fingerprint` identifies them.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape, and when the settings and the tensors
    /// disagree.
    pub fn new(
        config: &Config,
        weights: &mut Weights,
        fingerprint: &str,
        device: &Device,
    ) -> Result<Self> {
        let plan = config.plan(&|name| weights.shape(name).map(<[usize]>::to_vec))?;
        let mut r = Reader::new(weights, device);
        let network = Network::read(config, &plan, &mut r)?;
        let table = match config.class.table() {
            Some(table) => {
                let name = format!("{table}.weight");
                let shape = r.shape(&name)?;
                Some(r.parameter(&name, &shape)?)
            }
            None => None,
        };
        let (parameters, buffers) = r.finish();
        Ok(Self {
            spec: spec(config, plan, fingerprint),
            config: config.clone(),
            device: device.clone(),
            network,
            table,
            parameters,
            buffers,
        })
    }

    /// Input of the first layer: z and the class, `[N, inputs]`.
    fn inputs(&self, z: &Tensor, n: usize, input: &Input) -> Result<Tensor> {
        let Some(labels) = input.labels_of(n, self.config.c_dim)? else { return Ok(z.clone()) };
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
        family: family::NAME.into(),
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
        prior: Prior::Normal,
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
        Err(generator::no_codes(&self.spec, to))
    }

    fn run(&self, start: &Start<'_>, input: &Input, taps: &[Tap]) -> Result<Tapped> {
        let (from, z, n) = generator::from_z(&self.spec, start, taps)?;
        let wanted = |at: usize| taps.contains(&Tap::Layer(at));
        let picture = taps.contains(&Tap::Picture);
        let (maps, picture) = match from {
            Some(feature) => {
                self.network.run(&feature.map, Some(feature.layer), &wanted, picture)?
            }
            None => self.network.run(&self.inputs(z, n, input)?, None, &wanted, picture)?,
        };
        let feature = |(layer, map)| Feature { layer, map, picture: None, passed: false };
        let features = maps.into_iter().map(feature).collect();
        Ok(Tapped { features, picture, ..Tapped::default() })
    }

    fn affine(&self, layer: usize, read: &Tensor, input: &Input) -> Result<Option<Affine>> {
        match layer {
            0 => self.network.affine(0, &self.inputs(read, read.dim(0)?, input)?),
            _ => self.network.affine(layer, read),
        }
    }

    fn mean(&self, _: Space) -> Option<&Tensor> {
        None
    }

    fn noise_maps(&self) -> Vec<Tensor> {
        Vec::new()
    }

    fn weights(&self) -> Result<Named> {
        Ok(self.parameters.clone())
    }

    fn with_weights(&self, weights: &Named) -> Result<Arc<dyn Generator>> {
        let mut source = replaced(&self.spec.name, (&self.parameters, &self.buffers), weights)?;
        let copy = Self::new(&self.config, &mut source, &self.spec.fingerprint, &self.device)?;
        Ok(Arc::new(copy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::spaces;
    use candle_core::{DType, Var};
    use std::collections::BTreeMap;

    fn numbers(t: &Tensor) -> Vec<f32> {
        t.flatten_all().and_then(|t| t.to_vec1()).expect("numbers")
    }

    fn toys() -> [Toy; 4] {
        let wide = Toy { base: [2, 4], channels: 1, ..Toy::default() };
        [
            Toy::default(),
            Toy { stem: Stem::Linear, channels: 4, ..Toy::default() },
            Toy { c_dim: 3, doublings: 3, ..Toy::default() },
            wide,
        ]
    }

    fn input(g: &Dcgan, n: usize) -> Input {
        let c = g.spec().c_dim;
        let labels = (c > 0).then(|| Tensor::ones((n, c), DType::F32, &Device::Cpu).expect("ones"));
        Input::labelled(labels.as_ref())
    }

    #[test]
    fn layers_are_tapped_and_entered() {
        for toy in toys() {
            let g = toy.build(&Device::Cpu).expect("toy");
            let (z, input) = (&drawn(&g), input(&g, 2));
            let taps: Vec<Tap> = (0..g.spec().layers.len()).map(Tap::Layer).collect();
            let start = Start::Code { space: Space::Z, data: z };
            let all = g.run(&start, &input, &[&taps[..], &[Tap::Picture]].concat()).expect("run");
            let picture = all.picture.expect("picture");
            let (h, w) = (toy.base[0] << toy.doublings, toy.base[1] << toy.doublings);
            assert_eq!(picture.dims(), [2, toy.channels, h, w]);
            assert_eq!((g.spec().width, g.spec().height), (w, h));
            for (feature, layer) in all.features.iter().zip(&g.spec().layers) {
                let size = [2, layer.channels, layer.height, layer.width];
                assert_eq!(feature.map.dims(), size, "{}", layer.name);
                let start = Start::Feature { feature, space: Space::Z, data: z };
                let again = g.run(&start, &input, &[Tap::Picture]).expect("entered").picture;
                assert_eq!(numbers(&again.expect("picture")), numbers(&picture), "{}", layer.name);
            }
        }
    }

    fn drawn(g: &Dcgan) -> Tensor {
        let draw = spaces::Draw { seed: 4, space: Space::Z, ..spaces::Draw::default() };
        spaces::sample(g, 2, draw).expect("z").point().clone()
    }

    /// Each parameter alone gets the gradient that it gets with all the others, and the picture
    /// stays what it is.
    #[test]
    fn no_parameter_loses_its_gradient() {
        for toy in toys() {
            let g = toy.build(&Device::Cpu).expect("toy");
            let (z, input) = (drawn(&g), input(&g, 2));
            let run = |which: &dyn Fn(&str) -> bool| {
                let (g, variables) = crate::generator::tuned(&g, which).expect("tuned");
                let picture = spaces::picture(&*g, &z, Space::Z, &input).expect("picture");
                let grads = picture.sqr().and_then(|p| p.sum_all()).and_then(|l| l.backward());
                let of = |(name, v): (String, Var)| {
                    let g = grads.as_ref().ok().and_then(|g| g.get(&v).map(numbers));
                    (name, g)
                };
                (numbers(&picture), variables.into_iter().map(of).collect::<BTreeMap<_, _>>())
            };
            let (frozen, _) = run(&|_| false);
            let (picture, all) = run(&|_| true);
            let close = |a: &[f32], b: &[f32]| {
                a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-4)
            };
            assert!(close(&picture, &frozen));
            assert!(all.keys().all(|n| !n.contains("running")), "statistics are not parameters");
            for (name, expected) in &all {
                let expected = expected.as_ref().expect(name);
                assert!(expected.iter().any(|v| *v != 0.0), "{name}");
                let (_, alone) = run(&|n| n == name);
                assert!(close(alone[name].as_ref().expect(name), expected), "{name}");
            }
        }
    }

    #[test]
    fn other_spaces_and_missing_classes_are_refused() {
        let g = Toy { c_dim: 3, ..Toy::default() }.build(&Device::Cpu).expect("toy");
        let z = drawn(&g);
        let refused = |space, data: &Tensor, input: &Input| {
            let e = g.run(&Start::Code { space, data }, input, &[Tap::Picture]).expect_err("no");
            assert!(e.repair().is_some(), "{e}");
            e.to_string()
        };
        assert!(refused(Space::W, &z, &input(&g, 2)).contains("not W"));
        assert!(refused(Space::Z, &z, &Input::default()).contains("label of 3 numbers"));
        let plain = Toy::default().build(&Device::Cpu).expect("toy");
        let e = spaces::picture(&plain, &drawn(&plain), Space::Z, &input(&g, 2)).expect_err("no");
        assert!(e.message().contains("not conditional"), "{e}");
        let short = z.narrow(1, 0, 5).expect("part");
        assert!(refused(Space::Z, &short, &input(&g, 2)).contains("[N, 12]"));
        assert!(spaces::mean(&g, Space::W, None).expect_err("no mean").repair().is_some());
        assert!(spaces::rise(&g, &z, (Space::Z, Space::W), &input(&g, 2)).is_err());
    }
}
