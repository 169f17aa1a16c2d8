//! Superpixels: regions of about one size that follow the edges of a picture.

use crate::error::Result;
use candle_core::{DType, Device, Tensor};

/// Passes over the picture; the regions hardly change after ten (Achanta et al. 2012).
const PASSES: usize = 10;
/// How much place counts against colour: scikit-image's default.
const COMPACTNESS: f32 = 10.0;

/// SLIC (Achanta et al., "SLIC Superpixels Compared to State-of-the-art Superpixel Methods", 2012):
/// k-means over colour in CIELAB and place, each centre within twice its spacing. Regions need not
/// be connected.
///
/// # Shapes
/// picture `[1, C, H, W]` in [-1, 1] → the index of the region of every pixel, row by row. A
/// picture of another number of channels than 3 is compared by its first channel alone.
///
/// # Errors
/// When the picture cannot be read.
pub fn slic(picture: &Tensor, regions: usize) -> Result<Vec<usize>> {
    let (_, channels, height, width) = picture.dims4()?;
    let flat = picture.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?;
    let values = flat.flatten_all()?.to_vec1::<f32>()?;
    let area = height * width;
    let at = |c: usize, i: usize| values.get(c * area + i).copied().unwrap_or(0.0);
    let colours: Vec<[f32; 3]> = (0..area)
        .map(|i| match channels {
            3 => lab([at(0, i), at(1, i), at(2, i)].map(|v| ((v + 1.0) / 2.0).clamp(0.0, 1.0))),
            _ => [50.0 * (at(0, i) + 1.0), 0.0, 0.0],
        })
        .collect();
    let spacing = ((area as f32 / regions.max(1) as f32).sqrt()).max(1.0);
    let mut centres = grid(&colours, (height, width), spacing);
    let mut label = vec![0; area];
    for _ in 0..PASSES {
        let mut nearest = vec![f32::INFINITY; area];
        for (k, centre) in centres.iter().enumerate() {
            let reach = |c: f32, most: usize| {
                let from = (c - 2.0 * spacing).max(0.0) as usize;
                from..((c + 2.0 * spacing) as usize + 1).min(most)
            };
            for y in reach(centre.y, height) {
                for x in reach(centre.x, width) {
                    let i = y * width + x;
                    let far = centre.distance(&colours[i], (x as f32, y as f32), spacing);
                    if far < nearest[i] {
                        (nearest[i], label[i]) = (far, k);
                    }
                }
            }
        }
        let mut sums = vec![([0.0f64; 5], 0usize); centres.len()];
        for (i, k) in label.iter().enumerate() {
            let (sum, count) = &mut sums[*k];
            let place = [(i % width) as f32, (i / width) as f32];
            let all = colours[i].iter().chain(&place);
            sum.iter_mut().zip(all).for_each(|(s, v)| *s += f64::from(*v));
            *count += 1;
        }
        for (centre, (sum, count)) in centres.iter_mut().zip(sums).filter(|(_, s)| s.1 > 0) {
            let [l, a, b, x, y] = sum.map(|s| (s / count as f64) as f32);
            *centre = Centre { colour: [l, a, b], x, y };
        }
    }
    Ok(label)
}

/// The centre of a region.
struct Centre {
    colour: [f32; 3],
    x: f32,
    y: f32,
}

impl Centre {
    fn distance(&self, colour: &[f32; 3], (x, y): (f32, f32), spacing: f32) -> f32 {
        let colours: f32 = self.colour.iter().zip(colour).map(|(a, b)| (a - b).powi(2)).sum();
        let places = (self.x - x).powi(2) + (self.y - y).powi(2);
        colours + places * (COMPACTNESS / spacing).powi(2)
    }
}

/// Centres on a grid.
fn grid(colours: &[[f32; 3]], (height, width): (usize, usize), spacing: f32) -> Vec<Centre> {
    let along = |most: usize| {
        let n = ((most as f32 / spacing).round() as usize).max(1);
        (0..n).map(move |i| (i as f32 + 0.5) * most as f32 / n as f32)
    };
    let mut all = Vec::new();
    for y in along(height) {
        for x in along(width) {
            let i = (y as usize).min(height - 1) * width + (x as usize).min(width - 1);
            all.extend(colours.get(i).map(|colour| Centre { colour: *colour, x, y }));
        }
    }
    all
}

/// A colour of sRGB in [0, 1] in CIELAB, with the white point D65.
fn lab(rgb: [f32; 3]) -> [f32; 3] {
    let [r, g, b] =
        rgb.map(|v| if v <= 0.04045 { v / 12.92 } else { libm::powf((v + 0.055) / 1.055, 2.4) });
    let x = (0.412_453 * r + 0.357_58 * g + 0.180_423 * b) / 0.950_47;
    let y = 0.212_671 * r + 0.715_16 * g + 0.072_169 * b;
    let z = (0.019_334 * r + 0.119_193 * g + 0.950_227 * b) / 1.088_83;
    let [x, y, z] =
        [x, y, z].map(|v| if v > 0.008_856 { libm::cbrtf(v) } else { 7.787 * v + 16.0 / 116.0 });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CIELAB of scikit-image 0.26 (`skimage.color.rgb2lab`).
    #[test]
    fn colours_are_those_of_scikit_image() {
        for (rgb, expected) in [
            ([1.0, 1.0, 1.0], [100.0, -0.002_5, 0.004_7]),
            ([1.0, 0.0, 0.0], [53.240_6, 80.092_3, 67.202_8]),
            ([0.2, 0.5, 0.9], [53.700_9, 12.159_3, -58.348_7]),
            ([0.0, 0.0, 0.02], [0.100_9, 0.709_1, -1.930_0]),
        ] {
            for (got, want) in lab(rgb).into_iter().zip(expected) {
                assert!((got - want).abs() < 0.02, "{rgb:?}: {got} {want}");
            }
        }
    }

    /// A picture of plain squares that the grid of centres does not match: no region crosses an edge.
    #[test]
    fn regions_follow_edges() {
        let (side, at) = (48, 19);
        let inside = |i: usize| (i % side) < at && (i / side) < at;
        let value = |i: usize| if inside(i % (side * side)) { 0.8f32 } else { -0.6 };
        let all: Vec<f32> = (0..3 * side * side).map(value).collect();
        let picture = Tensor::from_vec(all, (1, 3, side, side), &Device::Cpu).unwrap();
        let label = slic(&picture, 36).unwrap();
        let regions = label.iter().max().unwrap() + 1;
        assert_eq!((label.len(), regions), (side * side, 36));
        for k in 0..regions {
            let own: Vec<usize> = (0..label.len()).filter(|i| label[*i] == k).collect();
            assert!(own.iter().all(|i| inside(*i)) || own.iter().all(|i| !inside(*i)), "{k}");
            assert!(own.len() < 4 * side * side / 36, "{k}: {}", own.len());
        }
    }
}
