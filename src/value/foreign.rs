//! Plausibility checks for files that do not name a generator.
//!
//! Directions and codes of equal sizes fit each other, whatever generator they were made for. A
//! bare vector says little: a unit normal of another generator looks like one of ours (measured:
//! boundaries fitted to our own samples are as far from our principal axes as random vectors).
//! These checks are possible:
//! - A principal component file holds a mean, and in W that is the mean of its generator.
//! - A step or a code is refused when it is much longer than the codes of this generator.

use super::Loaded;
use crate::direction::{self, Arrays};
use crate::error::{Error, Result};
use crate::latent::Direction;
use crate::safe::Safe;
use crate::space::Space;
use candle_core::{DType, Device, Tensor};

/// Maximum distance of a step or a code from the mean, as a multiple of a typical code's distance.
/// Codes of the prior reach 2, inversions 3 to 4.
const FAR: f64 = 10.0;
/// Maximum distance between the mean of a principal component file and ours, as a multiple of a
/// typical code's distance. The mean of a thousand samples is within 0.05.
const APART: f64 = 0.25;
/// Length of a direction's step, as a share of a typical code's distance, where the generator has
/// no directions of its own: a unit normal in the W of StyleGAN2-FFHQ has about 0.1.
const USUAL: (f64, f64) = (0.05, 1.5);
/// A step is unlike the generator's own when it is this many times shorter or longer than any.
const UNLIKE: f64 = 4.0;
/// Maximum variance of a file's components, relative to our total variance of 1.
const VARIANCE: f64 = 1.5;

/// Part of the origin of such data.
pub const UNNAMED: &str = "the file names no generator";

/// Origin of data from a file that names no generator; every picture made from it carries this
/// text.
pub fn origin(path: &str, model: &Loaded) -> String {
    let name = &model.facts.name;
    format!("from {path} ({UNNAMED}; taken as one of {name})")
}

/// The note that a result carries and that is said when the file is read.
pub fn note(path: &str, model: &Loaded) -> String {
    let (path, name) = (Safe(path), Safe(&model.facts.name));
    format!("{path}: {UNNAMED}; taken as one of {name}")
}

