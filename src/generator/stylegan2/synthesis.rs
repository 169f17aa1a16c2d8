//! The synthesis network: blocks of modulated convolutions, from a constant to the picture.

use super::config::{Architecture, Config, Size};
use super::layer::{Layer, Maps, NoiseInput, Place, Plan, Shortcut, ToRgb};
use super::styles::Styles;
use crate::error::{Error, Result};
use crate::generator::layers::{Reader, last_point};
use crate::generator::{Feature, Tap, Tapped};
use crate::tensor::{Filter, Network, RgbConv, Stage, up2};
use candle_core::{DType, Tensor};
use std::sync::{Arc, OnceLock};

/// Number of highest resolutions in f16, for models that use it (the official `num_fp16_res`).
const HALVES: u32 = 4;
/// All layers of one resolution.
struct Block {
    constant: Option<Tensor>,
    conv0: Option<Layer>,
    conv1: Layer,
    torgb: Option<ToRgb>,
    shortcut: Option<Shortcut>,
    filter: Filter,
    /// Whether it doubles the size of the picture before it.
    doubles: bool,
    /// Whether its features are f16.
    half: bool,
}

impl Block {
    /// Reads a block; `inputs` are the channels of the block before, 0 for the first. `engine`: as
    /// of [`on_engine`].
    fn read(
        r: &mut Reader<'_>,
        c: &Config,
        (plan, engine): (&Plan, bool),
        inputs: usize,
    ) -> Result<(Self, usize)> {
        let name = &plan.name;
        let filter = r.filter(&format!("{name}.resample_filter"), c.resample_filter.as_deref())?;
        let outputs = r.shape(&format!("{name}.conv1.weight"))?.first().copied().unwrap_or(0);
        let at = Place { config: c, plan, engine };
        let first = inputs == 0;
        let residual = !first && c.architecture == Architecture::Resnet;
        let gain = if residual { 0.5f64.sqrt() } else { 1.0 };
        let constant = format!("{name}.const");
        let block = Self {
            constant: if first {
                Some(r.parameter(&constant, &[outputs, plan.size[0], plan.size[1]])?)
            } else {
                None
            },
            conv0: if first {
                None
            } else {
                Some(Layer::read(r, &at, "conv0", [inputs, outputs], 1.0)?)
            },
            conv1: Layer::read(r, &at, "conv1", [outputs, outputs], gain)?,
            torgb: if plan.picture { Some(ToRgb::read(r, &at, outputs)?) } else { None },
            shortcut: if residual {
                Some(Shortcut::read(r, &at, [inputs, outputs])?)
            } else {
                None
            },
            filter,
            doubles: plan.doubles,
            half: plan.half,
        };
        Ok((block, outputs))
    }

