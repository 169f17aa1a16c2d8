//! Binding of arguments to parameters: one rule for the checker and the evaluator.

use super::ast::{Arg, Expr, Ident};
use super::suggest::{did_you_mean, near};
use super::types::{Param, Signature};
use crate::error::{Error, Result, Span};

/// The arguments of a call by parameter, in the order of the signature: several for a variadic one,
/// empty for a default. `piped` is the value from `|>`, the first positional argument. `span` is
/// the call.
pub fn bind<'a>(
    signature: &Signature,
    piped: Option<&'a Expr>,
    args: &'a [Arg],
    span: Span,
) -> Result<Vec<Vec<&'a Expr>>> {
    let params = signature.params;
    let mut filled: Vec<Vec<&Expr>> = vec![Vec::new(); params.len()];
    let mut positional = (0..params.len()).filter(|&i| !params[i].named).peekable();
    let given = piped
        .map(|e| (None, e))
        .into_iter()
        .chain(args.iter().map(|a| (a.name.as_ref(), &a.value)));
    for (name, value) in given {
        let index = match name {
            Some(name) => params
                .iter()
                .position(|p| p.name == name.name)
                .ok_or_else(|| unknown(signature, name))?,
            None => next_positional(&mut positional, params)
                .ok_or_else(|| too_many(signature, value.span))?,
        };
        let repeats = name.is_some() || !params[index].variadic;
        if let (true, Some(first)) = (repeats, filled[index].first()) {
            let error = Error::check(format!("`{}` is given twice", params[index].name));
            return Err(error
                .at(name.map_or(value.span, |n| n.span))
                .label(first.span, "the first one")
                .hint("keep one of them"));
        }
        filled[index].push(value);
    }
    match params.iter().zip(&filled).find(|(p, given)| p.default.is_none() && given.is_empty()) {
        Some((missing, _)) => Err(lacking(signature, missing).at(span)),
        None => Ok(filled),
    }
}

fn next_positional(
    left: &mut std::iter::Peekable<impl Iterator<Item = usize>>,
    params: &[Param],
) -> Option<usize> {
    let index = *left.peek()?;
    if !params[index].variadic {
        left.next();
    }
    Some(index)
}

/// Number of arguments that an error still lists.
const MANY: usize = 12;

fn unknown(signature: &Signature, name: &Ident) -> Error {
    let (span, name) = (name.span, name.name.as_str());
    let known = signature.params.iter().map(|p| p.name);
    let nearest = near(name, known.clone()).first().copied();
    let error = Error::check(format!("`{}` has no argument `{name}`", signature.name))
        .at(span)
        .note(usage(signature, nearest.unwrap_or_default()));
    match did_you_mean(name, known.clone()) {
        Some(hint) => nearest.into_iter().fold(error.hint(hint), |e, first| e.fix(span, first)),
        None if signature.params.len() > MANY => {
            error.hint(format!("`?{}` at the prompt lists its arguments", signature.name))
        }
        None => error.hint(format!("its arguments are {}", known.collect::<Vec<_>>().join(", "))),
    }
}

fn too_many(signature: &Signature, span: Span) -> Error {
    let n = signature.params.iter().filter(|p| !p.named).count();
    let named: Vec<String> =
        signature.params.iter().filter(|p| p.named).map(|p| format!("`{}:`", p.name)).collect();
    let message = format!("`{}` takes at most {n} arguments without a name", signature.name);
    let error = Error::check(message).at(span).note(usage(signature, ""));
    if named.len() > MANY {
        let all = format!("`?{}` at the prompt lists the names", signature.name);
        return error.hint(format!("leave it out, or name it: {all}"));
    }
    if named.is_empty() {
        error.hint("leave it out")
    } else {
        error.hint(format!("leave it out, or name it: {}", named.join(", ")))
    }
}

fn lacking(signature: &Signature, missing: &Param) -> Error {
    let kinds: Vec<&str> = missing.accepts.iter().map(|k| k.name()).collect();
    Error::check(format!("`{}` lacks its argument `{}`", signature.name, missing.name))
        .note(usage(signature, missing.name))
        .hint(format!("`{}: …`, {}: {}", missing.name, kinds.join(" or "), missing.doc))
}

/// Characters of a signature that an error still shows as a whole.
const SHORT: usize = 200;

/// A signature in one line, for an error about its parameter `about`:
/// `strip(w, along: Direction, n: Number = 7)`. A long one shows that parameter and those without
/// a default; each run of other parameters is written as `…`.
pub fn usage(signature: &Signature, about: &str) -> String {
    let whole = written(signature, |_| true);
    if whole.chars().count() <= SHORT {
        return whole;
    }
    written(signature, |p| p.default.is_none() || p.name == about)
}

fn written(signature: &Signature, shown: impl Fn(&Param) -> bool) -> String {
    let mut params: Vec<String> = Vec::new();
    for p in signature.params {
        if shown(p) {
            params.push(parameter(p));
        } else if params.last().is_none_or(|last| last != "…") {
            params.push("…".into());
        }
    }
    format!("{}({}) → {}", signature.name, params.join(", "), signature.returns)
}

fn parameter(p: &Param) -> String {
    let kinds: Vec<&str> = p.accepts.iter().map(|k| k.name()).collect();
    let default = p.default.filter(|d| *d != "-").map_or(String::new(), |d| format!(" = {d}"));
    let dots = if p.variadic { "…" } else { "" };
    format!("{}{dots}: {}{default}", p.name, kinds.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::types::{Kind, Type};

    const LONG: [Param; 30] = {
        let other = Param::optional("other", &[Kind::Number], "1", "").named();
        let mut all = [other; 30];
        all[0] = Param::required("picture", &[Kind::Image], "");
        all[20] = Param::optional("steps", &[Kind::Number], "200", "").named();
        all
    };

    #[test]
    fn a_long_signature_is_cut_down_to_what_an_error_is_about() {
        let signature = Signature {
            name: "invert",
            params: &LONG,
            returns: "Inversion",
            infer: |_| Ok(Type::Nothing),
        };
        let about = |name| usage(&signature, name);
        assert_eq!(about(""), "invert(picture: Image, …) → Inversion");
        assert_eq!(about("steps"), "invert(picture: Image, …, steps: Number = 200, …) → Inversion");
        let short = Signature { params: &LONG[..3], ..signature };
        let whole = "invert(picture: Image, other: Number = 1, other: Number = 1) → Inversion";
        assert_eq!(usage(&short, ""), whole);
    }
}
