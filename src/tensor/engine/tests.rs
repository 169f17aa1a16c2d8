//! The engine against plain loops in double precision, for every instruction set that this processor has.

use super::buffer::{Map, blocks_of};
use super::conv::{Conv, Form, Packed};
use super::finish::Finish;
use super::simd::{Isa, LANES};
use super::{Network, RgbConv, Stack, Stage, StyledConv};
use crate::rng::Rng;
use crate::tensor::{Activation, Filter};
use candle_core::{Device, Tensor, Var};
use std::sync::Arc;

fn sets() -> impl Iterator<Item = Isa> {
    Isa::EXACT.into_iter().filter(|isa| {
        let there = isa.available();
        if !there {
            eprintln!("skipped: this processor has no {}", isa.name());
        }
        there
    })
}

fn random(name: &str, n: usize) -> Vec<f32> {
    Rng::derive(11, name).normals(n)
}

/// The root mean square of the differences, relative to that of the expected numbers.
fn distance(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let of = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>();
    let wrong = of(&mut found.iter().zip(expected).map(|(a, b)| f64::from(*a) - b));
    (wrong / of(&mut expected.iter().copied()).max(1e-300)).sqrt()
}

/// Planes in double precision, `[C, H, W]`.
#[derive(Clone)]
struct Planes {
    c: usize,
    h: usize,
    w: usize,
    v: Vec<f64>,
}

impl Planes {
    fn zeros(c: usize, h: usize, w: usize) -> Self {
        Self { c, h, w, v: vec![0.0; c * h * w] }
    }

    /// 0 outside.
    fn at(&self, c: usize, y: isize, x: isize) -> f64 {
        let inside = y >= 0 && x >= 0 && (y as usize) < self.h && (x as usize) < self.w;
        if inside { self.v[(c * self.h + y as usize) * self.w + x as usize] } else { 0.0 }
    }
}

