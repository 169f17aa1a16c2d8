//! Inference of the settings of a plain generator from the names and shapes of a file.
//!
//! Read from the file: the layers, their kernels and channels, and, where modules are numbered as
//! in `nn.Sequential`, the number of modules without tensors between two layers. A file with whole
//! modules also gives strides, paddings, eps and slopes. Missing settings are assumed as in Radford
//! et al. 2016 and written into [`Config::assumed`]; an ambiguous one is an error that names the
//! setting to give.

use super::chain::{Link, Reading, Role, chain, flat_picture};
use super::config::{Class, Config, Op, Shapes, refused, wrong};
use super::modules::Modules;
use super::names::{self, Kind, Part, place};
use crate::error::{Error, Result};
use crate::safe::Safe;

/// PyTorch's default eps of a batch norm.
const EPS: f64 = 1e-5;

/// A plain generator in a file.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// The folder that its tensors are in.
    pub folder: String,
    /// Its layers in order.
    pub links: Vec<Link>,
    /// The table of its classes: module, classes, size.
    pub table: Option<(String, [usize; 2])>,
    /// Whether its convolutions may be plain ones as well.
    pub unclear: bool,
}

/// All folders of a file that hold exactly a plain generator; none inside another.
pub(super) fn candidates(names: &[&str], shape: &Shapes<'_>) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for folder in names::folders(names.iter().copied()) {
        if found.iter().any(|c| names::inside(&format!("{folder}."), &c.folder)) {
            continue;
        }
        let mine: Vec<&str> = names.iter().copied().filter(|n| names::inside(n, &folder)).collect();
        found.extend(names::parts(&mine, shape).and_then(|parts| candidate(folder, parts)));
    }
    found
}

fn candidate(folder: String, parts: Vec<Part>) -> Option<Candidate> {
    let (tables, parts): (Vec<Part>, Vec<Part>) =
        parts.into_iter().partition(|p| matches!(p.kind, Kind::Table(_)));
    let table = match &tables[..] {
        [] => None,
        [Part { module, kind: Kind::Table(size) }] => Some((module.clone(), *size)),
        _ => return None,
    };
    let read = |reading| chain(&parts, reading);
    let (transposed, plain) = (read(Reading::Transposed), read(Reading::Plain));
    let unclear = match (&transposed, &plain) {
        (Some(a), Some(b)) => a != b,
        (Some(a), None) => {
            let later = || a.iter().skip(1).filter(|l| l.role == Role::Transposed);
            let odd = |l: &Link| l.kernel[0] % 2 == 1;
            // Square in its channels and odd among even kernels: a refining layer, of either kind.
            later().any(|l| !odd(l)) && later().any(|l| odd(l) && l.channels[0] == l.channels[1])
        }
        _ => false,
    };
    let links = transposed.or(plain).or_else(|| read(Reading::Mixed))?;
    Some(Candidate { folder, links, table, unclear })
}

/// The generator among several: the averaged one, else the one that is called so.
///
/// # Errors
/// When two are equally good.
pub(super) fn choose(mut found: Vec<Candidate>) -> Result<Option<Candidate>> {
    if found.len() > 1 {
        let rank = |c: &Candidate| {
            let folder = c.folder.to_ascii_lowercase();
            let averaged = ["ema", "avg", "average", "smooth", "running"];
            let words = ["g", "netg", "gen", "generator", "decoder"];
            let is = |all: &[&str]| {
                folder.split(['.', '_']).any(|word| all.contains(&word))
                    || all.iter().any(|w| w.len() > 2 && folder.contains(w))
            };
            2 * u8::from(is(&averaged)) + u8::from(is(&words))
        };
        let best = found.iter().map(rank).max();
        found.retain(|c| Some(rank(c)) == best);
    }
    match &found[..] {
        [] | [_] => Ok(found.pop()),
        several => {
            let folders: Vec<&str> = several.iter().map(|c| c.folder.as_str()).collect();
            Err(refused(format!(
                "the file holds several generators: {}",
                Safe(&folders.join(", "))
            ))
            .hint("save the one that you mean in a file of its own"))
        }
    }
}

/// Conventions of known repositories that their files do not state.
struct Habits {
    eps: f64,
    slope: f64,
    /// eriklindernoren/PyTorch-GAN's `conv_blocks`: the first norm has the default eps, and its map
    /// is doubled without an activation.
    blocks: bool,
}

/// Numbers of PyTorch-GAN's `conv_blocks`, and of its fully connected `model`.
const BLOCKS: [usize; 6] = [0, 2, 3, 6, 7, 9];
const MODEL: [usize; 8] = [0, 2, 3, 5, 6, 8, 9, 11];

