//! A rebuilt session equals the original, and as few cells as possible run for it.

use super::*;
use crate::builtin::Output;
use crate::control::Control;
use crate::eval::{Options, State};
use crate::lang::span::Source;
use crate::render::Block;
use crate::value::Models;
use crate::value::kept::{Kept, digest};
use proptest::prelude::*;

#[derive(Default)]
struct Notes(Vec<String>);

impl Output for Notes {
    fn display(&mut self, _: &[Block], _: &Value) -> Result<()> {
        Ok(())
    }

    fn print(&mut self, _: &str) -> Result<()> {
        Ok(())
    }

    fn note(&mut self, line: &str) -> Result<()> {
        self.0.push(line.to_owned());
        Ok(())
    }
}

fn run(session: &mut State, text: &str) -> Result<Vec<String>> {
    let mut notes = Notes::default();
    let source = Source::new("test", text).unwrap();
    session.run(&source, &BTreeMap::new(), &Control::default(), &mut notes)?;
    Ok(notes.0)
}

fn base(folder: &std::path::Path) -> State {
    State::new(Models::cpu(), "toy", Options { out: folder.into(), ..Options::default() }).unwrap()
}

/// Runs cells and returns them as a journal keeps them, with the final state. Values whose names
/// begin with `big` count as too large for the journal.
fn recorded(folder: &std::path::Path, texts: &[&str]) -> (Vec<Arc<Cell>>, State) {
    let (mut session, mut values, mut cells) = (base(folder), Values::default(), Vec::new());
    for (k, text) in texts.iter().enumerate() {
        let ran = run(&mut session, text);
        let status = if ran.is_ok() { Status::Ok } else { Status::Failed };
        let mut cell = Cell::new(k as u64 + 1, *text, status);
        if ran.is_ok() {
            // Results without a name are bound by the worker.
            let bound = values.binds(&cell).into_iter();
            for name in bound.filter(|n| session.names.contains_key(n)) {
                let mut kept = Kept::of(&session.names[&name]);
                if name.starts_with("big") {
                    kept = Kept::Again(digest(&session.names[&name]));
                }
                cell.values.insert(name, kept.into());
            }
        }
        cells.push(Arc::new(cell));
    }
    (cells, session)
}

/// Result of rebuilding a session for a text.
struct Built {
    rebuilt: Rebuilt,
    /// Cells that ran.
    ran: Vec<u64>,
    notes: Vec<String>,
}

fn build(values: &mut Values, base: &State, cells: &[Arc<Cell>], text: &str) -> Built {
    let settled = values.plan(cells, BTreeSet::new(), false);
    let rebuilt = values.build(base, cells, &settled, &mut |_, _| panic!("it ran")).unwrap();
    let wanted = Values::wanted(text, &rebuilt.session, &rebuilt.missing);
    let plan = values.plan(cells, wanted, true);
    let (mut ran, mut notes) = (Vec::new(), Vec::new());
    let rebuilt = values
        .build(base, cells, &plan, &mut |session, cell| {
            ran.push(cell.id);
            session.options.replaying = true;
            notes.extend(run(session, &cell.source)?);
            Ok(())
        })
        .unwrap();
    Built { rebuilt, ran, notes }
}

fn shown(v: Option<&Value>) -> String {
    match v {
        Some(Value::Latent(l)) => {
            format!("{:?}", l.point().flatten_all().unwrap().to_vec1::<f32>().unwrap())
        }
        Some(v) => crate::value::text::plain(v).unwrap(),
        None => "nothing".to_owned(),
    }
}

const CELLS: &[&str] = &[
    "a = sample(seed: 1)",                   // 1
    "big = render(a)",                       // 2
    "a = sample(seed: 2)",                   // 3
    "k = 2",                                 // 4
    "def f(v) = v + k*direction(\"smile\")", // 5
    "c = f(a)",                              // 6
    "k = 5",                                 // 7
    "bigger = [big, big]",                   // 8
    "nothing_of_that_name",                  // 9
    "print(k)",                              // 10
    "p = save(a, \"a.png\")",                // 11
    "save(c, \"c.png\")",                    // 12
    "load \"toy\"",                          // 13
    "e = [k for k in [1, 2]]",               // 14
    "def f(v) = v",                          // 15
];

