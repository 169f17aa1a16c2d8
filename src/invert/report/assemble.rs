//! Combines the outcomes of all images.

use super::diagnosis::{diagnose, warn};
use super::inversion::{Inversion, origin};
use super::number::Number;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::generator::spaces::model_id;
use crate::generator::{Input, codes, pictures};
use crate::invert::degrade::{self, mimicked};
use crate::invert::point::read_by;
use crate::invert::problem::Run;
use crate::invert::state::{Best, State};
use crate::latent::{Code, Part, Parts};
use crate::metric::{Metric, Mse, Psnr, Ssim, resize_to};
use candle_core::{DType, Device, Tensor};

/// Puts the images' outcomes together.
pub(in crate::invert) fn assemble(
    run: &Run<'_>,
    target: &Tensor,
    outcomes: Vec<State>,
) -> Result<Inversion> {
    let (job, config) = (&run.job, &run.config);
    let nothing = || Error::runtime("an inversion ended without any point");
    let best = outcomes
        .iter()
        .map(|s| s.best.as_ref().ok_or_else(nothing))
        .collect::<Result<Vec<&Best>>>()?;
    let stack = |f: &dyn Fn(&Best) -> Tensor| {
        Tensor::cat(&best.iter().map(|b| f(b)).collect::<Vec<_>>(), 0)
    };
    let each: Vec<Parts> = best.iter().map(|b| b.parts.clone()).collect();
    let mut parts = settled(run, Parts::gathered(&each)?)?.halved()?;
    let corruption = parts.get(Part::Corruption).cloned();
    parts = parts.without(&[Part::Corruption]);
    parts.extend(job.labels.map(|labels| (Part::Labels, labels.clone())));
    let space = run.code_space(parts.point());
    let companion = job.companion.filter(|_| config.companion().is_some());
    let networks = [job.encoder.filter(|_| config.method.encoder), companion];
    let by: String = networks.iter().flatten().map(|e| format!(" · {}", e.name())).collect();
    let how = format!("{}{by}", config.describe()?);
    let code = Code {
        space,
        parts,
        model: Some(model_id(job.generator.spec())),
        origin: origin(&how, target)?,
    };
    // What files round is shown and measured as they keep it; a search that ended early may have
    // seen smaller pictures alone.
    let rounded = code.parts.iter().any(|(part, _)| part.halved());
    let small = best.iter().any(|b| b.picture.dims().get(1..) != target.dims().get(1..));
    let reconstruction = if rounded || small {
        pictures(job.generator, &code, &Input::default(), (&Control::default(), ""))?
    } else {
        stack(&|b| b.picture.clone())?
    };
    let seen = match &corruption {
        Some(parameters) => mimicked(&reconstruction, parameters)?,
        None => reconstruction.clone(),
    };
    let numbers = match &run.degrader {
        None => measure(run, &seen, target)?,
        Some(d) => measure(run, &d.apply(&seen)?, &d.target(target)?)?,
    };
    let mut diagnosis = diagnose(run, &code)?;
    warn(&mut diagnosis, run, &numbers, &outcomes);
    Ok(Inversion {
        reconstruction,
        target: target.clone(),
        photographs: Vec::new(),
        loss: best.iter().map(|b| b.loss).collect(),
        best_step: best.iter().map(|b| b.step).collect(),
        stopped: outcomes.iter().map(|s| s.stopped).collect(),
        unsaved: outcomes.iter().any(|s| s.unsaved.is_some()),
        trace: outcomes.into_iter().map(|s| s.trace).collect(),
        code,
        numbers,
        diagnosis,
        config: config.clone(),
        how,
        seconds: 0.0,
        steps: run.total(),
        seed: config.seed,
        cached: false,
    })
}

/// The parts as any code may have them: what only a search reads is put into the others.
fn settled(run: &Run<'_>, parts: Parts) -> Result<Parts> {
    let searched = |part: Part| matches!(part, Part::Shares(_) | Part::Scale(_) | Part::Step);
    if !parts.iter().any(|(part, _)| searched(part)) {
        return Ok(parts);
    }
    let space = run.code_space(parts.point());
    let one = |i: usize| -> Result<Parts> {
        let own = parts.slice(i, 1)?;
        let input = read_by(&own, run.job.labels_of(i)?);
        codes::settled(run.job.generator, &own, (space, &input))
    };
    Parts::gathered(&(0..parts.count()).map(one).collect::<Result<Vec<_>>>()?)
}

fn measure(run: &Run<'_>, a: &Tensor, b: &Tensor) -> Result<Vec<Number>> {
    let mut metrics: Vec<&dyn Metric> = vec![&Psnr, &Mse];
    if a.dims()[2..].iter().all(|&side| side >= 11) {
        metrics.insert(1, &Ssim);
    }
    if let Some(p) = run.job.perceptual {
        metrics.push(p);
    }
    if let Some(lpips) = run.job.lpips {
        metrics.push(lpips);
    }
    if let Some(recognition) = run.job.recognition {
        metrics.push(recognition);
    }
    let of = |m: &dyn Metric| -> Result<Number> {
        Ok(number((m.name(), m.unit()), m.measure(a, b)?, definition(run, &m.definition())))
    };
    let masked = run.mask.as_ref().map(|m| psnr_in(run, m, a, b));
    metrics.into_iter().map(of).chain(masked).collect()
}

/// A definition that says what is compared.
fn definition(run: &Run<'_>, own: &str) -> String {
    let mut words = degrade::words(&run.config.degrade);
    if run.phases.iter().any(|phase| phase.unknowns.corruption) {
        let known = if words.is_empty() { "" } else { " and " };
        words = format!("what was found to have happened to the picture{known}{words}");
    }
    match words {
        none if none.is_empty() => own.into(),
        some => format!("of the reconstruction after {some}, against the target: {own}"),
    }
}

fn number((name, unit): (&str, &str), each: Vec<f64>, definition: String) -> Number {
    let value = each.iter().sum::<f64>() / each.len().max(1) as f64;
    Number { name: name.into(), value, each, unit: unit.into(), definition }
}

/// PSNR of what a mask `[1, 1, H, W]` holds.
fn psnr_in(run: &Run<'_>, mask: &Tensor, a: &Tensor, b: &Tensor) -> Result<Number> {
    let doubles = |t: &Tensor| t.to_device(&Device::Cpu)?.to_dtype(DType::F64);
    let (_, _, h, w) = a.dims4()?;
    let (a, b, mask) = (doubles(a)?, doubles(b)?, doubles(&resize_to(mask, h, w)?)?);
    let error = (a - b)?.sqr()?.mean_keepdim(1)?; // [N1HW]
    let weighed = error.broadcast_mul(&mask)?.flatten_from(1)?.sum(1)?.to_vec1::<f64>()?;
    let weight = mask.sum_all()?.to_vec0::<f64>()?;
    let each = weighed.iter().map(|e| 10.0 * libm::log10(4.0 * weight / e)).collect();
    let definition = "10 log10(peak² / MSE) with the squared error averaged by the mask's weights, \
                      peak 2, all channels together, values not clamped";
    Ok(number(("psnr in mask", "dB"), each, self::definition(run, definition)))
}
