//! Tests of layerwise inversion: dense networks in double precision, plain generators in single.

use super::layers::Tolerance;
use super::*;
use crate::generator::dcgan::{Stem, Toy};
use crate::generator::{Generator, Input, spaces};
use crate::rng::Rng;
use crate::space::Space;
use candle_core::{Device, Tensor};

/// A dense ReLU network of Gaussian weights.
struct Dense(Vec<Vec<Vec<f64>>>);

impl Dense {
    fn drawn(rng: &mut Rng, sizes: &[usize]) -> Self {
        let layer = |(n, m): (usize, usize), rng: &mut Rng| -> Vec<Vec<f64>> {
            let scale = 1.0 / (n as f64).sqrt();
            (0..m).map(|_| (0..n).map(|_| scale * rng.normal()).collect()).collect()
        };
        Self(sizes.windows(2).map(|pair| layer((pair[0], pair[1]), rng)).collect())
    }

    fn run(&self, z: &[f64]) -> Vec<f64> {
        let step = |x: Vec<f64>, rows: &Vec<Vec<f64>>| -> Vec<f64> {
            rows.iter().map(|row| dot(row, &x).max(0.0)).collect()
        };
        self.0.iter().fold(z.to_vec(), step)
    }

    /// From the values back to z; the largest violation of a layer with it.
    fn inverted(&self, values: &[f64], (slack, mut error): (Slack, f64)) -> Solved {
        let (mut values, mut worst) = (values.to_vec(), 0.0f64);
        for (at, rows) in self.0.iter().enumerate().rev() {
            let one = |(row, y): (&Vec<f64>, &f64)| Row {
                coefficients: row.clone(),
                value: y.max(0.0),
                equal: *y > error,
            };
            let rows: Vec<Row> = rows.iter().zip(&values).map(one).collect();
            let size = rows[0].coefficients.len();
            let solved = System { rows, size, positive: at > 0 }.solve(slack).unwrap();
            (values, worst) = (solved.input, worst.max(solved.violation));
            error *= layers::GROWTH;
        }
        Solved { input: values, violation: worst }
    }
}

fn far(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

#[test]
fn codes_of_expanding_networks_are_found_exactly() {
    for seed in 0..5 {
        let rng = &mut Rng::new(seed);
        let net = Dense::drawn(rng, &[6, 32, 72, 160]);
        let z: Vec<f64> = (0..6).map(|_| rng.normal()).collect();
        let found = net.inverted(&net.run(&z), (Slack::Largest, 1e-10));
        assert!(far(&found.input, &z) < 1e-9, "{seed}: {}", far(&found.input, &z));
        assert!(found.violation < 1e-9);
    }
}

/// With fewer equations than unknowns only the closed units decide.
#[test]
fn the_program_finds_what_the_equations_leave_open() {
    let rng = &mut Rng::new(2);
    let net = Dense::drawn(rng, &[8, 18]);
    let mut z = vec![0.0; 8];
    // A code for which few units are open.
    let open = |z: &[f64]| net.run(z).iter().filter(|y| **y > 0.0).count();
    for _ in 0..200 {
        let other: Vec<f64> = (0..8).map(|_| rng.normal()).collect();
        if open(&z) == 0 || open(&other) < open(&z) {
            z = other;
        }
    }
    assert!(open(&z) < 8, "{}", open(&z));
    let y = net.run(&z);
    for slack in [Slack::Largest, Slack::Sum] {
        let found = net.inverted(&y, (slack, 1e-12));
        assert!(found.violation < 1e-9 && far(&net.run(&found.input), &y) < 1e-8, "{slack:?}");
    }
}

#[test]
fn errors_grow_by_a_constant_and_what_cannot_be_is_told() {
    for slack in [Slack::Largest, Slack::Sum] {
        for error in [1e-4, 1e-3, 1e-2] {
            let (mut worst, rng) = (0.0f64, &mut Rng::new(7));
            for _ in 0..3 {
                let net = Dense::drawn(rng, &[5, 16, 44]);
                let z: Vec<f64> = (0..5).map(|_| rng.normal()).collect();
                let y: Vec<f64> =
                    net.run(&z).iter().map(|y| y + error * rng.normal().clamp(-1.0, 1.0)).collect();
                let found = net.inverted(&y, (slack, 2.0 * error));
                worst = worst.max(far(&found.input, &z));
                assert!(found.violation < 20.0 * error, "{slack:?} {error}: {}", found.violation);
            }
            assert!(worst < 10.0 * error, "{slack:?} {error}: {worst}");
        }
    }
    let net = Dense::drawn(&mut Rng::new(7), &[5, 16, 44]);
    let any: Vec<f64> = (0..44).map(|i| f64::from(i % 3)).collect();
    assert!(net.inverted(&any, (Slack::Largest, 1e-12)).violation > 0.3);
}

fn sample(g: &dyn Generator, seed: u64) -> (Tensor, Tensor) {
    let dim = g.spec().z_dim;
    let z = Tensor::from_vec(Rng::new(seed).normals(dim), (1, dim), &Device::Cpu).unwrap();
    let picture = spaces::picture(g, &z, Space::Z, &Input::default()).unwrap();
    (z, picture)
}

#[test]
fn plain_generators_are_inverted_through_norm_relu_and_tanh() {
    let tolerance = Tolerance { error: 0.0, slack: Slack::Largest };
    for stem in [Stem::Transposed, Stem::Linear] {
        let toy = Toy { stem, base: [2, 3], features: 4, doublings: 2, z_dim: 6, ..Toy::default() };
        let g = toy.build(&Device::Cpu).unwrap();
        let (z, picture) = sample(&g, 4);
        let found = inverted(&g, &picture, &Input::default(), tolerance).unwrap();
        let values = |t: &Tensor| -> Vec<f64> {
            t.to_vec2::<f32>().unwrap()[0].iter().map(|v| f64::from(*v)).collect()
        };
        assert!(far(&values(&found), &values(&z)) < 1e-3, "{found} {z}");
        // A picture that it does not make.
        let other = (picture * 0.5).unwrap().flip(&[3]).unwrap();
        let e = inverted(&g, &other, &Input::default(), tolerance).unwrap_err();
        assert!(e.message().contains("infeasible") && e.repair().is_some(), "{e}");
    }
    let narrow = Toy { features: 40, base: [2, 2], doublings: 2, ..Toy::default() };
    let e = layers::check(&narrow.build(&Device::Cpu).unwrap(), &Input::default()).unwrap_err();
    assert!(e.message().contains("do not decide"), "{e}");
    let e = layers::check(&*crate::invert::tests::generator(), &Input::default()).unwrap_err();
    assert!(e.message().contains("not a chain"), "{e}");
}
