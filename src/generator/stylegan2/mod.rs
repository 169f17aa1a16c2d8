//! StyleGAN2 and StyleGAN2-ADA (Karras et al. 2020), by the names and the arithmetic of NVIDIA's
//! PyTorch code.
//!
//! Squares and rectangles: a constant of any size, doubled by every further block. 1 to 4 channels,
//! any number of features a layer, the architectures skip, resnet and orig, with or without labels.
//! In single precision; on a GPU, when asked, the four highest resolutions in f16 as there, unless
//! weights are trained. Not run: kernels other than 3×3, activations other than leaky ReLU.
//!
//! Pictures are in [-1, 1] as the networks give them. The official TensorFlow code adds 0.5 when it
//! makes bytes of them (`x · 127.5 + 127.5 + 0.5`, then the fraction is cut off), PyTorch's adds
//! 128 for 127.5 + 0.5. That rounds to the nearest byte, as every picture of ours is rounded; it
//! does not move pixels, and no checkpoint needs a shift.

mod config;
mod export;
mod family;
mod filters;
#[cfg(test)]
mod forms_tests;
mod layer;
pub(in crate::generator) mod layouts;
mod styles;
mod synthesis;

pub use config::{Architecture, Config, Given};
pub use export::{Rosinality, rosinality};
pub use family::FAMILY;
pub(in crate::generator) use family::{BUFFERS, layers, noise_sizes};
pub use filters::add_filters;
pub(in crate::generator) use layer::{Maps, Plan};
pub(in crate::generator) use styles::Styles;
pub(in crate::generator) use synthesis::Synthesis;

use super::layers::{COMPUTED, Mapping, Named, NoiseMaps, Parameters, Reader, W_AVG, mean_or};
use super::{Generator, Input, Spec, Start, Tap, Tapped, early};
use crate::error::{Error, Kind, Result};
use crate::generator;
use crate::space::Space;
use crate::weights::Weights;
use candle_core::{Device, Tensor};
use std::sync::Arc;

/// A StyleGAN2 generator.
pub struct StyleGan2 {
    config: Config,
    spec: Spec,
    device: Device,
    mapping: Mapping,
    synthesis: Synthesis,
    mean_w: Tensor,
    parameters: Parameters,
    buffers: Named,
}

/// The spaces that its codes can live in.
pub const SPACES: [Space; 4] = [Space::Z, Space::W, Space::WPlus, Space::S];

/// The mean of w, `[w_dim]`: stored, or computed from the mapping network.
///
/// # Errors
/// When it is stored for each layer (`[num_ws, w_dim]`, as encoders store it) and the rows differ.
fn mean_w(r: &mut Reader<'_>, mapping: &Mapping, w_dim: usize, device: &Device) -> Result<Tensor> {
    let Ok(shape) = r.shape(W_AVG) else { return mean_or(r, w_dim, || mapping.mean(device)) };
    let [rows @ (1..), _] = shape[..] else { return r.buffer(W_AVG, &[w_dim]) };
    let all = r.buffer(W_AVG, &[rows, w_dim])?;
    let first = all.narrow(0, 0, 1)?;
    let apart = all.broadcast_sub(&first)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
    if apart > 1e-5 {
        let message = format!("`{W_AVG}` has {rows} rows, and they differ by {apart:e}");
        return Err(Error::new(Kind::Format, message)
            .hint("one mean for all layers is supported: store their mean as [w_dim]"));
    }
    Ok(first.squeeze(0)?.contiguous()?)
}

impl StyleGan2 {
    /// Builds the generator from its tensors; `fingerprint` identifies them.
    ///
    /// Errors when a tensor is missing or of another shape, when `given` and the tensors disagree,
    /// and on unsupported settings. Tensors left in `source` were not understood.
    pub fn new(
        source: &mut Weights,
        given: &Given,
        fingerprint: &str,
        device: &Device,
    ) -> Result<Self> {
        Self::build(source, given, fingerprint, device, crate::tensor::halves(device))
    }

