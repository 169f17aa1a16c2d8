//! A plain stack of 3×3 convolutions as one operator: what looks at pictures rather than makes them.

use super::buffer::Map;
use super::conv::{Conv, Form, Packed};
use super::finish::{Epilogue, Finish};
use super::pointwise::ActBackward;
use super::simd::Isa;
use super::styled::{frozen, pack, padded};
use crate::tensor::Activation;
use crate::tensor::raw::f32s;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use std::sync::{Arc, Mutex};

struct Layer {
    forward: Packed,
    backward: Packed,
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
    /// From weights `[O, I, 3, 3]`, biases `[O]` and strides; none where the engine cannot run it: another stride, trained
    /// weights, another device.
    ///
    /// # Errors
    /// When a weight has another rank.
    pub fn new(convs: &[(&Tensor, &Tensor, usize)], activation: Activation) -> Result<Option<Self>> {
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
            let (forward, backward) = pack(&w, (outputs, inputs), forms);
            layers.push(Layer { forward, backward, bias: padded(bias), outputs, stride });
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
        let run = Run { stack: self.clone(), all, keep: x.track_op(), kept: Mutex::new(None) };
        let shapes = self.shapes(h, w);
        let flat = x.contiguous()?.apply_op1(run)?;
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
            Conv { isa: self.isa, weights: &layer.forward, x, style: None, finish }.run(&mut y);
            if !all {
                maps.clear();
            }
            maps.push(y);
        }
        maps
    }

    /// The gradient of the picture from that of the maps, `[N, all of them flattened]` or the last map's.
    fn unlook(&self, mut maps: Vec<Map>, g: &[f32], all: bool, shape: (usize, usize, usize, usize)) -> Vec<f32> {
        let sizes: Vec<usize> = maps.iter().map(|m| m.channels * m.h * m.w).collect();
        let each = if all { sizes.iter().sum() } else { sizes.last().copied().unwrap_or(0) };
        let (mut end, mut flow) = (each, None::<Map>);
        for (layer, size) in self.layers.iter().zip(&sizes).rev() {
            let Some(y) = maps.pop() else { break };
            let last = flow.is_none();
            let mut g = if all || last {
                end -= size;
                let own: Vec<f32> = g.chunks_exact(each.max(1)).flat_map(|s| &s[end..end + size]).copied().collect();
                let mut own = Map::from_planar(&own, (y.n, y.channels, y.h, y.w));
                if let Some(flow) = flow.take() {
                    own.data.iter_mut().zip(flow.data.iter()).for_each(|(o, f)| *o += f);
                }
                own
            } else {
                match flow.take() {
                    Some(flow) => flow,
                    None => break,
                }
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
            };
            act.run(&mut g, false);
            let (n, c, h, w) = maps.last().map_or(shape, |m| (m.n, m.channels, m.h, m.w));
            let mut dx = Map::new(n, c, h, w);
            Conv { isa: self.isa, weights: &layer.backward, x: &g, style: None, finish: Finish::Plain }.run(&mut dx);
            flow = Some(dx);
        }
        flow.map(|dx| dx.to_planar()).unwrap_or_default()
    }
}

/// One look.
struct Run {
    stack: Arc<Stack>,
    /// Whether all maps are wanted.
    all: bool,
    /// Whether gradients will be asked for.
    keep: bool,
    kept: Mutex<Option<Vec<Map>>>,
}

impl CustomOp1 for Run {
    fn name(&self) -> &'static str {
        "conv_stack"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = layout.shape().dims4()?;
        let data = f32s(self.name(), storage, layout)?;
        let inputs = self.stack.layers.first().map_or(0, |l| l.forward.inputs());
        if c != inputs || n * h * w == 0 {
            bail!("{}: pictures {:?} do not fit weights for {inputs} channels", self.name(), layout.shape());
        }
        let maps = self.stack.look(Map::from_planar(data, (n, c, h, w)), self.all || self.keep);
        let wanted = if self.all { &maps[..] } else { &maps[maps.len() - 1..] };
        let planar: Vec<Vec<f32>> = wanted.iter().map(Map::to_planar).collect();
        let each: usize = planar.iter().map(|p| p.len() / n).sum();
        let mut out = Vec::with_capacity(n * each);
        for sample in 0..n {
            for p in &planar {
                out.extend_from_slice(&p[sample * (p.len() / n)..][..p.len() / n]);
            }
        }
        if self.keep
            && let Ok(mut kept) = self.kept.lock()
        {
            *kept = Some(maps);
        }
        Ok((CpuStorage::F32(out), (n, each).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let numbers = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        let kept = self.kept.lock().ok().and_then(|mut kept| kept.take());
        // Gradients use up what was kept; who asks again has the maps made again.
        let maps = match kept {
            Some(maps) => maps,
            None => self.stack.look(Map::from_planar(&numbers(x)?, x.dims4()?), true),
        };
        let g = numbers(g)?;
        let dx = self.stack.unlook(maps, &g, self.all, x.dims4()?);
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}
