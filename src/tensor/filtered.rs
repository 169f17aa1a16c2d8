//! The filtered nonlinearity of StyleGAN3 (Karras et al. 2021, section 3.2 and appendix D): a leaky
//! ReLU between two resamplings, so that the frequencies it makes do not alias.

use super::act::{Activation, bias_act, biased, channel_sum};
use super::conv::tracked;
use super::engine::{Between, Isa};
use super::fir::{Filter, Fir};
use super::raw::f32s;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

/// Steps of [`filtered_lrelu`] after the bias.
#[derive(Clone, Debug, PartialEq)]
pub struct FilteredLrelu {
    /// Upsampling factor: `up − 1` zeros are inserted after every pixel.
    pub up: usize,
    /// Runs over the upsampled picture, times `up²`, which makes up for the zeros.
    pub up_filter: Filter,
    /// Runs over the activated picture.
    pub down_filter: Filter,
    /// Downsampling factor: every `down`-th pixel is kept.
    pub down: usize,
    /// Zeros around the upsampled picture, left, right, above and below; negative crops.
    pub padding: [isize; 4],
    /// Activation between the filters.
    pub activation: Activation,
}

impl FilteredLrelu {
    /// The two resamplings of planes of `size`.
    pub(super) fn filters(&self, size: (usize, usize)) -> Result<[Fir; 2]> {
        self.activation.check("filtered_lrelu")?;
        let [left, right, above, below] = self.padding;
        let padding = [(above, below), (left, right)];
        let up =
            Fir::padded(&self.up_filter, size, (self.up, 1), padding, (self.up as f64).powi(2))?;
        let between = (up.y.out, up.x.out);
        let down = Fir::padded(&self.down_filter, between, (1, self.down), [(0, 0); 2], 1.0)?;
        Ok([up, down])
    }
}

/// Adds a bias to every channel, upsamples, activates, and downsamples.
///
/// On the CPU the upsampled picture, many times as large as the input, is made a few rows at a time
/// and never stored. The gradient makes it again. Other devices use four operators.
///
/// # Shapes
/// x `[N, C, H, W]`, bias `[C]` → `[N, C, H', W']` with
/// `W' = (W·up + left + right − (up_taps − 1) − down_taps)/down + 1`, and H' likewise.
///
/// # Errors
/// When the bias does not fit, a factor is zero, a filter is larger than what it runs over, and for
/// an activation that its fields forbid.
pub fn filtered_lrelu(x: &Tensor, bias: &Tensor, how: &FilteredLrelu) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    let filters = how.filters((h, w))?;
    if !x.device().is_cpu() {
        return one_by_one(x, bias, filters, how.activation);
    }
    let op = Fused { isa: Isa::current(), filters, activation: how.activation };
    x.contiguous()?.apply_op2(&bias.contiguous()?, op)
}

/// The same from single operators, with everything between them stored.
pub(super) fn one_by_one(
    x: &Tensor,
    bias: &Tensor,
    [up, down]: [Fir; 2],
    activation: Activation,
) -> Result<Tensor> {
    let wide = bias_act(x, bias, Activation::LINEAR)?.apply_op1(up)?;
    bias_act(&wide, &bias.zeros_like()?, activation)?.apply_op1(down)
}

#[derive(Clone)]
struct Fused {
    isa: Isa,
    filters: [Fir; 2],
    activation: Activation,
}

