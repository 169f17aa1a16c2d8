//! Tests of searches in PN and PN+ and of their prior, on the toy generator.

use super::methods::{LBFGS, OPTIMIZE};
use super::tests::{as_alone, foreign, generator, run, several, stats, stopping, values};
use super::*;
use crate::control::{Control, Stop};
use crate::error::Kind;
use crate::generator::codes;
use crate::generator::whitening::norms;
use std::time::Duration;

fn config(space: Space, steps: usize) -> Config {
    Config { steps, ..Config::new(space, &OPTIMIZE) }
}

fn held(space: Space, steps: usize, weight: f64) -> Config {
    Config { weights: [("prior_pn", weight)].into(), ..config(space, steps) }
}

#[test]
fn a_search_begins_at_the_mean_of_p_and_comes_nearer() {
    let g = generator();
    for (space, base) in [(Space::PN, Space::W), (Space::PNPlus, Space::WPlus)] {
        let begin = run(g.as_ref(), &foreign(0), &config(space, 0)).unwrap();
        assert!(values(begin.code.point()).iter().all(|v| *v == 0.0), "{space}");
        let found = run(g.as_ref(), &foreign(0), &config(space, 60)).unwrap();
        assert_eq!(found.code.space, space);
        let other = run(g.as_ref(), &foreign(0), &config(base, 60)).unwrap();
        let [begin, loss, other] = [&begin, &found, &other].map(|i| i.loss[0]);
        assert!(loss < 0.9 * begin && loss < 1.25 * other, "{space} {begin} {loss} {other}");
        // The same code in W or W+ makes the same picture and starts the search there.
        let code = spaces::lift(g.as_ref(), &found.code, base).unwrap();
        let again = codes::synthesize(g.as_ref(), &code, &Input::default()).unwrap();
        for (a, b) in values(&again).iter().zip(values(&found.reconstruction)) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
        for (from, to) in [(code, space), (found.code.clone(), base)] {
            let c = Config { init: Init::Latent(from), ..config(to, 0) };
            let there = run(g.as_ref(), &foreign(0), &c).unwrap();
            assert!((there.loss[0] - found.loss[0]).abs() < 1e-4, "{to}");
        }
    }
}

#[test]
fn the_prior_pulls_codes_of_every_space_with_a_w() {
    let g = generator();
    for space in [Space::W, Space::WPlus, Space::PN, Space::PNPlus, Space::F] {
        let to = match space {
            Space::W | Space::PN => Space::PN,
            _ => Space::PNPlus,
        };
        let norm = |i: &Inversion| {
            let code = spaces::lift(g.as_ref(), &i.code, to).unwrap();
            norms(code.point()).unwrap()[0]
        };
        let free = run(g.as_ref(), &foreign(0), &config(space, 40)).unwrap();
        let near = run(g.as_ref(), &foreign(0), &held(space, 40, 1.0)).unwrap();
        assert!(norm(&near) < 0.7 * norm(&free), "{space} {} {}", norm(&near), norm(&free));
        // The term is the square of the norm, and at the start of PN it is 0.
        let column = near.trace[0].names.iter().position(|n| *n == "prior_pn").unwrap();
        let at = near.trace[0].steps.iter().position(|s| *s == near.best_step[0]).unwrap();
        let term = near.trace[0].terms[at][column];
        assert!((term - norm(&near).powi(2)).abs() < 1e-3 * term.max(0.1), "{space} {term}");
        assert!(near.how.contains(" prior_pn 1 "), "{}", near.how);
    }
    for space in [Space::Z, Space::S, Space::N] {
        let e = run(g.as_ref(), &foreign(0), &held(space, 1, 1.0)).unwrap_err();
        assert!(e.repair().unwrap().contains("prior_pn: 0"), "{space}");
    }
}

#[test]
fn the_rows_of_a_pn_plus_code_are_held_together() {
    let g = generator();
    let free = run(g.as_ref(), &foreign(0), &config(Space::PNPlus, 60)).unwrap();
    let c = Config { weights: [("offset", 10.0)].into(), ..config(Space::PNPlus, 60) };
    let near = run(g.as_ref(), &foreign(0), &c).unwrap();
    let offset = |i: &Inversion| i.diagnosis.offsets.as_ref().unwrap()[0];
    assert!(offset(&near) < 0.5 * offset(&free), "{} {}", offset(&near), offset(&free));
}

#[test]
fn pictures_of_a_batch_are_those_alone() {
    let (g, control) = (generator(), Control::default());
    let stats = stats(g.as_ref());
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    let lbfgs = Config { steps: 6, ..Config::new(Space::PN, &LBFGS) };
    for c in [held(Space::PNPlus, 5, 0.01), held(Space::WPlus, 5, 0.01), lbfgs] {
        as_alone(&job, &several(5), &c, &[0, 4]);
    }
}

#[test]
fn a_stopped_search_goes_on_where_it_was() {
    let g = generator();
    let folder = tempfile::tempdir().unwrap();
    let stats = stats(g.as_ref());
    let path = folder.path().join("state");
    let plain = held(Space::PNPlus, 30, 0.01);
    let checkpoint = Some(Checkpoint { path, every: Duration::from_secs(3600) });
    let saved = Config { checkpoint, ..plain.clone() };
    let whole = run(g.as_ref(), &foreign(0), &plain).unwrap();
    let control = stopping(2, Stop::Checkpoint);
    let job = Job { stats: Some(&stats), ..Job::new(g.as_ref(), &control) };
    assert_eq!(invert(&job, &foreign(0), &saved).unwrap_err().kind(), Kind::Resumable);
    let resumed = run(g.as_ref(), &foreign(0), &saved).unwrap();
    assert_eq!(values(whole.code.point()), values(resumed.code.point()));
    assert_eq!(whole.trace, resumed.trace);
}
