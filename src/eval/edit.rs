//! What an edit did, in one line: identity, what moved most, what else moved, and how far the code
//! lies from typical ones.

use crate::builtin::{Context, as_latent};
use crate::error::Result;
use crate::invert::WStats;
use crate::lang::ast::{BinaryOp, Expr, ExprKind};
use crate::latent::Code;
use crate::metric::{Features, Finding, Identity, Level, Metric};
use crate::space::Space;
use crate::value::{Loaded, Value};
use candle_core::{DType, Device, Tensor};

/// Change of an attribute, in standard deviations over the training set, from which it is named.
const NAMED: f64 = 0.5;
/// Change of a probability from which it is named.
const LIKELY: f64 = 0.25;
/// Attributes that are named besides the one that moved most.
const OTHERS: usize = 3;
/// Distance from the mean, in σ of w, beyond which a code is unlike the training.
const FAR: f64 = 2.5;
/// Draws for mean and σ of w.
const SAMPLES: usize = 500;

/// The expression that an edit starts from, where it is a name: `w` in `w + 2*smile - age`.
pub(super) fn start(e: &Expr) -> Option<&Expr> {
    match &e.kind {
        ExprKind::Binary { op: BinaryOp::Add | BinaryOp::Sub, lhs, .. } => match &lhs.kind {
            ExprKind::Name(_) => Some(lhs),
            _ => start(lhs),
        },
        _ => None,
    }
}

/// What changed from one code to the other; `None` for several codes, and where the generator
/// brings no network that reads attributes.
///
/// # Errors
/// When a picture cannot be rendered or read.
pub(super) fn told(before: &Value, after: &Value, ctx: &Context<'_>) -> Result<Option<String>> {
    let (Some(a), Value::Latent(b)) = (as_latent(before), after) else { return Ok(None) };
    if a.count() != 1 || b.count() != 1 || !a.fits_beside(b) {
        return Ok(None);
    }
    let model = ctx.model_of(b)?;
    let Some(network) = model.features()? else { return Ok(None) };
    let [first, second] = [ctx.picture(&a)?.data, ctx.picture(b)?.data];
    let mut parts = Vec::new();
    if let Some(identity) = Identity::new(network.clone()) {
        let kept = identity.measure(&first, &second)?.first().copied().unwrap_or(f64::NAN);
        parts.push(format!("identity {kept:.2}"));
    }
    parts.push(moved(network, &first, &second)?);
    parts.extend(distance(b, &model)?);
    Ok(Some(parts.join(" · ")))
}

/// `smile +0.62, also age −4.1 years`.
fn moved(network: &Features, before: &Tensor, after: &Tensor) -> Result<String> {
    let read = network.read(&Tensor::cat(&[before, after], 0)?)?;
    let [a, b] = &read[..] else { return Ok(String::new()) };
    let mut changes: Vec<(f64, String)> =
        a.iter().zip(b).filter_map(|(x, y)| change(network, x, y)).collect();
    changes.sort_by(|x, y| y.0.total_cmp(&x.0));
    let named: Vec<String> = changes.into_iter().map(|c| c.1).take(1 + OTHERS).collect();
    Ok(match named.split_first() {
        None => "no attribute moved".into(),
        Some((first, [])) => format!("{first}, nothing else"),
        Some((first, others)) => format!("{first}, also {}", others.join(", ")),
    })
}

/// The size of a change in standard deviations, and its words; `None` for a small one.
fn change(network: &Features, a: &Finding, b: &Finding) -> Option<(f64, String)> {
    let name = &a.name;
    match (&a.level, &b.level) {
        (Level::Number(x), Level::Number(y)) => {
            let output = network.config().outputs.iter().find(|o| o.name == *name)?;
            let size = (y - x).abs() / output.std.max(f64::MIN_POSITIVE);
            let digits = if (y - x).abs() < 1.0 { 2 } else { 1 };
            let unit = output.unit.split_whitespace().next().filter(|u| *u == "years");
            let unit = unit.map(|u| format!(" {u}")).unwrap_or_default();
            (size >= NAMED).then(|| (size, format!("{name} {:+.digits$}{unit}", y - x)))
        }
        (Level::Probability(x), Level::Probability(y)) => {
            let size = (y - x).abs() / LIKELY;
            (size >= 1.0).then(|| (size, format!("{name} {:+.2}", y - x)))
        }
        _ => None,
    }
}

/// How far a code of W or W+ lies from the mean of w.
fn distance(code: &Code, model: &Loaded) -> Result<Option<String>> {
    if !matches!(code.space, Space::W | Space::WPlus) || model.facts.c_dim > 0 {
        return Ok(None);
    }
    let stats = WStats::of(&**model.generator()?, None, SAMPLES)?;
    let rows = match code.point().rank() {
        3 => code.point().mean(1)?,
        _ => code.point().clone(),
    };
    let away = rows.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?;
    let mean = stats.mean.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let far = (away - mean)?.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt();
    let far = far / stats.sigma.max(f64::MIN_POSITIVE);
    let verdict = if far > FAR { "outside the safe range" } else { "inside the safe range" };
    Ok(Some(format!("{far:.1} σ from the mean, {verdict}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::Output;
    use crate::control::Control;
    use crate::eval::{Options, State};
    use crate::lang::span::Source;
    use crate::render::Block;
    use crate::value::Models;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Lines(Vec<String>);

    impl Output for Lines {
        fn display(&mut self, blocks: &[Block], _: &Value) -> Result<()> {
            self.0.extend(blocks.iter().flat_map(Block::lines));
            Ok(())
        }

        fn print(&mut self, _: &str) -> Result<()> {
            Ok(())
        }
    }

    fn lines(model: &str, code: &str, echo: bool) -> Vec<String> {
        let options = Options { echo, ..Options::default() };
        let mut state = State::new(Models::cpu(), model, options).unwrap();
        let (source, mut out) = (Source::new("t", code).unwrap(), Lines::default());
        state.run(&source, &BTreeMap::new(), &Control::default(), &mut out).unwrap();
        out.0
    }

    #[test]
    fn an_edit_says_what_it_did() {
        let code = "w = sample(seed: 2, psi: 0.7); smile = direction(\"smile\"); w + 2*smile";
        let said = lines("faces", code, true);
        let line = said.iter().find(|l| l.starts_with("identity ")).expect("a line");
        assert!(line.contains("smile +") && line.contains("inside the safe range"), "{line}");
        let far = lines("faces", &code.replace("2*", "40*"), true);
        let line = far.iter().find(|l| l.starts_with("identity ")).expect("a line");
        assert!(line.contains("outside the safe range"), "{line}");
        // Not in programs, and not where no network reads the pictures.
        assert!(!lines("faces", code, false).iter().any(|l| l.starts_with("identity ")));
        assert!(!lines("toy", code, true).iter().any(|l| l.contains("the mean")));
    }
}