impl CustomOp2 for Fused {
    fn name(&self) -> &'static str {
        "filtered_lrelu"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ([n, c, _], (_, _, h, w)) = (biased(l1, l2)?, l1.shape().dims4()?);
        let (x, bias) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let [up, down] = &self.filters;
        let out = Between::forward(self.isa, [up, down], (h, w), self.activation).run(x, bias, &[]);
        Ok((CpuStorage::F32(out), (n, c, down.y.out, down.x.out).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        b: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        if !x.track_op() && !b.track_op() {
            return Ok((None, None));
        }
        // The bias is added to x, so its gradient is the gradient of x, summed.
        let dx = x.apply_op3(b, &g.contiguous()?, FusedGrad(self.clone()))?;
        Ok((tracked(x, || Ok(dx.clone()))?, tracked(b, || channel_sum(&dx))?))
    }
}

/// Computes the gradient of x from x, bias and the gradient of the result.
struct FusedGrad(Fused);

impl CustomOp3 for FusedGrad {
    fn name(&self) -> &'static str {
        "filtered_lrelu_grad"
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
        let ([n, c, _], (_, _, h, w)) = (biased(l1, l2)?, l1.shape().dims4()?);
        let Fused { isa, filters: [up, down], activation } = &self.0;
        if l3.dims() != [n, c, down.y.out, down.x.out] {
            bail!("{}: gradient {:?} does not fit {:?}", self.name(), l3.shape(), l1.shape());
        }
        let [x, bias, g] = [(s1, l1), (s2, l2), (s3, l3)].map(|(s, l)| f32s(self.name(), s, l));
        let out = Between::backward(*isa, [up, down], (h, w), *activation).run(x?, bias?, g?);
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::{D, Fast, check, close, flat, naive_act, naive_resample};
    use super::*;
    use candle_core::Var;

    /// The instruction sets that this processor has.
    fn sets() -> impl Iterator<Item = Isa> {
        Isa::EXACT.into_iter().filter(|isa| isa.available())
    }

    fn run(isa: Isa, a: &[Tensor], how: &FilteredLrelu) -> Result<Tensor> {
        let (_, _, h, w) = a[0].dims4()?;
        a[0].apply_op2(
            &a[1],
            Fused { isa, filters: how.filters((h, w))?, activation: how.activation },
        )
    }

    fn taps(f: &Filter) -> D {
        let (h, w) = f.size();
        D { shape: vec![1, 1, h, w], v: f.matrix().into_iter().map(f64::from).collect() }
    }

    fn naive(a: &[D], how: &FilteredLrelu) -> D {
        let (plane, c) = (a[0].shape[2] * a[0].shape[3], a[0].shape[1]);
        let v = a[0].v.iter().enumerate().map(|(i, x)| x + a[1].v[i / plane % c]).collect();
        let x = D { shape: a[0].shape.clone(), v };
        let mut wide = naive_resample(
            &x,
            &taps(&how.up_filter),
            (how.up, 1),
            how.padding,
            (how.up as f64).powi(2),
        );
        wide.v.iter_mut().for_each(|v| *v = naive_act(*v, how.activation));
        naive_resample(&wide, &taps(&how.down_filter), (1, how.down), [0; 4], 1.0)
    }

    /// A product of two lines, or a matrix that is none.
    fn filter(name: &str, height: usize, width: usize, product: bool) -> Filter {
        let random = |name: &str, n| {
            D::random(name, &[n]).v.into_iter().map(|v| v as f32).collect::<Vec<f32>>()
        };
        let (a, b) = (random(&format!("{name}a"), height), random(&format!("{name}b"), width));
        let outer: Vec<f32> = a.iter().flat_map(|a| b.iter().map(move |b| a * b)).collect();
        let matrix = if product { outer } else { random(name, height * width) };
        let f = Filter::from_matrix(height, width, &matrix).expect("filter");
        assert_eq!(f.separable().is_some(), product || height == 1 || width == 1);
        f
    }

    /// Factors, sizes of both filters, whether these are products, padding.
    type Case = ((usize, usize), [(usize, usize); 2], [bool; 2], [isize; 4]);

    const CASES: [Case; 12] = [
        ((1, 1), [(1, 1), (1, 1)], [true, true], [0; 4]),
        ((2, 2), [(12, 12), (12, 12)], [true, true], [9, 8, 8, 9]),
        ((4, 2), [(24, 24), (12, 12)], [true, true], [17, 16, 18, 15]),
        ((2, 4), [(12, 12), (24, 24)], [true, true], [16, 17, 15, 20]),
        ((4, 4), [(5, 7), (6, 3)], [true, true], [3, -5, -2, 4]),
        ((2, 2), [(12, 12), (12, 12)], [true, false], [9, 9, 10, 8]),
        ((2, 1), [(3, 5), (4, 2)], [false, false], [-1, 2, 0, 1]),
        ((1, 2), [(2, 3), (5, 4)], [false, true], [4, 3, 2, 5]),
        ((1, 4), [(1, 1), (6, 6)], [true, false], [2, 2, 2, 2]),
        ((4, 1), [(6, 6), (1, 1)], [true, true], [-3, -2, -5, -1]),
        ((3, 2), [(7, 4), (3, 5)], [true, true], [1, 6, 7, -2]),
        // So much is cropped, or padded, that rows and columns of the input are not read, or of the
        // result see none.
        ((2, 3), [(3, 3), (3, 3)], [true, false], [14, -6, -7, 15]),
    ];

