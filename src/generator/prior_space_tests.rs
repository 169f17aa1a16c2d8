use super::*;
use crate::generator::toy::Toy;
use crate::generator::{toy, whitening};
use crate::space::lattice;
use Space::{P, PN, PNPlus, S, W, WPlus, Z};
use candle_core::Var;

fn generator() -> Arc<dyn Generator> {
    toy(0, &Device::Cpu).unwrap()
}

fn numbers(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn sampled(g: &dyn Generator, n: usize, space: Space, labels: Option<&Tensor>) -> Tensor {
    let draw = Draw { seed: 7, space, labels, ..Draw::default() };
    spaces::sample(g, n, draw).unwrap().point().clone()
}

fn rise(g: &dyn Generator, code: &Tensor, ends: (Space, Space)) -> Tensor {
    spaces::rise(g, code, ends, &Input::default()).unwrap()
}

/// The largest difference, as a part of the largest number of `b`.
fn apart(a: &Tensor, b: &Tensor) -> f64 {
    let size = numbers(b).into_iter().fold(1e-30, |m: f64, v| m.max(v.abs()));
    let gaps = numbers(a).into_iter().zip(numbers(b)).map(|(x, y)| (x - y).abs());
    gaps.fold(0.0, f64::max) / size
}

#[test]
fn other_coordinates_lead_back_to_the_same_code_and_picture() {
    let g = generator();
    let g = g.as_ref();
    let w = sampled(g, 5, W, None);
    // Rows that differ.
    let ws = sampled(g, 5 * 8, W, None).reshape((5, 8, 16)).unwrap();
    for (code, own, others) in [(&w, W, &[P, PN][..]), (&ws, WPlus, &[PNPlus])] {
        for other in others {
            let there = rise(g, code, (own, *other));
            assert_eq!(there.dims(), code.dims());
            assert!(apart(&there, code) > 0.1, "{other}");
            assert!(apart(&rise(g, &there, (*other, own)), code) < 1e-5, "{other}");
            let picture = |t, space| spaces::picture(g, t, space, &Input::default()).unwrap();
            let gap = apart(&picture(&there, *other), &picture(code, own));
            assert!(gap < 1e-4, "{other} {gap}");
        }
    }
    // Numbers of PN survive the way through W, also in the narrowest axes.
    let v = Tensor::from_vec(crate::rng::Rng::new(3).normals(5 * 16), (5, 16), &Device::Cpu);
    let v = v.unwrap();
    assert!(apart(&rise(g, &rise(g, &v, (PN, W)), (W, PN)), &v) < 1e-4);
    assert!(apart(&rise(g, &v, (PN, WPlus)), &rise(g, &rise(g, &v, (PN, W)), (W, WPlus))) < 1e-6);
    assert!(apart(&rise(g, &v, (PN, S)), &rise(g, &rise(g, &v, (PN, W)), (W, S))) < 1e-5);
}

#[test]
fn every_way_of_the_lattice_is_computed() {
    let g = generator();
    for from in [Z, W, WPlus, S, P, PN, PNPlus] {
        let code = sampled(g.as_ref(), 2, from, None);
        for to in [Z, W, WPlus, S, P, PN, PNPlus] {
            let found = spaces::rise(g.as_ref(), &code, (from, to), &Input::default());
            assert_eq!(found.is_ok(), lattice::lift(from, to).is_ok(), "{from} {to}");
            if let Ok(found) = found {
                let shape = [vec![2], g.spec().dims().shape(to).unwrap()].concat();
                assert_eq!(found.dims(), shape, "{from} {to}");
            }
        }
    }
}

#[test]
fn the_samples_have_mean_0_and_covariance_1() {
    let g = generator();
    let drawn = spaces::sample(&*g, SAMPLES, Draw { seed: SEED, ..Draw::default() }).unwrap();
    let v = rise(g.as_ref(), drawn.point(), (W, PN));
    let rows = v.to_vec2::<f32>().unwrap();
    let dim = rows[0].len();
    let last = dim - g.whitening().unwrap().floored();
    assert!(last > dim / 2, "{last}");
    let mean =
        |f: &dyn Fn(&[f32]) -> f64| rows.iter().map(|row| f(row)).sum::<f64>() / rows.len() as f64;
    for i in 0..dim {
        assert!(mean(&|r| f64::from(r[i])).abs() < 1e-3, "{i}");
        for j in 0..=i {
            let covariance = mean(&|r| f64::from(r[i]) * f64::from(r[j]));
            let wanted = if i == j { 1.0 } else { 0.0 };
            if i < last || i != j {
                assert!((covariance - wanted).abs() < 2e-3, "{i} {j} {covariance}");
            } else {
                assert!(covariance < 1.0 + 1e-3, "{i} {covariance}");
            }
        }
    }
    // Samples that the statistics do not know.
    let other = whitening::norms(&rise(g.as_ref(), &sampled(&*g, 400, W, None), (W, PN))).unwrap();
    let square = other.iter().map(|n| n * n).sum::<f64>() / 400.0;
    assert!((square - last as f64 / dim as f64).abs() < 0.1, "{square}");
}

#[test]
fn gradients_are_those_of_differences() {
    let g = generator();
    let weights = |t: &Tensor| -> Tensor {
        let all = (0..t.elem_count()).map(|i| ((i * 7 % 11) as f32 - 5.0) / 5.0).collect();
        Tensor::from_vec::<_, f32>(all, t.dims(), &Device::Cpu).unwrap()
    };
    for ends in [(W, PN), (PN, W), (WPlus, PNPlus), (PNPlus, WPlus), (P, PN), (PN, P)] {
        let value = |code: &Tensor| -> Tensor {
            let found = rise(g.as_ref(), code, ends);
            (&found * weights(&found)).unwrap().sum_all().unwrap()
        };
        let at = sampled(g.as_ref(), 1, ends.0, None);
        let var = Var::from_tensor(&at).unwrap();
        let grads = value(&var).backward().unwrap();
        let slope = numbers(grads.get(&var).unwrap());
        let size = slope.iter().fold(0.0f64, |m, s| m.max(s.abs()));
        let data = at.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        // The function is linear but for kinks, which a step may cross.
        let (h, mut near) = (1e-3f32, 0);
        for i in 0..data.len() {
            let moved = |d: f32| {
                let mut data = data.clone();
                data[i] += d;
                let code = Tensor::from_vec(data, at.dims(), &Device::Cpu).unwrap();
                numbers(&value(&code))[0]
            };
            let difference = (moved(h) - moved(-h)) / f64::from(2.0 * h);
            near += usize::from((difference - slope[i]).abs() < 0.02 * size);
        }
        assert!(near * 10 >= data.len() * 9, "{ends:?}: {near} of {}", data.len());
    }
}

#[test]
fn numbers_are_those_of_numpy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/pn/whitening.json");
    let all: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let rows = |name: &str| -> Vec<Vec<f64>> { serde_json::from_value(all[name].clone()).unwrap() };
    let tensor = |name: &str| {
        let rows = rows(name);
        let data: Vec<f32> = rows.iter().flatten().map(|v| *v as f32).collect();
        Tensor::from_vec(data, (rows.len(), rows[0].len()), &Device::Cpu).unwrap()
    };
    let x = before_activation(&tensor("w")).unwrap().flatten_all().unwrap();
    let whitening = Whitening::of(&x.to_vec1::<f32>().unwrap(), 4, &Device::Cpu).unwrap();
    assert_eq!(whitening.floored() as u64, all["floored"].as_u64().unwrap());
    let p = before_activation(&tensor("queries")).unwrap();
    assert!(apart(&p, &tensor("p")) < 1e-6);
    assert!(apart(&whitening::activated(&p).unwrap(), &tensor("queries")) < 1e-6);
    let v = whitening.whiten(&p).unwrap();
    // Axis by axis: the last one has numbers a hundred times as large.
    for axis in 0..4 {
        let of = |t: &Tensor| t.narrow(1, axis, 1).unwrap();
        assert!(apart(&of(&v), &of(&tensor("pn"))) < 1e-4, "{axis}");
    }
    assert!(apart(&whitening.colour(&v).unwrap(), &p) < 1e-4);
    let norm: Vec<f64> = serde_json::from_value(all["norm"].clone()).unwrap();
    for (a, b) in whitening::norms(&v).unwrap().into_iter().zip(norm) {
        assert!((a - b).abs() < 1e-4 * b, "{a} {b}");
    }
    assert!(Whitening::of(&[2.0; 12], 4, &Device::Cpu).is_err(), "all alike");
    assert!(Whitening::of(&[f32::NAN; 12], 4, &Device::Cpu).is_err());
}

