//! A layer of StyleGAN3 as one operator (Karras et al. 2021, section 3.2): modulated convolution,
//! bias, and the filtered nonlinearity.

use super::act::scale;
use super::conv::{conv2d, tracked};
use super::engine::{Between, FullConv, Isa};
use super::filtered::{FilteredLrelu, filtered_lrelu};
use super::modulated::Weight;
use super::raw::{f32s, inside};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};
use std::sync::{Arc, Mutex};

/// A convolution of kernel k padded by k − 1, whose styles scale the input channels, and after it
/// the filtered nonlinearity.
///
/// With frozen weights on the CPU it is one operator, which keeps its input and the convolution's
/// result for the gradient. Otherwise it is composed of single operators, with gradients to the
/// weights.
pub struct FilteredConv(Way);

/// Execution strategy of a layer.
enum Way {
    /// As one operator.
    Fused(Arc<Fused>),
    /// From single operators.
    Plain(Box<Plain>),
}

struct Fused {
    conv: FullConv,
    bias: Vec<f32>,
    how: FilteredLrelu,
}

struct Plain {
    weight: Weight,
    bias: Tensor,
    demodulate: bool,
    gain: f64,
    how: FilteredLrelu,
}

impl FilteredConv {
    /// From weights `[O, I, k, k]` and a bias `[O]`; the convolution's result is scaled by `gain`,
    /// after demodulation if requested. The numbers of frozen weights are copied: later changes of
    /// the tensors have no effect.
    ///
    /// # Errors
    /// When a tensor has another rank.
    pub fn new(
        weight: &Tensor,
        bias: &Tensor,
        (demodulate, gain): (bool, f64),
        how: FilteredLrelu,
    ) -> Result<Self> {
        if !bias.track_op()
            && let Some(conv) = FullConv::new(weight, demodulate, gain)?
        {
            let bias = bias.flatten_all()?.to_vec1()?;
            return Ok(Self(Way::Fused(Arc::new(Fused { conv, bias, how }))));
        }
        let (weight, bias) = (Weight::new(weight.clone()), bias.clone());
        Ok(Self(Way::Plain(Box::new(Plain { weight, bias, demodulate, gain, how }))))
    }

    /// The layer's result, with gradients to map, styles, and tracked weights.
    ///
    /// # Shapes
    /// x `[N, I, H, W]`, style `[N, I]` → `[N, O, H', W']`, the size as of [`filtered_lrelu`] for a
    /// map of `H + k − 1`.
    ///
    /// # Errors
    /// When sizes do not fit.
    pub fn forward(&self, x: &Tensor, style: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Way::Fused(layer) => {
                let keep = x.track_op() || style.track_op();
                let run = Run { layer: layer.clone(), keep, kept: Mutex::new(None) };
                x.contiguous()?.apply_op2(&style.contiguous()?, run)
            }
            Way::Plain(layer) => layer.forward(x, style),
        }
    }
}

impl Plain {
    fn forward(&self, x: &Tensor, style: &Tensor) -> Result<Tensor> {
        let w = self.weight.tensor()?;
        let y = conv2d(&scale(x, style)?, &w, 1, w.dim(2)? - 1)?;
        let y = match (self.demodulate, self.gain) {
            (true, gain) => scale(&y, &(self.weight.demodulation(style)? * gain)?)?,
            (false, 1.0) => y,
            (false, gain) => (y * gain)?,
        };
        filtered_lrelu(&y, &self.bias, &self.how)
    }
}

impl Fused {
    /// Samples, height and width of the map, if map and styles fit.
    fn size(&self, x: &Shape, style: &Shape) -> Result<(usize, usize, usize)> {
        let (n, c, h, w) = x.dims4()?;
        if c != self.conv.inputs() || style.dims() != [n, c] || n * h * w == 0 {
            bail!(
                "filtered_conv: a map {x:?} and styles {style:?} do not fit weights for {} \
                 channels",
                self.conv.inputs()
            );
        }
        Ok((n, h, w))
    }

    /// Size of the convolution's result.
    fn inner(&self, (_, h, w): (usize, usize, usize)) -> (usize, usize) {
        (self.conv.out(h), self.conv.out(w))
    }
}

/// One run of a layer.
struct Run {
    layer: Arc<Fused>,
    /// Whether gradients are needed later.
    keep: bool,
    /// The result of the convolution.
    kept: Mutex<Option<Vec<f32>>>,
}

