//! Compiles the CUDA kernels to PTX with nvcc, when the feature `cuda` is on; does nothing
//! otherwise.
//!
//! `NVCC` names the compiler, else it is `$CUDA_HOME/bin/nvcc` or the one on the path.
//! `CUDA_COMPUTE_CAP` is the oldest GPU to serve (80 unless set): PTX for it runs on every later
//! one, the driver compiles it there at first use.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::{env, fs};

const KERNELS: &str = "cuda";

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={KERNELS}");
    for name in ["CUDA_HOME", "NVCC", "CUDA_COMPUTE_CAP"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return ExitCode::SUCCESS;
    }
    match kernels() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("cargo:error={why}");
            ExitCode::FAILURE
        }
    }
}

fn kernels() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo gives no OUT_DIR")?);
    let folder = fs::read_dir(KERNELS).map_err(|e| format!("cannot read {KERNELS}: {e}"))?;
    for entry in folder {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.extension().is_some_and(|e| e == "cu") {
            compile(&path, &out)?;
        }
    }
    Ok(())
}

fn compile(source: &std::path::Path, out: &std::path::Path) -> Result<(), String> {
    let nvcc = nvcc();
    // A number without the "a" of `sm_90a`, which would tie the kernels to one GPU.
    let cap: String = env::var("CUDA_COMPUTE_CAP")
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let cap = if cap.is_empty() { "80" } else { &cap };
    let ptx = out.join(source.with_extension("ptx").file_name().unwrap_or_default());
    let status = Command::new(&nvcc)
        .args(["--ptx", "-O3", "-std=c++17", &format!("-arch=compute_{cap}"), "-o"])
        .args([&ptx, &source.to_path_buf()])
        .status()
        .map_err(|e| {
            format!(
                "cannot run {}: {e}; scripts/cuda/build-cuda.sh brings a compiler",
                nvcc.display()
            )
        })?;
    if status.success() { Ok(()) } else { Err(format!("nvcc refused {}", source.display())) }
}

fn nvcc() -> PathBuf {
    let home = || env::var_os("CUDA_HOME").map(|h| PathBuf::from(h).join("bin/nvcc"));
    env::var_os("NVCC").map(PathBuf::from).or_else(home).unwrap_or_else(|| "nvcc".into())
}
