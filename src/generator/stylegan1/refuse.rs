//! The error for a file that does not hold a StyleGAN that can run. It has a file of its own
//! because settings, layouts and layers are read in different files, and all of them refuse.

use crate::error::{Error, Kind};

/// Refuses a file or its settings; the message says what is wrong with them.
pub(super) fn refuse(message: String) -> Error {
    Error::new(Kind::Format, format!("not a StyleGAN that gannet can run: {message}"))
}
