//! IDInvert: residual blocks with average pooling, then one layer for all rows.

use super::pooled::dimensions;
use super::{Host, Kind, Net};
use crate::error::Result;
use crate::network::encoder::{Move, Seen};
use crate::network::layers::{Conv, Dense, Taker, leaky};
use crate::tensor::Activation;
use crate::weights::layout::{Layout, Rule};
use candle_core::Tensor;

const LRELU: Activation = leaky(0.2);
/// Side of the map that the last layer reads.
const LAST: usize = 4;

/// See Zhu et al. 2020, "In-Domain GAN Inversion for Real Image Editing".
pub(super) const KIND: Kind = Kind {
    name: "IDInvert",
    about: "the encoder of In-Domain GAN Inversion into W+ (Zhu et al. 2020)",
    types: &["StyleGANEncoderNet"],
    layout: Layout {
        name: "idinvert",
        detect: |listing| {
            let own = ["block0.conv.weight", "block1.wscale1.bias", "block0.bn.bn.running_var"];
            own.iter().all(|name| listing.has(name))
        },
        rules: &[Rule::ignored("{*}num_batches_tracked", "it counts the batches of training")],
        settings: |listing| Ok(listing.config.clone()),
    },
    relative: false,
    begins: false,
    take,
};

fn take(t: &mut Taker<'_>, _: &mut Host) -> Result<Box<dyn Net>> {
    let first =
        t.conv_norm(["block0.conv", "block0.bn.bn"], t.size("block0.conv.weight", 1), [3, 1, 1])?;
    let (mut blocks, mut now) = (Vec::<Block>::new(), first.outputs());
    while t.has(&format!("block{}.conv1.weight", blocks.len() + 1)) {
        let at = blocks.len() + 1;
        let block = Block::take(&mut t.below(&format!("block{at}.")), now)?;
        now = block.second.outputs();
        blocks.push(block);
    }
    let mut last = t.below(&format!("block{}.", blocks.len() + 1));
    let inputs = now * LAST * LAST;
    let dense = last.bare_dense("fc", inputs, (inputs as f64).powf(-0.5))?;
    let after = last.norm("bn.bn", dense.outputs())?;
    // Two rows a size of its generator's maps, from 4² on.
    let rows = 2 * blocks.len() + 2;
    let dim = dimensions(t.file(), dense.outputs(), rows)?;
    Ok(Box::new(IdInvert { first, blocks, last: dense.followed(&after)?, size: [rows, dim] }))
}

struct Block {
    /// `None` where the channels stay as they are.
    shortcut: Option<Conv>,
    first: Conv,
    second: Conv,
}

impl Block {
    fn take(t: &mut Taker<'_>, inputs: usize) -> Result<Self> {
        let shortcut =
            t.has("conv.weight").then(|| t.conv_norm(["conv", "bn.bn"], inputs, [1, 1, 0]));
        let shortcut = shortcut.transpose()?;
        let first = t.conv_biased_norm(["conv1", "wscale1", "bn1.bn"], inputs, [3, 1, 1])?;
        let second =
            t.conv_biased_norm(["conv2", "wscale2", "bn2.bn"], first.outputs(), [3, 1, 1])?;
        Ok(Self { shortcut, first, second })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.second.forward(&self.first.forward(x, LRELU)?, LRELU)?;
        Ok(match &self.shortcut {
            Some(shortcut) => (y + shortcut.forward(x, LRELU)?)?,
            None => (y + x)?,
        })
    }
}

struct IdInvert {
    first: Conv,
    /// Each reads a map of half the side of the one before.
    blocks: Vec<Block>,
    last: Dense,
    size: [usize; 2],
}

impl Net for IdInvert {
    fn size(&self) -> [usize; 2] {
        self.size
    }

    fn side(&self) -> usize {
        LAST << self.blocks.len()
    }

    fn forward(&self, seen: &Seen<'_>) -> Result<Move> {
        let mut x = self.first.forward(seen.pictures, LRELU)?;
        for block in &self.blocks {
            x = block.forward(&x.avg_pool2d(2)?)?;
        }
        let [rows, dim] = self.size;
        Ok(Move::To(self.last.forward(&x.flatten_from(1)?)?.reshape(((), rows, dim))?))
    }
}
