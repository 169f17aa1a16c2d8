//! A whole synthesis network as one operator.
//!
//! Features stay in blocks of channels from the constant to the picture, without conversion between
//! layers. Gradients are written where they are needed, and buffers are released after their last
//! use. Frozen arguments need no gradient. Trained weights are an argument beside the network, which
//! was made from their values.

use super::buffer::{Map, blocks_of};
use super::isa::Isa;
use super::lanes::LANES;
use super::styled::{At, Kept, Layer, Noise, Rgb, RgbConv, StyledConv, frozen};
use crate::Filter;
use crate::fir::Fir;
use candle_core::{Result, Tensor, bail};

/// The layers of one resolution: convolutions, then perhaps toRGB.
#[derive(Default)]
pub struct Stage<'a> {
    /// The convolutions, in the order in which they run.
    pub convs: Vec<StyledConv<'a>>,
    /// Added to the doubled picture of the stage before.
    pub rgb: Option<RgbConv>,
}

struct Ready {
    convs: Vec<Layer>,
    rgb: Option<Rgb>,
}

/// A synthesis network of frozen weights on the CPU.
pub struct Network {
    isa: Isa,
    /// The constant input, `[1, C, 4, 4]`.
    constant: Map,
    stages: Vec<Ready>,
    filter: Filter,
    pub(super) styles: usize,
    pub(super) noise: usize,
}