    /// The block in the engine's form; `trained` takes the values that trained weights have now.
    fn stage(&self, trained: bool) -> Result<Stage<'_>> {
        Ok(Stage {
            convs: self.layers().map(|l| l.styled(trained)).collect::<Result<_>>()?,
            rgb: self.torgb.as_ref().map(|rgb| rgb.plain(trained)),
        })
    }

    /// Its weights on the engine, in the order of their gradients.
    fn weights(&self) -> Result<Vec<Tensor>> {
        let mut all: Vec<Tensor> = self.constant.iter().cloned().collect();
        for layer in self.layers() {
            all.extend(layer.weights()?);
        }
        all.extend(self.torgb.iter().flat_map(ToRgb::weights));
        Ok(all)
    }

    fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.conv0.iter().chain(std::iter::once(&self.conv1))
    }

    /// Styles that its layers read.
    fn style_count(&self) -> usize {
        let rgb = self.torgb.iter().map(|rgb| rgb.affine.outputs());
        self.layers().map(|layer| layer.affine.outputs()).chain(rgb).sum()
    }

    /// The points of the block that can be tapped and entered: every convolution, but only the end
    /// of a residual block, whose shortcut needs the block's input.
    fn points(&self) -> usize {
        if self.shortcut.is_some() { 1 } else { self.layers().count() }
    }

    /// Passes over the block: what its layers would read of styles and noise.
    fn pass(&self, walk: &mut Walk<'_>) {
        self.layers().for_each(|layer| walk.pass(layer));
        if let Some(torgb) = &self.torgb {
            walk.styles.pass_picture(&torgb.affine);
        }
    }

    /// The map that the block starts with, and how many of its layers are behind that map.
    fn entry(&self, entry: Entry, n: usize) -> Result<(Tensor, usize)> {
        let (x, behind) = match entry {
            Entry::Within(map, _) if self.shortcut.is_some() => (map, self.layers().count()),
            Entry::Within(map, point) => (map, point + 1),
            Entry::Before(Some(x)) => (x, 0),
            Entry::Before(None) => match &self.constant {
                Some(c) => (c.broadcast_left(n)?, 0),
                None => return Err(Error::runtime("a block without input")),
            },
        };
        Ok((if self.half { x.to_dtype(DType::F16)? } else { x }, behind))
    }

    /// Features of the block, from those before it or from one of its own points on, as far as
    /// point `last`. `seen` is shown the map of every point.
    fn features(
        &self,
        (entry, last): (Entry, usize),
        walk: &mut Walk<'_>,
        seen: &mut dyn FnMut(usize, &Tensor),
    ) -> Result<Tensor> {
        let (mut x, behind) = self.entry(entry, walk.n)?;
        let short = match &self.shortcut {
            Some(shortcut) if behind == 0 => Some(shortcut.forward(&x)?),
            _ => None,
        };
        let needed = if self.shortcut.is_some() { usize::MAX } else { last.saturating_add(1) };
        for (i, layer) in self.layers().enumerate().take(needed) {
            if i < behind {
                walk.pass(layer);
                continue;
            }
            x = layer.forward(&x, &mut walk.styles, &mut walk.maps)?;
            if self.shortcut.is_none() {
                seen(i, &x);
            }
        }
        if let Some(y) = short {
            x = (y + x)?;
            seen(0, &x);
        }
        Ok(x)
    }
}

/// Input of a block.
enum Entry {
    /// The features of the previous block; `None` for the first block.
    Before(Option<Tensor>),
    /// The map of one of its own points.
    Within(Tensor, usize),
}

/// A pass through the layers: their inputs, in order.
struct Walk<'a> {
    styles: Styles<'a>,
    maps: Maps,
    /// Number of pictures.
    n: usize,
}

impl Walk<'_> {
    /// Passes over a layer.
    fn pass(&mut self, layer: &Layer) {
        self.styles.pass_layer(&layer.affine);
        if layer.noise.is_some() {
            let _ = self.maps.next();
        }
    }
}

/// How the engine runs the blocks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Engine {
    /// Not at all.
    No,
    /// With frozen weights.
    Frozen,
    /// With weights of which some are trained.
    Trained,
}

/// How the engine will run these blocks, before their numbers are read: [`network`] asks these as
/// well.
fn on_engine(r: &Reader<'_>, c: &Config, plans: &[Plan], inputs: usize) -> Engine {
    // Styles and the strength of noise are computed outside the engine, with their gradients.
    let inside = |name: &str| {
        let outside = name.contains(".affine.") || name.ends_with(".noise_strength");
        !outside && plans.iter().any(|plan| name.starts_with(&plan.name))
    };
    let shortcuts = c.architecture == Architecture::Resnet;
    let paints = c.img_channels <= RgbConv::MOST && plans.iter().all(|plan| !plan.half);
    match inputs == 0 && !shortcuts && paints {
        false => Engine::No,
        true if r.trains(inside) => Engine::Trained,
        true => Engine::Frozen,
    }
}

