//! The super-resolution: from features of the marched rays to the picture, by blocks of StyleGAN2.

use super::config::{Config, RGB};
use crate::error::Result;
use crate::generator::layers::Reader;
use crate::generator::stylegan2::{self, Architecture, Maps, Plan, Styles, Synthesis};
use crate::tensor::linear;
use candle_core::{Device, Tensor};

/// The super-resolution.
pub(super) struct Upscale {
    blocks: Synthesis,
    side: usize,
    antialias: bool,
}

impl Upscale {
    /// Reads `superresolution.block0`, `superresolution.block1`, … .
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        let s = &c.superresolution;
        let mut before = s.input_resolution;
        let plan = |(i, &resolution): (usize, &usize)| {
            let doubles = resolution != before;
            before = resolution;
            let name = format!("superresolution.block{i}");
            Plan { name, size: [resolution; 2], doubles, picture: true, half: false }
        };
        let plans: Vec<Plan> = s.resolutions.iter().enumerate().map(plan).collect();
        let settings = stylegan2::Config {
            img_channels: RGB,
            conv_clamp: s.conv_clamp,
            architecture: Architecture::Skip,
            ..c.backbone.clone()
        };
        Ok(Self {
            blocks: Synthesis::of_plans(r, &settings, &plans, c.colors)?,
            side: s.input_resolution,
            // The official code's classes without this setting resize without it.
            antialias: s.antialias.unwrap_or(false),
        })
    }

    /// The stored noise maps of its layers.
    pub(super) fn noise(&self) -> Vec<Tensor> {
        self.blocks.noise().map(|l| l.map.clone()).collect()
    }

    /// The picture of features `[N, C, R, R]`, whose first three are a small picture; all styles
    /// are computed from the last row of ws `[N, num_ws, w_dim]`.
    pub(super) fn forward(&self, features: &Tensor, ws: &Tensor, maps: Maps) -> Result<Tensor> {
        let x = resized(features, self.side, self.antialias)?;
        let picture = x.narrow(1, 0, RGB)?.contiguous()?;
        self.blocks.refine((x, picture), Styles::of_last_row(ws)?, maps)
    }
}

/// Square maps at another size, by torch's bilinear interpolation with `align_corners = false`;
/// `antialias` widens the filter where they shrink.
///
/// # Shapes
/// `[N, C, R, R]` → `[N, C, side, side]`.
fn resized(x: &Tensor, side: usize, antialias: bool) -> Result<Tensor> {
    let (n, c, from, _) = x.dims4()?;
    if from == side {
        return Ok(x.clone());
    }
    let m = shares(from, side, antialias, x.device())?;
    let across = linear(&x.reshape((n * c * from, from))?, &m)?.reshape((n * c, from, side))?;
    let turned = across.transpose(1, 2)?.contiguous()?.reshape((n * c * side, from))?;
    let down = linear(&turned, &m)?.reshape((n * c, side, side))?;
    Ok(down.transpose(1, 2)?.contiguous()?.reshape((n, c, side, side))?)
}

/// Share of every pixel of a line in every pixel of another, `[to, from]`.
fn shares(from: usize, to: usize, antialias: bool, device: &Device) -> Result<Tensor> {
    let scale = from as f64 / to as f64;
    let width = if antialias { scale.max(1.0) } else { 1.0 };
    let mut all = Vec::with_capacity(from * to);
    for i in 0..to {
        let centre = ((i as f64 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f64);
        // The wide filter is cut at the edge, the narrow one stops at the last pixel.
        let centre = if antialias { (i as f64 + 0.5) * scale - 0.5 } else { centre };
        let near = |j: usize| (1.0 - (j as f64 - centre).abs() / width).max(0.0);
        let total: f64 = (0..from).map(near).sum();
        all.extend((0..from).map(|j| (near(j) / total) as f32));
    }
    Ok(Tensor::from_vec(all, (to, from), device)?)
}
