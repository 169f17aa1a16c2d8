//! Device and precision of the whole process.

use super::Isa;
use candle_core::Device;
use std::sync::atomic::{AtomicBool, Ordering};

/// Keeps candle from computing with its own threads: they spin while waiting, on cores that the
/// engine's threads need, and ignore the number of threads. To be called first in `main`; an
/// existing environment variable is left unchanged.
#[allow(unsafe_code)]
pub fn own_threads_only() {
    const NAME: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(NAME).is_none() {
        // SAFETY: the caller's promise, no other thread runs that could read the environment.
        unsafe { std::env::set_var(NAME, "1") };
    }
}

/// Whether networks on a GPU use f16.
static HALVES: AtomicBool = AtomicBool::new(false);

/// Chooses whether networks on a GPU that are loaded from now on use f16.
pub fn use_halves(yes: bool) {
    HALVES.store(yes, Ordering::Relaxed);
}

/// Number format with fewer bits than single precision, on request; sums stay in single precision.
///
/// `bf16`: on the CPU, pictures without gradients, 8 bits of each factor. `f16`: on a GPU,
/// StyleGAN2's four highest resolutions, with or without gradients, as in the official code.
pub fn reduced() -> Option<&'static str> {
    match (HALVES.load(Ordering::Relaxed), Isa::painting()) {
        (true, _) => Some("f16"),
        (false, Isa::Bf16) => Some("bf16"),
        (false, _) => None,
    }
}

/// Whether networks on `on` use f16 where the official code does.
pub fn halves(on: &Device) -> bool {
    on.is_cuda() && HALVES.load(Ordering::Relaxed)
}

/// The kernels in use, by the names that `--kernels` takes, on the CPU or else on a GPU.
pub fn computing(cpu: bool) -> &'static str {
    #[cfg(feature = "cuda")]
    if !cpu {
        let single = if super::cuda::tf32() { "tf32" } else { "f32" };
        return reduced().unwrap_or(single);
    }
    let _ = cpu;
    Isa::painting().name()
}
