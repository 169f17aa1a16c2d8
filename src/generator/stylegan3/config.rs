//! Configuration of a StyleGAN3: given, or read from the names and shapes of its tensors.

use super::refuse::refuse;
use super::seen::{Seen, SeenLayer};
use crate::error::{Error, Kind, Result};
use crate::generator::layers::MappingSizes;
use crate::generator::{self, StyleLayer, family};
use crate::limits::LIMITS;
use crate::weights::Listing;
use serde::{Deserialize, Deserializer};

/// Settings given for a model, each optional: missing ones are read from the tensors or take the
/// official code's defaults.
///
/// Its JSON form uses the keys of the `gannet` manifest's `config`, named like the official code's
/// options.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Given {
    /// Name, as shown.
    pub name: Option<String>,
    /// Dimensions of z.
    pub z_dim: Option<usize>,
    /// Dimensions of the label, 0 for none.
    pub c_dim: Option<usize>,
    /// Dimensions of w.
    pub w_dim: Option<usize>,
    /// Side of the picture.
    pub img_resolution: Option<usize>,
    /// Channels of the picture.
    pub img_channels: Option<usize>,
    /// Layers of a W+ code.
    pub num_ws: Option<usize>,
    /// Layers of the mapping network.
    pub mapping_layers: Option<usize>,
    /// Learning-rate multiplier of the mapping network, 0.01 when not said.
    pub mapping_lr_multiplier: Option<f64>,
    /// Layers between the Fourier features and the one that makes the picture.
    pub num_layers: Option<usize>,
    /// Whether pictures are square, or half as wide as high (StyleGAN-Human); when not said, the
    /// side in the first layer's name decides, which is a map's width.
    pub square: Option<bool>,
    /// Whether heads of superresolution follow a stem (StyleGAN-XL). Then the names of the layers
    /// say their sampling rates; `num_critical` and the stopbands are not used.
    pub superres: Option<bool>,
    /// Critically sampled layers at the end, 2 when not said.
    pub num_critical: Option<usize>,
    /// Cutoff frequency of the first layer, 2 when not said.
    pub first_cutoff: Option<f64>,
    /// Least stopband of the first layer, 2^2.1 when not said.
    pub first_stopband: Option<f64>,
    /// Least stopband of the last layer over its cutoff, 2^0.3 when not said.
    pub last_stopband_rel: Option<f64>,
    /// Pixels around the picture inside the network, 10 when not said.
    pub margin_size: Option<usize>,
    /// Factor of the picture, 0.25 when not said.
    pub output_scale: Option<f64>,
    /// Taps of a filter for every pixel of the lower resolution, 6 when not said.
    pub filter_size: Option<usize>,
    /// Sampling rate at the activation over that of the layer, 2 when not said.
    pub lrelu_upsampling: Option<usize>,
    /// Limit of the activations; `null` is none, 256 when not said.
    #[serde(deserialize_with = "said")]
    pub conv_clamp: Option<Option<f64>>,
}

/// A value that may be `null`, where leaving it out means something else.
fn said<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(d).map(Some)
}

/// Configuration of a StyleGAN3.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name, as shown.
    pub name: String,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Dimensions of the label, 0 for none.
    pub c_dim: usize,
    /// Dimensions of w.
    pub w_dim: usize,
    /// Height of the picture.
    pub img_resolution: usize,
    /// How many times as high as wide maps and pictures are: 1 or 2.
    pub aspect: usize,
    /// Channels of the picture, 1 to 4.
    pub img_channels: usize,
    /// Whether it stores a mean of w for every class, as StyleGAN-XL does.
    pub by_class: bool,
    /// Layers of the mapping network.
    pub mapping_layers: usize,
    /// Learning-rate multiplier of the mapping network.
    pub mapping_lr_multiplier: f64,
    /// Factor of the picture.
    pub output_scale: f64,
    /// Limit of the activations.
    pub conv_clamp: Option<f64>,
    /// The Fourier features.
    pub input: InputPlan,
    /// The layers after these, in the order in which they run; the last one makes the picture.
    pub layers: Vec<LayerPlan>,
}

/// Number of values of a style code that the Fourier features read: cosine and sine of a rotation,
/// scaled alike, and a shift.
pub(super) const INPUT_STYLES: usize = 4;

