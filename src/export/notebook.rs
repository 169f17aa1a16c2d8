//! A report as a Jupyter notebook (nbformat 4.5). It is read without a kernel.

use super::MARK;
use super::page::{Output, Page, Part, Shot};
use crate::error::{Error, Result};
use crate::image::{decode, encode};
use crate::limits::LIMITS;
use crate::render::text::printable;
use crate::store::base64;
use serde_json::{Value as Json, json};

/// Widest sheet of pictures, in pixels.
const WIDEST: usize = 4096;

/// The page as the JSON of a notebook.
///
/// # Errors
/// When the JSON cannot be written.
pub fn notebook(page: &Page) -> Result<String> {
    let cells: Vec<Json> = page.parts.iter().enumerate().map(|(at, part)| cell(at, part)).collect();
    let whole = json!({
        "cells": cells,
        "metadata": {
            "gannet": {"export": MARK, "origin": page.origin},
            "kernelspec": {"display_name": "gannet", "language": "gannet", "name": "gannet"},
            "language_info": {
                "name": "gannet", "file_extension": ".gnt", "mimetype": "text/x-gannet",
            },
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    });
    serde_json::to_string_pretty(&whole)
        .map(|text| text + "\n")
        .map_err(|e| Error::runtime(format!("cannot write the notebook: {e}")))
}

fn cell(at: usize, part: &Part) -> Json {
    let id = format!("cell-{at}");
    match part {
        Part::Words(words) => {
            json!({"cell_type": "markdown", "id": id, "metadata": {}, "source": lines(words)})
        }
        Part::Code { number, source, outputs, .. } => {
            let outputs: Vec<Json> = outputs.iter().flat_map(output).collect();
            json!({"cell_type": "code", "id": id, "metadata": {}, "execution_count": number,
                "source": lines(source), "outputs": outputs})
        }
    }
}

fn output(output: &Output) -> Vec<Json> {
    let text = |all: &[String]| lines(&all.iter().map(|l| printable(l) + "\n").collect::<String>());
    match output {
        Output::Lines(all) => {
            vec![json!({"output_type": "stream", "name": "stdout", "text": text(all)})]
        }
        Output::Error(all) => {
            vec![json!({"output_type": "stream", "name": "stderr", "text": text(all)})]
        }
        Output::Pictures(shots) => match sheet(shots) {
            Some(png) => {
                let words: Vec<String> = shots.iter().map(|s| printable(words(s))).collect();
                let words = words.join(" | ");
                let line = format!("{words}\n");
                let captions = json!({"output_type": "stream", "name": "stdout", "text": [line]});
                vec![picture(&png, &words), captions]
            }
            None => shots.iter().map(|s| picture(&s.png, &printable(words(s)))).collect(),
        },
        Output::Table(table) => {
            let data = json!({
                "text/html": super::html::table_alone(table),
                "text/plain": text(&table.lines()),
            });
            vec![json!({"output_type": "display_data", "metadata": {}, "data": data})]
        }
    }
}

fn words(shot: &Shot) -> &str {
    if shot.caption.is_empty() { &shot.words } else { &shot.caption }
}

fn picture(png: &[u8], words: &str) -> Json {
    json!({"output_type": "display_data", "metadata": {},
        "data": {"image/png": base64::encode(png), "text/plain": [words]}})
}

/// Several pictures of one size as one, because Jupyter shows outputs below each other; `None` for
/// a single picture, and where they do not fit.
fn sheet(shots: &[Shot]) -> Option<Vec<u8>> {
    let [first, _, ..] = shots else { return None };
    let read = |shot: &Shot| Some(decode::decode("picture", &shot.png, &LIMITS).ok()?.raster);
    let all = shots.iter().map(read).collect::<Option<Vec<_>>>()?;
    let sheet = encode::grid(&all, (WIDEST / first.size.0.max(1)).max(1)).ok()?;
    encode::png(&sheet, &[]).ok()
}

/// A text as lines with their ends, as notebooks keep them.
fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Raster;

    #[test]
    fn pictures_of_one_size_lie_side_by_side() {
        let shot = |width: usize, caption: &str| {
            let raster = Raster::filled(width, 4, &[9, 9, 9]).unwrap();
            let png = encode::png(&raster, &[]).unwrap();
            Shot { png, size: (width, 4), caption: caption.into(), words: "a picture".into() }
        };
        let size = |json: &Json| {
            let png = base64::decode(json["data"]["image/png"].as_str().unwrap()).unwrap();
            let raster = decode::decode("p", &png, &LIMITS).unwrap().raster;
            (raster.width, raster.height)
        };
        let same = output(&Output::Pictures(vec![shot(5, "target"), shot(5, "")]));
        assert_eq!((size(&same[0]).1, same.len()), (4, 2));
        assert!(size(&same[0]).0 > 10);
        assert_eq!(same[1]["text"][0], "target | a picture\n");
        let other = output(&Output::Pictures(vec![shot(5, ""), shot(6, "")]));
        assert_eq!(other.iter().map(size).collect::<Vec<_>>(), [(5, 4), (6, 4)]);
    }
}