/// `out[o, y, x] = Σ in[i, y·num/den…]`: every form written as a sum over input pixels and taps.
fn convolve(form: Form, x: &Planes, w: &[f64], o: usize, (h, width): (usize, usize)) -> Planes {
    let mut out = Planes::zeros(o, h, width);
    for oc in 0..o {
        for y in 0..h as isize {
            for xx in 0..width as isize {
                let mut sum = 0.0;
                for ic in 0..x.c {
                    for a in 0..3isize {
                        for b in 0..3isize {
                            // The input pixel that tap (a, b) brings to this output, if there is one.
                            let from = |at: isize, tap: isize| match form {
                                Form::Same => Some(at + tap - 1),
                                Form::SameBack => Some(at - tap + 1),
                                Form::Up => (at - tap).rem_euclid(2).eq(&0).then(|| (at - tap) / 2),
                                Form::UpBack => Some(2 * at + tap),
                                Form::Half => Some(2 * at + tap - 1),
                                Form::HalfBack => (at - tap + 1).rem_euclid(2).eq(&0).then(|| (at - tap + 1) / 2),
                            };
                            if let (Some(fy), Some(fx)) = (from(y, a), from(xx, b)) {
                                let (fy, fx) = if at_negative(form, y, a, xx, b) { (-1, -1) } else { (fy, fx) };
                                sum += x.at(ic, fy, fx) * w[(oc * x.c + ic) * 9 + (a * 3 + b) as usize];
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

/// Every form at small sizes, where every product is made; at sizes of some tiles, with and without an edge that they leave;
/// with more channels than are transformed at a time; and with so many tiles that the weights stay and the inputs come by.
#[test]
fn every_form_of_the_convolution() {
    let channels: [(usize, usize, usize); 4] = [(1, 3, 5), (2, 16, 16), (1, 17, 33), (3, 40, 20)];
    let small: [(usize, usize); 6] = [(1, 1), (4, 4), (5, 7), (9, 3), (8, 20), (16, 13)];
    let mut cases: Vec<_> = channels.into_iter().flat_map(|c| small.map(|size| (c, size))).collect();
    cases.extend([((1, 150, 33), (12, 16)), ((1, 70, 20), (48, 44)), ((1, 3, 5), (190, 194))]);
    for (channels, (h, w)) in cases {
        for form in [Form::Same, Form::SameBack, Form::Up, Form::UpBack, Form::Half, Form::HalfBack] {
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
fn check(form: Form, (n, i, o): (usize, usize, usize), ((ih, iw), (oh, ow)): ((usize, usize), (usize, usize))) {
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
        Conv { isa, weights: &packed, x: &map, style: Some(&style), finish: Finish::Plain }.run(&mut out);
        let d = distance(&out.to_planar(), &expected);
        assert!(d <= 1e-5, "{} {form:?} {n}x{i}->{o} {ih}x{iw}: {d:.1e}", isa.name());
    }
}

#[test]
#[should_panic(expected = "output")]
fn a_map_of_another_size_is_refused() {
    let packed = Packed::new((3, 3), Form::Up, |_, _, _| 1.0);
    let conv =
        Conv { isa: Isa::Portable, weights: &packed, x: &Map::new(1, 3, 4, 4), style: None, finish: Finish::Plain };
    conv.run(&mut Map::new(1, 3, 8, 8));
}

/// A layer in double precision.
struct Layer {
    i: usize,
    o: usize,
    up: bool,
    w: Vec<f64>,
    bias: Vec<f64>,
}

/// A small network: a constant of 4×4, convolutions, and a toRGB a stage.
struct Small {
    constant: Vec<f64>,
    stages: Vec<(Vec<Layer>, Vec<f64>, Vec<f64>)>,
    channels: Vec<usize>,
    clamp: Option<f64>,
}

const GAIN: f64 = std::f64::consts::SQRT_2;

impl Small {
    fn new(channels: &[usize], clamp: Option<f64>) -> Self {
        let wide = |name: &str, n: usize| random(name, n).into_iter().map(f64::from).collect::<Vec<f64>>();
        let mut stages = Vec::new();
        for (k, &o) in channels.iter().enumerate() {
            let mut layers = Vec::new();
            let mut layer = |i: usize, up: bool| {
                let w = wide(&format!("w{k}{up}"), o * i * 9);
                layers.push(Layer { i, o, up, w, bias: wide(&format!("b{k}{up}"), o) });
            };
            if k > 0 {
                layer(channels[k - 1], true);
            }
            layer(o, false);
            stages.push((layers, wide(&format!("rgb{k}"), 3 * o), wide(&format!("rb{k}"), 3)));
        }
        Self { constant: wide("constant", channels[0] * 16), stages, channels: channels.to_vec(), clamp }
    }

    fn styles(&self) -> usize {
        self.stages.iter().map(|(l, ..)| l.iter().map(|l| l.i).sum::<usize>()).sum::<usize>()
            + self.channels.iter().sum::<usize>()
    }

    fn noise(&self) -> usize {
        self.stages.iter().enumerate().map(|(k, (l, ..))| l.len() * (4 << k) * (4 << k)).sum()
    }

    /// The same on the engine, prepared for a set.
    fn build(&self, isa: Isa) -> Arc<Network> {
        let t = |v: &[f64], shape: &[usize]| {
            Tensor::from_vec(v.iter().map(|x| *x as f32).collect::<Vec<_>>(), shape, &Device::Cpu).expect("tensor")
        };
        let filter = Filter::new(&[1.0, 3.0, 3.0, 1.0]).expect("filter");
        let tensors: Vec<_> = self
            .stages
            .iter()
            .zip(&self.channels)
            .map(|((layers, rgb, bias), c)| {
                let convs: Vec<_> =
                    layers.iter().map(|l| (t(&l.w, &[l.o, l.i, 3, 3]), t(&l.bias, &[l.o]), l.up)).collect();
                (convs, t(rgb, &[3, *c, 1, 1]), t(bias, &[3]))
            })
            .collect();
        let activation = Activation { clamp: self.clamp, ..Activation::LRELU };
        let stages: Vec<Stage<'_>> = tensors
            .iter()
            .map(|(convs, rgb, bias)| Stage {
                convs: convs
                    .iter()
                    .map(|(weight, bias, up)| StyledConv {
                        weight,
                        bias,
                        up: up.then_some(&filter),
                        activation,
                        noise: true,
                    })
                    .collect(),
                rgb: Some(RgbConv { weight: rgb, bias, gain: 0.5, clamp: self.clamp }),
            })
            .collect();
        let constant = t(&self.constant, &[self.channels[0], 4, 4]);
        Arc::new(Network::for_isa(isa, &constant, &stages, &filter).expect("network").expect("supported"))
    }

    /// The picture of one sample.
    fn picture(&self, styles: &[f64], noise: &[f64]) -> Vec<f64> {
        let (mut s, mut e) = (styles, noise);
        let mut x = Planes { c: self.channels[0], h: 4, w: 4, v: self.constant.clone() };
        let mut picture = Planes::zeros(3, 4, 4);
        let clamp = self.clamp.unwrap_or(f64::INFINITY);
        for (k, (layers, rgb, bias)) in self.stages.iter().enumerate() {
            for l in layers {
                let style = split(&mut s, l.i);
                let map = split(&mut e, (4 << k) * (4 << k));
                x = l.run(&x, style, map, clamp);
            }
            if k > 0 {
                picture = doubled(&picture);
            }
            let style = split(&mut s, x.c);
            for (k, bias) in bias.iter().enumerate() {
                for p in 0..x.h * x.w {
                    let sum: f64 =
                        (0..x.c).map(|c| rgb[k * x.c + c] * 0.5 * style[c] * x.v[c * x.h * x.w + p]).sum::<f64>()
                            + bias;
                    picture.v[k * x.h * x.w + p] += sum.clamp(-clamp, clamp);
                }
            }
        }
        picture.v
    }
}

fn split<'a>(v: &mut &'a [f64], n: usize) -> &'a [f64] {
    let (first, rest) = v.split_at(n);
    *v = rest;
    first
}

/// `[1, 3, 3, 1] / 4` along both axes of an image with zeros between its pixels.
fn doubled(x: &Planes) -> Planes {
    let mut z = Planes::zeros(x.c, 2 * x.h, 2 * x.w);
    for c in 0..x.c {
        for y in 0..x.h {
            for w in 0..x.w {
                z.v[(c * 2 * x.h + 2 * y) * 2 * x.w + 2 * w] = x.at(c, y as isize, w as isize);
            }
        }
    }
    filtered(&z, (2 * x.h, 2 * x.w), 2)
}

fn filtered(z: &Planes, (h, w): (usize, usize), before: isize) -> Planes {
    let f = [0.25, 0.75, 0.75, 0.25];
    let mut out = Planes::zeros(z.c, h, w);
    for c in 0..z.c {
        for y in 0..h as isize {
            for x in 0..w as isize {
                let taps = (0..16).map(|t| {
                    let (a, b) = (t / 4, t % 4);
                    f[a as usize] * f[b as usize] * z.at(c, y + a - before, x + b - before)
                });
                out.v[(c * h + y as usize) * w + x as usize] = taps.sum();
            }
        }
    }
    out
}

impl Layer {
    fn run(&self, x: &Planes, style: &[f64], noise: &[f64], clamp: f64) -> Planes {
        let mut w = self.w.clone();
        for (at, v) in w.iter_mut().enumerate() {
            *v *= style[at / 9 % self.i];
        }
        for w in w.chunks_exact_mut(self.i * 9) {
            let norm = (w.iter().map(|v| v * v).sum::<f64>() + 1e-8).sqrt();
            w.iter_mut().for_each(|v| *v /= norm);
        }
        let mut y = if self.up {
            let z = convolve(Form::Up, x, &w, self.o, (2 * x.h + 1, 2 * x.w + 1));
            filtered(&z, (2 * x.h, 2 * x.w), 1)
        } else {
            convolve(Form::Same, x, &w, self.o, (x.h, x.w))
        };
        let area = y.h * y.w;
        for (at, v) in y.v.iter_mut().enumerate() {
            let sum = *v + noise[at % area] + self.bias[at / area];
            *v = (if sum > 0.0 { sum } else { 0.2 * sum } * GAIN).clamp(-clamp, clamp);
        }
        y
    }
}

/// Pictures and their gradients, with noise of its own for every sample or one for all, with and without a clamp.
#[test]
fn a_network_and_its_gradients() {
    for (channels, n, maps, clamp) in
        [(vec![17, 8, 5], 2, 1, None), (vec![6, 20], 2, 2, Some(1.5)), (vec![16], 1, 1, None)]
    {
        let small = Small::new(&channels, clamp);
        let (s, t) = (small.styles(), small.noise());
        let styles: Vec<f32> = random("styles", n * s).iter().map(|v| 1.0 + 0.3 * v).collect();
        let noise: Vec<f32> = random("noise", maps * t).iter().map(|v| 0.3 * v).collect();
        let wide = |v: &[f32]| v.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
        let (styles64, noise64) = (wide(&styles), wide(&noise));
        let map = |sample: usize| (sample % maps) * t;
        let paint = |styles: &[f64], noise: &[f64]| -> Vec<f64> {
            let one = |i: usize| small.picture(&styles[i * s..][..s], &noise[map(i)..][..t]);
            (0..n).flat_map(one).collect()
        };
        let expected = paint(&styles64, &noise64);
        let probe = wide(&random("probe", expected.len()));
        let loss = |styles: &[f64], noise: &[f64]| -> f64 {
            paint(styles, noise).iter().zip(&probe).map(|(a, b)| a * b).sum()
        };
        // Every ninth style and every eleventh pixel of noise: central differences are slow.
        let slope = |which: usize, at: usize| {
            let moved = |by: f64| {
                let (mut a, mut b) = (styles64.clone(), noise64.clone());
                if which == 0 {
                    a[at] += by
                } else {
                    b[at] += by
                }
                loss(&a, &b)
            };
            (moved(1e-5) - moved(-1e-5)) / 2e-5
        };
        let picked = [(0..n * s).step_by(9).collect::<Vec<_>>(), (0..maps * t).step_by(11).collect()];
        let slopes = [0, 1].map(|k| picked[k].iter().map(|&at| slope(k, at)).collect::<Vec<f64>>());
        for isa in sets() {
            let what = format!("{} {channels:?} n {n} maps {maps}", isa.name());
            let network = small.build(isa);
            let tensor = |v: &[f32], shape| Tensor::from_vec(v.to_vec(), shape, &Device::Cpu).expect("tensor");
            let (a, b) = (tensor(&styles, (n, s)), tensor(&noise, (maps, t)));
            let (a, b) = (Var::from_tensor(&a).expect("var"), Var::from_tensor(&b).expect("var"));
            let y = network.forward(&a, Some(&b)).expect("forward");
            let numbers = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers");
            let d = distance(&numbers(&y), &expected);
            assert!(d <= 1e-5, "{what}: pictures {d:.1e}");
            let weights: Vec<f32> = probe.iter().map(|v| *v as f32).collect();
            let weights = Tensor::from_vec(weights, y.shape(), &Device::Cpu).expect("probe");
            let grads = y.mul(&weights).and_then(|l| l.sum_all()).and_then(|l| l.backward()).expect("backward");
            for (k, var) in [&a, &b].into_iter().enumerate() {
                let g = numbers(grads.get(var).expect("gradient"));
                let found: Vec<f32> = picked[k].iter().map(|&at| g[at]).collect();
                let d = distance(&found, &slopes[k]);
                assert!(d <= 1e-4, "{what}: gradients of argument {k} {d:.1e}");
            }
            let again = y.mul(&weights).and_then(|l| l.sum_all()).and_then(|l| l.backward()).expect("backward");
            let g = |grads: &candle_core::backprop::GradStore| numbers(grads.get(&a).expect("gradient"));
            assert_eq!(g(&again), g(&grads), "{what}: gradients asked for twice");
            // Without gradients, without noise: the same path, less kept.
            let frozen = network.forward(&a.as_detached_tensor(), Some(&b.as_detached_tensor())).expect("forward");
            assert_eq!(numbers(&frozen), numbers(&y), "{what}: kept or not");
            let silent = paint(&styles64, &vec![0.0; maps * t]);
            let d = distance(&numbers(&network.forward(&a, None).expect("forward")), &silent);
            assert!(d <= 1e-5, "{what}: without noise {d:.1e}");
        }
    }
}

/// The engine gives weights no gradient: it refuses any that is asked for one, so that the planar operators are taken.
#[test]
fn what_is_trained_is_refused() {
    let shapes: [&[usize]; 5] = [&[3, 4, 4], &[5, 3, 3, 3], &[5], &[3, 5, 1, 1], &[3]];
    let filter = Filter::new(&[1.0, 3.0, 3.0, 1.0]).expect("filter");
    let tensor = |s: &[usize]| Tensor::from_vec(random("t", s.iter().product()), s, &Device::Cpu).expect("tensor");
    let variables = shapes.map(|s| Var::from_tensor(&tensor(s)).expect("var"));
    let takes = |trained: Option<usize>| {
        let part = |k: usize| match trained == Some(k) {
            true => variables[k].as_tensor().clone(),
            false => variables[k].as_detached_tensor(),
        };
        let [constant, weight, bias, rgb, rgb_bias] = std::array::from_fn(part);
        let activation = Activation::LRELU;
        let conv = StyledConv { weight: &weight, bias: &bias, up: None, activation, noise: true };
        let rgb = RgbConv { weight: &rgb, bias: &rgb_bias, gain: 1.0, clamp: None };
        let stages = [Stage { convs: vec![conv], rgb: Some(rgb) }];
        let network = Network::new(&constant, &stages, &filter).expect("network").is_some();
        (network, Stack::new(&[(&weight, &bias, 1)], activation).expect("stack").is_some())
    };
    assert!(takes(None) == (true, true), "frozen");
    assert!(takes(Some(0)) == (false, true), "the constant");
    assert!(takes(Some(1)) == (false, false) && takes(Some(2)) == (false, false), "a convolution");
    assert!(takes(Some(3)) == (false, true) && takes(Some(4)) == (false, true), "toRGB");
    // What is computed from something trained counts as trained.
    let computed = (variables[1].as_tensor() * 2.0).expect("computed");
    let bias = variables[2].as_detached_tensor();
    assert!(Stack::new(&[(&computed, &bias, 1)], Activation::LRELU).expect("stack").is_none());
}

/// Pictures in bf16 are near those in single precision but not the same; what gradients are taken of stays exact.
#[test]
fn previews_are_near_and_gradients_exact() {
    if !Isa::Bf16.available() {
        return eprintln!("skipped: this processor has no bf16");
    }
    let small = Small::new(&[70, 40, 33, 7], None);
    let (s, t) = (small.styles(), small.noise());
    let a = Tensor::from_vec(random("styles", s), (1, s), &Device::Cpu).expect("styles");
    let (a, b) = (Var::from_tensor(&a).expect("var"), Tensor::from_vec(random("noise", t), (1, t), &Device::Cpu));
    let (frozen, b) = (a.as_detached_tensor(), b.expect("noise"));
    let bits = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers");
    let run = |isa: Isa| {
        let network = small.build(isa);
        let seen = bits(&network.forward(&frozen, Some(&b)).expect("forward"));
        let y = network.forward(&a, Some(&b)).expect("forward");
        let grads = y.sqr().and_then(|l| l.sum_all()).and_then(|l| l.backward()).expect("backward");
        (seen, bits(&y), bits(grads.get(&a).expect("gradient")))
    };
    let (exact, preview) = (run(Isa::Avx512), run(Isa::Bf16));
    let wide: Vec<f64> = exact.0.iter().map(|v| f64::from(*v)).collect();
    let d = distance(&preview.0, &wide);
    assert!((1e-5..0.03).contains(&d), "previews {d:.1e}");
    assert!((exact.1, exact.2) == (preview.1, preview.2), "what is kept for gradients");
}

/// The bits of pictures and gradients are the same for any number of threads, and a sample's for any batch.
#[test]
fn the_bits_depend_neither_on_threads_nor_on_the_batch() {
    let small = Small::new(&[40, 33, 20, 7], None);
    let network = small.build(Isa::current());
    let (s, t) = (small.styles(), small.noise());
    let (styles, noise) = (random("styles", 3 * s), random("noise", t));
    let run = |from: usize, n: usize| -> (Vec<u32>, Vec<u32>) {
        let a = Tensor::from_vec(styles[from * s..][..n * s].to_vec(), (n, s), &Device::Cpu).expect("styles");
        let a = Var::from_tensor(&a).expect("var");
        let b = Tensor::from_vec(noise.clone(), (1, t), &Device::Cpu).expect("noise");
        let y = network.forward(&a, Some(&b)).expect("forward");
        let grads = y.sqr().and_then(|l| l.sum_all()).and_then(|l| l.backward()).expect("backward");
        let bits = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers");
        let g = bits(grads.get(&a).expect("gradient"));
        (bits(&y).into_iter().map(f32::to_bits).collect(), g.into_iter().map(f32::to_bits).collect())
    };
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("pool");
    let [one, two, five] = [1, 2, 5].map(|n| pool(n).install(|| run(0, 3)));
    assert!(one == two && one == five, "threads");
    let alone = run(1, 1);
    let (y, g) = (one.0.len() / 3, one.1.len() / 3);
    assert!(one.0[y..2 * y] == alone.0, "pictures of a batch");
    assert!(one.1[g..2 * g] == alone.1, "gradients of a batch");
}

/// All maps of a stack with strides 1 and 2, at sizes that 2 does not divide, and their gradients.
#[test]
fn a_stack_and_its_gradients() {
    let channels = [5, 20, 7, 33];
    let strides = [1, 2, 2];
    let (n, h, w) = (2, 11, 14);
    let weights: Vec<Vec<f32>> = (0..3).map(|k| random(&format!("w{k}"), channels[k + 1] * channels[k] * 9)).collect();
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
    let tensor = |v: &[f32], shape: &[usize]| Tensor::from_vec(v.to_vec(), shape, &Device::Cpu).expect("tensor");
    let parts: Vec<(Tensor, Tensor)> = (0..3)
        .map(|k| (tensor(&weights[k], &[channels[k + 1], channels[k], 3, 3]), tensor(&biases[k], &[channels[k + 1]])))
        .collect();
    let convs: Vec<_> = parts.iter().zip(strides).map(|((w, b), s)| (w, b, s)).collect();
    let activation = Activation { slope: 0.1, gain: 1.0, clamp: None };
    for isa in sets() {
        let stack = Arc::new(Stack::for_isa(isa, &convs, activation).expect("stack").expect("supported"));
        let x = Var::from_tensor(&tensor(&x, &[n, channels[0], h, w])).expect("var");
        let maps = stack.maps(&x, true).expect("maps");
        let flat: Vec<Tensor> = maps.iter().map(|m| m.flatten_from(1).expect("flat")).collect();
        let flat = Tensor::cat(&flat, 1).expect("all");
        let numbers = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers");
        let d = distance(&numbers(&flat), &expected);
        assert!(d <= 1e-5, "{}: maps {d:.1e}", isa.name());
        let weights: Vec<f32> = probe.iter().map(|v| *v as f32).collect();
        let loss = flat.mul(&tensor(&weights, flat.dims())).and_then(|l| l.sum_all()).expect("loss");
        let grads = loss.backward().expect("backward");
        let g = numbers(grads.get(&x).expect("gradient"));
        let found: Vec<f32> = picked.iter().map(|&at| g[at]).collect();
        let d = distance(&found, &slopes);
        assert!(d <= 1e-4, "{}: gradients {d:.1e}", isa.name());
        let last = stack.maps(&x, false).expect("last");
        assert_eq!(numbers(&last[0]), numbers(&maps[2]), "{}: the last map alone", isa.name());
        let gradient = |y: &Tensor| {
            let grads = y.sqr().and_then(|l| l.sum_all()).and_then(|l| l.backward()).expect("backward");
            numbers(grads.get(&x).expect("gradient"))
        };
        // The second asks a graph whose maps the gradients above have used up.
        let (alone, again) = (gradient(&last[0]), wide(&gradient(&maps[2])));
        assert!(distance(&alone, &again) <= 1e-6, "{}: the last map's gradient", isa.name());
    }
}
