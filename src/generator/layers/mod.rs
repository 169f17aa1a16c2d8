//! Layers that several families share, and the reader that takes their tensors.

mod attention;
pub(super) mod attributes;
mod dense;
mod gated;
mod gates;
pub(super) mod growing;
mod mapping;
mod mean;
mod noise;
mod norm;
mod points;
mod reader;
mod resample;
mod spectral;
mod styles;

pub(super) use attention::LinearAttention;
pub(super) use dense::Dense;
pub(super) use gated::{GatedConv, GatedParts, GatedStem, Norm};
pub(super) use gates::{glu, swish};
pub(super) use mapping::{BESIDE, Mapping, MappingSizes};
pub(super) use mean::{COMPUTED, COMPUTED_MEAN, W_AVG, mean_of_mapping, mean_or};
pub(super) use noise::{DRAWN, Drawn, NoiseMaps};
pub(super) use norm::{ChannelNorm, Epsilon, normalize, pixel_norm, unit_length};
pub(super) use points::{last_point, through};
pub use reader::Named;
pub(super) use reader::{Parameters, Reader, replaced};
pub(super) use resample::{bilinear2, blur};
pub(super) use spectral::Spectral;
pub(super) use styles::styles_of;
