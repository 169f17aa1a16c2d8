//! A synthesis network on the engine against plain loops in double precision, and what all networks
//! on it keep.

use super::conv::Form;
use super::isa::Isa;
use super::tests::{Planes, convolve, distance, random, sets};
use super::{Network, RgbConv, Stack, Stage, StyledConv};
use crate::{Activation, Filter, Weight};
use candle_core::{Device, Tensor, Var};
use std::sync::Arc;

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
        let wide =
            |name: &str, n: usize| random(name, n).into_iter().map(f64::from).collect::<Vec<f64>>();
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
        Self {
            constant: wide("constant", channels[0] * 16),
            stages,
            channels: channels.to_vec(),
            clamp,
        }
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
            Tensor::from_vec(v.iter().map(|x| *x as f32).collect::<Vec<_>>(), shape, &Device::Cpu)
                .expect("tensor")
        };
        let filter = Filter::new(&[1.0, 3.0, 3.0, 1.0]).expect("filter");
        let tensors: Vec<_> = self
            .stages
            .iter()
            .zip(&self.channels)
            .map(|((layers, rgb, bias), c)| {
                let convs: Vec<_> = layers
                    .iter()
                    .map(|l| (Weight::new(t(&l.w, &[l.o, l.i, 3, 3])), t(&l.bias, &[l.o]), l.up))
                    .collect();
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
                        weight: weight.styled(*up).expect("weight"),
                        bias: bias.clone(),
                        up: up.then_some(&filter),
                        activation,
                        noise: true,
                    })
                    .collect(),
                rgb: Some(RgbConv {
                    weight: rgb.clone(),
                    bias: bias.clone(),
                    gain: 0.5,
                    clamp: self.clamp,
                }),
            })
            .collect();
        let constant = t(&self.constant, &[self.channels[0], 4, 4]);
        Arc::new(
            Network::for_isa(isa, &constant, &stages, &filter)
                .expect("network")
                .expect("supported"),
        )
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
                    let sum: f64 = (0..x.c)
                        .map(|c| rgb[k * x.c + c] * 0.5 * style[c] * x.v[c * x.h * x.w + p])
                        .sum::<f64>()
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

/// Pictures and their gradients, with noise of its own for every sample or one for all, with and
/// without a clamp.
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
        let picked =
            [(0..n * s).step_by(9).collect::<Vec<_>>(), (0..maps * t).step_by(11).collect()];
        let slopes = [0, 1].map(|k| picked[k].iter().map(|&at| slope(k, at)).collect::<Vec<f64>>());
        for isa in sets() {
            let what = format!("{} {channels:?} n {n} maps {maps}", isa.name());
            let network = small.build(isa);
            let tensor = |v: &[f32], shape| {
                Tensor::from_vec(v.to_vec(), shape, &Device::Cpu).expect("tensor")
            };
            let (a, b) = (tensor(&styles, (n, s)), tensor(&noise, (maps, t)));
            let (a, b) = (Var::from_tensor(&a).expect("var"), Var::from_tensor(&b).expect("var"));
            let y = network.forward(&a, Some(&b)).expect("forward");
            let numbers =
                |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers");
            let d = distance(&numbers(&y), &expected);
            assert!(d <= 1e-5, "{what}: pictures {d:.1e}");
            let weights: Vec<f32> = probe.iter().map(|v| *v as f32).collect();
            let weights = Tensor::from_vec(weights, y.shape(), &Device::Cpu).expect("probe");
            let grads = y
                .mul(&weights)
                .and_then(|l| l.sum_all())
                .and_then(|l| l.backward())
                .expect("backward");
            for (k, var) in [&a, &b].into_iter().enumerate() {
                let g = numbers(grads.get(var).expect("gradient"));
                let found: Vec<f32> = picked[k].iter().map(|&at| g[at]).collect();
                let d = distance(&found, &slopes[k]);
                assert!(d <= 1e-4, "{what}: gradients of argument {k} {d:.1e}");
            }
            let again = y
                .mul(&weights)
                .and_then(|l| l.sum_all())
                .and_then(|l| l.backward())
                .expect("backward");
            let g = |grads: &candle_core::backprop::GradStore| {
                numbers(grads.get(&a).expect("gradient"))
            };
            assert_eq!(g(&again), g(&grads), "{what}: gradients asked for twice");
            // Without gradients and noise: the same path, with less kept.
            let frozen = network
                .forward(&a.as_detached_tensor(), Some(&b.as_detached_tensor()))
                .expect("forward");
            assert_eq!(numbers(&frozen), numbers(&y), "{what}: kept or not");
            let silent = paint(&styles64, &vec![0.0; maps * t]);
            let d = distance(&numbers(&network.forward(&a, None).expect("forward")), &silent);
            assert!(d <= 1e-5, "{what}: without noise {d:.1e}");
        }
    }
}

