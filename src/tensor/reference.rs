//! References for tests of operators: plain loops in double precision, and finite differences of
//! these.

use super::{Activation, Resample};
use crate::rng::Rng;
use candle_core::{Device, Tensor, Var};

/// A small tensor in double precision.
#[derive(Clone)]
pub(super) struct D {
    pub(super) shape: Vec<usize>,
    pub(super) v: Vec<f64>,
}

impl D {
    /// Random numbers that single precision holds exactly.
    pub(super) fn random(name: &str, shape: &[usize]) -> Self {
        let v = Rng::derive(7, name)
            .normals(shape.iter().product())
            .into_iter()
            .map(f64::from)
            .collect();
        Self { shape: shape.to_vec(), v }
    }

    pub(super) fn zeros(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), v: vec![0.0; shape.iter().product()] }
    }

    pub(super) fn at(&self, i: [usize; 4]) -> usize {
        i.iter().zip(&self.shape).fold(0, |a, (i, n)| a * n + i)
    }

    pub(super) fn tensor(&self) -> Tensor {
        let v: Vec<f32> = self.v.iter().map(|&x| x as f32).collect();
        Tensor::from_vec(v, self.shape.as_slice(), &Device::Cpu).expect("tensor")
    }
}

pub(super) fn flat(t: &Tensor) -> Vec<f64> {
    t.flatten_all()
        .and_then(|t| t.to_vec1::<f32>())
        .expect("f32")
        .into_iter()
        .map(f64::from)
        .collect()
}

pub(super) fn close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: size");
    let peak = expected.iter().fold(1e-30f64, |m, v| m.max(v.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * peak,
            "{what}: element {i} is {a}, expected {b} (peak {peak})"
        );
    }
}

pub(super) type Fast<'a> = &'a dyn Fn(&[Tensor]) -> candle_core::Result<Tensor>;
pub(super) type Naive<'a> = &'a dyn Fn(&[D]) -> D;

/// Compares values and gradients of all arguments, and the result when only some gradients are
/// requested.
pub(super) fn check(what: &str, arguments: &[D], fast: Fast<'_>, naive: Naive<'_>) {
    compare(what, arguments, fast, naive);
    gradients_of_what_is_tracked(what, arguments, fast);
}

/// Compares values and gradients of all arguments; the loss is the scalar product with fixed random
/// numbers.
pub(super) fn compare(what: &str, arguments: &[D], fast: Fast<'_>, naive: Naive<'_>) {
    let variables: Vec<Var> =
        arguments.iter().map(|a| Var::from_tensor(&a.tensor()).expect("var")).collect();
    let inputs: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
    let (found, expected) = (fast(&inputs).expect(what), naive(arguments));
    assert_eq!(found.dims(), expected.shape, "{what}: shape");
    close(&flat(&found), &expected.v, 3e-6, what);
    let probe = D::random("probe", &expected.shape);
    let loss = found.mul(&probe.tensor()).and_then(|t| t.sum_all()).expect("loss");
    let grads = loss.backward().expect("backward");
    let value = |a: &[D]| naive(a).v.iter().zip(&probe.v).map(|(a, b)| a * b).sum::<f64>();
    for (k, v) in variables.iter().enumerate() {
        let mut shifted = arguments.to_vec();
        let differences: Vec<f64> = (0..arguments[k].v.len())
            .map(|i| {
                let (x, h) = (arguments[k].v[i], 1e-6);
                let mut side = |x| {
                    shifted[k].v[i] = x;
                    value(&shifted)
                };
                let d = (side(x + h) - side(x - h)) / (2.0 * h);
                shifted[k].v[i] = x;
                d
            })
            .collect();
        close(
            &flat(grads.get(v).expect("gradient")),
            &differences,
            5e-6,
            &format!("{what}: gradient of argument {k}"),
        );
    }
}

/// Every set of tracked arguments gets the same gradients, bit for bit, and the others get none.
pub(super) fn gradients_of_what_is_tracked(what: &str, arguments: &[D], fast: Fast<'_>) {
    let all = (1 << arguments.len()) - 1;
    let run = |asked: usize| -> Vec<Option<Vec<f64>>> {
        let is = |k: usize| asked >> k & 1 == 1;
        let variables: Vec<Var> =
            arguments.iter().map(|a| Var::from_tensor(&a.tensor()).expect("var")).collect();
        let tracked = |(k, v): (usize, &Var)| {
            if is(k) { v.as_tensor().clone() } else { v.as_detached_tensor() }
        };
        let inputs: Vec<Tensor> = variables.iter().enumerate().map(tracked).collect();
        let grads =
            fast(&inputs).and_then(|t| t.sqr()?.sum_all()).and_then(|t| t.backward()).expect(what);
        inputs.iter().map(|t| grads.get(t).map(flat)).collect()
    };
    let full = run(all);
    assert!(full.iter().all(Option::is_some), "{what}: an argument without a gradient");
    for asked in 1..all {
        for (k, (found, full)) in run(asked).iter().zip(&full).enumerate() {
            let expected = full.as_ref().filter(|_| asked >> k & 1 == 1);
            assert!(
                found.as_ref() == expected,
                "{what}: gradient of argument {k} when {asked:b} is asked for"
            );
        }
    }
}

