//! `creswell`: inversion by cross-entropy and the prior.

use super::{descent, named, steady};
use crate::error::Result;
use crate::invert::config::{Config, Method};
use crate::invert::job::Job;
use crate::invert::phase::Phase;
use crate::space::Space;

/// RMSprop in Z on the cross-entropy of the picture and the prior's density of z. With the weight
/// `prior` the loss has `−β log P(z)` for `β = 2 · prior / D` in D dimensions, up to a constant.
pub const METHOD: Method = Method {
    name: "creswell",
    paper: "Inverting the Generator of a GAN (Creswell and Bharath 2016)",
    summary: "cross-entropy and the prior of z (its weight is `prior`), 1000 steps of RMSprop in Z",
    spaces: &[Space::Z],
    encoder: false,
    companion: None,
    steps: Some(1000),
    lr: Some(|_| 0.01),
    weights: &[("l2", 0.0), ("perceptual", 0.0), ("bce", 1.0), ("prior", 0.01)],
    best_of: None,
    noise: false,
    params: &[],
    plan,
};

fn plan<'a>(job: &Job<'a>, config: &Config) -> Result<Vec<Phase<'a>>> {
    Ok(vec![steady(descent(job, config, named(Some("rmsprop"))))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invert::tests::{foreign, generator, run, values};

    /// The prior alone decides in the end: its mode is 0.
    #[test]
    fn a_heavy_prior_drives_z_to_its_mode() {
        let g = generator();
        let size = |prior: f64| {
            let mut c = Config { steps: 300, ..Config::new(Space::Z, &METHOD) };
            c.weights.set("prior", prior);
            let z = values(run(g.as_ref(), &foreign(0), &c).unwrap().code.point());
            (z.iter().map(|v| v * v).sum::<f32>() / z.len() as f32).sqrt()
        };
        let sizes = [0.0, 0.1, 1e6].map(size);
        assert!(sizes[0] > 0.5 && sizes[1] < sizes[0] && sizes[2] < 0.03, "{sizes:?}");
    }
}
