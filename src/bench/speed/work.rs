//! Operations of a forward, counted from the shapes.

use crate::generator::Spec;

/// The work of one forward of a batch.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Work {
    /// Multiply-adds × 2 of the modulated convolutions done directly, 10⁹.
    pub gflop: f64,
    /// Bytes that these convolutions cannot do without: weights and input read once, output written
    /// once, single precision.
    pub bytes: f64,
}

/// The work of a generator whose layers read styles; `None` where they do not.
///
/// Counted are the 3×3 convolutions (that of an upsampling layer as a transposed one: nine products
/// a pixel of its input) and the 1×1 ones to the picture; not counted resampling filters, affine
/// maps, the shortcuts of resnet blocks, and what is done element by element. Algorithms with fewer
/// products, as Winograd's, may need less.
pub fn forward(spec: &Spec, batch: usize) -> Option<Work> {
    let mut total = Work { gflop: 0.0, bytes: 0.0 };
    for (i, layer) in spec.styles.iter().enumerate() {
        let (block, kind) = layer.name.split_once('.')?;
        let side: usize = block.strip_prefix('b')?.parse().ok()?;
        let inputs = layer.size;
        let (outputs, taps, from) = match kind {
            // The styles of the layer behind it are as many as its outputs.
            "conv0" => (spec.styles.get(i + 1)?.size, 9, side / 2),
            "conv1" => (inputs, 9, side),
            "torgb" => (spec.channels, 1, side),
            _ => return None,
        };
        let weights = (taps * inputs * outputs) as f64;
        let pixels = |side: usize| (batch * side * side) as f64;
        total.gflop += 2e-9 * weights * pixels(from);
        total.bytes +=
            4.0 * (weights + inputs as f64 * pixels(from) + outputs as f64 * pixels(side));
    }
    (total.gflop > 0.0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::super::official;
    use super::*;
    use crate::generator::{Generator, StyleLayer};
    use candle_core::Device;

    /// The layers of an official network, without its weights.
    fn spec(resolution: usize, widths: &[usize]) -> Spec {
        let mut spec = official::build(4, 0, &Device::Cpu).unwrap().spec().clone();
        spec.styles.clear();
        for (i, &size) in widths.iter().enumerate() {
            let side = 4 << i;
            let mut add = |kind: &str, size| {
                spec.styles.push(StyleLayer { name: format!("b{side}.{kind}"), row: 0, size });
            };
            if i > 0 {
                add("conv0", widths[i - 1]);
            }
            add("conv1", size);
            add("torgb", size);
        }
        (spec.width, spec.height) = (resolution, resolution);
        spec
    }

    #[test]
    fn the_published_networks_as_counted_by_hand() {
        let found = |r: usize, w: &[usize]| forward(&spec(r, w), 1).unwrap().gflop;
        assert!((found(64, &[512; 5]) - 32.2).abs() < 0.05);
        assert!((found(256, &[512, 512, 512, 512, 256, 128, 64]) - 29.8).abs() < 0.05);
        assert!((found(1024, &[512, 512, 512, 512, 512, 256, 128, 64, 32]) - 148.5).abs() < 0.05);
    }

    #[test]
    fn a_small_network_as_counted_by_hand() {
        // 4²: 3×3 512→512 and 512→3 on 16 pixels. 8²: up from 16 pixels, 3×3 on 64, 512→3 on 64.
        let (full, picture) = (9.0 * 512.0 * 512.0, 512.0 * 3.0);
        let products = full * (16.0 + 16.0 + 64.0) + picture * (16.0 + 64.0);
        let g = official::build(8, 0, &Device::Cpu).unwrap();
        let one = forward(g.spec(), 1).unwrap();
        assert!((one.gflop - 2e-9 * products).abs() < 1e-12);
        let features =
            512.0 * (16.0 + 16.0 + 16.0 + 64.0 + 64.0 + 64.0) + (512.0 + 3.0) * (16.0 + 64.0);
        assert!((one.bytes - 4.0 * (3.0 * full + 2.0 * picture + features)).abs() < 0.5);
        // A batch shares the weights.
        let three = forward(g.spec(), 3).unwrap();
        assert!((three.gflop - 3.0 * one.gflop).abs() < 1e-12 && three.bytes < 3.0 * one.bytes);
    }

    #[test]
    fn a_family_without_styles_is_not_counted() {
        let mut spec = spec(8, &[4, 4]);
        spec.styles.clear();
        assert_eq!(forward(&spec, 1), None);
    }
}
