//! A report as a Jupyter notebook (nbformat 4.5). It is read without a kernel.

use super::MARK;
use super::page::{Output, Page, Part};
use crate::error::{Error, Result};
use crate::render::text::printable;
use crate::store::base64;
use serde_json::{Value as Json, json};

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
        Output::Table(table) => {
            let data = json!({
                "text/html": super::html::table_alone(table),
                "text/plain": text(&table.lines()),
            });
            vec![json!({"output_type": "display_data", "metadata": {}, "data": data})]
        }
        Output::Pictures(shots) => shots
            .iter()
            .map(|shot| {
                let words = if shot.caption.is_empty() { &shot.words } else { &shot.caption };
                let png = base64::encode(&shot.png);
                let data = json!({"image/png": png, "text/plain": [printable(words)]});
                json!({"output_type": "display_data", "metadata": {}, "data": data})
            })
            .collect(),
    }
}

/// A text as lines with their ends, as notebooks keep them.
fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_owned).collect()
}
