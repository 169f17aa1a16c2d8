//! `doctor`: report on terminal and machine, with reasons.

use super::{Common, asking, cache, out, prepare};
use crate::error::{Error, Result};
use crate::render::probe;
use crate::ui::doctor::{Finding, findings, lines};
use crate::value::Models;
use std::sync::Arc;
use std::time::Instant;

/// `gannet doctor`: 1 when the requested device or generator cannot be used.
pub fn doctor(common: &Common) -> Result<u8> {
    let terminal = probe(&asking(common)?).terminal;
    let prepared = prepare(common);
    // A device that cannot be used is a finding of its own; the generator is tried without it.
    let models = prepared.as_ref().map_or_else(|_| Models::cpu(), Arc::clone);
    let begun = Instant::now();
    let generator = models.load(&common.model).map(|m| {
        format!("{}, ready in {:.0} ms", m.facts.label(), begun.elapsed().as_secs_f64() * 1e3)
    });
    let failed = prepared.is_err() || generator.is_err();
    let mut all = findings(&terminal, models.device(), &cache(common));
    all.push(finding("device", prepared.map(|_| common.device.clone())));
    all.push(finding("generator", generator));
    for one in &all {
        let text =
            if common.json { serde_json::json!(one).to_string() } else { lines(one).join("\n") };
        out(format!("{text}\n").as_bytes())?;
    }
    Ok(u8::from(failed))
}

fn finding(topic: &'static str, found: Result<String, Error>) -> Finding {
    match found {
        Ok(found) => Finding { topic, found, repair: None },
        Err(e) => {
            Finding { topic, found: e.message().to_owned(), repair: e.repair().map(str::to_owned) }
        }
    }
}
