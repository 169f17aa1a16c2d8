//! The state of one image's optimisation in a file: tensors and a header, as safetensors.
//!
//! Written whole or not at all (a temporary file, synced, then renamed). A resumed run gives the
//! same bytes as one that was never interrupted: all tensors are kept in full precision, and random
//! numbers depend on seed, image and step alone.

use super::descend::{Best, State};
use super::problem::Problem;
use super::{Adam, Config, Trace};
use crate::error::{Error, Kind, Result};
use crate::limits::LIMITS;
use crate::store::{Disk, Files, write_atomic};
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// The key of the header in the file's metadata.
const HEADER: &str = "gannet.inversion";

/// All but the tensors.
#[derive(serde::Serialize, serde::Deserialize)]
struct Header {
    /// What ran; a checkpoint of another run is refused.
    run: String,
    step: usize,
    adam_steps: usize,
    best_step: Option<usize>,
    finished: bool,
    stopped: Option<usize>,
    diverged: Option<usize>,
    trace_total: usize,
    trace_names: Vec<String>,
    params: usize,
    maps: usize,
}

/// Names a run: configuration, generator, target, key and version.
fn run_of(problem: &Problem) -> Result<String> {
    let encoder = problem.job.encoder.filter(|_| problem.config.method.encodes());
    Ok(format!(
        "{} · encoder {} · generator {} · target {} · key {} · features {} · gannet {}",
        problem.config.describe()?,
        encoder.map_or("none", |e| e.name()),
        problem.job.generator.spec().fingerprint,
        problem.target_hash,
        problem.key,
        problem.perceptual_mark()?,
        env!("CARGO_PKG_VERSION")
    ))
}

fn path_of(config: &Config, (i, n): (usize, usize)) -> Option<PathBuf> {
    let path = &config.checkpoint.as_ref()?.path;
    if n == 1 {
        return Some(path.clone());
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{i}"));
    Some(name.into())
}

/// Removes the checkpoints of a run that has ended.
pub(super) fn remove_all(config: &Config, count: usize) {
    for i in 0..count {
        if let Some(path) = path_of(config, (i, count)) {
            // It may never have been written.
            let _ = fs::remove_file(path);
        }
    }
}

/// Saves the state; does nothing without a path.
pub(super) fn save(problem: &Problem, state: &State) -> Result<()> {
    let Some(path) = path_of(problem.config, problem.place) else { return Ok(()) };
    let header = Header {
        run: run_of(problem)?,
        step: state.step,
        adam_steps: state.adam.steps(),
        best_step: state.best.as_ref().map(|b| b.step),
        finished: state.finished,
        stopped: state.stopped,
        diverged: state.diverged,
        trace_total: state.trace.total,
        trace_names: state.trace.names.clone(),
        params: state.params.len(),
        maps: state.best.as_ref().map_or(0, |b| b.maps.len()),
    };
    let header = serde_json::to_string(&header)
        .map_err(|e| Error::runtime(format!("checkpoint header: {e}")))?;
    let tensors = tensors_of(state)?;
    let views = tensors.iter().map(|(name, raw)| Ok((name.as_str(), raw.view()?)));
    let views = views.collect::<Result<Vec<(&str, TensorView)>>>()?;
    let bytes = safetensors::serialize(views, Some(HashMap::from([(HEADER.to_string(), header)])))
        .map_err(|e| Error::runtime(format!("checkpoint: {e}")))?;
    write_whole(&path, &bytes)
}

/// The saved state of exactly this run, `None` when there is no file.
pub(super) fn load(problem: &Problem) -> Result<Option<State>> {
    let Some(path) = path_of(problem.config, problem.place) else { return Ok(None) };
    match fs::metadata(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(format!("reading checkpoint {}", path.display()), &e)),
        Ok(m) if m.len() > LIMITS.model_bytes => {
            return Err(Error::new(
                Kind::Limit,
                format!("checkpoint {} is too large", path.display()),
            ));
        }
        Ok(_) => {}
    }
    let bytes = Disk
        .read(&path, LIMITS.model_bytes)
        .map_err(|e| Error::io(format!("reading checkpoint {}", path.display()), &e))?;
    let broken = |what: String| {
        let place = path.display().to_string();
        Error::new(Kind::Format, format!("{}: {what}", crate::safe::Safe(&place)))
            .hint("remove the checkpoint to start anew")
    };
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| broken(e.to_string()))?;
    let text = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(HEADER))
        .ok_or_else(|| broken("no header".into()))?;
    let header: Header = serde_json::from_str(text).map_err(|e| broken(e.to_string()))?;
    if header.run != run_of(problem)? {
        return Err(broken("it belongs to another run".into())
            .note(crate::safe::Safe(&header.run).to_string()));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|e| broken(e.to_string()))?;
    state_of(&header, &file, problem.job.generator.device())
        .map(Some)
        .map_err(|e| broken(e.to_string()))
}

