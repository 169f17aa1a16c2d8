//! The static types of values.

use super::Value;
use crate::direction::Forms;
use crate::lang::types::{CodeType, Generators, ModelFacts, Type};
use crate::latent::{Code, Direction, ModelId};
use crate::space::Space;
use std::sync::Arc;

/// Finds the facts about a code's generator; `None` omits them.
type Known<'a> = dyn Fn(&ModelId) -> Option<Arc<ModelFacts>> + 'a;

/// The key that determines the facts in a type: the fingerprint of a code's generator, and the size
/// of a code of S, which distinguishes a complete code from a part of one.
type Basis<'a> = (Option<&'a str>, Option<usize>);

impl Value {
    /// The static type without facts about generators: enough for messages.
    pub fn ty(&self) -> Type {
        self.typed(&|_| None)
    }

    /// The static type with facts about generators, as the checker knows it.
    pub fn ty_in(&self, generators: &dyn Generators) -> Type {
        self.typed(&|id| generators.known_facts(&id.fingerprint))
    }

    fn typed(&self, known: &Known<'_>) -> Type {
        match self {
            Self::Nothing => Type::Nothing,
            Self::Number(_) => Type::Number,
            Self::Text(_) => Type::Text,
            Self::Bool(_) => Type::Bool,
            Self::Range { .. } => Type::Range,
            Self::Space(_) => Type::Space,
            Self::Word(..) => Type::Unknown,
            Self::List(items) => {
                let element = items.sample().map_or(Type::Unknown, |first| first.typed(known));
                Type::List(Box::new(element))
            }
            Self::Image(i) => {
                let [_, c, h, w] = i.dims();
                Type::Image(Some([c, h, w]))
            }
            Self::Model(m) => Type::Model(Some(m.facts.clone())),
            Self::Latent(l) => Type::Latent(code_type(l, known)),
            Self::Direction(d) => Type::Direction(forms_typed(d, known)),
            Self::Inversion(i) => Type::Inversion(code_type(&i.code, known)),
            Self::Mask(_) => Type::Mask,
            Self::Table(_) => Type::Table,
            Self::Plot(_) => Type::Plot,
            Self::Path(l) => Type::Path(code_type(l, known)),
        }
    }

    /// Whether both values have the same type, including the facts about their generators.
    pub(super) fn shares_type(&self, other: &Self) -> bool {
        self.ty() == other.ty() && basis(self) == basis(other)
    }
}

fn basis(value: &Value) -> Option<Basis<'_>> {
    match value {
        Value::Latent(l) | Value::Path(l) => Some(basis_of(l.model.as_ref(), l.space, l.dim())),
        Value::Inversion(i) => Some(basis_of(i.code.model.as_ref(), i.code.space, i.code.dim())),
        Value::Direction(d) => {
            let first = d.first();
            Some(basis_of(first.model.as_ref(), first.space, first.dim))
        }
        Value::List(items) => items.sample().and_then(basis),
        _ => None,
    }
}

fn basis_of(model: Option<&ModelId>, space: Space, dim: usize) -> Basis<'_> {
    (model.map(|id| id.fingerprint.as_str()), (space == Space::S).then_some(dim))
}

/// Number of layers of a complete style code; `None` for other codes.
fn whole(space: Space, dim: usize, model: Option<&ModelFacts>) -> Option<usize> {
    model.filter(|m| space == Space::S && m.s_dim() == dim).and_then(|m| m.layers(space))
}

/// Static type of a code.
fn code_type(l: &Code, known: &Known<'_>) -> CodeType {
    let model = l.model.as_ref().and_then(known);
    CodeType {
        space: Some(l.space),
        layers: if l.point().rank() == 3 {
            Some(l.layers())
        } else {
            whole(l.space, l.dim(), model.as_deref())
        },
        model,
        count: Some(l.count()),
        origin: Some(l.origin.clone()),
        forms: Vec::new(),
    }
}

/// Static type of a direction, with the facts about its generator.
pub fn forms_type(d: &Forms, generators: &dyn Generators) -> CodeType {
    forms_typed(d, &|id| generators.known_facts(&id.fingerprint))
}

fn forms_typed(d: &Forms, known: &Known<'_>) -> CodeType {
    let one = direction_type(d.first(), known);
    let layers = one.layers;
    let typed = one.of_forms(d.spaces());
    CodeType { layers: layers.filter(|_| !d.is_open()), ..typed }
}

/// Static type of one form of a direction.
fn direction_type(d: &Direction, known: &Known<'_>) -> CodeType {
    let model = d.model.as_ref().and_then(known);
    CodeType {
        space: Some(d.space),
        layers: if d.space.has_rows() {
            Some(d.rows)
        } else {
            whole(d.space, d.dim, model.as_deref())
        },
        model,
        count: Some(1),
        origin: Some(d.origin.clone()),
        forms: Vec::new(),
    }
}
