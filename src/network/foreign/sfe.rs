//! StyleFeatureEditor: an encoder of a code of W+ and of a feature map, and a network that mixes
//! that map with the one that the generator makes of the code.
//!
//! The mixed map is what the next layer reads. The picture of its own resolution is made of the
//! generator's map. A file of the whole method also has an editor of maps; in an inversion it looks
//! at an edit that changes nothing.

use super::host::MapOf;
use super::{CHANNELS, Host, Kind, Net};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::latent::Part;
use crate::network::encoder::{Move, Seen};
use crate::network::layers::{Conv, Dense, Prelu, Taker};
use crate::network::pool_to;
use crate::network::resize::sample_to;
use crate::tensor::{Activation, Affine};
use crate::weights::layout::{Layout, Rule};
use candle_core::{DType, Tensor};

/// Strides of the stages; their maps are averaged to this many places a side for the code.
const STRIDES: [usize; 4] = [2, 2, 1, 2];
const PLACES: usize = 3;
/// The stage whose map becomes the feature map, and the side of that map.
const CONTENT: usize = 2;
const MAP: usize = 64;

/// See Bobkov et al. 2024, "The Devil is in the Details: StyleFeatureEditor for Detail-Rich
/// StyleGAN Inversion and High Quality Image Editing".
pub(super) const KIND: Kind = Kind {
    name: "SFE",
    about: "the inverter of StyleFeatureEditor, which finds a code of W+ and the change of a \
            feature map (Bobkov et al. 2024)",
    types: &[],
    layout: Layout {
        name: "sfe",
        detect: |listing| {
            let names = ["fs_backbone.conv.0.weight", "fuser.conv.weight"];
            let below = |root: &str| names.iter().all(|name| listing.has(&format!("{root}{name}")));
            below(ALONE) || below(WHOLE)
        },
        rules: &[
            Rule::name("../latent_avg", "latent_avg"),
            Rule::ignored("{*}num_batches_tracked", "it counts the batches of training"),
            Rule::ignored("decoder.{*}", "it is the generator"),
            Rule::ignored("discriminator.{*}", "it is not needed to find a code"),
            Rule::ignored("e4e_encoder.{*}", "it is not needed to find a code"),
        ],
        settings: |listing| Ok(listing.config.clone()),
    },
    relative: true,
    begins: false,
    take,
};

/// Where the inverter is: in a file of its own, and beside the editor, which is below the first.
const ALONE: &str = "encoder.";
const WHOLE: &str = "inverter.";

fn take(t: &mut Taker<'_>, host: &mut Host) -> Result<Box<dyn Net>> {
    let whole = t.has(&format!("{WHOLE}fuser.conv.weight"));
    let root = if whole { WHOLE } else { ALONE };
    let backbone = Backbone::take(&mut t.below(&format!("{root}fs_backbone.")))?;
    let channels = backbone.content.outputs();
    let fuser = Mixer::take(&mut t.below(&format!("{root}fuser.")), channels)?;
    let editor = whole.then(|| Mixer::take(&mut t.below(ALONE), channels)).transpose()?;
    let layer = host.layers.iter().rposition(|layer| layer.map == [channels, MAP, MAP]);
    let layer = layer.filter(|at| at + 1 < host.layers.len());
    let (Some(layer), Some(map)) = (layer, host.map.take()) else {
        let text = format!("{} changes a map of {channels} channels at {MAP}²", t.file());
        return Err(Error::new(ErrorKind::Format, text)
            .note("the generator has no layer that reads such a map")
            .hint("load the generator that it was trained for"));
    };
    Ok(Box::new(Sfe { backbone, fuser, editor, mean: host.mean.clone(), layer, map }))
}

/// Two convolutions with normalisations before, between and behind them.
struct Block {
    before: Affine,
    first: Conv,
    slopes: Prelu,
    second: Conv,
}

impl Block {
    /// Takes a normalisation, a convolution, a normalisation, slopes, a convolution of that stride
    /// and a normalisation.
    fn take(t: &mut Taker<'_>, names: [&str; 6], inputs: usize, stride: usize) -> Result<Self> {
        let [before, first, middle, slopes, second, after] = names;
        let before = t.norm(before, inputs)?;
        let first = t.conv_norm([first, middle], inputs, [3, 1, 1])?;
        let slopes = t.prelu(slopes, first.outputs())?;
        let second = t.conv_norm([second, after], first.outputs(), [3, stride, 1])?;
        Ok(Self { before, first, slopes, second })
    }

    /// As [`Self::take`], of a list of layers.
    fn listed(t: &mut Taker<'_>, name: &str, inputs: usize) -> Result<Self> {
        let names: [String; 6] = std::array::from_fn(|k| format!("{name}.{k}"));
        Self::take(t, names.each_ref().map(String::as_str), inputs, 1)
    }

    fn outputs(&self) -> usize {
        self.second.outputs()
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.before.apply(x, Activation::LINEAR)?;
        let y = self.slopes.forward(&self.first.forward(&y, Activation::LINEAR)?)?;
        self.second.forward(&y, Activation::LINEAR)
    }
}

/// A unit of a stage: a block and the shortcut around it, which is `None` where size and channels
/// stay as they are.
struct Unit {
    block: Block,
    shortcut: Option<Conv>,
}

impl Unit {
    fn take(t: &mut Taker<'_>, inputs: usize, stride: usize) -> Result<Self> {
        let names = ["bn1", "conv1", "bn2", "prelu", "conv2", "bn3"];
        let block = Block::take(t, names, inputs, stride)?;
        let pair = ["downsample.0", "downsample.1"];
        let other = t.has("downsample.0.weight");
        let shortcut = other.then(|| t.conv_norm(pair, inputs, [1, stride, 0])).transpose()?;
        Ok(Self { block, shortcut })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.block.forward(x)?;
        Ok(match &self.shortcut {
            Some(shortcut) => (y + shortcut.forward(x, Activation::LINEAR)?)?,
            None => (y + x)?,
        })
    }
}

