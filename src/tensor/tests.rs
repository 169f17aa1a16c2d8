//! Every operator against plain loops in double precision, its gradient against finite differences
//! of those loops, and its bits against the number of threads.

use super::reference::*;
use super::*;
use candle_core::{Device, Tensor, Var};

#[test]
fn convolution() {
    for (i, &(n, ci, h, w, co, k, s, p)) in [
        (1, 1, 1, 1, 1, 1, 1, 0),
        (2, 3, 5, 7, 5, 3, 1, 1),
        (1, 5, 7, 4, 3, 3, 2, 1),
        (2, 2, 6, 5, 3, 3, 2, 0),
        (1, 4, 3, 5, 2, 1, 2, 0),
        (3, 17, 3, 3, 19, 1, 1, 0),
        (1, 2, 2, 3, 2, 3, 1, 2),
        (1, 3, 1, 1, 2, 3, 1, 1),
    ]
    .iter()
    .enumerate()
    {
        let arguments = [D::random("x", &[n, ci, h, w]), D::random("w", &[co, ci, k, k])];
        check(&format!("conv {i}"), &arguments, &|a| conv2d(&a[0], &a[1], s, p), &|a| {
            naive_conv(&a[0], &a[1], s, p)
        });
    }
}

#[test]
fn transposed_convolution() {
    for (i, &(n, a, h, w, b, k, s, p, extra)) in [
        (1, 1, 1, 1, 1, 3, 2, 0, 0),
        (2, 3, 5, 4, 5, 3, 2, 0, 0),
        (1, 5, 3, 3, 2, 3, 2, 1, 0),
        (2, 2, 3, 5, 3, 1, 2, 0, 0),
        (1, 18, 2, 3, 17, 3, 1, 1, 0),
        // DCGAN: from a code to 4×4, then doubling; and its older form with 5×5.
        (2, 7, 1, 1, 3, 4, 1, 0, 0),
        (2, 3, 4, 5, 5, 4, 2, 1, 0),
        (1, 17, 3, 1, 19, 4, 2, 1, 0),
        (2, 3, 4, 3, 2, 5, 2, 2, 1),
        // Strides beyond the kernel leave gaps; all but the middle is cut off.
        (1, 2, 3, 4, 3, 2, 3, 0, 2),
        (1, 3, 4, 3, 2, 4, 3, 2, 1),
        (1, 2, 3, 3, 2, 5, 1, 3, 0),
    ]
    .iter()
    .enumerate()
    {
        let arguments = [D::random("x", &[n, a, h, w]), D::random("w", &[a, b, k, k])];
        let naive: Naive<'_> = &|a| naive_transpose(&a[0], &a[1], s, p, extra);
        check(
            &format!("transpose {i}"),
            &arguments,
            &|a| conv_transpose2d_to(&a[0], &a[1], s, p, extra),
            naive,
        );
    }
}

#[test]
fn large_convolutions_in_many_blocks() {
    // Beyond every blocking limit: columns, rows, channels. Values only: differences would take too
    // long.
    for (s, p, k) in [(1, 1, 3), (2, 0, 3), (1, 0, 1)] {
        let (x, w) = (D::random("x", &[1, 21, 41, 39]), D::random("w", &[67, 21, k, k]));
        let y = conv2d(&x.tensor(), &w.tensor(), s, p).expect("conv");
        close(&flat(&y), &naive_conv(&x, &w, s, p).v, 3e-6, "large conv");
        let (x, w) = (D::random("x", &[1, 21, 41, 39]), D::random("w", &[21, 67, k, k]));
        let y = conv_transpose2d(&x.tensor(), &w.tensor(), s, p).expect("conv");
        close(&flat(&y), &naive_transpose(&x, &w, s, p, 0).v, 3e-6, "large transpose");
    }
}

