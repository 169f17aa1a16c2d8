//! A picture of bytes, and its way to and from tensors.

use crate::control::check;
use crate::error::{Error, Kind, Result};
use candle_core::{DType, Device, Tensor};
use std::borrow::Cow;

/// Values of a band of rows that a tensor is read in.
const BAND: usize = 1 << 20;

/// An 8-bit picture, rows from the top, channels interleaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 grey, 3 rgb, 4 rgba (alpha not premultiplied).
    pub channels: usize,
    /// `height × width × channels` bytes.
    pub data: Vec<u8>,
}

impl Raster {
    /// A picture of these bytes; refuses empty pictures, other channel counts and a wrong number of
    /// bytes.
    pub fn new(width: usize, height: usize, channels: usize, data: Vec<u8>) -> Result<Self> {
        let wanted = width.checked_mul(height).and_then(|n| n.checked_mul(channels));
        if width == 0 || height == 0 || !matches!(channels, 1 | 3 | 4) || wanted != Some(data.len())
        {
            return Err(Error::runtime(format!(
                "a picture of {width}×{height} pixels and {channels} channels cannot have {} bytes",
                data.len()
            )));
        }
        Ok(Self { width, height, channels, data })
    }

    /// A picture of one colour, one byte a channel.
    pub fn filled(width: usize, height: usize, colour: &[u8]) -> Result<Self> {
        Self::new(width, height, colour.len(), colour.repeat(width * height))
    }

    /// The bytes of a pixel; `x < width`, `y < height`.
    pub fn pixel(&self, x: usize, y: usize) -> &[u8] {
        let at = (y * self.width + x) * self.channels;
        &self.data[at..at + self.channels]
    }

