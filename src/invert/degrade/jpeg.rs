//! The picture was a JPEG file.
//!
//! Baseline JPEG (ITU-T T.81) as libjpeg makes it: YCbCr, chroma at half the size, cosines of 8×8
//! blocks, quantised by the tables of annex K. Values are exactly those of the rounded coefficients;
//! the slope of rounding, which is 0 almost everywhere, is taken as 1 (straight-through, Bengio et
//! al. 2013). A coefficient that is lost in both pictures then makes no difference and pulls at
//! nothing; one that differs pulls as without rounding.

use super::grey::{luma, mixed};
use super::{Degradation, Size, Stage};
use crate::error::{Error, Result};
use crate::lang::types::{Kind, Param};
use crate::metric::resize_to;
use crate::tensor::linear;
use candle_core::{Device, Tensor};
use std::f64::consts::PI;

/// Side of a block.
const SIDE: usize = 8;
/// Numbers of a block.
const BLOCK: usize = SIDE * SIDE;

/// Weights of red, green and blue in Cb and Cr.
const CB: [f64; 3] = [-0.168_735_892, -0.331_264_108, 0.5];
const CR: [f64; 3] = [0.5, -0.418_687_589, -0.081_312_411];

/// Steps of luma at quality 50, row by row.
const LUMA: [u16; BLOCK] = [
    16, 11, 10, 16, 24, 40, 51, 61, //
    12, 12, 14, 19, 26, 58, 60, 55, //
    14, 13, 16, 24, 40, 57, 69, 56, //
    14, 17, 22, 29, 51, 87, 80, 62, //
    18, 22, 37, 56, 68, 109, 103, 77, //
    24, 35, 55, 64, 81, 104, 113, 92, //
    49, 64, 78, 87, 103, 121, 120, 101, //
    72, 92, 95, 98, 112, 100, 103, 99,
];
/// Steps of chroma at quality 50: 99 but for the upper left quarter.
const CHROMA: [[u16; 4]; 4] =
    [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]];

pub(super) const DEGRADATION: Degradation = Degradation {
    name: "jpeg",
    param: Param::optional(
        "jpeg",
        &[Kind::Number],
        "-",
        "the picture was a JPEG of this quality: the result has no blocks",
    )
    .whole(1, 100)
    .named(),
    none: 0.0,
    targets: false,
    check,
    make,
};

fn check(_: f64, [channels, ..]: Size) -> Result<()> {
    if channels == 1 || channels == 3 {
        return Ok(());
    }
    let text = format!("JPEG holds 1 or 3 channels, the generator makes {channels}");
    Err(Error::runtime(text).hint("leave `jpeg` out"))
}

fn make(quality: f64, _: Size, device: &Device) -> Result<Box<dyn Stage>> {
    Ok(Box::new(Jpeg::new(quality as u16, true, device)?))
}

/// Compression at a quality.
pub(super) struct Jpeg {
    /// The cosines of a block, `[64, 64]`: a row is a frequency.
    cosines: Tensor,
    back: Tensor,
    /// Steps of luma and of chroma, `[64]`.
    steps: [Tensor; 2],
    rounds: bool,
}

impl Jpeg {
    /// Compression at that quality, 1 to 100; without rounding nothing but chroma is lost.
    pub(super) fn new(quality: u16, rounds: bool, device: &Device) -> Result<Self> {
        let tensor = |v: Vec<f32>, shape: &[usize]| -> Result<Tensor> {
            Ok(Tensor::from_vec(v, shape, &Device::Cpu)?.to_device(device)?)
        };
        let cosines = tensor(cosines().into_iter().map(|v| v as f32).collect(), &[BLOCK, BLOCK])?;
        let chroma = |i: usize| {
            let row = CHROMA.get(i / SIDE).and_then(|row| row.get(i % SIDE));
            row.copied().unwrap_or(99)
        };
        let steps = |of: &dyn Fn(usize) -> u16| {
            tensor((0..BLOCK).map(|i| f32::from(step(of(i), quality))).collect(), &[BLOCK])
        };
        Ok(Self {
            back: cosines.t()?.contiguous()?,
            cosines,
            steps: [steps(&|i| LUMA[i])?, steps(&chroma)?],
            rounds,
        })
    }

