//! Device of tensors and number of threads.

use crate::error::{Error, Kind, Result};
use crate::tensor::{self, Isa};
use candle_core::Device;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

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

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Device> {
    tensor::open_gpu(index).map_err(|why| {
        Error::runtime(format!("cannot use GPU {index}: {why}"))
            .hint("see `nvidia-smi` for the GPUs of this machine, or use `--device cpu`")
    })
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: usize) -> Result<Device> {
    Err(Error::runtime("this build has no CUDA support").hint(
        "build gannet with it, `cargo build --release --features cudnn` where CUDA and cuDNN are \
         installed and \
         `scripts/cuda/build-cuda.sh` elsewhere, or use `--device cpu`",
    ))
}

/// Sets how many threads compute, once for the process, before the first tensor; results are the
/// same for any number.
///
/// Errors for zero threads and when computing has begun already.
pub fn threads(n: usize) -> Result<()> {
    if n == 0 {
        return Err(Error::new(Kind::Usage, "zero threads cannot compute")
            .hint("use `--threads 1` or more"));
    }
    rayon::ThreadPoolBuilder::new().num_threads(n).build_global().map_err(|_| {
        Error::runtime("the number of threads is set already")
            .hint("give `--threads` once, at the start")
    })
}

/// Chooses how models that are loaded afterwards compute on `on`. For the CPU engine it sets the
/// instructions: `auto`, `avx512`, `avx2` or `portable`, or `bf16` for previews. For a GPU it sets
/// the number format: `auto` (`tf32` with cuDNN), `f32`, `tf32` or `f16`. See [`tensor::reduced`]
/// for `bf16` and `f16`.
///
/// Errors on an unknown name, on one of the other device, and on what this processor or this build
/// does not have.
pub fn kernels(name: &str, on: &Device) -> Result<()> {
    match (name, on.is_cuda()) {
        ("auto", _) => Ok(()),
        ("f32" | "tf32" | "f16", true) => numbers(name),
        ("f32" | "tf32" | "f16", false) => {
            Err(Error::new(Kind::Usage, format!("kernels `{name}` are those of a GPU"))
                .hint("add `--device cuda`, or use `auto`, or `bf16` for previews on the CPU"))
        }
        (_, true) => Err(Error::new(
            Kind::Usage,
            format!("a GPU has no kernels `{}`", crate::safe::Safe(name)),
        )
        .hint("use `auto`, `f32`, `tf32` or `f16`, or `--device cpu`")),
        (_, false) => instructions(name),
    }
}

/// Chooses the numbers of a GPU.
#[cfg(feature = "cuda")]
fn numbers(name: &str) -> Result<()> {
    if name == "tf32" && !cfg!(feature = "cudnn") {
        return Err(Error::runtime(
            "this build convolves in single precision alone: it has no cuDNN",
        )
        .hint("build it with `--features cudnn`, or use `--kernels auto`"));
    }
    tensor::allow_tf32(name != "f32");
    tensor::use_halves(name == "f16");
    Ok(())
}

#[cfg(not(feature = "cuda"))]
fn numbers(_: &str) -> Result<()> {
    Err(Error::runtime("this build has no CUDA support"))
}

/// Chooses the instructions of the CPU engine.
fn instructions(name: &str) -> Result<()> {
    let Some(isa) = Isa::ALL.into_iter().find(|isa| isa.name() == name) else {
        let message = format!("unknown kernels `{}`", crate::safe::Safe(name));
        return Err(Error::new(Kind::Usage, message)
            .hint("use `auto`, `avx512`, `avx2` or `portable`, or `bf16` for previews"));
    };
    if tensor::force(isa) {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("this processor does not have {name}")).hint(format!(
        "use `--kernels {}`, the best that it has, or `portable`",
        Isa::current().name()
    )))
}

/// What the bits of results depend on besides the program: the kernels, and the kind of processor
/// or GPU. Two machines that are told apart may compute alike.
pub fn kind(on: &Device) -> String {
    static MACHINE: OnceLock<String> = OnceLock::new();
    let machine = MACHINE.get_or_init(|| format!("{} {}", std::env::consts::ARCH, processor()));
    let kernels = [Isa::current().name(), tensor::computing(on.is_cpu())].join(" ");
    match on.is_cpu() {
        true => format!("{machine} {kernels}"),
        false => format!("{machine} {kernels} {:?} {}", on.location(), gpus()),
    }
}

/// The processor's own description, as far as the system gives one.
fn processor() -> String {
    const WORDS: [&str; 10] = [
        "vendor_id",
        "cpu family",
        "model",
        "model name",
        "stepping",
        "cache size",
        "CPU implementer",
        "CPU architecture",
        "CPU variant",
        "CPU part",
    ];
    // The first processor's block is enough, and there may be hundreds.
    let text = first_bytes(Path::new("/proc/cpuinfo"));
    let block = text.lines().take_while(|line| !line.trim().is_empty());
    block
        .filter(|line| line.split_once(':').is_some_and(|(word, _)| WORDS.contains(&word.trim())))
        .collect::<Vec<_>>()
        .join(";")
}

/// The GPUs and their driver, as far as the driver describes them.
fn gpus() -> String {
    let root = Path::new("/proc/driver/nvidia");
    let folders = std::fs::read_dir(root.join("gpus")).into_iter().flatten().flatten();
    let model = |folder: std::fs::DirEntry| {
        let text = first_bytes(&folder.path().join("information"));
        text.lines().find(|line| line.starts_with("Model:")).map(str::to_owned)
    };
    let mut all: Vec<String> = folders.filter_map(model).collect();
    all.sort();
    all.extend(first_bytes(&root.join("version")).lines().next().map(str::to_owned));
    all.join(";")
}

/// The beginning of a file of the system; empty where there is none.
fn first_bytes(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4096).read_to_end(&mut bytes));
    if read.is_err() {
        bytes.clear();
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
        // No machine has that many GPUs: with the feature, the driver (or its absence) is the
        // reason.
        let e = device("cuda:1000").expect_err("no such GPU");
        let said = if cfg!(feature = "cuda") {
            "cannot use GPU 1000: "
        } else {
            "this build has no CUDA support"
        };
        assert!(e.message().starts_with(said), "{}", e.message());
        assert!(e.repair().is_some_and(|h| h.contains("--device cpu")));
        assert_eq!(e.repair().is_some_and(|h| h.contains("cargo build")), !cfg!(feature = "cuda"));
        assert_eq!(threads(0).expect_err("zero").kind(), Kind::Usage);
        let e = kernels("sse", &Device::Cpu).expect_err("unknown");
        assert!(e.kind() == Kind::Usage && e.repair().is_some_and(|h| h.contains("portable")));
        let e = kernels("f16", &Device::Cpu).expect_err("a GPU's");
        assert!(e.kind() == Kind::Usage && e.repair().is_some_and(|h| h.contains("--device cuda")));
        assert!(kernels("auto", &Device::Cpu).is_ok());
        assert!(tensor::reduced() != Some("f16") && !tensor::halves(&Device::Cpu));
    }
}
