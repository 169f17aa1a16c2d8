//! Blocks as JSON, for other programs.

use super::block::{Block, Cell, Diagnostic, Number, Picture, Table};
use super::chart::Plot;
use crate::error::Error;
use crate::lang::span::Source;
use serde_json::{Value as Json, json};

/// A block as an object with its `type`. Pictures are described, not embedded.
pub fn block(block: &Block) -> Json {
    match block {
        Block::Pictures(all) => {
            let one = |p: &Picture| {
                let (width, height) = (p.raster.width, p.raster.height);
                json!({"caption": p.caption, "width": width, "height": height})
            };
            json!({"type": "Pictures", "pictures": all.iter().map(one).collect::<Vec<_>>()})
        }
        Block::Table(t) => json!({"type": "Table", "rows": rows(t)}),
        Block::Plot(p) => plot(p),
        Block::Numbers(n) => {
            let number = |n: &Number| {
                let (name, unit) = (&n.name, &n.unit);
                json!({"name": name, "values": n.values, "unit": unit, "definition": n.definition})
            };
            json!({"type": "Numbers", "numbers": n.all.iter().map(number).collect::<Vec<_>>()})
        }
        Block::Text(lines) => json!({"type": "Text", "lines": lines}),
        Block::Diagnostic(d) => {
            json!({"type": "Diagnostic", "errors": diagnostics(d).collect::<Vec<_>>()})
        }
    }
}

/// A plot as an object with its numbers.
pub fn plot(plot: &Plot) -> Json {
    match plot {
        Plot::Curves { title, curves } => {
            let curves = curves.iter().map(|c| json!({"name": c.name, "values": c.values}));
            let curves: Vec<Json> = curves.collect();
            json!({"type": "Plot", "kind": "curves", "title": title, "curves": curves})
        }
        Plot::Histogram(h) => {
            let [least, greatest, mean, sigma] = h.summary;
            json!({"type": "Plot", "kind": "histogram", "name": h.name, "edges": h.edges,
                "counts": h.counts, "least": least, "greatest": greatest, "mean": mean,
                "sigma": sigma})
        }
        Plot::Chart(c) => {
            let series =
                c.series.iter().map(|(name, points)| json!({"name": name, "points": points}));
            let kind = if c.joined { "line" } else { "scatter" };
            json!({"type": "Plot", "kind": kind, "x": c.x, "y": c.y, "log": c.log,
                "series": series.collect::<Vec<_>>()})
        }
    }
}

/// The rows of a table as objects with the column headers as keys.
pub fn rows(table: &Table) -> Vec<Json> {
    let cell = |c: &Cell| match c {
        Cell::Text(s) => json!(s),
        Cell::Number(v, _) => json!(v),
    };
    let row = |r: &Vec<Cell>| {
        Json::Object(table.columns.iter().cloned().zip(r.iter().map(cell)).collect())
    };
    table.rows.iter().map(row).collect()
}

/// The errors as objects: file, line and column (from 1), message, offending text, notes, hint, and
/// the edit that applies it.
pub fn diagnostics(d: &Diagnostic) -> impl Iterator<Item = Json> {
    let source = &d.source;
    let one = |e: &Error| {
        let other = e.elsewhere().and_then(|file| Source::new(&*file.name, &*file.text).ok());
        let source = other.as_ref().unwrap_or(source);
        let (line, column) = e.span().map_or((1, 1), |s| source.location(s.start));
        json!({"file": source.name(), "ok": false, "line": line, "column": column, "message": e.message(),
            "found": e.span_text(), "notes": e.notes(), "try": e.repair(),
            "fix": e.applied().map(|f| json!({"from": f.span.start, "to": f.span.end, "text": f.text}))})
    };
    d.error.iter().map(one)
}

#[cfg(test)]
mod tests {
    use super::super::block::Numbers;
    use super::super::chart::{Chart, Curve, Histogram};
    use super::*;
    use crate::error::Span;
    use crate::image::Raster;

    #[test]
    fn an_error_in_an_imported_file_names_that_file() {
        let source = Source::new("a.gnt", "import \"lib.gnt\"").unwrap();
        let library = Source::new("lib.gnt", "x = 1\ny = zz").unwrap();
        let error = library.holds(Error::check("wrong").at(Span::new(10, 12)), Span::new(7, 16));
        let all: Vec<Json> = diagnostics(&Diagnostic { source, error }).collect();
        assert_eq!(
            (&all[0]["file"], &all[0]["line"], &all[0]["column"]),
            (&json!("lib.gnt"), &json!(2), &json!(5))
        );
    }

    #[test]
    fn every_block_has_its_object() {
        let raster = Raster::filled(3, 2, &[1]).unwrap();
        let number = Number {
            name: "psnr".into(),
            values: vec![29.5],
            unit: "dB".into(),
            definition: "d".into(),
        };
        let error = Error::check("wrong").at(Span::new(2, 3)).hint("right");
        let source = Source::new("a.gnt", "x\ny").unwrap();
        let table = Table {
            columns: vec!["a".into(), "b".into()],
            rows: vec![vec![Cell::Text("t".into()), Cell::Number(1.5, 1)]],
        };
        let curves = vec![Curve { name: "l2".into(), values: vec![2.0, 1.0] }];
        let all = [
            (
                Block::Pictures(vec![Picture::new(raster, "c")]),
                json!({"type": "Pictures", "pictures": [{"caption": "c", "width": 3, "height": 2}]}),
            ),
            (Block::Table(table), json!({"type": "Table", "rows": [{"a": "t", "b": 1.5}]})),
            (
                Block::Plot(Plot::Curves { title: "loss".into(), curves }),
                json!({"type": "Plot", "kind": "curves", "title": "loss", "curves": [{"name": "l2", "values": [2.0, 1.0]}]}),
            ),
            (
                Block::Plot(Plot::Histogram(Histogram::of("a", &[1.0, 3.0], Some(2)).unwrap())),
                json!({"type": "Plot", "kind": "histogram", "name": "a", "edges": [1.0, 2.0, 3.0],
                    "counts": [1, 1], "least": 1.0, "greatest": 3.0, "mean": 2.0, "sigma": 1.0}),
            ),
            (
                Block::Plot(Plot::Chart(Chart {
                    series: vec![("s".into(), vec![(1.0, 2.0)])],
                    ..Chart::default()
                })),
                json!({"type": "Plot", "kind": "scatter", "x": "", "y": "", "log": false,
                    "series": [{"name": "s", "points": [[1.0, 2.0]]}]}),
            ),
            (
                Block::Numbers(Numbers { all: vec![number], defined: false }),
                json!({"type": "Numbers", "numbers":
                    [{"name": "psnr", "values": [29.5], "unit": "dB", "definition": "d"}]}),
            ),
            (Block::text(["one"]), json!({"type": "Text", "lines": ["one"]})),
            (
                Block::Diagnostic(Box::new(Diagnostic { source, error })),
                json!({"type": "Diagnostic", "errors": [{"file": "a.gnt", "ok": false, "line": 2, "column": 1,
                    "message": "wrong", "found": "", "notes": [], "try": "right", "fix": null}]}),
            ),
        ];
        for (one, want) in all {
            assert_eq!(block(&one), want);
        }
    }
}