/// The blocks on the engine; `None` when it cannot run them.
fn network(blocks: &[Block], engine: Engine) -> Result<Option<Network>> {
    if engine == Engine::No {
        return Ok(None);
    }
    let Some(Block { constant: Some(constant), filter: first, .. }) = blocks.first() else {
        return Ok(None);
    };
    // The first block doubles no picture; some files do not store its filter.
    let filter = blocks.get(1).map_or(first, |b| &b.filter);
    let same = blocks.iter().skip(1).all(|b| b.filter == *filter);
    if !same {
        return Ok(None);
    }
    let trained = engine == Engine::Trained;
    let constant = if trained { constant.detach() } else { constant.clone() };
    let stages = blocks.iter().map(|b| b.stage(trained)).collect::<Result<Vec<_>>>()?;
    Ok(Network::new(&constant, &stages, filter)?)
}

/// The synthesis network.
pub(in crate::generator) struct Synthesis {
    blocks: Vec<Block>,
    /// The first blocks on the engine, by how many, where that can run them with frozen weights:
    /// all of them, others once they were needed.
    networks: Vec<OnceLock<Option<Arc<Network>>>>,
    /// Whether the engine is to run it with trained weights.
    trained: bool,
}

impl Synthesis {
    /// Reads all blocks; `halves`: the highest resolutions are computed in f16.
    pub(in crate::generator) fn read(r: &mut Reader<'_>, c: &Config, halves: bool) -> Result<Self> {
        let plan = |(i, size): (usize, &Size)| Plan {
            name: format!("synthesis.b{}", size.number),
            size: [size.height, size.width],
            doubles: i > 0,
            picture: c.architecture == Architecture::Skip || size.number == c.img_resolution,
            // The official code does not use f16 below 8 pixels.
            half: halves && size.number >= (c.img_resolution >> (HALVES - 1)).max(8),
        };
        Self::of_plans(r, c, &c.blocks.iter().enumerate().map(plan).collect::<Vec<_>>(), 0)
    }

    /// Reads these blocks; `inputs` are the channels that the first one reads, 0 when it begins
    /// with a constant.
    pub(in crate::generator) fn of_plans(
        r: &mut Reader<'_>,
        c: &Config,
        plans: &[Plan],
        inputs: usize,
    ) -> Result<Self> {
        let engine = on_engine(r, c, plans, inputs);
        let mut channels = inputs;
        let mut blocks = Vec::new();
        for plan in plans {
            let frozen = engine == Engine::Frozen;
            let (block, outputs) = Block::read(r, c, (plan, frozen), channels)?;
            blocks.push(block);
            channels = outputs;
        }
        // Trained weights change: their network is made at every pass.
        let networks = match engine {
            Engine::Frozen => vec![OnceLock::new(); blocks.len()],
            _ => Vec::new(),
        };
        let all = Self { blocks, networks, trained: engine == Engine::Trained };
        all.frozen(all.blocks.len())?;
        Ok(all)
    }

    /// The first blocks on the engine, where that can run them with frozen weights.
    fn frozen(&self, count: usize) -> Result<Option<Arc<Network>>> {
        let Some(place) = count.checked_sub(1).and_then(|i| self.networks.get(i)) else {
            return Ok(None);
        };
        if let Some(known) = place.get() {
            return Ok(known.clone());
        }
        let blocks = self.blocks.get(..count).unwrap_or_default();
        let fresh = network(blocks, Engine::Frozen)?.map(Arc::new);
        Ok(place.get_or_init(|| fresh).clone())
    }

    /// Whether it runs on the engine.
    #[cfg(test)]
    pub(super) fn on_engine(&self) -> bool {
        self.networks.last().and_then(OnceLock::get).is_some_and(Option::is_some)
    }

    /// Whether each block is in f16, from the lowest resolution on.
    #[cfg(test)]
    pub(super) fn halves(&self) -> Vec<bool> {
        self.blocks.iter().map(|b| b.half).collect()
    }

    /// The noise of the layers that have any, in order.
    pub(in crate::generator) fn noise(&self) -> impl Iterator<Item = &NoiseInput> {
        self.blocks.iter().flat_map(Block::layers).filter_map(|l| l.noise.as_ref())
    }

