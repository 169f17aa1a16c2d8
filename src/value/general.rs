//! A feature network for generators that bring none.

use super::embedded;
use crate::error::{Error, Result};
use crate::limits::LIMITS;
use crate::metric::Features;
use crate::weights;
use candle_core::Device;
use std::sync::Arc;

/// The attribute network of the built-in generator; its name says where it is from. It sees pictures
/// at its own size, three channels.
///
/// # Errors
/// When the embedded file is damaged.
pub(super) fn features(device: &Device) -> Result<Arc<Features>> {
    let part = embedded::ATTRIBUTES;
    let file = weights::open_bytes(part.name, part.bytes, &LIMITS)?;
    let config = serde_json::from_value(file.config().clone()).map_err(|e| {
        Error::runtime(format!("the attribute network's configuration is unreadable: {e}"))
    })?;
    let name = "the attribute network of the built-in generator";
    Ok(Arc::new(Features::new(name, config, file.weights, device)?))
}
