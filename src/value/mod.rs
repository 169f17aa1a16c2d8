//! Values: the only type that crosses between the language and the tensors.

mod deferred;
pub mod directions;
pub mod display;
mod embedded;
mod encoder;
pub mod foreign;
mod list;
pub mod model;
pub mod text;

pub use list::List;
pub use model::Loaded;

use crate::direction::Forms;
use crate::invert::{Inversion, Mask};
use crate::lang::types::{CodeType, ModelFacts, Type};
use crate::latent::{Code, Direction, ModelId};
use crate::space::Space;
use candle_core::Tensor;
use std::sync::Arc;

/// A value of the language. Cheap to clone: everything large is shared.
#[derive(Clone, Debug)]
pub enum Value {
    /// Result of a statement.
    Nothing,
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// `from..to by step`.
    Range {
        /// First value.
        from: f64,
        /// Last value (included when a step lands on it); as layers: one past the last.
        to: f64,
        /// Distance between values; 1 when not written.
        step: Option<f64>,
    },
    /// The name of a space.
    Space(Space),
    /// A bare word given to a parameter with choices, and the value after its colon.
    Word(String, Option<Box<Value>>),
    /// A list.
    List(List),
    /// Pictures.
    Image(Image),
    /// A generator.
    Model(Arc<Loaded>),
    /// Codes.
    Latent(Code),
    /// A direction, in one space or in several.
    Direction(Arc<Forms>),
    /// A result of `invert`.
    Inversion(Arc<Inversion>),
    /// Weights of a picture's pixels.
    Mask(Arc<Mask>),
    /// A table.
    Table(Arc<Table>),
    /// A path: its frames as codes.
    Path(Code),
}

/// N pictures of one size.
#[derive(Clone, Debug)]
pub struct Image {
    /// `[N, C, H, W]`, f32, nominal range [-1, 1].
    pub data: Tensor,
    /// One caption a picture, or empty.
    pub captions: Vec<String>,
    /// Origin: a file name, `render`, …
    pub origin: String,
    /// Changes made on loading: `centre crop of 1024×768`.
    pub notes: Vec<String>,
    /// The seed and generator behind it, for the file's metadata.
    pub model: Option<crate::latent::ModelId>,
}

impl Image {
    /// `[N, C, H, W]`.
    pub fn dims(&self) -> [usize; 4] {
        let d = self.data.dims();
        [0, 1, 2, 3].map(|i| d.get(i).copied().unwrap_or(1))
    }
}

/// A table with a definition under it.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Heads of the columns.
    pub columns: Vec<String>,
    /// Rows, one cell a column.
    pub rows: Vec<Vec<Cell>>,
    /// Lines under the table: definitions, units.
    pub notes: Vec<String>,
    /// Pictures shown above it.
    pub pictures: Vec<Image>,
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A text.
    Text(String),
    /// A number and its digits after the point.
    Number(f64, usize),
}

impl From<Direction> for Value {
    fn from(d: Direction) -> Self {
        Self::Direction(Arc::new(d.into()))
    }
}

impl Value {
    /// A list of these values.
    ///
    /// # Errors
    /// As [`List::new`].
    pub fn list(items: Vec<Self>) -> crate::error::Result<Self> {
        List::new(items).map(Self::List)
    }

    /// The static type, as the checker would know it.
    pub fn ty(&self) -> Type {
        match self {
            Self::Nothing => Type::Nothing,
            Self::Number(_) => Type::Number,
            Self::Text(_) => Type::Text,
            Self::Bool(_) => Type::Bool,
            Self::Range { .. } => Type::Range,
            Self::Space(_) => Type::Space,
            Self::Word(..) => Type::Unknown,
            Self::List(items) => items.ty().clone(),
            Self::Image(i) => {
                let [_, c, h, w] = i.dims();
                Type::Image(Some([c, h, w]))
            }
            Self::Model(m) => Type::Model(Some(m.facts.clone())),
            Self::Latent(l) => Type::Latent(code_type(l)),
            Self::Direction(d) => Type::Direction(forms_type(d)),
            Self::Inversion(i) => Type::Inversion(code_type(&i.code)),
            Self::Mask(_) => Type::Mask,
            Self::Table(_) => Type::Table,
            Self::Path(l) => Type::Path(code_type(l)),
        }
    }
}

impl Value {
    /// Calls `seen` with the generator of everything in it: codes, directions, pictures.
    pub fn each_model(&self, seen: &mut dyn FnMut(&ModelId)) {
        match self {
            Self::Image(i) => i.model.iter().for_each(seen),
            Self::Latent(l) | Self::Path(l) => l.model.iter().for_each(seen),
            Self::Direction(d) => d.iter().filter_map(|(_, d)| d.model.as_ref()).for_each(seen),
            Self::Inversion(i) => i.code.model.iter().for_each(seen),
            Self::Model(m) => seen(&m.id()),
            Self::List(items) => items.iter().for_each(|v| v.each_model(seen)),
            Self::Table(t) => t.pictures.iter().filter_map(|p| p.model.as_ref()).for_each(seen),
            Self::Nothing
            | Self::Number(_)
            | Self::Text(_)
            | Self::Bool(_)
            | Self::Range { .. }
            | Self::Space(_)
            | Self::Word(..)
            | Self::Mask(_) => {}
        }
    }
}

/// The layers of a style code, when it is a whole one.
fn whole(space: Space, dim: usize, model: Option<&ModelFacts>) -> Option<usize> {
    model.filter(|m| space == Space::S && m.s_dim() == dim).and_then(|m| m.layers(space))
}

/// Static type of a code.
pub fn code_type(l: &Code) -> CodeType {
    let known = l.model.as_ref().and_then(model::known);
    CodeType {
        space: Some(l.space),
        layers: if l.point().rank() == 3 {
            Some(l.layers())
        } else {
            whole(l.space, l.dim(), known.as_deref())
        },
        model: known,
        count: Some(l.count()),
        origin: Some(l.origin.clone()),
        forms: Vec::new(),
    }
}

/// Static type of a direction.
pub fn forms_type(d: &Forms) -> CodeType {
    let one = direction_type(d.first());
    let layers = one.layers;
    let known = one.of_forms(d.spaces());
    CodeType { layers: layers.filter(|_| !d.is_open()), ..known }
}

/// Static type of one form of a direction.
fn direction_type(d: &Direction) -> CodeType {
    let known = d.model.as_ref().and_then(model::known);
    CodeType {
        space: Some(d.space),
        layers: if d.space == Space::WPlus {
            Some(d.rows)
        } else {
            whole(d.space, d.dim, known.as_deref())
        },
        model: known,
        count: Some(1),
        origin: Some(d.origin.clone()),
        forms: Vec::new(),
    }
}
