//! Results from the cache are those that would be computed, whatever lies in its folder.

use super::*;
use crate::builtin::Output;
use crate::control::{Control, Stop};
use crate::error::Kind;
use crate::eval::{Options, State};
use crate::image::{Raster, encode};
use crate::lang::span::Source;
use crate::render::Block;
use crate::value::kept::tests::{PROGRAM, bits};
use std::collections::BTreeMap;
use std::fs;

/// A change of a file's bytes.
type Damage<'a> = Box<dyn Fn(&mut Vec<u8>) + 'a>;

#[derive(Default)]
struct Said {
    printed: Vec<String>,
    notes: Vec<String>,
}

impl Output for Said {
    fn display(&mut self, _: &[Block], _: &Value) -> Result<()> {
        Ok(())
    }

    fn print(&mut self, line: &str) -> Result<()> {
        self.printed.push(line.to_owned());
        Ok(())
    }

    fn note(&mut self, line: &str) -> Result<()> {
        self.notes.push(line.to_owned());
        Ok(())
    }
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn cache(&self) -> Cache {
        Cache::of_everything(self.0.path(), 1 << 30)
    }

    /// The files of results.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.path().join("results")).unwrap();
        let mut all: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
        all.sort();
        all
    }
}

/// A run of a program.
struct Ran {
    state: State,
    said: Said,
    hits: u64,
    ended: Result<()>,
}

impl Ran {
    fn bits(&self, name: &str) -> String {
        bits(&self.state.names[name])
    }
}

fn run_with(cache: &Cache, seed: u64, text: &str, control: &Control) -> Ran {
    let options = Options { cache: cache.clone(), seed, ..Options::default() };
    let mut state = State::new(Models::cpu(), "toy", options).unwrap();
    let source = Source::new("test", text).unwrap();
    let (mut said, before) = (Said::default(), cache.hits());
    let ended = state.run(&source, &BTreeMap::new(), control, &mut said);
    Ran { state, said, hits: cache.hits() - before, ended }
}

fn run(cache: &Cache, text: &str) -> Ran {
    let ran = run_with(cache, 0, text, &Control::default());
    ran.ended.as_ref().unwrap();
    ran
}

/// All bits of a value but the time that it took.
fn lasting(value: &Value) -> String {
    match value {
        Value::Inversion(i) => {
            let mut i = i.as_ref().clone();
            i.seconds = 0.0;
            bits(&Value::Inversion(Arc::new(i)))
        }
        other => bits(other),
    }
}

#[test]
fn every_kind_of_result_is_the_one_that_is_computed() {
    let (place, program) = (Place::new(), format!("{PROGRAM}cs = pc\nshow w, opt, p\n"));
    let plain = run(&Cache::default(), &program);
    let first = run(&place.cache(), &program);
    let files = place.files().len();
    let again = run(&place.cache(), &program);
    assert!(files > 15 && again.hits as usize >= files, "{files} {}", again.hits);
    assert_eq!(place.files().len(), files);
    for (name, value) in &plain.state.names {
        let (a, b) = (lasting(&first.state.names[name]), lasting(value));
        let at = a.bytes().zip(b.bytes()).position(|(a, b)| a != b).unwrap_or(0);
        assert!(
            a == b,
            "{name}: {:.80} | {:.80}",
            &a[at.saturating_sub(30)..],
            &b[at.saturating_sub(30)..]
        );
        // The time of the computation as well.
        assert!(again.bits(name) == first.bits(name), "{name}");
        if let Value::Inversion(i) = &again.state.names[name] {
            assert!(i.cached && i.took().ends_with(" s, cached"));
        }
    }
}

#[test]
fn a_result_is_found_by_all_that_it_depends_on() {
    let place = Place::new();
    let cache = place.cache();
    let base = "r = invert(sample(seed: 3), space: W, steps: 2)\n";
    assert_eq!(run(&cache, base).hits, 0);
    // The code and the inversion.
    assert_eq!(run(&cache, base).hits, 2);
    // The code is found, the inversion is another one.
    for other in [
        "r = invert(sample(seed: 3), space: W, steps: 3)\n",
        "r = invert(sample(seed: 3), space: W, steps: 2, lr: 0.1)\n",
        "r = invert(render(sample(seed: 3), noise: none), space: W, steps: 2)\n",
        "r = invert(sample(seed: 3), space: W, steps: 2, mask: mask(box: [0, 0, 1, 0.5]))\n",
        "r = invert(sample(seed: 3), space: W, steps: 2, init: latent, start: sample(seed: 3))\n",
    ] {
        let (found, alone) = (run(&cache, other), run(&Cache::default(), other));
        let Value::Inversion(i) = &found.state.names["r"] else { panic!() };
        assert!(!i.cached && found.hits > 0, "{other}");
        assert!(lasting(&found.state.names["r"]) == lasting(&alone.state.names["r"]));
    }
    // How a name is written does not count, nor does what is around the call.
    assert_eq!(run(&cache, "w = sample(seed: 3)\nk = [invert(w, steps: 2, space: W)]\n").hits, 2);
    // Another generator with codes of the same shape.
    let control = Control::default();
    let seeded = |seed| run_with(&cache, seed, "a = sample(n: 2)", &control);
    assert_eq!((seeded(1).hits, seeded(2).hits, seeded(1).hits), (0, 0, 1));
    assert!(seeded(1).bits("a") != seeded(2).bits("a"));
    // A result of another build is not found.
    let on = cache.on.as_deref().unwrap();
    let key = |build: &str| Key::new([build, "cpu", "sample"], &on.stamps).name();
    assert!(key("1") != key("2") && key("1") == key("1"));
}

