//! Reports as a whole: from files to files.

use super::*;
use crate::image::{Raster, encode};
use crate::render::{self, Block, Picture, Table};
use crate::session::{self, Cell, Record, Status};
use crate::ui::notebook::{Document, Outputs, Ran, RanStatus, text_hash};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A notebook with one text cell and two code cells, of which the first ran.
fn notebook(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("look.gnt");
    let text = "#%% md\n# A look\n\n#%%\nshow sample(seed: 1)\n\n#%%\nprint(1)\n";
    std::fs::write(&path, text).unwrap();
    let document = Document::parse(text);
    let mut outputs = Outputs::beside(&path);
    let raster = Raster::filled(3, 2, &[1, 2, 3]).unwrap();
    let rows = vec![vec![render::Cell::Text("a|b".into()), render::Cell::Number(1.5, 1)]];
    let table = Table { columns: vec!["name".into(), "value".into()], rows };
    let blocks = [
        Block::Pictures(vec![Picture::new(raster, "a face")]),
        Block::text(["psnr 29.4 dB"]),
        Block::Table(table),
    ];
    let (output, fine) = outputs.pieces(&blocks);
    fine.unwrap();
    let ran = Ran {
        late: BTreeMap::new(),
        key: "k".into(),
        status: RanStatus::Ok,
        millis: 5,
        cached: false,
        output,
        names: Vec::new(),
    };
    let mut index = outputs.read().unwrap();
    for (at, cell) in document.cells().iter().enumerate() {
        index.cells.push((text_hash(&cell.text), false, (at == 1).then(|| ran.clone())));
    }
    outputs.write(index).unwrap();
    path
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn cells_that_read_names_of_cells_below_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("late.gnt");
    let warnings = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Page::read(&path).unwrap().warnings
    };
    let late = "#%% md\nwords\n#%%\nprint(late)\n#%%\nlate = 4\n";
    let line = "cell 2: late is bound in cell 3, below: the file does not run from top to bottom";
    assert_eq!(warnings(late), [line]);
    assert!(warnings("#%%\nlate = 4\n#%%\nprint(late)\n").is_empty());
    // The embedded generator has this direction; of another one nothing is known.
    let named = "#%%\nw = sample() + smile\n#%%\nsmile = 4\n";
    assert!(warnings(named).is_empty());
    let other = warnings(&format!("#%%\nload \"other.pkl\"\n{named}"));
    assert!(other[0].ends_with(", unless the generator has a direction of that name"), "{other:?}");
}

#[test]
fn a_notebook_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let page = Page::read(&notebook(folder.path())).unwrap();
    let to = |name: &str| folder.path().join(name);

    export(&page, &to("r.html")).unwrap();
    let html = read(&to("r.html"));
    for words in [
        "<h1>A look</h1>",
        "<figcaption>a face</figcaption>",
        "psnr 29.4 dB",
        "has not run",
        "<tr><td>a|b</td><td class=\"number\">1.5</td></tr>",
    ] {
        assert!(html.contains(words), "{words}: {html}");
    }

    export(&page, &to("r.md")).unwrap();
    let markdown = read(&to("r.md"));
    assert!(markdown.contains("![a face](r.files/0001.png)"), "{markdown}");
    let table = "| name | value |\n| --- | ---: |\n| a\\|b | 1.5 |\n";
    assert!(markdown.contains(table), "{markdown}");
    let png = std::fs::read(to("r.files/0001.png")).unwrap();
    assert_eq!(png, encode::png(&Raster::filled(3, 2, &[1, 2, 3]).unwrap(), &[]).unwrap());

    export(&page, &to("r.ipynb")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&read(&to("r.ipynb"))).unwrap();
    assert_eq!((&json["nbformat"], &json["nbformat_minor"]), (&4.into(), &5.into()));
    let kinds: Vec<&str> = json["cells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["cell_type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["markdown", "code", "code"]);
    let output = &json["cells"][1]["outputs"][0];
    assert_eq!(output["data"]["image/png"], crate::store::base64::encode(&png));
    let table = &json["cells"][1]["outputs"][2]["data"];
    assert!(table["text/html"].as_str().unwrap().starts_with("<table>"), "{table}");
    assert_eq!(table["text/plain"], serde_json::json!(["name  value\n", "a|b     1.5\n"]));

    // The same page gives the same bytes, over its own report.
    for name in ["r.html", "r.md", "r.ipynb"] {
        let before = read(&to(name));
        export(&page, &to(name)).unwrap();
        assert_eq!(before, read(&to(name)), "{name}");
    }
}

#[test]
fn a_file_of_something_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let page = Page::read(&notebook(folder.path())).unwrap();
    let own = folder.path().join("thesis.html");
    std::fs::write(&own, "my thesis").unwrap();
    let e = export(&page, &own).unwrap_err();
    assert!(e.message().contains("is not a report") && e.repair().is_some(), "{e}");
    assert_eq!(read(&own), "my thesis");
    let e = export(&page, &folder.path().join("report.pdf")).unwrap_err();
    assert!(e.repair().unwrap().contains("report.html"), "{e}");
}

#[test]
fn an_output_of_another_text_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = notebook(folder.path());
    std::fs::write(&path, read(&path).replace("seed: 1", "seed: 2")).unwrap();
    let page = Page::read(&path).unwrap();
    let html = html::html(&page);
    assert!(!html.contains("<img") && html.matches("has not run").count() == 2, "{html}");
}

#[test]
fn a_journal_shows_its_cells_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let files: Arc<dyn Files> = Arc::new(Disk);
    let mut opened = session::create(&files, folder.path(), "toy").unwrap();
    let mut look = Cell::new(1, "show w", Status::Ok);
    let raster = Raster::filled(3, 2, &[1, 2, 3]).unwrap();
    let png = encode::png(&raster, &[]).unwrap();
    look.pictures = vec![session::Picture { label: "target".into(), png }];
    look.output = vec!["target: [picture 3×2 rgb, mean #010203]".into(), "psnr 3 dB".into()];
    let mut wrong = Cell::new(2, "nosuch", Status::Failed);
    wrong.output = vec!["error: nosuch".into()];
    let again = Cell { id: 3, ..wrong.clone() };
    for record in [look, wrong, again].map(Record::Cell).into_iter().chain([Record::Undo]) {
        opened.journal.append(record).unwrap();
    }
    drop(opened);
    let path = session::latest(&files, folder.path()).unwrap().unwrap().path;
    let page = Page::read(&path).unwrap();
    assert_eq!(page.parts.len(), 2, "one was taken back");
    let html = html::html(&page);
    assert_eq!(html.matches("<img").count(), 1, "{html}");
    assert!(html.contains("<pre class=\"text\">psnr 3 dB</pre>"), "{html}");
    assert!(html.contains("<pre class=\"error\">error: nosuch</pre>"), "{html}");
}