#[test]
fn filters() {
    let wide = D {
        shape: vec![1, 1, 4, 4],
        v: flat(&Tensor::from_vec(outer(&[1.0, 3.0, 3.0, 1.0]), 16, &Device::Cpu).expect("t")),
    };
    let skew = D::random("taps", &[1, 1, 3, 3]);
    let oblong = D::random("taps", &[1, 1, 2, 5]);
    for (t, taps) in [&wide, &skew, &oblong].into_iter().enumerate() {
        for (i, (up, down, before, after, gain)) in [
            (1, 1, 1, 1, 4.0),
            (2, 1, 2, 1, 4.0),
            (1, 2, 1, 1, 1.0),
            (3, 2, 4, 2, 0.5),
            (1, 1, -1, 3, 1.0),
            (2, 1, 5, -1, 1.0),
            (2, 3, 3, 4, 1.0),
        ]
        .into_iter()
        .enumerate()
        {
            let how = Resample { up, down, before, after, gain };
            let v: Vec<f32> = taps.v.iter().map(|&v| v as f32).collect();
            let filter = Filter::from_matrix(taps.shape[2], taps.shape[3], &v).expect("filter");
            let arguments = [D::random("x", &[2, 3, 5, 6])];
            check(&format!("fir {t}.{i}"), &arguments, &|a| fir(&a[0], &filter, how), &|a| {
                naive_fir(&a[0], taps, how)
            });
        }
    }
}

fn outer(taps: &[f32]) -> Vec<f32> {
    taps.iter().flat_map(|a| taps.iter().map(move |b| a * b / 64.0)).collect()
}

#[test]
fn a_filter_is_the_same_from_taps_and_from_its_matrix() {
    let x = D::random("x", &[1, 2, 5, 5]).tensor();
    let (a, b) = (
        Filter::new(&[1.0, 3.0, 3.0, 1.0]).expect("taps"),
        Filter::from_matrix(4, 4, &outer(&[1.0, 3.0, 3.0, 1.0])).expect("matrix"),
    );
    close(&flat(&up2(&x, &a).expect("a")), &flat(&up2(&x, &b).expect("b")), 1e-6, "up2");
    assert_eq!(down2(&up2(&x, &a).expect("up"), &a).expect("down").dims(), x.dims());
    // Away from the border a constant stays what it is.
    let ones = Tensor::ones((1, 1, 8, 8), candle_core::DType::F32, &Device::Cpu).expect("ones");
    let inner = up2(&ones, &a)
        .and_then(|t| t.narrow(2, 4, 8))
        .and_then(|t| t.narrow(3, 4, 8))
        .expect("inner");
    close(&flat(&inner), &[1.0; 64], 1e-6, "constant");
    assert!(
        Filter::new(&[1.0, -1.0]).is_err()
            && Filter::new(&[]).is_err()
            && Filter::from_matrix(2, 2, &[1.0]).is_err()
    );
}

#[test]
fn bias_and_activation() {
    for (i, activation) in [
        Activation::LINEAR,
        Activation::LRELU,
        Activation { slope: 0.2, gain: 1.0, clamp: Some(0.5) },
        Activation { slope: 0.0, gain: 2.0, clamp: None },
        Activation { slope: 1.0, gain: 1.0, clamp: Some(0.7) },
    ]
    .into_iter()
    .enumerate()
    {
        let naive = |a: &[D]| {
            let (plane, c) = (a[0].shape[2..].iter().product::<usize>(), a[0].shape[1]);
            let v = a[0]
                .v
                .iter()
                .enumerate()
                .map(|(j, x)| naive_act(x + a[1].v[j / plane % c], activation))
                .collect();
            D { shape: a[0].shape.clone(), v }
        };
        for shape in [vec![2, 3, 3, 5], vec![3, 7]] {
            let arguments = [D::random("x", &shape), D::random("b", &[shape[1]])];
            check(
                &format!("bias_act {i} {shape:?}"),
                &arguments,
                &|a| bias_act(&a[0], &a[1], activation),
                &naive,
            );
        }
    }
    let nan = Tensor::new(&[[f32::NAN]], &Device::Cpu).expect("nan");
    let zero = Tensor::new(&[0f32], &Device::Cpu).expect("zero");
    let y =
        bias_act(&nan, &zero, Activation { clamp: Some(1.0), ..Activation::LRELU }).expect("nan");
    assert!(flat(&y)[0].is_nan(), "a NaN must stay visible");
}

