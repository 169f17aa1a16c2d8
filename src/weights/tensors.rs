//! A file's tensors while something takes them.

use super::array::{Array, DType};
use super::hex;
use super::layout::{Change, Layout, Placed};
use super::lazy::Lazy;
use super::listed;
use super::listing::{Listing, Shape};
use super::source::{one_line, quoted};
use crate::error::{Error, Kind, Result};
use candle_core::{Device, Tensor};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;

/// Named tensors, each read when it is taken and taken at most once.
///
/// Tensors are read only when they are taken: the listing is all that opening a file needs. A
/// missing tensor, one of another shape or one left over is an error, so that a disagreement of
/// file and reader cannot pass unnoticed.
///
/// ```no_run
/// # use gannet::{limits::LIMITS, weights};
/// let mut file = weights::open("net.safetensors".as_ref(), &LIMITS)?;
/// let bias = file.weights.take("conv.bias", &[64])?; // only these 64 numbers are read
/// file.weights.finish()?; // fails when there is anything else in the file
/// # Ok::<(), gannet::error::Error>(())
/// ```
#[derive(Clone)]
pub struct Weights {
    file: String,
    listing: Listing,
    held: BTreeMap<String, Held>,
    /// Names that a loader may leave.
    spare: BTreeSet<String>,
    /// Names of the file that a layout left out, and why.
    left_out: Vec<(String, &'static str)>,
}

/// A tensor that was not taken yet.
#[derive(Clone)]
struct Held {
    at: At,
    /// Changes applied to its numbers after reading.
    changes: &'static [Change],
}

#[derive(Clone)]
enum At {
    File(Lazy),
    Memory(Tensor),
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weights")
            .field("file", &self.file)
            .field("left", &self.held.keys())
            .finish_non_exhaustive()
    }
}

impl Weights {
    /// The tensors of a file; `listing` holds what is known beside them.
    pub(crate) fn of_file(
        file: &str,
        tensors: BTreeMap<String, Lazy>,
        mut listing: Listing,
    ) -> Self {
        let shape =
            |(n, t): (&String, &Lazy)| (n.clone(), Shape { dtype: t.dtype, shape: t.shape() });
        listing.tensors = tensors.iter().map(shape).collect();
        let held = |(name, lazy)| (name, Held { at: At::File(lazy), changes: &[] });
        let held = tensors.into_iter().map(held).collect();
        Self { file: one_line(file), listing, held, spare: BTreeSet::new(), left_out: Vec::new() }
    }

    /// Tensors in memory; errors call them `name`. A variable stays the variable that it
    /// is.
    pub fn of_tensors(name: &str, tensors: BTreeMap<String, Tensor>) -> Self {
        let shape = |(n, t): (&String, &Tensor)| {
            (n.clone(), Shape { dtype: dtype(t), shape: t.dims().to_vec() })
        };
        let listing =
            Listing { tensors: tensors.iter().map(shape).collect(), ..Listing::default() };
        let held = |(name, t)| (name, Held { at: At::Memory(t), changes: &[] });
        let held = tensors.into_iter().map(held).collect();
        Self { file: one_line(name), listing, held, spare: BTreeSet::new(), left_out: Vec::new() }
    }

    /// These tensors, and those of `base` whose names are not among them.
    #[must_use]
    pub fn over(mut self, base: Self) -> Self {
        for (name, held) in base.held {
            if let Some(shape) = base.listing.tensors.get(&name)
                && !self.has(&name)
            {
                self.listing.tensors.insert(name.clone(), shape.clone());
                self.held.insert(name, held);
            }
        }
        self
    }

    /// Adds the configuration that lies beside the file; `shared` when any model of the folder may
    /// be meant by its name.
    pub(crate) fn set_beside(&mut self, settings: serde_json::Value, shared: bool) {
        self.listing.beside = settings;
        self.listing.shared = shared;
    }