    /// Whole levels, as bytes hold them.
    fn whole(&self, levels: &Tensor) -> Result<Tensor> {
        if self.rounds { through(levels, &levels.round()?) } else { Ok(levels.clone()) }
    }

    /// A plane around 0 with its coefficients quantised, `[N, 1, H, W]` → the same.
    fn plane(&self, plane: &Tensor, steps: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = plane.dims4()?;
        let [rows, columns] = [h, w].map(|side| side.div_ceil(SIDE));
        let whole =
            plane.pad_with_same(2, 0, rows * SIDE - h)?.pad_with_same(3, 0, columns * SIDE - w)?;
        let blocks = whole
            .reshape((n * c, rows, SIDE, columns, SIDE))?
            .transpose(2, 3)?
            .contiguous()?
            .reshape(((), BLOCK))?;
        let scaled = linear(&blocks, &self.cosines)?.broadcast_div(steps)?;
        let kept = if self.rounds { through(&scaled, &scaled.round()?)? } else { scaled };
        let blocks = linear(&kept.broadcast_mul(steps)?, &self.back)?;
        let whole = blocks
            .reshape((n * c, rows, columns, SIDE, SIDE))?
            .transpose(2, 3)?
            .contiguous()?
            .reshape((n, c, rows * SIDE, columns * SIDE))?;
        Ok(whole.narrow(2, 0, h)?.narrow(3, 0, w)?)
    }
}

impl Stage for Jpeg {
    fn apply(&self, pictures: &Tensor) -> Result<Tensor> {
        let (_, c, h, w) = pictures.dims4()?;
        // Levels around 0.
        let levels = (pictures * 127.5)?;
        let [luma_steps, chroma_steps] = &self.steps;
        let decoded = if c == 1 {
            self.plane(&self.whole(&(levels - 0.5)?)?, luma_steps)?
        } else {
            let y = self.plane(&self.whole(&(luma(&levels)? - 0.5)?)?, luma_steps)?;
            let chroma = |weights: [f64; 3]| -> Result<Tensor> {
                let own = self.whole(&mixed(&levels, weights)?)?;
                let half = self.whole(&resize_to(&own, h.div_ceil(2), w.div_ceil(2))?)?;
                resize_to(&self.plane(&half, chroma_steps)?, h, w)
            };
            let (cb, cr) = (chroma(CB)?, chroma(CR)?);
            let red = (&y + (&cr * 1.402)?)?;
            let green = ((&y - (&cb * 0.344_136_286)?)? - (&cr * 0.714_136_286)?)?;
            let blue = (&y + (&cb * 1.772)?)?;
            Tensor::cat(&[red, green, blue], 1)?
        };
        let decoded = ((decoded + 0.5)? / 127.5)?;
        if self.rounds { through(&decoded, &decoded.clamp(-1f32, 1f32)?) } else { Ok(decoded) }
    }
}

/// The values of `shown` with the slope of `x`.
fn through(x: &Tensor, shown: &Tensor) -> Result<Tensor> {
    Ok((x + (shown - x)?.detach())?)
}

/// The step of a table at a quality, as libjpeg scales it.
fn step(table: u16, quality: u16) -> u16 {
    let quality = u32::from(quality.clamp(1, 100));
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    ((u32::from(table) * percent + 50) / 100).clamp(1, 255) as u16
}

/// The orthonormal cosines of two dimensions, `[64, 64]`: row `8v + u` is the frequency (v, u).
fn cosines() -> Vec<f64> {
    let line = |u: usize, x: usize| {
        let scale = if u == 0 { (1.0 / SIDE as f64).sqrt() } else { (2.0 / SIDE as f64).sqrt() };
        scale * libm::cos((2 * x + 1) as f64 * u as f64 * PI / (2 * SIDE) as f64)
    };
    let value = |k: usize| {
        let (row, column) = (k / BLOCK, k % BLOCK);
        line(row / SIDE, column / SIDE) * line(row % SIDE, column % SIDE)
    };
    (0..BLOCK * BLOCK).map(value).collect()
}