    fn how(
        &((up, down), [a, b], [first, second], padding): &Case,
        activation: Activation,
    ) -> FilteredLrelu {
        let (up_filter, down_filter) =
            (filter("up", a.0, a.1, first), filter("down", b.0, b.1, second));
        FilteredLrelu { up, up_filter, down_filter, down, padding, activation }
    }

    #[test]
    fn values_and_gradients() {
        for (i, case) in CASES.iter().enumerate() {
            let clamp = (i % 2 == 1).then_some(2.5);
            let how = how(case, Activation { clamp, ..Activation::LRELU });
            let arguments = [D::random("x", &[2, 2, 7, 5]), D::random("b", &[2])];
            let fast: Fast<'_> = &|a| filtered_lrelu(&a[0], &a[1], &how);
            check(&format!("filtered {i}"), &arguments, fast, &|a| naive(a, &how));
        }
    }

    /// Rows of several vectors, on every instruction set: values, and the gradient in some
    /// directions.
    #[test]
    fn wide_maps() {
        for (i, case) in CASES.iter().enumerate() {
            let how = how(case, Activation { clamp: Some(4.0), ..Activation::LRELU });
            let a = [D::random("x", &[2, 3, 11, 73]), D::random("b", &[3])];
            let expected = naive(&a, &how);
            let probe = D::random("probe", &expected.shape);
            let loss =
                |a: &[D]| naive(a, &how).v.iter().zip(&probe.v).map(|(a, b)| a * b).sum::<f64>();
            let along: [D; 2] = [0, 1].map(|k| D::random("direction", &a[k].shape));
            let moved = |k: usize, by: f64| {
                let mut a = a.clone();
                a[k].v.iter_mut().zip(&along[k].v).for_each(|(v, d)| *v += by * d);
                loss(&a)
            };
            let slopes = [0, 1].map(|k| (moved(k, 1e-7) - moved(k, -1e-7)) / 2e-7);
            for isa in sets() {
                let what = format!("filtered {i} {}", isa.name());
                let vars = [0, 1].map(|k| Var::from_tensor(&a[k].tensor()).expect("var"));
                let y = run(isa, &vars.each_ref().map(|v| v.as_tensor().clone()), &how)
                    .expect("forward");
                close(&flat(&y), &expected.v, 3e-6, &what);
                let grads = y
                    .mul(&probe.tensor())
                    .and_then(|l| l.sum_all())
                    .and_then(|l| l.backward())
                    .expect("grads");
                for k in 0..2 {
                    let g = flat(grads.get(&vars[k]).expect("gradient"));
                    let norm = g.iter().map(|v| v * v).sum::<f64>().sqrt();
                    let found: f64 = g.iter().zip(&along[k].v).map(|(a, b)| a * b).sum();
                    assert!(
                        (found - slopes[k]).abs() <= 1e-4 * norm,
                        "{what}: {k}: {found}, expected {}",
                        slopes[k]
                    );
                }
            }
        }
    }