#[test]
fn a_text_computes_only_what_it_needs_and_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (cells, end) = recorded(folder.path(), CELLS);
    for (text, ran) in [
        ("2 + 2", vec![13]),
        ("k + 1", vec![13]),
        ("c", vec![13]),
        ("f(c)", vec![13]),
        ("[a, c, e, p, k]", vec![13]),
        ("[k for big in [1]]", vec![13]),
        ("def g(big) = big", vec![13]),
        ("big", vec![2, 13]),
        ("show(bigger[0], a)", vec![2, 8, 13]),
        ("def g(x) = x + big", vec![2, 13]),
        ("big = 3", vec![13]),
        ("(((", vec![13]),
    ] {
        let built = build(&mut Values::default(), &base(folder.path()), &cells, text);
        assert_eq!(built.ran, ran, "{text}");
        assert!(built.rebuilt.troubles.is_empty(), "{text}: {:?}", built.rebuilt.troubles);
        assert!(built.notes.is_empty(), "{text}: {:?}", built.notes);
        for (name, value) in &built.rebuilt.session.names {
            assert_eq!(shown(Some(value)), shown(end.names.get(name)), "{text}: {name}");
        }
        let functions = |s: &State| s.functions.keys().cloned().collect::<Vec<_>>();
        assert_eq!(functions(&built.rebuilt.session), functions(&end));
    }
    // The picture was made from the value that `a` had at that time.
    let built = build(&mut Values::default(), &base(folder.path()), &cells, "big");
    let Some(Value::Image(big)) = built.rebuilt.session.names.get("big") else { panic!() };
    assert_eq!(
        big.origin,
        match &end.names["big"] {
            Value::Image(i) => i.origin.clone(),
            _ => String::new(),
        }
    );
}

#[test]
fn what_is_at_hand_is_bound_without_running_and_old_journals_run_what_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let (mut cells, end) = recorded(folder.path(), CELLS);
    let mut values = Values::default();
    build(&mut values, &base(folder.path()), &cells, "[bigger, c]");
    let again = build(&mut values, &base(folder.path()), &cells, "[bigger, c, a]");
    assert_eq!(again.ran, Vec::<u64>::new(), "what was computed stays at hand");
    // A journal that was written before journals kept values.
    cells.iter_mut().for_each(|c| Arc::make_mut(c).values.clear());
    let old = build(&mut Values::default(), &base(folder.path()), &cells, "c");
    assert_eq!(old.ran, [3, 4, 6, 13]);
    assert_eq!(shown(old.rebuilt.session.names.get("c")), shown(end.names.get("c")));
    assert_eq!(
        old.rebuilt.missing.iter().cloned().collect::<Vec<_>>().join(" "),
        "_12 big bigger e k p"
    );
}

#[test]
fn a_cell_that_runs_again_replaces_no_file_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let cells = &["a = sample(seed: 1)", "def keep(x) = [x, save(x, \"s.png\")]", "big = keep(a)"];
    let (cells, _) = recorded(folder.path(), cells);
    let file = folder.path().join("s.png");
    let original = std::fs::read(&file).unwrap();
    let again = |content: Option<&[u8]>| {
        match content {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let built = build(&mut Values::default(), &base(folder.path()), &cells, "big");
        assert_eq!(built.ran, [3]);
        (std::fs::read(&file).unwrap(), built.notes)
    };
    assert_eq!(again(Some(&original)), (original.clone(), Vec::new()));
    assert_eq!(again(None), (original.clone(), Vec::new()));
    let longer = [&original[..], b"x"].concat();
    for changed in [&b"mine"[..], b"", &longer, &original[1..]] {
        let (found, notes) = again(Some(changed));
        assert_eq!(found, changed, "a changed file was overwritten");
        assert!(notes.len() == 1 && notes[0].contains("left as it is"), "{notes:?}");
    }
}

