//! The engine against plain loops in double precision, for every instruction set that this
//! processor has.

use super::Stack;
use super::buffer::{Map, blocks_of};
use super::conv::{Conv, Form, Packed};
use super::driver;
use super::finish::Finish;
use super::isa::Isa;
use super::lanes::LANES;
use crate::Activation;
use crate::rng::Rng;
use candle_core::{Device, Tensor, Var};
use std::sync::Arc;

pub(super) fn sets() -> impl Iterator<Item = Isa> {
    Isa::EXACT.into_iter().filter(|isa| {
        let there = isa.available();
        if !there {
            eprintln!("skipped: this processor has no {}", isa.name());
        }
        there
    })
}

pub(super) fn random(name: &str, n: usize) -> Vec<f32> {
    Rng::derive(11, name).normals(n)
}

/// The root mean square of the differences, relative to that of the expected numbers.
pub(super) fn distance(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let of = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>();
    let wrong = of(&mut found.iter().zip(expected).map(|(a, b)| f64::from(*a) - b));
    (wrong / of(&mut expected.iter().copied()).max(1e-300)).sqrt()
}

/// Planes in double precision, `[C, H, W]`.
#[derive(Clone)]
pub(super) struct Planes {
    pub(super) c: usize,
    pub(super) h: usize,
    pub(super) w: usize,
    pub(super) v: Vec<f64>,
}

impl Planes {
    pub(super) fn zeros(c: usize, h: usize, w: usize) -> Self {
        Self { c, h, w, v: vec![0.0; c * h * w] }
    }

    /// 0 outside.
    pub(super) fn at(&self, c: usize, y: isize, x: isize) -> f64 {
        let inside = y >= 0 && x >= 0 && (y as usize) < self.h && (x as usize) < self.w;
        if inside { self.v[(c * self.h + y as usize) * self.w + x as usize] } else { 0.0 }
    }
}

/// `out[o, y, x] = Σ in[i, y·num/den…]`: every form written as a sum over input pixels and taps.
pub(super) fn convolve(
    form: Form,
    x: &Planes,
    w: &[f64],
    o: usize,
    (h, width): (usize, usize),
) -> Planes {
    let mut out = Planes::zeros(o, h, width);
    for oc in 0..o {
        for y in 0..h as isize {
            for xx in 0..width as isize {
                let mut sum = 0.0;
                for ic in 0..x.c {
                    for a in 0..3isize {
                        for b in 0..3isize {
                            // The input pixel that tap (a, b) brings to this output, if there is
                            // one.
                            let from = |at: isize, tap: isize| match form {
                                Form::Same => Some(at + tap - 1),
                                Form::SameBack => Some(at - tap + 1),
                                Form::Up => (at - tap).rem_euclid(2).eq(&0).then(|| (at - tap) / 2),
                                Form::UpBack => Some(2 * at + tap),
                                Form::Half => Some(2 * at + tap - 1),
                                Form::HalfBack => {
                                    (at - tap + 1).rem_euclid(2).eq(&0).then(|| (at - tap + 1) / 2)
                                }
                            };
                            if let (Some(fy), Some(fx)) = (from(y, a), from(xx, b)) {
                                let (fy, fx) = if at_negative(form, y, a, xx, b) {
                                    (-1, -1)
                                } else {
                                    (fy, fx)
                                };
                                sum += x.at(ic, fy, fx)
                                    * w[(oc * x.c + ic) * 9 + (a * 3 + b) as usize];
                            }
                        }
                    }
                }
                out.v[(oc * h + y as usize) * width + xx as usize] = sum;
            }
        }
    }
    out
}

/// Whether halving a negative number would round towards zero and hit a pixel.
fn at_negative(form: Form, y: isize, a: isize, x: isize, b: isize) -> bool {
    match form {
        Form::Up => y < a || x < b,
        Form::HalfBack => y + 1 < a || x + 1 < b,
        _ => false,
    }
}

