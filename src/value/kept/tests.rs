//! Tests that a stored value comes back with the same bits, or reports that it does not.

use super::*;
use crate::builtin::Output;
use crate::eval::{Options, State};
use crate::lang::span::Source;
use crate::latent::Part;
use crate::render::Block;
use crate::value::{json, text};
use proptest::prelude::*;
use std::collections::BTreeMap;

struct Nowhere;

impl Output for Nowhere {
    fn display(&mut self, _: &[Block], _: &Value) -> crate::error::Result<()> {
        Ok(())
    }

    fn print(&mut self, _: &str) -> crate::error::Result<()> {
        Ok(())
    }
}

/// A program that ran with the toy generator.
fn ran(program: &str) -> State {
    let mut session = State::new(Models::cpu(), "toy", Options::default()).unwrap();
    let source = Source::new("test", program).unwrap();
    session.run(&source, &BTreeMap::new(), &Control::default(), &mut Nowhere).unwrap();
    session
}

/// Converts to a journal's line and back.
fn through_json(kept: &Kept) -> Kept {
    let line = serde_json::to_string(kept).unwrap();
    assert!(!line.contains('\n'));
    serde_json::from_str(&line).unwrap()
}

fn floats(t: &Tensor) -> String {
    let bits: Vec<u32> =
        t.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|v| v.to_bits()).collect();
    format!("{:?} {bits:?}", t.dims())
}

/// All bits of a value.
pub(crate) fn bits(value: &Value) -> String {
    let code = |l: &Code| {
        let parts = l.parts.iter().map(|(part, t)| format!("{part:?} {} ", floats(t)));
        format!("{} {}{:?} {}", l.space, parts.collect::<String>(), l.model, l.origin)
    };
    let image = |i: &crate::value::Image| {
        let words = (&i.captions, &i.origin, &i.notes, &i.model);
        format!("{} {words:?} {:?} {:?}", floats(&i.data), i.photographs, i.metadata)
    };
    match value {
        Value::Number(v) => format!("{:x}", v.to_bits()),
        Value::Range { from, to, step } => {
            format!("{:x} {:x} {:?}", from.to_bits(), to.to_bits(), step.map(f64::to_bits))
        }
        Value::List(all) => {
            let items = all.iter().map(bits).collect::<Vec<_>>().join(" , ");
            format!("{items} {:?}", all.labels())
        }
        Value::Image(i) => image(i),
        Value::Latent(l) | Value::Path(l) => code(l),
        Value::Table(t) => {
            let pictures = t.pictures.iter().map(image).collect::<String>();
            let found = t.found.iter().map(|i| bits(&Value::Inversion(i.clone())));
            let found = found.collect::<String>();
            format!("{:?} {:?} {:?} {:?} {pictures} {found}", t.columns, t.rows, t.notes, t.plots)
        }
        Value::Inversion(i) => format!(
            "{} {} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {} {:?}",
            code(&i.code),
            floats(&i.reconstruction),
            floats(&i.target),
            i.photographs,
            i.trace,
            (&i.loss, &i.best_step),
            i.numbers,
            i.diagnosis,
            i.config.describe().unwrap(),
            (i.steps, i.seed, &i.stopped),
            i.how,
            i.seconds.to_bits(),
        ),
        other => format!("{other:?}"),
    }
}

pub(crate) const PROGRAM: &str = "\
n = 1/3\nt = \"a\\nb\\\"\"\nb = true\nr = 0..1 by 0.1\nlist = [1, [n, [t]], sample(seed: 9)]\n\
z = sample(n: 2, seed: 1, space: Z)\nw = sample(seed: 2, space: W)\nwp = to(W+, w)\n\
s = to(S, w)\np = path(w, sample(seed: 5), frames: 3)\nd = direction(\"smile\")\n\
dp = direction(\"smile\") | direction(\"age\")\nx = render(w)\nm = compare(x, render(sample(seed: \
7)))\n\
hi = hist([1, 2, 2.5]); sc = scatter([1, 1/3], [4, 5]); pl = plot([1, 2], [3], log: true)\n\
opt = invert(x, space: W+, steps: 6)\nenc = invert(x, method: encoder, steps: 2)\n\
hyb = invert(x, method: hybrid, passes: 1, steps: 3)\nprj = invert(x, method: projector, steps: \
3)\n\
two = invert([x, render(sample(seed: 7))], space: W, steps: 3)\n\
own = invert(x, space: W, init: latent, start: w, steps: 2)\n\
rgr = invert(x, space: W, optimizer: ranger, schedule: cosine, restarts: 2, steps: 2)\n\
sty = invert(x, space: S, steps: 2)\nzed = invert(x, space: Z, steps: 2)\n\
noi = invert(x, space: N, init: latent, start: w, steps: 2)\n";