#[test]
fn files_count_by_their_content() {
    let place = Place::new();
    let (cache, file) = (place.cache(), place.0.path().join("x.png"));
    let put = |value: u8| {
        let raster = Raster::filled(40, 40, &[value, 9, 9]).unwrap();
        fs::write(&file, encode::png(&raster, &[]).unwrap()).unwrap();
    };
    let program = format!("x = image(\"{}\")", file.display());
    put(1);
    let (one, again) = (run(&cache, &program), run(&cache, &program));
    put(2);
    let other = run(&cache, &program);
    put(1);
    let back = run(&cache, &program);
    assert_eq!([one.hits, again.hits, other.hits, back.hits], [0, 1, 0, 1]);
    assert!(one.bits("x") == back.bits("x") && one.bits("x") != other.bits("x"));
}

#[test]
fn what_does_something_is_done_each_time() {
    let place = Place::new();
    let out = place.0.path().join("w.safetensors");
    let program = format!(
        "w = sample(seed: 1)\nprint(1 + 1)\nassert 1 < 2\nsave(w, \"{}\", outside: true)\n",
        out.display()
    );
    let saved = |cache: &Cache| {
        let _ = fs::remove_file(&out);
        assert_eq!(run(cache, &program).said.printed, ["2"]);
        fs::read(&out).unwrap()
    };
    let plain = saved(&Cache::default());
    assert!((0..2).all(|_| saved(&place.cache()) == plain));
    assert_eq!(place.files().len(), 1);
    let fails =
        run_with(&place.cache(), 0, "w = sample(seed: 1)\nassert 1 > 2", &Control::default());
    assert_eq!((fails.hits, fails.ended.unwrap_err().kind()), (1, Kind::Assertion));
}

#[test]
fn the_best_so_far_of_a_stopped_search_is_not_kept() {
    let place = Place::new();
    let cache = place.cache();
    let program = "r = invert(render(sample(seed: 3)), space: W, steps: 400)";
    let holder = Arc::new(std::sync::OnceLock::<Control>::new());
    let inner = holder.clone();
    let control = Control::new(move |p| {
        if p.step > 0 {
            inner.get().unwrap().request(Stop::Keep);
        }
    });
    holder.set(control.clone()).ok().unwrap();
    let ran = run_with(&cache, 0, program, &control);
    assert_eq!(ran.ended.unwrap_err().kind(), Kind::Kept);
    let Value::Inversion(i) = &ran.state.names["r"] else { panic!() };
    assert!(i.stopped_at().is_some());
    // The code and its picture.
    assert_eq!(place.files().len(), 2);
}

#[test]
fn a_damaged_file_is_computed_again_and_replaced() {
    let place = Place::new();
    let program = "r = invert(sample(seed: 3), space: W, steps: 2)";
    let first = run(&place.cache(), program);
    let whole: Vec<(PathBuf, Vec<u8>)> =
        place.files().into_iter().map(|p| (p.clone(), fs::read(p).unwrap())).collect();
    let (last, _) = whole.last().unwrap();
    let mut damages: Vec<Damage<'_>> = vec![
        Box::new(Vec::clear),
        Box::new(|b| b.truncate(60)),
        Box::new(|b| b.truncate(b.len() - 1)),
        Box::new(|b| b.push(0)),
        Box::new(|b| b.fill(0)),
        // That of another name, whole.
        Box::new(|b| b.clone_from(&fs::read(last).unwrap())),
    ];
    for at in [0, 15, 16, 47, 48, 80, 87, 88, 95, 96, 200, usize::MAX] {
        damages.push(Box::new(move |b| {
            let at = at.min(b.len() - 1);
            b[at] ^= 0x41;
        }));
    }
    for (k, damage) in damages.iter().enumerate() {
        for (path, bytes) in whole.iter().filter(|(path, _)| k != 5 || path != last) {
            let mut bytes = bytes.clone();
            damage(&mut bytes);
            fs::write(path, bytes).unwrap();
        }
        let again = run(&place.cache(), program);
        assert!(again.hits <= 1, "{k}");
        assert!(lasting(&again.state.names["r"]) == lasting(&first.state.names["r"]), "{k}");
        assert_eq!(run(&place.cache(), program).hits, 2, "{k}");
    }
}

