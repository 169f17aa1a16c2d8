//! A plain stack of 3×3 convolutions as one operator: what looks at pictures rather than makes
//! them.

use super::buffer::Map;
use super::conv::{Both, Conv, Form};
use super::driver;
use super::finish::{Epilogue, Finish};
use super::isa::Isa;
use super::pointwise::ActBackward;
use super::styled::{frozen, padded};
use super::unit_distance::UnitDistance;
use crate::Activation;
use crate::raw::f32s;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use std::sync::{Arc, Mutex};

struct Layer {
    weights: Both,
    bias: Vec<f32>,
    outputs: usize,
    stride: usize,
}

/// Convolutions of stride 1 or 2, padded by one, each with bias and leaky ReLU; frozen, on the CPU.
pub struct Stack {
    isa: Isa,
    layers: Vec<Layer>,
    act: [f32; 3],
}

impl Stack {
    /// Builds a stack from weights `[O, I, 3, 3]`, biases `[O]` and strides; `None` when the engine
    /// cannot run it: another stride, trained weights, another device.
    ///
    /// # Errors
    /// When a weight has another rank.
    pub fn new(
        convs: &[(&Tensor, &Tensor, usize)],
        activation: Activation,
    ) -> Result<Option<Self>> {
        Self::for_isa(Isa::current(), convs, activation)
    }

    /// As [`Stack::new`], for an instruction set that this processor has.
    pub(super) fn for_isa(
        isa: Isa,
        convs: &[(&Tensor, &Tensor, usize)],
        activation: Activation,
    ) -> Result<Option<Self>> {
        let mut layers = Vec::new();
        for &(weight, bias, stride) in convs {
            let (outputs, inputs, k, _) = weight.dims4()?;
            let (Some(w), Some(bias)) = (frozen(weight)?, frozen(bias)?) else { return Ok(None) };
            let forms = match (k, stride) {
                (3, 1) => [Form::Same, Form::SameBack],
                (3, 2) => [Form::Half, Form::HalfBack],
                _ => return Ok(None),
            };
            let weights = Both::new(&w, (outputs, inputs), forms);
            layers.push(Layer { weights, bias: padded(bias), outputs, stride });
        }
        let clamp = activation.clamp.map_or(f32::INFINITY, |c| c as f32);
        let act = [activation.slope as f32, activation.gain as f32, clamp];
        Ok((!layers.is_empty()).then_some(Self { isa, layers, act }))
    }

    /// The map of every convolution, or of the last alone, with gradients to the picture.
    ///
    /// # Shapes
    /// `[N, C, H, W]` → `[N, C_i, H_i, W_i]` each.
    ///
    /// # Errors
    /// When the channels do not fit.
    pub fn maps(self: &Arc<Self>, x: &Tensor, all: bool) -> Result<Vec<Tensor>> {
        let (n, _, h, w) = x.dims4()?;
        let look = Look { stack: self.clone(), keep: x.track_op(), kept: Mutex::new(None) };
        let shapes = self.shapes(h, w);
        let flat = x.contiguous()?.apply_op1(Run { look, all })?;
        let Some(&(c, h, w)) = shapes.last().filter(|_| !all) else {
            let mut at = 0;
            return shapes
                .iter()
                .map(|&(c, h, w)| {
                    let part = flat.narrow(1, at, c * h * w)?.reshape((n, c, h, w))?;
                    at += c * h * w;
                    Ok(part)
                })
                .collect();
        };
        Ok(vec![flat.reshape((n, c, h, w))?])
    }

