//! `:details`: an inversion taken apart, every number with its definition.

use super::docs::indented;
use super::format;
use super::view::heights;
use crate::render::text::{cut, wrap};
use serde_json::Value as Json;

const COLUMNS: usize = 79;
/// Columns of a loss curve.
const CURVE: usize = 36;

/// The details of an inversion, from its JSON (see [`crate::value::display::json`]).
pub(super) fn details(i: &Json) -> Vec<String> {
    let text = |key: &str| i[key].as_str().unwrap_or("?").to_owned();
    let passes = i["passes"]
        .as_u64()
        .filter(|&n| n > 0)
        .map(|n| format!(", {n} of them the encoder's"))
        .unwrap_or_default();
    let stopped =
        i["stopped_at"].as_u64().map(|s| format!(", stopped at step {s}")).unwrap_or_default();
    let mut lines = vec![format!(
        "{} in {}, {} steps{passes}{stopped}, {:.1} s, seed {}",
        text("method"),
        text("space"),
        i["steps"],
        i["seconds"].as_f64().unwrap_or(0.0),
        i["seed"]
    )];
    for n in array(&i["numbers"]) {
        let value = n["value"].as_f64().map_or_else(|| "?".to_owned(), format::number);
        lines.push(
            format!(
                "{} {value} {}",
                n["name"].as_str().unwrap_or("?"),
                n["unit"].as_str().unwrap_or("")
            )
            .trim_end()
            .to_owned(),
        );
        lines.extend(indented(n["definition"].as_str().unwrap_or(""), 4, COLUMNS));
    }
    lines.extend(codes(i));
    let traces = array(&i["trace"]);
    for (k, trace) in traces.iter().enumerate() {
        let which = if traces.len() > 1 { format!(" of picture {}", k + 1) } else { String::new() };
        lines.extend(curves(trace, &which));
    }
    lines.extend(
        array(&i["warnings"]).iter().filter_map(Json::as_str).map(|w| format!("note: {w}")),
    );
    lines.into_iter().flat_map(|l| wrap(&l, COLUMNS)).collect()
}

/// What the codes tell, with definitions.
fn codes(i: &Json) -> Vec<String> {
    let list = |key: &str| {
        array(&i[key])
            .iter()
            .filter_map(Json::as_f64)
            .map(|v| format!("{v:.2}"))
            .collect::<Vec<_>>()
    };
    let mut lines = Vec::new();
    for (key, name, definition) in [
        (
            "offsets",
            "offsets from W",
            "root mean square distance of the rows of a W+ code from their mean, in σ of w; edits \
             stay safe below 0.5",
        ),
        (
            "mean_distance",
            "distance from the mean of w",
            "of the code's mean row, in σ of w; a typical sample has about 1, above 2.5 lies \
             outside the training",
        ),
    ] {
        let values = list(key);
        if !values.is_empty() {
            lines.push(format!("{name} {} σ", values.join(" ")));
            lines.extend(indented(definition, 4, COLUMNS));
        }
    }
    lines
}

/// The whole loss and its weighted terms over the steps, on a logarithmic scale.
fn curves(trace: &Json, which: &str) -> Vec<String> {
    let rows: Vec<Vec<f64>> = array(&trace["terms"])
        .iter()
        .map(|r| array(r).iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect())
        .collect();
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Vec::new() };
    let steps = array(&trace["steps"]);
    let step = |s: Option<&Json>| s.map(ToString::to_string).unwrap_or_default();
    let mut lines = vec![format!(
        "loss{which}, steps {} to {}, logarithmic, first → last",
        step(steps.first()),
        step(steps.last())
    )];
    let sum = |row: &Vec<f64>| row.iter().sum::<f64>();
    lines.push(curve("whole", rows.iter().map(sum).collect(), (sum(first), sum(last))));
    for (k, name) in array(&trace["names"]).iter().enumerate() {
        let values: Vec<f64> = rows.iter().filter_map(|r| r.get(k).copied()).collect();
        let ends = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0));
        lines.push(curve(name.as_str().unwrap_or("?"), values, ends));
    }
    lines
}

fn curve(name: &str, values: Vec<f64>, (first, last): (f64, f64)) -> String {
    let bars: String = heights(&values, CURVE, 8)
        .into_iter()
        .map(|h| ['▁', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][h.min(8)])
        .collect();
    format!(
        "  {:<12} {bars:<CURVE$} {} → {}",
        cut(name, 12),
        format::number(first),
        format::number(last)
    )
}

fn array(v: &Json) -> &[Json] {
    v.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::text::width;
    use serde_json::json;

    #[test]
    fn every_number_and_every_term() {
        let terms: Vec<[f64; 2]> =
            (0..200).map(|k| [f64::exp(-f64::from(k) / 30.0), 0.02]).collect();
        let i = json!({"method": "optimize", "space": "W+", "steps": 200, "seconds": 2.5, "seed": 7, "stopped_at": 150,
            "numbers": [{"name": "psnr", "value": 29.41, "unit": "dB", "definition": "10 log10(4 / mse) on [-1, 1]"}],
            "offsets": [0.31], "mean_distance": [1.2], "warnings": ["beware"],
            "trace": [{"names": ["l2", "perceptual"], "steps": (1..=200).collect::<Vec<_>>(), "terms": terms}]});
        let lines = details(&i);
        let text = lines.join("\n");
        for part in [
            "optimize in W+, 200 steps, stopped at step 150, 2.5 s, seed 7",
            "psnr 29.41 dB\n    10 log10(4 / mse)",
            "offsets from W 0.31 σ\n    root mean square",
            "steps 1 to 200",
            "1.0000 → 0.0013",
            "perceptual",
            "note: beware",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let falling = lines.iter().find(|l| l.starts_with("  l2")).unwrap();
        assert!(falling.contains('█') && falling.contains('▁'), "{falling}");
        assert!(lines.iter().all(|l| width(l) <= COLUMNS));
        assert!(!details(&json!({})).is_empty());
    }
}
