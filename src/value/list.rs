//! Lists that know how many values they hold, so that every traversal is bounded in advance.

use super::Value;
use crate::error::{Error, Kind, Result};
use crate::limits::LIMITS;
use std::ops::Deref;
use std::sync::Arc;

/// Bytes of a text that count as one value.
const TEXT: u64 = 16;

/// A list of values. Cheap to clone: the elements are shared.
///
/// A list that holds another list many times is small in memory, but showing or saving it visits
/// every occurrence. A list therefore carries its number of values, and a list beyond [`LIMITS`] is
/// never made. It also knows whether its elements share a type, so that a type check visits only
/// one of them.
#[derive(Clone, Debug)]
pub struct List {
    items: Arc<Vec<Value>>,
    /// A short text for each element, of a comprehension: `a = -3`.
    labels: Option<Arc<Vec<String>>>,
    alike: bool,
    values: u64,
    depth: usize,
}

impl List {
    /// Makes a list of these elements.
    ///
    /// # Errors
    /// `Limit` when it would hold more than [`LIMITS`]`.list_values` values, every occurrence
    /// counted, or be nested deeper than `list_depth`.
    pub fn new(items: Vec<Value>) -> Result<Self> {
        let values = items.iter().fold(0u64, |sum, v| sum.saturating_add(weight(v)));
        let depth = 1 + items.iter().map(depth).max().unwrap_or(0);
        let refused =
            |what: String| Err(Error::new(Kind::Limit, what).hint("make lists of fewer values"));
        if values > LIMITS.list_values {
            return refused(format!(
                "the list holds {values} values, counted through the lists in it; {} are allowed",
                LIMITS.list_values
            ));
        }
        if depth > LIMITS.list_depth {
            return refused(format!("lists are nested deeper than {} levels", LIMITS.list_depth));
        }
        let alike = items.windows(2).all(|pair| pair[0].shares_type(&pair[1]));
        Ok(Self { items: Arc::new(items), labels: None, alike, values, depth })
    }

    /// Makes a list with a short text for each element, for captions.
    ///
    /// # Errors
    /// As [`List::new`].
    pub fn labelled(items: Vec<Value>, labels: Vec<String>) -> Result<Self> {
        let labels = (labels.len() == items.len()).then(|| Arc::new(labels));
        Ok(Self { labels, ..Self::new(items)? })
    }

    /// The texts of the elements; empty for a list without them.
    pub fn labels(&self) -> &[String] {
        self.labels.as_deref().map_or(&[], Vec::as_slice)
    }

    /// The first element, if all elements have its type.
    pub fn sample(&self) -> Option<&Value> {
        self.items.first().filter(|_| self.alike)
    }

    /// Number of values, inner lists included. A list that occurs twice is counted twice.
    pub fn values(&self) -> u64 {
        self.values
    }
}

impl Deref for List {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.items
    }
}

/// Cost of traversing a value, in values.
fn weight(value: &Value) -> u64 {
    let text = |t: &str| 1 + t.len() as u64 / TEXT;
    match value {
        Value::List(l) => l.values.saturating_add(1),
        Value::Text(t) => text(t),
        Value::Word(w, v) => text(w) + v.as_deref().map_or(0, weight),
        Value::Latent(l) | Value::Path(l) => text(&l.origin),
        Value::Direction(d) => {
            d.iter().map(|(_, d)| text(&d.origin) + d.name.len() as u64 / TEXT).sum()
        }
        Value::Image(i) => text(&i.origin),
        Value::Plot(p) => 1 + p.numbers() as u64,
        _ => 1,
    }
}

fn depth(value: &Value) -> usize {
    if let Value::List(l) = value { l.depth } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::types::Type;
    use crate::latent::{Code, ModelId, Parts};
    use crate::space::Space;
    use candle_core::{DType, Device, Tensor};

    fn list(items: Vec<Value>) -> Value {
        Value::List(List::new(items).unwrap())
    }

    fn grown(mut step: impl FnMut(Value) -> Vec<Value>) -> (usize, Error) {
        let mut value = list(vec![Value::Number(1.0)]);
        for round in 0..1000 {
            match List::new(step(value)) {
                Ok(l) => value = Value::List(l),
                Err(e) => return (round, e),
            }
        }
        panic!("it grows for ever");
    }

    #[test]
    fn whatever_a_list_is_made_of_its_size_is_bounded() {
        let text = Value::Text("x".repeat(LIMITS.text_bytes));
        type Grow = Box<dyn FnMut(Value) -> Vec<Value>>;
        let grow: [(&str, Grow); 5] = [
            ("twice itself", Box::new(|v| vec![v.clone(), v])),
            ("itself a thousand times", Box::new(|v| vec![v; 1000])),
            ("itself beside a number", Box::new(|v| vec![Value::Number(0.0), v.clone(), v])),
            ("itself alone", Box::new(|v| vec![v])),
            ("texts", Box::new(move |v| vec![v, text.clone(), text.clone()])),
        ];
        for (what, step) in grow {
            let (rounds, e) = grown(step);
            assert!(rounds < 100 && e.kind() == Kind::Limit, "{what}: {rounds} {e}");
        }
    }

    #[test]
    fn occurrences_count() {
        let two = list(vec![Value::Number(1.0), Value::Number(2.0)]);
        let Value::List(four) = list(vec![two.clone(), two]) else { panic!() };
        assert_eq!((four.values(), four.len()), (6, 2));
    }

    #[test]
    fn the_type_is_that_of_all_elements() {
        let number = || Value::Number(1.0);
        let of = |items| Value::ty(&list(items));
        assert_eq!(of(vec![number(), number()]), Type::List(Box::new(Type::Number)));
        assert_eq!(of(vec![number(), Value::Bool(true)]), Type::List(Box::new(Type::Unknown)));
        let nested = of(vec![list(vec![number()]), list(vec![number(), number()])]);
        assert_eq!(nested, Type::List(Box::new(Type::List(Box::new(Type::Number)))));
    }

    #[test]
    fn codes_of_two_generators_share_no_type() {
        let code = |fingerprint: &str, space, dim| {
            let data = Tensor::zeros((1, dim), DType::F32, &Device::Cpu).unwrap();
            let id = ModelId { name: "g".into(), fingerprint: fingerprint.into() };
            let (model, origin) = (Some(id), String::new());
            Value::Latent(Code { space, parts: Parts::of(data), model, origin })
        };
        let shown = |items| list(items).ty().to_string();
        let w = |fingerprint| code(fingerprint, Space::W, 4);
        assert_eq!(shown(vec![w("a"), w("a")]), "List[Latent[W]]");
        assert_eq!(shown(vec![w("a"), w("b")]), "List");
        assert_eq!(shown(vec![list(vec![w("a")]), list(vec![w("b")])]), "List");
        // A part of a style code has no layers; a complete style code has.
        let s = |dim| code("a", Space::S, dim);
        assert_eq!(shown(vec![s(8), s(8)]), "List[Latent[S]]");
        assert_eq!(shown(vec![s(8), s(4)]), "List");
    }
}
