//! The state of a fit in a file, written whole or not at all; a fit that goes on from it gives the
//! bytes of one that was never interrupted.

use super::network::Named;
use crate::error::{Error, Kind, Result};
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::store::{Disk, Files, write_atomic};
use crate::weights::{self, Array, Manifest, safetensors};
use candle_core::{DType, Device};
use std::path::Path;

/// The family of such a file.
const FAMILY: &str = "encoder in training";

/// All but the tensors.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Header {
    /// What is fitted to what; a state of something else is refused.
    pub of: String,
    /// Samples that are in the pool, held-out ones among them.
    pub drawn: usize,
    /// Steps done.
    pub step: usize,
    /// The step whose weights are best so far, and their error.
    pub best: (usize, f64),
    /// R² of the ridge regression.
    pub r2_ridge: f64,
    /// Seconds so far.
    pub seconds: f64,
}

/// Saves a state.
///
/// # Errors
/// When it cannot be written.
pub fn save(path: &Path, header: &Header, tensors: &Named) -> Result<()> {
    let mut arrays = std::collections::BTreeMap::new();
    for (name, t) in tensors {
        let t = t.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        let array = Array::f32(t.dims(), t.flatten_all()?.to_vec1()?);
        let array = array.ok_or_else(|| Error::runtime("a tensor of the state is broken"))?;
        arrays.insert(name.clone(), array);
    }
    let config = serde_json::to_value(header)
        .map_err(|e| Error::runtime(format!("the state of the fit: {e}")))?;
    let manifest =
        Manifest { format: 1, family: FAMILY.into(), config, provenance: serde_json::Value::Null };
    let bytes = safetensors::write_f32(&arrays, Some(&manifest))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    Disk.make_folder(folder)
        .and_then(|()| write_atomic(&Disk, path, &bytes))
        .map_err(|e| Error::io(format!("writing the state of the fit {}", path.display()), &e))
}

/// The state in a file; `None` where there is none.
///
/// # Errors
/// When it is damaged, or belongs to something else.
pub fn load(path: &Path, of: &str, device: &Device) -> Result<Option<(Header, Named)>> {
    if !path.exists() {
        return Ok(None);
    }
    let broken = |what: &str| {
        let shown = path.to_string_lossy();
        Error::new(Kind::Format, format!("{}: {what}", Safe(&shown)))
            .hint("remove it: the fit begins again")
    };
    let mut file = weights::open(path, &LIMITS)?;
    let header: Header = serde_json::from_value(file.config().clone())
        .map_err(|_| broken("it is not the state of a fit"))?;
    if file.family() != Some(FAMILY) || header.of != of {
        return Err(broken("it belongs to another fit"));
    }
    let names: Vec<String> = file.weights.list().tensors.keys().cloned().collect();
    let mut tensors = Named::new();
    for name in names {
        let t = file.weights.take_any(&name)?.to_device(device)?;
        tensors.insert(name, t);
    }
    Ok(Some((header, tensors)))
}
