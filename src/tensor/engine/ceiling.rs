//! Peak speed of the processor: multiply-adds on numbers that stay in registers.

use super::isa::Isa;
use super::lanes::{LANES, Lanes, Work};
use std::time::{Duration, Instant};

/// Sums that are in flight at a time. With AVX2 each takes two registers: twelve hide the latency,
/// more would be spilled.
const CHAINS: usize = 6;
/// Multiply-adds of each chain between two looks at the clock.
const ROUNDS: usize = 20_000;

/// Billions of floating-point operations a second that `threads` threads reach together with the
/// instruction set in use, two a multiply-add, measured for about a tenth of a second.
pub fn ceiling(threads: usize) -> f64 {
    let isa = Isa::current();
    std::thread::scope(|scope| {
        let running: Vec<_> =
            (0..threads.max(1)).map(|_| scope.spawn(move || measure(isa))).collect();
        running.into_iter().filter_map(|t| t.join().ok()).sum()
    })
}

fn measure(isa: Isa) -> f64 {
    let (start, mut rate, mut sink) = (Instant::now(), 0f64, 0f32);
    while start.elapsed() < Duration::from_millis(100) {
        let begun = Instant::now();
        // SAFETY: reads and writes only its own numbers.
        unsafe { isa.run(Chains(&mut sink)) };
        rate = rate.max((2 * ROUNDS * CHAINS * LANES) as f64 / begun.elapsed().as_secs_f64() / 1e9);
    }
    std::hint::black_box(sink);
    rate
}

struct Chains<'a>(&'a mut f32);

impl Work for Chains<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: numbers in registers.
        unsafe {
            // Towards a fixed point, so that nothing overflows or becomes subnormal.
            let (half, one) = (L::splat(0.5), L::splat(1.0 + *self.0));
            let mut sums = [L::splat(0.0); CHAINS];
            for _ in 0..ROUNDS {
                for sum in &mut sums {
                    *sum = sum.mul_add(half, one);
                }
                L::fence();
            }
            let mut all = L::splat(0.0);
            for sum in sums {
                all = all.add(sum);
            }
            *self.0 = all.sum() * 1e-9;
        }
    }
}
