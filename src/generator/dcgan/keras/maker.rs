//! Keras layers as those of a plain generator.
//!
//! Keras keeps maps with the channels last, and kernels as `[h, w, in, out]`, of transposed
//! convolutions as `[h, w, out, in]`; both become `[out, in, h, w]` and `[in, out, h, w]` by the
//! same order of dimensions. `same` padding is TensorFlow's: of an odd number of rows the larger
//! half is below, so a 5×5 kernel that doubles a map cuts one row above and two below.

use super::super::config::{Class, Config, Op, Size, refused, wrong};
use super::graph::{Chain, Merge, Node};
use super::names;
use super::settings::{
    LARGEST, activation, not_run, rectifier, same_padding, sides_of, whole, words,
};
use crate::error::{Error, Result};
use crate::safe::Safe;
use crate::weights::Listing;
use crate::weights::layout::Change;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Layers that change nothing when a generator runs.
const IDLE: [&str; 10] = [
    "Dropout",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
    "Identity",
    "Masking",
    "InputLayer",
    "Flatten",
];
/// Keras's eps of a batch norm.
const EPS: f64 = 1e-3;

const CONNECTED: &[Change] = &[Change::Permute(&[1, 0])];
const KERNEL: &[Change] = &[Change::Permute(&[3, 2, 0, 1])];

/// New name and changes of each of the file's tensors that belong to the generator.
pub(super) type Tensors = BTreeMap<String, (String, &'static [Change])>;

/// A generator's settings and its tensors in the file.
pub(super) struct Made {
    pub config: Config,
    pub tensors: Tensors,
}

/// The settings of a chain of layers.
///
/// # Errors
/// For a layer that is not run, by its name, and for one whose tensors are missing.
pub(super) fn make(
    chain: &Chain,
    listing: &Listing,
    backend: Option<&str>,
    assumed: Vec<String>,
) -> Result<Made> {
    let mut maker = Maker {
        listing,
        channels_first: channels_first(chain)?,
        ops: Vec::new(),
        size: None,
        inputs: None,
        tensors: Tensors::new(),
        names: Vec::new(),
        assumed,
    };
    for node in &chain.nodes {
        maker.layer(node)?;
    }
    maker.check_sigmoid()?;
    let odd = |op: &Op| matches!(op, Op::Transposed { cut: 1.., .. });
    if backend == Some("torch") && maker.ops.iter().any(odd) {
        maker.assumed.push(
            "odd transposed convolutions are padded as in TensorFlow; older versions of Keras on \
             PyTorch shifted their maps by a pixel"
                .into(),
        );
    }
    maker.end(chain.merge.as_ref())
}

/// Whether all maps have the channels first.
fn channels_first(chain: &Chain) -> Result<bool> {
    let formats = chain.nodes.iter().filter_map(|n| n.config.get("data_format")?.as_str());
    let (mut first, mut last) = (false, false);
    formats.for_each(|f| *(if f == "channels_first" { &mut first } else { &mut last }) = true);
    if first && last {
        return Err(wrong("some layers have the channels first, others last".into()));
    }
    Ok(first)
}

/// The error of a layer without one of its tensors.
fn lacks(node: &Node, variable: &str) -> Error {
    let (name, class) = (Safe(node.name()), Safe(&node.class));
    refused(format!("layer `{name}` ({class}) has no {variable}"))
        .hint("the file is not whole: `gannet info --tensors` shows what it holds")
}

struct Maker<'a> {
    listing: &'a Listing,
    channels_first: bool,
    ops: Vec<Op>,
    /// Size of the data so far; `None` before the first layer that tells it.
    size: Option<Size>,
    /// Numbers that the first layer reads.
    inputs: Option<usize>,
    tensors: Tensors,
    /// Names of layers that are taken.
    names: Vec<String>,
    assumed: Vec<String>,
}

