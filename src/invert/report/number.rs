//! Numbers with their definitions.

/// A number with its definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// Its name: `psnr`.
    pub name: String,
    /// The mean over the images.
    pub value: f64,
    /// One an image.
    pub each: Vec<f64>,
    /// Its unit; may be empty.
    pub unit: String,
    /// Exact definition of the number.
    pub definition: String,
}

/// Entry of image `i` in a list that has one entry an image.
pub(super) fn own<T: Clone>(all: &[T], i: usize) -> Vec<T> {
    all.get(i).cloned().into_iter().collect()
}
