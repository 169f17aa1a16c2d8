//! Configuration of a BigGAN: given, or read from the names and shapes of its tensors.

use super::refuse::refuse;
use super::weight::stored;
use crate::error::Result;
use crate::generator::{Layer, family};
use crate::limits::LIMITS;
use crate::weights::Listing;
use serde::Deserialize;

/// Side of the kernel of a doubling transposed convolution.
const DOUBLING: usize = 4;

/// Least bound of z: draws outside of the bound are repeated.
const LEAST_LIMIT: f64 = 0.1;

/// Settings given for a model, each optional: missing ones are read from the tensors or take the
/// usual value.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Given {
    /// Name, as shown.
    pub name: Option<String>,
    /// Dimensions of z.
    pub z_dim: Option<usize>,
    /// Number of classes, 0 for none.
    pub c_dim: Option<usize>,
    /// Side of the picture.
    pub img_resolution: Option<usize>,
    /// Channels of the picture: the first outputs of the last layer.
    pub img_channels: Option<usize>,
    /// Added to the variances of the blocks' batch norms, 1e-5 when not said.
    pub eps: Option<f64>,
    /// The same of the last batch norm, as `eps` when not said.
    pub last_eps: Option<f64>,
    /// Slope of the activations below zero, 0 (ReLU) when not said.
    pub slope: Option<f64>,
    /// Whether each block doubles the size.
    pub upsample: Option<Vec<bool>>,
    /// Deep blocks to a size, of which the last one doubles it; 2 when not said.
    pub depth: Option<usize>,
    /// What the blocks read.
    pub reads: Option<Reads>,
    /// Whether the class comes before z in what the blocks read.
    pub class_first: bool,
    /// Whether the first layer gives pixels of channels, instead of channels of pixels.
    pub channels_last: bool,
    /// Bound of the normal distribution of z; none when not said.
    pub z_limit: Option<f64>,
}

/// The part of the conditional vector that the first layer and the blocks read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// All of them the whole vector (BigGAN-deep).
    Whole,
    /// The first layer a part of z, each block another part and the class (hierarchical BigGAN).
    Chunks,
    /// The first layer z, the blocks the class.
    Class,
    /// The first layer z, the blocks nothing.
    Nothing,
}

/// Configuration of a BigGAN.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name, as shown.
    pub name: String,
    /// Dimensions of z.
    pub z_dim: usize,
    /// Number of classes, 0 for none.
    pub c_dim: usize,
    /// Numbers of the class in the conditional vector: a row of the table, or one a class.
    pub class_size: usize,
    /// Whether there is a table of classes.
    pub table: bool,
    /// What the blocks read.
    pub reads: Reads,
    /// Whether the class comes before z in what the blocks read.
    pub class_first: bool,
    /// Whether the first layer gives pixels of channels.
    pub channels_last: bool,
    /// Channels of the first map.
    pub first_channels: usize,
    /// Side of the first map.
    pub bottom: usize,
    /// The stages in the order in which they run.
    pub stages: Vec<Stage>,
    /// Whether a batch norm and an activation come before the last convolution.
    pub last_norm: bool,
    /// Channels of the picture.
    pub img_channels: usize,
    /// Added to the variances of the blocks' batch norms.
    pub eps: f64,
    /// The same of the last batch norm.
    pub last_eps: f64,
    /// Slope of the activations below zero.
    pub slope: f64,
    /// Rows of statistics, one for each truncation; 1 where there is no choice.
    pub statistics: usize,
    /// Bound of the normal distribution of z.
    pub z_limit: Option<f64>,
}

/// A block or attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Its name, as its tensors are called: `blocks.3`, `blocks.3.attention`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Channels that it reads.
    pub inputs: usize,
    /// Channels of its map.
    pub outputs: usize,
    /// Whether it doubles the size.
    pub doubles: bool,
}

