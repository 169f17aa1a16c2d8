//! Puts a picture back into the photograph that its frame was cut from.

use super::photograph::Photograph;
use super::raster::Raster;
use super::resample::{Filter, resize};
use super::similarity::{Point, Similarity};
use super::warp::Pyramid;
use crate::control::check;
use crate::error::{Error, Result};
use std::borrow::Cow;

/// Differences between a changed and an unchanged pixel, in steps of a byte: below the first it
/// does not count, from the second on fully.
const CHANGED: [f32; 2] = [4.0, 12.0];
/// Radius in which differences are averaged, as a share of the shorter side.
const NEAR: f64 = 1.0 / 64.0;
/// Pixels of the border, by weight, from which colours can be compared.
const COMPARED: f64 = 64.0;
/// The factors by which contrast may change.
const GAIN: std::ops::RangeInclusive<f64> = 0.8..=1.25;
/// Share of the variance that the pasted border explains, from which contrast is matched too.
const ALIKE: f64 = 0.9;
/// Median deviation of the border's differences, in bytes, above which colours are not matched.
const UNLIKE: usize = 20;

/// The part of the frame that is pasted, before its border is softened.
#[derive(Clone, Debug)]
pub enum Region {
    /// The largest ellipse in the frame.
    Ellipse,
    /// The face, without neck and most of the hair.
    Oval(Oval),
    /// Weights of the frame's pixels, row by row, in [0, 1].
    Weights {
        /// The weights.
        data: Vec<f32>,
        /// Width and height, of the frame's shape.
        size: [usize; 2],
    },
}

/// An ellipse of any turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Oval {
    /// Its middle.
    middle: Point,
    /// Direction of its second radius, of length 1.
    down: Point,
    /// Its radii across and along `down`.
    radii: [f64; 2],
}

impl Oval {
    /// From the hairline to the chin and from ear to ear, by the middles of the eyes, the nose and
    /// the corners of the mouth. `None` when eyes and mouth are in one place.
    pub fn of_face([left, right, _, mouth_left, mouth_right]: &[Point; 5]) -> Option<Self> {
        let between = |a: &Point, b: &Point| [f64::midpoint(a[0], b[0]), f64::midpoint(a[1], b[1])];
        let (eyes, mouth) = (between(left, right), between(mouth_left, mouth_right));
        let [x, y] = [mouth[0] - eyes[0], mouth[1] - eyes[1]];
        let down = libm::hypot(x, y);
        let across = libm::hypot(right[0] - left[0], right[1] - left[1]);
        // Foreheads reach as far above the eyes as mouths lie below them, chins 0.7 of that
        // further; a face is twice as wide as its eyes are apart, less when it is turned.
        let oval = Self {
            middle: [eyes[0] + 0.35 * x, eyes[1] + 0.35 * y],
            down: [x / down, y / down],
            radii: [(1.1 * across).max(0.9 * down), 1.35 * down],
        };
        (down > 0.0 && down.is_finite() && across.is_finite()).then_some(oval)
    }

    /// Distance of a point outside of it, 0 inside; along the ray from its middle.
    fn distance(&self, [x, y]: Point) -> f64 {
        let [x, y] = [x - self.middle[0], y - self.middle[1]];
        let [dx, dy] = self.down;
        let [across, along] = [x * dy - y * dx, x * dx + y * dy];
        let ratio = libm::hypot(across / self.radii[0], along / self.radii[1]);
        if ratio <= 1.0 { 0.0 } else { libm::hypot(across, along) * (1.0 - 1.0 / ratio) }
    }
}

/// How a picture is pasted.
#[derive(Clone, Debug)]
pub struct Paste<'a> {
    /// The part of the frame.
    pub region: Region,
    /// Width of the soft border as a share of the frame's shorter side.
    pub feather: f64,
    /// Whether the colours are matched where the border is.
    pub matched: bool,
    /// The picture before the edit, of the pasted one's size: its colours are compared in place of
    /// the pasted one's, so that an edit of colours stays.
    pub before: Option<&'a Raster>,
}

/// A photograph with something pasted into it.
#[derive(Clone, Debug)]
pub struct Pasted {
    /// The photograph.
    pub picture: Raster,
    /// Pixels that the mask covers, at least in part.
    pub covered: usize,
    /// The matched colours, for each channel what is multiplied and, in bytes, added; `None` where
    /// they were not matched.
    pub colours: Option<Vec<[f64; 2]>>,
}