#[test]
fn tuned_weights_leave_the_space_as_it_was() {
    let g = generator();
    let doubled = |(name, t): (String, Tensor)| (name, (t * 2.0).unwrap());
    let other = g.with_weights(&g.weights().unwrap().into_iter().map(doubled).collect()).unwrap();
    let w = sampled(g.as_ref(), 3, W, None);
    assert_eq!(numbers(&rise(&*other, &w, (W, PN))), numbers(&rise(&*g, &w, (W, PN))));
    assert!(apart(&sampled(&*other, 3, W, None), &w) > 0.01);
}

#[test]
fn of_a_generator_with_classes_the_prior_is_that_of_all() {
    let toy = Toy { c_dim: 3, resolution: 8, ..Toy::default() };
    let g = with_prior_spaces(Arc::new(toy.build(&Device::Cpu).unwrap()));
    let label = |k: usize| {
        let one = (0..3).map(|i| f32::from(u8::from(i == k))).collect::<Vec<f32>>();
        Tensor::from_vec(one, (1, 3), &Device::Cpu).unwrap()
    };
    let (mut whole, mut each) = (vec![0.0; 16], 0.0f64);
    for k in 0..3 {
        let v = rise(&*g, &sampled(&*g, 500, W, Some(&label(k))), (W, PN));
        let mean = numbers(&v.mean(0).unwrap());
        whole.iter_mut().zip(&mean).for_each(|(w, m)| *w += m / 3.0);
        each = mean.iter().fold(each, |most, m| most.max(m.abs()));
    }
    let whole = whole.into_iter().fold(0.0f64, |m, v| m.max(v.abs()));
    assert!(whole < 0.15 && each > 2.0 * whole, "{whole} {each}");
}

#[test]
fn a_generator_that_keeps_nothing_says_so() {
    let bare = Arc::new(Toy::default().build(&Device::Cpu).unwrap());
    let e = bare.whitening().expect_err("nothing keeps it");
    assert!(e.message().contains("PN"), "{e:?}");
    let kept = with_prior_spaces(bare);
    assert_eq!(kept.whitening().unwrap().floored(), generator().whitening().unwrap().floored());
}