/// Kind of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Two convolutions beside a shortcut.
    Plain,
    /// Four convolutions with a narrow middle beside a shortcut.
    Deep,
    /// A transposed convolution alone.
    Transposed,
    /// Self attention.
    Attention,
}

impl Kind {
    /// Number of batch norms.
    pub(super) fn norms(self) -> usize {
        match self {
            Self::Plain => 2,
            Self::Deep => 4,
            Self::Transposed => 1,
            Self::Attention => 0,
        }
    }
}

impl Given {
    /// Reads the JSON of a manifest; unknown keys are left alone.
    ///
    /// # Errors
    /// For a value of another kind.
    pub fn parse(json: &serde_json::Value) -> Result<Self> {
        family::parse(json, "BigGAN")
    }

    /// Completes the given settings from the tensors.
    ///
    /// # Errors
    /// When both state a setting and disagree, and on unsupported settings.
    pub fn complete(&self, tensors: &Listing) -> Result<Config> {
        let seen = Seen(tensors);
        let stages = self.stages(&seen)?;
        let blocks: Vec<&Stage> = stages.iter().filter(|s| s.kind != Kind::Attention).collect();
        let Some(first) = blocks.first() else {
            return Err(
                refuse("it has no blocks".into()).hint("`gannet info` shows what the file holds")
            );
        };
        let (count, first_channels, kind) = (blocks.len(), first.inputs, first.kind);
        let first = seen.weight("first", 2)?;
        let [outputs, inputs] = [first[0], first[1]];
        let bottom = (1..=outputs).take_while(|b| b * b * first_channels <= outputs).last();
        let bottom = bottom.filter(|b| b * b * first_channels == outputs).ok_or_else(|| {
            refuse(format!("{outputs} outputs of its first layer, of {first_channels} channels"))
                .hint("its first map is square")
        })?;
        let read = seen.condition(&stages)?;
        let (table, row) = match seen.0.shape("embedding.weight") {
            Some(_) => {
                let shape = seen.shape("embedding.weight", 2)?;
                (Some(shape[0]), shape[1])
            }
            None => (None, 0),
        };
        let reads = self.reads((inputs, read), (table.is_some(), row), kind)?;
        let class_size = match reads {
            Reads::Class if table.is_none() => read.unwrap_or(0),
            _ => row,
        };
        let z_dim = match reads {
            Reads::Whole => inputs - row,
            Reads::Chunks => inputs * (count + 1),
            Reads::Class | Reads::Nothing => inputs,
        };
        let last = seen.weight("last.conv", 4)?;
        let last_norm = tensors.has("last.norm.mean");
        let channels = self.img_channels.unwrap_or(last[0]);
        let eps = self.eps.unwrap_or(1e-5);
        let resolution = side(bottom, &stages)?;
        family::agree(refuse, "img_resolution", self.img_resolution, resolution)?;
        let config = Config {
            name: self.name.clone().unwrap_or_else(|| "biggan".into()),
            z_dim: family::agree(refuse, "z_dim", self.z_dim, z_dim)?,
            c_dim: family::agree(refuse, "c_dim", self.c_dim, table.unwrap_or(class_size))?,
            class_size,
            table: table.is_some(),
            reads,
            class_first: self.class_first,
            channels_last: self.channels_last,
            first_channels,
            bottom,
            last_norm,
            img_channels: channels,
            eps,
            last_eps: self.last_eps.unwrap_or(eps),
            slope: self.slope.unwrap_or(0.0),
            statistics: seen.statistics(&stages, last_norm)?,
            z_limit: self.z_limit,
            stages,
        };
        config.check(&last)?;
        Ok(config)
    }

