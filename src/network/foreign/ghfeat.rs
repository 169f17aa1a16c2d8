//! GH-Feat: a ResNet whose last three stages are mixed and read by three layers, which find the
//! styles of a StyleGAN: scales and shifts of each layer, a code of S.

use super::edged::{Edged, LRELU, stage};
use super::{CHANNELS, Host, Kind, Net};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::network::body::Stage;
use crate::network::encoder::{Move, Seen};
use crate::network::layers::{Dense, Taker};
use crate::network::pool::max_pool;
use crate::space::Space;
use crate::tensor::Activation;
use crate::weights::layout::{Change, Layout, Rule};
use candle_core::{DType, Tensor};

const MATRIX: &[Change] = &[Change::Permute(&[1, 0])];
const KERNEL: &[Change] = &[Change::Permute(&[3, 2, 0, 1])];
/// Stages of the network; the heads read the last [`READ`].
const STAGES: usize = 5;
const READ: usize = 3;
/// Heads of the coarse, middle and fine layers; the coarse one reads the last stage.
const HEADS: [&str; READ] = ["HighLevel", "MidLevel", "LowLevel"];
/// The side of a picture, in places of the last stage: the network halves it six times.
const HALVED: usize = 64;

/// See Xu et al. 2021, "Generative Hierarchical Features from Synthesizing Images".
pub(super) const KIND: Kind = Kind {
    name: "GH-Feat",
    about: "the encoder of GH-Feat into S of StyleGAN (Xu et al. 2021)",
    types: &["Encoder"],
    layout: Layout {
        name: "ghfeat",
        detect: |listing| {
            let own = ["Conv0/weight", "stage5/Conva/weight", "HighLevel/batch_norm/gamma"];
            own.iter().all(|name| listing.has(name))
        },
        rules: &[
            Rule::name("{*}/batch_norm/moving_mean", "{*}.norm.running_mean"),
            Rule::name("{*}/batch_norm/moving_variance", "{*}.norm.running_var"),
            Rule::name("{*}/batch_norm/gamma", "{*}.norm.weight"),
            Rule::name("{*}/batch_norm/beta", "{*}.norm.bias"),
            Rule::changed("{word}Level/weight", "{word}Level.weight", MATRIX),
            Rule::changed("{*}/weight", "{*}.weight", KERNEL),
            Rule::name("{*}/bias", "{*}.bias"),
        ],
        settings: |listing| Ok(listing.config.clone()),
    },
    relative: false,
    begins: false,
    take,
};

fn take(t: &mut Taker<'_>, _: &mut Host) -> Result<Box<dyn Net>> {
    let stem = Edged::normed(t, "Conv0", CHANNELS, [7, 2])?;
    let (mut stages, mut channels) = (Vec::new(), vec![stem.outputs()]);
    for at in 1..=STAGES {
        let now = channels.last().copied().unwrap_or(0);
        let units = stage(t, &format!("stage{at}"), (now, if at == 1 { 1 } else { 2 }))?;
        channels.push(units.last().map_or(0, |unit| unit.outputs()));
        stages.push(units);
    }
    let (mut mixed, mut heads) = (Vec::new(), Vec::new());
    for (k, inputs) in channels.into_iter().skip(STAGES + 1 - READ).enumerate() {
        // The outputs of the network are counted from the first pooling on.
        let lateral = format!("fpn/lconv_{}", k + STAGES + 1 - READ);
        let lateral = Edged::take(t, &lateral, inputs, [3, 1])?;
        let smooth = Edged::take(t, &format!("fpn/fconv_{k}"), lateral.outputs(), [3, 1])?;
        let fused = Edged::take(t, &format!("fuse_conv_{k}"), smooth.outputs(), [3, 1])?;
        mixed.push(Mixed { lateral, smooth, fused });
    }
    let last = mixed.last().map_or(0, |m| m.fused.outputs());
    let inputs = t.size("HighLevel.weight", 1);
    for name in HEADS {
        let dense = t.dense(name, inputs, 1.0)?;
        heads.push(dense.followed(&t.norm(&format!("{name}.norm"), dense.outputs())?)?);
    }
    let places = inputs / last.max(1);
    let side = places.isqrt();
    if side == 0 || side * side * last != inputs {
        let text = format!("{}: its heads read {inputs} numbers of {last} channels", t.file());
        return Err(Error::new(ErrorKind::Format, text).hint("use the unchanged file"));
    }
    Ok(Box::new(GhFeat { stem, stages, mixed, heads, side: side * HALVED }))
}

