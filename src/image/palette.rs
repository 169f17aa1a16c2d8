//! Reducing pictures to at most 256 colours, the same for all frames of an animation.
//!
//! Median cut (Heckbert 1982) over colours of 5 bits a channel, then error diffusion (Floyd and
//! Steinberg 1976). No random start, no threads: equal pictures give equal bytes.

use super::raster::Raster;
use crate::error::{Error, Result};

/// Up to 256 colours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Palette(pub Vec<[u8; 3]>);

/// A colour of the histogram: how often, and the sum of its exact values.
#[derive(Clone, Copy, Default)]
struct Bin {
    count: u64,
    sum: [u64; 3],
}

impl Bin {
    fn mean(&self, axis: usize) -> u64 {
        (self.sum[axis] + self.count / 2) / self.count.max(1)
    }

    fn join(mut self, other: &Self) -> Self {
        self.count += other.count;
        (0..3).for_each(|a| self.sum[a] += other.sum[a]);
        self
    }
}

impl Palette {
    /// The colours that suit these rgb or grey pictures together best.
    ///
    /// # Errors
    /// When there is no picture or `colours` is not in 2..=256.
    pub fn of(pictures: &[Raster], colours: usize) -> Result<Self> {
        if pictures.is_empty() || !(2..=256).contains(&colours) {
            return Err(Error::runtime(format!(
                "no palette of {colours} colours for {} pictures",
                pictures.len()
            )));
        }
        let mut boxes = vec![histogram(pictures)?];
        while boxes.len() < colours {
            // The box that costs most is cut; a box of one colour costs nothing.
            let costs = boxes.iter().map(|b| cost(b).0).enumerate();
            let Some((worst, _)) =
                costs.filter(|c| c.1 > 0).max_by_key(|c| (c.1, usize::MAX - c.0))
            else {
                break;
            };
            let (low, high) = cut(boxes.swap_remove(worst));
            boxes.extend([low, high]);
        }
        let colour = |bins: &Vec<Bin>| {
            let all = bins.iter().fold(Bin::default(), Bin::join);
            [0, 1, 2].map(|a| all.mean(a) as u8)
        };
        let mut colours: Vec<_> = boxes.iter().map(colour).collect();
        colours.sort_unstable();
        colours.dedup();
        Ok(Self(colours))
    }

    /// The index of the nearest colour (squared distance of bytes).
    pub fn nearest(&self, colour: [i32; 3]) -> usize {
        let far = |p: &[u8; 3]| (0..3).map(|a| (i32::from(p[a]) - colour[a]).pow(2)).sum::<i32>();
        let best = self.0.iter().enumerate().min_by_key(|(i, p)| (far(p), *i));
        best.map_or(0, |(i, _)| i)
    }

    /// The palette's indices of a picture, one a pixel, with its error diffused.
    pub fn apply(&self, picture: &Raster) -> Result<Vec<u8>> {
        let rgb = picture.converted(3)?.0;
        let width = rgb.width;
        // Errors in sixteenths, carried to the current and the next row; one pixel of margin on
        // either side.
        let mut rows = [vec![[0i32; 3]; width + 2], vec![[0i32; 3]; width + 2]];
        let mut cache = vec![None; 1 << 15];
        let mut out = Vec::with_capacity(width * rgb.height);
        for line in rgb.data.chunks_exact(width * 3) {
            for (x, p) in line.chunks_exact(3).enumerate() {
                let wanted =
                    [0, 1, 2].map(|a| (i32::from(p[a]) + rows[0][x + 1][a] / 16).clamp(0, 255));
                let key = wanted.iter().fold(0, |k, v| k << 5 | (*v as usize >> 3));
                let index =
                    *cache[key].get_or_insert_with(|| self.nearest(wanted.map(|v| v & !7 | 4)));
                for a in 0..3 {
                    let error = wanted[a] - i32::from(self.0[index][a]);
                    rows[0][x + 2][a] += error * 7;
                    rows[1][x][a] += error * 3;
                    rows[1][x + 1][a] += error * 5;
                    rows[1][x + 2][a] += error;
                }
                out.push(index as u8);
            }
            rows.swap(0, 1);
            rows[1].fill([0; 3]);
        }
        Ok(out)
    }
}

fn histogram(pictures: &[Raster]) -> Result<Vec<Bin>> {
    let mut bins = vec![Bin::default(); 1 << 15];
    for p in pictures {
        for c in p.to_rgb()?.data.chunks_exact(3) {
            let bin = &mut bins[c.iter().fold(0, |k, v| k << 5 | usize::from(v >> 3))];
            bin.count += 1;
            (0..3).for_each(|a| bin.sum[a] += u64::from(c[a]));
        }
    }
    bins.retain(|b| b.count > 0);
    Ok(bins)
}

/// The largest squared spread of a box over the axes times its pixels' number, and that axis.
fn cost(bins: &[Bin]) -> (u64, usize) {
    let all = bins.iter().fold(Bin::default(), Bin::join);
    let spread = |a: usize| {
        bins.iter().map(|b| b.count * b.mean(a).abs_diff(all.mean(a)).pow(2)).sum::<u64>()
    };
    (0..3)
        .map(|a| (if bins.len() > 1 { spread(a) } else { 0 }, a))
        .max_by_key(|&(s, a)| (s, 3 - a))
        .unwrap_or((0, 0))
}

/// Cuts a box of two or more colours at the mean of its widest axis.
fn cut(mut bins: Vec<Bin>) -> (Vec<Bin>, Vec<Bin>) {
    let axis = cost(&bins).1;
    bins.sort_by_key(|b| (b.mean(axis), b.sum, b.count));
    let mean = bins.iter().fold(Bin::default(), Bin::join).mean(axis);
    let at = bins.partition_point(|b| b.mean(axis) <= mean).clamp(1, bins.len() - 1);
    let high = bins.split_off(at);
    (bins, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_colours_stay_exact() {
        let p = Raster::new(2, 2, 3, vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 40, 50, 60]).unwrap();
        let palette = Palette::of(std::slice::from_ref(&p), 256).unwrap();
        let back: Vec<u8> =
            palette.apply(&p).unwrap().iter().flat_map(|&i| palette.0[usize::from(i)]).collect();
        assert_eq!(back, p.data);
    }

    #[test]
    fn dithering_keeps_the_mean() {
        let p = Raster::filled(64, 64, &[100, 100, 100]).unwrap();
        let palette = Palette(vec![[0; 3], [255; 3]]);
        let white = palette.apply(&p).unwrap().iter().filter(|&&i| i == 1).count();
        let mean = white as f64 * 255.0 / 4096.0;
        assert!((mean - 100.0).abs() < 2.0, "{mean}");
    }

    #[test]
    fn a_gradient_is_covered() {
        let p = Raster::new(256, 1, 1, (0..=255).collect()).unwrap();
        let palette = Palette::of(std::slice::from_ref(&p), 16).unwrap();
        assert_eq!(palette.0.len(), 16);
        // Sixteen even steps are 16 apart; no value may be farther than that from its colour.
        for v in 0..256 {
            let c = palette.0[palette.nearest([v; 3])];
            assert!((i32::from(c[0]) - v).abs() <= 16, "{v}: {c:?}");
        }
        assert!(Palette::of(&[], 16).is_err() && Palette::of(&[p], 1).is_err());
    }
}
