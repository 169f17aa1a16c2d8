//! Batch normalisation with fixed statistics, as generators run it: an affine map of every channel,
//! which a convolution before it can take in (Ioffe and Szegedy 2015; conditional: de Vries et al.
//! 2017, as in BigGAN).

use super::act::{Activation, bias_act, scale};
use candle_core::{Result, Tensor, bail};

/// The statistics of a batch normalisation, fixed.
#[derive(Clone, Debug)]
pub struct FixedNorm {
    mean: Tensor,
    /// `1/√(var + eps)`.
    factor: Tensor,
}

/// Affine map of every channel: `scale · x + shift`, both `[C]`, or `[N, C]` for a map per sample.
#[derive(Clone, Debug)]
pub struct Affine {
    /// The factors.
    pub scale: Tensor,
    /// Added after scaling.
    pub shift: Tensor,
}

impl FixedNorm {
    /// Builds the map from mean and variance `[C]`, constants.
    ///
    /// # Errors
    /// When the shapes differ, and for a variance that `eps` does not make positive.
    pub fn new(mean: &Tensor, var: &Tensor, eps: f64) -> Result<Self> {
        let c = mean.dims1()?;
        if var.dims() != [c] {
            bail!("batch norm: mean {:?} and variance {:?} do not fit", mean.shape(), var.shape());
        }
        let shifted = (var + eps)?;
        let numbers = shifted.to_vec1::<f32>()?;
        if let Some(at) = numbers.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
            bail!(
                "batch norm: variance {} of channel {at} (with eps {eps}) is not above zero",
                numbers[at]
            );
        }
        Ok(Self { mean: mean.clone(), factor: shifted.sqrt()?.recip()? })
    }

    /// Includes the gain and bias that follow the normalisation: `gain · (x − mean)/√(var + eps) +
    /// bias`.
    ///
    /// # Shapes
    /// gain, bias `[C]`, or `[N, C]` for the conditional norm.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn affine(&self, gain: &Tensor, bias: &Tensor) -> Result<Affine> {
        if gain.dims() != bias.dims()
            || gain.rank() > 2
            || gain.dims().last() != self.mean.dims().last()
        {
            let (gain, bias) = (gain.shape(), bias.shape());
            bail!(
                "batch norm: gain {gain:?} and bias {bias:?} do not fit {:?} channels",
                self.mean.shape()
            );
        }
        let scale = gain.broadcast_mul(&self.factor)?;
        let shift = (bias - scale.broadcast_mul(&self.mean)?)?;
        Ok(Affine { scale, shift })
    }
}

impl Affine {
    /// Folds it into the layer before it: weight and bias whose result is this map of what the old
    /// ones gave. `outputs` is the axis of the weight that counts its outputs: 0 of a convolution
    /// and a fully connected layer, 1 of a transposed convolution. Gradients flow to all that is
    /// tracked.
    ///
    /// # Shapes
    /// Folds the map of `[C]` into a layer: weight unchanged, bias `[C]` or `None` → the same, bias
    /// `[C]`.
    ///
    /// # Errors
    /// When the shapes do not fit; what differs from sample to sample cannot be folded.
    pub fn fold(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        outputs: usize,
    ) -> Result<(Tensor, Tensor)> {
        let c = self.scale.elem_count();
        if self.scale.rank() != 1 || outputs > 1 || weight.rank() < 2 || weight.dim(outputs)? != c {
            let (scale, weight) = (self.scale.shape(), weight.shape());
            bail!(
                "batch norm: factors {scale:?} cannot be folded into axis {outputs} of a weight \
                 {weight:?}"
            );
        }
        // Its own operator: it gives a frozen weight no gradient.
        let folded = match outputs {
            0 => scale(&weight.unsqueeze(0)?, &self.scale.unsqueeze(0)?)?.squeeze(0)?,
            _ => scale(weight, &self.scale.broadcast_as((weight.dim(0)?, c))?)?,
        };
        let shift = match bias {
            Some(bias) => ((bias * &self.scale)? + &self.shift)?,
            None => self.shift.clone(),
        };
        Ok((folded, shift))
    }

