//! Values as text.

use super::describe::about;
use super::{List, Value};
use crate::control;
use crate::error::Result;
use crate::limits::LIMITS;
use crate::safe::Safe;
use std::fmt::Write as _;

/// Values between two stop checks.
const PACE: usize = 1024;

/// The whole value as text, for `print`.
///
/// # Errors
/// `Interrupted` when a long list is stopped.
pub fn plain(value: &Value) -> Result<String> {
    let mut writer = Writer { out: String::new(), left: usize::MAX, cut: 0 };
    writer.value(value)?;
    Ok(writer.out)
}

/// The value as text for the screen: of a long list the first [`LIMITS`]`.shown_values` values and
/// the number of the others.
pub fn shown(value: &Value) -> String {
    let mut writer = Writer { out: String::new(), left: LIMITS.shown_values, cut: 0 };
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
}

impl Writer {
    fn value(&mut self, value: &Value) -> Result<()> {
        self.left = self.left.saturating_sub(1);
        if self.left.is_multiple_of(PACE) {
            control::check()?;
        }
        // Writing to a string cannot fail.
        let _ = match value {
            Value::Nothing => Ok(()),
            Value::Number(v) => write!(self.out, "{v}"),
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