#[test]
fn noise_bias_and_activation_at_once() {
    let activation = Activation { clamp: Some(1.5), ..Activation::LRELU };
    let one_by_one: Fast<'_> = &|a| bias_act(&add_noise(&a[0], &a[1])?, &a[2], activation);
    let at_once: Fast<'_> = &|a| noise_bias_act(&a[0], &a[1], &a[2], activation);
    for maps in [1, 2] {
        let arguments = [
            D::random("x", &[2, 3, 5, 3]),
            D::random("noise", &[maps, 1, 5, 3]),
            D::random("b", &[3]),
        ];
        let run = |f: Fast<'_>| {
            let vars: Vec<Var> =
                arguments.iter().map(|a| Var::from_tensor(&a.tensor()).expect("var")).collect();
            let y =
                f(&vars.iter().map(|v| v.as_tensor().clone()).collect::<Vec<_>>()).expect("value");
            let grads =
                y.sqr().and_then(|t| t.sum_all()).and_then(|t| t.backward()).expect("backward");
            let mut all = flat(&y);
            vars.iter().for_each(|v| all.extend(flat(grads.get(v).expect("gradient"))));
            all
        };
        assert_eq!(run(at_once), run(one_by_one), "the same bits");
        gradients_of_what_is_tracked("noise_bias_act", &arguments, at_once);
    }
    let t = |shape: &[usize]| D::random("t", shape).tensor();
    assert!(
        noise_bias_act(&t(&[2, 3, 4, 4]), &t(&[3, 1, 4, 4]), &t(&[3]), activation).is_err(),
        "maps"
    );
    assert!(
        noise_bias_act(&t(&[2, 3, 4, 4]), &t(&[1, 1, 4, 4]), &t(&[2]), activation).is_err(),
        "bias"
    );
}

#[test]
fn scaling_and_noise() {
    let arguments = [D::random("x", &[2, 3, 5, 3]), D::random("s", &[2, 3])];
    check("scale", &arguments, &|a| scale(&a[0], &a[1]), &|a| {
        let v = a[0].v.iter().enumerate().map(|(j, x)| x * a[1].v[j / 15]).collect();
        D { shape: a[0].shape.clone(), v }
    });
    for maps in [1, 2] {
        let arguments = [D::random("x", &[2, 3, 5, 3]), D::random("noise", &[maps, 1, 5, 3])];
        check("noise", &arguments, &|a| add_noise(&a[0], &a[1]), &|a| {
            let v = a[0]
                .v
                .iter()
                .enumerate()
                .map(|(j, x)| x + a[1].v[j % 15 + if maps == 1 { 0 } else { j / 45 * 15 }])
                .collect();
            D { shape: a[0].shape.clone(), v }
        });
    }
}

#[test]
fn matrices() {
    let product = |a: &D, w: &D| {
        let (m, k, n) = (a.shape[0], a.shape[1], w.shape[0]);
        let v = (0..m * n)
            .map(|i| (0..k).map(|l| a.v[i / n * k + l] * w.v[i % n * k + l]).sum())
            .collect();
        D { shape: vec![m, n], v }
    };
    for (m, k, n) in [(1, 1, 1), (1, 7, 5), (3, 5, 2), (2, 3, 133), (9, 6, 4), (6, 37, 70)] {
        let (a, w) = (D::random("a", &[m, k]), D::random("w", &[n, k]));
        check("linear", &[a, w], &|a| linear(&a[0], &a[1]), &|a| product(&a[0], &a[1]));
    }
}

/// A row and its gradient are the same bits in any batch.
#[test]
fn a_row_does_not_depend_on_the_others() {
    let tensor = |d: &D| {
        Tensor::from_vec(d.v.iter().map(|v| *v as f32).collect(), d.shape.clone(), &Device::Cpu)
            .unwrap()
    };
    let bits = |t: &Tensor| {
        t.flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
            .into_iter()
            .map(f32::to_bits)
            .collect::<Vec<_>>()
    };
    for (k, n) in [(16, 16), (517, 300), (1000, 1)] {
        let (x, w) = (tensor(&D::random("x", &[11, k])), tensor(&D::random("w", &[n, k])));
        let run = |x: Tensor| {
            let x = Var::from_tensor(&x).unwrap();
            let y = linear(&x, &w).unwrap();
            let grads = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let rows = x.dim(0).unwrap();
            let (y, g) = (bits(&y), bits(grads.get(&x).unwrap()));
            (0..rows).map(|r| [&y[r * n..][..n], &g[r * k..][..k]].concat()).collect::<Vec<_>>()
        };
        let all = run(x.clone());
        for (from, len) in [(0, 1), (5, 1), (10, 1), (3, 2), (1, 6), (2, 8)] {
            let part = run(x.narrow(0, from, len).unwrap().contiguous().unwrap());
            assert_eq!(part, all[from..from + len], "{len} rows of {k} from {from}");
        }
    }
}