/// Pastes an edited picture over its frame. Pixels outside of the mask keep their bytes, and so
/// does alpha; a transparent pixel takes less of the pasted one.
///
/// # Errors
/// When the picture before the edit has another size, the mask covers no pixel; `Interrupted` when
/// the work of this thread is asked to stop.
pub fn paste(
    into: &Raster,
    photograph: &Photograph,
    edited: &Raster,
    how: &Paste<'_>,
) -> Result<Pasted> {
    let area = Area::of(photograph, into);
    let weights = Weights::new(how, photograph.frame)?.over(&area)?;
    let covered = weights.iter().filter(|w| **w > 0.0).count();
    if covered == 0 {
        return Err(Error::runtime("the mask covers no pixel of the photograph")
            .hint("make the mask larger, or `feather` smaller"));
    }
    let here = area.warped(edited, photograph.frame, into.channels)?;
    let colours = match (how.matched, how.before) {
        (false, _) => None,
        (true, None) => matched(into, &area, &here, &weights),
        (true, Some(before)) => {
            if (before.width, before.height) != (edited.width, edited.height) {
                return Err(Error::runtime(
                    "the pictures before and after the edit differ in size",
                ));
            }
            let before = area.warped(before, photograph.frame, into.channels)?;
            matched(into, &area, &before, &weights)
        }
    };
    let mut picture = into.clone();
    area.blend(&mut picture, &here, &weights, colours.as_deref())?;
    Ok(Pasted { picture, covered, colours })
}

/// Where an edit changed something: weights of the pixels of both pictures, in [0, 1].
///
/// # Errors
/// When the pictures differ in size.
pub fn changed(edited: &Raster, before: &Raster) -> Result<Region> {
    let size = [edited.width, edited.height];
    let before = before.converted(edited.channels)?.0;
    if size != [before.width, before.height] {
        return Err(Error::runtime("the pictures before and after the edit differ in size"));
    }
    let pixels = edited.data.chunks_exact(edited.channels);
    let apart = |(a, b): (&[u8], &[u8])| {
        let most = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max();
        f32::from(most.unwrap_or(0))
    };
    let mut data: Vec<f32> =
        pixels.zip(before.data.chunks_exact(before.channels)).map(apart).collect();
    let near = NEAR * size[0].min(size[1]) as f64;
    soften(&mut data, size, near);
    let [from, to] = CHANGED;
    data.iter_mut().for_each(|v| *v = smooth((*v - from) / (to - from)));
    Ok(Region::Weights { data, size })
}

/// From 0 to 1 without corners.
fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Averages each value with its neighbours up to about that distance: three box filters in each
/// direction. Outside, the edge repeats.
fn soften(data: &mut [f32], [width, height]: [usize; 2], distance: f64) {
    let radius = (distance / 3.0).round() as usize;
    if radius == 0 {
        return;
    }
    let mut line = Vec::with_capacity(width.max(height));
    for _ in 0..3 {
        for row in data.chunks_exact_mut(width) {
            line.clear();
            line.extend_from_slice(row);
            boxed(&line, radius, row.iter_mut());
        }
        for x in 0..width {
            line.clear();
            line.extend(data.iter().skip(x).step_by(width));
            boxed(&line, radius, data.iter_mut().skip(x).step_by(width));
        }
    }
}

/// The means of all windows of `2 · radius + 1` values.
fn boxed<'v>(line: &[f32], radius: usize, out: impl Iterator<Item = &'v mut f32>) {
    let last = line.len().saturating_sub(1);
    // The value `radius` before the place `k`.
    let at =
        |k: usize| f64::from(line.get(k.saturating_sub(radius).min(last)).copied().unwrap_or(0.0));
    let mut sum: f64 = (0..=2 * radius).map(at).sum();
    for (i, v) in out.enumerate() {
        *v = (sum / (2 * radius + 1) as f64) as f32;
        sum += at(i + 2 * radius + 1) - at(i);
    }
}

/// The weights of the frame's points.
struct Weights {
    region: Region,
    frame: [f64; 2],
    /// In pixels of the frame.
    feather: f64,
}

impl Weights {
    fn new(how: &Paste<'_>, frame: [usize; 2]) -> Result<Self> {
        let shorter = frame[0].min(frame[1]) as f64;
        let mut region = how.region.clone();
        if let Region::Weights { data, size } = &mut region {
            // As wide in the mask's own pixels as in the frame's; half on either side.
            let own = size[0].min(size[1]) as f64;
            let fits = size[0] * frame[1] == size[1] * frame[0];
            if !fits || data.len() != size[0] * size[1] {
                let [w, h] = size;
                let [width, height] = frame;
                return Err(Error::runtime(format!(
                    "the mask is {w}×{h}, and does not have the shape of the frame, {width}×{height}"
                )));
            }
            soften(data, *size, how.feather * own / 2.0);
        }
        Ok(Self { region, frame: frame.map(|n| n as f64), feather: how.feather * shorter })
    }