    /// As [`StyleGan2::new`], optionally in f16 where the official code uses it.
    fn build(
        source: &mut Weights,
        given: &Given,
        fingerprint: &str,
        device: &Device,
        halves: bool,
    ) -> Result<Self> {
        let config = given.complete(source.list())?;
        let spec = family::spec(&config, source.list(), fingerprint);
        let mut r = Reader::new(source, device);
        let mapping = Mapping::read(&mut r, &config.mapping())?;
        let mean_w = mean_w(&mut r, &mapping, config.w_dim, device)?;
        let synthesis = Synthesis::read(&mut r, &config, halves)?;
        let (parameters, mut buffers) = r.finish_styled();
        buffers.remove(COMPUTED);
        buffers.insert(W_AVG.into(), mean_w.clone());
        Ok(Self {
            config,
            spec,
            device: device.clone(),
            mapping,
            synthesis,
            mean_w,
            parameters,
            buffers,
        })
    }

    /// All tensors, parameters and buffers, by their names in NVIDIA's state dict.
    ///
    /// # Errors
    /// When a tensor operation fails.
    #[cfg(test)]
    pub fn tensors(&self) -> Result<Named> {
        let mut all = self.parameters.all()?;
        all.extend(self.buffers.iter().map(|(k, v)| (k.clone(), v.clone())));
        Ok(all)
    }

    /// See [`Generator::with_weights`].
    fn copied(&self, weights: &Named) -> Result<Self> {
        let c = &self.config;
        let mut source = self.parameters.replaced(&c.name, &self.buffers, weights)?;
        let given = Given {
            name: Some(c.name.clone()),
            mapping_lr_multiplier: Some(c.mapping_lr_multiplier),
            architecture: Some(c.architecture),
            resample_filter: c.resample_filter.clone(),
            conv_clamp: c.conv_clamp,
            ..Given::default()
        };
        Self::build(&mut source, &given, &self.spec.fingerprint, &self.device, false)
    }
}

impl Generator for StyleGan2 {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn enter(&self, to: Space, parent: &Tensor, input: &Input) -> Result<Tensor> {
        match to {
            Space::W => {
                let labels = input.labels_for(parent.dims().first().copied().unwrap_or(0))?;
                self.mapping.forward(parent, labels.as_ref())
            }
            Space::S => {
                generator::reads(parent, &[self.spec.num_ws, self.spec.w_dim])?;
                self.synthesis.styles(parent)
            }
            other => Err(generator::no_codes(&self.spec, other)),
        }
    }

    fn run(&self, start: &Start<'_>, input: &Input, taps: &[Tap]) -> Result<Tapped> {
        let (from, space, data) = start.parts();
        let (styles, n) = match space {
            Space::WPlus => (
                Styles::of_rows(data),
                generator::reads(data, &[self.spec.num_ws, self.spec.w_dim])?,
            ),
            Space::S => (Styles::given(data), generator::reads(data, &[self.spec.s_dim()])?),
            other => {
                return Err(Error::runtime(format!("the synthesis reads W+ or S, not {other}"))
                    .hint("lift the code first: to(W+, code)"));
            }
        };
        let early = early::requested(&self.spec, &self.early_sides(), taps)?;
        generator::check_points(&self.spec, n, from, if early.is_some() { &[] } else { taps })?;
        let stored = self.noise_maps();
        let maps = NoiseMaps::stored(stored, &self.device)?.of(&input.noise, n)?.into_iter();
        let blocks =
            early.and_then(|side| self.config.blocks.iter().position(|b| b.height == side));
        match blocks {
            Some(last) => self.synthesis.early((styles, maps, n), from, last + 1),
            None => self.synthesis.tapped(styles, maps, n, (from, taps)),
        }
    }

    fn early_sides(&self) -> Vec<usize> {
        let all = match self.config.architecture {
            Architecture::Skip => &self.config.blocks[..],
            Architecture::Resnet | Architecture::Orig => &[],
        };
        all.iter().take(all.len().saturating_sub(1)).map(|b| b.height).collect()
    }