/// Whether modules are called as in eriklindernoren/PyTorch-GAN: convolutional, or fully connected.
fn pytorch_gan(links: &[Link]) -> [bool; 2] {
    let in_folder = |links: &[Link], name: &str, numbers: &[usize]| {
        let ends = |folder: &str| folder == name || folder.ends_with(&format!(".{name}"));
        links.len() == numbers.len()
            && links.iter().zip(numbers).all(|(link, n)| {
                let (folder, number) = place(&link.module);
                ends(folder) && number == Some(*n)
            })
    };
    let blocks = matches!(links, [first, rest @ ..]
        if in_folder(std::slice::from_ref(first), "l1", &[0])
            && in_folder(rest, "conv_blocks", &BLOCKS));
    [blocks, in_folder(links, "model", &MODEL)]
}

/// Whether modules are called as in eriklindernoren/PyTorch-GAN.
pub(super) fn is_pytorch_gan(links: &[Link]) -> bool {
    pytorch_gan(links).contains(&true)
}

fn habits(links: &[Link], notes: &mut Vec<String>) -> Habits {
    let [blocks, connected] = pytorch_gan(links);
    if blocks || connected {
        notes.push(
            "its modules are called as in eriklindernoren/PyTorch-GAN: batch norms have an eps of \
             0.8, activations are leaky ReLU of slope 0.2, as there"
                .into(),
        );
        return Habits { eps: 0.8, slope: 0.2, blocks };
    }
    Habits { eps: EPS, slope: 0.0, blocks: false }
}

/// The settings of a candidate except the class, which depends on the numbers.
///
/// # Errors
/// When its layers can be read in two ways.
pub(super) fn settings(found: &Candidate, modules: &Modules<'_>) -> Result<Config> {
    let mut assumed = Vec::new();
    let told = found.links.iter().all(|l| modules.of(&l.module).is_some());
    if found.unclear && !told {
        return Err(refused(
            "the shapes fit convolutions and transposed convolutions alike: they do not tell which"
                .into(),
        )
        .hint("save the whole module (`torch.save(netG, …)`): it says what its layers are"));
    }
    for link in &found.links {
        let said = modules.of(&link.module).and_then(|m| m.transposed());
        let differs = |said| said != (link.role == Role::Transposed);
        if matches!(link.role, Role::Conv | Role::Transposed) && said.is_some_and(differs) {
            let module = Safe(&link.module);
            return Err(wrong(format!("the shape of `{module}` fits a layer of another kind")));
        }
    }
    let habits = habits(&found.links, &mut assumed);
    let mut maker = Maker { modules, habits, assumed, layers: Vec::new(), acted: true };
    for (at, link) in found.links.iter().enumerate() {
        if let Some(before) = at.checked_sub(1).and_then(|k| found.links.get(k)) {
            maker.between(before, link)?;
        }
        maker.link(link, at == 0)?;
    }
    maker.end(&found.links)
}

/// Turns links into layers.
struct Maker<'a> {
    modules: &'a Modules<'a>,
    habits: Habits,
    assumed: Vec<String>,
    layers: Vec<Op>,
    /// Whether an activation came since the last weighted layer.
    acted: bool,
}

