//! Numbers and curves as characters.

/// Column heights of a curve, from 1 to `height`, on a logarithmic scale. Values that are not
/// positive numbers are at the bottom. When several values share a column the last one counts, so
/// that the newest value is always visible.
pub fn heights(history: &[f64], width: usize, height: usize) -> Vec<usize> {
    let columns = history.len().min(width);
    let logs: Vec<f64> =
        (1..=columns).map(|i| history[i * history.len() / columns - 1].max(1e-30).ln()).collect();
    let (low, high) = logs.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    let scale = if high - low > 1e-9 { (height - 1) as f64 / (high - low) } else { 0.0 };
    logs.iter().map(|v| 1 + ((v - low) * scale) as usize).collect()
}

/// A curve as one line of bars.
pub fn bars(values: &[f64], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    heights(values, width, BARS.len()).into_iter().map(|h| BARS[h.clamp(1, 8) - 1]).collect()
}

/// A number with four significant digits: `0.0421`, `29.41`, `1.2e-7`.
pub fn number(v: f64) -> String {
    match v.abs() {
        _ if !v.is_finite() => v.to_string(),
        0.0 => "0".into(),
        a if !(1e-3..1e5).contains(&a) => format!("{v:.2e}"),
        a if a < 10.0 => format!("{v:.4}"),
        a if a < 1000.0 => format!("{v:.2}"),
        _ => format!("{v:.0}"),
    }
}

/// A measurement without its unit, short: decibels with one digit after the point, others with
/// three. A small number keeps two digits, because three after the point would show it as 0.000.
pub fn rounded(v: f64, unit: &str) -> String {
    let digits = if unit == "dB" { 1 } else { 3 };
    if v != 0.0 && v.abs() < 5e-4 { format!("{v:.1e}") } else { format!("{v:.digits$}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_fall_and_bear_any_value() {
        let falling: Vec<f64> = (1..100).map(|i| 1.0 / f64::from(i)).collect();
        let all = heights(&falling, 20, 16);
        assert_eq!((all.len(), all[19]), (20, 1));
        assert!(all.windows(2).all(|w| w[0] >= w[1]), "{all:?}");
        assert_eq!(heights(&[f64::NAN, 0.0, -1.0], 9, 8).len(), 3);
        assert!(heights(&[], 9, 8).is_empty());
        assert_eq!(bars(&[8.0, 1.0], 9), "█▁");
    }

    #[test]
    fn numbers_have_four_digits() {
        for (v, text) in [
            (0.0421, "0.0421"),
            (29.412, "29.41"),
            (1.2e-7, "1.20e-7"),
            (0.0, "0"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(number(v), text);
        }
    }
}
