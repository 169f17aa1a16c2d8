//! The benchmark on people of the toy generator, whose edits are planted: the truth is a known step
//! of a known direction.

use super::*;
use crate::control::{Control, Stop};
use crate::error::Kind as Failure;
use crate::generator::toy::Toy;
use crate::generator::{Generator, Input, codes, spaces};
use crate::image::{Raster, encode};
use crate::invert::Method;
use crate::invert::methods::{ENCODER, HYBRID, OPTIMIZE};
use crate::lang::types::Companion;
use crate::latent::{About, Direction, LayerShare};
use crate::network::Encoder;
use crate::rng::Rng;
use crate::space::Space;
use candle_core::{DType, Device, Tensor};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Change of the label by one step of the planted direction.
const PER_STEP: f64 = 0.5;

fn toy() -> impl Generator {
    Toy::default().build(&Device::Cpu).unwrap()
}

fn direction(name: &str, data: Vec<f64>) -> Direction {
    let (dim, name) = (data.len(), name.to_owned());
    Direction {
        space: Space::W,
        data,
        rows: 1,
        dim,
        layers: None,
        model: None,
        about: None,
        origin: name.clone(),
        name,
    }
}

fn calibrated(attribute: &str, unit: &str, data: Vec<f64>) -> Calibrated {
    let direction = direction(attribute, data);
    Calibrated { direction, attribute: attribute.into(), unit: unit.into(), per_step: PER_STEP }
}

/// A seeded direction, `size` long in every component on average.
fn seeded(name: &str, size: f64) -> Vec<f64> {
    let mut rng = Rng::derive(4, name);
    (0..16).map(|_| size * rng.normal()).collect()
}

/// `lift` moves along the planted direction, `still` does not move, `hat` is binary.
fn directions() -> Vec<Calibrated> {
    vec![
        calibrated("lift", "", seeded("lift", 0.3)),
        calibrated("still", "", vec![0.0; 16]),
        calibrated("hat", "logit", seeded("hat", 0.1)),
    ]
}

/// Writes three people: `up` moves `lift` by two steps (the last person is there already), `down`
/// back by one, `same` changes the label of `still` only, `hatted` the binary one.
fn write(folder: &Path) {
    let g = toy();
    let along = seeded("lift", 0.3);
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut labels = String::new();
    for person in 0..3u64 {
        let draw = spaces::Draw { seed: person, psi: 0.5, ..spaces::Draw::default() };
        let code = spaces::sample(&g, 1, draw).unwrap();
        let up = if person == 2 { 0.0 } else { 2.0 };
        for (edit, steps, still, hat) in [
            ("base", 0.0, 0, 0),
            ("up", up, 0, 0),
            ("down", -1.0, 0, 0),
            ("same", 0.0, 1, 0),
            ("hatted", 0.0, 0, 1),
        ] {
            let moved =
                crate::direction::apply(&code, steps, &direction("lift", along.clone())).unwrap();
            let picture = codes::synthesize(&g, &moved, &Input::default()).unwrap();
            let raster = Raster::from_tensor(&picture).unwrap().remove(0);
            let file = format!("{person}_{edit}.png");
            let lift = 0.25 + steps * PER_STEP;
            labels += &format!(
                "{{\"id\": {person}, \"edit\": \"{edit}\", \"file\": \"{file}\", \"lift\": \
                 {lift}, \"still\": {still}, \
                 \"hat\": {hat}, \"hair\": \"bob\"}}\n"
            );
            files.push((file, encode::png(&raster, &[]).unwrap()));
        }
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    std::fs::write(folder.join("pairs_0.tar"), tar::tests::archive(&files)).unwrap();
    std::fs::write(folder.join("pairs_0.jsonl"), labels).unwrap();
}

/// The folder of those people, written once.
fn people() -> Pairs {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path());
        folder
    });
    Pairs::open(folder.path()).unwrap()
}

/// Reads brightness as `lift`, colour differences as others, and the picture in 16 patches as
/// identity.
struct Planted(Vec<Attribute>);

