//! Pointwise operators on `[N, C, …]`: bias with leaky ReLU, channel scaling, noise; and the sums
//! that are their gradients.
//!
//! Maps with pixels may be f16: they are computed in single precision and rounded when stored.
//! Biases, factors, noise and all sums are in single precision.

use super::conv::tracked;
#[cfg(feature = "cuda")]
use super::cuda;
use super::raw::{f32s, planes, singles, stored, sum};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail,
};

/// The activation after a bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activation {
    /// Slope for inputs at or below zero: 0.2 is StyleGAN's leaky ReLU, 1 the identity, 0 a ReLU.
    /// Never negative.
    pub slope: f64,
    /// The result is scaled by this, above zero.
    pub gain: f64,
    /// Then limited to ±clamp.
    pub clamp: Option<f64>,
}

impl Activation {
    /// The identity.
    pub const LINEAR: Self = Self { slope: 1.0, gain: 1.0, clamp: None };
    /// StyleGAN's leaky ReLU: slope 0.2, gain √2.
    pub const LRELU: Self = Self { slope: 0.2, gain: std::f64::consts::SQRT_2, clamp: None };

    /// Errors where the sign of a result would not be that of its input, from which gradients are
    /// taken.
    pub(super) fn check(self, op: &str) -> Result<()> {
        let fine = |v: f64| v >= 0.0 && v.is_finite();
        if fine(self.slope)
            && fine(self.gain)
            && self.gain > 0.0
            && self.clamp.is_none_or(|c| c >= 0.0)
        {
            return Ok(());
        }
        bail!(
            "{op}: an activation needs a slope from 0, a gain above 0 and a clamp from 0, found \
             {self:?}"
        )
    }
}

/// N, C and the elements of one plane.
fn planar(shape: &Shape) -> Result<(usize, usize, usize)> {
    match shape.dims() {
        [n, c, rest @ ..] => Ok((*n, *c, rest.iter().product())),
        dims => bail!("expected [N, C, ...], found {dims:?}"),
    }
}

/// N, C and the elements of one plane, when the bias fits.
pub(super) fn biased(l1: &Layout, l2: &Layout) -> Result<[usize; 3]> {
    let (n, c, plane) = planar(l1.shape())?;
    if l2.shape().elem_count() != c {
        bail!("bias_act: bias {:?} does not fit {:?}", l2.shape(), l1.shape());
    }
    Ok([n, c, plane])
}

struct BiasAct(Activation);