    /// Results of NVIDIA's reference implementation (stylegan3, `filtered_lrelu` with `impl='ref'`)
    /// in double precision for inputs made by formulas: values, and the gradients of x and of the
    /// bias.
    const OFFICIAL: [[&str; 3]; 3] = [
        [
            "0.0008338177 0.004307323 0.001423586 -0.009745473 -0.004053699 -0.007354952 \
             0.008052766 0.00383376",
            "0.003674049 0.00026967 -0.002754052 -0.002936974 -0.004325853 0.0003324873 \
             2.330457e-06 -0.002674196 \
             0.0007440462 -0.0001596544 0.0008542294 0.000473518 -0.006059534 -0.0006108203 \
             0.002609889 \
             6.100045e-05 -0.0004199631 0.0006254935 0.006686485 0.004358248 -0.0002672829 \
             0.006936605 \
             0.005600289 -0.001848197",
            "-0.0065004 0.01767221",
        ],
        [
            "0.3304158 0.616377 0.5002574 0.2469652 0.2674676 0.7915529 0.3725913 0.3078541 \
             0.2673341 0.3116685 \
             0.4568232 0.5295557 0.07371383 0.2348149 0.207011 0.01430169 0.7492698 0.2524078 \
             0.1100815 0.6193073 \
             0.4133739 -0.02334755 0.3390914 0.4542254",
            "0.2991838 -0.2098761 -0.05918638 -0.6866746 0.07134908 -0.4532521 0.4070426 \
             -0.4277357 -0.421772 \
             0.1630285 0.0696856 0.02293274 -0.08977542 -0.2197239 0.05386846 -0.4128379 0.1142377 \
             -0.3895573 \
             -0.6235086 0.1493711 -0.3165598 0.009278376 0.006151484 -0.05929057",
            "-1.225275 -1.778346",
        ],
        [
            "0 0.005852242 0 -0.002821787",
            "0 0.003445926 -0.001378371 0 -0.0001378371 0 0 0 0 0 0 0 -0.001234869 0 0 \
             -0.003704607 0 0.0144068 0 \
             0 0 0 0 0",
            "0.001929719 0.009467329",
        ],
    ];

    #[test]
    fn as_the_official_reference() {
        let ramp = |n: usize, k: usize| {
            (0..n).map(|i| ((i * k % 1009) as f64 - 504.0) / 256.0).collect::<Vec<f64>>()
        };
        let filter = |[h, w]: [usize; 2], k: usize| {
            let taps: Vec<f32> = (0..h * w).map(|i| ((i * k % 23) as f32 - 7.0) / 64.0).collect();
            if h == 1 && w > 1 {
                Filter::from_taps(&taps)
            } else {
                Filter::from_matrix(h, w, &taps)
            }
            .expect("filter")
        };
        let cases = [
            ((2, 2), [[1, 6], [1, 6]], [4, 3, 4, 2], None),
            ((4, 2), [[1, 12], [6, 6]], [5, 4, 6, 2], Some(0.75)),
            ((1, 2), [[1, 1], [3, 5]], [2, 1, 3, -1], Some(0.05)),
        ];
        for (((up, down), [a, b], padding, clamp), official) in cases.into_iter().zip(OFFICIAL) {
            let numbers = |text: &str| {
                text.split_whitespace().map(|v| v.parse().expect("number")).collect::<Vec<f64>>()
            };
            let [y, dx, db] = official.map(numbers);
            let activation = Activation { clamp, ..Activation::LRELU };
            let how = FilteredLrelu {
                up,
                up_filter: filter(a, 37),
                down_filter: filter(b, 31),
                down,
                padding,
                activation,
            };
            let var = |v: Vec<f64>, shape: &[usize]| {
                Var::from_tensor(&D { shape: shape.to_vec(), v }.tensor()).expect("var")
            };
            let (x, b) = (var(ramp(24, 389), &[1, 2, 4, 3]), var(vec![0.25, -0.5], &[2]));
            let found = filtered_lrelu(&x, &b, &how).expect("forward");
            close(&flat(&found), &y, 2e-6, "values");
            let probe = D { shape: found.dims().to_vec(), v: ramp(y.len(), 577) }.tensor();
            let grads = found
                .mul(&probe)
                .and_then(|l| l.sum_all())
                .and_then(|l| l.backward())
                .expect("backward");
            close(&flat(grads.get(&x).expect("gradient")), &dx, 2e-6, "gradient of x");
            close(&flat(grads.get(&b).expect("gradient")), &db, 2e-6, "gradient of the bias");
        }
    }

    #[test]
    fn the_single_operators_give_the_same() {
        for (i, case) in CASES.iter().enumerate() {
            let how = how(case, Activation { clamp: Some(2.0), ..Activation::LRELU });
            let (x, b) = (D::random("x", &[2, 3, 9, 10]).tensor(), D::random("b", &[3]).tensor());
            let one_by_one =
                one_by_one(&x, &b, how.filters((9, 10)).expect("filters"), how.activation)
                    .expect("ops");
            let fused = filtered_lrelu(&x, &b, &how).expect("fused");
            close(&flat(&fused), &flat(&one_by_one), 3e-6, &format!("filtered {i}"));
        }
    }

