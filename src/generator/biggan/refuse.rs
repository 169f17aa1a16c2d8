//! The error for a file that does not hold a BigGAN that can run; names, settings and layers are
//! read in different files, and all of them refuse.

use crate::error::{Error, Kind};

/// Refuses a file or its settings; the message says what is wrong with them.
pub(super) fn refuse(message: String) -> Error {
    Error::new(Kind::Format, format!("not a BigGAN that gannet can run: {message}"))
}
