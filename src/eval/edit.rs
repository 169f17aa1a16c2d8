//! What an edit did, in one line: identity, what was asked for, what else moved, and how far the
//! code lies from typical ones.

use crate::builtin::{Context, as_latent};
use crate::error::Result;
use crate::invert::{Distance, SAFE_OFFSET, WStats};
use crate::lang::ast::{BinaryOp, Expr, ExprKind};
use crate::latent::Code;
use crate::metric::{Features, Finding, Identity, Level, Metric};
use crate::space::Space;
use crate::value::{Loaded, Value};
use candle_core::Tensor;

/// Change of an attribute, in standard deviations over the training set, from which it is named.
const NAMED: f64 = 0.5;
/// Change of a probability from which it is named.
const LIKELY: f64 = 0.25;
/// Attributes that are named besides those that were asked for.
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
    parts.push(moved(network, [&first, &second], &added(&a, b))?);
    parts.extend(distance(b, &model)?);
    Ok(Some(parts.join(" · ")))
}

/// What was added to the first code to get the other, by its origin: `+ 2 * (own smile of W)`.
/// Directions that were projected out are left out; empty where the origins do not tell.
fn added(before: &Code, after: &Code) -> String {
    let mut rest = after.origin.strip_prefix(&before.origin).unwrap_or_default();
    let mut all = String::new();
    while let Some((kept, out)) = rest.split_once("| [") {
        all.push_str(kept);
        let mut depth = 1;
        let closes = |c: char| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            depth == 0
        };
        rest = out.find(closes).map_or("", |end| &out[end + 1..]);
    }
    all + rest
}

/// Whether a sum of directions names an attribute: `yaw` is `yaw_deg`.
fn names(added: &str, attribute: &str) -> bool {
    let mut words = added.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.any(|word| attribute.strip_suffix("_deg").unwrap_or(attribute) == word)
}

/// `smile +0.62, also age −4.1 years`: first the attributes that `added` names, then what moved
/// most of the others.
fn moved(network: &Features, [before, after]: [&Tensor; 2], added: &str) -> Result<String> {
    let read = network.read(&Tensor::cat(&[before, after], 0)?)?;
    let [a, b] = &read[..] else { return Ok(String::new()) };
    let each = a.iter().zip(b).filter_map(|(x, y)| Some((&x.name, change(network, x, y)?)));
    let (asked, mut others): (Vec<_>, Vec<_>) = each.partition(|(name, _)| names(added, name));
    others.retain(|(_, (size, _))| *size >= 1.0);
    others.sort_by(|(_, (x, _)), (_, (y, _))| y.total_cmp(x));
    others.truncate(OTHERS + usize::from(asked.is_empty()));
    let list = |all: Vec<(&String, (f64, String))>| {
        all.into_iter().map(|(_, (_, words))| words).collect::<Vec<_>>().join(", ")
    };
    Ok(match (list(asked), list(others)) {
        (none, other) if none.is_empty() && other.is_empty() => "no attribute moved".into(),
        (none, others) if none.is_empty() => others,
        (asked, none) if none.is_empty() => format!("{asked}, nothing else"),
        (asked, others) => format!("{asked}, also {others}"),
    })
}

/// The size of a change, 1 where it counts, and its words.
fn change(network: &Features, a: &Finding, b: &Finding) -> Option<(f64, String)> {
    let name = &a.name;
    match (&a.level, &b.level) {
        (Level::Number(x), Level::Number(y)) => {
            let output = network.config().outputs.iter().find(|o| o.name == *name)?;
            let size = (y - x).abs() / output.std.max(f64::MIN_POSITIVE);
            let digits = if (y - x).abs() < 1.0 { 2 } else { 1 };
            let unit = output.unit.split_whitespace().next().filter(|u| *u == "years");
            let unit = unit.map(|u| format!(" {u}")).unwrap_or_default();
            Some((size / NAMED, format!("{name} {:+.digits$}{unit}", y - x)))
        }
        (Level::Probability(x), Level::Probability(y)) => {
            Some(((y - x).abs() / LIKELY, format!("{name} {:+.2}", y - x)))
        }
        _ => None,
    }
}

/// How far a code of W or W+ lies from the mean of w, and whether edits are safe there.
fn distance(code: &Code, model: &Loaded) -> Result<Option<String>> {
    if !matches!(code.space, Space::W | Space::WPlus) || model.facts.c_dim > 0 {
        return Ok(None);
    }
    let stats = WStats::of(&**model.generator()?, None, SAMPLES)?;
    let all = Distance::of(code.point(), (&stats.mean, stats.sigma))?;
    Ok(all.first().map(|d| format!("{:.1} σ from the mean, {}", d.from_mean, verdict(*d))))
}

/// Whether edits are safe at a place.
fn verdict(Distance { offset, from_mean }: Distance) -> String {
    if from_mean > FAR {
        return "outside the safe range".into();
    }
    if offset > SAFE_OFFSET {
        return format!(
            "outside the safe range: its rows lie {offset:.1} σ apart, safe is {SAFE_OFFSET} (a \
             code of W, or a larger `offset`, can be edited)"
        );
    }
    "inside the safe range".into()
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
    use candle_core::{DType, Device};
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
    fn what_was_asked_for_comes_first_and_the_others_are_also() {
        let code = "w = sample(seed: 2, psi: 0.7); v = w + smile\n\
                    w + 0.1*smile + 3*yaw\n\
                    d = smile | [age, gender]; w + 2*d\n\
                    v + 2*age\n\
                    w + 2*pc[0]";
        let said = lines("faces", code, true);
        let words = said.iter().filter(|l| l.starts_with("identity "));
        let words: Vec<&str> = words.filter_map(|l| l.split(" · ").nth(1)).collect();
        let [first, both, pure, again, component] = words[..] else { panic!("{said:#?}") };
        let asked = |words: &str| words.split(", also ").next().map(str::to_owned).unwrap();
        assert!(asked(first).starts_with("smile "), "{first}");
        // Yaw moves far more of its spread; both were asked for.
        assert!(asked(both).contains("smile ") && asked(both).contains("yaw_deg "), "{both}");
        // What is projected out was not asked for, in a variable either.
        assert!(asked(pure).starts_with("smile ") && !asked(pure).contains("age"), "{pure}");
        // An earlier edit is not asked for again.
        assert!(asked(again).starts_with("age ") && !asked(again).contains("smile"), "{again}");
        // A component has no attribute: all are listed alike.
        assert!(!component.contains("also"), "{component}");
    }

    #[test]
    fn projected_directions_are_left_out_of_what_was_added() {
        let code = |origin: &str| Code {
            space: Space::W,
            parts: crate::latent::Parts::of(
                Tensor::zeros((1, 4), DType::F32, &Device::Cpu).unwrap(),
            ),
            model: None,
            origin: origin.into(),
        };
        let sum = "x + 1 * ((own smile of W) | [(own age of W) | [a]]) + 2 * (own yaw of W)";
        let added = added(&code("x"), &code(sum));
        let named = ["smile", "age", "yaw_deg", "own_x"].map(|name| names(&added, name));
        assert_eq!(named, [true, false, true, false], "{added}");
        assert_eq!(super::added(&code("other"), &code(sum)), "");
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
        // Not in programs.
        assert!(!lines("faces", code, false).iter().any(|l| l.starts_with("identity ")));
    }
}