    #[test]
    fn the_bits_depend_neither_on_threads_nor_on_the_batch() {
        for case in [&CASES[1], &CASES[5]] {
            let how = how(case, Activation::LRELU);
            let (x, b) =
                (D::random("x", &[3, 20, 33, 35]).tensor(), D::random("b", &[20]).tensor());
            let all = |from: usize, n: usize| {
                let x = Var::from_tensor(&x.narrow(0, from, n).expect("part")).expect("var");
                let y = filtered_lrelu(&x, &b, &how).expect("forward");
                let grads =
                    y.sqr().and_then(|l| l.sum_all()).and_then(|l| l.backward()).expect("backward");
                let each = |t: &Tensor| {
                    t.chunk(n, 0).expect("samples").iter().map(flat).collect::<Vec<_>>()
                };
                (each(&y), each(grads.get(&x).expect("gradient")))
            };
            let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("pool");
            let [one, four] = [1, 4].map(|n| pool(n).install(|| all(0, 3)));
            assert!(one == four, "threads");
            let alone = all(1, 1);
            assert!(one.0[1] == alone.0[0] && one.1[1] == alone.1[0], "batch");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let (x, b) = (D::random("x", &[1, 3, 4, 4]).tensor(), D::random("b", &[3]).tensor());
        let good = FilteredLrelu { padding: [9; 4], ..how(&CASES[1], Activation::LRELU) };
        let said = |change: &dyn Fn(&mut FilteredLrelu)| {
            let mut bad = good.clone();
            change(&mut bad);
            filtered_lrelu(&x, &b, &bad).expect_err("nonsense").to_string()
        };
        assert!(filtered_lrelu(&x, &b, &good).is_ok());
        assert!(said(&|f| f.up = 0).contains("up 0") && said(&|f| f.down = 0).contains("down 0"));
        assert!(said(&|f| f.up = usize::MAX).contains("do not fit"), "overflow");
        assert!(
            said(&|f| f.padding = [isize::MAX; 4]).contains("do not fit"),
            "overflow of the padding"
        );
        assert!(
            said(&|f| f.padding = [1, 1, 9, 9]).contains("12 taps do not fit 4 pixels"),
            "narrower than the filter"
        );
        assert!(
            said(&|f| f.padding = [3, 3, 9, 9]).contains("12 taps do not fit 3 pixels"),
            "nothing left for the second"
        );
        assert!(said(&|f| f.padding = [9, 9, -50, 9]).contains("do not fit"), "all is cropped");
        for activation in [
            Activation { slope: -0.2, ..Activation::LRELU },
            Activation { slope: f64::NAN, ..Activation::LRELU },
            Activation { gain: 0.0, ..Activation::LRELU },
            Activation { gain: f64::INFINITY, ..Activation::LRELU },
            Activation { clamp: Some(-1.0), ..Activation::LRELU },
            Activation { clamp: Some(f64::NAN), ..Activation::LRELU },
        ] {
            assert!(
                said(&|f| f.activation = activation)
                    .contains("filtered_lrelu: an activation needs")
            );
        }
        let refused = |shape: &[usize], bias: usize| {
            filtered_lrelu(
                &D::random("x", shape).tensor(),
                &D::random("b", &[bias]).tensor(),
                &good,
            )
            .is_err()
        };
        assert!(
            refused(&[1, 3, 4, 4], 2)
                && refused(&[3, 4, 4], 3)
                && refused(&[1, 3, 0, 4], 3)
                && refused(&[1, 3, 4, 0], 3)
        );
        assert!(Filter::from_taps(&[]).is_err() && Filter::from_taps(&[1.0, f32::NAN]).is_err());
        let nan = Tensor::full(f32::NAN, (1, 3, 4, 4), &candle_core::Device::Cpu).expect("nan");
        let y = filtered_lrelu(
            &nan,
            &b,
            &FilteredLrelu {
                activation: Activation { clamp: Some(1.0), ..Activation::LRELU },
                ..good
            },
        );
        assert!(flat(&y.expect("nan")).iter().any(|v| v.is_nan()), "a NaN must stay visible");
    }
}