    /// The styles of all layers in the order in which they run, ws `[N, num_ws, w_dim]` →
    /// `[N, s_dim]`.
    pub(super) fn styles(&self, ws: &Tensor) -> Result<Tensor> {
        styles_of(&self.blocks, ws)
    }

    /// The pictures that the first blocks, so many, have summed up, `[N, C, h, w]`; from the
    /// constant or from a feature map.
    ///
    /// # Errors
    /// When a feature map does not fit its layer.
    pub(super) fn early(
        &self,
        (styles, maps, n): (Styles<'_>, Maps, usize),
        from: Option<&Feature>,
        count: usize,
    ) -> Result<Tapped> {
        if from.is_none() {
            let picture = self.forward((styles, maps, n), count)?;
            return Ok(Tapped { picture: Some(picture), ..Tapped::default() });
        }
        self.walk((Walk { styles, maps, n }, count), (None, None), from, &[Tap::Picture])
    }

    /// The `n` pictures of the first blocks, so many, `[N, C, h, w]`.
    fn forward(
        &self,
        (styles, maps, n): (Styles<'_>, Maps, usize),
        count: usize,
    ) -> Result<Tensor> {
        let blocks = self.blocks.get(..count).unwrap_or(&self.blocks);
        let trained = if self.trained { network(blocks, Engine::Trained)? } else { None };
        let Some(network) = self.frozen(count)?.or(trained.map(Arc::new)) else {
            let walk = Walk { styles, maps, n };
            let tapped = self.walk((walk, count), (None, None), None, &[Tap::Picture])?;
            return tapped.only(Tap::Picture);
        };
        let codes = if styles.given {
            let own = blocks.iter().map(Block::style_count).sum();
            styles.codes.narrow(1, 0, own)?.contiguous()?
        } else {
            styles_of(blocks, styles.codes)?
        };
        let noise = flat_noise(blocks, maps, n)?;
        if !self.trained {
            return Ok(network.forward(&codes, noise.as_ref())?);
        }
        let mut weights = Vec::new();
        for block in blocks {
            for t in block.weights()? {
                weights.push(t.flatten_all()?);
            }
        }
        Ok(network.trained(&codes, noise.as_ref(), &Tensor::cat(&weights, 0)?)?)
    }

    /// Passes features and a picture through blocks that begin with no constant: the refined
    /// picture, with gradients.
    ///
    /// # Shapes
    /// x `[N, I, R, R]`, picture `[N, C, R, R]` → `[N, C, R', R']`.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub(in crate::generator) fn refine(
        &self,
        (x, picture): (Tensor, Tensor),
        styles: Styles<'_>,
        maps: Maps,
    ) -> Result<Tensor> {
        let walk = Walk { styles, maps, n: x.dim(0)? };
        let walk = (walk, self.blocks.len());
        self.walk(walk, (Some(x), Some(picture)), None, &[Tap::Picture])?.only(Tap::Picture)
    }

    /// Runs the first `count` blocks from the constant, from features and a picture before the
    /// first block, or from a feature map to the requested points.
    fn walk(
        &self,
        (mut walk, count): (Walk<'_>, usize),
        (mut x, mut picture): (Option<Tensor>, Option<Tensor>),
        from: Option<&Feature>,
        taps: &[Tap],
    ) -> Result<Tapped> {
        let mut features = Vec::new();
        let wanted = last_point(taps, usize::MAX);
        let mut first = 0;
        for block in self.blocks.iter().take(count) {
            let points = first..first + block.points();
            first = points.end;
            let last = points.end.saturating_sub(1);
            let entry = match from {
                Some(f) if f.layer >= points.end => {
                    block.pass(&mut walk);
                    continue;
                }
                Some(f) if f.passed && f.layer == last => {
                    block.pass(&mut walk);
                    (x, picture) = (Some(f.map.clone()), f.picture.clone());
                    continue;
                }
                Some(f) if points.contains(&f.layer) => {
                    picture = f.picture.clone();
                    Entry::Within(f.map.clone(), f.layer - points.start)
                }
                _ => Entry::Before(x),
            };
            let so_far = picture.clone();
            let mut seen = |point: usize, map: &Tensor| {
                let layer = points.start + point;
                // Only the last map of a block becomes colours.
                let passed = layer < last && taps.contains(&Tap::Passed(layer));
                if passed || taps.contains(&Tap::Layer(layer)) {
                    let (map, picture) = (map.clone(), so_far.clone());
                    features.push(Feature { layer, map, picture, passed });
                }
            };
            let within = wanted.saturating_sub(points.start);
            let map = block.features((entry, within), &mut walk, &mut seen)?;
            let coloured = taps.contains(&Tap::Passed(last));
            if wanted < points.end && !coloured {
                return Ok(Tapped { features, ..Tapped::default() });
            }
            if block.doubles {
                picture = picture.map(|p| up2(&p, &block.filter)).transpose()?;
            }
            if let Some(torgb) = &block.torgb {
                let y = torgb.forward(&map, &mut walk.styles)?;
                picture = Some(match picture {
                    Some(p) => (p + y)?,
                    None => y,
                });
            }
            if coloured {
                let (map, picture) = (map.clone(), picture.clone());
                features.push(Feature { layer: last, map, picture, passed: true });
                if wanted < points.end {
                    return Ok(Tapped { features, ..Tapped::default() });
                }
            }
            x = Some(map);
        }
        let picture = picture.filter(|_| taps.contains(&Tap::Picture));
        Ok(Tapped { features, picture, ..Tapped::default() })
    }

    /// Runs to and from any layer.
    ///
    /// # Errors
    /// When a feature map does not fit its layer.
    pub(in crate::generator) fn tapped(
        &self,
        styles: Styles<'_>,
        maps: Maps,
        n: usize,
        (from, taps): (Option<&Feature>, &[Tap]),
    ) -> Result<Tapped> {
        if from.is_none() && taps.iter().all(|t| *t == Tap::Picture) {
            let picture = self.forward((styles, maps, n), self.blocks.len())?;
            return Ok(Tapped { picture: Some(picture), ..Tapped::default() });
        }
        self.walk((Walk { styles, maps, n }, self.blocks.len()), (None, None), from, taps)
    }
}

/// The styles of the layers of the first blocks, ws `[N, num_ws, w_dim]` → `[N, size]`.
fn styles_of(blocks: &[Block], ws: &Tensor) -> Result<Tensor> {
    let mut styles = Styles::of_rows(ws);
    let mut all = Vec::new();
    for block in blocks {
        for layer in block.layers() {
            all.push(styles.of_layer(&layer.affine)?);
        }
        if let Some(torgb) = &block.torgb {
            all.push(styles.of_picture(&torgb.affine)?);
        }
    }
    Ok(Tensor::cat(&all, 1)?)
}

/// The noise of all layers of these blocks as the engine reads it, `[N or 1, T]`, scaled; `None`
/// without noise.
fn flat_noise(blocks: &[Block], maps: Maps, n: usize) -> Result<Option<Tensor>> {
    let noisy = blocks.iter().flat_map(Block::layers).filter_map(|l| l.noise.as_ref());
    let scaled = noisy.zip(maps).filter_map(|(layer, map)| map.map(|map| (map, &layer.strength)));
    let scaled = scaled.map(|(map, strength)| map.broadcast_mul(strength)?.flatten_from(1));
    let mut flat = scaled.collect::<candle_core::Result<Vec<_>>>()?;
    let samples = flat.iter().map(|t| t.dims()[0]).max().unwrap_or(0);
    for map in &mut flat {
        if map.dim(0)? != samples {
            *map = map.broadcast_as((n, map.dim(1)?))?;
        }
    }
    Ok(if flat.is_empty() { None } else { Some(Tensor::cat(&flat, 1)?) })
}