    /// Colour mode in a word: `grey`, `rgb`, `rgba`.
    pub fn mode(&self) -> &'static str {
        match self.channels {
            1 => "grey",
            3 => "rgb",
            _ => "rgba",
        }
    }

    /// The picture with another number of channels (1, 3 or 4), and a note on the conversion;
    /// `None` without a conversion.
    ///
    /// Grey to rgb repeats the value; rgb to grey takes Rec. 601 luma (299 r + 587 g + 114 b, as
    /// PIL's `L`); alpha is laid on white, because pictures with alpha are mostly cut-outs made for
    /// a white page.
    pub fn convert(&self, channels: usize) -> Result<(Self, Option<&'static str>)> {
        let (converted, note) = self.converted(channels)?;
        Ok((converted.into_owned(), note))
    }

    /// As [`Self::convert`], without a copy when nothing changes.
    pub fn converted(&self, channels: usize) -> Result<(Cow<'_, Self>, Option<&'static str>)> {
        if !matches!(channels, 1 | 3 | 4) {
            return Err(Error::runtime(format!(
                "a picture cannot have {channels} channels; 1, 3 or 4 are possible"
            )));
        }
        let each = |f: &dyn Fn(&[u8], &mut Vec<u8>)| {
            let mut data = Vec::with_capacity(self.width * self.height * channels);
            self.data.chunks_exact(self.channels).for_each(|p| f(p, &mut data));
            Cow::Owned(Self { channels, data, ..*self })
        };
        Ok(match (self.channels, channels) {
            (from, to) if from == to => (Cow::Borrowed(self), None),
            (1, 3) => (each(&|p, out| out.extend([p[0]; 3])), Some("grey repeated as rgb")),
            (1, _) => (each(&|p, out| out.extend([p[0], p[0], p[0], 255])), None),
            (3, 1) => {
                (each(&|p, out| out.push(luma(p))), Some("rgb reduced to grey (Rec. 601 luma)"))
            }
            (3, _) => (each(&|p, out| out.extend([p[0], p[1], p[2], 255])), None),
            (_, 3) => (
                each(&|p, out| out.extend(on_white(p))),
                self.has_alpha().then_some("alpha laid on white"),
            ),
            (_, _) => {
                let note = if self.has_alpha() {
                    "alpha laid on white, reduced to grey (Rec. 601 luma)"
                } else {
                    "rgb reduced to grey (Rec. 601 luma)"
                };
                (each(&|p, out| out.push(luma(&on_white(p)))), Some(note))
            }
        })
    }

    /// Whether any pixel is not opaque.
    pub fn has_alpha(&self) -> bool {
        self.channels == 4 && self.data.chunks_exact(4).any(|p| p[3] != 255)
    }

    /// Red, green and blue as bytes, alpha laid on white.
    pub fn to_rgb(&self) -> Result<Self> {
        Ok(self.convert(3)?.0)
    }

    /// The rectangle of `width × height` pixels whose top left pixel is (`x`, `y`).
    pub fn crop(&self, x: usize, y: usize, width: usize, height: usize) -> Result<Self> {
        let fits = |from: usize, len: usize, all: usize| {
            from.checked_add(len).is_some_and(|end| end <= all)
        };
        if !fits(x, width, self.width) || !fits(y, height, self.height) {
            return Err(Error::runtime(format!(
                "a crop of {width}×{height} at {x},{y} leaves the picture of {}×{}",
                self.width, self.height
            )));
        }
        let row = |r: usize| {
            let at = ((y + r) * self.width + x) * self.channels;
            &self.data[at..at + width * self.channels]
        };
        let mut data = Vec::with_capacity(width * height * self.channels);
        (0..height).for_each(|r| data.extend_from_slice(row(r)));
        Self::new(width, height, self.channels, data)
    }

    /// The picture as a tensor in [-1, 1]: `x = u8 / 127.5 - 1`.
    ///
    /// # Shapes
    /// → `[1, C, H, W]`, f32.
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor> {
        Self::batch(std::slice::from_ref(self), device)
    }

    /// Pictures of one size as a batch.
    ///
    /// # Shapes
    /// → `[N, C, H, W]`, f32 in [-1, 1].
    pub fn batch(pictures: &[Self], device: &Device) -> Result<Tensor> {
        let first =
            pictures.first().ok_or_else(|| Error::runtime("no pictures to put into a tensor"))?;
        let (w, h, c) = (first.width, first.height, first.channels);
        if let Some(odd) = pictures.iter().find(|p| (p.width, p.height, p.channels) != (w, h, c)) {
            return Err(Error::runtime(format!(
                "pictures of {w}×{h} {} and {}×{} {} do not fit into one batch",
                first.mode(),
                odd.width,
                odd.height,
                odd.mode()
            )));
        }
        let mut values = Vec::with_capacity(pictures.len() * w * h * c);
        for p in pictures {
            for channel in 0..c {
                check()?;
                values.extend(
                    p.data.iter().skip(channel).step_by(c).map(|&v| f32::from(v) / 127.5 - 1.0),
                );
            }
        }
        Ok(Tensor::from_vec(values, (pictures.len(), c, h, w), device)?)
    }

    /// The pictures of a tensor: `u8 = round((clamp(x, -1, 1) + 1) * 127.5)`, halves to even, NaN
    /// to 0.
    ///
    /// # Shapes
    /// `[N, C, H, W]` or `[C, H, W]`, any float type, C of 1, 3 or 4 → N pictures.
    /// `from_tensor(to_tensor(p)) == [p]`.
    pub fn from_tensor(images: &Tensor) -> Result<Vec<Self>> {
        let images = if images.rank() == 3 { images.unsqueeze(0)? } else { images.clone() };
        let (n, c, h, w) = images.dims4().map_err(|_| {
            Error::new(
                Kind::Runtime,
                format!(
                    "a tensor of shape {:?} is not a batch of pictures [N, C, H, W]",
                    images.dims()
                ),
            )
        })?;
        let one = |i: usize| {
            let mut data = Vec::with_capacity(c * h * w);
            // Some rows at a time: in full precision a large picture takes gigabytes.
            let rows = (BAND / (c * w).max(1)).max(1);
            for y in (0..h).step_by(rows) {
                check()?;
                let band = images.narrow(0, i, 1)?.narrow(2, y, rows.min(h - y))?;
                let band = band.to_dtype(DType::F32)?.permute((0, 2, 3, 1))?.flatten_all()?;
                data.extend(band.to_vec1::<f32>()?.into_iter().map(to_byte));
            }
            Self::new(w, h, c, data)
        };
        (0..n).map(one).collect()
    }
}

