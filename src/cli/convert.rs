//! `convert`: a checkpoint in our own format or in one of other programs.
//!
//! Nothing is written before the result was read again: of a generator both are rendered and
//! compared, of codes and directions the numbers.

use super::{Common, out};
use crate::error::{Error, Kind, Result};
use crate::generator::registry;
use crate::generator::{Generator, Input, codes, export, load, spaces};
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::space::Space;
use crate::store::{Disk, write_atomic};
use crate::weights::{self, Array, Checkpoint, Saved, npy};
use candle_core::{Device, Tensor};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// The end of `convert --help`.
pub(super) const HELP: &str = "\
     The ending of OUT says what is written. Of a generator: .safetensors, gannet's own format \
     with settings and origin; .pt, a file that PyTorch opens, in the form of --to: nvidia, \
     {\"G_ema\": state dict} for G.load_state_dict of the official code, or rosinality, \
     {\"g_ema\": state dict, \"latent_avg\"} for that code, pSp and e4e. Of codes and directions: \
     .npy (one array), .npz (all by name), .pt (one tensor, or a dictionary of all). The result is \
     read again before it is kept: a generator must render the same picture.";

/// Largest difference of two pictures of the same generator, in [-1, 1].
const SAME: f32 = 1e-4;

/// `gannet convert`
pub(super) fn convert(common: &Common, from: &Path, to: &Path, form: Option<&str>) -> Result<u8> {
    super::prepare(common)?;
    if let (Ok(a), Ok(b)) = (from.canonicalize(), to.canonicalize())
        && a == b
    {
        let shown = Safe(&to.to_string_lossy()).to_string();
        return Err(Error::new(Kind::Usage, format!("{shown} would be written over itself"))
            .hint("name another file to write"));
    }
    let ending = to.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let file = weights::open(from, &LIMITS)?;
    let mut how = None;
    let no_generator = registry::recognise(file.clone()).err();
    let bytes = match (ending.as_str(), no_generator) {
        ("safetensors", None) if form.is_none_or(|f| f == "gannet") => {
            let bytes = crate::generator::convert(file.clone())?;
            same_picture(file, &bytes)?;
            bytes
        }
        ("pt" | "pth", None) => {
            let (bytes, form) = export::export(file.clone(), form)?;
            same_picture(file, &bytes)?;
            how = Some(form);
            bytes
        }
        ("npy" | "npz" | "pt" | "pth", Some(_)) if form.is_none() => vectors(file, &ending)?,
        ("safetensors", Some(reason)) => return Err(reason),
        (_, no_generator) => return Err(refused(to, no_generator.is_none())),
    };
    write_atomic(&Disk, to, &bytes)
        .map_err(|e| Error::io(format!("cannot write {}", Safe(&to.to_string_lossy())), &e))?;
    if let Some(form) = how {
        let line = if common.json {
            json!({"form": form.name, "opens": form.about}).to_string()
        } else {
            format!("{}: {}", form.name, form.about)
        };
        out(format!("{line}\n").as_bytes())?;
    }
    Ok(0)
}

fn refused(to: &Path, is_generator: bool) -> Error {
    let shown = to.to_string_lossy();
    let (what, hint) = if is_generator {
        ("a generator is written as .safetensors, or as .pt", "gannet convert IN OUT.safetensors")
    } else {
        ("codes and directions are written as .npy, .npz or .pt", "gannet convert IN OUT.npz")
    };
    Error::new(Kind::Usage, format!("{}: {what}", Safe(&shown))).hint(hint)
}

/// Renders one code with the generator of a file and with that of bytes made of it.
fn same_picture(file: Checkpoint, bytes: &[u8]) -> Result<()> {
    let name = file.file.clone();
    let before = load(file, &Device::Cpu)?;
    let again = weights::open_bytes(&name, bytes.to_vec(), &LIMITS)?;
    let after = load(again, &Device::Cpu)?;
    let (a, b) = (rendered(&*before)?, rendered(&*after)?);
    let apart = (a - b)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
    if apart <= SAME {
        return Ok(());
    }
    Err(Error::runtime(format!(
        "the converted generator renders another picture: pixels differ by up to {apart:.2e}"
    ))
    .note("nothing was written"))
}

/// The picture of one code of the prior, of the first class.
fn rendered(g: &dyn Generator) -> Result<Tensor> {
    let classes = g.spec().classes();
    let first = (0..classes).map(|class| f32::from(u8::from(class == 0)));
    let labels = Tensor::from_iter(first, &Device::Cpu)?.reshape((1, classes))?;
    let labels = (classes > 0).then_some(&labels);
    let draw = spaces::Draw { space: Space::Z, labels, ..spaces::Draw::default() };
    codes::synthesize(g, &spaces::sample(g, 1, draw)?, &Input::default())
}

/// The arrays of a file of codes or directions in another format, read again and compared.
fn vectors(file: Checkpoint, ending: &str) -> Result<Vec<u8>> {
    let name = file.file.clone();
    let arrays = file.weights.arrays()?;
    let bytes = match ending {
        "npz" => {
            let entry = |(n, a): (&String, &Array)| {
                let n = if n.is_empty() { "data" } else { n };
                Ok((format!("{n}.npy"), npy::to_bytes(a)?))
            };
            let all = arrays.iter().map(entry).collect::<Result<Vec<_>>>()?;
            weights::write_zip(all)?
        }
        "npy" => npy::to_bytes(single(&arrays).ok_or_else(|| {
            Error::new(Kind::Usage, format!("{} arrays do not fit in an npy", arrays.len()))
                .hint("gannet convert IN OUT.npz")
        })?)?,
        _ => {
            let value = match single(&arrays) {
                Some(one) => Saved::Tensor(one.clone()),
                None => Saved::tensors(arrays.clone()),
            };
            weights::write_torch(&value)?
        }
    };
    let again = weights::open_bytes(&name, bytes.clone(), &LIMITS)?.weights.arrays()?;
    if again.values().ne(arrays.values()) {
        return Err(Error::runtime("the converted arrays are not those of the file")
            .note("nothing was written"));
    }
    Ok(bytes)
}

/// The array of a file that holds one.
fn single(arrays: &BTreeMap<String, Array>) -> Option<&Array> {
    arrays.values().next().filter(|_| arrays.len() == 1)
}