    /// Blocks and attention, from their tensors.
    fn stages(&self, seen: &Seen<'_>) -> Result<Vec<Stage>> {
        let (mut stages, mut blocks) = (Vec::<Stage>::new(), 0);
        for i in 0.. {
            let name = format!("blocks.{i}");
            let kind = seen.kind(&name);
            let attention = format!("{name}.attention");
            let attends = seen.has(&format!("{attention}.theta"));
            if let Some(kind) = kind {
                let mut stage = seen.block(&name, kind)?;
                stage.doubles = self.doubles(kind, blocks)?;
                blocks += 1;
                stages.push(stage);
            }
            if attends {
                let inputs = seen.weight(&format!("{attention}.theta"), 4)?[1];
                let (kind, outputs) = (Kind::Attention, inputs);
                stages.push(Stage { name: attention, kind, inputs, outputs, doubles: false });
            }
            if kind.is_none() && !attends {
                break;
            }
        }
        let deep = stages.iter().any(|s| s.kind == Kind::Deep);
        let depth = self.depth.unwrap_or(2);
        if let Some(said) = self.upsample.as_ref().filter(|u| u.len() != blocks) {
            return Err(refuse(format!("`upsample` has {} entries", said.len()))
                .hint(format!("one for each of its {blocks} blocks")));
        }
        if self.upsample.is_none() && deep && (depth == 0 || blocks % depth != 0) {
            return Err(refuse(format!("{blocks} deep blocks, {depth} to a size")).hint(
                "say how many blocks make a size in `depth`, or which double in `upsample`",
            ));
        }
        for pair in stages.windows(2) {
            if pair[0].outputs != pair[1].inputs {
                let [a, b] = [&pair[0], &pair[1]];
                return Err(refuse(format!(
                    "`{}` reads {} channels, `{}` before it has {}",
                    b.name, b.inputs, a.name, a.outputs
                ))
                .hint("the file is not whole, or of a changed architecture"));
            }
        }
        Ok(stages)
    }

    /// Whether the `i`-th block doubles the size.
    fn doubles(&self, kind: Kind, i: usize) -> Result<bool> {
        if kind == Kind::Transposed {
            return Ok(true);
        }
        if let Some(upsample) = &self.upsample {
            return Ok(upsample.get(i).copied().unwrap_or(false));
        }
        let depth = self.depth.unwrap_or(2).max(1);
        Ok(kind == Kind::Plain || i % depth + 1 == depth)
    }

    /// What the blocks read: from the numbers that the first layer (`inputs`) and the blocks
    /// (`read`) take, and a row of the table.
    ///
    /// Blocks with two convolutions that take as many numbers as the first layer, where there is no
    /// table, read parts of z: StudioGAN's BigGAN without classes. Only a file whose z has as many
    /// dimensions as there are classes could mean the class; `reads` says so.
    fn reads(
        &self,
        (inputs, read): (usize, Option<usize>),
        (table, row): (bool, usize),
        kind: Kind,
    ) -> Result<Reads> {
        let fits = |reads: &Reads| match (reads, read) {
            (Reads::Nothing, None) => !table,
            (_, None) | (Reads::Nothing, _) => false,
            (Reads::Whole, Some(k)) => kind == Kind::Deep && k == inputs && inputs > row,
            (Reads::Chunks, Some(k)) => kind == Kind::Plain && k == inputs + row,
            (Reads::Class, Some(k)) => kind != Kind::Deep && (!table || k == row),
        };
        let all = [Reads::Whole, Reads::Chunks, Reads::Class, Reads::Nothing];
        let said = |reads: &Reads| self.reads.is_none_or(|said| said == *reads);
        all.into_iter().find(|reads| said(reads) && fits(reads)).ok_or_else(|| {
            refuse(format!(
                "its first layer reads {inputs} numbers, its blocks {}, a class has {row}",
                read.unwrap_or(0)
            ))
            .hint("the file is not whole, of a changed architecture, or `reads` is wrong")
        })
    }
}

/// The side of the picture; attention needs an even side.
fn side(bottom: usize, stages: &[Stage]) -> Result<usize> {
    let (mut side, limit) = (bottom, LIMITS.image_side as usize);
    for stage in stages {
        side <<= usize::from(stage.doubles);
        if side > limit {
            return Err(refuse(format!("pictures of more than {limit} pixels a side"))
                .hint("the file is not whole, or of a changed architecture"));
        }
        if stage.kind == Kind::Attention && side % 2 == 1 {
            return Err(refuse(format!("`{}` at {side} pixels a side", stage.name))
                .hint("it pools 2×2 pixels"));
        }
    }
    Ok(side)
}