pub(super) fn naive_conv(x: &D, w: &D, stride: usize, padding: usize) -> D {
    let (k, out) = (w.shape[2], |n: usize| (n + 2 * padding - w.shape[2]) / stride + 1);
    let mut y = D::zeros(&[x.shape[0], w.shape[0], out(x.shape[2]), out(x.shape[3])]);
    each4(&y.shape.clone(), |[n, o, r, c]| {
        let mut sum = 0.0;
        each4(&[1, x.shape[1], k, k], |[_, i, ky, kx]| {
            let (iy, ix) =
                ((r * stride + ky).wrapping_sub(padding), (c * stride + kx).wrapping_sub(padding));
            if iy < x.shape[2] && ix < x.shape[3] {
                sum += x.v[x.at([n, i, iy, ix])] * w.v[w.at([o, i, ky, kx])];
            }
        });
        let at = y.at([n, o, r, c]);
        y.v[at] = sum;
    });
    y
}

pub(super) fn naive_transpose(x: &D, w: &D, stride: usize, padding: usize, extra: usize) -> D {
    let (k, out) = (w.shape[2], |n: usize| (n - 1) * stride + w.shape[2] - 2 * padding + extra);
    let mut y = D::zeros(&[x.shape[0], w.shape[1], out(x.shape[2]), out(x.shape[3])]);
    each4(&x.shape, |[n, a, r, c]| {
        each4(&[1, w.shape[1], k, k], |[_, b, ky, kx]| {
            let (oy, ox) =
                ((r * stride + ky).wrapping_sub(padding), (c * stride + kx).wrapping_sub(padding));
            if oy < y.shape[2] && ox < y.shape[3] {
                let at = y.at([n, b, oy, ox]);
                y.v[at] += x.v[x.at([n, a, r, c])] * w.v[w.at([a, b, ky, kx])];
            }
        });
    });
    y
}

/// As [`naive_resample`], with one padding for both axes.
pub(super) fn naive_fir(x: &D, taps: &D, how: Resample) -> D {
    let Resample { up, down, before, after, gain } = how;
    naive_resample(x, taps, (up, down), [before, after, before, after], gain)
}

/// Literally: insert zeros, pad or crop (left, right, above, below), convolve (flipped taps), keep
/// every `down`-th.
pub(super) fn naive_resample(
    x: &D,
    taps: &D,
    (up, down): (usize, usize),
    padding: [isize; 4],
    gain: f64,
) -> D {
    let (th, tw) = (taps.shape[2], taps.shape[3]);
    let [left, right, above, below] = padding;
    let full = |n: usize, padding: isize| ((n * up) as isize + padding) as usize;
    let (fh, fw) = (full(x.shape[2], above + below), full(x.shape[3], left + right));
    let mut y = D::zeros(&[x.shape[0], x.shape[1], (fh - th) / down + 1, (fw - tw) / down + 1]);
    let plane = x.shape[2] * x.shape[3];
    // The pixel under place `at` of the padded line, if it is one and no zero between two.
    let under = |at: usize, before: isize, n: usize| {
        let at = usize::try_from(at as isize - before).ok()?;
        (at.is_multiple_of(up) && at / up < n).then_some(at / up)
    };
    each4(&y.shape.clone(), |[n, c, r, q]| {
        let x_plane = &x.v[(n * x.shape[1] + c) * plane..][..plane];
        let mut sum = 0.0;
        for ty in 0..th {
            let Some(row) = under(r * down + ty, above, x.shape[2]) else { continue };
            for tx in 0..tw {
                let Some(column) = under(q * down + tx, left, x.shape[3]) else { continue };
                sum +=
                    taps.v[(th - 1 - ty) * tw + tw - 1 - tx] * x_plane[row * x.shape[3] + column];
            }
        }
        let at = y.at([n, c, r, q]);
        y.v[at] = sum * gain;
    });
    y
}

pub(super) fn each4(shape: &[usize], mut f: impl FnMut([usize; 4])) {
    let [a, b, c, d] = shape else { panic!("four dimensions, got {shape:?}") };
    for i in 0..a * b * c * d {
        f([i / (b * c * d), i / (c * d) % b, i / d % c, i % d]);
    }
}

/// An activation, as defined.
pub(super) fn naive_act(v: f64, activation: Activation) -> f64 {
    let clamp = activation.clamp.unwrap_or(f64::INFINITY);
    (if v > 0.0 { v } else { v * activation.slope } * activation.gain).clamp(-clamp, clamp)
}
