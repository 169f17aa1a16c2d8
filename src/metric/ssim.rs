//! Structural similarity, at one scale and at five.
//!
//! SSIM: Wang et al. 2004, with the Gaussian window of that paper and of scikit-image's
//! `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`: 11×11, only where it lies
//! wholly inside the picture. MS-SSIM: Wang, Simoncelli and Bovik 2003.

use super::Metric;
use super::planes::{Planes, pair};
use crate::control::check;
use crate::error::{Error, Result};
use candle_core::Tensor;

const RADIUS: usize = 5;
const SIGMA: f64 = 1.5;
/// Side of the Gaussian window.
pub(super) const WINDOW: usize = 2 * RADIUS + 1;
/// (K1 · peak)² and (K2 · peak)² of the paper at peak 1.
pub(super) const C1: f64 = 0.01 * 0.01;
pub(super) const C2: f64 = 0.03 * 0.03;
/// Exponents of the five scales, finest first.
pub(super) const SCALES: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
/// The coarsest scale must still hold one window.
const MS_MIN_SIDE: usize = WINDOW << (SCALES.len() - 1);

/// Values of a band of rows that the similarity is computed in.
const BAND: usize = 1 << 18;

/// A channel of doubles, or some rows of one, row-major.
struct Plane {
    h: usize,
    w: usize,
    data: Vec<f64>,
}

impl Plane {
    fn product(&self, other: &Self) -> Self {
        let data = self.data.iter().zip(&other.data).map(|(a, b)| a * b).collect();
        Self { h: self.h, w: self.w, data }
    }

    /// The Gaussian mean at every place where the whole window lies inside.
    fn blurred(&self) -> Self {
        let (kernel, (h, w)) = (gaussian(), (self.h - 2 * RADIUS, self.w - 2 * RADIUS));
        let tap = |at: &dyn Fn(usize) -> f64| {
            kernel.iter().enumerate().map(|(t, g)| g * at(t)).sum::<f64>()
        };
        let mut across = Vec::with_capacity(self.h * w);
        for row in self.data.chunks_exact(self.w) {
            across.extend((0..w).map(|x| tap(&|t| row[x + t])));
        }
        let mut data = Vec::with_capacity(h * w);
        for y in 0..h {
            data.extend((0..w).map(|x| tap(&|t| across[(y + t) * w + x])));
        }
        Self { h, w, data }
    }

    /// Half the size: means of 2×2; an odd last row or column is dropped.
    fn halved(&self) -> Self {
        let (h, w) = (self.h / 2, self.w / 2);
        let at = |y: usize, x: usize| self.data[y * self.w + x];
        let mean = |y, x| {
            (at(2 * y, 2 * x)
                + at(2 * y, 2 * x + 1)
                + at(2 * y + 1, 2 * x)
                + at(2 * y + 1, 2 * x + 1))
                / 4.0
        };
        let data = (0..h).flat_map(|y| (0..w).map(move |x| mean(y, x))).collect();
        Self { h, w, data }
    }
}

/// The taps of the window along one axis, with sum 1.
pub(super) fn gaussian() -> [f64; WINDOW] {
    let g: [f64; WINDOW] = std::array::from_fn(|i| {
        let d = i as f64 - RADIUS as f64;
        libm::exp(-d * d / (2.0 * SIGMA * SIGMA))
    });
    let sum: f64 = g.iter().sum();
    g.map(|v| v / sum)
}

/// A channel of a picture, read some rows at a time.
trait Rows {
    /// Height and width.
    fn size(&self) -> (usize, usize);

    /// `n` rows from `y` on.
    fn rows(&self, y: usize, n: usize) -> Result<Plane>;
}

/// A channel of a tensor.
struct Channel<'a> {
    planes: &'a Planes,
    picture: usize,
    channel: usize,
}

impl Rows for Channel<'_> {
    fn size(&self) -> (usize, usize) {
        (self.planes.h, self.planes.w)
    }

    fn rows(&self, y: usize, n: usize) -> Result<Plane> {
        let data = self.planes.rows(self.picture, self.channel, y, n)?;
        Ok(Plane { h: n, w: self.planes.w, data })
    }
}

