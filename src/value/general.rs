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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Metric, Perceptual};
    use crate::rng::Rng;
    use candle_core::Tensor;

    #[test]
    fn it_tells_pictures_of_any_size_apart_and_says_where_it_is_from() {
        let network = Perceptual::borrowed(features(&Device::Cpu).unwrap());
        assert!(network.is_borrowed() && network.definition().contains("built-in"));
        for side in [32, 200] {
            let draw = |seed| {
                let numbers = Rng::new(seed).normals(3 * side * side);
                Tensor::from_vec(numbers, (1, 3, side, side), &Device::Cpu).unwrap()
            };
            let apart = network.measure(&draw(1), &draw(2)).unwrap()[0];
            assert!(apart > 0.0 && apart.is_finite());
            assert_eq!(network.measure(&draw(1), &draw(1)).unwrap(), [0.0]);
        }
    }
}
