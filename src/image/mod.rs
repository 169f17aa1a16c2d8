//! Pictures as bytes: reading, writing, resampling and fitting them to a generator. No networks
//! here.
//!
//! Everything is sRGB as stored: like PIL and the official GAN code, resampling averages encoded
//! values, not light.

pub mod align;
pub mod decode;
pub mod encode;
pub mod ffmpeg;
pub mod metadata;
pub mod palette;
pub mod paste;
pub mod photograph;
pub mod raster;
pub mod resample;
pub mod similarity;
pub mod superpixels;
pub mod warp;

pub use align::fit;
pub use decode::{Decoded, decode, read};
pub use metadata::Metadata;
pub use photograph::Photograph;
pub use raster::Raster;
pub use resample::{Filter, resize};
pub use similarity::{Point, Similarity};
pub use warp::{Edge, Pyramid};
