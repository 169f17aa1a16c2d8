//! Similarity of two pictures: every number comes with its definition.
//!
//! The papers of the field print the same names for different things (range, peak, window,
//! backbone), so a metric here cannot be printed without the text that says what it is
//! ([`Metric::definition`]).

#[cfg(test)]
mod dummy_metric;
mod features;
mod identity;
mod lpips;
mod multiscale;
mod perceptual;
mod pixel;
mod planes;
mod recognition;
pub mod spectrum;
mod ssim;

pub use crate::network::{area_matrix, resize_to};
pub use features::{
    Dense, Features, FeaturesConfig, Finding, LANDMARKS, Landmarks, Level, Output, Points, Reading,
};
pub use identity::Identity;
pub use lpips::Lpips;
pub use multiscale::Multiscale;
pub use perceptual::Perceptual;
pub use pixel::{Mae, Mse, Psnr, Rmse};
pub use recognition::Recognition;
pub use ssim::{MsSsim, Ssim};

#[cfg(test)]
use crate::error::Error;
use crate::error::Result;
use candle_core::Tensor;

/// A measure of two batches of pictures.
pub trait Metric: Send + Sync {
    /// Its name as written in a program: `psnr`.
    fn name(&self) -> &'static str;

    /// The unit to print behind a number; empty when it has none.
    fn unit(&self) -> &'static str {
        ""
    }

    /// Exact definition: range, peak, window, colour space. Printed with every number.
    fn definition(&self) -> String;

    /// One number a picture.
    ///
    /// # Shapes
    /// a, b `[N, C, H, W]`, nominal range [-1, 1], not clamped → N numbers in double precision.
    ///
    /// # Errors
    /// When the shapes differ or the pictures are too small for the metric's window.
    fn measure(&self, a: &Tensor, b: &Tensor) -> Result<Vec<f64>>;
}

/// The metrics that need no network, in the order in which they are shown.
pub fn all() -> Vec<Box<dyn Metric>> {
    Vec::from([
        Box::new(Psnr) as Box<dyn Metric>,
        Box::new(Ssim),
        Box::new(MsSsim),
        Box::new(Mse),
        Box::new(Rmse),
        Box::new(Mae),
        #[cfg(test)]
        Box::new(dummy_metric::DummyMetric),
    ])
}

/// The unit of the metric of that name; empty for a number without one.
pub fn unit_of(name: &str) -> &'static str {
    all().iter().find(|m| m.name() == name).map_or("", |m| m.unit())
}

/// The metric of that name.
///
/// # Errors
/// When there is none; the names are listed.
#[cfg(test)]
pub fn by_name(name: &str) -> Result<Box<dyn Metric>> {
    let names: Vec<&str> = all().iter().map(|m| m.name()).collect();
    all().into_iter().find(|m| m.name() == name).ok_or_else(|| {
        Error::runtime(format!("there is no metric `{}`", crate::safe::Safe(name)))
            .hint(format!("one of {}", names.join(", ")))
    })
}

#[cfg(test)]
pub(crate) use features::tests::{random as random_features, random_person};

#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_defines_itself_and_is_found_by_name() {
        for m in all() {
            assert!(m.definition().len() > 20, "{}", m.name());
            assert_eq!(by_name(m.name()).unwrap().definition(), m.definition());
        }
        assert_eq!((unit_of("psnr"), unit_of("ssim"), unit_of("norm")), ("dB", "", ""));
        assert!(by_name("psnrr").err().unwrap().repair().unwrap().contains("psnr"));
    }
}