/// Every form at small sizes, where every product is made; at sizes of some tiles, with and without
/// a remainder; with more channels than are transformed at a time; and with so many tiles that the
/// weights stay in the cache and the inputs are streamed.
#[test]
fn every_form_of_the_convolution() {
    let channels: [(usize, usize, usize); 4] = [(1, 3, 5), (2, 16, 16), (1, 17, 33), (3, 40, 20)];
    let small: [(usize, usize); 6] = [(1, 1), (4, 4), (5, 7), (9, 3), (8, 20), (16, 13)];
    let mut cases: Vec<_> =
        channels.into_iter().flat_map(|c| small.map(|size| (c, size))).collect();
    cases.extend([((1, 150, 33), (12, 16)), ((1, 70, 20), (48, 44)), ((1, 3, 5), (190, 194))]);
    for (channels, (h, w)) in cases {
        for form in [Form::Same, Form::SameBack, Form::Up, Form::UpBack, Form::Half, Form::HalfBack]
        {
            let sizes = match form {
                Form::Same | Form::SameBack => ((h, w), (h, w)),
                Form::Up => ((h, w), (2 * h + 1, 2 * w + 1)),
                Form::UpBack => ((2 * h + 1, 2 * w + 1), (h, w)),
                Form::Half => ((h, w), (h.div_ceil(2), w.div_ceil(2))),
                Form::HalfBack => ((h.div_ceil(2), w.div_ceil(2)), (h, w)),
            };
            check(form, channels, sizes);
        }
    }
}

/// One form for samples, inputs and outputs, from a size to a size.
fn check(
    form: Form,
    (n, i, o): (usize, usize, usize),
    ((ih, iw), (oh, ow)): ((usize, usize), (usize, usize)),
) {
    let (x, weight) = (random("x", n * i * ih * iw), random("w", o * i * 9));
    let packed = Packed::new((o, i), form, |out, inp, tap| weight[(out * i + inp) * 9 + tap]);
    let map = Map::from_planar(&x, (n, i, ih, iw));
    let style = random("style", n * blocks_of(i) * LANES);
    let w64: Vec<f64> = weight.iter().map(|v| f64::from(*v)).collect();
    let mut expected = Vec::new();
    for (s, x) in x.chunks_exact(i * ih * iw).enumerate() {
        let factor = |at: usize| f64::from(style[s * blocks_of(i) * LANES + at / (ih * iw)]);
        let v = x.iter().enumerate().map(|(at, v)| f64::from(*v) * factor(at)).collect();
        expected.extend(convolve(form, &Planes { c: i, h: ih, w: iw, v }, &w64, o, (oh, ow)).v);
    }
    for isa in sets() {
        let mut out = Map::new(n, o, oh, ow);
        let finish = Finish::Plain;
        let conv = Conv { isa, weights: &packed, x: &map, style: Some(&style), finish };
        driver::run(&conv, &mut out);
        let d = distance(&out.to_planar(), &expected);
        assert!(d <= 1e-5, "{} {form:?} {n}x{i}->{o} {ih}x{iw}: {d:.1e}", isa.name());
    }
}

#[test]
#[should_panic(expected = "output")]
fn a_map_of_another_size_is_refused() {
    let packed = Packed::new((3, 3), Form::Up, |_, _, _| 1.0);
    let conv = Conv {
        isa: Isa::Portable,
        weights: &packed,
        x: &Map::new(1, 3, 4, 4),
        style: None,
        finish: Finish::Plain,
    };
    driver::run(&conv, &mut Map::new(1, 3, 8, 8));
}