/// By definition: the weights of each sample are scaled by its style and normalised.
fn naive_modulated(x: &D, w: &D, s: &D, demodulate: bool, conv: &dyn Fn(&D, &D) -> D) -> D {
    let (n, per) = (x.shape[0], x.v.len() / x.shape[0]);
    let (inner, taps) = (w.v.len() / w.shape[0], w.shape[2] * w.shape[3]);
    let mut out = D::zeros(&[0, 0, 0, 0]);
    for i in 0..n {
        let style = |j: usize| s.v[i * s.shape[1] + j % inner / taps];
        let mut own = D {
            shape: w.shape.clone(),
            v: w.v.iter().enumerate().map(|(j, w)| w * style(j)).collect(),
        };
        if demodulate {
            for row in own.v.chunks_mut(inner) {
                let norm = (row.iter().map(|v| v * v).sum::<f64>() + 1e-8).sqrt();
                row.iter_mut().for_each(|v| *v /= norm);
            }
        }
        let mut shape = x.shape.clone();
        shape[0] = 1;
        let y = conv(&D { shape, v: x.v[i * per..][..per].to_vec() }, &own);
        out.shape = y.shape.clone();
        out.v.extend(y.v);
    }
    out.shape[0] = n;
    out
}

#[test]
fn modulated_convolution() {
    for (k, demodulate) in [(3, true), (1, false), (3, false), (1, true)] {
        let arguments =
            [D::random("x", &[2, 3, 4, 5]), D::random("w", &[5, 3, k, k]), D::random("s", &[2, 3])];
        let fast: Fast<'_> =
            &|a| modulated_conv(&a[0], &Weight::new(a[1].clone()), &a[2], demodulate);
        check("modulated", &arguments, fast, &|a| {
            naive_modulated(&a[0], &a[1], &a[2], demodulate, &|x, w| naive_conv(x, w, 1, k / 2))
        });
    }
    let taps = D {
        shape: vec![1, 1, 4, 4],
        v: outer(&[1.0, 3.0, 3.0, 1.0]).into_iter().map(f64::from).collect(),
    };
    let filter = Filter::new(&[1.0, 3.0, 3.0, 1.0]).expect("filter");
    let arguments =
        [D::random("x", &[2, 3, 3, 3]), D::random("w", &[5, 3, 3, 3]), D::random("s", &[2, 3])];
    let fast: Fast<'_> = &|a| modulated_conv_up2(&a[0], &Weight::new(a[1].clone()), &a[2], &filter);
    check("modulated up", &arguments, fast, &|a| {
        naive_modulated(&a[0], &a[1], &a[2], true, &|x, w| {
            // Input channels first, as a transposed convolution has them.
            let mut turned = D::zeros(&[w.shape[1], w.shape[0], 3, 3]);
            each4(&w.shape, |[o, i, y, x]| {
                let at = turned.at([i, o, y, x]);
                turned.v[at] = w.v[w.at([o, i, y, x])];
            });
            let how = Resample { up: 1, down: 1, before: 1, after: 1, gain: 4.0 };
            naive_fir(&naive_transpose(x, &turned, 2, 0, 0), &taps, how)
        })
    });
}

#[test]
fn the_bits_do_not_depend_on_the_threads() {
    let filter = Filter::new(&[1.0, 3.0, 3.0, 1.0]).expect("filter");
    let run = || -> Vec<u32> {
        let x = Var::from_tensor(&D::random("x", &[2, 37, 33, 31]).tensor()).expect("x");
        let w = Var::from_tensor(&D::random("w", &[70, 37, 3, 3]).tensor()).expect("w");
        let s = Var::from_tensor(&D::random("s", &[2, 37]).tensor()).expect("s");
        let noise = Var::from_tensor(&D::random("n", &[1, 1, 66, 62]).tensor()).expect("n");
        let bias = Var::from_tensor(&D::random("b", &[70]).tensor()).expect("b");
        let weight = Weight::new(w.as_tensor().clone());
        let y = modulated_conv_up2(&x, &weight, &s, &filter)
            .and_then(|y| add_noise(&y, &noise))
            .expect("up");
        let y =
            bias_act(&y, &bias, Activation::LRELU).and_then(|y| down2(&y, &filter)).expect("act");
        let z = modulated_conv(&x, &weight, &s, true).and_then(|z| (z + y)?.sqr()).expect("conv");
        let grads = z.sum_all().and_then(|l| l.backward()).expect("backward");
        let found = [&x, &w, &s, &noise, &bias].map(|v| grads.get(v).expect("gradient").clone());
        found.iter().chain([&z]).flat_map(flat).map(|v| (v as f32).to_bits()).collect()
    };
    let [one, two, three] = [1, 2, 3].map(|n| {
        rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("pool").install(run)
    });
    assert!(one == two && one == three);
}

