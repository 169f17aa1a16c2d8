//! The state of one image's search in a file: tensors and a header, as safetensors.
//!
//! Written whole or not at all (a temporary file, synced, then renamed). A resumed run gives the
//! same bytes as one that was never interrupted: all tensors are kept in full precision, and random
//! numbers depend on seed, image and step alone. The optimizer saves itself, under its name.

use super::config::Config;
use super::hash::content_hash;
use super::objective::OF_WEIGHTS;
use super::optimize::{Saved, Stored};
use super::problem::{Problem, Run};
use super::state::{Best, State, fresh};
use super::trace::Trace;
use crate::error::{Error, Kind, Result};
use crate::latent::{Part, Parts};
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::store::{Disk, Files, write_atomic};
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// The key of the header in the file's metadata.
const HEADER: &str = "gannet.inversion";
/// The format of header and tensors; files of another one are refused.
pub const FORMAT: u64 = 4;
/// Prefix of the names of the optimizer's parts.
const OPTIMIZER: &str = "optimizer.";
/// Prefixes of the parts of the current and of the best point.
const NOW: &str = "now.";
const BEST: &str = "best.part.";
/// The part of the picture that the generator reaches.
const DOMAIN: &str = "domain";

/// All but the tensors.
#[derive(serde::Serialize, serde::Deserialize)]
struct Header {
    format: u64,
    /// Fingerprint of the run; a checkpoint of another run is refused.
    run: String,
    phase: usize,
    taken: usize,
    step: usize,
    optimizer: Option<String>,
    best_step: Option<usize>,
    /// [`State::mark`], the loss by its bits.
    #[serde(default)]
    mark: Option<(usize, u64)>,
    /// [`State::halved`].
    #[serde(default)]
    halved: (u32, usize),
    /// [`State::draws`], by their bits.
    draws: Vec<u64>,
    finished: bool,
    stopped: Option<usize>,
    diverged: Option<usize>,
    trace_total: usize,
    trace_names: Vec<String>,
}

impl Header {
    fn new(problem: &Problem<'_, '_>, state: &State) -> Result<Self> {
        Ok(Self {
            format: FORMAT,
            run: name_of(problem)?,
            phase: state.phase,
            taken: state.taken,
            step: state.step,
            optimizer: state.optimizer.as_ref().map(|o| o.name().to_owned()),
            best_step: state.best.as_ref().map(|b| b.step),
            mark: state.mark.map(|(step, loss)| (step, loss.to_bits())),
            halved: state.halved,
            draws: state.draws.iter().map(|d| d.to_bits()).collect(),
            finished: state.finished,
            stopped: state.stopped,
            diverged: state.diverged,
            trace_total: state.trace.total,
            trace_names: state.trace.names.clone(),
        })
    }

    /// Parses the text in a file.
    fn read(text: &str) -> Result<Self, String> {
        let all: serde_json::Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        match all.get("format").and_then(serde_json::Value::as_u64) {
            Some(FORMAT) => serde_json::from_value(all).map_err(|e| e.to_string()),
            _ => Err("it was written by another version of gannet".into()),
        }
    }
}

