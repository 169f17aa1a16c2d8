//! Reading feature planes at points between their pixels (EG3D's tri-planes, Chan et al. 2022,
//! section 3.2; as torch's `grid_sample` with bilinear interpolation, zeros outside and
//! `align_corners = false`), and the mean over the planes.
//!
//! Planes come with their channels last: the four pixels around a point are then four runs of
//! neighbours in memory.

use super::conv::tracked;
use super::raw::{f32s, planes as each_part};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};

/// Points that one thread takes at a time.
const POINTS: usize = 256;
/// Bands of rows that one plane's gradient is cut into: work for several threads. Each reads all
/// points, so more of them cost more.
const BANDS: usize = 4;

/// N, K, H, W, C and the points of a sample, when planes and places fit.
fn sizes(planes: &[usize], places: &[usize]) -> Result<[usize; 6]> {
    match (planes, places) {
        (&[n, k, h, w, c], &[n2, k2, m, 2]) if n == n2 && k == k2 && k * h * w > 0 => {
            Ok([n, k, h, w, c, m])
        }
        _ => bail!(
            "sample_planes: planes [N, K, H, W, C] and places [N, K, M, 2] are needed, found \
             {planes:?} and {places:?}"
        ),
    }
}

/// The four pixels around a point, as far as they are inside.
struct Corners {
    /// Row, column and share of each.
    taps: [(usize, usize, f32); 4],
    /// How many there are.
    len: usize,
    /// Shares of the way to the next column and row.
    between: [f32; 2],
    /// Column and row of the pixel at the upper left.
    first: [i64; 2],
}

impl Corners {
    /// The place x, y in [-1, 1] on a plane of `h` × `w` pixels. A place that is not a number has
    /// none.
    fn around(x: f32, y: f32, [h, w]: [usize; 2]) -> Self {
        let at = |v: f32, n: usize| ((v + 1.0) * n as f32 - 1.0) / 2.0;
        let (x, y) = (at(x, w), at(y, h));
        let mut found =
            Self { taps: [(0, 0, 0.0); 4], len: 0, between: [0.0; 2], first: [i64::MIN / 2; 2] };
        let near = |v: f32, n: usize| v > -1.0 && v < n as f32;
        if !near(x, w) || !near(y, h) {
            return found;
        }
        let (left, above) = (x.floor(), y.floor());
        found.between = [x - left, y - above];
        found.first = [left as i64, above as i64];
        for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            if let Some((row, column)) = found.pixel(dy, dx, [h, w]) {
                let [fx, fy] = found.between;
                let (sx, sy) =
                    (if dx == 0 { 1.0 - fx } else { fx }, if dy == 0 { 1.0 - fy } else { fy });
                found.taps[found.len] = (row, column, sx * sy);
                found.len += 1;
            }
        }
        found
    }

    /// Row and column of one of the four pixels, if it is inside.
    fn pixel(&self, dy: i64, dx: i64, [h, w]: [usize; 2]) -> Option<(usize, usize)> {
        let row = usize::try_from(self.first[1] + dy).ok().filter(|&r| r < h)?;
        let column = usize::try_from(self.first[0] + dx).ok().filter(|&c| c < w)?;
        Some((row, column))
    }

    fn inside(&self) -> &[(usize, usize, f32)] {
        &self.taps[..self.len]
    }
}

struct SamplePlanes;