    /// Distance between the maps of the last `targets.len()` convolutions and the targets, every
    /// pixel's channels at unit length (the root of their squares and `eps`): the squared
    /// difference summed over channels, its mean over space, the mean of that over the maps. With
    /// gradients to the picture; the targets are constants.
    ///
    /// # Shapes
    /// `[N, C, H, W]`, targets `[N, C_i, H_i · W_i]` → `[N]`
    ///
    /// # Errors
    /// When the channels or the targets do not fit.
    pub fn unit_distance(
        self: &Arc<Self>,
        x: &Tensor,
        targets: &[Tensor],
        eps: f64,
    ) -> Result<Tensor> {
        let (n, _, h, w) = x.dims4()?;
        let Some(skipped) =
            self.layers.len().checked_sub(targets.len()).filter(|_| !targets.is_empty())
        else {
            bail!(
                "unit_distance: {} targets for the maps of {} convolutions",
                targets.len(),
                self.layers.len()
            );
        };
        let mut maps = Vec::with_capacity(targets.len());
        for (target, (c, h, w)) in targets.iter().zip(self.shapes(h, w).split_off(skipped)) {
            if target.dims() != [n, c, h * w] {
                bail!("unit_distance: a target {:?} for maps {:?}", target.dims(), [n, c, h, w]);
            }
            maps.push(Map::from_planar(&target.flatten_all()?.to_vec1::<f32>()?, (n, c, h, w)));
        }
        let look = Look { stack: self.clone(), keep: x.track_op(), kept: Mutex::new(None) };
        x.contiguous()?.apply_op1(Distance { look, skipped, targets: maps, eps: eps as f32 })
    }

    /// Channels, height and width of every map.
    fn shapes(&self, mut h: usize, mut w: usize) -> Vec<(usize, usize, usize)> {
        let after = |l: &Layer| {
            (h, w) = (h.div_ceil(l.stride), w.div_ceil(l.stride));
            (l.outputs, h, w)
        };
        self.layers.iter().map(after).collect()
    }

    fn epilogue<'a>(&self, layer: &'a Layer) -> Epilogue<'a> {
        Epilogue { scale: None, bias: &layer.bias, noise: None, act: self.act }
    }

    /// All maps, or the last.
    fn look(&self, x: Map, all: bool) -> Vec<Map> {
        let mut maps: Vec<Map> = Vec::new();
        for (layer, (c, h, w)) in self.layers.iter().zip(self.shapes(x.h, x.w)) {
            let mut y = Map::new(x.n, c, h, w);
            let (epilogue, x) = (self.epilogue(layer), maps.last().unwrap_or(&x));
            let finish = Finish::Activate(&epilogue);
            let conv =
                Conv { isa: self.isa, weights: layer.weights.forward(), x, style: None, finish };
            driver::run(&conv, &mut y);
            if !all {
                maps.clear();
            }
            maps.push(y);
        }
        maps
    }

    /// The gradient of the picture from the gradients `own` of every map: `None` where only later
    /// maps are read.
    fn unlook(
        &self,
        mut maps: Vec<Map>,
        own: impl Fn(usize, &Map) -> Option<Map>,
        shape: (usize, usize, usize, usize),
    ) -> Vec<f32> {
        let mut flow = None::<Map>;
        for (i, layer) in self.layers.iter().enumerate().rev() {
            let Some(y) = maps.pop() else { break };
            let mut g = match (own(i, &y), flow.take()) {
                (Some(mut own), Some(flow)) => {
                    own.data.iter_mut().zip(flow.data.iter()).for_each(|(o, f)| *o += f);
                    own
                }
                (Some(g), None) | (None, Some(g)) => g,
                (None, None) => continue,
            };
            let act = ActBackward {
                isa: self.isa,
                y: &y,
                scale: None,
                bias: &layer.bias,
                noise: None,
                act: self.act,
                rgb: None,
                sums: false,
                noise_sums: false,
            };
            act.run(&mut g, false);
            let (n, c, h, w) = maps.last().map_or(shape, |m| (m.n, m.channels, m.h, m.w));
            let mut dx = Map::new(n, c, h, w);
            let conv = Conv {
                isa: self.isa,
                weights: layer.weights.backward(),
                x: &g,
                style: None,
                finish: Finish::Plain,
            };
            driver::run(&conv, &mut dx);
            flow = Some(dx);
        }
        flow.map(|dx| dx.to_planar()).unwrap_or_default()
    }
}

/// One look at a picture, and what gradients need of it.
struct Look {
    stack: Arc<Stack>,
    /// Whether gradients are needed later.
    keep: bool,
    kept: Mutex<Option<Vec<Map>>>,
}

impl Look {
    /// All maps, or the last alone.
    fn maps(
        &self,
        op: &str,
        (storage, layout): (&CpuStorage, &Layout),
        all: bool,
    ) -> Result<Vec<Map>> {
        let shape @ (n, c, h, w) = layout.shape().dims4()?;
        let data = f32s(op, storage, layout)?;
        let inputs = self.stack.layers.first().map_or(0, |l| l.weights.forward().inputs());
        if c != inputs || n * h * w == 0 {
            bail!("{op}: pictures {:?} do not fit weights for {inputs} channels", layout.shape());
        }
        Ok(self.stack.look(Map::from_planar(data, shape), all || self.keep))
    }

