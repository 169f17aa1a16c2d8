//! Explorations as a screen uses them, without one.

use super::*;
use crate::builtin::{Along, Exploration, Output, as_latent};
use crate::control::Control;
use crate::error::Span;
use crate::eval::{Options, State};
use crate::image::Raster;
use crate::lang::span::Source;
use crate::render::Block;
use crate::rng::Rng;
use crate::value::{Models, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn state(generator: &str) -> State {
    State::new(Models::cpu(), generator, Options::default()).unwrap()
}

/// Samples of a generator along its own directions.
pub(super) fn subject(generator: &str) -> Subject {
    Subject::samples(&state(generator)).unwrap().0
}

/// A call of `explore` on the toy, after some statements, along the names that `more` binds.
pub(super) fn code_subject(
    before: &str,
    written: &str,
    more: &[&str],
) -> (Subject, (State, Vec<(String, Value)>)) {
    let mut state = state("toy");
    let text = format!("{before}\n{}\nprobe = {written}", more.join("\n"));
    run(&mut state, &text);
    let code = as_latent(&state.names.remove("probe").unwrap()).unwrap();
    let along = more.iter().map(|line| {
        let name = line.split(' ').next().unwrap().to_owned();
        let Value::Direction(forms) = state.names[&name].clone() else { panic!("{name}") };
        Along { written: name, forms }
    });
    let along = along.collect();
    let what = Exploration { code, written: written.to_owned(), along, span: Span::default() };
    let (subject, bound) = Subject::of(&what, &state).unwrap();
    (subject, (state, bound))
}

/// The last picture that a program shows.
#[derive(Default)]
struct Last(Option<Raster>);

impl Output for Last {
    fn display(&mut self, blocks: &[Block], _: &Value) -> crate::error::Result<()> {
        for block in blocks {
            if let Block::Pictures(all) = block {
                self.0 = all.last().map(|p| p.raster.clone());
            }
        }
        Ok(())
    }

    fn print(&mut self, _: &str) -> crate::error::Result<()> {
        Ok(())
    }
}

fn run(state: &mut State, text: &str) -> Option<Raster> {
    let (source, mut last) = (Source::new("test", text).unwrap(), Last::default());
    state.run(&source, &BTreeMap::new(), &Control::default(), &mut last).unwrap_or_else(|e| {
        panic!("{}", crate::lang::span::render(&source, &e, false));
    });
    last.0
}

/// A random move; `None` for one of the kinds that choose a place themselves.
fn any_move(rng: &mut Rng, model: &Model) -> Move {
    let pick = |rng: &mut Rng, n: usize| (rng.uniform() * n as f64) as usize % n.max(1);
    let row = model.rows()[pick(rng, model.rows().len())];
    let steps = [1.0, -1.0, 3.0, -2.0, 0.2][pick(rng, 5)];
    let styled: Vec<usize> =
        (0..model.subject.network.len()).filter(|k| model.subject.network[*k].styles > 0).collect();
    match pick(rng, 30) {
        26..=28 if !styled.is_empty() => {
            let layer = styled[pick(rng, styled.len())];
            let channel = pick(rng, model.subject.network[layer].styles);
            Move::Channel(layer, channel, steps)
        }
        29 => match model.now().channels.keys().next() {
            Some((layer, channel)) => Move::ChannelBack(*layer, *channel),
            None => Move::Undo,
        },
        0..=4 => Move::ChooseRow(row),
        5..=9 => Move::Change(steps),
        10 | 11 => Move::Drag(row, rng.uniform()),
        12 => Move::Release,
        13 => Move::Hold,
        14 | 15 => Move::Layers,
        16 => Move::Mix,
        17 => Move::Seed(steps as i64),
        18 => Move::Stroll,
        19 => Move::Walk,
        20 => Move::Pin,
        21 => Move::Noise,
        22 => Move::Compare(pick(rng, 2)),
        23 => [Move::Mark, Move::Recall(pick(rng, 3))][pick(rng, 2)].clone(),
        24 => [Move::Undo, Move::Redo, Move::Reset, Move::ResetAll][pick(rng, 4)].clone(),
        _ => Move::Place(model.map.amounts(&model.subject, [pick(rng, 5) as i64 - 2, 1])),
    }
}

/// The program of the settings now.
fn program(model: &Model) -> String {
    model.subject.program(model.now())
}

/// The picture of a model, through its renderer.
fn shown(renderer: &mut Renderer, model: &Model) -> crate::error::Result<Arc<Raster>> {
    Ok(renderer.wait(&program(model))?.picture.unwrap())
}

#[test]
fn thirty_moves_exported_as_a_script_give_the_last_picture_again() {
    for (generator, seed) in [("toy", 1), ("toy", 2), ("toy", 3), ("faces", 4)] {
        let state = state(generator);
        let (subject, bound) = Subject::samples(&state).unwrap();
        let mut renderer = Renderer::new(&state, bound).unwrap();
        let (mut model, mut rng, mut moves) = (Model::new(subject), Rng::new(seed), 0);
        while moves < 30 {
            let change = any_move(&mut rng, &model);
            if !matches!(change, Move::ChooseRow(_) | Move::Release | Move::Layers) {
                moves += 1;
            }
            model.make(change);
        }
        // Some channel of S is among the settings.
        let styled = model.subject.network.iter().position(|l| l.styles > 2);
        model.make(Move::Channel(styled.unwrap(), 2, 3.0));
        assert!(model.script("").contains("*channel(\""), "{}", model.script(""));
        // A move whose directions cannot be combined shows its error; it is taken back.
        while shown(&mut renderer, &model).is_err() {
            model.make(Move::Undo);
        }
        let picture = shown(&mut renderer, &model).unwrap();
        let script = model.script(&format!("load \"{generator}\"\n"));
        let again = run(&mut self::state("toy"), &script).unwrap();
        assert_eq!(again, *picture, "{script}");
        // The code that is given back shows the same picture, without what `render` adds.
        let code = renderer.code(&model).unwrap();
        let mut plain = model.clone();
        plain.make(Move::ChooseRow(Row::Noise));
        plain.make(Move::Reset);
        let picture = shown(&mut renderer, &plain).unwrap();
        let mut last = self::state(generator);
        last.names.insert("chosen".into(), Value::Latent(code));
        assert_eq!(run(&mut last, "show chosen").unwrap(), *picture, "{script}");
    }
}

#[test]
fn a_thousand_random_moves_each_have_a_program() {
    for (seed, subject) in [
        (1, subject("toy")),
        (2, code_subject("w = to(W+, sample(seed: 1))", "w", &["a = direction(\"age\")"]).0),
        (3, code_subject("w = to(S, sample(seed: 1))", "w", &["a = direction(\"age\")"]).0),
        (4, code_subject("w = sample(seed: 1, space: Z)", "w", &["a = direction(\"age\")"]).0),
        (5, code_subject("w = sample(seed: 1)", "w", &[]).0),
    ] {
        let (mut model, mut rng) = (Model::new(subject), Rng::new(seed));
        for _ in 0..if seed == 1 { 1000 } else { 250 } {
            let change = any_move(&mut rng, &model);
            model.make(change);
            let text = model.script("");
            let source = Source::new("test", text.as_str()).unwrap();
            let (program, errors) = crate::lang::parse::parse(&source);
            assert!(errors.is_empty() && program.statements.len() > 1, "{text}");
            for row in model.rows() {
                let (name, value) = model.subject.shown(model.now(), row);
                assert!(!name.is_empty() && !value.is_empty());
                let knob = model.subject.knob(model.now(), row);
                assert!(knob.is_none_or(|k| (0.0..=1.0).contains(&k)), "{row:?} {knob:?}");
            }
            let range = |s: &Slider| s.layers.as_ref().is_none_or(|l| l.start < l.end);
            assert!(model.now().sliders.iter().all(range), "{:?}", model.now());
        }
    }
}

use super::point::Slider;

#[test]
fn every_space_runs_what_its_sliders_say() {
    for space in ["Z", "W", "W+", "S"] {
        let draw = if space == "Z" {
            "sample(seed: 3, space: Z)".to_owned()
        } else {
            format!("to({space}, sample(seed: 3))")
        };
        let more = ["smile = direction(\"smile\")", "age = direction(\"age\")"];
        let (subject, (state, bound)) = code_subject(&format!("w = {draw}"), "w", &more);
        let mut renderer = Renderer::new(&state, bound).unwrap();
        let mut model = Model::new(subject);
        let begun = shown(&mut renderer, &model).unwrap();
        let mut seen = vec![begun.clone()];
        let mut changed = |renderer: &mut Renderer, model: &Model, what: &str| {
            let picture = shown(renderer, model).unwrap_or_else(|e| panic!("{space} {what}: {e}"));
            assert!(!seen.contains(&picture), "{space} {what} changes nothing");
            seen.push(picture);
        };
        model.make(Move::Change(4.0));
        changed(&mut renderer, &model, "smile");
        model.make(Move::Choose(1));
        model.make(Move::Change(-3.0));
        changed(&mut renderer, &model, "age");
        model.make(Move::Hold);
        changed(&mut renderer, &model, "hold");
        if model.subject.layers > 0 {
            model.make(Move::Layers);
            model.make(Move::Change(1.0));
            changed(&mut renderer, &model, "layers");
            model.make(Move::Mix);
            changed(&mut renderer, &model, "mix");
            model.make(Move::ChooseRow(Row::Psi));
            model.make(Move::Change(-4.0));
            changed(&mut renderer, &model, "psi");
        }
        let layer = model.subject.network.iter().position(|l| l.name == "b8.conv0").unwrap();
        model.make(Move::Channel(layer, 1, 8.0));
        changed(&mut renderer, &model, "channel");
        if let Some(drift) = model.subject.drift(model.now(), &model.now().unedited()) {
            renderer.wait(&drift).unwrap();
        }
        model.make(Move::Noise);
        changed(&mut renderer, &model, "noise");
        model.make(Move::Stroll);
        changed(&mut renderer, &model, "walk");
        model.make(Move::ResetAll);
        assert_eq!(shown(&mut renderer, &model).unwrap(), begun, "{space}");
    }
}

#[test]
fn channels_of_s_are_settings_with_maps_and_numbers() {
    let state = state("toy");
    let (subject, bound) = Subject::samples(&state).unwrap();
    let mut renderer = Renderer::new(&state, bound).unwrap();
    let mut model = Model::new(subject);
    let before = model.rows().len();
    let layer = model.subject.network.iter().position(|l| l.name == "b8.conv0").unwrap();
    let count = model.subject.network[layer].styles;
    for (channel, steps) in [(1, 2.0), (1, 2.0), (0, -1.0), (count, 1.0), (count + 9, 1.0)] {
        model.make(Move::Channel(layer, channel, steps));
    }
    let written =
        "to(S, sample(seed: 0)) - 0.5*channel(\"b8.conv0\", 0) + 2*channel(\"b8.conv0\", 1)";
    assert_eq!(model.written(), written);
    assert_eq!((model.rows().len(), model.history().0), (before + 2, 2));
    model.make(Move::ChooseRow(Row::Channel(layer, 1)));
    model.make(Move::Change(-4.0));
    assert_eq!(model.rows().len(), before + 1, "back at its beginning it is not listed");
    assert_eq!(model.row(), model.rows()[0]);
    let styles = renderer.wait(&model.subject.styles(model.now())).unwrap().code.unwrap();
    assert_eq!(styles.space, crate::space::Space::S);
    let moved = renderer.code(&model).unwrap();
    let same = |a: &crate::latent::Code| a.point().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(same(&moved), same(&styles));
    renderer.wait(&model.subject.spread().unwrap()).unwrap();
    assert!(renderer.model().unwrap().known_style_stats().is_some());
    let sheet = renderer.wait(&model.subject.maps(model.now(), layer, &(0..4), 2)).unwrap();
    let sheet = sheet.picture.unwrap();
    // Two rows of two maps of 8×8, with gaps of two pixels.
    assert_eq!((sheet.width, sheet.height), (18, 18));
    model.make(Move::ChannelBack(layer, 0));
    assert_eq!(model.written(), "sample(seed: 0)");
}

#[test]
fn undo_goes_back_step_by_step_and_a_drag_is_one_step() {
    let mut model = Model::new(subject("toy"));
    let begun = model.now().clone();
    for _ in 0..5 {
        model.make(Move::Change(1.0));
    }
    assert_eq!((model.history().0, model.now().sliders[0].amount), (1, 1.25));
    model.make(Move::Change(-1.0));
    assert_eq!(model.history().0, 2, "the other way is another step");
    for to in [0.1, 0.4, 0.9] {
        model.make(Move::Drag(Row::Psi, to));
    }
    model.make(Move::Release);
    model.make(Move::Drag(Row::Psi, 0.5));
    assert_eq!((model.history().0, model.now().psi), (4, 0.5));
    model.make(Move::Undo);
    assert_eq!(model.now().psi, 0.9);
    (0..3).for_each(|_| model.make(Move::Undo));
    assert_eq!((model.now(), model.history()), (&begun, (0, 4)));
    (0..9).for_each(|_| model.make(Move::Redo));
    assert_eq!((model.now().psi, model.history()), (0.5, (4, 0)));
    model.make(Move::Hold);
    assert_eq!(model.history(), (4, 0), "psi cannot be held");
}

#[test]
fn two_states_are_compared_and_each_has_its_history() {
    let mut model = Model::new(subject("toy"));
    model.make(Move::Change(2.0));
    assert_eq!(model.other(), None);
    model.make(Move::Compare(1));
    assert_eq!(Some(model.now()), model.other(), "b begins as a copy of a");
    model.make(Move::Change(2.0));
    model.make(Move::Compare(0));
    let amounts = |m: &Model| (m.now().sliders[0].amount, m.other().unwrap().sliders[0].amount);
    assert_eq!(amounts(&model), (0.5, 1.0));
    model.make(Move::Undo);
    assert_eq!(amounts(&model), (0.0, 1.0));
    model.make(Move::Mark);
    model.make(Move::Compare(1));
    model.make(Move::Recall(0));
    assert_eq!(amounts(&model), (0.0, 0.0));
    model.make(Move::Undo);
    assert_eq!(amounts(&model), (1.0, 0.0));
}

#[test]
fn the_newest_settings_are_next_and_nothing_is_queued() {
    let state = state("toy");
    let (subject, bound) = Subject::samples(&state).unwrap();
    let mut renderer = Renderer::new(&state, bound).unwrap();
    let mut model = Model::new(subject);
    let mut seen = Vec::new();
    for _ in 0..50 {
        model.make(Move::Change(0.2));
        seen.push(program(&model));
        // A picture that runs goes on; the moves meanwhile are collected.
        renderer.want(&[program(&model)]).unwrap();
    }
    while renderer.answer(&program(&model)).is_none() {
        renderer.want(&[program(&model)]).unwrap();
        renderer.take(Duration::from_millis(20));
    }
    let ran = seen.iter().filter(|p| renderer.answer(p).is_some()).count();
    assert_eq!(ran, 2, "the first and the last");
    // What is set aside gives way to the picture that is waited for.
    let (first, second) =
        (model.subject.aside(model.now()), model.subject.likeness(model.now(), model.now()));
    renderer.want(&[program(&model), first.clone(), second.clone()]).unwrap();
    model.make(Move::Change(1.0));
    while renderer.answer(&program(&model)).is_none() {
        renderer.want(&[program(&model), first.clone(), second.clone()]).unwrap();
        renderer.take(Duration::from_millis(20));
    }
    while renderer.answer(&second).is_none() {
        renderer.want(&[program(&model), first.clone(), second.clone()]).unwrap();
        renderer.take(Duration::from_millis(20));
    }
    let line = &renderer.answer(&second).unwrap().lines[0];
    assert!((line.parse::<f64>().unwrap() - 1.0).abs() < 1e-6, "{line}");
}

#[test]
fn what_cannot_be_made_is_an_error_and_the_rest_goes_on() {
    let more = ["a = direction(\"age\")", "b = 2*direction(\"age\")"];
    let (subject, (state, bound)) = code_subject("w = sample(seed: 1)", "w", &more);
    let mut renderer = Renderer::new(&state, bound).unwrap();
    let mut model = Model::new(subject);
    model.make(Move::Change(1.0));
    model.make(Move::Choose(1));
    model.make(Move::Hold);
    let e = shown(&mut renderer, &model).unwrap_err();
    assert!(e.message().contains("nothing of"), "{e}");
    model.make(Move::Undo);
    shown(&mut renderer, &model).unwrap();
}

#[test]
fn a_generator_of_z_alone_has_its_seeds() {
    let folder = tempfile::tempdir().unwrap();
    let toy = crate::generator::dcgan::Toy { base: [8, 8], ..Default::default() };
    let arrays = toy.tensors(&candle_core::Device::Cpu).unwrap().into_iter().map(|(n, t)| {
        let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (n, crate::weights::Array::f32(t.dims(), values).unwrap())
    });
    let bytes = crate::weights::safetensors::write_f32(&arrays.collect(), None).unwrap();
    let path = folder.path().join("plain.safetensors");
    std::fs::write(&path, bytes).unwrap();
    let state = state(&path.to_string_lossy());
    let (subject, bound) = Subject::samples(&state).unwrap();
    assert!(subject.axes.is_empty() && subject.layers == 0 && !subject.psi);
    let mut renderer = Renderer::new(&state, bound).unwrap();
    let mut model = Model::new(subject);
    let begun = shown(&mut renderer, &model).unwrap();
    for change in [Move::Stroll, Move::Seed(1), Move::Hold, Move::Layers, Move::Mix, Move::Noise] {
        model.make(change);
    }
    assert!(program(&model).contains("sample(seed: 1)"), "{}", program(&model));
    assert_ne!(shown(&mut renderer, &model).unwrap(), begun);
    model.make(Move::Stroll);
    assert!(program(&model).contains("slerp("));
    shown(&mut renderer, &model).unwrap();
}

#[test]
fn the_sliders_of_faces_are_summed_in_one_space() {
    let subject = subject("faces");
    let labels: Vec<&str> = subject.axes.iter().map(|a| a.label.as_str()).collect();
    assert!(labels.contains(&"smile") && labels.contains(&"pc[0]"), "{labels:?}");
    assert!(!labels.contains(&"weight"), "it is known in W+ alone");
    assert!(subject.joint);
    let yaw = &subject.axes[labels.iter().position(|l| *l == "yaw").unwrap()];
    assert_eq!((yaw.step, yaw.unit), (2.5, "°"));
    assert!(yaw.reach > 30.0);
}