impl Network {
    /// A network from its constant `[C, H, W]`, its stages, and the filter that doubles pictures.
    /// `None` when the engine cannot run it: trained weights, a filter of more than four taps, a
    /// device that is not the CPU. The numbers are copied: later changes of the tensors have no
    /// effect.
    ///
    /// # Errors
    /// When a tensor has another rank.
    pub fn new(constant: &Tensor, stages: &[Stage<'_>], filter: &Filter) -> Result<Option<Self>> {
        Self::for_isa(Isa::painting(), constant, stages, filter)
    }

    /// As [`Network::new`], for an instruction set that this processor has.
    pub(super) fn for_isa(
        isa: Isa,
        constant: &Tensor,
        stages: &[Stage<'_>],
        filter: &Filter,
    ) -> Result<Option<Self>> {
        let (c, h, w) = constant.dims3()?;
        let Some(start) = frozen(constant)? else { return Ok(None) };
        let start = Map::from_planar(&start, (1, c, h, w));
        let mut network = Self {
            isa,
            constant: start,
            stages: Vec::new(),
            filter: filter.clone(),
            styles: 0,
            noise: 0,
        };
        let mut side = (h, w);
        for stage in stages {
            let mut convs = Vec::new();
            for conv in &stage.convs {
                let Some(layer) = Layer::new(conv)? else { return Ok(None) };
                side = if layer.doubles() { (side.0 * 2, side.1 * 2) } else { side };
                network.styles += layer.inputs;
                network.noise += if layer.noise { side.0 * side.1 } else { 0 };
                convs.push(layer);
            }
            let rgb = match &stage.rgb {
                None => None,
                Some(rgb) => match Rgb::new(rgb)? {
                    Some(rgb) => Some(rgb),
                    None => return Ok(None),
                },
            };
            network.styles += rgb.as_ref().map_or(0, |r| r.inputs);
            network.stages.push(Ready { convs, rgb });
        }
        let paints = network.stages.last().is_some_and(|s| s.rgb.is_some());
        Ok(paints.then_some(network))
    }

    /// The instruction set that it was prepared for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Numbers of all weights.
    pub(super) fn weights(&self) -> usize {
        let conv = |l: &Layer| l.outputs * (9 * l.inputs + 1);
        let stage = |s: &Ready| {
            let rgb = s.rgb.as_ref().map_or(0, |r| r.colours * (r.inputs + 1));
            s.convs.iter().map(conv).sum::<usize>() + rgb
        };
        let constant = self.constant.channels * self.constant.h * self.constant.w;
        constant + self.stages.iter().map(stage).sum::<usize>()
    }

    /// The styles of a layer in whole blocks, from those at `at` of every sample.
    fn style(&self, styles: &[f32], at: usize, inputs: usize) -> Vec<f32> {
        let lanes = blocks_of(inputs) * LANES;
        let mut out = Vec::with_capacity(styles.len() / self.styles.max(1) * lanes);
        for sample in styles.chunks_exact(self.styles.max(1)) {
            out.extend_from_slice(&sample[at..at + inputs]);
            out.resize(out.len().next_multiple_of(lanes), 0.0);
        }
        out
    }

    /// The constant, once for every sample.
    fn start(&self, n: usize) -> Map {
        let c = &self.constant;
        let mut x = Map::new(n, c.channels, c.h, c.w);
        x.data.chunks_exact_mut(c.data.len().max(1)).for_each(|to| to.copy_from_slice(&c.data));
        x
    }

    pub(super) fn run_forward(&self, codes: &Codes<'_>, keep: bool) -> Result<(Vec<f32>, Tape)> {
        let mut tape = Tape { start: self.start(codes.n), stages: Vec::new() };
        // Passes that need gradients compute in single precision.
        let isa = if keep { self.isa.exact() } else { self.isa };
        let (mut place, mut picture) = (Place::default(), Vec::new());
        let mut size = (0, 0);
        for stage in &self.stages {
            let mut done = Done { convs: Vec::new(), picture: Vec::new() };
            for layer in &stage.convs {
                let x = done.convs.last().map(|k: &Kept| &k.y);
                let x = x.or_else(|| tape.last()).unwrap_or(&tape.start);
                let style = self.style(codes.styles, place.style, layer.inputs);
                let kept = layer.forward(isa, x, &style, place.noise(codes, layer));
                place.after(layer, &kept.y, codes);
                done.convs.push(kept);
                if !keep {
                    // Only the last result is read again.
                    let last = done.convs.len() - 1;
                    done.convs.drain(..last);
                    tape.stages.clear();
                }
            }
            let x = done.convs.last().map(|k| &k.y).or_else(|| tape.last()).unwrap_or(&tape.start);
            if !picture.is_empty() && size != (x.h, x.w) {
                picture = Fir::up2(&self.filter, size.0, size.1)?.run(&picture, size.0, size.1);
            }
            size = (x.h, x.w);
            if let Some(rgb) = &stage.rgb {
                let weight = rgb.modulated(&self.style(codes.styles, place.style, rgb.inputs));
                let new = rgb.forward(isa, x, &weight);
                place.style += rgb.inputs;
                done.picture = if keep && rgb.clamps() { new.clone() } else { Vec::new() };
                picture = added(picture, new);
            }
            tape.stages.push(done);
        }
        Ok((picture, tape))
    }

    /// Gradients of the styles `[N, S]`, of the noise `[N, T]` where it is wanted, and of the
    /// weights where they are given.
    pub(super) fn backward(
        &self,
        codes: &Codes<'_>,
        mut tape: Tape,
        (g, trained, noisy): (&[f32], Option<&[f32]>, bool),
    ) -> Result<Found> {
        let mut found = Found {
            styles: vec![0f32; codes.n * self.styles],
            noise: vec![0f32; if noisy { codes.n * self.noise } else { 0 }],
            weights: vec![0f32; trained.map_or(0, <[f32]>::len)],
        };
        let mut end = self.weights();
        let mut place = Place { style: self.styles, noise: self.noise };
        let mut picture = g.to_vec();
        let mut flow: Option<Map> = None;
        for (i, stage) in self.stages.iter().enumerate().rev() {
            let Some(done) = tape.stages.pop() else {
                bail!("stylegan2: the forward pass was not kept")
            };
            let Done { mut convs, picture: shown } = done;
            let mut rgb = None;
            if let Some(layer) = &stage.rgb {
                place.style -= layer.inputs;
                let style = self.style(codes.styles, place.style, layer.inputs);
                let through =
                    if layer.clamps() { layer.through_clamp(&shown, &picture) } else { Vec::new() };
                end -= layer.colours * (layer.inputs + 1);
                rgb = Some((layer, layer.modulated(&style), through, (place.style, end)));
            }
            let mut size = (0, 0);
            for layer in stage.convs.iter().rev() {
                let Some(kept) = convs.pop() else {
                    bail!("stylegan2: the forward pass was not kept")
                };
                size = (kept.y.h, kept.y.w);
                let colours = rgb.take();
                place.before(layer, &kept.y);
                let style = self.style(codes.styles, place.style, layer.inputs);
                let at = At {
                    x: convs.last().map(|k| &k.y).or_else(|| tape.last()).unwrap_or(&tape.start),
                    style: &style,
                    noise: place.noise(codes, layer),
                    noise_back: noisy && layer.noise,
                    rgb: colours.as_ref().map(|(_, weight, through, _)| {
                        (if through.is_empty() { &picture[..] } else { &through[..] }, &weight[..])
                    }),
                };
                let (g, fresh) = match flow.take() {
                    Some(g) => (g, false),
                    None => (Map::new(kept.y.n, kept.y.channels, kept.y.h, kept.y.w), true),
                };
                let size_of = 9 * layer.outputs * layer.inputs;
                end -= size_of + layer.outputs;
                let own = trained.map(|w| &w[end..][..size_of]);
                let (dx, [styles, weights], sums) =
                    layer.backward(self.isa.exact(), &at, kept, (g, fresh), own);
                self.put(&mut found.styles, &styles, place.style, layer.inputs);
                if own.is_some() {
                    found.weights[end..][..weights.len()].copy_from_slice(&weights);
                }
                if noisy && layer.noise {
                    self.put_noise(&mut found.noise, &sums.noise, place.noise);
                }
                if let Some((rgb, _, through, (at, weights))) = &colours {
                    self.put(&mut found.styles, &rgb.styles(&sums.rgb), *at, rgb.inputs);
                    if trained.is_some() {
                        let style = self.style(codes.styles, *at, rgb.inputs);
                        let g = if through.is_empty() { &picture } else { through };
                        let own = rgb.weights_back(&sums.rgb, &style, g);
                        found.weights[*weights..][..own.len()].copy_from_slice(&own);
                    }
                }
                flow = Some(dx);
            }
            if i > 0 && self.stages[..i].iter().any(|s| s.rgb.is_some()) {
                let doubled = stage.convs.iter().any(Layer::doubles);
                if doubled {
                    let (h, w) = (size.0 / 2, size.1 / 2);
                    picture = Fir::up2(&self.filter, h, w)?
                        .transposed(h, w)
                        .run(&picture, size.0, size.1);
                }
            }
        }
        if let (Some(dx), true) = (flow, trained.is_some()) {
            let each = end;
            for sample in dx.to_planar().chunks_exact(each.max(1)) {
                found.weights.iter_mut().zip(sample).for_each(|(to, v)| *to += v);
            }
        }
        Ok(found)
    }

    /// Writes the gradient of a layer's styles, in whole blocks, to its place.
    fn put(&self, to: &mut [f32], from: &[f32], at: usize, inputs: usize) {
        let lanes = blocks_of(inputs) * LANES;
        for (to, from) in to.chunks_exact_mut(self.styles).zip(from.chunks_exact(lanes)) {
            to[at..at + inputs].copy_from_slice(&from[..inputs]);
        }
    }

    fn put_noise(&self, to: &mut [f32], from: &[f32], at: usize) {
        let n = to.len() / self.noise.max(1);
        let area = from.len() / n.max(1);
        for (to, from) in to.chunks_exact_mut(self.noise).zip(from.chunks_exact(area.max(1))) {
            to[at..at + area].copy_from_slice(from);
        }
    }
}

/// The sum of two pictures; the first may be missing.
fn added(mut old: Vec<f32>, new: Vec<f32>) -> Vec<f32> {
    if old.is_empty() {
        return new;
    }
    old.iter_mut().zip(new).for_each(|(o, n)| *o += n);
    old
}

/// Inputs of a pass.
pub(super) struct Codes<'a> {
    pub(super) n: usize,
    pub(super) styles: &'a [f32],
    /// The maps of all layers, and how far those of two samples are apart.
    pub(super) noise: Option<(&'a [f32], usize)>,
}

/// Progress of a pass in styles and noise.
#[derive(Default)]
struct Place {
    style: usize,
    noise: usize,
}

impl Place {
    /// The noise of the layer at this place.
    fn noise<'a>(&self, codes: &Codes<'a>, layer: &Layer) -> Noise<'a> {
        codes.noise.filter(|_| layer.noise).map(|(maps, apart)| (&maps[self.noise..], apart))
    }

    fn after(&mut self, layer: &Layer, y: &Map, _: &Codes<'_>) {
        self.style += layer.inputs;
        self.noise += if layer.noise { y.h * y.w } else { 0 };
    }

    fn before(&mut self, layer: &Layer, y: &Map) {
        self.style -= layer.inputs;
        self.noise -= if layer.noise { y.h * y.w } else { 0 };
    }
}

/// Values of a stage that its gradient needs.
struct Done {
    convs: Vec<Kept>,
    /// Output of toRGB, if it clamps.
    picture: Vec<f32>,
}

/// Values of a forward pass that its gradient needs.
pub(super) struct Tape {
    start: Map,
    stages: Vec<Done>,
}

impl Tape {
    pub(super) fn last(&self) -> Option<&Map> {
        self.stages.iter().rev().find_map(|s| s.convs.last()).map(|k| &k.y)
    }
}

/// Gradients of a pass.
pub(super) struct Found {
    pub(super) styles: Vec<f32>,
    /// Empty where it is not wanted.
    pub(super) noise: Vec<f32>,
    /// Empty where the weights are frozen.
    pub(super) weights: Vec<f32>,
}