/// The convolutions of a stage that heads read.
struct Mixed {
    lateral: Edged,
    smooth: Edged,
    fused: Edged,
}

struct GhFeat {
    stem: Edged,
    stages: Vec<Stage>,
    /// Of the last three stages, the larger map first.
    mixed: Vec<Mixed>,
    /// In the order of [`HEADS`].
    heads: Vec<Dense>,
    side: usize,
}

impl GhFeat {
    /// The maps of the last three stages, the larger first.
    fn maps(&self, pictures: &Tensor) -> Result<Vec<Tensor>> {
        let x = self.stem.forward(&pictures.to_dtype(DType::F32)?, LRELU)?;
        let mut x = pooled(&x)?;
        let mut maps = Vec::with_capacity(STAGES);
        for units in &self.stages {
            x = units.iter().try_fold(x, |x, unit| unit.forward(&x))?;
            maps.push(x.clone());
        }
        Ok(maps.split_off(STAGES - READ))
    }

    /// What the heads read, the map that was the larger first: each with the next smaller one, then
    /// all at the size of the last, and the last added to the others.
    fn mixed(&self, pictures: &Tensor) -> Result<Vec<Tensor>> {
        let mut maps: Vec<Tensor> = Vec::with_capacity(READ);
        for (own, map) in self.mixed.iter().zip(self.maps(pictures)?) {
            maps.push(own.lateral.forward(&map, Activation::LINEAR)?);
        }
        for k in (1..maps.len()).rev() {
            maps[k - 1] = (&maps[k - 1] + doubled(&maps[k])?)?;
        }
        let count = maps.len();
        for (k, (own, map)) in self.mixed.iter().zip(&mut maps).enumerate() {
            *map = own.smooth.forward(map, Activation::LINEAR)?;
            for _ in k + 1..count {
                *map = map.avg_pool2d(2)?;
            }
            *map = own.fused.forward(map, Activation::LINEAR)?;
        }
        let Some(last) = maps.pop() else { return Ok(maps) };
        let mut all = maps.iter().map(|map| Ok((map + &last)?)).collect::<Result<Vec<_>>>()?;
        all.push(last);
        Ok(all)
    }
}

/// The largest of every three places, two apart; the last window reaches over the edge.
fn pooled(x: &Tensor) -> Result<Tensor> {
    // That pooling is for maps without values below 0.
    let least = x.detach().min_all()?;
    Ok(max_pool(&x.broadcast_sub(&least)?, 3, true)?.broadcast_add(&least)?)
}

/// Each place of a map as four.
fn doubled(x: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let wide = x.reshape((n * c, h, 1, w, 1))?.broadcast_as((n * c, h, 2, w, 2))?;
    Ok(wide.contiguous()?.reshape((n, c, 2 * h, 2 * w))?)
}

impl Net for GhFeat {
    fn size(&self) -> [usize; 2] {
        [1, self.heads.iter().map(Dense::outputs).sum()]
    }

    fn side(&self) -> usize {
        self.side
    }

    fn space(&self) -> Space {
        Space::S
    }

    fn forward(&self, seen: &Seen<'_>) -> Result<Move> {
        let maps = self.mixed(seen.pictures)?;
        let each = self.heads.iter().zip(maps.iter().rev());
        let styles = each.map(|(head, map)| head.forward(&map.flatten_from(1)?));
        let styles = styles.collect::<Result<Vec<_>>>()?;
        Ok(Move::To(Tensor::cat(&styles, 1)?.unsqueeze(1)?))
    }
}
