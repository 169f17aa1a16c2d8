//! The metric and the built-in function.

use super::{error, gannet, run};
use crate::error::Kind;
use crate::metric;
use crate::value::{Cell, Value};

#[test]
fn a_metric_has_its_row_and_its_definition() {
    let kept = run("toy", "measure(sample(seed: 1), sample(seed: 2))").unwrap();
    let Some(Value::Table(table)) = kept.values.last() else { panic!("no table") };
    let name = |row: &&Vec<Cell>| matches!(&row[0], Cell::Text(t) if t == "dummy_metric");
    let row = table.rows.iter().find(name).expect("a row");
    assert!(matches!(row[1], Cell::Number(v, _) if v > 0.0 && v <= 4.0), "{row:?}");
    let definition = metric::by_name("dummy_metric").unwrap().definition();
    let defined = format!("dummy_metric: {definition}");
    assert!(table.definitions.contains(&defined), "{:?}", table.definitions);
    let e = metric::by_name("dummy_metrik").err().unwrap();
    assert!(e.repair().is_some_and(|r| r.contains("dummy_metric")), "{e}");
    let folder = tempfile::tempdir().unwrap();
    let code = "save(sample(seed: 1), \"a.png\"); save(sample(seed: 2), \"b.png\")";
    gannet(folder.path(), &["--model", "toy", "--out", ".", "eval", code]);
    let (text, _) = gannet(folder.path(), &["--model", "toy", "compare", "a.png", "b.png"]);
    assert!(text.contains("dummy_metric"), "{text}");
}

#[test]
fn a_function_is_called_checked_and_suggested() {
    assert_eq!(
        run("toy", "dummy_builtin(21)\ndummy_builtin(2, times: 3)").unwrap().lines,
        ["42", "6"]
    );
    for (code, words) in [
        ("dummy_builtin(2, times: 10)", "times"),
        ("dummy_builtin(\"a\")", "Number"),
        ("dummy_builtin()", "x"),
        ("dummy_builtin(1, tmes: 2)", "times"),
        ("dumy_builtin(1)", "dummy_builtin"),
    ] {
        let e = error(code);
        let text = format!("{} {}", e.message(), e.repair().unwrap_or_default());
        assert!(e.kind() == Kind::Check && text.contains(words), "{code}: {text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let args = ["--model", "toy", "eval", "print(dummy_builtin(21))"];
    assert!(gannet(folder.path(), &args).0.trim_end().ends_with("42"));
}