    /// The map itself, then an activation.
    ///
    /// # Shapes
    /// x `[N, C, …]` → as x.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn apply(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let [n, c, ..] = *x.dims() else {
            bail!("batch norm: expected [N, C, ...], found {:?}", x.shape())
        };
        if self.scale.rank() == 1 {
            let factors = self.scale.broadcast_as((n, self.scale.elem_count()))?;
            return bias_act(&scale(x, &factors)?, &self.shift, activation);
        }
        // One bias for each plane: planes as channels of one sample.
        let mut planes = x.dims().to_vec();
        (planes[0], planes[1]) = (1, n * c);
        let y = bias_act(
            &scale(x, &self.scale)?.reshape(planes)?,
            &self.shift.flatten_all()?,
            activation,
        )?;
        y.reshape(x.shape())
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::{D, Fast, compare, naive_act, naive_conv, naive_transpose};
    use super::super::{conv_transpose2d, conv2d, linear};
    use super::*;

    const EPS: f64 = 1e-4;

    /// Mean and variance of five channels.
    fn statistics() -> [D; 2] {
        let v = D::random("var", &[5]).v.into_iter().map(|v| f64::from((v * v) as f32)).collect();
        [D::random("mean", &[5]), D { shape: vec![5], v }]
    }

    fn norm() -> FixedNorm {
        let [mean, var] = statistics();
        FixedNorm::new(&mean.tensor(), &var.tensor(), EPS).expect("norm")
    }

    /// `gain · (y + b − mean)/√(var + eps) + bias`, then the activation; gain and bias of samples,
    /// or of all.
    fn naive(y: &D, b: &D, gain: &D, bias: &D, activation: Activation) -> D {
        let ([mean, var], plane) = (statistics(), y.shape[2..].iter().product::<usize>());
        let one = |(at, y): (usize, &f64)| {
            let (c, own) = (at / plane % 5, at / plane % gain.v.len());
            let x = (y + b.v[c] - mean.v[c]) / (var.v[c] + EPS).sqrt();
            naive_act(gain.v[own] * x + bias.v[own], activation)
        };
        D { shape: y.shape.clone(), v: y.v.iter().enumerate().map(one).collect() }
    }

    #[test]
    fn folded_into_the_layer_before() {
        let last = |w: &[usize]| {
            ["w", "b", "gain", "bias"].map(|n| D::random(n, if n == "w" { w } else { &[5] }))
        };
        let case = |what: &str,
                    x: &[usize],
                    w: &[usize],
                    outputs: usize,
                    run: &dyn Fn(&Tensor, &Tensor) -> Result<Tensor>,
                    naive_run: &dyn Fn(&D, &D) -> D| {
            let arguments: Vec<D> = std::iter::once(D::random("x", x)).chain(last(w)).collect();
            let fast: Fast<'_> = &|a| {
                let (w, b) = norm().affine(&a[3], &a[4])?.fold(&a[1], Some(&a[2]), outputs)?;
                bias_act(&run(&a[0], &w)?, &b, Activation::LRELU)
            };
            compare(what, &arguments, fast, &|a| {
                naive(&naive_run(&a[0], &a[1]), &a[2], &a[3], &a[4], Activation::LRELU)
            });
        };
        case("conv", &[2, 3, 4, 5], &[5, 3, 3, 3], 0, &|x, w| conv2d(x, w, 1, 1), &|x, w| {
            naive_conv(x, w, 1, 1)
        });
        case(
            "transposed",
            &[2, 3, 3, 4],
            &[3, 5, 4, 4],
            1,
            &|x, w| conv_transpose2d(x, w, 2, 1),
            &|x, w| naive_transpose(x, w, 2, 1, 0),
        );
        case("linear", &[2, 7], &[5, 7], 0, &|x, w| linear(x, w), &|x, w| {
            let at = |i: usize| (0..7).map(|k| x.v[i / 5 * 7 + k] * w.v[i % 5 * 7 + k]).sum();
            D { shape: vec![2, 5], v: (0..10).map(at).collect() }
        });
    }

    #[test]
    fn applied_to_a_map() {
        let relu = Activation { slope: 0.0, gain: 1.0, clamp: None };
        let none = D::zeros(&[5]);
        for shape in [&[5usize][..], &[3, 5]] {
            for x in [&[3usize, 5, 3, 4][..], &[3, 5]] {
                let arguments =
                    [D::random("x", x), D::random("gain", shape), D::random("bias", shape)];
                let fast: Fast<'_> = &|a| norm().affine(&a[1], &a[2])?.apply(&a[0], relu);
                compare("affine", &arguments, fast, &|a| naive(&a[0], &none, &a[1], &a[2], relu));
            }
        }
        // Without a previous bias, folding gives the shift alone.
        let t = |shape: &[usize]| D::random("t", shape).tensor();
        let affine = norm().affine(&t(&[5]), &t(&[5])).expect("affine");
        let (_, bias) = affine.fold(&t(&[5, 2, 3, 3]), None, 0).expect("fold");
        assert_eq!(
            bias.to_vec1::<f32>().expect("bias"),
            affine.shift.to_vec1::<f32>().expect("shift")
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let t = |shape: &[usize]| D::random("t", shape).tensor();
        let of = |var: &[f32], eps| {
            FixedNorm::new(&t(&[2]), &Tensor::new(var, &candle_core::Device::Cpu)?, eps)
        };
        assert!(of(&[1.0, 0.0], 1e-5).is_ok());
        assert!(
            of(&[1.0], 1e-5).is_err()
                && of(&[1.0, -1.0], 1e-5).is_err()
                && of(&[f32::NAN, 1.0], 1e-5).is_err()
        );
        assert!(of(&[0.0, 1.0], 0.0).is_err_and(|e| e.to_string().contains("channel 0")));
        for (gain, bias) in [
            (&[4][..], &[4][..]),
            (&[5], &[2, 5]),
            (&[2, 4], &[2, 4]),
            (&[1, 2, 5], &[1, 2, 5]),
            (&[], &[]),
        ] {
            assert!(norm().affine(&t(gain), &t(bias)).is_err(), "{gain:?} {bias:?}");
        }
        let (one, own) = (
            norm().affine(&t(&[5]), &t(&[5])).unwrap(),
            norm().affine(&t(&[2, 5]), &t(&[2, 5])).unwrap(),
        );
        assert!(
            one.fold(&t(&[3, 5, 4, 4]), None, 0).is_err()
                && one.fold(&t(&[3, 5, 4, 4]), None, 1).is_ok(),
            "axis"
        );
        assert!(
            one.fold(&t(&[5, 3]), Some(&t(&[3])), 0).is_err()
                && one.fold(&t(&[2, 2, 5]), None, 2).is_err()
        );
        assert!(
            own.fold(&t(&[5, 3]), None, 0).is_err_and(|e| e.to_string().contains("folded")),
            "of samples"
        );
        assert!(own.apply(&t(&[3, 5, 2, 2]), Activation::LRELU).is_err(), "samples");
        assert!(
            one.apply(&t(&[3, 4, 2, 2]), Activation::LRELU).is_err()
                && one.apply(&t(&[5]), Activation::LRELU).is_err()
        );
    }
}
