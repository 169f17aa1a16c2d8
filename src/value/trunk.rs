//! The trunk that an encoder begins with.

use super::embedded;
use crate::error::{Error, Result};
use crate::fit::{Named, Shape, Start};
use crate::generator::Spec;
use crate::limits::LIMITS;
use crate::metric::FeaturesConfig;
use crate::network::Places;
use crate::weights;
use candle_core::Device;

/// Smallest pictures, by their longer side, for which the embedded network is of use: it looks at
/// 128².
const LEAST: usize = 64;

/// The trunk for an encoder of a generator: that of the embedded attribute network, which tells
/// shapes and colours apart; for small pictures and for other channels than RGB random
/// convolutions.
///
/// # Errors
/// When the embedded file is damaged.
pub fn trunk(spec: &Spec, seed: u64, device: &Device) -> Result<Start> {
    let longest = spec.width.max(spec.height);
    if spec.channels != 3 || longest < LEAST {
        return Start::random(spec.channels, longest, seed, device);
    }
    let part = embedded::ATTRIBUTES;
    let mut file = weights::open_bytes(part.name, part.bytes, &LIMITS)?;
    let config: FeaturesConfig = serde_json::from_value(file.config().clone())
        .map_err(|e| Error::runtime(format!("the embedded network is unreadable: {e}")))?;
    let mut tensors = Named::new();
    for i in 0..config.strides.len() {
        for kind in ["weight", "bias"] {
            let name = format!("conv{i}.{kind}");
            tensors.insert(name.clone(), file.weights.take_any(&name)?.to_device(device)?);
        }
    }
    // The last map of each size from 32² on.
    let ends = |i: &usize| config.strides.get(i + 1).is_none_or(|s| *s > 1);
    let layers = (1..config.strides.len()).filter(ends).collect();
    let places = Places { layers, grid: config.grid };
    let shape = Shape { side: config.input_resolution, strides: config.strides.clone(), places };
    Ok(Start { shape, tensors })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator;

    #[test]
    fn large_colour_pictures_begin_with_the_embedded_network() {
        let toy = generator::toy(0, &Device::Cpu).unwrap().spec().clone();
        let at = |channels, side| {
            let spec = Spec { channels, width: side, height: side, ..toy.clone() };
            trunk(&spec, 1, &Device::Cpu).unwrap()
        };
        let start = at(3, 1024);
        assert_eq!(start.shape.side, 128);
        assert_eq!(start.shape.places, Places { layers: vec![2, 4, 6, 8], grid: 4 });
        assert_eq!(start.tensors["conv8.weight"].dims(), [192, 192, 3, 3]);
        for (small, side) in [(at(3, 32), 32), (at(1, 1024), 64)] {
            assert_eq!(
                (small.shape.side, small.tensors.len()),
                (side, 2 * small.shape.strides.len())
            );
        }
    }
}