/// The engine does not compute gradients of weights: it refuses tracked weights, and callers use
/// the planar operators.
#[test]
fn what_is_trained_is_refused() {
    let shapes: [&[usize]; 5] = [&[3, 4, 4], &[5, 3, 3, 3], &[5], &[3, 5, 1, 1], &[3]];
    let filter = Filter::new(&[1.0, 3.0, 3.0, 1.0]).expect("filter");
    let tensor = |s: &[usize]| {
        Tensor::from_vec(random("t", s.iter().product()), s, &Device::Cpu).expect("tensor")
    };
    let variables = shapes.map(|s| Var::from_tensor(&tensor(s)).expect("var"));
    let takes = |trained: Option<usize>| {
        let part = |k: usize| match trained == Some(k) {
            true => variables[k].as_tensor().clone(),
            false => variables[k].as_detached_tensor(),
        };
        let [constant, weight, bias, rgb, rgb_bias] = std::array::from_fn(part);
        let activation = Activation::LRELU;
        let styled = Weight::new(weight.clone()).styled(false).expect("weight");
        let conv =
            StyledConv { weight: styled, bias: bias.clone(), up: None, activation, noise: true };
        let rgb = RgbConv { weight: rgb.clone(), bias: rgb_bias.clone(), gain: 1.0, clamp: None };
        let stages = [Stage { convs: vec![conv], rgb: Some(rgb) }];
        let network = Network::new(&constant, &stages, &filter).expect("network").is_some();
        (network, Stack::new(&[(&weight, &bias, 1)], activation).expect("stack").is_some())
    };
    assert!(takes(None) == (true, true), "frozen");
    assert!(takes(Some(0)) == (false, true), "the constant");
    assert!(takes(Some(1)) == (false, false) && takes(Some(2)) == (false, false), "a convolution");
    assert!(takes(Some(3)) == (false, true) && takes(Some(4)) == (false, true), "toRGB");
    // Tensors computed from a variable count as trained.
    let computed = (variables[1].as_tensor() * 2.0).expect("computed");
    let bias = variables[2].as_detached_tensor();
    assert!(Stack::new(&[(&computed, &bias, 1)], Activation::LRELU).expect("stack").is_none());
}

/// Pictures in bf16 are near those in single precision but not the same; what gradients are taken
/// of stays exact.
#[test]
fn previews_are_near_and_gradients_exact() {
    if !Isa::Bf16.available() {
        return eprintln!("skipped: this processor has no bf16");
    }
    let small = Small::new(&[70, 40, 33, 7], None);
    let (s, t) = (small.styles(), small.noise());
    let a = Tensor::from_vec(random("styles", s), (1, s), &Device::Cpu).expect("styles");
    let (a, b) = (
        Var::from_tensor(&a).expect("var"),
        Tensor::from_vec(random("noise", t), (1, t), &Device::Cpu),
    );
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

/// The bits of pictures and gradients are the same for any number of threads, and a sample's for
/// any batch.
#[test]
fn the_bits_depend_neither_on_threads_nor_on_the_batch() {
    let small = Small::new(&[40, 33, 20, 7], None);
    let network = small.build(Isa::current());
    let (s, t) = (small.styles(), small.noise());
    let (styles, noise) = (random("styles", 3 * s), random("noise", t));
    let run = |from: usize, n: usize| -> (Vec<u32>, Vec<u32>) {
        let a = Tensor::from_vec(styles[from * s..][..n * s].to_vec(), (n, s), &Device::Cpu)
            .expect("styles");
        let a = Var::from_tensor(&a).expect("var");
        let b = Tensor::from_vec(noise.clone(), (1, t), &Device::Cpu).expect("noise");
        let y = network.forward(&a, Some(&b)).expect("forward");
        let grads = y.sqr().and_then(|l| l.sum_all()).and_then(|l| l.backward()).expect("backward");
        let bits = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers");
        let g = bits(grads.get(&a).expect("gradient"));
        (
            bits(&y).into_iter().map(f32::to_bits).collect(),
            g.into_iter().map(f32::to_bits).collect(),
        )
    };
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("pool");
    let [one, two, five] = [1, 2, 5].map(|n| pool(n).install(|| run(0, 3)));
    assert!(one == two && one == five, "threads");
    let alone = run(1, 1);
    let (y, g) = (one.0.len() / 3, one.1.len() / 3);
    assert!(one.0[y..2 * y] == alone.0, "pictures of a batch");
    assert!(one.1[g..2 * g] == alone.1, "gradients of a batch");
}
