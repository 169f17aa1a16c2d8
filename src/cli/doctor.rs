//! `doctor`: what was found of terminal and machine, and why.

use super::{Common, graphics, out, prepare};
use crate::error::Result;
use crate::render::probe;
use crate::safe::Safe;
use crate::value::model;
use serde_json::json;

/// `gannet doctor`
pub fn doctor(common: &Common) -> Result<u8> {
    let terminal = probe(&crate::render::Options { graphics: graphics(common)?, ..Default::default() }).terminal;
    let device = prepare(common);
    let begun = std::time::Instant::now();
    let loaded = model::load(&common.model);
    let millis = begun.elapsed().as_millis();
    let mut rows: Vec<(&str, String, Option<String>)> = vec![
        ("terminal", format!("{} · {}", Safe(&terminal.name), terminal.summary()), None),
        (
            "cells",
            format!("{}×{} of {}×{} pixels", terminal.columns, terminal.rows, terminal.cell.0, terminal.cell.1),
            None,
        ),
        (
            "round trip",
            terminal.round_trip.map_or("no answer".into(), |d| format!("{:.1} ms", d.as_secs_f64() * 1e3)),
            None,
        ),
    ];
    rows.extend(terminal.reasons.iter().map(|r| ("because", r.clone(), None)));
    rows.push(("cpu", cpu(), None));
    rows.push(("threads", rayon::current_num_threads().to_string(), None));
    rows.push(match &device {
        Ok(()) => ("device", common.device.clone(), None),
        Err(e) => ("device", e.message().to_owned(), e.repair().map(str::to_owned)),
    });
    rows.push(match &loaded {
        Ok(m) => ("generator", format!("{} ready in {millis} ms", m.facts.label()), None),
        Err(e) => ("generator", e.message().to_owned(), e.repair().map(str::to_owned)),
    });
    rows.push(match crate::store::state_folder() {
        Some(f) => ("sessions", Safe(&f.to_string_lossy()).to_string(), None),
        None => ("sessions", "no folder for them".into(), Some("set GANNET_STATE or HOME".into())),
    });
    for (what, found, repair) in &rows {
        let line = if common.json {
            json!({"what": what, "found": found, "repair": repair}).to_string()
        } else {
            let repair = repair.as_ref().map(|r| format!(" — try: {r}")).unwrap_or_default();
            format!("{what:<11} {found}{repair}")
        };
        out(format!("{line}\n").as_bytes())?;
    }
    Ok(u8::from(device.is_err() || loaded.is_err()))
}

/// The vector instructions that the kernels look for.
fn cpu() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let found = [
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("fma", std::arch::is_x86_feature_detected!("fma")),
            ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        ];
        found.iter().filter(|(_, yes)| *yes).map(|(n, _)| *n).collect::<Vec<_>>().join(" ")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        std::env::consts::ARCH.to_owned()
    }
}