/// Names the run of an image: configuration, generator, target, key and version.
fn name_of(problem: &Problem<'_, '_>) -> Result<String> {
    if let Some(known) = problem.name.get() {
        return Ok(known.clone());
    }
    let Run { job, config, phases, .. } = problem.run;
    let encoder = job.encoder.filter(|_| config.reads_encoder());
    let mut readers = OF_WEIGHTS.into_iter().chain(["perceptual"]);
    let weighed = readers.any(|term| phases.iter().any(|p| p.weight_of(term) > 0.0));
    // Feature networks are compared by their features of the target: name and weights may both have
    // changed.
    let features = match job.perceptual.filter(|_| weighed) {
        Some(network) => network.taps(&problem.picture)?.last().map(content_hash).transpose()?,
        None => None,
    };
    let name = format!(
        "{} · encoder {}{} · generator {} · target {}{} · key {} · features {}{}{}{} · gannet {}",
        config.describe()?,
        encoder.map_or("none", |e| e.name()),
        job.companion.map(|c| format!(" · {}", c.name())).unwrap_or_default(),
        job.generator.spec().fingerprint,
        problem.target_hash,
        problem.beside.as_ref().map(|all| format!(" of {all}")).unwrap_or_default(),
        problem.key,
        features.as_deref().unwrap_or("none"),
        job.lpips.map(|l| format!(" · lpips {}", l.fingerprint())).unwrap_or_default(),
        job.recognition.map(|r| format!(" · recogniser {}", r.fingerprint())).unwrap_or_default(),
        job.discriminator
            .map(|d| format!(" · discriminator {}", d.fingerprint()))
            .unwrap_or_default(),
        env!("CARGO_PKG_VERSION")
    );
    Ok(problem.name.get_or_init(|| name).clone())
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
pub(super) fn save(problem: &Problem<'_, '_>, state: &State) -> Result<()> {
    let place = (problem.place, problem.run.count);
    let Some(path) = path_of(&problem.run.config, place) else { return Ok(()) };
    let header = serde_json::to_string(&Header::new(problem, state)?)
        .map_err(|e| Error::runtime(format!("checkpoint header: {e}")))?;
    let tensors = tensors_of(state)?;
    let views = tensors.iter().map(|(name, raw)| Ok((name.as_str(), raw.view()?)));
    let views = views.collect::<Result<Vec<(&str, TensorView)>>>()?;
    let bytes = safetensors::serialize(views, Some(HashMap::from([(HEADER.to_string(), header)])))
        .map_err(|e| Error::runtime(format!("checkpoint: {e}")))?;
    write_whole(&path, &bytes)
}

/// The saved state of exactly this run, `None` when there is no file.
pub(super) fn load(problem: &Problem<'_, '_>) -> Result<Option<State>> {
    let place = (problem.place, problem.run.count);
    let Some(path) = path_of(&problem.run.config, place) else { return Ok(None) };
    let Some(bytes) = read(&path)? else { return Ok(None) };
    let broken = |what: String| {
        let place = path.display().to_string();
        Error::new(Kind::Format, format!("{}: {what}", Safe(&place)))
            .hint("remove the checkpoint to start anew")
    };
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| broken(e.to_string()))?;
    let text = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(HEADER))
        .ok_or_else(|| broken("no header".into()))?;
    let header = Header::read(text).map_err(broken)?;
    if header.run != name_of(problem)? {
        return Err(broken("it belongs to another run".into()).note(Safe(&header.run).to_string()));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|e| broken(e.to_string()))?;
    state_of(&header, &File { file, device: problem.device() }, problem.run)
        .map(Some)
        .map_err(|e| broken(e.message().to_owned()))
}

/// The bytes of a checkpoint, `None` when there is no file.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match Disk.read(path, LIMITS.model_bytes) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) if e.kind() == std::io::ErrorKind::FileTooLarge => {
            let text = format!("checkpoint {} is too large", Safe(&path.to_string_lossy()));
            Err(Error::new(Kind::Limit, text).hint("remove it to start anew"))
        }
        Err(e) => {
            Err(Error::io(format!("reading checkpoint {}", Safe(&path.to_string_lossy())), &e))
        }
    }
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
    for (part, t) in state.parts.iter() {
        all.insert(format!("{NOW}{}", part.name()), Raw::singles(t)?);
    }
    if let Some(domain) = &state.domain {
        all.insert(DOMAIN.into(), Raw::singles(domain)?);
    }
    for (name, part) in state.optimizer.iter().flat_map(|o| o.save()) {
        let raw = match &part {
            Stored::Tensor(t) => Raw::singles(t)?,
            Stored::Numbers(values) => Raw::doubles(values),
        };
        all.insert(format!("{OPTIMIZER}{name}"), raw);
    }
    if let Some(best) = &state.best {
        for (part, t) in best.parts.iter() {
            all.insert(format!("{BEST}{}", part.name()), Raw::singles(t)?);
        }
        all.insert("best.picture".into(), Raw::singles(&best.picture)?);
        all.insert("best.loss".into(), Raw::doubles(&[best.loss, best.least]));
    }
    let steps: Vec<f64> = state.trace.steps.iter().map(|&s| s as f64).collect();
    all.insert("trace.steps".into(), Raw::doubles(&steps));
    all.insert("trace.terms".into(), Raw::doubles(&state.trace.terms.concat()));
    Ok(all)
}

