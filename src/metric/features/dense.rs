//! Every window of a large picture at once: the convolutions run over all of it, the head over
//! every place of the last map.
//!
//! A window cut out has zeros around it where here its neighbours are, so the numbers differ a
//! little: good for a search, to be confirmed on the window itself.

use super::{Features, bad};
use crate::error::Result;
use candle_core::Tensor;

/// Pixels of a band of rows that the convolutions run over at once. The first map of a picture of
/// 8192² alone would take gigabytes.
const BAND: usize = 1 << 21;

/// The raw scores of all windows of a picture.
pub struct Dense {
    /// Windows below each other, and beside each other.
    pub places: [usize; 2],
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Side of a window in pixels.
    pub side: usize,
    /// One row a place, from the top left, one number a requested output.
    pub raw: Vec<Vec<f32>>,
}

impl Features {
    /// The raw scores of some outputs in every window of the training size, in steps of the product
    /// of the strides.
    ///
    /// # Shapes
    /// `[1, C, H, W]` in [-1, 1], H and W at least the training size
    ///
    /// # Errors
    /// When the picture is smaller than one window or has other channels.
    pub fn dense(&self, picture: &Tensor, outputs: &[usize]) -> Result<Dense> {
        let x = self.last_in_bands(picture, BAND)?;
        let side = self.config.input_resolution;
        let (map, grid) = (self.trunk.side(side), self.config.grid);
        let (cell, dims) = (map / grid, x.dims4()?);
        let (Some(rows), Some(columns)) = (dims.2.checked_sub(map), dims.3.checked_sub(map)) else {
            return Err(bad(&self.name, &format!("no window of {side}² fits the picture")));
        };
        let places = [rows + 1, columns + 1];
        let cells = mean_of(&mean_of(&x.squeeze(0)?, 1, cell)?, 2, cell)?; // [C, H-c+1, W-c+1]
        let index: Vec<u32> = outputs.iter().map(|&o| o as u32).collect();
        let index = Tensor::from_vec(index, outputs.len(), x.device())?;
        let weight = self.head_weight.index_select(&index, 0)?.reshape((
            outputs.len(),
            dims.1,
            grid,
            grid,
        ))?; // [kCgg]
        let mut sum = self
            .head_bias
            .index_select(&index, 0)?
            .unsqueeze(1)?
            .repeat((1, places[0] * places[1]))?; // [kP]
        for gy in 0..grid {
            for gx in 0..grid {
                let here =
                    cells.narrow(1, gy * cell, places[0])?.narrow(2, gx * cell, places[1])?;
                let w =
                    weight.narrow(2, gy, 1)?.narrow(3, gx, 1)?.reshape((outputs.len(), dims.1))?;
                sum = (sum + w.matmul(&here.contiguous()?.flatten_from(1)?)?)?;
            }
        }
        Ok(Dense {
            places,
            stride: self.trunk.stride(),
            side,
            raw: sum.t()?.contiguous()?.to_vec2()?,
        })
    }
}

impl Features {
    /// The last map of the convolutions, computed for bands of rows of about `pixels` pixels each,
    /// so that maps of the full size exist for one band at a time.
    ///
    /// # Shapes
    /// `[1, C, H, W]` → `[1, C_last, H_last, W_last]`
    fn last_in_bands(&self, picture: &Tensor, pixels: usize) -> Result<Tensor> {
        let (height, width) = (picture.dim(2)?, picture.dim(3)?);
        let stride = self.trunk.stride();
        let rows = (pixels / width.max(1)).next_multiple_of(stride).max(stride);
        // Rows that a band needs above and below it, in whole steps of the last map.
        let rim = self.trunk.reach().next_multiple_of(stride);
        let mut bands = Vec::new();
        for first in (0..height).step_by(rows) {
            let (from, end) = (first.saturating_sub(rim), (first + rows).min(height));
            let band = picture.narrow(2, from, (end + rim).min(height) - from)?;
            let map = self.trunk.last(&self.readable(&band)?)?;
            let (skipped, own) = ((first - from) / stride, (end - first).div_ceil(stride));
            bands.push(map.narrow(2, skipped, own)?.contiguous()?);
        }
        Ok(if bands.len() == 1 { bands.remove(0) } else { Tensor::cat(&bands, 2)? })
    }
}

