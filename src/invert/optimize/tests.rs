//! Tests of all optimizers together.

use super::*;
use candle_core::{DType, Device};

/// A fresh optimizer.
type Make = Box<dyn Fn() -> Box<dyn Optimizer>>;

/// Every optimizer by its name, with a learning rate.
fn every() -> Vec<(&'static str, Make, f64)> {
    fn one<O: Optimizer + 'static>(make: impl Fn() -> O + 'static) -> Make {
        Box::new(move || Box::new(make()))
    }
    let cma = CmaSettings { sigma: 0.5, wait: None };
    let hmc = HmcSettings { temperature: 0.1, leapfrog: 3, warmup: 4 };
    vec![
        ("adam", one(Adam::default), 0.05),
        ("sgd", one(Sgd::default), 0.003),
        ("rmsprop", one(RmsProp::default), 0.02),
        ("adamax", one(Adamax::default), 0.05),
        ("lookahead", one(ranger), 0.05),
        ("sphere", one(|| Sphere::new(Box::new(ranger()))), 0.05),
        ("lbfgs", one(|| Lbfgs::new(LbfgsSettings::default())), 0.0),
        ("cma", one(move || Cma::new(cma)), 0.0),
        ("basincma", one(move || BasinCma::new(cma, 3)), 0.05),
        ("hmc", one(move || Hmc::new(hmc)), 0.05),
    ]
}

/// `Σ x² + 10 (1 − cos 2πx)`, with its gradient: a grid of minima, 0 the lowest.
fn rastrigin(x: &[f64]) -> (f64, Vec<f64>) {
    let tau = std::f64::consts::TAU;
    let loss = x.iter().map(|v| v * v + 10.0 * (1.0 - (tau * v).cos())).sum();
    (loss, x.iter().map(|v| 2.0 * v + 10.0 * tau * (tau * v).sin()).collect())
}

/// A code and a map of single precision, as a search has them.
fn start() -> Vec<Tensor> {
    let draw = |seed: u64, dims: &[usize]| {
        let values = crate::rng::Rng::new(seed).normals(dims.iter().product());
        Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
    };
    vec![draw(1, &[1, 2, 3]), draw(2, &[1, 1, 2, 2])]
}

/// The points of so many evaluations; before evaluation `moved` the state goes into a fresh
/// optimizer.
fn path(make: &Make, rate: f64, moved: Option<usize>) -> Vec<Vec<u32>> {
    let (mut optimizer, mut at, mut points) = (make(), start(), Vec::new());
    for n in 0..60 {
        if moved == Some(n) {
            let mut fresh = make();
            fresh.restore(&optimizer.save()).unwrap();
            optimizer = fresh;
        }
        let values = vectors::flat(&at).unwrap();
        points.push(values.iter().map(|v| (*v as f32).to_bits()).collect());
        let (loss, slope) = rastrigin(&values);
        let gradients = vectors::shaped(&slope, &at).unwrap();
        let gradients = if optimizer.gradients() { &gradients[..] } else { &[] };
        let Some(next) = optimizer.next(&at, &Worth { loss, gradients, rate, seed: 9 }).unwrap()
        else {
            break;
        };
        assert!(next.iter().zip(&at).all(|(a, b)| a.dims() == b.dims() && a.dtype() == b.dtype()));
        at = next;
    }
    points
}

#[test]
fn saved_before_any_evaluation_it_goes_on_with_the_same_bits() {
    for (name, make, rate) in every() {
        assert_eq!(make().name(), name);
        let whole = path(&make, rate, None);
        assert!(whole.len() > 20 && whole[0] != whole[whole.len() - 1], "{name}");
        for n in 0..whole.len() {
            assert_eq!(path(&make, rate, Some(n)), whole, "{name} saved before evaluation {n}");
        }
    }
}

#[test]
fn other_seeds_draw_other_points_where_anything_is_drawn() {
    for (name, make, rate) in every() {
        let second = |seed: u64| {
            let (mut optimizer, at) = (make(), start());
            let (loss, slope) = rastrigin(&vectors::flat(&at).unwrap());
            let gradients = vectors::shaped(&slope, &at).unwrap();
            let worth = Worth { loss, gradients: &gradients, rate, seed };
            vectors::flat(&optimizer.next(&at, &worth).unwrap().unwrap()).unwrap()
        };
        let draws = ["cma", "basincma", "hmc"].contains(&name);
        assert_eq!(second(1) != second(2), draws, "{name}");
        assert_eq!(second(1), second(1), "{name}");
    }
}

#[test]
fn a_state_without_one_of_its_parts_or_of_another_size_is_refused() {
    for (name, make, rate) in every() {
        let (mut optimizer, mut at) = (make(), start());
        // In the middle of a proposal, a refinement, a generation.
        for _ in 0..5 {
            let (loss, slope) = rastrigin(&vectors::flat(&at).unwrap());
            let gradients = vectors::shaped(&slope, &at).unwrap();
            let worth = Worth { loss, gradients: &gradients, rate, seed: 9 };
            at = optimizer.next(&at, &worth).unwrap().unwrap();
        }
        let saved = optimizer.save();
        make().restore(&saved).unwrap();
        for part in saved.keys() {
            let mut less = saved.clone();
            less.remove(part);
            // Without its line search L-BFGS begins a new one.
            let fits = make().restore(&less).is_ok();
            assert!(!fits || (name, part.as_str()) == ("lbfgs", "line"), "{name} without {part}");
        }
        // Fewer parameters than it began with.
        let (loss, gradients) = (1.0, [at[0].clone()]);
        let worth = Worth { loss, gradients: &gradients, rate, seed: 9 };
        assert!(optimizer.next(&at[..1], &worth).is_err(), "{name}");
    }
}

