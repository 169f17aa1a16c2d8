//! The pictures of a comparison and their numbers.

use crate::error::{Error, Result};
use crate::image::{Filter, Raster, resize};
use crate::metric::{Metric, Psnr, Ssim};
use crate::render::plot::rounded;
use candle_core::Device;

/// Regions on each side of the grid in which the worst ones are sought.
const GRID: usize = 16;

/// A picture that is compared with the target.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name: a file, a variable, a method.
    pub name: String,
    /// The picture. After [`Comparison::new`] in RGB and in the size of the target.
    pub picture: Raster,
    /// Numbers with their units, such as `psnr` and `29.4 dB`.
    pub numbers: Vec<(String, String)>,
    /// The loss over the steps; empty where there is none.
    pub curve: Vec<f64>,
    /// Lines about its origin.
    pub remarks: Vec<String>,
}

impl Candidate {
    /// A picture without numbers.
    pub fn new(name: impl Into<String>, picture: Raster) -> Self {
        Self {
            name: name.into(),
            picture,
            numbers: Vec::new(),
            curve: Vec::new(),
            remarks: Vec::new(),
        }
    }
}

/// A rectangle of a picture, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Part {
    /// Left column.
    pub x: usize,
    /// Top row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// A target and at least one candidate of the same size.
#[derive(Debug)]
pub struct Comparison {
    /// Name of the target.
    pub name: String,
    /// The target, RGB.
    pub target: Raster,
    /// What is compared with it.
    pub candidates: Vec<Candidate>,
    /// For each candidate its regions, the one with the greatest error first.
    worst: Vec<Vec<Part>>,
}

impl Comparison {
    /// Compares pictures of any size and mode with a target. A picture of another size is scaled
    /// to that of the target, and a remark says so.
    ///
    /// # Errors
    /// Without a candidate, and when a picture cannot be converted or scaled.
    pub fn new(
        name: impl Into<String>,
        target: &Raster,
        mut candidates: Vec<Candidate>,
    ) -> Result<Self> {
        if candidates.is_empty() {
            return Err(Error::runtime("there is nothing to compare with the target")
                .hint("name two pictures, or one inversion: :view x, r compares r with x"));
        }
        let target = target.to_rgb()?;
        for c in &mut candidates {
            let picture = c.picture.to_rgb()?;
            let (size, wanted) = ((picture.width, picture.height), (target.width, target.height));
            if size != wanted {
                c.remarks.push(format!(
                    "{}×{}, scaled to the {}×{} of the target",
                    size.0, size.1, wanted.0, wanted.1
                ));
            }
            c.picture = resize(&picture, wanted.0, wanted.1, Filter::Bicubic)?;
        }
        let worst = candidates.iter().map(|c| worst(&target, &c.picture)).collect();
        Ok(Self { name: name.into(), target, candidates, worst })
    }

    /// Compares all but the first picture with the first.
    ///
    /// # Errors
    /// As [`Comparison::new`].
    pub fn of(mut all: Vec<Candidate>) -> Result<Self> {
        if all.is_empty() {
            return Err(Error::runtime("there is no picture"));
        }
        let target = all.remove(0);
        Self::new(target.name, &target.picture, all)
    }

    /// Adds PSNR and SSIM to candidates that have no numbers yet.
    ///
    /// # Errors
    /// When the pictures are too small for a metric.
    pub fn measure(&mut self) -> Result<()> {
        let target = self.target.to_tensor(&Device::Cpu)?;
        for c in self.candidates.iter_mut().filter(|c| c.numbers.is_empty()) {
            let picture = c.picture.to_tensor(&Device::Cpu)?;
            for metric in [&Psnr as &dyn Metric, &Ssim] {
                let value = metric.measure(&target, &picture)?[0];
                c.numbers.push((metric.name().to_owned(), written(value, metric.unit())));
            }
        }
        Ok(())
    }

    /// The whole picture.
    pub fn whole(&self) -> Part {
        Part { x: 0, y: 0, width: self.target.width, height: self.target.height }
    }