impl Config {
    /// Dimensions of w: those of z and of the class's part.
    pub fn w_dim(&self) -> usize {
        self.z_dim + self.class_size
    }

    /// Blocks, attention not counted.
    pub fn blocks(&self) -> usize {
        self.stages.iter().filter(|s| s.kind != Kind::Attention).count()
    }

    /// Rows of a W+ code: one for the first layer, one for each block; 0 where blocks read nothing.
    pub fn num_ws(&self) -> usize {
        if self.reads == Reads::Nothing { 0 } else { self.blocks() + 1 }
    }

    /// Side of the picture.
    pub fn resolution(&self) -> usize {
        self.bottom << self.stages.iter().filter(|s| s.doubles).count()
    }

    /// The points that can be tapped and entered: the first map, and the map of every stage.
    pub(super) fn points(&self) -> Vec<Layer> {
        let mut side = self.bottom;
        let mut points = vec![Layer::square("first", self.first_channels, side)];
        for stage in &self.stages {
            side <<= usize::from(stage.doubles);
            points.push(Layer::square(&stage.name, stage.outputs, side));
        }
        points
    }

    fn check(&self, last: &[usize]) -> Result<()> {
        if !(1..=last[0].min(4)).contains(&self.img_channels) {
            return Err(refuse(format!(
                "pictures of {} channels, of {} outputs",
                self.img_channels, last[0]
            ))
            .hint("1 to 4 channels are supported"));
        }
        let outputs = self.stages.last().map_or(0, |s| s.outputs);
        if last[1] != outputs {
            return Err(refuse(format!(
                "`last.conv` reads {} channels, the last block has {outputs}",
                last[1]
            ))
            .hint("the file is not whole, or of a changed architecture"));
        }
        for (key, value) in [("eps", self.eps), ("last_eps", self.last_eps)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(refuse(format!("`{key}` is {value}")).hint("it must be above 0"));
            }
        }
        if !(self.slope.is_finite() && (0.0..=1.0).contains(&self.slope)) {
            return Err(refuse(format!("`slope` is {}", self.slope))
                .hint("0 is a ReLU, 0.1 StudioGAN's leaky ReLU"));
        }
        match self.z_limit {
            Some(limit) if !(limit.is_finite() && limit >= LEAST_LIMIT) => {
                Err(refuse(format!("`z_limit` is {limit}"))
                    .hint(format!("{LEAST_LIMIT} is the least; 2 is usual")))
            }
            _ => Ok(()),
        }
    }
}

/// The tensors of a file, as settings are read from them.
struct Seen<'a>(&'a Listing);

