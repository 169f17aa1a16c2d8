//! Durations as text.

use std::time::Duration;

/// `7.4 s`, `1 m 05 s`, `2 h 03 m`.
pub(super) fn time(t: Duration) -> String {
    let s = t.as_secs();
    match s {
        0..=59 => format!("{:.1} s", t.as_secs_f64()),
        60..=3599 => format!("{} m {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} m", s / 3600, s / 60 % 60),
    }
}

/// Estimated time until `total`, when `step` steps took `elapsed`; `None` before the first
/// estimate.
pub(super) fn remaining(from: f64, share: f64, elapsed: Duration) -> Option<Duration> {
    let done = share - from;
    (done > 0.0 && share <= 1.0).then(|| elapsed.mul_f64((1.0 - share) / done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_one_reads_them() {
        let times = [(7_400, "7.4 s"), (65_000, "1 m 05 s"), (7_380_000, "2 h 03 m")];
        for (ms, text) in times {
            assert_eq!(time(Duration::from_millis(ms)), text);
        }
        assert_eq!(remaining(0.25, 0.5, Duration::from_secs(10)), Some(Duration::from_secs(20)));
        assert_eq!(remaining(0.5, 0.5, Duration::from_secs(10)), None);
    }
}