impl Planted {
    fn new() -> Self {
        let named = |(name, group): &(&str, &str)| Attribute {
            name: (*name).into(),
            group: (!group.is_empty()).then(|| (*group).to_owned()),
        };
        Self(
            [("lift", ""), ("warm", ""), ("hat", ""), ("tint_r", "tint"), ("tint_g", "tint")]
                .iter()
                .map(named)
                .collect(),
        )
    }
}

impl Reader for Planted {
    fn attributes(&self) -> &[Attribute] {
        &self.0
    }

    fn read(&self, pictures: &Tensor) -> crate::error::Result<Vec<Seen>> {
        let colours = pictures.to_dtype(DType::F64)?.mean((2, 3))?.to_vec2::<f64>()?;
        let patches =
            crate::metric::resize_to(&pictures.mean_keepdim(1)?, 4, 4)?.flatten_from(1)?;
        let patches = patches.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        let seen = |(c, p): (&Vec<f64>, Vec<f64>)| Seen {
            raw: vec![c[0] + c[1] + c[2], c[0] - c[2], c[1] - c[0], c[0], c[1]],
            identity: Some(p),
        };
        Ok(colours.iter().zip(patches).map(seen).collect())
    }
}

fn run(
    control: &Control,
    setups: &[EditSetup],
    request: &Request,
) -> crate::error::Result<Outcome<Row>> {
    let (g, reader, directions) = (toy(), Planted::new(), directions());
    let bench = Bench {
        generator: &g,
        perceptual: None,
        encoder: None,
        companions: &[],
        reader: Some(&reader),
        directions: &directions,
        stats: None,
        control,
    };
    bench.run(&people(), setups, request)
}

#[test]
fn an_encoder_is_asked_once_for_the_spaces_that_its_codes_are_moved_in() {
    let (g, control) = (toy(), Control::default());
    let model = crate::value::Models::cpu().load("toy").unwrap();
    let styles = g.spec().s_dim();
    let mut directions = directions();
    let mut in_styles = calibrated("lift", "", (0..styles).map(|i| (i as f64).sin()).collect());
    in_styles.direction.space = Space::S;
    directions.push(in_styles);
    let bench = Bench {
        generator: &g,
        perceptual: None,
        encoder: model.encoder().unwrap(),
        companions: &companions(&model),
        reader: None,
        directions: &directions,
        stats: None,
        control: &control,
    };
    let setups = bench.setups(&["encoder".into(), "hybrid".into()], &[], &model.facts).unwrap();
    let names: Vec<String> = setups.iter().map(|w| format!("{} {}", w.name(), w.space)).collect();
    assert_eq!(names, ["encoder W+", "encoder S", "hybrid W+", "hybrid S"]);
    let request = Request { passes: Some(1), limit: Some(1), ..request(&["up"], 2) };
    let rows = bench.run(&people(), &setups, &request).unwrap().rows;
    let [plus, styles, hybrid] = [&rows[0], &rows[1], &rows[2]];
    assert!(
        plus.psnr_no_edit == styles.psnr_no_edit && plus.psnr != styles.psnr,
        "{plus:?} {styles:?}"
    );
    // Two gradient steps later the reconstruction is another one.
    assert_ne!(hybrid.psnr_no_edit, plus.psnr_no_edit);
    assert!(
        rows.iter().all(|r| r.n == 1 && r.leakage.is_none() && r.psnr.is_some_and(f64::is_finite))
    );
}

/// The networks that a model brings to run after its encoder.
fn companions(model: &crate::value::Loaded) -> Vec<(Companion, &dyn Encoder)> {
    let read = |kind| (kind, model.companion(Some(kind)).unwrap().unwrap());
    Companion::ALL.map(read).into()
}

