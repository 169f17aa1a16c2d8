//! What the checker knows of a call of `invert` before it runs.

use super::{Given, chosen, special, usual_space};
use crate::builtin::{CheckedCall, CodeType, Const, ModelFacts, Type, as_check};
use crate::builtins::shared;
use crate::error::{Error, Result};
use crate::invert::methods::OPTIMIZE;
use crate::space::Space;

pub(super) fn infer(call: &CheckedCall<'_>) -> Result<Type> {
    check_condition(call)?;
    let Some(m) = call.model.clone() else { return Ok(Type::Inversion(CodeType::default())) };
    let word = match (call.value("method"), call.arg("method")) {
        (Some(Const::Choice(w, _)), _) => w.as_str(),
        (None, Some(_)) => "",
        _ => "auto",
    };
    let at = |name: &str| call.arg(name).map_or(call.span, |a| a.span);
    let written = |name: &str| call.arg(name).is_some();
    let (found, given) = (Given::new(&m, written), shared::space(call, "space"));
    let method = chosen(word, given, (&m, found));
    let space = given.unwrap_or_else(|| usual_space(method.unwrap_or(&OPTIMIZE), &m));
    let check = |found: Result<()>, name: &str| found.map_err(|e| as_check(e).at(at(name)));
    if let Some(method) = method {
        check(method.check_encoder(found.encoder, &m.name), "method")?;
        let brings = |kind| m.companions.contains(&kind);
        check(method.check_companion(brings, &m.name), "method")?;
    }
    if !matches!(space, Space::N | Space::F) {
        shared::check_space(space, &m, at("space"))?;
    }
    if let Some(method) = method {
        check(method.check_space(space), "space")?;
        if method.encoder && call.arg("encoder").is_none() && !m.encodes(space) {
            let own = m.encoded();
            let message = format!("the encoder of {} finds codes of {own}, not of {space}", m.name);
            return Err(Error::check(message).at(at("space")).hint(format!("space: {own}")));
        }
        for name in special(written) {
            check(method.check_parameter(name), name)?;
        }
    }
    if let Some(arg) = call.arg("layer") {
        let refuse = |e: Error| as_check(e).at(arg.span);
        if space != Space::F && (given.is_some() || method.is_some()) {
            let message = format!("`layer` is searched in F, not in {space}");
            return Err(refuse(Error::check(message).hint("space: F, or leave `layer` out")));
        }
        if let Some(Const::Text(name)) = call.value("layer") {
            shared::layer(&m, name, |l| l.maps).map_err(refuse)?;
        }
    }
    if let (Some(Const::Bool(true)), false) = (call.value("pose"), m.can.camera || m.can.transform)
    {
        let message = format!("{} has neither a camera nor a transform to search", m.name);
        return Err(Error::check(message).at(at("pose")).hint("leave `pose` out"));
    }
    let picture = match call.arg("picture").map(|a| a.ty.clone()) {
        Some(Type::List(each)) => Some(*each),
        other => other,
    };
    if let Some(Type::Image(Some(size))) = picture {
        let known = match (call.arg("down"), call.value("down")) {
            (None, _) => Some(1),
            (_, Some(Const::Number(k))) => Some((*k as usize).max(1)),
            _ => None,
        };
        let grey = call.arg("grey").is_some();
        let small = known.is_none_or(|k| degraded(size, &m, (k, grey)));
        if !small {
            fits(size, &m).map_err(|e| e.at(at("picture")))?;
        }
    }
    let found = match space {
        Space::N => Space::W,
        // What is found beside the code does not show in its type.
        Space::F if m.spaces.contains(&Space::WPlus) => Space::WPlus,
        Space::F => Space::Z,
        other => other,
    };
    let layers = m.layers(found);
    Ok(Type::Inversion(CodeType {
        space: (space != Space::N).then_some(found),
        layers,
        model: Some(m),
        count: None,
        origin: Some("inverted".into()),
        ..CodeType::default()
    }))
}

/// Refuses a conditional generator without a class, unless an encoder may tell it.
fn check_condition(call: &CheckedCall<'_>) -> Result<()> {
    let model = call.model.as_deref();
    if model.is_some_and(|m| m.pair) || call.arg("encoder").is_some() {
        return shared::check_condition(call, model);
    }
    shared::check_needed_condition(call, model)
}

/// Whether a picture is a degraded one of the generator: so many times smaller on each side, or
/// grey.
pub(super) fn degraded([c, h, w]: [usize; 3], m: &ModelFacts, (down, grey): (usize, bool)) -> bool {
    let channels = c == m.channels || (grey && c == 1);
    channels && [h * down, w * down] == [m.height, m.width]
}

pub(super) fn fits(size: [usize; 3], m: &ModelFacts) -> Result<()> {
    let [c, h, w] = size;
    if [c, h, w] == [m.channels, m.height, m.width] {
        return Ok(());
    }
    Err(Error::check(format!(
        "the picture is {w}×{h}×{c}, {} makes {}×{}×{}",
        m.name, m.width, m.height, m.channels
    ))
    .hint("image(path) fits a picture to the current generator; load the generator before it"))
}

/// Refuses a picture of another size than the generator's, and one without its needed condition.
pub(in crate::builtins) fn check_picture(call: &CheckedCall<'_>, name: &str) -> Result<()> {
    check_condition(call)?;
    let (Some(m), Some(arg)) = (&call.model, call.arg(name)) else { return Ok(()) };
    match arg.ty {
        Type::Image(Some(size)) => fits(size, m).map_err(|e| e.at(arg.span)),
        _ => Ok(()),
    }
}
