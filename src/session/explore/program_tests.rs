//! Points as programs: what they say, and that they mean what they say.

use super::super::tests::{code_subject, subject};
use super::*;
use crate::session::explore::{Move, Walk};

fn point(subject: &Subject) -> Point {
    Point::new(subject.first(), subject.axes.len(), subject.layers)
}

#[test]
fn sliders_are_latent_arithmetic() {
    let s = subject("toy");
    let mut p = point(&s);
    let text = |p: &Point| s.expression(p, Words::Names);
    assert_eq!(text(&p), "sample(seed: 0)");
    p.sliders[0].amount = -0.8;
    assert_eq!(text(&p), "sample(seed: 0) - 0.8*age");
    p.sliders[2].amount = 1.0;
    assert_eq!(text(&p), "sample(seed: 0) + (-0.8*age + smile)");
    p.sliders[2].hold = true;
    assert_eq!(text(&p), "sample(seed: 0) + (-0.8*(age | smile) + smile)");
    p.sliders[1].hold = true;
    p.sliders[0].layers = Some(1..3);
    let wanted = "sample(seed: 0) + (-0.8*((age | [glasses, smile]) @ 1..3) + smile)";
    assert_eq!(text(&p), wanted);
    let wanted = "sample(seed: 0) + (-0.8*((direction(\"age\") | [direction(\"glasses\"), \
                  direction(\"smile\")]) @ 1..3) + direction(\"smile\"))";
    assert_eq!(s.expression(&p, Words::Written), wanted);
}

#[test]
fn walks_truncation_and_mixing_are_calls() {
    let s = subject("toy");
    let mut p = point(&s);
    let text = |p: &Point| s.expression(p, Words::Names);
    p.psi = 0.7;
    assert_eq!(text(&p), "sample(seed: 0, psi: 0.7)");
    p.at = 0.25;
    assert_eq!(text(&p), "lerp(sample(seed: 0, psi: 0.7), sample(seed: 1, psi: 0.7), 0.25)");
    p.at = 0.0;
    p.cutoff = Some(2);
    p.sliders[0].amount = 2.0;
    let rows = p.mixed.len();
    assert_eq!(
        text(&p),
        format!(
            "mix(sample(seed: 0, psi: 0.7) + 2*age, sample(seed: 0) + 2*age, layers: 2..{rows})"
        )
    );
    p.cutoff = None;
    p.mixed[1] = true;
    p.psi = 1.0;
    p.second = 9;
    assert_eq!(text(&p), "mix(sample(seed: 0) + 2*age, sample(seed: 9) + 2*age, layers: 1..2)");
    p.noise = Noise::Random(4);
    assert!(s.program(&p).ends_with("show render(edited, noise: random, seed: 4)\n"));
}

#[test]
fn a_code_that_was_given_keeps_its_words() {
    let (s, _) =
        code_subject("w = to(W+, sample(seed: 5))", "w", &["smile = direction(\"smile\")"]);
    let mut p = point(&s);
    p.sliders[0].amount = 0.5;
    assert_eq!(s.expression(&p, Words::Written), "w + 0.5*smile");
    p.psi = 0.5;
    assert_eq!(s.expression(&p, Words::Names), "lerp(to(W+, mean_w()), w, 0.5) + 0.5*smile");
    p.walk = Walk::Seeds;
    p.at = 0.5;
    p.psi = 1.0;
    let wanted = "lerp(w, sample(seed: 0, space: W+), 0.5) + 0.5*smile";
    assert_eq!(s.expression(&p, Words::Names), wanted);
    let (s, _) = code_subject("", "sample(seed: 1) + direction(\"age\")", &[]);
    let p = point(&s);
    assert_eq!(s.expression(&p, Words::Names), "start");
    assert_eq!(s.expression(&p, Words::Written), "(sample(seed: 1) + direction(\"age\"))");
    assert!(s.script(&p, &[]).starts_with("start = sample(seed: 1) + direction(\"age\")\n"));
}

#[test]
fn a_script_defines_what_it_uses() {
    let mut model = crate::session::explore::Model::new(subject("toy"));
    for change in [Move::Change(2.0), Move::Mark, Move::Choose(3), Move::Change(1.0)] {
        model.make(change);
    }
    let script = model.script("load \"toy\"\n");
    let lines: Vec<&str> = script.lines().collect();
    assert_eq!(lines[..3], ["load \"toy\"", "age = direction(\"age\")", "pc0 = pc[0]"]);
    assert_eq!(lines[3..5], ["# bookmark 1", "# show render(sample(seed: 0) + 0.5*age)"]);
    assert_eq!(lines[5], "edited = sample(seed: 0) + (0.5*age + 0.25*pc0)");
    assert_eq!(lines[6], "show render(edited)");
}

#[test]
fn what_a_family_reads_besides_a_code_is_said_to_render() {
    let mut s = subject("toy");
    (s.transform, s.camera, s.classes) = (true, true, 3);
    let mut p = point(&s);
    (p.rotate, p.shift, p.yaw, p.pitch, p.class) = (15.0, [0.1, -0.2], 20.0, -5.0, 2);
    let wanted =
        "render(sample(seed: 0, class: 2), rotate: 15, yaw: 20, pitch: -5, shift: [0.1, -0.2])";
    assert_eq!(s.picture(&p, Words::Names), wanted);
    (s.transform, s.camera, s.classes) = (false, false, 0);
    assert_eq!(s.picture(&p, Words::Names), "render(sample(seed: 0))");
    let rows = s.rows(&p);
    use crate::session::explore::Row;
    assert!(!rows.contains(&Row::Yaw) && !rows.contains(&Row::Class) && rows.contains(&Row::Psi));
}