/// Inversions of the same people, with the toy's own encoder.
fn inverted(
    control: &Control,
    settings: &[Setting],
    limit: usize,
) -> crate::error::Result<Outcome<inversions::Row>> {
    let (g, reader) = (toy(), Planted::new());
    let model = crate::value::Models::cpu().load("toy").unwrap();
    let bench = Bench {
        generator: &g,
        perceptual: None,
        encoder: model.encoder().unwrap(),
        companions: &companions(&model),
        reader: Some(&reader),
        directions: &[],
        stats: Some(&|| model.stats()),
        control,
    };
    let request = inversions::Request { limit: Some(limit), passes: Some(2), seed: 0 };
    inversions::run(&bench, &people(), settings, &request)
}

fn setting(method: &'static Method, space: Space, steps: usize) -> Setting {
    Setting { method, space, steps: Some(steps) }
}

#[test]
fn more_steps_come_closer_and_rows_stand_in_the_order_asked_for() {
    let settings = [
        setting(&OPTIMIZE, Space::WPlus, 60),
        setting(&ENCODER, Space::WPlus, 1),
        setting(&ENCODER, Space::WPlus, 3),
        setting(&HYBRID, Space::WPlus, 40),
        setting(&OPTIMIZE, Space::W, 0),
    ];
    let found = inverted(&Control::default(), &settings, 2).unwrap();
    assert_eq!((found.people, found.stopped), (2, false));
    let named: Vec<String> = found
        .rows
        .iter()
        .map(|r| format!("{} {} {} {} {}", r.method, r.space, r.steps, r.n, r.passes))
        .collect();
    assert_eq!(
        named,
        [
            "optimize W+ 60 2 0",
            "encoder W+ 1 2 1",
            "encoder W+ 3 2 3",
            "hybrid W+ 40 2 2",
            "optimize W 0 2 0"
        ]
    );
    for row in &found.rows {
        let all =
            [row.psnr, row.ssim, row.identity, row.seconds, row.psnr_se, row.identity_se, row.best];
        assert!(
            all.iter().all(|v| v.is_some_and(f64::is_finite)) && row.perceptual.is_none(),
            "{row:?}"
        );
        assert_eq!(row.offset.is_some(), row.space == "W+", "{row:?}");
        assert!(
            row.identity.unwrap() <= 1.0 + 1e-9
                && row.best.unwrap() <= (row.passes + row.steps) as f64
        );
    }
    let psnr = |i: usize| found.rows[i].psnr.unwrap();
    // The loss is the squared error alone: the best of three passes is none the worse for the last
    // two.
    assert!(psnr(2) >= psnr(1) && psnr(3) > psnr(2) && psnr(0) > psnr(4) + 3.0, "{:?}", found.rows);
    assert!(
        found.notes[0].starts_with("psnr: ")
            && found.notes.iter().all(|n| !n.starts_with("perceptual"))
    );
    // Rows do not depend on what runs beside them.
    let alone = inverted(&Control::default(), &settings[3..4], 2).unwrap().rows.remove(0);
    let timeless = |r: &inversions::Row| inversions::Row {
        seconds: None,
        memory: None,
        seconds_se: None,
        ..r.clone()
    };
    assert_eq!(timeless(&alone), timeless(&found.rows[3]));
}

#[test]
fn stopped_inversions_keep_whole_people() {
    let own: Arc<OnceLock<Control>> = Arc::default();
    let (known, at) = (own.clone(), std::sync::Mutex::new(0));
    let control = Control::new(move |p| {
        let mut last = at.lock().unwrap();
        assert!(p.step >= *last && p.step <= p.total, "{} after {last} of {}", p.step, p.total);
        *last = p.step;
        // During the second person's second inversion: more than 7 of 7 + 5 and of 7 more.
        if p.title == "inversions: person 2 of 3" && p.step > 12 + 7 {
            known.get().unwrap().request(Stop::Keep);
        }
    });
    own.set(control.clone()).ok().unwrap();
    let settings = [setting(&OPTIMIZE, Space::W, 6), setting(&ENCODER, Space::WPlus, 4)];
    let found = inverted(&control, &settings, 3).unwrap();
    assert_eq!((found.people, found.stopped), (1, true));
    assert!(
        found.rows.iter().all(|r| r.n == 1 && r.psnr.is_some() && r.psnr_se.is_none()),
        "{:?}",
        found.rows
    );
    let control = Control::default();
    control.request(Stop::Abort);
    assert_eq!(inverted(&control, &settings, 3).unwrap_err().kind(), Failure::Interrupted);
}

