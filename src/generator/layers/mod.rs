//! Layers that several families share, and the reader that takes their tensors.

pub(super) mod attributes;
mod dense;
mod mapping;
mod mean;
mod reader;

pub(super) use dense::Dense;
pub(super) use mapping::{Mapping, MappingSizes};
pub(super) use mean::mean_of_mapping;
pub(super) use reader::{Named, Reader};