impl CustomOp2 for BiasAct {
    fn name(&self) -> &'static str {
        "bias_act"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [n, c, plane] = biased(l1, l2)?;
        let (x, bias) = (singles(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let (slope, gain) = (self.0.slope as f32, self.0.gain as f32);
        let clamp = self.0.clamp.map_or(f32::INFINITY, |c| c as f32);
        let mut out = vec![0f32; n * c * plane];
        planes(&mut out, plane, |i, dst| {
            let b = bias[i % c];
            for (d, x) in dst.iter_mut().zip(&x[i * plane..]) {
                let v = x + b;
                let v = (if v > 0.0 { v } else { v * slope }) * gain;
                // Written so that a NaN stays one: it must be seen, not turned into a colour.
                *d = if v > clamp {
                    clamp
                } else if v < -clamp {
                    -clamp
                } else {
                    v
                };
            }
        });
        Ok((stored(out, s1), l1.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::act::bias_act(self.0, biased(l1, l2)?, (s1, l1), (s2, l2))
    }

    fn bwd(
        &self,
        x: &Tensor,
        b: &Tensor,
        y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let g = if self.0 == Activation::LINEAR {
            g.clone()
        } else {
            y.apply_op2(&g.contiguous()?, ActGrad(self.0))?
        };
        Ok((tracked(x, || Ok(g.clone()))?, tracked(b, || channel_sum(&g))?))
    }
}

/// The gradient through the activation, from its result y: the sign of y is that of its input.
struct ActGrad(Activation);

impl CustomOp2 for ActGrad {
    fn name(&self) -> &'static str {
        "bias_act_grad"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (y, g) = (singles(self.name(), s1, l1)?, singles(self.name(), s2, l2)?);
        let (above, below) = (self.0.gain as f32, (self.0.gain * self.0.slope) as f32);
        let clamp = self.0.clamp.map_or(f32::INFINITY, |c| c as f32);
        let (_, _, plane) = planar(l1.shape())?;
        let mut out = vec![0f32; y.len()];
        planes(&mut out, plane, |i, dst| {
            for ((d, y), g) in dst.iter_mut().zip(&y[i * plane..]).zip(&g[i * plane..]) {
                let k = if *y > 0.0 { above } else { below };
                *d = if y.abs() >= clamp { 0.0 } else { g * k };
            }
        });
        Ok((stored(out, s1), l1.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        if l1.shape() != l2.shape() {
            bail!("bias_act_grad: gradient {:?} does not fit {:?}", l2.shape(), l1.shape());
        }
        cuda::act::bias_act_grad(self.0, (s1, l1), (s2, l2))
    }
}

/// Adds a bias to every channel, then applies the activation.
///
/// The gradient at the clamp itself is zero, at zero it is that of the slope.
///
/// # Shapes
/// x `[N, C, …]`, bias `[C]` → as x.
///
/// # Errors
/// When the bias does not fit, and for an activation that its fields forbid.
pub fn bias_act(x: &Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    activation.check("bias_act")?;
    x.contiguous()?.apply_op2(&bias.contiguous()?, BiasAct(activation))
}

/// N, C and the elements of one plane, when the factors fit.
fn scaled(l1: &Layout, l2: &Layout) -> Result<[usize; 3]> {
    let (n, c, plane) = planar(l1.shape())?;
    if l2.dims() != [n, c] {
        bail!("scale: factors {:?} do not fit {:?}", l2.shape(), l1.shape());
    }
    Ok([n, c, plane])
}

struct Scale;

impl CustomOp2 for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [n, c, plane] = scaled(l1, l2)?;
        let (x, s) = (singles(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let mut out = vec![0f32; n * c * plane];
        planes(&mut out, plane, |i, dst| {
            for (d, x) in dst.iter_mut().zip(&x[i * plane..]) {
                *d = x * s[i];
            }
        });
        Ok((stored(out, s1), l1.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::act::scale(scaled(l1, l2)?[2], (s1, l1), (s2, l2))
    }

    fn bwd(
        &self,
        x: &Tensor,
        s: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        Ok((tracked(x, || g.apply_op2(s, Self))?, tracked(s, || x.apply_op2(&g, PlaneDot))?))
    }
}

/// Scales every channel of every sample.
///
/// # Shapes
/// x `[N, C, …]`, s `[N, C]` → as x.
pub fn scale(x: &Tensor, s: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&s.contiguous()?, Scale)
}

/// Two `[N, C, …]` → `[N, C]`, the scalar product of their planes.
struct PlaneDot;

impl CustomOp2 for PlaneDot {
    fn name(&self) -> &'static str {
        "plane_dot"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, c, plane) = planar(l1.shape())?;
        let (a, b) = (singles(self.name(), s1, l1)?, singles(self.name(), s2, l2)?);
        let out = (0..n * c)
            .map(|i| {
                let (a, b) = (&a[i * plane..][..plane], &b[i * plane..][..plane]);
                sum(plane, |j| a[j] * b[j]) as f32
            })
            .collect();
        Ok((CpuStorage::F32(out), (n, c).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        if l1.shape() != l2.shape() {
            bail!("plane_dot: {:?} does not fit {:?}", l2.shape(), l1.shape());
        }
        let (n, c, plane) = planar(l1.shape())?;
        cuda::act::plane_dot([n, c, plane], (s1, l1), (s2, l2))
    }
}

/// `[N, C, …]` → `[C]`.
struct ChannelSum;

impl CustomOp1 for ChannelSum {
    fn name(&self) -> &'static str {
        "channel_sum"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, plane) = planar(layout.shape())?;
        let x = singles(self.name(), storage, layout)?;
        let mut out = vec![0f64; c];
        for i in 0..n * c {
            let x = &x[i * plane..][..plane];
            out[i % c] += sum(plane, |j| x[j]);
        }
        Ok((CpuStorage::F32(out.into_iter().map(|v| v as f32).collect()), c.into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, c, plane) = planar(layout.shape())?;
        cuda::act::channel_sum([n, c, plane], (storage, layout))
    }
}

pub(super) fn channel_sum(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(ChannelSum)
}

/// N, C and the elements of one plane, when the noise fits.
fn noisy(l1: &Layout, l2: &Layout) -> Result<[usize; 3]> {
    let (n, c, h, w) = l1.shape().dims4()?;
    let (maps, one, nh, nw) = l2.shape().dims4()?;
    if one != 1 || (nh, nw) != (h, w) || (maps != 1 && maps != n) {
        bail!("add_noise: a map {:?} does not fit {:?}", l2.shape(), l1.shape());
    }
    Ok([n, c, h * w])
}

struct AddNoise;

impl CustomOp2 for AddNoise {
    fn name(&self) -> &'static str {
        "add_noise"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [_, c, plane] = noisy(l1, l2)?;
        let maps = l2.dims()[0];
        let (x, noise) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let mut out = vec![0f32; x.len()];
        planes(&mut out, plane, |i, dst| {
            let noise = &noise[if maps == 1 { 0 } else { i / c * plane }..];
            for ((d, x), e) in dst.iter_mut().zip(&x[i * plane..]).zip(noise) {
                *d = x + e;
            }
        });
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        cuda::act::add_noise(noisy(l1, l2)?, (s1, l1), (s2, l2))
    }

    fn bwd(
        &self,
        x: &Tensor,
        noise: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dx = tracked(x, || Ok(g.clone()))?;
        let dn =
            tracked(noise, || g.contiguous()?.apply_op1(MapSum { shared: noise.dim(0)? == 1 }))?;
        Ok((dx, dn))
    }
}

/// Adds a noise map to all channels.
///
/// # Shapes
/// x `[N, C, H, W]`, noise `[N or 1, 1, H, W]` → as x.
pub fn add_noise(x: &Tensor, noise: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&noise.contiguous()?, AddNoise)
}

/// Fuses noise, bias and activation on the GPU, where the cost of an operator is a pass over
/// memory.
struct NoiseBiasAct(Activation);

impl CustomOp3 for NoiseBiasAct {
    fn name(&self) -> &'static str {
        "noise_bias_act"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if let CpuStorage::F16(_) = s1 {
            // One rounding at the end, as in the kernel.
            let x = CpuStorage::F32(singles(self.name(), s1, l1)?.into_owned());
            let (y, shape) = self.cpu_fwd(&x, &Layout::contiguous(l1.shape()), s2, l2, s3, l3)?;
            let y = f32s(self.name(), &y, &Layout::contiguous(&shape))?.to_vec();
            return Ok((stored(y, s1), shape));
        }
        let (noisy, shape) = AddNoise.cpu_fwd(s1, l1, s2, l2)?;
        BiasAct(self.0).cpu_fwd(&noisy, &Layout::contiguous(shape), s3, l3)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
        s3: &CudaStorage,
        l3: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        biased(l1, l3)?;
        cuda::act::noise_bias_act(self.0, noisy(l1, l2)?, [(s1, l1), (s2, l2), (s3, l3)])
    }

    fn bwd(
        &self,
        x: &Tensor,
        noise: &Tensor,
        b: &Tensor,
        y: &Tensor,
        g: &Tensor,
    ) -> Result<Gradients3> {
        let g = if self.0 == Activation::LINEAR {
            g.clone()
        } else {
            y.apply_op2(&g.contiguous()?, ActGrad(self.0))?
        };
        let dn =
            tracked(noise, || g.contiguous()?.apply_op1(MapSum { shared: noise.dim(0)? == 1 }))?;
        Ok((tracked(x, || Ok(g.clone()))?, dn, tracked(b, || channel_sum(&g))?))
    }
}

type Gradients3 = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

/// [`add_noise`], then [`bias_act`]: the same bits on the CPU, one pass over memory on a GPU.
///
/// # Shapes
/// x `[N, C, H, W]`, noise `[N or 1, 1, H, W]`, bias `[C]` → as x.
pub fn noise_bias_act(
    x: &Tensor,
    noise: &Tensor,
    bias: &Tensor,
    activation: Activation,
) -> Result<Tensor> {
    activation.check("noise_bias_act")?;
    x.contiguous()?.apply_op3(&noise.contiguous()?, &bias.contiguous()?, NoiseBiasAct(activation))
}

/// `[N, C, H, W]` → `[N or 1, 1, H, W]`: the sum over channels, and over samples when they share
/// the map.
struct MapSum {
    shared: bool,
}

impl CustomOp1 for MapSum {
    fn name(&self) -> &'static str {
        "map_sum"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = layout.shape().dims4()?;
        let (x, plane) = (singles(self.name(), storage, layout)?, h * w);
        let maps = if self.shared { 1 } else { n };
        let each = if self.shared { n * c } else { c };
        let mut out = vec![0f32; maps * plane];
        // One block a row: rows are independent, planes are added in order.
        planes(&mut out, w, |row, dst| {
            let (map, y) = (row / h, row % h);
            for p in map * each..(map + 1) * each {
                for (d, x) in dst.iter_mut().zip(&x[p * plane + y * w..]) {
                    *d += x;
                }
            }
        });
        Ok((CpuStorage::F32(out), (maps, 1, h, w).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, c, h, w) = layout.shape().dims4()?;
        let (maps, each) = if self.shared { (1, n * c) } else { (n, c) };
        cuda::act::map_sum([maps, each, h, w], (storage, layout))
    }
}