/// The Fourier features.
#[derive(Clone, Debug, PartialEq)]
pub struct InputPlan {
    /// Channels.
    pub channels: usize,
    /// Height of the map in pixels.
    pub size: usize,
    /// Width of the map in pixels.
    pub width: usize,
    /// Pixels to a side of the picture.
    pub sampling_rate: f64,
    /// Highest frequency in cycles to a side of the picture.
    pub bandwidth: f64,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerPlan {
    /// Its name: number, side and channels of its map, `L3_52_512`.
    pub name: String,
    /// Channels that it reads.
    pub inputs: usize,
    /// Channels of its map.
    pub outputs: usize,
    /// Height of its map in pixels.
    pub size: usize,
    /// Width of its map in pixels.
    pub width: usize,
    /// Side of its kernel, 1 or 3.
    pub kernel: usize,
    /// Upsampling factor before the activation.
    pub up: usize,
    /// Downsampling factor after it.
    pub down: usize,
    /// Taps of the filters, 1 for none.
    pub taps: [usize; 2],
    /// Zeros around the upsampled map: left, right, above, below; negative crops.
    pub padding: [isize; 4],
    /// Whether it makes the picture.
    pub torgb: bool,
}

impl Given {
    /// Reads the JSON of a manifest; unknown keys are left alone.
    ///
    /// # Errors
    /// For a value of another kind.
    pub fn parse(json: &serde_json::Value) -> Result<Self> {
        family::parse(json, "StyleGAN3")
    }

    /// Completes the given settings from the tensors.
    ///
    /// # Errors
    /// When both state a setting and disagree, and on unsupported settings.
    pub fn complete(&self, tensors: &Listing) -> Result<Config> {
        let superres = self.superres.unwrap_or(false);
        let seen = Seen::look(tensors, superres)?;
        let (num_layers, last) = match seen.layers.split_last() {
            Some((last, rest)) if !rest.is_empty() => (rest.len(), last),
            _ => {
                return Err(refuse("it has fewer than two layers `synthesis.L0_…`".into())
                    .hint("`gannet info` shows what the file holds"));
            }
        };
        family::agree(refuse, "num_layers", self.num_layers, num_layers)?;
        family::agree(refuse, "num_ws", self.num_ws, num_layers + 2)?;
        let aspect = self.aspect(&seen.layers);
        let height = last.size.saturating_mul(aspect);
        let resolution = family::agree(refuse, "img_resolution", self.img_resolution, height)?;
        let rates = match superres {
            true => self.rates_of_names(&seen.layers, resolution)?,
            false => self.rates(resolution, num_layers)?,
        };
        let config = Config {
            name: self.name.clone().unwrap_or_else(|| "stylegan3".into()),
            z_dim: family::agree(refuse, "z_dim", self.z_dim, seen.z_dim)?,
            c_dim: family::agree(refuse, "c_dim", self.c_dim, seen.c_dim)?,
            by_class: seen.by_class,
            w_dim: family::agree(refuse, "w_dim", self.w_dim, seen.w_dim)?,
            img_resolution: resolution,
            aspect,
            img_channels: family::agree(refuse, "img_channels", self.img_channels, last.outputs)?,
            mapping_layers: family::agree(
                refuse,
                "mapping_layers",
                self.mapping_layers,
                seen.mapping_layers,
            )?,
            mapping_lr_multiplier: self.mapping_lr_multiplier.unwrap_or(0.01),
            output_scale: self.output_scale.unwrap_or(0.25),
            conv_clamp: self.conv_clamp.unwrap_or(Some(256.0)),
            input: InputPlan {
                channels: seen.input,
                size: rates.sizes[0],
                width: rates.sizes[0] / aspect,
                sampling_rate: rates.sampling[0],
                bandwidth: rates.bandwidth,
            },
            layers: self.plans(&seen, &rates, aspect)?,
        };
        config.check()?;
        Ok(config)
    }

    /// How many times as high as wide the maps are. The first one has the margin around at least
    /// one pixel, so a smaller side is that of a rectangle.
    fn aspect(&self, layers: &[SeenLayer]) -> usize {
        let first = layers.first().map_or(0, |l| l.size);
        let margin = self.margin_size.unwrap_or(10);
        let square = self.square.unwrap_or(first > margin.saturating_mul(2));
        if square { 1 } else { 2 }
    }