/// The lowest loss of so many evaluations from a start.
fn lowest(make: &Make, (from, rate, most): (&[f64], f64, usize), seed: u64) -> f64 {
    let mut optimizer = make();
    let (mut at, mut best) = (vec![Tensor::new(from, &Device::Cpu).unwrap()], f64::INFINITY);
    for _ in 0..most {
        let (loss, slope) = rastrigin(&at[0].to_vec1::<f64>().unwrap());
        best = best.min(loss);
        let gradients = [Tensor::new(slope, &Device::Cpu).unwrap()];
        let gradients = if optimizer.gradients() { &gradients[..] } else { &[] };
        match optimizer.next(&at, &Worth { loss, gradients, rate, seed }).unwrap() {
            Some(next) => at = next,
            None => break,
        }
    }
    best
}

#[test]
fn on_many_minima_basincma_beats_cma_and_cma_beats_adam_at_equal_evaluations() {
    let n = 8;
    let settings = CmaSettings { sigma: 2.0, wait: None };
    let methods: [(Make, f64); 3] = [
        (Box::new(|| Box::new(Adam::default())), 0.05),
        (Box::new(move || Box::new(Cma::new(settings))), 0.0),
        (Box::new(move || Box::new(BasinCma::new(settings, 10))), 0.05),
    ];
    let mut means = [0.0; 3];
    for seed in 0..10 {
        let mut rng = crate::rng::Rng::new(seed);
        let from: Vec<f64> = (0..n).map(|_| 3.0 * rng.normal()).collect();
        for (mean, (make, rate)) in means.iter_mut().zip(&methods) {
            *mean += lowest(make, (&from, *rate, 3000), seed) / 10.0;
        }
    }
    let [adam, cma, basin] = means;
    assert!(basin < 0.7 * cma && cma < 0.7 * adam, "Adam {adam} CMA {cma} BasinCMA {basin}");
}

/// The losses that the official BasinCMA tells CMA-ES for its candidates: those after the last of
/// the steps of Adam, which begin anew at every candidate (tests/reference/optim/basincma.json).
#[test]
fn basincma_tells_the_loss_after_the_last_step_as_pix2latent_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/optim/basincma.json");
    let known: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (steps, rate) =
        (known["steps"].as_u64().unwrap() as usize, known["rate"].as_f64().unwrap());
    let numbers = |v: &serde_json::Value| -> Vec<f64> {
        v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let settings = CmaSettings { sigma: 1.5, wait: None };
    for generation in known["generations"].as_array().unwrap() {
        let told = numbers(&generation["losses"]);
        for (candidate, told) in generation["candidates"].as_array().unwrap().iter().zip(told) {
            let candidate = numbers(candidate);
            let mut optimizer = BasinCma::new(settings, steps);
            let single = |v: &[f64]| Tensor::new(v, &Device::Cpu).unwrap().to_dtype(DType::F32);
            let mut at = vec![single(&candidate).unwrap()];
            let evaluated = |optimizer: &mut BasinCma, at: &[Tensor]| {
                let (loss, slope) = rastrigin(&vectors::flat(at).unwrap());
                let gradients = vectors::shaped(&slope, at).unwrap();
                let worth = Worth { loss, gradients: &gradients, rate, seed: 9 };
                (loss, optimizer.next(at, &worth).unwrap().unwrap())
            };
            evaluated(&mut optimizer, &at);
            // The candidate of the official run in place of ours.
            let mut saved = optimizer.save();
            saved.insert("basin".into(), Stored::Numbers(vec![1.0, 0.0]));
            saved.insert("candidate".into(), Stored::Numbers(candidate));
            optimizer.restore(&saved).unwrap();
            let taken = |o: &BasinCma| numbers_of(o, "basin")[1];
            for _ in 0..steps {
                at = evaluated(&mut optimizer, &at).1;
                assert!(taken(&optimizer) > 0.0, "the candidate is being refined");
            }
            let (loss, _) = evaluated(&mut optimizer, &at);
            assert!(taken(&optimizer) < 0.0, "it was told");
            assert!((loss / told - 1.0).abs() < 1e-4, "{loss} {told}");
        }
    }
}

fn numbers_of(optimizer: &BasinCma, name: &str) -> Vec<f64> {
    super::numbers(&optimizer.save(), name).unwrap().to_vec()
}

#[test]
fn parameters_keep_their_type() {
    // All states of first-order optimizers are of the parameters' type.
    let at = [Tensor::zeros((1, 2), DType::F64, &Device::Cpu).unwrap()];
    for (name, make, rate) in every() {
        let worth = Worth { loss: 1.0, gradients: &[at[0].ones_like().unwrap()], rate, seed: 0 };
        let next = make().next(&at, &worth).unwrap().unwrap();
        assert_eq!(next[0].dtype(), DType::F64, "{name}");
    }
}