/// An open checkpoint.
struct File<'f> {
    file: SafeTensors<'f>,
    device: &'f Device,
}

impl File<'_> {
    fn view(&self, name: &str, dtype: Dtype) -> Result<TensorView<'_>> {
        let view = self.file.tensor(name).map_err(|e| Error::runtime(format!("`{name}`: {e}")))?;
        if view.dtype() == dtype {
            return Ok(view);
        }
        Err(Error::runtime(format!("`{name}` is of another type")))
    }

    fn has(&self, name: &str) -> bool {
        self.file.names().contains(&name)
    }

    fn single(&self, name: &str) -> Result<Tensor> {
        let v = self.view(name, Dtype::F32)?;
        let values: Vec<f32> =
            v.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        Ok(Tensor::from_vec(values, v.shape(), &Device::Cpu)?.to_device(self.device)?)
    }

    fn doubles(&self, name: &str) -> Result<Vec<f64>> {
        let view = self.view(name, Dtype::F64)?;
        Ok(view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
    }

    /// The parts of a point, whose names begin with a prefix.
    fn parts(&self, prefix: &str) -> Result<Parts> {
        let mut parts = Parts::of(self.single(&format!("{prefix}{}", Part::Point.name()))?);
        for name in self.file.names() {
            if let Some(part) = name.strip_prefix(prefix).and_then(Part::parse) {
                parts.insert(part, self.single(name)?);
            }
        }
        Ok(parts)
    }

    /// The parts that the optimizer saved.
    fn optimizer(&self) -> Result<Saved> {
        let mut saved = Saved::new();
        for (name, view) in self.file.tensors() {
            let Some(own) = name.strip_prefix(OPTIMIZER) else { continue };
            let part = match view.dtype() {
                Dtype::F32 => Stored::Tensor(self.single(&name)?),
                _ => Stored::Numbers(self.doubles(&name)?),
            };
            saved.insert(own.to_owned(), part);
        }
        Ok(saved)
    }
}

fn state_of(header: &Header, file: &File<'_>, run: &Run<'_>) -> Result<State> {
    let best = match header.best_step {
        Some(step) => {
            let losses = file.doubles("best.loss")?;
            let &[loss, least] = losses.as_slice() else {
                return Err(Error::runtime("`best.loss` is not two numbers"));
            };
            let (parts, picture) = (file.parts(BEST)?, file.single("best.picture")?);
            Some(Best { loss, least, step, parts, picture })
        }
        None => None,
    };
    let width = header.trace_names.len().max(1);
    let trace = Trace {
        total: header.trace_total,
        names: header.trace_names.clone(),
        steps: file.doubles("trace.steps")?.into_iter().map(|s| s as usize).collect(),
        terms: file.doubles("trace.terms")?.chunks(width).map(<[f64]>::to_vec).collect(),
    };
    let phase = run.phases.get(header.phase);
    let phase = phase.ok_or_else(|| Error::runtime("it is in a phase that does not exist"))?;
    let mut optimizer = fresh(phase);
    if optimizer.as_ref().map(|o| o.name()) != header.optimizer.as_deref() {
        return Err(Error::runtime("it holds the state of another optimizer"));
    }
    if let Some(optimizer) = &mut optimizer {
        optimizer.restore(&file.optimizer()?)?;
    }
    Ok(State {
        parts: file.parts(NOW)?,
        domain: file.has(DOMAIN).then(|| file.single(DOMAIN)).transpose()?,
        phase: header.phase,
        taken: header.taken,
        optimizer,
        step: header.step,
        best,
        mark: header.mark.map(|(step, bits)| (step, f64::from_bits(bits))),
        halved: header.halved,
        draws: header.draws.iter().map(|d| f64::from_bits(*d)).collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_other_formats_are_told_from_broken_ones() {
        let old = r#"{"run": "invert", "step": 3, "adam_steps": 3, "params": 1, "maps": 0}"#;
        for text in [old, r#"{"format": 3}"#, r#"{"format": 5}"#, r#"{"format": "4"}"#] {
            assert!(Header::read(text).err().unwrap().contains("another version"), "{text}");
        }
        assert!(Header::read(r#"{"format": 4}"#).err().unwrap().contains("missing"));
        assert!(Header::read("{").err().unwrap().contains("EOF"));
    }
}