#[test]
fn a_value_that_is_no_longer_what_it_was_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.png").to_string_lossy().into_owned();
    let mut maker = base(folder.path());
    run(&mut maker, "save(sample(seed: 1), \"x.png\")").unwrap();
    let text = format!("big = image(\"{path}\", align: none)");
    let (cells, _) = recorded(folder.path(), &[&text]);
    let fine = build(&mut Values::default(), &base(folder.path()), &cells, "big");
    assert!(fine.rebuilt.troubles.is_empty(), "{:?}", fine.rebuilt.troubles);
    run(&mut maker, "save(sample(seed: 2), \"x.png\")").unwrap();
    let other = build(&mut Values::default(), &base(folder.path()), &cells, "big");
    assert!(other.rebuilt.troubles[0].to_string().contains("differs from its recorded value"));
    assert!(other.rebuilt.session.names.contains_key("big"));
    std::fs::remove_file(&path).unwrap();
    let gone = build(&mut Values::default(), &base(folder.path()), &cells, "big");
    assert_eq!((gone.rebuilt.troubles.len(), gone.rebuilt.missing.len()), (1, 1));
}

#[test]
fn a_stopped_cell_is_named_and_an_interrupt_ends_the_building() {
    let folder = tempfile::tempdir().unwrap();
    let (mut cells, _) = recorded(folder.path(), &["big = sample(seed: 1)", "c = 1"]);
    Arc::make_mut(&mut cells[0]).status = Status::Stopped;
    let mut values = Values::default();
    let plan = values.plan(&cells, BTreeSet::from(["big".to_owned()]), true);
    assert_eq!(plan.computes().unwrap(), "big of [1] (was stopped; runs to the end this time)");
    let stop = &mut |_: &mut State, _: &Cell| Err(Error::new(Kind::Interrupted, "stopped"));
    let e = values.build(&base(folder.path()), &cells, &plan, stop).err().unwrap();
    assert_eq!(e.kind(), Kind::Interrupted);
}

#[test]
fn a_cell_that_reads_the_name_it_binds_runs_again() {
    let folder = tempfile::tempdir().unwrap();
    let texts = ["a = 7", "def f(x) = x + a", "big = a + 1", "big = f(big)", "big = big + f(big)"];
    let (cells, end) = recorded(folder.path(), &texts);
    let built = build(&mut Values::default(), &base(folder.path()), &cells, "big");
    assert_eq!(built.ran, [3, 4, 5]);
    assert_eq!(shown(built.rebuilt.session.names.get("big")), "37");
    assert_eq!(shown(end.names.get("big")), "37");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Names and values equal those of running everything again, whatever is kept.
    #[test]
    fn as_running_everything(picks in proptest::collection::vec(0usize..14, 1..14)) {
        let texts = [
            "a = 1", "a = a + 1", "b = a * 2", "big = b + a", "bigger = big * 3", "def f(x) = x + a",
            "b = f(b)", "big = f(big)", "def a(x) = x", "f = 4", "a = 7", "b = a(2)", "big = a(big)",
            "c = bigger - b",
        ];
        let folder = tempfile::tempdir().unwrap();
        let texts: Vec<&str> = picks.iter().map(|p| texts[*p]).collect();
        let (cells, end) = recorded(folder.path(), &texts);
        let all = end.names.keys().cloned().collect::<Vec<_>>().join(", ");
        let built = build(&mut Values::default(), &base(folder.path()), &cells, &format!("[{all}]"));
        let values = |s: &State| -> Vec<String> {
            s.names.iter().map(|(n, v)| format!("{n} {}", shown(Some(v)))).collect()
        };
        prop_assert!(built.rebuilt.missing.is_empty());
        prop_assert_eq!(values(&built.rebuilt.session), values(&end));
        // A cell whose values are kept never runs.
        for id in built.ran {
            prop_assert!(cells[id as usize - 1].source.starts_with("big"));
        }
    }
}
