//! Tests of the ladder on the toy generator.

use super::tests::{config, foreign, generator, stats, values};
use super::*;
use crate::control::{Control, Stop};
use std::sync::{Arc, OnceLock};

#[test]
fn feature_maps_and_weights_begin_at_the_codes_that_they_contain() {
    let (g, control) = (generator(), Control::default());
    let stats = stats(g.as_ref());
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let all = Rung::all(g.as_ref()).unwrap();
    assert_eq!(all.iter().map(|r| r.name()).collect::<Vec<_>>(), ["Z", "W", "W+", "S", "F", "pti"]);
    let rungs = ladder(&job, &foreign(0), &config(Space::W, 25), &all).unwrap();
    let of = |name: &str| &rungs.iter().find(|(r, _)| r.name() == name).unwrap().1;
    let first = |i: &Inversion| i.trace[0].losses()[0];
    for (below, above) in [("Z", "W"), ("W", "W+"), ("W+", "S"), ("W+", "F"), ("W", "pti")] {
        let (below, above) = (of(below), of(above));
        assert!((first(above) - below.loss[0]).abs() < 1e-6, "it begins where that one ended");
        assert!(above.loss[0] < below.loss[0]);
        assert_eq!(
            Rung::of(above).name(),
            rungs.iter().find(|(_, i)| i.loss == above.loss).unwrap().0.name()
        );
    }
    // The pivot keeps its place: only the weights move.
    assert_eq!(values(of("pti").code.point()), values(of("W").code.point()));
    assert!(of("pti").code.parts.tune() && of("pti").steps == 25);
}

#[test]
fn a_ladder_that_is_stopped_keeps_its_rungs() {
    let g = generator();
    let stats = stats(g.as_ref());
    let of = |rungs: &[Rung], at: usize| {
        let control = Arc::new(OnceLock::<Control>::new());
        let own = control.clone();
        let made = Control::new(move |p| {
            if p.step >= at {
                own.get().unwrap().request(Stop::Keep);
            }
        });
        control.set(made.clone()).ok().unwrap();
        let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &made) };
        ladder(&job, &foreign(0), &config(Space::W, 20), rungs).unwrap()
    };
    let all = Rung::all(g.as_ref()).unwrap();
    let found = of(&all, 30);
    assert_eq!(found.iter().map(|(r, _)| r.name()).collect::<Vec<_>>(), ["Z", "W"]);
    assert!(found[0].1.stopped_at().is_none() && found[1].1.stopped_at().is_some());
}