/// The encoder of pictures.
struct Backbone {
    input: Conv,
    slopes: Prelu,
    stages: Vec<Vec<Unit>>,
    content: Block,
    /// One a row of the code.
    heads: Vec<Dense>,
}

impl Backbone {
    fn take(t: &mut Taker<'_>) -> Result<Self> {
        let input = t.conv_norm(["conv.0", "conv.1"], CHANNELS, [3, 1, 1])?;
        let slopes = t.prelu("conv.2", input.outputs())?;
        let (mut stages, mut all) = (Vec::new(), vec![input.outputs()]);
        for (k, first) in STRIDES.into_iter().enumerate() {
            let (mut units, mut now) = (Vec::<Unit>::new(), all.last().copied().unwrap_or(0));
            let below = |at: usize| format!("block_{}.{at}.", k + 1);
            while units.is_empty() || t.has(&format!("{}conv1.weight", below(units.len()))) {
                let stride = if units.is_empty() { first } else { 1 };
                let unit = Unit::take(&mut t.below(&below(units.len())), now, stride)?;
                now = unit.block.outputs();
                units.push(unit);
            }
            all.push(now);
            stages.push(units);
        }
        let content =
            Block::listed(t, "content_layer", all.get(CONTENT + 1).copied().unwrap_or(0))?;
        let inputs = all.iter().skip(1).sum::<usize>() * PLACES * PLACES;
        let mut heads = Vec::new();
        while heads.is_empty() || t.has(&format!("styles.{}.weight", heads.len())) {
            heads.push(t.dense(&format!("styles.{}", heads.len()), inputs, 1.0)?);
        }
        Ok(Self { input, slopes, stages, content, heads })
    }

    /// The maps of the stages, `[N, C, h, w]`.
    fn maps(&self, pictures: &Tensor) -> Result<Vec<Tensor>> {
        let x = pictures.to_dtype(DType::F32)?;
        let mut x = self.slopes.forward(&self.input.forward(&x, Activation::LINEAR)?)?;
        let mut maps = Vec::with_capacity(self.stages.len());
        for units in &self.stages {
            x = units.iter().try_fold(x, |x, unit| unit.forward(&x))?;
            maps.push(x.clone());
        }
        Ok(maps)
    }

    /// The code of these maps, relative to the mean of w, `[N, L, D]`.
    fn code(&self, maps: &[Tensor]) -> Result<Tensor> {
        let small = maps.iter().map(|map| pool_to(map, PLACES, PLACES));
        let all = Tensor::cat(&small.collect::<Result<Vec<_>>>()?, 1)?.flatten_from(1)?;
        let rows = self.heads.iter().map(|head| head.forward(&all));
        Ok(Tensor::stack(&rows.collect::<Result<Vec<_>>>()?, 1)?)
    }
}

/// A network that mixes two maps.
struct Mixer {
    conv: Conv,
    blocks: Vec<Block>,
}

impl Mixer {
    /// Takes `conv` and `body` of maps of so many channels each.
    fn take(t: &mut Taker<'_>, channels: usize) -> Result<Self> {
        let conv = t.conv("conv", 2 * channels, [1, 1, 0])?;
        let mut blocks = Vec::new();
        while t.has(&format!("body.{}.body.1.weight", blocks.len())) {
            let name = format!("body.{}.body", blocks.len());
            blocks.push(Block::listed(t, &name, conv.outputs())?);
        }
        Ok(Self { conv, blocks })
    }

    fn forward(&self, one: &Tensor, other: &Tensor) -> Result<Tensor> {
        let x = self.conv.forward(&Tensor::cat(&[one, other], 1)?, Activation::LINEAR)?;
        self.blocks.iter().try_fold(x, |x, block| Ok((&x + block.forward(&x)?)?))
    }
}

struct Sfe {
    backbone: Backbone,
    fuser: Mixer,
    editor: Option<Mixer>,
    /// The mean of w.
    mean: Tensor,
    /// The layer behind which the map is changed.
    layer: usize,
    map: MapOf,
}

impl Net for Sfe {
    fn size(&self) -> [usize; 2] {
        [self.backbone.heads.len(), self.backbone.heads.first().map_or(0, Dense::outputs)]
    }

    /// As the official code has it: every few places between their neighbours, without an average.
    fn fitted(&self, picture: &Tensor) -> Result<Tensor> {
        sample_to(picture, self.side(), self.side())
    }

    fn forward(&self, seen: &Seen<'_>) -> Result<Move> {
        Ok(Move::To(self.backbone.code(&self.backbone.maps(seen.pictures)?)?))
    }

    /// The map relative to that of the code alone, so that an edit of the code moves it.
    fn beside(&self, seen: &Seen<'_>) -> Result<Vec<(Part, Tensor)>> {
        let maps = self.backbone.maps(seen.pictures)?;
        let code = self.backbone.code(&maps)?.broadcast_add(&self.mean)?;
        let Some(content) = maps.get(CONTENT) else { return Ok(Vec::new()) };
        let plain = (self.map)(&code, self.layer)?;
        let mut mixed = self.fuser.forward(&self.backbone.content.forward(content)?, &plain)?;
        if let Some(editor) = &self.editor {
            mixed = editor.forward(&mixed, &mixed.zeros_like()?)?;
        }
        Ok(vec![(Part::Onward(self.layer), (mixed - plain)?)])
    }
}