/// A file with a right checksum, as someone could write it who can write to the folder.
fn forged(path: &Path, header: &[u8], bytes: &[u8]) {
    let name: Vec<u8> = fs::read(path).unwrap()[48..80].to_vec();
    let packed = Packed { header: header.to_vec(), bytes: bytes.to_vec() };
    let name = Name::of(name.try_into().unwrap());
    let file = entry::write(&name, Duration::MAX, &packed).unwrap();
    fs::write(path, file).unwrap();
}

#[test]
fn a_forged_file_can_be_a_wrong_value_at_most() {
    let place = Place::new();
    let program = "w = sample(seed: 3)\nshow w + 0*w";
    let first = run(&place.cache(), "w = sample(seed: 3)");
    let [path] = &place.files()[..] else { panic!() };
    let deep = format!("{{\"lengths\":[],\"value\":{}", "{\"list\":[".repeat(100_000));
    let wide = format!("{{\"lengths\":[],\"value\":{{\"list\":[{}1]}}}}", "1,".repeat(200_000));
    let huge = "{\"lengths\":[18446744073709551615],\"value\":{\"latent\":{\"space\":\"W\",\
        \"data\":{\"shape\":[4294967295,4294967295],\"bytes\":\"\"},\"model\":null,\
        \"noise\":null,\"labels\":null,\"origin\":\"\"}}}";
    for header in ["", "null", "{}", &deep, &wide, huge] {
        forged(path, header.as_bytes(), b"1234");
        let again = run(&place.cache(), "w = sample(seed: 3)");
        assert!(again.hits == 0 && again.bits("w") == first.bits("w"), "{header:.60}");
    }
    // A value of another kind: the program fails, as it would with that value.
    forged(path, b"{\"lengths\":[],\"value\":{\"text\":\"\xf0\x9f\x98\x80\"}}", b"");
    assert!(run_with(&place.cache(), 0, program, &Control::default()).ended.is_err());
    assert!(
        entry::write(
            &Name::of([0; 32]),
            Duration::ZERO,
            &Packed { header: vec![b' '; 5 << 20], bytes: Vec::new() }
        )
        .is_none()
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_told_of_once() {
    let place = Place::new();
    fs::write(place.0.path().join("results"), "in the way").unwrap();
    let cache = place.cache();
    let program = "a = sample(seed: 1)\nb = sample(seed: 2)\nc = sample(seed: 1)\n";
    let ran = run(&cache, program);
    assert_eq!(ran.said.notes.len(), 1, "{:?}", ran.said.notes);
    assert!(ran.said.notes[0].contains("--no-cache"), "{:?}", ran.said.notes);
    assert!(ran.bits("a") == ran.bits("c") && ran.hits == 0);
    assert!(run(&cache, program).said.notes.is_empty());
}

#[test]
fn two_sessions_share_a_folder() {
    let place = Place::new();
    let alone = run(&Cache::default(), "w = sample(n: 50, seed: 1)");
    std::thread::scope(|scope| {
        for k in 0..4 {
            let (place, alone) = (&place, &alone);
            scope.spawn(move || {
                for round in 0..8 {
                    let ran = run(&place.cache(), "w = sample(n: 50, seed: 1)");
                    assert!(ran.bits("w") == alone.bits("w"));
                    if (round + k) % 3 == 0 {
                        place.cache().clear().unwrap();
                    }
                }
            });
        }
    });
}

#[test]
fn short_and_large_results_are_not_worth_it() {
    let place = Place::new();
    let cache = Cache::at(place.0.path(), 1 << 20);
    let on = cache.on.as_deref().unwrap();
    let name = |k| Name::of([k; 32]);
    let count = || cache.report().unwrap().unwrap().held.files;
    let value = Value::Text("x".repeat(1000));
    on.keep(&name(1), &value, LEAST / 2);
    assert_eq!(count(), 0);
    on.keep(&name(1), &value, 2 * LEAST);
    assert_eq!(count(), 1);
    // A quarter of the whole folder.
    on.keep(&name(2), &Value::Text("x".repeat(300_000)), Duration::from_secs(60));
    assert_eq!(count(), 1);
    let found = on.find(&name(1), &Models::cpu()).unwrap();
    assert!(bits(&found) == bits(&value) && cache.hits() == 1);
    let report = cache.report().unwrap().unwrap();
    assert_eq!((report.saved, report.limit), (2 * LEAST, 1 << 20));
    assert_eq!(cache.clear().unwrap().files, 1);
    assert!(Cache::at(place.0.path(), 0).report().unwrap().is_none());
}