impl Maker<'_> {
    fn layer(&mut self, node: &Node) -> Result<()> {
        self.declared(node);
        match node.class.as_str() {
            "Dense" => self.dense(node)?,
            "Conv2D" | "Convolution2D" => self.conv(node)?,
            "Conv2DTranspose" | "Deconvolution2D" => self.transposed(node)?,
            "BatchNormalization" | "BatchNormalizationV1" | "SyncBatchNormalization" => {
                return self.norm(node);
            }
            "Reshape" => return self.reshape(node),
            "UpSampling2D" => return self.upsample(node),
            "ZeroPadding2D" | "Cropping2D" => return self.edge(node),
            "LeakyReLU" | "ReLU" => {
                let op = rectifier(node)?;
                return self.add(op);
            }
            "Activation" => {}
            "Flatten" if !self.is_flat() => return Err(not_run(node, " behind a map")),
            idle if IDLE.contains(&idle) => return Ok(()),
            _ => return Err(not_run(node, "")),
        }
        match activation(node)? {
            Some(op) => self.add(op),
            None => Ok(()),
        }
    }

    /// The size of the input, where a layer declares it.
    fn declared(&mut self, node: &Node) {
        let Some(shape) = node.input.as_ref().filter(|_| self.size.is_none()) else { return };
        let size = |n: &Option<u64>| n.and_then(|n| usize::try_from(n).ok());
        self.start(match &shape[..] {
            [n] => size(n).map(Size::Flat),
            [Some(1), Some(1), n] if !self.channels_first => size(n).map(|n| Size::Map([n, 1, 1])),
            [n, Some(1), Some(1)] => size(n).map(|n| Size::Map([n, 1, 1])),
            _ => None,
        });
    }

    fn start(&mut self, size: Option<Size>) {
        if let Some(found) = size.filter(|_| self.size.is_none()) {
            self.size = Some(found);
            self.inputs = Some(found.planes()[0]);
        }
    }

    fn is_flat(&self) -> bool {
        self.size.is_none_or(|s| s.planes()[1..] == [1, 1])
    }

    /// Adds an operation that keeps the size.
    fn add(&mut self, op: Op) -> Result<()> {
        self.ops.push(op);
        Ok(())
    }

    fn size(&self, node: &Node) -> Result<Size> {
        self.size.ok_or_else(|| {
            let name = Safe(node.name());
            refused(format!("nothing tells the size of what layer `{name}` reads"))
                .hint("save the model after it was built: model.build((None, z_dim))")
        })
    }

    /// Our name of a layer: its own, or that with the models that it is in.
    fn name(&mut self, node: &Node) -> String {
        let mut name = node.name().replace(['.', '/'], "_");
        if name.is_empty() || self.names.contains(&name) {
            name = format!("{}_{}", node.path.join("_").replace(['.', '/'], "_"), self.names.len());
        }
        self.names.push(name.clone());
        name
    }

    /// Takes a tensor of a layer: its shape in the file, and `None` when there is none.
    fn take(
        &mut self,
        node: &Node,
        (variable, index): (&str, usize),
        to: String,
        changes: &'static [Change],
    ) -> Result<Option<Vec<usize>>> {
        let Some(name) = names::tensor(self.listing, node, variable, index)? else {
            return Ok(None);
        };
        let shape = self.listing.shape(&name).map(<[usize]>::to_vec);
        if self.tensors.insert(name.clone(), (to, changes)).is_some() {
            return Err(wrong(format!("tensor `{}` belongs to two layers", Safe(&name))));
        }
        Ok(shape)
    }

    /// The kernel of a layer and its bias, if it has one; the kernel's shape of that many
    /// dimensions.
    fn kernel<const N: usize>(
        &mut self,
        node: &Node,
        name: &str,
        changes: &'static [Change],
    ) -> Result<[usize; N]> {
        let shape = self.take(node, ("kernel", 0), format!("{name}.weight"), changes)?;
        let shape = shape.ok_or_else(|| lacks(node, "kernel"))?;
        if node.config.get("use_bias").and_then(Json::as_bool).unwrap_or(true) {
            let bias = self.take(node, ("bias", 1), format!("{name}.bias"), &[])?;
            bias.ok_or_else(|| lacks(node, "bias"))?;
        }
        <[usize; N]>::try_from(shape).map_err(|shape| {
            wrong(format!("the kernel of layer `{}` is {shape:?}", Safe(node.name())))
        })
    }

    fn dense(&mut self, node: &Node) -> Result<()> {
        let name = self.name(node);
        let [inputs, units] = self.kernel(node, &name, CONNECTED)?;
        self.start(Some(Size::Flat(inputs)));
        if !matches!(self.size(node)?, Size::Flat(_)) {
            return Err(not_run(node, " over a map"));
        }
        self.size = Some(Size::Flat(units));
        self.add(Op::Linear { name })
    }

    /// What convolutions have in common: name, kernel's size, input and output channels.
    fn convolution(&mut self, node: &Node) -> Result<(String, usize, [usize; 2])> {
        let groups = whole(node, "groups", 1)?;
        if groups != 1 || whole(node, "dilation_rate", 1)? != 1 {
            return Err(not_run(node, " with groups or dilation"));
        }
        let name = self.name(node);
        let [h, w, a, b] = self.kernel(node, &name, KERNEL)?;
        if h != w || h == 0 || h > LARGEST {
            return Err(not_run(node, &format!(" with a kernel of {h}×{w}: it must be square")));
        }
        Ok((name, h, [a, b]))
    }

    fn conv(&mut self, node: &Node) -> Result<()> {
        let (name, k, [_, outputs]) = self.convolution(node)?;
        let stride = whole(node, "strides", 1)?.max(1);
        let [_, h, w] = self.size(node)?.planes();
        let same = same_padding(node)?;
        // Rows above and below, of which the larger half is below.
        let around = |n: usize| {
            let total = (n.div_ceil(stride).saturating_sub(1) * stride + k).saturating_sub(n);
            if same { [total / 2, total - total / 2] } else { [0, 0] }
        };
        let [top, bottom] = around(h);
        let [left, right] = around(w);
        let even = top == bottom && (top, bottom) == (left, right);
        if !even {
            self.ops.push(Op::Pad { sides: [top, bottom, left, right] });
        }
        let out = |n: usize, pads: [usize; 2]| {
            n.checked_add(pads[0] + pads[1])?.checked_sub(k).map(|n| n / stride + 1)
        };
        let (Some(h), Some(w)) = (out(h, [top, bottom]), out(w, [left, right])) else {
            return Err(not_run(node, &format!(" on a map smaller than its kernel of {k}×{k}")));
        };
        self.size = Some(Size::Map([outputs, h, w]));
        self.add(Op::Conv { name, stride, padding: if even { top } else { 0 } })
    }

    fn transposed(&mut self, node: &Node) -> Result<()> {
        let (name, k, [outputs, inputs]) = self.convolution(node)?;
        self.start(Some(Size::Map([inputs, 1, 1])));
        let stride = whole(node, "strides", 1)?.max(1);
        let said = node.config.get("output_padding").filter(|v| !v.is_null());
        let extra = said.map(|_| whole(node, "output_padding", 0)).transpose()?;
        // What the full result, (n − 1)·stride + k, has more than the wanted one.
        let beyond = k as i64 - stride as i64;
        let more = match (same_padding(node)?, extra.map(|p| p as i64)) {
            (true, None) => beyond,
            (true, Some(p)) => 2 * (k as i64 / 2) - p,
            (false, None) => beyond.min(0),
            (false, Some(p)) => -p,
        };
        let surplus = usize::try_from(more.max(0)).unwrap_or(0);
        let output_padding = usize::try_from((-more).max(0)).unwrap_or(0);
        let padding = surplus / 2;
        let [_, h, w] = self.size(node)?.planes();
        let out = |n: usize| {
            let full = n.checked_sub(1)?.checked_mul(stride)?.checked_add(k)?;
            full.checked_add(output_padding)?.checked_sub(surplus).filter(|n| *n > 0)
        };
        let (Some(h), Some(w)) = (out(h), out(w)) else {
            return Err(not_run(node, ": nothing is left of its map"));
        };
        self.size = Some(Size::Map([outputs, h, w]));
        let cut = surplus - 2 * padding;
        self.add(Op::Transposed { name, stride, padding, output_padding, cut })
    }

    fn norm(&mut self, node: &Node) -> Result<()> {
        let size = self.size(node)?;
        let axis = node.config.get("axis");
        let axis = axis.and_then(|a| a.get(0).unwrap_or(a).as_i64()).unwrap_or(-1);
        let channels = match size {
            Size::Flat(_) => [-1, 1],
            Size::Map(_) if self.channels_first => [1, -3],
            Size::Map(_) => [-1, 3],
        };
        if !channels.contains(&axis) {
            return Err(not_run(node, &format!(" over axis {axis}: that is not the channels")));
        }
        let name = self.name(node);
        let has = |key: &str| node.config.get(key).and_then(Json::as_bool).unwrap_or(true);
        let mut index = 0;
        for (variable, part, is) in [
            ("gamma", "weight", has("scale")),
            ("beta", "bias", has("center")),
            ("moving_mean", "running_mean", true),
            ("moving_variance", "running_var", true),
        ] {
            if !is {
                continue;
            }
            let taken = self.take(node, (variable, index), format!("{name}.{part}"), &[])?;
            taken.ok_or_else(|| lacks(node, variable))?;
            index += 1;
        }
        let eps = node.config.get("epsilon").and_then(Json::as_f64).unwrap_or(EPS);
        self.add(Op::Norm { name, eps })
    }

    fn reshape(&mut self, node: &Node) -> Result<()> {
        let size = self.size(node)?;
        let [c, h, w] = size.planes();
        let values = c.saturating_mul(h).saturating_mul(w);
        let target = node.config.get("target_shape").and_then(Json::as_array);
        let sizes: Vec<i64> =
            target.into_iter().flatten().map(|n| n.as_i64().unwrap_or(0)).collect();
        let known = sizes
            .iter()
            .filter(|n| **n > 0)
            .try_fold(1usize, |all, n| all.checked_mul(usize::try_from(*n).ok()?));
        let rest = known.and_then(|n| values.checked_div(n)).unwrap_or(0);
        let sizes: Vec<usize> = sizes.iter().map(|n| usize::try_from(*n).unwrap_or(rest)).collect();
        let [channels, height, width] = match (&sizes[..], self.channels_first) {
            (&[n], _) if self.is_flat() => {
                if matches!(size, Size::Flat(_)) && n == values {
                    return Ok(());
                }
                return Err(not_run(node, " to a vector"));
            }
            (&[h, w, c], false) | (&[c, h, w], true) => [c, h, w],
            (&[h, w], _) => [1, h, w],
            _ => return Err(not_run(node, &format!(" to the shape {sizes:?}"))),
        };
        if size == Size::Map([channels, height, width]) {
            return Ok(());
        }
        if !matches!(size, Size::Flat(_)) {
            return Err(not_run(node, " behind a map"));
        }
        self.size = Some(Size::Map([channels, height, width]));
        let channels_last = !self.channels_first;
        self.add(Op::Reshape { channels, height, width, channels_last })
    }

    fn upsample(&mut self, node: &Node) -> Result<()> {
        let mode = words(node, "interpolation", "nearest");
        if mode != "nearest" {
            return Err(not_run(node, &format!(" with {} interpolation", Safe(mode))));
        }
        let times = whole(node, "size", 2)?;
        if !times.is_power_of_two() {
            return Err(not_run(node, &format!(" {times} times: 2, 4 and 8 times are possible")));
        }
        for _ in 0..times.ilog2() {
            let [c, h, w] = self.size(node)?.planes();
            self.size = Some(Size::Map([c, h.saturating_mul(2), w.saturating_mul(2)]));
            self.ops.push(Op::Upsample);
        }
        Ok(())
    }

    /// An edge that is added or cut.
    fn edge(&mut self, node: &Node) -> Result<()> {
        let pads = node.class == "ZeroPadding2D";
        let sides = node.config.get(if pads { "padding" } else { "cropping" });
        let sides = sides.map_or(Some([1; 4]), sides_of);
        let sides = sides.ok_or_else(|| not_run(node, " with such sides"))?;
        let [top, bottom, left, right] = sides;
        let [c, h, w] = self.size(node)?.planes();
        let side = |n: usize, a: usize, b: usize| match pads {
            true => n.checked_add(a)?.checked_add(b),
            false => n.checked_sub(a)?.checked_sub(b),
        };
        let (Some(h), Some(w)) = (side(h, top, bottom), side(w, left, right)) else {
            return Err(not_run(node, ": nothing is left of its map"));
        };
        self.size = Some(Size::Map([c, h, w]));
        self.add(if pads { Op::Pad { sides } } else { Op::Crop { sides } })
    }

    /// Refuses a sigmoid between layers: as the last one it makes pictures, which are brought from
    /// [0, 1] to [-1, 1].
    fn check_sigmoid(&self) -> Result<()> {
        let still = |op: &Op| matches!(op, Op::Crop { .. } | Op::Reshape { .. });
        let at = self.ops.iter().position(|op| *op == Op::Sigmoid);
        match at.map(|at| self.ops[at + 1..].iter().all(still)) {
            Some(false) => Err(refused("a sigmoid between layers is not run".into())
                .hint("plain generators have one at the end alone")),
            _ => Ok(()),
        }
    }

    fn end(mut self, merge: Option<&Merge>) -> Result<Made> {
        let inputs = self.inputs.unwrap_or(0);
        let mut config =
            Config { z_dim: inputs, layers: std::mem::take(&mut self.ops), ..Config::default() };
        if let Some(merge) = merge {
            self.class(merge, inputs, &mut config)?;
        }
        config.assumed = self.assumed;
        Ok(Made { config, tensors: self.tensors })
    }

    /// The class of a conditional generator.
    fn class(&mut self, merge: &Merge, inputs: usize, config: &mut Config) -> Result<()> {
        let rest = |n: usize| {
            inputs.checked_sub(n).filter(|n| *n > 0).ok_or_else(|| {
                wrong(format!("a class of {n} numbers beside z, but {inputs} are read in all"))
            })
        };
        let Some(table) = &merge.table else {
            let classes = merge.classes.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
            config.z_dim = rest(classes)?;
            config.c_dim = classes;
            config.class = if merge.first { Class::OneHotFirst } else { Class::OneHotLast };
            return Ok(());
        };
        let name = self.name(table);
        let shape = self.take(table, ("embeddings", 0), format!("{name}.weight"), &[])?;
        let Some(&[classes, size]) = shape.as_deref() else {
            return Err(wrong(format!("layer `{}` has no table of classes", Safe(table.name()))));
        };
        config.c_dim = classes;
        config.class = match (merge.class.as_str(), merge.first) {
            ("Multiply", _) => Class::EmbeddingProduct(name),
            (_, first) => {
                config.z_dim = rest(size)?;
                if first { Class::EmbeddingFirst(name) } else { Class::EmbeddingLast(name) }
            }
        };
        Ok(())
    }
}