#[test]
fn every_kind_of_value_comes_back_with_its_bits() {
    let session = ran(PROGRAM);
    let mut all = session.names.clone();
    for (k, v) in [f64::NAN, -0.0, f64::INFINITY, 5e-324, f64::MAX].into_iter().enumerate() {
        all.insert(format!("number{k}"), Value::Number(v));
    }
    for (name, value) in all {
        let kept = Kept::of(&value);
        assert!(!kept.is_again(), "{name} is not kept");
        let back = through_json(&kept).value(session.models()).unwrap().unwrap();
        assert!(bits(&back) == bits(&value), "{name}\n{back:?}\n{value:?}");
        assert_eq!(through_json(&kept), kept);
    }
}

#[test]
fn what_is_measured_of_a_direction_keeps_its_last_digit() {
    let session = ran("d = direction(\"smile\")\n");
    let Value::Direction(smile) = &session.names["d"] else { panic!() };
    let with = |about: crate::latent::About| {
        let about = Some(Arc::new(about));
        Value::from(crate::latent::Direction { about, ..smile.first().clone() })
    };
    let mut about = crate::latent::About { per_step: 1.0, ..Default::default() };
    // Of these, a decimal parser without exact rounding gets about one in ten wrong.
    for k in 1..100u32 {
        about.variance = Some(f64::from(k).sqrt() / 7.0);
        about.effect = [("f64".to_owned(), 1.0 / f64::from(k).cbrt())].into();
        let value = with(about.clone());
        let back = through_json(&Kept::of(&value)).value(&Models::cpu()).unwrap().unwrap();
        assert!(bits(&back) == bits(&value), "{back:?}\n{value:?}");
    }
    // Journals of earlier builds have decimals.
    let mut old = serde_json::to_value(Kept::of(&with(about))).unwrap();
    old["direction"][0]["about"] = "{\"per_step\":2.5}".into();
    let old: Kept = serde_json::from_value(old).unwrap();
    let Value::Direction(d) = old.value(&Models::cpu()).unwrap().unwrap() else { panic!() };
    assert_eq!(d.first().about.as_ref().unwrap().per_step, 2.5);
}

#[test]
fn a_whole_value_has_everything_and_comes_back_from_its_parts() {
    let session = ran(PROGRAM);
    for (name, value) in &session.names {
        let Packed { header, bytes } = Packed::new(Kept::whole(value, 1 << 24).unwrap()).unwrap();
        // Without a generator: nothing is rendered again.
        let back = Packed::value(&header, &bytes).unwrap().value(&Models::cpu()).unwrap().unwrap();
        assert!(bits(&back) == bits(value), "{name}");
        let mut other = bytes.clone();
        other.push(0);
        assert!(Packed::value(&header, &other).is_err(), "{name}");
        other.truncate(bytes.len().saturating_sub(1));
        assert!(bytes.is_empty() || Packed::value(&header, &other).is_err(), "{name}");
    }
    assert!(Kept::whole(&session.names["opt"], 1000).is_none());
}

#[test]
fn a_ladder_comes_back_with_its_inversions_and_differs_only_in_time() {
    let session = ran("all = ladder(sample(seed: 3), steps: 2)\n");
    let Value::Table(all) = &session.names["all"] else { panic!() };
    assert!(all.found.len() > 4 && !all.plots.is_empty());
    let whole =
        |t: &crate::value::Table| Kept::whole(&Value::Table(Arc::new(t.clone())), 1 << 26).unwrap();
    let Packed { header, bytes } = Packed::new(whole(all)).unwrap();
    let back = Packed::value(&header, &bytes).unwrap().value(&Models::cpu()).unwrap().unwrap();
    assert!(bits(&back) == bits(&session.names["all"]));
    let mut later = (**all).clone();
    let seconds = later.columns.iter().position(|c| c == crate::value::Table::SECONDS).unwrap();
    for (row, found) in later.rows.iter_mut().zip(&mut later.found) {
        row[seconds] = crate::value::Cell::Number(99.0, 1);
        *found = Arc::new(crate::invert::Inversion { seconds: 99.0, ..(**found).clone() });
    }
    assert_ne!(whole(&later), whole(all));
    assert_eq!(whole(&later).timeless(), whole(all).timeless());
}

