//! A whole synthesis network as one operator.
//!
//! Features stay in blocks of channels from the constant to the picture, without conversion between
//! layers. Gradients are written where they are needed, and buffers are released after their last
//! use. Frozen arguments need no gradient. Weights are always frozen: a network with trainable
//! weights is not run here.

use super::buffer::{Map, blocks_of};
use super::isa::Isa;
use super::lanes::LANES;
use super::styled::{At, Kept, Layer, Noise, Rgb, RgbConv, StyledConv, frozen};
use crate::Filter;
use crate::conv::tracked;
use crate::fir::Fir;
use crate::raw::{f32s, inside};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use std::sync::{Arc, Mutex};

/// The layers of one resolution: convolutions, then perhaps toRGB.
#[derive(Default)]
pub struct Stage<'a> {
    /// The convolutions, in the order in which they run.
    pub convs: Vec<StyledConv<'a>>,
    /// Added to the doubled picture of the stage before.
    pub rgb: Option<RgbConv<'a>>,
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
    styles: usize,
    noise: usize,
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

    /// Pictures, with gradients to styles and noise.
    ///
    /// # Shapes
    /// styles `[N, S]`: those of every layer in the order in which they run; noise `[1 or N, T]`:
    /// the maps of all noisy layers, flattened, already scaled; → `[N, K, H, W]`.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub fn forward(self: &Arc<Self>, styles: &Tensor, noise: Option<&Tensor>) -> Result<Tensor> {
        let keep = styles.track_op() || noise.is_some_and(Tensor::track_op);
        let op =
            Run { network: self.clone(), keep, noisy: noise.is_some(), kept: Mutex::new(None) };
        let nothing = || Tensor::zeros((1, 1), styles.dtype(), styles.device());
        let noise = noise.map_or_else(nothing, Tensor::contiguous)?;
        styles.contiguous()?.apply_op2(&noise, op)
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

    fn run_forward(&self, codes: &Codes<'_>, keep: bool) -> Result<(Vec<f32>, Tape)> {
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

    /// Gradients of the styles `[N, S]` and of the noise `[N, T]`.
    fn backward(
        &self,
        codes: &Codes<'_>,
        mut tape: Tape,
        g: &[f32],
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let mut found = Found {
            styles: vec![0f32; codes.n * self.styles],
            noise: vec![0f32; codes.n * self.noise],
        };
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
                rgb = Some((layer, layer.modulated(&style), through, place.style));
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
                    rgb: colours.as_ref().map(|(_, weight, through, _)| {
                        (if through.is_empty() { &picture[..] } else { &through[..] }, &weight[..])
                    }),
                };
                let (g, fresh) = match flow.take() {
                    Some(g) => (g, false),
                    None => (Map::new(kept.y.n, kept.y.channels, kept.y.h, kept.y.w), true),
                };
                let (dx, styles, sums) = layer.backward(self.isa.exact(), &at, kept, g, fresh);
                self.put(&mut found.styles, &styles, place.style, layer.inputs);
                if layer.noise {
                    self.put_noise(&mut found.noise, &sums.noise, place.noise);
                }
                if let Some((rgb, _, _, at)) = &colours {
                    self.put(&mut found.styles, &rgb.styles(&sums.rgb), *at, rgb.inputs);
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
        Ok((found.styles, found.noise))
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
struct Codes<'a> {
    n: usize,
    styles: &'a [f32],
    /// The maps of all layers, and how far those of two samples are apart.
    noise: Option<(&'a [f32], usize)>,
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
struct Tape {
    start: Map,
    stages: Vec<Done>,
}

impl Tape {
    fn last(&self) -> Option<&Map> {
        self.stages.iter().rev().find_map(|s| s.convs.last()).map(|k| &k.y)
    }
}

struct Found {
    styles: Vec<f32>,
    noise: Vec<f32>,
}

/// One pass of a network.
struct Run {
    network: Arc<Network>,
    /// Whether gradients are needed later.
    keep: bool,
    noisy: bool,
    kept: Mutex<Option<Tape>>,
}

impl Run {
    fn codes<'a>(&self, s: (&'a [f32], &Shape), noise: (&'a [f32], &Shape)) -> Result<Codes<'a>> {
        let (n, styles) = s.1.dims2()?;
        let (maps, total) = noise.1.dims2()?;
        let fits = !self.noisy || ((maps == 1 || maps == n) && total == self.network.noise);
        if styles != self.network.styles || !fits {
            bail!(
                "stylegan2: styles {:?} and noise {:?} do not fit a network of {} styles and {} \
                 pixels of noise",
                s.1,
                noise.1,
                self.network.styles,
                self.network.noise
            );
        }
        let apart = if maps == n && n > 1 { total } else { 0 };
        Ok(Codes { n, styles: s.0, noise: self.noisy.then_some((noise.0, apart)) })
    }
}

impl CustomOp2 for Run {
    fn name(&self) -> &'static str {
        "stylegan2"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (styles, noise) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let codes = self.codes((styles, l1.shape()), (noise, l2.shape()))?;
        let (picture, tape) = inside(|| self.network.run_forward(&codes, self.keep))?;
        let Some(x) = tape.last() else { bail!("stylegan2: a network without layers") };
        let (n, h, w) = (x.n, x.h, x.w);
        let channels = picture.len() / (n * h * w).max(1);
        if self.keep
            && let Ok(mut kept) = self.kept.lock()
        {
            *kept = Some(tape);
        }
        Ok((CpuStorage::F32(picture), (n, channels, h, w).into()))
    }

    fn bwd(
        &self,
        s: &Tensor,
        noise: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let kept = self.kept.lock().ok().and_then(|mut kept| kept.take());
        let numbers = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        let (styles, maps, g) = (numbers(s)?, numbers(noise)?, numbers(g)?);
        let codes = self.codes((&styles, s.shape()), (&maps, noise.shape()))?;
        // Gradients use up what was kept, layer by layer; who asks again has the forward pass made
        // again.
        let tape = kept.map_or_else(
            || Ok(self.network.run_forward(&codes, true)?.1),
            Ok::<_, candle_core::Error>,
        )?;
        let (ds, dn) = inside(|| self.network.backward(&codes, tape, &g))?;
        let n = codes.n;
        let ds = tracked(s, || Tensor::from_vec(ds, s.shape(), s.device()))?;
        let dn = tracked(noise, || {
            let each = Tensor::from_vec(dn, (n, self.network.noise), noise.device())?;
            if noise.dim(0)? == n { Ok(each) } else { each.sum_keepdim(0) }
        })?;
        Ok((ds, dn))
    }
}