    /// Keeps the maps for the gradients, if there will be any.
    fn keep(&self, maps: Vec<Map>) {
        if self.keep
            && let Ok(mut kept) = self.kept.lock()
        {
            *kept = Some(maps);
        }
    }

    /// The maps of the look at `x`. Gradients use up what was kept; who asks again has the maps
    /// made again.
    fn again(&self, x: &Tensor) -> Result<Vec<Map>> {
        match self.kept.lock().ok().and_then(|mut kept| kept.take()) {
            Some(maps) => Ok(maps),
            None => Ok(self.stack.look(Map::from_planar(&numbers(x)?, x.dims4()?), true)),
        }
    }
}

fn numbers(t: &Tensor) -> Result<Vec<f32>> {
    t.flatten_all()?.to_vec1::<f32>()
}

/// The maps, `[N, all of them flattened]`, or the last one's.
struct Run {
    look: Look,
    /// Whether all maps are wanted.
    all: bool,
}

impl CustomOp1 for Run {
    fn name(&self) -> &'static str {
        "conv_stack"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let maps = self.look.maps(self.name(), (storage, layout), self.all)?;
        let wanted = if self.all { &maps[..] } else { &maps[maps.len() - 1..] };
        let n = layout.dims()[0];
        let planar: Vec<Vec<f32>> = wanted.iter().map(Map::to_planar).collect();
        let each: usize = planar.iter().map(|p| p.len() / n).sum();
        let mut out = Vec::with_capacity(n * each);
        for sample in 0..n {
            for p in &planar {
                out.extend_from_slice(&p[sample * (p.len() / n)..][..p.len() / n]);
            }
        }
        self.look.keep(maps);
        Ok((CpuStorage::F32(out), (n, each).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let (maps, each, g) = (self.look.again(x)?, g.dims2()?.1, numbers(g)?);
        let sizes: Vec<usize> = maps.iter().map(|m| m.channels * m.h * m.w).collect();
        let own = |i: usize, y: &Map| {
            let start = match (self.all, i + 1 == sizes.len()) {
                (true, _) => sizes[..i].iter().sum(),
                (false, true) => 0,
                (false, false) => return None,
            };
            let own: Vec<f32> = g
                .chunks_exact(each)
                .flat_map(|sample| &sample[start..start + sizes[i]])
                .copied()
                .collect();
            Some(Map::from_planar(&own, (y.n, y.channels, y.h, y.w)))
        };
        let dx = self.look.stack.unlook(maps, own, x.dims4()?);
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

/// The distance of the maps from targets, `[N]`.
struct Distance {
    look: Look,
    /// Maps before the first that is compared.
    skipped: usize,
    targets: Vec<Map>,
    eps: f32,
}

impl Distance {
    fn of<'a>(&'a self, x: &'a Map, target: &'a Map) -> UnitDistance<'a> {
        UnitDistance { isa: self.look.stack.isa, x, target, eps: self.eps }
    }
}

impl CustomOp1 for Distance {
    fn name(&self) -> &'static str {
        "unit_distance"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let maps = self.look.maps(self.name(), (storage, layout), true)?;
        let mut sums = vec![0.0; layout.dims()[0]];
        for (x, target) in maps[self.skipped..].iter().zip(&self.targets) {
            sums.iter_mut().zip(self.of(x, target).distances()).for_each(|(sum, d)| *sum += d);
        }
        self.look.keep(maps);
        let means: Vec<f32> =
            sums.iter().map(|sum| (sum / self.targets.len() as f64) as f32).collect();
        let shape = means.len().into();
        Ok((CpuStorage::F32(means), shape))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let (maps, count) = (self.look.again(x)?, self.targets.len() as f32);
        let slopes: Vec<f32> = numbers(g)?.into_iter().map(|g| g / count).collect();
        let own = |i: usize, y: &Map| {
            let target = self.targets.get(i.checked_sub(self.skipped)?)?;
            Some(self.of(y, target).gradient(&slopes))
        };
        let dx = self.look.stack.unlook(maps, own, x.dims4()?);
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}
