//! The synthesis network: a constant, blocks that double the side by a wavelet, the picture.

use super::config::{BANDS, Config};
use super::layer::{Affine, Head, Sizes, Styled};
use crate::error::Result;
use crate::generator::layers::{Reader, last_point};
use crate::generator::{Feature, Tap, Tapped};
use crate::tensor::{Link, chain};
use candle_core::Tensor;

/// A block.
struct Block {
    up: Affine,
    convs: [Styled; 2],
}

/// The synthesis network.
pub(super) struct Synthesis {
    constant: Tensor,
    first: Styled,
    blocks: Vec<Block>,
    head: Head,
}

impl Synthesis {
    pub(super) fn read(r: &mut Reader<'_>, c: &Config) -> Result<Self> {
        let (w_dim, last) = (c.w_dim, c.blocks.len().saturating_sub(1));
        let constant = r.parameter("synthesis.const", &[1, c.channels, c.first, c.first])?;
        let rows: Vec<usize> = c.styles().iter().map(|s| s.row).collect();
        let sizes = Sizes {
            row: rows[0],
            w_dim,
            inputs: c.channels,
            outputs: c.channels,
            side: c.first,
            separable: false,
        };
        let first = Styled::read(r, "synthesis.conv1", &sizes)?;
        let mut blocks = Vec::new();
        for (i, &outputs) in c.blocks.iter().enumerate() {
            let (name, inputs) = (format!("synthesis.b{i}"), c.inputs(i));
            let row = |k: usize| rows[1 + 3 * i + k];
            let up = Affine::read(r, &format!("{name}.up"), (row(0), w_dim, inputs))?;
            let mut conv = |which: &str, row, inputs| {
                let side = c.side(i);
                let s = Sizes { row, w_dim, inputs, outputs, side, separable: true };
                Styled::read(r, &format!("{name}.{which}"), &s)
            };
            let convs = [conv("conv1", row(1), inputs / BANDS)?, conv("conv2", row(2), outputs)?];
            blocks.push(Block { up, convs });
        }
        let sizes = (c.inputs(last + 1), c.img_channels * BANDS);
        let row = rows[rows.len() - 1];
        let head = Head::read(r, &format!("synthesis.b{last}.head"), (row, w_dim), sizes)?;
        Ok(Self { constant, first, blocks, head })
    }

    /// The affine maps of the layers that read styles, in the order in which they run.
    fn affines(&self) -> impl Iterator<Item = &Affine> {
        let blocks =
            self.blocks.iter().flat_map(|b| [&b.up, &b.convs[0].affine, &b.convs[1].affine]);
        std::iter::once(&self.first.affine).chain(blocks).chain([&self.head.affine])
    }

    /// The layers that add noise, in the order in which they run.
    fn noisy(&self) -> impl Iterator<Item = &Styled> {
        std::iter::once(&self.first).chain(self.blocks.iter().flat_map(|b| &b.convs))
    }

    /// The stored noise maps.
    pub(super) fn noise(&self) -> Vec<Tensor> {
        self.noisy().map(|layer| layer.noise().clone()).collect()
    }

    /// The styles of every layer, ws `[N, num_ws, w_dim]` → one tensor `[N, size]` each.
    pub(super) fn styles(&self, ws: &Tensor) -> Result<Vec<Tensor>> {
        self.affines().map(|affine| affine.styles(ws)).collect()
    }

    /// Runs from a feature or the constant to the requested points; `maps` has a noise map, or
    /// none, for each layer that adds one.
    pub(super) fn tapped(
        &self,
        styles: &[Tensor],
        maps: &[Option<Tensor>],
        (from, taps): (Option<&Feature>, &[Tap]),
    ) -> Result<Tapped> {
        let layers: Vec<&Styled> = self.noisy().collect();
        let mut tapped = Tapped::default();
        let last = last_point(taps, layers.len());
        let (mut point, mut x) = match from {
            Some(feature) => (feature.layer, feature.map.clone()),
            None => {
                let n = styles[0].dim(0)?;
                let (_, c, h, w) = self.constant.dims4()?;
                let constant = self.constant.broadcast_as((n, c, h, w))?;
                (0, self.first.forward(&constant, &styles[0], maps[0].as_ref())?)
            }
        };
        // What runs between two taps is one operator.
        let mut links = Vec::new();
        loop {
            if taps.contains(&Tap::Layer(point)) {
                x = chain(&x, &std::mem::take(&mut links))?;
                tapped.features.push(Feature {
                    layer: point,
                    map: x.clone(),
                    picture: None,
                    passed: false,
                });
            }
            if point >= last {
                return Ok(tapped);
            }
            let next = point + 1;
            let Some(layer) = layers.get(next) else {
                tapped.picture = Some(self.finish(x, links, &styles[styles.len() - 1])?);
                return Ok(tapped);
            };
            // Layers 1 and 2 of a block follow its wavelet, whose styles are the first of three.
            let (block, second) = ((next - 1) / 2, (next - 1) % 2);
            let style = |k: usize| &styles[1 + 3 * block + k];
            if second == 0 {
                links.push(Link::Up(style(0).clone()));
            }
            let (style, noise) = (style(1 + second), maps[next].as_ref());
            match layer.link(style, noise)? {
                Some(link) => links.push(link),
                None => {
                    x = chain(&x, &std::mem::take(&mut links))?;
                    x = layer.forward(&x, style, noise)?;
                }
            }
            point = next;
        }
    }

    /// The picture behind the last layer, after the links that have not run yet.
    fn finish<'a>(&'a self, x: Tensor, mut links: Vec<Link<'a>>, style: &Tensor) -> Result<Tensor> {
        links.push(self.head.link(style)?);
        let bands = (style.dim(0)?, self.head.bands());
        links.push(Link::Up(Tensor::ones(bands, x.dtype(), x.device())?));
        Ok(chain(&x, &links)?)
    }
}
