//! The rows of a code on one sphere.

use super::prior_pn::ends;
use super::{Forward, Setup, Term, TermKind, weight};
use crate::error::{Error, Result};
use crate::generator::{Generator, Input, spaces};
use crate::invert::job::Job;
use crate::space::Space;
use candle_core::{Device, Tensor};

/// Keeps lengths above zero.
const EPS: f64 = 1e-12;

/// The geodesic cross loss of PULSE (Menon et al. 2020): over all pairs of rows v of a W+ or PN+
/// code in PN+, which are nearly Gaussian as PULSE's, the mean of the angle in radians times the
/// distance in √D. 0 where all rows are alike, about 2.2 for rows that are drawn each by itself.
pub(super) const TERM: TermKind = TermKind {
    name: "geocross",
    param: weight(
        "geocross",
        "weight that turns the layers of a W+ or PN+ code towards each other: angle × distance of \
         their rows in PN+ (PULSE)",
    ),
    weight: 0.0,
    automatic: false,
    pictures: false,
    check,
    make,
};

fn check(job: &Job<'_>, space: Space) -> Result<()> {
    match space {
        // All rows are alike.
        Space::Z => Ok(()),
        Space::S => Err(Error::runtime("a style code has no rows of w to turn")
            .hint("use geocross: 0, or space: W+")),
        other => ends(job, other).map(drop),
    }
}

fn make<'a>(setup: &Setup<'_, 'a>) -> Result<Option<Box<dyn Term + 'a>>> {
    check(setup.job, setup.space)?;
    if setup.space == Space::Z {
        return Ok(None);
    }
    let ends = ends(setup.job, setup.space)?;
    if ends.1 != Space::PNPlus {
        return Ok(None);
    }
    Ok(Some(Box::new(Geodesics { generator: setup.job.generator, ends })))
}

struct Geodesics<'a> {
    generator: &'a dyn Generator,
    ends: (Space, Space),
}

impl Term for Geodesics<'_> {
    fn name(&self) -> &'static str {
        TERM.name
    }

    fn value(&self, at: &Forward<'_>) -> Result<Tensor> {
        let v = spaces::rise(self.generator, at.code, self.ends, &Input::default())?; // [NLD]
        let (_, rows, dim) = v.dims3()?;
        let size = (v.sqr()?.sum_keepdim(2)? + EPS)?.sqrt()?;
        let unit = v.broadcast_div(&size)?;
        let mut sum = v.narrow(1, 0, 1)?.sum(2)?.squeeze(1)?.zeros_like()?; // [N]
        for apart in 1..rows {
            // Every row with the one so many rows further.
            let pairs = |x: &Tensor| -> Result<Tensor> {
                let square = (x.narrow(1, apart, rows - apart)? - x.narrow(1, 0, rows - apart)?)?;
                Ok((square.sqr()?.sum(2)? + EPS)?.sqrt()?)
            };
            let angle = angle(&pairs(&unit)?)?;
            sum = (sum + (angle * pairs(&v)?)?.sum(1)?)?;
        }
        let count = (rows * (rows - 1) / 2).max(1) as f64;
        Ok((sum / (count * (dim as f64).sqrt()))?)
    }
}

/// The angle between unit vectors of that distance c, 2 asin(c/2), with gradients: its value with
/// the slope 2/√(4 − c²).
fn angle(chord: &Tensor) -> Result<Tensor> {
    let now = chord.detach().to_device(&Device::Cpu)?;
    let each = now.flatten_all()?.to_vec1::<f32>()?;
    let half = |c: f32| (f64::from(c) / 2.0).clamp(0.0, 1.0);
    let tensor = |f: &dyn Fn(f64) -> f64| -> Result<Tensor> {
        let all: Vec<f32> = each.iter().map(|c| f(half(*c)) as f32).collect();
        Ok(Tensor::from_vec(all, now.dims(), &Device::Cpu)?.to_device(chord.device())?)
    };
    let angle = tensor(&|h| 2.0 * libm::asin(h))?;
    let slope = tensor(&|h| 1.0 / (1.0 - h * h).max(1e-6).sqrt())?;
    Ok((angle + (slope * (chord - chord.detach())?)?)?)
}