impl From<Raster> for Cow<'_, Raster> {
    fn from(picture: Raster) -> Self {
        Cow::Owned(picture)
    }
}

impl<'a> From<&'a Raster> for Cow<'a, Raster> {
    fn from(picture: &'a Raster) -> Self {
        Cow::Borrowed(picture)
    }
}

/// [-1, 1] to a byte, halves to even.
pub fn to_byte(x: f32) -> u8 {
    ((x.clamp(-1.0, 1.0) + 1.0) * 127.5).round_ties_even() as u8
}

/// Rec. 601 luma in sixteen-bit fixed point, rounded.
fn luma(p: &[u8]) -> u8 {
    let [r, g, b] = [p[0], p[1], p[2]].map(u32::from);
    ((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16) as u8
}

fn on_white(p: &[u8]) -> [u8; 3] {
    let a = u32::from(p[3]);
    [p[0], p[1], p[2]].map(|v| ((u32::from(v) * a + 255 * (255 - a) + 127) / 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(channels: usize) -> Raster {
        Raster::new(16, 16, channels, (0..256 * channels).map(|i| (i * 7 % 256) as u8).collect())
            .unwrap()
    }

    #[test]
    fn every_byte_survives_the_tensor() {
        for channels in [1, 3, 4] {
            let p = ramp(channels);
            let t = p.to_tensor(&Device::Cpu).unwrap();
            assert_eq!(t.dims(), [1, channels, 16, 16]);
            assert_eq!(Raster::from_tensor(&t).unwrap(), [p]);
        }
        let all = Raster::new(16, 16, 1, (0..=255).collect()).unwrap();
        assert_eq!(Raster::from_tensor(&all.to_tensor(&Device::Cpu).unwrap()).unwrap(), [all]);
    }

    #[test]
    fn rounding_and_range() {
        // 0 is the only value that falls exactly between two bytes (127.5); the even one is 128.
        assert_eq!([0.0, -7.0, 7.0, f32::NAN, -1.0, 1.0].map(to_byte), [128, 0, 255, 0, 0, 255]);
        assert_eq!(
            [0.49, 0.51, 100.49, 100.51].map(|k| to_byte(k / 127.5 - 1.0)),
            [0, 1, 100, 101]
        );
    }

    #[test]
    fn tensor_layout_is_planar() {
        let p = Raster::new(2, 1, 3, vec![0, 255, 0, 255, 0, 255]).unwrap();
        let v = p.to_tensor(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(v, [-1.0, 1.0, 1.0, -1.0, -1.0, 1.0]);
    }

    #[test]
    fn conversions() {
        let p = Raster::new(3, 1, 4, vec![10, 20, 30, 255, 10, 20, 30, 0, 0, 0, 0, 128]).unwrap();
        let (rgb, note) = p.convert(3).unwrap();
        assert_eq!(rgb.data, [10, 20, 30, 255, 255, 255, 127, 127, 127]);
        assert_eq!(note, Some("alpha laid on white"));
        let grey = Raster::new(1, 1, 3, vec![255, 0, 0]).unwrap().convert(1).unwrap().0;
        // PIL: Image.new("RGB", (1, 1), (255, 0, 0)).convert("L") is 76.
        assert_eq!(grey.data, [76]);
        assert_eq!(grey.convert(3).unwrap().0.data, [76; 3]);
        assert!(grey.convert(2).is_err());
    }

    #[test]
    fn wrong_sizes_are_refused() {
        assert!(Raster::new(2, 2, 3, vec![0; 11]).is_err());
        assert!(Raster::new(0, 2, 3, vec![]).is_err());
        assert!(Raster::new(usize::MAX, 2, 3, vec![]).is_err());
        assert!(ramp(3).crop(1, 0, 16, 1).is_err());
        assert_eq!(ramp(1).crop(1, 2, 2, 1).unwrap().data, ramp(1).data[33..35]);
        let empty = Tensor::zeros((0, 3, 2, 2), DType::F32, &Device::Cpu).unwrap();
        assert!(Raster::from_tensor(&empty).unwrap().is_empty());
        assert!(
            Raster::from_tensor(&Tensor::zeros((2, 2), DType::F32, &Device::Cpu).unwrap()).is_err()
        );
    }
}
