//! From a model file's content to a generator.

use super::stylegan2::{Given, SPACES, Source, StyleGan2};
use super::{Generator, Inputs, Spec};
use crate::error::{Error, Kind, Result};
use crate::safe::Safe;
use crate::weights::{Checkpoint, Info, fingerprint, remap::derived};
use candle_core::{Device, Tensor};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Families that can be run.
pub const FAMILIES: [&str; 1] = ["stylegan2"];

/// The generator that a checkpoint holds.
///
/// # Errors
/// When its family is unknown or missing, when tensors are missing, left over or of another shape,
/// and when its settings contradict its tensors.
pub fn load(checkpoint: &Checkpoint, device: &Device) -> Result<Arc<dyn Generator>> {
    match checkpoint.family.as_deref() {
        Some("stylegan2") => Ok(Arc::new(stylegan2(checkpoint, device)?)),
        other => Err(unknown(&checkpoint.file, other)),
    }
}

/// As [`load`], for a caller that needs more of a StyleGAN2 than the trait offers.
///
/// # Errors
/// As [`load`].
pub fn stylegan2(checkpoint: &Checkpoint, device: &Device) -> Result<StyleGan2> {
    let given = given(&checkpoint.file, &checkpoint.config)?;
    let mut source = Taking { checkpoint, taken: BTreeSet::new() };
    let id = fingerprint(&checkpoint.tensors);
    let g = StyleGan2::new(&mut source, &given, &id, device)
        .map_err(|e| e.note(format!("in {}", checkpoint.file)))?;
    source.finish()?;
    Ok(g)
}

/// The settings as the file says them; a nameless generator is called as its file.
fn given(file: &str, config: &serde_json::Value) -> Result<Given> {
    let mut given = if config.is_null() { Given::default() } else { Given::parse(config)? };
    if given.name.is_none() {
        given.name =
            std::path::Path::new(file).file_stem().map(|s| s.to_string_lossy().into_owned());
    }
    Ok(given)
}

fn unknown(file: &str, family: Option<&str>) -> Error {
    let known = FAMILIES.join(", ");
    let message = match family {
        Some(f) => format!("{file}: generators of the family `{}` cannot be run", Safe(f)),
        None => format!("{file}: this is not a known generator"),
    };
    Error::new(Kind::Format, message)
        .note(format!("known families: {known}"))
        .hint("`gannet info` shows what the file holds")
}

/// A checkpoint's tensors, each to be taken once.
struct Taking<'a> {
    checkpoint: &'a Checkpoint,
    taken: BTreeSet<String>,
}

impl Taking<'_> {
    fn finish(&self) -> Result<()> {
        let left: Vec<&String> = self
            .checkpoint
            .tensors
            .keys()
            .filter(|n| !self.taken.contains(*n) && !derived(n))
            .collect();
        let Some(first) = left.first() else { return Ok(()) };
        let file = &self.checkpoint.file;
        let message = format!(
            "{file}: {} tensors belong to no part of a StyleGAN2, `{}` for one",
            left.len(),
            Safe(first)
        );
        Err(Error::new(Kind::Format, message).hint(
            "the file is of a changed architecture: convert it without these, or use another",
        ))
    }
}

impl Source for Taking<'_> {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.checkpoint
            .tensors
            .get(name)
            .filter(|_| !self.taken.contains(name))
            .map(|a| a.shape.clone())
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        match self.checkpoint.tensors.get(name) {
            None => Err(Error::new(
                Kind::Format,
                format!("tensor `{}` {shape:?} is missing", Safe(name)),
            )
            .hint(
                "the file is not whole, or not of this family: `gannet info` shows what it holds",
            )),
            Some(a) if a.shape != shape => {
                let message =
                    format!("tensor `{}` is {:?}, {shape:?} is needed", Safe(name), a.shape);
                Err(Error::new(Kind::Format, message)
                    .hint("its settings and its tensors do not belong together"))
            }
            Some(a) => {
                self.taken.insert(name.to_owned());
                Ok(Tensor::from_vec(a.to_f32(), shape, &Device::Cpu)?)
            }
        }
    }
}