impl Rows for Plane {
    fn size(&self) -> (usize, usize) {
        (self.h, self.w)
    }

    fn rows(&self, y: usize, n: usize) -> Result<Plane> {
        check()?;
        let data = self.data[y * self.w..][..n * self.w].to_vec();
        Ok(Self { h: n, w: self.w, data })
    }
}

/// Rows of a band of places, which reads ten more.
fn band(w: usize) -> usize {
    (BAND / w.max(1)).max(RADIUS)
}

/// The means over the picture of the whole similarity and of its contrast-structure part. Both
/// channels are read in bands, whose places come in the order of the whole picture.
fn similarity(a: &dyn Rows, b: &dyn Rows) -> Result<(f64, f64)> {
    let (h, w) = a.size();
    let places = h - 2 * RADIUS;
    let (mut whole, mut structure) = (0.0, 0.0);
    for y in (0..places).step_by(band(w)) {
        let n = band(w).min(places - y) + 2 * RADIUS;
        let (a, b) = (a.rows(y, n)?, b.rows(y, n)?);
        let (ma, mb) = (a.blurred(), b.blurred());
        let (aa, bb) = (a.product(&a).blurred(), b.product(&b).blurred());
        let ab = a.product(&b).blurred();
        for i in 0..ma.data.len() {
            let (x, y) = (ma.data[i], mb.data[i]);
            let (va, vb, cov) = (aa.data[i] - x * x, bb.data[i] - y * y, ab.data[i] - x * y);
            let cs = (2.0 * cov + C2) / (va + vb + C2);
            structure += cs;
            whole += cs * (2.0 * x * y + C1) / (x * x + y * y + C1);
        }
    }
    let n = (places * (w - 2 * RADIUS)) as f64;
    Ok((whole / n, structure / n))
}

/// The channel at half its size, see [`Plane::halved`].
fn halved(a: &dyn Rows) -> Result<Plane> {
    let (h, w) = a.size();
    let mut half = Plane { h: h / 2, w: w / 2, data: Vec::with_capacity((h / 2) * (w / 2)) };
    let rows = 2 * band(w);
    for y in (0..h / 2 * 2).step_by(rows) {
        half.data.extend(a.rows(y, rows.min(h / 2 * 2 - y))?.halved().data);
    }
    Ok(half)
}

/// The product over the scales; the coarsest contributes its whole similarity. Negative means count
/// as 0.
fn multiscale(a: &dyn Rows, b: &dyn Rows) -> Result<f64> {
    let mut product = 1.0;
    let mut halves: Option<(Plane, Plane)> = None;
    for (i, &weight) in SCALES.iter().enumerate() {
        let (a, b): (&dyn Rows, &dyn Rows) =
            halves.as_ref().map_or((a, b), |(p, q)| (p as &dyn Rows, q as &dyn Rows));
        let (whole, structure) = similarity(a, b)?;
        let last = i + 1 == SCALES.len();
        product *= libm::pow(if last { whole } else { structure }.max(0.0), weight);
        if !last {
            halves = Some((halved(a)?, halved(b)?));
        }
    }
    Ok(product)
}

fn per_channel(
    a: &Tensor,
    b: &Tensor,
    least: usize,
    name: &str,
    f: fn(&dyn Rows, &dyn Rows) -> Result<f64>,
) -> Result<Vec<f64>> {
    let (a, b) = pair(a, b)?;
    if a.h.min(a.w) < least {
        return Err(Error::runtime(format!(
            "{name} needs pictures of at least {least} px a side, not {}×{}",
            a.h, a.w
        ))
        .note(format!(
            "its 11×11 window must fit{}",
            if least > WINDOW { " at the coarsest of five scales" } else { "" }
        ))
        .hint(if least > WINDOW { "use ssim" } else { "use psnr" }));
    }
    let one = |picture: usize| -> Result<f64> {
        let of = |channel: usize| {
            let [a, b] = [&a, &b].map(|planes| Channel { planes, picture, channel });
            f(&a, &b)
        };
        let each = (0..a.c).map(of).collect::<Result<Vec<f64>>>()?;
        Ok(each.into_iter().sum::<f64>() / a.c as f64)
    };
    (0..a.n).map(one).collect()
}