#[test]
fn what_does_not_fit_is_an_error() {
    let t = |shape: &[usize]| D::random("t", shape).tensor();
    assert!(conv2d(&t(&[1, 3, 4, 4]), &t(&[2, 4, 3, 3]), 1, 1).is_err(), "channels");
    assert!(
        conv2d(&t(&[1, 3, 2, 2]), &t(&[2, 3, 3, 3]), 1, 0).is_err(),
        "kernel larger than the picture"
    );
    assert!(conv2d(&t(&[1, 3, 4, 4]), &t(&[2, 3, 3, 3]), 0, 1).is_err(), "stride 0");
    assert!(conv_transpose2d(&t(&[1, 3, 4, 4]), &t(&[2, 3, 3, 3]), 2, 0).is_err(), "channels");
    let to = |x: &[usize], w: &[usize], [stride, padding, extra]: [usize; 3]| {
        conv_transpose2d_to(&t(x), &t(w), stride, padding, extra)
            .map(|y| y.dims().to_vec())
            .map_err(|e| e.to_string())
    };
    let (x, w) = (&[1, 2, 4, 3], &[2, 3, 4, 4]);
    assert_eq!(to(x, w, [2, 1, 1]).as_deref(), Ok(&[1, 3, 9, 7][..]));
    assert!(to(x, w, [2, 1, 2]).is_err_and(|e| e.contains("2 more rows need a stride above")));
    assert!(
        to(x, w, [1, 0, usize::MAX]).is_err()
            && to(x, w, [usize::MAX, 0, 0]).is_err()
            && to(x, w, [0, 0, 0]).is_err()
    );
    assert!(
        to(x, w, [2, 4, 0]).is_err_and(|e| e.contains("nothing left"))
            && to(x, w, [2, usize::MAX, 0]).is_err()
    );
    assert!(
        to(&[1, 2, 0, 3], w, [2, 1, 0]).is_err() && to(x, &[2, 3, 4, 3], [2, 1, 0]).is_err(),
        "no rows; not square"
    );
    assert!(
        scale(&t(&[2, 3, 4, 4]), &t(&[1, 3])).is_err()
            && bias_act(&t(&[2, 3]), &t(&[2]), Activation::LRELU).is_err()
    );
    assert!(
        add_noise(&t(&[2, 3, 4, 4]), &t(&[3, 1, 4, 4])).is_err()
            && linear(&t(&[2, 3]), &t(&[3, 2])).is_err()
    );
    let filter = Filter::new(&[1.0; 9]).expect("filter");
    let how = Resample { up: 1, down: 1, before: 0, after: 0, gain: 1.0 };
    assert!(fir(&t(&[1, 1, 4, 4]), &filter, how).is_err(), "filter larger than the picture");
    let refused = |how: Resample| fir(&t(&[1, 1, 20, 20]), &filter, how).is_err();
    assert!(
        !refused(how) && refused(Resample { up: 0, ..how }) && refused(Resample { down: 0, ..how }),
        "factors"
    );
    assert!(refused(Resample { before: -20, ..how }), "all is cropped");
    assert!(
        refused(Resample { up: usize::MAX, ..how })
            && refused(Resample { after: isize::MAX, ..how }),
        "overflow"
    );
    assert!(fir(&t(&[1, 1, 20, 0]), &filter, Resample { after: 20, ..how }).is_err(), "no pixels");
    let backwards = Activation { slope: -0.2, ..Activation::LRELU };
    assert!(bias_act(&t(&[2, 3]), &t(&[3]), backwards).is_err(), "no gradient from the sign");
}