fn setup(space: Space, kind: Kind) -> EditSetup {
    EditSetup { method: &OPTIMIZE, kind, space }
}

fn request(edits: &[&str], steps: usize) -> Request {
    let edits = edits.iter().map(|e| (*e).to_owned()).collect();
    Request { edits, steps: Some(steps), ..Request::default() }
}

#[test]
fn a_perfect_editor_beats_no_edit_and_nothing_equals_no_edit() {
    let setups = [setup(Space::W, Kind::Raw), setup(Space::WPlus, Kind::Raw)];
    let request = Request { ceiling: true, ..request(&["up", "same"], 60) };
    let outcome = run(&Control::default(), &setups, &request).unwrap();
    let named: Vec<String> = outcome
        .rows
        .iter()
        .map(|r| format!("{} {} {} {}", r.edit, r.method, r.space, r.n))
        .collect();
    // The third person's `lift` is there already: two people are left.
    assert_eq!(
        named,
        ["up optimize W 2", "up optimize W+ 2", "same optimize W 3", "same optimize W+ 3"]
    );
    assert!((outcome.people, outcome.stopped) == (3, false) && outcome.notes.is_empty());
    let up = &outcome.rows[0];
    let [psnr, no_edit, ceiling] = [up.psnr, up.psnr_no_edit, up.psnr_ceiling].map(Option::unwrap);
    assert!(psnr > no_edit + 3.0 && ceiling > no_edit + 3.0, "{up:?}");
    assert_eq!((up.better, up.steps, up.perceptual), (Some(1.0), Some(2.0), None));
    assert!((up.moved.unwrap() - 1.0).abs() < 0.5, "{up:?}");
    assert!(
        up.leakage.unwrap() < up.leakage_no_edit.unwrap(),
        "the truth moves the others, and the edit follows it: {up:?}"
    );
    assert!(up.identity.unwrap() <= 1.0 + 1e-9 && up.ssim.unwrap() > up.ssim_no_edit.unwrap());
    for same in &outcome.rows[2..] {
        assert!((same.psnr.unwrap() - same.psnr_no_edit.unwrap()).abs() < 1e-6, "{same:?}");
        // The truth is the base picture itself, and its ceiling the base's own reconstruction.
        assert!((same.psnr_ceiling.unwrap() - same.psnr.unwrap()).abs() < 1e-6);
        assert!(
            same.psnr_base.unwrap().is_infinite()
                && same.moved.is_none()
                && same.leakage.unwrap() < 1e-4
        );
    }
}

#[test]
fn rows_do_not_depend_on_what_runs_beside_them() {
    let one = |people, edits: &[&str]| {
        let request = Request { limit: people, ..request(edits, 3) };
        run(&Control::default(), &[setup(Space::W, Kind::Raw)], &request).unwrap()
    };
    let (all, part) = (one(None, &["down", "up"]), one(None, &["down"]));
    let timeless = |r: &Row| Row { seconds: None, ..r.clone() };
    // The data's order, whatever the requested order.
    assert_eq!((all.rows[0].edit.as_str(), all.rows[1].edit.as_str()), ("up", "down"));
    assert_eq!(timeless(&all.rows[1]), timeless(&part.rows[0]));
    assert!(part.rows[0].psnr_ceiling.is_none() && part.rows[0].seconds.unwrap() > 0.0);
    let first = one(Some(1), &["down"]);
    assert_eq!((first.people, first.rows[0].n, first.stopped), (1, 1, false));
    assert_ne!(first.rows[0].psnr, part.rows[0].psnr);
}