    /// The weight `inside` pixels away from an edge, on its inner side.
    fn ramp(&self, inside: f64) -> f32 {
        if self.feather > 0.0 {
            smooth((inside / self.feather) as f32)
        } else {
            f32::from(u8::from(inside >= 0.0))
        }
    }

    /// The weight of a point of the frame, in pixels.
    fn at(&self, [x, y]: Point) -> f32 {
        let [width, height] = self.frame;
        let edge = x.min(y).min(width - x).min(height - y);
        if edge <= 0.0 {
            return 0.0;
        }
        match &self.region {
            Region::Ellipse => {
                let [rx, ry] = [width / 2.0, height / 2.0];
                let ratio = libm::hypot((x - rx) / rx, (y - ry) / ry);
                self.ramp((1.0 - ratio) * rx.min(ry))
            }
            Region::Oval(oval) => {
                let outside = oval.distance([x, y]);
                // The border lies around the oval, which is inside of the face.
                let own = if outside == 0.0 { 1.0 } else { self.ramp(self.feather - outside) };
                let own = if self.feather == 0.0 && outside > 0.0 { 0.0 } else { own };
                own * self.ramp(edge)
            }
            Region::Weights { data, size } => {
                let scale = size[0] as f64 / width;
                bilinear(data, *size, [x * scale, y * scale]) * self.ramp(edge)
            }
        }
    }

    /// The weights of the pixels of an area, row by row.
    fn over(&self, area: &Area) -> Result<Vec<f32>> {
        let [width, height] = area.size;
        let mut all = Vec::with_capacity(width * height);
        for y in 0..height {
            check()?;
            all.extend(
                (0..width).map(|x| self.at(area.place.apply([x as f64 + 0.5, y as f64 + 0.5]))),
            );
        }
        Ok(all)
    }
}

/// The value between four pixels; outside, the edge repeats.
fn bilinear(data: &[f32], [width, height]: [usize; 2], [x, y]: Point) -> f32 {
    let place = |v: f64, n: usize| {
        let v = (v - 0.5).clamp(0.0, n.saturating_sub(1) as f64);
        let low = v.floor();
        (low as usize, (low as usize + 1).min(n.saturating_sub(1)), (v - low) as f32)
    };
    let ((left, right, tx), (upper, lower, ty)) = (place(x, width), place(y, height));
    let at = |x: usize, y: usize| data.get(y * width + x).copied().unwrap_or(0.0);
    let row = |y: usize| at(left, y) * (1.0 - tx) + at(right, y) * tx;
    row(upper) * (1.0 - ty) + row(lower) * ty
}

/// The part of a photograph that holds the frame.
struct Area {
    /// Its upper left pixel.
    corner: [usize; 2],
    /// Width and height.
    size: [usize; 2],
    /// Maps its pixels to those of the frame.
    place: Similarity,
}

impl Area {
    fn of(photograph: &Photograph, into: &Raster) -> Self {
        let [width, height] = photograph.frame.map(|n| n as f64);
        let corners = [[0.0, 0.0], [width, 0.0], [0.0, height], [width, height]];
        let corners = corners.map(|c| photograph.place.apply(c));
        let span = |k: usize, n: usize| {
            let all = corners.iter().map(|c| c[k].clamp(0.0, n as f64));
            let (least, most) =
                all.fold((f64::MAX, 0.0), |(a, b): (f64, f64), v| (a.min(v), b.max(v)));
            (least.floor() as usize, (most.ceil() as usize).min(n))
        };
        let ((left, right), (upper, lower)) = (span(0, into.width), span(1, into.height));
        let corner = Similarity::new(1.0, 0.0, [left as f64, upper as f64]);
        Self {
            corner: [left, upper],
            size: [right.saturating_sub(left), lower.saturating_sub(upper)],
            place: corner.then(&photograph.place.inverse()),
        }
    }