    fn mean(&self, space: Space) -> Option<&Tensor> {
        (space == Space::W).then_some(&self.mean_w)
    }

    fn noise_maps(&self) -> Vec<Tensor> {
        self.synthesis.noise().map(|l| l.map.clone()).collect()
    }

    fn weights(&self) -> Result<Named> {
        self.parameters.all()
    }

    fn with_weights(&self, weights: &Named) -> Result<Arc<dyn Generator>> {
        Ok(Arc::new(self.copied(weights)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Noise;
    use crate::generator::spaces;
    use crate::generator::toy::Toy;
    use crate::rng::Rng;
    use candle_core::Var;
    use std::collections::BTreeMap;
    use std::time::Instant;

    fn picture(g: &dyn Generator, ws: &Tensor, noise: Noise) -> Result<Tensor> {
        spaces::picture(g, ws, Space::WPlus, &Input::of(noise))
    }

    /// Every layer can be tapped, and entered again with the same code for the same picture, in
    /// every architecture; its map is as large as the spec says.
    #[test]
    fn layers_are_tapped_and_entered() {
        for architecture in [Architecture::Skip, Architecture::Resnet, Architecture::Orig] {
            let toy = Toy { architecture, resolution: 16, features: 6, ..Toy::default() };
            let g = toy.build(&Device::Cpu).expect("toy");
            let draw = spaces::Draw { seed: 4, space: Space::WPlus, ..spaces::Draw::default() };
            let ws = spaces::sample(&g, 2, draw).expect("ws").point().clone();
            let s = g.enter(Space::S, &ws, &Input::default()).expect("s");
            let input = Input::of(Noise::Random { seed: 2, first: 0 });
            let layers: Vec<Tap> = (0..g.spec().layers.len()).map(Tap::Layer).collect();
            let taps = [&layers[..], &[Tap::Picture]].concat();
            for (space, data) in [(Space::WPlus, &ws), (Space::S, &s)] {
                let all = g.run(&Start::Code { space, data }, &input, &taps).expect("tapped");
                let whole = all.picture.expect("picture");
                let engine = spaces::picture(&g, data, space, &input).expect("picture");
                let numbers =
                    |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers");
                assert!(apart(&numbers(&whole), &numbers(&engine)) < 1e-5);
                assert_eq!(all.features.len(), layers.len());
                for (feature, layer) in all.features.iter().zip(&g.spec().layers) {
                    let size = [2, layer.channels, layer.height, layer.width];
                    assert_eq!(feature.map.dims(), size, "{}", layer.name);
                    let again = Start::Feature { feature, space, data };
                    let again = g.run(&again, &input, &[Tap::Picture]).expect("entered");
                    let again = again.picture.expect("picture");
                    assert_eq!(numbers(&again), numbers(&whole), "{}", layer.name);
                }
            }
            let (from, wrong) = (Start::Code { space: Space::WPlus, data: &ws }, layers.len());
            let refused = g.run(&from, &input, &[Tap::Layer(wrong)]).expect_err("no such layer");
            assert!(refused.repair().is_some());
        }
    }

    /// The bits of a picture and of its gradient are the same for any number of threads.
    #[test]
    fn pictures_do_not_depend_on_the_threads() {
        let toy = Toy { resolution: 64, features: 40, ..Toy::default() };
        let run = || -> Vec<u32> {
            let g = toy.build(&Device::Cpu).expect("toy");
            let ws = Var::from_vec(Rng::new(1).normals(2 * 10 * 16), (2, 10, 16), &Device::Cpu)
                .expect("ws");
            let picture = picture(&g, &ws, Noise::Random { seed: 1, first: 0 }).expect("picture");
            let grads = picture
                .sqr()
                .and_then(|p| p.sum_all())
                .and_then(|l| l.backward())
                .expect("backward");
            let both = [&picture, grads.get(&ws).expect("gradient")];
            let bits =
                |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("values");
            both.into_iter().flat_map(bits).map(f32::to_bits).collect()
        };
        let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("pool");
        let [one, two, three] = [1, 2, 3].map(|n| pool(n).install(run));
        assert!(one == two && one == three);
    }

    /// Each parameter alone gets the gradient that it gets with all the others, whichever operators
    /// that makes the synthesis take; and the picture stays what it is.
    #[test]
    fn no_parameter_loses_its_gradient() {
        let g =
            Toy { resolution: 16, features: 6, ..Toy::default() }.build(&Device::Cpu).expect("toy");
        let z = Tensor::from_vec(
            Rng::new(1).normals(2 * g.spec().z_dim),
            (2, g.spec().z_dim),
            &Device::Cpu,
        )
        .expect("z");
        let run = |tuned: &dyn Fn(&str) -> bool| {
            let (g, variables) = crate::generator::tuned(&g, tuned).expect("variables");
            let picture = spaces::picture(&*g, &z, Space::Z, &Input::default()).expect("picture");
            let grads = picture.sqr().and_then(|p| p.sum_all()).and_then(|l| l.backward());
            let numbers =
                |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers");
            let of = |(name, v): (String, Var)| {
                let g = grads.as_ref().ok().and_then(|g| g.get(&v).map(numbers));
                (name, g)
            };
            (numbers(&picture), variables.into_iter().map(of).collect::<BTreeMap<_, _>>())
        };
        let (frozen, _) = run(&|_| false);
        let (picture, all) = run(&|_| true);
        assert!(apart(&picture, &frozen) <= 1e-5, "the picture");
        assert!(all.len() > 40, "{} parameters", all.len());
        for (name, expected) in &all {
            let expected = expected.as_ref().unwrap_or_else(|| panic!("no gradient of {name}"));
            assert!(expected.iter().any(|v| *v != 0.0), "the gradient of {name} is zero");
            let (_, alone) = run(&|n| n == name);
            let found =
                alone[name].as_ref().unwrap_or_else(|| panic!("no gradient of {name} alone"));
            let d = apart(found, expected);
            assert!(d <= 1e-4, "{name} alone: {d:.1e}");
        }
    }

    /// The same network with its highest resolutions in f16; on the CPU, where numbers are rounded
    /// as a GPU stores them.
    fn halved(g: &StyleGan2, given: &Given) -> StyleGan2 {
        let mut tensors = Weights::of_tensors("toy", g.tensors().unwrap());
        StyleGan2::build(&mut tensors, given, "", &Device::Cpu, true).expect("halved")
    }

    /// A picture, and the gradients of `gain` times its mean square to the codes and the noise
    /// maps.
    fn step(g: &StyleGan2, ws: &Var, gain: f64) -> Vec<Vec<f32>> {
        let maps: Vec<Var> =
            g.noise_maps().iter().map(|m| Var::from_tensor(m).expect("map")).collect();
        let noise = Noise::Maps(maps.iter().map(|m| m.as_tensor().clone()).collect());
        let picture = picture(g, ws, noise).expect("picture");
        let grads = picture
            .sqr()
            .and_then(|p| p.mean_all()? * gain)
            .and_then(|l| l.backward())
            .expect("backward");
        let slopes = std::iter::once(ws).chain(&maps).map(|v| grads.get(v).expect("gradient"));
        let flat = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("values");
        std::iter::once(&picture).chain(slopes).map(flat).collect()
    }

    /// The difference, as a share of `b`, in root mean square: the leaky ReLU's kink moves single
    /// gradients by more than a rounding.
    fn apart(a: &[f32], b: &[f32]) -> f64 {
        let sum = |v: &mut dyn Iterator<Item = f32>| v.map(|v| f64::from(v).powi(2)).sum::<f64>();
        (sum(&mut a.iter().zip(b).map(|(a, b)| a - b)) / sum(&mut b.iter().copied())).sqrt()
    }

    #[test]
    fn the_highest_resolutions_in_f16_are_near_and_only_those() {
        for architecture in [Architecture::Skip, Architecture::Orig, Architecture::Resnet] {
            let toy = Toy { resolution: 64, features: 24, architecture, ..Toy::default() };
            let g = toy.build(&Device::Cpu).expect("toy");
            let half = halved(&g, &toy.given());
            // 8, 16, 32 and 64 pixels.
            assert_eq!(half.synthesis.halves(), [false, true, true, true, true]);
            assert_eq!(g.synthesis.halves(), [false; 5]);
            let ws = Var::from_vec(Rng::new(1).normals(2 * 10 * 16), (2, 10, 16), &Device::Cpu)
                .expect("ws");
            let (found, expected) = (step(&half, &ws, 1e4), step(&g, &ws, 1e4));
            for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
                let off = apart(a, b);
                assert!(
                    off > 1e-6 && off < if i == 0 { 1e-2 } else { 5e-2 },
                    "{architecture:?}, part {i}: {off}"
                );
            }
        }
    }

    #[test]
    fn f16_neither_overflows_with_large_codes_nor_loses_the_gradients_of_a_mean_when_it_is_scaled()
    {
        let toy = Toy { resolution: 64, features: 24, ..Toy::default() };
        let given = Given { conv_clamp: Some(256.0), ..toy.given() };
        let g = toy.build(&Device::Cpu).expect("toy");
        let g = StyleGan2::new(
            &mut Weights::of_tensors("toy", g.tensors().unwrap()),
            &given,
            "",
            &Device::Cpu,
        )
        .expect("clamped");
        let half = halved(&g, &given);
        let ws = |size: f32| {
            let draw = Rng::new(2).normals(10 * 16).into_iter().map(|v: f32| v * size).collect();
            Var::from_vec(draw, (1, 10, 16), &Device::Cpu).expect("ws")
        };
        let [picture, expected] = [&half, &g].map(|g| step(g, &ws(1e5), 1.0).remove(0));
        assert!(
            picture.iter().all(|v| v.is_finite()) && apart(&picture, &expected) < 1e-2,
            "not limited alike"
        );
        // A mean over a large batch of large pictures has gradients below the smallest f16.
        let (codes, gain, scale) = (ws(1.0), 1e-6, 2f64.powi(30));
        let [plain, scaled, expected] = [(&half, gain), (&half, gain * scale), (&g, gain)]
            .map(|(g, gain)| step(g, &codes, gain).remove(1));
        let scaled: Vec<f32> = scaled.into_iter().map(|v| v / scale as f32).collect();
        // The rows from the third on serve layers in f16 alone.
        assert!(plain[2 * 16..].iter().all(|v| *v == 0.0), "lost without");
        assert!(apart(&scaled, &expected) < 5e-2, "{}", apart(&scaled, &expected));
    }

    /// Measures the time of a network of the embedded model's size. Run alone, with optimisation.
    #[test]
    #[ignore = "a measurement"]
    fn timing() {
        for features in [256, 384] {
            let toy = Toy { resolution: 64, features, z_dim: 256, w_dim: 256, ..Toy::default() };
            let g = toy.build(&Device::Cpu).expect("toy");
            let ws = Var::from_vec(Rng::new(1).normals(10 * 256), (1, 10, 256), &Device::Cpu)
                .expect("ws");
            let frozen = ws.as_detached_tensor();
            let median = |f: &dyn Fn()| {
                let mut ms: Vec<f64> = (0..15).map(|_| time(f)).collect();
                ms.sort_by(f64::total_cmp);
                (ms[0], ms[7])
            };
            let forward = median(&|| drop(picture(&g, &frozen, Noise::Const).expect("picture")));
            let step = median(&|| {
                let loss = picture(&g, &ws, Noise::Const)
                    .and_then(|p| Ok(p.sqr()?.mean_all()?))
                    .expect("loss");
                drop(loss.backward().expect("backward"));
            });
            eprintln!(
                "{features} features at 4 px: ms (best, median): forward {forward:.1?}, step \
                 {step:.1?}"
            );
        }
    }

    fn time(f: &dyn Fn()) -> f64 {
        let start = Instant::now();
        f();
        start.elapsed().as_secs_f64() * 1e3
    }
}