impl Seen<'_> {
    fn shape(&self, name: &str, rank: usize) -> Result<Vec<usize>> {
        match self.0.shape(name) {
            Some(s) if s.len() == rank && s.iter().all(|&n| n > 0) => Ok(s.to_vec()),
            Some(s) => {
                Err(refuse(format!("tensor `{name}` has shape {s:?}, expected {rank} dimensions"))
                    .hint("the file is not whole, or of a changed architecture"))
            }
            None => Err(refuse(format!("tensor `{name}` is missing"))
                .hint("`gannet info` shows what the file holds")),
        }
    }

    /// Whether there is a layer of that name.
    fn has(&self, layer: &str) -> bool {
        stored(layer, &|name| self.0.has(name)).is_some()
    }

    /// The shape of a layer's weight.
    fn weight(&self, layer: &str, rank: usize) -> Result<Vec<usize>> {
        let end = stored(layer, &|name| self.0.has(name)).unwrap_or("weight");
        self.shape(&format!("{layer}.{end}"), rank)
    }

    fn kind(&self, block: &str) -> Option<Kind> {
        let has = |part: &str| self.has(&format!("{block}.{part}"));
        if has("deconv") {
            Some(Kind::Transposed)
        } else if has("conv4") {
            Some(Kind::Deep)
        } else {
            has("conv1").then_some(Kind::Plain)
        }
    }

    /// A block with its channels; its `doubles` is not known yet.
    fn block(&self, name: &str, kind: Kind) -> Result<Stage> {
        let conv = |part: &str| self.weight(&format!("{name}.{part}"), 4);
        let odd = |part: &str| -> Result<[usize; 2]> {
            let shape = conv(part)?;
            if shape[2] != shape[3] || shape[2].is_multiple_of(2) {
                let [h, w] = [shape[2], shape[3]];
                return Err(refuse(format!("`{name}.{part}` has kernels of {h}×{w}"))
                    .hint("square kernels of odd size are supported"));
            }
            Ok([shape[0], shape[1]])
        };
        let [outputs, inputs] = match kind {
            Kind::Transposed => {
                let shape = conv("deconv")?;
                if shape[2..] != [DOUBLING, DOUBLING] {
                    return Err(refuse(format!("`{name}.deconv` has kernels {:?}", &shape[2..]))
                        .hint("4×4 kernels that double the size are supported"));
                }
                [shape[1], shape[0]]
            }
            Kind::Plain => [odd("conv2")?[0], odd("conv1")?[1]],
            _ => {
                odd("conv2")?;
                odd("conv3")?;
                [odd("conv4")?[0], odd("conv1")?[1]]
            }
        };
        let skips = self.has(&format!("{name}.skip"));
        let fits = match kind {
            Kind::Plain => skips || inputs == outputs,
            Kind::Deep => skips || inputs >= outputs,
            _ => true,
        };
        if !fits {
            return Err(refuse(format!(
                "`{name}` makes {outputs} channels of {inputs} without a shortcut"
            ))
            .hint("the file is not whole, or of a changed architecture"));
        }
        Ok(Stage { name: name.into(), kind, inputs, outputs, doubles: false })
    }

    /// Numbers that the conditional norms of all blocks read; `None` where norms are not
    /// conditional.
    fn condition(&self, stages: &[Stage]) -> Result<Option<usize>> {
        let mut all = Vec::new();
        for stage in stages {
            for k in 1..=stage.kind.norms() {
                let gain = format!("{}.norm{k}.gain", stage.name);
                all.push(match self.0.has(&gain) {
                    true => None,
                    false => Some(self.weight(&gain, 2)?[1]),
                });
            }
        }
        all.dedup();
        match all[..] {
            [one] => Ok(one),
            _ => Err(refuse("its batch norms read vectors of several sizes".into())
                .hint("the file is not whole, or of a changed architecture")),
        }
    }

    /// Rows of statistics, the same in all norms.
    fn statistics(&self, stages: &[Stage], last: bool) -> Result<usize> {
        let rows = |name: String| match self.0.shape(&name) {
            Some([_]) => Ok(1),
            Some([rows, _]) if *rows > 0 => Ok(*rows),
            Some(other) => Err(refuse(format!("`{name}` has shape {other:?}"))
                .hint("the file is not whole, or of a changed architecture")),
            None => Err(refuse(format!("tensor `{name}` is missing"))
                .hint("`gannet info` shows what the file holds")),
        };
        let norms = stages
            .iter()
            .flat_map(|s| (1..=s.kind.norms()).map(move |k| format!("{}.norm{k}.mean", s.name)));
        let mut all = norms
            .chain(last.then(|| "last.norm.mean".to_owned()))
            .map(rows)
            .collect::<Result<Vec<usize>>>()?;
        all.dedup();
        match all[..] {
            [one] => Ok(one),
            _ => Err(refuse("its batch norms have statistics of several sizes".into())
                .hint("the file is not whole, or of a changed architecture")),
        }
    }
}
