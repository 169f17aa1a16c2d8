//! The samples of a generator that an encoder is fitted to: small pictures and their codes, drawn a
//! chunk at a time and kept in files, so that a second call draws none of them again.

use super::target;
use crate::control::{Control, Stop};
use crate::error::{Error, Kind, Result};
use crate::generator::{Generator, batch_size};
use crate::limits::LIMITS;
use crate::network::resize_to;
use crate::rng::Rng;
use crate::safe::Safe;
use crate::store::{Disk, Files, write_atomic};
use crate::weights::{self, Array, Data, safetensors};
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Samples of one chunk.
pub const CHUNK: usize = 16;

/// Some samples.
struct Chunk {
    /// Pictures `[16, C, R, R]`, in 256 steps as picture files have them.
    pictures: Tensor,
    /// Their codes, `[16, D]`.
    codes: Tensor,
    /// The labels of a conditional generator, `[16, C]`.
    labels: Option<Tensor>,
}

/// The samples that were drawn so far.
pub struct Pool<'g> {
    generator: &'g dyn Generator,
    seed: u64,
    side: usize,
    folder: Option<PathBuf>,
    control: &'g Control,
    chunks: Vec<Chunk>,
}

impl<'g> Pool<'g> {
    /// An empty pool of pictures of `side`² pixels; chunks are kept in `folder`.
    pub fn new(
        generator: &'g dyn Generator,
        seed: u64,
        side: usize,
        folder: Option<PathBuf>,
        control: &'g Control,
    ) -> Self {
        Self { generator, seed, side, folder, control, chunks: Vec::new() }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    /// Draws the next chunk, or reads it where it was drawn before. It depends on the seed and on
    /// its place alone.
    ///
    /// # Errors
    /// When rendering fails; when a chunk cannot be kept or is damaged; `Interrupted`.
    pub fn grow(&mut self) -> Result<()> {
        let place = self.chunks.len();
        let path = self.folder.as_ref().map(|f| f.join(format!("samples-{place:05}.safetensors")));
        let known = match &path {
            Some(path) if path.exists() => Some(self.read(path)?),
            _ => None,
        };
        let chunk = match known {
            Some(chunk) => chunk,
            None => {
                let chunk = self.draw(place)?;
                if let Some(path) = &path {
                    keep(path, &chunk)?;
                }
                chunk
            }
        };
        self.chunks.push(chunk);
        Ok(())
    }

    fn draw(&self, place: usize) -> Result<Chunk> {
        let g = self.generator;
        let mut rng = Rng::derive(self.seed, &format!("samples {place}"));
        let (w, labels) = target::codes(g, &mut rng, CHUNK)?;
        let size = batch_size(g.spec().width, g.spec().height);
        let mut all = Vec::new();
        for from in (0..CHUNK).step_by(size) {
            // Any stop ends a chunk, also one that is to keep what there is.
            if self.control.stop() != Stop::No {
                return Err(Error::new(Kind::Interrupted, "stopped"));
            }
            let n = size.min(CHUNK - from);
            let part = |t: &Tensor| Ok::<_, Error>(t.narrow(0, from, n)?.contiguous()?);
            let labels = labels.as_ref().map(part).transpose()?;
            let picture = target::pictures(g, &part(&w)?, labels.as_ref())?;
            let small = resize_to(&picture, self.side, self.side)?;
            let steps = ((small + 1.0)? * 127.5)?.round()?.clamp(0f32, 255f32)?;
            all.push(steps.to_device(&Device::Cpu)?.to_dtype(DType::U8)?);
        }
        let labels = labels.map(|l| l.to_device(&Device::Cpu)).transpose()?;
        Ok(Chunk { pictures: Tensor::cat(&all, 0)?, codes: w.to_device(&Device::Cpu)?, labels })
    }

    fn read(&self, path: &Path) -> Result<Chunk> {
        let mut arrays = weights::open(path, &LIMITS)?.weights;
        let mut tensor = |name: &str| -> Result<Tensor> {
            let array = arrays.take_array(name)?;
            let shape = array.shape.clone();
            Ok(match array.data {
                Data::U8(v) => Tensor::from_vec(v, shape, &Device::Cpu)?,
                _ => Tensor::from_vec(array.into_f32(), shape, &Device::Cpu)?,
            })
        };
        let spec = self.generator.spec();
        let labels = (spec.classes() > 0).then(|| tensor("labels")).transpose()?;
        let chunk = Chunk { pictures: tensor("pictures")?, codes: tensor("codes")?, labels };
        let sizes = [CHUNK, spec.channels, self.side, self.side];
        if chunk.pictures.dims() == sizes
            && chunk.pictures.dtype() == DType::U8
            && chunk.codes.dims() == [CHUNK, spec.w_dim]
        {
            return Ok(chunk);
        }
        let shown = path.to_string_lossy();
        Err(Error::runtime(format!("{} holds other samples", Safe(&shown)))
            .hint("remove it: the samples are drawn again"))
    }

    /// Codes `[n, D]` and labels of these places.
    ///
    /// # Errors
    /// When a place is not in the pool.
    pub fn codes(&self, places: &[usize]) -> Result<(Tensor, Option<Tensor>)> {
        let device = self.generator.device();
        let (mut codes, mut labels) = (Vec::new(), Vec::new());
        for place in places {
            let chunk = self.at(*place)?;
            codes.push(chunk.codes.narrow(0, place % CHUNK, 1)?);
            if let Some(all) = &chunk.labels {
                labels.push(all.narrow(0, place % CHUNK, 1)?);
            }
        }
        let joined = |all: &[Tensor]| Ok::<_, Error>(Tensor::cat(all, 0)?.to_device(device)?);
        let labels = (!labels.is_empty()).then(|| joined(&labels)).transpose()?;
        Ok((joined(&codes)?, labels))
    }

    fn at(&self, place: usize) -> Result<&Chunk> {
        let chunk = self.chunks.get(place / CHUNK);
        chunk.ok_or_else(|| Error::runtime("there is no such sample"))
    }

    /// The samples of these places: pictures `[n, C, R, R]` in [-1, 1] and codes `[n, D]`, on the
    /// device of the generator.
    ///
    /// # Errors
    /// When a place is not in the pool.
    pub fn take(&self, places: &[usize]) -> Result<(Tensor, Tensor)> {
        let pictures: Vec<Tensor> = places
            .iter()
            .map(|p| Ok(self.at(*p)?.pictures.narrow(0, p % CHUNK, 1)?))
            .collect::<Result<_>>()?;
        let device = self.generator.device();
        let pictures = Tensor::cat(&pictures, 0)?.to_dtype(DType::F32)?.to_device(device)?;
        Ok((((pictures / 127.5)? - 1.0)?, self.codes(places)?.0))
    }
}

/// Writes a chunk, whole or not at all.
fn keep(path: &Path, chunk: &Chunk) -> Result<()> {
    let pictures = Array {
        shape: chunk.pictures.dims().to_vec(),
        data: Data::U8(chunk.pictures.flatten_all()?.to_vec1()?),
    };
    let codes = Array {
        shape: chunk.codes.dims().to_vec(),
        data: Data::F32(chunk.codes.flatten_all()?.to_vec1()?),
    };
    let mut all = BTreeMap::from([("pictures".to_owned(), pictures), ("codes".to_owned(), codes)]);
    if let Some(labels) = &chunk.labels {
        let data = Data::F32(labels.flatten_all()?.to_vec1()?);
        all.insert("labels".into(), Array { shape: labels.dims().to_vec(), data });
    }
    let bytes = safetensors::write(&all, None)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    Disk.make_folder(folder)
        .and_then(|()| write_atomic(&Disk, path, &bytes))
        .map_err(|e| Error::io(format!("writing samples {}", path.display()), &e))
}