#[test]
fn labels_of_lists_are_kept_in_journals_and_in_the_cache() {
    let session =
        ran("each = [sample(seed: a) for a in 1..2]\nmixed = [[b for b in [a]] for a in 1..2]");
    for value in session.names.values() {
        let Value::List(list) = value else { panic!("{value:?}") };
        assert_eq!(list.labels(), ["a = 1", "a = 2"]);
        let journal = through_json(&Kept::of(value));
        let Packed { header, bytes } = Packed::new(Kept::whole(value, 1 << 24).unwrap()).unwrap();
        for kept in [journal, Packed::value(&header, &bytes).unwrap()] {
            assert_eq!(bits(&kept.value(&Models::cpu()).unwrap().unwrap()), bits(value));
        }
    }
    // Journals of earlier builds have lists without labels; a list that lacks one is refused.
    let list = |line: &str| {
        let kept: Kept = serde_json::from_str(line).unwrap();
        kept.value(&Models::cpu()).map(|v| bits(&v.unwrap()))
    };
    assert_eq!(list("{\"list\":[{\"text\":\"x\"}]}").unwrap(), "Text(\"x\") []");
    let e = list("{\"labelled\":[[{\"bool\":true}],[]]}").unwrap_err();
    assert_eq!(e.message(), "a stored list has 1 elements and 0 labels");
}

fn code(value: &Value) -> &Code {
    match value {
        Value::Latent(code) | Value::Path(code) => code,
        other => panic!("{other:?}"),
    }
}

/// Journals of all builds have the point, the noise maps and the labels in fields of their own.
#[test]
fn codes_keep_the_form_that_journals_have() {
    let plain = "{\"latent\":{\"space\":\"W\",\
        \"data\":{\"shape\":[1,2],\"bytes\":\"AACAPwAAAEA=\"},\
        \"model\":null,\"noise\":null,\"labels\":null,\"origin\":\"by hand\"}}";
    let whole = "{\"path\":{\"space\":\"W+\",\
        \"data\":{\"shape\":[1,1,2],\"bytes\":\"AACAPwAAAEA=\"},\
        \"model\":{\"name\":\"toy\",\"fingerprint\":\"ab\"},\
        \"noise\":[{\"shape\":[1,1,1,1],\"bytes\":\"AAAAQA==\"},\
        {\"shape\":[1,1,1,2],\"bytes\":\"AAAAQAAAgD8=\"}],\
        \"labels\":{\"shape\":[1,2],\"bytes\":\"AAAAAAAAgD8=\"},\"origin\":\"by hand\"}}";
    for (line, maps) in [(plain, 0), (whole, 2)] {
        let kept: Kept = serde_json::from_str(line).unwrap();
        let value = kept.value(&Models::cpu()).unwrap().unwrap();
        assert_eq!(serde_json::to_string(&Kept::of(&value)).unwrap(), line);
        let code = code(&value);
        assert_eq!((code.noise().len(), code.labels().is_some()), (maps, maps > 0));
        assert_eq!(code.point().flatten_all().unwrap().to_vec1::<f32>().unwrap(), [1.0, 2.0]);
    }
}

#[test]
fn other_parts_are_kept_by_name() {
    let map = Tensor::new(&[[[[3f32]]]], &candle_core::Device::Cpu).unwrap();
    let session = ran("w = sample(seed: 2, space: W)\n");
    let w = &session.names["w"];
    let gap = code(w).with(Part::Noise(0), map.clone()).with(Part::Noise(2), map);
    let value = Value::Latent(gap);
    let kept = through_json(&Kept::of(&value));
    assert!(bits(&kept.value(&Models::cpu()).unwrap().unwrap()) == bits(&value));
    let line = serde_json::to_string(&kept).unwrap();
    assert!(line.contains("\"parts\":{\"noise.2\":{"), "{line}");
    for name in ["noise.x", "labels"] {
        let other: Kept = serde_json::from_str(&line.replace("noise.2", name)).unwrap();
        assert!(other.value(&Models::cpu()).is_err(), "{name}");
    }
}

