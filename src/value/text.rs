//! Values as text.

use super::describe::{about, whole};
use super::{List, Value};
use crate::control;
use crate::error::Result;
use crate::limits::LIMITS;
use crate::safe::Safe;
use std::fmt::Write as _;

/// Width of a plot in a text, in columns.
const COLUMNS: usize = 79;

/// Values between two stop checks.
const PACE: usize = 1024;

/// The whole value as text with its numbers in full, for other programs.
///
/// # Errors
/// `Interrupted` when a long list is stopped.
pub fn plain(value: &Value) -> Result<String> {
    let mut writer = Writer { exact: true, ..Writer::new(usize::MAX) };
    writer.value(value)?;
    Ok(writer.out)
}

/// The whole value as text, its numbers with six significant digits, for `print`.
///
/// # Errors
/// `Interrupted` when a long list is stopped.
pub fn readable(value: &Value) -> Result<String> {
    let mut writer = Writer::new(usize::MAX);
    writer.value(value)?;
    Ok(writer.out)
}

/// A number with six significant digits, without zeros at the end: `29.4123`, `3`, `1.2e-7`.
pub fn number(v: f64) -> String {
    let whole = v.fract() == 0.0 && v.abs() < 1e15;
    if v == 0.0 || !v.is_finite() || whole {
        return v.to_string();
    }
    if !(1e-4..1e15).contains(&v.abs()) {
        let text = format!("{v:.5e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    let digits = (5 - v.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{v:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// The value as text for the screen: of a long list the first [`LIMITS`]`.shown_values` values and
/// the number of the others.
pub fn shown(value: &Value) -> String {
    let mut writer = Writer::new(LIMITS.shown_values);
    // The rest is only counted, not visited, so it needs no stop check.
    let _ = writer.value(value);
    if writer.cut > 0 {
        let _ = write!(writer.out, " … and {} more values", writer.cut);
    }
    writer.out
}

struct Writer {
    out: String,
    /// Number of values that may still be written.
    left: usize,
    /// Values that were left out.
    cut: u64,
    /// Whether numbers are written in full.
    exact: bool,
    /// Whether origins are written in full.
    origins: bool,
}

impl Writer {
    fn new(left: usize) -> Self {
        Self { out: String::new(), left, cut: 0, exact: false, origins: left == usize::MAX }
    }

    fn value(&mut self, value: &Value) -> Result<()> {
        self.left = self.left.saturating_sub(1);
        if self.left.is_multiple_of(PACE) {
            control::check()?;
        }
        // Writing to a string cannot fail.
        let _ = match value {
            Value::Nothing => Ok(()),
            Value::Number(v) if self.exact => write!(self.out, "{v}"),
            Value::Number(v) => write!(self.out, "{}", number(*v)),
            Value::Text(t) => write!(self.out, "{}", Safe(t)),
            Value::Bool(b) => write!(self.out, "{b}"),
            Value::Range { from, to, step: None } => write!(self.out, "{from}..{to}"),
            Value::Range { from, to, step: Some(s) } => write!(self.out, "{from}..{to} by {s}"),
            Value::Space(s) => write!(self.out, "{s}"),
            Value::Word(w, None) => write!(self.out, "{}", Safe(w)),
            Value::Word(w, Some(v)) => {
                let _ = write!(self.out, "{}: ", Safe(w));
                return self.value(v);
            }
            Value::List(items) => return self.list(items),
            Value::Table(t) => write!(self.out, "{}", t.block().lines().join("\n")),
            Value::Plot(p) => write!(self.out, "{}", p.lines(COLUMNS).join("\n")),
            other if self.origins => write!(self.out, "{}", whole(other).unwrap_or_default()),
            other => write!(self.out, "{}", about(other).unwrap_or_default()),
        };
        Ok(())
    }

    fn list(&mut self, items: &List) -> Result<()> {
        self.out.push('[');
        for (i, item) in items.iter().enumerate() {
            if self.left == 0 {
                self.cut += items[i..].iter().map(count).sum::<u64>();
                break;
            }
            if i > 0 {
                self.out.push_str(", ");
            }
            self.value(item)?;
        }
        self.out.push(']');
        Ok(())
    }
}

/// Number of values in the text of a value. Lists are bounded, so counting is bounded too.
fn count(value: &Value) -> u64 {
    if let Value::List(l) = value { 1 + l.iter().map(count).sum::<u64>() } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Control, Stop};
    use crate::error::Kind;

    fn nested(rounds: usize) -> Value {
        let one = vec![Value::Number(1.0), Value::Number(2.0)];
        (0..rounds).fold(Value::list(one).unwrap(), |v, _| Value::list(vec![v.clone(), v]).unwrap())
    }

    #[test]
    fn numbers_have_six_digits_unless_they_are_for_programs() {
        for (v, text) in [
            (29.412_345_678, "29.4123"),
            (-0.1 - 0.2, "-0.3"),
            (3.0, "3"),
            (1234567.0, "1234567"),
            (1_234_567.8, "1234568"),
            (1.2e-7, "1.2e-7"),
            (0.000_123_456_789, "0.000123457"),
            (1e300, "1e300"),
            (0.0, "0"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(number(v), text);
        }
        let value = Value::list(vec![Value::Number(1.0 / 3.0)]).unwrap();
        assert_eq!(readable(&value).unwrap(), "[0.333333]");
        assert_eq!(plain(&value).unwrap(), "[0.3333333333333333]");
    }

    #[test]
    fn short_values_are_written_whole_and_alike() {
        let values = [
            (Value::Number(-0.5), "-0.5"),
            (Value::Range { from: 0.0, to: 4.0, step: Some(2.0) }, "0..4 by 2"),
            (Value::Word("best_of".into(), Some(Box::new(Value::Number(8.0)))), "best_of: 8"),
            (nested(1), "[[1, 2], [1, 2]]"),
            (Value::list(Vec::new()).unwrap(), "[]"),
        ];
        for (value, text) in values {
            assert_eq!((plain(&value).unwrap().as_str(), shown(&value).as_str()), (text, text));
        }
    }

    #[test]
    fn of_a_long_value_the_beginning_is_shown_and_the_rest_counted() {
        let flat = (0..5000).map(|i| Value::Number(f64::from(i))).collect();
        for value in [Value::list(flat).unwrap(), nested(17)] {
            let text = shown(&value);
            assert!(text.len() < 8 * LIMITS.shown_values, "{} bytes", text.len());
            let more = text.split(" … and ").nth(1).unwrap().trim_end_matches(" more values");
            let written = LIMITS.shown_values as u64;
            let Value::List(l) = &value else { panic!() };
            // Every value is either written or counted; the list itself is one of those written.
            assert_eq!(more.parse::<u64>().unwrap() + written, l.values() + 1);
        }
    }

    #[test]
    fn a_long_value_stops_when_it_is_asked_to() {
        let control = Control::default();
        let _entered = control.enter();
        assert!(plain(&nested(16)).unwrap().len() > 300_000);
        control.request(Stop::Keep);
        assert_eq!(plain(&nested(16)).unwrap_err().kind(), Kind::Interrupted);
    }
}