    /// The regions of a candidate, the one with the greatest error first.
    pub fn worst(&self, candidate: usize) -> &[Part] {
        self.worst.get(candidate).map_or(&[], Vec::as_slice)
    }

    /// PSNR of a part in dB, from bytes with peak 255; infinite where both agree.
    pub fn psnr(&self, candidate: usize, part: Part) -> f64 {
        let Some(c) = self.candidates.get(candidate) else { return f64::NAN };
        let count = (part.width * part.height * self.target.channels).max(1) as f64;
        let mse = squares(&self.target, &c.picture, part) / count;
        10.0 * libm::log10(255.0 * 255.0 / mse)
    }
}

/// A number with its unit, as it is shown.
pub fn written(value: f64, unit: &str) -> String {
    format!("{} {unit}", rounded(value, unit)).trim_end().to_owned()
}

/// The sum of the squared differences of a part of two pictures of one size and mode.
fn squares(a: &Raster, b: &Raster, part: Part) -> f64 {
    let mut sum = 0.0;
    for y in part.y..part.y + part.height {
        let from = (y * a.width + part.x) * a.channels;
        let row = from..from + part.width * a.channels;
        let each = a.data[row.clone()].iter().zip(&b.data[row]);
        sum += each.map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum::<f64>();
    }
    sum
}

/// The regions of a grid, by falling mean squared error.
fn worst(a: &Raster, b: &Raster) -> Vec<Part> {
    let (across, down) = (GRID.min(a.width), GRID.min(a.height));
    let mut all: Vec<(f64, Part)> = (0..across * down)
        .map(|i| {
            let (i, j) = (i % across, i / across);
            let (x, y) = (i * a.width / across, j * a.height / down);
            let part = Part {
                x,
                y,
                width: (i + 1) * a.width / across - x,
                height: (j + 1) * a.height / down - y,
            };
            (squares(a, b, part) / (part.width * part.height) as f64, part)
        })
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().map(|(_, part)| part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spotted(x: usize, y: usize) -> Raster {
        let mut picture = Raster::filled(64, 32, &[10, 20, 30]).unwrap();
        for dy in 0..2 {
            for dx in 0..4 {
                picture.data[((y + dy) * 64 + x + dx) * 3] += 100;
            }
        }
        picture
    }

    #[test]
    fn the_worst_region_comes_first() {
        let target = Raster::filled(64, 32, &[10, 20, 30]).unwrap();
        let all = vec![Candidate::new("a", spotted(40, 6)), Candidate::new("b", target.clone())];
        let c = Comparison::new("t", &target, all).unwrap();
        assert_eq!(c.worst(0)[0], Part { x: 40, y: 6, width: 4, height: 2 });
        assert_eq!(c.worst(0).len(), 256);
        // All of the region differs by 100 in one of three channels.
        let wanted = 10.0 * (255.0_f64.powi(2) / (1e4 / 3.0)).log10();
        assert!((c.psnr(0, c.worst(0)[0]) - wanted).abs() < 1e-9);
        assert_eq!(c.psnr(1, c.whole()), f64::INFINITY);
    }

    #[test]
    fn the_psnr_of_bytes_is_that_of_the_metric() {
        let target = Raster::filled(64, 32, &[10, 20, 30]).unwrap();
        let all = vec![Candidate::new("a", spotted(3, 5))];
        let mut c = Comparison::new("t", &target, all).unwrap();
        c.measure().unwrap();
        assert_eq!(
            c.candidates[0].numbers[0],
            ("psnr".into(), written(c.psnr(0, c.whole()), "dB"))
        );
        assert_eq!(c.candidates[0].numbers[1].0, "ssim");
    }

    #[test]
    fn another_size_is_scaled_and_said() {
        let target = Raster::filled(64, 32, &[10, 20, 30]).unwrap();
        let grey = Raster::filled(32, 32, &[9]).unwrap();
        let c = Comparison::new("t", &target, vec![Candidate::new("g", grey)]).unwrap();
        let picture = &c.candidates[0].picture;
        assert_eq!((picture.width, picture.height, picture.channels), (64, 32, 3));
        assert_eq!(c.candidates[0].remarks, ["32×32, scaled to the 64×32 of the target"]);
    }
}