impl Maker<'_> {
    fn assume(&mut self, what: String) {
        if !self.assumed.contains(&what) {
            self.assumed.push(what);
        }
    }

    fn activate(&mut self) {
        if self.acted {
            return;
        }
        if self.habits.slope == 0.0 {
            self.assume("activations between layers are ReLU".into());
        }
        self.layers.push(Op::Relu { slope: self.habits.slope });
        self.acted = true;
    }

    /// Infers the operations between two layers with tensors.
    fn between(&mut self, before: &Link, link: &Link) -> Result<()> {
        let ((from, i), (to, j)) = (place(&before.module), place(&link.module));
        let known = match (i, j) {
            (Some(i), Some(j)) if from == to && i < j => Some((i + 1..j).collect::<Vec<_>>()),
            _ => None,
        };
        let doubles = link.role == Role::Conv;
        let Some(numbers) = known else {
            if link.role == Role::Norm || self.habits.blocks {
                return Ok(());
            }
            self.activate();
            return match (doubles, j) {
                (false, _) => Ok(()),
                (true, Some(1..)) => {
                    self.double();
                    Ok(())
                }
                (true, _) => Err(unclear(&link.module)),
            };
        };
        let path = |n: &usize| if to.is_empty() { n.to_string() } else { format!("{to}.{n}") };
        let said: Option<Vec<_>> = numbers.iter().map(|n| self.modules.of(&path(n))).collect();
        if let Some(said) = said.filter(|_| self.modules.of(&link.module).is_some()) {
            return said.into_iter().try_for_each(|module| {
                self.layers.extend(module.op()?);
                self.acted |= module.activates();
                Ok(())
            });
        }
        // In a Sequential, a separate module turns the vector into a map.
        let mut rest = numbers.len().saturating_sub(usize::from(link.reshape.is_some()));
        let first_block = self.habits.blocks && before.reshape.is_some();
        if rest > 0 && !first_block && !self.acted {
            self.activate();
            rest -= 1;
        }
        match (rest, doubles) {
            (0, _) => Ok(()),
            (_, true) => {
                self.double();
                Ok(())
            }
            (_, false) => {
                self.assume(format!(
                    "more modules without tensors before `{}` do nothing (dropout)",
                    link.module
                ));
                Ok(())
            }
        }
    }

    fn double(&mut self) {
        self.assume("modules without tensors before a convolution double the map".into());
        self.layers.push(Op::Upsample);
    }

    /// A layer with tensors.
    fn link(&mut self, link: &Link, first: bool) -> Result<()> {
        if let Some([channels, height, width]) = link.reshape {
            self.layers.push(Op::Reshape { channels, height, width, channels_last: false });
        }
        let name = link.module.clone();
        let said = self.modules.of(&name);
        if link.role != Role::Norm {
            self.acted = false;
        }
        let op = match link.role {
            Role::Linear => Op::Linear { name },
            Role::Norm => {
                let eps = said.as_ref().and_then(|m| m.number("eps"));
                let first_block = self.habits.blocks && link.reshape.is_some();
                let usual = if first_block { EPS } else { self.habits.eps };
                if eps.is_none() && usual == EPS {
                    self.assume(format!("batch norms have PyTorch's default eps of {EPS:e}"));
                }
                Op::Norm { name, eps: eps.unwrap_or(usual) }
            }
            Role::Conv => {
                let (stride, padding) = match said {
                    Some(m) => (m.whole("stride", 1)?, m.whole("padding", 0)?),
                    None => (1, link.kernel[0] / 2),
                };
                Op::Conv { name, stride, padding }
            }
            Role::Transposed => {
                let [stride, padding, output_padding] = match said {
                    Some(m) => [
                        m.whole("stride", 1)?,
                        m.whole("padding", 0)?,
                        m.whole("output_padding", 0)?,
                    ],
                    None if first => [1, 0, 0],
                    None => self.doubling(link.kernel[0]),
                };
                Op::Transposed { name, stride, padding, output_padding, cut: 0 }
            }
        };
        self.layers.push(op);
        Ok(())
    }

    /// Stride and paddings with which a kernel doubles a map.
    fn doubling(&mut self, k: usize) -> [usize; 3] {
        if k == 1 {
            return [1, 0, 0];
        }
        let (padding, extra) =
            if k.is_multiple_of(2) { ((k - 2) / 2, 0) } else { ((k - 1) / 2, 1) };
        let more = if extra > 0 { ", output padding 1" } else { "" };
        self.assume(format!(
            "transposed convolutions with a {k}×{k} kernel double the map: stride 2, padding \
             {padding}{more}"
        ));
        [2, padding, extra]
    }

    /// The picture at the end, and the first layer's reading of z.
    fn end(mut self, links: &[Link]) -> Result<Config> {
        let inputs = links.first().map_or(0, |l| l.channels[0]);
        if let Some(Link { role: Role::Linear, channels: [_, n], .. }) =
            links.iter().rfind(|l| l.role != Role::Norm)
        {
            let [channels, height, width] = flat_picture(*n)
                .ok_or_else(|| wrong(format!("{n} values do not form a picture")))?;
            self.layers.push(Op::Reshape { channels, height, width, channels_last: false });
            self.assume(format!("the last vector is a picture of {channels}×{height}×{width}"));
        }
        let last = links.last().map(|l| l.module.as_str()).unwrap_or_default();
        match self.modules.output(last)? {
            Some(ops) => self.layers.extend(ops),
            None => {
                self.assume("the picture is the tanh of the last layer, in [-1, 1]".into());
                self.layers.push(Op::Tanh);
            }
        }
        Ok(Config {
            z_dim: inputs,
            class: Class::None,
            layers: self.layers,
            assumed: self.assumed,
            ..Config::default()
        })
    }
}

fn unclear(module: &str) -> Error {
    refused(format!(
        "the file does not tell whether the map is doubled before `{}`",
        Safe(module)
    ))
    .hint("save the whole module (`torch.save(netG, …)`), or number its modules in one Sequential")
}