    /// Sampling rates and sizes of all layers, as the paper's section 3.2 and the official code
    /// derive them.
    pub(super) fn rates(&self, resolution: usize, num_layers: usize) -> Result<Rates> {
        self.bounded(resolution)?;
        let critical = self.num_critical.unwrap_or(2);
        let first_cutoff = self.first_cutoff.unwrap_or(2.0);
        let first_stopband = self.first_stopband.unwrap_or(2f64.powf(2.1));
        let last_cutoff = resolution as f64 / 2.0;
        let last_stopband = last_cutoff * self.last_stopband_rel.unwrap_or(2f64.powf(0.3));
        let frequencies = [first_cutoff, first_stopband, last_stopband];
        if critical >= num_layers || !frequencies.iter().all(|f| f.is_finite() && *f > 0.0) {
            let message = format!(
                "{num_layers} layers of which {critical} are critically sampled, with frequencies \
                 {frequencies:?}"
            );
            return Err(refuse(message)
                .hint("num_critical 2, first_cutoff 2, first_stopband 4.287 are usual"));
        }
        let step = |i: usize| (i as f64 / (num_layers - critical) as f64).min(1.0);
        let mut rates = Rates { bandwidth: first_cutoff, ..Rates::default() };
        for i in 0..=num_layers {
            let stopband = first_stopband * (last_stopband / first_stopband).powf(step(i));
            let sampling = (stopband * 2.0).min(resolution as f64).log2().ceil().exp2();
            if sampling < 1.0 {
                return Err(refuse(format!("a sampling rate of {sampling} in layer {i}"))
                    .hint("first_stopband 4.287 and last_stopband_rel 1.231 are usual"));
            }
            let whole = sampling as usize + 2 * self.margin_size.unwrap_or(10);
            rates.sizes.push(if i + 2 > num_layers { resolution } else { whole });
            rates.sampling.push(sampling);
        }
        Ok(rates)
    }

    /// Sampling rates and sizes of a stem with heads of superresolution behind it, as the sides in
    /// the layers' names show them. A rate is a power of two, and a map has the margin around it,
    /// but for the last two, which are as large as the picture.
    fn rates_of_names(&self, layers: &[SeenLayer], resolution: usize) -> Result<Rates> {
        let bandwidth = self.first_cutoff.unwrap_or(2.0);
        self.bounded(resolution)?;
        if !(bandwidth.is_finite() && bandwidth > 0.0) {
            return Err(refuse(format!("a first_cutoff of {bandwidth}")).hint("2 is usual"));
        }
        let margin = self.margin_size.unwrap_or(10);
        let mut rates = Rates { bandwidth, ..Rates::default() };
        for (i, layer) in layers.iter().enumerate() {
            let rate = if i + 2 < layers.len() {
                layer.size.checked_sub(2 * margin).filter(|rate| rate.is_power_of_two())
            } else {
                (layer.size == resolution).then(|| resolution.next_power_of_two())
            };
            let Some(rate) = rate else {
                let text = format!("`{}` does not fit a margin of {margin} pixels", layer.name);
                return Err(refuse(text).hint("say how it was trained: margin_size"));
            };
            rates.sampling.push(rate as f64);
            rates.sizes.push(layer.size);
        }
        Ok(rates)
    }

    /// Refuses sizes that no network has, before anything is computed from them.
    fn bounded(&self, resolution: usize) -> Result<()> {
        let side = LIMITS.image_side as usize;
        let sizes = [
            ("img_resolution", resolution, 1..=side),
            ("margin_size", self.margin_size.unwrap_or(10), 0..=side / 2),
            ("filter_size", self.filter_size.unwrap_or(6), 1..=64),
            ("lrelu_upsampling", self.lrelu_upsampling.unwrap_or(2), 1..=16),
        ];
        for (key, value, range) in sizes {
            if !range.contains(&value) {
                let (from, to) = range.into_inner();
                return Err(Error::new(Kind::Limit, format!("`{key}` is {value}"))
                    .hint(format!("{from} to {to} are supported")));
            }
        }
        Ok(())
    }

    /// Factors and filters of layer `i`.
    pub(super) fn resampling(&self, rates: &Rates, i: usize) -> Resampling {
        let torgb = i + 1 == rates.sampling.len();
        let ends = [rates.sampling[i.saturating_sub(1)], rates.sampling[i]];
        let finer = if torgb { 1 } else { self.lrelu_upsampling.unwrap_or(2) };
        let between = ends[0].max(ends[1]) * finer as f64;
        let factors = ends.map(|rate| (between / rate).round() as usize);
        let length = |factor: usize| {
            let usual = self.filter_size.unwrap_or(6).saturating_mul(factor);
            if factor > 1 && !torgb { usual } else { 1 }
        };
        Resampling { factors, taps: factors.map(length) }
    }

