//! How good an encoder is on samples that it was not fitted to.

use super::pool::Pool;
use super::target::{self, Target};
use crate::control;
use crate::error::Result;
use crate::generator::{Generator, batch_size};
use crate::network::{Encoder, Seen};
use candle_core::{DType, Tensor};

/// Passes that are tried.
pub const MOST_PASSES: usize = 4;
/// Pictures by which the number of passes is chosen, and those that are scored. They are whole
/// pictures of the generator, so they are few.
const CHOOSING: usize = 6;
const SCORED: usize = 8;
/// What a further pass has to gain, in dB, and what R² of w may lose.
const WORTH: f64 = 0.25;
const LOST: f64 = 0.02;

/// The mean code, or the codes after a pass, on samples that were held out.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Pass {
    /// Passes of the encoder; 0 for the mean code.
    pub passes: usize,
    /// R² of w.
    pub r2: f64,
    /// PSNR of the pictures that the codes make, in dB: 10·log10(4 / mean squared error) in
    /// [-1, 1], at full size; the mean over the pictures.
    pub psnr: f64,
}

/// The passes that bring the pictures of some samples nearer, one by one, and the scores up to it
/// on others: `choose` and `test` are their places in the pool.
///
/// # Errors
/// When rendering fails; `Interrupted` when it is stopped.
pub fn passes(
    (g, encoder): (&dyn Generator, &dyn Encoder),
    (pool, target): (&Pool<'_>, &Target),
    (choose, test): (&[usize], &[usize]),
) -> Result<(usize, Vec<Pass>)> {
    let few = |places: &[usize], n: usize| places[..n.min(places.len())].to_vec();
    let tried = scores((g, encoder), (pool, target), &few(choose, CHOOSING), MOST_PASSES)?;
    // Few pictures do not tell small gains from chance, and every pass takes time. One that brings
    // the picture nearer and the code farther has found what the encoder does not see.
    let gains = |pair: &&[Pass]| {
        let [before, after] = [&pair[0], &pair[1]];
        after.psnr >= before.psnr + WORTH && after.r2 >= before.r2 - LOST
    };
    let best = 1 + tried[1..].windows(2).take_while(gains).count();
    Ok((best, scores((g, encoder), (pool, target), &few(test, SCORED), best)?))
}

fn scores(
    (g, encoder): (&dyn Generator, &dyn Encoder),
    (pool, target): (&Pool<'_>, &Target),
    places: &[usize],
    most: usize,
) -> Result<Vec<Pass>> {
    let mut sums = vec![(0.0, 0.0); most + 1];
    let size = batch_size(g.spec().width, g.spec().height);
    let mut truth = Vec::new();
    let mut found: Vec<Vec<Tensor>> = vec![Vec::new(); most + 1];
    for part in places.chunks(size) {
        control::check()?;
        let (w, labels) = pool.codes(part)?;
        let wanted = target::pictures(g, &w, labels.as_ref())?;
        let mut code = target.mean.broadcast_as(w.shape())?.contiguous()?;
        for (k, sum) in sums.iter_mut().enumerate() {
            let picture = target::pictures(g, &code, labels.as_ref())?;
            let error = (&picture - &wanted)?.sqr()?.flatten_from(1)?.mean(1)?;
            for e in error.to_dtype(DType::F32)?.to_vec1::<f32>()? {
                sum.1 += 10.0 * (4.0 / f64::from(e).max(1e-12)).log10() / places.len() as f64;
            }
            found[k].push(code.clone());
            if k < most {
                code = encoder
                    .pass(&Seen { pictures: &wanted, current: &picture, pass: k, found: &[] })?
                    .from(&code)?;
            }
        }
        truth.push(w);
    }
    let truth = Tensor::cat(&truth, 0)?;
    for (sum, codes) in sums.iter_mut().zip(&found) {
        sum.0 = target.r2(&truth, &Tensor::cat(codes, 0)?)?;
    }
    Ok(sums.into_iter().enumerate().map(|(passes, (r2, psnr))| Pass { passes, r2, psnr }).collect())
}
