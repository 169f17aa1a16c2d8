//! How fast this machine multiplies and adds: what a forward is compared with.
#![allow(unsafe_code)]

use super::raw::{Into, Mat, Shared, gemm};
use rayon::prelude::*;
use std::time::Instant;

/// Side of the square matrices: three of them stay in a core's second-level cache.
const SIDE: usize = 256;
/// Products of one try: a few milliseconds, so that waking the threads does not count.
const PRODUCTS: usize = 64;
/// Tries, of which the best counts: a ceiling is what is possible, not what is usual.
const TRIES: usize = 9;

/// The measured ceiling of single precision in GFLOP/s: the best of a few short runs of the blocked matrix product from
/// the cache, one on each of `threads` threads of the pool at once. Takes some tens of milliseconds.
pub fn ceiling(threads: usize) -> f64 {
    (0..TRIES).map(|_| attempt(threads.max(1))).fold(0.0, f64::max)
}

/// GFLOP/s of one try.
fn attempt(threads: usize) -> f64 {
    let clock = Instant::now();
    (0..threads).into_par_iter().with_max_len(1).for_each(|_| multiply());
    let flop = (threads * PRODUCTS * 2 * SIDE * SIDE * SIDE) as f64;
    flop / clock.elapsed().as_secs_f64() / 1e9
}

fn multiply() {
    let (a, b) = (vec![0.5f32; SIDE * SIDE], vec![0.25f32; SIDE * SIDE]);
    let mut out = vec![0f32; SIDE * SIDE];
    for _ in 0..PRODUCTS {
        let shared = Shared::new(&mut out);
        let into = Into { out: &shared, at: 0, stride: SIDE, add: false };
        // SAFETY: the output is this thread's own.
        unsafe { gemm(into, [SIDE; 3], Mat::new(&a, SIDE), Mat::new(&b, SIDE)) };
        std::hint::black_box(&mut out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_computes() {
        let one = ceiling(1);
        // No machine that runs this is slower than 0.1 or faster than 10 000 GFLOP/s a core.
        assert!((0.1..1e4).contains(&one), "{one} GFLOP/s");
    }
}