/// A warning where one step of a direction is much longer or shorter than every direction that the
/// generator has of its own in that space; without any, than directions usually are.
///
/// # Errors
/// When the generator's own directions or its prior cannot be read.
pub fn unlike(path: &str, d: &Direction, model: &Loaded) -> Result<Option<String>> {
    let Some(typical) = typical(d.space, model)? else { return Ok(None) };
    let share = |d: &Direction| length(d) / typical;
    let related = |of: &&Direction| match d.space {
        Space::W | Space::WPlus => matches!(of.space, Space::W | Space::WPlus),
        space => of.space == space,
    };
    let own: Vec<f64> = model.directions()?.iter().filter(related).map(share).collect();
    let whose = if own.is_empty() { "directions usually reach" } else { "its own reach" };
    let bounds = own.iter().fold(None, |b: Option<(f64, f64)>, &v| {
        Some(b.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
    });
    let (low, high) = bounds.unwrap_or(USUAL);
    let step = share(d);
    if (low / UNLIKE..=high * UNLIKE).contains(&step) {
        return Ok(None);
    }
    let name = Safe(&model.facts.name);
    Ok(Some(format!(
        "{}: one step is {step:.2} of the distance of {name}'s codes from their mean; {whose} \
         {low:.2} to {high:.2}. Is it of another generator, or are its steps to be multiplied?",
        Safe(path)
    )))
}

/// Root mean square length of a direction's rows.
fn length(d: &Direction) -> f64 {
    (d.data.iter().map(|v| v * v).sum::<f64>() / d.rows.max(1) as f64).sqrt()
}

/// Refuses a direction when one step leaves the range of the generator's codes.
///
/// # Errors
/// When the direction cannot belong to this generator.
pub fn direction(path: &str, d: &Direction, model: &Loaded) -> Result<()> {
    let Some(typical) = typical(d.space, model)? else { return Ok(()) };
    far(path, "one step", length(d) / typical, model)
}

/// Refuses codes that lie far outside the range of the generator's codes.
///
/// # Shapes
/// `data` is shaped like a code's point: the last dimension is that of a row.
///
/// # Errors
/// When the codes cannot belong to this generator.
pub fn codes(path: &str, space: Space, data: &Tensor, model: &Loaded) -> Result<()> {
    let Some(typical) = typical(space, model)? else { return Ok(()) };
    let data = data.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    let offset = match (space, model.stats()?) {
        (Space::W | Space::WPlus, Some(stats)) => {
            data.broadcast_sub(&stats.mean.to_device(&Device::Cpu)?)?
        }
        _ => data,
    };
    let square = offset.sqr()?.sum(candle_core::D::Minus1)?.mean_all()?.to_scalar::<f32>()?;
    far(path, "its code", f64::from(square).sqrt() / typical, model)
}

/// Refuses principal components whose mean or variance differs from that of the generator's w.
///
/// # Errors
/// When the components cannot belong to this generator.
pub fn components(path: &str, arrays: &Arrays, model: &Loaded) -> Result<()> {
    let Some(stats) = model.stats()? else { return Ok(()) };
    let Some((mean, deviations)) = direction::component_stats(arrays) else { return Ok(()) };
    let ours = stats.mean.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    if mean.len() == ours.len() {
        let square: f64 = mean.iter().zip(&ours).map(|(a, b)| (a - b).powi(2)).sum();
        let apart = square.sqrt() / stats.sigma;
        if apart > APART {
            let what = format!("their mean lies {apart:.1} σ from that of its w");
            return Err(foreign(path, &what, model));
        }
    }
    let held = deviations.iter().map(|v| v * v).sum::<f64>() / stats.sigma.powi(2);
    if held > VARIANCE {
        let what = format!("they hold {held:.1} times the variance of its w");
        return Err(foreign(path, &what, model));
    }
    Ok(())
}

/// Typical distance of a code of a space from the mean; `None` if unknown.
fn typical(space: Space, model: &Loaded) -> Result<Option<f64>> {
    Ok(match space {
        Space::Z => Some((model.facts.z_dim as f64).sqrt()),
        Space::W | Space::WPlus => model.stats()?.map(|s| s.sigma),
        Space::PN | Space::PNPlus => Some((model.facts.w_dim as f64).sqrt()),
        _ => None,
    })
}

fn far(path: &str, what: &str, times: f64, model: &Loaded) -> Result<()> {
    if times <= FAR {
        return Ok(());
    }
    let what = format!("{what} reaches {times:.0} times as far as its codes lie from their mean");
    Err(foreign(path, &what, model))
}

fn foreign(path: &str, what: &str, model: &Loaded) -> Error {
    let name = Safe(&model.facts.name);
    Error::runtime(format!("{} is not of {name}: {what}", Safe(path)))
        .note(UNNAMED)
        .hint("load the generator that it was made for")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Models;
    use std::collections::BTreeMap;

    fn direction_of(space: Space, data: Vec<f64>) -> Direction {
        let dim = data.len();
        Direction {
            space,
            dim,
            data,
            rows: 1,
            layers: None,
            model: None,
            name: "d".into(),
            origin: String::new(),
            about: None,
        }
    }

    #[test]
    fn own_directions_and_codes_pass_and_far_ones_do_not() {
        let model = Models::cpu().load("toy").unwrap();
        for d in model.directions().unwrap().iter() {
            direction("f", d, &model).unwrap();
        }
        let sigma = model.stats().unwrap().unwrap().sigma;
        for (space, scale) in [(Space::W, sigma), (Space::Z, 4.0)] {
            let of = |times: f64| direction_of(space, vec![times * scale / 4.0; 16]);
            assert!(direction("f", &of(9.0), &model).is_ok(), "{space}");
            let e = direction("f.pt", &of(11.0), &model).unwrap_err();
            assert!(e.message().contains("f.pt is not of toy: one step reaches 11 times"), "{e}");
            assert!(e.repair().is_some());
        }
        let mean = &model.stats().unwrap().unwrap().mean;
        let at = |times: f64| (mean + times * sigma / 4.0).unwrap().unsqueeze(0).unwrap();
        assert!(codes("f", Space::W, &at(1.0), &model).is_ok());
        assert!(codes("f", Space::W, &at(4.0), &model).is_ok());
        let e = codes("f", Space::W, &at(12.0), &model).unwrap_err();
        assert!(e.message().contains("its code reaches 12 times"), "{e}");
    }

    #[test]
    fn components_have_the_generators_mean_and_variance() {
        let model = Models::cpu().load("toy").unwrap();
        let stats = model.stats().unwrap().unwrap();
        let mean = stats.mean.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
        let file = |shift: f64, std: f64| -> Arrays {
            let moved: Vec<f64> = mean.iter().map(|v| v + shift * stats.sigma / 4.0).collect();
            BTreeMap::from([
                ("comp".to_owned(), (vec![1, 16], vec![0.25; 16])),
                ("mean".to_owned(), (vec![1, 16], moved)),
                ("std".to_owned(), (vec![1], vec![std * stats.sigma])),
            ])
        };
        assert!(components("f", &file(0.05, 0.6), &model).is_ok());
        let e = components("f", &file(0.5, 0.6), &model).unwrap_err();
        assert!(e.message().contains("mean lies 0.5 σ"), "{e}");
        let e = components("f", &file(0.0, 2.0), &model).unwrap_err();
        assert!(e.message().contains("4.0 times the variance"), "{e}");
    }
}