/// Structural similarity.
pub struct Ssim;

impl Metric for Ssim {
    fn name(&self) -> &'static str {
        "ssim"
    }
    fn definition(&self) -> String {
        "SSIM (Wang 2004): 11×11 Gaussian window, σ 1.5, inside the picture only, K1 .01, K2 .03, \
         population covariance, \
         values in [0, 1], peak 1, mean over the channels"
            .into()
    }
    fn measure(&self, a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
        per_channel(a, b, WINDOW, "ssim", |a, b| Ok(similarity(a, b)?.0))
    }
}

/// Structural similarity over five scales.
pub struct MsSsim;

impl Metric for MsSsim {
    fn name(&self) -> &'static str {
        "ms_ssim"
    }
    fn definition(&self) -> String {
        "MS-SSIM (Wang 2003): five scales, exponents .0448 .2856 .3001 .2363 .1333, 2×2 means \
         between them, 11×11 Gaussian \
         window σ 1.5, values in [0, 1], peak 1, mean over the channels, negative terms count as 0"
            .into()
    }
    fn measure(&self, a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
        per_channel(a, b, MS_MIN_SIDE, "ms_ssim", multiscale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn picture(side: usize, f: impl Fn(usize, usize) -> f32) -> Tensor {
        let data: Vec<f32> = (0..side * side).map(|i| f(i / side, i % side)).collect();
        Tensor::from_vec(data, (1, 1, side, side), &Device::Cpu).unwrap()
    }

    #[test]
    fn equal_pictures_are_one_and_flat_ones_follow_the_closed_form() {
        let a = picture(12, |y, x| ((y * 7 + x * 3) % 11) as f32 / 11.0);
        assert!((Ssim.measure(&a, &a).unwrap()[0] - 1.0).abs() < 1e-12);
        // Flat pictures have zero variance: only the luminance term of .5 and .75 remains.
        let (p, q) = (picture(12, |_, _| 0.0), picture(12, |_, _| 0.5));
        let expected = (2.0 * 0.5 * 0.75 + C1) / (0.25 + 0.5625 + C1);
        assert!((Ssim.measure(&p, &q).unwrap()[0] - expected).abs() < 1e-9);
    }

    #[test]
    fn bands_of_rows_change_no_bit_and_stop() {
        // Wide enough for several bands, and an odd last row at every scale.
        let (h, w) = (181, 4000);
        let plane = |seed: u64| {
            let data = crate::rng::Rng::new(seed).normals(h * w).into_iter().map(f64::from);
            Plane { h, w, data: data.collect() }
        };
        let (a, b) = (plane(1), plane(2));
        assert!(band(w) < h / 2);
        let all = a.halved();
        assert_eq!(halved(&a).unwrap().data, all.data);
        let (whole, _) = similarity(&a, &b).unwrap();
        let ma = a.blurred();
        let parts: Vec<f64> =
            (0..h - 2 * RADIUS).flat_map(|y| a.rows(y, WINDOW).unwrap().blurred().data).collect();
        assert!(whole.is_finite() && ma.data == parts);
        let control = crate::control::Control::default();
        let _entered = control.enter();
        control.request(crate::control::Stop::Keep);
        assert!(similarity(&a, &b).is_err() && multiscale(&a, &b).is_err());
    }

    #[test]
    fn too_small_names_reason_and_repair() {
        let small = picture(175, |_, _| 0.0);
        let e = MsSsim.measure(&small, &small).unwrap_err();
        assert!(e.message().contains("176") && e.repair() == Some("use ssim"));
        let tiny = picture(10, |_, _| 0.0);
        assert!(Ssim.measure(&tiny, &tiny).unwrap_err().message().contains("11"));
    }

    #[test]
    fn five_scales_of_equal_structure_are_one() {
        let a = picture(176, |y, x| ((y * 7 + x * 3) % 19) as f32 / 19.0);
        assert!((MsSsim.measure(&a, &a).unwrap()[0] - 1.0).abs() < 1e-9);
    }
}