#[test]
fn a_binary_label_counts_as_the_way_between_both_sides() {
    let outcome =
        run(&Control::default(), &[setup(Space::W, Kind::Raw)], &request(&["hatted"], 1)).unwrap();
    let spread = Spread::of(&toy(), &Planted::new(), 0, &Control::default()).unwrap();
    let expected = spread.between_sides("hat").unwrap() / PER_STEP;
    assert!(expected > 0.0 && (outcome.rows[0].steps.unwrap() - expected).abs() < 1e-9);
}

#[test]
fn conditional_directions_lose_what_they_share_and_walk_the_rest() {
    let (mut lift, mut age) = (vec![0.0; 16], vec![0.0; 16]);
    (lift[0], lift[1], age[0]) = (3.0, 4.0, 2.0);
    let mut far = vec![0.0; 16];
    (far[0], far[2]) = (0.05, 1.0);
    let all =
        [calibrated("lift", "", lift), calibrated("age", "", age), calibrated("far", "", far)];
    let setups = [setup(Space::W, Kind::Conditional), setup(Space::WPlus, Kind::Raw)];
    let plan = Plan::new(&people(), &["up".into()], &setups, &all, None).unwrap();
    let (conditional, raw) = (&plan.tasks[0], &plan.tasks[1]);
    // Without what it shares with `age`, (3, 4) is (0, 4), 0.8 of its length: 1 / 0.64 of the
    // steps; `far` is too far to count.
    assert!(
        conditional.direction.data[0].abs() < 1e-12
            && (conditional.direction.data[1] - 4.0).abs() < 1e-12
    );
    assert!((conditional.steps_per_unit - 2.0 / 0.64).abs() < 1e-9);
    assert_eq!(
        (raw.steps_per_unit, raw.direction.data[0], raw.direction.name.as_str()),
        (2.0, 3.0, "lift")
    );
    assert_eq!(conditional.direction.name, "lift | [age]");
}

#[test]
fn directions_move_only_the_layers_where_they_act() {
    let mut lift = calibrated("lift", "", seeded("lift", 1.0));
    let plan = |lift: &Calibrated, space| {
        Plan::new(
            &people(),
            &["up".into()],
            &[setup(space, Kind::Layers)],
            std::slice::from_ref(lift),
            None,
        )
    };
    assert!(plan(&lift, Space::WPlus).is_err(), "its file says nothing about layers");
    let layers = [(0, 1, 0.1), (1, 2, 0.85), (2, 3, 0.05)].map(|(from, to, share)| LayerShare {
        from,
        to,
        share,
    });
    lift.direction.about = Some(Arc::new(About { layers: layers.to_vec(), ..About::default() }));
    let task = &plan(&lift, Space::WPlus).unwrap().tasks[0];
    assert_eq!((task.direction.rows, task.direction.layers.clone()), (3, Some(1..2)));
    assert!((task.steps_per_unit - 2.0 / 0.85).abs() < 1e-9);
    assert!(plan(&lift, Space::W).is_err());
}

#[test]
fn of_two_directions_the_space_s_own_is_taken_unless_the_other_is_named() {
    let of_w = calibrated("lift", "", seeded("lift", 1.0));
    let mut own = of_w.clone();
    own.direction = crate::direction::lift(&of_w.direction, 3).unwrap();
    own.direction.name = "own".into();
    let all = [of_w, own];
    let setups = [Kind::Raw, Kind::OfW].map(|kind| setup(Space::WPlus, kind));
    let plan = Plan::new(&people(), &["up".into()], &setups, &all, None).unwrap();
    let names: Vec<&str> = plan.tasks.iter().map(|t| t.direction.name.as_str()).collect();
    assert_eq!(names, ["own", "lift"]);
    assert!(
        Plan::new(&people(), &["up".into()], &[setup(Space::W, Kind::OfW)], &all, None).is_err()
    );
}