impl CustomOp2 for Run {
    fn name(&self) -> &'static str {
        "filtered_conv"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Fused { conv, bias, how } = &*self.layer;
        let size = self.layer.size(l1.shape(), l2.shape())?;
        let (x, style) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let inner = self.layer.inner(size);
        let [up, down] = how.filters(inner)?;
        let between = Between::forward(Isa::current(), [&up, &down], inner, how.activation);
        let (y, out) = inside(|| {
            let y = conv.forward(x, style, size);
            let out = between.run(&y, bias, &[]);
            (y, out)
        });
        if self.keep
            && let Ok(mut kept) = self.kept.lock()
        {
            *kept = Some(y);
        }
        Ok((CpuStorage::F32(out), (size.0, conv.outputs(), down.y.out, down.x.out).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        style: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Fused { conv, bias, how } = &*self.layer;
        let size = self.layer.size(x.shape(), style.shape())?;
        let inner = self.layer.inner(size);
        let [up, down] = how.filters(inner)?;
        let between = Between::backward(Isa::current(), [&up, &down], inner, how.activation);
        let g = g.contiguous()?;
        let [xs, styles, gs] = [x, style, &g].map(Tensor::storage_and_layout);
        let xs = cpu(self.name(), &xs.0, xs.1)?;
        let styles = cpu(self.name(), &styles.0, styles.1)?;
        let gs = cpu(self.name(), &gs.0, gs.1)?;
        // Gradients use up what was kept; a second backward pass makes it again.
        let kept = self.kept.lock().ok().and_then(|mut kept| kept.take());
        let (dx, ds) = inside(|| {
            let y = kept.unwrap_or_else(|| conv.forward(xs, styles, size));
            let flow = between.run(&y, bias, gs);
            conv.backward((xs, styles, &y), flow, size)
        });
        let dx = tracked(x, || Tensor::from_vec(dx, x.shape(), x.device()))?;
        let ds = tracked(style, || Tensor::from_vec(ds, style.shape(), style.device()))?;
        Ok((dx, ds))
    }
}

/// The numbers of a contiguous tensor on the CPU.
fn cpu<'a>(op: &str, storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match storage {
        Storage::Cpu(storage) => f32s(op, storage, layout),
        _ => bail!("{op}: expected a tensor on the CPU"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::act::Activation;
    use super::super::fir::Filter;
    use super::super::reference::{D, close, flat};
    use super::*;
    use candle_core::Var;

    /// Upsampled twice, so that the filters' edges lie inside.
    fn how() -> FilteredLrelu {
        let taps: Vec<f32> = D::random("taps", &[6]).v.iter().map(|v| *v as f32).collect();
        let matrix: Vec<f32> = D::random("down", &[5, 5]).v.iter().map(|v| *v as f32).collect();
        FilteredLrelu {
            up: 2,
            up_filter: Filter::from_taps(&taps).expect("filter"),
            down_filter: Filter::from_matrix(5, 5, &matrix).expect("filter"),
            down: 2,
            padding: [4, 3, 5, 2],
            activation: Activation { clamp: Some(3.0), ..Activation::LRELU },
        }
    }

    /// Value and gradients of the map and of the styles.
    fn step(f: impl Fn(&Tensor, &Tensor) -> Result<Tensor>, x: &D, s: &D) -> [Vec<f64>; 3] {
        let [x, s] = [x, s].map(|d| Var::from_tensor(&d.tensor()).expect("var"));
        let y = f(&x, &s).expect("forward");
        let probe = D::random("probe", y.dims()).tensor();
        let loss = y.mul(&probe).and_then(|l| l.sum_all()).expect("loss");
        let grads = loss.backward().expect("backward");
        [flat(&y), flat(grads.get(&x).expect("x")), flat(grads.get(&s).expect("style"))]
    }

    #[test]
    fn the_operator_is_what_single_operators_give() {
        for (outputs, inputs, k, demodulate, gain) in [
            (5, 3, 3, true, 0.7),
            (17, 20, 3, true, 1.3),
            (3, 9, 1, false, 0.5),
            (18, 33, 1, true, 2.0),
        ] {
            let weight = D::random("weight", &[outputs, inputs, k, k]).tensor();
            let bias = D::random("bias", &[outputs]).tensor();
            let (x, s) = (D::random("x", &[2, inputs, 7, 9]), D::random("s", &[2, inputs]));
            let layer =
                FilteredConv::new(&weight, &bias, (demodulate, gain), how()).expect("layer");
            assert!(matches!(layer.0, Way::Fused(_)));
            let fused = step(|x, s| layer.forward(x, s), &x, &s);
            let weight = Weight::new(weight);
            let plain = Plain { weight, bias, demodulate, gain, how: how() };
            let plain = step(|x, s| plain.forward(x, s), &x, &s);
            for (part, (a, b)) in fused.iter().zip(&plain).enumerate() {
                close(a, b, 2e-5, &format!("{outputs}x{inputs}, {k}x{k}, part {part}"));
            }
        }
    }

    /// Weights that are trained get gradients, alone or together.
    #[test]
    fn tracked_weights_are_not_lost() {
        let weight = Var::from_tensor(&D::random("weight", &[4, 3, 3, 3]).tensor()).expect("var");
        let bias = Var::from_tensor(&D::random("bias", &[4]).tensor()).expect("var");
        let (x, s) = (D::random("x", &[1, 3, 6, 6]).tensor(), D::random("s", &[1, 3]).tensor());
        for (w, b) in [(true, true), (true, false), (false, true)] {
            let pick = |v: &Var, tracked: bool| {
                if tracked { v.as_tensor().clone() } else { v.as_detached_tensor() }
            };
            let layer = FilteredConv::new(&pick(&weight, w), &pick(&bias, b), (true, 1.0), how());
            let y = layer.and_then(|l| l.forward(&x, &s)).expect("forward");
            let grads =
                y.sqr().and_then(|y| y.sum_all()).and_then(|l| l.backward()).expect("grads");
            assert_eq!((grads.get(&weight).is_some(), grads.get(&bias).is_some()), (w, b));
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let weight = D::random("weight", &[4, 3, 3, 3]).tensor();
        let bias = D::random("bias", &[4]).tensor();
        let layer = FilteredConv::new(&weight, &bias, (true, 1.0), how()).expect("layer");
        let run = |x: &[usize], s: &[usize]| {
            layer.forward(&D::random("x", x).tensor(), &D::random("s", s).tensor()).is_ok()
        };
        assert!(run(&[1, 3, 6, 6], &[1, 3]));
        assert!(!run(&[1, 2, 6, 6], &[1, 3]) && !run(&[1, 3, 6, 6], &[2, 3]));
        assert!(!run(&[1, 3, 0, 6], &[1, 3]) && !run(&[3, 6, 6], &[1, 3]));
    }
}
