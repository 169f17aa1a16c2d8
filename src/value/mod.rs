//! Values: the only type that crosses between the language and the tensors.

mod bundle;
mod companion;
pub mod components;
mod deferred;
pub mod describe;
pub mod details;
pub mod directions;
pub mod display;
mod embedded;
pub mod encoder;
pub mod facts;
pub mod foreign;
mod general;
pub mod json;
pub mod kept;
mod list;
mod loaded;
pub mod models;
pub mod pictures;
pub mod shelf;
pub mod styles;
pub mod text;
mod toy;
pub mod trunk;
mod types;
pub mod words;

pub use crate::render::Cell;
pub use list::List;
pub use loaded::Loaded;
pub use models::Models;
pub use types::forms_type;

use crate::direction::Forms;
use crate::image::{Metadata, Photograph};
use crate::invert::{Inversion, Mask};
use crate::latent::{Code, Direction, ModelId};
use crate::render;
use crate::space::Space;
use candle_core::Tensor;
use std::sync::Arc;

/// A value of the language. Cheap to clone: everything large is shared.
#[derive(Clone, Debug)]
pub enum Value {
    /// The result of a statement without a value.
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
    /// A plot.
    Plot(Arc<render::Plot>),
    /// A path: its frames as codes.
    Path(Code),
}

/// N pictures of one size.
#[derive(Clone, Debug)]
pub struct Image {
    /// `[N, C, H, W]`, f32, nominal range [-1, 1].
    pub data: Tensor,
    /// One caption for each picture, or empty.
    pub captions: Vec<String>,
    /// Origin: a file name, `render`, …
    pub origin: String,
    /// Changes made on loading: `centre crop of 1024×768`.
    pub notes: Vec<String>,
    /// The generator behind it, for the file's metadata.
    pub model: Option<crate::latent::ModelId>,
    /// The photograph that each picture was cut from, where it was; empty where none was.
    pub photographs: Vec<Option<Photograph>>,
    /// Metadata of the file whose pixels these are, to be saved with them.
    pub metadata: Option<Arc<Metadata>>,
}

impl Image {
    /// Pictures `[N, C, H, W]` of that origin, without captions and notes.
    pub fn new(data: Tensor, origin: impl Into<String>) -> Self {
        Self {
            data,
            captions: Vec::new(),
            origin: origin.into(),
            notes: Vec::new(),
            model: None,
            photographs: Vec::new(),
            metadata: None,
        }
    }

    /// The photograph that a picture was cut from.
    pub fn photograph(&self, i: usize) -> Option<&Photograph> {
        self.photographs.get(i).and_then(Option::as_ref)
    }

    /// The pictures of a range of them.
    ///
    /// # Errors
    /// When there are not so many.
    pub fn slice(&self, range: std::ops::Range<usize>) -> crate::error::Result<Self> {
        let captions = self.captions.get(range.clone()).unwrap_or_default().to_vec();
        let photographs = self.photographs.get(range.clone()).unwrap_or_default().to_vec();
        let data = self.data.narrow(0, range.start, range.len())?;
        Ok(Self { data, captions, photographs, ..self.clone() })
    }

    /// `[N, C, H, W]`.
    pub fn dims(&self) -> [usize; 4] {
        let d = self.data.dims();
        [0, 1, 2, 3].map(|i| d.get(i).copied().unwrap_or(1))
    }
}

/// A table with notes under it.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Column headers.
    pub columns: Vec<String>,
    /// Rows, with one cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// Lines under the table.
    pub notes: Vec<String>,
    /// What its names mean, for `:details` and `--json`.
    pub definitions: Vec<String>,
    /// Pictures shown above the table.
    pub pictures: Vec<Image>,
    /// Plots shown below the table.
    pub plots: Vec<render::Plot>,
    /// The inversions that the rows are about, one a row, which the first cell of a row names:
    /// `t["W+"]`. Empty for other tables.
    pub found: Vec<Arc<Inversion>>,
}

impl Table {
    /// The column that says how long the inversions of the rows took.
    pub const SECONDS: &str = "seconds";

    /// Its columns and rows, for drawing.
    pub fn block(&self) -> render::Table {
        render::Table { columns: self.columns.clone(), rows: self.rows.clone() }
    }
}

impl From<Direction> for Value {
    fn from(d: Direction) -> Self {
        Self::Direction(Arc::new(d.into()))
    }
}

impl Value {
    /// Makes a list of these values.
    ///
    /// # Errors
    /// As [`List::new`].
    pub fn list(items: Vec<Self>) -> crate::error::Result<Self> {
        List::new(items).map(Self::List)
    }

    /// Calls `seen` with the generator of every code, direction and picture in the value.
    pub fn each_model(&self, seen: &mut dyn FnMut(&ModelId)) {
        match self {
            Self::Image(i) => i.model.iter().for_each(seen),
            Self::Latent(l) | Self::Path(l) => l.model.iter().for_each(seen),
            Self::Direction(d) => d.iter().filter_map(|(_, d)| d.model.as_ref()).for_each(seen),
            Self::Inversion(i) => i.code.model.iter().for_each(seen),
            Self::Model(m) => seen(&m.id()),
            Self::List(items) => items.iter().for_each(|v| v.each_model(seen)),
            Self::Table(t) => {
                let codes = t.found.iter().filter_map(|i| i.code.model.as_ref());
                t.pictures.iter().filter_map(|p| p.model.as_ref()).chain(codes).for_each(seen);
            }
            Self::Nothing
            | Self::Number(_)
            | Self::Text(_)
            | Self::Bool(_)
            | Self::Range { .. }
            | Self::Space(_)
            | Self::Word(..)
            | Self::Mask(_)
            | Self::Plot(_) => {}
        }
    }
}
