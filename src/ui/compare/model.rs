//! The pictures of a comparison and their numbers.

use crate::error::{Error, Result};
use crate::image::{Filter, Raster, resize};
use crate::metric::{Metric, Psnr, Ssim};
use crate::render::plot::rounded;
use candle_core::Device;

/// Regions on each side of the grid in which the worst ones are sought.
const GRID: usize = 16;
/// Regions on each side of the grid whose numbers are shown.
const COARSE: usize = 3;

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
    /// What it shows, in words; empty where nothing was read in it.
    pub words: String,
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
            words: String::new(),
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

/// A target, and candidates of the same size; without any it is a picture to look at.
#[derive(Debug)]
pub struct Comparison {
    /// Name of the target.
    pub name: String,
    /// The target, RGB.
    pub target: Raster,
    /// What the target shows, in words; empty where nothing was read in it.
    pub words: String,
    /// What a candidate is called: a candidate, a rung.
    pub kind: String,
    /// What is compared with it.
    pub candidates: Vec<Candidate>,
    /// For each candidate its regions, the one with the greatest error first.
    worst: Vec<Vec<Part>>,
    /// For each candidate the PSNR of a coarse grid of regions, row by row, in dB.
    regions: Vec<Vec<Vec<f64>>>,
}

impl Comparison {
    /// Compares pictures of any size and mode with a target. A picture of another size is scaled
    /// to that of the target, and a remark says so.
    ///
    /// # Errors
    /// When a picture cannot be converted or scaled.
    pub fn new(
        name: impl Into<String>,
        target: &Raster,
        mut candidates: Vec<Candidate>,
    ) -> Result<Self> {
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
        let regions = candidates.iter().map(|c| regions(&target, &c.picture)).collect();
        let (name, words, kind) = (name.into(), String::new(), "candidate".into());
        Ok(Self { name, target, words, kind, candidates, worst, regions })
    }

    /// Compares all but the first picture with the first.
    ///
    /// # Errors
    /// As [`Comparison::new`].
    pub fn of(mut all: Vec<Candidate>) -> Result<Self> {
        if all.is_empty() {
            return Err(Error::runtime("there is no picture")
                .hint("name pictures, an inversion or a ladder: :view x, r compares r with x"));
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
        all(&self.target)
    }

    /// The regions of a candidate, the one with the greatest error first.
    pub fn worst(&self, candidate: usize) -> &[Part] {
        self.worst.get(candidate).map_or(&[], Vec::as_slice)
    }

    /// PSNR of a coarse grid of a candidate's regions, row by row, in dB.
    pub fn regions(&self, candidate: usize) -> &[Vec<f64>] {
        self.regions.get(candidate).map_or(&[], Vec::as_slice)
    }

    /// PSNR of a part in dB, from bytes with peak 255; infinite where both agree.
    pub fn psnr(&self, candidate: usize, part: Part) -> f64 {
        let picture = self.candidates.get(candidate).map(|c| &c.picture);
        picture.map_or(f64::NAN, |picture| psnr(&self.target, picture, part))
    }
}

fn all(picture: &Raster) -> Part {
    Part { x: 0, y: 0, width: picture.width, height: picture.height }
}

/// PSNR of a part of two pictures of one size and mode.
fn psnr(a: &Raster, b: &Raster, part: Part) -> f64 {
    let count = (part.width * part.height * a.channels).max(1) as f64;
    10.0 * libm::log10(255.0 * 255.0 / (squares(a, b, part) / count))
}

/// PSNR of a coarse grid of regions, row by row.
fn regions(a: &Raster, b: &Raster) -> Vec<Vec<f64>> {
    let grid = (COARSE.min(a.width), COARSE.min(a.height));
    let row = |y| (0..grid.0).map(|x| psnr(a, b, cell(all(a), grid, (x, y)))).collect();
    (0..grid.1).map(row).collect()
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

/// A region of a grid over a picture, by its column and row.
fn cell(whole: Part, (across, down): (usize, usize), (i, j): (usize, usize)) -> Part {
    let (x, y) = (i * whole.width / across, j * whole.height / down);
    let width = (i + 1) * whole.width / across - x;
    Part { x, y, width, height: (j + 1) * whole.height / down - y }
}

/// The regions of a grid, by falling mean squared error.
fn worst(a: &Raster, b: &Raster) -> Vec<Part> {
    let whole = all(a);
    let grid = (GRID.min(a.width), GRID.min(a.height));
    let error = |i: usize| {
        let part = cell(whole, grid, (i % grid.0, i / grid.0));
        (squares(a, b, part) / (part.width * part.height) as f64, part)
    };
    let mut all: Vec<(f64, Part)> = (0..grid.0 * grid.1).map(error).collect();
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
        let regions = c.regions(0);
        let differs: Vec<bool> = regions.iter().flatten().map(|v| v.is_finite()).collect();
        assert_eq!(differs, [false, true, true, false, false, false, false, false, false]);
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