/// A tensor's bytes.
struct Raw {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Raw {
    fn singles(t: &Tensor) -> Result<Self> {
        let values =
            t.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
        Ok(Self { dtype: Dtype::F32, shape: t.dims().to_vec(), bytes })
    }

    fn doubles(values: &[f64]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { dtype: Dtype::F64, shape: vec![values.len()], bytes }
    }

    fn view(&self) -> Result<TensorView<'_>> {
        TensorView::new(self.dtype, self.shape.clone(), &self.bytes)
            .map_err(|e| Error::runtime(format!("checkpoint tensor: {e}")))
    }
}

fn tensors_of(state: &State) -> Result<BTreeMap<String, Raw>> {
    let mut all = BTreeMap::new();
    let (first, second) = state.adam.state();
    for (name, list) in [("param", state.params.as_slice()), ("first", first), ("second", second)] {
        for (i, t) in list.iter().enumerate() {
            all.insert(format!("{name}.{i}"), Raw::singles(t)?);
        }
    }
    if let Some(best) = &state.best {
        all.insert("best.code".into(), Raw::singles(&best.code)?);
        all.insert("best.picture".into(), Raw::singles(&best.picture)?);
        all.insert("best.loss".into(), Raw::doubles(&[best.loss]));
        for (i, t) in best.maps.iter().enumerate() {
            all.insert(format!("best.map.{i}"), Raw::singles(t)?);
        }
    }
    let steps: Vec<f64> = state.trace.steps.iter().map(|&s| s as f64).collect();
    all.insert("trace.steps".into(), Raw::doubles(&steps));
    all.insert("trace.terms".into(), Raw::doubles(&state.trace.terms.concat()));
    Ok(all)
}

fn state_of(header: &Header, file: &SafeTensors, device: &Device) -> Result<State> {
    let view = |name: &str| file.tensor(name).map_err(|e| Error::runtime(format!("`{name}`: {e}")));
    let single = |name: &str| -> Result<Tensor> {
        let v = view(name)?;
        let values: Vec<f32> =
            v.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        Ok(Tensor::from_vec(values, v.shape(), &Device::Cpu)?.to_device(device)?)
    };
    let doubles = |name: &str| -> Result<Vec<f64>> {
        Ok(view(name)?.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
    };
    let list = |name: &str, n: usize| {
        (0..n).map(|i| single(&format!("{name}.{i}"))).collect::<Result<Vec<Tensor>>>()
    };
    let best = match header.best_step {
        Some(step) => Some(Best {
            loss: doubles("best.loss")?
                .first()
                .copied()
                .ok_or_else(|| Error::runtime("`best.loss` is empty"))?,
            step,
            code: single("best.code")?,
            maps: list("best.map", header.maps)?,
            picture: single("best.picture")?,
        }),
        None => None,
    };
    let width = header.trace_names.len().max(1);
    let trace = Trace {
        total: header.trace_total,
        names: header.trace_names.clone(),
        steps: doubles("trace.steps")?.into_iter().map(|s| s as usize).collect(),
        terms: doubles("trace.terms")?.chunks(width).map(<[f64]>::to_vec).collect(),
    };
    Ok(State {
        params: list("param", header.params)?,
        adam: Adam::restore(
            header.adam_steps,
            list("first", header.params)?,
            list("second", header.params)?,
        )?,
        step: header.step,
        best,
        trace,
        finished: header.finished,
        stopped: header.stopped,
        diverged: header.diverged,
        unsaved: None,
    })
}

/// Whole or absent: a temporary file beside it, synced, then renamed over it.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
    folder
        .map_or(Ok(()), |f| Disk.make_folder(f))
        .and_then(|()| write_atomic(&Disk, path, bytes))
        .map_err(|e| Error::io(format!("writing checkpoint {}", path.display()), &e))
}