impl CustomOp2 for SamplePlanes {
    fn name(&self) -> &'static str {
        "sample_planes"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [n, k, h, w, c, m] = sizes(l1.dims(), l2.dims())?;
        let (x, at) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let mut out = vec![0f32; n * m * c];
        let share = 1.0 / k as f32;
        each_part(&mut out, POINTS * c, |part, dst| {
            for (i, dst) in dst.chunks_exact_mut(c).enumerate() {
                let (sample, point) = ((part * POINTS + i) / m, (part * POINTS + i) % m);
                for plane in sample * k..(sample + 1) * k {
                    let place = &at[(plane * m + point) * 2..][..2];
                    for &(row, column, weight) in
                        Corners::around(place[0], place[1], [h, w]).inside()
                    {
                        let pixel = &x[((plane * h + row) * w + column) * c..][..c];
                        let weight = weight * share;
                        dst.iter_mut().zip(pixel).for_each(|(d, v)| *d += v * weight);
                    }
                }
            }
        });
        Ok((CpuStorage::F32(out), (n, m, c).into()))
    }

    fn bwd(
        &self,
        planes: &Tensor,
        places: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let g = g.contiguous()?;
        let (_, _, h, w, _) = planes.dims5()?;
        Ok((
            tracked(planes, || places.apply_op2(&g, PlanesGrad { h, w }))?,
            tracked(places, || planes.apply_op3(places, &g, PlacesGrad))?,
        ))
    }
}

/// Places and the gradient of the result → the gradient of the planes.
struct PlanesGrad {
    h: usize,
    w: usize,
}

impl CustomOp2 for PlanesGrad {
    fn name(&self) -> &'static str {
        "sample_planes_grad"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((n, k, m, _), (.., c)) = (l1.shape().dims4()?, l2.shape().dims3()?);
        let (at, g) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let (h, w) = (self.h, self.w);
        let mut out = vec![0f32; n * k * h * w * c];
        let share = 1.0 / k as f32;
        let rows = h.div_ceil(BANDS);
        let bands = h.div_ceil(rows);
        // Every pixel is added up by one thread, point after point.
        let band = |plane: usize, first: usize, dst: &mut [f32]| {
            let last = first + dst.len() / (w * c);
            let sample = plane / k;
            for point in 0..m {
                let place = &at[(plane * m + point) * 2..][..2];
                for &(row, column, weight) in Corners::around(place[0], place[1], [h, w]).inside() {
                    if (first..last).contains(&row) {
                        let pixel = &mut dst[((row - first) * w + column) * c..][..c];
                        let g = &g[(sample * m + point) * c..][..c];
                        let weight = weight * share;
                        pixel.iter_mut().zip(g).for_each(|(d, g)| *d += g * weight);
                    }
                }
            }
        };
        let cut: Vec<(usize, usize, &mut [f32])> = out
            .chunks_mut(h * w * c)
            .enumerate()
            .flat_map(|(plane, whole)| {
                whole
                    .chunks_mut(rows * w * c)
                    .enumerate()
                    .map(move |(i, part)| (plane, i * rows, part))
            })
            .collect();
        debug_assert_eq!(cut.len(), n * k * bands);
        super::raw::each(cut, m * c, |(plane, first, dst)| band(plane, first, dst));
        Ok((CpuStorage::F32(out), (n, k, h, w, c).into()))
    }
}

/// Planes, places and the gradient of the result → the gradient of the places.
struct PlacesGrad;

impl CustomOp3 for PlacesGrad {
    fn name(&self) -> &'static str {
        "sample_planes_places"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [n, k, h, w, c, m] = sizes(l1.dims(), l2.dims())?;
        let (x, at) = (f32s(self.name(), s1, l1)?, f32s(self.name(), s2, l2)?);
        let g = f32s(self.name(), s3, l3)?;
        let mut out = vec![0f32; n * k * m * 2];
        let share = 1.0 / k as f32;
        each_part(&mut out, POINTS * 2, |part, dst| {
            for (i, dst) in dst.chunks_exact_mut(2).enumerate() {
                let place = part * POINTS + i;
                let (plane, point) = (place / m, place % m);
                let corners = Corners::around(at[place * 2], at[place * 2 + 1], [h, w]);
                if corners.len == 0 {
                    continue;
                }
                let g = &g[(plane / k * m + point) * c..][..c];
                let dot = |dy: i64, dx: i64| -> f32 {
                    corners.pixel(dy, dx, [h, w]).map_or(0.0, |(row, column)| {
                        let pixel = &x[((plane * h + row) * w + column) * c..][..c];
                        pixel.iter().zip(g).map(|(v, g)| v * g).sum()
                    })
                };
                let [nw, ne, sw, se] = [dot(0, 0), dot(0, 1), dot(1, 0), dot(1, 1)];
                let [fx, fy] = corners.between;
                // A step of 1 in a place is half the side of the plane.
                dst[0] = ((1.0 - fy) * (ne - nw) + fy * (se - sw)) * share * w as f32 / 2.0;
                dst[1] = ((1.0 - fx) * (sw - nw) + fx * (se - ne)) * share * h as f32 / 2.0;
            }
        });
        Ok((CpuStorage::F32(out), (n, k, m, 2).into()))
    }
}

