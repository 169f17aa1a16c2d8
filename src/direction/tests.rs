//! Closed forms, and what may not be mixed.

use super::*;
use crate::latent::{Code, Direction, ModelId, Parts};
use crate::rng::Rng;
use crate::space::Space;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;

fn direction(space: Space, rows: usize, data: Vec<f64>) -> Direction {
    let dim = data.len() / rows;
    Direction {
        space,
        data,
        rows,
        dim,
        layers: None,
        model: None,
        name: "d".into(),
        origin: "test".into(),
        about: None,
    }
}

fn random(seed: u64, dim: usize) -> Direction {
    let mut rng = Rng::new(seed);
    direction(Space::W, 1, (0..dim).map(|_| rng.normal()).collect())
}

fn code(space: Space, shape: &[usize], seed: u64) -> Code {
    let point =
        Tensor::from_vec(Rng::new(seed).normals(shape.iter().product()), shape, &Device::Cpu)
            .unwrap();
    Code { space, parts: Parts::of(point), model: None, origin: "code".into() }
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn joint_and_not_chained() {
    // Worked by hand: base (1,1,1), conditions (1,0,0) and (1,1,0)/√2 leave (0,0,1); chaining the
    // two leaves (½,-½,1)… .
    let base = direction(Space::W, 1, vec![1.0, 1.0, 1.0]);
    let conditions =
        [direction(Space::W, 1, vec![1.0, 0.0, 0.0]), direction(Space::W, 1, vec![1.0, 1.0, 0.0])];
    let c = conditional(&base, &conditions).unwrap();
    let root3 = 3f64.sqrt();
    for (got, want) in c.direction.data.iter().zip([0.0, 0.0, 1.0]) {
        assert!((got - want).abs() < 1e-15);
    }
    assert_eq!(c.rank, 2);
    assert!((c.left - 1.0 / root3).abs() < 1e-15);
    let first = conditional(&base, &conditions[..1]).unwrap().direction;
    let chained = conditional(&first, &conditions[1..]).unwrap().direction;
    assert!(cosine(&chained, &conditions[0]).unwrap().abs() > 0.1);
}

#[test]
fn residual_cosines_vanish_also_for_nearly_parallel_conditions() {
    for (seed, gap) in [(1, 1.0), (2, 1e-4), (3, 1e-8), (4, 1e-12), (5, 1e-15), (6, 0.0)] {
        let (base, a) = (random(seed, 512), random(seed + 100, 512));
        let near = add(&a, &scale(&random(seed + 200, 512), gap)).unwrap();
        // Nearly parallel to the base as well.
        let close = add(&base, &scale(&random(seed + 300, 512), 1e-3)).unwrap();
        let c = conditional(&base, &[a.clone(), near.clone(), close.clone(), a.clone()]).unwrap();
        for condition in [&a, &near, &close] {
            let left = cosine(&c.direction, condition).unwrap().abs();
            assert!(left <= 1e-12, "gap {gap}: {left}");
        }
        assert!(c.after <= 1e-12);
        assert!((norm(&c.direction) / norm(&base) - c.left).abs() < 1e-12);
    }
}

#[test]
fn a_base_inside_the_span_says_so() {
    let (a, b) = (random(1, 64), random(2, 64));
    let inside = sub(&scale(&a, 2.0), &scale(&b, 0.5)).unwrap();
    let e = conditional(&inside, &[a, b]).unwrap_err();
    assert!(e.message().contains("span"));
    let zero = direction(Space::W, 1, vec![0.0; 64]);
    assert!(conditional(&inside, &[zero]).is_err());
}

#[test]
fn w_lifts_to_w_plus_everywhere() {
    let (w, plus) =
        (direction(Space::W, 1, vec![1.0, 2.0]), direction(Space::WPlus, 3, vec![1.0; 6]));
    assert_eq!(add(&w, &plus).unwrap().data, [2.0, 3.0, 2.0, 3.0, 2.0, 3.0]);
    assert_eq!(sub(&plus, &w).unwrap().data, [0.0, -1.0, 0.0, -1.0, 0.0, -1.0]);
    assert!((cosine(&w, &plus).unwrap() - 3.0 / 10f64.sqrt()).abs() < 1e-15);
    let c = conditional(&w, std::slice::from_ref(&plus)).unwrap().direction;
    assert_eq!((c.space, c.rows), (Space::WPlus, 3));
    assert!(cosine(&c, &plus).unwrap().abs() < 1e-15);
}

#[test]
fn layers_restrict() {
    let w = direction(Space::W, 1, vec![1.0, 2.0]);
    let part = at_layers(&w, 1..2, 3, &[]).unwrap();
    assert_eq!(part.data, [0.0, 0.0, 1.0, 2.0, 0.0, 0.0]);
    assert_eq!(part.layers, Some(1..2));
    assert!(at_layers(&w, 2..4, 3, &[]).unwrap_err().repair().unwrap().contains("0..3"));
    assert!(at_layers(&direction(Space::Z, 1, vec![1.0]), 0..1, 3, &[]).is_err());
}

#[test]
fn the_layers_of_a_style_direction_are_the_rows_of_w() {
    let s = direction(Space::S, 1, vec![1.0, 2.0, 3.0, 4.0, 5.0]);
    let sizes = [2, 2, 1];
    let part = at_layers(&s, 1..2, 3, &sizes).unwrap();
    assert_eq!(
        (part.space, part.rows, part.data.as_slice()),
        (Space::S, 1, [0.0, 0.0, 3.0, 4.0, 0.0].as_slice())
    );
    assert_eq!(at_layers(&s, 1..3, 3, &sizes).unwrap().data, [0.0, 0.0, 3.0, 4.0, 5.0]);
    assert!(at_layers(&s, 2..4, 3, &sizes).is_err());
    assert!(
        at_layers(&s, 0..1, 3, &[2, 2]).unwrap_err().message().contains("styles"),
        "of another generator"
    );
}

#[test]
fn what_was_measured_goes_with_the_first_change() {
    let about = Some(std::sync::Arc::new(crate::latent::About::default()));
    let d = Direction { about, ..direction(Space::W, 1, vec![1.0, 2.0]) };
    assert!(lift(&d, 3).unwrap().about.is_some(), "the same direction, written for all layers");
    let changed = [
        scale(&d, 2.0),
        unit(&d).unwrap(),
        add(&d, &d).unwrap(),
        at_layers(&d, 0..1, 3, &[]).unwrap(),
        conditional(&d, &[direction(Space::W, 1, vec![1.0, 0.0])]).unwrap().direction,
    ];
    assert!(changed.iter().all(|c| c.about.is_none()));
}

#[test]
fn differences_and_steps_undo_each_other() {
    let (a, b) = (code(Space::WPlus, &[1, 3, 5], 1), code(Space::W, &[1, 5], 2));
    let d = difference(&a, &b).unwrap();
    assert_eq!((d.space, d.rows), (Space::WPlus, 3));
    // Exact: the difference is double precision and the sum is rounded once.
    assert_eq!(values(apply(&b, 1.0, &d).unwrap().point()), values(a.point()));
    let same = apply(&a, 0.0, &d).unwrap();
    assert_eq!(values(same.point()), values(a.point()));
}

#[test]
fn a_w_direction_moves_every_layer_of_every_code() {
    let codes = code(Space::WPlus, &[2, 3, 2], 1);
    let moved = apply(&codes, 2.0, &direction(Space::W, 1, vec![0.5, -1.0])).unwrap();
    for (before, after) in values(codes.point()).chunks(2).zip(values(moved.point()).chunks(2)) {
        assert!(
            (after[0] - before[0] - 1.0).abs() < 1e-6 && (after[1] - before[1] + 2.0).abs() < 1e-6
        );
    }
    assert!(moved.origin.contains("2 * (test)"));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let z = direction(Space::Z, 1, vec![1.0, 2.0]);
    let w = code(Space::W, &[1, 2], 1);
    assert!(apply(&w, 1.0, &z).unwrap_err().message().contains("Z direction"));
    assert!(add(&z, &direction(Space::W, 1, vec![1.0, 2.0])).is_err());
    let model = |f: &str| Some(ModelId { name: "g".into(), fingerprint: f.into() });
    let (mine, other) =
        (Direction { model: model("aaaa"), ..z.clone() }, Direction { model: model("bbbb"), ..z });
    assert!(cosine(&mine, &other).unwrap_err().message().contains("different generators"));
}

fn facts(z: usize, w: usize) -> Facts {
    Facts {
        z_dim: z,
        w_dim: w,
        num_ws: 3,
        s_dim: 5,
        spaces: vec![Space::Z, Space::W, Space::WPlus, Space::S],
        model: None,
    }
}

fn arrays(list: &[(&str, &[usize], Vec<f64>)]) -> Arrays {
    list.iter()
        .map(|(n, s, d)| (n.to_string(), (s.to_vec(), d.clone())))
        .collect::<BTreeMap<_, _>>()
}

#[test]
fn boundaries_tell_their_space_or_ask() {
    let one = arrays(&[("", &[1, 2], vec![0.6, 0.8])]);
    let read = |file, space, z| from_arrays(&one, &Source { file, space }, &facts(z, 2));
    let e = read("stylegan_ffhq_age_boundary.npy", None, 2).unwrap_err();
    assert!(e.message().contains("Z or a W") && e.repair().unwrap().contains("space: W"));
    let named = read("dir/stylegan_ffhq_age_w_boundary.npy", None, 2).unwrap();
    assert_eq!(
        (named[0].space, named[0].name.as_str()),
        (Space::W, "stylegan_ffhq_age_w_boundary")
    );
    assert_eq!(read("age.npy", Some(Space::Z), 2).unwrap()[0].space, Space::Z);
    assert_eq!(read("age.npy", None, 7).unwrap()[0].space, Space::W);
    assert_eq!(read("age.npy", Some(Space::WPlus), 2).unwrap()[0].rows, 3);
    let layered = arrays(&[("", &[3, 2], vec![1.0; 6])]);
    assert_eq!(
        from_arrays(&layered, &Source { file: "p.pt", space: None }, &facts(2, 2)).unwrap()[0]
            .space,
        Space::WPlus
    );
    // Equal rows of a generator with more layers do not depend on them.
    let equal = arrays(&[("", &[1, 4, 2], [0.5, 2.0].repeat(4))]);
    let read = |space| from_arrays(&equal, &Source { file: "pose.pt", space }, &facts(2, 2));
    let found = &read(None).unwrap()[0];
    assert_eq!((found.space, found.rows, &found.data[..]), (Space::W, 1, &[0.5, 2.0][..]));
    assert!(found.origin.contains("4 rows are equal"), "{}", found.origin);
    let found = &read(Some(Space::WPlus)).unwrap()[0];
    assert_eq!((found.space, found.data.clone()), (Space::WPlus, [0.5, 2.0].repeat(3)));
    let wrong = arrays(&[("", &[4, 2], (0..8).map(f64::from).collect())]);
    let e = from_arrays(&wrong, &Source { file: "p.pt", space: None }, &facts(2, 2)).unwrap_err();
    assert!(e.message().contains("4×2") && e.repair().unwrap().contains("3×2"));
}

#[test]
fn one_file_may_hold_several_spaces() {
    let all = arrays(&[
        ("S/smile", &[5], vec![1.0; 5]),
        ("W/smile", &[2], vec![1.0; 2]),
        ("W+/smile", &[3, 2], vec![1.0; 6]),
        ("Z/smile", &[2], vec![1.0; 2]),
        ("age", &[2], vec![1.0; 2]),
        ("x/age", &[2], vec![1.0; 2]),
    ]);
    let read =
        from_arrays(&all, &Source { file: "d.safetensors", space: Some(Space::W) }, &facts(2, 2))
            .unwrap();
    let found: Vec<(&str, Space)> = read.iter().map(|d| (d.name.as_str(), d.space)).collect();
    let smiles =
        [("smile", Space::S), ("smile", Space::WPlus), ("smile", Space::W), ("smile", Space::Z)];
    assert_eq!(found, [&smiles[..], &[("age", Space::W), ("x/age", Space::W)]].concat());
    let short = arrays(&[("S/smile", &[4], vec![1.0; 4])]);
    let e = from_arrays(&short, &Source { file: "d.safetensors", space: None }, &facts(2, 2))
        .unwrap_err();
    assert!(e.repair().unwrap().contains("S is 1×5"), "{e}");
}

#[test]
fn components_step_in_sigmas() {
    let pca = arrays(&[
        ("comp", &[2, 1, 2], vec![1.0, 0.0, 0.0, 1.0]),
        ("mean", &[1, 2], vec![9.0, 9.0]),
        ("std", &[2], vec![3.0, 0.5]),
    ]);
    let all =
        from_arrays(&pca, &Source { file: "ffhq_pca.pt", space: None }, &facts(2, 2)).unwrap();
    assert_eq!(all.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["pc0", "pc1"]);
    assert_eq!(
        (all[0].data.as_slice(), all[1].data.as_slice()),
        ([3.0, 0.0].as_slice(), [0.0, 0.5].as_slice())
    );
    let torn = arrays(&[("comp", &[2, 1, 2], vec![1.0; 4]), ("std", &[1], vec![3.0])]);
    assert!(from_arrays(&torn, &Source { file: "x.pt", space: None }, &facts(2, 2)).is_err());
}

#[test]
fn the_columns_of_a_factorisation_are_directions() {
    let file = arrays(&[("eigvec", &[2, 2], vec![0.6, -0.8, 0.8, 0.6])]);
    let source = Source { file: "factor.pt", space: None };
    let all = from_arrays(&file, &source, &facts(7, 2)).unwrap();
    assert_eq!(all.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["sefa0", "sefa1"]);
    assert_eq!((all[0].space, &all[0].data[..]), (Space::W, &[0.6, 0.8][..]));
    assert_eq!(all[1].data, [-0.8, 0.6]);
    assert!(from_arrays(&file, &source, &facts(7, 3)).is_err(), "another generator");
}

#[test]
fn forms_are_told_by_names_and_shapes() {
    let of = |all: &[(&'static str, &'static [usize])]| form(all.iter().copied());
    assert_eq!(of(&[("comp", &[2, 1, 2]), ("mean", &[1, 2]), ("std", &[2])]), Form::Components);
    assert_eq!(of(&[("eigvec", &[2, 2])]), Form::Factor);
    assert_eq!(of(&[("eigvec", &[2, 3])]), Form::Plain);
    assert_eq!(of(&[("mean", &[2]), ("std", &[2])]), Form::Gaussian);
    assert_eq!(of(&[("mean", &[2]), ("std", &[3])]), Form::Plain);
    let gaussian = arrays(&[("mean", &[2], vec![1.0; 2]), ("std", &[2], vec![1.0; 2])]);
    let e =
        from_arrays(&gaussian, &Source { file: "g.pt", space: None }, &facts(2, 2)).unwrap_err();
    assert!(e.message().contains("distribution") && e.repair().unwrap().contains("latent"), "{e}");
    assert_eq!(spaces_for(1, 2, &facts(2, 2)), [Space::Z, Space::W]);
    assert_eq!(spaces_for(3, 2, &facts(7, 2)), [Space::WPlus]);
    assert!(spaces_for(4, 2, &facts(2, 2)).is_empty());
}

#[test]
fn values_must_be_finite() {
    let nan = arrays(&[("", &[2], vec![f64::NAN, 1.0])]);
    assert!(
        from_arrays(&nan, &Source { file: "x.npy", space: Some(Space::W) }, &facts(2, 2)).is_err()
    );
}

#[test]
fn joint_projection_equals_numpy_least_squares() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference/linear/orthogonal.json");
    let cases: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let vector = |v: &serde_json::Value| -> Vec<f64> { serde_json::from_value(v.clone()).unwrap() };
    for (name, case) in cases.as_object().unwrap() {
        let base = direction(Space::W, 1, vector(&case["direction"]));
        let conditions = case["conditions"].as_array().unwrap();
        let conditions: Vec<Direction> =
            conditions.iter().map(|c| direction(Space::W, 1, vector(c))).collect();
        let c = conditional(&base, &conditions).unwrap();
        assert_eq!(c.rank as u64, case["rank"].as_u64().unwrap(), "{name}");
        for (got, want) in c.direction.data.iter().zip(vector(&case["projected"])) {
            assert!((got - want).abs() < 1e-11 * norm(&base), "{name}: {got} {want}");
        }
        for (got, want) in c.before.iter().zip(vector(&case["cos_before"])) {
            assert!((got - want).abs() < 1e-14, "{name}");
        }
        assert!(c.after <= 1e-12, "{name}");
    }
    assert!(cases.as_object().unwrap().len() >= 8);
}