/// The running mean of `n` neighbours along an axis, which becomes `n - 1` shorter.
fn mean_of(x: &Tensor, axis: usize, n: usize) -> Result<Tensor> {
    let len = x.dim(axis)? + 1 - n;
    let mut sum = x.narrow(axis, 0, len)?;
    for k in 1..n {
        sum = (sum + x.narrow(axis, k, len)?)?;
    }
    Ok((sum / n as f64)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::features::FeaturesConfig;
    use crate::rng::Rng;
    use crate::weights::Weights;
    use candle_core::Device;
    use std::collections::BTreeMap;

    /// 1 → 3 → 4 → 5 channels, windows of 16², last map 4², grid 2; biases of the convolutions with
    /// that spread.
    fn net(bias: f32) -> Features {
        let config: FeaturesConfig = serde_json::from_value(serde_json::json!({
            "input_resolution": 16, "strides": [1, 2, 2], "grid": 2, "outputs": [{"name": "a"}, {"name": "b"}]
        }))
        .unwrap();
        let mut rng = Rng::new(2);
        let mut tensors = BTreeMap::new();
        let mut add = |name: String, shape: &[usize], spread: f32| {
            let data = rng
                .normals(shape.iter().product())
                .into_iter()
                .map(|v| v * spread)
                .collect::<Vec<_>>();
            tensors.insert(name, Tensor::from_vec(data, shape, &Device::Cpu).unwrap());
        };
        for (i, [inner, outer]) in [[1, 3], [3, 4], [4, 5]].into_iter().enumerate() {
            add(format!("conv{i}.weight"), &[outer, inner, 3, 3], 0.4);
            add(format!("conv{i}.bias"), &[outer], bias);
        }
        add("head.weight".into(), &[2, 20], 0.4);
        add("head.bias".into(), &[2], 0.4);
        Features::new("net", config, Weights::of_tensors("net", tensors), &Device::Cpu).unwrap()
    }

    #[test]
    fn one_window_is_the_network_itself() {
        let net = net(0.4);
        let x = Tensor::from_vec(Rng::new(3).normals(256), (1, 1, 16, 16), &Device::Cpu).unwrap();
        let dense = net.dense(&x, &[1, 0]).unwrap();
        let raw = net.raw_scores(&x).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!((dense.places, dense.stride, dense.side), ([1, 1], 4, 16));
        assert!(
            (dense.raw[0][0] - raw[0][1]).abs() < 1e-5
                && (dense.raw[0][1] - raw[0][0]).abs() < 1e-5
        );
    }

    #[test]
    fn bands_are_the_whole() {
        let net = net(0.4);
        for (h, w) in [(40, 48), (37, 16), (64, 20)] {
            let x = Tensor::from_vec(Rng::new(5).normals(h * w), (1, 1, h, w), &Device::Cpu);
            let x = x.unwrap();
            let values = |pixels: usize| {
                let map = net.last_in_bands(&x, pixels).unwrap();
                (map.dims().to_vec(), map.flatten_all().unwrap().to_vec1::<f32>().unwrap())
            };
            let (dims, whole) = values(h * w);
            for pixels in [1, 5 * w, 12 * w] {
                let (own, band) = values(pixels);
                let far = whole.iter().zip(&band).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(own == dims && far < 1e-5, "{h}×{w}, {pixels} pixels: {far}");
            }
        }
    }

    #[test]
    fn a_window_far_from_zeros_is_read_where_it_stands() {
        // Flat surroundings of zero are what padding adds, but for the biases: without them both
        // ways agree inside.
        let net = net(0.0);
        let window = Rng::new(4).normals(256);
        let mut wide = vec![0f32; 40 * 48];
        for (y, row) in window.chunks_exact(16).enumerate() {
            wide[(y + 12) * 48 + 20..][..16].copy_from_slice(row);
        }
        let t = |v: Vec<f32>, h: usize, w: usize| {
            Tensor::from_vec(v, (1, 1, h, w), &Device::Cpu).unwrap()
        };
        // Values beyond the window are cut off: zero its rim, so that nothing is lost.
        let rim = |v: &mut [f32], w: usize, y0: usize, x0: usize| {
            for y in 0..16 {
                for x in 0..16 {
                    if !(5..11).contains(&y) || !(5..11).contains(&x) {
                        v[(y + y0) * w + x + x0] = 0.0;
                    }
                }
            }
        };
        let mut alone = window.clone();
        rim(&mut alone, 16, 0, 0);
        rim(&mut wide, 48, 12, 20);
        let dense = net.dense(&t(wide, 40, 48), &[0, 1]).unwrap();
        assert_eq!(dense.places, [7, 9]);
        let raw = net.raw_scores(&t(alone, 16, 16)).unwrap().to_vec2::<f32>().unwrap();
        let here = &dense.raw[3 * 9 + 5];
        assert!(
            (here[0] - raw[0][0]).abs() < 1e-5 && (here[1] - raw[0][1]).abs() < 1e-5,
            "{here:?} {raw:?}"
        );
        assert!(net.dense(&t(vec![0.0; 64], 8, 8), &[0]).is_err());
    }
}