/// Reads planes at places between their pixels, bilinearly, with zeros outside, and takes the mean
/// over the planes. Places are x to the right and y down, from −1 at the outer edge of the first
/// pixel to 1 at that of the last.
///
/// # Shapes
/// planes `[N, K, H, W, C]`, places `[N, K, M, 2]` → `[N, M, C]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn sample_planes(planes: &Tensor, places: &Tensor) -> Result<Tensor> {
    let (planes, places) = (planes.contiguous()?, places.contiguous()?);
    sizes(planes.dims(), places.dims())?;
    if planes.device().is_cpu() {
        return planes.apply_op2(&places, SamplePlanes);
    }
    gathered(&planes, &places)
}

/// As [`sample_planes`], from candle's operators: what runs on a GPU.
fn gathered(planes: &Tensor, places: &Tensor) -> Result<Tensor> {
    let [n, k, h, w, c, m] = sizes(planes.dims(), places.dims())?;
    let flat = planes.reshape((n * k * h * w, c))?;
    let start: Vec<f32> = (0..n * k).map(|plane| (plane * h * w) as f32).collect();
    let start = Tensor::from_vec(start, (n * k, 1), planes.device())?;
    let pixels = |axis: usize, side: usize| -> Result<Tensor> {
        places
            .narrow(3, axis, 1)?
            .reshape((n * k, m))?
            .affine(side as f64 / 2.0, (side as f64 - 1.0) / 2.0)
    };
    let (x, y) = (pixels(0, w)?, pixels(1, h)?);
    let (left, above) = (x.detach().floor()?, y.detach().floor()?);
    let (fx, fy) = ((&x - &left)?, (&y - &above)?);
    let mut sum: Option<Tensor> = None;
    for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let (column, row) = (left.affine(1.0, f64::from(dx))?, above.affine(1.0, f64::from(dy))?);
        let inside = |v: &Tensor, side: usize| -> Result<Tensor> {
            v.ge(0.0)?.mul(&v.le(side as f64 - 1.0)?)?.to_dtype(DType::F32)
        };
        let shown = (inside(&column, w)? * inside(&row, h)?)?;
        let limited = |v: &Tensor, side: usize| v.clamp(0.0, side as f64 - 1.0);
        let column = limited(&column, w)?.to_dtype(DType::I64)?;
        let row = limited(&row, h)?.to_dtype(DType::I64)?;
        let start = start.to_dtype(DType::I64)?.broadcast_as((n * k, m))?;
        let index = ((row.affine(w as f64, 0.0)? + column)? + start)?.flatten_all()?;
        let share =
            |f: &Tensor, far: i32| if far == 0 { f.affine(-1.0, 1.0) } else { Ok(f.clone()) };
        let weight = ((share(&fx, dx)? * share(&fy, dy)?)? * shown)?.reshape((n * k * m, 1))?;
        let part = flat.index_select(&index, 0)?.broadcast_mul(&weight)?;
        sum = Some(match sum {
            Some(sum) => (sum + part)?,
            None => part,
        });
    }
    match sum {
        Some(sum) => sum.reshape((n, k, m, c))?.mean(1),
        None => bail!("sample_planes: no corners"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::{D, check, close, flat};
    use super::*;

    /// Literally: the planes continued by zeros, four neighbours each.
    fn naive(planes: &D, places: &D) -> D {
        let [n, k, h, w, c] = planes.shape[..] else { panic!("five dimensions") };
        let m = places.shape[2];
        let mut y = D::zeros(&[n, m, c]);
        for (at, v) in y.v.iter_mut().enumerate() {
            let (i, point, channel) = (at / (m * c), at / c % m, at % c);
            for plane in i * k..(i + 1) * k {
                let place = &places.v[(plane * m + point) * 2..][..2];
                let px = ((place[0] + 1.0) * w as f64 - 1.0) / 2.0;
                let py = ((place[1] + 1.0) * h as f64 - 1.0) / 2.0;
                for row in 0..h {
                    for column in 0..w {
                        let near = |p: f64, q: usize| (1.0 - (p - q as f64).abs()).max(0.0);
                        *v += planes.v[((plane * h + row) * w + column) * c + channel]
                            * near(px, column)
                            * near(py, row)
                            / k as f64;
                    }
                }
            }
        }
        y
    }

    /// Places of which some are outside, none on a pixel's centre, where the gradient jumps.
    fn places(name: &str, shape: &[usize]) -> D {
        let mut all = D::random(name, shape);
        all.v.iter_mut().for_each(|v| *v = f64::from((*v * 0.8) as f32));
        all
    }

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        let cases =
            [(1, 1, 1, 1, 1, 5), (2, 3, 4, 5, 3, 7), (1, 2, 6, 3, 9, 11), (2, 1, 5, 5, 2, 1)];
        for (i, &(n, k, h, w, c, m)) in cases.iter().enumerate() {
            let arguments = [
                D::random("planes", &[n, k, h, w, c]),
                places(&format!("places {i}"), &[n, k, m, 2]),
            ];
            let naive = |a: &[D]| naive(&a[0], &a[1]);
            check(&format!("planes {i}"), &arguments, &|a| sample_planes(&a[0], &a[1]), &naive);
            super::super::reference::compare(
                &format!("gathered {i}"),
                &arguments,
                &|a| gathered(&a[0], &a[1]),
                &naive,
            );
        }
        // Enough for several threads and bands.
        let (x, p) = (D::random("planes", &[2, 3, 9, 8, 5]), places("p", &[2, 3, 1500, 2]));
        let y = sample_planes(&x.tensor(), &p.tensor()).expect("sampled");
        close(&flat(&y), &naive(&x, &p).v, 3e-6, "large");
    }

    #[test]
    fn places_outside_and_not_a_number_give_zero() {
        let x = D::random("planes", &[1, 1, 3, 3, 2]);
        let far = [2.0, 0.0, f64::NAN, 0.0, 0.0, f64::INFINITY, -1e30, 0.0];
        let p = D { shape: vec![1, 1, 4, 2], v: far.to_vec() };
        assert_eq!(flat(&sample_planes(&x.tensor(), &p.tensor()).expect("sampled")), [0.0; 8]);
        // A pixel's centre gives the pixel, the outer edge half of it.
        let x = D { shape: vec![1, 1, 1, 2, 1], v: vec![4.0, 8.0] };
        let p = D { shape: vec![1, 1, 3, 2], v: vec![-0.5, 0.0, 0.0, 0.0, 1.0, 0.0] };
        assert_eq!(
            flat(&sample_planes(&x.tensor(), &p.tensor()).expect("sampled")),
            [4.0, 6.0, 4.0]
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let t = |shape: &[usize]| D::random("t", shape).tensor();
        for (planes, places) in [
            (&[1, 1, 2, 2, 3][..], &[1, 2, 4, 2][..]),
            (&[1, 1, 2, 2, 3], &[2, 1, 4, 2]),
            (&[1, 1, 2, 2, 3], &[1, 1, 4, 3]),
            (&[1, 2, 2, 3], &[1, 2, 4, 2]),
        ] {
            assert!(sample_planes(&t(planes), &t(places)).is_err(), "{planes:?} {places:?}");
        }
    }
}