    /// A picture of the frame as it lies in the photograph, in as many channels as that, without
    /// alpha.
    fn warped(&self, picture: &Raster, frame: [usize; 2], channels: usize) -> Result<Raster> {
        let picture = picture.converted(if channels == 1 { 1 } else { 3 })?.0;
        let [width, height] = frame;
        let picture: Cow<'_, Raster> = if [picture.width, picture.height] == frame {
            picture
        } else {
            Cow::Owned(resize(&picture, width, height, Filter::Lanczos3)?)
        };
        Pyramid::new(picture)?.rectangle(&self.place, self.size)
    }

    /// Calls `each` with the places of every row of the area in the photograph's pixels and in the
    /// area's.
    fn rows(&self, into: &Raster) -> impl Iterator<Item = (usize, usize)> {
        let ([left, upper], [width, height]) = (self.corner, self.size);
        let wide = into.width;
        (0..height).map(move |y| ((upper + y) * wide + left, y * width))
    }

    fn blend(
        &self,
        into: &mut Raster,
        here: &Raster,
        weights: &[f32],
        colours: Option<&[[f64; 2]]>,
    ) -> Result<()> {
        let (channels, colour) = (into.channels, here.channels);
        let same = vec![[1.0, 0.0]; colour];
        let colours = colours.unwrap_or(&same);
        let rows: Vec<(usize, usize)> = self.rows(into).collect();
        for (there, own) in rows {
            check()?;
            let width = self.size[0];
            let to = into.data.get_mut(there * channels..(there + width) * channels);
            let from = here.data.get(own * colour..(own + width) * colour);
            let weight = weights.get(own..own + width);
            let (Some(to), Some(from), Some(weight)) = (to, from, weight) else { continue };
            let pixels = to.chunks_exact_mut(channels).zip(from.chunks_exact(colour)).zip(weight);
            for ((to, from), weight) in pixels {
                let alpha = if channels == 4 { to.get(3).copied().unwrap_or(255) } else { 255 };
                let weight = f64::from(*weight) * f64::from(alpha) / 255.0;
                if weight > 0.0 {
                    for ((to, from), [gain, offset]) in to.iter_mut().zip(from).zip(colours) {
                        let (old, new) = (f64::from(*to), gain * f64::from(*from) + offset);
                        let mixed = old + weight * (new.clamp(0.0, 255.0) - old);
                        *to = mixed.round().clamp(0.0, 255.0) as u8;
                    }
                }
            }
        }
        Ok(())
    }
}

/// What makes the colours of `here` those of the photograph where the mask is soft: a factor where
/// both vary alike, and an offset in bytes. `None` where the border is too small to tell, or shows
/// something else than the photograph: its differences are then no matter of light.
fn matched(into: &Raster, area: &Area, here: &Raster, weights: &[f32]) -> Option<Vec<[f64; 2]>> {
    let (channels, colour) = (into.channels, here.channels);
    // Calls `each` with the weight of every pixel of the border and both its values.
    let border = |c: usize, each: &mut dyn FnMut(f64, u8, u8)| {
        for (there, own) in area.rows(into) {
            for x in 0..area.size[0] {
                let w = f64::from(*weights.get(own + x)?);
                let w = 4.0 * w * (1.0 - w);
                if w > 0.0 {
                    let pasted = *here.data.get((own + x) * colour + c)?;
                    each(w, pasted, *into.data.get((there + x) * channels + c)?);
                }
            }
        }
        Some(())
    };
    let one = |c: usize| {
        // By difference, from -255 on.
        let mut differences = [0f64; 511];
        let place = |a: u8, b: u8| 255 + usize::from(b) - usize::from(a);
        border(c, &mut |w, a, b| {
            differences.iter_mut().skip(place(a, b)).take(1).for_each(|d| *d += w);
        })?;
        let usual = median(differences.iter().copied())?;
        let spread = median((0..511).map(|d| {
            let at = |i: usize| differences.get(i).copied().unwrap_or(0.0);
            if d == 0 { at(usual) } else { usual.checked_sub(d).map_or(0.0, at) + at(usual + d) }
        }))?;
        if spread > UNLIKE {
            return None;
        }
        // Weight, sums of both, of their squares and their product; without outliers.
        let (mut sums, near) = ([0f64; 6], 4 * spread + 4);
        border(c, &mut |w, a, b| {
            if place(a, b).abs_diff(usual) <= near {
                let (a, b) = (f64::from(a), f64::from(b));
                let terms = [1.0, a, b, a * a, b * b, a * b];
                sums.iter_mut().zip(terms).for_each(|(s, t)| *s += w * t);
            }
        })?;
        let [n, a, b, aa, bb, ab] = sums;
        let (a, b) = (a / n, b / n);
        let (aa, bb, ab) = (aa / n - a * a, bb / n - b * b, ab / n - a * b);
        let alike = aa > 1.0 && bb > 1.0 && ab * ab >= ALIKE * aa * bb && ab > 0.0;
        let gain = if alike { (ab / aa).clamp(*GAIN.start(), *GAIN.end()) } else { 1.0 };
        Some([gain, b - gain * a])
    };
    (0..colour).map(one).collect()
}

/// The place that divides weights in halves; `None` when they are less than [`COMPARED`].
fn median(weights: impl Iterator<Item = f64> + Clone) -> Option<usize> {
    let half = weights.clone().sum::<f64>() / 2.0;
    let mut sum = 0.0;
    let mut reached = |w: f64| {
        sum += w;
        sum >= half
    };
    let at = weights.clone().position(&mut reached);
    at.filter(|_| 2.0 * half >= COMPARED)
}

#[cfg(test)]
#[path = "paste_tests.rs"]
mod tests;