    /// The file's name, safe to print.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// All tensors by name, taken or not, and what the file says beside them.
    pub fn list(&self) -> &Listing {
        &self.listing
    }

    /// Whether a tensor of that name is there, taken or not.
    pub fn has(&self, name: &str) -> bool {
        self.listing.has(name)
    }

    /// Names of the variables that were not taken yet.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let is = |held: &Held| matches!(&held.at, At::Memory(t) if t.is_variable());
        self.held.iter().filter(move |(_, held)| is(held)).map(|(name, _)| name.as_str())
    }

    /// The shape of a tensor, taken or not.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.listing.shape(name)
    }

    /// The tensors for which `name` gives one, by that name; all others are gone.
    ///
    /// # Errors
    /// When two tensors get the same name.
    pub fn chosen(self, name: impl Fn(&str) -> Option<String>) -> Result<Self> {
        self.placed(|old| Some((name(old)?, &[])))
    }

    /// As [`Weights::chosen`], with changes that are applied when a tensor is taken.
    ///
    /// # Errors
    /// As [`Weights::chosen`], and when a change does not fit a shape.
    pub fn placed(
        self,
        place: impl Fn(&str) -> Option<(String, &'static [Change])>,
    ) -> Result<Self> {
        let mut out = Self {
            file: self.file,
            listing: Listing { tensors: BTreeMap::new(), order: Vec::new(), ..self.listing },
            held: BTreeMap::new(),
            spare: BTreeSet::new(),
            left_out: self.left_out,
        };
        let mut shapes = self.listing.tensors;
        for (old, mut held) in self.held {
            let (Some((new, changes)), Some(mut shape)) = (place(&old), shapes.remove(&old)) else {
                continue;
            };
            if !changes.is_empty() {
                shape.shape = out.changed(&old, &shape.shape, changes, "this model")?;
                held.changes = changes;
            }
            if self.spare.contains(&old) {
                out.spare.insert(new.clone());
            }
            out.put(new, held, shape)?;
        }
        Ok(out)
    }

    /// The shape of a tensor after changes.
    fn changed(
        &self,
        name: &str,
        shape: &[usize],
        changes: &[Change],
        layout: &str,
    ) -> Result<Vec<usize>> {
        changes.iter().try_fold(shape.to_vec(), |sizes, change| {
            change.shape(&sizes).ok_or_else(|| {
                let rule = format!("tensor {} {sizes:?} is not one of the layout", quoted(name));
                self.wrong(format!("{rule} `{layout}`: {change:?} does not fit it"))
            })
        })
    }

    /// The same tensors, seen from below a prefix of their names; see [`Listing::below`].
    #[must_use]
    pub fn below(self, prefix: &str) -> Self {
        if prefix.is_empty() {
            return self;
        }
        let seen = |name: String| Listing::seen_from(prefix, &name);
        Self {
            listing: self.listing.below(prefix),
            held: self.held.into_iter().map(|(name, held)| (seen(name), held)).collect(),
            spare: self.spare.into_iter().map(seen).collect(),
            ..self
        }
    }

    /// The tensors of the file that its layout leaves out, as seen from the generator, and why.
    pub fn left_out(&self) -> &[(String, &'static str)] {
        &self.left_out
    }

    /// The tensors by the names of a layout, with its changes applied when they are taken; ignored
    /// tensors are dropped. Those of a list replace the parameters whose averages they are.
    ///
    /// # Errors
    /// When two tensors get the same name, a change does not fit a shape, or a list does not fit
    /// the parameters.
    pub fn renamed(mut self, layout: &Layout) -> Result<Self> {
        self.replace_listed(layout)?;
        let mut out = Self {
            file: self.file,
            listing: Listing { tensors: BTreeMap::new(), order: Vec::new(), ..self.listing },
            held: BTreeMap::new(),
            spare: BTreeSet::new(),
            left_out: self.left_out,
        };
        let mut shapes = self.listing.tensors;
        for (name, held) in self.held {
            let Some(mut shape) = shapes.remove(&name) else { continue };
            let (to, changes) = match layout.place(&name) {
                Placed::Named(to, changes) => (to, changes),
                Placed::Spare(to, changes) => {
                    out.spare.insert(to.clone());
                    (to, changes)
                }
                Placed::Listed(..) => continue,
                Placed::Ignored(why) => {
                    out.left_out.push((name, why));
                    continue;
                }
            };
            shape.shape = out.changed(&name, &shape.shape, changes, layout.name)?;
            out.put(to, Held { at: held.at, changes }, shape)?;
        }
        Ok(out)
    }

    /// Gives parameters the numbers that a list of the file has for them.
    fn replace_listed(&mut self, layout: &Layout) -> Result<()> {
        let owners = listed::owners(&self.listing, layout).map_err(|rule| {
            self.wrong(format!("{rule}, as layout `{}` reads it", layout.name))
                .hint("the file is not whole, or of a changed architecture")
        })?;
        for (item, owner) in owners {
            let (held, shape) = (self.held.remove(&item), self.listing.tensors.remove(&item));
            if let (Some(held), Some(shape)) = (held, shape) {
                self.left_out.push((owner.clone(), "a list in the file has its average"));
                self.held.insert(owner.clone(), held);
                self.listing.tensors.insert(owner, shape);
            }
        }
        Ok(())
    }

    /// Adds a tensor under a name that must be free.
    fn put(&mut self, name: String, held: Held, shape: Shape) -> Result<()> {
        if self.held.insert(name.clone(), held).is_some() {
            return Err(self.wrong(format!("two tensors are called {} here", quoted(&name))));
        }
        self.listing.tensors.insert(name, shape);
        Ok(())
    }

    /// Reads a tensor of that shape, in single precision and in main memory.
    ///
    /// # Errors
    /// When it is missing (the nearest name is offered), of another shape or taken already, when
    /// it cannot be read, and when a number of it is not finite.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        match self.listing.shape(name) {
            None => Err(self.missing(name, shape)),
            Some(found) if found != shape => {
                let rule = format!("tensor {} is {found:?}, {shape:?} is needed", quoted(name));
                let hint = "its settings and its tensors do not belong together";
                Err(self.wrong(rule).hint(hint))
            }
            Some(_) => match self.held.remove(name) {
                Some(held) => held.tensor(name),
                None => Err(self.wrong(format!("tensor {} is taken twice", quoted(name)))),
            },
        }
    }

    /// As [`Weights::take`], for a tensor of any shape.
    ///
    /// # Errors
    /// As [`Weights::take`].
    pub fn take_any(&mut self, name: &str) -> Result<Tensor> {
        let shape = self.listing.shape(name).unwrap_or_default().to_vec();
        self.take(name, &shape)
    }

    /// As [`Weights::take`], in the type that the file has.
    ///
    /// # Errors
    /// As [`Weights::take`].
    pub fn take_array(&mut self, name: &str) -> Result<Array> {
        match self.held.remove(name) {
            Some(held) => held.array(name),
            None => Err(self.missing(name, self.listing.shape(name).unwrap_or_default())),
        }
    }

    /// All tensors that were not taken yet, in the types that the file has.
    ///
    /// # Errors
    /// As [`Weights::take`].
    pub fn arrays(self) -> Result<BTreeMap<String, Array>> {
        self.held.into_iter().map(|(n, held)| held.array(&n).map(|a| (n, a))).collect()
    }

    /// The names of tensors that were not taken and that no layout declares optional.
    pub fn unused(&self) -> Vec<&str> {
        self.held.keys().filter(|n| !self.spare.contains(*n)).map(String::as_str).collect()
    }

    /// Ends the taking.
    ///
    /// # Errors
    /// When tensors are left over: the file holds something that its reader does not know.
    pub fn finish(&self) -> Result<()> {
        let left = self.unused();
        let Some(first) = left.first() else { return Ok(()) };
        let shape = self.listing.shape(first).unwrap_or_default();
        let rule = match left.len() {
            1 => format!("tensor {} {shape:?} belongs to no part of the model", quoted(first)),
            n => format!(
                "{n} tensors belong to no part of the model, {} {shape:?} for one",
                quoted(first)
            ),
        };
        Err(self.wrong(rule).hint(
            "the file is of a changed architecture: convert it without these, or use another",
        ))
    }

    /// Sha256 over the tensors as f32, hexadecimal: the same before and after conversion, in any
    /// container. Reads every tensor once without keeping it.
    ///
    /// Sorted by name; of each: the name's length and bytes, the rank, the sizes (u64, little
    /// endian), the values (f32, little endian). Tensors that a layout lets a loader leave do not
    /// count.
    ///
    /// # Errors
    /// When a tensor cannot be read or holds a number that is not finite.
    pub fn fingerprint(&self) -> Result<String> {
        // One thread reads and checks a tensor while another hashes the one before.
        std::thread::scope(|scope| {
            let (send, read) = mpsc::sync_channel::<(&String, Array)>(0);
            let hasher = scope.spawn(move || {
                let mut hash = Sha256::new();
                read.iter().for_each(|(name, array)| add(&mut hash, name, &array));
                hash.finalize()
            });
            for (name, held) in self.held.iter().filter(|(n, _)| !self.spare.contains(*n)) {
                if send.send((name, held.array(name)?)).is_err() {
                    break;
                }
            }
            drop(send);
            match hasher.join() {
                Ok(hash) => Ok(hex(&hash)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// A broken rule, with the file's name.
    fn wrong(&self, rule: String) -> Error {
        Error::new(Kind::Format, rule).note(format!("in {}", self.file))
    }

    fn missing(&self, name: &str, shape: &[usize]) -> Error {
        let e = self.wrong(format!("tensor {} {shape:?} is missing", quoted(name)));
        let e = match self.nearest(name) {
            Some(near) => e.note(format!("the file has {}", quoted(near))),
            None => e,
        };
        e.hint("the file is not whole, or not of this family: `gannet info` shows what it holds")
    }

    /// The known name that is most similar to a missing one.
    fn nearest(&self, name: &str) -> Option<&str> {
        let distance = |n: &&String| {
            strsim::damerau_levenshtein(name, &n.chars().take(200).collect::<String>())
        };
        let best = self.held.keys().map(|n| (distance(&n), n)).min()?;
        (best.0 <= name.len() / 3 + 1).then_some(best.1)
    }
}

/// Adds a tensor to a fingerprint.
fn add(hash: &mut Sha256, name: &str, array: &Array) {
    hash.update((name.len() as u64).to_le_bytes());
    hash.update(name);
    hash.update((array.shape.len() as u64).to_le_bytes());
    array.shape.iter().for_each(|&n| hash.update((n as u64).to_le_bytes()));
    array.each_f32_block(|block| hash.update(block));
}

impl Held {
    /// Its numbers in the type that they have, changed.
    fn array(&self, name: &str) -> Result<Array> {
        let array = match &self.at {
            At::File(lazy) => lazy.load(name)?,
            At::Memory(t) => {
                let values = t.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1()?;
                Array { shape: t.dims().to_vec(), data: super::array::Data::F32(values) }
            }
        };
        if self.changes.is_empty() {
            return Ok(array);
        }
        let mut shape = array.shape.clone();
        let mut values = array.into_f32();
        for change in self.changes {
            values = change.apply(&shape, values);
            shape = change.shape(&shape).unwrap_or(shape);
        }
        Ok(Array { shape, data: super::array::Data::F32(values) })
    }

    /// The same in single precision; variables are returned unchanged.
    fn tensor(&self, name: &str) -> Result<Tensor> {
        match &self.at {
            At::Memory(t) if self.changes.is_empty() => {
                Ok(if t.dtype() == candle_core::DType::F32 {
                    t.clone()
                } else {
                    t.to_dtype(candle_core::DType::F32)?
                })
            }
            _ => {
                let array = self.array(name)?;
                let shape = array.shape.clone();
                Ok(Tensor::from_vec(array.into_f32(), shape, &Device::Cpu)?)
            }
        }
    }
}

/// The element type of a tensor in memory.
fn dtype(t: &Tensor) -> DType {
    match t.dtype() {
        candle_core::DType::F16 => DType::F16,
        candle_core::DType::BF16 => DType::BF16,
        candle_core::DType::F64 => DType::F64,
        candle_core::DType::U8 => DType::U8,
        candle_core::DType::I64 => DType::I64,
        _ => DType::F32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::layout::Rule;

    fn weights(names: &[&str]) -> Weights {
        let one = |n: &&str| (n.to_string(), Tensor::new(&[0f32], &Device::Cpu).unwrap());
        Weights::of_tensors("f", names.iter().map(one).collect())
    }

    #[test]
    fn both_ends_come_out_empty_or_say_why() {
        let mut w = weights(&["b4.const", "extra"]);
        let e = w.take("b4.konst", &[1]).unwrap_err();
        let said = "tensor `b4.konst` [1] is missing; in f; the file has `b4.const`";
        assert!(e.to_string().starts_with(said), "{e}");
        assert!(e.repair().is_some());
        let e = w.take("b4.const", &[2, 3]).unwrap_err().to_string();
        assert!(e.starts_with("tensor `b4.const` is [1], [2, 3] is needed"), "{e}");
        assert!(w.take("b4.const", &[1]).is_ok());
        let e = w.take("b4.const", &[1]).unwrap_err().to_string();
        assert!(e.contains("taken twice"), "{e}");
        assert_eq!(w.unused(), ["extra"]);
        let e = w.finish().unwrap_err().to_string();
        assert!(e.contains("`extra` [1] belongs to no part"), "{e}");
        assert!(w.take_any("extra").is_ok());
        assert!(w.finish().is_ok());
    }

    #[test]
    fn layouts_rename_change_spare_and_drop() {
        const TABLE: Layout = Layout {
            name: "test",
            detect: |_| true,
            rules: &[
                Rule::changed("style.{n}", "fc{n-1}", &[Change::Squeeze(0), Change::Add(1.0)]),
                Rule::spare("{*}filter", "it follows"),
                Rule::ignored("d.{*}", "the discriminator"),
            ],
            settings: |l| Ok(l.config.clone()),
        };
        let mut w = weights(&["style.1", "a.filter", "d.x", "other"]).renamed(&TABLE).unwrap();
        let names: Vec<&String> = w.list().tensors.keys().collect();
        assert_eq!(names, ["a.filter", "fc0", "other"]);
        let before = w.fingerprint().unwrap();
        assert_eq!(w.take("fc0", &[]).unwrap().to_scalar::<f32>().unwrap(), 1.0);
        assert_eq!(w.unused(), ["other"]);
        // Optional tensors do not count towards the fingerprint, required ones do.
        let without = weights(&["style.1", "other"]).renamed(&TABLE).unwrap();
        assert_eq!(without.fingerprint().unwrap(), before);
        let other = weights(&["style.2", "other"]).renamed(&TABLE).unwrap();
        assert_ne!(other.fingerprint().unwrap(), before);
        let e = weights(&["style.1", "fc0"]).renamed(&TABLE).unwrap_err();
        assert!(e.message().contains("two tensors are called `fc0`"), "{e}");
    }

    #[test]
    fn a_change_that_does_not_fit_is_named() {
        const TABLE: Layout = Layout {
            name: "test",
            detect: |_| true,
            rules: &[Rule::changed("a", "b", &[Change::Flip])],
            settings: |l| Ok(l.config.clone()),
        };
        let e = weights(&["a"]).renamed(&TABLE).unwrap_err();
        assert!(e.message().contains("`a` [1]") && e.message().contains("Flip"), "{e}");
    }
}
