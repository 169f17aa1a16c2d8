//! Where tensors live and how many threads work on them.

use super::Isa;
use crate::error::{Error, Kind, Result};
use candle_core::Device;

/// The device of a name: `cpu`, `cuda` (the first GPU) or `cuda:N`.
///
/// Errors on an unknown name, and on a GPU that this build or this machine does not have.
pub fn device(name: &str) -> Result<Device> {
    match name.split_once(':').unwrap_or((name, "0")) {
        ("cpu", _) if name == "cpu" => Ok(Device::Cpu),
        ("cuda", index) => cuda(index.parse().map_err(|_| unknown(name))?),
        _ => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> Error {
    Error::new(Kind::Usage, format!("unknown device `{}`", crate::safe::Safe(name)))
        .hint("use `cpu`, `cuda` or `cuda:N`")
}

fn cuda(index: usize) -> Result<Device> {
    if !candle_core::utils::cuda_is_available() {
        return Err(Error::runtime("this build of gannet has no CUDA support").hint("use `--device cpu`"));
    }
    Device::new_cuda(index).map_err(|e| {
        Error::runtime(format!("cannot use GPU {index}: {e}"))
            .hint("see `nvidia-smi` for the GPUs of this machine, or use `--device cpu`")
    })
}

/// Sets how many threads compute, once for the process, before the first tensor; results are the same for any number.
///
/// Errors for zero threads and when computing has begun already.
pub fn threads(n: usize) -> Result<()> {
    if n == 0 {
        return Err(Error::new(Kind::Usage, "zero threads cannot compute").hint("use `--threads 1` or more"));
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(n)
        .build_global()
        .map_err(|_| Error::runtime("the number of threads is set already").hint("give `--threads` once, at the start"))
}

/// Chooses the instructions of the CPU engine: `auto`, `avx512`, `avx2` or `portable`; for models that are loaded after.
///
/// Errors on an unknown name, and on a set that this processor does not have.
pub fn kernels(name: &str) -> Result<()> {
    if name == "auto" {
        return Ok(());
    }
    let Some(isa) = Isa::ALL.into_iter().find(|isa| isa.name() == name) else {
        let message = format!("unknown kernels `{}`", crate::safe::Safe(name));
        return Err(Error::new(Kind::Usage, message).hint("use `auto`, `avx512`, `avx2` or `portable`"));
    };
    if super::force(isa) {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("this processor does not have {name}"))
        .hint(format!("use `--kernels {}`, the best that it has, or `portable`", Isa::current().name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood_or_refused_with_a_repair() {
        assert!(device("cpu").is_ok_and(|d| d.is_cpu()));
        for bad in ["gpu", "cpu:0", "cuda:x", "", "cuda:-1"] {
            let e = device(bad).expect_err(bad);
            assert_eq!((e.kind(), e.repair().is_some()), (Kind::Usage, true), "{bad}");
        }
        if !candle_core::utils::cuda_is_available() {
            let e = device("cuda:1").expect_err("no GPU in this build");
            assert!(e.message().contains("no CUDA") && e.repair().is_some_and(|h| h.contains("cpu")));
        }
        assert_eq!(threads(0).expect_err("zero").kind(), Kind::Usage);
        let e = kernels("sse").expect_err("unknown");
        assert!(e.kind() == Kind::Usage && e.repair().is_some_and(|h| h.contains("portable")));
        assert!(kernels("auto").is_ok());
    }
}