/// All maps of a stack with strides 1 and 2, at sizes that 2 does not divide, and their gradients.
#[test]
fn a_stack_and_its_gradients() {
    let channels = [5, 20, 7, 33];
    let strides = [1, 2, 2];
    let (n, h, w) = (2, 11, 14);
    let weights: Vec<Vec<f32>> =
        (0..3).map(|k| random(&format!("w{k}"), channels[k + 1] * channels[k] * 9)).collect();
    let biases: Vec<Vec<f32>> = (0..3).map(|k| random(&format!("b{k}"), channels[k + 1])).collect();
    let x = random("x", n * channels[0] * h * w);
    let wide = |v: &[f32]| v.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let look = |x: &[f64]| -> Vec<f64> {
        let mut all = Vec::new();
        for x in x.chunks_exact(channels[0] * h * w) {
            let mut x = Planes { c: channels[0], h, w, v: x.to_vec() };
            for k in 0..3 {
                let form = if strides[k] == 1 { Form::Same } else { Form::Half };
                let size = (x.h.div_ceil(strides[k]), x.w.div_ceil(strides[k]));
                x = convolve(form, &x, &wide(&weights[k]), channels[k + 1], size);
                for (at, v) in x.v.iter_mut().enumerate() {
                    let sum = *v + f64::from(biases[k][at / (x.h * x.w)]);
                    *v = if sum > 0.0 { sum } else { 0.1 * sum };
                }
                all.extend(&x.v);
            }
        }
        all
    };
    let expected = look(&wide(&x));
    let probe = wide(&random("probe", expected.len()));
    let loss = |x: &[f64]| look(x).iter().zip(&probe).map(|(a, b)| a * b).sum::<f64>();
    let picked: Vec<usize> = (0..x.len()).step_by(37).collect();
    let slopes: Vec<f64> = picked
        .iter()
        .map(|&at| {
            let moved = |by: f64| {
                let mut x = wide(&x);
                x[at] += by;
                loss(&x)
            };
            (moved(1e-5) - moved(-1e-5)) / 2e-5
        })
        .collect();
    let tensor = |v: &[f32], shape: &[usize]| {
        Tensor::from_vec(v.to_vec(), shape, &Device::Cpu).expect("tensor")
    };
    let parts: Vec<(Tensor, Tensor)> = (0..3)
        .map(|k| {
            (
                tensor(&weights[k], &[channels[k + 1], channels[k], 3, 3]),
                tensor(&biases[k], &[channels[k + 1]]),
            )
        })
        .collect();
    let convs: Vec<_> = parts.iter().zip(strides).map(|((w, b), s)| (w, b, s)).collect();
    let activation = Activation { slope: 0.1, gain: 1.0, clamp: None };
    for isa in sets() {
        let stack =
            Arc::new(Stack::for_isa(isa, &convs, activation).expect("stack").expect("supported"));
        let x = Var::from_tensor(&tensor(&x, &[n, channels[0], h, w])).expect("var");
        let maps = stack.maps(&x, true).expect("maps");
        let flat: Vec<Tensor> = maps.iter().map(|m| m.flatten_from(1).expect("flat")).collect();
        let flat = Tensor::cat(&flat, 1).expect("all");
        let numbers =
            |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers");
        let d = distance(&numbers(&flat), &expected);
        assert!(d <= 1e-5, "{}: maps {d:.1e}", isa.name());
        let weights: Vec<f32> = probe.iter().map(|v| *v as f32).collect();
        let loss =
            flat.mul(&tensor(&weights, flat.dims())).and_then(|l| l.sum_all()).expect("loss");
        let grads = loss.backward().expect("backward");
        let g = numbers(grads.get(&x).expect("gradient"));
        let found: Vec<f32> = picked.iter().map(|&at| g[at]).collect();
        let d = distance(&found, &slopes);
        assert!(d <= 1e-4, "{}: gradients {d:.1e}", isa.name());
        let last = stack.maps(&x, false).expect("last");
        assert_eq!(numbers(&last[0]), numbers(&maps[2]), "{}: the last map alone", isa.name());
        let gradient = |y: &Tensor| {
            let grads =
                y.sqr().and_then(|l| l.sum_all()).and_then(|l| l.backward()).expect("backward");
            numbers(grads.get(&x).expect("gradient"))
        };
        // The second asks a graph whose maps the gradients above have used up.
        let (alone, again) = (gradient(&last[0]), wide(&gradient(&maps[2])));
        assert!(distance(&alone, &again) <= 1e-6, "{}: the last map's gradient", isa.name());
    }
}
