//! Softplus, `ln(1 + eˣ)`, as torch has it: the input itself above 20.

use super::conv::tracked;
use super::raw::{f32s, planes};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};

/// Inputs above this are returned as they are (torch's threshold).
const THRESHOLD: f32 = 20.0;
/// Elements that one thread takes at a time.
const BLOCK: usize = 4096;

/// `f` of every element, on all threads.
fn mapped(x: &[f32], f: impl Fn(usize) -> f32 + Sync + Send) -> CpuStorage {
    let mut out = vec![0f32; x.len()];
    planes(&mut out, BLOCK, |part, dst| {
        dst.iter_mut().enumerate().for_each(|(i, d)| *d = f(part * BLOCK + i));
    });
    CpuStorage::F32(out)
}

struct Softplus;

impl CustomOp1 for Softplus {
    fn name(&self) -> &'static str {
        "softplus"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = f32s(self.name(), storage, layout)?;
        let y = mapped(x, |i| if x[i] > THRESHOLD { x[i] } else { x[i].exp().ln_1p() });
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        tracked(x, || x.apply_op2(&g.contiguous()?, SoftplusGrad))
    }
}

/// The input and the gradient of the result → the gradient of the input: the logistic function.
struct SoftplusGrad;

impl CustomOp2 for SoftplusGrad {
    fn name(&self) -> &'static str {
        "softplus_grad"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, g) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let dx = mapped(x, |i| if x[i] > THRESHOLD { g[i] } else { g[i] / (1.0 + (-x[i]).exp()) });
        Ok((dx, l1.shape().clone()))
    }
}

/// `ln(1 + eˣ)`, element by element.
///
/// # Shapes
/// Any → as x.
///
/// # Errors
/// When the device fails.
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    let x = x.contiguous()?;
    if x.device().is_cpu() {
        return x.apply_op1(Softplus);
    }
    // max(x, 0) + ln(1 + e^−|x|) overflows nowhere.
    x.relu()? + x.abs()?.neg()?.exp()?.affine(1.0, 1.0)?.log()?
}

#[cfg(test)]
mod tests {
    use super::super::reference::{D, check, close, flat};
    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        let naive = |a: &[D]| D {
            shape: a[0].shape.clone(),
            v: a[0].v.iter().map(|x| x.exp().ln_1p()).collect(),
        };
        for shape in [&[7][..], &[3, 5000]] {
            let x = D::random("x", shape);
            let small = D { shape: vec![7], v: x.v[..7].to_vec() };
            check("softplus", &[small], &|a| softplus(&a[0]), &naive);
            close(
                &flat(&softplus(&x.tensor()).expect("softplus")),
                &naive(std::slice::from_ref(&x)).v,
                1e-6,
                "many",
            );
        }
        let ends = D { shape: vec![4], v: vec![-200.0, 0.0, 30.0, 1e30] };
        let found = flat(&softplus(&ends.tensor()).expect("softplus"));
        assert_eq!(found, [0.0, f64::from(2f32.ln()), 30.0, f64::from(1e30f32)]);
    }
}