/// What a checkpoint would become, from its settings and the shapes of its tensors alone, so
/// without fingerprint and noise sizes; `None` for a family that is not synthesised.
///
/// # Errors
/// When settings and shapes contradict each other.
pub fn describe(file: &Info) -> Result<Option<Spec>> {
    if file.family.as_deref() != Some("stylegan2") {
        return Ok(None);
    }
    let shapes = Shapes(file);
    let c = given(&file.file, &file.config)?
        .complete(&shapes)
        .map_err(|e| e.note(format!("in {}", file.file)))?;
    let buffer =
        |name: &str| derived(name) || name.ends_with("noise_const") || name.ends_with("w_avg");
    let parameters = file
        .tensors
        .iter()
        .filter(|(n, _)| !buffer(n))
        .map(|(_, s)| s.shape.iter().product::<usize>());
    let styles = c.styles(&shapes);
    Ok(Some(Spec {
        name: c.name,
        family: "stylegan2".into(),
        width: c.img_resolution,
        height: c.img_resolution,
        channels: c.img_channels,
        z_dim: c.z_dim,
        w_dim: c.w_dim,
        c_dim: c.c_dim,
        num_ws: c.num_ws,
        spaces: SPACES.to_vec(),
        styles,
        layers: Vec::new(),
        inputs: Inputs { class: c.c_dim > 0, ..Inputs::default() },
        parameters: parameters.sum(),
        noise_sizes: Vec::new(),
        fingerprint: String::new(),
    }))
}

/// Shapes without numbers: enough to describe a generator, not to build it.
struct Shapes<'a>(&'a Info);

impl Source for Shapes<'_> {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.0.tensors.get(name).map(|s| s.shape.clone())
    }

    fn take(&mut self, name: &str, _: &[usize]) -> Result<Tensor> {
        Err(Error::runtime(format!("the numbers of {} were not read", Safe(name))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::toy::Toy;
    use crate::limits::LIMITS;
    use crate::weights::Array;
    use serde_json::json;

    fn checkpoint(toy: &Toy) -> Checkpoint {
        let g = toy.build(&Device::Cpu).expect("toy");
        let tensors = g.tensors().into_iter().map(|(k, t)| {
            let values = t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("values");
            (k, Array::f32(t.dims(), values).expect("array"))
        });
        Checkpoint {
            file: "toy.safetensors".into(),
            format: crate::weights::Format::Safetensors,
            family: Some("stylegan2".into()),
            config: json!({"img_resolution": toy.resolution}),
            provenance: serde_json::Value::Null,
            sha256: String::new(),
            bytes: 0,
            notes: Vec::new(),
            tensors: tensors.collect(),
        }
    }

    #[test]
    fn a_checkpoint_gives_back_the_generator_that_it_was_made_of() {
        let toy = Toy { resolution: 8, c_dim: 2, ..Toy::default() };
        let (a, c) = (toy.build(&Device::Cpu).expect("toy"), checkpoint(&toy));
        let b = load(&c, &Device::Cpu).expect("loaded");
        assert_eq!((b.spec().width, b.spec().c_dim, b.spec().name.as_str()), (8, 2, "toy"));
        assert_eq!(a.spec(), b.spec(), "the same tensors have the same fingerprint");
        // Through our own file format as well.
        let bytes = crate::weights::convert(&c).expect("converted");
        let again = crate::weights::open_bytes("toy.safetensors", bytes, &LIMITS).expect("read");
        assert_eq!(load(&again, &Device::Cpu).expect("loaded").spec(), a.spec());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let toy = Toy { resolution: 8, ..Toy::default() };
        let refused = |change: &dyn Fn(&mut Checkpoint)| {
            let mut c = checkpoint(&toy);
            change(&mut c);
            let e = load(&c, &Device::Cpu).err().expect("refused");
            assert!(e.repair().is_some(), "{e}");
            e.to_string()
        };
        let one = || Array::f32(&[1], vec![0.0]).expect("array");
        assert!(
            refused(&|c| c.family = Some("cyclegan".into())).contains("known families: stylegan2")
        );
        assert!(refused(&|c| c.family = None).contains("known families"));
        assert!(refused(&|c| drop(c.tensors.insert("extra".into(), one()))).contains("`extra`"));
        assert!(
            refused(&|c| drop(c.tensors.remove("synthesis.b8.conv0.bias")))
                .contains("synthesis.b8.conv0.bias")
        );
        assert!(
            refused(&|c| drop(c.tensors.insert("mapping.w_avg".into(), one())))
                .contains("mapping.w_avg")
        );
        assert!(
            refused(&|c| drop(c.tensors.remove("synthesis.b4.const")))
                .contains("synthesis.b4.const")
        );
        for (key, value) in [
            ("img_resolution", json!(16)),
            ("z_dim", json!(3)),
            ("num_ws", json!(18)),
            ("architecture", json!("resnet")),
            ("architecture", json!("other")),
            ("conv_clamp", json!(-1.0)),
            ("mapping_lr_multiplier", json!(0)),
            ("resample_filter", json!([1, -1])),
        ] {
            let text = refused(&|c| c.config = json!({key: value.clone()}));
            assert!(text.contains(key) || text.contains("configuration"), "{key}: {text}");
        }
    }
}