#[test]
fn a_picture_from_a_file_takes_a_png_and_a_rendered_one_its_numbers() {
    let session = ran("x = render(sample(seed: 1))\n");
    let all = &session.names;
    let Value::Image(x) = &all["x"] else { panic!() };
    let rasters = crate::image::Raster::from_tensor(&x.data).unwrap();
    let data = crate::image::Raster::batch(&rasters, &candle_core::Device::Cpu).unwrap();
    let file = Value::Image(crate::value::Image { data, ..x.clone() });
    let size = |v: &Value| serde_json::to_string(&Kept::of(v)).unwrap().len();
    assert!(size(&file) * 3 < size(&all["x"]), "{} {}", size(&file), size(&all["x"]));
    let back = through_json(&Kept::of(&file)).value(session.models()).unwrap().unwrap();
    assert!(bits(&back) == bits(&file));
}

#[test]
fn what_is_too_large_deep_or_no_data_is_computed_again_and_compared() {
    let session = ran("big = sample(n: 6000, seed: 1)\nother = sample(n: 6000, seed: 2)\n\
         lists = [big, 1]\nm = load(\"toy\")\n");
    let all = &session.names;
    for name in ["big", "lists", "m"] {
        let kept = through_json(&Kept::of(&all[name]));
        assert!(kept.is_again() && kept.value(session.models()).unwrap().is_none(), "{name}");
        assert!(!kept.differs(&all[name]), "{name}");
    }
    let kept = Kept::of(&all["big"]);
    assert!(kept.differs(&all["other"]));
    let deep = (0..DEPTH + 1).fold(Value::Number(1.0), |inner, _| listed(vec![inner]));
    assert!(Kept::of(&deep).is_again());
    // Shared lists are wide without being large in memory: the budget ends the walk.
    let wide = (0..3).fold(Value::Number(1.0), |v, _| listed(vec![v; 60]));
    assert!(Kept::of(&wide).is_again());
}

fn listed(items: Vec<Value>) -> Value {
    Value::List(List::new(items).unwrap())
}

/// Replaces the k-th leaf of a JSON value.
fn mutate(json: &mut serde_json::Value, k: &mut usize, by: &serde_json::Value) {
    match json {
        serde_json::Value::Array(all) => all.iter_mut().for_each(|v| mutate(v, k, by)),
        serde_json::Value::Object(all) => all.values_mut().for_each(|v| mutate(v, k, by)),
        leaf if *k == 0 => {
            *leaf = by.clone();
            *k = usize::MAX;
        }
        _ => *k -= 1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_journal_that_lies_is_refused_and_never_panics(leaf in 0usize..120, what in 0usize..8) {
        type Ran = (Arc<Models>, Vec<serde_json::Value>);
        static KEPT: std::sync::OnceLock<Ran> = std::sync::OnceLock::new();
        let (models, all) = KEPT.get_or_init(|| {
            let session = ran(PROGRAM);
            let kept = |v| serde_json::to_value(Kept::of(v)).unwrap();
            (session.models().clone(), session.names.values().map(kept).collect())
        });
        let by = [
            serde_json::json!(0), serde_json::json!(u64::MAX), serde_json::json!(3),
            serde_json::json!(""), serde_json::json!("AAAA"), serde_json::json!(null),
            serde_json::json!([1, 2, 3]), serde_json::json!("W+"),
        ];
        for json in all {
            let mut json = json.clone();
            mutate(&mut json, &mut leaf.clone(), &by[what]);
            // Accepted data is displayed: this must not panic either.
            if let Ok(kept) = serde_json::from_value::<Kept>(json)
                && let Ok(Some(value)) = kept.value(models)
            {
                let _ = (text::plain(&value), json::json(&value), value.ty());
            }
        }
    }
}