#[test]
fn what_cannot_be_run_is_said() {
    let e =
        run(&Control::default(), &[setup(Space::W, Kind::Raw)], &request(&["upp"], 1)).unwrap_err();
    assert_eq!((e.kind(), e.repair()), (Failure::Usage, Some("did you mean `up`?")));
    let one = [calibrated("lift", "", seeded("lift", 1.0))];
    let plan = |wanted: &[String], space| {
        Plan::new(&people(), wanted, &[setup(space, Kind::Raw)], &one, None)
    };
    let e = plan(&["same".into()], Space::W).unwrap_err();
    assert!(e.message().contains("still") && e.repair().unwrap().contains("lift"), "{e}");
    let rest = plan(&[], Space::W).unwrap();
    let left: Vec<&str> = rest.edits.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(left, ["up", "down"]);
    assert!(
        rest.notes.len() == 2 && rest.notes[0].contains("same is left out in W"),
        "{:?}",
        rest.notes
    );
    assert!(plan(&[], Space::Z).unwrap_err().message().contains("no edit of the data"));
}

#[test]
fn stopping_keeps_whole_people() {
    let own: Arc<OnceLock<Control>> = Arc::default();
    let (known, at) = (own.clone(), std::sync::Mutex::new(0));
    let control = Control::new(move |p| {
        if !p.title.starts_with("edits: person") {
            return;
        }
        let mut last = at.lock().unwrap();
        assert!(p.step >= *last && p.step <= p.total, "{} after {last} of {}", p.step, p.total);
        *last = p.step;
        if p.title == "edits: person 2 of 3" {
            known.get().unwrap().request(Stop::Keep);
        }
    });
    own.set(control.clone()).ok().unwrap();
    let setups = [setup(Space::W, Kind::Raw)];
    let outcome = run(&control, &setups, &request(&["up", "down"], 2)).unwrap();
    assert_eq!((outcome.people, outcome.stopped), (1, true));
    assert!(outcome.rows.iter().all(|r| r.n == 1 && r.psnr.is_some()));
    let control = Control::default();
    control.request(Stop::Abort);
    let e = run(&control, &setups, &request(&["up"], 2)).unwrap_err();
    assert_eq!(e.kind(), Failure::Interrupted);
}

#[test]
fn broken_folders_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let open = |files: &[&str], labels: &str| {
        let files: Vec<(&str, &[u8])> = files.iter().map(|f| (*f, &b"x"[..])).collect();
        std::fs::write(folder.path().join("pairs_0.tar"), tar::tests::archive(&files)).unwrap();
        std::fs::write(folder.path().join("pairs_0.jsonl"), labels).unwrap();
        Pairs::open(folder.path()).err().unwrap()
    };
    let line = |edit: &str, rest: &str| {
        format!("{{\"id\": 1, \"edit\": \"{edit}\", \"file\": \"a\"{rest}}}\n")
    };
    let e = open(&["b"], &line("base", ""));
    assert!(e.message().contains("holds a") && e.notes()[0].contains("base of person 1"), "{e}");
    assert!(open(&["a"], &line("up", "")).message().contains("no `base`"));
    assert!(open(&["a"], &line("up", "").repeat(2)).message().contains("labelled twice"));
    assert_eq!(open(&["a"], "").kind(), Failure::Usage);
    assert_eq!(Pairs::open(&folder.path().join("none")).err().unwrap().kind(), Failure::Usage);
    // An edit must change one label more often than any other.
    let two = line("base", ", \"u\": 0, \"v\": 0")
        + &line("both", ", \"u\": 1, \"v\": 1")
        + &line("none", ", \"u\": 0");
    std::fs::write(folder.path().join("pairs_0.jsonl"), two).unwrap();
    let pairs = Pairs::open(folder.path()).unwrap();
    assert!(pairs.attribute("both").unwrap_err().message().contains("several labels alike: u, v"));
    assert!(pairs.attribute("none").unwrap_err().message().contains("no person"));
    // The file is not a picture: found when it is read.
    let e = pairs.picture(&pairs.people[0].base, 3, 8, &Device::Cpu).unwrap_err();
    assert!(e.message().contains("pairs_0.tar: a"), "{e}");
}