    /// The layers, compared with the names and shapes of the tensors.
    fn plans(&self, seen: &Seen, rates: &Rates, aspect: usize) -> Result<Vec<LayerPlan>> {
        let (mut plans, last) = (Vec::new(), seen.layers.len() - 1);
        for (i, layer) in seen.layers.iter().enumerate() {
            let (before, torgb) = (i.saturating_sub(1), i == last);
            let height = rates.sizes[i];
            if layer.size * aspect != height {
                return Err(refuse(format!(
                    "`{}` has a map of {} pixels a side, its settings make that {}",
                    layer.name,
                    layer.size,
                    height / aspect
                ))
                .hint(
                    "say how it was trained: num_critical, first_cutoff, first_stopband, \
                     last_stopband_rel, margin_size",
                ));
            }
            let read = plans.last().map_or(seen.input, |l: &LayerPlan| l.outputs);
            if layer.inputs != read {
                return Err(refuse(format!(
                    "`{}` reads {} channels, the layer before it has {read}",
                    layer.name, layer.inputs
                ))
                .hint("the file is not whole, or of a changed architecture"));
            }
            let Resampling { factors: [up, down], taps } = self.resampling(rates, i);
            let around = |from: usize, to: usize| {
                let inner = (from + layer.kernel - 1) * up;
                let outer = (to - 1) * down + 1 + taps[0] + taps[1];
                let total = outer as isize - 2 - inner as isize;
                let first = (total + up as isize).div_euclid(2);
                [first, total - first]
            };
            let [left, right] = around(rates.sizes[before] / aspect, layer.size);
            let [above, below] = around(rates.sizes[before], height);
            plans.push(LayerPlan {
                name: layer.name.clone(),
                inputs: layer.inputs,
                outputs: layer.outputs,
                size: height,
                width: layer.size,
                kernel: layer.kernel,
                up,
                down,
                taps,
                padding: [left, right, above, below],
                torgb,
            });
        }
        Ok(plans)
    }
}

/// Sampling rates and sizes of every layer.
#[derive(Default)]
pub(super) struct Rates {
    pub(super) sampling: Vec<f64>,
    pub(super) sizes: Vec<usize>,
    /// Cutoff frequency of the Fourier features.
    pub(super) bandwidth: f64,
}

/// Upsampling and downsampling of a layer.
pub(super) struct Resampling {
    /// Their factors.
    pub(super) factors: [usize; 2],
    /// Taps of their filters, 1 for none.
    pub(super) taps: [usize; 2],
}

impl Config {
    /// Layers of a W+ code: one row for the Fourier features, one for each layer.
    pub fn num_ws(&self) -> usize {
        self.layers.len() + 1
    }

    /// Sizes of the mapping network.
    pub(super) fn mapping(&self) -> MappingSizes {
        MappingSizes {
            z_dim: self.z_dim,
            c_dim: self.c_dim,
            w_dim: self.w_dim,
            layers: self.mapping_layers,
            lr: self.mapping_lr_multiplier,
        }
    }

    /// The layers that read styles, in the order in which they run. The Fourier features read four
    /// numbers: cosine and sine of a rotation, scaled alike, and a shift.
    pub fn styles(&self) -> Vec<StyleLayer> {
        let input = StyleLayer { name: "input".into(), row: 0, size: INPUT_STYLES };
        let layer = |(i, l): (usize, &LayerPlan)| StyleLayer {
            name: l.name.clone(),
            row: i + 1,
            size: l.inputs,
        };
        std::iter::once(input).chain(self.layers.iter().enumerate().map(layer)).collect()
    }

    /// The points that can be tapped and entered: the Fourier features, and every layer but the one
    /// that makes the picture.
    pub(super) fn points(&self) -> Vec<generator::Layer> {
        let point = |name: &str, channels: usize, height: usize, width: usize| generator::Layer {
            name: name.into(),
            channels,
            height,
            width,
        };
        let input = point("input", self.input.channels, self.input.size, self.input.width);
        let layers = self.layers.iter().filter(|l| !l.torgb);
        std::iter::once(input)
            .chain(layers.map(|l| point(&l.name, l.outputs, l.size, l.width)))
            .collect()
    }

    fn check(&self) -> Result<()> {
        if !(1..=4).contains(&self.img_channels) {
            return Err(refuse(format!("pictures of {} channels", self.img_channels))
                .hint("1 to 4 channels are supported"));
        }
        let factors = [
            ("mapping_lr_multiplier", self.mapping_lr_multiplier),
            ("output_scale", self.output_scale),
        ];
        for (key, value) in factors {
            if !(value.is_finite() && value > 0.0) {
                return Err(refuse(format!("`{key}` is {value}")).hint("it must be above 0"));
            }
        }
        if self.conv_clamp.is_some_and(|c| c.is_nan() || c <= 0.0) {
            return Err(
                refuse(format!("a conv_clamp of {:?}", self.conv_clamp)).hint("use null for none")
            );
        }
        if self.input.sampling_rate <= 2.0 * self.input.bandwidth {
            return Err(refuse(format!(
                "Fourier features of frequencies up to {} at a sampling rate of {}",
                self.input.bandwidth, self.input.sampling_rate
            ))
            .hint("first_stopband must be above first_cutoff"));
        }
        Ok(())
    }
}
